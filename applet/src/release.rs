//! The NOC's word which applets a console has at a site (seed, FIGURE 8, blocks 111 and 112).
//!
//! One statement names all of them, so nothing can be left out or mixed with what was true at another time; its number only
//! grows, so an old one is not taken for the present one; and it ends.

use minicbor::{Decode, Encode};
use muster_protocol::crypto::keys::{PublicKey, SecretKey};
use muster_protocol::crypto::sign::{Purpose, sign, verify};
use muster_protocol::id::{ConsoleId, SiteId};
use muster_protocol::time::UnixTime;
use muster_protocol::wire::{from_cbor, to_cbor};
use sha2::{Digest, Sha256};

/// How long a statement is good without the NOC being asked again, seconds: a site without a link goes on so long.
pub const LIFETIME_S: u64 = 30 * 24 * 3_600;
/// Most applets of a site.
pub const MOST_APPLETS: usize = 64;

/// What a console has at a site.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Releases {
    /// The only console that this is for.
    #[n(0)]
    pub console: ConsoleId,
    /// The only site.
    #[n(1)]
    pub site: SiteId,
    /// Grows with every change at the NOC: a console that has seen a higher one refuses it.
    #[n(2)]
    pub number: u64,
    /// When it was signed.
    #[n(3)]
    pub issued: UnixTime,
    /// After this it is not good any more.
    #[n(4)]
    pub expires: UnixTime,
    /// The applets, by name, ascending.
    #[n(5)]
    pub applets: Vec<Released>,
}

/// One applet of [`Releases`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Released {
    /// Its name.
    #[n(0)]
    pub name: String,
    /// Its version.
    #[n(1)]
    pub version: String,
    /// [`hash`] of the signed bundle.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub hash: [u8; 32],
    /// The lowest version that may still be used, wherever a console has another.
    #[n(3)]
    pub floor: String,
}

/// Why a statement is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// It is not signed by the NOC root, or does not read.
    #[error("the list of applets is not signed by the NOC's root, so it was refused: ask the NOC's operator")]
    Signature,
    /// It is for another console or site.
    #[error("the list of applets is for another console or another site, so it was refused: ask the NOC's operator")]
    OfAnother,
    /// A later one was seen.
    #[error("the list of applets is older than one that this console had, so it was refused: ask the NOC's operator")]
    Older,
    /// Its time is over.
    #[error("the list of applets has ended: connect this console to the NOC, and set its clock if that is wrong")]
    Ended,
}

impl Releases {
    /// Signs it.
    pub fn sign(&self, root: &SecretKey) -> Vec<u8> {
        sign(root, Purpose::AppletRelease, to_cbor(self))
    }

    /// Verifies what came from a NOC, or was kept. `seen` is the highest number that was ever taken for the site.
    pub fn open(
        signed: &[u8],
        root: &PublicKey,
        console: ConsoleId,
        site: SiteId,
        seen: u64,
        now: UnixTime,
    ) -> Result<Releases, ReleaseError> {
        let payload = verify(root, Purpose::AppletRelease, signed).map_err(|_| ReleaseError::Signature)?;
        let releases: Releases = from_cbor(&payload).map_err(|_| ReleaseError::Signature)?;
        if releases.console != console || releases.site != site {
            return Err(ReleaseError::OfAnother);
        }
        if releases.number < seen {
            return Err(ReleaseError::Older);
        }
        if now > releases.expires {
            return Err(ReleaseError::Ended);
        }
        Ok(releases)
    }
}

/// Whether a version is lower than a floor. What is no version is lower than any.
pub fn is_below(version: &str, floor: &str) -> bool {
    match (semver::Version::parse(version), semver::Version::parse(floor)) {
        (Ok(version), Ok(floor)) => version < floor,
        (Err(_), _) => true,
        (Ok(_), Err(_)) => false,
    }
}

/// SHA-256 of a signed bundle.
pub fn hash(signed: &[u8]) -> [u8; 32] {
    Sha256::digest(signed).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_good_for_one_console_at_one_site_for_its_time_and_never_goes_back() {
        let (root, stranger) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
        let applet =
            Released { name: "mail".into(), version: "1.0.0".into(), hash: hash(b"bundle"), floor: "1.0.0".into() };
        let releases = Releases {
            console: ConsoleId(7),
            site: SiteId(3),
            number: 5,
            issued: UnixTime(1_000),
            expires: UnixTime(2_000),
            applets: vec![applet],
        };
        let signed = releases.sign(&root);
        let open = |signed: &[u8], console, site, seen, now| {
            Releases::open(signed, &root.public(), ConsoleId(console), SiteId(site), seen, UnixTime(now))
        };
        assert_eq!(open(&signed, 7, 3, 5, 2_000), Ok(releases.clone()));
        assert_eq!(open(&signed, 8, 3, 5, 1_500), Err(ReleaseError::OfAnother));
        assert_eq!(open(&signed, 7, 4, 5, 1_500), Err(ReleaseError::OfAnother));
        assert_eq!(open(&signed, 7, 3, 6, 1_500), Err(ReleaseError::Older));
        assert_eq!(open(&signed, 7, 3, 0, 2_001), Err(ReleaseError::Ended));
        assert_eq!(open(&releases.sign(&stranger), 7, 3, 0, 1_500), Err(ReleaseError::Signature));
        for at in 0..signed.len() {
            let mut changed = signed.clone();
            changed[at] ^= 1;
            assert_eq!(open(&changed, 7, 3, 0, 1_500), Err(ReleaseError::Signature), "byte {at}");
        }
        assert_eq!(open(&signed[..signed.len() - 1], 7, 3, 0, 1_500), Err(ReleaseError::Signature));
    }
}
