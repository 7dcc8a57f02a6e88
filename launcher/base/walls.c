/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walls around the node's own processes: see walls.h.  A step that does not
 * read back as it was set is a failure.  Assumes a process with one thread.
 */
#include "walls.h"

#include "own.h"

#include <grp.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#define STAY ((uid_t)-1)

/* By number: this kernel may have more capabilities than libcap was built for. */
static int holds(uint64_t set, cap_value_t capability)
{
	return capability < 64 && (set >> capability & 1);
}

static int set_promises(struct error *error)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(error, errno, "walls: no_new_privs");
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return error_set(error, EPERM, "walls: no_new_privs: not set");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_errno(error, errno, "walls: not dumpable");
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return error_set(error, EPERM, "walls: not dumpable: not set");
	return 0;
}

/* Needs CAP_SETPCAP, which a change of uid would take away. */
static int set_bounding(uint64_t kept, struct error *error)
{
	for (cap_value_t capability = 0;; capability++) {
		int bound = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
		if (bound < 0)
			return 0;	/* EINVAL: behind the last one */
		if (!bound || holds(kept, capability))
			continue;
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
			return error_errno(error, errno,
					   "walls: bounding set: capability %d",
					   capability);
		if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) != 0)
			return error_set(error, EPERM, "walls: bounding set: "
					 "capability %d: still there", capability);
	}
}

static int set_ids(uid_t uid, struct error *error)
{
	gid_t gid = (gid_t)uid, rgid, egid, sgid;
	uid_t ruid, euid, suid;

	/* The capabilities that stay have to live through setresuid. */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return error_errno(error, errno, "walls: keep capabilities");
	if (setgroups(0, NULL) < 0)
		return error_errno(error, errno, "walls: groups");
	if (setresgid(gid, gid, gid) < 0)
		return error_errno(error, errno, "walls: gid %u", gid);
	if (setresuid(uid, uid, uid) < 0)
		return error_errno(error, errno, "walls: uid %u", uid);
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return error_errno(error, errno, "walls: keep capabilities");
	if (getgroups(0, NULL) != 0)
		return error_set(error, EPERM, "walls: groups: still there");
	if (getresgid(&rgid, &egid, &sgid) < 0 || rgid != gid || egid != gid ||
	    sgid != gid)
		return error_set(error, EPERM, "walls: gid %u: not taken", gid);
	if (getresuid(&ruid, &euid, &suid) < 0 || ruid != uid || euid != uid ||
	    suid != uid)
		return error_set(error, EPERM, "walls: uid %u: not taken", uid);
	return 0;
}

static void capabilities_release(cap_t *capabilities)
{
	if (*capabilities)
		cap_free(*capabilities);
}

#define OWN_CAPABILITIES __attribute__((cleanup(capabilities_release))) cap_t

static int fill_capabilities(cap_t capabilities, uint64_t kept)
{
	for (cap_value_t capability = 0; capability < 64; capability++) {
		if (!holds(kept, capability))
			continue;
		if (cap_set_flag(capabilities, CAP_PERMITTED, 1, &capability,
				 CAP_SET) < 0 ||
		    cap_set_flag(capabilities, CAP_EFFECTIVE, 1, &capability,
				 CAP_SET) < 0)
			return -errno;
	}
	return 0;
}

static int set_capabilities(uint64_t kept, struct error *error)
{
	OWN_CAPABILITIES wanted = cap_init();
	if (!wanted)
		return error_errno(error, errno, "walls: capabilities");
	int result = fill_capabilities(wanted, kept);
	if (result < 0)
		return error_errno(error, -result, "walls: capabilities");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return error_errno(error, errno, "walls: ambient capabilities");
	if (cap_set_proc(wanted) < 0)
		return error_errno(error, errno, "walls: capabilities");
	OWN_CAPABILITIES held = cap_get_proc();
	if (!held)
		return error_errno(error, errno, "walls: capabilities");
	if (cap_compare(held, wanted) != 0)
		return error_set(error, EPERM, "walls: capabilities: not those "
				 "that were set");
	return 0;
}

static int set_filter(const struct walls *walls, struct error *error)
{
	size_t calls = 0;
	while (walls->calls && walls->calls[calls])
		calls++;
	size_t count = calls + walls->rule_count;
	OWN_MEMORY struct filter_rule *rules = calloc(count + 1, sizeof(*rules));
	if (!rules)
		return error_errno(error, ENOMEM, "walls: filter");
	for (size_t i = 0; i < calls; i++)
		rules[i].call = walls->calls[i];
	if (walls->rule_count)
		memcpy(rules + calls, walls->rules,
		       walls->rule_count * sizeof(*rules));
	/* A misspelt call would only be missed on the day it is needed. */
	for (size_t i = 0; i < count; i++)
		if (!filter_knows(rules[i].call))
			return error_set(error, EINVAL,
					 "walls: filter: %s: no such system call",
					 rules[i].call);
	struct filter filter;
	int result = filter_compile(rules, count, NULL, 0, &filter, error);
	if (result < 0)
		return error_context(error, "walls");
	result = filter_load(&filter);
	filter_release(&filter);
	if (result < 0)
		return error_errno(error, -result, "walls: filter");
	return 0;
}

int walls_enter(const struct walls *walls, struct error *error)
{
	int result = set_promises(error);
	if (!result)
		result = set_bounding(walls->capabilities, error);
	if (!result && walls->uid != STAY)
		result = set_ids(walls->uid, error);
	if (!result)
		result = set_capabilities(walls->capabilities, error);
	/* Once more: a change of euid resets it to fs.suid_dumpable. */
	if (!result)
		result = set_promises(error);
	if (!result && (walls->calls || walls->rule_count))
		result = set_filter(walls, error);
	return result;
}
