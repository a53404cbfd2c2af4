//! An applet as a folder of files: what a vendor works on.

use crate::problem::Explain;
use crate::view::{AppletPreview, AppletView, ApplicationChecked};
use data_encoding::HEXLOWER;
use muster_applet::Faults;
use muster_applet::bundle::{Bundle, MAX_BUNDLE, MOST_FILES};
use muster_applet::manifest::MANIFEST;
use muster_applet::release::hash;
use serde_json::Value;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How deep folders may lie in each other.
const DEEPEST: usize = 4;

/// Why a folder is no applet.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Nothing says what it is.
    #[error("{} holds no {MANIFEST}, so it is no applet", .0.display())]
    NoApplet(PathBuf),
    /// The system refuses it.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// It is not to be packed.
    #[error("{} is neither a file nor a folder of an applet", .0.display())]
    Kind(PathBuf),
    /// It has too much in it.
    #[error("{} holds more than {MOST_FILES} files", .0.display())]
    Many(PathBuf),
    /// A file is too long.
    #[error("{} is longer than an applet may be, {MAX_BUNDLE} bytes", .0.display())]
    Long(PathBuf),
    /// What is in it is not in order.
    #[error(transparent)]
    Faulty(#[from] Faults),
}

impl Explain for FolderError {
    fn code(&self) -> String {
        match self {
            FolderError::NoApplet(_) => "no_applet",
            FolderError::Faulty(_) => "applet_faulty",
            _ => "applet_file",
        }
        .to_owned()
    }

    fn remedy(&self) -> String {
        match self {
            FolderError::NoApplet(_) => "Make one with `muster applet new FOLDER`.",
            FolderError::Read { .. } => "Check the name, the permissions and the space on the disk.",
            FolderError::Kind(_) => "Take it out, or put the file itself there.",
            FolderError::Many(_) => "Take out what the manifest does not name.",
            FolderError::Long(_) => "Make pictures and programs smaller.",
            FolderError::Faulty(_) => "Mend it; `muster applet check` shows all of it.",
        }
        .to_owned()
    }
}

/// What an administrator would see of the applet in a folder as it is now, in a language.
pub fn preview(folder: &Path, language: &str) -> AppletPreview {
    let shown = folder.display().to_string();
    match read(folder) {
        Ok(bundle) => AppletPreview {
            folder: shown,
            languages: bundle.manifest().translations.keys().cloned().collect(),
            applet: Some(AppletView::of(&bundle, language)),
            revision: HEXLOWER.encode(&hash(&bundle.to_bytes())),
            problem: None,
        },
        Err(error) => AppletPreview {
            folder: shown,
            languages: Vec::new(),
            applet: None,
            revision: String::new(),
            problem: Some(error.problem()),
        },
    }
}

/// Judges values by the form of the applet in a folder; nothing when it is not called so.
///
/// # Errors
/// When the folder is not in order.
pub fn check(folder: &Path, name: &str, values: &Value) -> Result<Option<ApplicationChecked>, FolderError> {
    let bundle = read(folder)?;
    Ok((bundle.manifest().name == name).then(|| ApplicationChecked::of(&bundle, values)))
}

/// Reads a folder. Files that begin with a dot or end with `~` are an editor's, and are left out.
///
/// # Errors
/// When it holds no applet, cannot be read, or is not in order.
pub fn read(folder: &Path) -> Result<Bundle, FolderError> {
    if !folder.join(MANIFEST).is_file() {
        return Err(FolderError::NoApplet(folder.to_owned()));
    }
    let mut files = Vec::new();
    collect(folder, "", 0, &mut files)?;
    Ok(Bundle::new(files)?)
}

fn collect(folder: &Path, inside: &str, depth: usize, files: &mut Vec<(String, Vec<u8>)>) -> Result<(), FolderError> {
    for entry in std::fs::read_dir(folder).map_err(|error| cannot(folder, error))? {
        let entry = entry.map_err(|error| cannot(folder, error))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let name = format!("{inside}{name}");
        let kind = entry.file_type().map_err(|error| cannot(&path, error))?;
        if kind.is_dir() && depth < DEEPEST {
            collect(&path, &format!("{name}/"), depth + 1, files)?;
        } else if !kind.is_file() {
            return Err(FolderError::Kind(path));
        } else {
            files.push((name, file(&path)?));
        }
        if files.len() > MOST_FILES {
            return Err(FolderError::Many(folder.to_owned()));
        }
    }
    Ok(())
}

/// A file that is no longer than a bundle may be.
pub(crate) fn file(path: &Path) -> Result<Vec<u8>, FolderError> {
    let most = u64::try_from(MAX_BUNDLE).unwrap_or(u64::MAX) + 64 * 1024;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| cannot(path, error))?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| cannot(path, error))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err(FolderError::Long(path.to_owned()));
    }
    Ok(bytes)
}

fn cannot(path: &Path, source: io::Error) -> FolderError {
    FolderError::Read { path: path.to_owned(), source }
}
