#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Every public header compiles alone, twice over, as C and as C++.
#
# usage: headers.sh SOURCE_ROOT CC CXX [FLAG ...]
set -eu
root=$1
cc=$2
cxx=$3
shift 3

failed=0
n=0
for header in "$root"/include/edgewise/*.h; do
    name=edgewise/$(basename "$header")
    unit="#include \"$name\"
#include \"$name\"
extern int ew_unit;
int ew_unit;"
    n=$((n + 1))
    # shellcheck disable=SC2086 # a compiler may be two words
    printf '%s\n' "$unit" | $cc -x c -std=c17 -fsyntax-only -Wall -Wextra \
        -Wpedantic -Werror -I "$root/include" "$@" - || failed=1
    # shellcheck disable=SC2086
    printf '%s\n' "$unit" | $cxx -x c++ -std=c++17 -fsyntax-only -Wall \
        -Wextra -Wpedantic -Werror -I "$root/include" "$@" - || failed=1
done
[ "$failed" -eq 0 ] && echo "$n headers stand alone"
exit "$failed"
