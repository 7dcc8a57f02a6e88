/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the recorder says about the log itself: loss, recovery, outage, the end
 * of a stream.  Pure; called by the recorder.
 */
#include "common.h"

#include <string.h>

static const struct notice_row {
	const char *word;
	struct common_shape shape;
} notice_rows[AUDIT_NOTICE_COUNT] = {
#define ROW(name, word, activity, caption, action, disposition, severity)      \
	[AUDIT_NOTICE_##name] = { word,                                        \
				  { COMMON_CLASS_LOG, activity, caption,       \
				    action, disposition, severity, 1 } },
	AUDIT_NOTICES(ROW)
#undef ROW
};

size_t audit_notice(char line[AUDIT_LINE], const struct audit_node *node,
		    const struct audit_stamp *stamp,
		    const struct audit_notice *notice)
{
	const struct notice_row *row = &notice_rows[notice->kind];
	struct common_shape shape = row->shape;
	struct writer writer;

	if (notice->error)
		shape.status = 2;
	writer_begin(&writer, line, AUDIT_LINE);
	common_head(&writer, &shape, stamp->time_ms);
	if (notice->error) {
		const char *name = strerrorname_np(notice->error);
		writer_word(&writer, "status_code", name ? name : "unknown");
		writer_word(&writer, "status_detail", strerror(notice->error));
	}
	writer_word(&writer, "message", notice->message);
	common_metadata(&writer, node, stamp, notice->agent, NULL);
	common_agent_actor(&writer, notice->agent, NULL);
	writer_word(&writer, "log_name", "ambit");
	common_open_unmapped(&writer, row->word, node, notice->agent,
			     notice->instance, NULL);
	for (unsigned i = 0; i < AUDIT_NUMBERS && notice->numbers[i].name; i++)
		writer_number(&writer, notice->numbers[i].name,
			    notice->numbers[i].value);
	return common_finish(&writer);
}
