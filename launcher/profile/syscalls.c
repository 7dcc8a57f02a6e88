/* SPDX-License-Identifier: Apache-2.0 */
/* From the tables of sets.c to the list of one profile: see syscalls.h. */
#include "syscalls.h"

#include "../base/own.h"
#include "sets.h"

#include <string.h>
#include <sys/socket.h>

struct list {
	struct filter_rule *rules;
	size_t count, room;
	struct error *error;
};

const struct syscall_set *syscalls_sets(size_t *ret_count)
{
	*ret_count = sets_count;
	return sets_all;
}

const struct syscall_set *syscalls_set(const char *name)
{
	for (size_t i = 0; i < sets_count; i++)
		if (!strcmp(sets_all[i].name, name))
			return &sets_all[i];
	return NULL;
}

const struct filter_rule *syscalls_refusals(int pinned, size_t *ret_count)
{
	*ret_count = sets_refusal_count - (pinned ? 0 : SETS_PINNED);
	return sets_refusals;
}

const char *syscalls_wrong(const char *name, int allow)
{
	if (name[0] == '@')
		return syscalls_set(name) ? NULL :
					    "no such set: ambit profile syscalls "
					    "lists them";
	for (size_t i = 0; i < sets_never_count && allow; i++)
		if (!strcmp(sets_never[i].call, name))
			return sets_never[i].why;
	if (!allow && !strcmp(name, "execve"))
		return "nothing could be started without it";
	return filter_knows(name) ? NULL : "no such system call is known here";
}

static int same_rule(const struct filter_rule *a, const struct filter_rule *b)
{
	if (strcmp(a->call, b->call))
		return 0;
	for (int i = 0; i < FILTER_CONDITIONS; i++)
		if (a->conditions[i].used != b->conditions[i].used ||
		    a->conditions[i].argument != b->conditions[i].argument ||
		    a->conditions[i].mask != b->conditions[i].mask ||
		    a->conditions[i].value != b->conditions[i].value)
			return 0;
	return 1;
}

static int list_add(struct list *list, const struct filter_rule *rule)
{
	for (size_t i = 0; i < list->count; i++)
		if (same_rule(&list->rules[i], rule))
			return 0;
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 512;
		void *more = realloc(list->rules, room * sizeof(*rule));
		if (!more)
			return error_errno(list->error, ENOMEM, "syscalls");
		list->rules = more;
		list->room = room;
	}
	list->rules[list->count++] = *rule;
	return 0;
}

static int list_add_set(struct list *list, const struct syscall_set *set)
{
	int result = 0;

	for (size_t i = 0; i < set->rule_count && !result; i++)
		result = list_add(list, &set->rules[i]);
	for (size_t i = 0; set->members && set->members[i] && !result; i++)
		result = list_add_set(list, syscalls_set(set->members[i]));
	return result;
}

/* A call that a set holds under conditions is added under them: allowing
 * "socket" does not open every family. */
static int list_add_call(struct list *list, const char *call)
{
	const struct filter_rule bare = { .call = call };
	int found = 0, result = 0;

	for (size_t i = 0; i < sets_count; i++)
		for (size_t j = 0; j < sets_all[i].rule_count && !result; j++) {
			if (strcmp(sets_all[i].rules[j].call, call))
				continue;
			found = 1;
			result = list_add(list, &sets_all[i].rules[j]);
		}
	return found || result ? result : list_add(list, &bare);
}

static void list_remove(struct list *list, const char *call)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->rules[i].call, call))
			list->rules[kept++] = list->rules[i];
	list->count = kept;
}

static void list_remove_set(struct list *list, const struct syscall_set *set)
{
	for (size_t i = 0; i < set->rule_count; i++)
		list_remove(list, set->rules[i].call);
	for (size_t i = 0; set->members && set->members[i]; i++)
		list_remove_set(list, syscalls_set(set->members[i]));
}

/* `type`: SOCK_DGRAM, or 0 for all. */
static void list_remove_unix(struct list *list, uint64_t type)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		const struct filter_rule *rule = &list->rules[i];
		if (!strcmp(rule->call, "socket") && rule->conditions[0].used &&
		    rule->conditions[0].value == AF_UNIX &&
		    (!type || rule->conditions[1].value == type))
			continue;
		list->rules[kept++] = *rule;
	}
	list->count = kept;
}

static int has_unix(const struct profile *profile)
{
	for (unsigned i = 0; i < profile->egress_count; i++)
		if (profile->egress[i].kind == PROFILE_ENDPOINT_UNIX)
			return 1;
	return 0;
}

static int list_fill(struct list *list, const struct profile *profile)
{
	const struct syscall_set *base = syscalls_set(profile->syscalls.base);

	if (!base)
		return error_set(list->error, EINVAL, "syscalls.base: %s: no such set",
				 profile->syscalls.base);
	int result = list_add_set(list, base);
	if (profile->listen_count && !result)
		result = list_add_set(list, syscalls_set("@listen"));
	for (unsigned i = 0; i < profile->syscalls.allow_count && !result; i++) {
		const char *name = profile->syscalls.allow[i];
		const char *wrong = syscalls_wrong(name, 1);
		if (wrong)
			return error_set(list->error, EINVAL,
					 "syscalls.allow: %s: %s", name, wrong);
		result = name[0] == '@' ? list_add_set(list, syscalls_set(name)) :
					  list_add_call(list, name);
	}
	return result;
}

static int list_deny(struct list *list, const struct profile *profile)
{
	for (unsigned i = 0; i < profile->syscalls.deny_count; i++) {
		const char *name = profile->syscalls.deny[i];
		const char *wrong = syscalls_wrong(name, 0);
		if (wrong)
			return error_set(list->error, EINVAL,
					 "syscalls.deny: %s: %s", name, wrong);
		if (name[0] == '@')
			list_remove_set(list, syscalls_set(name));
		else
			list_remove(list, name);
	}
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->rules[i].call, "execve"))
			return 0;
	return error_set(list->error, EINVAL, "syscalls: execve is not in the list: "
			 "nothing could be started");
}

int syscalls_compose(const struct profile *profile,
		     const struct syscalls_node *node,
		     struct filter_rule **ret_rules, size_t *ret_count,
		     struct error *error)
{
	struct list list = { .error = error };

	int result = list_fill(&list, profile);
	if (!result && !node->memory_files)
		list_remove(&list, "memfd_create");
	/* Connects to unix sockets can't be told apart without the hook, and
	 * socket(2) is the last place where the family is seen. */
	if (!result && !node->unix_sockets)
		list_remove_unix(&list, 0);
	/* No hook sees what comes in: whoever of the host knows the name that a
	 * datagram socket has can hand it descriptors, of a connection or a file.
	 * (A stream socket takes nobody without listen.) */
	if (!result && !has_unix(profile))
		list_remove_unix(&list, SOCK_DGRAM);
	if (!result)
		result = list_deny(&list, profile);
	if (result < 0) {
		free(list.rules);
		return result;
	}
	*ret_rules = list.rules;
	*ret_count = list.count;
	return 0;
}
