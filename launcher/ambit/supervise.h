/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor of the embedded node: `ambit node supervise`. */
#ifndef AMBIT_SUPERVISE_H
#define AMBIT_SUPERVISE_H

/* Runs until the node ends for good.  Returns the exit status. */
int supervise(void);

#endif
