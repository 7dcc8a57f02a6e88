/* SPDX-License-Identifier: Apache-2.0 */
/* One launch: see launch.h. */
#include "launch.h"

#include "agents.h"
#include "base/own.h"
#include "control.h"
#include "credentials.h"
#include "digest.h"
#include "end.h"
#include "files.h"
#include "gate.h"
#include "names.h"
#include "profiles.h"
#include "records.h"
#include "services.h"
#include "slots.h"
#include "state.h"
#include "timer.h"

#include <ambit/exit.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define LAUNCH_MS 15000		/* for a launch whose parts all answer */

/* ---- the request ------------------------------------------------------- */

static int name_good(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length < AMBIT_NAME_SIZE &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789._-") == length;
}

static int text_good(const char *text, size_t most)
{
	for (const char *at = text; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 127 ||
		    (at[0] == '\xc2' && (unsigned char)at[1] < 0xa0))
			return 0;
	return strlen(text) < most;
}

static int check_node(struct warden *warden, struct error *error)
{
	if (warden->stopping)
		return error_set(error, ESHUTDOWN, "node: it is stopping");
	if (!warden->proven)
		return error_set(error, ENOTSUP,
				 "node: its layers are not proven");
	if (warden->log_error)
		return error_errno(error, warden->log_error,
				   "audit log: records can't be written");
	if (warden->addresses_error)
		return error_errno(error, warden->addresses_error,
				   "node: its own addresses can't be kept from "
				   "agents");
	if (!services_ready(warden))
		return error_set(error, EAGAIN,
				 "node: a service is being restarted");
	return 0;
}

static int check_limits(const struct profile *profile, struct error *error)
{
	const struct {
		const char *name;
		__rlimit_resource_t resource;
		uint64_t wanted;
	} limits[] = {
		{ "open-files", RLIMIT_NOFILE, profile->limits.open_files },
		{ "processes", RLIMIT_NPROC, profile->limits.processes },
		{ "file-size", RLIMIT_FSIZE, profile->limits.file_size },
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		struct rlimit most;
		if (getrlimit(limits[i].resource, &most) < 0)
			return error_errno(error, errno, "limits");
		/* A hard limit can't be raised without CAP_SYS_RESOURCE. */
		if (limits[i].wanted != PROFILE_UNLIMITED &&
		    most.rlim_max != RLIM_INFINITY &&
		    limits[i].wanted > most.rlim_max)
			return error_set(error, ERANGE, "limits: %s: %llu is "
					 "above this machine's hard limit of %llu",
					 limits[i].name,
					 (unsigned long long)limits[i].wanted,
					 (unsigned long long)most.rlim_max);
	}
	return 0;
}

/* Before there is an agent that could be listed. */
static int check_command(const struct profile *profile, const struct launch *launch,
			 struct error *error)
{
	if (launch->command_count || profile->run.command_count)
		return 0;
	return error_set(error, EINVAL, "command: none was given, and the profile "
			 "has none: give one behind --, or set run.command");
}

static int check_request(struct warden *warden, const struct launch *launch,
			 struct error *error)
{
	if (!text_good(launch->task, AMBIT_TASK_SIZE))
		return error_set(error, EINVAL, "task: at most %d bytes without "
				 "control characters were expected",
				 AMBIT_TASK_SIZE - 1);
	if (!*launch->name)
		return 0;
	if (!name_good(launch->name))
		return error_set(error, EINVAL,
				 "name: 1 to 63 of [A-Za-z0-9._-] were expected");
	struct agent *other = agents_find(warden, launch->name);
	if (other && other->state != AGENT_ENDED)
		return error_set(error, EEXIST, "name: %s is the agent %s: "
				 "another --name was expected, or none",
				 launch->name, other->id);
	return 0;
}

/* ---- the parts --------------------------------------------------------- */

static int copy_command(struct agent *agent, const struct launch *launch,
			struct error *error)
{
	const struct profile *profile = agent->compiled->profile;
	char *const *from = launch->command_count ? launch->command :
						    profile->run.command;
	unsigned count = launch->command_count ? launch->command_count :
						 profile->run.command_count;

	agent->command = calloc(count, sizeof(*agent->command));
	if (!agent->command)
		return error_errno(error, ENOMEM, "command");
	for (; agent->argument_count < count; agent->argument_count++) {
		char *copy = strdup(from[agent->argument_count]);
		if (!copy)
			return error_errno(error, ENOMEM, "command");
		agent->command[agent->argument_count] = copy;
	}
	return 0;
}

static int name_agent(struct agent *agent, const struct launch *launch,
		      struct error *error)
{
	const char *profile = agent->compiled->profile->name;

	agent->source = strdup(launch->profile);
	if (!agent->source)
		return error_errno(error, ENOMEM, "profile");
	snprintf(agent->task, sizeof(agent->task), "%s", launch->task);
	if (*launch->name)
		snprintf(agent->name, sizeof(agent->name), "%s", launch->name);
	else	/* the random end of the id tells instances apart */
		snprintf(agent->name, sizeof(agent->name), "%.52s-%s", profile,
			 agent->id + 28);
	int length = snprintf(agent->spiffe_id, sizeof(agent->spiffe_id),
			      "spiffe://%s/agent/%s", agent->warden->trust_domain,
			      profile);
	if (length >= (int)sizeof(agent->spiffe_id))
		return error_set(error, ENAMETOOLONG, "identity: too long");
	return 0;
}

/* ---- refusal ----------------------------------------------------------- */

static void digest_command(char *const *command, unsigned count,
			   struct ambit_event *event)
{
	size_t length = 0;

	for (unsigned i = 0; i < count; i++)
		length += strlen(command[i]) + 1;
	OWN_MEMORY char *bytes = malloc(length + 1);
	if (!bytes || !count)
		return;
	size_t at = 0;
	for (unsigned i = 0; i < count; i++) {
		size_t size = strlen(command[i]) + 1;
		memcpy(bytes + at, command[i], size);
		at += size;
	}
	digest_sha256(bytes, length, event->command_sha256);
}

void launch_record_refusal(struct warden *warden, const struct launch *launch,
			   const struct compiled *compiled,
			   const struct error *error)
{
	struct ambit_event event;

	records_fill(&event, AMBIT_EVENT_REFUSAL, NULL, &launch->caller);
	records_text(event.profile, sizeof(event.profile),
		     compiled ? compiled->profile->name : launch->profile);
	if (compiled)
		memcpy(event.profile_sha256, compiled->profile->sha256,
		       sizeof(event.profile_sha256));
	if (launch->command_count)
		records_text(event.command, sizeof(event.command),
			     launch->command[0]);
	digest_command(launch->command, launch->command_count, &event);
	snprintf(event.reason, sizeof(event.reason), "%s", error->text);
	records_send(warden, &event, NULL, NULL);
}

/* A launch that has begun fails: what was made is taken down. */
void launch_refuse(struct agent *agent, int status, const struct error *error)
{
	struct ambit_event event;

	if (agent->failure.code)
		return;
	agent->failure = *error;
	agent->failure_status = status;
	records_fill(&event, AMBIT_EVENT_REFUSAL, agent, &agent->caller);
	digest_command(agent->command, agent->argument_count, &event);
	snprintf(event.reason, sizeof(event.reason), "%s", error->text);
	records_send(agent->warden, &event, NULL, NULL);
	end_kill(agent, "refused");
}

void launch_refuse_text(struct agent *agent, int code, const char *text)
{
	struct error error = { 0 };

	error_set(&error, code, "%s", text);
	launch_refuse(agent, AMBIT_EXIT_REFUSED, &error);
}

static void took_too_long(struct warden *warden, void *data)
{
	(void)warden;
	launch_refuse_text(data, ETIMEDOUT, "node: the launch took too long");
}

void launch_service_lost(struct warden *warden)
{
	struct agent *agent;

	AGENTS_EACH(warden, agent)
		if (agent->state == AGENT_STARTING)
			launch_refuse_text(agent, EPIPE, "node: a service ended during "
						  "the launch");
}

/* ---- the steps that others answer -------------------------------------- */

static void launch_durable(struct warden *warden, void *data, int error)
{
	struct agent *agent = agents_by_instance(warden, *(uint64_t *)data);

	free(data);
	if (!agent || agent->state != AGENT_STARTING || agent->failure.code)
		return;
	if (error) {
		struct error refusal = { 0 };
		error_errno(&refusal, -error,
			    "audit log: the launch can't be recorded");
		launch_refuse(agent, AMBIT_EXIT_REFUSED, &refusal);
		return;
	}
	agent->durable = 1;
	launch_advance(agent);
}

/* The launch record and those of the credentials go out together, so that one
 * write to the disk serves them all; it answers for the last.  The credentials are
 * signed and put in place meanwhile. */
static int record_launch(struct agent *agent)
{
	struct ambit_event event;
	int failed = 0;

	for (unsigned i = 0; !failed &&
			     i < agent->compiled->profile->credential_count; i++)
		failed = credentials_record(agent, i, 0, NULL, NULL);
	if (failed)
		return failed;
	records_fill(&event, AMBIT_EVENT_LAUNCH, agent, &agent->caller);
	digest_command(agent->command, agent->argument_count, &event);
	snprintf(event.reason, sizeof(event.reason), "%s",
		 agent->compiled->plan->summary);
	memcpy(event.seccomp_sha256, agent->compiled->filter_sha256,
	       sizeof(event.seccomp_sha256));
	uint64_t *instance = malloc(sizeof(*instance));
	if (!instance)
		return -ENOMEM;
	*instance = agent->instance;
	failed = records_send(agent->warden, &event, launch_durable, instance);
	if (failed)
		free(instance);
	return failed;
}

/* The last look before the first instruction: what was asked of the kernel is
 * there.  Done while the record is on its way to the disk. */
static int look_back(struct agent *agent, struct error *error)
{
	int failed = 0;

	if (!cgroup_has(agent->cgroup, agent->pid))
		failed = error_set(error, EPERM,
				   "cgroup: the agent is not in it");
	if (!failed)
		failed = kernel_verify(agent->warden->kernel, agent->cgroup,
				       agent->cgroup_id, agent->instance, error);
	return failed;
}

void launch_advance(struct agent *agent)
{
	struct error error = { 0 };

	if (agent->failure.code || agent->went || !agent->gate_ready)
		return;
	if (!agent->looked) {
		agent->looked = 1;
		if (look_back(agent, &error) < 0) {
			launch_refuse(agent, AMBIT_EXIT_REFUSED, &error);
			return;
		}
	}
	if (!agent->durable)
		return;
	for (unsigned i = 0; i < agent->compiled->profile->credential_count; i++)
		if (!agent->credentials[i].published)
			return;
	agent->went = 1;
	if (send(agent->gate.fd, "", 1, MSG_NOSIGNAL) != 1)
		launch_refuse_text(agent, errno, "node: the agent's process "
				   "ended before its start");
}

/* ---- the beginning ----------------------------------------------------- */

/* Everything about this one launch, in a place that is prepared or about to be. */
static int begin(struct warden *warden, const struct launch *launch,
		 struct agent *agent, struct error *error)
{
	const struct profile *profile = agent->compiled->profile;

	agent->caller = launch->caller;
	agent->detached = launch->detach;
	int failed = copy_command(agent, launch, error);
	if (!failed)
		failed = name_agent(agent, launch, error);
	if (failed)
		return failed;
	agent->started_ms = warden_now_ms();
	if (profile->run.lifetime != PROFILE_UNLIMITED) {
		agent->deadline_ms = agent->started_ms +
				     profile->run.lifetime * 1000;
		agent->ends_ms = warden_boot_ms() + profile->run.lifetime * 1000;
	}
	if (!agent->pid)
		failed = slots_prepare(agent, error);
	/* First what takes longest: credentials are signed and put in place, and the
	 * record is on its way to the disk, while the process is being bounded.
	 * Should that fail, a refusal and an end follow the launch in the log. */
	if (!failed)
		failed = credentials_serve(agent, error);
	if (!failed && records_open(warden, agent) < 0)
		failed = error_set(error, EPIPE, "node: a service ended");
	/* What is recorded as begun has its end recorded, by the next warden if need
	 * be. */
	if (!failed)
		failed = state_save(agent, error);
	if (failed)
		return failed;
	agent->recorded = 1;
	if (record_launch(agent) < 0)
		return error_set(error, EPIPE,
				 "audit log: the launch can't be recorded");
	failed = packet_request(agent, &launch->packet, error);
	if (failed)
		return failed;
	if (names_serve(agent) < 0)
		return error_set(error, EPIPE, "node: a service ended");
	timer_once(warden, LAUNCH_MS, took_too_long, agent);
	launch_advance(agent);
	return 0;
}

/* What begin() made, taken down where no process was started. */
static void undo(struct agent *agent)
{
	timer_forget(agent->warden, agent);
	end_agent(agent);
}

int launch_begin(struct warden *warden, const struct launch *launch,
		 struct error *error)
{
	struct compiled *compiled = NULL;
	struct agent *agent;

	int failed = check_node(warden, error);
	if (!failed)
		failed = check_request(warden, launch, error);
	if (!failed)
		failed = profiles_get(warden, launch->profile, &compiled, error);
	if (!failed && state_retired(warden, compiled->profile->name))
		failed = error_set(error, EACCES, "profile %s: it is retired: "
				   "ambit reinstate lets it launch again",
				   compiled->profile->name);
	if (!failed)
		failed = check_command(compiled->profile, launch, error);
	if (!failed)
		failed = check_limits(compiled->profile, error);
	if (!failed)
		failed = profiles_root(warden, compiled, error);
	if (!failed)
		failed = slots_take(warden, compiled, &agent, error);
	if (failed) {
		launch_record_refusal(warden, launch, compiled, error);
		profiles_release(warden, compiled);
		return failed;
	}
	failed = begin(warden, launch, agent, error);
	if (failed) {
		launch_record_refusal(warden, launch, compiled, error);
		agent->failure = *error;
		undo(agent);
		return failed;
	}
	agent->waiting = launch->connection;
	return 0;
}
