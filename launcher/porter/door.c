/* SPDX-License-Identifier: Apache-2.0 */
/* Where the agents' questions come in: see door.h. */
#include "door.h"

#include "base/own.h"

#include <ambit/kernel.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#define IDLE_MS 10000		/* a connection that asks nothing ends */
#define BATCH 64		/* datagrams of one round: others wait too */
#define TRIES 16		/* ports, until one is free for both */
#define QUIET_LOW 16384U
#define QUIET_COUNT 16384U

struct connection {
	int fd;			/* -1: free */
	uint32_t slot;
	uint64_t serial;
	struct in_addr local;
	int busy;		/* its question is being looked up */
	uint64_t ends_ms;
	size_t length;
	uint8_t bytes[2 + DOOR_QUESTION];
};

struct door {
	int udp, tcp;
	uint16_t port;
	uint64_t serial;
	struct connection connections[DOOR_CONNECTIONS];
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The slot that an address of ours stands for, or -1. */
static int slot_of(struct in_addr address)
{
	uint32_t offset = ntohl(address.s_addr) - AMBIT_ASKERS;

	return offset < AMBIT_SLOTS ? (int)offset : -1;
}

/* A port below those that the kernel gives to connections. */
static uint16_t quiet_port(void)
{
	uint16_t dice = 0;

	if (getrandom(&dice, sizeof(dice), 0) != sizeof(dice))
		dice = 0;
	return (uint16_t)(QUIET_LOW + dice % QUIET_COUNT);
}

/* Port 0: the kernel picks one. */
static int bind_pair(struct door *door, uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port) };
	socklen_t size = sizeof(address);
	int on = 1;

	door->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	door->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (door->udp < 0 || door->tcp < 0 ||
	    setsockopt(door->udp, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0 ||
	    bind(door->tcp, (struct sockaddr *)&address, size) < 0 ||
	    getsockname(door->tcp, (struct sockaddr *)&address, &size) < 0 ||
	    bind(door->udp, (struct sockaddr *)&address, size) < 0 ||
	    listen(door->tcp, DOOR_CONNECTIONS) < 0)
		return -errno;
	door->port = ntohs(address.sin_port);
	return 0;
}

int door_open(struct door **ret_door, struct error *error)
{
	struct door *door = calloc(1, sizeof(*door));
	int failed = -EADDRINUSE;

	if (!door)
		return error_errno(error, ENOMEM, "names");
	for (int i = 0; i < DOOR_CONNECTIONS; i++)
		door->connections[i].fd = -1;
	door->udp = door->tcp = -1;
	for (int i = 0; i < TRIES && failed == -EADDRINUSE; i++) {
		own_close(&door->udp);
		own_close(&door->tcp);
		/* Connections that were closed lately may hold every port that
		 * the kernel picks from: it gives none then. */
		failed = bind_pair(door, i % 2 ? quiet_port() : 0);
	}
	if (failed) {
		door_close(door);
		return error_errno(error, -failed, "names: sockets");
	}
	*ret_door = door;
	return 0;
}

void door_close(struct door *door)
{
	if (!door)
		return;
	for (int i = 0; i < DOOR_CONNECTIONS; i++)
		own_close(&door->connections[i].fd);
	own_close(&door->udp);
	own_close(&door->tcp);
	free(door);
}

uint16_t door_port(const struct door *door)
{
	return door->port;
}

size_t door_room(const struct door_guest *guest, size_t udp)
{
	return guest->connection < 0 ? udp : UINT16_MAX;
}

/* ---- answers --------------------------------------------------------------- */

/* From the address that was asked; the source is chosen by the kernel else. */
static void answer_datagram(struct door *door, const struct door_guest *guest,
			    uint8_t *bytes, size_t length)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct sockaddr_in peer = guest->peer;
	struct iovec part = { bytes, length };
	struct msghdr packet = {
		.msg_name = &peer, .msg_namelen = sizeof(peer),
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct in_pktinfo info = { .ipi_spec_dst = guest->local };
	struct cmsghdr *header = CMSG_FIRSTHDR(&packet);

	header->cmsg_level = IPPROTO_IP;
	header->cmsg_type = IP_PKTINFO;
	header->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(header), &info, sizeof(info));
	/* Lost: the agent asks again, as with any resolver. */
	if (sendmsg(door->udp, &packet, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

void door_answer(struct door *door, const struct door_guest *guest,
		 uint8_t *bytes, size_t length)
{
	if (guest->connection < 0) {
		if (length)
			answer_datagram(door, guest, bytes, length);
		return;
	}
	struct connection *connection = &door->connections[guest->connection];
	uint8_t prefix[2] = { (uint8_t)(length >> 8), (uint8_t)length };
	struct iovec parts[2] = { { prefix, 2 }, { bytes, length } };
	struct msghdr packet = { .msg_iov = parts, .msg_iovlen = 2 };

	if (connection->fd < 0 || connection->serial != guest->serial)
		return;	/* it left */
	connection->busy = 0;
	connection->ends_ms = now_ms() + IDLE_MS;
	/* An answer that does not fit the buffer is to somebody who does not
	 * read. */
	if (!length || sendmsg(connection->fd, &packet,
			       MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)length + 2)
		own_close(&connection->fd);
}

/* ---- questions -------------------------------------------------------------- */

static int take_datagram(struct door *door, door_take *take, void *data)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
		struct cmsghdr align;
	} control;
	struct door_guest guest = { .connection = -1 };
	uint8_t bytes[DOOR_QUESTION];
	struct iovec part = { bytes, sizeof(bytes) };
	struct msghdr packet = {
		.msg_name = &guest.peer, .msg_namelen = sizeof(guest.peer),
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct in_pktinfo info;
	int slot = -1;

	ssize_t length = recvmsg(door->udp, &packet, MSG_DONTWAIT);
	if (length < 0)
		return -errno;
	struct cmsghdr *header = CMSG_FIRSTHDR(&packet);
	if (header && header->cmsg_level == IPPROTO_IP &&
	    header->cmsg_type == IP_PKTINFO) {
		memcpy(&info, CMSG_DATA(header), sizeof(info));
		guest.local = info.ipi_addr;
		slot = slot_of(info.ipi_addr);
	}
	if (slot < 0 || packet.msg_flags & MSG_TRUNC)
		return 0;
	guest.slot = (uint32_t)slot;
	return take(data, &guest, bytes, (size_t)length);
}

static void accept_one(struct door *door)
{
	struct sockaddr_in local;
	socklen_t size = sizeof(local);
	struct connection *free_one = NULL;
	unsigned same = 0;

	OWN_FD fd = accept4(door->tcp, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 || getsockname(fd, (struct sockaddr *)&local, &size) < 0)
		return;
	int slot = slot_of(local.sin_addr);
	for (int i = 0; i < DOOR_CONNECTIONS; i++) {
		struct connection *connection = &door->connections[i];
		if (connection->fd < 0)
			free_one = connection;
		else if ((int)connection->slot == slot)
			same++;
	}
	if (slot < 0 || !free_one || same >= DOOR_CONNECTIONS_EACH)
		return;
	*free_one = (struct connection){
		.fd = own_take_fd(&fd), .slot = (uint32_t)slot,
		.serial = ++door->serial, .local = local.sin_addr,
		.ends_ms = now_ms() + IDLE_MS,
	};
}

/* Bytes of the question that stands first in the buffer, or 0; too long: more
 * than the buffer. */
static size_t whole(const struct connection *connection)
{
	if (connection->length < 2)
		return 0;
	size_t length = (size_t)connection->bytes[0] << 8 | connection->bytes[1];
	if (length > DOOR_QUESTION)
		return SIZE_MAX;
	return connection->length >= length + 2 ? length + 2 : 0;
}

static int take_stream(struct door *door, int index, int readable,
		       door_take *take, void *data)
{
	struct connection *connection = &door->connections[index];

	if (readable && !connection->busy) {
		ssize_t got = recv(connection->fd,
				   connection->bytes + connection->length,
				   sizeof(connection->bytes) - connection->length,
				   MSG_DONTWAIT);
		if (got == 0 || (got < 0 && errno != EAGAIN))
			own_close(&connection->fd);
		else if (got > 0)
			connection->length += (size_t)got;
	}
	size_t length = connection->fd < 0 || connection->busy ?
				0 : whole(connection);
	if (length == SIZE_MAX)
		own_close(&connection->fd);
	if (!length || length == SIZE_MAX)
		return 0;
	struct door_guest guest = { connection->slot, index, connection->serial,
				    { 0 }, connection->local };
	uint8_t bytes[DOOR_QUESTION];
	memcpy(bytes, connection->bytes + 2, length - 2);
	connection->length -= length;
	memmove(connection->bytes, connection->bytes + length, connection->length);
	connection->busy = 1;
	return take(data, &guest, bytes, length - 2);
}

unsigned door_watch(struct door *door, struct pollfd *ret_sockets,
		    int *timeout_ms)
{
	unsigned count = 2;
	uint64_t now = now_ms();

	ret_sockets[0] = (struct pollfd){ door->udp, POLLIN, 0 };
	ret_sockets[1] = (struct pollfd){ door->tcp, POLLIN, 0 };
	for (int i = 0; i < DOOR_CONNECTIONS; i++) {
		struct connection *connection = &door->connections[i];
		if (connection->fd < 0)
			continue;
		/* Busy ones are heard again when they are answered.  Without any
		 * event poll would still say that the peer has hung up, at once
		 * and every time: a reset would keep the processor busy. */
		if (!connection->busy)
			ret_sockets[count++] = (struct pollfd){
				connection->fd, POLLIN, 0 };
		int left = connection->ends_ms <= now || (!connection->busy &&
							 whole(connection)) ?
				   0 : (int)(connection->ends_ms - now);
		if (*timeout_ms < 0 || left < *timeout_ms)
			*timeout_ms = left;
	}
	return count;
}

int door_has(const struct door *door, int fd)
{
	for (int i = 0; i < DOOR_CONNECTIONS; i++)
		if (door->connections[i].fd == fd)
			return 1;
	return 0;
}

static int is_readable(const struct pollfd *sockets, unsigned count, int fd)
{
	for (unsigned i = 2; i < count; i++)
		if (sockets[i].fd == fd)
			return sockets[i].revents != 0;
	return 0;
}

int door_work(struct door *door, const struct pollfd *sockets, unsigned count,
	      door_take *take, void *data)
{
	uint64_t now = now_ms();
	int result = 0;

	for (int i = 0; i < DOOR_CONNECTIONS && result >= 0; i++) {
		struct connection *connection = &door->connections[i];
		if (connection->fd < 0)
			continue;
		result = take_stream(door, i,
				     is_readable(sockets, count, connection->fd),
				     take, data);
		if (connection->fd >= 0 && connection->ends_ms <= now)
			own_close(&connection->fd);
	}
	for (int i = 0; i < BATCH && result >= 0 && sockets[0].revents; i++)
		result = take_datagram(door, take, data);
	if (result == -EAGAIN || result == -ECONNREFUSED)
		result = 0;
	if (sockets[1].revents)
		accept_one(door);
	return result < 0 ? result : 0;
}
