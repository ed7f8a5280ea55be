//! The `[sops]` section: where it goes, how it is taken out, how it is spelled (spec 5.4, 5.5, 7.6).

use super::{key, value};
use crate::edit::Edit;
use crate::format::Detached;
use crate::format::lines::{append_block, next_line, without_block};
use crate::node::{Form, Kind, Node};
use crate::span::Span;

/// The edit that adds the section `block` behind an empty line at the end, with the line breaks of the file.
#[must_use]
pub fn attach(source: &str, block: &str) -> Vec<Edit> {
    vec![append_block(source, block)]
}

/// Takes out the first `[sops]` section up to its last key, with the empty line above it. If the file ends with the
/// section and without a line break, the line break before the section goes too.
#[must_use]
pub fn detach(source: &str, nodes: &[Node]) -> Detached {
    let is_metadata = |node: &&Node| {
        node.kind == Kind::Mapping && node.parent == Some(0) && key(source, node) == "sops"
    };
    let Some(section) = nodes.iter().find(is_metadata) else {
        return Detached::default();
    };
    let before = source.get(..section.span.start()).unwrap_or_default();
    let indent = before.len() - before.trim_end_matches([' ', '\t']).len();
    let start = before.len() - indent;
    // From the end of the content, which may itself be the end of a line that a continuation used up.
    let end = next_line(source, section.span.end());
    let block = Span::new(start, end);
    Detached {
        edits: vec![without_block(source, block)],
        block: (!block.of(source).contains('\r')).then_some(block),
    }
}

/// The section as SOPS writes it: keys padded so that the equal signs stand below each other. `pairs` are the flattened
/// keys (spec 5.5) and their values; line breaks become the two characters `\n`.
#[must_use]
pub fn emit_metadata(pairs: &[(String, String)]) -> String {
    let keys: Vec<String> = pairs.iter().map(|(key, _)| quote_key(key)).collect();
    let width = keys.iter().map(String::len).max().unwrap_or_default();
    let mut text = "[sops]\n".to_owned();
    for (key, value) in pairs {
        text.push_str(&emit_line(key, value, width));
    }
    text
}

/// One line of the section, its key padded to `width` bytes.
#[must_use]
pub fn emit_line(key: &str, value: &str, width: usize) -> String {
    let key = quote_key(key);
    let padding = " ".repeat(width.saturating_sub(key.len()));
    let value = quote_value(&value.replace('\n', "\\n"));
    format!("{key}{padding} = {value}\n")
}

fn quote_key(key: &str) -> String {
    if key.contains(['"', '=', ':']) {
        format!("`{key}`")
    } else if key.contains('`') {
        format!("\"\"\"{key}\"\"\"")
    } else {
        key.to_owned()
    }
}

/// The quotes SOPS would choose, or other ones where its own do not read back.
fn quote_value(value: &str) -> String {
    let first = if value.contains('`') {
        Form::Triple
    } else if value.contains(['#', ';']) {
        Form::Backtick
    } else if value.trim().len() != value.len() {
        Form::Double
    } else {
        Form::Plain
    };
    let forms = [first, Form::Double, Form::Backtick, Form::Triple];
    value::spell(value, forms, "\n").map_or_else(|| value.to_owned(), |text| text.to_string())
}
