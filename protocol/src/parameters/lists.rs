//! Time servers and search domains: short lists, written with a space between their entries (decision 0046).

use super::{Checked, RawSettings, ip, ipv6, is_label};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Most time servers, and most search domains.
pub const MOST_LISTED: usize = 3;
/// The longest list as text, in bytes. With long names beside it less fits into a packet: [`crate::wire::config::excess`].
pub const MAX_LIST: usize = 128;
/// In the settings of one appliance: none, whatever the policy says.
pub const NONE: &str = "none";

/// Where an appliance has the time from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TimeServer {
    /// Of either family.
    Address(IpAddr),
    /// A host name, lower case, with or without its domain.
    Name(String),
}

impl fmt::Display for TimeServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimeServer::Address(address) => address.fmt(f),
            TimeServer::Name(name) => f.write_str(name),
        }
    }
}

impl FromStr for TimeServer {
    type Err = (&'static str, String);
    fn from_str(text: &str) -> Result<TimeServer, Self::Err> {
        if text.contains(':') {
            return ipv6::unicast_of("time server", text).map(TimeServer::Address);
        }
        let is_number = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit());
        let name = text.trim_end_matches('.');
        // No domain at the top is a number (RFC 3696), so this is an address, or a mistyped one.
        if name.rsplit('.').next().is_some_and(is_number) {
            return ip("time server", text).map(|address| TimeServer::Address(address.into()));
        }
        if !is_name(name) {
            let message = format!(
                "`{}` is no time server: use an address like 192.0.2.123 or a name like ntp.example.net",
                text.escape_debug()
            );
            return Err(("bad_time_server", message));
        }
        Ok(TimeServer::Name(name.to_ascii_lowercase()))
    }
}

impl RawSettings {
    /// Whether it is said here that there are no time servers, rather than nothing.
    pub fn has_no_ntp(&self) -> bool {
        is_none(&self.ntp)
    }

    /// The same of search domains.
    pub fn has_no_search_domains(&self) -> bool {
        is_none(&self.search_domains)
    }

    pub(super) fn time_servers(&self) -> Checked<Vec<TimeServer>> {
        list(&self.ntp, ("time servers", "too_many_time_servers", "duplicate_time_server"), str::parse::<TimeServer>)
    }

    pub(super) fn searched(&self) -> Checked<Vec<String>> {
        let names = ("search domains", "too_many_search_domains", "duplicate_search_domain");
        list(&self.search_domains, names, |text| {
            let name = text.trim_end_matches('.');
            if !is_name(name) {
                let message = format!("`{}` is no search domain: use labels like example.net", text.escape_debug());
                return Err(("bad_search_domain", message));
            }
            Ok(name.to_ascii_lowercase())
        })
    }

    /// Puts a word that only [`RawSettings`] has beside what `self` came to.
    pub(super) fn none_of(&self, to: RawSettings) -> RawSettings {
        let word = |says_none: bool, list: String| if says_none { NONE.to_owned() } else { list };
        RawSettings {
            ntp: word(self.has_no_ntp(), to.ntp),
            search_domains: word(self.has_no_search_domains(), to.search_domains),
            ..to
        }
    }
}

/// A list as text.
pub(super) fn text<T: fmt::Display>(list: &[T]) -> String {
    list.iter().map(T::to_string).collect::<Vec<_>>().join(" ")
}

fn is_none(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case(NONE)
}

fn is_name(text: &str) -> bool {
    text.split('.').all(is_label)
}

/// Spaces, commas and semicolons may stand between entries.
fn list<T: PartialEq + fmt::Display>(
    text: &str,
    (what, too_many, duplicate): (&str, &'static str, &'static str),
    read: impl Fn(&str) -> Checked<T>,
) -> Checked<Vec<T>> {
    let mut found = Vec::new();
    if is_none(text) {
        return Ok(found);
    }
    let separators = |c: char| c.is_whitespace() || c == ',' || c == ';';
    for entry in text.split(separators).filter(|entry| !entry.is_empty()) {
        if is_none(entry) {
            let message = format!("`{NONE}` stands alone: write either it or {what}");
            return Err(("none_among_others", message));
        }
        let entry = read(entry)?;
        if found.contains(&entry) {
            return Err((duplicate, format!("{entry} is twice among the {what}: keep one")));
        }
        if found.len() == MOST_LISTED {
            return Err((too_many, format!("{MOST_LISTED} {what} are the most: take the others out")));
        }
        found.push(entry);
    }
    let bytes = self::text(&found).len();
    if bytes > MAX_LIST {
        let message = format!("the {what} have {bytes} characters, and {MAX_LIST} are the most: choose shorter names");
        return Err(("list_too_long", message));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::Field;
    use super::super::tests::{codes, good};
    use super::*;
    use proptest::prelude::*;

    fn with(ntp: &str, search_domains: &str) -> RawSettings {
        RawSettings { ntp: ntp.into(), search_domains: search_domains.into(), ..good() }
    }

    #[test]
    fn lists_are_normalised_and_keep_their_order() {
        for (ntp, search, now) in [
            ("", "", ("", "")),
            (" none ", "NONE", ("", "")),
            ("192.0.2.123", "example.org", ("192.0.2.123", "example.org")),
            (
                "NTP.Example.NET., 2001:DB8::7B;192.0.2.123",
                "lab.Example.net.  corp",
                ("ntp.example.net 2001:db8::7b 192.0.2.123", "lab.example.net corp"),
            ),
            ("a-1.example", "1.168.192", ("a-1.example", "1.168.192")),
        ] {
            let settings = with(ntp, search).validate().expect("good");
            let raw = settings.to_raw();
            assert_eq!((raw.ntp.as_str(), raw.search_domains.as_str()), now);
            assert_eq!(raw.validate().expect("again"), settings);
        }
        assert_eq!(with("none", " none").tidied(), with("none", "none").tidied(), "that there are none is kept");
        assert_eq!((with("none", "").tidied().ntp.as_str(), with("", "").tidied().ntp.as_str()), (NONE, ""));
    }

    #[test]
    fn the_own_domain_is_searched_first_and_once() {
        let searched = |list: &str| {
            let settings = with("", list).validate().expect("good");
            settings.search().into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(searched(""), ["example.net"]);
        assert_eq!(searched("lab.example.net example.net"), ["example.net", "lab.example.net"]);
    }

    #[test]
    fn every_fault_of_a_list_is_named_at_its_field() {
        let long = format!("{}.example", "n".repeat(60));
        let (longest, too_long) = (format!("{long} {}", "m".repeat(59)), format!("{long} {}", "m".repeat(60)));
        assert!(with(&longest, &longest).validate().is_ok());
        for (text, code) in [
            ("a b c d", "too_many_time_servers"),
            ("a B b.", "duplicate_time_server"),
            ("2001:db8::1 2001:0db8::1", "duplicate_time_server"),
            ("192.0.2", "bad_address"),
            ("192.0.2.256", "bad_address"),
            ("0.0.0.0", "unusable_address"),
            ("fe80::1", "unusable_address"),
            ("::ffff:192.0.2.1", "unusable_address"),
            ("2001:db8::g", "bad_address"),
            ("ntp_1.example", "bad_time_server"),
            ("-a", "bad_time_server"),
            (".", "bad_time_server"),
            ("a..b", "bad_time_server"),
            ("$(reboot)", "bad_time_server"),
            ("ntp.example\u{1b}[2J", "bad_time_server"),
            ("a None", "none_among_others"),
            (too_long.as_str(), "list_too_long"),
        ] {
            assert_eq!(codes(&with(text, "")), [(Field::Ntp, code.to_owned())], "{text}");
        }
        for (text, code) in [
            ("a b c d", "too_many_search_domains"),
            ("a A", "duplicate_search_domain"),
            ("~example.net", "bad_search_domain"),
            (".", "bad_search_domain"),
            ("a..b", "bad_search_domain"),
            (too_long.as_str(), "list_too_long"),
        ] {
            assert_eq!(codes(&with("", text)), [(Field::SearchDomains, code.to_owned())], "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_much_for_it(ntp in "[0-9a-zA-Z:., ;-]{0,60}", search in "\\PC{0,40}") {
            if let Ok(settings) = with(&ntp, &search).validate() {
                let raw = settings.to_raw();
                prop_assert!(settings.ntp().len() <= MOST_LISTED && raw.ntp.len() <= MAX_LIST);
                prop_assert_eq!(raw.validate().expect("again"), settings);
            }
        }
    }
}
