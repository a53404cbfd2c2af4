//! Deterministic simulation of console, NOC and appliances on a hostile network.
