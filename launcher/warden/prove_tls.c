/* SPDX-License-Identifier: Apache-2.0 */
/* The live proof of pinned TLS server names: see prove_tls.h. */
#include "prove_tls.h"

#include "base/own.h"
#include "prove.h"
#include "tls.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define SECONDS 5	/* until what does not come is taken not to */
#define RIGHT "right.example"
#define WRONG "wrong.example"

/* A hello with nothing in it but a name of 13 bytes, which comes last. */
#define HELLO(name)                                                     \
	"\x16\3\1\0\x45\1\0\0\x41\3\3" "0123456789abcdef0123456789abcdef" \
	"\0\0\2\x13\1\1\0\0\x16\0\0\0\x12\0\x10\0\0\x0d" name
#define HELLO_BYTES (sizeof(HELLO(RIGHT)) - 1)
_Static_assert(HELLO_BYTES == 5 + 0x45, "the record's length is what it says");

struct server {
	int listener, accepted;	/* -1: nobody yet */
	struct sockaddr_in address;
	size_t received;
};

/* Sends the hello and waits for a byte: 0 if it came, else the errno. */
static int attempt(const struct server *server, const char *hello)
{
	struct timeval patience = { SECONDS, 0 };
	char byte;
	OWN_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (const struct sockaddr *)&server->address,
		    sizeof(server->address)) < 0 ||
	    send(fd, hello, HELLO_BYTES, MSG_NOSIGNAL) < 0)
		return errno;
	ssize_t length = recv(fd, &byte, 1, 0);
	return length < 0 ? errno : length == 1 ? 0 : ECONNRESET;
}

static void run_child(const struct server *server, int pipe)
{
	int results[2] = { attempt(server, HELLO(WRONG)),
			   attempt(server, HELLO(RIGHT)) };

	_exit(write(pipe, results, sizeof(results)) != sizeof(results));
}

static int open_server(struct server *ret_server)
{
	socklen_t length = sizeof(ret_server->address);

	*ret_server = (struct server){
		.accepted = -1,
		.address = { .sin_family = AF_INET,
			     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
	};
	OWN_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
	    bind(fd, (struct sockaddr *)&ret_server->address, length) < 0 ||
	    getsockname(fd, (struct sockaddr *)&ret_server->address, &length) < 0 ||
	    listen(fd, 2) < 0)
		return -errno;
	ret_server->listener = own_take_fd(&fd);
	return 0;
}

static void answer(struct server *server)
{
	char bytes[256];
	ssize_t length = recv(server->accepted, bytes, sizeof(bytes), 0);

	if (length > 0) {
		server->received += (size_t)length;
		send(server->accepted, bytes, 1, MSG_NOSIGNAL);
	} else {
		own_close(&server->accepted);
	}
}

/* Serves the child until it has told its results. */
static int serve(struct kernel *kernel, struct server *server, int pipe,
		 int ret_results[2])
{
	for (;;) {
		struct pollfd wait[] = {
			{ pipe, POLLIN, 0 },
			{ tls_condemned(kernel), POLLIN, 0 },
			{ server->listener, POLLIN, 0 },
			{ server->accepted, POLLIN, 0 },
		};
		if (poll(wait, 4, 3 * SECONDS * 1000) <= 0)
			return -ETIMEDOUT;
		if (wait[1].revents)
			tls_execute(kernel);
		if (wait[3].revents)
			answer(server);
		if (wait[2].revents) {
			own_close(&server->accepted);
			server->accepted = accept4(server->listener, NULL, NULL,
						   SOCK_CLOEXEC);
		}
		if (wait[0].revents)
			return read(pipe, ret_results, 2 * sizeof(int)) ==
					       2 * sizeof(int) ? 0 : -EPIPE;
	}
}

static int try_both(struct kernel *kernel, int cgroup, struct server *server)
{
	int ends[2], results[2] = { -1, -1 };

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	OWN_FD out = ends[0];
	OWN_FD in = ends[1];
	pid_t child = prove_fork(cgroup);
	if (child < 0)
		return -errno;
	if (child == 0)
		run_child(server, in);
	own_close(&in);
	int failed = serve(kernel, server, out, results);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	if (failed)
		return failed;
	return results[0] == ECONNABORTED && results[1] == 0 &&
			       server->received == HELLO_BYTES ? 0 : -EPROTO;
}

static void require(const struct server *server, struct ambit_policy *policy)
{
	struct ambit_rule rule = {
		.prefix = 128, .protocol = IPPROTO_TCP, .flags = AMBIT_RULE_TLS,
		.port_low = ntohs(server->address.sin_port),
		.port_high = ntohs(server->address.sin_port),
	};

	memset(rule.address + 10, 0xff, 2);
	memcpy(rule.address + 12, &server->address.sin_addr, 4);
	policy->generation++;
	policy->profile = policy->instance;	/* nobody's */
	policy->rules[0] = rule;
	policy->rule_count = 1;
}

int prove_tls(struct kernel *kernel, int cgroup, uint64_t cgroup_id,
	      struct ambit_policy *policy)
{
	struct ambit_tally before, after;
	struct error error = { 0 };
	struct server server;

	int failed = open_server(&server);
	if (failed)
		return failed;
	OWN_FD listener = server.listener;
	require(&server, policy);
	failed = kernel_tally(kernel, policy->slot, &before, &error);
	if (!failed)
		failed = tls_add_name(kernel, policy->profile, 0, RIGHT, &error);
	if (!failed)
		failed = kernel_policy(kernel, cgroup_id, policy, &error);
	if (!failed)
		failed = try_both(kernel, cgroup, &server);
	tls_remove_name(kernel, policy->profile, 0, RIGHT);
	own_close(&server.accepted);
	if (!failed)
		failed = kernel_tally(kernel, policy->slot, &after, &error);
	if (!failed && (after.produced - before.produced != PROVE_TLS_RECORDS ||
			after.attempts - before.attempts != PROVE_TLS_RECORDS))
		failed = -EPROTO;
	return failed;
}
