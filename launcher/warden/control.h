/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: Varlink (https://varlink.org/), one call at a time on each
 * connection.  Callers are identified by the kernel before a byte is read. */
#ifndef WARDEN_CONTROL_H
#define WARDEN_CONTROL_H

#include "warden.h"

#include <jansson.h>

#define CONTROL_FDS 3

struct connection {
	struct connection *next;
	struct warden *warden;
	struct source socket;
	struct caller caller;
	char *input;
	size_t input_length, input_room;
	char *output;
	size_t output_length, output_room;
	int output_fd;		/* goes with the next byte, or -1 */
	int fds[CONTROL_FDS];	/* that came with the current call; -1: none */
	int busy;		/* an answer is outstanding */
	int more;		/* the current call said "more" */
	int closing;		/* after the output is out */
	struct agent *agent;	/* of a Run or Wait that is outstanding */
	int waits;		/* 1: a Wait … */
	int claims;		/* … of its caller; else the agent lives on without us */
	json_t *group;		/* agents that a Kill or Retire ends: their ids,
				 * then what is to be said of them */
	unsigned group_left;	/* of them, those that have not ended */
	json_t *missing;	/* what of the named agents is not there */
	int unknown;		/* a profile to retire of which there is no file */
	int settles;		/* a Settle is outstanding */
	uint64_t serial;	/* what is answered later finds it by this */
};

int control_open(struct warden *warden, struct error *error);
void control_close(struct warden *warden);

/* Answers the current call.  `parameters` is taken over. */
void control_reply(struct connection *connection, json_t *parameters,
		   int continues);
void control_error(struct connection *connection, const char *name,
		   json_t *parameters);
/* io.ambit.Node.Refused; text is "<what>: <why>". */
void control_refuse(struct connection *connection, const char *text,
		    const char *hint, int status);

/* The outcome of a launch whose connection waits. */
void control_launched(struct agent *agent);
void control_refused(struct agent *agent);
/* The agent's processes are gone and how they ended is known: answers who waits
 * for that. */
void control_exited(struct agent *agent);
/* Nothing is left of the agent: answers everyone who still waits for it. */
void control_ended(struct agent *agent);
/* The agent leaves the table: no connection may still lead to it. */
void control_forget(const struct agent *agent);
/* Answers Settle where nothing that has ended is left. */
void control_settled(struct warden *warden);

/* calls.c: runs one call.  Every call is answered, at once or later. */
void calls_dispatch(struct connection *connection, json_t *message);

/* What the calls share. */
void calls_bad_parameter(struct connection *connection, const char *what);
/* A living agent; otherwise the call is answered with NoSuchAgent. */
struct agent *calls_find(struct connection *connection, const char *which);
/* What is remembered of an ended agent (borrowed), or NULL. */
json_t *calls_recall(const char *which);

/* calls_run.c, calls_end.c: one method each. */
void calls_run(struct connection *connection, json_t *parameters);
void calls_wait(struct connection *connection, json_t *parameters);
void calls_signal(struct connection *connection, json_t *parameters);
void calls_cut(struct connection *connection, json_t *parameters);
void calls_reload(struct connection *connection, json_t *parameters);
void calls_kill(struct connection *connection, json_t *parameters);
void calls_retire(struct connection *connection, json_t *parameters);
void calls_reinstate(struct connection *connection, json_t *parameters);
json_t *calls_agent(const struct agent *agent);
/* Keeps what List, Inspect and Wait tell of an ended agent. */
void calls_remember(const struct agent *agent);
/* The last agent of a Kill or Retire has ended. */
void calls_group_done(struct connection *connection);

#endif
