//! Rules about the sources themselves: who may import whom, that no test is forgotten, that every file says what it is for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers of `docs/architecture.md`, lowest first. A module imports from its own layer and from those above it in
/// this table, never from those below.
const LAYERS: &[&[&str]] = &[
    &["span", "value", "secret", "random", "pointer"],
    &["node", "edit", "tree", "content"],
    &["format"],
    &["document"],
    &["cipher", "mac", "shamir"],
    &["recipient", "selection", "metadata", "config"],
    &["keys"],
    &["ops"],
];

/// Beyond the words of the lowest layer, `keys` knows only these: a back end has no business with documents.
const KEYS_SEE: &[&str] = &["recipient", "shamir", "keys"];

/// Modules of the binary: they see the public interface of the library, which the compiler enforces.
const BINARY: &[&str] = &["main", "cli"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All `.rs` files below a folder, relative to it, sorted.
fn sources(folder: &str) -> Vec<PathBuf> {
    let base = root().join(folder);
    let mut open = vec![base.clone()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path.strip_prefix(&base).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The module path of a source file: `format/yaml/scan.rs` is `["format", "yaml", "scan"]`.
fn module(file: &Path) -> Vec<String> {
    file.with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The text without comments and without the unit tests at its bottom, which may import what they like.
fn code(text: &str) -> String {
    let text = text
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default();
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The top-level modules that a file of module depth `depth` names, through `crate::` or through enough `super::`.
fn imports(code: &str, depth: usize) -> BTreeSet<String> {
    let climb = "super::".repeat(depth);
    let mut found = BTreeSet::new();
    for way in ["crate::", climb.as_str()] {
        for (at, _) in code.match_indices(way) {
            let before = code.get(..at).unwrap_or_default();
            let rest = code.get(at + way.len()..).unwrap_or_default();
            let inside_a_longer_word =
                before.ends_with(|c: char| c.is_alphanumeric() || "_$:".contains(c));
            if !inside_a_longer_word && !rest.starts_with("super::") {
                found.extend(heads(rest));
            }
        }
    }
    found
}

/// The first names of a path or of a group in braces: `a::b` gives `a`, `{a::{b, c}, d}` gives `a` and `d`.
fn heads(rest: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let Some(group) = rest.strip_prefix('{') else {
        return vec![word(rest)];
    };
    let mut heads = vec![word(group)];
    let mut depth = 1;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(word(group.get(at + 1..).unwrap_or_default())),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

/// Why `from` may not import `to`; `None` if it may. Names that are no modules (items at the root) have no layer.
fn objection(from: &str, to: &str) -> Option<String> {
    let (own, other) = (layer(from)?, layer(to)?);
    let foreign = from == "keys" && other > 0 && !KEYS_SEE.contains(&to);
    (other > own || foreign).then(|| format!("{from} may not import {to}"))
}

#[test]
fn imports_point_down_the_layers() {
    let mut wrong = Vec::new();
    for file in sources("src") {
        let module = module(&file);
        let top = module[0].as_str();
        if top == "lib" || BINARY.contains(&top) || module.last().unwrap() == "tests" {
            continue;
        }
        let name = file.display();
        if layer(top).is_none() {
            wrong.push(format!(
                "src/{name}: {top} has no layer in tests/it/tidy.rs"
            ));
        }
        let text = fs::read_to_string(root().join("src").join(&file)).unwrap();
        let imports = imports(&code(&text), module.len());
        let objections = imports.iter().filter_map(|to| objection(top, to));
        wrong.extend(objections.map(|objection| format!("src/{name}: {objection}")));
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn an_upward_import_is_noticed() {
    let source = "//! crate::ops\nuse crate::span::Span; // crate::cli\nuse crate::{\n    edit::{Edit, x},\n    document,\n};\n\
                  fn f() { super::super::keys::g(); super::scan(); }\n#[cfg(test)]\nmod tests { use crate::ops; }\n";
    let found = imports(&code(source), 2);
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        ["document", "edit", "keys", "span"]
    );
    assert!(imports("pub(crate) fn f() {} $crate::ops::x!(); mycrate::ops()", 1).is_empty());
    assert_eq!(
        objection("format", "document").unwrap(),
        "format may not import document"
    );
    assert_eq!(objection("format", "edit"), None);
    assert_eq!(objection("keys", "recipient"), None);
    assert!(
        objection("keys", "document").is_some(),
        "a back end has no business with documents"
    );
}

/// A file that no `mod` line names is a test that never runs.
#[test]
fn every_test_file_is_declared() {
    for file in sources("tests/it") {
        let module = module(&file);
        let (name, parents) = module.split_last().unwrap();
        if name == "main" {
            continue;
        }
        let parent = match parents {
            [] => root().join("tests/it/main.rs"),
            _ => root()
                .join("tests/it")
                .join(parents.join("/"))
                .with_extension("rs"),
        };
        let declared = fs::read_to_string(&parent).unwrap();
        let declared = declared
            .lines()
            .any(|line| line.ends_with(&format!("mod {name};")));
        assert!(
            declared,
            "{} does not declare {}",
            parent.display(),
            file.display()
        );
    }
}

#[test]
fn every_source_file_says_what_it_is_for() {
    for folder in ["src", "tests", "benches"] {
        for file in sources(folder) {
            let text = fs::read_to_string(root().join(folder).join(&file)).unwrap();
            let name = file.display();
            assert!(
                text.starts_with("//! "),
                "{folder}/{name} does not open with `//! `"
            );
        }
    }
}
