#!/usr/bin/env bash
# Proves deploy/stack: two stacks side by side, who may read and write what, outages, and a clean end after any start.
set -uo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
STACK=${HERE%/tests/integration}/deploy/stack
WORK=$(mktemp -d)
A=$WORK/a
B=$WORK/b
FAILED=0

# ok NAME COMMAND...: one line of the report, by the command's exit code.
ok() {
    local name=$1
    shift
    if "$@" >"$WORK/output" 2>&1; then
        printf 'ok - %s\n' "$name"
    else
        printf 'not ok - %s\n' "$name"
        sed 's/^/# /' "$WORK/output"
        FAILED=1
    fi
}

not() { ! "$@"; }

# processes_of DIR: prints the pids that have to do with it, looked for otherwise than the stack itself does.
processes_of() {
    local process
    for process in /proc/[0-9]*; do
        if [[ ${process#/proc/} != "$$" && $(readlink "$process/cwd" 2>/dev/null) == "$1"/* ]] ||
            tr '\0' ' ' <"$process/cmdline" 2>/dev/null | grep -qF -e "$1"; then
            [[ ${process#/proc/} == "$BASHPID" ]] || ps -o pid=,args= -p "${process#/proc/}"
        fi
    done 2>/dev/null
}

no_process_of() { ! processes_of "$1" | grep .; }

# send DIR PRINCIPAL TOPIC VALUE: succeeds once the broker has acknowledged the record.
send() {
    local kcat=(kcat -F "$1/principals/$2.conf" -P -t "$3" -X message.timeout.ms=10000)
    printf 'key:%s\n' "$4" | "${kcat[@]}" -K: 2>&1 | tee "$WORK/kcat" | not grep -E 'ERROR|Delivery failed'
}

# receive DIR PRINCIPAL TOPIC: prints the values there are.
receive() { kcat -q -F "$1/principals/$2.conf" -C -e -o beginning -f '%s\n' -t "$3" 2>&1; }

receives() { receive "$1" "$2" "$3" | grep -qxF -e "$4"; }

is_refused() {
    "${@}" >"$WORK/refusal" 2>&1
    cat "$WORK/refusal" "$WORK/kcat" 2>/dev/null | grep -qi 'authorization failed'
}

sql() { /usr/lib/postgresql/15/bin/psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$1" -c "$2"; }

# conninfo DIR SECTION ROLE: as the configuration file has it.
conninfo() { awk -v section="[$2]" -v role="$3" '$0 ~ /^\[/ { here = $0 == section } here && $1 == role { sub(/^[^=]*= /, ""); print }' "$1/kundregister.ini"; }

