//! The vendor's desk: a key, and vouchers for the appliances of a manifest. Needs no data folder; a vendor runs no NOC.

use crate::config::{self, OpenError};
use crate::error::{AsProblem, problem};
use crate::inventory::{csv_reader, delimiter_of, plain_lines};
use crate::random;
use data_encoding::BASE64;
use muster_protocol::api::Problem;
use muster_protocol::crypto::keys::{PublicKey, SecretKey};
use muster_protocol::id::Uid;
use muster_protocol::time::UnixTime;
use muster_protocol::voucher::Voucher;
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The key that a vendor signs vouchers with.
#[derive(Debug)]
pub struct VendorKey(SecretKey);

/// Why a vendor's key could not be made or used, or a manifest not be vouched for.
#[derive(Debug, thiserror::Error)]
pub enum VoucherToolError {
    /// The file is there already.
    #[error("{} is there already; a key is never overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It could not be written.
    #[error("{} could not be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes for the key")]
    NoEntropy,
    /// The key's file cannot be used.
    #[error("the vendor's key cannot be used")]
    Key(#[source] OpenError),
    /// What should be a NOC root's key is none.
    #[error("`{given}` is not the key of a NOC root")]
    Root {
        /// What was given.
        given: String,
    },
    /// The manifest cannot be read.
    #[error("the manifest cannot be used: {what}")]
    Manifest {
        /// What is wrong, and where.
        what: String,
    },
}

impl AsProblem for VoucherToolError {
    fn problem(&self) -> Problem {
        match self {
            VoucherToolError::Exists { .. } => problem(409, "key_exists", self, "Choose another name for the new key."),
            VoucherToolError::Write { .. } => {
                problem(500, "key_unwritable", self, "Choose a folder you may write to, with free space.")
            }
            VoucherToolError::NoEntropy => {
                problem(500, "no_entropy", self, "Try again once the machine has finished starting.")
            }
            VoucherToolError::Key(OpenError::Exposed { path, .. }) => {
                let remedy = format!("Nobody else may read it: run `chmod 600 {}`.", path.display());
                problem(500, "key_exposed", self, &remedy)
            }
            VoucherToolError::Key(_) => problem(
                400,
                "vendor_key_unusable",
                self,
                "Name the file that `muster-noc voucher new-key` wrote, or restore it from a backup.",
            ),
            VoucherToolError::Root { .. } => {
                problem(400, "bad_root", self, "Ask the owner of the NOC for what `muster-noc voucher root` prints.")
            }
            VoucherToolError::Manifest { .. } => {
                problem(422, "manifest_invalid", self, "Correct the manifest; nothing was signed.")
            }
        }
    }
}

impl VendorKey {
    /// Makes a new key and keeps it in a file that only its owner can read.
    pub fn make(path: &Path) -> Result<VendorKey, VoucherToolError> {
        let seed = Zeroizing::new(random::bytes::<32>().map_err(|_| VoucherToolError::NoEntropy)?);
        let text = Zeroizing::new(BASE64.encode(&*seed).into_bytes());
        config::create_private(path, &text).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => VoucherToolError::Exists { path: path.to_owned() },
            _ => VoucherToolError::Write { path: path.to_owned(), source },
        })?;
        Ok(VendorKey(SecretKey::from_seed(&seed)))
    }

    /// Reads it.
    pub fn read(path: &Path) -> Result<VendorKey, VoucherToolError> {
        config::check_private(path).map_err(VoucherToolError::Key)?;
        config::read_key(path).map(VendorKey).map_err(VoucherToolError::Key)
    }

    /// What the image names as `vendor_key`.
    pub fn public(&self) -> PublicKey {
        self.0.public()
    }

    /// The manifest again, with a voucher for `root` in each line. Only the column `uid` is looked at; a column `voucher` that is
    /// there is filled anew.
    pub fn vouch(
        &self,
        manifest: &str,
        root: &PublicKey,
        issued: u64,
        expires: Option<u64>,
    ) -> Result<String, VoucherToolError> {
        let wrong = |what: String| VoucherToolError::Manifest { what };
        let text = plain_lines(manifest);
        let mut reader = csv_reader(&text);
        let mut header = reader.headers().map_err(|error| wrong(error.to_string()))?.clone();
        let find = |name: &str| header.iter().position(|column| column.eq_ignore_ascii_case(name));
        let uid_at = find("uid").ok_or_else(|| wrong("the first line names no column uid".to_owned()))?;
        let columns = header.len();
        let voucher_at = find("voucher").unwrap_or(columns);
        if voucher_at == header.len() {
            header.push_field("voucher");
        }
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter_of(&text)).from_writer(Vec::new());
        writer.write_record(&header).map_err(|error| wrong(error.to_string()))?;
        let mut count = 0;
        for record in reader.records() {
            let record = record.map_err(|error| wrong(error.to_string()))?;
            // Lines between that hold nothing are no appliances, as in the import.
            if record.iter().all(str::is_empty) {
                continue;
            }
            let line = record.position().map_or(0, csv::Position::line);
            let uid = record.get(uid_at).unwrap_or_default();
            let uid: Uid = uid.parse().map_err(|error| wrong(format!("line {line}: {error}")))?;
            let voucher = Voucher {
                uid,
                root: *root,
                vendor: self.public(),
                issued: UnixTime(issued),
                expires: expires.map(UnixTime),
            };
            let signed = BASE64.encode(&voucher.sign(&self.0));
            let mut cells: Vec<&str> = record.iter().collect();
            if cells.len() > columns {
                return Err(wrong(format!("line {line} has more values than the first line has columns")));
            }
            cells.resize(header.len(), "");
            if let Some(cell) = cells.get_mut(voucher_at) {
                *cell = &signed;
            }
            writer.write_record(cells).map_err(|error| wrong(error.to_string()))?;
            count += 1;
        }
        if count == 0 {
            return Err(wrong("it lists no appliance".to_owned()));
        }
        let bytes = writer.into_inner().map_err(|error| wrong(error.to_string()))?;
        String::from_utf8(bytes).map_err(|error| wrong(error.to_string()))
    }
}

/// The key of a NOC root, as `muster-noc voucher root` prints it.
pub fn read_root(text: &str) -> Result<PublicKey, VoucherToolError> {
    PublicKey::from_base64(text.trim()).ok_or_else(|| VoucherToolError::Root { given: text.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory;

    fn uid(n: u8) -> Uid {
        Uid([n; 20])
    }

    #[test]
    fn a_vendor_vouches_for_a_manifest_and_the_noc_reads_it() {
        let folder = tempfile::TempDir::new().expect("folder");
        let path = folder.path().join("vendor.key");
        let key = VendorKey::make(&path).expect("made");
        assert_eq!(VendorKey::read(&path).expect("read").public(), key.public());
        let root = PublicKey([7; 32]);
        let manifest = format!("serial;mac;uid\nS1;AA:BB:CC:00:00:01;{}\nS2;AA:BB:CC:00:00:02;{}\n", uid(1), uid(2));
        let vouched = key.vouch(&manifest, &root, 100, Some(200)).expect("signed");
        // Again, for another NOC: the column is filled anew.
        let other = key.vouch(&vouched, &PublicKey([8; 32]), 100, None).expect("signed");
        for (text, root, expires) in [(vouched, root, Some(UnixTime(200))), (other, PublicKey([8; 32]), None)] {
            let rows = inventory::parse(&text).expect("a manifest without claim codes");
            let vouchers: Vec<_> = rows.iter().filter_map(|row| row.voucher.as_ref().map(|(_, v)| v)).collect();
            assert_eq!(vouchers.iter().map(|v| v.uid).collect::<Vec<_>>(), [uid(1), uid(2)]);
            assert!(vouchers.iter().all(|v| (v.root, v.vendor, v.expires) == (root, key.public(), expires)));
        }
    }

    #[test]
    fn keys_are_private_and_never_overwritten_and_what_cannot_be_signed_says_why() {
        let folder = tempfile::TempDir::new().expect("folder");
        let path = folder.path().join("vendor.key");
        let key = VendorKey::make(&path).expect("made");
        let code = |error: VoucherToolError| error.problem().code;
        assert_eq!(code(VendorKey::make(&path).expect_err("there is one")), "key_exists");
        assert_eq!(code(VendorKey::make(&folder.path().join("none/key")).expect_err("no folder")), "key_unwritable");
        assert_eq!(code(VendorKey::read(&folder.path().join("none")).expect_err("no file")), "vendor_key_unusable");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("chmod");
            assert_eq!(code(VendorKey::read(&path).expect_err("exposed")), "key_exposed");
        }
        assert_eq!(code(read_root("nonsense").expect_err("no key")), "bad_root");
        let root = PublicKey([7; 32]);
        for manifest in ["", "uid\n", "uid,mac\n,\n", "serial\nS1\n", "uid\nXYZ\n", "uid,mac\nA\n"] {
            assert_eq!(
                code(key.vouch(manifest, &root, 1, None).expect_err(manifest)),
                "manifest_invalid",
                "{manifest}"
            );
        }
        let long = format!("uid,mac\n{},a,b\n", uid(1));
        assert!(key.vouch(&long, &root, 1, None).expect_err("too many").to_string().contains("line 2"));
    }

    #[test]
    fn lines_are_counted_as_people_see_them_whatever_ends_them() {
        let folder = tempfile::TempDir::new().expect("folder");
        let key = VendorKey::make(&folder.path().join("vendor.key")).expect("made");
        let root = PublicKey([7; 32]);
        let good = format!("serial,uid\nS1,{}\n\nS2,{}\n", uid(1), uid(2));
        let bad = format!("{good}S3,XYZ\n");
        for end in ["\n", "\r\n"] {
            let refused = key.vouch(&bad.replace('\n', end), &root, 1, None).expect_err("no UID");
            assert!(refused.to_string().contains("line 5:"), "{end:?}: {refused}");
            let vouched = key.vouch(&good.replace('\n', end), &root, 1, None).expect("signed");
            assert_eq!(vouched, key.vouch(&good, &root, 1, None).expect("signed"), "{end:?}");
            assert_eq!(vouched.lines().count(), 3, "{vouched}");
        }
    }
}
