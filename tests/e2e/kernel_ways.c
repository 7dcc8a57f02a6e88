/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways out, one by one: refused without a rule, allowed with the rule for just
 * this endpoint, one record each time.  The allowed run shows that the attempt
 * itself works.
 */
#include "kernel_driver.h"
#include "tap.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANY_RULE -1
#define BROADCAST "198.51.100.255"	/* kernel.t has an interface for it */

/* The kernel numbers processes as its first pid namespace does, also in a container. */
static int is_pid(uint32_t recorded, pid_t pid)
{
	struct stat status;

	return stat("/proc/self/ns/pid", &status) == 0 &&
	       status.st_ino != 0xEFFFFFFCU /* PROC_PID_INIT_INO */ ?
		       recorded != 0 : recorded == (uint32_t)pid;
}

void judged(struct bounded *bounded, int result, const struct expected *expected,
	    const char *format, ...)
{
	const struct ambit_record *record = &records[0];
	uint8_t address[16];
	char name[160];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(name, sizeof(name), format, arguments);
	va_end(arguments);
	size_t count = records_read();
	int good = expected->result < 0 ? result == expected->result : result >= 0;
	/* A packet is nobody's: any task may be running. */
	int is_packet = expected->kind == AMBIT_ATTEMPT_PACKET;
	good = good && count == 1 && record->attempt == expected->kind &&
	       record->verdict == expected->verdict &&
	       record->reason == expected->reason &&
	       record->instance == bounded->policy.instance &&
	       record->slot == bounded->policy.slot &&
	       (is_packet ? !record->pid : is_pid(record->pid, bounded->agent.pid)) &&
	       record->cgroup_id == bounded->id && !!record->comm[0] != is_packet;
	if (good && expected->rule != ANY_RULE)
		good = record->rule == expected->rule;
	if (good && expected->address) {
		address_bytes(expected->address, address);
		good = !memcmp(address, record->address, 16) &&
		       record->port == expected->port;
	}
	if (!ok(good, "%s", name))
		diag("result %d, %zu records; attempt %d verdict %d reason %d "
		     "rule %d port %d cgroup %llx pid %u", result, count,
		     record->attempt, record->verdict, record->reason,
		     record->rule, record->port,
		     (unsigned long long)record->cgroup_id, record->pid);
}

#define TCP IPPROTO_TCP
#define UDP IPPROTO_UDP
#define CONNECT AMBIT_ATTEMPT_CONNECT
#define SEND AMBIT_ATTEMPT_SEND
#define PACKET AMBIT_ATTEMPT_PACKET

static const struct way {
	const char *name;
	deed what;
	const char *to;		/* as the agent gives it */
	const char *rule;	/* as a rule and the record have it */
	int protocol;
	int kind;
	int other;		/* kind of the record where an entry leads there by
				 * TCP: a datagram socket may be connected, and what
				 * is sent is refused; 0: the same */
} ways[] = {
	{ "TCP, IPv4", do_tcp, "203.0.113.5", "203.0.113.5", TCP, CONNECT },
	{ "TCP, IPv6", do_tcp, "2001:db8::5", "2001:db8::5", TCP, CONNECT },
	{ "TCP, v4-mapped", do_tcp, "::ffff:203.0.113.5", "203.0.113.5", TCP,
	  CONNECT },
	{ "TCP to 0.0.0.0", do_tcp, "0.0.0.0", "127.0.0.1", TCP, CONNECT },
	{ "TCP to ::", do_tcp, "::", "::1", TCP, CONNECT },
	{ "TCP to ::ffff:0.0.0.0", do_tcp, "::ffff:0.0.0.0", "127.0.0.1", TCP,
	  CONNECT },
	{ "Fast Open, sendto", do_fast_open_sendto, "203.0.113.5",
	  "203.0.113.5", TCP, CONNECT },
	{ "Fast Open, sendmsg", do_fast_open_sendmsg, "2001:db8::5",
	  "2001:db8::5", TCP, CONNECT },
	{ "Fast Open, sendmmsg", do_fast_open_sendmmsg, "::ffff:203.0.113.5",
	  "203.0.113.5", TCP, CONNECT },
	{ "Fast Open, option", do_fast_open_option, "203.0.113.5",
	  "203.0.113.5", TCP, CONNECT },
	{ "UDP sendto, IPv4", do_udp_sendto, "203.0.113.5", "203.0.113.5", UDP,
	  SEND },
	{ "UDP sendto, IPv6", do_udp_sendto, "2001:db8::5", "2001:db8::5", UDP,
	  SEND },
	{ "UDP sendto, v4-mapped", do_udp_sendto, "::ffff:203.0.113.5",
	  "203.0.113.5", UDP, SEND },
	{ "UDP sendto, AF_INET on a v6 socket", do_udp_sendto_on6,
	  "203.0.113.5", "203.0.113.5", UDP, SEND },
	{ "UDP sendto to 0.0.0.0", do_udp_sendto, "0.0.0.0", "127.0.0.1", UDP,
	  SEND },
	{ "UDP sendto to ::", do_udp_sendto, "::", "::1", UDP, SEND },
	{ "UDP sendmsg", do_udp_sendmsg, "203.0.113.5", "203.0.113.5", UDP,
	  SEND },
	{ "UDP sendmmsg, three to one", do_udp_sendmmsg, "203.0.113.5",
	  "203.0.113.5", UDP, SEND },
	{ "UDP connect and send, IPv4", do_udp_connect_send, "203.0.113.5",
	  "203.0.113.5", UDP, CONNECT, PACKET },
	{ "UDP connect and send, IPv6", do_udp_connect_send, "2001:db8::5",
	  "2001:db8::5", UDP, CONNECT, PACKET },
	{ "UDP connect and send, v4-mapped", do_udp_connect_send,
	  "::ffff:203.0.113.5", "203.0.113.5", UDP, CONNECT, SEND },
	{ "UDP connect and send, AF_INET on a v6 socket", do_udp_connect_on6,
	  "203.0.113.5", "203.0.113.5", UDP, CONNECT, SEND },
};

static void test_way(struct bounded *agent, const struct way *way)
{
	int port = way->protocol == TCP ? TCP_PORT : UDP_PORT;
	int bits = strchr(way->rule, ':') ? 128 : 32;
	struct expected refused = { -EPERM, way->kind, AMBIT_DENIED,
				    AMBIT_REASON_NO_RULE, AMBIT_NO_RULE,
				    way->rule, port };
	struct expected allowed = { 0, way->kind, AMBIT_ALLOWED,
				    AMBIT_REASON_RULE, 3, way->rule, port };

	/* Rules that miss by the port and by the protocol. */
	policy_clear(agent);
	policy_allow(agent, way->rule, bits, way->protocol, port + 1, 65535);
	policy_allow(agent, way->rule, bits, TCP + UDP - way->protocol, 1,
		     port - 1);
	bounded_apply(agent);
	judged(agent, bounded_do(agent, way->what, way->to, port, 0), &refused,
	       "%s: refused", way->name);
	policy_allow(agent, way->rule, bits, TCP + UDP - way->protocol, port, port);
	bounded_apply(agent);
	refused.kind = way->other ? way->other : way->kind;
	judged(agent, bounded_do(agent, way->what, way->to, port, 0), &refused,
	       "%s: refused with the other protocol listed", way->name);
	policy_allow(agent, way->rule, bits, way->protocol, port, port);
	bounded_apply(agent);
	judged(agent, bounded_do(agent, way->what, way->to, port, 0), &allowed,
	       "%s: allowed", way->name);
}

void test_ways(struct outside *outside)
{
	struct bounded agent;

	(void)outside;
	bounded_start(&agent, "ways", 5);
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		test_way(&agent, &ways[i]);
	/* Judged, recorded, and then also what the kernel is asked for. */
	policy_clear(&agent);
	policy_allow(&agent, BROADCAST, 32, TCP, TCP_PORT, TCP_PORT);
	bounded_apply(&agent);
	judged(&agent, bounded_do(&agent, do_tcp_any_from, BROADCAST, 0, TCP_PORT),
	       &(struct expected){ -ENETUNREACH, CONNECT, AMBIT_ALLOWED,
				   AMBIT_REASON_RULE, 0, BROADCAST, TCP_PORT },
	       "TCP to 0.0.0.0 from a broadcast address is no TCP to loopback");
	struct ambit_tally tally = bounded_tally(&agent);
	is_int((long long)tally.attempts, 3 * sizeof(ways) / sizeof(*ways) + 1,
	       "every attempt was numbered once");
	is_int((long long)tally.lost, 0, "none was lost");
	bounded_end(&agent);
}

/* ---- matching ---- */

/* By rules for everything: only reserved addresses are kept back. */
static const struct {
	const char *to;
	int reserved;
} addresses[] = {
	{ "203.0.113.5", 0 }, { "8.8.8.8", 0 }, { "2001:db8::5", 0 },
	{ "64:ff9b::cb00:7105", 0 },	/* NAT64 of 203.0.113.5 */
	{ "127.0.0.1", 1 }, { "127.9.9.9", 1 }, { "::1", 1 },
	{ "0.0.0.0", 1 }, { "::", 1 },
	{ "169.254.169.254", 1 }, { "::ffff:169.254.169.254", 1 },
	{ "64:ff9b::a9fe:a9fe", 1 }, { "fd00:ec2::254", 1 },
	{ "fd20:ce::254", 1 }, { "100.100.100.200", 1 },
	{ "168.63.129.16", 1 }, { "224.0.0.251", 1 },
	{ "255.255.255.255", 1 }, { "ff05::1", 1 }, { "fe80::1", 1 },
};

static const struct {
	const char *block;
	int bits;
	const char *to;
	int inside;
} blocks[] = {
	{ "203.0.113.128", 25, "203.0.113.128", 1 },
	{ "203.0.113.128", 25, "203.0.113.255", 1 },
	{ "203.0.113.128", 25, "203.0.113.127", 0 },
	{ "203.0.113.4", 31, "203.0.113.5", 1 },
	{ "203.0.113.4", 31, "203.0.113.6", 0 },
	{ "0.0.0.0", 0, "203.0.113.5", 1 },
	{ "0.0.0.0", 0, "2001:db8::5", 0 },
	{ "::", 0, "2001:db8::5", 1 },
	{ "::", 0, "203.0.113.5", 0 },
	{ "2001:db8::", 32, "2001:db8:ffff::1", 1 },
	{ "2001:db8::", 32, "2001:db9::1", 0 },
	{ "2001:db8::", 64, "2001:db8::ffff:0:1", 1 },
	{ "2001:db8::", 64, "2001:db8:0:1::1", 0 },
	{ "2001:db8::", 65, "2001:db8::7fff:0:0:1", 1 },
	{ "2001:db8::", 65, "2001:db8::8000:0:0:1", 0 },
};

static void test_blocks(struct bounded *agent)
{
	for (size_t i = 0; i < sizeof(blocks) / sizeof(*blocks); i++) {
		struct expected expected = {
			blocks[i].inside ? 0 : -EPERM, SEND, blocks[i].inside,
			blocks[i].inside ? AMBIT_REASON_RULE :
					   AMBIT_REASON_NO_RULE,
			ANY_RULE, blocks[i].to, 4000,
		};
		policy_clear(agent);
		policy_allow(agent, blocks[i].block, blocks[i].bits, UDP, 4000,
			     4000);
		bounded_apply(agent);
		judged(agent, bounded_do(agent, do_udp_sendto, blocks[i].to,
					 4000, 0), &expected,
		       "%s is %s %s/%d", blocks[i].to,
		       blocks[i].inside ? "in" : "not in", blocks[i].block,
		       blocks[i].bits);
	}
}

static void test_own(struct bounded *agent)
{
	uint8_t own[2][16];
	struct error error = { 0 };
	struct expected allowed = { 0, SEND, AMBIT_ALLOWED, AMBIT_REASON_RULE,
				    0, "192.0.2.7", 4000 };
	struct expected kept_back = { -EPERM, SEND, AMBIT_DENIED,
				      AMBIT_REASON_RESERVED, AMBIT_NO_RULE,
				      "192.0.2.7", 4000 };

	address_bytes("192.0.2.7", own[0]);
	address_bytes("2001:db8::7", own[1]);
	policy_clear(agent);
	policy_allow(agent, "192.0.2.0", 24, UDP, 4000, 4000);
	bounded_apply(agent);
	must(kernel_own_addresses(node.kernel, own, 2, &error), &error);
	judged(agent, bounded_do(agent, do_udp_sendto, "192.0.2.7", 4000, 0),
	       &kept_back, "an address of the node: not by a block");
	must(kernel_own_addresses(node.kernel, own + 1, 1, &error), &error);
	judged(agent, bounded_do(agent, do_udp_sendto, "192.0.2.7", 4000, 0),
	       &allowed, "no longer the node's: by a block");
	must(kernel_own_addresses(node.kernel, own, 2, &error), &error);
	policy_clear(agent);
	policy_allow(agent, "192.0.2.7", 32, UDP, 4000, 4000);
	bounded_apply(agent);
	judged(agent, bounded_do(agent, do_udp_sendto, "192.0.2.7", 4000, 0),
	       &allowed, "an address of the node: by its own rule");
	must(kernel_own_addresses(node.kernel, own, 0, &error), &error);
}

/* As many rules as there can be; the last one counts too. */
static void test_many_rules(struct bounded *agent)
{
	struct expected last = { 0, SEND, AMBIT_ALLOWED, AMBIT_REASON_RULE,
				 AMBIT_RULES - 1, "203.0.113.5", 4000 };

	policy_clear(agent);
	for (int i = 0; i < AMBIT_RULES; i++)
		policy_allow(agent, "203.0.113.5", 32, UDP,
			     4000 + AMBIT_RULES - 1 - i,
			     4000 + AMBIT_RULES - 1 - i);
	bounded_apply(agent);
	judged(agent, bounded_do(agent, do_udp_sendto, "203.0.113.5", 4000, 0),
	       &last, "rule %d of %d matches", AMBIT_RULES, AMBIT_RULES);
}

void test_addresses(struct outside *outside)
{
	struct bounded agent;

	(void)outside;
	bounded_start(&agent, "addresses", 6);
	policy_allow(&agent, "::", 0, UDP, 1, 65535);
	policy_allow(&agent, "0.0.0.0", 0, UDP, 1, 65535);
	bounded_apply(&agent);
	for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
		int reserved = addresses[i].reserved;
		struct expected expected = {
			reserved ? -EPERM : 0, SEND, !reserved,
			reserved ? AMBIT_REASON_RESERVED : AMBIT_REASON_RULE,
			reserved ? (int)AMBIT_NO_RULE : ANY_RULE, NULL, 0,
		};
		judged(&agent, bounded_do(&agent, do_udp_sendto,
					  addresses[i].to, 4000, 0),
		       &expected, "rules for all %s %s",
		       reserved ? "do not admit" : "admit", addresses[i].to);
	}
	test_blocks(&agent);
	test_own(&agent);
	test_many_rules(&agent);
	bounded_end(&agent);
}

/* ---- sockets, options, binds ---- */

/* Where the kernel does not have a protocol at all, there is no attempt. */
static const struct {
	const char *name;
	int what;
} refused_sockets[] = {
	{ "UDP-Lite", WHAT(AF_INET, SOCK_DGRAM, 136) },
	{ "ICMP echo", WHAT(AF_INET, SOCK_DGRAM, IPPROTO_ICMP) },
	{ "ICMPv6 echo", WHAT(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6) },
	{ "raw TCP", WHAT(AF_INET, SOCK_RAW, IPPROTO_TCP) },
	{ "raw IP", WHAT(AF_INET, SOCK_RAW, IPPROTO_RAW) },
	{ "raw IPv6", WHAT(AF_INET6, SOCK_RAW, IPPROTO_RAW) },
	{ "SCTP", WHAT(AF_INET, SOCK_STREAM, 132) },
	{ "L2TP", WHAT(AF_INET, SOCK_DGRAM, 115) },
};

static const struct {
	const char *name;
	int option;
	int reason;	/* 0: goes through to the kernel */
} options[] = {
	{ "IPV6_RTHDR", OPTION(41, 57), AMBIT_REASON_ROUTING },
	{ "IPV6_2292PKTOPTIONS", OPTION(41, 6), AMBIT_REASON_ROUTING },
	{ "IPV6_2292RTHDR", OPTION(41, 5), AMBIT_REASON_ROUTING },
	{ "IPV6_HOPOPTS", OPTION(41, 54), AMBIT_REASON_ROUTING },
	{ "IPV6_RTHDRDSTOPTS", OPTION(41, 55), AMBIT_REASON_ROUTING },
	{ "IPV6_DSTOPTS", OPTION(41, 59), AMBIT_REASON_ROUTING },
	{ "IPV6_TRANSPARENT", OPTION(41, 75), AMBIT_REASON_OPTION },
	{ "IPV6_UNICAST_IF", OPTION(41, 76), AMBIT_REASON_ROUTING },
	{ "IP_OPTIONS", OPTION(0, 4), AMBIT_REASON_ROUTING },
	{ "IP_TRANSPARENT", OPTION(0, 19), AMBIT_REASON_OPTION },
	{ "IP_FREEBIND", OPTION(0, 15), AMBIT_REASON_OPTION },
	{ "IPV6_FREEBIND", OPTION(41, 78), AMBIT_REASON_OPTION },
	{ "IPV6_PKTINFO", OPTION(41, 50), AMBIT_REASON_ROUTING },
	{ "IPV6_2292HOPOPTS", OPTION(41, 3), AMBIT_REASON_ROUTING },
	{ "IPV6_2292DSTOPTS", OPTION(41, 4), AMBIT_REASON_ROUTING },
	{ "IPV6_FLOWLABEL_MGR", OPTION(41, 32), AMBIT_REASON_ROUTING },
	{ "IPV6_ADD_MEMBERSHIP", OPTION(41, 20), AMBIT_REASON_OPTION },
	{ "IPV6_JOIN_ANYCAST", OPTION(41, 27), AMBIT_REASON_OPTION },
	{ "MCAST_JOIN_GROUP, IPv6", OPTION(41, 42), AMBIT_REASON_OPTION },
	{ "MCAST_JOIN_SOURCE_GROUP, IPv6", OPTION(41, 46), AMBIT_REASON_OPTION },
	{ "IP_ADD_MEMBERSHIP", OPTION(0, 35), AMBIT_REASON_OPTION },
	{ "IP_ADD_SOURCE_MEMBERSHIP", OPTION(0, 39), AMBIT_REASON_OPTION },
	{ "MCAST_JOIN_GROUP", OPTION(0, 42), AMBIT_REASON_OPTION },
	{ "MCAST_JOIN_SOURCE_GROUP", OPTION(0, 46), AMBIT_REASON_OPTION },
	{ "UDP_ENCAP", OPTION(17, 100), AMBIT_REASON_OPTION },
	{ "SO_TXTIME", OPTION(1, 61), AMBIT_REASON_OPTION },
	{ "SO_MAX_PACING_RATE", OPTION(1, 47), AMBIT_REASON_OPTION },
	{ "TCP_TX_DELAY", OPTION(6, 37), AMBIT_REASON_OPTION },
	{ "TCP_MD5SIG", OPTION(6, 14), AMBIT_REASON_OPTION },
	{ "TCP_MD5SIG_EXT", OPTION(6, 32), AMBIT_REASON_OPTION },
	{ "IP_LOCAL_PORT_RANGE", OPTION(0, 51), AMBIT_REASON_OPTION },
	{ "IP_UNICAST_IF", OPTION(0, 50), AMBIT_REASON_ROUTING },
	{ "TCP_REPAIR", OPTION(6, 19), AMBIT_REASON_OPTION },
	{ "TCP_ULP", OPTION(6, 31), AMBIT_REASON_OPTION },
	{ "SO_BINDTODEVICE", OPTION(1, 25), AMBIT_REASON_ROUTING },
	{ "SO_BINDTOIFINDEX", OPTION(1, 62), AMBIT_REASON_ROUTING },
	{ "SO_MARK", OPTION(1, 36), AMBIT_REASON_ROUTING },
	{ "SO_ZEROCOPY", OPTION(1, 60), AMBIT_REASON_OPTION },
	{ "TCP_NODELAY", OPTION(6, 1), 0 },
	{ "TCP_FASTOPEN_CONNECT", OPTION(6, 30), 0 },
	{ "SO_REUSEADDR", OPTION(1, 2), 0 },
	{ "IPV6_V6ONLY", OPTION(41, 26), 0 },
};

static void test_options(struct bounded *agent)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		int option = options[i].option;
		int result = bounded_do(agent, do_option, NULL, 0, option);
		struct expected expected = { -EPERM, AMBIT_ATTEMPT_OPTION,
					     AMBIT_DENIED, options[i].reason,
					     AMBIT_NO_RULE, NULL, 0 };
		if (options[i].reason) {
			judged(agent, result, &expected, "option %s: refused",
			       options[i].name);
			ok(records[0].option_level == option >> 16 &&
			   records[0].option_name == (option & 0xffff),
			   "option %s: the record names it", options[i].name);
		} else {
			ok(result == 0 && records_read() == 0,
			   "option %s: allowed, no record", options[i].name);
		}
	}
	is_int(bounded_do(agent, do_long_option, NULL, 0, 0), 0,
	       "a value longer than a page reaches the kernel");
}

static const struct {
	const char *name, *to;
	int port, type, rule;	/* rule: listen entry; -1 refused, -2 unrecorded */
} binds[] = {
	{ "a port not listed", "127.0.0.1", 8000, SOCK_STREAM, -1 },
	{ "any port", "0.0.0.0", 0, SOCK_STREAM, -2 },
	{ "any UDP port", "::", 0, SOCK_DGRAM, -2 },
	{ "a listed port", "127.0.0.1", 8001, SOCK_STREAM, 0 },
	{ "a listed port, ::1", "::1", 8001, SOCK_STREAM, 0 },
	{ "a listed port, v4-mapped", "::ffff:127.0.0.1", 8001, SOCK_STREAM, 0 },
	{ "a listed port on all addresses", "0.0.0.0", 8001, SOCK_STREAM, -1 },
	{ "a listed port on all v6 addresses", "::", 8001, SOCK_STREAM, -1 },
	{ "a TCP port for UDP", "127.0.0.1", 8001, SOCK_DGRAM, -1 },
	{ "a port listed for anywhere", "0.0.0.0", 8002, SOCK_STREAM, 1 },
	{ "a listed UDP port", "127.0.0.1", 8003, SOCK_DGRAM, 2 },
};

static void test_binds(struct bounded *agent)
{
	policy_listen(agent, 8001, TCP, 0);
	policy_listen(agent, 8002, TCP, 1);
	policy_listen(agent, 8003, UDP, 0);
	bounded_apply(agent);
	for (size_t i = 0; i < sizeof(binds) / sizeof(*binds); i++) {
		int rule = binds[i].rule, result =
			bounded_do(agent, do_bind, binds[i].to, binds[i].port,
				   binds[i].type);
		struct expected expected = {
			rule < 0 ? -EPERM : 0, AMBIT_ATTEMPT_BIND, rule >= 0,
			rule < 0 ? AMBIT_REASON_NOT_LISTED : AMBIT_REASON_RULE,
			rule < 0 ? (int)AMBIT_NO_RULE : rule, binds[i].to,
			binds[i].port,
		};
		if (rule == -2)
			ok(result == 0 && records_read() == 0,
			   "bind to %s: allowed, no record", binds[i].name);
		else
			judged(agent, result, &expected, "bind to %s: %s",
			       binds[i].name, rule < 0 ? "refused" : "allowed");
	}
	agent->policy.state = AMBIT_POLICY_CUT;
	bounded_apply(agent);
	struct expected cut = { -EPERM, AMBIT_ATTEMPT_BIND, AMBIT_DENIED,
				AMBIT_REASON_CUT, AMBIT_NO_RULE, "127.0.0.1", 8001 };
	judged(agent, bounded_do(agent, do_bind, "127.0.0.1", 8001, SOCK_STREAM),
	       &cut, "bind to a listed port, cut: refused");
	cut.port = 0;
	judged(agent, bounded_do(agent, do_bind, "127.0.0.1", 0, SOCK_STREAM), &cut,
	       "bind to any port, cut: refused");
	agent->policy.state = AMBIT_POLICY_OPEN;
	bounded_apply(agent);
}

void test_sockets(struct outside *outside)
{
	struct bounded agent;
	struct expected expected = { -EPERM, AMBIT_ATTEMPT_SOCKET, AMBIT_DENIED,
				     AMBIT_REASON_FAMILY, AMBIT_NO_RULE, NULL, 0 };

	(void)outside;
	bounded_start(&agent, "sockets", 7);
	for (size_t i = 0; i < sizeof(refused_sockets) / sizeof(*refused_sockets);
	     i++) {
		int what = refused_sockets[i].what;
		int there = do_socket(NULL, what);
		int result = bounded_do(&agent, do_socket, NULL, 0, what);
		if (there < 0)
			ok(result < 0 && records_read() <= 1,
			   "socket %s: not on this kernel",
			   refused_sockets[i].name);
		else
			judged(&agent, result, &expected, "socket %s: refused",
			       refused_sockets[i].name);
	}
	int mptcp = WHAT(AF_INET, SOCK_STREAM, 0) | 262 << 16;
	ok(bounded_do(&agent, do_socket, NULL, 0, mptcp) < 0,
	   "socket MPTCP: refused");
	records_read();
	for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++)
		ok(bounded_do(&agent, do_socket, NULL, 0,
			      WHAT(AF_INET, type, 0)) == 0 &&
		   bounded_do(&agent, do_socket, NULL, 0,
			      WHAT(AF_INET6, type, 0)) == 0 &&
		   records_read() == 0, "socket %s: allowed, no record",
		   type == SOCK_STREAM ? "TCP" : "UDP");
	for (int i = 0; i < 2; i++) {
		is_int(bounded_do(&agent, do_hold, NULL, 0, AMBIT_SOCKETS + 9),
		       AMBIT_SOCKETS, i ? "as many again, once they are closed" :
					  "so many sockets at once, no more");
		ok(records_read() == 1 && records[0].reason == AMBIT_REASON_SOCKETS,
		   "… and a record says why");
	}
	is_int(bounded_tally(&agent).sockets, 0, "none is left");
	test_options(&agent);
	test_binds(&agent);
	bounded_end(&agent);
}
