/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan: each clause of a profile beside the mechanism that enforces it on
 * this node.  A clause without a mechanism is a refusal.  Pure.  `ambit profile
 * explain` prints the rows; the launch record carries their summary.
 */
#ifndef PROFILE_PLAN_H
#define PROFILE_PLAN_H

#include "../base/filter.h"
#include "profile.h"

/* What the node has proven at its start.  X(member, layer as doctor prints it,
 * required) */
#define PLAN_LAYERS(X)                                                  \
	X(cgroup_hooks, "cgroup hooks", 1)                              \
	X(packet_wall, "packet wall", 1)                                \
	X(seccomp, "seccomp", 1)                                        \
	X(landlock, "Landlock", 1)                                      \
	X(unix_hook, "unix connect hook", 0)                            \
	X(abstract_scope, "Landlock scope of abstract unix names", 0)   \
	X(memory_controller, "cgroup controller memory", 0)             \
	X(pids_controller, "cgroup controller pids", 0)                 \
	X(cpu_controller, "cgroup controller cpu", 0)                   \
	X(idmapped_mounts, "id-mapped mounts", 0)                       \
	X(memfd_noexec, "vm.memfd_noexec", 0)                           \
	X(names, "names", 0)                                            \
	X(tls_names, "TLS server names", 0)

struct plan_layers {
#define PLAN_MEMBER(member, word, required) uint8_t member;
	PLAN_LAYERS(PLAN_MEMBER)
#undef PLAN_MEMBER
};

struct plan_row {
	char clause[96];	/* "egress[0] to 192.0.2.0/24 ports 443 tcp" */
	char mechanism[512];	/* "connect and sendmsg hooks, packet wall" */
	char refusal[256];	/* "" or why it can't be enforced here */
};

struct plan {
	struct plan_row *rows;
	size_t row_count;
	size_t refused;		/* rows with a refusal */
	char summary[512];	/* one line for the launch record */

	/* The compiled form, without the members that change per launch
	 * (instance, slot, state, generation). */
	struct ambit_policy policy;
	struct filter filter;
	int listens;		/* listen(2) is in the filter */
	int filter_ahead;	/* the filter permits what ambit-init does between
				 * loading it and execve */
};

/* Builds the plan.  A clause that can't be enforced is not an error: it is a row
 * with a refusal, counted in `refused`; the caller refuses the launch with the
 * first.  Errors are ENOMEM, too many rules (E2BIG) and names of system calls
 * that libseccomp does not know (EINVAL). */
int plan_build(const struct profile *profile, const struct plan_layers *layers,
	       struct plan **ret_plan, struct error *error);

/* The first refusal as one line: "clause: why".  NULL if there is none. */
const struct plan_row *plan_refusal(const struct plan *plan);

void plan_free(struct plan *plan);

#endif
