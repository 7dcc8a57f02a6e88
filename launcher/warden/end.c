/* SPDX-License-Identifier: Apache-2.0 */
/* How an agent ends: see end.h. */
#include "end.h"

#include "agents.h"
#include "base/own.h"
#include "control.h"
#include "files.h"
#include "names.h"
#include "records.h"
#include "services.h"
#include "slots.h"
#include "sockets.h"
#include "state.h"
#include "timer.h"

#include <ambit/exit.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define LINGER_MS 5000	/* for what an agent that ended had sent but not yet
			 * delivered */
#define CLAIM_MS 15000	/* for the caller of an adopted agent to come back */
#define ANSWER_MS 3000	/* for the record of an end, before the answer comes first */
#define RETRY_MS 2	/* the kernel is still taking the processes down … */
#define RETRY_MOST_MS 200	/* … or one of them waits for a disk that is gone */

static void set_cause(struct agent *agent, const char *cause)
{
	if (!agent->cause[0])
		snprintf(agent->cause, sizeof(agent->cause), "%s", cause);
}

static int cut(struct agent *agent, struct error *error)
{
	return kernel_policy(agent->warden->kernel, agent->cgroup_id,
			     agents_policy(agent, AMBIT_POLICY_CUT), error);
}

int end_cut(struct agent *agent, struct error *error)
{
	if (agent->cgroup < 0)
		return 0;
	int failed = cut(agent, error);
	if (failed)
		return failed;
	agent->cut = 1;
	/* The packets are dropped already; now both ends hear of it. */
	int destroyed = sockets_destroy(agent->cgroup_id);
	if (agent->recorded)
		failed = state_save(agent, error);
	return destroyed ? error_errno(error, -destroyed, "sockets of %s", agent->id) :
			   failed;
}

void end_kill(struct agent *agent, const char *cause)
{
	struct error ignored = { 0 };

	set_cause(agent, cause);
	if (agent->cgroup < 0)
		return;
	/* Dying takes a moment; what the agent has under way must not. */
	cut(agent, &ignored);
	cgroup_kill(agent->cgroup);
	/* Process 1, and with it all of its namespace: should root have moved one
	 * of them out of the cgroup. */
	if (agent->pidfd.fd >= 0)
		syscall(SYS_pidfd_send_signal, agent->pidfd.fd, SIGKILL, NULL, 0);
}

static void grace_over(struct warden *warden, void *data)
{
	struct agent *agent = data;

	(void)warden;
	end_kill(agent, "retired");
}

/* SIGTERM, and SIGKILL at the end of the grace. */
static void retire(struct agent *agent)
{
	uint64_t left = warden_until_ms(agent->retire_ms);

	agent->state = AGENT_RETIRING;
	if (syscall(SYS_pidfd_send_signal, agent->pidfd.fd, SIGTERM, NULL, 0) < 0 ||
	    timer_once(agent->warden, left, grace_over, agent) < 0)
		end_kill(agent, agent->cause);
}

void end_retire(struct agent *agent, const char *cause)
{
	set_cause(agent, cause);
	if (agent->state != AGENT_RUNNING) {
		end_kill(agent, cause);
		return;
	}
	agent->retire_ms = warden_boot_ms() +
			   agent->compiled->profile->run.grace * 1000;
	struct error ignored = { 0 };
	/* Should this process end meanwhile, the next one goes on with it. */
	state_save(agent, &ignored);
	retire(agent);
}

static void unclaimed(struct warden *warden, void *data)
{
	struct agent *agent = data;

	(void)warden;
	if (!agent->claimed && agent->state == AGENT_RUNNING)
		end_retire(agent, "caller gone");
}

void end_adopt(struct agent *agent)
{
	if (agent->retire_ms)
		retire(agent);
	else if (state_retired(agent->warden, agent->compiled->profile->name))
		end_retire(agent, "retired");
	else if (!agent->detached &&
		 timer_once(agent->warden, CLAIM_MS, unclaimed, agent) < 0)
		end_retire(agent, "caller gone");
}

void end_status(struct agent *agent, int status)
{
	agent->exit_known = 1;
	agent->exit_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	agent->exit_status = WIFSIGNALED(status) ?
				     AMBIT_EXIT_SIGNAL + agent->exit_signal :
				     WEXITSTATUS(status);
	set_cause(agent, agent->exit_signal ? "signal" : "exited");
}

static void record_end(struct agent *agent)
{
	struct warden *warden = agent->warden;
	struct ambit_event event;

	for (unsigned i = 0; i < agent->compiled->profile->credential_count; i++) {
		const struct profile_credential *wanted =
			&agent->compiled->profile->credentials[i];
		/* Recorded is enough: whether it was put in place may not be known. */
		if (!agent->recorded && !agent->credentials[i].published)
			continue;
		records_fill(&event, AMBIT_EVENT_CREDENTIAL_ENDED, agent, NULL);
		snprintf(event.credential, sizeof(event.credential), "%s",
			 wanted->name);
		snprintf(event.credential_type, sizeof(event.credential_type),
			 "%s", wanted->type == PROFILE_X509_SVID ? "x509-svid" :
								   "jwt-svid");
		snprintf(event.credential_id, sizeof(event.credential_id), "%s",
			 agent->credentials[i].id);
		event.not_before = agent->credentials[i].not_before;
		event.not_after = agent->credentials[i].not_after;
		records_send(warden, &event, NULL, NULL);
	}
	if (!agent->recorded)
		return;
	records_fill(&event, AMBIT_EVENT_EXIT, agent, NULL);
	event.exit_code = agent->exit_status;
	event.signal = agent->exit_signal;
	snprintf(event.reason, sizeof(event.reason), "%s", agent->cause);
	records_send(warden, &event, NULL, NULL);
}

static void find_status(struct agent *agent)
{
	int status;

	if (agent->failure.code) {
		agent->exit_known = 1;
		agent->exit_status = agent->failure_status;
		snprintf(agent->cause, sizeof(agent->cause), "refused");
		return;
	}
	if (!agent->exit_known && state_end_status(agent, &status) == 0)
		end_status(agent, status);
	if (!agent->exit_known) {
		/* Process 1 was killed with the rest. */
		agent->exit_known = 1;
		agent->exit_signal = SIGKILL;
		agent->exit_status = AMBIT_EXIT_SIGNAL + SIGKILL;
		set_cause(agent, "killed");
	}
	if (!strcmp(agent->cause, "lifetime"))
		agent->exit_status = AMBIT_EXIT_LIFETIME;
}

static void again(struct warden *warden, void *data)
{
	(void)warden;
	end_agent(data);
}

static void withdraw(struct warden *warden, void *data)
{
	uint64_t cgroup_id = (uint64_t)(uintptr_t)data;
	struct error ignored = { 0 };

	kernel_detach(warden->kernel, cgroup_id, &ignored);
	/* What lives on has nothing to say any more; the wall holds it, so a
	 * failure here is untidy, not a way out. */
	sockets_destroy(cgroup_id);
}

/* A command that ended by itself may have closed a socket whose last bytes are
 * still on their way; they stay bounded by its rules for a moment.  What was
 * ended by somebody sends nothing more. */
static void withdraw_policy(struct agent *agent)
{
	struct warden *warden = agent->warden;
	void *cgroup = (void *)(uintptr_t)agent->cgroup_id;
	int by_itself = !strcmp(agent->cause, "exited") ||
			!strcmp(agent->cause, "signal");
	struct ambit_tally tally = { 0 };
	struct error ignored = { 0 };

	kernel_tally(warden->kernel, agent->slot, &tally, &ignored);
	if (!tally.attempts)	/* no socket ever reached anything */
		kernel_detach(warden->kernel, agent->cgroup_id, &ignored);
	else if (!by_itself || timer_once(warden, LINGER_MS, withdraw, cgroup) < 0)
		withdraw(warden, cgroup);
}

/* 1 while processes are still on their way out. */
static int is_populated(const struct agent *agent)
{
	int populated = agent->cgroup < 0 ? 0 : cgroup_populated(agent->cgroup);

	if (populated)
		cgroup_kill(agent->cgroup);
	return populated > 0;
}

/* The cgroup with what hangs on it.  Returns -EAGAIN where the kernel still holds
 * on to it. */
static int remove_cgroup(struct agent *agent)
{
	struct warden *warden = agent->warden;

	if (agent->cgroup < 0)
		return 0;
	withdraw_policy(agent);
	if (cgroup_remove(&warden->cgroups, agent->id) == -EBUSY)
		return -EAGAIN;
	own_close(&agent->cgroup);
	return 0;
}

/* The processes are gone, and the kernel's own count says that nothing was tried:
 * all that the caller is told is known, and no record of a connection is still to
 * be written, which the caller may look for.  A refused lookup is no attempt of the
 * kernel's; the porter told of it before the agent had its answer.  The rest is
 * taken down behind the answer. */
static void answer_early(struct agent *agent)
{
	struct ambit_tally tally;
	struct error ignored = { 0 };

	if (agent->failure.code || agent->state == AGENT_ENDED ||
	    agent->asked_in_vain ||
	    kernel_tally(agent->warden->kernel, agent->slot, &tally, &ignored) ||
	    tally.attempts)
		return;
	find_status(agent);
	agent->state = AGENT_ENDED;
	agent->ended_ms = warden_now_ms();
	control_exited(agent);
}

static void answer(struct agent *agent)
{
	if (agent->answered)
		return;
	agent->answered = 1;
	if (agent->failure.code)
		control_refused(agent);
	control_ended(agent);
}

/* Everything that is to be recorded of the end, and that this is all. */
static int tell_end(struct agent *agent)
{
	struct warden *warden = agent->warden;
	struct ambit_close close = { .instance = agent->instance };
	struct ambit_tally tally;
	struct error ignored = { 0 };

	record_end(agent);
	if (kernel_tally(warden->kernel, agent->slot, &tally, &ignored) == 0) {
		agent->allowed = tally.allowed;
		agent->lost = tally.lost;
		agent->denied = tally.attempts - tally.allowed - tally.lost;
		close.attempts = tally.attempts;
		close.lost = tally.lost;
		close.dropped_packets = tally.dropped_packets;
	}
	return services_send(warden, SERVICE_RECORDER, AMBIT_MESSAGE_CLOSE, &close,
			     NULL);
}

/* A recorder that is neither gone nor able to write, but waits for its disk. */
static void answer_late(struct warden *warden, void *data)
{
	(void)warden;
	answer(data);
}

void end_owed(struct agent *agent)
{
	if (agent->warden->stopping) {
		end_closed(agent->warden, &(struct ambit_closed){
						  .instance = agent->instance });
		return;
	}
	agent->owed = 1;
	answer(agent);
}

void end_tell_owed(struct warden *warden)
{
	struct agent *agent;

	AGENTS_EACH(warden, agent) {
		if (!agent->owed)
			continue;
		agent->owed = 0;
		if (tell_end(agent) < 0)
			end_owed(agent);
	}
}

int end_only_owed(struct warden *warden)
{
	struct agent *agent;

	AGENTS_EACH(warden, agent)
		if (!agent->owed)
			return 0;
	return 1;
}

void end_forget_owed(struct warden *warden)
{
	struct agent *agent;

	AGENTS_EACH(warden, agent)
		if (agent->owed)
			end_closed(warden, &(struct ambit_closed){
						   .instance = agent->instance });
}

/* Process 1 says so, and is about to end: it need not be waited for.  Were it not to,
 * it is made to. */
void end_alone(struct agent *agent)
{
	if (agent->state != AGENT_RUNNING && agent->state != AGENT_RETIRING)
		return;
	answer_early(agent);
	cgroup_kill(agent->cgroup);
}

void end_agent(struct agent *agent)
{
	struct warden *warden = agent->warden;
	struct ambit_dismiss dismiss = { agent->instance };

	timer_forget(warden, agent);
	loop_remove(&warden->loop, &agent->pidfd);
	loop_remove(&warden->loop, &agent->gate);
	int waits = is_populated(agent);
	if (!waits && agent->state != AGENT_PREPARED)
		answer_early(agent);
	if (waits || remove_cgroup(agent) == -EAGAIN) {
		unsigned delay = RETRY_MS + agent->waited_ms / 8;
		delay = delay < RETRY_MOST_MS ? delay : RETRY_MOST_MS;
		agent->waited_ms += delay;
		timer_once(warden, delay, again, agent);
		return;
	}
	if (agent->state == AGENT_PREPARED) {
		files_discard(agent);
		slots_ended(agent);
		agents_free(agent);
		return;
	}
	if (agent->state != AGENT_ENDED) {
		find_status(agent);
		agent->state = AGENT_ENDED;
		agent->ended_ms = warden_now_ms();
	}
	files_discard(agent);
	names_forget(agent);
	agent->gone = agent->closing = 1;
	services_send(warden, SERVICE_PORTER, AMBIT_MESSAGE_DISMISS, &dismiss,
		      NULL);
	services_send(warden, SERVICE_ISSUER, AMBIT_MESSAGE_DISMISS, &dismiss,
		      NULL);
	if (!agent->cgroup_id)
		record_end(agent);
	else if (!warden->services[SERVICE_RECORDER].ready || tell_end(agent) < 0)
		end_owed(agent);
	else
		timer_once(warden, ANSWER_MS, answer_late, agent);
	/* A log that can't be written keeps nobody waiting: what is owed to it
	 * stays with the recorder. */
	if (!agent->cgroup_id || (warden->log_error && !agent->owed))
		end_closed(warden, &(struct ambit_closed){
					   .instance = agent->instance });
}

void end_closed(struct warden *warden, const struct ambit_closed *closed)
{
	struct agent *agent = agents_by_instance(warden, closed->instance);

	if (!agent || !agent->closing)
		return;
	agent->refused_count = closed->refused_count < AMBIT_REFUSED ?
				       closed->refused_count : AMBIT_REFUSED;
	agent->refused_more = closed->refused_more;
	memcpy(agent->refused, closed->refused, sizeof(agent->refused));
	timer_forget(warden, agent);
	answer(agent);
	agents_free(agent);
}
