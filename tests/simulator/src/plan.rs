//! What a seed decides before its world begins: how many there are, how bad the network is, what goes wrong how often.

use crate::random::Stream;

/// A driver that is broken on purpose, to show that an invariant notices. Never set but by the tests of the invariants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// An appliance says that a document is on disk and has not written it.
    ForgetsToPersist,
    /// An appliance rolls back to the state it had from the factory, whatever it had before.
    RollsBackTooFar,
    /// An appliance never goes back: it tells its machine so and leaves the network as it is.
    NeverRollsBack,
    /// An appliance takes the next packet before the network's state before the last one is forgotten.
    TakesWhileCommitting,
    /// A NOC signs before its transaction is on disk.
    SignsBeforeCommit,
    /// A NOC answers a beat before its transaction is on disk.
    AnswersBeforeCommit,
    /// A console tells its delivery that a packet is stored, and stores it later.
    SendsBeforeStored,
    /// A console shows every SUCCESS as configured.
    BelievesProvisional,
    /// A console forgets a job when it starts.
    ForgetsJobs,
    /// The attacker has the NOC root's key and the labels.
    StolenRoot,
    /// An appliance takes a beat that was accepted for another grant as its own.
    AnyBeatConfirms,
    /// An appliance answers what it understands with an answer that is padded.
    LongAnswers,
    /// An appliance whose image names a vendor asks for no voucher.
    AsksForNoVoucher,
    /// An appliance applies a grant that came with a beat, whatever its machine says of it.
    AppliesWhatIsGiven,
    /// The network never heals.
    NeverHeals,
}

/// What goes wrong, as counted and as planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A datagram is lost.
    Loss,
    /// A datagram arrives twice.
    Duplicate,
    /// A datagram is late, and others overtake it.
    Late,
    /// A datagram is longer than the link carries.
    TooLong,
    /// An appliance is cut off.
    Partition,
    /// The power of an appliance is cut at any moment.
    ApplianceCut,
    /// The power of an appliance is cut while it writes.
    ApplianceCutWriting,
    /// The power of an appliance is cut while its network changes.
    ApplianceCutApplying,
    /// A console dies at any moment.
    ConsoleCut,
    /// A console dies while it stores.
    ConsoleCutWriting,
    /// The NOC dies at any moment.
    NocCut,
    /// The NOC dies in a transaction.
    NocCutWriting,
    /// A NOC's answer is lost on its way.
    AnswerLost,
    /// An appliance's disk refuses.
    PersistFailed,
    /// A console's disk is full.
    StoreFull,
    /// Settings cannot be applied.
    ApplyFailed,
    /// Settings are applied slowly.
    SlowApply,
    /// Somebody else has the address.
    AddressTaken,
    /// A grant with a gateway that leads nowhere.
    WrongGateway,
    /// A grant expires soon.
    ShortGrant,
    /// A clock jumps forwards.
    ClockForwards,
    /// A clock jumps backwards.
    ClockBackwards,
    /// An appliance is reset.
    FactoryReset,
    /// The attacker re-sends what was sent.
    Replay,
    /// The attacker sends a datagram back to its sender.
    Reflect,
    /// The attacker changes bytes.
    Mutate,
    /// The attacker addresses a datagram to another.
    Readdress,
    /// The attacker asks who is there.
    StrangePing,
    /// The attacker answers as an appliance of its own, with another's MAC.
    StrangeHere,
    /// The attacker sends noise.
    Junk,
    /// The attacker makes a config packet with keys of its own.
    ForgedConfig,
    /// The attacker has a grant of another console, or of another appliance.
    StolenGrant,
    /// The attacker makes a kick-start.
    ForgedKick,
    /// The attacker makes a result.
    ForgedResult,
    /// Somebody with the NOC's certificate answers a beat with a grant that is old, or another's.
    StrangeAnswer,
}

/// How many kinds there are.
pub const FAULTS: usize = Fault::StrangeAnswer as usize + 1;

impl Fault {
    /// All of them, in order.
    pub const ALL: [Fault; FAULTS] = {
        use Fault::*;
        [
            Loss,
            Duplicate,
            Late,
            TooLong,
            Partition,
            ApplianceCut,
            ApplianceCutWriting,
            ApplianceCutApplying,
            ConsoleCut,
            ConsoleCutWriting,
            NocCut,
            NocCutWriting,
            AnswerLost,
            PersistFailed,
            StoreFull,
            ApplyFailed,
            SlowApply,
            AddressTaken,
            WrongGateway,
            ShortGrant,
            ClockForwards,
            ClockBackwards,
            FactoryReset,
            Replay,
            Reflect,
            Mutate,
            Readdress,
            StrangePing,
            StrangeHere,
            Junk,
            ForgedConfig,
            StolenGrant,
            ForgedKick,
            ForgedResult,
            StrangeAnswer,
        ]
    };
}

/// One direction of a link.
#[derive(Clone, Copy, Debug)]
pub struct Quality {
    /// Lost, of a thousand.
    pub loss: u32,
    /// Doubled, of a thousand.
    pub duplicate: u32,
    /// Late by up to `late_ms`, of a thousand.
    pub late: u32,
    /// Longest extra delay.
    pub late_ms: u64,
    /// Longest datagram that passes, bytes.
    pub mtu: usize,
}

impl Quality {
    /// A link without faults.
    pub const GOOD: Quality = Quality { loss: 0, duplicate: 0, late: 0, late_ms: 0, mtu: 1_500 };

    fn draw(dice: &mut Stream) -> Quality {
        match dice.below(10) {
            0..5 => Quality { loss: 5, duplicate: 5, late: 20, late_ms: 50, mtu: 1_500 },
            5..8 => Quality { loss: 80, duplicate: 50, late: 150, late_ms: 500, mtu: 1_500 },
            8 => Quality { loss: 300, duplicate: 150, late: 400, late_ms: 5_000, mtu: 1_500 },
            _ => Quality { loss: 20, duplicate: 20, late: 50, late_ms: 40_000, mtu: dice.choose([500, 700, 1_000]) },
        }
    }
}

/// How often what goes wrong, of a thousand occasions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// At each write of an appliance.
    pub cut_writing: u32,
    /// At each change of an appliance's network.
    pub cut_applying: u32,
    /// At each batch of a console.
    pub console_cut: u32,
    /// At each transaction of the NOC.
    pub noc_cut: u32,
    /// At each answer of the NOC.
    pub answer_lost: u32,
    /// At each write of an appliance.
    pub persist_failed: u32,
    /// At each batch of a console.
    pub store_full: u32,
    /// At each change of an appliance's network.
    pub apply_failed: u32,
    /// At each change of an appliance's network.
    pub slow_apply: u32,
    /// At each grant asked for.
    pub address_taken: u32,
    /// At each grant asked for.
    pub wrong_gateway: u32,
    /// At each grant signed.
    pub short_grant: u32,
    /// Seconds between faults that strike at any moment: cuts, partitions, jumps, resets. Zero: none.
    pub strike_every_s: u64,
}

/// A world, before it begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many appliances.
    pub appliances: usize,
    /// How many consoles: 1 or 2.
    pub consoles: usize,
    /// Consoles sign their pings, so that configured appliances return their settings.
    pub signed_pings: bool,
    /// Of a thousand appliances, how many accept anybody while unconfigured.
    pub open: u32,
    /// Of a thousand of the others, how many accept only whom their vendor vouches for.
    pub vouched: u32,
    /// Jobs that each operator starts before the network heals.
    pub jobs: u64,
    /// Milliseconds between them.
    pub job_every_ms: u64,
    /// Milliseconds between the attacker's datagrams; zero: there is none.
    pub attack_every_ms: u64,
    /// The attacker goes on after the network has healed.
    pub attacks_on: bool,
    /// Of a thousand appliances, how many have links with faults.
    pub bad_links: u32,
    /// What goes wrong how often.
    pub rates: Rates,
    /// Of a thousand grants, how many want a first beat.
    pub first_beat: u32,
    /// Milliseconds between changes that somebody at the NOC makes, given with beats; zero: nobody does.
    pub office_every_ms: u64,
}

impl Plan {
    /// The plan of a seed.
    pub fn draw(dice: &mut Stream) -> Plan {
        let appliances = match dice.below(10) {
            0..5 => dice.between(1, 4),
            5..9 => dice.between(5, 12),
            _ => dice.between(13, 40),
        };
        // In half of the worlds nothing fails by itself. They are cheap, and what is rare has room to happen there.
        let calm = dice.chance(500);
        let rate = |dice: &mut Stream, most: u64| if calm { 0 } else { dice.below(most + 1) as u32 };
        let rates = Rates {
            cut_writing: rate(dice, 60),
            cut_applying: rate(dice, 60),
            console_cut: rate(dice, 60),
            noc_cut: rate(dice, 60),
            answer_lost: rate(dice, 100),
            persist_failed: rate(dice, 50),
            store_full: rate(dice, 60),
            apply_failed: rate(dice, 80),
            slow_apply: rate(dice, 150),
            address_taken: rate(dice, 60),
            wrong_gateway: rate(dice, 20),
            short_grant: rate(dice, 60),
            strike_every_s: if calm { 0 } else { dice.between(10, 120) },
        };
        Plan {
            appliances: appliances as usize,
            consoles: if dice.chance(300) { 2 } else { 1 },
            signed_pings: dice.chance(100),
            open: if dice.chance(100) { 500 } else { 0 },
            vouched: {
                let mut own = Stream::new(!dice.clone().draw());
                if own.chance(200) { own.choose([300, 1_000]) } else { 0 }
            },
            jobs: dice.between(3, 9),
            job_every_ms: dice.between(15_000, 150_000),
            attack_every_ms: if dice.chance(400) { dice.between(500, 10_000) } else { 0 },
            attacks_on: dice.chance(300),
            bad_links: if calm { 0 } else { dice.between(100, 1_000) as u32 },
            rates,
            first_beat: dice.choose([0, 100, 300, 300]),
            office_every_ms: {
                // Dice of its own, so that a world without changes is the one it was before there were any.
                let mut office = Stream::new(dice.clone().draw());
                if office.chance(400) { office.between(10_000, 120_000) } else { 0 }
            },
        }
    }

    /// Nothing goes wrong, and nobody disturbs.
    pub(crate) fn is_calm(&self) -> bool {
        self.rates.strike_every_s == 0
            && self.bad_links == 0
            && self.attack_every_ms == 0
            && self.consoles == 1
            && self.office_every_ms == 0
    }

    /// The links of one appliance: what it sends, and what it receives.
    pub(crate) fn links(&self, dice: &mut Stream) -> [Quality; 2] {
        if dice.chance(self.bad_links) { [Quality::draw(dice), Quality::draw(dice)] } else { [Quality::GOOD; 2] }
    }
}
