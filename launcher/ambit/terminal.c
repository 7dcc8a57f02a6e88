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

static int is_empty(const struct terminal_flow *flow)
{
	return flow->start == flow->end;
}

int terminal_prepare(const struct terminal *terminal,
		     struct pollfd ret_fds[TERMINAL_FDS])
{
	short master = 0;
	int reads = terminal->in >= 0 && terminal->foreground &&
		    terminal->master >= 0 && is_empty(&terminal->to_agent);

	if (is_empty(&terminal->to_caller) && !terminal->quiet)
		master |= POLLIN;
	if (!is_empty(&terminal->to_agent) && !terminal->quiet)
		master |= POLLOUT;
	/* A descriptor that nothing is wanted from is left out: poll reports
	 * POLLHUP unasked, again and again. */
	ret_fds[0] = (struct pollfd){ reads ? terminal->in : -1, POLLIN, 0 };
	ret_fds[1] = (struct pollfd){ master ? terminal->master : -1, master, 0 };
	ret_fds[2] = (struct pollfd){
		is_empty(&terminal->to_caller) ? -1 : terminal->out, POLLOUT, 0 };
	return terminal->quiet && terminal->master >= 0 ? QUIET_MS : -1;
}

/* Returns bytes moved, 0 at the end, or a negative errno. */
static ssize_t fill(int fd, struct terminal_flow *flow)
{
	ssize_t n = read(fd, flow->bytes, sizeof(flow->bytes));
	if (n < 0)
		return -errno;
	flow->start = 0;
	flow->end = (size_t)n;
	return n;
}

static ssize_t empty(int fd, struct terminal_flow *flow)
{
	ssize_t n = write(fd, flow->bytes + flow->start, flow->end - flow->start);
	if (n < 0)
		return -errno;
	flow->start += (size_t)n;
	return n;
}

static int later(ssize_t result)
{
	return result == -EAGAIN || result == -EINTR;
}

/* The caller's terminal is gone (hung up): so is the agent's. */
static void hang_up(struct terminal *terminal)
{
	own_close(&terminal->master);
	terminal->to_agent.start = terminal->to_agent.end = 0;
	terminal->to_caller.start = terminal->to_caller.end = 0;
}

static int read_caller(struct terminal *terminal)
{
	ssize_t n = fill(terminal->in, &terminal->to_agent);
	if (n > 0)
		return 1;
	if (later(n))
		return 0;
	/* The shell took the foreground away; SIGCONT gives it back. */
	pid_t group = tcgetpgrp(terminal->in);
	if (n == -EIO && group >= 0 && group != getpgrp())
		terminal_restore(terminal);
	else
		hang_up(terminal);
	return 0;
}

static int read_agent(struct terminal *terminal)
{
	ssize_t n = fill(terminal->master, &terminal->to_caller);
	if (!later(n))
		terminal->quiet = n <= 0;
	return n > 0;
}

int terminal_relay(struct terminal *terminal,
		   const struct pollfd fds[TERMINAL_FDS])
{
	int moved = 0;

	if (fds[0].revents && is_empty(&terminal->to_agent))
		moved |= read_caller(terminal);
	if (terminal->master >= 0 && is_empty(&terminal->to_caller) &&
	    (terminal->quiet || fds[1].revents))
		moved |= read_agent(terminal);
	if (terminal->master >= 0 && !is_empty(&terminal->to_agent))
		moved |= empty(terminal->master, &terminal->to_agent) > 0;
	if (!is_empty(&terminal->to_caller)) {
		ssize_t n = empty(terminal->out, &terminal->to_caller);
		if (n < 0 && !later(n))
			hang_up(terminal);
		moved |= n > 0;
	}
	return moved;
}

void terminal_finish(struct terminal *terminal)
{
	/* Nobody reads the agent's input any more. */
	terminal->foreground = 0;
	terminal->to_agent.start = terminal->to_agent.end = 0;
	/* The kernel hands out everything that was written before it reports
	 * the hang-up (n_tty_read flushes first). */
	while (terminal->master >= 0 &&
	       !(terminal->quiet && is_empty(&terminal->to_caller))) {
		struct pollfd fds[TERMINAL_FDS];
		terminal_prepare(terminal, fds);
		int waits = is_empty(&terminal->to_caller) ? DRAIN_MS : -1;
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
