/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands where ambitd stands for one recorder: starts it with its descriptors,
 * sends it messages, makes real kernel records in a real ring (by running a
 * small BPF program), kills it at chosen points, fails its syncs, reads its
 * pipe.  Commands come on stdin, one a line; each prints one line.  Used by
 * recorder.t, which knows what to expect.
 */
#include <ambit/kernel.h>
#include <ambit/message.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <linux/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RING_BYTES (1U << 20)
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

/* What the kernel programs would count of one agent. */
struct counts {
	uint64_t instance, attempts, lost, produced;
};

static int ring = -1, tallies = -1, drained = -1, program = -1;
static struct counts counts[AMBIT_SLOTS];
static int warden = -1, listener = -1, notifier = -1;
static pid_t recorder;
static char boot_id[AMBIT_ID_SIZE];
static int readers[READERS];
static atomic_int failing_syncs;

static void die(const char *what)
{
	fprintf(stderr, "recorder probe: %s: %s\n", what, strerror(errno));
	if (recorder > 0)
		kill(recorder, SIGKILL);
	exit(2);
}

static void pause_briefly(void)
{
	nanosleep(&(struct timespec){ 0, 200000 }, NULL);
}

static int bpf_call(int command, union bpf_attr *attributes)
{
	return (int)syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

static int make_map(uint32_t type, uint32_t key, uint32_t value, uint32_t entries,
		    uint32_t flags)
{
	union bpf_attr attributes = { .map_type = type, .key_size = key,
				      .value_size = value, .max_entries = entries,
				      .map_flags = flags };
	int fd = bpf_call(BPF_MAP_CREATE, &attributes);

	if (fd < 0)
		die("map");
	return fd;
}

/* Packet in: a record and the flags; the record goes into the ring. */
static void make_program(void)
{
#define INSN(c, d, s, o, i) { .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) }
	struct bpf_insn code[] = {
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 3, 10, 0, 0),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, 3, 0, 0, -248),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 4, 0, 0, 248),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_skb_load_bytes),
		INSN(BPF_JMP | BPF_JNE | BPF_K, 0, 0, 7, 0),
		INSN(BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, ring),
		INSN(0, 0, 0, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -248),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, 240),
		INSN(BPF_LDX | BPF_MEM | BPF_DW, 4, 10, -8, 0),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ringbuf_output),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	static char log[4096];
	/* The failed load jumps over the map: to the exit. */
	union bpf_attr attributes = {
		.prog_type = BPF_PROG_TYPE_SCHED_CLS,
		.insns = (uintptr_t)code,
		.insn_cnt = sizeof(code) / sizeof(*code),
		.license = (uintptr_t)"GPL",
		.log_buf = (uintptr_t)log, .log_size = sizeof(log), .log_level = 1,
	};
	program = bpf_call(BPF_PROG_LOAD, &attributes);
	if (program < 0) {
		fputs(log, stderr);
		die("program");
	}
}

static void make_maps(void)
{
	ring = make_map(BPF_MAP_TYPE_RINGBUF, 0, 0, RING_BYTES, 0);
	tallies = make_map(BPF_MAP_TYPE_ARRAY, 4, sizeof(struct ambit_tally),
			   AMBIT_SLOTS, BPF_F_MMAPABLE);
	drained = make_map(BPF_MAP_TYPE_ARRAY, 4, sizeof(struct ambit_drained),
			   AMBIT_SLOTS, BPF_F_MMAPABLE);
	make_program();
}

/* 0 or -EAGAIN: the ring is full. */
static int emit(const struct ambit_record *record, uint64_t flags)
{
	static uint8_t packet[248];
	union bpf_attr attributes = {
		.test = { .prog_fd = (uint32_t)program,
			  .data_in = (uintptr_t)packet,
			  .data_size_in = sizeof(packet), .repeat = 1 },
	};

	memcpy(packet, record, sizeof(*record));
	memcpy(packet + sizeof(*record), &flags, sizeof(flags));
	if (bpf_call(BPF_PROG_TEST_RUN, &attributes) < 0)
		die("run");
	return (int32_t)attributes.test.retval;
}

static uint64_t boot_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t drained_records(uint32_t slot)
{
	struct ambit_drained value;
	union bpf_attr attributes = { .map_fd = (uint32_t)drained,
				      .key = (uintptr_t)&slot,
				      .value = (uintptr_t)&value };

	if (bpf_call(BPF_MAP_LOOKUP_ELEM, &attributes) < 0)
		die("lookup");
	return value.records;
}

/* One attempt as the kernel programs make it, waiting for the credit and for
 * room instead of refusing. */
static void attempt(uint32_t slot, int verdict)
{
	struct counts *count = &counts[slot];
	struct ambit_record record = {
		.instance = count->instance, .kseq = ++count->attempts,
		.lost = count->lost, .ktime_ns = boot_ns(), .cgroup_id = 77,
		.socket_cookie = count->attempts, .slot = slot, .pid = 4711,
		.uid = 1000, .rule = verdict ? 0 : AMBIT_NO_RULE, .port = 443,
		.attempt = AMBIT_ATTEMPT_CONNECT, .verdict = (uint8_t)verdict,
		.reason = verdict ? AMBIT_REASON_RULE : AMBIT_REASON_NO_RULE,
		.protocol = 6, .family = 2,
		.address = { [10] = 0xff, 0xff, 203, 0, 113, 7 },
		.comm = "probe\nx",
	};

	while ((int64_t)(count->produced - drained_records(slot)) >=
	       (int64_t)AMBIT_RING_CREDIT)
		pause_briefly();
	while (emit(&record, verdict ? 0 : BPF_RB_FORCE_WAKEUP) != 0)
		pause_briefly();
	count->produced++;
}

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

/* Answers the notifications of fdatasync: EIO as often as it was told to. */
static void *answer_syncs(void *data)
{
	int fd = *(int *)data;
	struct seccomp_notif call;
	struct seccomp_notif_resp answer;

	for (;;) {
		memset(&call, 0, sizeof(call));
		if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) {
			struct pollfd state = { fd, POLLIN, 0 };
			if (errno == EINTR || errno == ENOENT) {
				poll(&state, 1, -1);
				if (!(state.revents & POLLHUP))
					continue;
			}
			return NULL;
		}
		memset(&answer, 0, sizeof(answer));
		answer.id = call.id;
		if (atomic_load(&failing_syncs) > 0) {
			atomic_fetch_sub(&failing_syncs, 1);
			answer.error = -EIO;
		} else {
			answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		}
		ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	}
}

static int watch_syncs(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fdatasync, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof(code) / sizeof(*code), code };

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			    SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
}

static void send_fd(int socket, int fd)
{
	char byte = 0;
	struct iovec part = { &byte, 1 };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct msghdr packet = { .msg_iov = &part, .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&packet);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	if (sendmsg(socket, &packet, 0) < 0)
		_exit(120);
}

static int receive_fd(int socket)
{
	char byte;
	int fd = -1;
	struct iovec part = { &byte, 1 };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr packet = { .msg_iov = &part, .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes) };

	if (recvmsg(socket, &packet, MSG_CMSG_CLOEXEC) > 0 &&
	    CMSG_FIRSTHDR(&packet))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&packet)), sizeof(fd));
	return fd;
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
	int index = atoi(words[0]);
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
		send_close((uint32_t)atoi(words[1])), puts("sent");
	else if (IS("next", 0))
		next_message();
	else if (IS("own", 2))	/* an instance that nobody opened */
		counts[atoi(words[1])] = (struct counts){
			.instance = strtoull(words[2], NULL, 10) }, puts("set");
	else if (IS("attempts", 3)) {
		for (int i = 0; i < atoi(words[2]); i++)
			attempt((uint32_t)atoi(words[1]), atoi(words[3]));
		puts("made");
	} else if (IS("lose", 2)) {
		counts[atoi(words[1])].attempts += (uint64_t)atoi(words[2]);
		counts[atoi(words[1])].lost += (uint64_t)atoi(words[2]);
		puts("lost");
	} else if (IS("drained", 1))
		wait_drained((uint32_t)atoi(words[1]));
	else if (IS("credit", 1))
		printf("credit %llu\n", (unsigned long long)drained_records(
						(uint32_t)atoi(words[1])));
	else if (IS("failsyncs", 1))
		atomic_store(&failing_syncs, atoi(words[1])), puts("set");
	else if (IS("kill", 0))
		kill(recorder, SIGKILL), reap("killed");
	else if (IS("killwrite", 3))
		kill_at_write(atoi(words[1]), (uint32_t)atoi(words[2]),
			      atoi(words[3]));
	else if (IS("signal", 1))
		kill(recorder, atoi(words[1])), puts("sent");
	else if (IS("eof", 0))
		shutdown(warden, SHUT_RDWR), reap("exit");
	else if (IS("reader", 2))
		open_reader(words + 1);
	else if (IS("read", 2))
		read_reader(atoi(words[1]), atol(words[2]));
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
