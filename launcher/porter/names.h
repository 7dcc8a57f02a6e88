/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names for the agents.  One UDP and one TCP socket serve all of them: the kernel
 * programs lead what an agent sends to its resolver (AMBIT_RESOLVER) to an address
 * of 127.0.0.0/8 that stands for its slot, and let nothing else in, so that the
 * address a question came to says who asks.
 *
 * A name that no entry lists is refused here and never asked for.  What a resolver
 * gave for one that is listed goes to the warden, which has the kernel admit it,
 * and only then to the agent.
 */
#ifndef PORTER_NAMES_H
#define PORTER_NAMES_H

#include "dns.h"
#include "outbox.h"
#include "upstream.h"

#include <ambit/kernel.h>

#define NAMES_CONNECTIONS 128
/* Sockets for poll: both of ours, the connections, those of the resolvers. */
#define NAMES_SOCKETS (2 + NAMES_CONNECTIONS + UPSTREAM_SOCKETS)

struct names;

/* Binds the two sockets to one port and reaches for `resolvers` ("": none, every
 * lookup fails).  Before the walls. */
int names_open(const char *resolvers, struct names **ret_names,
	       struct error *error);
void names_close(struct names *names);

/* The port that both sockets have. */
uint16_t names_port(const struct names *names);

/* NAME, ADMITTED and DISMISS of the warden's; what is to be told it goes into
 * `outbox`.  A negative errno: the warden is broken. */
int names_listed(struct names *names, const struct ambit_name *name);
int names_admitted(struct names *names, const struct ambit_admitted_names *what);
void names_dismiss(struct names *names, uint64_t instance);

/* For poll, and after it. */
unsigned names_watch(struct names *names, struct pollfd *ret_sockets,
		     int *timeout_ms);
int names_work(struct names *names, struct outbox *outbox,
	       const struct pollfd *sockets, unsigned count);

#endif
