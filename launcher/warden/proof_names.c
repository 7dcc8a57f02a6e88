/* SPDX-License-Identifier: Apache-2.0 */
/* The proof that lookups are led to the porter, that it refuses a name which no
 * entry lists, and that the record of it arrives: see proof.h. */
#include "proof.h"

#include "base/own.h"
#include "services.h"

#include <arpa/inet.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define CGROUP "proof-names"
#define NAME "unlisted.invalid"	/* RFC 2606: nobody's */
#define ANSWER_MS 5000
#define NXDOMAIN 3

/* A question for NAME, type A, recursion desired. */
static const uint8_t question[] = {
	0x5a, 0x3c, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0,
	8, 'u', 'n', 'l', 'i', 's', 't', 'e', 'd',
	7, 'i', 'n', 'v', 'a', 'l', 'i', 'd', 0, 0, 1, 0, 1,
};

/* In the child: 0 when the resolver that it asked says that there is no such
 * name, and nobody else. */
static int ask(void)
{
	struct sockaddr_in resolver = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(AMBIT_RESOLVER),
		.sin_port = htons(AMBIT_RESOLVER_PORT),
	}, sender = { 0 };
	socklen_t size = sizeof(sender);
	uint8_t answer[512];

	signal(SIGALRM, SIG_DFL);
	alarm(ANSWER_MS / 1000);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, question, sizeof(question), 0,
			     (struct sockaddr *)&resolver, sizeof(resolver)) < 0)
		return 1;
	ssize_t length = recvfrom(fd, answer, sizeof(answer), 0,
				  (struct sockaddr *)&sender, &size);
	return length < 12 || memcmp(answer, question, 2) ||
	       (answer[3] & 15) != NXDOMAIN ||
	       sender.sin_addr.s_addr != resolver.sin_addr.s_addr ||
	       sender.sin_port != resolver.sin_port;
}

static pid_t fork_into(int cgroup)
{
	struct clone_args arguments = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)cgroup,
	};

	return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

int proof_lookup(struct warden *warden, const struct ambit_lookup *lookup)
{
	if (!warden->proof.names || lookup->instance != warden->proof.names)
		return 0;
	warden->proof.refused = lookup->result == AMBIT_LOOKUP_UNLISTED &&
				!strcmp(lookup->name, NAME);
	return 1;
}

/* The porter speaks while the child waits for it. */
static int await(struct warden *warden, pid_t child, struct error *error)
{
	struct source *socket = &warden->services[SERVICE_PORTER].socket;
	int status = 1;

	while (!warden->proof.refused) {
		struct pollfd wait = { socket->fd, POLLIN, 0 };
		if (socket->fd < 0 || poll(&wait, 1, ANSWER_MS) != 1)
			break;
		socket->ready(socket, EPOLLIN);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (!warden->proof.refused)
		return error_set(error, ETIMEDOUT, "names: the refusal of a lookup "
				 "was not reported");
	if (status)
		return error_set(error, EPROTO, "names: a lookup was not answered "
				 "as refused");
	return 0;
}

static int prove(struct warden *warden, int cgroup, uint64_t id,
		 struct error *error)
{
	static struct ambit_policy policy;
	struct ambit_name name = { .instance = warden->proof.names };
	struct ambit_dismiss dismiss = { warden->proof.names };

	policy = (struct ambit_policy){ .instance = warden->proof.names,
					.state = AMBIT_POLICY_OPEN,
					.generation = 1 };
	int failed = kernel_attach(warden->kernel, cgroup, id, &policy, error);
	if (failed)
		return failed;
	if (services_send(warden, SERVICE_PORTER, AMBIT_MESSAGE_NAME, &name,
			  NULL) < 0)
		return error_set(error, EPIPE, "names: the porter ended");
	pid_t child = fork_into(cgroup);
	if (child < 0)
		return error_errno(error, errno, "names: fork into the cgroup");
	if (child == 0)
		_exit(ask());
	failed = await(warden, child, error);
	services_send(warden, SERVICE_PORTER, AMBIT_MESSAGE_DISMISS, &dismiss,
		      NULL);
	return failed ? failed : kernel_detach(warden->kernel, id, error);
}

int proof_names(struct warden *warden, struct error *error)
{
	uint64_t instance, id;
	int cgroup;

	if (getrandom(&instance, sizeof(instance), 0) != sizeof(instance))
		return error_set(error, EIO, "node: no random numbers");
	warden->proof.names = (instance & ~(1ULL << 63)) | (1ULL << 62);
	int failed = cgroup_make(&warden->cgroups, CGROUP, 1, &cgroup, &id, error);
	if (failed)
		return failed;
	failed = prove(warden, cgroup, id, error);
	close(cgroup);
	cgroup_remove(&warden->cgroups, CGROUP);
	warden->proof.names = 0;
	/* Without a resolver every listed name would fail. */
	warden->layers.names = !failed && warden->config.resolvers[0];
	return failed;
}
