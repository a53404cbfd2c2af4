//! Proof by voucher: the vendor's word binds the appliance to one NOC root.

use super::*;
use crate::voucher::Voucher;

fn vendor() -> SecretKey {
    SecretKey::from_seed(&[0x56; 32])
}

/// An appliance whose image accepts vouchers by `vendor`.
fn bench(vendor: Option<PublicKey>) -> Bench {
    let mut bench = Bench::new();
    bench.appliance = start_vouched(&bench, vendor);
    bench
}

fn start_vouched(bench: &Bench, vendor: Option<PublicKey>) -> Appliance {
    let profile = Profile {
        device: bench.device.clone(),
        mac: bench.mac,
        boot: BootId([bench.boots as u8; 16]),
        proof: Proof::Voucher,
        // The label has a code all the same.
        claim: Some(bench.claim.clone()),
        vendor,
    };
    Appliance::new(bench.now, profile, bench.disk.as_deref(), Box::new(TestRng::new(77))).expect("loads")
}

impl Bench {
    fn voucher(&self) -> Voucher {
        Voucher {
            uid: self.appliance.uid(),
            root: self.root.public(),
            vendor: vendor().public(),
            issued: UnixTime(1),
            expires: None,
        }
    }

    /// What becomes of a grant that comes with this.
    fn bring(&mut self, grant: &Grant, voucher: Option<&[u8]>) -> (Vec<Status>, RequestId, ExportedKey) {
        let key = self.discover().one_time_key;
        let to = self.address(key);
        let request = to.request;
        let signed = self.signed(grant);
        let built = match voucher {
            Some(voucher) => config::build_with_voucher(&mut self.rng, &self.console, voucher, to, &signed),
            None => config::build(&mut self.rng, &self.console, None, to, &signed),
        };
        let (bytes, exported) = built.expect("valid key");
        let sent = self.deliver(&bytes);
        (self.statuses(&sent, &exported), request, exported)
    }

    /// The reason and detail for which it is refused; nothing has changed.
    fn refused(&mut self, voucher: Option<&[u8]>) -> (Reason, String) {
        let grant = self.grant(1, Confirm::KickStart);
        let (statuses, ..) = self.bring(&grant, voucher);
        let [Status::Failed { reason, detail, next_key }] = &statuses[..] else { panic!("{statuses:?}") };
        assert!(next_key.is_some(), "for another try");
        assert_eq!((self.applied.len(), self.appliance.seq(), self.disk.is_none()), (0, Seq(0), true));
        let detail = detail.clone().unwrap_or_default();
        let logged = self.events.last().is_some_and(
            |event| matches!(event, Event::Refused { reason: why, detail: more } if why == reason && *more == detail),
        );
        assert!(logged, "the appliance's log says the same: {:?}", self.events);
        // The next question shall not meet the limit of openings.
        self.now = self.now + 1_000;
        (*reason, detail)
    }
}

#[test]
fn the_vendors_voucher_for_this_appliance_and_this_noc_lets_its_first_grant_in() {
    let mut bench = bench(Some(vendor().public()));
    assert_eq!(bench.discover().proof, Proof::Voucher);
    let voucher = bench.voucher().sign(&vendor());
    let grant = bench.grant(1, Confirm::KickStart);
    let (statuses, request, exported) = bench.bring(&grant, Some(&voucher));
    assert_eq!(statuses, [Status::Success { committed: false }]);
    let kick = bench.kick(&grant, request, &exported);
    let sent = bench.deliver(&kick);
    assert_eq!(bench.statuses(&sent, &exported), [Status::Success { committed: true }]);
    assert_eq!(bench.applied, ["host-1"]);
}

#[test]
fn once_a_root_is_pinned_no_voucher_is_needed_and_none_brings_another_root() {
    let mut bench = bench(Some(vendor().public()));
    let voucher = bench.voucher().sign(&vendor());
    let grant = bench.grant(1, Confirm::KickStart);
    let (_, request, exported) = bench.bring(&grant, Some(&voucher));
    let kick = bench.kick(&grant, request, &exported);
    bench.deliver(&kick);
    bench.boots += 1;
    bench.appliance = start_vouched(&bench, Some(vendor().public()));
    bench.drain(true);
    // A second NOC has a good voucher of the vendor, and comes too late.
    let own_root = std::mem::replace(&mut bench.root, SecretKey::from_seed(&[9; 32]));
    let late = bench.voucher().sign(&vendor());
    let grant = bench.grant(2, Confirm::KickStart);
    assert_eq!(reasons(&bench.bring(&grant, Some(&late)).0), [Reason::WrongRoot]);
    bench.root = own_root;
    for (seq, voucher) in [(3, None), (4, Some(&b"nobody looks at it"[..]))] {
        let grant = bench.grant(seq, Confirm::KickStart);
        let (statuses, request, exported) = bench.bring(&grant, voucher);
        assert_eq!(statuses, [Status::Success { committed: false }], "grant {seq}");
        let kick = bench.kick(&grant, request, &exported);
        bench.deliver(&kick);
    }
    assert_eq!(bench.applied, ["host-1", "host-3", "host-4"]);
}

#[test]
fn without_it_or_with_another_nothing_changes_and_the_reason_is_told() {
    let mut bench = bench(Some(vendor().public()));
    let stranger = SecretKey::from_seed(&[3; 32]);
    let good = bench.voucher();
    let by_stranger = Voucher { vendor: stranger.public(), ..good.clone() }.sign(&stranger);
    let cases: [(Option<Vec<u8>>, &str); 7] = [
        (None, "no voucher came"),
        (Some(b"junk".to_vec()), "the voucher is damaged"),
        (Some(good.sign(&stranger)), "the voucher is damaged"),
        (Some(by_stranger), "by another vendor"),
        (Some(Voucher { uid: Uid([5; 20]), ..good.clone() }.sign(&vendor())), "for another appliance"),
        (Some(Voucher { root: stranger.public(), ..good.clone() }.sign(&vendor())), "for another NOC"),
        (Some(vec![0; 400]), "the voucher is damaged"),
    ];
    for (voucher, expected) in cases {
        let (reason, detail) = bench.refused(voucher.as_deref());
        assert_eq!((reason, detail.as_str()), (Reason::VoucherRefused, expected));
    }
    // What was refused has used up nothing.
    let grant = bench.grant(1, Confirm::KickStart);
    let voucher = good.sign(&vendor());
    assert_eq!(bench.bring(&grant, Some(&voucher)).0, [Status::Success { committed: false }]);
}

#[test]
fn a_voucher_that_has_ended_by_the_known_time_is_refused() {
    let mut bench = bench(Some(vendor().public()));
    let voucher = Voucher { expires: Some(UnixTime(50)), ..bench.voucher() };
    bench.appliance.handle_input(bench.now, Input::NocTime(UnixTime(51)));
    bench.drain(true);
    bench.disk = None;
    assert_eq!(
        bench.refused(Some(&voucher.sign(&vendor()))),
        (Reason::VoucherRefused, "the voucher has ended".to_owned())
    );
    let grant = Grant { expires: UnixTime(60), ..bench.grant(1, Confirm::KickStart) };
    let longer = Voucher { expires: Some(UnixTime(51)), ..voucher }.sign(&vendor());
    assert_eq!(bench.bring(&grant, Some(&longer)).0, [Status::Success { committed: false }]);
}

#[test]
fn a_claim_code_is_no_voucher_and_an_image_without_a_vendor_accepts_nobody() {
    let mut claimed = bench(Some(vendor().public()));
    let grant = claimed.grant(1, Confirm::KickStart);
    let (packet, exported, _) = claimed.packet(&grant);
    let sent = claimed.deliver(&packet);
    assert_eq!(reasons(&claimed.statuses(&sent, &exported)), [Reason::NotOpened]);
    let mut nobodys = bench(None);
    let voucher = nobodys.voucher().sign(&vendor());
    assert_eq!(nobodys.refused(Some(&voucher)).0, Reason::NotOpened);
}

#[test]
fn a_refusal_is_no_longer_than_half_the_shortest_packet_that_earns_it() {
    let mut bench = bench(Some(vendor().public()));
    let raw = RawSettings {
        host_name: "h".into(),
        domain: "d".into(),
        address: "192.0.2.10".into(),
        netmask: "24".into(),
        ..RawSettings::default()
    };
    let shortest = bench.grant(1, Confirm::KickStart);
    let parameters = Parameters { network: raw.validate().expect("valid"), ..shortest.parameters.clone() };
    let shortest = Grant { parameters, noc: String::new(), site: SiteId(0), ..shortest };
    assert_eq!(reasons(&bench.bring(&shortest, None).0), [Reason::VoucherRefused], "it is answered by IPv4, too");
    let longest = crate::voucher::VoucherFault::Expired.text();
    assert!(
        "no voucher came".len() <= longest.len() && longest.len() <= 24,
        "with a voucher the packet is longer, too"
    );
}
