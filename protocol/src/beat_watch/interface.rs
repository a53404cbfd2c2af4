//! What goes into the status daemon, and what comes out.

use super::{AlertKind, Health, Timing};
use crate::id::{SiteId, Uid};

/// The number of an alert, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertId(pub u64);

/// An alert that opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenAlert {
    /// Where.
    pub site: SiteId,
    /// What it is about.
    pub kind: AlertKind,
    /// The appliances, ascending: one, or several in a site alert.
    pub uids: Vec<Uid>,
    /// The rule that is broken, of an [`AlertKind::Failing`].
    pub rule: String,
}

/// What comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Beats are expected from now on: the appliance was kick-started. One that is known already gets a fresh grace and
    /// the new interval; at a new site it begins anew.
    Expect {
        /// The appliance.
        uid: Uid,
        /// Its site.
        site: SiteId,
        /// Seconds between its beats.
        interval_s: u32,
    },
    /// At start-up: an appliance as it is stored. Puts nothing out. Ignored if the appliance is known already.
    Restore {
        /// The appliance.
        uid: Uid,
        /// Its site.
        site: SiteId,
        /// Seconds between its beats.
        interval_s: u32,
        /// Its stored health; [`Health::NotExpected`] is not watched.
        health: Health,
    },
    /// At start-up: an open alert as it is stored.
    RestoreAlert {
        /// Its number; new alerts get higher ones.
        id: AlertId,
        /// Its site.
        site: SiteId,
        /// What it is about.
        kind: AlertKind,
        /// The appliances that were ever in it.
        uids: Vec<Uid>,
        /// The rule that is broken, of an [`AlertKind::Failing`].
        rule: String,
    },
    /// When the appliances of a site are late, silent and well again.
    Timing {
        /// The site.
        site: SiteId,
        /// From now on; none for what [`super::Rules`] say.
        timing: Option<Timing>,
    },
    /// Which appliance is the way to this one. Ignored of an appliance that no beats are expected of.
    Behind {
        /// The appliance.
        uid: Uid,
        /// Its gateway, if that is an appliance too.
        gateway: Option<Uid>,
    },
    /// Somebody begins or ends work on an appliance. When it ends there is a fresh grace.
    Maintain {
        /// The appliance.
        uid: Uid,
        /// True while nobody is to be told.
        on: bool,
    },
    /// Whether an appliance breaks a health rule, as its beats say.
    Rule {
        /// The appliance.
        uid: Uid,
        /// The rule's name.
        rule: String,
        /// True when it is broken.
        broken: bool,
    },
    /// No beats are expected any more. Its alert closes.
    Forget {
        /// The appliance.
        uid: Uid,
    },
    /// A beat was accepted. Ignored from an appliance that none is expected of.
    Beat {
        /// The appliance.
        uid: Uid,
    },
    /// The NOC was away: asleep, or its database stood still.
    Stalled,
}

/// What is to be done. Outputs of one call belong in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// An appliance's health changed.
    Health {
        /// The appliance.
        uid: Uid,
        /// How it stands now.
        health: Health,
    },
    /// An alert opened.
    Open(AlertId, OpenAlert),
    /// An appliance joined an open site alert.
    Attach {
        /// The alert.
        alert: AlertId,
        /// The appliance.
        uid: Uid,
    },
    /// An alert closed.
    Close(AlertId),
}
