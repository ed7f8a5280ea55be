//! The edits that put a token in place of a value, and a value in place of a token, in the style that is there
//! (spec 12.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::chars::{break_len, byte, column, is_blank, line_end};
use super::quote::{can_be_plain, double_quoted, single_quoted};
use super::scalar::{needs_folding, parent_indent};
use super::scan::scalars::Header;
use crate::edit::Edit;
use crate::format::CannotWrite;
use crate::node::{Form, Kind, Node, Tag};
use crate::secret::{Plain, PlainWriter};
use crate::span::Span;
use crate::value::{Value, float_text};

pub(super) mod block;

/// See [`super::write_token`].
pub(super) fn token(source: &str, node: &Node, token: String, edits: &mut Vec<Edit>) {
    if node.kind == Kind::Comment {
        edits.push(Edit::new(node.inner, token));
        return;
    }
    remove_tag(source, node, edits);
    match (node.form, node.flow) {
        (Form::Literal | Form::Folded, _) => block::token(source, node, &token, edits),
        (Form::Single, true) => edits.push(Edit::new(node.inner, format!("{token} "))),
        (Form::Single | Form::Double, _) => edits.push(Edit::new(node.inner, token)),
        (_, true) => edits.push(Edit::new(node.span, format!("'{token}'"))),
        (_, false) => edits.push(Edit::new(node.span, token)),
    }
}

/// Removes a tag under which SOPS could not load a token, and the blanks behind it.
fn remove_tag(source: &str, node: &Node, edits: &mut Vec<Edit>) {
    let misfits = matches!(
        node.tag,
        Tag::Int | Tag::Float | Tag::Bool | Tag::Null | Tag::Timestamp | Tag::Binary
    );
    let Some(tag) = tag(source, node.props).filter(|_| misfits) else {
        return;
    };
    let mut end = tag.end();
    while end < node.span.start() && is_blank(source.as_bytes(), end) {
        end += 1;
    }
    edits.push(Edit::remove(Span::new(tag.start(), end)));
}

/// The tag among the properties of a node.
pub(super) fn tag(source: &str, props: Span) -> Option<Span> {
    let bytes = source.as_bytes();
    let ends_word = |at| is_blank(bytes, at) || break_len(bytes, at) > 0;
    let mut at = props.start();
    while at < props.end() {
        let start = at;
        while at < props.end() && !ends_word(at) {
            at += 1;
        }
        if byte(bytes, start) == b'!' {
            return Some(Span::new(start, at));
        }
        if byte(bytes, start) == b'#' {
            at = line_end(bytes, at);
        }
        at = at.max(start + 1);
    }
    None
}

/// See [`super::write_value`].
pub(super) fn value(
    source: &str,
    node: &Node,
    value: &Value<'_>,
    ends_text: bool,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotWrite> {
    let text = match value {
        Value::Str(text) => Plain::Borrowed(text.expose()),
        Value::Bytes(_) if node.kind == Kind::Comment || keeps_text(node) => {
            return Err(CannotWrite("bytes cannot be written here".to_owned()));
        }
        Value::Bytes(bytes) => {
            whole(source, node, Zeroizing::new(binary(bytes)), edits);
            return Ok(());
        }
        Value::Lexeme(..) => return Err(CannotWrite::lexeme()),
        // Without an exponent, however long: more files have such numbers, and tokens do not say which it was.
        Value::Float(number) if number.is_finite() => Plain::owned(decimal(*number)),
        other => Plain::owned(bare(other)),
    };
    if node.kind == Kind::Comment {
        edits.push(comment(node, text.expose())?);
        return Ok(());
    }
    match text {
        Plain::Owned(text) if !keeps_text(node) => whole(source, node, text, edits),
        text => string(source, node, text.expose(), ends_text, edits),
    }
    Ok(())
}

/// Whether what stands behind the node's tag is a string whatever it looks like.
fn keeps_text(node: &Node) -> bool {
    matches!(node.tag, Tag::Str | Tag::Other | Tag::Merge)
}

/// A value that is not a string, as it is written without quotes.
pub(super) fn bare(value: &Value<'_>) -> String {
    match value {
        Value::Float(number) => float(*number),
        Value::Bool(value) => value.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Time(time) => time.as_str().to_owned(),
        Value::Null | Value::Str(_) | Value::Bytes(_) | Value::Lexeme(..) => "null".to_owned(),
    }
}

/// A float that is one for every reader: with a point, and a sign in its exponent if it has one.
pub(super) fn float(number: f64) -> String {
    if number.is_nan() {
        return ".nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = Zeroizing::new(format!("{number:e}"));
    match scientific.split_once('e') {
        Some((digits, exponent)) if number != 0.0 && !(1e-6..1e21).contains(&number.abs()) => {
            let digits = Zeroizing::new(pointed(digits.to_owned()));
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            [digits.as_str(), "e", sign, exponent].concat()
        }
        _ => decimal(number),
    }
}

/// A finite float with all its digits and a point.
fn decimal(number: f64) -> String {
    pointed(float_text(number))
}

fn pointed(digits: String) -> String {
    if digits.contains('.') {
        return digits;
    }
    let digits = Zeroizing::new(digits);
    [digits.as_str(), ".0"].concat()
}

/// Bytes that are no text, behind the tag that says so.
pub(super) fn binary(bytes: &[u8]) -> String {
    format!("!!binary \"{}\"", STANDARD.encode(bytes))
}

fn comment(node: &Node, text: &str) -> Result<Edit, CannotWrite> {
    if needs_folding(text) || text.chars().any(|c| !super::quote::is_printable(c)) {
        return Err(CannotWrite(
            "a comment must be one line of printable text".to_owned(),
        ));
    }
    Ok(Edit::new(node.inner, text))
}

/// Replaces all of a scalar by a text on one line. A comment behind a block's header stays, now behind the value.
fn whole(source: &str, node: &Node, text: Zeroizing<String>, edits: &mut Vec<Edit>) {
    let bytes = source.as_bytes();
    let header = matches!(node.form, Form::Literal | Form::Folded)
        .then(|| Header::parse(bytes, node.span.start() + 1))
        .flatten();
    let Some(header) = header else {
        edits.push(edit(node.span, text));
        return;
    };
    let indicators = Span::new(node.span.start(), header.end);
    // Only a block may begin in the column of its key.
    let parent = parent_indent(source, node.span, node.key);
    let text = if column(bytes, indicators.start()) <= parent {
        Zeroizing::new(["  ", text.as_str()].concat())
    } else {
        text
    };
    edits.push(edit(indicators, text));
    let lines = Span::new(line_end(bytes, header.end), node.span.end());
    edits.push(Edit::remove(lines));
}

fn string(source: &str, node: &Node, text: &str, ends_text: bool, edits: &mut Vec<Edit>) {
    let tagged = keeps_text(node);
    let plain = || can_be_plain(text, node.flow, tagged).then(|| Edit::new(node.span, text));
    let single = || single_quoted(text).map(|text| edit(node.span, text));
    let written = match node.form {
        Form::Literal | Form::Folded => {
            if block::text(source, node, text, ends_text, edits).is_some() {
                return;
            }
            None
        }
        Form::Double => None,
        Form::Single if node.flow && !node.inner.of(source).ends_with(' ') => {
            plain().or_else(single)
        }
        Form::Single => single(),
        _ if node.flow => plain().or_else(single),
        _ => plain().or_else(|| block::new(source, node, text, block::STEP, ends_text)),
    };
    match written {
        Some(edit) => edits.push(edit),
        None => whole(source, node, double_quoted(text), edits),
    }
}

/// An edit with a text that is handed over, not copied.
fn edit(span: Span, text: Zeroizing<String>) -> Edit {
    Edit { span, text }
}

/// The line break of the file: CRLF if its first one is.
pub(super) fn newline(source: &str) -> &'static str {
    match source.find('\n') {
        Some(at) if at > 0 && byte(source.as_bytes(), at - 1) == b'\r' => "\r\n",
        _ => "\n",
    }
}

/// See [`super::write_item_comment`].
pub(super) fn item_comment(source: &str, node: &Node, text: &str) -> Edit {
    let bytes = source.as_bytes();
    if !node.flow {
        let dash = node.key.unwrap_or(node.span);
        let (newline, column) = (newline(source), column(bytes, dash.start()));
        let mut written = PlainWriter::default();
        written.push_str("#");
        let mut rest = text;
        while let Some(at) = rest.find(['\r', '\n', '\u{85}', '\u{2028}', '\u{2029}']) {
            let (line, behind) = rest.split_at(at);
            written.push_str(line);
            written.push_str(newline);
            written.repeat(" ", column);
            written.push_str("#");
            let len = break_len(behind.as_bytes(), 0);
            rest = behind.get(len..).unwrap_or_default();
        }
        written.push_str(rest);
        return edit(Span::new(dash.start(), node.span.end()), written.finish());
    }
    let mut start = node.props.start().min(node.span.start());
    let mut end = skip_space(bytes, node.span.end());
    if byte(bytes, end) == b',' {
        end += 1;
        while is_blank(bytes, end) {
            end += 1;
        }
        return Edit::remove(Span::new(start, end));
    }
    while start > 0 && matches!(byte(bytes, start - 1), b' ' | b'\t' | b'\n' | b'\r') {
        start -= 1;
    }
    if start > 0 && byte(bytes, start - 1) == b',' {
        return Edit::remove(Span::new(start - 1, node.span.end()));
    }
    Edit::remove(node.span)
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(byte(bytes, at), b' ' | b'\t' | b'\n' | b'\r') {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use crate::edit::splice;
    use crate::format::yaml::{scan, value, write_token, write_value};
    use crate::node::{Kind, Node};
    use crate::value::{Time, Value};

    const TOKEN: &str = "ENC[x,y,type:str]";

    /// The last scalar or comment.
    fn last(source: &str) -> Node {
        let nodes = scan(source).unwrap();
        *nodes
            .iter()
            .rfind(|node| matches!(node.kind, Kind::Scalar | Kind::Comment))
            .unwrap()
    }

    fn sealed(source: &str) -> String {
        let mut edits = Vec::new();
        write_token(source, &last(source), TOKEN.to_owned(), &mut edits);
        splice(source, &edits).unwrap().to_string()
    }

    fn written(source: &str, value: &Value<'_>) -> String {
        let mut edits = Vec::new();
        write_value(source, &last(source), value, false, &mut edits).unwrap();
        let text = splice(source, &edits).unwrap().to_string();
        assert!(scan(&text).is_ok(), "{text}");
        text
    }

    #[test]
    fn tokens_go_where_the_value_stood_and_values_come_back() {
        for (plain, expected) in [
            ("a: b # c\n", None),
            ("a: b\n", Some("a: ENC[x,y,type:str]\n")),
            ("a: 'it''s'\n", Some("a: 'ENC[x,y,type:str]'\n")),
            ("a: \"x\"\n", Some("a: \"ENC[x,y,type:str]\"\n")),
            ("a: [b]\n", Some("a: ['ENC[x,y,type:str]']\n")),
            ("a: ['b']\n", Some("a: ['ENC[x,y,type:str] ']\n")),
            ("a: [\"b\"]\n", Some("a: [\"ENC[x,y,type:str]\"]\n")),
            (
                "a: |\n  b\n   c\n\n  d\n",
                Some("a: |\n  ENC[x,y,type:str]\n"),
            ),
            ("a: |+\n  b\n\n\n", Some("a: |-\n  ENC[x,y,type:str]\n")),
            (
                "a: |+ # c\n  b\n\n",
                Some("a: |- # c\n  ENC[x,y,type:str]\n"),
            ),
            (
                "a: |- # c\n\n  b\n",
                Some("a: |- # c\n  ENC[x,y,type:str]\n"),
            ),
            ("a: |2\n    b\n", Some("a: |2\n  ENC[x,y,type:str]\n")),
            ("a: >-\n  b\n\n  c\n", Some("a: >-\n  ENC[x,y,type:str]\n")),
            ("a: &x !foo 5\n", Some("a: &x !foo ENC[x,y,type:str]\n")),
            ("a: !!str 5\n", Some("a: !!str ENC[x,y,type:str]\n")),
            (
                "a: |\r\n  b\r\n  c\r\n",
                Some("a: |\r\n  ENC[x,y,type:str]\r\n"),
            ),
            (
                "z: 1\na: |+\r\n  b\r\n\r\n",
                Some("z: 1\na: |-\r\n  ENC[x,y,type:str]\r\n"),
            ),
            ("#b", Some("#ENC[x,y,type:str]")),
        ] {
            let sealed = sealed(plain);
            if let Some(expected) = expected {
                assert_eq!(sealed, expected, "{plain:?}");
            }
            let before = value(plain, &last(plain)).unwrap();
            if !before.is_empty() {
                assert_eq!(written(&sealed, &before), plain, "{sealed:?}");
            }
        }
    }

    #[test]
    fn tags_that_would_not_fit_a_token_go() {
        for (plain, expected) in [
            ("a: !!int 5\n", "a: ENC[x,y,type:str]\n"),
            ("a: !!int &x 5\n", "a: &x ENC[x,y,type:str]\n"),
            ("a: &x !!float '5'\n", "a: &x 'ENC[x,y,type:str]'\n"),
            ("a: !!binary |\n  aGk=\n", "a: |\n  ENC[x,y,type:str]\n"),
            ("a: !!int #c\n  5\n", "a: #c\n  ENC[x,y,type:str]\n"),
            (
                "a: &x #!!int\n  !!int #c\n  5\n",
                "a: &x #!!int\n  #c\n  ENC[x,y,type:str]\n",
            ),
        ] {
            assert_eq!(sealed(plain), expected, "{plain:?}");
        }
    }

    #[test]
    fn values_that_are_not_strings_lose_their_quotes() {
        for (value, expected) in [
            (Value::Int(-5), "-5"),
            (Value::Float(1.0), "1.0"),
            (Value::Float(1e21), "1000000000000000000000.0"),
            (Value::Float(-1.5e-7), "-0.00000015"),
            (Value::Float(-0.0), "-0.0"),
            (Value::Float(f64::NEG_INFINITY), "-.inf"),
            (Value::Bool(true), "true"),
            (
                Value::Time(Time::parse("2001-01-01T00:00:00Z").unwrap()),
                "2001-01-01T00:00:00Z",
            ),
            (Value::Bytes(vec![0, 255].into()), "!!binary \"AP8=\""),
        ] {
            assert_eq!(written("a: \"ENC[]\"", &value), format!("a: {expected}"));
        }
        assert_eq!(written("a: !foo 'ENC[]'", &Value::Int(5)), "a: !foo '5'");
    }

    #[test]
    fn strings_change_style_only_where_they_must() {
        for (sealed, text, expected) in [
            ("a: ENC[]\n", "5", "a: \"5\"\n"),
            ("a: ENC[]\n", "x\ny\n", "a: |\n    x\n    y\n"),
            (
                "k:\n- a: ENC[]\n",
                "x\ny",
                "k:\n- a: |-\n      x\n      y\n",
            ),
            ("a:\n- ENC[]\n", " x\ny", "a:\n- |2-\n   x\n  y\n"),
            ("a: ENC[] # c\n", "x\ny", "a: \"x\\ny\" # c\n"),
            ("a: 'ENC[]'\n", "x\ny", "a: \"x\\ny\"\n"),
            ("a: |\n  ENC[]\n", "x\ry", "a: \"x\\ry\"\n"),
            ("a: |\n  ENC[]\n", "x\n\n", "a: |+\n  x\n\n"),
            ("a: ['ENC[]']\n", "x, y", "a: ['x, y']\n"),
            ("a:\n|\n ENC[]\n", "x\ry", "a:\n  \"x\\ry\"\n"),
            ("a:\n|- # c\n ENC[]\n", "x\ry", "a:\n  \"x\\ry\" # c\n"),
        ] {
            assert_eq!(
                written(sealed, &Value::Str(text.into())),
                expected,
                "{sealed:?}"
            );
        }
    }

    #[test]
    fn a_comment_stays_on_one_line() {
        let node = last("# x\n");
        let text = Value::Str("a\nb".into());
        assert!(write_value("# x\n", &node, &text, false, &mut Vec::new()).is_err());
    }
}
