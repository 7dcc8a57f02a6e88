/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for JSON.  The client lives for one call and a few answers; getting and
 * returning pages for each of their values was a tenth of its time.  So blocks are
 * taken one behind the other from a pool and go back with the process.
 */
#ifndef AMBIT_POOL_H
#define AMBIT_POOL_H

/* Has jansson take its blocks here.  Before its first use. */
void pool_serve_json(void);

/* Of a text that json_dumps returned: gives it back at the end of its scope. */
#define OWN_JSON_TEXT __attribute__((cleanup(pool_give_text)))
void pool_give_text(char **text);

#endif
