/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes the two packets.  The warden is trusted, but a broken packet must not
 * become a half-bounded agent: every count, offset and descriptor index is
 * checked here, once, so that the steps may use them.
 */
#include "init.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define VECTOR 4096	/* arguments or environment variables */

static _Alignas(8) char packet[AMBIT_START_BYTES], request[AMBIT_START_BYTES];
static char *arguments[VECTOR + 1], *environment[VECTOR + 1];

const char *start_text(const struct init *init, uint32_t offset)
{
	return init->blob + offset;
}

const char *start_request_text(const struct init *init, uint32_t offset)
{
	return init->request_blob + offset;
}

int start_fd(const struct init *init, uint32_t index)
{
	return init->fds[index];
}

static int take_fds(struct init *init, struct msghdr *message)
{
	init->fd_count = 0;
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
		if (offset >= init->request->blob_length)
			return -EBADMSG;
		ret_vector[i] = request + sizeof(*init->request) + offset;
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
		   fd_good(init, start->root) && start->uid >= 1 &&
		   start->uid != UINT32_MAX &&
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
	return good;
}

static int request_good(const struct init *init)
{
	const struct ambit_request *wanted = init->request;
	int good = wanted->directory < wanted->blob_length &&
		   wanted->search_path < wanted->blob_length &&
		   wanted->argument_count > 0;

	for (int i = 0; good && i < 3; i++)
		good = fd_good(init, wanted->stdio[i]) ||
		       (wanted->stdio[i] == AMBIT_NO_FD && wanted->terminal);
	return good;
}

/* Receives one packet with its descriptors into `bytes`.  Returns its length. */
static ssize_t receive(struct init *init, char *bytes)
{
	union {
		char bytes[CMSG_SPACE(AMBIT_START_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = { bytes, AMBIT_START_BYTES };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t received;

	do {
		received = recvmsg(init->gate, &message, MSG_CMSG_CLOEXEC);
	} while (received < 0 && errno == EINTR);
	if (received < 0)
		return -errno;
	/* The warden gave the place up. */
	if (received == 0)
		return -ECANCELED;
	int error = take_fds(init, &message);
	if (error)
		return error;
	if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return -EBADMSG;
	return received;
}

/* Whether `received` bytes are a header and its blob, which ends with a zero. */
static int whole(const char *bytes, ssize_t received, size_t header,
		 uint32_t blob_length)
{
	return blob_length && (size_t)received == header + blob_length &&
	       bytes[received - 1] == 0;
}

int start_receive(struct init *init)
{
	const struct ambit_start *start = (const struct ambit_start *)packet;
	ssize_t received = receive(init, packet);

	if (received < 0)
		return (int)received;
	if ((size_t)received < sizeof(*start) ||
	    !whole(packet, received, sizeof(*start), start->blob_length))
		return -EBADMSG;
	init->start = start;
	init->blob = packet + sizeof(*start);
	return packet_good(init) ? 0 : -EBADMSG;
}

int start_request(struct init *init)
{
	const struct ambit_request *wanted = (const struct ambit_request *)request;
	ssize_t received = receive(init, request);

	if (received < 0)
		return (int)received;
	if ((size_t)received < sizeof(*wanted) ||
	    !whole(request, received, sizeof(*wanted), wanted->blob_length))
		return -EBADMSG;
	init->request = wanted;
	init->request_blob = request + sizeof(*wanted);
	if (!request_good(init))
		return -EBADMSG;
	init->arguments = arguments;
	init->environment = environment;
	int error = split(init, wanted->arguments, wanted->argument_count,
			  arguments);
	if (error)
		return error;
	return split(init, wanted->environment, wanted->environment_count,
		     environment);
}
