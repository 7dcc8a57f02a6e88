/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit pipe: the log as a live stream, for a shipper or a terminal.
 *
 * A reader sends one line, "position N" or "position now", and gets the lines of
 * the log from there on and then for ever, each once it is durable.  Every
 * reader has its own place in the files and is sent what its socket takes, so
 * that a slow one only falls behind.  A refusal is one line, {"error": …}, and
 * the end.  ambit-audit(5) documents this.
 */
#include "recorder.h"

#include "base/number.h"
#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define CHUNK (64U << 10)	/* sent to one reader in one turn */

int pipe_open(struct pipe *pipe, int epoll, int listener, struct error *error)
{
	struct epoll_event event = { .events = EPOLLIN,
				     .data.u64 = SOURCE_LISTENER };

	for (unsigned i = 0; i < RECORDER_CLIENTS; i++)
		pipe->clients[i] = (struct client){ .fd = -1, .file = -1 };
	pipe->epoll = epoll;
	pipe->listener = listener;
	int flags = fcntl(listener, F_GETFL);
	if (flags < 0 || fcntl(listener, F_SETFL, flags | O_NONBLOCK) < 0)
		return error_errno(error, errno, "audit pipe");
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0)
		return error_errno(error, errno, "audit pipe: epoll");
	return 0;
}

static void client_end(struct client *client)
{
	own_close(&client->file);
	own_close(&client->fd);
	*client = (struct client){ .fd = -1, .file = -1 };
}

/* The refusal fits any socket buffer; a reader that is gone needs none. */
static void client_refuse(struct client *client, const char *why)
{
	char line[256];
	int length = snprintf(line, sizeof(line), "{\"error\":\"%s\"}\n", why);

	if (send(client->fd, line, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		client->deaf = 1;
	client_end(client);
}

static int client_watch(struct pipe *pipe, struct client *client, uint32_t wanted)
{
	struct epoll_event event = {
		.events = wanted,
		.data.u64 = SOURCE_CLIENT + (uint64_t)(client - pipe->clients),
	};

	if (client->deaf)
		event.events &= ~(uint32_t)EPOLLIN;
	if (event.events == client->watched)
		return 0;
	if (epoll_ctl(pipe->epoll, EPOLL_CTL_MOD, client->fd, &event) < 0)
		return -errno;
	client->watched = event.events;
	return 0;
}

/* A free place; else that of whoever has been silent for longest, so that
 * connections without a request can't keep readers out. */
static struct client *client_place(struct pipe *pipe)
{
	struct client *silent = NULL;

	for (unsigned i = 0; i < RECORDER_CLIENTS; i++) {
		struct client *client = &pipe->clients[i];
		if (client->fd < 0)
			return client;
		if (!client->streaming && !client->waiting &&
		    (!silent || client->age < silent->age))
			silent = client;
	}
	if (silent)
		client_refuse(silent, "no request came, and others wait");
	return silent;
}

/* How many bytes of the segment that the client reads may be sent. */
static int client_limit(const struct log *log, const struct client *client,
			uint64_t *ret_limit)
{
	struct stat status;

	if (client->first == log->firsts[log->first_count - 1]) {
		*ret_limit = log->durable_length;
		return 0;
	}
	if (fstat(client->file, &status) < 0)
		return -errno;
	*ret_limit = (uint64_t)status.st_size;
	return 0;
}

static int client_open(const struct log *log, struct client *client,
		       uint64_t first)
{
	char name[LOG_NAME_SIZE];

	log_name(name, first);
	own_close(&client->file);
	client->file = openat(log->directory, name,
			      O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (client->file < 0)
		return -errno;
	client->first = first;
	client->offset = 0;
	return 0;
}

/* The index of the last segment that begins at or before `sequence`, or -1. */
static long segment_of(const struct log *log, uint64_t sequence)
{
	long found = -1;
	size_t low = 0, high = log->first_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (log->firsts[middle] <= sequence) {
			found = (long)middle;
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return found;
}

static int client_start(const struct log *log, struct client *client,
			uint64_t sequence)
{
	uint64_t limit;
	long index = segment_of(log, sequence);

	if (index < 0)
		return -ENOENT;
	int result = client_open(log, client, log->firsts[index]);
	if (!result)
		result = client_limit(log, client, &limit);
	if (result < 0)
		return result;
	if (sequence == log->durable) {
		client->offset = limit;
		return 0;
	}
	return place_find(client->file, limit, sequence, &client->offset);
}

/* Sends what there is, a chunk at most. */
static void client_serve(struct recorder *recorder, struct client *client)
{
	static char chunk[CHUNK];
	const struct log *log = &recorder->log;
	uint32_t wanted = EPOLLIN | EPOLLOUT;
	size_t sent = 0;

	while (sent < CHUNK) {
		uint64_t limit;
		if (client_limit(log, client, &limit) < 0) {
			client_end(client);
			return;
		}
		if (client->offset >= limit) {
			long index = segment_of(log, client->first);
			if ((size_t)index + 1 == log->first_count) {
				wanted = EPOLLIN;
				break;
			}
			if (client_open(log, client, log->firsts[index + 1]) < 0) {
				client_refuse(client, "the next segment is gone");
				return;
			}
			continue;
		}
		size_t size = limit - client->offset < CHUNK ?
				      (size_t)(limit - client->offset) : CHUNK;
		ssize_t got = pread(client->file, chunk, size,
				    (off_t)client->offset);
		if (got <= 0) {
			client_end(client);
			return;
		}
		ssize_t done = send(client->fd, chunk, (size_t)got,
				    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (done < 0 && errno != EAGAIN) {
			client_end(client);
			return;
		}
		if (done < 0)
			break;
		client->offset += (uint64_t)done;
		sent += (size_t)done;
	}
	if (client_watch(&recorder->pipe, client, wanted) < 0)
		client_end(client);
}

static void client_begin(struct recorder *recorder, struct client *client)
{
	static const char word[] = "position ";
	const struct log *log = &recorder->log;
	const char *value = client->request + sizeof(word) - 1;
	size_t length = client->request_length - 1;	/* without the newline */
	uint64_t sequence = log->durable;
	char why[128];

	if (length < sizeof(word) || memcmp(client->request, word,
					    sizeof(word) - 1)) {
		client_refuse(client, "expected: position N, or position now");
		return;
	}
	length -= sizeof(word) - 1;
	if ((length != 3 || memcmp(value, "now", 3)) &&
	    number_parse(value, length, UINT64_MAX, &sequence) < 0) {
		client_refuse(client, "expected: position N, or position now");
		return;
	}
	/* Made, but not durable yet: pipe_advance asks again. */
	client->waiting = sequence > log->durable && sequence <= log->next;
	if (client->waiting)
		return;
	if (sequence > log->next || sequence < log->firsts[0]) {
		snprintf(why, sizeof(why), "position %llu is not in the log, "
			 "which has %llu to %llu", (unsigned long long)sequence,
			 (unsigned long long)log->firsts[0],
			 (unsigned long long)log->durable);
		client_refuse(client, why);
		return;
	}
	if (client_start(log, client, sequence) < 0) {
		client_refuse(client, "the segment can't be read");
		return;
	}
	client->streaming = 1;
	client_serve(recorder, client);
}

/* Reads towards the one line that a reader says. */
static void client_hear(struct recorder *recorder, struct client *client)
{
	char *end = client->request + client->request_length;
	size_t room = sizeof(client->request) - client->request_length;
	ssize_t got = recv(client->fd, end, room, MSG_DONTWAIT);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got < 0 || (got == 0 && !client->streaming && !client->waiting)) {
		client_end(client);
		return;
	}
	if (got == 0) {
		/* It says no more; it may well go on reading. */
		client->deaf = 1;
		if (client_watch(&recorder->pipe, client, client->watched) < 0)
			client_end(client);
		return;
	}
	if (client->streaming || client->waiting) {
		/* Without a word: it may stand in the middle of a line. */
		client_end(client);
		return;
	}
	client->request_length += (size_t)got;
	const char *newline = memchr(client->request, '\n',
				     client->request_length);
	if (newline && newline + 1 == client->request + client->request_length)
		client_begin(recorder, client);
	else if (newline || client->request_length == sizeof(client->request))
		client_refuse(client, "expected: position N, or position now");
}

void pipe_accept(struct recorder *recorder)
{
	struct pipe *pipe = &recorder->pipe;

	for (;;) {
		OWN_FD fd = accept4(pipe->listener, NULL, NULL,
				    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		struct client *place = client_place(pipe);
		if (!place) {
			struct client refused = { .fd = own_take_fd(&fd),
						  .file = -1 };
			client_refuse(&refused, "too many readers");
			continue;
		}
		struct epoll_event event = {
			.events = EPOLLIN,
			.data.u64 = SOURCE_CLIENT +
				    (uint64_t)(place - pipe->clients),
		};
		if (epoll_ctl(pipe->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
			continue;
		*place = (struct client){ .fd = own_take_fd(&fd), .file = -1,
					  .watched = EPOLLIN,
					  .age = pipe->arrivals++ };
		/* Most have sent their request by now. */
		client_hear(recorder, place);
	}
}

void pipe_ready(struct recorder *recorder, unsigned number, uint32_t events)
{
	struct client *client = &recorder->pipe.clients[number];

	if (client->fd < 0)
		return;
	if (events & (EPOLLHUP | EPOLLERR)) {
		client_end(client);
		return;
	}
	if (events & EPOLLIN)
		client_hear(recorder, client);
	if (client->fd >= 0 && client->streaming && events & EPOLLOUT)
		client_serve(recorder, client);
}

/* After a failed sync the last segment may be another file of the same name, of
 * which nobody was sent anything yet. */
static void renew(struct recorder *recorder)
{
	const struct log *log = &recorder->log;

	for (unsigned i = 0; i < RECORDER_CLIENTS; i++) {
		struct client *client = &recorder->pipe.clients[i];
		if (client->file >= 0 &&
		    client->first == log->firsts[log->first_count - 1] &&
		    client_open(log, client, client->first) < 0)
			client_end(client);
	}
	recorder->log.renewed = 0;
}

void pipe_advance(struct recorder *recorder)
{
	if (recorder->log.renewed)
		renew(recorder);
	for (unsigned i = 0; i < RECORDER_CLIENTS; i++) {
		struct client *client = &recorder->pipe.clients[i];
		/* Who watches for EPOLLOUT is told by epoll. */
		if (client->fd >= 0 && client->waiting)
			client_begin(recorder, client);
		else if (client->fd >= 0 && client->streaming &&
			 !(client->watched & EPOLLOUT))
			client_serve(recorder, client);
	}
}
