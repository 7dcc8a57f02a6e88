/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The warden's own mount namespace, and the way back into it.  setns(2) leaves the
 * caller at the root of the namespace it entered; a node that was started in a
 * chroot has its root further down.
 */
#ifndef WARDEN_HOME_H
#define WARDEN_HOME_H

#include "base/error.h"

#include <sys/types.h>

/* A mount namespace of our own from here on.  Mounts of the host still arrive, ours
 * do not leave. */
int home_make(struct error *error);

/* Back from another mount namespace.  Ends the process where that fails: it would
 * open the wrong files. */
void home_return(void);

/* Out of the chroot and in again, around what the kernel refuses there: new user
 * namespaces.  Nothing where there is no chroot. */
int home_out(void);
void home_in(void);

/* Moves the calling process to the root of its mount namespace, out of a chroot. */
int home_top(void);

/* For good into the mount namespace of `pid`, and to its root. */
int home_leave(pid_t pid);

#endif
