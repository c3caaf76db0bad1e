//! The arrows of ARCHITECTURE.md, read off the imports.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Every Rust file of a module: `name.rs` and what lies below `name/`.
fn files_of(module: &str) -> Vec<PathBuf> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![src.join(format!("{module}.rs"))];
    let mut folders = vec![src.join(module)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// The modules of this crate that a module names after `crate::`.
fn imports(module: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in files_of(module) {
        let text = fs::read_to_string(&file).expect("source file");
        for (at, _) in text.match_indices("crate::") {
            let rest = &text[at + "crate::".len()..];
            let group = rest.strip_prefix('{').and_then(|r| r.split_once("};")).map(|(inside, _)| inside);
            let mut depth = 0;
            for part in group.unwrap_or(rest).split_inclusive([',', '{', '}']) {
                if depth == 0 {
                    let name: String =
                        part.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    found.insert(name);
                }
                match part.chars().last() {
                    Some('{') => depth += 1,
                    Some('}') => depth -= 1,
                    _ => {}
                }
                if group.is_none() {
                    break;
                }
            }
        }
    }
    found.remove(module);
    // After the last comma of a group.
    found.remove("");
    found
}

fn check(module: &str, may_import: &[&str]) {
    let imports = imports(module);
    assert!(!imports.is_empty() || may_import.is_empty(), "nothing was read of {module}");
    let allowed: BTreeSet<String> = may_import.iter().map(|&m| m.to_owned()).collect();
    let wrong: Vec<_> = imports.difference(&allowed).collect();
    assert!(wrong.is_empty(), "{module} imports {wrong:?}; see ARCHITECTURE.md");
}

#[test]
fn imports_are_read_from_groups_and_single_lines() {
    let pipeline = imports("pipeline");
    for module in ["cache", "clock", "metrics", "origin", "routing", "viewer"] {
        assert!(pipeline.contains(module), "{module} is missing in {pipeline:?}");
    }
}

#[test]
fn routing_cache_and_origin_meet_only_in_the_pipeline() {
    check("routing", &["signing"]);
    check("signing", &["clock"]);
    check("cache", &["clock", "closed", "durable", "end_to_end", "error_chain", "metrics"]);
    check("origin", &["clock", "end_to_end", "error_chain"]);
}

#[test]
fn sync_puts_in_force_and_reports_but_never_serves() {
    check(
        "sync",
        &["cache", "config", "durable", "error_chain", "metrics", "origin_problems", "peers", "routing"],
    );
}

#[test]
fn planes_depend_on_the_contract_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for plane in ["proto", "control-plane", "edge-agent"] {
        let manifest = fs::read_to_string(root.join(plane).join("Cargo.toml")).expect("manifest");
        let ours = manifest.lines().filter(|line| line.starts_with("headland"));
        let wrong: Vec<_> = ours.filter(|line| !line.starts_with("headland-proto")).collect();
        assert!(wrong.is_empty(), "{plane} depends on {wrong:?}");
    }
}
