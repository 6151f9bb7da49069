import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.util.*;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.Record;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.SimpleRecord;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.common.utils.Utils;
import org.apache.kafka.server.storage.log.FetchIsolation;
import org.apache.kafka.server.util.KafkaScheduler;
import org.apache.kafka.storage.internals.log.*;
import org.apache.kafka.storage.log.metrics.BrokerTopicStats;

/**
 * Opens logs with the code that Kafka's broker opens its own with, and prints what that finds, a line of JSON for each:
 * Open clean|unclean append|read DIRECTORY... After a clean stop Kafka believes the indexes, otherwise it makes them anew.
 */
public class Open {
    static final ObjectMapper json = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        KafkaScheduler scheduler = new KafkaScheduler(1);
        scheduler.startup();
        for (String dir : Arrays.asList(args).subList(2, args.length)) {
            boolean clean = args[0].equals("clean");
            UnifiedLog log = open(new File(dir), clean, scheduler);
            System.out.println(json.writeValueAsString(describe(dir, log)));
            if (args[1].equals("append")) append(log);
            log.close();
        }
        scheduler.shutdown();
    }

    static UnifiedLog open(File dir, boolean clean, KafkaScheduler scheduler) throws Exception {
        Properties config = new Properties();
        config.put("internal.segment.bytes", "3000");
        config.put("index.interval.bytes", "300");
        return UnifiedLog.create(dir, new LogConfig(config), 0, clean ? Long.MAX_VALUE : 0, scheduler, new BrokerTopicStats(), Time.SYSTEM,
            900_000, new ProducerStateManagerConfig(86_400_000, true), 600_000, new LogDirFailureChannel(10), clean, Optional.empty());
    }

    static ObjectNode describe(String dir, UnifiedLog log) throws Exception {
        ObjectNode out = json.createObjectNode();
        out.put("dir", dir).put("start", log.logStartOffset()).put("end", log.logEndOffset());
        ArrayNode epochs = out.putArray("epochs");
        for (var e : log.leaderEpochCache().epochEntries()) epochs.addObject().put("epoch", e.epoch).put("offset", e.startOffset);
        TreeSet<Long> ask = new TreeSet<>(List.of(0L, Long.MAX_VALUE));
        ArrayNode records = out.putArray("records");
        for (long at = log.logStartOffset(); at < log.logEndOffset(); ) {
            for (RecordBatch batch : log.read(at, 10_000, FetchIsolation.LOG_END, true).records.batches()) {
                batch.ensureValid();
                at = batch.nextOffset();
                for (Record r : batch) {
                    ObjectNode n = records.addObject().put("offset", r.offset()).put("timestamp", r.timestamp()).put("epoch", batch.partitionLeaderEpoch());
                    n.put("key", text(r.hasKey() ? Utils.readBytes(r.key()) : null)).put("value", text(r.hasValue() ? Utils.readBytes(r.value()) : null));
                    ask.addAll(List.of(r.timestamp() - 1, r.timestamp(), r.timestamp() + 1));
                }
            }
        }
        put(out.putObject("max"), log, -3);
        ArrayNode lookups = out.putArray("lookups");
        for (long ms : ask) if (ms >= 0) put(lookups.addObject().put("ms", ms), log, ms);
        ArrayNode producers = out.putArray("producers");
        var found = new ArrayList<>(log.activeProducers());
        found.sort(Comparator.comparing(p -> p.producerId()));
        for (var p : found) producers.addObject().put("id", p.producerId()).put("epoch", p.producerEpoch()).put("sequence", p.lastSequence());
        return out;
    }

    static void put(ObjectNode n, UnifiedLog log, long ms) throws Exception {
        var found = log.fetchOffsetByTimestamp(ms, Optional.empty()).timestampAndOffsetOpt();
        n.put("offset", found.map(f -> f.offset).orElse(-1L)).put("timestamp", found.map(f -> f.timestamp).orElse(-1L));
        n.put("leaderEpoch", found.flatMap(f -> f.leaderEpoch).orElse(-1));
    }

    static String text(byte[] b) { return b == null ? null : new String(b, StandardCharsets.UTF_8); }

    /** Appends as a leader does, enough for a new segment. */
    static void append(UnifiedLog log) throws Exception {
        for (int i = 0; i < 40; i++) {
            SimpleRecord[] records = {new SimpleRecord(System.currentTimeMillis(), "k".getBytes(), ("by Kafka " + i).getBytes()), new SimpleRecord(System.currentTimeMillis(), "k".getBytes(), "x".repeat(i).getBytes())};
            log.appendAsLeader(MemoryRecords.withRecords(Compression.NONE, records), 1000);
        }
        log.flush(true);
    }
}
