//! The agent's NOC client against real NOCs: what goes wrong is named by a stable word and a remedy, and harms nothing.

use muster_agent::entropy::OsEntropy;
use muster_agent::noc_client::{NocClient, NocError};
use muster_agent::storage::{Document, MemoryStorage, Storage, StorageError};
use muster_noc::{Noc, Options, Running};
use muster_protocol::api::{Beat, BeatValues, WorkReport};
use muster_protocol::appliance::Enrolment;
use muster_protocol::crypto::keys::SecretKey;
use muster_protocol::id::{BootId, Seq, SiteId};
use std::net::{Ipv4Addr, SocketAddr};
use tempfile::TempDir;

struct Served {
    noc: Noc,
    running: Running,
    _folder: TempDir,
}

async fn serve() -> Served {
    let folder = tempfile::tempdir().expect("a folder");
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let options = Options { addresses: vec!["127.0.0.1:0".to_owned()], listen };
    let noc = Noc::init(folder.path(), &options).expect("a NOC");
    let running = noc.serve(listen).await.expect("serves");
    Served { noc, running, _folder: folder }
}

fn enrolment(noc: String, ca_pin: [u8; 32]) -> Enrolment {
    Enrolment { noc, ca_pin, seq: Seq(1), site: SiteId(1), interval_s: 60 }
}

async fn beat<S: Storage>(storage: S, enrolment: &Enrolment) -> NocError {
    let mut client = NocClient::new(storage, SecretKey::generate(&mut OsEntropy));
    let (values, earlier) = (BeatValues::default(), Vec::new());
    let beat = Beat { boot: BootId([1; 16]), counter: 1, seq: Seq(1), values, work: WorkReport::default(), earlier };
    client.beat(enrolment, &beat).await.expect_err("nobody knows this appliance")
}

#[tokio::test]
async fn each_fault_has_its_own_word_and_remedy() {
    let served = serve().await;
    let port = served.running.local_addr().port();
    let there = format!("127.0.0.1:{port}");
    let faults = [
        // An appliance that this NOC has never granted anything.
        (enrolment(there.clone(), served.noc.ca_pin()), "noc_refused", ""),
        // Somebody else at the address of our NOC.
        (enrolment(there, [7; 32]), "wrong_noc", "interception"),
        // Our NOC, by a name that its certificate does not have.
        (enrolment(format!("127.0.0.2:{port}"), served.noc.ca_pin()), "noc_unreachable", "gateway"),
        (enrolment(format!("localhost:{port}"), served.noc.ca_pin()), "noc_certificate", "NOC's configuration"),
        (enrolment("127.0.0.1:9".into(), [7; 32]), "noc_unreachable", "gateway"),
        (enrolment("no such host".into(), [7; 32]), "noc_unreachable", "address"),
    ];
    for (enrolment, code, remedy) in faults {
        let storage = MemoryStorage::default();
        let error = beat(storage.clone(), &enrolment).await;
        assert_eq!(error.code(), code, "{}: {}", enrolment.noc, error.chain());
        assert!(error.to_string().contains(remedy), "{error}");
        assert!(storage.load(Document::Noc).expect("read").is_none(), "nothing of a failed enrolment is kept");
    }
}

/// A disk with nothing but a spoilt certificate on it.
#[derive(Clone)]
struct Spoilt;

impl Storage for Spoilt {
    fn load(&self, _: Document) -> Result<Option<Vec<u8>>, StorageError> {
        Err(StorageError::Damaged { path: "noc".into() })
    }
    fn save(&self, _: Document, _: &[u8]) -> Result<(), StorageError> {
        Ok(())
    }
    fn remove(&self, _: Document) -> Result<(), StorageError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_spoilt_certificate_leads_to_a_new_enrolment() {
    let served = serve().await;
    let there = format!("127.0.0.1:{}", served.running.local_addr().port());
    let error = beat(Spoilt, &enrolment(there, served.noc.ca_pin())).await;
    assert_eq!(error.code(), "noc_refused", "it asked the NOC anew: {}", error.chain());
}

#[tokio::test]
async fn a_certificate_that_the_noc_does_not_take_leads_to_a_new_enrolment() {
    let served = serve().await;
    let there = format!("127.0.0.1:{}", served.running.local_addr().port());
    // A NOC of the same name whose CA was lost, or a certificate that ran out while the appliance lay on a shelf.
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(Vec::new()).expect("valid").self_signed(&key).expect("signed");
    let stored = serde_json::json!({
        "noc": there,
        "pin": data_encoding::HEXLOWER.encode(&served.noc.ca_pin()),
        "key": key.serialize_pem(),
        "certificate": certificate.pem(),
        "renew_at": u64::MAX,
    });
    let storage = MemoryStorage::default();
    storage.save(Document::Noc, stored.to_string().as_bytes()).expect("saved");
    let error = beat(storage.clone(), &enrolment(there, served.noc.ca_pin())).await;
    assert_eq!(error.code(), "noc_refused", "it asked the NOC anew: {}", error.chain());
    assert!(
        storage.load(Document::Noc).expect("read").is_some(),
        "what it had is kept until there is something better"
    );
}
