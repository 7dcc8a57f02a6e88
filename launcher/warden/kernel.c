/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel programs, attached and fed: see kernel.h; pins.c loads them.  Called
 * by the warden only, which is single-threaded and root.
 *
 * Maps and programs are pinned.  Attachments are not: they are made the old way
 * (BPF_PROG_ATTACH with BPF_F_ALLOW_MULTI), which holds until the cgroup is
 * removed, whoever dies.  A bpf_link would need a pin to outlive us, so twelve
 * directory entries per agent that could be left behind; measured on 6.18 for
 * all programs of an agent: 8 us this way, 35 us with pinned links, and 20 us
 * more to take the pins away.  An agent can't detach either kind (no bpf call,
 * no capability).
 */
#include "kernel.h"

#include "base/own.h"
#include "pins.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <string.h>

#define ATTACHED 64	/* programs of one kind that we look at on a cgroup */

int kernel_open(const char *pin_directory, struct kernel **ret_kernel,
		struct error *error)
{
	struct kernel *kernel = calloc(1, sizeof(*kernel));

	if (!kernel)
		return error_errno(error, ENOMEM, "kernel programs");
	memset(kernel->maps, -1, sizeof(kernel->maps));
	memset(kernel->programs, -1, sizeof(kernel->programs));
	kernel->wall_cgroup = -1;
	size_t length = strlen(pin_directory);
	int failed = 0;
	if (length < sizeof(kernel->pins))
		memcpy(kernel->pins, pin_directory, length);
	else
		failed = error_errno(error, ENAMETOOLONG, "%s", pin_directory);
	if (!failed)
		failed = pins_open(kernel, error);
	if (failed) {
		kernel_close(kernel);
		return failed;
	}
	*ret_kernel = kernel;
	return 0;
}

void kernel_close(struct kernel *kernel)
{
	if (!kernel)
		return;
	for (int i = 0; i < MAP_COUNT; i++)
		own_close(&kernel->maps[i]);
	for (int side = 0; side < SIDES; side++)
		for (int i = 0; i < HOOKS; i++)
			own_close(&kernel->programs[side][i]);
	own_close(&kernel->wall_cgroup);
	free(kernel);
}

int kernel_has_unix_hooks(const struct kernel *kernel)
{
	return kernel->has_unix;
}

/* ---- attaching ---------------------------------------------------------------- */

/* Takes away a program of an earlier set, whose pins are gone: it is known by
 * our name.  Others' programs are left alone. */
static int detach_stale(int cgroup_fd, enum side side, enum kernel_hook hook,
			uint32_t id)
{
	char name[PROGRAM_NAME];
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info);

	OWN_FD fd = bpf_prog_get_fd_by_id(id);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return -errno;
	pins_program_name(side, hook, name);
	if (strncmp(info.name, name, sizeof(info.name) - 1))
		return 0;
	return bpf_prog_detach2(fd, cgroup_fd, pins_hooks[hook].attach_type) < 0 ?
		       -errno : 0;
}

/* Attaches one program unless it is attached.  The new one comes before the old
 * one goes.  1: attached now. */
static int attach_one(struct kernel *kernel, enum side side,
		      enum kernel_hook hook, int cgroup_fd)
{
	int type = pins_hooks[hook].attach_type, attached = 0;
	uint32_t ids[ATTACHED], count = ATTACHED, own = kernel->ids[side][hook];

	if (bpf_prog_query(cgroup_fd, type, 0, NULL, ids, &count) < 0)
		return -errno;
	for (uint32_t i = 0; i < count; i++)
		attached |= ids[i] == own;
	if (!attached && bpf_prog_attach(kernel->programs[side][hook], cgroup_fd,
					 type, BPF_F_ALLOW_MULTI) < 0)
		return -errno;
	for (uint32_t i = 0; i < count; i++) {
		int failed = ids[i] == own ?
				     0 : detach_stale(cgroup_fd, side, hook, ids[i]);
		if (failed)
			return failed;
	}
	return !attached;
}

static void detach_one(struct kernel *kernel, enum side side,
		       enum kernel_hook hook, int cgroup_fd)
{
	if (kernel->programs[side][hook] >= 0)
		bpf_prog_detach2(kernel->programs[side][hook], cgroup_fd,
				 pins_hooks[hook].attach_type);
}

static int attach_all(struct kernel *kernel, enum side side, int cgroup_fd,
		      struct error *error)
{
	int attached[HOOKS] = { 0 };

	for (int i = 0; i < HOOKS; i++) {
		if (kernel->programs[side][i] < 0)
			continue;
		attached[i] = attach_one(kernel, side, i, cgroup_fd);
		if (attached[i] >= 0)
			continue;
		int code = -attached[i];
		while (--i >= 0)
			if (attached[i])
				detach_one(kernel, side, i, cgroup_fd);
		return error_errno(error, code, "attach kernel programs");
	}
	return 0;
}

int kernel_wall(struct kernel *kernel, int cgroup_fd, struct error *error)
{
	OWN_FD kept = fcntl(cgroup_fd, F_DUPFD_CLOEXEC, 3);

	if (kept < 0)
		return error_errno(error, errno, "parent cgroup");
	int failed = attach_all(kernel, WALL, cgroup_fd, error);
	if (failed)
		return failed;
	own_close(&kernel->wall_cgroup);
	kernel->wall_cgroup = own_take_fd(&kept);
	return 0;
}

/* ---- policies ------------------------------------------------------------------- */

/* -ENOENT: nothing is attached to the cgroup. */
static int read_policy(struct kernel *kernel, uint64_t cgroup_id,
		       struct ambit_policy *ret_policy)
{
	return bpf_map_lookup_elem(kernel->maps[MAP_POLICIES], &cgroup_id,
				   ret_policy) < 0 ? -errno : 0;
}

/* The programs trust what is here: counts are checked, and paths are zero
 * behind their end because they are compared as a whole. */
static int write_policy(struct kernel *kernel, uint64_t cgroup_id,
			const struct ambit_policy *policy, struct error *error)
{
	struct ambit_policy clean = *policy;

	if (clean.slot >= AMBIT_SLOTS || clean.rule_count > AMBIT_RULES ||
	    clean.listen_count > AMBIT_LISTENS ||
	    clean.unix_count > AMBIT_UNIX_PATHS)
		return error_set(error, EINVAL, "policy: out of range");
	for (int i = 0; i < clean.unix_count; i++) {
		struct ambit_unix *entry = &clean.unix_paths[i];
		if (entry->length == 0 || entry->length > AMBIT_UNIX_PATH)
			return error_set(error, EINVAL, "policy: unix path");
		memset(entry->path + entry->length, 0,
		       AMBIT_UNIX_PATH - entry->length);
	}
	/* The kernel puts a new copy in place of the old (xchg): a program sees
	 * one or the other. */
	if (bpf_map_update_elem(kernel->maps[MAP_POLICIES], &cgroup_id, &clean,
				BPF_EXIST) < 0)
		return error_errno(error, errno, "policy");
	return 0;
}

static int reset_tally(struct kernel *kernel, uint32_t slot, struct error *error)
{
	struct ambit_tally none = { 0 };

	if (slot >= AMBIT_SLOTS)
		return error_set(error, EINVAL, "policy: out of range");
	if (bpf_map_update_elem(kernel->maps[MAP_TALLIES], &slot, &none, 0) < 0)
		return error_errno(error, errno, "tally");
	return 0;
}

int kernel_attach(struct kernel *kernel, int cgroup_fd, uint64_t cgroup_id,
		  const struct ambit_policy *policy, struct error *error)
{
	struct ambit_policy old;

	if (kernel->wall_cgroup < 0)
		return error_set(error, EINVAL, "there is no wall yet");
	if (policy->state == AMBIT_POLICY_NONE)
		return error_set(error, EINVAL, "policy: none");
	int there = read_policy(kernel, cgroup_id, &old) == 0;
	int same = there && old.state != AMBIT_POLICY_NONE &&
		   old.instance == policy->instance && old.slot == policy->slot;
	int failed = attach_all(kernel, LEAF, cgroup_fd, error);
	if (failed)
		return failed;
	if (!same)
		failed = reset_tally(kernel, policy->slot, error);
	if (!failed)
		failed = write_policy(kernel, cgroup_id, policy, error);
	if (failed && !there)
		for (int i = 0; i < HOOKS; i++)
			detach_one(kernel, LEAF, i, cgroup_fd);
	return failed;
}

int kernel_policy(struct kernel *kernel, uint64_t cgroup_id,
		  const struct ambit_policy *policy, struct error *error)
{
	struct ambit_policy old;
	int failed = read_policy(kernel, cgroup_id, &old);

	if (failed)
		return error_errno(error, -failed, "policy");
	if (old.state == AMBIT_POLICY_NONE || old.instance != policy->instance ||
	    old.slot != policy->slot)
		return error_set(error, EINVAL, "policy: of another agent");
	/* Cutting is never refused. */
	if (policy->state != AMBIT_POLICY_CUT &&
	    policy->generation <= old.generation)
		return error_set(error, EINVAL, "policy: not newer");
	return write_policy(kernel, cgroup_id, policy, error);
}

int kernel_detach(struct kernel *kernel, uint64_t cgroup_id, struct error *error)
{
	static const struct ambit_policy none;

	if (bpf_map_update_elem(kernel->maps[MAP_POLICIES], &cgroup_id, &none,
				BPF_EXIST) < 0 && errno != ENOENT)
		return error_errno(error, errno, "policy");
	return 0;
}

/* Effective programs are those that run, in this order: both of ours, the leaf's
 * before the wall's. */
static int is_effective(struct kernel *kernel, enum kernel_hook hook,
			int cgroup_fd)
{
	uint32_t ids[ATTACHED], count = ATTACHED, leaf = ATTACHED, wall = 0;

	if (bpf_prog_query(cgroup_fd, pins_hooks[hook].attach_type,
			   BPF_F_QUERY_EFFECTIVE, NULL, ids, &count) < 0)
		return 0;
	for (uint32_t i = 0; i < count; i++) {
		if (ids[i] == kernel->ids[LEAF][hook])
			leaf = i;
		if (ids[i] == kernel->ids[WALL][hook])
			wall = i;
	}
	return leaf < wall;
}

int kernel_verify(struct kernel *kernel, int cgroup_fd, uint64_t cgroup_id,
		  uint64_t instance, struct error *error)
{
	struct ambit_policy policy;

	for (int i = 0; i < HOOKS; i++)
		if (kernel->programs[LEAF][i] >= 0 &&
		    !is_effective(kernel, i, cgroup_fd))
			return error_set(error, ENOENT,
					 "kernel program %s is not attached",
					 pins_hooks[i].name);
	int failed = read_policy(kernel, cgroup_id, &policy);
	if (failed)
		return error_errno(error, -failed, "policy");
	if (policy.instance != instance || policy.state != AMBIT_POLICY_OPEN)
		return error_set(error, ENOENT, "policy: not this agent's");
	return 0;
}

/* ---- the node --------------------------------------------------------------------- */

int kernel_tally(struct kernel *kernel, uint32_t slot,
		 struct ambit_tally *ret_tally, struct error *error)
{
	if (bpf_map_lookup_elem(kernel->maps[MAP_TALLIES], &slot, ret_tally) < 0)
		return error_errno(error, errno, "tally %u", slot);
	return 0;
}

int kernel_admit(struct kernel *kernel, int open, struct error *error)
{
	return pins_write_control(kernel, open, AMBIT_KERNEL_VERSION, error);
}

static int is_among(const uint8_t (*addresses)[16], size_t count,
		    const uint8_t address[16])
{
	for (size_t i = 0; i < count; i++)
		if (!memcmp(addresses[i], address, 16))
			return 1;
	return 0;
}

/* Adds before it removes: an address that stays is never missing. */
int kernel_own_addresses(struct kernel *kernel, const uint8_t (*addresses)[16],
			 size_t count, struct error *error)
{
	int map = kernel->maps[MAP_OWN];
	uint8_t one = 1, (*old)[16];
	size_t known = 0;

	for (size_t i = 0; i < count; i++)
		if (bpf_map_update_elem(map, addresses[i], &one, 0) < 0)
			return error_errno(error, errno, "own addresses");
	OWN_MEMORY void *memory = malloc(AMBIT_OWN_ADDRESSES * sizeof(*old));
	if (!memory)
		return error_errno(error, ENOMEM, "own addresses");
	old = memory;
	while (known < AMBIT_OWN_ADDRESSES &&
	       bpf_map_get_next_key(map, known ? old[known - 1] : NULL,
				    old[known]) == 0)
		known++;
	for (size_t i = 0; i < known; i++)
		if (!is_among(addresses, count, old[i]) &&
		    bpf_map_delete_elem(map, old[i]) < 0)
			return error_errno(error, errno, "own addresses");
	return 0;
}

void kernel_rings(const struct kernel *kernel, int ret_fds[3])
{
	ret_fds[0] = kernel->maps[MAP_RING];
	ret_fds[1] = kernel->maps[MAP_TALLIES];
	ret_fds[2] = kernel->maps[MAP_DRAINED];
}

int kernel_flows(const struct kernel *kernel)
{
	return kernel->maps[MAP_FLOWS];
}

int kernel_unpin(struct kernel *kernel, struct error *error)
{
	if (kernel->wall_cgroup >= 0)
		for (int i = 0; i < HOOKS; i++)
			detach_one(kernel, WALL, i, kernel->wall_cgroup);
	own_close(&kernel->wall_cgroup);
	return pins_remove(kernel, error);
}
