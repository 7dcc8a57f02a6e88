/* SPDX-License-Identifier: Apache-2.0 */
/* `ambit ps`: the agents, one line each. */
#include "agents.h"
#include "command.h"
#include "node.h"
#include "options.h"
#include "say.h"

#include <stdlib.h>
#include <time.h>

#define COLUMNS 7

struct texts {
	char state[AGENT_TEXT], pid[AGENT_TEXT], age[AGENT_TEXT];
};

static void fill_row(const json_t *agent, int64_t now, struct texts *texts,
		     const char **cells)
{
	int64_t ended = agent_number(agent, "ended");
	int64_t pid = agent_number(agent, "pid");

	agent_state(agent, texts->state);
	agent_span((ended ? ended : now) - agent_number(agent, "started"),
		   texts->age);
	snprintf(texts->pid, sizeof(texts->pid), "%lld", (long long)pid);
	cells[0] = agent_text(agent, "id");
	cells[1] = agent_text(agent, "name");
	cells[2] = agent_text(agent, "profile");
	cells[3] = *agent_text(agent, "task") ? agent_text(agent, "task") : "-";
	cells[4] = texts->state;
	cells[5] = ended ? "-" : texts->pid;
	cells[6] = texts->age;
}

static int print_table(const json_t *agents)
{
	static const char *const heads[COLUMNS] = {
		"ID", "NAME", "PROFILE", "TASK", "STATE", "PID", "AGE",
	};
	size_t count = json_array_size(agents);
	struct texts *texts = calloc(count + 1, sizeof(*texts));
	const char **cells = calloc((count + 1) * COLUMNS, sizeof(*cells));
	struct timespec now;
	int status = 0;

	clock_gettime(CLOCK_REALTIME, &now);
	if (texts && cells) {
		for (size_t i = 0; i < COLUMNS; i++)
			cells[i] = heads[i];
		for (size_t i = 0; i < count; i++)
			fill_row(json_array_get(agents, i),
				 now.tv_sec * 1000LL + now.tv_nsec / 1000000,
				 &texts[i], cells + (i + 1) * COLUMNS);
		say_table(cells, COLUMNS, count + 1);
	} else {
		status = say_refusal(AMBIT_EXIT_FAILED, "ps", NULL,
				     "out of memory");
	}
	free(texts);
	free(cells);
	return status;
}

int cmd_ps(const struct command *command, int argc, char **argv)
{
	int all = 0, json = 0;
	const struct option rows[] = { { "all", &all, NULL },
				       { "json", &json, NULL } };
	struct options options = { .command = command, .rows = rows,
				   .row_count = 2 };
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
	status = node_reach(&client, "ps", AMBIT_EXIT_FAILED, 0);
	if (!status)
		status = node_call(&client, "ps", "List",
				   json_pack("{s:b}", "all", all), &reply);
	client_close(&client);
	if (status)
		return status;
	const json_t *agents = json_object_get(reply.parameters, "agents");
	if (!json_is_array(agents))
		status = say_refusal(AMBIT_EXIT_FAILED, "ps", NULL,
				     "the node's answer has no agents");
	else if (!json)
		status = print_table(agents);
	for (size_t i = 0; json && i < json_array_size(agents); i++)
		say_json(stdout, json_array_get(agents, i));
	reply_release(&reply);
	return say_finish(status);
}
