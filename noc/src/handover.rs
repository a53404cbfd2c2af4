//! Handing appliances over to another address or NOC: what operators do on both sides (decision 0022).

use crate::audit::{By, Event};
use crate::clock;
use crate::config;
use crate::error::{AsProblem, StoreError, problem};
use crate::noc::{Inner, Noc};
use crate::operators::OrganisationId;
use crate::operators::access::{DEFAULT_ORGANISATION, Place};
use crate::policy::site::SiteError;
use crate::store::{audit, handover, transfer};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use muster_protocol::api::{Problem, Site};
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::crypto::sign::{self, Purpose};
use muster_protocol::handover::Successor;
use muster_protocol::id::{Mac, Seq, SiteId, Uid};
use muster_protocol::instruction::Serial;
use muster_protocol::parameters::RawSettings;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

const OFFER: &str = "muster-offer:";
/// Form of a transfer.
const VERSION: u32 = 1;

/// How a hand-over stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HandoverView {
    /// Its number.
    pub serial: Serial,
    /// Where appliances are to report to, `host:port`.
    pub noc: String,
    /// It is another address of this very NOC.
    pub is_own: bool,
    /// When it began.
    pub started: u64,
    /// When it was called off.
    pub ended: Option<u64>,
    /// Since when consoles are sent to the other NOC.
    pub finished: Option<u64>,
    /// Appliances that have not beaten since it began.
    pub waiting: u64,
    /// Appliances that were told and still report here.
    pub given: u64,
    /// Appliances that report there.
    pub done: u64,
    /// Some of those that were told and say why they are still here.
    pub stuck: Vec<StuckView>,
}

/// An appliance that cannot leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StuckView {
    /// Which.
    pub uid: Uid,
    /// Why: a stable word.
    pub problem: String,
}

/// What a transfer brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TransferReport {
    /// Sites that were not here.
    pub sites: usize,
    /// Appliances that were not here.
    pub added: usize,
    /// Appliances that were here and do not report here yet.
    pub updated: usize,
    /// Appliances that report here already.
    pub unchanged: usize,
}

/// What one NOC tells another.
#[derive(Serialize, Deserialize)]
struct Transfer {
    version: u32,
    /// Whom it is for.
    to: String,
    sites: Vec<Site>,
    appliances: Vec<TransferredAppliance>,
}

/// One appliance of a transfer. The claim code is a secret.
#[derive(Serialize, Deserialize)]
pub(crate) struct TransferredAppliance {
    pub(crate) uid: Uid,
    pub(crate) mac: Mac,
    pub(crate) serial: String,
    pub(crate) model: String,
    pub(crate) claim: String,
    pub(crate) site: Option<SiteId>,
    /// The last grant signed, and the one in force.
    pub(crate) seq: Seq,
    pub(crate) applied: Seq,
    pub(crate) settings: Option<RawSettings>,
    pub(crate) interval_s: u32,
    /// The last number of an instruction or hand-over.
    pub(crate) serial_floor: u64,
}

/// Why nothing is handed over or taken over.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// One is under way to somewhere else.
    #[error("appliances are being handed over to {noc} already")]
    UnderWay {
        /// Where to.
        noc: String,
    },
    /// None is under way.
    #[error("no hand-over is under way")]
    None,
    /// There is no address to hand over to.
    #[error("the first address of this NOC has no port of its own")]
    NoPort,
    /// The offer is none.
    #[error("the offer is damaged, or not signed by the root that it names")]
    BadOffer,
    /// The offer is of a NOC with the same address as this one, but it is not this one.
    #[error("the offer names the address of this NOC, {noc}, with other keys")]
    SameAddress {
        /// The address.
        noc: String,
    },
    /// The transfer does not read or is not by that root.
    #[error("the transfer is damaged, or not signed by that root")]
    BadTransfer,
    /// The transfer is of another version.
    #[error("the transfer is of version {version}, which this program does not know")]
    TransferVersion {
        /// Its version.
        version: u32,
    },
    /// The transfer is for another NOC.
    #[error("the transfer is for another NOC")]
    ForAnother,
    /// Sites must keep their numbers.
    #[error("site {site} is `{theirs}` there and `{ours}` here")]
    SiteTaken {
        /// The number.
        site: SiteId,
        /// Its name here.
        ours: String,
        /// Its name there.
        theirs: String,
    },
    /// A site does not fit.
    #[error("a site does not fit")]
    Site(#[source] SiteError),
    /// Another customer of this NOC has it.
    #[error("appliance {} is in the inventory of another organisation of this NOC", .uid.short())]
    OtherOrganisation {
        /// Which.
        uid: Uid,
    },
    /// Somebody here has its address or host name.
    #[error("another appliance of this NOC holds the address {address} or the host name of {}", .uid.short())]
    Held {
        /// Which cannot have it.
        uid: Uid,
        /// Its address.
        address: String,
    },
    /// Appliances would be left behind.
    #[error("{count} appliances still report here")]
    LeftBehind {
        /// How many.
        count: u64,
    },
    /// The file could not be made.
    #[error("{} could not be written", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database did not keep it.
    #[error("it was not kept")]
    Store(#[from] StoreError),
}

impl From<SiteError> for HandoverError {
    fn from(error: SiteError) -> Self {
        HandoverError::Site(error)
    }
}

impl From<rusqlite::Error> for HandoverError {
    fn from(error: rusqlite::Error) -> Self {
        HandoverError::Store(error.into())
    }
}

impl AsProblem for HandoverError {
    fn problem(&self) -> Problem {
        let (status, code, remedy) = match self {
            HandoverError::UnderWay { .. } => {
                (409, "handover_under_way", "Call it off first: `muster-noc handover cancel`.")
            }
            HandoverError::None => (409, "no_handover", "Begin one: `muster-noc handover start`."),
            HandoverError::NoPort => (409, "no_port", "Name a port in the first of `addresses` in noc.toml."),
            HandoverError::BadOffer => (
                422,
                "bad_offer",
                "Give the whole line that `muster-noc handover offer` prints at the NOC that takes the appliances over.",
            ),
            HandoverError::SameAddress { .. } => {
                (409, "same_address", "Give the other NOC an address of its own: both have to be reached meanwhile.")
            }
            HandoverError::BadTransfer => (
                422,
                "bad_transfer",
                "Give the file as `muster-noc handover export` made it, and the root that `muster-noc voucher root` prints there.",
            ),
            HandoverError::TransferVersion { .. } => {
                (422, "transfer_version", "Use programs of the same version at both NOCs.")
            }
            HandoverError::ForAnother => (
                422,
                "transfer_for_another",
                "Begin the hand-over at the other NOC with the offer of this one, and export again.",
            ),
            HandoverError::SiteTaken { .. } => {
                (409, "site_taken", "Sites keep their numbers: hand over to a NOC that does not have others there.")
            }
            HandoverError::Site(error) => return error.problem(),
            HandoverError::OtherOrganisation { .. } => {
                (409, "other_organisation", "Name the organisation that has it with --organisation.")
            }
            HandoverError::Held { .. } => {
                (409, "address_held", "Release the other appliance, or change this one before it is handed over.")
            }
            HandoverError::LeftBehind { .. } => {
                (409, "left_behind", "Wait for them (`muster-noc handover show`), or leave them behind with --yes.")
            }
            HandoverError::Write { .. } => (500, "folder_unwritable", "Name a file that is not there yet."),
            HandoverError::Store(error) => return error.problem(),
        };
        problem(status, code, self, remedy)
    }
}

impl Inner {
    /// This NOC, as one that appliances may be handed over to.
    pub(crate) fn as_successor(&self) -> Successor {
        Successor { noc: self.public_address(), ca_pin: self.authority.pin(), root: self.signer.root() }
    }
}

impl Noc {
    /// What this NOC says of itself to one that is to hand over its appliances, as text to paste. No secret.
    pub fn handover_offer(&self) -> Result<String, HandoverError> {
        let offer = self.inner.signer.offer(&self.with_a_port()?);
        Ok(format!("{OFFER}{}", BASE64URL_NOPAD.encode(&offer)))
    }

    /// Begins to hand over all configured appliances with the answers to their beats: to the NOC of an offer, or, without one,
    /// to the first address of this NOC. The same again changes nothing.
    pub fn hand_over(&self, offer: Option<&str>) -> Result<HandoverView, HandoverError> {
        let me = self.with_a_port()?;
        let to = match offer {
            Some(text) => read_offer(text)?,
            None => me.clone(),
        };
        if to.noc == me.noc && to != me {
            return Err(HandoverError::SameAddress { noc: to.noc });
        }
        self.inner.store.write_now(move |db| {
            match handover::current(db)?.filter(|current| current.ended.is_none()) {
                Some(open) if open.to == to => {}
                Some(open) if open.to != me || open.finished.is_some() => {
                    return Err(HandoverError::UnderWay { noc: open.to.noc });
                }
                _ => {
                    handover::start(db, clock::now(), &to)?;
                    record(db, "handover.start", &to.noc, serde_json::json!({ "root": to.root.to_base64() }))?;
                }
            }
            handover::view(db, &me)?.ok_or(HandoverError::None)
        })
    }

    /// The present hand-over, or the last one.
    pub fn handover(&self) -> Result<HandoverView, HandoverError> {
        let me = self.inner.as_successor();
        self.inner.store.read_now(|db| handover::view(db, &me)?.ok_or(HandoverError::None))
    }

    /// Calls the present hand-over off. Appliances that have left do not come back.
    pub fn cancel_handover(&self) -> Result<HandoverView, HandoverError> {
        let me = self.inner.as_successor();
        self.inner.store.write_now(move |db| {
            let to = open(db)?.to;
            handover::end(db, clock::now())?;
            record(db, "handover.cancel", &to.noc, serde_json::Value::Null)?;
            handover::view(db, &me)?.ok_or(HandoverError::None)
        })
    }

    /// Ends the service of this NOC after a hand-over: consoles are told where to turn to. With appliances that are still here
    /// only if they are to be `left_behind`.
    pub fn finish_handover(&self, left_behind: bool) -> Result<HandoverView, HandoverError> {
        let me = self.inner.as_successor();
        self.inner.store.write_now(move |db| {
            if open(db)?.to == me {
                return Err(HandoverError::None);
            }
            let view = handover::view(db, &me)?.ok_or(HandoverError::None)?;
            let count = view.waiting + view.given;
            if count > 0 && !left_behind {
                return Err(HandoverError::LeftBehind { count });
            }
            handover::finish(db, clock::now())?;
            record(db, "handover.finish", &view.noc, serde_json::json!({ "left_behind": count }))?;
            handover::view(db, &me)?.ok_or(HandoverError::None)
        })
    }

    /// Writes what the successor has to know of the appliances to a new file that only its owner can read: it holds their claim
    /// codes. Signed by our root, for the successor's.
    pub fn export_handover(&self, path: &Path) -> Result<usize, HandoverError> {
        let (transfer, count) = self.inner.store.read_now(|db| {
            let to = open(db)?.to.root.to_base64();
            let (sites, appliances) = transfer::collect(db)?;
            let count = appliances.len();
            Ok::<_, HandoverError>((Transfer { version: VERSION, to, sites, appliances }, count))
        })?;
        // Structures of text and numbers always serialise.
        let signed = self.inner.signer.transfer(serde_json::to_vec(&transfer).unwrap_or_default());
        let text = format!("{}\n", BASE64.encode(&signed));
        config::create_private(path, text.as_bytes())
            .map_err(|source| HandoverError::Write { path: path.to_owned(), source })?;
        // The file holds claim codes: that one was made is known.
        self.inner.store.write_now(move |db| {
            let to = open(db)?.to;
            Ok::<_, HandoverError>(record(db, "handover.export", &to.noc, serde_json::json!({ "appliances": count }))?)
        })?;
        Ok(count)
    }

    /// Takes in what another NOC has exported, whose root is `from`: all of it, or nothing.
    pub fn accept_handover(&self, from: &PublicKey, text: &str) -> Result<TransferReport, HandoverError> {
        self.accept_handover_to(DEFAULT_ORGANISATION, from, text)
    }

    /// [`Noc::accept_handover`] into an organisation.
    pub fn accept_handover_to(
        &self,
        organisation: OrganisationId,
        from: &PublicKey,
        text: &str,
    ) -> Result<TransferReport, HandoverError> {
        let signed = BASE64.decode(text.trim().as_bytes()).map_err(|_| HandoverError::BadTransfer)?;
        let json = sign::verify(from, Purpose::Transfer, &signed).map_err(|_| HandoverError::BadTransfer)?;
        let read = serde_json::from_slice::<serde_json::Value>(&json).map_err(|_| HandoverError::BadTransfer)?;
        let version = read["version"].as_u64().unwrap_or_default();
        if version != u64::from(VERSION) {
            return Err(HandoverError::TransferVersion { version: u32::try_from(version).unwrap_or(u32::MAX) });
        }
        let transfer: Transfer = serde_json::from_value(read).map_err(|_| HandoverError::BadTransfer)?;
        if transfer.to != self.root().to_base64() {
            return Err(HandoverError::ForAnother);
        }
        let (Transfer { sites, appliances, .. }, from) = (transfer, *from);
        self.inner.store.write_now(move |db| {
            let report = transfer::accept(db, clock::now(), organisation, &from, &sites, &appliances)?;
            let event = Event::new(Place::organisation(organisation), "handover.accept", "handover");
            let detail = serde_json::json!({ "from": from.to_base64(), "report": report });
            audit::record(db, clock::now(), &By::local(), event.with(detail))?;
            Ok(report)
        })
    }

    fn with_a_port(&self) -> Result<Successor, HandoverError> {
        let me = self.inner.as_successor();
        if me.noc.ends_with(":0") { Err(HandoverError::NoPort) } else { Ok(me) }
    }
}

fn record(
    db: &rusqlite::Connection,
    action: &'static str,
    to: &str,
    detail: serde_json::Value,
) -> Result<(), StoreError> {
    let event = Event::new(Place::NOC, action, format!("noc:{to}"));
    audit::record(db, clock::now(), &By::local(), event.with(detail))
}

fn open(db: &rusqlite::Connection) -> Result<handover::Current, HandoverError> {
    handover::current(db)?.filter(|current| current.ended.is_none()).ok_or(HandoverError::None)
}

fn read_offer(text: &str) -> Result<Successor, HandoverError> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let code = text.strip_prefix(OFFER).ok_or(HandoverError::BadOffer)?;
    let signed = BASE64URL_NOPAD.decode(code.as_bytes()).map_err(|_| HandoverError::BadOffer)?;
    Successor::of_offer(&signed).map_err(|_| HandoverError::BadOffer)
}
