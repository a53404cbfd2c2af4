use super::*;
use std::ffi::OsString;

async fn muster(args: &[&str]) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = ["muster", "applet"].iter().chain(args).map(OsString::from).collect::<Vec<_>>();
    let exit = crate::cli::run(args, &mut Streams { out: &mut out, err: &mut err }).await;
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (exit, text(out), text(err))
}

/// What was printed, when it went well.
async fn good(args: &[&str]) -> String {
    let (exit, out, err) = muster(args).await;
    assert_eq!((exit, err.as_str()), (Exit::Success, ""), "{args:?}: {out}");
    out
}

/// What was said on the error stream, when it did not.
async fn refused(args: &[&str]) -> String {
    let (exit, _, err) = muster(args).await;
    assert_eq!(exit, Exit::Failure, "{args:?}");
    assert_eq!(err.lines().count(), 2, "what is wrong, and what to do: {err}");
    err
}

#[tokio::test]
async fn a_new_applet_is_in_order_as_it_is_and_can_be_packed_signed_and_looked_at() {
    let temporary = tempfile::tempdir().expect("temporary folder");
    let at = |name: &str| temporary.path().join(name).display().to_string();
    let folder = at("mail-gateway");
    good(&["new", &folder]).await;
    assert!(good(&["check", &folder]).await.contains("mail-gateway 0.1.0 is in order"));

    let preview = good(&["preview", &folder, "--language", "de"]).await;
    for said in ["Mein Gerät (mail-gateway 0.1.0)", "Server *  (server: hostname)", "Verschlüsseln", "Kleines Büro"]
    {
        assert!(preview.contains(said), "{said}: {preview}");
    }
    let json: serde_json::Value = serde_json::from_str(&good(&["preview", &folder, "--json"]).await).expect("JSON");
    assert_eq!(
        (json["hasPage"].as_bool(), json["form"]["properties"]["port"]["default"].as_u64()),
        (Some(true), Some(443))
    );

    let made = good(&["key", &at("author.key")]).await;
    assert!(made.contains("muster-noc applet author add"), "{made}");
    good(&["pack", &folder, "--out", &at("packed")]).await;
    good(&["sign", &at("packed"), "--key", &at("author.key"), "--out", &at("one.applet")]).await;
    good(&["sign", &folder, "--key", &at("author.key"), "--out", &at("two.applet")]).await;
    let read = |name: &str| std::fs::read(at(name)).expect("written");
    assert_eq!(read("one.applet"), read("two.applet"), "of a folder and of its packed file the same is signed");
    assert!(good(&["check", &at("one.applet")]).await.contains("Signed by "));

    let mut changed = read("one.applet");
    let last = changed.len() - 1;
    changed[last] ^= 1;
    std::fs::write(at("changed.applet"), changed).expect("written");
    let (exit, out, _) = muster(&["check", &at("changed.applet")]).await;
    assert_eq!(exit, Exit::Failure);
    assert!(out.contains("was changed since"), "{out}");
}

#[tokio::test]
async fn every_error_names_what_is_wrong_and_changes_nothing() {
    let temporary = tempfile::tempdir().expect("temporary folder");
    let at = |name: &str| temporary.path().join(name).display().to_string();
    assert!(refused(&["new", &at("Mail")]).await.contains("bad_applet_name"));
    good(&["new", &at("Mail"), "--name", "mail"]).await;
    assert!(refused(&["new", &at("Mail"), "--name", "mail"]).await.contains("file_exists"));
    assert!(refused(&["pack", &at("nowhere")]).await.contains("no_applet"));
    assert!(refused(&["check", &at("nowhere")]).await.contains("applet_file"));
    good(&["key", &at("key")]).await;
    assert!(refused(&["key", &at("key")]).await.contains("file_exists"));
    assert!(refused(&["sign", &at("Mail"), "--key", &at("Mail/help.txt")]).await.contains("bad_author_key"));
    assert!(refused(&["sign", &at("Mail"), "--key", &at("none")]).await.contains("applet_file"));

    std::fs::write(at("Mail/form.json"), "{}").expect("written");
    let (exit, out, _) = muster(&["check", &at("Mail")]).await;
    assert_eq!(exit, Exit::Failure);
    assert!(out.starts_with("form.json: a schema of type `object`"), "{out}");
    assert!(refused(&["pack", &at("Mail"), "--out", &at("out")]).await.contains("applet_faulty"));
    assert!(!temporary.path().join("out").exists());

    std::os::unix::fs::symlink("/etc/passwd", at("Mail/more")).expect("linked");
    assert!(refused(&["pack", &at("Mail")]).await.contains("more is neither a file nor a folder"));
    let publish = |applet: &str, token: &str| {
        let words =
            ["publish", applet, "--noc", "127.0.0.1:1", "--ca", token, "--token-file", token, "--organisation", "1"];
        words.map(str::to_owned)
    };
    good(&["new", &at("good"), "--name", "good"]).await;
    let words = publish(&at("good"), &at("key"));
    assert!(refused(&words.each_ref().map(String::as_str)).await.contains("not_signed"));
    good(&["sign", &at("good"), "--key", &at("key"), "--out", &at("good.applet")]).await;
    let words = publish(&at("good.applet"), &at("key"));
    assert!(refused(&words.each_ref().map(String::as_str)).await.contains("noc_unusable"));
}
