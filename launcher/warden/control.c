/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: see control.h. */
#include "control.h"

#include "agents.h"
#include "base/own.h"
#include "end.h"
#include "files.h"
#include "records.h"
#include "slots.h"

#include <ambit/exit.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define MESSAGE_MOST (1U << 20)	/* a call; larger ones end the connection */
#define CONNECTIONS 4096

static unsigned connection_count;

static void drop_fds(struct connection *connection)
{
	for (int i = 0; i < CONTROL_FDS; i++)
		own_close(&connection->fds[i]);
}

static void close_connection(struct connection *connection)
{
	struct warden *warden = connection->warden;

	for (struct connection **at = &warden->connections; *at;
	     at = &(*at)->next)
		if (*at == connection) {
			*at = connection->next;
			break;
		}
	connection_count--;
	struct agent *agent = connection->agent;
	if (agent && agent->waiting == connection)
		agent->waiting = NULL;
	/* The caller of a Run is the agent's other end: without it nobody reads
	 * what it says, and nobody asked for it to go on. */
	if (agent && (!connection->waits || connection->claims) && !agent->detached &&
	    agent->state != AGENT_ENDED)
		end_retire(agent, "caller gone");
	loop_remove(&warden->loop, &connection->socket);
	drop_fds(connection);
	own_close(&connection->output_fd);
	json_decref(connection->group);
	json_decref(connection->missing);
	free(connection->input);
	free(connection->output);
	free(connection);
}

/* ---- output ------------------------------------------------------------ */

static ssize_t send_some(struct connection *connection)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec part = { connection->output, connection->output_length };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (connection->output_fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(rights), &connection->output_fd, sizeof(int));
	}
	ssize_t sent = sendmsg(connection->socket.fd, &message,
			       MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent > 0)
		own_close(&connection->output_fd);
	return sent;
}

/* Sends what can be sent now.  Returns -1 when the connection is of no use any
 * more; the caller closes it where that is safe. */
static int flush_output(struct connection *connection)
{
	while (connection->output_length) {
		ssize_t sent = send_some(connection);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN)
			break;
		if (sent < 0)
			return -1;
		connection->output_length -= (size_t)sent;
		memmove(connection->output, connection->output + sent,
			connection->output_length);
	}
	if (!connection->output_length && connection->closing)
		return -1;
	uint32_t wanted = EPOLLRDHUP |
			  (connection->output_length ? EPOLLOUT : 0U) |
			  (connection->busy ? 0U : EPOLLIN);
	loop_change(&connection->warden->loop, &connection->socket, wanted);
	return 0;
}

static void put_output(struct connection *connection, json_t *message)
{
	char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;

	json_decref(message);
	if (!text) {
		connection->closing = 1;
		return;
	}
	size_t length = strlen(text) + 1;
	if (connection->output_length + length > connection->output_room) {
		size_t room = connection->output_length + length;
		char *grown = realloc(connection->output, room);
		if (!grown) {
			free(text);
			connection->closing = 1;
			return;
		}
		connection->output = grown;
		connection->output_room = room;
	}
	memcpy(connection->output + connection->output_length, text, length);
	connection->output_length += length;
	free(text);
	/* A failed send shows again as an event of the socket. */
	flush_output(connection);
}

void control_reply(struct connection *connection, json_t *parameters,
		   int continues)
{
	json_t *message = json_pack("{s:o}", "parameters",
				    parameters ? parameters : json_object());

	if (continues)
		json_object_set_new(message, "continues", json_true());
	else
		connection->busy = 0;
	put_output(connection, message);
}

void control_error(struct connection *connection, const char *name,
		   json_t *parameters)
{
	connection->busy = 0;
	put_output(connection, json_pack("{s:s, s:o}", "error", name,
					 "parameters", parameters ?
						 parameters : json_object()));
}

void control_refuse(struct connection *connection, const char *text,
		    const char *hint, int status)
{
	const char *colon = strstr(text, ": ");
	size_t what = colon ? (size_t)(colon - text) : 0;

	control_error(connection, AMBIT_INTERFACE ".Refused",
		      json_pack("{s:s%, s:s, s:s, s:i}", "what",
				colon ? text : "node", colon ? what : (size_t)4,
				"why", colon ? colon + 2 : text, "hint", hint,
				"status", status));
}

/* ---- outcomes ---------------------------------------------------------- */

void control_launched(struct agent *agent)
{
	struct connection *connection = agent->waiting;

	if (!connection)
		return;
	int terminal = agent->terminal >= 0;
	connection->output_fd = own_take_fd(&agent->terminal);
	int last = agent->detached || !connection->more;
	if (last) {
		agent->waiting = NULL;
		connection->agent = NULL;
	}
	control_reply(connection, json_pack("{s:o, s:b}", "agent",
					    calls_agent(agent), "terminal",
					    terminal), !last);
}

void control_refused(struct agent *agent)
{
	struct connection *connection = agent->waiting;

	if (!connection)
		return;
	agent->waiting = NULL;
	connection->agent = NULL;
	control_refuse(connection, agent->failure.text, "",
		       agent->failure_status);
}

/* Where the agent stands in the group and has not ended there, or -1. */
static ssize_t in_group(const struct connection *connection,
			const struct agent *agent)
{
	const json_t *one;
	size_t i;

	json_array_foreach(connection->group, i, one)
		if (json_is_string(one) && !strcmp(agent->id, json_string_value(one)))
			return (ssize_t)i;
	return -1;
}

void control_exited(struct agent *agent)
{
	struct connection *connection = agent->warden->connections;

	agent->waiting = NULL;
	for (; connection; connection = connection->next) {
		if (connection->agent != agent)
			continue;
		connection->agent = NULL;
		json_t *answer = json_pack("{s:o}", "agent", calls_agent(agent));
		if (!connection->waits)
			json_object_set_new(answer, "terminal", json_false());
		control_reply(connection, answer, 0);
	}
}

void control_ended(struct agent *agent)
{
	struct connection *connection = agent->warden->connections;

	calls_remember(agent);
	for (; connection; connection = connection->next) {
		ssize_t at = in_group(connection, agent);
		if (at < 0)
			continue;
		json_array_set_new(connection->group, (size_t)at, calls_agent(agent));
		if (!--connection->group_left)
			calls_group_done(connection);
	}
	control_exited(agent);
}

void control_forget(const struct agent *agent)
{
	struct connection *connection = agent->warden->connections;

	for (; connection; connection = connection->next)
		if (connection->agent == agent) {
			connection->agent = NULL;
			control_refuse(connection, "agent: it is gone", "",
				       AMBIT_EXIT_FAILED);
		}
}

void control_settled(struct warden *warden)
{
	struct connection *connection = warden->connections;
	struct agent *agent;
	int asked = 0;

	for (; connection; connection = connection->next)
		asked |= connection->settles;
	if (!asked || slots_any(warden))
		return;
	AGENTS_EACH(warden, agent)
		if (agent->state == AGENT_ENDED)
			return;
	for (connection = warden->connections; connection;
	     connection = connection->next) {
		if (!connection->settles)
			continue;
		connection->settles = 0;
		control_reply(connection, NULL, 0);
	}
}

/* ---- input ------------------------------------------------------------- */

static void take_fds(struct connection *connection, struct msghdr *message)
{
	int count = 0;

	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part;
	     part = CMSG_NXTHDR(message, part)) {
		if (part->cmsg_level != SOL_SOCKET ||
		    part->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(part) + i * sizeof(int),
			       sizeof(fd));
			if (count < CONTROL_FDS && connection->fds[count] < 0)
				connection->fds[count] = fd;
			else
				close(fd);
			count++;
		}
	}
}

/* Returns the bytes read, 0 at the end, -EAGAIN, or another negative errno. */
static ssize_t read_some(struct connection *connection)
{
	union {
		char bytes[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} control;

	if (connection->input_length + 4096 > connection->input_room) {
		size_t room = connection->input_room ?
				      2 * connection->input_room : 16384;
		if (room > 2 * MESSAGE_MOST)
			return -E2BIG;
		char *grown = realloc(connection->input, room);
		if (!grown)
			return -ENOMEM;
		connection->input = grown;
		connection->input_room = room;
	}
	struct iovec part = { connection->input + connection->input_length,
			      connection->input_room - connection->input_length };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t got = recvmsg(connection->socket.fd, &message,
			      MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0)
		return -errno;
	take_fds(connection, &message);
	connection->input_length += (size_t)got;
	return got;
}

/* Runs the first whole message of the input.  Returns 0 if there is none. */
static int run_one(struct connection *connection)
{
	char *end = connection->input_length ?
			    memchr(connection->input, 0,
				   connection->input_length) : NULL;
	json_error_t where;

	if (!end || connection->busy || connection->closing)
		return 0;
	size_t length = (size_t)(end - connection->input);
	json_t *message = json_loadb(connection->input, length,
				     JSON_REJECT_DUPLICATES, &where);
	connection->input_length -= length + 1;
	memmove(connection->input, end + 1, connection->input_length);
	connection->busy = 1;
	if (!json_is_object(message)) {
		control_refuse(connection, "call: it is not a JSON object", "",
			       AMBIT_EXIT_FAILED);
		connection->closing = 1;
		flush_output(connection);
	} else {
		calls_dispatch(connection, message);
	}
	json_decref(message);
	drop_fds(connection);
	return 1;
}

static void ready(struct source *source, uint32_t events)
{
	struct connection *connection = source->owner;
	ssize_t got = -EAGAIN;

	if (events & (EPOLLHUP | EPOLLERR) ||
	    (events & EPOLLRDHUP && !(events & EPOLLIN))) {
		close_connection(connection);
		return;
	}
	if (events & EPOLLIN)
		got = read_some(connection);
	if (got == 0 || (got < 0 && got != -EAGAIN && got != -EINTR) ||
	    connection->input_length > MESSAGE_MOST) {
		close_connection(connection);
		return;
	}
	while (run_one(connection))
		continue;
	if (flush_output(connection) < 0)
		close_connection(connection);
}

/* Who is not root and came in all the same, by a capability, is told so and never
 * read from.  What he makes the log hold is bounded: one record a second. */
static void turn_away(struct warden *warden, struct connection *connection)
{
	static uint64_t last_ms;
	struct ambit_event event;
	uint64_t now = warden_boot_ms();

	if (now - last_ms >= 1000) {
		last_ms = now;
		records_fill(&event, AMBIT_EVENT_REFUSAL, NULL,
			     &connection->caller);
		snprintf(event.reason, sizeof(event.reason),
			 "control socket: user %u has no right to call",
			 connection->caller.uid);
		records_send(warden, &event, NULL, NULL);
	}
	connection->closing = 1;
	control_error(connection, AMBIT_INTERFACE ".PermissionDenied",
		      json_pack("{s:s}", "why",
				"only root may launch and end agents"));
}

static void accept_one(struct source *source, uint32_t events)
{
	static uint64_t serial;
	struct warden *warden = source->owner;
	struct ucred peer;
	socklen_t size = sizeof(peer);

	(void)events;
	OWN_FD fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 || connection_count >= CONNECTIONS ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return;
	struct connection *connection = calloc(1, sizeof(*connection));
	if (!connection)
		return;
	connection->warden = warden;
	connection->caller = (struct caller){ peer.uid, (uint32_t)peer.pid };
	connection->serial = ++serial;
	connection->output_fd = -1;
	for (int i = 0; i < CONTROL_FDS; i++)
		connection->fds[i] = -1;
	connection->socket = (struct source){ own_take_fd(&fd), ready,
					      connection };
	if (loop_add(&warden->loop, &connection->socket,
		     EPOLLIN | EPOLLRDHUP) < 0) {
		close(connection->socket.fd);
		free(connection);
		return;
	}
	connection->next = warden->connections;
	warden->connections = connection;
	connection_count++;
	if (peer.uid != 0) {
		turn_away(warden, connection);
		close_connection(connection);
	}
}

int control_open(struct warden *warden, struct error *error)
{
	int fd;

	int failed = files_listen(warden, AMBIT_CONTROL_SOCKET, 512, &fd, error);
	if (failed)
		return failed;
	warden->control = (struct source){ fd, accept_one, warden };
	failed = loop_add(&warden->loop, &warden->control, EPOLLIN);
	return failed ? error_errno(error, -failed, "control socket") : 0;
}

void control_close(struct warden *warden)
{
	char path[PATH_MAX];

	loop_remove(&warden->loop, &warden->control);
	while (warden->connections) {
		struct connection *connection = warden->connections;
		connection->agent = NULL;
		flush_output(connection);
		close_connection(connection);
	}
	snprintf(path, sizeof(path), "%s/%s", warden->config.run,
		 AMBIT_CONTROL_SOCKET);
	unlink(path);
}
