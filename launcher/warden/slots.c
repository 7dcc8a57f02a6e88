/* SPDX-License-Identifier: Apache-2.0 */
/* Places for agents, made ahead of their launches: see slots.h. */
#include "slots.h"

#include "agents.h"
#include "base/own.h"
#include "end.h"
#include "files.h"
#include "gate.h"
#include "packet.h"
#include "profiles.h"
#include "spawn.h"
#include "state.h"
#include "timer.h"

#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#define AHEAD 4			/* places kept for a profile in use */
#define USED_MS 60000		/* a profile is in use so long after a launch */
#define QUIET_MS 3		/* after a launch or an end, before places are made:
				 * the next one may follow at once */

/* ---- one place --------------------------------------------------------- */

static int bound(struct agent *agent, struct error *error)
{
	const struct profile *profile = agent->compiled->profile;
	struct warden *warden = agent->warden;
	struct cgroup_limits limits = {
		.memory = profile->limits.memory,
		.processes = warden->cgroups.pids &&
				     profile->limits.processes !=
					     PROFILE_UNLIMITED ?
				     profile->limits.processes + 1 : UINT64_MAX,
		.cpu = profile->limits.cpu,
	};

	int failed = cgroup_make(&warden->cgroups, agent->id, 0, &agent->cgroup,
				 &agent->cgroup_id, error);
	if (!failed)
		failed = cgroup_limit(&warden->cgroups, agent->cgroup, &limits,
				      error);
	if (failed)
		return failed;
	return kernel_attach(warden->kernel, agent->cgroup, agent->cgroup_id,
			     agents_policy(agent, AMBIT_POLICY_OPEN), error);
}

static int start_process(struct agent *agent, struct error *error)
{
	struct warden *warden = agent->warden;
	int gate[2], end_file;
	char name[] = "ambit-init";
	char *arguments[] = { name, NULL };

	int failed = state_end_file(agent, &end_file, error);
	if (failed)
		return failed;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, gate) < 0) {
		close(end_file);
		return error_errno(error, errno, "node");
	}
	agent->gate.fd = gate[0];
	failed = packet_prepare(agent, gate[0], end_file, error);
	struct spawn what = {
		.executable = warden->init_fd, .cgroup = agent->cgroup,
		.mount_namespace = warden->empty_namespace,
		.namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC |
			      CLONE_NEWUTS,
		.fds = &gate[1], .fd_count = 1, .arguments = arguments,
	};
	pid_t pid = failed ? failed : spawn(&what, &agent->pidfd.fd);
	close(gate[1]);
	close(end_file);
	if (failed)
		return failed;
	if (pid < 0)
		return error_errno(error, -pid, "clone3");
	agent->pid = pid;
	return gate_watch(agent, error);
}

int slots_prepare(struct agent *agent, struct error *error)
{
	int failed = files_make(agent, error);

	if (!failed)
		failed = bound(agent, error);
	return failed ? failed : start_process(agent, error);
}

/* ---- the store --------------------------------------------------------- */

static int make_one(struct warden *warden, struct compiled *compiled)
{
	struct error error = { 0 };
	struct agent *agent;

	if (agents_new(warden, &agent, &error) < 0)
		return -EUSERS;
	agent->state = AGENT_PREPARED;
	warden->agent_count--;
	agent->compiled = compiled;
	compiled->references++;
	compiled->prepared++;
	int failed = slots_prepare(agent, &error);
	if (failed)
		end_agent(agent);
	return failed;
}

/* Gives a place up; the process ends, the rest follows when it has. */
static void discard(struct agent *agent)
{
	cgroup_kill(agent->cgroup);
	loop_remove(&agent->warden->loop, &agent->gate);
}

/* The next place of `compiled` from slot *at on, or NULL. */
static struct agent *next_place(struct warden *warden,
				const struct compiled *compiled, uint32_t *at)
{
	while (*at < AMBIT_SLOTS) {
		struct agent *agent = warden->agents[(*at)++];
		if (agent && agent->state == AGENT_PREPARED &&
		    (!compiled || agent->compiled == compiled) &&
		    agent->gate.fd >= 0)
			return agent;
	}
	return NULL;
}

static void discard_all(struct warden *warden, const struct compiled *compiled)
{
	struct agent *agent;
	uint32_t at = 0;

	while ((agent = next_place(warden, compiled, &at)))
		discard(agent);
}

void slots_drain(struct warden *warden)
{
	for (struct compiled *one = warden->compiled; one; one = one->next)
		one->used_ms = 0;
	discard_all(warden, NULL);
}

int slots_any(struct warden *warden)
{
	for (const struct compiled *one = warden->compiled; one; one = one->next)
		if (one->prepared)
			return 1;
	return 0;
}

void slots_ended(struct agent *agent)
{
	agent->compiled->prepared--;
	if (!agent->gate_prepared)
		agent->compiled->prepare_failed = 1;
}

/* The loop may not have come to the news yet.  A place in the making serves as well
 * as a new one, and sooner; it has a word to say still, a finished one has none. */
static int is_waiting(const struct agent *agent)
{
	struct pollfd gate = { .fd = agent->gate.fd,
			       .events = agent->gate_prepared ? POLLIN : 0 };

	return poll(&gate, 1, 0) == 0;
}

/* Places for launches to come must not stand in the way of one that is here. */
static int is_crowded(const struct warden *warden)
{
	unsigned taken = warden->agent_count;

	for (const struct compiled *one = warden->compiled; one; one = one->next)
		taken += one->prepared;
	return taken + AHEAD > agents_most(warden) * 3 / 4;
}

/* What was mounted must still be what the profile lists, and the process must
 * wait for its request. */
int slots_take(struct warden *warden, struct compiled *compiled,
	       struct agent **ret_agent, struct error *error)
{
	struct agent *agent;
	uint32_t at = 0;

	compiled->prepare_failed = 0;
	while (compiled->prepared && (agent = next_place(warden, compiled, &at))) {
		if (!is_waiting(agent))
			continue;
		if (!packet_is_current(agent)) {
			discard(agent);
			continue;
		}
		/* The place's own reference serves; the caller's goes. */
		compiled->prepared--;
		profiles_release(warden, compiled);
		agent->state = AGENT_STARTING;
		warden->agent_count++;
		*ret_agent = agent;
		return 0;
	}
	/* Launches that follow each other leave no quiet moment to make room in. */
	if (is_crowded(warden))
		discard_all(warden, NULL);
	int failed = agents_new(warden, &agent, error);
	if (failed)
		return failed;
	agent->compiled = compiled;
	*ret_agent = agent;
	return 0;
}

static void expire(struct warden *warden, void *data);

/* One timer for all profiles, for the first that falls out of use: one for each
 * would arm one for each again, and so on. */
static void watch_use(struct warden *warden)
{
	uint64_t now = warden_boot_ms(), next = 0;

	for (struct compiled *one = warden->compiled; one; one = one->next)
		if (one->used_ms && (!next || one->used_ms < next))
			next = one->used_ms;
	timer_forget(warden, &warden->compiled);
	if (next)
		timer_once(warden, next + USED_MS > now ? next + USED_MS - now : 0,
			   expire, &warden->compiled);
}

static void expire(struct warden *warden, void *data)
{
	uint64_t now = warden_boot_ms();

	(void)data;
	for (struct compiled *one = warden->compiled; one; one = one->next) {
		if (!one->used_ms || now - one->used_ms < USED_MS)
			continue;
		one->used_ms = 0;
		discard_all(warden, one);
	}
	watch_use(warden);
}

static void quiet(struct warden *warden, void *data)
{
	(void)data;
	warden->quiet = 1;	/* the loop's next idle moment does the rest */
}

static void await_quiet(struct warden *warden)
{
	warden->quiet = 0;
	timer_forget(warden, &warden->quiet);
	timer_once(warden, QUIET_MS, quiet, &warden->quiet);
}

void slots_used(struct compiled *compiled, struct warden *warden)
{
	compiled->used_ms = warden_boot_ms();
	/* What was launched is being executed, and its caller waits: launches that
	 * follow each other leave no better moment for the next one's place. */
	warden->spare = 1;
	await_quiet(warden);
}

void slots_freed(struct warden *warden)
{
	await_quiet(warden);
}

static int is_launching(struct warden *warden)
{
	struct agent *agent;

	AGENTS_EACH(warden, agent)
		if (agent->state == AGENT_STARTING)
			return 1;
	return 0;
}

int slots_refill(void *owner)
{
	struct warden *warden = owner;
	int wanted = warden->quiet || warden->spare;

	warden->spare = 0;
	if (!wanted || warden->stopping || warden->log_error ||
	    is_launching(warden))
		return 0;
	if (is_crowded(warden)) {
		discard_all(warden, NULL);
		return 0;
	}
	for (struct compiled *one = warden->compiled; one; one = one->next) {
		if (!one->used_ms || one->prepare_failed ||
		    one->prepared >= AHEAD)
			continue;
		if (!one->prepared)
			watch_use(warden);
		if (make_one(warden, one) < 0)
			one->prepare_failed = 1;
		return 1;
	}
	return 0;
}
