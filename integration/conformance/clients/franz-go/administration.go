package main

import (
	"context"

	"github.com/twmb/franz-go/pkg/kadm"
	contract "ottla.dev/conformance/clients/go-contract"
)

// The admin operations.
var administration = map[string]func(context.Context, *kadm.Client, contract.Command) (contract.Answer, error){
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

func topicCreate(ctx context.Context, admin *kadm.Client, c contract.Command) (contract.Answer, error) {
	configs := map[string]*string{}
	for key, value := range c.Configs {
		configs[key] = &value
	}
	_, err := admin.CreateTopic(ctx, c.Partitions, 1, configs, c.Topic)
	return nil, err
}

func topicList(ctx context.Context, admin *kadm.Client, _ contract.Command) (contract.Answer, error) {
	topics, err := admin.ListTopics(ctx)
	return contract.Answer{"topics": topics.Names()}, err
}

func topicDescribe(ctx context.Context, admin *kadm.Client, c contract.Command) (contract.Answer, error) {
	topics, err := admin.ListTopics(ctx, c.Topic)
	if err != nil {
		return nil, err
	}
	return contract.Answer{"partitions": len(topics[c.Topic].Partitions)}, topics[c.Topic].Err
}

func topicDelete(ctx context.Context, admin *kadm.Client, c contract.Command) (contract.Answer, error) {
	_, err := admin.DeleteTopic(ctx, c.Topic)
	return nil, err
}

func partitionsCreate(ctx context.Context, admin *kadm.Client, c contract.Command) (contract.Answer, error) {
	created, err := admin.UpdatePartitions(ctx, c.Total, c.Topic)
	if err != nil {
		return nil, err
	}
	return nil, created.Error()
}

func configsDescribe(ctx context.Context, admin *kadm.Client, c contract.Command) (contract.Answer, error) {
	described, err := admin.DescribeTopicConfigs(ctx, c.Topic)
	if err != nil {
		return nil, err
	}
	resource, err := described.On(c.Topic, nil)
	if err != nil {
		return nil, err
	}
	configs := map[string]string{}
	for _, config := range resource.Configs {
		configs[config.Key] = config.MaybeValue()
	}
	return contract.Answer{"configs": configs}, resource.Err
}

func configsAlter(ctx context.Context, admin *kadm.Client, c contract.Command) (contract.Answer, error) {
	altered, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: c.Key, Value: &c.Value}}, c.Topic)
	if err != nil {
		return nil, err
	}
	resource, err := altered.On(c.Topic, nil)
	if err != nil {
		return nil, err
	}
	return nil, resource.Err
}

func offsetsList(ctx context.Context, admin *kadm.Client, c contract.Command) (contract.Answer, error) {
	starts, err := admin.ListStartOffsets(ctx, c.Topic)
	if err != nil {
		return nil, err
	}
	ends, err := admin.ListEndOffsets(ctx, c.Topic)
	if err != nil {
		return nil, err
	}
	start, _ := starts.Lookup(c.Topic, c.Partition)
	end, _ := ends.Lookup(c.Topic, c.Partition)
	if start.Err != nil {
		return nil, start.Err
	}
	return contract.Answer{"earliest": start.Offset, "latest": end.Offset}, end.Err
}

func groupsList(ctx context.Context, admin *kadm.Client, _ contract.Command) (contract.Answer, error) {
	groups, err := admin.ListGroups(ctx)
	return contract.Answer{"groups": groups.Groups()}, err
}

func groupDescribe(ctx context.Context, admin *kadm.Client, c contract.Command) (contract.Answer, error) {
	described, err := admin.DescribeGroups(ctx, c.Group)
	if err != nil {
		return nil, err
	}
	group := described[c.Group]
	return contract.Answer{"state": group.State, "members": len(group.Members)}, group.Err
}

func groupDelete(ctx context.Context, admin *kadm.Client, c contract.Command) (contract.Answer, error) {
	_, err := admin.DeleteGroup(ctx, c.Group)
	return nil, err
}

func groupOffsets(ctx context.Context, admin *kadm.Client, c contract.Command) (contract.Answer, error) {
	fetched, err := admin.FetchOffsets(ctx, c.Group)
	if err != nil {
		return nil, err
	}
	offsets := map[int32]int64{}
	for partition, response := range fetched[c.Topic] {
		if response.Err != nil {
			return nil, response.Err
		}
		offsets[partition] = response.At
	}
	return contract.Answer{"offsets": offsets}, nil
}

func groupOffsetsAlter(ctx context.Context, admin *kadm.Client, c contract.Command) (contract.Answer, error) {
	to := kadm.Offsets{}
	to.AddOffset(c.Topic, c.Partition, c.OffsetOr(0), -1)
	return nil, admin.CommitAllOffsets(ctx, c.Group, to)
}

func recordsDelete(ctx context.Context, admin *kadm.Client, c contract.Command) (contract.Answer, error) {
	before := kadm.Offsets{}
	before.AddOffset(c.Topic, c.Partition, c.OffsetOr(0), -1)
	deleted, err := admin.DeleteRecords(ctx, before)
	if err != nil {
		return nil, err
	}
	return nil, deleted.Error()
}
