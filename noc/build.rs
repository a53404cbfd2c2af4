//! Puts the browser face, as `make programs` built it, into the program: a table of `ui/dist-noc/face`. Without those files the
//! table is empty, and the crate compiles all the same.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../ui/dist-noc");
    // The folder is always there, so that cargo compares times and does not build anew each time.
    println!("cargo:rerun-if-changed={}", root.display());
    println!("cargo:rerun-if-changed=build.rs");
    let built = root.join("face");
    let mut files = Vec::new();
    if built.is_dir() {
        collect(&built, &mut files)?;
    }
    files.sort();
    let mut table = "const FILES: &[(&str, &[u8])] = &[\n".to_owned();
    for file in files {
        let name = file.strip_prefix(&built).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        let _ = writeln!(table, "    ({:?}, include_bytes!({:?})),", format!("/{name}"), file.display().to_string());
    }
    table += "];\n";
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("face.rs");
    // Written only when it differs: what includes it is compiled anew otherwise.
    if fs::read_to_string(&out).is_ok_and(|before| before == table) { Ok(()) } else { fs::write(out, table) }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
