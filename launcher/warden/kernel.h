/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel programs as the warden handles them: loaded and verified once per
 * node, pinned, attached per agent.  kernel.c and pins.c are the only users of
 * libbpf.
 */
#ifndef WARDEN_KERNEL_H
#define WARDEN_KERNEL_H

#include "base/error.h"

#include <ambit/kernel.h>
#include <stddef.h>
#include <stdint.h>

struct kernel;

/*
 * Opens the kernel side below `pin_directory`, an absolute path on a bpffs that
 * only root can enter.  Maps and programs that an earlier warden pinned there
 * are taken over as they are (running agents stay bounded by them, the node
 * stays open or closed); otherwise the object is loaded, everything is pinned
 * and the node is open.  A pinned set that is not whole, or that another version
 * of kernel.h made, is refused (ESTALE).
 */
int kernel_open(const char *pin_directory, struct kernel **ret_kernel,
		struct error *error);
void kernel_close(struct kernel *kernel);

/* 1 if this kernel has the unix connect and sendmsg hooks (6.7) and they
 * loaded. */
int kernel_has_unix_hooks(const struct kernel *kernel);

/* Attaches the wall to the parent cgroup of all agents, where it stays until
 * kernel_unpin or until that cgroup is removed.  Idempotent; a wall of programs
 * that are no longer pinned is replaced.  Comes before the first attach. */
int kernel_wall(struct kernel *kernel, int cgroup_fd, struct error *error);

/*
 * Bounds the cgroup `cgroup_fd` (id `cgroup_id`): attaches every program, resets
 * the tallies of policy->slot, writes the policy.  From the first attach to the
 * written policy everything is refused.  The attachments need no process and no
 * pin: they stay until the cgroup is removed.  A cgroup that is bounded already
 * gets what is missing, and keeps its tallies if its policy is of the same
 * instance and slot.  On failure nothing stays attached.
 */
int kernel_attach(struct kernel *kernel, int cgroup_fd, uint64_t cgroup_id,
		  const struct ambit_policy *policy, struct error *error);

/* Reads back that every program is attached to `cgroup_fd` (by program id) and
 * that the policy of `cgroup_id` belongs to `instance` and is open. */
int kernel_verify(struct kernel *kernel, int cgroup_fd, uint64_t cgroup_id,
		  uint64_t instance, struct error *error);

/* Replaces the policy of an attached cgroup at once and as a whole;
 * policy->generation must have grown (EINVAL). */
int kernel_policy(struct kernel *kernel, uint64_t cgroup_id,
		  const struct ambit_policy *policy, struct error *error);

/* Withdraws the policy of `cgroup_id`, which is about to be removed: a socket
 * that outlives it, handed to somebody outside, reaches nothing any more.  Not
 * there: success. */
int kernel_detach(struct kernel *kernel, uint64_t cgroup_id,
		  struct error *error);

int kernel_tally(struct kernel *kernel, uint32_t slot,
		 struct ambit_tally *ret_tally, struct error *error);

/* While closed, every new attempt of every agent is refused and counted as
 * lost; flows that are open stay.  Slot 0, the node's own proof, is not
 * affected. */
int kernel_admit(struct kernel *kernel, int open, struct error *error);

/* Makes the set of the node's own addresses equal to `addresses`. */
int kernel_own_addresses(struct kernel *kernel, const uint8_t (*addresses)[16],
			 size_t count, struct error *error);

/* Ring, tallies, drained, as struct ambit_rings wants them; they stay the
 * kernel object's. */
void kernel_rings(const struct kernel *kernel, int ret_fds[3]);

/* The map of what each socket was let through to (struct ambit_flow); it stays the
 * kernel object's. */
int kernel_flows(const struct kernel *kernel);

/* Takes down the wall and unpins everything: for a node that stops and has no
 * agents. */
int kernel_unpin(struct kernel *kernel, struct error *error);

#endif
