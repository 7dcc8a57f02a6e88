/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup v2 as the warden uses it: one parent, one leaf per agent or process. */
#ifndef WARDEN_CGROUP_H
#define WARDEN_CGROUP_H

#include "base/error.h"

#include <stdint.h>

/* X(member, name): controllers the product knows limits for. */
#define CGROUP_CONTROLLERS(X) X(memory, "memory") X(pids, "pids") X(cpu, "cpu")

struct cgroup_tree {
	char path[512];		/* of the parent: MOUNT/ambit */
	char name[64];		/* of the parent: ambit */
	int fd;			/* of the parent */
#define CGROUP_MEMBER(member, word) uint8_t member;
	CGROUP_CONTROLLERS(CGROUP_MEMBER)	/* 1: agents can be limited by it */
#undef CGROUP_MEMBER
};

struct cgroup_limits {
	uint64_t memory;	/* bytes, UINT64_MAX: none */
	uint64_t processes;	/* UINT64_MAX: none */
	uint64_t cpu;		/* percent of one CPU, UINT64_MAX: none */
};

/* Finds cgroup2 in mountinfo (it may be a second tree on a hybrid host), makes
 * the parent `name` (or takes it over) and hands down the controllers. */
int cgroup_open(const char *name, struct cgroup_tree *ret_tree,
		struct error *error);

/* Makes the leaf `name`; *ret_fd is the caller's to close, *ret_id is the id that
 * kernel programs see.  EEXIST is an error unless `adopt`. */
int cgroup_make(const struct cgroup_tree *tree, const char *name, int adopt,
		int *ret_fd, uint64_t *ret_id, struct error *error);

/* Only what the caller asks for is written, and a controller that is missing is
 * an error (ENOTSUP) that names it. */
int cgroup_limit(const struct cgroup_tree *tree, int fd,
		 const struct cgroup_limits *limits, struct error *error);

/* Kills every process of the leaf; the kernel does it even while they fork. */
int cgroup_kill(int fd);

/* The same, and waits until each of them has ended. */
void cgroup_end(int fd);

/* Waits for processes that have left a leaf which is removed, and are about to
 * end. */
int cgroup_settle(const struct cgroup_tree *tree);

/* Waits until no process is in the leaf: 0, -ETIMEDOUT, or another negative errno. */
int cgroup_await(int fd, int ms);

/* 1 while processes are in the leaf, 0 when not, negative errno. */
int cgroup_populated(int fd);

/* 1 if `pid` is a member of the leaf. */
int cgroup_has(int fd, int pid);

int cgroup_remove(const struct cgroup_tree *tree, const char *name);

/* Removes the parent; it must be empty. */
int cgroup_close(struct cgroup_tree *tree);

#endif
