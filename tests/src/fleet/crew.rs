//! A part of a fleet: one loop drives some of the appliances, as many loops as there are processors drive them all.

use super::health::PracticeHealth;
use super::question::{Question, Register};
use super::rng::SeededRng;
use super::socket::send_from;
use super::storage::Kept;
use super::{Knobs, Stats};
use muster_agent::agent::{Agent, Done};
use muster_agent::network::fake::{self, FakeNetwork};
use muster_agent::status;
use muster_protocol::id::Uid;
use muster_protocol::time::Millis;
use muster_protocol::wire::Peer;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

pub(super) type Appliance = Agent<Kept, FakeNetwork, PracticeHealth>;

/// What a crew is told.
#[derive(Debug)]
pub(super) enum Mail {
    /// A ping, to whomever it asks.
    Ping {
        from: SocketAddr,
        bytes: Arc<[u8]>,
        question: Arc<Question>,
    },
    /// A datagram to one appliance.
    Datagram {
        to: Uid,
        from: SocketAddr,
        bytes: Vec<u8>,
    },
    Knobs(Knobs),
    Stats(oneshot::Sender<Stats>),
}

/// One appliance.
pub(super) struct Member {
    pub(super) agent: Appliance,
    /// Where it sends from, if not from any address.
    pub(super) address: Option<Ipv4Addr>,
    /// What is lost of its packets.
    pub(super) loss: SeededRng,
}

struct Driven {
    agent: Appliance,
    address: Option<Ipv4Addr>,
    loss: SeededRng,
    due: Option<Millis>,
    silent: bool,
}

/// What the crews of a fleet have in common.
#[derive(Clone)]
pub(super) struct Common {
    pub(super) started: Instant,
    pub(super) socket: Arc<UdpSocket>,
    pub(super) knobs: Arc<fake::Knobs>,
}

/// Some of the appliances.
pub(super) struct Crew {
    common: Common,
    members: Vec<Driven>,
    by_uid: BTreeMap<Uid, usize>,
    register: Register,
    /// When which member is to be woken: one timer for all.
    wakes: BTreeSet<(Millis, usize)>,
    loss_percent: u8,
    done: mpsc::UnboundedReceiver<Done>,
    stats: Stats,
}

impl Crew {
    pub(super) fn new(
        common: Common,
        members: Vec<Member>,
        done: mpsc::UnboundedReceiver<Done>,
        knobs: &Knobs,
    ) -> Crew {
        let uids: Vec<Uid> = members.iter().map(|member| member.agent.uid()).collect();
        let driven = |Member { agent, address, loss }| Driven { agent, address, loss, due: None, silent: false };
        let mut crew = Crew {
            common,
            members: members.into_iter().map(driven).collect(),
            by_uid: uids.iter().enumerate().map(|(number, uid)| (*uid, number)).collect(),
            register: Register::new(uids),
            wakes: BTreeSet::new(),
            loss_percent: 0,
            done,
            stats: Stats::default(),
        };
        crew.turn(knobs);
        (0..crew.members.len()).for_each(|number| crew.schedule(number));
        crew
    }

    pub(super) fn uids(&self) -> impl Iterator<Item = Uid> {
        self.by_uid.keys().copied()
    }

    /// Serves until the fleet is gone.
    pub(super) async fn run(mut self, mut mail: mpsc::UnboundedReceiver<Mail>) {
        loop {
            let due = self.wakes.first().map(|(at, _)| self.common.started + Duration::from_millis(at.0));
            tokio::select! {
                mail = mail.recv() => match mail {
                    Some(mail) => self.mail(mail).await,
                    None => return,
                },
                () = sleep_until(due) => self.wake().await,
                Some(done) = self.done.recv() => self.finish(done).await,
            }
        }
    }

    async fn mail(&mut self, mail: Mail) {
        match mail {
            Mail::Ping { from, bytes, question } => {
                for number in self.register.asked(&question) {
                    self.deliver(number, from, &bytes).await;
                }
            }
            Mail::Datagram { to, from, bytes } => {
                if let Some(number) = self.by_uid.get(&to).copied() {
                    self.deliver(number, from, &bytes).await;
                }
            }
            Mail::Knobs(knobs) => self.turn(&knobs),
            Mail::Stats(answer) => {
                let _ = answer.send(self.stats());
            }
        }
    }

    fn now(&self) -> Millis {
        Millis(self.common.started.elapsed().as_millis() as u64)
    }

    async fn deliver(&mut self, number: usize, from: SocketAddr, bytes: &[u8]) {
        let now = self.now();
        let member = &mut self.members[number];
        if member.silent {
            return;
        }
        if member.loss.happens(self.loss_percent) {
            self.stats.packets_lost += 1;
            return;
        }
        member.agent.datagram(now, Peer { interface: 0, address: from }, bytes);
        self.after(number).await;
    }

    async fn wake(&mut self) {
        let now = self.now();
        while let Some((at, number)) = self.wakes.first().copied()
            && at <= now
        {
            self.wakes.remove(&(at, number));
            self.members[number].due = None;
            self.members[number].agent.timeout(now);
            self.after(number).await;
        }
    }

    async fn finish(&mut self, done: Done) {
        if let Some(number) = self.by_uid.get(&done.uid).copied() {
            let now = self.now();
            self.members[number].agent.done(now, done);
            self.after(number).await;
        }
    }

    /// Sends what a member wants to send and notes when it is to be woken.
    async fn after(&mut self, number: usize) {
        let member = &mut self.members[number];
        while member.agent.poll_event().is_some() {}
        while let Some((peer, bytes)) = member.agent.poll_transmit() {
            if member.silent || member.loss.happens(self.loss_percent) {
                self.stats.packets_lost += 1;
                continue;
            }
            // What cannot be sent is lost, as on any network.
            if send_from(&self.common.socket, member.address, peer.address, &bytes).await.is_ok() {
                self.stats.packets_out += 1;
                self.stats.bytes_out += bytes.len() as u64;
            }
        }
        self.schedule(number);
    }

    fn schedule(&mut self, number: usize) {
        let member = &mut self.members[number];
        let due = member.agent.poll_timeout();
        if due != member.due {
            if let Some(at) = member.due {
                self.wakes.remove(&(at, number));
            }
            self.wakes.extend(due.map(|at| (at, number)));
            member.due = due;
        }
    }

    fn turn(&mut self, knobs: &Knobs) {
        if let Some(ms) = knobs.install_ms {
            self.common.knobs.set_install_ms(ms);
        }
        if let Some(percent) = knobs.fail_percent {
            self.common.knobs.set_fail_percent(percent);
        }
        if let Some(percent) = knobs.loss_percent {
            self.loss_percent = percent.min(100);
        }
        let Some(silent) = &knobs.silent else { return };
        let silent: BTreeSet<&Uid> = silent.iter().collect();
        let now = self.now();
        for number in 0..self.members.len() {
            let member = &mut self.members[number];
            let wanted = silent.contains(&member.agent.uid());
            if wanted != member.silent {
                member.silent = wanted;
                member.agent.mute(now, wanted);
                self.schedule(number);
            }
        }
    }

    fn stats(&self) -> Stats {
        let mut stats = self.stats.clone();
        for Driven { agent, .. } in &self.members {
            let beat = agent.last_beat();
            stats.beats_accepted += beat.accepted;
            stats.beating += usize::from(beat.accepted > 0);
            *stats.states.entry(status::word(agent.state())).or_default() += 1;
            if let Some(error) = beat.error {
                *stats.beat_errors.entry(error).or_default() += 1;
            }
        }
        stats
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
