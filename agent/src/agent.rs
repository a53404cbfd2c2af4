//! One appliance: its machines, and the shell that does what they ask for.
//!
//! The loop around it gives datagrams, wake-ups and finished work in, and takes datagrams out. Whatever takes time (the
//! network, the NOC) runs as a task of its own and comes back as [`Done`], so that one loop can drive many agents.

mod change;
mod components;
mod drift;
mod handover;
mod resume;
mod work;

pub use handover::TriedNoc;

use crate::beat_queue::Offer;
use crate::entropy::OsEntropy;
use crate::health::Health;
use crate::history::History;
use crate::identity::Identity;
use crate::network::drift::Setting;
use crate::network::{Network, chain};
use crate::noc_client::{NocClient, NocError};
use crate::storage::{Document, Storage, StorageError};
use crate::system::System;
use muster_protocol::api::{self, BeatAnswer, BeatValues};
use muster_protocol::appliance::{Appliance, Enrolment, Event, Input, LoadError, Output, Profile};
use muster_protocol::application::ApplicationSettings;
use muster_protocol::beat::{self, Beat};
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::crypto::random;
use muster_protocol::id::{BootId, Mac, Seq, Uid};
use muster_protocol::instruction::Serial;
use muster_protocol::parameters::NetworkSettings;
use muster_protocol::time::{Millis, UnixTime};
use muster_protocol::wire::here::{Proof, State};
use muster_protocol::wire::result::Stage;
use muster_protocol::wire::{self, Message, Peer};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::{Mutex, Semaphore, mpsc};

use change::{Change, Changed};
use drift::Drift;
pub use resume::NetworkProblem;
use resume::Resume;

/// What an agent is made of.
pub struct Parts<S, N, H> {
    /// Who it is.
    pub identity: Identity,
    /// MAC of the configured interface.
    pub mac: Mac,
    /// What proves ownership while it is unconfigured.
    pub proof: Proof,
    /// Whose vouchers count, with [`Proof::Voucher`].
    pub vendor: Option<PublicKey>,
    /// What survives a restart.
    pub storage: S,
    /// The network it configures.
    pub network: Arc<N>,
    /// What it measures.
    pub health: H,
    /// What the NOC may have it do beyond its network.
    pub system: Arc<dyn System>,
    /// Where finished work is sent; the loop hands it to [`Agent::done`] of the agent it names.
    pub work: mpsc::UnboundedSender<Done>,
    /// How many may talk to the NOC at the same time; shared by the agents of a process.
    pub connections: Arc<Semaphore>,
}

/// Finished work of the agent `uid`.
#[derive(Debug)]
pub struct Done {
    /// Whose.
    pub uid: Uid,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Progress(Stage, u8),
    Changed(Changed),
    /// `told`: the instruction that the beat reported.
    Beat {
        epoch: u64,
        told: Option<Serial>,
        offer: Offer,
        result: Result<BeatAnswer, NocError>,
    },
    Drift(Vec<Setting>),
    Tried {
        serial: Serial,
        result: Result<BeatAnswer, NocError>,
    },
    SaidFarewell {
        serial: Serial,
        knows: bool,
    },
    NotCarriedOut {
        serial: Serial,
        code: &'static str,
    },
}

impl Done {
    /// True if the network is not what it was.
    pub fn changed_network(&self) -> bool {
        matches!(self.work, Work::Changed(_))
    }
}

/// Why an agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its state could not be read.
    #[error("the stored state could not be read")]
    Storage(#[from] StorageError),
    /// It was read, but makes no sense. Starting without it would forget who owns the appliance.
    #[error(
        "the stored state is not of a form that this version knows. Install the version that wrote it, or reset the appliance"
    )]
    State(#[source] LoadError),
}

impl StartError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            StartError::Storage(error) => error.code(),
            StartError::State(_) => "state_form",
        }
    }
}

/// An agent.
pub struct Agent<S, N, H> {
    appliance: Appliance,
    beat: Option<Beat>,
    boot: BootId,
    storage: S,
    network: Arc<N>,
    health: H,
    system: Arc<dyn System>,
    standing: work::Standing,
    handing_over: handover::HandingOver,
    noc: Arc<Mutex<NocClient<S>>>,
    reporting: Option<Enrolment>,
    /// Counts enrolments, so that the answer to a beat is taken for the enrolment it was sent under.
    epoch: u64,
    muted: bool,
    last_beat: LastBeat,
    history: History<S>,
    drift: Drift,
    resume: Resume,
    changes: VecDeque<Change>,
    changing: bool,
    /// The network's former state is still to be forgotten.
    committing: bool,
    components: components::Components,
    outbox: VecDeque<(Peer, Vec<u8>)>,
    events: VecDeque<Event>,
    work: mpsc::UnboundedSender<Done>,
    connections: Arc<Semaphore>,
}

/// How beats fare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastBeat {
    /// How many the NOC accepted since the start.
    pub accepted: u64,
    /// NOC time of the last accepted one.
    pub at: Option<u64>,
    /// Why the last one did not arrive: a stable word.
    pub error: Option<&'static str>,
}

impl<S: Storage + Clone, N: Network, H: Health> Agent<S, N, H> {
    /// Starts with what is stored.
    pub fn start(now: Millis, parts: Parts<S, N, H>) -> Result<Self, StartError> {
        let Parts { identity, mac, proof, vendor, storage, network, health, system, work, connections } = parts;
        let boot = BootId(random(&mut OsEntropy));
        let claim = (proof == Proof::Claim).then(|| identity.claim.key());
        let profile = Profile { device: identity.device.clone(), mac, boot, proof, claim, vendor };
        let saved = storage.load(Document::Appliance)?;
        let appliance =
            Appliance::new(now, profile, saved.as_deref(), OsEntropy::boxed()).map_err(StartError::State)?;
        let components = components::Components::of(&*system);
        let mut agent = Agent {
            appliance,
            beat: None,
            boot,
            history: History::load(storage.clone(), boot),
            noc: Arc::new(Mutex::new(NocClient::new(storage.clone(), identity.device))),
            storage,
            network,
            health,
            system,
            standing: work::Standing::default(),
            handing_over: handover::HandingOver::default(),
            reporting: None,
            epoch: 0,
            muted: false,
            last_beat: LastBeat::default(),
            drift: Drift::default(),
            resume: Resume::default(),
            changes: VecDeque::new(),
            changing: false,
            committing: false,
            components,
            outbox: VecDeque::new(),
            events: VecDeque::new(),
            work,
            connections,
        };
        agent.settle_left_overs();
        agent.pump(now);
        Ok(agent)
    }

    /// A datagram arrived.
    pub fn datagram(&mut self, now: Millis, peer: Peer, bytes: &[u8]) {
        // Until the former state is forgotten, a power cut would roll the next attempt back to it, beyond the settings that
        // were just made final. The console sends its packet again.
        if self.committing && matches!(wire::decode(bytes), Ok(Message::Config(_))) {
            return;
        }
        self.appliance.handle_input(now, Input::Datagram { peer, bytes });
        self.pump(now);
    }

    /// Does what is due.
    pub fn timeout(&mut self, now: Millis) {
        self.appliance.handle_timeout(now);
        if let Some(beat) = &mut self.beat {
            beat.handle_timeout(now);
        }
        self.resume_again(now);
        self.pump(now);
    }

    /// Takes finished work.
    pub fn done(&mut self, now: Millis, done: Done) {
        match done.work {
            Work::Progress(stage, percent) => {
                self.appliance.handle_input(now, Input::Progress { stage, percent });
            }
            Work::Changed(changed) => {
                self.changing = false;
                match changed {
                    Changed::Applied(result) => self.appliance.handle_input(now, Input::Applied(result)),
                    Changed::RolledBack => self.appliance.handle_input(now, Input::RolledBack),
                    Changed::Committed => {
                        self.committing = false;
                        self.resume.ended();
                    }
                    Changed::Resumed { restored, result } => self.resumed(now, restored, result),
                    Changed::Settled => {}
                    Changed::Forgotten => self.appliance.handle_input(now, Input::Forgotten),
                }
            }
            Work::Beat { epoch, told, offer, result } if epoch == self.epoch => {
                self.beat_done(now, told, &offer, result);
            }
            Work::NotCarriedOut { serial, code } => self.not_carried_out(serial, code),
            Work::Beat { .. } => {}
            Work::Drift(found) => self.drifted(found),
            Work::Tried { serial, result } => self.tried(now, serial, result),
            Work::SaidFarewell { serial, knows } => self.said_farewell(now, serial, knows),
        }
        self.pump(now);
    }

    /// The configured interface has this MAC now.
    pub fn set_mac(&mut self, now: Millis, mac: Mac) {
        self.appliance.handle_input(now, Input::SetMac(mac));
        self.pump(now);
    }

    /// From now on another interface is the one that is configured. Only while there are no settings.
    pub fn use_interface(&mut self, now: Millis, name: &str, mac: Mac, network: N) {
        debug_assert_eq!(self.state(), State::Unconfigured);
        self.network = Arc::new(network);
        self.health.use_interface(name);
        self.set_mac(now, mac);
    }

    /// Address or default route are not on the interface: puts them back. They were taken off it by hand, or, with `returned`, it
    /// had been away. False if there are no final settings, or the network is being changed.
    pub fn put_settings_back(&mut self, missing: &[Setting], returned: bool) -> bool {
        let settings = self.appliance.settings().filter(|_| self.appliance.state() == State::Configured);
        let Some(settings) = settings.filter(|_| !self.changing && self.changes.is_empty()).cloned() else {
            return false;
        };
        if !returned {
            self.drift.put_back(missing);
        }
        self.changes.push_back(Change::PutBack(settings, returned));
        self.next_change();
        true
    }

    /// Stops or resumes reporting, whatever the enrolment says: a practice appliance that is cut off.
    pub fn mute(&mut self, now: Millis, muted: bool) {
        self.muted = muted;
        if let (Some(beat), Some(_)) = (&mut self.beat, &self.reporting) {
            if muted { beat.stop() } else { beat.start(now) }
        }
        self.pump(now);
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<(Peer, Vec<u8>)> {
        self.outbox.pop_front()
    }

    /// The next thing to log.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Self::timeout`] is wanted.
    pub fn poll_timeout(&self) -> Option<Millis> {
        let beat = self.beat.as_ref().and_then(Beat::poll_timeout);
        [self.appliance.poll_timeout(), beat, self.next_resume()].into_iter().flatten().min()
    }

    /// Its identity.
    pub fn uid(&self) -> Uid {
        self.appliance.uid()
    }

    /// How it stands.
    pub fn state(&self) -> State {
        self.appliance.state()
    }

    /// How many beats wait for the NOC.
    pub fn beats_waiting(&self) -> usize {
        self.history.waiting()
    }

    /// The final settings.
    pub fn settings(&self) -> Option<&NetworkSettings> {
        self.appliance.settings()
    }

    /// The final application settings.
    pub fn application(&self) -> Option<&ApplicationSettings> {
        self.appliance.application()
    }

    /// The highest grant it accepted.
    pub fn seq(&self) -> Seq {
        self.appliance.seq()
    }

    /// Where it reports to.
    pub fn reporting(&self) -> Option<&Enrolment> {
        self.reporting.as_ref()
    }

    /// How beats fare.
    pub fn last_beat(&self) -> &LastBeat {
        &self.last_beat
    }

    /// A power cut may have come between the machine's document and the network's.
    fn settle_left_overs(&mut self) {
        let final_settings = self.appliance.settings().cloned();
        if self.network.is_provisional() {
            match self.appliance.state() {
                State::Configured => self.commit(),
                State::Unconfigured => self.changes.push_back(Change::RollBack),
                // The machine is about to ask for the roll-back itself.
                State::Installing | State::Provisional => {}
            }
        }
        while let Some(output) = self.appliance.poll_output() {
            self.act(Millis(0), output);
        }
        self.changes.extend(final_settings.map(Change::Resume));
    }

    fn pump(&mut self, now: Millis) {
        loop {
            if let Some(output) = self.appliance.poll_output() {
                self.act(now, output);
            } else {
                match self.beat.as_mut().and_then(Beat::poll_output) {
                    Some(beat::Output::Send { counter }) => self.send_beat(now, counter),
                    Some(beat::Output::Measure { counter }) => {
                        let _ = self.measure(now, counter);
                    }
                    None => break,
                }
            }
        }
        self.next_change();
    }

    fn act(&mut self, now: Millis, output: Output) {
        match output {
            Output::Persist { token, bytes } => {
                let input = match self.storage.save(Document::Appliance, &bytes) {
                    Ok(()) => Input::Persisted(token),
                    Err(error) => {
                        tracing::error!(code = error.code(), error = %chain(&error), "state could not be stored");
                        Input::PersistFailed(token)
                    }
                };
                self.appliance.handle_input(now, input);
            }
            Output::Transmit { peer, bytes } => self.outbox.push_back((peer, bytes)),
            Output::Apply { settings, application } => {
                let former = self.appliance.application().cloned();
                let application = change::Application { settings: application, former };
                self.changes.push_back(Change::Apply(settings, application));
            }
            Output::RollBack { .. } => self.changes.push_back(Change::RollBack),
            Output::Commit { .. } => self.commit(),
            Output::StartBeats { enrolment } => self.report_to(now, enrolment),
            Output::StopBeats => {
                self.epoch += 1;
                self.reporting = None;
                if let Some(beat) = &mut self.beat {
                    beat.stop();
                }
            }
            Output::CarryOut { serial, act } => self.carry_out(serial, act),
            Output::Forget { settings } => self.forget(settings),
            Output::Notify(event) => {
                match event {
                    Event::GrantRefused { reason } => self.grant_refused(reason),
                    Event::HandoverRefused { reason } => self.handover_refused(reason),
                    _ => {}
                }
                self.events.push_back(event);
            }
        }
    }

    fn commit(&mut self) {
        self.committing = true;
        self.changes.push_back(Change::Commit);
    }

    fn report_to(&mut self, now: Millis, enrolment: Enrolment) {
        self.epoch += 1;
        let beat = self.beat.get_or_insert_with(|| Beat::new(enrolment.interval_s, self.boot, OsEntropy::boxed()));
        beat.stop();
        // While settings are provisional, they and the console wait for the first beat, and the console has only so many
        // appliances wait at once. Any other start may be that of a whole site.
        match self.appliance.state() {
            _ if self.muted => {}
            State::Provisional => beat.start_at_once(now),
            _ => beat.start(now),
        }
        self.history.report_to(&enrolment, self.appliance.formerly());
        self.reporting = Some(enrolment);
        let noc = self.noc.clone();
        // A beat under the former enrolment may still hold the client.
        tokio::spawn(async move { noc.lock().await.disconnect() });
    }

    /// A beat is due: what it reports, and where to.
    fn measure(&mut self, now: Millis, counter: u64) -> Option<(Enrolment, BeatValues)> {
        let enrolment = self.reporting.clone()?;
        let mut values = self.health.measure();
        if self.settings_at_rest().is_some() {
            values.drift = self.drift();
        }
        values.components = self.components.reports();
        values.network_problem = self.network_problem().map(|problem| problem.code.clone());
        self.history.due(now, &enrolment, counter, &values);
        Some((enrolment, values))
    }

    fn send_beat(&mut self, now: Millis, counter: u64) {
        let Some((enrolment, values)) = self.measure(now, counter) else { return };
        let mut offer = self.history.offer(now);
        let earlier = std::mem::take(&mut offer.earlier);
        let work = self.work_report();
        let told = work.instruction.as_ref().map(|instruction| instruction.serial);
        let mut beat = api::Beat { boot: self.boot, counter, seq: enrolment.seq, values, work, earlier };
        // What could not be brought into force was not changed by hand.
        let settings = self.settings_at_rest().filter(|_| !self.resume.is_failing());
        let application = self.appliance.application().cloned();
        let network = self.network.clone();
        let (noc, work, connections) = (self.noc.clone(), self.work.clone(), self.connections.clone());
        let (uid, epoch) = (self.uid(), self.epoch);
        let put_back = self.drift.put_back_since().clone();
        let beside = self.beside(now);
        tokio::spawn(async move {
            let permit = connections.acquire_owned().await;
            if let Some(drift) = drift::look(&*network, settings.as_ref(), application.as_ref()).await {
                let told = put_back.iter().chain(&drift).copied().collect();
                beat.values.drift = drift::words(&told);
                let _ = work.send(Done { uid, work: Work::Drift(drift) });
            }
            let result = noc.lock().await.beat(&enrolment, &beat).await;
            let _ = work.send(Done { uid, work: Work::Beat { epoch, told, offer, result } });
            drop(permit);
            if let Some(beside) = beside {
                handover::carry_out(noc, beside, beat, (uid, work)).await;
            }
        });
    }

    fn beat_done(&mut self, now: Millis, told: Option<Serial>, offer: &Offer, result: Result<BeatAnswer, NocError>) {
        self.noc_knows(now, told, result.as_ref().map(|_| ()));
        let mut given = None;
        let input = match result {
            Ok(answer) => {
                self.appliance.handle_input(now, Input::BeatAccepted);
                self.appliance.handle_input(now, Input::NocTime(UnixTime(answer.time)));
                self.health.heard_time(answer.time);
                self.history.accepted(now, answer.time, offer, answer.earlier);
                self.drift.told();
                self.last_beat.accepted += 1;
                self.last_beat.at = Some(answer.time);
                if self.last_beat.error.take().is_some() {
                    tracing::info!(uid = %self.uid().short(), "beats arrive again");
                }
                given = Some((answer.time, answer.work));
                beat::Input::Accepted { interval_s: answer.interval_s }
            }
            Err(error) => {
                // Once, not with every retry.
                if self.last_beat.error != Some(error.code()) {
                    tracing::warn!(uid = %self.uid().short(), code = error.code(), "a beat did not arrive; trying on");
                    tracing::debug!(error = %error.chain(), "why");
                }
                self.last_beat.error = Some(error.code());
                if error.is_about_the_request() {
                    self.history.refused(offer);
                }
                beat::Input::Failed { retry_after_s: error.retry_after_s() }
            }
        };
        if let Some(beat) = &mut self.beat {
            beat.handle_input(now, input);
        }
        self.pump(now);
        if let Some((time, given)) = given {
            self.take_work(now, &given);
            self.take_components(time, given.components);
        }
    }

    /// One change of the network at a time, in the order asked for.
    fn next_change(&mut self) {
        if self.changing {
            return;
        }
        let Some(change) = self.changes.pop_front() else { return };
        self.changing = true;
        let (network, work, uid, noc) = (self.network.clone(), self.work.clone(), self.uid(), self.noc.clone());
        tokio::spawn(async move {
            let changed = change::make(&*network, &noc, change, &work, uid).await;
            let _ = work.send(Done { uid, work: Work::Changed(changed) });
        });
    }
}
