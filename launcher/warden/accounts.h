/* SPDX-License-Identifier: Apache-2.0 */
/* Whose uids and gids the machine's own files name. */
#ifndef WARDEN_ACCOUNTS_H
#define WARDEN_ACCOUNTS_H

#include "base/error.h"

#include <stdint.h>

/* Refuses a range of `count` ids from `first` on of which passwd, group, subuid or
 * subgid in /etc gives one to somebody: an agent, or the recorder with
 * the log, would be that account, and the account could end or read them.  A file
 * that is not there names nobody.  What a directory service gives is not looked up:
 * it may not answer.  Returns 0 or -EADDRINUSE with `error`. */
int accounts_check(uint32_t first, uint32_t count, struct error *error);

#endif
