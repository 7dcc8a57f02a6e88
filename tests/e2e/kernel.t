#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The kernel programs and their loader, on this kernel: see kernel_driver.c.
# Runs in namespaces of its own: every address leads to loopback there.  With
# "cost" as argument it measures instead.
set -eu
cd "$(dirname "$0")/../.."
if [ "${1-}" != inside ]; then
	exec unshare --mount --net -- \
		"$PWD/tests/e2e/kernel.t" inside "${1-test}"
fi
driver=$PWD/build/tests/bin/kernel_driver
pins=$(mktemp -d /tmp/ambit-kernel.XXXXXX)
cgroups=$(awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
parent=$cgroups/ambit-kernel-test-$(basename "$pins")
clean_up() {
	if [ -d "$parent" ]; then
		echo 1 >"$parent/cgroup.kill"
		while grep -q 'populated 1' "$parent/cgroup.events"; do :; done
		find "$parent" -mindepth 1 -depth -type d -exec rmdir {} \;
		rmdir "$parent"
	fi
	if mountpoint -q "$pins"; then umount "$pins"; fi
	rmdir "$pins"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
mount -t bpf -o mode=0700 bpf "$pins"
mkdir "$parent"
ip link set lo up
ip addr add 198.51.100.1/24 broadcast 198.51.100.255 dev lo
ip route add local 0.0.0.0/0 dev lo
ip -6 route add local ::/0 dev lo
# ICMP echo sockets are then there for the outside, hence refused, not missing.
echo 0 0 >/proc/sys/net/ipv4/ping_group_range
# Fast Open without a cookie, both ways: data on the very first SYN.
echo 0x207 >/proc/sys/net/ipv4/tcp_fastopen
# Near peers get large packets whatever the pace: not here.
echo 0 >/proc/sys/net/ipv4/tcp_tso_rtt_log
"$driver" "$pins" "$parent" "$2"
