# The private Kafka of deploy/stack: who its principals are, which topics there are, who may do what, how it starts.
# Sourced by deploy/stack, whose variables and functions it uses.

# name_topics_and_principals: from the policy's recipients.
name_topics_and_principals() {
    local recipient
    INPUTS=(shop.customer.v1 shop.order.v1 shop.shipment.v1 shop.return.v1 shop.consent.v1 privacy.request.v1)
    OUTPUTS=(register.anonymization.v1 register.marketing-permission.v1 register.request.v1 register.erasure.v1
        register.command.v1 register.dead-letter.v1 register.outbox-position.v1)
    PRINCIPALS=(admin kundregister-consumer kundregister-producer kundregister-operator shop)
    for recipient in "${RECIPIENTS[@]}"; do
        INPUTS+=("carrier.$recipient.v1")
        OUTPUTS+=("disclosure.$recipient.v1")
        PRINCIPALS+=("carrier-$recipient")
    done
}

# topic_settings TOPIC: prints partitions and settings. An input takes more than the 512 KiB that an event may have, so
# that what is too large becomes a dead letter rather than the sender's private trouble.
topic_settings() {
    local day_ms=86400000
    case $1 in
        shop.* | privacy.* | carrier.*) say "$PARTITIONS retention.ms=$((30 * day_ms)) max.message.bytes=1048576" ;;
        disclosure.*) say "$PARTITIONS retention.ms=$((14 * day_ms))" ;;
        register.outbox-position.v1) say "1 cleanup.policy=compact" ;;
        register.erasure.v1 | register.marketing-permission.v1) say "$PARTITIONS cleanup.policy=compact" ;;
        register.command.v1) say "$PARTITIONS retention.ms=-1 retention.bytes=-1" ;;
        *) say "$PARTITIONS retention.ms=$((30 * day_ms))" ;;
    esac
}

# allow_client PRINCIPAL: groups and transactions under its own name.
allow_client() {
    say "allow $1 read group prefixed $1"
    say "allow $1 write transactional_id prefixed $1"
}

allow_programs() {
    local topic
    say "allow kundregister-consumer read group literal kundregister"
    for topic in "${INPUTS[@]}"; do
        say "allow kundregister-consumer read topic literal $topic"
    done
    say "allow kundregister-consumer read topic literal register.command.v1"
    say "allow kundregister-consumer read topic literal register.erasure.v1"
    say "allow kundregister-producer write transactional_id prefixed kundregister"
    say "allow kundregister-producer read group prefixed kundregister-producer"
    say "allow kundregister-producer idempotent_write cluster literal kafka-cluster"
    for topic in "${OUTPUTS[@]}"; do
        say "allow kundregister-producer write topic literal $topic"
        say "allow kundregister-producer read topic literal $topic"
    done
    say "allow kundregister-operator describe topic literal *"
    say "allow kundregister-operator describe_configs topic literal *"
    say "allow kundregister-operator describe group literal *"
    say "allow kundregister-operator describe transactional_id literal *"
    say "allow kundregister-operator describe cluster literal kafka-cluster"
    say "allow kundregister-operator describe_configs cluster literal kafka-cluster"
}

allow_shop_and_carriers() {
    local topic recipient
    allow_client shop
    for topic in "${INPUTS[@]}"; do
        [[ $topic == carrier.* ]] || say "allow shop write topic literal $topic"
    done
    for topic in anonymization marketing-permission request dead-letter; do
        say "allow shop read topic literal register.$topic.v1"
    done
    for recipient in "${RECIPIENTS[@]}"; do
        allow_client "carrier-$recipient"
        say "allow carrier-$recipient write topic literal carrier.$recipient.v1"
        say "allow carrier-$recipient read topic literal disclosure.$recipient.v1"
    done
}

write_kafka_provision() {
    local topic
    {
        for topic in "${INPUTS[@]}" "${OUTPUTS[@]}"; do
            say "topic $topic $(topic_settings "$topic")"
        done
        allow_programs
        allow_shop_and_carriers
    } >"$DIR/kafka/provision"
}

write_kafka_configuration() {
    local principal jaas
    jaas="org.apache.kafka.common.security.plain.PlainLoginModule required username=\"admin\""
    jaas+=" password=\"$(<"$DIR/secrets/kafka-admin")\""
    for principal in "${PRINCIPALS[@]}"; do
        jaas+=" user_$principal=\"$(<"$DIR/secrets/kafka-$principal")\""
    done
    {
        cat "$HERE/kafka/server.properties"
        printf '\nlisteners=CLIENT://127.0.0.1:%s,CONTROLLER://127.0.0.1:%s\n' \
            "$(value kafka_port)" "$(value controller_port)"
        printf 'controller.quorum.bootstrap.servers=127.0.0.1:%s\n' "$(value controller_port)"
        printf 'log.dirs=%s/kafka/data\n' "$DIR"
        printf 'listener.name.%s.plain.sasl.jaas.config=%s;\n' client "$jaas" controller "$jaas"
    } >"$DIR/secrets/kafka-server.properties"
}

# java_command HEAP_MB: sets JAVA. Temporary files stay in DIR.
java_command() {
    mapfile -t JAVA < <("$HERE/install" --java)
    JAVA+=("-Xmx$1m" "-Djava.io.tmpdir=$DIR/kafka/tmp")
}

run_java() {
    java_command 128
    "${JAVA[@]}" "$@" >>"$DIR/log/kafka.log" 2>&1 </dev/null || die_with_log kafka "failed at: $1"
}

# format_kafka: the cluster id is 16 random bytes; a leading "-" would read as an option.
format_kafka() {
    local id
    id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_')
    id=k${id:1:21}
    run_java kafka.tools.StorageTool format --standalone -t "$id" -c "$DIR/secrets/kafka-server.properties"
}

# kafka_answers: it lists its topics, and each partition there has a leader.
kafka_answers() {
    local listed
    listed=$(kcat -F "$DIR/principals/admin.conf" -X reconnect.backoff.max.ms=100 -L -m 2 2>/dev/null) &&
        [[ $listed != *"eader not available"* ]]
}

start_kafka() {
    java_command 384
    daemon kafka "${JAVA[@]}" kafka.Kafka "$DIR/secrets/kafka-server.properties"
    await kafka "$DAEMON_PID" kafka_answers
}

bring_up_kafka() {
    local since=$EPOCHREALTIME
    write_kafka_configuration
    write_kafka_provision
    format_kafka
    start_kafka
    run_java Provision "$DIR/principals/admin.conf" "$DIR/kafka/provision"
    say "  kafka: 127.0.0.1:$(value kafka_port) ($(seconds_since "$since") s)"
}
