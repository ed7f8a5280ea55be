//! Content as new dotenv lines (spec 7.5).
//!
//! What reads back as something else is refused: this format has neither quotes nor escapes but the one for line breaks.

use zeroize::Zeroizing;

use crate::content::{Content, Entry, Part};
use crate::format::emit::{CannotEmit, entries, only, single};
use crate::format::lines::{bare_text, marker_len, replace};
use crate::secret::PlainWriter;

/// The format in messages.
const WHAT: &str = "a dotenv file";

/// Writes a whole file.
///
/// # Errors
/// [`CannotEmit`] unless there is one document and it has only single values; for null, bytes that are not UTF-8, keys that
/// would read back as something else, and text in which a backslash stands before an `n`.
pub fn emit(documents: &[Content<'_>]) -> Result<Zeroizing<String>, CannotEmit> {
    let mut writer = PlainWriter::default();
    for part in entries(only(documents, WHAT)?, WHAT)? {
        match part {
            Part::Comment(comment) => {
                for line in comment.text.expose().split('\n') {
                    writer.push_str("#");
                    writer.push_str(line);
                    writer.push_str("\n");
                }
            }
            Part::Item(entry) => {
                write(&mut writer, entry).map_err(|error| error.under(&entry.key))?;
            }
        }
    }
    Ok(writer.finish())
}

fn write(writer: &mut PlainWriter, entry: &Entry<'_>) -> Result<(), CannotEmit> {
    let text = bare_text(single(&entry.content, WHAT)?)?;
    let text = text.expose();
    if text.contains("\\n") {
        return Err(CannotEmit::new(
            "it holds a backslash before an `n`, which a dotenv file cannot tell from a line break",
        ));
    }
    check_key(&entry.key)?;
    writer.push_str(&entry.key);
    writer.push_str("=");
    writer.push_str(&Zeroizing::new(replace(text, "\n", "\\n")));
    writer.push_str("\n");
    Ok(())
}

fn check_key(key: &str) -> Result<(), CannotEmit> {
    let reason = if key.contains(['=', '\n']) {
        "a key of a dotenv file cannot hold `=` or a line break"
    } else if key.starts_with('#') {
        "a key of a dotenv file cannot begin with `#`"
    } else if marker_len(key.as_bytes()) > 0 {
        "this key would be taken for a conflict marker"
    } else {
        return Ok(());
    };
    Err(CannotEmit::new(reason))
}

#[cfg(test)]
mod tests {
    use super::emit;
    use crate::content::Content;
    use crate::format::testing::{comment, entry, text};
    use crate::value::Value;

    #[test]
    fn lines_are_written_as_sops_does() {
        let content = Content::Map(vec![
            comment(" one\ntwo"),
            entry("A", text("= #'\"$ \n \\\n")),
            entry("", text("")),
            entry("export B", Content::Scalar(Value::Int(5))),
            entry("C", Content::Scalar(Value::Float(1e10))),
            entry("D", Content::Scalar(Value::Bool(true))),
        ]);
        let lines = "# one\n#two\nA== #'\"$ \\n \\\\n\n=\nexport B=5\nC=1E+10\nD=true\n";
        assert_eq!(*emit(&[content]).unwrap(), lines);
    }

    #[test]
    fn what_would_read_back_as_something_else_is_refused() {
        let null = Content::Scalar(Value::Null);
        for (key, content) in [
            ("LIST", Content::List(Vec::new())),
            ("MAP", Content::empty_map()),
            ("NULL", null),
            ("AMBIGUOUS", text("a\\nb")),
            ("A=B", text("")),
            ("A\nB", text("")),
            ("#A", text("")),
            ("<<<<<<< A", text("")),
        ] {
            let error = emit(&[Content::Map(vec![entry(key, content)])]).unwrap_err();
            assert_eq!(error.path, key);
        }
    }
}
