#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A node in a plain chroot, whose root is no mount point: setns(2) leads out of it,
# the kernel refuses user namespaces and changes of propagation in it.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
node_directory
TREE=$(mktemp -d /srv/ambit-chroot.XXXXXX) || bail_out "no directory"
at_exit 'rm -rf --one-file-system "$TREE"'
mkdir "$TREE/only-here" "$TREE/only-here/listed"
echo inside >"$TREE/only-here/listed/file"
profile plain "files: {read: [/only-here/listed]}"

# All of the host but its /srv and root itself, then COMMAND in there.
cat >"$TAP_DIRECTORY/enter" <<'ENTER'
set -e
tree=$1 checkout=$2
mount --make-rprivate /
for directory in /bin /sbin /lib* /usr /etc /dev /proc /sys /var /tmp "$checkout"; do
	[ -d "$directory" ] || continue
	[ ! -L "$directory" ] || { cp -dn "$directory" "$tree$directory"; continue; }
	mkdir -p "$tree$directory"
	mount --rbind "$directory" "$tree$directory"
done
shift 2
exec chroot "$tree" "$@"
ENTER
chrooted() {
	unshare --mount sh "$TAP_DIRECTORY/enter" "$TREE" "$(dirname "$AMBIT_BUILD")" "$@"
}
# The node lives in the mount namespace that started it, so all is one command.
run chrooted sh -c '
	cd /
	ambit run --profile plain -- cat /only-here/listed/file && echo one
	ambit run --profile plain -- sh -c "ls /only-here; ls -d /srv /old-root 2>&1 | wc -l" && echo two
	ambit doctor >/dev/null && echo three
	ambit node stop && echo four
	grep -cF "$AMBIT_ROOT" /proc/self/mountinfo'
is "launches, lists, proves and stops, and no mount is left" "$(printf %s "$OUT" | tr '\n' ' ')" \
	"inside one listed 2 two three four 0"
is "without a word" "$ERR" ""
finish
