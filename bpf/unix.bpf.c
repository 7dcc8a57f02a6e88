// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * unix connect, unix sendmsg (6.7): a listed path, exactly as listed, passes.
 * Where nothing of the host is in the agent's view, any path leads to itself and
 * passes too; abstract names pass only where Landlock keeps them inside.
 *
 * libbpf of Debian 12 does not know these hooks: the loader sets type and attach
 * type by number, and leaves the programs out where they do not load.
 */
#include "flow.bpf.h"
#include "kernel.bpf.h"

#define PATH_OFFSET 2		/* of sun_path in struct sockaddr_un */
#define PATH_WORDS (AMBIT_UNIX_PATH / 4)
#define TEXT(a, b, c, d)                                              \
	((__u32)(a) | (__u32)(b) << 8 | (__u32)(c) << 16 | (__u32)(d) << 24)

/* Zero behind its end, so that whole paths can be compared word by word. */
struct name {
	union {
		char bytes[AMBIT_UNIX_PATH + 4];
		__u32 words[PATH_WORDS + 1];
	};
	__u32 length;
	__u32 abstract;
};

/* The last datagram destination that was recorded for a socket. */
struct unix_flow {
	struct bpf_spin_lock lock;
	__u32 generation;
	__u64 instance;
	__u32 length;
	__u32 words[PATH_WORDS];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct unix_flow);
} unix_flows SEC(".maps");

/* The socket's path: bytes up to a zero or the end of the address. */
static int read_name(struct bpf_sock_addr *ctx, struct name *name)
{
	struct bpf_sock_addr_kern *kernel = bpf_cast_to_kern_ctx(ctx);
	const char *path = (const char *)kernel->uaddr + PATH_OFFSET;
	__u32 length = kernel->uaddrlen - PATH_OFFSET;
	char first;

	/* Two comparisons of the very register that is used later: the compiler
	 * would make one of them, of another, and 6.12 loses the bound. */
	if (length > AMBIT_UNIX_PATH)
		return 0;
	asm volatile("" : "+r"(length));
	if (!length || bpf_probe_read_kernel(&first, 1, path) < 0)
		return 0;
	name->abstract = !first;
	if (name->abstract) {
		name->length = length;
		return bpf_probe_read_kernel(name->bytes, length, path) == 0;
	}
	/* One more than the path, for the closing zero it writes. */
	long copied = bpf_probe_read_kernel_str(name->bytes, length + 1, path);
	if (copied < 1)
		return 0;
	name->length = (__u32)copied - 1;
	return 1;
}

struct path_search {
	const struct ambit_policy *policy;
	const struct name *name;
	__u32 found;
	__u16 rule;
};

static long match_path(__u32 index, struct path_search *search)
{
	if (index >= AMBIT_UNIX_PATHS)
		return 1;
	const struct ambit_unix *entry = &search->policy->unix_paths[index];
	const __u32 *words = (const __u32 *)(const void *)entry->path;
	__u32 differs = entry->length != search->name->length;

	for (int i = 0; i < PATH_WORDS; i++)
		differs |= words[i] ^ search->name->words[i];
	if (differs)
		return 0;
	search->found = 1;
	search->rule = entry->id;
	return 1;
}

static int decide_name(const struct ambit_policy *policy,
				  const struct name *name,
				  struct attempt *attempt)
{
	if (policy->state == AMBIT_POLICY_CUT)
		return denied(attempt, AMBIT_REASON_CUT);
	if (policy->state != AMBIT_POLICY_OPEN)
		return denied(attempt, AMBIT_REASON_NO_POLICY);
	if (name->abstract)
		return policy->abstract_scoped ?
			       decided(attempt, AMBIT_ALLOWED,
				       AMBIT_REASON_PRIVATE, AMBIT_NO_RULE) :
			       denied(attempt, AMBIT_REASON_ABSTRACT);
	struct path_search search = { .policy = policy, .name = name };
	bpf_loop(policy->unix_count, match_path, &search, 0);
	if (search.found)
		return decided(attempt, AMBIT_ALLOWED, AMBIT_REASON_RULE,
			       search.rule);
	if (policy->unix_mode == AMBIT_UNIX_PRIVATE)
		return decided(attempt, AMBIT_ALLOWED, AMBIT_REASON_PRIVATE,
			       AMBIT_NO_RULE);
	return denied(attempt, AMBIT_REASON_NO_RULE);
}

/*
 * The C library asks the name service cache for each user and each host name, and
 * does without where there is none: its socket is in no agent's view.  Refused as
 * what is not listed, but not recorded, or the log would hold little else.
 */
static __always_inline int is_name_cache(const struct name *name)
{
	static const __u32 path[] = {	/* "/var/run/nscd/socket" */
		TEXT('/', 'v', 'a', 'r'), TEXT('/', 'r', 'u', 'n'),
		TEXT('/', 'n', 's', 'c'), TEXT('d', '/', 's', 'o'),
		TEXT('c', 'k', 'e', 't'),
	};
	__u32 differs = name->length ^ sizeof(path);

	for (unsigned i = 0; i < sizeof(path) / sizeof(*path); i++)
		differs |= name->words[i] ^ path[i];
	return !differs;
}

static int record_name(const struct ambit_policy *policy,
				  const struct name *name,
				  const struct attempt *attempt)
{
	struct ambit_record *record = record_reserve(policy, attempt->verdict);

	if (!record)
		return 0;
	record_fill(record, attempt);
	record_task(record);
	record->path_length = (__u8)name->length;
	__builtin_memcpy(record->path, name->bytes, AMBIT_UNIX_PATH);
	record_submit(record);
	return 1;
}

static __always_inline int is_recorded(struct unix_flow *flow,
				       const struct ambit_policy *policy,
				       const struct name *name)
{
	__u64 instance = policy->instance;
	__u32 generation = policy->generation, length = name->length;
	__u32 differs = 0;

	bpf_spin_lock(&flow->lock);
	for (int i = 0; i < PATH_WORDS; i++)
		differs |= flow->words[i] ^ name->words[i];
	if (flow->instance != instance || flow->generation != generation ||
	    flow->length != length)
		differs = 1;
	bpf_spin_unlock(&flow->lock);
	return !differs;
}

static __always_inline void note_recorded(struct unix_flow *flow,
					  const struct ambit_policy *policy,
					  const struct name *name)
{
	__u64 instance = policy->instance;
	__u32 generation = policy->generation, length = name->length;

	bpf_spin_lock(&flow->lock);
	flow->instance = instance;
	flow->generation = generation;
	flow->length = length;
	for (int i = 0; i < PATH_WORDS; i++)
		flow->words[i] = name->words[i];
	bpf_spin_unlock(&flow->lock);
}

static __always_inline int names(struct bpf_sock_addr *ctx,
				 enum ambit_attempt kind, enum hook hook)
{
	struct ambit_policy *policy = bpf_get_local_storage(&policies, 0);
	struct bpf_sock *sk = ctx->sk;
	struct name name = {};
	struct attempt attempt = {
		.kind = kind,
		.family = FAMILY_UNIX,
		.cookie = bpf_get_socket_cookie(ctx),
	};

	if (!sk || !flow_enter(sk, hook) || !read_name(ctx, &name)) {
		lose(policy);
		return REFUSE;
	}
	int allowed = decide_name(policy, &name, &attempt);
	if (!allowed && attempt.reason == AMBIT_REASON_NO_RULE &&
	    is_name_cache(&name))
		return REFUSE;
	struct unix_flow *flow = NULL;
	if (allowed && kind == AMBIT_ATTEMPT_UNIX_SEND) {
		flow = bpf_sk_storage_get(&unix_flows, sk, 0,
					  BPF_SK_STORAGE_GET_F_CREATE);
		if (!flow)
			return REFUSE;
		if (is_recorded(flow, policy, &name))
			return PASS;
	}
	if (!record_name(policy, &name, &attempt))
		return REFUSE;
	if (flow)
		note_recorded(flow, policy, &name);
	return allowed ? PASS : REFUSE;
}

SEC("cgroup/connect_unix")
int leaf_unixconn(struct bpf_sock_addr *ctx)
{
	return names(ctx, AMBIT_ATTEMPT_UNIX_CONNECT, HOOK_UNIX_CONNECT);
}

SEC("cgroup/sendmsg_unix")
int leaf_unixsend(struct bpf_sock_addr *ctx)
{
	return names(ctx, AMBIT_ATTEMPT_UNIX_SEND, HOOK_UNIX_SEND);
}
