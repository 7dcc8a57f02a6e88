// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * sock_create: only TCP and UDP over IPv4 and IPv6.  The packet wall knows no
 *	other, and UDP-Lite, ping, SCTP or MPTCP sockets pass by some hooks.
 *	An agent has so many at once; sock_release counts them down.
 * setsockopt: no option that sends packets elsewhere than their address says, or
 *	that takes a socket out of the hooks' sight.  IPv6 segment routing is
 *	open to everybody and shows the hooks a decoy.
 * bind4, bind6: only listed ports; any port that the kernel picks is fine, since
 *	the packet wall answers nobody on it.
 *
 * What is allowed here moves no byte and is not recorded, but for listed binds.
 */
#include "flow.bpf.h"

#include <asm/socket.h>
#include <linux/in6.h>
#include <linux/tcp.h>

#define LEVEL_SOCKET 1
#define IPV6_UNICAST_IF_OPTION 76
#define IPV6_FREEBIND_OPTION 78
#define UDP_ENCAP_OPTION 100
#define TCP_TX_DELAY_OPTION 37
#define IP_LOCAL_PORT_RANGE_OPTION 51

/* X(level, name, reason) */
#define REFUSED_OPTIONS(X)                               \
	X(IPPROTO_IP, IP_OPTIONS, ROUTING)               \
	X(IPPROTO_IP, IP_TRANSPARENT, OPTION)            \
	X(IPPROTO_IP, IP_UNICAST_IF, ROUTING)            \
	/* Somebody else's address as one's own: IPv6 sends from any, and  \
	 * the answers of a listed endpoint go to whom it belongs. */      \
	X(IPPROTO_IP, IP_FREEBIND, OPTION)               \
	X(IPPROTO_IPV6, IPV6_FREEBIND_OPTION, OPTION)    \
	X(IPPROTO_IPV6, IPV6_PKTINFO, ROUTING)           \
	/* A join makes the kernel send packets of its own with  \
	 * the agent's bytes in them. */                         \
	X(IPPROTO_IP, IP_ADD_MEMBERSHIP, OPTION)         \
	X(IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, OPTION)  \
	X(IPPROTO_IP, MCAST_JOIN_GROUP, OPTION)          \
	X(IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP, OPTION)   \
	X(IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, OPTION)     \
	X(IPPROTO_IPV6, IPV6_JOIN_ANYCAST, OPTION)       \
	X(IPPROTO_IPV6, MCAST_JOIN_GROUP, OPTION)        \
	X(IPPROTO_IPV6, MCAST_JOIN_SOURCE_GROUP, OPTION) \
	X(IPPROTO_IPV6, IPV6_2292PKTOPTIONS, ROUTING)    \
	X(IPPROTO_IPV6, IPV6_2292RTHDR, ROUTING)         \
	X(IPPROTO_IPV6, IPV6_2292HOPOPTS, ROUTING)       \
	X(IPPROTO_IPV6, IPV6_2292DSTOPTS, ROUTING)       \
	X(IPPROTO_IPV6, IPV6_RTHDR, ROUTING)             \
	X(IPPROTO_IPV6, IPV6_RTHDRDSTOPTS, ROUTING)      \
	X(IPPROTO_IPV6, IPV6_HOPOPTS, ROUTING)           \
	X(IPPROTO_IPV6, IPV6_DSTOPTS, ROUTING)           \
	/* A label brings a routing header along. */     \
	X(IPPROTO_IPV6, IPV6_FLOWLABEL_MGR, ROUTING)     \
	X(IPPROTO_IPV6, IPV6_TRANSPARENT, OPTION)        \
	X(IPPROTO_IPV6, IPV6_UNICAST_IF_OPTION, ROUTING) \
	X(IPPROTO_TCP, TCP_REPAIR, OPTION)               \
	/* Takes packets in before the hooks see whose they are. */ \
	X(IPPROTO_UDP, UDP_ENCAP_OPTION, OPTION)         \
	/* SMC moves the bytes to where no hook is. */   \
	X(IPPROTO_TCP, TCP_ULP, OPTION)                  \
	X(LEVEL_SOCKET, SO_BINDTODEVICE, ROUTING)        \
	X(LEVEL_SOCKET, SO_BINDTOIFINDEX, ROUTING)       \
	X(LEVEL_SOCKET, SO_MARK, ROUTING)                \
	/* Sends later, perhaps when the agent is cut off. */ \
	X(LEVEL_SOCKET, SO_TXTIME, OPTION)               \
	X(LEVEL_SOCKET, SO_MAX_PACING_RATE, OPTION)      \
	X(IPPROTO_TCP, TCP_TX_DELAY_OPTION, OPTION)      \
	/* A port of the agent's choice where the bind says any. */ \
	X(IPPROTO_IP, IP_LOCAL_PORT_RANGE_OPTION, OPTION) \
	/* Keys fill the memory that the hooks keep their notes in. */ \
	X(IPPROTO_TCP, TCP_MD5SIG, OPTION)               \
	X(IPPROTO_TCP, TCP_MD5SIG_EXT, OPTION)           \
	/* Sends pages that can be written after they were judged. */ \
	X(LEVEL_SOCKET, SO_ZEROCOPY, OPTION)

static __always_inline int takes_place(const struct ambit_policy *policy,
				       struct flow *flow)
{
	struct ambit_tally *tally = tally_of(policy->slot);

	if (!tally)
		return 0;
	/* Signed: of a slot that was given on, more may go than came. */
	if ((__s64)__sync_fetch_and_add(&tally->sockets, 1) >= AMBIT_SOCKETS) {
		__sync_fetch_and_add(&tally->sockets, -1);
		return 0;
	}
	flow->counted = 1;
	return 1;
}

SEC("cgroup/sock_create")
int leaf_create(struct bpf_sock *ctx)
{
	struct ambit_policy *policy = bpf_get_local_storage(&policies, 0);
	struct attempt attempt = {
		.kind = AMBIT_ATTEMPT_SOCKET,
		.protocol = (__u8)ctx->protocol,
		.family = (__u8)ctx->family,
	};

	struct flow *flow = flow_enter(ctx, HOOK_CREATE);
	if (!flow) {
		lose(policy);
		return REFUSE;
	}
	flow->answers = policy->resolver;
	/* Here the kernel has resolved protocol 0. */
	int inet = ctx->family == FAMILY_INET || ctx->family == FAMILY_INET6;
	int known = (ctx->type == TYPE_STREAM && ctx->protocol == IPPROTO_TCP) ||
		    (ctx->type == TYPE_DGRAM && ctx->protocol == IPPROTO_UDP);
	int wanted = inet && known && policy->state != AMBIT_POLICY_NONE;
	if (wanted && takes_place(policy, flow))
		return PASS;
	denied(&attempt, wanted ? AMBIT_REASON_SOCKETS : AMBIT_REASON_FAMILY);
	attempt.cookie = bpf_get_socket_cookie(ctx);
	record_attempt(policy, &attempt);
	return REFUSE;
}

/* Also of sockets that were passed on; of one that was accepted, which nobody counted,
 * there is no storage yet, or none of ours. */
SEC("cgroup/sock_release")
int leaf_release(struct bpf_sock *ctx)
{
	struct ambit_policy *policy = bpf_get_local_storage(&policies, 0);
	struct flow *flow = bpf_sk_storage_get(&flows, ctx, 0, 0);

	if (!flow || !flow->counted)
		return PASS;
	flow->counted = 0;
	struct ambit_tally *tally = tally_of(policy->slot);
	if (tally)
		__sync_fetch_and_add(&tally->sockets, -1);
	return PASS;
}

SEC("cgroup/setsockopt")
int leaf_option(struct bpf_sockopt *ctx)
{
	struct ambit_policy *policy = bpf_get_local_storage(&policies, 0);
	struct bpf_sock *sk = ctx->sk;
	__s32 level = ctx->level, name = ctx->optname;
	struct attempt attempt = {
		.kind = AMBIT_ATTEMPT_OPTION,
		.option_level = (__u16)level,
		.option_name = (__u16)name,
	};

	if (!sk || !flow_enter(sk, HOOK_OPTION)) {
		lose(policy);
		return REFUSE;
	}
	attempt.family = (__u8)sk->family;
	attempt.protocol = (__u8)sk->protocol;
	/* The kernel is to read the value itself: a program sees one page, and
	 * a longer value would fail. */
	ctx->optlen = 0;
	int refused = policy->state == AMBIT_POLICY_NONE;
	denied(&attempt, AMBIT_REASON_NO_POLICY);
#define REFUSED_OPTION(at, option, why)                   \
	if (level == (at) && name == (option)) {          \
		refused = 1;                              \
		attempt.reason = AMBIT_REASON_##why;      \
	}
	REFUSED_OPTIONS(REFUSED_OPTION)
#undef REFUSED_OPTION
	if (!refused)
		return PASS;
	record_attempt(policy, &attempt);
	return REFUSE;
}

static __always_inline int binds(struct bpf_sock_addr *ctx, int six)
{
	struct ambit_policy *policy = bpf_get_local_storage(&policies, 0);
	struct bpf_sock *sk = ctx->sk;

	if (!sk || !flow_enter(sk, six ? HOOK_BIND6 : HOOK_BIND4)) {
		lose(policy);
		return REFUSE;
	}
	struct attempt attempt = {
		.kind = AMBIT_ATTEMPT_BIND,
		.remote = asked_of(ctx, six),	/* kernel.h: the local address */
		.cookie = bpf_get_socket_cookie(ctx),
		.port = bpf_ntohs((__u16)ctx->user_port),
		.local_port = bpf_ntohs((__u16)ctx->user_port),
		.protocol = (__u8)ctx->protocol,
		.family = (__u8)ctx->family,
	};
	int listen = find_listen(policy, &attempt, &attempt.remote);

	attempt.local = attempt.remote;
	if (policy->state == AMBIT_POLICY_CUT)
		denied(&attempt, AMBIT_REASON_CUT);
	else if (policy->state != AMBIT_POLICY_OPEN)
		denied(&attempt, AMBIT_REASON_NO_POLICY);
	else if (!attempt.port || (policy->resolver && listen >= 0))
		return PASS;
	else if (listen < 0)
		denied(&attempt, AMBIT_REASON_NOT_LISTED);
	else
		decided(&attempt, AMBIT_ALLOWED, AMBIT_REASON_RULE,
			(__u16)listen);
	return record_attempt(policy, &attempt) &&
			       attempt.verdict == AMBIT_ALLOWED ? PASS : REFUSE;
}

SEC("cgroup/bind4")
int leaf_bind4(struct bpf_sock_addr *ctx)
{
	return binds(ctx, 0);
}

SEC("cgroup/bind6")
int leaf_bind6(struct bpf_sock_addr *ctx)
{
	return binds(ctx, 1);
}
