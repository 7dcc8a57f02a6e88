/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Closing what takes the kernel a while: the last descriptor of a mount namespace
 * waits for every reader of the mounts (synchronize_rcu_expedited in
 * namespace_unlock, about 0.3 ms), and the warden has launches to serve.
 */
#ifndef WARDEN_CLOSER_H
#define WARDEN_CLOSER_H

#include "base/error.h"

/* Starts the thread that closes.  It has the walls of its caller, and so is started
 * behind them. */
int closer_start(struct error *error);

/* Closes *fd, if it is one, soon; here and now where no thread can.  Leaves -1. */
void closer_take(int *fd);

#endif
