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
pub(super) fn token(source: &str, node: &Node, token: String, edits: &mut Vec<Edit>) {
    if node.kind == Kind::Comment {
        edits.push(Edit::new(node.inner, token));
        return;
    }
    remove_tag(source, node, edits);
    match (node.form, node.flow) {
        (Form::Literal | Form::Folded, _) => block_token(source, node, &token, edits),
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

/// The token as the only line of a block. No line breaks may follow it, so `+` becomes `-`.
fn block_token(source: &str, node: &Node, token: &str, edits: &mut Vec<Edit>) {
    let Some(block) = Block::of(source, node) else {
        edits.push(Edit::new(node.inner, token));
        return;
    };
    // The empty text has no line.
    let columns = if token.is_empty() { 0 } else { block.indent };
    let indent = " ".repeat(columns);
    let text_end = content_end(source, node.inner);
    if block.header.chomp != Chomp::Keep {
        let text = Span::new(node.inner.start(), text_end);
        edits.push(Edit::new(text, format!("{indent}{token}")));
        return;
    }
    let header = Span::new(node.span.start(), block.header.end);
    edits.push(Edit::new(header, header.of(source).replace('+', "-")));
    // Of the line breaks that go, the last one stays: it is the one that opening leaves alone.
    let broken = last_break(source, text_end, node.inner.end());
    edits.push(Edit::new(node.inner, format!("{indent}{token}{broken}")));
}

/// The last line break between two places.
fn last_break(source: &str, from: usize, to: usize) -> &str {
    let (mut at, mut last) = (from, "");
    while at < to {
        let len = break_len(source.as_bytes(), at);
        if len > 0 {
            last = source.get(at..at + len).unwrap_or_default();
        }
        at += len.max(1);
    }
    last
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
            .chars()
            .all(|c| matches!(c, ' ' | '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}'));
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
    edits: &mut Vec<Edit>,
) -> Result<(), CannotWrite> {
    let text = match value {
        Value::Str(text) => Cow::Borrowed(text.expose()),
        Value::Bytes(_) if node.kind == Kind::Comment || keeps_text(node) => {
            return Err(CannotWrite("bytes cannot be written here".to_owned()));
        }
        Value::Bytes(bytes) => {
            whole(source, node, &binary(bytes), edits);
            return Ok(());
        }
        Value::Lexeme(..) => return Err(CannotWrite::lexeme()),
        // Without an exponent, however long: more files have such numbers, and tokens do not say which it was.
        Value::Float(number) if number.is_finite() => Cow::Owned(decimal(*number)),
        other => Cow::Owned(bare(other)),
    };
    if node.kind == Kind::Comment {
        edits.push(comment(node, &text)?);
    } else if !matches!(value, Value::Str(_)) && !keeps_text(node) {
        whole(source, node, &text, edits);
    } else {
        string(source, node, &text, ends_text, edits);
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
    let scientific = format!("{number:e}");
    match scientific.split_once('e') {
        Some((digits, exponent)) if number != 0.0 && !(1e-6..1e21).contains(&number.abs()) => {
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            format!("{}e{sign}{exponent}", pointed(digits.to_owned()))
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
        digits
    } else {
        digits + ".0"
    }
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
fn whole(source: &str, node: &Node, text: &str, edits: &mut Vec<Edit>) {
    let bytes = source.as_bytes();
    let header = matches!(node.form, Form::Literal | Form::Folded)
        .then(|| Header::parse(bytes, node.span.start() + 1))
        .flatten();
    let Some(header) = header else {
        edits.push(Edit::new(node.span, text));
        return;
    };
    let indicators = Span::new(node.span.start(), header.end);
    // Only a block may begin in the column of its key.
    let parent = parent_indent(source, node.span, node.key);
    let pad = if column(bytes, indicators.start()) <= parent {
        "  "
    } else {
        ""
    };
    edits.push(Edit::new(indicators, format!("{pad}{text}")));
    let lines = Span::new(line_end(bytes, header.end), node.span.end());
    edits.push(Edit::remove(lines));
}

fn string(source: &str, node: &Node, text: &str, ends_text: bool, edits: &mut Vec<Edit>) {
    let tagged = keeps_text(node);
    let plain = || can_be_plain(text, node.flow, tagged).then(|| Edit::new(node.span, text));
    let single = || single(text).map(|text| Edit::new(node.span, format!("'{text}'")));
    let edit = match node.form {
        Form::Literal | Form::Folded => {
            if block(source, node, text, ends_text, edits).is_some() {
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
        _ => plain().or_else(|| new_block(source, node, text, ends_text)),
    };
    match edit {
        Some(edit) => edits.push(edit),
        None => whole(source, node, &format!("\"{}\"", double(text)), edits),
    }
}

/// Writes into the block that is there; `None`, and no edit, if the text cannot be a block.
fn block(
    source: &str,
    node: &Node,
    text: &str,
    ends_text: bool,
    edits: &mut Vec<Edit>,
) -> Option<()> {
    let block = Block::of(source, node)?;
    let folded = node.form == Form::Folded;
    let lines = if folded {
        Cow::Owned(unfold(text))
    } else {
        Cow::Borrowed(text)
    };
    let header = Span::new(node.span.start(), block.header.end);
    let place = Place {
        start: node.inner.start(),
        end: node.inner.end(),
        parent: block.parent,
        indent: block.indent,
        explicit: block.header.indent > 0,
        sign_first: matches!(byte(source.as_bytes(), node.span.start() + 1), b'+' | b'-'),
        chomp: Some(block.header.chomp),
        ends_text,
    };
    let mark = if folded { '>' } else { '|' };
    let written = (!folded || folds_to(&lines, text))
        .then(|| place.write(source, mark, &lines))
        .flatten()
        .or_else(|| place.write(source, '|', text))?;
    if written.header != header.of(source) {
        edits.push(Edit::new(header, written.header));
    }
    edits.push(Edit::new(node.inner, written.lines));
    Some(())
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
    let place = Place {
        start: node.span.end(),
        end: node.span.end(),
        parent,
        indent: parent + if dash { 2 } else { 4 },
        explicit: false,
        sign_first: false,
        chomp: None,
        ends_text,
    };
    let written = place.write(source, '|', text)?;
    let newline = newline_at(source, node.span.end());
    let text = format!("{}{newline}{}", written.header, written.lines);
    Some(Edit::new(node.span, text))
}

/// Where a block is written.
struct Place {
    /// What its lines replace.
    start: usize,
    end: usize,
    parent: usize,
    indent: usize,
    /// Whether the header says the indentation already.
    explicit: bool,
    /// Whether the header says how the text ends before it says the indentation.
    sign_first: bool,
    chomp: Option<Chomp>,
    ends_text: bool,
}

/// A block as it is to be written: its header stands before a line break, or a comment and that.
struct Written {
    header: String,
    lines: String,
}

impl Place {
    /// The block with this mark and these lines; `None` if it could not be read back.
    fn write(&self, source: &str, mark: char, text: &str) -> Option<Written> {
        let bytes = source.as_bytes();
        let content = text.trim_end_matches('\n');
        let breaks = text.len() - content.len();
        let chomp = self.chomp(breaks, content.is_empty());
        // A comment behind could be taken for the first line.
        let lineless = content.is_empty() && self.comment_behind(bytes);
        let indicator = if self.explicit || lineless || needs_indicator(text) {
            let columns = self.indent.checked_sub(self.parent)?;
            if !(1..=9).contains(&columns) {
                return None;
            }
            columns.to_string()
        } else {
            String::new()
        };
        let blank_behind = chomp == Chomp::Keep && self.blank_line_behind(bytes);
        // A line feed behind a lone carriage return would be one line break with it.
        let after_return = byte(bytes, self.start.saturating_sub(1)) == b'\r';
        if !can_be_block(text) || blank_behind || after_return || self.ends_text && breaks > 0 {
            return None;
        }
        let sign = match chomp {
            Chomp::Clip => "",
            Chomp::Strip => "-",
            Chomp::Keep => "+",
        };
        let newline = newline_at(source, self.end);
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
        Some(Written {
            header,
            lines: format!("{lines}{tail}"),
        })
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

    /// Whether an indented comment is the line that follows.
    fn comment_behind(&self, bytes: &[u8]) -> bool {
        let start = self.end + break_len(bytes, self.end);
        let mut at = start;
        while byte(bytes, at) == b' ' {
            at += 1;
        }
        at > start && byte(bytes, at) == b'#'
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

/// The line break before `at`, if a line begins there, else the one behind it; that of the file if it is an odd one.
fn newline_at(source: &str, at: usize) -> &'static str {
    let (before, behind) = source.split_at_checked(at).unwrap_or((source, ""));
    let line = match before.as_bytes().last() {
        Some(b'\n') => before,
        _ => behind.split_inclusive('\n').next().unwrap_or_default(),
    };
    match line {
        line if line.ends_with("\r\n") => "\r\n",
        line if line.ends_with('\n') => "\n",
        _ => newline(source),
    }
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
