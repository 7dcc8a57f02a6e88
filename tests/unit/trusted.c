/* SPDX-License-Identifier: Apache-2.0 */
/* Trusted files: each way in which somebody else could have written one is
 * refused with its reason.  Needs root, to own files as root and as others. */
#include "base/trusted.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[] = "/tmp/ambit-trusted-XXXXXX";
static char at[256];

static const char *path(const char *name)
{
	snprintf(at, sizeof(at), "%s/%s", base, name);
	return at;
}

static void made(int result, const char *what)
{
	if (result < 0)
		bail_out("%s: %s: %s", what, at, strerror(errno));
}

static void put(const char *name, mode_t mode)
{
	int fd = open(path(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	made(fd, "open");
	made((int)write(fd, "text\n", 5), "write");
	made(fchmod(fd, mode), "chmod");
	close(fd);
}

static void refused(const char *name, int code, const char *why)
{
	struct error error = { 0 };
	size_t length = 0;
	char *text = NULL;

	is_int(trusted_read(path(name), 100, &text, &length, &error), -code,
	       "refused: %s", name);
	has_string(error.text, why, "… and says why");
	free(text);
}

static void make_all(void)
{
	char target[300];

	put("good", 0644);
	put("world-writable", 0646);
	put("group-writable", 0664);
	put("another's", 0644);
	made(chown(path("another's"), 1000, 0), "chown");
	snprintf(target, sizeof(target), "%s/good", base);
	made(symlink(target, path("link")), "symlink");
	made(mkfifo(path("fifo"), 0600), "mkfifo");
	made(mkdir(path("directory"), 0755), "mkdir");
	made(mkdir(path("open"), 0755), "mkdir");
	put("open/file", 0644);
	made(chmod(path("open"), 0777), "chmod");
	made(mkdir(path("sticky"), 0755), "mkdir");
	put("sticky/file", 0644);
	made(chmod(path("sticky"), 01777), "chmod");
	made(mkdir(path("theirs"), 0755), "mkdir");
	put("theirs/file", 0644);
	made(chown(path("theirs"), 1000, 1000), "chown");
	made(symlink("sticky", path("linked")), "symlink");
}

static void remove_all(void)
{
	static const char *const names[] = {
		"good", "world-writable", "group-writable", "another's", "link",
		"fifo", "open/file", "sticky/file", "theirs/file", "linked",
	};
	static const char *const directories[] = { "directory", "open", "sticky",
						   "theirs" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		made(unlink(path(names[i])), "unlink");
	for (size_t i = 0; i < sizeof(directories) / sizeof(*directories); i++)
		made(rmdir(path(directories[i])), "rmdir");
	made(rmdir(base), "rmdir");
}

static void good(const char *name)
{
	struct error error = { 0 };
	size_t length = 0;
	char *text = NULL;

	if (!is_int(trusted_read(path(name), 5, &text, &length, &error), 0,
		    "read: %s", name))
		diag("%s", error.text);
	is_string(text, "text\n", "… its text");
	is_int((long long)length, 5, "… its length");
	free(text);
}

static void test_limits(void)
{
	struct error error = { 0 };
	size_t length = 0;
	char *text = NULL;

	is_int(trusted_read(path("good"), 4, &text, &length, &error), -E2BIG,
	       "refused: a byte more than the limit");
	error = (struct error){ 0 };
	is_int(trusted_read("good", 9, &text, &length, &error), -EINVAL,
	       "refused: a relative path");
	error = (struct error){ 0 };
	is_int(trusted_read("/", 9, &text, &length, &error), -ENOENT,
	       "refused: the root directory");
	error = (struct error){ 0 };
	is_int(untrusted_read(path("another's"), 9, &text, &length, &error), 0,
	       "a file that is only looked at may be anybody's");
	free(text);
	text = NULL;
	error = (struct error){ 0 };
	is_int(untrusted_read(path("fifo"), 9, &text, &length, &error), -EINVAL,
	       "… but must be a file, and does not wait for one");
	error = (struct error){ 0 };
	is_int(untrusted_read(path("directory"), 9, &text, &length, &error), -EINVAL,
	       "… not a directory");
}

int main(void)
{
	if (geteuid() != 0) {
		plan(1);
		ok(1, "trusted files # SKIP needs root");
		return done_testing();
	}
	if (!mkdtemp(base))
		bail_out("mkdtemp: %s", strerror(errno));
	make_all();
	good("good");
	good("sticky/file");
	good("sticky/../good");
	refused("missing", ENOENT, "missing: No such file");
	refused("good/below", ENOTDIR, "is not a directory");
	refused("world-writable", EPERM, "is world-writable: chmod go-w");
	refused("group-writable", EPERM, "is group-writable");
	refused("another's", EPERM, "belongs to uid 1000, not to root");
	refused("link", ELOOP, "is a symbolic link");
	refused("fifo", EINVAL, "is not a regular file");
	refused("directory", EINVAL, "is not a regular file");
	refused("open/file", EPERM, "/open is world-writable");
	refused("theirs/file", EPERM, "/theirs belongs to uid 1000");
	refused("linked/file", ELOOP, "/linked is a symbolic link");
	test_limits();
	remove_all();
	return done_testing();
}
