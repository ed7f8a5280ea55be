//! What a merge makes of blocks and keys that are moved, added, removed, edited and commented by two sides at random.
//!
//! Every comment and every key has a text of its own, so that it can be told what has to be in a result: what both have,
//! and what either has added.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use proptest::prelude::{Strategy, any, proptest};
use sops_rs::document::{Document, Step};
use sops_rs::format::Format;
use sops_rs::node::ScanError;
use sops_rs::ops::merge::Side;
use sops_rs::ops::merge::plaintext::{Base, Merged, merge};

use super::cases;
use crate::fuzz::merge::three;

#[derive(Clone, Debug)]
struct Key {
    name: String,
    value: String,
    comment: Option<String>,
}

#[derive(Clone, Debug)]
struct Block {
    name: String,
    comment: Option<String>,
    blank: bool,
    keys: Vec<Key>,
}

/// What the versions come from.
fn base(blocks: usize) -> Vec<Block> {
    let key = |block: usize, key: usize| Key {
        name: format!("key{block}{key}"),
        value: format!("value-{block}-{key}"),
        comment: (key == 1).then(|| format!("about key {block} {key}")),
    };
    let block = |number: usize| Block {
        name: format!("block{number}"),
        comment: (number % 3 != 1).then(|| format!("about block {number}")),
        blank: number > 0,
        keys: (0..1 + number % 4).map(|at| key(number, at)).collect(),
    };
    (0..blocks).map(block).collect()
}

/// One change of a side, chosen by numbers. What is new has `name` in it.
fn change(blocks: &mut Vec<Block>, name: &str, what: u8, at: usize, to: usize) {
    let count = blocks.len();
    if count == 0 {
        return;
    }
    let (at, to_block) = (at % count, to % count);
    let key = |text: &str| Key {
        name: format!("new{text}"),
        value: format!("new-value-{text}"),
        comment: (to.is_multiple_of(2)).then(|| format!("about new {text}")),
    };
    let keys = &mut blocks[at].keys;
    let place = to % keys.len().max(1);
    match what % 12 {
        0 => {
            let block = blocks.remove(at);
            blocks.insert(to_block, block);
        }
        1 => blocks.sort_by(|one, other| other.name.cmp(&one.name)),
        2 => blocks.insert(
            to_block,
            Block {
                name: format!("added{name}"),
                comment: (at.is_multiple_of(2)).then(|| format!("about added {name}")),
                blank: true,
                keys: vec![key(name)],
            },
        ),
        3 => {
            blocks.remove(at);
        }
        4 => blocks[at].comment = Some(format!("edited by {name}")),
        5 => blocks[at].comment = None,
        6 if !keys.is_empty() => {
            let key = keys.remove(at % keys.len());
            keys.insert(place, key);
        }
        7 => keys.insert(to % (keys.len() + 1), key(name)),
        8 if keys.len() > 1 => {
            keys.remove(place);
        }
        9 if !keys.is_empty() => keys[place].value = format!("changed-{name}"),
        10 if !keys.is_empty() => keys[place].comment = Some(format!("edited by {name}")),
        11 if !keys.is_empty() => keys[place].comment = None,
        _ => {}
    }
}

fn changed(base: &[Block], side: &str, changes: &[(u8, usize, usize)]) -> Vec<Block> {
    let mut blocks = base.to_vec();
    for (number, (what, at, to)) in changes.iter().enumerate() {
        change(&mut blocks, &format!("{side}{number}"), *what, *at, *to);
    }
    blocks
}

fn written(format: Format, blocks: &[Block]) -> String {
    let mut text = String::new();
    let mark = if format == Format::Ini { ';' } else { '#' };
    let comment = |text: &mut String, indent: &str, comment: Option<&String>| {
        if let Some(comment) = comment.filter(|_| format != Format::Json) {
            writeln!(text, "{indent}{mark} {comment}").unwrap();
        }
    };
    if format == Format::Json {
        text.push_str("{\n");
    }
    for (number, block) in blocks.iter().enumerate() {
        if block.blank && number > 0 && format != Format::Json {
            text.push('\n');
        }
        comment(&mut text, "", block.comment.as_ref());
        match format {
            Format::Json => writeln!(text, "  \"{}\": {{", block.name),
            Format::Ini => writeln!(text, "[{}]", block.name),
            Format::Dotenv => writeln!(text, "{}=", block.name),
            _ if block.keys.is_empty() => writeln!(text, "{}: {{}}", block.name),
            _ => writeln!(text, "{}:", block.name),
        }
        .unwrap();
        for (number, key) in block.keys.iter().enumerate() {
            let indent = if format == Format::Yaml { "  " } else { "" };
            comment(&mut text, indent, key.comment.as_ref());
            let comma = if number + 1 < block.keys.len() {
                ","
            } else {
                ""
            };
            match format {
                Format::Json => writeln!(text, "    \"{}\": \"{}\"{comma}", key.name, key.value),
                Format::Ini => writeln!(text, "{} = {}", key.name, key.value),
                Format::Dotenv => writeln!(text, "{}={}", key.name, key.value),
                _ => writeln!(text, "  {}: {}", key.name, key.value),
            }
            .unwrap();
        }
        if format == Format::Json {
            let comma = if number + 1 < blocks.len() { "," } else { "" };
            writeln!(text, "  }}{comma}").unwrap();
        }
    }
    if format == Format::Json {
        text.push_str("}\n");
    }
    text
}

/// All comments, each with how often it is there.
fn comments(text: &str) -> BTreeMap<&str, usize> {
    let mut found = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            *found.entry(line).or_default() += 1;
        }
    }
    found
}

/// The paths of all values, and the values, in order.
fn values(format: Format, text: &str) -> Vec<(String, String)> {
    let document = Document::parse(format, text).unwrap();
    let mut found = Vec::new();
    document
        .walk(|step| {
            if let Step::Leaf { id, path, .. } = step {
                let value = document.value(document.node(id).unwrap())?;
                let value = String::from_utf8(value.canonical().into_owned()).unwrap();
                found.push((path.additional_data().to_owned(), value));
            }
            Ok::<(), ScanError>(())
        })
        .unwrap();
    found
}

/// The names of blocks and of values, in order.
fn order(format: Format, text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (path, _) in values(format, text) {
        let block = path.split(':').next().unwrap().to_owned();
        if !found.contains(&block) {
            found.push(block);
        }
        found.push(path);
    }
    found
}

fn merged(format: Format, base: &str, ours: &str, theirs: &str) -> Merged {
    let [base, ours, theirs] =
        [base, ours, theirs].map(|text| Document::parse(format, text).unwrap());
    merge(Base::Known(&base), &ours, &theirs)
}

/// What is in the result of sets that were merged without a contradiction.
fn of_sets<T: Ord + Clone>(base: &BTreeSet<T>, ours: &BTreeSet<T>, theirs: &BTreeSet<T>) -> Vec<T> {
    let all: BTreeSet<T> = ours.union(theirs).cloned().collect();
    let stays = |one: &T| ours.contains(one) && theirs.contains(one) || !base.contains(one);
    all.into_iter().filter(stays).collect()
}

/// Whether what both have is in the same order.
fn alike(one: &[String], other: &[String]) -> bool {
    let shared = |from: &[String], with: &[String]| -> Vec<String> {
        let with: BTreeSet<&String> = with.iter().collect();
        from.iter()
            .filter(|one| with.contains(one))
            .cloned()
            .collect()
    };
    shared(one, other) == shared(other, one)
}

/// Checks one merge; returns whether it was clean.
fn check(format: Format, base: &str, ours: &str, theirs: &str) -> bool {
    let result = merged(format, base, ours, theirs);
    let all = format!("base:\n{base}\nours:\n{ours}\ntheirs:\n{theirs}\n");
    let texts = [base, ours, theirs];
    if !result.is_clean() {
        // Whatever is chosen, what no side has touched is there.
        for side in [Side::Ours, Side::Theirs] {
            let text = result.text(side);
            let found: BTreeSet<_> = values(format, &text).into_iter().collect();
            let kept = texts.map(|text| values(format, text).into_iter().collect::<BTreeSet<_>>());
            for value in &kept[0] {
                if kept[1].contains(value) && kept[2].contains(value) {
                    assert!(
                        found.contains(value),
                        "{value:?} is lost\n{all}result:\n{}",
                        *text
                    );
                }
            }
        }
        return false;
    }
    let text = result.text(Side::Ours);
    let all = format!("{all}result:\n{}", *text);
    let found: Vec<&str> = comments(&text)
        .into_iter()
        .map(|(comment, count)| {
            assert_eq!(count, 1, "{comment}\n{all}");
            comment
        })
        .collect();
    let sets = texts.map(|text| comments(text).into_keys().collect());
    assert_eq!(found, of_sets(&sets[0], &sets[1], &sets[2]), "\n{all}");
    let sets = texts.map(|text| values(format, text).into_iter().collect());
    let mut found = values(format, &text);
    found.sort();
    assert_eq!(found, of_sets(&sets[0], &sets[1], &sets[2]), "\n{all}");
    let orders = texts.map(|text| order(format, text));
    let order = order(format, &text);
    for (side, other) in [(1, 2), (2, 1)] {
        if alike(&orders[0], &orders[other]) {
            assert!(alike(&order, &orders[side]), "another order\n{all}");
        }
    }
    true
}

fn changes() -> impl Strategy<Value = Vec<(u8, usize, usize)>> {
    proptest::collection::vec((any::<u8>(), any::<usize>(), any::<usize>()), 1..6)
}

#[test]
fn what_is_moved_and_changed_at_once_is_all_there() {
    let formats = [Format::Yaml, Format::Json, Format::Dotenv, Format::Ini];
    let clean = Cell::new(0);
    proptest!(cases(200), |(blocks in 1_usize..7, ours in changes(), theirs in changes())| {
        let base = base(blocks);
        let (ours, theirs) = (changed(&base, "ours", &ours), changed(&base, "theirs", &theirs));
        for format in formats {
            let [base, ours, theirs] =
                [&base, &ours, &theirs].map(|blocks| written(format, blocks));
            three(format, &base, &ours, &theirs);
            clean.set(clean.get() + u32::from(check(format, &base, &ours, &theirs)));
        }
    });
    // Most of it is no contradiction.
    assert!(clean.get() > 400, "only {} are clean", clean.get());
}
