//! The installer: the real one with real metadata, archives and packages, and whoever would misuse it.

mod attacks;
mod bench;
mod cuts;
mod full_disk;
mod installs;
#[path = "../support/namespaces.rs"]
mod namespaces;
mod noc;
mod one_pass;
#[path = "../support/owner.rs"]
mod owner;
mod repository;
mod vendors;
