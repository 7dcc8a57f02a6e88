/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the lines of all classes share: the required members of an OCSF event,
 * metadata, device, the agent as actor, the beginning of "unmapped".  Pure.
 * Called by connection.c and event.c.
 */
#include "common.h"

#include <ambit/node.h>
#include <stdlib.h>

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

void common_head(struct json *json, const struct common_shape *shape,
		 uint64_t time_ms)
{
	const struct class_row *row = class_row(shape->class);

	json_number(json, "time", time_ms);
	json_number(json, "class_uid", row->uid);
	json_word(json, "class_name", row->name);
	json_number(json, "category_uid", row->category);
	json_word(json, "category_name", row->category_name);
	json_number(json, "activity_id", shape->activity);
	json_word(json, "activity_name", shape->activity_name);
	json_number(json, "type_uid", row->uid * 100U + shape->activity);
	json_number(json, "severity_id", shape->severity);
	json_word(json, "severity", severities[shape->severity]);
	json_number(json, "action_id", shape->action);
	json_word(json, "action", actions[shape->action]);
	json_number(json, "disposition_id", shape->disposition);
	json_word(json, "disposition", dispositions[shape->disposition]);
	json_number(json, "status_id", shape->status);
	json_word(json, "status", statuses[shape->status]);
}

void common_stream(struct json *json, const struct ambit_open *agent,
		   uint64_t instance)
{
	if (agent) {
		json_part_text(json, "stream", SIZED(agent->id), BUDGET_NAME);
		return;
	}
	json_part_word(json, "instance-");
	json_part_number(json, instance);
}

/* A kernel record read twice, because the recorder died between writing it and
 * saying so, has the same uid both times. */
static void put_uid(struct json *json, const struct audit_node *node,
		    const struct audit_stamp *stamp,
		    const struct ambit_open *agent,
		    const struct ambit_record *record)
{
	if (!record) {
		json_text(json, "uid", SIZED(stamp->uid), BUDGET_NAME);
		return;
	}
	json_string_open(json, "uid");
	json_part_text(json, "uid", SIZED(node->boot_id), BUDGET_NAME);
	json_part_word(json, "/");
	common_stream(json, agent, record->instance);
	json_part_word(json, "/");
	json_part_number(json, record->kseq);
	json_string_close(json);
}

void common_metadata(struct json *json, const struct audit_node *node,
		     const struct audit_stamp *stamp,
		     const struct ambit_open *agent,
		     const struct ambit_record *record)
{
	json_open(json, "metadata");
	json_word(json, "version", OCSF_VERSION);
	json_open(json, "product");
	json_word(json, "name", "ambit");
	json_word(json, "vendor_name", "ambit");
	json_word(json, "version", AMBIT_VERSION);
	json_close(json);
	json_open_array(json, "profiles");
	json_word(json, NULL, "host");
	json_word(json, NULL, "security_control");
	json_close_array(json);
	put_uid(json, node, stamp, agent, record);
	json_number(json, "sequence", stamp->sequence);
	json_number(json, "logged_time", stamp->logged_ms);
	if (agent)
		json_text(json, "correlation_uid", SIZED(agent->id), BUDGET_NAME);
	json_close(json);

	json_open(json, "device");
	json_number(json, "type_id", 0);
	json_text(json, "hostname", SIZED(node->hostname), BUDGET_NAME);
	json_text(json, "uid", SIZED(node->machine_id), BUDGET_NAME);
	json_close(json);
}

void common_agent_actor(struct json *json, const struct ambit_open *agent,
			const struct ambit_record *record)
{
	/* OCSF wants at least one member in an actor. */
	if (!agent && !record)
		return;
	json_open(json, "actor");
	if (agent) {
		json_open(json, "user");
		json_text(json, "uid", SIZED(agent->spiffe_id), BUDGET_TEXT);
		json_text(json, "name", SIZED(agent->name), BUDGET_NAME);
		json_number(json, "type_id", 4);
		json_word(json, "type", "Service");
		json_close(json);
	}
	if (record) {
		json_open(json, "process");
		json_number(json, "pid", record->pid);
		json_text(json, "name", SIZED(record->comm), BUDGET_COMM);
		json_open(json, "user");
		json_string_open(json, "uid");
		json_part_number(json, record->uid);
		json_string_close(json);
		json_close(json);
		json_close(json);
	}
	json_close(json);
}

void common_policy(struct json *json, const char *profile, const char *sha256)
{
	if (!profile[0])
		return;
	json_open(json, "policy");
	json_text(json, "uid", profile, AMBIT_NAME_SIZE, BUDGET_NAME);
	json_text(json, "name", profile, AMBIT_NAME_SIZE, BUDGET_NAME);
	json_text(json, "version", sha256, AMBIT_HASH_SIZE, BUDGET_NAME);
	json_close(json);
}

void common_open_unmapped(struct json *json, const char *record_word,
			  const struct audit_node *node,
			  const struct ambit_open *agent, uint64_t instance,
			  const struct ambit_record *record)
{
	json_open(json, "unmapped");
	json_word(json, "record", record_word);
	json_text(json, "boot_id", SIZED(node->boot_id), BUDGET_NAME);
	json_number(json, "instance", instance);
	if (record) {
		json_number(json, "kseq", record->kseq);
		json_number(json, "ktime_ns", record->ktime_ns);
	}
	if (!agent && !instance)
		return;
	json_string_open(json, "stream");
	common_stream(json, agent, instance);
	json_string_close(json);
	if (agent) {
		json_text(json, "agent", SIZED(agent->name), BUDGET_NAME);
		json_text(json, "profile", SIZED(agent->profile), BUDGET_NAME);
		json_text(json, "profile_sha256", SIZED(agent->profile_sha256),
			  BUDGET_NAME);
		json_text(json, "task", SIZED(agent->task), BUDGET_TASK);
	}
	if (record || agent)
		json_number(json, "cgroup_id", record ? record->cgroup_id :
							agent->cgroup_id);
}

size_t common_finish(struct json *json)
{
	json_truncations(json);
	json_close(json);
	size_t length = json_finish(json);
	/* A line that does not fit would be a record lost in silence: the
	 * budgets above are wrong, and the node must not go on. */
	if (!length)
		abort();
	return length;
}
