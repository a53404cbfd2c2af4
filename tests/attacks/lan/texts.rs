//! What an appliance, or a grant, says in words: it must not become orders to a terminal, a log, a spreadsheet or a page.

use crate::bench::{Bench, Command};
use muster_agent::entropy::OsEntropy;
use muster_protocol::crypto::claim::ClaimSecret;
use muster_protocol::id::Mac;
use muster_protocol::wire::result::{Reason, Status};
use muster_protocol::wire::{Message, PORT};
use std::time::Duration;
use system_tests::attacker::STRANGER;
use system_tests::attacker::encodings::other_datagrams;
use system_tests::attacker::rogue::Rogue;
use system_tests::attacker::station::Station;
use system_tests::wait::until;

/// Clears a screen, renames a window, ends a line, turns the direction of text, closes a tag, starts a formula.
const HOSTILE: &str =
    "\u{1b}[2J\u{1b}]0;owned\u{7}\r\n=cmd|'/C calc'!A0\u{202e}\u{9b}31m\u{0}\u{2066}<img src=x onerror=alert(1)>\u{7f}";

/// Nothing but lines of characters that show.
fn assert_harmless(what: &str, text: &str) {
    let bad: Vec<_> = text
        .chars()
        .filter(|c| c.is_control() && *c != '\n' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .collect();
    assert!(bad.is_empty(), "{what} has {bad:?}: {text:?}");
}

#[test]
fn what_an_appliance_says_reaches_no_terminal_log_or_file_as_an_order() {
    let secret = ClaimSecret::generate(&mut OsEntropy);
    let mut rogue = Rogue::new(Mac([2, 0, 0, 0, 7, 7]));
    rogue.claim = Some(secret.key());
    let uid = rogue.uid();
    // One of ours, bought and in the inventory, whose firmware somebody has changed.
    let bench = Bench::with_console_and("th", 1, &format!(",{},{uid},{},\n", rogue.mac, secret.reveal()));
    let place = Station::open_at(&bench.lab.netns_file(STRANGER), PORT);
    let acting = rogue.act(place, |rogue, received, message| match message {
        Message::Ping(packet) => {
            packet.question().map(|ping| vec![rogue.here(&ping).to_datagram(&rogue.device)]).unwrap_or_default()
        }
        Message::Config(packet) => {
            let result = |status| rogue.result(&received.bytes, packet, status);
            let Some(success) = result(Status::Success { committed: false }) else { return Vec::new() };
            // SUCCESS in every form but the one; then what it really has to say.
            let mut answers: Vec<_> = other_datagrams(&success).into_iter().map(|(_, form)| form).collect();
            answers.extend((0..success.len()).map(|length| success[..length].to_vec()));
            let detail = Some(HOSTILE.to_owned());
            answers.extend(result(Status::Failed { reason: Reason::ApplyFailed, detail, next_key: None }));
            answers
        }
        _ => Vec::new(),
    });
    let (code, out, err) = Command::logging(&bench.lab, &["--json", "configure", "--all-unconfigured"]).wait();
    assert_harmless("JSON", &out);
    assert_harmless("the console's log", &err);
    let job: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    assert_eq!(code, 3, "{job}");
    for item in job["items"].as_array().expect("items") {
        let rogue = item["uid"] == uid.to_string();
        assert_eq!(item["step"], if rogue { "failed" } else { "configured" }, "{job}");
        if rogue {
            let message = item["problem"]["message"].as_str().expect("a message");
            assert!(message.contains("onerror"), "what it said arrived: {message}");
            assert_harmless("the message inside the JSON", message);
        }
    }
    assert!(!acting.packets().is_empty());
    let kicked = bench.attacker.wire.since(0).into_iter().filter(|mail| mail.kind() == Some(5));
    assert!(
        kicked.into_iter().all(|mail| !mail.payload.windows(20).any(|window| window == uid.0)),
        "no SUCCESS was read"
    );

    let id = job["id"].to_string();
    let commands: [&[&str]; 6] = [
        &["job", "show", &id],
        &["job", "show", &id, "--csv"],
        &["job", "list"],
        &["discover"],
        &["status"],
        &["alerts"],
    ];
    for command in commands {
        let (code, out, err) = Command::logging(&bench.lab, command).wait();
        assert_eq!(code, 0, "{command:?}: {err}");
        assert_harmless(&format!("{command:?}"), &out);
        assert_harmless(&format!("{command:?}, its log"), &err);
        let cells = out.lines().flat_map(|line| line.split(',')).map(|cell| cell.trim_matches('"'));
        assert!(cells.into_iter().all(|cell| !cell.starts_with(['=', '@'])), "a formula: {out}");
    }
    let noc = std::fs::read_to_string(bench.lab.folder().join("noc.log")).expect("the NOC's log");
    assert_harmless("the NOC's log", &noc);
    assert_harmless("the agent's log", &bench.lab.agent_log(1));
}

#[test]
fn what_a_grant_says_reaches_no_log_or_status_of_the_agent_as_an_order() {
    let bench = Bench::by_hand("tg", 1);
    let mut owner = bench.owner.clone();
    let short: String = HOSTILE.chars().filter(|c| *c != '\u{0}').collect();
    owner.noc = format!("{short}:8443");
    owner.configure(&bench.desk, &bench.subjects[0], 1);
    until("the agent to try to beat", Duration::from_secs(30), || {
        let status = bench.lab.agent_status(1);
        if status["beat_error"].is_string() { Ok(()) } else { Err(status.to_string()) }
    });
    assert!(bench.lab.agent_status(1)["noc"].as_str().is_some_and(|noc| noc.contains("onerror")), "it is in the grant");
    assert_harmless("the agent's log", &bench.lab.agent_log(1));
    let mut status = bench.lab.at("a1", "muster-agent");
    status.args(["status", "--state-dir"]).arg(bench.lab.appliances[0].root.join("var/lib/muster"));
    assert_harmless("muster-agent status", &system_tests::process::succeed(&mut status));
    owner.noc = "10.99.0.9:8443".to_owned();
    owner.configure(&bench.desk, &bench.subjects[0], 2);
}
