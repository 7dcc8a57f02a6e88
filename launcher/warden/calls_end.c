/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that end agents and retire profiles: see calls.c.  They are answered
 * when the last agent has ended, so that the caller knows that nothing is left. */
#include "agents.h"
#include "base/own.h"
#include "control.h"
#include "end.h"
#include "profiles.h"
#include "records.h"
#include "reload.h"
#include "state.h"

#include <ambit/exit.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void record_order(struct warden *warden, enum ambit_event_kind kind,
			 const struct agent *agent, const char *profile,
			 const struct caller *caller, const char *reason)
{
	struct ambit_event event;

	records_fill(&event, kind, agent, caller);
	if (profile)
		records_text(event.profile, sizeof(event.profile), profile);
	records_text(event.reason, sizeof(event.reason), reason);
	if (kind == AMBIT_EVENT_KILL)
		event.signal = SIGKILL;
	records_send(warden, &event, NULL, NULL);
}

struct order {
	enum ambit_event_kind kind;
	const char *profile, *reason;
	int all;
	json_t *names;
};

static int chosen(const struct order *order, const struct agent *agent)
{
	if (agent->state == AGENT_ENDED)
		return 0;
	if (order->all)
		return 1;
	if (order->profile)
		return !strcmp(agent->compiled->profile->name, order->profile);
	for (size_t i = 0; i < json_array_size(order->names); i++) {
		const char *name = json_string_value(
			json_array_get(order->names, i));
		if (!strcmp(agent->id, name) || !strcmp(agent->name, name))
			return 1;
	}
	return 0;
}

/* What of the names is no agent that lives: [], or NULL where one is no text. */
static json_t *find_missing(struct connection *connection, const json_t *names)
{
	json_t *missing = json_array();

	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));
		struct agent *agent =
			name ? agents_find(connection->warden, name) : NULL;
		if (!name) {
			json_decref(missing);
			return NULL;
		}
		if (!agent || agent->state == AGENT_ENDED)
			json_array_append_new(missing, json_string(name));
	}
	return missing;
}

/* A list that somebody read a moment ago may name agents that have ended since: the
 * others are cut, killed or retired all the same, and the answer tells of those.
 * Where none is left, nothing is done. */
static int names_good(struct connection *connection, const json_t *names)
{
	json_decref(connection->missing);
	connection->missing = find_missing(connection, names);
	if (!connection->missing) {
		calls_bad_parameter(connection, "agents");
		return 0;
	}
	size_t missing = json_array_size(connection->missing);
	if (!missing || missing < json_array_size(names))
		return 1;
	control_error(connection, AMBIT_INTERFACE ".NoSuchAgent",
		      json_pack("{s:O}", "agent", json_array_get(connection->missing, 0)));
	return 0;
}

/* Takes `agents` over. */
static void answer_agents(struct connection *connection, json_t *agents)
{
	json_t *reply = json_pack("{s:o}", "agents", agents);

	if (json_array_size(connection->missing))
		json_object_set(reply, "missing", connection->missing);
	/* Of a profile that is run by its path there is no file either. */
	if (connection->unknown && json_array_size(agents) == 0)
		json_object_set_new(reply, "unknown", json_true());
	connection->unknown = 0;
	control_reply(connection, reply, 0);
}

static void carry_out(struct connection *connection, const struct order *order)
{
	struct warden *warden = connection->warden;
	struct agent *agent;

	connection->group = json_array();
	AGENTS_EACH(warden, agent) {
		if (!chosen(order, agent))
			continue;
		connection->group_left++;
		json_array_append_new(connection->group,
				      json_string(agent->id));
		/* Ending comes first, its record at once behind: a log that
		 * can't be written must not keep an agent alive. */
		if (order->kind == AMBIT_EVENT_KILL)
			end_kill(agent, "killed");
		record_order(warden, order->kind, agent, NULL,
			     &connection->caller, order->reason);
		if (order->kind == AMBIT_EVENT_RETIRE)
			end_retire(agent, "retired");
	}
	if (!connection->group_left)
		calls_group_done(connection);
}

static int unpack_order(struct connection *connection, json_t *parameters,
			struct order *order)
{
	order->profile = NULL;
	order->all = 0;
	order->names = NULL;
	if (json_unpack(parameters, "{s?o, s?s, s?b, s:s !}", "agents",
			&order->names, "profile", &order->profile, "all",
			&order->all, "reason", &order->reason) < 0 ||
	    !*order->reason ||
	    (json_array_size(order->names) != 0) + (order->profile != NULL) +
			    (order->all != 0) != 1) {
		calls_bad_parameter(connection, "agents, profile, all, reason");
		return 0;
	}
	connection->unknown = order->profile &&
			      !profiles_known(connection->warden, order->profile);
	return names_good(connection, order->names);
}

/* Cutting comes first, its record at once behind: a log that can't be written must
 * not keep a flow alive. */
void calls_cut(struct connection *connection, json_t *parameters)
{
	struct order order = { .kind = AMBIT_EVENT_CUT };
	struct error error = { 0 };
	struct agent *agent;

	if (!unpack_order(connection, parameters, &order))
		return;
	json_t *agents = json_array();
	AGENTS_EACH(connection->warden, agent) {
		if (!chosen(&order, agent))
			continue;
		int failed = end_cut(agent, &error);
		record_order(connection->warden, order.kind, agent, NULL,
			     &connection->caller, order.reason);
		if (!failed)
			json_array_append_new(agents, calls_agent(agent));
	}
	/* The others are cut all the same; the first failure is told. */
	if (error.code) {
		json_decref(agents);
		control_refuse(connection, error.text, "kill the agent",
			       AMBIT_EXIT_FAILED);
		return;
	}
	answer_agents(connection, agents);
}

static void record_reload(struct connection *connection, const struct reload *reload,
			  const char *reason)
{
	struct ambit_event event;

	records_fill(&event, AMBIT_EVENT_WITHDRAW, reload->agent,
		     &connection->caller);
	memcpy(event.profile_sha256, reload->sha256, sizeof(event.profile_sha256));
	memcpy(event.subject, reload->entries, sizeof(event.subject));
	records_text(event.reason, sizeof(event.reason), reason);
	records_send(connection->warden, &event, NULL, NULL);
}

/* Every profile is read, and must be one that only lists less, before anything is
 * done; then all rules come before all flows, for those take longer. */
static int reload_all(struct connection *connection, struct reload *reloads,
		      size_t count, const char *reason, struct error *error)
{
	struct error first = { 0 };

	for (size_t i = 0; i < count; i++) {
		struct error own = { 0 };
		if (reloads[i].count && reload_rules(&reloads[i], &own) < 0) {
			reloads[i].count = 0;
			first = first.code ? first : own;
		}
	}
	for (size_t i = 0; i < count; i++) {
		struct error own = { 0 };
		if (!reloads[i].count)
			continue;
		if (reload_flows(&reloads[i], &own) < 0)
			first = first.code ? first : own;
		record_reload(connection, &reloads[i], reason);
	}
	*error = first;
	return -first.code;
}

/* The others have it all the same; the first failure is told. */
static void reload_answer(struct connection *connection, const struct reload *reloads,
			  size_t count)
{
	json_t *agents = json_array();

	for (size_t i = 0; i < count; i++)
		if (reloads[i].count)
			json_array_append_new(agents, calls_agent(reloads[i].agent));
	answer_agents(connection, agents);
}

void calls_reload(struct connection *connection, json_t *parameters)
{
	struct warden *warden = connection->warden;
	struct order order = { .kind = AMBIT_EVENT_WITHDRAW };
	struct error error = { 0 };
	struct agent *agent;
	size_t count = 0;

	if (!unpack_order(connection, parameters, &order))
		return;
	OWN_MEMORY struct reload *reloads =
		calloc(warden->agent_count + 1, sizeof(*reloads));
	int failed = reloads ? 0 : error_errno(&error, ENOMEM, "reload");
	AGENTS_EACH(warden, agent)
		if (!failed && chosen(&order, agent))
			failed = reload_find(agent, &reloads[count++], &error);
	if (failed) {
		control_refuse(connection, error.text, "nothing was changed",
			       AMBIT_EXIT_FAILED);
		return;
	}
	if (reload_all(connection, reloads, count, order.reason, &error) < 0)
		control_refuse(connection, error.text, "kill the agent",
			       AMBIT_EXIT_FAILED);
	else
		reload_answer(connection, reloads, count);
}

void calls_kill(struct connection *connection, json_t *parameters)
{
	struct order order = { .kind = AMBIT_EVENT_KILL };

	if (unpack_order(connection, parameters, &order))
		carry_out(connection, &order);
}

struct retirement {
	struct warden *warden;
	struct caller caller;
	char profile[AMBIT_NAME_SIZE], reason[1024];
	int retire;
	uint64_t connection;	/* its serial: it may be gone, and its memory another's */
};

/* The caller hung up; what it ordered is carried out all the same. */
static void end_profile(struct warden *warden,
			const struct retirement *retirement)
{
	struct agent *agent;

	AGENTS_EACH(warden, agent) {
		if (agent->state == AGENT_ENDED ||
		    strcmp(agent->compiled->profile->name, retirement->profile))
			continue;
		record_order(warden, AMBIT_EVENT_RETIRE, agent, NULL,
			     &retirement->caller, retirement->reason);
		end_retire(agent, "retired");
	}
}

/* The record is durable; now it takes effect. */
static void retirement_durable(struct warden *warden, void *data, int error)
{
	struct retirement *retirement = data;
	struct connection *connection = warden->connections;
	struct error failure = { 0 };

	while (connection && connection->serial != retirement->connection)
		connection = connection->next;
	if (error)
		error_errno(&failure, -error,
			    "audit log: the retirement can't be recorded");
	else
		state_retire(warden, retirement->profile, retirement->retire,
			     &failure);
	if (connection && failure.code)
		control_refuse(connection, failure.text, "", AMBIT_EXIT_FAILED);
	else if (connection && retirement->retire)
		carry_out(connection, &(struct order){
				.kind = AMBIT_EVENT_RETIRE,
				.profile = retirement->profile,
				.reason = retirement->reason });
	else if (connection)
		control_reply(connection, NULL, 0);
	else if (!failure.code && retirement->retire)
		end_profile(warden, retirement);
	free(retirement);
}

static void begin_retirement(struct connection *connection, const char *profile,
			     const char *reason, int retire)
{
	struct retirement *retirement = calloc(1, sizeof(*retirement));
	struct ambit_event event;

	if (!retirement) {
		control_refuse(connection, "node: out of memory", "",
			       AMBIT_EXIT_FAILED);
		return;
	}
	retirement->connection = connection->serial;
	retirement->caller = connection->caller;
	retirement->retire = retire;
	snprintf(retirement->profile, sizeof(retirement->profile), "%.63s",
		 profile);
	records_text(retirement->reason, sizeof(retirement->reason), reason);
	records_fill(&event, retire ? AMBIT_EVENT_RETIRE_PROFILE :
				      AMBIT_EVENT_REINSTATE,
		     NULL, &connection->caller);
	records_text(event.profile, sizeof(event.profile), profile);
	records_text(event.reason, sizeof(event.reason), reason);
	if (records_send(connection->warden, &event, retirement_durable,
			 retirement) < 0) {
		free(retirement);
		control_refuse(connection, "audit log: the retirement can't be "
			       "recorded", "", AMBIT_EXIT_FAILED);
	}
}

static int profile_name_good(const char *name)
{
	size_t length = strlen(name);

	return length >= 1 && length <= 63 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

void calls_retire(struct connection *connection, json_t *parameters)
{
	struct order order = { .kind = AMBIT_EVENT_RETIRE };

	if (!unpack_order(connection, parameters, &order))
		return;
	if (!order.profile)
		carry_out(connection, &order);
	else if (!profile_name_good(order.profile))
		calls_bad_parameter(connection, "profile");
	else
		begin_retirement(connection, order.profile, order.reason, 1);
}

static void refuse_reinstate(struct connection *connection, const char *profile)
{
	struct error error = { 0 };

	error_set(&error, EINVAL, "profile %s: it is not retired%s", profile,
		  profiles_known(connection->warden, profile) ?
			  "" : ", and there is no profile file of that name");
	control_refuse(connection, error.text, "", AMBIT_EXIT_FAILED);
}

void calls_reinstate(struct connection *connection, json_t *parameters)
{
	const char *profile, *reason;

	if (json_unpack(parameters, "{s:s, s:s !}", "profile", &profile,
			"reason", &reason) < 0 ||
	    !*reason || !profile_name_good(profile))
		calls_bad_parameter(connection, "profile, reason");
	else if (!state_retired(connection->warden, profile))
		refuse_reinstate(connection, profile);
	else
		begin_retirement(connection, profile, reason, 0);
}

void calls_group_done(struct connection *connection)
{
	json_t *agents = connection->group;

	connection->group = NULL;
	answer_agents(connection, agents);
}
