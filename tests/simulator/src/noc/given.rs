//! What the NOC gives itself, with the answers to beats: as `noc/src/store/given.rs`.

use super::{Noc, Report, Request, SITE, unix};
use crate::queue::Event;
use crate::world::Io;
use muster_protocol::crypto::sign::{Purpose, sign};
use muster_protocol::grant::Grant;
use muster_protocol::id::Seq;
use muster_protocol::parameters::{Confirm, NetworkSettings, Parameters};
use muster_protocol::time::UnixTime;
use muster_protocol::wire::result::Reason;
use muster_protocol::wire::to_cbor;
use std::rc::Rc;

/// The last grant of the NOC itself to an appliance.
#[derive(Clone)]
pub(super) struct Given {
    seq: Seq,
    signed: Rc<[u8]>,
}

impl Noc {
    /// Somebody at the NOC changes what an appliance shall have. It takes effect with the transaction.
    pub(crate) fn office(&mut self, io: &mut Io, appliance: usize, settings: NetworkSettings) {
        if self.watch.is_some() && self.store.rows[appliance].applied > Seq(0) {
            let takes = io.dice.between(1, 12);
            let request = Request::Give { appliance, settings };
            io.queue.push(io.now + takes, Event::Committed { run: self.run, request });
        }
    }

    pub(super) fn give(&mut self, io: &mut Io, appliance: usize, network: &NetworkSettings) {
        let known = &self.known[appliance];
        let row = &mut self.store.rows[appliance];
        row.seq = row.seq.next();
        let (seq, interval_s) = (row.seq, io.dice.choose([10, 30, 60]));
        let parameters = Parameters {
            network: network.clone(),
            confirm: Confirm::FirstBeat,
            window_s: io.dice.choose([30, 60, 120]),
            beat_interval_s: interval_s,
            drift: None,
            application: None,
        };
        let root = self.root.public();
        let grant = Grant {
            uid: known.uid,
            mac: known.mac,
            site: SITE,
            seq,
            parameters,
            console: root,
            root,
            issued: unix(io),
            expires: UnixTime(unix(io).0 + 7 * 86_400),
            noc: "noc.example.net:6878".to_owned(),
            ca_pin: [7; 32],
        };
        io.ledger.signed(io.now, appliance, &grant);
        log!(io, "the NOC gives {} to appliance {appliance} under {seq}", network.address());
        row.grants.insert(seq, (interval_s, None));
        let signed = sign(&self.root, Purpose::Grant, to_cbor(&grant));
        io.ledger.given(appliance, &signed);
        io.overheard.given(appliance, &signed);
        row.given = Some(Given { seq, signed: signed.into() });
    }

    /// What goes out with the answer to a beat under `in_force`.
    pub(super) fn due(&self, appliance: usize, in_force: Seq) -> Option<Rc<[u8]>> {
        let row = &self.store.rows[appliance];
        let given = row.given.as_ref().filter(|given| given.seq == row.seq && given.seq > in_force)?;
        let is_open = row.grants.get(&given.seq).is_some_and(|(_, ended)| ended.is_none());
        is_open.then(|| given.signed.clone())
    }

    /// A beat says that a grant of the NOC itself came to nothing.
    pub(super) fn not_taken(&mut self, io: &mut Io, appliance: usize, seq: Seq, reason: Reason) {
        self.keep(io, &Report { appliance, seq, configured: false, reason: Some(reason) });
    }
}
