/* SPDX-License-Identifier: Apache-2.0 */
/* The node's settings: built in, moved by AMBIT_ROOT, changed by
 * /etc/ambit/node.yaml, which is read as strictly as a profile. */
#ifndef WARDEN_CONFIG_H
#define WARDEN_CONFIG_H

#include "warden.h"

int config_read(struct config *ret_config, struct error *error);

#endif
