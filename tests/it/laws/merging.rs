//! The laws of merging, on the texts of `testdata/roundtrip` and `testdata/merge` with lines changed, removed, repeated and
//! exchanged at random.

use std::fs;

use proptest::prelude::{Strategy, any, proptest};
use sops_rs::format::Format;

use super::cases;
use crate::fuzz::merge::three;
use crate::support::testdata;

/// A text and its format.
fn texts() -> Vec<(Format, String)> {
    let mut found = Vec::new();
    for folder in ["yaml", "json", "dotenv", "ini", "toml"] {
        let format = Format::from_name(folder).expect("a format");
        for entry in fs::read_dir(testdata("roundtrip").join(folder)).expect("a folder") {
            let text = fs::read_to_string(entry.expect("an entry").path()).expect("UTF-8");
            if text.len() < 4000 {
                found.push((format, text));
            }
        }
    }
    for entry in fs::read_dir(testdata("merge")).expect("a folder") {
        let folder = entry.expect("an entry").path();
        for extension in ["yaml", "json", "env", "ini", "toml"] {
            if let Ok(text) = fs::read_to_string(folder.join(format!("ours.{extension}"))) {
                let format = Format::of_path(&format!("ours.{extension}"));
                found.push((format, text));
            }
        }
    }
    found.sort_by(|one, other| one.1.cmp(&other.1));
    assert!(found.len() > 100, "the texts went missing");
    found
}

/// What is done to one line, chosen by number.
fn change(lines: &mut Vec<String>, at: usize, what: u8) {
    let Some(at) = at.checked_rem(lines.len()) else {
        return;
    };
    match what % 5 {
        0 => {
            lines.remove(at);
        }
        1 => lines.insert(at, lines[at].replace(['a', 'e', '1'], "x")),
        2 => lines[at] = lines[at].replace(['o', 'e', '2'], "9"),
        3 => {
            let other = (at + 1) % lines.len();
            lines.swap(at, other);
        }
        _ => lines[at] = lines[at].replace('\n', " # new\n"),
    }
}

fn changed(text: &str, changes: &[(usize, u8)]) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for (at, what) in changes {
        change(&mut lines, *at, *what);
    }
    lines.concat()
}

fn changes() -> impl Strategy<Value = Vec<(usize, u8)>> {
    proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4)
}

#[test]
fn merging_obeys_its_laws() {
    let texts = texts();
    proptest!(cases(2000), |(pick: usize, ours in changes(), theirs in changes())| {
        let (format, base) = &texts[pick % texts.len()];
        three(*format, base, &changed(base, &ours), &changed(base, &theirs));
    });
}
