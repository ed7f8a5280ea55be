//! Where the creation rules stand in the text of a config, for those who tell people about them.

use crate::document::Document;
use crate::format::Format;
use crate::node::Kind;
use crate::span::Position;

/// The line in which each creation rule begins, from 1, in order; empty if the list is not written out in the config, or in
/// a way that our own scanner does not read.
#[must_use]
pub fn rule_lines(text: &str) -> Vec<usize> {
    let Ok(document) = Document::parse(Format::Yaml, text) else {
        return Vec::new();
    };
    let root = document.roots().next();
    let Some(list) = root.and_then(|root| document.entry(root, "creation_rules")) else {
        return Vec::new();
    };
    let items = document.children(list).filter_map(|id| document.node(id));
    let mut lines = Vec::new();
    let (mut line, mut counted) = (1, 0);
    for rule in items.filter(|node| node.kind != Kind::Comment) {
        let start = rule.span.start();
        let between = text.get(counted..start).unwrap_or_default();
        line += Position::of(between, between.len()).line - 1;
        counted = start;
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::rule_lines;

    #[test]
    fn each_rule_has_the_line_it_begins_in() {
        let text = "recipients: {}\ncreation_rules:\n  # first\n  - path_regex: a\n    age: x\n\n  - age: y # last\n  - {age: z}\nstores: {}\n";
        assert_eq!(rule_lines(text), [4, 7, 8]);
        assert_eq!(rule_lines("creation_rules: [{age: x}, {age: y}]\n"), [1, 1]);
    }

    #[test]
    fn what_is_not_written_out_has_no_lines() {
        assert!(rule_lines("x: &r [{age: y}]\ncreation_rules: *r\n").is_empty());
        assert!(rule_lines("stores: {}\n").is_empty());
        assert!(rule_lines("a: [").is_empty());
    }
}
