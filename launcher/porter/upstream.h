/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking the node's resolvers: one after the other, the one that answered last
 * first, so that an unreachable first one does not cost every lookup its time.
 * By UDP first; over TCP what was truncated, and what somebody may have forged.
 * The only user of c-ares, which has one channel for the TCP of each resolver
 * here: its UDP has one port for all questions, or a few, differing between its
 * versions.
 */
#ifndef PORTER_UPSTREAM_H
#define PORTER_UPSTREAM_H

#include "base/error.h"
#include "dns.h"

#include <poll.h>

#define UPSTREAM_RESOLVERS 3
#define UPSTREAM_QUESTIONS 4096	/* at once; each has a socket */
#define UPSTREAM_SOCKETS (UPSTREAM_QUESTIONS + 4 * UPSTREAM_RESOLVERS)	/* and TCP */

struct upstream;

/* `resolvers`: addresses with commas between.  Reads files that the C library
 * wants, hence before the walls. */
int upstream_open(const char *resolvers, struct upstream **ret_upstream,
		  struct error *error);
void upstream_close(struct upstream *upstream);

/* Asks for `name` (as dns_read_question gives it) and calls done(data, answer)
 * once, maybe at once; `answer` is NULL when no resolver gave one.  What is asked
 * for already is not asked for again: all get the same answer. */
void upstream_ask(struct upstream *upstream, const char *name, uint16_t type,
		  void (*done)(void *data, const struct dns_answer *answer),
		  void *data);

/* For poll: fills in at most UPSTREAM_SOCKETS sockets, shortens *timeout_ms. */
unsigned upstream_watch(struct upstream *upstream, struct pollfd *ret_sockets,
			int *timeout_ms);
/* Does what poll found, and what is due. */
void upstream_work(struct upstream *upstream, const struct pollfd *sockets,
		   unsigned count);

#endif
