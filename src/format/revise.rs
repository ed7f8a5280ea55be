//! Changing fields of the metadata where they stand, so that every other byte of it stays.
//!
//! Knows how an entry is put in, taken out and replaced in each format. Knows no field by name, and gives up where the
//! layout is not one that SOPS or this program writes: then the metadata has to be emitted anew.

use std::collections::HashMap;

use super::{Format, dotenv, ini, json, key, toml, write_value, yaml};
use crate::edit::Edit;
use crate::node::{Kind, Node, NodeId};
use crate::span::Span;
use crate::tree::Tree;
use crate::value::Value;

/// How the fields of a file's metadata shall change. In flat formats (dotenv, INI) a field is one line, and its name is
/// the flat one without any prefix.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Revision {
    /// The fields that change, in order, each with its new value; `None` takes it out.
    pub changes: Vec<(String, Option<Tree>)>,
    /// The names of all fields afterwards, in order.
    pub order: Vec<String>,
}

/// The edits that bring about `revision` in every one of `entries`, which are the metadata nodes of the document. `None`
/// if that cannot be done in place.
#[must_use]
pub fn revise(
    format: Format,
    source: &str,
    nodes: &[Node],
    entries: &[NodeId],
    revision: &Revision,
) -> Option<Vec<Edit>> {
    let text = Text {
        format,
        source,
        nodes,
    };
    let mut edits = Vec::new();
    match format {
        Format::Dotenv => {
            text.lines(&text.members(entries.iter().copied()), revision, &mut edits)?;
        }
        Format::Ini => {
            let section = *entries.first()?;
            text.lines(&text.members(text.children(section)), revision, &mut edits)?;
        }
        Format::Json | Format::Binary => text.object(*entries.first()?, revision, &mut edits)?,
        Format::Toml => return toml::revise(source, nodes, *entries.first()?, revision),
        Format::Yaml => {
            for &entry in entries {
                let node = nodes.get(entry)?;
                // Anchors and aliases tie the entry to others; flow style has no lines of its own.
                let tied = nodes
                    .get(entry..node.end)?
                    .iter()
                    .any(|node| matches!(node.kind, Kind::Alias { .. }) || !node.props.is_empty());
                if node.kind != Kind::Mapping || node.flow || tied {
                    return None;
                }
                text.lines(&text.members(text.children(entry)), revision, &mut edits)?;
            }
        }
    }
    Some(edits)
}

/// A field as it stands in the text.
struct Member<'a> {
    name: String,
    node: &'a Node,
}

struct Text<'a> {
    format: Format,
    source: &'a str,
    nodes: &'a [Node],
}

impl<'a> Text<'a> {
    fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + use<'a> {
        let nodes = self.nodes;
        let end = nodes.get(id).map_or(0, |node| node.end);
        let mut next = id + 1;
        std::iter::from_fn(move || {
            let id = next;
            let node = nodes.get(id).filter(|_| id < end)?;
            next = node.end.max(id + 1);
            Some(id)
        })
    }

    fn members(&self, ids: impl Iterator<Item = NodeId>) -> Vec<Member<'a>> {
        let nodes = ids.filter_map(|id| self.nodes.get(id));
        nodes
            .filter(|node| node.kind != Kind::Comment)
            .filter_map(|node| {
                let name = key(self.format, self.source, node).ok()?;
                let name = match self.format {
                    Format::Dotenv => name.strip_prefix("sops_")?.to_owned(),
                    _ => name.into_owned(),
                };
                Some(Member { name, node })
            })
            .collect()
    }

    /// Fields on lines of their own.
    fn lines(
        &self,
        members: &[Member<'a>],
        revision: &Revision,
        edits: &mut Vec<Edit>,
    ) -> Option<()> {
        let first = self.own_lines(members.first()?.node)?;
        let places = Places::new(members, &revision.order);
        let kept = members.iter().find(|member| places.stays(&member.name));
        for (name, value) in &revision.changes {
            let found = places.found(name).and_then(|at| members.get(at));
            match (found, value) {
                (None, None) => {}
                (Some(member), None) => {
                    let span = self.own_lines(member.node)?;
                    span.of(self.source).ends_with('\n').then_some(())?;
                    edits.push(Edit::remove(span));
                }
                (Some(member), Some(value)) => self.replace(member, value, edits)?,
                (None, Some(value)) => {
                    let before = places.before(name).and_then(|at| members.get(at));
                    let at = match before {
                        Some(member) => {
                            let span = self.own_lines(member.node)?;
                            span.of(self.source).ends_with('\n').then_some(span.end())?
                        }
                        None => first.start(),
                    };
                    let like = before.or(kept)?;
                    let text = self.line(like.node, name, value)?;
                    edits.push(Edit::new(Span::at(at), text));
                }
            }
        }
        Some(())
    }

    fn replace(&self, member: &Member<'a>, value: &Tree, edits: &mut Vec<Edit>) -> Option<()> {
        match (self.format, value) {
            (Format::Dotenv | Format::Ini, Tree::Str(text)) => {
                // Both formats read the two characters `\n` as a line break here (spec 5.5).
                let line = text.replace('\n', "\\n");
                let value = Value::Str(line.as_str().into());
                write_value(self.format, self.source, member.node, &value, false, edits).ok()
            }
            _ => {
                let span = self.own_lines(member.node)?;
                let mut text = self.line(member.node, &member.name, value)?;
                if !span.of(self.source).ends_with('\n') {
                    text.truncate(text.trim_end_matches(['\r', '\n']).len());
                }
                edits.push(Edit::new(span, text));
                Some(())
            }
        }
    }

    /// The lines of a field; `None` if something else stands on them.
    fn own_lines(&self, node: &Node) -> Option<Span> {
        let key = node.key?;
        let start = self
            .source
            .get(..key.start())?
            .rfind('\n')
            .map_or(0, |at| at + 1);
        let indent = self.source.get(start..key.start())?;
        indent.bytes().all(|byte| byte == b' ').then_some(())?;
        let end = node.span.end().max(key.end());
        if end > start && self.source.get(..end)?.ends_with('\n') {
            return Some(Span::new(start, end));
        }
        let rest = self.source.get(end..)?.find('\n');
        let end = rest.map_or(self.source.len(), |at| end + at + 1);
        Some(Span::new(start, end))
    }

    /// The line, or lines, of a field, in the manner of the field `like`.
    fn line(&self, like: &Node, name: &str, value: &Tree) -> Option<String> {
        let span = self.own_lines(like)?;
        let lines = match (self.format, value) {
            (Format::Dotenv, Tree::Str(text)) => {
                return Some(dotenv::emit_metadata(&[(name.to_owned(), text.clone())]));
            }
            (Format::Ini, Tree::Str(text)) => {
                let key = like.key?;
                // SOPS writes the equal signs below each other.
                let width = self.source.get(key.start()..span.end())?.find('=')?;
                ini::emit_line(name, text, width.saturating_sub(1))
            }
            (Format::Yaml, tree) => {
                let entry = Tree::Map(vec![(name.to_owned(), tree.clone())]);
                let block = yaml::emit_metadata(&entry);
                let lines = block.split_once('\n')?.1;
                let column = like.key?.start() - span.start();
                indented(lines, column)
            }
            _ => return None,
        };
        let crlf = span.of(self.source).contains("\r\n");
        Some(if crlf {
            lines.replace('\n', "\r\n")
        } else {
            lines
        })
    }

    /// The members of a JSON object.
    fn object(&self, id: NodeId, revision: &Revision, edits: &mut Vec<Edit>) -> Option<()> {
        let object = self
            .nodes
            .get(id)
            .filter(|node| node.kind == Kind::Mapping)?;
        let members = self.members(self.children(id));
        let first = members.first()?.node.key?;
        let gap = self.source.get(object.span.start() + 1..first.start())?;
        let gap = if gap.contains('\n') { gap } else { " " };
        let mut removed = vec![false; members.len()];
        let places = Places::new(&members, &revision.order);
        for (name, value) in &revision.changes {
            match (places.found(name), value) {
                (None, None) => {}
                (Some(at), None) => *removed.get_mut(at)? = true,
                (Some(at), Some(value)) => {
                    let member = self.json_member(name, value)?;
                    let value = member.split_once(": ")?.1;
                    edits.push(Edit::new(members.get(at)?.node.span, value));
                }
                (None, Some(value)) => {
                    let member = self.json_member(name, value)?;
                    let before = places.before(name).and_then(|at| members.get(at));
                    edits.push(match before {
                        Some(before) => {
                            Edit::new(Span::at(before.node.span.end()), format!(",{gap}{member}"))
                        }
                        None => Edit::new(Span::at(first.start()), format!("{member},{gap}")),
                    });
                }
            }
        }
        self.without(&members, &removed, edits)
    }

    /// Takes out members, each with one comma.
    fn without(
        &self,
        members: &[Member<'a>],
        removed: &[bool],
        edits: &mut Vec<Edit>,
    ) -> Option<()> {
        let start = |member: &Member<'_>| Some(member.node.key?.start());
        let mut last_kept: Option<&Member<'_>> = None;
        let mut run: Option<&Member<'_>> = None;
        for (member, &gone) in members.iter().zip(removed) {
            if gone {
                run = run.or(Some(member));
                continue;
            }
            if let Some(first) = run.take() {
                edits.push(Edit::remove(Span::new(start(first)?, start(member)?)));
            }
            last_kept = Some(member);
        }
        if run.is_some() {
            let end = members.last()?.node.span.end();
            edits.push(Edit::remove(Span::new(last_kept?.node.span.end(), end)));
        }
        Some(())
    }

    /// `"name": value`, its lines indented as members of the metadata are.
    fn json_member(&self, name: &str, value: &Tree) -> Option<String> {
        let entry = Tree::Map(vec![(name.to_owned(), value.clone())]);
        let text = json::emit_metadata(&entry, self.source, self.nodes);
        let member = text.strip_prefix("\"sops\": {")?.strip_suffix('}')?.trim();
        let crlf = self.source.contains("\r\n");
        Some(if crlf {
            member.replace('\n', "\r\n")
        } else {
            member.to_owned()
        })
    }
}

/// Where fields stand, as indices of the members: those that are there, and what a new one goes behind.
struct Places<'n> {
    found: HashMap<&'n str, usize>,
    /// For each field in order, the nearest before it that is there already and stays.
    before: HashMap<&'n str, Option<usize>>,
    last: Option<usize>,
}

impl<'n> Places<'n> {
    fn new(members: &'n [Member<'_>], order: &'n [String]) -> Self {
        let mut found = HashMap::with_capacity(members.len());
        for (at, member) in members.iter().enumerate() {
            found.entry(member.name.as_str()).or_insert(at);
        }
        let mut before = HashMap::with_capacity(order.len());
        let mut last = None;
        for name in order {
            before.entry(name.as_str()).or_insert(last);
            last = found.get(name.as_str()).copied().or(last);
        }
        Self {
            found,
            before,
            last,
        }
    }

    fn found(&self, name: &str) -> Option<usize> {
        self.found.get(name).copied()
    }

    fn stays(&self, name: &str) -> bool {
        self.before.contains_key(name)
    }

    fn before(&self, name: &str) -> Option<usize> {
        self.before.get(name).copied().unwrap_or(self.last)
    }
}

/// Lines that are emitted with four blanks, moved so that they begin in `column`.
fn indented(lines: &str, column: usize) -> String {
    let pad = " ".repeat(column);
    let line = |line: &str| match line.strip_prefix("    ") {
        Some(rest) => format!("{pad}{rest}\n"),
        None => format!("{line}\n"),
    };
    lines.lines().map(line).collect()
}

#[cfg(test)]
mod tests;
