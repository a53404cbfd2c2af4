//! The life of an appliance's client certificate, by the clock of a real NOC that is moved over years.

use crate::client::{Device, beat};
use crate::clocks::Clock;
use crate::world::Noc;
use muster_agent::noc_client::{NocClient, NocError};
use muster_agent::storage::{Document, MemoryStorage, Storage};
use muster_protocol::api::BeatAnswer;
use muster_protocol::appliance::Enrolment;
use muster_protocol::id::Seq;

/// The agent's own client, and what it has on disk.
struct Appliance {
    client: NocClient<MemoryStorage>,
    storage: MemoryStorage,
    counter: u64,
}

impl Appliance {
    fn of(device: &Device) -> Appliance {
        let storage = MemoryStorage::default();
        Appliance { client: NocClient::new(storage.clone(), device.key.clone()), storage, counter: 0 }
    }

    async fn beat(&mut self, enrolment: &Enrolment) -> Result<BeatAnswer, NocError> {
        self.counter += 1;
        // A connection of its own, as after minutes: the certificate is shown each time.
        self.client.disconnect();
        self.client.beat(enrolment, &beat(1, self.counter, Seq(0))).await
    }

    fn certificate(&self) -> Vec<u8> {
        self.storage.load(Document::Noc).expect("reads").expect("enrolled")
    }
}

#[tokio::test]
async fn a_certificate_is_renewed_well_ahead_used_to_its_end_when_that_fails_and_replaced_after_it() {
    let mut noc = Noc::stopped();
    let clock = Clock::of(&mut noc);
    noc.serve();
    let site = noc.site("Bern");
    let devices = Device::several(0..1);
    noc.import_devices(&devices);
    let seq = noc.console(site).await.configure(site, &devices).await[0];
    let enrolment = Enrolment { noc: noc.address(), ca_pin: noc.pin(site), seq, site, interval_s: 5 };
    // Beats under it are taken, and a new certificate is not given: no such grant was signed.
    let refused = Enrolment { seq: Seq(seq.0 + 41), ..enrolment.clone() };
    let mut appliance = Appliance::of(&devices[0]);

    appliance.beat(&enrolment).await.expect("enrolled");
    let first = appliance.certificate();
    for day in ["+0", "+1d", "+300d", "+486d"] {
        clock.set(day);
        appliance.beat(&enrolment).await.expect(day);
        assert_eq!(appliance.certificate(), first, "{day}: two thirds of its 730 days are not over");
    }

    clock.set("+487d");
    for _ in 0..2 {
        appliance.beat(&refused).await.expect("a renewal that fails costs no beat");
        assert_eq!(appliance.certificate(), first, "the old one goes on");
    }
    noc.cut_power();
    assert_eq!(appliance.beat(&enrolment).await.expect_err("nobody there").code(), "noc_unreachable");
    assert_eq!(appliance.certificate(), first);
    noc.serve();
    clock.set("+729d");
    appliance.beat(&refused).await.expect("to its last day");
    assert_eq!(appliance.certificate(), first);
    appliance.beat(&enrolment).await.expect("and it is tried at every beat");
    let second = appliance.certificate();
    assert_ne!(second, first);
    for day in ["+729d", "+1200d"] {
        clock.set(day);
        appliance.beat(&enrolment).await.expect(day);
        assert_eq!(appliance.certificate(), second, "renewed once, not with every beat");
    }

    // It lay on a shelf until its certificate had ended.
    clock.set("+1500d");
    assert_eq!(appliance.beat(&refused).await.expect_err("not granted").code(), "noc_refused");
    assert_eq!(appliance.certificate(), second, "kept until there is a better one");
    appliance.beat(&enrolment).await.expect("enrolled anew with the device key");
    let third = appliance.certificate();
    assert_ne!(third, second);
    appliance.beat(&enrolment).await.expect("and that is enough");
    assert_eq!(appliance.certificate(), third);
}
