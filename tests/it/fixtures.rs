//! We read what SOPS writes: every file sealed by SOPS 3.13.2 opens to the values, types and comments SOPS finds in it, and
//! every damaged one is refused with SOPS's exit code and a message that names the problem and the place.

use std::collections::BTreeMap;
use std::path::Path;

use sops_rs::document::{Document, Step};
use sops_rs::format::Format;
use sops_rs::node::ScanError;
use sops_rs::value::Value;

use crate::support::gnupg::Gnupg;
use crate::support::{World, sops_fixtures};

/// The values of a file with their paths, and its comments.
#[derive(Debug, Default, PartialEq)]
struct Content {
    values: Vec<(String, String)>,
    comments: Vec<String>,
}

/// Reads a file's content. Floats without a fraction count as integers: SOPS prints them without a dot.
fn content(path: &Path, bytes: &[u8]) -> Content {
    let format = Format::of_path(path.to_str().expect("UTF-8"));
    if format == Format::Binary {
        let values = vec![("data".to_owned(), format!("{bytes:?}"))];
        return Content {
            values,
            comments: Vec::new(),
        };
    }
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let document =
        Document::parse(format, text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let mut content = Content::default();
    document
        .walk(|step| {
            match step {
                Step::Leaf { id, path, .. } => {
                    let value = document.value(document.node(id).expect("a node"))?;
                    content
                        .values
                        .push((path.additional_data().to_owned(), spelled(&value)));
                }
                Step::Comment { id, .. } => {
                    if let Value::Str(text) = document.value(document.node(id).expect("a node"))? {
                        content
                            .comments
                            .extend(text.expose().lines().map(str::to_owned));
                    }
                }
                Step::Enter { .. } | Step::Leave { .. } => {}
            }
            Ok::<(), ScanError>(())
        })
        .expect("a readable document");
    // Where a comment stands is a matter of layout: SOPS moves inline comments to lines of their own.
    content.comments.retain(|text| !text.is_empty());
    content.comments.sort();
    content
}

/// Compares two contents and names what differs first. SOPS cannot open some comments and loses others in its layout
/// (spec 7.2.4): of comments we may have more.
fn assert_same(name: &str, mut got: Content, want: Content) {
    let differs = got
        .values
        .iter()
        .zip(&want.values)
        .find(|(got, want)| got != want);
    assert!(differs.is_none(), "{name}: {differs:?}");
    assert_eq!(got.values.len(), want.values.len(), "{name}: values");
    for text in want.comments {
        if !text.starts_with("ENC[") {
            let found = got.comments.iter().position(|comment| *comment == text);
            let found = found.unwrap_or_else(|| panic!("{name}: the comment `{text}` is missing"));
            got.comments.remove(found);
        }
    }
    let unopened = got.comments.iter().find(|text| text.starts_with("ENC["));
    assert!(unopened.is_none(), "{name}: a comment was not opened");
}

fn spelled(value: &Value<'_>) -> String {
    let text = String::from_utf8_lossy(&value.canonical()).into_owned();
    match value {
        Value::Null => "null".to_owned(),
        // SOPS prints the negative zero as `-0`, which is the integer 0 when it is read again.
        Value::Float(zero) if *zero == 0.0 => "Int 0".to_owned(),
        Value::Float(_) if !text.contains(['.', 'I', 'N']) => format!("Int {text}"),
        Value::Float(_) => format!("Float {text}"),
        Value::Int(_) => format!("Int {text}"),
        Value::Bool(_) => format!("Bool {text}"),
        Value::Time(_) => format!("Time {text}"),
        Value::Str(_) | Value::Bytes(_) => format!("Str {text}"),
        Value::Lexeme(kind, _) => format!("{kind:?} {text}"),
    }
}

/// The identities that open a case of `cases.tsv`.
fn world(identity: &str) -> World {
    let keys = sops_fixtures().join("keys");
    let key = |name: &str| keys.join(name).to_str().expect("UTF-8").to_owned();
    match identity.split_whitespace().next().unwrap_or_default() {
        "alice" if identity.contains('+') => {
            let both = ["alice", "bob"].map(|name| {
                std::fs::read_to_string(key(&format!("{name}.age.txt"))).expect("a key file")
            });
            World::new().set("SOPS_AGE_KEY", &both.concat())
        }
        name @ ("alice" | "bob" | "quantum") => World::with_identity(name),
        name @ ("ssh_ed25519" | "ssh_rsa") => {
            World::new().set("SOPS_AGE_SSH_PRIVATE_KEY_FILE", &key(name))
        }
        other => panic!("no identity for {other}"),
    }
}

#[test]
fn every_sealed_fixture_opens_to_its_twin() {
    let folder = sops_fixtures();
    let cases = std::fs::read_to_string(folder.join("cases.tsv")).expect("the table of cases");
    let mut opened = 0;
    for line in cases.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (case, input, identity) = (columns[0], columns[1], columns[3]);
        // The passphrase needs a terminal and has its own test.
        if identity.ends_with("passphrase") {
            continue;
        }
        let gnupg = identity
            .starts_with("pgp")
            .then(|| Gnupg::with_keys(&[identity]));
        let suffix = input.rsplit('.').next().expect("a suffix");
        let sealed = folder.join("sealed").join(format!("{case}.{suffix}"));
        let twin = folder.join("opened").join(format!("{case}.{suffix}"));
        let world = gnupg.as_ref().map_or_else(|| world(identity), Gnupg::world);
        let ran = world.run([Path::new("decrypt"), &sealed]);
        assert_eq!(ran.code, Some(0), "{case}: {}", ran.stderr);
        let want = std::fs::read(&twin).expect("the twin");
        assert_same(case, content(&sealed, &ran.stdout), content(&twin, &want));
        opened += 1;
    }
    assert_eq!(opened, 36, "cases went missing");
}

#[test]
fn every_random_file_opens_to_its_twin() {
    let world = World::with_identity("alice");
    let mut opened = 0;
    for entry in std::fs::read_dir(sops_fixtures().join("random")).expect("the folder") {
        let sealed = entry.expect("an entry").path();
        let name = sealed
            .file_name()
            .and_then(|name| name.to_str())
            .expect("UTF-8")
            .to_owned();
        if !name.contains(".sealed.") {
            continue;
        }
        let twin = sealed.with_file_name(name.replace(".sealed.", ".opened."));
        let ran = world.run([Path::new("decrypt"), &sealed]);
        assert_eq!(ran.code, Some(0), "{name}: {}", ran.stderr);
        let want = std::fs::read(&twin).expect("the twin");
        assert_same(&name, content(&sealed, &ran.stdout), content(&twin, &want));
        opened += 1;
    }
    assert_eq!(opened, 66, "files went missing");
}

#[test]
fn every_tampered_file_is_refused_with_the_code_of_sops() {
    // What the message must name, beside the file: the problem, and the place where there is one.
    let expected: BTreeMap<&str, (i32, &[&str])> = BTreeMap::from([
        ("clear-value-changed", (51, &["MAC"][..])),
        ("swapped-list-items", (51, &["MAC"])),
        ("value-removed", (51, &["MAC"])),
        ("no-mac", (51, &["no MAC"])),
        ("mac-garbage", (51, &["MAC"])),
        ("lastmodified-changed", (51, &["MAC", "lastmodified"])),
        ("tag-flipped", (25, &[":"])),
        ("value-moved-to-other-key", (25, &[":"])),
        ("plaintext-where-token-expected", (25, &["ENC[…] token"])),
        ("no-lastmodified", (1, &["lastmodified"])),
        ("no-version", (1, &["version"])),
        ("no-recipients", (1, &["recipients"])),
        ("truncated", (1, &[])),
        ("conflict-markers", (1, &["merge conflict", ":"])),
    ]);
    let world = World::with_identity("alice");
    let folder = sops_fixtures().join("tampered");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("UTF-8");
        let (code, words) = expected
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not in the table"));
        let ran = world.run([Path::new("decrypt"), &path]);
        assert_eq!(ran.code, Some(*code), "{name}: {}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{name} gave output");
        for word in words.iter().chain(&[".yaml"]) {
            assert!(
                ran.stderr.contains(word),
                "{name}: `{word}` is not in: {}",
                ran.stderr
            );
        }
        seen += 1;
    }
    assert_eq!(seen, expected.len(), "files went missing");
}
