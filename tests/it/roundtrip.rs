//! Law 2: `decrypt(encrypt(x))` is `x`, byte for byte, and what is written in between follows the spec as a second reader,
//! which shares no code with the library, understands it.

use std::path::{Path, PathBuf};

use sops_rs::document::Document;
use sops_rs::edit::{Edit, splice};
use sops_rs::node::{Kind, Node};
use sops_rs::span::Span;

use crate::spec_reader::{self, Format, fixtures};
use crate::support::{ALICE, World, sops_fixtures, testdata};

/// Every file below `folder`, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|_| panic!("no {folder:?}")) {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Seals and opens one file with the program, and has the sealed text judged by the second reader.
fn round_trip(world: &World, path: &Path) -> Vec<u8> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .expect("UTF-8");
    let sealed = world.path(name);
    let ran = world.run([
        Path::new("encrypt"),
        Path::new("--allow-clear"),
        Path::new("--age"),
        Path::new(ALICE),
        Path::new("--output"),
        &sealed,
        path,
    ]);
    assert_eq!(ran.code, Some(0), "{path:?}: {}", ran.stderr);
    let text = world.read(name);
    let format = Format::of_path(name);
    let reading = spec_reader::accept(name, &text, format, &fixtures::keys("alice"));
    // SOPS cannot load `%YAML 1.2`; without that line it reads the same document.
    if format != Format::Binary {
        let plain = std::fs::read_to_string(path).expect("UTF-8");
        let plain = plain.replace("%YAML 1.2\n", "");
        let want = spec_reader::plain(&plain, format).expect("a readable plaintext");
        let values = |leaves: &[spec_reader::Leaf]| -> Vec<(String, &str, String)> {
            leaves
                .iter()
                .map(|leaf| (leaf.aad.clone(), leaf.kind, leaf.text()))
                .collect()
        };
        assert_eq!(
            values(&reading.leaves),
            values(&want),
            "{path:?}: values changed"
        );
    }
    let due = reading
        .comments
        .iter()
        .find(|comment| comment.due && !comment.sealed);
    assert!(
        due.is_none(),
        "{path:?}: a comment that the rule seals is in clear: {due:?}"
    );
    assert!(
        spec_reader::unopened(&reading).is_empty(),
        "{path:?}: a sealed comment does not open"
    );
    let ran = world.run([Path::new("decrypt"), &sealed]);
    assert_eq!(ran.code, Some(0), "{path:?}: {}\n{text}", ran.stderr);
    ran.stdout
}

/// Asserts that every file comes back as `judge` wants it, and names all that do not.
fn assert_round_trips(paths: &[PathBuf], judge: impl Fn(&Path, &[u8], &[u8]) -> bool) {
    let world = World::with_identity("alice");
    let mut failures = String::new();
    for path in paths {
        let want = std::fs::read(path).expect("a file");
        let got = round_trip(&world, path);
        if !judge(path, &want, &got) {
            let (want, got) = (
                String::from_utf8_lossy(&want),
                String::from_utf8_lossy(&got),
            );
            failures.push_str(&format!(
                "{path:?} came back changed:\n--- want\n{want}\n--- got\n{got}\n"
            ));
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn every_roundtrip_file_comes_back_byte_for_byte() {
    let paths = files(&testdata("roundtrip"));
    assert!(paths.len() >= 60, "files went missing");
    assert_round_trips(&paths, |_, want, got| want == got);
}

/// What SOPS was given. These files are full of spellings that the wire format has no room for; all else must be the
/// same bytes.
#[test]
fn every_plain_fixture_comes_back_but_for_the_documented_spellings() {
    let paths: Vec<PathBuf> = files(&sops_fixtures().join("plain"))
        .into_iter()
        .filter(|path| !path.ends_with("anchors.yaml"))
        .collect();
    assert!(paths.len() >= 14, "files went missing");
    assert_round_trips(&paths, same_but_for_spellings);
}

#[test]
fn every_random_plain_file_comes_back_but_for_the_documented_spellings() {
    let paths: Vec<PathBuf> = files(&sops_fixtures().join("random"))
        .into_iter()
        .filter(|path| path.to_str().is_some_and(|path| path.contains(".plain.")))
        .collect();
    assert_eq!(paths.len(), 66, "files went missing");
    assert_round_trips(&paths, same_but_for_spellings);
}

/// Whether two texts differ in nothing but scalars, and there only as `docs/compat.md` allows.
fn same_but_for_spellings(path: &Path, want: &[u8], got: &[u8]) -> bool {
    let format = sops_rs::format::Format::of_path(path.to_str().expect("UTF-8"));
    let (Ok(want), Ok(got)) = (std::str::from_utf8(want), std::str::from_utf8(got)) else {
        return want == got;
    };
    if want == got || format == sops_rs::format::Format::Binary {
        return want == got;
    }
    let (before, after) = (scalars(format, want), scalars(format, got));
    let mut edits = Vec::new();
    for (old, new) in before.iter().zip(&after) {
        if old.of(want) != new.of(got) {
            if !is_documented(old.of(want)) {
                return false;
            }
            edits.push(Edit::new(*old, new.of(got)));
        }
    }
    before.len() == after.len() && splice(want, &edits).is_ok_and(|text| *text == got)
}

/// Where the scalars of a text stand, tags included.
fn scalars(format: sops_rs::format::Format, text: &str) -> Vec<Span> {
    let document = Document::parse(format, text).expect("a readable text");
    let scalar = |node: &&Node| node.kind == Kind::Scalar;
    let span = |node: &Node| Span::new(node.props.start().min(node.span.start()), node.span.end());
    document.nodes().iter().filter(scalar).map(span).collect()
}

/// Whether a scalar is spelled in one of the ways of the closed list: folded or broken over lines, with an escape, with
/// a tag, or as a number, truth value or date that is not in its shortest form.
fn is_documented(text: &str) -> bool {
    let number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && text
            .chars()
            .all(|c| c.is_ascii_hexdigit() || "+-._xXoOINFinf".contains(c));
    let date = text.len() >= 8
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || "-:. tTzZ+".contains(c));
    let truth = ["true", "false"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word));
    text.contains('\n') || text.contains('\\') || text.starts_with("!!") || number || date || truth
}

/// The closed list of law 2: `NAME.EXT` comes back as `NAME.opened.EXT`.
#[test]
fn every_exception_comes_back_as_documented() {
    let world = World::with_identity("alice");
    let mut seen = 0;
    for path in files(&testdata("exceptions")) {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("UTF-8")
            .to_owned();
        let Some((stem, suffix)) = name
            .rsplit_once('.')
            .filter(|(stem, _)| !stem.ends_with(".opened"))
        else {
            continue;
        };
        if name == "README.md" {
            continue;
        }
        let want = std::fs::read(path.with_file_name(format!("{stem}.opened.{suffix}")))
            .expect("the twin");
        let got = round_trip(&world, &path);
        assert_eq!(
            String::from_utf8_lossy(&got),
            String::from_utf8_lossy(&want),
            "{name}"
        );
        seen += 1;
    }
    assert!(seen >= 10, "files went missing");
}
