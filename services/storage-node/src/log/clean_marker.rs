//! `.kafka_cleanshutdown`: says that a log directory was left in order (R10).
//!
//! Invariant: it is written and synced when everything else is, and removed and synced before anything else changes.

use std::io;
use std::path::Path;

use ottla_runtime::seams::Disk;
use ottla_types::BrokerEpoch;

use super::text_file;

const NAME: &str = ".kafka_cleanshutdown";
const EPOCH_KEY: &str = "\"brokerEpoch\":";

/// What the marker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanMarker {
    /// Epoch of the registration under which the node stopped; `None` if the marker does not say.
    pub broker_epoch: Option<BrokerEpoch>,
}

/// Writes the marker; durable once it returned.
///
/// # Errors
/// The disk's own.
pub fn write_clean_marker(
    disk: &dyn Disk,
    log_dir: &Path,
    broker_epoch: BrokerEpoch,
) -> io::Result<()> {
    let text = format!("{{\"version\":0,{EPOCH_KEY}{broker_epoch}}}");
    text_file::replace(disk, &log_dir.join(NAME), text.as_bytes())
}

/// Removes the marker, if it is there, and says what it said; it is gone for good once this returned.
///
/// # Errors
/// The disk's own.
pub fn remove_clean_marker(disk: &dyn Disk, log_dir: &Path) -> io::Result<Option<CleanMarker>> {
    let path = log_dir.join(NAME);
    let Some(bytes) = text_file::read(disk, &path)? else { return Ok(None) };
    disk.remove_file(&path)?;
    disk.sync_dir(log_dir)?;
    Ok(Some(CleanMarker { broker_epoch: broker_epoch(&String::from_utf8_lossy(&bytes)) }))
}

fn broker_epoch(text: &str) -> Option<BrokerEpoch> {
    let (_, rest) = text.split_once(EPOCH_KEY)?;
    let rest = rest.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok().map(BrokerEpoch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_runtime::seams::SimDisk;

    #[test]
    fn the_marker_survives_a_crash_and_its_removal_does_too() {
        for seed in 0..50 {
            let (disk, dir) = (SimDisk::new(seed), Path::new("/"));
            assert_eq!(remove_clean_marker(&disk, dir).unwrap(), None);
            write_clean_marker(&disk, dir, BrokerEpoch(7)).unwrap();
            disk.crash();
            let marker = CleanMarker { broker_epoch: Some(BrokerEpoch(7)) };
            assert_eq!(remove_clean_marker(&disk, dir).unwrap(), Some(marker));
            disk.crash();
            assert_eq!(remove_clean_marker(&disk, dir).unwrap(), None);
        }
    }

    #[test]
    fn a_marker_without_an_epoch_is_a_marker() {
        assert_eq!(broker_epoch(""), None);
        assert_eq!(broker_epoch("{\"version\":0,\"brokerEpoch\": -1}"), None);
        assert_eq!(broker_epoch("{\"brokerEpoch\": 12 }"), Some(BrokerEpoch(12)));
    }
}
