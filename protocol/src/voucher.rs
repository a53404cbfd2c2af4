//! A vendor's word that one appliance may be taken over by one NOC (`design.md` §3, the idea of RFC 8366).
//!
//! It travels inside the first config packet and is read by an appliance whose image names a vendor key. Once a NOC root is
//! pinned nobody looks at it any more.

use crate::crypto::keys::{PublicKey, SecretKey};
use crate::crypto::sign::{self, Purpose};
use crate::id::Uid;
use crate::time::UnixTime;
use crate::wire::{from_cbor, to_cbor};
use minicbor::{Decode, Encode};

/// The vendor's statement "this NOC may configure this appliance while nobody owns it".
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Voucher {
    /// The appliance.
    #[n(0)]
    pub uid: Uid,
    /// The NOC root whose first grant it may accept.
    #[n(1)]
    pub root: PublicKey,
    /// The vendor key that signs.
    #[n(2)]
    pub vendor: PublicKey,
    /// When it was signed.
    #[n(3)]
    pub issued: UnixTime,
    /// After this it is refused by whoever knows the time.
    #[n(4)]
    pub expires: Option<UnixTime>,
}

/// A voucher as it travels has at most this many bytes.
pub const MAX_VOUCHER: usize = 192;

/// Why bytes are no voucher at all, whoever they are for. Whoever made them is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VoucherError {
    /// Not a COSE_Sign1 over a voucher, or not in its one form.
    #[error("it is damaged, or no voucher")]
    Malformed,
    /// Not signed by the vendor key that it names.
    #[error("it is not signed by the vendor key that it names")]
    Signature,
}

/// Why an appliance does not accept a NOC on the strength of a voucher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoucherFault {
    /// There is none.
    Missing,
    /// Damaged, or signed by nobody in particular.
    Malformed,
    /// By another vendor than the image names.
    Vendor,
    /// For another appliance.
    Appliance,
    /// For another NOC than the one that signed the grant.
    Root,
    /// It has ended by the time that the appliance knows.
    Expired,
}

impl VoucherFault {
    /// For a person, in the detail of FAILED: short, so that no refusal gets longer than the packet that it answers.
    pub fn text(self) -> &'static str {
        match self {
            VoucherFault::Missing => "no voucher came",
            VoucherFault::Malformed => "the voucher is damaged",
            VoucherFault::Vendor => "by another vendor",
            VoucherFault::Appliance => "for another appliance",
            VoucherFault::Root => "for another NOC",
            VoucherFault::Expired => "the voucher has ended",
        }
    }
}

impl Voucher {
    /// COSE_Sign1 by the vendor. `key` must be the key that the voucher names.
    pub fn sign(&self, key: &SecretKey) -> Vec<u8> {
        sign::sign(key, Purpose::Voucher, to_cbor(self))
    }

    /// The voucher, once it was found to be signed by the vendor key that it names. Who that is, is the reader's to judge.
    pub fn read(bytes: &[u8]) -> Result<Voucher, VoucherError> {
        if bytes.len() > MAX_VOUCHER {
            return Err(VoucherError::Malformed);
        }
        let unverified = sign::Unverified::parse(bytes).map_err(|_| VoucherError::Malformed)?;
        let voucher: Voucher = from_cbor(unverified.untrusted_payload()).map_err(|_| VoucherError::Malformed)?;
        unverified.verify(&voucher.vendor, Purpose::Voucher).map_err(|_| VoucherError::Signature)?;
        Ok(voucher)
    }
}

/// What an appliance checks before the first grant of `root`. `vendor`: the key that its image names; `time`: what it knows.
pub fn check(
    bytes: Option<&[u8]>,
    vendor: &PublicKey,
    uid: &Uid,
    root: &PublicKey,
    time: Option<UnixTime>,
) -> Result<(), VoucherFault> {
    let voucher = Voucher::read(bytes.ok_or(VoucherFault::Missing)?).map_err(|_| VoucherFault::Malformed)?;
    if voucher.vendor != *vendor {
        return Err(VoucherFault::Vendor);
    }
    if voucher.uid != *uid {
        return Err(VoucherFault::Appliance);
    }
    if voucher.root != *root {
        return Err(VoucherFault::Root);
    }
    if time.zip(voucher.expires).is_some_and(|(time, expires)| expires < time) {
        return Err(VoucherFault::Expired);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vendor() -> SecretKey {
        SecretKey::from_seed(&[1; 32])
    }

    fn voucher() -> Voucher {
        Voucher {
            uid: Uid([7; 20]),
            root: SecretKey::from_seed(&[2; 32]).public(),
            vendor: vendor().public(),
            issued: UnixTime(100),
            expires: Some(UnixTime(200)),
        }
    }

    fn checked(bytes: Option<&[u8]>, time: Option<u64>) -> Result<(), VoucherFault> {
        check(bytes, &vendor().public(), &voucher().uid, &voucher().root, time.map(UnixTime))
    }

    #[test]
    fn a_voucher_is_good_for_one_appliance_one_root_and_one_vendor_until_it_ends() {
        let good = voucher().sign(&vendor());
        assert_eq!(Voucher::read(&good), Ok(voucher()));
        assert_eq!(checked(Some(&good), None), Ok(()), "who knows no time judges no end");
        assert_eq!(checked(Some(&good), Some(200)), Ok(()));
        assert_eq!(checked(Some(&good), Some(201)), Err(VoucherFault::Expired));
        let endless = Voucher { expires: None, ..voucher() }.sign(&vendor());
        assert_eq!(checked(Some(&endless), Some(u64::MAX)), Ok(()));
        assert_eq!(checked(None, None), Err(VoucherFault::Missing));

        let stranger = SecretKey::from_seed(&[3; 32]);
        let by_stranger = Voucher { vendor: stranger.public(), ..voucher() };
        assert_eq!(checked(Some(&by_stranger.sign(&stranger)), None), Err(VoucherFault::Vendor));
        let other = Voucher { uid: Uid([8; 20]), ..voucher() };
        assert_eq!(checked(Some(&other.sign(&vendor())), None), Err(VoucherFault::Appliance));
        let other = Voucher { root: stranger.public(), ..voucher() };
        assert_eq!(checked(Some(&other.sign(&vendor())), None), Err(VoucherFault::Root));
    }

    #[test]
    fn what_somebody_else_signed_or_for_something_else_is_no_voucher() {
        let stranger = SecretKey::from_seed(&[3; 32]);
        // He names the vendor's key, and cannot sign with it.
        let forged = voucher().sign(&stranger);
        assert_eq!(Voucher::read(&forged), Err(VoucherError::Signature));
        assert_eq!(checked(Some(&forged), None), Err(VoucherFault::Malformed));
        let purpose = sign::sign(&vendor(), Purpose::Credential, to_cbor(&voucher()));
        assert_eq!(Voucher::read(&purpose), Err(VoucherError::Signature));
        let good = voucher().sign(&vendor());
        for i in 0..good.len() {
            let mut spoiled = good.clone();
            spoiled[i] ^= 1;
            assert!(Voucher::read(&spoiled).is_err(), "byte {i} is not covered");
        }
        assert_eq!(Voucher::read(&[good, vec![0]].concat()), Err(VoucherError::Malformed));
        assert_eq!(Voucher::read(b""), Err(VoucherError::Malformed));
    }

    #[test]
    fn the_longest_voucher_fits() {
        let longest = Voucher { issued: UnixTime(u64::MAX), expires: Some(UnixTime(u64::MAX)), ..voucher() };
        let bytes = longest.sign(&vendor());
        assert!(bytes.len() <= MAX_VOUCHER, "{} bytes", bytes.len());
        assert_eq!(Voucher::read(&bytes), Ok(longest));
    }
}
