//! The command line of the NOC.

fn main() {}
