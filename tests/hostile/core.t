#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Where core_pattern names a program, the kernel runs it as root, outside of every
# bound, on what the crashing process put into its core.  An agent's crash must not
# start it, whatever the agent does to its limit; a crash outside does.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
PATTERN=/proc/sys/kernel/core_pattern
OLD=$(cat $PATTERN)
node_begin
WORK=$(mktemp -d /srv/ambit-core.XXXXXX) || bail_out "no directory"
at_exit 'rm -rf "$WORK"'
cat >"$WORK/handler" <<HANDLER
#!/bin/sh
echo "\$1 \$2" >>"$WORK/cores"
cat >/dev/null
HANDLER
chmod 755 "$WORK" "$WORK/handler"
: >"$WORK/cores"
at_exit 'echo "$OLD" >$PATTERN'
echo "|$WORK/handler %p %e" >$PATTERN || bail_out "core_pattern can't be set"
profile crash

# crash SCRIPT: a python program that ends by a signal whose default is a core.
crash="import ctypes, os, resource, sys
libc = ctypes.CDLL(None, use_errno=True)"
abort='os.abort()'
# The sibling comes first: the same crash outside.  The kernel waits for the handler,
# and looks for it from the root of process 1: in a chroot nothing can be shown.
runs "a crash outside" 134 sh -c "ulimit -c 0; exec python3 -c '$crash
$abort'"
if [ -z "$(cat "$WORK/cores")" ]; then
	skip "an agent's crash" "no handler of ours is run from here"
	finish
fi
is "runs the handler" "$(cut -d' ' -f2 "$WORK/cores")" python3
: >"$WORK/cores"
while IFS='|' read -r name line; do
	runs "$name" 134 ambit_run crash python3 -c "$crash
try:
    $line
except (OSError, ValueError) as error:
    print(error)
print(resource.getrlimit(resource.RLIMIT_CORE))
sys.stdout.flush()
$abort"
	is "$name: the limit stays" "$(printf %s "$OUT" | tail -n 1)" "(1, 1)"
done <<'TABLE'
a crash|pass
the limit lowered by setrlimit|resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
by the call itself|libc.syscall(160, 4, (ctypes.c_ulong * 2)(0, 0))
by prlimit, with the old one asked for|resource.prlimit(0, resource.RLIMIT_CORE, (0, 0))
raised|resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))
TABLE
is "no handler ran" "$(cat "$WORK/cores")" ""

finish
