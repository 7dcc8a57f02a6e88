/* SPDX-License-Identifier: Apache-2.0 */
/* Typed messages over a real socket pair: what is whole passes, the rest is
 * refused without a descriptor left open. */
#include "base/message.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int ends[2];

static int open_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Sends raw bytes and `fd_count` descriptors; returns what the receiver says. */
static int raw(const void *bytes, size_t length, int fd_count,
	       struct message *message)
{
	union {
		char bytes[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec part = { (void *)(uintptr_t)bytes, length };
	struct msghdr packet = { .msg_iov = &part, .msg_iovlen = 1 };
	int fds[8];

	for (int i = 0; i < fd_count; i++)
		fds[i] = ends[0];
	if (fd_count) {
		size_t size = (size_t)fd_count * sizeof(int);
		packet.msg_control = control.bytes;
		packet.msg_controllen = CMSG_SPACE(size);
		struct cmsghdr *head = CMSG_FIRSTHDR(&packet);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(size);
		memcpy(CMSG_DATA(head), fds, size);
	}
	if (sendmsg(ends[0], &packet, 0) < 0)
		bail_out("sendmsg: %s", strerror(errno));
	return message_receive(ends[1], 1, message);
}

static void test_whole(struct message *message)
{
	struct ambit_rings rings = { .ring_bytes = 7, .boot_id = "boot" };
	struct ambit_durable durable = { .token = 42 };
	int three[MESSAGE_FDS] = { ends[0], ends[0], ends[0] };

	is_int(message_send(ends[0], AMBIT_MESSAGE_DURABLE, &durable, NULL), 0,
	       "a message is sent");
	is_int(message_receive(ends[1], 1, message), 1, "… and received");
	ok(message->type == AMBIT_MESSAGE_DURABLE &&
	   message->body.durable.token == 42 && message->fds[0] == -1,
	   "… whole and without descriptors");
	is_int(message_send(ends[0], AMBIT_MESSAGE_RINGS, &rings, three), 0,
	       "one with descriptors is sent");
	is_int(message_receive(ends[1], 1, message), 1, "… and received");
	ok(message->fds[0] >= 0 && message->fds[2] >= 0 &&
	   fcntl(message->fds[2], F_GETFD) & FD_CLOEXEC, "… closed on exec");
	message_release(message);
	is_int(message->fds[0], -1, "… and released");
	is_int(message_receive(ends[1], 0, message), -EAGAIN,
	       "an empty queue does not wait when told not to");
}

static void test_every_type(struct message *message)
{
	static union message_body body;
	int three[MESSAGE_FDS] = { ends[0], ends[0], ends[0] };

	for (int type = 1; type < AMBIT_MESSAGE_LIMIT; type++) {
		int sent = message_send(ends[0], (enum ambit_message_type)type,
					&body, three);
		int got = sent ? sent : message_receive(ends[1], 1, message);
		ok(got == 1 && (int)message->type == type, "type %d goes through",
		   type);
		if (got == 1)
			message_release(message);
	}
}

static void test_broken(struct message *message)
{
	struct {
		struct ambit_message header;
		struct ambit_durable body;
		char more[8];
	} packet;
	size_t whole = sizeof(packet.header) + sizeof(packet.body);
	static const struct {
		const char *what;
		uint32_t type;
		int32_t length_more;
		int bytes_more, fds;
	} rows[] = {
		{ "type 0", 0, 0, 0, 0 },
		{ "a type behind the last", AMBIT_MESSAGE_LIMIT, 0, 0, 0 },
		{ "a huge type", 0xffffffff, 0, 0, 0 },
		{ "a length that lies", AMBIT_MESSAGE_DURABLE, 4, 0, 0 },
		{ "a body cut short", AMBIT_MESSAGE_DURABLE, 0, -1, 0 },
		{ "a body with more", AMBIT_MESSAGE_DURABLE, 0, 8, 0 },
		{ "another type's body", AMBIT_MESSAGE_HEALTH, 0, 0, 0 },
		{ "a descriptor too many", AMBIT_MESSAGE_DURABLE, 0, 0, 1 },
		{ "five descriptors", AMBIT_MESSAGE_DURABLE, 0, 0, 5 },
	};
	int before = open_fds();

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		memset(&packet, 0, sizeof(packet));
		packet.header.type = rows[i].type;
		packet.header.length = (uint32_t)((int32_t)sizeof(packet.body) +
						  rows[i].length_more);
		is_int(raw(&packet, whole + (size_t)rows[i].bytes_more, rows[i].fds,
			   message), -EBADMSG, "refused: %s", rows[i].what);
	}
	is_int(raw(&packet, 3, 0, message), -EBADMSG, "refused: half a header");
	is_int(open_fds(), before, "no descriptor of a refused message stays open");
}

static void test_text(struct message *message)
{
	struct {
		struct ambit_message header;
		struct ambit_open body;
	} *packet = calloc(1, sizeof(*packet));

	if (!packet)
		bail_out("out of memory");
	packet->header.type = AMBIT_MESSAGE_OPEN;
	packet->header.length = sizeof(packet->body);
	memset(packet->body.purpose, 'x', sizeof(packet->body.purpose));
	is_int(raw(packet, sizeof(*packet), 0, message), -EBADMSG,
	       "refused: a text without its end");
	packet->body.purpose[sizeof(packet->body.purpose) - 1] = 0;
	is_int(raw(packet, sizeof(*packet), 0, message), 1,
	       "the longest text passes");
	free(packet);
}

int main(void)
{
	static struct message message;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		bail_out("socketpair: %s", strerror(errno));
	test_whole(&message);
	test_every_type(&message);
	test_broken(&message);
	test_text(&message);
	close(ends[0]);
	is_int(message_receive(ends[1], 1, &message), 0, "the end of the peer");
	is_int(message_send(ends[1], AMBIT_MESSAGE_DURABLE, &message.body, NULL),
	       -EPIPE, "sending to nobody is an error, not a signal");
	close(ends[1]);
	return done_testing();
}
