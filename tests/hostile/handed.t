#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What is handed over between an agent and others past the network: descriptors by unix
# sockets in and out, flags of what they share, leases, files without end.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
node_begin
WORK=$(mktemp -d /srv/ambit-handed.XXXXXX) || bail_out "no directory"
at_exit 'rm -rf "$WORK"'
profile plain
profile listed "egress: [{to: \"unix:$WORK/socket\"}]"
echo old >"$WORK/file"
profile reads "files: {read: [$WORK/file]}"

# ---- descriptors that come in ------------------------------------------------------------
# A connection that somebody outside made, or a file that somebody wrote, would be the
# agent's without a decision: nobody outside may reach a socket of its own.
BIND='import array, socket, sys
def attempt(what, do):
    try:
        do(); print(what, "done", flush=True)
    except OSError as error:
        print(what, error.strerror, flush=True)
def datagram():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1].replace("@", "\0")); s.settimeout(5)
    print("waits", flush=True)
    socket.recv_fds(s, 10, 1)
def stream():
    s = socket.socket(socket.AF_UNIX); s.bind("\0ambit-stream"); s.listen()
def pair():
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    socket.send_fds(a, [b"x"], [0]); socket.recv_fds(b, 10, 1)
attempt("datagram", datagram); attempt("stream", stream); attempt("pair", pair)'
run ambit_run plain python3 -c "$BIND" @ambit-inbound
is "an own datagram socket, an own listening one; a pair" "$OUT" "datagram Operation not permitted
stream Operation not permitted
pair done"

# ---- descriptors that go out --------------------------------------------------------------
# Who was given the caller's end of the agent's output writes on when the agent has ended.
KEEPS='import os, socket, sys
listener = socket.socket(socket.AF_UNIX); listener.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o666); listener.listen()
print("up", flush=True)
connection = listener.accept()[0]
_, fds, _, _ = socket.recv_fds(connection, 1, 1)
connection.send(b"k")
try:
    while True:
        os.write(fds[0], b"later ")
except BrokenPipeError:
    print("over", flush=True)'
mkfifo "$WORK/says"
python3 -c "$KEEPS" "$WORK/socket" >"$WORK/says" &
KEEPER=$!
exec 9<"$WORK/says"
read -r line <&9
GIVES='import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
os.write(1, b"mine ")
socket.send_fds(s, [b"x"], [1]); s.recv(1)'
runs "a listed socket keeps the output: the run ends" 0 timeout 30 sh -c \
	'ambit run --quiet --profile listed -- python3 -c "$1" "$2" >"$3"' sh "$GIVES" "$WORK/socket" "$WORK/output"
read -r line <&9
is "and who kept it is told" "$line" over
wait $KEEPER
size=$(stat -c %s "$WORK/output")
ok "the file has what was there at the end, and no more" test "$size" -ge 5 -a "$size" -le 1100000

# ---- flags ----------------------------------------------------------------------------------
FLAGS='import fcntl, os, subprocess, sys
r, w = os.pipe()
subprocess.run(["ambit", "run", "--quiet", "--profile", "plain", "--", "python3", "-c",
    "import fcntl, os; [fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_NONBLOCK) for fd in (0, 1)]; "
    "print(fcntl.fcntl(1, fcntl.F_GETFL) & os.O_NONBLOCK != 0)"],
    stdin=r, stdout=w, check=True)
print([fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK for fd in (r, w)], os.read(r, 10))'
run python3 -c "$FLAGS"
is "a shared pipe waits again" "$OUT" "[0, 0] b'True\n'"

# ---- leases ---------------------------------------------------------------------------------
LEASE='import fcntl, sys
file = open(sys.argv[1])
for what, do in (("lease", lambda: fcntl.fcntl(file, 1024, fcntl.F_RDLCK)), ("lock", lambda: fcntl.flock(file, fcntl.LOCK_SH))):
    try:
        do(); print(what, "done")
    except OSError as error:
        print(what, error.strerror)'
run ambit_run reads python3 -c "$LEASE" "$WORK/file"
is "a lease would keep the file's writers waiting; a lock does not" "$OUT" "lease Operation not permitted
lock done"

# ---- files without end ------------------------------------------------------------------------
FILES='import errno, os
for place in ("/tmp", os.path.expanduser("~"), "/dev/shm"):
    count = 0
    try:
        while count < 200000:
            os.close(os.open(f"{place}/{count}", os.O_CREAT | os.O_WRONLY)); count += 1
        print("no end", end=" ")
    except OSError as error:
        print(100000 < count < 140000, errno.errorcode[error.errno], end=" ")
    os.unlink(f"{place}/0"); os.close(os.open(f"{place}/again", os.O_CREAT))'
run ambit_run plain python3 -c "$FILES"
is "empty files have an end" "$OUT" "True ENOSPC True ENOSPC True ENOSPC "
finish
