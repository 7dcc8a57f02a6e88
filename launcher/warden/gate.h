/* SPDX-License-Identifier: Apache-2.0 */
/* What ambit-init says, and the end of its process. */
#ifndef WARDEN_GATE_H
#define WARDEN_GATE_H

#include "warden.h"

/* Watches the agent's gate and pidfd. */
int gate_watch(struct agent *agent, struct error *error);

/* Watches a process that an earlier warden started; its gate is lost, its end is
 * in its state's end file. */
int gate_adopt(struct agent *agent);

#endif
