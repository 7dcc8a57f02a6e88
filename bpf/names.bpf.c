// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Names: see names.bpf.h. */
#include "names.bpf.h"

GLOBAL int is_asker(struct __sk_buff *skb, const struct attempt *attempt)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk;
	int good = 0;

	if (!attempt)
		return 0;
	__u32 slot = (__u32)bpf_be64_to_cpu(attempt->local.low) - AMBIT_ASKERS;
	struct ambit_asker *asker = slot < AMBIT_SLOTS ? asker_of(slot) : NULL;
	if (!asker || !is_mapped(&attempt->local) || !is_loopback(&attempt->remote))
		return 0;
	/* The socket that would receive an answer. */
	tuple.ipv4.saddr = (__u32)(attempt->local.low >> 32);
	tuple.ipv4.daddr = (__u32)(attempt->remote.low >> 32);
	tuple.ipv4.sport = bpf_htons(attempt->local_port);
	tuple.ipv4.dport = bpf_htons(attempt->port);
	if (attempt->protocol == IPPROTO_TCP)
		sk = bpf_sk_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4),
				       BPF_F_CURRENT_NETNS, 0);
	else
		sk = bpf_sk_lookup_udp(skb, &tuple, sizeof(tuple.ipv4),
				       BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	struct flow *flow = bpf_sk_storage_get(&flows, sk, 0, 0);
	if (flow)
		good = flow->instance == asker->instance;
	bpf_sk_release(sk);
	return good;
}

/* The socket that takes what the agent sends to `attempt->remote`; a macro, for the
 * context is one of two kinds.  NULL, or to be released. */
#define taker_of(context, attempt, tuple)                                          \
	({                                                                          \
		(tuple)->ipv4.saddr = (__u32)((attempt)->local.low >> 32);          \
		(tuple)->ipv4.daddr = (__u32)((attempt)->remote.low >> 32);         \
		(tuple)->ipv4.sport = bpf_htons((attempt)->local_port);             \
		(tuple)->ipv4.dport = bpf_htons((attempt)->port);                   \
		(attempt)->protocol == IPPROTO_TCP ?                                \
			bpf_sk_lookup_tcp(context, tuple, sizeof((tuple)->ipv4),    \
					  BPF_F_CURRENT_NETNS, 0) :                 \
			bpf_sk_lookup_udp(context, tuple, sizeof((tuple)->ipv4),    \
					  BPF_F_CURRENT_NETNS, 0);                  \
	})

/* Lets go of it. */
static __always_inline int is_porters(struct bpf_sock *sk)
{
	struct flow *flow = bpf_sk_storage_get(&flows, sk, 0, 0);
	int good = flow && flow->answers;

	bpf_sk_release(sk);
	return good;
}

GLOBAL int is_answered(struct __sk_buff *skb, const struct attempt *attempt)
{
	struct bpf_sock_tuple tuple = {};

	if (!attempt || attempt->port != asker_port())
		return 0;
	struct bpf_sock *sk = taker_of(skb, attempt, &tuple);
	return sk ? is_porters(sk) : 0;
}

GLOBAL int is_served(struct bpf_sock_addr *ctx, const struct attempt *attempt)
{
	struct bpf_sock_tuple tuple = {};

	if (!attempt)
		return 0;
	struct bpf_sock *sk = taker_of(ctx, attempt, &tuple);
	return sk ? is_porters(sk) : 0;
}
