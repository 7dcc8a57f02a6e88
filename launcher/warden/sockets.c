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
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#define AT_ONCE 512	/* found in one dump, destroyed before the next */

struct found {
	uint8_t family, protocol;
	struct inet_diag_sockid id;
};

/* Which sockets of a cgroup are meant. */
struct choice {
	uint64_t cgroup_id;
	/* Those that were let through by withdrawn entries; else all. */
	const uint8_t *withdrawn;
	uint64_t instance;
	int flows;
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
	struct nlattr storages, storage;	/* left out where all are meant */
	uint32_t map;
} __attribute__((packed));

/* The first attribute of `type` among `length` bytes, and the size of its value;
 * NULL: there is none.  (The kernel's own: aligned and whole.) */
static const void *find_attribute(const void *bytes, size_t length, int type,
				  size_t *ret_size)
{
	const char *at = bytes;

	while (length >= sizeof(struct nlattr)) {
		const struct nlattr *attribute = (const void *)at;
		size_t step = NLA_ALIGN(attribute->nla_len);
		if (attribute->nla_len < sizeof(*attribute) || step > length)
			return NULL;
		if ((attribute->nla_type & NLA_TYPE_MASK) == type) {
			*ret_size = attribute->nla_len - sizeof(*attribute);
			return at + sizeof(*attribute);
		}
		at += step;
		length -= step;
	}
	return NULL;
}

static const struct ambit_flow *flow_of(const struct nlmsghdr *header)
{
	const struct inet_diag_msg *one = NLMSG_DATA(header);
	size_t size = header->nlmsg_len - NLMSG_LENGTH(sizeof(*one));
	const void *at = find_attribute(one + 1, size, INET_DIAG_SK_BPF_STORAGES,
					&size);
	if (at)
		at = find_attribute(at, size, SK_DIAG_BPF_STORAGE, &size);
	if (at)
		at = find_attribute(at, size, SK_DIAG_BPF_STORAGE_MAP_VALUE, &size);
	return at && size >= sizeof(struct ambit_flow) ? at : NULL;
}

/* An address of sock_diag's as the kernel programs have it. */
static void mapped_address(const struct inet_diag_msg *one, uint8_t ret_address[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	memcpy(ret_address, one->id.idiag_dst, 16);
	if (one->idiag_family != AF_INET)
		return;
	memcpy(ret_address, mapped, sizeof(mapped));
	memcpy(ret_address + sizeof(mapped), one->id.idiag_dst, 4);
}

/* Whether what the socket is connected to was let through by a withdrawn entry.
 * The rules may lead there by another entry too; it was not opened by that one. */
static int is_withdrawn(const struct choice *choice, const struct nlmsghdr *header,
			uint8_t protocol)
{
	const struct inet_diag_msg *one = NLMSG_DATA(header);
	const struct ambit_flow *flow = flow_of(header);
	uint8_t address[16];

	if (!flow || flow->instance != choice->instance || !one->id.idiag_dport)
		return 0;
	mapped_address(one, address);
	for (int i = 0; i < AMBIT_FLOW_KNOWN; i++)
		/* TCP uses the first alone, and may have been led elsewhere. */
		if (flow->known[i].port && flow->known[i].entry < AMBIT_EGRESS &&
		    choice->withdrawn[flow->known[i].entry] &&
		    (protocol == IPPROTO_TCP ||
		     (flow->known[i].port == ntohs(one->id.idiag_dport) &&
		      !memcmp(flow->known[i].address, address, sizeof(address)))))
			return 1;
	return 0;
}

static unsigned take(const char *packet, ssize_t length, uint8_t protocol,
		     const struct choice *choice, struct found *ret_found,
		     unsigned room, int *ret_last)
{
	unsigned count = 0;
	size_t left = (size_t)length;

	for (const struct nlmsghdr *header = (const void *)packet;
	     NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
		if (header->nlmsg_type == NLMSG_DONE) {
			*ret_last = 1;
			break;
		}
		if (header->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *said = NLMSG_DATA(header);
			*ret_last = said->error < 0 ? said->error : -EPROTO;
			break;
		}
		const struct inet_diag_msg *one = NLMSG_DATA(header);
		if (choice->withdrawn && !is_withdrawn(choice, header, protocol))
			continue;
		if (count < room)
			ret_found[count++] = (struct found){
				.family = one->idiag_family, .protocol = protocol,
				.id = one->id };
	}
	return count;
}

#define ROUNDS 16

/* How many were found, or a negative errno.  -ENOENT: this kernel lists no such
 * sockets; what they send is dropped all the same. */
static int list(int fd, uint8_t family, uint8_t protocol,
		     const struct choice *choice, struct found *ret_found)
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
				 sizeof(dump.condition) + 4 }, choice->cgroup_id },
		.storages = { sizeof(dump.storages) + sizeof(dump.storage) +
				      sizeof(dump.map),
			      INET_DIAG_REQ_SK_BPF_STORAGES },
		.storage = { sizeof(dump.storage) + sizeof(dump.map),
			     SK_DIAG_BPF_STORAGE_REQ_MAP_FD },
		.map = (uint32_t)choice->flows,
	};
	if (!choice->withdrawn)
		dump.header.nlmsg_len = offsetof(struct dump, storages);
	unsigned count = 0;
	int last = 0;

	if (send(fd, &dump, dump.header.nlmsg_len, 0) < 0)
		return -errno;
	while (!last) {
		ssize_t length = recv(fd, packet, sizeof(packet), 0);
		if (length <= 0)
			return length < 0 ? -errno : -EPROTO;
		count += take(packet, length, protocol, choice,
			      ret_found + count, AT_ONCE - count, &last);
	}
	return last < 0 ? last : (int)count;
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
	struct {
		struct nlmsghdr header;
		struct nlmsgerr said;	/* … and the order, which is not looked at */
	} answer;

	if (send(fd, &order, sizeof(order), 0) < 0)
		return -errno;
	ssize_t length = recv(fd, &answer, sizeof(answer), 0);
	if (length < 0)
		return -errno;
	if ((size_t)length < sizeof(answer) || answer.header.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	/* It closed meanwhile, or its place is another's already. */
	if (answer.said.error == -ENOENT || answer.said.error == -ESTALE)
		return 0;
	return answer.said.error;
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

/* Of one family and protocol.  Bounded: a socket that can't be destroyed is found
 * again. */
static int destroy_kind(int fd, uint8_t family, uint8_t protocol,
			const struct choice *choice)
{
	static struct found found[AT_ONCE];
	int count = AT_ONCE, refused = 0;

	for (int round = 0; round < ROUNDS && (count == AT_ONCE || refused); round++) {
		count = list(fd, family, protocol, choice, found);
		if (count < 0)
			return count == -ENOENT ? 0 : count;
		refused = 0;
		for (int i = 0; i < count; i++) {
			int failed = destroy(fd, &found[i]);
			/* One that closes at this moment can't be, and is not
			 * found again (TIME_WAIT has no cgroup). */
			if (failed == -EOPNOTSUPP)
				refused = failed;
			else if (failed)
				return failed;
		}
	}
	return refused ? refused : count == AT_ONCE ? -EBUSY : 0;
}

static int destroy_chosen(const struct choice *choice)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP };
	OWN_FD fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
			   NETLINK_SOCK_DIAG);
	int failed = fd < 0 ? -errno : 0;

	for (int i = 0; i < 4 && !failed; i++)
		failed = destroy_kind(fd, families[i / 2], protocols[i % 2], choice);
	return failed;
}

int sockets_destroy(uint64_t cgroup_id)
{
	const struct choice choice = { .cgroup_id = cgroup_id };

	return destroy_chosen(&choice);
}

int sockets_withdraw(uint64_t cgroup_id, int flows, uint64_t instance,
		     const uint8_t *withdrawn)
{
	const struct choice choice = { cgroup_id, withdrawn, instance, flows };

	return destroy_chosen(&choice);
}
