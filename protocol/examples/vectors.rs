//! Writes the test vectors of the protocol's version: `cargo run -p muster-protocol --example vectors -- FOLDER`.
//!
//! The vectors of a version that was released never change: `tests/vectors.rs` fails when a committed file does. This is for
//! the next version, and to look at how today's are made.

#![allow(clippy::disallowed_methods, clippy::print_stderr, reason = "it writes files; the crate does not")]

#[path = "../tests/vectors/make.rs"]
mod make;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("which folder shall the vectors be written to?");
        return ExitCode::from(2);
    };
    for (name, value) in make::files() {
        let text = serde_json::to_string_pretty(&value).expect("JSON") + "\n";
        if let Err(error) = std::fs::write(folder.join(name), text) {
            eprintln!("{}: {error}", folder.join(name).display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
