//! docs/wireshark/muster.lua in the real tshark: what it shows of the test vectors, and that nothing hostile upsets it.

#![allow(clippy::disallowed_methods, reason = "a test may read files and start programs; the crate may not")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn vectors(name: &str) -> Vec<Value> {
    let path = at("tests/versions/1").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str::<Value>(&text).expect("JSON")["vectors"].as_array().expect("vectors").clone()
}

fn bytes(value: &Value) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(value.as_str().expect("text").as_bytes()).expect("hexadecimal")
}

fn datagrams(name: &str) -> Vec<Vec<u8>> {
    vectors(name).iter().map(|vector| bytes(&vector["datagram"])).collect()
}

/// A classic pcap file of Ethernet frames with IPv4 and UDP.
fn pcap(datagrams: &[Vec<u8>], to_port: u16) -> Vec<u8> {
    let mut file = Vec::new();
    for number in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend(number.to_le_bytes());
    }
    for (n, datagram) in (0_u32..).zip(datagrams) {
        let length = |more: usize| u16::try_from(datagram.len() + more).expect("short").to_be_bytes();
        let mut frame = b"\x02\x4d\x55\x53\x54\x01\x02\0\0\0\0\x08\x08\0\x45\0".to_vec();
        frame.extend(length(28));
        frame.extend(b"\0\0\0\0\x40\x11\0\0\xc0\0\x02\xc8\xc0\0\x02\x0a");
        frame.extend(40_000_u16.to_be_bytes());
        frame.extend(to_port.to_be_bytes());
        frame.extend(length(8));
        frame.extend([0, 0]);
        frame.extend(datagram);
        let size = u32::try_from(frame.len()).expect("short");
        for number in [n, 0, size, size] {
            file.extend(number.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

/// Seconds after which tshark hangs.
const PATIENCE: &str = "60";

/// What tshark prints of a recording. It must end by itself, without an error in Lua.
fn tshark(name: &str, pcap: &[u8], arguments: &[&str]) -> String {
    let file = std::env::temp_dir().join(format!("muster-{name}-{}.pcap", std::process::id()));
    std::fs::write(&file, pcap).expect("written");
    let script = format!("lua_script:{}", at("../docs/wireshark/muster.lua").display());
    let output = Command::new("timeout")
        .args([PATIENCE, "tshark", "-n", "-X", &script, "-r"])
        .arg(&file)
        .args(arguments)
        // No profile of whoever runs the test.
        .env("HOME", std::env::temp_dir())
        .stdin(Stdio::null())
        .output()
        .expect("tshark starts; scripts/setup installs it");
    std::fs::remove_file(&file).expect("removed");
    let (text, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_ne!(output.status.code(), Some(124), "tshark hangs");
    assert!(output.status.success(), "{complaint}");
    for said in [&text, &complaint] {
        assert!(!said.contains("Lua Error") && !said.contains("lua:"), "{said}");
    }
    text.into_owned()
}

/// One line a packet, of these fields.
fn fields(name: &str, datagrams: &[Vec<u8>], to_port: u16, names: &[&str]) -> Vec<Vec<String>> {
    let mut arguments = vec!["-T", "fields", "-E", "separator=|"];
    names.iter().for_each(|name| arguments.extend(["-e", name]));
    let text = tshark(name, &pcap(datagrams, to_port), &arguments);
    let lines: Vec<Vec<String>> = text.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect();
    assert_eq!(lines.len(), datagrams.len(), "{text}");
    lines
}

const PORT: u16 = 6878;

#[test]
fn it_shows_what_is_in_clear() {
    let files = ["ping.json", "here.json", "config.json", "result.json", "kick-start.json"];
    let all: Vec<Vec<u8>> = files.iter().flat_map(|file| datagrams(file)).collect();
    let names = ["muster.version", "muster.kind", "_ws.expert.message", "_ws.malformed"];
    for (line, datagram) in fields("kinds", &all, PORT, &names).iter().zip(&all) {
        assert_eq!(line, &["1".to_owned(), datagram[5].to_string(), String::new(), String::new()]);
    }
    let names = ["muster.uid", "eth.dst", "muster.mac", "muster.here.state", "muster.here.proof", "muster.boot"];
    for (line, vector) in fields("here", &datagrams("here.json"), PORT, &names).iter().zip(vectors("here.json")) {
        let meaning = &vector["meaning"];
        assert_eq!(Some(line[0].as_str()), meaning["uid"].as_str(), "from the device key");
        assert_eq!(Some(line[2].to_uppercase().as_str()), meaning["mac"].as_str());
        assert_eq!(
            (line[3].parse().ok(), line[4].parse().ok()),
            (meaning["state"].as_u64(), meaning["proof"].as_u64())
        );
        assert_eq!(Some(line[5].as_str()), meaning["boot"].as_str());
    }
    let names = ["muster.uid", "muster.request", "muster.one_time_key", "muster.enc"];
    for (line, vector) in fields("config", &datagrams("config.json"), PORT, &names).iter().zip(vectors("config.json")) {
        let meaning = &vector["meaning"];
        let expected = [&meaning["uid"], &meaning["request"], &meaning["one_time_key"], &vector["hpke"]["enc"]];
        assert_eq!(line.iter().map(|text| Some(text.as_str())).collect::<Vec<_>>(), expected.map(Value::as_str));
    }
}

#[test]
fn it_shows_what_a_result_says() {
    let names = [
        "muster.result.status",
        "muster.result.reason",
        "muster.result.detail",
        "muster.result.next_key",
        "muster.result.percent",
        "muster.seq",
        "muster.result.packet",
        "muster.tag",
    ];
    let shown = fields("result", &datagrams("result.json"), PORT, &names);
    for (line, vector) in shown.iter().zip(vectors("result.json")) {
        let (meaning, status) = (&vector["meaning"], &vector["meaning"]["status"]);
        let words = ["SUCCESS", "FAILED", "UNCONFIGURED"];
        assert_eq!(Some(words[line[0].parse::<usize>().expect("a number")]), status["result"].as_str());
        assert_eq!(line[1].parse().ok(), status["reason"].as_u64());
        assert_eq!(line[2], status["detail"].as_str().unwrap_or_default());
        assert_eq!(line[3], status["next_key"].as_str().unwrap_or_default());
        assert_eq!(line[4].parse().ok(), status["percent"].as_u64());
        assert_eq!(Some(line[5].as_str()), meaning["seq"].as_str());
        assert_eq!(Some(line[6].as_str()), meaning["packet"].as_str());
        assert_eq!(line[7], vector["tag"].as_str().unwrap_or_default());
    }
    let text = tshark("summary", &pcap(&datagrams("result.json"), PORT), &[]);
    assert!(
        text.contains("Result, FAILED, address_taken") && text.contains("Result, UNCONFIGURED, first beat"),
        "{text}"
    );
}

#[test]
fn it_finds_datagrams_on_other_ports_by_how_they_begin() {
    let mut all = datagrams("ping.json");
    all.push(b"MUSTER is something else".to_vec());
    all.push(b"nothing of ours".to_vec());
    let shown = fields("ports", &all, 50_000, &["muster.kind", "muster.ping.window"]);
    let windows: Vec<Option<u64>> = vectors("ping.json").iter().map(|v| v["meaning"]["window_ms"].as_u64()).collect();
    let found: Vec<Option<u64>> = shown.iter().take(windows.len()).map(|line| line[1].parse().ok()).collect();
    assert_eq!(found, windows);
    assert_eq!(shown.last().expect("lines")[0], "");
}

#[test]
fn it_says_what_is_malformed_and_at_which_byte() {
    let all = vectors("refused.json");
    let of = |stage: &str| -> Vec<Value> {
        let readable = |v: &&Value| v["stage"] == stage && v["reason"] != "magic" && v["reason"] != "grant";
        all.iter().filter(readable).cloned().collect()
    };
    for stage in ["datagram", "message"] {
        let vectors = of(stage);
        let datagrams: Vec<Vec<u8>> = vectors.iter().map(|vector| bytes(&vector["datagram"])).collect();
        let shown = fields(stage, &datagrams, PORT, &["_ws.expert.message"]);
        for (line, vector) in shown.iter().zip(&vectors) {
            assert!(line[0].contains("(byte "), "{} is not called malformed: {line:?}", vector["name"]);
        }
        assert!(shown.len() >= 9);
    }
    let duplicate = all.iter().find(|vector| vector["name"] == "a duplicate key").expect("there");
    let shown = fields("duplicate", &[bytes(&duplicate["datagram"])], PORT, &["_ws.expert.message"]);
    assert_eq!(shown[0][0], "field 0 is unknown, twice or out of order (byte 29)");
}

#[test]
fn hostile_datagrams_neither_hang_it_nor_upset_lua() {
    let files = ["ping.json", "here.json", "config.json", "result.json", "kick-start.json"];
    let good: Vec<Vec<u8>> = files.iter().flat_map(|file| datagrams(file)).collect();
    let mut hostile = Vec::new();
    // Cut everywhere near the front, and here and there behind.
    for datagram in &good {
        hostile.extend((4..datagram.len()).filter(|at| *at < 120 || at % 17 == 0).map(|at| datagram[..at].to_vec()));
    }
    // Every first byte that CBOR knows, at every place where an item may begin.
    for datagram in [&good[0], &good[2], &good[4], &good[7], &good[10], &good[19]] {
        for at in (6..datagram.len().min(90)).step_by(3) {
            for byte in [0x1b, 0x3b, 0x5b, 0x5f, 0x7b, 0x9b, 0x9f, 0xbb, 0xbf, 0xc6, 0xd8, 0xf6, 0xf9, 0xfb, 0xff] {
                let mut spoiled = datagram.clone();
                spoiled[at] = byte;
                hostile.push(spoiled);
            }
        }
    }
    // Nesting as deep as a datagram allows, and lengths beyond every number.
    for kind in 1..=5 {
        for opener in
            [&[0x81][..], &[0xa1], &[0xa1, 0x00], &[0x9f], &[0xd8], &[0x82, 0x84], &[0xa1, 0x00, 0x59, 0x04, 0x00]]
        {
            let mut deep = [b"MUST\x01", &[kind][..]].concat();
            deep.extend(opener.iter().cycle().take(1_226));
            hostile.push(deep);
        }
        for major in [0x1b, 0x5b, 0x7b, 0x9b, 0xbb] {
            hostile.push([b"MUST\x01", &[kind, major][..], &[0xff; 8], &[0x00; 20]].concat());
            hostile.push([b"MUST\x01", &[kind, 0xa1, 0x00, major][..], &[0xff; 8], &[0x00; 20]].concat());
        }
    }
    let text =
        tshark("hostile", &pcap(&hostile, PORT), &["-T", "fields", "-e", "muster.kind", "-e", "_ws.expert.message"]);
    assert_eq!(text.lines().count(), hostile.len());
    let complaints = text.lines().filter(|line| line.contains("(byte ")).count();
    assert!(complaints > hostile.len() / 2, "{complaints} of {}", hostile.len());
}
