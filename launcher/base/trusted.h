/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading files that decide about others' bounds.  A file is trusted when only
 * root can have written it: checked on descriptors, from "/" down, so that
 * nothing can be swapped between the check and the reading.
 */
#ifndef BASE_TRUSTED_H
#define BASE_TRUSTED_H

#include "error.h"

#include <stddef.h>

/* Opens `path`, which is absolute, for reading: a regular file, root's, not
 * writable by group or others, reached through no symbolic link and through
 * directories of root that others cannot write (or that are sticky).  Returns 0
 * or a negative errno with "PATH: why" in `error`. */
int trusted_open(const char *path, int *ret_fd, struct error *error);

/* As trusted_open, then reads all of it; more than `limit` bytes are refused
 * (E2BIG).  *ret_text is the caller's to free; a zero stands behind it. */
int trusted_read(const char *path, size_t limit, char **ret_text,
		 size_t *ret_length, struct error *error);

/* As trusted_read for a file that is only looked at: whoever owns it, it must be
 * regular and within `limit`. */
int untrusted_read(const char *path, size_t limit, char **ret_text,
		   size_t *ret_length, struct error *error);

#endif
