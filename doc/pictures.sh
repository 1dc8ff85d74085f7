#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The pictures of the README, made by the program itself on the bundled model.
#
# usage: doc/pictures.sh [EDGEWISE]
set -eu
edgewise=${1:-edgewise}
dir=$(dirname "$0")

picture() { # NAME SIZE KEYS
    echo "$dir/$1.svg"
    "$edgewise" show induction-2l -t induction --threshold 0.25 \
        --size "$2" --keys "$3" -o "$dir/$1.svg"
}

picture screen 120x36 'A<Tab>'
picture pinned 120x36 '=/a0.h2<Enter>x/logits<Enter><Tab>'
picture stepper 100x30 'DaDa:view acdc<Enter>f'
picture trade-off 100x30 'A:threshold 0.5<Enter>uA:threshold 0.25<Enter>u:view trade-off<Enter>f'
picture attention 100x30 '/a1.h6<Enter>:view attention<Enter>f'
picture circuit 100x36 'A:view circuit<Enter>f'
picture where 100x30 '/a0.h2<Enter>o/a0.h2<Enter>:view where<Enter>f'
picture picture 100x30 'A:view picture<Enter>f+++'
