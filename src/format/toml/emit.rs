//! Content as a new TOML text: the values of a table first, then the tables in it, each under its header.
//!
//! Comments stand above what they are about. Null has no spelling; everything else does.

use toml_writer::ToTomlKey as _;
use zeroize::Zeroizing;

use super::value::spell;
use crate::content::{Comment, Content, Entry, Part};
use crate::format::emit::{CannotEmit, entries, only};
use crate::node::Form;
use crate::secret::PlainWriter;

/// The format in messages.
const WHAT: &str = "a TOML file";
/// The longest path of a header in bytes. Below it tables are written inline: headers repeat the keys above them, which would
/// cost more than linear time.
const LONGEST: usize = 512;

/// Writes a whole file.
///
/// # Errors
/// [`CannotEmit`] unless there is one document and it is a mapping; for null and bytes that are not UTF-8.
pub fn emit(documents: &[Content<'_>]) -> Result<Zeroizing<String>, CannotEmit> {
    let mut writer = PlainWriter::default();
    write_table(&mut writer, entries(only(documents, WHAT)?, WHAT)?, "")?;
    Ok(writer.finish())
}

/// The table `content` as it stands under headers that begin with `path`, its last line ended.
///
/// # Errors
/// [`CannotEmit`] as [`emit`] has it, and unless it is a mapping.
pub(super) fn section(content: &Content<'_>, path: &str) -> Result<Zeroizing<String>, CannotEmit> {
    let mut writer = PlainWriter::default();
    write_section(&mut writer, &[], entries(content, WHAT)?, path)?;
    Ok(writer.finish())
}

/// One `[[path]]` with everything in it, its last line ended.
///
/// # Errors
/// [`CannotEmit`] as [`section`] has it.
pub(super) fn item(content: &Content<'_>, path: &str) -> Result<Zeroizing<String>, CannotEmit> {
    let mut writer = PlainWriter::default();
    write_header(&mut writer, &[], &["[[", path, "]]\n"]);
    write_table(&mut writer, entries(content, WHAT)?, path)?;
    Ok(writer.finish())
}

/// Any content as it stands behind `=`, a single text in quotes of this form if they can hold it.
///
/// # Errors
/// [`CannotEmit`] as [`emit`] has it.
pub(super) fn value(content: &Content<'_>, form: Form) -> Result<Zeroizing<String>, CannotEmit> {
    if let Content::Scalar(value) = content {
        return Ok(spell(value, form)?);
    }
    let mut writer = PlainWriter::default();
    write_value(&mut writer, content, 0)?;
    Ok(writer.finish())
}

/// Whether a header of this path is not too long to be repeated for every table in it.
pub(super) fn can_be_header(path: &str) -> bool {
    path.len() <= LONGEST
}

/// How an entry is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// `key = value`
    Value,
    /// `[key]`
    Table,
    /// `[[key]]` for each item.
    Tables,
}

fn shape(content: &Content<'_>, path: &str) -> Shape {
    let is_map = |content: &Content<'_>| matches!(content, Content::Map(_));
    match content {
        _ if !can_be_header(path) => Shape::Value,
        Content::Map(_) => Shape::Table,
        Content::List(_) if content.items().next().is_some() && content.items().all(is_map) => {
            Shape::Tables
        }
        Content::List(_) | Content::Scalar(_) => Shape::Value,
    }
}

/// The path of `key` below `path`, as a header has it.
pub(super) fn below(path: &str, key: &str) -> String {
    let key = key.to_toml_key();
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}

fn write_table(
    writer: &mut PlainWriter,
    parts: &[Part<'_, Entry<'_>>],
    path: &str,
) -> Result<(), CannotEmit> {
    let mut tables = Vec::new();
    let mut above = Vec::new();
    for part in parts {
        match part {
            Part::Comment(comment) => above.push(comment),
            Part::Item(entry) => {
                let above = std::mem::take(&mut above);
                let path = below(path, &entry.key);
                match shape(&entry.content, &path) {
                    Shape::Value => write_entry(writer, &above, entry)?,
                    shape => tables.push((shape, above, entry, path)),
                }
            }
        }
    }
    write_comments(writer, &above, 0);
    for (shape, above, entry, path) in tables {
        let result = match (&entry.content, shape) {
            (Content::List(items), _) => write_tables(writer, &above, items, &path),
            (Content::Map(parts), _) => write_section(writer, &above, parts, &path),
            (Content::Scalar(_), _) => Ok(()),
        };
        result.map_err(|error| error.under(&entry.key))?;
    }
    Ok(())
}

/// A table with its header, which one that only holds other tables does without.
fn write_section(
    writer: &mut PlainWriter,
    above: &[&Comment<'_>],
    parts: &[Part<'_, Entry<'_>>],
    path: &str,
) -> Result<(), CannotEmit> {
    let holds_tables_alone = parts.iter().all(|part| {
        let is_table =
            |entry: &Entry<'_>| shape(&entry.content, &below(path, &entry.key)) == Shape::Table;
        part.item().is_some_and(is_table)
    });
    if parts.is_empty() || !above.is_empty() || !holds_tables_alone {
        write_header(writer, above, &["[", path, "]\n"]);
    }
    write_table(writer, parts, path)
}

fn write_tables(
    writer: &mut PlainWriter,
    above: &[&Comment<'_>],
    items: &[Part<'_, Content<'_>>],
    path: &str,
) -> Result<(), CannotEmit> {
    let mut above = above.to_vec();
    let mut position = 0;
    for item in items {
        match item {
            Part::Comment(comment) => above.push(comment),
            Part::Item(Content::Map(parts)) => {
                write_header(writer, &std::mem::take(&mut above), &["[[", path, "]]\n"]);
                write_table(writer, parts, path).map_err(|error| error.at(position))?;
                position += 1;
            }
            Part::Item(Content::List(_) | Content::Scalar(_)) => {}
        }
    }
    write_comments(writer, &above, 0);
    Ok(())
}

fn write_header(writer: &mut PlainWriter, above: &[&Comment<'_>], header: &[&str]) {
    if !writer.is_empty() {
        writer.push_str("\n");
    }
    write_comments(writer, above, 0);
    for part in header {
        writer.push_str(part);
    }
}

fn write_entry(
    writer: &mut PlainWriter,
    above: &[&Comment<'_>],
    entry: &Entry<'_>,
) -> Result<(), CannotEmit> {
    write_comments(writer, above, 0);
    write_comments(writer, &inside(&entry.content), 0);
    writer.push_str(&entry.key.as_ref().to_toml_key());
    writer.push_str(" = ");
    write_value(writer, &entry.content, 0).map_err(|error| error.under(&entry.key))?;
    writer.push_str("\n");
    Ok(())
}

/// A value behind `=` or in an array, on a line that is indented by `depth` levels.
fn write_value(
    writer: &mut PlainWriter,
    content: &Content<'_>,
    depth: usize,
) -> Result<(), CannotEmit> {
    match content {
        Content::Scalar(value) => writer.push_str(&spell(value, Form::Plain)?),
        Content::List(parts) if has_comments(content) => {
            writer.push_str("[\n");
            write_lines(writer, parts, depth + 1)?;
            writer.repeat("  ", depth);
            writer.push_str("]");
        }
        Content::List(_) => {
            writer.push_str("[");
            for (index, item) in content.items().enumerate() {
                writer.push_str(if index > 0 { ", " } else { "" });
                write_value(writer, item, depth).map_err(|error| error.at(index))?;
            }
            writer.push_str("]");
        }
        Content::Map(_) => {
            writer.push_str("{");
            for (index, entry) in content.entries().enumerate() {
                writer.push_str(if index > 0 { ", " } else { " " });
                writer.push_str(&entry.key.as_ref().to_toml_key());
                writer.push_str(" = ");
                write_value(writer, &entry.content, depth)
                    .map_err(|error| error.under(&entry.key))?;
            }
            writer.push_str(if content.entries().next().is_some() {
                " }"
            } else {
                "}"
            });
        }
    }
    Ok(())
}

/// The items of an array, each on a line of its own.
fn write_lines(
    writer: &mut PlainWriter,
    parts: &[Part<'_, Content<'_>>],
    depth: usize,
) -> Result<(), CannotEmit> {
    let mut position = 0;
    for part in parts {
        match part {
            Part::Comment(comment) => write_comments(writer, &[comment], depth),
            Part::Item(item) => {
                write_comments(writer, &inside(item), depth);
                writer.repeat("  ", depth);
                write_value(writer, item, depth).map_err(|error| error.at(position))?;
                writer.push_str(",\n");
                position += 1;
            }
        }
    }
    Ok(())
}

/// Whether there is a comment in a list, those of lists in it not counted, which have lines of their own.
fn has_comments(content: &Content<'_>) -> bool {
    let Content::List(parts) = content else {
        return false;
    };
    parts.iter().any(|part| match part {
        Part::Comment(_) => true,
        Part::Item(item) => !inside(item).is_empty(),
    })
}

/// The comments of a mapping that is written inline, where none can stand; those of lists in it not counted.
fn inside<'c, 'a>(content: &'c Content<'a>) -> Vec<&'c Comment<'a>> {
    fn collect<'c, 'a>(content: &'c Content<'a>, found: &mut Vec<&'c Comment<'a>>) {
        let Content::Map(parts) = content else {
            return;
        };
        for part in parts {
            match part {
                Part::Comment(comment) => found.push(comment),
                Part::Item(entry) => collect(&entry.content, found),
            }
        }
    }
    let mut found = Vec::new();
    collect(content, &mut found);
    found
}

/// Comments on lines of their own. A control character, which none can have, is shown as one that is not known.
fn write_comments(writer: &mut PlainWriter, comments: &[&Comment<'_>], depth: usize) {
    let lines = comments
        .iter()
        .flat_map(|comment| comment.text.expose().split('\n'));
    for line in lines {
        writer.repeat("  ", depth);
        writer.push_str("#");
        let forbidden = |c: char| c.is_ascii_control() && c != '\t';
        for (index, piece) in line.split(forbidden).enumerate() {
            writer.push_str(if index > 0 { "\u{fffd}" } else { "" });
            writer.push_str(piece);
        }
        writer.push_str("\n");
    }
}

#[cfg(test)]
mod tests {
    use super::emit;
    use crate::content::{Content, Part};
    use crate::format::testing::{comment, entry, text};
    use crate::value::{Time, Value};

    #[test]
    fn values_stand_before_tables() {
        let scalar = |value| Content::Scalar(value);
        let item = |content| Part::Item(content);
        let list = vec![
            item(scalar(Value::Int(1))),
            item(Content::Map(vec![entry("x y", scalar(Value::Float(1.0)))])),
            item(Content::List(Vec::new())),
        ];
        let commented = vec![
            comment(" one"),
            item(text("a")),
            item(Content::Map(vec![
                comment(" inside"),
                entry("b", scalar(Value::Bool(true))),
            ])),
        ];
        let time = Time::parse("2001-12-14T21:59:43.1-05:00").unwrap();
        let table = |key| Content::Map(vec![entry(key, text("v"))]);
        let content = Content::Map(vec![
            comment(" of t"),
            entry(
                "t",
                Content::Map(vec![
                    entry("k", text("a\nb")),
                    entry("empty", Content::empty_map()),
                ]),
            ),
            entry("list", Content::List(list)),
            entry("commented", Content::List(commented)),
            comment(" of when\nand\u{1}more"),
            entry("when", scalar(Value::Time(time))),
            entry("only", Content::Map(vec![entry("tables", table("c"))])),
            entry(
                "many",
                Content::List(vec![item(table("d")), comment(" e"), item(table("e"))]),
            ),
            comment(" last"),
        ]);
        let written = r#"list = [1, { "x y" = 1.0 }, []]
commented = [
  # one
  "a",
  # inside
  { b = true },
]
# of when
#and�more
when = 2001-12-14T21:59:43.1-05:00
# last

# of t
[t]
k = """
a
b"""

[t.empty]

[only.tables]
c = "v"

[[many]]
d = "v"

# e
[[many]]
e = "v"
"#;
        assert_eq!(*emit(&[content]).unwrap(), written);
    }

    #[test]
    fn null_is_named_wherever_it_stands() {
        let null = || Content::Scalar(Value::Null);
        let map = |key, content| Content::Map(vec![entry(key, content)]);
        let list = Content::List(vec![Part::Item(map("c", null()))]);
        for (content, path) in [
            (map("a", null()), "a"),
            (map("a", map("b", null())), "a.b"),
            (map("a", map("b", list)), "a.b[0].c"),
            (map("a", Content::List(vec![Part::Item(null())])), "a[0]"),
        ] {
            assert_eq!(emit(&[content]).unwrap_err().path, path);
        }
    }

    #[test]
    fn long_keys_over_many_tables_are_written_once() {
        let long = "k".repeat(10_000);
        let keys: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
        let tables = keys.iter().map(|key| entry(key, Content::empty_map()));
        let content = Content::Map(vec![entry(&long, Content::Map(tables.collect()))]);
        assert!(emit(&[content]).unwrap().len() < 40_000);
    }
}
