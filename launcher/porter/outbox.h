/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is to be said to the warden, in order.  The porter never waits for its
 * warden, which may just be waiting for the porter to take a message.
 */
#ifndef PORTER_OUTBOX_H
#define PORTER_OUTBOX_H

#include "base/message.h"

struct outbox_entry;

struct outbox {
	int socket;	/* not blocking */
	struct outbox_entry *first, **last;
	unsigned count;
};

void outbox_setup(struct outbox *outbox, int socket);

/* Says it now, or later if the socket is full.  Returns 0 or a negative errno,
 * with which the process has to end. */
int outbox_minted(struct outbox *outbox, const struct ambit_minted *minted);
int outbox_published(struct outbox *outbox,
		     const struct ambit_published *published);
int outbox_lookup(struct outbox *outbox, const struct ambit_lookup *lookup);

/* Says what had to wait, as far as it goes. */
int outbox_flush(struct outbox *outbox);
unsigned outbox_waiting(const struct outbox *outbox);
void outbox_clear(struct outbox *outbox);

#endif
