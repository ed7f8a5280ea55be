//! Taking an entry out of a flow collection, with one comma.

use super::Removal;
use crate::edit::Edit;
use crate::format::yaml::chars::{byte, is_blank, is_blankz, line_end};
use crate::node::{Kind, NodeId};
use crate::span::Span;

impl Removal<'_> {
    pub(super) fn out_of_flow(&self, edits: &mut Vec<Edit>) {
        let layout = self.layout;
        let end = self.node.span.end();
        let close = self.parent.span.end().saturating_sub(1);
        let next = self.next.map(|next| layout.start(next));
        let comma = layout.comma(end, next.unwrap_or(close).max(end));
        if self.is_only() && !self.has_other_comments(comma.unwrap_or(end)) {
            edits.push(self.emptied());
            return;
        }
        let previous = self.previous.and_then(|previous| {
            let comma = layout.comma(layout.end(previous), self.start)?;
            let is_free = !self.is_held_by_comma(previous, comma);
            is_free.then_some((layout.end(previous), comma))
        });
        // Without a blank before it, a `#` begins no comment.
        let only_comma = |from: usize, comma: usize| {
            let begins_comment = layout.between(comma + 1, comma + 2) == "#";
            let text = if begins_comment { " " } else { "" };
            Edit::new(Span::new(from, comma + 1), text)
        };
        if let Some(lines) = self.own_flow_lines(comma.map_or(end, |comma| comma + 1)) {
            edits.push(Edit::remove(lines));
            if let (None, Some((_, comma))) = (comma, previous) {
                edits.push(only_comma(self.without_value(comma), comma));
            }
            return;
        }
        // On a line of its own the next one would come up to this line.
        let moves_up = |next: usize| {
            previous.is_none()
                || layout.begins_line(self.start)
                || line_end(layout.source.as_bytes(), end) >= next
        };
        match (previous, next) {
            (_, Some(next)) if moves_up(next) && !layout.has_comment(end, next) => {
                edits.push(Edit::remove(Span::new(self.start, next)));
            }
            (Some((_, comma)), _) if layout.has_comment(comma, self.start) => {
                edits.push(only_comma(comma, comma));
                edits.push(Edit::remove(Span::new(self.start, end)));
            }
            (Some((previous, comma)), _) => {
                let has_blank = self.previous.is_some_and(|id| layout.ends_with_mark(id));
                let from = if layout.has_comment(previous, comma) {
                    comma
                } else if has_blank {
                    // Nor may the bracket come up to it.
                    let bytes = layout.source.as_bytes();
                    let is_apart = is_blankz(bytes, end);
                    previous + usize::from(!is_apart && is_blank(bytes, previous))
                } else {
                    previous.max(self.without_value(comma))
                };
                edits.push(Edit::remove(Span::new(from, end)));
            }
            (None, _) => {
                edits.push(Edit::remove(Span::new(self.start, end)));
                edits.extend(comma.map(|comma| only_comma(comma, comma)));
            }
        }
    }

    /// Whether the text of the entry before ends with a `:` that would lead to a value if the comma behind it went.
    fn is_held_by_comma(&self, previous: NodeId, comma: usize) -> bool {
        let layout = self.layout;
        let bytes = layout.source.as_bytes();
        let is_text = !layout.is_empty(previous) || layout.behind_mark(previous).is_none();
        let ends = matches!(byte(bytes, self.node.span.end()), b',' | b']' | b'}');
        let comes_close = ends && !layout.has_comment(comma, self.start);
        let is_colon = layout.between(comma.saturating_sub(1), comma) == ":";
        is_text && is_colon && !comes_close
    }

    /// From where on the comma before this entry goes, if nothing stands between it and the `:` of the entry before but blanks:
    /// with both of two, which an insertion has put there, else alone.
    fn without_value(&self, comma: usize) -> usize {
        let previous = self.previous.filter(|&id| self.layout.is_empty(id));
        match previous.and_then(|id| self.layout.behind_mark(id)) {
            Some(mark) if self.layout.between(mark, comma) == "  " => mark,
            Some(_) | None => comma,
        }
    }

    /// The only entry goes with all that stands between the brackets.
    fn emptied(&self) -> Edit {
        let span = self.parent.span;
        let opening = self.layout.between(span.start(), span.start() + 1);
        if matches!(opening, "{" | "[") {
            Edit::remove(Span::new(span.start() + 1, span.end() - 1))
        } else {
            // `[key: value]` is a list with a mapping that has no brackets.
            Edit::new(span, self.nothing())
        }
    }

    /// Whether comments stand between the brackets that are not those of this, their only entry, which ends at `end`.
    fn has_other_comments(&self, end: usize) -> bool {
        let own_end = line_end(self.layout.source.as_bytes(), end);
        let own = Span::new(self.layout.lead(self.id), own_end);
        let inside = self.parent.span;
        self.layout.nodes.iter().any(|node| {
            node.kind == Kind::Comment && inside.contains(node.span) && !own.contains(node.span)
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::edit::splice;
    use crate::format::yaml::place::remove;
    use crate::format::yaml::scan;

    /// What go-yaml reads there is a text; other readers refuse it (spec 7.2.1).
    #[test]
    fn a_text_with_a_colon_at_its_end_keeps_the_comma_that_makes_it_one() {
        for (before, after) in [
            ("n: [a, b:, c ]", "n: [a, b:,  ]"),
            ("n: {a: 1, b:, c: 1 }", "n: {a: 1, b:,  }"),
            ("n: [b:, # one\n  c]", "n: [b:, # one\n  ]"),
            ("n: [b:,\n  c\n]", "n: [b:,\n]"),
            ("n: [b:, c]", "n: [b:]"),
        ] {
            let nodes = scan(before).unwrap();
            let mut edits = Vec::new();
            remove(before, &nodes, nodes.len() - 1, &mut edits).unwrap();
            let found = splice(before, &edits).unwrap();
            assert_eq!(*found, after);
            let kept = nodes.iter().take(nodes.len() - 1).map(|node| node.kind);
            let kinds: Vec<_> = scan(&found).unwrap().iter().map(|node| node.kind).collect();
            assert_eq!(kinds, kept.collect::<Vec<_>>(), "{before}");
        }
    }
}
