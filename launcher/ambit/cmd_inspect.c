/* SPDX-License-Identifier: Apache-2.0 */
/* `ambit inspect`: everything the node knows of one agent. */
#include "agents.h"
#include "command.h"
#include "node.h"
#include "options.h"
#include "say.h"

#include <string.h>

enum kind { TEXT, NUMBER, TIME, WORDS, STATE, LIST, CREDENTIALS };

/* The members in the order they are printed, and how. */
static const struct {
	const char *member, *shown;
	enum kind kind;
} members[] = {
	{ "id", "id", TEXT },
	{ "name", "name", TEXT },
	{ "profile", "profile", TEXT },
	{ "profile_sha256", "profile sha256", TEXT },
	{ "spiffe_id", "spiffe id", TEXT },
	{ "task", "task", TEXT },
	{ "owner", "owner", TEXT },
	{ "purpose", "purpose", TEXT },
	{ "state", "state", STATE },
	{ "command", "command", WORDS },
	{ "pid", "pid", NUMBER },
	{ "uid", "uid", NUMBER },
	{ "cgroup", "cgroup", TEXT },
	{ "started", "started", TIME },
	{ "deadline", "deadline", TIME },
	{ "ended", "ended", TIME },
	{ "allowed", "allowed", NUMBER },
	{ "denied", "denied", NUMBER },
	{ "lost", "no record", NUMBER },
	{ "refused", "refused", LIST },
	{ "withdrawn", "withdrawn", LIST },
	{ "credentials", "credential", CREDENTIALS },
};

static void print_head(const char *shown)
{
	printf("%s:%*s", shown, (int)(15 - strlen(shown)), "");
}

static void print_line(const char *shown, const char *text)
{
	print_head(shown);
	say_text(stdout, *text ? text : "-");
	fputs("\n", stdout);
}

/* Each argument in single quotes, as a shell would take it. */
static void print_words(const char *shown, const json_t *words)
{
	print_head(shown);
	for (size_t i = 0; i < json_array_size(words); i++) {
		const char *word = json_string_value(json_array_get(words, i));
		fputs(i ? " '" : "'", stdout);
		for (; word && *word; word += strcspn(word, "'")) {
			char part[512];
			size_t length = strcspn(word, "'");
			if (length == 0) {
				fputs("'\\''", stdout);
				word++;
				continue;
			}
			/* In parts, so that a part never cuts a character. */
			if (length >= sizeof(part)) {
				length = sizeof(part) - 1;
				while (length && (word[length] & 0xc0) == 0x80)
					length--;
			}
			memcpy(part, word, length);
			part[length] = 0;
			say_text(stdout, part);
		}
		fputs("'", stdout);
	}
	fputs("\n", stdout);
}

static void print_list(const char *shown, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));
		print_line(shown, text ? text : "");
	}
}

static void print_credentials(const char *shown, const json_t *credentials)
{
	for (size_t i = 0; i < json_array_size(credentials); i++) {
		const json_t *one = json_array_get(credentials, i);
		char until[AGENT_TEXT];
		agent_time(agent_number(one, "not_after"), until);
		print_head(shown);
		say_text(stdout, agent_text(one, "name"));
		fputs(" ", stdout);
		say_text(stdout, agent_text(one, "type"));
		fputs(" ", stdout);
		say_text(stdout, agent_text(one, "id"));
		printf(" until %s\n", until);
	}
}

static void print_agent(const json_t *agent)
{
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const char *member = members[i].member, *shown = members[i].shown;
		const json_t *value = json_object_get(agent, member);
		char text[AGENT_TEXT];

		if (!value || json_is_null(value))
			continue;
		switch (members[i].kind) {
		case TEXT:
			print_line(shown, agent_text(agent, member));
			break;
		case NUMBER:
			snprintf(text, sizeof(text), "%lld",
				 (long long)agent_number(agent, member));
			print_line(shown, text);
			break;
		case TIME:
			agent_time(agent_number(agent, member), text);
			print_line(shown, text);
			break;
		case STATE:
			agent_state(agent, text);
			print_line(shown, text);
			break;
		case WORDS:
			print_words(shown, value);
			break;
		case LIST:
			print_list(shown, value);
			break;
		case CREDENTIALS:
			print_credentials(shown, value);
			break;
		}
	}
	const json_t *end = json_object_get(agent, "exit");
	if (json_is_object(end) && *agent_text(end, "cause"))
		print_line("cause", agent_text(end, "cause"));
}

int cmd_inspect(const struct command *command, int argc, char **argv)
{
	int json = 0;
	const struct option rows[] = { { "json", &json, NULL } };
	struct options options = { .command = command, .rows = rows,
				   .row_count = 1 };
	int status = options_read(&options, argc, argv);

	if (status >= 0)
		return status;
	if (options.word_count != 1)
		return options_wrong(command, "one AGENT is wanted, not %d",
				     options.word_count);
	if (json)
		say_as_json();
	struct client client = CLIENT_CLOSED;
	struct reply reply;
	status = node_reach(&client, "inspect", AMBIT_EXIT_FAILED, 0);
	if (!status)
		status = node_call(&client, "inspect", "Inspect",
				   json_pack("{s:s}", "agent", options.words[0]),
				   &reply);
	client_close(&client);
	if (status)
		return status;
	const json_t *agent = json_object_get(reply.parameters, "agent");
	if (!json_is_object(agent))
		status = say_refusal(AMBIT_EXIT_FAILED, "inspect", NULL,
				     "the node's answer has no agent");
	else if (json)
		say_json(stdout, agent);
	else
		print_agent(agent);
	reply_release(&reply);
	return say_finish(status);
}
