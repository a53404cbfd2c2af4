//! What a disk keeps when the power goes: only what was synced is certain.
//!
//! The model is meaner than the usual file systems. Of a file that was written after its last fsync any version, a torn one or
//! nothing may be left; of the changes of a folder's names (also of the folders made in it) after the folder's last fsync only
//! the first few may have arrived, each folder for itself.

use super::calls::{Call, Change};
use super::tree::{Node, Tree};
use crate::fleet::rng::SeededRng;
use muster_protocol::crypto::uniform;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A disk with the calls of an agent carried out on it.
#[derive(Clone, Debug)]
pub struct Disk {
    root: PathBuf,
    files: Vec<File>,
    folders: BTreeMap<PathBuf, Folder>,
}

#[derive(Clone, Debug)]
struct File {
    synced: Option<(Vec<u8>, u32)>,
    now: (Vec<u8>, u32),
}

#[derive(Clone, Debug, Default)]
struct Folder {
    mode: u32,
    synced: Names,
    later: Vec<Step>,
}

type Names = BTreeMap<OsString, Entry>;

#[derive(Clone, Debug)]
enum Entry {
    File(usize),
    Folder,
    Link(PathBuf),
}

#[derive(Clone, Debug)]
enum Step {
    Set(OsString, Entry),
    Remove(OsString),
    Rename(OsString, OsString),
}

impl Disk {
    /// A disk that holds `tree` below `root`, all of it synced.
    pub fn new(root: &Path, tree: &Tree) -> Disk {
        let mut disk = Disk { root: root.to_owned(), files: Vec::new(), folders: BTreeMap::new() };
        disk.folders.insert(PathBuf::new(), Folder::default());
        for (path, node) in &tree.nodes {
            let entry = match node {
                Node::Folder(mode) => {
                    disk.folders.insert(path.clone(), Folder { mode: *mode, ..Folder::default() });
                    Entry::Folder
                }
                Node::Link(target) => Entry::Link(target.clone()),
                Node::File { bytes, mode } => {
                    let now = (bytes.clone(), *mode);
                    disk.files.push(File { synced: Some(now.clone()), now });
                    Entry::File(disk.files.len() - 1)
                }
            };
            if let Some((folder, name)) = split(path)
                && let Some(folder) = disk.folders.get_mut(&folder)
            {
                folder.synced.insert(name, entry);
            }
        }
        disk
    }

    /// Carries out what was done of `calls`.
    pub fn replay(&mut self, calls: &[Call]) {
        for call in calls.iter().filter(|call| call.done) {
            self.carry_out(&call.change);
        }
    }

    /// What a program sees.
    pub fn now(&self) -> Tree {
        self.tree(|folder| folder.later.len(), |file| Some(file.now.clone()))
    }

    /// What is there when the power comes back; `seed` decides where there is a choice.
    pub fn crash(&self, seed: u64) -> Tree {
        let rng = &mut SeededRng::new(seed, "power cut", 0);
        let kept: BTreeMap<&PathBuf, usize> = self
            .folders
            .iter()
            .map(|(path, folder)| (path, uniform(rng, folder.later.len() as u64 + 1) as usize))
            .collect();
        let contents: Vec<_> = self.files.iter().map(|file| file.after_crash(rng)).collect();
        let mut tree = Tree::default();
        self.collect(Path::new(""), &mut tree, &|path, _| kept[path], &|number| contents[number].clone());
        tree
    }

    fn tree(&self, kept: impl Fn(&Folder) -> usize, contents: impl Fn(&File) -> Option<(Vec<u8>, u32)>) -> Tree {
        let mut tree = Tree::default();
        let contents = |number: usize| contents(&self.files[number]).unwrap_or_default();
        self.collect(Path::new(""), &mut tree, &|_, folder| kept(folder), &contents);
        tree
    }

    fn collect(
        &self,
        path: &Path,
        tree: &mut Tree,
        kept: &dyn Fn(&PathBuf, &Folder) -> usize,
        contents: &dyn Fn(usize) -> (Vec<u8>, u32),
    ) {
        let path = path.to_owned();
        let Some(folder) = self.folders.get(&path) else { return };
        for (name, entry) in folder.names(kept(&path, folder)) {
            let path = path.join(name);
            let node = match entry {
                Entry::Folder => Node::Folder(self.folders.get(&path).map_or(0o700, |folder| folder.mode)),
                Entry::Link(target) => Node::Link(target),
                Entry::File(number) => {
                    let (bytes, mode) = contents(number);
                    Node::File { bytes, mode }
                }
            };
            let is_folder = matches!(node, Node::Folder(_));
            tree.nodes.insert(path.clone(), node);
            if is_folder {
                self.collect(&path, tree, kept, contents);
            }
        }
    }

    fn carry_out(&mut self, change: &Change) {
        match change {
            Change::Open { path, create, empty, mode } => self.open(path, *create, *empty, *mode),
            Change::Write { path, bytes } => {
                if let Some(file) = self.file(path) {
                    file.now.0.extend_from_slice(bytes);
                }
            }
            Change::Permit { path, mode } => {
                if let Some(file) = self.file(path) {
                    file.now.1 = *mode;
                }
            }
            Change::Sync { path } => self.sync(path),
            Change::Rename { from, to } => {
                let (Some((folder, from)), Some((_, to))) = (self.place(from), self.place(to)) else { return };
                self.step(&folder, Step::Rename(from, to));
            }
            Change::Link { from, to } => {
                let Some(number) = self.number(from) else { return };
                let Some((folder, name)) = self.place(to) else { return };
                self.step(&folder, Step::Set(name, Entry::File(number)));
            }
            Change::Unlink { path } => {
                let Some((folder, name)) = self.place(path) else { return };
                self.step(&folder, Step::Remove(name));
            }
            Change::Mkdir { path, mode } => {
                let (Some((folder, name)), Some(path)) = (self.place(path), self.below(path)) else { return };
                self.step(&folder, Step::Set(name, Entry::Folder));
                self.folders.insert(path, Folder { mode: mode & !0o022, ..Folder::default() });
            }
            Change::Netlink | Change::Heard | Change::Datagram | Change::HostName | Change::Nothing => {}
        }
    }

    fn open(&mut self, path: &Path, create: bool, empty: bool, mode: u32) {
        match self.file(path) {
            Some(file) if empty => file.now.0.clear(),
            Some(_) => {}
            None if create => {
                let Some((folder, name)) = self.place(path) else { return };
                self.files.push(File { synced: None, now: (Vec::new(), mode & !0o022) });
                let entry = Entry::File(self.files.len() - 1);
                self.step(&folder, Step::Set(name, entry));
            }
            None => {}
        }
    }

    fn sync(&mut self, path: &Path) {
        if let Some(file) = self.file(path) {
            file.synced = Some(file.now.clone());
        } else if let Some(folder) = self.below(path).and_then(|path| self.folders.get_mut(&path)) {
            folder.synced = folder.names(folder.later.len());
            folder.later.clear();
        }
    }

    fn step(&mut self, folder: &Path, step: Step) {
        if let Some(folder) = self.folders.get_mut(folder) {
            folder.later.push(step);
        }
    }

    fn file(&mut self, path: &Path) -> Option<&mut File> {
        let number = self.number(path)?;
        self.files.get_mut(number)
    }

    fn number(&self, path: &Path) -> Option<usize> {
        let (folder, name) = self.place(path)?;
        let folder = self.folders.get(&folder)?;
        match folder.names(folder.later.len()).get(&name) {
            Some(Entry::File(number)) => Some(*number),
            _ => None,
        }
    }

    fn below(&self, path: &Path) -> Option<PathBuf> {
        path.strip_prefix(&self.root).ok().map(Path::to_owned)
    }

    fn place(&self, path: &Path) -> Option<(PathBuf, OsString)> {
        split(&self.below(path)?)
    }
}

impl Folder {
    /// Its names once the first `kept` later steps have arrived.
    fn names(&self, kept: usize) -> Names {
        let mut names = self.synced.clone();
        for step in &self.later[..kept] {
            match step {
                Step::Set(name, entry) => {
                    names.insert(name.clone(), entry.clone());
                }
                Step::Remove(name) => {
                    names.remove(name);
                }
                Step::Rename(from, to) => {
                    if let Some(entry) = names.remove(from) {
                        names.insert(to.clone(), entry);
                    }
                }
            }
        }
        names
    }
}

impl File {
    fn after_crash(&self, rng: &mut SeededRng) -> (Vec<u8>, u32) {
        if self.synced.as_ref() == Some(&self.now) {
            return self.now.clone();
        }
        let (mut bytes, mode) = self.now.clone();
        let cut = uniform(rng, bytes.len() as u64 + 1) as usize;
        match uniform(rng, 5) {
            0 => return self.synced.clone().unwrap_or_default(),
            1 => bytes.clear(),
            2 => bytes.truncate(cut),
            // The length arrived, the contents did not.
            3 => bytes[cut..].fill(0),
            _ => {}
        }
        (bytes, mode)
    }
}

fn split(path: &Path) -> Option<(PathBuf, OsString)> {
    Some((path.parent()?.to_owned(), path.file_name()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn file(text: &str) -> Node {
        Node::File { bytes: text.into(), mode: 0o600 }
    }

    /// Replaces `/d/a` and syncs as `syncs` says: the file, the folder.
    fn outcomes(syncs: (bool, bool)) -> BTreeSet<Option<Vec<u8>>> {
        let nodes = [("a".into(), file("former"))].into();
        let mut disk = Disk::new(Path::new("/d"), &Tree { nodes });
        let path = |name: &str| Path::new("/d").join(name);
        let mut changes = vec![
            Change::Open { path: path("b"), create: true, empty: false, mode: 0o600 },
            Change::Write { path: path("b"), bytes: b"latest".to_vec() },
        ];
        if syncs.0 {
            changes.push(Change::Sync { path: path("b") });
        }
        changes.push(Change::Rename { from: path("b"), to: path("a") });
        if syncs.1 {
            changes.push(Change::Sync { path: "/d".into() });
        }
        changes.iter().for_each(|change| disk.carry_out(change));
        assert_eq!(disk.now().nodes, [("a".into(), file("latest"))].into());
        let crash = |seed| match disk.crash(seed).nodes.remove(Path::new("a")) {
            Some(Node::File { bytes, .. }) => Some(bytes),
            _ => None,
        };
        (0..300).map(crash).collect()
    }

    #[test]
    fn only_what_was_synced_is_certain() {
        let whole = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(outcomes((true, true)), [whole("latest")].into());
        assert_eq!(outcomes((true, false)), [whole("former"), whole("latest")].into());
        let torn = outcomes((false, true));
        assert!(torn.contains(&whole("")) && torn.contains(&whole("lat")) && !torn.contains(&whole("former")));
        assert!(torn.contains(&whole("l\0\0\0\0\0")) && torn.contains(&whole("latest")));
    }

    #[test]
    fn a_folder_that_nobody_synced_takes_what_is_in_it_away() {
        let mut disk = Disk::new(Path::new("/d"), &Tree::default());
        let path = |name: &str| Path::new("/d").join(name);
        for change in [
            Change::Mkdir { path: path("e"), mode: 0o755 },
            Change::Open { path: path("e/f"), create: true, empty: false, mode: 0o600 },
            Change::Sync { path: path("e/f") },
            Change::Sync { path: path("e") },
        ] {
            disk.carry_out(&change);
        }
        let left: BTreeSet<usize> = (0..50).map(|seed| disk.crash(seed).nodes.len()).collect();
        assert_eq!(left, [0, 2].into());
        disk.carry_out(&Change::Sync { path: "/d".into() });
        assert_eq!(disk.crash(1).nodes.len(), 2);
    }
}
