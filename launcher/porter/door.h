/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the agents' questions come in: one UDP socket and one TCP listener of the
 * same port.  Says which slot each came from and carries the answer back; what the
 * bytes mean is not known here.
 */
#ifndef PORTER_DOOR_H
#define PORTER_DOOR_H

#include "base/error.h"

#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#define DOOR_CONNECTIONS 128
#define DOOR_CONNECTIONS_EACH 8	/* of one slot */
#define DOOR_QUESTION 512	/* bytes of one; a longer one is none */
#define DOOR_SOCKETS (2 + DOOR_CONNECTIONS)

/* Whom to answer. */
struct door_guest {
	uint32_t slot;
	int connection;		/* -1: by UDP */
	uint64_t serial;	/* of the connection */
	struct sockaddr_in peer;
	struct in_addr local;
};

typedef int door_take(void *data, const struct door_guest *guest,
		      const uint8_t *bytes, size_t length);

struct door;

int door_open(struct door **ret_door, struct error *error);
void door_close(struct door *door);
uint16_t door_port(const struct door *door);

/* Room for an answer to this guest, at most. */
size_t door_room(const struct door_guest *guest, size_t udp);

/* Answers; no bytes: no answer, and a connection ends.  Once per question. */
void door_answer(struct door *door, const struct door_guest *guest,
		 uint8_t *bytes, size_t length);

/* 1 if `fd` is one of its connections. */
int door_has(const struct door *door, int fd);

unsigned door_watch(struct door *door, struct pollfd *ret_sockets,
		    int *timeout_ms);
/* Calls take() for every question that is there.  Passes on its negative errno. */
int door_work(struct door *door, const struct pollfd *sockets, unsigned count,
	      door_take *take, void *data);

#endif
