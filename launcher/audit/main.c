/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ambit-audit: reads the log that the recorder writes.  A table of commands and
 * one of options; `ambit audit …` runs it.  Exit status: ambit-audit(1).
 */
#include "tool.h"

#include "../base/number.h"
#include "../base/own.h"

#include <ambit/exit.h>
#include <ambit/node.h>
#include <limits.h>
#include <string.h>
#include <time.h>

struct paths {
	char log[PATH_MAX], socket[PATH_MAX];
};

static void command_error(const struct error *error)
{
	fprintf(stderr, "ambit: audit: %s\n", error->text);
}

static int find_paths(struct paths *paths)
{
	const char *root = getenv("AMBIT_ROOT");
	int log = snprintf(paths->log, sizeof(paths->log), "%s%s",
			   root ? root : "", AMBIT_LOG_DIRECTORY);
	int pipe = snprintf(paths->socket, sizeof(paths->socket), "%s%s/%s",
			    root ? root : "", AMBIT_RUN_DIRECTORY,
			    AMBIT_AUDIT_SOCKET);

	return log < 0 || pipe < 0 || (size_t)log >= sizeof(paths->log) ||
	       (size_t)pipe >= sizeof(paths->socket) ? -ENAMETOOLONG : 0;
}

static int run_tail(const struct paths *paths, const struct tool_show *show)
{
	struct error error = { 0 };

	if (tool_tail(paths->log, paths->socket, show, &error) == 0)
		return 0;
	command_error(&error);
	return AMBIT_EXIT_FAILED;
}

struct output {
	const struct tool_show *show;
	uint64_t broken, shown;
};

static int put_line(void *data, const char *line, size_t length, int overlaps)
{
	struct output *output = data;

	if (overlaps)
		return 0;
	int shown = tool_show_line(stdout, output->show, line, length);
	output->broken += shown < 0;
	output->shown += shown > 0;
	return ferror(stdout);
}

/* A name that is misspelt must not look like one that did nothing. */
static void note_none(const struct tool_show *show)
{
	const struct {
		const char *what, *wanted;
	} filters[] = { { "agent", show->agent }, { "profile", show->profile },
			{ "task", show->task } };

	fputs("ambit: audit: no record is", stderr);
	for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++)
		if (filters[i].wanted)
			fprintf(stderr, " of %s %s", filters[i].what,
				filters[i].wanted);
	fputs(show->denied ? " and a refusal\n" : "\n", stderr);
}

static int run_show(const struct paths *paths, const struct tool_show *show)
{
	struct error error = { 0 };
	struct tool_files files;
	struct output output = { .show = show };
	enum tool_tail tail;

	int result = tool_files_open(paths->log, &files, &error);
	if (!result) {
		result = tool_files_walk(&files, show->from, put_line, &output,
					 &tail, &error);
		tool_files_close(&files);
	}
	if (!result && output.broken)
		result = error_set(&error, EBADMSG, "%llu lines are not records; "
				   "run ambit audit verify",
				   (unsigned long long)output.broken);
	if (!result && !output.shown && (show->agent || show->profile || show->task))
		note_none(show);
	if (result == 0 && fflush(stdout) == 0)
		return 0;
	if (result >= 0)
		error_errno(&error, errno, "output");
	command_error(&error);
	return AMBIT_EXIT_FAILED;
}

/* The lines themselves, byte for byte: what tree heads will be made of. */
static int run_export(const struct paths *paths, const struct tool_show *show)
{
	struct tool_show raw = *show;

	raw.json = 1;
	return run_show(paths, &raw);
}

static int verify_line(void *data, const char *line, size_t length, int overlaps)
{
	tool_verify_line(data, line, length, overlaps);
	return 0;
}

static int run_verify(const struct paths *paths, const struct tool_show *show)
{
	struct error error = { 0 };
	struct tool_files files;
	enum tool_tail tail = TOOL_TAIL_WHOLE;

	int result = tool_files_open(paths->log, &files, &error);
	if (result < 0) {
		command_error(&error);
		return AMBIT_EXIT_FAILED;
	}
	uint64_t first = files.count ? files.firsts[0] : 0;
	if (!files.count)
		result = error_set(&error, ENOENT, "%s: there is no log",
				   paths->log);
	else if (first != show->from)
		result = error_set(&error, ENOENT,
				   "%s: begins with record %llu, not %llu; if the "
				   "beginning was removed on purpose, say --from "
				   "%llu", paths->log, (unsigned long long)first,
				   (unsigned long long)show->from,
				   (unsigned long long)first);
	uint64_t faults = 1;
	if (!result) {
		struct tool_verify *verify = tool_verify_begin(stdout, first);
		if (!verify)
			abort();
		result = tool_files_walk(&files, first, verify_line, verify, &tail,
					 &error);
		/* Half of a log must not be told to be whole. */
		if (result < 0)
			tail = TOOL_TAIL_TORN;
		faults = tool_verify_end(verify, tail, files.count);
	}
	tool_files_close(&files);
	if (result < 0)
		command_error(&error);
	return result < 0 || faults || fflush(stdout) != 0 ? AMBIT_EXIT_FAILED : 0;
}

enum option {
	OPTION_FOLLOW = 1, OPTION_FROM = 2, OPTION_TO = 4, OPTION_LINES = 8,
	OPTION_JSON = 16, OPTION_FILTER = 32,
};

static const struct command {
	const char *name, *usage;
	unsigned options;
	int (*run)(const struct paths *paths, const struct tool_show *show);
} commands[] = {
	{ "tail", "[--no-follow] [--from N | --lines N] [--json] [FILTER…]",
	  OPTION_FOLLOW | OPTION_FROM | OPTION_LINES | OPTION_JSON | OPTION_FILTER,
	  run_tail },
	{ "show", "[--from N] [--to N] [--json] [FILTER…]",
	  OPTION_FROM | OPTION_TO | OPTION_JSON | OPTION_FILTER, run_show },
	{ "verify", "[--from N]", OPTION_FROM, run_verify },
	{ "export", "[--from N] [--to N]", OPTION_FROM | OPTION_TO, run_export },
};

#define COMMANDS (sizeof(commands) / sizeof(*commands))

/* Where an option's value goes; --from has a flag beside it. */
struct option_row {
	const char *name;
	unsigned needs;
	size_t flag, number, text, time; /* offset + 1 into struct tool_show */
};

#define PLACE(member) (offsetof(struct tool_show, member) + 1)

static const struct option_row options[] = {
	{ "-f", OPTION_FOLLOW, 0, 0, 0, 0 },
	{ "--follow", OPTION_FOLLOW, 0, 0, 0, 0 },
	{ "--no-follow", OPTION_FOLLOW, PLACE(no_follow), 0, 0, 0 },
	{ "--from", OPTION_FROM, PLACE(from_given), PLACE(from), 0, 0 },
	{ "--to", OPTION_TO, 0, PLACE(to), 0, 0 },
	{ "-n", OPTION_LINES, 0, PLACE(lines), 0, 0 },
	{ "--lines", OPTION_LINES, 0, PLACE(lines), 0, 0 },
	{ "--json", OPTION_JSON, PLACE(json), 0, 0, 0 },
	{ "--agent", OPTION_FILTER, 0, 0, PLACE(agent), 0 },
	{ "--profile", OPTION_FILTER, 0, 0, PLACE(profile), 0 },
	{ "--task", OPTION_FILTER, 0, 0, PLACE(task), 0 },
	{ "--denied", OPTION_FILTER, PLACE(denied), 0, 0, 0 },
	/* tail begins there, too. */
	{ "--since", OPTION_FILTER, PLACE(from_given), 0, 0, PLACE(since) },
	{ "--until", OPTION_FILTER, 0, 0, 0, PLACE(until) },
};

static void print_usage(FILE *to)
{
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "%s ambit audit %s %s\n",
			i ? "      " : "usage:", commands[i].name,
			commands[i].usage);
	fputs("filters: --agent ID|NAME  --profile NAME  --task ID  --denied\n"
	      "         --since TIME  --until TIME  (15m, 2h, 7d ago; 2026-01-31; "
	      "2026-01-31T12:00:00Z)\n", to);
}

static int usage(void)
{
	print_usage(stderr);
	return AMBIT_EXIT_USAGE;
}

static int usage_error(const char *what, const char *word)
{
	fprintf(stderr, "ambit: audit: %s: %s\n", word, what);
	return usage();
}

/* `word` as --name or --name=value. */
static const struct option_row *option_find(const struct command *command,
					    const char *word)
{
	size_t length = strcspn(word, "=");

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (!strncmp(options[i].name, word, length) &&
		    !options[i].name[length] &&
		    (!word[length] || options[i].number || options[i].text ||
		     options[i].time) &&
		    options[i].needs & command->options)
			return &options[i];
	return NULL;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Reads one option.  Returns how many words it took, 0 if it is wrong. */
static int option_take(const struct option_row *row, char **words,
		       struct tool_show *show)
{
	char *base = (char *)show;
	const char *behind = strchr(words[0], '=');
	const char *value = behind ? behind + 1 : words[1];

	if (row->flag)
		*(int *)(void *)(base + row->flag - 1) = 1;
	if (!row->number && !row->text && !row->time)
		return 1;
	if (!value)
		return 0;
	if (row->time && tool_when(value, now_ms(), (uint64_t *)(void *)(
						 base + row->time - 1)) < 0)
		return 0;
	if (row->time)
		return behind ? 1 : 2;
	if (row->text)
		*(const char **)(void *)(base + row->text - 1) = value;
	else if (number_parse(value, strlen(value),
			      row->needs == OPTION_LINES ? 1000000 : UINT64_MAX,
			      (uint64_t *)(void *)(base + row->number - 1)) < 0)
		return 0;
	return behind ? 1 : 2;
}

int main(int count, char **words)
{
	struct tool_show show = { .to = UINT64_MAX, .until = UINT64_MAX,
				  .lines = 10 };
	const struct command *command = NULL;
	struct paths paths;

	if (count < 2)
		return usage();
	if (!strcmp(words[1], "--version")) {
		puts("ambit-audit " AMBIT_VERSION);
		return 0;
	}
	if (!strcmp(words[count - 1], "--help") || !strcmp(words[1], "help")) {
		print_usage(stdout);
		return 0;
	}
	for (size_t i = 0; i < COMMANDS && !command; i++)
		if (!strcmp(commands[i].name, words[1]))
			command = &commands[i];
	if (!command)
		return usage_error("no such command", words[1]);
	for (int i = 2; i < count;) {
		const struct option_row *row = option_find(command, words[i]);
		if (!row)
			return usage_error("no such option here", words[i]);
		int took = option_take(row, words + i, &show);
		if (!took)
			return usage_error(row->text ? "a value was expected" :
					   row->time ? "a time was expected" :
						       "a number was expected",
					   words[i]);
		i += took;
	}
	if (find_paths(&paths) < 0) {
		fputs("ambit: audit: AMBIT_ROOT: too long\n", stderr);
		return AMBIT_EXIT_USAGE;
	}
	return command->run(&paths, &show);
}
