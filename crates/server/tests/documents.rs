//! The pages for people say nothing about the code that is not there.

use std::fs;
use std::path::{Path, PathBuf};

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the crate lies two folders below the workspace")
}

/// All files below a folder whose name ends so.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the workspace") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("node_modules") {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found
}

fn pages() -> Vec<PathBuf> {
    let mut pages = files(&workspace().join("docs"), ".md");
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "tests/oracles/README.md"]
    {
        pages.push(workspace().join(name));
    }
    pages
}

/// What stands between single backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// A name that only a test can have: lower case, with at least four words.
fn is_test_name(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && word.matches('_').count() >= 3
}

#[test]
fn every_test_that_the_architecture_names_exists() {
    let mut code = String::new();
    for folder in ["crates", "xtask"] {
        for file in files(&workspace().join(folder), ".rs") {
            code.push_str(&fs::read_to_string(file).expect("a source file"));
        }
    }
    let page = fs::read_to_string(workspace().join("ARCHITECTURE.md")).expect("the page is there");
    let named: Vec<&str> = quoted(&page).filter(|word| is_test_name(word)).collect();
    assert!(named.len() > 20, "the page names tests: {named:?}");
    let missing: Vec<&&str> = named.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names tests that are not there: {missing:?}");
}

#[test]
fn every_link_between_the_pages_leads_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            if !page.parent().expect("a folder").join(path).exists() {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_decision_is_in_the_index() {
    let folder = workspace().join("docs/decisions");
    let index = fs::read_to_string(folder.join("README.md")).expect("the index");
    for file in files(&folder, ".md") {
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(name == "README.md" || index.contains(&name), "{name} is not in docs/decisions/README.md");
    }
}
