/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a plan that the kernel programs read: endpoints and ports. */
#ifndef PROFILE_POLICY_H
#define PROFILE_POLICY_H

#include "plan.h"

/* Fills `policy` from `profile`, all but what changes per launch.  E2BIG when it
 * does not hold the profile, with the entry in `error`. */
int policy_fill(const struct profile *profile,
		struct ambit_policy *policy, struct error *error);

#endif
