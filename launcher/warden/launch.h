/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One launch, from the request to the agent's first instruction.
 *
 * Nothing waits for anything it does not need: identity, records and the
 * namespaces are made at the same time, and the word to go is given when the
 * process is bounded, the records are durable and the credentials are in place
 * (include/ambit/message.h, "How one launch goes").
 */
#ifndef WARDEN_LAUNCH_H
#define WARDEN_LAUNCH_H

#include "packet.h"
#include "warden.h"

struct launch {
	const char *profile;
	char *const *command;	/* command_count may be 0: the profile's */
	unsigned command_count;
	const char *task, *name;	/* "" if not given */
	int detach;
	struct caller caller;
	struct packet_caller packet;
	struct connection *connection;	/* to be answered */
};

/* Begins.  On success the answer comes later (control_launched or
 * control_refused); on failure the refusal is recorded and the error says
 * what and why. */
int launch_begin(struct warden *warden, const struct launch *launch,
		 struct error *error);

/* Goes on with a launch when one of its parts was answered. */
void launch_advance(struct agent *agent);

/* Refuses a launch that has begun: recorded, taken down, then answered with
 * `status`. */
void launch_refuse(struct agent *agent, int status, const struct error *error);
void launch_refuse_text(struct agent *agent, int code, const char *text);

/* A service died: launches that need it are refused. */
void launch_service_lost(struct warden *warden);

/* Records a refusal that never became an agent. */
void launch_record_refusal(struct warden *warden, const struct launch *launch,
			   const struct compiled *compiled,
			   const struct error *error);

#endif
