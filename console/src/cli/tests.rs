use super::*;
use std::path::Path;

async fn muster(folder: &Path, args: &[&str]) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let start = ["muster", "--no-lan", "--data-dir"].into_iter().map(OsString::from);
    let args = start.chain([folder.as_os_str().to_owned()]).chain(args.iter().map(OsString::from));
    let exit = run(args, &mut Streams { out: &mut out, err: &mut err }).await;
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (exit, text(out), text(err))
}

#[tokio::test]
async fn what_is_no_command_is_wrong_usage_and_help_is_not() {
    let folder = tempfile::tempdir().expect("temporary folder");
    assert_eq!(muster(folder.path(), &["shout"]).await.0, Exit::Usage);
    assert_eq!(muster(folder.path(), &["configure"]).await.0, Exit::Usage);
    let (exit, out, err) = muster(folder.path(), &["--help"]).await;
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    assert!(out.contains("discover"));
}

#[tokio::test]
async fn without_a_noc_the_remedy_is_told_in_words_and_in_json() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (exit, out, err) = muster(folder.path(), &["status"]).await;
    assert_eq!((exit, out.as_str()), (Exit::Failure, ""));
    assert!(err.starts_with("Error not_joined: ") && err.contains("muster join"), "{err}");
    let (_, _, err) = muster(folder.path(), &["alerts", "--json"]).await;
    let error: serde_json::Value = serde_json::from_str(&err).expect("JSON");
    assert_eq!(error["problem"]["code"], "not_joined");
}

#[tokio::test]
async fn a_bad_invite_changes_nothing() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (exit, _, err) = muster(folder.path(), &["join", "hello"]).await;
    assert_eq!(exit, Exit::Failure);
    assert!(err.contains("invite_malformed"), "{err}");
    assert!(!folder.path().join("identity.json").exists());
}

#[tokio::test]
async fn a_noc_that_is_not_there_is_told() {
    let free =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let json = format!(r#"{{"noc":"{free}","pin":"{}","token":"T","expires":4000000000}}"#, "00".repeat(32));
    let invite = format!("muster-invite:{}", data_encoding::BASE64URL_NOPAD.encode(json.as_bytes()));
    let folder = tempfile::tempdir().expect("temporary folder");
    let (exit, _, err) = muster(folder.path(), &["join", &invite]).await;
    assert_eq!(exit, Exit::Failure);
    assert!(err.contains("noc_unreachable") && err.contains(&free.to_string()), "{err}");
}

#[tokio::test]
async fn a_discovery_that_reaches_nobody_says_so() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (exit, _, err) = muster(folder.path(), &["discover"]).await;
    assert_eq!(exit, Exit::Failure);
    assert!(err.contains("no_network"), "{err}");
}

#[tokio::test]
async fn two_engines_do_not_work_in_one_folder() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let options = Options { lan: false, ..Options::new(folder.path()) };
    let engine = Engine::start(options).await.expect("the first");
    let (exit, _, err) = muster(folder.path(), &["job", "cancel", "1"]).await;
    assert_eq!(exit, Exit::Failure);
    assert!(err.contains("in_use"), "{err}");
    assert_eq!(muster(folder.path(), &["job", "list"]).await.0, Exit::Success, "looking is allowed");
    engine.shutdown().await;
    drop(engine);
    let (_, _, err) = muster(folder.path(), &["job", "cancel", "1"]).await;
    assert!(err.contains("no_such_job"), "{err}");
}
