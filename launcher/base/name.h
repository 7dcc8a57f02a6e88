/* SPDX-License-Identifier: Apache-2.0 */
/* DNS names as an egress entry writes them.  Pure. */
#ifndef BASE_NAME_H
#define BASE_NAME_H

/* Bytes of a name as text, closing zero included (RFC 1035, 3.1). */
#define NAME_SIZE 254

/* 1 if `entry` lists `name`; both in lower case, without a dot at the end.  An
 * entry that begins with "*." lists names with exactly one label in its place. */
int name_listed(const char *entry, const char *name);

#endif
