//! Content as commands for a POSIX shell: `export NAME='value'` lines, made for `eval`.
//!
//! Written, never read. Whatever a value holds, the shell takes it for text: it stands in single quotes, in which nothing
//! has a meaning but the quote itself. Comments are left out, since not every shell has them in what it evaluates.

use zeroize::Zeroizing;

use super::emit::{CannotEmit, entries, only, single};
use super::lines::bare_text;
use crate::content::{Content, Entry};
use crate::secret::PlainWriter;

/// The format in messages.
const WHAT: &str = "a shell";

/// Writes all commands.
///
/// # Errors
/// [`CannotEmit`] unless there is one document and it has only single values; for null, NUL characters, bytes that are not
/// UTF-8, and keys that are no names of variables.
pub fn emit(documents: &[Content<'_>]) -> Result<Zeroizing<String>, CannotEmit> {
    let root = only(documents, WHAT)?;
    entries(root, WHAT)?;
    let mut writer = PlainWriter::default();
    for entry in root.entries() {
        write(&mut writer, entry).map_err(|error| error.under(&entry.key))?;
    }
    Ok(writer.finish())
}

fn write(writer: &mut PlainWriter, entry: &Entry<'_>) -> Result<(), CannotEmit> {
    let text = bare_text(single(&entry.content, WHAT)?)?;
    let text = text.expose();
    if !is_name(&entry.key) {
        return Err(CannotEmit::new(
            "a shell variable has a name of letters, digits and `_` that begins with no digit",
        ));
    }
    if text.contains('\0') {
        return Err(CannotEmit::new("a shell variable cannot hold NUL"));
    }
    writer.push_str("export ");
    writer.push_str(&entry.key);
    writer.push_str("='");
    for (index, part) in text.split('\'').enumerate() {
        if index > 0 {
            writer.push_str("'\\''");
        }
        writer.push_str(part);
    }
    writer.push_str("'\n");
    Ok(())
}

/// Whether a key is a name as POSIX defines it for variables.
fn is_name(key: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    key.bytes().all(is_word)
        && key
            .bytes()
            .next()
            .is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::emit;
    use crate::content::Content;
    use crate::format::testing::{comment, entry, text};
    use crate::value::Value;

    #[test]
    fn variables_are_exported_in_single_quotes() {
        let content = Content::Map(vec![
            comment(" left out"),
            entry("A", text("it's $(x) `y` \\n\n!\"")),
            entry("_b2", Content::Scalar(Value::Bool(false))),
            entry("C", text("")),
        ]);
        let commands = "export A='it'\\''s $(x) `y` \\n\n!\"'\nexport _b2='false'\nexport C=''\n";
        assert_eq!(*emit(&[content]).unwrap(), commands);
    }

    #[test]
    fn what_no_shell_takes_is_refused() {
        for (key, content) in [
            ("NUL", text("a\0b")),
            ("NULL", Content::Scalar(Value::Null)),
            ("MAP", Content::empty_map()),
            ("1A", text("")),
            ("A-B", text("")),
            ("A;id", text("")),
            ("Ä", text("")),
        ] {
            let error = emit(&[Content::Map(vec![entry(key, content)])]).unwrap_err();
            assert_eq!(error.path, key);
        }
        assert!(emit(&[Content::Map(vec![entry("", text(""))])]).is_err());
        assert!(emit(&[text("")]).is_err());
    }
}
