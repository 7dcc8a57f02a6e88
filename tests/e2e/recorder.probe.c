/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands where ambitd stands for one recorder: starts it with its descriptors,
 * sends it messages, makes real kernel records in a real ring (by running a
 * small BPF program), kills it at chosen points, fails its syncs, reads its
 * pipe.  Commands come on stdin, one a line; each prints one line.  Used by
 * recorder.t, which knows what to expect.
 */
#include "recorder_ring.h"
#include "recorder_syncs.h"

#include <ambit/message.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <linux/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define PATIENCE_MS 20000
#define READERS 32

struct packet {
	struct ambit_message header;
	union {
		struct ambit_rings rings;
		struct ambit_open open;
		struct ambit_endpoint endpoint;
		struct ambit_event event;
		struct ambit_close close;
		struct ambit_durable durable;
		struct ambit_closed closed;
		struct ambit_health health;
		struct ambit_ready ready;
	} body;
};

/* Words of the test's own scripts. */
static int number(const char *word)
{
	return (int)strtol(word, NULL, 10);
}

static int warden = -1, listener = -1, notifier = -1;
static pid_t recorder;
static char boot_id[AMBIT_ID_SIZE];
static int readers[READERS];

static void send_packet(enum ambit_message_type type, const void *body,
			size_t length, const int *fds)
{
	struct ambit_message header = { type, (uint32_t)length };
	struct iovec parts[2] = { { &header, sizeof(header) },
				  { (void *)(uintptr_t)body, length } };
	union {
		char bytes[CMSG_SPACE(3 * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct msghdr packet = { .msg_iov = parts, .msg_iovlen = 2 };

	if (fds) {
		packet.msg_control = control.bytes;
		packet.msg_controllen = sizeof(control.bytes);
		struct cmsghdr *part = CMSG_FIRSTHDR(&packet);
		part->cmsg_level = SOL_SOCKET;
		part->cmsg_type = SCM_RIGHTS;
		part->cmsg_len = CMSG_LEN(3 * sizeof(int));
		memcpy(CMSG_DATA(part), fds, 3 * sizeof(int));
	}
	if (sendmsg(warden, &packet, MSG_NOSIGNAL) < 0)
		die("send");
}

/* Prints the next message from the recorder. */
static void next_message(void)
{
	struct packet packet;
	struct pollfd wait = { warden, POLLIN, 0 };

	if (poll(&wait, 1, PATIENCE_MS) != 1) {
		puts("timeout");
		return;
	}
	ssize_t got = recv(warden, &packet, sizeof(packet), 0);
	if (got <= 0) {
		puts("gone");
		return;
	}
	switch (packet.header.type) {
	case AMBIT_MESSAGE_READY:
		printf("ready %d %s\n", packet.body.ready.error,
		       packet.body.ready.reason);
		break;
	case AMBIT_MESSAGE_DURABLE:
		printf("durable %llu %d\n",
		       (unsigned long long)packet.body.durable.token,
		       packet.body.durable.error);
		break;
	case AMBIT_MESSAGE_CLOSED:
		printf("closed %llu %llu %llu\n",
		       (unsigned long long)packet.body.closed.instance,
		       (unsigned long long)packet.body.closed.allowed,
		       (unsigned long long)packet.body.closed.denied);
		break;
	case AMBIT_MESSAGE_HEALTH:
		printf("health %d\n", packet.body.health.error);
		break;
	default:
		printf("message %u\n", packet.header.type);
	}
}

static void child(const char *executable, const char *uid, const int fds[3],
		  int pass)
{
	int kept[3];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < 3; i++)
		kept[i] = fcntl(fds[i], F_DUPFD, 20);
	if (pass >= 0) {
		int syncs = watch_syncs();
		if (syncs < 0)
			_exit(121);
		send_fd(pass, syncs);
		close(syncs);
	}
	for (int i = 0; i < 3; i++)
		if (dup2(kept[i], 3 + i) < 0)
			_exit(122);
	for (int fd = 6; fd < 64; fd++)
		close(fd);
	signal(SIGPIPE, SIG_DFL);
	execl(executable, "ambit-recorder", "--uid", uid, (char *)NULL);
	_exit(127);
}

/* start EXECUTABLE DIRECTORY SOCKET UID [inject] */
static void start(char **words)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int ends[2], pass[2] = { -1, -1 };
	int directory = open(words[1], O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (directory < 0)
		die(words[1]);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", words[2]);
	unlink(words[2]);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(words[2], 0600) < 0 || listen(listener, 64) < 0)
		die(words[2]);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		die("pair");
	if (words[4] && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pass) < 0)
		die("pair");
	const int fds[3] = { ends[1], directory, listener };
	recorder = fork();
	if (recorder == 0)
		child(words[0], words[3], fds, pass[1]);
	if (words[4]) {
		static pthread_t thread;
		notifier = receive_fd(pass[0]);
		close(pass[0]);
		close(pass[1]);
		if (notifier < 0 ||
		    pthread_create(&thread, NULL, answer_syncs, &notifier))
			die("notifier");
		pthread_detach(thread);
	}
	close(ends[1]);
	close(directory);
	close(listener);
	warden = ends[0];
	next_message();
}

static void reap(const char *word)
{
	int status;

	if (waitpid(recorder, &status, 0) < 0)
		die("wait");
	recorder = 0;
	close(warden);
	warden = -1;
	if (WIFSIGNALED(status))
		printf("%s signal %d\n", word, WTERMSIG(status));
	else
		printf("%s %d\n", word, WEXITSTATUS(status));
}

/* Kills the recorder the moment its Nth write(2) from now ends, before it can
 * run another instruction. */
static void kill_at_write(int wanted, uint32_t slot, int records)
{
	int status, seen = 0;

	if (ptrace(PTRACE_SEIZE, recorder, 0, PTRACE_O_TRACESYSGOOD) < 0)
		die("seize");
	if (ptrace(PTRACE_INTERRUPT, recorder, 0, 0) < 0)
		die("interrupt");
	if (waitpid(recorder, &status, 0) < 0)
		die("wait");
	/* Work for it, while it stands still. */
	for (int i = 0; i < records; i++)
		attempt(slot, 1);
	while (seen < wanted) {
		struct ptrace_syscall_info info;
		static uint64_t number;
		if (ptrace(PTRACE_SYSCALL, recorder, 0, 0) < 0 ||
		    waitpid(recorder, &status, 0) < 0)
			die("step");
		if (!WIFSTOPPED(status))
			break;
		if (WSTOPSIG(status) != (SIGTRAP | 0x80))
			continue;
		if (ptrace(PTRACE_GET_SYSCALL_INFO, recorder, sizeof(info), &info) < 0)
			die("info");
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
			number = info.entry.nr;
		else if (number == SYS_write)
			seen++;
	}
	kill(recorder, SIGKILL);
	reap("killed");
}

static void send_rings(void)
{
	struct ambit_rings rings = { .ring_bytes = RING_BYTES,
				     .slots = AMBIT_SLOTS };
	const int fds[3] = { ring, tallies, drained };

	memcpy(rings.boot_id, boot_id, sizeof(boot_id));
	send_packet(AMBIT_MESSAGE_RINGS, &rings, sizeof(rings), fds);
}

/* open SLOT INSTANCE NAME */
static void send_open(char **words)
{
	uint32_t slot = (uint32_t)strtoul(words[0], NULL, 10);
	struct ambit_open open = { .slot = slot, .cgroup_id = 77, .uid = 1000,
				   .instance = strtoull(words[1], NULL, 10) };
	struct ambit_endpoint endpoint = { .instance = open.instance };

	if (counts[slot].instance != open.instance)
		counts[slot] = (struct counts){ .instance = open.instance };
	snprintf(open.id, sizeof(open.id), "01890000-0000-7000-8000-%012llu",
		 (unsigned long long)(open.instance % 1000000000000));
	snprintf(open.name, sizeof(open.name), "%s", words[2]);
	snprintf(open.profile, sizeof(open.profile), "probe-profile");
	snprintf(open.spiffe_id, sizeof(open.spiffe_id),
		 "spiffe://example.com/agent/probe-profile");
	snprintf(open.task, sizeof(open.task), "case-7");
	memset(open.profile_sha256, 'a', sizeof(open.profile_sha256) - 1);
	send_packet(AMBIT_MESSAGE_OPEN, &open, sizeof(open), NULL);
	snprintf(endpoint.to, sizeof(endpoint.to), "crm.example.com");
	snprintf(endpoint.tool, sizeof(endpoint.tool), "crm");
	send_packet(AMBIT_MESSAGE_ENDPOINT, &endpoint, sizeof(endpoint), NULL);
}

/* event KIND TOKEN INSTANCE */
static void send_event(char **words)
{
	struct ambit_event event = {
		.kind = (uint32_t)strtoul(words[0], NULL, 10),
		.token = strtoull(words[1], NULL, 10),
		.instance = strtoull(words[2], NULL, 10),
		.time_ms = (uint64_t)time(NULL) * 1000,
		.pid = 4711, .command = "/usr/bin/python3", .reason = "because",
		.profile = "probe-profile", .subject = "porter",
	};

	send_packet(AMBIT_MESSAGE_EVENT, &event, sizeof(event), NULL);
}

static void send_close(uint32_t slot)
{
	struct ambit_close close = { .instance = counts[slot].instance,
				     .attempts = counts[slot].attempts,
				     .lost = counts[slot].lost,
				     .dropped_packets = 3 };

	send_packet(AMBIT_MESSAGE_CLOSE, &close, sizeof(close), NULL);
}

/* Waits until the ring's records of `slot` are all counted as drained. */
static void wait_drained(uint32_t slot)
{
	for (int i = 0; i < PATIENCE_MS * 5; i++) {
		if (drained_records(slot) == counts[slot].produced) {
			printf("drained %llu\n",
			       (unsigned long long)counts[slot].produced);
			return;
		}
		pause_briefly();
	}
	printf("stuck at %llu of %llu\n",
	       (unsigned long long)drained_records(slot),
	       (unsigned long long)counts[slot].produced);
}

/* reader N SOCKET REQUEST… : connects and asks, but does not read. */
static void open_reader(char **words)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int index = number(words[0]);
	char request[256];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", words[1]);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("connect");
	if (words[2]) {
		int length = snprintf(request, sizeof(request), "%s%s%s\n",
				      words[2], words[3] ? " " : "",
				      words[3] ? words[3] : "");
		/* Refused before it could ask: the refusal can be read. */
		if (write(fd, request, (size_t)length) != length &&
		    errno != EPIPE)
			die("request");
	}
	readers[index] = fd;
	puts("open");
}

/* Reads `lines` lines, or to the end: "lines COUNT first F last L holes H end E",
 * or what was said instead. */
static void read_reader(int index, long lines)
{
	static char bytes[1 << 20];
	FILE *stream = fdopen(readers[index], "r");
	long count = 0, holes = 0, first = -1, last = -1;
	int ended = 0;
	struct timeval patience = { PATIENCE_MS / 1000, 0 };

	if (!stream)
		die("reader");
	setsockopt(readers[index], SOL_SOCKET, SO_RCVTIMEO, &patience,
		   sizeof(patience));
	setvbuf(stream, NULL, _IOFBF, 1 << 16);
	while (count < lines) {
		if (!fgets(bytes, sizeof(bytes), stream)) {
			ended = 1;
			break;
		}
		const char *at = strstr(bytes, "\"sequence\":");
		if (!at) {
			printf("said %s", bytes);
			fclose(stream);
			return;
		}
		long sequence = strtol(at + 11, NULL, 10);
		if (last >= 0 && sequence != last + 1)
			holes++;
		if (first < 0)
			first = sequence;
		last = sequence;
		count++;
	}
	printf("lines %ld first %ld last %ld holes %ld end %d\n", count, first,
	       last, holes, ended);
	fclose(stream);
}

/* torn FILE EXECUTABLE DIRECTORY SOCKET UID: cuts the file at every byte of its
 * last line and lets a recorder recover it. */
static void torn(char **words)
{
	static char whole[1 << 20], after[1 << 20];
	int fd = open(words[0], O_RDWR | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, whole, sizeof(whole));
	long bad = 0, tried = 0;

	if (size <= 0)
		die(words[0]);
	ssize_t last = size - 1;
	while (last > 0 && whole[last - 1] != '\n')
		last--;
	for (ssize_t cut = last; cut <= size; cut++) {
		FILE *quiet = stdout;
		if (ftruncate(fd, 0) < 0 || pwrite(fd, whole, (size_t)cut, 0) != cut)
			die("restore");
		stdout = fopen("/dev/null", "w");
		start((char *[]){ words[1], words[2], words[3], words[4], NULL });
		close(warden);
		warden = -1;
		reap("exit");
		fclose(stdout);
		stdout = quiet;
		ssize_t got = pread(fd, after, sizeof(after), 0);
		ssize_t kept = cut == size ? size : last;
		const char *note = "\"record\":\"log recovered\"";
		int noted = got > kept && memmem(after + kept, (size_t)(got - kept),
						 note, strlen(note)) != NULL;
		int lines = 0;
		for (ssize_t i = kept; i < got; i++)
			lines += after[i] == '\n';
		int wanted = cut != last && cut != size;
		if (got < kept || memcmp(after, whole, (size_t)kept) ||
		    noted != wanted || lines != wanted ||
		    (got > 0 && after[got - 1] != '\n')) {
			if (!bad)
				fprintf(stderr, "# cut at %zd of %zd\n", cut - last,
					size - last);
			bad++;
		}
		tried++;
	}
	close(fd);
	printf("torn %ld bad %ld\n", tried, bad);
}

static int run(char **words, int count)
{
	const char *verb = words[0];

#define IS(word, arguments) (!strcmp(verb, word) && count > (arguments))
	if (IS("start", 4))
		start(words + 1);
	else if (IS("pid", 0))
		printf("%d\n", recorder);
	else if (IS("rings", 0))
		send_rings(), puts("sent");
	else if (IS("maps", 0))
		make_maps(), memset(counts, 0, sizeof(counts)), puts("made");
	else if (IS("open", 3))
		send_open(words + 1), puts("sent");
	else if (IS("event", 3))
		send_event(words + 1), puts("sent");
	else if (IS("close", 1))
		send_close((uint32_t)number(words[1])), puts("sent");
	else if (IS("next", 0))
		next_message();
	else if (IS("own", 2))	/* an instance that nobody opened */
		counts[number(words[1])] = (struct counts){
			.instance = strtoull(words[2], NULL, 10) }, puts("set");
	else if (IS("attempts", 3)) {
		for (int i = 0; i < number(words[2]); i++)
			attempt((uint32_t)number(words[1]), number(words[3]));
		puts("made");
	} else if (IS("lose", 2)) {
		counts[number(words[1])].attempts += (uint64_t)number(words[2]);
		counts[number(words[1])].lost += (uint64_t)number(words[2]);
		puts("lost");
	} else if (IS("drained", 1))
		wait_drained((uint32_t)number(words[1]));
	else if (IS("credit", 1))
		printf("credit %llu\n", (unsigned long long)drained_records(
						(uint32_t)number(words[1])));
	else if (IS("failsyncs", 1))
		atomic_store(&failing_syncs, number(words[1])), puts("set");
	else if (IS("kill", 0))
		kill(recorder, SIGKILL), reap("killed");
	else if (IS("killwrite", 3))
		kill_at_write(number(words[1]), (uint32_t)number(words[2]),
			      number(words[3]));
	else if (IS("signal", 1))
		kill(recorder, number(words[1])), puts("sent");
	else if (IS("eof", 0))
		shutdown(warden, SHUT_RDWR), reap("exit");
	else if (IS("reader", 2))
		open_reader(words + 1);
	else if (IS("read", 2))
		read_reader(number(words[1]), number(words[2]));
	else if (IS("torn", 5))
		torn(words + 1);
	else
		return -1;
	return 0;
}

int main(void)
{
	char line[1024], *words[12];
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, boot_id, 36) != 36)
		die("boot_id");
	close(fd);
	signal(SIGPIPE, SIG_IGN);
	make_maps();
	while (fgets(line, sizeof(line), stdin)) {
		int count = 0;
		for (char *word = strtok_r(line, " \n", words + 11); word && count < 11;
		     word = strtok_r(NULL, " \n", words + 11))
			words[count++] = word;
		words[count] = NULL;
		if (count && run(words, count) < 0)
			printf("what? %s\n", words[0]);
		fflush(stdout);
	}
	if (recorder > 0) {
		kill(recorder, SIGKILL);
		waitpid(recorder, NULL, 0);
	}
	return 0;
}
