"""The relay's horizon: nasty 1, 2 and 3."""
import random
import subprocess
import time

from relay_support import main, until, TOPICS

WRITERS, TRANSACTIONS = 8, 40


def write_with_sleeps(stack):
    """Starts the writers: transactions that draw their numbers and then take their time, some of them rolled back."""
    writers = []
    for writer in range(WRITERS):
        script = []
        for number in range(TRANSACTIONS):
            # As the consumer does: the transaction has its id and its person before it draws a number.
            script.append(f"""BEGIN; SELECT pg_current_xact_id();
                SELECT pg_advisory_xact_lock({random.randrange(4)}, 1);
                INSERT INTO outbox (seq, row_id, topic, key, type, output_id, decided, person, generation, category, body)
                SELECT nextval('outbox_seq'), uuid_send(gen_random_uuid()), '{random.choice(TOPICS)}', 'w{writer}',
                       'register.test', gen_random_uuid(), now(), '', -1, 1, '{{}}' FROM generate_series(1, 3);
                SELECT pg_sleep({random.random() * 0.05});
                {'ROLLBACK' if number % 10 == 9 else 'COMMIT'};""")
        process = subprocess.Popen(stack.psql_command("-f", "-"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        process.stdin.write("\n".join(script))
        process.stdin.close()
        writers.append(process)
    return writers


def nothing_lost_under_writers(stack):
    """nasty 1: 8 writers with random sleeps: 0 missing, 0 reordered"""
    after = stack.last_seq()
    relay = stack.relay()
    relay.await_log("relay_started")
    for writer in write_with_sleeps(stack):
        writer.wait()
    relay.kill(15)
    assert relay.wait() == 0
    stack.publish_all()
    stack.expect_whole(after)


def by_number_whatever_the_plan(stack):
    """rows that lie in the outbox in another order than their numbers go out by number, whatever plan the database makes"""
    after = stack.last_seq()
    stack.sql("""ALTER ROLE kr_producer SET enable_indexscan = off; ALTER ROLE kr_producer SET enable_bitmapscan = off;
        ALTER ROLE kr_producer SET enable_seqscan = on""")
    try:
        stack.sql(f"""BEGIN; SELECT pg_current_xact_id();
            WITH numbered AS MATERIALIZED (SELECT nextval('outbox_seq') AS seq, n FROM generate_series(1, 60) n)
            INSERT INTO outbox (seq, row_id, topic, key, type, output_id, decided, person, generation, category, body)
            SELECT seq, uuid_send(gen_random_uuid()), '{TOPICS[0]}', 'one', 'register.test', gen_random_uuid(), now(), '', -1, 1, '{{}}'
            FROM numbered ORDER BY seq DESC; COMMIT""")
        stack.publish_all(KUNDREGISTER_PRODUCER_BATCH_OUTPUTS="7")
    finally:
        stack.sql("""ALTER ROLE kr_producer RESET enable_indexscan; ALTER ROLE kr_producer RESET enable_bitmapscan;
            ALTER ROLE kr_producer SET enable_seqscan = off""")  # as schema/roles.sql has it
    stack.expect_whole(after)


def crash_after_aborted_transactions(stack):
    """nasty 2: PostgreSQL stopped at once after aborted transactions: new rows are published"""
    after = stack.last_seq()
    stack.add_rows(10)
    relay = stack.relay()
    relay.await_log("relay_started")
    for _ in range(30):
        stack.sql("BEGIN; SELECT nextval('outbox_seq') FROM generate_series(1, 5); ROLLBACK")
    time.sleep(0.1)
    stack.stack("restart-register", "--immediate")
    stack.add_rows(10)
    until(lambda: stack.judge(after) is None, 25, "all rows in Kafka")
    assert relay.process.poll() is None
    assert "register_away" in relay.log()


def long_transaction_is_named(stack):
    """nasty 3: a write transaction open elsewhere stalls the relay, its log names the pid, nothing is lost"""
    after = stack.last_seq()
    relay = stack.relay(KUNDREGISTER_PRODUCER_HORIZON_ALARM_SECONDS="1")
    relay.await_log("relay_started")
    holder = subprocess.Popen(stack.psql_command("-c", "SELECT pg_current_xact_id(), pg_backend_pid(), pg_sleep(4)"),
                              stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    stack.add_rows(20)
    relay.await_log("horizon_held")
    assert stack.judge(after) is not None, "it published past a transaction that is open"
    pid = holder.communicate()[0].split("|")[1]
    assert f"pid {pid} " in relay.log()
    until(lambda: stack.judge(after) is None, 10, "all rows in Kafka")


if __name__ == "__main__":
    main([nothing_lost_under_writers, by_number_whatever_the_plan, crash_after_aborted_transactions, long_transaction_is_named])
