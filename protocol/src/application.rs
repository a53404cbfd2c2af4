//! What a vendor's application on an appliance shall have: one JSON object, which Muster carries and does not understand
//! (decision 0042).
//!
//! It is kept in one canonical form, so that equal settings are equal bytes at the NOC, in a grant and on the appliance: no white
//! space, the names of each object in ascending order of their UTF-8, characters as themselves, numbers as they were written.

use crate::text::misleads;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{self, Write};

/// The longest canonical text, in bytes. With ordinary names fewer fit into a packet: [`crate::wire::config::application_room`].
pub const MAX_APPLICATION: usize = 700;
/// The longest text that is read, in bytes: white space is free within reason.
const MAX_TEXT: usize = 16 * 1024;
/// How deep objects and arrays may be inside each other, the outermost included.
const MAX_DEPTH: usize = 8;
/// The longest number, in characters.
const MAX_NUMBER: usize = 32;

/// Application settings in their canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApplicationSettings(String);

/// What is wrong with a text that should be application settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplicationError {
    /// Whoever wrote it wrote no JSON.
    #[error("the application settings are no JSON at character {at}: {why}")]
    Json {
        /// Counted from 1.
        at: usize,
        /// What was expected.
        why: &'static str,
    },
    /// It is JSON, and something else than one object.
    #[error("the application settings are no JSON object: write them as {{\"name\": value}}")]
    NotObject,
    /// One name stands twice in an object, and programs differ in which of them counts.
    #[error("the application settings name `{name}` twice in one object: keep one")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// Programs would have to read what is nested without end.
    #[error("the application settings are nested deeper than {MAX_DEPTH} levels: make them flatter")]
    TooDeep,
    /// A text in it holds what nobody sees or a terminal would obey.
    #[error(
        "the application settings hold an invisible or control character at character {at}: only \\n, \\r and \\t may be written"
    )]
    Misleads {
        /// Counted from 1.
        at: usize,
    },
    /// No packet can carry it.
    #[error(
        "the application settings have {bytes} bytes without white space, and {MAX_APPLICATION} is the most: shorten them"
    )]
    TooLong {
        /// How many it has.
        bytes: usize,
    },
}

impl ApplicationError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            ApplicationError::Json { .. } => "application_not_json",
            ApplicationError::NotObject => "application_not_object",
            ApplicationError::Duplicate { .. } => "application_duplicate_name",
            ApplicationError::TooDeep => "application_too_deep",
            ApplicationError::Misleads { .. } => "application_control_character",
            ApplicationError::TooLong { .. } => "application_too_long",
        }
    }
}

impl ApplicationSettings {
    /// Reads JSON as somebody wrote it.
    ///
    /// ```
    /// use muster_protocol::application::ApplicationSettings;
    ///
    /// let settings = ApplicationSettings::parse(r#"{ "relay": "mx.example.net", "quarantine": {"days": 14} }"#)?;
    /// assert_eq!(settings.as_str(), r#"{"quarantine":{"days":14},"relay":"mx.example.net"}"#);
    /// assert_eq!(ApplicationSettings::parse("[]").unwrap_err().code(), "application_not_object");
    /// # Ok::<(), muster_protocol::application::ApplicationError>(())
    /// ```
    pub fn parse(text: &str) -> Result<ApplicationSettings, ApplicationError> {
        if text.len() > MAX_TEXT {
            return Err(ApplicationError::TooLong { bytes: text.len() });
        }
        let mut reader = Reader { chars: text.chars().collect(), at: 0 };
        reader.skip_space();
        let is_object = reader.peek() == Some('{');
        let canonical = reader.value(1)?;
        reader.skip_space();
        if reader.peek().is_some() {
            return Err(reader.error("nothing may follow the object"));
        }
        if !is_object {
            return Err(ApplicationError::NotObject);
        }
        if canonical.len() > MAX_APPLICATION {
            return Err(ApplicationError::TooLong { bytes: canonical.len() });
        }
        Ok(ApplicationSettings(canonical))
    }

    /// Takes what is in its canonical form already; what a grant may hold.
    pub fn from_canonical(text: &str) -> Option<ApplicationSettings> {
        ApplicationSettings::parse(text).ok().filter(|settings| settings.0 == text)
    }

    /// JSON, in the canonical form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An object that holds nothing: no settings at all.
    pub fn is_empty(&self) -> bool {
        self.0 == "{}"
    }

    /// A text of so many bytes, to find out how long a grant with it would be.
    pub(crate) fn of_length(bytes: usize) -> ApplicationSettings {
        ApplicationSettings("x".repeat(bytes))
    }
}

impl fmt::Display for ApplicationSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ApplicationSettings {
    type Error = ApplicationError;
    fn try_from(text: String) -> Result<Self, ApplicationError> {
        ApplicationSettings::parse(&text)
    }
}

impl From<ApplicationSettings> for String {
    fn from(settings: ApplicationSettings) -> String {
        settings.0
    }
}

/// RFC 8259, no more and no less; what comes out is canonical.
struct Reader {
    chars: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += usize::from(next.is_some());
        next
    }

    fn error(&self, why: &'static str) -> ApplicationError {
        ApplicationError::Json { at: self.at + 1, why }
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, wanted: char, why: &'static str) -> Result<(), ApplicationError> {
        if self.peek() != Some(wanted) {
            return Err(self.error(why));
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<String, ApplicationError> {
        match self.peek() {
            Some('{' | '[') if depth > MAX_DEPTH => Err(ApplicationError::TooDeep),
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            Some('"') => self.text().map(|text| quoted(&text)),
            Some('-' | '0'..='9') => self.number(),
            _ => {
                ["true", "false", "null"].into_iter().find(|word| self.word(word)).map(str::to_owned).ok_or_else(|| {
                    self.error("a value is expected: an object, an array, a text, a number, true, false or null")
                })
            }
        }
    }

    fn word(&mut self, word: &str) -> bool {
        let is_there = word.chars().enumerate().all(|(i, c)| self.chars.get(self.at + i) == Some(&c));
        self.at += if is_there { word.len() } else { 0 };
        is_there
    }

    fn object(&mut self, depth: usize) -> Result<String, ApplicationError> {
        let mut members: BTreeMap<String, String> = BTreeMap::new();
        self.at += 1;
        self.skip_space();
        while self.peek() != Some('}') {
            if !members.is_empty() {
                self.take(',', "`,` or `}` is expected")?;
                self.skip_space();
            }
            if self.peek() != Some('"') {
                return Err(self.error("a name in double quotes is expected"));
            }
            let name = self.text()?;
            self.skip_space();
            self.take(':', "`:` is expected")?;
            self.skip_space();
            let value = self.value(depth + 1)?;
            self.skip_space();
            if members.contains_key(&name) {
                return Err(ApplicationError::Duplicate { name });
            }
            members.insert(name, value);
        }
        self.at += 1;
        let members: Vec<String> = members.iter().map(|(name, value)| format!("{}:{value}", quoted(name))).collect();
        Ok(format!("{{{}}}", members.join(",")))
    }

    fn array(&mut self, depth: usize) -> Result<String, ApplicationError> {
        let mut items = Vec::new();
        self.at += 1;
        self.skip_space();
        while self.peek() != Some(']') {
            if !items.is_empty() {
                self.take(',', "`,` or `]` is expected")?;
                self.skip_space();
            }
            items.push(self.value(depth + 1)?);
            self.skip_space();
        }
        self.at += 1;
        Ok(format!("[{}]", items.join(",")))
    }

    fn text(&mut self) -> Result<String, ApplicationError> {
        let mut text = String::new();
        self.at += 1;
        loop {
            let began = self.at + 1;
            let (c, is_escaped) = match self.next() {
                Some('"') => return Ok(text),
                Some('\\') => (self.escaped()?, true),
                Some(c) => (c, false),
                None => return Err(self.error("the text does not end: `\"` is expected")),
            };
            if misleads(c) && !(is_escaped && matches!(c, '\n' | '\r' | '\t')) {
                return Err(ApplicationError::Misleads { at: began });
            }
            text.push(c);
        }
    }

    fn escaped(&mut self) -> Result<char, ApplicationError> {
        const SURROGATE: &str = "a code that is no character";
        match self.next() {
            Some(c @ ('"' | '\\' | '/')) => Ok(c),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => {
                let first = self.hex()?;
                if !(0xd800..0xdc00).contains(&first) {
                    return char::from_u32(first).ok_or_else(|| self.error(SURROGATE));
                }
                self.take('\\', SURROGATE)?;
                self.take('u', SURROGATE)?;
                let second = self.hex()?;
                let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400);
                let code = low.map(|low| 0x1_0000 + ((first - 0xd800) << 10) + low);
                code.and_then(char::from_u32).ok_or_else(|| self.error(SURROGATE))
            }
            _ => Err(self.error("after `\\` one of \" \\ / b f n r t u is expected")),
        }
    }

    fn hex(&mut self) -> Result<u32, ApplicationError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self
                .peek()
                .and_then(|c| c.to_digit(16))
                .ok_or_else(|| self.error("four hexadecimal digits are expected"))?;
            self.at += 1;
            code = code * 16 + digit;
        }
        Ok(code)
    }

    fn digits(&mut self) -> usize {
        let began = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - began
    }

    /// As it was written: nothing is known of what the application can count to.
    fn number(&mut self) -> Result<String, ApplicationError> {
        let began = self.at;
        if self.peek() == Some('-') {
            self.at += 1;
        }
        let leading_zero = self.peek() == Some('0');
        let whole = self.digits();
        if whole == 0 || leading_zero && whole > 1 {
            return Err(self.error("a number is expected, without leading zeros"));
        }
        if self.peek() == Some('.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.error("a digit is expected after the point"));
            }
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            self.at += 1;
            if matches!(self.peek(), Some('+' | '-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.error("a digit is expected in the exponent"));
            }
        }
        if self.at - began > MAX_NUMBER {
            return Err(self.error("the number has more than 32 characters: write it as a text"));
        }
        Ok(self.chars[began..self.at].iter().collect())
    }
}

/// A text as JSON: what must be escaped is, and nothing else.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if u32::from(c) < 0x20 => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
