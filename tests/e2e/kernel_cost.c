/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel programs cost, on loopback: the same deeds by the same kind of
 * process, bounded and not. */
#include "kernel_driver.h"
#include "warden/admitted.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 9

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* Deeds that return nanoseconds per operation. */
static int cost_connect(const struct place *place, int count)
{
	int64_t start = now();

	for (int i = 0; i < count; i++)
		if (do_tcp(place, 0) < 0)
			return -errno;
	return (int)((now() - start) / count);
}

static int cost_udp_connect(const struct place *place, int count)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int64_t start = now();

	for (int i = 0; i < count; i++)
		connect(fd, (const struct sockaddr *)&place->address,
			place->length);
	int result = (int)((now() - start) / count);
	close(fd);
	return result;
}

static int cost_udp_send(const struct place *place, int count)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int64_t start = now();

	for (int i = 0; i < count; i++)
		sendto(fd, "x", 1, 0, (const struct sockaddr *)&place->address,
		       place->length);
	int result = (int)((now() - start) / count);
	close(fd);
	return result;
}

/* One byte at a time there and back. */
static int cost_tcp_turn(const struct place *place, int count)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char byte = 0;

	if (connect(fd, (const struct sockaddr *)&place->address,
		    place->length) < 0)
		return -errno;
	int64_t start = now();
	for (int i = 0; i < count; i++)
		if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
			return -EIO;
	int result = (int)((now() - start) / count);
	close(fd);
	return result;
}

static int cost_tcp_bulk(const struct place *place, int count)
{
	static char bytes[65536];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (const struct sockaddr *)&place->address,
		    place->length) < 0)
		return -errno;
	int64_t start = now();
	for (int i = 0; i < count; i++)
		if (write(fd, bytes, sizeof(bytes)) < 0)
			return -errno;
	int result = (int)((now() - start) / count);
	close(fd);
	return result;
}

static const struct {
	const char *name;
	deed what;
	int port, count;
} costs[] = {
	{ "TCP socket, connect, close", cost_connect, TCP_PORT, 200 },
	{ "UDP connect, known peer", cost_udp_connect, UDP_PORT, 20000 },
	{ "UDP sendto, known peer", cost_udp_send, UDP_PORT, 20000 },
	{ "TCP, one byte there and back", cost_tcp_turn, TCP_PORT + 10, 5000 },
	{ "TCP, write of 64 KiB", cost_tcp_bulk, TCP_PORT + 11, 5000 },
};

/* The other ends, in a process of their own: 10 echoes, 11 swallows. */
static int serve_peers(const struct place *place, int unused)
{
	int echo = outside_listen(TCP_PORT + 10);
	int swallow = outside_listen(TCP_PORT + 11);
	static char bytes[1 << 20];

	(void)place;
	(void)unused;
	for (int which = 0; which < 2; which++)
		for (int i = 0; i < 2 * ROUNDS + 2; i++) {
			int fd = accept(which ? swallow : echo, NULL, NULL);
			ssize_t length;
			while ((length = read(fd, bytes, sizeof(bytes))) > 0)
				if (!which && write(fd, bytes, (size_t)length) < 0)
					break;
			close(fd);
		}
	return 0;
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void empty_backlog(struct outside *outside)
{
	while (outside_ready(outside->tcp, 1, 0))
		close(outside_accept(outside->tcp));
}

static void cost_attach(void)
{
	int64_t attach = 0, policy = 0, detach = 0;
	struct error error = { 0 };

	for (int i = 0; i < 100; i++) {
		struct bounded bounded;
		bounded_make(&bounded, "attach", 3);
		int64_t a = now();
		must(kernel_attach(node.kernel, bounded.cgroup, bounded.id,
				   &bounded.policy, &error), &error);
		int64_t b = now();
		bounded_apply(&bounded);
		int64_t c = now();
		must(kernel_verify(node.kernel, bounded.cgroup, bounded.id,
				   bounded.policy.instance, &error), &error);
		int64_t d = now();
		bounded_end(&bounded);
		attach += b - a;
		policy += c - b;
		detach += d - c;
	}
	printf("attach with policy %.1f us, new policy %.1f us, verify %.1f us\n",
	       (double)attach / 1e5, (double)policy / 1e5, (double)detach / 1e5);
}

static void cost_admission(void)
{
	const uint16_t entry = 1;
	uint8_t address[16] = { 0x20, 0x01, 0x0d, 0xb8 };
	uint64_t later = (uint64_t)now() + 3600ULL * 1000000000;
	int64_t start = now();

	for (int i = 0; i < 1000; i++) {
		address[14] = (uint8_t)(i >> 8);
		address[15] = (uint8_t)i;
		must(admitted_add(node.kernel, 77, address, &entry, 1, later,
				  (uint64_t)start) != 1, NULL);
	}
	printf("admit an address %.1f µs\n", (double)(now() - start) / 1e6);
	for (int i = 0; i < 1000; i++) {
		address[14] = (uint8_t)(i >> 8);
		address[15] = (uint8_t)i;
		admitted_remove(node.kernel, 77, address);
	}
}

/* All ends on one CPU: waking another costs many times what is measured, and never
 * the same. */
static void stay(void)
{
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	must(sched_setaffinity(0, sizeof(first), &first) < 0, NULL);
}

int test_cost(struct outside *outside)
{
	struct error error = { 0 };
	struct bounded bounded;

	stay();
	int64_t start = now();
	node_open();
	printf("load and pin %.1f ms\n", (double)(now() - start) / 1e6);
	must(kernel_wall(node.kernel, node.parent, &error), &error);
	cost_attach();
	cost_admission();
	bounded_start(&bounded, "cost", 3);
	policy_allow(&bounded, "203.0.113.5", 32, IPPROTO_TCP, 1, 65535);
	policy_allow(&bounded, "203.0.113.5", 32, IPPROTO_UDP, 1, 65535);
	bounded_apply(&bounded);
	char plain_path[512];
	snprintf(plain_path, sizeof(plain_path), "%s/..", node.parent_path);
	int plain = open(plain_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(plain < 0, NULL);
	struct agent free_agent = agent_start(plain), peers = agent_start(plain);
	struct place nowhere = { .length = 0 };
	if (fork() == 0) {
		agent_do(&peers, serve_peers, &nowhere, 0);
		_exit(0);
	}
	for (size_t i = 0; i < sizeof(costs) / sizeof(*costs); i++) {
		struct place to = place_at("203.0.113.5", costs[i].port);
		int with[ROUNDS], without[ROUNDS];
		for (int round = -1; round < ROUNDS; round++) {
			int at = round < 0 ? 0 : round;
			empty_backlog(outside);
			without[at] = agent_do(&free_agent, costs[i].what, &to,
					       costs[i].count);
			empty_backlog(outside);
			with[at] = agent_do(&bounded.agent, costs[i].what, &to,
					    costs[i].count);
			records_read();
		}
		qsort(with, ROUNDS, sizeof(int), compare);
		qsort(without, ROUNDS, sizeof(int), compare);
		printf("%-32s %8d ns without, %8d ns with: %+d ns\n",
		       costs[i].name, without[ROUNDS / 2], with[ROUNDS / 2],
		       with[ROUNDS / 2] - without[ROUNDS / 2]);
	}
	cost_tls();
	kill(peers.pid, 9);
	agent_end(&peers);
	agent_end(&free_agent);
	bounded_end(&bounded);
	must(kernel_unpin(node.kernel, &error), &error);
	kernel_close(node.kernel);
	return 0;
}
