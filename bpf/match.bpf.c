// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Matching: see match.bpf.h.  Loops go by helper, so that the verifier walks
 * their body once, whatever the number of entries.
 */
#include "match.bpf.h"

#include <ambit/blocks.h>

static const struct ambit_block reserved_blocks[] = { AMBIT_RESERVED_BLOCKS };

#define RESERVED_BLOCKS (sizeof(reserved_blocks) / sizeof(*reserved_blocks))

/* Without branches, of which the verifier would walk every combination. */
static __always_inline int inside(__u64 high, __u64 low, const struct ambit_block *b)
{
	__u64 part = ~(~0ULL >> (b->prefix & 63));
	__u64 words = b->prefix >> 6;	/* whole ones: 0, 1 or 2 */
	__u64 first = -((words | words >> 1) & 1), second = -(words >> 1 & 1);

	return !(((high ^ b->high) & (part | first)) |
		 ((low ^ b->low) & ((part & first) | second)));
}

struct reserved_search {
	__u64 high, low;	/* host order */
	__u32 found;
};

static long match_reserved(__u32 index, struct reserved_search *search)
{
	if (index >= RESERVED_BLOCKS)
		return 1;
	search->found = inside(search->high, search->low,
			       &reserved_blocks[index]);
	return search->found;
}

static __always_inline int is_reserved(const struct address *address)
{
	struct reserved_search search = {
		.high = bpf_be64_to_cpu(address->high),
		.low = bpf_be64_to_cpu(address->low),
	};

	/* NAT64 carries an IPv4 address to where it leads. */
	if (search.high == AMBIT_NAT64_HIGH && !(search.low >> 32)) {
		search.high = MAPPED_HIGH;
		search.low |= 0xffff00000000ULL;
	}
	bpf_loop(RESERVED_BLOCKS, match_reserved, &search, 0);
	if (search.found)
		return 1;
	struct address judged = { bpf_cpu_to_be64(search.high),
				  bpf_cpu_to_be64(search.low) };
	return bpf_map_lookup_elem(&own_addresses, &judged) != NULL;
}

struct search {
	const struct ambit_policy *policy;
	__u64 high, low;	/* host order */
	__u16 port;
	__u8 protocol;
	__u8 exact;		/* only a rule for the one address counts */
	__u8 shortest;		/* prefix of a rule that may match */
	__u8 missed;		/* a block would have matched */
	__u8 sorts;		/* either protocol; and sorts_at() any port */
	__u8 found;
	__u8 pin_count;
	__u16 rule;
	__u16 kept;
	__u64 pins[2];
	const struct ambit_admitted *admitted;	/* what names led here, or NULL */
	__u64 now;
};

/* Without branches: see inside().  A comparison would be one in this instruction
 * set, so both are made of signs, behind the compiler's back. */
static __always_inline int is_admitted(const struct search *search, __u16 entry)
{
	const struct ambit_admitted *admitted = search->admitted;
	__u64 found = 0;

	if (search->kept == entry + 1)
		return 1;
	if (!admitted)
		return 0;
#pragma clang loop unroll(disable)
	for (int i = 0; i < AMBIT_ADMITTED_ENTRIES; i++) {
		__u64 other = admitted->entry[i] ^ entry;
		asm volatile("" : "+r"(other));
		found |= (other - 1) & (search->now - admitted->until[i]);
	}
	return found >> 63;
}

static __always_inline long take_rule(struct search *search,
				      const struct ambit_rule *rule)
{
	search->found = 1;
	search->rule = rule->id;
	/* A rule that asks for no name wins over those that do. */
	if (!(rule->flags & AMBIT_RULE_TLS)) {
		search->pin_count = 0;
		return 1;
	}
	search->pins[1] = search->pins[1] << 16 | search->pins[0] >> 48;
	search->pins[0] = search->pins[0] << 16 | rule->id;
	search->pin_count += search->pin_count < PINS;
	return 0;
}

/* A name that leads to a reserved address is not the one that was meant. */
static __always_inline long match_name(struct search *search,
				       const struct ambit_rule *rule)
{
	if (search->exact || !is_admitted(search, rule->id))
		return 0;
	return take_rule(search, rule);
}

/* What C libraries (0), Go (9) and musl (65535) ask the way to, of whatever port the
 * name was looked up for: see is_sorting(). */
static __always_inline int sorts_at(__u16 port)
{
	return port == 0 || port == 9 || port == 65535;
}

static long match_rule(__u32 index, struct search *search)
{
	if (index >= AMBIT_RULES)
		return 1;
	const struct ambit_rule *rule = &search->policy->rules[index];
	if ((rule->protocol != search->protocol && !search->sorts) ||
	    (rule->prefix < search->shortest &&
	     !(rule->flags & AMBIT_RULE_NAME)))
		return 0;
	if ((search->port < rule->port_low || search->port > rule->port_high) &&
	    !(search->sorts && sorts_at(search->port)))
		return 0;
	if (rule->flags & AMBIT_RULE_NAME)
		return match_name(search, rule);
	/* Rules lie at multiples of 32 behind 40 bytes: aligned. */
	const __u64 *words = (const __u64 *)(const void *)rule->address;
	struct ambit_block block = { bpf_be64_to_cpu(words[0]),
				     bpf_be64_to_cpu(words[1]), rule->prefix, 0 };
	if (!inside(search->high, search->low, &block))
		return 0;
	if (search->exact && rule->prefix < 128) {
		search->missed = 1;
		return 0;
	}
	return take_rule(search, rule);
}

static __always_inline void find_admitted(const struct ambit_policy *policy,
					  const struct attempt *attempt,
					  struct search *search)
{
	struct ambit_admitted_key key = { .instance = policy->instance };

	__builtin_memcpy(key.address, &attempt->remote, sizeof(key.address));
	search->admitted = bpf_map_lookup_elem(&admitted, &key);
	search->now = bpf_ktime_get_boot_ns();
}

GLOBAL int decide(const struct ambit_policy *policy, struct attempt *attempt)
{
	if (!policy || !attempt)
		return AMBIT_DENIED;
	if (policy->state == AMBIT_POLICY_CUT)
		return denied(attempt, AMBIT_REASON_CUT);
	if (policy->state != AMBIT_POLICY_OPEN)
		return denied(attempt, AMBIT_REASON_NO_POLICY);
	if (attempt->protocol != IPPROTO_TCP && attempt->protocol != IPPROTO_UDP)
		return denied(attempt, AMBIT_REASON_FAMILY);
	/* Where its own lookups were led: a flow that is judged anew.  Who connects
	 * to the address itself would pay for no question. */
	__u32 zero = 0;
	struct ambit_control *node = bpf_map_lookup_elem(&control, &zero);
	if (attempt->kind != AMBIT_ATTEMPT_CONNECT &&
	    node && node->resolver_port && !attempt->remote.high &&
	    attempt->port == node->resolver_port &&
	    attempt->remote.low ==
		    MAPPED_LOW((__u64)AMBIT_ASKERS + policy->slot))
		return decided(attempt, AMBIT_ALLOWED, AMBIT_REASON_RULE,
			       AMBIT_NO_RULE);
	struct search search = {
		.policy = policy,
		.high = bpf_be64_to_cpu(attempt->remote.high),
		.low = bpf_be64_to_cpu(attempt->remote.low),
		.port = attempt->port,
		.protocol = attempt->protocol,
		.exact = is_reserved(&attempt->remote),
		/* Whoever writes ::/0 does not mean IPv4. */
		.shortest = is_mapped(&attempt->remote) ? 96 : 0,
		.kept = attempt->kept,
		.sorts = attempt->sorts,
	};
	if (policy->names && !search.exact)
		find_admitted(policy, attempt, &search);
	bpf_loop(policy->rule_count, match_rule, &search, 0);
	attempt->pins[0] = search.pins[0];
	attempt->pins[1] = search.pins[1];
	attempt->pin_count = search.pin_count;
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

static long match_listen(__u32 index, struct listen_search *search)
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

GLOBAL int find_listen(const struct ambit_policy *policy,
		       const struct attempt *attempt,
		       const struct address *address)
{
	if (!policy || !attempt || !address)
		return -1;
	struct listen_search search = {
		.policy = policy,
		.port = attempt->local_port,
		.protocol = attempt->protocol,
		.loopback = is_loopback(address),
	};
	bpf_loop(policy->listen_count, match_listen, &search, 0);
	return search.found ? search.rule : -1;
}
