// Creates the topics and the access rules that a plain list names, in one start of the virtual machine.

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

/**
 * Usage: Provision CLIENT_CONFIG LIST.
 *
 * <p>CLIENT_CONFIG is the properties file that kcat -F reads too. Each line of LIST is one of
 *
 * <pre>
 *   topic NAME PARTITIONS [SETTING=VALUE ...]
 *   allow PRINCIPAL OPERATION RESOURCE literal|prefixed NAME
 * </pre>
 *
 * with the names of Kafka's own enums in lower case. Running it again is harmless: what exists stays as it is.
 */
public final class Provision {
    private static final int TIMEOUT_MS = 60_000;

    private Provision() {}

    public static void main(String[] arguments) throws Exception {
        if (arguments.length != 2) {
            System.err.println("usage: Provision CLIENT_CONFIG LIST");
            System.exit(64);
        }
        List<NewTopic> topics = new ArrayList<>();
        List<AclBinding> rules = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of(arguments[1]))) {
            String[] words = line.trim().split("\\s+");
            switch (words[0]) {
                case "topic" -> topics.add(topic(words));
                case "allow" -> rules.add(rule(words));
                default -> throw new IllegalArgumentException("unknown line: " + line);
            }
        }
        try (Admin admin = Admin.create(clientConfig(arguments[0]))) {
            KafkaFuture<Void> allowed = admin.createAcls(rules).all();
            for (KafkaFuture<Void> created : admin.createTopics(topics).values().values()) {
                awaitCreated(created);
            }
            allowed.get();
        }
    }

    private static NewTopic topic(String[] words) {
        Map<String, String> settings = new HashMap<>();
        for (int i = 3; i < words.length; i++) {
            String[] setting = words[i].split("=", 2);
            settings.put(setting[0], setting[1]);
        }
        return new NewTopic(words[1], Optional.of(Integer.valueOf(words[2])), Optional.of((short) 1)).configs(settings);
    }

    private static AclBinding rule(String[] words) {
        return new AclBinding(
                new ResourcePattern(
                        ResourceType.fromString(words[3]),
                        words[5],
                        PatternType.fromString(words[4].toUpperCase(Locale.ROOT))),
                new AccessControlEntry(
                        "User:" + words[1],
                        "*",
                        AclOperation.fromString(words[2]),
                        AclPermissionType.ALLOW));
    }

    private static void awaitCreated(KafkaFuture<Void> created) throws Exception {
        try {
            created.get();
        } catch (ExecutionException failure) {
            if (!(failure.getCause() instanceof TopicExistsException)) {
                throw failure;
            }
        }
    }

    /** librdkafka's names for user and password, as kcat reads them, become the JAAS line that Java's client wants. */
    private static Properties clientConfig(String file) throws IOException {
        Properties read = new Properties();
        try (var in = Files.newBufferedReader(Path.of(file))) {
            read.load(in);
        }
        Properties client = new Properties();
        for (String name : List.of("bootstrap.servers", "security.protocol", "sasl.mechanism")) {
            client.setProperty(name, read.getProperty(name));
        }
        client.setProperty(
                "sasl.jaas.config",
                String.format(
                        "org.apache.kafka.common.security.plain.PlainLoginModule required"
                                + " username=\"%s\" password=\"%s\";",
                        read.getProperty("sasl.username"), read.getProperty("sasl.password")));
        client.setProperty("default.api.timeout.ms", Integer.toString(TIMEOUT_MS));
        client.setProperty("reconnect.backoff.ms", "50");
        client.setProperty("reconnect.backoff.max.ms", "200");
        return client;
    }
}
