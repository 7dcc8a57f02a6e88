/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When lines are written and synced, and what happens when they can't be: see
 * recorder.h.
 *
 * What is made in a turn is written in that turn.  It is synced in the same turn
 * when somebody waits for it or when much is dirty, else RECORDER_SYNC_MS later.
 * From the first error on nothing is read from the ring, so that the kernel
 * refuses new connections once an agent's credit is used up; the buffer keeps
 * every line, and the same write is tried until it succeeds.
 */
#include "recorder.h"

static void outage_fail(struct recorder *recorder, int code)
{
	struct outage *outage = &recorder->outage;

	if (!outage->error)
		outage->began_ms = recorder->wall_ms;
	outage->error = code;
	outage->retry_ns = recorder->now_ns +
			   (uint64_t)RECORDER_RETRY_MS * 1000000;
	recorder->sync_ns = 0;
	events_failed(recorder, code);
}

static void outage_end(struct recorder *recorder)
{
	const struct outage outage = recorder->outage;
	struct audit_notice notice = {
		.kind = AUDIT_NOTICE_OUTAGE,
		.error = outage.error,
		.message = "records could not be written for a while; lines from "
			   "late_from up to late_to were reported as not durable",
		.numbers = { { "began_ms", outage.began_ms },
			     { "ended_ms", recorder->wall_ms },
			     { "late_from", outage.late_from },
			     { "late_to", outage.late_to },
			     { "events_lost", outage.events_lost },
			     { "segments_overlapping", recorder->log.overlaps } },
	};

	/* The buffer was just emptied to the disk: there is room. */
	recorder->outage = (struct outage){ 0 };
	if (notice_add(recorder, &notice, 0) < 0)
		outage_fail(recorder, outage.error);
}

static void add_rotated(struct recorder *recorder)
{
	const struct log *log = &recorder->log;
	struct audit_notice notice = {
		.kind = AUDIT_NOTICE_ROTATED,
		.message = "a new segment was begun",
		.numbers = { { "segment",
			       log->firsts[log->first_count - 1] } },
	};

	if (notice_add(recorder, &notice, RECORDER_NOTICE_RESERVE) == 0)
		recorder->log.rotated = 0;
}

static int sync_due(const struct recorder *recorder)
{
	return recorder->waiter_count || recorder->outage.error ||
	       recorder->gone || log_dirty(&recorder->log) >= RECORDER_DIRTY ||
	       (recorder->sync_ns && recorder->now_ns >= recorder->sync_ns);
}

void write_turn(struct recorder *recorder)
{
	struct log *log = &recorder->log;

	if (recorder->outage.error && !recorder->gone &&
	    recorder->now_ns < recorder->outage.retry_ns)
		return;
	int result = log_write(log);
	if (result == 0) {
		drain_commit(recorder);
		if (log_dirty(log) && sync_due(recorder))
			result = log_sync(log);
	}
	if (result < 0) {
		outage_fail(recorder, -result);
		return;
	}
	events_durable(recorder);
	if (log->rotated)
		add_rotated(recorder);
	if (recorder->outage.error)
		outage_end(recorder);
	if (!log_dirty(log)) {
		recorder->sync_ns = 0;
		pipe_advance(recorder);
	} else if (!recorder->sync_ns) {
		recorder->sync_ns = recorder->now_ns +
				    (uint64_t)RECORDER_SYNC_MS * 1000000;
	}
}
