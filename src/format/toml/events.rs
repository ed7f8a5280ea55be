//! TOML 1.0 as a list of events: what `toml_parser` finds, with everything it finds wrong turned into one error.
//!
//! Knows the grammar, and where TOML 1.1 is more lenient than 1.0. Knows nothing of tables: which key may stand where is
//! `scan`'s business.

use toml_parser::lexer::Token;
use toml_parser::parser::{
    Event, EventKind, EventReceiver, RecursionGuard, parse_document, parse_value,
};
use toml_parser::{ErrorSink, Expected, ParseError, Raw, Source};

use crate::format::lines::{conflict, line_start};
use crate::node::ScanError;
use crate::span::Span;

/// The deepest nesting of arrays and inline tables that is read: the parser calls itself for each.
const MAX_NESTING: u32 = 128;

/// All events of a text, in its order.
///
/// # Errors
/// [`ScanError`] at the first place that is not TOML 1.0, as far as the grammar tells. Values and comments are checked by
/// those who read them.
pub(super) fn events(source: &str) -> Result<Vec<Event>, ScanError> {
    let found = parsed(source, parse_document)?;
    check_inline_tables(&found)?;
    Ok(found)
}

/// Whether `text` is one scalar from its first byte to its last.
pub(super) fn is_scalar(text: &str) -> bool {
    let whole =
        |event: &Event| event.kind() == EventKind::Scalar && span(event.span()).len() == text.len();
    matches!(parsed(text, parse_value).as_deref(), Ok([event]) if whole(event))
}

type Parse = fn(&[Token], &mut dyn EventReceiver, &mut dyn ErrorSink);

fn parsed(source: &str, parse: Parse) -> Result<Vec<Event>, ScanError> {
    let tokens = Source::new(source).lex().into_vec();
    let mut found: Vec<Event> = Vec::with_capacity(tokens.len());
    let mut first: Option<ParseError> = None;
    let mut keep_first = |error: ParseError| {
        if first
            .as_ref()
            .is_none_or(|first| place(&error) < place(first))
        {
            first = Some(error);
        }
    };
    parse(
        &tokens,
        &mut RecursionGuard::new(&mut found, MAX_NESTING),
        &mut keep_first,
    );
    match first {
        Some(error) => Err(scan_error(source, &error)),
        None => Ok(found),
    }
}

/// The same range in our type.
pub(super) fn span(span: toml_parser::Span) -> Span {
    Span::new(span.start(), span.end())
}

/// The text of a comment or line break must hold no character that TOML forbids.
///
/// # Errors
/// [`ScanError`] at the first such character.
pub(super) fn check_text(source: &str, event: &Event) -> Result<(), ScanError> {
    let at = event.span();
    let raw = Raw::new_unchecked(span(at).of(source), None, at);
    let mut first = None;
    match event.kind() {
        EventKind::Comment => raw.decode_comment(&mut first),
        EventKind::Newline => raw.decode_newline(&mut first),
        _ => {}
    }
    first.map_or(Ok(()), |error| Err(scan_error(source, &error)))
}

fn place(error: &ParseError) -> usize {
    let at = error.unexpected().or(error.context());
    at.map_or(0, |span| span.start())
}

/// The error for what the parser found, or for the conflict marker on its line.
pub(super) fn scan_error(source: &str, error: &ParseError) -> ScanError {
    let at = error.unexpected().or(error.context()).unwrap_or_default();
    let at = whole_characters(source, span(at));
    if let Some(error) = conflict(source, line_start(source, at.start())) {
        return error;
    }
    ScanError::new(at, message(error))
}

/// The parser counts bytes; a span must not cut a character in two.
fn whole_characters(source: &str, span: Span) -> Span {
    let is_boundary = |at: &usize| source.is_char_boundary(*at);
    let start = (0..=span.start()).rev().find(is_boundary);
    let end = (span.end()..=source.len()).find(is_boundary);
    Span::new(start.unwrap_or_default(), end.unwrap_or(source.len()))
}

fn message(error: &ParseError) -> String {
    let mut message = error.description().to_owned();
    for (number, expected) in error.expected().into_iter().flatten().enumerate() {
        message.push_str(if number == 0 { ", expected " } else { " or " });
        match expected {
            Expected::Literal("\n") => message.push_str("a line break"),
            Expected::Literal(text) => message.extend(["`", text, "`"]),
            Expected::Description(text) => message.push_str(text),
            _ => message.push_str("something else"),
        }
    }
    message
}

/// TOML 1.1 lets an inline table run over several lines and end in a comma; 1.0 does not.
fn check_inline_tables(found: &[Event]) -> Result<(), ScanError> {
    let refuse = |event: &Event, what: &str| {
        let message = format!("{what} in an inline table");
        let error = ScanError::new(span(event.span()), message);
        Err(error.with_hint("TOML 1.0 has no such thing; write it as a table with a header"))
    };
    // Whether each open bracket is that of an inline table.
    let mut open: Vec<bool> = Vec::new();
    let mut comma: Option<&Event> = None;
    for event in found {
        match event.kind() {
            EventKind::InlineTableOpen => open.push(true),
            EventKind::ArrayOpen => open.push(false),
            EventKind::Newline if open.last() == Some(&true) => {
                return refuse(event, "a line break");
            }
            EventKind::InlineTableClose => {
                if let Some(comma) = comma {
                    return refuse(comma, "a comma behind the last value");
                }
                open.pop();
            }
            EventKind::ArrayClose => {
                open.pop();
            }
            _ => {}
        }
        match event.kind() {
            EventKind::ValueSep => comma = Some(event),
            EventKind::Whitespace => {}
            _ => comma = None,
        }
    }
    Ok(())
}
