/* SPDX-License-Identifier: Apache-2.0 */
/* What the lines of all classes share: see common.c.  Only inside audit/. */
#ifndef AUDIT_COMMON_H
#define AUDIT_COMMON_H

#include "writer.h"
#include "line.h"

/* Bytes of the line that texts may take: with every text full of the longest
 * escapes a line stays below AUDIT_LINE (tests/unit/audit_line.c). */
enum {
	BUDGET_NAME = 128,
	BUDGET_TEXT = 384,
	BUDGET_TASK = 192,
	BUDGET_REASON = 1536,
	BUDGET_PATH = 384,
	BUDGET_COMM = 64,
};

/* X(uid, short name, class name, category, category's name) */
#define COMMON_CLASSES(X)                                                    \
	X(1007, PROCESS, "Process Activity", 1, "System Activity")           \
	X(1008, LOG, "Event Log Activity", 1, "System Activity")             \
	X(2003, COMPLIANCE, "Compliance Finding", 2, "Findings")             \
	X(3004, ENTITY, "Entity Management", 3,                              \
	  "Identity & Access Management")                                    \
	X(4001, NETWORK, "Network Activity", 4, "Network Activity")          \
	X(4003, DNS, "DNS Activity", 4, "Network Activity")

#define COMMON_CLASS_ENUM(uid, name, caption, category, category_caption) \
	COMMON_CLASS_##name = uid,
enum common_class { COMMON_CLASSES(COMMON_CLASS_ENUM) };
#undef COMMON_CLASS_ENUM

/* What is fixed for one kind of record. */
struct common_shape {
	enum common_class class;
	unsigned activity;
	const char *activity_name;
	unsigned action;	/* 1 allowed, 2 denied, 3 observed */
	unsigned disposition;
	unsigned severity;
	unsigned status;	/* 1 success, 2 failure */
};

/* The members every event has, up to status_id. */
void common_head(struct writer *writer, const struct common_shape *shape,
		 uint64_t time_ms);

/* metadata and device.  `uid` is NULL for a connection, which is named by boot,
 * stream and kernel sequence number. */
void common_metadata(struct writer *writer, const struct audit_node *node,
		     const struct audit_stamp *stamp,
		     const struct ambit_open *agent,
		     const struct ambit_record *record);

/* actor: what the agent does itself. */
void common_agent_actor(struct writer *writer, const struct ambit_open *agent,
			const struct ambit_record *record);

/* policy: the profile. */
void common_policy(struct writer *writer, const char *profile, const char *sha256);

/* The beginning of "unmapped": record, boot_id, instance and, for a connection,
 * kseq and ktime_ns, in this order, which scan.c relies on; then the agent's
 * names.  The caller adds what is its own and closes it. */
void common_open_unmapped(struct writer *writer, const char *record_word,
			  const struct audit_node *node,
			  const struct ambit_open *agent, uint64_t instance,
			  const struct ambit_record *record);

/* The name of a stream: the agent's id, or "instance-N" without one. */
void common_stream(struct writer *writer, const struct ambit_open *agent,
		   uint64_t instance);

/* An address as kernel.h has it, as a part of a string; 1 if it is IPv4. */
void common_address(struct writer *writer, const uint8_t address[16]);
int common_is_v4(const uint8_t address[16]);

/* unmapped ends, the line ends.  Aborts when a budget above is wrong. */
size_t common_finish(struct writer *writer);

#endif
