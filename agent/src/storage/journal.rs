//! A file that grows at its end: `MSTJ`, a version, then records, each with its length and a checksum.
//!
//! Adding writes the new records and nothing else, for flash wears out. A power cut may tear what is being added; reading
//! leaves that out, and the next adding writes over it.

use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const MAGIC: &[u8; 5] = b"MSTJ\x01";
/// It grows no longer than this, whatever it is asked to hold.
const MOST: usize = 512 * 1_024;
const LENGTH: usize = 4;
const CHECK: usize = 8;

/// The records of a file, oldest first; none if there is no file.
pub(super) fn read(path: &Path) -> io::Result<Vec<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(records(&bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Adds records at the end of a file. On return they survive a power cut; on an error none of them is there.
pub(super) fn append(path: &Path, records: &[Vec<u8>]) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let mut kept = Vec::new();
    file.read_to_end(&mut kept)?;
    let end = walk(&kept, |_| {});
    let added = add(&mut file, end, records);
    if added.is_err() {
        // The disk may be full: give back what the attempt took.
        let _ = file.set_len(end as u64);
    }
    added?;
    // The file itself may be new.
    if end == 0 { super::sync_folder(path) } else { Ok(()) }
}

/// The contents of a file with these records.
pub(super) fn encode(records: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for record in records {
        let length = length_of(record);
        bytes.extend_from_slice(&length);
        bytes.extend_from_slice(&check(length, record));
        bytes.extend_from_slice(record);
    }
    bytes
}

/// The records that are intact.
pub(super) fn records(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    walk(bytes, |record| found.push(record.to_vec()));
    found
}

fn add(file: &mut File, end: usize, records: &[Vec<u8>]) -> io::Result<()> {
    let bytes = encode(records);
    if end + bytes.len() > MOST {
        return Err(ErrorKind::FileTooLarge.into());
    }
    file.set_len(end as u64)?;
    file.seek(SeekFrom::Start(end as u64))?;
    file.write_all(if end == 0 { &bytes } else { &bytes[MAGIC.len()..] })?;
    file.sync_all()
}

/// Shows every intact record; where the last of them ends.
fn walk(bytes: &[u8], mut intact: impl FnMut(&[u8])) -> usize {
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else { return 0 };
    let mut end = MAGIC.len();
    while let Some((length, after)) = rest.split_first_chunk::<LENGTH>() {
        let Some((sum, after)) = after.split_first_chunk::<CHECK>() else { break };
        let Some((record, after)) = after.split_at_checked(u32::from_be_bytes(*length) as usize) else { break };
        rest = after;
        // A spoilt record costs itself only, as long as its length is right.
        if check(*length, record) == *sum {
            intact(record);
            end = bytes.len() - rest.len();
        }
    }
    end
}

fn length_of(record: &[u8]) -> [u8; LENGTH] {
    // A record is some kilobytes.
    u32::try_from(record.len()).unwrap_or(u32::MAX).to_be_bytes()
}

fn check(length: [u8; LENGTH], record: &[u8]) -> [u8; CHECK] {
    let hash = Sha256::new().chain_update(length).chain_update(record).finalize();
    let mut check = [0; CHECK];
    check.copy_from_slice(&hash[..CHECK]);
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(from: usize, to: usize) -> Vec<Vec<u8>> {
        (from..to).map(|n| vec![n as u8; n * 7]).collect()
    }

    #[test]
    fn an_append_torn_at_any_byte_costs_nothing_but_itself_and_the_next_one_holds() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        append(&path, &some(0, 3)).expect("a new file");
        let before = std::fs::read(&path).expect("there");
        append(&path, &some(3, 6)).expect("added");
        let after = std::fs::read(&path).expect("there");
        assert_eq!(read(&path).expect("read"), some(0, 6));
        assert_eq!(after, encode(&some(0, 6)), "only the end was written");
        for cut in 0..=after.len() {
            // What was not yet on disk may also read as zeros of the whole length.
            for padded in [false, true] {
                let mut torn = after[..cut].to_vec();
                if padded && cut >= before.len() {
                    torn.resize(after.len(), 0);
                }
                std::fs::write(&path, &torn).expect("torn");
                let left = read(&path).expect("reads");
                assert_eq!(left, some(0, 6)[..left.len()], "cut at {cut}");
                assert!(cut < before.len() || left.len() >= 3, "cut at {cut}: an older record is gone");
                append(&path, &some(6, 8)).expect("goes on");
                assert_eq!(read(&path).expect("reads"), [left, some(6, 8)].concat(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_spoilt_record_is_left_out() {
        let whole = encode(&some(1, 5));
        for spoilt in MAGIC.len()..whole.len() {
            let mut bytes = whole.clone();
            bytes[spoilt] ^= 1;
            let left = records(&bytes);
            assert!(left.len() < 4 && left.iter().all(|record| some(1, 5).contains(record)), "byte {spoilt}");
        }
        assert!(records(b"MSTJ\x02").is_empty() && records(b"").is_empty());
    }

    #[test]
    fn a_disk_that_refuses_leaves_what_was_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = append(&folder.path().join("missing").join("journal"), &some(0, 1)).expect_err("no folder");
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
