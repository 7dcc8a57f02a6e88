#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The second wall, when the first is away: the host takes the flags from the mounts of an
# agent that runs, and takes the agent out of its cgroup.  What Landlock holds stays shut;
# what the profile lists stays open.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
. tests/lib/net.sh
node_begin
WORK=$(mktemp -d /srv/ambit-test.XXXXXX) || bail_out "no directory"
at_exit 'rm -rf "$WORK"'
mkdir "$WORK/read" "$WORK/write" "$WORK/execute"
echo content >"$WORK/read/file"
chmod 666 "$WORK/read/file"
chmod 777 "$WORK/read" "$WORK/write" "$WORK/execute"
for at in read write execute; do
	cp /bin/true "$WORK/$at/true"
done
mkdir "$WORK/socket"
serve python3 tests/lib/echo.py "abstract:ambit-test-$$" "unix:$WORK/socket/listed"
profile walled "files: {read: [$WORK/read], write: [$WORK/write, $WORK/execute], execute: [$WORK/execute]}" \
	"egress: [{to: \"unix:$WORK/socket/listed\"}]"	# without one there is no datagram socket

# Each line of stdin names a way; its result is a line.
AGENT='
import errno, os, signal, socket, subprocess, sys
work, name = sys.argv[1:3]
def connect(address):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(address)
def own():
    kind = socket.SOCK_DGRAM  # the filter refuses listen(2)
    with socket.socket(socket.AF_UNIX, kind) as s, socket.socket(socket.AF_UNIX, kind) as other:
        s.bind("\0own")
        other.connect("\0own")
def child():
    pid = os.fork()
    if pid == 0:
        signal.pause()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
def copy(path):
    subprocess.run(["cp", "/bin/true", path], check=True)
    subprocess.run([path], check=True)
ways = {
    "open": lambda: open(work + "/read/file").close(),
    "write": lambda: open(work + "/read/file", "r+").close(),
    "truncate": lambda: os.truncate(work + "/read/file", 0),
    "make": lambda: os.mkdir(work + "/read/new"),
    "remove": lambda: os.unlink(work + "/read/true"),
    "execute in read": lambda: subprocess.run([work + "/read/true"], check=True),
    "execute in write": lambda: subprocess.run([work + "/write/true"], check=True),
    "execute in execute": lambda: subprocess.run([work + "/execute/true"], check=True),
    "execute in tmp": lambda: copy("/tmp/true"),
    "execute in usr": lambda: subprocess.run(["/usr/bin/true"], check=True),
    "write in write": lambda: open(work + "/write/file", "w").close(),
    "truncate in write": lambda: os.truncate(work + "/write/file", 0),
    "signal": lambda: os.kill(int(sys.argv[3]), 0),
    "signal to a child": child,
    "abstract": lambda: connect("\0" + name),
    "own abstract": own,
}
for line in sys.stdin:
    way, *rest = line.strip().split("|")
    sys.argv[3:] = rest
    try:
        ways[way]()
        print("done", flush=True)
    except OSError as error:
        print(errno.errorcode[error.errno], flush=True)
'
mkfifo "$TAP_DIRECTORY/in" "$TAP_DIRECTORY/out"
ambit run --quiet --profile walled --name walled -- python3 -c "$AGENT" "$WORK" "ambit-test-$$" \
	<"$TAP_DIRECTORY/in" >"$TAP_DIRECTORY/out" &
WALLED=$!
exec 5>"$TAP_DIRECTORY/in" 6<"$TAP_DIRECTORY/out"
# way NAME WANTED [VALUE]
way() {
	echo "$1|${3-}" >&5
	read -r way_said <&6
	is "${when-}$1" "$way_said" "$2"
}
way open done
way write EROFS
way "execute in write" EACCES
way "execute in usr" done
way "execute in execute" done

# ---- without the flags of the mounts --------------------------------------------------------
init=$(field walled pid)
command=$(pgrep -P "$init")
nsenter --target "$command" --mount sh -c "
	mount -o remount,bind,rw,exec $WORK/read &&
	mount -o remount,bind,rw,exec $WORK/write &&
	mount -o remount,bind,rw,exec /tmp" || bail_out "the mounts can't be changed"
when="mounts without flags: "
while read -r name wanted; do
	way "$(echo "$name" | tr _ ' ')" "$wanted"
done <<'TABLE'
write EACCES
make EACCES
remove EACCES
execute_in_read done
execute_in_write EACCES
execute_in_tmp EACCES
write_in_write done
truncate_in_write done
TABLE
if kernel_has 6 2; then
	way truncate EACCES
else
	skip truncate "Landlock holds it since 6.2"
fi
is "the file is as it was" "$(cat "$WORK/read/file")" content

# ---- without its cgroup, whose hooks refuse every unix socket with a name -------------------
when="out of its cgroup: "
if ! kernel_has 6 12; then
	skip scopes "Landlock has them since 6.12"
else
	# Of its own uid, in its pid namespace, and not of its making.
	uid=$(field walled uid)
	mkfifo "$TAP_DIRECTORY/other"
	nsenter --target "$command" --pid setpriv --reuid "$uid" --regid "$uid" --clear-groups \
		sh -c 'echo $$; exec sleep 600' >"$TAP_DIRECTORY/other" 5>&- 6>&- &
	read -r other <"$TAP_DIRECTORY/other"
	way signal EPERM "$other"
	way "signal to a child" done
	echo "$command" >"$(cgroup2)/cgroup.procs"
	way abstract EPERM
	way "own abstract" done
	echo "$command" >"$NODE_CGROUP/$(field walled id)/cgroup.procs"
fi
exec 5>&- 6<&-
wait "$WALLED"
is "it ended by itself" "$?" 0
finish
