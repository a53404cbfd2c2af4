//! The side folder: files come in beside what is in force, are gone on with after a break, and are used only whole.

use super::Problem;
use super::intake::{Broken, Intake};
use super::repository::Signed;
use data_encoding::HEXLOWER;
use nix::sys::statvfs::statvfs;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// After this time without a byte somebody who supplies files is taken for gone.
const SILENCE: Duration = Duration::from_secs(120);

/// Downloads a file into `side` as its hash, and verifies it. `progress` is told percent.
pub(super) async fn download(
    intake: &Intake,
    side: &Path,
    file: &Signed,
    bandwidth: Option<u64>,
    progress: impl Fn(u8),
) -> Result<PathBuf, Problem> {
    let path = side.join(&file.sha256);
    let resumed = fs::metadata(&path).is_ok_and(|metadata| metadata.len() > 0);
    match attempt(intake, &path, file, bandwidth, &progress).await {
        // A power cut may have left what was never written in the part that was there.
        Err(problem) if resumed && problem.code == HASH => attempt(intake, &path, file, bandwidth, &progress).await,
        other => other,
    }
}

const HASH: &str = "target_hash";

async fn attempt(
    intake: &Intake,
    path: &Path,
    file: &Signed,
    bandwidth: Option<u64>,
    progress: &impl Fn(u8),
) -> Result<PathBuf, Problem> {
    let disk = |error: io::Error| {
        // Give back what the attempt took: others need the disk, too.
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            let _ = fs::remove_file(path);
        }
        Problem::disk("written", path, &error)
    };
    let (mut hash, mut there) = begun(path, file.length).map_err(disk)?;
    if there < file.length {
        let mut out = OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(disk)?;
        let mut incoming = intake.open(file.path.clone(), there, file.length - there, bandwidth);
        loop {
            progress(u8::try_from(there.saturating_mul(100) / file.length.max(1)).unwrap_or(100));
            let part = tokio::time::timeout(SILENCE, incoming.next());
            match part.await {
                Ok(Some(Ok(bytes))) => {
                    out.write_all(&bytes).map_err(disk)?;
                    hash.update(&bytes);
                    there += bytes.len() as u64;
                }
                Ok(None) => break,
                // What came is kept, and gone on with.
                Ok(Some(Err(broken @ (Broken::Failed(_) | Broken::Missing)))) => {
                    return Err(Problem::passing("download", broken.to_string()));
                }
                Ok(Some(Err(Broken::TooLong))) => {
                    let _ = fs::remove_file(path);
                    return Err(Problem::passing(HASH, "more came than the repository signed for"));
                }
                Err(_) => return Err(Problem::passing("download", "no byte came for two minutes")),
            }
        }
        out.sync_all().map_err(disk)?;
    }
    if there < file.length {
        return Err(Problem::passing("download", format!("{there} of {} bytes came", file.length)));
    }
    if HEXLOWER.encode(&hash.finalize()) != file.sha256 {
        let _ = fs::remove_file(path);
        return Err(Problem::passing(HASH, "what came is not what the repository signed for"));
    }
    Ok(path.to_owned())
}

/// What is there of a file: it is hashed, and believed as little as what is still to come.
fn begun(path: &Path, length: u64) -> io::Result<(Sha256, u64)> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() <= length => hash_of(path),
        Ok(_) => fs::remove_file(path).map(|()| (Sha256::new(), 0)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((Sha256::new(), 0)),
        Err(error) => Err(error),
    }
}

fn hash_of(path: &Path) -> io::Result<(Sha256, u64)> {
    let (mut file, mut hash, mut length) = (File::open(path)?, Sha256::new(), 0);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hash, length)),
            read => {
                hash.update(&buffer[..read]);
                length += read as u64;
            }
        }
    }
}

/// Whether a file is the one of this hash, read again as a whole: before it is installed.
pub(super) fn is_whole(path: &Path, sha256: &str) -> bool {
    hash_of(path).is_ok_and(|(hash, _)| HEXLOWER.encode(&hash.finalize()) == sha256)
}

/// Whether so many bytes can be written below `folder`, with something to spare for everybody else.
pub(super) fn has_room(folder: &Path, bytes: u64) -> Result<(), Problem> {
    let spare = 16 * 1024 * 1024;
    let Ok(disk) = statvfs(folder) else { return Ok(()) };
    #[allow(clippy::useless_conversion, reason = "their width is the processor's")]
    let (blocks, size) = (u64::from(disk.blocks_available()), u64::from(disk.fragment_size()));
    let free = blocks.saturating_mul(size);
    if free >= bytes.saturating_add(spare) {
        return Ok(());
    }
    let text = format!("{bytes} bytes are needed below {}, and {free} are free. Make room", folder.display());
    Err(Problem::passing("no_space", text))
}

/// Removes what is in the side folder and not to be kept.
pub(super) fn tidy(side: &Path, keep: &[&str]) {
    for entry in fs::read_dir(side).into_iter().flatten().flatten() {
        if !keep.iter().any(|name| entry.file_name() == *name) {
            let path = entry.path();
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::installer::{Part, Supply, Taken, Wanted};

    fn signed(contents: &[u8]) -> Signed {
        Signed {
            path: "targets/x".into(),
            length: contents.len() as u64,
            sha256: HEXLOWER.encode(&Sha256::digest(contents)),
            custom: serde_json::Value::Null,
        }
    }

    /// Supplies from where it is asked to, `most` bytes at once, until `breaks_at`; what it was asked for.
    async fn supply(intake: Intake, contents: Vec<u8>, breaks_at: usize) -> u64 {
        let want = loop {
            match intake.wanted() {
                Wanted::File(want) => break want,
                _ => tokio::task::yield_now().await,
            }
        };
        let mut at = usize::try_from(want.from).expect("small");
        loop {
            let end = (at + 7).min(contents.len()).min(breaks_at);
            let part = match &contents[at..end] {
                [] if end == breaks_at => Part::Failed("noc_unreachable".into()),
                [] => Part::End,
                bytes => Part::Bytes(bytes.to_vec()),
            };
            match intake.supply(Supply { number: want.number, part }) {
                Taken::More => at = end,
                Taken::Full => tokio::task::yield_now().await,
                Taken::Enough => return want.from,
            }
        }
    }

    #[tokio::test]
    async fn a_download_that_broke_is_gone_on_with_and_verified_as_a_whole() {
        let side = tempfile::tempdir().expect("a folder");
        let contents: Vec<u8> = (0..200).collect();
        let (file, intake) = (signed(&contents), Intake::default());
        let (broken, from) = tokio::join!(
            download(&intake, side.path(), &file, None, |_| {}),
            supply(intake.clone(), contents.clone(), 90)
        );
        assert_eq!((broken.expect_err("it broke").code.as_str(), from), ("download", 0));
        let (path, from) = tokio::join!(
            download(&intake, side.path(), &file, Some(5), |_| {}),
            supply(intake.clone(), contents.clone(), usize::MAX)
        );
        let path = path.expect("whole");
        assert_eq!(from, 90, "what was there is not fetched again");
        assert_eq!(fs::read(&path).expect("there"), contents);
        assert!(is_whole(&path, &file.sha256));
        let again = download(&intake, side.path(), &file, None, |_| {}).await;
        assert_eq!(again.expect("there already"), path);
    }

    #[tokio::test]
    async fn what_a_power_cut_spoilt_is_fetched_from_the_beginning() {
        let side = tempfile::tempdir().expect("a folder");
        let contents: Vec<u8> = (0..200).collect();
        let (file, intake) = (signed(&contents), Intake::default());
        fs::write(side.path().join(&file.sha256), [0; 50]).expect("spoilt");
        let twice = async {
            let first = supply(intake.clone(), contents.clone(), usize::MAX).await;
            (first, supply(intake.clone(), contents.clone(), usize::MAX).await)
        };
        let (path, from) = tokio::join!(download(&intake, side.path(), &file, None, |_| {}), twice);
        assert_eq!(from, (50, 0));
        assert_eq!(fs::read(path.expect("whole")).expect("there"), contents);
    }

    #[tokio::test]
    async fn other_bytes_and_endless_data_are_not_kept() {
        let side = tempfile::tempdir().expect("a folder");
        let contents: Vec<u8> = (0..200).collect();
        let (file, intake) = (signed(&contents), Intake::default());
        for wrong in [vec![9; 200], vec![0; 10_000]] {
            let (refused, _) = tokio::join!(
                download(&intake, side.path(), &file, None, |_| {}),
                supply(intake.clone(), wrong, usize::MAX)
            );
            assert_eq!(refused.expect_err("refused").code, HASH);
            assert!(!side.path().join(&file.sha256).exists());
        }
    }

    #[test]
    fn free_space_is_looked_at_before() {
        let folder = tempfile::tempdir().expect("a folder");
        has_room(folder.path(), 1).expect("room");
        let problem = has_room(folder.path(), u64::MAX / 2).expect_err("no room");
        assert_eq!(problem.code, "no_space");
        assert!(problem.text.contains("Make room"), "{problem}");
    }
}
