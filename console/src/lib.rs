//! The engine behind the console, without a window.

pub mod bindings;
mod check;
pub mod cli;
pub mod engine;
mod export;
pub mod files;
pub mod identity;
pub mod jobs;
pub mod noc_client;
pub mod oui;
pub mod problem;
pub mod store;
mod udp;
pub mod view;
