//! Exhaustive model checking of one console, two appliances and an attacker who keeps every packet.
