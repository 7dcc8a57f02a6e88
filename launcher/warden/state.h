/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What outlives the warden: one file per running agent, so that a restarted
 * warden finds its agents again, and one per retired profile.
 */
#ifndef WARDEN_STATE_H
#define WARDEN_STATE_H

#include "warden.h"

int state_open(struct warden *warden, struct error *error);

/* Writes the agent's file (before it runs), and removes it. */
int state_save(const struct agent *agent, struct error *error);
void state_remove(const struct agent *agent);

/* The file that ambit-init writes the wait status into: made with the agent. */
int state_end_file(const struct agent *agent, int *ret_fd, struct error *error);
/* The status that is in it; -ENODATA while there is none. */
int state_end_status(const struct agent *agent, int *ret_status);

/* Takes over the agents of an earlier warden. */
int state_adopt(struct warden *warden, struct error *error);

/* Tombstones of profiles: durable when the call returns. */
int state_retire(struct warden *warden, const char *profile, int retired,
		 struct error *error);
int state_retired(const struct warden *warden, const char *profile);

#endif
