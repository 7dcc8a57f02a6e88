#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A terminal belongs to who sits in front of it.  A detached agent goes on when the person
# types commands, passwords among them: it must not keep the terminal, write to it, read
# what is typed or type itself, by whatever name or descriptor.  Its sibling in the
# foreground has a terminal, but one of its own.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
node_begin
profile plain 'run: {pass-environment: [CALLERS]}'

# What is found of a terminal; each way writes "intruder" where it gets somewhere.
cat >"$TAP_DIRECTORY/ways.py" <<'PYTHON'
import fcntl, os, stat, sys, termios
def attempt(what, do):
    try:
        print(what, do(), sep="|", flush=True)
    except OSError as error:
        print(what, error.strerror, sep="|", flush=True)
def write(path):
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    os.write(fd, b"intruder\n")
    return "written"
def type_in(fd):
    for byte in b"intruder\n":
        fcntl.ioctl(fd, termios.TIOCSTI, bytes([byte]))
    return "typed"
def is_terminal(path):
    return stat.S_ISCHR(os.stat(path).st_mode) and os.major(os.stat(path).st_rdev) in (4, 5, 136)
def through_proc():
    got = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for name in names:
            try:
                if is_terminal(f"/proc/{pid}/fd/{name}"):
                    got.append(name)
            except OSError:
                pass
    return sorted(set(got))
attempt("terminals", lambda: [fd for fd in range(3) if os.isatty(fd)])
attempt("devices", lambda: [fd for fd in range(64) if os.path.exists(f"/proc/self/fd/{fd}")
                            and is_terminal(f"/proc/self/fd/{fd}")])
attempt("through /proc/*/fd", through_proc)
attempt("/dev/tty", lambda: write("/dev/tty"))
attempt("reading /dev/tty", lambda: os.read(os.open("/dev/tty", os.O_RDONLY | os.O_NONBLOCK), 64))
attempt("the caller's by its name", lambda: write(os.environ["CALLERS"]))
attempt("/dev/console", lambda: write("/dev/console"))
attempt("stdin again", lambda: os.isatty(os.open("/proc/self/fd/0", os.O_RDWR | os.O_NOCTTY)))
attempt("typing", lambda: type_in(0))
attempt("taking it", lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 1))
attempt("others in /dev/pts", lambda: sorted(n for n in os.listdir("/dev/pts") if n not in ("ptmx", "0")))
attempt("device", lambda: f"{os.fstat(0).st_dev}:{os.fstat(0).st_rdev}" if os.isatty(0) else "none")
PYTHON
WAYS=$(cat "$TAP_DIRECTORY/ways.py")
export WAYS
found() { tr -d '\r' <"$TAP_DIRECTORY/found" | awk -F'|' -v what="$1" '$1 == what { print $2 }'; }

# ---- detached -------------------------------------------------------------------------
# Its output is the terminal but for a named pipe, by which it tells.  The person stays at
# the terminal until all was tried, and types then.
mkfifo "$TAP_DIRECTORY/tells" "$TAP_DIRECTORY/over"
pty --modes --expect launched --send 'secret\n' --expect 'read secret' -- sh -c '
	CALLERS=$(tty); export CALLERS
	chmod 666 "$CALLERS"
	ambit run --quiet --profile plain --name away --detach -- \
		sh -c "python3 -c \"\$1\"; exec sleep 600" sh "$WAYS" >"$1" 
	read -r over <"$2"; echo launched; read -r typed; echo "read $typed"' \
	sh "$TAP_DIRECTORY/tells" "$TAP_DIRECTORY/over" >"$TAP_DIRECTORY/screen" 2>&1 &
person=$!
sed '/^device|/q' <"$TAP_DIRECTORY/tells" >"$TAP_DIRECTORY/found"
echo over >"$TAP_DIRECTORY/over"
wait "$person"
is "the person at the terminal types in peace, in the modes that were" "$?" 0
unlike "nothing of the agent's is on the screen" "$(cat "$TAP_DIRECTORY/screen")" intruder
while IFS='|' read -r what wanted; do
	is "detached: $what" "$(found "$what")" "$wanted"
done <<'TABLE'
terminals|[]
devices|[]
through /proc/*/fd|[]
/dev/tty|No such device or address
reading /dev/tty|No such device or address
the caller's by its name|No such file or directory
/dev/console|No such file or directory
stdin again|False
typing|Operation not permitted
taking it|Inappropriate ioctl for device
others in /dev/pts|[]
device|none
TABLE
like "it goes on when the terminal is gone" "$(ambit ps)" away running
ambit kill away --reason test >/dev/null

# ---- the sibling, in the foreground ---------------------------------------------------
pty --expect intruder -- sh -c '
	CALLERS=$(tty); export CALLERS
	chmod 666 "$CALLERS"
	python3 -c "import os; print(f\"outside|{os.fstat(0).st_dev}:{os.fstat(0).st_rdev}\")"
	ambit run --quiet --profile plain -- python3 -c "$WAYS"' >"$TAP_DIRECTORY/found"
while IFS='|' read -r what wanted; do
	is "in the foreground: $what" "$(found "$what")" "$wanted"
done <<'TABLE'
terminals|[0, 1, 2]
reading /dev/tty|Resource temporarily unavailable
stdin again|True
/dev/tty|written
typing|Operation not permitted
others in /dev/pts|[]
TABLE
unlike "in the foreground: it is another than the caller's" \
	"$(found outside)" "$(found device)"

# ---- who speaks to the node himself ---------------------------------------------------
# run DETACH GIVEN: what becomes of a Run whose stdin is the terminal.
cat >"$TAP_DIRECTORY/ask.py" <<'PYTHON'
import array, json, os, pty, socket, sys
detach, given = sys.argv[1] == "detach", sys.argv[2]
master, slave = pty.openpty()
os.chmod(os.ttyname(slave), 0o666)
reader, writer = os.pipe()
stdin = {"slave": slave, "master": master, "path": os.open(os.ttyname(slave), os.O_PATH),
         "null": os.open("/dev/null", os.O_RDONLY),
         "socket": socket.socket().detach()}[given]
with socket.socket(socket.AF_UNIX) as s:
    s.connect(os.environ["AMBIT_ROOT"] + "/run/ambit/control")
    call = {"method": "io.ambit.Node.Run", "parameters": {
        "profile": "plain", "command": ["python3", "-c", "import os; print(os.isatty(0))"],
        "detach": detach, "rows": 0, "columns": 0}}
    s.sendmsg([json.dumps(call).encode() + b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
              array.array("i", [stdin, writer, writer]))])
    os.close(writer)
    answer = b""
    while not answer.endswith(b"\0"):
        answer += s.recv(65536)
    answer = json.loads(answer[:-1])
    why = answer["parameters"].get("why", "launched")
    print(why, os.read(reader, 64).decode().strip())
PYTHON
while IFS='|' read -r detach given wanted; do
	is "$detach, stdin is the $given" "$(python3 "$TAP_DIRECTORY/ask.py" "$detach" "$given" 2>&1)" "$wanted"
done <<'TABLE'
detach|slave|a detached agent can't have a terminal 
detach|master|a detached agent can't have a terminal 
detach|path|a file, a pipe or a terminal was expected for each of the three; sockets can't be handed to an agent 
stay|path|a file, a pipe or a terminal was expected for each of the three; sockets can't be handed to an agent 
detach|socket|a file, a pipe or a terminal was expected for each of the three; sockets can't be handed to an agent 
stay|socket|a file, a pipe or a terminal was expected for each of the three; sockets can't be handed to an agent 
detach|null|launched False
stay|null|launched False
TABLE
finish
