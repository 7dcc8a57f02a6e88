/* SPDX-License-Identifier: Apache-2.0 */
/* Closing beside the loop: see closer.h. */
#include "closer.h"

#include "base/own.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

#define STACK_BYTES 65536

static int taken[2] = { -1, -1 };	/* a pipe of descriptor numbers */
static sem_t apart;
static int apart_error;

static void *run(void *nothing)
{
	int fd;

	/* Who shares its root and directory with a thread may enter no mount
	 * namespace (mntns_install), and the warden has to. */
	apart_error = unshare(CLONE_FS) < 0 ? errno : 0;
	sem_post(&apart);
	while (!apart_error && read(taken[0], &fd, sizeof(fd)) == sizeof(fd))
		close(fd);
	return nothing;
}

int closer_start(struct error *error)
{
	pthread_attr_t attributes;
	pthread_t thread;

	/* Its signals are the warden's, which are blocked and read as data. */
	if (pipe2(taken, O_CLOEXEC) < 0 ||
	    fcntl(taken[1], F_SETFL, O_NONBLOCK) < 0 || sem_init(&apart, 0, 0) < 0)
		return error_errno(error, errno, "node: thread");
	int failed = pthread_attr_init(&attributes);
	if (!failed)
		failed = pthread_attr_setstacksize(&attributes, STACK_BYTES);
	if (!failed)
		failed = pthread_attr_setdetachstate(&attributes,
						     PTHREAD_CREATE_DETACHED);
	if (!failed)
		failed = pthread_create(&thread, &attributes, run, NULL);
	if (failed)
		return error_errno(error, failed, "node: thread");
	while (sem_wait(&apart) < 0 && errno == EINTR)
		continue;
	return apart_error ? error_errno(error, apart_error, "node: thread") : 0;
}

void closer_take(int *fd)
{
	if (*fd >= 0 && write(taken[1], fd, sizeof(*fd)) != sizeof(*fd))
		close(*fd);
	*fd = -1;
}
