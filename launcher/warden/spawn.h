/* SPDX-License-Identifier: Apache-2.0 */
/* Starting processes straight into a cgroup: the only callers of clone3. */
#ifndef WARDEN_SPAWN_H
#define WARDEN_SPAWN_H

#include <stdint.h>
#include <sys/types.h>

#define SPAWN_FIRST 3	/* descriptors 3, 4, … are kept free for children */
#define SPAWN_FDS 8

/* Reserves the places, before anything else is opened: whatever has one of these
 * numbers is closed.  Returns 0 or a negative errno. */
int spawn_reserve(void);

/* Executes the program `executable` (descriptor) in the cgroup `cgroup` (descriptor)
 * with new namespaces `namespaces` (CLONE_NEW…).  fds[0..fd_count) become the
 * descriptors 3, 4, …; 0 to 2 stay, everything else is closed on exec.
 * arguments is NULL-terminated; the environment is empty but for AMBIT_ROOT.
 * *ret_pidfd (may be NULL) is the caller's to close.
 * Returns the pid or a negative errno, also of a failed exec. */
struct spawn {
	int executable;
	int cgroup;
	int mount_namespace;	/* entered first, or -1; and left again */
	uint64_t namespaces;
	const int *fds;
	unsigned fd_count;
	char *const *arguments;
};

pid_t spawn(const struct spawn *spawn, int *ret_pidfd);

#endif
