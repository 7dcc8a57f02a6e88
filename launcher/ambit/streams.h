/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's stdio as the agent may have it.  Two kinds are not handed over: the
 * agent gets a pipe, and the client carries the bytes.
 *  - A socket keeps its creator's cgroup for life and could be turned around into a
 *    way out.
 *  - A regular file that can be written could be truncated and rewritten, `>>` or
 *    not (F_SETFL takes O_APPEND away): a caller's log with what others wrote.
 */
#ifndef AMBIT_STREAMS_H
#define AMBIT_STREAMS_H

#include "../base/error.h"
#include "flow.h"

#include <poll.h>
#include <stdint.h>

/* One carried descriptor. */
struct carried {
	int caller;	/* the caller's; -1: not carried (any more) */
	int is_socket;
	int pipe;	/* our end */
	uint64_t left;	/* bytes that may still be written to a file, or
			 * STREAMS_UNKNOWN */
	uint64_t rest;	/* bytes that may still be read from the agent's pipe */
	int error;	/* why the file takes no more; 0: it does */
	struct flow flow;
};

struct streams {
	int given[3];	/* what the agent gets */
	int owned[3];	/* those of `given` that are ours to close, or -1 */
	int flags[3];	/* of the caller's, as they were (F_GETFL), or -1 */
	struct carried carried[3];
};

#define STREAMS_FDS 3
#define STREAMS_UNKNOWN UINT64_MAX
#define STREAMS_UNLIMITED (UINT64_MAX - 1)

/* Fills `given`.  With `detach` nobody carries: terminals are replaced by /dev/null,
 * sockets are an error, and files are handed over. */
int streams_open(struct streams *streams, int detach, struct error *error);
/* After `given` was sent: the agent has its own copies. */
void streams_sent(struct streams *streams);

/* The agent's limit for the size of a file holds for those that are carried, too: nothing
 * is written into one before it is set. */
void streams_limit(struct streams *streams, uint64_t bytes);

void streams_prepare(const struct streams *streams, struct pollfd ret_fds[STREAMS_FDS]);
void streams_relay(struct streams *streams, const struct pollfd fds[STREAMS_FDS]);

/* Closes everything, and sets the flags of what was handed over as they were; with
 * `drain`, after the agent's end, what it had written comes first. */
void streams_finish(struct streams *streams, int drain);

/* The name of a carried file that did not take all that was written, and why (an
 * errno); NULL if there is none. */
const char *streams_short(const struct streams *streams, int *ret_error);

#endif
