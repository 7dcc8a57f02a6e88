/* SPDX-License-Identifier: Apache-2.0 */
/* The node's other processes: see services.h. */
#include "services.h"

#include "agents.h"
#include "base/own.h"
#include "credentials.h"
#include "end.h"
#include "files.h"
#include "admitted.h"
#include "launch.h"
#include "names.h"
#include "proof.h"
#include "records.h"
#include "spawn.h"
#include "timer.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define READY_MS 10000
#define SEND_MS 500	/* that a service may keep the warden from its work */
#define EARLIER_MS 2000
#define BACK_OFF_MS 100
#define BACK_OFF_MOST_MS 5000

static const struct row {
	const char *name, *program;
	uint32_t uid;	/* offset into the range */
} rows[SERVICES] = {
	[SERVICE_RECORDER] = { "recorder", "ambit-recorder", AMBIT_UID_RECORDER },
	[SERVICE_ISSUER] = { "issuer", "ambit-issuer", AMBIT_UID_ISSUER },
	[SERVICE_PORTER] = { "porter", "ambit-porter", AMBIT_UID_PORTER },
};

/* The porter's and the issuer's ends of the pair between them: made with the
 * first of the two that starts, used up by the second. */
static int pair[2] = { -1, -1 };

static uint32_t service_uid(const struct warden *warden, enum service_kind kind)
{
	return warden->config.uid_first + rows[kind].uid;
}

int services_send(struct warden *warden, enum service_kind kind,
		  enum ambit_message_type type, const void *body, const int *fds)
{
	struct service *service = &warden->services[kind];

	if (service->socket.fd < 0 || service->stuck)
		return -EPIPE;
	/* Before it was greeted it does not know whose what it hears is, and what
	 * one that ends before that was sent would be nobody's. */
	if (kind == SERVICE_RECORDER && !service->ready)
		return -EPIPE;
	int failed = message_send_within(service->socket.fd, type, body, fds,
					 SEND_MS);
	if (failed != -EAGAIN)
		return failed;
	/* It reads no more: stopped, or waiting for a disk.  Agents are ended by
	 * this process, which waits for nobody; the loop sees the end of the
	 * socket and starts the service anew. */
	fprintf(stderr, "ambitd: %s: it does not read what it is sent\n",
		rows[kind].name);
	service->stuck = 1;
	shutdown(service->socket.fd, SHUT_RDWR);
	return -EPIPE;
}

int services_ready(const struct warden *warden)
{
	for (int i = 0; i < SERVICES; i++)
		if (!warden->services[i].ready)
			return 0;
	return 1;
}

/* The descriptors a service starts with, from number 3 on: its socket first.
 * Returns how many, or a negative errno; ret_fds are the caller's to close. */
static int service_fds(struct warden *warden, enum service_kind kind,
		       int ret_fds[3], struct error *error)
{
	char path[PATH_MAX];
	uint32_t uid = service_uid(warden, kind);
	int failed = 0;

	switch (kind) {
	case SERVICE_RECORDER:
		failed = files_directory(warden->config.log, uid, 0750,
				       &ret_fds[1], error);
		if (!failed)
			failed = files_listen(warden, AMBIT_AUDIT_SOCKET, 16,
					      &ret_fds[2], error);
		break;
	case SERVICE_ISSUER:
		ret_fds[1] = own_take_fd(&pair[0]);
		snprintf(path, sizeof(path), "%s/keys", warden->config.state);
		failed = files_directory(path, uid, 0700, &ret_fds[2], error);
		break;
	default:
		ret_fds[1] = own_take_fd(&pair[1]);
	}
	if (failed)
		return failed;
	return kind == SERVICE_PORTER ? 2 : 3;
}

static int start_cgroup(struct warden *warden, enum service_kind kind,
			struct error *error)
{
	struct service *service = &warden->services[kind];
	/* Nothing is allowed, but to the porter its resolvers; records of a
	 * service carry a small instance. */
	static struct ambit_policy policy;

	if (service->cgroup >= 0)
		return 0;
	int failed = cgroup_make(&warden->cgroups, rows[kind].name, 1,
				 &service->cgroup, &service->cgroup_id, error);
	if (failed)
		return failed;
	/* What an earlier warden left ends by itself, when it has written what it
	 * was told; one that is stuck must not keep this node from its agents. */
	if (cgroup_await(service->cgroup, EARLIER_MS) < 0) {
		cgroup_kill(service->cgroup);
		cgroup_await(service->cgroup, EARLIER_MS);
	}
	memset(&policy, 0, sizeof(policy));
	policy.instance = policy.slot = 1 + (uint32_t)kind;
	policy.state = AMBIT_POLICY_OPEN;
	policy.generation = 1;
	if (kind == SERVICE_PORTER)
		names_porter_policy(warden, &policy);
	failed = kernel_attach(warden->kernel, service->cgroup,
			       service->cgroup_id, &policy, error);
	return failed ? failed :
			kernel_verify(warden->kernel, service->cgroup,
				      service->cgroup_id, policy.instance, error);
}

static void receive(struct source *source, uint32_t events);

static int start(struct warden *warden, enum service_kind kind,
		 struct error *error)
{
	struct service *service = &warden->services[kind];
	char path[PATH_MAX], uid[16];
	int ends[2], fds[3] = { -1, -1, -1 };

	int failed = start_cgroup(warden, kind, error);
	if (failed)
		return failed;
	snprintf(path, sizeof(path), "%s/%s", warden->config.libexec,
		 rows[kind].program);
	OWN_FD executable = open(path, O_PATH | O_CLOEXEC);
	if (executable < 0)
		return error_errno(error, errno, "%s", path);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(error, errno, "%s", rows[kind].name);
	fds[0] = ends[1];
	OWN_FD end = fcntl(ends[1], F_DUPFD_CLOEXEC, 3);
	int count = service_fds(warden, kind, fds, error);
	snprintf(uid, sizeof(uid), "%u", service_uid(warden, kind));
	char name[32], option[] = "--uid", domain[] = "--trust-domain";
	char resolvers[] = "--resolvers";
	snprintf(name, sizeof(name), "%s", rows[kind].program);
	char *arguments[] = { name, option, uid,
			      kind == SERVICE_ISSUER ? domain :
			      kind == SERVICE_PORTER ? resolvers : NULL,
			      kind == SERVICE_ISSUER ?
				      warden->config.trust_domain :
				      warden->config.resolvers, NULL };
	struct spawn what = {
		.executable = executable, .cgroup = service->cgroup,
		.mount_namespace = -1,
		.fds = fds, .fd_count = (unsigned)count, .arguments = arguments,
	};
	pid_t pid = count < 0 ? count : spawn(&what, NULL);
	for (int i = 0; i < 3; i++)
		own_close(&fds[i]);
	if (pid < 0) {
		close(ends[0]);
		return error_errno(error, -pid, "%s", rows[kind].name);
	}
	service->pid = pid;
	service->ready = service->stuck = 0;
	if (kind == SERVICE_RECORDER)
		records_keep(end);
	service->started_ms = warden_boot_ms();
	service->socket = (struct source){ ends[0], receive, warden };
	return 0;
}

/* What a service must know before it is of use. */
static void greet(struct warden *warden, enum service_kind kind)
{
	struct agent *agent;

	if (kind == SERVICE_RECORDER) {
		records_greet(warden);
		return;
	}
	if (!warden->services[SERVICE_ISSUER].ready ||
	    !warden->services[SERVICE_PORTER].ready)
		return;
	struct error ignored = { 0 };
	AGENTS_EACH(warden, agent)
		if (agent->state == AGENT_RUNNING ||
		    agent->state == AGENT_RETIRING)
			credentials_serve(agent, &ignored);
}

static enum service_kind kind_of(struct warden *warden,
				 const struct source *source)
{
	for (int i = 0; i < SERVICES; i++)
		if (&warden->services[i].socket == source)
			return (enum service_kind)i;
	abort();
}

static void set_health(struct warden *warden, int error)
{
	struct error ignored = { 0 };

	if (error != warden->log_error)
		fprintf(stderr, "ambitd: audit log: %s\n", error ?
			strerror(error) : "records are written again");
	warden->log_error = error;
	/* No record, no connection: refused at once, not when the ring is full. */
	if (kernel_admit(warden->kernel, error == 0 && !warden->addresses_error,
			 &ignored) < 0)
		warden->log_error = error ? error : EIO;
	struct agent *agent;
	AGENTS_EACH(warden, agent) {
		if (!error || !agent->closing)
			continue;
		if (!warden->services[SERVICE_RECORDER].ready)
			end_owed(agent);
		else
			end_closed(warden, &(struct ambit_closed){
						.instance = agent->instance });
	}
}

static void take_health(struct warden *warden, int error)
{
	set_health(warden, error);
	if (!error)
		credentials_tell_owed(warden);
}

/* Without it lookups lead nowhere: they are refused as what they are, packets to
 * an address that no entry lists. */
static void take_port(struct warden *warden, const struct ambit_ready *ready)
{
	struct error error = { 0 };
	struct agent *agent;

	if (admitted_port(warden->kernel, (uint16_t)ready->port, &error) < 0)
		fprintf(stderr, "ambitd: %s\n", error.text);
	AGENTS_EACH(warden, agent)
		if (!agent->gone && agent->cgroup_id)
			names_serve(agent);
}

static void take_ready(struct warden *warden, enum service_kind kind,
		       const struct ambit_ready *ready)
{
	struct service *service = &warden->services[kind];

	if (ready->error)
		return;	/* it ends; the loop sees that */
	service->ready = 1;
	if (kind == SERVICE_PORTER)
		take_port(warden, ready);
	if (kind == SERVICE_ISSUER) {
		memcpy(warden->trust_domain, ready->trust_domain,
		       sizeof(warden->trust_domain));
		warden->authority_ends = ready->not_after;
	}
	if (kind == SERVICE_RECORDER)
		set_health(warden, 0);
	greet(warden, kind);
	if (kind == SERVICE_RECORDER)
		records_tell_ended(warden);
}

static void drop(struct warden *warden, enum service_kind kind);

/* Which service may send what. */
static void dispatch(struct warden *warden, enum service_kind kind,
		     struct message *message)
{
	const union message_body *body = &message->body;

	if (message->type == AMBIT_MESSAGE_READY) {
		take_ready(warden, kind, &body->ready);
	} else if (kind == SERVICE_RECORDER) {
		if (message->type == AMBIT_MESSAGE_DURABLE)
			records_durable(warden, &body->durable);
		else if (message->type == AMBIT_MESSAGE_CLOSED &&
			 !proof_closed(warden, &body->closed))
			end_closed(warden, &body->closed);
		else if (message->type == AMBIT_MESSAGE_HEALTH)
			take_health(warden, body->health.error);
	} else if (kind == SERVICE_ISSUER) {
		if (message->type == AMBIT_MESSAGE_GRANTED)
			credentials_take_granted(warden, &body->granted);
	} else if (kind == SERVICE_PORTER) {
		if (message->type == AMBIT_MESSAGE_MINTED)
			credentials_take_minted(warden, &body->minted);
		else if (message->type == AMBIT_MESSAGE_PUBLISHED)
			credentials_take_published(warden, &body->published);
		else if (message->type == AMBIT_MESSAGE_LOOKUP &&
			 names_lookup_good(&body->lookup))
			names_lookup(warden, &message->body.lookup);
		else	/* not what we started: the recorder must not meet it */
			drop(warden, kind);
	}
}

/* The socket is gone or broken: the process follows, if it has not led. */
static void drop(struct warden *warden, enum service_kind kind)
{
	struct service *service = &warden->services[kind];
	enum service_kind other = kind == SERVICE_ISSUER ? SERVICE_PORTER :
							   SERVICE_ISSUER;

	loop_remove(&warden->loop, &service->socket);
	service->ready = 0;
	if (service->pid > 0)
		kill(service->pid, SIGKILL);
	if (kind == SERVICE_RECORDER) {
		set_health(warden, EPIPE);
		records_lost(warden);
	} else if (warden->services[other].socket.fd >= 0) {
		/* The two share a socket pair, so they start anew together. */
		drop(warden, other);
	}
	launch_service_lost(warden);
}

static void receive(struct source *source, uint32_t events)
{
	struct warden *warden = source->owner;
	enum service_kind kind = kind_of(warden, source);
	struct message message;

	(void)events;
	for (int i = 0; i < 64 && source->fd >= 0; i++) {
		int got = message_receive(source->fd, 0, &message);
		if (got == -EAGAIN)
			return;
		if (got <= 0) {
			drop(warden, kind);
			return;
		}
		dispatch(warden, kind, &message);
		message_release(&message);
	}
}

/* Before the loop runs: waits for READY of one service. */
static int await_ready(struct warden *warden, enum service_kind kind,
		       struct error *error)
{
	struct service *service = &warden->services[kind];
	struct pollfd wait = { service->socket.fd, POLLIN, 0 };
	struct message message;

	if (poll(&wait, 1, READY_MS) != 1)
		return error_set(error, ETIMEDOUT, "%s: it did not start",
				 rows[kind].name);
	int got = message_receive(service->socket.fd, 0, &message);
	if (got <= 0 || message.type != AMBIT_MESSAGE_READY)
		return error_set(error, EIO, "%s: it ended at its start",
				 rows[kind].name);
	if (message.body.ready.error)
		return error_set(error, message.body.ready.error, "%s: %s",
				 rows[kind].name, message.body.ready.reason);
	int failed = loop_add(&warden->loop, &service->socket, EPOLLIN);
	if (failed)
		return error_errno(error, -failed, "%s", rows[kind].name);
	take_ready(warden, kind, &message.body.ready);
	return 0;
}

/* Makes the pair anew unless the end that `kind` needs is still there: when both
 * start, the second finds what the first left. */
static int make_pair(enum service_kind kind, struct error *error)
{
	if (kind == SERVICE_RECORDER || pair[kind == SERVICE_PORTER] >= 0)
		return 0;
	own_close(&pair[0]);
	own_close(&pair[1]);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(error, errno, "issuer and porter");
	return 0;
}

int services_start(struct warden *warden, struct error *error)
{
	struct config *config = &warden->config;
	int failed = 0;

	if (!config->resolvers[0])
		names_resolvers(config->resolvers, sizeof(config->resolvers));
	for (int i = 0; !failed && i < SERVICES; i++) {
		failed = make_pair((enum service_kind)i, error);
		if (!failed)
			failed = start(warden, (enum service_kind)i, error);
	}
	for (int i = 0; !failed && i < SERVICES; i++)
		failed = await_ready(warden, (enum service_kind)i, error);
	return failed;
}

/* It ends when its socket is closed; one that is stuck is ended. */
static void await_end(const struct service *service)
{
	OWN_FD pidfd = (int)syscall(SYS_pidfd_open, service->pid, 0);
	struct pollfd ended = { pidfd, POLLIN, 0 };

	if (pidfd < 0 || poll(&ended, 1, EARLIER_MS) != 1)
		kill(service->pid, SIGKILL);
	waitpid(service->pid, NULL, 0);
}

void services_stop(struct warden *warden)
{
	struct error ignored = { 0 };

	for (int i = SERVICES - 1; i >= 0; i--) {
		struct service *service = &warden->services[i];
		loop_remove(&warden->loop, &service->socket);
		if (service->pid > 0)
			await_end(service);
		service->pid = 0;
		if (service->cgroup < 0)
			continue;
		kernel_detach(warden->kernel, service->cgroup_id, &ignored);
		own_close(&service->cgroup);
		cgroup_remove(&warden->cgroups, rows[i].name);
	}
}

static void restart(struct warden *warden, void *data)
{
	enum service_kind kind = (enum service_kind)(intptr_t)data;
	struct service *service = &warden->services[kind];
	struct error error = { 0 };

	if (warden->stopping || service->pid)
		return;
	int failed = make_pair(kind, &error);
	if (!failed)
		failed = start(warden, kind, &error);
	if (!failed)
		failed = loop_add(&warden->loop, &service->socket, EPOLLIN);
	if (failed) {
		fprintf(stderr, "ambitd: %s\n", error.text);
		timer_once(warden, BACK_OFF_MOST_MS, restart, data);
	}
}

void services_reaped(struct warden *warden, pid_t pid, int status)
{
	for (int i = 0; i < SERVICES; i++) {
		struct service *service = &warden->services[i];
		if (service->pid != pid)
			continue;
		service->pid = 0;
		drop(warden, (enum service_kind)i);
		struct ambit_event event;
		records_fill(&event, AMBIT_EVENT_PROCESS, NULL, NULL);
		snprintf(event.subject, sizeof(event.subject), "%s",
			 rows[i].name);
		event.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
		event.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) :
						      128 + event.signal;
		warden->ended_services[i] = event;
		records_tell_ended(warden);
		uint64_t lived = warden_boot_ms() - service->started_ms;
		service->restarts = lived > 10000 ? 0 : service->restarts + 1;
		unsigned delay = service->restarts > 1 ?
				BACK_OFF_MS << (service->restarts > 7 ?
						6 : service->restarts - 2) : 0;
		if (delay > BACK_OFF_MOST_MS)
			delay = BACK_OFF_MOST_MS;
		timer_once(warden, delay, restart, (void *)(intptr_t)i);
		return;
	}
}
