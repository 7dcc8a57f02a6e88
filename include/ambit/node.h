/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the node keeps things and who its processes are: ambit(1), "FILES".
 * AMBIT_ROOT in the environment of ambitd and ambit moves all of it below one
 * directory, so that a test node never meets the machine's own.
 */
#ifndef AMBIT_NODE_H
#define AMBIT_NODE_H

#define AMBIT_VERSION "0.1.0"

#define AMBIT_RUN_DIRECTORY "/run/ambit"
#define AMBIT_STATE_DIRECTORY "/var/lib/ambit"
#define AMBIT_LOG_DIRECTORY "/var/log/ambit"
#define AMBIT_PROFILE_DIRECTORY "/etc/ambit/profiles"
#define AMBIT_NODE_FILE "/etc/ambit/node.yaml"

/* Below AMBIT_RUN_DIRECTORY. */
#define AMBIT_CONTROL_SOCKET "control"
#define AMBIT_AUDIT_SOCKET "audit"

/* Varlink interface of the control socket: launcher/ambit/io.ambit.Node.varlink */
#define AMBIT_INTERFACE "io.ambit.Node"

/*
 * uids (and gids of the same number).  The default range lies above the ranges
 * that systemd, adduser and subuid files hand out.  The first sixteen are the
 * node's own, agents follow.
 */
#define AMBIT_UID_FIRST 2000000000U
#define AMBIT_UID_COUNT 10000U
#define AMBIT_UID_RECORDER 0U	/* offsets into the range */
#define AMBIT_UID_ISSUER 1U
#define AMBIT_UID_PORTER 2U
#define AMBIT_UID_AGENTS 16U	/* + slot */

/* Limits of names that travel between processes, closing zero included. */
#define AMBIT_ID_SIZE 40	/* instance id: a version 7 UUID, 36 characters */
#define AMBIT_NAME_SIZE 64	/* agent, profile and credential names */
#define AMBIT_SPIFFE_SIZE 384	/* spiffe://TRUST-DOMAIN/agent/NAME */
#define AMBIT_TASK_SIZE 128
#define AMBIT_TEXT_SIZE 256	/* owner, purpose, audience, reason */
#define AMBIT_HASH_SIZE 65	/* SHA-256 in hexadecimal */
#define AMBIT_CREDENTIALS 8	/* of one profile */

#endif
