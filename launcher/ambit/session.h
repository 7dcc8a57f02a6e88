/* SPDX-License-Identifier: Apache-2.0 */
/* A run in the foreground: from the call to the agent's exit status. */
#ifndef AMBIT_SESSION_H
#define AMBIT_SESSION_H

#include "client.h"
#include "streams.h"

struct session_options {
	int detach;	/* end at the first reply */
	int json;
	int quiet;
};

/* `client` has sent Run with the descriptors of `stdio`; both are closed here.
 * Returns the exit status. */
int session_run(struct client *client, struct streams *streams,
		const struct session_options *options);

#endif
