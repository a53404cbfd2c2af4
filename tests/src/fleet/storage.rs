//! What survives the fleet's process: nothing, or what a real appliance keeps on its disk.

use muster_agent::storage::{Document, FileStorage, MemoryStorage, Storage, StorageError};

/// One appliance's storage.
#[derive(Clone)]
pub(super) enum Kept {
    Memory(MemoryStorage),
    Files(FileStorage),
}

impl Storage for Kept {
    fn load(&self, document: Document) -> Result<Option<Vec<u8>>, StorageError> {
        match self {
            Kept::Memory(storage) => storage.load(document),
            Kept::Files(storage) => storage.load(document),
        }
    }

    fn save(&self, document: Document, contents: &[u8]) -> Result<(), StorageError> {
        match self {
            Kept::Memory(storage) => storage.save(document, contents),
            Kept::Files(storage) => storage.save(document, contents),
        }
    }

    fn remove(&self, document: Document) -> Result<(), StorageError> {
        match self {
            Kept::Memory(storage) => storage.remove(document),
            Kept::Files(storage) => storage.remove(document),
        }
    }
    fn journal(&self) -> Result<Vec<Vec<u8>>, StorageError> {
        match self {
            Kept::Memory(storage) => storage.journal(),
            Kept::Files(storage) => storage.journal(),
        }
    }

    fn append(&self, records: &[Vec<u8>]) -> Result<(), StorageError> {
        match self {
            Kept::Memory(storage) => storage.append(records),
            Kept::Files(storage) => storage.append(records),
        }
    }

    fn rewrite(&self, records: &[Vec<u8>]) -> Result<(), StorageError> {
        match self {
            Kept::Memory(storage) => storage.rewrite(records),
            Kept::Files(storage) => storage.rewrite(records),
        }
    }
}
