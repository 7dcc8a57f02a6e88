/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What all kernel programs share: the maps, the attempt that is being judged,
 * and the writing of its record.
 *
 * Each hook has two programs.  The leaf program is attached to the cgroup of one
 * agent, finds the agent's rules through that attachment and decides.  The wall
 * program (wall.bpf.c) is attached once to the parent of all agents and passes
 * only what a leaf program has seen: a cgroup without leaf programs gets nothing
 * out.  The kernel runs the programs of a cgroup before those of its parent, runs
 * all of them even when one refused, and needs all of them to agree.
 *
 * Order of a verdict: decide fully, take a number, reserve the record, write it,
 * only then allow.  Without a record there is no connection.
 */
#ifndef AMBIT_BPF_H
#define AMBIT_BPF_H

#include <linux/bpf.h>

#include <ambit/kernel.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/in.h>

/*
 * A function that the verifier walks once, by itself, instead of once for each
 * way that leads to a call: without these, loading takes half a second.  Its
 * arguments are numbers, the context, or memory of a known size that may be NULL
 * for all it knows.
 */
#define GLOBAL __noinline
#define UNUSED __attribute__((unused))

#define REFUSE 0		/* what a cgroup program returns */
#define PASS 1

#define FAMILY_UNIX 1
#define FAMILY_INET 2
#define FAMILY_INET6 10
#define TYPE_STREAM 1
#define TYPE_DGRAM 2

/* An address as kernel.h has it: network order, IPv4 mapped. */
struct address {
	__u64 high, low;
};

#define MAPPED_HIGH 0ULL
#define MAPPED_LOW(v4) bpf_cpu_to_be64(0xffff00000000ULL | (v4))
#define LOOPBACK_LOW MAPPED_LOW(0x7f000001ULL)

/* What is being judged, before it is a record. */
struct attempt {
	struct address remote, local;
	__u64 cookie;
	__u16 port, local_port;
	__u16 rule;
	__u16 option_level, option_name;
	__u8 kind;		/* enum ambit_attempt */
	__u8 verdict;
	__u8 reason;
	__u8 protocol;
	__u8 family;
	/* How many rules with AMBIT_RULE_TLS match where none without does, and
	 * their ids, 16 bits each, the last one lowest. */
	__u8 pin_count;		/* none hidden: passed as initialised memory */
	__u64 pins[2];
	__u16 kept;		/* 1 + the rule of a name that admitted the flow, under
				 * which it lives on when the address is not
				 * admitted any more; 0: none */
	__u8 sorts;		/* asked only whether any entry leads there: see
				 * is_sorting() */
	__u8 pad[5];
};
#define PINS 8
_Static_assert(sizeof(struct attempt) == 80, "attempt layout");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
	/* A key of the cgroup id alone makes one storage for all programs that
	 * are attached to the cgroup (5.9). */
	__type(key, __u64);
	__type(value, struct ambit_policy);
} policies SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, AMBIT_RING_BYTES);
} ring SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, AMBIT_SLOTS);
	__type(key, __u32);
	__type(value, struct ambit_tally);
} tallies SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, AMBIT_SLOTS);
	__type(key, __u32);
	__type(value, struct ambit_drained);
} drained SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ambit_control);
} control SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, AMBIT_OWN_ADDRESSES);
	__type(key, struct address);
	__type(value, __u8);
} own_addresses SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, AMBIT_ADMITTED);
	__type(key, struct ambit_admitted_key);
	__type(value, struct ambit_admitted);
} admitted SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AMBIT_SLOTS);
	__type(key, __u32);
	__type(value, struct ambit_asker);
} askers SEC(".maps") __weak;

static __always_inline struct ambit_tally *tally_of(__u32 slot)
{
	return bpf_map_lookup_elem(&tallies, &slot);
}

static __always_inline int is_open(void)
{
	__u32 zero = 0;
	struct ambit_control *now = bpf_map_lookup_elem(&control, &zero);

	return now && now->open;
}

#define REFUSAL_NS (1000000000ULL / AMBIT_REFUSALS_SECOND)
#define ALLOWED_NS (1000000000ULL / AMBIT_ALLOWED_SECOND)

/*
 * 1 if one more record of `price` may be written now.  Each moves the moment at
 * which all are paid for; it may lie as far ahead as a burst is long.  CPUs that
 * look at once may each take the last of it, one record too many for each.
 */
static __always_inline int pace(__u64 *paid, __u64 now, __u64 price, __u64 burst)
{
	__u64 until = *paid;

	if (until >= now + burst * price)
		return 0;
	/* Another CPU that was faster has done the same. */
	if (until < now)
		__sync_val_compare_and_swap(paid, until, now);
	__sync_fetch_and_add(paid, price);
	return 1;
}

static __always_inline int keeps_pace(struct ambit_tally *tally, __u64 now,
				      __u8 verdict)
{
	if (verdict == AMBIT_ALLOWED)
		return pace(&tally->paced_allowed_ns, now, ALLOWED_NS,
			    AMBIT_ALLOWED_BURST);
	return pace(&tally->paced_ns, now, REFUSAL_NS, AMBIT_REFUSALS_BURST);
}

/*
 * Takes a number and reserves the record.  NULL: the attempt must be refused, it
 * is counted as lost.  A cgroup whose rules were never written has no agent to
 * write a record for; what it tries is counted in slot 0.
 *
 * The credit is compared as a signed difference: a recorder that has not yet
 * heard that the slot has a new agent leaves a larger count there, which must
 * not lock the new one out.
 */
static __always_inline struct ambit_record *
record_reserve(const struct ambit_policy *policy, __u8 verdict)
{
	int known = policy->state != AMBIT_POLICY_NONE;
	__u32 slot = known ? policy->slot : 0;
	struct ambit_tally *tally = tally_of(slot);
	struct ambit_drained *seen = bpf_map_lookup_elem(&drained, &slot);
	struct ambit_record *record = NULL;

	if (!tally || !seen)
		return NULL;
	__u64 kseq = __sync_fetch_and_add(&tally->attempts, 1) + 1;
	__u64 now = bpf_ktime_get_boot_ns();
	/* Slot 0, the node's proof of itself, must work while it is closed. */
	if (known && (!slot || is_open()) &&
	    (__s64)(tally->produced - seen->records) < (__s64)AMBIT_RING_CREDIT &&
	    keeps_pace(tally, now, verdict))
		record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
	if (!record) {
		__sync_fetch_and_add(&tally->lost, 1);
		return NULL;
	}
	__sync_fetch_and_add(&tally->produced, 1);
	/* Ring memory is used again: nothing of an older record may show. */
	__builtin_memset(record, 0, sizeof(*record));
	record->instance = policy->instance;
	record->slot = slot;
	record->kseq = kseq;
	record->lost = tally->lost;
	record->ktime_ns = now;
	return record;
}

/* An attempt that is refused before there is anything to record of it: no memory
 * was left for the socket's notes, which the agent may have seen to. */
static __always_inline void lose(const struct ambit_policy *policy)
{
	struct ambit_tally *tally =
		tally_of(policy->state == AMBIT_POLICY_NONE ? 0 : policy->slot);

	if (!tally)
		return;
	__sync_fetch_and_add(&tally->attempts, 1);
	__sync_fetch_and_add(&tally->lost, 1);
}

static __always_inline void record_fill(struct ambit_record *record,
					const struct attempt *attempt)
{
	record->socket_cookie = attempt->cookie;
	record->rule = attempt->rule;
	record->port = attempt->port;
	record->local_port = attempt->local_port;
	record->attempt = attempt->kind;
	record->verdict = attempt->verdict;
	record->reason = attempt->reason;
	record->protocol = attempt->protocol;
	record->family = attempt->family;
	record->option_level = attempt->option_level;
	record->option_name = attempt->option_name;
	__builtin_memcpy(record->address, &attempt->remote, 16);
	__builtin_memcpy(record->local_address, &attempt->local, 16);
}

/* Who it is; only where the task that runs is the one that asks. */
static __always_inline void record_task(struct ambit_record *record)
{
	record->cgroup_id = bpf_get_current_cgroup_id();
	record->pid = bpf_get_current_pid_tgid() >> 32;
	record->uid = (__u32)bpf_get_current_uid_gid();
	bpf_get_current_comm(record->comm, sizeof(record->comm));
}

/* Refusals wake the recorder at once, the rest when it has caught up. */
static __always_inline void record_submit(struct ambit_record *record)
{
	struct ambit_tally *tally = tally_of(record->slot);

	if (tally && record->verdict == AMBIT_ALLOWED)
		__sync_fetch_and_add(&tally->allowed, 1);
	__u64 flags = record->verdict == AMBIT_DENIED ? BPF_RB_FORCE_WAKEUP : 0;

	bpf_ringbuf_submit(record, flags);
}

/* For the hooks that run in the asking task.  1 if the record is written. */
int record_attempt(const struct ambit_policy *policy,
		   const struct attempt *attempt);

static __always_inline int decided(struct attempt *attempt,
				   enum ambit_verdict verdict,
				   enum ambit_reason reason, __u16 rule)
{
	attempt->verdict = verdict;
	attempt->reason = reason;
	attempt->rule = rule;
	return verdict;
}

static __always_inline int denied(struct attempt *attempt,
				  enum ambit_reason reason)
{
	return decided(attempt, AMBIT_DENIED, reason, AMBIT_NO_RULE);
}

#endif
