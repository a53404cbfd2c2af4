use super::*;

/// The files of a small bundle with everything.
pub(crate) fn mail() -> Vec<(String, Vec<u8>)> {
    let manifest = br##"{
        "format": 1, "name": "mail-gateway", "version": "1.2.0", "title": "Mail gateway", "description": "Relays mail.",
        "models": ["mail-*"], "permissions": ["propose", "say"], "form": "form.json",
        "templates": [{ "title": "Small office", "file": "templates/small.json" }], "help": "help.txt",
        "page": { "html": "page.html", "css": "page.css", "logic": "logic.js" },
        "branding": { "accent": "#1f6feb", "logo": "logo.png" }, "translations": { "de": "de.json" }
    }"##;
    let form = br#"{ "type": "object", "additionalProperties": false, "required": ["licence"], "properties": {
        "relay": { "type": "string", "format": "hostname", "title": "Relay" }, "licence": { "type": "string", "writeOnly": true }
    } }"#;
    let files: [(&str, &[u8]); 9] = [
        (MANIFEST, manifest),
        ("form.json", form),
        ("templates/small.json", br#"{ "relay": "mail.example.net" }"#),
        ("help.txt", b"Type the relay."),
        ("page.html", b"<h1>Mail</h1>"),
        ("page.css", b"h1 { color: red }"),
        ("logic.js", b"muster.show('<p>')"),
        ("logo.png", b"\x89PNG\r\n\x1a\n..."),
        ("de.json", r#"{ "Relay": "Vermittler" }"#.as_bytes()),
    ];
    files.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).to_vec()
}

fn with(name: &str, bytes: impl Into<Vec<u8>>) -> Vec<(String, Vec<u8>)> {
    let mut files = mail();
    files.retain(|(other, _)| other != name);
    files.push((name.to_owned(), bytes.into()));
    files
}

fn refused(files: Vec<(String, Vec<u8>)>) -> String {
    Bundle::new(files).expect_err("not in order").to_string()
}

#[test]
fn a_bundle_comes_back_as_it_was_packed() {
    let bundle = Bundle::new(mail()).expect("in order");
    let again = Bundle::from_bytes(&bundle.to_bytes()).expect("reads");
    assert_eq!(again.files, bundle.files);
    let mut backwards = mail();
    backwards.reverse();
    assert_eq!(Bundle::new(backwards).expect("in order").to_bytes(), bundle.to_bytes());
    assert_eq!(again.help(), "Type the relay.");
    assert_eq!(again.texts("de-AT")["Relay"], "Vermittler");
    assert!(again.texts("fr").is_empty());
    assert_eq!(again.templates(), [("Small office".to_owned(), serde_json::json!({ "relay": "mail.example.net" }))]);
    assert_eq!(again.page().expect("has one").css, "h1 { color: red }");
    assert!(again.logo().is_some_and(|logo| logo.starts_with(PNG)));
}

#[test]
fn what_is_not_in_order_is_named_with_its_file() {
    let missing: Vec<_> = mail().into_iter().filter(|(name, _)| name != "help.txt").collect();
    let no_manifest: Vec<_> = mail().into_iter().filter(|(name, _)| name != MANIFEST).collect();
    let cases: [(Vec<(String, Vec<u8>)>, &str); 18] = [
        (no_manifest, "applet.json: it is missing"),
        (missing, "help.txt: the manifest names it"),
        (with("more.txt", *b"x"), "more.txt: the manifest does not name it"),
        (with("../up", *b"x"), "../up: a file's name"),
        (with("/etc/passwd", *b"x"), "/etc/passwd: a file's name"),
        (with("a\\b", *b"x"), "a\\\\b: a file's name"),
        (with(MANIFEST, *b"{"), "applet.json: it does not read"),
        (with("form.json", *b"[]"), "form.json: a schema of type `object`"),
        (with("templates/small.json", *br#"{ "relay": "-" }"#), "templates/small.json /relay: it is not a host name"),
        (with("help.txt", *b"a\x1b[2J"), "help.txt: a text in UTF-8"),
        (with("page.html", vec![b'x'; MAX_TEXT + 1]), "page.html: a text in UTF-8"),
        (with("page.html", vec![b'x'; MAX_HTML + 1]), "page.html: it is longer than 65536"),
        (with("page.css", vec![b'x'; MAX_CSS + 1]), "page.css: it is longer than 32768"),
        (with("logic.js", *b"a(); import('x')"), "logic.js: it has the word `import`"),
        (with("logo.png", *b"GIF89a"), "logo.png: a picture in PNG"),
        (with("de.json", *b"[1]"), "de.json: an object from texts"),
        (with("de.json", r#"{ "a": "\u202e" }"#.as_bytes()), "de.json: an object from texts"),
        (with("help.txt", vec![b'x'; MAX_BUNDLE]), "the bundle: it is too large"),
    ];
    for (files, said) in cases {
        let found = refused(files);
        assert!(found.starts_with(said), "{said}: {found}");
    }
    assert!(Bundle::from_bytes(b"PK").expect_err("no bundle").to_string().contains("`muster applet pack`"));
    assert!(Bundle::from_bytes(&vec![0; 2 * MAX_BUNDLE]).expect_err("too long").to_string().contains("longer"));
}

#[test]
fn names_stay_in_the_bundle_on_every_system() {
    for good in ["a", "templates/small.json", "a-b_c.1"] {
        assert!(is_file_name(good), "{good}");
    }
    for bad in ["", "/a", "a//b", "..", "a/../b", ".hidden", "a/", "a\\b", "c:", "a b", "a.", "ü", &"x".repeat(101)] {
        assert!(!is_file_name(bad), "{bad}");
    }
}

proptest::proptest! {
    #[test]
    fn whatever_comes_is_no_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let _ = Bundle::from_bytes(&bytes);
        let _ = crate::signed::open(&bytes);
    }
}
