/* SPDX-License-Identifier: Apache-2.0 */
/* What outlives the warden: see state.h. */
#include "state.h"

#include "agents.h"
#include "base/own.h"
#include "profiles.h"
#include "records.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

static void state_name(const struct agent *agent, const char *end, char *ret_name,
		       size_t size)
{
	snprintf(ret_name, size, "%s.%s", agent->id, end);
}

int state_open(struct warden *warden, struct error *error)
{
	char path[PATH_MAX];

	/* On the file system in memory: command lines stay off the disk. */
	snprintf(path, sizeof(path), "%s/instances/.agents", warden->config.run);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_errno(error, errno, "%s", path);
	warden->states = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (warden->states < 0)
		return error_errno(error, errno, "%s", path);
	snprintf(path, sizeof(path), "%s/retired", warden->config.state);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_errno(error, errno, "%s", path);
	return 0;
}

static json_t *credentials_json(const struct agent *agent)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < agent->compiled->profile->credential_count; i++) {
		const struct agent_credential *from = &agent->credentials[i];
		json_array_append_new(list, json_pack("{s:s, s:I, s:I}",
			"id", from->id,
			"not_before", (json_int_t)from->not_before,
			"not_after", (json_int_t)from->not_after));
	}
	return list;
}

static json_t *withdrawn_json(const struct agent *agent)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < AMBIT_EGRESS; i++)
		if (agent->withdrawn[i])
			json_array_append_new(list, json_integer((json_int_t)i));
	return list;
}

int state_save(const struct agent *agent, struct error *error)
{
	char name[64], temporary[64];
	json_t *command = json_array();

	for (unsigned i = 0; i < agent->argument_count; i++)
		json_array_append_new(command,
				      json_stringn_nocheck(agent->command[i],
						strlen(agent->command[i])));
	json_t *state = json_pack(
		"{s:s, s:s, s:s, s:s, s:s%, s:I, s:I, s:i, s:i, s:I, s:I, s:b,"
		" s:b, s:i, s:i, s:o, s:o, s:s, s:o, s:I, s:s, s:I}",
		"id", agent->id, "name", agent->name, "task", agent->task,
		"spiffe_id", agent->spiffe_id, "profile",
		agent->compiled->canonical, agent->compiled->canonical_length,
		"instance", (json_int_t)agent->instance,
		"cgroup_id", (json_int_t)agent->cgroup_id,
		"slot", (int)agent->slot, "pid", (int)agent->pid,
		"started", (json_int_t)agent->started_ms,
		"deadline", (json_int_t)agent->deadline_ms,
		"detached", agent->detached, "cut", agent->cut,
		"caller_uid", (int)agent->caller.uid,
		"caller_pid", (int)agent->caller.pid,
		"credentials", credentials_json(agent), "command", command,
		"source", agent->source, "withdrawn", withdrawn_json(agent),
		"retire", (json_int_t)agent->retire_ms, "cause", agent->cause,
		"ends", (json_int_t)agent->ends_ms);
	if (!state)
		return error_set(error, EINVAL, "state: it can't be written");
	state_name(agent, "json", name, sizeof(name));
	state_name(agent, "new", temporary, sizeof(temporary));
	OWN_FD fd = openat(agent->warden->states, temporary,
			   O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int failed = fd < 0 ? -errno : 0;
	/* json_dumpfd would write token by token. */
	OWN_MEMORY char *text = json_dumps(state, JSON_COMPACT);
	size_t length = text ? strlen(text) : 0;
	if (!failed && (!text || write(fd, text, length) != (ssize_t)length))
		failed = -EIO;
	json_decref(state);
	if (!failed && renameat(agent->warden->states, temporary,
				agent->warden->states, name) < 0)
		failed = -errno;
	return failed ? error_errno(error, -failed, "state") : 0;
}

void state_remove(const struct agent *agent)
{
	static const char *const ends[] = { "json", "new", "end" };
	char name[64];

	for (int i = 0; i < 3; i++) {
		state_name(agent, ends[i], name, sizeof(name));
		unlinkat(agent->warden->states, name, 0);
	}
}

int state_end_file(const struct agent *agent, int *ret_fd, struct error *error)
{
	char name[64];

	state_name(agent, "end", name, sizeof(name));
	int fd = openat(agent->warden->states, name,
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_errno(error, errno, "state");
	*ret_fd = fd;
	return 0;
}

int state_end_status(const struct agent *agent, int *ret_status)
{
	char name[64];

	state_name(agent, "end", name, sizeof(name));
	OWN_FD fd = openat(agent->warden->states, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, ret_status, sizeof(*ret_status)) !=
			      sizeof(*ret_status))
		return -ENODATA;
	return 0;
}

static void copy(char *place, size_t size, const char *text)
{
	snprintf(place, size, "%s", text);
}

static int take_command(struct agent *agent, const json_t *command)
{
	size_t count = json_array_size(command);

	agent->command = calloc(count ? count : 1, sizeof(*agent->command));
	if (!agent->command)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const char *text = json_string_value(json_array_get(command, i));
		agent->command[i] = strdup(text ? text : "");
		if (!agent->command[i])
			return -ENOMEM;
		agent->argument_count++;
	}
	return 0;
}

static int take_withdrawn(struct agent *agent, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_int_t entry = json_integer_value(json_array_get(list, i));
		if (entry < 0 || entry >= AMBIT_EGRESS)
			return -EINVAL;
		agent->withdrawn_count += !agent->withdrawn[entry];
		agent->withdrawn[entry] = 1;
	}
	return 0;
}

static void take_credentials(struct agent *agent, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list) && i < AMBIT_CREDENTIALS;
	     i++) {
		const json_t *from = json_array_get(list, i);
		struct agent_credential *to = &agent->credentials[i];
		const char *id = json_string_value(json_object_get(from, "id"));
		copy(to->id, sizeof(to->id), id ? id : "");
		to->not_before = (uint64_t)json_integer_value(
			json_object_get(from, "not_before"));
		to->not_after = (uint64_t)json_integer_value(
			json_object_get(from, "not_after"));
		to->minted = to->published = 1;
	}
}

/* Fills `agent` from its file's text. */
static int take(struct warden *warden, json_t *state, struct agent *agent,
		struct error *error)
{
	const char *id, *name, *task, *spiffe_id, *profile, *source;
	const char *cause;
	json_int_t instance, cgroup_id, started, deadline, retires, ends;
	int slot, pid, detached, is_cut, uid, caller_pid;
	size_t length;
	json_t *credentials, *command, *withdrawn;

	if (json_unpack(state,
			"{s:s, s:s, s:s, s:s, s:s%, s:I, s:I, s:i, s:i, s:I,"
			" s:I, s:b, s:b, s:i, s:i, s:o, s:o, s:s, s:o, s:I, s:s, s:I}",
			"id", &id, "name", &name, "task", &task, "spiffe_id",
			&spiffe_id, "profile", &profile, &length, "instance",
			&instance, "cgroup_id", &cgroup_id, "slot", &slot,
			"pid", &pid, "started", &started, "deadline", &deadline,
			"detached", &detached, "cut", &is_cut, "caller_uid", &uid, "caller_pid",
			&caller_pid, "credentials", &credentials, "command",
			&command, "source", &source, "withdrawn",
			&withdrawn, "retire", &retires, "cause", &cause,
			"ends", &ends) < 0 ||
	    slot <= SERVICES || slot >= AMBIT_SLOTS || warden->agents[slot])
		return error_set(error, EINVAL, "state: a file is not whole");
	int failed = profiles_adopt(warden, profile, length, &agent->compiled,
				    error);
	agent->source = strdup(source);
	if (!failed && (!agent->source || take_command(agent, command) < 0 ||
			take_withdrawn(agent, withdrawn) < 0))
		failed = error_errno(error, ENOMEM, "state");
	if (failed)
		return failed;
	copy(agent->id, sizeof(agent->id), id);
	copy(agent->name, sizeof(agent->name), name);
	copy(agent->task, sizeof(agent->task), task);
	copy(agent->spiffe_id, sizeof(agent->spiffe_id), spiffe_id);
	take_credentials(agent, credentials);
	agent->instance = (uint64_t)instance;
	agent->cgroup_id = (uint64_t)cgroup_id;
	agent->slot = (uint32_t)slot;
	agent->uid = warden->config.uid_first + AMBIT_UID_AGENTS + agent->slot;
	agent->pid = pid;
	agent->started_ms = (uint64_t)started;
	agent->deadline_ms = (uint64_t)deadline;
	agent->ends_ms = (uint64_t)ends;
	agent->detached = detached;
	agent->cut = is_cut;
	agent->retire_ms = (uint64_t)retires;
	copy(agent->cause, sizeof(agent->cause), cause);
	agent->caller = (struct caller){ (uint32_t)uid, (uint32_t)caller_pid };
	return 0;
}

static int adopt(struct warden *warden, const char *name, struct error *error)
{
	json_error_t where;
	OWN_FD fd = openat(warden->states, name, O_RDONLY | O_CLOEXEC);
	json_t *state = fd < 0 ? NULL : json_loadfd(fd, 0, &where);
	struct agent *agent = calloc(1, sizeof(*agent));

	if (!state || !agent) {
		json_decref(state);
		free(agent);
		return error_set(error, EINVAL, "state: %s can't be read", name);
	}
	agent->warden = warden;
	agent->mounts = agent->cgroup = agent->gate.fd = agent->pidfd.fd = agent->terminal = -1;
	agent->gate.owner = agent->pidfd.owner = agent;
	agent->state = AGENT_RUNNING;
	agent->went = agent->recorded = agent->durable = 1;
	int failed = take(warden, state, agent, error);
	json_decref(state);
	if (!failed)
		failed = cgroup_make(&warden->cgroups, agent->id, 1,
				     &agent->cgroup, &agent->cgroup_id, error);
	if (failed) {
		if (agent->compiled)
			profiles_release(warden, agent->compiled);
		free(agent);
		return failed;
	}
	warden->agents[agent->slot] = agent;
	warden->agent_count++;
	return 0;
}

/* One file must not keep the node down, where nobody could be cut or killed.  What
 * is not adopted is ended with what it left behind: node_sweep. */
static void give_up(struct warden *warden, const char *name,
		    const struct error *why)
{
	struct ambit_event event;

	records_fill(&event, AMBIT_EVENT_KILL, NULL, NULL);
	event.signal = SIGKILL;
	snprintf(event.reason, sizeof(event.reason), "agent %.36s can't be taken "
		 "over: %.900s", name, why->text);
	fprintf(stderr, "ambitd: %s\n", event.reason);
	records_send(warden, &event, NULL, NULL);
	unlinkat(warden->states, name, 0);
}

int state_adopt(struct warden *warden, struct error *error)
{
	OWN_DIR *directory = fdopendir(fcntl(warden->states, F_DUPFD_CLOEXEC, 3));
	const struct dirent *entry;

	if (!directory)
		return error_errno(error, errno, "state");
	rewinddir(directory);
	while ((entry = readdir(directory))) {
		size_t length = strlen(entry->d_name);
		if (length < 5 || strcmp(entry->d_name + length - 5, ".json"))
			continue;
		struct error why = { 0 };
		if (adopt(warden, entry->d_name, &why) < 0)
			give_up(warden, entry->d_name, &why);
	}
	return 0;
}

int state_retire(struct warden *warden, const char *profile, int retired,
		 struct error *error)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/retired", warden->config.state);
	OWN_FD directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return error_errno(error, errno, "%s", path);
	if (retired) {
		OWN_FD fd = openat(directory, profile,
				   O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0 || fsync(fd) < 0)
			return error_errno(error, errno, "%s/%s", path, profile);
	} else if (unlinkat(directory, profile, 0) < 0) {
		if (errno == ENOENT)
			return error_set(error, ENOENT,
					 "profile %s: it is not retired",
					 profile);
		return error_errno(error, errno, "%s/%s", path, profile);
	}
	return fsync(directory) < 0 ? error_errno(error, errno, "%s", path) : 0;
}

int state_retired(const struct warden *warden, const char *profile)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/retired/%s", warden->config.state,
		 profile);
	/* What can't be looked at counts as retired. */
	return access(path, F_OK) == 0 || errno != ENOENT;
}
