//! The files below a folder as a value: to compare them, and to put them back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Names relative to the folder; a folder comes before what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// What is there.
    pub nodes: BTreeMap<PathBuf, Node>,
}

/// One name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A folder and its permissions.
    Folder(u32),
    /// A file.
    File {
        /// Its contents.
        bytes: Vec<u8>,
        /// Its permissions.
        mode: u32,
    },
    /// A symbolic link.
    Link(PathBuf),
}

impl Tree {
    /// What is below `folder` now.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn read(folder: &Path) -> Tree {
        let mut tree = Tree::default();
        tree.read_into(folder, Path::new(""));
        tree
    }

    fn read_into(&mut self, root: &Path, folder: &Path) {
        for entry in fs::read_dir(root.join(folder)).expect("a folder") {
            let path = folder.join(entry.expect("an entry").file_name());
            let whole = root.join(&path);
            // The agent at work may have removed it a moment ago.
            let Ok(about) = fs::symlink_metadata(&whole) else { continue };
            let mode = about.permissions().mode() & 0o7777;
            if about.is_dir() {
                self.nodes.insert(path.clone(), Node::Folder(mode));
                self.read_into(root, &path);
            } else if about.is_symlink() {
                self.nodes.insert(path, Node::Link(fs::read_link(whole).expect("a link")));
            } else if let Ok(bytes) = fs::read(&whole) {
                self.nodes.insert(path, Node::File { bytes, mode });
            }
        }
    }

    /// Makes `folder` hold exactly this.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, folder: &Path) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let is_folder = path.symlink_metadata().expect("there").is_dir();
            if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.expect("removed");
        }
        let permit = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
        for (path, node) in &self.nodes {
            let path = folder.join(path);
            match node {
                Node::Folder(mode) => {
                    fs::create_dir(&path).expect("made");
                    permit(&path, *mode);
                }
                Node::File { bytes, mode } => {
                    fs::write(&path, bytes).expect("written");
                    permit(&path, *mode);
                }
                Node::Link(target) => symlink(target, &path).expect("linked"),
            }
        }
    }

    /// Its files and links whose name `wanted` takes; folders say nothing of settings.
    pub fn files(&self, wanted: impl Fn(&Path) -> bool) -> Tree {
        let is_file = |node: &Node| !matches!(node, Node::Folder(_));
        let nodes = self.nodes.iter().filter(|(path, node)| is_file(node) && wanted(path));
        Tree { nodes: nodes.map(|(path, node)| (path.clone(), node.clone())).collect() }
    }

    /// For a person: names, permissions and texts.
    pub fn describe(&self) -> String {
        let line = |(path, node): (&PathBuf, &Node)| match node {
            Node::Folder(mode) => format!("{} {mode:o}\n", path.display()),
            Node::Link(target) => format!("{} -> {}\n", path.display(), target.display()),
            Node::File { bytes, mode } => {
                format!("{} {mode:o} {:?}\n", path.display(), String::from_utf8_lossy(bytes))
            }
        };
        self.nodes.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_comes_back_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("etc")).expect("made");
        fs::write(folder.path().join("etc/hosts"), b"\xff\0").expect("written");
        fs::set_permissions(folder.path().join("etc/hosts"), fs::Permissions::from_mode(0o640)).expect("set");
        symlink("hosts", folder.path().join("etc/link")).expect("linked");
        let before = Tree::read(folder.path());
        assert_eq!(before.nodes.len(), 3);
        fs::remove_dir_all(folder.path().join("etc")).expect("removed");
        fs::write(folder.path().join("other"), "x").expect("written");
        before.write(folder.path());
        assert_eq!(Tree::read(folder.path()), before);
        assert_eq!(before.files(|path| path.ends_with("hosts")).nodes.len(), 1);
    }
}
