//! The envelope of binary files: a JSON object with the sealed bytes under `data` (spec 7.4).
//!
//! Knows the layout SOPS gives it. Reading is JSON's business; what the bytes are is nobody's.

use zeroize::Zeroizing;

use super::emit::{CannotEmit, entries, only};
use super::json;
use crate::content::Content;
use crate::node::{Form, Kind, Node, NodeId};
use crate::tree::Tree;
use crate::value::Value;

/// The envelope around `token`, byte for byte as SOPS writes it. An empty file has the empty text for a token.
#[must_use]
pub fn seal(token: &str, metadata: &Tree) -> String {
    let sops = json::emit_member(metadata, Some("\t"));
    format!("{{\n\t\"data\": \"{token}\",\n\t{sops}\n}}\n")
}

/// The node of the sealed bytes: the first top-level entry named `data` that is a string.
#[must_use]
pub fn data(nodes: &[Node], source: &str) -> Option<NodeId> {
    nodes.iter().position(|node| {
        node.parent == Some(0)
            && node.kind == Kind::Scalar
            && node.form == Form::Double
            && json::key(source, node).is_ok_and(|name| name == "data")
    })
}

/// Whether `source` is the envelope of a sealed file: an object with sealed bytes and metadata.
#[must_use]
pub fn is_envelope(source: &str) -> bool {
    // Most texts of other formats are not scanned.
    if !source.trim_ascii_start().starts_with('{') {
        return false;
    }
    let Ok(nodes) = json::scan(source) else {
        return false;
    };
    let is_metadata = |node: &Node| {
        node.parent == Some(0)
            && node.kind == Kind::Mapping
            && json::key(source, node).is_ok_and(|name| name == "sops")
    };
    data(&nodes, source).is_some() && nodes.iter().any(is_metadata)
}

/// The bytes of a document that is one text or byte string under the key `data`, which is how other formats hold a binary
/// file (spec 7.4).
///
/// # Errors
/// [`CannotEmit`] for every other document: bytes have no room for anything beside them.
pub fn emit(documents: &[Content<'_>]) -> Result<Zeroizing<Vec<u8>>, CannotEmit> {
    let what = "a binary file";
    let root = only(documents, what)?;
    entries(root, what)?;
    let mut bytes = None;
    for entry in root.entries() {
        let content = match &entry.content {
            Content::Scalar(Value::Str(text)) => text.expose().as_bytes(),
            Content::Scalar(Value::Bytes(bytes)) => bytes,
            _ => {
                let reason = "a binary file is one text under the key `data`, and this is no text";
                return Err(CannotEmit::new(reason).under(&entry.key));
            }
        };
        if entry.key != "data" || bytes.is_some() {
            let reason = "a binary file is one text under the key `data` and nothing else";
            return Err(CannotEmit::new(reason).under(&entry.key));
        }
        bytes = Some(Zeroizing::new(content.to_vec()));
    }
    bytes.ok_or_else(|| {
        CannotEmit::new("a binary file is one text under the key `data`, and there is none")
    })
}

#[cfg(test)]
mod tests {
    use super::{data, emit, is_envelope, seal};
    use crate::content::Content;
    use crate::document::Document;
    use crate::format::Format;
    use crate::format::testing::{entry, fixture, text, text_fixtures};
    use crate::value::Value;

    #[test]
    fn envelopes_are_written_as_sops_writes_them() {
        let mut seen = 0;
        for (name, sealed) in text_fixtures("sealed", &["txt", "bin"]) {
            let document = Document::parse(Format::Binary, &sealed).unwrap();
            let id = data(document.nodes(), &sealed).unwrap();
            let token = document.node(id).unwrap().inner.of(&sealed);
            let metadata = document.tree(*document.metadata().first().unwrap());
            assert_eq!(seal(token, &metadata), sealed, "{name}");
            assert!(is_envelope(&sealed), "{name}");
            seen += 1;
        }
        assert!(seen >= 3);
    }

    #[test]
    fn the_first_text_named_data_counts() {
        let source = r#"{"data": 1, "x": {"data": "no"}, "d\u0061ta": "yes", "data": "late"}"#;
        let document = Document::parse(Format::Binary, source).unwrap();
        let id = data(document.nodes(), source).unwrap();
        assert_eq!(document.node(id).unwrap().inner.of(source), "yes");
        let none = Document::parse(Format::Binary, "{}").unwrap();
        assert_eq!(data(none.nodes(), "{}"), None);
        for other in ["{}", "a = 1", "{\"data\": \"\"}", "{\"sops\": {}}", "{"] {
            assert!(!is_envelope(other), "{other}");
        }
        assert!(fixture("sealed/zero.bin").contains("\"data\": \"\""));
    }

    #[test]
    fn bytes_are_the_text_of_data_and_nothing_else() {
        let map = |entries| Content::Map(entries);
        let content = [map(vec![entry("data", text("a\0b"))])];
        assert_eq!(**emit(&content).unwrap(), *b"a\0b");
        let path = |entries| emit(&[map(entries)]).unwrap_err().path;
        let number = Content::Scalar(Value::Int(1));
        assert_eq!(path(vec![entry("data", number)]), "data");
        assert_eq!(
            path(vec![entry("data", text("")), entry("b", text(""))]),
            "b"
        );
        assert_eq!(path(Vec::new()), "");
    }
}
