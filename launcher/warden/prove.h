/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proof that the kernel programs hold on this kernel, now: attempts that would
 * succeed are refused in a scratch cgroup, and only there.  Called by the warden
 * after kernel_wall, before it takes a launch; it forks, so the caller must be
 * single-threaded.
 */
#ifndef WARDEN_PROVE_H
#define WARDEN_PROVE_H

#include "kernel.h"

#include <sys/types.h>

struct prove_place {
	int parent_cgroup;	/* that has the wall; the caller is not below it */
	const char *directory;	/* for a unix socket, while it takes */
	uint64_t instance;	/* in the records of the proof, slot 0 */
};

struct prove_result {
	uint64_t records;	/* in the ring, kseq 1 to this */
	int unix_hook;		/* unix connect was refused and recorded too */
	int tls;		/* the TLS server name was held too */
};

/* A process born in the cgroup, so that no socket of its was made elsewhere. */
pid_t prove_fork(int cgroup);

/*
 * Tries a TCP connect, a TCP Fast Open send, a UDP send and, if the hook is
 * there, a unix connect: without leaf programs (the wall must refuse), with
 * leaf programs and no rules (they must), with rules for exactly these endpoints
 * (all must succeed, so that the proof itself is known to work).  The kernel must
 * have numbered and written a record for each judged attempt.  EPROTO: it does
 * not hold.
 */
int prove_hooks(struct kernel *kernel, const struct prove_place *place,
		struct prove_result *ret_result, struct error *error);

#endif
