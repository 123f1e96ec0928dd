"""What Kafka itself leaves behind: killed just after its coordinator has written down that a transaction is to be committed,
a broker (4.3.1, seen once in some hundred kills) comes back and takes the transaction for ended, with no marker in the
partitions. Whoever reads them to a committed end waits for ever. Ending it is an operator's work, as deploy/runbook.md says."""
import os
import subprocess
import time

from stack import ROOT, Failed


def tool(stack, *arguments):
    """kafka-transactions.sh."""
    java = subprocess.run([os.path.join(ROOT, "deploy", "install"), "--java"], capture_output=True, text=True, check=True)
    admin = stack.principal("admin")
    path = os.path.join(stack.directory, "secrets", "admin.properties")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(f"security.protocol={admin['security.protocol']}\nsasl.mechanism={admin['sasl.mechanism']}\n"
                   "sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required "
                   f"username=\"{admin['sasl.username']}\" password=\"{admin['sasl.password']}\";\n")
    try:
        done = subprocess.run([*java.stdout.split("\n")[:-1], "org.apache.kafka.tools.TransactionsCommand", "--bootstrap-server",
                               admin["bootstrap.servers"], "--command-config", path, *arguments],
                              capture_output=True, text=True, timeout=120, check=True)
    except subprocess.SubprocessError as error:
        raise Failed(f"kafka-transactions.sh {arguments[0]}: {error} {error.stderr or ''}") from error
    return done.stdout


def transactions(stack):
    """[(topic, partition, offset of the first record)] of those that no coordinator will end."""
    lines = tool(stack, "find-hanging", "--broker-id", "1", "--max-transaction-timeout", "0").splitlines()
    rows = [line.split() for line in lines]
    return [(fields[0], fields[1], fields[5]) for fields in rows if len(fields) > 5 and fields[1].isdigit()]


def end(world):
    """Aborts them; what was in them goes out once more, where it is not there. Returns how many there were."""
    found = transactions(world.stack)
    if found:  # one that ends between the tool's two questions looks like it, once
        time.sleep(2)
        found = [one for one in transactions(world.stack) if one in found]
    if not found:
        return 0
    relays = world.relays()
    for relay in relays:
        relay.wanted = False
        relay.stop()
    try:
        for topic, partition, offset in found:
            tool(world.stack, "abort", "--topic", topic, "--partition", partition, "--start-offset", offset)
        world.stack.cli("producer", "reconcile")
    finally:
        for relay in relays:
            relay.wanted = True
    world.hanging += len(found)
    world.tell(f"# Kafka had left {len(found)} transactions open that were ended: "
               f"{', '.join(sorted({topic for topic, _, _ in found}))}; aborted, as an operator does")
    return len(found)
