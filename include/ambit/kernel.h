/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * The border between the kernel programs (bpf/) and user space: what the warden
 * writes for an agent, and what the programs write for the recorder.  Compiled
 * by both compilers; every size and offset that matters is asserted below.
 *
 * Addresses are always 16 bytes in network order, IPv4 as ::ffff:a.b.c.d, so
 * that there is one matching rule and no second family to forget.  Ports are in
 * host order.
 */
#ifndef AMBIT_KERNEL_H
#define AMBIT_KERNEL_H

#ifndef __bpf__
#include <linux/types.h>
#endif

/* Grows with each change of what this file says: a warden takes over only the
 * pinned programs and maps that say the same. */
#define AMBIT_KERNEL_VERSION 13

#define AMBIT_SLOTS 4096	/* agents at once; slot 0 is the node's own proof */
#define AMBIT_EGRESS 256	/* egress entries of one profile */
#define AMBIT_RULES 256		/* egress rules of one agent */
#define AMBIT_LISTENS 32	/* listen entries of one agent */
#define AMBIT_UNIX_PATHS 16	/* unix endpoints of one agent */
#define AMBIT_UNIX_PATH 108	/* bytes of sun_path */
#define AMBIT_NAME 253		/* bytes of a DNS name as text */
#define AMBIT_OWN_ADDRESSES 4096	/* addresses of the node itself */
#define AMBIT_RING_BYTES (8U << 20)
#define AMBIT_CONDEMNED_BYTES (1U << 16)
#define AMBIT_SERVER_NAMES 65536	/* of all profiles in use */
#define AMBIT_RING_CREDIT 8192U	/* undrained records one agent may own: what it
				 * can connect while the disk takes its time */

/*
 * Refused attempts cost an agent nothing, and each is a record: tried as fast as it
 * can, they would fill the log's disk (130 MB/s), and then everybody is refused.
 * So many are recorded at once, and then so many a second; what is beyond is refused
 * all the same, and counted as lost.  A program that is refused in earnest stays
 * below by far.
 *
 * A socket for each datagram to a listed endpoint writes as much and costs as
 * little, so what is allowed has a pace too, beyond which it is refused.  It is an
 * account of its own: an agent that is refused much can still do its work.
 */
#define AMBIT_REFUSALS_BURST 4096U
#define AMBIT_REFUSALS_SECOND 500U
#define AMBIT_ALLOWED_BURST 262144U
#define AMBIT_ALLOWED_SECOND 4000U

/* Internet sockets that one agent may have open: each can hold a port of the range that
 * all programs of the node take theirs from, with no rule and no packet. */
#define AMBIT_SOCKETS 4096

/*
 * Names.  An agent's resolver is AMBIT_RESOLVER, port 53; what it sends there is
 * led to AMBIT_ASKERS + its slot, on the port where the porter listens.  Both lie in
 * 127.86.0.0/16 (IPv4, host order).
 */
#define AMBIT_RESOLVER 0x7f560001U	/* 127.86.0.1 */
#define AMBIT_RESOLVER_TEXT "127.86.0.1"
#define AMBIT_RESOLVER_PORT 53
#define AMBIT_ASKERS 0x7f561000U	/* 127.86.16.0 */
#define AMBIT_LOOKUP_RATE 200U	/* questions a second of one agent */
#define AMBIT_LOOKUP_BURST 400U
#define AMBIT_ADMITTED 65536U	/* addresses admitted for names, all agents */
#define AMBIT_ADMITTED_ENTRIES 16	/* egress entries of one address */

/* Rule ids index the profile's egress list; these two are not in any list. */
#define AMBIT_NO_RULE 0xffffU

enum ambit_rule_flags {
	AMBIT_RULE_NAME = 1,	/* its addresses are those admitted for `id`; its
				 * own address is zero and matches nothing */
	AMBIT_RULE_TLS = 2,	/* the flow must begin with a TLS hello that names
				 * the entry */
};

/* One way out: protocol, address block, port range. */
struct ambit_rule {
	__u8 address[16];
	__u8 prefix;		/* bits of address that count, 0..128; IPv4 is
				 * matched only from 96 on */
	__u8 protocol;		/* IPPROTO_TCP or IPPROTO_UDP */
	__u16 id;		/* index of the profile's egress entry */
	__u16 port_low;
	__u16 port_high;	/* inclusive */
	__u16 flags;		/* enum ambit_rule_flags */
	__u16 pad[3];
};

/* One port range that may be bound and accepted on. */
struct ambit_listen {
	__u16 port_low;
	__u16 port_high;	/* inclusive */
	__u8 protocol;
	__u8 anywhere;		/* 0: loopback only */
	__u8 pad[2];
};

/* One unix endpoint: the path as the agent names it. */
struct ambit_unix {
	__u16 id;		/* index of the profile's egress entry */
	__u16 length;		/* bytes of path, without a closing zero */
	char path[AMBIT_UNIX_PATH];
};

/*
 * A TLS server name, in lower case, zeros behind it: as the reader finds it and
 * as the key of the map that says which names an egress entry stands for.
 */
struct ambit_server_name {
	__u64 profile;		/* struct ambit_policy, profile */
	__u16 entry;		/* index of the profile's egress entry */
	__u16 length;		/* bytes of name */
	__u32 wild;		/* 1: one label and then name, ".example.com" */
	char name[256];
};

/* What a socket's storage begins with, as sock_diag(7) shows it: where it may send
 * to and which egress entry allowed that.  TCP uses the first of `known` alone. */
#define AMBIT_FLOW_BYTES 200
#define AMBIT_FLOW_KNOWN 4
struct ambit_flow {
	__u32 lock, next;
	__u64 instance;
	struct {
		__u8 address[16];
		__u16 port;	/* 0: not used */
		__u16 entry;	/* index of the profile's egress entry */
		__u32 generation;
	} known[AMBIT_FLOW_KNOWN];
};

/* A socket whose first bytes were refused: to be destroyed, so that its holder
 * does not wait for an answer.  Destroying by cookie can hit no other. */
struct ambit_condemned {
	__u64 cookie;
	__u8 address[16], local_address[16];
	__u16 port, local_port;
	__u32 device;		/* that it is bound to, 0: none */
};

enum ambit_policy_state {
	AMBIT_POLICY_NONE = 0,	/* nothing written yet: everything is refused */
	AMBIT_POLICY_OPEN = 1,
	AMBIT_POLICY_CUT = 2,	/* no egress any more, live flows included */
};

/* How pathname unix sockets that are not listed are treated. */
enum ambit_unix_mode {
	AMBIT_UNIX_LISTED = 0,	/* refused */
	AMBIT_UNIX_PRIVATE = 1,	/* allowed: no host directory is in the agent's
				 * view, so that a path can only lead to itself */
};

/*
 * The rules of one agent: the value of the cgroup storage of its attachment.
 * Programs reach it through the attachment alone (bpf_get_local_storage), so
 * that a task in a kernel worker or a socket passed on is judged by the rules
 * of the cgroup that made the socket.
 */
struct ambit_policy {
	__u64 instance;		/* the agent; slots are used again, this is not */
	__u64 profile;		/* whose server names its entries stand for */
	__u32 slot;		/* index into the tallies */
	__u32 state;		/* enum ambit_policy_state */
	__u32 generation;	/* grows with each change of the rules */
	__u16 rule_count;
	__u16 listen_count;
	__u16 unix_count;
	__u16 unix_mode;	/* enum ambit_unix_mode */
	__u8 abstract_scoped;	/* 1: Landlock confines abstract names, the hook
				 * may let them pass */
	__u8 names;		/* 1: there are rules of names */
	__u8 resolver;		/* 1: the porter, which answers lookups */
	__u8 pad;
	struct ambit_rule rules[AMBIT_RULES];
	struct ambit_listen listens[AMBIT_LISTENS];
	struct ambit_unix unix_paths[AMBIT_UNIX_PATHS];
};

/*
 * Counters of one slot, written by the kernel programs only.  `attempts` is the
 * last kernel sequence number given out: each attempt takes a number before the
 * record is reserved.  `lost` counts attempts that were refused because their
 * record could not be written; attempts == records + lost, always.
 */
struct ambit_tally {
	__u64 attempts;
	__u64 produced;
	__u64 lost;
	__u64 dropped_packets;	/* packets the wall dropped, without a record each */
	__u64 allowed;		/* attempts that were recorded and allowed */
	__u64 paced_ns;		/* when all refusals so far are paid for */
	__u64 paced_allowed_ns;	/* … and all that was allowed */
	__s64 sockets;		/* internet sockets that are open */
};

/*
 * What the recorder has consumed of one slot; written by the recorder only.  The
 * kernel programs read `records`.  The rest is the recorder's own memory across
 * its restarts, which it resets when a slot gets another instance.
 */
struct ambit_drained {
	__u64 records;
	__u64 recorder[15];
};

/* The node as a whole; written by the warden. */
struct ambit_control {
	__u32 open;		/* 0: every new attempt is refused */
	__u32 version;		/* AMBIT_KERNEL_VERSION, 0 until all is pinned */
	__u32 resolver_port;	/* where the porter answers lookups, 0: nowhere */
	__u32 pad;
};

/* An address that a name led to: whose, and for which entries how long.  Written
 * by the warden before the agent hears of the address. */
struct ambit_admitted_key {
	__u64 instance;
	__u8 address[16];
};

struct ambit_admitted {
	__u64 until[AMBIT_ADMITTED_ENTRIES];	/* CLOCK_BOOTTIME, ns; 0: free */
	__u16 entry[AMBIT_ADMITTED_ENTRIES];	/* index of the egress entry */
};

/* Who asks from a slot, and how much: written by the kernel programs. */
struct ambit_asker {
	__u64 instance;
	__u64 due_ns;		/* when a bucket that is never full would be full */
};

/* X(name, number, word): what was attempted. */
#define AMBIT_ATTEMPTS(X)                    \
	X(CONNECT, 1, "connect")             \
	X(SEND, 2, "send")                   \
	X(UNIX_CONNECT, 3, "unix connect")   \
	X(UNIX_SEND, 4, "unix send")         \
	X(BIND, 5, "bind")                   \
	X(SOCKET, 6, "socket")               \
	X(OPTION, 7, "socket option")        \
	X(PACKET, 8, "packet")               \
	X(TLS, 9, "TLS hello")

/* X(name, number, explanation): why the verdict is what it is. */
#define AMBIT_REASONS(X)                                                    \
	X(RULE, 1, "an entry allows it")                                    \
	X(NO_RULE, 2, "no entry allows it")                                 \
	X(RESERVED, 3, "link-local, metadata and the node's own addresses " \
		       "must be named exactly")                             \
	X(CUT, 4, "the agent is cut off")                                   \
	X(NO_POLICY, 5, "the agent has no rules")                           \
	X(CLOSED, 6, "the node takes no new connections")                   \
	X(NOT_LISTED, 7, "the port is not listed under listen")             \
	X(FAMILY, 8, "only TCP and UDP over IPv4 and IPv6 may be used")     \
	X(ROUTING, 9, "source routing is never allowed")                    \
	X(NOT_ADMITTED, 10, "the flow was not admitted by a decision")      \
	X(PRIVATE, 11, "a socket of the agent's own")                       \
	X(ABSTRACT, 12, "abstract unix names are not allowed")              \
	X(OPTION, 13, "this socket option is never allowed")                \
	X(TLS_NAME, 14, "the TLS server name is not the entry's")           \
	X(TLS_NO_NAME, 15, "the TLS hello names no server")                 \
	X(NOT_TLS, 16, "the entry asks for TLS and this is none")           \
	X(TLS_UNREADABLE, 17, "the TLS hello can't be read in its first packet") \
	X(RATE, 18, "more lookups than the node answers")                   \
	X(SOCKETS, 19, "more sockets at once than one agent may have")

#define AMBIT_KERNEL_ENUM(name, number, word) AMBIT_ATTEMPT_##name = number,
enum ambit_attempt { AMBIT_ATTEMPTS(AMBIT_KERNEL_ENUM) };
#undef AMBIT_KERNEL_ENUM
#define AMBIT_KERNEL_ENUM(name, number, word) AMBIT_REASON_##name = number,
enum ambit_reason { AMBIT_REASONS(AMBIT_KERNEL_ENUM) };
#undef AMBIT_KERNEL_ENUM

enum ambit_verdict { AMBIT_DENIED = 0, AMBIT_ALLOWED = 1 };

/* One attempt, as the ring carries it.  Zeroed before it is filled. */
struct ambit_record {
	__u64 instance;
	__u64 kseq;		/* 1, 2, 3 … per agent */
	__u64 lost;		/* the agent's refused-unrecorded count so far */
	__u64 ktime_ns;		/* CLOCK_BOOTTIME */
	__u64 cgroup_id;	/* of the calling task */
	__u64 socket_cookie;
	__u32 slot;
	__u32 pid;		/* thread group, in the host's namespace */
	__u32 uid;
	__u16 rule;		/* egress or listen index, or AMBIT_NO_RULE */
	__u16 port;		/* remote port; local port of a bind */
	__u16 local_port;
	__u8 attempt;		/* enum ambit_attempt */
	__u8 verdict;		/* enum ambit_verdict */
	__u8 reason;		/* enum ambit_reason */
	__u8 protocol;
	__u8 family;
	__u8 path_length;	/* bytes of path: of a unix attempt the path,
				 * of a TLS attempt the name seen; else 0 */
	__u16 option_level;	/* of a refused socket option */
	__u16 option_name;
	__u8 truncated;		/* path is the beginning of a longer name */
	__u8 pad[3];
	__u8 address[16];	/* remote address; local address of a bind */
	__u8 local_address[16];
	char comm[16];
	char path[AMBIT_UNIX_PATH];
	__u32 pad2;
};

_Static_assert(sizeof(struct ambit_rule) == 32, "rule layout");
_Static_assert(sizeof(struct ambit_listen) == 8, "listen layout");
_Static_assert(sizeof(struct ambit_unix) == 112, "unix layout");
_Static_assert(sizeof(struct ambit_server_name) == 272, "server name layout");
_Static_assert(sizeof(struct ambit_condemned) == 48, "condemned layout");
_Static_assert(sizeof(struct ambit_policy) ==
		       40 + 32 * AMBIT_RULES + 8 * AMBIT_LISTENS +
			       112 * AMBIT_UNIX_PATHS,
	       "policy layout");
_Static_assert(sizeof(struct ambit_admitted) == 10 * AMBIT_ADMITTED_ENTRIES,
	       "admitted layout");
_Static_assert(sizeof(struct ambit_tally) == 64, "one tally, one cache line");
_Static_assert(sizeof(struct ambit_drained) == 128, "two cache lines");
_Static_assert(sizeof(struct ambit_record) == 240, "record layout");

#endif
