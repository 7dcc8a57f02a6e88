/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of agents that are to be no more. */
#ifndef WARDEN_SOCKETS_H
#define WARDEN_SOCKETS_H

#include <ambit/kernel.h>
#include <stdint.h>

/* Destroys every TCP and UDP socket that was made in the cgroup `cgroup_id`,
 * wherever it is now: its peer is told by a reset if it may be, its holder gets
 * an error.  Returns 0 or a negative errno. */
int sockets_destroy(uint64_t cgroup_id);

/*
 * The same for those that `instance` may only reach by egress entries that are
 * withdrawn: withdrawn[entry] is not 0.  `flows` is the kernel programs' map of
 * them.  A datagram socket that is connected to nobody stays: what it sends is
 * judged each time.
 */
int sockets_withdraw(uint64_t cgroup_id, int flows, uint64_t instance,
		     const uint8_t *withdrawn);

/* The same for one TCP socket that the kernel programs refused.  It may be gone
 * by now: then nothing happens. */
int sockets_destroy_one(const struct ambit_condemned *condemned);

#endif
