/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed messages: one row a type says how long its body is, how many
 * descriptors it carries and where its texts stand.  See message.h.
 */
#include "message.h"

#include "own.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define TEXTS 12

struct text {
	size_t offset, size;
};

#define TEXT(type, member) \
	{ offsetof(struct type, member), sizeof(((struct type *)0)->member) }

static const struct row {
	size_t length;
	int fds;
	struct text texts[TEXTS];
} rows[AMBIT_MESSAGE_LIMIT] = {
	[AMBIT_MESSAGE_RINGS] = { sizeof(struct ambit_rings), 3,
		{ TEXT(ambit_rings, boot_id) } },
	[AMBIT_MESSAGE_OPEN] = { sizeof(struct ambit_open), 0,
		{ TEXT(ambit_open, id), TEXT(ambit_open, name),
		  TEXT(ambit_open, profile), TEXT(ambit_open, profile_sha256),
		  TEXT(ambit_open, spiffe_id), TEXT(ambit_open, task),
		  TEXT(ambit_open, owner), TEXT(ambit_open, purpose) } },
	[AMBIT_MESSAGE_ENDPOINT] = { sizeof(struct ambit_endpoint), 0,
		{ TEXT(ambit_endpoint, to), TEXT(ambit_endpoint, tool) } },
	[AMBIT_MESSAGE_EVENT] = { sizeof(struct ambit_event), 0,
		{ TEXT(ambit_event, profile), TEXT(ambit_event, profile_sha256),
		  TEXT(ambit_event, command), TEXT(ambit_event, command_sha256),
		  TEXT(ambit_event, reason), TEXT(ambit_event, credential),
		  TEXT(ambit_event, credential_type),
		  TEXT(ambit_event, credential_id), TEXT(ambit_event, audience),
		  TEXT(ambit_event, seccomp_sha256), TEXT(ambit_event, subject) } },
	[AMBIT_MESSAGE_CLOSE] = { sizeof(struct ambit_close), 0, { { 0, 0 } } },
	[AMBIT_MESSAGE_DURABLE] = { sizeof(struct ambit_durable), 0, { { 0, 0 } } },
	[AMBIT_MESSAGE_CLOSED] = { sizeof(struct ambit_closed), 0,
		{ TEXT(ambit_closed, refused[0]), TEXT(ambit_closed, refused[1]),
		  TEXT(ambit_closed, refused[2]) } },
	[AMBIT_MESSAGE_HEALTH] = { sizeof(struct ambit_health), 0, { { 0, 0 } } },
	[AMBIT_MESSAGE_ADMIT] = { sizeof(struct ambit_admit), 0,
		{ TEXT(ambit_admit, id), TEXT(ambit_admit, spiffe_id),
		  TEXT(ambit_admit, task) } },
	[AMBIT_MESSAGE_GRANTED] = { sizeof(struct ambit_granted), 0,
		{ TEXT(ambit_granted, id) } },
	[AMBIT_MESSAGE_DISMISS] = { sizeof(struct ambit_dismiss), 0, { { 0, 0 } } },
	[AMBIT_MESSAGE_SERVE] = { sizeof(struct ambit_serve), 1, { { 0, 0 } } },
	[AMBIT_MESSAGE_PUBLISH] = { sizeof(struct ambit_publish), 0, { { 0, 0 } } },
	[AMBIT_MESSAGE_MINTED] = { sizeof(struct ambit_minted), 0,
		{ TEXT(ambit_minted, id) } },
	[AMBIT_MESSAGE_PUBLISHED] = { sizeof(struct ambit_published), 0, { { 0, 0 } } },
	[AMBIT_MESSAGE_SIGN] = { sizeof(struct ambit_sign), 0, { { 0, 0 } } },
	[AMBIT_MESSAGE_SIGNED] = { sizeof(struct ambit_signed), 1,
		{ TEXT(ambit_signed, id) } },
	[AMBIT_MESSAGE_LOOKUP] = { sizeof(struct ambit_lookup), 0,
		{ TEXT(ambit_lookup, name) } },
	[AMBIT_MESSAGE_NAME] = { sizeof(struct ambit_name), 0,
		{ TEXT(ambit_name, name) } },
	[AMBIT_MESSAGE_ADMITTED] = { sizeof(struct ambit_admitted_names), 0,
		{ { 0, 0 } } },
	[AMBIT_MESSAGE_READY] = { sizeof(struct ambit_ready), 0,
		{ TEXT(ambit_ready, trust_domain), TEXT(ambit_ready, reason) } },
};

/* A SIGNED that failed is the one message that may come without its
 * descriptor. */
static int fds_wanted(enum ambit_message_type type, const void *body)
{
	if (type == AMBIT_MESSAGE_SIGNED &&
	    ((const struct ambit_signed *)body)->error)
		return 0;
	return rows[type].fds;
}

static int send_packet(int socket, const struct msghdr *packet, int ms)
{
	struct pollfd wait = { socket, POLLOUT, 0 };

	for (;;) {
		ssize_t sent = sendmsg(socket, packet, MSG_NOSIGNAL |
					(ms < 0 ? 0 : MSG_DONTWAIT));
		if (sent >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		/* A signal only makes the wait begin again. */
		if (ms < 0 || errno != EAGAIN)
			return -errno;
		int ready = poll(&wait, 1, ms);
		if (ready == 0)
			return -EAGAIN;
		if (ready < 0 && errno != EINTR)
			return -errno;
	}
}

int message_send(int socket, enum ambit_message_type type, const void *body,
		 const int *fds)
{
	return message_send_within(socket, type, body, fds, -1);
}

int message_send_within(int socket, enum ambit_message_type type, const void *body,
			const int *fds, int ms)
{
	struct ambit_message header = { type, (uint32_t)rows[type].length };
	struct iovec parts[2] = {
		{ &header, sizeof(header) },
		{ (void *)(uintptr_t)body, rows[type].length },
	};
	union {
		char bytes[CMSG_SPACE(MESSAGE_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct msghdr packet = { .msg_iov = parts, .msg_iovlen = 2 };
	int count = fds_wanted(type, body);
	if (count) {
		size_t bytes = (size_t)count * sizeof(int);
		packet.msg_control = control.bytes;
		packet.msg_controllen = CMSG_SPACE(bytes);
		struct cmsghdr *part = CMSG_FIRSTHDR(&packet);
		part->cmsg_level = SOL_SOCKET;
		part->cmsg_type = SCM_RIGHTS;
		part->cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(part), fds, bytes);
	}
	return send_packet(socket, &packet, ms);
}

/* Moves the packet's descriptors into `message`.  Returns how many there were;
 * those beyond what fits are closed. */
static int take_fds(struct msghdr *packet, struct message *message)
{
	int count = 0;
	for (struct cmsghdr *part = CMSG_FIRSTHDR(packet); part;
	     part = CMSG_NXTHDR(packet, part)) {
		if (part->cmsg_level != SOL_SOCKET ||
		    part->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(fd));
			if (count < MESSAGE_FDS)
				message->fds[count] = fd;
			else
				close(fd);
			count++;
		}
	}
	return count;
}

static int well_formed(const struct ambit_message *header, size_t received,
		       int fds, const struct message *message)
{
	if (header->type == 0 || header->type >= AMBIT_MESSAGE_LIMIT)
		return 0;
	const struct row *row = &rows[header->type];
	if (header->length != row->length ||
	    received != sizeof(*header) + row->length)
		return 0;
	const char *bytes = (const char *)&message->body;
	for (int i = 0; i < TEXTS && row->texts[i].size; i++)
		if (!memchr(bytes + row->texts[i].offset, 0, row->texts[i].size))
			return 0;
	return fds == fds_wanted((enum ambit_message_type)header->type, bytes);
}

int message_receive(int socket, int wait, struct message *ret_message)
{
	struct ambit_message header = { 0, 0 };
	struct iovec parts[2] = {
		{ &header, sizeof(header) },
		{ &ret_message->body, sizeof(ret_message->body) },
	};
	union {
		char bytes[CMSG_SPACE(MESSAGE_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr packet = {
		.msg_iov = parts, .msg_iovlen = 2,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	for (int i = 0; i < MESSAGE_FDS; i++)
		ret_message->fds[i] = -1;
	ssize_t received;
	do {
		received = recvmsg(socket, &packet,
				   MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
	} while (received < 0 && errno == EINTR);
	if (received < 0)
		return errno == ECONNRESET ? 0 : -errno;
	if (received == 0)
		return 0;
	int fds = take_fds(&packet, ret_message);
	if (packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
	    !well_formed(&header, (size_t)received, fds, ret_message)) {
		message_release(ret_message);
		return -EBADMSG;
	}
	ret_message->type = (enum ambit_message_type)header.type;
	return 1;
}

void message_release(struct message *message)
{
	for (int i = 0; i < MESSAGE_FDS; i++)
		own_close(&message->fds[i]);
}

int message_check(int fd, struct error *error)
{
	int type = 0;
	socklen_t size = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		return error_errno(error, errno, "descriptor %d", fd);
	return type == SOCK_SEQPACKET ? 0 :
		       error_set(error, EPROTOTYPE,
				 "descriptor %d: not a packet socket", fd);
}
