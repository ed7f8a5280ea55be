//! Tokens in the quotes in which they stood, where their values need others.
//!
//! SOPS writes every token on the line of its key and without quotes, whatever its value is (spec 7.2). Such a token opens to
//! quotes or a block, and those would be sealed as what they are: a line would change that nobody touched. So a token gets
//! its own quotes back. That is safe where it opens to the very bytes that stand there now, and nowhere else: this file
//! asks [`super::write_value`] for them.

use super::chars::column;
use super::scalar::parent_indent;
use super::write;
use crate::edit::Edit;
use crate::node::{Form, Node, Tag};
use crate::span::Span;
use crate::value::Value;

/// See [`super::token_quotes`]. In a flow collection the quotes tell how the value was written, and a block tells it, too.
pub(super) fn quotes(node: &Node) -> Option<Form> {
    let one_line = matches!(node.form, Form::Plain | Form::Single | Form::Double);
    (one_line && !node.flow).then_some(node.form)
}

/// See [`super::write_token_as`].
pub(super) fn token(
    source: &str,
    node: &Node,
    value: &Value<'_>,
    form: Form,
    token: &str,
) -> Option<Edit> {
    let there = opened(source, node, value, form)?;
    let quote = match form {
        Form::Plain => "",
        Form::Single => "'",
        Form::Double => "\"",
        Form::Literal | Form::Folded | Form::Backtick | Form::Triple => return None,
    };
    Some(Edit::new(there.span, format!("{quote}{token}{quote}")))
}

/// The token in the quotes `form` that opening would have written the value at `node` for; `None` if it has these quotes
/// itself, or opening would have written other bytes.
pub(super) fn opened(source: &str, node: &Node, value: &Value<'_>, form: Form) -> Option<Node> {
    let region = region(source, node)?;
    // Only a block may begin in the column of its key.
    let parent = parent_indent(source, node.span, node.key);
    if node.form == form || node.flow || column(source.as_bytes(), region.start()) <= parent {
        return None;
    }
    let there = Node {
        form,
        span: region,
        inner: region,
        tag: if node.tag == Tag::Binary {
            Tag::None
        } else {
            node.tag
        },
        ..*node
    };
    // A text without a last line break is sealed with metadata that has none either, and opened with that in mind.
    let ends_text = region.end() == source.len();
    let mut edits = Vec::new();
    write::value(source, &there, value, ends_text, &mut edits).ok()?;
    let [edit] = edits.as_slice() else {
        return None;
    };
    (edit.span == region && *edit.text == region.of(source)).then_some(there)
}

/// What opening a token wrote here: all of the scalar, but the line break that ends the last line of a block.
fn region(source: &str, node: &Node) -> Option<Span> {
    let start = if node.tag == Tag::Binary {
        write::tag(source, node.props)?.start()
    } else {
        node.span.start()
    };
    let text = source.get(start..node.span.end())?;
    let ended = text.strip_suffix("\r\n").or(text.strip_suffix('\n'));
    let text = ended.unwrap_or(text);
    Some(Span::new(start, start + text.len()))
}
