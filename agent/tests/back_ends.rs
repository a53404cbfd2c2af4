//! The network's back ends with Debian's real daemons, each test on a host of its own: network, processes, `/etc`, `/run`
//! and D-Bus. Needs root, as CI has.

#[path = "back_ends/exec.rs"]
mod exec;
#[path = "support/host.rs"]
mod host;
#[path = "back_ends/host_name.rs"]
mod host_name;
#[path = "back_ends/ifupdown.rs"]
mod ifupdown;
#[path = "back_ends/ipv6.rs"]
mod ipv6;
#[path = "support/namespaces.rs"]
mod namespaces;
#[path = "back_ends/networkd.rs"]
mod networkd;
#[path = "back_ends/networkmanager.rs"]
mod networkmanager;
#[path = "back_ends/resolver.rs"]
mod resolver;
#[path = "back_ends/rights.rs"]
mod rights;
#[path = "back_ends/time_servers.rs"]
mod time_servers;
