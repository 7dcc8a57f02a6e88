/* SPDX-License-Identifier: Apache-2.0 */
/* The table of agents. */
#ifndef WARDEN_AGENTS_H
#define WARDEN_AGENTS_H

#include "warden.h"

/* A new agent in a free slot of the table, with id, instance and uid.  -EUSERS
 * when all slots are taken. */
int agents_new(struct warden *warden, struct agent **ret_agent,
	       struct error *error);
/* Takes it out of the table and frees it; its descriptors are closed. */
void agents_free(struct agent *agent);

/* How many there can be at once. */
uint32_t agents_most(const struct warden *warden);

struct agent *agents_by_instance(struct warden *warden, uint64_t instance);
/* By id, or by name (then one that has not ended, if there is one). */
struct agent *agents_find(struct warden *warden, const char *which);

/* The kernel's rules for the agent as it stands, in `state`.  Static storage, until
 * the next call. */
const struct ambit_policy *agents_policy(const struct agent *agent,
					 enum ambit_policy_state state);

/* A version 7 UUID (RFC 9562). */
int agents_id(uint64_t now_ms, char ret_id[AMBIT_ID_SIZE]);

/* All agents; places that are only prepared are none. */
#define AGENTS_EACH(warden, agent)                                   \
	for (unsigned agent##_slot = 0; agent##_slot < AMBIT_SLOTS;  \
	     agent##_slot++)                                         \
		if (((agent) = (warden)->agents[agent##_slot]) &&    \
		    (agent)->state != AGENT_PREPARED)

#endif
