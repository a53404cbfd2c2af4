//! `muster decode`, the real program, on the protocol's test vectors.

use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn vectors(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/tests/versions/1").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str::<Value>(&text).expect("JSON")["vectors"].as_array().expect("vectors").clone()
}

fn hex(file: &str, number: usize) -> String {
    vectors(file)[number]["datagram"].as_str().expect("hexadecimal").to_owned()
}

fn named(name: &str) -> String {
    let all = vectors("refused.json");
    let vector = all.iter().find(|vector| vector["name"] == name).unwrap_or_else(|| panic!("no vector: {name}"));
    vector["datagram"].as_str().expect("hexadecimal").to_owned()
}

/// Without a home: a datagram is explained without any data folder.
fn muster(arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_muster"))
        .arg("decode")
        .args(arguments)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads, or has ended");
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn a_result_is_told_field_by_field() {
    let (code, out, err) = muster(&[&hex("result.json", 5)], "");
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    for line in [
        "278 of at most 1232 bytes, result",
        "UID: R3DB-NQLG-IFIL-CNIE-SVJS-HOXO-OWLY-RDMJ  (the appliance)",
        "reason: 9, address_taken  (Another device on the network already uses this address. Choose another address.)",
        "detail: \"192.0.2.10 is used by 02:4D:55:53:54:99\"",
        "not checked: the device key of this UID is not known here",
        "cannot be checked from outside",
    ] {
        assert!(out.contains(line), "{line} is missing in\n{out}");
    }
}

#[test]
fn with_the_key_a_signature_is_checked() {
    let result = hex("result.json", 0);
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/tests/versions/1/keys.json");
    let keys: Value = serde_json::from_str(&std::fs::read_to_string(keys).expect("read")).expect("JSON");
    let key = |name: &str| keys[name]["public_key"].as_str().expect("hexadecimal").to_owned();
    let (code, out, _) = muster(&[&result, "--key", &key("device")], "");
    assert!(code == Some(0) && out.contains("holds, by the device key of this UID"), "{out}");
    // Base64, as the NOC writes keys.
    let bytes = data_encoding::HEXLOWER.decode(key("console").as_bytes()).expect("hexadecimal");
    let (code, out, _) = muster(&[&hex("kick-start.json", 0), "--key", &data_encoding::BASE64.encode(&bytes)], "");
    assert!(code == Some(0) && out.contains("which has to be the console's key"), "{out}");
    let (code, out, _) = muster(&[&hex("kick-start.json", 0), "--key", &key("stranger")], "");
    assert!(code == Some(1) && out.contains("!! does not hold: it is not by the console's key"), "{out}");
    let (code, _, err) = muster(&[&result, "--key", "nonsense"], "");
    assert!(code == Some(1) && err.contains("bad_key"), "{err}");
}

#[test]
fn what_is_sealed_is_said_to_be_sealed_and_to_whom() {
    let (code, out, _) = muster(&[&hex("config.json", 0)], "");
    assert_eq!(code, Some(0));
    assert!(out.contains("sealed to the one-time key: only that appliance can read"), "{out}");
    assert!(!out.contains("mail-01"), "the settings are not in clear");
}

#[test]
fn a_malformed_datagram_fails_and_names_the_byte() {
    let (code, out, _) = muster(&[&named("a duplicate key")], "");
    assert_eq!(code, Some(1));
    assert!(out.contains("Malformed at byte 29: field 0 is there twice"), "{out}");
    assert!(out.contains("UID: R3DB"), "what came before is still told:\n{out}");
    let (code, out, _) = muster(&["--json", &named("a trailing byte")], "");
    let explained: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, explained["fault"]["at"].as_u64()), (Some(1), Some(167)));
    let (code, out, _) = muster(&[&named("an answer with another MAC than was signed")], "");
    assert!(code == Some(1) && out.contains("!! does not hold: it is not by the device key inside"), "{out}");
}

#[test]
fn hexadecimal_is_read_as_tools_print_it() {
    let plain = hex("here.json", 0);
    let (_, expected, _) = muster(&[&plain], "");
    assert!(expected.contains("(Ed25519; of the appliance R3DB-NQLG-"), "{expected}");
    let bytes: Vec<&str> = (0..plain.len()).step_by(2).map(|at| &plain[at..at + 2]).collect();
    let lines: Vec<String> = bytes.chunks(16).map(|line| line.join(" ")).collect();
    for form in [bytes.join(":").to_uppercase(), lines.join("\n"), format!("0x{}", bytes.join(", 0x")), bytes.join("-")]
    {
        assert_eq!(muster(&["-"], &form), (Some(0), expected.clone(), String::new()));
    }
    for (nonsense, why) in [("", "nothing to decode"), ("4d5", "3 hexadecimal digits"), ("4dzz", "`z` at digit 3")] {
        let (code, out, err) = muster(&["-"], nonsense);
        assert!(code == Some(1) && out.is_empty() && err.contains(why), "{err}");
    }
}

#[test]
fn json_has_every_field_with_its_place() {
    let (code, out, _) = muster(&["--json", &hex("ping.json", 2)], "");
    assert_eq!(code, Some(0));
    let explained: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((explained["kind"].as_str(), explained["fault"].is_null()), (Some("ping"), true));
    let signed = &explained["items"][3];
    assert_eq!(signed["name"], "signed ping");
    let fields: Vec<&str> = signed["items"][0]["items"]
        .as_array()
        .expect("fields")
        .iter()
        .filter_map(|item| item["name"].as_str())
        .collect();
    assert_eq!(fields, ["ping id", "window", "salt", "shard", "heard", "only", "reply key", "credential"]);
    assert_eq!(signed["items"][1]["check"], "holds");
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let datagram =
        hex("result.json", 5).replace(&data_encoding::HEXLOWER.encode(b"192.0.2.10"), "1b5b324a0a0d7f313233");
    for arguments in [&["-"][..], &["--json", "-"]] {
        let (_, out, _) = muster(arguments, &datagram);
        assert!(out.chars().all(|c| c == '\n' || !c.is_control()), "{out:?}");
        assert!(out.contains("u{1b}"), "{out}");
    }
}
