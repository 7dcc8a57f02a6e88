/* SPDX-License-Identifier: Apache-2.0 */
/* The proof of the kernel programs, from the attempt to the log: see proof.h and
 * prove.h, which makes the attempts. */
#include "proof.h"

#include "agents.h"
#include "prove.h"
#include "services.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>

#define ANSWER_MS 5000

int proof_hooks(struct warden *warden, struct error *error)
{
	struct prove_result result = { 0 };
	uint64_t instance;

	if (getrandom(&instance, sizeof(instance), 0) != sizeof(instance))
		return error_set(error, EIO, "node: no random numbers");
	/* Neither an agent's nor a service's number. */
	instance = (instance & ~(1ULL << 63)) | (1ULL << 62);
	struct prove_place place = { warden->cgroups.fd, warden->config.run,
				     instance };
	if (prove_hooks(warden->kernel, &place, &result, error) < 0)
		return error_context(error, "cgroup hooks");
	warden->proof.instance = instance;
	warden->proof.records = result.records;
	warden->layers.cgroup_hooks = 1;
	warden->layers.packet_wall = 1;
	warden->layers.unix_hook = (uint8_t)result.unix_hook;
	warden->layers.tls_names = (uint8_t)result.tls;
	return 0;
}

void proof_open(struct warden *warden)
{
	struct ambit_open open = {
		.instance = warden->proof.instance,
		.name = "node-proof",
		.profile = "node-proof",
		.purpose = "Proof of the node's layers at its start",
	};

	if (warden->proof.done || agents_id(warden_now_ms(), open.id) < 0)
		return;
	services_send(warden, SERVICE_RECORDER, AMBIT_MESSAGE_OPEN, &open, NULL);
}

int proof_closed(struct warden *warden, const struct ambit_closed *closed)
{
	if (closed->instance != warden->proof.instance)
		return 0;
	warden->proof.closed = *closed;
	warden->proof.done = 1;
	return 1;
}

int proof_records(struct warden *warden, struct error *error)
{
	struct source *socket = &warden->services[SERVICE_RECORDER].socket;
	struct ambit_close close = {
		.instance = warden->proof.instance,
		.attempts = warden->proof.records,
	};

	if (services_send(warden, SERVICE_RECORDER, AMBIT_MESSAGE_CLOSE, &close,
			  NULL) < 0)
		return error_set(error, EPIPE, "proof: the recorder ended");
	while (!warden->proof.done) {
		struct pollfd wait = { socket->fd, POLLIN, 0 };
		if (socket->fd < 0 || poll(&wait, 1, ANSWER_MS) != 1)
			return error_set(error, ETIMEDOUT, "proof: the records "
					 "of the denied attempts did not arrive");
		socket->ready(socket, EPOLLIN);
	}
	uint64_t arrived = warden->proof.closed.allowed +
			   warden->proof.closed.denied;
	if (arrived != warden->proof.records)
		return error_set(error, EPROTO, "proof: %llu records of %llu "
				 "attempts arrived",
				 (unsigned long long)arrived,
				 (unsigned long long)warden->proof.records);
	return 0;
}
