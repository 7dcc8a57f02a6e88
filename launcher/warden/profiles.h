/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles as the warden uses them: found, opened with suspicion, parsed,
 * planned and compiled once per content. */
#ifndef WARDEN_PROFILES_H
#define WARDEN_PROFILES_H

#include "warden.h"

/* `which` is a name (looked up in the node's profile directory, then among the
 * shipped ones) or an absolute path.  *ret_compiled carries a reference for the
 * caller.  A clause that can't be enforced here fails the call. */
int profiles_get(struct warden *warden, const char *which,
		 struct compiled **ret_compiled, struct error *error);

/* The same of one that need not be launched: its review may be overdue, a clause
 * of it not enforceable. */
int profiles_read(struct warden *warden, const char *which,
		  struct compiled **ret_compiled, struct error *error);

/* 1 if there is a file for the name, whatever it says. */
int profiles_known(const struct warden *warden, const char *name);

/* From canonical text that the warden itself stored: for adopted agents. */
int profiles_adopt(struct warden *warden, const char *text, size_t length,
		   struct compiled **ret_compiled, struct error *error);

/* Makes the prepared root if this is the profile's first launch. */
int profiles_root(struct warden *warden, struct compiled *compiled,
		  struct error *error);

void profiles_release(struct warden *warden, struct compiled *compiled);

/* Removes what a killed warden left for profiles that no adopted agent has. */
int profiles_sweep(struct warden *warden, struct error *error);

/* Forgets everything: prepared roots are unmounted. */
void profiles_close(struct warden *warden);

#endif
