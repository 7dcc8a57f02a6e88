/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of a profile, as libcyaml's schema, and what it loads: every value
 * still as the text that was written.  YAML's own guesses (no is false, 010 is
 * eight) never happen; words.h reads the texts.
 */
#ifndef PROFILE_SCHEMA_H
#define PROFILE_SCHEMA_H

#include "../base/error.h"
#include "source.h"

#include <stddef.h>

struct raw_review {
	char *approved_by, *by;
};

struct raw_run {
	char **command;
	unsigned command_count;
	char *directory;
	char **pass_environment;
	unsigned pass_environment_count;
	char *lifetime, *grace;
};

struct raw_limits {
	char *memory, *processes, *cpu, *open_files, *file_size;
};

struct raw_files {
	char *system;
	char **read, **write, **execute;
	unsigned read_count, write_count, execute_count;
};

struct raw_syscalls {
	char *base;
	char **allow, **deny;
	unsigned allow_count, deny_count;
};

struct raw_endpoint {
	char *to;
	char **addresses;
	unsigned addresses_count;
	char **ports;
	unsigned ports_count;
	char *protocol, *tls, *tool;
};

struct raw_credential {
	char *name, *type, *audience, *ttl;
};

struct raw_exception {
	char *what, *why, *requested_by, *approved_by, *until;
};

struct raw {
	char *ambit, *name, *owner, *purpose, *tier;
	struct raw_review review;
	struct raw_run run;
	struct raw_limits limits;
	struct raw_files files;
	struct raw_syscalls syscalls;
	struct raw_endpoint *egress;
	unsigned egress_count;
	char **listen;
	unsigned listen_count;
	struct raw_credential *credentials;
	unsigned credentials_count;
	struct raw_exception *exceptions;
	unsigned exceptions_count;
};

/* Holds `source` to the schema, then has libcyaml load `text`, from which it was
 * read.  Keys that were not given are NULL or empty. */
int schema_load(const char *file, const struct source_node *source, const char *text,
		size_t length, struct raw **ret_raw, struct error *error);

void schema_free(struct raw *raw);

#endif
