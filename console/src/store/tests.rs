use super::*;
use crate::problem::problem;

fn item(n: u8) -> StoredItem {
    StoredItem {
        uid: Uid([n; 20]),
        mac: Mac([n; 6]),
        device_key: PublicKey([n; 32]),
        settings: RawSettings { address: format!("192.0.2.{n}"), ..RawSettings::default() },
        grant: None,
        saved: None,
        step: JobStep::Waiting,
        attempts: 0,
        problem: None,
    }
}

fn grant(n: u8) -> StoredGrant {
    let voucher = (n != 1).then(|| vec![n; 150]);
    StoredGrant { signed: vec![n; 100], seq: Seq(u64::from(n)), claim: Some(ClaimKey([n; 32])), voucher }
}

#[test]
fn a_job_reads_back_as_far_as_it_was() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let store = Store::open(folder.path()).expect("new");
    let job = store.create_job(SiteId(7), 1000, &[item(3), item(1), item(2)], None).expect("created");
    let why = problem("busy", "it is busy", "Wait.");
    let report = ResultItem { uid: Uid([1; 20]), seq: Seq(1), configured: false, reason: "busy".into() };
    let changes = [
        Change::Grant { job, uid: Uid([3; 20]), grant: grant(3) },
        Change::Delivery { job, uid: Uid([3; 20]), saved: vec![9; 10] },
        Change::Grant { job, uid: Uid([1; 20]), grant: grant(1) },
        Change::Done {
            job,
            uid: Uid([1; 20]),
            step: JobStep::Failed,
            attempts: 4,
            problem: Some(why.clone()),
            report: Some(report),
        },
    ];
    store.save(&changes).expect("saved");
    drop(store);

    let store = Store::open(folder.path()).expect("again");
    let jobs = store.jobs().expect("read");
    assert_eq!(jobs.len(), 1);
    assert_eq!((jobs[0].site, jobs[0].started, jobs[0].finished), (SiteId(7), 1000, None));
    let sending = StoredItem { grant: Some(grant(3)), saved: Some(vec![9; 10]), step: JobStep::Sending, ..item(3) };
    let failed = StoredItem { step: JobStep::Failed, attempts: 4, problem: Some(why), ..item(1) };
    assert_eq!(jobs[0].items, [sending, failed, item(2)], "in the order asked, and without secrets once done");
    let outbox = store.outbox(10).expect("read");
    assert_eq!((outbox.len(), outbox[0].1.reason.as_str()), (1, "busy"));
    store.outbox_remove(&[outbox[0].0]).expect("removed");
    assert!(store.outbox(10).expect("read").is_empty());
}

#[test]
fn a_retried_item_starts_from_nothing() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let store = Store::open(folder.path()).expect("new");
    let job = store.create_job(SiteId(1), 0, &[item(1)], None).expect("created");
    let uid = Uid([1; 20]);
    let done = Change::Done { job, uid, step: JobStep::Failed, attempts: 2, problem: None, report: None };
    store.save(&[done, Change::Finished { job, at: Some(5) }]).expect("saved");
    store.save(&[Change::Retry { job, uid }, Change::Finished { job, at: None }]).expect("saved");
    let jobs = store.jobs().expect("read");
    assert_eq!((jobs[0].finished, &jobs[0].items[0]), (None, &item(1)));
}

#[test]
fn a_full_disk_is_told_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let store = Store::open(folder.path()).expect("new");
    let job = store.create_job(SiteId(1), 0, &[item(1)], None).expect("created");
    let pages: u32 = store.lock().query_row("PRAGMA page_count", [], |row| row.get(0)).expect("count");
    store.lock().execute_batch(&format!("PRAGMA max_page_count={}", pages + 1)).expect("limit");
    let change = Change::Delivery { job, uid: Uid([1; 20]), saved: vec![0; 100_000] };
    let error = store.save(std::slice::from_ref(&change)).expect_err("no room");
    assert_eq!(error.problem().code, "disk_full");
    assert!(!error.problem().remedy.is_empty());
    assert_eq!(store.jobs().expect("read")[0].items, [item(1)]);
    store.lock().execute_batch("PRAGMA max_page_count=1000000").expect("room again");
    store.save(&[change]).expect("now there is room");
}

#[test]
fn an_unusable_folder_is_named() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("file");
    std::fs::write(&file, b"").expect("written");
    let Err(error) = Store::open(&file.join("below")) else { panic!("a file is no folder") };
    assert_eq!(error.problem().code, "store_open");
    assert!(error.problem().message.contains("below"));
}

#[test]
fn preferences_are_remembered_and_the_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("temporary folder");
    let store = Store::open(folder.path()).expect("new");
    assert_eq!(store.preference("columns").expect("read"), None);
    store.set_preference("columns", "mac,uid").expect("set");
    store.set_preference("columns", "uid").expect("set");
    assert_eq!(store.preference("columns").expect("read").as_deref(), Some("uid"));
    let mode = std::fs::metadata(folder.path().join("muster.db")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
