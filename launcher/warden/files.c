/* SPDX-License-Identifier: Apache-2.0 */
/* Files: see files.h. */
#include "files.h"

#include "base/own.h"
#include "state.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static int write_at(int directory, const char *name, const char *text)
{
	OWN_FD fd = openat(directory, name,
			   O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	size_t length = strlen(text);
	return write(fd, text, length) == (ssize_t)length ? 0 : -EIO;
}

/* The agent's host name is its own address, so that programs which ask for it need no
 * resolver; a listed server of that name comes first. */
static int write_hosts(int directory, const struct profile *profile)
{
	char hosts[256] = "127.0.0.1 localhost\n::1 localhost\n";

	for (unsigned i = 0; i < profile->egress_count; i++)
		if (profile->egress[i].kind == PROFILE_ENDPOINT_NAME &&
		    !strcmp(profile->egress[i].to, profile->name))
			return write_at(directory, "hosts", hosts);
	size_t length = strlen(hosts);
	snprintf(hosts + length, sizeof(hosts) - length,
		 "127.0.0.1 %s\n::1 %s\n", profile->name, profile->name);
	return write_at(directory, "hosts", hosts);
}

/* passwd, group, hosts, resolv.conf, and the directory that the porter delivers into: owned
 * by the porter, group the agent's, so that nobody else can read it. */
int files_make(const struct agent *agent, struct error *error)
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
		failed = write_hosts(directory, agent->compiled->profile);
	if (!failed)
		failed = write_at(directory, "resolv.conf",
				  "nameserver " AMBIT_RESOLVER_TEXT "\n");
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
		/* From here on the porter can't put anything into it. */
		if (fd >= 0 && fchmod(fd, 0) == 0 && fchown(fd, 0, 0) == 0)
			empty_directory(fd);
		if (i == 0)
			unlinkat(own, inner[i], AT_REMOVEDIR);
	}
	unlinkat(directory, name, AT_REMOVEDIR);
}

void files_discard(struct agent *agent)
{
	remove_tree(agent->warden->instances, agent->id);
	state_remove(agent);
}

int files_directory(const char *path, uint32_t uid, mode_t mode, int *ret_fd,
		    struct error *error)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return error_errno(error, errno, "%s", path);
	OWN_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchown(fd, uid, uid) < 0 || fchmod(fd, mode) < 0)
		return error_errno(error, errno, "%s", path);
	*ret_fd = own_take_fd(&fd);
	return 0;
}

/* Others are kept out by the kernel.  To close their connections would be too late:
 * what they have sent is freed then, descriptors included, and the last of a socket
 * that lingers (socket(7), SO_LINGER) is waited for by whoever frees it. */
int files_listen(const struct warden *warden, const char *name, int waiting,
		 int *ret_fd, struct error *error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s",
		     warden->config.run, name) >= (int)sizeof(address.sun_path))
		return error_errno(error, ENAMETOOLONG, "%s", warden->config.run);
	OWN_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(address.sun_path);
	mode_t old = umask(0177);
	int bound = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&address,
				       sizeof(address));
	int failure = errno;
	umask(old);
	if (bound < 0 || listen(fd, waiting) < 0)
		return error_errno(error, bound < 0 ? failure : errno, "%s",
				   address.sun_path);
	*ret_fd = own_take_fd(&fd);
	return 0;
}
