/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine seems to offer, for `ambit profile explain` alone. */
#ifndef PROFILE_DETECT_H
#define PROFILE_DETECT_H

#include "plan.h"

/* Reads versions and lists, changes nothing and needs no privilege.  Only a
 * node's start proves a layer: see ambit doctor. */
void detect_layers(struct plan_layers *ret_layers);

#endif
