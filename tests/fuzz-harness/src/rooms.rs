//! Parsers of other rooms, compiled in by their paths: those rooms bring SQLite, TLS and a runtime, whose instrumented build
//! would take longer than all the fuzzing. Each of these files knows nothing but text or bytes.
#![expect(dead_code, unreachable_pub, reason = "the rooms themselves use and export what is not used here")]

#[path = "../../../agent/src/counters.rs"]
pub(crate) mod counters;
#[path = "../../../noc/src/policy/exclusion.rs"]
pub(crate) mod exclusion;
#[path = "../../../noc/src/policy/host_name.rs"]
pub(crate) mod host_name;
#[path = "../../../console/src/noc_client/invite.rs"]
pub(crate) mod invite;
#[path = "../../../noc/src/inventory/manifest.rs"]
pub(crate) mod manifest;
#[path = "../../../tests/src/lab/capture/pcap.rs"]
pub(crate) mod pcap;
#[path = "../../../noc/src/policy/pool.rs"]
pub(crate) mod pool;
#[path = "../../../noc/src/policy/pool6.rs"]
pub(crate) mod pool6;
#[path = "../../../console/src/cli/claims/table.rs"]
pub(crate) mod table;
