/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks for JSON: see pool.h. */
#include "pool.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#define ALIGNMENT 16

static _Alignas(ALIGNMENT) char pool[64 << 10];
static size_t pool_used;

static void *take(size_t size)
{
	if (size > sizeof(pool) - pool_used)
		return malloc(size);
	char *block = pool + pool_used;
	pool_used += (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	return block;
}

static void give(void *block)
{
	/* By number: only pointers into one object may be compared. */
	if ((uintptr_t)block - (uintptr_t)pool >= sizeof(pool))
		free(block);
}

void pool_serve_json(void)
{
	json_set_alloc_funcs(take, give);
}

void pool_give_text(char **text)
{
	give(*text);
}
