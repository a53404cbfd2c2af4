//! A bundle as its author signs it, and as it travels: COSE_Sign1 over the author's key and the packed files.

use crate::bundle::Bundle;
use crate::{Fault, Faults};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use muster_protocol::crypto::keys::{PublicKey, SecretKey};
use muster_protocol::crypto::sign::{self, Purpose, Unverified};
use muster_protocol::wire::{from_cbor, to_cbor};

/// What is signed.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Body {
    #[n(0)]
    author: PublicKey,
    #[n(1)]
    bundle: ByteVec,
}

/// Signs a bundle.
pub fn sign(bundle: &Bundle, author: &SecretKey) -> Vec<u8> {
    let body = Body { author: author.public(), bundle: bundle.to_bytes().into() };
    sign::sign(author, Purpose::Applet, to_cbor(&body))
}

/// Verifies a signed bundle: who its author is, and what it holds. Whether that author is trusted is the caller's business.
pub fn open(signed: &[u8]) -> Result<(PublicKey, Bundle), Faults> {
    let wrong = |message: &str| Faults(vec![Fault::new("the bundle", message)]);
    let unsigned = || wrong("it is not signed, or was changed since: sign it with `muster applet sign`");
    // The key is inside: nothing else of it is used before the signature is checked.
    let unverified = Unverified::parse(signed).map_err(|_| unsigned())?;
    let author = from_cbor::<Body>(unverified.untrusted_payload()).map_err(|_| unsigned())?.author;
    let payload = unverified.verify(&author, Purpose::Applet).map_err(|_| unsigned())?;
    let body: Body = from_cbor(&payload).map_err(|_| unsigned())?;
    Ok((author, Bundle::from_bytes(&body.bundle)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::tests::mail;

    #[test]
    fn a_changed_byte_a_missing_one_and_one_too_many_are_refused() {
        let author = SecretKey::from_seed(&[1; 32]);
        let bundle = Bundle::new(mail()).expect("in order");
        let signed = sign(&bundle, &author);
        let (by, opened) = open(&signed).expect("opens");
        assert_eq!((by, opened.to_bytes()), (author.public(), bundle.to_bytes()));
        for at in 0..signed.len() {
            let mut changed = signed.clone();
            changed[at] ^= 1;
            assert!(open(&changed).is_err(), "byte {at}");
        }
        assert!(open(&signed[..signed.len() - 1]).is_err());
        assert!(open(&[signed.as_slice(), &[0]].concat()).is_err());
        assert!(open(&bundle.to_bytes()).expect_err("unsigned").to_string().contains("`muster applet sign`"));
    }

    #[test]
    fn a_signature_for_something_else_or_by_another_key_is_none() {
        let (author, other) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
        let bundle = Bundle::new(mail()).expect("in order").to_bytes();
        let body = |key: &SecretKey| to_cbor(&Body { author: key.public(), bundle: bundle.clone().into() });
        assert!(open(&sign::sign(&author, Purpose::Applet, body(&author))).is_ok());
        assert!(open(&sign::sign(&author, Purpose::Voucher, body(&author))).is_err());
        assert!(open(&sign::sign(&other, Purpose::Applet, body(&author))).is_err());
    }
}
