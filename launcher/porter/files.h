/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of one credential in an agent's directory: which there are, written
 * under temporary names, put in place by rename, taken away.  Everything goes
 * through the directory's descriptor.  The bytes go from the sealed memfd to the
 * file inside the kernel: no key is ever in this process's memory.
 */
#ifndef PORTER_FILES_H
#define PORTER_FILES_H

#include <ambit/message.h>
#include <sys/types.h>

enum files_kind { FILES_X509, FILES_JWT, FILES_KINDS };

/* Returns 0, or -EINVAL if there is no such type. */
int files_kind(const char *type, enum files_kind *ret_kind);

/* 1 if a credential may have this name: [a-z0-9-], so that no two credentials
 * share a file and none hides. */
int files_name_valid(const char *name);

/* Checks that the directory is ours, closed to others, and hands its group to
 * what is made in it.  Returns 0 or a negative errno. */
int files_check_directory(int directory, uid_t uid);

/* Writes all of a credential's files under their temporary names. */
int files_prepare(int directory, const char *name, enum files_kind kind, int from,
		  const uint32_t part[3]);

/* Renames them into place; on failure what is left of them is removed. */
int files_publish(int directory, const char *name, enum files_kind kind);

/* Removes those not yet in place; those in place.  Missing ones are no error. */
int files_discard(int directory, const char *name, enum files_kind kind);
int files_remove(int directory, const char *name, enum files_kind kind);

#endif
