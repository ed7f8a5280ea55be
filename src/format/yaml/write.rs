//! The edits that put a token in place of a value, and a value in place of a token, in the style that is there
//! (spec 12.1).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::chars::{break_len, byte, column, is_blank, line_end, line_start};
use super::quote::{
    block_lines, can_be_block, can_be_plain, double, needs_indicator, single, unfold,
};
use super::scalar::{content_indent, decode, needs_folding, parent_indent};
use super::scan::scalars::{Chomp, Header};
use crate::edit::Edit;
use crate::format::CannotWrite;
use crate::node::{Form, Kind, Node, Tag};
use crate::span::Span;
use crate::value::{Value, float_text};

/// See [`super::write_token`].
pub(super) fn token(source: &str, node: &Node, token: &str) -> Edit {
    let replaced = match (node.kind, node.form, node.flow) {
        (Kind::Comment, ..) => return Edit::new(node.inner, token),
        (_, Form::Literal | Form::Folded, _) => {
            return without_tag(source, node, block_token(source, node, token));
        }
        (_, Form::Single, true) => Edit::new(node.inner, format!("{token} ")),
        (_, Form::Single | Form::Double, _) => Edit::new(node.inner, token),
        (_, _, true) => Edit::new(node.span, format!("'{token}'")),
        (_, _, false) => Edit::new(node.span, token),
    };
    without_tag(source, node, replaced)
}

/// Extends the edit to remove a tag under which SOPS could not load a token.
fn without_tag(source: &str, node: &Node, edit: Edit) -> Edit {
    let misfits = matches!(
        node.tag,
        Tag::Int | Tag::Float | Tag::Bool | Tag::Null | Tag::Timestamp | Tag::Binary
    );
    if !misfits {
        return edit;
    }
    let bytes = source.as_bytes();
    let mut start = node.props.start();
    while byte(bytes, start) == b'&' {
        while start < node.props.end() && !is_blank(bytes, start) && break_len(bytes, start) == 0 {
            start += 1;
        }
        while start < node.props.end() && byte(bytes, start) != b'!' {
            start += 1;
        }
    }
    let mut end = start;
    while end < edit.span.start() && !is_blank(bytes, end) && break_len(bytes, end) == 0 {
        end += 1;
    }
    while end < edit.span.start() && is_blank(bytes, end) {
        end += 1;
    }
    let kept = source.get(end..edit.span.start()).unwrap_or_default();
    Edit::new(
        Span::new(start, edit.span.end()),
        format!("{kept}{}", edit.text.as_str()),
    )
}

/// The token as the only line of a block. No line breaks may follow it, so `+` becomes `-`.
fn block_token(source: &str, node: &Node, token: &str) -> Edit {
    let bytes = source.as_bytes();
    let Some(block) = Block::of(source, node) else {
        return Edit::new(node.inner, token);
    };
    let indent = " ".repeat(block.indent);
    let start = block.header.end;
    let line = source.get(start..node.inner.start()).unwrap_or_default();
    let text_end = content_end(source, node.inner);
    if block.header.chomp != Chomp::Keep || line.contains('#') {
        // A comment in the header may be replaced by another edit, so the header stays as it is.
        let text = Span::new(node.inner.start(), text_end);
        return Edit::new(text, format!("{indent}{token}"));
    }
    let indicators = source
        .get(node.span.start()..start)
        .unwrap_or_default()
        .replace('+', "-");
    let broken = source
        .get(text_end..text_end + break_len(bytes, text_end))
        .unwrap_or_default();
    let text = format!("{indicators}{line}{indent}{token}{broken}");
    Edit::new(Span::new(node.span.start(), node.inner.end()), text)
}

/// Where the last line of a block's content ends, before the line breaks that `+` keeps.
fn content_end(source: &str, inner: Span) -> usize {
    let bytes = source.as_bytes();
    let (mut at, mut end) = (inner.start(), inner.start());
    while at < inner.end() {
        let line = line_end(bytes, at).min(inner.end());
        let blank = bytes
            .get(at..line)
            .is_some_and(|line| line.iter().all(|&byte| byte == b' '));
        if !blank || end == inner.start() && line < inner.end() {
            end = line;
        }
        at = line + break_len(bytes, line).max(1);
    }
    end
}

/// A block scalar's header and indentation.
struct Block {
    header: Header,
    parent: usize,
    indent: usize,
}

impl Block {
    fn of(source: &str, node: &Node) -> Option<Self> {
        let header = Header::parse(source.as_bytes(), node.span.start() + 1)?;
        let parent = parent_indent(source, node.span, node.key);
        let found = content_indent(source, header, node.span, node.inner, node.key);
        let all_blank = node
            .inner
            .of(source)
            .bytes()
            .all(|byte| matches!(byte, b' ' | b'\n' | b'\r'));
        let indent = if header.indent == 0 && all_blank {
            parent + 2
        } else {
            found
        };
        Some(Self {
            header,
            parent,
            indent,
        })
    }
}

/// See [`super::write_value`].
pub(super) fn value(
    source: &str,
    node: &Node,
    value: &Value<'_>,
    ends_text: bool,
) -> Result<Edit, CannotWrite> {
    let text = match value {
        Value::Str(text) => Cow::Borrowed(text.expose()),
        Value::Bytes(_) if node.kind == Kind::Comment || keeps_text(node) => {
            return Err(CannotWrite("bytes cannot be written here".to_owned()));
        }
        Value::Bytes(bytes) => {
            let encoded = format!("!!binary \"{}\"", STANDARD.encode(bytes.as_slice()));
            return Ok(whole(source, node, &encoded));
        }
        other => Cow::Owned(bare(other)),
    };
    if node.kind == Kind::Comment {
        return comment(node, &text);
    }
    if !matches!(value, Value::Str(_)) && !keeps_text(node) {
        return Ok(whole(source, node, &text));
    }
    Ok(string(source, node, &text, ends_text))
}

/// Whether what stands behind the node's tag is a string whatever it looks like.
fn keeps_text(node: &Node) -> bool {
    matches!(node.tag, Tag::Str | Tag::Other | Tag::Merge)
}

/// A value that is not a string, as it is written without quotes.
fn bare(value: &Value<'_>) -> String {
    match value {
        Value::Float(number) if number.is_nan() => ".nan".to_owned(),
        Value::Float(number) if number.is_infinite() => {
            if *number > 0.0 { ".inf" } else { "-.inf" }.to_owned()
        }
        Value::Float(number) => {
            let text = float_text(*number);
            if text.contains('.') {
                text
            } else {
                format!("{text}.0")
            }
        }
        Value::Bool(value) => value.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Time(time) => time.as_str().to_owned(),
        Value::Null | Value::Str(_) | Value::Bytes(_) => "null".to_owned(),
    }
}

fn comment(node: &Node, text: &str) -> Result<Edit, CannotWrite> {
    if needs_folding(text) || text.chars().any(|c| !super::quote::is_printable(c)) {
        return Err(CannotWrite(
            "a comment must be one line of printable text".to_owned(),
        ));
    }
    Ok(Edit::new(node.inner, text))
}

/// Replaces all of a scalar. A comment behind a block's header stays, now behind the value.
fn whole(source: &str, node: &Node, text: &str) -> Edit {
    let mut kept = "";
    if matches!(node.form, Form::Literal | Form::Folded) {
        let bytes = source.as_bytes();
        let header = Header::parse(bytes, node.span.start() + 1)
            .map_or(node.span.start(), |header| header.end);
        kept = source
            .get(header..line_end(bytes, header))
            .unwrap_or_default();
    }
    Edit::new(node.span, format!("{text}{kept}"))
}

fn string(source: &str, node: &Node, text: &str, ends_text: bool) -> Edit {
    let tagged = keeps_text(node);
    let plain = || can_be_plain(text, node.flow, tagged).then(|| Edit::new(node.span, text));
    let single = || single(text).map(|text| Edit::new(node.span, format!("'{text}'")));
    let in_double = || whole(source, node, &format!("\"{}\"", double(text)));
    match node.form {
        Form::Literal | Form::Folded => {
            block(source, node, text, ends_text).unwrap_or_else(in_double)
        }
        Form::Double => in_double(),
        Form::Single if node.flow && !node.inner.of(source).ends_with(' ') => {
            plain().or_else(single).unwrap_or_else(in_double)
        }
        Form::Single => single().unwrap_or_else(in_double),
        _ if node.flow => plain().or_else(single).unwrap_or_else(in_double),
        _ => plain()
            .or_else(|| new_block(source, node, text, ends_text))
            .unwrap_or_else(in_double),
    }
}

/// Writes into the block that is there; `None` if the text cannot be a block.
fn block(source: &str, node: &Node, text: &str, ends_text: bool) -> Option<Edit> {
    let block = Block::of(source, node)?;
    let folded = node.form == Form::Folded;
    let lines = if folded {
        Cow::Owned(unfold(text))
    } else {
        Cow::Borrowed(text)
    };
    let place = Place {
        start: node.span.start(),
        end: node.inner.end(),
        behind: source.get(block.header.end..node.inner.start())?,
        parent: block.parent,
        indent: block.indent,
        explicit: block.header.indent > 0,
        sign_first: matches!(byte(source.as_bytes(), node.span.start() + 1), b'+' | b'-'),
        chomp: Some(block.header.chomp),
        ends_text,
    };
    let mark = if folded { '>' } else { '|' };
    if !folded || folds_to(&lines, text) {
        let written = place.write(source, mark, &lines);
        if written.is_some() {
            return written;
        }
    }
    place.write(source, '|', text)
}

/// Writes a literal block where a plain scalar was.
fn new_block(source: &str, node: &Node, text: &str, ends_text: bool) -> Option<Edit> {
    let bytes = source.as_bytes();
    if !text.contains('\n') || line_end(bytes, node.span.end()) != node.span.end() {
        return None;
    }
    let key = node.key?;
    let dash = key.of(source) == "-" && is_blank(bytes, key.end());
    let parent = parent_indent(source, node.span, node.key);
    let behind = newline(source);
    let place = Place {
        start: node.span.start(),
        end: node.span.end(),
        behind,
        parent,
        indent: parent + if dash { 2 } else { 4 },
        explicit: false,
        sign_first: false,
        chomp: None,
        ends_text,
    };
    place.write(source, '|', text)
}

/// Where a block is written.
struct Place<'a> {
    start: usize,
    end: usize,
    /// What stands between the indicators and the content: a comment, and the line break.
    behind: &'a str,
    parent: usize,
    indent: usize,
    /// Whether the header says the indentation already.
    explicit: bool,
    /// Whether the header says how the text ends before it says the indentation.
    sign_first: bool,
    chomp: Option<Chomp>,
    ends_text: bool,
}

impl Place<'_> {
    /// The block with this mark and these lines; `None` if it could not be read back.
    fn write(&self, source: &str, mark: char, text: &str) -> Option<Edit> {
        let bytes = source.as_bytes();
        let content = text.trim_end_matches('\n');
        let breaks = text.len() - content.len();
        let chomp = self.chomp(breaks, content.is_empty());
        let indicator = if self.explicit || needs_indicator(text) {
            let columns = self.indent.checked_sub(self.parent)?;
            if !(1..=9).contains(&columns) {
                return None;
            }
            columns.to_string()
        } else {
            String::new()
        };
        let blank_behind = chomp == Chomp::Keep && self.blank_line_behind(bytes);
        if !can_be_block(text) || blank_behind || self.ends_text && breaks > 0 {
            return None;
        }
        let sign = match chomp {
            Chomp::Clip => "",
            Chomp::Strip => "-",
            Chomp::Keep => "+",
        };
        let newline = newline(source);
        let lines = block_lines(content, self.indent, newline);
        // The line break behind the block, if it is not replaced too, ends its last line.
        let replaced_break = line_start(bytes, self.end) == self.end;
        let needed = match chomp {
            Chomp::Keep => breaks,
            _ if replaced_break || break_len(bytes, self.end) > 0 => 1,
            Chomp::Clip | Chomp::Strip => breaks,
        };
        let tail =
            newline.repeat(needed.saturating_sub(usize::from(break_len(bytes, self.end) > 0)));
        let header = if self.sign_first {
            format!("{mark}{sign}{indicator}")
        } else {
            format!("{mark}{indicator}{sign}")
        };
        let content_start = self.start + header.len() + self.behind.len();
        if source.get(self.start..content_start).is_some_and(|now| {
            now.strip_prefix(&header)
                .is_some_and(|behind| behind == self.behind)
        }) {
            // The header stays, and with it the comment it may hold.
            return Some(Edit::new(
                Span::new(content_start, self.end),
                format!("{lines}{tail}"),
            ));
        }
        let text = format!("{header}{}{lines}{tail}", self.behind);
        Some(Edit::new(Span::new(self.start, self.end), text))
    }

    /// The chomping that gives this number of line breaks at the end.
    fn chomp(&self, breaks: usize, empty: bool) -> Chomp {
        match (breaks, self.chomp) {
            (0, Some(Chomp::Clip)) if self.ends_text => Chomp::Clip,
            (0, _) => Chomp::Strip,
            (1, Some(Chomp::Clip) | None) if !empty => Chomp::Clip,
            _ => Chomp::Keep,
        }
    }

    /// Whether an empty line follows, which `+` would make part of the value.
    fn blank_line_behind(&self, bytes: &[u8]) -> bool {
        let mut at = self.end + break_len(bytes, self.end);
        while byte(bytes, at) == b' ' {
            at += 1;
        }
        break_len(bytes, at) > 0
    }
}

/// Whether a folded block with these lines is read as `text`.
fn folds_to(lines: &str, text: &str) -> bool {
    let header = ">1+\n";
    let block = format!("{header}{}", block_lines(lines, 1, "\n"));
    let (span, inner) = (
        Span::new(0, block.len()),
        Span::new(header.len(), block.len()),
    );
    decode(&block, Form::Folded, span, inner, None) == text
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
        let pad = format!(
            "{}{}#",
            newline(source),
            " ".repeat(column(bytes, dash.start()))
        );
        let text = text
            .replace("\r\n", "\n")
            .replace(['\r', '\n', '\u{85}', '\u{2028}', '\u{2029}'], &pad);
        return Edit::new(Span::new(dash.start(), node.span.end()), format!("#{text}"));
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
        splice(source, &[write_token(source, &last(source), TOKEN)])
            .unwrap()
            .to_string()
    }

    fn written(source: &str, value: &Value<'_>) -> String {
        let edit = write_value(source, &last(source), value, false).unwrap();
        let text = splice(source, &[edit]).unwrap().to_string();
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
                Some("a: |+ # c\n  ENC[x,y,type:str]\n\n"),
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
        assert!(write_value("# x\n", &node, &Value::Str("a\nb".into()), false).is_err());
    }
}
