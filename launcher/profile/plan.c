/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan: see plan.h.  One function writes the rows of one part of the
 * profile; a row says what holds the clause, or why nothing does here.
 */
#include "plan.h"

#include "../base/own.h"
#include "policy.h"
#include "remark.h"
#include "syscalls.h"
#include "words.h"

#include <stdarg.h>
#include <string.h>

#define NONE "not limited"

struct builder {
	const struct profile *profile;
	const struct plan_layers *layers;
	struct plan *plan;
	size_t room;
	struct error *error;
};

/* The row that add made last. */
static struct plan_row *last(const struct builder *builder)
{
	return &builder->plan->rows[builder->plan->row_count - 1];
}

static int add(struct builder *builder, const char *mechanism,
	       const char *clause, ...) __attribute__((format(printf, 3, 4)));

static int add(struct builder *builder, const char *mechanism,
	       const char *clause, ...)
{
	struct plan *plan = builder->plan;
	va_list arguments;

	if (plan->row_count == builder->room) {
		size_t room = builder->room ? builder->room * 2 : 64;
		void *more = realloc(plan->rows, room * sizeof(*plan->rows));
		if (!more)
			return error_errno(builder->error, ENOMEM, "plan");
		plan->rows = more;
		builder->room = room;
	}
	struct plan_row *row = &plan->rows[plan->row_count++];
	memset(row, 0, sizeof(*row));
	va_start(arguments, clause);
	vsnprintf(row->clause, sizeof(row->clause), clause, arguments);
	va_end(arguments);
	snprintf(row->mechanism, sizeof(row->mechanism), "%s", mechanism);
	return 0;
}

/* Refuses the row that add made last, unless `held`. */
static void refuse_unless(struct builder *builder, int held, const char *why)
{
	struct plan_row *row = last(builder);

	if (held || row->refusal[0])
		return;
	snprintf(row->refusal, sizeof(row->refusal), "%s", why);
	row->mechanism[0] = 0;
	builder->plan->refused++;
}

/* Without these nothing is bounded, whatever the profile says. */
static int add_layers(struct builder *builder)
{
	const struct {
		const char *word;
		int required, there;
	} layers[] = {
#define PLAN_LAYER(member, word, required) \
		{ word, required, builder->layers->member },
		PLAN_LAYERS(PLAN_LAYER)
#undef PLAN_LAYER
	};
	char why[256];

	for (size_t i = 0; i < sizeof(layers) / sizeof(*layers); i++) {
		if (!layers[i].required || layers[i].there)
			continue;
		int result = add(builder, "", "every profile");
		if (result < 0)
			return result;
		snprintf(why, sizeof(why), "%s is missing on this node",
			 layers[i].word);
		refuse_unless(builder, 0, why);
	}
	return 0;
}

/* `mechanism`, unless the launch would fail because nothing shows the path. */
static const char *seen(const struct profile *profile, const char *path,
			const char *mechanism)
{
	return path[0] == '/' && remark_unseen(profile, path) ?
		       "not in the agent's view: files.read lists nothing of it" :
		       mechanism;
}

static int add_run(struct builder *builder)
{
	const struct profile *profile = builder->profile;
	char text[WORD_SIZE];

	int result = add(builder, "warden: checked at each launch",
			 "review by %04u-%02u-%02u", profile->review.by.year,
			 profile->review.by.month, profile->review.by.day);
	if (!result && profile->run.command_count)
		result = add(builder, seen(profile, profile->run.command[0],
			     "warden: the default; a command line may replace it"),
			     "run.command %s", profile->run.command[0]);
	if (!result && profile->run.directory[0])
		result = add(builder, seen(profile, profile->run.directory,
			     "chdir in the agent's mount view"),
			     "run.directory %s", profile->run.directory);
	if (!result)
		result = add(builder, "an environment built from nothing",
			     "run.environment %u set, %u passed on",
			     profile->run.environment_count,
			     profile->run.pass_environment_count);
	if (!result && profile->run.lifetime == PROFILE_UNLIMITED)
		result = add(builder, NONE, "run.lifetime unlimited");
	else if (!result) {
		word_print_duration(profile->run.lifetime, text);
		result = add(builder, "timer of the warden, cgroup.kill",
			     "run.lifetime %s", text);
	}
	word_print_duration(profile->run.grace, text);
	if (!result)
		result = add(builder, "SIGTERM, then cgroup.kill", "run.grace %s",
			     text);
	return result;
}

/* A limit that a cgroup controller holds. */
static int add_controlled(struct builder *builder, const char *clause,
			  const char *controller, const char *mechanism,
			  int limited, int there)
{
	char why[256];

	int result = limited || there ?
			     add(builder, limited ? mechanism : NONE, "%s", clause) :
			     add(builder, "not limited; a limit would need a "
				 "controller that this node lacks", "%s", clause);
	if (result < 0 || !limited)
		return result;
	snprintf(why, sizeof(why), "cgroup controller %s is missing", controller);
	refuse_unless(builder, there, why);
	return 0;
}

static int add_limits(struct builder *builder)
{
	const struct profile *profile = builder->profile;
	const struct plan_layers *layers = builder->layers;
	char text[WORD_SIZE] = "unlimited", clause[96];
	int limited = profile->limits.memory != PROFILE_UNLIMITED;

	if (limited)
		word_print_size(profile->limits.memory, text);
	snprintf(clause, sizeof(clause), "limits.memory %s", text);
	int result = add_controlled(builder, clause, "memory",
				    "memory.max, memory.swap.max 0",
				    limited,
				    layers->memory_controller);
	limited = profile->limits.cpu != PROFILE_UNLIMITED;
	if (limited)
		snprintf(clause, sizeof(clause), "limits.cpu %llu%%",
			 (unsigned long long)profile->limits.cpu);
	else
		snprintf(clause, sizeof(clause), "limits.cpu unlimited");
	if (!result)
		result = add_controlled(builder, clause, "cpu", "cpu.max", limited,
					layers->cpu_controller);
	if (!result)
		result = add(builder, layers->pids_controller ? "pids.max" :
			     "RLIMIT_NPROC of the agent's own uid",
			     "limits.processes %llu",
			     (unsigned long long)profile->limits.processes);
	if (!result)
		result = add(builder, "RLIMIT_NOFILE", "limits.open-files %llu",
			     (unsigned long long)profile->limits.open_files);
	limited = profile->limits.file_size != PROFILE_UNLIMITED;
	snprintf(text, sizeof(text), "unlimited");
	if (limited)
		word_print_size(profile->limits.file_size, text);
	if (!result)
		result = add(builder, limited ? "RLIMIT_FSIZE" : NONE,
			     "limits.file-size %s", text);
	return result;
}

static int add_files(struct builder *builder)
{
	static const char lacking[] = "id-mapped mounts are missing on this node";
	const struct profile *profile = builder->profile;
	int held = builder->layers->idmapped_mounts;

	int result = add(builder, "own mount namespace, read-only, nosuid, nodev; "
			 "Landlock", "files.system %s",
			 profile->files.system == PROFILE_SYSTEM_NONE ? "none" :
									"standard");
	for (unsigned i = 0; i < profile->files.read_count && !result; i++) {
		result = add(builder, "id-mapped mount, read-only; Landlock",
			     "files.read %s", profile->files.read[i]);
		if (!result)
			refuse_unless(builder, held, lacking);
	}
	for (unsigned i = 0; i < profile->files.write_count && !result; i++) {
		result = add(builder, "id-mapped mount, noexec unless listed; "
			     "Landlock", "files.write %s",
			     profile->files.write[i]);
		if (!result)
			refuse_unless(builder, held, lacking);
	}
	for (unsigned i = 0; i < profile->files.execute_count && !result; i++)
		result = add(builder, "mount without noexec; Landlock",
			     "files.execute %s", profile->files.execute[i]);
	return result;
}

static int add_syscalls(struct builder *builder)
{
	const struct profile *profile = builder->profile;
	const struct plan_layers *layers = builder->layers;

	int result = add(builder, "seccomp allow-list; foreign ABIs are killed",
			 "syscalls %s, %u allowed, %u denied",
			 profile->syscalls.base, profile->syscalls.allow_count,
			 profile->syscalls.deny_count);
	if (!result)
		result = add(builder, layers->memfd_noexec ?
			     "vm.memfd_noexec, MFD_EXEC refused by seccomp" :
			     "memfd_create refused by seccomp",
			     "no executable memory files");
	if (!result && !layers->unix_hook)
		result = add(builder, "unix sockets refused by seccomp, but for "
			     "socketpair", "no unix sockets of others");
	return result;
}

static void print_endpoint(const struct profile_endpoint *endpoint,
			   char *text, size_t size)
{
	char ports[WORD_SIZE];
	size_t used = (size_t)snprintf(text, size, "to %s", endpoint->to);

	for (unsigned i = 0; i < endpoint->port_count && used < size; i++) {
		word_print_ports(endpoint->ports[i], ports);
		used += (size_t)snprintf(text + used, size - used, "%s%s",
					 i ? "," : " ports ", ports);
	}
	if (endpoint->kind != PROFILE_ENDPOINT_UNIX && used < size)
		snprintf(text + used, size - used, " %s",
			 endpoint->protocol == PROFILE_UDP ? "udp" : "tcp");
}

/* Where the name may lead beside public addresses. */
static int add_addresses(struct builder *builder, unsigned index)
{
	const struct profile_endpoint *endpoint = &builder->profile->egress[index];
	int result = 0;

	for (unsigned i = 0; i < endpoint->address_count && !result; i++) {
		result = add(builder, "answers there are admitted for this entry; "
			     "other private ones are withheld",
			     "egress[%u] private answers in %s", index,
			     endpoint->addresses[i].text);
		if (!result)
			refuse_unless(builder, builder->layers->names, "names are not "
				      "resolved on this node");
	}
	return result;
}

static int add_endpoint(struct builder *builder, unsigned index)
{
	const struct profile_endpoint *endpoint = &builder->profile->egress[index];
	const struct plan_layers *layers = builder->layers;
	static const char *const mechanisms[] = {
		[PROFILE_ENDPOINT_ADDRESS] = "connect and sendmsg hooks, packet wall",
		[PROFILE_ENDPOINT_BLOCK] = "connect and sendmsg hooks, packet wall",
		[PROFILE_ENDPOINT_NAME] = "names resolved by the node; connect and "
					  "sendmsg hooks, packet wall",
		[PROFILE_ENDPOINT_UNIX] = "unix connect hook; the socket alone is "
					  "mounted",
	};
	char text[512];

	print_endpoint(endpoint, text, sizeof(text));
	int result = add(builder, mechanisms[endpoint->kind], "egress[%u] %s", index,
			 text);
	if (result < 0)
		return result;
	if (endpoint->kind == PROFILE_ENDPOINT_NAME)
		refuse_unless(builder, layers->names, "not yet enforceable: names "
			      "are not resolved on this node; give the address");
	if (endpoint->kind == PROFILE_ENDPOINT_UNIX) {
		refuse_unless(builder, layers->unix_hook,
			      "unix connect hook is missing: it needs kernel 6.7");
		refuse_unless(builder, layers->idmapped_mounts,
			      "id-mapped mounts are missing on this node");
	}
	if (endpoint->kind == PROFILE_ENDPOINT_UNIX && !last(builder)->refusal[0] &&
	    !strncmp(endpoint->to, "unix:/run/", 10))
		snprintf(last(builder)->mechanism, sizeof(last(builder)->mechanism),
			 "%s, by /var/run too", mechanisms[endpoint->kind]);
	result = add_addresses(builder, index);
	if (result < 0 || endpoint->tls != PROFILE_TLS_REQUIRED)
		return result;
	snprintf(text, sizeof(text), "packet wall: the first bytes must name it; "
		 "sendfile and splice refused by seccomp");
	remark_winners(builder->profile, index, text + strlen(text),
		       sizeof(text) - strlen(text));
	result = add(builder, text, "egress[%u] tls: required for %s", index,
		     endpoint->to);
	if (!result)
		refuse_unless(builder, layers->tls_names, "TLS server names can't be "
			      "pinned on this node: the proof at its start "
			      "failed; tls: off says so");
	return result;
}

static int add_network(struct builder *builder)
{
	const struct profile *profile = builder->profile;
	char text[WORD_SIZE];
	int result = 0;

	if (!profile->egress_count)
		result = add(builder, "connect and sendmsg hooks, packet wall: all "
			     "is refused", "egress none");
	for (unsigned i = 0; i < profile->egress_count && !result; i++)
		result = add_endpoint(builder, i);
	if (!result)
		result = add(builder, "connect and sendmsg hooks, packet wall",
			     "node, link-local and metadata addresses only if named");
	if (!profile->listen_count && !result)
		result = add(builder, builder->plan->listens ?
			     "bind hook, packet wall" :
			     "listen refused by seccomp; bind hook, packet wall",
			     "listen none");
	for (unsigned i = 0; i < profile->listen_count && !result; i++) {
		word_print_listen(&profile->listen[i], text);
		result = add(builder, "bind hook, packet wall",
			     "listen[%u] %s%s", i, text,
			     profile->listen[i].anywhere ? "" : " on loopback");
	}
	return result;
}

static int add_tail(struct builder *builder)
{
	const struct profile *profile = builder->profile;
	char text[WORD_SIZE], mechanism[160];
	int result = 0;

	for (unsigned i = 0; i < profile->credential_count && !result; i++) {
		const struct profile_credential *at = &profile->credentials[i];
		int token = at->type == PROFILE_JWT_SVID;
		word_print_duration(at->ttl, text);
		result = add(builder, "issuer signs, porter delivers and renews, "
			     "dismissed at the end", "credentials.%s %s%s%s ttl %s",
			     at->name, token ? "jwt-svid" : "x509-svid",
			     token ? " for " : "", at->audience, text);
	}
	for (unsigned i = 0; i < profile->exception_count && !result; i++) {
		const struct profile_exception *at = &profile->exceptions[i];
		snprintf(mechanism, sizeof(mechanism),
			 "documentation: in force until %04u-%02u-%02u",
			 at->until.year, at->until.month, at->until.day);
		result = add(builder, mechanism, "exceptions[%u] %s", i, at->what);
	}
	return result;
}

static int has_pins(const struct profile *profile)
{
	for (unsigned i = 0; i < profile->egress_count; i++)
		if (profile->egress[i].tls == PROFILE_TLS_REQUIRED)
			return 1;
	return 0;
}

/* What ambit-init calls between loading the command's filters and execve, which no
 * profile can do without: it waits for the launch and takes the terminal. */
static int permits_waiting(const struct filter_rule *allow, size_t count)
{
	static const char *const calls[] = { "futex", "ioctl" };
	size_t found = 0;

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		for (size_t j = 0; j < count; j++)
			if (!strcmp(allow[j].call, calls[i]) &&
			    !allow[j].conditions[0].used) {
				found++;
				break;
			}
	return found == sizeof(calls) / sizeof(*calls);
}

static int compile(struct builder *builder)
{
	const struct syscalls_node node = {
		.memory_files = builder->layers->memfd_noexec,
		.unix_sockets = builder->layers->unix_hook,
	};
	OWN_MEMORY struct filter_rule *allow = NULL;
	size_t count = 0, refusals = 0;

	int result = syscalls_compose(builder->profile, &node, &allow, &count,
				      builder->error);
	if (result < 0)
		return result;
	for (size_t i = 0; i < count; i++)
		builder->plan->listens |= !strcmp(allow[i].call, "listen");
	builder->plan->filter_ahead = permits_waiting(allow, count);
	const struct filter_rule *refuse =
		syscalls_refusals(has_pins(builder->profile), &refusals);
	result = filter_compile(allow, count, refuse, refusals,
				&builder->plan->filter, builder->error);
	if (result < 0)
		return result;
	return policy_fill(builder->profile,
			   &builder->plan->policy, builder->error);
}

static void summarise(const struct builder *builder)
{
	const struct profile *profile = builder->profile;
	struct plan *plan = builder->plan;

	snprintf(plan->summary, sizeof(plan->summary),
		 "%zu clauses, %zu refused; egress: %u entries, %u rules; listen: %u "
		 "entries; files: %u read, %u write, %u execute; credentials: %u; "
		 "system calls: %.63s, %u allowed, %u denied; processes: %s; "
		 "exceptions: %u", plan->row_count, plan->refused,
		 profile->egress_count, (unsigned)plan->policy.rule_count,
		 profile->listen_count, profile->files.read_count,
		 profile->files.write_count, profile->files.execute_count,
		 profile->credential_count, profile->syscalls.base,
		 profile->syscalls.allow_count, profile->syscalls.deny_count,
		 builder->layers->pids_controller ? "pids.max" : "RLIMIT_NPROC",
		 profile->exception_count);
}

int plan_build(const struct profile *profile, const struct plan_layers *layers,
	       struct plan **ret_plan, struct error *error)
{
	/* Compiled first: what is in the filter decides on rows. */
	static int (*const parts[])(struct builder *builder) = {
		compile, add_layers, add_run, add_limits, add_files, add_syscalls,
		add_network, add_tail,
	};
	struct builder builder = { profile, layers, NULL, 0, error };
	int result = 0;

	builder.plan = calloc(1, sizeof(*builder.plan));
	if (!builder.plan)
		return error_errno(error, ENOMEM, "plan");
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts) && !result; i++)
		result = parts[i](&builder);
	if (result < 0) {
		plan_free(builder.plan);
		return result;
	}
	summarise(&builder);
	*ret_plan = builder.plan;
	return 0;
}

const struct plan_row *plan_refusal(const struct plan *plan)
{
	for (size_t i = 0; i < plan->row_count; i++)
		if (plan->rows[i].refusal[0])
			return &plan->rows[i];
	return NULL;
}

void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	free(plan->rows);
	filter_release(&plan->filter);
	free(plan);
}
