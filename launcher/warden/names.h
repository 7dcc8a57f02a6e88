/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names: which agent may ask for which, told to the porter, and the addresses
 * that it found, admitted to the kernel.  What the porter says is judged here
 * once more, by the profile: it reads hostile bytes.
 */
#ifndef WARDEN_NAMES_H
#define WARDEN_NAMES_H

#include "warden.h"

/* Tells the porter that the agent asks, and for what. */
int names_serve(const struct agent *agent);

/* 1 if a LOOKUP is one that a porter sends. */
int names_lookup_good(const struct ambit_lookup *lookup);

/* LOOKUP from the porter: admits, records, answers. */
void names_lookup(struct warden *warden, struct ambit_lookup *lookup);

/* The agent is gone: nothing is admitted to it any more. */
void names_forget(struct agent *agent);

/* After a restart: what is admitted belongs to the agents that were taken over,
 * or goes. */
void names_adopt(struct warden *warden);

/* What the porter may: reach the resolvers, answer lookups. */
void names_porter_policy(const struct warden *warden,
			 struct ambit_policy *policy);

/* The resolvers of the host's resolv.conf as the porter takes them: at most three
 * addresses with commas between, "" if there are none. */
void names_resolvers(char *ret_resolvers, size_t size);

#endif
