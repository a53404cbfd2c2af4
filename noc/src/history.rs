//! The history of beats as it lies in the database (decision 0035): numbers in columns, what does not change said once, and
//! roll-ups of it. Pure: bytes in, bytes out. `store/history` says where they lie.

mod block;
mod column;
mod group;
mod rollup;
mod shape;

pub(crate) use block::{decode, encode};
pub(crate) use group::{Group, records};
#[cfg(test)]
pub(crate) use rollup::Stat;
pub(crate) use rollup::{FIVE_MINUTES, HOUR, Known, Point, decode_points, encode_points, hour_of, of_samples};
pub(crate) use shape::{Flat, Name, Sample, Shapes};
