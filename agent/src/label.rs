//! The label: what is printed on an appliance, or goes into the vendor's manifest.

use crate::identity::Identity;
use muster_protocol::id::{Mac, Uid};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde::Serialize;

/// What the label says. Holds the claim secret: only printed when somebody at the appliance asks for it.
#[derive(Clone, Serialize)]
pub struct Label {
    /// Serial number, or empty.
    pub serial: String,
    /// MAC of the interface that is configured.
    pub mac: Mac,
    /// The identity.
    pub uid: Uid,
    /// The claim code.
    pub claim: String,
    /// Model, or empty.
    pub model: String,
}

/// The header of a manifest.
pub const MANIFEST_HEADER: &str = "serial,mac,uid,claim,model";

impl Label {
    /// The label of an identity.
    pub fn new(identity: &Identity, mac: Mac, serial: &str, model: &str) -> Label {
        Label {
            serial: serial.to_owned(),
            mac,
            uid: identity.uid(),
            claim: identity.claim.reveal(),
            model: model.to_owned(),
        }
    }

    /// One line of a manifest (RFC 4180), without its line end.
    pub fn manifest_line(&self) -> String {
        let Label { serial, mac, uid, claim, model } = self;
        format!("{},{mac},{uid},{claim},{}", csv_field(serial), csv_field(model))
    }

    /// Text and QR code. The code holds the claim code alone: scanners type what they read into the field that asks for it.
    pub fn to_text(&self) -> String {
        let Label { serial, mac, uid, claim, model } = self;
        let mut text = String::new();
        for (name, value) in [("Model", model), ("Serial", serial)] {
            if !value.is_empty() {
                text += &format!("{name:<8} {value}\n");
            }
        }
        text += &format!("{:<8} {mac}\n{:<8} {uid}\n{:<8} {claim}\n", "MAC", "UID", "Claim");
        if let Ok(code) = QrCode::new(claim.as_bytes()) {
            text += "\n";
            text += &code.render::<Dense1x2>().dark_color(Dense1x2::Dark).light_color(Dense1x2::Light).build();
            text += "\n";
        }
        text
    }
}

fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::storage::MemoryStorage;

    fn label() -> Label {
        let identity = Identity::load_or_make(&MemoryStorage::default(), None).expect("made");
        Label::new(&identity, Mac([2, 0, 0, 0, 0, 9]), "MG-2041-0007", "Mail \"gateway\", small")
    }

    #[test]
    fn the_manifest_line_has_the_columns_of_its_header() {
        let label = label();
        let expected =
            format!("MG-2041-0007,02:00:00:00:00:09,{},{},\"Mail \"\"gateway\"\", small\"", label.uid, label.claim);
        assert_eq!(label.manifest_line(), expected);
        assert_eq!(MANIFEST_HEADER.split(',').count(), 5);
    }

    #[test]
    fn the_text_names_what_an_administrator_needs_and_draws_the_code() {
        let label = label();
        let text = label.to_text();
        for part in [&label.claim, &label.uid.to_string(), "02:00:00:00:00:09", "MG-2041-0007"] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(
            text.lines().filter(|line| line.contains('█') || line.contains('▀')).count() > 8,
            "no QR code in\n{text}"
        );
    }
}
