// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * egress: the wall of packets.  A packet passes only if it is plain TCP or UDP,
 *	without options or extension headers that could lead it elsewhere, and
 *	belongs to a flow that was decided and recorded and that the present
 *	rules still admit, so that cutting an agent stops what is open.
 * ingress: the same for what comes in; nothing is answered on a port that is
 *	not listed.
 *
 * TCP is judged by the destination of its socket, not of the packet: the node
 * may translate addresses behind us.  Both hooks run for full sockets only; an
 * answer to a SYN shows its listening socket.  Fragmenting comes after egress and
 * reassembly before ingress, so that a fragment here is somebody's own making.
 */
#include "names.bpf.h"
#include "tls.bpf.h"

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#define HEADER_HOP_BY_HOP 0
#define OPTION_JUMBO 0xc2
#define FRAGMENT_BITS 0x3fff	/* more fragments, offset */
#define STATE_SYN_SENT 2
#define STATE_LISTEN 10

struct packet {
	struct address source, destination;
	__u16 source_port, destination_port;
	__u8 protocol;
	__u8 header;		/* where that of the protocol begins */
	__u8 pad[2];
};

static __always_inline int read_v4(struct __sk_buff *skb, struct packet *packet,
				   __u32 *ret_next)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)) < 0)
		return AMBIT_REASON_FAMILY;
	if (ip.version != 4 || ip.ihl != 5)
		return AMBIT_REASON_ROUTING;
	if (ip.frag_off & bpf_htons(FRAGMENT_BITS))
		return AMBIT_REASON_NOT_ADMITTED;
	packet->source = address_v4(ip.saddr);
	packet->destination = address_v4(ip.daddr);
	packet->protocol = ip.protocol;
	*ret_next = sizeof(ip);
	return 0;
}

static __always_inline int read_v6(struct __sk_buff *skb, struct packet *packet,
				   __u32 *ret_next)
{
	struct {
		__u8 next, length, option, option_length;
		__u32 jumbo;
	} hop;
	struct ipv6hdr ip;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)) < 0 || ip.version != 6)
		return AMBIT_REASON_FAMILY;
	__builtin_memcpy(&packet->source, &ip.saddr, 16);
	__builtin_memcpy(&packet->destination, &ip.daddr, 16);
	packet->protocol = ip.nexthdr;
	*ret_next = sizeof(ip);
	/* The kernel's own header before segments of more than 64 KiB. */
	if (ip.nexthdr == HEADER_HOP_BY_HOP && !ip.payload_len) {
		if (bpf_skb_load_bytes(skb, sizeof(ip), &hop, sizeof(hop)) < 0 ||
		    hop.length || hop.option != OPTION_JUMBO)
			return AMBIT_REASON_ROUTING;
		packet->protocol = hop.next;
		*ret_next += sizeof(hop);
	}
	if (packet->protocol != IPPROTO_TCP && packet->protocol != IPPROTO_UDP)
		return AMBIT_REASON_ROUTING;
	return 0;
}

/* 0, or why the packet can't pass whatever the rules say. */
GLOBAL int read_packet(struct __sk_buff *skb, struct packet *packet)
{
	__u16 ports[2];
	__u32 next = 0;

	if (!packet)
		return AMBIT_REASON_FAMILY;
	int reason = skb->protocol == bpf_htons(ETH_P_IP) ?
			     read_v4(skb, packet, &next) :
		     skb->protocol == bpf_htons(ETH_P_IPV6) ?
			     read_v6(skb, packet, &next) : AMBIT_REASON_FAMILY;
	if (reason)
		return reason;
	if (packet->protocol != IPPROTO_TCP && packet->protocol != IPPROTO_UDP)
		return AMBIT_REASON_FAMILY;
	if (bpf_skb_load_bytes(skb, next, ports, sizeof(ports)) < 0)
		return AMBIT_REASON_FAMILY;
	packet->header = (__u8)next;
	packet->source_port = bpf_ntohs(ports[0]);
	packet->destination_port = bpf_ntohs(ports[1]);
	return 0;
}

/* As record_attempt; which task runs says nothing about a packet. */
GLOBAL int record_packet(struct __sk_buff *skb,
			 const struct ambit_policy *policy,
			 const struct attempt *attempt)
{
	if (!policy || !attempt)
		return 0;
	struct ambit_record *record = record_reserve(policy, attempt->verdict);
	if (!record)
		return 0;
	record_fill(record, attempt);
	record->cgroup_id = bpf_skb_cgroup_id(skb);
	record_submit(record);
	return 1;
}

static __always_inline int drop_counted(const struct ambit_policy *policy)
{
	struct ambit_tally *tally =
		tally_of(policy->state == AMBIT_POLICY_NONE ? 0 : policy->slot);

	if (tally)
		__sync_fetch_and_add(&tally->dropped_packets, 1);
	return REFUSE;
}

/* Drops: the first of a socket to a place under these rules is recorded, the rest
 * counted. */
static __always_inline int drop(struct __sk_buff *skb,
				const struct ambit_policy *policy,
				struct flow *flow,
				const struct attempt *attempt)
{
	if (policy->state == AMBIT_POLICY_NONE ||
	    flow_drop_noted(flow, policy, attempt))
		return drop_counted(policy);
	record_packet(skb, policy, attempt);
	return REFUSE;
}

/*
 * TCP.  A socket that connected has its flow; one that listens or was accepted
 * has none, or one of an earlier life (connect, disconnect, listen), and needs a
 * listed port.
 */
static __always_inline int admits_tcp(struct __sk_buff *skb,
				      const struct ambit_policy *policy,
				      struct flow *flow, struct bpf_sock *sk,
				      struct attempt *attempt)
{
	struct attempt socket = *attempt;
	__u32 state_now = sk->state;

	socket.remote = remote_of(sk);
	socket.port = bpf_ntohs(sk->dst_port);
	socket.local = local_of(sk);
	resolve_any(&socket.remote, &socket.local);
	/* Every packet of a connection that is not one yet: it may be sent again. */
	if (state_now == STATE_SYN_SENT && is_led_to(policy, &socket.remote))
		return is_answered(skb, attempt);
	if (state_now != STATE_LISTEN && socket.port) {
		enum flow_state state = flow_find(flow, policy, &socket);
		if (state == FLOW_CURRENT)
			return 1;
		/* Recorded when it connected; do the new rules admit it? */
		if (state == FLOW_STALE) {
			if (!decide(policy, &socket)) {
				attempt->reason = socket.reason;
			} else if (!tls_holds(skb, policy, flow, sk, &socket)) {
				attempt->reason = AMBIT_REASON_TLS_NAME;
			} else {
				flow_admit(flow, policy, &socket);
				return 1;
			}
			return 0;
		}
		/* A listed port is for those who come, not to go out from. */
		if (state_now == STATE_SYN_SENT)
			return 0;
	}
	return find_listen(policy, attempt, &attempt->remote) >= 0;
}

/* UDP, outgoing: a destination that this socket has not recorded yet is one that
 * no sendmsg hook saw; it is judged and recorded here. */
static __always_inline int admits_datagram(struct __sk_buff *skb,
					   const struct ambit_policy *policy,
					   struct flow *flow,
					   struct bpf_sock *sk,
					   struct attempt *attempt)
{
	enum flow_state state = flow_find(flow, policy, attempt);

	if (answers(policy, attempt))
		return 1;
	if (is_led_to(policy, &attempt->remote)) {
		if (!is_answered(skb, attempt))
			return 0;
		if (!asker_pays(policy)) {
			attempt->reason = AMBIT_REASON_RATE;
			return 0;
		}
	}
	if (state == FLOW_CURRENT)
		return 1;
	if (!decide_datagram(policy, attempt, sk))
		return 0;
	if (state == FLOW_UNKNOWN && !record_packet(skb, policy, attempt))
		return 0;
	flow_admit(flow, policy, attempt);
	return 1;
}

static __always_inline void attempt_begin(struct __sk_buff *skb,
					  const struct packet *packet,
					  int outgoing, struct attempt *attempt)
{
	attempt->kind = AMBIT_ATTEMPT_PACKET;
	attempt->protocol = packet->protocol;
	attempt->cookie = bpf_get_socket_cookie(skb);
	attempt->remote = outgoing ? packet->destination : packet->source;
	attempt->port = outgoing ? packet->destination_port :
				   packet->source_port;
	attempt->local = outgoing ? packet->source : packet->destination;
	attempt->local_port = outgoing ? packet->source_port :
					 packet->destination_port;
	denied(attempt, AMBIT_REASON_NOT_ADMITTED);
}

/* 1 for plain TCP: no options, no extension headers, no fragment, as the packets
 * of a socket are unless somebody is at work.  Read in place. */
static __always_inline int is_plain_tcp(struct __sk_buff *skb)
{
	const void *data = (const void *)(long)skb->data;
	const void *end = (const void *)(long)skb->data_end;
	const struct iphdr *ip = data;
	const struct ipv6hdr *six = data;

	if (skb->protocol == bpf_htons(ETH_P_IP))
		return (const void *)(ip + 1) <= end &&
		       *(const __u8 *)data == 0x45 &&
		       ip->protocol == IPPROTO_TCP &&
		       !(ip->frag_off & bpf_htons(FRAGMENT_BITS));
	return skb->protocol == bpf_htons(ETH_P_IPV6) &&
	       (const void *)(six + 1) <= end &&
	       *(const __u8 *)data >> 4 == 6 && six->nexthdr == IPPROTO_TCP;
}

/* Most packets: of a connection that was decided, recorded and is still admitted.
 * An answer to a SYN shows its listening socket, which has no such thing. */
static __always_inline int is_settled(struct __sk_buff *skb,
				      const struct ambit_policy *policy,
				      const struct flow *flow,
				      const struct bpf_sock *sk)
{
	return sk->protocol == IPPROTO_TCP && sk->state != STATE_LISTEN &&
	       flow_is_settled(flow, policy) && is_plain_tcp(skb);
}

static __always_inline int asks(const struct ambit_policy *policy,
				const struct bpf_sock *sk)
{
	return sk->family == FAMILY_INET &&
	       sk->dst_ip4 == bpf_htonl(AMBIT_ASKERS + policy->slot);
}

SEC("cgroup_skb/egress")
int leaf_egress(struct __sk_buff *skb)
{
	struct ambit_policy *policy = bpf_get_local_storage(&policies, 0);
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return REFUSE;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return REFUSE;
	struct flow *flow = flow_enter(sk, HOOK_EGRESS);
	if (!flow)
		return REFUSE;
	if (is_settled(skb, policy, flow, sk) &&
	    (sk->state != STATE_SYN_SENT ||
	     (flow_leads(flow, sk) && !asks(policy, sk))))
		return PASS;
	struct packet packet = {};
	struct attempt attempt = {};
	int reason = read_packet(skb, &packet);
	attempt_begin(skb, &packet, 1, &attempt);
	attempt.family = (__u8)sk->family;
	if (reason)
		attempt.reason = (__u8)reason;
	if (policy->state == AMBIT_POLICY_CUT)
		attempt.reason = AMBIT_REASON_CUT;
	if (reason || policy->state != AMBIT_POLICY_OPEN)
		return drop(skb, policy, flow, &attempt);
	int admitted = packet.protocol == IPPROTO_TCP ?
			       admits_tcp(skb, policy, flow, sk, &attempt) &&
				       tls_admits(skb, policy, flow, sk,
						  &attempt, packet.header) :
			       admits_datagram(skb, policy, flow, sk, &attempt);
	return admitted ? PASS : drop(skb, policy, flow, &attempt);
}

/* Incoming datagrams: from where this socket sent to, from where a rule leads,
 * or on a listed port, whose peer is then noted. */
static __always_inline int accepts_datagram(struct __sk_buff *skb,
					    const struct ambit_policy *policy,
					    struct flow *flow,
					    struct bpf_sock *sk,
					    struct attempt *attempt)
{
	if (is_led_to(policy, &attempt->remote))
		return is_answered(skb, attempt);
	if (flow_find(flow, policy, attempt) == FLOW_CURRENT ||
	    decide(policy, attempt))
		return 1;
	if (find_listen(policy, attempt, &attempt->remote) < 0)
		return 0;
	struct peers *peers = bpf_sk_storage_get(&inbound, sk, 0,
						 BPF_SK_STORAGE_GET_F_CREATE);
	if (!peers)
		return 0;
	peers_note(peers, attempt);
	return 1;
}

/* The porter: questions of agents, and what its resolvers answer.  A connection
 * was asked about when it began. */
static __always_inline int accepts_question(struct __sk_buff *skb,
					    const struct ambit_policy *policy,
					    struct flow *flow,
					    struct bpf_sock *sk,
					    struct attempt *attempt)
{
	int tcp = attempt->protocol == IPPROTO_TCP;

	if (attempt->local_port == asker_port())
		return (tcp && sk->state != STATE_LISTEN) ||
		       is_asker(skb, attempt);
	return tcp ? admits_tcp(skb, policy, flow, sk, attempt) :
		     flow_find(flow, policy, attempt) == FLOW_CURRENT;
}

SEC("cgroup_skb/ingress")
int leaf_ingress(struct __sk_buff *skb)
{
	struct ambit_policy *policy = bpf_get_local_storage(&policies, 0);
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return REFUSE;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return REFUSE;
	struct flow *flow = flow_enter(sk, HOOK_INGRESS);
	if (!flow)
		return REFUSE;
	if (is_settled(skb, policy, flow, sk))
		return PASS;
	struct packet packet = {};
	struct attempt attempt = {};
	if (policy->state == AMBIT_POLICY_OPEN && !read_packet(skb, &packet)) {
		attempt_begin(skb, &packet, 0, &attempt);
		if (policy->resolver ?
			    accepts_question(skb, policy, flow, sk, &attempt) :
		    packet.protocol == IPPROTO_TCP ?
			    admits_tcp(skb, policy, flow, sk, &attempt) :
			    accepts_datagram(skb, policy, flow, sk,
					     &attempt)) {
			tls_hears(skb, flow, packet.header);
			return PASS;
		}
	}
	/* The agent asked for nothing: counted, not recorded. */
	return drop_counted(policy);
}
