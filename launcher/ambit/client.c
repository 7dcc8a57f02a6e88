/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Varlink on a unix socket: see client.h.  The node is trusted, but it may be of
 * another version or end in the middle of a reply: whatever it sends is checked
 * for its shape before use.
 */
#include "client.h"

#include "../base/own.h"
#include "pool.h"
#include "say.h"

#include <ambit/node.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* 4096 agents, each with all its texts and a long command, fit many times. */
#define REPLY_BYTES (64U << 20)
#define CALL_FDS 3

int client_connect(struct client *client, const char *path,
		   struct error *error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(path);

	if (length >= sizeof(address.sun_path))
		return error_set(error, ENAMETOOLONG,
				 "%s: too long for a socket's path", path);
	memcpy(address.sun_path, path, length);
	OWN_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(error, errno, "socket");
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		return error_errno(error, errno, "%s", path);
	*client = (struct client){ .fd = own_take_fd(&fd), .passed = -1 };
	return 0;
}

int client_send_fds(struct client *client, json_t *call, const int *fds,
		    size_t fd_count, struct error *error)
{
	OWN_JSON_TEXT char *text = json_dumps(call, JSON_COMPACT);
	json_decref(call);
	if (!text || fd_count > CALL_FDS)
		return error_errno(error, ENOMEM, "call");
	size_t length = strlen(text) + 1, sent = 0;
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(CALL_FDS * sizeof(int))];
	} control = { 0 };
	while (sent < length) {
		struct iovec part = { text + sent, length - sent };
		struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
		if (fd_count) {
			message.msg_control = control.bytes;
			message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
			struct cmsghdr *header = CMSG_FIRSTHDR(&message);
			header->cmsg_level = SOL_SOCKET;
			header->cmsg_type = SCM_RIGHTS;
			header->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
			memcpy(CMSG_DATA(header), fds, fd_count * sizeof(int));
		}
		ssize_t n = sendmsg(client->fd, &message, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(error, errno, "sending the call");
		sent += (size_t)n;
		fd_count = 0;	/* they went with the first bytes */
	}
	return 0;
}

int client_send(struct client *client, const char *method, json_t *parameters,
		int more, struct error *error)
{
	json_t *call = json_pack("{s:s+, s:o*}", "method", AMBIT_INTERFACE ".",
				 method, "parameters", parameters);
	if (!call || !parameters) {
		json_decref(call);
		return error_errno(error, ENOMEM, "%s", method);
	}
	if (more && json_object_set_new(call, "more", json_true())) {
		json_decref(call);
		return error_errno(error, ENOMEM, "%s", method);
	}
	return client_send_fds(client, call, NULL, 0, error);
}

/* Keeps the first descriptor that came, closes the others. */
static void keep_descriptor(struct client *client, struct msghdr *message)
{
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
	     header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET ||
		    header->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int),
			       sizeof(fd));
			if (client->passed < 0)
				client->passed = fd;
			else
				close(fd);
		}
	}
}

/* One recvmsg into the buffer.  Returns 1, 0 at the end, negative errno. */
static int receive_bytes(struct client *client, int wait, struct error *error)
{
	if (client->size - client->used < 4096) {
		size_t size = client->size ? client->size * 2 : 16384;
		if (size > REPLY_BYTES)
			return error_set(error, EMSGSIZE,
					 "the node's answer is too long");
		char *larger = realloc(client->buffer, size);
		if (!larger)
			return error_errno(error, ENOMEM, "the node's answer");
		client->buffer = larger;
		client->size = size;
	}
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(CALL_FDS * sizeof(int))];
	} control;
	struct iovec part = { client->buffer + client->used,
			      client->size - client->used };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1,
				  .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes) };
	ssize_t n = recvmsg(client->fd, &message,
			    MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
	if (n < 0 && errno == ECONNRESET)	/* ended with our call unread */
		return 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return wait ? 1 : -EAGAIN;
	if (n < 0)
		return error_errno(error, errno, "receiving the answer");
	keep_descriptor(client, &message);
	if (message.msg_flags & MSG_CTRUNC)
		return error_set(error, EPROTO,
				 "the node sent too many descriptors");
	client->used += (size_t)n;
	return n > 0;
}

static int reply_parse(const char *text, size_t length, struct reply *ret_reply,
		       struct error *error)
{
	json_error_t where;
	json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
	struct reply reply = { .root = root };

	if (!json_is_object(root))
		goto broken;
	const json_t *failed = json_object_get(root, "error");
	const json_t *continues = json_object_get(root, "continues");
	reply.parameters = json_object_get(root, "parameters");
	if (!reply.parameters) {
		/* Varlink lets a reply without parameters leave them out. */
		json_t *none = json_object();
		if (json_object_set_new(root, "parameters", none))
			goto broken;
		reply.parameters = none;
	}
	if ((failed && !json_is_string(failed)) ||
	    (continues && !json_is_boolean(continues)) ||
	    !json_is_object(reply.parameters))
		goto broken;
	reply.error = json_string_value(failed);
	reply.continues = json_is_true(continues);
	*ret_reply = reply;
	return 0;
broken:
	json_decref(root);
	return error_set(error, EPROTO, "the node's answer is not understood");
}

int client_receive(struct client *client, int wait, struct reply *ret_reply,
		   struct error *error)
{
	for (;;) {
		char *end = NULL;
		if (client->used > client->scanned)
			end = memchr(client->buffer + client->scanned, 0,
				     client->used - client->scanned);
		if (end) {
			size_t length = (size_t)(end - client->buffer);
			int result = reply_parse(client->buffer, length,
						 ret_reply, error);
			client->used -= length + 1;
			memmove(client->buffer, end + 1, client->used);
			client->scanned = 0;
			return result ? result : 1;
		}
		client->scanned = client->used;
		int result = receive_bytes(client, wait, error);
		if (result <= 0)
			return result;
	}
}

void reply_release(struct reply *reply)
{
	json_decref(reply->root);
	*reply = (struct reply){ 0 };
}

void client_close(struct client *client)
{
	own_close(&client->fd);
	own_close(&client->passed);
	own_free(&client->buffer);
	*client = (struct client)CLIENT_CLOSED;
}

static const char *text_of(const struct reply *reply, const char *name)
{
	const char *text =
		json_string_value(json_object_get(reply->parameters, name));
	return text ? text : "";
}

/* Errors with one text, and how they are said. */
static const struct {
	const char *error, *parameter, *format, *hint;
} errors[] = {
	{ AMBIT_INTERFACE ".NoSuchAgent", "agent", "%s: no such agent, or it has ended",
	  "ambit ps --all lists them" },
	{ AMBIT_INTERFACE ".PermissionDenied", "why", "%s", NULL },
	{ "org.varlink.service.MethodNotFound", "method",
	  "the node does not know %s", "it is of another version" },
	{ "org.varlink.service.MethodNotImplemented", "method",
	  "the node does not have %s", "it is of another version" },
	{ "org.varlink.service.InterfaceNotFound", "interface",
	  "the node does not know %s", "it is of another version" },
	{ "org.varlink.service.InvalidParameter", "parameter",
	  "the node does not accept the parameter %s", NULL },
};

int reply_refusal(const struct reply *reply, const char *what, int status)
{
	if (strcmp(reply->error, AMBIT_INTERFACE ".Refused") == 0) {
		json_int_t theirs = json_integer_value(
			json_object_get(reply->parameters, "status"));
		/* Never success, whatever the node says. */
		if (theirs >= 1 && theirs <= 255)
			status = (int)theirs;
		const char *named = text_of(reply, "what");
		return say_refusal(status, *named ? named : what,
				   text_of(reply, "hint"), "%s",
				   text_of(reply, "why"));
	}
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (strcmp(reply->error, errors[i].error))
			continue;
		char why[1024];
		const char *parameter = text_of(reply, errors[i].parameter);
		const char *mark = strstr(errors[i].format, "%s");
		snprintf(why, sizeof(why), "%.*s%s%s",
			 (int)(mark - errors[i].format), errors[i].format,
			 parameter, mark + 2);
		return say_refusal(status, what, errors[i].hint, "%s", why);
	}
	return say_refusal(status, what, NULL, "the node answered %s",
			   reply->error);
}
