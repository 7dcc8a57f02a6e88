/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows over time: what comes in, what a change of the rules does to what is
 * open, which datagrams are recorded, and that numbers, records and losses add
 * up when the ring is full or the node is closed.
 */
#include "kernel_driver.h"
#include "tap.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TCP IPPROTO_TCP
#define UDP IPPROTO_UDP
#define PATIENCE 5000	/* milliseconds */
#define SERVER "203.0.113.5"

static int drops(const struct bounded *agent)
{
	return (int)bounded_tally(agent).dropped_packets;
}

/* Waits until the kernel has dropped more than `before` packets of the agent.
 * Polls: a counter can't be waited for. */
static int more_drops(const struct bounded *agent, int before)
{
	for (int i = 0; i < PATIENCE && drops(agent) <= before; i++)
		poll(NULL, 0, 1);
	return drops(agent) > before;
}

/* ---- inbound ---- */

static void unanswered(struct bounded *agent, const char *to, int port,
		       const char *name)
{
	int before = drops(agent), fd = outside_connect(to, port);

	ok(more_drops(agent, before) && !outside_ready(fd, POLLOUT, 0), "%s",
	   name);
	close(fd);
}

static void test_listed(struct bounded *agent)
{
	is_int(bounded_do(agent, keep_listener, "127.0.0.1", 8001, 0), 0,
	       "the agent listens on a listed port");
	int fd = outside_connect("127.0.0.1", 8001);
	is_int(bounded_do(agent, kept_accept, NULL, 0, 0), 0,
	       "it accepts from loopback");
	ok(outside_ready(fd, POLLOUT, PATIENCE) && write(fd, "x", 1) == 1 &&
	   bounded_do(agent, kept_receive, NULL, 0, 0) == 1 &&
	   bounded_do(agent, kept_send, NULL, 0, 0) == 1 &&
	   outside_ready(fd, POLLIN, PATIENCE), "bytes go both ways");
	agent->policy.state = AMBIT_POLICY_CUT;
	bounded_apply(agent);
	char byte;
	must(read(fd, &byte, 1) != 1, NULL);
	int before = drops(agent);
	bounded_do(agent, kept_send, NULL, 0, 0);
	bounded_do(agent, kept_send, NULL, 0, 0);
	ok(more_drops(agent, before) && !outside_ready(fd, POLLIN, 0),
	   "cut: the accepted connection carries nothing");
	agent->policy.state = AMBIT_POLICY_OPEN;
	bounded_apply(agent);
	ok(outside_ready(fd, POLLIN, PATIENCE), "open again: it arrives");
	close(fd);
	bounded_do(agent, kept_close, NULL, 0, 0);
}

void test_inbound(struct outside *outside)
{
	struct bounded agent;

	(void)outside;
	bounded_start(&agent, "inbound", 9);
	policy_listen(&agent, 8001, TCP, 0);
	policy_listen(&agent, 8002, TCP, 1);
	policy_allow(&agent, SERVER, 32, TCP, TCP_PORT, TCP_PORT);
	bounded_apply(&agent);
	test_listed(&agent);
	is_int(bounded_do(&agent, keep_listener, "0.0.0.0", 8002, 0), 0,
	       "the agent listens on a port listed for anywhere");
	int fd = outside_connect("198.51.100.9", 8002);
	ok(outside_ready(fd, POLLOUT, PATIENCE), "it is answered there");
	close(fd);
	must(bounded_do(&agent, keep_listener, NULL, 0, 0), NULL);
	unanswered(&agent, "127.0.0.1",
		   bounded_do(&agent, kept_port, NULL, 0, 0),
		   "listen without bind: nobody is answered");
	must(bounded_do(&agent, keep_relistener, SERVER, TCP_PORT, 0), NULL);
	unanswered(&agent, "127.0.0.1",
		   bounded_do(&agent, kept_port, NULL, 0, 0),
		   "connect, disconnect, listen: nobody is answered");
	/* A listed loopback port, reached through another address. */
	policy_clear(&agent);
	policy_listen(&agent, 8002, TCP, 0);
	bounded_apply(&agent);
	agent.policy.listens[0].anywhere = 1;
	bounded_apply(&agent);
	must(bounded_do(&agent, keep_listener, "0.0.0.0", 8002, 0), NULL);
	agent.policy.listens[0].anywhere = 0;
	bounded_apply(&agent);
	unanswered(&agent, "198.51.100.9", 8002,
		   "listed for loopback only: others are not answered");
	bounded_end(&agent);
	records_read();
}

/* ---- open flows and changing rules ---- */

/* The next packet must not arrive, and one record must say why. */
static void stopped(struct bounded *agent, int server, int number, int reason,
		    const char *name)
{
	records_read();
	int sent = bounded_do(agent, kept_send, NULL, 0, number);
	size_t count = records_wait();
	int good = count == 1 && records[0].attempt == AMBIT_ATTEMPT_PACKET &&
		   records[0].verdict == AMBIT_DENIED &&
		   records[0].reason == reason && records[0].pid == 0 &&
		   records[0].comm[0] == 0 && records[0].cgroup_id == agent->id;

	if (!ok(good && !outside_ready(server, POLLIN, 0), "%s", name))
		diag("sent %d, %zu records, attempt %d reason %d", sent, count,
		     records[0].attempt, records[0].reason);
}

static void drain_socket(int fd)
{
	char bytes[256];

	while (outside_ready(fd, POLLIN, 0) && read(fd, bytes, sizeof(bytes)) > 0)
		;
}

static void rules_for_server(struct bounded *agent)
{
	policy_clear(agent);
	policy_allow(agent, SERVER, 32, TCP, TCP_PORT, TCP_PORT);
	policy_allow(agent, SERVER, 32, UDP, UDP_PORT, UDP_PORT);
}

/* 0: a TCP connection, 1: a connected datagram socket. */
static void test_flow(struct bounded *agent, int number, int server,
		      const char *word)
{
	char name[128];
	struct expected refused = { -EPERM, AMBIT_ATTEMPT_CONNECT, AMBIT_DENIED,
				    AMBIT_REASON_CUT, AMBIT_NO_RULE, SERVER,
				    number ? UDP_PORT : TCP_PORT };

	ok(bounded_do(agent, kept_send, NULL, 0, number) == 1 &&
	   outside_ready(server, POLLIN, PATIENCE), "%s: open", word);
	drain_socket(server);
	rules_for_server(agent);
	policy_allow(agent, "198.51.100.1", 32, UDP, 1, 1);
	bounded_apply(agent);
	records_read();
	ok(bounded_do(agent, kept_send, NULL, 0, number) == 1 &&
	   outside_ready(server, POLLIN, PATIENCE) && records_read() == 0,
	   "%s: other rules that admit it too: goes on, no new record", word);
	drain_socket(server);
	policy_clear(agent);
	policy_allow(agent, "198.51.100.1", 32, UDP, 1, 1);
	bounded_apply(agent);
	snprintf(name, sizeof(name), "%s: endpoint withdrawn: stops", word);
	stopped(agent, server, number, AMBIT_REASON_NO_RULE, name);
	int before = drops(agent);
	bounded_do(agent, kept_send, NULL, 0, number);
	ok(more_drops(agent, before) && records_read() == 0,
	   "%s: further packets are counted, not recorded", word);
	rules_for_server(agent);
	bounded_apply(agent);
	bounded_do(agent, kept_send, NULL, 0, number);
	ok(outside_ready(server, POLLIN, PATIENCE),
	   "%s: endpoint back: goes on", word);
	drain_socket(server);
	agent->policy.state = AMBIT_POLICY_CUT;
	bounded_apply(agent);
	snprintf(name, sizeof(name), "%s: cut: stops", word);
	stopped(agent, server, number, AMBIT_REASON_CUT, name);
	judged(agent, bounded_do(agent, number ? do_udp_connect_send : do_tcp,
				 SERVER, number ? UDP_PORT : TCP_PORT, 0),
	       &refused, "%s: cut: a new one is refused", word);
	rules_for_server(agent);
	bounded_apply(agent);
}

void test_flows(struct outside *outside)
{
	struct bounded agent;

	bounded_start(&agent, "flows", 10);
	rules_for_server(&agent);
	bounded_apply(&agent);
	must(bounded_do(&agent, keep_tcp, SERVER, TCP_PORT, 0), NULL);
	drain_socket(outside->udp);
	int server = outside_accept(outside->tcp);
	while (outside_ready(outside->tcp, POLLIN, 0)) {
		close(server);	/* of earlier tests; ours is the last */
		server = outside_accept(outside->tcp);
	}
	test_flow(&agent, 0, server, "TCP");
	must(bounded_do(&agent, keep_udp, NULL, 0, 1), NULL);
	must(bounded_do(&agent, kept_connect, SERVER, UDP_PORT, 1), NULL);
	test_flow(&agent, 1, outside->udp, "connected UDP");
	/* Withdrawn for good: a socket that outlives its cgroup's policy. */
	struct error error = { 0 };
	must(kernel_detach(node.kernel, agent.id, &error), &error);
	is_int(bounded_do(&agent, kept_send, NULL, 0, 1), -EPERM,
	       "policy withdrawn: the socket reaches nothing");
	is_int(bounded_do(&agent, do_tcp, SERVER, TCP_PORT, 0), -EPERM,
	       "policy withdrawn: no new connection");
	close(server);
	bounded_end(&agent);
	records_read();
}

/* ---- datagrams ---- */

static size_t sends(struct bounded *agent, int number, int from, int to)
{
	size_t count = 0;

	for (int port = from; port <= to; port++) {
		must(bounded_do(agent, kept_sendto, SERVER, port, number) != 1,
		     NULL);
		count += records_read();
	}
	return count;
}

static void test_remembered(struct bounded *agent)
{
	must(bounded_do(agent, keep_udp, NULL, 0, 0), NULL);
	is_int((long long)sends(agent, 0, 5001, 5004), 4,
	       "four new destinations, four records");
	is_int((long long)sends(agent, 0, 5001, 5004), 0,
	       "the same four again, no record");
	is_int((long long)sends(agent, 0, 5005, 5005), 1, "a fifth, a record");
	is_int((long long)sends(agent, 0, 5001, 5001), 1,
	       "the one it displaced is recorded again");
}

static void test_connected(struct bounded *agent)
{
	struct expected refused = { -EPERM, AMBIT_ATTEMPT_SEND, AMBIT_DENIED,
				    AMBIT_REASON_NO_RULE, AMBIT_NO_RULE, SERVER,
				    6000 };

	must(bounded_do(agent, keep_udp, NULL, 0, 1), NULL);
	must(bounded_do(agent, kept_connect, SERVER, 5001, 1), NULL);
	records_read();
	ok(bounded_do(agent, kept_send_control, NULL, 0, 1) == 1 &&
	   records_read() == 0,
	   "connected, control message: the socket's peer, no new record");
	judged(agent, bounded_do(agent, kept_sendto, SERVER, 6000, 1), &refused,
	       "connected to an allowed one, sendto another: refused");
	is_int(bounded_do(agent, kept_send, NULL, 0, 1), 1,
	       "the connected one still goes");
	records_read();
	is_int(bounded_do(agent, kept_send_threads, NULL, 0, 1), 0,
	       "two threads on one socket: every packet passes the wall");
	records_read();
	/* Now the peer is not admitted any more. */
	policy_clear(agent);
	policy_allow(agent, SERVER, 32, UDP, 5002, 5005);
	bounded_apply(agent);
	refused.port = 5001;
	judged(agent, bounded_do(agent, kept_send_control, NULL, 0, 1), &refused,
	       "connected, control message, peer withdrawn: refused");
	policy_clear(agent);
	policy_allow(agent, SERVER, 32, UDP, 5001, 5005);
	policy_allow(agent, "2001:db8::5", 128, UDP, 5001, 5001);
	bounded_apply(agent);
}

/* As C libraries do for each address of a name, with the port of the service or none. */
static void test_sorting(struct bounded *agent)
{
	struct expected sent = { -EPERM, AMBIT_ATTEMPT_PACKET, AMBIT_DENIED,
				 AMBIT_REASON_NO_RULE, AMBIT_NO_RULE, SERVER,
				 TCP_PORT };
	struct expected refused = { -EPERM, AMBIT_ATTEMPT_CONNECT, AMBIT_DENIED,
				    AMBIT_REASON_NO_RULE, AMBIT_NO_RULE,
				    "198.51.100.9", TCP_PORT };

	policy_allow(agent, SERVER, 32, TCP, TCP_PORT, TCP_PORT + 1);
	bounded_apply(agent);
	must(bounded_do(agent, keep_udp, NULL, 0, 4), NULL);
	records_read();
	ok(bounded_do(agent, kept_connect, SERVER, 0, 4) == 0 &&
	   records_read() == 0, "sorting: no port, of a listed address: no record");
	is_int(bounded_do(agent, kept_send, NULL, 0, 4) < 0, 1,
	       "sorting: and nothing goes there");
	records_read();
	ok(bounded_do(agent, kept_connect, SERVER, 65535, 4) == 0 &&
	   bounded_do(agent, kept_connect, SERVER, 9, 4) == 0 &&
	   records_read() == 0, "sorting: ports of Go and musl: no record");
	sent.port = 9;
	judged(agent, bounded_do(agent, kept_send, NULL, 0, 4), &sent, "sorting: a send to one");
	sent.port = TCP_PORT;
	ok(bounded_do(agent, kept_connect, SERVER, TCP_PORT, 4) == 0 &&
	   records_read() == 0, "sorting: a port listed for TCP: no record");
	judged(agent, bounded_do(agent, kept_send, NULL, 0, 4), &sent,
	       "sorting: what is sent there is refused and recorded");
	int before = drops(agent);
	bounded_do(agent, kept_send, NULL, 0, 4);
	ok(more_drops(agent, before) && records_read() == 0,
	   "sorting: once, and then counted");
	must(bounded_do(agent, kept_connect, SERVER, TCP_PORT + 1, 4), NULL);
	sent.port = TCP_PORT + 1;
	judged(agent, bounded_do(agent, kept_send, NULL, 0, 4), &sent,
	       "sorting: another place, another record");
	sent.kind = AMBIT_ATTEMPT_SEND;
	judged(agent, bounded_do(agent, kept_send_control, NULL, 0, 4), &sent,
	       "sorting: with a control message, too");
	judged(agent, bounded_do(agent, kept_connect, "198.51.100.9", TCP_PORT, 4),
	       &refused, "sorting: an address that no entry leads to is refused");
	refused.address = SERVER;
	refused.port = TCP_PORT + 2;
	judged(agent, bounded_do(agent, kept_connect, SERVER, TCP_PORT + 2, 4),
	       &refused, "sorting: a port that no entry lists, too");
	policy_clear(agent);
	policy_allow(agent, SERVER, 32, UDP, 5001, 5005);
	policy_allow(agent, "2001:db8::5", 128, UDP, 5001, 5001);
	bounded_apply(agent);
}

/* What the hooks took for an allowed destination must look like one. */
static void test_headers(struct bounded *agent)
{
	is_int(bounded_do(agent, do_udp_ip_options, SERVER, 5001, 0), -EPERM,
	       "IPv4 options by control message: dropped");
	ok(records_read() == 2 && records[1].attempt == AMBIT_ATTEMPT_PACKET &&
	   records[1].reason == AMBIT_REASON_ROUTING,
	   "IPv4 options: send recorded, then the packet");
	is_int(bounded_do(agent, do_udp_hop_options, "2001:db8::5", 5001, 0),
	       -EPERM, "IPv6 extension header by control message: dropped");
	ok(records_read() == 2 && records[1].attempt == AMBIT_ATTEMPT_PACKET &&
	   records[1].reason == AMBIT_REASON_ROUTING,
	   "IPv6 extension header: send recorded, then the packet");
}

static void test_server(struct bounded *agent)
{
	struct place to = place_at("::ffff:127.0.0.1", 8003);
	struct expected refused = { -EPERM, AMBIT_ATTEMPT_SEND, AMBIT_DENIED,
				    AMBIT_REASON_NO_RULE, AMBIT_NO_RULE,
				    "127.0.0.1", UDP_PORT };

	policy_listen(agent, 8003, UDP, 0);
	bounded_apply(agent);
	must(bounded_do(agent, keep_udp, "127.0.0.1", 8003, 2), NULL);
	records_read();
	int fd = outside_udp(8103);
	must(sendto(fd, "x", 1, 0, (struct sockaddr *)&to.address,
		    to.length) != 1, NULL);
	ok(bounded_do(agent, kept_receive, NULL, 0, 2) == 1 &&
	   bounded_do(agent, kept_answer, NULL, 0, 2) == 1 &&
	   outside_ready(fd, POLLIN, PATIENCE) && records_read() == 1 &&
	   records[0].verdict == AMBIT_ALLOWED &&
	   records[0].rule == AMBIT_NO_RULE,
	   "a datagram on a listed port may be answered, recorded");
	judged(agent, bounded_do(agent, kept_sendto, "127.0.0.1", UDP_PORT, 2),
	       &refused, "a listed port is no way to send to others");
	close(fd);
	/* On a port that is not listed nothing comes in. */
	must(bounded_do(agent, keep_udp, "0.0.0.0", 0, 3), NULL);
	int before = drops(agent);
	to = place_at("127.0.0.1", bounded_do(agent, kept_port, NULL, 0, 3));
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(sendto(fd, "x", 1, 0, (struct sockaddr *)&to.address,
		    to.length) != 1, NULL);
	ok(more_drops(agent, before),
	   "a datagram on a port that is not listed is dropped");
	close(fd);
}

void test_datagrams(struct outside *outside)
{
	struct bounded agent;

	(void)outside;
	/* Somebody is there, so that no error comes back. */
	int fds[5];
	for (int i = 0; i < 5; i++)
		fds[i] = outside_udp(5001 + i);
	bounded_start(&agent, "datagrams", 11);
	policy_allow(&agent, SERVER, 32, UDP, 5001, 5005);
	bounded_apply(&agent);
	test_remembered(&agent);
	test_connected(&agent);
	test_sorting(&agent);
	test_headers(&agent);
	test_server(&agent);
	bounded_end(&agent);
	for (int i = 0; i < 5; i++)
		close(fds[i]);
	records_read();
}

/* ---- numbers, records, losses ---- */

static void test_closed(struct bounded *agent, int server)
{
	struct error error = { 0 };
	struct ambit_tally before = bounded_tally(agent), after;

	records_read();
	must(kernel_admit(node.kernel, 0, &error), &error);
	is_int(bounded_do(agent, do_tcp, SERVER, TCP_PORT, 0), -EPERM,
	       "closed: an allowed connect is refused");
	is_int(bounded_do(agent, do_udp_sendto, SERVER, UDP_PORT, 0), -EPERM,
	       "closed: an allowed send is refused");
	after = bounded_tally(agent);
	ok(records_read() == 0 && after.attempts == before.attempts + 2 &&
	   after.lost == before.lost + 2, "closed: both are counted as lost");
	ok(bounded_do(agent, kept_send, NULL, 0, 0) == 1 &&
	   outside_ready(server, POLLIN, PATIENCE), "closed: open flows go on");
	must(kernel_admit(node.kernel, 1, &error), &error);
	ok(bounded_do(agent, do_udp_sendto, SERVER, UDP_PORT, 0) == 1 &&
	   records_read() == 1 && records[0].kseq == before.attempts + 3 &&
	   records[0].lost == after.lost,
	   "open again: the record shows the gap and its count");
}

/* The reader stands still: as many records as credit, then refusals. */
static void test_credit(struct bounded *agent)
{
	struct ambit_tally before = bounded_tally(agent), after;
	int tries = AMBIT_RING_CREDIT + 100;

	is_int(bounded_do(agent, do_many, SERVER, UDP_PORT, tries),
	       AMBIT_RING_CREDIT, "%d attempts unread: the rest is refused",
	       AMBIT_RING_CREDIT);
	after = bounded_tally(agent);
	is_int((long long)(after.lost - before.lost), 100,
	       "as many are counted as lost");
	is_int((long long)records_read(), AMBIT_RING_CREDIT, "the rest is read");
	int whole = 1;
	for (size_t i = 0; i < record_count; i++)
		whole = whole && records[i].kseq == before.attempts + 1 + i;
	ok(whole, "their numbers have no gap");
	ok(bounded_do(agent, do_udp_sendto, SERVER, UDP_PORT, 0) == 1 &&
	   records_read() == 1 &&
	   records[0].kseq == before.attempts + (unsigned)tries + 1 &&
	   records[0].lost == after.lost,
	   "read: allowed again, the gap is the lost count");
}

/* More agents than the ring has room for; every one's account must be whole. */
static void test_full_ring(void)
{
	enum { AGENTS = 10 };
	static struct bounded agents[AGENTS];
	uint64_t read[AGENTS] = { 0 }, lost = 0;
	int whole = 1;

	for (int i = 0; i < AGENTS; i++) {
		char name[32];
		snprintf(name, sizeof(name), "full%d", i);
		bounded_start(&agents[i], name, 20 + (uint32_t)i);
		rules_for_server(&agents[i]);
		bounded_apply(&agents[i]);
		bounded_do(&agents[i], do_many, SERVER, UDP_PORT, 4000);
	}
	records_read();
	for (size_t i = 0; i < record_count; i++) {
		uint32_t at = records[i].slot - 20;
		whole = whole && at < AGENTS &&
			records[i].instance == agents[at].policy.instance &&
			records[i].kseq == ++read[at];
	}
	for (int i = 0; i < AGENTS; i++) {
		struct ambit_tally tally = bounded_tally(&agents[i]);
		whole = whole && tally.attempts == 4000 &&
			tally.produced == read[i] &&
			tally.attempts == read[i] + tally.lost;
		lost += tally.lost;
		bounded_end(&agents[i]);
	}
	ok(lost > 0, "ring full: attempts are refused");
	ok(whole, "ring full: for each agent attempts are records and losses");
	diag("a ring of %u bytes held %zu records", AMBIT_RING_BYTES,
	     record_count);
}

/* Tries as fast as it can and is read at once, so that there is always credit.
 * 1 if what was recorded and what was lost make up what was tried, gap by gap. */
static int flood(struct bounded *agent, int port, int tries, uint64_t *ret_read)
{
	struct ambit_tally before = bounded_tally(agent), after;
	uint64_t kseq = before.attempts, lost = before.lost, count = 0;
	int exact = 1;

	for (int i = 0; i < tries; i += 1000) {
		bounded_do(agent, do_many, SERVER, port, 1000);
		records_read();
		for (size_t at = 0; at < record_count; at++) {
			exact = exact && records[at].kseq - kseq - 1 ==
						 records[at].lost - lost;
			kseq = records[at].kseq;
			lost = records[at].lost;
		}
		count += record_count;
	}
	after = bounded_tally(agent);
	*ret_read = count;
	return exact && after.attempts == before.attempts + (unsigned)tries &&
	       after.produced == before.produced + count &&
	       after.lost == before.lost + (unsigned)tries - count;
}

/* Milliseconds of the clock by which the kernel programs go. */
static uint64_t now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_BOOTTIME, &time);
	return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* Of the burst, 1,000 may have been used just before. */
static void paced(struct bounded *agent, int port, int tries, unsigned burst,
		  unsigned second, const char *what)
{
	uint64_t read, start = now_ms();
	int exact = flood(agent, port, tries, &read);
	/* Begun milliseconds, and one record for each CPU. */
	uint64_t most = burst + (now_ms() - start + 1) * second / 1000 + 64;

	if (!ok(read >= burst - 1000 && read <= most,
		"%s as fast as can be: a burst is recorded and what time gives",
		what))
		diag("%llu records, between %u and %llu",
		     (unsigned long long)read, burst - 1000,
		     (unsigned long long)most);
	ok(exact, "%s as fast as can be: the rest is lost, gap by gap", what);
}

static void test_pace(void)
{
	static struct bounded agent, busy;

	bounded_start(&agent, "paced", 14);
	bounded_start(&busy, "busy", 15);
	rules_for_server(&agent);
	bounded_apply(&agent);
	rules_for_server(&busy);
	bounded_apply(&busy);
	records_read();
	paced(&agent, UDP_PORT + 1, 12000, AMBIT_REFUSALS_BURST,
	      AMBIT_REFUSALS_SECOND, "refused");
	is_int(bounded_do(&agent, do_many, SERVER, UDP_PORT, 1000), 1000,
	       "after a flood of refusals what is allowed still is");
	records_read();
	paced(&agent, UDP_PORT, AMBIT_ALLOWED_BURST / 1000 * 1000 + 40000,
	      AMBIT_ALLOWED_BURST,
	      AMBIT_ALLOWED_SECOND, "allowed");
	is_int(bounded_do(&busy, do_many, SERVER, UDP_PORT, 1000), 1000,
	       "another agent has not noticed");
	records_read();
	bounded_end(&busy);
	bounded_end(&agent);
	/* The slot's next agent owes nothing. */
	bounded_start(&agent, "after", 14);
	struct ambit_tally tally = bounded_tally(&agent);
	ok(!tally.paced_ns && !tally.paced_allowed_ns,
	   "the slot's next agent has a whole burst");
	bounded_end(&agent);
}

void test_accounts(struct outside *outside)
{
	struct bounded agent;

	bounded_start(&agent, "accounts", 12);
	rules_for_server(&agent);
	bounded_apply(&agent);
	must(bounded_do(&agent, keep_tcp, SERVER, TCP_PORT, 0), NULL);
	int server = outside_accept(outside->tcp);
	while (outside_ready(outside->tcp, POLLIN, 0)) {
		close(server);
		server = outside_accept(outside->tcp);
	}
	test_closed(&agent, server);
	test_credit(&agent);
	close(server);
	bounded_end(&agent);
	test_full_ring();
	test_pace();
	records_read();
}
