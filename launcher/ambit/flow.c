/* SPDX-License-Identifier: Apache-2.0 */
/* One direction of a relay: see flow.h.  Used for terminals and for what of
 * the caller's stdio is carried. */
#include "flow.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

int flow_is_empty(const struct flow *flow)
{
	return flow->start == flow->end;
}

void flow_drop(struct flow *flow)
{
	flow->start = flow->end = 0;
}

int flow_shorten(struct flow *flow, uint64_t most)
{
	if (flow->end - flow->start <= most)
		return 0;
	flow->end = flow->start + (size_t)most;
	return 1;
}

ssize_t flow_fill(struct flow *flow, int fd, int is_socket)
{
	/* The caller's descriptions are shared with others: O_NONBLOCK on them
	 * would be a surprise, MSG_DONTWAIT is not. */
	ssize_t n = is_socket ?
		recv(fd, flow->bytes, sizeof(flow->bytes), MSG_DONTWAIT) :
		read(fd, flow->bytes, sizeof(flow->bytes));
	if (n < 0)
		return -errno;
	flow->start = 0;
	flow->end = (size_t)n;
	return n;
}

ssize_t flow_empty(struct flow *flow, int fd, int is_socket)
{
	const char *from = flow->bytes + flow->start;
	size_t length = flow->end - flow->start;
	ssize_t n = is_socket ?
		send(fd, from, length, MSG_DONTWAIT | MSG_NOSIGNAL) :
		write(fd, from, length);
	if (n < 0)
		return -errno;
	flow->start += (size_t)n;
	return n;
}

int flow_later(ssize_t result)
{
	return result == -EAGAIN || result == -EINTR;
}
