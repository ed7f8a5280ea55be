//! Content on one line, with brackets.

use std::collections::HashSet;

use zeroize::Zeroizing;

use super::{LONGEST_KEY, Quotes, Written, check_depth, inline};
use crate::content::Content;
use crate::format::emit::CannotEmit;
use crate::secret::PlainWriter;

/// Any content as it stands in a flow collection. Comments, for which a line has no room, are left out.
///
/// # Errors
/// [`CannotEmit`] for a key that is in its mapping twice, and below [`crate::content::MAX_DEPTH`].
pub(in crate::format::yaml) fn flow(
    content: &Content<'_>,
    quotes: Quotes,
) -> Result<Zeroizing<String>, CannotEmit> {
    let mut text = PlainWriter::default();
    write(content, quotes, 1, &mut text)?;
    Ok(text.finish())
}

/// A key of a flow mapping that leads to `content`, with its colon and the blank behind it.
pub(in crate::format::yaml) fn flow_key(
    key: &str,
    content: &Content<'_>,
    quotes: Quotes,
) -> Zeroizing<String> {
    let spelled = quotes.spell_key(key, content, true);
    let (mark, colon) = if spelled.len() > LONGEST_KEY {
        ("? ", " : ")
    } else {
        ("", ": ")
    };
    Zeroizing::new([mark, spelled.as_str(), colon].concat())
}

fn write(content: &Content<'_>, quotes: Quotes, depth: usize, text: &mut PlainWriter) -> Written {
    check_depth(depth)?;
    match content {
        Content::Scalar(value) => text.push_str(&inline(value, quotes, true)),
        Content::List(_) => {
            text.push_str("[");
            for (number, item) in content.items().enumerate() {
                text.push_str(if number > 0 { ", " } else { "" });
                write(item, quotes, depth + 1, text).map_err(|error| error.at(number))?;
            }
            text.push_str("]");
        }
        Content::Map(_) => {
            let mut keys = HashSet::new();
            text.push_str("{");
            for (number, entry) in content.entries().enumerate() {
                let key = entry.key.as_ref();
                if !keys.insert(key) {
                    return Err(CannotEmit::new("the mapping has this key twice").under(key));
                }
                text.push_str(if number > 0 { ", " } else { "" });
                text.push_str(&flow_key(key, &entry.content, quotes));
                write(&entry.content, quotes, depth + 1, text).map_err(|error| error.under(key))?;
            }
            text.push_str("}");
        }
    }
    Ok(())
}
