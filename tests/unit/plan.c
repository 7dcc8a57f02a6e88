/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans: what is missing refuses its clause and no other, and what the kernel
 * side gets is what the profile says.
 */
#include "build.h"

#include <netinet/in.h>

#define FULL                                                             \
	"limits: {memory: 1G, cpu: 100%}\n"                              \
	"files: {read: [/opt/a], write: [/srv/b], execute: [/srv/b]}\n"  \
	"egress:\n"                                                      \
	"  - {to: crm.example.com, ports: [443]}\n"                      \
	"  - {to: 192.0.2.0/24, ports: [5432, 8000-8100]}\n"             \
	"  - {to: '2001:db8::1', ports: [53], protocol: udp}\n"          \
	"  - {to: 'unix:/run/x.sock'}\n"                                 \
	"listen: [8080, '[::]:9000-9001/udp']\n"                         \
	"credentials: [{name: c, type: x509-svid}]\n"                    \
	"exceptions: [{what: w, why: y, requested-by: r, approved-by: s, " \
	"until: 2027-01-01}]\n"

static const struct plan_row *row_with(const struct plan *plan, const char *front)
{
	for (size_t i = 0; i < plan->row_count; i++)
		if (!strncmp(plan->rows[i].clause, front, strlen(front)))
			return &plan->rows[i];
	return NULL;
}

/* One layer missing: how many clauses are refused, and one of them. */
static void test_refusals(void)
{
	static const struct {
		const char *layer;
		size_t offset, refused;
		const char *clause, *why;
	} rows[] = {
#define LAYER(member) #member, offsetof(struct plan_layers, member)
		{ LAYER(cgroup_hooks), 1, "every profile", "cgroup hooks is missing" },
		{ LAYER(packet_wall), 1, "every profile", "packet wall" },
		{ LAYER(seccomp), 1, "every profile", "seccomp" },
		{ LAYER(landlock), 1, "every profile", "Landlock" },
		{ LAYER(unix_hook), 1, "egress[3]", "unix connect hook is missing" },
		{ LAYER(abstract_scope), 0, NULL, NULL },
		{ LAYER(memory_controller), 1, "limits.memory 1G",
		  "cgroup controller memory is missing" },
		{ LAYER(pids_controller), 0, NULL, NULL },
		{ LAYER(cpu_controller), 1, "limits.cpu 100%",
		  "cgroup controller cpu is missing" },
		{ LAYER(idmapped_mounts), 3, "files.read /opt/a", "id-mapped" },
		{ LAYER(memfd_noexec), 0, NULL, NULL },
		{ LAYER(names), 1, "egress[0] to crm.example.com",
		  "names are not resolved on this node" },
		{ LAYER(tls_names), 1, "egress[0] tls: required",
		  "TLS server names can't be pinned" },
#undef LAYER
	};
	struct plan_layers layers = every();
	struct plan *plan = build(FULL, &layers);

	is_int((long long)plan->refused, 0, "with every layer nothing is refused");
	ok(!plan_refusal(plan), "… and there is no first refusal");
	has_string(plan->summary, "egress: 4 entries, 4 rules", "… and a summary");
	for (size_t i = 0; i < plan->row_count; i++)
		if (!plan->rows[i].mechanism[0])
			ok(0, "a row without mechanism: %s", plan->rows[i].clause);
	plan_free(plan);
	for (size_t i = 0; i < COUNT(rows); i++) {
		layers = every();
		*((uint8_t *)&layers + rows[i].offset) = 0;
		plan = build(FULL, &layers);
		is_int((long long)plan->refused, (long long)rows[i].refused,
		       "without %s", rows[i].layer);
		const struct plan_row *first = plan_refusal(plan);
		if (rows[i].clause && first) {
			has_string(first->clause, rows[i].clause, "… the clause");
			has_string(first->refusal, rows[i].why, "… and why");
			is_string(first->mechanism, "", "… and no mechanism");
		}
		plan_free(plan);
	}
	ok(sizeof(struct plan_layers) == COUNT(rows), "every layer was left out once");
}

static void test_mechanisms(void)
{
	struct plan_layers layers = every();
	layers.pids_controller = layers.memory_controller = 0;
	struct plan *plan = build("exceptions: [{what: w, why: y, requested-by: r, "
				  "approved-by: s, until: 2027-01-01}]\n", &layers);
	has_string(row_with(plan, "limits.processes")->mechanism, "RLIMIT_NPROC",
		   "without its controller, processes are held by the uid");
	has_string(row_with(plan, "limits.memory unlimited")->mechanism,
		   "not limited; a limit would need a controller",
		   "an unlimited memory says so");
	has_string(row_with(plan, "exceptions[0]")->mechanism,
		   "documentation: in force until 2027-01-01",
		   "an exception grants nothing");
	is_int((long long)plan->refused, 0, "none of them is a refusal");
	plan_free(plan);
}

static void test_policy(void)
{
	struct plan_layers layers = every();
	struct plan *plan = build(FULL, &layers);
	const struct ambit_policy *policy = &plan->policy;
	static const uint8_t v4[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255,
					192, 0, 2, 0 };

	is_int(policy->rule_count, 4, "one rule per entry and port range");
	ok(policy->rules[0].flags == (AMBIT_RULE_NAME | AMBIT_RULE_TLS) &&
	   policy->rules[0].id == 0 && policy->rules[0].port_low == 443 &&
	   policy->rules[0].port_high == 443, "the name, with its TLS");
	ok(!memcmp(policy->rules[1].address, v4, 16) &&
	   policy->rules[1].prefix == 120 && policy->rules[1].id == 1 &&
	   policy->rules[1].protocol == IPPROTO_TCP && !policy->rules[1].flags &&
	   policy->rules[1].port_low == 5432 && policy->rules[1].port_high == 5432,
	   "the first address");
	ok(policy->rules[2].id == 1 && policy->rules[2].port_low == 8000 &&
	   policy->rules[2].port_high == 8100, "its second range");
	ok(policy->rules[3].id == 2 && policy->rules[3].prefix == 128 &&
	   policy->rules[3].protocol == IPPROTO_UDP, "the UDP one");
	ok(policy->unix_count == 2 && policy->unix_paths[0].id == 3 &&
	   policy->unix_paths[0].length == 11 &&
	   !memcmp(policy->unix_paths[0].path, "/run/x.sock", 12), "the socket");
	ok(policy->unix_paths[1].id == 3 && policy->unix_paths[1].length == 15 &&
	   !memcmp(policy->unix_paths[1].path, "/var/run/x.sock", 16),
	   "… and its other name");
	ok(policy->listen_count == 2 && !policy->listens[0].anywhere &&
	   policy->listens[1].anywhere && policy->listens[1].port_high == 9001 &&
	   policy->listens[1].protocol == IPPROTO_UDP, "the ports");
	is_int(policy->unix_mode, AMBIT_UNIX_LISTED, "host directories: only listed "
	       "sockets");
	is_int(plan->listens, 1, "listen is in the filter");
	ok(policy->instance == 0 && policy->slot == 0 &&
	   policy->state == AMBIT_POLICY_NONE && policy->generation == 0,
	   "what changes per launch is left open");
	plan_free(plan);

	static const struct {
		const char *text;
		int mode;
	} modes[] = {
		{ "", AMBIT_UNIX_LISTED },
		{ "files: {system: none}\n", AMBIT_UNIX_PRIVATE },
		{ "files: {system: none, read: [/opt/a]}\n", AMBIT_UNIX_LISTED },
		{ "files: {read: [/opt/a]}\n", AMBIT_UNIX_LISTED },
		{ "files: {write: [/opt/a]}\n", AMBIT_UNIX_LISTED },
		{ "egress: [{to: 'unix:/run/x'}]\n", AMBIT_UNIX_LISTED },
	};
	for (size_t i = 0; i < COUNT(modes); i++) {
		plan = build(modes[i].text, &layers);
		is_int(plan->policy.unix_mode, modes[i].mode, "unix mode of %zu", i);
		is_int(plan->listens, 0, "… and no listen");
		plan_free(plan);
	}
}

static void test_too_many(void)
{
	struct plan_layers layers = every();
	struct error error;
	char text[8000] = "egress:\n";
	int result;

	for (int i = 0; i < 2; i++) {
		strncat(text, "  - {to: 192.0.2.1, ports: [1", sizeof(text) -
			strlen(text) - 1);
		for (int port = 2; port <= 129; port++) {
			char word[16];
			snprintf(word, sizeof(word), ",%d", port);
			strncat(text, word, sizeof(text) - strlen(text) - 1);
		}
		strncat(text, "]}\n", sizeof(text) - strlen(text) - 1);
	}
	struct plan *plan = build_error(text, &layers, &result, &error);
	ok(!plan && result == -E2BIG, "258 rules are too many");
	has_string(error.text, "egress[1] to 192.0.2.1: too many rules",
		   "… and the clause is named");
}

int main(void)
{
	test_refusals();
	test_mechanisms();
	test_policy();
	test_too_many();
	return done_testing();
}
