/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fork tree for tests/bench/run: `tree N` makes N sleeping processes, prints
 * "ready" when all are there, and sleeps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int count, char **words)
{
	long wanted = count == 2 ? strtol(words[1], NULL, 10) : 0;

	if (wanted < 1)
		return 2;
	for (long i = 1; i < wanted; i++) {
		pid_t child = fork();
		if (child < 0) {
			perror("fork");
			return 1;
		}
		/* A chain and a fan: every tenth goes on in the child. */
		if (child == 0 && i % 10)
			for (;;)
				pause();
		if (child > 0 && i % 10 == 0)
			for (;;)
				pause();
	}
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
