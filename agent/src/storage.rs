//! What survives a power cut: a few small documents, each replaced atomically.
//!
//! A document is `MSTR`, a version, the SHA-256 of its contents and the contents. It is written beside the old one, synced,
//! and renamed over it; the generation before stays as `.old`. A document whose hash is wrong counts as torn, and the
//! generation before is taken.
//!
//! Beside the documents there is one journal, for beats that wait for the NOC: records are added at its end.

mod journal;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Document {
    /// The device key and the claim secret.
    Identity,
    /// The appliance machine's state.
    Appliance,
    /// The NOC's CA certificate and the client certificate.
    Noc,
    /// The network's state before provisional settings.
    FormerNetwork,
    /// The application's settings before provisional ones.
    FormerApplication,
    /// The kernel's reverse-path filters before the agent opened them.
    FormerFilters,
    /// Beats that wait for the NOC: the journal.
    Beats,
    /// The interface that is configured, where none was named.
    Interface,
    /// That a factory reset was asked for and is not finished.
    Reset,
    /// Which components are installed, and what was begun.
    Components,
    /// Whose components, and what is known of their repository.
    ComponentTrust,
}

impl Document {
    fn file(self) -> &'static str {
        match self {
            Document::Identity => "identity",
            Document::Appliance => "appliance",
            Document::Noc => "noc",
            Document::FormerNetwork => "former-network",
            Document::FormerApplication => "former-application",
            Document::FormerFilters => "former-filters",
            Document::Beats => "beats",
            Document::Interface => "interface",
            Document::Reset => "reset",
            Document::Components => "components",
            Document::ComponentTrust => "component-trust",
        }
    }
}

/// Why a document could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The disk refused. What was stored before is still there.
    #[error("{path} could not be {action}; what was stored before is unchanged. Check free space and permissions")]
    Io {
        /// `read`, `written` or `removed`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Neither generation is intact.
    #[error(
        "{path} is damaged and there is no intact generation before it. Restore it from a backup, or reset the appliance"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

impl StorageError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            StorageError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => "disk_full",
            StorageError::Io { .. } => "storage_failed",
            StorageError::Damaged { .. } => "storage_damaged",
        }
    }
}

/// Where documents are kept.
pub trait Storage: Send + Sync + 'static {
    /// The document, or `None` if there never was one.
    fn load(&self, document: Document) -> Result<Option<Vec<u8>>, StorageError>;
    /// Replaces it. On return it survives a power cut; on an error the former contents are intact.
    fn save(&self, document: Document, contents: &[u8]) -> Result<(), StorageError>;
    /// Forgets it, with every generation.
    fn remove(&self, document: Document) -> Result<(), StorageError>;

    /// The records of the journal, oldest first. What a power cut tore is not among them.
    fn journal(&self) -> Result<Vec<Vec<u8>>, StorageError> {
        Ok(journal::records(&self.load(Document::Beats)?.unwrap_or_default()))
    }

    /// Adds records to the journal. On return they survive a power cut; on an error none of them is there.
    fn append(&self, records: &[Vec<u8>]) -> Result<(), StorageError> {
        self.rewrite(&[self.journal()?, records.to_vec()].concat())
    }

    /// Replaces the whole journal; with no records it is gone.
    fn rewrite(&self, records: &[Vec<u8>]) -> Result<(), StorageError> {
        if records.is_empty() {
            return self.remove(Document::Beats);
        }
        self.save(Document::Beats, &journal::encode(records))
    }
}

const MAGIC: &[u8; 5] = b"MSTR\x01";
const HEADER: usize = MAGIC.len() + 32;

/// Documents as files of a folder that only their owner can read.
#[derive(Clone, Debug)]
pub struct FileStorage {
    folder: PathBuf,
}

impl FileStorage {
    /// Makes the folder if it is missing.
    pub fn open(folder: &Path) -> Result<FileStorage, StorageError> {
        let made = make_folder(folder, 0o700);
        made.map_err(|source| StorageError::Io { action: "written", path: folder.to_owned(), source })?;
        Ok(FileStorage { folder: folder.to_owned() })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, document: Document) -> PathBuf {
        self.folder.join(document.file())
    }
}

impl Storage for FileStorage {
    fn load(&self, document: Document) -> Result<Option<Vec<u8>>, StorageError> {
        let path = self.path(document);
        let mut damaged = false;
        for generation in [path.clone(), path.with_extension("old")] {
            match fs::read(&generation) {
                Ok(bytes) => match unwrap(&bytes) {
                    Some(contents) => {
                        if damaged {
                            tracing::warn!(file = %path.display(), "damaged: going on with the generation before");
                        }
                        return Ok(Some(contents.to_vec()));
                    }
                    None => damaged = true,
                },
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(StorageError::Io { action: "read", path: generation, source }),
            }
        }
        if damaged { Err(StorageError::Damaged { path }) } else { Ok(None) }
    }

    fn save(&self, document: Document, contents: &[u8]) -> Result<(), StorageError> {
        let path = self.path(document);
        let bytes = wrap(contents);
        let written = keep_former(&path)
            .and_then(|former| replace(&path, &bytes, 0o600).inspect_err(|_| take_back(&path, &bytes, former)));
        written.map_err(|source| StorageError::Io { action: "written", path, source })
    }

    fn remove(&self, document: Document) -> Result<(), StorageError> {
        let path = self.path(document);
        // The older generation first: a power cut in between must not bring it back as the newest.
        for generation in [path.with_extension("old"), path.clone()] {
            remove(&generation).map_err(|source| StorageError::Io { action: "removed", path: generation, source })?;
        }
        Ok(())
    }

    fn journal(&self) -> Result<Vec<Vec<u8>>, StorageError> {
        let path = self.path(Document::Beats);
        journal::read(&path).map_err(|source| StorageError::Io { action: "read", path, source })
    }

    fn append(&self, records: &[Vec<u8>]) -> Result<(), StorageError> {
        let path = self.path(Document::Beats);
        journal::append(&path, records).map_err(|source| StorageError::Io { action: "written", path, source })
    }

    fn rewrite(&self, records: &[Vec<u8>]) -> Result<(), StorageError> {
        if records.is_empty() {
            return self.remove(Document::Beats);
        }
        let path = self.path(Document::Beats);
        let written = replace(&path, &journal::encode(records), 0o600);
        written.map_err(|source| StorageError::Io { action: "written", path, source })
    }
}

/// Writes a file beside `path`, syncs it, renames it over `path` and syncs the folder.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let beside = sibling(path, "new");
    let written = (|| {
        // A left-over of an interrupted write may belong to other permissions.
        remove_if_there(&beside)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        // Whatever the umask: a network file that its daemon cannot read would take the appliance off the network.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        // The disk may be full: give back what the attempt took.
        let _ = fs::remove_file(&beside);
    }
    written?;
    sync_folder(path)
}

/// Removes a file and what an interrupted [`replace`] left beside it, for good also after a power cut; a missing one is fine.
pub fn remove(path: &Path) -> io::Result<()> {
    remove_if_there(&sibling(path, "new"))?;
    remove_if_there(path)?;
    sync_folder(path)
}

/// Makes what `path` holds last, also after a power cut, and removes what an interrupted [`replace`] left beside it.
pub fn keep(path: &Path) -> io::Result<()> {
    remove_if_there(&sibling(path, "new"))?;
    File::open(path)?.sync_all()?;
    sync_folder(path)
}

/// Makes a folder and those it is in, for good also after a power cut; one that is there is fine.
pub fn make_folder(folder: &Path, mode: u32) -> io::Result<()> {
    if folder.is_dir() {
        // Whoever made it may have been killed before he synced it. One of others may not be readable.
        let _ = sync_folder(folder);
        return Ok(());
    }
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_folder(parent, mode)?;
    }
    match fs::DirBuilder::new().mode(mode).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder(folder),
    }
}

/// The generation before, while a new one is written.
#[derive(Clone, Copy)]
enum Former {
    /// Kept as `.old`.
    Kept,
    /// There is none.
    Absent,
    /// It could not be kept.
    Lost,
}

/// Keeps the contents of `path` as its `.old`, by a link, so that `path` itself is there at every moment.
fn keep_former(path: &Path) -> io::Result<Former> {
    let (old, link) = (path.with_extension("old"), sibling(path, "link"));
    remove_if_there(&link)?;
    match fs::hard_link(path, &link) {
        Ok(()) => fs::rename(&link, &old).map(|()| Former::Kept),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Former::Absent),
        // Some file systems have no links. The rename in `replace` is atomic without the older generation, too.
        Err(error) if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) => {
            Ok(Former::Lost)
        }
        Err(error) => Err(error),
    }
}

/// After a failure: when the new generation is in place already and only could not be synced, a restart must not find what the
/// caller was told is not stored.
fn take_back(path: &Path, bytes: &[u8], former: Former) {
    if !fs::read(path).is_ok_and(|now| now == bytes) {
        return;
    }
    // The disk has just failed; there is nobody to tell that it fails again.
    let _ = match former {
        Former::Kept => fs::rename(path.with_extension("old"), path),
        Former::Absent => fs::remove_file(path),
        Former::Lost => return,
    };
    let _ = sync_folder(path);
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    // A read-only file system refuses to remove even what is not there.
    if path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".muster-");
    name.push(suffix);
    path.with_file_name(name)
}

/// Makes last what was renamed in the folder that `path` lies in.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn wrap(contents: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + contents.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&Sha256::digest(contents));
    bytes.extend_from_slice(contents);
    bytes
}

fn unwrap(bytes: &[u8]) -> Option<&[u8]> {
    let (header, contents) = bytes.split_at_checked(HEADER)?;
    let intact = header[..MAGIC.len()] == MAGIC[..] && header[MAGIC.len()..] == Sha256::digest(contents)[..];
    intact.then_some(contents)
}

/// Documents in memory, for the practice fleet and for tests. Clones share their contents.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    documents: Arc<Mutex<BTreeMap<Document, Vec<u8>>>>,
}

impl Storage for MemoryStorage {
    fn load(&self, document: Document) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.documents.lock().unwrap_or_else(PoisonError::into_inner).get(&document).cloned())
    }

    fn save(&self, document: Document, contents: &[u8]) -> Result<(), StorageError> {
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        documents.insert(document, contents.to_vec());
        Ok(())
    }

    fn remove(&self, document: Document) -> Result<(), StorageError> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner).remove(&document);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage() -> (tempfile::TempDir, FileStorage) {
        let folder = tempfile::tempdir().expect("a folder");
        let storage = FileStorage::open(&folder.path().join("state")).expect("opens");
        (folder, storage)
    }

    #[test]
    fn a_document_reads_back_and_only_its_owner_can_read_it() {
        let (_folder, storage) = storage();
        assert_eq!(storage.load(Document::Appliance).expect("empty"), None);
        storage.save(Document::Appliance, b"one").expect("saved");
        storage.save(Document::Appliance, b"two").expect("saved");
        assert_eq!(storage.load(Document::Appliance).expect("there").as_deref(), Some(&b"two"[..]));
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&storage.path(Document::Appliance)), 0o600);
        assert_eq!(mode(storage.folder()), 0o700);
        storage.remove(Document::Appliance).expect("removed");
        assert_eq!(storage.load(Document::Appliance).expect("gone"), None);
        storage.remove(Document::Appliance).expect("twice is fine");
    }

    #[test]
    fn a_write_torn_at_any_byte_leaves_the_generation_before() {
        let (_folder, storage) = storage();
        storage.save(Document::Appliance, b"former").expect("saved");
        storage.save(Document::Appliance, b"latest").expect("saved");
        let path = storage.path(Document::Appliance);
        let whole = fs::read(&path).expect("there");
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).expect("torn");
            assert_eq!(
                storage.load(Document::Appliance).expect("former").as_deref(),
                Some(&b"former"[..]),
                "cut at {cut}"
            );
        }
        for spoiled in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[spoiled] ^= 1;
            fs::write(&path, &bytes).expect("spoiled");
            assert_eq!(storage.load(Document::Appliance).expect("former").as_deref(), Some(&b"former"[..]));
        }
    }

    #[test]
    fn a_power_cut_between_the_steps_of_a_write_loses_nothing_acknowledged() {
        let (_folder, storage) = storage();
        storage.save(Document::Appliance, b"former").expect("saved");
        let path = storage.path(Document::Appliance);
        // Cut before the rename: a whole or half new file lies beside.
        fs::write(sibling(&path, "new"), wrap(b"next")).expect("beside");
        fs::hard_link(&path, sibling(&path, "link")).expect("beside");
        assert_eq!(storage.load(Document::Appliance).expect("there").as_deref(), Some(&b"former"[..]));
        storage.save(Document::Appliance, b"next").expect("the left-overs do not hinder");
        assert_eq!(storage.load(Document::Appliance).expect("there").as_deref(), Some(&b"next"[..]));
    }

    #[test]
    fn a_journal_grows_is_replaced_and_goes_in_files_and_in_memory() {
        let (_folder, files) = storage();
        let records = |range: std::ops::Range<u8>| range.map(|n| vec![n; 30]).collect::<Vec<_>>();
        for storage in [&files as &dyn Storage, &MemoryStorage::default()] {
            assert!(storage.journal().expect("none").is_empty());
            storage.append(&records(0..3)).expect("added");
            storage.append(&records(3..5)).expect("added");
            assert_eq!(storage.journal().expect("read"), records(0..5));
            storage.rewrite(&records(7..9)).expect("replaced");
            storage.append(&records(9..10)).expect("added");
            assert_eq!(storage.journal().expect("read"), records(7..10));
            storage.rewrite(&[]).expect("removed");
            assert!(storage.journal().expect("none").is_empty());
        }
        assert!(!files.path(Document::Beats).exists());
    }

    #[test]
    fn damage_without_an_intact_generation_is_an_error_not_an_empty_appliance() {
        let (_folder, storage) = storage();
        storage.save(Document::Identity, b"only").expect("saved");
        fs::write(storage.path(Document::Identity), b"rubbish").expect("spoiled");
        let error = storage.load(Document::Identity).expect_err("damaged");
        assert_eq!(error.code(), "storage_damaged");
        assert!(error.to_string().contains("backup"));
    }
}
