/* SPDX-License-Identifier: Apache-2.0 */
/* From a few lines of a profile to its plan, for plan.c and syscalls.c. */
#ifndef BUILD_H
#define BUILD_H

#include "profile/plan.h"
#include "tap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

#define HEAD                                                          \
	"ambit: 1\nname: sample\nowner: a\npurpose: b\ntier: low\n"   \
	"review: {approved-by: c, by: 2027-03-31}\n"

static inline struct plan_layers every(void)
{
	struct plan_layers layers;

	memset(&layers, 1, sizeof(layers));
	return layers;
}

static inline struct plan *build_error(const char *text, const struct plan_layers *layers,
				int *ret_result, struct error *error)
{
	struct profile *profile = NULL;
	struct plan *plan = NULL;
	char whole[8192];

	*error = (struct error){ 0 };
	snprintf(whole, sizeof(whole), HEAD "%s", text);
	*ret_result = profile_parse("p.yaml", whole, strlen(whole), &profile, error);
	if (!*ret_result)
		*ret_result = plan_build(profile, layers, &plan, error);
	profile_free(profile);
	return plan;
}

static inline struct plan *build(const char *text, const struct plan_layers *layers)
{
	struct error error;
	int result;
	struct plan *plan = build_error(text, layers, &result, &error);

	if (result)
		bail_out("%s: %s", text, error.text);
	return plan;
}

#endif
