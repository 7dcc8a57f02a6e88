/* SPDX-License-Identifier: Apache-2.0 */
/* One launch: see launch.h. */
#include "launch.h"

#include "agents.h"
#include "base/own.h"
#include "control.h"
#include "digest.h"
#include "end.h"
#include "profiles.h"
#include "records.h"
#include "services.h"
#include "spawn.h"
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

static const char *const step_words[AMBIT_STEP_COUNT] = {
#define STEP_WORD(name, word) [AMBIT_STEP_##name] = word,
	AMBIT_STEPS(STEP_WORD)
#undef STEP_WORD
};

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
		if ((unsigned char)*at < ' ' || *at == 127)
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
		return error_set(error, EEXIST, "name: %s is the agent %s",
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

	if (!count)
		return error_set(error, EINVAL, "command: none was given, and "
				 "the profile has none");
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

static int name_agent(struct agent *agent, const struct launch *launch)
{
	const char *profile = agent->compiled->profile->name;

	snprintf(agent->task, sizeof(agent->task), "%s", launch->task);
	if (*launch->name)
		snprintf(agent->name, sizeof(agent->name), "%s", launch->name);
	else	/* the random end of the id tells instances apart */
		snprintf(agent->name, sizeof(agent->name), "%.52s-%s", profile,
			 agent->id + 28);
	int length = snprintf(agent->spiffe_id, sizeof(agent->spiffe_id),
			      "spiffe://%s/agent/%s", agent->warden->trust_domain,
			      profile);
	return length < (int)sizeof(agent->spiffe_id) ? 0 : -ENAMETOOLONG;
}

static int write_at(int directory, const char *name, const char *text)
{
	OWN_FD fd = openat(directory, name,
			   O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	size_t length = strlen(text);
	return write(fd, text, length) == (ssize_t)length ? 0 : -EIO;
}

/* passwd, group, hosts, and the directory that the porter delivers into: owned
 * by the porter, group the agent's, so that nobody else can read it. */
static int make_files(const struct agent *agent, struct error *error)
{
	const struct warden *warden = agent->warden;
	char passwd[256], group[128];
	uint32_t porter = warden->config.uid_first + AMBIT_UID_PORTER;

	if (mkdirat(warden->instances, agent->id, 0755) < 0)
		return error_errno(error, errno, "private files");
	OWN_FD directory = openat(warden->instances, agent->id,
				  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return error_errno(error, errno, "private files");
	snprintf(passwd, sizeof(passwd),
		 "root:x:0:0:root:/:/usr/sbin/nologin\n"
		 "agent:x:%u:%u:agent:/home/agent:/bin/sh\n"
		 "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
		 agent->uid, agent->uid);
	snprintf(group, sizeof(group),
		 "root:x:0:\nagent:x:%u:\nnogroup:x:65534:\n", agent->uid);
	int failed = write_at(directory, "passwd", passwd);
	if (!failed)
		failed = write_at(directory, "group", group);
	if (!failed)
		failed = write_at(directory, "hosts",
				  "127.0.0.1 localhost\n::1 localhost\n");
	if (!failed && (mkdirat(directory, "credentials", 0700) < 0 ||
			fchownat(directory, "credentials", porter, agent->uid,
				 0) < 0 ||
			fchmodat(directory, "credentials", 02750, 0) < 0))
		failed = -errno;
	return failed ? error_errno(error, -failed, "private files") : 0;
}

/* Removes everything in `fd`, which is the node's own and one level deep. */
static void empty_directory(int fd)
{
	OWN_DIR *directory = fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 3));
	const struct dirent *entry;

	while (directory && (entry = readdir(directory)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			unlinkat(fd, entry->d_name, 0);
}

static void remove_tree(int directory, const char *name)
{
	static const char *const inner[] = { "credentials", "." };
	OWN_FD own = openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; own >= 0 && i < 2; i++) {
		OWN_FD fd = openat(own, inner[i],
				   O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			empty_directory(fd);
		if (i == 0)
			unlinkat(own, inner[i], AT_REMOVEDIR);
	}
	unlinkat(directory, name, AT_REMOVEDIR);
}

void launch_discard_files(struct agent *agent)
{
	remove_tree(agent->warden->instances, agent->id);
	state_remove(agent);
}

static int bound(struct agent *agent, struct error *error)
{
	static struct ambit_policy policy;
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
	policy = agent->compiled->plan->policy;
	policy.instance = agent->instance;
	policy.slot = agent->slot;
	policy.state = AMBIT_POLICY_OPEN;
	policy.generation = 1;
	return kernel_attach(warden->kernel, agent->cgroup, agent->cgroup_id,
			     &policy, error);
}

/* The end of what is issued is the earliest of lifetime and review day. */
static uint64_t credentials_deadline(const struct agent *agent)
{
	const struct profile_date *by = &agent->compiled->profile->review.by;
	struct tm day = { .tm_year = by->year - 1900, .tm_mon = by->month - 1,
			  .tm_mday = by->day + 1 };
	uint64_t deadline = (uint64_t)timegm(&day);

	if (agent->deadline_ms && agent->deadline_ms / 1000 < deadline)
		deadline = agent->deadline_ms / 1000;
	return deadline;
}

int launch_credentials(struct agent *agent)
{
	const struct profile *profile = agent->compiled->profile;
	struct warden *warden = agent->warden;
	struct ambit_admit admit = {
		.instance = agent->instance,
		.deadline = credentials_deadline(agent),
		.credential_count = profile->credential_count,
	};
	struct ambit_serve serve = {
		.instance = agent->instance,
		.credential_count = profile->credential_count,
	};
	char path[64];

	if (!profile->credential_count)
		return 0;
	snprintf(admit.id, sizeof(admit.id), "%s", agent->id);
	snprintf(admit.spiffe_id, sizeof(admit.spiffe_id), "%s",
		 agent->spiffe_id);
	snprintf(admit.task, sizeof(admit.task), "%s", agent->task);
	for (unsigned i = 0; i < profile->credential_count; i++) {
		const struct profile_credential *from = &profile->credentials[i];
		struct ambit_credential *to = &admit.credentials[i];
		snprintf(to->name, sizeof(to->name), "%s", from->name);
		snprintf(to->type, sizeof(to->type), "%s",
			 from->type == PROFILE_X509_SVID ? "x509-svid" :
							   "jwt-svid");
		snprintf(to->audience, sizeof(to->audience), "%s",
			 from->audience);
		to->ttl = from->ttl;
		serve.credentials[i] = *to;
	}
	snprintf(path, sizeof(path), "%s/credentials", agent->id);
	OWN_FD directory = openat(warden->instances, path,
				  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return -errno;
	int failed = services_send(warden, SERVICE_ISSUER, AMBIT_MESSAGE_ADMIT,
				   &admit, NULL);
	if (!failed)
		failed = services_send(warden, SERVICE_PORTER,
				       AMBIT_MESSAGE_SERVE, &serve, &directory);
	return failed;
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
	snprintf(event.profile, sizeof(event.profile), "%.63s",
		 compiled ? compiled->profile->name : launch->profile);
	if (compiled)
		memcpy(event.profile_sha256, compiled->profile->sha256,
		       sizeof(event.profile_sha256));
	if (launch->command_count)
		snprintf(event.command, sizeof(event.command), "%.255s",
			 launch->command[0]);
	digest_command(launch->command, launch->command_count, &event);
	snprintf(event.reason, sizeof(event.reason), "%s", error->text);
	records_send(warden, &event, NULL, NULL);
}

/* A launch that has begun fails: what was made is taken down. */
static void refuse(struct agent *agent, int status, const struct error *error)
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

static void refuse_text(struct agent *agent, int code, const char *text)
{
	struct error error = { 0 };

	error_set(&error, code, "%s", text);
	refuse(agent, AMBIT_EXIT_REFUSED, &error);
}

static void took_too_long(struct warden *warden, void *data)
{
	(void)warden;
	refuse_text(data, ETIMEDOUT, "node: the launch took too long");
}

void launch_service_lost(struct warden *warden, enum service_kind kind)
{
	struct agent *agent;

	(void)kind;
	AGENTS_EACH(warden, agent) {
		if (agent->state == AGENT_STARTING)
			refuse_text(agent, EPIPE, "node: a service ended during "
						  "the launch");
		else if (kind == SERVICE_RECORDER && agent->closing)
			end_closed(warden, &(struct ambit_closed){
					.instance = agent->instance });
	}
}

/* ---- the steps that others answer -------------------------------------- */

static void advance(struct agent *agent);

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
		refuse(agent, AMBIT_EXIT_REFUSED, &refusal);
		return;
	}
	agent->durable = 1;
	advance(agent);
}

static int record_credential(struct agent *agent, unsigned index, int renewed,
			     void (*done)(struct warden *, void *, int),
			     void *data)
{
	const struct profile_credential *wanted =
		&agent->compiled->profile->credentials[index];
	const struct agent_credential *got = &agent->credentials[index];
	struct ambit_event event;

	records_fill(&event, renewed ? AMBIT_EVENT_CREDENTIAL_RENEWED :
				       AMBIT_EVENT_CREDENTIAL_ISSUED,
		     agent, NULL);
	snprintf(event.credential, sizeof(event.credential), "%s", wanted->name);
	snprintf(event.credential_type, sizeof(event.credential_type), "%s",
		 wanted->type == PROFILE_X509_SVID ? "x509-svid" : "jwt-svid");
	snprintf(event.credential_id, sizeof(event.credential_id), "%s", got->id);
	snprintf(event.audience, sizeof(event.audience), "%s", wanted->audience);
	event.not_before = got->not_before;
	event.not_after = got->not_after;
	return records_send(agent->warden, &event, done, data);
}

/* The launch record and those of the credentials go out together, so that one
 * write to the disk serves them all; it answers for the last. */
static int record_launch(struct agent *agent)
{
	struct ambit_event event;
	int failed = 0;

	for (unsigned i = 0; !failed &&
			     i < agent->compiled->profile->credential_count; i++)
		failed = record_credential(agent, i, 0, NULL, NULL);
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

static int all_minted(const struct agent *agent)
{
	for (unsigned i = 0; i < agent->compiled->profile->credential_count; i++)
		if (!agent->credentials[i].minted)
			return 0;
	return 1;
}

static int publish(struct agent *agent, unsigned index)
{
	struct ambit_publish message = { agent->instance, index, 0 };

	return services_send(agent->warden, SERVICE_PORTER,
			     AMBIT_MESSAGE_PUBLISH, &message, NULL);
}

/* The last look before the first instruction: what was asked of the kernel is
 * there. */
static int let_go(struct agent *agent)
{
	struct warden *warden = agent->warden;
	struct error error = { 0 };

	if (!cgroup_has(agent->cgroup, agent->pid))
		error_set(&error, EPERM, "cgroup: the agent is not in it");
	if (!error.code)
		kernel_verify(warden->kernel, agent->cgroup, agent->cgroup_id,
			      agent->instance, &error);
	if (!error.code)
		state_save(agent, &error);
	if (!error.code && send(agent->gate.fd, "", 1, MSG_NOSIGNAL) != 1)
		error_errno(&error, errno, "start");
	if (error.code) {
		refuse(agent, AMBIT_EXIT_REFUSED, &error);
		return -error.code;
	}
	return 0;
}

static void advance(struct agent *agent)
{
	unsigned credentials = agent->compiled->profile->credential_count;

	if (agent->failure.code || !agent->gate_ready || !all_minted(agent))
		return;
	if (!agent->recorded) {
		agent->recorded = 1;
		if (record_launch(agent) < 0)
			refuse_text(agent, EPIPE,
				    "audit log: the launch can't be recorded");
		return;
	}
	if (!agent->durable || agent->went)
		return;
	if (agent->published == 0 && credentials) {
		int failed = 0;
		for (unsigned i = 0; !failed && i < credentials; i++)
			failed = publish(agent, i);
		agent->published = 1;	/* asked for; counted below */
		if (failed)
			refuse_text(agent, EPIPE, "credentials: can't be "
						  "delivered");
		return;
	}
	for (unsigned i = 0; i < credentials; i++)
		if (!agent->credentials[i].published)
			return;
	agent->went = 1;
	let_go(agent);
}

static void renewal_durable(struct warden *warden, void *data, int error)
{
	struct ambit_publish *message = data;

	/* Not recorded: the old credential stands until it ends. */
	if (!error)
		services_send(warden, SERVICE_PORTER, AMBIT_MESSAGE_PUBLISH,
			      message, NULL);
	free(message);
}

void launch_minted(struct warden *warden, const struct ambit_minted *minted)
{
	struct agent *agent = agents_by_instance(warden, minted->instance);

	if (!agent || agent->gone || agent->failure.code ||
	    minted->credential >= agent->compiled->profile->credential_count)
		return;
	struct agent_credential *credential =
		&agent->credentials[minted->credential];
	if (minted->error) {
		struct error error = { 0 };
		if (agent->state != AGENT_STARTING)
			return;
		error_errno(&error, minted->error, "credentials: %s",
			    agent->compiled->profile
				    ->credentials[minted->credential].name);
		refuse(agent, AMBIT_EXIT_REFUSED, &error);
		return;
	}
	memcpy(credential->id, minted->id, sizeof(credential->id));
	credential->not_before = minted->not_before;
	credential->not_after = minted->not_after;
	credential->minted = 1;
	if (agent->state == AGENT_STARTING) {
		advance(agent);
		return;
	}
	struct ambit_publish *message = malloc(sizeof(*message));
	if (!message)
		return;
	*message = (struct ambit_publish){ agent->instance, minted->credential,
					   0 };
	if (record_credential(agent, minted->credential, 1, renewal_durable,
			      message) < 0)
		free(message);
}

void launch_published(struct warden *warden,
		      const struct ambit_published *published)
{
	struct agent *agent = agents_by_instance(warden, published->instance);

	if (!agent || agent->state != AGENT_STARTING ||
	    published->credential >= agent->compiled->profile->credential_count)
		return;
	if (published->error) {
		struct error error = { 0 };
		error_errno(&error, published->error, "credentials: %s",
			    agent->compiled->profile
				    ->credentials[published->credential].name);
		refuse(agent, AMBIT_EXIT_REFUSED, &error);
		return;
	}
	agent->credentials[published->credential].published = 1;
	advance(agent);
}

/* ---- the gate ---------------------------------------------------------- */

static void lifetime_over(struct warden *warden, void *data)
{
	(void)warden;
	end_kill(data, "lifetime");
}

static void running(struct agent *agent)
{
	struct warden *warden = agent->warden;

	timer_forget(warden, agent);
	agent->state = AGENT_RUNNING;
	uint64_t now = warden_now_ms();
	if (agent->deadline_ms)
		timer_once(warden, agent->deadline_ms > now ?
					   agent->deadline_ms - now : 0,
			   lifetime_over, agent);
	control_launched(agent);
}

static void failed_step(struct agent *agent, const struct ambit_gate *gate)
{
	struct error error = { 0 };
	int status = AMBIT_EXIT_REFUSED;

	if (gate->step == AMBIT_STEP_COMMAND || gate->step == AMBIT_STEP_EXEC) {
		status = gate->value == ENOENT ? AMBIT_EXIT_NOT_FOUND :
						 AMBIT_EXIT_NOT_EXECUTABLE;
		if (gate->value == ENOENT && gate->step == AMBIT_STEP_COMMAND)
			error_set(&error, ENOENT, "%.200s: command not found",
				  agent->command[0]);
		else
			error_errno(&error, gate->value, "%.200s",
				    agent->command[0]);
	} else {
		error_errno(&error, gate->value, "confinement: %s",
			    gate->step < AMBIT_STEP_COUNT ?
				    step_words[gate->step] : "unknown step");
	}
	refuse(agent, status, &error);
}

static void take_gate(struct agent *agent, const struct ambit_gate *gate, int fd)
{
	switch (gate->kind) {
	case AMBIT_GATE_READY:
		own_close(&agent->terminal);
		agent->terminal = fd;
		agent->gate_ready = 1;
		advance(agent);
		return;
	case AMBIT_GATE_RUNNING:
		running(agent);
		break;
	case AMBIT_GATE_FAILED:
		failed_step(agent, gate);
		break;
	case AMBIT_GATE_EXITED:
		end_status(agent, gate->value);
		break;
	}
	own_close(&fd);
}

/* Returns 1 for a message, 0 when there is none, -1 when there will be none. */
static int read_gate(struct agent *agent)
{
	struct ambit_gate gate;
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = { &gate, sizeof(gate) };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};

	ssize_t got = recvmsg(agent->gate.fd, &message,
			      MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got != sizeof(gate))
		return -1;
	int fd = -1;
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
	if (rights && rights->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(rights), sizeof(fd));
	take_gate(agent, &gate, fd);
	return 1;
}

static void gate_ready(struct source *source, uint32_t events)
{
	struct agent *agent = source->owner;

	(void)events;
	/* When it closes, the process has ended: that is the pidfd's to tell. */
	if (read_gate(agent) < 0)
		loop_remove(&agent->warden->loop, source);
}

static void process_ended(struct source *source, uint32_t events)
{
	struct agent *agent = source->owner;
	int status;

	(void)events;
	/* The gate may hold the last word still. */
	while (agent->gate.fd >= 0 && read_gate(agent) == 1)
		continue;
	/* An adopted agent is somebody else's child. */
	waitpid(agent->pid, &status, WNOHANG);
	end_agent(agent);
}

/* ---- the beginning ----------------------------------------------------- */

static int watch(struct agent *agent, struct error *error)
{
	struct loop *loop = &agent->warden->loop;

	agent->gate.ready = gate_ready;
	agent->pidfd.ready = process_ended;
	int failed = agent->gate.fd >= 0 ? loop_add(loop, &agent->gate, EPOLLIN) :
					   0;
	if (!failed)
		failed = loop_add(loop, &agent->pidfd, EPOLLIN);
	return failed ? error_errno(error, -failed, "node") : 0;
}

int launch_adopt(struct agent *agent)
{
	struct error error = { 0 };
	uint64_t now = warden_now_ms();

	agent->pidfd.fd = (int)syscall(SYS_pidfd_open, agent->pid, 0);
	if (agent->pidfd.fd < 0)
		return -errno;
	int failed = watch(agent, &error);
	if (!failed && agent->deadline_ms)
		timer_once(agent->warden, agent->deadline_ms > now ?
						  agent->deadline_ms - now : 0,
			   lifetime_over, agent);
	return failed;
}

static int start_process(struct agent *agent, const struct launch *launch,
			 struct error *error)
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
	failed = packet_send(agent, &launch->packet, gate[0], end_file, error);
	struct spawn what = {
		.executable = warden->init_fd, .cgroup = agent->cgroup,
		.mount_namespace = warden->empty_namespace,
		.own_namespace = warden->own_namespace,
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
	return watch(agent, error);
}

static int begin(struct warden *warden, const struct launch *launch,
		 struct agent *agent, struct error *error)
{
	const struct profile *profile = agent->compiled->profile;

	int failed = copy_command(agent, launch, error);
	if (!failed && name_agent(agent, launch) < 0)
		failed = error_set(error, ENAMETOOLONG, "identity: too long");
	if (failed)
		return failed;
	agent->started_ms = warden_now_ms();
	if (profile->run.lifetime != PROFILE_UNLIMITED)
		agent->deadline_ms = agent->started_ms +
				     profile->run.lifetime * 1000;
	failed = make_files(agent, error);
	if (!failed)
		failed = bound(agent, error);
	if (failed)
		return failed;
	if (launch_credentials(agent) < 0 || records_open(warden, agent) < 0)
		return error_set(error, EPIPE, "node: a service ended");
	timer_once(warden, LAUNCH_MS, took_too_long, agent);
	return start_process(agent, launch, error);
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
		failed = error_set(error, EACCES, "profile %s: it is retired",
				   compiled->profile->name);
	if (!failed)
		failed = check_limits(compiled->profile, error);
	if (!failed)
		failed = profiles_root(warden, compiled, error);
	if (!failed)
		failed = agents_new(warden, &agent, error);
	if (failed) {
		launch_record_refusal(warden, launch, compiled, error);
		profiles_release(warden, compiled);
		return failed;
	}
	agent->compiled = compiled;
	agent->caller = launch->caller;
	agent->detached = launch->detach;
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
