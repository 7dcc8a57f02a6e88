/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proof of layers: see layers.h.  A list of features that the kernel prints is
 * no proof (the LSM list names bpf where its programs are refused), so each row
 * is tried in a child that only serves for that.
 */
#include "layers.h"

#include "base/own.h"
#include "idmap.h"
#include "root.h"

#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define LANDLOCK_VERSION 1	/* flag of landlock_create_ruleset */
#define LANDLOCK_READ_DIR (1ULL << 3)

/* Runs `attempt` in a child.  1 when it returned 0 there. */
static int in_child(int (*attempt)(void))
{
	pid_t child = fork();

	if (child == 0)
		_exit(attempt() ? 1 : 0);
	int status;
	return child > 0 && waitpid(child, &status, 0) == child &&
	       WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* A filter that refuses getppid must make getppid fail, and nothing else. */
static int try_seccomp(void)
{
	static const struct filter_rule allow[] = {
		{ .call = "getuid" }, { .call = "seccomp" }, { .call = "prctl" },
		{ .call = "exit_group" },
	};
	struct filter filter = { { 0, NULL }, { 0, NULL } };
	struct error error = { 0 };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    filter_compile(allow, 4, NULL, 0, &filter, &error) < 0 ||
	    filter_load(&filter) < 0)
		return -1;
	errno = 0;
	int refused = syscall(SYS_getppid) < 0 && errno == EPERM;
	return refused && syscall(SYS_getuid) == 0 ? 0 : -1;
}

/* A domain that handles reading directories and allows none must refuse "/". */
static int try_landlock(void)
{
	uint64_t handled = LANDLOCK_READ_DIR;
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled,
				   sizeof(handled), 0);

	if (ruleset < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return -1;
	int fd = open("/", O_RDONLY | O_DIRECTORY);
	return fd < 0 && errno == EACCES ? 0 : -1;
}

static int try_idmapped(const struct warden *warden)
{
	struct error error = { 0 };
	int namespace, fd;

	OWN_FD directory = open(warden->config.state,
				O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0 ||
	    idmap_namespace(warden->config.uid_first + AMBIT_UID_AGENTS, 0, 0,
			    &namespace, &error) < 0 ||
	    root_listed(directory, namespace, 0, 0, &fd, &error) < 0)
		return 0;
	close(fd);
	return 1;
}

static const struct {
	const char *name, *how;
	int required;
	size_t offset;
} rows[] = {
#define HOW_cgroup_hooks "denied TCP connect, Fast Open and UDP send in a " \
			 "scratch cgroup, with their records"
#define HOW_packet_wall "the same without the agent's programs, held by the " \
			"parent's"
#define HOW_seccomp "a filtered call failed in a child"
#define HOW_landlock "a directory outside the domain was refused in a child"
#define HOW_unix_hook "denied unix connect in a scratch cgroup, with its record"
#define HOW_abstract_scope "Landlock ABI 6 or later"
#define HOW_memory_controller "looked for among those of the agents' cgroup"
#define HOW_pids_controller "looked for among those of the agents' cgroup"
#define HOW_cpu_controller "looked for among those of the agents' cgroup"
#define HOW_idmapped_mounts "the state directory was mounted id-mapped"
#define HOW_memfd_noexec "the setting exists; it is written for each agent"
#define HOW_names "in a scratch cgroup an unlisted name was refused and recorded"
#define HOW_tls_names "in a scratch cgroup a hello for another name was dropped, " \
		      "recorded and its socket destroyed, the right one passed"
#define LAYER_ROW(member, word, required) \
	{ word, HOW_##member, required, offsetof(struct plan_layers, member) },
	PLAN_LAYERS(LAYER_ROW)
#undef LAYER_ROW
};

int layers_row(const struct warden *warden, size_t index,
	       struct layer *ret_layer)
{
	if (index >= sizeof(rows) / sizeof(*rows))
		return 0;
	ret_layer->name = rows[index].name;
	ret_layer->how = rows[index].how;
	ret_layer->required = rows[index].required;
	ret_layer->proven =
		((const uint8_t *)&warden->layers)[rows[index].offset];
	return 1;
}

int layers_prove(struct warden *warden, struct error *error)
{
	struct plan_layers *layers = &warden->layers;
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
			   LANDLOCK_VERSION);

	warden->landlock_abi = abi > 0 ? (uint32_t)abi : 0;
	layers->seccomp = (uint8_t)in_child(try_seccomp);
	if (!layers->seccomp)
		return error_set(error, ENOTSUP,
				 "seccomp: a filtered call was not refused");
	layers->landlock = abi > 0 && in_child(try_landlock);
	if (!layers->landlock)
		return error_set(error, ENOTSUP,
				 "Landlock: this kernel does not enforce it "
				 "(add landlock to the lsm= list)");
	layers->abstract_scope = warden->landlock_abi >= 6;
	layers->idmapped_mounts = (uint8_t)try_idmapped(warden);
	layers->memfd_noexec = access("/proc/sys/vm/memfd_noexec", F_OK) == 0;
	layers->memory_controller = warden->cgroups.memory;
	layers->pids_controller = warden->cgroups.pids;
	layers->cpu_controller = warden->cgroups.cpu;
	return 0;
}
