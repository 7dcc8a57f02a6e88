/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What a socket carries along: which destinations were decided and recorded for
 * it, and which hooks its leaf programs have run for.  Storage of the socket, so
 * that it goes with the socket and is not inherited by accepted ones.
 *
 * Destinations are read and written under a lock: two threads that send at once
 * must not be able to put a destination together from halves of two others.
 */
#ifndef FLOW_BPF_H
#define FLOW_BPF_H

#include "match.bpf.h"

enum hook {
	HOOK_CONNECT4, HOOK_CONNECT6, HOOK_SENDMSG4, HOOK_SENDMSG6,
	HOOK_BIND4, HOOK_BIND6, HOOK_CREATE, HOOK_OPTION,
	HOOK_EGRESS, HOOK_INGRESS, HOOK_UNIX_CONNECT, HOOK_UNIX_SEND,
	HOOKS
};

#define FLOW_KNOWN AMBIT_FLOW_KNOWN	/* datagram destinations remembered */
#define FLOW_PEERS 32		/* peers that a listening datagram socket may answer */

struct destination {
	struct address address;
	__u16 port;		/* 0: not used */
	__u16 rule;		/* that allowed it */
	__u32 generation;	/* of the rules that last allowed it */
};

/* Whether the first bytes of a TCP flow are judged: tls.bpf.h.  What asks for
 * nothing is 0, as in a socket that never connected. */
enum tls_state {
	TLS_FREE,
	TLS_WAITS,	/* for the hello */
	TLS_ASKED,	/* for what the server says to it */
	TLS_AGAIN,	/* for a second hello, which it asked for */
	TLS_PASSED,
	TLS_REFUSED,
};

/* Whether no packet of the flow, either way, has to be looked into any more. */
#define TLS_SETTLED(flow) \
	((flow)->tls == TLS_FREE || (flow)->tls == TLS_PASSED)

struct flow {
	struct bpf_spin_lock lock;	/* instance, known, next, dropped */
	__u32 next;
	__u64 instance;		/* whose decisions these are */
	struct destination known[FLOW_KNOWN];	/* TCP uses the first alone */
	struct destination dropped;	/* of the last recorded drop; its generation is
					 * one more than that of the rules */
	__u32 tls;		/* enum tls_state */
	/* TCP: generation + 1 of the rules that admit what the socket is connected
	 * to; 0: not known.  Written by the connect hook, which runs under the
	 * socket's lock before the kernel takes the address over, and never
	 * inherited; the first packet is compared with it, the rest are not. */
	__u32 settled;
	/* How often the leaf program of a hook has run and the wall's not yet.
	 * Counted whatever the leaf decided: its own refusal stands anyway. */
	__s32 pending[HOOKS];
	__u32 counted;		/* 1: one of its agent's open sockets */
	__u32 answers;		/* 1: made by the porter */
};

_Static_assert(sizeof(struct flow) == AMBIT_FLOW_BYTES &&
		       __builtin_offsetof(struct flow, instance) ==
			       __builtin_offsetof(struct ambit_flow, instance) &&
		       __builtin_offsetof(struct flow, known) ==
			       __builtin_offsetof(struct ambit_flow, known) &&
		       sizeof(struct destination) ==
			       sizeof(((struct ambit_flow *)0)->known[0]),
	       "flow layout");

/* Peers from which a datagram came in on a listed port. */
struct peers {
	struct bpf_spin_lock lock;
	__u32 next;
	struct destination known[FLOW_PEERS];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct flow);
} flows SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct peers);
} inbound SEC(".maps") __weak;

/* The socket's flow, with this run of a leaf program noted for the wall.  NULL
 * (no memory): the caller refuses. */
static __always_inline struct flow *flow_enter(void *sk, enum hook hook)
{
	struct flow *flow = bpf_sk_storage_get(&flows, sk, 0,
					       BPF_SK_STORAGE_GET_F_CREATE);

	if (flow)
		__sync_fetch_and_add(&flow->pending[hook], 1);
	return flow;
}

static __always_inline struct address address_v4(__u32 word)
{
	return (struct address){ MAPPED_HIGH,
				 MAPPED_LOW((__u64)bpf_ntohl(word)) };
}

static __always_inline struct address address_v6(__u32 a, __u32 b, __u32 c,
						 __u32 d)
{
	union {
		__u32 words[4];
		struct address address;
	} both = { .words = { a, b, c, d } };

	return both.address;
}

static __always_inline struct address local_of(const struct bpf_sock *sk)
{
	if (sk->family == FAMILY_INET)
		return address_v4(sk->src_ip4);
	return address_v6(sk->src_ip6[0], sk->src_ip6[1], sk->src_ip6[2],
			  sk->src_ip6[3]);
}

static __always_inline struct address remote_of(const struct bpf_sock *sk)
{
	if (sk->family == FAMILY_INET)
		return address_v4(sk->dst_ip4);
	return address_v6(sk->dst_ip6[0], sk->dst_ip6[1], sk->dst_ip6[2],
			  sk->dst_ip6[3]);
}

/* The address that a connect, sendmsg or bind hook was called with. */
static __always_inline struct address asked_of(struct bpf_sock_addr *ctx,
					       int six)
{
	if (!six)
		return address_v4(ctx->user_ip4);
	return address_v6(ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2],
			  ctx->user_ip6[3]);
}

enum flow_state { FLOW_UNKNOWN, FLOW_STALE, FLOW_CURRENT };

/*
 * 1 if `value` is zero, else 0.  Without a branch, and so that the compiler does
 * not see what it is: the verifier walks both sides of every branch, and of those
 * in a row every combination.
 */
static __always_inline __u64 is_zero(__u64 value)
{
	__u64 negated = -value;

	asm volatile("" : "+r"(negated));
	return ((value | negated) >> 63) ^ 1;
}

static __always_inline __u64 same(const struct destination *destination,
				  __u64 high, __u64 low, __u16 port)
{
	return is_zero((destination->address.high ^ high) |
		       (destination->address.low ^ low) |
		       (__u64)(destination->port ^ port));
}

/* Whether the remote endpoint was decided and recorded for this socket; stale
 * if the rules have changed since; then the rule is noted that admitted it. */
static __always_inline enum flow_state
flow_find(struct flow *flow, const struct ambit_policy *policy,
	  struct attempt *attempt)
{
	__u64 high = attempt->remote.high, low = attempt->remote.low;
	__u64 instance = policy->instance, known = 0, current = 0, own, rule = 0;
	__u32 generation = policy->generation;
	__u16 port = attempt->port;

	if (!port || policy->state != AMBIT_POLICY_OPEN)
		return FLOW_UNKNOWN;
	bpf_spin_lock(&flow->lock);
	own = is_zero(flow->instance ^ instance);
#pragma clang loop unroll(disable)
	for (int i = 0; i < FLOW_KNOWN; i++) {
		__u64 hit = same(&flow->known[i], high, low, port);
		known |= hit;
		rule |= -hit & flow->known[i].rule;
		current |= hit & is_zero(flow->known[i].generation ^ generation);
	}
	bpf_spin_unlock(&flow->lock);
	if (own & current)
		return FLOW_CURRENT;
	attempt->kept = own & known ? (__u16)(rule + 1) : 0;
	return own & known ? FLOW_STALE : FLOW_UNKNOWN;
}

/* Notes that the remote endpoint is allowed by the present rules. */
static __always_inline void flow_admit(struct flow *flow,
				       const struct ambit_policy *policy,
				       const struct attempt *attempt)
{
	__u64 high = attempt->remote.high, low = attempt->remote.low;
	__u64 instance = policy->instance, hits = 0, at = 0;
	__u32 generation = policy->generation;
	__u16 port = attempt->port, rule = attempt->rule;
	int tcp = attempt->protocol == IPPROTO_TCP;

	flow->settled = 0;
	bpf_spin_lock(&flow->lock);
	if (flow->instance != instance) {
#pragma clang loop unroll(disable)
		for (int i = 0; i < FLOW_KNOWN; i++)
			flow->known[i].port = 0;
		flow->instance = instance;
	}
	if (!tcp) {
#pragma clang loop unroll(disable)
		for (int i = 0; i < FLOW_KNOWN; i++) {
			__u64 hit = same(&flow->known[i], high, low, port);
			hits |= hit;
			at |= -hit & (__u64)i;
		}
		if (!hits)
			at = flow->next++;
	}
	struct destination *to = &flow->known[at % FLOW_KNOWN];
	to->address.high = high;
	to->address.low = low;
	to->port = port;
	to->rule = rule;
	to->generation = generation;
	bpf_spin_unlock(&flow->lock);
	if (tcp)
		flow->settled = generation + 1;
}

/* Whether a TCP socket that does not listen has what the present rules admit at its
 * other end, and its first bytes need no judging any more. */
static __always_inline int flow_is_settled(const struct flow *flow,
					   const struct ambit_policy *policy)
{
	return flow->settled == policy->generation + 1 &&
	       flow->instance == policy->instance &&
	       policy->state == AMBIT_POLICY_OPEN &&
	       TLS_SETTLED(flow);
}

/* Whether a TCP socket on its way out leads where its connect was judged to; the
 * lock of the socket, under which both connect and send, keeps others away. */
static __always_inline int flow_leads(const struct flow *flow,
				      const struct bpf_sock *sk)
{
	struct address remote = remote_of(sk);

	return same(&flow->known[0], remote.high, remote.low,
		    bpf_ntohs(sk->dst_port));
}

/* A TCP socket whose new connect was refused has no admitted flow any more. */
static __always_inline void flow_forget(struct flow *flow)
{
	flow->settled = 0;
	bpf_spin_lock(&flow->lock);
	flow->known[0].port = 0;
	bpf_spin_unlock(&flow->lock);
}

/*
 * Notes where the last drop led to that was recorded; 1 if it was there before.  At
 * once: a thread that connects elsewhere must not hide one place behind another.  TCP
 * has one place; its packets may show another, where addresses are translated.
 */
static __always_inline int flow_drop_noted(struct flow *flow,
					   const struct ambit_policy *policy,
					   const struct attempt *attempt)
{
	int tcp = attempt->protocol == IPPROTO_TCP;
	__u64 high = tcp ? 0 : attempt->remote.high;
	__u64 low = tcp ? 0 : attempt->remote.low;
	__u16 port = tcp ? 0 : attempt->port;
	__u32 generation = policy->generation + 1;
	__u64 noted;

	bpf_spin_lock(&flow->lock);
	noted = same(&flow->dropped, high, low, port) &
		is_zero(flow->dropped.generation ^ generation);
	flow->dropped.address.high = high;
	flow->dropped.address.low = low;
	flow->dropped.port = port;
	flow->dropped.generation = generation;
	bpf_spin_unlock(&flow->lock);
	return noted != 0;
}

/* Whether a datagram came in from the remote endpoint before: then the socket,
 * whose port is listed, may answer. */
static __always_inline int peers_has(struct peers *peers,
				     const struct attempt *attempt)
{
	__u64 high = attempt->remote.high, low = attempt->remote.low;
	__u16 port = attempt->port;
	__u64 found = 0;

	if (!port)
		return 0;
	bpf_spin_lock(&peers->lock);
#pragma clang loop unroll(disable)
	for (int i = 0; i < FLOW_PEERS; i++)
		found |= same(&peers->known[i], high, low, port);
	bpf_spin_unlock(&peers->lock);
	return found != 0;
}

static __always_inline void peers_note(struct peers *peers,
				       const struct attempt *attempt)
{
	__u64 high = attempt->remote.high, low = attempt->remote.low;
	__u16 port = attempt->port;

	if (!port || peers_has(peers, attempt))
		return;
	bpf_spin_lock(&peers->lock);
	struct destination *to = &peers->known[peers->next++ % FLOW_PEERS];
	to->address.high = high;
	to->address.low = low;
	to->port = port;
	bpf_spin_unlock(&peers->lock);
}

/*
 * A datagram that no rule admits may still be the answer of a listening socket.
 * Listing a port must not be a way to send to whom one likes from it, hence only
 * to peers that wrote first.
 */
static __always_inline int decide_datagram(const struct ambit_policy *policy,
					   struct attempt *attempt, void *sk)
{
	if (decide(policy, attempt))
		return AMBIT_ALLOWED;
	if (policy->state != AMBIT_POLICY_OPEN ||
	    attempt->protocol != IPPROTO_UDP ||
	    find_listen(policy, attempt, &attempt->remote) < 0)
		return AMBIT_DENIED;
	struct peers *peers = bpf_sk_storage_get(&inbound, sk, 0, 0);
	if (!peers || !peers_has(peers, attempt))
		return AMBIT_DENIED;
	return decided(attempt, AMBIT_ALLOWED, AMBIT_REASON_RULE, AMBIT_NO_RULE);
}

#endif
