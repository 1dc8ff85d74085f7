#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Signals and pipes: Ctrl-C leaves a log of whole lines and a circuit, and a
# reader that goes away is no error message.
#
# usage: interrupt.sh EDGEWISE REFERENCE
set -u
edgewise=$1
case_dir=$2/acdc/attn2l
if [ ! -r "$case_dir/tokens.json" ]; then
    echo "skipped: $case_dir is not there"
    exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
    echo "$*" >&2
    exit 1
}

# Every number by a full forward: slow enough to be interrupted. Not in the
# background of this shell, which would have it ignore the signal.
mkfifo "$dir/log"
"$edgewise" acdc "$case_dir" -t "$case_dir/tokens.json" --metric kl \
    --threshold 0.06 --engine rerun --log "$dir/log" -o "$dir/circuit.json" \
    >"$dir/out" 2>"$dir/err" &
pid=$!
n=0
while read -r line; do
    n=$((n + 1))
    case $line in
    '{'*'}') ;;
    *) fail "half a line: $line" ;;
    esac
    [ "$n" -ne 2 ] || kill -TERM "$pid"
done <"$dir/log"
wait "$pid"
status=$?
[ "$status" -eq 130 ] || fail "status $status: $(cat "$dir/err")"
if [ "$n" -lt 2 ] || [ "$n" -ge 305 ]; then
    fail "$n lines in the log"
fi
grep -q "interrupted after $n decisions" "$dir/err" ||
    fail "said: $(cat "$dir/err")"
"$edgewise" export "$dir/circuit.json" -f csv >"$dir/csv" ||
    fail 'the circuit of an interrupted run cannot be read'

# a reader that leaves early
"$edgewise" graph "$2/acdc/gpt2-shape" --edges 2>"$dir/err" | head -n 1 >/dev/null
[ ! -s "$dir/err" ] || fail "a broken pipe said: $(cat "$dir/err")"

# the log on standard output is the log alone
"$edgewise" acdc "$case_dir" -t "$case_dir/tokens.json" --metric kl \
    --threshold 5 --log - >"$dir/out" 2>"$dir/err" ||
    fail "acdc --log -: $(cat "$dir/err")"
grep -vq '^{"edge": .*}$' "$dir/out" && fail 'something else beside the log'
grep -q '"dropped": true' "$dir/out" || fail 'no edge was dropped'
grep -q 'kept [0-9]* of 305' "$dir/err" || fail 'no summary'
exit 0
