/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `ambit run`: turns the command line into one Run call and hands over to the
 * session.  What the agent may have of the caller (environment, descriptors) is
 * the profile's and the node's decision, not made here.
 */
#include "../base/own.h"
#include "command.h"
#include "node.h"
#include "options.h"
#include "say.h"
#include "session.h"
#include "terminal.h"

#include <ambit/node.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

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

/* A text that may be absent; *ret_wrong is set if it can't be carried. */
static json_t *text_json(const char *text, int *ret_wrong)
{
	json_t *value = text ? json_string(text) : json_null();
	*ret_wrong |= !value;
	return value ? value : json_null();
}

static int parameters(const struct run *run, json_t **ret_parameters)
{
	char path[PATH_MAX];
	const char *profile = run->profile;
	struct winsize size = { 0 };
	int wrong = 0, status = 0;

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
	status = command_json(run, command);
	if (!status)
		environment_json(run, environment);
	json_t *all = json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:b, s:i, s:i}",
		"profile", text_json(profile, &wrong), "command", command,
		"environment", environment, "task", text_json(run->task, &wrong),
		"name", text_json(run->name, &wrong), "detach",
		run->session.detach, "rows", size.ws_row, "columns", size.ws_col);
	if (!status && wrong)
		status = say_refusal(AMBIT_EXIT_REFUSED, "run", NULL,
				     "--profile, --task and --name must be UTF-8");
	if (!status && !all)
		status = say_refusal(AMBIT_EXIT_REFUSED, "run", NULL,
				     "out of memory");
	if (status) {
		json_decref(all);
		return status;
	}
	*ret_parameters = all;
	return 0;
}

/* The three descriptors of the call.  A terminal is not left to an agent whose
 * caller goes away: with --detach it is replaced. */
static int send_run(struct client *client, const struct run *run,
		    json_t *parameters_, struct error *error)
{
	OWN_FD null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fds[3];

	json_t *call = json_pack("{s:s, s:o, s:b}", "method",
				 AMBIT_INTERFACE ".Run", "parameters",
				 parameters_, "more", 1);
	if (!call)
		return error_errno(error, ENOMEM, "call");
	if (null < 0) {
		json_decref(call);
		return error_errno(error, errno, "/dev/null");
	}
	for (int fd = 0; fd < 3; fd++)
		fds[fd] = run->session.detach && isatty(fd) ? null : fd;
	return client_send_fds(client, call, fds, 3, error);
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
	if (status)
		return status;
	struct client client = CLIENT_CLOSED;
	status = node_reach(&client, "run", AMBIT_EXIT_REFUSED, 1);
	if (status) {
		json_decref(call);
		return status;
	}
	struct error error = { 0 };
	int result = send_run(&client, &run, call, &error);
	/* A node that refuses the caller may close before it reads the call:
	 * its answer is there all the same. */
	if (result && result != -EPIPE) {
		client_close(&client);
		return say_refusal(AMBIT_EXIT_REFUSED, "run", NULL, "%s",
				   error.text);
	}
	return session_run(&client, &run.session);
}
