/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Matching: which rule admits an endpoint, which listen entry a port.  No state
 * but the agent's rules and the node's own addresses.
 */
#ifndef MATCH_BPF_H
#define MATCH_BPF_H

#include "ambit.bpf.h"

/* A block of addresses, in host order. */
struct block {
	__u64 high, low;
	__u32 prefix;
};

#define V4(a, b, c, d, bits)                                              \
	{ 0, 0xffff00000000ULL | (a) << 24 | (b) << 16 | (c) << 8 | (d), \
	  96 + (bits) }

/*
 * What only an entry for the one address admits: a block that happens to hold
 * it was not meant to.  The node's own addresses come on top (own_addresses).
 */
static const struct block reserved_blocks[] = {
	V4(0ULL, 0, 0, 0, 8),		/* this network */
	V4(127ULL, 0, 0, 0, 8),		/* loopback */
	V4(169ULL, 254, 0, 0, 16),	/* link-local, most clouds' metadata */
	V4(100ULL, 100, 100, 200, 32),	/* metadata: Alibaba */
	V4(168ULL, 63, 129, 16, 32),	/* metadata: Azure */
	V4(192ULL, 0, 0, 192, 32),	/* metadata: Oracle, classic */
	V4(224ULL, 0, 0, 0, 3),		/* multicast, reserved, broadcast */
	{ 0, 0, 96 },			/* ::, ::1, ::a.b.c.d */
	{ 0xfe80ULL << 48, 0, 10 },	/* link-local */
	{ 0xff00ULL << 48, 0, 8 },	/* multicast */
	{ 0xfd000ec200000000ULL, 0x254, 128 },	/* metadata: Amazon */
	{ 0xfd2000ce00000000ULL, 0x254, 128 },	/* metadata: Google */
};

#define RESERVED_BLOCKS (sizeof(reserved_blocks) / sizeof(*reserved_blocks))

static __always_inline int inside(__u64 high, __u64 low, const struct block *b)
{
	__u64 high_mask = b->prefix >= 64 ? ~0ULL :
			  b->prefix == 0  ? 0 : ~0ULL << (64 - b->prefix);
	__u64 low_mask = b->prefix >= 128 ? ~0ULL :
			 b->prefix <= 64  ? 0 : ~0ULL << (128 - b->prefix);

	return !((high ^ b->high) & high_mask) && !((low ^ b->low) & low_mask);
}

static __always_inline int is_reserved(const struct address *address)
{
	struct address judged = *address;
	__u64 high = bpf_be64_to_cpu(judged.high);
	__u64 low = bpf_be64_to_cpu(judged.low);

	/* NAT64 carries an IPv4 address to where it leads. */
	if (high == 0x0064ff9b00000000ULL && !(low >> 32)) {
		high = MAPPED_HIGH;
		low |= 0xffff00000000ULL;
		judged.high = high;
		judged.low = bpf_cpu_to_be64(low);
	}
#pragma unroll
	for (unsigned i = 0; i < RESERVED_BLOCKS; i++)
		if (inside(high, low, &reserved_blocks[i]))
			return 1;
	return bpf_map_lookup_elem(&own_addresses, &judged) != NULL;
}

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
 * if it has one, else loopback (ip_route_output_key_hash_rcu, tcp_v6_connect).
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

struct search {
	const struct ambit_policy *policy;
	__u64 high, low;	/* host order */
	__u16 port;
	__u8 protocol;
	__u8 exact;		/* only a rule for the one address counts */
	__u8 shortest;		/* prefix of a rule that may match */
	__u8 missed;		/* a block would have matched */
	__u8 found;
	__u16 rule;
};

static __attribute__((unused)) long match_rule(__u32 index, struct search *search)
{
	if (index >= AMBIT_RULES)
		return 1;
	const struct ambit_rule *rule = &search->policy->rules[index];
	if (rule->protocol != search->protocol ||
	    rule->prefix < search->shortest ||
	    search->port < rule->port_low || search->port > rule->port_high)
		return 0;
	/* Rules lie at multiples of 24 behind 32 bytes: aligned. */
	const __u64 *words = (const __u64 *)(const void *)rule->address;
	struct block block = { bpf_be64_to_cpu(words[0]),
			       bpf_be64_to_cpu(words[1]), rule->prefix };
	if (!inside(search->high, search->low, &block))
		return 0;
	if (search->exact && rule->prefix < 128) {
		search->missed = 1;
		return 0;
	}
	search->found = 1;
	search->rule = rule->id;
	return 1;
}

/* Judges the remote endpoint of `attempt` by the agent's rules. */
SUBPROGRAM int decide(const struct ambit_policy *policy,
			     struct attempt *attempt)
{
	if (policy->state == AMBIT_POLICY_CUT)
		return denied(attempt, AMBIT_REASON_CUT);
	if (policy->state != AMBIT_POLICY_OPEN)
		return denied(attempt, AMBIT_REASON_NO_POLICY);
	if (attempt->protocol != IPPROTO_TCP && attempt->protocol != IPPROTO_UDP)
		return denied(attempt, AMBIT_REASON_FAMILY);
	struct search search = {
		.policy = policy,
		.high = bpf_be64_to_cpu(attempt->remote.high),
		.low = bpf_be64_to_cpu(attempt->remote.low),
		.port = attempt->port,
		.protocol = attempt->protocol,
		.exact = is_reserved(&attempt->remote),
		/* Whoever writes ::/0 does not mean IPv4. */
		.shortest = is_mapped(&attempt->remote) ? 96 : 0,
	};
	bpf_loop(policy->rule_count, match_rule, &search, 0);
	if (search.found)
		return decided(attempt, AMBIT_ALLOWED, AMBIT_REASON_RULE,
			       search.rule);
	return denied(attempt, search.missed ? AMBIT_REASON_RESERVED :
					       AMBIT_REASON_NO_RULE);
}

struct listen_search {
	const struct ambit_policy *policy;
	__u16 port;
	__u8 protocol;
	__u8 loopback;		/* the other end, or the address bound to */
	__u16 rule;
	__u8 found;
};

static __attribute__((unused)) long match_listen(__u32 index, struct listen_search *search)
{
	if (index >= AMBIT_LISTENS)
		return 1;
	const struct ambit_listen *entry = &search->policy->listens[index];
	if (entry->protocol != search->protocol ||
	    search->port < entry->port_low || search->port > entry->port_high ||
	    (!entry->anywhere && !search->loopback))
		return 0;
	search->found = 1;
	search->rule = (__u16)index;
	return 1;
}

/* The listen entry that admits the local port towards `address`, the other end
 * or, for a bind, the local address; -1 if none does. */
SUBPROGRAM int find_listen(const struct ambit_policy *policy,
				  const struct attempt *attempt,
				  const struct address *address)
{
	struct listen_search search = {
		.policy = policy,
		.port = attempt->local_port,
		.protocol = attempt->protocol,
		.loopback = is_loopback(address),
	};

	bpf_loop(policy->listen_count, match_listen, &search, 0);
	return search.found ? search.rule : -1;
}

#endif
