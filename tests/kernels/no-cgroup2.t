#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A machine with control groups of version 1 only: no agent starts, and the word says why.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
node_directory
profile plain
MARK=$TAP_DIRECTORY/mark
refused "a launch" 125 "cgroup v2: it is not mounted" ambit_run plain touch "$MARK"
ok "the agent did not run" [ ! -e "$MARK" ]
is "no node is left" "$(node_pids)" ""
finish
