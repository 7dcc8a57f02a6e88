/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the proof that is about TLS server names. */
#ifndef WARDEN_PROVE_TLS_H
#define WARDEN_PROVE_TLS_H

#include "kernel.h"

#define PROVE_TLS_RECORDS 3	/* two connects, one refusal */

/*
 * In the bounded cgroup `cgroup`: with a rule for one endpoint and one server name,
 * a flow whose hello names another server must carry nothing and its socket must
 * fail at once, one whose hello names the right one must arrive.  0: that held,
 * with a record for each.  `policy` is the cgroup's, and changes.
 */
int prove_tls(struct kernel *kernel, int cgroup, uint64_t cgroup_id,
	      struct ambit_policy *policy);

#endif
