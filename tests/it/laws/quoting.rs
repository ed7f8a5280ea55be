//! The law of tokens that keep their quotes: whatever is made of a text that SOPS sealed, it opens to that again.

use proptest::prelude::{Strategy, any, proptest};
use proptest::sample::select;
use regex::Regex;
use sops_rs::document::Document;
use sops_rs::format::Format;
use sops_rs::metadata::Metadata;

use super::cases;
use crate::fuzz::roundtrip::{Counter, metadata, open, reseal, seal};

/// Texts that need quotes or a block, and some that do not.
const VALUES: [&str; 12] = [
    "x", "5", "a: b", "it's", "x\ny\n", "x\ny", "x\n", " x\ny\n", "x\n\n", "\n", "true", "a\tb ",
];

/// An entry: where it stands, what it is, and how it is written.
type Entry = (bool, usize, usize, usize);

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = (any::<bool>(), 0..VALUES.len(), 0..9_usize, 0..6_usize);
    proptest::collection::vec(entry, 1..7)
}

/// A value in one of many styles, behind a key or a dash that stands in column `at`.
fn spelled(value: &str, style: usize, at: usize) -> String {
    let single = !value.contains('\n');
    let block = value.contains('\n') && !value.starts_with([' ', '\n']);
    let doubled = format!("{value:?}").replace("\\'", "'");
    let lines = |mark: &str, columns: usize| {
        let pad = " ".repeat(columns);
        let body = value
            .trim_end_matches('\n')
            .replace('\n', &format!("\n{pad}"));
        let breaks = value.len() - value.trim_end_matches('\n').len();
        let sign = ["-", "", "+"][breaks.min(2)];
        format!(
            "{mark}{sign}\n{pad}{body}{}",
            "\n".repeat(breaks.saturating_sub(1))
        )
    };
    match style {
        0 | 1 if block => lines(" |", at + 4),
        2 if block => lines(" |", at + 2),
        3 if block => lines(" |", at + 3),
        0..2 if single => format!(" '{}'", value.replace('\'', "''")),
        2 if matches!(value, "x" | "5" | "true") => format!(" {value}"),
        4 => format!(" {doubled} # c"),
        5 => format!("\n{}{doubled}", " ".repeat(at + 1)),
        6 => format!(" &a {doubled}"),
        7 => format!(" [{doubled}]"),
        _ => format!(" {doubled}"),
    }
}

/// Entries of a mapping, and of a list below it, one item of which is a mapping.
fn yaml(entries: &[Entry], other: bool) -> String {
    let mut text = String::new();
    let mut list = String::new();
    for (number, &(is_item, value, style, other_style)) in entries.iter().enumerate() {
        let value = VALUES[value];
        let style = if other { other_style } else { style };
        if is_item {
            list = format!("{list}    -{}\n", spelled(value, style, 4));
        } else {
            text = format!("{text}k{number}:{}\n", spelled(value, style, 0));
        }
    }
    if list.is_empty() {
        text
    } else {
        format!("{text}list:\n{list}")
    }
}

/// Every token on the line of its key, as SOPS writes it.
fn bare(sealed: &str) -> String {
    let block = Regex::new(r"[|>][-+0-9]*\n +(ENC\[)").expect("a pattern");
    let quoted = Regex::new(r#"(: |- )["'](ENC\[[^\]]*\]) ?["']"#).expect("a pattern");
    let text = block.replace_all(sealed, "$1");
    quoted.replace_all(&text, "$1$2").into_owned()
}

fn metadata_of(text: &str) -> Metadata {
    let document = Document::parse(Format::Yaml, text).expect("YAML");
    Metadata::of(&document)
        .expect("good metadata")
        .expect("metadata")
}

/// What a text comes back as when it is sealed and opened with nothing there before.
fn comes_back(text: &str) -> String {
    let mut metadata = metadata(None, false);
    let sealed = seal(Format::Yaml, text, &mut metadata, &mut Counter::default());
    let sealed = sealed.unwrap_or_else(|| panic!("refused\n{text}"));
    open(Format::Yaml, &sealed.text, &metadata).text.to_string()
}

/// Entries as SOPS would have sealed them, with the metadata.
fn as_sops_writes(entries: &[Entry], random: &mut Counter) -> (String, Metadata) {
    let mut metadata = metadata(None, false);
    let plain = yaml(entries, false);
    let sealed = seal(Format::Yaml, &plain, &mut metadata, random);
    let sealed = sealed.unwrap_or_else(|| panic!("refused\n{plain}"));
    (bare(&sealed.text), metadata)
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn what_is_made_of_a_file_of_sops_comes_back(
        before in entries(),
        changes in entries(),
        keep in select(&[0_usize, 1, 2, 7][..]),
    ) {
        let mut random = Counter::default();
        let (sealed, metadata) = as_sops_writes(&before, &mut random);
        let opened = open(Format::Yaml, &sealed, &metadata);

        // As it was opened, but for the first entries.
        let mut after: Vec<Entry> = changes;
        after.extend(before.iter().skip(keep));
        let text = yaml(&after, true);
        let Some(again) = reseal(Format::Yaml, &sealed, &metadata, opened, &text, &mut random) else {
            return Ok(());
        };
        let found = open(Format::Yaml, &again.text, &metadata_of(&again.text));
        assert_eq!(*found.text, comes_back(&text), "{sealed}\n{}", again.text);
    }

    #[test]
    fn one_more_line_changes_no_other(before in entries(), first in any::<bool>()) {
        let mut random = Counter::default();
        let (sealed, metadata) = as_sops_writes(&before, &mut random);
        let opened = open(Format::Yaml, &sealed, &metadata);
        let text = if first {
            format!("new: y\n{}", *opened.text)
        } else {
            format!("{}new: y\n", *opened.text)
        };
        let again = reseal(Format::Yaml, &sealed, &metadata, opened, &text, &mut random)
            .expect("there is a new line");
        let is_seal = |line: &&str| line.starts_with("    mac: ") || line.starts_with("    lastmodified: ");
        let lines: Vec<&str> = again.text.lines().filter(|line| !line.starts_with("new: ")).collect();
        let same = |text: &str| {
            text.lines().filter(|line| !is_seal(line)).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(same(&lines.join("\n")), same(&sealed));
    }
}
