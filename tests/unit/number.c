/* SPDX-License-Identifier: Apache-2.0 */
/* The one reader of numbers. */
#include "base/number.h"
#include "tap.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *text;
	uint64_t most;
	int result;
	uint64_t value;
} rows[] = {
	{ "0", 10, 0, 0 },
	{ "10", 10, 0, 10 },
	{ "007", 10, 0, 7 },
	{ "11", 10, -ERANGE, 0 },
	{ "18446744073709551615", UINT64_MAX, 0, UINT64_MAX },
	{ "18446744073709551616", UINT64_MAX, -ERANGE, 0 },
	{ "99999999999999999999999", UINT64_MAX, -ERANGE, 0 },
	{ "", 10, -EINVAL, 0 },
	{ "-1", 10, -EINVAL, 0 },
	{ "+1", 10, -EINVAL, 0 },
	{ " 1", 10, -EINVAL, 0 },
	{ "1 ", 10, -EINVAL, 0 },
	{ "1\n", 10, -EINVAL, 0 },
	{ "0x10", 100, -EINVAL, 0 },
	{ "1e3", 10000, -EINVAL, 0 },
};

int main(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t value = 77;
		int result = number_parse(rows[i].text, strlen(rows[i].text),
					  rows[i].most, &value);
		is_int(result, rows[i].result, "row %zu: %.*s up to %llu", i,
		       (int)strcspn(rows[i].text, "\n"), rows[i].text,
		       (unsigned long long)rows[i].most);
		is_int((long long)value, rows[i].result ? 77 :
		       (long long)rows[i].value, "… and its value");
	}
	uint64_t value = 0;
	is_int(number_parse("123abc", 3, 1000, &value), 0, "only `length` bytes count");
	is_int((long long)value, 123, "… and its value");
	return done_testing();
}
