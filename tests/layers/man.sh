#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The man page is well-formed and names every command, every option of every
# command's --help, and, where the explorer tells its keys, every action.
#
# usage: man.sh PAGE EDGEWISE
set -u
page=$1
edgewise=$2

failed=0
bad() {
    echo "$*" >&2
    failed=1
}

# mandoc and groff know the same mdoc; either will do
if command -v mandoc >/dev/null; then
    notes=$(mandoc -Tlint -Wwarning "$page" 2>&1) || bad "$notes"
elif command -v groff >/dev/null; then
    notes=$(groff -mdoc -ww -z "$page" 2>&1)
    [ -z "$notes" ] || bad "$notes"
else
    echo 'skipped: neither mandoc nor groff is there'
    exit 77
fi

overview=$("$edgewise" --help) || bad '--help failed'
commands=$(printf '%s\n' "$overview" |
    sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
[ -n "$commands" ] || bad 'no commands in --help'
for command in $commands; do
    grep -qE "^\.(It|Ic|Ss)( .*)? ?(Cm |Ic |Ss )?$command( |\$)" "$page" ||
        bad "the man page lacks the command $command"
done
for command in $commands explore; do
    for option in $("$edgewise" --help "$command" |
        grep -oE '^ +(-[a-z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+'); do
        name=${option#--}
        escaped=$(printf '%s' "$name" | sed 's/-/\\\\?-/g')
        grep -qE "Fl Fl $escaped( |\$)" "$page" ||
            bad "the man page lacks $option of $command"
    done
done
exit "$failed"
