/* SPDX-License-Identifier: Apache-2.0 */
/* The live negative probes of the kernel programs, and that their records
 * arrive in the log: promise 2. */
#ifndef WARDEN_PROOF_H
#define WARDEN_PROOF_H

#include "warden.h"

/* Tries the ways out in a scratch cgroup; notes the layers that held. */
int proof_hooks(struct warden *warden, struct error *error);

/* Tells a recorder that starts whose records the proof's are. */
void proof_open(struct warden *warden);
/* 1 if CLOSED was about the proof. */
int proof_closed(struct warden *warden, const struct ambit_closed *closed);

/* With the recorder running: its count of records must be the kernel's. */
int proof_records(struct warden *warden, struct error *error);

/* With the porter running: a child in a scratch cgroup asks for a name that no
 * entry lists; it must be told that there is none, and the porter must say so. */
int proof_names(struct warden *warden, struct error *error);
/* Notes that LOOKUP was about the proof; 1 if it was. */
int proof_lookup(struct warden *warden, const struct ambit_lookup *lookup);

#endif
