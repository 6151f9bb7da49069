import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.*;
import java.util.function.Function;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.*;

/** Fills a broker with what the tests want to see, and writes down what the broker says of it. See README.md. */
public class Make {
    static final ObjectMapper json = new ObjectMapper();
    static Properties common = new Properties();
    static final List<KafkaProducer<String, String>> open = new ArrayList<>();

    public static void main(String[] args) throws Exception {
        common.put("bootstrap.servers", args[1]);
        try (Admin admin = Admin.create(common)) {
            switch (args[0]) {
                case "first" -> first(admin);
                case "more" -> more(Integer.parseInt(args[2]));
                case "open" -> more(Integer.parseInt(args[2]), true);
                case "describe" -> Files.writeString(Path.of(args[2]), lines(describe(admin)));
                default -> throw new IllegalArgumentException(args[0]);
            }
        }
        if (args[0].equals("open")) Runtime.getRuntime().halt(0); // its transaction stays open
    }

    // The topics, all of one partition.

    static void create(Admin admin, String name, String... configs) throws Exception {
        Map<String, String> m = new HashMap<>(Map.of("retention.ms", "-1", "internal.segment.bytes", "2000",
            "index.interval.bytes", "300", "segment.index.bytes", "1200"));
        for (int i = 0; i < configs.length; i += 2) m.put(configs[i], configs[i + 1]);
        admin.createTopics(List.of(new NewTopic(name, 1, (short) 1).configs(m))).all().get();
    }

    static void first(Admin admin) throws Exception {
        create(admin, "codecs");
        create(admin, "shapes");
        create(admin, "idempotent");
        create(admin, "transactions");
        create(admin, "appendtime", "message.timestamp.type", "LogAppendTime");
        create(admin, "compacted", "cleanup.policy", "compact", "min.cleanable.dirty.ratio", "0.01");
        create(admin, "forgotten", "cleanup.policy", "compact", "min.cleanable.dirty.ratio", "0.01", "delete.retention.ms", "1");
        create(admin, "cut");
        create(admin, "expired", "retention.ms", "1000", "file.delete.delay.ms", "100");
        create(admin, "short", "retention.bytes", "5000");
        create(admin, "empty");
        create(admin, "one", "internal.segment.bytes", "1000000");

        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            try (var p = plain("compression.type", codec)) {
                for (int b = 0; b < 8; b++) batch(p, "codecs", 1 + 3 * (b % 4), i -> record("codecs", time(b(i), i), "k" + i, codec + " " + "value ".repeat(i)));
            }
        }
        shapes();
        try (var a = idempotent(); var b = idempotent(); var c = idempotent()) {
            for (int i = 0; i < 12; i++) {
                batch(a, "idempotent", 3, n -> record("idempotent", now(), "a", "a" + n));
                batch(b, "idempotent", 1 + i % 3, n -> record("idempotent", now(), "b", "b" + n));
                if (i < 2) batch(c, "idempotent", 2, n -> record("idempotent", now(), "c", "c" + n));
            }
        }
        transactions("transactions", "");
        try (var p = plain()) {
            for (int i = 0; i < 30; i++) {
                int n = i;
                batch(p, "appendtime", 1 + i % 4, k -> record("appendtime", base - 1000L * n, "k", "v" + n + "." + k));
                Thread.sleep(i % 3 * 5);
            }
            for (int i = 0; i < 40; i++) {
                batch(p, "cut", 3, k -> record("cut", now(), "k" + k, "a value of some length " + k));
                batch(p, "short", 3, k -> record("short", now(), "k" + k, "a value of some length " + k));
                batch(p, "expired", 2, k -> record("expired", base, "k", "gone"));
                batch(p, "one", 4, k -> record("one", now(), "k" + k, "v" + k));
            }
        }
        compacted("compacted", 0);
        compacted("forgotten", 0);
        admin.deleteRecords(Map.of(new TopicPartition("cut", 0), RecordsToDelete.beforeOffset(70))).all().get();
        Thread.sleep(6000); // for the cleaner, retention and the checkpoints
    }

    // After a restart, so in another epoch.
    static void more(int round) throws Exception { more(round, false); }

    static void more(int round, boolean leaveOpen) throws Exception {
        try (var p = plain()) {
            for (String topic : List.of("codecs", "shapes", "appendtime", "cut", "short", "one"))
                for (int b = 0; b < 3; b++) batch(p, topic, 2, i -> record(topic, now(), "k" + i, "round " + round + " of " + topic));
        }
        try (var p = idempotent()) {
            for (int b = 0; b < 3; b++) batch(p, "idempotent", 2, i -> record("idempotent", now(), "k" + i, "round " + round));
        }
        transactions("transactions", "r" + round);
        compacted("compacted", round);
        compacted("forgotten", round);
        if (leaveOpen) {
            var p = transactional("open");
            p.beginTransaction();
            batch(p, "transactions", 3, i -> record("transactions", now(), "open", "never ended " + i));
        }
        Thread.sleep(5000);
    }

    static void shapes() throws Exception {
        try (var p = plain()) {
            String t = "shapes";
            for (String key : Arrays.asList(null, "", "key"))
                for (String value : Arrays.asList(null, "", "value", "\u00fcml\u00e4ut \u65e5\u672c"))
                    batch(p, t, 1, i -> record(t, now(), key, value));
            for (int h = 0; h < 4; h++) {
                int n = h;
                batch(p, t, 2, i -> {
                    var r = record(t, now(), "h" + i, "with headers");
                    for (int j = 0; j <= n; j++) r.headers().add("h" + j, j == 1 ? null : j == 2 ? new byte[0] : new byte[] {0, (byte) 0xff, (byte) j});
                    if (n == 3) r.headers().add("h0", "again".getBytes());
                    return r;
                });
            }
            // Timestamps that go up and down, within a batch and between batches; equal ones; and zero.
            for (long[] at : new long[][] {{5, 3, 9, 1}, {2, 2, 2}, {20, 10}, {8, 30, 8}, {30, 30}, {29, 31, 7}, {-1_000_000, 40}, {40, 40, 39}})
                batch(p, t, at.length, i -> record(t, base + 1000 * at[i], "t", "at " + at[i]));
            batch(p, t, 2, i -> record(t, (long) i, "t", "1970"));
            batch(p, t, 1, i -> record(t, now(), "big", "x".repeat(1500)));
            batch(p, t, 1, i -> record(t, now(), "big", "y".repeat(1700)));
        }
    }

    static void transactions(String topic, String suffix) throws Exception {
        try (var a = transactional("a" + suffix); var b = transactional("b"); var other = plain()) {
            a.beginTransaction();
            batch(a, topic, 3, i -> record(topic, now(), "k" + i, "committed " + i));
            a.commitTransaction();
            b.beginTransaction();
            batch(b, topic, 2, i -> record(topic, now(), "k" + i, "aborted " + i));
            b.abortTransaction();
            a.beginTransaction(); // two at once, and a record of neither
            b.beginTransaction();
            for (int n = 0; n < 8; n++) {
                batch(a, topic, 2, i -> record(topic, now(), "k" + i, "aborted across segments " + i));
                batch(b, topic, 2, i -> record(topic, now(), "k" + i, "committed across segments " + i));
                batch(other, topic, 1, i -> record(topic, now(), "k" + i, "of no transaction"));
            }
            a.abortTransaction();
            b.commitTransaction();
        }
        try (var a = transactional("a" + suffix)) { // the same id again: its epoch grows
            a.beginTransaction();
            batch(a, topic, 2, i -> record(topic, now(), "k" + i, "by the next incarnation"));
            a.commitTransaction();
        }
    }

    static void compacted(String topic, int round) throws Exception {
        try (var a = idempotent("compression.type", "lz4"); var b = idempotent(); var t = transactional("compacting-" + topic)) {
            for (int n = 0; n < 15; n++) {
                String v = "round " + round + " pass " + n;
                batch(a, topic, 4, i -> record(topic, now(), "k" + i, "a " + v));
                batch(b, topic, 3, i -> record(topic, now(), "k" + (i + 2), "b " + v));
                if (n == 3) batch(b, topic, 1, i -> record(topic, now(), "kept" + round, "stays"));
            }
            batch(b, topic, 10, i -> record(topic, now(), "k" + i, i % 3 == 0 ? null : "last of round " + round));
            t.beginTransaction();
            batch(t, topic, 3, i -> record(topic, now(), "t" + i, "committed"));
            t.commitTransaction();
            t.beginTransaction();
            batch(t, topic, 3, i -> record(topic, now(), "t" + i, "aborted"));
            t.abortTransaction();
            for (int n = 0; n < 25; n++) batch(b, topic, 2, i -> record(topic, now(), "tail" + i, "something to roll segments with"));
        }
    }

    // Producers.

    static KafkaProducer<String, String> producer(String... configs) {
        Properties p = new Properties();
        p.putAll(common);
        p.putAll(Map.of("linger.ms", "60000", "batch.size", "100000", "enable.idempotence", "false", "acks", "all"));
        for (int i = 0; i < configs.length; i += 2) p.put(configs[i], configs[i + 1]);
        return new KafkaProducer<>(p, new StringSerializer(), new StringSerializer());
    }

    static KafkaProducer<String, String> plain(String... configs) { return producer(configs); }

    static KafkaProducer<String, String> idempotent(String... configs) {
        String[] all = Arrays.copyOf(configs, configs.length + 2);
        all[configs.length] = "enable.idempotence";
        all[configs.length + 1] = "true";
        return producer(all);
    }

    static KafkaProducer<String, String> transactional(String id) {
        var p = producer("enable.idempotence", "true", "transactional.id", id, "transaction.timeout.ms", "600000");
        p.initTransactions();
        return p;
    }

    /** Sends n records as one batch. */
    static void batch(KafkaProducer<String, String> p, String topic, int n, Function<Integer, ProducerRecord<String, String>> make) throws Exception {
        var sent = new ArrayList<java.util.concurrent.Future<RecordMetadata>>();
        for (int i = 0; i < n; i++) sent.add(p.send(make.apply(i)));
        p.flush();
        for (var f : sent) f.get();
    }

    static ProducerRecord<String, String> record(String topic, long time, String key, String value) {
        return new ProducerRecord<>(topic, 0, time, key, value);
    }

    static final long base = System.currentTimeMillis() - 3_600_000;
    static long clock = base;
    static long now() { return clock += 7; }
    static int b(int i) { return i; }
    static long time(int b, int i) { return now() - (i % 3 == 2 ? 500 : 0); }

    // What the broker says.

    static ObjectNode describe(Admin admin) throws Exception {
        ObjectNode all = json.createObjectNode();
        for (String topic : new TreeSet<>(admin.listTopics().names().get())) {
            TopicPartition tp = new TopicPartition(topic, 0);
            ObjectNode t = all.putObject(topic);
            t.put("start", offset(admin, tp, OffsetSpec.earliest()).offset());
            t.put("end", offset(admin, tp, OffsetSpec.latest()).offset());
            put(t.putObject("max"), offset(admin, tp, OffsetSpec.maxTimestamp()));
            TreeSet<Long> times = records(t.putArray("records"), tp, t.get("end").asLong());
            lookups(t.putArray("lookups"), admin, tp, times);
            producers(t.putArray("producers"), admin, tp);
        }
        return all;
    }

    /** Writes a line for each element of an array, to be read by people too. */
    static String lines(ObjectNode all) throws Exception {
        StringBuilder out = new StringBuilder("{");
        for (var topics = all.fields(); topics.hasNext(); ) {
            var topic = topics.next();
            out.append("\n\"").append(topic.getKey()).append("\":{");
            for (var fields = topic.getValue().fields(); fields.hasNext(); ) {
                var field = fields.next();
                out.append("\n \"").append(field.getKey()).append("\":");
                if (field.getValue() instanceof ArrayNode array) {
                    out.append("[");
                    for (int i = 0; i < array.size(); i++) out.append(i > 0 ? ",\n  " : "\n  ").append(json.writeValueAsString(array.get(i)));
                    out.append("]");
                } else {
                    out.append(json.writeValueAsString(field.getValue()));
                }
                out.append(fields.hasNext() ? "," : "}");
            }
            out.append(topics.hasNext() ? "," : "\n}\n");
        }
        return out.toString();
    }

    static ListOffsetsResult.ListOffsetsResultInfo offset(Admin admin, TopicPartition tp, OffsetSpec spec) throws Exception {
        return admin.listOffsets(Map.of(tp, spec)).partitionResult(tp).get();
    }

    static void put(ObjectNode n, ListOffsetsResult.ListOffsetsResultInfo found) {
        n.put("offset", found.offset()).put("timestamp", found.timestamp()).put("epoch", found.leaderEpoch().orElse(-1));
    }

    static TreeSet<Long> records(ArrayNode out, TopicPartition tp, long end) {
        TreeSet<Long> times = new TreeSet<>();
        Properties p = new Properties();
        p.putAll(common);
        p.putAll(Map.of("isolation.level", "read_uncommitted", "auto.offset.reset", "earliest", "enable.auto.commit", "false"));
        try (var c = new KafkaConsumer<>(p, new StringDeserializer(), new StringDeserializer())) {
            c.assign(List.of(tp));
            c.seekToBeginning(List.of(tp));
            while (c.position(tp) < end) {
                for (var r : c.poll(Duration.ofMillis(200)).records(tp)) {
                    ObjectNode n = out.addObject();
                    n.put("offset", r.offset()).put("timestamp", r.timestamp()).put("epoch", r.leaderEpoch().orElse(-1)).put("key", r.key()).put("value", r.value());
                    if (r.headers().toArray().length > 0) {
                        ArrayNode hs = n.putArray("headers");
                        for (Header h : r.headers()) hs.addObject().put("key", h.key()).put("value", h.value());
                    }
                    times.add(r.timestamp());
                }
            }
        }
        return times;
    }

    /** Looks up timestamps around a few of those that there are. */
    static void lookups(ArrayNode out, Admin admin, TopicPartition tp, TreeSet<Long> times) throws Exception {
        TreeSet<Long> ask = new TreeSet<>(List.of(0L, Long.MAX_VALUE));
        int every = Math.max(1, times.size() / 8), i = 0;
        for (long t : times)
            if (i++ % every == 0 || t == times.last()) ask.addAll(List.of(Math.max(0, t - 1), t, t + 1));
        for (long t : ask) {
            ObjectNode n = out.addObject().put("ms", t);
            put(n, offset(admin, tp, OffsetSpec.forTimestamp(t)));
        }
    }

    static void producers(ArrayNode out, Admin admin, TopicPartition tp) throws Exception {
        var found = new ArrayList<>(admin.describeProducers(List.of(tp)).partitionResult(tp).get().activeProducers());
        found.sort(Comparator.comparing(ProducerState::producerId));
        for (ProducerState s : found)
            out.addObject().put("id", s.producerId()).put("epoch", s.producerEpoch()).put("sequence", s.lastSequence())
                .put("timestamp", s.lastTimestamp()).put("transaction", s.currentTransactionStartOffset().orElse(-1));
    }
}
