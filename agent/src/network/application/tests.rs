use super::*;
use crate::storage::FileStorage;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

struct Bench {
    folder: TempDir,
    place: ApplicationPlace,
    storage: FileStorage,
}

impl Bench {
    /// An image with a file, and a program that is `script`; both below one folder.
    fn new(has_file: bool, script: Option<&str>) -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("hook");
        let mut exec = Vec::new();
        if let Some(script) = script {
            fs::write(&program, format!("#!/bin/sh\ncd {}\n{script}\n", folder.path().display())).expect("written");
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("set");
            exec = vec![program.display().to_string(), "--from".to_owned(), "muster".to_owned()];
        }
        let file = has_file.then(|| "/etc/vendor/settings.json".into());
        let place = ApplicationPlace { file, mode: 0o640, exec, patience: Duration::from_millis(1_500) };
        let storage = FileStorage::open(&folder.path().join("state")).expect("opens");
        Bench { folder, place, storage }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("etc/vendor/settings.json")
    }

    fn text(&self) -> Option<String> {
        fs::read_to_string(self.path()).ok()
    }

    /// What the program was told, one line each.
    fn told(&self) -> String {
        fs::read_to_string(self.folder.path().join("told")).unwrap_or_default()
    }

    async fn apply(&self, settings: Option<&str>, former: Option<&str>) -> Result<(), NetworkError> {
        let task = ApplicationTask::Apply { settings: settings.map(parsed), former: former.map(parsed) };
        self.carry_out(task).await
    }

    async fn carry_out(&self, task: ApplicationTask) -> Result<(), NetworkError> {
        self.place.carry_out(self.folder.path(), &self.storage, task).await
    }

    async fn commit(&self) {
        self.place.commit(self.folder.path(), &self.storage).await.expect("committed");
    }

    async fn roll_back(&self) {
        roll_back(Some(&self.place), self.folder.path(), &self.storage).await.expect("rolled back");
    }
}

fn parsed(text: &str) -> ApplicationSettings {
    ApplicationSettings::parse(text).expect("settings")
}

const TELL: &str = "cat >> told";
const OLD: &str = "{\"relay\":\"a\"}";
const NEW: &str = "{\"relay\":\"b\"}";

#[tokio::test]
async fn a_file_holds_the_settings_and_comes_back_exactly() {
    let bench = Bench::new(true, None);
    fs::create_dir_all(bench.path().parent().expect("a folder")).expect("made");
    fs::write(bench.path(), b"the vendor's\xff").expect("written");
    fs::set_permissions(bench.path(), fs::Permissions::from_mode(0o604)).expect("set");
    for _ in 0..2 {
        bench.apply(Some(NEW), None).await.expect("applied");
        assert_eq!(bench.text().as_deref(), Some("{\"relay\":\"b\"}\n"));
        assert_eq!(fs::metadata(bench.path()).expect("there").permissions().mode() & 0o777, 0o640);
        assert!(is_provisional(&bench.storage));
    }
    bench.roll_back().await;
    assert_eq!(fs::read(bench.path()).expect("there"), b"the vendor's\xff");
    assert_eq!(fs::metadata(bench.path()).expect("there").permissions().mode() & 0o777, 0o604);
    assert!(!is_provisional(&bench.storage));
    bench.roll_back().await;

    fs::remove_file(bench.path()).expect("removed");
    bench.apply(Some(OLD), None).await.expect("applied");
    bench.commit().await;
    bench.apply(None, Some(OLD)).await.expect("applied");
    assert_eq!(bench.text(), None, "no settings, no file");
    bench.roll_back().await;
    assert_eq!(bench.text().as_deref(), Some("{\"relay\":\"a\"}\n"));
    bench.carry_out(ApplicationTask::Forget).await.expect("forgotten");
    assert_eq!(bench.text(), None);
}

#[tokio::test]
async fn a_program_is_told_each_step_in_one_object_and_its_output_is_not_believed() {
    let bench = Bench::new(true, Some("[ \"$*\" = '--from muster' ] || exit 9\ncat >> told\necho '{\"ok\":false}'"));
    bench.apply(Some(OLD), None).await.expect("applied");
    bench.commit().await;
    bench.apply(Some(NEW), Some(OLD)).await.expect("applied");
    bench.roll_back().await;
    bench.carry_out(ApplicationTask::Forget).await.expect("forgotten");
    let file = bench.path().display().to_string();
    let line = |operation: &str, settings: &str| {
        format!("{{\"version\":1,\"operation\":\"{operation}\",\"settings\":{settings},\"file\":\"{file}\"}}\n")
    };
    let expected =
        [line("apply", OLD), line("commit", OLD), line("apply", NEW), line("roll_back", OLD), line("forget", "null")];
    assert_eq!(bench.told(), expected.concat());
}

#[tokio::test]
async fn an_application_is_not_disturbed_for_nothing() {
    let bench = Bench::new(true, Some(TELL));
    bench.apply(None, None).await.expect("nothing to do");
    assert!(!is_provisional(&bench.storage) && bench.told().is_empty() && bench.text().is_none());
    bench.apply(Some(OLD), None).await.expect("applied");
    bench.commit().await;
    let told = bench.told();
    bench.apply(Some(OLD), Some(OLD)).await.expect("the same");
    assert!(!is_provisional(&bench.storage));
    assert_eq!(bench.told(), told);
    // Somebody changed the file: a configuration with the same settings sets it right.
    fs::write(bench.path(), "{}").expect("written");
    bench.apply(Some(OLD), Some(OLD)).await.expect("applied");
    bench.commit().await;
    assert_eq!(bench.text().as_deref(), Some("{\"relay\":\"a\"}\n"));
    assert_eq!(bench.told().lines().count(), 4);
}

/// Refuses to apply, and takes everything else.
const REFUSING: &str = "cat >> told\ntail -n 1 told | grep -q '\"apply\"' || exit 0\necho 'no such relay' >&2; exit 1";

#[tokio::test]
async fn a_program_that_does_not_take_them_is_named_and_everything_goes_back() {
    for (script, code, said) in [
        (Some(REFUSING), "application_refused", "refused to apply: no such relay"),
        (Some("exit 3"), "application_refused", "exit status: 3"),
        (Some("sleep 60"), "application_program_timeout", "s to apply and was ended"),
        (None, "application_program_missing", "agent.toml"),
    ] {
        let mut bench = Bench::new(true, script);
        if script.is_none() {
            bench.place.exec = vec!["/none/hook".to_owned()];
        }
        let error = bench.apply(Some(NEW), None).await.expect_err("refused");
        assert_eq!(error.code(), code);
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(error.to_failure().reason, Reason::ApplicationFailed);
        assert!(is_provisional(&bench.storage));
        bench.roll_back().await;
        assert_eq!((bench.text(), is_provisional(&bench.storage)), (None, false), "whatever the program says");
        if script == Some(REFUSING) {
            let told = bench.told();
            assert!(told.lines().last().is_some_and(|line| line.contains("\"roll_back\",\"settings\":null")), "{told}");
        }
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_told_from_a_full_disk() {
    let bench = Bench::new(true, Some(TELL));
    fs::write(bench.folder.path().join("etc"), "no folder").expect("written");
    let error = bench.apply(Some(NEW), None).await.expect_err("refused");
    assert_eq!(error.to_failure().reason, Reason::ApplicationFailed);
    assert!(bench.told().is_empty());
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let full = file_fault(NetworkError::File { action: "written", path: "/f".into(), source: full });
    assert_eq!((full.code(), full.to_failure().reason), ("application_file", Reason::Storage));
    let nowhere = NetworkError::from(ApplicationFault::NotSupported);
    assert_eq!(nowhere.to_failure().reason, Reason::ApplicationNotSupported);
}

#[tokio::test]
async fn what_a_power_cut_left_is_rolled_back_or_committed() {
    let bench = Bench::new(true, Some(TELL));
    bench.apply(Some(OLD), None).await.expect("applied");
    bench.commit().await;
    let stored = || bench.storage.load(Document::FormerApplication).expect("read").expect("there");
    let store = |bytes: &[u8]| bench.storage.save(Document::FormerApplication, bytes).expect("stored");
    // Cut after the former state was stored, before the file was written.
    bench.apply(Some(NEW), Some(OLD)).await.expect("applied");
    fs::write(bench.path(), "{\"relay\":\"a\"}\n").expect("written");
    bench.roll_back().await;
    assert_eq!(bench.text().as_deref(), Some("{\"relay\":\"a\"}\n"));
    // Cut at the end of a roll-back: it is done again.
    bench.apply(Some(NEW), Some(OLD)).await.expect("applied");
    let former = stored();
    bench.roll_back().await;
    store(&former);
    bench.roll_back().await;
    assert_eq!(bench.text().as_deref(), Some("{\"relay\":\"a\"}\n"));
    // Cut at the end of a commit: it is told once more.
    bench.apply(Some(NEW), Some(OLD)).await.expect("applied");
    let former = stored();
    bench.commit().await;
    store(&former);
    bench.commit().await;
    assert!(!is_provisional(&bench.storage));
    assert_eq!(bench.text().as_deref(), Some("{\"relay\":\"b\"}\n"));
    // An image that has no section any more still gets its file back.
    bench.apply(Some(OLD), Some(NEW)).await.expect("applied");
    roll_back(None, bench.folder.path(), &bench.storage).await.expect("rolled back");
    assert_eq!(bench.text().as_deref(), Some("{\"relay\":\"b\"}\n"));
    store(b"rubbish");
    let error = roll_back(None, bench.folder.path(), &bench.storage).await.expect_err("no form");
    assert_eq!(error.code(), "former_state_form");
}

#[tokio::test]
async fn what_was_changed_by_hand_is_seen_and_set_again() {
    let bench = Bench::new(true, Some(TELL));
    bench.apply(Some(NEW), None).await.expect("applied");
    bench.commit().await;
    let is_changed = || bench.place.is_changed(bench.folder.path(), &parsed(NEW)).expect("read");
    assert!(!is_changed());
    bench.carry_out(ApplicationTask::Restore(parsed(NEW))).await.expect("nothing to do");
    assert_eq!(bench.told().lines().count(), 2);
    for change in [Some("{\"relay\":\"evil\"}\n"), None] {
        match change {
            Some(text) => fs::write(bench.path(), text).expect("written"),
            None => fs::remove_file(bench.path()).expect("removed"),
        }
        assert!(is_changed());
        bench.carry_out(ApplicationTask::Restore(parsed(NEW))).await.expect("restored");
        assert!(!is_changed());
    }
    assert_eq!(bench.told().lines().count(), 6, "apply and commit, each time");
    let without = Bench::new(false, Some(TELL));
    assert!(!without.place.is_changed(without.folder.path(), &parsed(NEW)).expect("nobody can tell"));
}
