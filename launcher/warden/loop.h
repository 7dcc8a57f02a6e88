/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: one epoll, sources that are called when they are ready. */
#ifndef WARDEN_LOOP_H
#define WARDEN_LOOP_H

#include <stdint.h>

struct source {
	int fd;
	void (*ready)(struct source *source, uint32_t events);
	void *owner;
};

struct loop {
	int epoll;
	int stopped;
	/* Work for when there is nothing else: called between rounds without an
	 * event, until it returns 0.  NULL: none. */
	int (*idle)(void *owner);
	void *owner;
};

int loop_open(struct loop *loop);
/* Watches source->fd for `events` (EPOLLIN …).  The source must stay where it is
 * until loop_remove.  Returns 0 or a negative errno. */
int loop_add(struct loop *loop, struct source *source, uint32_t events);
int loop_change(struct loop *loop, struct source *source, uint32_t events);
/* Forgets the source, also among the events of the current round, and closes
 * its descriptor. */
void loop_remove(struct loop *loop, struct source *source);
/* Runs until loop->stopped. */
int loop_run(struct loop *loop);

#endif
