//! Waves: what is said of them, who is in which, and what a roll-out does next (decision 0048); pure.

use super::ComponentError;
use super::required::Required;
use crate::waves::position;
use muster_protocol::id::Uid;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Most waves of one roll-out.
const MOST_WAVES: usize = 16;
/// Shortest and longest times, seconds: a day less than a month.
const TIMES_S: std::ops::RangeInclusive<u32> = 1..=30 * 86_400;
const SOAK_S: u32 = 1_800;
const WITHIN_S: u32 = 6 * 3_600;
/// Every appliance. Positions have 52 bits, so that every program reads them as whole numbers.
pub(crate) const ALL: u64 = u64::MAX >> 12;
/// Roll-outs that may lie beneath one that took their place before they were through.
pub(crate) const MOST_LAYERS: usize = 8;

/// A part of appliances: so many, or so many percent. As text `25` or `0.5%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Hundredths of a percent, at most 10,000.
    Percent(u16),
    /// Appliances.
    Count(u32),
}

/// How a change reaches appliances in waves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Waves {
    /// How far each wave reaches, `5` appliances or `10%` of them: each further than the one before, and the last to `100%`.
    #[schema(min_items = 1, max_items = 16)]
    pub waves: Vec<Share>,
    /// Seconds for which all appliances of a wave have to stay well before the next one begins; usually 1,800.
    #[serde(default = "soak_s")]
    #[schema(minimum = 1, maximum = 2_592_000)]
    pub soak_s: u32,
    /// The roll-out halts when more of a wave than this fail; usually `5%`.
    #[serde(default = "halt_at")]
    pub halt_at: Share,
    /// Seconds after which an appliance that has not installed it counts as one that failed; usually 21,600.
    #[serde(default = "within_s")]
    #[schema(minimum = 1, maximum = 2_592_000)]
    pub within_s: u32,
}

fn soak_s() -> u32 {
    SOAK_S
}

fn within_s() -> u32 {
    WITHIN_S
}

fn halt_at() -> Share {
    Share::Percent(500)
}

impl Waves {
    /// Waves with the usual times.
    pub fn of(waves: Vec<Share>) -> Waves {
        Waves { waves, soak_s: SOAK_S, halt_at: halt_at(), within_s: WITHIN_S }
    }

    /// Whether it can be kept.
    pub(crate) fn check(&self) -> Result<(), ComponentError> {
        let wrong = |why: String| Err(ComponentError::invalid("waves", why));
        if self.waves.len() > MOST_WAVES {
            return wrong(format!("are at most {MOST_WAVES}"));
        }
        if self.waves.last() != Some(&Share::Percent(10_000)) {
            return wrong("end with 100%: a roll-out ends when all have it".to_owned());
        }
        for (before, after) in self.waves.iter().zip(self.waves.iter().skip(1)) {
            if matches!(before.compared(*after), Some(Ordering::Equal | Ordering::Greater)) {
                return wrong(format!("grow: {after} after {before} reaches no further"));
            }
        }
        if self.waves.iter().any(|share| matches!(share, Share::Percent(0) | Share::Count(0))) {
            return wrong("begin with at least one appliance".to_owned());
        }
        for (field, value) in [("soak_s", self.soak_s), ("within_s", self.within_s)] {
            if !TIMES_S.contains(&value) {
                let why = format!("must be {} to {} seconds, not {value}", TIMES_S.start(), TIMES_S.end());
                return Err(ComponentError::invalid(field, why));
            }
        }
        Ok(())
    }
}

impl Share {
    /// How it compares with another one, where that can be said without the appliances.
    fn compared(self, other: Share) -> Option<Ordering> {
        match (self, other) {
            (Share::Percent(a), Share::Percent(b)) => Some(a.cmp(&b)),
            (Share::Count(a), Share::Count(b)) => Some(a.cmp(&b)),
            _ => None,
        }
    }

    /// How many of `all` that is: a part of one is one.
    fn of(self, all: usize) -> usize {
        match self {
            Share::Percent(hundredths) => (all * usize::from(hundredths)).div_ceil(10_000).min(all),
            Share::Count(count) => all.min(usize::try_from(count).unwrap_or(usize::MAX)),
        }
    }

    /// Whether `part` of `all` are more.
    pub(crate) fn is_exceeded(self, part: u64, all: u64) -> bool {
        match self {
            Share::Percent(hundredths) => part * 10_000 > u64::from(hundredths) * all,
            Share::Count(count) => part > u64::from(count),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Share::Percent(hundredths) if hundredths % 100 == 0 => write!(f, "{}%", hundredths / 100),
            Share::Percent(hundredths) if hundredths % 10 == 0 => {
                write!(f, "{}.{}%", hundredths / 100, hundredths / 10 % 10)
            }
            Share::Percent(hundredths) => write!(f, "{}.{:02}%", hundredths / 100, hundredths % 100),
            Share::Count(count) => write!(f, "{count}"),
        }
    }
}

impl FromStr for Share {
    type Err = String;
    fn from_str(text: &str) -> Result<Share, String> {
        let wrong = || format!("`{text}` is no part of appliances: write 25 for so many, or 10% or 0.5%");
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let Some(percent) = text.strip_suffix('%') else {
            return if digits(text) { text.parse().map(Share::Count).map_err(|_| wrong()) } else { Err(wrong()) };
        };
        let (whole, part) = percent.split_once('.').unwrap_or((percent, "0"));
        if !digits(whole) || !digits(part) || part.len() > 2 || whole.len() > 3 {
            return Err(wrong());
        }
        let (whole, hundredths): (u16, u16) = (whole.parse().map_err(|_| wrong())?, part.parse().map_err(|_| wrong())?);
        let hundredths = whole * 100 + if part.len() == 1 { hundredths * 10 } else { hundredths };
        if hundredths <= 10_000 { Ok(Share::Percent(hundredths)) } else { Err(wrong()) }
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Share, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for Share {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(r"^([0-9]{1,7}|(100(\.00?)?|[0-9]{1,2}(\.[0-9]{1,2})?)%)$"))
            .description(Some("A part of appliances: `25` of them, or `0.5%`."));
        RefOr::T(Schema::Object(text.build()))
    }
}

impl ToSchema for Share {}

/// What counts for those that a roll-out has not reached: what the place said before, with the version that it came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layer {
    /// None: nothing was said, so what is said above counts.
    pub(crate) line: Option<Required>,
    /// The version that a roll-out went to which was not through, and the position up to which it had come; none at the bottom.
    pub(crate) reached: Option<(String, u64)>,
}

/// A roll-out in force, as far as it decides who has which version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rollout {
    pub(crate) id: i64,
    /// It is of what a site says, not of what its organisation says.
    pub(crate) is_sites: bool,
    pub(crate) name: String,
    /// As [`crate::policy::values::model_key`] has it; empty for all.
    pub(crate) model: String,
    pub(crate) version: String,
    /// Positions up to which each wave reaches that has begun.
    pub(crate) cuts: Vec<u64>,
    /// It was taken back.
    pub(crate) is_back: bool,
    /// The bottom is last.
    pub(crate) layers: Vec<Layer>,
}

/// What an appliance has of a roll-out: 0 for what is rolled out, or how deep beneath it.
pub(crate) type Pick = u8;

/// Where an appliance stands in the roll-out of a version.
pub(crate) fn place(name: &str, version: &str, uid: &Uid) -> u64 {
    position(name, &version, uid) >> 12
}

impl Rollout {
    /// What an appliance has.
    pub(crate) fn pick(&self, uid: &Uid) -> Pick {
        let reaches = |version: &str, cut: u64| place(&self.name, version, uid) <= cut;
        if !self.is_back && self.cuts.last().is_some_and(|cut| reaches(&self.version, *cut)) {
            return 0;
        }
        let found = self.layers.iter().position(|layer| {
            layer.reached.as_ref().is_none_or(|(version, cut)| !self.is_back && reaches(version, *cut))
        });
        Pick::try_from(found.unwrap_or(0) + 1).unwrap_or(Pick::MAX)
    }

    /// The wave that an appliance is in, from 0, of those that have begun.
    pub(crate) fn wave(&self, uid: &Uid) -> Option<usize> {
        let at = place(&self.name, &self.version, uid);
        self.cuts.iter().position(|cut| at <= *cut)
    }

    /// What the place says to an appliance with this pick; none if nothing.
    pub(crate) fn line(&self, pick: Pick, said: &Required) -> Option<Required> {
        match pick.checked_sub(1) {
            None => Some(Required { channel: None, version: Some(self.version.clone()), ..said.clone() }),
            Some(deep) => self.layers.get(usize::from(deep)).and_then(|layer| layer.line.clone()),
        }
    }
}

/// The position up to which a wave reaches, out of those of all appliances, in their order. Never less than the wave before.
pub(crate) fn cut(share: Share, sorted: &[u64], before: Option<u64>) -> u64 {
    if share == Share::Percent(10_000) {
        return ALL;
    }
    let last = share.of(sorted.len()).checked_sub(1).and_then(|last| sorted.get(last).copied());
    last.unwrap_or(0).max(before.unwrap_or(0))
}

/// How the appliances of one wave stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// It was asked of them, and they have not said that it runs.
    pub(crate) waiting: u64,
    /// It runs.
    pub(crate) well: u64,
    /// It could not be installed, or they are not well since.
    pub(crate) failed: u64,
    /// They failed, and somebody went on all the same.
    pub(crate) excused: u64,
    /// They were silent before the wave began, or are being worked on.
    pub(crate) absent: u64,
    /// When the last of them became well or was excused.
    pub(crate) settled: u64,
    /// When it was asked of the first of those that still wait.
    pub(crate) asked: u64,
}

impl Tally {
    /// Those that count.
    pub(crate) fn of(&self) -> u64 {
        self.waiting + self.well + self.failed + self.excused
    }
}

/// What a roll-out does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Too many of this wave failed.
    Halt { wave: usize, failed: u64, of: u64 },
    /// The next wave begins, or the roll-out is through.
    Go,
    /// Nothing before this time, unless appliances say something.
    Wait(Option<u64>),
}

/// What a roll-out does next, by how the waves that have begun stand.
pub(crate) fn next(waves: &Waves, tallies: &[Tally], now: u64) -> Next {
    for (wave, tally) in tallies.iter().enumerate() {
        if waves.halt_at.is_exceeded(tally.failed, tally.of()) {
            return Next::Halt { wave, failed: tally.failed, of: tally.of() };
        }
    }
    let Some(last) = tallies.last() else { return Next::Go };
    if last.of() + last.absent == 0 {
        return Next::Go;
    }
    if last.waiting > 0 {
        return Next::Wait(Some(last.asked + u64::from(waves.within_s)));
    }
    if last.well + last.excused == 0 {
        // Of those that are silent nobody knows whether they would be well.
        return Next::Wait(None);
    }
    let soaked = last.settled + u64::from(waves.soak_s);
    if soaked <= now { Next::Go } else { Next::Wait(Some(soaked)) }
}

#[cfg(test)]
mod tests;
