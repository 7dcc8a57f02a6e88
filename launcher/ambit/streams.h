/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's stdio as the agent may have it.  A socket keeps its creator's
 * cgroup for life and could be turned around into a way out, so that none is
 * handed over: the agent gets a pipe, and the client carries the bytes.
 */
#ifndef AMBIT_STREAMS_H
#define AMBIT_STREAMS_H

#include "../base/error.h"
#include "flow.h"

#include <poll.h>

/* One carried descriptor. */
struct carried {
	int socket;	/* the caller's; -1: not carried (any more) */
	int pipe;	/* our end */
	struct flow flow;
};

struct streams {
	int given[3];	/* what the agent gets */
	int owned[3];	/* those of `given` that are ours to close, or -1 */
	struct carried carried[3];
};

#define STREAMS_FDS 3

/* Fills `stdio`; with `detach` terminals are replaced by /dev/null and sockets
 * are an error. */
int streams_open(struct streams *streams, int detach, struct error *error);
/* After `given` was sent: the agent has its own copies. */
void streams_sent(struct streams *streams);

void streams_prepare(const struct streams *streams, struct pollfd ret_fds[STREAMS_FDS]);
void streams_relay(struct streams *streams, const struct pollfd fds[STREAMS_FDS]);

/* Closes everything; with `drain`, after the agent's end, what it had written
 * comes first. */
void streams_finish(struct streams *streams, int drain);

#endif
