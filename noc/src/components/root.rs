//! Roots of the repository: which keys count for what. They are made and signed where their keys are, never by a NOC that serves.

use super::ComponentError;
use super::keys::{OnlinePublic, TufKey, key_id, public_key};
use super::vendor::{FACTS, check_vendor};
use crate::clock;
use muster_protocol::component::{ComponentVendor, RootFacts};
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use tough::schema::decoded::{Decoded, Hex};
use tough::schema::key::Key;
use tough::schema::{Role, RoleKeys, RoleType, Root, Signed};

/// The version of The Update Framework's specification.
pub(crate) const SPECIFICATION: &str = "1.0.0";
/// Fewest signatures that make a root count: one stolen key is never enough.
const LEAST_SIGNATURES: u64 = 2;
/// Most keys of a root.
const MOST_KEYS: usize = 16;
/// Largest file that is read as a root, bytes.
const LARGEST: u64 = 256 << 10;

/// A root, as it is in its file.
#[derive(Clone, Debug)]
pub struct RootFile {
    pub(crate) text: Vec<u8>,
    pub(crate) signed: Signed<Root>,
}

/// What a root is made of.
pub struct NewRoot<'a> {
    /// The one that it follows; none for the first.
    pub after: Option<&'a RootFile>,
    /// Public halves of the keys that sign roots from it on, hexadecimal.
    pub keys: Vec<String>,
    /// How many of them have to.
    pub threshold: u64,
    /// The NOC's own keys.
    pub online: &'a OnlinePublic,
    /// Until when it is good, Unix seconds.
    pub expires: u64,
    /// Vendors that it names: no key but the root's takes their components from them. None: those of the root that it follows.
    pub vendors: Option<Vec<ComponentVendor>>,
}

impl NewRoot<'_> {
    /// The root, without signatures.
    ///
    /// # Errors
    /// What it cannot be made of.
    pub fn make(&self) -> Result<RootFile, ComponentError> {
        if self.threshold < LEAST_SIGNATURES || self.keys.len() > MOST_KEYS {
            let why = format!("must be at least {LEAST_SIGNATURES}, of at most {MOST_KEYS} keys");
            return Err(ComponentError::invalid("threshold", why));
        }
        let (mut keys, mut roles) = (HashMap::new(), HashMap::new());
        let mut add = |role: RoleType, publics: &[&str], threshold: u64| {
            let mut keyids: Vec<Decoded<Hex>> = Vec::new();
            for public in publics {
                let key = public_key(public)?;
                let id = key_id(&key)?;
                keys.insert(id.clone(), key);
                if !keyids.contains(&id) {
                    keyids.push(id);
                }
            }
            if keyids.len() as u64 != publics.len() as u64 || threshold > keyids.len() as u64 {
                let why = format!("{threshold} signatures need as many different keys, not {}", keyids.len());
                return Err(ComponentError::root(why));
            }
            let threshold = NonZeroU64::new(threshold).unwrap_or(NonZeroU64::MIN);
            roles.insert(role, RoleKeys { keyids, threshold, _extra: HashMap::new() });
            Ok(())
        };
        let own: Vec<&str> = self.keys.iter().map(String::as_str).collect();
        add(RoleType::Root, &own, self.threshold)?;
        add(RoleType::Targets, &[&self.online.targets], 1)?;
        add(RoleType::Snapshot, &[&self.online.snapshot], 1)?;
        add(RoleType::Timestamp, &[&self.online.timestamp], 1)?;
        let vendors = match &self.vendors {
            Some(vendors) => vendors.iter().cloned().map(check_vendor).collect::<Result<Vec<_>, _>>()?,
            None => self.after.map(RootFile::vendors).transpose()?.unwrap_or_default(),
        };
        check_vendors(&vendors)?;
        let mut extra = HashMap::new();
        if !vendors.is_empty() {
            let facts = serde_json::to_value(RootFacts { vendors }).map_err(|error| metadata(&error))?;
            extra.insert(FACTS.to_owned(), facts);
        }
        let version = self.after.map_or(0, |after| after.version()) + 1;
        let root = Root {
            spec_version: SPECIFICATION.to_owned(),
            consistent_snapshot: true,
            version: NonZeroU64::new(version).unwrap_or(NonZeroU64::MIN),
            expires: timestamp(self.expires)?,
            keys,
            roles,
            _extra: extra,
        };
        RootFile::of(Signed { signed: root, signatures: Vec::new() })
    }
}

impl RootFile {
    fn of(signed: Signed<Root>) -> Result<RootFile, ComponentError> {
        let text = serde_json::to_vec_pretty(&signed).map_err(|error| metadata(&error))?;
        Ok(RootFile { text, signed })
    }

    /// Reads one from a file.
    ///
    /// # Errors
    /// Names the file.
    pub fn read(path: &Path) -> Result<RootFile, ComponentError> {
        let unread = |source| ComponentError::Read { path: path.to_owned(), source };
        if fs::metadata(path).map_err(unread)?.len() > LARGEST {
            let why = "it is too large".to_owned();
            return Err(ComponentError::NotRoot { path: path.to_owned(), why });
        }
        let text = fs::read(path).map_err(unread)?;
        RootFile::parse(text).map_err(|why| ComponentError::NotRoot { path: path.to_owned(), why })
    }

    pub(crate) fn parse(text: Vec<u8>) -> Result<RootFile, String> {
        let signed = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        Ok(RootFile { text, signed })
    }

    /// Writes it, also over what was there.
    ///
    /// # Errors
    /// Names the file.
    pub fn write(&self, path: &Path) -> Result<(), ComponentError> {
        fs::write(path, &self.text).map_err(|source| ComponentError::Write { path: path.to_owned(), source })
    }

    /// Its number: 1, 2, 3.
    pub fn version(&self) -> u64 {
        self.signed.signed.version.get()
    }

    /// Until when it is good, Unix seconds.
    pub fn expires(&self) -> u64 {
        u64::try_from(self.signed.signed.expires.as_second()).unwrap_or(0)
    }

    /// Keys that sign roots from it on, hexadecimal, and how many have to.
    pub fn keys(&self) -> (Vec<String>, u64) {
        let threshold = self.signed.signed.roles.get(&RoleType::Root).map_or(0, |role| role.threshold.get());
        (self.role_keys(RoleType::Root), threshold)
    }

    /// Signatures on it.
    pub fn signatures(&self) -> usize {
        self.signed.signatures.len()
    }

    fn role_keys(&self, role: RoleType) -> Vec<String> {
        let public = |key: &Key| match key {
            Key::Ed25519 { keyval, .. } => Some(data_encoding::HEXLOWER.encode(&keyval.public)),
            _ => None,
        };
        self.signed.signed.keys(role).filter_map(public).collect()
    }

    /// Vendors that it names.
    ///
    /// # Errors
    /// What it says of them does not read.
    pub fn vendors(&self) -> Result<Vec<ComponentVendor>, ComponentError> {
        let Some(facts) = self.signed.signed._extra.get(FACTS) else { return Ok(Vec::new()) };
        let facts: RootFacts = serde_json::from_value(facts.clone())
            .map_err(|error| ComponentError::root(format!("what it says of vendors does not read: {error}")))?;
        Ok(facts.vendors)
    }

    /// The NOC's own keys that it names.
    ///
    /// # Errors
    /// It names none, or several for one role.
    pub fn online(&self) -> Result<OnlinePublic, ComponentError> {
        let one = |role: RoleType| match <[String; 1]>::try_from(self.role_keys(role)) {
            Ok([key]) => Ok(key),
            Err(_) => Err(ComponentError::root(format!("it must name one Ed25519 key for {role}"))),
        };
        let (targets, snapshot) = (one(RoleType::Targets)?, one(RoleType::Snapshot)?);
        Ok(OnlinePublic { targets, snapshot, timestamp: one(RoleType::Timestamp)? })
    }

    /// Adds a signature. `after`: the root that it follows, whose keys count, too.
    ///
    /// # Errors
    /// The key counts in neither.
    pub fn sign(&mut self, key: &TufKey, path: PathBuf, after: Option<&RootFile>) -> Result<(), ComponentError> {
        let knows = |root: &RootFile| root.keys().0.contains(&key.public());
        if !knows(self) && !after.is_some_and(knows) {
            return Err(ComponentError::ForeignKey { path });
        }
        let data = self.signed.signed.canonical_form().map_err(|error| metadata(&error))?;
        let signature = key.sign(&data)?;
        self.signed.signatures.retain(|known| known.keyid != signature.keyid);
        self.signed.signatures.push(signature);
        *self = RootFile::of(self.signed.clone())?;
        Ok(())
    }

    /// Whether it may be the first root of a repository, or follow one.
    pub(crate) fn check(&self, after: Option<&RootFile>, now: u64) -> Result<(), ComponentError> {
        let root = &self.signed.signed;
        let refused = |why: String| Err(ComponentError::root(why));
        if root.spec_version != SPECIFICATION || !root.consistent_snapshot {
            return refused(format!("it must be of specification {SPECIFICATION}, with consistent snapshots"));
        }
        let expected = after.map_or(0, RootFile::version) + 1;
        if self.version() != expected {
            return refused(format!("its version is {}, and {expected} is the next", self.version()));
        }
        let (keys, threshold) = self.keys();
        if threshold < LEAST_SIGNATURES || (keys.len() as u64) < threshold {
            return refused(format!(
                "it must need at least {LEAST_SIGNATURES} signatures, and name as many Ed25519 keys"
            ));
        }
        if self.expires() <= now {
            return refused("it has expired".to_owned());
        }
        self.online()?;
        let vendors = self.vendors()?.into_iter().map(check_vendor).collect::<Result<Vec<_>, _>>()?;
        check_vendors(&vendors)?;
        if let Err(error) = root.verify_role(&self.signed) {
            return refused(format!("it lacks signatures of its own keys: {error}"));
        }
        if let Some(Err(error)) = after.map(|after| after.signed.signed.verify_role(&self.signed)) {
            return refused(format!("it lacks signatures of the keys of root {}: {error}", expected - 1));
        }
        Ok(())
    }
}

/// Vendors of one root: no component belongs to two.
fn check_vendors(vendors: &[ComponentVendor]) -> Result<(), ComponentError> {
    let mut names: Vec<&String> = vendors.iter().flat_map(|vendor| &vendor.components).collect();
    let mut handles: Vec<&String> = vendors.iter().map(|vendor| &vendor.vendor).collect();
    for list in [&mut names, &mut handles] {
        list.sort();
        if let Some(twice) = list.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ComponentError::root(format!("it names {} for two vendors, or twice", twice[0])));
        }
    }
    Ok(())
}

/// A time as metadata have it.
pub(crate) fn timestamp<T: DeserializeOwned>(seconds: u64) -> Result<T, ComponentError> {
    let text = serde_json::Value::String(clock::rfc3339(seconds));
    serde_json::from_value(text).map_err(|_| ComponentError::invalid("expires", "is a time that will never be"))
}

pub(crate) fn metadata(error: &dyn std::error::Error) -> ComponentError {
    ComponentError::Metadata { why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: usize) -> Vec<TufKey> {
        (0..count).map(|_| TufKey::generate().expect("a key")).collect()
    }

    fn online() -> OnlinePublic {
        let [targets, snapshot, timestamp] = [0; 3].map(|_| TufKey::generate().expect("a key").public());
        OnlinePublic { targets, snapshot, timestamp }
    }

    fn root(after: Option<&RootFile>, keys: &[TufKey], online: &OnlinePublic, threshold: u64) -> RootFile {
        let keys = keys.iter().map(TufKey::public).collect();
        NewRoot { after, keys, threshold, online, expires: 1_000, vendors: None }.make().expect("a root")
    }

    fn sign(root: &mut RootFile, keys: &[TufKey], after: Option<&RootFile>) {
        for key in keys {
            root.sign(key, PathBuf::new(), after).expect("signed");
        }
    }

    fn refusal(root: &RootFile, after: Option<&RootFile>) -> String {
        root.check(after, 1).expect_err("refused").to_string()
    }

    #[test]
    fn a_root_counts_from_its_threshold_on_and_its_successor_needs_both() {
        let (first, online) = (keys(3), online());
        let mut one = root(None, &first, &online, 2);
        assert!(refusal(&one, None).contains("lacks signatures of its own keys"));
        sign(&mut one, &first[..1], None);
        // The same key twice is one signature.
        sign(&mut one, &first[..1], None);
        assert_eq!(one.signatures(), 1);
        assert!(one.check(None, 1).is_err());
        sign(&mut one, &first[2..], None);
        one.check(None, 1).expect("two of three");
        assert!(one.check(None, 1_000).is_err(), "expired");
        assert_eq!(one.online().expect("named"), online);
        let read = RootFile::parse(one.text.clone()).expect("reads");
        read.check(None, 1).expect("as it was written");

        let second = keys(2);
        let mut two = root(Some(&one), &second, &online, 2);
        assert_eq!(two.version(), 2);
        sign(&mut two, &second, Some(&one));
        assert!(refusal(&two, Some(&one)).contains("keys of root 1"));
        sign(&mut two, &first[1..2], Some(&one));
        assert!(refusal(&two, Some(&one)).contains("keys of root 1"));
        sign(&mut two, &first[..1], Some(&one));
        two.check(Some(&one), 1).expect("both");
        assert!(refusal(&two, None).contains("version is 2"));
        assert!(refusal(&one, Some(&one)).contains("version is 1"));

        let foreign = TufKey::generate().expect("a key");
        assert!(matches!(two.sign(&foreign, PathBuf::new(), Some(&one)), Err(ComponentError::ForeignKey { .. })));
        let altered =
            String::from_utf8(one.text.clone()).expect("text").replace("1970-01-01T00:16:40", "1971-01-01T00:16:40");
        assert!(altered.contains("1971"));
        assert!(RootFile::parse(altered.into_bytes()).expect("reads").check(None, 1).is_err());
    }

    #[test]
    fn one_key_is_never_enough() {
        let (one, online) = (keys(1), online());
        let publics = |keys: &[TufKey]| keys.iter().map(TufKey::public).collect::<Vec<_>>();
        let new = |keys: Vec<String>, threshold| {
            NewRoot { after: None, keys, threshold, online: &online, expires: 1_000, vendors: None }.make().map(|_| ())
        };
        let three = keys(3);
        assert!(matches!(new(publics(&three), 1), Err(ComponentError::Invalid { field: "threshold", .. })));
        assert!(new(publics(&one), 2).is_err());
        let twice = [publics(&one), publics(&one)].concat();
        assert!(new(twice, 2).is_err(), "the same key twice");
        assert!(new(publics(&three), 4).is_err());
        assert!(new(vec!["x".to_owned(), "y".to_owned()], 2).is_err());
        new(publics(&three), 3).expect("all of them");
    }
}
