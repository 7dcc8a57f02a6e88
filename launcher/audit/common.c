/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the lines of all classes share: the required members of an OCSF event,
 * metadata, device, the agent as actor, the beginning of "unmapped".  Pure.
 * Called by connection.c and event.c.
 */
#include "common.h"

#include <ambit/node.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define OCSF_VERSION "1.8.0"
#define SIZED(text) (text), sizeof(text)

static const struct class_row {
	enum common_class uid;
	const char *name;
	unsigned category;
	const char *category_name;
} class_rows[] = {
#define CLASS_ROW(uid, short_name, name, category, category_name) \
	{ COMMON_CLASS_##short_name, name, category, category_name },
	COMMON_CLASSES(CLASS_ROW)
#undef CLASS_ROW
};

static const struct class_row *class_row(enum common_class uid)
{
	for (size_t i = 0; i < sizeof(class_rows) / sizeof(*class_rows); i++)
		if (class_rows[i].uid == uid)
			return &class_rows[i];
	abort();
}

static const char *const actions[] = { "Unknown", "Allowed", "Denied",
				       "Observed" };
static const char *const statuses[] = { "Unknown", "Success", "Failure" };
static const char *const severities[] = { "Unknown", "Informational", "Low",
					  "Medium", "High" };
static const char *const dispositions[] = {
	[1] = "Allowed", [2] = "Blocked", [6] = "Dropped", [8] = "Approved",
	[17] = "Logged", [24] = "Access Revoked", [26] = "Unauthorized",
};

void common_head(struct writer *writer, const struct common_shape *shape,
		 uint64_t time_ms)
{
	const struct class_row *row = class_row(shape->class);

	writer_number(writer, "time", time_ms);
	writer_number(writer, "class_uid", row->uid);
	writer_word(writer, "class_name", row->name);
	writer_number(writer, "category_uid", row->category);
	writer_word(writer, "category_name", row->category_name);
	writer_number(writer, "activity_id", shape->activity);
	writer_word(writer, "activity_name", shape->activity_name);
	writer_number(writer, "type_uid", row->uid * 100U + shape->activity);
	writer_number(writer, "severity_id", shape->severity);
	writer_word(writer, "severity", severities[shape->severity]);
	writer_number(writer, "action_id", shape->action);
	writer_word(writer, "action", actions[shape->action]);
	writer_number(writer, "disposition_id", shape->disposition);
	writer_word(writer, "disposition", dispositions[shape->disposition]);
	writer_number(writer, "status_id", shape->status);
	writer_word(writer, "status", statuses[shape->status]);
}

void common_stream(struct writer *writer, const struct ambit_open *agent,
		   uint64_t instance)
{
	if (agent) {
		writer_part_text(writer, "stream", SIZED(agent->id), BUDGET_NAME);
		return;
	}
	writer_part_word(writer, "instance-");
	writer_part_number(writer, instance);
}

/* A kernel record read twice, because the recorder died between writing it and
 * saying so, has the same uid both times. */
static void put_uid(struct writer *writer, const struct audit_node *node,
		    const struct audit_stamp *stamp,
		    const struct ambit_open *agent,
		    const struct ambit_record *record)
{
	if (!record) {
		writer_text(writer, "uid", SIZED(stamp->uid), BUDGET_NAME);
		return;
	}
	writer_string_open(writer, "uid");
	writer_part_text(writer, "uid", SIZED(node->boot_id), BUDGET_NAME);
	writer_part_word(writer, "/");
	common_stream(writer, agent, record->instance);
	writer_part_word(writer, "/");
	writer_part_number(writer, record->kseq);
	/* The node's own instances have fixed numbers and count from 1 again
	 * when they are bounded anew. */
	if (!agent) {
		writer_part_word(writer, "/");
		writer_part_number(writer, record->ktime_ns);
	}
	writer_string_close(writer);
}

void common_metadata(struct writer *writer, const struct audit_node *node,
		     const struct audit_stamp *stamp,
		     const struct ambit_open *agent,
		     const struct ambit_record *record)
{
	writer_open(writer, "metadata");
	writer_word(writer, "version", OCSF_VERSION);
	writer_open(writer, "product");
	writer_word(writer, "name", "ambit");
	writer_word(writer, "vendor_name", "ambit");
	writer_word(writer, "version", AMBIT_VERSION);
	writer_close(writer);
	writer_open_array(writer, "profiles");
	writer_word(writer, NULL, "host");
	writer_word(writer, NULL, "security_control");
	writer_close_array(writer);
	put_uid(writer, node, stamp, agent, record);
	writer_number(writer, "sequence", stamp->sequence);
	writer_number(writer, "logged_time", stamp->logged_ms);
	if (agent)
		writer_text(writer, "correlation_uid", SIZED(agent->id), BUDGET_NAME);
	writer_close(writer);

	writer_open(writer, "device");
	writer_number(writer, "type_id", 0);
	writer_text(writer, "hostname", SIZED(node->hostname), BUDGET_NAME);
	writer_text(writer, "uid", SIZED(node->machine_id), BUDGET_NAME);
	writer_close(writer);
}

void common_agent_actor(struct writer *writer, const struct ambit_open *agent,
			const struct ambit_record *record)
{
	/* OCSF wants at least one member in an actor. */
	if (!agent && !record)
		return;
	writer_open(writer, "actor");
	if (agent) {
		writer_open(writer, "user");
		writer_text(writer, "uid", SIZED(agent->spiffe_id), BUDGET_TEXT);
		writer_text(writer, "name", SIZED(agent->name), BUDGET_NAME);
		writer_number(writer, "type_id", 4);
		writer_word(writer, "type", "Service");
		writer_close(writer);
	}
	if (record) {
		writer_open(writer, "process");
		writer_number(writer, "pid", record->pid);
		writer_text(writer, "name", SIZED(record->comm), BUDGET_COMM);
		writer_open(writer, "user");
		writer_string_open(writer, "uid");
		writer_part_number(writer, record->uid);
		writer_string_close(writer);
		writer_close(writer);
		writer_close(writer);
	}
	writer_close(writer);
}

void common_policy(struct writer *writer, const char *profile, const char *sha256)
{
	if (!profile[0])
		return;
	writer_open(writer, "policy");
	writer_text(writer, "uid", profile, AMBIT_NAME_SIZE, BUDGET_NAME);
	writer_text(writer, "name", profile, AMBIT_NAME_SIZE, BUDGET_NAME);
	writer_text(writer, "version", sha256, AMBIT_HASH_SIZE, BUDGET_NAME);
	writer_close(writer);
}

void common_open_unmapped(struct writer *writer, const char *record_word,
			  const struct audit_node *node,
			  const struct ambit_open *agent, uint64_t instance,
			  const struct ambit_record *record)
{
	writer_open(writer, "unmapped");
	writer_word(writer, "record", record_word);
	writer_text(writer, "boot_id", SIZED(node->boot_id), BUDGET_NAME);
	/* 64 bits drawn at random: more than a JSON number holds. */
	writer_string_open(writer, "instance");
	writer_part_number(writer, instance);
	writer_string_close(writer);
	if (record) {
		writer_number(writer, "kseq", record->kseq);
		writer_number(writer, "ktime_ns", record->ktime_ns);
	}
	if (!agent && !instance && !record)
		return;
	writer_string_open(writer, "stream");
	common_stream(writer, agent, instance);
	writer_string_close(writer);
	if (agent) {
		writer_text(writer, "agent", SIZED(agent->name), BUDGET_NAME);
		writer_text(writer, "profile", SIZED(agent->profile), BUDGET_NAME);
		writer_text(writer, "profile_sha256", SIZED(agent->profile_sha256),
			  BUDGET_NAME);
		writer_text(writer, "task", SIZED(agent->task), BUDGET_TASK);
	}
	if (record || agent)
		writer_number(writer, "cgroup_id", record ? record->cgroup_id :
							agent->cgroup_id);
}

int common_is_v4(const uint8_t address[16])
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(address, prefix, sizeof(prefix));
}

void common_address(struct writer *writer, const uint8_t address[16])
{
	char text[INET6_ADDRSTRLEN];

	if (!common_is_v4(address)) {
		if (inet_ntop(AF_INET6, address, text, sizeof(text)))
			writer_part_word(writer, text);
		return;
	}
	for (int i = 12; i < 16; i++) {
		if (i > 12)
			writer_part_word(writer, ".");
		writer_part_number(writer, address[i]);
	}
}

size_t common_finish(struct writer *writer)
{
	writer_truncations(writer);
	writer_close(writer);
	size_t length = writer_finish(writer);
	/* A line that does not fit would be a record lost in silence: the
	 * budgets above are wrong, and the node must not go on. */
	if (!length)
		abort();
	return length;
}
