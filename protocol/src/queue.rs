//! What the NOC has a console do: the message queue (seed, FIGURE 2, message queue 38; decision 0027).
//!
//! A message is JSON, signed by the NOC root as COSE_Sign1 with [`crate::crypto::sign::Purpose::Message`]. Numbers of one
//! console ascend; a console carries messages out in their order, and remembers the last number before it does
//! anything, so that each has one effect however often it comes.

use crate::id::{ConsoleId, Mac, SiteId, Uid};
use crate::parameters::RawSettings;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// Most messages in one answer of the NOC.
pub const MOST_MESSAGES: usize = 100;
/// Most bytes of a message's answer: the list of 50,000 appliances.
pub const MAX_ANSWER: usize = 6 << 20;

/// Numbers the messages to one console, ascending: milliseconds of the NOC's clock, or one more than the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageNumber(pub u64);

impl fmt::Display for MessageNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is signed, but for the order: whoever does not know the order can still say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageHead {
    /// The console it is for; no other takes it.
    pub console: ConsoleId,
    /// Must exceed that of every message the console has taken.
    pub number: MessageNumber,
    /// When it was signed, Unix seconds.
    pub issued: u64,
    /// After this nothing is begun.
    pub expires: u64,
}

/// A message to one console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// To whom, and which.
    #[serde(flatten)]
    pub head: MessageHead,
    /// What to do.
    pub order: Order,
}

/// The five messages of the seed (page 9 f.).
#[expect(clippy::large_enum_variant, reason = "messages are few, and a console holds one at a time")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Order {
    /// `sendRefresh()`: discover.
    Refresh,
    /// `sendKick(MAC)`: kick-start an appliance that has applied its settings.
    Kick {
        /// Which.
        target: Target,
    },
    /// `sendConfig(MAC, hostname, domain, IP, netmask, gateway, DNS1, DNS2)`.
    Config {
        /// Which.
        target: Target,
        /// By whose policy, and from whose pool.
        site: SiteId,
        /// What it shall have; absent: what the site's policy says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settings: Option<RawSettings>,
    },
    /// `getList(filter)`.
    List {
        /// Which appliances.
        filter: Filter,
    },
    /// `getStatus()`: how the last [`Order::Config`] before it stands.
    Status,
}

impl Order {
    /// The seed's name.
    pub fn name(&self) -> &'static str {
        match self {
            Order::Refresh => "sendRefresh",
            Order::Kick { .. } => "sendKick",
            Order::Config { .. } => "sendConfig",
            Order::List { .. } => "getList",
            Order::Status => "getStatus",
        }
    }

    /// The appliance it is about.
    pub fn target(&self) -> Option<&Target> {
        match self {
            Order::Kick { target } | Order::Config { target, .. } => Some(target),
            Order::Refresh | Order::List { .. } | Order::Status => None,
        }
    }
}

/// An appliance, as whoever writes a message knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its MAC.
    pub mac: Mac,
    /// Its identity, if the NOC's inventory has it: then nobody else with this MAC will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<Uid>,
}

/// Which appliances `getList` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Filter {
    /// `0`: all.
    #[serde(rename = "0")]
    All,
    /// `2`: configured ones.
    #[serde(rename = "2")]
    Configured,
}

/// The seed knows two filters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no filter: write 0 for all appliances or 2 for configured ones", .text.escape_debug())]
pub struct UnknownFilter {
    text: String,
}

impl FromStr for Filter {
    type Err = UnknownFilter;
    fn from_str(text: &str) -> Result<Filter, UnknownFilter> {
        match text {
            "0" => Ok(Filter::All),
            "2" => Ok(Filter::Configured),
            _ => Err(UnknownFilter { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Filter::All => "0",
            Filter::Configured => "2",
        })
    }
}

/// What `getStatus` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigStatus {
    /// `0`: neither SUCCESS nor FAILED yet.
    Waiting,
    /// `1`: SUCCESS.
    Success,
    /// `-1`: FAILED.
    Failed,
}

impl fmt::Display for ConfigStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConfigStatus::Waiting => "0",
            ConfigStatus::Success => "1",
            ConfigStatus::Failed => "-1",
        })
    }
}

/// Messages for a console, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Messages {
    /// At most [`MOST_MESSAGES`].
    pub messages: Vec<SignedMessage>,
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedMessage {
    /// Its number, for reports about what cannot be read.
    pub number: MessageNumber,
    /// COSE_Sign1 by the NOC root over the JSON of a [`Message`], base64.
    pub message: String,
}

/// What became of messages; saying it again changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageReports {
    /// At most [`MOST_MESSAGES`].
    pub items: Vec<MessageReport>,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageReport {
    /// Which.
    pub number: MessageNumber,
    /// How it stands.
    pub state: MessageState,
    /// Why it failed: a stable word, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// The same for a person. Untrusted text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What the message returns: the list, the status, or how many were found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// How a message stands at its console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// On the console's disk; it will be carried out.
    Taken,
    /// Carried out. A configuration: SUCCESS, and final.
    Done,
    /// Not carried out, or without success.
    Failed,
}

/// One appliance of `getList`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedAppliance {
    /// Its MAC.
    pub mac: Mac,
    /// Host name, or empty.
    pub host_name: String,
    /// Domain, or empty.
    pub domain: String,
    /// Address; 0.0.0.0 without one.
    pub address: Ipv4Addr,
    /// Netmask.
    pub netmask: Ipv4Addr,
    /// Default gateway.
    pub gateway: Ipv4Addr,
    /// Primary name server.
    pub dns1: Ipv4Addr,
}

impl ListedAppliance {
    /// What is empty or no address becomes 0.0.0.0.
    pub fn new(mac: Mac, settings: &RawSettings) -> ListedAppliance {
        let ip = |text: &str| text.parse().unwrap_or(Ipv4Addr::UNSPECIFIED);
        ListedAppliance {
            mac,
            host_name: settings.host_name.clone(),
            domain: settings.domain.clone(),
            address: ip(&settings.address),
            netmask: ip(&settings.netmask),
            gateway: ip(&settings.gateway),
            dns1: ip(&settings.dns1),
        }
    }
}

/// The string that `getList` returns, exactly as in the seed's example: appliances divided by `|`, each as
/// `MAC:hostname,domain,IP,netmask,gateway,DNS1`. It has no place for a second name server.
pub fn list_text(appliances: &[ListedAppliance]) -> String {
    let mut text = String::with_capacity(appliances.len() * 96);
    for (i, a) in appliances.iter().enumerate() {
        if i > 0 {
            text.push('|');
        }
        let ListedAppliance { mac, host_name, domain, address, netmask, gateway, dns1 } = a;
        text += &format!("{mac}:{host_name},{domain},{address},{netmask},{gateway},{dns1}");
    }
    text
}

/// Why a text is no list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {entry} is not MAC:hostname,domain,IP,netmask,gateway,DNS1")]
pub struct BadList {
    /// Counted from 1.
    pub entry: usize,
}

/// Reads what [`list_text`] wrote.
pub fn read_list(text: &str) -> Result<Vec<ListedAppliance>, BadList> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let entries = text.split('|').enumerate();
    entries.map(|(i, entry)| read_entry(entry).ok_or(BadList { entry: i + 1 })).collect()
}

fn read_entry(entry: &str) -> Option<ListedAppliance> {
    // A MAC has colons itself: six groups of two digits.
    let (mac, rest) = (entry.get(..17)?, entry.get(17..)?.strip_prefix(':')?);
    let fields: Vec<&str> = rest.split(',').collect();
    let [host_name, domain, address, netmask, gateway, dns1] = fields.as_slice() else { return None };
    Some(ListedAppliance {
        mac: mac.parse().ok()?,
        host_name: (*host_name).to_owned(),
        domain: (*domain).to_owned(),
        address: address.parse().ok()?,
        netmask: netmask.parse().ok()?,
        gateway: gateway.parse().ok()?,
        dns1: dns1.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Seed, page 9, line 30.
    const SEED: &str = "00:B0:D0:11:22:33:test1,mycio.com,127.0.0.1,255.255.255.128,0.0.0.0,0.0.0.0|00:11:22:33:44:55:test2,mycio.com,127.0.0.1,255.255.255.128,0.0.0.0,0.0.0.0";

    #[test]
    fn the_list_of_the_seed_is_read_and_written_to_the_letter() {
        let list = read_list(SEED).expect("reads");
        assert_eq!((list.len(), list[1].host_name.as_str()), (2, "test2"));
        assert_eq!(list_text(&list), SEED);
        assert_eq!(read_list(""), Ok(Vec::new()));
        assert_eq!(list_text(&[]), "");
    }

    #[test]
    fn what_an_appliance_does_not_have_is_zero_or_empty() {
        let mac: Mac = "00:11:22:33:44:55".parse().expect("MAC");
        let listed = ListedAppliance::new(mac, &RawSettings::default());
        let text = list_text(&[listed]);
        assert_eq!(text, "00:11:22:33:44:55:,,0.0.0.0,0.0.0.0,0.0.0.0,0.0.0.0");
        assert_eq!(read_list(&text).map(|list| list.len()), Ok(1));
    }

    #[test]
    fn a_broken_list_names_its_entry() {
        let short = "00:11:22:33:44:55:a,b,127.0.0.1,255.0.0.0,0.0.0.0";
        for broken in ["x", "|", short, &format!("{short},0.0.0.0,0.0.0.0"), "00:11:22:33:44:5\u{e9}:a,b"] {
            assert_eq!(read_list(broken), Err(BadList { entry: 1 }), "{broken}");
        }
        assert_eq!(read_list(&format!("{SEED}|x")), Err(BadList { entry: 3 }));
    }

    #[test]
    fn messages_are_json_with_the_order_by_its_kind() {
        let head = MessageHead { console: ConsoleId(3), number: MessageNumber(9), issued: 1, expires: 2 };
        let target = Target { mac: "00:11:22:33:44:55".parse().expect("MAC"), uid: None };
        let text = |order| serde_json::to_string(&Message { head, order }).expect("JSON");
        assert_eq!(
            text(Order::List { filter: Filter::Configured }),
            r#"{"console":3,"number":9,"issued":1,"expires":2,"order":{"kind":"list","filter":"2"}}"#
        );
        let kick = text(Order::Kick { target: target.clone() });
        assert!(kick.ends_with(r#""order":{"kind":"kick","target":{"mac":"00:11:22:33:44:55"}}}"#), "{kick}");
        let settings = Some(RawSettings { host_name: "a".into(), ..RawSettings::default() });
        let orders = [
            Order::Refresh,
            Order::Config { target: target.clone(), site: SiteId(1), settings },
            Order::Config { target, site: SiteId(1), settings: None },
            Order::Status,
        ];
        for order in orders {
            let message = Message { head, order };
            let json = serde_json::to_string(&message).expect("JSON");
            assert_eq!(serde_json::from_str::<Message>(&json).expect("reads"), message);
            assert_eq!(serde_json::from_str::<MessageHead>(&json).expect("the head alone reads"), head);
        }
    }

    #[test]
    fn filters_are_those_of_the_seed() {
        assert_eq!("0".parse(), Ok(Filter::All));
        assert_eq!("2".parse(), Ok(Filter::Configured));
        assert!("1".parse::<Filter>().is_err_and(|error| error.to_string().contains("0 for all")));
        let statuses = [ConfigStatus::Waiting, ConfigStatus::Success, ConfigStatus::Failed];
        assert_eq!(statuses.map(|status| status.to_string()), ["0", "1", "-1"]);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_reads_is_written_alike(text in "\\PC{0,120}") {
            if let Ok(list) = read_list(&text) {
                let again = list_text(&list);
                prop_assert_eq!(read_list(&again), Ok(list));
            }
        }
    }
}
