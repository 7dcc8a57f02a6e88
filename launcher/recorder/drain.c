/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the ring to lines: see recorder.h.  A record goes through these states,
 * and the process may be killed between any two: read from the ring; made into a
 * line; written; counted in the drained map; given back to the ring.  What is
 * written but not given back is met again by the next recorder, which drops it
 * by its number and kernel time (not by "highest number seen": two CPUs take
 * numbers in one order and reserve in another).
 */
#include "recorder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REORDERED 64	/* numbers that CPUs may put into the ring out of order */

/* Called while the log is recovered, for every line near its end. */
void drain_seen(void *data, const struct audit_scanned *line)
{
	struct recorder *recorder = data;
	struct repeats *repeats = &recorder->repeats;

	if ((!line->connection && !line->loss) ||
	    strlen(recorder->node.boot_id) != line->boot_id_length ||
	    memcmp(line->boot_id, recorder->node.boot_id, line->boot_id_length))
		return;
	repeats->at[repeats->count++ % RECORDER_REPEATS] = (struct repeat){
		line->instance, line->kseq,
		line->loss ? line->lost_total : line->ktime_ns, line->loss,
	};
}

/* Only the first batch after the rings arrived is looked up, in at most 4096
 * entries, newest first: a repeat is among the newest. */
static int is_repeat(const struct repeats *repeats,
		     const struct ambit_record *record, int loss)
{
	uint64_t mark = loss ? record->lost : record->ktime_ns;
	uint64_t held = repeats->count < RECORDER_REPEATS ? repeats->count :
							    RECORDER_REPEATS;

	if (!repeats->at)
		return 0;
	for (uint64_t i = 1; i <= held; i++) {
		const struct repeat *at =
			&repeats->at[(repeats->count - i) % RECORDER_REPEATS];
		if (at->instance == record->instance &&
		    at->kseq == record->kseq && at->mark == mark &&
		    at->loss == loss)
			return 1;
	}
	return 0;
}

static void add_loss(struct recorder *recorder, const struct agent *agent,
		     uint64_t instance, const uint64_t numbers[4])
{
	char message[128];
	struct audit_notice notice = {
		.kind = AUDIT_NOTICE_LOSS,
		.agent = agent ? &agent->open : NULL,
		.instance = instance,
		.message = message,
		.numbers = { { "count", numbers[0] },
			     { "kseq_after", numbers[1] },
			     { "kseq_before", numbers[2] },
			     { "lost_total", numbers[3] } },
	};

	snprintf(message, sizeof(message),
		 "%llu attempts were refused without a record of their own",
		 (unsigned long long)numbers[0]);
	/* The callers saw to it that there is room. */
	if (notice_add(recorder, &notice, RECORDER_NOTICE_RESERVE) < 0)
		abort();
}

static uint64_t wall_of(const struct recorder *recorder, uint64_t ktime_ns)
{
	return (ktime_ns + recorder->boot_offset_ns) / 1000000;
}

static void add_line(struct recorder *recorder, const struct agent *agent,
		     const struct ambit_record *record)
{
	const struct audit_stamp stamp = {
		.sequence = recorder->log.next,
		.time_ms = wall_of(recorder, record->ktime_ns),
		.logged_ms = recorder->wall_ms,
	};
	const struct ambit_endpoint *endpoint = NULL;
	if (agent && record->attempt != AMBIT_ATTEMPT_BIND)
		endpoint = agents_endpoint_of(agent, record->rule);
	const struct audit_connection connection = {
		record, agent ? &agent->open : NULL, endpoint,
	};
	char *line = log_room(&recorder->log, RECORDER_NOTICE_RESERVE);
	/* drain_ring saw to it that there is room. */
	if (!line)
		abort();
	log_add(&recorder->log,
		audit_connection(line, &recorder->node, &stamp, &connection));
}

/* One of the node's own instances, which are never opened or closed, was bounded
 * anew: its numbers begin again. */
static void stream_restart(struct stream *stream)
{
	stream->records = stream->denied = stream->lost = stream->last_kseq = 0;
}

static void take_record(struct recorder *recorder,
			const struct ambit_record *record)
{
	struct agent *agent = agents_find(&recorder->agents, record->instance);
	struct stream *stream = agents_stream(&recorder->agents, record->slot,
					      record->instance);
	int repeated = is_repeat(&recorder->repeats, record, 0);

	if (stream && !agent && stream->position < recorder->ring.at &&
	    (record->kseq == 1 || record->kseq + REORDERED < stream->last_kseq))
		stream_restart(stream);
	if (stream && record->lost > stream->lost) {
		const uint64_t numbers[4] = { record->lost - stream->lost,
					      stream->last_kseq, record->kseq,
					      record->lost };
		if (!repeated && !is_repeat(&recorder->repeats, record, 1))
			add_loss(recorder, agent, record->instance, numbers);
		stream->lost = record->lost;
	}
	if (!repeated)
		add_line(recorder, agent, record);
	if (!stream || stream->position >= recorder->ring.at)
		return;
	stream->position = recorder->ring.at;
	stream->records++;
	stream->denied += record->verdict != AMBIT_ALLOWED;
	/* Most agents have none: it is made when there is something to note. */
	if (agent && record->verdict != AMBIT_ALLOWED && agents_refused(agent))
		refused_note(agent->refused, record);
	if (record->kseq > stream->last_kseq)
		stream->last_kseq = record->kseq;
}

int drain_ring(struct recorder *recorder, uint64_t end, struct error *error)
{
	for (int i = 0; i < RECORDER_BATCH; i++) {
		const void *record;
		size_t length;
		/* For the record and the loss before it. */
		if (!log_room(&recorder->log,
			      RECORDER_EVENT_RESERVE + AUDIT_LINE))
			return 0;
		int result = ring_next(&recorder->ring, end, &record, &length);
		if (result == 0)
			return 0;
		if (result > 0 &&
		    (length != sizeof(struct ambit_record) ||
		     ((const struct ambit_record *)record)->slot >= AMBIT_SLOTS))
			result = -EBADMSG;
		if (result < 0)
			return error_set(error, -result, "ring: a record that "
					 "this recorder does not understand");
		take_record(recorder, record);
		if (recorder->repeats.at && recorder->repeats.left-- == 1) {
			free(recorder->repeats.at);
			recorder->repeats.at = NULL;
		}
	}
	return 0;
}

static struct audit_totals totals_of(struct recorder *recorder,
				     const struct ambit_close *close,
				     struct stream **ret_stream)
{
	uint32_t slot = agents_slot(&recorder->agents, close->instance);
	struct stream *stream = slot < AMBIT_SLOTS ?
		agents_stream(&recorder->agents, slot, close->instance) : NULL;
	uint64_t records = stream ? stream->records : 0;
	uint64_t denied = stream ? stream->denied : 0;
	uint64_t attempts = close->attempts;

	/* A socket that outlives its agent may have tried once more since. */
	if (stream && stream->last_kseq > attempts)
		attempts = stream->last_kseq;
	*ret_stream = stream;
	return (struct audit_totals){
		.attempts = attempts,
		.allowed = records - denied,
		.denied = denied,
		.lost = attempts > records ? attempts - records : 0,
		.dropped_packets = close->dropped_packets,
	};
}

static int add_close(struct recorder *recorder, struct closing *closing)
{
	const struct ambit_close *close = &closing->close;
	struct agent *agent = agents_find(&recorder->agents, close->instance);
	struct stream *stream;
	struct audit_totals totals = totals_of(recorder, close, &stream);
	uint64_t told = stream ? stream->lost : 0;

	/* For the loss and the end, or neither. */
	if (!log_room(&recorder->log, RECORDER_NOTICE_RESERVE + AUDIT_LINE))
		return 0;
	if (totals.lost > told) {
		const uint64_t numbers[4] = { totals.lost - told,
					      stream ? stream->last_kseq : 0,
					      totals.attempts + 1, totals.lost };
		add_loss(recorder, agent, close->instance, numbers);
		if (stream)
			stream->lost = totals.lost;
	}
	struct audit_notice notice = {
		.kind = AUDIT_NOTICE_CLOSE,
		.agent = agent ? &agent->open : NULL,
		.instance = close->instance,
		.message = "every attempt of the agent is accounted for",
		.numbers = { { "attempts", totals.attempts },
			     { "records", totals.allowed + totals.denied },
			     { "allowed", totals.allowed },
			     { "denied", totals.denied },
			     { "lost", totals.lost },
			     { "dropped_packets", totals.dropped_packets } },
	};
	if (notice_add(recorder, &notice, RECORDER_NOTICE_RESERVE) < 0)
		return 0;
	closing->closed = (struct ambit_closed){ .instance = close->instance,
						 .allowed = totals.allowed,
						 .denied = totals.denied };
	static const struct refused none;
	refused_tell(agent && agent->refused ? agent->refused : &none, totals.denied,
		     &closing->closed);
	closing->lined = 1;
	if (agent)
		agents_close(agent, &totals);
	return 1;
}

void drain_closings(struct recorder *recorder)
{
	for (uint32_t i = 0; i < recorder->closing_count; i++) {
		struct closing *closing = &recorder->closings[i];
		if (!closing->lined && recorder->ring.at >= closing->target &&
		    !add_close(recorder, closing))
			return;
	}
}

void drain_commit(struct recorder *recorder)
{
	uint32_t kept = 0;

	/* Counted before it is given back: a crash in between is told by the
	 * position in the map; the other way round, credit would be lost. */
	agents_commit(&recorder->agents);
	ring_commit(&recorder->ring);
	for (uint32_t i = 0; i < recorder->closing_count; i++) {
		struct closing *closing = &recorder->closings[i];
		if (closing->lined)
			events_closed(recorder, &closing->closed);
		else
			recorder->closings[kept++] = *closing;
	}
	recorder->closing_count = kept;
}
