import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.ParallelStreamProcessor;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Confluent's Parallel Consumer: records of one key in their order, others at the same time. */
public class Peer {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Map<String, String> ENV = System.getenv();
    private static final URI URL = URI.create(ENV.get("PEER_URL") + "/api/customer-cart");
    private static final HttpClient HTTP =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    public static void main(String[] arguments) {
        KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(Map.of(
                "bootstrap.servers", ENV.get("PEER_BOOTSTRAP"),
                "group.id", ENV.get("PEER_GROUP"),
                "auto.offset.reset", "earliest",
                "enable.auto.commit", "false",
                "session.timeout.ms", ENV.get("PEER_SESSION_MS"),
                "key.deserializer", ByteArrayDeserializer.class.getName(),
                "value.deserializer", ByteArrayDeserializer.class.getName()));
        ParallelConsumerOptions<byte[], byte[]> options = ParallelConsumerOptions.<byte[], byte[]>builder()
                .ordering(ProcessingOrder.KEY)
                .maxConcurrency(Integer.parseInt(ENV.get("PEER_CONCURRENCY")))
                .consumer(consumer)
                .build();
        ParallelStreamProcessor<byte[], byte[]> processor = ParallelStreamProcessor.createEosStreamProcessor(options);
        processor.subscribe(List.of(ENV.get("PEER_TOPIC")));
        processor.poll(context -> send(context.value()));
    }

    /** What is thrown makes the library try the record again later. */
    private static void send(byte[] value) {
        try {
            JsonNode event = JSON.readTree(value);
            StringBuilder form = new StringBuilder("key=sk_fake_peer");
            event.fields().forEachRemaining(field -> {
                if (!field.getKey().equals("type")) {
                    append(form, field.getKey(), field.getValue());
                }
            });
            HttpRequest request = HttpRequest.newBuilder(URL)
                    .header("content-type", "application/x-www-form-urlencoded")
                    .timeout(Duration.ofSeconds(5))
                    .POST(HttpRequest.BodyPublishers.ofString(form.toString()))
                    .build();
            int status = HTTP.send(request, HttpResponse.BodyHandlers.ofByteArray()).statusCode();
            if (status != 200) {
                throw new IllegalStateException("status " + status);
            }
        } catch (java.io.IOException | InterruptedException error) {
            throw new IllegalStateException(error);
        }
    }

    /** As PHP's http_build_query. */
    private static void append(StringBuilder form, String name, JsonNode value) {
        if (value.isArray()) {
            for (int i = 0; i < value.size(); i++) {
                append(form, name + "[" + i + "]", value.get(i));
            }
        } else if (value.isObject()) {
            value.fields().forEachRemaining(field -> append(form, name + "[" + field.getKey() + "]", field.getValue()));
        } else {
            form.append('&').append(encoded(name)).append('=').append(encoded(value.asText()));
        }
    }

    private static String encoded(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8);
    }
}
