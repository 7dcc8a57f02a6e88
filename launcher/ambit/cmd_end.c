/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `ambit cut`, `ambit reload`, `ambit kill`, `ambit retire`, `ambit reinstate`:
 * the commands that take from agents, end them, and take that back.  Each wants a
 * reason, which goes into the audit log.  What it happened to is printed, so that a
 * wrong name is seen at once.
 */
#include "agents.h"
#include "command.h"
#include "node.h"
#include "options.h"
#include "say.h"

#include <string.h>

struct target {
	const char *profile, *reason;
	int all, json;
	struct options options;
};

static int takes_all(const struct command *command)
{
	return strcmp(command->name, "kill") == 0 ||
	       strcmp(command->name, "reload") == 0 ||
	       strcmp(command->name, "cut") == 0;
}

/* The part that all share.  -1 to go on. */
static int target_read(struct target *target, const struct command *command,
		       int argc, char **argv)
{
	const struct option rows[] = {
		{ "profile", NULL, &target->profile },
		{ "reason", NULL, &target->reason },
		{ "json", &target->json, NULL },
		{ "all", &target->all, NULL },
	};
	/* Not all take --all: its row is the last. */
	size_t count = takes_all(command) ? 4 : 3;

	target->options = (struct options){ .command = command, .rows = rows,
					    .row_count = count };
	int status = options_read(&target->options, argc, argv);
	if (status >= 0)
		return status;
	if (!target->reason ||
	    strspn(target->reason, " \t\r\n") == strlen(target->reason))
		return options_wrong(command, "--reason is missing");
	if (target->json)
		say_as_json();
	return -1;
}

static json_t *agents_json(const struct target *target)
{
	json_t *array = json_array();

	for (int i = 0; i < target->options.word_count; i++)
		if (json_array_append_new(array,
					  json_string(target->options.words[i]))) {
			json_decref(array);
			return NULL;
		}
	return array;
}

/* Of a reload: all that the agent has lost by now. */
static void print_withdrawn(const json_t *agent)
{
	const json_t *list = json_object_get(agent, "withdrawn");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *to = json_string_value(json_array_get(list, i));
		fputs(i ? ", " : ": withdrawn: ", stdout);
		say_text(stdout, to ? to : "");
	}
}

static const char *nobody(const char *what, int unknown)
{
	if (strcmp(what, "reload") == 0)
		return "no agent lost an endpoint";
	if (strcmp(what, "retire") != 0)
		return unknown ? "there is no profile file of that name, and no agent "
				 "of it was running" : "no agent was running";
	return unknown ? "there is no profile file of that name, and no agent of it "
			 "was running; it launches none until it is reinstated" :
			 "no agent of the profile was running; it launches none "
			 "until it is reinstated";
}

/* One line per agent that it happened to; a line too if there was none. */
static int print_ended(const char *what, const json_t *reply, int json)
{
	const json_t *agents = json_object_get(reply, "agents");

	if (!json_is_array(agents))
		return say_refusal(AMBIT_EXIT_FAILED, what, NULL,
				   "the node's answer has no agents");
	for (size_t i = 0; i < json_array_size(agents); i++) {
		const json_t *agent = json_array_get(agents, i);
		if (json) {
			say_json(stdout, agent);
			continue;
		}
		say_text(stdout, agent_text(agent, "id"));
		fputs(" ", stdout);
		say_text(stdout, agent_text(agent, "name"));
		if (strcmp(what, "reload") == 0)
			print_withdrawn(agent);
		fputs("\n", stdout);
	}
	const json_t *missing = json_object_get(reply, "missing"), *one;
	size_t i;
	json_array_foreach(missing, i, one)
		say_refusal(AMBIT_EXIT_FAILED, what, "ambit ps --all lists them",
			    "%s: no such agent, or it has ended", json_string_value(one));
	if (json_array_size(missing))
		return AMBIT_EXIT_FAILED;
	if (json_array_size(agents) == 0)
		say_note(what, "%s", nobody(what, json_is_true(json_object_get(
							  reply, "unknown"))));
	return 0;
}

static int end(const struct command *command, struct target *target,
	       const char *method)
{
	struct client client = CLIENT_CLOSED;
	struct reply reply;
	int kinds = (target->options.word_count > 0) + (target->profile != NULL) +
		    target->all;

	if (kinds != 1)
		return options_wrong(command, kinds ?
				     "only one of them at a time" :
				     "which agents?");
	json_t *agents = agents_json(target);
	json_t *call = json_pack("{s:o*, s:s*, s:s}", "agents", agents,
				 "profile", target->profile, "reason",
				 target->reason);
	if (!agents || !call ||
	    (takes_all(command) &&
	     json_object_set_new(call, "all", json_boolean(target->all)))) {
		json_decref(call);
		return say_refusal(AMBIT_EXIT_FAILED, command->name, NULL,
				   "an argument is not UTF-8");
	}
	int status = node_reach(&client, command->name, AMBIT_EXIT_FAILED, 0);
	if (status)
		json_decref(call);
	else
		status = node_call(&client, command->name, method, call, &reply);
	client_close(&client);
	if (status)
		return status;
	status = print_ended(command->name, reply.parameters, target->json);
	reply_release(&reply);
	return say_finish(status);
}

int cmd_cut(const struct command *command, int argc, char **argv)
{
	struct target target = { 0 };
	int status = target_read(&target, command, argc, argv);
	return status >= 0 ? status : end(command, &target, "Cut");
}

int cmd_reload(const struct command *command, int argc, char **argv)
{
	struct target target = { 0 };
	int status = target_read(&target, command, argc, argv);
	return status >= 0 ? status : end(command, &target, "Reload");
}

int cmd_kill(const struct command *command, int argc, char **argv)
{
	struct target target = { 0 };
	int status = target_read(&target, command, argc, argv);
	return status >= 0 ? status : end(command, &target, "Kill");
}

int cmd_retire(const struct command *command, int argc, char **argv)
{
	struct target target = { 0 };
	int status = target_read(&target, command, argc, argv);
	return status >= 0 ? status : end(command, &target, "Retire");
}

int cmd_reinstate(const struct command *command, int argc, char **argv)
{
	struct target target = { 0 };
	struct client client = CLIENT_CLOSED;
	struct reply reply = { 0 };
	int status = target_read(&target, command, argc, argv);

	if (status >= 0)
		return status;
	if (target.options.word_count)
		return options_wrong(command, "%s: unexpected argument",
				     target.options.words[0]);
	if (!target.profile)
		return options_wrong(command, "--profile is missing");
	status = node_reach(&client, "reinstate", AMBIT_EXIT_FAILED, 0);
	if (!status)
		status = node_call(&client, "reinstate", "Reinstate",
				   json_pack("{s:s, s:s}", "profile",
					     target.profile, "reason",
					     target.reason), &reply);
	client_close(&client);
	if (!status)
		reply_release(&reply);
	return status;
}
