/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ambit-profile, which `ambit profile` runs: profiles for people.  It reads and
 * prints, and changes nothing; ambit-profile(1).
 */
#include "../base/own.h"
#include "../base/trusted.h"
#include "detect.h"
#include "source.h"
#include "syscalls.h"
#include "words.h"

#include <ambit/exit.h>
#include <limits.h>
#include <openssl/evp.h>
#include <string.h>
#include <time.h>

struct loaded {
	char path[PATH_MAX];
	struct profile *profile;
	char *canonical;
	size_t canonical_length;
};

static void loaded_release(struct loaded *loaded)
{
	profile_free(loaded->profile);
	free(loaded->canonical);
}

#define OWN_LOADED __attribute__((cleanup(loaded_release))) struct loaded
static void plan_release(struct plan **plan)
{
	plan_free(*plan);
}

#define OWN_PLAN __attribute__((cleanup(plan_release))) struct plan

static int complain(const struct error *error)
{
	fprintf(stderr, "ambit: %s\n", error->text);
	return AMBIT_EXIT_FAILED;
}

/* Where the shipped profiles lie, as seen from this program: beside libexec
 * when installed, in the checkout when not. */
static int shipped(char path[PATH_MAX], const char *name)
{
	static const char *const places[] = {
		"../../share/ambit/profiles", "../../../profiles",
	};
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (length < 0)
		return 0;
	self[length] = 0;
	*strrchr(self, '/') = 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		int used = snprintf(path, PATH_MAX, "%s/%s/%s.yaml", self, places[i],
				    name);
		OWN_MEMORY char *shown = used > 0 && used < PATH_MAX ?
						 realpath(path, NULL) : NULL;
		if (!shown)
			continue;
		snprintf(path, PATH_MAX, "%s", shown);
		return 1;
	}
	return 0;
}

/* Of node.yaml, where there is one.  What is wrong with it is the node's to say. */
static void profile_directory(const char *root, char path[PATH_MAX])
{
	OWN_MEMORY char *text = NULL;
	struct source_node *node = NULL;
	struct error ignored = { 0 };
	size_t length = 0;

	snprintf(path, PATH_MAX, "%s%s", root, AMBIT_NODE_FILE);
	int failed = untrusted_read(path, PROFILE_BYTES, &text, &length, &ignored);
	if (!failed)
		failed = source_read(path, text, length, &node, &ignored);
	snprintf(path, PATH_MAX, "%s%s", root, AMBIT_PROFILE_DIRECTORY);
	int is_mapping = !failed && node->kind == SOURCE_MAPPING;
	for (const struct source_node *at = is_mapping ? node->first : NULL; at;
	     at = at->next)
		if (!strcmp(at->key, "profile-directory") && at->kind == SOURCE_SCALAR)
			snprintf(path, PATH_MAX, "%s%s", root, at->text);
	source_free(node);
}

/* A NAME is looked for as the node does, anything else is a path. */
static int find(const char *which, char path[PATH_MAX], struct error *error)
{
	const char *root = getenv("AMBIT_ROOT");
	char directory[PATH_MAX];

	if (word_name(which) < 0) {
		if (snprintf(path, PATH_MAX, "%s", which) >= PATH_MAX)
			return error_errno(error, ENAMETOOLONG, "profile");
		return 0;
	}
	profile_directory(root ? root : "", directory);
	int used = snprintf(path, PATH_MAX, "%s/%s.yaml", directory, which);
	if (used > 0 && used < PATH_MAX && access(path, F_OK) == 0)
		return 0;
	if (shipped(path, which))
		return 0;
	return error_set(error, ENOENT, "profile %s: no %s.yaml in %s nor among "
			 "the shipped ones; a file is given with a / or its .yaml",
			 which, which, directory);
}

static int digest(struct loaded *loaded, struct error *error)
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned length = 0;

	if (EVP_Digest(loaded->canonical, loaded->canonical_length, bytes, &length,
		       EVP_sha256(), NULL) != 1 || length != 32)
		return error_set(error, EIO, "%s: no SHA-256", loaded->path);
	for (unsigned i = 0; i < length; i++)
		snprintf(loaded->profile->sha256 + (size_t)2 * i, 3, "%02x",
			 bytes[i]);
	return 0;
}

static int load(const char *which, struct loaded *loaded, struct error *error)
{
	OWN_MEMORY char *text = NULL;
	size_t length = 0;

	int result = find(which, loaded->path, error);
	if (!result)
		result = untrusted_read(loaded->path, PROFILE_BYTES, &text, &length,
					error);
	if (!result)
		result = profile_parse(loaded->path, text, length,
				       &loaded->profile, error);
	if (!result)
		result = profile_print(loaded->profile, &loaded->canonical,
				       &loaded->canonical_length, error);
	return result ? result : digest(loaded, error);
}

static int check_day(const struct loaded *loaded, struct error *error)
{
	time_t now = time(NULL);
	struct tm day;

	if (!gmtime_r(&now, &day))
		return error_set(error, EOVERFLOW, "the clock is wrong");
	const struct profile_date today = {
		(uint16_t)(day.tm_year + 1900), (uint8_t)(day.tm_mon + 1),
		(uint8_t)day.tm_mday,
	};
	struct error why = { 0 };
	/* It begins with the place: "FILE:6:30: review…". */
	return profile_expired(loaded->profile, today, &why) ?
		       error_set(error, why.code, "%s:%s", loaded->path, why.text) : 0;
}

static int check_one(const char *which)
{
	OWN_LOADED loaded = { .profile = NULL };
	OWN_PLAN *plan = NULL;
	struct error error = { 0 };
	struct plan_layers all;

	/* Whether this machine holds it is explain's question: here everything
	 * is there, so that only the profile itself can be wrong. */
	memset(&all, 1, sizeof(all));
	int result = load(which, &loaded, &error);
	if (!result)
		result = check_day(&loaded, &error);
	if (!result && plan_build(loaded.profile, &all, &plan, &error) < 0)
		result = error_context(&error, "%s", loaded.path);
	if (result)
		return complain(&error);
	printf("%s: ok %s sha256:%s\n", loaded.path, loaded.profile->name,
	       loaded.profile->sha256);
	return 0;
}

static int cmd_check(int count, char **which)
{
	int status = 0;

	for (int i = 0; i < count; i++)
		if (check_one(which[i]))
			status = AMBIT_EXIT_FAILED;
	return status;
}

static int cmd_show(int count, char **which)
{
	OWN_LOADED loaded = { .profile = NULL };
	struct error error = { 0 };

	(void)count;
	if (load(which[0], &loaded, &error) < 0)
		return complain(&error);
	fwrite(loaded.canonical, 1, loaded.canonical_length, stdout);
	return 0;
}

static void print_rows(const struct plan *plan)
{
	int width = 0;

	for (size_t i = 0; i < plan->row_count; i++) {
		int length = (int)strlen(plan->rows[i].clause);
		if (length > width && length <= 56)
			width = length;
	}
	for (size_t i = 0; i < plan->row_count; i++)
		printf("%-*s  %s%s\n", width, plan->rows[i].clause,
		       plan->rows[i].refusal[0] ? "REFUSED: " : "",
		       plan->rows[i].refusal[0] ? plan->rows[i].refusal :
						  plan->rows[i].mechanism);
}

static void print_layers(const struct plan_layers *layers)
{
	puts("\nlayers, as this machine seems to offer them (`ambit doctor` proves "
	     "them):");
#define LAYER_LINE(member, word, required) \
	printf("  %-4s %s%s\n", layers->member ? "yes" : "no", word, \
	       required ? " (required)" : "");
	PLAN_LAYERS(LAYER_LINE)
#undef LAYER_LINE
}

/* What is listed has to be there: the node mounts it. */
static void print_absent(const char *path)
{
	if (access(path, F_OK) < 0)
		printf("\na launch would be refused: files: %s: %s\n", path,
		       strerror(errno));
}

static void print_all_absent(const struct profile *profile)
{
	for (unsigned i = 0; i < profile->files.read_count; i++)
		print_absent(profile->files.read[i]);
	for (unsigned i = 0; i < profile->files.write_count; i++)
		print_absent(profile->files.write[i]);
	for (unsigned i = 0; i < profile->egress_count; i++)
		if (profile->egress[i].kind == PROFILE_ENDPOINT_UNIX)
			print_absent(profile->egress[i].to + strlen("unix:"));
}

static int cmd_explain(int count, char **which)
{
	OWN_LOADED loaded = { .profile = NULL };
	OWN_PLAN *plan = NULL;
	struct error error = { 0 };
	struct plan_layers layers;

	(void)count;
	detect_layers(&layers);
	if (load(which[0], &loaded, &error) < 0)
		return complain(&error);
	if (plan_build(loaded.profile, &layers, &plan, &error) < 0) {
		error_context(&error, "%s", loaded.path);
		return complain(&error);
	}
	printf("%s  sha256:%s\n\n", loaded.profile->name, loaded.profile->sha256);
	print_rows(plan);
	print_layers(&layers);
	if (plan->refused)
		printf("\n%zu of %zu clauses can't be enforced here: a launch would "
		       "be refused\n", plan->refused, plan->row_count);
	print_all_absent(loaded.profile);
	if (check_day(&loaded, &error) < 0)
		printf("\na launch would be refused: %s\n", error.text);
	return 0;
}

static void print_rule(const struct filter_rule *rule)
{
	printf("%s", rule->call);
	for (int i = 0; i < FILTER_CONDITIONS && rule->conditions[i].used; i++) {
		const struct filter_condition *one = &rule->conditions[i];
		printf("%sargument %u", i ? " and " : "  if ", one->argument);
		if (one->used == FILTER_EQUAL)
			printf(" & 0x%llx ==", (unsigned long long)one->mask);
		printf("%s 0x%llx", one->used == FILTER_EQUAL ? "" : " !=",
		       (unsigned long long)one->value);
	}
	putchar('\n');
}

static void print_set(const struct syscall_set *set)
{
	for (size_t i = 0; i < set->rule_count; i++)
		print_rule(&set->rules[i]);
	for (size_t i = 0; set->members && set->members[i]; i++)
		print_set(syscalls_set(set->members[i]));
}

static void print_sets(void)
{
	size_t count;
	const struct syscall_set *sets = syscalls_sets(&count);

	for (size_t i = 0; i < count; i++) {
		printf("%-10s %s", sets[i].name, sets[i].why);
		for (size_t j = 0; sets[i].members && sets[i].members[j]; j++)
			printf("%s%s", j ? " " : ": ", sets[i].members[j]);
		putchar('\n');
	}
}

static int cmd_syscalls(int count, char **which)
{
	static const struct syscalls_node node = { 1, 1 };
	OWN_LOADED loaded = { .profile = NULL };
	OWN_MEMORY struct filter_rule *rules = NULL;
	struct error error = { 0 };
	size_t rule_count = 0;

	if (!count) {
		print_sets();
		return 0;
	}
	if (which[0][0] == '@') {
		const struct syscall_set *set = syscalls_set(which[0]);
		if (!set) {
			error_set(&error, EINVAL, "profile syscalls: %s: no such set",
				  which[0]);
			return complain(&error);
		}
		print_set(set);
		return 0;
	}
	if (load(which[0], &loaded, &error) < 0 ||
	    syscalls_compose(loaded.profile, &node, &rules, &rule_count,
			     &error) < 0)
		return complain(&error);
	for (size_t i = 0; i < rule_count; i++)
		print_rule(&rules[i]);
	return 0;
}

static const struct command {
	const char *name, *arguments, *what;
	int least, most;
	int (*run)(int count, char **arguments);
} commands[] = {
	{ "check", "FILE...", "is it valid, and which version is it", 1, INT_MAX,
	  cmd_check },
	{ "show", "FILE", "the whole profile, defaults filled in", 1, 1, cmd_show },
	{ "explain", "FILE", "each clause, and what holds it here", 1, 1,
	  cmd_explain },
	{ "syscalls", "[SET | FILE]", "the sets, or the calls of one", 0, 1,
	  cmd_syscalls },
};

static void print_usage(FILE *to)
{
	fputs("usage: ambit profile COMMAND ...\n", to);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		fprintf(to, "  %-9s %-13s %s\n", commands[i].name,
			commands[i].arguments, commands[i].what);
	fputs("FILE is a path, or the name of a profile of this machine or of those "
	      "shipped\n", to);
}

int main(int argc, char **argv)
{
	int known = 0;

	if (argc > 1 && (!strcmp(argv[argc - 1], "--help") || !strcmp(argv[1], "help"))) {
		print_usage(stdout);
		return 0;
	}
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++) {
		const struct command *command = &commands[i];
		if (strcmp(command->name, argv[1]))
			continue;
		known = 1;
		if (argc - 2 < command->least || argc - 2 > command->most)
			break;
		int status = command->run(argc - 2, argv + 2);
		/* A full disk or a closed pipe is no success. */
		if (fflush(stdout) == EOF || ferror(stdout)) {
			fprintf(stderr, "ambit: profile: output: %s\n",
				strerror(errno));
			return AMBIT_EXIT_FAILED;
		}
		return status;
	}
	if (argc > 1 && !known)
		fprintf(stderr, "ambit: profile: %s: no such command\n",
			source_quote(argv[1]).text);
	print_usage(stderr);
	return AMBIT_EXIT_USAGE;
}
