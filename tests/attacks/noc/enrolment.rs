//! How an appliance gets its client certificate, and who else does not.

use crate::client::{Device, code};
use crate::world::Noc;
use data_encoding::BASE64;
use muster_protocol::api::*;
use muster_protocol::crypto::sign::{Purpose, sign};
use muster_protocol::grant::EnrolmentProof;
use muster_protocol::id::Seq;
use muster_protocol::wire::to_cbor;
use rcgen::{CertificateParams, KeyPair, SanType};
use sha2::{Digest, Sha256};

#[tokio::test]
async fn an_appliance_enrols_only_as_itself_and_only_when_granted() {
    let noc = Noc::start();
    let site = noc.site("Bern");
    let devices = Device::several(0..3);
    noc.import_devices(&devices);
    let (console, http) = (noc.console(site).await, noc.anybody(site).await);
    let seq = console.configure(site, &devices[..1]).await[0];
    let refused =
        async |request: &EnrolAppliance| code(http.post::<ApplianceEnrolled>("appliances/enrol", request).await);
    let (victim, thief, stranger) = (&devices[0], &devices[1], Device::new(9));

    assert_eq!(refused(&thief.enrolment(&thief.key, Seq(1)).1).await, "not_granted", "in the inventory, never granted");
    assert_eq!(refused(&stranger.enrolment(&stranger.key, Seq(1)).1).await, "appliance_unknown");
    assert_eq!(refused(&victim.enrolment(&thief.key, seq).1).await, "proof_invalid", "another's UID, one's own key");
    assert_eq!(refused(&victim.enrolment(&victim.key, seq.next()).1).await, "not_granted", "a grant that never was");
    let (_, good) = victim.enrolment(&victim.key, seq);
    let (thiefs_tls, thiefs) = thief.enrolment(&thief.key, Seq(1));
    assert_eq!(refused(&EnrolAppliance { csr: thiefs.csr.clone(), ..good.clone() }).await, "proof_of_other_csr");
    assert_eq!(refused(&EnrolAppliance { proof: String::new(), ..good.clone() }).await, "proof_invalid", "no proof");
    for purpose in [Purpose::Here, Purpose::Result, Purpose::ConsoleEnrolment] {
        let csr_hash = Sha256::digest(good.csr.as_bytes()).into();
        let proof = EnrolmentProof { device_key: victim.key.public(), seq, csr_hash };
        let proof = BASE64.encode(&sign(&victim.key, purpose, to_cbor(&proof)));
        let request = EnrolAppliance { proof, ..good.clone() };
        assert_eq!(refused(&request).await, "proof_invalid", "signed for another purpose");
    }
    let mut trailing = BASE64.decode(good.proof.as_bytes()).expect("base64");
    trailing.push(0);
    assert_eq!(refused(&EnrolAppliance { proof: BASE64.encode(&trailing), ..good.clone() }).await, "proof_invalid");

    // A recorded request is answered again, for the same TLS key, which only the appliance has.
    let first: ApplianceEnrolled = http.post("appliances/enrol", &good).await.expect("enrolled");
    let replayed: ApplianceEnrolled = http.post("appliances/enrol", &good).await.expect("answered alike");
    for certificate in [first.certificate, replayed.certificate] {
        assert!(http.try_with(&certificate, &thiefs_tls).is_none(), "useless without the appliance's TLS key");
    }
}

#[tokio::test]
async fn a_certificate_names_whom_the_noc_knows_not_what_the_request_asks_for() {
    let noc = Noc::start();
    let site = noc.site("Bern");
    let devices = Device::several(0..2);
    noc.import_devices(&devices);
    let (console, http) = (noc.console(site).await, noc.anybody(site).await);
    let seqs = console.configure(site, &devices).await;
    let tls = KeyPair::generate().expect("key");
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("name");
    for name in ["muster:console:1".to_owned(), format!("muster:appliance:{}", devices[1].uid)] {
        params.subject_alt_names.push(SanType::URI(name.try_into().expect("ascii")));
    }
    params.is_ca = rcgen::IsCa::NoCa;
    let csr = params.serialize_request(&tls).expect("csr").pem().expect("pem");
    let csr_hash = Sha256::digest(csr.as_bytes()).into();
    let proof = EnrolmentProof { device_key: devices[0].key.public(), seq: seqs[0], csr_hash };
    let proof = BASE64.encode(&sign(&devices[0].key, Purpose::Enrolment, to_cbor(&proof)));
    let enrolled: ApplianceEnrolled =
        http.post("appliances/enrol", &EnrolAppliance { proof, csr }).await.expect("enrolled as itself");
    let thief = http.with(&enrolled.certificate, &tls);
    assert_eq!(code(thief.get::<Vec<Site>>("console/sites").await), "certificate_wrong_kind");
    let _: BeatAnswer = thief.post("appliances/beats", &crate::client::beat(1, 1, seqs[0])).await.expect("its own");
    assert!(console.appliance(devices[0].uid).await.last_beat.is_some());
    assert!(console.appliance(devices[1].uid).await.last_beat.is_none(), "nobody's beat but its own");
}
