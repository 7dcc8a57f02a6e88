/* SPDX-License-Identifier: Apache-2.0 */
/* What clients send first under `tls: required`, how, and what becomes of it. */
#ifndef KERNEL_TLS_ROWS_H
#define KERNEL_TLS_ROWS_H

#include "../unit/hello_build.h"

#include <ambit/kernel.h>

enum way {
	WHOLE, SLOW, EARLY, BYTES, MORE, URGENT, FAST, FAST_OPTION, AFTER_BYTE, TWICE, AGAIN,
	/* The server asks for a second hello: the row is about that one. */
	RETRY, RETRY_PIECES, RETRY_DATA, RETRY_BLIND, RETRY_SAME,
};

static const struct row {
	const char *what;
	struct shape shape;
	const char *plain;	/* instead of a hello */
	enum way way;
	unsigned reason;	/* 0: it passes */
	const char *name;	/* in the record */
} rows[] = {
	{ "the right name", { .name = HELLO_FOR } },
	{ "the right name in upper case", { .name = "CRM.EXAMPLE.COM" } },
	{ "the name of another entry", { .name = "other.example.com" } },
	{ "one label below a wildcard", { .name = "a.blob.example.net" } },
	{ "a hello of 6 KB", { .before = 6000 } },
	{ "a hello of 16 KB", { .last = 16000 } },
	{ "a hello put together by MSG_MORE", { .name = HELLO_FOR }, .way = MORE },
	/* As over a long way to a server: packets of two segments. */
	{ "2.6 KB, slowly", { .before = 2500 }, .way = SLOW },
	{ "8 KB, slowly, cut in the last extension", { .last = 8000 }, .way = SLOW },
	{ "the right name with early data behind it", { .name = HELLO_FOR },
	  .way = EARLY },
	{ "the right name by Fast Open", { .name = HELLO_FOR }, .way = FAST },
	{ "the right name by the Fast Open option", { .name = HELLO_FOR },
	  .way = FAST_OPTION },
	{ "the same socket once more, right again", { .name = HELLO_FOR },
	  .way = AGAIN },
	{ "a second hello, right again", { .name = HELLO_FOR }, .way = RETRY },
	{ "a second hello behind early data", { .name = HELLO_FOR },
	  .way = RETRY_DATA },
	{ "a second hello for somebody else", { .name = "evil.example.org" },
	  .way = RETRY,
	  .reason = AMBIT_REASON_TLS_NAME, .name = "evil.example.org" },
	{ "a second hello for somebody else behind early data",
	  { .name = "evil.example.org" }, .way = RETRY_DATA,
	  .reason = AMBIT_REASON_TLS_NAME, .name = "evil.example.org" },
	{ "a second hello for somebody else before it is asked for",
	  { .name = "evil.example.org" }, .way = RETRY_BLIND,
	  .reason = AMBIT_REASON_TLS_NAME, .name = "evil.example.org" },
	{ "a second hello for somebody else in the same packet",
	  { .name = "evil.example.org" }, .way = RETRY_SAME,
	  .reason = AMBIT_REASON_TLS_NAME, .name = "evil.example.org" },
	{ "a second hello in pieces", { .name = HELLO_FOR }, .way = RETRY_PIECES,
	  .reason = AMBIT_REASON_TLS_UNREADABLE },
	{ "something else than a second hello", .plain = "GET / HTTP/1.0\r\n\r\n",
	  .way = RETRY, .reason = AMBIT_REASON_TLS_UNREADABLE },
	{ "a wrong name", { .name = "evil.example.org" },
	  .reason = AMBIT_REASON_TLS_NAME, .name = "evil.example.org" },
	{ "a longer name", { .name = "crm.example.com.evil.org" },
	  .reason = AMBIT_REASON_TLS_NAME, .name = "crm.example.com.evil.org" },
	{ "a name below the right one", { .name = "a.crm.example.com" },
	  .reason = AMBIT_REASON_TLS_NAME, .name = "a.crm.example.com" },
	{ "a trailing dot", { .name = HELLO_FOR "." },
	  .reason = AMBIT_REASON_TLS_NAME, .name = HELLO_FOR "." },
	{ "the wildcard's own domain", { .name = "blob.example.net" },
	  .reason = AMBIT_REASON_TLS_NAME, .name = "blob.example.net" },
	{ "two labels below a wildcard", { .name = "a.b.blob.example.net" },
	  .reason = AMBIT_REASON_TLS_NAME, .name = "a.b.blob.example.net" },
	{ "no label below a wildcard", { .name = ".blob.example.net" },
	  .reason = AMBIT_REASON_TLS_NAME, .name = ".blob.example.net" },
	{ "a name of an entry for another port", { .name = "far.example.com" },
	  .reason = AMBIT_REASON_TLS_NAME, .name = "far.example.com" },
	{ "no name", { .name = "" }, .reason = AMBIT_REASON_TLS_NO_NAME },
	{ "no extensions", { .no_extensions = 1 },
	  .reason = AMBIT_REASON_TLS_NO_NAME },
	{ "the right name, twice", { .twice = 1 },
	  .reason = AMBIT_REASON_TLS_UNREADABLE, .name = HELLO_FOR },
	{ "plain text", .plain = "GET / HTTP/1.0\r\nHost: crm.example.com\r\n\r\n",
	  .reason = AMBIT_REASON_NOT_TLS },
	{ "an alert first", .plain = "\x15\3\1\0\2\1\0", .reason = AMBIT_REASON_NOT_TLS },
	{ "the right name in single bytes", { .name = HELLO_FOR }, .way = BYTES,
	  .reason = AMBIT_REASON_TLS_UNREADABLE },
	{ "a byte before the hello", { .name = HELLO_FOR }, .way = AFTER_BYTE,
	  .reason = AMBIT_REASON_NOT_TLS },
	{ "an urgent byte in the hello", { .name = HELLO_FOR }, .way = URGENT,
	  .reason = AMBIT_REASON_TLS_UNREADABLE },
	{ "8 KB, slowly, cut before the name", { .before = 8000 }, .way = SLOW,
	  .reason = AMBIT_REASON_TLS_UNREADABLE },
	{ "8 KB, slowly, cut before the last extension",
	  { .after = 8000, .last = 10 }, .way = SLOW,
	  .reason = AMBIT_REASON_TLS_UNREADABLE, .name = HELLO_FOR },
	{ "2.6 KB, slowly, a wrong name", { .name = "evil.example.org", .before = 2500 },
	  .way = SLOW,
	  .reason = AMBIT_REASON_TLS_NAME, .name = "evil.example.org" },
	{ "a wrong name with early data behind it", { .name = "evil.example.org" },
	  .way = EARLY,
	  .reason = AMBIT_REASON_TLS_NAME, .name = "evil.example.org" },
	{ "a wrong name by Fast Open", { .name = "evil.example.org" }, .way = FAST,
	  .reason = AMBIT_REASON_TLS_NAME, .name = "evil.example.org" },
	{ "a wrong name by the Fast Open option", { .name = "evil.example.org" },
	  .way = FAST_OPTION,
	  .reason = AMBIT_REASON_TLS_NAME, .name = "evil.example.org" },
	{ "a wrong name, then a right one", { .name = "evil.example.org" },
	  .way = TWICE,
	  .reason = AMBIT_REASON_TLS_NAME, .name = "evil.example.org" },
	{ "the same socket once more, now wrong", { .name = "evil.example.org" },
	  .way = AGAIN,
	  .reason = AMBIT_REASON_TLS_NAME, .name = "evil.example.org" },
};

#define ROWS (sizeof(rows) / sizeof(*rows))

/* RFC 8446, 4.1.3 and 4.1.4, as far as it is looked at. */
static const __u8 retry_request[] = {
	22, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3,
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c,
	0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
	0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
	0, 0x13, 1, 0,
};

#endif
