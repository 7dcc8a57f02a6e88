/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From records to lines of the audit log: OCSF 1.8.0, one JSON object a line,
 * as ambit-audit(5) documents it.  Pure: the caller brings the buffer, the
 * clocks and the numbers.  No allocation.  Used by the recorder only.
 *
 * Every function writes one line with its newline into `line`, at most
 * AUDIT_LINE bytes whatever the texts contain, and returns its length.
 */
#ifndef AUDIT_LINE_H
#define AUDIT_LINE_H

#include <ambit/kernel.h>
#include <ambit/message.h>
#include <stddef.h>
#include <stdint.h>

#define AUDIT_LINE 8192		/* longest line, newline included */
#define AUDIT_UID 37		/* of one record: a UUID and its zero */

/* The machine, as it is in every line. */
struct audit_node {
	char hostname[65];
	char machine_id[33];
	char boot_id[AMBIT_ID_SIZE];
};

/* Where and when a line stands in the log. */
struct audit_stamp {
	uint64_t sequence;	/* index of the line, from 0 */
	uint64_t time_ms;	/* when it happened, since the epoch */
	uint64_t logged_ms;	/* when the line was made */
	char uid[AUDIT_UID];	/* unique; not for connections, which have a
				 * unique name already */
};

/* One attempt.  agent and endpoint are NULL where nothing is known. */
struct audit_connection {
	const struct ambit_record *record;
	const struct ambit_open *agent;
	const struct ambit_endpoint *endpoint;
};

size_t audit_connection(char line[AUDIT_LINE], const struct audit_node *node,
			const struct audit_stamp *stamp,
			const struct audit_connection *connection);

/* A lookup of a name, as the warden judged it.  `agent` and `endpoint`, the entry
 * that lists the name, may be NULL. */
size_t audit_lookup(char line[AUDIT_LINE], const struct audit_node *node,
		    const struct audit_stamp *stamp,
		    const struct ambit_lookup *lookup,
		    const struct ambit_open *agent,
		    const struct ambit_endpoint *endpoint);

/* What an agent's stream came to. */
struct audit_totals {
	uint64_t attempts;	/* kernel sequence numbers given out */
	uint64_t allowed, denied;	/* connection records */
	uint64_t lost;		/* numbers without a record */
	uint64_t dropped_packets;
};

/* An event of the warden's.  `agent` is NULL where none was opened, `totals`
 * where they are not known yet. */
size_t audit_event(char line[AUDIT_LINE], const struct audit_node *node,
		   const struct audit_stamp *stamp,
		   const struct ambit_event *event,
		   const struct ambit_open *agent,
		   const struct audit_totals *totals);

/*
 * What the recorder says about the log itself, always class 1008.
 * X(name, word, activity, activity's name, action, disposition, severity)
 */
#define AUDIT_NOTICES(X)                                           \
	X(LOSS, "loss", 99, "Loss", 3, 6, 4)                       \
	X(CLOSE, "stream closed", 99, "Close", 3, 17, 1)           \
	X(RECOVERED, "log recovered", 99, "Recovered", 3, 17, 3)   \
	X(OUTAGE, "log outage", 99, "Outage", 3, 17, 4)            \
	X(ROTATED, "log rotated", 5, "Rotate", 3, 17, 1)

#define AUDIT_NOTICE_ENUM(name, word, activity, caption, action, disposition, \
			  severity) AUDIT_NOTICE_##name,
enum audit_notice_kind { AUDIT_NOTICES(AUDIT_NOTICE_ENUM) AUDIT_NOTICE_COUNT };
#undef AUDIT_NOTICE_ENUM

#define AUDIT_NUMBERS 8

/* `numbers` go under "unmapped" by their names, which are our own words; the
 * first whose name is NULL ends them. */
struct audit_notice {
	enum audit_notice_kind kind;
	const struct ambit_open *agent;	/* of a stream, or NULL */
	uint64_t instance;		/* of a stream without an agent, or 0 */
	const char *message;		/* our own words */
	int error;			/* errno, or 0 */
	struct {
		const char *name;
		uint64_t value;
	} numbers[AUDIT_NUMBERS];
};

size_t audit_notice(char line[AUDIT_LINE], const struct audit_node *node,
		    const struct audit_stamp *stamp,
		    const struct audit_notice *notice);

#endif
