#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A machine that lacks what is not required: an agent starts, and a denied connection is
# denied.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
node_begin
profile plain
run ambit_run plain python3 -c '
import socket
try:
    socket.create_connection(("127.0.0.1", 9))
except OSError as error:
    print(error.strerror)'
is "an agent runs, and is bounded" "$OUT" "Operation not permitted"
finish
