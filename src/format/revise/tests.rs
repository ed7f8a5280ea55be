//! Fields of the metadata that come in, many of them at once.

use super::{Revision, revise};
use crate::edit::splice;
use crate::format::{Format, scan};
use crate::tree::Tree;

/// The text with every second of `count` fields, and what it is with all of them.
fn fields(format: Format, count: usize, all: bool) -> String {
    let line = |number: usize| match format {
        Format::Dotenv => format!("sops_f{number}=v{number}\n"),
        _ => format!("f{number} = v{number}\n"),
    };
    let head = if format == Format::Ini {
        "[sops]\n"
    } else {
        ""
    };
    let numbers = (0..count).filter(|number| all || number % 2 == 0);
    head.to_owned() + &numbers.map(line).collect::<String>()
}

#[test]
fn each_new_field_goes_behind_the_one_before_it_however_many_there_are() {
    let count = 4000;
    let name = |number: usize| format!("f{number}");
    let new = |number: usize| (name(number), Some(Tree::Str(format!("v{number}"))));
    let revision = Revision {
        changes: (1..count).step_by(2).map(new).collect(),
        order: (0..count).map(name).collect(),
    };
    for format in [Format::Dotenv, Format::Ini] {
        let source = fields(format, count, false);
        let nodes = scan(format, &source).unwrap();
        let is_entry = |id: &usize| match format {
            Format::Ini => nodes[*id].key.is_some_and(|key| key.of(&source) == "sops"),
            _ => nodes[*id].parent.is_some(),
        };
        let entries: Vec<usize> = (0..nodes.len()).filter(is_entry).collect();
        let edits = revise(format, &source, &nodes, &entries, &revision).unwrap();
        let lines = |text: &str| {
            text.lines()
                .map(|line| line.replace(' ', ""))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            lines(&splice(&source, &edits).unwrap()),
            lines(&fields(format, count, true))
        );
    }
}
