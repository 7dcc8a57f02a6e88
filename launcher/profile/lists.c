/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of a profile whose entries have parts: see parse.h. */
#include "parse.h"
#include "words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for `count` entries at *to, one more so that none is NULL. */
static int room(struct parse *parse, unsigned count, size_t size, void *to)
{
	void *list = calloc(count + 1UL, size);

	if (!list)
		return error_errno(parse->error, ENOMEM, "%s", parse->file);
	memcpy(to, &list, sizeof(list));
	return 0;
}

int parse_environment(struct parse *parse)
{
	struct profile *profile = parse->profile;
	const struct source_node *run = source_member(parse->root, "run");
	const struct source_node *list = run ? source_member(run, "environment") : NULL;

	if (list && list->kind != SOURCE_MAPPING)
		return parse_wrong_at(parse, list, "run.environment",
				      "names with values were expected, as in "
				      "{LANG: C.UTF-8}");
	int result = room(parse, list ? list->count : 0,
			  sizeof(*profile->run.environment),
			  &profile->run.environment);
	if (result < 0 || !list)
		return result;
	for (const struct source_node *at = list->first; at; at = at->next) {
		struct profile_pair *pair =
			&profile->run.environment[profile->run.environment_count++];
		if (at->kind != SOURCE_SCALAR || strlen(at->text) > 4096)
			return parse_wrong_at(parse, at, "run.environment",
					      "one value of at most 4096 bytes was "
					      "expected");
		pair->name = strdup(at->key);
		pair->value = strdup(at->text);
		if (!pair->name || !pair->value)
			return error_errno(parse->error, ENOMEM, "%s",
					   parse->file);
	}
	return 0;
}

/* What the audit calls the endpoint. */
static int take_tool(struct parse *parse, const char *path, const char *text,
		     void *to)
{
	size_t length = strlen(text);

	if (length < 1 || length >= AMBIT_NAME_SIZE ||
	    strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789._-") != length)
		return parse_wrong(parse, path, "%s: 1 to 63 of a-z, A-Z, 0-9 and "
				   "._- were expected", source_quote(text).text);
	return parse_text(parse, path, text, to);
}

static int take_protocol(struct parse *parse, const char *path,
			 const char *text, void *to)
{
	static const char *const words[] = { "tcp", "udp", NULL };
	int index = 0;

	int result = parse_word(parse, path, text, words, "tcp or udp", &index);
	if (!result)
		*(enum profile_protocol *)to = (enum profile_protocol)index;
	return result;
}

static int take_tls(struct parse *parse, const char *path, const char *text,
		    void *to)
{
	static const char *const words[] = { "required", "off", NULL };
	int index = 0;

	int result = parse_word(parse, path, text, words, "required or off", &index);
	if (!result)
		*(enum profile_tls *)to = index ? PROFILE_TLS_OFF :
						  PROFILE_TLS_REQUIRED;
	return result;
}

static int take_to(struct parse *parse, const char *path, const char *text,
		   void *to)
{
	const char *expected = "";
	int result = word_endpoint(text, to, &expected);

	if (result == -ENOMEM)
		return error_errno(parse->error, ENOMEM, "%s", parse->file);
	if (result < 0)
		return parse_wrong(parse, path, "%s: %s", source_quote(text).text,
				   expected);
	return 0;
}

#define RAW(member) offsetof(struct raw_endpoint, member)
#define TO(member) offsetof(struct profile_endpoint, member)

static const struct parse_row endpoint_rows[] = {
	{ "to", RAW(to), TO(kind), take_to, NULL },
	{ "protocol", RAW(protocol), TO(protocol), take_protocol, "tcp" },
	{ "tls", RAW(tls), TO(tls), take_tls, NULL },
};
/* Last: no tool is the empty text, which cannot be written. */
static const struct parse_row tool_row[] = {
	{ "tool", RAW(tool), TO(tool), take_tool, NULL },
};

#undef RAW
#undef TO

_Static_assert(offsetof(struct profile_endpoint, kind) == 0,
	       "take_to gets the endpoint");

/* A unix socket has neither ports nor protocol nor TLS. */
static int unix_entry(struct parse *parse, const char *path,
		      const struct raw_endpoint *raw)
{
	const struct {
		const char *key;
		int given;
	} keys[] = {
		{ "ports", raw->ports_count != 0 },
		{ "protocol", raw->protocol != NULL },
		{ "tls", raw->tls != NULL },
	};
	char below[96];

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		if (!keys[i].given)
			continue;
		snprintf(below, sizeof(below), "%s.%s", path, keys[i].key);
		return parse_wrong(parse, below, "a unix socket has none: leave it "
				   "out");
	}
	return 0;
}

/* The private blocks in which a name's answers may lie. */
static int take_addresses(struct parse *parse, const char *path,
			  const struct raw_endpoint *raw,
			  struct profile_endpoint *endpoint)
{
	char below[96];

	int result = room(parse, raw->addresses_count, sizeof(*endpoint->addresses),
			  &endpoint->addresses);
	if (result < 0)
		return result;
	snprintf(below, sizeof(below), "%s.addresses", path);
	if (raw->addresses_count && endpoint->kind != PROFILE_ENDPOINT_NAME)
		return parse_wrong(parse, below, "only a name leads to addresses: "
				   "leave it out");
	for (unsigned i = 0; i < raw->addresses_count; i++) {
		struct profile_block *block = &endpoint->addresses[i];
		const char *expected = "";
		snprintf(below, sizeof(below), "%s.addresses[%u]", path, i);
		if (word_private(raw->addresses[i], block, &expected) < 0)
			return parse_wrong(parse, below, "%s: %s",
					   source_quote(raw->addresses[i]).text,
					   expected);
		for (unsigned j = 0; j < i; j++) {
			const struct profile_block *other = &endpoint->addresses[j];
			if (profile_block_holds(other, block->address, block->prefix) ||
			    profile_block_holds(block, other->address, other->prefix))
				return parse_wrong(parse, below, "%s: and addresses"
						   "[%u] lie in one another: one of "
						   "them was expected", block->text,
						   j);
		}
		endpoint->address_count++;
	}
	return 0;
}

static int holds_port(const struct profile_endpoint *endpoint, uint16_t port)
{
	for (unsigned i = 0; i < endpoint->port_count; i++)
		if (endpoint->ports[i].low <= port && port <= endpoint->ports[i].high)
			return 1;
	return 0;
}

/* Resolves the default: a name on 443 speaks TLS.  What is left as DEFAULT
 * would be read differently by each reader. */
static int settle_tls(struct parse *parse, const char *path,
		      struct profile_endpoint *endpoint)
{
	char below[96];
	int name = endpoint->kind == PROFILE_ENDPOINT_NAME;

	snprintf(below, sizeof(below), "%s.tls", path);
	if (endpoint->tls == PROFILE_TLS_REQUIRED && !name)
		return parse_wrong(parse, below, "required: only a name can be held "
				   "against the TLS server name; off was expected "
				   "for an address");
	if (endpoint->tls == PROFILE_TLS_REQUIRED &&
	    endpoint->protocol == PROFILE_UDP)
		return parse_wrong(parse, below, "required: the server name is read "
				   "from TLS over TCP; off was expected for udp");
	if (endpoint->tls != PROFILE_TLS_DEFAULT)
		return 0;
	endpoint->tls = PROFILE_TLS_OFF;
	if (!name || endpoint->protocol == PROFILE_UDP || !holds_port(endpoint, 443))
		return 0;
	for (unsigned i = 0; i < endpoint->port_count; i++)
		if (endpoint->ports[i].low != 443 || endpoint->ports[i].high != 443)
			return parse_wrong(parse, path, "443 and other ports in one "
					   "entry: tls: required or tls: off was "
					   "expected, or two entries");
	endpoint->tls = PROFILE_TLS_REQUIRED;
	return 0;
}

static int take_ports(struct parse *parse, const char *path,
		      const struct raw_endpoint *raw,
		      struct profile_endpoint *endpoint)
{
	char below[96];

	int result = room(parse, raw->ports_count, sizeof(*endpoint->ports),
			  &endpoint->ports);
	if (result < 0)
		return result;
	if (endpoint->kind == PROFILE_ENDPOINT_UNIX) {
		endpoint->tls = PROFILE_TLS_OFF;
		return unix_entry(parse, path, raw);
	}
	if (!raw->ports_count)
		return parse_wrong(parse, path, "ports: missing: a list such as "
				   "[443, 8000-8100] was expected");
	for (unsigned i = 0; i < raw->ports_count; i++) {
		const char *text = raw->ports[i];
		if (word_ports(text, strlen(text), &endpoint->ports[i]) < 0) {
			snprintf(below, sizeof(below), "%s.ports[%u]", path, i);
			return parse_wrong(parse, below, "%s: a port of 1 to 65535 "
					   "or a range such as 8000-8100 was "
					   "expected", source_quote(text).text);
		}
		endpoint->port_count++;
	}
	return settle_tls(parse, path, endpoint);
}

int parse_egress(struct parse *parse)
{
	const struct raw *raw = parse->raw;
	struct profile *profile = parse->profile;
	char path[64];

	int result = room(parse, raw->egress_count, sizeof(*profile->egress),
			  &profile->egress);
	for (unsigned i = 0; i < raw->egress_count && !result; i++) {
		struct profile_endpoint *endpoint = &profile->egress[i];
		profile->egress_count++;
		snprintf(path, sizeof(path), "egress[%u]", i);
		endpoint->line = parse_line(parse, path);
		endpoint->tool = strdup("");
		if (!endpoint->tool)
			return error_errno(parse->error, ENOMEM, "%s", parse->file);
		result = parse_rows(parse, path, endpoint_rows,
				    sizeof(endpoint_rows) / sizeof(*endpoint_rows),
				    &raw->egress[i], endpoint);
		if (!result)
			result = parse_rows(parse, path, tool_row, 1,
					    &raw->egress[i], endpoint);
		if (!result)
			result = take_addresses(parse, path, &raw->egress[i],
						endpoint);
		if (!result)
			result = take_ports(parse, path, &raw->egress[i], endpoint);
	}
	return result;
}

int parse_listen(struct parse *parse)
{
	const struct raw *raw = parse->raw;
	struct profile *profile = parse->profile;
	char path[64];

	int result = room(parse, raw->listen_count, sizeof(*profile->listen),
			  &profile->listen);
	if (result < 0)
		return result;
	for (unsigned i = 0; i < raw->listen_count; i++) {
		snprintf(path, sizeof(path), "listen[%u]", i);
		if (word_listen(raw->listen[i], &profile->listen[i]) < 0)
			return parse_wrong(parse, path, "%s: a port of 1 to 65535 "
					   "such as 8080, 8000-8010, 8080/udp or, "
					   "on every address, \"[::]:8080\" was "
					   "expected",
					   source_quote(raw->listen[i]).text);
		profile->listen[i].line = parse_line(parse, path);
		profile->listen_count++;
	}
	return 0;
}

static int take_type(struct parse *parse, const char *path, const char *text,
		     void *to)
{
	static const char *const words[] = { "x509-svid", "jwt-svid", NULL };
	int index = 0;

	int result = parse_word(parse, path, text, words, "x509-svid or jwt-svid",
				&index);
	if (!result)
		*(enum profile_credential_type *)to =
			index ? PROFILE_JWT_SVID : PROFILE_X509_SVID;
	return result;
}

/* An audience is compared byte by byte by whoever gets the token: blanks and
 * look-alike characters have no place in it. */
static int take_audience(struct parse *parse, const char *path,
			 const char *text, void *to)
{
	for (const char *at = text; *at; at++)
		if (*at <= ' ' || *at > '~')
			return parse_wrong(parse, path, "printable ASCII without "
					   "blanks was expected");
	return parse_text(parse, path, text, to);
}

#define RAW(member) offsetof(struct raw_credential, member)
#define TO(member) offsetof(struct profile_credential, member)

static const struct parse_row credential_rows[] = {
	{ "name", RAW(name), TO(name), parse_name, NULL },
	{ "type", RAW(type), TO(type), take_type, NULL },
	{ "audience", RAW(audience), TO(audience), take_audience, NULL },
};

#undef RAW
#undef TO

static int take_ttl(struct parse *parse, const char *path, const char *text,
		    struct profile_credential *credential)
{
	int token = credential->type == PROFILE_JWT_SVID;
	uint64_t ttl = 0;

	/* A token can't be taken back: an hour is the longest it may live. */
	if (!text)
		text = token ? "5m" : "1h";
	if (word_duration(text, &ttl) < 0 || ttl < 60 ||
	    ttl > (token ? 3600U : 86400U))
		return parse_wrong(parse, path, "%s: 1m to %s was expected",
				   source_quote(text).text, token ?
				   "1h for a jwt-svid" : "24h for an x509-svid");
	credential->ttl = (uint32_t)ttl;
	return 0;
}

static int take_credential(struct parse *parse, unsigned index,
			   struct profile_credential *credential)
{
	const struct raw_credential *raw = &parse->raw->credentials[index];
	const struct profile *profile = parse->profile;
	char path[64], below[96];

	snprintf(path, sizeof(path), "credentials[%u]", index);
	credential->line = parse_line(parse, path);
	credential->audience = strdup("");
	if (!credential->audience)
		return error_errno(parse->error, ENOMEM, "%s", parse->file);
	int result = parse_rows(parse, path, credential_rows,
				sizeof(credential_rows) / sizeof(*credential_rows),
				raw, credential);
	if (result < 0)
		return result;
	int token = credential->type == PROFILE_JWT_SVID;
	if (token && !raw->audience)
		return parse_wrong(parse, path, "audience: missing: a jwt-svid is "
				   "for one audience");
	snprintf(below, sizeof(below), "%s.audience", path);
	if (!token && raw->audience)
		return parse_wrong(parse, below, "an x509-svid has none: leave it "
				   "out");
	for (unsigned i = 0; i < index; i++) {
		if (strcmp(profile->credentials[i].name, credential->name))
			continue;
		snprintf(below, sizeof(below), "%s.name", path);
		return parse_wrong(parse, below, "%s: given twice: a name that is "
				   "not credentials[%u]'s was expected",
				   credential->name, i);
	}
	snprintf(below, sizeof(below), "%s.ttl", path);
	return take_ttl(parse, below, raw->ttl, credential);
}

int parse_credentials(struct parse *parse)
{
	struct profile *profile = parse->profile;
	unsigned count = parse->raw->credentials_count;

	int result = room(parse, count, sizeof(*profile->credentials),
			  &profile->credentials);
	for (unsigned i = 0; i < count && !result; i++) {
		profile->credential_count++;
		result = take_credential(parse, i, &profile->credentials[i]);
	}
	return result;
}

#define RAW(member) offsetof(struct raw_exception, member)
#define TO(member) offsetof(struct profile_exception, member)

static const struct parse_row exception_rows[] = {
	{ "what", RAW(what), TO(what), parse_text, NULL },
	{ "why", RAW(why), TO(why), parse_text, NULL },
	{ "requested-by", RAW(requested_by), TO(requested_by), parse_text, NULL },
	{ "approved-by", RAW(approved_by), TO(approved_by), parse_text, NULL },
	{ "until", RAW(until), TO(until), parse_date, NULL },
};

int parse_exceptions(struct parse *parse)
{
	struct profile *profile = parse->profile;
	unsigned count = parse->raw->exceptions_count;
	char path[64], below[96];

	int result = room(parse, count, sizeof(*profile->exceptions),
			  &profile->exceptions);
	for (unsigned i = 0; i < count && !result; i++) {
		struct profile_exception *exception = &profile->exceptions[i];
		profile->exception_count++;
		snprintf(path, sizeof(path), "exceptions[%u]", i);
		result = parse_rows(parse, path, exception_rows,
				    sizeof(exception_rows) / sizeof(*exception_rows),
				    &parse->raw->exceptions[i], exception);
		snprintf(below, sizeof(below), "%s.until", path);
		exception->place = parse_place(parse, below);
		snprintf(below, sizeof(below), "%s.approved-by", path);
		if (!result &&
		    !strcasecmp(exception->requested_by, exception->approved_by))
			result = parse_wrong(parse, below, "the same as "
					     "requested-by: another person was "
					     "expected");
	}
	return result;
}
