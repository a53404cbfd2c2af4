//! Somebody else at the NOC's address: with another CA, with the right CA's certificate, with a certificate that the right CA
//! gave for another purpose, name or time, and with an old TLS. Neither the agent nor the console tells him anything.

pub(crate) mod server;

use crate::client::NewConsole;
use crate::world::{Muster, Noc, Practice, invite_body};
use muster_protocol::api::ConsoleEnrolled;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use server::{Rogue, Shown};
use std::time::Duration;
use system_tests::wait;

/// The CA of a NOC, as a thief of its key, or a court, would have it: the faults below are the only ones.
pub(crate) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

impl Ca {
    pub(crate) fn of(noc: &Noc) -> Ca {
        let read = |name: &str| std::fs::read_to_string(noc.dir().join(name)).expect("readable");
        let pem = read("ca.pem");
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
        let key = KeyPair::from_pem(&read("ca.key")).expect("a key");
        Ca { issuer: Issuer::from_ca_cert_der(&certificate, key).expect("a CA"), certificate, pem }
    }

    /// One that looks the same, but for its key.
    fn imitation(name: &str) -> Ca {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let made = CertifiedIssuer::self_signed(params.clone(), KeyPair::generate().expect("key")).expect("signed");
        let certificate = made.der().clone();
        let pem = made.pem();
        let key = KeyPair::from_pem(&made.key().serialize_pem()).expect("key");
        Ca { issuer: Issuer::from_ca_cert_der(&certificate, key).expect("a CA"), certificate, pem }
    }

    /// A server that this CA vouches for at the NOC's address.
    pub(crate) fn shown(&self) -> Shown {
        let (leaf, key) = self.leaf(here(), 2020..2040);
        Shown { chain: vec![leaf, self.certificate.clone()], key, old_tls: false }
    }

    fn leaf(&self, name: SanType, years: std::ops::Range<i32>) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names = vec![name];
        let leaf = params.signed_by(&key, &self.issuer).expect("signed").der().clone();
        (leaf, PrivateKeyDer::try_from(key.serialize_der()).expect("a key"))
    }
}

fn here() -> SanType {
    SanType::IpAddress([127, 0, 0, 1].into())
}

/// The common name of a CA's certificate.
fn name_of(certificate: &CertificateDer<'_>) -> String {
    let text = String::from_utf8_lossy(certificate).into_owned();
    let at = text.find("Muster NOC CA ").expect("a name");
    text[at..at + "Muster NOC CA ".len() + 8].to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_agents_nor_consoles_talk_to_somebody_else_at_the_nocs_address() {
    let mut world = Practice::start(&["--count", "2"]);
    world.configure();
    let ca = Ca::of(&world.noc);
    let other = Ca::imitation(&name_of(&ca.certificate));
    assert_eq!(name_of(&other.certificate), name_of(&ca.certificate), "the imitation has the right name");
    // A console of this very NOC that plays the NOC.
    let insider = NewConsole::new();
    let http = world.noc.anybody(world.site).await;
    let body = insider.body(&world.noc.token(world.site, "1h"));
    let enrolled: ConsoleEnrolled = http.post("consoles/enrol", &body).await.expect("enrolled");
    let insiders = CertificateDer::from_pem_slice(enrolled.certificate.as_bytes()).expect("a certificate");
    let insiders_key = PrivateKeyDer::try_from(insider.tls.serialize_der()).expect("a key");
    wait::until("both beat", Duration::from_secs(20), || {
        let stats = world.fleet.stats();
        if stats["beating"] == 2 { Ok(()) } else { Err(stats.to_string()) }
    });
    world.noc.cut_power();

    let shown = |(leaf, key): (CertificateDer<'static>, PrivateKeyDer<'static>), ca: &Ca| Shown {
        chain: vec![leaf, ca.certificate.clone()],
        key,
        old_tls: false,
    };
    let imitated = other.leaf(here(), 2020..2040);
    let faults = [
        ("another CA of the same name", shown((imitated.0.clone(), imitated.1.clone_key()), &other), "wrong_noc"),
        ("the right CA's certificate, the leaf of another", shown(imitated, &ca), "wrong_noc"),
        ("a leaf that expired", shown(ca.leaf(here(), 1970..2025), &ca), "noc_certificate"),
        (
            "a leaf for another host",
            shown(ca.leaf(SanType::DnsName("noc.example".try_into().expect("a name")), 2020..2040), &ca),
            "noc_certificate",
        ),
        ("a console's certificate", shown((insiders, insiders_key), &ca), "noc_certificate"),
        ("TLS 1.2", Shown { old_tls: true, ..shown(ca.leaf(here(), 2020..2040), &ca) }, "noc_unreachable"),
    ];
    for (what, shown, code) in faults {
        let rogue = Rogue::listen(world.noc.port, shown, "");
        assert_ne!(world.muster.output(&["status"]).status.code(), Some(0), "{what}");
        let by_console = rogue.seen().attempts;
        assert!(by_console > 0, "{what}: the console came");
        wait::until("both agents to come and be told", Duration::from_secs(20), || {
            let stats = world.fleet.stats();
            let told = stats["beat_errors"] == serde_json::json!({ code: 2 });
            if rogue.seen().attempts > by_console && told { Ok(()) } else { Err(format!("{what}: {stats}")) }
        });
        let seen = rogue.seen();
        assert_eq!((seen.finished, seen.said.len()), (0, 0), "{what}: {}", String::from_utf8_lossy(&seen.said));
    }

    // The same server with nothing wrong: they come in and speak, so the refusals above were theirs.
    let rogue = Rogue::listen(world.noc.port, shown(ca.leaf(here(), 2020..2040), &ca), "");
    wait::until("the agents to speak", Duration::from_secs(20), || {
        let said = rogue.seen().said;
        let text = String::from_utf8_lossy(&said).into_owned();
        if text.contains("/v1/appliances/beats") { Ok(()) } else { Err(text) }
    });
    let before = rogue.seen().finished;
    let _ = world.muster.output(&["status"]);
    assert!(rogue.seen().finished > before, "the console speaks, too");
    drop(rogue);

    world.noc.serve();
    wait::until("beats arrive again", Duration::from_secs(20), || {
        let stats = world.fleet.stats();
        if stats["beat_errors"] == serde_json::json!({}) { Ok(()) } else { Err(stats.to_string()) }
    });
    assert_eq!(world.muster.json(&["status"])["appliances"].as_array().expect("rows").len(), 2);
}

#[test]
fn an_invite_is_shown_to_nobody_but_its_noc() {
    let mut noc = Noc::start();
    let site = noc.site("Bern");
    let invite = noc.invite(site, "1h");
    let token = invite_body(&invite)["token"].as_str().expect("a token").to_owned();
    noc.cut_power();
    let ca = Ca::of(&noc);
    let other = Ca::imitation(&name_of(&ca.certificate));
    let shown = || {
        let (leaf, key) = other.leaf(here(), 2020..2040);
        Shown { chain: vec![leaf, other.certificate.clone()], key, old_tls: false }
    };
    let muster = Muster::new(None);
    // He shows his own CA; or, in the middle, passes on the right one, which is no secret.
    for (pem, code) in [(&other.pem, "pin_mismatch"), (&ca.pem, "noc_unreachable")] {
        let rogue = Rogue::listen(noc.port, shown(), pem);
        assert_eq!(muster.problem(&["join", &invite]), code);
        let said = String::from_utf8_lossy(&rogue.seen().said).into_owned();
        assert!(
            said.contains("GET /v1/ca") || said.contains("PRI * HTTP/2"),
            "the console asked him for the CA: {said}"
        );
        assert!(!said.contains(&token) && !said.contains("enrol"), "{said}");
        assert!(!muster.folder.path().join("identity.json").exists(), "nothing of it is kept");
    }
    noc.serve();
    muster.join(&invite);
}
