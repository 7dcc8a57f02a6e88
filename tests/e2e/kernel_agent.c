/* SPDX-License-Identifier: Apache-2.0 */
/* See kernel_agent.h. */
#include "kernel_agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))
#define PATIENCE 5000	/* milliseconds until something is taken not to come */

static int kept[KEPT];
static struct place last_sender;

/* ---- the process ---- */

struct order {
	deed what;
	struct place place;
	int number;
};

static void serve(int socket)
{
	struct order order;

	memset(kept, -1, sizeof(kept));
	signal(SIGPIPE, SIG_IGN);
	while (recv(socket, &order, sizeof(order), 0) == sizeof(order)) {
		int result = order.what(&order.place, order.number);
		if (send(socket, &result, sizeof(result), 0) < 0)
			break;
	}
	_exit(0);
}

struct agent agent_start(int cgroup)
{
	struct clone_args arguments = { .flags = CLONE_INTO_CGROUP,
					.exit_signal = SIGCHLD,
					.cgroup = (uint64_t)cgroup };
	struct agent agent;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		abort();
	fflush(NULL);
	agent.pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
	if (agent.pid < 0)
		abort();
	if (agent.pid == 0) {
		close(ends[0]);
		serve(ends[1]);
	}
	close(ends[1]);
	agent.socket = ends[0];
	return agent;
}

int agent_do(const struct agent *agent, deed what, const struct place *place,
	     int number)
{
	struct order order = { .what = what, .number = number };
	int result;

	if (place)
		order.place = *place;
	if (send(agent->socket, &order, sizeof(order), 0) != sizeof(order) ||
	    recv(agent->socket, &result, sizeof(result), 0) != sizeof(result))
		return -EPIPE;
	return result;
}

void agent_end(struct agent *agent)
{
	/* Agents started later hold copies of our end. */
	shutdown(agent->socket, SHUT_RDWR);
	close(agent->socket);
	waitpid(agent->pid, NULL, 0);
}

/* ---- single deeds ---- */

static const struct sockaddr *address_of(const struct place *place)
{
	return (const struct sockaddr *)&place->address;
}

static int open_for(const struct place *place, int type)
{
	return socket(place->address.ss_family, type | SOCK_CLOEXEC, 0);
}

/* Closes `fd` and makes a result of what the last call returned.  A connection is
 * reset, not ended in order: what a slow machine sends again for a closed socket
 * would come under the rules of the next test, and be recorded. */
static int finish(int fd, long returned)
{
	const struct linger at_once = { .l_onoff = 1 };
	int result = returned < 0 ? -errno : (int)returned;

	if (fd < 0)
		return result;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(fd);
	return result;
}

int do_tcp(const struct place *place, int UNUSED unused)
{
	int fd = open_for(place, SOCK_STREAM);

	return finish(fd, fd < 0 ? -1 : connect(fd, address_of(place),
						place->length));
}

/* From `place`, to "any": where the kernel leads that then is not in sight. */
int do_tcp_any_from(const struct place *place, int port)
{
	struct sockaddr_in any = { .sin_family = AF_INET,
				   .sin_port = htons((uint16_t)port) };
	int fd = open_for(place, SOCK_STREAM);

	if (bind(fd, address_of(place), place->length) < 0)
		return finish(fd, -1);
	return finish(fd, connect(fd, (struct sockaddr *)&any, sizeof(any)));
}

int do_fast_open_sendto(const struct place *place, int UNUSED unused)
{
	int fd = open_for(place, SOCK_STREAM);

	return finish(fd, sendto(fd, "x", 1, MSG_FASTOPEN, address_of(place),
				 place->length));
}

static long send_by_message(int fd, const struct place *place, int flags,
			    void *control, size_t control_length)
{
	char byte[] = "x";
	struct iovec part = { byte, 1 };
	struct place copy = *place;
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1,
				  .msg_name = &copy.address,
				  .msg_namelen = copy.length,
				  .msg_control = control,
				  .msg_controllen = control_length };

	if (!copy.length)
		message.msg_name = NULL;
	return sendmsg(fd, &message, flags);
}

static long send_by_messages(int fd, const struct place *place, int flags)
{
	char byte[] = "x";
	struct iovec part = { byte, 1 };
	struct place copy = *place;
	struct mmsghdr messages[3] = { 0 };

	for (int i = 0; i < 3; i++) {
		messages[i].msg_hdr.msg_iov = &part;
		messages[i].msg_hdr.msg_iovlen = 1;
		messages[i].msg_hdr.msg_name = &copy.address;
		messages[i].msg_hdr.msg_namelen = copy.length;
	}
	return sendmmsg(fd, messages, flags & MSG_FASTOPEN ? 1 : 3, flags);
}

int do_fast_open_sendmsg(const struct place *place, int UNUSED unused)
{
	int fd = open_for(place, SOCK_STREAM);

	return finish(fd, send_by_message(fd, place, MSG_FASTOPEN, NULL, 0));
}

int do_fast_open_sendmmsg(const struct place *place, int UNUSED unused)
{
	int fd = open_for(place, SOCK_STREAM);

	return finish(fd, send_by_messages(fd, place, MSG_FASTOPEN));
}

int do_fast_open_option(const struct place *place, int UNUSED unused)
{
	int one = 1, fd = open_for(place, SOCK_STREAM);

	if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one,
		       sizeof(one)) < 0 ||
	    connect(fd, address_of(place), place->length) < 0)
		return finish(fd, -1);
	return finish(fd, send(fd, "x", 1, MSG_NOSIGNAL));
}

int do_udp_sendto(const struct place *place, int UNUSED unused)
{
	int fd = open_for(place, SOCK_DGRAM), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one));
	return finish(fd, sendto(fd, "x", 1, 0, address_of(place),
				 place->length));
}

int do_udp_sendto_on6(const struct place *place, int UNUSED unused)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return finish(fd, sendto(fd, "x", 1, 0, address_of(place),
				 place->length));
}

int do_udp_sendmsg(const struct place *place, int UNUSED unused)
{
	int fd = open_for(place, SOCK_DGRAM);

	return finish(fd, send_by_message(fd, place, 0, NULL, 0));
}

int do_udp_sendmmsg(const struct place *place, int UNUSED unused)
{
	int fd = open_for(place, SOCK_DGRAM);

	return finish(fd, send_by_messages(fd, place, 0));
}

static int connect_send(int fd, const struct place *place)
{
	if (connect(fd, address_of(place), place->length) < 0)
		return finish(fd, -1);
	return finish(fd, send(fd, "x", 1, 0));
}

int do_udp_connect_send(const struct place *place, int UNUSED unused)
{
	return connect_send(open_for(place, SOCK_DGRAM), place);
}

int do_udp_connect_on6(const struct place *place, int UNUSED unused)
{
	return connect_send(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0),
			    place);
}

static int send_option(const struct place *place, int level, int type,
		       const void *value, size_t length)
{
	char control[CMSG_SPACE(16)] = { 0 };
	struct cmsghdr *header = (struct cmsghdr *)(void *)control;
	int fd = open_for(place, SOCK_DGRAM);

	header->cmsg_level = level;
	header->cmsg_type = type;
	header->cmsg_len = CMSG_LEN(length);
	memcpy(CMSG_DATA(header), value, length);
	return finish(fd, send_by_message(fd, place, 0, control,
					  CMSG_SPACE(length)));
}

/* Four no-operations: harmless, but a longer header, as a source route is. */
int do_udp_ip_options(const struct place *place, int UNUSED unused)
{
	return send_option(place, IPPROTO_IP, IP_RETOPTS, "\1\1\1\1", 4);
}

int do_udp_hop_options(const struct place *place, int UNUSED unused)
{
	return send_option(place, IPPROTO_IPV6, IPV6_HOPOPTS,
			   "\0\0\1\4\0\0\0\0", 8);
}

int do_unix_stream(const struct place *place, int UNUSED unused)
{
	int fd = open_for(place, SOCK_STREAM);

	return finish(fd, connect(fd, address_of(place), place->length));
}

int do_unix_datagram(const struct place *place, int UNUSED unused)
{
	int fd = open_for(place, SOCK_DGRAM);
	long sent = 0;

	for (int i = 0; i < 3 && sent >= 0; i++)
		sent = sendto(fd, "x", 1, 0, address_of(place), place->length);
	return finish(fd, sent);
}

int do_socket(const struct place UNUSED *unused, int what)
{
	int fd = socket(what & 0xff, (what >> 8 & 0xff) | SOCK_CLOEXEC,
			what >> 16);

	return finish(fd, fd < 0 ? -1 : 0);
}

int do_option(const struct place UNUSED *unused, int option)
{
	int level = option >> 16, name = option & 0xffff;
	static char value[64];
	int tcp = level == IPPROTO_TCP || level == SOL_SOCKET;
	int fd = socket(AF_INET6, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC,
			0);

	return finish(fd, setsockopt(fd, level, name, value, sizeof(value)));
}

/* Longer than the page that programs see of a value. */
int do_long_option(const struct place UNUSED *unused, int UNUSED unused_too)
{
	static int value[4096] = { 65536 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return finish(fd, setsockopt(fd, SOL_SOCKET, SO_RCVBUF, value,
				     sizeof(value)));
}

int do_bind(const struct place *place, int type)
{
	int fd = open_for(place, type);

	return finish(fd, bind(fd, address_of(place), place->length));
}

int do_many(const struct place *place, int count)
{
	int allowed = 0;

	for (int i = 0; i < count; i++) {
		int fd = open_for(place, SOCK_DGRAM);
		allowed += connect(fd, address_of(place), place->length) == 0;
		close(fd);
	}
	return allowed;
}

/* How many sockets are had at once; then none. */
int do_hold(const struct place UNUSED *unused, int count)
{
	const struct rlimit room = { (rlim_t)count + 64, (rlim_t)count + 64 };
	int *held = calloc((size_t)count, sizeof(*held)), had = 0;

	if (!held || setrlimit(RLIMIT_NOFILE, &room) < 0)
		return -errno;
	while (had < count &&
	       (held[had] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) >= 0)
		had++;
	for (int i = 0; i < had; i++)
		close(held[i]);
	free(held);
	return had;
}

/* ---- kept sockets ---- */

static int keep(int number, int fd, int returned)
{
	if (returned < 0)
		return finish(fd, -1);
	if (kept[number] >= 0)
		close(kept[number]);
	kept[number] = fd;
	return 0;
}

int kept_socket(int number)
{
	return kept[number];
}

int keep_tcp(const struct place *place, int number)
{
	int fd = open_for(place, SOCK_STREAM);

	return keep(number, fd, connect(fd, address_of(place), place->length));
}

int keep_udp(const struct place *place, int number)
{
	int fd = place->length ? open_for(place, SOCK_DGRAM) :
				 socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return keep(number, fd, !place->length ? 0 :
			    bind(fd, address_of(place), place->length));
}

int keep_listener(const struct place *place, int number)
{
	int one = 1, fd = place->length ?
			   open_for(place, SOCK_STREAM) :
			   socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (place->length && bind(fd, address_of(place), place->length) < 0)
		return finish(fd, -1);
	return keep(number, fd, listen(fd, 8));
}

/* An admitted socket that begins another life must not take its flow along. */
int keep_relistener(const struct place *place, int number)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	int fd = open_for(place, SOCK_STREAM);

	if (connect(fd, address_of(place), place->length) < 0 ||
	    connect(fd, &nobody, sizeof(nobody)) < 0)
		return finish(fd, -1);
	return keep(number, fd, listen(fd, 8));
}

int kept_connect(const struct place *place, int number)
{
	return finish(-1, connect(kept[number], address_of(place),
				  place->length));
}

int kept_send(const struct place UNUSED *unused, int number)
{
	return finish(-1, send(kept[number], "x", 1, MSG_NOSIGNAL));
}

int kept_sendto(const struct place *place, int number)
{
	return finish(-1, sendto(kept[number], "x", 1, MSG_NOSIGNAL,
				 address_of(place), place->length));
}

int kept_send_control(const struct place UNUSED *unused, int number)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct cmsghdr *header = (struct cmsghdr *)(void *)control;
	struct place none = { .length = 0 };
	int ttl = 9;

	header->cmsg_level = IPPROTO_IP;
	header->cmsg_type = IP_TTL;
	header->cmsg_len = CMSG_LEN(sizeof(ttl));
	memcpy(CMSG_DATA(header), &ttl, sizeof(ttl));
	return finish(-1, send_by_message(kept[number], &none, 0, control,
					  sizeof(control)));
}

int kept_receive(const struct place UNUSED *unused, int number)
{
	struct pollfd ready = { kept[number], POLLIN, 0 };
	char bytes[64];

	if (poll(&ready, 1, PATIENCE) != 1)
		return -ETIMEDOUT;
	last_sender.length = sizeof(last_sender.address);
	return finish(-1, recvfrom(kept[number], bytes, sizeof(bytes), 0,
				   (struct sockaddr *)&last_sender.address,
				   &last_sender.length));
}

int kept_answer(const struct place UNUSED *unused, int number)
{
	return kept_sendto(&last_sender, number);
}

int kept_accept(const struct place UNUSED *unused, int number)
{
	struct pollfd ready = { kept[number], POLLIN, 0 };

	if (poll(&ready, 1, PATIENCE) != 1)
		return -ETIMEDOUT;
	int fd = accept4(kept[number], NULL, NULL, SOCK_CLOEXEC);
	return keep(number, fd, fd);
}

static void *send_many(void *socket)
{
	long failures = 0;

	for (int i = 0; i < 5000; i++)
		failures += send(*(int *)socket, "x", 1, 0) != 1;
	return (void *)failures;
}

/* Two threads at once on one connected socket. */
int kept_send_threads(const struct place UNUSED *unused, int number)
{
	void *results[2];
	pthread_t thread;

	if (pthread_create(&thread, NULL, send_many, &kept[number]))
		return -EAGAIN;
	results[0] = send_many(&kept[number]);
	pthread_join(thread, &results[1]);
	return (int)((long)results[0] + (long)results[1]);
}

int kept_port(const struct place UNUSED *unused, int number)
{
	struct sockaddr_in address;
	socklen_t length = sizeof(address);

	if (getsockname(kept[number], (struct sockaddr *)&address, &length) < 0)
		return -errno;
	return ntohs(address.sin_port);
}

int kept_close(const struct place UNUSED *unused, int number)
{
	int fd = kept[number];

	kept[number] = -1;
	return finish(fd, 0);
}
