/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System-call filters: see filter.h.  libseccomp writes the body of both
 * programs.  What it can't express stands in front of the allow-list, written
 * here: numbers that nobody knows answer ENOSYS, and runs of numbers that are
 * allowed whatever their arguments need one compare.  The answers, in order:
 *
 *   foreign ABI                     the process is killed
 *   a number libseccomp lacks       ENOSYS, as a kernel without it would say
 *   a call of the table `absent`    ENOSYS
 *   listed, and its conditions hold allowed
 *   everything else                 EPERM
 *
 * A filter that says EPERM to everything broke the fallbacks of glibc for
 * faccessat2 and clone3 wherever it was used; one that says ENOSYS to
 * everything hides from programs what is forbidden.
 */
#include "filter.h"

#include "own.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define NUMBERS 1024	/* no ABI of Linux numbers its calls higher */
#define RUNS_MAX 240	/* a jump passes over 255 instructions at most */
#define LEAD_MAX (6 + RUNS_MAX)

/* Known calls that must look unimplemented: their flags stand in memory where
 * no filter can read them, and every C library falls back at ENOSYS. */
static const char *const absent[] = { "clone3" };

struct context {
	scmp_filter_ctx filter;
};

static void context_release(struct context *context)
{
	if (context->filter)
		seccomp_release(context->filter);
}

#define OWN_CONTEXT __attribute__((cleanup(context_release))) struct context

int filter_knows(const char *call)
{
	return seccomp_syscall_resolve_name_arch(seccomp_arch_native(), call) !=
	       __NR_SCMP_ERROR;
}

/* The number of `call`, negative if this ABI does not have it. */
static int call_number(const char *call)
{
	return seccomp_syscall_resolve_name_arch(seccomp_arch_native(), call);
}

static int context_make(struct context *context, uint32_t otherwise,
			struct error *error)
{
	context->filter = seccomp_init(otherwise);
	if (!context->filter)
		return error_errno(error, ENOMEM, "filter");
	const struct {
		enum scmp_filter_attr attribute;
		uint32_t value;
	} attributes[] = {
		{ SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS },
		{ SCMP_FLTATR_CTL_NNP, 0 },
		/* A binary tree over the numbers: 9 compares, not 400. */
		{ SCMP_FLTATR_CTL_OPTIMIZE, 2 },
	};
	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++) {
		int result = seccomp_attr_set(context->filter,
					      attributes[i].attribute,
					      attributes[i].value);
		if (result < 0)
			return error_errno(error, -result, "filter attribute %d",
					   (int)attributes[i].attribute);
	}
	return 0;
}

/* A rule without conditions makes every other rule of its call superfluous,
 * and libseccomp would refuse some of them as conflicting. */
static int covered(const struct filter_rule *rules, size_t count, size_t at)
{
	if (!rules[at].conditions[0].used)
		return 0;
	for (size_t i = 0; i < count; i++)
		if (i != at && !rules[i].conditions[0].used &&
		    !strcmp(rules[i].call, rules[at].call))
			return 1;
	return 0;
}

static int context_rule(struct context *context, uint32_t action,
			const struct filter_rule *rule, struct error *error)
{
	struct scmp_arg_cmp compares[FILTER_CONDITIONS];
	unsigned count = 0;
	int number = call_number(rule->call);

	if (number < 0)
		return 0;
	for (; count < FILTER_CONDITIONS && rule->conditions[count].used; count++) {
		const struct filter_condition *from = &rule->conditions[count];
		int equal = from->used == FILTER_EQUAL;
		if (from->argument > 5 || (equal && from->value & ~from->mask))
			return error_set(error, EINVAL,
					 "filter: %s: condition %u can't hold",
					 rule->call, count);
		compares[count] = (struct scmp_arg_cmp){
			.arg = from->argument,
			.op = equal ? SCMP_CMP_MASKED_EQ : SCMP_CMP_NE,
			.datum_a = equal ? from->mask : from->value,
			.datum_b = equal ? from->value : 0,
		};
	}
	int result = seccomp_rule_add_exact_array(context->filter, action, number,
						  count, compares);
	if (result < 0 && result != -EEXIST)
		return error_errno(error, -result, "filter: %s", rule->call);
	return 0;
}

static int listed(const struct filter_rule *rules, size_t count, const char *call)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(rules[i].call, call))
			return 1;
	return 0;
}

/* What the check in front says of a number by itself. */
enum verdict {
	VERDICT_UNKNOWN,	/* libseccomp lacks it */
	VERDICT_ALLOWED,	/* listed, whatever its arguments */
	VERDICT_BODY,		/* the body decides */
};

/* Neighbouring numbers of one verdict, up to the next run's first. */
struct run {
	uint32_t first;
	enum verdict verdict;
};

static void find_verdicts(enum verdict verdicts[NUMBERS],
			  const struct filter_rule *rules, size_t count)
{
	for (int number = 0; number < NUMBERS; number++) {
		OWN_MEMORY char *name = seccomp_syscall_resolve_num_arch(
			seccomp_arch_native(), number);
		verdicts[number] = name ? VERDICT_BODY : VERDICT_UNKNOWN;
	}
	for (size_t i = 0; i < count; i++) {
		int number = call_number(rules[i].call);
		if (!rules[i].conditions[0].used && number >= 0 && number < NUMBERS)
			verdicts[number] = VERDICT_ALLOWED;
	}
}

/* The last run goes on to the highest number there is. */
static size_t find_runs(struct run runs[NUMBERS], const struct filter_rule *rules,
			size_t rule_count)
{
	enum verdict verdicts[NUMBERS];
	size_t count = 0;

	find_verdicts(verdicts, rules, rule_count);
	for (uint32_t number = 0; number < NUMBERS; number++)
		if (!count || runs[count - 1].verdict != verdicts[number])
			runs[count++] = (struct run){ number, verdicts[number] };
	return count;
}

#define LOAD(field) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define JUMP(how, value, yes, no) \
	BPF_JUMP(BPF_JMP | BPF_##how | BPF_K, (value), (yes), (no))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))
#define X32_BIT 0x40000000U

struct lead {
	struct sock_filter code[LEAD_MAX];
	size_t length;
	size_t answers[3];	/* where a verdict is answered; VERDICT_BODY: the end */
};

static void put(struct lead *lead, struct sock_filter instruction)
{
	lead->code[lead->length++] = instruction;
}

/* The offset that a jump written at `from` needs to get to `to`. */
static uint8_t over(size_t from, size_t to)
{
	return (uint8_t)(to - from - 1);
}

/* A tree over the runs, one compare between two of them: the halves stand behind
 * it, a half of one run is answered at once. */
static void put_runs(struct lead *lead, const struct run *runs, size_t count)
{
	const size_t left = count / 2, node = lead->length;

	put(lead, (struct sock_filter)JUMP(JGE, runs[left].first, 0, 0));
	if (left > 1)
		put_runs(lead, runs, left);
	else
		lead->code[node].jf = over(node, lead->answers[runs->verdict]);
	if (count - left > 1) {
		lead->code[node].jt = over(node, lead->length);
		put_runs(lead, runs + left, count - left);
	} else {
		lead->code[node].jt = over(node, lead->answers[runs[left].verdict]);
	}
}

/*
 * The check in front.  Jumps of BPF are relative and only go forward, so that
 * the body can stand behind it unchanged.  Foreign ABIs go straight to the
 * body, which kills.  Most calls are decided here: one compare a run of numbers
 * and not one a number, because the kernel converts and compiles the program
 * anew at every launch.
 */
static int lead_write(struct lead *lead, const struct filter_rule *rules,
		      size_t count, struct error *error)
{
	struct run runs[NUMBERS];

	size_t run_count = find_runs(runs, rules, count);
	if (run_count < 2 || run_count > RUNS_MAX ||
	    runs[run_count - 1].verdict != VERDICT_UNKNOWN)
		return error_set(error, E2BIG, "filter: the numbers of this ABI's "
				 "calls are not as expected");
	const size_t first = 4, end = first + run_count - 1;
	lead->answers[VERDICT_UNKNOWN] = end;
	lead->answers[VERDICT_ALLOWED] = end + 1;
	lead->answers[VERDICT_BODY] = end + 2;
	put(lead, (struct sock_filter)LOAD(arch));
	put(lead, (struct sock_filter)JUMP(JEQ, seccomp_arch_native(), 0,
					   over(1, end + 2)));
	put(lead, (struct sock_filter)LOAD(nr));
	/* x32 calls come with the arch of x86-64 and this bit. */
	put(lead, (struct sock_filter)JUMP(JSET, X32_BIT, over(3, end + 2), 0));
	put_runs(lead, runs, run_count);
	put(lead, (struct sock_filter)RETURN(SECCOMP_RET_ERRNO | ENOSYS));
	put(lead, (struct sock_filter)RETURN(SECCOMP_RET_ALLOW));
	return 0;
}

static int read_all(int fd, void *to, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t got = pread(fd, (char *)to + done, length - done,
				    (off_t)done);
		if (got < 0)
			return -errno;
		if (got == 0)
			return -EIO;
		done += (size_t)got;
	}
	return 0;
}

/* libseccomp 2.5 exports to a descriptor only; export to memory came in 2.6. */
static int context_export(struct context *context,
			  const struct sock_filter *lead, size_t lead_length,
			  struct filter_program *ret_program, struct error *error)
{
	OWN_FD fd = memfd_create("filter", MFD_CLOEXEC);
	if (fd < 0)
		return error_errno(error, errno, "filter: memfd_create");
	int result = seccomp_export_bpf(context->filter, fd);
	if (result < 0)
		return error_errno(error, -result, "filter: export");
	off_t bytes = lseek(fd, 0, SEEK_END);
	if (bytes < 0)
		return error_errno(error, errno, "filter: export");
	size_t length = (size_t)bytes / sizeof(struct sock_filter);
	if (length == 0 || (size_t)bytes % sizeof(struct sock_filter))
		return error_set(error, EIO, "filter: export: broken program");
	if (lead_length + length > BPF_MAXINSNS)
		return error_set(error, E2BIG, "filter: %zu instructions, the "
				 "kernel takes %d", lead_length + length, BPF_MAXINSNS);
	struct sock_filter *code = calloc(lead_length + length, sizeof(*code));
	if (!code)
		return error_errno(error, ENOMEM, "filter");
	if (lead_length)
		memcpy(code, lead, lead_length * sizeof(*code));
	result = read_all(fd, code + lead_length, (size_t)bytes);
	if (result < 0) {
		free(code);
		return error_errno(error, -result, "filter: read back");
	}
	ret_program->code = code;
	ret_program->length = lead_length + length;
	return 0;
}

static int compile_allow(const struct filter_rule *rules, size_t count,
			 struct filter_program *ret_program, struct error *error)
{
	OWN_CONTEXT context = { 0 };
	struct lead lead = { 0 };

	int result = context_make(&context, SCMP_ACT_ERRNO(EPERM), error);
	for (size_t i = 0; i < count && !result; i++)
		/* Those without conditions stand in front. */
		if (rules[i].conditions[0].used && !covered(rules, count, i))
			result = context_rule(&context, SCMP_ACT_ALLOW, &rules[i],
					      error);
	for (size_t i = 0; i < sizeof(absent) / sizeof(*absent) && !result; i++) {
		const struct filter_rule rule = { .call = absent[i] };
		if (!listed(rules, count, absent[i]))
			result = context_rule(&context, SCMP_ACT_ERRNO(ENOSYS),
					      &rule, error);
	}
	if (!result)
		result = lead_write(&lead, rules, count, error);
	if (!result)
		result = context_export(&context, lead.code, lead.length,
					ret_program, error);
	return result;
}

static int compile_refuse(const struct filter_rule *rules, size_t count,
			  struct filter_program *ret_program,
			  struct error *error)
{
	OWN_CONTEXT context = { 0 };

	int result = context_make(&context, SCMP_ACT_ALLOW, error);
	for (size_t i = 0; i < count && !result; i++) {
		uint32_t answer = rules[i].error == FILTER_DONE ?
					  0 : (uint32_t)rules[i].error;
		if (rules[i].error <= 0 && rules[i].error != FILTER_DONE)
			return error_set(error, EINVAL,
					 "filter: %s: a refusal needs an errno",
					 rules[i].call);
		if (!covered(rules, count, i))
			result = context_rule(&context, SCMP_ACT_ERRNO(answer),
					      &rules[i], error);
	}
	if (!result)
		result = context_export(&context, NULL, 0, ret_program, error);
	return result;
}

int filter_compile(const struct filter_rule *allow, size_t allow_count,
		   const struct filter_rule *refuse, size_t refuse_count,
		   struct filter *ret_filter, struct error *error)
{
	struct filter made = { 0 };

	int result = compile_allow(allow, allow_count, &made.allow, error);
	if (!result && refuse_count)
		result = compile_refuse(refuse, refuse_count, &made.refuse, error);
	if (result < 0) {
		filter_release(&made);
		return result;
	}
	*ret_filter = made;
	return 0;
}

static int program_load(const struct filter_program *program)
{
	const struct sock_fprog loaded = {
		.len = (unsigned short)program->length,
		.filter = program->code,
	};

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &loaded) < 0)
		return -errno;
	return 0;
}

int filter_load(const struct filter *filter)
{
	/* An empty allow-list program would be no filter at all. */
	if (!filter->allow.length)
		return -EINVAL;
	/* The allow-list last: it may not list seccomp(2). */
	if (filter->refuse.length) {
		int result = program_load(&filter->refuse);
		if (result < 0)
			return result;
	}
	return program_load(&filter->allow);
}

int filter_refuse(const struct filter_rule *refuse, size_t refuse_count,
		  struct error *error)
{
	struct filter made = { 0 };

	int result = compile_refuse(refuse, refuse_count, &made.refuse, error);
	if (!result && program_load(&made.refuse) < 0)
		result = error_errno(error, errno, "filter");
	filter_release(&made);
	return result;
}

void filter_release(struct filter *filter)
{
	free(filter->allow.code);
	free(filter->refuse.code);
	*filter = (struct filter){ 0 };
}
