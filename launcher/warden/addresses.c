/* SPDX-License-Identifier: Apache-2.0 */
/* The node's own addresses: see addresses.h. */
#include "addresses.h"

#include "base/own.h"
#include "timer.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define MOST 4096
#define AGAIN_MS 1000	/* after the list could not be read */
#define WIDEST_BITS 8	/* of a local route whose addresses are listed one by one */

static uint8_t addresses[MOST][16];
static size_t count;

static void put(int family, const void *bytes)
{
	if (count++ >= MOST)
		return;
	uint8_t *address = addresses[count - 1];
	memset(address, 0, 16);
	if (family == AF_INET6) {
		memcpy(address, bytes, 16);
	} else {
		address[10] = address[11] = 0xff;
		memcpy(address + 12, bytes, 4);
	}
}

static size_t length_of(int family)
{
	return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

static void add_address(const struct nlmsghdr *header)
{
	const struct ifaddrmsg *about = NLMSG_DATA(header);
	int length = (int)IFA_PAYLOAD(header);

	for (struct rtattr *part = IFA_RTA(about); RTA_OK(part, length);
	     part = RTA_NEXT(part, length))
		/* IFA_ADDRESS is the peer on point-to-point links. */
		if ((part->rta_type == IFA_LOCAL || part->rta_type == IFA_ADDRESS) &&
		    length_of(about->ifa_family) &&
		    RTA_PAYLOAD(part) == length_of(about->ifa_family))
			put(about->ifa_family, RTA_DATA(part));
}

/* Of the table "local" alone: what the node takes for itself. */
static int is_local(const struct nlmsghdr *header)
{
	const struct rtmsg *about = NLMSG_DATA(header);

	return about->rtm_table == RT_TABLE_LOCAL &&
	       (about->rtm_type == RTN_LOCAL || about->rtm_type == RTN_BROADCAST ||
		about->rtm_type == RTN_ANYCAST);
}

/* Broadcast and anycast addresses, and those that are routed here without being an
 * interface's.  Of a wide route (loopback has one) the addresses are not listed. */
static void add_route(const struct nlmsghdr *header)
{
	const struct rtmsg *about = NLMSG_DATA(header);
	int bytes = (int)length_of(about->rtm_family);
	int length = (int)RTM_PAYLOAD(header);
	uint8_t to[16];

	if (!bytes || !is_local(header) ||
	    about->rtm_dst_len + WIDEST_BITS < 8 * bytes)
		return;
	for (struct rtattr *part = RTM_RTA(about); RTA_OK(part, length);
	     part = RTA_NEXT(part, length)) {
		if (part->rta_type != RTA_DST || RTA_PAYLOAD(part) != (size_t)bytes)
			continue;
		memcpy(to, RTA_DATA(part), (size_t)bytes);
		for (unsigned i = 0; i < 1U << (8 * bytes - about->rtm_dst_len);
		     i++, to[bytes - 1]++)
			put(about->rtm_family, to);
	}
}

/* Takes one packet of a dump.  Returns 1 when it was the last. */
static int take(char *packet, ssize_t length, struct error *error)
{
	for (struct nlmsghdr *header = (struct nlmsghdr *)packet;
	     NLMSG_OK(header, length); header = NLMSG_NEXT(header, length)) {
		if (header->nlmsg_type == NLMSG_DONE)
			return 1;
		if (header->nlmsg_type == NLMSG_ERROR)
			return error_set(error, EIO, "addresses: the kernel "
					 "refused to list them");
		if (header->nlmsg_type == RTM_NEWADDR)
			add_address(header);
		if (header->nlmsg_type == RTM_NEWROUTE)
			add_route(header);
	}
	return 0;
}

static int dump(int fd, const void *request, size_t size, struct error *error)
{
	static _Alignas(8) char packet[32768];
	int last = 0;

	if (send(fd, request, size, 0) < 0)
		return error_errno(error, errno, "addresses");
	while (!last) {
		ssize_t length = recv(fd, packet, sizeof(packet), 0);
		if (length <= 0)
			return error_errno(error, errno, "addresses");
		last = take(packet, length, error);
	}
	return last < 0 ? last : 0;
}

static int dump_routes(int fd, unsigned char family, struct error *error)
{
	struct {
		struct nlmsghdr header;
		struct rtmsg about;
	} request = {
		.header = { .nlmsg_len = sizeof(request),
			    .nlmsg_type = RTM_GETROUTE,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.about = { .rtm_family = family, .rtm_table = RT_TABLE_LOCAL },
	};

	return dump(fd, &request, sizeof(request), error);
}

static int refresh(struct warden *warden, struct error *error)
{
	struct {
		struct nlmsghdr header;
		struct ifaddrmsg about;
	} request = {
		.header = { .nlmsg_len = sizeof(request),
			    .nlmsg_type = RTM_GETADDR,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
	};
	int strict = 1;	/* the kernel leaves out the other tables, which may be long */
	OWN_FD fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0 || setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &strict,
				 sizeof(strict)) < 0)
		return error_errno(error, errno, "addresses");
	count = 0;
	int failed = dump(fd, &request, sizeof(request), error);
	if (!failed)
		failed = dump_routes(fd, AF_INET, error);
	if (!failed)
		failed = dump_routes(fd, AF_INET6, error);
	if (failed)
		return failed;
	/* What is left out would be taken for somebody else's. */
	if (count > MOST)
		return error_set(error, ENOSPC, "addresses: the node has %zu, and no "
				 "more than %d can be kept from its agents", count, MOST);
	return kernel_own_addresses(warden->kernel, addresses, count, error);
}

/* Whether a packet of changes is about what the node takes for itself. */
static int concerns(char *packet, ssize_t length)
{
	for (struct nlmsghdr *header = (struct nlmsghdr *)packet;
	     NLMSG_OK(header, length); header = NLMSG_NEXT(header, length)) {
		int route = header->nlmsg_type == RTM_NEWROUTE ||
			    header->nlmsg_type == RTM_DELROUTE;
		if (!route || is_local(header))
			return 1;
	}
	return 0;
}

/* While the list is not the node's, one of its addresses may be in a block that is
 * listed: nothing new goes out, nothing is launched. */
static void renew(struct warden *warden, void *data)
{
	struct error error = { 0 }, ignored = { 0 };
	int before = warden->addresses_error;

	(void)data;
	timer_forget(warden, &warden->addresses);
	warden->addresses_error = -refresh(warden, &error);
	if (warden->addresses_error) {
		fprintf(stderr, "ambitd: %s\n", error.text);
		timer_once(warden, AGAIN_MS, renew, &warden->addresses);
	}
	if (before != warden->addresses_error)
		kernel_admit(warden->kernel, !warden->addresses_error &&
						     !warden->log_error, &ignored);
}

static void changed(struct source *source, uint32_t events)
{
	static _Alignas(8) char packet[32768];
	struct warden *warden = source->owner;
	ssize_t length;
	int anew = 0;

	(void)events;
	while ((length = recv(source->fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0)
		anew |= concerns(packet, length);
	/* The list is read anew, not followed: some were lost. */
	anew |= length < 0 && errno == ENOBUFS;
	if (anew)
		renew(warden, NULL);
}

int addresses_open(struct warden *warden, struct error *error)
{
	struct sockaddr_nl groups = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
			     RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
	};
	/* First the subscription, so that no change falls between. */
	OWN_FD fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0 || bind(fd, (struct sockaddr *)&groups, sizeof(groups)) < 0)
		return error_errno(error, errno, "addresses");
	int failed = refresh(warden, error);
	if (failed)
		return failed;
	warden->addresses = (struct source){ own_take_fd(&fd), changed, warden };
	failed = loop_add(&warden->loop, &warden->addresses, EPOLLIN);
	return failed ? error_errno(error, -failed, "addresses") : 0;
}
