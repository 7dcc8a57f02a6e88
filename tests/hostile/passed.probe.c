/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends bytes by a connection that somebody outside has opened: no hook of the
 * sandbox saw it begin.
 *
 *   passed inherited NONCE      on descriptor 3
 *   passed stdin NONCE          on standard input
 *   passed received NONCE PATH  on one that comes over the unix socket PATH
 *
 * Prints "done" when they were sent, else the step and the name of the errno.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char *step;

static int received(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte;
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1,
				  .msg_control = control.room,
				  .msg_controllen = sizeof(control.room) };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), given = -1;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	step = "connect";
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	step = "receive";
	if (recvmsg(fd, &message, 0) < 0)
		return -1;
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
	if (!rights || rights->cmsg_type != SCM_RIGHTS) {
		errno = ENOMSG;
		return -1;
	}
	memcpy(&given, CMSG_DATA(rights), sizeof(given));
	return given;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	int fd = !strcmp(argv[1], "inherited") ? 3 :
		 !strcmp(argv[1], "stdin") ? 0 :
		 !strcmp(argv[1], "received") && argc > 3 ? received(argv[3]) : -2;
	if (fd == -2)
		return 2;
	if (fd >= 0) {
		step = "write";
		if (write(fd, argv[2], strlen(argv[2])) == (ssize_t)strlen(argv[2])) {
			puts("done");
			return 0;
		}
	}
	printf("%s %s\n", step, strerrorname_np(errno));
	return 1;
}
