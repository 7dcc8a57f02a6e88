/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls that an agent has no business with, one per run: `calls NAME`.
 * Prints "done" or the name of the errno; a filter that kills shows as a signal.
 * Arguments are such that root outside gets past the permission check, so that
 * EPERM inside is the filter's or the kernel's word about the agent.  calls.t
 * holds the table of what is expected.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_alg.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif
#define OWN "own-file"	/* in the working directory, which is the test's */
#define HIGH (1UL << 32)

/* Makes the file anew, so that its mode is what was asked for. */
static int own_file(mode_t mode)
{
	unlink(OWN);
	return open(OWN, O_CREAT | O_EXCL | O_WRONLY, mode);
}
#define X32 0x40000000UL

static union bpf_attr map = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4,
			      .value_size = 4, .max_entries = 1 };
static struct perf_event_attr perf = { .type = PERF_TYPE_SOFTWARE,
				       .size = sizeof(perf) };
static struct clone_args clone_arguments = { .exit_signal = SIGCHLD };
static char room[256];
static const char *argument;

/* For calls that need an object first. */
static long int80(void)
{
#if defined(__x86_64__)
	long result = 20;	/* getpid of i386 */
	__asm__ volatile("int $0x80" : "+a"(result) : : "memory");
	return result;
#else
	errno = ENOSYS;
	return -1;
#endif
}

/* i386 socketcall(SYS_SOCKET, …): the old way around filters on socket(). */
static long socketcall32(void)
{
#if defined(__x86_64__)
	unsigned *arguments = mmap((void *)0x10000000, 4096, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	arguments[0] = AF_INET;
	arguments[1] = SOCK_STREAM;
	arguments[2] = 0;
	long result = 102;
	__asm__ volatile("int $0x80"
			 : "+a"(result)
			 : "b"(1L), "c"(arguments)
			 : "memory");
	errno = result < 0 ? (int)-result : 0;
	return result < 0 ? -1 : result;
#else
	errno = ENOSYS;
	return -1;
#endif
}

static long tiocsti(unsigned long bits)
{
	return syscall(SYS_ioctl, 0, TIOCSTI | bits, "x");
}

static long make_executable(void)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	page[0] = (char)0xc3;
	return mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static long connect_unix(int abstract)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	size_t length = strlen(argument);

	if (fd < 0)
		return -1;
	memcpy(to.sun_path + abstract, argument, length);
	return connect(fd, (struct sockaddr *)&to,
		       (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				   (size_t)abstract + length));
}

static long pair_passes(void)
{
	int ends[2];
	char byte = 'x';
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		return -1;
	return write(ends[0], &byte, 1) == 1 ? read(ends[1], &byte, 1) : -1;
}

static long own_unix(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int server = socket(AF_UNIX, SOCK_STREAM, 0);
	int client = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/own", getenv("HOME"));
	unlink(at.sun_path);
	if (bind(server, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(server, 1) < 0)
		return -1;
	int result = connect(client, (struct sockaddr *)&at, sizeof(at));
	int failure = errno;
	unlink(at.sun_path);
	errno = failure;
	return result;
}

static long trace_parent(void)
{
	return ptrace(PTRACE_SEIZE, getppid(), NULL, NULL);
}

static long write_parent(void)
{
	struct iovec vector = { room, 1 };
	return syscall(SYS_process_vm_writev, getppid(), &vector, 1, &vector, 1, 0);
}

static long take_descriptor(void)
{
	int parent = (int)syscall(SYS_pidfd_open, getppid(), 0);
	return syscall(SYS_pidfd_getfd, parent, 0, 0);
}

/* A name that nobody has asked for: the kernel keeps a failed lookup for a minute,
 * answers from that with another errno, and calls nothing out. */
static long look_up_name(void)
{
	struct timespec now;
	char name[64];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(name, sizeof(name), "x%lld.%09ld", (long long)now.tv_sec, now.tv_nsec);
	return syscall(SYS_request_key, "dns_resolver", name, "", 0);
}

static long open_handle(void)
{
	struct {
		unsigned bytes;
		int type;
		char handle[128];
	} handle = { .bytes = 128 };
	int mount_id;

	if (syscall(SYS_name_to_handle_at, AT_FDCWD, "/", &handle, &mount_id, 0) < 0)
		return -1;
	return syscall(SYS_open_by_handle_at, AT_FDCWD, &handle, 0);
}

static long clone_user(void)
{
	long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
	if (child == 0)
		_exit(0);
	if (child > 0)
		waitpid((pid_t)child, NULL, 0);
	return child;
}

/* Moves itself to the root of the tree: "0" is whoever writes. */
static long join_root_cgroup(void)
{
	char line[512], place[512] = "", path[600];
	FILE *mounts = fopen("/proc/self/mountinfo", "re");

	while (mounts && fgets(line, sizeof(line), mounts))
		if (strstr(line, " - cgroup2 "))
			sscanf(line, "%*s %*s %*s %*s %511s", place);
	if (mounts)
		fclose(mounts);
	snprintf(path, sizeof(path), "%s/cgroup.procs", *place ? place : "/nowhere");
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -1 : write(fd, "0", 1);
}

/* A program whose set-id bit would count. */
static long gain_privilege(void)
{
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0)
		return 0;
	errno = EPERM;
	return -1;
}

static long clone_three(void)
{
	long child = syscall(SYS_clone3, &clone_arguments, sizeof(clone_arguments));
	if (child == 0)
		_exit(0);
	if (child > 0)
		waitpid((pid_t)child, NULL, 0);
	return child;
}

/* X(name, expression): the expression is negative and sets errno, or it worked.
 * Families by number: not every header has them. */
#define CALLS(X)                                                              \
	X("limits-of-process-1", syscall(SYS_prlimit64, 1, RLIMIT_FSIZE, NULL, room)) \
	X("limits-of-process-1-high", syscall(SYS_prlimit64, 1UL | 1UL << 32,     \
					      RLIMIT_FSIZE, NULL, room))          \
	X("own-limits", syscall(SYS_prlimit64, 0, RLIMIT_CORE, NULL, room))       \
	X("no-core", syscall(SYS_setrlimit, RLIMIT_CORE, room))                   \
	X("no-core-swapped", syscall(SYS_prlimit64, 0, RLIMIT_CORE, room, room + 64)) \
	X("socket-inet", socket(AF_INET, SOCK_STREAM, 0))                     \
	X("socket-inet6", socket(AF_INET6, SOCK_DGRAM, 0))                    \
	X("socket-unix", socket(AF_UNIX, SOCK_STREAM, 0))                     \
	X("socket-route", socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE))        \
	X("socket-raw", socket(AF_INET, SOCK_RAW, 255))                       \
	X("socket-raw-high", syscall(SYS_socket, AF_INET | HIGH, SOCK_RAW | HIGH, 255)) \
	X("socket-packet", socket(17, SOCK_RAW, 0x300))                       \
	X("socket-packet-high", syscall(SYS_socket, 17 | HIGH, SOCK_RAW, 0x300)) \
	X("socket-packet-old", socket(AF_INET, 10, 0x300))                    \
	X("socket-xdp", socket(44, SOCK_RAW, 0))                              \
	X("socket-vsock", socket(40, SOCK_STREAM, 0))                         \
	X("socket-alg", socket(38, SOCK_SEQPACKET, 0))                        \
	X("socket-key", socket(15, SOCK_RAW, 2))                              \
	X("socket-rds", socket(21, SOCK_SEQPACKET, 0))                        \
	X("socket-rxrpc", socket(33, SOCK_DGRAM, 2))                          \
	X("socket-smc", socket(43, SOCK_STREAM, 0))                           \
	X("socket-tipc", socket(30, SOCK_RDM, 0))                             \
	X("socket-can", socket(29, SOCK_RAW, 1))                              \
	X("socket-bluetooth", socket(31, SOCK_RAW, 1))                        \
	X("socket-qipcrtr", socket(42, SOCK_DGRAM, 0))                        \
	X("socket-xfrm", socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM))          \
	X("socket-netfilter", socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER)) \
	X("socket-audit", socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT))        \
	X("socket-sctp", socket(AF_INET, SOCK_SEQPACKET, 132))                \
	X("socket-dccp", socket(AF_INET, 6, 33))                              \
	X("socket-l2tp", socket(AF_INET, SOCK_DGRAM, 115))                    \
	X("socket-mptcp", socket(AF_INET, SOCK_STREAM, 262))                  \
	X("socket-smc-inet", socket(AF_INET, SOCK_STREAM, 256))               \
	X("socket-udplite", socket(AF_INET, SOCK_DGRAM, 136))                 \
	X("socketpair", pair_passes())                                        \
	X("unix-own", own_unix())                                             \
	X("unix-path", connect_unix(0))                                       \
	X("unix-abstract", connect_unix(1))                                   \
	X("io-uring", syscall(SYS_io_uring_setup, 1, room))                   \
	X("bpf", syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof(map)))         \
	X("perf", syscall(SYS_perf_event_open, &perf, 0, -1, -1, 0))          \
	X("userfaultfd", syscall(SYS_userfaultfd, 0))                         \
	X("memfd", syscall(SYS_memfd_create, "x", 0))                         \
	X("memfd-executable", syscall(SYS_memfd_create, "x", MFD_EXEC))       \
	X("memfd-secret", syscall(SYS_memfd_secret, 0))                       \
	X("jit", make_executable())                                           \
	X("ptrace", trace_parent())                                           \
	X("process-vm-writev", write_parent())                                \
	X("pidfd-getfd", take_descriptor())                                   \
	X("kcmp", syscall(SYS_kcmp, getpid(), getppid(), 0, 0, 0))            \
	X("add-key", syscall(SYS_add_key, "user", "x", "y", 1,                \
			     KEY_SPEC_PROCESS_KEYRING))                       \
	X("request-key", look_up_name())                                      \
	X("keyctl", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID,                \
			    KEY_SPEC_PROCESS_KEYRING, 1))                     \
	X("unshare-user", unshare(CLONE_NEWUSER))                             \
	X("unshare-mount", unshare(CLONE_NEWNS))                              \
	X("unshare-net", unshare(CLONE_NEWNET))                               \
	X("clone-user", clone_user())                                         \
	X("join-root-cgroup", join_root_cgroup())                             \
	X("gain-privilege", gain_privilege())                                 \
	X("clone3", clone_three())                                            \
	X("mount", syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, ""))        \
	X("fsopen", syscall(SYS_fsopen, "tmpfs", 0))                          \
	X("open-tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1))              \
	X("pivot-root", syscall(SYS_pivot_root, ".", "."))                    \
	X("chroot", chroot("/"))                                              \
	X("open-by-handle", open_handle())                                    \
	X("sethostname", sethostname("x", 1))                                 \
	X("init-module", syscall(SYS_init_module, room, 1, ""))               \
	X("kexec", syscall(SYS_kexec_load, 0, 0, 0, ~0UL))                    \
	X("syslog", syscall(SYS_syslog, 10, 0, 0))                            \
	X("acct", syscall(SYS_acct, NULL))                                    \
	X("quotactl", syscall(SYS_quotactl, 0x80000100, NULL, 0, NULL))       \
	X("dumpable", prctl(PR_GET_DUMPABLE))                                 \
	X("tiocsti", tiocsti(0))                                              \
	X("tiocsti-high", tiocsti(HIGH))                                      \
	X("tioclinux", syscall(SYS_ioctl, 0, TIOCLINUX, "\6"))                \
	X("setuid", setuid(0))                                                \
	X("mkfile", own_file(0755))                                           \
	X("set-uid", own_file(0755) < 0 ? -1 : chmod(OWN, 04755))             \
	X("set-gid", own_file(0755) < 0 ? -1 : fchmodat(AT_FDCWD, OWN, 02755, 0)) \
	X("set-uid-high", own_file(0755) < 0 ?                                \
				  -1 : syscall(SYS_chmod, OWN, HIGH | 04755)) \
	X("made-set-uid", own_file(04755))                                    \
	X("tmpfile-set-uid", open(".", O_TMPFILE | O_WRONLY, 04755))          \
	X("mknod", mknod("x", S_IFCHR | 0600, 0x101))                         \
	X("mknod-block", mknod("x", S_IFBLK | 0600, 0x800))                   \
	X("unknown", syscall(4000, 0, 0, 0, 0))                               \
	X("x32", syscall(SYS_getpid | X32))                                   \
	X("int80", int80())                                                   \
	X("socketcall32", socketcall32())

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	argument = argc > 2 ? argv[2] : "";
#define CALL(name, expression)                                               \
	if (strcmp(argv[1], name) == 0) {                                    \
		int failed = (expression) < 0;                               \
		puts(failed ? strerrorname_np(errno) : "done");              \
		return failed;                                               \
	}
	CALLS(CALL)
	return 2;
}
