/* SPDX-License-Identifier: Apache-2.0 */
/* The groups of tests of the kernel programs, each with an agent of its own. */
#ifndef KERNEL_DRIVER_H
#define KERNEL_DRIVER_H

#include "kernel_node.h"

#define TCP_PORT 7001	/* open outside */
#define UDP_PORT 7002

struct outside {
	int tcp, udp;
};

void test_ways(struct outside *outside);	/* kernel_ways.c */
void test_addresses(struct outside *outside);
void test_sockets(struct outside *outside);
void test_unix(struct outside *outside);	/* kernel_unix.c */
void test_inbound(struct outside *outside);	/* kernel_flows.c */
void test_flows(struct outside *outside);
void test_datagrams(struct outside *outside);
void test_accounts(struct outside *outside);
void test_tls(struct outside *outside);	/* kernel_tls.c */
int hold_tls(void);	/* bounds real clients, for tls.t */
int cost_tls(void);	/* a pinned connection against one that is not */
void test_wall(struct outside *outside);	/* kernel_driver.c */
void test_pins(struct outside *outside);
int test_cost(struct outside *outside);	/* kernel_cost.c */

/* One attempt of which exactly one record must tell. */
struct expected {
	int result;		/* >= 0: any such; else exactly this */
	int kind, verdict, reason, rule;
	const char *address;	/* NULL: not looked at */
	int port;
};
void judged(struct bounded *bounded, int result, const struct expected *expected,
	    const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
