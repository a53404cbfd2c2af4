//! What a rule looks at.

use crate::api::BeatValues;

/// One value of a beat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `disk`: space in use on the fullest disk, percent.
    Disk,
    /// `disk:/var`: on the disk that is mounted there.
    DiskAt(&'a str),
    /// `load`: the one-minute load average for each processor; of an agent that does not tell how many there are, for all.
    Load,
    /// `memory`: in use, percent.
    Memory,
    /// `temperature`: of the hottest sensor, degrees Celsius.
    Temperature,
    /// `clock`: how far the clock is off, seconds, either way.
    Clock,
    /// `uptime`: seconds since the appliance started.
    Uptime,
    /// `counter:NAME`: a counter or gauge of an application.
    Counter(&'a str),
}

/// A word that names no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{word}` is no value of a beat: choose disk, disk:MOUNT, load, memory, temperature, clock, uptime or counter:NAME"
)]
pub struct ValueError {
    /// The word.
    pub word: String,
}

impl<'a> Value<'a> {
    /// Reads the name of a value.
    ///
    /// # Errors
    /// No value is called so.
    pub fn read(word: &'a str) -> Result<Value<'a>, ValueError> {
        Ok(match word {
            "disk" => Value::Disk,
            "load" => Value::Load,
            "memory" => Value::Memory,
            "temperature" => Value::Temperature,
            "clock" => Value::Clock,
            "uptime" => Value::Uptime,
            _ => match word.split_once(':') {
                Some(("disk", mount)) if mount.starts_with('/') => Value::DiskAt(mount),
                Some(("counter", name)) if !name.is_empty() => Value::Counter(name),
                _ => return Err(ValueError { word: crate::text::printable(word).chars().take(64).collect() }),
            },
        })
    }

    /// What a beat says of it, if anything.
    pub fn of(&self, values: &BeatValues) -> Option<f64> {
        let host = values.host.as_ref();
        let found = match self {
            Value::Disk => Some(values.disk_percent),
            Value::DiskAt(mount) => host?.disks.iter().find(|disk| disk.mount == *mount).map(|disk| disk.percent),
            Value::Load => {
                let processors = host.and_then(|host| host.processors).unwrap_or(1).max(1);
                Some(values.load / f64::from(processors))
            }
            Value::Memory => Some(values.memory_percent),
            Value::Temperature => host?.temperature_c,
            Value::Clock => host?.clock_offset_s.map(|offset| offset.unsigned_abs() as f64),
            Value::Uptime => Some(values.uptime_s as f64),
            Value::Counter(name) => values.counters.get(*name).copied(),
        };
        found.filter(|value| value.is_finite())
    }
}
