/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's half of Varlink on the control socket: zero-terminated JSON, one
 * object a message; descriptors travel with the first bytes of a call.
 */
#ifndef AMBIT_CLIENT_H
#define AMBIT_CLIENT_H

#include "../base/error.h"

#include <jansson.h>
#include <stddef.h>

struct client {
	int fd;
	int passed;	/* a descriptor that came with a reply; client_close
			 * closes it unless it was taken */
	char *buffer;
	size_t used, size;
	size_t scanned;	/* bytes of buffer known to hold no zero */
};

#define CLIENT_CLOSED { .fd = -1, .passed = -1 }

/* A reply owns `root`; the other two point into it. */
struct reply {
	json_t *root;
	const json_t *parameters;	/* an object, never NULL */
	const char *error;		/* NULL: success */
	int continues;
};

/* Connects to the socket `path`.  -ENOENT and -ECONNREFUSED: nobody listens. */
int client_connect(struct client *client, const char *path,
		   struct error *error);

/* Sends one call.  Takes over `parameters` (NULL is an error of memory).  `fds`
 * stay the caller's. */
int client_send(struct client *client, const char *method, json_t *parameters,
		int more, struct error *error);
int client_send_fds(struct client *client, json_t *call, const int *fds,
		    size_t fd_count, struct error *error);

/* Receives one reply.  Returns 1; 0 when the node closed the connection;
 * -EAGAIN when `wait` is 0 and no whole reply is there; or another negative
 * errno with `error` filled. */
int client_receive(struct client *client, int wait, struct reply *ret_reply,
		   struct error *error);

void reply_release(struct reply *reply);
void client_close(struct client *client);

/* Says the error of `reply` as a refusal of `what`.  Returns the exit status:
 * the node's own, or `status`. */
int reply_refusal(const struct reply *reply, const char *what, int status);

#endif
