//! Which version of an applet a console has: pure.

use super::PlaceChannel;
use crate::waves::position;
use muster_protocol::id::ConsoleId;
use semver::Version;

/// What a channel has of an applet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Channelled {
    pub(crate) version: Version,
    /// What those have that are not among the `percent`.
    pub(crate) former: Option<Version>,
    pub(crate) percent: u8,
}

/// A version that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) version: Version,
    pub(crate) hash: [u8; 32],
    pub(crate) is_withdrawn: bool,
}

/// The version that a console has, if it has one: never one that was withdrawn or lies below the floor.
pub(crate) fn choose<'a>(
    name: &str,
    console: ConsoleId,
    place: PlaceChannel,
    channels: (Option<&Channelled>, Option<&Channelled>),
    floor: Option<&Version>,
    published: &'a [Candidate],
) -> Option<&'a Candidate> {
    let (stable, test) = channels;
    let of = |channel: Option<&Channelled>| {
        let channel = channel?;
        let is_in = part(name, &channel.version, console) < channel.percent;
        let wanted = if is_in { Some(&channel.version) } else { channel.former.as_ref() };
        let may = |one: &&Candidate| !one.is_withdrawn && floor.is_none_or(|floor| one.version >= *floor);
        // What was withdrawn is followed by the version before it.
        published
            .iter()
            .filter(may)
            .filter(|one| wanted.is_some_and(|wanted| one.version <= *wanted))
            .max_by(|a, b| a.version.cmp(&b.version))
    };
    match place {
        PlaceChannel::None => None,
        PlaceChannel::Stable => of(stable),
        PlaceChannel::Test => of(test).into_iter().chain(of(stable)).max_by(|a, b| a.version.cmp(&b.version)),
    }
}

/// Where a console stands when a version goes out by parts, 0 to 99.
fn part(name: &str, version: &Version, console: ConsoleId) -> u8 {
    (position(name, version, &console) % 100) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().expect("a version")
    }

    fn published(versions: &[&str], withdrawn: &[&str]) -> Vec<Candidate> {
        let one =
            |text: &&str| Candidate { version: version(text), hash: [0; 32], is_withdrawn: withdrawn.contains(text) };
        versions.iter().map(one).collect()
    }

    fn channel(text: &str, former: Option<&str>, percent: u8) -> Channelled {
        Channelled { version: version(text), former: former.map(version), percent }
    }

    fn chosen(
        place: PlaceChannel,
        stable: &Channelled,
        test: Option<&Channelled>,
        floor: Option<&str>,
        published: &[Candidate],
    ) -> Option<String> {
        let floor = floor.map(version);
        let found = choose("mail", ConsoleId(1), place, (Some(stable), test), floor.as_ref(), published);
        found.map(|found| found.version.to_string())
    }

    #[test]
    fn a_place_has_its_channel_and_never_what_was_withdrawn_or_lies_below_the_floor() {
        use PlaceChannel::{None as Nothing, Stable, Test};
        let all = published(&["1.0.0", "1.1.0", "2.0.0"], &[]);
        let (stable, test) = (channel("1.1.0", Some("1.0.0"), 100), channel("2.0.0", None, 100));
        assert_eq!(chosen(Stable, &stable, Some(&test), None, &all).as_deref(), Some("1.1.0"));
        assert_eq!(chosen(Test, &stable, Some(&test), None, &all).as_deref(), Some("2.0.0"));
        assert_eq!(chosen(Test, &stable, None, None, &all).as_deref(), Some("1.1.0"));
        assert_eq!(chosen(Nothing, &stable, Some(&test), None, &all), None);
        let behind = channel("1.0.0", None, 100);
        assert_eq!(chosen(Test, &stable, Some(&behind), None, &all).as_deref(), Some("1.1.0"));

        let withdrawn = published(&["1.0.0", "1.1.0", "2.0.0"], &["1.1.0"]);
        assert_eq!(chosen(Stable, &stable, None, None, &withdrawn).as_deref(), Some("1.0.0"));
        assert_eq!(chosen(Stable, &stable, None, Some("1.1.0"), &withdrawn), None);
        assert_eq!(chosen(Stable, &stable, None, Some("1.1.0"), &all).as_deref(), Some("1.1.0"));
    }

    #[test]
    fn a_part_of_the_consoles_is_about_that_part_and_only_grows() {
        let all = published(&["1.0.0", "1.1.0"], &[]);
        let with_new = |percent| -> Vec<u32> {
            let stable = channel("1.1.0", Some("1.0.0"), percent);
            let has_new = |id: &u32| {
                let found = choose("mail", ConsoleId(*id), PlaceChannel::Stable, (Some(&stable), None), None, &all);
                found.expect("everybody has one").version == version("1.1.0")
            };
            (0..1_000).filter(has_new).collect()
        };
        let (tenth, half) = (with_new(10), with_new(50));
        assert!((60..150).contains(&tenth.len()) && (420..580).contains(&half.len()), "{} {}", tenth.len(), half.len());
        assert!(tenth.iter().all(|id| half.contains(id)));
        assert_eq!(with_new(100).len(), 1_000);
        let first = channel("1.1.0", None, 1);
        let nobody = choose("mail", ConsoleId(1), PlaceChannel::Stable, (Some(&first), None), None, &all);
        assert!(nobody.is_none_or(|one| one.version == version("1.1.0")));
    }
}
