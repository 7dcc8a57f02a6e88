/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plays the warden for ambit-issuer and ambit-porter, and, where only one of the
 * two is started, the other as well.  Reads commands, one a line, fields divided
 * by tabs; prints one line for everything that it hears.  identity.t uses it.
 *
 *   identity both|issuer|porter KEYS DOMAIN LIBEXEC ISSUER-UID PORTER-UID
 *   identity bench KEYS LIBEXEC ISSUER-UID
 */
#include "../../launcher/base/error.c"
#include "../../launcher/base/message.c"

#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>

#define FIELDS 16
#define WINDOW 32

enum { ISSUER, PORTER, PROCESSES };

static struct process {
	const char *name;
	pid_t pid;
	int pidfd, socket;	/* the warden's end */
} processes[PROCESSES] = {
	{ "issuer", 0, -1, -1 }, { "porter", 0, -1, -1 },
};
static int peer = -1;		/* the end of the process that was not started */
static int automatic;		/* answer MINTED with PUBLISH */
static const char *out_directory = ".";

static void die(const char *what)
{
	fprintf(stderr, "identity: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* Starts one process with its descriptors at 3, 4 and, if there is one, 5. */
static void start(struct process *process, char *const *words, int other, int keys)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		die("socketpair");
	process->socket = ends[0];
	process->pid = fork();
	if (process->pid < 0)
		die("fork");
	if (process->pid == 0) {
		int high[3] = { fcntl(ends[1], F_DUPFD, 64),
				fcntl(other, F_DUPFD, 64),
				keys < 0 ? -1 : fcntl(keys, F_DUPFD, 64) };
		for (int i = 0; i < 3; i++)
			if (high[i] >= 0)
				dup2(high[i], 3 + i);
		close_range(keys < 0 ? 5 : 6, ~0U, 0);
		execv(words[0], words);
		_exit(127);
	}
	close(ends[1]);
	process->pidfd = pidfd_open(process->pid, 0);
	if (process->pidfd < 0)
		die("pidfd_open");
}

static const char *word(int error)
{
	return error ? strerrorname_np(error) : "0";
}

/* ---- what is heard -------------------------------------------------------- */

static void hear_process(struct process *process, const struct message *message)
{
	const union message_body *body = &message->body;
	switch (message->type) {
	case AMBIT_MESSAGE_READY:
		printf("%s\t%s\t%s\t%s\n",
		       body->ready.error ? "refused" : "ready", process->name,
		       body->ready.error ? word(body->ready.error) :
					   body->ready.trust_domain,
		       body->ready.reason);
		break;
	case AMBIT_MESSAGE_MINTED:
		printf("minted\t%llu\t%u\t%s\t%u\t%llu\t%llu\t%s\n",
		       (unsigned long long)body->minted.instance,
		       body->minted.credential, word(body->minted.error),
		       body->minted.renewal,
		       (unsigned long long)body->minted.not_before,
		       (unsigned long long)body->minted.not_after,
		       body->minted.id);
		if (automatic && !body->minted.error) {
			struct ambit_publish publish = {
				body->minted.instance, body->minted.credential, 0,
			};
			message_send(process->socket, AMBIT_MESSAGE_PUBLISH,
				     &publish, NULL);
		}
		break;
	case AMBIT_MESSAGE_PUBLISHED:
		printf("published\t%llu\t%u\t%s\n",
		       (unsigned long long)body->published.instance,
		       body->published.credential, word(body->published.error));
		break;
	default:
		printf("unexpected\t%s\t%d\n", process->name, message->type);
	}
}

static void save_part(const char *name, int from, off_t offset, size_t length)
{
	char path[512], bytes[8192];
	snprintf(path, sizeof(path), "%s/%s", out_directory, name);
	ssize_t got = pread(from, bytes, length, offset);
	OWN_FD to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (got != (ssize_t)length || to < 0 || write(to, bytes, length) != got)
		die(path);
}

static void hear_peer(const struct message *message)
{
	const struct ambit_signed *s = &message->body.signed_;
	if (message->type != AMBIT_MESSAGE_SIGNED) {
		printf("asked\t%llu\t%u\n",
		       (unsigned long long)message->body.sign.instance,
		       message->body.sign.credential);
		return;
	}
	int fd = message->fds[0], seals = 0, writable = 0;
	if (!s->error) {
		seals = fcntl(fd, F_GET_SEALS);
		writable = pwrite(fd, "x", 1, 0) > 0;
		save_part("part0", fd, 0, s->part[0]);
		save_part("part1", fd, s->part[0], s->part[1]);
		save_part("part2", fd, (off_t)s->part[0] + s->part[1], s->part[2]);
	}
	printf("signed\t%llu\t%u\t%s\t%llu\t%llu\t%s\t%x\t%d\n",
	       (unsigned long long)s->instance, s->credential, word(s->error),
	       (unsigned long long)s->not_before, (unsigned long long)s->not_after,
	       s->id, seals & 0xf, writable);
}

/* ---- what is said --------------------------------------------------------- */

/* "+N" from now, "max", or seconds since the epoch. */
static uint64_t deadline(const char *text)
{
	if (!strcmp(text, "max"))
		return UINT64_MAX;
	uint64_t base = *text == '+' ? (uint64_t)time(NULL) : 0;
	return base + strtoull(text + (*text == '+'), NULL, 10);
}

/* NAME,TYPE,TTL,AUDIENCE */
static uint32_t credentials(char **fields, int count,
			    struct ambit_credential *to)
{
	for (int i = 0; i < count; i++, to++) {
		char *at = fields[i];
		snprintf(to->name, sizeof(to->name), "%s", strsep(&at, ","));
		snprintf(to->type, sizeof(to->type), "%s", at ? strsep(&at, ",") : "");
		to->ttl = at ? (uint32_t)strtoul(strsep(&at, ","), NULL, 10) : 0;
		snprintf(to->audience, sizeof(to->audience), "%s", at ? at : "");
	}
	return (uint32_t)count;
}

static void say(int socket, enum ambit_message_type type, const void *body,
		const int *fds)
{
	int result = message_send(socket, type, body, fds);
	if (result < 0)
		printf("unsent\t%s\n", word(-result));
}

static void do_admit(char **f, int count)
{
	struct ambit_admit admit = {
		.instance = strtoull(f[1], NULL, 10), .deadline = deadline(f[2]),
	};
	snprintf(admit.id, sizeof(admit.id), "%s", f[3]);
	snprintf(admit.spiffe_id, sizeof(admit.spiffe_id), "%s", f[4]);
	snprintf(admit.task, sizeof(admit.task), "%s", strcmp(f[5], "-") ? f[5] : "");
	admit.credential_count = credentials(f + 6, count - 6, admit.credentials);
	say(processes[ISSUER].socket, AMBIT_MESSAGE_ADMIT, &admit, NULL);
}

/* ADMIT with one credential whose name has no end. */
static void do_unended(char **f, int count)
{
	struct ambit_admit admit = { .instance = 99, .credential_count = 1 };
	(void)f;
	(void)count;
	memset(admit.credentials[0].name, 'a', sizeof(admit.credentials[0].name));
	say(processes[ISSUER].socket, AMBIT_MESSAGE_ADMIT, &admit, NULL);
}

static void do_serve(char **f, int count)
{
	struct ambit_serve serve = { .instance = strtoull(f[1], NULL, 10) };
	serve.credential_count = credentials(f + 3, count - 3, serve.credentials);
	OWN_FD directory = open(f[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		die(f[2]);
	say(processes[PORTER].socket, AMBIT_MESSAGE_SERVE, &serve, &directory);
}

static void do_publish(char **f, int count)
{
	struct ambit_publish publish = {
		strtoull(f[1], NULL, 10), (uint32_t)strtoul(f[2], NULL, 10), 0,
	};
	(void)count;
	say(processes[PORTER].socket, AMBIT_MESSAGE_PUBLISH, &publish, NULL);
}

static void do_dismiss(char **f, int count)
{
	struct ambit_dismiss dismiss = { strtoull(f[1], NULL, 10) };
	(void)count;
	for (int i = 0; i < PROCESSES; i++)
		if (processes[i].socket >= 0)
			say(processes[i].socket, AMBIT_MESSAGE_DISMISS, &dismiss,
			    NULL);
}

static void do_sign(char **f, int count)
{
	struct ambit_sign sign = {
		strtoull(f[1], NULL, 10), (uint32_t)strtoul(f[2], NULL, 10), 0,
	};
	(void)count;
	say(peer, AMBIT_MESSAGE_SIGN, &sign, NULL);
}

static void do_signed(char **f, int count)
{
	struct ambit_signed answer = {
		.instance = strtoull(f[1], NULL, 10), .part = { 1, 0, 0 },
		.not_after = (uint64_t)time(NULL) + 60,
	};
	OWN_FD fd = memfd_create("unsealed", MFD_CLOEXEC);
	(void)count;
	if (fd < 0 || write(fd, "x", 1) != 1)
		die("memfd");
	say(peer, AMBIT_MESSAGE_SIGNED, &answer, &fd);
}

static int socket_named(const char *name)
{
	for (int i = 0; i < PROCESSES; i++)
		if (!strcmp(name, processes[i].name))
			return processes[i].socket;
	return peer;
}

/* Sends the bytes given in hexadecimal as one packet. */
static void do_raw(char **f, int count)
{
	uint8_t bytes[256];
	size_t length = 0;
	for (const char *at = count > 2 ? f[2] : ""; at[0] && at[1]; at += 2) {
		unsigned value;
		if (length == sizeof(bytes) || sscanf(at, "%2x", &value) != 1)
			break;
		bytes[length++] = (uint8_t)value;
	}
	if (send(socket_named(f[1]), bytes, length, MSG_NOSIGNAL) < 0)
		printf("unsent\t%s\n", word(errno));
}

static void do_close(char **f, int count)
{
	(void)count;
	for (int i = 0; i < PROCESSES; i++)
		if (!strcmp(f[1], processes[i].name))
			own_close(&processes[i].socket);
	if (!strcmp(f[1], "peer"))
		own_close(&peer);
}

static void do_auto(char **f, int count)
{
	(void)count;
	automatic = !strcmp(f[1], "on");
}

static void do_out(char **f, int count)
{
	static char kept[512];
	(void)count;
	snprintf(kept, sizeof(kept), "%s", f[1]);
	out_directory = kept;
}

static void do_pid(char **f, int count)
{
	(void)count;
	for (int i = 0; i < PROCESSES; i++)
		if (!strcmp(f[1], processes[i].name))
			printf("pid\t%s\t%d\n", f[1], processes[i].pid);
}

static const struct command {
	const char *name;
	int fields;		/* at least, the name included */
	void (*run)(char **fields, int count);
} commands[] = {
	{ "admit", 6, do_admit },	/* INSTANCE DEADLINE ID SPIFFE TASK C… */
	{ "unended", 1, do_unended },
	{ "serve", 3, do_serve },	/* INSTANCE DIRECTORY C… */
	{ "publish", 3, do_publish },	/* INSTANCE INDEX */
	{ "dismiss", 2, do_dismiss },	/* INSTANCE */
	{ "sign", 3, do_sign },		/* INSTANCE INDEX, as the porter */
	{ "signed", 2, do_signed },	/* INSTANCE, as the issuer: unsealed */
	{ "raw", 2, do_raw },		/* issuer|porter|peer HEX */
	{ "close", 2, do_close },	/* issuer|porter|peer */
	{ "auto", 2, do_auto },		/* on|off */
	{ "out", 2, do_out },		/* DIRECTORY */
	{ "pid", 2, do_pid },		/* issuer|porter */
};

static void obey(char *line)
{
	char *fields[FIELDS], *at = line;
	int count = 0;
	while (at && count < FIELDS)
		fields[count++] = strsep(&at, "\t");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(fields[0], commands[i].name) &&
		    count >= commands[i].fields) {
			commands[i].run(fields, count);
			return;
		}
	printf("unknown\t%s\n", fields[0]);
}

/* ---- the loop ------------------------------------------------------------- */

/* Returns 0 at the end of the commands. */
static int hear_commands(void)
{
	static char buffer[65536];
	static size_t used;
	ssize_t got = read(0, buffer + used, sizeof(buffer) - used - 1);
	if (got <= 0)
		return 0;
	used += (size_t)got;
	char *end;
	while ((end = memchr(buffer, '\n', used))) {
		*end = 0;
		obey(buffer);
		used -= (size_t)(end + 1 - buffer);
		memmove(buffer, end + 1, used);
	}
	return 1;
}

static void hear_socket(int *socket, struct process *process)
{
	static struct message message;
	int got = message_receive(*socket, 0, &message);
	if (got == -EAGAIN)
		return;
	if (got <= 0) {
		own_close(socket);
		return;
	}
	if (process)
		hear_process(process, &message);
	else
		hear_peer(&message);
	message_release(&message);
}

static void reap(struct process *process)
{
	int status;
	if (waitpid(process->pid, &status, 0) != process->pid)
		die("waitpid");
	own_close(&process->pidfd);
	own_close(&process->socket);
	if (WIFEXITED(status))
		printf("exited\t%s\t%d\n", process->name, WEXITSTATUS(status));
	else
		printf("killed\t%s\t%d\n", process->name, WTERMSIG(status));
}

static void loop(void)
{
	int listening = 1;
	/* When the commands end, so do the processes: their sockets close. */
	while (listening || processes[ISSUER].pidfd >= 0 ||
	       processes[PORTER].pidfd >= 0) {
		struct pollfd all[] = {
			{ processes[ISSUER].socket, POLLIN, 0 },
			{ processes[PORTER].socket, POLLIN, 0 },
			{ peer, POLLIN, 0 },
			{ processes[ISSUER].pidfd, POLLIN, 0 },
			{ processes[PORTER].pidfd, POLLIN, 0 },
			{ listening ? 0 : -1, POLLIN, 0 },
		};
		if (poll(all, 6, -1) < 0)
			die("poll");
		for (int i = 0; i < PROCESSES; i++)
			if (all[i].revents)
				hear_socket(&processes[i].socket, &processes[i]);
		if (all[2].revents)
			hear_socket(&peer, NULL);
		for (int i = 0; i < PROCESSES; i++)
			if (all[3 + i].revents && !all[i].revents)
				reap(&processes[i]);
		if (!all[5].revents || hear_commands())
			continue;
		listening = 0;
		for (int i = 0; i < PROCESSES; i++)
			own_close(&processes[i].socket);
	}
}

static void launch(const char *mode, char *keys, char *domain, char *libexec,
		   char **uids)
{
	char issuer[512], porter[512];
	char uid_option[] = "--uid", domain_option[] = "--trust-domain";
	char resolvers_option[] = "--resolvers", none[] = "";
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		die("socketpair");
	snprintf(issuer, sizeof(issuer), "%s/ambit-issuer", libexec);
	snprintf(porter, sizeof(porter), "%s/ambit-porter", libexec);
	if (strcmp(mode, "porter")) {
		OWN_FD fd = open(keys, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			die(keys);
		start(&processes[ISSUER],
		      (char *[]){ issuer, uid_option, uids[0], domain_option,
				  domain, NULL }, pair[0], fd);
	} else {
		peer = dup(pair[0]);
	}
	if (strcmp(mode, "issuer"))
		start(&processes[PORTER],
		      (char *[]){ porter, uid_option, uids[1],
				  resolvers_option, none, NULL }, pair[1], -1);
	else
		peer = dup(pair[1]);
	close(pair[0]);
	close(pair[1]);
}

/* ---- how fast ------------------------------------------------------------- */

static double now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void expect(int socket, enum ambit_message_type type,
		   struct message *message)
{
	if (message_receive(socket, 1, message) != 1 || message->type != type ||
	    (type == AMBIT_MESSAGE_SIGNED && message->body.signed_.error))
		die("the issuer does not answer as it should");
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void bench(const char *type, uint64_t first, const char *domain)
{
	enum { AGENTS = 256, EACH = 16, TOTAL = AGENTS * EACH, ALONE = 512 };
	static struct message message;
	static double took[ALONE];
	struct ambit_admit admit = { .deadline = UINT64_MAX, .credential_count = 1 };
	int x509 = !strcmp(type, "x509-svid");
	snprintf(admit.id, sizeof(admit.id), "01900000-0000-7000-8000-000000000000");
	snprintf(admit.spiffe_id, sizeof(admit.spiffe_id), "spiffe://%s/agent/bench",
		 domain);
	snprintf(admit.credentials[0].type, sizeof(admit.credentials[0].type), "%s",
		 type);
	snprintf(admit.credentials[0].audience, sizeof(admit.credentials[0].audience),
		 "%s", x509 ? "" : "https://crm.example.com");
	admit.credentials[0].ttl = 3600;
	for (uint64_t i = 0; i < AGENTS; i++) {
		admit.instance = first + i;
		say(processes[ISSUER].socket, AMBIT_MESSAGE_ADMIT, &admit, NULL);
	}
	unsigned sent = 0, got = 0;
	for (; got < ALONE; got++, sent++) {
		struct ambit_sign sign = { first + sent / EACH, 0, 0 };
		double start_us = now_us();
		say(peer, AMBIT_MESSAGE_SIGN, &sign, NULL);
		expect(peer, AMBIT_MESSAGE_SIGNED, &message);
		took[got] = now_us() - start_us;
		message_release(&message);
	}
	double start_us = now_us();
	while (got < TOTAL) {
		while (sent < TOTAL && sent - got < WINDOW) {
			struct ambit_sign sign = { first + sent++ / EACH, 0, 0 };
			say(peer, AMBIT_MESSAGE_SIGN, &sign, NULL);
		}
		expect(peer, AMBIT_MESSAGE_SIGNED, &message);
		message_release(&message);
		got++;
	}
	double each = (now_us() - start_us) / (TOTAL - ALONE);
	qsort(took, ALONE, sizeof(took[0]), compare);
	printf("%s\t%.1f us each, %.0f/s in a row\talone: median %.1f us, "
	       "p99 %.1f us\n", type, each, 1e6 / each, took[ALONE / 2],
	       took[ALONE * 99 / 100]);
}

int main(int count, char **words)
{
	static struct message message;
	char none[] = "", zero[] = "0";
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (count == 5 && !strcmp(words[1], "bench")) {
		launch("issuer", words[2], none, words[3],
		       (char *[]){ words[4], zero });
		expect(processes[ISSUER].socket, AMBIT_MESSAGE_READY, &message);
		char domain[AMBIT_TEXT_SIZE];
		memcpy(domain, message.body.ready.trust_domain, sizeof(domain));
		bench("x509-svid", 1, domain);
		bench("jwt-svid", 10001, domain);
		own_close(&processes[ISSUER].socket);
		reap(&processes[ISSUER]);
		return 0;
	}
	if (count != 7) {
		fprintf(stderr, "identity: see the head of its source\n");
		return 2;
	}
	launch(words[1], words[2], words[3], words[4], words + 5);
	loop();
	return 0;
}
