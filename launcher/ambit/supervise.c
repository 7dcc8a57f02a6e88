/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps ambitd running where no service manager does.  Started by node.c, with
 * the lock as descriptor 3, the starter's pipe as 4 and the log as stdout and
 * stderr; allocates nothing.  It ends when ambitd ends with status 0, when it is
 * told to (SIGTERM, passed on), or when the first start fails: then the starter
 * gets the reason.  Agents stay bounded while ambitd is away, so that a restart
 * may take its time.
 */
#include "supervise.h"

#include "../base/error.h"
#include "../base/own.h"
#include "node.h"
#include "say.h"

#include <ambit/exit.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define DELAY_FIRST_MS 100
#define DELAY_MOST_MS 5000
/* A node that ran for this long is healthy: the delay starts over. */
#define HEALTHY_MS 30000

struct supervisor {
	char program[PATH_MAX];
	int signals;	/* signalfd */
	int starter;	/* the starter's pipe; -1 once it was told */
	int stopping;
	int delay_ms;
	pid_t child;
	int process;	/* pidfd of child */
	int ready;	/* pipe from child; -1 once its line came */
	char line[1024];
	size_t used;
};

static void tell_starter(struct supervisor *supervisor, const char *line)
{
	if (supervisor->starter < 0)
		return;
	/* A starter that went away has nobody to tell: SIGPIPE is blocked. */
	dprintf(supervisor->starter, "%s\n", line);
	own_close(&supervisor->starter);
}

static _Noreturn void become_node(const char *program, int ready)
{
	char number[16], name[] = "ambitd", option[] = "--ready-fd";
	char *argv[] = { name, option, number, NULL };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	snprintf(number, sizeof(number), "%d", ready);
	if (fcntl(ready, F_SETFD, 0) == 0)
		execv(program, argv);
	dprintf(ready, "error: %s: %s\n", program, strerror(errno));
	_exit(AMBIT_EXIT_FAILED);
}

static int start(struct supervisor *supervisor, struct error *error)
{
	int ready[2];

	if (pipe2(ready, O_CLOEXEC))
		return error_errno(error, errno, "pipe");
	OWN_FD reader = ready[0], writer = ready[1];
	pid_t child = fork();
	if (child < 0)
		return error_errno(error, errno, "fork");
	if (child == 0)
		become_node(supervisor->program, writer);
	/* The child is ours and not reaped: the number can't be another's. */
	int process = (int)syscall(SYS_pidfd_open, child, 0);
	if (process < 0) {
		error_errno(error, errno, "pidfd_open");
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		return -error->code;
	}
	supervisor->child = child;
	supervisor->process = process;
	supervisor->ready = own_take_fd(&reader);
	supervisor->used = 0;
	supervisor->line[0] = 0;
	return 0;
}

/* An ambitd that was killed leaves its children to this process, which is their
 * reaper: process 1 of a container often reaps nothing.  ambitd itself is left
 * to watch(), for its status. */
static void reap_orphans(const struct supervisor *supervisor)
{
	siginfo_t ended = { 0 };

	while (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       ended.si_pid && ended.si_pid != supervisor->child) {
		waitpid(ended.si_pid, NULL, 0);
		ended.si_pid = 0;
	}
}

/* Signals that came: but for the end of a child, the only one that matters asks
 * for the end. */
static void take_signals(struct supervisor *supervisor)
{
	struct signalfd_siginfo signal;

	while (read(supervisor->signals, &signal, sizeof(signal)) ==
	       sizeof(signal)) {
		if (signal.ssi_signo == SIGCHLD)
			reap_orphans(supervisor);
		if (signal.ssi_signo != SIGTERM && signal.ssi_signo != SIGINT)
			continue;
		supervisor->stopping = 1;
		if (supervisor->process >= 0)
			syscall(SYS_pidfd_send_signal, supervisor->process,
				SIGTERM, NULL, 0);
	}
}

/* The one line that ambitd writes when it is ready or can't be. */
static void take_line(struct supervisor *supervisor)
{
	size_t room = sizeof(supervisor->line) - 1 - supervisor->used;
	ssize_t n = read(supervisor->ready, supervisor->line + supervisor->used,
			 room);

	if (n > 0)
		supervisor->used += (size_t)n;
	supervisor->line[supervisor->used] = 0;
	char *end = strchr(supervisor->line, '\n');
	if (end)
		*end = 0;
	else if (n > 0 && (size_t)n < room)
		return;
	own_close(&supervisor->ready);
	if (strcmp(supervisor->line, "ready") == 0)
		tell_starter(supervisor, "ready");
	else if (*supervisor->line)
		say_note("node", "%s", supervisor->line);
}

/* Waits for the end of ambitd.  Returns its wait status. */
static int watch(struct supervisor *supervisor)
{
	int status = 0;

	for (;;) {
		struct pollfd fds[] = {
			{ .fd = supervisor->process, .events = POLLIN },
			{ .fd = supervisor->signals, .events = POLLIN },
			{ .fd = supervisor->ready, .events = POLLIN },
		};
		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[1].revents)
			take_signals(supervisor);
		/* Before the end: its last words come from the same process. */
		if (fds[2].revents)
			take_line(supervisor);
		else if (fds[0].revents)
			break;
	}
	own_close(&supervisor->ready);
	waitpid(supervisor->child, &status, 0);
	supervisor->child = -1;
	reap_orphans(supervisor);
	own_close(&supervisor->process);
	return status;
}

static void describe(int status, char *ret_text, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(ret_text, size, "ambitd was ended by signal %d",
			 WTERMSIG(status));
	else
		snprintf(ret_text, size, "ambitd ended with status %d",
			 WEXITSTATUS(status));
}

/* The first start failed: passes ambitd's own words on. */
static int first_failed(struct supervisor *supervisor, const char *how)
{
	char text[PATH_MAX + 128], log[PATH_MAX];
	struct error error = { 0 };

	if (strncmp(supervisor->line, "error: ", 7) == 0)
		snprintf(text, sizeof(text), "%s", supervisor->line);
	else if (node_path(log, "node.log", &error) == 0)
		snprintf(text, sizeof(text),
			 "error: %s before it was ready; its log is %s", how,
			 log);
	else
		snprintf(text, sizeof(text), "error: %s", error.text);
	tell_starter(supervisor, text);
	return AMBIT_EXIT_FAILED;
}

/* Waits before the next start.  Doubles each time. */
static void back_off(struct supervisor *supervisor, int64_t ran_ms)
{
	if (ran_ms > HEALTHY_MS)
		supervisor->delay_ms = DELAY_FIRST_MS;
	int64_t until = node_clock() + supervisor->delay_ms, left;
	struct pollfd poll_fd = { .fd = supervisor->signals, .events = POLLIN };

	while (!supervisor->stopping && (left = until - node_clock()) > 0)
		if (poll(&poll_fd, 1, (int)left) > 0)
			take_signals(supervisor);
	supervisor->delay_ms *= 2;
	if (supervisor->delay_ms > DELAY_MOST_MS)
		supervisor->delay_ms = DELAY_MOST_MS;
}

static int prepare(struct supervisor *supervisor, struct error *error)
{
	sigset_t all;

	/* Only a process that node.c made has both: nobody else calls this. */
	if (fcntl(NODE_LOCK_FD, F_SETFD, FD_CLOEXEC) ||
	    fcntl(NODE_READY_FD, F_SETFD, FD_CLOEXEC))
		return error_set(error, EINVAL,
				 "supervise: is for ambit node start only");
	prctl(PR_SET_NAME, "ambit-supervise");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
		return error_errno(error, errno, "prctl");
	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, NULL))
		return error_errno(error, errno, "sigprocmask");
	supervisor->signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (supervisor->signals < 0)
		return error_errno(error, errno, "signalfd");
	return node_program(supervisor->program, "ambitd", error);
}

int supervise(void)
{
	struct supervisor supervisor = {
		.signals = -1, .starter = NODE_READY_FD, .process = -1,
		.ready = -1, .delay_ms = DELAY_FIRST_MS,
	};
	struct error error = { 0 };

	if (prepare(&supervisor, &error))
		return say_refusal(AMBIT_EXIT_USAGE, "node", NULL, "%s",
				   error.text);
	/* As late as what it starts anew: see stay_late() of the warden. */
	OWN_FD oom = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (oom >= 0 && write(oom, "-900", 4) != 4)
		own_close(&oom);
	for (;;) {
		char how[64];
		int64_t began = node_clock();
		error = (struct error){ 0 };
		int result = start(&supervisor, &error);
		if (result == 0) {
			int status = watch(&supervisor);
			if (status == 0)
				return 0;
			describe(status, how, sizeof(how));
		} else {
			snprintf(how, sizeof(how), "%.63s", error.text);
		}
		if (supervisor.starter >= 0)
			return first_failed(&supervisor, how);
		if (supervisor.stopping)
			return AMBIT_EXIT_FAILED;
		say_note("node", "%s; starting it again in %d ms", how,
			 supervisor.delay_ms);
		back_off(&supervisor, node_clock() - began);
		if (supervisor.stopping)
			return 0;
	}
}
