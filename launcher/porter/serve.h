/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agents served and the course of each credential:
 *
 *   WAITING  --due-->      WANTED   --SIGN-->     SIGNING
 *   SIGNING  --SIGNED-->   MINTED   --PUBLISH-->  WAITING for half its life
 *   SIGNING  --error-->    WAITING for the back-off
 *   MINTED   --ended-->    WAITING for the back-off
 *
 * Beside it runs the end of what is in place: a credential that has ended is
 * taken away, whatever the state of its successor.
 */
#ifndef PORTER_SERVE_H
#define PORTER_SERVE_H

#include "files.h"
#include "outbox.h"
#include "timers.h"

#include <ambit/kernel.h>
#include <sys/queue.h>

/* Requests at the issuer at once: few enough that neither socket ever fills, so
 * that neither of the two can wait for the other. */
#define SERVE_WINDOW 32

enum serve_state { SERVE_WAITING, SERVE_WANTED, SERVE_SIGNING, SERVE_MINTED };

struct serve_credential {
	struct timer timer;	/* first member: the heap gives it back */
	TAILQ_ENTRY(serve_credential) wanted;
	struct serve_instance *instance;
	uint64_t attempt_ms;	/* WAITING: when to ask again */
	uint64_t not_before, not_after;	/* MINTED: of what is not yet in place */
	uint64_t held_until;	/* seconds: end of what is in place, 0: nothing */
	uint32_t index, back_off;
	enum serve_state state;
	enum files_kind kind;
	int renewal;		/* one was minted before */
	char name[AMBIT_NAME_SIZE];
};

struct serve_instance {
	struct serve_instance *next;	/* of the same bucket */
	uint64_t instance;
	int directory;
	uint32_t count;
	int starting;		/* as in struct ambit_serve */
	struct serve_credential credentials[];
};

TAILQ_HEAD(serve_queue, serve_credential);

struct serve {
	struct serve_instance *buckets[AMBIT_SLOTS];
	struct serve_queue wanted;
	struct timers timers;
	struct outbox outbox;
	size_t credentials;
	unsigned in_flight;
	int issuer;		/* not blocking */
	uid_t uid;
};

void serve_setup(struct serve *serve, int warden, int issuer, uid_t uid);

/* A message of the warden's; one of the issuer's.  Takes the message's
 * descriptors that it keeps.  An error means that the peer is broken or gone. */
int serve_warden(struct serve *serve, struct message *message, uint64_t now_ms);
int serve_issuer(struct serve *serve, struct message *message, uint64_t now_ms);

/* Does what is due. */
int serve_due(struct serve *serve, uint64_t now_ms);

/* For poll: milliseconds until something is due, -1 for never. */
int serve_timeout(const struct serve *serve, uint64_t now_ms);

/* Forgets all; the files stay, for the porter that comes next. */
void serve_clear(struct serve *serve);

#endif
