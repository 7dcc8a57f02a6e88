/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls by purpose: the named sets of ambit-profile(5), what no profile
 * may add, and the list that one profile comes to.
 */
#ifndef PROFILE_SYSCALLS_H
#define PROFILE_SYSCALLS_H

#include "../base/filter.h"
#include "profile.h"

struct syscall_set {
	const char *name;			/* with its @ */
	const char *why;			/* one line for people */
	const struct filter_rule *rules;	/* NULL: made of other sets */
	size_t rule_count;
	const char *const *members;		/* names of sets, NULL-terminated */
};

/* All sets, in the order in which they are printed. */
const struct syscall_set *syscalls_sets(size_t *ret_count);
const struct syscall_set *syscalls_set(const char *name);

/* Refusals that hold for every profile, whatever it allows; with `pinned` those too
 * that a profile with tls: required needs. */
const struct filter_rule *syscalls_refusals(int pinned, size_t *ret_count);

/* Why `name`, a call or a set, can't stand in syscalls.allow (`allow`), or in
 * syscalls.deny; NULL if it can. */
const char *syscalls_wrong(const char *name, int allow);

/* What this node leaves out of every list. */
struct syscalls_node {
	int memory_files;	/* memfd_create can't make what is executable */
	int unix_sockets;	/* connects to unix sockets are decided by a hook */
};

/* The allow-list of `profile`: base, allow, listen if it lists ports, then less
 * deny.  *ret_rules is the caller's to free. */
int syscalls_compose(const struct profile *profile,
		     const struct syscalls_node *node,
		     struct filter_rule **ret_rules, size_t *ret_count,
		     struct error *error);

#endif
