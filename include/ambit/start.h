/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the warden tells ambit-init about one agent, and what ambit-init answers.
 *
 * ambit-init is born by clone3 in the agent's cgroup and namespaces, with one
 * descriptor: the gate, a SOCK_SEQPACKET socket, number AMBIT_GATE_FD.  The
 * warden sends two packets.  The first, struct ambit_start with the descriptors
 * of the mounts, says what the profile says; ambit-init bounds itself by it and
 * answers PREPARED.  The second, struct ambit_request with the descriptors of
 * stdio, says what the caller wants to run in there.  It may come at once, or
 * much later: a place that was prepared ahead makes the launch itself short.
 * Behind both structures stand `blob_length` bytes that their offsets point into.
 * Answers are struct ambit_gate packets; between READY and RUNNING the warden
 * sends one byte, which lets the agent go.
 */
#ifndef AMBIT_START_H
#define AMBIT_START_H

#include <ambit/node.h>
#include <stdint.h>

#define AMBIT_GATE_FD 3
#define AMBIT_START_MOUNTS 64
#define AMBIT_START_PLACES 96
#define AMBIT_START_BYTES (160U << 10)	/* whole packet; a socket's send buffer
					 * is 208 KiB by default */
#define AMBIT_START_FDS 250		/* SCM_MAX_FD is 253 */
#define AMBIT_NO_FD 0xffffffffU

/* A detached mount (its descriptor) and where it goes. */
struct ambit_start_mount {
	uint32_t fd;		/* index of the packet's descriptors */
	uint32_t target;	/* offset of an absolute path */
};

/* X(name, bit): what Landlock allows beneath a place. */
enum ambit_place_access {
	AMBIT_PLACE_READ = 1,
	AMBIT_PLACE_WRITE = 2,
	AMBIT_PLACE_EXECUTE = 4,
};

struct ambit_start_place {
	uint32_t path;		/* offset of an absolute path */
	uint32_t access;	/* AMBIT_PLACE_… */
};

struct ambit_start {
	uint32_t uid;		/* and gid */
	uint32_t blob_length;
	uint32_t root;		/* descriptor index of the prepared root */
	uint32_t hostname;	/* offset */
	uint32_t memfd_noexec;	/* 1: set vm.memfd_noexec of the pid namespace */
	uint32_t landlock_abi;	/* as the node proved it */
	uint32_t end_file;	/* descriptor index: takes the wait status, so that
				 * it outlives a warden that is not there */
	uint32_t filter_ahead;	/* 1: the command's filters permit what comes between
				 * them and execve, so they are loaded ahead */
	uint64_t processes;	/* RLIMIT_NPROC, ambit-init included */
	uint64_t open_files;
	uint64_t file_size;
	uint64_t private_bytes;	/* size of each private tmpfs */
	uint32_t init_filter, init_filter_length;	/* offset, instructions */
	uint32_t refuse_filter, refuse_filter_length;
	uint32_t allow_filter, allow_filter_length;
	uint32_t mount_count;
	uint32_t place_count;
	struct ambit_start_mount mounts[AMBIT_START_MOUNTS];
	struct ambit_start_place places[AMBIT_START_PLACES];
};

/* One launch.  Its descriptors are those of stdio, in order of their numbers. */
struct ambit_request {
	uint32_t blob_length;
	uint32_t stdio[3];	/* descriptor index, or AMBIT_NO_FD: the terminal */
	uint32_t terminal;	/* 1: make one, send its master with READY */
	uint16_t rows, columns;
	uint32_t directory;	/* offset */
	uint32_t argument_count;
	uint32_t arguments;	/* offset of the first; zero-terminated, in a row */
	uint32_t environment_count;
	uint32_t environment;
	uint32_t search_path;	/* offset: where a command without '/' is found */
};

/* X(name, word): the steps of ambit-init, in order; a failing one is named in
 * the refusal. */
#define AMBIT_STEPS(X)                                      \
	X(RECEIVE, "receive the start packet")              \
	X(DESCRIPTORS, "close descriptors")                 \
	X(CGROUP, "enter the cgroup namespace")             \
	X(ROOT, "put the root in place")                    \
	X(PROC, "mount /proc")                              \
	X(DEVICES, "mount the terminals of /dev")           \
	X(PRIVATE, "mount the private directories")         \
	X(MOUNTS, "mount the listed paths")                 \
	X(MEMFD, "make memory files not executable")        \
	X(PRIORITY, "give up the priority of the node")     \
	X(PIVOT, "leave the old root")                      \
	X(HOSTNAME, "set the host name")                    \
	X(KEYRING, "join a new session keyring")            \
	X(RELEASE, "close the descriptors of the mounts")   \
	X(LIMITS, "set resource limits")                    \
	X(IDENTITY, "become the agent's user")              \
	X(CAPABILITIES, "drop capabilities")                \
	X(PRIVILEGES, "set no_new_privs")                   \
	X(LANDLOCK, "enter Landlock")                       \
	X(SESSION, "start a session")                       \
	X(SECCOMP, "load the system-call filter")           \
	X(PREPARED, "say that the place is prepared")       \
	X(REQUEST, "receive the request")                   \
	X(TERMINAL, "make the terminal")                    \
	X(STDIO, "set up stdin, stdout and stderr")         \
	X(DIRECTORY, "enter the working directory")         \
	X(COMMAND, "find the command")                      \
	X(READY, "wait for the word to go")                 \
	X(EXEC, "execute the command")

#define AMBIT_STEP_ENUM(name, word) AMBIT_STEP_##name,
enum ambit_step { AMBIT_STEPS(AMBIT_STEP_ENUM) AMBIT_STEP_COUNT };
#undef AMBIT_STEP_ENUM

enum ambit_gate_kind {
	AMBIT_GATE_PREPARED = 1,	/* bounded; waits for a request */
	AMBIT_GATE_READY,	/* may go; with the terminal's master, if any */
	AMBIT_GATE_RUNNING,	/* executed; value: pid of the command, as
				 * ambit-init sees it */
	AMBIT_GATE_FAILED,	/* step, value: errno; the agent never ran */
	AMBIT_GATE_EXITED,	/* value: wait status of the command; step:
				 * AMBIT_GATE_ALONE if nothing else lives on */
};

#define AMBIT_GATE_ALONE 1

struct ambit_gate {
	uint32_t kind;
	uint32_t step;
	int32_t value;
};

#endif
