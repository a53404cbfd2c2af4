//! Bringing a version into force, and taking it out again. Every step may be done twice: a power cut may come after it.

use super::Problem;
use super::archive::{new_folder, unpack};
use super::config::ComponentsConfig;
use super::download::is_whole;
use super::state::Version;
use super::target::Kind;
use crate::network::program::{Ended, run};
use crate::network::{NetworkError, chain};
use crate::storage::{make_folder, sync_folder};
use serde::Serialize;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Version of the contract with the vendor's program.
const CONTRACT: u32 = 1;
/// A package's own programs may migrate data.
const INSTALL: Duration = Duration::from_secs(15 * 60);
const RESTART: Duration = Duration::from_secs(90);
/// One look at a component.
const LOOK: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// A service that ends right after its start is active for a moment.
const LOOKS_AT_UNIT: u32 = 3;

/// Where components are kept.
#[derive(Clone, Debug)]
pub struct Place<'a>(pub &'a ComponentsConfig);

/// What the vendor's program for the kind `exec` gets on its standard input.
#[derive(Debug, Serialize)]
struct ToDo<'a> {
    contract: u32,
    action: &'static str,
    name: &'a str,
    version: &'a str,
    file: &'a Path,
    /// A version before is brought back, because the one after it was not well.
    roll_back: bool,
}

impl Place<'_> {
    /// Where downloads come in.
    pub fn side(&self) -> PathBuf {
        self.0.folder.join(".side")
    }

    fn of(&self, name: &str) -> PathBuf {
        self.0.folder.join(name)
    }

    /// Where a version is kept: its tree, or its file.
    pub fn kept(&self, version: &Version) -> PathBuf {
        self.of(&version.name).join(version.kept_as())
    }

    /// Makes the folders.
    pub fn make(&self) -> Result<(), Problem> {
        let made = |path: &Path, error: io::Error| Problem::disk("made", path, &error);
        make_folder(&self.0.folder, 0o755).map_err(|error| made(&self.0.folder, error))?;
        make_folder(&self.side(), 0o700).map_err(|error| made(&self.side(), error))
    }

    /// Puts a verified file where the version is kept; an archive is unpacked. Nothing that is in force is touched.
    pub fn keep(&self, file: &Path, version: &Version) -> Result<(), Problem> {
        let (folder, kept) = (self.of(&version.name), self.kept(version));
        if !folder.is_dir() {
            new_folder(&folder).map_err(|error| Problem::disk("made", &folder, &error))?;
        }
        if version.kind != Kind::Archive {
            return fs::rename(file, &kept)
                .and_then(|()| sync_folder(&kept))
                .map_err(|error| Problem::disk("moved", file, &error));
        }
        // It is there under its name only once it is whole.
        if kept.is_dir() {
            return Ok(());
        }
        if !is_whole(file, &version.sha256) {
            let _ = fs::remove_file(file);
            return Err(Problem::passing("target_hash", "the disk gives back other bytes than were written. Check it"));
        }
        let beside = self.side().join("tree");
        let unpacked = remove_tree(&beside)
            .map_err(|error| Problem::disk("removed", &beside, &error))
            .and_then(|()| unpack(file, &beside, self.0.max_bytes))
            .and_then(|()| {
                File::open(&beside)
                    .and_then(|tree| Ok(nix::unistd::syncfs(&tree)?))
                    .and_then(|()| fs::rename(&beside, &kept))
                    .and_then(|()| sync_folder(&kept))
                    .map_err(|error| Problem::disk("written", &kept, &error))
            });
        if unpacked.is_err() {
            // The disk may be full: give back what the attempt took.
            let _ = remove_tree(&beside);
        }
        unpacked
    }

    /// Brings a version into force that is kept.
    pub async fn bring(&self, version: &Version, roll_back: bool) -> Result<(), Problem> {
        let kept = self.kept(version);
        match version.kind {
            Kind::Archive => self.switch(version)?,
            Kind::Deb | Kind::Exec if !is_whole(&kept, &version.sha256) => {
                let text = format!("{} is not what was verified. Check the disk", kept.display());
                return Err(Problem::lasting("install", text));
            }
            Kind::Deb => {
                // What an interrupted installation left.
                let _ = self.dpkg(&["--configure", "--pending"]).await;
                let file = kept.to_string_lossy();
                self.dpkg(&["--force-confdef", "--force-confold", "--force-downgrade", "--install", &file]).await?;
            }
            Kind::Exec => self.exec("install", version, roll_back).await?,
        }
        self.restart(version).await
    }

    /// Takes a version out of force before which there was none.
    pub async fn take_out(&self, version: &Version) -> Result<(), Problem> {
        match version.kind {
            Kind::Archive => {
                let link = self.of(&version.name).join("current");
                let removed = match fs::remove_file(&link) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                    _ => sync_folder(&link),
                };
                removed.map_err(|error| Problem::disk("removed", &link, &error))
            }
            Kind::Deb => {
                let package = self.package(version).await?;
                self.dpkg(&["--force-remove-reinstreq", "--remove", &package]).await.map(drop)
            }
            Kind::Exec => self.exec("remove", version, true).await,
        }
    }

    /// Waits until it is well.
    pub async fn check(&self, version: &Version) -> Result<(), Problem> {
        let begun = Instant::now();
        let mut well = 0;
        loop {
            let needed = match self.look(version).await {
                Ok(needed) => {
                    well += 1;
                    needed
                }
                Err(why) if begun.elapsed() >= version.patience => {
                    let seconds = version.patience.as_secs();
                    return Err(Problem::lasting("unhealthy", format!("it was not well within {seconds} s: {why}")));
                }
                Err(_) => {
                    well = 0;
                    u32::MAX
                }
            };
            if well >= needed {
                return Ok(());
            }
            sleep(BETWEEN_LOOKS.min(version.patience)).await;
        }
    }

    /// Looks once: how often that must go well, or why it did not.
    async fn look(&self, version: &Version) -> Result<u32, String> {
        let command = version.health.as_ref().map(|health| health.command.as_slice()).unwrap_or_default();
        if let Some((program, arguments)) = command.split_first() {
            let program = self.own_program(version, program).await?;
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let patience = LOOK.min(version.patience);
            let ended = run(&program, &arguments, &[], patience).await.map_err(|error| chain(&error))?;
            return succeeded(&program.display().to_string(), &ended).map(|()| 1);
        }
        let Some(unit) = &version.unit else { return Ok(0) };
        self.words(&self.0.active, &[unit], LOOK).await.map(|_| LOOKS_AT_UNIT)
    }

    /// A program that came with the version, and no other.
    async fn own_program(&self, version: &Version, program: &str) -> Result<PathBuf, String> {
        let foreign = || format!("{program} is not of the component");
        match version.kind {
            Kind::Archive => {
                let tree = fs::canonicalize(self.kept(version)).map_err(|error| error.to_string())?;
                let path = fs::canonicalize(tree.join(program)).map_err(|error| format!("{program}: {error}"))?;
                if path.starts_with(&tree) { Ok(path) } else { Err(foreign()) }
            }
            Kind::Deb => {
                let package = self.package(version).await.map_err(|problem| problem.to_string())?;
                let files = self.dpkg(&["--listfiles", &package]).await.map_err(|problem| problem.to_string())?;
                if files.lines().any(|file| file == program) { Ok(program.into()) } else { Err(foreign()) }
            }
            Kind::Exec => Err(foreign()),
        }
    }

    /// Removes what is neither in force nor was before.
    pub fn prune(&self, name: &str, keep: &[&Version]) {
        let folder = self.of(name);
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let named = entry.file_name();
            if named != "current" && !keep.iter().any(|version| named == *version.kept_as()) {
                let _ = remove_tree(&entry.path());
            }
        }
    }

    /// A link in place of another: at every moment there is one of them.
    fn switch(&self, version: &Version) -> Result<(), Problem> {
        let (link, beside) = (self.of(&version.name).join("current"), self.of(&version.name).join(".current"));
        let switched = remove_tree(&beside)
            .and_then(|()| symlink(version.kept_as(), &beside))
            .and_then(|()| fs::rename(&beside, &link))
            .and_then(|()| sync_folder(&link));
        switched.map_err(|error| Problem::disk("switched", &link, &error))
    }

    async fn restart(&self, version: &Version) -> Result<(), Problem> {
        let Some(unit) = &version.unit else { return Ok(()) };
        let restarted = self.words(&self.0.restart, &[unit], RESTART).await;
        restarted.map(drop).map_err(|why| Problem::lasting("install", format!("{unit} could not be started: {why}")))
    }

    async fn package(&self, version: &Version) -> Result<String, Problem> {
        let file = self.kept(version);
        let name = self.dpkg(&["--field", &file.to_string_lossy(), "Package"]).await?;
        Ok(name.trim().to_owned())
    }

    async fn dpkg(&self, arguments: &[&str]) -> Result<String, Problem> {
        let mut words = vec!["env".to_owned(), "DEBIAN_FRONTEND=noninteractive".to_owned()];
        words.extend_from_slice(&self.0.dpkg);
        let done = self.words(&words, arguments, INSTALL).await;
        done.map_err(|why| {
            let why = why.trim_start_matches("env: ");
            Problem::lasting("install", format!("the package program failed: {why}"))
        })
    }

    async fn exec(&self, action: &'static str, version: &Version, roll_back: bool) -> Result<(), Problem> {
        let failed = |why: String| Problem::lasting("install", format!("the vendor's program failed: {why}"));
        let (name, number, file) = (&version.name, &version.version, &self.kept(version));
        let todo = ToDo { contract: CONTRACT, action, name, version: number, file, roll_back };
        let json = serde_json::to_vec(&todo).unwrap_or_default();
        let Some((program, arguments)) = self.0.exec.split_first() else {
            return Err(failed("agent.toml names none".to_owned()));
        };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ended = run(Path::new(program), &arguments, &json, INSTALL).await.map_err(|error| failed(chain(&error)))?;
        succeeded(program, &ended).map_err(failed)
    }

    /// Runs a program of the image; what it printed, or why it failed.
    async fn words(&self, command: &[String], more: &[&str], patience: Duration) -> Result<String, String> {
        let Some((program, arguments)) = command.split_first() else { return Err("agent.toml names none".to_owned()) };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let ended: Result<Ended, NetworkError> = run(Path::new(program), &arguments, &[], patience).await;
        let ended = ended.map_err(|error| chain(&error))?;
        succeeded(program, &ended)?;
        Ok(String::from_utf8_lossy(&ended.output).into_owned())
    }
}

fn succeeded(program: &str, ended: &Ended) -> Result<(), String> {
    match (ended.status.success(), ended.errors.as_str()) {
        (true, _) => Ok(()),
        (false, "") => Err(format!("{program}: {}", ended.status)),
        (false, said) => Err(format!("{program}: {said}")),
    }
}

/// A tree, a file or a link, if it is there.
fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
