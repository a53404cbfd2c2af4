//! Writes `ui/src/bindings.ts`.

fn main() -> std::io::Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../ui/src/bindings.ts");
    std::fs::write(path, muster_console::bindings::typescript())
}
