//! Content as a new INI text, laid out as SOPS does: the `=` of a section in one column, an empty line between sections
//! (spec 7.6).
//!
//! Quotes are chosen by reading back what was written: what no quotes can hold is refused.

use zeroize::Zeroizing;

use super::{DEFAULT, key, scan, value};
use crate::content::{Comment, Content, Entry, Part};
use crate::format::emit::{CannotEmit, entries, only, single};
use crate::format::lines::bare_text;
use crate::node::Form;
use crate::secret::PlainWriter;

/// The format in messages.
const WHAT: &str = "an INI file";
/// The widest key that others are lined up with: one long key must not make the file much longer.
const WIDEST: usize = 40;
/// The quotes that a key may stand in, none at all first.
const KEY_QUOTES: [&str; 4] = ["", "`", "\"", "\"\"\""];

/// Writes a whole file. A first section named `DEFAULT` gets no header, if there is anything in it.
///
/// # Errors
/// [`CannotEmit`] unless there is one document that consists of mappings of single values; for null, bytes that are not
/// UTF-8, and for names, keys and texts that no quotes can hold.
pub fn emit(documents: &[Content<'_>]) -> Result<Zeroizing<String>, CannotEmit> {
    let mut writer = PlainWriter::default();
    let mut first = true;
    // Whether a comment has begun the block of the section that follows.
    let mut begun = false;
    for part in entries(only(documents, WHAT)?, WHAT)? {
        if !first && !begun {
            writer.push_str("\n");
        }
        match part {
            Part::Comment(comment) => {
                write_comment(&mut writer, comment);
                begun = true;
            }
            Part::Item(section) => {
                let is_empty = section.content.entries().next().is_none();
                if !first || section.key != DEFAULT || is_empty {
                    write_header(&mut writer, &section.key)
                        .map_err(|error| error.under(&section.key))?;
                }
                write_section(&mut writer, &section.content)
                    .map_err(|error| error.under(&section.key))?;
                (first, begun) = (false, false);
            }
        }
    }
    Ok(writer.finish())
}

fn write_header(writer: &mut PlainWriter, name: &str) -> Result<(), CannotEmit> {
    let header = format!("[{name}]\n");
    let section = scan(&header).ok().filter(|nodes| nodes.len() == 3);
    let read = section.as_deref().and_then(|nodes| nodes.last());
    if read.is_none_or(|node| key(&header, node) != name) {
        return Err(CannotEmit::new(
            "an INI file has no place for a section of this name",
        ));
    }
    writer.push_str(&header);
    Ok(())
}

fn write_section(writer: &mut PlainWriter, content: &Content<'_>) -> Result<(), CannotEmit> {
    let Content::Map(parts) = content else {
        return Err(CannotEmit::new(
            "an INI file consists of sections, which are mappings of single values, and this is none",
        ));
    };
    let keys = content.entries().map(spell_key);
    let keys = keys.collect::<Result<Vec<String>, _>>()?;
    let widths = keys.iter().map(|key| key.chars().count());
    let width = widths.max().unwrap_or_default().min(WIDEST);
    let mut keys = keys.iter();
    for part in parts {
        match part {
            Part::Comment(comment) => write_comment(writer, comment),
            Part::Item(entry) => {
                let key = keys.next().map_or("", String::as_str);
                write_entry(writer, key, width, entry).map_err(|error| error.under(&entry.key))?;
            }
        }
    }
    Ok(())
}

fn write_entry(
    writer: &mut PlainWriter,
    key: &str,
    width: usize,
    entry: &Entry<'_>,
) -> Result<(), CannotEmit> {
    let text = bare_text(single(&entry.content, WHAT)?)?;
    let forms = [Form::Plain, Form::Double, Form::Backtick, Form::Triple];
    let spelled = value::spell(text.expose(), forms, "")
        .ok_or_else(|| CannotEmit::new("no INI quotes can hold this text"))?;
    writer.push_str(key);
    writer.repeat(" ", width.saturating_sub(key.chars().count()));
    writer.push_str(if spelled.is_empty() { " =" } else { " = " });
    writer.push_str(&spelled);
    writer.push_str("\n");
    Ok(())
}

/// The key in the first quotes in which it reads back equal.
fn spell_key(entry: &Entry<'_>) -> Result<String, CannotEmit> {
    let reads_back = |quoted: &String| {
        let line = format!("{quoted} = x\n");
        let nodes = scan(&line).ok().filter(|nodes| nodes.len() == 3);
        let last = nodes.as_deref().and_then(|nodes| nodes.last());
        last.is_some_and(|node| {
            key(&line, node) == entry.key && node.key.is_some_and(|key| key.len() == quoted.len())
        })
    };
    let mut spellings = KEY_QUOTES
        .iter()
        .map(|quote| format!("{quote}{}{quote}", entry.key));
    spellings
        .find(reads_back)
        .ok_or_else(|| CannotEmit::new("no INI quotes can hold this key").under(&entry.key))
}

/// Every line of a comment gets a mark.
fn write_comment(writer: &mut PlainWriter, comment: &Comment<'_>) {
    for line in comment.text.expose().split('\n') {
        let line = line.trim();
        writer.push_str(if line.is_empty() { ";" } else { "; " });
        writer.push_str(line);
        writer.push_str("\n");
    }
}

#[cfg(test)]
mod tests {
    use super::emit;
    use crate::content::Content;
    use crate::format::testing::{comment, entry, text};
    use crate::value::Value;

    #[test]
    fn sections_are_laid_out_as_sops_does() {
        let content = Content::Map(vec![
            entry("DEFAULT", Content::Map(vec![entry("a", text("1"))])),
            comment(" above"),
            entry(
                "b [c]",
                Content::Map(vec![
                    comment("of the section\n; and its second line"),
                    entry("key=1", text("a#b")),
                    entry("k", text(" blanks ")),
                    comment(" of n"),
                    entry("n", Content::Scalar(Value::Float(1.0))),
                    entry("lines", text("one\ntwo")),
                    entry("e", text("")),
                    comment(""),
                ]),
            ),
            entry("DEFAULT", Content::empty_map()),
        ]);
        let written = "a = 1

; above
[b [c]]
; of the section
; ; and its second line
`key=1` = `a#b`
k       = \" blanks \"
; of n
n       = 1.0
lines   = `one
two`
e       =
;

[DEFAULT]
";
        assert_eq!(*emit(&[content]).unwrap(), written);
    }

    #[test]
    fn what_would_read_back_as_something_else_is_refused() {
        for (key, content) in [
            ("text", text("")),
            ("list", Content::List(Vec::new())),
            ("", Content::empty_map()),
            ("a\nb", Content::empty_map()),
        ] {
            let error = emit(&[Content::Map(vec![
                entry("DEFAULT", Content::empty_map()),
                entry(key, content),
            ])]);
            assert_eq!(error.unwrap_err().path, key);
        }
        for (key, content) in [
            ("map", Content::empty_map()),
            ("null", Content::Scalar(Value::Null)),
            ("-", text("")),
            ("", text("")),
            ("a\nb", text("")),
            ("`a\"\"\"b", text("")),
            ("quotes", text("`#\"\"\"\n")),
        ] {
            let section = Content::Map(vec![entry(key, content)]);
            let error = emit(&[Content::Map(vec![entry("s", section)])]).unwrap_err();
            assert_eq!(error.path, format!("s.{key}").trim_end_matches('.'));
        }
    }

    #[test]
    fn a_long_key_does_not_make_the_file_much_longer() {
        let long = "k".repeat(10_000);
        let keys: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
        let entries = keys.iter().chain([&long]).map(|key| entry(key, text("")));
        let section = Content::Map(entries.collect());
        let written = emit(&[Content::Map(vec![entry("s", section)])]).unwrap();
        assert!(written.len() < 60_000, "{}", written.len());
    }
}
