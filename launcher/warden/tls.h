/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel programs need for `tls: required`: the server names that the
 * entries of a profile stand for, written once per profile, and the other way the
 * sockets that they refused.
 */
#ifndef WARDEN_TLS_H
#define WARDEN_TLS_H

#include "kernel.h"
#include "profile/profile.h"

/* The number under which the names of a profile with this canonical text are
 * kept.  The same before and after a restart of the warden. */
uint64_t tls_number(const struct profile *profile);

/* Writes or removes the names of the profile's entries with `tls: required`.
 * After a failure some may be there. */
int tls_add_names(struct kernel *kernel, const struct profile *profile,
		  struct error *error);
void tls_remove_names(struct kernel *kernel, const struct profile *profile);

/* One name, for the proof. */
int tls_add_name(struct kernel *kernel, uint64_t number, uint16_t entry,
		 const char *name, struct error *error);
void tls_remove_name(struct kernel *kernel, uint64_t number, uint16_t entry,
		     const char *name);

/* Removes the names of every profile number for which `keep` says 0: what a
 * warden left that was killed. */
int tls_sweep_names(struct kernel *kernel,
		    int (*keep)(void *owner, uint64_t number), void *owner,
		    struct error *error);

/* A descriptor that is readable while refused sockets wait; the kernel object's
 * own. */
int tls_condemned(const struct kernel *kernel);

/* Destroys sockets that wait, some tens at most; the descriptor stays readable while
 * there are more. */
void tls_execute(struct kernel *kernel);

#endif
