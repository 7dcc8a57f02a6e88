/* SPDX-License-Identifier: Apache-2.0 */
/* The node's places: directories, mounts, namespaces, cgroup tree.  Opened before
 * the first agent, closed when the last has ended. */
#ifndef WARDEN_NODE_H
#define WARDEN_NODE_H

#include "warden.h"

int node_open(struct warden *warden, struct error *error);

/* Takes everything down that node_open made and no agent needs. */
void node_close(struct warden *warden);

/* The same for a node that does not come up, unless agents of an earlier one live on
 * what is there. */
void node_abandon(struct warden *warden);

/* Removes what a launch left that no state file tells of: the warden died in
 * its middle.  Called once the running agents are adopted. */
int node_sweep(struct warden *warden, struct error *error);

/* Gives up every capability that the warden does not name. */
int node_walls(struct error *error);

#endif
