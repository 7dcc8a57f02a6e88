/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ambit-init: everything between clone3 and the agent's first instruction, and
 * then process 1 of the agent's pid namespace.
 *
 * It starts as root in the agent's cgroup and new mount, pid, ipc, uts and
 * cgroup namespaces, takes two packets from the warden (include/ambit/start.h),
 * and goes through the steps below in this order.  A failing step is reported
 * with its errno and ends the process: halfway is never good enough.  Nothing
 * here is chosen by the agent, and nothing of the warden's memory is here: this
 * is a program of its own, so that a stolen process 1 holds no secrets.
 */
#include "init.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int (*const steps[AMBIT_STEP_COUNT])(struct init *init) = {
	[AMBIT_STEP_RECEIVE] = start_receive,
	[AMBIT_STEP_DESCRIPTORS] = confine_descriptors,
	[AMBIT_STEP_CGROUP] = confine_cgroup,
	[AMBIT_STEP_ROOT] = view_root,
	[AMBIT_STEP_PROC] = view_proc,
	[AMBIT_STEP_DEVICES] = view_devices,
	[AMBIT_STEP_PRIVATE] = view_private,
	[AMBIT_STEP_MOUNTS] = view_mounts,
	[AMBIT_STEP_MEMFD] = confine_memfd,
	[AMBIT_STEP_PRIORITY] = confine_priority,
	[AMBIT_STEP_PIVOT] = view_pivot,
	[AMBIT_STEP_HOSTNAME] = confine_hostname,
	[AMBIT_STEP_KEYRING] = confine_keyring,
	[AMBIT_STEP_RELEASE] = confine_release,
	[AMBIT_STEP_LIMITS] = confine_limits,
	[AMBIT_STEP_IDENTITY] = confine_identity,
	[AMBIT_STEP_CAPABILITIES] = confine_capabilities,
	[AMBIT_STEP_PRIVILEGES] = confine_privileges,
	[AMBIT_STEP_LANDLOCK] = landlock_enter,
	/* SESSION and SECCOMP, too, run in the command's own process. */
	[AMBIT_STEP_SESSION] = run_ahead,
	[AMBIT_STEP_PREPARED] = run_prepared,
	/* From here on it is about one request. */
	[AMBIT_STEP_REQUEST] = start_request,
	[AMBIT_STEP_TERMINAL] = view_terminal,
	[AMBIT_STEP_STDIO] = confine_stdio,
	[AMBIT_STEP_DIRECTORY] = confine_directory,
	[AMBIT_STEP_COMMAND] = run_find,
	[AMBIT_STEP_READY] = run_wait,
	/* Runs in the command's process, too. */
	[AMBIT_STEP_EXEC] = run_start,
};

int init_report(const struct init *init, const struct ambit_gate *gate, int fd)
{
	struct iovec part = { (void *)(uintptr_t)gate, sizeof(*gate) };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct msghdr packet = { .msg_iov = &part, .msg_iovlen = 1 };
	if (fd >= 0) {
		packet.msg_control = control.bytes;
		packet.msg_controllen = sizeof(control.bytes);
		struct cmsghdr *message = CMSG_FIRSTHDR(&packet);
		message->cmsg_level = SOL_SOCKET;
		message->cmsg_type = SCM_RIGHTS;
		message->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(message), &fd, sizeof(fd));
	}
	return sendmsg(init->gate, &packet, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int main(void)
{
	static struct init init = { .gate = AMBIT_GATE_FD, .terminal = -1,
				    .master = -1 };

	/* Before anything is known: nobody may look into this process. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return EXIT_FAILURE;
	for (int step = 0; step < AMBIT_STEP_COUNT; step++) {
		if (!steps[step])
			continue;
		init.step = (enum ambit_step)step;
		int error = steps[step](&init);
		if (error < 0) {
			struct ambit_gate gate = { AMBIT_GATE_FAILED,
						   init.step, -error };
			init_report(&init, &gate, -1);
			return EXIT_FAILURE;
		}
	}
	return run_reap(&init);
}
