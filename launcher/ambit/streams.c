/* SPDX-License-Identifier: Apache-2.0 */
/* The three descriptors of a launch: see streams.h.  Called by cmd_run.c and by the
 * session, which has SIGPIPE blocked. */
#include "streams.h"

#include "../base/own.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* Flags that an agent can set on a description that it shares with its caller: a
 * shell's pipe that doesn't wait any more loses what the next program writes. */
#define SHARED_FLAGS (O_NONBLOCK | O_APPEND | O_ASYNC)

static const char *const words[3] = { "stdin", "stdout", "stderr" };

/* Makes the pipe that stands for `fd`. */
static int carry(struct streams *streams, int fd, int is_socket,
		 struct error *error)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return error_errno(error, errno, "%s", words[fd]);
	int ours = fd == 0 ? ends[1] : ends[0];
	streams->owned[fd] = streams->given[fd] = fd == 0 ? ends[0] : ends[1];
	streams->carried[fd].caller = fd;
	streams->carried[fd].is_socket = is_socket;
	streams->carried[fd].pipe = ours;
	/* Our end only: each end of a pipe has flags of its own. */
	if (fcntl(ours, F_SETFL, O_NONBLOCK))
		return error_errno(error, errno, "%s", words[fd]);
	return 0;
}

static int is_same(const struct stat *one, const struct stat *other)
{
	return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

static int is_unnamed_pipe(int fd)
{
	struct statfs system;

	return fstatfs(fd, &system) == 0 && system.f_type == PIPEFS_MAGIC;
}

static int is_written_file(int fd, const struct stat *status)
{
	int flags = S_ISREG(status->st_mode) ? fcntl(fd, F_GETFL) : -1;

	return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

static int open_all(struct streams *streams, int detach, struct error *error)
{
	struct stat status[3];

	for (int fd = 0; fd < 3; fd++) {
		if (fstat(fd, &status[fd]))
			return error_errno(error, errno, "%s", words[fd]);
		/* Who takes the id from a pipe ($(ambit run --detach ...)) reads
		 * to its end, which would be the agent's. */
		if (detach && (isatty(fd) || (fd > 0 && is_unnamed_pipe(fd)))) {
			int null = open("/dev/null", O_RDWR | O_CLOEXEC);
			if (null < 0)
				return error_errno(error, errno, "/dev/null");
			streams->owned[fd] = streams->given[fd] = null;
		}
		int is_socket = S_ISSOCK(status[fd].st_mode);
		if (!is_socket && (detach || !is_written_file(fd, &status[fd])))
			continue;
		if (detach)
			return error_set(error, ENOTSUP, "%s: is a socket, which "
					 "nobody would carry for a detached "
					 "agent; give it a file or /dev/null",
					 words[fd]);
		/* One pipe for both keeps the order of what is written. */
		if (fd == 2 && streams->carried[1].caller >= 0 &&
		    is_same(&status[1], &status[2])) {
			streams->given[2] = streams->given[1];
			continue;
		}
		if (carry(streams, fd, is_socket, error))
			return -error->code;
	}
	return 0;
}

int streams_open(struct streams *streams, int detach, struct error *error)
{
	for (int fd = 0; fd < 3; fd++) {
		streams->given[fd] = fd;
		streams->owned[fd] = -1;
		streams->carried[fd].caller = streams->carried[fd].pipe = -1;
		streams->carried[fd].left = streams->carried[fd].rest =
			STREAMS_UNKNOWN;
		streams->flags[fd] = fcntl(fd, F_GETFL);
		flow_drop(&streams->carried[fd].flow);
	}
	int result = open_all(streams, detach, error);
	if (result)
		streams_finish(streams, 0);
	return result;
}

void streams_sent(struct streams *streams)
{
	for (int fd = 0; fd < 3; fd++)
		own_close(&streams->owned[fd]);
}

static void stop(struct carried *carried)
{
	/* The agent sees the end, or SIGPIPE, as it would of a socket. */
	own_close(&carried->pipe);
	carried->caller = -1;
	flow_drop(&carried->flow);
}

void streams_limit(struct streams *streams, uint64_t bytes)
{
	for (int fd = 0; fd < 3; fd++)
		streams->carried[fd].left = bytes;
}

/* Until the limit is known nothing goes into a file: the pipe holds it. */
static int is_held(const struct carried *carried)
{
	return !carried->is_socket && carried->left == STREAMS_UNKNOWN;
}

void streams_prepare(const struct streams *streams, struct pollfd ret_fds[STREAMS_FDS])
{
	for (int fd = 0; fd < 3; fd++) {
		const struct carried *carried = &streams->carried[fd];
		int from = fd == 0 ? carried->caller : carried->pipe;
		int to = fd == 0 ? carried->pipe : carried->caller;
		int fills = flow_is_empty(&carried->flow);
		if (is_held(carried))
			from = to = -1;
		ret_fds[fd] = (struct pollfd){ fills ? from : to,
					       fills ? POLLIN : POLLOUT, 0 };
	}
}

static void fill(struct carried *carried, int is_input)
{
	ssize_t n = is_input ?
		flow_fill(&carried->flow, carried->caller, carried->is_socket) :
		flow_fill(&carried->flow, carried->pipe, 0);

	if (n <= 0 && !flow_later(n))
		stop(carried);
	if (n <= 0 || is_input)
		return;
	flow_shorten(&carried->flow, carried->rest);
	if (carried->rest != STREAMS_UNKNOWN)
		carried->rest -= (uint64_t)n < carried->rest ? (uint64_t)n : carried->rest;
}

/* To a file: no more than its limit. */
static ssize_t empty_into_file(struct carried *carried)
{
	int beyond = flow_shorten(&carried->flow, carried->left);
	ssize_t n = flow_empty(&carried->flow, carried->caller, 0);

	if (n > 0)
		carried->left -= (uint64_t)n;
	return beyond && n >= 0 ? -EFBIG : n;
}

static void empty(struct carried *carried, int is_input)
{
	ssize_t n = is_input ? flow_empty(&carried->flow, carried->pipe, 0) :
		    carried->is_socket ?
			       flow_empty(&carried->flow, carried->caller, 1) :
			       empty_into_file(carried);

	if (n >= 0 || flow_later(n))
		return;
	if (!is_input && !carried->is_socket)
		carried->error = (int)-n;
	stop(carried);
}

void streams_relay(struct streams *streams, const struct pollfd fds[STREAMS_FDS])
{
	for (int fd = 0; fd < 3; fd++) {
		struct carried *carried = &streams->carried[fd];
		if (carried->caller < 0 || !fds[fd].revents)
			continue;
		if (flow_is_empty(&carried->flow))
			fill(carried, fd == 0);
		if (!flow_is_empty(&carried->flow))
			empty(carried, fd == 0);
	}
}

/* The agent is gone: what is in its pipe now is all that it wrote.  Somebody to whom
 * it passed the other end may write on, but not to the caller. */
static void take_rest(struct carried *carried)
{
	int bytes = 0;

	if (carried->pipe >= 0 && ioctl(carried->pipe, FIONREAD, &bytes) < 0)
		bytes = 0;
	carried->rest = (uint64_t)bytes;
}

static int is_drained(struct carried *carried)
{
	if (carried->caller >= 0 && !carried->rest && flow_is_empty(&carried->flow))
		stop(carried);
	return carried->caller < 0;
}

static void drain_all(struct streams *streams)
{
	take_rest(&streams->carried[1]);
	take_rest(&streams->carried[2]);
	while (!is_drained(&streams->carried[1]) | !is_drained(&streams->carried[2])) {
		struct pollfd fds[STREAMS_FDS];
		streams_prepare(streams, fds);
		if (poll(fds, STREAMS_FDS, -1) > 0)
			streams_relay(streams, fds);
	}
}

static void restore_flags(const struct streams *streams)
{
	for (int fd = 0; fd < 3; fd++) {
		int now = fcntl(fd, F_GETFL);
		if (now >= 0 && streams->flags[fd] >= 0 &&
		    (now ^ streams->flags[fd]) & SHARED_FLAGS)
			fcntl(fd, F_SETFL, streams->flags[fd]);
	}
}

void streams_finish(struct streams *streams, int drain)
{
	streams_sent(streams);
	stop(&streams->carried[0]);	/* nobody reads it any more */
	if (drain)
		drain_all(streams);
	stop(&streams->carried[1]);
	stop(&streams->carried[2]);
	restore_flags(streams);
}

const char *streams_short(const struct streams *streams, int *ret_error)
{
	for (int fd = 0; fd < 3; fd++)
		if (streams->carried[fd].error) {
			*ret_error = streams->carried[fd].error;
			return words[fd];
		}
	return NULL;
}
