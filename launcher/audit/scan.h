/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading back the few members that finding one's place in the log needs,
 * without a JSON parser: the recorder runs this over its own lines when it
 * starts.  Pure.  Relies on the order in which common.c writes, and on quotes in
 * texts being escaped, so that a key with its quotes can't stand in a text.
 */
#ifndef AUDIT_SCAN_H
#define AUDIT_SCAN_H

#include <stddef.h>
#include <stdint.h>

struct audit_scanned {
	uint64_t sequence;
	int connection;		/* the members below are there */
	int loss;		/* boot_id, instance and lost_total are there,
				 * and the number behind the gap in kseq */
	const char *boot_id;	/* inside the line; NULL if there is none */
	size_t boot_id_length;
	uint64_t instance, kseq, ktime_ns, lost_total;
};

/* Reads one line without its newline.  Returns 0, or -EBADMSG when it is not a
 * line of the log: it does not begin with '{', end with '}', hold only printable
 * bytes, or has no sequence. */
int audit_scan(const char *line, size_t length, struct audit_scanned *ret_scanned);

#endif
