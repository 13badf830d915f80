//! Groups: how many in which state, what they committed, and how far they are behind.
//!
//! Invariant: the coordinator's node tells what was committed, of every partition; lag is told by it too, but only of partitions
//! that it leads itself, because nobody else knows their watermark. Of the others a recording rule makes it of what was committed
//! and of `kafka_topic_partition_current_offset` of the leader (`deploy/prometheus/rules.yaml`); how many they are is told.

use ottla_coordinator::GroupState;
use ottla_metadata::Image;
use ottla_runtime::metrics::{Kind, Scrape};
use ottla_types::TopicPartition;

use super::SourceParts;
use crate::coordinator::{CommittedAt, MAX_PICTURED_GROUPS, MAX_PICTURED_OFFSETS, Picture};
use crate::figures::NodeFigures;

/// All states of a group, with the end of Kafka's name for their number.
const STATES: [(GroupState, &str); 5] = [
    (GroupState::Empty, "empty"),
    (GroupState::PreparingRebalance, "preparingrebalance"),
    (GroupState::CompletingRebalance, "completingrebalance"),
    (GroupState::Stable, "stable"),
    (GroupState::Dead, "dead"),
];
/// What Kafka's names of these figures begin with.
const KAFKAS: &str = "kafka_coordinator_group_groupmetadatamanager";

/// A committed offset, and how far it is behind.
struct Seen<'a> {
    at: &'a CommittedAt,
    partition: String,
    lag: Option<i64>,
}

/// Writes all families of groups.
pub(super) fn write(parts: &SourceParts, pictures: &[Picture], scrape: &mut Scrape) {
    write_counts(pictures, scrape);
    write_members(pictures, scrape);
    let image = parts.metadata.image();
    let offsets = pictures.iter().flat_map(|picture| &picture.offsets).take(MAX_PICTURED_OFFSETS);
    let seen: Vec<Seen<'_>> = offsets.map(|at| see(&image, &parts.figures, at)).collect();
    let help = "Committed offsets of partitions that other nodes lead: their lag is not told here";
    let elsewhere = seen.iter().filter(|seen| seen.lag.is_none()).count();
    scrape.gauge("ottla_group_offsets_elsewhere", help, elsewhere);
    let all: usize = pictures.iter().map(|picture| picture.offset_count).sum();
    let help = "Committed offsets that are left out of the figures by partition";
    scrape.gauge("ottla_group_offsets_left_out", help, all - seen.len().min(all));
    write_offsets(&seen, scrape);
}

fn see<'a>(image: &Image, figures: &NodeFigures, at: &'a CommittedAt) -> Seen<'a> {
    let topic = image.topic_ids.get(at.topic.as_str());
    let id = topic.map(|topic| TopicPartition { topic: *topic, partition: at.partition });
    let state = id.and_then(|id| figures.get(id)).map(|figures| figures.state());
    let state = state.filter(|state| state.leads);
    let lag = state.map(|state| (state.high_watermark.0 - at.offset.0).max(0));
    Seen { at, partition: at.partition.0.to_string(), lag }
}

fn write_counts(pictures: &[Picture], scrape: &mut Scrape) {
    let count = |state: GroupState| -> usize {
        pictures.iter().filter_map(|picture| picture.states.get(&state)).sum()
    };
    let mut family =
        scrape.family(Kind::Gauge, "ottla_groups", "Groups that this node coordinates, by state");
    for (state, _) in STATES {
        family.add(&[("state", state.name())], count(state));
    }
    for (state, name) in STATES {
        scrape.gauge(&format!("{KAFKAS}_numgroups{name}"), "Groups in this state", count(state));
    }
    let groups: usize = pictures.iter().map(|picture| picture.group_count).sum();
    scrape.gauge(&format!("{KAFKAS}_numgroups"), "Groups that this node coordinates", groups);
    let offsets: usize = pictures.iter().map(|picture| picture.offset_count).sum();
    scrape.gauge(&format!("{KAFKAS}_numoffsets"), "Committed offsets of these groups", offsets);
}

fn write_members(pictures: &[Picture], scrape: &mut Scrape) {
    let groups = || pictures.iter().flat_map(|picture| &picture.members).take(MAX_PICTURED_GROUPS);
    let mut family = scrape.family(Kind::Gauge, "ottla_group_members", "Members of a group");
    groups().for_each(|(group, members)| family.add(&[("group", group.as_str())], members));
    let mut family =
        scrape.family(Kind::Gauge, "kafka_consumergroup_members", "Members of a group");
    groups().for_each(|(group, members)| family.add(&[("consumergroup", group.as_str())], members));
}

/// Its name, the name of its label for the group, its help, its value.
type OfOffset = (&'static str, &'static str, &'static str, fn(&Seen<'_>) -> Option<i64>);

fn write_offsets(seen: &[Seen<'_>], scrape: &mut Scrape) {
    let families: [OfOffset; 4] = [
        ("ottla_group_committed_offset", "group", "Offset that a group committed", |s| {
            Some(s.at.offset.0)
        }),
        (
            "ottla_group_lag_records",
            "group",
            "Records between a group and the high watermark, where it is led here",
            |s| s.lag,
        ),
        (
            "kafka_consumergroup_current_offset",
            "consumergroup",
            "Offset that a group committed",
            |s| Some(s.at.offset.0),
        ),
        (
            "kafka_consumergroup_lag",
            "consumergroup",
            "Records between a group and the high watermark, where it is led here",
            |s| s.lag,
        ),
    ];
    for (name, label, help, value) in families {
        let mut family = scrape.family(Kind::Gauge, name, help);
        for seen in seen {
            let Some(value) = value(seen) else { continue };
            let (group, topic) = (seen.at.group.as_str(), seen.at.topic.as_str());
            family.add(&[(label, group), ("topic", topic), ("partition", &seen.partition)], value);
        }
    }
}
