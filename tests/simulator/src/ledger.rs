//! What really happened, and the invariants that are checked against it after every event.
//!
//! The parties know what they were told; the ledger knows what was done. Drivers report to it what no machine can lie about:
//! bytes that left a console, documents that are on disk, settings that the network has.

use muster_protocol::crypto::keys::SealKey;
use muster_protocol::grant::Grant;
use muster_protocol::id::Seq;
use muster_protocol::parameters::{Confirm, NetworkSettings};
use muster_protocol::time::{Millis, UnixTime};
use muster_protocol::wire::config::PacketHash;
use std::collections::{BTreeMap, BTreeSet};

macro_rules! invariants {
    ($($name:ident $code:literal $text:literal;)*) => {
        /// What must hold.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Invariant { $(#[doc = $text] $name,)* }

        impl Invariant {
            /// Its name in messages and documents.
            pub fn name(self) -> &'static str { match self { $(Invariant::$name => $code,)* } }
            /// The sentence.
            pub fn text(self) -> &'static str { match self { $(Invariant::$name => $text,)* } }
        }
    };
}

invariants! {
    Sequence "sequence" "No configuration is applied twice or after a newer one.";
    Granted "granted" "What is applied is what the NOC granted to this appliance, under this number.";
    Stranger "stranger" "What is accepted was made by the console that the grant names, for this appliance.";
    Vouched "vouched" "While nobody owns it, an appliance whose image names a vendor takes nothing without that vendor's word for it and this NOC.";
    Expired "expired" "An appliance that was told the time since it started accepts no grant that had expired then.";
    OneTimeKey "one-time-key" "No one-time key opens two config packets.";
    Confirmed "confirmed" "Settings become final only by the console's kick-start, and the NOC's yes to a beat if the grant wants it; those that came with a beat by that yes alone.";
    Reachable "reachable" "Outside a commit-confirmed window the network is what the last final configuration says.";
    FormerState "former-state" "After a failed attempt the network is exactly what it was before.";
    Window "window" "An attempt is final or rolled back when its window is over.";
    ApplianceKeeps "appliance-keeps" "What an appliance stored survives a power cut: its number and its final settings.";
    ConsoleKeeps "console-keeps" "A job that was begun survives the console.";
    StoredFirst "stored-first" "A config packet is on the console's disk before it leaves.";
    NocKeeps "noc-keeps" "What the NOC answered survives it: numbers, results and beats.";
    GrantsUnique "grants-unique" "The NOC never signs two grants of one number for one appliance.";
    Configured "configured" "A console says configured only of the very grant that the appliance made final.";
    Amplification "amplification" "An answer is never longer than its ping.";
    SettingsTold "settings-told" "A stranger's ping is not answered with settings.";
    OneGrant "one-grant" "Where nothing goes wrong, one grant configures one appliance.";
    Starts "starts" "A machine starts from what it stored.";
    Progress "progress" "A machine that is woken moves on.";
    Panic "panic" "No machine panics, whatever it is sent.";
    AllFound "all-found" "Once the network is well, a discovery finds every appliance.";
    JobsEnd "jobs-end" "Once the network is well, every job ends.";
    AllConfigured "all-configured" "Once the network is well, every appliance can be configured.";
    Beats "beats" "Once the network is well, beats of every appliance arrive under its last grant, and no alert of silence stays open.";
}

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which.
    pub invariant: Invariant,
    /// When.
    pub at: Millis,
    /// What was seen instead.
    pub detail: String,
}

/// A config packet that a console made.
pub(crate) struct Built {
    pub(crate) console: usize,
    pub(crate) appliance: usize,
    pub(crate) key: SealKey,
    pub(crate) seq: Seq,
}

/// What is known of one appliance.
#[derive(Default)]
struct Seen {
    /// Since its last factory reset: the last number it applied.
    applied: Option<Seq>,
    /// Numbers that are on its disk.
    stored: Seq,
    /// The last that it made final, and that is on its disk.
    committed: Option<Seq>,
    /// All that it ever made final.
    ever_committed: BTreeSet<Seq>,
    /// What its network was when it accepted the present attempt.
    before: Option<NetworkSettings>,
    /// The time that it knew then.
    told: Option<UnixTime>,
    /// When it did.
    attempt_since: Option<Millis>,
    /// The right voucher for it has been at the NOC.
    is_vouched: bool,
}

/// What an appliance is in, for [`Ledger::check_appliance`].
pub(crate) struct Present<'a> {
    pub(crate) seq: Seq,
    pub(crate) committed: Option<Seq>,
    pub(crate) is_in_attempt: bool,
    /// Nothing of its network is being changed.
    pub(crate) is_still: bool,
    pub(crate) network: Option<&'a NetworkSettings>,
    pub(crate) settings: Option<&'a NetworkSettings>,
}

/// Longest that applying, storing and restoring may take beside the window: slow installations, disks that refuse.
const BESIDE_WINDOW_MS: u64 = 180_000;

/// What really happened.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) failure: Option<Failure>,
    grants: BTreeMap<(usize, Seq), Grant>,
    packets: BTreeMap<[u8; 32], Built>,
    used_keys: BTreeSet<[u8; 32]>,
    kicks: BTreeSet<(usize, Seq)>,
    beats: BTreeSet<(usize, Seq)>,
    given: BTreeSet<(usize, Vec<u8>)>,
    jobs: BTreeSet<(usize, usize)>,
    appliances: Vec<Seen>,
}

impl Ledger {
    pub(crate) fn new(appliances: usize) -> Ledger {
        Ledger { appliances: (0..appliances).map(|_| Seen::default()).collect(), ..Ledger::default() }
    }

    /// The first failure counts.
    pub(crate) fn fail(&mut self, at: Millis, invariant: Invariant, detail: String) {
        self.failure.get_or_insert(Failure { invariant, at, detail });
    }

    pub(crate) fn signed(&mut self, at: Millis, appliance: usize, grant: &Grant) {
        if let Some(former) = self.grants.insert((appliance, grant.seq), grant.clone()) {
            let (old, new) = (former.parameters.network.address(), grant.parameters.network.address());
            let detail = format!("grant {} of appliance {appliance} was signed for {old} and for {new}", grant.seq);
            self.fail(at, Invariant::GrantsUnique, detail);
        }
    }

    /// A config packet leaves a console for the first time.
    pub(crate) fn built(&mut self, hash: PacketHash, built: Built) {
        self.packets.insert(hash.0, built);
    }

    /// The grant that a console sent in a packet.
    pub(crate) fn sent(&self, hash: PacketHash) -> Option<Seq> {
        self.packets.get(&hash.0).map(|built| built.seq)
    }

    /// An operator was told that a job has begun, or how it ended.
    pub(crate) fn job(&mut self, console: usize, appliance: usize, is_open: bool) {
        if is_open {
            self.jobs.insert((console, appliance));
        } else {
            self.jobs.remove(&(console, appliance));
        }
    }

    /// A console starts with these jobs.
    pub(crate) fn console_started(&mut self, at: Millis, console: usize, is_stored: impl Fn(usize) -> bool) {
        let lost = self.jobs.iter().find(|(of, appliance)| *of == console && !is_stored(*appliance));
        if let Some((_, appliance)) = lost {
            let detail = format!("console {console} has lost its job for appliance {appliance}");
            self.fail(at, Invariant::ConsoleKeeps, detail);
        }
    }

    pub(crate) fn kicked(&mut self, appliance: usize, seq: Seq) {
        self.kicks.insert((appliance, seq));
    }

    pub(crate) fn beat_answered(&mut self, appliance: usize, seq: Seq) {
        self.beats.insert((appliance, seq));
    }

    /// An appliance takes a packet: it has been opened and verified.
    pub(crate) fn accepted(
        &mut self,
        at: Millis,
        appliance: usize,
        hash: PacketHash,
        network: Option<&NetworkSettings>,
        told: Option<UnixTime>,
    ) {
        let seen = &mut self.appliances[appliance];
        seen.before = network.cloned();
        (seen.attempt_since, seen.told) = (Some(at), told);
        let Some(built) = self.packets.get(&hash.0).filter(|built| built.appliance == appliance) else {
            let detail = format!("appliance {appliance} accepted a packet that no console made for it");
            return self.fail(at, Invariant::Stranger, detail);
        };
        if !self.used_keys.insert(built.key.0) {
            let detail = format!("appliance {appliance} opened a second packet, of console {}", built.console);
            self.fail(at, Invariant::OneTimeKey, detail);
        }
    }

    /// The NOC has taken in a voucher, the right one or not.
    pub(crate) fn imported(&mut self, appliance: usize, is_good: bool) {
        self.appliances[appliance].is_vouched |= is_good;
    }

    /// An appliance that needs a voucher while nobody owns it takes a packet.
    pub(crate) fn needed_voucher(&mut self, at: Millis, appliance: usize) {
        let seen = &self.appliances[appliance];
        if seen.committed.is_none() && !seen.is_vouched {
            self.fail(at, Invariant::Vouched, format!("nobody has vouched for appliance {appliance}"));
        }
    }

    /// The NOC has signed a grant that it gives with the answer to a beat.
    pub(crate) fn given(&mut self, appliance: usize, signed: &[u8]) {
        self.given.insert((appliance, signed.to_vec()));
    }

    /// An appliance takes a grant that came with the answer to a beat.
    pub(crate) fn took_given(
        &mut self,
        at: Millis,
        appliance: usize,
        signed: &[u8],
        network: Option<&NetworkSettings>,
        told: Option<UnixTime>,
    ) {
        let seen = &mut self.appliances[appliance];
        seen.before = network.cloned();
        (seen.attempt_since, seen.told) = (Some(at), told);
        if seen.committed.is_none() {
            self.fail(at, Invariant::Stranger, format!("appliance {appliance} has no owner and took a grant by beat"));
        }
        if !self.given.contains(&(appliance, signed.to_vec())) {
            self.fail(at, Invariant::Stranger, format!("appliance {appliance} took a grant that was not given to it"));
        }
    }

    /// An appliance applies settings under the number it has stored.
    pub(crate) fn applying(&mut self, at: Millis, appliance: usize, seq: Seq, settings: &NetworkSettings) {
        let granted = self.grants.get(&(appliance, seq)).is_some_and(|grant| grant.parameters.network == *settings);
        if !granted {
            let detail = format!("appliance {appliance} applies {} under number {seq}", settings.address());
            self.fail(at, Invariant::Granted, detail);
        }
        let (told, grant) = (self.appliances[appliance].told, self.grants.get(&(appliance, seq)));
        if let (Some(told), Some(grant)) = (told, grant)
            && grant.expires < told
        {
            let detail = format!("appliance {appliance} applies number {seq} of {} at {}", grant.expires.0, told.0);
            self.fail(at, Invariant::Expired, detail);
        }
        let last = self.appliances[appliance].applied.replace(seq);
        if let Some(last) = last.filter(|last| *last >= seq) {
            let detail = format!("appliance {appliance} applies number {seq} after {last}");
            self.fail(at, Invariant::Sequence, detail);
        }
    }

    /// An appliance has made settings final, and that is on its disk.
    pub(crate) fn committed(&mut self, at: Millis, appliance: usize, seq: Seq) {
        self.appliances[appliance].ever_committed.insert(seq);
        let wants_beat =
            self.grants.get(&(appliance, seq)).is_some_and(|grant| grant.parameters.confirm == Confirm::FirstBeat);
        let by_beat = self.grants.get(&(appliance, seq)).is_some_and(|grant| grant.console == grant.root);
        let missing = if !by_beat && !self.kicks.contains(&(appliance, seq)) {
            "a kick-start"
        } else if wants_beat && !self.beats.contains(&(appliance, seq)) {
            "an accepted beat"
        } else {
            return;
        };
        let detail = format!("appliance {appliance} made number {seq} final without {missing}");
        self.fail(at, Invariant::Confirmed, detail);
    }

    /// An appliance starts with what it has stored.
    pub(crate) fn started(&mut self, at: Millis, appliance: usize, seq: Seq, committed: Option<Seq>) {
        let seen = &mut self.appliances[appliance];
        if seq < seen.stored || committed < seen.committed {
            let detail = format!(
                "appliance {appliance} had stored number {} and final {:?}; it starts with {seq} and {committed:?}",
                seen.stored, seen.committed
            );
            return self.fail(at, Invariant::ApplianceKeeps, detail);
        }
        seen.attempt_since = None;
        // What was on disk although the machine had not heard so yet.
        seen.ever_committed.extend(committed);
    }

    /// What an appliance forgets by intention.
    pub(crate) fn reset(&mut self, appliance: usize) {
        let seen = &mut self.appliances[appliance];
        (seen.applied, seen.stored, seen.committed, seen.attempt_since) = (None, Seq(0), None, None);
    }

    /// An attempt is over and nothing of it is in force.
    pub(crate) fn failed(&mut self, at: Millis, appliance: usize, network: Option<&NetworkSettings>) {
        let before = self.appliances[appliance].before.as_ref();
        if network != before {
            let name = |settings: Option<&NetworkSettings>| settings.map(|s| s.address().to_string());
            let detail =
                format!("appliance {appliance} rolled back to {:?}, and it had {:?}", name(network), name(before));
            self.fail(at, Invariant::FormerState, detail);
        }
    }

    /// After every event that touched an appliance.
    pub(crate) fn check_appliance(&mut self, at: Millis, appliance: usize, present: &Present<'_>) {
        let seen = &mut self.appliances[appliance];
        seen.stored = seen.stored.max(present.seq);
        seen.committed = seen.committed.max(present.committed);
        if !present.is_in_attempt {
            seen.attempt_since = None;
            if present.is_still && present.network != present.settings {
                let detail = format!("appliance {appliance} has settings {:?}", present.network.map(|n| n.address()));
                self.fail(at, Invariant::Reachable, detail);
            }
            return;
        }
        let since = *seen.attempt_since.get_or_insert(at);
        let window_s = self.grants.get(&(appliance, present.seq)).map_or(600, |grant| grant.parameters.window_s);
        let most = BESIDE_WINDOW_MS + 2_000 * u64::from(window_s);
        if at.since(since) > most {
            let detail = format!("appliance {appliance} is in its attempt for {} ms", at.since(since));
            self.fail(at, Invariant::Window, detail);
        }
    }

    /// A console says that an appliance is configured.
    pub(crate) fn told_configured(&mut self, at: Millis, console: usize, appliance: usize, seq: Seq) {
        if !self.appliances[appliance].ever_committed.contains(&seq) {
            let detail = format!("console {console} says so of appliance {appliance} and number {seq}");
            self.fail(at, Invariant::Configured, detail);
        }
    }

    /// The grant of a number.
    pub(crate) fn grant(&self, appliance: usize, seq: Seq) -> Option<&Grant> {
        self.grants.get(&(appliance, seq))
    }

    /// The number of the last grant that was signed for an appliance.
    pub(crate) fn last_granted(&self, appliance: usize) -> Seq {
        let grants = self.grants.range((appliance, Seq(0))..=(appliance, Seq(u64::MAX)));
        grants.last().map_or(Seq(0), |((_, seq), _)| *seq)
    }

    /// On a network without faults, a job that needed more than one grant has lost something on its way.
    pub(crate) fn configured_with(&mut self, at: Millis, appliance: usize, grants: u32) {
        if grants != 1 {
            self.fail(at, Invariant::OneGrant, format!("appliance {appliance} took {grants}"));
        }
    }
}
