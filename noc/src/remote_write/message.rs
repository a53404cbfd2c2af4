//! What is sent: the protobuf of Prometheus remote write 1.0, packed with Snappy.

use crate::measurements::{APPLICATION, FAMILIES};
use hyper::body::Bytes;
use muster_protocol::api::BeatValues;
use muster_protocol::id::Uid;
use prost::Message;
use std::collections::BTreeMap;
use std::sync::Arc;

/// `prometheus.WriteRequest`.
#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

/// `prometheus.TimeSeries`.
#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

/// `prometheus.Label`.
#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// `prometheus.Sample`.
#[derive(Clone, Copy, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// What an appliance is known by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Labels {
    pub(crate) uid: Uid,
    pub(crate) host: String,
    pub(crate) site: String,
    pub(crate) model: String,
}

/// Values by series and time, as receivers want them: each series once, its values in the order of time, none twice.
#[derive(Default)]
pub(crate) struct Series {
    known: BTreeMap<(Arc<Labels>, &'static str, String), BTreeMap<u64, f64>>,
}

impl Series {
    /// Adds what a beat said.
    pub(crate) fn add(&mut self, labels: &Arc<Labels>, time: u64, beat: &BeatValues) {
        for family in &FAMILIES {
            if let Some(value) = (family.told)(beat) {
                self.put(labels, family.name, String::new(), time, value);
            }
        }
        for (name, value) in &beat.counters {
            self.put(labels, APPLICATION, name.clone(), time, *value);
        }
    }

    /// Adds one value. Of two at the same second the later one stays: a receiver would refuse it all.
    pub(crate) fn put(&mut self, labels: &Arc<Labels>, family: &'static str, name: String, time: u64, value: f64) {
        self.known.entry((labels.clone(), family, name)).or_default().insert(time, value);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// In the form in which it is posted.
    pub(crate) fn packed(self) -> Result<Bytes, snap::Error> {
        let timeseries = self.known.into_iter().map(|((labels, family, name), values)| TimeSeries {
            labels: sorted(&labels, family, &name),
            samples: values
                .into_iter()
                .map(|(time, value)| Sample { value, timestamp: time.saturating_mul(1_000).cast_signed() })
                .collect(),
        });
        let request = WriteRequest { timeseries: timeseries.collect() };
        Ok(snap::raw::Encoder::new().compress_vec(&request.encode_to_vec())?.into())
    }
}

/// Labels in the order of their names, without empty ones: the standard wants both.
fn sorted(labels: &Labels, family: &'static str, name: &str) -> Vec<Label> {
    let uid = labels.uid.to_string();
    let all = [
        ("__name__", family),
        ("host", &labels.host),
        ("model", &labels.model),
        ("name", name),
        ("site", &labels.site),
        ("uid", &uid),
    ];
    let given = all.into_iter().filter(|(_, value)| !value.is_empty());
    given.map(|(name, value)| Label { name: name.to_owned(), value: value.to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_series_is_there_once_with_sorted_labels_and_times() {
        let labels =
            Arc::new(Labels { uid: Uid([7; 20]), host: "gw-1".into(), site: String::new(), model: "Mail".into() });
        let mut series = Series::default();
        for (time, value) in [(20, 2.0), (10, 1.0), (20, 3.0)] {
            let counters = [("mails".to_owned(), value)].into();
            series.add(&labels, time, &BeatValues { load: value, counters, ..Default::default() });
        }
        let packed = series.packed().expect("packs");
        let bytes = snap::raw::Decoder::new().decompress_vec(&packed).expect("unpacks");
        let found = WriteRequest::decode(bytes.as_slice()).expect("reads").timeseries;
        let name = |series: &TimeSeries| series.labels[0].value.clone();
        let mails = found.iter().find(|series| name(series) == APPLICATION).expect("there");
        let shown: Vec<_> = mails.labels.iter().map(|label| format!("{}={}", label.name, label.value)).collect();
        let uid = Uid([7; 20]);
        assert_eq!(
            shown,
            [&format!("__name__={APPLICATION}"), "host=gw-1", "model=Mail", "name=mails", &format!("uid={uid}")]
        );
        let values: Vec<_> = mails.samples.iter().map(|sample| (sample.timestamp, sample.value)).collect();
        assert_eq!(values, [(10_000, 1.0), (20_000, 3.0)], "the later one of the same second");
        let names: Vec<_> = found.iter().map(name).collect();
        assert_eq!(names.len(), 6, "five of every appliance without a thermometer, and one of its own: {names:?}");
    }
}
