/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of a profile's values: each is read by one function here and, where
 * its canonical form is not the text itself, printed by one.  Readers return 0,
 * -EINVAL for what is not such a word, -ERANGE for one that is too small or too
 * large; they write only on success.
 */
#ifndef PROFILE_WORDS_H
#define PROFILE_WORDS_H

#include "profile.h"

#define WORD_SIZE 64	/* room for any printed word but an endpoint */

/* "90s", "10m", "2h", "1d" in seconds. */
int word_duration(const char *text, uint64_t *ret_seconds);
void word_print_duration(uint64_t seconds, char text[WORD_SIZE]);

/* "64K", "512M", "1G", "2T" in bytes, powers of 1024. */
int word_size(const char *text, uint64_t *ret_bytes);
void word_print_size(uint64_t bytes, char text[WORD_SIZE]);

/* "150%". */
int word_percent(const char *text, uint64_t *ret_percent);

/* "2027-03-31", a day of the calendar. */
int word_date(const char *text, struct profile_date *ret_date);

/* "443" or "8000-8100". */
int word_ports(const char *text, size_t length, struct profile_ports *ret_ports);
void word_print_ports(struct profile_ports ports, char text[WORD_SIZE]);

/* "8080", "8000-8010/udp", "0.0.0.0:80", "[::]:80", "127.0.0.1:80". */
int word_listen(const char *text, struct profile_listen *ret_listen);
void word_print_listen(const struct profile_listen *listen, char text[WORD_SIZE]);

/* [a-z0-9-]{1,63}, no "-" first or last. */
int word_name(const char *text);

/* An absolute path without "//", "." or ".." parts and without "/" last. */
int word_path(const char *text);

/* 1 if `path` is `directory` or below it. */
int word_path_in(const char *path, const char *directory);

/* An address or a CIDR block.  On failure *ret_expected says what was; 1: it is
 * neither at all. */
int word_block(const char *text, struct profile_block *ret_block,
	       const char **ret_expected);

/* A block in which the answers for a name may lie: private, and nothing that only
 * an entry for the one address admits. */
int word_private(const char *text, struct profile_block *ret_block,
		 const char **ret_expected);

/* An address, a CIDR block, a DNS name or unix:/path.  Fills in kind, to
 * (allocated), address and prefix.  On failure *ret_expected says what was. */
int word_endpoint(const char *text, struct profile_endpoint *endpoint,
		  const char **ret_expected);

#endif
