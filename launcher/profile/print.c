/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The canonical text of a profile: see profile_print.  Two profiles that mean
 * the same print the same, and their digest is taken from this text, so a change
 * here changes every digest.
 */
#include "profile.h"
#include "words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Always in double quotes: no text is ever read as another kind of value. */
static void put_text(FILE *to, const char *text)
{
	static const struct {
		char letter;
		const char *escaped;
	} escapes[] = {
		{ '"', "\\\"" }, { '\\', "\\\\" },
		{ '\n', "\\n" }, { '\r', "\\r" }, { '\t', "\\t" },
	};

	putc('"', to);
	for (; *text; text++) {
		size_t i = 0, count = sizeof(escapes) / sizeof(*escapes);
		while (i < count && escapes[i].letter != *text)
			i++;
		if (i < count)
			fputs(escapes[i].escaped, to);
		else
			putc(*text, to);
	}
	putc('"', to);
}

static void put_key(FILE *to, const char *key, const char *text)
{
	fprintf(to, "%s: ", key);
	put_text(to, text);
	putc('\n', to);
}

static void put_list(FILE *to, const char *key, char *const *list, unsigned count)
{
	fprintf(to, "  %s: [", key);
	for (unsigned i = 0; i < count; i++) {
		fputs(i ? ", " : "", to);
		put_text(to, list[i]);
	}
	fputs("]\n", to);
}

static void put_date(FILE *to, const char *key, struct profile_date date)
{
	fprintf(to, "%s: %04u-%02u-%02u\n", key, date.year, date.month, date.day);
}

static void put_number(FILE *to, const char *key, uint64_t value,
		       void (*print)(uint64_t value, char text[WORD_SIZE]))
{
	char text[WORD_SIZE] = "unlimited";

	if (value != PROFILE_UNLIMITED)
		print(value, text);
	fprintf(to, "  %s: %s\n", key, text);
}

static void print_count(uint64_t value, char text[WORD_SIZE])
{
	snprintf(text, WORD_SIZE, "%llu", (unsigned long long)value);
}

static void print_percent(uint64_t value, char text[WORD_SIZE])
{
	snprintf(text, WORD_SIZE, "%llu%%", (unsigned long long)value);
}

static void put_head(FILE *to, const struct profile *profile)
{
	static const char *const tiers[] = { "low", "medium", "high" };

	fputs("ambit: 1\n", to);
	put_key(to, "name", profile->name);
	put_key(to, "owner", profile->owner);
	put_key(to, "purpose", profile->purpose);
	fprintf(to, "tier: %s\nreview:\n", tiers[profile->tier]);
	put_key(to, "  approved-by", profile->review.approved_by);
	put_date(to, "  by", profile->review.by);
}

static void put_run(FILE *to, const struct profile *profile)
{
	fputs("run:\n", to);
	put_list(to, "command", profile->run.command, profile->run.command_count);
	if (profile->run.directory[0])
		put_key(to, "  directory", profile->run.directory);
	else
		fputs("  directory: home\n", to);
	fputs(profile->run.environment_count ? "  environment:\n" :
					       "  environment: {}\n", to);
	for (unsigned i = 0; i < profile->run.environment_count; i++) {
		fputs("    ", to);
		put_text(to, profile->run.environment[i].name);
		put_key(to, "", profile->run.environment[i].value);
	}
	put_list(to, "pass-environment", profile->run.pass_environment,
		 profile->run.pass_environment_count);
	put_number(to, "lifetime", profile->run.lifetime, word_print_duration);
	put_number(to, "grace", profile->run.grace, word_print_duration);
}

static void put_bounds(FILE *to, const struct profile *profile)
{
	fputs("limits:\n", to);
	put_number(to, "memory", profile->limits.memory, word_print_size);
	put_number(to, "processes", profile->limits.processes, print_count);
	put_number(to, "cpu", profile->limits.cpu, print_percent);
	put_number(to, "open-files", profile->limits.open_files, print_count);
	put_number(to, "file-size", profile->limits.file_size, word_print_size);
	fprintf(to, "files:\n  system: %s\n",
		profile->files.system == PROFILE_SYSTEM_NONE ? "none" : "standard");
	put_list(to, "read", profile->files.read, profile->files.read_count);
	put_list(to, "write", profile->files.write, profile->files.write_count);
	put_list(to, "execute", profile->files.execute,
		 profile->files.execute_count);
	fputs("syscalls:\n", to);
	put_key(to, "  base", profile->syscalls.base);
	put_list(to, "allow", profile->syscalls.allow,
		 profile->syscalls.allow_count);
	put_list(to, "deny", profile->syscalls.deny, profile->syscalls.deny_count);
}

static void put_endpoint(FILE *to, const struct profile_endpoint *endpoint)
{
	char text[WORD_SIZE];

	put_key(to, "  - to", endpoint->to);
	/* Only where there are some: profiles without keep their digest. */
	for (unsigned i = 0; i < endpoint->address_count; i++)
		fprintf(to, "%s\"%s\"%s", i ? ", " : "    addresses: [",
			endpoint->addresses[i].text,
			i + 1 == endpoint->address_count ? "]\n" : "");
	if (endpoint->kind != PROFILE_ENDPOINT_UNIX) {
		fputs("    ports: [", to);
		for (unsigned i = 0; i < endpoint->port_count; i++) {
			word_print_ports(endpoint->ports[i], text);
			fprintf(to, "%s%s", i ? ", " : "", text);
		}
		fprintf(to, "]\n    protocol: %s\n    tls: %s\n",
			endpoint->protocol == PROFILE_UDP ? "udp" : "tcp",
			endpoint->tls == PROFILE_TLS_REQUIRED ? "required" : "off");
	}
	if (endpoint->tool[0])
		put_key(to, "    tool", endpoint->tool);
}

static void put_network(FILE *to, const struct profile *profile)
{
	char text[WORD_SIZE];

	fputs(profile->egress_count ? "egress:\n" : "egress: []\n", to);
	for (unsigned i = 0; i < profile->egress_count; i++)
		put_endpoint(to, &profile->egress[i]);
	fputs("listen: [", to);
	for (unsigned i = 0; i < profile->listen_count; i++) {
		word_print_listen(&profile->listen[i], text);
		fprintf(to, "%s\"%s\"", i ? ", " : "", text);
	}
	fputs("]\n", to);
}

static void put_tail(FILE *to, const struct profile *profile)
{
	char ttl[WORD_SIZE];

	fputs(profile->credential_count ? "credentials:\n" : "credentials: []\n", to);
	for (unsigned i = 0; i < profile->credential_count; i++) {
		const struct profile_credential *at = &profile->credentials[i];
		word_print_duration(at->ttl, ttl);
		put_key(to, "  - name", at->name);
		fprintf(to, "    type: %s\n", at->type == PROFILE_JWT_SVID ?
					      "jwt-svid" : "x509-svid");
		if (at->type == PROFILE_JWT_SVID)
			put_key(to, "    audience", at->audience);
		fprintf(to, "    ttl: %s\n", ttl);
	}
	fputs(profile->exception_count ? "exceptions:\n" : "exceptions: []\n", to);
	for (unsigned i = 0; i < profile->exception_count; i++) {
		const struct profile_exception *at = &profile->exceptions[i];
		put_key(to, "  - what", at->what);
		put_key(to, "    why", at->why);
		put_key(to, "    requested-by", at->requested_by);
		put_key(to, "    approved-by", at->approved_by);
		put_date(to, "    until", at->until);
	}
}

int profile_print(const struct profile *profile, char **ret_text,
		  size_t *ret_length, struct error *error)
{
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);

	if (!to)
		return error_errno(error, ENOMEM, "profile");
	put_head(to, profile);
	put_run(to, profile);
	put_bounds(to, profile);
	put_network(to, profile);
	put_tail(to, profile);
	int failed = ferror(to);
	failed |= fclose(to);
	if (failed) {
		free(text);
		return error_errno(error, ENOMEM, "profile");
	}
	*ret_text = text;
	*ret_length = length;
	return 0;
}
