//! Log directories: what is free, and what does not work any more.
//!
//! Invariant: a directory that does not answer costs a scrape its figure and nothing else.

use std::path::PathBuf;

use ottla_runtime::Seams;
use ottla_runtime::metrics::{Kind, Scrape};
use tokio::sync::oneshot;

use super::SourceParts;

/// The space of the disk that a directory is on, bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    free: u64,
    total: u64,
}

/// Asks the disks, away from the threads that serve; `None` where one does not say.
pub(super) async fn ask(seams: &Seams, dirs: &[PathBuf]) -> Vec<Option<Space>> {
    let (answer, answered) = oneshot::channel();
    let (disk, dirs) = (seams.disk.clone(), dirs.to_vec());
    let work = move || {
        let space = |dir: &PathBuf| {
            let (free, total) = (disk.free_space_bytes(dir), disk.total_space_bytes(dir));
            Some(Space { free: free.ok()?, total: total.ok()? })
        };
        // Whoever asked may be gone.
        _ = answer.send(dirs.iter().map(space).collect());
    };
    seams.tasks.run_blocking(Box::new(work)).await;
    answered.await.unwrap_or_default()
}

/// Writes all families of directories.
pub(super) fn write(parts: &SourceParts, space: &[Option<Space>], scrape: &mut Scrape) {
    let per_dir = parts.shards_per_dir;
    let has_failed = |dir: usize| parts.failures.any_of(dir * per_dir..(dir + 1) * per_dir);
    let offline = (0..parts.dirs.len()).filter(|dir| has_failed(*dir)).count();
    let help = "Log directories of which a part does not serve any more because its disk failed";
    scrape.gauge("ottla_storage_offline_log_dirs", help, offline);
    let name = "kafka_log_logmanager_offlinelogdirectorycount";
    scrape.gauge(name, "Log directories that failed", offline);
    let told = || parts.dirs.iter().zip(space).filter_map(|(dir, space)| Some((dir, (*space)?)));
    let help = "Bytes that are free on the disk of a log directory";
    let mut family = scrape.family(Kind::Gauge, "ottla_storage_log_dir_free_bytes", help);
    for (dir, space) in told() {
        family.add(&[("dir", &dir.to_string_lossy())], space.free);
    }
    let help = "Bytes of the disk of a log directory";
    let mut family = scrape.family(Kind::Gauge, "ottla_storage_log_dir_size_bytes", help);
    for (dir, space) in told() {
        family.add(&[("dir", &dir.to_string_lossy())], space.total);
    }
}
