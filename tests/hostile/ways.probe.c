/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways to get bytes out over IP, one per run: `ways NAME ADDRESS PORT [OTHER [NONCE]]`.
 * NONCE is sent in place of a fixed text, so that a server can tell attempts apart.
 * Prints "done" when the bytes came back from an echo server, else the step and
 * the name of the errno, "connect EPERM".  Exit status 0 if done, else 1.
 * ways.t runs each outside and inside and holds the table of what is expected.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef IPPROTO_UDPLITE
#define IPPROTO_UDPLITE 136
#endif

static struct {
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;		/* or the IPv4 address, mapped */
	struct sockaddr_in other;	/* an address that is allowed */
	int is_v4;
} to;

static const char *step = "start";

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif
#define TRY(name, call)                  \
	do {                             \
		step = name;             \
		errno = 0;               \
		if ((long)(call) < 0)    \
			return -1;       \
	} while (0)

static char bytes[64] = "some bytes";
#define V4 (struct sockaddr *)&to.v4, sizeof(to.v4)
#define V6 (struct sockaddr *)&to.v6, sizeof(to.v6)
#define OTHER (struct sockaddr *)&to.other, sizeof(to.other)

/* The echo: what makes a way a way. */
static int answered(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	char back[64];

	step = "answer";
	if (poll(&poll_fd, 1, 2000) != 1) {
		errno = ETIMEDOUT;
		return -1;
	}
	TRY("answer", recv(fd, back, sizeof(back), 0));
	return 0;
}

static int stream_to(int fd)
{
	if (to.is_v4)
		TRY("connect", connect(fd, V4));
	else
		TRY("connect", connect(fd, V6));
	TRY("send", send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL));
	return answered(fd);
}

static int tcp(void)
{
	int fd;
	TRY("socket", fd = socket(to.is_v4 ? AF_INET : AF_INET6, SOCK_STREAM, 0));
	return stream_to(fd);
}

static int tcp_mapped(void)
{
	int fd;
	TRY("socket", fd = socket(AF_INET6, SOCK_STREAM, 0));
	to.is_v4 = 0;
	return stream_to(fd);
}

static int tcp_again(void)
{
	int fd;
	TRY("socket", fd = socket(AF_INET, SOCK_STREAM, 0));
	TRY("first connect", connect(fd, OTHER));
	TRY("dissolve", connect(fd, &(struct sockaddr){ .sa_family = AF_UNSPEC },
				sizeof(struct sockaddr)));
	return stream_to(fd);
}

/* From ADDRESS, to where the kernel leads "any" then. */
static int tcp_any_from(void)
{
	struct sockaddr_in from = to.v4, any = to.v4;
	int fd;

	from.sin_port = 0;
	any.sin_addr.s_addr = INADDR_ANY;
	TRY("socket", fd = socket(AF_INET, SOCK_STREAM, 0));
	TRY("bind", bind(fd, (struct sockaddr *)&from, sizeof(from)));
	TRY("connect", connect(fd, (struct sockaddr *)&any, sizeof(any)));
	TRY("send", send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL));
	return answered(fd);
}

static int mptcp(void)
{
	int fd;
	TRY("socket", fd = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP));
	return stream_to(fd);
}

static int fast_sendto(void)
{
	int fd;
	TRY("socket", fd = socket(AF_INET, SOCK_STREAM, 0));
	TRY("send", sendto(fd, bytes, sizeof(bytes), MSG_FASTOPEN, V4));
	return answered(fd);
}

static struct mmsghdr message(struct iovec *vector, void *name, socklen_t length)
{
	*vector = (struct iovec){ bytes, sizeof(bytes) };
	return (struct mmsghdr){ .msg_hdr = { .msg_name = name,
					      .msg_namelen = length,
					      .msg_iov = vector,
					      .msg_iovlen = 1 } };
}

static int fast_sendmsg(void)
{
	struct iovec vector;
	struct mmsghdr one = message(&vector, V4);
	int fd;
	TRY("socket", fd = socket(AF_INET, SOCK_STREAM, 0));
	TRY("send", sendmsg(fd, &one.msg_hdr, MSG_FASTOPEN));
	return answered(fd);
}

static int fast_sendmmsg(void)
{
	struct iovec vector;
	struct mmsghdr one = message(&vector, V4);
	int fd;
	TRY("socket", fd = socket(AF_INET, SOCK_STREAM, 0));
	TRY("send", sendmmsg(fd, &one, 1, MSG_FASTOPEN));
	return answered(fd);
}

static int fast_option(void)
{
	int fd, on = 1;
	TRY("socket", fd = socket(AF_INET, SOCK_STREAM, 0));
	TRY("option", setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on,
				 sizeof(on)));
	return stream_to(fd);
}

static int udp_sendto(void)
{
	int fd;
	TRY("socket", fd = socket(to.is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0));
	if (to.is_v4)
		TRY("send", sendto(fd, bytes, sizeof(bytes), 0, V4));
	else
		TRY("send", sendto(fd, bytes, sizeof(bytes), 0, V6));
	return answered(fd);
}

static int udp_connect(void)
{
	int fd;
	TRY("socket", fd = socket(to.is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0));
	return stream_to(fd);
}

static int udp_sendmsg(void)
{
	struct iovec vector;
	struct mmsghdr one = message(&vector, V4);
	int fd;
	TRY("socket", fd = socket(AF_INET, SOCK_DGRAM, 0));
	TRY("send", sendmsg(fd, &one.msg_hdr, 0));
	return answered(fd);
}

static int udp_sendmmsg(void)
{
	struct iovec vector;
	struct mmsghdr one = message(&vector, V4);
	int fd;
	TRY("socket", fd = socket(AF_INET, SOCK_DGRAM, 0));
	TRY("send", sendmmsg(fd, &one, 1, 0));
	return answered(fd);
}

static int udp_mapped_sendto(void)
{
	int fd;
	TRY("socket", fd = socket(AF_INET6, SOCK_DGRAM, 0));
	TRY("send", sendto(fd, bytes, sizeof(bytes), 0, V6));
	return answered(fd);
}

static int udp_mapped_connect(void)
{
	int fd;
	TRY("socket", fd = socket(AF_INET6, SOCK_DGRAM, 0));
	to.is_v4 = 0;
	return stream_to(fd);
}

static int udp_v4_on_v6(void)
{
	int fd;
	TRY("socket", fd = socket(AF_INET6, SOCK_DGRAM, 0));
	TRY("send", sendto(fd, bytes, sizeof(bytes), 0, V4));
	return answered(fd);
}

static int udp_v4_connect_on_v6(void)
{
	int fd;
	TRY("socket", fd = socket(AF_INET6, SOCK_DGRAM, 0));
	return stream_to(fd);
}

/* A connected socket takes no answer from elsewhere. */
static int udp_connected_elsewhere(void)
{
	int fd;
	TRY("socket", fd = socket(AF_INET, SOCK_DGRAM, 0));
	TRY("first connect", connect(fd, OTHER));
	TRY("send", sendto(fd, bytes, sizeof(bytes), 0, V4));
	return 0;
}

/* With control data and no name the hook sees 0.0.0.0. */
static int udp_control(void)
{
	struct iovec vector;
	struct mmsghdr one = message(&vector, NULL, 0);
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .header = { CMSG_LEN(sizeof(int)), IPPROTO_IP, IP_TTL } };
	int fd, ttl = 64;

	memcpy(CMSG_DATA(&control.header), &ttl, sizeof(ttl));
	one.msg_hdr.msg_control = &control;
	one.msg_hdr.msg_controllen = sizeof(control);
	TRY("socket", fd = socket(AF_INET, SOCK_DGRAM, 0));
	TRY("connect", connect(fd, V4));
	TRY("send", sendmsg(fd, &one.msg_hdr, 0));
	return answered(fd);
}

static int udp_cork(void)
{
	int fd;
	TRY("socket", fd = socket(AF_INET, SOCK_DGRAM, 0));
	TRY("first connect", connect(fd, OTHER));
	TRY("first send", send(fd, bytes, 1, MSG_MORE));
	TRY("send", sendto(fd, bytes, sizeof(bytes), 0, V4));
	return answered(fd);
}

static int udp_broadcast(void)
{
	int fd, on = 1;
	TRY("socket", fd = socket(AF_INET, SOCK_DGRAM, 0));
	TRY("option", setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)));
	to.v4.sin_addr.s_addr |= htonl(255);
	TRY("send", sendto(fd, bytes, sizeof(bytes), 0, V4));
	return 0;
}

static int udp_multicast(void)
{
	/* Out of our own veth pair, whose near end is .1 of the same network. */
	struct in_addr near = { (to.v4.sin_addr.s_addr & htonl(~255U)) | htonl(1) };
	int fd;
	TRY("socket", fd = socket(AF_INET, SOCK_DGRAM, 0));
	TRY("option", setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &near,
				 sizeof(near)));
	to.v4.sin_addr.s_addr = inet_addr("239.1.2.3");
	TRY("send", sendto(fd, bytes, sizeof(bytes), 0, V4));
	return 0;
}

/* A join makes the kernel send reports of its own, which hold bytes of the
 * agent's choice; on the loopback interface, so that outside nothing of the
 * machine's network changes. */
static int join_v4(int option)
{
	struct ip_mreqn old = { .imr_ifindex = 1 };
	struct group_req group = { .gr_interface = 1 };
	int fd;

	old.imr_multiaddr.s_addr = inet_addr("239.1.2.3");
	memcpy(&group.gr_group,
	       &(struct sockaddr_in){ AF_INET, 0, old.imr_multiaddr, { 0 } },
	       sizeof(struct sockaddr_in));
	TRY("socket", fd = socket(AF_INET, SOCK_DGRAM, 0));
	if (option == MCAST_JOIN_GROUP)
		TRY("option", setsockopt(fd, IPPROTO_IP, option, &group, sizeof(group)));
	else
		TRY("option", setsockopt(fd, IPPROTO_IP, option, &old, sizeof(old)));
	return 0;
}

static int join_v6(int option)
{
	struct ipv6_mreq old = { .ipv6mr_interface = 1 };
	struct sockaddr_in6 address = { .sin6_family = AF_INET6 };
	struct group_req group = { .gr_interface = 1 };
	int fd;

	inet_pton(AF_INET6, "ff02::1:2:3", &old.ipv6mr_multiaddr);
	address.sin6_addr = old.ipv6mr_multiaddr;
	memcpy(&group.gr_group, &address, sizeof(address));
	TRY("socket", fd = socket(AF_INET6, SOCK_DGRAM, 0));
	if (option == MCAST_JOIN_GROUP)
		TRY("option", setsockopt(fd, IPPROTO_IPV6, option, &group, sizeof(group)));
	else
		TRY("option", setsockopt(fd, IPPROTO_IPV6, option, &old, sizeof(old)));
	return 0;
}

static int join(void) { return join_v4(IP_ADD_MEMBERSHIP); }
static int join_group(void) { return join_v4(MCAST_JOIN_GROUP); }
static int join_in_v6(void) { return join_v6(IPV6_ADD_MEMBERSHIP); }
static int join_group_in_v6(void) { return join_v6(MCAST_JOIN_GROUP); }

/* What a sender sets, which joins nothing. */
static int hops(void)
{
	int fd, one = 1;
	TRY("socket", fd = socket(AF_INET, SOCK_DGRAM, 0));
	TRY("option", setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &one, sizeof(one)));
	return 0;
}

static int hops_in_v6(void)
{
	int fd, one = 1;
	TRY("socket", fd = socket(AF_INET6, SOCK_DGRAM, 0));
	TRY("option", setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &one,
				 sizeof(one)));
	return 0;
}

static int udplite(void)
{
	int fd;
	TRY("socket", fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE));
	TRY("connect", connect(fd, V4));
	TRY("send", send(fd, bytes, sizeof(bytes), 0));
	return 0;
}

static int ping(void)
{
	char echo[16] = { 8 };
	int fd;
	TRY("socket", fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
	TRY("send", sendto(fd, echo, sizeof(echo), 0, V4));
	return 0;
}

static int raw(void)
{
	int fd;
	TRY("socket", fd = socket(AF_INET, SOCK_RAW, IPPROTO_UDP));
	TRY("send", sendto(fd, bytes, sizeof(bytes), 0, V4));
	return 0;
}

/* Source routing: the hooks see the decoy, the packet goes elsewhere. */
static int route_v6(void)
{
	unsigned char header[24] = { 0, 2, 4 };
	int fd;
	memcpy(header + 8, &to.v6.sin6_addr, 16);
	TRY("socket", fd = socket(AF_INET6, SOCK_DGRAM, 0));
	TRY("option", setsockopt(fd, IPPROTO_IPV6, IPV6_RTHDR, header,
				 sizeof(header)));
	return 0;
}

/* Somebody else's address as one's own. */
static int freebind(int family, int level, int option)
{
	int fd, one = 1;

	TRY("socket", fd = socket(family, SOCK_DGRAM, 0));
	TRY("option", setsockopt(fd, level, option, &one, sizeof(one)));
	return 0;
}

static int freebind_v4(void)
{
	return freebind(AF_INET, IPPROTO_IP, IP_FREEBIND);
}

static int freebind_v6(void)
{
	return freebind(AF_INET6, IPPROTO_IPV6, IPV6_FREEBIND);
}

static int freebind_v4_in_v6(void)
{
	return freebind(AF_INET6, IPPROTO_IP, IP_FREEBIND);
}

static int source_v6(void)
{
	struct in6_pktinfo source = { .ipi6_ifindex = 1 };
	int fd;

	TRY("socket", fd = socket(AF_INET6, SOCK_DGRAM, 0));
	TRY("option", setsockopt(fd, IPPROTO_IPV6, IPV6_PKTINFO, &source,
				 sizeof(source)));
	return 0;
}

static int route_v4(void)
{
	unsigned char options[8] = { 131, 7, 4 };
	int fd;
	memcpy(options + 3, &to.v4.sin_addr, 4);
	TRY("socket", fd = socket(AF_INET, SOCK_DGRAM, 0));
	TRY("option", setsockopt(fd, IPPROTO_IP, IP_OPTIONS, options,
				 sizeof(options)));
	return 0;
}

/* The same by control message, which no setsockopt hook sees: type 2 only, where
 * the kernel has mobile IPv6. */
static int route_v6_control(void)
{
	struct iovec vector;
	struct mmsghdr one = message(&vector, V6);
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(24)];
	} control = { .header = { CMSG_LEN(24), IPPROTO_IPV6, IPV6_RTHDR } };
	unsigned char header[24] = { 0, 2, 2, 1 };
	int fd;

	memcpy(header + 8, &to.v6.sin6_addr, 16);
	memcpy(CMSG_DATA(&control.header), header, sizeof(header));
	one.msg_hdr.msg_control = &control;
	one.msg_hdr.msg_controllen = sizeof(control);
	TRY("socket", fd = socket(AF_INET6, SOCK_DGRAM, 0));
	TRY("send", sendmsg(fd, &one.msg_hdr, 0));
	return answered(fd);
}

static int bind_port(void)
{
	int fd;
	TRY("socket", fd = socket(AF_INET, SOCK_STREAM, 0));
	to.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	TRY("bind", bind(fd, V4));
	TRY("listen", listen(fd, 1));
	return 0;
}

static int bind_udp(void)
{
	int fd;
	TRY("socket", fd = socket(AF_INET, SOCK_DGRAM, 0));
	to.v4.sin_addr.s_addr = INADDR_ANY;
	TRY("bind", bind(fd, V4));
	return 0;
}

static int listen_unbound(void)
{
	int fd;
	TRY("socket", fd = socket(AF_INET, SOCK_STREAM, 0));
	TRY("listen", listen(fd, 1));
	return 0;
}

static const struct way {
	const char *name;
	int (*go)(void);
} ways[] = {
	{ "tcp", tcp }, { "tcp-mapped", tcp_mapped }, { "tcp-again", tcp_again },
	{ "tcp-any-from", tcp_any_from }, { "freebind-v4", freebind_v4 },
	{ "freebind-v6", freebind_v6 }, { "freebind-v4-in-v6", freebind_v4_in_v6 },
	{ "source-v6", source_v6 },
	{ "mptcp", mptcp }, { "fast-sendto", fast_sendto },
	{ "fast-sendmsg", fast_sendmsg }, { "fast-sendmmsg", fast_sendmmsg },
	{ "fast-option", fast_option }, { "udp-sendto", udp_sendto },
	{ "udp-connect", udp_connect }, { "udp-sendmsg", udp_sendmsg },
	{ "udp-sendmmsg", udp_sendmmsg },
	{ "udp-mapped-sendto", udp_mapped_sendto },
	{ "udp-mapped-connect", udp_mapped_connect },
	{ "udp-v4-on-v6", udp_v4_on_v6 },
	{ "udp-v4-connect-on-v6", udp_v4_connect_on_v6 },
	{ "udp-connected-elsewhere", udp_connected_elsewhere },
	{ "udp-control", udp_control }, { "udp-cork", udp_cork },
	{ "udp-broadcast", udp_broadcast }, { "udp-multicast", udp_multicast },
	{ "join-v4", join }, { "join-v4-group", join_group },
	{ "join-v6", join_in_v6 }, { "join-v6-group", join_group_in_v6 },
	{ "hops-v4", hops }, { "hops-v6", hops_in_v6 },
	{ "udplite", udplite }, { "ping", ping }, { "raw", raw },
	{ "route-v6", route_v6 }, { "route-v4", route_v4 },
	{ "route-v6-control", route_v6_control }, { "bind", bind_port },
	{ "bind-udp", bind_udp }, { "listen", listen_unbound },
};

/* ADDRESS goes into v6 too, mapped if it is IPv4. */
static int parse(const char *address, const char *port)
{
	char mapped[64];

	to.v4 = (struct sockaddr_in){ .sin_family = AF_INET };
	to.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
	to.v4.sin_port = to.v6.sin6_port = htons((uint16_t)strtoul(port, NULL, 10));
	to.is_v4 = inet_pton(AF_INET, address, &to.v4.sin_addr) == 1;
	snprintf(mapped, sizeof(mapped), "%s%.45s", to.is_v4 ? "::ffff:" : "", address);
	return inet_pton(AF_INET6, mapped, &to.v6.sin6_addr) == 1;
}

int main(int argc, char **argv)
{
	if (argc < 4 || !parse(argv[2], argv[3]))
		return 2;
	to.other = to.v4;
	if (argc > 4 && inet_pton(AF_INET, argv[4], &to.other.sin_addr) != 1)
		return 2;
	if (argc > 5)
		snprintf(bytes, sizeof(bytes), "%s", argv[5]);
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		if (strcmp(ways[i].name, argv[1]))
			continue;
		int result = ways[i].go();
		if (result < 0)
			printf("%s %s\n", step, strerrorname_np(errno));
		else
			puts("done");
		return result < 0;
	}
	return 2;
}
