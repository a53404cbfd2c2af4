//! `muster decode`: any datagram of the protocol in words.

use super::args::DecodeArgs;
use super::{CommandError, Exit, Streams, write_json};
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use muster_protocol::crypto::keys::PublicKey;
use muster_protocol::explain::{Check, Explanation, Item, explain};
use muster_protocol::wire::MAX_DATAGRAM;
use std::io::{Read, Write};

/// More hexadecimal than any UDP datagram is; the rest of an endless input is not read.
const MOST_TEXT: u64 = 1 << 20;
/// A value that is longer is cut where a person reads it; JSON has it whole.
const WIDEST: usize = 96;

/// Explains a datagram; [`Exit::Failure`] if it is malformed, or a signature does not hold.
pub(super) fn decode(json: bool, args: &DecodeArgs, streams: &mut Streams<'_>) -> Result<Exit, CommandError> {
    let keys = args.key.iter().map(|text| public_key(text)).collect::<Result<Vec<_>, _>>()?;
    let text = if args.hex == "-" { standard_input()? } else { args.hex.clone() };
    let explained = explain(&datagram(&text)?, &keys);
    if json {
        write_json(streams.out, &explained)?;
    } else {
        write(streams.out, &explained)?;
    }
    let is_good = explained.fault.is_none() && !explained.has_bad_signature();
    Ok(if is_good { Exit::Success } else { Exit::Failure })
}

fn standard_input() -> std::io::Result<String> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(MOST_TEXT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Hexadecimal as tools print it: in any case, with spaces, line ends, colons, dashes, commas or `0x` between bytes.
fn datagram(text: &str) -> Result<Vec<u8>, CommandError> {
    let mut digits = String::new();
    for word in text.split(|c: char| c.is_whitespace() || matches!(c, ':' | '-' | ',')) {
        digits += word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")).unwrap_or(word);
    }
    let bad = |message: String| {
        let remedy = "Give the UDP payload in hexadecimal, or - to read it from standard input.";
        CommandError::other("bad_hex", message, remedy)
    };
    if let Some((at, found)) = digits.chars().enumerate().find(|(_, c)| !c.is_ascii_hexdigit()) {
        return Err(bad(format!("`{}` at digit {} is not hexadecimal", found.escape_debug(), at + 1)));
    }
    if digits.is_empty() {
        return Err(bad("there is nothing to decode".to_owned()));
    }
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).map_err(|_| {
        bad(format!("{} hexadecimal digits are no whole bytes: one digit is missing or too many", digits.len()))
    })
}

/// A public key, as the NOC's JSON and the vectors have them.
fn public_key(text: &str) -> Result<PublicKey, CommandError> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).or_else(|_| BASE64.decode(text.as_bytes())).ok();
    bytes.and_then(|bytes| bytes.try_into().ok()).map(PublicKey).ok_or_else(|| {
        let message = "a key given with --key is not an Ed25519 public key";
        CommandError::other("bad_key", message, "Give 32 bytes, in 64 hexadecimal digits or in base64.")
    })
}

fn write(out: &mut dyn Write, explained: &Explanation) -> std::io::Result<()> {
    let kind = explained.kind.map_or(String::new(), |kind| format!(", {kind}"));
    writeln!(out, "{} of at most {MAX_DATAGRAM} bytes{kind}", explained.length)?;
    for item in &explained.items {
        write_item(out, item, 0)?;
    }
    match &explained.fault {
        None => Ok(()),
        Some(fault) => writeln!(out, "Malformed at byte {}: {}", fault.at, fault.what),
    }
}

/// `  12  name: value  (meaning)`: the byte where it begins comes first.
fn write_item(out: &mut dyn Write, item: &Item, depth: usize) -> std::io::Result<()> {
    write!(out, "{:>5}  {:indent$}{}", item.at, "", item.name, indent = 2 * depth)?;
    if !item.value.is_empty() {
        write!(out, ": {}", cut(&item.value))?;
    }
    let mark = match item.check {
        Some(Check::Fails) => "!! ",
        Some(Check::Holds | Check::NotChecked) | None => "",
    };
    if !item.meaning.is_empty() {
        write!(out, "  ({mark}{})", item.meaning)?;
    }
    writeln!(out)?;
    item.items.iter().try_for_each(|item| write_item(out, item, depth + 1))
}

fn cut(value: &str) -> String {
    if value.chars().count() <= WIDEST {
        return value.to_owned();
    }
    let shown: String = value.chars().take(WIDEST - 1).collect();
    shown + "…"
}
