//! Content as JSON: a whole text in the layout of SOPS, or a part of one in the style of what stands around it.
//!
//! Knows how containers are laid out, on one line or on several; knows nothing of where the text goes. JSON has no
//! comments: they are left out.

use zeroize::Zeroizing;

use super::{Escapes, quote, spell};
use crate::content::Content;
use crate::format::emit::{CannotEmit, only};
use crate::secret::PlainWriter;

/// How content is spelled.
pub(super) struct Style<'a> {
    /// Between a key and its value: `: ` for most people.
    pub(super) colon: &'a str,
    /// Behind a comma on one line.
    pub(super) blank: &'a str,
    pub(super) line_break: &'a str,
    /// One step of indentation; `None` for containers on one line.
    pub(super) step: Option<&'a str>,
    pub(super) escapes: Escapes,
}

/// What SOPS writes, a tab for every level (spec 7.3).
const SOPS: Style<'static> = Style {
    colon: ": ",
    blank: " ",
    line_break: "\n",
    step: Some("\t"),
    escapes: Escapes::LineBreaks,
};

/// Writes a whole file, its last line ended.
///
/// # Errors
/// [`CannotEmit`] for NaN, infinities, and bytes that are not UTF-8, and unless there is exactly one document.
pub fn emit(documents: &[Content<'_>]) -> Result<Zeroizing<String>, CannotEmit> {
    let mut writer = PlainWriter::default();
    write(&mut writer, only(documents, "JSON")?, &SOPS, "")?;
    writer.push_str("\n");
    Ok(writer.finish())
}

/// Writes a member, or an item if there is no key.
///
/// # Errors
/// [`CannotEmit`] as [`emit`] has it.
pub(super) fn write_entry(
    writer: &mut PlainWriter,
    key: Option<&str>,
    content: &Content<'_>,
    style: &Style<'_>,
    indent: &str,
) -> Result<(), CannotEmit> {
    let Some(key) = key else {
        return write(writer, content, style, indent);
    };
    writer.push_str(&quote(key, style.escapes));
    writer.push_str(style.colon);
    write(writer, content, style, indent).map_err(|error| error.under(key))
}

/// Writes a value, without a line break at its end; its lines but for the first, if there are several, are indented by `indent`.
///
/// # Errors
/// [`CannotEmit`] as [`emit`] has it.
pub(super) fn write(
    writer: &mut PlainWriter,
    content: &Content<'_>,
    style: &Style<'_>,
    indent: &str,
) -> Result<(), CannotEmit> {
    let (open, close) = match content {
        Content::Scalar(value) => {
            writer.push_str(&Zeroizing::new(spell(value, style.escapes)?));
            return Ok(());
        }
        Content::Map(_) => ("{", "}"),
        Content::List(_) => ("[", "]"),
    };
    let deeper = format!("{indent}{}", style.step.unwrap_or_default());
    let items = content.items().map(|item| (None, item));
    let entries = content
        .entries()
        .map(|entry| (Some(&*entry.key), &entry.content));
    writer.push_str(open);
    for (position, (key, inner)) in items.chain(entries).enumerate() {
        writer.push_str(if position > 0 { "," } else { "" });
        if style.step.is_some() {
            writer.push_str(style.line_break);
            writer.push_str(&deeper);
        } else if position > 0 {
            writer.push_str(style.blank);
        }
        write_entry(writer, key, inner, style, &deeper).map_err(|error| match key {
            Some(_) => error,
            None => error.at(position),
        })?;
    }
    let is_filled = content.items().next().is_some() || content.entries().next().is_some();
    if style.step.is_some() && is_filled {
        writer.push_str(style.line_break);
        writer.push_str(indent);
    }
    writer.push_str(close);
    Ok(())
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::{SOPS, Style, emit, write};
    use crate::content::{Content, Part};
    use crate::format::testing::{comment, entry, text};
    use crate::secret::PlainWriter;
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
        let content = Content::Map(vec![entry("a", Content::List(vec![Part::Item(text("b"))]))]);
        let value = |content: &Content<'_>, step, indent| {
            let mut writer = PlainWriter::default();
            write(&mut writer, content, &Style { step, ..SOPS }, indent).unwrap();
            writer.finish()
        };
        assert_eq!(*value(&content, None, "   "), r#"{"a": ["b"]}"#);
        assert_eq!(
            *value(&content, Some("  "), "  "),
            "{\n    \"a\": [\n      \"b\"\n    ]\n  }"
        );
        assert_eq!(*value(&text("b"), None, ""), "\"b\"");
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
