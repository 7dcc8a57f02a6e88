/* SPDX-License-Identifier: Apache-2.0 */
/* The two packets for ambit-init: see packet.h and include/ambit/start.h. */
#include "packet.h"

#include "base/own.h"
#include "idmap.h"
#include "root.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#define PRIVATE_BYTES (512ULL << 20)
#define SEARCH_PATH "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

struct packet {
	_Alignas(8) char bytes[AMBIT_START_BYTES];
	size_t header;		/* bytes before the blob */
	size_t used;		/* of the blob */
	int fds[AMBIT_START_FDS];
	unsigned fd_count;
	unsigned own_from;	/* descriptors from here on are ours to close */
	int full;		/* something did not fit */
};

static struct packet packet;	/* one is built at a time */

static struct ambit_start *start(void)
{
	return (struct ambit_start *)packet.bytes;
}

static struct ambit_request *request(void)
{
	return (struct ambit_request *)packet.bytes;
}

static void begin(size_t header)
{
	memset(packet.bytes, 0, header);
	packet.header = header;
	packet.used = packet.fd_count = packet.own_from = 0;
	packet.full = 0;
}

/* Appends to the blob, 8-byte aligned if `align`.  Returns the offset. */
static uint32_t put(const void *bytes, size_t length, int align)
{
	size_t at = align ? (packet.used + 7) & ~(size_t)7 : packet.used;
	char *blob = packet.bytes + packet.header;

	if (at + length > sizeof(packet.bytes) - packet.header - 1) {
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
static int open_listed(const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

static struct listed listed_of(const char *path, const struct stat *status)
{
	return (struct listed){ path, status->st_dev, status->st_ino,
				status->st_uid, status->st_gid };
}

int packet_is_current(const struct agent *agent)
{
	for (unsigned i = 0; i < agent->listed_count; i++) {
		const struct listed *was = &agent->listed[i];
		struct stat status;
		OWN_FD fd = open_listed(was->path);
		if (fd < 0 || fstat(fd, &status) < 0)
			return 0;
		struct listed is = listed_of(was->path, &status);
		if (is.device != was->device || is.inode != was->inode ||
		    is.uid != was->uid || is.gid != was->gid)
			return 0;
	}
	return 1;
}

static int put_listed(struct agent *agent, const char *path, int writable,
		      int executable, struct error *error)
{
	struct stat status;
	int namespace, mount;

	OWN_FD fd = open_listed(path);
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
	if (agent->listed_count < AMBIT_START_MOUNTS)
		agent->listed[agent->listed_count++] = listed_of(path, &status);
	return 0;
}

static int put_files(struct agent *agent, struct error *error)
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

/* The caller's variable of this name, "NAME=value", or NULL. */
static const char *passed(const struct packet_caller *caller, const char *name)
{
	for (unsigned i = 0; i < caller->environment_count; i++)
		if (has_name(caller->environment[i], name))
			return caller->environment[i];
	return NULL;
}

/* Where the agent itself would look for its command. */
static const char *search_path(const struct profile *profile,
			       const struct packet_caller *caller)
{
	for (unsigned i = 0; i < profile->run.environment_count; i++)
		if (!strcmp(profile->run.environment[i].name, "PATH"))
			return profile->run.environment[i].value;
	for (unsigned i = 0; i < profile->run.pass_environment_count; i++) {
		const char *variable = passed(caller, profile->run.pass_environment[i]);
		if (variable && has_name(variable, "PATH"))
			return variable + strlen("PATH=");
	}
	return SEARCH_PATH;
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
					     profile->run.pass_environment[j]) &&
				    passed(caller, profile->run.pass_environment[j]);
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
	for (unsigned i = 0; i < profile->run.pass_environment_count; i++) {
		const char *variable = passed(caller, profile->run.pass_environment[i]);
		if (variable) {
			put_text(variable);
			count++;
		}
	}
	put_format("AMBIT_AGENT_ID=%s", agent->id);
	count++;
	if (agent->task[0]) {
		put_format("AMBIT_TASK=%s", agent->task);
		count++;
	}
	request()->environment = first;
	request()->environment_count = count;
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
	start()->filter_ahead = (uint32_t)plan->filter_ahead;
	start()->allow_filter = put_filter(&plan->filter.allow,
					   &start()->allow_filter_length);
}

static void put_command(const struct agent *agent,
			const struct packet_caller *caller)
{
	const struct profile *profile = agent->compiled->profile;

	request()->directory = put_text(profile->run.directory[0] ?
						profile->run.directory :
						"/home/agent");
	request()->search_path = put_text(search_path(profile, caller));
	request()->arguments = (uint32_t)packet.used;
	request()->argument_count = agent->argument_count;
	for (unsigned i = 0; i < agent->argument_count; i++)
		put_text(agent->command[i]);
}

/* Without this, opening /dev/stderr would fail where stderr is a pipe of root.  Only
 * pipes without a name change, and only their group, for the one direction: an owner
 * could open the other end by /proc/self/fd, and read what others write. */
static int open_pipe_to(int fd, gid_t gid, int input)
{
	struct statfs system;

	if (fstatfs(fd, &system) < 0)
		return -errno;
	if (system.f_type != PIPEFS_MAGIC)
		return 0;
	return fchown(fd, (uid_t)-1, gid) < 0 ||
			       fchmod(fd, input ? 0640 : 0620) < 0 ?
		       -errno : 0;
}

static int put_stdio(const struct agent *agent,
		     const struct packet_caller *caller, struct error *error)
{
	for (int i = 0; i < 3; i++) {
		request()->terminal |= (uint32_t)caller->is_terminal[i];
		request()->stdio[i] = AMBIT_NO_FD;
		if (caller->is_terminal[i])
			continue;
		int failed = open_pipe_to(caller->stdio[i], agent->uid, i == 0);
		if (failed)
			return error_errno(error, -failed, "stdio");
		request()->stdio[i] = put_fd(caller->stdio[i]);
	}
	request()->rows = caller->rows;
	request()->columns = caller->columns;
	packet.own_from = packet.fd_count;
	return 0;
}

static int send_bytes(int gate)
{
	union {
		char bytes[CMSG_SPACE(AMBIT_START_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	size_t fds = packet.fd_count * sizeof(int);
	struct iovec part = { packet.bytes, packet.header + packet.used };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fds) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(fds);
		memset(control.bytes, 0, CMSG_SPACE(fds));
		struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(fds);
		memcpy(CMSG_DATA(rights), packet.fds, fds);
	}
	return sendmsg(gate, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Closes the blob, sends, and lets go of the packet's own descriptors. */
static int send_packet(int gate, uint32_t *blob_length, int failed,
		       struct error *error)
{
	put("", 1, 0);
	*blob_length = (uint32_t)packet.used;
	if (!failed && packet.full)
		failed = error_set(error, E2BIG, "command: arguments and "
				   "environment are larger than %u KiB",
				   AMBIT_START_BYTES >> 10);
	if (!failed) {
		int sent = send_bytes(gate);
		/* Why one has ended is read from the gate next. */
		if (sent && sent != -EPIPE)
			failed = error_errno(error, -sent, "start packet");
	}
	for (unsigned i = packet.own_from; i < packet.fd_count; i++)
		close(packet.fds[i]);
	return failed;
}

static int build(struct agent *agent, struct error *error)
{
	int root;

	agent->listed_count = 0;
	put_numbers(agent);
	start()->hostname = put_text(agent->compiled->profile->name);
	put_standard_places(agent->compiled->profile);
	int failed = root_clone(agent->compiled->root, &root, error);
	if (failed)
		return failed;
	start()->root = put_fd(root);
	failed = put_instance(agent, error);
	return failed ? failed : put_files(agent, error);
}

int packet_prepare(struct agent *agent, int gate, int end_file,
		   struct error *error)
{
	begin(sizeof(struct ambit_start));
	start()->end_file = put_fd(end_file);
	packet.own_from = packet.fd_count;
	int failed = build(agent, error);
	return send_packet(gate, &start()->blob_length, failed, error);
}

int packet_request(const struct agent *agent,
		   const struct packet_caller *caller, struct error *error)
{
	begin(sizeof(struct ambit_request));
	int failed = put_stdio(agent, caller, error);
	if (!failed) {
		put_command(agent, caller);
		put_environment(agent, caller);
	}
	return send_packet(agent->gate.fd, &request()->blob_length, failed,
			   error);
}
