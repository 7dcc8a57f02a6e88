/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `ambit run`: turns the command line into one Run call and hands over to the
 * session.  What the agent may have of the caller (environment, descriptors) is
 * the profile's and the node's decision, not made here.
 */
#include "command.h"
#include "node.h"
#include "options.h"
#include "say.h"
#include "session.h"
#include "terminal.h"

#include <ambit/node.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct run {
	const char *profile, *task, *name;
	struct session_options session;
	char **words;
	int word_count;
};

/* A FILE goes to the node as an absolute path.  The last component stays as it
 * is: whether a symbolic link is trusted is the node's to judge. */
static int profile_path(const char *profile, char ret_path[PATH_MAX])
{
	char directory[PATH_MAX], real[PATH_MAX];
	const char *slash = strrchr(profile, '/');
	size_t length = (size_t)(slash - profile);

	if (length >= sizeof(directory))
		return say_refusal(AMBIT_EXIT_REFUSED, "profile", NULL,
				   "the path is too long");
	memcpy(directory, profile, length);
	memcpy(directory + length, "/", length ? 1 : 2);
	directory[length ? length : 1] = 0;
	if (!realpath(directory, real))
		return say_refusal(AMBIT_EXIT_REFUSED, profile, NULL, "%s",
				   strerror(errno));
	int used = snprintf(ret_path, PATH_MAX, "%s%s",
			    strcmp(real, "/") == 0 ? "" : real, slash);
	if (used < 0 || used >= PATH_MAX)
		return say_refusal(AMBIT_EXIT_REFUSED, "profile", NULL,
				   "the path is too long");
	return 0;
}

/* JSON carries UTF-8 only. */
static int command_json(const struct run *run, json_t *ret_array)
{
	for (int i = 0; i < run->word_count; i++)
		if (json_array_append_new(ret_array, json_string(run->words[i])))
			return say_refusal(AMBIT_EXIT_REFUSED, "run", NULL,
					   "argument %d of the command is not "
					   "UTF-8: %s", i, run->words[i]);
	return 0;
}

static void environment_json(const struct run *run, json_t *ret_array)
{
	for (char **entry = environ; *entry; entry++) {
		if (json_array_append_new(ret_array, json_string(*entry)) == 0)
			continue;
		if (!run->session.quiet)
			say_note("run", "environment: %.*s is not UTF-8 and "
				 "can't be passed on",
				 (int)strcspn(*entry, "="), *entry);
	}
}

/* Texts that may be absent; absent means left out. */
static int texts_json(const struct run *run, const char *profile,
		      json_t *ret_object)
{
	const struct {
		const char *name, *text;
	} texts[] = { { "profile", profile },
		      { "task", run->task },
		      { "name", run->name } };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].text &&
		    json_object_set_new(ret_object, texts[i].name,
					json_string(texts[i].text)))
			return say_refusal(AMBIT_EXIT_REFUSED, "run", NULL,
					   "--%s is not UTF-8: %s",
					   texts[i].name, texts[i].text);
	return 0;
}

static int parameters(const struct run *run, json_t **ret_parameters)
{
	char path[PATH_MAX];
	const char *profile = run->profile;
	struct winsize size = { 0 };
	int status = 0;

	if (strchr(profile, '/')) {
		status = profile_path(profile, path);
		profile = path;
	}
	if (status)
		return status;
	/* A detached agent has no terminal, and so no size. */
	int terminal = run->session.detach ? -1 : terminal_caller();
	if (terminal >= 0 && ioctl(terminal, TIOCGWINSZ, &size))
		size = (struct winsize){ 0 };
	json_t *command = json_array(), *environment = json_array();
	json_t *all = json_pack("{s:o, s:o, s:b, s:i, s:i}", "command", command,
				"environment", environment, "detach",
				run->session.detach, "rows", size.ws_row,
				"columns", size.ws_col);
	if (!all)
		return say_refusal(AMBIT_EXIT_REFUSED, "run", NULL,
				   "out of memory");
	status = texts_json(run, profile, all);
	if (!status)
		status = command_json(run, command);
	if (status) {
		json_decref(all);
		return status;
	}
	environment_json(run, environment);
	*ret_parameters = all;
	return 0;
}

/* Takes over `parameters`. */
static int send_run(struct client *client, const struct streams *streams,
		    json_t *call_parameters, struct error *error)
{
	json_t *call = json_pack("{s:s, s:o, s:b}", "method",
				 AMBIT_INTERFACE ".Run", "parameters",
				 call_parameters, "more", 1);
	if (!call)
		return error_errno(error, ENOMEM, "call");
	return client_send_fds(client, call, streams->given, 3, error);
}

static int launch(const struct run *run, json_t *call_parameters)
{
	struct client client = CLIENT_CLOSED;
	struct error error = { 0 };
	static struct streams streams;

	int status = node_reach(&client, "run", AMBIT_EXIT_REFUSED, 1);
	if (status) {
		json_decref(call_parameters);
		return status;
	}
	int result = streams_open(&streams, run->session.detach, &error);
	if (result) {
		json_decref(call_parameters);
		client_close(&client);
		return say_refusal(AMBIT_EXIT_REFUSED, "run", NULL, "%s",
				   error.text);
	}
	result = send_run(&client, &streams, call_parameters, &error);
	streams_sent(&streams);
	/* A node that refuses the caller may close before it reads the call:
	 * its answer is there all the same. */
	if (result && result != -EPIPE) {
		client_close(&client);
		streams_finish(&streams, 0);
		return say_refusal(AMBIT_EXIT_REFUSED, "run", NULL, "%s",
				   error.text);
	}
	return session_run(&client, &streams, &run->session);
}

int cmd_run(const struct command *command, int argc, char **argv)
{
	struct run run = { 0 };
	const struct option rows[] = {
		{ "profile", NULL, &run.profile },
		{ "task", NULL, &run.task },
		{ "name", NULL, &run.name },
		{ "detach", &run.session.detach, NULL },
		{ "json", &run.session.json, NULL },
		{ "quiet", &run.session.quiet, NULL },
	};
	struct options options = { .command = command, .rows = rows,
				   .row_count = sizeof(rows) / sizeof(rows[0]),
				   .words_last = 1 };
	int status = options_read(&options, argc, argv);

	if (status >= 0)
		return status;
	if (!run.profile)
		return options_wrong(command, "--profile is missing");
	if (run.profile[strlen(run.profile) - 1] == '/')
		return options_wrong(command, "--profile: %s is no file",
				     run.profile);
	run.words = options.words;
	run.word_count = options.word_count;
	if (run.session.json)
		say_as_json();

	json_t *call = NULL;
	status = parameters(&run, &call);
	return status ? status : launch(&run, call);
}
