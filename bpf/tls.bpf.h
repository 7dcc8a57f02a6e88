/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * `tls: required`.  A TCP flow that only rules with AMBIT_RULE_TLS admit waits,
 * from its connect on, for its first bytes: they must be a TLS hello whose server
 * name one of those rules' entries stands for.  Then it is a flow like others;
 * else it never carries a byte.  Segments without payload pass in every state: no
 * hello comes without a handshake, and a peer should hear of the reset.
 *
 * The server may ask for another hello (HelloRetryRequest), and many take the name
 * of that one.  So the flow is settled only when the server has begun to answer
 * otherwise, or when the second hello was right too.
 *
 * The bytes are those that the kernel keeps for the flow, so that what is judged
 * once is what it sends, however often.  That holds only for bytes that it copied:
 * MSG_ZEROCOPY and splice(2) show it pages that the agent can still write, and are
 * refused elsewhere (socket.bpf.c, syscalls.c).
 */
#ifndef TLS_BPF_H
#define TLS_BPF_H

#include "flow.bpf.h"

/* What was found on a waiting flow's packet, beside enum ambit_reason. */
#define TLS_RIGHT 0
#define TLS_EMPTY 255	/* no payload: nothing is known yet */
#define TLS_ON 254	/* payload that may pass and decides nothing */

/*
 * Of one socket, made when its connect finds that it has to wait.  In the socket's
 * storage rather than a buffer per CPU: a packet of another socket may be judged
 * in an interrupt in between.
 */
struct pinned {
	struct ambit_server_name name;	/* seen; with an entry, a key to look up */
	struct ambit_server_name rest;	/* the same behind the first label */
	__u64 entries[2];	/* struct attempt, pins */
	__u32 entry_count;
	__u32 next;		/* sequence number of the first byte to judge */
	__u32 record;		/* … of the next TLS record */
	__u32 answer;		/* … of the server's first byte */
	__u32 started;		/* `next` is known: the SYN has passed */
	__u32 connected;	/* `answer` is known */
	__u32 reason;		/* of the refusal, for good; 0: none */
	__u32 recorded;		/* … which was tried to record */
	__u32 told;		/* … and the socket stands in `condemned` */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pinned);
} pins SEC(".maps") __weak;

/* Judges the packet of a waiting flow, whose TCP header is at `header`: TLS_RIGHT,
 * TLS_EMPTY or the reason to refuse it. */
int tls_judge(struct __sk_buff *skb, const struct ambit_policy *policy,
	      __u32 header, __u32 state);

/* Looks at an incoming packet of a flow that is TLS_ASKED.  The state that follows
 * from it. */
int tls_answered(struct __sk_buff *skb, __u32 header);

/* An incoming packet may settle the flow.  Swapped, not written: a packet that says
 * nothing, on another processor, must not put back what it found. */
static __always_inline void tls_hears(struct __sk_buff *skb, struct flow *flow,
				      __u32 header)
{
	if (flow->tls != TLS_ASKED)
		return;
	__u32 state = (__u32)tls_answered(skb, header);
	if (state != TLS_ASKED)
		__sync_val_compare_and_swap(&flow->tls, TLS_ASKED, state);
}

/* Whether the name that was seen is one that the entries stand for. */
int tls_listed(struct __sk_buff *skb, const struct ambit_policy *policy);

/* Records the refusal and has the socket destroyed, each once.  `attempt` has the
 * addresses of the socket: the node may translate those of the packet. */
int tls_refuse(struct __sk_buff *skb, const struct ambit_policy *policy,
	       struct attempt *attempt, struct pinned *pinned, __u32 device);

static __always_inline void tls_expect(struct pinned *pinned,
				       const struct attempt *attempt)
{
	pinned->entries[0] = attempt->pins[0];
	pinned->entries[1] = attempt->pins[1];
	pinned->entry_count = attempt->pin_count;
}

/* At a connect that the rules allow.  0: there is no memory, it must be refused. */
static __always_inline int tls_begin(struct flow *flow, void *sk,
				     const struct attempt *attempt)
{
	struct pinned *pinned;

	/* First: whatever the socket was before, it is judged anew. */
	flow->tls = attempt->pin_count ? TLS_WAITS : TLS_FREE;
	if (!attempt->pin_count)
		return 1;
	pinned = bpf_sk_storage_get(&pins, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!pinned)
		return 0;
	tls_expect(pinned, attempt);
	pinned->started = 0;
	pinned->connected = 0;
	pinned->reason = 0;
	pinned->recorded = 0;
	pinned->told = 0;
	return 1;
}

/*
 * When the rules have changed under a flow that they still admit, as `attempt`
 * says: what has passed must be right for them too, or they ask for nothing.
 */
static __always_inline int tls_holds(struct __sk_buff *skb,
				     const struct ambit_policy *policy,
				     struct flow *flow, void *sk,
				     const struct attempt *attempt)
{
	struct pinned *pinned;

	if (!attempt->pin_count)
		return 1;
	pinned = bpf_sk_storage_get(&pins, sk, 0, 0);
	if (!pinned || flow->tls == TLS_FREE)
		return 0;
	tls_expect(pinned, attempt);
	return flow->tls == TLS_WAITS || flow->tls == TLS_REFUSED ||
	       tls_listed(skb, policy);
}

/* 1: the packet of an admitted TCP flow may pass. */
static __always_inline int tls_admits(struct __sk_buff *skb,
				      const struct ambit_policy *policy,
				      struct flow *flow, struct bpf_sock *sk,
				      struct attempt *attempt, __u32 header)
{
	struct pinned *pinned;

	if (TLS_SETTLED(flow))
		return 1;
	pinned = bpf_sk_storage_get(&pins, sk, 0, 0);
	if (!pinned)
		return 0;
	int found = tls_judge(skb, policy, header, flow->tls);
	if (found == TLS_EMPTY || found == TLS_ON)
		return 1;
	if (found == TLS_RIGHT) {
		/* TLS_ASKED stays: a hello that nobody asked for yet. */
		if (flow->tls == TLS_WAITS)
			flow->tls = TLS_ASKED;
		else if (flow->tls == TLS_AGAIN)
			flow->tls = TLS_PASSED;
		return 1;
	}
	flow->tls = TLS_REFUSED;
	/* The record of the refusal stands for all drops that come of it. */
	flow_drop_noted(flow, policy, attempt);
	attempt->remote = remote_of(sk);
	attempt->port = bpf_ntohs(sk->dst_port);
	attempt->local = local_of(sk);
	attempt->local_port = (__u16)sk->src_port;
	tls_refuse(skb, policy, attempt, pinned, sk->bound_dev_if);
	return 0;
}

#endif
