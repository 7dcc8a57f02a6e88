/* SPDX-License-Identifier: Apache-2.0 */
/* Agents as the node reports them, as text.  Missing members read as empty: a
 * node of another version may not have them. */
#ifndef AMBIT_AGENTS_H
#define AMBIT_AGENTS_H

#include <jansson.h>
#include <stdint.h>

const char *agent_text(const json_t *agent, const char *member);
int64_t agent_number(const json_t *agent, const char *member);

#define AGENT_TEXT 48

/* "12s", "7m", "3h", "2d" of `ms` milliseconds. */
void agent_span(int64_t ms, char ret_text[AGENT_TEXT]);
/* "2027-03-31T12:00:00Z" of milliseconds since the epoch; "" for 0. */
void agent_time(int64_t ms, char ret_text[AGENT_TEXT]);
/* "running", "ended 0" … */
void agent_state(const json_t *agent, char ret_text[AGENT_TEXT]);

#endif
