//! YAML by way of libyaml's events: scalars resolved by our own table, aliases expanded, comments cut from the gaps
//! between the events.
//!
//! Where a comment belongs is judged as spec 7.2.4 recommends: by column, and marked as uncertain where SOPS is erratic.

use std::collections::{HashMap, HashSet};

use libyaml_safer::{Event, EventData, MappingStyle, Parser, ScalarStyle, SequenceStyle};

use super::scalar::resolve;
use super::token::START;
use super::tree::{Entry, Node, Remark, Value};

/// The documents of a stream, and what a writer should not have left in it.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    pub(crate) documents: Vec<Node>,
    /// The violations of table 12.1 that show in the events alone.
    pub(crate) faults: Vec<String>,
    /// The style of every scalar below a top-level `sops` key, with its path.
    pub(crate) metadata: Vec<(String, Value)>,
    /// Whether the root of each document is a flow mapping.
    pub(crate) flow_roots: Vec<bool>,
}

/// More nodes than this after alias expansion is refused.
const MOST_NODES: usize = 2_000_000;

/// Reads a stream as go-yaml would.
pub(crate) fn parse(text: &str) -> Result<Stream, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // This parser does not survive a block scalar that runs into the end of the text.
    let ended = format!("{text}\n");
    let mut input = ended.as_bytes();
    let mut parser = Parser::new();
    parser.set_input_string(&mut input);
    let mut builder = Builder {
        text: &ended,
        ..Builder::default()
    };
    for event in parser {
        let mut event = event.map_err(|error| error.to_string())?;
        take_back_line_break(text, &mut event)?;
        builder.comments_before(&event)?;
        builder.event(&event)?;
    }
    Ok(builder.stream)
}

/// Removes from a block scalar at the end of the text the line break that [`parse`] added.
fn take_back_line_break(text: &str, event: &mut Event) -> Result<(), String> {
    let at_end = at(event.end_mark)? > text.len();
    let EventData::Scalar { value, style, .. } = &mut event.data else {
        return Ok(());
    };
    let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
    let last_line = text.rsplit('\n').next().unwrap_or_default();
    let content_last = !last_line.trim().is_empty();
    // Behind a blank last line only `+` keeps the break.
    if block && at_end && (content_last || value.ends_with("\n\n")) && value.ends_with('\n') {
        value.pop();
    }
    Ok(())
}

/// A mapping or list that is still open.
#[derive(Debug)]
struct Open {
    entries: Vec<Entry>,
    list: bool,
    flow: bool,
    /// Column of its keys or dashes; `None` until the first key was seen.
    column: Option<u64>,
    /// The key whose value comes next.
    key: Option<String>,
    anchor: Option<String>,
    seen: HashSet<String>,
}

#[derive(Debug)]
struct Found {
    column: u64,
    remark: Remark,
}

#[derive(Debug, Default)]
struct Builder<'a> {
    text: &'a str,
    covered: usize,
    stack: Vec<Open>,
    pending: Vec<Found>,
    anchors: HashMap<String, (Node, Vec<String>)>,
    nodes: usize,
    stream: Stream,
    after: After,
}

/// What the last event was, as far as a comment on the same line cares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum After {
    #[default]
    Nothing,
    Key,
    Value,
    FlowEnd,
}

fn at(mark: libyaml_safer::Mark) -> Result<usize, String> {
    usize::try_from(mark.index).map_err(|error| error.to_string())
}

impl Builder<'_> {
    fn path(&self) -> Vec<String> {
        self.stack
            .iter()
            .filter_map(|open| open.key.clone())
            .collect()
    }

    // ---- comments ----

    fn comments_before(&mut self, event: &Event) -> Result<(), String> {
        let start = at(event.start_mark)?;
        if start > self.covered {
            let gap = self
                .text
                .get(self.covered..start)
                .unwrap_or_default()
                .to_owned();
            let from = self.covered;
            self.gap(&gap, from);
        }
        self.covered = self.covered.max(at(event.end_mark)?);
        Ok(())
    }

    /// Finds `#` comments in text that holds nothing but indicators and white space besides.
    fn gap(&mut self, gap: &str, from: usize) {
        let mut offset = from;
        for line in gap.split_inclusive(['\n', '\r']) {
            if let Some((before, text)) = line.split_once('#') {
                let hash = offset + before.len();
                let head = self.text.get(..hash).unwrap_or_default();
                let line_head = head.rsplit(['\n', '\r']).next().unwrap_or_default();
                let column = u64::try_from(line_head.chars().count()).unwrap_or(u64::MAX);
                let text = text.trim_end_matches(['\n', '\r']).to_owned();
                self.place(text, column, line_head);
            }
            offset += line.len();
        }
    }

    fn place(&mut self, text: String, column: u64, line_head: &str) {
        let remark = Remark {
            text,
            certain: true,
        };
        let beside = line_head.trim();
        let marker = ["-", "?", "---", "..."]
            .iter()
            .any(|mark| beside.ends_with(mark));
        let after = self.after;
        let Some(open) = self.stack.last_mut() else {
            self.pending.push(Found { column, remark });
            return;
        };
        let entry = Entry::item(Node::Comment(remark.clone()));
        if !beside.is_empty() && after == After::FlowEnd && !open.flow {
            match open.entries.last_mut().map(|last| &mut last.node) {
                Some(Node::Map(inner) | Node::List(inner)) => inner.insert(0, entry),
                _ => open.entries.push(entry),
            }
        } else if open.flow {
            open.entries.push(entry);
        } else if !beside.is_empty() && after == After::Value && !marker {
            let before = open.entries.len().saturating_sub(1);
            open.entries.insert(before, entry);
        } else if !beside.is_empty() && after == After::Key {
            open.entries.push(entry);
        } else {
            self.pending.push(Found { column, remark });
        }
    }

    /// Settles waiting comments when something other than an end comes: they stand before it.
    fn settle(&mut self) {
        if let Some(open) = self.stack.last_mut() {
            let found = self.pending.drain(..);
            open.entries
                .extend(found.map(|found| Entry::item(Node::Comment(found.remark))));
        }
    }

    /// Settles waiting comments when a block container ends: those at its column stay, the others move up.
    fn settle_end(&mut self) {
        let last = self.stack.len() == 1;
        let parent = self.stack.iter().rev().nth(1).and_then(|open| open.column);
        let Some(open) = self.stack.last_mut() else {
            return;
        };
        let column = open.column.unwrap_or(0);
        let flush = open.list && parent == Some(column) && !last;
        let mut rest = Vec::new();
        for mut found in self.pending.drain(..) {
            if last || (found.column >= column && !flush) {
                found.remark.certain &= found.column == column;
                open.entries.push(Entry::item(Node::Comment(found.remark)));
            } else {
                found.remark.certain &= parent.is_some_and(|parent| found.column <= parent);
                rest.push(found);
            }
        }
        self.pending = rest;
    }

    // ---- events ----

    fn event(&mut self, event: &Event) -> Result<(), String> {
        match &event.data {
            EventData::DocumentStart {
                version_directive, ..
            } => {
                if version_directive.is_some_and(|version| (version.major, version.minor) != (1, 1))
                {
                    return Err("found incompatible YAML document".to_owned());
                }
                self.anchors.clear();
                self.after = After::Nothing;
            }
            EventData::Alias { anchor } => self.alias(anchor, event)?,
            EventData::Scalar { .. } => self.scalar(event)?,
            EventData::SequenceStart { anchor, style, .. } => {
                let flow = *style == SequenceStyle::Flow;
                let end = at(event.end_mark)?;
                let dash_follows = self.text.as_bytes().get(end) == Some(&b'-');
                let column = event.end_mark.column - u64::from(!dash_follows && !flow);
                self.open(true, flow, Some(column), anchor.clone())?;
            }
            EventData::MappingStart { anchor, style, .. } => {
                self.open(false, *style == MappingStyle::Flow, None, anchor.clone())?;
            }
            EventData::SequenceEnd | EventData::MappingEnd => {
                self.close()?;
            }
            EventData::StreamStart { .. }
            | EventData::StreamEnd
            | EventData::DocumentEnd { .. } => {}
        }
        Ok(())
    }

    fn open(
        &mut self,
        list: bool,
        flow: bool,
        column: Option<u64>,
        anchor: Option<String>,
    ) -> Result<(), String> {
        if let Some(parent) = self.stack.last() {
            if !parent.list && parent.key.is_none() {
                return Err("a key that is a collection".to_owned());
            }
            // Comments between a key and its block value stand inside the value, first.
            if parent.list || flow {
                self.settle_if_block_item(flow);
            }
        } else if list {
            return Err("top level is not a mapping".to_owned());
        } else {
            self.stream.flow_roots.push(flow);
        }
        if self.stack.len() >= 10_000 {
            return Err("exceeded max depth of 10000".to_owned());
        }
        let entries = Vec::new();
        self.stack.push(Open {
            entries,
            list,
            flow,
            column,
            key: None,
            anchor,
            seen: HashSet::new(),
        });
        self.after = After::Nothing;
        self.settle();
        Ok(())
    }

    /// Comments above a flow collection or above a `- ` item belong to the list around it, not to the item; but those
    /// behind the dash belong inside (the same additional data either way).
    fn settle_if_block_item(&mut self, flow: bool) {
        if flow {
            self.settle();
        } else if let Some(open) = self.stack.last_mut() {
            let column = open.column.unwrap_or(0);
            let (mine, inner) = self
                .pending
                .drain(..)
                .partition::<Vec<_>, _>(|found| found.column <= column);
            open.entries.extend(
                mine.into_iter()
                    .map(|f| Entry::item(Node::Comment(f.remark))),
            );
            self.pending = inner;
        }
    }

    fn close(&mut self) -> Result<(), String> {
        let flow = self.stack.last().is_some_and(|open| open.flow);
        if flow {
            self.settle();
        } else {
            self.settle_end();
        }
        let Some(open) = self.stack.pop() else {
            return Err("unbalanced events".to_owned());
        };
        let node = if open.list {
            Node::List(open.entries)
        } else {
            Node::Map(open.entries)
        };
        if let Some(anchor) = open.anchor {
            self.anchors.insert(anchor, (node.clone(), self.path()));
        }
        self.add(node)?;
        self.after = if flow { After::FlowEnd } else { After::Nothing };
        Ok(())
    }

    fn add(&mut self, node: Node) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err("document contains excessive aliasing".to_owned());
        }
        match self.stack.last_mut() {
            None => self.stream.documents.push(node),
            Some(open) if open.list => open.entries.push(Entry::item(node)),
            Some(open) => {
                let key = open.key.take().ok_or("a value without a key")?;
                open.entries.push(Entry::keyed(key, node));
            }
        }
        Ok(())
    }

    fn alias(&mut self, anchor: &str, event: &Event) -> Result<(), String> {
        self.settle();
        if self
            .stack
            .iter()
            .any(|open| open.anchor.as_deref() == Some(anchor))
        {
            return Err(format!("anchor '{anchor}' value contains itself"));
        }
        let found = self.anchors.get(anchor).cloned();
        let (node, home) = found.ok_or_else(|| format!("unknown anchor '{anchor}' referenced"))?;
        if self.expects_key() {
            let Node::Leaf(value) = &node else {
                return Err("a key that is a collection".into());
            };
            let key = value.clone();
            return self.key(&key, event, "*");
        }
        if self.path() != home && holds_token(&node) {
            let path = self.path().join(":");
            self.stream
                .faults
                .push(format!("alias over a token at {path}"));
        }
        self.nodes += count(&node);
        self.add(node)?;
        self.after = After::Value;
        Ok(())
    }

    fn expects_key(&self) -> bool {
        self.stack
            .last()
            .is_some_and(|open| !open.list && open.key.is_none())
    }

    fn key(&mut self, value: &Value, event: &Event, literal: &str) -> Result<(), String> {
        let first_document = self.stream.documents.is_empty();
        let Some(open) = self.stack.last_mut() else {
            return Err("key outside a mapping".into());
        };
        let Value::Str(bytes) = value else {
            return Err(format!(
                "Tree contains a non-string key (type {})",
                value.word()
            ));
        };
        let key = String::from_utf8(bytes.clone()).map_err(|error| error.to_string())?;
        open.column.get_or_insert(event.start_mark.column);
        let fresh = open.seen.insert(format!("{literal}{key}"));
        if first_document && !fresh {
            return Err(format!("mapping key \"{key}\" already defined"));
        }
        open.key = Some(key);
        self.after = After::Key;
        Ok(())
    }

    fn scalar(&mut self, event: &Event) -> Result<(), String> {
        let EventData::Scalar {
            anchor,
            tag,
            value,
            style,
            ..
        } = &event.data
        else {
            return Ok(());
        };
        self.settle();
        let raw = self
            .text
            .get(at(event.start_mark)?..at(event.end_mark)?)
            .unwrap_or_default();
        if *style == ScalarStyle::DoubleQuoted && raw.replace("\\\\", "").contains("\\/") {
            return Err("found unknown escape character".to_owned());
        }
        let plain = *style == ScalarStyle::Plain;
        let merge = tag.as_deref() == Some("tag:yaml.org,2002:merge");
        if self.stack.is_empty() {
            return match resolve(value, tag.as_deref(), plain)? {
                Value::Null => {
                    self.stream.flow_roots.push(false);
                    self.stream.documents.push(Node::Map(Vec::new()));
                    Ok(())
                }
                _ => Err("top level is not a mapping".to_owned()),
            };
        }
        let resolved = if merge {
            Value::text(value.as_str())
        } else {
            resolve(value, tag.as_deref(), plain)?
        };
        if let Some(anchor) = anchor {
            self.anchors
                .insert(anchor.clone(), (Node::Leaf(resolved.clone()), self.path()));
        }
        if self.expects_key() {
            return self.key(&resolved, event, "");
        }
        self.check_scalar(raw, value, *style);
        let path = self.path();
        if path.first().is_some_and(|key| key == "sops") {
            self.stream
                .metadata
                .push((path.join(":"), resolved.clone()));
        }
        let header = raw.lines().next().unwrap_or_default();
        let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        if block
            && let Some((_, text)) = header.split_once(" #")
            && let Some(open) = self.stack.last_mut()
        {
            open.entries.push(Entry::comment(text, true));
        }
        self.add(Node::Leaf(resolved))?;
        self.after = After::Value;
        Ok(())
    }

    /// Table 12.1, the rows about tokens.
    fn check_scalar(&mut self, raw: &str, value: &str, style: ScalarStyle) {
        if !value.trim_start().starts_with(START) {
            return;
        }
        let path = self.path().join(":");
        let mut fault = |text: &str| self.stream.faults.push(format!("{text} at {path}"));
        if value.starts_with(char::is_whitespace) {
            fault("white space before a token");
        }
        if value.trim_end().contains('\n') {
            fault("a token over several lines");
        }
        match style {
            ScalarStyle::DoubleQuoted if raw.contains('\n') => fault("a token over several lines"),
            ScalarStyle::Literal | ScalarStyle::Folded => {
                let header = raw.lines().next().unwrap_or_default();
                if header.split('#').next().unwrap_or_default().contains('+') {
                    fault("`+` chomping on a token");
                }
            }
            _ => {}
        }
    }
}

fn holds_token(node: &Node) -> bool {
    match node {
        Node::Leaf(Value::Str(bytes)) => bytes.starts_with(START.as_bytes()),
        Node::Leaf(_) | Node::Comment(_) => false,
        Node::Map(entries) | Node::List(entries) => {
            entries.iter().any(|entry| holds_token(&entry.node))
        }
    }
}

fn count(node: &Node) -> usize {
    1 + node
        .entries()
        .iter()
        .map(|entry| count(&entry.node))
        .sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::super::tree::{What, aad, walk};
    use super::parse;

    /// Every comment as `AAD text`, in walk order, leaves in between as `AAD`.
    fn comments(text: &str) -> Vec<String> {
        let stream = parse(text).unwrap();
        walk(&stream.documents)
            .into_iter()
            .filter_map(|step| match step.what {
                What::Comment(remark) => Some(format!("{}{}", aad(&step.path), remark.text)),
                What::Leaf(_) => Some(aad(&step.path)),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn comments_belong_where_spec_7_2_4_puts_them() {
        assert_eq!(comments("#x\n\n#y\na: 1\n"), [":x", ":y", "a:"]);
        assert_eq!(comments("a: 1 #x\n"), [":x", "a:"]);
        assert_eq!(comments("a: | #x\n  t\nb: 1\n"), [":x", "a:", "b:"]);
        assert_eq!(comments("a: one\n  two #x\n"), [":x", "a:"]);
        assert_eq!(comments("m: #x\n  a: 1\n"), [":x", "m:a:"]);
        assert_eq!(comments("a: {b: 1} #x\n"), ["a:x", "a:b:"]);
        assert_eq!(comments("b: [1] #x\n"), ["b:x", "b:"]);
        assert_eq!(comments("b: [1, #x\n  2]\n"), ["b:", "b:x", "b:"]);
        assert_eq!(comments("l:\n- #x\n  a: 1\n"), ["l:x", "l:a:"]);
        assert_eq!(comments("m:\n  a: 1\n  #x\nb: 2\n"), ["m:a:", "m:x", "b:"]);
        assert_eq!(
            comments("m:\n  n:\n    a: 1\n  #x\n  b: 2\n"),
            ["m:n:a:", "m:x", "m:b:"]
        );
        assert_eq!(
            comments("m:\n  n:\n    a: 1\n#x\nb: 2\n"),
            ["m:n:a:", ":x", "b:"]
        );
        assert_eq!(
            comments("m:\n    #x\n  #y\n  a: 1\n"),
            ["m:x", "m:y", "m:a:"]
        );
        assert_eq!(
            comments("l:\n  - 1\n  #x\n  - 2\n  #y\nb: 1\n"),
            ["l:", "l:x", "l:", "l:y", "b:"]
        );
        assert_eq!(comments("l:\n- 1\n#x\nb: 1\n"), ["l:", ":x", "b:"]);
        assert_eq!(comments("a: 1\n#x\n---\n#y\nb: 2\n").len(), 4);
    }

    #[test]
    fn a_block_scalar_may_end_with_the_text() {
        for (text, value) in [
            ("a: |\n  x", "x"),
            ("a: |-\n  x", "x"),
            ("a: |+\n  x", "x"),
            ("a: |\n  x\n", "x\n"),
            ("a: |\n  x\n\n\n", "x\n"),
            ("a: |+\n  x\n\n", "x\n\n"),
            ("a: |+\n  x\n  ", "x\n"),
            ("a: >\n  x\n  y", "x y"),
        ] {
            let stream = parse(text).unwrap();
            let steps = walk(&stream.documents);
            let found = steps.iter().find_map(|step| match step.what {
                What::Leaf(value) => Some(value.bytes()),
                _ => None,
            });
            assert_eq!(found, Some(value.as_bytes().to_vec()), "{text:?}");
        }
    }

    #[test]
    fn what_go_yaml_refuses_is_refused() {
        for bad in [
            "a: 1\na: 2\n",
            "1: x\n",
            "m:\n  true: x\n",
            "- a\n",
            "text\n",
            "%YAML 1.2\n---\na: 1\n",
            "a: *nowhere\n",
            "a: &x [*x]\n",
            "a: \"\\/\"\n",
            "a: !!int x\n",
            "a: 9223372036854775808\n",
            "{a: ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]}\n",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(
            parse("a: 1\n---\nb: 1\nb: 2\n").is_ok(),
            "document 2 may repeat keys"
        );
    }
}
