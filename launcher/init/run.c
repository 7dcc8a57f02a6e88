/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command, and process 1 behind it.
 *
 * Process 1 of a pid namespace gets no default action for signals and inherits
 * every orphan, so ordinary programs must not be it.  It reaps, passes signals
 * on to the command, and ends when the command does: the kernel then kills what
 * is left in the namespace.
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_UNKNOWN 125	/* a status that only the gate knows */

static int try(const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EACCES;
	return access(path, X_OK) < 0 ? -errno : 0;
}

/* As execvp(3) searches: the first that can be executed; EACCES if one was
 * there that can't be. */
int run_find(struct init *init)
{
	const char *name = init->arguments[0];
	const char *rest = start_request_text(init, init->request->search_path);
	int found = -ENOENT;

	if (!*name)
		return -ENOENT;
	if (strchr(name, '/')) {
		if (strlen(name) >= sizeof(init->command))
			return -ENAMETOOLONG;
		memcpy(init->command, name, strlen(name) + 1);
		return try(name);
	}
	while (*rest) {
		int length = (int)strcspn(rest, ":");
		int used = snprintf(init->command, sizeof(init->command),
				    "%.*s/%s", length, rest, name);
		if (length && used > 0 && (size_t)used < sizeof(init->command)) {
			int error = try(init->command);
			if (!error)
				return 0;
			if (error == -EACCES)
				found = error;
		}
		rest += length + (rest[length] == ':');
	}
	return found;
}

/* The place is prepared: the warden may hand it a request now, or keep it. */
int run_prepared(struct init *init)
{
	struct ambit_gate gate = { .kind = AMBIT_GATE_PREPARED };

	return init_report(init, &gate, -1);
}

int run_wait(struct init *init)
{
	struct ambit_gate gate = { .kind = AMBIT_GATE_READY };
	char word;

	int error = init_report(init, &gate, init->master);
	if (error)
		return error;
	if (init->master >= 0)
		close(init->master);
	ssize_t got;
	do {
		got = recv(init->gate, &word, 1, 0);
	} while (got < 0 && errno == EINTR);
	return got == 1 ? 0 : -ECANCELED;
}

struct command {
	struct init *init;
	enum ambit_step step;	/* the failing one */
	int error;
	int failed;		/* it ended before it became the command */
};

static int session(struct init *init)
{
	sigset_t none;

	if (setsid() < 0)
		return -errno;
	if (init->terminal >= 0 && ioctl(init->terminal, TIOCSCTTY, 0) < 0)
		return -errno;
	/* Ignored signals outlive exec; nothing of the warden's may. */
	for (int signal_number = 1; signal_number < NSIG; signal_number++)
		signal(signal_number, SIG_DFL);
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

/* Runs in the command's process, on the memory of process 1, which waits
 * (vfork): errors are written where it reads them. */
static int command_main(void *argument)
{
	struct command *command = argument;
	struct init *init = command->init;
	const struct ambit_start *start = init->start;

	command->step = AMBIT_STEP_SESSION;
	command->error = session(init);
	if (!command->error) {
		command->step = AMBIT_STEP_SECCOMP;
		command->error = confine_filter(init, start->refuse_filter,
						start->refuse_filter_length);
	}
	if (!command->error)
		command->error = confine_filter(init, start->allow_filter,
						start->allow_filter_length);
	if (!command->error) {
		command->step = AMBIT_STEP_EXEC;
		execve(init->command, init->arguments, init->environment);
		command->error = -errno;
	}
	command->failed = 1;
	_exit(1);
}

int run_start(struct init *init)
{
	static _Alignas(16) char stack[64 << 10];
	struct command command = { .init = init };
	sigset_t all;

	sigfillset(&all);
	if (sigprocmask(SIG_BLOCK, &all, NULL) < 0 ||
	    fcntl(init->gate, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	init->command_pid = clone(command_main, stack + sizeof(stack),
				  CLONE_VM | CLONE_VFORK | SIGCHLD, &command);
	if (init->command_pid < 0)
		return -errno;
	/* Here the command was executed, or it ended before. */
	if (command.failed) {
		init->step = command.step;
		return command.error;
	}
	struct ambit_gate gate = { AMBIT_GATE_RUNNING, AMBIT_STEP_EXEC,
				   (int32_t)init->command_pid };
	int error = init_report(init, &gate, -1);
	if (error)
		return error;
	/* From here on process 1 needs five calls; it gets no more. */
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	if (init->terminal >= 0)
		close(init->terminal);
	init->step = AMBIT_STEP_SECCOMP;
	return confine_filter(init, init->start->init_filter,
			      init->start->init_filter_length);
}

/* 1 when the command ended, with its wait status. */
static int reap(struct init *init, int *ret_status)
{
	int status, ended = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == init->command_pid) {
			*ret_status = status;
			ended = 1;
		}
	return ended;
}

int run_reap(struct init *init)
{
	sigset_t all;
	siginfo_t info;
	int status;

	sigfillset(&all);
	for (;;) {
		if (sigwaitinfo(&all, &info) < 0)
			continue;
		if (info.si_signo != SIGCHLD) {
			kill(init->command_pid, info.si_signo);
			continue;
		}
		if (!reap(init, &status))
			continue;
		struct ambit_gate gate = { AMBIT_GATE_EXITED, 0, status };
		/* Both, because the warden may be gone, or back. */
		ssize_t written = write(init->end_file, &status, sizeof(status));
		init_report(init, &gate, -1);
		if (written != sizeof(status))
			return EXIT_UNKNOWN;
		return WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
					     WEXITSTATUS(status);
	}
}
