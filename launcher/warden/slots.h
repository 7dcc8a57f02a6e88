/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places for agents, made ahead of their launches.
 *
 * A place is a slot with all that its profile says and nothing of a request:
 * uid, cgroup with its rules, private files, and an ambit-init that has bounded
 * itself and waits.  What a launch adds are stdio, arguments, environment,
 * identity and the records.  A profile that was launched lately has a few of
 * them, filled up while the node is idle; they belong to nobody, are in no list,
 * and have no record until they are launched.
 */
#ifndef WARDEN_SLOTS_H
#define WARDEN_SLOTS_H

#include "warden.h"

/* A place for one launch of `compiled`, whose reference the agent takes over: a
 * prepared one (agent->pid is set), or a new one that slots_prepare must make. */
int slots_take(struct warden *warden, struct compiled *compiled,
	       struct agent **ret_agent, struct error *error);

/* Makes the place of `agent`: files, cgroup, rules, process.  Fails with the
 * clause that can't be met; the caller ends the agent. */
int slots_prepare(struct agent *agent, struct error *error);

/* A launch of the profile succeeded: places for it are kept from now on. */
void slots_used(struct compiled *compiled, struct warden *warden);

/* An agent has ended and its slot is free again: places may be made soon. */
void slots_freed(struct warden *warden);

/* Idle work of the loop (`owner`: the warden): makes one place if one is missing.
 * 1: there may be more to do. */
int slots_refill(void *owner);

/* A place that nobody launched is gone. */
void slots_ended(struct agent *agent);

/* Gives all places up and keeps none until the next launch.  slots_any: some are
 * still on their way out. */
void slots_drain(struct warden *warden);
int slots_any(struct warden *warden);

#endif
