/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of ambit-init share.  Every step returns 0 or a negative
 * errno; none allocates. */
#ifndef INIT_INIT_H
#define INIT_INIT_H

#include <ambit/start.h>
#include <sys/types.h>

struct init {
	int gate;
	enum ambit_step step;
	const struct ambit_start *start;
	const struct ambit_request *request;
	const char *blob, *request_blob;
	int fds[AMBIT_START_FDS];	/* the present packet's descriptors */
	unsigned fd_count;
	int terminal;			/* the slave, or -1 */
	int master;			/* sent away with READY, or -1 */
	int end_file;			/* takes the wait status */
	char **arguments, **environment;
	char command[4096];		/* the path that is executed */
	pid_t command_pid;
};

/* Sends `gate`, with descriptor `fd` if it is not -1. */
int init_report(const struct init *init, const struct ambit_gate *gate, int fd);

/* start.c: takes and checks the packets. */
int start_receive(struct init *init);
int start_request(struct init *init);
/* The text at `offset` of the first packet's blob, or of the request's; it was
 * checked that it ends. */
const char *start_text(const struct init *init, uint32_t offset);
const char *start_request_text(const struct init *init, uint32_t offset);
/* A descriptor of the packet that was received last. */
int start_fd(const struct init *init, uint32_t index);

/* view.c: what the agent sees. */
int view_root(struct init *init);
int view_proc(struct init *init);
int view_devices(struct init *init);
int view_private(struct init *init);
int view_mounts(struct init *init);
int view_pivot(struct init *init);
int view_terminal(struct init *init);

/* confine.c: what the agent may. */
int confine_descriptors(struct init *init);
int confine_cgroup(struct init *init);
int confine_memfd(struct init *init);
int confine_priority(struct init *init);
int confine_hostname(struct init *init);
int confine_keyring(struct init *init);
int confine_release(struct init *init);
int confine_stdio(struct init *init);
int confine_limits(struct init *init);
int confine_identity(struct init *init);
int confine_capabilities(struct init *init);
int confine_privileges(struct init *init);
int confine_directory(struct init *init);
int confine_filter(const struct init *init, uint32_t offset, uint32_t length);

/* landlock.c */
int landlock_enter(struct init *init);

/* run.c: the command, and process 1 behind it. */
int run_ahead(struct init *init);
int run_prepared(struct init *init);
int run_find(struct init *init);
int run_wait(struct init *init);
int run_start(struct init *init);
int run_reap(struct init *init);

#endif
