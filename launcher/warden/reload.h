/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A profile that lists fewer endpoints than it did when its agents started: what
 * left is withdrawn from them while they run.
 */
#ifndef WARDEN_RELOAD_H
#define WARDEN_RELOAD_H

#include "warden.h"

/* What a reload does to one agent; found before anything is done to any. */
struct reload {
	struct agent *agent;
	uint8_t withdrawn[AMBIT_EGRESS];
	unsigned count;		/* newly withdrawn */
	char sha256[AMBIT_HASH_SIZE];	/* of the profile as it is now */
	char entries[AMBIT_TEXT_SIZE];	/* what is withdrawn, for people */
};

/* Reads the agent's profile again.  0, or a negative errno with a text that names
 * the clause which a running agent can't be given. */
int reload_find(struct agent *agent, struct reload *ret_reload,
		struct error *error);

/* Puts the smaller set of rules in force: packets of what left are dropped when it
 * returns.  On failure nothing has changed. */
int reload_rules(const struct reload *reload, struct error *error);

/* Ends what is open by what left; both ends are told.  Lookups know it too. */
int reload_flows(const struct reload *reload, struct error *error);

/* A restarted warden brings the kernel's rules to what its state says: one that
 * was killed had the state first. */
void reload_adopt(struct agent *agent);

#endif
