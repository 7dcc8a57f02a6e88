/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of struct kernel: maps and programs as descriptors, and how they get
 * there, by loading and pinning or by taking over what is pinned.  For kernel.c
 * alone; everybody else sees kernel.h.
 */
#ifndef WARDEN_PINS_H
#define WARDEN_PINS_H

#include "base/error.h"

#include <ambit/kernel.h>
#include <limits.h>
#include <stdint.h>

/* enum bpf_attach_type has them since 6.7, the headers of Debian 12 do not. */
#define UNIX_CONNECT_HOOK 49
#define UNIX_SENDMSG_HOOK 50

/* X(name, attach type, is unix): the hooks.  For each the object has the programs
 * leaf_NAME and wall_NAME. */
#define KERNEL_HOOKS(X)                             \
	X(connect4, BPF_CGROUP_INET4_CONNECT, 0)    \
	X(connect6, BPF_CGROUP_INET6_CONNECT, 0)    \
	X(sendmsg4, BPF_CGROUP_UDP4_SENDMSG, 0)     \
	X(sendmsg6, BPF_CGROUP_UDP6_SENDMSG, 0)     \
	X(recvmsg4, BPF_CGROUP_UDP4_RECVMSG, 0)     \
	X(peer4, BPF_CGROUP_INET4_GETPEERNAME, 0)   \
	X(bind4, BPF_CGROUP_INET4_BIND, 0)          \
	X(bind6, BPF_CGROUP_INET6_BIND, 0)          \
	X(create, BPF_CGROUP_INET_SOCK_CREATE, 0)   \
	X(release, BPF_CGROUP_INET_SOCK_RELEASE, 0) \
	X(option, BPF_CGROUP_SETSOCKOPT, 0)         \
	X(egress, BPF_CGROUP_INET_EGRESS, 0)        \
	X(ingress, BPF_CGROUP_INET_INGRESS, 0)      \
	X(unixconn, UNIX_CONNECT_HOOK, 1)           \
	X(unixsend, UNIX_SENDMSG_HOOK, 1)

#define KERNEL_HOOK_ENUM(name, type, is_unix) HOOK_##name,
enum kernel_hook { KERNEL_HOOKS(KERNEL_HOOK_ENUM) HOOKS };
#undef KERNEL_HOOK_ENUM

struct hook {
	const char *name;
	int attach_type;
	int is_unix;
};
extern const struct hook pins_hooks[HOOKS];

/* X(name, map, type, key bytes, value bytes, entries): what is pinned.  Control
 * comes first: whether the set is whole is written there. */
#define KERNEL_MAPS(X)                                                      \
	X(CONTROL, control, ARRAY, 4, sizeof(struct ambit_control), 1)      \
	X(RING, ring, RINGBUF, 0, 0, AMBIT_RING_BYTES)                      \
	X(TALLIES, tallies, ARRAY, 4, sizeof(struct ambit_tally),           \
	  AMBIT_SLOTS)                                                      \
	X(DRAINED, drained, ARRAY, 4, sizeof(struct ambit_drained),         \
	  AMBIT_SLOTS)                                                      \
	X(POLICIES, policies, CGROUP_STORAGE, 8,                            \
	  sizeof(struct ambit_policy), 0)                                   \
	X(OWN, own_addresses, HASH, 16, 1, AMBIT_OWN_ADDRESSES)             \
	X(NAMES, names, HASH, sizeof(struct ambit_server_name), 1,          \
	  AMBIT_SERVER_NAMES)                                               \
	X(CONDEMNED, condemned, RINGBUF, 0, 0, AMBIT_CONDEMNED_BYTES)                \
	X(ADMITTED, admitted, HASH, sizeof(struct ambit_admitted_key),      \
	  sizeof(struct ambit_admitted), AMBIT_ADMITTED)                    \
	X(FLOWS, flows, SK_STORAGE, 4, AMBIT_FLOW_BYTES, 0)                 \
	X(ASKERS, askers, ARRAY, 4, sizeof(struct ambit_asker), AMBIT_SLOTS)

#define KERNEL_MAP_ENUM(name, map, type, key, value, entries) MAP_##name,
enum kernel_map { KERNEL_MAPS(KERNEL_MAP_ENUM) MAP_COUNT };
#undef KERNEL_MAP_ENUM

enum side { LEAF, WALL, SIDES };

struct kernel {
	char pins[PATH_MAX - 64];
	int maps[MAP_COUNT];
	int programs[SIDES][HOOKS];	/* -1: this kernel has no such hook */
	uint32_t ids[SIDES][HOOKS];
	int has_unix;
	int wall_cgroup;	/* -1: no wall yet */
};

#define PROGRAM_NAME 32

/* "leaf_connect4" */
void pins_program_name(enum side side, enum kernel_hook hook,
		       char ret_name[PROGRAM_NAME]);

/* Fills `kernel`, whose descriptors are all -1; what it opened before a failure
 * is in there. */
int pins_open(struct kernel *kernel, struct error *error);

int pins_write_control(struct kernel *kernel, int open, uint32_t version,
		       struct error *error);

int pins_remove(const struct kernel *kernel, struct error *error);

#endif
