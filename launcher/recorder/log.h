/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log on disk: segments named by the sequence of their first line, appended
 * to by this process alone.  Lines are made in the buffer, written in groups and
 * synced in groups; the buffer keeps every byte until it is known durable, so
 * that a failed sync (after which Linux may have dropped the pages, and a second
 * sync may succeed without them) can be answered by writing them again.
 */
#ifndef RECORDER_LOG_H
#define RECORDER_LOG_H

#include "audit/line.h"
#include "audit/scan.h"
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define LOG_SEGMENT (64U << 20)
#define LOG_BUFFER (8U << 20)
#define LOG_NAME_SIZE 40	/* audit-%020llu.jsonl */

struct log {
	int directory;
	int segment;		/* descriptor of the last segment, -1: none yet */
	uint64_t length;	/* bytes of it that hold whole lines */
	uint64_t durable_length;	/* bytes of it known durable */
	uint64_t next;		/* sequence of the line made next */
	uint64_t durable;	/* lines below are durable */
	char *buffer;		/* everything from line `durable` on */
	size_t used;		/* bytes of the buffer */
	size_t written;		/* … of them in the segment */
	uint64_t unwritten;	/* sequence of the first line behind `written` */
	int torn;		/* the segment has bytes behind `length` */
	int again;		/* the last sync failed: a new segment is due */
	int renewed;		/* the last segment is another file of its name */
	int rotated;		/* a segment was begun because the last was full */
	uint64_t overlaps;	/* old segments that kept lines written again */
	uint64_t *firsts;	/* of all segments, ascending */
	size_t first_count;
	uint64_t cut;		/* bytes of a torn tail that recovery cut */
};

/* Called for lines near the end of the log, oldest first. */
typedef void log_seen(void *data, const struct audit_scanned *line);

/* Takes the log in `directory` over: locks it, cuts a torn tail, finds the next
 * sequence.  A log that was changed is refused. */
int log_open(struct log *log, int directory, log_seen *seen, void *data,
	     struct error *error);

/* Room for one line of AUDIT_LINE bytes that leaves `reserve` bytes free behind
 * it, or NULL. */
char *log_room(struct log *log, size_t reserve);

/* The line that was just made there, numbered log->next. */
void log_add(struct log *log, size_t length);

/* Writes what is not written, then what is not durable.  Each returns 0 or a
 * negative errno; after an error the same call tries again from the last good
 * state. */
int log_write(struct log *log);
int log_sync(struct log *log);

/* Bytes in the segment that are not known durable. */
static inline size_t log_dirty(const struct log *log)
{
	return log->written;
}

void log_name(char name[LOG_NAME_SIZE], uint64_t first);

/* Used between log.c and recover.c. */
int log_begin_segment(struct log *log, uint64_t first);
int log_remember(struct log *log, uint64_t first);

#endif
