package ottla.golden;

import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.internal.SimpleRecord;

/** Writes record batches as Kafka makes them, one line each: a name and the bytes in hexadecimal. */
public final class Main {
    private static PrintWriter out;

    public static void main(String[] arguments) throws Exception {
        out = new PrintWriter(arguments[0], StandardCharsets.UTF_8);
        for (CompressionType type : CompressionType.values()) {
            batch(type.name, Compression.of(type).build(), TimestampType.CREATE_TIME, -1, false);
        }
        batch("transactional", Compression.NONE, TimestampType.CREATE_TIME, 4711, true);
        batch("append-time", Compression.NONE, TimestampType.LOG_APPEND_TIME, -1, false);
        for (ControlRecordType type : new ControlRecordType[] {ControlRecordType.COMMIT, ControlRecordType.ABORT}) {
            EndTransactionMarker marker = new EndTransactionMarker(type, 9);
            line(type.name(), MemoryRecords.withEndTransactionMarker(77L, 1_700_000_000_123L, 5, 4711L, (short) 3, marker));
        }
        out.close();
    }

    private static void batch(String name, Compression compression, TimestampType type, long producer, boolean transactional) {
        byte[] text = "a value that repeats, a value that repeats, a value that repeats".getBytes(StandardCharsets.UTF_8);
        Header[] headers = {new RecordHeader("traceparent", new byte[] {1, 2, 3}), new RecordHeader("none", (byte[]) null)};
        SimpleRecord[] records = {
            new SimpleRecord(1_700_000_000_000L, "key".getBytes(StandardCharsets.UTF_8), text),
            new SimpleRecord(1_700_000_000_500L, null, text, headers),
            new SimpleRecord(1_699_999_999_000L, new byte[0], null),
        };
        boolean idempotent = producer >= 0;
        long appendTime = type == TimestampType.LOG_APPEND_TIME ? 1_700_000_001_000L : RecordBatch.NO_TIMESTAMP;
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(1024), RecordBatch.MAGIC_VALUE_V2,
            compression, type, 100L, appendTime, producer, (short) (idempotent ? 3 : -1), idempotent ? 12 : -1,
            transactional, false, 5);
        for (SimpleRecord record : records) {
            builder.append(record);
        }
        line(name, builder.build());
    }

    private static void line(String name, MemoryRecords records) {
        ByteBuffer buffer = records.buffer().duplicate();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        out.println(name + " " + HexFormat.of().formatHex(bytes));
    }
}
