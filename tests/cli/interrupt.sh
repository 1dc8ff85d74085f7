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

# nobody would ever open the pipe below
[ -x "$edgewise" ] || fail "$edgewise cannot be run"

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
    '{'*'}') printf '%s\n' "$line" >>"$dir/half" ;;
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

# gone on with, after a last line that was not whole, it decides what an
# undisturbed run does
verdicts() {
    sed 's/.*"edge": \("[^"]*"\).*\("kept": [a-z]*\|"dropped"\).*/\1 \2/' "$1"
}
printf '{"edge": "a0' >>"$dir/half"
for how in "--threshold 0.06 --log $dir/whole" "--resume $dir/half"; do
    # shellcheck disable=SC2086 # two words and two more
    "$edgewise" acdc "$case_dir" -t "$case_dir/tokens.json" --metric kl $how \
        >"$dir/out" 2>"$dir/err" || fail "acdc $how: $(cat "$dir/err")"
done
verdicts "$dir/whole" >"$dir/a"
verdicts "$dir/half" >"$dir/b"
[ "$(wc -l <"$dir/a")" -ge 305 ] || fail 'an undisturbed run is not whole'
cmp "$dir/a" "$dir/b" || fail 'a resumed run decided otherwise'
"$edgewise" acdc "$case_dir" -t "$case_dir/tokens.json" --metric kl \
    --threshold 0.07 --resume "$dir/half" 2>"$dir/err"
status=$?
[ "$status" -eq 3 ] || fail "another threshold: status $status"

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
