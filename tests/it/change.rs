//! `set`, `insert` and `unset` by path, byte for byte: the tables in `testdata/change`, each case on the plaintext and on
//! the sealed file.

use std::collections::BTreeMap;

use sops_rs::document::Document;
use sops_rs::format::Format;
use sops_rs::ops::change::json::JsonValue;
use sops_rs::ops::change::{Action, ChangeError, change};
use sops_rs::pointer::Pointer;

use crate::fuzz::roundtrip::{Counter, data_key, metadata, open, reseal, seal};
use crate::spec_reader::{self, Keys};
use crate::support::testdata;

/// One case of a table.
struct Case {
    name: String,
    words: Vec<String>,
    before: String,
    after: Expected,
}

enum Expected {
    Text(String),
    Same,
    Error(String),
}

/// The text of a block, with its marks undone.
fn text(block: &str) -> String {
    let text = block
        .replace('␍', "\r")
        .replace('␉', "\t")
        .replace('␟', "---")
        .replace('␀', "\0");
    match text.trim_end_matches('\n').strip_suffix('∎') {
        Some(unended) => unended.to_owned(),
        None => text,
    }
}

fn cases(table: &str) -> Vec<Case> {
    let path = testdata("change").join(table);
    let table = std::fs::read_to_string(path).expect("a table");
    let mut cases = Vec::new();
    for case in table.split("\n=== ").skip(1) {
        let (name, rest) = case.split_once('\n').expect("a command");
        let [words, before, after] = rest
            .split("---\n")
            .collect::<Vec<_>>()
            .try_into()
            .unwrap_or_else(|_| panic!("{name}: three blocks"));
        cases.push(Case {
            name: name.to_owned(),
            words: shell_words::split(words).expect("words of a shell"),
            before: text(before),
            after: match after.trim_end().strip_prefix("error: ") {
                Some(message) => Expected::Error(message.to_owned()),
                None if after == "same\n" => Expected::Same,
                None => Expected::Text(text(after)),
            },
        });
    }
    cases
}

/// Does what a case says to a plaintext.
fn changed(format: Format, words: &[String], before: &str) -> Result<Option<String>, ChangeError> {
    let document = Document::parse(format, before).expect("the text before");
    let pointer = Pointer::parse(&words[1]).expect("a path");
    let json = words.get(2).map(|json| JsonValue::new(json));
    let content = json.as_ref().map(|json| json.content().expect("JSON"));
    let action = match (words[0].as_str(), content) {
        ("set", Some(content)) => Action::Set(content),
        ("insert", Some(content)) => Action::Insert(content),
        ("unset", None) => Action::Unset,
        (other, _) => panic!("what is {other}?"),
    };
    let text = change(&document, 0, &pointer, action)?;
    Ok(text.map(|text| text.to_string()))
}

/// The reader's name for a format.
fn kind(format: Format) -> spec_reader::Format {
    spec_reader::Format::of_path(&format!("x.{}", suffix(format)))
}

fn suffix(format: Format) -> &'static str {
    match format {
        Format::Dotenv => "env",
        _ => format.name(),
    }
}

/// The tokens of a text, and how often each stands there.
fn tokens(text: &str) -> BTreeMap<String, usize> {
    let mut tokens = BTreeMap::new();
    for piece in text.split("ENC[").skip(1) {
        let token = piece.split(']').next().unwrap_or_default();
        *tokens.entry(token.to_owned()).or_default() += 1;
    }
    tokens
}

/// How many of the things in one bag are in the other, too.
fn shared<K: Ord>(one: &BTreeMap<K, usize>, other: &BTreeMap<K, usize>) -> usize {
    one.iter()
        .map(|(key, count)| *count.min(other.get(key).unwrap_or(&0)))
        .sum()
}

fn sealed_and_opened(format: Format, text: &str) -> String {
    let mut metadata = metadata(None, false);
    let sealed = seal(format, text, &mut metadata, &mut Counter::default());
    let sealed = sealed.unwrap_or_else(|| panic!("{text}: cannot be sealed"));
    open(format, &sealed.text, &metadata).text.to_string()
}

/// Makes the change in a sealed file: it opens to `after`, for us and for the reader of the specification, and every
/// value that is in both has the token it had.
pub(crate) fn check_sealed(name: &str, format: Format, before: &str, after: &str) {
    let mut random = Counter::default();
    let mut metadata = metadata(None, false);
    let sealed = seal(format, before, &mut metadata, &mut random)
        .unwrap_or_else(|| panic!("{name}: cannot be sealed"));
    let opened = open(format, &sealed.text, &metadata);
    assert_eq!(
        *opened.text, before,
        "{name}: a text that comes back otherwise has to be settled first"
    );
    let again = reseal(format, &sealed.text, &metadata, opened, after, &mut random)
        .unwrap_or_else(|| panic!("{name}: nothing was written"));
    let keys = Keys::of_data_key(data_key().expose().try_into().expect("32 bytes"));
    let leaves = |text: &str| {
        let reading = spec_reader::accept(name, text, kind(format), &keys);
        let mut bag = BTreeMap::new();
        for leaf in reading.leaves.iter().filter(|leaf| leaf.sealed) {
            let key = (leaf.aad.clone(), leaf.kind, leaf.bytes.clone());
            *bag.entry(key).or_insert(0) += 1;
        }
        bag
    };
    let kept = shared(&leaves(&sealed.text), &leaves(&again.text));
    let same = shared(&tokens(&sealed.text), &tokens(&again.text));
    assert!(
        same >= kept,
        "{name}: {same} tokens for {kept} values were kept\n{}",
        again.text
    );
    let document = Document::parse(format, &again.text).expect("a sealed file");
    let found = sops_rs::metadata::Metadata::of(&document)
        .expect("metadata")
        .expect("metadata");
    assert_eq!(*open(format, &again.text, &found).text, after, "{name}");
}

fn check(format: Format, least: usize) {
    check_table(format, &format!("{}.txt", format.name()), least);
}

fn check_table(format: Format, table: &str, least: usize) {
    let cases = cases(table);
    assert!(cases.len() >= least, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let name = format!("{} ({})", case.name, format.name());
        let found = changed(format, &case.words, &case.before);
        match (found, &case.after) {
            (Ok(Some(text)), Expected::Text(after)) if text == *after => {
                // What a change finds in a sealed file: aliases written out, and some spellings settled.
                let before = sealed_and_opened(format, &case.before);
                let after = if before == case.before {
                    Ok(Some(text))
                } else {
                    changed(format, &case.words, &before)
                };
                match after {
                    Ok(Some(after)) => check_sealed(&name, format, &before, &after),
                    Ok(None) => wrong.push(format!("{name}: nothing was changed when sealed")),
                    Err(error) => wrong.push(format!("{name}: when sealed: {error}")),
                }
            }
            (Ok(None), Expected::Same) => {}
            (Err(error), Expected::Error(part)) if error.to_string().contains(part.as_str()) => {}
            (Ok(Some(text)), _) => wrong.push(format!("{name}: it was changed to\n{text}")),
            (Ok(None), _) => wrong.push(format!("{name}: nothing was changed")),
            (Err(error), _) => wrong.push(format!("{name}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn json_is_changed_to_the_byte() {
    check(Format::Json, 60);
}

#[test]
fn dotenv_is_changed_to_the_byte() {
    check(Format::Dotenv, 30);
}

#[test]
fn ini_is_changed_to_the_byte() {
    check(Format::Ini, 60);
}

/// What searches with random texts have found.
#[test]
fn odd_yaml_is_changed_to_the_byte() {
    check_table(Format::Yaml, "yaml_odd.txt", 4);
}

#[test]
fn toml_is_changed_to_the_byte() {
    check(Format::Toml, 50);
}

#[test]
fn yaml_is_changed_to_the_byte() {
    check(Format::Yaml, 10);
}

#[test]
fn yaml_is_taken_out_to_the_byte() {
    check_table(Format::Yaml, "yaml_unset.txt", 50);
}

#[test]
fn new_entries_of_yaml_are_placed_to_the_byte() {
    check_table(Format::Yaml, "yaml_insert.txt", 50);
}

#[test]
fn yaml_is_exchanged_to_the_byte() {
    check_table(Format::Yaml, "yaml_replace.txt", 30);
}
