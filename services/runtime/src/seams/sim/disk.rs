//! A disk in memory that loses whatever it is allowed to lose.
//!
//! Invariant: what `sync_data` returned for survives a crash once the file's name is durable; a name is durable once `sync_dir`
//! of its folder returned. Everything else is kept, lost or torn as the seed decides, each 512-byte sector by itself.
//! Deliberately kinder than a real disk in one thing only: a sector that was never written stays as it was.

mod content;
mod faults;
mod file;
mod handle;
mod names;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use faults::Faults;
use file::Loss;
use names::{DirNode, Names, Node, locked};
use rustix::io::Errno;

use crate::seams::{DirEntry, Disk, DiskFile, DiskLock, OpenMode, SimRng};

pub use file::{CrashDamage, SECTOR_BYTES};

/// What a disk without a set capacity says that it holds, and has free.
const UNLIMITED_BYTES: u64 = 1 << 50;

/// A simulated disk. Clones are the same disk, so a test keeps one and gives one to what it tests.
#[derive(Clone, Debug)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    rng: SimRng,
    names: Names,
    faults: Faults,
    locks: BTreeSet<PathBuf>,
    /// Counts crashes: handles and locks of an earlier life do nothing.
    life: u64,
    changes: u64,
}

impl SimDisk {
    /// An empty disk that holds the folder `/`.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            rng: SimRng::new(seed),
            names: Names::default(),
            faults: Faults::default(),
            locks: BTreeSet::new(),
            life: 0,
            changes: 0,
        })))
    }

    /// The power goes and comes back: unsynced bytes and names are kept, lost or torn as the seed decides. Open files and locks of
    /// before are dead. A cut of the power is over; other faults stay. Says what became of what was unsynced.
    pub fn crash(&self) -> CrashDamage {
        locked(&self.0).crash(None)
    }

    /// Like [`SimDisk::crash`], but nothing unsynced survives.
    pub fn crash_losing_all(&self) {
        locked(&self.0).crash(Some(Loss::All));
    }

    /// A process dies and the machine stays up (`kill -9`): nothing is lost, but its open files and locks are dead.
    pub fn kill_process(&self) {
        let mut state = locked(&self.0);
        state.life += 1;
        state.locks.clear();
    }

    /// Changes (writes, syncs, creations, renames, removals) so far: the crash points that a test can try one by one.
    pub fn changes(&self) -> u64 {
        locked(&self.0).changes
    }

    /// After `changes` more changes the power goes: the next one fails half done, and everything after it fails, until `crash`.
    pub fn cut_power_after(&self, changes: u64) {
        locked(&self.0).faults.changes_left = Some(changes);
    }

    /// Whether a cut that `cut_power_after` announced has happened, and no `crash` since.
    pub fn is_power_off(&self) -> bool {
        locked(&self.0).faults.power_is_off
    }

    /// Syncs of files for which `hits` says so fail with EIO; what was unsynced then is lost for good, though it can be read.
    pub fn fail_sync(&self, hits: impl Fn(&Path) -> bool + Send + Sync + 'static) {
        locked(&self.0).faults.syncs.push(Box::new(hits));
    }

    /// Reads of files for which `hits` says so fail with EIO.
    pub fn fail_reads(&self, hits: impl Fn(&Path) -> bool + Send + Sync + 'static) {
        locked(&self.0).faults.reads.push(Box::new(hits));
    }

    /// Writes to files for which `hits` says so fail with EIO.
    pub fn fail_writes(&self, hits: impl Fn(&Path) -> bool + Send + Sync + 'static) {
        locked(&self.0).faults.writes.push(Box::new(hits));
    }

    /// The lengths of all files may add up to this; what goes beyond fails with ENOSPC, a write after the part that fits.
    pub fn set_capacity_bytes(&self, bytes: Option<u64>) {
        locked(&self.0).faults.capacity_bytes = bytes;
    }

    /// Turns off all that `fail_sync`, `fail_reads`, `fail_writes`, `set_capacity_bytes` and `cut_power_after` turned on.
    pub fn heal(&self) {
        locked(&self.0).faults = Faults::default();
    }

    /// Turns one bit of a file, unseen: `bit` counts from the file's beginning (byte × 8 + bit).
    ///
    /// # Errors
    /// `NotFound` if there is no such file.
    pub fn flip_bit(&self, path: &Path, bit: u64) -> io::Result<()> {
        match locked(&self.0).names.node(path)? {
            Node::File(file) => locked(&file).flip_bit(bit),
            Node::Dir(_) => return Err(io::ErrorKind::IsADirectory.into()),
        }
        Ok(())
    }
}

impl State {
    fn crash(&mut self, loss: Option<Loss>) -> CrashDamage {
        self.life += 1;
        self.locks.clear();
        self.faults.power_is_off = false;
        self.faults.changes_left = None;
        let names_lost = self.names.crash(loss.is_none().then_some(&self.rng));
        let mut damage = CrashDamage { names_lost, ..CrashDamage::default() };
        for file in self.names.restart() {
            let mut file = locked(&file);
            file.lose_unsynced(&self.rng, loss, &mut damage);
            file.restart();
        }
        damage
    }

    /// Counts a change, does it unless it must fail, and answers.
    fn change(&mut self, act: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        let power = self.faults.change()?;
        self.changes += 1;
        act(self)?;
        power.answer()
    }

    fn used_bytes(&self) -> u64 {
        fn below(dir: &DirNode) -> u64 {
            let size = |(_, node): (String, Node)| match node {
                Node::Dir(dir) => below(&dir),
                Node::File(file) => locked(&file).volatile.len(),
            };
            dir.entries().into_iter().map(size).sum()
        }
        below(&self.names.root)
    }

    fn free_bytes(&self) -> u64 {
        self.faults
            .capacity_bytes
            .map_or(UNLIMITED_BYTES, |all| all.saturating_sub(self.used_bytes()))
    }

    fn create(&mut self, path: &Path) -> io::Result<names::FileNode> {
        let (dir, name) = self.names.parent(path)?;
        let file = names::FileNode::default();
        let node = Node::File(Arc::clone(&file));
        self.change(|state| {
            state.names.set(dir, name, Some(node));
            Ok(())
        })?;
        Ok(file)
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = locked(&self.0);
        state.faults.check_power()?;
        let found = match state.names.node(path) {
            Ok(Node::Dir(_)) => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(Node::File(_)) if mode == OpenMode::CreateNew => {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            Ok(Node::File(file)) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let is_new_allowed = matches!(mode, OpenMode::Create | OpenMode::CreateNew);
        let file = match found {
            Some(file) => file,
            None if is_new_allowed => state.create(path)?,
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        let life = state.life;
        Ok(Arc::new(handle::Handle {
            disk: Arc::clone(&self.0),
            file,
            path: path.to_owned(),
            mode,
            life,
        }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = locked(&self.0);
        state.faults.check_power()?;
        let mut dir = Arc::clone(&state.names.root);
        for name in names::components(path)? {
            dir = match dir.get(name) {
                Some(Node::Dir(there)) => there,
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => {
                    let made = DirNode::default();
                    let node = Node::Dir(Arc::clone(&made));
                    state.change(|state| {
                        state.names.set(dir, name, Some(node));
                        Ok(())
                    })?;
                    made
                }
            };
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let state = locked(&self.0);
        state.faults.check_read(dir)?;
        let entry = |(name, node)| match node {
            Node::Dir(_) => DirEntry { name, is_dir: true, len: 0 },
            Node::File(file) => DirEntry { name, is_dir: false, len: locked(&file).volatile.len() },
        };
        Ok(state.names.dir(dir)?.entries().into_iter().map(entry).collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = locked(&self.0);
        state.faults.check_power()?;
        match state.names.node(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        locked(&self.0).change(|state| state.names.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        locked(&self.0).change(|state| {
            let Node::File(_) = state.names.node(path)? else {
                return Err(io::ErrorKind::IsADirectory.into());
            };
            let (dir, name) = state.names.parent(path)?;
            state.names.set(dir, name, None);
            Ok(())
        })
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        locked(&self.0).change(|state| {
            let dir = state.names.dir(path)?;
            let (parent, name) = state.names.parent(path)?;
            state.names.remove_tree(parent, name, &dir);
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = locked(&self.0);
        faults::check(&state.faults.syncs, dir)?;
        let dir = state.names.dir(dir)?;
        let power = state.faults.change()?;
        state.changes += 1;
        // The power went before the sync was done: nothing new is promised.
        power.answer()?;
        state.names.sync(&dir);
        Ok(())
    }

    fn free_space_bytes(&self, dir: &Path) -> io::Result<u64> {
        let state = locked(&self.0);
        state.names.dir(dir)?;
        Ok(state.free_bytes())
    }

    fn total_space_bytes(&self, dir: &Path) -> io::Result<u64> {
        let state = locked(&self.0);
        state.names.dir(dir)?;
        Ok(state.faults.capacity_bytes.unwrap_or(UNLIMITED_BYTES))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.open(path, OpenMode::Create)?;
        let mut state = locked(&self.0);
        if !state.locks.insert(path.to_owned()) {
            return Err(Errno::WOULDBLOCK.into());
        }
        let life = state.life;
        Ok(Box::new(handle::Lock { disk: Arc::clone(&self.0), path: path.to_owned(), life }))
    }
}
