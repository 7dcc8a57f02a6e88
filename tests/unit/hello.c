/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of TLS hellos, which the kernel programs run on packets: here the
 * same source reads bytes that end at an unmapped page.
 */
#include "hello_memory.h"

#include "hello_build.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROOM HELLO_ROOM
#define NAME HELLO_FOR

/* ---- reading -------------------------------------------------------------------- */

static __u32 name_at;	/* where the last name lay */
static __u8 *guarded;	/* its first byte is unmapped, what is before is not */

static void make_guard(void)
{
	long page = sysconf(_SC_PAGESIZE);
	__u8 *all = mmap(NULL, ROOM + (size_t)page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (all == MAP_FAILED || mprotect(all + ROOM, (size_t)page, PROT_NONE) < 0)
		bail_out("no guard page");
	guarded = all + ROOM;
}

static __u32 read_bytes(const __u8 *bytes, __u32 length,
			struct ambit_server_name *name)
{
	memset(name, 'z', sizeof(*name));
	memcpy(guarded - length, bytes, length);
	return hello_read(guarded - length, 0, length, name, &name_at);
}

/* The name with nothing but zeros behind it, or what is wrong. */
static const char *seen(const struct ambit_server_name *name)
{
	for (unsigned i = name->length; i < sizeof(name->name); i++)
		if (name->name[i])
			return "bytes behind the name";
	return name->length ? name->name : "";
}

/* ---- rows ------------------------------------------------------------------------ */

static const char long_name[] =
	"a23456789a123456789a123456789a123456789a123456789a123456789."
	"b23456789b123456789b123456789b123456789b123456789b123456789."
	"c23456789c123456789c123456789c123456789c123456789c123456789."
	"d23456789d123456789d123456789d123456789d123456789d123456789."
	"e234567890123";

static const struct {
	const char *what;
	struct shape shape;
	__u32 reason;
	const char *name;
} shapes[] = {
	{ "plain", { .name = NAME }, 0, NAME },
	{ "upper case", { .name = "CRM.Example.COM" }, 0, NAME },
	{ "edges of the alphabet", { .name = "@AZ[`az{" }, 0, "@az[`az{" },
	{ "bytes above 127 stay", { .name = "\xc1\xda\xe1" }, 0, "\xc1\xda\xe1" },
	{ "trailing dot stays", { .name = NAME "." }, 0, NAME "." },
	{ "253 bytes", { .name = long_name }, 0, long_name },
	{ "254 bytes", { .name = long_name, .name_length = 254 },
	  AMBIT_REASON_TLS_UNREADABLE, "" },
	{ "one byte", { .name = "a" }, 0, "a" },
	{ "no name", { .name = "" }, AMBIT_REASON_TLS_NO_NAME, "" },
	{ "no extensions", { .no_extensions = 1 }, AMBIT_REASON_TLS_NO_NAME, "" },
	{ "session id of 32", { .session = 32 }, 0, NAME },
	{ "session id of 33", { .session = 33 }, AMBIT_REASON_TLS_UNREADABLE, "" },
	{ "odd cipher list", { .ciphers = 5 }, AMBIT_REASON_TLS_UNREADABLE, "" },
	{ "name behind a large key share", { .before = 5000 }, 0, NAME },
	{ "name before a large key share", { .after = 5000 }, 0, NAME },
	{ "large ticket at the end", { .last = 9000 }, 0, NAME },
	{ "full record", { .last = 16288 }, 0, NAME },
	{ "record too long", { .last = 16384 }, AMBIT_REASON_TLS_UNREADABLE, "" },
	{ "two names", { .twice = 1 }, AMBIT_REASON_TLS_UNREADABLE, NAME },
};

static void test_shapes(void)
{
	static struct bytes hello;
	struct ambit_server_name name;

	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
		build(&hello, &shapes[i].shape);
		is_int(read_bytes(hello.at, hello.length, &name),
		       shapes[i].reason, "%s", shapes[i].what);
		is_string(seen(&name), shapes[i].name, "… and the name seen");
		/* Whatever follows in the packet is the client's business. */
		put_many(&hello, 0x17, 500);
		is_int(read_bytes(hello.at, hello.length, &name),
		       shapes[i].reason, "… and with data behind it");
	}
	build(&hello, &(struct shape){ .name = NAME "\0", .name_length = 16 });
	is_int(read_bytes(hello.at, hello.length, &name), 0, "a zero in the name");
	is_int(name.length, 16, "… counts");
}

/* What a wildcard entry is asked for. */
static const struct { const char *name; size_t length; const char *rest; } rests[] = {
	{ "a.example.com", 0, ".example.com" },
	{ "A-b_9.Example.com", 0, ".example.com" },
	{ "a.b.example.com", 0, ".b.example.com" },
	{ "example", 0, "" }, { ".example.com", 0, "" }, { "*.example.com", 0, "" },
	{ "evil\0.example.com", 17, "" }, { "evil/.example.com", 0, "" },
	{ "\xc3\xa9.example.com", 0, "" }, { "a.", 0, "." },
	{ "a23456789b123456789c123456789d123456789e123456789f123456789g123.x", 0,
	  ".x" },
	{ "a23456789b123456789c123456789d123456789e123456789f123456789g1234.x", 0,
	  "" },
};

static void test_rests(void)
{
	static struct bytes hello;
	struct ambit_server_name name, rest;

	for (size_t i = 0; i < sizeof(rests) / sizeof(*rests); i++) {
		build(&hello, &(struct shape){ .name = rests[i].name,
					       .name_length = rests[i].length });
		is_int(read_bytes(hello.at, hello.length, &name), 0, "%s",
		       rests[i].name);
		memset(&rest, 'z', sizeof(rest));
		is_int(hello_rest(guarded - hello.length, name_at, &name, &rest),
		       *rests[i].rest ? 0 : -1, "… has one plain label in front");
		is_string(seen(&rest), rests[i].rest, "… and behind it");
	}
}

/* Other first bytes. */
static const struct {
	const char *what, *bytes;
	__u32 length, reason;
} strangers[] = {
#define ROW(what, bytes, reason) { what, bytes, sizeof(bytes) - 1, reason }
	ROW("plain HTTP", "GET / HTTP/1.1\r\nHost: crm.example.com\r\n\r\n",
	    AMBIT_REASON_NOT_TLS),
	ROW("SSH", "SSH-2.0-x\r\n", AMBIT_REASON_NOT_TLS),
	ROW("an alert first", "\x15\3\1\0\2\1\0\x16\3\1\0\x60", AMBIT_REASON_NOT_TLS),
	ROW("ChangeCipherSpec first", "\x14\3\3\0\1\1\x16\3\1\0\x60\1",
	    AMBIT_REASON_NOT_TLS),
	ROW("application data first", "\x17\3\3\0\5hello\x16\3\1", AMBIT_REASON_NOT_TLS),
	ROW("an SSLv2 hello", "\x80\x2e\1\0\2\0\x15\0\0\0\x10\1\0\x80",
	    AMBIT_REASON_NOT_TLS),
	ROW("a record of no length first",
	    "\x16\3\1\0\0\x16\3\1\0\x60\1\0\0\x5c\3\3", AMBIT_REASON_TLS_UNREADABLE),
	ROW("record version 4", "\x16\4\1\0\x60\1\0\0\x5c\3\3", AMBIT_REASON_NOT_TLS),
	ROW("record version 3.4", "\x16\3\4\0\x60\1\0\0\x5c\3\3", AMBIT_REASON_NOT_TLS),
	ROW("a server's hello", "\x16\3\3\0\x60\2\0\0\x5c\3\3",
	    AMBIT_REASON_TLS_UNREADABLE),
	ROW("a message shorter than its fixed part", "\x16\3\3\0\x25\1\0\0\x21\3\3",
	    AMBIT_REASON_TLS_UNREADABLE),
	ROW("no byte", "", AMBIT_REASON_TLS_UNREADABLE),
	ROW("one byte of a record", "\x16", AMBIT_REASON_TLS_UNREADABLE),
	ROW("one byte of something else", "G", AMBIT_REASON_NOT_TLS),
#undef ROW
};

static void test_strangers(void)
{
	struct ambit_server_name name;

	for (size_t i = 0; i < sizeof(strangers) / sizeof(*strangers); i++) {
		is_int(read_bytes((const __u8 *)strangers[i].bytes,
				  strangers[i].length, &name),
		       strangers[i].reason, "%s", strangers[i].what);
		is_string(seen(&name), "", "… names nobody");
	}
}

/* Every prefix is refused, unless only the last extension is cut. */
static void test_cut(void)
{
	static struct bytes hello;
	struct ambit_server_name name;
	unsigned passed = 0, wrong = 0;

	build(&hello, &(struct shape){ .after = 100 });
	__u32 from = hello.length - 100;
	for (__u32 length = 0; length < hello.length; length++) {
		__u32 reason = read_bytes(hello.at, length, &name);
		passed += !reason;
		wrong += (length < from) != (reason == AMBIT_REASON_TLS_UNREADABLE);
	}
	is_int(wrong, 0, "a hello cut before its last extension is refused");
	is_int(passed, 100, "… cut inside it, it is read");
	build(&hello, &(struct shape){ .after = 100, .last = 10 });
	is_int(read_bytes(hello.at, hello.length - 20, &name),
	       AMBIT_REASON_TLS_UNREADABLE, "cut inside the last but one: refused");
	build(&hello, &(struct shape){ .before = 100 });
	is_int(read_bytes(hello.at, hello.length - 1, &name),
	       AMBIT_REASON_TLS_UNREADABLE, "cut inside the name: refused");
}

/* Where a length, a type or a version stands in the plain hello. */
static void test_lies(void)
{
	static const struct { const char *what; __u32 at; } lies[] = {
		{ "length of the record", 4 }, { "length of the message", 8 },
		{ "length of the session id", 43 }, { "length of the ciphers", 45 },
		{ "length of the compression", 50 },
		{ "length of the extensions", 53 },
		{ "length of the extension", 57 }, { "length of the list", 59 },
		{ "type of the name", 60 }, { "length of the name", 62 },
	};
	static struct bytes hello;
	struct ambit_server_name name;

	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		unsigned read = 0;
		build(&hello, &(struct shape){ .after = 5 });
		__u8 honest = hello.at[lies[i].at];
		for (unsigned value = 0; value < 256; value++) {
			hello.at[lies[i].at] = (__u8)value;
			read += !read_bytes(hello.at, hello.length, &name);
		}
		is_int(read, 1, "%s: one value alone is read", lies[i].what);
		hello.at[lies[i].at] = honest;
		is_int(read_bytes(hello.at, hello.length, &name), 0,
		       "… the honest one");
	}
}

/* Many extensions, then more than are looked at. */
static void test_many(void)
{
	static struct bytes hello;
	struct ambit_server_name name;

	for (unsigned count = HELLO_EXTENSIONS - 2; count < HELLO_EXTENSIONS + 2;
	     count++) {
		hello.length = 0;
		put(&hello, 0x160301, 3);
		__u32 record = begin_length(&hello, 2);
		put(&hello, MESSAGE_CLIENT_HELLO, 1);
		__u32 message = begin_length(&hello, 3);
		put(&hello, 0x0303, 2);
		put_many(&hello, 'r', 32);
		put(&hello, 0, 1);
		put(&hello, 0x00021301, 4);
		put(&hello, 0x0100, 2);
		__u32 extensions = begin_length(&hello, 2);
		for (unsigned i = 0; i < count; i++)
			put_extension(&hello, 1000 + i, 0);
		put_name(&hello, NAME, strlen(NAME));
		end_length(&hello, extensions, 2);
		end_length(&hello, message, 3);
		end_length(&hello, record, 2);
		is_int(read_bytes(hello.at, hello.length, &name),
		       count < HELLO_EXTENSIONS ? 0 : AMBIT_REASON_TLS_UNREADABLE,
		       "the name as extension number %u", count + 1);
	}
}

/* Any byte changed: never another name than the bytes say, never an over-read. */
static void test_damage(void)
{
	static struct bytes hello;
	struct ambit_server_name name;
	unsigned long state = 1;
	unsigned strange = 0;

	for (int round = 0; round < 200000; round++) {
		build(&hello, &(struct shape){ .session = 8, .before = 40, .after = 9 });
		for (int i = 0; i < 1 + round % 4; i++) {
			state = state * 6364136223846793005UL + 1442695040888963407UL;
			hello.at[(state >> 33) % hello.length] = (__u8)(state >> 24);
		}
		__u32 length = round % 3 ? hello.length :
					   (__u32)(state >> 40) % hello.length;
		__u32 reason = read_bytes(hello.at, length, &name);
		strange += !reason && name.length != strlen(NAME);
		strange += seen(&name) != name.name && *seen(&name);
	}
	is_int(strange, 0, "200,000 damaged hellos: a name as long as it was, or none");
}

int main(void)
{
	make_guard();
	test_shapes();
	test_rests();
	test_strangers();
	test_cut();
	test_lies();
	test_many();
	test_damage();
	return done_testing();
}
