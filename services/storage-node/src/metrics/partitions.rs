//! Partitions and topics: offsets, sizes, traffic, and whether enough replicas are in sync.
//!
//! Invariant: at most [`MAX_SCRAPED_PARTITIONS`] and [`MAX_SCRAPED_TOPICS`], in the order of their ids and names, so that it is the
//! same ones at each scrape; sums without labels count all.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_metadata::Image;
use ottla_metadata::image::Partition;
use ottla_runtime::metrics::{Kind, Scrape};
use ottla_types::{NodeId, TopicPartition};

use super::{MAX_SCRAPED_PARTITIONS, MAX_SCRAPED_TOPICS, SourceParts};
use crate::figures::{Count, PartitionFigures, PartitionState, Traffic};

/// One partition at the moment of the scrape.
struct Seen {
    figures: Arc<PartitionFigures>,
    partition: String,
    state: PartitionState,
    /// As the cluster has it; `None`: it does not know it yet, or any more.
    cluster: Option<Arc<Partition>>,
}

/// Writes all families of partitions and topics.
pub(super) fn write(parts: &SourceParts, scrape: &mut Scrape) {
    let image = parts.metadata.image();
    let all = parts.figures.partitions();
    let seen: Vec<Seen> = all.into_iter().map(|(id, figures)| see(&image, id, figures)).collect();
    write_counts(parts.node, &seen, scrape);
    write_traffic(&parts.figures.traffic, &seen, scrape);
    let shown = &seen[..seen.len().min(MAX_SCRAPED_PARTITIONS)];
    let help = "Partitions of this node that are left out of the figures by partition";
    scrape.gauge("ottla_storage_partitions_left_out", help, seen.len() - shown.len());
    for (name, help, value) in OF_HELD {
        write_family(scrape, (name, help), shown.iter().map(|seen| (seen, value(&seen.state))));
    }
    let led = || shown.iter().filter(|seen| seen.state.leads);
    for (name, help, value) in OF_LED {
        let values = led().map(|seen| (seen, value(seen)));
        write_family(scrape, (name, help), values);
    }
}

fn see(image: &Image, id: TopicPartition, figures: Arc<PartitionFigures>) -> Seen {
    let topic = image.topics.get(&id.topic);
    let index = usize::try_from(id.partition.0).ok();
    let cluster = topic.zip(index).and_then(|(topic, index)| topic.partitions.get(index)).cloned();
    Seen { state: figures.state(), partition: id.partition.0.to_string(), figures, cluster }
}

type Held = (&'static str, &'static str, fn(&PartitionState) -> i64);
type Led = (&'static str, &'static str, fn(&Seen) -> i64);

/// Of every partition that is held.
const OF_HELD: [Held; 9] = [
    ("ottla_partition_log_bytes", "Bytes of the segments of a replica", bytes),
    ("ottla_partition_log_start_offset", "First offset that can be read", start),
    ("ottla_partition_log_end_offset", "Offset of the next record", end),
    ("ottla_partition_high_watermark", "Offset below which readers see records", |s| {
        s.high_watermark.0
    }),
    ("ottla_partition_segments", "Segments of a replica", segments),
    ("kafka_log_log_size", "Bytes of the segments of a replica", bytes),
    ("kafka_log_log_logstartoffset", "First offset that can be read", start),
    ("kafka_log_log_logendoffset", "Offset of the next record", end),
    ("kafka_log_log_numlogsegments", "Segments of a replica", segments),
];

/// Of every partition that is led here, under the names of kafka-exporter.
const OF_LED: [Led; 7] = [
    ("kafka_topic_partition_current_offset", "Offset below which readers see records", |s| {
        s.state.high_watermark.0
    }),
    ("kafka_topic_partition_oldest_offset", "First offset that can be read", |s| s.state.start.0),
    ("kafka_topic_partition_leader", "Node that leads the partition", |s| {
        cluster(s, |p| p.leader.map_or(-1, |n| i64::from(n.0)))
    }),
    ("kafka_topic_partition_leader_is_preferred", "1 if the first replica leads", |s| {
        cluster(s, |p| i64::from(p.leader == p.replicas.first().copied()))
    }),
    ("kafka_topic_partition_replicas", "Replicas of the partition", |s| {
        cluster(s, |p| p.replicas.len() as i64)
    }),
    ("kafka_topic_partition_in_sync_replica", "Replicas that are in sync", |s| {
        cluster(s, |p| p.isr.len() as i64)
    }),
    ("kafka_topic_partition_under_replicated_partition", "1 if a replica is not in sync", |s| {
        cluster(s, |p| i64::from(is_short(p)))
    }),
];

fn bytes(state: &PartitionState) -> i64 {
    i64::try_from(state.bytes).unwrap_or(i64::MAX)
}

fn start(state: &PartitionState) -> i64 {
    state.start.0
}

fn end(state: &PartitionState) -> i64 {
    state.end.0
}

fn segments(state: &PartitionState) -> i64 {
    i64::try_from(state.segments).unwrap_or(i64::MAX)
}

fn cluster(seen: &Seen, value: impl Fn(&Partition) -> i64) -> i64 {
    seen.cluster.as_deref().map_or(0, value)
}

fn is_short(partition: &Partition) -> bool {
    partition.isr.len() < partition.replicas.len()
}

fn write_family<'a>(
    scrape: &mut Scrape,
    (name, help): (&str, &'static str),
    values: impl Iterator<Item = (&'a Seen, i64)>,
) {
    let mut family = scrape.family(Kind::Gauge, name, help);
    for (seen, value) in values {
        family.add(&[("topic", &seen.figures.topic), ("partition", &seen.partition)], value);
    }
}

/// How many partitions there are, and how many are in need.
fn write_counts(node: NodeId, seen: &[Seen], scrape: &mut Scrape) {
    let led = |is_so: &dyn Fn(&Seen, &Partition) -> bool| {
        let known = seen.iter().filter(|seen| seen.state.leads);
        known.filter(|seen| seen.cluster.as_deref().is_some_and(|p| is_so(seen, p))).count()
    };
    let offline = seen.iter().filter(|seen| {
        seen.cluster.as_deref().is_some_and(|partition| {
            partition.leader.is_none() && partition.replicas.contains(&node)
        })
    });
    let counts = [
        ("partitioncount", "Partitions that this node holds", seen.len()),
        ("leadercount", "Partitions that this node leads", led(&|_, _| true)),
        (
            "underreplicatedpartitions",
            "Partitions led here of which a replica is not in sync",
            led(&|_, p| is_short(p)),
        ),
        (
            "underminisrpartitioncount",
            "Partitions led here with fewer replicas in sync than min.insync.replicas",
            led(&|s, p| (p.isr.len() as u64) < s.state.min_isr),
        ),
        (
            "atminisrpartitioncount",
            "Partitions led here with as many replicas in sync as min.insync.replicas",
            led(&|s, p| p.isr.len() as u64 == s.state.min_isr),
        ),
        ("offlinereplicacount", "Partitions held here that nobody leads", offline.count()),
    ];
    for (name, help, count) in counts {
        scrape.gauge(&format!("kafka_server_replicamanager_{name}"), help, count);
    }
}

type Counted = (&'static str, &'static str, &'static str, fn(&Traffic) -> &Count);

/// Kafka's name, ours, and what it is.
const TRAFFIC: [Counted; 7] = [
    ("messagesin", "appended_records", "Records appended", |t| &t.records_in),
    ("bytesin", "appended_bytes", "Bytes of batches appended", |t| &t.bytes_in),
    ("bytesout", "read_bytes", "Bytes of batches given to readers", |t| &t.bytes_out),
    ("totalproducerequests", "appends", "Appends asked for, by partition", |t| &t.produces),
    ("failedproducerequests", "failed_appends", "Appends refused", |t| &t.failed_produces),
    ("totalfetchrequests", "reads", "Reads answered, by partition", |t| &t.fetches),
    ("failedfetchrequests", "failed_reads", "Reads refused", |t| &t.failed_fetches),
];

/// Ours are sums; Kafka's have, as there, a sum without label and a figure for each topic.
fn write_traffic(all: &Traffic, seen: &[Seen], scrape: &mut Scrape) {
    let mut topics: BTreeMap<&str, Vec<&Traffic>> = BTreeMap::new();
    for seen in seen {
        topics.entry(&seen.figures.topic).or_default().push(&seen.figures.traffic);
    }
    for (kafkas, ours, help, count) in TRAFFIC {
        scrape.counter(&format!("ottla_storage_{ours}"), help, count(all).get());
        let name = format!("kafka_server_brokertopicmetrics_{kafkas}");
        let mut family = scrape.family(Kind::Counter, &name, help);
        family.add(&[], count(all).get());
        for (topic, traffic) in topics.iter().take(MAX_SCRAPED_TOPICS) {
            let sum: u64 = traffic.iter().map(|traffic| count(traffic).get()).sum();
            family.add(&[("topic", topic)], sum);
        }
    }
    let help = "Topics of this node that are left out of the figures by topic";
    scrape.gauge(
        "ottla_storage_topics_left_out",
        help,
        topics.len().saturating_sub(MAX_SCRAPED_TOPICS),
    );
}
