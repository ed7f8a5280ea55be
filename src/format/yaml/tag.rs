//! What a tag means: its handle replaced by what `%TAG` or YAML itself says (spec 7.2.2).

use super::scan::directive::{handle_end, octet};
use crate::node::{ScanError, Tag};
use crate::span::Span;

/// Prefix of the tags that YAML itself defines.
const YAML: &str = "tag:yaml.org,2002:";

/// The `%TAG` lines of one document.
#[derive(Debug, Default)]
pub(super) struct Directives<'a> {
    list: Vec<(&'a str, &'a str)>,
}

impl<'a> Directives<'a> {
    /// Takes in the directive `%TAG handle prefix` under `span`.
    pub(super) fn add(&mut self, source: &'a str, span: Span) -> Result<(), ScanError> {
        let mut words = span
            .of(source)
            .split([' ', '\t'])
            .filter(|word| !word.is_empty())
            .skip(1);
        let (Some(handle), Some(prefix)) = (words.next(), words.next()) else {
            return Ok(());
        };
        if self.list.iter().any(|&(known, _)| known == handle) {
            return Err(ScanError::new(span, "this tag handle was defined before"));
        }
        if self.list.len() >= 100 {
            return Err(ScanError::new(span, "too many tag directives"));
        }
        self.list.push((handle, prefix));
        Ok(())
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.list.clear();
    }

    fn prefix(&self, handle: &str) -> Option<&'a str> {
        let defined = self.list.iter().find(|&&(known, _)| known == handle);
        match (defined, handle) {
            (Some(&(_, prefix)), _) => Some(prefix),
            (None, "!") => Some("!"),
            (None, "!!") => Some(YAML),
            (None, _) => None,
        }
    }

    /// The meaning of the tag written as `text`; `None` if its handle is not defined.
    pub(super) fn resolve(&self, text: &str) -> Option<Tag> {
        if text == "!" {
            return Some(Tag::None);
        }
        if let Some(verbatim) = text.strip_prefix("!<") {
            return Some(by_name(&unescape(verbatim.trim_end_matches('>'))));
        }
        let end = handle_end(text.as_bytes(), 0);
        let handle = text
            .get(..end)
            .filter(|handle| handle.len() > 1 && handle.ends_with('!'));
        let handle = handle.unwrap_or("!");
        let suffix = text.get(handle.len()..)?;
        Some(by_name(&format!(
            "{}{}",
            unescape(self.prefix(handle)?),
            unescape(suffix)
        )))
    }
}

/// The tag with this full name, or with the short name that go-yaml also knows.
fn by_name(name: &str) -> Tag {
    let Some(short) = name.strip_prefix(YAML).or_else(|| name.strip_prefix("!!")) else {
        return if name == "!" { Tag::None } else { Tag::Other };
    };
    match short {
        "str" => Tag::Str,
        "int" => Tag::Int,
        "float" => Tag::Float,
        "bool" => Tag::Bool,
        "null" => Tag::Null,
        "timestamp" => Tag::Timestamp,
        "binary" => Tag::Binary,
        "merge" => Tag::Merge,
        _ => Tag::Other,
    }
}

/// Replaces `%XX`. The scanner has checked that UTF-8 comes out.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.as_bytes().get(at) {
        let escaped = octet(text.as_bytes(), at);
        bytes.push(escaped.unwrap_or(byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Directives;
    use crate::node::Tag;
    use crate::span::Span;

    #[test]
    fn yaml_tags_have_long_and_short_names() {
        let tags = Directives::default();
        for (text, tag) in [
            ("!", Tag::None),
            ("!!str", Tag::Str),
            ("!!in%74", Tag::Int),
            ("!<tag:yaml.org,2002:float>", Tag::Float),
            ("!<!!bool>", Tag::Bool),
            ("!<!>", Tag::None),
            ("!!binary", Tag::Binary),
            ("!Ref", Tag::Other),
            ("!!set", Tag::Other),
        ] {
            assert_eq!(tags.resolve(text), Some(tag), "{text}");
        }
        assert_eq!(tags.resolve("!e!x"), None);
    }

    #[test]
    fn directives_define_handles_once() {
        let source = "%TAG !e! tag:yaml.org,2002:";
        let span = Span::new(0, source.len());
        let mut tags = Directives::default();
        tags.add(source, span).unwrap();
        assert_eq!(tags.resolve("!e!null"), Some(Tag::Null));
        assert!(tags.add(source, span).is_err());
    }
}
