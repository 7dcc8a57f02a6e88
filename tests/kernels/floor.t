#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Kernel 6.1: no unix connect hook, so that profiles with unix endpoints are refused by
# its name and unix sockets with a name are out of reach; all else works.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
node_begin
profile plain
runs "an agent" 0 ambit_run plain sh -c 'echo in; id -un'
is "runs" "$(printf %s "$OUT" | tr '\n' ' ')" "in agent"
profile local 'egress: [{to: "unix:/run/x.sock"}]'
refused "a unix endpoint" 125 "6.7" ambit_run local true
run ambit_run plain python3 -c '
import socket
print(len(socket.socketpair()))
try:
    socket.socket(socket.AF_UNIX)
except OSError as error:
    print(error.strerror)'
is "unix sockets: pairs, and no others" "$(printf %s "$OUT" | tr '\n' ' ')" "2 Operation not permitted"
like "doctor says it" "$(ambit doctor)" "unix connect hook                      missing"
finish
