// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The wall: one program per hook on the parent cgroup.  It refuses whatever no
 * leaf program has judged in this very run, so that a cgroup that lost its leaf
 * programs, or never had them, reaches nothing.  What it refuses belongs to no
 * agent and is counted in slot 0, as lost attempts or as dropped packets.
 */
#include "flow.bpf.h"

/* 1 if the leaf program of `hook` ran before us; takes its note away. */
static __always_inline int judged(void *sk, enum hook hook)
{
	struct flow *flow = sk ? bpf_sk_storage_get(&flows, sk, 0, 0) : NULL;

	if (!flow)
		return 0;
	if (__sync_fetch_and_add(&flow->pending[hook], -1) > 0)
		return 1;
	__sync_fetch_and_add(&flow->pending[hook], 1);
	return 0;
}

static __always_inline int holds_attempt(void *sk, enum hook hook)
{
	if (judged(sk, hook))
		return PASS;
	struct ambit_tally *tally = tally_of(0);
	if (tally) {
		__sync_fetch_and_add(&tally->attempts, 1);
		__sync_fetch_and_add(&tally->lost, 1);
	}
	return REFUSE;
}

static __always_inline int holds_packet(struct __sk_buff *skb, enum hook hook)
{
	struct bpf_sock *sk = skb->sk;

	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (judged(sk, hook))
		return PASS;
	struct ambit_tally *tally = tally_of(0);
	if (tally)
		__sync_fetch_and_add(&tally->dropped_packets, 1);
	return REFUSE;
}

/* X(section, program, hook) */
#define ADDRESS_WALLS(X)                                         \
	X("cgroup/connect4", wall_connect4, HOOK_CONNECT4)       \
	X("cgroup/connect6", wall_connect6, HOOK_CONNECT6)       \
	X("cgroup/sendmsg4", wall_sendmsg4, HOOK_SENDMSG4)       \
	X("cgroup/sendmsg6", wall_sendmsg6, HOOK_SENDMSG6)       \
	X("cgroup/bind4", wall_bind4, HOOK_BIND4)                \
	X("cgroup/bind6", wall_bind6, HOOK_BIND6)                \
	X("cgroup/connect_unix", wall_unixconn, HOOK_UNIX_CONNECT) \
	X("cgroup/sendmsg_unix", wall_unixsend, HOOK_UNIX_SEND)

#define ADDRESS_WALL(section, program, hook)                     \
	SEC(section) int program(struct bpf_sock_addr *ctx)      \
	{                                                        \
		return holds_attempt(ctx->sk, hook);             \
	}
ADDRESS_WALLS(ADDRESS_WALL)

/* These only say again what was decided before. */
SEC("cgroup/recvmsg4")
int wall_recvmsg4(struct bpf_sock_addr *ctx)
{
	return PASS;
}

SEC("cgroup/getpeername4")
int wall_peer4(struct bpf_sock_addr *ctx)
{
	return PASS;
}

SEC("cgroup/sock_create")
int wall_create(struct bpf_sock *ctx)
{
	return holds_attempt(ctx, HOOK_CREATE);
}

/* Ends what was decided before. */
SEC("cgroup/sock_release")
int wall_release(struct bpf_sock *ctx)
{
	return PASS;
}

SEC("cgroup/setsockopt")
int wall_option(struct bpf_sockopt *ctx)
{
	ctx->optlen = 0;
	return holds_attempt(ctx->sk, HOOK_OPTION);
}

SEC("cgroup_skb/egress")
int wall_egress(struct __sk_buff *skb)
{
	return holds_packet(skb, HOOK_EGRESS);
}

SEC("cgroup_skb/ingress")
int wall_ingress(struct __sk_buff *skb)
{
	return holds_packet(skb, HOOK_INGRESS);
}
