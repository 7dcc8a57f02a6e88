/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's private files, as it finds them under /run/ambit. */
#ifndef WARDEN_FILES_H
#define WARDEN_FILES_H

#include "warden.h"

/* Makes the directory: passwd, group, hosts, and the place of credentials. */
int files_make(const struct agent *agent, struct error *error);

/* Removes it, with what the porter wrote, and the agent's state. */
void files_discard(struct agent *agent);

#endif
