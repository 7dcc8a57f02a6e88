/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's private files, as it finds them under /run/ambit, and those of services. */
#ifndef WARDEN_FILES_H
#define WARDEN_FILES_H

#include "warden.h"

/* Makes the directory: passwd, group, hosts, and the place of credentials. */
int files_make(const struct agent *agent, struct error *error);

/* Removes it, with what the porter wrote, and the agent's state. */
void files_discard(struct agent *agent);

/* What services are started with: a directory of one of them (made, owned, opened), and
 * the audit pipe's listening socket.  *ret_fd is the caller's to close. */
int files_directory(const char *path, uint32_t uid, mode_t mode, int *ret_fd,
		    struct error *error);
/* A listening socket in the run directory that only root can connect to; `waiting` is
 * how many may wait to be accepted. */
int files_listen(const struct warden *warden, const char *name, int waiting,
		 int *ret_fd, struct error *error);

#endif
