/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network costs as a program sees them, for tests/bench/run.
 *
 *   net serve                  prints a port; accepts, reads to the end, closes
 *   net connect PORT SECONDS   connects and closes; prints microseconds each
 *   net send PORT SECONDS      sends on one flow; prints MiB per second
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

int main(int count, char **words)
{
	if (count == 2 && !strcmp(words[1], "serve"))
		return serve();
	if (count != 4)
		return 2;
	unsigned short port = (unsigned short)strtol(words[2], NULL, 10);
	double seconds = strtod(words[3], NULL);
	if (!strcmp(words[1], "connect"))
		return measure_connect(port, seconds);
	if (!strcmp(words[1], "send"))
		return measure_send(port, seconds);
	return 2;
}
