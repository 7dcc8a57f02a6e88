/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The warden's state: one node, its services, its agents.  Everything happens in
 * the loop, in one thread; a second one only closes mount namespaces (closer.h).
 */
#ifndef WARDEN_WARDEN_H
#define WARDEN_WARDEN_H

#include "base/error.h"
#include "base/filter.h"
#include "base/message.h"
#include "cgroup.h"
#include "kernel.h"
#include "loop.h"
#include "profile/plan.h"
#include "profile/profile.h"

#include <ambit/start.h>
#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

struct config {
	char root[256];		/* AMBIT_ROOT, or "" */
	char run[320], state[320], log[320], profiles[320], shipped[512];
	char libexec[512];
	char trust_domain[AMBIT_TEXT_SIZE];	/* "" : the issuer's own */
	char resolvers[160];	/* addresses with commas between, or "" */
	uint32_t uid_first, uid_count;
};

enum service_kind { SERVICE_RECORDER, SERVICE_ISSUER, SERVICE_PORTER, SERVICES };

struct service {
	struct source socket;
	pid_t pid;		/* 0: not running */
	int ready;		/* READY arrived */
	int stuck;		/* it did not read what it was sent; to be restarted */
	unsigned restarts;
	uint64_t started_ms;
	int cgroup;		/* of its own */
	uint64_t cgroup_id;
};

/* A profile that was loaded, checked, planned and compiled.  Kept by content
 * hash; agents hold a reference. */
struct compiled {
	struct compiled *next;
	struct profile *profile;
	struct plan *plan;
	char *canonical;
	size_t canonical_length;
	char content[AMBIT_HASH_SIZE];	/* of the file's bytes: the cache key */
	char filter_sha256[AMBIT_HASH_SIZE];
	char root[PATH_MAX];	/* the prepared root; "" until the first launch */
	int named;		/* its server names are in the kernel */
	unsigned references;
	uint64_t used_ms;	/* of the last launch, monotonic */
	unsigned prepared;	/* places that wait for a launch */
	int prepare_failed;	/* no more are made until the next launch */
};

/* PREPARED: a place for a launch to come (slots.h); nobody's agent yet. */
enum agent_state {
	AGENT_STARTING, AGENT_RUNNING, AGENT_RETIRING, AGENT_ENDED,
	AGENT_PREPARED
};

/* A listed path, as it was mounted. */
struct listed {
	const char *path;	/* the profile's */
	dev_t device;
	ino_t inode;
	uid_t uid;		/* whom the mount maps to the agent */
	gid_t gid;
};

struct agent_credential {
	char id[96];
	uint64_t not_before, not_after;
	int minted, published;
	/* A renewal is put in place when its record is on disk and the porter has
	 * what was recorded. */
	int renewal_recorded;
	int renewal_owed;	/* … which can't be written yet */
	char renewal_minted[96];
};

/* What the kernel admits to an agent because a name led there. */
struct agent_addresses {
	uint8_t (*addresses)[16];
	unsigned count, room;
};

struct caller {
	uint32_t uid, pid;
};

struct connection;

struct agent {
	struct warden *warden;
	uint64_t instance;
	uint32_t slot, uid;
	enum agent_state state;
	char id[AMBIT_ID_SIZE], name[AMBIT_NAME_SIZE], task[AMBIT_TASK_SIZE];
	char spiffe_id[AMBIT_SPIFFE_SIZE];
	struct compiled *compiled;
	struct caller caller;
	int detached;
	int cut;		/* reaches nothing any more, though it runs */
	char *source;		/* its profile as the caller named it */
	uint8_t withdrawn[AMBIT_EGRESS];	/* 1: the egress entry left */
	unsigned withdrawn_count;
	char **command;		/* argument_count texts, one allocation each */
	unsigned argument_count;
	uint64_t started_ms, ended_ms;
	uint64_t deadline_ms;	/* of the lifetime, 0: none; as it is told */
	uint64_t ends_ms;	/* the same by warden_boot_ms(), as it is held */

	int mounts;		/* its mount namespace: held until the answer is
				 * given, for the kernel takes a while over it */
	int cgroup;		/* descriptor, -1 when gone */
	uint64_t cgroup_id;
	struct source gate;	/* to ambit-init */
	struct source pidfd;
	pid_t pid;		/* of ambit-init, host's namespace */
	int terminal;		/* master on its way to the caller, or -1 */

	struct listed listed[AMBIT_START_MOUNTS];
	unsigned listed_count;
	int gate_prepared;	/* PREPARED arrived */

	/* The launch: what is still outstanding. */
	unsigned waited_ms;	/* for its processes, once it has ended */
	int gate_ready, recorded, looked, durable, went;
	int gone;		/* CLOSE was sent: the kernel counts no more */
	struct agent_credential credentials[AMBIT_CREDENTIALS];
	struct connection *waiting;	/* of the Run call, or NULL */
	struct error failure;	/* why the launch was refused */
	int failure_status;

	/* The end. */
	int exit_known, exit_status, exit_signal;
	char cause[32];		/* exited, killed, retired, lifetime, … */
	struct agent_addresses admitted;
	int closing;		/* torn down, CLOSE sent, CLOSED awaited */
	int owed;		/* … but there was no recorder: its end is told to
				 * the next */
	int answered;		/* who waited for the end was told of it */
	uint64_t retire_ms;	/* when the grace of a retirement ends, by
				 * warden_boot_ms(); 0: none */
	int claimed;		/* by its caller, since it was adopted */
	uint64_t allowed, denied;
	int asked_in_vain;	/* a lookup was refused: CLOSED names it */
	uint64_t lost;		/* refused without a record */
	uint32_t refused_count, refused_more;
	char refused[AMBIT_REFUSED][AMBIT_REFUSED_SIZE];
};

struct warden {
	struct loop loop;
	struct config config;
	struct kernel *kernel;
	struct plan_layers layers;
	uint32_t landlock_abi;
	struct cgroup_tree cgroups;
	struct service services[SERVICES];
	struct ambit_event ended_services[SERVICES];	/* kind 0: none */
	struct filter init_filter;
	int empty_namespace;
	int init_fd;		/* ambit-init, opened for execveat */
	int instances;		/* directory of the agents' private files */
	int states;		/* directory of the agents' state files */
	char trust_domain[AMBIT_TEXT_SIZE];
	uint64_t authority_ends;	/* the issuer's, seconds since the epoch */
	struct compiled *compiled;
	struct agent *agents[AMBIT_SLOTS];
	uint32_t next_slot;
	unsigned agent_count;
	struct source control, signals, timer, addresses, condemned;
	struct connection *connections;
	struct {		/* proof.h */
		uint64_t instance, records;
		int done;
		struct ambit_closed closed;
		uint64_t names;		/* instance of the lookup's, 0: none */
		int refused;		/* … it was, and reported */
	} proof;
	int log_error;		/* errno while records can't be written */
	unsigned long long lookups_lost, events_lost;	/* that no recorder could
							 * be told of */
	int addresses_error;	/* errno while the node's own addresses aren't known */
	int quiet;		/* no launch or end is near: slots.h */
	int spare;		/* there is time for one place */
	int proven;		/* launches are taken */
	int locked;		/* the node's places are ours */
	int stopping;
	char stop_reason[AMBIT_TEXT_SIZE];
	struct caller stop_caller;
	int ready_fd;		/* to the supervisor, -1 once told */
};

/* Milliseconds since the epoch. */
uint64_t warden_now_ms(void);
/* Since the machine started (CLOCK_BOOTTIME): the same for a warden that is restarted,
 * and nobody sets it back. */
uint64_t warden_boot_ms(void);
/* From now until `moment` of warden_boot_ms(); 0 if that has passed. */
uint64_t warden_until_ms(uint64_t moment);

#endif
