//! How large the space is that is searched, and which protection is taken away.

/// Bounds of one appliance and of the console's work on it. Deliveries of datagrams are not bounded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// Jobs that the operator starts.
    pub jobs: u8,
    /// Grants that the NOC signs, those for repeated attempts and those that it gives itself included.
    pub grants: u64,
    /// Grants that the NOC gives itself, with the answer to a beat. Who holds one may give it at any time.
    pub given: u64,
    /// Different pings that the console sends.
    pub pings: u8,
    /// Power cuts, at any moment.
    pub cuts: u8,
    /// Factory resets, at any moment.
    pub resets: u8,
    /// Failed applies and failed writes together.
    pub failures: u8,
}

/// What is explored.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// For A and B.
    pub bounds: [Bounds; 2],
    /// How often time passes in the whole run.
    pub waits: u8,
    /// The attacker attacks each of an appliance's one-time keys with each of his own packets, not only the newest.
    pub all_keys: bool,
    /// The appliances want a voucher of their vendor instead of a claim code.
    pub vouched: bool,
    /// What is broken on purpose.
    pub sabotage: Sabotage,
}

/// By how much time may pass, milliseconds: to the end of a window while one-time keys of its beginning still live, and
/// beyond the end of both. At all other moments it stands still. Two long steps are more than the silence after which a
/// console gives up.
pub(crate) const WAITS_MS: [u64; 2] = [90_000, 120_000];

impl Bounds {
    /// One job with one grant, and nothing that goes wrong but the network.
    pub const ONE_JOB: Bounds = Bounds { jobs: 1, grants: 1, given: 0, pings: 1, cuts: 0, resets: 0, failures: 0 };
    /// Nobody configures it.
    pub const NO_JOB: Bounds = Bounds { jobs: 0, grants: 0, given: 0, pings: 0, cuts: 0, resets: 0, failures: 0 };
}

/// One protection less, taken away in the driver, not in the machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sabotage {
    /// All is as it should be.
    #[default]
    None,
    /// The appliance's disk says that it wrote, and did not.
    ForgetfulDisk,
    /// The appliance has the same randomness in every boot: its one-time keys come again.
    SameKeysEveryBoot,
    /// The NOC signs every grant with the number 1.
    NocReusesNumbers,
    /// The appliance's system says that it rolled back, and did not.
    RollsBackNothing,
    /// The attacker read the labels.
    ThiefKnowsClaims,
    /// The attacker has the console's key.
    ThiefHasConsoleKey,
    /// The appliance applies a grant that came with a beat, although its machine refuses it.
    AppliesWhatIsGiven,
    /// The appliance wants no voucher, whatever its image says.
    AsksForNoVoucher,
}
