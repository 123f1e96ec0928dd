"""Starts that the relay refuses, and the way out of each: nasty 15, 16 and 17."""
import signal

from relay_support import main, until, POSITION_TOPIC, TOPICS

TOPIC_COMMAND = "org.apache.kafka.tools.TopicCommand"


def expect_refusal(stack, words):
    # A foreign transaction is waited for as long as some of its own may last: here 6 s.
    relay = stack.relay("--until-caught-up", KUNDREGISTER_PRODUCER_TRANSACTION_TIMEOUT_MS="1000")
    code = relay.wait()
    assert code == 78, f"exit code {code}: {relay.log()[-600:]}"
    assert words in relay.log(), f"the refusal does not say {words!r}: {relay.log()[-600:]}"
    return relay


def reconcile(stack):
    relay = stack.relay("reconcile", "--json")
    code = relay.wait()
    assert code == 0, f"reconcile: exit code {code}: {relay.log()[-600:]}"
    return relay


def restored_register(stack):
    """nasty 16, relay: a register restored to before some rows, the consumer first: refused; reconciled: no output twice"""
    after = stack.last_seq()
    stack.add_rows(30)
    stack.publish_all()
    split = after + 15
    stack.sql(f"""CREATE TABLE relay_test_kept AS SELECT * FROM outbox WHERE seq > {split};
        DELETE FROM outbox WHERE seq > {split};
        DELETE FROM mirror; INSERT INTO mirror SELECT DISTINCT ON (topic) topic, seq, row_id, now() FROM outbox
            WHERE seq > {after} ORDER BY topic, seq DESC;
        UPDATE outbox_floor SET seq = least(seq, {split}); SELECT setval('outbox_seq', {split})""")
    # The consumer decides again what the backup lacks: same output ids, other rows, past the old number.
    again = """INSERT INTO outbox SELECT nextval('outbox_seq'), uuid_send(gen_random_uuid()), topic, key, type, output_id,
        decided, person, generation, category, body, headers FROM relay_test_kept WHERE seq {} ORDER BY seq"""
    stack.add_rows(3)
    stack.sql(again.format(f"<= {split + 8}"))
    stack.add_rows(20)
    expect_refusal(stack, "reconcile")
    reconcile(stack)
    stack.sql(again.format(f"> {split + 8}") + "; DROP TABLE relay_test_kept")
    stack.publish_all()
    # What was published before and after stands in two orders: only that each is there once is promised.
    stack.expect_whole(after, in_order=False)
    assert stack.sql("SELECT count(*) FROM audit WHERE action = 'producer reconcile'") != "0"


def behind_the_mirror(stack):
    """a position in Kafka behind the mirror: refused; reconciled: each output once"""
    after = stack.last_seq()
    stack.add_rows(12)
    stack.publish_all()
    seq, row_id = stack.sql(f"SELECT seq, encode(row_id, 'hex') FROM outbox WHERE seq > {after} AND topic = '{TOPICS[0]}' "
                            "ORDER BY seq LIMIT 1").split("|")
    stack.kcat("-P", "-t", POSITION_TOPIC, "-p", "0", "-K", "\t", text=f'{TOPICS[0]}\t{{"row_id":"{row_id}","seq":{seq}}}\n')
    stack.add_rows(12)
    expect_refusal(stack, "Kafka has lost data")
    reconcile(stack)
    stack.publish_all()
    stack.expect_whole(after)


def foreign_transaction(stack):
    """nasty 15: a foreign open transaction on the position: refused after a while, waited for, never a stale position"""
    after = stack.last_seq()
    stack.add_rows(12)
    foreign = stack.relay("--until-caught-up", KUNDREGISTER_STOP_AT="relay.after_flush",
                          KUNDREGISTER_PRODUCER_TRANSACTIONAL_ID="kundregister-foreign",
                          KUNDREGISTER_PRODUCER_TRANSACTION_TIMEOUT_MS="60000")
    until(lambda: open(f"/proc/{foreign.process.pid}/stat", encoding="utf-8").read().split()[2] == "T", 20, "the stop")
    stack.sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
    expect_refusal(stack, "foreign transaction")
    relay = stack.relay("--until-caught-up")
    relay.await_log("foreign_transaction")
    assert relay.process.poll() is None
    foreign.process.send_signal(signal.SIGCONT)
    assert relay.wait() == 0, relay.log()[-600:]
    foreign.kill()
    stack.expect_whole(after)


def kafka_lost(stack):
    """nasty 17, relay: position topic and an output topic lost: refused; reconciled: what Kafka lost comes again"""
    after = stack.last_seq()
    stack.add_rows(12)
    stack.publish_all()
    stack.kafka_java(TOPIC_COMMAND, "--delete", "--topic", f"{POSITION_TOPIC}|{TOPICS[2]}")
    stack.add_rows(6)
    expect_refusal(stack, "reconcile")
    stack.kafka_java(TOPIC_COMMAND, "--create", "--topic", POSITION_TOPIC, "--partitions", "1", "--config",
                     "cleanup.policy=compact")
    stack.kafka_java(TOPIC_COMMAND, "--create", "--topic", TOPICS[2], "--partitions", "3")
    expect_refusal(stack, "Kafka has lost data")
    reconcile(stack)
    stack.publish_all()
    stack.expect_whole(after)


if __name__ == "__main__":
    main([behind_the_mirror, foreign_transaction, restored_register, kafka_lost])
