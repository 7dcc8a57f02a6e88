// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The judgement of first bytes: see tls.bpf.h.  hello.h reads them here from a
 * packet, which at egress is not cut into segments yet: what the client wrote at
 * once lies in one piece, also over a device whose segments are smaller.
 */
#include "tls.bpf.h"

#define HELLO_SOURCE struct __sk_buff *
#define HELLO_LOAD bpf_skb_load_bytes
#define HELLO_LOOP(count, function, context) bpf_loop(count, function, context, 0)
#define HELLO_OPAQUE(variable) asm volatile("" : "+r"(variable))
#include "hello.h"

#include <linux/tcp.h>

#define FLAG_SYN 0x02
#define FLAG_ACK 0x10
#define FLAG_URGENT 0x20

#define RECORD_CHANGE_CIPHER 20
#define RECORD_DATA 23
#define RECORD_UNREADABLE 255
#define RECORDS_AT_ONCE 64

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, AMBIT_SERVER_NAMES);
	__type(key, struct ambit_server_name);
	__type(value, __u8);
} names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, AMBIT_CONDEMNED_BYTES);
} condemned SEC(".maps");

struct listed_search {
	struct ambit_server_name *name;
	__u64 entries[2];
	__u32 found;
};

static long match_listed(__u32 index, struct listed_search *search)
{
	search->name->entry = (__u16)search->entries[0];
	search->entries[0] = search->entries[0] >> 16 | search->entries[1] << 48;
	search->entries[1] >>= 16;
	search->found = bpf_map_lookup_elem(&names, search->name) != NULL;
	return search->found;
}

static __always_inline int is_listed(const struct ambit_policy *policy,
				     const struct pinned *pinned,
				     struct ambit_server_name *name, __u32 wild)
{
	struct listed_search search = {
		.name = name,
		.entries = { pinned->entries[0], pinned->entries[1] },
	};

	if (!name->length)
		return 0;
	name->profile = policy->profile;
	name->wild = wild;
	bpf_loop(pinned->entry_count, match_listed, &search, 0);
	return search.found;
}

/* Not passed to the functions below: a key to look up must be known to lie in a
 * map (before 6.6), and what they are passed is just memory. */
static __always_inline struct pinned *pinned_of(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (sk)
		sk = bpf_sk_fullsock(sk);
	return sk ? bpf_sk_storage_get(&pins, sk, 0, 0) : NULL;
}

GLOBAL int tls_listed(struct __sk_buff *skb, const struct ambit_policy *policy)
{
	struct pinned *pinned = pinned_of(skb);

	if (!policy || !pinned)
		return 0;
	return is_listed(policy, pinned, &pinned->name, 0) ||
	       is_listed(policy, pinned, &pinned->rest, 1);
}

/* The first payload of the flow; 0 or enum ambit_reason. */
static __always_inline __u32 judge_payload(struct __sk_buff *skb,
					   const struct ambit_policy *policy,
					   struct pinned *pinned, __u32 payload)
{
	__u32 at = 0;

	pinned->rest.length = 0;
	__u32 reason = hello_read(skb, payload, skb->len, &pinned->name, &at);
	if (reason)
		return reason;
	if (is_listed(policy, pinned, &pinned->name, 0))
		return 0;
	if (hello_rest(skb, at, &pinned->name, &pinned->rest))
		return AMBIT_REASON_TLS_NAME;
	return is_listed(policy, pinned, &pinned->rest, 1) ?
		       0 : AMBIT_REASON_TLS_NAME;
}

/* Records behind a hello: where the next one is. */
struct records {
	struct __sk_buff *skb;
	__u32 at;
	__u32 type;	/* of the one that the walk stopped at, 0: none */
};

static long skip_record(__u32 index, struct records *records)
{
	__u8 head[HELLO_RECORD];	/* type, version, length */

	records->type = RECORD_UNREADABLE;
	if (bpf_skb_load_bytes(records->skb, records->at, head, sizeof(head)) < 0)
		return 1;
	if (head[0] < RECORD_CHANGE_CIPHER || head[0] > RECORD_DATA)
		return 1;
	records->type = head[0];
	if (head[0] == RECORD_HANDSHAKE)
		return 1;
	records->type = 0;
	records->at += sizeof(head) + hello_u16(head + 3);
	return records->at >= records->skb->len;
}

static __always_inline __u32 record_end(struct __sk_buff *skb, __u32 at)
{
	__u8 length[2] = { 0, 0 };

	bpf_skb_load_bytes(skb, at + 3, length, sizeof(length));
	return at + HELLO_RECORD + hello_u16(length);
}

/*
 * What begins behind a hello while the server may still ask for another: a
 * ChangeCipherSpec that means nothing, early data that the server passes over, an
 * alert; or another hello, asked for or not yet, which must be right too.
 * `start` is where the payload lies, `first` its sequence number.
 */
static __always_inline __u32 judge_records(struct __sk_buff *skb,
					   const struct ambit_policy *policy,
					   struct pinned *pinned, __u32 start,
					   __u32 first)
{
	struct records records = { .skb = skb,
				   .at = start + (pinned->record - first) };

	if (records.at < start)
		return AMBIT_REASON_TLS_UNREADABLE;
	if (records.at < skb->len)
		bpf_loop(RECORDS_AT_ONCE, skip_record, &records, 0);
	__u32 found = TLS_ON;
	if (records.type == RECORD_HANDSHAKE) {
		found = judge_payload(skb, policy, pinned, records.at);
		records.at = record_end(skb, records.at);
	}
	if (records.type == RECORD_UNREADABLE)
		pinned->name.length = 0;	/* that of the hello before */
	if (records.type == RECORD_UNREADABLE || records.at < skb->len)
		found = AMBIT_REASON_TLS_UNREADABLE;
	pinned->record = first + (records.at - start);
	return found;
}

struct tcp_head {
	__be16 ports[2];
	__be32 sequence, acknowledged;
	__u8 offset, flags;
	__be16 window;
};

static __always_inline __u32 judge_hello(struct __sk_buff *skb,
					 const struct ambit_policy *policy,
					 struct pinned *pinned, __u32 payload,
					 __u32 first)
{
	__u32 found = judge_payload(skb, policy, pinned, payload);

	if (found)
		return found;
	pinned->record = first + (record_end(skb, payload) - payload);
	found = judge_records(skb, policy, pinned, payload, first);
	return found == TLS_ON ? TLS_RIGHT : found;
}

GLOBAL int tls_judge(struct __sk_buff *skb, const struct ambit_policy *policy,
		     __u32 header, __u32 state)
{
	struct pinned *pinned = pinned_of(skb);
	struct tcp_head tcp;

	if (!policy || !pinned ||
	    bpf_skb_load_bytes(skb, header, &tcp, sizeof(tcp)) < 0)
		return AMBIT_REASON_TLS_UNREADABLE;
	__u32 payload = header + (tcp.offset >> 4) * 4;
	__u32 first = bpf_ntohl(tcp.sequence);
	if (tcp.flags & FLAG_SYN) {
		/* Fast Open: the data of a SYN comes one behind its number. */
		pinned->next = ++first;
		pinned->started = 1;
	}
	if (payload >= skb->len)
		return TLS_EMPTY;
	/* A second try on one socket is not a first segment. */
	if (pinned->reason)
		return (int)pinned->reason;
	__u32 next = first + (skb->len - payload);
	/* What was judged, once more. */
	if (state != TLS_WAITS && (__s32)(next - pinned->next) <= 0)
		return TLS_ON;
	__u32 found = AMBIT_REASON_TLS_UNREADABLE;
	/* Else it is not what follows in the flow; or has a byte that the peer
	 * takes out of it, so that it reads another text than we do. */
	if (pinned->started && first == pinned->next && !(tcp.flags & FLAG_URGENT))
		found = state == TLS_WAITS ?
				judge_hello(skb, policy, pinned, payload, first) :
				judge_records(skb, policy, pinned, payload, first);
	if (state == TLS_WAITS && (tcp.flags & FLAG_ACK)) {
		pinned->answer = bpf_ntohl(tcp.acknowledged);
		pinned->connected = 1;
	}
	pinned->reason = found == TLS_ON ? 0 : found;
	pinned->next = next;
	return (int)found;
}

/* RFC 8446, 4.1.3: the random bytes of a ServerHello that asks for another hello. */
#define RETRY_RANDOM_AT (HELLO_RECORD + HELLO_MESSAGE + 2)
static const __u64 retry_random[4] = {
	bpf_cpu_to_be64(0xcf21ad74e59a6111ULL), bpf_cpu_to_be64(0xbe1d8c021e65b891ULL),
	bpf_cpu_to_be64(0xc2a211167abb8c5eULL), bpf_cpu_to_be64(0x079e09e2c8a8339cULL),
};

GLOBAL int tls_answered(struct __sk_buff *skb, __u32 header)
{
	struct pinned *pinned = pinned_of(skb);
	struct tcp_head tcp;
	__u64 random[4];
	__u8 type;

	if (!pinned || bpf_skb_load_bytes(skb, header, &tcp, sizeof(tcp)) < 0)
		return TLS_ASKED;
	__u32 payload = header + (tcp.offset >> 4) * 4;
	__u32 first = bpf_ntohl(tcp.sequence);
	if (tcp.flags & FLAG_SYN) {
		first++;
		/* Fast Open: the hello went out before the peer had a number. */
		if (!pinned->connected) {
			pinned->answer = first;
			pinned->connected = 1;
		}
	}
	/* Out of order: what it begins with is still to come. */
	if (payload >= skb->len || !pinned->connected || first != pinned->answer)
		return TLS_ASKED;
	if (bpf_skb_load_bytes(skb, payload, &type, 1) < 0)
		return TLS_ASKED;
	if (type != RECORD_HANDSHAKE)
		return TLS_PASSED;
	/* Too little to tell: as if it asked for one. */
	if (bpf_skb_load_bytes(skb, payload + RETRY_RANDOM_AT, random,
			       sizeof(random)) < 0)
		return TLS_AGAIN;
	return (random[0] ^ retry_random[0]) | (random[1] ^ retry_random[1]) |
			       (random[2] ^ retry_random[2]) |
			       (random[3] ^ retry_random[3]) ?
		       TLS_PASSED : TLS_AGAIN;
}

/* Until there was room for it, each packet that is tried tells again. */
static __always_inline void condemn(const struct attempt *attempt,
				    struct pinned *pinned, __u32 device)
{
	struct ambit_condemned socket = {
		.cookie = attempt->cookie,
		.port = attempt->port,
		.local_port = attempt->local_port,
		.device = device,
	};

	if (pinned->told)
		return;
	__builtin_memcpy(socket.address, &attempt->remote, 16);
	__builtin_memcpy(socket.local_address, &attempt->local, 16);
	pinned->told = bpf_ringbuf_output(&condemned, &socket, sizeof(socket),
					  BPF_RB_FORCE_WAKEUP) == 0;
}

GLOBAL int tls_refuse(struct __sk_buff *skb, const struct ambit_policy *policy,
		      struct attempt *attempt, struct pinned *pinned,
		      __u32 device)
{
	if (!policy || !attempt || !pinned)
		return 0;
	condemn(attempt, pinned, device);
	if (pinned->recorded)
		return 0;
	pinned->recorded = 1;
	attempt->kind = AMBIT_ATTEMPT_TLS;
	decided(attempt, AMBIT_DENIED, (enum ambit_reason)pinned->reason,
		(__u16)pinned->entries[0]);
	struct ambit_record *record = record_reserve(policy, attempt->verdict);
	if (!record)
		return 0;
	record_fill(record, attempt);
	record->cgroup_id = bpf_skb_cgroup_id(skb);
	__u32 length = pinned->name.length;
	record->truncated = length > AMBIT_UNIX_PATH;
	record->path_length = (__u8)(record->truncated ? AMBIT_UNIX_PATH : length);
	/* Zeros behind the name, hence a copy of one length. */
	__builtin_memcpy(record->path, pinned->name.name, AMBIT_UNIX_PATH);
	record_submit(record);
	return 1;
}
