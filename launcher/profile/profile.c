/* SPDX-License-Identifier: Apache-2.0 */
/* A profile's end, and its days: see profile.h. */
#include "profile.h"

#include <errno.h>
#include <stdlib.h>

static int passed(struct profile_date day, struct profile_date today)
{
	if (day.year != today.year)
		return day.year < today.year;
	if (day.month != today.month)
		return day.month < today.month;
	return day.day < today.day;
}

int profile_expired(const struct profile *profile, struct profile_date today,
		    struct error *error)
{
	struct profile_date day = profile->review.by;
	struct profile_place at = profile->review.place;

	if (passed(day, today))
		return error_set(error, EKEYEXPIRED, "%u:%u: review: was due by "
				 "%04u-%02u-%02u: the profile must be reviewed and "
				 "review.by moved on", at.line, at.column,
				 day.year, day.month, day.day);
	for (unsigned i = 0; i < profile->exception_count; i++) {
		day = profile->exceptions[i].until;
		at = profile->exceptions[i].place;
		if (passed(day, today))
			return error_set(error, EKEYEXPIRED, "%u:%u: exceptions[%u]: "
					 "ended on %04u-%02u-%02u: what it allowed "
					 "must leave the profile, or be approved "
					 "anew", at.line, at.column, i, day.year,
					 day.month, day.day);
	}
	return 0;
}

int profile_block_holds(const struct profile_block *block,
			const uint8_t address[16], unsigned prefix)
{
	if (prefix < block->prefix)
		return 0;
	for (unsigned bit = 0; bit < block->prefix; bit++)
		if ((block->address[bit / 8] ^ address[bit / 8]) & (0x80 >> bit % 8))
			return 0;
	return 1;
}

static void free_list(char **list, unsigned count)
{
	for (unsigned i = 0; list && i < count; i++)
		free(list[i]);
	free(list);
}

static void free_parts(struct profile *profile)
{
	for (unsigned i = 0; i < profile->run.environment_count; i++) {
		free(profile->run.environment[i].name);
		free(profile->run.environment[i].value);
	}
	for (unsigned i = 0; i < profile->egress_count; i++) {
		free(profile->egress[i].to);
		free(profile->egress[i].addresses);
		free(profile->egress[i].ports);
		free(profile->egress[i].tool);
	}
	for (unsigned i = 0; i < profile->credential_count; i++) {
		free(profile->credentials[i].name);
		free(profile->credentials[i].audience);
	}
	for (unsigned i = 0; i < profile->exception_count; i++) {
		free(profile->exceptions[i].what);
		free(profile->exceptions[i].why);
		free(profile->exceptions[i].requested_by);
		free(profile->exceptions[i].approved_by);
	}
	free(profile->run.environment);
	free(profile->egress);
	free(profile->listen);
	free(profile->credentials);
	free(profile->exceptions);
}

/* Also of one that profile_parse gave up halfway. */
void profile_free(struct profile *profile)
{
	if (!profile)
		return;
	free(profile->name);
	free(profile->owner);
	free(profile->purpose);
	free(profile->review.approved_by);
	free(profile->run.directory);
	free(profile->syscalls.base);
	free_list(profile->run.command, profile->run.command_count);
	free_list(profile->run.pass_environment,
		  profile->run.pass_environment_count);
	free_list(profile->files.read, profile->files.read_count);
	free_list(profile->files.write, profile->files.write_count);
	free_list(profile->files.execute, profile->files.execute_count);
	free_list(profile->syscalls.allow, profile->syscalls.allow_count);
	free_list(profile->syscalls.deny, profile->syscalls.deny_count);
	free_parts(profile);
	free(profile);
}
