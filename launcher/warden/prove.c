/* SPDX-License-Identifier: Apache-2.0 */
/* The live proof of the kernel programs: see prove.h. */
#include "prove.h"

#include "prove_tls.h"
#include "sockets.h"

#include "base/own.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#define SECONDS 10	/* for all attempts of one child */

/* The endpoints, held open outside: without the programs every attempt would
 * succeed. */
struct targets {
	int tcp, udp, local;	/* descriptors */
	struct sockaddr_in tcp_address, udp_address;
	struct sockaddr_un local_address;
};

struct proof {
	struct kernel *kernel;
	const struct prove_place *place;
	struct targets targets;
	struct error *error;
};

/* ---- the attempts, in the child: 0 or the errno --------------------------------- */

static int try_connect(const struct targets *targets)
{
	OWN_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 || connect(fd, (const struct sockaddr *)&targets->tcp_address,
				 sizeof(targets->tcp_address)) < 0 ? errno : 0;
}

static int try_fast_open(const struct targets *targets)
{
	OWN_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 || sendto(fd, "", 1, MSG_FASTOPEN | MSG_NOSIGNAL,
				(const struct sockaddr *)&targets->tcp_address,
				sizeof(targets->tcp_address)) < 0 ? errno : 0;
}

static int try_send(const struct targets *targets)
{
	OWN_FD fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 || sendto(fd, "", 1, 0,
				(const struct sockaddr *)&targets->udp_address,
				sizeof(targets->udp_address)) < 0 ? errno : 0;
}

static int try_local(const struct targets *targets)
{
	OWN_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 || connect(fd, (const struct sockaddr *)&targets->local_address,
				 sizeof(targets->local_address)) < 0 ? errno : 0;
}

static const struct row {
	const char *name;
	int (*attempt)(const struct targets *targets);
	int needs_unix;
	int may_lack;	/* errno of a kernel where it is switched off, or 0 */
} rows[] = {
	{ "TCP connect", try_connect, 0, 0 },
	{ "TCP Fast Open send", try_fast_open, 0, EOPNOTSUPP },
	{ "UDP send", try_send, 0, 0 },
	{ "unix connect", try_local, 1, 0 },
};

#define ROWS (sizeof(rows) / sizeof(*rows))

/* ---- the child ------------------------------------------------------------------- */

static void run_rows(const struct targets *targets, int pipe)
{
	int results[ROWS];

	/* A packet that is dropped silently would be waited for. */
	signal(SIGALRM, SIG_DFL);
	alarm(SECONDS);
	for (size_t i = 0; i < ROWS; i++)
		results[i] = rows[i].attempt(targets);
	_exit(write(pipe, results, sizeof(results)) != sizeof(results));
}

pid_t prove_fork(int cgroup)
{
	struct clone_args arguments = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)cgroup,
	};

	return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

static int run_child(struct proof *proof, int cgroup, int ret_results[ROWS])
{
	int ends[2], status;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(proof->error, errno, "pipe");
	OWN_FD out = ends[0];
	OWN_FD in = ends[1];
	pid_t child = prove_fork(cgroup);
	if (child < 0)
		return error_errno(proof->error, errno, "fork into the cgroup");
	if (child == 0)
		run_rows(&proof->targets, in);
	own_close(&in);
	size_t wanted = ROWS * sizeof(*ret_results);
	ssize_t length;
	do
		length = read(out, ret_results, wanted);
	while (length < 0 && errno == EINTR);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (length != (ssize_t)wanted)
		return error_set(proof->error, EPROTO,
				 "the attempts came to no end");
	return 0;
}

/* Every row must have ended with `expected`.  Counts those that were judged. */
static int check(struct proof *proof, const char *where, int expected,
		 const int results[ROWS], unsigned *ret_judged)
{
	*ret_judged = 0;
	for (size_t i = 0; i < ROWS; i++) {
		if (rows[i].needs_unix && !kernel_has_unix_hooks(proof->kernel))
			continue;
		if (rows[i].may_lack && results[i] == rows[i].may_lack)
			continue;
		++*ret_judged;
		if (results[i] == expected)
			continue;
		return error_set(proof->error, EPROTO, "%s %s: %s instead of %s",
				 rows[i].name, where,
				 results[i] ? strerror(results[i]) : "success",
				 expected ? strerror(expected) : "success");
	}
	return 0;
}

static int attempt(struct proof *proof, int cgroup, const char *where,
		   int expected, unsigned *ret_judged)
{
	int results[ROWS];
	int failed = run_child(proof, cgroup, results);

	return failed ? failed :
			check(proof, where, expected, results, ret_judged);
}

/* ---- the parent ------------------------------------------------------------------ */

static int open_inet(int type, struct sockaddr_in *ret_address)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t length = sizeof(address);

	OWN_FD fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) < 0 ||
	    (type == SOCK_STREAM && listen(fd, ROWS * 4) < 0))
		return -1;
	*ret_address = address;
	return own_take_fd(&fd);
}

static int open_local(const char *directory, struct sockaddr_un *ret_address)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/proof.%d",
		     directory, (int)getpid()) >= (int)sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	OWN_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || (unlink(address.sun_path) < 0 && errno != ENOENT) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	*ret_address = address;
	if (listen(fd, ROWS * 4) < 0)
		return -1;
	return own_take_fd(&fd);
}

static int open_targets(struct proof *proof)
{
	struct targets *targets = &proof->targets;

	targets->tcp = open_inet(SOCK_STREAM, &targets->tcp_address);
	targets->udp = targets->tcp < 0 ?
			       -1 : open_inet(SOCK_DGRAM, &targets->udp_address);
	targets->local = targets->udp < 0 ?
				 -1 : open_local(proof->place->directory,
						 &targets->local_address);
	if (targets->local < 0)
		return error_errno(proof->error, errno, "sockets to reach");
	return 0;
}

static void close_targets(struct targets *targets)
{
	own_close(&targets->tcp);
	own_close(&targets->udp);
	own_close(&targets->local);
	if (targets->local_address.sun_path[0])
		unlink(targets->local_address.sun_path);
}

static struct ambit_rule rule_for(const struct sockaddr_in *address,
				  uint8_t protocol)
{
	uint16_t port = ntohs(address->sin_port);
	struct ambit_rule rule = { .prefix = 128, .protocol = protocol,
				   .port_low = port, .port_high = port };

	memset(rule.address + 10, 0xff, 2);
	memcpy(rule.address + 12, &address->sin_addr, 4);
	return rule;
}

static void allow_targets(const struct targets *targets,
			  struct ambit_policy *policy)
{
	struct ambit_unix *local = &policy->unix_paths[0];

	policy->generation++;
	policy->rules[0] = rule_for(&targets->tcp_address, IPPROTO_TCP);
	policy->rules[1] = rule_for(&targets->udp_address, IPPROTO_UDP);
	policy->rule_count = 2;
	local->length = (uint16_t)strlen(targets->local_address.sun_path);
	memcpy(local->path, targets->local_address.sun_path, local->length);
	policy->unix_count = 1;
}

/* Numbers and records must be those of `judged` attempts, none lost. */
static int check_tally(struct proof *proof, unsigned judged)
{
	struct ambit_tally tally;
	int failed = kernel_tally(proof->kernel, 0, &tally, proof->error);

	if (failed)
		return failed;
	if (tally.attempts == judged && tally.produced == judged &&
	    tally.lost == 0)
		return 0;
	return error_set(proof->error, EPROTO,
			 "records: %u attempts, but %llu numbered, %llu "
			 "written, %llu lost", judged,
			 (unsigned long long)tally.attempts,
			 (unsigned long long)tally.produced,
			 (unsigned long long)tally.lost);
}

static int prove_leaf(struct proof *proof, int cgroup,
		      struct prove_result *ret_result)
{
	struct ambit_policy policy = { .instance = proof->place->instance,
				       .state = AMBIT_POLICY_OPEN,
				       .generation = 1 };
	struct kernel *kernel = proof->kernel;
	unsigned refused, allowed = 0;
	struct stat status;

	if (fstat(cgroup, &status) < 0)
		return error_errno(proof->error, errno, "scratch cgroup");
	uint64_t id = status.st_ino;	/* of cgroup2, on 64 bits */
	int failed = kernel_attach(kernel, cgroup, id, &policy, proof->error);
	if (!failed)
		failed = kernel_verify(kernel, cgroup, id, policy.instance,
				       proof->error);
	if (!failed)
		failed = attempt(proof, cgroup, "without a rule", EPERM, &refused);
	allow_targets(&proof->targets, &policy);
	if (!failed)
		failed = kernel_policy(kernel, id, &policy, proof->error);
	if (!failed)
		failed = attempt(proof, cgroup, "with a rule for it", 0,
				 &allowed);
	if (!failed)
		failed = check_tally(proof, refused + allowed);
	if (failed)
		return failed;
	ret_result->unix_hook = kernel_has_unix_hooks(kernel);
	/* Their packets would be dropped under other rules: recorded, and, closed
	 * meanwhile, they would linger. */
	if (sockets_destroy(id) < 0)
		return error_set(proof->error, EIO,
				 "proof: its sockets can't be destroyed");
	/* Not fatal: then no profile may ask for it. */
	ret_result->tls = prove_tls(kernel, cgroup, id, &policy) == 0;
	struct ambit_tally tally;
	failed = kernel_tally(kernel, 0, &tally, proof->error);
	if (failed)
		return failed;
	ret_result->records = tally.produced;
	sockets_destroy(id);
	return kernel_detach(kernel, id, proof->error);
}

static int prove_wall(struct proof *proof, int cgroup,
		      struct prove_result *ret_result)
{
	unsigned refused;

	(void)ret_result;
	return attempt(proof, cgroup, "without the programs of an agent", EPERM,
		       &refused);
}

/* Runs `prove` with a cgroup made for it. */
static int in_scratch(struct proof *proof,
		      int (*prove)(struct proof *, int, struct prove_result *),
		      struct prove_result *ret_result)
{
	static const char name[] = "proof";
	int parent = proof->place->parent_cgroup;

	/* One that a killed warden left has no process, hence goes. */
	if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return error_errno(proof->error, errno, "scratch cgroup");
	if (mkdirat(parent, name, 0755) < 0)
		return error_errno(proof->error, errno, "scratch cgroup");
	OWN_FD cgroup = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int failed = cgroup < 0 ? error_errno(proof->error, errno,
					      "scratch cgroup") :
				  prove(proof, cgroup, ret_result);
	own_close(&cgroup);
	if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && !failed)
		failed = error_errno(proof->error, errno, "scratch cgroup");
	return failed;
}

int prove_hooks(struct kernel *kernel, const struct prove_place *place,
		struct prove_result *ret_result, struct error *error)
{
	struct proof proof = { kernel, place, { .tcp = -1, .udp = -1, .local = -1 },
			       error };
	struct prove_result result = { 0 };

	int failed = open_targets(&proof);
	if (!failed)
		failed = in_scratch(&proof, prove_wall, &result);
	/* Second, since it counts from zero in slot 0. */
	if (!failed)
		failed = in_scratch(&proof, prove_leaf, &result);
	close_targets(&proof.targets);
	if (failed)
		return error_context(error, "proof of the kernel programs");
	*ret_result = result;
	return 0;
}
