/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes the start packet.  The warden is trusted, but a broken packet must not
 * become a half-bounded agent: every count, offset and descriptor index is
 * checked here, once, so that the steps may use them.
 */
#include "init.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define VECTOR 4096	/* arguments or environment variables */

static _Alignas(8) char packet[AMBIT_START_BYTES];
static char *arguments[VECTOR + 1], *environment[VECTOR + 1];

const char *start_text(const struct init *init, uint32_t offset)
{
	return init->blob + offset;
}

int start_fd(const struct init *init, uint32_t index)
{
	return init->fds[index];
}

static int take_fds(struct init *init, struct msghdr *message)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part;
	     part = CMSG_NXTHDR(message, part)) {
		if (part->cmsg_level != SOL_SOCKET ||
		    part->cmsg_type != SCM_RIGHTS)
			return -EBADMSG;
		size_t bytes = part->cmsg_len - CMSG_LEN(0);
		if (init->fd_count || bytes > sizeof(init->fds))
			return -EBADMSG;
		memcpy(init->fds, CMSG_DATA(part), bytes);
		init->fd_count = (unsigned)(bytes / sizeof(int));
	}
	return 0;
}

/* Points `ret_vector` at `count` texts in a row, all of them inside the blob. */
static int split(struct init *init, uint32_t offset, uint32_t count,
		 char **ret_vector)
{
	if (count > VECTOR)
		return -E2BIG;
	for (uint32_t i = 0; i < count; i++) {
		if (offset >= init->start->blob_length)
			return -EBADMSG;
		ret_vector[i] = packet + sizeof(*init->start) + offset;
		offset += (uint32_t)strlen(ret_vector[i]) + 1;
	}
	ret_vector[count] = NULL;
	return 0;
}

static int text_good(const struct init *init, uint32_t offset)
{
	return offset < init->start->blob_length;
}

static int filter_good(const struct init *init, uint32_t offset, uint32_t length)
{
	return offset % 8 == 0 && length <= 4096 &&
	       offset <= init->start->blob_length &&
	       length * 8U <= init->start->blob_length - offset;
}

static int fd_good(const struct init *init, uint32_t index)
{
	return index < init->fd_count;
}

static int packet_good(const struct init *init)
{
	const struct ambit_start *start = init->start;
	int good = text_good(init, start->hostname) &&
		   text_good(init, start->directory) &&
		   text_good(init, start->search_path) &&
		   fd_good(init, start->root) && start->argument_count > 0 &&
		   start->uid >= 1 && start->uid != UINT32_MAX &&
		   start->mount_count <= AMBIT_START_MOUNTS &&
		   start->place_count <= AMBIT_START_PLACES &&
		   fd_good(init, start->end_file) &&
		   filter_good(init, start->init_filter,
			       start->init_filter_length) &&
		   filter_good(init, start->refuse_filter,
			       start->refuse_filter_length) &&
		   filter_good(init, start->allow_filter,
			       start->allow_filter_length) &&
		   start->allow_filter_length && start->init_filter_length;
	for (uint32_t i = 0; good && i < start->mount_count; i++)
		good = fd_good(init, start->mounts[i].fd) &&
		       text_good(init, start->mounts[i].target);
	for (uint32_t i = 0; good && i < start->place_count; i++)
		good = text_good(init, start->places[i].path);
	for (int i = 0; good && i < 3; i++)
		good = fd_good(init, start->stdio[i]) ||
		       (start->stdio[i] == AMBIT_NO_FD && start->terminal);
	return good;
}

int start_receive(struct init *init)
{
	union {
		char bytes[CMSG_SPACE(AMBIT_START_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = { packet, sizeof(packet) };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t received = recvmsg(init->gate, &message, MSG_CMSG_CLOEXEC);
	if (received < 0)
		return -errno;
	int error = take_fds(init, &message);
	if (error)
		return error;
	const struct ambit_start *start = (const struct ambit_start *)packet;
	if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
	    (size_t)received < sizeof(*start) || !start->blob_length ||
	    (size_t)received != sizeof(*start) + start->blob_length ||
	    packet[received - 1] != 0)
		return -EBADMSG;
	init->start = start;
	init->blob = packet + sizeof(*start);
	if (!packet_good(init))
		return -EBADMSG;
	init->arguments = arguments;
	init->environment = environment;
	error = split(init, start->arguments, start->argument_count, arguments);
	if (error)
		return error;
	return split(init, start->environment, start->environment_count,
		     environment);
}
