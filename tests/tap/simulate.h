/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classic BPF as the kernel would run it for seccomp(2): what a filter answers to
 * a call, without making the call.  For unit tests.
 */
#ifndef SIMULATE_H
#define SIMULATE_H

#include "base/filter.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#define FOREIGN AUDIT_ARCH_I386
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#define FOREIGN AUDIT_ARCH_ARM
#endif

#define BROKEN 0xdeadU

/* The number of a call here, negative if there is none; and back (the caller
 * frees). */
static inline int filter_number(const char *call)
{
	return seccomp_syscall_resolve_name_arch(seccomp_arch_native(), call);
}

static inline char *filter_name(int number)
{
	return seccomp_syscall_resolve_num_arch(seccomp_arch_native(), number);
}

static inline uint32_t jump_taken(const struct sock_filter *at, uint32_t a)
{
	switch (BPF_OP(at->code)) {
	case BPF_JA:
		return at->k;
	case BPF_JEQ:
		return a == at->k ? at->jt : at->jf;
	case BPF_JGT:
		return a > at->k ? at->jt : at->jf;
	case BPF_JGE:
		return a >= at->k ? at->jt : at->jf;
	case BPF_JSET:
		return a & at->k ? at->jt : at->jf;
	}
	return UINT32_MAX;
}

/* What the kernel would answer: the subset of BPF that seccomp(2) accepts and
 * libseccomp writes.  Anything else is BROKEN. */
static inline uint32_t simulate(const struct filter_program *program,
			 const struct seccomp_data *data)
{
	uint32_t a = 0, word, memory[BPF_MEMWORDS] = { 0 };

	for (size_t pc = 0; pc < program->length; pc++) {
		const struct sock_filter *at = &program->code[pc];
		switch (BPF_CLASS(at->code)) {
		case BPF_LD:
			if (BPF_MODE(at->code) == BPF_MEM) {
				a = memory[at->k % BPF_MEMWORDS];
				break;
			}
			if (at->code != (BPF_LD | BPF_W | BPF_ABS) || at->k % 4 ||
			    at->k >= sizeof(*data))
				return BROKEN;
			memcpy(&word, (const char *)data + at->k, sizeof(word));
			a = word;
			break;
		case BPF_ST:
			memory[at->k % BPF_MEMWORDS] = a;
			break;
		case BPF_ALU:
			if (at->code != (BPF_ALU | BPF_AND | BPF_K))
				return BROKEN;
			a &= at->k;
			break;
		case BPF_JMP:
			pc += jump_taken(at, a);
			break;
		case BPF_RET:
			return at->code == (BPF_RET | BPF_K) ? at->k : BROKEN;
		default:
			return BROKEN;
		}
	}
	return BROKEN;
}

/* Both programs, newest first: the kernel keeps the first of the strictest. */
static inline uint32_t judge(const struct filter *filter, uint32_t arch, int number,
		      const uint64_t arguments[6])
{
	struct seccomp_data data = { .nr = number, .arch = arch };

	memcpy(data.args, arguments, sizeof(data.args));
	uint32_t allow = simulate(&filter->allow, &data);
	uint32_t refuse = filter->refuse.length ?
				  simulate(&filter->refuse, &data) :
				  SECCOMP_RET_ALLOW;
	return (int32_t)(refuse & SECCOMP_RET_ACTION_FULL) <
			       (int32_t)(allow & SECCOMP_RET_ACTION_FULL) ?
		       refuse :
		       allow;
}

#endif
