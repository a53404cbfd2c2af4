//! The key schedule of RFC 9180 for the one suite of the protocol, step by step.

use super::hex;
use hkdf::Hkdf;
use serde_json::{Value, json};
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};

const KEM: &[u8] = b"KEM\x00\x20";
const SUITE: &[u8] = b"HPKE\x00\x20\x00\x01\x00\x03";

/// Everything that goes into one sealed message.
pub(crate) struct Inputs<'a> {
    /// Secret half of the key it is sealed to.
    pub(crate) recipient: [u8; 32],
    /// The 32 random bytes from which the ephemeral key is derived.
    pub(crate) ikm_e: [u8; 32],
    pub(crate) info: &'a str,
    /// Claim key and its id, in PSK mode.
    pub(crate) psk: Option<([u8; 32], &'a str)>,
    pub(crate) aad: &'a [u8],
    pub(crate) plaintext: &'a [u8],
    pub(crate) exporter_context: Option<&'a str>,
    /// What the library made of it.
    pub(crate) enc: &'a [u8],
    pub(crate) ciphertext: &'a [u8],
}

/// The steps, and the exported key if one is exported.
pub(crate) fn steps(of: &Inputs<'_>) -> (Value, [u8; 32]) {
    let sk_e = expand::<32>(KEM, &extract(KEM, b"", "dkp_prk", &of.ikm_e), "sk", b"");
    let secret = StaticSecret::from(sk_e);
    let enc = PublicKey::from(&secret).to_bytes();
    assert_eq!(enc, of.enc, "the ephemeral key is the one that the library used");
    let recipient = PublicKey::from(&StaticSecret::from(of.recipient));
    let dh = secret.diffie_hellman(&recipient).to_bytes();
    let kem_context = [enc, recipient.to_bytes()].concat();
    let shared = expand::<32>(KEM, &extract(KEM, b"", "eae_prk", &dh), "shared_secret", &kem_context);
    let mode = u8::from(of.psk.is_some());
    let (psk, psk_id) = of.psk.as_ref().map_or((&[][..], ""), |(psk, id)| (&psk[..], *id));
    let psk_id_hash = extract(SUITE, b"", "psk_id_hash", psk_id.as_bytes());
    let info_hash = extract(SUITE, b"", "info_hash", of.info.as_bytes());
    let context = [&[mode][..], &psk_id_hash, &info_hash].concat();
    let secret = extract(SUITE, &shared, "secret", psk);
    let key = expand::<32>(SUITE, &secret, "key", &context);
    let nonce = expand::<12>(SUITE, &secret, "base_nonce", &context);
    let exporter = expand::<32>(SUITE, &secret, "exp", &context);
    let exported = expand::<32>(SUITE, &exporter, "sec", of.exporter_context.unwrap_or_default().as_bytes());
    let mut steps = json!({
        "mode": mode,
        "kem_id": 0x0020, "kdf_id": 0x0001, "aead_id": 0x0003,
        "recipient_secret": hex(&of.recipient),
        "recipient_public": hex(recipient.as_bytes()),
        "ikm_e": hex(&of.ikm_e),
        "sk_e": hex(&sk_e),
        "enc": hex(&enc),
        "dh": hex(&dh),
        "kem_context": hex(&kem_context),
        "shared_secret": hex(&shared),
        "info_text": of.info,
        "psk": hex(psk),
        "psk_id_text": psk_id,
        "psk_id_hash": hex(&psk_id_hash),
        "info_hash": hex(&info_hash),
        "key_schedule_context": hex(&context),
        "secret": hex(&secret),
        "key": hex(&key),
        "base_nonce": hex(&nonce),
        "exporter_secret": hex(&exporter),
        "aad": hex(of.aad),
        "plaintext": hex(of.plaintext),
        "ciphertext": hex(of.ciphertext),
    });
    if let Some(text) = of.exporter_context {
        steps["exporter_context_text"] = json!(text);
        steps["exported_key"] = json!(hex(&exported));
    }
    (steps, exported)
}

fn extract(suite: &[u8], salt: &[u8], label: &str, ikm: &[u8]) -> [u8; 32] {
    let labeled = [b"HPKE-v1", suite, label.as_bytes(), ikm].concat();
    Hkdf::<Sha256>::extract(Some(salt), &labeled).0.into()
}

fn expand<const N: usize>(suite: &[u8], prk: &[u8; 32], label: &str, info: &[u8]) -> [u8; N] {
    let labeled = [&(N as u16).to_be_bytes()[..], b"HPKE-v1", suite, label.as_bytes(), info].concat();
    let mut bytes = [0; N];
    let prk = Hkdf::<Sha256>::from_prk(prk).expect("32 bytes are a key of HKDF-SHA256");
    prk.expand(&labeled, &mut bytes).expect("short enough");
    bytes
}
