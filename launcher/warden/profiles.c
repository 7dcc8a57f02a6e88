/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles as the warden uses them: see profiles.h. */
#include "profiles.h"

#include "base/own.h"
#include "base/trusted.h"
#include "digest.h"
#include "root.h"
#include "tls.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define CACHED 64	/* profiles without agents that are kept */

/* Another text can stand for the same profile: that of an adopted agent is the
 * canonical one. */
static int is_shared(const struct warden *warden, const struct compiled *compiled)
{
	for (const struct compiled *other = warden->compiled; other;
	     other = other->next)
		if (other != compiled && other->named &&
		    other->plan->policy.profile == compiled->plan->policy.profile)
			return 1;
	return 0;
}

static void destroy(struct warden *warden, struct compiled *compiled)
{
	if (compiled->named && !is_shared(warden, compiled))
		tls_remove_names(warden->kernel, compiled->profile);
	if (compiled->root[0])
		root_discard(compiled->root);
	plan_free(compiled->plan);
	profile_free(compiled->profile);
	free(compiled->canonical);
	free(compiled);
}

/* The digest of the two programs as they are loaded. */
static int digest_filter(const struct filter *filter, char *ret_text)
{
	size_t allow = filter->allow.length * 8, refuse = filter->refuse.length * 8;
	OWN_MEMORY char *bytes = malloc(allow + refuse + 1);

	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, filter->allow.code, allow);
	if (refuse)
		memcpy(bytes + allow, filter->refuse.code, refuse);
	return digest_sha256(bytes, allow + refuse, ret_text);
}

static int compile(struct warden *warden, const char *file, const char *text,
		   size_t length, struct compiled **ret_compiled,
		   struct error *error)
{
	struct compiled *compiled = calloc(1, sizeof(*compiled));

	if (!compiled)
		return error_errno(error, ENOMEM, "%s", file);
	int failed = profile_parse(file, text, length, &compiled->profile, error);
	if (!failed)
		failed = profile_print(compiled->profile, &compiled->canonical,
				       &compiled->canonical_length, error);
	if (!failed && digest_sha256(compiled->canonical,
				     compiled->canonical_length,
				     compiled->profile->sha256) < 0)
		failed = error_set(error, EIO, "%s: no SHA-256", file);
	if (!failed)
		failed = plan_build(compiled->profile, &warden->layers,
				    &compiled->plan, error);
	if (!failed && digest_filter(&compiled->plan->filter,
				     compiled->filter_sha256) < 0)
		failed = error_set(error, EIO, "%s: no SHA-256", file);
	if (!failed && !plan_refusal(compiled->plan)) {
		compiled->plan->policy.profile = tls_number(compiled->profile);
		compiled->named = 1;
		failed = tls_add_names(warden->kernel, compiled->profile, error);
	}
	if (failed) {
		destroy(warden, compiled);
		return failed;
	}
	*ret_compiled = compiled;
	return 0;
}

static int find(const struct warden *warden, const char *which, char *ret_path,
		size_t size, struct error *error)
{
	const char *directories[] = { warden->config.profiles,
				      warden->config.shipped };

	if (which[0] == '/') {
		if (strlen(which) >= size)
			return error_errno(error, ENAMETOOLONG, "profile");
		memcpy(ret_path, which, strlen(which) + 1);
		return 0;
	}
	if (!*which || strspn(which, "abcdefghijklmnopqrstuvwxyz0123456789-") !=
			       strlen(which))
		return error_set(error, EINVAL,
				 "profile %s: a name of [a-z0-9-], or a path with "
				 "a / such as ./profile.yaml, was expected",
				 which);
	for (int i = 0; i < 2; i++) {
		snprintf(ret_path, size, "%s/%s.yaml", directories[i], which);
		if (access(ret_path, F_OK) == 0)
			return 0;
	}
	return error_set(error, ENOENT, "profile %s: no %s.yaml in %s nor among the "
			 "shipped ones", which, which, warden->config.profiles);
}

static void trim(struct warden *warden)
{
	unsigned unused = 0;

	for (struct compiled **at = &warden->compiled; *at;) {
		struct compiled *compiled = *at;
		if (!compiled->references && ++unused > CACHED) {
			*at = compiled->next;
			destroy(warden, compiled);
		} else {
			at = &compiled->next;
		}
	}
}

static int get(struct warden *warden, const char *file, const char *text,
	       size_t length, struct compiled **ret_compiled,
	       struct error *error)
{
	char content[AMBIT_HASH_SIZE];

	if (digest_sha256(text, length, content) < 0)
		return error_set(error, EIO, "%s: no SHA-256", file);
	for (struct compiled *known = warden->compiled; known;
	     known = known->next)
		if (!strcmp(known->content, content)) {
			known->references++;
			*ret_compiled = known;
			return 0;
		}
	struct compiled *compiled = NULL;
	int failed = compile(warden, file, text, length, &compiled, error);
	if (failed)
		return failed;
	memcpy(compiled->content, content, sizeof(content));
	compiled->references = 1;
	compiled->next = warden->compiled;
	warden->compiled = compiled;
	trim(warden);
	*ret_compiled = compiled;
	return 0;
}

/* The review day is the one thing that changes while the text does not. */
static int check_day(const struct compiled *compiled, struct error *error)
{
	time_t now = time(NULL);
	struct tm day;

	gmtime_r(&now, &day);
	struct profile_date today = {
		.year = (uint16_t)(day.tm_year + 1900),
		.month = (uint8_t)(day.tm_mon + 1),
		.day = (uint8_t)day.tm_mday,
	};
	return profile_expired(compiled->profile, today, error);
}

int profiles_known(const struct warden *warden, const char *name)
{
	struct error ignored = { 0 };
	char path[PATH_MAX];

	return find(warden, name, path, sizeof(path), &ignored) == 0;
}

int profiles_read(struct warden *warden, const char *which,
		  struct compiled **ret_compiled, struct error *error)
{
	OWN_MEMORY char *text = NULL;
	struct compiled *compiled = NULL;
	char path[PATH_MAX];
	size_t length = 0;

	int failed = find(warden, which, path, sizeof(path), error);
	if (!failed)
		failed = trusted_read(path, PROFILE_BYTES, &text, &length, error);
	if (!failed)
		failed = get(warden, path, text, length, &compiled, error);
	if (failed)
		return failed;
	const char *name = compiled->profile->name;
	/* Cut, kill and retire go by the name inside: who runs it by another would
	 * miss its agents. */
	if (which[0] != '/' && strcmp(which, name)) {
		profiles_release(warden, compiled);
		return error_set(error, EINVAL,
				 "profile %s: %s says `name: %s`: both must be the "
				 "same, or run it by its path", which, path, name);
	}
	*ret_compiled = compiled;
	return 0;
}

int profiles_get(struct warden *warden, const char *which,
		 struct compiled **ret_compiled, struct error *error)
{
	struct compiled *compiled = NULL;

	int failed = profiles_read(warden, which, &compiled, error);
	if (failed)
		return failed;
	const struct plan_row *row = plan_refusal(compiled->plan);
	if (row)
		failed = error_set(error, ENOTSUP, "profile %s: %s: %s",
				   compiled->profile->name, row->clause,
				   row->refusal);
	if (!failed && check_day(compiled, error))
		failed = error_context(error, "profile %s",
				       compiled->profile->name);
	if (failed) {
		profiles_release(warden, compiled);
		return failed;
	}
	*ret_compiled = compiled;
	return 0;
}

int profiles_adopt(struct warden *warden, const char *text, size_t length,
		   struct compiled **ret_compiled, struct error *error)
{
	return get(warden, "stored profile", text, length, ret_compiled, error);
}

/* Whether a listed path is a file is only known on the host, now. */
static int note_place(struct root_place *place, const char *path,
		      struct error *error)
{
	struct stat status;

	if (lstat(path, &status) < 0)
		return error_errno(error, errno, "files: %s", path);
	place->path = path;
	place->directory = S_ISDIR(status.st_mode);
	return 0;
}

int profiles_root(struct warden *warden, struct compiled *compiled,
		  struct error *error)
{
	const struct profile *profile = compiled->profile;
	struct root_place places[AMBIT_SLOTS / 64];
	size_t count = 0, most = sizeof(places) / sizeof(*places);
	char path[PATH_MAX];
	int failed = 0;

	if (compiled->root[0])
		return 0;
	for (unsigned i = 0; !failed && i < profile->files.read_count; i++)
		failed = count == most ?
				 error_set(error, E2BIG, "files: too many paths") :
				 note_place(&places[count++],
					    profile->files.read[i], error);
	for (unsigned i = 0; !failed && i < profile->files.write_count; i++)
		failed = count == most ?
				 error_set(error, E2BIG, "files: too many paths") :
				 note_place(&places[count++],
					    profile->files.write[i], error);
	for (unsigned i = 0; !failed && i < profile->egress_count; i++)
		if (profile->egress[i].kind == PROFILE_ENDPOINT_UNIX) {
			if (count == most)
				failed = error_set(error, E2BIG,
						   "egress: too many paths");
			else
				places[count++] = (struct root_place){
					profile->egress[i].to + 5, 0 };
		}
	if (failed)
		return failed;
	snprintf(path, sizeof(path), "%s/roots/%s", warden->config.run,
		 compiled->content);
	failed = root_prepare(path, profile->files.system, places, count, error);
	if (!failed)
		memcpy(compiled->root, path, sizeof(path));
	return failed;
}

static int is_kept(void *owner, uint64_t number)
{
	const struct warden *warden = owner;

	for (const struct compiled *known = warden->compiled; known;
	     known = known->next)
		if (known->named && known->plan->policy.profile == number)
			return 1;
	return 0;
}

int profiles_sweep(struct warden *warden, struct error *error)
{
	return tls_sweep_names(warden->kernel, is_kept, warden, error);
}

void profiles_release(struct warden *warden, struct compiled *compiled)
{
	(void)warden;
	if (compiled)
		compiled->references--;
}

void profiles_close(struct warden *warden)
{
	while (warden->compiled) {
		struct compiled *compiled = warden->compiled;
		warden->compiled = compiled->next;
		destroy(warden, compiled);
	}
}
