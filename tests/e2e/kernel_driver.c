/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel programs with nothing but their loader: kernel.t runs this in
 * namespaces of its own.  Arguments: a directory on a bpffs, an empty cgroup, and
 * "test", "cost" or "tls".
 */
#include "kernel_driver.h"
#include "tap.h"
#include "warden/prove.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVER "203.0.113.5"
#define UDP IPPROTO_UDP
#define TCP IPPROTO_TCP

/* ---- taking over ---- */

/* The first warden: sets all up and waits for its end. */
static void first_warden(struct bounded *agent, int ready)
{
	struct error error = { 0 };

	node_open();
	if (kernel_attach(node.kernel, agent->cgroup, agent->id, &agent->policy,
			  &error) == 0)
		_exit(3);	/* before the wall */
	error.code = 0;
	must(kernel_wall(node.kernel, node.parent, &error), &error);
	must(kernel_attach(node.kernel, agent->cgroup, agent->id, &agent->policy,
			   &error), &error);
	if (write(ready, "", 1) != 1)
		_exit(4);
	pause();
	_exit(5);
}

/* Everything is set up by a process that is then killed. */
static void test_adoption(void)
{
	struct error error = { 0 };
	struct bounded agent;
	int ready[2], status;
	char byte;

	bounded_make(&agent, "adopted", 4);
	policy_allow(&agent, SERVER, 32, TCP, TCP_PORT, TCP_PORT);
	must(pipe2(ready, O_CLOEXEC), NULL);
	pid_t warden = fork();
	if (warden == 0)
		first_warden(&agent, ready[1]);
	close(ready[1]);
	ok(read(ready[0], &byte, 1) == 1, "a first warden loads, pins, attaches");
	kill(warden, SIGKILL);
	waitpid(warden, &status, 0);
	ok(WIFSIGNALED(status), "it is killed");
	agent.agent = agent_start(agent.cgroup);
	is_int(bounded_do(&agent, do_tcp, SERVER, TCP_PORT + 1, 0), -EPERM,
	       "no warden: what is not allowed is refused");
	is_int(bounded_do(&agent, do_tcp, SERVER, TCP_PORT, 0), 0,
	       "no warden: what is allowed goes on");
	is_int(bounded_do(&agent, do_udp_sendto, SERVER, UDP_PORT, 0), -EPERM,
	       "no warden: a datagram is refused");
	node_open();
	must(kernel_wall(node.kernel, node.parent, &error), &error);
	is_int(kernel_verify(node.kernel, agent.cgroup, agent.id,
			     agent.policy.instance, &error), 0,
	       "a second warden finds everything attached");
	ok(records_read() == 3 && records[0].kseq == 1 &&
	   records[0].verdict == AMBIT_DENIED && records[1].kseq == 2 &&
	   records[1].verdict == AMBIT_ALLOWED && records[2].kseq == 3,
	   "and the records of the time between");
	must(kernel_attach(node.kernel, agent.cgroup, agent.id, &agent.policy,
			   &error), &error);
	is_int((long long)bounded_tally(&agent).attempts, 3,
	       "attaching the same agent again keeps its numbers");
	agent.policy.rule_count = 0;
	bounded_apply(&agent);
	is_int(bounded_do(&agent, do_tcp, SERVER, TCP_PORT, 0), -EPERM,
	       "the second warden changes the rules");
	ok(kernel_policy(node.kernel, agent.id, &agent.policy, &error) < 0,
	   "rules of the same generation are not taken");
	error.code = 0;
	ok(kernel_verify(node.kernel, agent.cgroup, agent.id, 1, &error) < 0,
	   "verify: another instance is noticed");
	bounded_end(&agent);
	records_read();
}

/* ---- pins ---- */

static void cycle(const char *name, int wanted)
{
	struct error error = { 0 };
	struct kernel *kernel = NULL;

	is_int(kernel_open(node.pins, &kernel, &error), wanted, "%s", name);
	if (error.code)
		diag("%s", error.text);
	kernel_close(kernel);
}

void test_pins(struct outside *outside)
{
	char pin[256], aside[256], control[256];
	struct ambit_control value = { 1, AMBIT_KERNEL_VERSION + 1 };
	struct error error = { 0 };
	uint32_t zero = 0;

	(void)outside;
	snprintf(pin, sizeof(pin), "%s/programs/wall_egress", node.pins);
	snprintf(aside, sizeof(aside), "%s/aside", node.pins);
	snprintf(control, sizeof(control), "%s/maps/control", node.pins);
	must(rename(pin, aside), NULL);
	cycle("a pinned set that is not whole is refused", -ESTALE);
	must(rename(aside, pin), NULL);
	int map = bpf_obj_get(control);
	must(bpf_map_update_elem(map, &zero, &value, 0), NULL);
	cycle("a pinned set of another version is refused", -ESTALE);
	value.version = AMBIT_KERNEL_VERSION;
	must(bpf_map_update_elem(map, &zero, &value, 0), NULL);
	cycle("the whole set is taken over", 0);
	must(kernel_unpin(node.kernel, &error), &error);
	snprintf(pin, sizeof(pin), "%s/maps", node.pins);
	ok(access(pin, F_OK) < 0, "unpinned: nothing is left");
	node_open();
	must(kernel_wall(node.kernel, node.parent, &error), &error);
	/* As if it had died before all was pinned. */
	close(map);
	map = bpf_obj_get(control);
	value.version = 0;
	must(bpf_map_update_elem(map, &zero, &value, 0), NULL);
	kernel_close(node.kernel);
	node_open();
	must(kernel_wall(node.kernel, node.parent, &error), &error);
	close(map);
	struct bounded agent;
	bounded_start(&agent, "again", 4);
	policy_allow(&agent, SERVER, 32, UDP, UDP_PORT, UDP_PORT);
	bounded_apply(&agent);
	is_int(bounded_do(&agent, do_udp_sendto, SERVER, UDP_PORT, 0), 1,
	       "loaded anew, the wall of the old set is replaced");
	bounded_end(&agent);
	is_int(kernel_open("/tmp", &(struct kernel *){ NULL }, &error), -EINVAL,
	       "a directory that is not on a bpffs is refused");
}

/* ---- the wall ---- */

#define UNIX_PATH "/proc/self/nowhere"	/* any path will do to be refused */

/* Each hook: an attempt that passes by it, and its number as an attach type. */
static const struct {
	const char *hook;
	int type;
	deed what;
	const char *to;
	int port, number;
	int otherwise;	/* the result with the leaf program */
} walls[] = {
	{ "connect4", BPF_CGROUP_INET4_CONNECT, do_tcp, SERVER, TCP_PORT, 0, 0 },
	{ "connect6", BPF_CGROUP_INET6_CONNECT, do_tcp, "2001:db8::5", TCP_PORT,
	  0, 0 },
	{ "sendmsg4", BPF_CGROUP_UDP4_SENDMSG, do_udp_sendto, SERVER, UDP_PORT,
	  0, 1 },
	{ "sendmsg6", BPF_CGROUP_UDP6_SENDMSG, do_udp_sendto, "2001:db8::5",
	  UDP_PORT, 0, 1 },
	{ "bind4", BPF_CGROUP_INET4_BIND, do_bind, "127.0.0.1", 0, SOCK_DGRAM, 0 },
	{ "bind6", BPF_CGROUP_INET6_BIND, do_bind, "::1", 0, SOCK_DGRAM, 0 },
	{ "create", BPF_CGROUP_INET_SOCK_CREATE, do_socket, NULL, 0,
	  WHAT(AF_INET, SOCK_STREAM, 0), 0 },
	{ "option", BPF_CGROUP_SETSOCKOPT, do_option, NULL, 0, OPTION(6, 1), 0 },
	{ "egress", BPF_CGROUP_INET_EGRESS, do_udp_connect_send, SERVER,
	  UDP_PORT, 0, 1 },
	{ "unixconn", 49, do_unix_stream, UNIX_PATH, 0, 0, -ENOENT },
	{ "unixsend", 50, do_unix_datagram, UNIX_PATH, 0, 0, -ENOENT },
};

static void test_wall_hook(struct bounded *agent, size_t i)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/programs/leaf_%s", node.pins,
		 walls[i].hook);
	int program = bpf_obj_get(path);
	if (program < 0) {
		ok(errno == ENOENT && strstr(walls[i].hook, "unix"),
		   "%s # SKIP not on this kernel", walls[i].hook);
		return;
	}
	is_int(bounded_do(agent, walls[i].what, walls[i].to, walls[i].port,
			  walls[i].number), walls[i].otherwise,
	       "%s: passes with its leaf program", walls[i].hook);
	must(bpf_prog_detach2(program, agent->cgroup, walls[i].type), NULL);
	is_int(bounded_do(agent, walls[i].what, walls[i].to, walls[i].port,
			  walls[i].number), -EPERM,
	       "%s: refused by the wall without", walls[i].hook);
	struct error error = { 0 };
	ok(kernel_verify(node.kernel, agent->cgroup, agent->id,
			 agent->policy.instance, &error) < 0,
	   "%s: verify notices", walls[i].hook);
	must(bpf_prog_attach(program, agent->cgroup, walls[i].type,
			     BPF_F_ALLOW_MULTI), NULL);
	close(program);
}

/* Coming in, a packet that is refused shows by its absence and its count. */
static void test_wall_ingress(struct bounded *agent, struct outside *outside)
{
	char path[256], byte;
	struct place from;
	struct ambit_tally before, after;
	struct error error = { 0 };

	must(bounded_do(agent, keep_udp, NULL, 0, 0), NULL);
	must(bounded_do(agent, kept_connect, SERVER, UDP_PORT, 0), NULL);
	while (outside_ready(outside->udp, POLLIN, 0))
		must(read(outside->udp, &byte, 1) < 0, NULL);
	must(bounded_do(agent, kept_send, NULL, 0, 0) != 1, NULL);
	from.length = sizeof(from.address);
	must(recvfrom(outside->udp, &byte, 1, 0,
		      (struct sockaddr *)&from.address, &from.length) != 1, NULL);
	snprintf(path, sizeof(path), "%s/programs/leaf_ingress", node.pins);
	int program = bpf_obj_get(path);
	must(bpf_prog_detach2(program, agent->cgroup, BPF_CGROUP_INET_INGRESS),
	     NULL);
	must(kernel_tally(node.kernel, 0, &before, &error), &error);
	must(sendto(outside->udp, "x", 1, 0, (struct sockaddr *)&from.address,
		    from.length) != 1, NULL);
	must(kernel_tally(node.kernel, 0, &after, &error), &error);
	ok(after.dropped_packets == before.dropped_packets + 1,
	   "ingress: refused by the wall without its leaf program");
	must(bpf_prog_attach(program, agent->cgroup, BPF_CGROUP_INET_INGRESS,
			     BPF_F_ALLOW_MULTI), NULL);
	must(sendto(outside->udp, "xx", 2, 0, (struct sockaddr *)&from.address,
		    from.length) != 2, NULL);
	is_int(bounded_do(agent, kept_receive, NULL, 0, 0), 2,
	       "ingress: passes with it");
	close(program);
}

static void test_child_cgroup(struct bounded *agent)
{
	must(mkdirat(agent->cgroup, "child", 0755), NULL);
	int child = openat(agent->cgroup, "child", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct agent inside = agent_start(child);
	struct place allowed = place_at(SERVER, UDP_PORT);
	struct place refused = place_at(SERVER, UDP_PORT + 1);

	records_read();
	is_int(agent_do(&inside, do_udp_sendto, &refused, 0), -EPERM,
	       "a child cgroup has its agent's rules: refused");
	is_int(agent_do(&inside, do_udp_sendto, &allowed, 0), 1,
	       "a child cgroup has its agent's rules: allowed");
	ok(records_read() == 2 && records[0].instance == agent->policy.instance &&
	   records[0].cgroup_id != agent->id,
	   "and its records name the agent and the child");
	agent_end(&inside);
	close(child);
	must(unlinkat(agent->cgroup, "child", AT_REMOVEDIR), NULL);
}

void test_wall(struct outside *outside)
{
	struct bounded agent, bare;
	struct ambit_tally before, after;
	struct error error = { 0 };

	bounded_start(&agent, "wall", 13);
	policy_allow(&agent, SERVER, 32, TCP, TCP_PORT, TCP_PORT);
	policy_allow(&agent, SERVER, 32, UDP, UDP_PORT, UDP_PORT);
	policy_allow(&agent, "2001:db8::5", 128, TCP, TCP_PORT, TCP_PORT);
	policy_allow(&agent, "2001:db8::5", 128, UDP, UDP_PORT, UDP_PORT);
	agent.policy.unix_mode = AMBIT_UNIX_PRIVATE;
	bounded_apply(&agent);
	for (size_t i = 0; i < sizeof(walls) / sizeof(*walls); i++)
		test_wall_hook(&agent, i);
	test_wall_ingress(&agent, outside);
	test_child_cgroup(&agent);
	bounded_end(&agent);
	/* A cgroup that nobody bounded. */
	bounded_make(&bare, "bare", 0);
	bare.agent = agent_start(bare.cgroup);
	must(kernel_tally(node.kernel, 0, &before, &error), &error);
	is_int(bounded_do(&bare, do_tcp, SERVER, TCP_PORT, 0), -EPERM,
	       "a cgroup without leaf programs gets no socket");
	must(kernel_tally(node.kernel, 0, &after, &error), &error);
	ok(after.attempts == before.attempts + 1 && after.lost == before.lost + 1,
	   "and is counted in slot 0");
	bounded_end(&bare);
	records_read();
}

/* ---- proof, main ---- */

static void test_proof(void)
{
	struct prove_place place = { node.parent, "/tmp", 0x7777 };
	struct prove_result result = { 0 };
	struct error error = { 0 };

	is_int(prove_hooks(node.kernel, &place, &result, &error), 0,
	       "the node proves its hooks");
	if (error.code)
		diag("%s", error.text);
	is_int(result.tls, 1, "… and that it pins TLS server names");
	size_t count = records_read();
	int mine = 1;
	for (size_t i = 0; i < count; i++)
		mine = mine && records[i].instance == place.instance &&
		       records[i].slot == 0 && records[i].kseq == i + 1;
	ok(mine && count == result.records &&
	   count == (result.unix_hook ? 11U : 9U), "its %zu records are there",
	   count);
	must(kernel_admit(node.kernel, 0, &error), &error);
	is_int(prove_hooks(node.kernel, &place, &result, &error), 0,
	       "also while it is closed");
	must(kernel_admit(node.kernel, 1, &error), &error);
	/* A proof that can't fail proves nothing. */
	must(kernel_unpin(node.kernel, &error), &error);
	ok(prove_hooks(node.kernel, &place, &result, &error) < 0,
	   "without the wall the proof fails");
	diag("%s", error.text);
	kernel_close(node.kernel);
	node_open();
	error.code = 0;
	must(kernel_wall(node.kernel, node.parent, &error), &error);
	records_read();
}

int main(int argc, char **argv)
{
	struct outside outside;

	if (argc != 4)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	node.pins = argv[1];
	node.parent_path = argv[2];
	node.parent = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(node.parent < 0, NULL);
	if (!strcmp(argv[3], "tls"))
		return hold_tls();
	outside.tcp = outside_listen(TCP_PORT);
	outside.udp = outside_udp(UDP_PORT);
	if (!strcmp(argv[3], "cost"))
		return test_cost(&outside);
	test_adoption();
	test_proof();
	test_ways(&outside);
	test_addresses(&outside);
	test_sockets(&outside);
	test_unix(&outside);
	test_inbound(&outside);
	test_flows(&outside);
	test_datagrams(&outside);
	test_accounts(&outside);
	test_tls(&outside);
	test_wall(&outside);
	test_pins(&outside);
	struct error error = { 0 };
	must(kernel_unpin(node.kernel, &error), &error);
	kernel_close(node.kernel);
	return done_testing();
}
