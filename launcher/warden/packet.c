/* SPDX-License-Identifier: Apache-2.0 */
/* The start packet: see packet.h and include/ambit/start.h. */
#include "packet.h"

#include "base/own.h"
#include "idmap.h"
#include "root.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define PRIVATE_BYTES (512ULL << 20)
#define SEARCH_PATH "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

struct packet {
	_Alignas(8) char bytes[AMBIT_START_BYTES];
	size_t used;		/* of the blob */
	int fds[AMBIT_START_FDS];
	unsigned fd_count;
	unsigned own_from;	/* descriptors from here on are ours to close */
	int full;		/* something did not fit */
};

static struct packet packet;	/* one launch is built at a time */

static struct ambit_start *start(void)
{
	return (struct ambit_start *)packet.bytes;
}

/* Appends to the blob, 8-byte aligned if `align`.  Returns the offset. */
static uint32_t put(const void *bytes, size_t length, int align)
{
	size_t at = align ? (packet.used + 7) & ~(size_t)7 : packet.used;
	char *blob = packet.bytes + sizeof(struct ambit_start);

	if (at + length > sizeof(packet.bytes) - sizeof(struct ambit_start) - 1) {
		packet.full = 1;
		return 0;
	}
	memset(blob + packet.used, 0, at - packet.used);
	memcpy(blob + at, bytes, length);
	packet.used = at + length;
	return (uint32_t)at;
}

static uint32_t put_text(const char *text)
{
	return put(text, strlen(text) + 1, 0);
}

static uint32_t __attribute__((format(printf, 1, 2)))
put_format(const char *format, ...)
{
	char text[4096];
	va_list arguments;

	va_start(arguments, format);
	int length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= sizeof(text)) {
		packet.full = 1;
		return 0;
	}
	return put_text(text);
}

/* Returns the descriptor's index. */
static uint32_t put_fd(int fd)
{
	if (packet.fd_count == AMBIT_START_FDS) {
		packet.full = 1;
		return 0;
	}
	packet.fds[packet.fd_count] = fd;
	return packet.fd_count++;
}

static void put_place(const char *path, uint32_t access)
{
	if (start()->place_count == AMBIT_START_PLACES) {
		packet.full = 1;
		return;
	}
	start()->places[start()->place_count++] =
		(struct ambit_start_place){ put_text(path), access };
}

/* Takes the descriptor over. */
static void put_mount(int fd, const char *target)
{
	if (start()->mount_count == AMBIT_START_MOUNTS ||
	    packet.fd_count == AMBIT_START_FDS) {
		packet.full = 1;
		close(fd);
		return;
	}
	uint32_t index = put_fd(fd);
	start()->mounts[start()->mount_count++] =
		(struct ambit_start_mount){ index, put_text(target) };
}

static int contains(char *const *list, unsigned count, const char *path)
{
	for (unsigned i = 0; i < count; i++)
		if (!strcmp(list[i], path))
			return 1;
	return 0;
}

/* A listed path is resolved once, without following any link: the agent may have
 * written one of its parts in an earlier life. */
static int put_listed(const struct agent *agent, const char *path, int writable,
		      int executable, struct error *error)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	struct stat status;
	int namespace, mount;

	OWN_FD fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	if (fd < 0 && errno == ELOOP)
		return error_set(error, ELOOP, "files: %s: symbolic links are "
				 "not followed; list the real path", path);
	if (fd < 0 || fstat(fd, &status) < 0)
		return error_errno(error, errno, "files: %s", path);
	if (idmap_namespace(agent->uid, status.st_uid, status.st_gid, &namespace,
			    error) < 0 ||
	    root_listed(fd, namespace, writable, executable, &mount, error) < 0)
		return error_context(error, "files: %s", path);
	put_mount(mount, path);
	return 0;
}

static int put_files(const struct agent *agent, struct error *error)
{
	const struct profile *profile = agent->compiled->profile;
	char **execute = profile->files.execute;
	unsigned count = profile->files.execute_count;
	int failed = 0;

	for (unsigned i = 0; !failed && i < profile->files.read_count; i++) {
		const char *path = profile->files.read[i];
		failed = put_listed(agent, path, 0, 1, error);
		put_place(path, AMBIT_PLACE_READ | AMBIT_PLACE_EXECUTE);
	}
	for (unsigned i = 0; !failed && i < profile->files.write_count; i++) {
		const char *path = profile->files.write[i];
		int runs = contains(execute, count, path);
		failed = put_listed(agent, path, 1, runs, error);
		put_place(path, AMBIT_PLACE_READ | AMBIT_PLACE_WRITE |
					(runs ? AMBIT_PLACE_EXECUTE : 0U));
	}
	for (unsigned i = 0; !failed && i < count; i++) {
		const char *path = execute[i];
		if (contains(profile->files.read, profile->files.read_count,
			     path) ||
		    contains(profile->files.write, profile->files.write_count,
			     path))
			continue;
		int own = !strcmp(path, "/tmp") || !strcmp(path, "/home/agent");
		if (!own)
			failed = put_listed(agent, path, 1, 1, error);
		put_place(path, AMBIT_PLACE_READ | AMBIT_PLACE_WRITE |
					AMBIT_PLACE_EXECUTE);
	}
	for (unsigned i = 0; !failed && i < profile->egress_count; i++)
		if (profile->egress[i].kind == PROFILE_ENDPOINT_UNIX)
			failed = put_listed(agent, profile->egress[i].to + 5, 0,
					    0, error);
	return failed;
}

/* The agent's private files (passwd, credentials …) as /run/ambit. */
static int put_instance(const struct agent *agent, struct error *error)
{
	struct mount_attr sealed = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
			    MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
	};
	OWN_FD tree = (int)syscall(SYS_open_tree, agent->warden->instances,
				   agent->id,
				   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0 || syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH,
				&sealed, sizeof(sealed)) < 0)
		return error_errno(error, errno, "private files");
	put_mount(own_take_fd(&tree), "/run/ambit");
	return 0;
}

/* "/" may be read as far as it exists: the root was made of nothing else. */
static void put_standard_places(const struct profile *profile)
{
	put_place("/", AMBIT_PLACE_READ);
	put_place("/dev", AMBIT_PLACE_WRITE);
	put_place("/tmp", AMBIT_PLACE_WRITE);
	put_place("/home/agent", AMBIT_PLACE_WRITE);
	if (profile->files.system == PROFILE_SYSTEM_STANDARD)
		put_place("/usr", AMBIT_PLACE_EXECUTE);
}

static int has_name(const char *variable, const char *name)
{
	size_t length = strlen(name);

	return !strncmp(variable, name, length) && variable[length] == '=';
}

static void put_environment(const struct agent *agent,
			    const struct packet_caller *caller)
{
	const struct profile *profile = agent->compiled->profile;
	static const char *const fixed[] = {
		"HOME=/home/agent", "USER=agent", "LOGNAME=agent",
		"SHELL=/bin/sh", "PATH=" SEARCH_PATH, "LANG=C.UTF-8",
		"TERM=xterm-256color",
		"CREDENTIALS_DIRECTORY=/run/ambit/credentials",
	};
	unsigned count = 0;
	uint32_t first = (uint32_t)packet.used;

	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++) {
		int replaced = 0;
		for (unsigned j = 0; j < profile->run.environment_count; j++)
			replaced |= has_name(fixed[i],
					     profile->run.environment[j].name);
		for (unsigned j = 0; j < profile->run.pass_environment_count; j++)
			replaced |= has_name(fixed[i],
					     profile->run.pass_environment[j]);
		if (!strncmp(fixed[i], "TERM=", 5) && !caller->is_terminal[0] &&
		    !caller->is_terminal[1] && !caller->is_terminal[2])
			replaced = 1;
		if (!replaced) {
			put_text(fixed[i]);
			count++;
		}
	}
	for (unsigned i = 0; i < profile->run.environment_count; i++, count++)
		put_format("%s=%s", profile->run.environment[i].name,
			   profile->run.environment[i].value);
	for (unsigned i = 0; i < profile->run.pass_environment_count; i++)
		for (unsigned j = 0; j < caller->environment_count; j++)
			if (has_name(caller->environment[j],
				     profile->run.pass_environment[i])) {
				put_text(caller->environment[j]);
				count++;
			}
	put_format("AMBIT_AGENT_ID=%s", agent->id);
	count++;
	if (agent->task[0]) {
		put_format("AMBIT_TASK=%s", agent->task);
		count++;
	}
	start()->environment = first;
	start()->environment_count = count;
}

static uint32_t put_filter(const struct filter_program *program,
			   uint32_t *ret_length)
{
	*ret_length = (uint32_t)program->length;
	return put(program->code, program->length * 8, 1);
}

static void put_numbers(const struct agent *agent)
{
	const struct profile *profile = agent->compiled->profile;
	const struct plan *plan = agent->compiled->plan;
	struct warden *warden = agent->warden;

	start()->uid = agent->uid;
	/* ambit-init is one process of the agent's uid. */
	start()->processes = profile->limits.processes == PROFILE_UNLIMITED ?
				     PROFILE_UNLIMITED :
				     profile->limits.processes + 1;
	start()->open_files = profile->limits.open_files;
	start()->file_size = profile->limits.file_size;
	start()->private_bytes = PRIVATE_BYTES;
	start()->memfd_noexec = warden->layers.memfd_noexec;
	start()->landlock_abi = warden->landlock_abi;
	start()->init_filter = put_filter(&warden->init_filter.allow,
					  &start()->init_filter_length);
	start()->refuse_filter = put_filter(&plan->filter.refuse,
					    &start()->refuse_filter_length);
	start()->allow_filter = put_filter(&plan->filter.allow,
					   &start()->allow_filter_length);
}

static void put_texts(const struct agent *agent)
{
	const struct profile *profile = agent->compiled->profile;

	start()->hostname = put_text(profile->name);
	start()->directory = put_text(profile->run.directory[0] ?
					      profile->run.directory :
					      "/home/agent");
	start()->search_path = put_text(SEARCH_PATH);
	start()->arguments = (uint32_t)packet.used;
	start()->argument_count = agent->argument_count;
	for (unsigned i = 0; i < agent->argument_count; i++)
		put_text(agent->command[i]);
}

static int send_packet(int gate)
{
	union {
		char bytes[CMSG_SPACE(AMBIT_START_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	size_t fds = packet.fd_count * sizeof(int);
	struct iovec part = { packet.bytes,
			      sizeof(struct ambit_start) + packet.used };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(fds),
	};

	memset(control.bytes, 0, CMSG_SPACE(fds));
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(fds);
	memcpy(CMSG_DATA(rights), packet.fds, fds);
	return sendmsg(gate, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int build(struct agent *agent, const struct packet_caller *caller,
		 struct error *error)
{
	int root;

	put_numbers(agent);
	put_texts(agent);
	put_environment(agent, caller);
	put_standard_places(agent->compiled->profile);
	start()->rows = caller->rows;
	start()->columns = caller->columns;
	packet.own_from = packet.fd_count;
	int failed = root_clone(agent->compiled->root, &root, error);
	if (failed)
		return failed;
	start()->root = put_fd(root);
	failed = put_instance(agent, error);
	return failed ? failed : put_files(agent, error);
}

int packet_send(struct agent *agent, const struct packet_caller *caller,
		int gate, int end_file, struct error *error)
{
	memset(packet.bytes, 0, sizeof(struct ambit_start));
	packet.used = packet.fd_count = packet.own_from = 0;
	packet.full = 0;
	for (int i = 0; i < 3; i++) {
		start()->stdio[i] = caller->is_terminal[i] ?
					    AMBIT_NO_FD :
					    put_fd(caller->stdio[i]);
		start()->terminal |= (uint32_t)caller->is_terminal[i];
	}
	start()->end_file = put_fd(end_file);
	packet.own_from = packet.fd_count;
	int failed = build(agent, caller, error);
	put("", 1, 0);
	start()->blob_length = (uint32_t)packet.used;
	if (!failed && packet.full)
		failed = error_set(error, E2BIG, "command: arguments and "
				   "environment are larger than %u KiB",
				   AMBIT_START_BYTES >> 10);
	if (!failed) {
		int sent = send_packet(gate);
		if (sent)
			failed = error_errno(error, -sent, "start packet");
	}
	for (unsigned i = packet.own_from; i < packet.fd_count; i++)
		close(packet.fds[i]);
	return failed;
}
