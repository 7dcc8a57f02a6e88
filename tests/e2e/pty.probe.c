/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pty: runs a command on a fresh terminal and acts as the person in front of it,
 * so that interactive tests wait for what is printed and never sleep.
 *
 *   pty [--size ROWSxCOLUMNS] [--timeout SECONDS] [--modes] [STEP…] -- COMMAND…
 *
 *   --size 24x80     the terminal's first size
 *   --timeout 30     for each step, and for the end
 *   --modes          fail if the terminal's modes at the end differ from those
 *                    at the start
 * Steps, done in the order given:
 *   --expect TEXT    wait until TEXT is in the output that follows the last match
 *   --send TEXT      type TEXT
 *   --resize RxC     change the size; SIGWINCH follows, and who relays the size
 *                    takes a moment: expect what a trap on it prints
 *   --signal N       send signal N to COMMAND
 *   --stopped        wait until COMMAND is stopped
 *   --hangup         close the terminal, as a lost connection does
 * TEXT may hold \n \r \t \e \\ and \xHH.  Ctrl-C is \x03, Ctrl-D \x04.
 *
 * COMMAND gets the terminal as stdin, stdout, stderr and controlling terminal of
 * its own session (use sh -c for other redirections).  All output goes to stdout
 * as it comes.  The exit status is COMMAND's, 128+N if signal N ended it, and 99
 * with a line on stderr when a step failed; COMMAND is then killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utmp.h>

static struct {
	int master, process;
	pid_t child;
	int timeout;
	char *output;		/* everything so far */
	size_t length, matched;	/* matched: end of the last match */
} run = { .master = -1, .process = -1, .timeout = 30 };

static _Noreturn void fail(const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	fputs("pty: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputs("\n", stderr);
	if (run.child > 0) {
		kill(run.child, SIGKILL);
		waitpid(run.child, NULL, 0);
	}
	exit(99);
}

static long now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000L + now.tv_nsec / 1000000;
}

static int digit(char c)
{
	const char *digits = "0123456789abcdef", *at = strchr(digits, c | 0x20);
	return c && at ? (int)(at - digits) : -1;
}

/* Resolves the escapes of `text` in place.  Returns the length. */
static size_t unescape(char *text)
{
	static const char from[] = "nrte\\", to[] = "\n\r\t\x1b\\";
	char *out = text;

	for (const char *at = text; *at; at++) {
		const char *which;
		if (*at != '\\') {
			*out++ = *at;
		} else if (at[1] == 'x' && digit(at[2]) >= 0 && digit(at[3]) >= 0) {
			*out++ = (char)(digit(at[2]) * 16 + digit(at[3]));
			at += 3;
		} else if (at[1] && (which = strchr(from, at[1]))) {
			*out++ = to[which - from];
			at++;
		} else {
			fail("%s: what is that escape?", at);
		}
	}
	return (size_t)(out - text);
}

static struct winsize parse_size(const char *text)
{
	char *end;
	struct winsize size = { .ws_row = (unsigned short)strtoul(text, &end, 10) };
	if (*end != 'x')
		fail("%s: ROWSxCOLUMNS is wanted", text);
	size.ws_col = (unsigned short)strtoul(end + 1, &end, 10);
	if (*end || !size.ws_row || !size.ws_col)
		fail("%s: ROWSxCOLUMNS is wanted", text);
	return size;
}

/* Reads what is there.  Returns 1, 0 at the end of the output. */
static int take_output(void)
{
	char *larger = realloc(run.output, run.length + 65536);
	if (!larger)
		fail("out of memory");
	run.output = larger;
	ssize_t n = read(run.master, run.output + run.length, 65536);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	if (n <= 0)
		return 0;
	fwrite(run.output + run.length, 1, (size_t)n, stdout);
	fflush(stdout);
	run.length += (size_t)n;
	return 1;
}

static void expect(const char *text, size_t length)
{
	long until = now_ms() + run.timeout * 1000L;

	for (;;) {
		char *found = run.length == run.matched ? NULL :
			memmem(run.output + run.matched,
			       run.length - run.matched, text, length);
		if (found) {
			run.matched = (size_t)(found - run.output) + length;
			return;
		}
		struct pollfd fd = { run.master, POLLIN, 0 };
		long left = until - now_ms();
		if (left <= 0 || poll(&fd, 1, (int)left) == 0)
			fail("\"%s\" did not come within %d s", text, run.timeout);
		if (fd.revents && !take_output())
			fail("\"%s\" did not come before the end", text);
	}
}

/* Types, and reads meanwhile: a full terminal takes nothing otherwise. */
static void send_text(const char *text, size_t length)
{
	long until = now_ms() + run.timeout * 1000L;

	while (length) {
		struct pollfd fd = { run.master, POLLIN | POLLOUT, 0 };
		long left = until - now_ms();
		if (left <= 0 || poll(&fd, 1, (int)left) == 0)
			fail("the terminal takes no input");
		if ((fd.revents & (POLLIN | POLLHUP)) && !take_output())
			fail("the command ended before all was typed");
		if (!(fd.revents & POLLOUT))
			continue;
		ssize_t n = write(run.master, text, length);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			fail("typing: %s", strerror(errno));
		text += n > 0 ? n : 0;
		length -= n > 0 ? (size_t)n : 0;
	}
}

static void wait_stopped(void)
{
	siginfo_t info = { 0 };
	if (waitid(P_PID, (id_t)run.child, &info, WSTOPPED | WEXITED | WNOWAIT))
		fail("waitid: %s", strerror(errno));
	if (info.si_code != CLD_STOPPED)
		fail("the command ended instead of stopping");
	waitid(P_PID, (id_t)run.child, &info, WSTOPPED | WNOHANG);
}

/* One step; returns how many arguments it took, 0 if it is none. */
static int step(char **argv)
{
	const char *name = argv[0];
	char *value = argv[1];

	if (strcmp(name, "--hangup") == 0) {
		close(run.master);
		run.master = -1;
		return 1;
	}
	if (strcmp(name, "--stopped") == 0) {
		wait_stopped();
		return 1;
	}
	if (!value)
		return 0;
	if (strcmp(name, "--expect") == 0) {
		size_t length = unescape(value);
		expect(value, length);
	} else if (strcmp(name, "--send") == 0) {
		size_t length = unescape(value);
		send_text(value, length);
	} else if (strcmp(name, "--resize") == 0) {
		struct winsize size = parse_size(value);
		if (ioctl(run.master, TIOCSWINSZ, &size))
			fail("resize: %s", strerror(errno));
	} else if (strcmp(name, "--signal") == 0) {
		if (kill(run.child, (int)strtoul(value, NULL, 10)))
			fail("signal %s: %s", value, strerror(errno));
	} else {
		return 0;
	}
	return 2;
}

/* Reads on until the command ends.  Returns its wait status. */
static int finish(void)
{
	long until = now_ms() + run.timeout * 1000L;
	int status;

	for (;;) {
		struct pollfd fds[] = { { run.process, POLLIN, 0 },
					{ run.master, POLLIN, 0 } };
		long left = until - now_ms();
		if (left <= 0 || poll(fds, 2, (int)left) == 0)
			fail("the command did not end within %d s", run.timeout);
		if (fds[1].revents)
			take_output();
		if (fds[0].revents)
			break;
	}
	if (waitpid(run.child, &status, 0) < 0)
		fail("waitpid: %s", strerror(errno));
	run.child = 0;
	return status;
}

static void check_modes(const struct termios *before, int slave)
{
	struct termios after;
	if (tcgetattr(slave, &after))
		fail("modes: %s", strerror(errno));
	if (after.c_iflag != before->c_iflag || after.c_oflag != before->c_oflag ||
	    after.c_cflag != before->c_cflag || after.c_lflag != before->c_lflag ||
	    memcmp(after.c_cc, before->c_cc, sizeof(after.c_cc)))
		fail("the terminal's modes are not as they were");
}

static void start(char **command, const struct winsize *size, int *ret_slave,
		  struct termios *ret_modes)
{
	int slave;
	if (openpty(&run.master, &slave, NULL, NULL, size) ||
	    tcgetattr(slave, ret_modes) ||
	    fcntl(run.master, F_SETFD, FD_CLOEXEC) ||
	    fcntl(run.master, F_SETFL, O_RDWR | O_NONBLOCK))
		fail("terminal: %s", strerror(errno));
	run.child = fork();
	if (run.child < 0)
		fail("fork: %s", strerror(errno));
	if (run.child == 0) {
		if (login_tty(slave) == 0)
			execvp(command[0], command);
		fprintf(stderr, "pty: %s: %s\n", command[0], strerror(errno));
		_exit(127);
	}
	run.process = (int)syscall(SYS_pidfd_open, run.child, 0);
	if (run.process < 0)
		fail("pidfd_open: %s", strerror(errno));
	*ret_slave = slave;
}

int main(int argc, char **argv)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	int at = 1, modes = 0, slave, split = 1;
	struct termios before;

	while (split < argc && strcmp(argv[split], "--"))
		split++;
	if (split + 1 >= argc)
		fail("usage: pty [OPTION…] [STEP…] -- COMMAND…");
	for (; at < split; at++) {
		if (strcmp(argv[at], "--modes") == 0)
			modes = 1;
		else if (strcmp(argv[at], "--size") == 0)
			size = parse_size(argv[++at]);
		else if (strcmp(argv[at], "--timeout") == 0)
			run.timeout = (int)strtoul(argv[++at], NULL, 10);
		else
			break;
	}
	argv[split] = NULL;
	start(argv + split + 1, &size, &slave, &before);
	while (at < split) {
		int taken = step(argv + at);
		if (!taken)
			fail("%s: no such step", argv[at]);
		at += taken;
	}
	int status = finish();
	if (modes)
		check_modes(&before, slave);
	/* Without the last slave the output ends: what is left comes first. */
	close(slave);
	while (run.master >= 0 && take_output()) {
		struct pollfd fd = { run.master, POLLIN, 0 };
		if (poll(&fd, 1, run.timeout * 1000) == 0)
			break;
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
