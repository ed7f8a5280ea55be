//! One value, list or mapping taken out of a plaintext (spec 9.5).
//!
//! Text comes as the bytes it is, without quotes and without a line break behind it; everything else in the words of the
//! output format. Knows nothing of encryption.

use zeroize::Zeroizing;

use crate::content::Content;
use crate::document::Document;
use crate::edit::Edit;
use crate::format::emit::{CannotEmit, OutputFormat, emit};
use crate::format::{Format, toml, write_value};
use crate::node::{Kind, Node};
use crate::ops::change::{ChangeError, root};
use crate::ops::locate::locate;
use crate::pointer::Pointer;
use crate::span::Span;
use crate::value::Value;

/// What stands at `pointer` in the document number `number`, counted from 0.
///
/// # Errors
/// [`ChangeError::NoDocument`], [`ChangeError::NotFound`], or [`ChangeError::Leaf`] for something that SOPS could not
/// handle.
pub fn extract<'a>(
    document: &Document<'a>,
    number: usize,
    pointer: &Pointer,
) -> Result<Content<'a>, ChangeError> {
    let found = locate(document, root(document, number)?, pointer)?;
    Ok(document.content(found.id)?)
}

/// The same for an output in the document's own format: lists and mappings keep the spelling of what is in them.
///
/// # Errors
/// Those of [`extract`].
pub fn extract_as_spelled<'a>(
    document: &Document<'a>,
    number: usize,
    pointer: &Pointer,
) -> Result<Content<'a>, ChangeError> {
    let found = locate(document, root(document, number)?, pointer)?;
    let is_container = document.node(found.id).is_some_and(Node::is_container);
    Ok(if is_container {
        document.content_as_spelled(found.id)?
    } else {
        document.content(found.id)?
    })
}

/// The bytes that `--extract` gives. A mapping or list is a file of its own in `format`; a section of INI, which is none,
/// is JSON, as SOPS has it, and a list of TOML is what stands behind its key.
///
/// # Errors
/// [`CannotEmit`] if the format has no room for it.
pub fn spell(
    content: &Content<'_>,
    format: OutputFormat,
) -> Result<Zeroizing<Vec<u8>>, CannotEmit> {
    let value = match content {
        Content::Scalar(value) => value,
        Content::Map(_) | Content::List(_) => {
            let is_file = content
                .entries()
                .all(|entry| !matches!(entry.content, Content::Scalar(_)));
            let format = match format {
                OutputFormat::File(Format::Ini) if !is_file => OutputFormat::File(Format::Json),
                OutputFormat::File(Format::Toml) if matches!(content, Content::List(_)) => {
                    return Ok(Zeroizing::new(toml::inline(content)?.as_bytes().to_vec()));
                }
                _ => format,
            };
            return emit(format, std::slice::from_ref(content));
        }
    };
    match (value, format) {
        (Value::Str(text), _) => Ok(Zeroizing::new(text.expose().as_bytes().to_vec())),
        (Value::Bytes(bytes), _) => Ok(bytes.clone()),
        (_, OutputFormat::File(Format::Yaml)) => literal(Format::Yaml, value, "\n"),
        (_, OutputFormat::File(format @ (Format::Json | Format::Toml))) => {
            literal(format, value, "")
        }
        (_, OutputFormat::Shell | OutputFormat::File(_)) => literal(Format::Dotenv, value, ""),
    }
}

/// A value as it stands alone in a file of this format, with `end` behind it.
fn literal(format: Format, value: &Value<'_>, end: &str) -> Result<Zeroizing<Vec<u8>>, CannotEmit> {
    let node = Node::new(Kind::Scalar, None, Span::at(0));
    let mut edits: Vec<Edit> = Vec::new();
    write_value(format, "", &node, value, false, &mut edits)?;
    let pieces = edits.iter().map(|edit| edit.text.as_bytes());
    let pieces: Vec<&[u8]> = pieces.chain([end.as_bytes()]).collect();
    Ok(Zeroizing::new(pieces.concat()))
}

#[cfg(test)]
mod tests {
    use super::{extract, spell};
    use crate::document::Document;
    use crate::format::Format;
    use crate::format::emit::OutputFormat;
    use crate::pointer::Pointer;

    fn extracted(format: Format, source: &str, path: &str, output: Format) -> String {
        let document = Document::parse(format, source).unwrap();
        let pointer = Pointer::parse(path).unwrap();
        let content = extract(&document, 0, &pointer).unwrap();
        let bytes = spell(&content, OutputFormat::File(output)).unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn text_is_itself_and_all_else_is_in_the_words_of_the_format() {
        let yaml =
            "a: 'it''s'\nb: 0x1F\nc: 2.50\nd: ~\ne: TRUE\nf: 2001-12-14\ng: .INF\nh: [1, x]\n";
        for (path, in_yaml, in_json) in [
            ("a", "it's", "it's"),
            ("b", "31\n", "31"),
            ("c", "2.5\n", "2.5"),
            ("d", "null\n", "null"),
            ("e", "true\n", "true"),
            ("f", "2001-12-14T00:00:00Z\n", "\"2001-12-14T00:00:00Z\""),
            ("h[0]", "1\n", "1"),
            ("h.1", "x", "x"),
        ] {
            assert_eq!(extracted(Format::Yaml, yaml, path, Format::Yaml), in_yaml);
            assert_eq!(extracted(Format::Yaml, yaml, path, Format::Json), in_json);
        }
        assert_eq!(extracted(Format::Yaml, yaml, "g", Format::Yaml), ".inf\n");
        assert_eq!(extracted(Format::Yaml, yaml, "b", Format::Dotenv), "31");
        let ini = "[s]\nk = v\n";
        let section = extracted(Format::Ini, ini, "s", Format::Ini);
        assert_eq!(section, "{\n\t\"k\": \"v\"\n}\n");
        assert_eq!(extracted(Format::Ini, ini, "s.k", Format::Ini), "v");
        let list = extracted(Format::Yaml, yaml, "h", Format::Json);
        assert_eq!(list, "[\n\t1,\n\t\"x\"\n]\n");
    }
}
