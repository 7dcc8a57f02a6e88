/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the resolver, without a C library in between.
 *
 *   ask NAME                 one question for an IPv4 address; what comes back
 *   later NAME PORT SECONDS  asks, waits, connects
 *   hold NAME PORT           asks, connects, asks again, uses the connection
 *   malformed NAME           questions that are none, and NAME last
 *   flood NAME               as many as go out, until it is killed
 *   many NAME RCODE          20 questions at once, which differ in number and case, with
 *                            a letter of its own each for a '#'; how many are answered
 *                            as they were asked and with RCODE
 *   reset NAME               asks over TCP, resets the connections, asks once more
 *   where NAME               asks over TCP and says who answers
 *   forge SLOT PORT NAME     asks as if it were the agent in SLOT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in resolver = { .sin_family = AF_INET };

static int open_socket(int type, int seconds)
{
	struct timeval most = { .tv_sec = seconds };
	int fd = socket(AF_INET, type, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most));
	return fd;
}

static size_t question(unsigned char *bytes, const char *name)
{
	static const unsigned char head[12] = { 0x12, 0x34, 1, 0, 0, 1 };
	size_t at = sizeof(head);

	memcpy(bytes, head, sizeof(head));
	while (*name) {
		size_t length = strcspn(name, ".");
		bytes[at++] = (unsigned char)length;
		memcpy(bytes + at, name, length);
		at += length;
		name += length + (name[length] == '.');
	}
	memcpy(bytes + at, "\0\0\1\0\1", 5);
	return at + 5;
}

/* The first address, or 0. */
static struct in_addr ask(const char *name, int *ret_rcode, int *ret_truncated)
{
	unsigned char bytes[2048];
	struct in_addr address = { 0 };
	int fd = open_socket(SOCK_DGRAM, 10);
	size_t length = question(bytes, name);

	*ret_rcode = -1;
	if (connect(fd, (struct sockaddr *)&resolver, sizeof(resolver)) < 0 ||
	    send(fd, bytes, length, 0) < 0)
		return address;
	ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
	close(fd);
	if (got < 12)
		return address;
	*ret_rcode = bytes[3] & 15;
	*ret_truncated = bytes[2] >> 1 & 1;
	if ((size_t)got >= length + 16 && bytes[7])
		memcpy(&address, bytes + length + 12, 4);
	return address;
}

static int print_answer(const char *name)
{
	int rcode, truncated = 0;
	struct in_addr address = ask(name, &rcode, &truncated);

	printf("rcode %d%s:%s%s\n", rcode, truncated ? " truncated" : "",
	       address.s_addr ? " " : "",
	       address.s_addr ? inet_ntoa(address) : "");
	return 0;
}

static int reach(struct in_addr address, const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = address,
				  .sin_port = htons((unsigned short)strtoul(port, NULL, 10)) };
	int fd = open_socket(SOCK_STREAM, 10);

	return connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? -1 : fd;
}

static int later(const char *name, const char *port, const char *seconds)
{
	int rcode, truncated;
	struct in_addr address = ask(name, &rcode, &truncated);
	struct timespec wait = { .tv_sec = (time_t)strtoul(seconds, NULL, 10) };

	/* What is tested is that time passes. */
	nanosleep(&wait, NULL);
	int fd = reach(address, port);
	printf("%s\n", fd < 0 ? strerror(errno) : "connected");
	return 0;
}

static void use(int fd)
{
	char byte;

	if (send(fd, "x", 1, MSG_NOSIGNAL) == 1 && recv(fd, &byte, 1, 0) == 1)
		printf("echo");
	else
		printf("%s", strerror(errno));
}

static int hold(const char *name, const char *port)
{
	int rcode, truncated;
	int fd = reach(ask(name, &rcode, &truncated), port);

	use(fd);
	printf(" %s ", inet_ntoa(ask(name, &rcode, &truncated)));
	use(fd);
	printf("\n");
	return 0;
}

/* Each header and name that is wrong in one way. */
static int malformed(const char *name)
{
	static const struct {
		size_t length;
		const char *bytes;
	} wrong[] = {
#define WRONG(text) { sizeof(text) - 1, text }
		WRONG(""),
		WRONG("\x12"),
		WRONG("\x12\x34\x01\0\0\1\0\0\0\0\0"),
		WRONG("\x12\x34\x01\0\0\1\0\0\0\0\0\0"),
		WRONG("\x12\x34\x81\0\0\1\0\0\0\0\0\0\1x\0\0\1\0\1"),
		WRONG("\x12\x34\x21\0\0\1\0\0\0\0\0\0\1x\0\0\1\0\1"),
		WRONG("\x12\x34\x01\0\0\2\0\0\0\0\0\0\1x\0\0\1\0\1\1x\0\0\1\0\1"),
		WRONG("\x12\x34\x01\0\0\1\0\1\0\0\0\0\1x\0\0\1\0\1"),
		WRONG("\x12\x34\x01\0\0\1\0\0\0\0\xff\xff\1x\0\0\1\0\1"),
		WRONG("\x12\x34\x01\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1"),
		WRONG("\x12\x34\x01\0\0\1\0\0\0\0\0\0\1x\xc0\x0c\0\1\0\1"),
		WRONG("\x12\x34\x01\0\0\1\0\0\0\0\0\0\x7f" "malformed\0\0\1\0\1"),
		WRONG("\x12\x34\x01\0\0\1\0\0\0\0\0\0\x3f" "malformed\0\0\1\0\1"),
		WRONG("\x12\x34\x01\0\0\1\0\0\0\0\0\0\xff\xff\xff\xff"),
		WRONG("\x12\x34\x01\0\0\1\0\0\0\0\0\0\1x\0\0\1\0\1" "behind it"),
		WRONG("\x12\x34\x01\0\0\1\0\0\0\0\0\1\1x\0\0\1\0\1\0\0\x29\2\0\0\0\0\0\xff\xff"),
		WRONG("\x12\x34\x01\0\0\1\0\0\0\0\0\0\4evil\4test\0\0\1\0"),
		WRONG("\x12\x34\x01\0\0\1\0\0\0\0\0\0\x0emalformed.evil\4test\0\0\1\0\1"),
#undef WRONG
	};
	int fd = open_socket(SOCK_DGRAM, 10), rcode, truncated;
	unsigned char bytes[65000];

	connect(fd, (struct sockaddr *)&resolver, sizeof(resolver));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		send(fd, wrong[i].bytes, wrong[i].length, 0);
	memset(bytes, 0x3f, sizeof(bytes));
	send(fd, bytes, sizeof(bytes), 0);
	/* Compression that leads to itself, for a reader that follows it. */
	for (size_t i = 12; i < sizeof(bytes); i += 2) {
		bytes[i] = 0xc0;
		bytes[i + 1] = 12;
	}
	memcpy(bytes, wrong[9].bytes, 12);
	send(fd, bytes, 500, 0);
	close(fd);
	ask(name, &rcode, &truncated);
	printf("%s\n", rcode == 0 ? "survived" : "gone");
	return 0;
}

static _Noreturn void flood(const char *name)
{
	unsigned char bytes[512];
	int fd = open_socket(SOCK_DGRAM, 10);
	size_t length = question(bytes, name);
	unsigned long sent = 0;

	connect(fd, (struct sockaddr *)&resolver, sizeof(resolver));
	for (;; sent++) {
		send(fd, bytes, length, MSG_DONTWAIT);
		if (sent != 20000)
			continue;
		printf("flooding\n");
		fflush(stdout);
	}
}

static int where(const char *name)
{
	unsigned char bytes[514];
	size_t length = question(bytes + 2, name);
	struct sockaddr_in peer;
	socklen_t size = sizeof(peer);
	int fd = open_socket(SOCK_STREAM, 10);

	bytes[0] = 0;
	bytes[1] = (unsigned char)length;
	if (connect(fd, (struct sockaddr *)&resolver, sizeof(resolver)) < 0 ||
	    getpeername(fd, (struct sockaddr *)&peer, &size) < 0) {
		printf("%s\n", strerror(errno));
		return 1;
	}
	printf("%s:%d\n", inet_ntoa(peer.sin_addr), ntohs(peer.sin_port));
	return 0;
}

static int many(const char *name, const char *rcode)
{
	enum { COUNT = 20 };
	unsigned char asked[COUNT][512], bytes[2048];
	int fd = open_socket(SOCK_DGRAM, 10), right = 0;
	size_t length = strlen(name) + 18;

	if (length > 512 ||
	    connect(fd, (struct sockaddr *)&resolver, sizeof(resolver)) < 0)
		return 1;
	for (unsigned i = 0; i < COUNT; i++) {
		char spelled[256];
		snprintf(spelled, sizeof(spelled), "%s", name);
		for (char *at = spelled; *at; at++)
			if (*at == '#')
				*at = (char)('a' + i);
		/* The numbers of these letters in binary. */
		for (unsigned bit = 0; bit < 5 && spelled[bit]; bit++)
			if (i >> bit & 1 && spelled[bit] >= 'a')
				spelled[bit] = (char)(spelled[bit] - 'a' + 'A');
		question(asked[i], spelled);
		asked[i][1] = (unsigned char)i;
		send(fd, asked[i], length, 0);
	}
	for (int i = 0; i < COUNT && recv(fd, bytes, sizeof(bytes), 0) > 12; i++)
		right += bytes[1] < COUNT && bytes[0] == 0x12 &&
			 !memcmp(bytes + 12, asked[bytes[1]] + 12, length - 12) &&
			 (bytes[3] & 15) == *rcode - '0';
	printf("%d of %d\n", right, COUNT);
	return 0;
}

/* Eight are all that one agent may have. */
static int reset(const char *name)
{
	const struct linger at_once = { 1, 0 };
	unsigned char bytes[514];
	size_t length = question(bytes + 2, name);

	bytes[0] = 0;
	bytes[1] = (unsigned char)length;
	for (int i = 0; i < 8; i++) {
		int fd = open_socket(SOCK_STREAM, 10);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		if (connect(fd, (struct sockaddr *)&resolver, sizeof(resolver)) < 0 ||
		    send(fd, bytes, length + 2, 0) < 0)
			perror("reset");
		/* The question is with the resolver when another is answered. */
		int rcode, truncated;
		ask("reset.evil.test", &rcode, &truncated);
		close(fd);
	}
	return print_answer(name);
}

static int forge(const char *slot, const char *port, const char *name)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((unsigned short)strtoul(port, NULL, 10)),
		.sin_addr.s_addr = htonl(0x7f561000U + (unsigned)strtoul(slot, NULL, 10)),
	};
	unsigned char bytes[1024];
	size_t length = question(bytes, name);

	int fd = open_socket(SOCK_DGRAM, 1);
	if (sendto(fd, bytes, length, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		printf("send: %s ", strerror(errno));
	else
		printf("%s ", recv(fd, bytes, sizeof(bytes), 0) < 0 ?
				      "nothing" : "an answer");
	/* A dropped SYN would be sent again for two minutes. */
	fd = open_socket(SOCK_STREAM, 1);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){ .tv_sec = 1 },
		   sizeof(struct timeval));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		printf("a connection\n");
	else if (errno == EINPROGRESS || errno == EAGAIN || errno == ETIMEDOUT)
		printf("nothing\n");
	else
		printf("connect: %s\n", strerror(errno));
	return 0;
}

int main(int count, char **words)
{
	inet_pton(AF_INET, "127.86.0.1", &resolver.sin_addr);
	resolver.sin_port = htons(53);
	if (count == 3 && !strcmp(words[1], "ask"))
		return print_answer(words[2]);
	if (count == 5 && !strcmp(words[1], "later"))
		return later(words[2], words[3], words[4]);
	if (count == 4 && !strcmp(words[1], "hold"))
		return hold(words[2], words[3]);
	if (count == 3 && !strcmp(words[1], "malformed"))
		return malformed(words[2]);
	if (count == 3 && !strcmp(words[1], "flood"))
		flood(words[2]);
	if (count == 4 && !strcmp(words[1], "many"))
		return many(words[2], words[3]);
	if (count == 3 && !strcmp(words[1], "reset"))
		return reset(words[2]);
	if (count == 3 && !strcmp(words[1], "where"))
		return where(words[2]);
	if (count == 5 && !strcmp(words[1], "forge"))
		return forge(words[2], words[3], words[4]);
	return 2;
}
