/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema and its two readers.  libcyaml loads by it; before that the same
 * tables are walked beside the tree of source.h, because libcyaml's messages
 * carry the place of the token before the wrong one and not what was expected.
 */
#include "schema.h"

#include "profile.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Entries of a list.  What the kernel side holds is checked by plan_build. */
#define LIST_MOST 256
#define PATHS_MOST 32

#define NEEDED CYAML_FLAG_POINTER
#define OPTIONAL (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)

#define TEXT(key, flags, structure, member) \
	CYAML_FIELD_STRING_PTR(key, flags, structure, member, 0, CYAML_UNLIMITED)
#define LIST(key, structure, member, entry, most) \
	CYAML_FIELD_SEQUENCE(key, OPTIONAL, structure, member, entry, 0, most)

static const cyaml_schema_value_t text_value = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED),
};

static const cyaml_schema_field_t review[] = {
	TEXT("approved-by", NEEDED, struct raw_review, approved_by),
	TEXT("by", NEEDED, struct raw_review, by),
	CYAML_FIELD_END
};

/* libcyaml has no mapping of free keys: environment is read from the tree. */
static const cyaml_schema_field_t run[] = {
	LIST("command", struct raw_run, command, &text_value, LIST_MOST),
	TEXT("directory", OPTIONAL, struct raw_run, directory),
	CYAML_FIELD_IGNORE("environment", CYAML_FLAG_OPTIONAL),
	LIST("pass-environment", struct raw_run, pass_environment, &text_value,
	     LIST_MOST),
	TEXT("lifetime", OPTIONAL, struct raw_run, lifetime),
	TEXT("grace", OPTIONAL, struct raw_run, grace),
	CYAML_FIELD_END
};

static const cyaml_schema_field_t limits[] = {
	TEXT("memory", OPTIONAL, struct raw_limits, memory),
	TEXT("processes", OPTIONAL, struct raw_limits, processes),
	TEXT("cpu", OPTIONAL, struct raw_limits, cpu),
	TEXT("open-files", OPTIONAL, struct raw_limits, open_files),
	TEXT("file-size", OPTIONAL, struct raw_limits, file_size),
	CYAML_FIELD_END
};

static const cyaml_schema_field_t files[] = {
	TEXT("system", OPTIONAL, struct raw_files, system),
	LIST("read", struct raw_files, read, &text_value, PATHS_MOST),
	LIST("write", struct raw_files, write, &text_value, PATHS_MOST),
	LIST("execute", struct raw_files, execute, &text_value, PATHS_MOST),
	CYAML_FIELD_END
};

static const cyaml_schema_field_t syscalls[] = {
	TEXT("base", OPTIONAL, struct raw_syscalls, base),
	LIST("allow", struct raw_syscalls, allow, &text_value, LIST_MOST),
	LIST("deny", struct raw_syscalls, deny, &text_value, LIST_MOST),
	CYAML_FIELD_END
};

static const cyaml_schema_field_t endpoint[] = {
	TEXT("to", NEEDED, struct raw_endpoint, to),
	LIST("addresses", struct raw_endpoint, addresses, &text_value,
	     PROFILE_ADDRESSES),
	LIST("ports", struct raw_endpoint, ports, &text_value, LIST_MOST),
	TEXT("protocol", OPTIONAL, struct raw_endpoint, protocol),
	TEXT("tls", OPTIONAL, struct raw_endpoint, tls),
	TEXT("tool", OPTIONAL, struct raw_endpoint, tool),
	CYAML_FIELD_END
};

static const cyaml_schema_value_t endpoint_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_endpoint, endpoint),
};

static const cyaml_schema_field_t credential[] = {
	TEXT("name", NEEDED, struct raw_credential, name),
	TEXT("type", NEEDED, struct raw_credential, type),
	TEXT("audience", OPTIONAL, struct raw_credential, audience),
	TEXT("ttl", OPTIONAL, struct raw_credential, ttl),
	CYAML_FIELD_END
};

static const cyaml_schema_value_t credential_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_credential, credential),
};

static const cyaml_schema_field_t exception[] = {
	TEXT("what", NEEDED, struct raw_exception, what),
	TEXT("why", NEEDED, struct raw_exception, why),
	TEXT("requested-by", NEEDED, struct raw_exception, requested_by),
	TEXT("approved-by", NEEDED, struct raw_exception, approved_by),
	TEXT("until", NEEDED, struct raw_exception, until),
	CYAML_FIELD_END
};

static const cyaml_schema_value_t exception_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_exception, exception),
};

#define PART(key, member, fields) \
	CYAML_FIELD_MAPPING(key, CYAML_FLAG_OPTIONAL, struct raw, member, fields)

static const cyaml_schema_field_t top[] = {
	TEXT("ambit", NEEDED, struct raw, ambit),
	TEXT("name", NEEDED, struct raw, name),
	TEXT("owner", NEEDED, struct raw, owner),
	TEXT("purpose", NEEDED, struct raw, purpose),
	TEXT("tier", NEEDED, struct raw, tier),
	CYAML_FIELD_MAPPING("review", CYAML_FLAG_DEFAULT, struct raw, review,
			    review),
	PART("run", run, run),
	PART("limits", limits, limits),
	PART("files", files, files),
	PART("syscalls", syscalls, syscalls),
	LIST("egress", struct raw, egress, &endpoint_value, AMBIT_EGRESS),
	LIST("listen", struct raw, listen, &text_value, AMBIT_LISTENS),
	LIST("credentials", struct raw, credentials, &credential_value,
	     AMBIT_CREDENTIALS),
	LIST("exceptions", struct raw, exceptions, &exception_value, LIST_MOST),
	CYAML_FIELD_END
};

static const cyaml_schema_value_t profile_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw, top),
};

struct walker {
	const char *file;
	struct error *error;
};

static int shape(const struct walker *walker, const struct source_node *node,
		 const char *path, const cyaml_schema_value_t *value);

static int fail(const struct walker *walker, unsigned line, unsigned column,
		const char *path, const char *expected)
{
	return error_set(walker->error, EINVAL, "%s:%u:%u: %s%s%s", walker->file,
			 line, column, path, *path ? ": " : "", expected);
}

/* 1 if the keys are the same but for "_" in place of "-". */
static int is_near(const char *key, const char *other)
{
	while (*key && (*key == *other || (*key == '_' && *other == '-')))
		key++, other++;
	return *key == *other;
}

static int unknown_key(const struct walker *walker, const struct source_node *node,
		       const char *path, const cyaml_schema_field_t *fields)
{
	char keys[512];
	size_t used = 0;
	const char *near = NULL;

	for (; fields->key; fields++) {
		used += (size_t)snprintf(keys + used, sizeof(keys) - used, "%s%s",
					 used ? ", " : "", fields->key);
		if (is_near(node->key, fields->key))
			near = fields->key;
	}
	return error_set(walker->error, EINVAL,
			 "%s:%u:%u: %s%s%s: no such key: %s%s was expected",
			 walker->file, node->key_line, node->key_column, path,
			 *path ? "." : "", source_quote(node->key).text,
			 near ? "" : "one of ", near ? near : keys);
}

static int shape_mapping(const struct walker *walker, const struct source_node *node,
			 const char *path, const cyaml_schema_field_t *fields)
{
	char below[128];
	const char *dot = *path ? "." : "";

	for (const struct source_node *at = node->first; at; at = at->next) {
		const cyaml_schema_field_t *field = fields;
		while (field->key && strcmp(field->key, at->key))
			field++;
		if (!field->key)
			return unknown_key(walker, at, path, fields);
		snprintf(below, sizeof(below), "%s%s%s", path, dot, field->key);
		int result = shape(walker, at, below, &field->value);
		if (result < 0)
			return result;
	}
	for (; fields->key; fields++) {
		if (fields->value.flags & CYAML_FLAG_OPTIONAL ||
		    source_member(node, fields->key))
			continue;
		snprintf(below, sizeof(below), "%s%s%s", path, dot, fields->key);
		return fail(walker, node->line, node->column, below,
			    "missing: this key is required");
	}
	return 0;
}

static int shape_list(const struct walker *walker, const struct source_node *node,
		      const char *path, const cyaml_schema_value_t *value)
{
	char below[128];
	unsigned index = 0;

	for (const struct source_node *at = node->first; at; at = at->next) {
		snprintf(below, sizeof(below), "%s[%u]", path, index);
		if (index++ == value->sequence.max)
			return error_set(walker->error, EINVAL,
					 "%s:%u:%u: %s: too many: at most %u entries "
					 "were expected", walker->file, at->line,
					 at->column, path, value->sequence.max);
		int result = shape(walker, at, below, value->sequence.entry);
		if (result < 0)
			return result;
	}
	return 0;
}

/* Depth is that of the schema: three levels. */
static int shape(const struct walker *walker, const struct source_node *node,
		 const char *path, const cyaml_schema_value_t *value)
{
	switch (value->type) {
	case CYAML_STRING:
		if (node->kind != SOURCE_SCALAR)
			return fail(walker, node->line, node->column, path,
				    "one value was expected, not several");
		return 0;
	case CYAML_SEQUENCE:
		if (node->kind != SOURCE_LIST)
			return fail(walker, node->line, node->column, path,
				    "a list was expected, as in [a, b]");
		return shape_list(walker, node, path, value);
	case CYAML_MAPPING:
		if (node->kind != SOURCE_MAPPING)
			return fail(walker, node->line, node->column, path,
				    "keys with values were expected, as in "
				    "{key: value}");
		return shape_mapping(walker, node, path, value->mapping.fields);
	default:
		return 0;	/* environment: read by parse.c */
	}
}

/* Nothing: what libcyaml could say here was said by shape, with its place. */
static void quiet(cyaml_log_t level, void *context, const char *format,
		  va_list arguments)
{
	(void)level, (void)context, (void)format, (void)arguments;
}

static const cyaml_config_t loader = {
	.log_fn = quiet,
	.mem_fn = cyaml_mem,
	.log_level = CYAML_LOG_ERROR,
	.flags = CYAML_CFG_NO_ALIAS,
};

int schema_load(const char *file, const struct source_node *source, const char *text,
		size_t length, struct raw **ret_raw, struct error *error)
{
	const struct walker walker = { file, error };
	cyaml_data_t *raw = NULL;

	int result = shape(&walker, source, "", &profile_schema);
	if (result < 0)
		return result;
	cyaml_err_t loaded = cyaml_load_data((const uint8_t *)text, length, &loader,
					     &profile_schema, &raw, NULL);
	if (loaded == CYAML_ERR_OOM)
		return error_errno(error, ENOMEM, "%s", file);
	if (loaded != CYAML_OK || !raw)
		return error_set(error, EINVAL, "%s:1:1: %s", file,
				 loaded ? cyaml_strerror(loaded) : "empty");
	*ret_raw = raw;
	return 0;
}

void schema_free(struct raw *raw)
{
	/* Frees what this file's schema made: it fails only for another one. */
	cyaml_free(&loader, &profile_schema, raw, 0);
}
