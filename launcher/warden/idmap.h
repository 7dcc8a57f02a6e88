/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User namespaces for id-mapped mounts: what the owner of a listed path owns on
 * disk, the agent's uid owns inside, and the other way round.  One is made per
 * pair of owner and agent uid and kept: uids are used again.
 */
#ifndef WARDEN_IDMAP_H
#define WARDEN_IDMAP_H

#include "base/error.h"

#include <stdint.h>

/* A user namespace that maps on-disk `owner_uid` and `owner_gid` to `agent_uid`
 * and the group of the same number.  The descriptor stays the cache's. */
int idmap_namespace(uint32_t agent_uid, uint32_t owner_uid, uint32_t owner_gid,
		    int *ret_fd, struct error *error);

#endif
