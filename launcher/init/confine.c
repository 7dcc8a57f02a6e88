/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent may: descriptors, limits, user, capabilities, filter.  Each
 * step that the kernel could have ignored is read back. */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/ioprio.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define FIRST_FD (AMBIT_GATE_FD + 1)
#define KEPT_FD 16	/* above what a request and its terminal take */

/* The packet's descriptors were numbered from the first free one; anything that
 * stands elsewhere came from the warden by mistake. */
int confine_descriptors(struct init *init)
{
	for (unsigned i = 0; i < init->fd_count; i++)
		if (init->fds[i] != FIRST_FD + (int)i)
			return -EBADF;
	if (syscall(SYS_close_range, FIRST_FD + init->fd_count, ~0U, 0) < 0)
		return -errno;
	return 0;
}

/* Not by clone3: there the namespace's root would be the warden's cgroup, and
 * /proc/self/cgroup would tell the agent about the tree outside. */
int confine_cgroup(struct init *init)
{
	(void)init;
	return unshare(CLONE_NEWCGROUP) < 0 ? -errno : 0;
}

/* vm.memfd_noexec of this pid namespace: a memory file is not executable
 * unless MFD_EXEC asks for it, and the filter refuses MFD_EXEC. */
int confine_memfd(struct init *init)
{
	if (!init->start->memfd_noexec)
		return 0;
	int fd = open("proc/sys/vm/memfd_noexec", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = write(fd, "1", 1) == 1 ? 0 : -EIO;
	close(fd);
	return error;
}

/* A node may run before all others, and out of reach of the OOM killer; its agents do
 * not.  What puts it behind others stays.  The C library refuses to ask for a
 * scheduler. */
int confine_priority(struct init *init)
{
	static const struct sched_param none;
	(void)init;
	long scheduler = syscall(SYS_sched_getscheduler, 0) & ~SCHED_RESET_ON_FORK;
	if ((scheduler == SCHED_FIFO || scheduler == SCHED_RR ||
	     scheduler == SCHED_DEADLINE) &&
	    syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &none) < 0)
		return -errno;
	if (getpriority(PRIO_PROCESS, 0) < 0 && setpriority(PRIO_PROCESS, 0, 0) < 0)
		return -errno;
	if (syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0) >> IOPRIO_CLASS_SHIFT ==
		    IOPRIO_CLASS_RT &&
	    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, 0) < 0)
		return -errno;
	if (personality(PER_LINUX) < 0)
		return -errno;
	/* Where memory runs out, the agent goes first and nothing of the host does.
	 * It can't take that back: CAP_SYS_RESOURCE writes the least, too. */
	int fd = open("proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = write(fd, "1000", 4) == 4 ? 0 : -EIO;
	close(fd);
	return error;
}

int confine_hostname(struct init *init)
{
	const char *name = start_text(init, init->start->hostname);

	return sethostname(name, strlen(name)) < 0 ? -errno : 0;
}

/* Keys that the caller's session holds stay with the caller. */
int confine_keyring(struct init *init)
{
	(void)init;
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 &&
	    errno != ENOSYS)
		return -errno;
	return 0;
}

/* A socket keeps its creator's cgroup for life, so one made outside would be a
 * way out that no hook of the agent's cgroup sees. */
static int stdio_good(int fd)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return 0;
	return S_ISREG(status.st_mode) || S_ISFIFO(status.st_mode) ||
	       S_ISCHR(status.st_mode);
}

/* The host's /dev/null lies in no view of the agent's, so that /dev/stderr and its like
 * could not be opened where it stands for them: the agent's own takes its place. */
static int own_null(int fd)
{
	struct stat status;

	if (fstat(fd, &status) < 0 || !S_ISCHR(status.st_mode) ||
	    status.st_rdev != makedev(1, 3))
		return 0;
	int own = open("/dev/null", (fcntl(fd, F_GETFL) & O_ACCMODE) | O_NOCTTY);
	if (own < 0 || dup2(own, fd) < 0)
		return -errno;
	close(own);
	return 0;
}

/* Moves `from` (-1: nothing) to `to`, closed on exec. */
static int move_fd(int *from, int to)
{
	if (*from < 0 || *from == to)
		return 0;
	if (dup3(*from, to, O_CLOEXEC) < 0)
		return -errno;
	*from = to;
	return 0;
}

/* The mounts are in place; of their packet only the end file is kept, right
 * behind the gate. */
int confine_release(struct init *init)
{
	init->end_file = start_fd(init, init->start->end_file);
	int error = move_fd(&init->end_file, FIRST_FD);
	if (error)
		return error;
	return syscall(SYS_close_range, FIRST_FD + 1, ~0U, 0) < 0 ? -errno : 0;
}

int confine_stdio(struct init *init)
{
	const struct ambit_request *wanted = init->request;
	int *const kept[] = { &init->terminal, &init->master };

	for (int i = 0; i < 3; i++) {
		int from = wanted->stdio[i] == AMBIT_NO_FD ?
				   init->terminal :
				   start_fd(init, wanted->stdio[i]);
		if (dup2(from, i) < 0)
			return -errno;
		if (!stdio_good(i))
			return -ENOTSUP;
		int error = own_null(i);
		if (error)
			return error;
	}
	/* What process 1 keeps moves above everything else; the rest is closed. */
	for (int i = 0; i < 2; i++) {
		int error = move_fd(kept[i], KEPT_FD + i);
		if (error)
			return error;
	}
	if (syscall(SYS_close_range, FIRST_FD + 1, KEPT_FD - 1, 0) < 0 ||
	    syscall(SYS_close_range, KEPT_FD + 2, ~0U, 0) < 0)
		return -errno;
	return 0;
}

int confine_limits(struct init *init)
{
	const struct ambit_start *start = init->start;
	const struct {
		int resource;
		rlim_t value;
	} limits[] = {
		{ RLIMIT_NPROC, start->processes },
		{ RLIMIT_NOFILE, start->open_files },
		{ RLIMIT_FSIZE, start->file_size },
		/* A core dump may go to a program outside (core_pattern), for
		 * which the kernel looks at no limit but this: 1 means never
		 * (fs/coredump.c, against recursion).  A file of one byte is
		 * below what any format writes. */
		{ RLIMIT_CORE, 1 },
		/* Whoever started the node may have had more. */
		{ RLIMIT_NICE, 0 },
		{ RLIMIT_RTPRIO, 0 },
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		struct rlimit both = { limits[i].value, limits[i].value };
		if (setrlimit(limits[i].resource, &both) < 0)
			return -errno;
	}
	return 0;
}

/* The bounding set and the secure bits need CAP_SETPCAP, so they go before the
 * user does. */
int confine_identity(struct init *init)
{
	uid_t uid = init->start->uid, r, e, s;
	const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
				   SECBIT_NO_SETUID_FIXUP_LOCKED |
				   SECBIT_KEEP_CAPS_LOCKED |
				   SECBIT_NO_CAP_AMBIENT_RAISE |
				   SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

	for (int capability = 0; capability < 64; capability++) {
		int bound = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
		if (bound < 0 && errno == EINVAL)
			break; /* past the last one */
		/* Few are left of the warden's, and a drop makes new credentials. */
		if (bound < 0 || (bound > 0 &&
				  prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0))
			return -errno;
	}
	if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0)
		return -errno;
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return -errno;
	if (getresuid(&r, &e, &s) < 0 || r != uid || e != uid || s != uid ||
	    getresgid(&r, &e, &s) < 0 || r != uid || e != uid || s != uid ||
	    getgroups(0, NULL) != 0)
		return -EPERM;
	return 0;
}

int confine_capabilities(struct init *init)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { { 0 } }, got[2];

	(void)init;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
	    syscall(SYS_capset, &header, none) < 0 ||
	    syscall(SYS_capget, &header, got) < 0)
		return -errno;
	if (memcmp(got, none, sizeof(none)))
		return -EPERM;
	for (int capability = 0; capability < 64; capability++) {
		int bound = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
		if (bound > 0)
			return -EPERM;
		if (bound < 0)
			break;
	}
	return 0;
}

int confine_privileges(struct init *init)
{
	(void)init;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/* Changing the user made the process dumpable as the system says. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : -EPERM;
}

int confine_directory(struct init *init)
{
	umask(022);
	return chdir(start_request_text(init, init->request->directory)) < 0 ? -errno : 0;
}

int confine_filter(const struct init *init, uint32_t offset, uint32_t length)
{
	struct sock_fprog program = {
		.len = (unsigned short)length,
		.filter = (struct sock_filter *)(uintptr_t)(init->blob + offset),
	};

	if (!length)
		return 0;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return -errno;
	return 0;
}
