/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls of a profile: judged in a simulator, and by running real programs
 * behind the filter.
 */
#include "build.h"
#include "profile/sets.h"
#include "profile/syscalls.h"
#include "simulate.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALLOW SECCOMP_RET_ALLOW
#define FORBID (SECCOMP_RET_ERRNO | EPERM)
#define LACK (SECCOMP_RET_ERRNO | ENOSYS)
#define HIGH (UINT64_C(1) << 32)

static const struct {
	const char *what;
	int number;
	uint64_t arguments[6];
	uint32_t answer;
} calls[] = {
	{ "TCP", SYS_socket, { AF_INET, SOCK_STREAM, 0 }, ALLOW },
	{ "TCP, named", SYS_socket, { AF_INET, SOCK_STREAM, IPPROTO_TCP }, ALLOW },
	{ "TCP with flags", SYS_socket,
	  { AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0 }, ALLOW },
	{ "UDP", SYS_socket, { AF_INET6, SOCK_DGRAM, IPPROTO_UDP }, ALLOW },
	{ "unix", SYS_socket, { AF_UNIX, SOCK_STREAM, 0 }, ALLOW },
	{ "route netlink", SYS_socket, { AF_NETLINK, SOCK_RAW, 0 }, ALLOW },
	{ "MPTCP", SYS_socket, { AF_INET, SOCK_STREAM, 262 }, FORBID },
	{ "SCTP", SYS_socket, { AF_INET, SOCK_STREAM, 132 }, FORBID },
	{ "SCTP, one to many", SYS_socket, { AF_INET, SOCK_SEQPACKET, 132 }, FORBID },
	{ "UDP-Lite", SYS_socket, { AF_INET, SOCK_DGRAM, 136 }, FORBID },
	{ "ping", SYS_socket, { AF_INET, SOCK_DGRAM, IPPROTO_ICMP }, FORBID },
	{ "ping6", SYS_socket, { AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6 }, FORBID },
	{ "raw", SYS_socket, { AF_INET, SOCK_RAW, 255 }, FORBID },
	{ "TCP protocol, datagram type", SYS_socket,
	  { AF_INET, SOCK_DGRAM, IPPROTO_TCP }, FORBID },
	{ "packet", SYS_socket, { AF_PACKET, SOCK_RAW, 0 }, FORBID },
	{ "vsock", SYS_socket, { 40, SOCK_STREAM, 0 }, FORBID },
	{ "alg", SYS_socket, { 38, SOCK_SEQPACKET, 0 }, FORBID },
	{ "netlink of netfilter", SYS_socket, { AF_NETLINK, SOCK_RAW, 12 }, FORBID },
	{ "vsock behind 2^32", SYS_socket, { HIGH | 40, SOCK_STREAM, 0 }, FORBID },
	{ "MPTCP behind 2^32", SYS_socket, { AF_INET, SOCK_STREAM, HIGH | 262 },
	  FORBID },
	{ "unix pair", SYS_socketpair, { AF_UNIX, SOCK_SEQPACKET, 0 }, ALLOW },
	{ "other pair", SYS_socketpair, { 30, SOCK_STREAM, 0 }, FORBID },
	{ "listen, no ports", SYS_listen, { 3, 5 }, FORBID },
	{ "a child", SYS_clone, { SIGCHLD }, ALLOW },
	{ "a thread", SYS_clone, { 0x3d0f00 }, ALLOW },
	{ "a user namespace", SYS_clone, { CLONE_NEWUSER | SIGCHLD }, FORBID },
	{ "a network namespace", SYS_clone, { CLONE_NEWNET | SIGCHLD }, FORBID },
	{ "a time namespace has no bit in clone", SYS_clone, { 0x80 }, ALLOW },
	{ "clone3", SYS_clone3, { 0 }, LACK },
	{ "unshare", SYS_unshare, { CLONE_NEWUSER }, FORBID },
	{ "setns", SYS_setns, { 3 }, FORBID },
	{ "personality, asked", SYS_personality, { 0xffffffff }, ALLOW },
	{ "fixed addresses", SYS_personality, { ADDR_NO_RANDOMIZE }, ALLOW },
	{ "READ_IMPLIES_EXEC", SYS_personality, { READ_IMPLIES_EXEC }, FORBID },
	{ "READ_IMPLIES_EXEC behind 2^32", SYS_personality,
	  { HIGH | READ_IMPLIES_EXEC }, FORBID },
	{ "a fifo", SYS_mknodat, { 0, 0, S_IFIFO | 0600 }, ALLOW },
	{ "a block device", SYS_mknodat, { 0, 0, S_IFBLK | 0600 }, FORBID },
	{ "a character device", SYS_mknodat, { 0, 0, S_IFCHR | 0600 }, FORBID },
	{ "a memory file", SYS_memfd_create, { 0, 1 }, ALLOW },
	{ "one not executable", SYS_memfd_create, { 0, 8 }, ALLOW },
	{ "an executable one", SYS_memfd_create, { 0, 0x10 }, FORBID },
	{ "an executable one behind 2^32", SYS_memfd_create, { 0, HIGH | 0x11 },
	  FORBID },
	{ "window size", SYS_ioctl, { 0, TIOCGWINSZ }, ALLOW },
	{ "TIOCSTI", SYS_ioctl, { 0, TIOCSTI }, FORBID },
	{ "TIOCSTI behind 2^32", SYS_ioctl, { 0, HIGH | TIOCSTI }, FORBID },
	{ "TIOCLINUX", SYS_ioctl, { 0, TIOCLINUX }, FORBID },
	{ "TIOCSETD", SYS_ioctl, { 0, TIOCSETD }, FORBID },
	{ "TIOCCONS", SYS_ioctl, { 0, TIOCCONS }, FORBID },
	{ "PR_SET_NAME", SYS_prctl, { PR_SET_NAME }, ALLOW },
	{ "PR_SET_MM", SYS_prctl, { PR_SET_MM }, FORBID },
	{ "TCP_NODELAY", SYS_setsockopt, { 3, IPPROTO_TCP, 1 }, ALLOW },
	{ "IPV6_RTHDR", SYS_setsockopt, { 3, IPPROTO_IPV6, IPV6_RTHDR }, FORBID },
	{ "IP_OPTIONS", SYS_setsockopt, { 3, 0, 4 }, FORBID },
	{ "a call of the future", 700, { 0 }, LACK },
};

static void test_calls(void)
{
	struct plan_layers layers = every();
	struct plan *plan = build("", &layers);
	size_t wrong = 0;

	for (size_t i = 0; i < COUNT(calls); i++)
		is_int(judge(&plan->filter, NATIVE, calls[i].number,
			     calls[i].arguments),
		       calls[i].answer, "@agent: %s", calls[i].what);
	for (size_t i = 0; i < sets_never_count; i++) {
		int number = filter_number(sets_never[i].call);
		const uint64_t none[6] = { 0 };
		if (number < 0)
			continue;
		uint32_t answer = judge(&plan->filter, NATIVE, number, none);
		if (answer != FORBID && answer != LACK) {
			diag("%s passes", sets_never[i].call);
			wrong++;
		}
	}
	is_int((long long)wrong, 0, "@agent: nothing of the never-list");
	plan_free(plan);
}

/* What node, text and layers make of one call. */
static uint32_t answer_of(const char *text, const struct plan_layers *layers,
			  int number, uint64_t first, uint64_t second)
{
	const uint64_t arguments[6] = { first, second };
	struct plan *plan = build(text, layers);
	uint32_t answer = judge(&plan->filter, NATIVE, number, arguments);

	plan_free(plan);
	return answer;
}

static void test_adding(void)
{
	struct plan_layers layers = every(), old = every();

	old.memfd_noexec = old.unix_hook = 0;
	is_int(answer_of("listen: [80]\n", &layers, SYS_listen, 0, 0), ALLOW,
	       "listen with ports");
	is_int(answer_of("syscalls: {allow: [ptrace]}\n", &layers, SYS_ptrace, 0, 0),
	       ALLOW, "ptrace when asked for");
	is_int(answer_of("syscalls: {allow: ['@debug']}\n", &layers, SYS_ptrace, 0, 0),
	       ALLOW, "… by its set");
	is_int(answer_of("syscalls: {allow: [socket]}\n", &layers, SYS_socket,
			 AF_PACKET, SOCK_RAW), FORBID,
	       "allowing socket opens no other family");
	is_int(answer_of("syscalls: {allow: [clone, ioctl]}\n", &layers, SYS_ioctl, 0,
			 TIOCSTI), FORBID, "allowing ioctl does not allow TIOCSTI");
	is_int(answer_of("syscalls: {allow: [ptrace], deny: ['@debug']}\n", &layers,
			 SYS_ptrace, 0, 0), FORBID, "deny has the last word");
	is_int(answer_of("syscalls: {deny: [socket]}\n", &layers, SYS_socket, AF_INET,
			 SOCK_STREAM), FORBID, "a call denied with its conditions");
	is_int(answer_of("listen: [80]\nsyscalls: {deny: [listen]}\n", &layers,
			 SYS_listen, 0, 0), FORBID, "listen denied");
	is_int(answer_of("", &old, SYS_memfd_create, 0, 0), FORBID,
	       "no memory files without vm.memfd_noexec");
	is_int(answer_of("syscalls: {allow: [memfd_create]}\n", &old, SYS_memfd_create,
			 0, 0), FORBID, "… also when asked for");
	is_int(answer_of("", &old, SYS_socket, AF_UNIX, SOCK_STREAM), FORBID,
	       "no unix sockets without their hook");
	is_int(answer_of("", &old, SYS_socketpair, AF_UNIX, SOCK_STREAM), ALLOW,
	       "… but pairs");
	is_int(answer_of("syscalls: {base: '@base-io', allow: [execve, "
			 "exit_group]}\n", &layers, SYS_socket, AF_INET,
			 SOCK_STREAM), FORBID, "a smaller base");
}

/* Property: one more deny never allows what was refused before. */
static void test_deny_only_takes(void)
{
	struct plan_layers layers = every();
	struct plan *plain = build("listen: [80]\n", &layers);
	unsigned tried = 0, grew = 0, kept = 0;

	for (int number = 0; number < 480; number += 3) {
		char *name = filter_name(number), text[128];
		if (!name || !strncmp(name, "execve", 7)) {
			free(name);
			continue;
		}
		snprintf(text, sizeof(text),
			 "listen: [80]\nsyscalls: {deny: [%s]}\n", name);
		struct plan *plan = build(text, &layers);
		const uint64_t none[6] = { AF_INET, SOCK_STREAM };
		for (int other = 0; other < 480; other++)
			grew += judge(&plan->filter, NATIVE, other, none) == ALLOW &&
				judge(&plain->filter, NATIVE, other, none) != ALLOW;
		kept += judge(&plan->filter, NATIVE, number, none) == ALLOW;
		tried++;
		plan_free(plan);
		free(name);
	}
	ok(tried > 100, "%u denials tried", tried);
	is_int(grew, 0, "a deny never adds a permission");
	is_int(kept, 0, "… and takes its own away");
	plan_free(plain);
}

/* Names of the tables: known to libseccomp, or newer than Debian 12's. */
static void test_names(void)
{
	static const char *const newer[] = {
		"fchmodat2", "map_shadow_stack", "futex_wait", "futex_wake",
		"futex_requeue", "open_tree_attr", "cachestat",
	};
	unsigned wrong = 0, loose = 0;

	for (size_t i = 0; i < sets_count; i++)
		for (size_t j = 0; j < sets_all[i].rule_count; j++) {
			const char *call = sets_all[i].rules[j].call;
			int known = filter_knows(call);
			for (size_t k = 0; k < COUNT(newer); k++)
				known |= !strcmp(newer[k], call);
			if (!known)
				diag("%s: unknown", call);
			wrong += !known;
			for (size_t k = 0; k < sets_never_count; k++)
				loose += !strcmp(sets_never[k].call, call);
		}
	for (size_t i = 0; i < sets_count; i++)
		for (size_t j = 0; sets_all[i].members && sets_all[i].members[j]; j++)
			wrong += !syscalls_set(sets_all[i].members[j]);
	for (size_t i = 0; i < sets_refusal_count; i++)
		wrong += !filter_knows(sets_refusals[i].call);
	is_int(wrong, 0, "every name of the tables is one");
	is_int(loose, 0, "no set holds a call of the never-list");
}

/* Real programs behind the filter of a profile that says nothing. */
static const struct {
	const char *needs, *script;
} programs[] = {
	{ "/bin/bash", "set -m; { sleep 60 & kill %1; wait; } 2>/dev/null; echo ok | cat" },
	{ "/bin/bash", "ls -l /usr >/dev/null; f=$(mktemp -d); cp -a /etc/os-release $f;"
		       " tar -C $f -c . | tar -t; rm -r $f; mkfifo $f; rm $f" },
	{ "/usr/bin/python3", "python3 -c 'import threading, subprocess, "
	  "multiprocessing, socket, tempfile, asyncio, select\n"
	  "t = threading.Thread(target=print); t.start(); t.join()\n"
	  "assert subprocess.run([\"true\"]).returncode == 0\n"
	  "c = multiprocessing.get_context(\"fork\")\n"
	  "with c.Pool(2) as p: assert p.map(abs, [-1, -2]) == [1, 2]\n"
	  "asyncio.run(asyncio.sleep(0.01))\n"
	  "socket.socket(); socket.socketpair(); tempfile.TemporaryFile()\n"
	  "socket.getaddrinfo(\"127.0.0.1\", 80)'" },
	{ "/usr/bin/node", "node -e 'const {execSync}=require(\"child_process\");"
	  "const {Worker}=require(\"worker_threads\");"
	  "execSync(\"true\"); require(\"fs\").readdirSync(\"/\");"
	  "new Worker(\"process.exit(0)\",{eval:true});"
	  "require(\"crypto\").randomBytes(8); setTimeout(()=>{},5)'" },
	{ "/usr/bin/git", "d=$(mktemp -d); cd $d; export HOME=$d; git init -q .; "
	  "echo a >a; git add a; git -c user.name=a -c user.email=a@example.com "
	  "commit -q -m a; git log --oneline; git gc -q; cd /; rm -rf $d" },
	{ "/usr/bin/curl", "curl -s file:///etc/os-release >/dev/null; "
	  "curl -s --max-time 5 http://127.0.0.1:1/ && exit 1 || test $? = 7" },
	{ "/usr/bin/make", "d=$(mktemp -d); cd $d; printf 'int main(void){return 0;}' >a.c;"
	  " printf 'a: a.c\\n\\tgcc -o a a.c\\n' >Makefile; make -s -j2; ./a; cd /; "
	  "rm -rf $d" },
	{ "/usr/bin/musl-gcc", "d=$(mktemp -d); cd $d; printf '#include <stdio.h>\\n"
	  "#include <pthread.h>\\nstatic void *f(void *a){return a;}\\nint main(void)"
	  "{pthread_t t; puts(\"x\"); return pthread_create(&t,0,f,0) || "
	  "pthread_join(t,0);}' >a.c; musl-gcc -static -o a a.c; ./a; cd /; "
	  "rm -rf $d" },
};

static int run_program(const struct filter *filter, const char *script)
{
	char *const arguments[] = { (char *)(uintptr_t)"bash",
				    (char *)(uintptr_t)"-euc",
				    (char *)(uintptr_t)script, NULL };

	fflush(stdout);
	pid_t pid = fork();
	if (pid < 0)
		bail_out("fork: %s", strerror(errno));
	if (!pid) {
		int null = open("/dev/null", O_RDWR);
		if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
		    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || filter_load(filter))
			_exit(99);
		execv("/bin/bash", arguments);
		_exit(98);
	}
	int status = 0;
	if (waitpid(pid, &status, 0) != pid)
		bail_out("waitpid: %s", strerror(errno));
	return status;
}

static void test_programs(void)
{
	struct plan_layers layers = every();
	struct plan *plan = build("", &layers);

	for (size_t i = 0; i < COUNT(programs); i++) {
		if (access(programs[i].needs, X_OK) < 0) {
			ok(1, "%s # SKIP not installed", programs[i].needs);
			continue;
		}
		is_int(run_program(&plan->filter, programs[i].script), 0,
		       "behind @agent: %s", programs[i].needs);
	}
	diag("@agent: %zu instructions, and %zu of refusals",
	     plan->filter.allow.length, plan->filter.refuse.length);
	plan_free(plan);
}

int main(void)
{
	test_names();
	test_calls();
	test_adding();
	test_deny_only_takes();
	test_programs();
	return done_testing();
}
