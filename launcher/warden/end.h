/* SPDX-License-Identifier: Apache-2.0 */
/* How an agent ends, and that nothing of it stays. */
#ifndef WARDEN_END_H
#define WARDEN_END_H

#include "warden.h"

/* Kills everything of the agent now.  `cause` is a word for its exit: killed,
 * lifetime, retired, caller gone …; the first one stands. */
void end_kill(struct agent *agent, const char *cause);

/* Cuts the agent off while it runs on: nothing goes out or comes in from now on,
 * and what is open is destroyed before this returns. */
int end_cut(struct agent *agent, struct error *error);

/* SIGTERM now, end_kill after the profile's grace. */
void end_retire(struct agent *agent, const char *cause);
/* An agent that an earlier warden launched: a retirement that it had begun, or a
 * profile that is retired, ends it; and so does a caller that does not come back. */
void end_adopt(struct agent *agent);

/* Its process 1 has ended: takes everything down, writes the closing records,
 * answers whoever waits. */
void end_agent(struct agent *agent);

/* The recorder ended before it said CLOSED: the agent's callers are answered, and its
 * slot is kept for the next recorder to hear of the end, who it was first. */
void end_owed(struct agent *agent);
/* That one is there: it is told. */
void end_tell_owed(struct warden *warden);
/* 1 if there is no agent but such. */
int end_only_owed(struct warden *warden);
/* There will be none. */
void end_forget_owed(struct warden *warden);

/* CLOSED from the recorder: the slot is free again. */
void end_closed(struct warden *warden, const struct ambit_closed *closed);

/* The command has ended and left nobody behind but process 1, which is about to end. */
void end_alone(struct agent *agent);

/* Sets the exit from a wait status of the command. */
void end_status(struct agent *agent, int status);

#endif
