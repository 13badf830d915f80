// sarama, in the words of contract.py.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/IBM/sarama"
	contract "ottla.dev/conformance/clients/go-contract"
)

func version(contract.Command) (contract.Answer, error) {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/IBM/sarama" {
			return contract.Answer{"version": "sarama " + module.Version}, nil
		}
	}
	return nil, errors.New("built without sarama")
}

// config is sarama's own with the newest protocol it knows.
func config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	return config
}

func codec(name string) sarama.CompressionCodec {
	return map[string]sarama.CompressionCodec{
		"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
		"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
	}[name]
}

func produce(c contract.Command) (contract.Answer, error) {
	input, err := contract.Lines(c.File)
	if err != nil {
		return nil, err
	}
	config := config()
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Compression = codec(c.Codec)
	config.Producer.Flush.Frequency = 20 * time.Millisecond
	if c.Idempotent {
		config.Producer.Idempotent = true
		config.Net.MaxOpenRequests = 1
	}
	producer, err := sarama.NewSyncProducer(c.Brokers(), config)
	if err != nil {
		return nil, err
	}
	defer producer.Close()
	var messages []*sarama.ProducerMessage
	for _, line := range input {
		messages = append(messages, &sarama.ProducerMessage{
			Topic: c.Topic, Partition: c.Partition, Key: sarama.ByteEncoder(line[0]), Value: sarama.ByteEncoder(line[1]),
		})
	}
	return contract.Answer{"count": len(messages)}, producer.SendMessages(messages)
}

func consume(c contract.Command) (contract.Answer, error) {
	config := config()
	config.Consumer.Return.Errors = true
	consumer, err := sarama.NewConsumer(c.Brokers(), config)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	partition, err := consumer.ConsumePartition(c.Topic, c.Partition, c.OffsetOr(sarama.OffsetOldest))
	if err != nil {
		return nil, err
	}
	defer partition.Close()
	var output bytes.Buffer
	end := time.After(contract.Patience)
	for seen := 0; seen < c.Count; seen++ {
		select {
		case message := <-partition.Messages():
			fmt.Fprintf(&output, "%s\t%s\n", message.Key, message.Value)
		case failed := <-partition.Errors():
			return nil, failed
		case <-end:
			return nil, fmt.Errorf("%d of %d records after %s", seen, c.Count, contract.Patience)
		}
	}
	return nil, os.WriteFile(c.File, output.Bytes(), 0o644)
}

// session is what a member does between two rebalances.
type session struct {
	topic     string
	commits   chan struct{}
	committed chan struct{}
}

func (s *session) Setup(of sarama.ConsumerGroupSession) error {
	partitions := of.Claims()[s.topic]
	if partitions == nil {
		partitions = []int32{}
	}
	contract.Tell(contract.Answer{"event": "assigned", "partitions": partitions})
	go func() {
		for {
			select {
			case <-s.commits:
				of.Commit()
				s.committed <- struct{}{}
			case <-of.Context().Done():
				return
			}
		}
	}()
	return nil
}

func (s *session) Cleanup(sarama.ConsumerGroupSession) error {
	contract.Tell(contract.Answer{"event": "assigned", "partitions": []int32{}})
	return nil
}

func (s *session) ConsumeClaim(of sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			of.MarkMessage(message, "")
			contract.Tell(contract.Answer{"event": "record", "partition": message.Partition, "offset": message.Offset})
		case <-of.Context().Done():
			return nil
		}
	}
}

func member(c contract.Command, told <-chan string) error {
	config := config()
	config.Consumer.Group.Session.Timeout = time.Duration(c.SessionMs) * time.Millisecond
	config.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Return.Errors = true
	if c.Instance != nil {
		config.Consumer.Group.InstanceId = *c.Instance
	}
	group, err := sarama.NewConsumerGroup(c.Brokers(), c.Group, config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	handler := &session{c.Topic, make(chan struct{}), make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- consumeUntil(ctx, group, c.Topic, handler) }()
	for {
		select {
		case failed := <-group.Errors():
			if failed != nil {
				cancel()
				return failed
			}
		case failed := <-ended:
			cancel()
			return failed
		case op := <-told:
			if op == "close" {
				cancel()
				<-ended
				return group.Close()
			}
			handler.commits <- struct{}{}
			<-handler.committed
			contract.Tell(contract.Answer{"event": "committed"})
		}
	}
}

func consumeUntil(ctx context.Context, group sarama.ConsumerGroup, topic string, handler *session) error {
	for ctx.Err() == nil {
		if err := group.Consume(ctx, []string{topic}, handler); err != nil {
			return err
		}
	}
	return nil
}

// administered makes an operation of a call on an admin client.
func administered(call func(sarama.ClusterAdmin, contract.Command) (contract.Answer, error)) func(contract.Command) (contract.Answer, error) {
	return func(c contract.Command) (contract.Answer, error) {
		admin, err := sarama.NewClusterAdmin(c.Brokers(), config())
		if err != nil {
			return nil, err
		}
		defer admin.Close()
		return call(admin, c)
	}
}

func main() {
	operations := map[string]func(contract.Command) (contract.Answer, error){"version": version, "produce": produce, "consume": consume}
	for name, call := range administration {
		operations[name] = administered(call)
	}
	contract.Serve(operations, member)
}
