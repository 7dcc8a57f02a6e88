/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's terminal beside the agent's own: bytes both ways, the size, raw
 * mode and its end.  Nothing here waits; the caller polls.
 */
#ifndef AMBIT_TERMINAL_H
#define AMBIT_TERMINAL_H

#include "../base/error.h"
#include "flow.h"

#include <poll.h>
#include <termios.h>

#define TERMINAL_FDS 3

struct terminal {
	int master;	/* of the agent's terminal; -1: it has none any more */
	int in;		/* the caller's terminal to read; -1: not ours to read */
	int out;	/* the caller's terminal to write; -1: gone */
	int quiet;	/* no process of the agent has its terminal open */
	int foreground;	/* in may be read */
	int raw;	/* `before` has to be put back */
	struct termios before;
	struct flow to_agent, to_caller;
};

#define TERMINAL_NONE { .master = -1, .in = -1, .out = -1 }

/* The first of the descriptors 0, 1, 2 that is a terminal, or -1. */
int terminal_caller(void);

/* Takes `master` over and opens the caller's side. */
int terminal_open(struct terminal *terminal, int master, struct error *error);

/* Raw mode and reading, if this process is in the foreground and it was not
 * done yet; to be called before each poll. */
void terminal_resume(struct terminal *terminal);
/* The caller's modes as they were. */
void terminal_restore(struct terminal *terminal);
/* The agent's terminal gets the size of the caller's. */
void terminal_resize(const struct terminal *terminal);

/* What to poll for.  Returns how long poll may wait, -1 for ever. */
int terminal_prepare(const struct terminal *terminal,
		     struct pollfd ret_fds[TERMINAL_FDS]);
/* Moves what can be moved. */
void terminal_relay(struct terminal *terminal,
		    const struct pollfd fds[TERMINAL_FDS]);

/* The caller's modes back and everything closed; with `drain`, after the agent's
 * end, its last output comes first. */
void terminal_finish(struct terminal *terminal, int drain);

#endif
