/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of the control interface, a row each.  The words are those of
 * launcher/ambit/io.ambit.Node.varlink, which is built in and served. */
#include "control.h"

#include "agents.h"
#include "base/own.h"
#include "end.h"
#include "launch.h"
#include "layers.h"
#include "records.h"
#include "slots.h"
#include "state.h"

#include <ambit/exit.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define HISTORY 256	/* ended agents that ps --all and Wait still know */

static json_t *history[HISTORY];
static unsigned history_next;

static const char interface_text[] =
#include "interface.inc"
	;

/* ---- descriptions ------------------------------------------------------ */

static json_t *text_json(const char *text)
{
	json_t *value = json_string(text);

	/* Arguments need not be UTF-8; JSON must. */
	return value ? value : json_string("\xef\xbf\xbd");
}

static json_t *credentials_json(const struct agent *agent)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < agent->compiled->profile->credential_count; i++) {
		const struct profile_credential *from =
			&agent->compiled->profile->credentials[i];
		json_array_append_new(list, json_pack(
			"{s:s, s:s, s:s, s:I}", "name", from->name, "type",
			from->type == PROFILE_X509_SVID ? "x509-svid" :
							  "jwt-svid",
			"id", agent->credentials[i].id, "not_after",
			(json_int_t)agent->credentials[i].not_after * 1000));
	}
	return list;
}

static json_t *withdrawn_json(const struct agent *agent)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < agent->compiled->profile->egress_count; i++)
		if (agent->withdrawn[i])
			json_array_append_new(list, json_string(
				agent->compiled->profile->egress[i].to));
	return list;
}

/* The first endpoints that were refused to an agent that has ended. */
static json_t *refused_json(const struct agent *agent)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < agent->refused_count; i++)
		json_array_append_new(list, text_json(agent->refused[i]));
	return list;
}

json_t *calls_agent(const struct agent *agent)
{
	static const char *const states[] = { "starting", "running", "retiring",
					      "ended" };
	const struct profile *profile = agent->compiled->profile;
	json_t *command = json_array();

	for (unsigned i = 0; i < agent->argument_count; i++)
		json_array_append_new(command, text_json(agent->command[i]));
	json_t *value = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:o, s:i,"
		" s:i, s:o, s:I, s:I, s:I, s:I, s:o, s:b, s:b, s:o, s:o}",
		"id", agent->id, "name", agent->name, "profile", profile->name,
		"profile_sha256", profile->sha256, "spiffe_id",
		agent->spiffe_id, "task", agent->task, "owner", profile->owner,
		"purpose", profile->purpose, "state", states[agent->state],
		"cut", agent->cut,
		"command", command, "pid", (int)agent->pid, "uid",
		(int)agent->uid, "cgroup",
		json_sprintf("%s/%s", agent->warden->cgroups.path, agent->id),
		"started", (json_int_t)agent->started_ms, "allowed",
		(json_int_t)agent->allowed, "denied",
		(json_int_t)agent->denied, "lost", (json_int_t)agent->lost,
		"refused", refused_json(agent),
		"refused_more", (int)(agent->refused_more & 1), "lookups_more",
		(int)(agent->refused_more & 2), "credentials",
		credentials_json(agent), "withdrawn", withdrawn_json(agent));
	if (agent->deadline_ms)
		json_object_set_new(value, "deadline", json_integer(
					    (json_int_t)agent->deadline_ms));
	if (profile->limits.file_size != PROFILE_UNLIMITED)
		json_object_set_new(value, "file_size", json_integer(
					    (json_int_t)profile->limits.file_size));
	if (agent->state == AGENT_ENDED) {
		json_object_set_new(value, "ended", json_integer(
					    (json_int_t)agent->ended_ms));
		json_object_set_new(value, "exit", json_pack(
			"{s:i, s:i, s:s}", "status", agent->exit_status,
			"signal", agent->exit_signal, "cause", agent->cause));
	}
	return value;
}

void calls_remember(const struct agent *agent)
{
	json_decref(history[history_next]);
	history[history_next] = calls_agent(agent);
	history_next = (history_next + 1) % HISTORY;
}

json_t *calls_recall(const char *which)
{
	for (unsigned i = 0; i < HISTORY; i++) {
		json_t *agent = history[(history_next + HISTORY - 1 - i) % HISTORY];
		if (agent && (!strcmp(json_string_value(json_object_get(
					      agent, "id")), which) ||
			      !strcmp(json_string_value(json_object_get(
					      agent, "name")), which)))
			return agent;
	}
	return NULL;
}

/* ---- arguments --------------------------------------------------------- */

void calls_bad_parameter(struct connection *connection, const char *what)
{
	control_error(connection, "org.varlink.service.InvalidParameter",
		      json_pack("{s:s}", "parameter", what));
}

struct agent *calls_find(struct connection *connection, const char *which)
{
	struct agent *agent = agents_find(connection->warden, which);

	if (!agent || agent->state == AGENT_ENDED) {
		control_error(connection, AMBIT_INTERFACE ".NoSuchAgent",
			      json_pack("{s:s}", "agent", which));
		return NULL;
	}
	return agent;
}

/* ---- looking ----------------------------------------------------------- */

static void call_list(struct connection *connection, json_t *parameters)
{
	json_t *list = json_array();
	struct agent *agent;
	int all = 0;

	if (json_unpack(parameters, "{s?b !}", "all", &all) < 0) {
		json_decref(list);
		calls_bad_parameter(connection, "all");
		return;
	}
	for (unsigned i = 0; all && i < HISTORY; i++) {
		json_t *old = history[(history_next + i) % HISTORY];
		if (old)
			json_array_append(list, old);
	}
	AGENTS_EACH(connection->warden, agent)
		if (agent->state != AGENT_ENDED)
			json_array_append_new(list, calls_agent(agent));
	control_reply(connection, json_pack("{s:o}", "agents", list), 0);
}

static void call_inspect(struct connection *connection, json_t *parameters)
{
	const char *which;

	if (json_unpack(parameters, "{s:s !}", "agent", &which) < 0) {
		calls_bad_parameter(connection, "agent");
		return;
	}
	struct agent *agent = agents_find(connection->warden, which);
	json_t *ended = agent ? NULL : calls_recall(which);
	if (ended) {
		control_reply(connection, json_pack("{s:O}", "agent", ended), 0);
		return;
	}
	if (!agent) {
		calls_find(connection, which);
		return;
	}
	struct ambit_tally tally;
	struct error ignored = { 0 };
	if (agent->state != AGENT_ENDED &&
	    kernel_tally(connection->warden->kernel, agent->slot, &tally,
			 &ignored) == 0) {
		agent->allowed = tally.allowed;
		agent->lost = tally.lost;
		agent->denied = tally.attempts - tally.allowed - tally.lost;
	}
	control_reply(connection, json_pack("{s:o}", "agent",
					    calls_agent(agent)), 0);
}

static void call_doctor(struct connection *connection, json_t *parameters)
{
	struct warden *warden = connection->warden;
	json_t *list = json_array();
	struct layer layer;
	struct utsname system;

	(void)parameters;
	uname(&system);
	for (size_t i = 0; layers_row(warden, i, &layer); i++)
		json_array_append_new(list, json_pack(
			"{s:s, s:s, s:b, s:s}", "name", layer.name, "state",
			layer.proven ? "proven" : "missing", "required",
			layer.required, "how", layer.how));
	control_reply(connection, json_pack("{s:s, s:s, s:s, s:s, s:o}", "version",
					    AMBIT_VERSION, "kernel",
					    system.release, "trust_domain",
					    warden->trust_domain, "log",
					    warden->log_error ?
						    strerror(warden->log_error) : "ok",
					    "layers", list), 0);
}

/* ---- the node ---------------------------------------------------------- */

static void call_stop(struct connection *connection, json_t *parameters)
{
	struct warden *warden = connection->warden;
	struct agent *agent;
	const char *reason;

	if (json_unpack(parameters, "{s:s !}", "reason", &reason) < 0) {
		calls_bad_parameter(connection, "reason");
		return;
	}
	if (!warden->services[SERVICE_RECORDER].ready && end_only_owed(warden))
		end_forget_owed(warden);
	AGENTS_EACH(warden, agent) {
		/* What is left of one that has ended is waited for. */
		if (agent->state == AGENT_ENDED)
			continue;
		control_refuse(connection, "node: agents are running",
			       "end them first: ambit kill --all --reason TEXT",
			       AMBIT_EXIT_FAILED);
		return;
	}
	snprintf(warden->stop_reason, sizeof(warden->stop_reason), "%.255s",
		 reason);
	warden->stop_caller = connection->caller;
	/* Answered when everything is gone: by the end of the connection. */
	control_reply(connection, NULL, 0);
	warden->stopping = 1;
	slots_drain(warden);
	warden->loop.stopped = !warden->agent_count && !slots_any(warden);
}

static void call_settle(struct connection *connection, json_t *parameters)
{
	(void)parameters;
	connection->settles = 1;
	slots_drain(connection->warden);
	control_settled(connection->warden);
}

/* ---- org.varlink.service ----------------------------------------------- */

static void call_info(struct connection *connection, json_t *parameters)
{
	(void)parameters;
	control_reply(connection, json_pack(
		"{s:s, s:s, s:s, s:s, s:[s, s]}", "vendor", "ambit", "product",
		"ambit", "version", AMBIT_VERSION, "url", "", "interfaces",
		"org.varlink.service", AMBIT_INTERFACE), 0);
}

static void call_describe(struct connection *connection, json_t *parameters)
{
	const char *name;

	if (json_unpack(parameters, "{s:s !}", "interface", &name) < 0)
		calls_bad_parameter(connection, "interface");
	else if (strcmp(name, AMBIT_INTERFACE))
		control_error(connection,
			      "org.varlink.service.InterfaceNotFound",
			      json_pack("{s:s}", "interface", name));
	else
		control_reply(connection, json_pack("{s:s}", "description",
						    interface_text), 0);
}

static const struct method {
	const char *name;
	void (*run)(struct connection *connection, json_t *parameters);
} methods[] = {
	{ "org.varlink.service.GetInfo", call_info },
	{ "org.varlink.service.GetInterfaceDescription", call_describe },
	{ AMBIT_INTERFACE ".Run", calls_run },
	{ AMBIT_INTERFACE ".Wait", calls_wait },
	{ AMBIT_INTERFACE ".Signal", calls_signal },
	{ AMBIT_INTERFACE ".List", call_list },
	{ AMBIT_INTERFACE ".Inspect", call_inspect },
	{ AMBIT_INTERFACE ".Cut", calls_cut },
	{ AMBIT_INTERFACE ".Reload", calls_reload },
	{ AMBIT_INTERFACE ".Kill", calls_kill },
	{ AMBIT_INTERFACE ".Retire", calls_retire },
	{ AMBIT_INTERFACE ".Reinstate", calls_reinstate },
	{ AMBIT_INTERFACE ".Doctor", call_doctor },
	{ AMBIT_INTERFACE ".Settle", call_settle },
	{ AMBIT_INTERFACE ".Stop", call_stop },
};

void calls_dispatch(struct connection *connection, json_t *message)
{
	const char *name = json_string_value(json_object_get(message, "method"));
	json_t *parameters = json_object_get(message, "parameters");

	connection->more = json_is_true(json_object_get(message, "more"));
	if (!name || (parameters && !json_is_object(parameters))) {
		calls_bad_parameter(connection, "method");
		return;
	}
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		if (strcmp(methods[i].name, name))
			continue;
		json_t *none = json_object();
		methods[i].run(connection, parameters ? parameters : none);
		json_decref(none);
		return;
	}
	control_error(connection, "org.varlink.service.MethodNotFound",
		      json_pack("{s:s}", "method", name));
}
