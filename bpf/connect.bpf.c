// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * connect4, connect6: a TCP connection or the peer of a datagram socket.
 *
 * Runs for connect(2), for Fast Open by flag and by option, and in a kernel
 * worker for extra subflows; therefore the rules are those of the attachment.
 * A v4-mapped address on a v6 socket comes through connect6 and an AF_INET
 * address on a v6 datagram socket through connect4: both look the same here.
 */
#include "names.bpf.h"
#include "tls.bpf.h"

/* Writes the address that was judged into the call's. */
static __always_inline void put_remote(struct bpf_sock_addr *ctx, int six,
				       const struct address *remote)
{
	if (!six) {
		ctx->user_ip4 = (__u32)(remote->low >> 32);
		return;
	}
	ctx->user_ip6[0] = (__u32)remote->high;
	ctx->user_ip6[1] = (__u32)(remote->high >> 32);
	ctx->user_ip6[2] = (__u32)remote->low;
	ctx->user_ip6[3] = (__u32)(remote->low >> 32);
}

/*
 * C libraries sort the addresses of a name by what connecting a UDP socket to each
 * tells of the way there (RFC 6724), with the port that TCP is meant for, with none,
 * or with one of their own (sorts_at).  It sends nothing, and a datagram that is
 * sent all the same is judged and recorded at the wall: so it is let be where any
 * entry leads to the address.
 */
static __always_inline int is_sorting(const struct ambit_policy *policy,
				      const struct attempt *attempt)
{
	struct attempt any = *attempt;

	any.sorts = 1;
	return attempt->protocol == IPPROTO_UDP && decide(policy, &any);
}

static __always_inline int connects(struct bpf_sock_addr *ctx, int six)
{
	struct ambit_policy *policy = bpf_get_local_storage(&policies, 0);
	struct bpf_sock *sk = ctx->sk;

	if (!sk)
		return REFUSE;
	struct flow *flow = flow_enter(sk, six ? HOOK_CONNECT6 : HOOK_CONNECT4);
	if (!flow) {
		lose(policy);
		return REFUSE;
	}
	struct attempt attempt = {
		.kind = AMBIT_ATTEMPT_CONNECT,
		.remote = asked_of(ctx, six),
		.local = local_of(sk),
		.cookie = bpf_get_socket_cookie(ctx),
		.port = bpf_ntohs((__u16)ctx->user_port),
		.local_port = (__u16)sk->src_port,
		.protocol = (__u8)ctx->protocol,
		.family = (__u8)ctx->family,
	};
	int tcp = attempt.protocol == IPPROTO_TCP;

	if (!six && ask_resolver(policy, flow, &attempt)) {
		/* A datagram pays when it is sent. */
		int served = !tcp || is_served(ctx, &attempt);
		if (!served || (tcp && !asker_pays(policy))) {
			flow_forget(flow);
			denied(&attempt, served ? AMBIT_REASON_RATE :
						  AMBIT_REASON_NOT_ADMITTED);
			record_attempt(policy, &attempt);
			return REFUSE;
		}
		if (tcp && !tls_begin(flow, sk, &attempt)) {
			lose(policy);
			return REFUSE;
		}
		lead(ctx, &attempt);
		return PASS;
	}
	/* The kernel takes "any" from a field that no program sees, inet_saddr: 0
	 * where a broadcast address is bound, which then leads to loopback. */
	if (is_any(&attempt.remote)) {
		resolve_any(&attempt.remote, &attempt.local);
		put_remote(ctx, six, &attempt.remote);
	}
	if (!tcp && flow_find(flow, policy, &attempt) == FLOW_CURRENT)
		return PASS;
	int allowed = decide_datagram(policy, &attempt, sk);
	if (tcp && allowed && !tls_begin(flow, sk, &attempt)) {
		flow_forget(flow);
		lose(policy);
		return REFUSE;
	}
	if (!allowed && is_sorting(policy, &attempt))
		return PASS;
	/* What the porter asks a resolver has the record of the lookup. */
	if (!(allowed && policy->resolver) && !record_attempt(policy, &attempt))
		allowed = 0;
	if (allowed)
		flow_admit(flow, policy, &attempt);
	else if (tcp)
		flow_forget(flow);
	return allowed ? PASS : REFUSE;
}

SEC("cgroup/connect4")
int leaf_connect4(struct bpf_sock_addr *ctx)
{
	return connects(ctx, 0);
}

SEC("cgroup/getpeername4")
int leaf_peer4(struct bpf_sock_addr *ctx)
{
	return lead_back(ctx);
}

SEC("cgroup/connect6")
int leaf_connect6(struct bpf_sock_addr *ctx)
{
	return connects(ctx, 1);
}
