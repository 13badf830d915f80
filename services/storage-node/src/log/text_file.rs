//! Small files that are replaced as a whole.
//!
//! Invariant: after a crash either the old or the new content is there, never a mixture. Knows no content.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use ottla_runtime::seams::{Disk, OpenMode};

/// Largest small file that is read, in bytes: a checkpoint line of 280 bytes for 100,000 partitions is below it.
const MAX_SMALL_FILE_BYTES: u64 = 64 << 20;

/// Puts `bytes` in the place of the file at `path`; durable once it returned.
pub(super) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = draft_path(path);
    let file = disk.open(&draft, OpenMode::Create)?;
    file.set_len(0)?;
    file.write_all_at(&[IoSlice::new(bytes)], 0)?;
    file.sync_data()?;
    disk.rename(&draft, path)?;
    if let Some(dir) = path.parent() {
        disk.sync_dir(dir)?;
    }
    Ok(())
}

fn draft_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    path.with_file_name(name)
}

/// The bytes of a small file; `None` if it is not there.
pub(super) fn read(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let len = file.len()?;
    if len > MAX_SMALL_FILE_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{len} bytes are too many"),
        ));
    }
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(Some(bytes))
}
