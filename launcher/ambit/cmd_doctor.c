/* SPDX-License-Identifier: Apache-2.0 */
/* `ambit doctor`: each layer of the bounds, and how the node proved it live.
 * The proof is made when a node starts, so that root's doctor starts one. */
#include "agents.h"
#include "command.h"
#include "node.h"
#include "options.h"
#include "say.h"

#include <string.h>

#define COLUMNS 4
#define LAYERS 64

static int is_proven(const json_t *layer)
{
	return strcmp(agent_text(layer, "state"), "proven") == 0;
}

/* 1 if no required layer is missing.  No layers at all are no proof. */
static int is_whole(const json_t *layers)
{
	for (size_t i = 0; i < json_array_size(layers); i++) {
		const json_t *layer = json_array_get(layers, i);
		if (!is_proven(layer) &&
		    !json_is_false(json_object_get(layer, "required")))
			return 0;
	}
	return json_array_size(layers) > 0;
}

static void print_report(const json_t *report, const json_t *layers)
{
	const char *cells[(LAYERS + 1) * COLUMNS] = { "LAYER", "STATE",
						      "REQUIRED", "HOW" };
	size_t count = json_array_size(layers);

	fputs("ambit ", stdout);
	say_text(stdout, agent_text(report, "version"));
	fputs(", Linux ", stdout);
	say_text(stdout, agent_text(report, "kernel"));
	fputs(", trust domain ", stdout);
	say_text(stdout, agent_text(report, "trust_domain"));
	fputs("\naudit log: ", stdout);
	say_text(stdout, agent_text(report, "log"));
	fputs("\n", stdout);
	for (size_t i = 0; i < count; i++) {
		const json_t *layer = json_array_get(layers, i);
		const char **row = cells + (i + 1) * COLUMNS;
		row[0] = agent_text(layer, "name");
		row[1] = agent_text(layer, "state");
		row[2] = json_is_false(json_object_get(layer, "required")) ?
				 "no" : "yes";
		row[3] = agent_text(layer, "how");
	}
	say_table(cells, COLUMNS, count + 1);
}

int cmd_doctor(const struct command *command, int argc, char **argv)
{
	int json = 0;
	const struct option rows[] = { { "json", &json, NULL } };
	struct options options = { .command = command, .rows = rows,
				   .row_count = 1 };
	int status = options_read(&options, argc, argv);

	if (status >= 0)
		return status;
	if (options.word_count)
		return options_wrong(command, "%s: unexpected argument",
				     options.words[0]);
	if (json)
		say_as_json();
	struct client client = CLIENT_CLOSED;
	struct reply reply;
	status = node_reach(&client, "doctor", AMBIT_EXIT_FAILED, 1);
	if (!status)
		status = node_call(&client, "doctor", "Doctor", json_object(),
				   &reply);
	client_close(&client);
	if (status)
		return status;
	const json_t *layers = json_object_get(reply.parameters, "layers");
	if (!json_is_array(layers) || json_array_size(layers) > LAYERS) {
		status = say_refusal(AMBIT_EXIT_FAILED, "doctor", NULL,
				     "the node's answer has no list of layers");
	} else {
		if (json)
			say_json(stdout, reply.parameters);
		else
			print_report(reply.parameters, layers);
		int writes = strcmp(agent_text(reply.parameters, "log"), "ok") == 0;
		status = is_whole(layers) && writes ? 0 : AMBIT_EXIT_FAILED;
	}
	reply_release(&reply);
	return say_finish(status);
}
