/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the warden says and what it is told: see recorder.h.  The warden's
 * messages are read even while nothing can be written, so that it never blocks
 * on us and "kill" works with a full disk; what asks for durability is then
 * refused at once.  Answers are queued, never waited for: two processes that
 * send to each other and wait would stop for good.
 */
#include "recorder.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

/* There is room: events_receive saw to it. */
static struct answer *answer_new(struct recorder *recorder)
{
	uint32_t at = (recorder->answer_head + recorder->answer_count++) %
		      RECORDER_ANSWERS;

	return &recorder->answers[at];
}

void events_closed(struct recorder *recorder, const struct ambit_closed *closed)
{
	*answer_new(recorder) = (struct answer){
		.type = AMBIT_MESSAGE_CLOSED, .body.closed = *closed,
	};
}

static void answer_durable(struct recorder *recorder, uint64_t token, int code)
{
	*answer_new(recorder) = (struct answer){
		.type = AMBIT_MESSAGE_DURABLE,
		.body.durable = { .token = token, .error = code },
	};
}

static int send_health(struct recorder *recorder)
{
	const struct ambit_health health = { .error = recorder->outage.error };

	if (recorder->gone || recorder->health_told == health.error)
		return 0;
	int result = message_send(recorder->warden, AMBIT_MESSAGE_HEALTH, &health,
				  NULL);
	if (!result)
		recorder->health_told = health.error;
	return result;
}

int events_room(const struct recorder *recorder)
{
	return recorder->answer_count + recorder->waiter_count +
		       recorder->closing_count < RECORDER_ANSWERS;
}

int events_flush(struct recorder *recorder, struct error *error)
{
	int result = 0;

	while (recorder->answer_count && !recorder->gone) {
		struct answer *answer = &recorder->answers[recorder->answer_head];
		result = message_send(recorder->warden, answer->type,
				      &answer->body, NULL);
		if (result < 0)
			break;
		recorder->answer_head =
			(recorder->answer_head + 1) % RECORDER_ANSWERS;
		recorder->answer_count--;
	}
	if (!result)
		result = send_health(recorder);
	if (result == -EPIPE || result == -ECONNRESET)
		recorder->gone = 1;
	else if (result < 0 && result != -EAGAIN)
		return error_errno(error, -result, "warden");
	uint32_t wanted = (events_room(recorder) ? EPOLLIN : 0) |
			  (result == -EAGAIN ? EPOLLOUT : 0);
	if (recorder->gone || wanted == recorder->watched)
		return 0;
	struct epoll_event event = { .events = wanted,
				     .data.u64 = SOURCE_WARDEN };
	if (epoll_ctl(recorder->epoll, EPOLL_CTL_MOD, recorder->warden, &event) < 0)
		return error_errno(error, errno, "warden: epoll");
	recorder->watched = wanted;
	return 0;
}

static struct waiter *waiter_first(struct recorder *recorder)
{
	return &recorder->waiters[recorder->waiter_head];
}

static void waiter_drop(struct recorder *recorder)
{
	recorder->waiter_head = (recorder->waiter_head + 1) % RECORDER_ANSWERS;
	recorder->waiter_count--;
}

void events_durable(struct recorder *recorder)
{
	while (recorder->waiter_count &&
	       waiter_first(recorder)->sequence < recorder->log.durable) {
		answer_durable(recorder, waiter_first(recorder)->token, 0);
		waiter_drop(recorder);
	}
}

static void remember_late(struct outage *outage, uint64_t sequence)
{
	if (!outage->late_to)
		outage->late_from = sequence;
	outage->late_to = sequence + 1;
}

void events_failed(struct recorder *recorder, int code)
{
	while (recorder->waiter_count) {
		const struct waiter *waiter = waiter_first(recorder);
		remember_late(&recorder->outage, waiter->sequence);
		answer_durable(recorder, waiter->token, code);
		waiter_drop(recorder);
	}
}

static int take_event(struct recorder *recorder, const struct ambit_event *event,
		      struct error *error)
{
	if (event->kind < AMBIT_EVENT_NODE_START ||
	    event->kind >= AMBIT_EVENT_LIMIT)
		return error_set(error, EBADMSG, "warden: event %u", event->kind);
	char *line = log_room(&recorder->log, RECORDER_NOTICE_RESERVE);
	if (!line) {
		/* Only in a long outage; its record says how many. */
		recorder->outage.events_lost++;
		if (event->token)
			answer_durable(recorder, event->token, ENOBUFS);
		return 0;
	}
	const struct agent *agent = event->instance ?
		agents_find(&recorder->agents, event->instance) : NULL;
	struct audit_stamp stamp;
	notice_stamp(recorder, &stamp);
	stamp.time_ms = event->time_ms;
	log_add(&recorder->log,
		audit_event(line, &recorder->node, &stamp, event,
			    agent ? &agent->open : NULL,
			    agent && agent->closed ? &agent->totals : NULL));
	if (!event->token)
		return 0;
	if (recorder->outage.error) {
		remember_late(&recorder->outage, stamp.sequence);
		answer_durable(recorder, event->token, recorder->outage.error);
		return 0;
	}
	uint32_t at = (recorder->waiter_head + recorder->waiter_count++) %
		      RECORDER_ANSWERS;
	recorder->waiters[at] = (struct waiter){ event->token, stamp.sequence };
	return 0;
}

static int take_lookup(struct recorder *recorder,
		       const struct ambit_lookup *lookup, struct error *error)
{
	if (lookup->result < AMBIT_LOOKUP_ANSWERED ||
	    lookup->result > AMBIT_LOOKUP_NOT_ADMITTED ||
	    lookup->count > AMBIT_ANSWERS)
		return error_set(error, EBADMSG, "warden: lookup");
	char *line = log_room(&recorder->log, RECORDER_NOTICE_RESERVE);
	if (!line) {
		recorder->outage.events_lost++;
		return 0;
	}
	struct agent *agent = agents_find(&recorder->agents, lookup->instance);
	const struct ambit_endpoint *endpoint = NULL;
	struct audit_stamp stamp;
	if (agent) {
		endpoint = agents_endpoint_of(agent, lookup->entry);
		if (lookup->result != AMBIT_LOOKUP_ANSWERED && agents_refused(agent))
			refused_note_lookup(agent->refused, lookup);
	}
	notice_stamp(recorder, &stamp);
	stamp.time_ms = lookup->time_ms;
	log_add(&recorder->log,
		audit_lookup(line, &recorder->node, &stamp, lookup,
			     agent ? &agent->open : NULL, endpoint));
	return 0;
}

static int take_rings(struct recorder *recorder, struct message *message,
		      struct error *error)
{
	const struct ambit_rings *rings = &message->body.rings;

	if (recorder->ring.consumer)
		return error_set(error, EBADMSG, "warden: rings twice");
	int result = agents_map(&recorder->agents, message->fds[2], rings->slots,
				error);
	if (!result)
		result = ring_open(&recorder->ring, message->fds[0],
				   rings->ring_bytes, error);
	if (result < 0)
		return result;
	if (rings->boot_id[0])
		memcpy(recorder->node.boot_id, rings->boot_id,
		       sizeof(recorder->node.boot_id));
	recorder->repeats.left = RECORDER_BATCH;
	/* Kept open: epoll watches it as long as the map has a descriptor. */
	recorder->ring_fd = message->fds[0];
	message->fds[0] = -1;
	struct epoll_event event = { .events = EPOLLIN | EPOLLET,
				     .data.u64 = SOURCE_RING };
	if (epoll_ctl(recorder->epoll, EPOLL_CTL_ADD, recorder->ring_fd, &event) < 0)
		return error_errno(error, errno, "ring: epoll");
	return 0;
}

static int take_close(struct recorder *recorder, const struct ambit_close *close,
		      struct error *error)
{
	if (recorder->closing_count == AMBIT_SLOTS)
		return error_set(error, EBADMSG, "warden: too many ends");
	recorder->closings[recorder->closing_count++] = (struct closing){
		.close = *close,
		.target = ring_end(&recorder->ring),
	};
	return 0;
}

static int is_end(const struct ambit_event *event)
{
	return event->kind == AMBIT_EVENT_EXIT ||
	       event->kind == AMBIT_EVENT_CREDENTIAL_ENDED;
}

static int take(struct recorder *recorder, struct message *message,
		struct error *error)
{
	int result;

	switch (message->type) {
	case AMBIT_MESSAGE_RINGS:
		return take_rings(recorder, message, error);
	case AMBIT_MESSAGE_OPEN:
		result = agents_open(&recorder->agents, &message->body.open);
		break;
	case AMBIT_MESSAGE_ENDPOINT:
		result = agents_endpoint(&recorder->agents,
					 &message->body.endpoint);
		break;
	case AMBIT_MESSAGE_EVENT:
		/* What an agent tried stands before its end. */
		result = recorder->outage.error ||
					 !is_end(&message->body.event) ?
				 0 : drain_ring(recorder,
						ring_end(&recorder->ring), error);
		return result < 0 ? result :
				    take_event(recorder, &message->body.event,
					       error);
	case AMBIT_MESSAGE_LOOKUP:
		return take_lookup(recorder, &message->body.lookup, error);
	case AMBIT_MESSAGE_CLOSE:
		return take_close(recorder, &message->body.close, error);
	default:
		result = -EBADMSG;
		break;
	}
	if (result < 0)
		return error_errno(error, -result, "warden: message %d",
				   (int)message->type);
	return 0;
}

int events_receive(struct recorder *recorder, struct error *error)
{
	struct message message;
	int result = 0;

	while (events_room(recorder)) {
		/* A disk that takes bytes never makes the warden's events wait
		 * behind a full buffer: they are written first. */
		if (!recorder->outage.error &&
		    !log_room(&recorder->log, RECORDER_NOTICE_RESERVE))
			return 1;
		result = message_receive(recorder->warden, 0, &message);
		if (result == -EAGAIN)
			return 0;
		if (result == 0)
			recorder->gone = 1;
		if (result == 0)
			return 0;
		if (result < 0)
			return error_errno(error, -result, "warden");
		result = take(recorder, &message, error);
		message_release(&message);
		if (result < 0)
			return result;
	}
	return 1;
}
