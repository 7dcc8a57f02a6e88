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
	EGRESS = 1024,		/* the entries that left the profile */
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
	ROW(CUT, "cut", ENTITY, 9, "Disable", 2, 24, 3, 1,
	    BY_CALLER | AGENT_ENTITY),
	ROW(WITHDRAW, "withdraw", ENTITY, 3, "Update", 2, 24, 3, 1,
	    BY_CALLER | AGENT_ENTITY | EGRESS),
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

static void put_caller(struct writer *writer, const struct ambit_event *event)
{
	int node = event->caller_uid == 0 && event->caller_pid == 0;

	writer_open(writer, "actor");
	writer_open(writer, "user");
	writer_string_open(writer, "uid");
	writer_part_number(writer, event->caller_uid);
	writer_string_close(writer);
	if (node)
		writer_word(writer, "name", "ambit");
	writer_number(writer, "type_id",
		    node ? 3 : event->caller_uid == 0 ? 2 : 1);
	writer_word(writer, "type",
		  node ? "System" : event->caller_uid == 0 ? "Admin" : "User");
	writer_close(writer);
	if (event->caller_pid) {
		writer_open(writer, "process");
		writer_number(writer, "pid", event->caller_pid);
		writer_close(writer);
	}
	writer_close(writer);
}

static const char *base_name(const char *path, size_t size)
{
	size_t length = strnlen(path, size);
	const char *slash = memrchr(path, '/', length);

	return slash && slash + 1 < path + length ? slash + 1 : path;
}

static void put_agent_process(struct writer *writer, const struct about *about)
{
	const struct ambit_event *event = about->event;
	const char *name = base_name(event->command,
				     sizeof(event->command));
	size_t room = sizeof(event->command) - (size_t)(name - event->command);

	writer_open(writer, "process");
	/* A refused launch has no process yet; OCSF wants a member all the same,
	 * and 0 is no process's number. */
	writer_number(writer, "pid", event->pid);
	writer_text(writer, "name", name, room, BUDGET_TEXT);
	if (event->command[0]) {
		writer_open(writer, "file");
		writer_text(writer, "name", name, room, BUDGET_TEXT);
		if (event->command[0] == '/')
			writer_text(writer, "path", SIZED(event->command),
				  BUDGET_TEXT);
		writer_number(writer, "type_id", 1);
		writer_close(writer);
	}
	writer_word(writer, "sandbox", "ambit");
	if (about->agent) {
		writer_open(writer, "user");
		writer_string_open(writer, "uid");
		writer_part_number(writer, about->agent->uid);
		writer_string_close(writer);
		writer_text(writer, "name", SIZED(about->agent->spiffe_id),
			  BUDGET_TEXT);
		writer_number(writer, "type_id", 4);
		writer_word(writer, "type", "Service");
		writer_close(writer);
	}
	writer_close(writer);
}

static void put_node_process(struct writer *writer, const struct ambit_event *event)
{
	writer_open(writer, "process");
	writer_number(writer, "pid", event->pid);
	writer_text(writer, "name", SIZED(event->subject), BUDGET_TEXT);
	writer_close(writer);
}

static void put_entity(struct writer *writer, const struct about *about)
{
	const struct ambit_event *event = about->event;

	writer_open(writer, "entity");
	if (about->row->parts & AGENT_ENTITY) {
		writer_number(writer, "type_id", 99);
		writer_word(writer, "type", "Agent identity");
		if (about->agent) {
			writer_text(writer, "uid", SIZED(about->agent->spiffe_id),
				  BUDGET_TEXT);
			writer_text(writer, "name", SIZED(about->agent->name),
				  BUDGET_NAME);
			writer_text(writer, "version",
				  SIZED(about->agent->profile_sha256),
				  BUDGET_NAME);
		} else {
			writer_string_open(writer, "name");
			common_stream(writer, NULL, event->instance);
			writer_string_close(writer);
		}
	} else if (about->row->parts & PROFILE_ENTITY) {
		writer_number(writer, "type_id", 5);
		writer_word(writer, "type", "Policy");
		writer_string_open(writer, "name");
		writer_part_text(writer, "profile", about->profile, AMBIT_NAME_SIZE,
			       BUDGET_NAME);
		writer_string_close(writer);
		common_policy(writer, about->profile, about->sha256);
	} else {
		writer_number(writer, "type_id", 99);
		writer_word(writer, "type", "Credential");
		writer_text(writer, "uid", SIZED(event->credential_id), BUDGET_TEXT);
		writer_string_open(writer, "name");
		writer_part_text(writer, "credential", SIZED(event->credential),
			       BUDGET_NAME);
		writer_string_close(writer);
		/* Never the secret: it is not in the message either. */
		writer_open(writer, "data");
		writer_text(writer, "type", SIZED(event->credential_type),
			  BUDGET_NAME);
		writer_text(writer, "audience", SIZED(event->audience), BUDGET_TEXT);
		writer_number(writer, "not_before", event->not_before);
		writer_number(writer, "not_after", event->not_after);
		writer_close(writer);
	}
	writer_close(writer);
}

/* exit_code other than 0: the layer is not there. */
static void put_layer(struct writer *writer, const struct ambit_event *event)
{
	int there = event->exit_code == 0;

	writer_open(writer, "compliance");
	writer_string_open(writer, "control");
	writer_part_text(writer, "subject", SIZED(event->subject), BUDGET_TEXT);
	writer_string_close(writer);
	writer_open_array(writer, "standards");
	writer_word(writer, NULL, "ambit");
	writer_close_array(writer);
	writer_number(writer, "status_id", there ? 1 : 3);
	writer_word(writer, "status", there ? "Pass" : "Fail");
	writer_close(writer);
	writer_open(writer, "finding_info");
	writer_string_open(writer, "uid");
	writer_part_word(writer, "layer/");
	writer_part_text(writer, "subject", SIZED(event->subject), BUDGET_TEXT);
	writer_string_close(writer);
	writer_string_open(writer, "title");
	writer_part_text(writer, "subject", SIZED(event->subject), BUDGET_TEXT);
	writer_part_word(writer, there ? " proven" : " missing");
	writer_string_close(writer);
	writer_close(writer);
}

static void put_event_message(struct writer *writer, const struct about *about)
{
	static const char *const words[] = {
#define WORD(kind, number, word) [number] = word,
		AMBIT_EVENTS(WORD)
#undef WORD
	};
	const struct ambit_event *event = about->event;
	unsigned parts = about->row->parts;

	writer_string_open(writer, "message");
	writer_part_word(writer, parts & LAYER && event->exit_code ?
					 "layer missing" : words[event->kind]);
	if (parts & (NODE_PROCESS | LAYER | EGRESS)) {
		writer_part_word(writer, ": ");
		writer_part_text(writer, "subject", SIZED(event->subject),
			       BUDGET_NAME);
	} else if (parts & CREDENTIAL_ENTITY) {
		writer_part_word(writer, ": ");
		writer_part_text(writer, "credential", SIZED(event->credential),
			       BUDGET_NAME);
	}
	if (about->agent) {
		writer_part_word(writer, ": ");
		writer_part_text(writer, "agent", SIZED(about->agent->name),
			       BUDGET_NAME);
	} else if (about->profile[0]) {
		writer_part_word(writer, ": profile ");
		writer_part_text(writer, "profile", about->profile, AMBIT_NAME_SIZE,
			       BUDGET_NAME);
	}
	writer_string_close(writer);
}

static void put_totals(struct writer *writer, const struct audit_totals *totals)
{
	writer_number(writer, "attempts", totals->attempts);
	writer_number(writer, "allowed", totals->allowed);
	writer_number(writer, "denied", totals->denied);
	writer_number(writer, "lost", totals->lost);
	writer_number(writer, "dropped_packets", totals->dropped_packets);
}

static void put_event_unmapped(struct writer *writer, const struct audit_node *node,
			       const struct about *about)
{
	const struct ambit_event *event = about->event;

	common_open_unmapped(writer, about->row->word, node, about->agent,
			     event->instance, NULL);
	if (!about->agent) {
		writer_text(writer, "profile", about->profile, AMBIT_NAME_SIZE,
			  BUDGET_NAME);
		writer_text(writer, "profile_sha256", about->sha256, AMBIT_HASH_SIZE,
			  BUDGET_NAME);
	}
	writer_text(writer, "command_sha256", SIZED(event->command_sha256),
		  BUDGET_NAME);
	writer_text(writer, "seccomp_sha256", SIZED(event->seccomp_sha256),
		  BUDGET_NAME);
	if (event->kind == AMBIT_EVENT_LAUNCH && about->agent) {
		writer_text(writer, "owner", SIZED(about->agent->owner), BUDGET_TEXT);
		writer_text(writer, "purpose", SIZED(about->agent->purpose),
			  BUDGET_TEXT);
	}
	if (about->row->parts & EGRESS) {
		writer_text(writer, "withdrawn", SIZED(event->subject), BUDGET_TEXT);
		writer_text(writer, "new_profile_sha256",
			    SIZED(event->profile_sha256), BUDGET_NAME);
	}
	if (about->row->parts & ENDING && event->signal)
		writer_signed(writer, "signal", event->signal);
	if (event->kind == AMBIT_EVENT_EXIT && about->totals)
		put_totals(writer, about->totals);
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
	struct writer writer;

	if (parts & LAYER && event->exit_code)
		shape.status = 2;
	writer_begin(&writer, line, AUDIT_LINE);
	common_head(&writer, &shape, stamp->time_ms);
	writer_text(&writer, "status_detail", SIZED(event->reason), BUDGET_REASON);
	put_event_message(&writer, &about);
	common_metadata(&writer, node, stamp, agent, NULL);
	if (parts & BY_AGENT && agent)
		common_agent_actor(&writer, agent, NULL);
	else
		put_caller(&writer, event);
	if (parts & AGENT_PROCESS)
		put_agent_process(&writer, &about);
	if (parts & NODE_PROCESS)
		put_node_process(&writer, event);
	if (parts & ENDING)
		writer_signed(&writer, "exit_code", event->exit_code);
	if (parts & (AGENT_ENTITY | PROFILE_ENTITY | CREDENTIAL_ENTITY))
		put_entity(&writer, &about);
	if (parts & LAYER)
		put_layer(&writer, event);
	if (parts & LOG)
		writer_word(&writer, "log_name", "ambit");
	common_policy(&writer, about.profile, about.sha256);
	put_event_unmapped(&writer, node, &about);
	return common_finish(&writer);
}
