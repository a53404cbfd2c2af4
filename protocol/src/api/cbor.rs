//! Beats in CBOR (RFC 8949), for small appliances: the same values as in JSON under numbers instead of names.

use crate::wire::DecodeError;
use minicbor::{Decode, Decoder};

/// Reads a body, all of it. Unlike on the LAN nothing is signed over it, so it need not be deterministic.
pub fn read_cbor<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, DecodeError> {
    let mut decoder = Decoder::new(bytes);
    let value = decoder.decode().map_err(|_| DecodeError::Body)?;
    if decoder.position() == bytes.len() { Ok(value) } else { Err(DecodeError::Body) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Beat, BeatAnswer, BeatValues, Disk, EarlierBeat, HostValues, Work, WorkReport};
    use crate::id::{BootId, Seq};
    use crate::parameters::DriftPolicy;
    use crate::wire::to_cbor;
    use data_encoding::HEXLOWER;

    fn small() -> Beat {
        let values = BeatValues {
            uptime_s: 86,
            load: 0.5,
            memory_percent: 31.5,
            disk_percent: 12.0,
            disk_free: 8_123_456_789,
            agent: "0.1.0".into(),
            ..BeatValues::default()
        };
        let (work, earlier) = (WorkReport::default(), Vec::new());
        Beat { boot: BootId([7; 16]), counter: 1, seq: Seq(7), values, work, earlier }
    }

    /// Of appliances in the field: these bytes stay.
    #[test]
    fn a_beat_is_these_bytes() {
        let bytes = "a4005007070707070707070707070707070707010102\
                     0703a6001856\
                     01fb3fe000000000000002fb403f80000000000003fb4028000000000000\
                     041b00000001e4321d15\
                     0565302e312e30";
        assert_eq!(HEXLOWER.encode(&to_cbor(&small())), bytes);
        let answer = BeatAnswer { interval_s: 60, time: 1_700_000_000, earlier: None, work: Work::default() };
        assert_eq!(HEXLOWER.encode(&to_cbor(&answer)), "a200183c011a6553f100");
    }

    #[test]
    fn what_is_said_in_cbor_is_what_is_said_in_json() {
        let mut beat = small();
        beat.values.counters = [("mails_passed".to_owned(), 1204.0)].into();
        beat.values.drift = vec!["address".into()];
        beat.values.host = Some(HostValues {
            temperature_c: Some(41.5),
            disks: vec![Disk { mount: "/".into(), percent: 12.0, free: 1 }],
            clock_offset_s: Some(-3),
            processors: Some(4),
            ..HostValues::default()
        });
        beat.work.drift = Some(DriftPolicy::Restore);
        let values = beat.values.clone();
        beat.earlier = vec![EarlierBeat { boot: BootId([6; 16]), counter: 9, age_s: None, time: Some(5), values }];
        assert_eq!(read_cbor::<Beat>(&to_cbor(&beat)), Ok(beat.clone()));
        let json = serde_json::to_string(&beat).expect("writes");
        assert_eq!(serde_json::from_str::<Beat>(&json).expect("reads"), beat);
    }

    #[test]
    fn shorter_numbers_and_unknown_fields_read_and_what_is_cut_or_followed_does_not() {
        // Single-precision load and memory, an unknown field 42.
        let hex = "a500500707070707070707070707070707070701010207\
                   03a600185601fa3f00000002fa41fc000003fb4028000000000000041b00000001e4321d150565302e312e30\
                   182a8101";
        let bytes = HEXLOWER.decode(hex.as_bytes()).expect("hexadecimal");
        assert_eq!(read_cbor::<Beat>(&bytes), Ok(small()));
        for cut in 0..bytes.len() {
            assert!(read_cbor::<Beat>(&bytes[..cut]).is_err(), "{cut} bytes");
        }
        let followed = [bytes.as_slice(), &[0]].concat();
        assert!(read_cbor::<Beat>(&followed).is_err());
    }
}
