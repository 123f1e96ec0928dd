"""What Kafka refuses for good, and keys that are gone: nasty 18 and 28."""
import subprocess

from relay_support import main, until, TOPICS

ACL_COMMAND = "org.apache.kafka.tools.AclCommand"


def denied_topic(stack):
    """nasty 18: one topic denied: the others flow, an alarm; allowed again: it catches up in order"""
    after = stack.last_seq()
    rule = ["--deny-principal", "User:kundregister-producer", "--operation", "Write", "--topic", TOPICS[1]]
    stack.kafka_java(ACL_COMMAND, "--add", *rule)
    try:
        relay = stack.relay()
        relay.await_log("relay_started")
        stack.add_rows(60)
        others = [TOPICS[0], TOPICS[2]]
        relay.await_log("topic_stalled")
        denied = {line for line in stack.sql(f"SELECT output_id FROM outbox WHERE seq > {after} AND topic = '{TOPICS[1]}'").split()}
        until(lambda: stack.judge(after, topics=others, excused=denied) is None, 15, "the other topics' rows")
        assert not any(identity in denied for _, _, identity in stack.outputs(TOPICS[1]))
    finally:
        stack.kafka_java(ACL_COMMAND, "--remove", "--force", *rule)
    stack.add_rows(30)
    until(lambda: stack.judge(after) is None, 30, "all rows in Kafka")
    assert "topic_flows" in relay.log()


def ends_when_asked(stack):
    """--until-caught-up ends beside a relay at work, and with exit code 1 when only a denied topic is left"""
    relay = stack.relay()
    relay.await_log("relay_started")
    stack.add_rows(60)
    after = stack.last_seq()
    stack.publish_all()  # as standby
    stack.expect_whole(after - 60)
    relay.kill(15)
    relay.wait()
    rule = ["--deny-principal", "User:kundregister-producer", "--operation", "Write", "--topic", TOPICS[1]]
    stack.kafka_java(ACL_COMMAND, "--add", *rule)
    try:
        stack.add_rows(30)
        ended = stack.relay("--until-caught-up")
        assert ended.wait() == 1 and f"Kafka takes nothing for {TOPICS[1]}" in ended.log(), ended.log()[-800:]
    finally:
        stack.kafka_java(ACL_COMMAND, "--remove", "--force", *rule)
    stack.publish_all()
    stack.expect_whole(after)


def too_large_row(stack):
    """nasty 18: one row too large: recorded unpublishable, its neighbours flow"""
    after = stack.last_seq()
    stack.add_rows(20)
    stack.add_rows(1, topics=[TOPICS[0]], body_bytes=3_000_000)
    stack.add_rows(20)
    stack.publish_all()
    large = stack.sql(f"SELECT output_id FROM outbox WHERE seq > {after} AND length(body) > 1000000")
    assert stack.sql(f"SELECT state FROM publication WHERE output_id = '{large}'") == "unpublishable"
    stack.expect_whole(after, excused={large})


def sealed_rows(stack):
    """nasty 28: a moved or damaged body is unpublishable, one whose key is gone withheld, the others open and flow"""
    after = stack.last_seq()
    stack.fill("fill", "20", "20", ",".join(TOPICS[:2]), f"sealed{after}-")
    ids = stack.sql(f"SELECT output_id FROM outbox WHERE seq > {after} ORDER BY seq").split()
    stack.sql(f"""UPDATE outbox o SET body = (SELECT body FROM outbox p WHERE p.seq = o.seq + 1) WHERE seq = {after} + 3;
        UPDATE outbox SET body = set_byte(body, length(body) - 1, 255 - get_byte(body, length(body) - 1))
            WHERE seq = {after} + 6;
        UPDATE outbox SET person = 'nobody' WHERE seq = {after} + 9""")
    relay = stack.publish_all()
    states = dict(line.split("|") for line in stack.sql(
        f"SELECT output_id, state FROM publication WHERE seq > {after}").splitlines())
    assert states == {ids[2]: "unpublishable", ids[5]: "unpublishable", ids[8]: "withheld"}, states
    stack.expect_whole(after, excused=set(states))
    assert "Planted street" not in relay.log() and f"sealed{after}" not in relay.log()


def dropped_partitions(stack):
    """published partitions of the outbox are dropped, a start afterwards still finds its position"""
    stack.add_rows(6)
    stack.publish_all()
    after = stack.last_seq()
    stack.sql("SELECT setval('outbox_seq', (last_value / 1048576 + 1) * 1048576 + 5) FROM outbox_seq; SELECT outbox_extend()")
    stack.add_rows(1)  # the relay's floor passes the border with it
    relay = stack.relay()
    relay.await_log("outbox_dropped")
    relay.kill(15)
    relay.wait()
    assert stack.sql("SELECT count(*) FROM outbox_anchor") != "0"
    stack.add_rows(6)
    stack.publish_all()
    stack.expect_whole(after)


def open_row_keeps_its_partition(stack):
    """a row that its writer has not committed yet is not dropped with its partition, and goes out in the end"""
    stack.add_rows(3)
    stack.publish_all()
    stack.sql("SELECT setval('outbox_seq', (last_value / 1048576 + 1) * 1048576 - 20) FROM outbox_seq; SELECT outbox_extend()")
    with subprocess.Popen(stack.psql_command("-f", "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        writer.stdin.write(f"""BEGIN; SELECT pg_current_xact_id();
            INSERT INTO outbox VALUES (nextval('outbox_seq'), uuid_send(gen_random_uuid()), '{TOPICS[0]}', 'key-0', 'register.test',
                gen_random_uuid(), now(), '', -1, 1, '{{}}') RETURNING seq, output_id;\n""")
        writer.stdin.flush()
        writer.stdout.readline()
        open_seq, open_id = writer.stdout.readline().strip().split("|")
        open_seq = int(open_seq)
        stack.sql("SELECT setval('outbox_seq', last_value + 40) FROM outbox_seq")
        stack.add_rows(3)  # beyond the border
        relay = stack.relay()
        relay.await_log("relay_started")
        with subprocess.Popen(stack.psql_command("-c", "SELECT pg_sleep(0), outbox_drop_published()"), stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as drop:  # may wait for the writer, and must not go through then
            until(lambda: drop.poll() is not None or stack.sql(
                """SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%outbox_drop%' AND wait_event_type = 'Lock'""") != "0",
                5, "the drop to wait or end")
            writer.stdin.write("COMMIT;\n")
            writer.stdin.close()
            assert writer.wait() == 0
    # Once it is out, the relay itself may drop its partition before anybody looks: what counts is that it goes out.
    until(lambda: open_id in [identity for _, _, identity in stack.outputs(TOPICS[0])], 15, "the open row to go out")
    until(lambda: stack.judge(open_seq - 1) is None, 15, "the open row and those behind it")


if __name__ == "__main__":
    main([too_large_row, sealed_rows, denied_topic, ends_when_asked, dropped_partitions, open_row_keeps_its_partition])
