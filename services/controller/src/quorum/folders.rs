//! Folders that survive a crash.

use std::io;
use std::path::Path;

use ottla_runtime::seams::Disk;

/// Makes a folder and those above it, durable when this returns: the name of each new one is synced in the one above.
pub(crate) fn create_durably(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let is_missing = |folder: &&Path| !disk.exists(folder).unwrap_or(false);
    let mut missing: Vec<_> = dir.ancestors().take_while(is_missing).collect();
    disk.create_dir_all(dir)?;
    // One that is there may be of a start that crashed before its name was durable.
    missing.push(dir);
    for folder in missing.into_iter().rev() {
        match folder.parent() {
            Some(above) if !above.as_os_str().is_empty() => disk.sync_dir(above)?,
            _ => {}
        }
    }
    Ok(())
}
