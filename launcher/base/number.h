/* SPDX-License-Identifier: Apache-2.0 */
/* Reading numbers from text: the only place that does. */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/* Reads `length` bytes as an unsigned decimal number of at most `most`.
 * Refuses the empty text, signs, blanks, trailing bytes (-EINVAL) and what is
 * larger (-ERANGE).  Writes *ret_value only on success. */
int number_parse(const char *text, size_t length, uint64_t most,
		 uint64_t *ret_value);

#endif
