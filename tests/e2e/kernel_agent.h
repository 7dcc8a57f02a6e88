/* SPDX-License-Identifier: Apache-2.0 */
/* An agent for the tests of the kernel programs: a process in a cgroup that does
 * what it is told and says how it went.  Sockets it keeps have a number. */
#ifndef KERNEL_AGENT_H
#define KERNEL_AGENT_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define KEPT 8

struct place {
	struct sockaddr_storage address;
	socklen_t length;
};

/* "127.0.0.1", "::1" or a unix path ("@name" is abstract; port is not used). */
struct place place_at(const char *text, int port);

/* Done in the agent.  Returns >= 0 or a negative errno. */
typedef int (*deed)(const struct place *place, int number);

struct agent {
	pid_t pid;
	int socket;
};

struct agent agent_start(int cgroup);
int agent_do(const struct agent *agent, deed what, const struct place *place,
	     int number);
void agent_end(struct agent *agent);

/* The socket is closed again, unless a number is part of the name's meaning. */
int do_tcp(const struct place *place, int unused);
int do_tcp_any_from(const struct place *place, int port);
int do_fast_open_sendto(const struct place *place, int unused);
int do_fast_open_sendmsg(const struct place *place, int unused);
int do_fast_open_sendmmsg(const struct place *place, int unused);
int do_fast_open_option(const struct place *place, int unused);
int do_udp_sendto(const struct place *place, int unused);
int do_udp_sendto_on6(const struct place *place, int unused);
int do_udp_sendmsg(const struct place *place, int unused);
int do_udp_sendmmsg(const struct place *place, int unused);
int do_udp_connect_send(const struct place *place, int unused);
int do_udp_connect_on6(const struct place *place, int unused);
int do_udp_ip_options(const struct place *place, int unused);
int do_udp_hop_options(const struct place *place, int unused);
int do_unix_stream(const struct place *place, int unused);
int do_unix_datagram(const struct place *place, int unused);

/* Creates a socket of the family, type and protocol packed into `what`. */
#define WHAT(family, type, protocol) \
	((family) | (type) << 8 | (protocol) << 16)
int do_socket(const struct place *unused, int what);
/* Sets the option `name` of `level` to a 64-byte value of zeroes on a TCP (or,
 * for IP levels, UDP over IPv6) socket. */
#define OPTION(level, name) ((level) << 16 | (name))
int do_option(const struct place *unused, int option);
int do_long_option(const struct place *unused, int unused_too);

/* On the kept socket `number`. */
int kept_socket(int number);	/* its descriptor, for deeds of other files */
int keep_tcp(const struct place *place, int number);	/* connects */
int keep_udp(const struct place *place, int number);	/* binds if given */
int keep_listener(const struct place *place, int number);
int keep_relistener(const struct place *place, int number);	/* connected before */
int kept_connect(const struct place *place, int number);
int kept_send(const struct place *unused, int number);
int kept_sendto(const struct place *place, int number);
int kept_send_control(const struct place *unused, int number);
int kept_receive(const struct place *unused, int number);	/* bytes, waits 5 s */
int kept_answer(const struct place *unused, int number);	/* to the last sender */
int kept_accept(const struct place *unused, int number);	/* replaces it */
int kept_send_threads(const struct place *place, int number);	/* failures */
int kept_port(const struct place *unused, int number);
int kept_close(const struct place *unused, int number);

/* Binds a new socket; `type` is SOCK_STREAM or SOCK_DGRAM. */
int do_hold(const struct place *unused, int count);
int do_bind(const struct place *place, int type);
/* As many new UDP sockets connected to `place`; how many were allowed. */
int do_many(const struct place *place, int count);

#endif
