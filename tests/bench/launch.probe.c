/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times a command: `launch RUNS PARALLEL -- COMMAND…` runs it RUNS times, PARALLEL
 * at once, and prints "MEDIAN-MS TOTAL-SECONDS FAILURES".
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST 4096

static double times[MOST];
static struct {
	pid_t pid;
	double start;
} running[256];

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static pid_t start(char **command)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execvp(command[0], command);
		_exit(127);
	}
	return pid;
}

int main(int count, char **words)
{
	long runs = count > 4 ? strtol(words[1], NULL, 10) : 0;
	long parallel = count > 4 ? strtol(words[2], NULL, 10) : 0;
	long started = 0, ended = 0, failures = 0;

	if (runs < 1 || runs > MOST || parallel < 1 || parallel > 256)
		return 2;
	int null = open("/dev/null", O_RDWR);
	int out = dup(1);
	dup2(null, 0);
	dup2(null, 1);
	double begin = now();
	while (ended < runs) {
		for (long i = 0; i < parallel && started < runs; i++)
			if (!running[i].pid) {
				running[i].start = now();
				running[i].pid = start(words + 4);
				started++;
			}
		int status;
		pid_t pid = wait(&status);
		for (long i = 0; i < parallel; i++)
			if (running[i].pid == pid) {
				times[ended++] = now() - running[i].start;
				running[i].pid = 0;
			}
		failures += status != 0;
	}
	double total = now() - begin;
	qsort(times, (size_t)runs, sizeof(*times), compare);
	dprintf(out, "%.3f %.3f %ld\n", times[runs / 2] * 1e3, total, failures);
	return 0;
}
