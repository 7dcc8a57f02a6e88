/* SPDX-License-Identifier: Apache-2.0 */
/* The node's own addresses: see addresses.h. */
#include "addresses.h"

#include "base/own.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define MOST 4096

static uint8_t addresses[MOST][16];
static size_t count;

static void add(const struct nlmsghdr *header)
{
	const struct ifaddrmsg *about = NLMSG_DATA(header);
	int length = (int)IFA_PAYLOAD(header);

	for (struct rtattr *part = IFA_RTA(about); RTA_OK(part, length);
	     part = RTA_NEXT(part, length)) {
		/* IFA_ADDRESS is the peer on point-to-point links. */
		if (part->rta_type != IFA_LOCAL && part->rta_type != IFA_ADDRESS)
			continue;
		if (count == MOST)
			return;
		uint8_t *address = addresses[count];
		memset(address, 0, 16);
		if (about->ifa_family == AF_INET && RTA_PAYLOAD(part) == 4) {
			address[10] = address[11] = 0xff;
			memcpy(address + 12, RTA_DATA(part), 4);
		} else if (about->ifa_family == AF_INET6 &&
			   RTA_PAYLOAD(part) == 16) {
			memcpy(address, RTA_DATA(part), 16);
		} else {
			continue;
		}
		count++;
	}
}

/* Takes one packet of the dump.  Returns 1 when it was the last. */
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
			add(header);
	}
	return 0;
}

static int refresh(struct warden *warden, struct error *error)
{
	static _Alignas(8) char packet[32768];
	struct {
		struct nlmsghdr header;
		struct ifaddrmsg about;
	} request = {
		.header = { .nlmsg_len = sizeof(request),
			    .nlmsg_type = RTM_GETADDR,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
	};
	OWN_FD fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0)
		return error_errno(error, errno, "addresses");
	int last = 0;
	count = 0;
	while (!last) {
		ssize_t length = recv(fd, packet, sizeof(packet), 0);
		if (length <= 0)
			return error_errno(error, errno, "addresses");
		last = take(packet, length, error);
	}
	if (last < 0)
		return last;
	return kernel_own_addresses(warden->kernel, addresses, count, error);
}

static void changed(struct source *source, uint32_t events)
{
	static char packet[32768];
	struct warden *warden = source->owner;
	struct error error = { 0 };

	(void)events;
	while (recv(source->fd, packet, sizeof(packet), MSG_DONTWAIT) > 0)
		continue;
	/* Also after ENOBUFS: the list is read anew, not followed. */
	if (refresh(warden, &error) < 0)
		fprintf(stderr, "ambitd: %s\n", error.text);
}

int addresses_open(struct warden *warden, struct error *error)
{
	struct sockaddr_nl groups = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
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
