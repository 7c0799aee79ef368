//! Imports run one way. A new edge between crates, or between the engine's flows, has to be argued for here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Which of ours each crate may use. Its tests may besides use `testkit`, and whatever lies below those crates: they put
/// together what they test.
const ALLOWED: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("egress", &[]),
    ("store", &["domain"]),
    ("engine", &["domain", "egress", "store"]),
    ("api", &["domain", "engine", "store"]),
    ("dashboard", &["domain", "engine", "store"]),
    ("server", &["api", "dashboard", "domain", "egress", "engine", "store"]),
    ("testkit", &["domain", "egress"]),
];

/// Folders of the engine that are flows. `outbound` imports none of the others: they bring their events to it.
const OTHER_FLOWS: &[&str] = &["clock", "control", "derive", "inbound", "workflow"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("because xtask lies in the workspace").to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn ours(manifest: &toml::Table, table: &str) -> BTreeSet<String> {
    let Some(dependencies) = manifest.get(table).and_then(toml::Value::as_table) else {
        return BTreeSet::new();
    };
    dependencies.keys().filter_map(|name| name.strip_prefix("postrider-")).map(str::to_owned).collect()
}

fn crates() -> Vec<(String, toml::Table)> {
    let folder = root().join("crates");
    let mut crates: Vec<_> = fs::read_dir(&folder)
        .expect("the crates folder can be listed")
        .map(|entry| entry.expect("an entry of the crates folder").path())
        .filter(|path| path.join("Cargo.toml").exists())
        .map(|path| {
            let name = path.file_name().expect("because it is an entry").to_string_lossy().into_owned();
            let manifest = read(&path.join("Cargo.toml")).parse().expect("the manifest is TOML");
            (name, manifest)
        })
        .collect();
    crates.sort_by(|(a, _), (b, _)| a.cmp(b));
    crates
}

fn allowed(name: &str) -> Option<&'static [&'static str]> {
    ALLOWED.iter().find(|(known, _)| *known == name).map(|(_, imports)| *imports)
}

fn lies_below(name: &str, import: &str) -> bool {
    allowed(name)
        .is_some_and(|imports| imports.iter().any(|next| *next == import || lies_below(next, import)))
}

/// What a crate imports beyond what it may.
fn forbidden_edges(name: &str, manifest: &toml::Table) -> Vec<String> {
    let Some(allowed) = allowed(name) else {
        return vec![format!("{name} is not in the list of crates in xtask/tests/imports.rs")];
    };
    let mut edges = Vec::new();
    for table in ["dependencies", "build-dependencies", "dev-dependencies"] {
        for import in ours(manifest, table) {
            let for_tests = table == "dev-dependencies" && (import == "testkit" || lies_below(name, &import));
            if !for_tests && !allowed.contains(&import.as_str()) {
                edges.push(format!("{name} → {import} ({table})"));
            }
        }
    }
    edges
}

#[test]
fn crates_import_one_way() {
    let crates = crates();
    assert!(crates.len() >= 7, "found only {} crates", crates.len());
    let edges: Vec<_> = crates.iter().flat_map(|(name, manifest)| forbidden_edges(name, manifest)).collect();
    assert!(edges.is_empty(), "ARCHITECTURE.md does not allow: {}", edges.join(", "));
}

#[test]
fn a_new_edge_is_seen() {
    let manifest = |text: &str| text.parse().expect("the test's own manifest is TOML");
    let upward = manifest("[dependencies]\npostrider-engine = { workspace = true }\nserde = \"1\"");
    assert_eq!(forbidden_edges("store", &upward), ["store → engine (dependencies)"]);
    let shipped = manifest("[dependencies]\npostrider-testkit = { workspace = true }");
    assert_eq!(forbidden_edges("server", &shipped), ["server → testkit (dependencies)"]);
    let tested = manifest("[dev-dependencies]\npostrider-testkit = { workspace = true }");
    assert!(forbidden_edges("server", &tested).is_empty());
    assert_eq!(forbidden_edges("new", &tested).len(), 1);
    let below = manifest("[dev-dependencies]\npostrider-egress = \"1\"\npostrider-server = \"1\"");
    assert_eq!(forbidden_edges("api", &below), ["api → server (dev-dependencies)"]);
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("an entry of a source folder").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The other flows that a source names: as `crate::flow::…`, or inside `use crate::{…}`. Comments may name them.
fn flows_named(source: &str) -> Vec<&'static str> {
    let code: Vec<_> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join(" ");
    let grouped: Vec<_> = code
        .split("use crate::{")
        .skip(1)
        .filter_map(|rest| rest.split("};").next())
        .flat_map(|group| group.split([',', '{', '}']))
        .map(str::trim)
        .collect();
    let names = |flow: &str| {
        let path = |text: &str| text == flow || text.starts_with(&format!("{flow}::"));
        grouped.iter().any(|item| path(item))
            || code
                .split("crate::")
                .skip(1)
                .any(|rest| path(rest.split([';', ' ', '(', ',', ')']).next().unwrap_or_default()))
    };
    OTHER_FLOWS.iter().copied().filter(|flow| names(flow)).collect()
}

#[test]
fn outbound_imports_no_other_flow() {
    let mut files = Vec::new();
    rust_files(&root().join("crates/engine/src/outbound"), &mut files);
    assert!(!files.is_empty(), "the outbound flow has moved: mend this test");
    for file in files {
        let source = read(&file);
        let named = flows_named(&source);
        assert!(named.is_empty(), "{} uses another flow: {named:?}", file.display());
    }
}

#[test]
fn another_flow_is_seen() {
    for (source, flows) in [
        ("use crate::control::audit;\n// crate::clock::x\nuse crate::accept;", vec!["control"]),
        ("let x = crate::clock::leader::NAME;", vec!["clock"]),
        ("use crate::{\n    accept::Accept,\n    workflow::run,\n};", vec!["workflow"]),
        ("use crate::{accept, derive};", vec!["derive"]),
        ("use crate::accept;\nlet control = super::clock();", vec![]),
    ] {
        assert_eq!(flows_named(source), flows, "{source}");
    }
}

/// The one place where the parts are put together is the binary: only it, and tests, may use everything.
#[test]
fn the_test_kit_is_in_no_product() {
    for (name, manifest) in crates() {
        assert!(!ours(&manifest, "dependencies").contains("testkit"), "{name} ships the test kit");
    }
}
