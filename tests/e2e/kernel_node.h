/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the kernel programs share: the node (kernel side, parent
 * cgroup, record reader) and bounded agents. */
#ifndef KERNEL_NODE_H
#define KERNEL_NODE_H

#include "kernel_agent.h"
#include "warden/kernel.h"

#include <ambit/kernel.h>

struct node {
	struct kernel *kernel;
	const char *pins;
	const char *parent_path;
	int parent;
	int opened;		/* how often: the ring is another each time */
};

extern struct node node;

struct bounded {
	char name[32];
	int cgroup;
	uint64_t id;
	struct ambit_policy policy;
	struct agent agent;
};

/* kernel_open; ends the test when that fails. */
void node_open(void);

/* Ends the test when `failed`. */
void must(int failed, const struct error *error);

/* Makes the cgroup and bounds it by an empty policy, then starts the agent. */
void bounded_start(struct bounded *bounded, const char *name, uint32_t slot);
void bounded_make(struct bounded *bounded, const char *name, uint32_t slot);
void bounded_end(struct bounded *bounded);
int bounded_do(struct bounded *bounded, deed what, const char *to, int port,
	       int number);
struct ambit_tally bounded_tally(const struct bounded *bounded);

/* Change the policy in memory; bounded_apply makes it the kernel's. */
void policy_clear(struct bounded *bounded);
void policy_allow(struct bounded *bounded, const char *block, int bits,
		  int protocol, int low, int high);
void policy_listen(struct bounded *bounded, int port, int protocol,
		   int anywhere);
void policy_unix(struct bounded *bounded, const char *path);
void bounded_apply(struct bounded *bounded);

/* An address as the records have it, from text. */
void address_bytes(const char *text, uint8_t ret_address[16]);

#define RECORDS 65536
extern struct ambit_record records[RECORDS];
extern size_t record_count;

/* Forgets what was read, then reads what is in the ring; counts it as drained. */
size_t records_read(void);
/* Waits until the ring has records (5 s), then reads. */
size_t records_wait(void);

/* Outside: sockets of the test itself, on all addresses, both families. */
int outside_listen(int port);
int outside_udp(int port);
int outside_accept(int listener);
int outside_connect(const char *to, int port);	/* started, not waited for */
int outside_ready(int fd, int events, int milliseconds);

#endif
