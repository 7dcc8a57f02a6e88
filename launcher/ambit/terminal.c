/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Relaying a terminal: see terminal.h.  Called by the session of `ambit run`,
 * which has every signal blocked: setting modes from the background can't stop
 * this process (SIGTTOU), and no signal ends it in raw mode.
 */
#include "terminal.h"

#include "../base/own.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>

/* How often a terminal that the agent has closed is looked at again. */
#define QUIET_MS 200
/* A shell that brings a running job to the foreground does not tell it. */
#define BACKGROUND_MS 200
/* Without a byte for so long after the agent's end, there is nothing more. */
#define DRAIN_MS 1000

int terminal_caller(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (isatty(fd))
			return fd;
	return -1;
}

/* A description of our own, so that O_NONBLOCK does not reach the shell that
 * shares the caller's.  Where it can't be opened by name (a terminal of another
 * mount namespace, or the master side) the caller's own serves, and a write may
 * wait. */
static int reopen(int fd, int mode)
{
	char path[32];
	unsigned number;

	if (ioctl(fd, TIOCGPTN, &number) < 0) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		int own = open(path, mode | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
		if (own >= 0)
			return own;
	}
	return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

int terminal_open(struct terminal *terminal, int master, struct error *error)
{
	int flags = fcntl(master, F_GETFL);

	terminal->master = master;
	if (flags < 0 || fcntl(master, F_SETFL, flags | O_NONBLOCK))
		return error_errno(error, errno, "the agent's terminal");
	int out = isatty(1) ? 1 : isatty(2) ? 2 : 0;
	if (isatty(0))
		terminal->in = reopen(0, O_RDONLY);
	terminal->out = reopen(out, O_WRONLY);
	if (terminal->out < 0 || (isatty(0) && terminal->in < 0))
		return error_errno(error, errno, "the caller's terminal");
	terminal_resize(terminal);
	terminal_resume(terminal);
	return 0;
}

void terminal_resume(struct terminal *terminal)
{
	if (terminal->in < 0 || terminal->raw)
		return;
	/* -1: it is not our controlling terminal, and has no background. */
	pid_t group = tcgetpgrp(terminal->in);
	terminal->foreground = group < 0 || group == getpgrp();
	if (!terminal->foreground ||
	    tcgetattr(terminal->in, &terminal->before))
		return;
	struct termios raw = terminal->before;
	cfmakeraw(&raw);
	/* Other programs of a pipeline may be writing to this terminal. */
	if (!isatty(1))
		raw.c_oflag = terminal->before.c_oflag;
	terminal->raw = tcsetattr(terminal->in, TCSADRAIN, &raw) == 0;
}

void terminal_restore(struct terminal *terminal)
{
	if (terminal->raw)
		tcsetattr(terminal->in, TCSADRAIN, &terminal->before);
	terminal->raw = 0;
	terminal->foreground = 0;
}

void terminal_resize(const struct terminal *terminal)
{
	struct winsize size;
	int fd = terminal->out >= 0 ? terminal->out : terminal->in;

	if (terminal->master >= 0 && fd >= 0 && ioctl(fd, TIOCGWINSZ, &size) == 0)
		ioctl(terminal->master, TIOCSWINSZ, &size);
}

int terminal_prepare(const struct terminal *terminal,
		     struct pollfd ret_fds[TERMINAL_FDS])
{
	short master = 0;
	int reads = terminal->in >= 0 && terminal->foreground &&
		    terminal->master >= 0 && flow_is_empty(&terminal->to_agent);

	if (flow_is_empty(&terminal->to_caller) && !terminal->quiet)
		master |= POLLIN;
	if (!flow_is_empty(&terminal->to_agent) && !terminal->quiet)
		master |= POLLOUT;
	/* A descriptor that nothing is wanted from is left out: poll reports
	 * POLLHUP unasked, again and again. */
	ret_fds[0] = (struct pollfd){ reads ? terminal->in : -1, POLLIN, 0 };
	ret_fds[1] = (struct pollfd){ master ? terminal->master : -1, master, 0 };
	ret_fds[2] = (struct pollfd){
		flow_is_empty(&terminal->to_caller) ? -1 : terminal->out, POLLOUT, 0 };
	if (terminal->master < 0)
		return -1;
	if (terminal->in >= 0 && !terminal->foreground)
		return BACKGROUND_MS;
	return terminal->quiet ? QUIET_MS : -1;
}

/* The caller's terminal is gone (hung up): so is the agent's. */
static void hang_up(struct terminal *terminal)
{
	own_close(&terminal->master);
	flow_drop(&terminal->to_agent);
	flow_drop(&terminal->to_caller);
}

static void read_caller(struct terminal *terminal)
{
	ssize_t n = flow_fill(&terminal->to_agent, terminal->in, 0);
	if (n > 0 || flow_later(n))
		return;
	/* The shell took the foreground away; SIGCONT gives it back. */
	pid_t group = tcgetpgrp(terminal->in);
	if (n == -EIO && group >= 0 && group != getpgrp())
		terminal_restore(terminal);
	else
		hang_up(terminal);
}

void terminal_relay(struct terminal *terminal,
		    const struct pollfd fds[TERMINAL_FDS])
{
	if (fds[0].revents && flow_is_empty(&terminal->to_agent)) {
		/* What was typed after a change of the size must find it changed:
		 * its signal may not have been looked at yet. */
		terminal_resize(terminal);
		read_caller(terminal);
	}
	if (terminal->master >= 0 && flow_is_empty(&terminal->to_caller) &&
	    (terminal->quiet || fds[1].revents)) {
		ssize_t n = flow_fill(&terminal->to_caller, terminal->master, 0);
		if (!flow_later(n))
			terminal->quiet = n <= 0;
	}
	/* What the agent's side does not take stays: it is full, or closed. */
	if (terminal->master >= 0 && !flow_is_empty(&terminal->to_agent))
		flow_empty(&terminal->to_agent, terminal->master, 0);
	if (!flow_is_empty(&terminal->to_caller)) {
		ssize_t n = flow_empty(&terminal->to_caller, terminal->out, 0);
		if (n < 0 && !flow_later(n))
			hang_up(terminal);
	}
}

void terminal_finish(struct terminal *terminal, int drain)
{
	/* Nobody reads the agent's input any more. */
	terminal->foreground = 0;
	flow_drop(&terminal->to_agent);
	/* The kernel hands out everything that was written before it reports
	 * the hang-up (n_tty_read flushes first). */
	while (drain && terminal->master >= 0 &&
	       !(terminal->quiet && flow_is_empty(&terminal->to_caller))) {
		struct pollfd fds[TERMINAL_FDS];
		terminal_prepare(terminal, fds);
		int waits = flow_is_empty(&terminal->to_caller) ? DRAIN_MS : -1;
		int count = poll(fds, TERMINAL_FDS, waits);
		if (count == 0)
			break;
		if (count > 0)
			terminal_relay(terminal, fds);
	}
	terminal_restore(terminal);
	own_close(&terminal->master);
	own_close(&terminal->in);
	own_close(&terminal->out);
}
