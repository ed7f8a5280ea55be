//! The merge key `<<`: which keys are one, and what may stand behind it (spec 7.2.3). Merges nothing.

use super::key::undress;
use crate::content::Content;
use crate::node::Tag;
use crate::span::Span;

/// The text of a merge key.
pub(super) const MERGE: &str = "<<";

/// Whether a key with this text is a merge key for those that know one: without quotes, or with the tag that says so.
pub(super) fn is_merge(text: &str, is_plain: bool, tag: Tag) -> bool {
    text == MERGE && (tag == Tag::Merge || is_plain && tag == Tag::None)
}

/// Whether the key under `key` is one, as it is written with its anchor, tag and quotes.
pub(super) fn is_merge_key(source: &str, key: Option<Span>) -> bool {
    let Some(key) = key else { return false };
    let (tag, span) = undress(source, key);
    let text = span.of(source);
    let bare = text.trim_matches(['"', '\'']);
    is_merge(bare, bare.len() == text.len(), tag)
}

/// Whether a merge key may lead to this: a mapping, or a list of nothing else.
pub(super) fn can_merge(content: &Content<'_>) -> bool {
    match content {
        Content::Map(_) => true,
        Content::List(_) => content.items().all(|item| matches!(item, Content::Map(_))),
        Content::Scalar(_) => false,
    }
}
