<?php
/**
 * As much of the extension rdkafka as the add-on uses, over the same library, where the extension is not installed.
 * The shop that is played loads it only then: configuration names, partitioner and delivery are librdkafka's own.
 */

namespace {
    const RD_KAFKA_PARTITION_UA = -1;
    const RD_KAFKA_PURGE_F_QUEUE = 1;
    const RD_KAFKA_PURGE_F_INFLIGHT = 2;
    const RD_KAFKA_RESP_ERR_NO_ERROR = 0;

    function rd_kafka_err2str(int $error): string
    {
        return \RdKafka\library()->rd_kafka_err2str($error);
    }
}

namespace RdKafka {
    class Exception extends \Exception
    {
    }

    function library(): \FFI
    {
        static $library = null;
        return $library ??= \FFI::cdef('
            typedef struct rd_kafka_s rd_kafka_t;
            typedef struct rd_kafka_conf_s rd_kafka_conf_t;
            typedef struct rd_kafka_topic_s rd_kafka_topic_t;
            typedef struct {
                int err; rd_kafka_topic_t *rkt; int32_t partition; void *payload; size_t len; void *key; size_t key_len;
            } rd_kafka_message_t;
            rd_kafka_conf_t *rd_kafka_conf_new(void);
            int rd_kafka_conf_set(rd_kafka_conf_t *, const char *, const char *, char *, size_t);
            void rd_kafka_conf_set_dr_msg_cb(
                rd_kafka_conf_t *, void (*)(rd_kafka_t *, const rd_kafka_message_t *, void *));
            rd_kafka_t *rd_kafka_new(int, rd_kafka_conf_t *, char *, size_t);
            void rd_kafka_destroy(rd_kafka_t *);
            rd_kafka_topic_t *rd_kafka_topic_new(rd_kafka_t *, const char *, void *);
            void rd_kafka_topic_destroy(rd_kafka_topic_t *);
            int rd_kafka_produce(
                rd_kafka_topic_t *, int32_t, int, const char *, size_t, const char *, size_t, void *);
            int rd_kafka_last_error(void);
            int rd_kafka_flush(rd_kafka_t *, int);
            int rd_kafka_purge(rd_kafka_t *, int);
            const char *rd_kafka_err2str(int);
        ', 'librdkafka.so.1');
    }

    class Message
    {
        public int $err;
        public ?string $payload;
        public ?string $key;
    }

    class Conf
    {
        public \FFI\CData $raw;
        public ?\Closure $delivered = null;

        public function __construct()
        {
            $this->raw = library()->rd_kafka_conf_new();
        }

        public function set(string $name, string $value): void
        {
            $error = library()->new('char[512]');
            if (library()->rd_kafka_conf_set($this->raw, $name, $value, $error, 512) !== 0) {
                throw new Exception(\FFI::string($error));
            }
        }

        public function setDrMsgCb(callable $callback): void
        {
            $this->delivered = \Closure::fromCallable($callback);
        }
    }

    class Producer
    {
        public \FFI\CData $raw;
        private array $topics = [];

        public function __construct(Conf $conf)
        {
            if ($conf->delivered !== null) {
                library()->rd_kafka_conf_set_dr_msg_cb($conf->raw, function ($raw, $found) use ($conf): void {
                    $message = new Message();
                    $message->err = $found->err;
                    $message->payload = \FFI::string($found->payload, $found->len);
                    $message->key = $found->key === null ? null : \FFI::string($found->key, $found->key_len);
                    ($conf->delivered)($this, $message);
                });
            }
            $error = library()->new('char[512]');
            $raw = library()->rd_kafka_new(0, $conf->raw, $error, 512);
            if ($raw === null) {
                throw new Exception(\FFI::string($error));
            }
            $this->raw = $raw;
        }

        public function newTopic(string $name): ProducerTopic
        {
            return $this->topics[] = new ProducerTopic(library()->rd_kafka_topic_new($this->raw, $name, null));
        }

        public function __destruct()
        {
            foreach ($this->topics as $topic) {
                library()->rd_kafka_topic_destroy($topic->raw);
            }
            library()->rd_kafka_destroy($this->raw);
        }

        public function flush(int $milliseconds): int
        {
            return library()->rd_kafka_flush($this->raw, $milliseconds);
        }

        public function purge(int $flags): int
        {
            return library()->rd_kafka_purge($this->raw, $flags);
        }
    }

    class ProducerTopic
    {
        public function __construct(public \FFI\CData $raw)
        {
        }

        public function produce(int $partition, int $flags, ?string $payload = null, ?string $key = null): void
        {
            $copy = 2;
            $library = library();
            $done = $library->rd_kafka_produce(
                $this->raw, $partition, $flags | $copy, $payload, strlen((string) $payload), $key, strlen((string) $key), null
            );
            if ($done !== 0) {
                throw new Exception(rd_kafka_err2str($library->rd_kafka_last_error()));
            }
        }
    }
}
