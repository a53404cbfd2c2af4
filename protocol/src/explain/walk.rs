//! Walks through a datagram along the forms of its fields, and keeps what was understood when something is wrong.

use super::cbor::{ARRAY, BYTES, MAP, Reader, TEXT, UINT};
use super::form::{self, Body, Field, Form, Signer, Statement};
use super::text::{count, hex, quoted, time};
use super::{Check, Fault, Item, leaf};
use crate::crypto::keys::PublicKey;
use crate::crypto::sign;
use crate::id::{Mac, Uid};
use crate::wire::from_cbor;
use crate::wire::ping::MAX_HEARD;
use crate::wire::result::Reason;

/// The first bytes of every COSE_Sign1 of version 1.
const COSE: [u8; 6] = [0x84, 0x43, 0xa1, 0x01, 0x27, 0xa0];

pub(super) struct Walk<'b> {
    datagram: &'b [u8],
    keys: &'b [PublicKey],
}

type Walked = Result<(), Fault>;

impl<'b> Walk<'b> {
    pub(super) fn new(datagram: &'b [u8], keys: &'b [PublicKey]) -> Walk<'b> {
        Walk { datagram, keys }
    }

    /// The body of a datagram, from `at` to its end.
    pub(super) fn body(&self, at: usize, body: Body, into: &mut Vec<Item>) -> Walked {
        let end = self.datagram.len();
        match body {
            Body::Signed(statement) => self.signed(at, end, statement, into),
            Body::Map(fields) => {
                let mut reader = Reader::new(self.datagram, at, end);
                self.map(&mut reader, fields, into)?;
                reader.finish("the message")?;
                self.plain_or_signed(fields, at, into)
            }
        }
    }

    /// A ping is one of the two.
    fn plain_or_signed(&self, fields: &[Field], at: usize, items: &[Item]) -> Walked {
        if !std::ptr::eq(fields, form::PING_PACKET) {
            return Ok(());
        }
        match items.iter().filter(|item| matches!(item.name, "ping" | "signed ping")).count() {
            1 => Ok(()),
            0 => Err(Fault::new(at, "a ping that is neither plain (field 0) nor signed (field 1)")),
            _ => Err(Fault::new(at, "a ping that is both plain (field 0) and signed (field 1)")),
        }
    }

    fn map(&self, reader: &mut Reader<'b>, fields: &'static [Field], into: &mut Vec<Item>) -> Walked {
        let head = reader.expect(MAP, "a map")?;
        let mut last = None;
        for _ in 0..head.number {
            let key = reader.expect(UINT, "a field's number")?;
            if last.is_some_and(|last| last == key.number) {
                return Err(Fault::new(key.at, format!("field {} is there twice", key.number)));
            }
            if last.is_some_and(|last| last > key.number) {
                return Err(Fault::new(key.at, format!("field {} is out of order: numbers must ascend", key.number)));
            }
            let Some(field) = fields.iter().find(|field| field.key == key.number) else {
                let what = format!("field {} is unknown; version 1 does not have it here", key.number);
                return Err(Fault::new(key.at, what));
            };
            missing(fields, last, Some(key.number), key.at)?;
            last = Some(key.number);
            self.field(reader, field, into)?;
        }
        missing(fields, last, None, reader.at)
    }

    fn array(&self, reader: &mut Reader<'b>, fields: &'static [Field], into: &mut Vec<Item>) -> Walked {
        let head = reader.expect(ARRAY, "an array")?;
        if head.number != fields.len() as u64 {
            let what = format!("expected an array of {}, found one of {}", fields.len(), head.number);
            return Err(Fault::new(head.at, what));
        }
        fields.iter().try_for_each(|field| self.field(reader, field, into))
    }

    /// One value; pushed also when something inside is wrong.
    fn field(&self, reader: &mut Reader<'b>, field: &'static Field, into: &mut Vec<Item>) -> Walked {
        let mut item = leaf(field.name, reader.at, 0, String::new(), field.meaning);
        let walked = self.value(reader, &field.form, &mut item);
        item.length = reader.at - item.at;
        into.push(item);
        walked
    }

    fn value(&self, reader: &mut Reader<'b>, form: &'static Form, item: &mut Item) -> Walked {
        match form {
            Form::Map(fields) => self.map(reader, fields, &mut item.items)?,
            Form::Array(fields) => self.array(reader, fields, &mut item.items)?,
            Form::Status => self.status(reader, item)?,
            Form::Nested(inner) => {
                let (from, to) = region(reader)?;
                let mut reader = Reader::new(self.datagram, from, to);
                self.value(&mut reader, inner, item)?;
                reader.finish(item.name)?;
            }
            Form::Signed(statement) => {
                let (from, to) = region(reader)?;
                self.signed(from, to, statement, &mut item.items)?;
            }
            Form::Claimed(statement) => {
                let (from, to) = region(reader)?;
                // An appliance looks into it only when it would tell its settings; then it does not believe this one.
                if let Err(fault) = self.signed(from, to, statement, &mut item.items) {
                    item.meaning = format!("not believed, for it is malformed at byte {}: {}", fault.at, fault.what);
                    item.check = Some(Check::Fails);
                }
            }
            simple => {
                let at = reader.at;
                (item.value, item.meaning) = self.simple(reader, simple, at, std::mem::take(&mut item.meaning))?;
            }
        }
        Ok(())
    }

    fn simple(
        &self,
        reader: &mut Reader<'b>,
        form: &Form,
        at: usize,
        meaning: String,
    ) -> Result<(String, String), Fault> {
        let value = match form {
            Form::Uid => Uid(fixed(reader)?).to_string(),
            Form::Mac => Mac(fixed(reader)?).to_string(),
            Form::Bytes(size) => hex(sized(reader, *size)?),
            Form::DeviceKey => {
                let key = PublicKey(fixed(reader)?);
                return Ok((hex(&key.0), format!("{meaning} {}", Uid::of(&key))));
            }
            Form::Blob => {
                let head = reader.expect(BYTES, "a byte string")?;
                count(reader.contents(head)?.len(), "byte")
            }
            Form::Number(most, unit) => {
                let number = number(reader, *most)?;
                if unit.is_empty() { number.to_string() } else { format!("{number} {unit}") }
            }
            Form::Choice(words) => {
                let number = number(reader, words.len() as u64 - 1)?;
                format!("{number}, {}", words[number as usize])
            }
            Form::Reason => {
                let head = reader.expect(UINT, "a reason's number")?;
                let known = u32::try_from(head.number).ok();
                let known = known.and_then(|number| from_cbor::<Reason>(&crate::wire::to_cbor(&number)).ok());
                let Some(reason) = known else {
                    return Err(Fault::new(at, format!("reason {} is unknown", head.number)));
                };
                return Ok((format!("{}, {}", head.number, reason.code()), reason.text().to_owned()));
            }
            Form::Time => {
                let seconds = number(reader, u64::MAX)?;
                format!("{seconds}, {}", time(seconds))
            }
            Form::Bool => reader.bool()?.to_string(),
            Form::Text => {
                let head = reader.expect(TEXT, "a text")?;
                let text = std::str::from_utf8(reader.contents(head)?);
                quoted(
                    text.map_err(|error| {
                        Fault::new(reader.at - head.number as usize + error.valid_up_to(), "not UTF-8")
                    })?,
                )
            }
            Form::Heard => {
                let head = reader.expect(BYTES, "a byte string")?;
                let hashes = reader.contents(head)?;
                if !hashes.len().is_multiple_of(4) || hashes.len() / 4 > MAX_HEARD {
                    let what = format!("{} bytes; heard hashes have 4 each, and are at most {MAX_HEARD}", hashes.len());
                    return Err(Fault::new(at, what));
                }
                let list: Vec<String> = hashes.chunks(4).map(hex).collect();
                format!("{}{}{}", list.len(), if list.is_empty() { "" } else { ": " }, list.join(" "))
            }
            Form::Sites => {
                let head = reader.expect(ARRAY, "an array of site numbers")?;
                let mut sites = Vec::new();
                for _ in 0..head.number {
                    sites.push(number(reader, u32::MAX.into())?.to_string());
                }
                sites.join(", ")
            }
            Form::Map(_) | Form::Array(_) | Form::Status | Form::Nested(_) | Form::Signed(_) | Form::Claimed(_) => {
                String::new()
            }
        };
        Ok((value, meaning))
    }

    /// Which result, and an array of what it says.
    fn status(&self, reader: &mut Reader<'b>, item: &mut Item) -> Walked {
        let outer = reader.expect(ARRAY, "an array")?;
        if outer.number != 2 {
            return Err(Fault::new(outer.at, format!("expected an array of 2, found one of {}", outer.number)));
        }
        match number(reader, 2)? {
            0 => {
                item.value = "0, SUCCESS".to_owned();
                self.array(reader, form::SUCCESS, &mut item.items)
            }
            1 => {
                item.value = "1, FAILED".to_owned();
                item.meaning = "what was in force before is in force".to_owned();
                self.failed(reader, &mut item.items)
            }
            _ => {
                item.value = "2, UNCONFIGURED".to_owned();
                item.meaning = "still installing".to_owned();
                self.array(reader, form::UNCONFIGURED, &mut item.items)
            }
        }
    }

    /// What is absent at the end of the array is left out; only a gap is null.
    fn failed(&self, reader: &mut Reader<'b>, into: &mut Vec<Item>) -> Walked {
        let head = reader.expect(ARRAY, "an array")?;
        if !(1..=3).contains(&head.number) {
            return Err(Fault::new(head.at, format!("expected an array of 1 to 3, found one of {}", head.number)));
        }
        self.field(reader, &form::FAILED[0], into)?;
        if head.number >= 2 && !(head.number == 3 && reader.is_null()) {
            self.field(reader, &form::FAILED[1], into)?;
        }
        if head.number == 3 {
            self.field(reader, &form::FAILED[2], into)?;
        }
        Ok(())
    }

    /// A COSE_Sign1: its payload's fields, then its signature.
    fn signed(&self, from: usize, to: usize, statement: &'static Statement, into: &mut Vec<Item>) -> Walked {
        for (at, expected) in (from..).zip(COSE) {
            let found = self.datagram[..to].get(at);
            if found != Some(&expected) {
                let found = found.map_or("the end".to_owned(), |byte| format!("{byte:02x}"));
                let what = format!(
                    "expected {expected:02x}, found {found}: a COSE_Sign1 of version 1 begins with {}",
                    hex(&COSE)
                );
                return Err(Fault::new(at, what));
            }
        }
        let mut reader = Reader::new(self.datagram, from + COSE.len(), to);
        let payload_at = reader.at;
        let (payload_from, payload_to) = region(&mut reader)?;
        let mut payload = leaf(statement.name, payload_at, reader.at - payload_at, String::new(), "what is signed");
        let mut inside = Reader::new(self.datagram, payload_from, payload_to);
        let walked =
            self.map(&mut inside, statement.payload, &mut payload.items).and_then(|()| inside.finish(statement.name));
        into.push(payload);
        walked?;
        let at = reader.at;
        let signature = sized(&mut reader, 64)?;
        reader.finish("the signature")?;
        let (check, meaning) = self.check(&self.datagram[from..to], statement, into.last());
        let mut item = leaf("signature", at, reader.at - at, hex(signature), "");
        (item.check, item.meaning) = (Some(check), meaning);
        into.push(item);
        Ok(())
    }

    fn check(&self, signed: &[u8], statement: &Statement, payload: Option<&Item>) -> (Check, String) {
        let holds = |key: &PublicKey| sign::verify(key, statement.purpose, signed).is_ok();
        let find = |name: &str| payload.and_then(|payload| payload.items.iter().find(|item| item.name == name));
        let (key, whose) = match statement.signer {
            Signer::Inside(name) => (find(name).and_then(key_of), "the device key inside"),
            Signer::Credential => {
                let credential = find("credential").and_then(|field| field.items.first());
                let key =
                    credential.and_then(|credential| credential.items.iter().find(|item| item.name == "console key"));
                (key.and_then(key_of), "the console key in the credential")
            }
            Signer::Device => {
                let uid = find("UID").map(|item| item.value.as_str());
                let key = self.keys.iter().find(|key| uid == Some(Uid::of(key).to_string().as_str()));
                (key.copied(), "the device key of this UID")
            }
            // Any of the given keys may be the one; nothing in the message says which it has to be.
            Signer::Given(whose) => match self.keys.iter().find(|key| holds(key)) {
                Some(key) => return (Check::Holds, format!("holds, by {}, which has to be {whose}", hex(&key.0))),
                None => (self.keys.first().copied(), whose),
            },
        };
        match key {
            Some(key) if holds(&key) => (Check::Holds, format!("holds, by {whose}")),
            Some(_) => (Check::Fails, format!("does not hold: it is not by {whose}")),
            None => (Check::NotChecked, format!("not checked: {whose} is not known here")),
        }
    }
}

/// Required fields between the last that was read and the next must not be missing.
fn missing(fields: &[Field], last: Option<u64>, next: Option<u64>, at: usize) -> Walked {
    let between = |key: u64| last.is_none_or(|last| key > last) && next.is_none_or(|next| key < next);
    match fields.iter().find(|field| !field.is_optional && between(field.key)) {
        Some(field) => Err(Fault::new(at, format!("field {} ({}) is missing", field.key, field.name))),
        None => Ok(()),
    }
}

/// Where the contents of a byte string are.
fn region(reader: &mut Reader<'_>) -> Result<(usize, usize), Fault> {
    let head = reader.expect(BYTES, "a byte string")?;
    let from = reader.at;
    reader.contents(head)?;
    Ok((from, reader.at))
}

fn sized<'b>(reader: &mut Reader<'b>, size: usize) -> Result<&'b [u8], Fault> {
    let head = reader.expect(BYTES, "a byte string")?;
    if head.number != size as u64 {
        return Err(Fault::new(head.at, format!("expected a byte string of {size}, found one of {}", head.number)));
    }
    reader.contents(head)
}

fn fixed<const N: usize>(reader: &mut Reader<'_>) -> Result<[u8; N], Fault> {
    let mut array = [0; N];
    array.copy_from_slice(sized(reader, N)?);
    Ok(array)
}

fn number(reader: &mut Reader<'_>, most: u64) -> Result<u64, Fault> {
    let head = reader.expect(UINT, "a number")?;
    if head.number > most {
        return Err(Fault::new(head.at, format!("{} is more than {most}, the most that is allowed", head.number)));
    }
    Ok(head.number)
}

fn key_of(item: &Item) -> Option<PublicKey> {
    let bytes = data_encoding::HEXLOWER.decode(item.value.as_bytes()).ok()?;
    bytes.try_into().ok().map(PublicKey)
}
