/* SPDX-License-Identifier: Apache-2.0 */
/* Reading numbers: see number.h. */
#include "number.h"

#include <errno.h>

int number_parse(const char *text, size_t length, uint64_t most,
		 uint64_t *ret_value)
{
	uint64_t value = 0;

	if (length == 0)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		uint64_t digit = (uint64_t)(text[i] - '0');
		if (value > (UINT64_MAX - digit) / 10)
			return -ERANGE;
		value = value * 10 + digit;
	}
	if (value > most)
		return -ERANGE;
	*ret_value = value;
	return 0;
}
