//! Records that are old enough go (decision 0033): the root signs where the log begins from then on, and with which hash.

use super::{By, Event, verify};
use crate::error::StoreError;
use crate::operators::access::Place;
use crate::signer::Signer;
use crate::store::{Store, audit};
use data_encoding::{BASE64, HEXLOWER};
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::crypto::sign::{self, Purpose};
use serde::{Deserialize, Serialize};

/// Fewest days for which records can be kept: what they say is looked for weeks later.
pub(crate) const LEAST_DAYS: u32 = 30;
const DAY_S: u64 = 86_400;

/// The last record that was pruned, as the root signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// The record.
    pub seq: u64,
    /// When it was pruned, Unix seconds.
    pub time: u64,
    /// The record's hash, hexadecimal: the chain goes on from it.
    pub hash: String,
    /// COSE_Sign1 by the NOC root over the JSON array of the three above and the word `pruned`, base64.
    pub signed: String,
}

impl Cut {
    // The word keeps an anchor, which is signed every minute, from being taken for the leave to prune.
    fn payload(seq: u64, time: u64, hash: &str) -> Vec<u8> {
        serde_json::to_vec(&(seq, time, hash, "pruned")).unwrap_or_default()
    }

    pub(crate) fn sign(signer: &Signer, seq: u64, time: u64, hash: &str) -> Cut {
        let signed = BASE64.encode(&signer.anchor(Cut::payload(seq, time, hash)));
        Cut { seq, time, hash: hash.to_owned(), signed }
    }

    /// Whether the root has signed it.
    pub(crate) fn is_signed(&self, root: &PublicKey) -> bool {
        let Ok(signed) = BASE64.decode(self.signed.as_bytes()) else { return false };
        sign::verify(root, Purpose::AuditAnchor, &signed) == Ok(Cut::payload(self.seq, self.time, &self.hash))
    }

    /// The hash that the first record after it continues.
    pub(crate) fn hash_bytes(&self) -> Option<[u8; 32]> {
        HEXLOWER.decode(self.hash.as_bytes()).ok()?.try_into().ok()
    }
}

/// What became of the records that are old enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pruned {
    /// None is.
    Nothing,
    /// They are gone.
    UpTo(u64),
    /// The log is not as it was written: all of it stays, as evidence.
    Broken,
}

/// Prunes records older than `days`. At most once a day, since each time leaves a record of its own.
pub(crate) fn prune(store: &Store, signer: &Signer, now: u64, days: u32) -> Result<Pruned, StoreError> {
    let root = signer.root();
    let kept_since = now.saturating_sub(u64::from(days) * DAY_S);
    // What is not the root's word deletes nothing.
    if store.read_now(audit::cut)?.is_some_and(|cut| !cut.is_signed(&root)) {
        return Ok(Pruned::Broken);
    }
    let found = store.read_now(|db| {
        if audit::oldest(db)?.is_none_or(|time| time + DAY_S >= kept_since) {
            return Ok(None);
        }
        let Some((seq, hash)) = audit::last_before(db, kept_since)? else { return Ok(None) };
        let verdict = verify(db, &root, &[])?;
        Ok::<_, StoreError>(Some((seq, hash, verdict.broken.is_some())))
    })?;
    let pruned = match found {
        None => Pruned::Nothing,
        Some((_, _, true)) => return Ok(Pruned::Broken),
        Some((seq, hash, false)) => {
            let cut = Cut::sign(signer, seq, now, &HEXLOWER.encode(&hash));
            store.write_now(move |db| {
                let event = Event::new(Place::NOC, "audit.prune", "audit");
                let detail = serde_json::json!({ "up_to": cut.seq, "hash": cut.hash, "older_than_days": days });
                audit::record(db, now, &By::noc(), event.with(detail))?;
                audit::keep_cut(db, &cut)
            })?;
            Pruned::UpTo(seq)
        }
    };
    // In steps, so that beats get in between; what a stop in the middle left goes with the next round.
    while store.write_now(audit::prune_step)? {}
    Ok(pruned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Anchor, Broken, Verdict};
    use crate::noc::Noc;
    use crate::store::copy;
    use crate::{Options, RestoreKeys, restore};
    use muster_protocol::crypto::keys::SecretKey;
    use std::path::Path;
    use tempfile::TempDir;

    const NOW: u64 = 1_800_000_000;

    /// Records of so many days before [`NOW`], one each.
    fn write(noc: &Noc, days: impl IntoIterator<Item = u64> + Send + 'static) {
        let written = noc.inner.store.write_now(move |db| {
            for day in days {
                let event = Event::new(Place::NOC, "noc.test", "noc");
                audit::record(db, NOW - day * DAY_S, &By::noc(), event)?;
            }
            Ok::<_, StoreError>(())
        });
        written.expect("written");
    }

    fn new(dir: &Path) -> Noc {
        Noc::init(dir, &Options::at("127.0.0.1:0")).expect("init")
    }

    fn pruned(noc: &Noc, now: u64, days: u32) -> Pruned {
        prune(&noc.inner.store, &noc.inner.signer, now, days).expect("read")
    }

    fn verdict(noc: &Noc) -> Verdict {
        noc.verify_audit(None).expect("read")
    }

    fn seqs(noc: &Noc) -> Vec<u64> {
        let mut found = Vec::new();
        noc.each_audit(|record| {
            found.push(record.seq);
            true
        })
        .expect("read");
        found
    }

    #[test]
    fn what_is_too_old_goes_once_a_day_and_the_rest_is_as_provable_as_before() {
        let dir = TempDir::new().expect("folder");
        let noc = new(&dir.path().join("noc"));
        write(&noc, [90, 60, 50, 31, 29, 1]);
        let anchor = noc.anchor_audit().expect("signed").expect("not empty");
        assert_eq!(pruned(&noc, NOW, 100), Pruned::Nothing);
        assert_eq!(pruned(&noc, NOW, 30), Pruned::UpTo(4));
        let after = verdict(&noc);
        assert_eq!((after.cut.as_ref().map(|cut| cut.seq), after.good, after.broken), (Some(4), 7, None));
        assert_eq!(seqs(&noc), [5, 6, 7], "and the record of it");
        let record = noc.search_audit(None, Some("audit.prune".into()), None, None, 9).expect("read").remove(0);
        assert!(record.detail.contains("\"up_to\":4") && record.actor == "noc", "{record:?}");
        // Records get old one after the other; a record for each would be older than what it speaks of.
        assert_eq!(pruned(&noc, NOW + DAY_S + 1, 30), Pruned::Nothing);
        assert_eq!(pruned(&noc, NOW + 3 * DAY_S, 30), Pruned::UpTo(5));
        write(&noc, [0]);
        assert_eq!((verdict(&noc).good, verdict(&noc).broken), (9, None));

        // An anchor kept elsewhere holds what is still there; one of what is gone says that it is.
        let path = dir.path().join("kept.json");
        std::fs::write(&path, serde_json::to_vec(&anchor).expect("JSON")).expect("kept");
        assert_eq!(noc.verify_audit(Some(&path)).expect("read").broken, None);
        assert_eq!(pruned(&noc, NOW + 40 * DAY_S, 30), Pruned::UpTo(9), "all of it, and its own record is left");
        assert_eq!(seqs(&noc), [10]);
        let gone = noc.verify_audit(Some(&path)).expect_err("of a record that is gone");
        assert!(gone.to_string().contains("record 6") && gone.to_string().contains("up to 9"), "{gone}");
    }

    #[test]
    fn nobody_but_the_root_lets_the_log_begin_later() {
        let dir = TempDir::new().expect("folder");
        let noc = new(&dir.path().join("noc"));
        write(&noc, [90, 60, 50, 1]);
        let anchor: Anchor = noc.anchor_audit().expect("signed").expect("not empty");
        write(&noc, [0]);
        let store = &noc.inner.store;
        // Signed every minute, and no leave to delete what is before it.
        let forged = Cut { seq: anchor.seq, time: anchor.time, hash: anchor.hash.clone(), signed: anchor.signed };
        let own = Cut::sign(&Signer::new(SecretKey::from_seed(&[9; 32])), 2, NOW, &anchor.hash);
        for cut in [forged, own] {
            let seq = cut.seq;
            let before = store.read_now(audit::cut).expect("read");
            store.write_now(move |db| audit::keep_cut(db, &cut)).expect("forged");
            assert_eq!(verdict(&noc).broken, Some(Broken::Cut { seq }));
            assert_eq!(pruned(&noc, NOW, 30), Pruned::Broken, "nothing more goes");
            assert_eq!(before, None);
            store.write_now(|db| Ok::<_, StoreError>(db.execute("DELETE FROM audit_cut", [])?)).expect("undone");
        }
        // Nor is what somebody has deleted, or altered, pruned over.
        store
            .write_now(|db| Ok::<_, StoreError>(db.execute("DELETE FROM audit WHERE seq <= 2", [])?))
            .expect("deleted");
        assert_eq!(verdict(&noc).broken, Some(Broken::Missing { seq: 1 }));
        assert_eq!(pruned(&noc, NOW, 30), Pruned::Broken);
        assert_eq!(seqs(&noc), [3, 4, 5]);
    }

    #[test]
    fn a_backup_keeps_where_the_log_begins_also_under_new_keys() {
        let dir = TempDir::new().expect("folder");
        let noc = new(&dir.path().join("noc"));
        write(&noc, [90, 60, 1]);
        assert_eq!(pruned(&noc, NOW, 30), Pruned::UpTo(2));
        let backup = dir.path().join("backup");
        let taken = noc.back_up(&backup).expect("taken").taken;
        assert_eq!(noc.inner.store.read_now(copy::last_backup).expect("read"), Some(taken));
        for (name, keys) in [("same", RestoreKeys::Same), ("other", RestoreKeys::New { address: "127.0.0.1:7000" })] {
            let to = dir.path().join(name);
            restore(&backup, &to, keys).expect("restored");
            let again = Noc::open(&to).expect("opens");
            assert_eq!(verdict(&again).broken, None, "{name}");
            assert_eq!(verdict(&again).cut.map(|cut| cut.seq), Some(2), "{name}");
            assert_eq!(again.inner.store.read_now(copy::last_backup).expect("read"), Some(taken), "the one it is from");
        }
    }

    #[tokio::test]
    async fn a_noc_that_is_told_so_prunes_while_it_serves() {
        let dir = TempDir::new().expect("folder");
        let path = dir.path().join("noc");
        let noc = new(&path);
        write(&noc, [900, 800]);
        drop(noc);
        let file = path.join("noc.toml");
        let text = std::fs::read_to_string(&file).expect("read");
        std::fs::write(&file, format!("audit_keep_days = 30\n{text}")).expect("written");
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let noc = Noc::open(&path).expect("opens");
        let mut changed = noc.inner.store.changed();
        let running = noc.serve("127.0.0.1:0".parse().expect("address")).await.expect("serves");
        while noc.search_audit(None, Some("audit.prune".into()), None, None, 1).expect("read").is_empty() {
            changed.changed().await.expect("the store is open");
        }
        running.shutdown().await;
        assert_eq!((seqs(&noc), verdict(&noc).broken), (vec![3], None));
    }
}
