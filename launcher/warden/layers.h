/* SPDX-License-Identifier: Apache-2.0 */
/* What this kernel can hold, found out by doing it once, at node start. */
#ifndef WARDEN_LAYERS_H
#define WARDEN_LAYERS_H

#include "warden.h"

/* Proves every layer but the kernel programs' (prove.h does those) and notes the
 * outcome in warden->layers.  Fails only when a required layer is missing; the
 * error names it. */
int layers_prove(struct warden *warden, struct error *error);

/* The row of a layer for doctor: its word, whether it is required, whether it
 * is there and how that was shown.  Returns 0 past the last one. */
struct layer {
	const char *name, *how;
	int required, proven;
};
int layers_row(const struct warden *warden, size_t index,
	       struct layer *ret_layer);

#endif
