/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock: a second wall behind the mounts.  It follows the task, not the mount.
 * Its port rules are left alone on purpose: the LSM hook runs before the cgroup
 * hook, so that a port it refused would never be recorded.
 *
 * Levels are data: each ABI adds rights to the handled ones (landlock(7)); the
 * header of Debian 12 knows ABI 2 only, so the numbers stand here.
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXECUTE (1ULL << 0)
#define WRITE_FILE (1ULL << 1)
#define READ_FILE (1ULL << 2)
#define READ_DIR (1ULL << 3)
#define CHANGE_TREE (0x1ff0ULL)	/* remove and make, bits 4..12 */
#define MAKE_DEVICES ((1ULL << 6) | (1ULL << 11))
#define REFER (1ULL << 13)	/* ABI 2, 5.19 */
#define TRUNCATE (1ULL << 14)	/* ABI 3, 6.2 */
#define IOCTL_DEV (1ULL << 15)	/* ABI 5, 6.10 */
#define ON_FILES (EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV)

#define SCOPE_ABSTRACT_UNIX (1ULL << 0)	/* ABI 6, 6.12 */
#define SCOPE_SIGNAL (1ULL << 1)

struct ruleset {
	uint64_t fs, net, scoped;
};

struct path_rule {
	uint64_t access;
	int32_t fd;
} __attribute__((packed));

#define RULE_PATH 1

/* What each ABI adds. */
static const struct ruleset levels[] = {
	{ 0, 0, 0 },
	{ EXECUTE | WRITE_FILE | READ_FILE | READ_DIR | CHANGE_TREE, 0, 0 },
	{ REFER, 0, 0 },
	{ TRUNCATE, 0, 0 },
	{ 0, 0, 0 },	/* TCP ports */
	{ IOCTL_DEV, 0, 0 },
	{ 0, 0, SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL },
};

#define LEVELS (sizeof(levels) / sizeof(*levels))

static struct ruleset handled(const struct ambit_start *start)
{
	struct ruleset all = { 0, 0, 0 };

	for (size_t abi = 0; abi <= start->landlock_abi && abi < LEVELS; abi++) {
		all.fs |= levels[abi].fs;
		all.net |= levels[abi].net;
		all.scoped |= levels[abi].scoped;
	}
	return all;
}

static uint64_t rights(uint32_t access)
{
	uint64_t all = 0;

	if (access & AMBIT_PLACE_READ)
		all |= READ_FILE | READ_DIR;
	if (access & AMBIT_PLACE_WRITE)
		all |= WRITE_FILE | TRUNCATE | REFER | IOCTL_DEV |
		       (CHANGE_TREE & ~MAKE_DEVICES);
	if (access & AMBIT_PLACE_EXECUTE)
		all |= EXECUTE;
	return all;
}

static int allow_place(int ruleset, uint64_t fs, const char *path,
		       uint32_t access)
{
	struct stat status;
	struct path_rule rule = { .access = rights(access) & fs };

	rule.fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.fd < 0)
		return -errno;
	int error = 0;
	if (fstat(rule.fd, &status) < 0)
		error = -errno;
	if (!error && !S_ISDIR(status.st_mode))
		rule.access &= ON_FILES;
	if (!error && syscall(SYS_landlock_add_rule, ruleset, RULE_PATH, &rule,
			      0) < 0)
		error = -errno;
	close(rule.fd);
	return error;
}

int landlock_enter(struct init *init)
{
	const struct ambit_start *start = init->start;
	struct ruleset all = handled(start);
	size_t size = start->landlock_abi >= 6 ? 24 :
		      start->landlock_abi >= 4 ? 16 : 8;
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
	if (ruleset < 0)
		return -errno;
	int error = 0;
	for (uint32_t i = 0; !error && i < start->place_count; i++)
		error = allow_place(ruleset, all.fs,
				    start_text(init, start->places[i].path),
				    start->places[i].access);
	if (!error && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		error = -errno;
	close(ruleset);
	return error;
}
