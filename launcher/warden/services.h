/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's other processes: recorder, issuer, porter.  Started by the warden,
 * each in a cgroup of its own under the same kernel programs, restarted when one
 * ends; meanwhile nothing opens up: launches are refused, the ring fills.
 */
#ifndef WARDEN_SERVICES_H
#define WARDEN_SERVICES_H

#include "warden.h"

/* Starts all three and waits until each said READY. */
int services_start(struct warden *warden, struct error *error);

/* Closes the sockets, which ends them, and waits for the processes. */
void services_stop(struct warden *warden);

/* Sends a message; an error means that the service just died, which the loop
 * will notice: the caller only has to give up what needs it now. */
int services_send(struct warden *warden, enum service_kind kind,
		  enum ambit_message_type type, const void *body,
		  const int *fds);

/* 1 if all three run and said READY. */
int services_ready(const struct warden *warden);

/* A child of ours that was reaped: restarts the service if it was one. */
void services_reaped(struct warden *warden, pid_t pid, int status);

#endif
