/* SPDX-License-Identifier: Apache-2.0 */
/* The node's settings: see config.h and ambitd(8). */
#include "config.h"

#include "accounts.h"
#include "base/number.h"
#include "base/own.h"
#include "base/trusted.h"
#include "profile/source.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <sys/stat.h>

#define RESOLVERS 3

static int domain_good(const char *domain)
{
	if (!*domain)
		return 0;
	for (; *domain; domain++)
		if (!islower((unsigned char)*domain) &&
		    !isdigit((unsigned char)*domain) && !strchr(".-_", *domain))
			return 0;
	return 1;
}

static int take_domain(struct config *config, const struct source_node *at,
		       struct error *error)
{
	if (strlen(at->text) >= sizeof(config->trust_domain) || !domain_good(at->text))
		return error_set(error, EINVAL, "at most 255 lower-case letters, "
				 "digits and \".-_\" were expected");
	memcpy(config->trust_domain, at->text, strlen(at->text) + 1);
	return 0;
}

static int take_range(struct config *config, const struct source_node *at,
		      struct error *error)
{
	const char *range = at->text;
	size_t length = strcspn(range, "-");
	uint64_t first, last;

	if (range[length] != '-' ||
	    number_parse(range, length, UINT32_MAX - 1, &first) < 0 ||
	    number_parse(range + length + 1, strlen(range + length + 1),
			 UINT32_MAX - 1, &last) < 0)
		return error_set(error, EINVAL, "FIRST-LAST was expected");
	if (first < 1000 || last < first + AMBIT_UID_AGENTS + 1)
		return error_set(error, EINVAL, "at least %u uids from 1000 on "
				 "were expected", AMBIT_UID_AGENTS + 2);
	config->uid_first = (uint32_t)first;
	config->uid_count = (uint32_t)(last - first + 1);
	return 0;
}

static int take_directory(const struct config *config, const struct source_node *at,
			  char *place, size_t size, struct error *error)
{
	if (at->text[0] != '/')
		return error_set(error, EINVAL, "an absolute path was expected");
	if ((size_t)snprintf(place, size, "%s%s", config->root, at->text) >= size)
		return error_set(error, ENAMETOOLONG, "a shorter path was expected");
	return 0;
}

static int take_log(struct config *config, const struct source_node *at,
		    struct error *error)
{
	return take_directory(config, at, config->log, sizeof(config->log), error);
}

static int take_profiles(struct config *config, const struct source_node *at,
			 struct error *error)
{
	return take_directory(config, at, config->profiles,
			      sizeof(config->profiles), error);
}

/* One that is not an address would be left out in silence. */
static int take_resolvers(struct config *config, const struct source_node *list,
			  struct error *error)
{
	uint8_t address[16];
	size_t used = 0;

	if (list->count < 1 || list->count > RESOLVERS)
		return error_set(error, EINVAL, "1 to %d addresses were expected",
				 RESOLVERS);
	for (const struct source_node *at = list->first; at; at = at->next) {
		if (at->kind != SOURCE_SCALAR)
			return error_set(error, EINVAL, "addresses were expected");
		if (inet_pton(AF_INET, at->text, address) != 1 &&
		    inet_pton(AF_INET6, at->text, address) != 1)
			return error_set(error, EINVAL, "%s: an address was expected",
					 source_quote(at->text).text);
		used += (size_t)snprintf(config->resolvers + used,
					 sizeof(config->resolvers) - used, "%s%s",
					 at == list->first ? "" : ",", at->text);
	}
	return 0;
}

static const struct key {
	const char *name;
	enum source_kind kind;
	const char *kind_text;
	int (*take)(struct config *config, const struct source_node *at,
		    struct error *error);
} keys[] = {
	{ "trust-domain", SOURCE_SCALAR, "a text", take_domain },
	{ "uid-range", SOURCE_SCALAR, "a text", take_range },
	{ "log-directory", SOURCE_SCALAR, "a path", take_log },
	{ "profile-directory", SOURCE_SCALAR, "a path", take_profiles },
	{ "resolvers", SOURCE_LIST, "a list, as in [192.0.2.53],", take_resolvers },
};

static int take(struct config *config, const struct source_node *at,
		struct error *error)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		if (strcmp(at->key, keys[i].name))
			continue;
		return at->kind == keys[i].kind ?
			       keys[i].take(config, at, error) :
			       error_set(error, EINVAL, "%s was expected",
					 keys[i].kind_text);
	}
	return error_set(error, EINVAL, "there is no such key: trust-domain, "
			 "uid-range, log-directory, profile-directory or resolvers "
			 "was expected");
}

/* Comments alone, as packages ship such files. */
static int is_blank(const char *text)
{
	for (; *text; text += strcspn(text, "\n")) {
		text += strspn(text, " \t\r\n");
		if (*text && *text != '#')
			return 0;
	}
	return 1;
}

static int read_file(struct config *config, const char *path,
		     struct error *error)
{
	OWN_MEMORY char *text = NULL;
	struct source_node *root = NULL;
	size_t length = 0;

	int failed = trusted_read(path, 64 << 10, &text, &length, error);
	if (!failed && strlen(text) == length && is_blank(text))
		return 0;
	if (!failed)
		failed = source_read(path, text, length, &root, error);
	if (!failed && root->kind != SOURCE_MAPPING)
		failed = error_set(error, EINVAL, "%s:%u:%u: keys with values were "
				   "expected", path, root->line, root->column);
	for (const struct source_node *at = failed ? NULL : root->first; at && !failed;
	     at = at->next) {
		failed = take(config, at, error);
		if (failed)
			error_context(error, "%s:%u:%u: %s", path, at->key_line,
				      at->key_column, source_quote(at->key).text);
	}
	source_free(root);
	return failed;
}

/* Where this program lies tells where the others are. */
static int find_libexec(struct config *config, struct error *error)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (length < 0)
		return error_errno(error, errno, "/proc/self/exe");
	path[length] = 0;
	*strrchr(path, '/') = 0;
	if (strlen(path) >= sizeof(config->libexec))
		return error_set(error, ENAMETOOLONG, "%s", path);
	memcpy(config->libexec, path, strlen(path) + 1);
	/* PREFIX/libexec/ambit beside PREFIX/share/ambit, or a checkout. */
	static const char *const places[] = { "../../share/ambit/profiles",
					      "../../../profiles" };
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		char place[sizeof(path) + 32];
		snprintf(place, sizeof(place), "%s/%s", path, places[i]);
		OWN_MEMORY char *shown = realpath(place, NULL);
		if (!shown || strlen(shown) >= sizeof(config->shipped))
			continue;
		memcpy(config->shipped, shown, strlen(shown) + 1);
		break;
	}
	return 0;
}

int config_read(struct config *ret_config, struct error *error)
{
	struct config *config = ret_config;
	const char *root = getenv("AMBIT_ROOT");
	char path[320];

	memset(config, 0, sizeof(*config));
	if (root && (root[0] != '/' || strlen(root) >= 200))
		return error_set(error, EINVAL,
				 "AMBIT_ROOT: a short absolute path was expected");
	snprintf(config->root, sizeof(config->root), "%s", root ? root : "");
	const struct {
		const char *path;
		char *place;
		size_t size;
	} directories[] = {
		{ AMBIT_RUN_DIRECTORY, config->run, sizeof(config->run) },
		{ AMBIT_STATE_DIRECTORY, config->state, sizeof(config->state) },
		{ AMBIT_LOG_DIRECTORY, config->log, sizeof(config->log) },
		{ AMBIT_PROFILE_DIRECTORY, config->profiles,
		  sizeof(config->profiles) },
	};
	for (size_t i = 0; i < sizeof(directories) / sizeof(*directories); i++)
		snprintf(directories[i].place, directories[i].size, "%s%s",
			 config->root, directories[i].path);
	config->uid_first = AMBIT_UID_FIRST;
	config->uid_count = AMBIT_UID_COUNT;
	int failed = find_libexec(config, error);
	if (failed)
		return failed;
	snprintf(path, sizeof(path), "%s%s", config->root, AMBIT_NODE_FILE);
	if (access(path, F_OK) == 0 || errno != ENOENT)
		failed = read_file(config, path, error);
	return failed ? failed :
			accounts_check(config->uid_first, config->uid_count, error);
}
