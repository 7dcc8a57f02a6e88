/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's credentials as the warden sees them: who may have what, when it was
 * minted, recorded and put in place.  The bytes never come here. */
#ifndef WARDEN_CREDENTIALS_H
#define WARDEN_CREDENTIALS_H

#include "warden.h"

/* (Re)sends what issuer and porter must know to serve `agent`; of one that starts it is
 * drawn what its first credentials are going to be. */
int credentials_serve(struct agent *agent, struct error *error);

/* GRANTED from the issuer. */
void credentials_take_granted(struct warden *warden,
			      const struct ambit_granted *granted);

/* The record of credential `index`; `done` as in records_send. */
int credentials_record(struct agent *agent, unsigned index, int renewed,
		       void (*done)(struct warden *, void *, int), void *data);

/* Renewals whose record no recorder could write: it can now.  They are put in place
 * then; an event that is one of these need not be told. */
void credentials_tell_owed(struct warden *warden);
int credentials_owes(const struct agent *agent, const struct ambit_event *event);

/* From the porter. */
void credentials_take_minted(struct warden *warden,
			     const struct ambit_minted *minted);
void credentials_take_published(struct warden *warden,
				const struct ambit_published *published);

#endif
