/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one value alone can't tell: paths against each other and against the
 * system, variables that are ambit's own, secrets written down.  Called last by
 * profile_parse; assumes that every value is a word of its kind.
 */
#include "parse.h"
#include "syscalls.h"
#include "words.h"

#include "../base/name.h"

#include <ambit/kernel.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Which paths may not lie in a place; WRITTEN: those of files.write, and no other of
 * its rules is for another list. */
enum deep { NONE, ALL, WRITTEN };

/* Places that no listed path may be, hold, or lie in. */
static const struct place {
	const char *path;
	enum deep deep;
	const char *why;
} places[] = {
	{ "/proc", ALL, "the kernel's view of all processes" },
	{ "/sys", ALL, "the kernel's settings" },
	{ "/dev", ALL, "devices" },
	{ "/run", NONE, "the sockets of every service of the host" },
	{ "/var/run", ALL, "a link: its target /run was expected" },
	{ "/var/tmp", ALL, "a link to the agent's private /tmp" },
	{ "/etc", NONE, "the host's accounts and settings" },
	{ "/etc/shadow", ALL, "the host's passwords" },
	{ "/etc/gshadow", ALL, "the host's passwords" },
	{ "/etc/shadow-", ALL, "the host's passwords" },
	{ "/etc/gshadow-", ALL, "the host's passwords" },
	{ "/run/ambit", ALL, "the node's sockets and the agents' private files" },
	{ "/var/lib/ambit", ALL, "the node's keys" },
	{ "/var/log/ambit", ALL, "the audit log" },
	{ "/etc/ambit", ALL, "the profiles" },
	{ "/usr", NONE, "the system, which files.system gives read-only" },
	{ "/tmp", NONE, "the agent's private /tmp" },
	{ "/home/agent", NONE, "the agent's private home" },
	/* Who writes there has the host: programs that root runs, libraries they
	 * load, settings they obey (/etc/cron.d, /etc/ld.so.preload), keys that
	 * let somebody in.  What the agent writes belongs to the owner of the
	 * listed path, who is root here. */
	{ "/etc", WRITTEN, "settings that root's programs obey" },
	{ "/usr", WRITTEN, "programs that root runs" },
	{ "/boot", WRITTEN, "what the machine starts" },
	{ "/bin", WRITTEN, "programs that root runs" },
	{ "/sbin", WRITTEN, "programs that root runs" },
	{ "/lib", WRITTEN, "libraries of root's programs" },
	{ "/lib32", WRITTEN, "libraries of root's programs" },
	{ "/lib64", WRITTEN, "libraries of root's programs" },
	{ "/libx32", WRITTEN, "libraries of root's programs" },
	{ "/root/.ssh", WRITTEN, "keys that let somebody in as root" },
};

static int check_place(const struct parse *parse, const char *list,
		       unsigned index, const char *path)
{
	char where[64];

	snprintf(where, sizeof(where), "files.%s[%u]", list, index);
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		const struct place *place = &places[i];
		const char *how = NULL;
		if (place->deep == WRITTEN && strcmp(list, "write"))
			continue;
		if (word_path_in(place->path, path))
			how = strcmp(place->path, path) ? "covers" : "is";
		else if (place->deep && word_path_in(path, place->path))
			how = "lies in";
		if (how)
			return parse_wrong(parse, where, "%s: %s %s, %s: a "
					   "directory of the agent's own work was "
					   "expected", source_quote(path).text, how,
					   place->path, place->why);
	}
	return 0;
}

/*
 * Writable below readable is the one nesting with a meaning.  Readable below
 * writable can't be held: who may write the upper directory moves the lower one
 * away and puts another in its place.
 */
static int check_nesting(const struct parse *parse)
{
	const struct profile *profile = parse->profile;
	const struct {
		const char *key;
		char **paths;
		unsigned count;
	} lists[] = {
		{ "read", profile->files.read, profile->files.read_count },
		{ "write", profile->files.write, profile->files.write_count },
	};
	char where[64];

	for (unsigned a = 0; a < 2; a++)
		for (unsigned i = 0; i < lists[a].count; i++)
			for (unsigned b = 0; b < 2; b++)
				for (unsigned j = 0; j < lists[b].count; j++) {
					const char *inner = lists[a].paths[i];
					const char *outer = lists[b].paths[j];
					int same = !strcmp(inner, outer);
					if ((a == b && i == j) ||
					    !word_path_in(inner, outer) ||
					    (a == 1 && b == 0 && !same))
						continue;
					snprintf(where, sizeof(where), "files.%s[%u]",
						 lists[a].key, i);
					return parse_wrong(
						parse, where, "%s: lies in files.%s"
						"[%u]: a path was expected that is "
						"not given by another entry",
						source_quote(inner).text,
						lists[b].key, j);
				}
	return 0;
}

/* What is readable may be executed anyway; this list is for what the agent can
 * change. */
static int check_execute(const struct parse *parse)
{
	const struct profile *profile = parse->profile;
	char where[64];

	for (unsigned i = 0; i < profile->files.execute_count; i++) {
		const char *path = profile->files.execute[i];
		int found = !strcmp(path, "/tmp") || !strcmp(path, "/home/agent");
		for (unsigned j = 0; j < profile->files.write_count; j++)
			found |= word_path_in(path, profile->files.write[j]);
		snprintf(where, sizeof(where), "files.execute[%u]", i);
		if (!found)
			return parse_wrong(parse, where, "%s: not in a path of "
					   "files.write: one of those, or below "
					   "one, /tmp or home was expected",
					   source_quote(path).text);
		for (unsigned j = 0; j < i; j++)
			if (word_path_in(path, profile->files.execute[j]) ||
			    word_path_in(profile->files.execute[j], path))
				return parse_wrong(parse, where, "%s: and files."
						   "execute[%u] lie in one another: "
						   "one of them was expected",
						   source_quote(path).text, j);
	}
	return 0;
}

static int check_files(const struct parse *parse)
{
	const struct profile *profile = parse->profile;
	int result = 0;

	for (unsigned i = 0; i < profile->files.read_count && !result; i++)
		result = check_place(parse, "read", i, profile->files.read[i]);
	for (unsigned i = 0; i < profile->files.write_count && !result; i++)
		result = check_place(parse, "write", i, profile->files.write[i]);
	if (!result)
		result = check_nesting(parse);
	if (!result)
		result = check_execute(parse);
	return result;
}

/* An address that is admitted holds that many entries; one more would be left out
 * in silence. */
static int check_names(const struct parse *parse)
{
	const struct profile *profile = parse->profile;
	char where[64];

	for (unsigned i = 0; i < profile->egress_count; i++) {
		const struct profile_endpoint *one = &profile->egress[i];
		unsigned listed = 0;
		if (one->kind != PROFILE_ENDPOINT_NAME)
			continue;
		for (unsigned j = 0; j < profile->egress_count; j++)
			listed += profile->egress[j].kind == PROFILE_ENDPOINT_NAME &&
				  name_listed(profile->egress[j].to, one->to);
		snprintf(where, sizeof(where), "egress[%u].to", i);
		if (listed > AMBIT_ADMITTED_ENTRIES)
			return parse_wrong(parse, where, "%s: listed by %u entries: "
					   "at most %d, with more ports each, were "
					   "expected", source_quote(one->to).text,
					   listed, AMBIT_ADMITTED_ENTRIES);
	}
	return 0;
}

/* The node's own sockets are nobody's endpoint. */
static int check_endpoints(const struct parse *parse)
{
	const struct profile *profile = parse->profile;
	char where[64];

	for (unsigned i = 0; i < profile->egress_count; i++) {
		if (profile->egress[i].kind != PROFILE_ENDPOINT_UNIX)
			continue;
		const char *path = profile->egress[i].to + 5;
		snprintf(where, sizeof(where), "egress[%u].to", i);
		for (size_t j = 0; j < sizeof(places) / sizeof(*places); j++)
			if (places[j].deep == ALL && word_path_in(path, places[j].path))
				return parse_wrong(parse, where, "%s: lies in %s, "
						   "%s: another socket was expected",
						   source_quote(path).text,
						   places[j].path, places[j].why);
		/* The agent could rename what leads to it and put a link to
		 * another socket in its place, under the name that is listed. */
		for (unsigned j = 0; j < profile->files.write_count; j++)
			if (word_path_in(path, profile->files.write[j]))
				return parse_wrong(parse, where, "%s: lies in %s, "
						   "where the agent may write: "
						   "another socket was expected",
						   source_quote(path).text,
						   profile->files.write[j]);
	}
	return 0;
}

/* Why a variable can't be given; NULL if it can. */
static const char *variable_wrong(const char *name)
{
	static const char *const own[] = {
		"HOME", "USER", "LOGNAME", "SPIFFE_ENDPOINT_SOCKET",
		"CREDENTIALS_DIRECTORY",
	};

	if (!*name || (*name >= '0' && *name <= '9') ||
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			 "0123456789_") != strlen(name) || strlen(name) > 128)
		return "a name of letters, digits and _ was expected, no digit "
		       "first";
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (!strcmp(name, own[i]))
			return "ambit sets it: another name was expected";
	if (!strncmp(name, "AMBIT_", 6))
		return "ambit sets AMBIT_*: another name was expected";
	return NULL;
}

/* How secrets begin that are often pasted: front, least length, whose. */
static const struct {
	const char *front;
	size_t least;
	const char *what;
} secrets[] = {
	{ "-----BEGIN ", 11, "a key" },
	{ "AKIA", 20, "an AWS access key" },
	{ "ASIA", 20, "an AWS access key" },
	{ "AIza", 35, "a Google API key" },
	{ "sk-", 20, "an API key" },
	{ "sk_live_", 20, "an API key" },
	{ "ghp_", 20, "a GitHub token" },
	{ "gho_", 20, "a GitHub token" },
	{ "ghs_", 20, "a GitHub token" },
	{ "github_pat_", 20, "a GitHub token" },
	{ "glpat-", 20, "a GitLab token" },
	{ "xoxb-", 20, "a Slack token" },
	{ "xoxp-", 20, "a Slack token" },
	{ "hf_", 30, "a Hugging Face token" },
	{ "npm_", 30, "an npm token" },
	{ "eyJhbGciOi", 30, "a signed token" },
};

static int in_word(char letter)
{
	return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
	       (letter >= '0' && letter <= '9') || letter == '_' || letter == '-';
}

/* Whose secret stands in `text`; NULL if none is known. */
static const char *secret_in(const char *text)
{
	for (const char *at = text; *at; at++) {
		if (at != text && in_word(at[-1]))
			continue;
		size_t length = 0;
		while (in_word(at[length]))
			length++;
		for (size_t i = 0; i < sizeof(secrets) / sizeof(*secrets); i++) {
			size_t front = strlen(secrets[i].front);
			if (!strncmp(at, secrets[i].front, front) &&
			    (length >= secrets[i].least || secrets[i].least == front))
				return secrets[i].what;
		}
	}
	return NULL;
}

static int check_secret(const struct parse *parse, const struct source_node *node,
			const char *what, const char *text)
{
	char why[128];
	const char *secret = secret_in(text);

	if (!secret)
		return 0;
	snprintf(why, sizeof(why), "looks like %s: a profile is no place for "
		 "secrets, an entry in credentials was expected", secret);
	return parse_wrong_at(parse, node, what, why);
}

static int check_environment(const struct parse *parse)
{
	const struct source_node *list = source_find(parse->root, "run.environment");
	char what[96];

	if (!list->key || strcmp(list->key, "environment"))
		return 0;
	for (const struct source_node *at = list->first; at; at = at->next) {
		snprintf(what, sizeof(what), "run.environment.%s",
			 source_quote(at->key).text);
		const char *why = variable_wrong(at->key);
		if (why)
			return parse_wrong_at(parse, at, what, why);
		int result = check_secret(parse, at, what, at->text);
		if (result < 0)
			return result;
	}
	return 0;
}

static int check_pass_environment(const struct parse *parse)
{
	const struct profile *profile = parse->profile;
	char where[64];

	for (unsigned i = 0; i < profile->run.pass_environment_count; i++) {
		const char *name = profile->run.pass_environment[i];
		const char *why = variable_wrong(name);
		for (unsigned j = 0; j < i && !why; j++)
			if (!strcmp(name, profile->run.pass_environment[j]))
				why = "given twice: another name was expected";
		for (unsigned j = 0; j < profile->run.environment_count && !why; j++)
			if (!strcmp(name, profile->run.environment[j].name))
				why = "run.environment sets it: another name was "
				      "expected";
		snprintf(where, sizeof(where), "run.pass-environment[%u]", i);
		if (why)
			return parse_wrong(parse, where, "%s: %s",
					   source_quote(name).text, why);
	}
	return 0;
}

static int check_command(const struct parse *parse)
{
	const struct profile *profile = parse->profile;
	char where[64];

	if (profile->run.command_count && !profile->run.command[0][0])
		return parse_wrong(parse, "run.command[0]", "empty: a program was "
				   "expected");
	for (unsigned i = 0; i < profile->run.command_count; i++) {
		snprintf(where, sizeof(where), "run.command[%u]", i);
		int result = check_secret(parse, source_find(parse->root, where),
					  where, profile->run.command[i]);
		if (result < 0)
			return result;
	}
	return 0;
}

static int check_calls(const struct parse *parse, const char *list,
		       char *const *names, unsigned count, int allow)
{
	char where[64];

	for (unsigned i = 0; i < count; i++) {
		const char *why = syscalls_wrong(names[i], allow);
		snprintf(where, sizeof(where), "syscalls.%s[%u]", list, i);
		if (why)
			return parse_wrong(parse, where, "%s: %s",
					   source_quote(names[i]).text, why);
	}
	return 0;
}

static int check_syscalls(const struct parse *parse)
{
	const struct profile *profile = parse->profile;

	if (!syscalls_set(profile->syscalls.base))
		return parse_wrong(parse, "syscalls.base", "%s: a set that ambit "
				   "profile syscalls lists was expected",
				   source_quote(profile->syscalls.base).text);
	int result = check_calls(parse, "allow", profile->syscalls.allow,
				 profile->syscalls.allow_count, 1);
	if (!result)
		result = check_calls(parse, "deny", profile->syscalls.deny,
				     profile->syscalls.deny_count, 0);
	return result;
}

int parse_bounds(struct parse *parse)
{
	int result = check_command(parse);

	if (!result)
		result = check_environment(parse);
	if (!result)
		result = check_pass_environment(parse);
	if (!result)
		result = check_files(parse);
	if (!result)
		result = check_endpoints(parse);
	if (!result)
		result = check_names(parse);
	if (!result)
		result = check_syscalls(parse);
	return result;
}
