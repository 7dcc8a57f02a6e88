/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making another process's fdatasync(2) fail, for recorder.probe.c: a seccomp
 * filter in the child sends each call to a thread here, which lets it pass or
 * answers EIO.
 */
#ifndef RECORDER_SYNCS_H
#define RECORDER_SYNCS_H

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int failing_syncs;

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

#endif
