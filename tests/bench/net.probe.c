/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network costs as a program sees them, for tests/bench/run.
 *
 *   net serve                  prints a port; accepts, reads to the end, closes
 *   net connect PORT SECONDS   connects and closes; prints microseconds each
 *   net send PORT SECONDS      sends on one flow; prints MiB per second
 *   net lookup ADDRESS COUNT   asks the resolver there for bench.test, one question
 *                              every 8 ms; prints the median in microseconds
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char bytes[128 << 10];

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static struct sockaddr_in loopback(unsigned short port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void *drain(void *argument)
{
	int fd = (int)(long)argument;
	static __thread char sink[128 << 10];

	while (read(fd, sink, sizeof(sink)) > 0)
		continue;
	close(fd);
	return NULL;
}

static int serve(void)
{
	struct sockaddr_in address = loopback(0);
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 ||
	    listen(fd, 4096) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		return 1;
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	for (;;) {
		pthread_t thread;
		char first;
		int flow = accept(fd, NULL, NULL);
		if (flow < 0)
			return 1;
		/* A connection that says nothing is over at once. */
		if (recv(flow, &first, 1, 0) <= 0) {
			close(flow);
			continue;
		}
		if (pthread_create(&thread, NULL, drain, (void *)(long)flow))
			return 1;
		pthread_detach(thread);
	}
}

static int open_flow(unsigned short port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		perror("connect");
		exit(1);
	}
	return fd;
}

static int measure_connect(unsigned short port, double seconds)
{
	struct linger reset = { 1, 0 };	/* no TIME_WAIT: ports last */
	double start = now();
	long count = 0;

	while (now() - start < seconds) {
		int fd = open_flow(port);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
		count++;
	}
	printf("%.2f\n", (now() - start) * 1e6 / (double)count);
	return 0;
}

static int measure_send(unsigned short port, double seconds)
{
	int fd = open_flow(port);
	double start = now(), sum = 0;

	while (now() - start < seconds) {
		ssize_t sent = write(fd, bytes, sizeof(bytes));
		if (sent <= 0)
			return 1;
		sum += (double)sent;
	}
	printf("%.0f\n", sum / (now() - start) / (1 << 20));
	return 0;
}

static int compare(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;

	return (difference > 0) - (difference < 0);
}

/* A question for the A record of bench.test, without options. */
static int ask(int fd, unsigned short id)
{
	static const char rest[] = "\1\0\0\1\0\0\0\0\0\0\5bench\4test\0\0\1\0\1";
	char message[512] = { (char)(id >> 8), (char)id };

	memcpy(message + 2, rest, sizeof(rest) - 1);
	if (send(fd, message, 2 + sizeof(rest) - 1, 0) < 0)
		return -1;
	do {
		/* With an answer in it, and to this question. */
		if (recv(fd, message, sizeof(message), 0) < 12)
			return -1;
	} while ((unsigned char)message[0] != id >> 8 || message[1] != (char)id);
	return message[7] ? 0 : -1;
}

static int measure_lookup(const char *address, int wanted)
{
	struct sockaddr_in resolver = { .sin_family = AF_INET, .sin_port = htons(53) };
	struct timeval patience = { 5, 0 };
	struct timespec pause = { 0, 8000000 };	/* below the rate of an agent */
	double times[1000];

	if (wanted < 1 || wanted > 1000 ||
	    inet_pton(AF_INET, address, &resolver.sin_addr) != 1)
		return 2;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (struct sockaddr *)&resolver, sizeof(resolver)) < 0) {
		perror("connect");
		return 1;
	}
	for (int i = 0; i < wanted; i++) {
		double start = now();
		if (ask(fd, (unsigned short)(i + 1)) < 0) {
			perror("lookup");
			return 1;
		}
		times[i] = now() - start;
		nanosleep(&pause, NULL);
	}
	qsort(times, (size_t)wanted, sizeof(*times), compare);
	printf("%.1f\n", times[wanted / 2] * 1e6);
	return 0;
}

int main(int count, char **words)
{
	if (count == 2 && !strcmp(words[1], "serve"))
		return serve();
	if (count != 4)
		return 2;
	if (!strcmp(words[1], "lookup"))
		return measure_lookup(words[2], (int)strtol(words[3], NULL, 10));
	unsigned short port = (unsigned short)strtol(words[2], NULL, 10);
	double seconds = strtod(words[3], NULL);
	if (!strcmp(words[1], "connect"))
		return measure_connect(port, seconds);
	if (!strcmp(words[1], "send"))
		return measure_send(port, seconds);
	return 2;
}
