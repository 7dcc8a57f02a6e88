/* SPDX-License-Identifier: Apache-2.0 */
/* The node's own addresses, which no agent reaches unless its profile names them
 * exactly: read from the kernel, and again whenever they change. */
#ifndef WARDEN_ADDRESSES_H
#define WARDEN_ADDRESSES_H

#include "warden.h"

int addresses_open(struct warden *warden, struct error *error);

#endif
