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

/// See [`super::requoted`].
pub(super) fn changed(node: &Node, edits: &[Edit]) -> Option<Form> {
    let [edit] = edits else { return None };
    let one_line = matches!(node.form, Form::Plain | Form::Single | Form::Double);
    // In a flow collection the token's quotes tell how the value was written.
    if node.flow || !one_line || edit.span != node.span {
        return None;
    }
    let same = match edit.text.bytes().next() {
        Some(b'"') => node.form == Form::Double,
        Some(b'\'') => node.form == Form::Single,
        Some(b'|' | b'!') => false,
        _ => node.form == Form::Plain,
    };
    (!same).then_some(node.form)
}

/// See [`super::write_token_as`].
pub(super) fn token(
    source: &str,
    node: &Node,
    value: &Value<'_>,
    form: Form,
    token: &str,
) -> Option<Edit> {
    let region = region(source, node)?;
    // Only a block may begin in the column of its key.
    let parent = parent_indent(source, node.span, node.key);
    let binary = node.tag == Tag::Binary;
    // Without a line break behind it, the text depends on what follows in the finished file.
    if node.flow
        || column(source.as_bytes(), region.start()) <= parent
        || region.end() == source.len()
    {
        return None;
    }
    let token_there = Node {
        form,
        span: region,
        inner: region,
        tag: if binary { Tag::None } else { node.tag },
        ..*node
    };
    let mut edits = Vec::new();
    write::value(source, &token_there, value, false, &mut edits).ok()?;
    let [edit] = edits.as_slice() else {
        return None;
    };
    if edit.span != region || *edit.text != region.of(source) {
        return None;
    }
    let quote = match form {
        Form::Plain => "",
        Form::Single => "'",
        Form::Double => "\"",
        Form::Literal | Form::Folded | Form::Backtick | Form::Triple => return None,
    };
    Some(Edit::new(region, format!("{quote}{token}{quote}")))
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
