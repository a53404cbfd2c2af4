//! What the worker may ask of the keeper, and how it is sent: a length of four bytes, then JSON.

use super::install::Install;
use crate::installer::{Taken, Wanted};
use crate::network::application::ApplicationTask;
use crate::network::drift::Setting;
use crate::network::links::Choice;
use crate::status::Status;
use crate::storage::{Document, StorageError};
use data_encoding::BASE64;
use muster_protocol::api::ComponentReport;
use muster_protocol::application::ApplicationSettings;
use muster_protocol::parameters::{DriftPolicy, RawSettings};
use muster_protocol::wire::here::Proof;
use muster_protocol::wire::result::Stage;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Longest message: a document with room to spare.
pub(super) const MAX_MESSAGE: usize = 1024 * 1024;

/// Answered at once, in turn.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    /// What the worker needs to know to begin.
    Begin,
    /// A document.
    Load(Document),
    /// A document and its new contents.
    Save(Document, Bytes),
    /// Forget a document.
    Remove(Document),
    /// The records of the journal.
    Journal,
    /// Add records to it.
    Append(Vec<Bytes>),
    /// Replace all of them.
    Rewrite(Vec<Bytes>),
    /// Whether there is a former state to go back to.
    IsProvisional,
    /// Bring an interface up.
    SetUp(String),
    /// Let broadcasts through to an interface that has no address.
    OpenFilters(String),
    /// As they were.
    PutFiltersBack,
    /// Restart the system; whether that is under way.
    Restart,
    /// For `muster-agent status`.
    Tell(Box<Status>),
    /// Of the installer.
    Install(Install),
}

/// An answer to an [`Ask`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Begin(Begin),
    Document(Option<Bytes>),
    Journal(Vec<Bytes>),
    Done,
    Is(bool),
    Reports(Vec<ComponentReport>),
    Wanted(Wanted),
    Taken(Taken),
    Failed(StorageFailure),
}

/// What the worker needs to know to begin.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Begin {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) interface: Choice,
    pub(super) proof: ProofWord,
    /// The vendor's public key.
    pub(super) vendor: Option<[u8; 32]>,
    pub(super) root: PathBuf,
    pub(super) state_dir: PathBuf,
    pub(super) drift: DriftPolicy,
    pub(super) puts_back: bool,
    pub(super) takes_application: bool,
    pub(super) system_call_filter: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ProofWord {
    Claim,
    Voucher,
    Open,
}

/// A change of the network; one at a time, for it takes its time.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Change {
    Apply(String, RawSettings),
    RollBack(String),
    Commit(String),
    Resume(String, RawSettings),
    PutBack(String, RawSettings, bool),
    Drift(String, RawSettings),
    Restore(String, RawSettings),
    Forget(String, RawSettings),
    HandOver(String, ApplicationTask),
    ApplicationDrift(String, ApplicationSettings),
}

/// How a [`Change`] goes on and ends.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Progress {
    /// A stage, and 0 to 100.
    At(u8, u8),
    Done,
    /// What was changed by hand.
    Drift(Vec<Setting>),
    /// The code of what went wrong, that of the reason that the appliance reports, and its detail.
    Failed(String, String, String),
}

/// Bytes as base64.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Bytes(String);

impl Bytes {
    pub(super) fn of(bytes: &[u8]) -> Bytes {
        Bytes(BASE64.encode(bytes))
    }

    pub(super) fn decode(&self) -> Option<Vec<u8>> {
        BASE64.decode(self.0.as_bytes()).ok()
    }
}

/// A storage error, as far as it can be told over a socket.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StorageFailure {
    path: PathBuf,
    /// `None`: damaged.
    io: Option<(u8, Option<i32>, String)>,
}

const ACTIONS: [&str; 3] = ["read", "written", "removed"];

impl From<StorageError> for StorageFailure {
    fn from(error: StorageError) -> StorageFailure {
        match error {
            StorageError::Damaged { path } => StorageFailure { path, io: None },
            StorageError::Io { action, path, source } => {
                let action = ACTIONS.iter().position(|known| *known == action).unwrap_or(1) as u8;
                StorageFailure { path, io: Some((action, source.raw_os_error(), source.to_string())) }
            }
        }
    }
}

impl From<StorageFailure> for StorageError {
    fn from(failure: StorageFailure) -> StorageError {
        let StorageFailure { path, io } = failure;
        match io {
            None => StorageError::Damaged { path },
            Some((action, code, text)) => StorageError::Io {
                action: ACTIONS.get(usize::from(action)).copied().unwrap_or("written"),
                path,
                source: code.map_or_else(|| io::Error::other(text), io::Error::from_raw_os_error),
            },
        }
    }
}

impl From<Proof> for ProofWord {
    fn from(proof: Proof) -> ProofWord {
        match proof {
            Proof::Claim => ProofWord::Claim,
            Proof::Voucher => ProofWord::Voucher,
            Proof::Open => ProofWord::Open,
        }
    }
}

impl From<ProofWord> for Proof {
    fn from(word: ProofWord) -> Proof {
        match word {
            ProofWord::Claim => Proof::Claim,
            ProofWord::Voucher => Proof::Voucher,
            ProofWord::Open => Proof::Open,
        }
    }
}

const STAGES: [Stage; 4] = [Stage::ProbingAddress, Stage::Network, Stage::Components, Stage::FirstBeat];

pub(super) fn stage_number(stage: Stage) -> u8 {
    STAGES.iter().position(|known| *known == stage).unwrap_or(1) as u8
}

pub(super) fn stage(number: u8) -> Option<Stage> {
    STAGES.get(usize::from(number)).copied()
}

/// Writes a message.
pub(super) fn write(stream: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    stream.write_all(&frame(message)?)
}

/// Reads a message; `None` at the end.
pub(super) fn read<T: DeserializeOwned>(stream: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut bytes = vec![0; allowed(length)?];
    stream.read_exact(&mut bytes)?;
    parse(&bytes).map(Some)
}

/// [`write`] without blocking.
pub(super) async fn send(stream: &mut (impl AsyncWriteExt + Unpin), message: &impl Serialize) -> io::Result<()> {
    stream.write_all(&frame(message)?).await
}

/// [`read`] without blocking.
pub(super) async fn receive<T: DeserializeOwned>(stream: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    let mut bytes = vec![0; allowed(length)?];
    stream.read_exact(&mut bytes).await?;
    parse(&bytes).map(Some)
}

fn frame(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = bytes.len() - 4;
    if length > MAX_MESSAGE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    bytes[..4].copy_from_slice(&(length as u32).to_be_bytes());
    Ok(bytes)
}

fn allowed(length: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_be_bytes(length) as usize;
    if length <= MAX_MESSAGE { Ok(length) } else { Err(io::ErrorKind::FileTooLarge.into()) }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    serde_json::from_slice(bytes).map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reads_back_and_neither_length_nor_rubbish_is_believed() {
        let mut sent = Vec::new();
        write(&mut sent, &Ask::Save(Document::Noc, Bytes::of(b"\0secret"))).expect("fits");
        let Some(Ask::Save(Document::Noc, bytes)) = read(&mut &sent[..]).expect("reads") else { panic!("{sent:?}") };
        assert_eq!(bytes.decode().as_deref(), Some(&b"\0secret"[..]));
        assert!(read::<Ask>(&mut &[][..]).expect("the end").is_none());

        let mut long = sent.clone();
        long[0] = 0xff;
        assert_eq!(read::<Ask>(&mut &long[..]).expect_err("too long").kind(), io::ErrorKind::FileTooLarge);
        for rubbish in [&b"\0\0\0\x02{}"[..], b"\0\0\0\x01\xff", b"\0\0\0\x09\"Nothing\""] {
            assert_eq!(read::<Ask>(&mut &rubbish[..]).expect_err("refused").kind(), io::ErrorKind::InvalidData);
        }
        let too_much = Ask::Save(Document::Noc, Bytes::of(&vec![0; MAX_MESSAGE]));
        assert!(write(&mut Vec::new(), &too_much).is_err());
    }

    #[test]
    fn a_storage_error_keeps_its_code_and_path() {
        let errors = [
            StorageError::Damaged { path: "/x".into() },
            StorageError::Io { action: "read", path: "/x".into(), source: io::Error::from_raw_os_error(13) },
            StorageError::Io { action: "written", path: "/x".into(), source: io::ErrorKind::StorageFull.into() },
        ];
        for error in errors {
            let text = error.to_string();
            let code = error.code();
            let told = StorageError::from(StorageFailure::from(error));
            // A kind without a number is told as text.
            assert!(told.code() == code || code == "disk_full");
            assert_eq!(told.to_string(), text);
        }
    }
}
