/* SPDX-License-Identifier: Apache-2.0 */
/* The node's places: see node.h. */
#include "node.h"

#include "agents.h"
#include "base/own.h"
#include "base/walls.h"
#include "files.h"
#include "home.h"
#include "profile/sets.h"
#include "root.h"
#include "state.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* What process 1 of an agent may once the command runs: reap, pass signals on,
 * report the end. */
static const struct filter_rule init_calls[] = {
	{ .call = "rt_sigtimedwait" }, { .call = "rt_sigreturn" },
	{ .call = "wait4" },	       { .call = "kill" },
	{ .call = "write" },	       { .call = "sendmsg" },
	{ .call = "exit_group" },
	/* What loading the filter itself, and the C library on the way out,
	 * still call. */
	{ .call = "seccomp" },	       { .call = "restart_syscall" },
};

static int make_path(const char *path, mode_t mode, struct error *error)
{
	char part[PATH_MAX];

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = 0;
		int made = mkdir(part, 0755);
		*slash = '/';
		if (made < 0 && errno != EEXIST)
			return error_errno(error, errno, "%s", path);
	}
	if (mkdir(part, mode) < 0 && errno != EEXIST)
		return error_errno(error, errno, "%s", path);
	return 0;
}

static int is_mounted(const char *path, long magic)
{
	struct statfs system;
	struct stat here, above;
	OWN_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && fstatfs(fd, &system) == 0 && system.f_type == magic &&
	       fstat(fd, &here) == 0 && fstatat(fd, "..", &above, 0) == 0 &&
	       here.st_dev != above.st_dev;
}

/* A mount that a restarted warden finds again; nothing on it is for others. */
static int mount_once(const struct warden *warden, const char *name,
		      const char *type, long magic, const char *options,
		      struct error *error)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", warden->config.run, name);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_errno(error, errno, "%s", path);
	if (is_mounted(path, magic))
		return 0;
	if (mount(type, path, type, MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  options) == 0)
		return 0;
	return error_errno(error, errno, "%s", path);
}

/* Credentials must not reach a disk: noswap is known from 6.4 on; where it is
 * not, the tmpfs is refused only if there is swap. */
static int mount_instances(const struct warden *warden, struct error *error)
{
	struct error first = { 0 };

	if (mount_once(warden, "instances", "tmpfs", TMPFS_MAGIC,
		       "mode=0700,size=256m,noswap", &first) == 0)
		return 0;
	OWN_FILE *swaps = fopen("/proc/swaps", "re");
	char line[256];
	int lines = 0;
	while (swaps && fgets(line, sizeof(line), swaps))
		lines++;
	if (!swaps || lines > 1)
		return error_set(error, ENOTSUP, "credentials: this kernel can't "
				 "keep a file system in memory (noswap), and swap "
				 "is on; turn it off");
	return mount_once(warden, "instances", "tmpfs", TMPFS_MAGIC,
			  "mode=0700,size=256m", error);
}

#define LOCK_TRIES 5
#define LOCK_TRY_MS 10

/* Two wardens would undo each other's agents.  Held until the process ends. */
static int take_lock(struct warden *warden, struct error *error)
{
	char path[PATH_MAX];
	struct stat status;

	snprintf(path, sizeof(path), "%s/warden.lock", warden->config.run);
	OWN_FD lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock < 0)
		return error_errno(error, errno, "%s", path);
	int taken = flock(lock, LOCK_EX | LOCK_NB) == 0;
	/* A client that looks whether a node lives holds it for a moment. */
	for (int i = 0; i < LOCK_TRIES && !taken; i++) {
		poll(NULL, 0, LOCK_TRY_MS);
		taken = flock(lock, LOCK_EX | LOCK_NB) == 0;
	}
	/* One that is unlinked was that of a node which ended meanwhile. */
	if (!taken || fstat(lock, &status) < 0 || !status.st_nlink)
		return error_set(error, EBUSY, "%s: another node runs here", path);
	own_take_fd(&lock);
	warden->locked = 1;
	return 0;
}

static int open_places(struct warden *warden, struct error *error)
{
	char path[PATH_MAX];
	const char *log = warden->config.log;

	snprintf(path, sizeof(path), "%.*s", (int)(strrchr(log, '/') - log), log);
	int failed = make_path(warden->config.run, 0755, error);
	if (!failed)
		failed = make_path(warden->config.state, 0700, error);
	if (!failed && *path)
		failed = make_path(path, 0755, error);
	if (failed)
		return failed;
	failed = take_lock(warden, error);
	if (!failed)
		failed = mount_once(warden, "bpf", "bpf", BPF_FS_MAGIC,
				    "mode=0700", error);
	return failed ? failed : mount_instances(warden, error);
}

/* The prepared roots are mounted where only the warden sees them, so that they
 * go when it does.  Mounts of the host still arrive. */
static int open_namespaces(struct warden *warden, struct error *error)
{
	char path[PATH_MAX];

	int failed = home_make(error);
	if (failed)
		return failed;
	snprintf(path, sizeof(path), "%s/roots", warden->config.run);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_errno(error, errno, "%s", path);
	snprintf(path, sizeof(path), "%s/instances", warden->config.run);
	warden->instances = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (warden->instances < 0)
		return error_errno(error, errno, "%s", path);
	snprintf(path, sizeof(path), "%s/ambit-init", warden->config.libexec);
	warden->init_fd = open(path, O_PATH | O_CLOEXEC);
	if (warden->init_fd < 0)
		return error_errno(error, errno, "%s", path);
	return root_empty_namespace(&warden->empty_namespace, error);
}

/* One cgroup parent per node: nodes that AMBIT_ROOT keeps apart have their
 * own. */
static void cgroup_name(const struct config *config, char *ret_name, size_t size)
{
	uint32_t hash = 2166136261U;	/* FNV-1a */

	for (const char *at = config->root; *at; at++)
		hash = (hash ^ (unsigned char)*at) * 16777619U;
	if (config->root[0])
		snprintf(ret_name, size, "ambit-%08x", hash);
	else
		snprintf(ret_name, size, "ambit");
}

/* When memory runs out, agents go first and these processes late.  Where root may
 * not say so (CAP_SYS_RESOURCE), they go as others do. */
static void stay_late(void)
{
	OWN_FD fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "-900", 4) != 4)
		return;
}

int node_open(struct warden *warden, struct error *error)
{
	char name[64], pins[PATH_MAX];
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	stay_late();
	int failed = open_places(warden, error);
	if (!failed)
		failed = open_namespaces(warden, error);
	if (!failed)
		failed = filter_compile(init_calls,
					sizeof(init_calls) / sizeof(*init_calls),
					NULL, 0, &warden->init_filter, error);
	if (failed)
		return failed;
	cgroup_name(&warden->config, name, sizeof(name));
	failed = cgroup_open(name, &warden->cgroups, error);
	if (failed)
		return failed;
	snprintf(pins, sizeof(pins), "%s/bpf", warden->config.run);
	failed = kernel_open(pins, &warden->kernel, error);
	if (!failed)
		failed = kernel_wall(warden->kernel, warden->cgroups.fd, error);
	if (!failed)
		failed = state_open(warden, error);
	return failed;
}

static void unmount(const struct warden *warden, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", warden->config.run, name);
	umount2(path, MNT_DETACH);
	rmdir(path);
}

/* Mount points of roots that were prepared in namespaces that are gone. */
static void remove_roots(const struct warden *warden)
{
	char path[PATH_MAX];
	const struct dirent *entry;

	snprintf(path, sizeof(path), "%s/roots", warden->config.run);
	OWN_DIR *directory = opendir(path);
	while (directory && (entry = readdir(directory)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR);
	rmdir(path);
}

static void remove_file(const struct warden *warden, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", warden->config.run, name);
	unlink(path);
}

/* The mounts are the host's, so they are taken down in its namespace: that of
 * the process which started the warden. */
void node_close(struct warden *warden)
{
	static const char *const leftover[] = { "audit", "warden.lock" };
	struct error ignored = { 0 };

	if (warden->kernel)
		kernel_unpin(warden->kernel, &ignored);
	kernel_close(warden->kernel);
	cgroup_close(&warden->cgroups);
	own_close(&warden->instances);
	own_close(&warden->states);
	if (home_leave(getppid()) < 0)
		fprintf(stderr, "ambitd: the mounts of %s are left\n",
			warden->config.run);
	unmount(warden, "bpf");
	unmount(warden, "instances");
	remove_roots(warden);
	for (size_t i = 0; i < sizeof(leftover) / sizeof(*leftover); i++)
		remove_file(warden, leftover[i]);
}

/* Agents of an earlier warden may live on what it mounted: their state says so. */
static int has_agents(const struct warden *warden)
{
	char path[PATH_MAX];
	const struct dirent *entry;

	snprintf(path, sizeof(path), "%s/instances/.agents", warden->config.run);
	OWN_DIR *directory = opendir(path);
	while (directory && (entry = readdir(directory)))
		if (entry->d_name[0] != '.')
			return 1;
	return 0;
}

void node_abandon(struct warden *warden)
{
	/* What is there is another node's, or nothing is. */
	if (warden->locked && !has_agents(warden))
		node_close(warden);
}

static int known(struct warden *warden, const char *id)
{
	static const char *const own[] = { "recorder", "issuer", "porter" };
	struct agent *agent;

	for (int i = 0; i < SERVICES; i++)
		if (!strcmp(id, own[i]))
			return 1;
	AGENTS_EACH(warden, agent)
		if (!strcmp(agent->id, id))
			return 1;
	return 0;
}

/* A launch that nobody finishes: its process is killed, its marks removed. */
static void sweep_one(struct warden *warden, const char *id)
{
	struct agent left = { .warden = warden, .cgroup = -1, .mounts = -1 };
	struct error ignored = { 0 };

	snprintf(left.id, sizeof(left.id), "%s", id);
	if (cgroup_make(&warden->cgroups, id, 1, &left.cgroup, &left.cgroup_id,
			&ignored) == 0) {
		cgroup_end(left.cgroup);
		kernel_detach(warden->kernel, left.cgroup_id, &ignored);
		own_close(&left.cgroup);
		cgroup_remove(&warden->cgroups, id);
	}
	files_discard(&left);
}

static int sweep_directory(struct warden *warden, int fd, struct error *error)
{
	OWN_DIR *directory = fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 3));
	const struct dirent *entry;

	if (!directory)
		return error_errno(error, errno, "sweep");
	rewinddir(directory);
	while ((entry = readdir(directory)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
		    !known(warden, entry->d_name))
			sweep_one(warden, entry->d_name);
	return 0;
}

int node_sweep(struct warden *warden, struct error *error)
{
	int failed = sweep_directory(warden, warden->cgroups.fd, error);

	if (!failed)
		failed = sweep_directory(warden, warden->instances, error);
	if (failed)
		return failed;
	failed = cgroup_settle(&warden->cgroups);
	return failed ? error_errno(error, -failed, "sweep: /proc") : 0;
}

static int holds(cap_flag_t set, cap_value_t capability)
{
	cap_t own = cap_get_proc();
	cap_flag_value_t value = CAP_CLEAR;

	if (own)
		cap_get_flag(own, capability, set, &value);
	cap_free(own);
	return value == CAP_SET;
}

#define BIT(capability) (1ULL << (capability))

/* Of what no profile may add, the calls that the warden and ambit-init make. */
static const char *const own_calls[] = {
	"mount", "umount2", "pivot_root", "move_mount", "open_tree",
	"mount_setattr", "chroot", "bpf", "setns", "unshare", "clone3",
	"name_to_handle_at", "keyctl", "sethostname",
};

static int is_own_call(const char *call)
{
	for (size_t i = 0; i < sizeof(own_calls) / sizeof(*own_calls); i++)
		if (!strcmp(call, own_calls[i]))
			return 1;
	return 0;
}

/*
 * Filters are inherited, and a profile may allow its agent nearly any call: so this
 * one takes away what no profile may add, but for what a launch itself needs.
 * Neither loading modules nor a new kernel, io_uring, perf, the swap or the clock.
 */
static int refuse_calls(struct error *error)
{
	struct filter_rule rules[128];
	size_t count = 0;

	for (size_t i = 0; i < sets_never_count; i++) {
		if (is_own_call(sets_never[i].call))
			continue;
		if (count == sizeof(rules) / sizeof(*rules))
			return error_set(error, E2BIG, "filter: too many calls");
		rules[count++] = (struct filter_rule){
			.call = sets_never[i].call, .error = EPERM };
	}
	return filter_refuse(rules, count, error);
}

/* What the warden needs to start, bound and end agents. */
int node_walls(struct error *error)
{
	struct walls walls = {
		.uid = (uid_t)-1,
		.capabilities =
			BIT(CAP_SYS_ADMIN) |	/* mounts, namespaces, cgroups */
			BIT(CAP_BPF) | BIT(CAP_NET_ADMIN) |	/* attaching */
			BIT(CAP_PERFMON) |	/* loading after a restart */
			BIT(CAP_SYS_CHROOT) |	/* setns, pivot_root */
			BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_SETPCAP) |
			BIT(CAP_SETFCAP) |	/* mapping uid 0 (5.12) */
			BIT(CAP_CHOWN) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) |
			BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) |
			BIT(CAP_MKNOD) |	/* /dev of prepared roots */
			BIT(CAP_KILL) | BIT(CAP_SYS_PTRACE) |	/* other uids */
			BIT(CAP_SYS_RESOURCE),	/* limits; who goes first when
						 * memory runs out */
	};

	/* Where root itself lacks one (containers without CAP_SYS_RESOURCE), what
	 * needs it fails by name when it is needed. */
	for (int capability = 0; capability < 64; capability++)
		if (walls.capabilities & BIT(capability) &&
		    !holds(CAP_PERMITTED, capability))
			walls.capabilities &= ~BIT(capability);
	int failed = walls_enter(&walls, error);
	return failed ? failed : refuse_calls(error);
}
