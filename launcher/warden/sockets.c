/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets of a cgroup: see sockets.h.  sock_diag(7) lists them by the cgroup that
 * made them (5.8) and destroys them (4.9, CONFIG_INET_DIAG_DESTROY).
 */
#include "sockets.h"

#include "base/own.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define AT_ONCE 512	/* found in one dump, destroyed before the next */

struct found {
	uint8_t family, protocol;
	struct inet_diag_sockid id;
};

/* One condition of the kernel's filter language: jump distances are in bytes;
 * "no" leaves the program behind its end, which rejects. */
struct cgroup_condition {
	struct inet_diag_bc_op op;
	uint64_t cgroup_id;
} __attribute__((packed));

struct dump {
	struct nlmsghdr header;
	struct inet_diag_req_v2 request;
	struct nlattr attribute;
	struct cgroup_condition condition;
} __attribute__((packed));

static unsigned take(const char *packet, ssize_t length, uint8_t protocol,
		     struct found *ret_found, unsigned room, int *ret_last)
{
	unsigned count = 0;
	size_t left = (size_t)length;

	for (const struct nlmsghdr *header = (const void *)packet;
	     NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
		if (header->nlmsg_type == NLMSG_DONE ||
		    header->nlmsg_type == NLMSG_ERROR) {
			*ret_last = 1;
			break;
		}
		const struct inet_diag_msg *one = NLMSG_DATA(header);
		if (count < room)
			ret_found[count++] = (struct found){
				one->idiag_family, protocol, one->id };
	}
	return count;
}

static unsigned list(int fd, uint8_t family, uint8_t protocol,
		     uint64_t cgroup_id, struct found *ret_found)
{
	static _Alignas(8) char packet[32768];
	struct dump dump = {
		.header = { .nlmsg_len = sizeof(dump),
			    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.request = { .sdiag_family = family,
			     .sdiag_protocol = protocol, .idiag_states = ~0U },
		.attribute = { sizeof(dump.attribute) + sizeof(dump.condition),
			       INET_DIAG_REQ_BYTECODE },
		.condition = { { INET_DIAG_BC_CGROUP_COND,
				 sizeof(dump.condition),
				 sizeof(dump.condition) + 4 }, cgroup_id },
	};
	unsigned count = 0;
	int last = 0;

	if (send(fd, &dump, sizeof(dump), 0) < 0)
		return 0;
	while (!last) {
		ssize_t length = recv(fd, packet, sizeof(packet), 0);
		if (length <= 0)
			break;
		count += take(packet, length, protocol, ret_found + count,
			      AT_ONCE - count, &last);
	}
	return count;
}

static int destroy(int fd, const struct found *found)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
	} order = {
		.header = { .nlmsg_len = sizeof(order),
			    .nlmsg_type = SOCK_DESTROY,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.request = { .sdiag_family = found->family,
			     .sdiag_protocol = found->protocol,
			     .idiag_states = ~0U, .id = found->id },
	};
	char answer[256];

	if (send(fd, &order, sizeof(order), 0) < 0 ||
	    recv(fd, answer, sizeof(answer), 0) < 0)
		return -errno;
	return 0;
}

/* The kernel finds a socket of IPv6 with a mapped address by its IPv4 one. */
static struct found found_of(const struct ambit_condemned *condemned)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	int v4 = !memcmp(condemned->address, mapped, sizeof(mapped));
	size_t from = v4 ? sizeof(mapped) : 0;
	struct found found = {
		.family = v4 ? AF_INET : AF_INET6,
		.protocol = IPPROTO_TCP,
		.id = {
			.idiag_sport = htons(condemned->local_port),
			.idiag_dport = htons(condemned->port),
			.idiag_if = condemned->device,
			.idiag_cookie = { (uint32_t)condemned->cookie,
					  (uint32_t)(condemned->cookie >> 32) },
		},
	};

	memcpy(found.id.idiag_src, condemned->local_address + from, 16 - from);
	memcpy(found.id.idiag_dst, condemned->address + from, 16 - from);
	return found;
}

int sockets_destroy_one(const struct ambit_condemned *condemned)
{
	struct found found = found_of(condemned);
	OWN_FD fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
			   NETLINK_SOCK_DIAG);

	return fd < 0 ? -errno : destroy(fd, &found);
}

int sockets_destroy(uint64_t cgroup_id)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP };
	static struct found found[AT_ONCE];
	OWN_FD fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
			   NETLINK_SOCK_DIAG);
	if (fd < 0)
		return -errno;
	for (int i = 0; i < 4; i++) {
		unsigned count = AT_ONCE;
		/* Bounded: a socket that can't be destroyed is found again. */
		for (int round = 0; round < 16 && count == AT_ONCE; round++) {
			count = list(fd, families[i / 2], protocols[i % 2],
				     cgroup_id, found);
			for (unsigned j = 0; j < count; j++) {
				int failed = destroy(fd, &found[j]);
				if (failed)
					return failed;
			}
		}
	}
	return 0;
}
