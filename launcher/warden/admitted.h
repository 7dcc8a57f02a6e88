/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's map of addresses that names led to, and where lookups go. */
#ifndef WARDEN_ADMITTED_H
#define WARDEN_ADMITTED_H

#include "kernel.h"

/* Admits `address` to `instance` for `count` egress entries until `until_ns`
 * (CLOCK_BOOTTIME); what it is admitted for already is kept or grows longer.
 * Returns 1 if the address is new, 0, or a negative errno: ENOSPC when the
 * address has too many entries, E2BIG when the map is full. */
int admitted_add(struct kernel *kernel, uint64_t instance,
		 const uint8_t address[16], const uint16_t *entries,
		 unsigned count, uint64_t until_ns, uint64_t now_ns);

/* 1 if nothing of it is in force any more (or it is not there). */
int admitted_over(struct kernel *kernel, uint64_t instance,
		  const uint8_t address[16], uint64_t now_ns);

void admitted_remove(struct kernel *kernel, uint64_t instance,
		     const uint8_t address[16]);

/* Calls each(data, key) for everything that is admitted; 0 keeps it, 1 removes
 * it. */
void admitted_walk(struct kernel *kernel,
		   int (*each)(void *data, const struct ambit_admitted_key *key),
		   void *data);

/* 1 if it is one of the node's own addresses. */
int admitted_is_own(struct kernel *kernel, const uint8_t address[16]);

/* Lookups are led to `port` from now on. */
int admitted_port(struct kernel *kernel, uint16_t port, struct error *error);

#endif
