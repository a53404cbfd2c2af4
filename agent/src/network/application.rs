//! Application settings, handed to the vendor's application by a file, a program, or both (decision 0042).
//!
//! Provisionally at first, as the network's: the former state is on disk before anything changes, and comes back exactly unless it
//! is committed. The file is put back whatever happens; a program that cannot be told so is told a few times and then left, for an
//! appliance that waits for it for good could not be configured any more.

use super::files::{self, FormerFile, NewFile};
use super::program;
use super::{NetworkError, is_of_the_disk, shown};
use crate::storage::{Document, Storage};
use muster_protocol::application::ApplicationSettings;
use muster_protocol::wire::result::Reason;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The version of what the program gets.
const VERSION: u32 = 1;
/// How often a program is told what is done already.
const TRIES: u32 = 3;
/// From one to the next.
const PAUSE: Duration = Duration::from_secs(5);
/// What is kept of a program's standard error, in bytes: more does not fit into a result.
const MAX_SAID: usize = 400;

/// Where the image says that application settings go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationPlace {
    /// The file that holds them.
    pub file: Option<PathBuf>,
    /// Its mode.
    pub mode: u32,
    /// A program and its arguments, told what happens; empty for none.
    pub exec: Vec<String>,
    /// How long it may take for one operation.
    pub patience: Duration,
}

/// What is to be done about the application's settings, beside or after what is done about the network's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApplicationTask {
    /// Remember the former state, and hand over the settings provisionally.
    Apply {
        /// What the application shall have; none: nothing by Muster any more.
        settings: Option<ApplicationSettings>,
        /// What it has, if that is by Muster.
        former: Option<ApplicationSettings>,
    },
    /// Somebody changed final settings by hand: hand them over again.
    Restore(ApplicationSettings),
    /// The appliance has no owner any more.
    Forget,
}

/// Why an application does not have its settings.
#[derive(Debug, thiserror::Error)]
pub enum ApplicationFault {
    /// The image has no `[application]`.
    #[error("the image does not say where application settings go: it has no [application] in agent.toml")]
    NotSupported,
    /// The file was not written.
    #[error("the application's file was not written")]
    File(#[source] Box<NetworkError>),
    /// The program said no.
    #[error("{program} refused to {operation}: {said}")]
    Refused {
        /// Its path.
        program: String,
        /// What it was told to do.
        operation: &'static str,
        /// What it said.
        said: String,
    },
    /// It cannot be started.
    #[error("{program} cannot be started. Install it, or correct [application] in agent.toml")]
    Missing {
        /// Its path.
        program: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It hangs.
    #[error("{program} took more than {seconds} s to {operation} and was ended")]
    Timeout {
        /// Its path.
        program: String,
        /// What it was told to do.
        operation: &'static str,
        /// How long it was given.
        seconds: u64,
    },
}

impl ApplicationFault {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            ApplicationFault::NotSupported => "application_not_supported",
            ApplicationFault::File(_) => "application_file",
            ApplicationFault::Refused { .. } => "application_refused",
            ApplicationFault::Missing { .. } => "application_program_missing",
            ApplicationFault::Timeout { .. } => "application_program_timeout",
        }
    }

    /// As the appliance reports it.
    pub(super) fn reason(&self) -> Reason {
        match self {
            ApplicationFault::NotSupported => Reason::ApplicationNotSupported,
            ApplicationFault::File(error) => match &**error {
                NetworkError::File { source, .. } if is_of_the_disk(source.kind()) => Reason::Storage,
                _ => Reason::ApplicationFailed,
            },
            _ => Reason::ApplicationFailed,
        }
    }
}

/// What was before, on disk until it is final.
#[derive(Serialize, Deserialize)]
struct Former {
    file: Option<FormerFile>,
    former: Option<ApplicationSettings>,
    settings: Option<ApplicationSettings>,
}

#[derive(Clone, Copy)]
enum Operation {
    Apply,
    Commit,
    RollBack,
    Forget,
}

impl Operation {
    fn word(self) -> &'static str {
        match self {
            Operation::Apply => "apply",
            Operation::Commit => "commit",
            Operation::RollBack => "roll_back",
            Operation::Forget => "forget",
        }
    }
}

impl ApplicationPlace {
    /// The file, below another root where there is one.
    fn file(&self, root: &Path) -> Option<PathBuf> {
        self.file.as_ref().map(|file| root.join(file.strip_prefix("/").unwrap_or(file)))
    }

    /// Does it. After an error of `Apply` the caller rolls back, if [`is_provisional`].
    pub(super) async fn carry_out(
        &self,
        root: &Path,
        storage: &impl Storage,
        task: ApplicationTask,
    ) -> Result<(), NetworkError> {
        match task {
            ApplicationTask::Apply { settings, former } => self.apply(root, storage, settings, former).await,
            ApplicationTask::Restore(settings) => {
                if self.is_changed(root, &settings)? {
                    self.write(root, Some(&settings))?;
                    self.tell(root, Operation::Apply, Some(&settings)).await?;
                    self.tell(root, Operation::Commit, Some(&settings)).await?;
                }
                Ok(())
            }
            ApplicationTask::Forget => {
                self.write(root, None)?;
                self.insist(root, Operation::Forget, None).await;
                Ok(storage.remove(Document::FormerApplication)?)
            }
        }
    }

    async fn apply(
        &self,
        root: &Path,
        storage: &impl Storage,
        settings: Option<ApplicationSettings>,
        former: Option<ApplicationSettings>,
    ) -> Result<(), NetworkError> {
        // An application is not disturbed for a change of the network.
        let is_there = match &settings {
            Some(settings) => !self.is_changed(root, settings)?,
            None => true,
        };
        if settings == former && is_there && !is_provisional(storage) {
            return Ok(());
        }
        // A new attempt on top of an uncommitted one goes back to where that one began.
        let (file, former) = match read(storage)? {
            Some(earlier) => (earlier.file, earlier.former),
            None => (self.file(root).map(|path| files::remember(&path)).transpose().map_err(file_fault)?, former),
        };
        let remembered = Former { file, former, settings: settings.clone() };
        let bytes = serde_json::to_vec(&remembered).map_err(|_| NetworkError::Former)?;
        storage.save(Document::FormerApplication, &bytes)?;
        self.write(root, settings.as_ref())?;
        self.tell(root, Operation::Apply, settings.as_ref()).await
    }

    /// Makes them final. Nothing provisional is fine.
    pub(super) async fn commit(&self, root: &Path, storage: &impl Storage) -> Result<(), NetworkError> {
        if let Some(former) = read(storage)? {
            self.insist(root, Operation::Commit, former.settings.as_ref()).await;
        }
        Ok(storage.remove(Document::FormerApplication)?)
    }

    /// Whether somebody changed the file by hand. Where there is none, nobody can tell.
    pub(super) fn is_changed(&self, root: &Path, settings: &ApplicationSettings) -> Result<bool, NetworkError> {
        let Some(file) = self.file(root) else { return Ok(false) };
        Ok(files::read_text(&file).map_err(file_fault)?.trim_end() != settings.as_str())
    }

    fn write(&self, root: &Path, settings: Option<&ApplicationSettings>) -> Result<(), NetworkError> {
        let Some(path) = self.file(root) else { return Ok(()) };
        let written = match settings {
            Some(settings) => files::write(&[NewFile { path, text: format!("{settings}\n"), mode: self.mode }]),
            None => files::remove(&[path]),
        };
        written.map_err(file_fault)
    }

    /// What has happened already is told a few times, and then left.
    async fn insist(&self, root: &Path, operation: Operation, settings: Option<&ApplicationSettings>) {
        for attempt in 1..=TRIES {
            let Err(error) = self.tell(root, operation, settings).await else { return };
            tracing::error!(code = error.code(), error = %super::chain(&error), attempt, "the application was not told");
            if attempt < TRIES {
                tokio::time::sleep(PAUSE.min(self.patience)).await;
            }
        }
    }

    async fn tell(
        &self,
        root: &Path,
        operation: Operation,
        settings: Option<&ApplicationSettings>,
    ) -> Result<(), NetworkError> {
        let Some((program, arguments)) = self.exec.split_first() else { return Ok(()) };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let file = serde_json::to_string(&self.file(root)).map_err(|_| NetworkError::Former)?;
        // The settings go in as they are: a number that we read might come out as another one.
        let input = format!(
            "{{\"version\":{VERSION},\"operation\":\"{}\",\"settings\":{},\"file\":{file}}}\n",
            operation.word(),
            settings.map_or("null", ApplicationSettings::as_str)
        );
        let name = || program.clone();
        let word = operation.word();
        let fault = match program::run(Path::new(program), &arguments, input.as_bytes(), self.patience).await {
            Ok(ended) if ended.status.success() => return Ok(()),
            Ok(ended) => {
                let said = if ended.errors.is_empty() { ended.status.to_string() } else { ended.errors };
                ApplicationFault::Refused { program: name(), operation: word, said: clipped(&said) }
            }
            Err(NetworkError::ProgramMissing { source, .. }) => ApplicationFault::Missing { program: name(), source },
            Err(NetworkError::ProgramTimeout { seconds, .. }) => {
                ApplicationFault::Timeout { program: name(), operation: word, seconds }
            }
            Err(error) => {
                ApplicationFault::Refused { program: name(), operation: word, said: clipped(&error.to_string()) }
            }
        };
        Err(fault.into())
    }
}

/// True while there is a former state to go back to.
pub(crate) fn is_provisional(storage: &impl Storage) -> bool {
    matches!(storage.load(Document::FormerApplication), Ok(Some(_)))
}

/// Restores the former state exactly. Nothing to restore is fine. `place`: none if the image has none any more; the file comes
/// back all the same.
pub(super) async fn roll_back(
    place: Option<&ApplicationPlace>,
    root: &Path,
    storage: &impl Storage,
) -> Result<(), NetworkError> {
    let Some(former) = read(storage)? else { return Ok(()) };
    files::restore(former.file.as_slice()).map_err(file_fault)?;
    if let Some(place) = place {
        place.insist(root, Operation::RollBack, former.former.as_ref()).await;
    }
    Ok(storage.remove(Document::FormerApplication)?)
}

fn read(storage: &impl Storage) -> Result<Option<Former>, NetworkError> {
    let bytes = storage.load(Document::FormerApplication)?;
    bytes.map(|bytes| serde_json::from_slice(&bytes).map_err(|_| NetworkError::Former)).transpose()
}

fn file_fault(error: NetworkError) -> NetworkError {
    ApplicationFault::File(Box::new(error)).into()
}

fn clipped(said: &str) -> String {
    let mut said = shown(said);
    while said.len() > MAX_SAID {
        said.pop();
    }
    said
}

#[cfg(test)]
mod tests;
