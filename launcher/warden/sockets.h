/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets that an ended agent left in the kernel. */
#ifndef WARDEN_SOCKETS_H
#define WARDEN_SOCKETS_H

#include <stdint.h>

/* Destroys every TCP and UDP socket that was made in the cgroup `cgroup_id`,
 * wherever it is now: its peer is told by a reset if it may be, its holder gets
 * an error.  Returns 0 or a negative errno. */
int sockets_destroy(uint64_t cgroup_id);

#endif
