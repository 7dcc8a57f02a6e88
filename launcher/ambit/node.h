/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node as its client sees it: where its socket is, how to reach it, how to
 * start one for this machine when none runs.
 */
#ifndef AMBIT_CLIENT_NODE_H
#define AMBIT_CLIENT_NODE_H

#include "client.h"

#include <limits.h>
#include <stdint.h>

/* Descriptors that `ambit node supervise` is started with. */
#define NODE_LOCK_FD 3	/* holds the lock for as long as the node is supervised */
#define NODE_READY_FD 4	/* gets "ready" or "error: TEXT", one line */

/* "$AMBIT_ROOT/run/ambit/NAME". */
int node_path(char ret_path[PATH_MAX], const char *name, struct error *error);

/* "…/libexec/ambit/NAME" beside the "…/bin" of this very executable. */
int node_program(char ret_path[PATH_MAX], const char *name,
		 struct error *error);

/* Connects, without a word. */
int node_connect(struct client *client, struct error *error);

/* Connects for the command `what`.  With `start`, root starts a node if none
 * runs.  Returns 0, or `status` when the reason has been said. */
int node_reach(struct client *client, const char *what, int status, int start);

/* One call and its one reply.  Takes over `parameters`.  Returns 0 and the
 * reply, or the exit status when the reason has been said. */
int node_call(struct client *client, const char *what, const char *method,
	      json_t *parameters, struct reply *ret_reply);

/* Milliseconds of a clock that only runs forward. */
int64_t node_clock(void);

#endif
