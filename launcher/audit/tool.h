/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the program ambit-audit, which reads logs that others wrote:
 * jansson parses here, nothing of this is linked into the recorder.
 */
#ifndef AUDIT_TOOL_H
#define AUDIT_TOOL_H

#include "../base/error.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TOOL_LINE 65536		/* longest line, newline included */

/* The segments of a log directory. */
struct tool_files {
	int directory;
	uint64_t *firsts;	/* ascending */
	size_t count;
};

enum tool_tail { TOOL_TAIL_WHOLE, TOOL_TAIL_TORN };

/* One line, without its newline.  `overlaps` is set for a line that the next
 * segment has again (after a failed sync).  A result other than 0 ends the
 * walk and is returned. */
typedef int tool_line(void *data, const char *line, size_t length, int overlaps);

int tool_files_open(const char *path, struct tool_files *ret_files,
		    struct error *error);
void tool_files_close(struct tool_files *files);

/* Walks over the lines of all segments from the one that holds `from` on. */
int tool_files_walk(const struct tool_files *files, uint64_t from,
		    tool_line *line, void *data, enum tool_tail *ret_tail,
		    struct error *error);

/* The sequence behind the last line, 0 for an empty log. */
int tool_files_end(const struct tool_files *files, uint64_t *ret_end,
		   struct error *error);

/* Which records a command shows, and how. */
struct tool_show {
	const char *agent, *profile, *task;	/* NULL: any */
	int denied;		/* only what was refused */
	int json;		/* the line itself */
	uint64_t from, to;	/* sequences, to is inclusive */
	uint64_t since, until;	/* milliseconds since the epoch, both inclusive */
	uint64_t lines;		/* tail: how many to begin with */
	int from_given, no_follow;
};

/* 1 if `record` is wanted.  Also notes what lookups were answered: the entry that a
 * later refusal needs has the name. */
int tool_wanted(const struct tool_show *show, const json_t *record);

/* One record as a line for people.  Control characters do not reach `out`. */
void tool_print(FILE *out, const json_t *record);

/* Shows one line if it is wanted.  Returns 1 if it was, 0, or -EBADMSG. */
int tool_show_line(FILE *out, const struct tool_show *show, const char *line,
		   size_t length);

/* A time as people write it, in UTC: 2026-01-31, 2026-01-31T12:00, …:00:30Z, …:30.125Z;
 * or so long before now: 90s, 15m, 2h, 7d.  Returns 0 or -EINVAL. */
int tool_when(const char *text, uint64_t now_ms, uint64_t *ret_ms);

/* Member `path` ("metadata.uid") of a record, or NULL. */
const json_t *tool_member(const json_t *record, const char *path);
const char *tool_text(const json_t *record, const char *path);	/* "" if not */
uint64_t tool_number(const json_t *record, const char *path);	/* 0 if not */

/* The check of a whole log, line by line; printing its result. */
struct tool_verify;
struct tool_verify *tool_verify_begin(FILE *out, uint64_t first);
void tool_verify_line(struct tool_verify *verify, const char *line,
		      size_t length, int overlaps);
/* Returns the number of faults, and prints what was proven. */
uint64_t tool_verify_end(struct tool_verify *verify, enum tool_tail tail,
			 size_t segments);

/* tail: from the files, then from the audit pipe.  Returns an exit status. */
int tool_tail(const char *directory, const char *socket_path,
	      const struct tool_show *show, struct error *error);

#endif
