//! What scrapes see of a node: figures that follow what happened, and sums that never go back.

use ottla_api::storage::{Acks, DeleteRecordsPartition, DeleteRecordsRequest, topic_partition};
use ottla_runtime::metrics::{Format, Metrics};
use ottla_types::{ErrorCode, Offset};

use super::node::{Node, World, batch, context, eventually, fetch_request};

/// A figure at this moment.
async fn figure(node: &Node, name: &str) -> Option<f64> {
    let metrics = Metrics::new();
    node.handle.offer_metrics(&metrics);
    metrics.refresh().await;
    let text = metrics.write(Format::PlainText);
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    text.lines().find_map(value)
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_of_a_partition_go_with_it_and_the_sums_stay() {
    let world = World::new(81);
    let node = world.start().await;
    let topic = world.topic(&node, "t", 1, &[]).await;
    let id = topic_partition(topic, 0);
    node.produce(Acks::All, id, batch(&world.seams, &["a", "b", "c"])).await;
    let read = node.fetch(fetch_request(&[(id, 0)], 1, 0)).await;
    let bytes = read[0].records.len() as f64;
    let of = |name: &'static str| figure(&node, name);
    let all = "kafka_server_brokertopicmetrics_messagesin_total";
    let of_topic = "kafka_server_brokertopicmetrics_messagesin_total{topic=\"t\"}";
    let at = "kafka_topic_partition_current_offset{topic=\"t\",partition=\"0\"}";
    assert_eq!(
        (of(all).await, of(of_topic).await, of(at).await),
        (Some(3.0), Some(3.0), Some(3.0))
    );
    let size = "kafka_log_log_size{topic=\"t\",partition=\"0\"}";
    assert_eq!(of(size).await, Some(bytes), "what is read is all there is");
    assert_eq!(of("ottla_storage_read_bytes_total").await, Some(bytes));
    assert_eq!(of("ottla_storage_commit_seconds_count").await.map(|count| count > 0.0), Some(true));
    assert_eq!(of("kafka_server_kafkaserver_brokerstate").await, Some(3.0));
    let before = DeleteRecordsPartition { partition: id, before: Offset(2) };
    let request = DeleteRecordsRequest { partitions: vec![before] };
    node.storage.delete_records(context(), request).await.unwrap();
    let oldest = "kafka_topic_partition_oldest_offset{topic=\"t\",partition=\"0\"}";
    assert_eq!(of(oldest).await, Some(2.0), "told at once, though nobody writes");
    world.controller.delete_topic(topic);
    eventually(|| async { of(at).await.is_none() }).await;
    assert_eq!((of(all).await, of(of_topic).await, of(size).await), (Some(3.0), None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_failed_is_told() {
    let world = World::new(82);
    let node = world.start().await;
    let offline = "kafka_log_logmanager_offlinelogdirectorycount";
    assert_eq!(figure(&node, offline).await, Some(0.0));
    let id = topic_partition(world.topic(&node, "t", 1, &[]).await, 0);
    world.disk.fail_sync(|_| true);
    let refused = node.produce(Acks::All, id, batch(&world.seams, &["v"])).await;
    assert_eq!(refused.error, ErrorCode::KafkaStorageError);
    assert_eq!(figure(&node, offline).await, Some(1.0));
    assert_eq!(figure(&node, "kafka_server_replicamanager_leadercount").await, Some(0.0));
}
