/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Matching: which rule admits an endpoint, which listen entry a port.  No state
 * but the agent's rules and the node's own addresses.
 */
#ifndef MATCH_BPF_H
#define MATCH_BPF_H

#include "ambit.bpf.h"

static __always_inline int is_loopback(const struct address *address)
{
	__u64 low = bpf_be64_to_cpu(address->low);

	return !address->high && (low == 1 || low >> 24 == 0xffff7fULL);
}

static __always_inline int is_mapped(const struct address *address)
{
	return !address->high && bpf_be64_to_cpu(address->low) >> 32 == 0xffff;
}

/* 0.0.0.0, ::ffff:0.0.0.0 and :: */
static __always_inline int is_any(const struct address *address)
{
	return !address->high &&
	       (!address->low || address->low == MAPPED_LOW(0));
}

/*
 * Where "any" as a destination leads: the kernel takes the socket's own address
 * if it has one, else loopback (ip_route_output_key_hash_rcu, tcp_v6_connect).  Of
 * a broadcast address it is loopback again, which is why a connect is told where
 * to go, and the first packet of one is compared.
 */
static __always_inline void resolve_any(struct address *remote,
					const struct address *local)
{
	if (!is_any(remote))
		return;
	if (remote->low) {
		remote->low = is_any(local) ? LOOPBACK_LOW : local->low;
	} else {
		remote->low = is_mapped(local) ? LOOPBACK_LOW :
						 bpf_cpu_to_be64(1);
	}
}

/* Judges the remote endpoint of `attempt` by the agent's rules: fills verdict,
 * reason and rule, returns the verdict. */
int decide(const struct ambit_policy *policy, struct attempt *attempt);

/* The listen entry that admits the local port towards `address`, the other end
 * or, for a bind, the local address; -1 if none does. */
int find_listen(const struct ambit_policy *policy,
		const struct attempt *attempt, const struct address *address);

#endif
