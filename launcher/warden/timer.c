/* SPDX-License-Identifier: Apache-2.0 */
/* Things to do later: see timer.h.  The list is unsorted: it holds one or two
 * rows per agent, and looking through a thousand costs a microsecond. */
#include "timer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

struct due {
	uint64_t at_ms;
	timer_action action;
	void *data;
};

static struct due *dues;
static size_t count, room;
static uint64_t armed_ms;	/* 0: not */

static void arm(struct warden *warden)
{
	uint64_t next = 0;

	for (size_t i = 0; i < count; i++)
		if (!next || dues[i].at_ms < next)
			next = dues[i].at_ms;
	if (next == armed_ms)
		return;
	struct itimerspec when = {
		.it_value.tv_sec = (time_t)(next / 1000),
		.it_value.tv_nsec = (long)(next % 1000) * 1000000,
	};
	timerfd_settime(warden->timer.fd, TFD_TIMER_ABSTIME, &when, NULL);
	armed_ms = next;
}

static void fire(struct source *source, uint32_t events)
{
	struct warden *warden = source->owner;
	uint64_t now = warden_boot_ms(), ticks;

	(void)events;
	if (read(source->fd, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
		return;
	armed_ms = 0;
	for (size_t i = 0; i < count;) {
		if (dues[i].at_ms > now) {
			i++;
			continue;
		}
		struct due due = dues[i];
		dues[i] = dues[--count];
		due.action(warden, due.data);
		i = 0;	/* the action may have changed the list */
	}
	arm(warden);
}

int timer_open(struct warden *warden, struct error *error)
{
	/* More than two for each agent are never due: arming does not fail. */
	room = 2 * AMBIT_SLOTS + 64;
	dues = malloc(room * sizeof(*dues));
	if (!dues)
		return error_errno(error, ENOMEM, "timer");
	int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0)
		return error_errno(error, errno, "timer");
	warden->timer = (struct source){ fd, fire, warden };
	int failed = loop_add(&warden->loop, &warden->timer, EPOLLIN);
	return failed ? error_errno(error, -failed, "timer") : 0;
}

int timer_once(struct warden *warden, uint64_t delay_ms, timer_action action,
	       void *data)
{
	if (count == room) {
		size_t more = room ? 2 * room : 64;
		struct due *grown = realloc(dues, more * sizeof(*dues));
		if (!grown)
			return -ENOMEM;
		dues = grown;
		room = more;
	}
	uint64_t at_ms = warden_boot_ms() + delay_ms;
	dues[count++] = (struct due){ at_ms ? at_ms : 1, action, data };
	arm(warden);
	return 0;
}

void timer_forget(struct warden *warden, void *data)
{
	for (size_t i = 0; i < count;)
		if (dues[i].data == data)
			dues[i] = dues[--count];
		else
			i++;
	arm(warden);
}
