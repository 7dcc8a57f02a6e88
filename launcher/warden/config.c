/* SPDX-License-Identifier: Apache-2.0 */
/* The node's settings: see config.h and ambitd(8). */
#include "config.h"

#include "base/number.h"
#include "base/own.h"
#include "base/trusted.h"

#include <arpa/inet.h>
#include <cyaml/cyaml.h>
#include <ctype.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

struct node_file {
	char *trust_domain;
	char *uid_range;
	char *log_directory;
	char *profile_directory;
	char **resolvers;
	unsigned resolvers_count;
};

#define TEXT(key, member, most)                                      \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER |             \
			       CYAML_FLAG_OPTIONAL, struct node_file, \
			       member, 1, most)

static const cyaml_schema_value_t resolver = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 2, INET6_ADDRSTRLEN),
};

static const cyaml_schema_field_t fields[] = {
	TEXT("trust-domain", trust_domain, 255),
	TEXT("uid-range", uid_range, 32),
	TEXT("log-directory", log_directory, 255),
	TEXT("profile-directory", profile_directory, 255),
	CYAML_FIELD_SEQUENCE("resolvers", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			     struct node_file, resolvers, &resolver, 1, 3),
	CYAML_FIELD_END
};

static const cyaml_schema_value_t schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct node_file, fields),
};

/* libcyaml tells what is wrong in several lines; the first says the most. */
static void keep_first(cyaml_log_t level, void *context, const char *format,
		       va_list arguments)
{
	struct error *error = context;

	if (level < CYAML_LOG_ERROR || error->code)
		return;
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	error->text[strcspn(error->text, "\n")] = 0;
	error->code = EINVAL;
}

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

static int take_range(struct config *config, const char *range,
		      struct error *error)
{
	size_t length = strcspn(range, "-");
	uint64_t first, last;

	if (range[length] != '-' ||
	    number_parse(range, length, UINT32_MAX - 1, &first) < 0 ||
	    number_parse(range + length + 1, strlen(range + length + 1),
			 UINT32_MAX - 1, &last) < 0)
		return error_set(error, EINVAL,
				 "uid-range: FIRST-LAST was expected");
	if (first < 1000 || last < first + AMBIT_UID_AGENTS + 1)
		return error_set(error, EINVAL,
				 "uid-range: at least %u uids from 1000 on",
				 AMBIT_UID_AGENTS + 2);
	config->uid_first = (uint32_t)first;
	config->uid_count = (uint32_t)(last - first + 1);
	return 0;
}

/* One that is not an address would be left out in silence. */
static int take_resolvers(struct config *config, const struct node_file *file,
			  struct error *error)
{
	uint8_t address[16];
	size_t used = 0;

	for (unsigned i = 0; i < file->resolvers_count; i++) {
		if (inet_pton(AF_INET, file->resolvers[i], address) != 1 &&
		    inet_pton(AF_INET6, file->resolvers[i], address) != 1)
			return error_set(error, EINVAL, "resolvers: %.40s: an "
					 "address was expected",
					 file->resolvers[i]);
		used += (size_t)snprintf(config->resolvers + used,
					 sizeof(config->resolvers) - used, "%s%s",
					 i ? "," : "", file->resolvers[i]);
	}
	return 0;
}

static int take(struct config *config, const struct node_file *file,
		struct error *error)
{
	const struct {
		const char *key, *value;
		char *place;
		size_t size;
	} directories[] = {
		{ "log-directory", file->log_directory, config->log,
		  sizeof(config->log) },
		{ "profile-directory", file->profile_directory,
		  config->profiles, sizeof(config->profiles) },
	};

	if (file->trust_domain && !domain_good(file->trust_domain))
		return error_set(error, EINVAL,
				 "trust-domain: lower-case letters, digits and "
				 "\".-_\" were expected");
	if (file->trust_domain)
		snprintf(config->trust_domain, sizeof(config->trust_domain),
			 "%s", file->trust_domain);
	for (size_t i = 0; i < 2; i++) {
		if (!directories[i].value)
			continue;
		if (directories[i].value[0] != '/')
			return error_set(error, EINVAL,
					 "%s: an absolute path was expected",
					 directories[i].key);
		snprintf(directories[i].place, directories[i].size, "%s%s",
			 config->root, directories[i].value);
	}
	int failed = take_resolvers(config, file, error);
	if (failed || !file->uid_range)
		return failed;
	return take_range(config, file->uid_range, error);
}

static int read_file(struct config *config, const char *path,
		     struct error *error)
{
	OWN_MEMORY char *text = NULL;
	struct node_file *file = NULL;
	size_t length = 0;
	cyaml_config_t yaml = {
		.log_fn = keep_first, .log_ctx = error,
		.mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR,
		.flags = CYAML_CFG_NO_ALIAS,
	};

	int failed = trusted_read(path, 64 << 10, &text, &length, error);
	if (failed)
		return failed;
	cyaml_err_t result = cyaml_load_data((const uint8_t *)text, length, &yaml,
					     &schema, (cyaml_data_t **)&file,
					     NULL);
	if (result != CYAML_OK) {
		error_set(error, EINVAL, "%s", cyaml_strerror(result));
		return error_context(error, "%s", path);
	}
	failed = take(config, file, error);
	cyaml_free(&yaml, &schema, file, 0);
	return failed ? error_context(error, "%s", path) : 0;
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
	snprintf(config->shipped, sizeof(config->shipped),
		 "%.400s/../../share/ambit/profiles", path);
	if (access(config->shipped, F_OK) < 0)
		snprintf(config->shipped, sizeof(config->shipped),
			 "%.400s/../../../profiles", path);
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
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	return read_file(config, path, error);
}
