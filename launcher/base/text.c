/* SPDX-License-Identifier: Apache-2.0 */
/* Text for a terminal: see text.h. */
#include "text.h"

/* Code points that move the cursor or reorder what stands around them: C0, DEL
 * and C1 controls, line and paragraph separators, bidirectional marks,
 * embeddings, overrides and isolates ("Trojan Source"), tags. */
static const struct {
	unsigned first, last;
} unsafe[] = {
	{ 0x00, 0x1f }, { 0x7f, 0x9f }, { 0x61c, 0x61c },
	{ 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },
	{ 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe007f },
};

int text_is_unsafe(unsigned point)
{
	for (size_t i = 0; i < sizeof(unsafe) / sizeof(unsafe[0]); i++)
		if (point >= unsafe[i].first && point <= unsafe[i].last)
			return 1;
	return 0;
}

size_t text_decode(const unsigned char *text, unsigned *ret_point)
{
	static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = text[0] < 0x80	      ? 1 :
			text[0] >> 5 == 0x06  ? 2 :
			text[0] >> 4 == 0x0e  ? 3 :
			text[0] >> 3 == 0x1e  ? 4 :
						0;
	if (length == 0)
		return 0;
	unsigned point = length == 1 ? text[0] : text[0] & (0x7fU >> length);
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)	/* the closing zero too */
			return 0;
		point = point << 6 | (text[i] & 0x3f);
	}
	if (point < least[length] || point > 0x10ffff ||
	    (point >= 0xd800 && point <= 0xdfff))
		return 0;
	*ret_point = point;
	return length;
}
