/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's side for recorder.probe.c: a real ring, real maps, and a small
 * program whose runs put records into the ring as the node's own programs do.
 * What those would count is counted here.
 */
#ifndef RECORDER_RING_H
#define RECORDER_RING_H

#include <ambit/kernel.h>

#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define RING_BYTES (1U << 20)

/* What the kernel programs would count of one agent. */
struct counts {
	uint64_t instance, attempts, lost, produced;
};

static int ring = -1, tallies = -1, drained = -1, program = -1;
static struct counts counts[AMBIT_SLOTS];

/* The recorder sees our end of the socket close, and ends. */
static void die(const char *what)
{
	fprintf(stderr, "recorder probe: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void pause_briefly(void)
{
	nanosleep(&(struct timespec){ 0, 200000 }, NULL);
}

static int bpf_call(int command, union bpf_attr *attributes)
{
	return (int)syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

static int make_map(uint32_t type, uint32_t key, uint32_t value, uint32_t entries,
		    uint32_t flags)
{
	union bpf_attr attributes = { .map_type = type, .key_size = key,
				      .value_size = value, .max_entries = entries,
				      .map_flags = flags };
	int fd = bpf_call(BPF_MAP_CREATE, &attributes);

	if (fd < 0)
		die("map");
	return fd;
}

/* Packet in: a record and the flags; the record goes into the ring. */
static void make_program(void)
{
#define INSN(c, d, s, o, i) { .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) }
	struct bpf_insn code[] = {
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 3, 10, 0, 0),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, 3, 0, 0, -248),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 4, 0, 0, 248),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_skb_load_bytes),
		INSN(BPF_JMP | BPF_JNE | BPF_K, 0, 0, 7, 0),
		INSN(BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, ring),
		INSN(0, 0, 0, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -248),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, 240),
		INSN(BPF_LDX | BPF_MEM | BPF_DW, 4, 10, -8, 0),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ringbuf_output),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	static char log[4096];
	/* The failed load jumps over the map: to the exit. */
	union bpf_attr attributes = {
		.prog_type = BPF_PROG_TYPE_SCHED_CLS,
		.insns = (uintptr_t)code,
		.insn_cnt = sizeof(code) / sizeof(*code),
		.license = (uintptr_t)"GPL",
		.log_buf = (uintptr_t)log, .log_size = sizeof(log), .log_level = 1,
	};
	program = bpf_call(BPF_PROG_LOAD, &attributes);
	if (program < 0) {
		fputs(log, stderr);
		die("program");
	}
}

static void make_maps(void)
{
	ring = make_map(BPF_MAP_TYPE_RINGBUF, 0, 0, RING_BYTES, 0);
	tallies = make_map(BPF_MAP_TYPE_ARRAY, 4, sizeof(struct ambit_tally),
			   AMBIT_SLOTS, BPF_F_MMAPABLE);
	drained = make_map(BPF_MAP_TYPE_ARRAY, 4, sizeof(struct ambit_drained),
			   AMBIT_SLOTS, BPF_F_MMAPABLE);
	make_program();
}

/* 0 or -EAGAIN: the ring is full. */
static int emit(const struct ambit_record *record, uint64_t flags)
{
	static uint8_t packet[248];
	union bpf_attr attributes = {
		.test = { .prog_fd = (uint32_t)program,
			  .data_in = (uintptr_t)packet,
			  .data_size_in = sizeof(packet), .repeat = 1 },
	};

	memcpy(packet, record, sizeof(*record));
	memcpy(packet + sizeof(*record), &flags, sizeof(flags));
	if (bpf_call(BPF_PROG_TEST_RUN, &attributes) < 0)
		die("run");
	return (int32_t)attributes.test.retval;
}

static uint64_t boot_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t drained_records(uint32_t slot)
{
	struct ambit_drained value;
	union bpf_attr attributes = { .map_fd = (uint32_t)drained,
				      .key = (uintptr_t)&slot,
				      .value = (uintptr_t)&value };

	if (bpf_call(BPF_MAP_LOOKUP_ELEM, &attributes) < 0)
		die("lookup");
	return value.records;
}

/* One attempt as the kernel programs make it, waiting for the credit and for
 * room instead of refusing. */
static void attempt(uint32_t slot, int verdict)
{
	struct counts *count = &counts[slot];
	struct ambit_record record = {
		.instance = count->instance, .kseq = ++count->attempts,
		.lost = count->lost, .ktime_ns = boot_ns(), .cgroup_id = 77,
		.socket_cookie = count->attempts, .slot = slot, .pid = 4711,
		.uid = 1000, .rule = verdict ? 0 : AMBIT_NO_RULE, .port = 443,
		.attempt = AMBIT_ATTEMPT_CONNECT, .verdict = (uint8_t)verdict,
		.reason = verdict ? AMBIT_REASON_RULE : AMBIT_REASON_NO_RULE,
		.protocol = 6, .family = 2,
		.address = { [10] = 0xff, 0xff, 203, 0, 113, 7 },
		.comm = "probe\nx",
	};

	while ((int64_t)(count->produced - drained_records(slot)) >=
	       (int64_t)AMBIT_RING_CREDIT)
		pause_briefly();
	while (emit(&record, verdict ? 0 : BPF_RB_FORCE_WAKEUP) != 0)
		pause_briefly();
	count->produced++;
}

#endif
