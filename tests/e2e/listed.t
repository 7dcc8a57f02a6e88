#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the host has mounted below a listed path, or mounts there later, was not listed;
# and a link that is put in place of a listed path while a launch is under way does not
# lead the mount elsewhere.  A listed socket below /run is reached by /var/run too.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
. tests/lib/net.sh
# Mounts that tell others what happens below them, as systemd makes all of them.
WORK=$(mktemp -d /srv/ambit-test.XXXXXX) || bail_out "no directory"
at_exit 'rm -rf "$WORK"'
mount --bind "$WORK" "$WORK" && mount --make-shared "$WORK" || bail_out "no shared mount"
at_exit 'umount -R "$WORK"'
USR=/usr/share/ambit-test.$$
mkdir "$USR" || bail_out "no directory below /usr"
at_exit 'rmdir "$USR"'
mount --bind "$USR" "$USR" && mount --make-shared "$USR" || bail_out "no shared mount"
at_exit 'umount -R "$USR"'
mkdir "$USR/later" "$WORK/read" "$WORK/read/before" "$WORK/read/later"
at_exit 'rmdir "$USR/later"'
chmod -R 755 "$WORK"
mounted() {
	mount -t tmpfs -o mode=755 tmpfs "$1" && echo content >"$1/file"
}
mounted "$WORK/read/before"
node_begin
profile outer "files: {read: [$WORK/read]}"
profile below "files: {read: [$WORK/read/before]}"
FOUND='for at; do cat "$at/file" 2>/dev/null || echo none; done'
is "mounted before: not with the path above it" \
	"$(ambit_run outer sh -c "$FOUND" sh "$WORK/read/before")" none
is "listed by itself it is" "$(ambit_run below sh -c "$FOUND" sh "$WORK/read/before")" content

# ---- later ---------------------------------------------------------------------------------
mkfifo "$TAP_DIRECTORY/in" "$TAP_DIRECTORY/out"
ambit run --quiet --profile outer --name outer -- sh -c "read -r line; $FOUND" sh "$WORK/read/later" "$USR/later" \
	<"$TAP_DIRECTORY/in" >"$TAP_DIRECTORY/out" &
exec 5>"$TAP_DIRECTORY/in" 6<"$TAP_DIRECTORY/out"
timeout 20 sh -c 'until ambit ps | grep -q running; do :; done' || bail_out "no agent"
mounted "$WORK/read/later"
mounted "$USR/later"
echo >&5
is "mounted later: not in an agent that runs" "$(tr '\n' ' ' <&6)" "none none "
wait $!
exec 5>&- 6<&-
is "outside it is" "$(sh -c "$FOUND" sh "$WORK/read/later" "$USR/later" | tr '\n' ' ')" "content content "
umount "$WORK/read/later" "$USR/later"

# ---- a socket below /run has two names -------------------------------------------------------
if kernel_has 6 7; then
	SOCKETS=/run/ambit-test.$$
	mkdir "$SOCKETS" || bail_out "no directory below /run"
	at_exit 'rm -r "$SOCKETS"'
	serve python3 tests/lib/echo.py "unix:$SOCKETS/listed" "unix:$SOCKETS/other" "unix:$WORK/socket"
	profile client "egress: [{to: \"unix:$SOCKETS/listed\", tool: listed}, {to: \"unix:$WORK/socket\"}]"
	# wanted | records | path
	while IFS='|' read -r wanted records path; do
		is "a socket: $path" "$(ambit run --quiet --profile client --name client -- python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
try:
    s.connect(sys.argv[1]); s.send(b"hello"); print(s.recv(5).decode())
except OSError as error:
    print(error.strerror)' "$path")" "$wanted"
		like "… recorded" "$(ambit audit show --agent client)" "$records"
	done <<-TABLE
		hello|allowed unix connect $SOCKETS/listed|$SOCKETS/listed
		hello|allowed unix connect /var$SOCKETS/listed|/var$SOCKETS/listed
		Operation not permitted|DENIED  unix connect $SOCKETS/other|$SOCKETS/other
		Operation not permitted|DENIED  unix connect /var$SOCKETS/other|/var$SOCKETS/other
		Operation not permitted|DENIED  unix connect /var/run/..$SOCKETS/listed|/var/run/..$SOCKETS/listed
		hello|allowed unix connect $WORK/socket|$WORK/socket
		Operation not permitted|DENIED  unix connect /var$WORK/socket|/var$WORK/socket
	TABLE
fi

# ---- a link in the middle of a launch --------------------------------------------------------
# An agent of the same files could do it.  The warden has opened the path; ambit-init waits
# before its first mount, and the directory is replaced meanwhile.
mkdir "$WORK/write" "$WORK/write/inner" "$WORK/elsewhere"
chmod 755 "$WORK/write" "$WORK/write/inner" "$WORK/elsewhere"
echo inner >"$WORK/write/inner/file"
profile nested "files: {write: [$WORK/write], execute: [$WORK/write/inner]}"
is "a path below another" "$(ambit_run nested sh -c "$FOUND" sh "$WORK/write/inner")" inner
ambit node settle
warden=$(node_pid ambitd)
# replaced COMMAND…: what becomes of a launch in whose middle the command is run.
replaced() {
	strace -f -qq -o "$TAP_DIRECTORY/trace" -e trace=move_mount \
		-e inject=move_mount:delay_enter=1500000:when=1 -p "$warden" &
	strace=$!
	while grep -qs '^TracerPid:[[:space:]]*0' "/proc/$warden/status"; do :; done
	ambit_run nested sh -c "$FOUND" sh "$USR" "$WORK/write/inner" >"$TAP_DIRECTORY/said" 2>&1 &
	launch=$!
	# 429: move_mount
	timeout 20 sh -c 'until for pid in $(pgrep -P "$1" -x ambit-init); do
		grep -s "^429 " "/proc/$pid/syscall"; done | grep -q .; do :; done' sh "$warden" ||
		bail_out "no launch that waits"
	"$@"
	wait "$launch"
	STATUS=$?
	kill "$strace"
	wait "$strace" 2>/dev/null
}
replaced true
is "nothing is replaced: launched" "$STATUS $(tr '\n' ' ' <"$TAP_DIRECTORY/said")" "0 none inner "
ambit node settle
swap() {
	mv "$WORK/write/inner" "$WORK/write/old"
	ln -s "../../..$USR" "$WORK/write/inner"
}
replaced swap
is "a link is put there: refused" "$STATUS" 125
like "and told" "$(cat "$TAP_DIRECTORY/said")" "Too many levels of symbolic links"
finish
