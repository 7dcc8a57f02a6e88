/* SPDX-License-Identifier: Apache-2.0 */
/* Records that the warden has written: events filled in and sent, and what
 * waits for them to be durable. */
#ifndef WARDEN_RECORDS_H
#define WARDEN_RECORDS_H

#include "warden.h"

/* An event about `agent` (NULL: none) asked for by `caller` (NULL: the node). */
void records_fill(struct ambit_event *ret_event, enum ambit_event_kind kind,
		  const struct agent *agent, const struct caller *caller);

/* A text for a record: one that does not fit is cut at a character, and ends with
 * "…", so that nobody takes it for the whole. */
void records_text(char *place, size_t size, const char *text);

/* Sends it.  `done` (may be NULL) is called once with 0 when the record is on
 * disk, or with a negative errno when it can't be.  Returns 0 or a negative
 * errno; then `done` is not called.  An event that nobody waits for is held where
 * no recorder takes it, and told to the next. */
int records_send(struct warden *warden, struct ambit_event *event,
		 void (*done)(struct warden *, void *, int), void *data);

/* DURABLE from the recorder. */
void records_durable(struct warden *warden, const struct ambit_durable *durable);

/* The recorder died: everything that waits is told so. */
void records_lost(struct warden *warden);

/* `socket` is the recorder's own end: what a recorder that ended has not read is read
 * from it, and told to the next. */
void records_keep(int socket);

/* What a recorder must know before it is of use: who the agents are, where the rings
 * are, and what the one before it left. */
void records_greet(struct warden *warden);
/* The recorder may be the one that ended: its record waits until it is back, and says
 * what nothing else will. */
void records_tell_ended(struct warden *warden);

/* Tells the recorder who `agent` is: OPEN and its ENDPOINTs. */
int records_open(struct warden *warden, const struct agent *agent);

#endif
