//! What comes of merging three plaintexts.

use super::{Base, ConflictKind, Merged, merge};
use crate::document::Document;
use crate::format::Format;
use crate::ops::merge::{Markers, Side};

fn merged(format: Format, base: &str, ours: &str, theirs: &str) -> Merged {
    let [base, ours, theirs] =
        [base, ours, theirs].map(|text| Document::parse(format, text).unwrap());
    merge(Base::Known(&base), &ours, &theirs)
}

/// The result, which must be the same in both directions; with markers if there are contradictions.
#[track_caller]
fn both_ways(format: Format, base: &str, ours: &str, theirs: &str) -> String {
    let one = merged(format, base, ours, theirs);
    let other = merged(format, base, theirs, ours);
    assert_eq!(one.is_clean(), other.is_clean());
    if one.is_clean() {
        assert_eq!(*one.text(Side::Ours), *other.text(Side::Ours));
    }
    let markers = Markers {
        size: 7,
        ours: "ours".into(),
        base: "base".into(),
        theirs: "theirs".into(),
    };
    one.marked(&markers).to_string()
}

#[track_caller]
fn yaml(base: &str, ours: &str, theirs: &str) -> String {
    both_ways(Format::Yaml, base, ours, theirs)
}

#[test]
fn neighbours_do_not_contradict_each_other() {
    let base = "a: 1\nb: 2\nc: 3\n";
    assert_eq!(
        yaml(base, "a: 9\nb: 2\nc: 3\n", "a: 1\nb: 8\nc: 3\n"),
        "a: 9\nb: 8\nc: 3\n"
    );
    assert_eq!(
        yaml(base, "a: 9\nb: 2\nc: 3\n", "b: 2\nc: 3\nd: 4\n"),
        "<<<<<<< ours\na: 9\n||||||| base\na: 1\n=======\n>>>>>>> theirs\nb: 2\nc: 3\nd: 4\n"
    );
}

#[test]
fn what_both_add_at_one_place_is_kept() {
    let base = "a: 1\n";
    assert_eq!(
        yaml(base, "a: 1\nb: 2\n", "a: 1\nc: 3\n"),
        "a: 1\nb: 2\nc: 3\n"
    );
    assert_eq!(yaml(base, "a: 1\nb: 2\n", "a: 1\nb: 2\n"), "a: 1\nb: 2\n");
    assert_eq!(
        yaml(
            "m:\n  a: 1\n",
            "m:\n  a: 1\n  # two\n  b: 2\n",
            "m:\n  a: 1\n  c: 3\nn: 4\n"
        ),
        "m:\n  a: 1\n  # two\n  b: 2\n  c: 3\nn: 4\n"
    );
}

#[test]
fn an_alias_follows_the_key_of_its_anchor() {
    let base = "region: &r eu\nbucket: *r\npassword: old\n";
    let renamed = "home: &r eu\nbucket: *r\npassword: old\n";
    assert_eq!(yaml(base, renamed, base), renamed);
    assert_eq!(
        yaml(base, renamed, "region: &r eu\nbucket: *r\npassword: new\n"),
        "home: &r eu\nbucket: *r\npassword: new\n"
    );
}

#[test]
fn what_one_side_alone_changed_is_taken_to_the_last_blank() {
    let base = "{\"a\": [\n  {\n    \"id\": 1, \n   \"of\": 2\n  }\n]}\n";
    let changed =
        "{\"a\": [\n  {\n    \"id\": 1,\n    \"of\": 2\n  },\n  {\n    \"id\": 3\n  }\n]}";
    assert_eq!(both_ways(Format::Json, base, changed, base), changed);
    assert_eq!(both_ways(Format::Json, base, changed, changed), changed);
}

#[test]
fn blanks_at_the_end_of_a_row_are_part_of_it() {
    assert_eq!(
        both_ways(
            Format::Json,
            "{\n  \"a\": 1,\n  \"b\": 2\n}\n",
            "{\n  \"a\": 9,\n  \"b\": 2\n}\n",
            "{  \n  \"a\": 1,\n  \"b\": 2\n} \n"
        ),
        "{  \n  \"a\": 9,\n  \"b\": 2\n} \n"
    );
}

#[test]
fn sides_stay_what_they_are_whichever_text_sorts_first() {
    let base = "a: 1\nb: 2\n";
    for (ours, theirs, kind) in [
        ("b: 2\n", "a: 9\nb: 2\n", ConflictKind::RemovedByOurs),
        ("a: 9\nb: 2\n", "b: 2\n", ConflictKind::RemovedByTheirs),
    ] {
        let merged = merged(Format::Yaml, base, ours, theirs);
        assert_eq!(*merged.text(Side::Ours), ours);
        assert_eq!(*merged.text(Side::Theirs), theirs);
        let kinds: Vec<_> = merged.conflicts.iter().map(|found| found.kind).collect();
        assert_eq!(kinds, [kind]);
    }
}

#[test]
fn debug_shows_nothing_of_a_text() {
    let merged = merged(Format::Yaml, "a: x\n", "a: hunter2\n", "a: hunter3\n");
    assert_eq!(format!("{merged:?}"), "Merged(1 rows, 1 conflicts)");
}
