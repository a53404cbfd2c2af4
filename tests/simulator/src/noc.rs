//! The NOC: grants signed with the root, numbers and results in a store that commits (`noc/src/store`), and the real watch
//! over beats.

mod given;

use crate::ledger::Invariant;
use crate::plan::{Fault, Sabotage};
use crate::queue::{Event, Node};
use crate::random::Stream;
use crate::vouchers::Paper;
use crate::world::Io;
use muster_protocol::beat_watch::{AlertId, AlertKind, BeatWatch, Health, Input, Output, Rules};
use muster_protocol::crypto::claim::ClaimKey;
use muster_protocol::crypto::keys::{PublicKey, SecretKey};
use muster_protocol::crypto::sign::{Purpose, sign};
use muster_protocol::grant::{Credential, Grant};
use muster_protocol::id::{BootId, ConsoleId, Mac, Seq, SiteId, Uid};
use muster_protocol::parameters::{Confirm, NetworkSettings, Parameters};
use muster_protocol::time::{Millis, UnixTime};
use muster_protocol::wire::result::Reason;
use muster_protocol::wire::to_cbor;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What is asked over HTTPS.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// A console asks for grants.
    Grants { console: usize, run: u32, items: Vec<(usize, NetworkSettings)> },
    /// A console reports results.
    Results { console: usize, run: u32, items: Vec<Report> },
    /// An appliance reports.
    Beat { appliance: usize, run: u32, epoch: u64, boot: BootId, counter: u64, seq: Seq, failed: Option<(Seq, Reason)> },
    /// Somebody at the NOC changes what an appliance shall have. Nobody waits for an answer.
    Give { appliance: usize, settings: NetworkSettings },
}

/// What is answered; absent when nothing was.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Grants.
    Grants(Option<Vec<Granted>>),
    /// Kept so many.
    Results(Option<usize>),
    /// Seconds to the next beat, and the time; and a grant of the NOC itself.
    Beat { epoch: u64, accepted: Option<(u32, UnixTime)>, grant: Option<Rc<[u8]>> },
}

/// One grant.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    pub(crate) appliance: usize,
    pub(crate) signed: Vec<u8>,
    pub(crate) seq: Seq,
    pub(crate) claim: Option<ClaimKey>,
    pub(crate) voucher: Option<Vec<u8>>,
}

/// One result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) appliance: usize,
    pub(crate) seq: Seq,
    pub(crate) configured: bool,
    pub(crate) reason: Option<Reason>,
}

/// What the NOC's inventory says of an appliance.
pub(crate) struct Known {
    pub(crate) uid: Uid,
    pub(crate) mac: Mac,
    /// Absent for an appliance that accepts anybody: nobody has read its label.
    pub(crate) claim: Option<ClaimKey>,
    /// What was imported for it, right or wrong.
    pub(crate) voucher: Option<Vec<u8>>,
}

/// A row of the store.
#[derive(Clone, Default)]
struct Row {
    seq: Seq,
    applied: Seq,
    pinned: bool,
    interval_s: u32,
    last: Option<(BootId, u64)>,
    /// The grant of the last beat.
    beat_seq: Seq,
    health: Option<Health>,
    /// What is known of each grant: the interval, and how it ended.
    grants: BTreeMap<Seq, (u32, Option<bool>)>,
    given: Option<given::Given>,
}

#[derive(Clone)]
struct Alert {
    kind: AlertKind,
    uids: Vec<Uid>,
}

/// What is on the NOC's disk.
#[derive(Default)]
struct Store {
    rows: Vec<Row>,
    alerts: BTreeMap<AlertId, Alert>,
    last_alert: u64,
}

/// The NOC.
pub(crate) struct Noc {
    root: SecretKey,
    known: Vec<Known>,
    consoles: Vec<PublicKey>,
    store: Store,
    watch: Option<BeatWatch>,
    started: Millis,
    /// How far its clock has jumped.
    ahead: u64,
    run: u32,
    wake: Option<Millis>,
    /// What was answered, against which a restart is checked.
    answered: Vec<Row>,
    /// Signed before it was stored: only of a NOC that is broken on purpose.
    unstored: BTreeMap<usize, Seq>,
}

const SITE: SiteId = SiteId(7);

impl Noc {
    pub(crate) fn new(entropy: &mut Stream, known: Vec<Known>, consoles: Vec<PublicKey>) -> Noc {
        let rows = vec![Row::default(); known.len()];
        Noc {
            root: SecretKey::generate(entropy),
            answered: rows.clone(),
            store: Store { rows, ..Store::default() },
            known,
            consoles,
            watch: None,
            started: Millis(0),
            ahead: 0,
            run: 0,
            wake: None,
            unstored: BTreeMap::new(),
        }
    }

    /// A console's credential.
    pub(crate) fn credential(&self, console: usize) -> Vec<u8> {
        let key = self.consoles[console];
        let credential =
            Credential { console: ConsoleId(console as u32 + 1), key, sites: vec![SITE], expires: UnixTime(u64::MAX) };
        sign(&self.root, Purpose::Credential, to_cbor(&credential))
    }

    /// A manifest brings a voucher for an appliance.
    pub(crate) fn import(&mut self, io: &mut Io, appliance: usize, paper: Paper, voucher: Option<Vec<u8>>) {
        log!(io, "the NOC has a voucher for appliance {appliance}: {paper:?}");
        io.ledger.imported(appliance, paper == Paper::Good);
        self.known[appliance].voucher = voucher;
    }

    /// For vouchers, and for the sabotage that gives it away.
    pub(crate) fn root(&self) -> SecretKey {
        self.root.clone()
    }

    /// True if the appliance is well, and its last beat came under `seq`.
    pub(crate) fn is_well(&self, appliance: usize, seq: Option<Seq>) -> bool {
        let row = &self.store.rows[appliance];
        row.health == Some(Health::Well) && Some(row.beat_seq) == seq
    }

    /// True while an alert is open.
    pub(crate) fn is_alarmed(&self) -> bool {
        // That one came and went stays an alert for an hour.
        self.store.alerts.values().any(|alert| alert.kind != AlertKind::Unstable)
    }

    fn local(&self, io: &Io) -> Millis {
        Millis(io.now.since(self.started) + self.ahead)
    }

    pub(crate) fn power_on(&mut self, io: &mut Io) {
        if self.watch.is_some() {
            return;
        }
        self.run += 1;
        (self.started, self.ahead) = (io.now, 0);
        let mut watch = BeatWatch::new(Millis(0), Rules::default()).first_alert_id(AlertId(self.store.last_alert + 1));
        for (row, known) in self.store.rows.iter().zip(&self.known) {
            if row.applied > Seq(0) {
                let (uid, health) = (known.uid, row.health.unwrap_or(Health::NotExpected));
                let restore = Input::Restore { uid, site: SITE, interval_s: row.interval_s, health };
                watch.handle_input(Millis(0), restore);
            }
        }
        for (id, alert) in &self.store.alerts {
            let restore = Input::RestoreAlert {
                id: *id,
                site: SITE,
                kind: alert.kind,
                uids: alert.uids.clone(),
                rule: String::new(),
            };
            watch.handle_input(Millis(0), restore);
        }
        self.watch = Some(watch);
        log!(io, "the NOC starts");
        self.check(io);
        self.pump(io);
    }

    pub(crate) fn power_cut(&mut self, io: &mut Io) {
        if self.watch.take().is_none() {
            return;
        }
        (self.wake, self.run) = (None, self.run + 1);
        self.unstored.clear();
        log!(io, "the NOC is down");
        let off = io.dice.between(500, 90_000);
        io.queue.push(io.now + off, Event::PowerOn(Node::Noc));
    }

    /// What it has answered must still be there.
    fn check(&self, io: &mut Io) {
        for (number, (kept, answered)) in self.store.rows.iter().zip(&self.answered).enumerate() {
            let results = answered.grants.iter().all(|(seq, (_, ended))| {
                ended.is_none() || kept.grants.get(seq).is_some_and(|(_, kept)| kept.is_some())
            });
            if kept.seq < answered.seq || !results || kept.last < answered.last_comparable(kept) {
                io.fail(Invariant::NocKeeps, format!("what it answered about appliance {number} is gone"));
            }
        }
    }

    /// A request arrives.
    pub(crate) fn asked(&mut self, io: &mut Io, request: Request) {
        if self.watch.is_none() {
            let wait = io.dice.between(100, 5_000);
            return answer(io, &request, None, wait);
        }
        if io.sabotage == Some(Sabotage::SignsBeforeCommit)
            && let Request::Grants { console, items, .. } = &request
        {
            let signed = items.iter().map(|(appliance, settings)| self.sign_early(io, *console, *appliance, settings));
            let signed = signed.collect();
            answer(io, &request, Some(Reply::Granted(signed)), 1);
        }
        if io.sabotage == Some(Sabotage::AnswersBeforeCommit)
            && let Request::Beat { appliance, epoch, boot, counter, run, seq, .. } = request
        {
            io.ledger.beat_answered(appliance, seq);
            self.answered[appliance].last = Some((boot, counter));
            let accepted =
                Answer::Beat { epoch, accepted: Some((self.store.rows[appliance].interval_s, unix(io))), grant: None };
            io.queue.push(io.now + 1, Event::Answered { to: Node::Appliance(appliance), run, answer: accepted });
        }
        let takes = io.dice.between(1, 12);
        io.queue.push(io.now + takes, Event::Committed { run: self.run, request });
    }

    fn sign_early(&mut self, io: &mut Io, console: usize, appliance: usize, settings: &NetworkSettings) -> Granted {
        let stored = self.store.rows[appliance].seq;
        let seq = self.unstored.get(&appliance).copied().unwrap_or_default().max(stored).next();
        self.unstored.insert(appliance, seq);
        self.sign(io, console, appliance, seq, settings.clone())
    }

    /// The transaction of a request reaches the disk, or does not.
    pub(crate) fn committed(&mut self, io: &mut Io, run: u32, request: &Request) {
        if run != self.run {
            // It died with the former run.
            return answer(io, request, None, 2_000);
        }
        let cut = io.strikes(Fault::NocCutWriting, io.plan.rates.noc_cut);
        if cut && io.dice.chance(500) {
            self.power_cut(io);
            return answer(io, request, None, 2_000);
        }
        let granted = self.commit(io, request);
        if cut {
            self.power_cut(io);
            return answer(io, request, None, 2_000);
        }
        if io.strikes(Fault::AnswerLost, io.plan.rates.answer_lost) {
            return answer(io, request, None, 5_000);
        }
        self.note_answered(request);
        let wait = io.dice.between(1, 30);
        answer(io, request, Some(self.reply(request, granted)), wait);
        self.pump(io);
    }

    fn reply(&self, request: &Request, granted: Vec<Granted>) -> Reply {
        match request {
            Request::Beat { appliance, seq, .. } => {
                Reply::Beat(self.store.rows[*appliance].interval_s, self.due(*appliance, *seq))
            }
            _ => Reply::Granted(granted),
        }
    }

    fn note_answered(&mut self, request: &Request) {
        match request {
            Request::Grants { items, .. } => {
                for (appliance, _) in items {
                    self.answered[*appliance].seq = self.store.rows[*appliance].seq;
                }
            }
            Request::Results { items, .. } => {
                for report in items {
                    let grants = &mut self.answered[report.appliance].grants;
                    grants.insert(report.seq, (0, Some(report.configured)));
                }
            }
            Request::Beat { appliance, boot, counter, .. } => {
                self.answered[*appliance].last = Some((*boot, *counter));
            }
            Request::Give { .. } => {}
        }
    }

    fn commit(&mut self, io: &mut Io, request: &Request) -> Vec<Granted> {
        match request {
            Request::Grants { console, items, .. } => {
                items.iter().map(|(appliance, settings)| self.grant(io, *console, *appliance, settings)).collect()
            }
            Request::Results { items, .. } => {
                for report in items {
                    self.keep(io, report);
                }
                Vec::new()
            }
            Request::Beat { appliance, boot, counter, seq, failed, .. } => {
                self.beat(io, *appliance, (*boot, *counter), *seq);
                if let Some((seq, reason)) = failed {
                    self.not_taken(io, *appliance, *seq, *reason);
                }
                Vec::new()
            }
            Request::Give { appliance, settings } => {
                self.give(io, *appliance, settings);
                Vec::new()
            }
        }
    }

    fn grant(&mut self, io: &mut Io, console: usize, appliance: usize, settings: &NetworkSettings) -> Granted {
        let row = &mut self.store.rows[appliance];
        row.seq = row.seq.next();
        let seq = row.seq;
        if io.sabotage == Some(Sabotage::SignsBeforeCommit) {
            // It was signed when it was asked for.
            return Granted { appliance, signed: Vec::new(), seq, claim: None, voucher: None };
        }
        self.sign(io, console, appliance, seq, settings.clone())
    }

    fn sign(&mut self, io: &mut Io, console: usize, appliance: usize, seq: Seq, network: NetworkSettings) -> Granted {
        let known = &self.known[appliance];
        let confirm = if io.dice.chance(io.plan.first_beat) { Confirm::FirstBeat } else { Confirm::KickStart };
        let interval_s = io.dice.choose([10, 30, 60]);
        // A console that was away for a week is played by a grant that is good for seconds.
        let hurried = io.strikes(Fault::ShortGrant, io.plan.rates.short_grant);
        let good_for_s = if hurried { io.dice.between(1, 60) } else { 7 * 86_400 };
        let parameters = Parameters {
            network,
            confirm,
            window_s: io.dice.choose([30, 30, 30, 60, 120]),
            beat_interval_s: interval_s,
            drift: None,
            application: None,
        };
        let grant = Grant {
            uid: known.uid,
            mac: known.mac,
            site: SITE,
            seq,
            parameters,
            console: self.consoles[console],
            root: self.root.public(),
            issued: unix(io),
            expires: UnixTime(unix(io).0 + good_for_s),
            noc: "noc.example.net:6878".to_owned(),
            ca_pin: [7; 32],
        };
        io.ledger.signed(io.now, appliance, &grant);
        log!(io, "the NOC grants {} to appliance {appliance} under {seq}", grant.parameters.network.address());
        let row = &mut self.store.rows[appliance];
        row.grants.insert(seq, (interval_s, None));
        let claim = known.claim.clone().filter(|_| !row.pinned);
        let voucher = known.voucher.clone();
        Granted { appliance, signed: sign(&self.root, Purpose::Grant, to_cbor(&grant)), seq, claim, voucher }
    }

    /// As `noc/src/store/results.rs`.
    fn keep(&mut self, io: &mut Io, report: &Report) {
        let uid = self.known[report.appliance].uid;
        let now = self.local(io);
        let row = &mut self.store.rows[report.appliance];
        let Some((interval_s, ended)) = row.grants.get_mut(&report.seq) else {
            let detail = format!("a result for number {} of appliance {}", report.seq, report.appliance);
            return io.fail(Invariant::NocKeeps, detail);
        };
        if *ended == Some(report.configured) {
            return;
        }
        *ended = Some(report.configured);
        let interval_s = *interval_s;
        match report.configured {
            true if report.seq > row.applied => {
                (row.applied, row.interval_s, row.pinned) = (report.seq, interval_s, true);
                if row.health.is_none_or(|health| health == Health::NotExpected) {
                    row.health = Some(Health::NeverReported);
                }
                if let Some(watch) = &mut self.watch {
                    watch.handle_input(now, Input::Expect { uid, site: SITE, interval_s });
                }
            }
            false if report.seq == row.applied => {
                let former = row.grants.range(..report.seq).rev().find(|(_, (_, ended))| *ended == Some(true));
                match former.map(|(seq, (interval_s, _))| (*seq, *interval_s)) {
                    Some((seq, interval_s)) => (row.applied, row.interval_s) = (seq, interval_s),
                    None => {
                        (row.applied, row.pinned, row.health) = (Seq(0), false, None);
                        if let Some(watch) = &mut self.watch {
                            watch.handle_input(now, Input::Forget { uid });
                        }
                    }
                }
            }
            false if report.seq == row.seq && report.reason == Some(Reason::NotOpened) => row.pinned = false,
            _ => {}
        }
    }

    /// As `noc/src/store/beats.rs`.
    fn beat(&mut self, io: &mut Io, appliance: usize, name: (BootId, u64), seq: Seq) {
        let row = &self.store.rows[appliance];
        if row.last.is_some_and(|last| last.0 == name.0 && name.1 <= last.1) {
            io.ledger.beat_answered(appliance, seq);
            return;
        }
        if seq > row.applied {
            self.keep(io, &Report { appliance, seq, configured: true, reason: None });
        }
        io.ledger.beat_answered(appliance, seq);
        let now = self.local(io);
        let row = &mut self.store.rows[appliance];
        (row.last, row.beat_seq) = (Some(name), seq);
        if let Some(watch) = self.watch.as_mut().filter(|_| row.applied > Seq(0)) {
            watch.handle_input(now, Input::Beat { uid: self.known[appliance].uid });
        }
    }

    pub(crate) fn wants_wake(&mut self, io: &Io) -> bool {
        let wanted = self.wake == Some(io.now);
        if wanted {
            self.wake = None;
        }
        wanted
    }

    pub(crate) fn timeout(&mut self, io: &mut Io) {
        let now = self.local(io);
        if let Some(watch) = &mut self.watch {
            watch.handle_timeout(now);
        }
        self.pump(io);
    }

    /// The NOC's clock jumps: to its watch, it was away.
    pub(crate) fn jump(&mut self, io: &mut Io, ms: u64) {
        self.ahead += ms;
        log!(io, "the NOC's clock jumps");
        self.timeout(io);
    }

    fn pump(&mut self, io: &mut Io) {
        while let Some(output) = self.watch.as_mut().and_then(BeatWatch::poll_output) {
            log!(io, "the NOC's watch: {output:?}");
            match output {
                Output::Health { uid, health } => {
                    if let Some(at) = self.known.iter().position(|known| known.uid == uid) {
                        self.store.rows[at].health = Some(health);
                    }
                }
                Output::Open(id, alert) => {
                    self.store.last_alert = self.store.last_alert.max(id.0);
                    self.store.alerts.insert(id, Alert { kind: alert.kind, uids: alert.uids });
                }
                Output::Attach { alert, uid } => {
                    if let Some(alert) = self.store.alerts.get_mut(&alert) {
                        alert.uids.push(uid);
                    }
                }
                Output::Close(id) => {
                    self.store.alerts.remove(&id);
                }
            }
        }
        let now = self.local(io);
        let due = self.watch.as_ref().and_then(BeatWatch::poll_timeout);
        match due.map(|due| io.now + due.since(now).max(1)) {
            Some(at) if self.wake.is_none_or(|wake| wake > at) => {
                self.wake = Some(at);
                io.queue.push(at, Event::Wake(Node::Noc));
            }
            _ => {}
        }
    }
}

impl Row {
    /// Its last beat, as far as another row's can be compared with it: counters of different boots cannot.
    fn last_comparable(&self, other: &Row) -> Option<(BootId, u64)> {
        self.last.filter(|last| other.last.is_none_or(|other| other.0 == last.0))
    }
}

fn unix(io: &Io) -> UnixTime {
    UnixTime(io.now.0 / 1_000)
}

enum Reply {
    Granted(Vec<Granted>),
    Beat(u32, Option<Rc<[u8]>>),
}

/// Answers a request; `None` says that no answer came.
fn answer(io: &mut Io, request: &Request, reply: Option<Reply>, wait: u64) {
    let (to, run, answer) = match request {
        Request::Grants { console, run, .. } => {
            let granted = match reply {
                // It was answered when it was asked for.
                Some(Reply::Granted(granted)) if granted.iter().any(|one| one.signed.is_empty()) => return,
                Some(Reply::Granted(granted)) => Some(granted),
                _ => None,
            };
            (Node::Console(*console), *run, Answer::Grants(granted))
        }
        Request::Results { console, run, items } => {
            (Node::Console(*console), *run, Answer::Results(reply.map(|_| items.len())))
        }
        Request::Beat { appliance, run, epoch, .. } => {
            let (accepted, grant) = match reply {
                Some(Reply::Beat(interval_s, grant)) => (Some((interval_s, unix(io))), grant),
                _ => (None, None),
            };
            (Node::Appliance(*appliance), *run, Answer::Beat { epoch: *epoch, accepted, grant })
        }
        Request::Give { .. } => return,
    };
    io.queue.push(io.now + wait, Event::Answered { to, run, answer });
}
