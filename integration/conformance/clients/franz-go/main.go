// franz-go, in the words of contract.py.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sort"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	contract "ottla.dev/conformance/clients/go-contract"
)

func version(contract.Command) (contract.Answer, error) {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/twmb/franz-go" {
			return contract.Answer{"version": "franz-go " + module.Version}, nil
		}
	}
	return nil, errors.New("built without franz-go")
}

func codec(name string) kgo.CompressionCodec {
	return map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[name]
}

func produce(c contract.Command) (contract.Answer, error) {
	input, err := contract.Lines(c.File)
	if err != nil {
		return nil, err
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(20 * time.Millisecond),
		kgo.ProducerBatchCompression(codec(c.Codec)),
	}
	if !c.Idempotent {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var records []*kgo.Record
	for _, line := range input {
		records = append(records, &kgo.Record{Topic: c.Topic, Partition: c.Partition, Key: line[0], Value: line[1]})
	}
	ctx, cancel := context.WithTimeout(context.Background(), contract.Patience)
	defer cancel()
	return contract.Answer{"count": len(records)}, client.ProduceSync(ctx, records...).FirstErr()
}

func consume(c contract.Command) (contract.Answer, error) {
	at := kgo.NewOffset().AtStart()
	if c.Offset != "beginning" {
		at = kgo.NewOffset().At(c.OffsetOr(0))
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers()...),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{c.Topic: {c.Partition: at}}))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), contract.Patience)
	defer cancel()
	var output bytes.Buffer
	for seen := 0; seen < c.Count; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("%d of %d records: %w", seen, c.Count, err)
		}
		for _, record := range fetches.Records() {
			if seen++; seen <= c.Count {
				fmt.Fprintf(&output, "%s\t%s\n", record.Key, record.Value)
			}
		}
	}
	return nil, os.WriteFile(c.File, output.Bytes(), 0o644)
}

// share is what a member has been assigned, told at every change.
type share struct {
	sync.Mutex
	partitions map[int32]bool
}

func (s *share) change(now bool) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, changed map[string][]int32) {
		s.Lock()
		defer s.Unlock()
		for _, partitions := range changed {
			for _, partition := range partitions {
				if now {
					s.partitions[partition] = true
				} else {
					delete(s.partitions, partition)
				}
			}
		}
		all := []int{}
		for partition := range s.partitions {
			all = append(all, int(partition))
		}
		sort.Ints(all)
		contract.Tell(contract.Answer{"event": "assigned", "partitions": all})
	}
}

func member(c contract.Command, told <-chan string) error {
	assigned := share{partitions: map[int32]bool{}}
	options := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers()...), kgo.ConsumerGroup(c.Group), kgo.ConsumeTopics(c.Topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(time.Duration(c.SessionMs) * time.Millisecond),
		kgo.HeartbeatInterval(500 * time.Millisecond), kgo.OnPartitionsAssigned(assigned.change(true)),
		kgo.OnPartitionsRevoked(assigned.change(false)), kgo.OnPartitionsLost(assigned.change(false)),
	}
	if c.Instance != nil {
		options = append(options, kgo.InstanceID(*c.Instance))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	for {
		select {
		case op := <-told:
			if op == "close" {
				client.Close()
				return nil
			}
			if err := client.CommitUncommittedOffsets(context.Background()); err != nil {
				return err
			}
			contract.Tell(contract.Answer{"event": "committed"})
		default:
		}
		if err := poll(client); err != nil {
			return err
		}
	}
}

func poll(client *kgo.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	fetches := client.PollFetches(ctx)
	for _, failed := range fetches.Errors() {
		if !errors.Is(failed.Err, context.DeadlineExceeded) {
			return failed.Err
		}
	}
	for _, record := range fetches.Records() {
		contract.Tell(contract.Answer{"event": "record", "partition": record.Partition, "offset": record.Offset})
	}
	return nil
}

// administered makes an operation of a call on an admin client.
func administered(call func(context.Context, *kadm.Client, contract.Command) (contract.Answer, error)) func(contract.Command) (contract.Answer, error) {
	return func(c contract.Command) (contract.Answer, error) {
		client, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers()...))
		if err != nil {
			return nil, err
		}
		defer client.Close()
		ctx, cancel := context.WithTimeout(context.Background(), contract.Patience)
		defer cancel()
		return call(ctx, kadm.NewClient(client), c)
	}
}

func main() {
	operations := map[string]func(contract.Command) (contract.Answer, error){"version": version, "produce": produce, "consume": consume}
	for name, call := range administration {
		operations[name] = administered(call)
	}
	contract.Serve(operations, member)
}
