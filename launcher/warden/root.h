/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's root, as far as all agents of a profile share it: made once, in
 * the warden's own mount namespace, cloned per launch (0.2 ms instead of some
 * ten mounts).
 */
#ifndef WARDEN_ROOT_H
#define WARDEN_ROOT_H

#include "base/error.h"
#include "profile/profile.h"

/* A place where a listed path will be mounted: its empty stand-in is part of the
 * prepared root. */
struct root_place {
	const char *path;	/* absolute, normal */
	int directory;		/* 0: a file */
};

/*
 * Builds the root below `directory` (made, then a mount point): a read-only
 * tmpfs with the system's files bound or copied in, /dev with its nodes, and
 * empty directories for what ambit-init mounts.  Returns 0 or a negative errno;
 * on failure nothing stays mounted.
 */
int root_prepare(const char *directory, enum profile_system system,
		 const struct root_place *places, size_t place_count,
		 struct error *error);

/* A detached clone of the prepared root; the descriptor is the caller's. */
int root_clone(const char *directory, int *ret_fd, struct error *error);

void root_discard(const char *directory);

/* Where everything agents start from is empty: a mount namespace that holds one
 * tmpfs with the directory /new.  The caller's own namespace is left as it was.
 * *ret_fd is for setns(CLONE_NEWNS). */
int root_empty_namespace(int *ret_fd, struct error *error);

/* One listed path as a detached mount: id-mapped by `user_namespace`, nosuid and
 * nodev, read-only unless `writable`, noexec unless `executable`. */
int root_listed(int path_fd, int user_namespace, int writable, int executable,
		int *ret_fd, struct error *error);

#endif
