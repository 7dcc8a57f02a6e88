/* SPDX-License-Identifier: Apache-2.0 */
/* What one clause of a profile does to another, for the rows of a plan.  Pure. */
#ifndef PROFILE_REMARK_H
#define PROFILE_REMARK_H

#include "profile.h"

/*
 * Where `tls: required` of egress[index] is not held: entries without it that share
 * a TCP port with it win at their addresses.  "" if there is none, else a text
 * that begins with "; "; cut short with "and more" where there are many.
 */
void remark_winners(const struct profile *profile, unsigned index, char *ret_text,
		    size_t size);

/* 1 if nothing of the profile nor of the standard view can show `path`, absolute, to
 * the agent. */
int remark_unseen(const struct profile *profile, const char *path);

#endif
