/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of system calls, and nothing else: each set with the reason for
 * it.  A call that is in no set is refused with EPERM.  Names that this ABI or
 * this libseccomp does not have are passed over, so that one table serves all.
 */
#include "sets.h"

#include <errno.h>
#include <fcntl.h>
#include <errno.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/netlink.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define CALL(name) { .call = #name }

/* The kernel reads these arguments as int: so does the comparison, or the
 * upper half of a register would decide (CVE-2019-7303). */
#define INT UINT64_C(0xffffffff)
#define IS(index, number) \
	{ .argument = index, .used = FILTER_EQUAL, .mask = INT, .value = number }
#define BITS(index, bits, number) \
	{ .argument = index, .used = FILTER_EQUAL, .mask = bits, .value = number }
#define NOT(index, number) \
	{ .argument = index, .used = FILTER_UNEQUAL, .value = number }
#define NULL_AT(index) \
	{ .argument = index, .used = FILTER_EQUAL, .mask = ~UINT64_C(0), .value = 0 }
#define ONE(name, first) { .call = name, .conditions = { first } }
#define TWO(name, first, second) { .call = name, .conditions = { first, second } }
#define THREE(name, first, second, third) \
	{ .call = name, .conditions = { first, second, third } }

#define NAMESPACES                                                            \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |        \
	 CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
#define MEMFD_EXEC 0x10U	/* MFD_EXEC, 6.3: not in Debian 12's headers */

/* Allocators, loaders and just-in-time compilers.  mprotect may make memory
 * executable: Node and PCRE need it, and code that is only in memory is bounded
 * as any other.  The NUMA calls are what libnuma under numpy and gcc asks. */
static const struct filter_rule memory[] = {
	CALL(brk), CALL(mmap), CALL(munmap), CALL(mremap), CALL(mprotect),
	CALL(madvise), CALL(msync), CALL(mlock), CALL(mlock2), CALL(mlockall),
	CALL(munlock), CALL(munlockall), CALL(membarrier), CALL(pkey_alloc),
	CALL(pkey_free), CALL(pkey_mprotect), CALL(mbind), CALL(get_mempolicy),
	CALL(set_mempolicy), CALL(mincore), CALL(map_shadow_stack),
};

/* Shells with job control, interpreters with threads and pools.  The scheduler's
 * and the limits' calls can only tighten without capabilities.  seccomp and
 * Landlock stack: browsers and test runners bound their children further. */
static const struct filter_rule process[] = {
	CALL(fork), CALL(vfork), CALL(execve), CALL(execveat), CALL(exit),
	CALL(exit_group), CALL(wait4), CALL(waitid), CALL(getpid),
	CALL(getppid), CALL(gettid), CALL(getpgid), CALL(setpgid),
	CALL(getpgrp), CALL(getsid), CALL(setsid), CALL(set_tid_address),
	CALL(set_robust_list), CALL(get_robust_list), CALL(arch_prctl),
	CALL(set_thread_area), CALL(get_thread_area), CALL(prctl), CALL(rseq),
	CALL(kill), CALL(tkill), CALL(tgkill), CALL(rt_sigqueueinfo),
	CALL(rt_tgsigqueueinfo), CALL(pidfd_open), CALL(pidfd_send_signal),
	CALL(sched_yield), CALL(sched_getaffinity), CALL(sched_setaffinity),
	CALL(sched_getparam), CALL(sched_setparam), CALL(sched_getscheduler),
	CALL(sched_setscheduler), CALL(sched_getattr), CALL(sched_setattr),
	CALL(sched_get_priority_max), CALL(sched_get_priority_min),
	CALL(sched_rr_get_interval), CALL(getcpu), CALL(getrusage),
	CALL(times), CALL(prlimit64), CALL(getrlimit), CALL(setrlimit),
	CALL(getpriority), CALL(setpriority), CALL(ioprio_get),
	CALL(ioprio_set), CALL(uname), CALL(sysinfo), CALL(capget),
	CALL(capset), CALL(restart_syscall), CALL(seccomp),
	CALL(landlock_create_ruleset), CALL(landlock_add_rule),
	CALL(landlock_restrict_self),
	/* Threads and children, but no new namespace of any kind: a user
	 * namespace brings capabilities back, a network namespace its own
	 * routes.  clone3 hides its flags in memory and looks absent. */
	ONE("clone", BITS(0, NAMESPACES, 0)),
	/* Linux, asking, and gdb's fixed addresses; READ_IMPLIES_EXEC and the
	 * personalities of other systems loosen memory protection. */
	ONE("personality", IS(0, 0)), ONE("personality", IS(0, INT)),
	ONE("personality", IS(0, ADDR_NO_RANDOMIZE)),
};

/* Programs read their ids and set them to what they are (tar, git, su-less
 * daemons).  Changing them fails in the kernel: no capability is left. */
static const struct filter_rule identity[] = {
	CALL(getuid), CALL(geteuid), CALL(getgid), CALL(getegid),
	CALL(getresuid), CALL(getresgid), CALL(getgroups), CALL(setuid),
	CALL(setgid), CALL(setreuid), CALL(setregid), CALL(setresuid),
	CALL(setresgid), CALL(setgroups), CALL(setfsuid), CALL(setfsgid),
};

/* What may be reached is the mount view's and Landlock's to decide, so the calls
 * stand here as both C libraries use them, old and new forms. */
static const struct filter_rule files[] = {
	CALL(open), CALL(openat), CALL(openat2), CALL(creat), CALL(close),
	CALL(close_range), CALL(read), CALL(write), CALL(readv), CALL(writev),
	CALL(pread64), CALL(pwrite64), CALL(preadv), CALL(pwritev),
	CALL(preadv2), CALL(pwritev2), CALL(lseek), CALL(stat), CALL(fstat),
	CALL(lstat), CALL(newfstatat), CALL(statx), CALL(access),
	CALL(faccessat), CALL(faccessat2), CALL(dup), CALL(dup2), CALL(dup3),
	CALL(fcntl), CALL(flock), CALL(fsync), CALL(fdatasync), CALL(sync),
	CALL(syncfs), CALL(sync_file_range), CALL(truncate), CALL(ftruncate),
	CALL(fallocate), CALL(fadvise64), CALL(readahead), CALL(getdents),
	CALL(getdents64), CALL(getcwd), CALL(chdir), CALL(fchdir),
	CALL(rename), CALL(renameat), CALL(renameat2), CALL(mkdir),
	CALL(mkdirat), CALL(rmdir), CALL(link), CALL(linkat), CALL(symlink),
	CALL(symlinkat), CALL(unlink), CALL(unlinkat), CALL(readlink),
	CALL(readlinkat), CALL(chmod), CALL(fchmod), CALL(fchmodat),
	CALL(fchmodat2), CALL(chown), CALL(fchown), CALL(lchown),
	CALL(fchownat), CALL(umask), CALL(utime), CALL(utimes),
	CALL(futimesat), CALL(utimensat), CALL(statfs), CALL(fstatfs),
	CALL(getxattr), CALL(lgetxattr), CALL(fgetxattr), CALL(setxattr),
	CALL(lsetxattr), CALL(fsetxattr), CALL(listxattr), CALL(llistxattr),
	CALL(flistxattr), CALL(removexattr), CALL(lremovexattr),
	CALL(fremovexattr), CALL(sendfile), CALL(splice), CALL(tee),
	CALL(vmsplice), CALL(copy_file_range), CALL(inotify_init),
	CALL(inotify_init1), CALL(inotify_add_watch), CALL(inotify_rm_watch),
	CALL(ioctl),
	/* No devices, whatever the capabilities. */
	ONE("mknod", BITS(1, S_IFMT, 0)), ONE("mknod", BITS(1, S_IFMT, S_IFREG)),
	ONE("mknod", BITS(1, S_IFMT, S_IFIFO)),
	ONE("mknod", BITS(1, S_IFMT, S_IFSOCK)),
	ONE("mknodat", BITS(2, S_IFMT, 0)),
	ONE("mknodat", BITS(2, S_IFMT, S_IFREG)),
	ONE("mknodat", BITS(2, S_IFMT, S_IFIFO)),
	ONE("mknodat", BITS(2, S_IFMT, S_IFSOCK)),
	/* Memory files: not executable ones, which would be programs that the
	 * agent wrote.  The node leaves the call out where the kernel has no
	 * vm.memfd_noexec. */
	ONE("memfd_create", BITS(1, MEMFD_EXEC, 0)),
};

/* Event loops: libuv, asyncio, shells. */
static const struct filter_rule events[] = {
	CALL(poll), CALL(ppoll), CALL(select), CALL(pselect6),
	CALL(epoll_create), CALL(epoll_create1), CALL(epoll_ctl),
	CALL(epoll_wait), CALL(epoll_pwait), CALL(epoll_pwait2), CALL(eventfd),
	CALL(eventfd2), CALL(signalfd), CALL(signalfd4), CALL(timerfd_create),
	CALL(timerfd_settime), CALL(timerfd_gettime),
};

/* A C library needs all of them; whom a signal reaches is the pid namespace's to
 * decide. */
static const struct filter_rule signals[] = {
	CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn),
	CALL(rt_sigpending), CALL(rt_sigsuspend), CALL(rt_sigtimedwait),
	CALL(sigaltstack), CALL(pause), CALL(alarm), CALL(getitimer),
	CALL(setitimer),
};

/* Reading only: setting a clock is in no set. */
static const struct filter_rule time[] = {
	CALL(clock_gettime), CALL(clock_getres), CALL(clock_nanosleep),
	CALL(nanosleep), CALL(gettimeofday), CALL(time), CALL(timer_create),
	CALL(timer_settime), CALL(timer_gettime), CALL(timer_getoverrun),
	CALL(timer_delete), CALL(getrandom),
};

/* The agent has an IPC namespace of its own: shared memory, semaphores and
 * queues can't be anybody else's. */
static const struct filter_rule ipc[] = {
	CALL(pipe), CALL(pipe2), CALL(futex), CALL(futex_waitv),
	CALL(futex_wait), CALL(futex_wake), CALL(futex_requeue), CALL(shmget),
	CALL(shmat), CALL(shmdt), CALL(shmctl), CALL(semget), CALL(semop),
	CALL(semtimedop), CALL(semctl), CALL(msgget), CALL(msgsnd),
	CALL(msgrcv), CALL(msgctl), CALL(mq_open), CALL(mq_unlink),
	CALL(mq_timedsend), CALL(mq_timedreceive), CALL(mq_notify),
	CALL(mq_getsetattr),
};

#define TYPE 0xfU	/* the kernel's SOCK_TYPE_MASK; it refuses other flags */
#define STREAM BITS(1, TYPE, SOCK_STREAM)
#define DATAGRAM BITS(1, TYPE, SOCK_DGRAM)

/*
 * Families and protocols that the hooks and the packet wall see whole.  MPTCP,
 * SCTP, UDP-Lite, ping, raw, packet, vsock and all others have ways out that no
 * hook of the cgroup meets.  Netlink only as the routing family, which is how C
 * libraries list addresses; changing routes needs a capability.
 */
static const struct filter_rule network[] = {
	THREE("socket", IS(0, AF_INET), STREAM, IS(2, 0)),
	THREE("socket", IS(0, AF_INET), STREAM, IS(2, IPPROTO_TCP)),
	THREE("socket", IS(0, AF_INET), DATAGRAM, IS(2, 0)),
	THREE("socket", IS(0, AF_INET), DATAGRAM, IS(2, IPPROTO_UDP)),
	THREE("socket", IS(0, AF_INET6), STREAM, IS(2, 0)),
	THREE("socket", IS(0, AF_INET6), STREAM, IS(2, IPPROTO_TCP)),
	THREE("socket", IS(0, AF_INET6), DATAGRAM, IS(2, 0)),
	THREE("socket", IS(0, AF_INET6), DATAGRAM, IS(2, IPPROTO_UDP)),
	TWO("socket", IS(0, AF_NETLINK), IS(2, NETLINK_ROUTE)),
	/* Left out where the kernel can't decide on connects to them (6.7). */
	TWO("socket", IS(0, AF_UNIX), STREAM),
	TWO("socket", IS(0, AF_UNIX), DATAGRAM),
	/* Both ends are the agent's own. */
	ONE("socketpair", IS(0, AF_UNIX)),
	CALL(connect), CALL(bind), CALL(accept), CALL(accept4),
	CALL(getsockname), CALL(getpeername), CALL(getsockopt), CALL(setsockopt),
	CALL(sendto), CALL(sendmsg), CALL(sendmmsg), CALL(recvfrom),
	CALL(recvmsg), CALL(recvmmsg), CALL(shutdown),
};

/* Only where the profile lists ports, or asks for it by name (unix sockets of
 * the agent's own): listening without bind takes a port that no hook sees. */
static const struct filter_rule accepting[] = { CALL(listen) };

/* Not in @agent: debuggers and profilers of the agent's own processes. */
static const struct filter_rule debug[] = {
	CALL(ptrace), CALL(process_vm_readv), CALL(process_vm_writev), CALL(kcmp),
};

/* Not in @agent: asynchronous files of databases. */
static const struct filter_rule aio[] = {
	CALL(io_setup), CALL(io_destroy), CALL(io_submit), CALL(io_cancel),
	CALL(io_getevents), CALL(io_pgetevents),
};

static const char *const base_io[] = { "@files", "@events", NULL };
static const char *const agent[] = {
	"@memory", "@process", "@identity", "@base-io", "@signals", "@time",
	"@ipc", "@network", NULL
};
#define SET(name, why, rules) { name, why, rules, COUNT(rules), NULL }

const struct syscall_set sets_all[] = {
	{ "@agent", "what ordinary programs use: the default", NULL, 0, agent },
	{ "@base-io", "files and waiting for them", NULL, 0, base_io },
	SET("@memory", "memory of the process itself", memory),
	SET("@process", "starting, watching and ending processes", process),
	SET("@identity", "who the process is", identity),
	SET("@files", "files and directories", files),
	SET("@events", "waiting for many things at once", events),
	SET("@signals", "signals", signals),
	SET("@time", "reading clocks and waiting", time),
	SET("@ipc", "pipes, futexes and System V objects", ipc),
	SET("@network", "TCP, UDP and unix sockets", network),
	SET("@listen", "accepting connections", accepting),
	SET("@debug", "debugging the agent's own processes", debug),
	SET("@aio", "asynchronous files of databases", aio),
};
const size_t sets_count = COUNT(sets_all);

#define REFUSE(name, ...) \
	{ .call = name, .error = EPERM, .conditions = { __VA_ARGS__ } }
#define OPTION(level, option)                          \
	{ .call = "setsockopt", .error = EPERM,        \
	  .conditions = { IS(1, level), IS(2, option) } }

/* Conditions that must not hold, on calls that are otherwise allowed. */
/* (argument & bits) == bits */
#define HAS(number, bits) \
	{ .argument = number, .used = FILTER_EQUAL, .mask = bits, .value = bits }
/* Changing the mode to one with `bit`, and making a file with it. */
#define MODE_BIT(bit)                                                   \
	REFUSE("chmod", HAS(1, bit)), REFUSE("fchmod", HAS(1, bit)),    \
	REFUSE("fchmodat", HAS(2, bit)), REFUSE("fchmodat2", HAS(2, bit)), \
	REFUSE("creat", HAS(1, bit)), REFUSE("mknod", HAS(1, bit)),     \
	REFUSE("mknodat", HAS(2, bit)),                                 \
	REFUSE("open", HAS(1, O_CREAT), HAS(2, bit)),                   \
	REFUSE("openat", HAS(2, O_CREAT), HAS(3, bit)),                 \
	REFUSE("open", HAS(1, TMPFILE), HAS(2, bit)),                   \
	REFUSE("openat", HAS(2, TMPFILE), HAS(3, bit))
#define TMPFILE 020000000	/* __O_TMPFILE, without O_DIRECTORY */

const struct filter_rule sets_refusals[] = {
	/* What the agent writes in a listed directory belongs outside to that
	 * directory's owner: with one of these bits, any user of the host could
	 * run the agent's program as that owner. */
	MODE_BIT(S_ISUID), MODE_BIT(S_ISGID),
	/* Its mode is in memory, out of a filter's sight: C libraries do
	 * without it where a kernel has none. */
	{ .call = "openat2", .error = ENOSYS },
	/* Process 1 has the agent's uid, and with its limits the agent could end
	 * it or keep it from telling how the agent ended. */
	REFUSE("prlimit64", NOT(0, 0)),
	/* A core goes to a program of the host's, run as root outside of every
	 * bound, where core_pattern says so: whatever the limit is, unless it is
	 * 1 (confine_limits).  So it stays; programs that turn cores off are told
	 * that it is done, and it is. */
	{ .call = "setrlimit", .error = FILTER_DONE,
	  .conditions = { IS(0, RLIMIT_CORE) } },
	{ .call = "prlimit64", .error = FILTER_DONE,
	  .conditions = { IS(1, RLIMIT_CORE), NOT(2, 0), NULL_AT(3) } },
	REFUSE("prlimit64", IS(1, RLIMIT_CORE), NOT(2, 0), NOT(3, 0)),
	/* Of a listed path the agent is the owner, as it sees it, and its lease keeps
	 * whoever writes to the file outside waiting. */
	REFUSE("fcntl", IS(1, F_SETLEASE)),
	/* Typing into the terminal of whoever started the agent
	 * (CVE-2017-5226), and its console. */
	REFUSE("ioctl", IS(1, TIOCSTI)), REFUSE("ioctl", IS(1, TIOCLINUX)),
	REFUSE("ioctl", IS(1, TIOCCONS)),
	/* Loads line disciplines, a row of holes of their own. */
	REFUSE("ioctl", IS(1, TIOCSETD)),
	/* Moves the marks by which others know this process. */
	REFUSE("prctl", IS(0, PR_SET_MM)),
	/* Source routing: connect would show a decoy.  The hooks refuse it
	 * too. */
	OPTION(IPPROTO_IPV6, IPV6_RTHDR), OPTION(IPPROTO_IPV6, IPV6_2292RTHDR),
	OPTION(IPPROTO_IP, IP_OPTIONS),
	/* Only where first bytes are judged (SETS_PINNED): these send pages that
	 * the agent can still write, so that the peer would get others than were
	 * judged.  Programs copy where a kernel has no such call. */
	{ .call = "sendfile", .error = ENOSYS },
	{ .call = "splice", .error = ENOSYS },
	{ .call = "vmsplice", .error = ENOSYS },
};
const size_t sets_refusal_count = COUNT(sets_refusals);

#define MOUNTS "mounts would change what paths mean, and with them every bound"
#define KEYS "the kernel's keyrings are shared with others and call out of the bounds"
#define RINGS "io_uring does the work of calls that this filter would refuse"
#define NAMES "a new namespace brings capabilities back inside it"
#define NODE "it is about the whole machine"
#define CODE "it puts code into the kernel"
#define HANDLES "file handles reach files past the mount view"
#define PAGES "it stops the kernel in the middle of a copy: a tool of attacks only"

/* What no profile may add: with one of these the bounds would not hold. */
const struct never sets_never[] = {
	{ "mount", MOUNTS },
	{ "umount2", MOUNTS },
	{ "pivot_root", MOUNTS },
	{ "move_mount", MOUNTS },
	{ "open_tree", MOUNTS },
	{ "open_tree_attr", MOUNTS },
	{ "fsopen", MOUNTS },
	{ "fsconfig", MOUNTS },
	{ "fsmount", MOUNTS },
	{ "fspick", MOUNTS },
	{ "mount_setattr", MOUNTS },
	{ "chroot", MOUNTS },
	{ "bpf", CODE },
	{ "init_module", CODE },
	{ "finit_module", CODE },
	{ "delete_module", CODE },
	{ "create_module", CODE },
	{ "kexec_load", CODE },
	{ "kexec_file_load", CODE },
	{ "perf_event_open", "it watches the kernel and other agents" },
	{ "io_uring_setup", RINGS },
	{ "io_uring_enter", RINGS },
	{ "io_uring_register", RINGS },
	{ "add_key", KEYS },
	{ "request_key", KEYS },
	{ "keyctl", KEYS },
	{ "setns", NAMES },
	{ "unshare", NAMES },
	{ "clone3", "its flags stand in memory, where no filter can read them: " NAMES },
	{ "pidfd_getfd", "it takes sockets that were made outside the bounds" },
	{ "userfaultfd", PAGES },
	{ "memfd_secret", "it hides memory from whoever must look at an attack" },
	{ "name_to_handle_at", HANDLES },
	{ "open_by_handle_at", HANDLES },
	{ "fanotify_init", "it watches the whole file system" },
	{ "iopl", NODE },
	{ "ioperm", NODE },
	{ "modify_ldt", "segments of its own open the 16-bit ways into the kernel" },
	{ "reboot", NODE },
	{ "swapon", NODE },
	{ "swapoff", NODE },
	{ "quotactl", NODE },
	{ "quotactl_fd", NODE },
	{ "acct", NODE },
	{ "settimeofday", NODE },
	{ "clock_settime", NODE },
	{ "clock_adjtime", NODE },
	{ "adjtimex", NODE },
	{ "sethostname", NODE },
	{ "setdomainname", NODE },
	{ "syslog", "it reads the kernel's messages, addresses included" },
	{ "lookup_dcookie", NODE },
	{ "vhangup", NODE },
	{ "nfsservctl", NODE },
	{ "_sysctl", NODE },
	{ "process_madvise", "it acts on memory of other processes" },
};
const size_t sets_never_count = COUNT(sets_never);
