/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ambitd, the warden: starts the node, proves its layers, serves the control
 * socket until it is stopped.  Started by a supervisor (systemd, or `ambit`),
 * which starts it again when it ends other than by exit 0: running agents stay
 * bounded meanwhile and are taken over.
 */
#include "addresses.h"
#include "agents.h"
#include "base/number.h"
#include "base/own.h"
#include "closer.h"
#include "config.h"
#include "control.h"
#include "end.h"
#include "gate.h"
#include "layers.h"
#include "names.h"
#include "node.h"
#include "profiles.h"
#include "proof.h"
#include "records.h"
#include "reload.h"
#include "services.h"
#include "slots.h"
#include "spawn.h"
#include "state.h"
#include "timer.h"
#include "tls.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define RECORD_MS 5000	/* for the first and the last record */

/* Whoever has ended. An agent's process is mostly reaped when its pidfd tells; one
 * that somebody traced can be only after its tracer let go. */
static void reap(struct warden *warden)
{
	for (;;) {
		siginfo_t ended = { 0 };
		int status = 0, service = SERVICES;
		if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		    !ended.si_pid)
			return;
		for (int i = 0; i < SERVICES; i++)
			if (warden->services[i].pid == ended.si_pid)
				service = i;
		waitpid(ended.si_pid, &status, 0);
		if (service < SERVICES)
			services_reaped(warden, ended.si_pid, status);
	}
}

/* SIGTERM and SIGINT end the node, its agents first. */
static void shut_down(struct warden *warden)
{
	struct agent *agent;

	snprintf(warden->stop_reason, sizeof(warden->stop_reason),
		 "asked to end by a signal");
	warden->stopping = 1;
	slots_drain(warden);
	/* No recorder is started any more. */
	if (!warden->services[SERVICE_RECORDER].ready)
		end_forget_owed(warden);
	AGENTS_EACH(warden, agent)
		if (agent->state != AGENT_ENDED)
			end_retire(agent, "node stopped");
	if (!warden->agent_count && !slots_any(warden))
		warden->loop.stopped = 1;
}

static void take_signal(struct source *source, uint32_t events)
{
	struct warden *warden = source->owner;
	struct signalfd_siginfo info;

	(void)events;
	while (read(source->fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap(warden);
		else if (!warden->stopping)
			shut_down(warden);
	}
}

static int watch_signals(struct warden *warden, struct error *error)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return error_errno(error, errno, "signals");
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return error_errno(error, errno, "signals");
	warden->signals = (struct source){ fd, take_signal, warden };
	int failed = loop_add(&warden->loop, &warden->signals, EPOLLIN);
	return failed ? error_errno(error, -failed, "signals") : 0;
}

/* Sockets that the kernel programs refused after their connect. */
static void take_condemned(struct source *source, uint32_t events)
{
	struct warden *warden = source->owner;

	(void)events;
	tls_execute(warden->kernel);
}

static int watch_condemned(struct warden *warden, struct error *error)
{
	/* The kernel object keeps its own. */
	int fd = fcntl(tls_condemned(warden->kernel), F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return error_errno(error, errno, "refused sockets");
	warden->condemned = (struct source){ fd, take_condemned, warden };
	int failed = loop_add(&warden->loop, &warden->condemned, EPOLLIN);
	return failed ? error_errno(error, -failed, "refused sockets") : 0;
}

/* Adopted agents: those that live are watched again, the others ended. */
static void resume_agents(struct warden *warden)
{
	struct agent *agent;

	names_adopt(warden);
	AGENTS_EACH(warden, agent) {
		struct ambit_event event;
		if (!cgroup_has(agent->cgroup, agent->pid) ||
		    gate_adopt(agent) < 0) {
			end_agent(agent);
			continue;
		}
		reload_adopt(agent);
		records_fill(&event, AMBIT_EVENT_ADOPTED, agent, NULL);
		records_send(warden, &event, NULL, NULL);
		end_adopt(agent);
	}
}

static void told(struct warden *warden, void *data, int error)
{
	(void)warden;
	*(int *)data = error ? error : 1;
}

/* Takes what the recorder says, and waits for it. */
static int hear_recorder(struct warden *warden)
{
	struct source *socket = &warden->services[SERVICE_RECORDER].socket;
	struct pollfd wait = { socket->fd, POLLIN, 0 };

	if (socket->fd < 0 || poll(&wait, 1, RECORD_MS) != 1)
		return -ETIMEDOUT;
	socket->ready(socket, EPOLLIN);
	return 0;
}

/* Sends a record and runs the loop's work until it is on disk. */
static int record_now(struct warden *warden, enum ambit_event_kind kind,
		      const struct caller *caller, const char *reason,
		      struct error *error)
{
	struct ambit_event event;
	int answer = 0;

	records_fill(&event, kind, NULL, caller);
	snprintf(event.reason, sizeof(event.reason), "%s", reason);
	int failed = 0;
	/* It may have been started a moment ago. */
	while (!failed && !warden->services[SERVICE_RECORDER].ready)
		failed = hear_recorder(warden);
	if (!failed)
		failed = records_send(warden, &event, told, &answer);
	while (!failed && !answer)
		failed = hear_recorder(warden);
	if (!failed && answer < 0)
		failed = answer;
	return failed ? error_errno(error, -failed, "audit log") : 0;
}

static int open_all(struct warden *warden, struct error *error)
{
	int failed = config_read(&warden->config, error);

	if (!failed && loop_open(&warden->loop) < 0)
		failed = error_errno(error, errno, "epoll");
	if (!failed)
		failed = watch_signals(warden, error);
	if (!failed)
		failed = timer_open(warden, error);
	if (!failed)
		failed = node_open(warden, error);
	if (!failed)
		failed = layers_prove(warden, error);
	if (!failed)
		failed = addresses_open(warden, error);
	if (!failed)
		failed = watch_condemned(warden, error);
	if (!failed)
		failed = proof_hooks(warden, error);
	if (!failed)
		failed = state_adopt(warden, error);
	if (!failed)
		failed = profiles_sweep(warden, error);
	if (!failed)
		failed = node_sweep(warden, error);
	if (!failed)
		failed = services_start(warden, error);
	if (!failed)
		failed = proof_records(warden, error);
	if (!failed)
		failed = proof_names(warden, error);
	return failed;
}

/* What held when it was tried, and what this machine lacks. */
static void record_layers(struct warden *warden)
{
	struct layer layer;

	for (size_t i = 0; layers_row(warden, i, &layer); i++) {
		struct ambit_event event;
		records_fill(&event, AMBIT_EVENT_PROVEN, NULL, NULL);
		records_text(event.subject, sizeof(event.subject), layer.name);
		event.exit_code = layer.proven ? 0 : ENOSYS;
		records_send(warden, &event, NULL, NULL);
	}
}

static int start(struct warden *warden, struct error *error)
{
	int failed = open_all(warden, error);

	if (!failed)
		failed = record_now(warden, AMBIT_EVENT_NODE_START, NULL, "",
				    error);
	if (!failed)
		failed = node_walls(error);
	if (!failed)
		failed = closer_start(error);
	if (failed)
		return failed;
	warden->proven = 1;
	record_layers(warden);
	warden->loop.idle = slots_refill;
	warden->loop.owner = warden;
	resume_agents(warden);
	return control_open(warden, error);
}

static void stop(struct warden *warden)
{
	struct error error = { 0 };

	record_now(warden, AMBIT_EVENT_NODE_STOP, &warden->stop_caller,
		   warden->stop_reason, &error);
	if (error.code)
		fprintf(stderr, "ambitd: %s\n", error.text);
	services_stop(warden);
	profiles_close(warden);
	node_close(warden);
	/* Last: who waits for the end of its connection sees nothing left. */
	control_close(warden);
}

static void tell_supervisor(int fd, const char *text)
{
	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "ambitd: the supervisor is gone\n");
	if (fd >= 0)
		close(fd);
}

static int take_arguments(int count, char **arguments, int *ret_ready_fd)
{
	uint64_t number;

	*ret_ready_fd = -1;
	for (int i = 1; i < count; i++) {
		if (!strcmp(arguments[i], "--version")) {
			printf("ambitd %s\n", AMBIT_VERSION);
			return 1;
		}
		if (!strcmp(arguments[i], "--ready-fd") && i + 1 < count &&
		    number_parse(arguments[i + 1], strlen(arguments[i + 1]),
				 1 << 20, &number) == 0) {
			*ret_ready_fd = (int)number;
			i++;
			continue;
		}
		fprintf(stderr, "ambitd: %s: unknown argument\n"
			"usage: ambitd [--ready-fd N] [--version]\n",
			arguments[i]);
		return 2;
	}
	return 0;
}

int main(int count, char **arguments)
{
	static struct warden warden;
	struct error error = { 0 };
	char text[1100];
	int ready_fd;

	int done = take_arguments(count, arguments, &ready_fd);
	if (done)
		return done == 1 ? 0 : done;
	if (ready_fd >= 0)
		ready_fd = fcntl(ready_fd, F_DUPFD_CLOEXEC, 64);
	umask(022);
	for (int i = 0; i < SERVICES; i++)
		warden.services[i].socket.fd = warden.services[i].cgroup = -1;
	warden.cgroups.fd = warden.instances = warden.states = -1;
	warden.control.fd = warden.timer.fd = warden.addresses.fd = -1;
	warden.condemned.fd = -1;
	int reserved = spawn_reserve();
	if (reserved)
		error_errno(&error, -reserved, "node");
	if (geteuid() != 0)
		error_set(&error, EPERM, "node: only root can start it");
	if (error.code || start(&warden, &error) < 0) {
		snprintf(text, sizeof(text), "error: %s\n", error.text);
		fprintf(stderr, "ambitd: %s\n", error.text);
		services_stop(&warden);
		node_abandon(&warden);
		tell_supervisor(ready_fd, text);
		return 1;
	}
	tell_supervisor(ready_fd, "ready\n");
	int failed = loop_run(&warden.loop);
	if (failed)
		return 1;
	stop(&warden);
	return 0;
}
