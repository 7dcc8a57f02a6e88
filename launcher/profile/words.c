/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a profile's values: see words.h. */
#include "words.h"

#include "../base/number.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct unit {
	char letter;
	uint64_t factor;
};

/* Largest first: printing takes the first that divides. */
static const struct unit durations[] = {
	{ 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 },
};
static const struct unit sizes[] = {
	{ 'T', UINT64_C(1) << 40 }, { 'G', UINT64_C(1) << 30 },
	{ 'M', UINT64_C(1) << 20 }, { 'K', UINT64_C(1) << 10 },
};

#define UNITS 4
_Static_assert(sizeof(durations) / sizeof(*durations) == UNITS, "durations");
_Static_assert(sizeof(sizes) / sizeof(*sizes) == UNITS, "sizes");

static int quantity(const char *text, const struct unit units[UNITS],
		    uint64_t *ret_value)
{
	size_t length = strlen(text);
	uint64_t value = 0;

	if (length < 2)
		return -EINVAL;
	for (size_t i = 0; i < UNITS; i++) {
		if (text[length - 1] != units[i].letter)
			continue;
		int result = number_parse(text, length - 1,
					  INT64_MAX / units[i].factor, &value);
		if (!result)
			*ret_value = value * units[i].factor;
		return result;
	}
	return -EINVAL;
}

static void print_quantity(uint64_t value, const struct unit units[UNITS],
			   char text[WORD_SIZE])
{
	size_t i = 0;

	while (i < UNITS - 1 && (value == 0 || value % units[i].factor))
		i++;
	snprintf(text, WORD_SIZE, "%llu%c",
		 (unsigned long long)(value / units[i].factor), units[i].letter);
}

int word_duration(const char *text, uint64_t *ret_seconds)
{
	return quantity(text, durations, ret_seconds);
}

void word_print_duration(uint64_t seconds, char text[WORD_SIZE])
{
	print_quantity(seconds, durations, text);
}

int word_size(const char *text, uint64_t *ret_bytes)
{
	return quantity(text, sizes, ret_bytes);
}

void word_print_size(uint64_t bytes, char text[WORD_SIZE])
{
	print_quantity(bytes, sizes, text);
}

int word_percent(const char *text, uint64_t *ret_percent)
{
	size_t length = strlen(text);

	if (length < 2 || text[length - 1] != '%')
		return -EINVAL;
	return number_parse(text, length - 1, UINT32_MAX, ret_percent);
}

int word_date(const char *text, struct profile_date *ret_date)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30,
					31, 31, 30, 31, 30, 31 };
	uint64_t year, month, day;

	if (strlen(text) != 10 || text[4] != '-' || text[7] != '-' ||
	    number_parse(text, 4, 9999, &year) ||
	    number_parse(text + 5, 2, 12, &month) ||
	    number_parse(text + 8, 2, 31, &day))
		return -EINVAL;
	if (year < 1970 || month < 1 || day < 1)
		return -EINVAL;
	int leap = (year % 4 == 0 && year % 100) || year % 400 == 0;
	if (day > (uint64_t)days[month - 1] + (leap && month == 2))
		return -EINVAL;
	*ret_date = (struct profile_date){ (uint16_t)year, (uint8_t)month,
					   (uint8_t)day };
	return 0;
}

int word_ports(const char *text, size_t length, struct profile_ports *ret_ports)
{
	const char *dash = memchr(text, '-', length);
	size_t first = dash ? (size_t)(dash - text) : length;
	uint64_t low, high;

	int result = number_parse(text, first, 65535, &low);
	if (result)
		return result;
	high = low;
	if (dash)
		result = number_parse(dash + 1, length - first - 1, 65535, &high);
	if (result)
		return result;
	if (low == 0 || high < low)
		return -ERANGE;
	*ret_ports = (struct profile_ports){ (uint16_t)low, (uint16_t)high };
	return 0;
}

void word_print_ports(struct profile_ports ports, char text[WORD_SIZE])
{
	if (ports.low == ports.high)
		snprintf(text, WORD_SIZE, "%u", ports.low);
	else
		snprintf(text, WORD_SIZE, "%u-%u", ports.low, ports.high);
}

int word_listen(const char *text, struct profile_listen *ret_listen)
{
	/* Loopback is also what no address means. */
	static const struct {
		const char *front;
		int anywhere;
	} fronts[] = {
		{ "0.0.0.0:", 1 }, { "[::]:", 1 },
		{ "127.0.0.1:", 0 }, { "[::1]:", 0 },
	};
	struct profile_listen listen = *ret_listen;

	listen.anywhere = 0;
	listen.protocol = PROFILE_TCP;
	for (size_t i = 0; i < sizeof(fronts) / sizeof(*fronts); i++) {
		size_t length = strlen(fronts[i].front);
		if (!strncmp(text, fronts[i].front, length)) {
			text += length;
			listen.anywhere = fronts[i].anywhere;
			break;
		}
	}
	const char *slash = strchr(text, '/');
	if (slash && !strcmp(slash, "/udp"))
		listen.protocol = PROFILE_UDP;
	else if (slash && strcmp(slash, "/tcp"))
		return -EINVAL;
	int result = word_ports(text, slash ? (size_t)(slash - text) : strlen(text),
				&listen.ports);
	if (!result)
		*ret_listen = listen;
	return result;
}

void word_print_listen(const struct profile_listen *listen, char text[WORD_SIZE])
{
	char ports[WORD_SIZE];

	word_print_ports(listen->ports, ports);
	snprintf(text, WORD_SIZE, "%s%.16s%s", listen->anywhere ? "[::]:" : "",
		 ports, listen->protocol == PROFILE_UDP ? "/udp" : "");
}

int word_name(const char *text)
{
	size_t length = strlen(text);

	if (length < 1 || length > 63 || text[0] == '-' || text[length - 1] == '-' ||
	    strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") != length)
		return -EINVAL;
	return 0;
}

int word_path(const char *text)
{
	if (text[0] != '/' || strlen(text) >= 4096)
		return -EINVAL;
	if (!text[1])
		return 0;
	for (const char *at = text; *at;) {
		size_t length = strcspn(++at, "/");
		if (length == 0 || (length == 1 && at[0] == '.') ||
		    (length == 2 && at[0] == '.' && at[1] == '.'))
			return -EINVAL;
		at += length;
	}
	return 0;
}

int word_path_in(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	if (length == 1)
		return 1;	/* "/" */
	return !strncmp(path, directory, length) &&
	       (path[length] == '/' || !path[length]);
}
