/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending and receiving the typed messages of include/ambit/message.h over a
 * SOCK_SEQPACKET socket.  A packet whose type is unknown, whose length is not
 * its type's, whose texts are not terminated or which carries another number of
 * descriptors than its type has is refused with EBADMSG: the peer is broken.
 */
#ifndef BASE_MESSAGE_H
#define BASE_MESSAGE_H

#include "error.h"

#include <ambit/message.h>
#include <stddef.h>

#define MESSAGE_FDS 3	/* most descriptors one message carries */

/* Any message body, aligned for all of them. */
union message_body {
	struct ambit_rings rings;
	struct ambit_open open;
	struct ambit_endpoint endpoint;
	struct ambit_event event;
	struct ambit_close close;
	struct ambit_durable durable;
	struct ambit_closed closed;
	struct ambit_health health;
	struct ambit_admit admit;
	struct ambit_granted granted;
	struct ambit_dismiss dismiss;
	struct ambit_serve serve;
	struct ambit_publish publish;
	struct ambit_minted minted;
	struct ambit_published published;
	struct ambit_sign sign;
	struct ambit_signed signed_;
	struct ambit_lookup lookup;
	struct ambit_name name;
	struct ambit_admitted_names admitted;
	struct ambit_ready ready;
};

struct message {
	enum ambit_message_type type;
	int fds[MESSAGE_FDS];	/* owned by the receiver; -1 where there is none */
	union message_body body;
};

/* Sends `type` with its body and its descriptors (`fds` may be NULL if the type
 * carries none; they stay the caller's).  Waits while the peer's queue is full.
 * Returns 0 or a negative errno; -EPIPE when the peer is gone. */
int message_send(int socket, enum ambit_message_type type, const void *body,
		 const int *fds);

/* The same, but waits for at most so many milliseconds: -EAGAIN then. */
int message_send_within(int socket, enum ambit_message_type type, const void *body,
			const int *fds, int ms);

/* Receives one message.  Returns 1, 0 when the peer closed the socket, -EAGAIN
 * when `wait` is 0 and nothing is there, or another negative errno. */
int message_receive(int socket, int wait, struct message *ret_message);

/* Closes the descriptors that are still in `message`. */
void message_release(struct message *message);

/* 0 if `fd` is a socket of packets, as messages travel over; else a negative errno. */
int message_check(int fd, struct error *error);

#endif
