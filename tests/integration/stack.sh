#!/usr/bin/env bash
# Proves deploy/stack: two stacks side by side, who may read and write what, outages, and a clean end after any start.
set -uo pipefail

CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
STACK=$CHECKOUT/deploy/stack
WORK=$(mktemp -d)
A=$WORK/first
B=$WORK/second
FAILED=0

# check NAME COMMAND...: one line of the report, by the command's exit code.
check() {
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

fails() { ! "$@"; }

# eventually COMMAND...: within 60 s.
eventually() {
    local deadline=$((SECONDS + 60))
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}

# processes_of DIR: prints what has DIR in its command line, its environment or its working directory. The needle comes
# from a file, or the search would find itself.
processes_of() {
    printf '%s' "$1" >"$WORK/needle"
    {
        grep -lasF -f "$WORK/needle" /proc/[0-9]*/cmdline /proc/[0-9]*/environ
        find /proc/[0-9]* -maxdepth 1 -name cwd -printf '%p %l\n' 2>/dev/null | grep -F -f "$WORK/needle"
    } | cut -d/ -f3 | sort -u
}

no_process_of() {
    local pids
    pids=$(processes_of "$1")
    [[ -z $pids ]] || { ps -o pid,args -p "${pids//$'\n'/,}"; return 1; }
}

# ---- Kafka's rules ---------------------------------------------------------------------------------------------------

# publish DIR PRINCIPAL TOPIC VALUE: succeeds once the broker has acknowledged.
publish() {
    printf 'key:%s\n' "$4" | kcat -F "$1/principals/$2.conf" -P -t "$3" -K: -X message.timeout.ms=20000
}

# values DIR PRINCIPAL TOPIC: prints what the topic holds.
values() { kcat -q -F "$1/principals/$2.conf" -C -e -o beginning -f '%s\n' -t "$3"; }

holds() { values "$1" "$2" "$3" | grep -xF -e "$4"; }

# holds_for_group DIR PRINCIPAL GROUP TOPIC VALUE
holds_for_group() {
    kcat -q -F "$1/principals/$2.conf" -c 1 -f '%s\n' -X auto.offset.reset=earliest -G "$3" "$4" | grep -xF -e "$5"
}

# is_refused COMMAND...: it fails, and because the broker refuses it.
is_refused() {
    "$@" >"$WORK/refusal" 2>&1
    cat "$WORK/refusal"
    grep -qi 'authorization failed' "$WORK/refusal"
}

test_rules() {
    check "the shop writes an input" publish "$A" shop shop.order.v1 from-the-shop
    check "the consumer reads it, in its group" \
        holds_for_group "$A" kundregister-consumer kundregister shop.order.v1 from-the-shop
    check "a carrier writes its own topic" publish "$A" carrier-posti carrier.posti.v1 from-posti
    check "the consumer reads that too" holds "$A" kundregister-consumer carrier.posti.v1 from-posti
    check "the consumer reads what is remembered of erasures" values "$A" kundregister-consumer register.erasure.v1
    check "the consumer reads the journal of commands" values "$A" kundregister-consumer register.command.v1
    check "the producer writes a disclosure" publish "$A" kundregister-producer disclosure.posti.v1 for-posti
    check "its carrier reads it" holds "$A" carrier-posti disclosure.posti.v1 for-posti
    check "its carrier reads it in a group" \
        holds_for_group "$A" carrier-posti carrier-posti-1 disclosure.posti.v1 for-posti
    check "the producer reads its positions" values "$A" kundregister-producer register.outbox-position.v1

    check "a carrier cannot read another's disclosures" is_refused values "$A" carrier-matkahuolto disclosure.posti.v1
    check "a carrier cannot write another's topic" is_refused publish "$A" carrier-matkahuolto carrier.posti.v1 x
    check "a carrier cannot read its own input" is_refused values "$A" carrier-posti carrier.posti.v1
    check "a carrier cannot read the shop's orders" is_refused values "$A" carrier-posti shop.order.v1
    check "a carrier cannot write to the shop's topics" is_refused publish "$A" carrier-posti privacy.request.v1 x
    check "the shop cannot write an output" is_refused publish "$A" shop disclosure.posti.v1 x
    check "the shop cannot write a carrier's topic" is_refused publish "$A" shop carrier.posti.v1 x
    check "the shop cannot read what is remembered of erasures" is_refused values "$A" shop register.erasure.v1
    check "the shop cannot read disclosures" is_refused values "$A" shop disclosure.posti.v1
    check "the consumer cannot write what is remembered" is_refused publish "$A" kundregister-consumer register.erasure.v1 x
    check "the consumer cannot write" is_refused publish "$A" kundregister-consumer register.dead-letter.v1 x
    check "the producer cannot read inputs" is_refused values "$A" kundregister-producer shop.order.v1
    check "the operator reads no topic" is_refused values "$A" kundregister-operator shop.order.v1
    check "a wrong password is refused" fails publish_with_wrong_password
}

publish_with_wrong_password() {
    sed 's/^sasl.password=.*/sasl.password=wrong/' "$A/principals/shop.conf" >"$WORK/wrong.conf"
    kcat -F "$WORK/wrong.conf" -L -m 5
}

# partitions DIR TOPIC
partitions() { kcat -F "$1/principals/admin.conf" -L -t "$2" | grep -c 'partition [0-9]*, leader 1'; }

has_partitions() { [[ $(partitions "$1" "$2") == "$3" ]]; }

takes_600_kib() {
    head -c 614400 /dev/zero | tr '\0' x |
        kcat -F "$A/principals/shop.conf" -P -t shop.return.v1 -X message.max.bytes=1000000
}

test_topics() {
    check "an input has three partitions" has_partitions "$A" shop.customer.v1 3
    check "--partitions is heeded" has_partitions "$B" shop.customer.v1 5
    check "the position topic has one" has_partitions "$B" register.outbox-position.v1 1
    check "the mail house has its topics" has_partitions "$A" disclosure.letterhouse.v1 3
    check "a record of 600 KiB is taken" takes_600_kib
}

# ---- PostgreSQL's roles ----------------------------------------------------------------------------------------------

# conninfo DIR SECTION ROLE: as the configuration file has it.
conninfo() {
    awk -v section="[$2]" -v role="$3" \
        '/^\[/ { here = $0 == section } here && $1 == role { sub(/^[^=]*= /, ""); print }' "$1/kundregister.ini"
}

# query CONNINFO SQL
query() { psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$1" -c "$2"; }

answers() { [[ $(query "$1" "$2") == "$3" ]]; }

# admin DIR CLUSTER: the superuser's, as the environment file has it.
admin() {
    (
        # shellcheck disable=SC1091
        source "$1/env"
        case $2 in
            register) echo "$REGISTER_CONNINFO" ;;
            vault) echo "$VAULT_CONNINFO" ;;
        esac
    )
}

roles_connect() {
    local cluster role
    for cluster in register vault; do
        for role in owner consumer producer operator clerk auditor; do
            answers "$(conninfo "$A" "$cluster" "$role")" "SELECT current_user || ' ' || current_database()" \
                "kr_$role $cluster" || return 1
        done
    done
}

test_roles() {
    local register foreign superusers="SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolsuper"
    local identifier="SELECT system_identifier FROM pg_control_system()"
    local stats="SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')"
    register=$(conninfo "$A" register consumer)
    foreign=${register/user=kr_consumer/user=kr_owner}
    check "each role connects to each cluster by its password file" roles_connect
    check "only the stack's own superuser is one" answers "$(admin "$A" register)" "$superusers" postgres
    check "a role reaches no other database" fails query "${register/dbname=register/dbname=postgres}" "SELECT 1"
    check "a role with another's password is refused" fails query "$foreign" "SELECT 1"
    check "the owner may create tables" query "$(conninfo "$A" register owner)" "CREATE TABLE t (); DROP TABLE t"
    check "the consumer may not" fails query "$register" "CREATE TABLE t ()"
    check "the producer may see who holds the horizon" answers "$(conninfo "$A" register producer)" "$stats" t
    check "but not in the vault" answers "$(conninfo "$A" vault producer)" "$stats" f
    check "the clusters are distinct" fails answers "$(admin "$A" vault)" "$identifier" \
        "$(query "$(admin "$A" register)" "$identifier")"
    check "roles.sql may run again" psql -X -q -v ON_ERROR_STOP=1 -v database=register -f "$CHECKOUT/schema/roles.sql" \
        -d "$(admin "$A" register | sed 's/dbname=register/dbname=postgres/')"
    check "an error's detail stays out of the log" detail_is_not_logged
}

detail_is_not_logged() {
    query "$(conninfo "$A" register owner)" \
        "CREATE TABLE t (a text PRIMARY KEY); INSERT INTO t VALUES ('MARKER'), ('MARKER')"
    grep 'duplicate key value' "$A/log/register.log" && fails grep -r MARKER "$A/log"
}

# ---- outages ---------------------------------------------------------------------------------------------------------

test_outages() {
    local part
    for part in register vault; do
        check "$part stops as in a crash" "$STACK" "stop-$part" "$A" --immediate
        check "status says so" fails "$STACK" status "$A"
        check "$part starts again" "$STACK" "start-$part" "$A"
        check "and answers" answers "$(admin "$A" "$part")" "SELECT 1" 1
    done
    check "kafka stops" "$STACK" stop-kafka "$A"
    check "kafka starts again" "$STACK" start-kafka "$A"
    check "kafka restarts after a crash" "$STACK" restart-kafka "$A" --immediate
    check "and kept its records" holds "$A" carrier-posti disclosure.posti.v1 for-posti
    check "and its rules" is_refused publish "$A" shop disclosure.posti.v1 x
    check "status is well" "$STACK" status "$A"
}

# ---- ends ------------------------------------------------------------------------------------------------------------

# killed_when NAME CONDITION...: `up` is killed once the condition holds; `down` leaves neither process nor file.
killed_when() {
    local name=$1 dir=$WORK/killed up
    shift
    "$STACK" up "$dir" --no-migrate >"$WORK/up" 2>&1 &
    up=$!
    check "up gets as far as: $name" eventually "$@" "$dir"
    kill -9 "$up"
    wait "$up" 2>/dev/null
    check "killed there, down ends it" "$STACK" down "$dir"
    check "and leaves no process" no_process_of "$dir"
    check "and no file" test ! -e "$dir"
}

begun() { [[ -e $1/stack.conf ]]; }
cluster_in_the_making() { [[ -e $1/register/PG_VERSION ]]; }
cluster_running() { [[ -e $1/vault/postmaster.pid ]]; }
kafka_formatted() { [[ -e $1/kafka/data/meta.properties ]]; }
kafka_running() { cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' | grep -q "kafka.Kafka $1/"; }

test_kills() {
    local up dir=$WORK/interrupted
    killed_when "its directory" begun
    killed_when "initdb" cluster_in_the_making
    killed_when "a running cluster" cluster_running
    killed_when "a formatted log" kafka_formatted
    killed_when "a running broker" kafka_running

    "$STACK" up "$dir" --no-migrate >"$WORK/up" 2>&1 &
    up=$!
    check "up gets as far as: a running cluster" eventually cluster_running "$dir"
    kill -TERM "$up"
    check "terminated, it fails" fails wait "$up"
    check "and ends its processes itself" no_process_of "$dir"
    check "and leaves its logs" test -e "$dir/log/register.log"
    check "until down" "$STACK" down "$dir"
    check "which may be said twice" "$STACK" down "$dir"
}

test_ends() {
    local before
    check "a second stack in the same directory is refused" fails "$STACK" up "$A" --no-migrate
    check "an unknown option is refused" fails "$STACK" up "$WORK/none" --no-such-option
    check "and makes nothing" test ! -e "$WORK/none"
    check "down --keep-data stops the second" "$STACK" down "$B" --keep-data
    check "it has no process left" no_process_of "$B"
    check "start brings it back" "$STACK" start "$B"
    check "with its topics" has_partitions "$B" shop.customer.v1 5
    touch "$B/not-ours"
    check "down ends the second" "$STACK" down "$B"
    check "it has no process left" no_process_of "$B"
    check "what the stack did not make is still there" test "$(ls -A "$B")" == not-ours
    check "the first still runs" "$STACK" status "$A"
    check "down ends the first" "$STACK" down "$A"
    check "it has no process left" no_process_of "$A"
    check "nor its directory" test ! -e "$A"
}

# An ordinary user has a cache of his own; here it is filled by copying, to spare the download.
test_ordinary_user() {
    local cache=${XDG_CACHE_HOME:-$HOME/.cache}/kundregister dir=$WORK/ordinary
    local as=(setpriv --reuid=nobody --regid=nogroup --clear-groups env -u HOME "XDG_CACHE_HOME=$WORK/cache")
    if ((EUID != 0)); then
        echo "ok - as an ordinary user (this whole run is one) # SKIP"
        return
    fi
    if ! setpriv --reuid=nobody --regid=nogroup --clear-groups test -r "$STACK"; then
        echo "ok - as an ordinary user (nobody cannot read this checkout) # SKIP"
        return
    fi
    mkdir "$WORK/cache" "$dir"
    cp -a "$cache" "$WORK/cache"
    chown -R nobody "$WORK/cache" "$dir"
    check "an ordinary user brings a stack up" "${as[@]}" "$STACK" up "$dir" --no-migrate
    check "its servers run as that user" test "$(stat -c %U "$dir/register")" == nobody
    check "and answer" answers "$(conninfo "$dir" vault owner)" "SELECT 1" 1
    check "an ordinary user brings it down" "${as[@]}" "$STACK" down "$dir"
    check "no process of it is left" no_process_of "$dir"
}

# A caller that reads the output through a pipe gets its end, though the servers go on.
up_through_a_pipe() { "$STACK" up "$@" --no-migrate 7>&1 | cat; }

main() {
    local first second
    # PostgreSQL's user must pass through, and when root runs this it is another.
    chmod go+x "$WORK"
    trap '"$STACK" down "$A"; "$STACK" down "$B"; rm -rf "$WORK"' EXIT
    "$CHECKOUT/deploy/install" run || exit 1
    up_through_a_pipe "$A" >"$WORK/up-first" 2>&1 &
    first=$!
    up_through_a_pipe "$B" --partitions 5 >"$WORK/up-second" 2>&1 &
    second=$!
    check "a first stack comes up" wait "$first"
    check "beside it a second" wait "$second"
    sed 's/^/# /' "$WORK/up-first" "$WORK/up-second"
    ((FAILED == 0)) || exit 1
    test_topics
    test_rules
    test_roles
    test_outages
    test_ends
    test_kills
    test_ordinary_user
    "$STACK" up "$A" --no-migrate | sed -n 's/^ready/# warm and alone: ready/p'
    return "$FAILED"
}

main
