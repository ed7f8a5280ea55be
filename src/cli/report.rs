//! The only place that knows how a failure is put into words on a terminal.
//!
//! Errors of the library carry facts; commands turn them into a [`Failure`], and this file gives every failure the same
//! shape: what is wrong, where, one thing to do. Values of a file are never shown: of the line in question only the key
//! is, and that only when it certainly is one. All text is escaped before it reaches a terminal.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Write as _;

use sops_rs::format::Format;
use sops_rs::node::ScanError;
use sops_rs::span::Position;

use super::exit::Exit;

/// Why a command ends without success, as facts and half-sentences; [`Failure::render`] makes the message.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What is wrong: one lower-case line without a full stop, paths and literals in backticks. Never holds a value.
    pub(crate) message: String,
    location: Option<Box<Location>>,
    details: Vec<String>,
    hint: Option<String>,
}

/// A place in a file.
#[derive(Debug)]
struct Location {
    path: String,
    position: Position,
    /// The key of the line, if it certainly is one, and its column.
    key: Option<(String, usize)>,
}

impl Failure {
    /// A failure that is explained by `message` alone.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            location: None,
            details: Vec::new(),
            hint: None,
        }
    }

    /// Adds a line of detail below the message.
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }

    /// Adds one thing to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with another exit code.
    pub(crate) fn with_exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// Whether everything behind the message of `other` is the same: said once, it need not be said again.
    pub(crate) fn explains(&self, other: &Self) -> bool {
        let places = self.location.is_some() || other.location.is_some();
        !places && self.details == other.details && self.hint == other.hint
    }

    /// The message alone.
    pub(crate) fn brief(&self) -> Self {
        Self::new(self.exit, self.message.clone())
    }

    /// Adds the place: byte `offset` of `source`, which is the file `path`.
    pub(crate) fn at(mut self, path: &str, format: Format, source: &str, offset: usize) -> Self {
        let location = Location {
            path: path.to_owned(),
            position: Position::of(source, offset),
            key: visible_key(format, source, offset),
        };
        self.location = Some(Box::new(location));
        self
    }

    /// The failure that a text is not what its format demands.
    pub(crate) fn scan(path: &str, format: Format, source: &str, error: &ScanError) -> Self {
        let mut failure = Self::new(Exit::CannotRead, error.message.clone());
        failure.hint.clone_from(&error.hint);
        failure.at(path, format, source, error.span.start())
    }

    /// The lines of detail, fit for a terminal.
    pub(crate) fn details(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.details.iter().map(|detail| escaped(detail))
    }

    /// The message as it goes to the terminal, line ends included.
    pub(crate) fn render(&self, program: &str, colour: bool) -> String {
        let mut text = headline(program, "error", RED, &self.message, colour);
        if let Some(location) = &self.location {
            location.render(&mut text);
        }
        for detail in self.details() {
            let _ = writeln!(text, "  {detail}");
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, "{}: {}", painted("hint", CYAN, colour), escaped(hint));
        }
        text
    }
}

impl Location {
    fn render(&self, text: &mut String) {
        let Position { line, column } = self.position;
        let number = line.to_string();
        let gutter = " ".repeat(number.len() + 1);
        let _ = writeln!(text, "{gutter}--> {}:{line}:{column}", escaped(&self.path));
        let Some((key, key_column)) = &self.key else {
            return;
        };
        // Whatever stands behind the key is shown as one character, so the mark goes no further than that.
        let masked = key.chars().count() + 1;
        let mark = column.saturating_sub(*key_column).min(masked);
        let _ = writeln!(text, " {number} | {} …", escaped(key));
        let _ = writeln!(text, "{gutter} | {}^", " ".repeat(mark));
    }
}

/// A warning, as it goes to the terminal.
pub(crate) fn warning(program: &str, message: &str, colour: bool) -> String {
    headline(program, "warning", YELLOW, message, colour)
}

/// A note, as it goes to the terminal.
pub(crate) fn note(program: &str, message: &str, colour: bool) -> String {
    headline(program, "note", CYAN, message, colour)
}

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const CYAN: &str = "\x1b[1;36m";

fn headline(program: &str, label: &str, style: &str, message: &str, colour: bool) -> String {
    format!(
        "{program}: {}: {}\n",
        painted(label, style, colour),
        shortened(&escaped(message))
    )
}

/// The most characters of one message, which names of keys and files can make longer than any terminal.
const LONGEST_MESSAGE: usize = 1000;

/// `text` without its middle, if it is longer than [`LONGEST_MESSAGE`]: its begin names the matter, its end says what is wrong.
fn shortened(text: &str) -> Cow<'_, str> {
    let half = LONGEST_MESSAGE / 2;
    let place = |number: usize| text.char_indices().nth(number).map(|(at, _)| at);
    let length = text.chars().count();
    match (place(half), place(length.saturating_sub(half))) {
        (Some(end), Some(start)) if length > LONGEST_MESSAGE => {
            let (begin, rest) = (text.get(..end), text.get(start..));
            format!(
                "{} … {}",
                begin.unwrap_or_default(),
                rest.unwrap_or_default()
            )
            .into()
        }
        _ => text.into(),
    }
}

fn painted<'a>(label: &'a str, style: &str, colour: bool) -> Cow<'a, str> {
    if colour {
        format!("{style}{label}\x1b[0m").into()
    } else {
        label.into()
    }
}

/// `text` on one line and without characters that move the cursor, turn the direction of writing or cannot be seen.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(deceives) {
        return text.into();
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => safe.extend(character.escape_default()),
            _ if deceives(character) => safe.extend(character.escape_unicode()),
            _ => safe.push(character),
        }
    }
    safe.into()
}

/// A word, such as the name of a file, as it has to be typed in a command that a message tells: with quotes if it needs them.
pub(crate) fn typed(word: impl AsRef<OsStr>) -> String {
    shell_words::quote(&word.as_ref().to_string_lossy()).into_owned()
}

/// Control characters, marks and overrides of direction, zero-width characters, line separators, tags.
fn deceives(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        )
        || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(character, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The key of the line that holds byte `offset`, with its separator, and its column; `None` if it could be part of a
/// value: a line of a text that spans several lines, a line of another shape.
fn visible_key(format: Format, source: &str, offset: usize) -> Option<(String, usize)> {
    let start = source
        .get(..offset)?
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let (before, rest) = source.split_at_checked(start)?;
    let line = rest.lines().next()?;
    let (key, separator) = match format {
        Format::Yaml => (yaml_key(before, line)?, ':'),
        Format::Json => (json_key(before, line)?, ':'),
        Format::Dotenv | Format::Ini => (assigned_key(line)?, '='),
        Format::Toml => (toml_key(before, line)?, '='),
        Format::Binary => return None,
    };
    let column = line.get(..line.find(key)?)?.chars().count() + 1;
    Some((format!("{key}{separator}"), column))
}

/// Longer keys may be something else.
const LONGEST_KEY: usize = 64;

fn is_key(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
    !text.is_empty() && text.len() <= LONGEST_KEY && text.bytes().all(plain)
}

fn json_key<'a>(before: &str, line: &'a str) -> Option<&'a str> {
    let entry = line.trim_start_matches([' ', '\t', '{', ',', '[']);
    let (name, rest) = entry.strip_prefix('"')?.split_once('"')?;
    let quoted = entry.get(..name.len() + 2)?;
    let indent = line.strip_suffix(entry)?;
    let is_key = is_key(name) && rest.trim_start().starts_with(':');
    Some(quoted).filter(|_| is_key && json_wants_key(&[before, indent]))
}

/// Whether a key is due behind these pieces of JSON: not in a list, nor behind a colon, nor inside of a string.
fn json_wants_key(pieces: &[&str]) -> bool {
    let (mut open, mut last) = (Vec::new(), b' ');
    let (mut in_string, mut escape) = (false, false);
    for byte in pieces.iter().flat_map(|piece| piece.bytes()) {
        match byte {
            _ if escape => {}
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => open.push(byte),
            b'}' | b']' => drop(open.pop()),
            _ => {}
        }
        escape = in_string && byte == b'\\' && !escape;
        if !byte.is_ascii_whitespace() {
            last = byte;
        }
    }
    !in_string && open.last() == Some(&b'{') && matches!(last, b'{' | b',')
}

fn assigned_key(line: &str) -> Option<&str> {
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    // The padding of base64 looks like a key without a value.
    let value = value.trim();
    Some(key).filter(|key| is_key(key) && !value.is_empty() && !value.starts_with('='))
}

/// Nothing behind a multi-line string, which may still be open.
fn toml_key<'a>(before: &str, line: &'a str) -> Option<&'a str> {
    let in_text = ["\"\"\"", "'''"]
        .iter()
        .any(|quotes| before.contains(quotes));
    assigned_key(line).filter(|_| !in_text)
}

fn yaml_key<'a>(before: &str, line: &'a str) -> Option<&'a str> {
    let entry = line.trim_start_matches([' ', '-']);
    let (key, value) = entry.split_once(':')?;
    if !is_key(key) || !(value.is_empty() || value.starts_with(' ')) || !quotes_are_closed(before) {
        return None;
    }
    // A line of a longer text stands deeper than its key, and that key's line ends in something else than a colon; or
    // the line above it, which begins the text, is no entry.
    let mut indent = indent_of(line);
    for outer in before.lines().rev() {
        let text = outer.trim_start();
        if indent_of(outer) == indent && !is_entry(text) {
            return None;
        }
        if indent_of(outer) < indent && !text.is_empty() && !text.starts_with('#') {
            let nested = outer.trim_end().ends_with(':') && !outer.contains(" #");
            let item = outer.trim_start_matches([' ', '-']);
            let beside =
                text.starts_with("- ") && outer.len() - item.len() == indent && is_entry(item);
            if !nested && !beside {
                return None;
            }
            indent = indent_of(outer);
        }
    }
    Some(key)
}

/// Whether this line of YAML, without its indentation, is an entry, or none that a text could begin with.
fn is_entry(line: &str) -> bool {
    let begins = ["#", "- ", "---", "...", "%", "? "]
        .iter()
        .any(|mark| line.starts_with(mark));
    let line = line.trim_end();
    begins || line.is_empty() || line == "-" || line.ends_with(':') || line.contains(": ")
}

fn indent_of(line: &str) -> usize {
    line.bytes().take_while(|&byte| byte == b' ').count()
}

/// Whether an even number of each kind of quotes stands in `text`. Wrong guesses hide a key, and show nothing.
fn quotes_are_closed(text: &str) -> bool {
    let (mut single, mut double, mut escape) = (true, true, false);
    for byte in text.bytes() {
        match byte {
            b'"' if !escape => double = !double,
            b'\'' => single = !single,
            _ => {}
        }
        escape = byte == b'\\' && !escape;
    }
    single && double
}

/// Makes a panic say that it is a bug, without its payload: that may hold a piece of a file.
pub(crate) fn report_panics(program: &'static str, colour: bool) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic
            .location()
            .map_or_else(String::new, |place| format!(" ({place})"));
        let version = env!("CARGO_PKG_VERSION");
        let failure = Failure::new(
            Exit::BUG,
            format!("this is a bug in sops-rs {version}{place}"),
        )
        .hint("please report it with the command line, but never with the file or a key");
        let text = failure.render(program, colour);
        drop(std::io::Write::write_all(
            &mut std::io::stderr(),
            text.as_bytes(),
        ));
    }));
}

#[cfg(test)]
mod tests {
    use sops_rs::format::Format;
    use sops_rs::node::ScanError;
    use sops_rs::span::Span;

    use super::{Exit, Failure, escaped, visible_key};

    /// The place of `|` in `marked`, and the text without it.
    fn key(format: Format, marked: &str) -> Option<String> {
        let offset = marked.find('|').unwrap();
        visible_key(format, &marked.replacen('|', "", 1), offset).map(|(key, _)| key)
    }

    #[test]
    fn a_long_name_leaves_room_for_what_is_wrong() {
        let message = |letters: usize| format!("`{}` is not there", "ä".repeat(letters));
        let headline = |letters| super::warning("sops-rs", &message(letters), false);
        assert!(headline(900).contains(&message(900)));
        let text = headline(100_000);
        assert!(text.chars().count() < 1100, "{text}");
        assert!(text.contains("warning: `ää"), "{text}");
        assert!(text.ends_with("ä` is not there\n"), "{text}");
    }

    #[test]
    fn a_message_says_what_where_and_what_to_do() {
        let source = "a: 1\ndb:\n  password: S3CR3T-CANARY\n";
        let error = ScanError::new(Span::at(25), "a tab cannot stand here").with_hint("use blanks");
        let failure = Failure::scan("prod.yaml", Format::Yaml, source, &error);
        assert_eq!(
            failure.render("sops-rs", false),
            "sops-rs: error: a tab cannot stand here\n  \
             --> prod.yaml:3:17\n \
             3 | password: …\n   \
             |           ^\n\
             hint: use blanks\n"
        );
        assert_eq!(failure.exit, Exit::CannotRead);
    }

    #[test]
    fn colour_is_only_in_the_labels() {
        let failure = Failure::new(Exit::Failed, "no").detail("because");
        assert_eq!(
            failure.render("sops", true),
            "sops: \x1b[1;31merror\x1b[0m: no\n  because\n"
        );
    }

    #[test]
    fn keys_are_shown_where_they_certainly_are_keys() {
        let yaml = |text| key(Format::Yaml, text);
        assert_eq!(yaml("password: |x"), Some("password:".into()));
        assert_eq!(yaml("a:\n  - b: 1\n    c.d: |x"), Some("c.d:".into()));
        assert_eq!(yaml("a: \"x\"\nb: |x"), Some("b:".into()));
        assert_eq!(
            key(Format::Json, "{\n\t\"pass\": |x}"),
            Some("\"pass\":".into())
        );
        assert_eq!(key(Format::Dotenv, "PASS=x|y"), Some("PASS=".into()));
        assert_eq!(key(Format::Ini, "[s]\npass = x|y"), Some("pass=".into()));
    }

    #[test]
    fn what_may_be_a_value_is_not_shown() {
        let yaml = |text| key(Format::Yaml, text);
        assert_eq!(
            yaml("text: >\n  hunter2: |x"),
            None,
            "a line of a block scalar"
        );
        assert_eq!(
            yaml("text: >\n  a:\n    hunter2: |x"),
            None,
            "a line of a block scalar"
        );
        assert_eq!(
            yaml("text: > # as:\n  hunter2: |x"),
            None,
            "a line of a block scalar"
        );
        assert_eq!(
            yaml("text: \"a\n  hunter2: |x\""),
            None,
            "a line of a quoted scalar"
        );
        assert_eq!(
            yaml("text: 'a\nhunter2: |x'"),
            None,
            "a line of a quoted scalar"
        );
        assert_eq!(
            yaml("text: a\n  hunter2: |x"),
            None,
            "a line of a plain scalar"
        );
        for text in [
            "text:\n  a\n  hunter2: |x",
            "- a\n  hunter2: |x",
            "a\nhunter2: |x",
        ] {
            assert_eq!(yaml(text), None, "a line of a plain scalar below its key");
        }
        assert_eq!(yaml("my hunter2: |x"), None, "a sentence");
        assert_eq!(yaml("hunter2:|x"), None, "not a key");
        assert_eq!(
            key(Format::Json, "{\"a\": \"hunter2: |x"),
            None.or(Some("\"a\":".into()))
        );
        assert_eq!(key(Format::Json, "\"hun|ter2\""), None);
        for text in [
            "{\"a\": [\n\"hunter2\"|: 1",
            "{\"a\":\n\"hunter2\"|: 1",
            "{\"a\": [{}\n,\"hunter2\"|: 1",
        ] {
            assert_eq!(key(Format::Json, text), None, "not where a key is due");
        }
        assert_eq!(
            key(Format::Json, "{\"a\": [{\"b\": \"'\\\\\"}]\n,\"c\"|: 1"),
            Some("\"c\":".into())
        );
        assert_eq!(key(Format::Json, "{\"a\": \"b\n\"hunter2\": |x"), None);
        assert_eq!(key(Format::Dotenv, "hunter2=|="), None, "the end of base64");
        assert_eq!(key(Format::Dotenv, "hunter|2"), None);
        assert_eq!(key(Format::Binary, "hunter2: |x"), None);
    }

    #[test]
    fn the_place_may_be_behind_the_end() {
        let failure = Failure::new(Exit::Failed, "x").at("f", Format::Yaml, "a: b", 99);
        assert!(failure.render("sops-rs", false).contains("f:1:5"));
    }

    #[test]
    fn text_from_files_cannot_fool_a_terminal() {
        assert_eq!(escaped("größe"), "größe");
        assert_eq!(escaped("a\x1b[2J\nb"), "a\\u{1b}[2J\\nb");
        assert_eq!(escaped("\u{202e}cod\u{200b}"), "\\u{202e}cod\\u{200b}");
        assert_eq!(escaped("\u{9b}"), "\\u{9b}");
    }
}
