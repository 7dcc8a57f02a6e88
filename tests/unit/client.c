/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's half of Varlink, with the test at the other end of a socket pair:
 * framing, descriptors, answers that are none, what a refusal looks like, and
 * that nothing an agent chose reaches a terminal as it is.
 */
#include "tap.h"

#include "ambit/pool.c"
#include "ambit/client.c"
#include "ambit/say.c"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct client client;
static int peer = -1;

static void fresh(void)
{
	int ends[2];

	client_close(&client);
	own_close(&peer);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		bail_out("socketpair: %s", strerror(errno));
	client = (struct client){ .fd = ends[0], .passed = -1 };
	peer = ends[1];
}

static void peer_writes(const void *bytes, size_t length)
{
	if (write(peer, bytes, length) != (ssize_t)length)
		bail_out("write: %s", strerror(errno));
}

static void peer_passes(size_t count)
{
	int fds[CALL_FDS + 3] = { 0 };
	char control[CMSG_SPACE(sizeof(fds))] = { 0 };
	struct iovec part = { "{}", 3 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	if (sendmsg(peer, &message, 0) != 3)
		bail_out("sendmsg: %s", strerror(errno));
}

static int open_descriptors(void)
{
	int count = 0;
	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void test_framing(void)
{
	static const char two[] = "{\"parameters\":{\"n\":1},\"continues\":true}\0"
				  "{\"parameters\":{\"n\":2}}";
	struct reply reply;
	struct error error = { 0 };

	fresh();
	peer_writes(two, sizeof(two));
	is_int(client_receive(&client, 1, &reply, &error), 1, "first of two");
	is_int(json_integer_value(json_object_get(reply.parameters, "n")), 1,
	       "is the first");
	ok(reply.continues, "more will come");
	reply_release(&reply);
	is_int(client_receive(&client, 0, &reply, &error), 1, "second of two");
	ok(!reply.continues, "it is the last");
	reply_release(&reply);
	is_int(client_receive(&client, 0, &reply, &error), -EAGAIN,
	       "then there is nothing");
	int early = 0;
	for (size_t i = 0; i + 1 < 23; i++) {
		peer_writes("{\"parameters\":{\"n\":3}}" + i, 1);
		early += client_receive(&client, 0, &reply, &error) != -EAGAIN;
	}
	is_int(early, 0, "no reply before its zero");
	peer_writes("", 1);
	is_int(client_receive(&client, 0, &reply, &error), 1, "byte by byte");
	reply_release(&reply);
	peer_writes("{}", 2);
	own_close(&peer);
	is_int(client_receive(&client, 1, &reply, &error), 0,
	       "half a reply and the end is the end");
}

static void test_descriptors(void)
{
	struct reply reply;
	struct error error = { 0 };

	fresh();
	int before = open_descriptors();
	peer_passes(2);
	is_int(client_receive(&client, 1, &reply, &error), 1, "two descriptors");
	reply_release(&reply);
	is_int(open_descriptors(), before + 1, "one is kept, one closed");
	ok(fcntl(client.passed, F_GETFD) & FD_CLOEXEC, "close-on-exec");
	own_close(&client.passed);
	peer_passes(CALL_FDS + 3);
	is_int(client_receive(&client, 1, &reply, &error), -EPROTO,
	       "more descriptors than any reply has: refused");
	own_close(&client.passed);
	is_int(open_descriptors(), before, "none of them stays open");
}

static void test_broken(void)
{
	static const char *const broken[] = {
		"", "x", "[]", "null", "\"text\"", "{\"a\":}", "{} {}",
		"{\"error\":1}", "{\"parameters\":[]}", "{\"parameters\":null}",
		"{\"continues\":\"yes\"}", "{\"a\":1,\"a\":2}",
		"{\"a\":\"\\u0000\"}", "{\"a\":\"\xff\"}", "{\"a\":1e999}",
	};
	for (size_t i = 0; i < COUNT(broken); i++) {
		struct reply reply;
		struct error error = { 0 };
		fresh();
		peer_writes(broken[i], strlen(broken[i]) + 1);
		is_int(client_receive(&client, 1, &reply, &error), -EPROTO,
		       "not an answer: %s", broken[i]);
	}
	struct reply reply;
	struct error error = { 0 };
	char deep[8192];
	memset(deep, '[', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = 0;
	fresh();
	peer_writes(deep, sizeof(deep));
	is_int(client_receive(&client, 1, &reply, &error), -EPROTO,
	       "too deep");
}

static void test_too_long(void)
{
	struct reply reply;
	struct error error = { 0 };

	fresh();
	pid_t child = fork();
	if (child == 0) {
		static const char blanks[65536] = { [0 ... 65535] = ' ' };
		close(client.fd);
		while (send(peer, blanks, sizeof(blanks), MSG_NOSIGNAL) > 0)
			;
		_exit(0);
	}
	own_close(&peer);
	is_int(client_receive(&client, 1, &reply, &error), -EMSGSIZE,
	       "an answer without an end is given up");
	client_close(&client);
	waitpid(child, NULL, 0);
}

static void test_call(void)
{
	static const char wanted[] =
		"{\"method\":\"io.ambit.Node.Wait\",\"parameters\":"
		"{\"agent\":\"a\"},\"more\":true}";
	struct error error = { 0 };
	char got[512] = "";

	fresh();
	is_int(client_send(&client, "Wait", json_pack("{s:s}", "agent", "a"), 1,
			   &error), 0, "a call is sent");
	is_int(read(peer, got, sizeof(got)), sizeof(wanted),
	       "with its closing zero");
	is_string(got, wanted, "as Varlink wants it");
	is_int(client_send(&client, "Wait", NULL, 0, &error), -ENOMEM,
	       "parameters that could not be made are not sent");
	own_close(&peer);
	error = (struct error){ 0 };
	is_int(client_send(&client, "Wait", json_object(), 0, &error), -EPIPE,
	       "a node that is gone is no signal");
}

/* What reply_refusal prints for `text`; *ret_status is what it returns. */
static const char *refusal(const char *text, int *ret_status)
{
	static char printed[4096];
	struct reply reply;
	struct error error = { 0 };
	int sink = memfd_create("stderr", MFD_CLOEXEC), kept = dup(2);

	if (reply_parse(text, strlen(text), &reply, &error))
		bail_out("%s: %s", text, error.text);
	dup2(sink, 2);
	*ret_status = reply_refusal(&reply, "run", 99);
	dup2(kept, 2);
	ssize_t n = pread(sink, printed, sizeof(printed) - 1, 0);
	printed[n > 0 ? n : 0] = 0;
	close(sink);
	close(kept);
	reply_release(&reply);
	return printed;
}

static void test_refusals(void)
{
#define REFUSED(parameters) \
	"{\"error\":\"io.ambit.Node.Refused\",\"parameters\":{" parameters "}}"
	static const struct {
		const char *reply, *printed;
		int status;
	} rows[] = {
		{ REFUSED("\"what\":\"limits.memory\",\"why\":\"no controller\","
			  "\"hint\":\"\",\"status\":125"),
		  "ambit: limits.memory: no controller\n", 125 },
		{ REFUSED("\"what\":\"w\",\"why\":\"y\",\"hint\":\"do it\","
			  "\"status\":127"),
		  "ambit: w: y (do it)\n", 127 },
		{ REFUSED("\"what\":\"w\",\"why\":\"y\",\"status\":0"),
		  "ambit: w: y\n", 99 },
		{ REFUSED("\"what\":\"w\",\"why\":\"y\",\"status\":256"),
		  "ambit: w: y\n", 99 },
		{ REFUSED(""), "ambit: run: \n", 99 },
		{ REFUSED("\"what\":\"a\\nb\",\"why\":\"\\u001b[2J%n\""),
		  "ambit: a\\nb: \\x1b[2J%n\n", 99 },
		{ "{\"error\":\"io.ambit.Node.NoSuchAgent\","
		  "\"parameters\":{\"agent\":\"x%s\"}}",
		  "ambit: run: x%s: no such agent, or it has ended "
		  "(ambit ps --all lists them)\n",
		  99 },
		{ "{\"error\":\"io.ambit.Node.PermissionDenied\","
		  "\"parameters\":{\"why\":\"only root\"}}",
		  "ambit: run: only root\n", 99 },
		{ "{\"error\":\"org.varlink.service.MethodNotFound\","
		  "\"parameters\":{\"method\":\"io.ambit.Node.Cut\"}}",
		  "ambit: run: the node does not know io.ambit.Node.Cut "
		  "(it is of another version)\n", 99 },
		{ "{\"error\":\"com.example.Odd\"}",
		  "ambit: run: the node answered com.example.Odd\n", 99 },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		int status;
		is_string(refusal(rows[i].reply, &status), rows[i].printed,
			  "said: %.*s", (int)strcspn(rows[i].printed, "\n"),
			  rows[i].printed);
		is_int(status, rows[i].status, "with its status");
	}
}

static void test_text(void)
{
	static const struct {
		const char *from, *to;
	} rows[] = {
		{ "plain", "plain" },
		{ "Zürich 東京", "Zürich 東京" },
		{ "a\tb\rc\n", "a\\x09b\\x0dc\\n" },
		{ "\x1b]0;title\x07", "\\x1b]0;title\\x07" },
		{ "\x7f", "\\x7f" },
		{ "\xc2\x9b" "31m", "\\u{9b}31m" },	/* CSI as one character */
		{ "\xe2\x80\xae" "txt.exe", "\\u{202e}txt.exe" },
		{ "\xf3\xa0\x81\x81", "\\u{e0041}" },
		{ "\x9b" "31m", "\\x9b31m" },	/* CSI as one byte */
		{ "\xc0\x9b", "\\xc0\\x9b" },	/* overlong ESC */
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },
		{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
		{ "cut \xe2\x80", "cut \\xe2\\x80" },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		OWN_MEMORY char *got = NULL;
		size_t length = 0;
		FILE *to = open_memstream(&got, &length);
		say_text(to, rows[i].from);
		fclose(to);
		is_string(got, rows[i].to, "shown as %s", rows[i].to);
	}
}

int main(void)
{
	client = (struct client)CLIENT_CLOSED;
	test_framing();
	test_descriptors();
	test_broken();
	test_too_long();
	test_call();
	test_refusals();
	test_text();
	client_close(&client);
	own_close(&peer);
	return done_testing();
}
