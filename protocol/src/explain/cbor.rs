//! The heads of CBOR items, in deterministic form or with a fault that says why not (RFC 8949 §4.2.1).

use super::Fault;

/// A head: what kind of item follows, and its number (a value, a length, or how many items).
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) major: u8,
    pub(super) number: u64,
    /// Where it begins.
    pub(super) at: usize,
}

pub(super) const UINT: u8 = 0;
pub(super) const BYTES: u8 = 2;
pub(super) const TEXT: u8 = 3;
pub(super) const ARRAY: u8 = 4;
pub(super) const MAP: u8 = 5;
const SIMPLE: u8 = 7;

/// `null` as the number of a simple head; true and false are one and two less.
pub(super) const NULL: u64 = 22;

/// Reads a part of a datagram; positions are counted from the datagram's first byte.
pub(super) struct Reader<'b> {
    datagram: &'b [u8],
    pub(super) at: usize,
    end: usize,
}

impl<'b> Reader<'b> {
    pub(super) fn new(datagram: &'b [u8], at: usize, end: usize) -> Reader<'b> {
        Reader { datagram, at, end: end.min(datagram.len()) }
    }

    /// The next head.
    pub(super) fn head(&mut self) -> Result<Head, Fault> {
        let at = self.at;
        let first = self.take(1, "an item")?[0];
        let (major, info) = (first >> 5, first & 31);
        let size = match info {
            0..=23 => 0,
            24..=27 => 1 << (info - 24),
            31 => return Err(Fault::new(at, "an indefinite length; the deterministic form has none")),
            _ => return Err(Fault::new(at, format!("{first:02x} begins no CBOR item"))),
        };
        let mut number = u64::from(info);
        if size > 0 {
            number =
                self.take(size, "a length or number")?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        }
        if major == SIMPLE {
            return match number {
                20..=NULL if size == 0 => Ok(Head { major, number, at }),
                _ => Err(Fault::new(at, "a float or another simple value; only true, false and null are used")),
            };
        }
        let least = match number {
            0..=23 => 0,
            24..=0xff => 1,
            0x100..=0xffff => 2,
            0x1_0000..=0xffff_ffff => 4,
            _ => 8,
        };
        if size != least {
            let what = format!("{number} is written in {} bytes; the deterministic form takes {}", size + 1, least + 1);
            return Err(Fault::new(at, what));
        }
        Ok(Head { major, number, at })
    }

    /// The next head, which must be of this kind.
    pub(super) fn expect(&mut self, major: u8, what: &str) -> Result<Head, Fault> {
        let head = self.head()?;
        if head.major == major {
            return Ok(head);
        }
        Err(Fault::new(head.at, format!("expected {what}, found {}", head.name())))
    }

    /// True or false.
    pub(super) fn bool(&mut self) -> Result<bool, Fault> {
        let head = self.expect(SIMPLE, "true or false")?;
        if head.number == NULL {
            Err(Fault::new(head.at, "expected true or false, found null"))
        } else {
            Ok(head.number == 21)
        }
    }

    /// True if `null` follows; then it is read.
    pub(super) fn is_null(&mut self) -> bool {
        let is_null = self.at < self.end && self.datagram[self.at] == 0xf6;
        self.at += usize::from(is_null);
        is_null
    }

    /// The contents of a byte string or text whose head was read.
    pub(super) fn contents(&mut self, head: Head) -> Result<&'b [u8], Fault> {
        let left = self.end - self.at;
        match usize::try_from(head.number) {
            Ok(length) if length <= left => self.take(length, "contents"),
            _ => Err(Fault::new(head.at, format!("cut short: {} bytes are announced, {left} are left", head.number))),
        }
    }

    /// Nothing may follow.
    pub(super) fn finish(&self, after: &str) -> Result<(), Fault> {
        match self.end - self.at {
            0 => Ok(()),
            1 => Err(Fault::new(self.at, format!("a trailing byte after {after}"))),
            more => Err(Fault::new(self.at, format!("{more} trailing bytes after {after}"))),
        }
    }

    fn take(&mut self, length: usize, what: &str) -> Result<&'b [u8], Fault> {
        let bytes = self.datagram.get(self.at..self.at + length).filter(|_| self.at + length <= self.end);
        let bytes = bytes.ok_or_else(|| Fault::new(self.end, format!("cut short: {what} is missing")))?;
        self.at += length;
        Ok(bytes)
    }
}

impl Head {
    /// What it begins, as in "found a map".
    pub(super) fn name(&self) -> &'static str {
        match self.major {
            UINT => "a number",
            1 => "a negative number",
            BYTES => "a byte string",
            TEXT => "a text",
            ARRAY => "an array",
            MAP => "a map",
            6 => "a tag",
            _ if self.number == NULL => "null",
            _ => "true or false",
        }
    }
}
