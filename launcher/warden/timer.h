/* SPDX-License-Identifier: Apache-2.0 */
/* Things to do later: one timer descriptor, a list of what is due when. */
#ifndef WARDEN_TIMER_H
#define WARDEN_TIMER_H

#include "warden.h"

typedef void (*timer_action)(struct warden *warden, void *data);

int timer_open(struct warden *warden, struct error *error);
/* Calls action(warden, data) once, `delay_ms` from now (by warden_boot_ms, which
 * nobody sets). */
int timer_once(struct warden *warden, uint64_t delay_ms, timer_action action,
	       void *data);
/* Forgets everything that is due for `data`. */
void timer_forget(struct warden *warden, void *data);

#endif
