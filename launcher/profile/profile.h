/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profile: text in, validated structure out.  Pure: no system calls, no
 * globals.  The keys are those of ambit-profile(5); every limit stands in the
 * schema table of schema.c.
 *
 * A profile owns all of its memory; profile_free releases it.  Pointers inside
 * are never NULL where the comment does not say so.
 */
#ifndef PROFILE_PROFILE_H
#define PROFILE_PROFILE_H

#include "../base/error.h"

#include <ambit/kernel.h>
#include <ambit/node.h>
#include <stddef.h>
#include <stdint.h>

#define PROFILE_BYTES (1U << 20)	/* larger files are refused */
#define PROFILE_UNLIMITED UINT64_MAX

enum profile_tier { PROFILE_TIER_LOW, PROFILE_TIER_MEDIUM, PROFILE_TIER_HIGH };
enum profile_system { PROFILE_SYSTEM_STANDARD, PROFILE_SYSTEM_NONE };
enum profile_protocol { PROFILE_TCP, PROFILE_UDP };
enum profile_tls { PROFILE_TLS_DEFAULT, PROFILE_TLS_REQUIRED, PROFILE_TLS_OFF };
enum profile_credential_type { PROFILE_X509_SVID, PROFILE_JWT_SVID };

struct profile_pair {
	char *name;
	char *value;
};

/* A civil date, checked: 1970-01-01 .. 9999-12-31. */
struct profile_date {
	uint16_t year;
	uint8_t month, day;
};

/* Of a value in its file, from 1. */
struct profile_place {
	unsigned line, column;
};

struct profile_ports {
	uint16_t low, high;	/* inclusive, 1..65535 */
};

enum profile_endpoint_kind {
	PROFILE_ENDPOINT_ADDRESS,	/* one address: prefix 128 */
	PROFILE_ENDPOINT_BLOCK,		/* a CIDR, host bits zero */
	PROFILE_ENDPOINT_NAME,		/* a DNS name, or one "*." label in front */
	PROFILE_ENDPOINT_UNIX,		/* an absolute path */
};

struct profile_block {
	uint8_t address[16];	/* IPv4 as ::ffff:a.b.c.d; host bits zero */
	uint8_t prefix;		/* of the 128 bits */
	char text[56];		/* canonical; without a prefix for one address */
};

#define PROFILE_ADDRESSES 8	/* blocks of one name */

struct profile_endpoint {
	enum profile_endpoint_kind kind;
	char *to;		/* canonical text */
	uint8_t address[16];	/* ADDRESS, BLOCK: as in struct profile_block */
	uint8_t prefix;
	struct profile_block *addresses;	/* NAME: where private answers
						 * may lie */
	unsigned address_count;
	struct profile_ports *ports;
	unsigned port_count;
	enum profile_protocol protocol;
	enum profile_tls tls;
	char *tool;		/* "" if not given */
	unsigned line;		/* of the entry in its file */
};

struct profile_listen {
	struct profile_ports ports;
	enum profile_protocol protocol;
	int anywhere;		/* 0: loopback only */
	unsigned line;
};

struct profile_credential {
	char *name;
	enum profile_credential_type type;
	char *audience;		/* "" for an X509-SVID */
	uint32_t ttl;		/* seconds */
	unsigned line;
};

struct profile_exception {
	char *what, *why, *requested_by, *approved_by;
	struct profile_date until;
	struct profile_place place;	/* of until */
};

struct profile {
	char *name, *owner, *purpose;
	enum profile_tier tier;
	struct {
		char *approved_by;
		struct profile_date by;
		struct profile_place place;	/* of by */
	} review;
	struct {
		char **command;		/* command_count may be 0 */
		unsigned command_count;
		char *directory;	/* "" : the private home */
		struct profile_pair *environment;
		unsigned environment_count;
		char **pass_environment;
		unsigned pass_environment_count;
		uint64_t lifetime;	/* seconds, PROFILE_UNLIMITED if none */
		uint64_t grace;		/* seconds */
	} run;
	struct {
		uint64_t memory;	/* bytes, PROFILE_UNLIMITED if not given */
		uint64_t processes;	/* threads count; default 64 */
		uint64_t cpu;		/* percent of one CPU, PROFILE_UNLIMITED */
		uint64_t open_files;	/* default 1024 */
		uint64_t file_size;	/* bytes, default 1 GiB */
	} limits;
	struct {
		enum profile_system system;
		char **read, **write, **execute;	/* absolute, normal paths */
		unsigned read_count, write_count, execute_count;
	} files;
	struct {
		char *base;		/* a named set, with its @ */
		char **allow, **deny;	/* calls or named sets */
		unsigned allow_count, deny_count;
	} syscalls;
	struct profile_endpoint *egress;
	unsigned egress_count;
	struct profile_listen *listen;
	unsigned listen_count;
	struct profile_credential *credentials;
	unsigned credential_count;
	struct profile_exception *exceptions;
	unsigned exception_count;
	char sha256[AMBIT_HASH_SIZE];	/* of the canonical text; "" until the
					 * caller, who has the hash, fills it in */
};

/* Reads `length` bytes of YAML.  `file` is only for messages, which read
 * "FILE:LINE:COLUMN: what: what was expected".  Returns 0, or a negative errno
 * (EINVAL for everything about the text, E2BIG, ENOMEM). */
int profile_parse(const char *file, const char *text, size_t length,
		  struct profile **ret_profile, struct error *error);

/* The canonical text: every key, defaults filled in, fixed order, YAML that
 * profile_parse reads back to an equal profile.  *ret_text is the caller's to
 * free; zero-terminated, *ret_length without the zero. */
int profile_print(const struct profile *profile, char **ret_text,
		  size_t *ret_length, struct error *error);

/* Whether the review day or an exception has passed on the day `today`.
 * Returns 0, or -EKEYEXPIRED with "LINE:COLUMN: clause: why" in `error`. */
int profile_expired(const struct profile *profile, struct profile_date today,
		    struct error *error);

/* 1 if all of address/prefix lies in the block. */
int profile_block_holds(const struct profile_block *block,
			const uint8_t address[16], unsigned prefix);

void profile_free(struct profile *profile);

#endif
