"""The relay killed, stopped and cut off from its broker: nasty 12, 13, 14 and the relay's part of 28."""
import os
import signal
import subprocess
import urllib.error
import urllib.request

from relay_support import main, until

# Places that an undisturbed run does not come by.
UNREACHED = {"relay.after_abort", "relay.before_drop", "relay.after_drop"}


def killed_everywhere(stack):
    """nasty 12: kill -9 at every labelled point: each output once, per key in order"""
    labels = subprocess.run([os.path.join(stack.bins, "kundregister-producer"), "--list-kill-points"], capture_output=True,
                            text=True, check=True).stdout.split()
    assert "relay.after_commit" in labels
    after = stack.last_seq()
    for label in labels:
        if label in UNREACHED:
            continue
        stack.add_rows(30)
        relay = stack.relay("--until-caught-up", KUNDREGISTER_KILL_AT=label, KUNDREGISTER_PRODUCER_BATCH_OUTPUTS="10")
        code = relay.wait()
        # The end of a transaction may be quicker than the blow.
        assert code == -signal.SIGKILL or (label == "relay.inside_commit" and code == 0), f"{label}: exit code {code}"
    stack.publish_all()
    stack.expect_whole(after)


def killed_at_the_second_batch(stack):
    """nasty 28, relay: kill -9 in the second transaction's commit: each output once"""
    after = stack.last_seq()
    stack.add_rows(60)
    for label in ("relay.after_sends:2", "relay.after_commit:2", "relay.inside_commit:1"):
        stack.relay("--until-caught-up", KUNDREGISTER_KILL_AT=label, KUNDREGISTER_PRODUCER_BATCH_OUTPUTS="10").wait()
    stack.publish_all()
    stack.expect_whole(after)


def zombie_is_fenced(stack):
    """nasty 14: a relay stopped before its commit goes on after its successor began: no output twice"""
    after = stack.last_seq()
    for label in ("relay.before_commit", "relay.after_sends"):
        stack.add_rows(40)
        zombie = stack.relay(KUNDREGISTER_STOP_AT=label)
        until(lambda: open(f"/proc/{zombie.process.pid}/stat", encoding="utf-8").read().split()[2] == "T", 20, "the stop")
        stack.sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
        stack.publish_all()
        zombie.process.send_signal(signal.SIGCONT)
        until(lambda: "relay_again" in zombie.log() or "relay_fenced" in zombie.log(), 20, "the zombie's end of session")
        stack.expect_whole(after)
        zombie.kill(15)
        assert zombie.wait() == 0


def broker_killed_inside_commit(stack):
    """nasty 13: the broker killed while transactions end: each output once, the relay stays alive"""
    after = stack.last_seq()
    relay = stack.relay(KUNDREGISTER_PRODUCER_BATCH_OUTPUTS="20")
    relay.await_log("relay_started")
    stack.add_rows(2000)
    stack.stack("stop-kafka", "--immediate")
    stack.add_rows(100)
    relay.await_log("broker_away")
    stack.stack("start-kafka")
    until(lambda: stack.judge(after) is None, 40, "all rows in Kafka")
    assert relay.process.poll() is None


def readiness(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError:
        return ""


def standby_takes_over(stack):
    """a second relay stands by and takes over when the first is killed"""
    after = stack.last_seq()
    first = stack.relay()
    first.await_log("relay_started")
    port = stack.env["PRODUCER_HTTP"].rsplit(":", 1)[1]
    second = stack.relay(KUNDREGISTER_PRODUCER_HTTP_PORT=port)
    until(lambda: "another relay is at work" in readiness(port), 20, "the second relay to stand by")
    stack.add_rows(20)
    until(lambda: stack.judge(after) is None, 20, "all rows in Kafka")
    assert "relay_started" not in second.log()
    after = stack.last_seq()
    stack.add_rows(20)
    first.kill()
    second.await_log("relay_started")
    until(lambda: stack.judge(after) is None, 10, "all rows in Kafka")
    second.kill(signal.SIGTERM)
    assert second.wait() == 0


if __name__ == "__main__":
    main([killed_everywhere, killed_at_the_second_batch, zombie_is_fenced, standby_takes_over, broker_killed_inside_commit])
