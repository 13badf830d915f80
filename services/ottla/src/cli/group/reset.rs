//! `ottla group reset`: a group's committed offsets, set in each of the ways of Kafka's own tool.
//!
//! Invariant: exactly one target is given; without `--all-topics` or a file the topics are named.

use std::path::{Path, PathBuf};

use ottla_proto::admin::v1 as proto;
use ottla_proto::admin::v1::group_service_client::GroupServiceClient;
use ottla_proto::admin::v1::reset_group_offsets_request::Target;
use ottla_runtime::config::read_config_file;
use ottla_runtime::seams::RealDisk;
use serde::Serialize;
use tonic::transport::Channel;

use super::when::{self, Age, Instant};
use crate::cli::admin::Admin;
use crate::cli::failure::Failure;
use crate::cli::output::{Format, Rows};

/// What `reset` is told.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("target").required(true),
    group = clap::ArgGroup::new("scope").required(true).multiple(true)
)]
pub(in crate::cli) struct ResetArgs {
    /// The group's id.
    name: String,
    /// A topic, or some of its partitions; can be given several times.
    #[arg(long, value_name = "TOPIC[:P,P]", group = "scope", value_parser = topic_partitions)]
    topic: Vec<Scope>,
    /// All topics that the group has offsets of.
    #[arg(long, group = "scope", conflicts_with = "topic")]
    all_topics: bool,
    /// To the first record.
    #[arg(long, group = "target")]
    to_earliest: bool,
    /// To the end: only what comes from now on.
    #[arg(long, group = "target")]
    to_latest: bool,
    /// To the committed offset; to the end where nothing is committed.
    #[arg(long, group = "target")]
    to_current: bool,
    /// To this offset.
    #[arg(
        long,
        value_name = "OFFSET",
        group = "target",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i64).range(0..)
    )]
    to_offset: Option<i64>,
    /// By so many records; back if negative.
    #[arg(long, value_name = "N", group = "target", allow_negative_numbers = true)]
    shift_by: Option<i64>,
    /// To the first record since a time: 2026-11-24T17:00:00, in UTC unless it ends with an offset such as +02:00.
    #[arg(long, value_name = "TIME", group = "target", value_parser = when::instant)]
    to_datetime: Option<Instant>,
    /// To the first record of the last so long: PT2H30M, or 2h30m.
    #[arg(long, value_name = "DURATION", group = "target", value_parser = when::age)]
    by_duration: Option<Age>,
    /// To the offsets of a file, a line each: TOPIC,PARTITION,OFFSET.
    #[arg(long, value_name = "FILE", groups = ["target", "scope"], conflicts_with_all = ["topic", "all_topics"])]
    from_file: Option<PathBuf>,
    /// Only show what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// A topic, or some of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Scope {
    topic: String,
    /// None: all of them.
    partitions: Vec<i32>,
}

#[derive(Serialize)]
struct Reset {
    group: String,
    dry_run: bool,
    partitions: Vec<PartitionReset>,
}

#[derive(Serialize)]
struct PartitionReset {
    topic: String,
    partition: i32,
    before: Option<i64>,
    offset: i64,
    note: Option<String>,
}

/// Sets them, or shows what would be set.
pub(super) async fn run(
    admin: &Admin,
    client: &mut GroupServiceClient<Channel>,
    args: ResetArgs,
    format: Format,
) -> Result<(), Failure> {
    let (group, dry_run) = (args.name.clone(), args.dry_run);
    let done = admin.answer(client.reset_group_offsets(request(args)?).await)?;
    let partitions = done.offsets.into_iter().map(PartitionReset::from).collect();
    format.print(&Reset { group, dry_run, partitions })?;
    if dry_run && format == Format::Table {
        println!("\ndry run: nothing was changed");
    }
    Ok(())
}

fn request(args: ResetArgs) -> Result<proto::ResetGroupOffsetsRequest, Failure> {
    let target = target(&args)?;
    let scope =
        |scope: Scope| proto::TopicPartitions { topic: scope.topic, partitions: scope.partitions };
    Ok(proto::ResetGroupOffsetsRequest {
        id: args.name,
        scope: args.topic.into_iter().map(scope).collect(),
        target: Some(target),
        validate_only: args.dry_run,
        ..Default::default()
    })
}

fn target(args: &ResetArgs) -> Result<Target, Failure> {
    let position = |position: proto::ResetPosition| Target::Position(position.into());
    let chosen = [
        args.to_earliest.then(|| position(proto::ResetPosition::Earliest)),
        args.to_latest.then(|| position(proto::ResetPosition::Latest)),
        args.to_current.then(|| position(proto::ResetPosition::Current)),
        args.to_offset.map(Target::Offset),
        args.shift_by.map(Target::Shift),
        args.to_datetime.map(|time| Target::Time(time.into())),
        args.by_duration.map(|age| Target::Age(age.into())),
    ];
    match (chosen.into_iter().flatten().next(), &args.from_file) {
        (Some(target), _) => Ok(target),
        (None, Some(file)) => Ok(Target::Listed(listed(file)?)),
        // The parser asks for one.
        (None, None) => Err(Failure::local("no target; say where to, such as --to-earliest")),
    }
}

fn listed(file: &Path) -> Result<proto::PartitionOffsets, Failure> {
    let told = |cause: String| Failure::local(format!("{}: {cause}", file.display()));
    let read = read_config_file(&RealDisk, file);
    let text = read.map_err(|error| told(format!("{error}; name a file that can be read")))?.text;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let offsets = lines.map(|(number, line)| {
        partition_offset(line).ok_or_else(|| {
            told(format!("line {number}, {line:?}, is not TOPIC,PARTITION,OFFSET; write it so"))
        })
    });
    Ok(proto::PartitionOffsets { offsets: offsets.collect::<Result<_, _>>()? })
}

fn partition_offset(line: &str) -> Option<proto::PartitionOffset> {
    let fields: Vec<_> = line.split(',').map(|field| field.trim().trim_matches('"')).collect();
    let [topic, partition, offset] = fields[..] else { return None };
    Some(proto::PartitionOffset {
        topic: topic.to_owned(),
        partition: partition.parse().ok()?,
        offset: offset.parse().ok()?,
    })
}

/// `TOPIC`, or `TOPIC:0,3`.
fn topic_partitions(text: &str) -> Result<Scope, String> {
    let (topic, partitions) = text.split_once(':').unwrap_or((text, ""));
    let wrong = || format!("{text:?} is not TOPIC or TOPIC:P,P; write, say, orders:0,3");
    let partition = |index: &str| index.trim().parse().ok().filter(|index: &i32| *index >= 0);
    let partitions: Option<Vec<i32>> = match (text.contains(':'), topic.is_empty()) {
        (_, true) => None,
        (false, _) => Some(Vec::new()),
        (true, _) => partitions.split(',').map(partition).collect(),
    };
    Ok(Scope { topic: topic.to_owned(), partitions: partitions.ok_or_else(wrong)? })
}

impl From<proto::ResetOffset> for PartitionReset {
    fn from(reset: proto::ResetOffset) -> Self {
        Self {
            topic: reset.topic,
            partition: reset.partition,
            before: reset.previous_offset,
            offset: reset.offset,
            note: Some(reset.note).filter(|note| !note.is_empty()),
        }
    }
}

impl Rows for Reset {
    fn heads(&self) -> Vec<&'static str> {
        vec!["GROUP", "TOPIC", "PARTITION", "BEFORE", "NEW-OFFSET", "NOTE"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |one: &PartitionReset| {
            vec![
                self.group.clone(),
                one.topic.clone(),
                one.partition.to_string(),
                one.before.map_or_else(|| "-".to_owned(), |offset| offset.to_string()),
                one.offset.to_string(),
                one.note.clone().unwrap_or_default(),
            ]
        };
        self.partitions.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests;
