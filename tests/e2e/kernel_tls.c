/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `tls: required` at the kernel programs: first bytes of every shape and the ways
 * to send them, each against a server that would take them.  A thread stands for
 * the warden and destroys what the programs refuse.
 */
#include "kernel_driver.h"
#include "tap.h"
#include "warden/tls.h"

#include "kernel_tls_rows.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PORT 7443
#define SERVER "203.0.113.5"
#define PROFILE 0x1234567890abcdefULL
#define PATIENCE 5000	/* milliseconds */
#define AT_ONCE 10000	/* microseconds until a refused client knows: the median … */
#define AT_MOST 200000	/* … and the worst, also where a processor is emulated */
#define FLOOD 900	/* sockets; the files of one process are limited */
#define RACES 300
#define UNUSED __attribute__((unused))

/* ---- the server, and who destroys sockets ------------------------------------- */

static struct {
	int listener;
	atomic_uint bytes;	/* of the last connection */
	atomic_int retry;	/* it asks for a second hello */
	atomic_int stop;
} server;

/* Reads what comes first, answers one byte. */
static void *serve(void *unused)
{
	static char bytes[HELLO_ROOM];
	struct timeval patience = { PATIENCE / 1000, 0 };

	while (!server.stop) {
		int fd = accept(server.listener, NULL, NULL);
		if (fd < 0)
			break;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		ssize_t length = recv(fd, bytes, sizeof(bytes), 0);
		/* The first hello does not count; its client may be gone by now. */
		if (length > 0 && server.retry)
			length = send(fd, retry_request, sizeof(retry_request), MSG_NOSIGNAL) < 0 ?
					 0 : recv(fd, bytes, sizeof(bytes), 0);
		server.bytes = length > 0 ? (unsigned)length : 0;
		if (length > 0 && send(fd, "k", 1, MSG_NOSIGNAL) == 1)
			while (recv(fd, bytes, sizeof(bytes), 0) > 0)
				;
		close(fd);
	}
	return unused;
}

static void *execute(void *unused)
{
	struct pollfd wait = { tls_condemned(node.kernel), POLLIN, 0 };

	while (!server.stop)
		if (poll(&wait, 1, 100) == 1)
			tls_execute(node.kernel);
	return unused;
}

/* ---- in the agent ---------------------------------------------------------------- */

static int64_t waited;	/* from the first byte to the answer, nanoseconds */

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static int tell_waited(const struct place UNUSED *unused, int UNUSED unused_too)
{
	return (int)(waited / 1000);
}

static long send_by(int fd, enum way way, const struct place *place,
		    const struct bytes *hello)
{
	static struct bytes right, early;
	size_t half = hello->length / 2;
	int one = 1;

	switch (way) {
	case EARLY:
		early = *hello;
		put(&early, 0x170303, 3);
		put(&early, 100, 2);
		put_many(&early, 'e', 100);
		return send(fd, early.at, early.length, MSG_NOSIGNAL);
	case BYTES:
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		for (__u32 i = 0; i < hello->length; i++)
			if (send(fd, hello->at + i, 1, MSG_NOSIGNAL) < 0)
				return -1;
		return 0;
	case MORE:
		return send(fd, hello->at, half, MSG_NOSIGNAL | MSG_MORE) < 0 ?
			       -1 : send(fd, hello->at + half,
					 hello->length - half, MSG_NOSIGNAL);
	case URGENT:
		return send(fd, hello->at, half, MSG_NOSIGNAL | MSG_MORE) < 0 ||
				       send(fd, "u", 1, MSG_NOSIGNAL | MSG_OOB |
							MSG_MORE) < 0 ?
			       -1 : send(fd, hello->at + half,
					 hello->length - half, MSG_NOSIGNAL);
	case AFTER_BYTE:
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		return send(fd, "x", 1, MSG_NOSIGNAL) < 0 ?
			       -1 : send(fd, hello->at, hello->length, MSG_NOSIGNAL);
	case FAST:
		return sendto(fd, hello->at, hello->length,
			      MSG_NOSIGNAL | MSG_FASTOPEN,
			      (const struct sockaddr *)&place->address,
			      place->length);
	case TWICE:
		build(&right, &(struct shape){ .name = HELLO_FOR });
		send(fd, hello->at, hello->length, MSG_NOSIGNAL);
		return send(fd, right.at, right.length, MSG_NOSIGNAL);
	default:
		return send(fd, hello->at, hello->length, MSG_NOSIGNAL);
	}
}

/* A segment or two a packet: there is no room for more. */
static void slow_down(int fd)
{
	int segment = 1448, least = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
}

/* The first hello is right; what the row is about comes on the server's request. */
static long send_again(int fd, enum way way, const struct bytes *hello)
{
	static struct bytes all;
	__u8 request[sizeof(retry_request)];

	build(&all, &(struct shape){ .name = HELLO_FOR });
	if (send(fd, all.at, all.length,
		 MSG_NOSIGNAL | (way == RETRY_SAME ? MSG_MORE : 0)) < 0)
		return -1;
	if (way < RETRY_BLIND &&
	    recv(fd, request, sizeof(request), MSG_WAITALL) != sizeof(request))
		return -1;
	all.length = 0;
	put(&all, 0x140303, 3);	/* ChangeCipherSpec, as clients send it */
	put(&all, 0x000101, 3);
	if (way == RETRY_DATA) {
		put(&all, 0x170303, 3);
		put(&all, 50, 2);
		put_many(&all, 'e', 50);
	}
	memcpy(all.at + all.length, hello->at, hello->length);
	all.length += hello->length;
	long sent = send(fd, all.at, way == RETRY_PIECES ? 40 : all.length,
			 MSG_NOSIGNAL);
	if (way == RETRY_BLIND)
		return recv(fd, request, sizeof(request), MSG_WAITALL);
	if (way != RETRY_PIECES || sent < 0)
		return sent;
	return send(fd, all.at + 40, all.length - 40, MSG_NOSIGNAL);
}

/* A connection that passes, then none: the socket is as new. */
static int use_before(int fd, const struct place *place)
{
	static struct bytes right;
	struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	char byte;

	build(&right, &(struct shape){ .name = HELLO_FOR });
	return connect(fd, (const struct sockaddr *)&place->address,
		       place->length) < 0 ||
	       send(fd, right.at, right.length, 0) < 0 ||
	       recv(fd, &byte, 1, 0) != 1 ||
	       connect(fd, &nowhere, sizeof(nowhere)) < 0;
}

/* Connects, sends row `number`, waits: 1 for the answer, else the errno. */
static int try_row(const struct place *place, int number)
{
	static struct bytes hello;
	const struct row *row = &rows[number];
	int one = 1, fd = socket(place->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = { PATIENCE / 1000, 0 };
	char byte;

	if (row->plain) {
		hello.length = (__u32)strlen(row->plain);
		if (!hello.length || row->plain[0] == '\x15')
			hello.length = 7;
		memcpy(hello.at, row->plain, hello.length);
	} else {
		build(&hello, &row->shape);
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (row->way == FAST_OPTION)
		setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one));
	if (row->way == SLOW)
		slow_down(fd);
	if (row->way == AGAIN && use_before(fd, place))
		return -EPROTO;
	if (row->way != FAST && connect(fd, (const struct sockaddr *)&place->address,
					place->length) < 0)
		return -errno;
	waited = now();
	long result = row->way >= RETRY ? send_again(fd, row->way, &hello) :
					  send_by(fd, row->way, place, &hello);
	if (result >= 0 || errno == EPIPE)
		result = recv(fd, &byte, 1, 0);
	waited = now() - waited;
	int answer = result < 0 ? -errno : (int)result;
	close(fd);
	return answer;
}

/* ---- rows ------------------------------------------------------------------------ */

/* The records of one row: that of its connect, then perhaps that of the refusal. */
static int recorded(const struct bounded *agent, const struct row *row)
{
	size_t first = row->way == AGAIN ? 1 : 0, wanted = first + 1 + !!row->reason;
	const struct ambit_record *refusal = &records[first + 1];
	const char *name = row->name ? row->name : "";

	if (record_count != wanted || records[first].attempt != AMBIT_ATTEMPT_CONNECT ||
	    records[first].verdict != AMBIT_ALLOWED)
		return 0;
	if (!row->reason)
		return 1;
	return refusal->attempt == AMBIT_ATTEMPT_TLS &&
	       refusal->verdict == AMBIT_DENIED && refusal->reason == row->reason &&
	       refusal->instance == agent->policy.instance &&
	       refusal->port == PORT && refusal->cgroup_id == agent->id &&
	       refusal->socket_cookie == records[first].socket_cookie &&
	       refusal->path_length == strlen(name) &&
	       !memcmp(refusal->path, name, strlen(name));
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static int waits[2 * ROWS + 2];	/* of refused clients, microseconds */
static size_t wait_count;

static void one_row(struct bounded *agent, size_t i, const char *to)
{
	const struct row *row = &rows[i];

	records_read();
	server.bytes = 0;
	server.retry = row->way >= RETRY;
	int result = bounded_do(agent, try_row, to, PORT, (int)i);
	int took = bounded_do(agent, tell_waited, NULL, 0, 0);
	records_read();
	if (!row->reason) {
		is_int(result, 1, "%s, %s: passes", to, row->what);
		ok(server.bytes && recorded(agent, row),
		   "… the server has it, one record");
		return;
	}
	waits[wait_count++] = took;
	if (!ok(result == -ECONNABORTED && took < AT_MOST,
		"%s, %s: the client fails at once", to, row->what))
		diag("%d after %d us", result, took);
	if (!ok(recorded(agent, row), "… and a record says why"))
		for (size_t r = 0; r < record_count; r++)
			diag("attempt %d verdict %d reason %d", records[r].attempt,
			     records[r].verdict, records[r].reason);
	ok(row->way == AGAIN || !server.bytes, "… the server has no byte");
}

static void add_names(int remove)
{
	static const struct { uint16_t entry; const char *name; } names[] = {
		{ 0, HELLO_FOR }, { 1, "other.example.com" },
		{ 2, "*.blob.example.net" }, { 3, "far.example.com" },
	};
	struct error error = { 0 };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (remove)
			tls_remove_name(node.kernel, PROFILE, names[i].entry,
					names[i].name);
		else
			must(tls_add_name(node.kernel, PROFILE, names[i].entry,
					  names[i].name, &error), &error);
}

static void require(struct bounded *agent, const char *to, int bits, int id, int port)
{
	policy_allow(agent, to, bits, IPPROTO_TCP, port, port);
	struct ambit_rule *rule = &agent->policy.rules[agent->policy.rule_count - 1];
	rule->flags = AMBIT_RULE_TLS;
	rule->id = (uint16_t)id;
}

static void require_all(struct bounded *agent)
{
	policy_clear(agent);
	for (int id = 0; id < 3; id++) {
		require(agent, SERVER, 32, id, PORT);
		require(agent, "2001:db8::5", 128, id, PORT);
	}
	require(agent, SERVER, 32, 3, PORT + 1);
}

static int row_of(const char *what)
{
	for (size_t i = 0; i < ROWS; i++)
		if (!strcmp(rows[i].what, what))
			return (int)i;
	bail_out("no row: %s", what);
}

/* ---- rules that change, and rules beside ------------------------------------------ */

static int kept_hello(const struct place UNUSED *unused, int number)
{
	static struct bytes hello;

	build(&hello, &(struct shape){ .name = HELLO_FOR });
	return (int)send(kept_socket(number), hello.at, hello.length, MSG_NOSIGNAL);
}

static void test_changes(struct bounded *agent)
{
	must(bounded_do(agent, keep_tcp, SERVER, PORT, 0), NULL);
	bounded_apply(agent);
	must(bounded_do(agent, kept_hello, NULL, 0, 0) < 0, NULL);
	is_int(bounded_do(agent, kept_receive, NULL, 0, 0), 1,
	       "rules written anew between connect and hello: it passes");
	bounded_apply(agent);
	server.bytes = 0;
	records_read();
	is_int(bounded_do(agent, kept_send, NULL, 0, 0), 1,
	       "rules written anew: what has passed goes on");
	is_int((long long)records_read(), 0, "… without a word");
	agent->policy.rules[0].port_low = agent->policy.rules[0].port_high = 1;
	bounded_apply(agent);
	bounded_do(agent, kept_send, NULL, 0, 0);
	ok(records_wait() == 1 && records[0].reason == AMBIT_REASON_TLS_NAME,
	   "the entry of its name is gone, others lead there: it stops");
	require_all(agent);
	policy_allow(agent, SERVER, 32, IPPROTO_TCP, PORT, PORT);
	bounded_apply(agent);
	/* Now the server hears of it. */
	bounded_do(agent, kept_close, NULL, 0, 0);
	is_int(bounded_do(agent, try_row, SERVER, PORT, row_of("plain text")), 1,
	       "a rule without tls beside: it wins, plain text passes");
	require_all(agent);
	bounded_apply(agent);
	is_int(bounded_do(agent, try_row, SERVER, PORT, row_of("plain text")),
	       -ECONNABORTED, "… and without that rule it does not");
	agent->policy.profile++;
	bounded_apply(agent);
	is_int(bounded_do(agent, try_row, SERVER, PORT, row_of("the right name")),
	       -ECONNABORTED, "the names are those of the agent's own profile");
	agent->policy.profile--;
	bounded_apply(agent);
	is_int(bounded_do(agent, try_row, SERVER, PORT, row_of("the right name")),
	       1, "… with its own again it passes");
}

static int flood(const struct place *place, int count)
{
	static struct bytes hello;
	static int fds[FLOOD];
	struct timeval patience = { PATIENCE / 1000, 0 };
	int failed = 0;
	char byte;

	build(&hello, &(struct shape){ .name = "evil.example.org" });
	for (int i = 0; i < count; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &patience,
			   sizeof(patience));
		if (connect(fds[i], (const struct sockaddr *)&place->address,
			    place->length) == 0)
			send(fds[i], hello.at, hello.length, MSG_NOSIGNAL);
	}
	for (int i = 0; i < count; i++) {
		failed += recv(fds[i], &byte, 1, 0) < 0 && errno == ECONNABORTED;
		close(fds[i]);
	}
	return failed;
}

/* The server's request and its bare acknowledgement come in on two processors. */
static void test_race(struct bounded *agent)
{
	int row = row_of("a second hello for somebody else"), refused = 0;

	server.retry = 1;
	for (int i = 0; i < RACES; i++) {
		refused += bounded_do(agent, try_row, SERVER, PORT, row) ==
			   -ECONNABORTED;
		records_read();
	}
	server.retry = 0;
	is_int(refused, RACES, "… %d times more: never passes", RACES);
}

static void test_flood(struct bounded *agent)
{
	is_int(bounded_do(agent, flood, SERVER, PORT, FLOOD), FLOOD,
	       "%d refused sockets at once: each fails", FLOOD);
	records_read();
}

void test_tls(struct outside *outside)
{
	struct bounded agent;
	pthread_t threads[2];

	(void)outside;
	server.listener = outside_listen(PORT);
	int queue = 16;
	must(setsockopt(server.listener, IPPROTO_TCP, TCP_FASTOPEN, &queue,
			sizeof(queue)), NULL);
	must(pthread_create(&threads[0], NULL, serve, NULL) ||
	     pthread_create(&threads[1], NULL, execute, NULL), NULL);
	bounded_start(&agent, "tls", 15);
	agent.policy.profile = PROFILE;
	add_names(0);
	require_all(&agent);
	bounded_apply(&agent);
	for (size_t i = 0; i < ROWS; i++)
		one_row(&agent, i, SERVER);
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].way == WHOLE)
			one_row(&agent, i, "2001:db8::5");
	one_row(&agent, (size_t)row_of("the right name"), "::ffff:203.0.113.5");
	one_row(&agent, (size_t)row_of("a wrong name"), "::ffff:203.0.113.5");
	qsort(waits, wait_count, sizeof(*waits), compare);
	ok(waits[wait_count / 2] < AT_ONCE, "half of the refused know after %d us",
	   waits[wait_count / 2]);
	test_changes(&agent);
	test_flood(&agent);
	test_race(&agent);
	server.stop = 1;
	shutdown(server.listener, SHUT_RDWR);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	close(server.listener);
	add_names(1);
	bounded_end(&agent);
	records_read();
}

/* ---- for real clients -------------------------------------------------------------- */

static void print_refusals(void)
{
	static const char *const words[] = {
#define WORD(name, number, word) [number] = word,
		AMBIT_ATTEMPTS(WORD)
#undef WORD
	};
	static const char *const reasons[] = {
#define WORD(name, number, word) [number] = #name,
		AMBIT_REASONS(WORD)
#undef WORD
	};

	records_read();
	for (size_t i = 0; i < record_count; i++)
		if (records[i].verdict == AMBIT_DENIED)
			printf("%s %s %.*s\n", words[records[i].attempt],
			       reasons[records[i].reason],
			       records[i].path_length, records[i].path);
	puts("end");
	fflush(stdout);
}

/* Bounds the cgroup "clients" until stdin ends; for each line of it prints what
 * was refused meanwhile. */
int hold_tls(void)
{
	struct error error = { 0 };
	struct bounded clients;
	char line[64];

	node_open();
	must(kernel_wall(node.kernel, node.parent, &error), &error);
	bounded_start(&clients, "clients", 3);
	clients.policy.profile = PROFILE;
	add_names(0);
	require_all(&clients);
	require(&clients, SERVER, 32, 0, 7445);
	policy_allow(&clients, SERVER, 32, IPPROTO_TCP, 7444, 7444);
	clients.policy.rules[clients.policy.rule_count - 1].id = 9;
	bounded_apply(&clients);
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct pollfd wait[] = {
			{ STDIN_FILENO, POLLIN, 0 },
			{ tls_condemned(node.kernel), POLLIN, 0 },
		};
		must(poll(wait, 2, -1) < 0, NULL);
		if (wait[1].revents)
			tls_execute(node.kernel);
		if (!wait[0].revents)
			continue;
		if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
			break;
		print_refusals();
	}
	add_names(1);
	bounded_end(&clients);
	must(kernel_unpin(node.kernel, &error), &error);
	kernel_close(node.kernel);
	return 0;
}

/* ---- what it costs ------------------------------------------------------------------- */

/* Connect and first send; the server's part does not count. */
static int cost_hello(const struct place *place, int count)
{
	static struct bytes hello;
	int64_t total = 0;
	char byte;

	build(&hello, &(struct shape){ .name = HELLO_FOR, .after = 200 });
	for (int i = 0; i < count; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int64_t start = now();
		if (connect(fd, (const struct sockaddr *)&place->address,
			    place->length) < 0 ||
		    send(fd, hello.at, hello.length, MSG_NOSIGNAL) < 0)
			return -errno;
		total += now() - start;
		if (recv(fd, &byte, 1, 0) != 1)
			return -EPROTO;
		close(fd);
	}
	return (int)(total / count);
}

#define ROUNDS 31

int cost_tls(void)
{
	struct bounded agent;
	int pinned[ROUNDS], plain[ROUNDS];
	pthread_t thread;

	server.listener = outside_listen(PORT);
	must(pthread_create(&thread, NULL, serve, NULL), NULL);
	bounded_start(&agent, "tls-cost", 15);
	agent.policy.profile = PROFILE;
	add_names(0);
	require(&agent, SERVER, 32, 0, PORT);
	policy_allow(&agent, "203.0.113.6", 32, IPPROTO_TCP, PORT, PORT);
	bounded_apply(&agent);
	for (int round = -1; round < ROUNDS; round++) {
		int at = round < 0 ? 0 : round;
		plain[at] = bounded_do(&agent, cost_hello, "203.0.113.6", PORT, 50);
		records_read();
		pinned[at] = bounded_do(&agent, cost_hello, SERVER, PORT, 50);
		must(plain[at] < 0 || pinned[at] < 0, NULL);
		records_read();
	}
	qsort(plain, ROUNDS, sizeof(int), compare);
	qsort(pinned, ROUNDS, sizeof(int), compare);
	printf("%-32s %8d ns without, %8d ns with: %+d ns\n",
	       "TLS hello, pinned", plain[ROUNDS / 2], pinned[ROUNDS / 2],
	       pinned[ROUNDS / 2] - plain[ROUNDS / 2]);
	server.stop = 1;
	shutdown(server.listener, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(server.listener);
	add_names(1);
	bounded_end(&agent);
	return 0;
}
