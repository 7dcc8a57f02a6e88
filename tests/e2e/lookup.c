/* SPDX-License-Identifier: Apache-2.0 */
/* Looks a name up with the C library and connects: lookup NAME PORT [4|6].  Built
 * by names.t with each C library. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int main(int count, char **words)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all;
	char host[64];
	int failure = 0;

	if (count > 3)
		hints.ai_family = words[3][0] == '6' ? AF_INET6 : AF_INET;
	int failed = getaddrinfo(words[1], words[2], &hints, &all);
	if (failed) {
		printf("%s\n", gai_strerror(failed));
		return 1;
	}
	for (struct addrinfo *at = all; at; at = at->ai_next) {
		int fd = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
		if (connect(fd, at->ai_addr, at->ai_addrlen) == 0) {
			getnameinfo(at->ai_addr, at->ai_addrlen, host, sizeof(host),
				    NULL, 0, NI_NUMERICHOST);
			printf("connected %s\n", host);
			return 0;
		}
		failure = errno;
	}
	printf("connect: %s\n", strerror(failure));
	return 1;
}
