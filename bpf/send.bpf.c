// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * sendmsg4, sendmsg6: a datagram to an address.  One record per new destination
 * of a socket; a datagram to one that is remembered passes.
 *
 * With a control message on a connected socket the hook is called without an
 * address (all zero): the destination is then the socket's own.
 */
#include "names.bpf.h"

static __always_inline int sends(struct bpf_sock_addr *ctx, int six)
{
	struct ambit_policy *policy = bpf_get_local_storage(&policies, 0);
	struct bpf_sock *sk = ctx->sk;

	if (!sk)
		return REFUSE;
	struct flow *flow = flow_enter(sk, six ? HOOK_SENDMSG6 : HOOK_SENDMSG4);
	if (!flow) {
		lose(policy);
		return REFUSE;
	}
	struct attempt attempt = {
		.kind = AMBIT_ATTEMPT_SEND,
		.remote = asked_of(ctx, six),
		.local = local_of(sk),
		.cookie = bpf_get_socket_cookie(ctx),
		.port = bpf_ntohs((__u16)ctx->user_port),
		.local_port = (__u16)sk->src_port,
		.protocol = (__u8)ctx->protocol,
		.family = (__u8)ctx->family,
	};

	/* Port 0 can't be sent to (EINVAL): no address was given. */
	if (!attempt.port) {
		attempt.remote = remote_of(sk);
		attempt.port = bpf_ntohs(sk->dst_port);
	}
	if (answers(policy, &attempt))
		return PASS;
	if (!six && ask_resolver(policy, flow, &attempt)) {
		lead(ctx, &attempt);
		return PASS;
	}
	resolve_any(&attempt.remote, &attempt.local);
	if (flow_find(flow, policy, &attempt) == FLOW_CURRENT)
		return PASS;
	int allowed = decide_datagram(policy, &attempt, sk);
	if (!record_attempt(policy, &attempt))
		return REFUSE;
	if (allowed)
		flow_admit(flow, policy, &attempt);
	return allowed ? PASS : REFUSE;
}

SEC("cgroup/sendmsg4")
int leaf_sendmsg4(struct bpf_sock_addr *ctx)
{
	return sends(ctx, 0);
}

SEC("cgroup/recvmsg4")
int leaf_recvmsg4(struct bpf_sock_addr *ctx)
{
	return lead_back(ctx);
}

SEC("cgroup/sendmsg6")
int leaf_sendmsg6(struct bpf_sock_addr *ctx)
{
	return sends(ctx, 1);
}
