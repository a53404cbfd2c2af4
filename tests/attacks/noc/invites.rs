//! Invites, and what a console shows to use one.

use crate::client::{Http, NewConsole, code};
use crate::world::{Noc, until};
use muster_protocol::api::*;
use muster_protocol::crypto::sign::{Purpose, sign};
use muster_protocol::grant::{ConsoleProof, EnrolmentProof};
use muster_protocol::id::Seq;
use muster_protocol::wire::to_cbor;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

async fn enrol(http: &Http, body: &EnrolConsole) -> Result<ConsoleEnrolled, Problem> {
    http.post("consoles/enrol", body).await
}

fn consoles(noc: &Noc) -> usize {
    let list: Value = serde_json::from_str(&noc.run(&["console", "list", "--json"])).expect("json");
    list.as_array().expect("a list").len()
}

#[tokio::test]
async fn an_invite_that_was_used_ended_or_guessed_lets_nobody_in() {
    let noc = Noc::start();
    let site = noc.site("Bern");
    let http = noc.anybody(site).await;
    let (used, ended) = (noc.token(site, "1h"), noc.token(site, "1s"));
    enrol(&http, &NewConsole::new().body(&used)).await.expect("the first");
    assert_eq!(code(enrol(&http, &NewConsole::new().body(&used)).await), "invite_used");
    let late = NewConsole::new();
    // Each try before its end would use it up, so the first one is made after it.
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    assert_eq!(code(enrol(&http, &late.body(&ended)).await), "invite_expired");

    // Guesses near a good one, and anything else; the good one stays good.
    let good = noc.token(site, "1h");
    let mut guesses: Vec<String> = (0..good.len())
        .map(|at| {
            let other = if &good[at..=at] == "A" { "B" } else { "A" };
            format!("{}{other}{}", &good[..at], &good[at + 1..])
        })
        .collect();
    guesses.extend([String::new(), "%".into(), "' OR 1=1 --".into(), good[1..].to_owned(), "A".repeat(20_000)]);
    let mut tries = JoinSet::new();
    for guess in guesses {
        let http = http.clone();
        tries.spawn(async move { code(enrol(&http, &NewConsole::new().body(&guess)).await) });
    }
    while let Some(refused) = tries.join_next().await {
        assert_eq!(refused.expect("no panic"), "invite_unknown");
    }
    enrol(&http, &NewConsole::new().body(&good)).await.expect("the good one");
    assert_eq!(consoles(&noc), 2);
    for token in [used, ended, good] {
        assert!(!noc.log().contains(&token), "a token is in the log");
        let database = std::fs::read(noc.dir().join("noc.sqlite")).expect("read");
        assert!(!database.windows(token.len()).any(|w| w == token.as_bytes()), "a token is in the database");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_use_one_invite_at_the_same_moment_exactly_one_wins() {
    let noc = Noc::start();
    let site = noc.site("Bern");
    let http = noc.anybody(site).await;
    for round in 1..=3 {
        let token = noc.token(site, "1h");
        let mut tries = JoinSet::new();
        for _ in 0..16 {
            let (http, token) = (http.clone(), token.clone());
            tries.spawn(async move { enrol(&http, &NewConsole::new().body(&token)).await.map_err(|p| p.code) });
        }
        let outcomes = tries.join_all().await;
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let late = outcomes.iter().filter(|outcome| outcome.as_ref().is_err_and(|code| code == "invite_used")).count();
        assert_eq!((won, late), (1, 15));
        assert_eq!(consoles(&noc), round);
    }
}

#[tokio::test]
async fn a_console_must_hold_the_key_it_names() {
    let noc = Noc::start();
    let site = noc.site("Bern");
    let http = noc.anybody(site).await;
    let victim = noc.console(site).await;
    let token = noc.token(site, "1h");
    let (thief, other) = (NewConsole::new(), NewConsole::new());
    let good = thief.body(&token);
    let refused = async |body: EnrolConsole| assert_eq!(code(enrol(&http, &body).await), "proof_invalid");
    // Another console's key, with the thief's own TLS key: he would get grants made out to the victim.
    let named = EnrolConsole { public_key: victim.key.public().to_base64(), ..good.clone() };
    refused(named.clone()).await;
    let proof = ConsoleProof::new(victim.key.public(), &token, &thief.csr);
    let by_thief = |purpose, body| data_encoding::BASE64.encode(&sign(&thief.key, purpose, body));
    refused(EnrolConsole { proof: by_thief(Purpose::ConsoleEnrolment, to_cbor(&proof)), ..named }).await;
    // The right key for another purpose, another invite, another certificate request; nothing at all.
    let own = ConsoleProof::new(thief.key.public(), &token, &thief.csr);
    refused(EnrolConsole { proof: by_thief(Purpose::Ping, to_cbor(&own)), ..good.clone() }).await;
    let csr_hash = Sha256::digest(thief.csr.as_bytes()).into();
    let device = EnrolmentProof { device_key: thief.key.public(), seq: Seq(1), csr_hash };
    refused(EnrolConsole { proof: by_thief(Purpose::Enrolment, to_cbor(&device)), ..good.clone() }).await;
    refused(EnrolConsole { proof: thief.proof(&thief.key, &noc.token(site, "1h")), ..good.clone() }).await;
    refused(EnrolConsole { csr: other.body(&token).csr, ..good.clone() }).await;
    refused(EnrolConsole { proof: String::new(), ..good.clone() }).await;
    // The whole request of an earlier enrolment, recorded: its invite is used, and the same keys get nothing new.
    enrol(&http, &good).await.expect("his own key and his own proof");
    let replayed = enrol(&http, &good).await.expect("an answer that was lost is given again");
    let stolen = http.try_with(&replayed.certificate, &other.tls);
    assert!(stolen.is_none(), "a certificate without its key is good for nothing");
    assert_eq!(consoles(&noc), 2);
}

#[tokio::test]
async fn an_invite_is_for_its_own_noc() {
    let (noc, other) = (Noc::start(), Noc::start());
    let (site, there) = (noc.site("Bern"), other.site("Bern"));
    let token = other.token(there, "1h");
    let http = noc.anybody(site).await;
    assert_eq!(code(enrol(&http, &NewConsole::new().body(&token)).await), "invite_unknown");
    enrol(&other.anybody(there).await, &NewConsole::new().body(&token)).await.expect("there it is good");
    until("nothing is left open", 1, async || consoles(&noc) == 0).await;
}
