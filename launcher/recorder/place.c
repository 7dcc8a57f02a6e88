/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a line stands in its segment: bisection over byte offsets, because each
 * line says its own number.  There is no index file to trust.  Called for a
 * reader of the audit pipe that asks for a position.
 */
#include "recorder.h"

#include "audit/scan.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define WINDOW (2U * AUDIT_LINE)	/* holds one whole line from anywhere */

/* The first line that begins at or behind `offset`, and what it says.  Returns
 * 1, 0 when none begins before `length`, or a negative errno. */
static int line_behind(int fd, uint64_t offset, uint64_t length,
		       uint64_t *ret_start, uint64_t *ret_end,
		       uint64_t *ret_sequence)
{
	char window[WINDOW];
	struct audit_scanned scanned;
	uint64_t from = offset ? offset - 1 : 0;
	size_t wanted = length - from < WINDOW ? (size_t)(length - from) : WINDOW;
	ssize_t got = pread(fd, window, wanted, (off_t)from);

	if (got < 0)
		return -errno;
	const char *start = window, *end = window + got;
	if (offset) {
		/* A line begins at `offset` itself if a newline is before it. */
		start = memchr(start, '\n', (size_t)got);
		if (!start)
			return (uint64_t)got < WINDOW ? 0 : -EBADMSG;
		start++;
	}
	if (start == end)
		return 0;
	const char *newline = memchr(start, '\n', (size_t)(end - start));
	if (!newline || audit_scan(start, (size_t)(newline - start), &scanned) < 0)
		return -EBADMSG;
	*ret_start = from + (uint64_t)(start - window);
	*ret_end = from + (uint64_t)(newline - window) + 1;
	*ret_sequence = scanned.sequence;
	return 1;
}

int place_find(int fd, uint64_t length, uint64_t sequence, uint64_t *ret_offset)
{
	uint64_t low = 0, high = length;

	/* The line is at or behind `low`, where one begins, and before `high`. */
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		uint64_t start, end, number;
		int found = line_behind(fd, middle, length, &start, &end, &number);
		if (found < 0)
			return found;
		if (found && start < high && number <= sequence) {
			if (number == sequence) {
				*ret_offset = start;
				return 0;
			}
			low = end;
			continue;
		}
		/* Nothing begins in the upper half that is not behind it. */
		high = middle;
	}
	return -ENOENT;
}
