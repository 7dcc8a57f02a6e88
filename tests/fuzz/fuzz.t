#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every reader of hostile bytes: its kept corpus, then AMBIT_FUZZ_SECONDS (5) of
# looking for more.  Bytes that break one are kept in /tmp/ambit-fuzz.NAME.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
seconds=${AMBIT_FUZZ_SECONDS:-5}

for source in tests/fuzz/*.c; do
	name=$(basename "$source" .c)
	fuzzer=build/tests/fuzz/$name
	broken=/tmp/ambit-fuzz.$name
	kept=("tests/fuzz/$name"/*)
	mkdir -p "$broken" "$TAP_DIRECTORY/$name"
	runs "$name: the kept inputs" 0 \
		"$fuzzer" -artifact_prefix="$broken/" "${kept[@]}"
	is "$name: … each was run" "$(grep -c '^Executed ' <<<"$ERR")" "${#kept[@]}"
	runs "$name: $seconds seconds more" 0 \
		"$fuzzer" -max_total_time="$seconds" -max_len=8192 -timeout=5 \
		-rss_limit_mb=512 -artifact_prefix="$broken/" -verbosity=0 \
		-print_final_stats=1 "$TAP_DIRECTORY/$name" "tests/fuzz/$name"
	like "$name: … and it ran" "$ERR" "stat::number_of_executed_units"
	rmdir "$broken" 2>/dev/null || diag "see $broken"
done

# Not C, and nothing guides it: mutants of the kept texts.
run python3 tests/fuzz/manifest.py "$seconds" tests/hostile/manifest tests/fuzz/manifest/*
is "manifest: the kept texts and $seconds seconds of mutants" \
	"$(sed 's/^read [0-9]* taken [1-9][0-9]*$/read and taken/' <<<"$OUT$ERR")" "read and taken"
finish
