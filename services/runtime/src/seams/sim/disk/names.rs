//! The folders of a simulated disk: names as processes see them, and as a crash leaves them.
//!
//! Invariant: of each folder's unsynced changes a crash keeps a prefix; a rename happens in both of its folders or in none.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::file::FileState;
use crate::seams::SimRng;

pub(super) type FileNode = Arc<Mutex<FileState>>;
pub(super) type DirNode = Arc<Dir>;

/// The simulated disk's own lock orders all access, so these never wait.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    File(FileNode),
    Dir(DirNode),
}

#[derive(Debug, Default)]
pub(super) struct Dir {
    volatile: Mutex<BTreeMap<String, Node>>,
    durable: Mutex<BTreeMap<String, Node>>,
}

impl Dir {
    pub(super) fn entries(&self) -> Vec<(String, Node)> {
        locked(&self.volatile).iter().map(|(name, node)| (name.clone(), node.clone())).collect()
    }

    pub(super) fn get(&self, name: &str) -> Option<Node> {
        locked(&self.volatile).get(name).cloned()
    }
}

/// One name set or removed.
#[derive(Debug)]
struct NameChange {
    dir: DirNode,
    name: String,
    node: Option<Node>,
}

/// Changes that happen together.
type Step = Vec<NameChange>;

#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) root: DirNode,
    unsynced: Vec<Step>,
}

impl Names {
    pub(super) fn node(&self, path: &Path) -> io::Result<Node> {
        let mut node = Node::Dir(Arc::clone(&self.root));
        for name in components(path)? {
            let Node::Dir(dir) = &node else { return Err(io::ErrorKind::NotADirectory.into()) };
            node = dir.get(name).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(node)
    }

    pub(super) fn dir(&self, path: &Path) -> io::Result<DirNode> {
        match self.node(path)? {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// The folder that holds, or would hold, the last name of a path.
    pub(super) fn parent<'a>(&self, path: &'a Path) -> io::Result<(DirNode, &'a str)> {
        let name = *components(path)?.last().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.dir(parent)?, name))
    }

    pub(super) fn set(&mut self, dir: DirNode, name: &str, node: Option<Node>) {
        self.step(vec![NameChange { dir, name: name.to_owned(), node }]);
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.node(from)?;
        let (from_dir, from_name) = self.parent(from)?;
        let (to_dir, to_name) = self.parent(to)?;
        match (to_dir.get(to_name), &node) {
            (Some(Node::Dir(there)), Node::Dir(_)) if there.entries().is_empty() => {}
            (Some(Node::Dir(_)), Node::Dir(_)) => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            (Some(Node::Dir(_)), Node::File(_)) => return Err(io::ErrorKind::IsADirectory.into()),
            (Some(Node::File(_)), Node::Dir(_)) => return Err(io::ErrorKind::NotADirectory.into()),
            (Some(Node::File(_)), Node::File(_)) | (None, _) => {}
        }
        self.step(vec![
            NameChange { dir: from_dir, name: from_name.to_owned(), node: None },
            NameChange { dir: to_dir, name: to_name.to_owned(), node: Some(node) },
        ]);
        Ok(())
    }

    /// Removes what a folder holds, then the folder, each as a step of its own.
    pub(super) fn remove_tree(&mut self, parent: DirNode, name: &str, dir: &DirNode) {
        for (inner, node) in dir.entries() {
            match node {
                Node::Dir(below) => self.remove_tree(Arc::clone(dir), &inner, &below),
                Node::File(_) => self.set(Arc::clone(dir), &inner, None),
            }
        }
        self.set(parent, name, None);
    }

    fn step(&mut self, step: Step) {
        for change in &step {
            change.apply(&change.dir.volatile);
        }
        self.unsynced.push(step);
    }

    /// Makes the steps of this folder durable, with those of other folders that they need.
    pub(super) fn sync(&mut self, dir: &DirNode) {
        let mut wanted = vec![Arc::clone(dir)];
        let (mut kept, mut left) = (Vec::new(), Vec::new());
        for step in self.unsynced.drain(..).rev() {
            if touches(&step, &wanted) {
                wanted.extend(step.iter().map(|change| Arc::clone(&change.dir)));
                kept.push(step);
            } else {
                left.push(step);
            }
        }
        kept.iter().rev().for_each(apply_durably);
        left.reverse();
        self.unsynced = left;
    }

    /// Keeps a prefix of each folder's steps, nothing of the rest. Without an `rng` it keeps nothing. Says how many steps are lost.
    pub(super) fn crash(&mut self, rng: Option<&SimRng>) -> u64 {
        // A third of the crashes loses all names, a third none.
        let mood = rng.map_or(0, |rng| rng.below(3));
        let mut cut: Vec<DirNode> = Vec::new();
        let mut lost = 0;
        for step in std::mem::take(&mut self.unsynced) {
            let is_lost = match (mood, rng) {
                (0, _) | (_, None) => true,
                (1, _) => false,
                (_, Some(rng)) => rng.below(3) == 0,
            };
            if is_lost || touches(&step, &cut) {
                cut.extend(step.iter().map(|change| Arc::clone(&change.dir)));
                lost += 1;
            } else {
                apply_durably(&step);
            }
        }
        lost
    }

    /// Every file that can be reached by its durable names, in order of its path; and all folders show what is durable.
    pub(super) fn restart(&self) -> Vec<FileNode> {
        let mut files = Vec::new();
        restart_dir(&self.root, &mut files);
        files
    }
}

fn restart_dir(dir: &Dir, files: &mut Vec<FileNode>) {
    let durable = locked(&dir.durable).clone();
    for node in durable.values() {
        match node {
            Node::Dir(below) => restart_dir(below, files),
            Node::File(file) => files.push(Arc::clone(file)),
        }
    }
    *locked(&dir.volatile) = durable;
}

fn touches(step: &Step, dirs: &[DirNode]) -> bool {
    step.iter().any(|change| dirs.iter().any(|dir| Arc::ptr_eq(dir, &change.dir)))
}

fn apply_durably(step: &Step) {
    for change in step {
        change.apply(&change.dir.durable);
    }
}

impl NameChange {
    fn apply(&self, names: &Mutex<BTreeMap<String, Node>>) {
        let mut names = locked(names);
        match &self.node {
            Some(node) => _ = names.insert(self.name.clone(), node.clone()),
            None => _ = names.remove(&self.name),
        }
    }
}

/// The names of a path; relative paths begin at the root, as a simulated host has no working folder.
pub(super) fn components(path: &Path) -> io::Result<Vec<&str>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            Component::ParentDir => _ = names.pop(),
            Component::Normal(name) => {
                names.push(name.to_str().ok_or(io::ErrorKind::InvalidInput)?)
            }
        }
    }
    Ok(names)
}
