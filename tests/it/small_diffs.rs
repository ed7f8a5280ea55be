//! Small diffs of files that SOPS wrote, who puts every token of YAML on the line of its key and without quotes, whatever its
//! value needs. Whoever changes one thing of such a file finds one line changed, the time and the MAC.

use std::collections::BTreeSet;

use regex::Regex;

use crate::spec_reader::{self, Keys};
use crate::support::{ALICE, World, sops_fixtures};

/// Fixtures that Alice and Bob cannot open, or that have nothing sealed, with another reason in `README.md`.
const OTHERS: [&str; 9] = [
    "age-and-pgp.env",
    "empties.yaml",
    "pgp-ed25519.json",
    "pgp-rsa.yaml",
    "quantum.yaml",
    "ssh-ed25519-passphrase.yaml",
    "ssh-ed25519.yaml",
    "ssh-rsa.yaml",
    "yaml-25.sealed.yaml",
];

/// Every text that SOPS sealed, with its name.
fn sealed_by_sops() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for folder in ["sealed", "random"] {
        for entry in std::fs::read_dir(sops_fixtures().join(folder)).expect("the folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.expect("UTF-8").to_owned();
            let is_sealed = folder == "sealed" || name.contains(".sealed.");
            let is_text = !name.ends_with(".bin") && !name.ends_with(".txt");
            if is_sealed && is_text && !OTHERS.contains(&name.as_str()) {
                files.push((name, std::fs::read_to_string(&path).expect("a text")));
            }
        }
    }
    files
}

fn identities() -> [String; 2] {
    ["alice", "bob"].map(|name| {
        let path = sops_fixtures().join(format!("keys/{name}.age.txt"));
        std::fs::read_to_string(path).expect("an identity")
    })
}

/// A world that can open all of [`sealed_by_sops`].
fn world() -> World {
    let world = World::new().set("SOPS_AGE_KEY", &identities().concat());
    world.write(
        ".sops-rs.yaml",
        format!("creation_rules:\n  - age: {ALICE}\n"),
    );
    world
}

/// The lines of a sealed text that say something: all but the time and the MAC. A comment that SOPS made an item of its list
/// counts as the comment that we make of it (spec 3.6).
fn lines(text: &str) -> Vec<String> {
    let is_seal = |line: &&str| {
        let line = line.trim_start().trim_start_matches('"');
        let line = line.strip_prefix("sops_").unwrap_or(line);
        line.starts_with("lastmodified")
            || line.starts_with("mac\"")
            || line.starts_with("mac:")
            || line.starts_with("mac=")
            || line.starts_with("mac ")
    };
    let line = |line: &str| match line.split_once("- ENC[") {
        Some((indent, token)) if token.ends_with(",type:comment]") => {
            format!("{indent}#ENC[{token}")
        }
        _ => line.to_owned(),
    };
    text.lines()
        .filter(|line| !is_seal(line))
        .map(line)
        .collect()
}

/// The lines that only one of the two has: of the first, and of the second.
fn difference(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let (before, after) = (lines(before), lines(after));
    let only = |some: &[String], others: &[String]| -> Vec<String> {
        let others: BTreeSet<&String> = others.iter().collect();
        let mine = some.iter().filter(|line| !others.contains(line));
        mine.cloned().collect()
    };
    (only(&before, &after), only(&after, &before))
}

#[test]
fn one_new_value_is_one_new_line_in_every_file_of_sops() {
    let world = world();
    let keys = Keys::of_identities(identities());
    let files = sealed_by_sops();
    assert_eq!(files.len(), 90, "files went missing");
    for (name, before) in files {
        let suffix = name.rsplit('.').next().expect("a suffix");
        let file = format!("a.{suffix}");
        let (path, gone) = match suffix {
            "ini" => ("zzz.new", "zzz"),
            _ => ("zzz", "zzz"),
        };
        world.write(&file, &before);
        world.ok(["set", &file, path, "\"new\""]);
        let after = world.read(&file);
        let (lost, new) = difference(&before, &after);
        assert_eq!(lost, [""; 0], "{name}: {new:?}");
        // A section has a header.
        let header = usize::from(suffix == "ini");
        let new: Vec<_> = new.iter().filter(|line| !line.is_empty()).collect();
        assert_eq!(new.len(), 1 + header, "{name}: {new:?}");
        let format = spec_reader::Format::of_path(&file);
        let reading = spec_reader::accept(&name, &after, format, &keys);
        assert!(reading.leaves.iter().any(|leaf| leaf.text() == "new"));

        world.ok(["unset", &file, gone]);
        assert_eq!(lines(&world.read(&file)), lines(&before), "{name}");
    }
}

/// The plaintext of most things that cannot stand without quotes.
const VALUES: &str = "\
plain: one
text: \"5\"
colon: \"a: b\"
pem: |
    one
    two
kept: |+
    one

strip: |-
    one
    two
deep:
    - \"true\"
    - |
      x
      y
    - key: |4
           z
          zz
comment: \"a\\nb\" # why
bytes: !!binary \"AP8=\"
number: 5
last: |
    one
    two
";

/// The text as SOPS would have sealed it: every token on the line of its key.
fn as_sops_writes(sealed: &str) -> String {
    let block = Regex::new(r"[|>][-+0-9]*\n +(ENC\[)").expect("a pattern");
    let quoted = Regex::new(r#""(ENC\[[^\]]*\])""#).expect("a pattern");
    let text = block.replace_all(sealed, "$1");
    quoted.replace_all(&text, "$1").into_owned()
}

/// A file with this plaintext, as SOPS would have sealed it.
fn values_of(plain: &str) -> (World, String) {
    let world = world();
    world.write("a.yaml", plain);
    world.ok(["encrypt", "--in-place", "a.yaml"]);
    let text = as_sops_writes(&world.read("a.yaml"));
    world.write("a.yaml", &text);
    let leaves = text.lines().filter(|line| line.contains("ENC[")).count();
    let bare = text.lines().filter(|line| {
        line.contains(": ENC[")
            || line.contains("- ENC[")
            || line.contains(" #ENC[")
            || line.starts_with("#ENC[")
    });
    assert_eq!(bare.count(), leaves, "{text}");
    assert_eq!(world.ok(["decrypt", "a.yaml"]), plain.as_bytes(), "{text}");
    (world, text)
}

/// Replaces the plaintext of `a.yaml` in an editor.
#[track_caller]
fn edit(world: &World, plain: &str) {
    world.write("wanted", plain);
    let copy = format!("cat '{}' > \"$1\"", world.path("wanted").display());
    let mut edit = world.command(["edit", "a.yaml"]);
    edit.env("SOPS_EDITOR", world.script(&copy));
    assert!(edit.output().expect("it runs").status.success(), "{plain}");
}

#[test]
fn tokens_keep_their_place_on_the_line_whatever_their_values_need() {
    let (world, before) = values_of(VALUES);
    world.ok(["set", "a.yaml", "plain", "\"two\""]);
    let (lost, new) = difference(&before, &world.read("a.yaml"));
    assert_eq!((lost.len(), new.len()), (1, 1), "{new:?}");

    let edited = "sed -i -e 's/^plain: .*/plain: three/' -e 's/^number: 5/number: 6/' \"$1\"";
    let mut edit = world.command(["edit", "a.yaml"]);
    edit.env("SOPS_EDITOR", world.script(edited));
    assert!(edit.output().expect("it runs").status.success());
    let (lost, new) = difference(&before, &world.read("a.yaml"));
    assert_eq!((lost.len(), new.len()), (2, 2), "{new:?}");
}

/// New values of every kind in place of old ones of every kind.
#[test]
fn a_new_value_stands_as_the_old_one_did() {
    let paths = [
        "plain",
        "text",
        "colon",
        "pem",
        "kept",
        "strip",
        "deep[0]",
        "deep[1]",
        "deep[2].key",
        "number",
        "last",
    ];
    let values = [
        "\"three\"",
        "\"6\"",
        "\"c: d\"",
        "\"three\\nfour\\n\"",
        "\"three\\nfour\"",
        "\"three\\n\"",
        "\" x\"",
        "7",
        "true",
        "2.5",
        "\"\\ta\\u0000\"",
    ];
    let (world, before) = values_of(VALUES);
    for path in paths {
        for value in values {
            world.write("a.yaml", &before);
            world.ok(["set", "a.yaml", path, value]);
            let after = world.read("a.yaml");
            let (lost, new) = difference(&before, &after);
            assert_eq!((lost.len(), new.len()), (1, 1), "{path} {value}: {new:?}");
            assert_eq!(before.lines().count(), after.lines().count());
            let mut found = String::from_utf8(world.ok(["get", "a.yaml", path])).expect("UTF-8");
            if !value.starts_with('"') {
                found.truncate(found.trim_end().len());
            }
            let meant = value.trim_matches('"').replace("\\n", "\n");
            let meant = meant.replace("\\t", "\t").replace("\\u0000", "\0");
            assert_eq!(found, meant, "{path}");
        }
    }
}

/// In an editor, too: what is typed in the way in which it would be opened.
#[test]
fn what_is_typed_stands_on_the_line_of_its_key() {
    for (from, to) in [
        ("plain: one", "plain: |\n    one\n    two"),
        ("number: 5", "number: \"5\""),
        ("strip: |-\n    one\n    two", "strip: x"),
    ] {
        let (world, before) = values_of(VALUES);
        edit(&world, &VALUES.replace(from, to));
        let (lost, new) = difference(&before, &world.read("a.yaml"));
        assert_eq!((lost.len(), new.len()), (1, 1), "{to}: {new:?}");
    }
}

/// A text without a last line break, which many editors leave so.
#[test]
fn the_last_line_may_have_no_end() {
    for plain in ["a: 1\nk: \"5\"\n", "a: 1\nk: |-\n    x\n    y\n"] {
        let (world, before) = values_of(plain);
        edit(&world, plain.trim_end_matches('\n'));
        let (lost, new) = difference(&before, &world.read("a.yaml"));
        assert_eq!((lost.len(), new.len()), (0, 0), "{new:?}");
        let opened = world.ok(["decrypt", "a.yaml"]);
        assert_eq!(opened, plain.trim_end_matches('\n').as_bytes());
    }
}

/// Equal comments keep their own tokens, those of the values that they belong to.
#[test]
fn a_comment_stays_with_its_value() {
    for (plain, path) in [
        ("k:\n  q: 1 #c\n  m: 2 #c\n", "k.q"),
        ("k:\n  q: 1 #c\n  m: 2 #c\n", "k.m"),
        ("k:\n  #c\n  q: 1\n  #c\n  m: 2\n  #c\n  n: 3\n", "k.m"),
        ("#c\nq: 1\n#c\nm: 2\n", "q"),
        ("l:\n  - 1 #c\n  - 1 #c\n  - 2 #c\n", "l[2]"),
    ] {
        let (world, before) = values_of(plain);
        world.ok(["unset", "a.yaml", path]);
        let (lost, new) = difference(&before, &world.read("a.yaml"));
        assert_eq!(new, [""; 0], "{plain} {path}");
        assert!(!lost.is_empty());
    }
}

/// What somebody writes in an editor stays as it was written.
#[test]
fn other_quotes_for_the_same_value_are_kept() {
    for (from, to) in [
        ("text: \"5\"", "text: '5'"),
        ("text: \"5\"", "text:\n  \"5\""),
        ("colon: \"a: b\"", "colon: >-\n  a: b"),
        ("comment: \"a\\nb\" # why", "comment: \"a\\nb\""),
        ("pem: |\n    one\n    two", "pem: |\n  one\n  two"),
        ("pem: |\n    one\n    two", "pem:\n|\n    one\n    two"),
        ("colon: \"a: b\"\n", "flow: {text: \"5\"}\n"),
        ("last: |\n    one\n    two\n", "last: |\n    one\n    two"),
    ] {
        let (world, _) = values_of(VALUES);
        let want = VALUES.replace(from, to);
        assert_ne!(want, VALUES, "{from}");
        edit(&world, &want);
        let opened = String::from_utf8(world.ok(["decrypt", "a.yaml"])).expect("UTF-8");
        assert_eq!(opened, want, "{to}");
    }
}

#[test]
fn a_merge_touches_what_the_branches_touched() {
    let (world, base) = values_of(VALUES);
    let change = |path, value| {
        world.write("a.yaml", &base);
        world.ok(["set", "a.yaml", path, value]);
        world.read("a.yaml")
    };
    let ours = change("plain", "\"two\"");
    let theirs = change("number", "6");
    for (name, text) in [("O", &base), ("A", &ours), ("B", &theirs)] {
        world.write(name, text);
    }
    let driver = ["git", "merge-driver", "O", "A", "B", "7", "a.yaml"];
    world.ok(driver);
    let (lost, new) = difference(&base, &world.read("A"));
    assert_eq!((lost.len(), new.len()), (2, 2), "{new:?}");
}
