//! Content as a new JSON text.
//!
//! Laid out as SOPS does, a tab for every level, unless somebody says otherwise. JSON has no comments: they are left out.

use zeroize::Zeroizing;

use super::{Escapes, quote, spell};
use crate::content::{Content, Part};
use crate::format::emit::{CannotEmit, only};
use crate::secret::PlainWriter;

/// How a text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout<'u> {
    /// What a level is indented by; `None` for all on one line.
    pub unit: Option<&'u str>,
    /// How many levels the line on which it begins is indented already. That line itself gets no indentation.
    pub depth: usize,
}

/// What SOPS writes (spec 7.3).
const SOPS: Layout<'static> = Layout {
    unit: Some("\t"),
    depth: 0,
};

/// Writes a whole file, its last line ended.
///
/// # Errors
/// [`CannotEmit`] as [`emit_value`] has it, and unless there is exactly one document.
pub fn emit(documents: &[Content<'_>]) -> Result<Zeroizing<String>, CannotEmit> {
    let mut writer = PlainWriter::default();
    write(&mut writer, only(documents, "JSON")?, SOPS)?;
    writer.push_str("\n");
    Ok(writer.finish())
}

/// Writes any content as it stands behind a key or alone, without a line break at the end. Lines end in LF.
///
/// # Errors
/// [`CannotEmit`] for NaN, infinities, and bytes that are not UTF-8.
pub fn emit_value(
    content: &Content<'_>,
    layout: Layout<'_>,
) -> Result<Zeroizing<String>, CannotEmit> {
    let mut writer = PlainWriter::default();
    write(&mut writer, content, layout)?;
    Ok(writer.finish())
}

fn write(
    writer: &mut PlainWriter,
    content: &Content<'_>,
    layout: Layout<'_>,
) -> Result<(), CannotEmit> {
    match content {
        Content::Scalar(value) => {
            let literal = Zeroizing::new(spell(value, Escapes::LineBreaks)?);
            writer.push_str(&literal);
            Ok(())
        }
        Content::List(parts) => {
            let mut position = 0..;
            write_parts(writer, parts, "[]", layout, |writer, item, layout| {
                let position = position.next().unwrap_or_default();
                write(writer, item, layout).map_err(|error| error.at(position))
            })
        }
        Content::Map(parts) => write_parts(writer, parts, "{}", layout, |writer, entry, layout| {
            writer.push_str(&quote(&entry.key, Escapes::LineBreaks));
            writer.push_str(": ");
            write(writer, &entry.content, layout).map_err(|error| error.under(&entry.key))
        }),
    }
}

/// What stands between `brackets`, each item on a line of its own if there are lines.
fn write_parts<T>(
    writer: &mut PlainWriter,
    parts: &[Part<'_, T>],
    brackets: &str,
    layout: Layout<'_>,
    mut write_item: impl FnMut(&mut PlainWriter, &T, Layout<'_>) -> Result<(), CannotEmit>,
) -> Result<(), CannotEmit> {
    let (open, close) = brackets.split_at_checked(1).unwrap_or_default();
    let inside = Layout {
        depth: layout.depth + 1,
        ..layout
    };
    let mut items = parts.iter().filter_map(Part::item).peekable();
    let any = items.peek().is_some();
    writer.push_str(open);
    while let Some(item) = items.next() {
        line_break(writer, inside);
        write_item(writer, item, inside)?;
        if items.peek().is_some() {
            writer.push_str(",");
            if layout.unit.is_none() {
                writer.push_str(" ");
            }
        }
    }
    if any {
        line_break(writer, layout);
    }
    writer.push_str(close);
    Ok(())
}

/// Begins a line, if there are lines.
fn line_break(writer: &mut PlainWriter, layout: Layout<'_>) {
    if let Some(unit) = layout.unit {
        writer.push_str("\n");
        writer.repeat(unit, layout.depth);
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::{Layout, emit, emit_value};
    use crate::content::{Content, Part};
    use crate::format::testing::{comment, entry, text};
    use crate::value::Value;

    fn sample() -> Content<'static> {
        let scalar = |value| Part::Item(Content::Scalar(value));
        let list = vec![
            comment(" left out"),
            scalar(Value::Int(-1)),
            scalar(Value::Float(5.0)),
            scalar(Value::Float(1e23)),
            scalar(Value::Bool(true)),
            scalar(Value::Null),
        ];
        Content::Map(vec![
            comment(" left out"),
            entry("a\"b", text("<\u{1}\n\u{2028}ä>")),
            entry("list", Content::List(list)),
            entry("none", Content::List(vec![comment(" left out")])),
            entry("empty", Content::empty_map()),
        ])
    }

    #[test]
    fn a_file_is_laid_out_as_sops_does() {
        let written = r#"{
	"a\"b": "<\u0001\n\u2028ä>",
	"list": [
		-1,
		5.0,
		1e23,
		true,
		null
	],
	"none": [],
	"empty": {}
}
"#;
        assert_eq!(*emit(&[sample()]).unwrap(), written);
    }

    #[test]
    fn a_value_is_laid_out_as_it_is_asked_for() {
        let layout = |unit, depth| Layout { unit, depth };
        let content = Content::Map(vec![entry("a", Content::List(vec![Part::Item(text("b"))]))]);
        let value = |layout| emit_value(&content, layout).unwrap();
        assert_eq!(*value(layout(None, 3)), r#"{"a": ["b"]}"#);
        assert_eq!(
            *value(layout(Some("  "), 1)),
            "{\n    \"a\": [\n      \"b\"\n    ]\n  }"
        );
        assert_eq!(*emit_value(&text("b"), layout(None, 0)).unwrap(), "\"b\"");
    }

    #[test]
    fn what_json_cannot_hold_is_named() {
        for value in [
            Value::Float(f64::NAN),
            Value::Float(f64::INFINITY),
            Value::Bytes(Zeroizing::new(vec![0xFF])),
        ] {
            let list = Content::List(vec![Part::Item(Content::Scalar(value))]);
            let content = Content::Map(vec![entry("a", Content::Map(vec![entry("b", list)]))]);
            assert_eq!(emit(&[content]).unwrap_err().path, "a.b[0]");
        }
        let two = [Content::empty_map(), Content::empty_map()];
        let error = emit(&two).unwrap_err();
        assert_eq!(error.to_string(), "JSON holds one document, and here are 2");
        assert!(emit(&[]).is_err());
    }
}
