// Runs a throw-away Kafka once, so that the virtual machine can archive the classes that a real one loads at its start.

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;

/**
 * Usage: Rehearse DIRECTORY SERVER_PROPERTIES, by deploy/install and with -XX:ArchiveClassesAtExit.
 *
 * <p>All that deploy/stack does with Kafka is done here in one process: format, start, create a topic and a rule. With
 * the archive each of the three later starts takes less than half the time.
 */
public final class Rehearse {
    private static final String CLUSTER_ID = "kAAAAAAAAAAAAAAAAAAAAA";

    private Rehearse() {}

    public static void main(String[] arguments) throws Exception {
        Path directory = Path.of(arguments[0]);
        Path server = directory.resolve("server.properties");
        Path client = directory.resolve("client.conf");
        Path list = directory.resolve("list");
        int[] ports = freePorts();
        Files.copy(Path.of(arguments[1]), server, StandardCopyOption.REPLACE_EXISTING);
        Files.write(server, serverSettings(directory, ports), StandardOpenOption.APPEND);
        Files.write(
                client,
                List.of(
                        "bootstrap.servers=127.0.0.1:" + ports[0],
                        "security.protocol=SASL_PLAINTEXT",
                        "sasl.mechanism=PLAIN",
                        "sasl.username=admin",
                        "sasl.password=rehearsal"));
        Files.write(
                list, List.of("topic rehearsal 1 cleanup.policy=compact", "allow nobody read topic literal rehearsal"));

        String[] format = {"format", "--standalone", "-t", CLUSTER_ID, "-c", server.toString()};
        if (kafka.tools.StorageTool.execute(format, System.out) != 0) {
            System.exit(1);
        }
        Thread broker = new Thread(() -> kafka.Kafka.main(new String[] {server.toString()}));
        broker.setDaemon(true);
        broker.start();
        Provision.main(new String[] {client.toString(), list.toString()});
        System.exit(0);
    }

    private static int[] freePorts() throws IOException {
        InetAddress loopback = InetAddress.getLoopbackAddress();
        try (ServerSocket one = new ServerSocket(0, 1, loopback);
                ServerSocket other = new ServerSocket(0, 1, loopback)) {
            return new int[] {one.getLocalPort(), other.getLocalPort()};
        }
    }

    private static List<String> serverSettings(Path directory, int[] ports) {
        String login =
                "org.apache.kafka.common.security.plain.PlainLoginModule required"
                        + " username=\"admin\" password=\"rehearsal\" user_admin=\"rehearsal\";";
        return List.of(
                "listeners=CLIENT://127.0.0.1:" + ports[0] + ",CONTROLLER://127.0.0.1:" + ports[1],
                "controller.quorum.bootstrap.servers=127.0.0.1:" + ports[1],
                "log.dirs=" + directory.resolve("data"),
                "listener.name.client.plain.sasl.jaas.config=" + login,
                "listener.name.controller.plain.sasl.jaas.config=" + login);
    }
}
