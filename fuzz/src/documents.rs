//! What holds for every text that a scanner accepts.

use sops_rs::document::{Document, Path, Step};
use sops_rs::edit::{Edit, splice};
use sops_rs::format::{Format, MAX_DEPTH};
use sops_rs::node::{Form, Kind, Node, ScanError};
use sops_rs::span::Span;

/// How many leaves are asked for their path by climbing, which costs their depth.
const CLIMBS: usize = 100;

/// Scans `text`, and if that works holds the table against the rules of `node.rs`, decodes everything in it and walks it.
pub fn scan(format: Format, text: &str) {
    let document = match Document::parse(format, text) {
        Ok(document) => document,
        Err(error) => return inside(text, error.span, "an error's place"),
    };
    check_table(&document);
    decode(&document);
    check_splice(&document);
    walk(&document);
}

/// Spans on character boundaries inside the text, entries behind and inside their containers, ends that agree with it.
pub fn check_table(document: &Document<'_>) {
    let (text, nodes) = (document.source(), document.nodes());
    let mut open: Vec<usize> = Vec::new();
    for (id, node) in nodes.iter().enumerate() {
        while open.last().is_some_and(|&above| nodes[above].end <= id) {
            open.pop();
        }
        assert_eq!(
            node.parent,
            open.last().copied(),
            "parent of {id}: {node:?}"
        );
        assert!(
            node.end > id && node.end <= nodes.len(),
            "end of {id}: {node:?}"
        );
        if let Some(parent) = node.parent {
            assert!(
                node.end <= nodes[parent].end,
                "{id} reaches beyond its container"
            );
        }
        if node.is_container() {
            open.push(id);
            // The root is a level of its own.
            assert!(open.len() <= MAX_DEPTH + 1, "{id} is too deep");
        } else {
            assert_eq!(node.end, id + 1, "{id} is no container: {node:?}");
        }
        check_node(text, node);
        if let Kind::Alias { target } = node.kind {
            assert!(target < id, "{id} is an alias of a later node");
            assert!(
                !open.contains(&target),
                "{id} is an alias of its own container"
            );
        }
    }
    assert!(document.format() == Format::Yaml || document.roots().count() == 1);
}

fn check_node(text: &str, node: &Node) {
    inside(text, node.span, "span");
    inside(text, node.inner, "inner");
    inside(text, node.props, "props");
    inside(text, node.key.unwrap_or_default(), "key");
    // A block scalar without a line has its place behind the header's line break.
    let empty_block = matches!(node.form, Form::Literal | Form::Folded) && node.inner.is_empty();
    assert!(empty_block || node.span.contains(node.inner), "{node:?}");
    if node.kind == Kind::Comment {
        assert!(node.key.is_none(), "{node:?}");
    }
}

fn inside(text: &str, span: Span, what: &str) {
    assert!(
        text.get(span.start()..span.end()).is_some(),
        "{what} {span:?} does not fit {} bytes of text",
        text.len()
    );
}

/// Whether decoding works or not, it comes to an end, and an error points into the text.
fn decode(document: &Document<'_>) {
    for node in document.nodes() {
        let refused = |error: ScanError| inside(document.source(), error.span, "an error's place");
        let in_mapping = node
            .parent
            .is_some_and(|parent| document.nodes()[parent].kind == Kind::Mapping);
        if in_mapping && node.kind != Kind::Comment {
            document.key(node).map_or_else(refused, drop);
        }
        if matches!(node.kind, Kind::Scalar | Kind::Comment) {
            document.value(node).map_or_else(refused, |value| {
                let _bytes = value.canonical();
            });
        }
    }
}

/// Law 1; and since the inner spans of leaves are disjoint, putting back what stands there changes nothing either.
fn check_splice(document: &Document<'_>) {
    let text = document.source();
    assert_eq!(*splice(text, &[]).expect("no edits"), text);
    let edits: Vec<Edit> = document
        .nodes()
        .iter()
        .filter(|node| matches!(node.kind, Kind::Scalar | Kind::Comment))
        .map(|node| Edit::new(node.inner, node.inner.of(text)))
        .collect();
    assert_eq!(*splice(text, &edits).expect("leaves do not overlap"), text);
}

/// The walk enters and leaves in turn, and its paths are those that climbing finds.
fn walk(document: &Document<'_>) {
    let (mut depth, mut climbs) = (0_usize, 0);
    let walked = document.walk(|step| {
        match step {
            Step::Enter { .. } => depth += 1,
            Step::Leave { .. } => depth = depth.checked_sub(1).expect("left more than entered"),
            Step::Leaf {
                id,
                path,
                alias: None,
                ..
            } if climbs < CLIMBS => {
                climbs += 1;
                check_path(path);
                assert_eq!(document.path(id)?, *path);
            }
            Step::Leaf { .. } | Step::Comment { .. } => {}
        }
        Ok::<(), ScanError>(())
    });
    match walked {
        Ok(()) => assert_eq!(depth, 0, "entered more than left"),
        Err(error) => inside(document.source(), error.span, "an error's place"),
    }
}

/// The additional data is every key followed by a colon (spec 2).
fn check_path(path: &Path) {
    let joined: String = path.keys().map(|key| format!("{key}:")).collect();
    if !path.is_empty() {
        assert_eq!(path.additional_data(), joined);
        assert_eq!(path.keys().last(), path.last());
    }
    assert_eq!(path.keys().count(), path.len());
    assert_eq!(path.prefixes().count(), path.len() + 1);
}
