package main

import (
	"fmt"

	"github.com/IBM/sarama"
	contract "ottla.dev/conformance/clients/go-contract"
)

// The admin operations.
var administration = map[string]func(sarama.ClusterAdmin, contract.Command) (contract.Answer, error){
	"topic-create":        topicCreate,
	"topic-list":          topicList,
	"topic-describe":      topicDescribe,
	"topic-delete":        topicDelete,
	"partitions-create":   partitionsCreate,
	"configs-describe":    configsDescribe,
	"configs-alter":       configsAlter,
	"offsets-list":        offsetsList,
	"groups-list":         groupsList,
	"group-describe":      groupDescribe,
	"group-delete":        groupDelete,
	"group-offsets":       groupOffsets,
	"group-offsets-alter": groupOffsetsAlter,
	"records-delete":      recordsDelete,
}

// refusal is nil for no error: sarama's codes are errors even when they are 0.
func refusal(code sarama.KError) error {
	if code == sarama.ErrNoError {
		return nil
	}
	return code
}

func topicCreate(admin sarama.ClusterAdmin, c contract.Command) (contract.Answer, error) {
	configs := map[string]*string{}
	for key, value := range c.Configs {
		configs[key] = &value
	}
	return nil, admin.CreateTopic(c.Topic, &sarama.TopicDetail{NumPartitions: c.Partitions, ReplicationFactor: 1, ConfigEntries: configs}, false)
}

func topicList(admin sarama.ClusterAdmin, _ contract.Command) (contract.Answer, error) {
	topics, err := admin.ListTopics()
	names := []string{}
	for name := range topics {
		names = append(names, name)
	}
	return contract.Answer{"topics": names}, err
}

func topicDescribe(admin sarama.ClusterAdmin, c contract.Command) (contract.Answer, error) {
	topics, err := admin.DescribeTopics([]string{c.Topic})
	if err != nil {
		return nil, err
	}
	return contract.Answer{"partitions": len(topics[0].Partitions)}, refusal(topics[0].Err)
}

func topicDelete(admin sarama.ClusterAdmin, c contract.Command) (contract.Answer, error) {
	return nil, admin.DeleteTopic(c.Topic)
}

func partitionsCreate(admin sarama.ClusterAdmin, c contract.Command) (contract.Answer, error) {
	return nil, admin.CreatePartitions(c.Topic, int32(c.Total), nil, false)
}

func configsDescribe(admin sarama.ClusterAdmin, c contract.Command) (contract.Answer, error) {
	entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: c.Topic})
	configs := map[string]string{}
	for _, entry := range entries {
		configs[entry.Name] = entry.Value
	}
	return contract.Answer{"configs": configs}, err
}

func configsAlter(admin sarama.ClusterAdmin, c contract.Command) (contract.Answer, error) {
	set := map[string]sarama.IncrementalAlterConfigsEntry{
		c.Key: {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &c.Value},
	}
	return nil, admin.IncrementalAlterConfig(sarama.TopicResource, c.Topic, set, false)
}

func offsetsList(admin sarama.ClusterAdmin, c contract.Command) (contract.Answer, error) {
	found := contract.Answer{}
	for name, at := range map[string]int64{"earliest": sarama.OffsetOldest, "latest": sarama.OffsetNewest} {
		listed, err := admin.ListOffsets(map[string]map[int32]int64{c.Topic: {c.Partition: at}}, nil)
		if err != nil {
			return nil, err
		}
		result := listed[c.Topic][c.Partition]
		if result == nil {
			return nil, fmt.Errorf("no answer for %s-%d", c.Topic, c.Partition)
		}
		if result.Err != nil && result.Err != sarama.ErrNoError {
			return nil, result.Err
		}
		found[name] = result.Offset
	}
	return found, nil
}

func groupsList(admin sarama.ClusterAdmin, _ contract.Command) (contract.Answer, error) {
	groups, err := admin.ListConsumerGroups()
	names := []string{}
	for name := range groups {
		names = append(names, name)
	}
	return contract.Answer{"groups": names}, err
}

func groupDescribe(admin sarama.ClusterAdmin, c contract.Command) (contract.Answer, error) {
	groups, err := admin.DescribeConsumerGroups([]string{c.Group})
	if err != nil {
		return nil, err
	}
	return contract.Answer{"state": groups[0].State, "members": len(groups[0].Members)}, refusal(groups[0].Err)
}

func groupDelete(admin sarama.ClusterAdmin, c contract.Command) (contract.Answer, error) {
	return nil, admin.DeleteConsumerGroup(c.Group)
}

func groupOffsets(admin sarama.ClusterAdmin, c contract.Command) (contract.Answer, error) {
	fetched, err := admin.ListConsumerGroupOffsets(c.Group, nil)
	if err != nil {
		return nil, err
	}
	offsets := map[int32]int64{}
	for partition, block := range fetched.Blocks[c.Topic] {
		if block.Err != sarama.ErrNoError {
			return nil, block.Err
		}
		offsets[partition] = block.Offset
	}
	return contract.Answer{"offsets": offsets}, refusal(fetched.Err)
}

func groupOffsetsAlter(admin sarama.ClusterAdmin, c contract.Command) (contract.Answer, error) {
	to := map[string]map[int32]sarama.OffsetAndMetadata{c.Topic: {c.Partition: {Offset: c.OffsetOr(0), LeaderEpoch: -1}}}
	committed, err := admin.AlterConsumerGroupOffsets(c.Group, to, nil)
	if err != nil {
		return nil, err
	}
	return nil, refusal(committed.Errors[c.Topic][c.Partition])
}

func recordsDelete(admin sarama.ClusterAdmin, c contract.Command) (contract.Answer, error) {
	return nil, admin.DeleteRecords(c.Topic, map[int32]int64{c.Partition: c.OffsetOr(0)})
}
