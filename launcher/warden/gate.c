/* SPDX-License-Identifier: Apache-2.0 */
/* What ambit-init says: see gate.h. */
#include "gate.h"

#include "base/own.h"
#include "control.h"
#include "end.h"
#include "launch.h"
#include "slots.h"
#include "timer.h"

#include <ambit/exit.h>
#include <ambit/start.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const char *const step_words[AMBIT_STEP_COUNT] = {
#define STEP_WORD(name, word) [AMBIT_STEP_##name] = word,
	AMBIT_STEPS(STEP_WORD)
#undef STEP_WORD
};

static void lifetime_over(struct warden *warden, void *data)
{
	(void)warden;
	end_kill(data, "lifetime");
}

static int watch_lifetime(struct agent *agent)
{
	return agent->ends_ms ? timer_once(agent->warden,
					   warden_until_ms(agent->ends_ms),
					   lifetime_over, agent) : 0;
}

static void hold_mounts(struct agent *agent)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)agent->pid);
	agent->mounts = open(path, O_RDONLY | O_CLOEXEC);
}

static void running(struct agent *agent)
{
	struct warden *warden = agent->warden;

	timer_forget(warden, agent);
	agent->state = AGENT_RUNNING;
	slots_used(agent->compiled, warden);
	control_launched(agent);
	/* Without a timer it would have no end. */
	if (watch_lifetime(agent) < 0)
		end_kill(agent, "lifetime");
}

static void failed_step(struct agent *agent, const struct ambit_gate *gate)
{
	struct error error = { 0 };
	int status = AMBIT_EXIT_REFUSED;

	if (gate->step == AMBIT_STEP_COMMAND || gate->step == AMBIT_STEP_EXEC) {
		status = gate->value == ENOENT ? AMBIT_EXIT_NOT_FOUND :
						 AMBIT_EXIT_NOT_EXECUTABLE;
		if (gate->value == ENOENT && gate->step == AMBIT_STEP_COMMAND)
			error_set(&error, ENOENT, "%.200s: command not found",
				  agent->command[0]);
		else
			error_errno(&error, gate->value, "%.200s",
				    agent->command[0]);
	} else if (gate->step == AMBIT_STEP_DIRECTORY) {
		const char *directory = agent->compiled->profile->run.directory;
		error_errno(&error, gate->value, "run.directory: %.400s",
			    *directory ? directory : "the agent's home");
	} else {
		error_errno(&error, gate->value, "confinement: %s",
			    gate->step < AMBIT_STEP_COUNT ?
				    step_words[gate->step] : "unknown step");
	}
	launch_refuse(agent, status, &error);
}

static void take_gate(struct agent *agent, const struct ambit_gate *gate, int fd)
{
	switch (gate->kind) {
	case AMBIT_GATE_PREPARED:
		agent->gate_prepared = 1;
		hold_mounts(agent);
		break;
	case AMBIT_GATE_READY:
		own_close(&agent->terminal);
		agent->terminal = fd;
		agent->gate_ready = 1;
		launch_advance(agent);
		return;
	case AMBIT_GATE_RUNNING:
		running(agent);
		break;
	case AMBIT_GATE_FAILED:
		/* The launch that needs it will meet the reason itself. */
		if (agent->state != AGENT_PREPARED)
			failed_step(agent, gate);
		break;
	case AMBIT_GATE_EXITED:
		end_status(agent, gate->value);
		if (gate->step == AMBIT_GATE_ALONE)
			end_alone(agent);
		break;
	}
	own_close(&fd);
}

/* Returns 1 for a message, 0 when there is none, -1 when there will be none. */
static int read_gate(struct agent *agent)
{
	struct ambit_gate gate;
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = { &gate, sizeof(gate) };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};

	ssize_t got = recvmsg(agent->gate.fd, &message,
			      MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got != sizeof(gate))
		return -1;
	int fd = -1;
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
	if (rights && rights->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(rights), sizeof(fd));
	take_gate(agent, &gate, fd);
	return 1;
}

static void gate_ready(struct source *source, uint32_t events)
{
	struct agent *agent = source->owner;

	(void)events;
	/* When it closes, the process has ended: that is the pidfd's to tell. */
	if (read_gate(agent) < 0)
		loop_remove(&agent->warden->loop, source);
}

static void process_ended(struct source *source, uint32_t events)
{
	struct agent *agent = source->owner;
	siginfo_t ignored;

	(void)events;
	/* The gate may hold the last word still. */
	while (agent->gate.fd >= 0 && read_gate(agent) == 1)
		continue;
	/* Killed from outside before it said how the start went: once it was told to
	 * go, the command may have begun. */
	if (agent->state == AGENT_STARTING && !agent->failure.code) {
		if (agent->went)
			running(agent);
		else
			launch_refuse_text(agent, ECHILD, "node: the agent's process "
					   "was killed before its start");
	}
	/* An adopted agent is somebody else's child. */
	waitid(P_PIDFD, (id_t)agent->pidfd.fd, &ignored, WEXITED | WNOHANG);
	end_agent(agent);
}

int gate_watch(struct agent *agent, struct error *error)
{
	struct loop *loop = &agent->warden->loop;

	agent->gate.ready = gate_ready;
	agent->pidfd.ready = process_ended;
	int failed = agent->gate.fd >= 0 ? loop_add(loop, &agent->gate, EPOLLIN) :
					   0;
	if (!failed)
		failed = loop_add(loop, &agent->pidfd, EPOLLIN);
	return failed ? error_errno(error, -failed, "node") : 0;
}

int gate_adopt(struct agent *agent)
{
	struct error error = { 0 };

	agent->pidfd.fd = (int)syscall(SYS_pidfd_open, agent->pid, 0);
	if (agent->pidfd.fd < 0)
		return -errno;
	int failed = gate_watch(agent, &error);
	return failed ? failed : watch_lifetime(agent);
}
