#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What an agent can do with the descriptors that its caller gives it, beyond reading its
# input and writing its output: a pipe has two ends, and /proc/self/fd opens either.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
node_begin
profile plain 'limits: {processes: 64}'

# Each way to the other end of a pipe, and to its mode; then the sibling: one's own end.
ENDS='
import os, sys
def attempt(what, do):
    try:
        do()
        sys.stderr.write(f"{what} done\n")
    except OSError as error:
        sys.stderr.write(f"{what} {error.strerror}\n")
path = "/proc/self/fd/"
attempt("read stdout", lambda: os.open(path + "1", os.O_RDONLY | os.O_NONBLOCK))
attempt("read and write stdout", lambda: os.open(path + "1", os.O_RDWR | os.O_NONBLOCK))
attempt("write stdin", lambda: os.open(path + "0", os.O_WRONLY | os.O_NONBLOCK))
attempt("read and write stdin", lambda: os.open(path + "0", os.O_RDWR | os.O_NONBLOCK))
attempt("mode of stdout", lambda: os.fchmod(1, 0o666))
attempt("mode of stdin", lambda: os.fchmod(0, 0o666))
attempt("write stdout", lambda: os.open(path + "1", os.O_WRONLY))
attempt("read stdin", lambda: os.open(path + "0", os.O_RDONLY | os.O_NONBLOCK))
attempt("write stderr", lambda: os.open("/dev/stderr", os.O_WRONLY))
'
python3 - "$ENDS" >"$TAP_DIRECTORY/said" <<'PYTHON'
import subprocess, sys
agent = subprocess.Popen(["ambit", "run", "--quiet", "--profile", "plain", "--", "python3", "-c",
                          sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
said = agent.stderr.read()
agent.stdin.close()
agent.wait()
print(said, end="")
PYTHON
while IFS='|' read -r what wanted; do
	is "$what" "$(sed -n "s/^$what //p" "$TAP_DIRECTORY/said")" "$wanted"
done <<'TABLE'
read stdout|Permission denied
read and write stdout|Permission denied
write stdin|Permission denied
read and write stdin|Permission denied
mode of stdout|Operation not permitted
mode of stdin|Operation not permitted
write stdout|done
read stdin|done
write stderr|done
TABLE

# The machine's terminals are few; one agent does not get all.
mkfifo "$TAP_DIRECTORY/held"
ambit run --quiet --profile plain --name holds -- python3 -c '
import os, signal
held = []
try:
    while True:
        held.append(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY))
except OSError as error:
    print(len(held) <= 64, error.strerror, flush=True)
signal.pause()' >"$TAP_DIRECTORY/held" &
holder=$!
read -r line <"$TAP_DIRECTORY/held"
is "an agent has its share of terminals" "$line" "True No space left on device"
is "another gets one" "$(build/tests/bin/pty --size 24x80 -- "$(command -v ambit)" run --quiet --profile plain -- \
	sh -c 'test -t 0 && echo terminal' | tr -d '\r')" terminal
ok "kill" ambit kill holds --reason test
wait $holder
is "it ended" "$?" 137
finish
