//! The rules between rooms, as tests: what the design forbids fails here, and the message says what to do instead.
//!
//! Nothing is compiled or downloaded: the tests read the manifests, the lock file and the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Which workspace crates each crate may depend on, for its program, its tests and its build script alike.
const ARROWS: &[(&str, &[&str])] = &[
    ("muster-protocol", &[]),
    ("muster-applet", &["muster-protocol"]),
    ("muster-agent", &["muster-protocol"]),
    ("muster-noc", &["muster-applet", "muster-protocol"]),
    ("muster-console", &["muster-applet", "muster-protocol"]),
    ("muster-desktop", &["muster-applet", "muster-console", "muster-noc", "muster-protocol"]),
    ("muster-simulator", &["muster-protocol"]),
    ("muster-model", &["muster-protocol"]),
    ("muster-fuzz-harness", &["muster-protocol"]),
    (
        "system-tests",
        &["muster-agent", "muster-applet", "muster-console", "muster-desktop", "muster-noc", "muster-protocol"],
    ),
];

/// Crates that bring sockets, files, clocks, entropy or a runtime: none may be anywhere below `protocol`.
const IMPURE: &[&str] = &[
    "async-std",
    "axum",
    "chrono",
    "getrandom",
    "hyper",
    "if-addrs",
    "mio",
    "nix",
    "rand",
    "reqwest",
    "rtnetlink",
    "rusqlite",
    "rustls",
    "smol",
    "socket2",
    "tempfile",
    "time",
    "tokio",
    "tracing-subscriber",
    "zbus",
];

/// The pure machines of `protocol`. None knows another: shells and tests join them.
const MACHINES: &[&str] = &["appliance", "beat", "beat_watch", "delivery", "discovery"];

const LONGEST_FILE: usize = 600;

#[test]
fn arrows_between_crates_point_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let metadata = metadata();
    let members: BTreeSet<&str> = metadata.workspace_packages().iter().map(|member| member.name.as_str()).collect();

    let mut findings = Vec::new();
    for member in metadata.workspace_packages() {
        let Some(may) = allowed.get(member.name.as_str()) else {
            findings.push(format!("{} is new: say in ARROWS what it may depend on", member.name));
            continue;
        };
        for dependency in &member.dependencies {
            let name = dependency.name.as_str();
            if members.contains(name) && !may.contains(&name) {
                findings.push(format!(
                    "{} depends on {name}: move what they share into protocol, or pass it in from the crate that may see both",
                    member.name
                ));
            }
        }
    }
    assert_clean("design.md §2, arrows between rooms", findings);
}

#[test]
fn protocol_stays_pure() {
    let metadata = metadata();
    let protocol = package(&metadata, "muster-protocol");
    let direct = protocol
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development)
        .map(|dependency| dependency.name.clone());
    let below: BTreeSet<String> = direct.chain(dependency_graph("muster-protocol")).collect();

    let findings = IMPURE
        .iter()
        .filter(|impure| below.contains(**impure))
        .map(|impure| {
            format!("protocol reaches {impure}: take its bytes, time or randomness as an argument, or switch the feature off that brings it")
        })
        .collect();
    assert_clean("protocol has no sockets, files, clocks, entropy or runtime", findings);
}

#[test]
fn layers_inside_protocol_point_one_way() {
    let source = workspace().join("protocol/src");
    let mut findings = Vec::new();
    for file in files_under(&source, &["rs"]) {
        let inside = file.strip_prefix(&source).expect("files_under yields files below its folder");
        // A machine's tests may play its counterpart with the real one.
        if inside.ends_with("tests.rs") {
            continue;
        }
        let module = module_of(inside);
        let forbidden: Vec<&str> = match module.as_str() {
            "id" | "time" => [&["wire"], MACHINES].concat(),
            "crypto" => [&["wire"], MACHINES].concat(),
            "wire" => MACHINES.to_vec(),
            machine if MACHINES.contains(&machine) => {
                MACHINES.iter().copied().filter(|other| *other != machine).collect()
            }
            _ => continue,
        };
        for (number, line) in code_lines(&read(&file)) {
            for other in &forbidden {
                let path = format!("crate::{other}");
                let named = line.match_indices(&path).any(|(at, _)| {
                    !line[at + path.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '_')
                });
                if named {
                    findings.push(format!(
                        "{}:{number} uses {path}: move what both need to a lower layer (id, time <- crypto <- wire <- machines)",
                        shown(&file)
                    ));
                }
            }
        }
    }
    assert_clean("style.md §4, layers inside protocol", findings);
}

#[test]
fn only_one_tls_library_is_in_our_programs() {
    const OTHERS: &[&str] = &["ring", "native-tls", "openssl-sys"];
    let mut findings = Vec::new();
    for program in ["muster-agent", "muster-noc", "muster-console", "muster-desktop", "system-tests"] {
        let graph = dependency_graph(program);
        findings.extend(OTHERS.iter().filter(|other| graph.contains(**other)).map(|other| {
            format!(
                "{program} reaches {other}: `cargo tree -p {program} -i {other}` shows the way; \
                 switch that crate's default features off and choose its aws-lc-rs feature"
            )
        }));
    }
    assert_clean("one TLS library: rustls over aws-lc-rs", findings);
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    let findings = metadata()
        .workspace_packages()
        .iter()
        .filter(|member| !read(member.manifest_path.as_std_path()).contains("[lints]\nworkspace = true"))
        .map(|member| format!("{}: add `[lints]` with `workspace = true`", member.manifest_path))
        .collect();
    assert_clean("one set of lints", findings);
}

#[test]
fn protocol_repeats_the_clippy_rules_of_the_root() {
    let own = read(&workspace().join("protocol/clippy.toml"));
    let findings = read(&workspace().join("clippy.toml"))
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty() && !own.contains(line))
        .map(|line| format!("protocol/clippy.toml lacks `{line}`: copy it from clippy.toml, which it replaces"))
        .collect();
    assert_clean("protocol/clippy.toml is the root's and more", findings);
}

#[test]
fn only_the_backend_folder_knows_the_desktop_shell() {
    let ui = workspace().join("ui");
    let backend = ui.join("src/backend");
    let findings = files_under(&ui.join("src"), &["ts", "tsx"])
        .into_iter()
        .filter(|file| !file.starts_with(&backend))
        .filter(|file| read(file).contains("@tauri-apps"))
        .map(|file| {
            format!("{} imports @tauri-apps: add what it needs to the interface in ui/src/backend/", shown(&file))
        })
        .collect();
    assert_clean("pages run in a browser and in tests without the desktop shell", findings);
}

#[test]
fn the_face_of_the_noc_holds_nothing_of_the_desktop_app() {
    let source = workspace().join("ui/src");
    let adapter = source.join("backend/desktop.ts");
    let (face, own) = (source.join("noc"), source.join("backend/noc.ts"));
    let mut findings: Vec<String> = files_under(&source.join("backend"), &["ts", "tsx"])
        .into_iter()
        .filter(|file| *file != adapter && read(file).contains("@tauri-apps"))
        .map(|file| format!("{} imports @tauri-apps: only ui/src/backend/desktop.ts does", shown(&file)))
        .collect();
    // `#backend` is the desktop's adapter or its simulation; the store and the wizard are of one site.
    const FOREIGN: &[&str] = &["#backend", "backend/desktop", "backend/fake.ts", "/store/", "ag-grid"];
    for file in files_under(&face, &["ts", "tsx"]).into_iter().chain([own]) {
        let text = read(&file);
        for foreign in FOREIGN.iter().filter(|foreign| text.contains(**foreign)) {
            findings.push(format!(
                "{} imports {foreign}: the NOC's pages speak to ui/src/backend/noc.ts alone (decision 0031)",
                shown(&file)
            ));
        }
    }
    assert_clean("decision 0031, a page of its own", findings);
}

#[test]
fn modules_are_named_files() {
    let findings = sources(&["rs"])
        .into_iter()
        .filter(|file| file.file_name().is_some_and(|name| name == "mod.rs"))
        .map(|file| {
            let folder = file.parent().unwrap_or(&file);
            format!("{}: rename it to {}.rs, beside its folder", shown(&file), shown(folder))
        })
        .collect();
    assert_clean("modules are name.rs and name/", findings);
}

#[test]
fn files_have_one_purpose() {
    let mut findings = Vec::new();
    for file in sources(&["rs", "ts", "tsx"]) {
        let text = read(&file);
        let lines = text.lines().count();
        if lines > LONGEST_FILE && !generated(&text) {
            findings.push(format!(
                "{} has {lines} lines: split it by state, message or page (aim below 400, {LONGEST_FILE} at most)",
                shown(&file)
            ));
        }
    }
    assert_clean("no file above 600 lines", findings);
}

#[test]
fn names_say_what_a_thing_does() {
    let mut findings = Vec::new();
    for file in sources(&["rs", "ts", "tsx"]) {
        let text = read(&file);
        if generated(&text) {
            continue;
        }
        for (number, line) in code_lines(&text) {
            if let Some(name) = declared_type(line)
                && words(name).any(|word| ["Manager", "Helper", "Helpers", "Util", "Utils"].contains(&word))
            {
                findings.push(format!("{}:{number} {name}: name it after the one thing that it does", shown(&file)));
            }
        }
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        if ["manager", "helper", "helpers", "util", "utils"].contains(&stem.as_str()) {
            findings.push(format!("{}: name the file after the one thing that it does", shown(&file)));
        }
    }
    assert_clean("no Manager, Helper or Util", findings);
}

#[test]
fn no_test_is_switched_off() {
    // Put together, so that this file does not find itself.
    let ignored = concat!("#[ign", "ore");
    let switched_off = ["it.skip(", "test.skip(", "describe.skip(", "it.only(", "test.only(", "describe.only("];
    let mut findings = Vec::new();
    for file in sources(&["rs", "ts", "tsx"]) {
        if file.ends_with("tests/tests/architecture.rs") {
            continue;
        }
        for (number, line) in code_lines(&read(&file)) {
            if line.contains(ignored) || switched_off.iter().any(|call| line.contains(call)) {
                findings.push(format!("{}:{number}: repair the test or delete it", shown(&file)));
            }
        }
    }
    assert_clean("every test runs", findings);
}

#[test]
fn names_of_types_are_recognised() {
    assert_eq!(declared_type("pub struct BeatWatch<T> {"), Some("BeatWatch"));
    assert_eq!(declared_type("    pub(crate) enum JobManager {"), Some("JobManager"));
    assert_eq!(declared_type("export interface GridHelper {"), Some("GridHelper"));
    assert_eq!(declared_type("let manager = 1;"), None);
    assert_eq!(words("JobManager2").collect::<Vec<_>>(), ["Job", "Manager2"]);
    assert_eq!(words("HTTPUtil").collect::<Vec<_>>(), ["H", "T", "T", "P", "Util"]);
}

fn assert_clean(rule: &str, findings: Vec<String>) {
    let mut report = format!("rule broken: {rule}\n");
    for finding in &findings {
        let _ = writeln!(report, "  {finding}");
    }
    assert!(findings.is_empty(), "{report}");
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_path_buf()
}

fn metadata() -> Metadata {
    // Without the dependencies' own manifests: those of other systems were never downloaded here.
    MetadataCommand::new().current_dir(workspace()).no_deps().exec().expect("cargo reads the workspace's manifests")
}

fn package<'a>(metadata: &'a Metadata, name: &str) -> &'a Package {
    metadata.packages.iter().find(|package| package.name.as_str() == name).expect("the crate is in the workspace")
}

/// The names of all crates that are compiled into `package` on this system, itself included. Asked of `cargo tree`, for
/// it resolves features for that package alone; the lock file and `cargo metadata` mix in everybody's.
fn dependency_graph(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(workspace())
        .args(["tree", "--locked", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"])
        .args(["--package", package])
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "cargo tree -p {package}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

/// All source files of ours with one of `extensions`, sorted.
fn sources(extensions: &[&str]) -> Vec<PathBuf> {
    files_under(&workspace(), extensions)
}

fn files_under(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    const NOT_OURS: &[&str] = &["target", "node_modules", "dist", "artifacts", "gen"];
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let entry = entry.expect("a folder of the workspace can be listed");
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if !name.starts_with('.') && !NOT_OURS.contains(&name.as_str()) {
                found.extend(files_under(&path, extensions));
            }
        } else if path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn shown(file: &Path) -> String {
    file.strip_prefix(workspace()).unwrap_or(file).display().to_string()
}

/// `delivery` for both `delivery.rs` and `delivery/retry.rs`.
fn module_of(inside: &Path) -> String {
    let first = inside.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
    first.unwrap_or_default().trim_end_matches(".rs").to_owned()
}

/// Lines with their numbers, without those that are only a comment.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn generated(text: &str) -> bool {
    text.lines().take(5).any(|line| line.to_lowercase().contains("generated"))
}

/// The name that a line declares as a type, in Rust or TypeScript.
fn declared_type(line: &str) -> Option<&str> {
    let mut tokens = line.split_whitespace().skip_while(|token| {
        token.starts_with("pub") || ["export", "default", "abstract", "unsafe", "declare"].contains(token)
    });
    let keyword = tokens.next()?;
    if !["struct", "enum", "trait", "type", "union", "class", "interface"].contains(&keyword) {
        return None;
    }
    let rest = tokens.next()?;
    let end = rest.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(rest.len());
    Some(&rest[..end]).filter(|name| !name.is_empty())
}

/// The words of a CamelCase name.
fn words(name: &str) -> impl Iterator<Item = &str> {
    let starts = name.char_indices().filter(|(_, letter)| letter.is_uppercase()).map(|(at, _)| at);
    let mut bounds: Vec<usize> = starts.collect();
    bounds.push(name.len());
    (1..bounds.len()).map(move |end| &name[bounds[end - 1]..bounds[end]])
}
