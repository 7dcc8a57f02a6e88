/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership of descriptors and memory.  A variable marked OWN_FD, OWN_MEMORY …
 * is released when it goes out of scope; own_take_fd and OWN_TAKE say that the
 * resource moves on.  Releasing keeps errno.
 */
#ifndef BASE_OWN_H
#define BASE_OWN_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void own_close(int *fd)
{
	if (*fd >= 0) {
		int kept = errno;
		close(*fd);
		errno = kept;
	}
	*fd = -1;
}

static inline void own_free(void *pointer)
{
	free(*(void **)pointer);
	*(void **)pointer = NULL;
}

static inline void own_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
	*file = NULL;
}

static inline void own_closedir(DIR **directory)
{
	if (*directory)
		closedir(*directory);
	*directory = NULL;
}

static inline int own_take_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

#define OWN_FD __attribute__((cleanup(own_close))) int
#define OWN_MEMORY __attribute__((cleanup(own_free)))
#define OWN_FILE __attribute__((cleanup(own_fclose))) FILE
#define OWN_DIR __attribute__((cleanup(own_closedir))) DIR

#endif
