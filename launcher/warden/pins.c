/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading, pinning and taking over the kernel programs: see pins.h.  The only
 * includer of the skeleton.
 */
#include "pins.h"

#include "base/own.h"

/* Generated code casts const away. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#include "ambit.skel.h"
#pragma GCC diagnostic pop

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

const struct hook pins_hooks[HOOKS] = {
#define HOOK_ROW(name, type, is_unix) { #name, type, is_unix },
	KERNEL_HOOKS(HOOK_ROW)
#undef HOOK_ROW
};

static const char *const sides[SIDES] = { "leaf", "wall" };

static const struct map_row {
	const char *name;
	uint32_t type, key_size, value_size, max_entries;
} maps[] = {
#define MAP_ROW(name, map, type, key, value, entries) \
	{ #map, BPF_MAP_TYPE_##type, key, value, entries },
	KERNEL_MAPS(MAP_ROW)
#undef MAP_ROW
};

/* The first thing that libbpf complains about is the cause. */
static char complaint[256];

static int keep_complaint(enum libbpf_print_level level, const char *format,
			  va_list arguments)
{
	if (level != LIBBPF_WARN || complaint[0])
		return 0;
	vsnprintf(complaint, sizeof(complaint), format, arguments);
	complaint[strcspn(complaint, "\n")] = 0;
	return 0;
}

void pins_program_name(enum side side, enum kernel_hook hook,
		       char ret_name[PROGRAM_NAME])
{
	snprintf(ret_name, PROGRAM_NAME, "%s_%s", sides[side],
		 pins_hooks[hook].name);
}

static void program_path(const struct kernel *kernel, enum side side,
			 enum kernel_hook hook, char ret_path[PATH_MAX])
{
	snprintf(ret_path, PATH_MAX, "%s/programs/%s_%s", kernel->pins,
		 sides[side], pins_hooks[hook].name);
}

static void map_path(const struct kernel *kernel, enum kernel_map map,
		     char ret_path[PATH_MAX])
{
	snprintf(ret_path, PATH_MAX, "%s/maps/%s", kernel->pins, maps[map].name);
}

static int unlink_pin(const char *path, struct error *error)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return error_errno(error, errno, "%s", path);
	return 0;
}

int pins_remove(const struct kernel *kernel, struct error *error)
{
	static const char *const directories[] = { "programs", "maps" };
	char path[PATH_MAX];
	int failed = 0;

	for (int side = 0; side < SIDES; side++)
		for (int i = 0; i < HOOKS && !failed; i++) {
			program_path(kernel, side, i, path);
			failed = unlink_pin(path, error);
		}
	/* Control last: while it is there, the rest is ours to remove. */
	for (int i = MAP_COUNT - 1; i >= 0 && !failed; i--) {
		map_path(kernel, i, path);
		failed = unlink_pin(path, error);
	}
	for (int i = 0; i < 2 && !failed; i++) {
		snprintf(path, sizeof(path), "%s/%s", kernel->pins,
			 directories[i]);
		if (rmdir(path) < 0 && errno != ENOENT)
			failed = error_errno(error, errno, "%s", path);
	}
	return failed;
}

/* ---- loading and pinning ---------------------------------------------------- */

static void set_unix_programs(struct ambit *object, int wanted)
{
	char name[PROGRAM_NAME];

	for (int side = 0; side < SIDES; side++)
		for (int i = 0; i < HOOKS; i++) {
			if (!pins_hooks[i].is_unix)
				continue;
			pins_program_name(side, i, name);
			struct bpf_program *program =
				bpf_object__find_program_by_name(object->obj,
								 name);
			bpf_program__set_type(program,
					      BPF_PROG_TYPE_CGROUP_SOCK_ADDR);
			bpf_program__set_expected_attach_type(
				program, pins_hooks[i].attach_type);
			bpf_program__set_autoload(program, wanted);
		}
}

static int load(int with_unix, struct ambit **ret_object, struct error *error)
{
	complaint[0] = 0;
	struct ambit *object = ambit__open();
	if (!object)
		return error_errno(error, errno, "kernel programs");
	set_unix_programs(object, with_unix);
	int failed = ambit__load(object);
	if (failed) {
		ambit__destroy(object);
		return error_errno(error, -failed, "kernel programs: %s",
				   complaint);
	}
	*ret_object = object;
	return 0;
}

static int take(struct kernel *kernel, struct ambit *object, struct error *error)
{
	char name[PROGRAM_NAME];

	for (int i = 0; i < MAP_COUNT; i++) {
		int fd = bpf_object__find_map_fd_by_name(object->obj,
							 maps[i].name);
		kernel->maps[i] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (kernel->maps[i] < 0)
			return error_errno(error, errno, "map %s", maps[i].name);
	}
	for (int side = 0; side < SIDES; side++)
		for (int i = 0; i < HOOKS; i++) {
			if (pins_hooks[i].is_unix && !kernel->has_unix)
				continue;
			pins_program_name(side, i, name);
			int fd = bpf_program__fd(
				bpf_object__find_program_by_name(object->obj,
								 name));
			fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
			if (fd < 0)
				return error_errno(error, errno, "program %s",
						   name);
			kernel->programs[side][i] = fd;
		}
	return 0;
}

static int pin(const struct kernel *kernel, struct error *error)
{
	char path[PATH_MAX];

	for (int i = 0; i < MAP_COUNT; i++) {
		map_path(kernel, i, path);
		if (bpf_obj_pin(kernel->maps[i], path) < 0)
			return error_errno(error, errno, "%s", path);
	}
	for (int side = 0; side < SIDES; side++)
		for (int i = 0; i < HOOKS; i++) {
			program_path(kernel, side, i, path);
			if (kernel->programs[side][i] >= 0 &&
			    bpf_obj_pin(kernel->programs[side][i], path) < 0)
				return error_errno(error, errno, "%s", path);
		}
	return 0;
}

int pins_write_control(struct kernel *kernel, int open, uint32_t version,
		       struct error *error)
{
	struct ambit_control control = { 0 };
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(kernel->maps[MAP_CONTROL], &zero, &control) < 0)
		return error_errno(error, errno, "map control");
	control.open = open != 0;
	control.version = version;
	if (bpf_map_update_elem(kernel->maps[MAP_CONTROL], &zero, &control, 0) < 0)
		return error_errno(error, errno, "map control");
	return 0;
}

static int create(struct kernel *kernel, struct error *error)
{
	struct error without = { 0 };
	struct ambit *object = NULL;
	char path[PATH_MAX];

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", kernel->pins,
			 i ? "programs" : "maps");
		if (mkdir(path, 0700) < 0)
			return error_errno(error, errno, "%s", path);
	}
	/* Whether the unix hooks are there is known when they load. */
	kernel->has_unix = load(1, &object, &without) == 0;
	int failed = kernel->has_unix ? 0 : load(0, &object, error);
	if (failed)
		return failed;
	failed = take(kernel, object, error);
	ambit__destroy(object);
	if (!failed)
		failed = pin(kernel, error);
	if (!failed)
		failed = pins_write_control(kernel, 1, AMBIT_KERNEL_VERSION, error);
	return failed;
}

/* ---- taking over -------------------------------------------------------------- */

static int adopt_map(struct kernel *kernel, enum kernel_map map, struct error *error)
{
	const struct map_row *row = &maps[map];
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);
	char path[PATH_MAX];

	map_path(kernel, map, path);
	if (kernel->maps[map] < 0)
		kernel->maps[map] = bpf_obj_get(path);
	if (kernel->maps[map] < 0)
		return error_set(error, ESTALE, "%s: %s", path, strerror(errno));
	if (bpf_obj_get_info_by_fd(kernel->maps[map], &info, &size) < 0)
		return error_errno(error, errno, "%s", path);
	if (info.type != row->type || info.key_size != row->key_size ||
	    info.value_size != row->value_size ||
	    info.max_entries != row->max_entries)
		return error_set(error, ESTALE,
				 "%s: made by another version", path);
	return 0;
}

static int adopt(struct kernel *kernel, struct error *error)
{
	char path[PATH_MAX];
	int failed = 0, unix_programs = 0, unix_hooks = 0;

	for (int i = 0; i < MAP_COUNT && !failed; i++)
		failed = adopt_map(kernel, i, error);
	for (int side = 0; side < SIDES && !failed; side++)
		for (int i = 0; i < HOOKS; i++) {
			program_path(kernel, side, i, path);
			kernel->programs[side][i] = bpf_obj_get(path);
			int there = kernel->programs[side][i] >= 0;
			unix_hooks += pins_hooks[i].is_unix;
			unix_programs += pins_hooks[i].is_unix && there;
			if (!there && !(pins_hooks[i].is_unix && errno == ENOENT))
				return error_set(error, ESTALE, "%s: %s", path,
						 strerror(errno));
		}
	if (!failed && unix_programs && unix_programs != unix_hooks)
		return error_set(error, ESTALE, "%s: unix programs are missing",
				 kernel->pins);
	kernel->has_unix = unix_programs > 0;
	return failed;
}

/* 1: a whole set of this version is pinned.  0: nothing is, or what a warden
 * left that died before it had pinned everything, hence before any attach; that
 * is removed. */
static int find_pins(struct kernel *kernel, struct error *error)
{
	struct ambit_control control = { 0 };
	char path[PATH_MAX];
	uint32_t zero = 0;
	struct stat status;

	map_path(kernel, MAP_CONTROL, path);
	kernel->maps[MAP_CONTROL] = bpf_obj_get(path);
	if (kernel->maps[MAP_CONTROL] < 0) {
		if (errno != ENOENT)
			return error_errno(error, errno, "%s", path);
		map_path(kernel, MAP_RING, path);
		if (stat(path, &status) == 0)
			return error_set(error, ESTALE,
					 "%s: the pinned set is not whole",
					 kernel->pins);
		return pins_remove(kernel, error);
	}
	int failed = adopt_map(kernel, MAP_CONTROL, error);
	if (failed)
		return failed;
	if (bpf_map_lookup_elem(kernel->maps[MAP_CONTROL], &zero, &control) < 0)
		return error_errno(error, errno, "%s", path);
	if (control.version == AMBIT_KERNEL_VERSION)
		return 1;
	if (control.version)
		return error_set(error, ESTALE,
				 "%s: version %u is pinned, this is %u: end that "
				 "version's agents with that version, or restart "
				 "the machine", kernel->pins, control.version,
				 AMBIT_KERNEL_VERSION);
	own_close(&kernel->maps[MAP_CONTROL]);
	return pins_remove(kernel, error);
}

static int check_directory(const char *path, struct error *error)
{
	struct statfs where;
	struct stat status;

	if (statfs(path, &where) < 0 || stat(path, &status) < 0)
		return error_errno(error, errno, "%s", path);
	if (where.f_type != BPF_FS_MAGIC)
		return error_set(error, EINVAL, "%s: not a bpf file system", path);
	if (status.st_uid != 0 || (status.st_mode & 077))
		return error_set(error, EPERM, "%s: open to others than root",
				 path);
	return 0;
}

static int read_ids(struct kernel *kernel, struct error *error)
{
	for (int side = 0; side < SIDES; side++)
		for (int i = 0; i < HOOKS; i++) {
			struct bpf_prog_info info = { 0 };
			uint32_t size = sizeof(info);
			int fd = kernel->programs[side][i];
			if (fd >= 0 &&
			    bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
				return error_errno(error, errno, "program %s",
						   pins_hooks[i].name);
			kernel->ids[side][i] = info.id;
		}
	return 0;
}

int pins_open(struct kernel *kernel, struct error *error)
{
	int failed = check_directory(kernel->pins, error);

	if (failed)
		return failed;
	libbpf_set_print(keep_complaint);
	int found = find_pins(kernel, error);
	if (found < 0)
		return found;
	failed = found ? adopt(kernel, error) : create(kernel, error);
	return failed ? failed : read_ids(kernel, error);
}
