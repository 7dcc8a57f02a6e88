# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# TAP for shell tests: sourced first by every *.t.  The test goes on after a
# failure and ends with `finish`, which prints the plan; a script that dies
# before has no plan, and prove counts that as a failure.
#
# What `run` captured stands in $OUT, $ERR and $STATUS.
set -u
LC_ALL=C.UTF-8
export LC_ALL

TAP_COUNT=0
TAP_FAILED=0
TAP_CLEANUP=
TAP_DIRECTORY=$(mktemp -d /tmp/ambit-tap.XXXXXX) || exit 1
OUT= ERR= STATUS=0

# at_exit COMMAND: one line of shell, run when the script ends, however it does;
# the latest first.
at_exit() {
	TAP_CLEANUP="$1
$TAP_CLEANUP"
}

tap_cleanup() {
	tap_status=$?
	trap - EXIT
	trap '' HUP INT TERM
	while [ -n "$TAP_CLEANUP" ]; do
		tap_line=${TAP_CLEANUP%%
*}
		TAP_CLEANUP=${TAP_CLEANUP#*
}
		if ! eval "$tap_line"; then
			echo "# clean-up failed: $tap_line"
			tap_status=1
		fi
	done
	rm -rf "$TAP_DIRECTORY"
	exit "$tap_status"
}
trap tap_cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM

diag() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

bail_out() {
	echo "Bail out! $*"
	exit 1
}

# pass NAME, fail NAME [WHY]
pass() {
	TAP_COUNT=$((TAP_COUNT + 1))
	echo "ok $TAP_COUNT - $1"
}

fail() {
	TAP_COUNT=$((TAP_COUNT + 1))
	TAP_FAILED=$((TAP_FAILED + 1))
	echo "not ok $TAP_COUNT - $1"
	[ $# -lt 2 ] || diag "$2"
	return 1
}

# skip NAME WHY: only for what this kernel or machine does not have.
skip() {
	TAP_COUNT=$((TAP_COUNT + 1))
	echo "ok $TAP_COUNT - $1 # SKIP $2"
}

# ok NAME COMMAND…: the command succeeds.  Runs in this shell.
ok() {
	tap_name=$1
	shift
	if "$@" >"$TAP_DIRECTORY/ok" 2>&1; then
		pass "$tap_name"
	else
		fail "$tap_name" "status $? of: $*
$(head -c 2000 "$TAP_DIRECTORY/ok")"
	fi
}

# is NAME GOT WANTED
is() {
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		fail "$1" "got:    $2
wanted: $3"
	fi
}

# like NAME TEXT PART…: TEXT contains every PART.
like() {
	tap_name=$1 tap_text=$2
	shift 2
	for tap_part; do
		case $tap_text in
		*"$tap_part"*) ;;
		*)
			fail "$tap_name" "missing: $tap_part
in:      $tap_text"
			return
			;;
		esac
	done
	pass "$tap_name"
}

# unlike NAME TEXT PART
unlike() {
	case $2 in
	*"$3"*) fail "$1" "there is: $3
in:       $2" ;;
	*) pass "$1" ;;
	esac
}

# run COMMAND…: fills OUT, ERR, STATUS.  Stdin is empty; tests that feed one use
# a redirection of their own.
run() {
	"$@" >"$TAP_DIRECTORY/out" 2>"$TAP_DIRECTORY/err" </dev/null
	STATUS=$?
	OUT=$(tr -d '\000' <"$TAP_DIRECTORY/out")
	ERR=$(tr -d '\000' <"$TAP_DIRECTORY/err")
	return 0
}

# runs NAME STATUS COMMAND…: ends with that status.
runs() {
	tap_name=$1 tap_wanted=$2
	shift 2
	run "$@"
	if [ "$STATUS" = "$tap_wanted" ]; then
		pass "$tap_name"
	else
		fail "$tap_name" "status $STATUS, wanted $tap_wanted: $*
stdout: $(printf %s "$OUT" | head -c 1500)
stderr: $(printf %s "$ERR" | head -c 1500)"
	fi
}

# refused NAME STATUS PART COMMAND…: ends with that status and says why in one
# line "ambit: WHAT: WHY" that contains PART; nothing on stdout.
refused() {
	tap_name=$1 tap_wanted=$2 tap_part=$3
	shift 3
	run "$@"
	tap_why=
	[ "$STATUS" = "$tap_wanted" ] || tap_why="status $STATUS, wanted $tap_wanted"
	case $ERR in
	"ambit: "*": "*) ;;
	*) tap_why="$tap_why; no line \"ambit: WHAT: WHY\"" ;;
	esac
	case $ERR in
	*"$tap_part"*) ;;
	*) tap_why="$tap_why; missing: $tap_part" ;;
	esac
	[ "$(printf '%s\n' "$ERR" | wc -l)" = 1 ] || tap_why="$tap_why; not one line"
	[ -z "$OUT" ] || tap_why="$tap_why; stdout: $OUT"
	if [ -z "$tap_why" ]; then
		pass "$tap_name"
	else
		fail "$tap_name" "${tap_why#; }
stderr: $ERR"
	fi
}

# same NAME BEFORE AFTER: two files are equal.
same() {
	if tap_text=$(diff "$2" "$3"); then
		pass "$1"
	else
		fail "$1" "$tap_text"
	fi
}

finish() {
	echo "1..$TAP_COUNT"
	[ "$TAP_FAILED" = 0 ]
	exit
}
