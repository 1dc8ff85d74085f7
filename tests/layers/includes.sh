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

# may: the layers whose public headers folder $1 may include beside its own.
may_include() {
    case $1 in
    util) may= ;;
    tensor) may=util ;;
    model) may='util tensor' ;;
    tokenizer) may=util ;;
    task) may='util tokenizer' ;;
    graph) may=util ;;
    circuit) may='util graph' ;;
    engine) may='util tensor model task graph' ;;
    discover) may='util engine circuit graph task' ;;
    export) may='util circuit graph' ;;
    jobs) may=util ;;
    cli | tui) may='util tensor model tokenizer task graph circuit engine discover export jobs tui' ;;
    *) echo "unknown layer $1" >&2 && exit 1 ;;
    esac
}

# owner: the layer that public header $1 belongs to.
layer_of() {
    case $1 in
    common | err | buf | bitset | cancel | file | hash | json | log | mem | path | \
        rng) owner=util ;;
    tensor | torch) owner=tensor ;;
    arch | weights | model | block | forward | head) owner=model ;;
    tokenizer) owner=tokenizer ;;
    task) owner=task ;;
    graph | names) owner=graph ;;
    circuit | compare | correlate | edgelist | groups) owner=circuit ;;
    engine | attribute | positions | routes) owner=engine ;;
    acdc | completeness | curve | discover | ladder | scan | select | unit) owner=discover ;;
    export) owner=export ;;
    jobs) owner=jobs ;;
    tui) owner=tui ;;
    *) echo "unknown header edgewise/$1.h: say here whose it is" >&2 && exit 1 ;;
    esac
}

failed=0
bad() {
    echo "$*" >&2
    failed=1
}

check() { # FILE HEADER
    case $2 in
    edgewise/*) ;;
    config.h | *.inc | builtin* | *keys*) return ;; # made by the build
    *) # a private header stands beside the file that includes it
        [ -f "${1%/*}/$2" ] || bad "$1: \"$2\" is not beside it"
        return
        ;;
    esac
    header=${2#edgewise/}
    layer_of "${header%.h}"
    theirs=$owner
    case $1 in
    include/*)
        own=${1##*/}
        layer_of "${own%.h}"
        own=$owner
        ;;
    *)
        own=${1#src/}
        own=${own%%/*}
        ;;
    esac
    [ "$theirs" = "$own" ] && return
    may_include "$own"
    case " $may " in
    *" $theirs "*) ;;
    *) bad "$1: the $own layer may not include $2 ($theirs)" ;;
    esac
}

# All includes by one process: thousands of small ones take minutes on a
# machine that is busy.
includes=$(grep -rHE --include='*.[ch]' --include='*.cpp' --include='*.hpp' \
    '^ *# *include *"' src include |
    sed 's|^\([^:]*\): *# *include *"\([^"]*\)".*|\1 \2|')
checked=0 last=
while read -r file header; do
    check "$file" "$header"
    [ "$file" = "$last" ] || checked=$((checked + 1))
    last=$file
done <<EOF
$includes
EOF

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
