/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the warden tells and what the recorder says of itself, to lines: process
 * activity, entity management, event log activity, compliance finding.  One row
 * a kind says class, activity, verdict and which parts follow.  Pure; called by
 * the recorder.
 */
#include "common.h"

#include <stdlib.h>
#include <string.h>

#define SIZED(text) (text), sizeof(text)

/* Which parts a kind has besides the common ones. */
enum {
	BY_CALLER = 1,		/* actor: who asked */
	BY_AGENT = 2,		/* actor: the agent itself */
	AGENT_PROCESS = 4,	/* process: the agent's */
	NODE_PROCESS = 8,	/* process: one of the node's */
	AGENT_ENTITY = 16,
	PROFILE_ENTITY = 32,
	CREDENTIAL_ENTITY = 64,
	LOG = 128,
	LAYER = 256,
	ENDING = 512,		/* exit_code, signal, totals */
};

static const struct kind_row {
	const char *word;
	struct common_shape shape;
	unsigned parts;
} kind_rows[] = {
#define ROW(kind, word, class, activity, caption, action, disposition, severity, \
	    status, parts)                                                      \
	[AMBIT_EVENT_##kind] = { word,                                          \
				 { COMMON_CLASS_##class, activity, caption,     \
				   action, disposition, severity, status },     \
				 parts }
	ROW(NODE_START, "node start", LOG, 6, "Start", 3, 17, 1, 1,
	    BY_CALLER | LOG),
	ROW(NODE_STOP, "node stop", LOG, 7, "Stop", 3, 17, 1, 1,
	    BY_CALLER | LOG),
	ROW(PROVEN, "proven", COMPLIANCE, 1, "Create", 3, 17, 1, 1, LAYER),
	ROW(PROCESS, "process", PROCESS, 2, "Terminate", 3, 17, 3, 2,
	    BY_CALLER | NODE_PROCESS | ENDING),
	ROW(LAUNCH, "launch", PROCESS, 1, "Launch", 1, 1, 1, 1,
	    BY_CALLER | AGENT_PROCESS),
	ROW(REFUSAL, "refusal", PROCESS, 1, "Launch", 2, 2, 3, 2,
	    BY_CALLER | AGENT_PROCESS),
	ROW(EXIT, "exit", PROCESS, 2, "Terminate", 3, 17, 1, 1,
	    BY_AGENT | AGENT_PROCESS | ENDING),
	ROW(KILL, "kill", PROCESS, 2, "Terminate", 2, 24, 3, 1,
	    BY_CALLER | AGENT_PROCESS | ENDING),
	ROW(RETIRE, "retire", ENTITY, 7, "Unenroll", 1, 8, 1, 1,
	    BY_CALLER | AGENT_ENTITY),
	ROW(RETIRE_PROFILE, "retire profile", ENTITY, 9, "Disable", 1, 8, 1, 1,
	    BY_CALLER | PROFILE_ENTITY),
	ROW(REINSTATE, "reinstate profile", ENTITY, 8, "Enable", 1, 8, 1, 1,
	    BY_CALLER | PROFILE_ENTITY),
	ROW(CREDENTIAL_ISSUED, "credential issued", ENTITY, 1, "Create", 1, 1,
	    1, 1, BY_AGENT | CREDENTIAL_ENTITY),
	ROW(CREDENTIAL_RENEWED, "credential renewed", ENTITY, 3, "Update", 1, 1,
	    1, 1, BY_AGENT | CREDENTIAL_ENTITY),
	ROW(CREDENTIAL_ENDED, "credential ended", ENTITY, 4, "Delete", 1, 24,
	    1, 1, BY_AGENT | CREDENTIAL_ENTITY),
	ROW(ADOPTED, "adopted", ENTITY, 99, "Adopt", 3, 17, 2, 1,
	    BY_CALLER | AGENT_ENTITY),
#undef ROW
};

#define KINDS (sizeof(kind_rows) / sizeof(*kind_rows))

/* What the functions below have in hand. */
struct about {
	const struct ambit_event *event;
	const struct ambit_open *agent;	/* or NULL */
	const struct audit_totals *totals;	/* or NULL */
	const struct kind_row *row;
	const char *profile, *sha256;
};

static void put_caller(struct json *json, const struct ambit_event *event)
{
	int node = event->caller_uid == 0 && event->caller_pid == 0;

	json_open(json, "actor");
	json_open(json, "user");
	json_string_open(json, "uid");
	json_part_number(json, event->caller_uid);
	json_string_close(json);
	if (node)
		json_word(json, "name", "ambit");
	json_number(json, "type_id",
		    node ? 3 : event->caller_uid == 0 ? 2 : 1);
	json_word(json, "type",
		  node ? "System" : event->caller_uid == 0 ? "Admin" : "User");
	json_close(json);
	if (event->caller_pid) {
		json_open(json, "process");
		json_number(json, "pid", event->caller_pid);
		json_close(json);
	}
	json_close(json);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static void put_agent_process(struct json *json, const struct about *about)
{
	const struct ambit_event *event = about->event;
	const char *name = base_name(event->command);
	size_t room = sizeof(event->command) - (size_t)(name - event->command);

	json_open(json, "process");
	/* A refused launch has no process yet; OCSF wants a member all the same,
	 * and 0 is no process's number. */
	json_number(json, "pid", event->pid);
	json_text(json, "name", name, room, BUDGET_TEXT);
	if (event->command[0]) {
		json_open(json, "file");
		json_text(json, "name", name, room, BUDGET_TEXT);
		if (event->command[0] == '/')
			json_text(json, "path", SIZED(event->command),
				  BUDGET_TEXT);
		json_number(json, "type_id", 1);
		json_close(json);
	}
	json_word(json, "sandbox", "ambit");
	if (about->agent) {
		json_open(json, "user");
		json_string_open(json, "uid");
		json_part_number(json, about->agent->uid);
		json_string_close(json);
		json_text(json, "name", SIZED(about->agent->spiffe_id),
			  BUDGET_TEXT);
		json_number(json, "type_id", 4);
		json_word(json, "type", "Service");
		json_close(json);
	}
	json_close(json);
}

static void put_node_process(struct json *json, const struct ambit_event *event)
{
	json_open(json, "process");
	json_number(json, "pid", event->pid);
	json_text(json, "name", SIZED(event->subject), BUDGET_TEXT);
	json_close(json);
}

static void put_entity(struct json *json, const struct about *about)
{
	const struct ambit_event *event = about->event;

	json_open(json, "entity");
	if (about->row->parts & AGENT_ENTITY) {
		json_number(json, "type_id", 99);
		json_word(json, "type", "Agent identity");
		if (about->agent) {
			json_text(json, "uid", SIZED(about->agent->spiffe_id),
				  BUDGET_TEXT);
			json_text(json, "name", SIZED(about->agent->name),
				  BUDGET_NAME);
			json_text(json, "version",
				  SIZED(about->agent->profile_sha256),
				  BUDGET_NAME);
		} else {
			json_string_open(json, "name");
			common_stream(json, NULL, event->instance);
			json_string_close(json);
		}
	} else if (about->row->parts & PROFILE_ENTITY) {
		json_number(json, "type_id", 5);
		json_word(json, "type", "Policy");
		json_string_open(json, "name");
		json_part_text(json, "profile", about->profile, AMBIT_NAME_SIZE,
			       BUDGET_NAME);
		json_string_close(json);
		common_policy(json, about->profile, about->sha256);
	} else {
		json_number(json, "type_id", 99);
		json_word(json, "type", "Credential");
		json_text(json, "uid", SIZED(event->credential_id), BUDGET_TEXT);
		json_string_open(json, "name");
		json_part_text(json, "credential", SIZED(event->credential),
			       BUDGET_NAME);
		json_string_close(json);
		/* Never the secret: it is not in the message either. */
		json_open(json, "data");
		json_text(json, "type", SIZED(event->credential_type),
			  BUDGET_NAME);
		json_text(json, "audience", SIZED(event->audience), BUDGET_TEXT);
		json_number(json, "not_before", event->not_before);
		json_number(json, "not_after", event->not_after);
		json_close(json);
	}
	json_close(json);
}

/* exit_code other than 0: the layer is not there. */
static void put_layer(struct json *json, const struct ambit_event *event)
{
	int there = event->exit_code == 0;

	json_open(json, "compliance");
	json_string_open(json, "control");
	json_part_text(json, "subject", SIZED(event->subject), BUDGET_TEXT);
	json_string_close(json);
	json_open_array(json, "standards");
	json_word(json, NULL, "ambit");
	json_close_array(json);
	json_number(json, "status_id", there ? 1 : 3);
	json_word(json, "status", there ? "Pass" : "Fail");
	json_close(json);
	json_open(json, "finding_info");
	json_string_open(json, "uid");
	json_part_word(json, "layer/");
	json_part_text(json, "subject", SIZED(event->subject), BUDGET_TEXT);
	json_string_close(json);
	json_string_open(json, "title");
	json_part_text(json, "subject", SIZED(event->subject), BUDGET_TEXT);
	json_part_word(json, there ? " proven" : " missing");
	json_string_close(json);
	json_close(json);
}

static void put_event_message(struct json *json, const struct about *about)
{
	static const char *const words[] = {
#define WORD(kind, number, word, critical) [number] = word,
		AMBIT_EVENTS(WORD)
#undef WORD
	};
	const struct ambit_event *event = about->event;
	unsigned parts = about->row->parts;

	json_string_open(json, "message");
	json_part_word(json, words[event->kind]);
	if (parts & (NODE_PROCESS | LAYER)) {
		json_part_word(json, ": ");
		json_part_text(json, "subject", SIZED(event->subject),
			       BUDGET_NAME);
	} else if (parts & CREDENTIAL_ENTITY) {
		json_part_word(json, ": ");
		json_part_text(json, "credential", SIZED(event->credential),
			       BUDGET_NAME);
	}
	if (about->agent) {
		json_part_word(json, ": ");
		json_part_text(json, "agent", SIZED(about->agent->name),
			       BUDGET_NAME);
	} else if (about->profile[0]) {
		json_part_word(json, ": profile ");
		json_part_text(json, "profile", about->profile, AMBIT_NAME_SIZE,
			       BUDGET_NAME);
	}
	json_string_close(json);
}

static void put_totals(struct json *json, const struct audit_totals *totals)
{
	json_number(json, "attempts", totals->attempts);
	json_number(json, "allowed", totals->allowed);
	json_number(json, "denied", totals->denied);
	json_number(json, "lost", totals->lost);
	json_number(json, "dropped_packets", totals->dropped_packets);
}

static void put_event_unmapped(struct json *json, const struct audit_node *node,
			       const struct about *about)
{
	const struct ambit_event *event = about->event;

	common_open_unmapped(json, about->row->word, node, about->agent,
			     event->instance, NULL);
	if (!about->agent) {
		json_text(json, "profile", about->profile, AMBIT_NAME_SIZE,
			  BUDGET_NAME);
		json_text(json, "profile_sha256", about->sha256, AMBIT_HASH_SIZE,
			  BUDGET_NAME);
	}
	json_text(json, "command_sha256", SIZED(event->command_sha256),
		  BUDGET_NAME);
	json_text(json, "seccomp_sha256", SIZED(event->seccomp_sha256),
		  BUDGET_NAME);
	if (event->kind == AMBIT_EVENT_LAUNCH && about->agent) {
		json_text(json, "owner", SIZED(about->agent->owner), BUDGET_TEXT);
		json_text(json, "purpose", SIZED(about->agent->purpose),
			  BUDGET_TEXT);
	}
	if (about->row->parts & ENDING && event->signal)
		json_signed(json, "signal", event->signal);
	if (event->kind == AMBIT_EVENT_EXIT && about->totals)
		put_totals(json, about->totals);
}

size_t audit_event(char line[AUDIT_LINE], const struct audit_node *node,
		   const struct audit_stamp *stamp,
		   const struct ambit_event *event,
		   const struct ambit_open *agent,
		   const struct audit_totals *totals)
{
	/* The recorder has checked the kind at its border. */
	if (event->kind >= KINDS || !kind_rows[event->kind].word)
		abort();
	const struct about about = {
		.event = event,
		.agent = agent,
		.totals = totals,
		.row = &kind_rows[event->kind],
		.profile = agent ? agent->profile : event->profile,
		.sha256 = agent ? agent->profile_sha256 : event->profile_sha256,
	};
	unsigned parts = about.row->parts;
	struct common_shape shape = about.row->shape;
	struct json json;

	if (parts & LAYER && event->exit_code)
		shape.status = 2;
	json_begin(&json, line, AUDIT_LINE);
	common_head(&json, &shape, stamp->time_ms);
	json_text(&json, "status_detail", SIZED(event->reason), BUDGET_REASON);
	put_event_message(&json, &about);
	common_metadata(&json, node, stamp, agent, NULL);
	if (parts & BY_AGENT)
		common_agent_actor(&json, agent, NULL);
	else
		put_caller(&json, event);
	if (parts & AGENT_PROCESS)
		put_agent_process(&json, &about);
	if (parts & NODE_PROCESS)
		put_node_process(&json, event);
	if (parts & ENDING)
		json_signed(&json, "exit_code", event->exit_code);
	if (parts & (AGENT_ENTITY | PROFILE_ENTITY | CREDENTIAL_ENTITY))
		put_entity(&json, &about);
	if (parts & LAYER)
		put_layer(&json, event);
	if (parts & LOG)
		json_word(&json, "log_name", "ambit");
	common_policy(&json, about.profile, about.sha256);
	put_event_unmapped(&json, node, &about);
	return common_finish(&json);
}
