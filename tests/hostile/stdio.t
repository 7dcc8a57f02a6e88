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

# A log of the caller's holds what others wrote: the agent adds to it, and no more.
REWRITE='
import fcntl, os
def attempt(what, do):
    try:
        do()
        return what + " done"
    except OSError as error:
        return f"{what} {error.strerror}"
said = [attempt("ftruncate", lambda: os.ftruncate(1, 0)),
        attempt("seek", lambda: os.lseek(1, 0, os.SEEK_SET)),
        attempt("write at 0", lambda: os.pwrite(1, b"forged", 0)),
        attempt("truncate by path", lambda: os.truncate("/proc/self/fd/1", 0)),
        attempt("read back", lambda: os.open("/proc/self/fd/1", os.O_RDONLY | os.O_NONBLOCK)),
        attempt("no append", lambda: fcntl.fcntl(1, fcntl.F_SETFL, 0))]
os.write(1, b"mine\n")
os.write(2, "\n".join(said).encode())
'
echo "written by another" >"$TAP_DIRECTORY/log"
ambit run --quiet --profile plain -- python3 -c "$REWRITE" >>"$TAP_DIRECTORY/log" 2>"$TAP_DIRECTORY/said"
is "a log of the caller's: what others wrote stays" "$(cat "$TAP_DIRECTORY/log")" "written by another
mine"
while IFS='|' read -r what wanted; do
	is "a log of the caller's: $what" "$(sed -n "s/^$what //p" "$TAP_DIRECTORY/said")" "$wanted"
done <<'TABLE'
ftruncate|Invalid argument
seek|Illegal seek
write at 0|Illegal seek
truncate by path|Invalid argument
read back|Permission denied
no append|done
TABLE
exec 4<>"$TAP_DIRECTORY/log"
ambit run --quiet --profile plain -- python3 -c "$REWRITE" <&4 >/dev/null 2>"$TAP_DIRECTORY/said"
ambit run --quiet --profile plain -- python3 -c 'import os; os.write(0, b"forged")' <&4 2>"$TAP_DIRECTORY/said"
like "a file opened for both is not to be written as stdin" "$(cat "$TAP_DIRECTORY/said")" "Bad file descriptor"
exec 4<&-
ambit run --quiet --profile plain -- sh -c 'for i in 1 2 3; do echo $i; echo $i >&2; done' \
	>"$TAP_DIRECTORY/both" 2>&1
is "both into one file: in order" "$(tr '\n' ' ' <"$TAP_DIRECTORY/both")" "1 1 2 2 3 3 "

# Only a pipe without a name is opened to the agent's group: what has one is others', too.
# The agent's own null device takes the place of the host's, which it could not open.
NAMED=$TAP_DIRECTORY/with-names
mkdir "$NAMED"
mount -t tmpfs none "$NAMED"
at_exit 'umount "$NAMED"'
mkfifo -m 600 "$NAMED/pipe"
: >"$NAMED/file"
mknod "$NAMED/null" c 1 3
chmod 600 "$NAMED"/*
exec 4<>"$NAMED/pipe"
ambit run --profile plain --name given --detach -- sh -c ': >/dev/stderr && echo opened; sleep 600' \
	<"$NAMED/file" >&4 2>"$NAMED/null"
is "/dev/stderr is opened where it is the null device" "$(timeout 20 grep -m 1 -x opened <&4)" opened
is "what has a name keeps its mode and its group" "$(stat -c '%a %u %g' "$NAMED"/* | sort -u)" "600 0 0"
ok "kill" ambit kill given --reason test
exec 4<&-

# The limit for files holds for it, too; a full disk is said.
profile small 'limits: {processes: 64, file-size: 64K}'
ambit run --profile small -- sh -c 'head -c 65536 /dev/zero' >"$TAP_DIRECTORY/most" 2>"$TAP_DIRECTORY/said"
is "as much as the limit" "$? $(stat -c %s "$TAP_DIRECTORY/most")$(cat "$TAP_DIRECTORY/said")" "0 65536"
ambit run --profile small -- sh -c 'head -c 65537 /dev/zero; echo' \
	>"$TAP_DIRECTORY/most" 2>"$TAP_DIRECTORY/said"
is "no more than the limit" "$(stat -c %s "$TAP_DIRECTORY/most")" 65536
like "and it is said" "$(cat "$TAP_DIRECTORY/said")" "stdout: the limit for files was reached"
# Also of what is written before the client hears of the launch, its limit with it.
for _ in $(seq 20); do
	ambit run --quiet --profile small -- head -c 2000000 /dev/zero >"$TAP_DIRECTORY/most" 2>/dev/null
	stat -c %s "$TAP_DIRECTORY/most"
done | sort -u >"$TAP_DIRECTORY/sizes"
is "each time" "$(cat "$TAP_DIRECTORY/sizes")" 65536
mkdir "$TAP_DIRECTORY/disk"
mount -t tmpfs -o size=64k none "$TAP_DIRECTORY/disk"
ambit run --profile plain -- sh -c 'head -c 1000000 /dev/zero; echo' \
	>"$TAP_DIRECTORY/disk/out" 2>"$TAP_DIRECTORY/said"
like "a full disk is said" "$(cat "$TAP_DIRECTORY/said")" "stdout: No space left on device"
umount "$TAP_DIRECTORY/disk"

# A file that everybody may write and execute, given to be read: /proc/self/fd leads to it
# past the mounts, which are not the agent's there.
FILE='
import os, sys
def attempt(what, do):
    try:
        print(what, do() or "done", sep="|", flush=True)
    except OSError as error:
        print(what, error.strerror, sep="|", flush=True)
for at in ("/proc/self/fd/0", sys.argv[1]):
    attempt("write", lambda: os.close(os.open(at, os.O_WRONLY)))
    attempt("read and write", lambda: os.close(os.open(at, os.O_RDWR)))
    attempt("truncate", lambda: os.truncate(at, 4096))
attempt("link", lambda: os.link("/proc/self/fd/0", "/tmp/link", follow_symlinks=True))
attempt("execute", lambda: os.spawnl(os.P_WAIT, "/proc/self/fd/0", "x"))
attempt("execute the descriptor", lambda: os.execve(0, ["x"], {}))
attempt("read what was given", lambda: os.read(0, 9).decode())'
mkdir "$AMBIT_ROOT/given" "$AMBIT_ROOT/listed"
for at in given listed; do
	printf '#!/bin/sh\necho ran\n' >"$AMBIT_ROOT/$at/file"
	chmod 777 "$AMBIT_ROOT/$at" "$AMBIT_ROOT/$at/file"
done
profile lists "files: {write: [$AMBIT_ROOT/listed]}"
run sh -c 'exec ambit run --quiet --profile lists -- python3 -c "$1" "$2" <"$3"' sh "$FILE" \
	"$AMBIT_ROOT/listed/file" "$AMBIT_ROOT/given/file"
is "a file given to be read is only read; a listed one is written" "$OUT" "write|Permission denied
read and write|Permission denied
truncate|Permission denied
write|done
read and write|done
truncate|done
link|Invalid cross-device link
execute|127
execute the descriptor|Permission denied
read what was given|#!/bin/sh"
is "and was not changed" "$(cat "$AMBIT_ROOT/given/file")" "#!/bin/sh
echo ran"

# What lies beside a mount that the agent may write or execute: only its own programs are
# noexec by their mounts.  What Debian keeps in /etc is none.
mkdir /usr/local/share/ambit-test.$$ || bail_out "no directory below /usr"
at_exit 'rm -r /usr/local/share/ambit-test.$$'
cp /bin/true /usr/local/share/ambit-test.$$/program
cp /bin/true /etc/alternatives/ambit-test.$$ || bail_out "no file in /etc/alternatives"
at_exit 'rm /etc/alternatives/ambit-test.$$'
runs "a program below /usr" 0 ambit_run plain /usr/local/share/ambit-test.$$/program
refused "the same in /etc" 126 "/etc/alternatives" ambit_run plain /etc/alternatives/ambit-test.$$

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
