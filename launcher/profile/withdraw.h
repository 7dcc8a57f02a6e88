/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a changed profile takes away from an agent that runs under an earlier one.
 * Pure.  A running agent is only ever given less, and only its egress: what else
 * bounds it was set up once, before its first instruction.
 */
#ifndef PROFILE_WITHDRAW_H
#define PROFILE_WITHDRAW_H

#include "profile.h"

/*
 * Sets withdrawn[i] for each egress entry i of `running` that `now` does not have
 * any more; what is set already stays.  Returns the number that is newly set, or a
 * negative errno with the clause in `error`: EPERM for an entry that is new or that
 * was withdrawn before, EINVAL for another clause that changed, ENOTSUP for a unix
 * socket (the kernel can't end a connection to one), ENOMEM.  Then nothing is set.
 */
int profile_withdraw(const struct profile *running, const struct profile *now,
		     uint8_t withdrawn[AMBIT_EGRESS], struct error *error);

#endif
