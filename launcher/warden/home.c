/* SPDX-License-Identifier: Apache-2.0 */
/* The warden's own mount namespace: see home.h. */
#include "home.h"

#include "base/own.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

static int own = -1;		/* the namespace */
static int chrooted = -1;	/* our root in it; -1: the namespace's own */

static int enter_root(int root)
{
	return fchdir(root) < 0 || chroot(".") < 0 || chdir("/") < 0 ? -errno : 0;
}

int home_top(void)
{
	OWN_FD here = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	return here < 0 || setns(here, CLONE_NEWNS) < 0 ? -errno : 0;
}

/* 1 if `root` is the directory that "/" is now, in the same mount. */
static int is_top(int root)
{
	struct statx one, other;

	return statx(root, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &one) == 0 &&
	       statx(AT_FDCWD, "/", 0, STATX_INO | STATX_MNT_ID, &other) == 0 &&
	       one.stx_ino == other.stx_ino && one.stx_mnt_id == other.stx_mnt_id;
}

/* The mounts are told apart at the top: in a chroot whose root is no mount the
 * kernel would refuse it. */
int home_make(struct error *error)
{
	if (unshare(CLONE_NEWNS) < 0)
		return error_errno(error, errno, "mount namespace");
	own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	OWN_FD root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (own < 0 || root < 0)
		return error_errno(error, errno, "mount namespace");
	int failed = home_top();
	if (!failed && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		failed = -errno;
	if (failed)
		return error_errno(error, -failed, "mount namespace");
	if (is_top(root))
		return 0;
	failed = enter_root(root);
	if (failed)
		return error_errno(error, -failed, "mount namespace");
	chrooted = own_take_fd(&root);
	return 0;
}

void home_return(void)
{
	if (setns(own, CLONE_NEWNS) < 0 ||
	    (chrooted >= 0 && enter_root(chrooted) < 0))
		abort();
}

int home_out(void)
{
	return chrooted < 0 ? 0 : home_top();
}

void home_in(void)
{
	if (chrooted >= 0)
		home_return();
}

int home_leave(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	OWN_FD namespace = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	OWN_FD root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (namespace < 0 || root < 0 || setns(namespace, CLONE_NEWNS) < 0)
		return -errno;
	return enter_root(root);
}
