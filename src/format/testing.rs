//! What the tests of the formats share: the fixtures, and the laws every scanner has to obey.

use std::path::Path;

use super::{Format, attach, detach, key, plaintext, scan, value, write_token, write_value};
use crate::content::{Comment, Content, Entry, Part};
use crate::edit::splice;
use crate::node::{Kind, Node};
use crate::secret::Plain;
use crate::value::Value;

/// A token as it could stand in a file; it seals nothing.
pub(super) const TOKEN: &str = "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]";

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sops/3.13.2")
}

/// One fixture.
pub(super) fn fixture(name: &str) -> String {
    std::fs::read_to_string(fixtures().join(name)).unwrap()
}

/// The names and texts of all fixtures in `folder` with one of these suffixes.
pub(super) fn text_fixtures(folder: &str, suffixes: &[&str]) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = std::fs::read_dir(fixtures().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            suffixes
                .iter()
                .any(|suffix| path.extension().unwrap() == *suffix)
        })
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    found.sort();
    found
}

/// Every plain text with this suffix: the inputs of the cases and the random documents.
pub(super) fn plain_texts(suffix: &str) -> Vec<(String, String)> {
    let mut texts = text_fixtures("plain", &[suffix]);
    let random = text_fixtures("random", &[suffix]);
    texts.extend(
        random
            .into_iter()
            .filter(|(name, _)| name.contains(".plain.")),
    );
    texts
}

/// Checks what must hold for every table: spans inside the text on character boundaries, parents before their entries,
/// ends that tell where a subtree stops.
pub(super) fn check_nodes(source: &str, nodes: &[Node]) {
    assert_eq!(
        nodes.iter().filter(|node| node.parent.is_none()).count(),
        1,
        "one root"
    );
    assert!(nodes.first().is_some_and(|root| root.end == nodes.len()));
    for (id, node) in nodes.iter().enumerate() {
        for span in [
            Some(node.span),
            Some(node.inner),
            Some(node.props),
            node.key,
        ]
        .into_iter()
        .flatten()
        {
            assert!(
                source.get(span.start()..span.end()).is_some(),
                "{span:?} of {node:?}"
            );
        }
        assert!(node.span.contains(node.inner), "{node:?}");
        assert!(node.end > id && node.end <= nodes.len(), "{node:?}");
        if let Some(parent) = node.parent {
            assert!(parent < id && nodes[parent].is_container() && node.end <= nodes[parent].end);
        }
        let below = nodes[id + 1..]
            .iter()
            .take_while(|other| other.parent.is_some_and(|p| p >= id));
        assert_eq!(node.end, id + 1 + below.count(), "{node:?}");
    }
}

/// Seals every leaf and comment with [`TOKEN`], adds `block`, and undoes both. The result is the text that should be
/// `source` again.
pub(super) fn round_trip(format: Format, source: &str, block: &str) -> String {
    let nodes = scan(format, source).unwrap();
    check_nodes(source, &nodes);
    let values: Vec<Option<Value<'_>>> = nodes
        .iter()
        .map(|node| match node.kind {
            Kind::Scalar | Kind::Comment => Some(plaintext(format, source, node).unwrap()),
            _ => None,
        })
        .map(|value| value.filter(|value| !value.is_empty()))
        .collect();
    let mut edits = attach(format, source, &nodes, block);
    for (node, value) in nodes.iter().zip(&values) {
        if value.is_some() {
            write_token(format, source, node, TOKEN.to_owned(), &mut edits);
        }
    }
    let sealed = splice(source, &edits).unwrap();
    open(format, &sealed, &nodes, &values)
}

fn open(format: Format, sealed: &str, before: &[Node], values: &[Option<Value<'_>>]) -> String {
    let nodes = scan(format, sealed).unwrap_or_else(|error| panic!("{error} in {sealed}"));
    check_nodes(sealed, &nodes);
    let detached = detach(format, sealed, &nodes);
    let mut edits = detached.edits;
    assert!(!edits.is_empty(), "metadata not found in {sealed}");
    let is_gone = |node: &Node| {
        edits
            .iter()
            .any(|edit| edit.span.contains(node.span) && !edit.span.is_empty())
    };
    let mut kept: Vec<&Node> = nodes
        .iter()
        .filter(|node| node.parent.is_none() || node.span.is_empty() || !is_gone(node))
        .collect();
    kept.truncate(before.len());
    assert_eq!(kept.len(), before.len(), "{sealed}");
    let mut written = Vec::new();
    for ((now, then), value_then) in kept.into_iter().zip(before).zip(values) {
        assert_eq!(now.kind, then.kind, "{sealed}");
        if let Some(value_then) = value_then {
            let token = value(format, sealed, now).unwrap();
            assert!(
                token == Value::Str(TOKEN.into()),
                "not a token: {:?} in {sealed}",
                now.span
            );
            write_value(format, sealed, now, value_then, false, &mut written).unwrap();
        }
        if now.key.is_some() {
            key(format, sealed, now).unwrap();
        }
    }
    edits.extend(written);
    splice(sealed, &edits).unwrap().to_string()
}

/// A text as content.
pub(super) fn text(text: &str) -> Content<'_> {
    Content::Scalar(Value::Str(text.into()))
}

/// An entry of a mapping.
pub(super) fn entry<'a>(key: &'a str, content: Content<'a>) -> Part<'a, Entry<'a>> {
    let key = key.into();
    Part::Item(Entry { key, content })
}

/// A comment on a line of its own.
pub(super) fn comment<T>(text: &str) -> Part<'_, T> {
    Part::Comment(Comment {
        text: Plain::from(text),
        inline: false,
    })
}
