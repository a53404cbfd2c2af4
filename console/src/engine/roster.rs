//! The rows of the grid: what was heard on the LAN, what the NOC knows and what jobs did, merged by UID.

use crate::oui;
use crate::view::RowHealth;
use crate::view::{ApplianceRow, BeatView, DiskView, HostView, JobStep, RowState, Settings, is_under_way, seconds};
use muster_protocol::api::{ApplianceRecord, BeatValues, Health, InterfaceErrors, Provisioning};
use muster_protocol::delivery::Wants;
use muster_protocol::discovery::Heard;
use muster_protocol::id::{Mac, Uid};
use muster_protocol::parameters::{NetworkSettings, RawSettings};
use muster_protocol::wire::Peer;
use muster_protocol::wire::here::State;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// More of the same MAC or address are not named: whoever invents identities could make rows endless.
const MOST_NAMED: usize = 4;
/// A group larger than this is not refreshed as a whole when one more joins.
const MOST_REFRESHED: usize = 64;

/// Appliances and places that are kept: whoever can sign could otherwise fill the memory with invented ones.
const MOST_HEARD: usize = 100_000;
const MOST_PLACES: usize = 16;

/// Everything known of every appliance.
#[derive(Default)]
pub(crate) struct Roster {
    heard: BTreeMap<Uid, Entry>,
    records: BTreeMap<Uid, ApplianceRecord>,
    /// The last job item of each.
    steps: BTreeMap<Uid, JobStep>,
    sharing: BTreeMap<Shared, BTreeSet<Uid>>,
    dirty: BTreeSet<Uid>,
    /// Rows vanished: whoever follows has to forget all.
    reset: bool,
    /// Answers so far.
    answers: u64,
}

/// An appliance that answered.
struct Entry {
    heard: Heard,
    /// Where it answered from in the last discovery, latest last.
    places: Vec<(Peer, String)>,
    shares: BTreeSet<Shared>,
    /// Which answer of all was its last.
    last: u64,
}

/// Something that no two appliances should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shared {
    Mac(Mac),
    Address(IpAddr),
}

impl Roster {
    /// An appliance answered from `place`.
    pub(crate) fn heard(&mut self, heard: Heard, place: String) {
        let uid = heard.uid;
        if self.heard.len() >= MOST_HEARD && !self.heard.contains_key(&uid) {
            return;
        }
        self.answers += 1;
        let mut places = Vec::new();
        let mut known_settings = None;
        if let Some(entry) = self.heard.remove(&uid) {
            known_settings = entry.heard.settings.clone();
            // A new discovery forgets where it was heard before.
            if !heard.fresh {
                places = entry.places;
            }
            self.unshare(&uid, &entry.shares);
        }
        places.retain(|(peer, _)| *peer != heard.peer);
        places.drain(..places.len().saturating_sub(MOST_PLACES - 1));
        places.push((heard.peer, place));
        let settings = match heard.state {
            State::Unconfigured => None,
            _ => heard.settings.clone().or(known_settings),
        };
        self.put(Entry { heard: Heard { settings, ..heard }, places, shares: BTreeSet::new(), last: self.answers });
    }

    /// A delivery learnt how an appliance stands without a new answer of it.
    pub(crate) fn set_state(&mut self, uid: &Uid, state: State, settings: Option<NetworkSettings>) {
        let Some(mut entry) = self.heard.remove(uid) else { return };
        self.unshare(uid, &entry.shares);
        entry.heard.state = state;
        if settings.is_some() {
            entry.heard.settings = settings;
            // Where it answered from by IPv4 was its former address.
            entry.places.retain(|(peer, _)| !peer.address.is_ipv4() || peer.address.ip().is_loopback());
        }
        self.put(entry);
    }

    /// The latest answer of an appliance.
    pub(crate) fn answer(&self, uid: &Uid) -> Option<&Heard> {
        self.heard.get(uid).map(|entry| &entry.heard)
    }

    /// How many answers there were so far.
    pub(crate) fn answers(&self) -> u64 {
        self.answers
    }

    /// Where an appliance answered from, if it did after so many answers.
    pub(crate) fn heard_after(&self, uid: &Uid, answers: u64) -> Vec<String> {
        let entry = self.heard.get(uid).filter(|entry| entry.last > answers);
        entry.map(|entry| entry.places.iter().map(|(_, place)| place.clone()).collect()).unwrap_or_default()
    }

    /// Everybody who answered with a MAC.
    pub(crate) fn with_mac(&self, mac: Mac) -> Vec<Uid> {
        self.sharing.get(&Shared::Mac(mac)).into_iter().flatten().copied().collect()
    }

    /// The best place to send to: link-local IPv6 works whatever addresses an appliance has, no IPv4 address does not.
    pub(crate) fn peer(&self, uid: &Uid) -> Option<Peer> {
        let peers = self.heard.get(uid)?.places.iter().rev().map(|(peer, _)| *peer);
        peers.min_by_key(|peer| match peer.address.ip() {
            IpAddr::V6(_) => 0,
            IpAddr::V4(address) if !address.is_unspecified() => 1,
            IpAddr::V4(_) => 2,
        })
    }

    /// Forgets the appliances of the NOC but these.
    pub(crate) fn reset_records(&mut self, records: Vec<ApplianceRecord>) {
        let former = std::mem::take(&mut self.records);
        self.records = records.into_iter().map(|record| (record.uid, record)).collect();
        self.reset |= former.keys().any(|uid| !self.records.contains_key(uid) && !self.heard.contains_key(uid));
        let changed =
            self.records.iter().filter(|(uid, record)| former.get(*uid) != Some(*record)).map(|(uid, _)| *uid);
        self.dirty.extend(changed);
        self.dirty.extend(former.into_keys());
    }

    /// The NOC's record of an appliance changed.
    pub(crate) fn record(&mut self, record: ApplianceRecord) {
        self.dirty.insert(record.uid);
        self.records.insert(record.uid, record);
    }

    /// What the NOC knows of an appliance.
    pub(crate) fn known(&self, uid: &Uid) -> Option<&ApplianceRecord> {
        self.records.get(uid)
    }

    /// How the last job that names an appliance stands.
    pub(crate) fn set_step(&mut self, uid: Uid, step: JobStep) {
        if self.steps.insert(uid, step) != Some(step) {
            self.dirty.insert(uid);
        }
    }

    /// A job that is not done has it.
    pub(crate) fn is_under_way(&self, uid: &Uid) -> bool {
        self.steps.get(uid).is_some_and(|step| is_under_way(*step))
    }

    /// Host name, else MAC, else the first group of the UID: to name an appliance in a sentence.
    pub(crate) fn name(&self, uid: &Uid) -> String {
        let settings = self.settings(uid);
        if !settings.host_name.is_empty() {
            return settings.host_name;
        }
        let mac = self.heard.get(uid).map(|entry| entry.heard.mac).or_else(|| self.records.get(uid).map(|r| r.mac));
        mac.map_or_else(|| uid.short(), |mac| mac.to_string())
    }

    /// How it stands with beats.
    pub(crate) fn health(&self, uid: &Uid) -> RowHealth {
        self.records.get(uid).map_or(Health::NotExpected, |record| record.health).into()
    }

    /// Settings in force as far as they are known.
    pub(crate) fn settings(&self, uid: &Uid) -> Settings {
        let record = || self.records.get(uid).and_then(|record| record.settings.clone());
        match self.heard.get(uid) {
            Some(entry) if entry.heard.state == State::Unconfigured => Settings::default(),
            Some(entry) => entry
                .heard
                .settings
                .as_ref()
                .map(|network| {
                    // What an answer to a ping has no room for, the NOC knows.
                    let RawSettings { ntp, search_domains, application, .. } = record().unwrap_or_default();
                    RawSettings { ntp, search_domains, application, ..network.to_raw() }
                })
                .or_else(record)
                .map(Into::into)
                .unwrap_or_default(),
            None => record().map(Into::into).unwrap_or_default(),
        }
    }

    /// Every appliance that is known in any way.
    pub(crate) fn uids(&self) -> BTreeSet<Uid> {
        self.heard.keys().chain(self.records.keys()).copied().collect()
    }

    /// All rows, ordered by UID.
    pub(crate) fn rows(&self) -> Vec<ApplianceRow> {
        self.uids().iter().filter_map(|uid| self.row(uid)).collect()
    }

    /// The rows that changed since the last call; true if everything else is to be forgotten.
    pub(crate) fn take_changed(&mut self) -> (bool, Vec<ApplianceRow>) {
        let dirty = std::mem::take(&mut self.dirty);
        if std::mem::take(&mut self.reset) {
            return (true, self.rows());
        }
        (false, dirty.iter().filter_map(|uid| self.row(uid)).collect())
    }

    /// One row.
    pub(crate) fn row(&self, uid: &Uid) -> Option<ApplianceRow> {
        let entry = self.heard.get(uid);
        let record = self.records.get(uid);
        // The NOC's stock that no site has yet concerns this console only once it answers here.
        if entry.is_none() && record.is_some_and(|record| record.site.is_none()) {
            return None;
        }
        let mac = entry.map(|entry| entry.heard.mac).or(record.map(|record| record.mac))?;
        Some(ApplianceRow {
            uid: uid.to_string(),
            mac: mac.to_string(),
            maker: oui::maker(mac).unwrap_or_default().to_owned(),
            mac_is_local: mac.is_locally_administered(),
            model: record.map(|record| record.model.clone()).unwrap_or_default(),
            serial: record.map(|record| record.serial.clone()).unwrap_or_default(),
            state: self.row_state(uid, entry, record),
            settings: self.settings(uid),
            heard: entry.is_some(),
            heard_at: entry
                .map(|entry| entry.places.iter().map(|(_, place)| place.clone()).collect())
                .unwrap_or_default(),
            conflicts: entry.map(|entry| self.conflicts(uid, entry)).unwrap_or_default(),
            health: record.map_or(Health::NotExpected, |record| record.health).into(),
            last_beat: record.and_then(|record| record.last_beat).map(seconds),
            values: record.and_then(|record| record.beat.as_ref()).map(|values| beat_view(0, values)),
            site: record.and_then(|record| record.site).map(|site| site.0),
        })
    }

    fn row_state(&self, uid: &Uid, entry: Option<&Entry>, record: Option<&ApplianceRecord>) -> RowState {
        let step = self.steps.get(uid);
        if step.is_some_and(|step| is_under_way(*step)) {
            return RowState::Configuring;
        }
        // The NOC also knows what other consoles did since.
        let failed = match record.map(|record| record.provisioning) {
            Some(Provisioning::Failed) => step != Some(&JobStep::Configured),
            Some(Provisioning::Configured) => false,
            _ => step == Some(&JobStep::Failed),
        };
        match entry.map(|entry| entry.heard.state) {
            Some(State::Installing) => RowState::Configuring,
            Some(State::Provisional) => RowState::Provisional,
            Some(_) if failed => RowState::Failed,
            Some(State::Configured) => RowState::Configured,
            Some(State::Unconfigured) if wants_voucher(entry) && record.is_none_or(|record| !record.has_voucher) => {
                RowState::NoVoucher
            }
            Some(State::Unconfigured) if record.is_some() => RowState::Unconfigured,
            Some(State::Unconfigured) => RowState::Unclaimed,
            None => RowState::NotHeard,
        }
    }

    fn conflicts(&self, uid: &Uid, entry: &Entry) -> Vec<String> {
        let mut conflicts = Vec::new();
        for shared in &entry.shares {
            let others = self.sharing.get(shared).into_iter().flatten().filter(|other| *other != uid);
            for other in others.take(MOST_NAMED) {
                let what = match shared {
                    Shared::Mac(mac) => format!("MAC {mac}"),
                    Shared::Address(address) => format!("address {address}"),
                };
                conflicts.push(format!("{what} with {}", other.short()));
            }
        }
        conflicts
    }

    fn put(&mut self, mut entry: Entry) {
        let uid = entry.heard.uid;
        entry.shares = shares(&entry);
        for shared in &entry.shares {
            let group = self.sharing.entry(*shared).or_default();
            group.insert(uid);
            if group.len() <= MOST_REFRESHED {
                self.dirty.extend(group.iter().copied());
            }
        }
        self.dirty.insert(uid);
        self.heard.insert(uid, entry);
    }

    fn unshare(&mut self, uid: &Uid, shares: &BTreeSet<Shared>) {
        for shared in shares {
            let Some(group) = self.sharing.get_mut(shared) else { continue };
            group.remove(uid);
            if group.len() <= MOST_REFRESHED {
                self.dirty.extend(group.iter().copied());
            }
            if group.is_empty() {
                self.sharing.remove(shared);
            }
        }
    }
}

/// Values of a beat for a person.
pub(crate) fn beat_view(at: u64, values: &BeatValues) -> BeatView {
    BeatView {
        at: seconds(at),
        uptime_s: seconds(values.uptime_s),
        load: values.load,
        memory_percent: values.memory_percent,
        disk_percent: values.disk_percent,
        counters: values.counters.clone(),
        drift: values.drift.clone(),
        address_conflict: values.address_conflict.map(|mac| mac.to_string()),
        network_problem: values.network_problem.clone(),
        host: host_view(values),
    }
}

fn host_view(values: &BeatValues) -> HostView {
    let agent = values.agent.clone();
    let Some(host) = &values.host else { return HostView { agent, ..HostView::default() } };
    let sum = |errors: &InterfaceErrors| {
        [errors.rx_errors, errors.rx_dropped, errors.tx_errors, errors.tx_dropped]
            .map(|count| count as f64)
            .iter()
            .sum()
    };
    HostView {
        agent,
        agent_mib: host.agent_memory.map(|bytes| (bytes as f64 / 1024.0 / 1024.0 * 10.0).round() / 10.0),
        disks: host.disks.iter().map(|disk| DiskView { mount: disk.mount.clone(), percent: disk.percent }).collect(),
        temperature_c: host.temperature_c,
        interface_errors: host.interface.as_ref().map(sum),
        clock_offset_s: host.clock_offset_s.map(|seconds| seconds as f64),
    }
}

fn wants_voucher(entry: Option<&Entry>) -> bool {
    entry.is_some_and(|entry| Wants::of(entry.heard.state, entry.heard.proof) == Wants::Voucher)
}

fn shares(entry: &Entry) -> BTreeSet<Shared> {
    let settings = entry.heard.settings.as_ref();
    let address = settings.map(|settings| settings.address().into());
    let address6 = settings.and_then(NetworkSettings::ipv6).map(|ipv6| ipv6.address().into());
    let sources = entry.places.iter().filter_map(|(peer, _)| match peer.address.ip() {
        IpAddr::V4(address) if !address.is_unspecified() && !address.is_loopback() => Some(IpAddr::V4(address)),
        _ => None,
    });
    let addresses = address.into_iter().chain(address6).chain(sources).map(Shared::Address);
    std::iter::once(Shared::Mac(entry.heard.mac)).chain(addresses).collect()
}

#[cfg(test)]
mod tests;
