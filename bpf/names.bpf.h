/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Names.  What an agent sends to its resolver is led to an address that stands for
 * its slot, so that the porter sees by the address who asks; what comes back looks
 * as if the resolver had sent it, for several C libraries compare that.
 *
 * Nobody else may ask there in an agent's name.  The agents may not: the addresses
 * are loopback, which no rule admits.  Any other process of the node could send a
 * packet to them, and so the porter takes a packet in only if the socket at its
 * other end is one that we led there.
 *
 * And nobody else may answer.  While there is no porter, or behind one that has
 * another port now, any process of the node can take the place that the agent was
 * led to; so a packet goes there, and comes from there, only if the socket at the
 * other end is one that the porter made.
 */
#ifndef NAMES_BPF_H
#define NAMES_BPF_H

#include "flow.bpf.h"

#define LOOKUP_NS (1000000000ULL / AMBIT_LOOKUP_RATE)

static __always_inline struct ambit_asker *asker_of(__u32 slot)
{
	return bpf_map_lookup_elem(&askers, &slot);
}

/* Where the agent's lookups are led to; port 0: nowhere. */
static __always_inline __u16 asker_port(void)
{
	__u32 zero = 0;
	struct ambit_control *now = bpf_map_lookup_elem(&control, &zero);

	return now ? (__u16)now->resolver_port : 0;
}

/*
 * One question more?  The time at which a bucket that is never full would be full
 * runs ahead of the clock by what was asked lately.  Two processors may read it at
 * once and both pass; that is a question too many, not a hole.
 */
static __always_inline int asker_pays(const struct ambit_policy *policy)
{
	struct ambit_asker *asker = asker_of(policy->slot);
	__u64 now = bpf_ktime_get_boot_ns();

	if (!asker)
		return 0;
	__u64 due = asker->due_ns > now ? asker->due_ns : now;
	if (due - now > LOOKUP_NS * (AMBIT_LOOKUP_BURST - 1))
		return 0;
	asker->due_ns = due + LOOKUP_NS;
	return 1;
}

/* 1 if the agent asks its resolver; the attempt then leads to where it is
 * answered.  0 leaves all as it is: an address like any other. */
static __always_inline int ask_resolver(const struct ambit_policy *policy,
					struct flow *flow,
					struct attempt *attempt)
{
	__u16 port = asker_port();

	if (attempt->remote.high || attempt->port != AMBIT_RESOLVER_PORT ||
	    attempt->remote.low != MAPPED_LOW((__u64)AMBIT_RESOLVER) ||
	    policy->state != AMBIT_POLICY_OPEN || !port || !is_open())
		return 0;
	struct ambit_asker *asker = asker_of(policy->slot);
	if (!asker)
		return 0;
	if (asker->instance != policy->instance) {
		asker->instance = policy->instance;
		asker->due_ns = 0;
	}
	attempt->remote.low = MAPPED_LOW((__u64)AMBIT_ASKERS + policy->slot);
	attempt->port = port;
	attempt->rule = AMBIT_NO_RULE;
	flow_admit(flow, policy, attempt);
	return 1;
}

/* Writes where it leads into the call's address. */
static __always_inline void lead(struct bpf_sock_addr *ctx,
				 const struct attempt *attempt)
{
	ctx->user_ip4 = (__u32)(attempt->remote.low >> 32);
	ctx->user_port = bpf_htons(attempt->port);
}

/* The other way round: what the call returns. */
static __always_inline int lead_back(struct bpf_sock_addr *ctx)
{
	struct ambit_policy *policy = bpf_get_local_storage(&policies, 0);

	if (ctx->user_ip4 == bpf_htonl(AMBIT_ASKERS + policy->slot) &&
	    ctx->user_port == bpf_htons(asker_port())) {
		ctx->user_ip4 = bpf_htonl(AMBIT_RESOLVER);
		ctx->user_port = bpf_htons(AMBIT_RESOLVER_PORT);
	}
	return PASS;
}

/* ---- the porter's side ---------------------------------------------------------- */

/* Whether it is one of the two sockets that answer lookups, and of the node. */
static __always_inline int answers(const struct ambit_policy *policy,
				   const struct attempt *attempt)
{
	return policy->resolver && attempt->local_port == asker_port() &&
	       is_loopback(&attempt->remote);
}

/* 1 if the packet comes from a socket that was led to where it goes. */
int is_asker(struct __sk_buff *skb, const struct attempt *attempt);

/* ---- the agent's side ------------------------------------------------------------ */

/* Whether lookups of this agent are led to the address. */
static __always_inline int is_led_to(const struct ambit_policy *policy,
				     const struct address *address)
{
	return is_mapped(address) &&
	       address->low == MAPPED_LOW((__u64)AMBIT_ASKERS + policy->slot);
}

/* 1 if the socket at the other end of the packet, which goes to or comes from where
 * lookups are led, is the porter's. */
int is_answered(struct __sk_buff *skb, const struct attempt *attempt);
/* The same before there is a packet, so that a connect fails at once: a SYN that is
 * dropped would be sent again for two minutes. */
int is_served(struct bpf_sock_addr *ctx, const struct attempt *attempt);

#endif
