#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Dependencies point one way: every #include in src/ and include/ is checked
# against the table of layers, and each outside library against the one place
# that may see it.
#
# usage: includes.sh SOURCE_ROOT
set -eu
cd "$1"

# folder: the layers whose public headers it may include beside its own
may_include() {
    case $1 in
    util) echo ;;
    tensor) echo util ;;
    model) echo util tensor ;;
    tokenizer) echo util ;;
    task) echo util tokenizer ;;
    graph) echo util ;;
    circuit) echo util graph ;;
    engine) echo util tensor model task graph ;;
    discover) echo util engine circuit graph task ;;
    export) echo util circuit graph ;;
    jobs) echo util ;;
    cli | tui) echo util tensor model tokenizer task graph circuit engine \
        discover export jobs tui ;;
    *) echo "unknown layer $1" >&2 && exit 1 ;;
    esac
}

# public header: the layer it belongs to
layer_of() {
    case $1 in
    common | err | buf | bitset | cancel | file | json | log | mem | path | \
        rng) echo util ;;
    tensor | torch) echo tensor ;;
    arch | weights | model | block | forward) echo model ;;
    tokenizer) echo tokenizer ;;
    task) echo task ;;
    graph | names) echo graph ;;
    circuit | compare | correlate | edgelist | groups) echo circuit ;;
    engine | attribute) echo engine ;;
    acdc | curve | discover | ladder | scan | select | unit) echo discover ;;
    export) echo export ;;
    jobs) echo jobs ;;
    tui) echo tui ;;
    *) echo "unknown header edgewise/$1.h: say here whose it is" >&2 && exit 1 ;;
    esac
}

failed=0
bad() {
    echo "$*" >&2
    failed=1
}

checked=0
check() { # FILE LAYER
    for header in $(sed -n 's|^ *# *include *"edgewise/\([a-z_]*\)\.h".*|\1|p' \
        "$1"); do
        owner=$(layer_of "$header") || exit 1
        [ "$owner" = "$2" ] && continue
        case " $(may_include "$2") " in
        *" $owner "*) ;;
        *) bad "$1: the $2 layer may not include edgewise/$header.h ($owner)" ;;
        esac
    done
    # a private header stands beside the file that includes it
    for header in $(sed -n 's|^ *# *include *"\([^"]*\)".*|\1|p' "$1"); do
        case $header in
        edgewise/* | config.h) ;;
        *) [ -f "$(dirname "$1")/$header" ] ||
            case $header in
            *.inc | builtin* | *keys*) ;; # made by the build
            *) bad "$1: \"$header\" is not beside it" ;;
            esac ;;
        esac
    done
    checked=$((checked + 1))
}

for folder in src/*/; do
    layer=$(basename "$folder")
    for file in "$folder"*.c "$folder"*.h "$folder"*.cpp; do
        [ ! -f "$file" ] || check "$file" "$layer"
    done
done
for file in include/edgewise/*.h; do
    check "$file" "$(layer_of "$(basename "$file" .h)")"
done

# An outside library is seen in one place.
only_in() { # PATTERN PLACE ...
    pattern=$1
    shift
    for file in $(grep -rlE "^ *# *include *<($pattern)" src include || :); do
        case " $* " in
        *" $file "*) ;;
        *) bad "$file includes <$pattern>; only $* may" ;;
        esac
    done
}
only_in 'n?curses' src/tui/term.c src/tui/gfx.c
only_in 'graphviz/|gvc|cgraph' src/export/gv.c
only_in 'pcre2' src/tokenizer/regex.c
for file in $(grep -rlE '^ *# *include *<(torch|ATen|c10)/' src include || :)
do
    case $file in
    src/tensor/*.cpp | src/tensor/*.hpp | src/tensor/torch*.h) ;;
    *) bad "$file includes libtorch's headers; only src/tensor's C++ may" ;;
    esac
done
for file in src/*/*.cpp src/*/*.cc include/edgewise/*.hpp; do
    case $file in
    *'*'* | src/tensor/*) ;;
    *) bad "$file: C++ lives in src/tensor alone" ;;
    esac
done

[ "$checked" -gt 40 ] || bad "only $checked files were found"
[ "$failed" -eq 0 ] && echo "$checked files keep to the layers"
exit "$failed"
