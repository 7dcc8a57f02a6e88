/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine seems to offer: see detect.h.  Used by main.c only; the one
 * file of this folder, with main.c, that makes system calls. */
#include "detect.h"

#include "../base/own.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#define LANDLOCK_VERSION 1	/* flag of landlock_create_ruleset */

static int kernel_at_least(unsigned major, unsigned minor)
{
	struct utsname name;
	unsigned has_major, has_minor;

	if (uname(&name) < 0 ||
	    sscanf(name.release, "%u.%u", &has_major, &has_minor) != 2)
		return 0;
	return has_major > major || (has_major == major && has_minor >= minor);
}

/* The mount point of cgroup2, which may be a second tree on a hybrid host. */
static int cgroup_root(char path[512])
{
	OWN_FILE *mounts = fopen("/proc/self/mountinfo", "re");
	char line[4096];

	while (mounts && fgets(line, sizeof(line), mounts)) {
		const char *type = strstr(line, " - cgroup2 ");
		if (type && sscanf(line, "%*s %*s %*s / %511s", path) == 1)
			return 1;
	}
	return 0;
}

static int has_controller(const char *root, const char *name)
{
	char path[560], list[256] = "";

	snprintf(path, sizeof(path), "%s/cgroup.controllers", root);
	OWN_FILE *file = fopen(path, "re");
	if (!file || !fgets(list, sizeof(list), file))
		return 0;
	for (const char *at = list; *at;) {
		size_t length = strcspn(at, " \n");
		if (length == strlen(name) && !strncmp(at, name, length))
			return 1;
		at += length + (at[length] != 0);
	}
	return 0;
}

void detect_layers(struct plan_layers *ret_layers)
{
	long landlock = syscall(SYS_landlock_create_ruleset, NULL, 0,
				LANDLOCK_VERSION);
	char root[512];
	int cgroups = cgroup_root(root);

	*ret_layers = (struct plan_layers){
		.cgroup_hooks = cgroups && kernel_at_least(6, 1),
		.packet_wall = cgroups && kernel_at_least(6, 1),
		.seccomp = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0,
		.landlock = landlock > 0,
		.unix_hook = cgroups && kernel_at_least(6, 7),
		.abstract_scope = landlock >= 6,
		.memory_controller = cgroups && has_controller(root, "memory"),
		.pids_controller = cgroups && has_controller(root, "pids"),
		.cpu_controller = cgroups && has_controller(root, "cpu"),
		.idmapped_mounts = kernel_at_least(5, 12) != 0,
		.memfd_noexec = !access("/proc/sys/vm/memfd_noexec", F_OK),
		/* If the node knows a resolver. */
		.names = cgroups && kernel_at_least(6, 1),
		.tls_names = cgroups && kernel_at_least(6, 1),
	};
}
