//! The way to one value of a document, as a person writes it.
//!
//! Three spellings: that of SOPS, `["a"][0]["b"]` (spec 9.5); a shorter one, `a[0].b`; and JSON Pointer (RFC 6901),
//! `/a/0/b`. The first character tells which. Knows nothing of documents: what is there is for others to find out.

use std::borrow::Cow;
use std::fmt;

/// How many characters of a key people get to see.
const SHOWN_KEY: usize = 60;

/// A key as people get to see it: its first 60 characters, with a `…` in place of more.
#[must_use]
pub fn shown_key(key: &str) -> Cow<'_, str> {
    match key.char_indices().nth(SHOWN_KEY) {
        Some((end, _)) => format!("{}…", key.get(..end).unwrap_or_default()).into(),
        None => key.into(),
    }
}

/// The steps from the top of a document to a place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    steps: Vec<Step>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The entry of a mapping.
    Key(String),
    /// The item of a list, counted from 0.
    Index(usize),
    /// Behind the last item of a list.
    Append,
    /// What JSON Pointer and `a.0` leave open: an item if there is a list, else the entry of that name. Holds the word;
    /// a `-` stands for the place behind the last item.
    Word(String),
}

/// A text is not a path. Knows where and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadPointer {
    /// The byte of the text at which it goes wrong.
    pub at: usize,
    /// What is wrong, as one lower-case sentence without a full stop.
    pub message: &'static str,
}

impl Pointer {
    /// The path of these steps.
    #[must_use]
    pub fn new(steps: Vec<Step>) -> Self {
        Self { steps }
    }

    /// Reads a path in any of the three spellings. An empty text is the whole document.
    ///
    /// A text that begins with `[` is first read as SOPS reads it, so that whatever works there means the same here; keys
    /// with brackets in them, which SOPS cannot read, are read after that. One that begins with `/` is a JSON Pointer.
    ///
    /// # Errors
    /// [`BadPointer`] at the first byte that fits none of them.
    pub fn parse(text: &str) -> Result<Self, BadPointer> {
        let steps = if let Some(tokens) = text.strip_prefix('/') {
            json_pointer(tokens)?
        } else if let Some(steps) = sops(text) {
            steps
        } else {
            Reader { text, at: 0 }.steps()?
        };
        Ok(Self { steps })
    }

    /// The steps, outermost first.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether it is the whole document.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.steps.is_empty()
    }

    /// The way to what stands after this many steps.
    #[must_use]
    pub fn truncated(&self, steps: usize) -> Self {
        Self {
            steps: self.steps.get(..steps).unwrap_or(&self.steps).to_vec(),
        }
    }
}

impl Step {
    /// The position that a word names: a decimal number without a sign or leading zeros.
    #[must_use]
    pub fn number(word: &str) -> Option<usize> {
        let digits = word.bytes().all(|byte| byte.is_ascii_digit());
        let plain = word == "0" || !word.starts_with('0');
        word.parse().ok().filter(|_| digits && plain)
    }
}

/// The grammar of SOPS: pieces between `[`, each of which ends in `]`. `None` for whatever SOPS cannot read.
fn sops(text: &str) -> Option<Vec<Step>> {
    let pieces = text.split('[').filter(|piece| !piece.is_empty());
    pieces
        .map(|piece| {
            let inside = piece.strip_suffix(']')?;
            if inside.starts_with(['"', '\'']) {
                let mut rest = inside.chars();
                let has_both = inside.chars().count() > 1;
                rest.next();
                rest.next_back();
                return has_both.then(|| Step::Key(rest.as_str().to_owned()));
            }
            let number: i64 = inside.parse().ok()?;
            usize::try_from(number).ok().map(Step::Index)
        })
        .collect()
}

/// The tokens of a JSON Pointer behind its first slash.
fn json_pointer(tokens: &str) -> Result<Vec<Step>, BadPointer> {
    let mut at = 1;
    let mut steps = Vec::new();
    for token in tokens.split('/') {
        if let Some(escape) = bad_escape(token) {
            return Err(BadPointer {
                at: at + escape,
                message: "behind `~` a JSON Pointer has `0` for `~` or `1` for `/`",
            });
        }
        let word = token.replace("~1", "/").replace("~0", "~");
        let is_open = word == "-" || Step::number(&word).is_some();
        steps.push(if is_open {
            Step::Word(word)
        } else {
            Step::Key(word)
        });
        at += token.len() + 1;
    }
    Ok(steps)
}

fn bad_escape(token: &str) -> Option<usize> {
    let is_bad = |&(at, _): &(usize, &str)| {
        let next = token.as_bytes().get(at + 1);
        !matches!(next, Some(b'0' | b'1'))
    };
    token.match_indices('~').find(is_bad).map(|(at, _)| at)
}

/// Reads `a[0].b`, and brackets with keys that hold brackets.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn fail<T>(&self, message: &'static str) -> Result<T, BadPointer> {
        let at = self.at;
        Err(BadPointer { at, message })
    }

    fn steps(&mut self) -> Result<Vec<Step>, BadPointer> {
        let mut steps = Vec::new();
        while !self.rest().is_empty() {
            if self.rest().starts_with('[') {
                self.at += 1;
                steps.push(self.bracket()?);
                continue;
            }
            if !steps.is_empty() {
                if !self.rest().starts_with('.') {
                    return self.fail("expected `.` or `[` behind `]`");
                }
                self.at += 1;
            }
            steps.push(self.word()?);
        }
        Ok(steps)
    }

    /// A key without quotes: up to the next `.` or `[`.
    fn word(&mut self) -> Result<Step, BadPointer> {
        let rest = self.rest();
        let end = rest.find(['.', '[', ']']).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default().to_owned();
        if word.is_empty() {
            return self
                .fail("expected a key; put one with special characters in brackets and quotes");
        }
        if word.starts_with(['"', '\'']) {
            return self.fail("expected `[` before a key in quotes");
        }
        if rest.get(end..).is_some_and(|rest| rest.starts_with(']')) {
            self.at += end;
            return self.fail("there is no `[` for this `]`");
        }
        self.at += end;
        Ok(if Step::number(&word).is_some() {
            Step::Word(word)
        } else {
            Step::Key(word)
        })
    }

    /// What stands behind a `[`.
    fn bracket(&mut self) -> Result<Step, BadPointer> {
        match self.rest().chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote),
            Some('-') => self.fail("positions are counted from 0; there are no negative ones"),
            _ => self.index(),
        }
    }

    /// A key in quotes. It ends at the first `"]` that the path goes on or ends behind.
    fn quoted(&mut self, quote: char) -> Result<Step, BadPointer> {
        let inside = self.rest().get(1..).unwrap_or_default();
        let close = format!("{quote}]");
        let is_end = |&(at, _): &(usize, &str)| {
            let behind = inside.get(at + close.len()..).unwrap_or_default();
            behind.is_empty() || behind.starts_with(['[', '.'])
        };
        let Some((end, _)) = inside.match_indices(&close).find(is_end) else {
            return self.fail("this key has no closing quote with a `]` behind it");
        };
        let key = inside.get(..end).unwrap_or_default().to_owned();
        self.at += 1 + end + close.len();
        Ok(Step::Key(key))
    }

    fn index(&mut self) -> Result<Step, BadPointer> {
        let rest = self.rest();
        let Some(end) = rest.find(']') else {
            return self.fail("there is no `]` for this `[`");
        };
        let inside = rest.get(..end).unwrap_or_default();
        let step = match inside {
            "" | "+" => Step::Append,
            _ => match Step::number(inside) {
                Some(number) => Step::Index(number),
                None => {
                    return self
                        .fail("expected a position or a key in quotes between the brackets");
                }
            },
        };
        self.at += end + 1;
        Ok(step)
    }
}

impl fmt::Display for Pointer {
    /// The shorter spelling: `a[0].b`, with brackets and quotes around keys that need them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            let dot = if index > 0 { "." } else { "" };
            match step {
                Step::Key(key) if is_bare(key) => write!(f, "{dot}{key}")?,
                Step::Key(key) => {
                    let quote = if key.contains('"') { '\'' } else { '"' };
                    write!(f, "[{quote}{key}{quote}]")?;
                }
                Step::Word(word) if word == "-" => f.write_str("[]")?,
                Step::Word(word) => write!(f, "{dot}{word}")?,
                Step::Index(number) => write!(f, "[{number}]")?,
                Step::Append => f.write_str("[]")?,
            }
        }
        Ok(())
    }
}

/// Whether a key can stand without quotes and means nothing else.
fn is_bare(key: &str) -> bool {
    let is_special = |c: char| ".[]/\"'".contains(c) || c.is_whitespace() || c.is_control();
    !key.is_empty() && !key.contains(is_special) && Step::number(key).is_none()
}

#[cfg(test)]
mod tests {
    use super::{Pointer, Step};

    fn key(key: &str) -> Step {
        Step::Key(key.to_owned())
    }

    fn word(word: &str) -> Step {
        Step::Word(word.to_owned())
    }

    #[test]
    fn what_sops_reads_means_the_same_here() {
        for (text, steps) in [
            ("", vec![]),
            (
                r#"["a"][0]['b c']"#,
                vec![key("a"), Step::Index(0), key("b c")],
            ),
            (r#"["a']"#, vec![key("a")]),
            (r#"[["a"]"#, vec![key("a")]),
            (r#"[""]"#, vec![key("")]),
            (r#"["a]"]["b"]"#, vec![key("a]"), key("b")]),
            (r#"["a"b"c"]"#, vec![key("a\"b\"c")]),
            (r#"["it's"]"#, vec![key("it's")]),
            (r#"["a']["b"]"#, vec![key("a"), key("b")]),
            (r#"["a.b/c"]"#, vec![key("a.b/c")]),
            ("[+1]", vec![Step::Index(1)]),
            ("[007]", vec![Step::Index(7)]),
            (r#"["é"]"#, vec![key("é")]),
        ] {
            let pointer = Pointer::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(pointer.steps(), steps, "{text}");
        }
    }

    #[test]
    fn keys_with_brackets_append_and_short_paths_are_ours() {
        for (text, steps) in [
            (r#"["a[0]"]["b"]"#, vec![key("a[0]"), key("b")]),
            (r#"['[x]'][1]"#, vec![key("[x]"), Step::Index(1)]),
            ("a", vec![key("a")]),
            ("a[0].b", vec![key("a"), Step::Index(0), key("b")]),
            ("a.b-c.d e", vec![key("a"), key("b-c"), key("d e")]),
            ("a.0.b", vec![key("a"), word("0"), key("b")]),
            ("a.01", vec![key("a"), key("01")]),
            (r#"data["tls.crt"]"#, vec![key("data"), key("tls.crt")]),
            (r#"["a"].b"#, vec![key("a"), key("b")]),
            ("list[]", vec![key("list"), Step::Append]),
            (r#"["list"][+]"#, vec![key("list"), Step::Append]),
            ("a[][0]", vec![key("a"), Step::Append, Step::Index(0)]),
            ("/a/0/b", vec![key("a"), word("0"), key("b")]),
            ("/list/-", vec![key("list"), word("-")]),
            ("/a~1b/~0/", vec![key("a/b"), key("~"), key("")]),
            ("/~01", vec![key("~1")]),
            ("/a.b[0]", vec![key("a.b[0]")]),
        ] {
            let pointer = Pointer::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(pointer.steps(), steps, "{text}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused_at_its_place() {
        for (text, at, message) in [
            (r#"["a""#, 1, "no closing quote"),
            (r#"["a"]b"#, 1, "no closing quote"),
            ("a[0]b", 4, "expected `.` or `[`"),
            ("[-1]", 1, "negative"),
            ("a[-1]", 2, "negative"),
            ("a[x]", 2, "expected a position"),
            ("a[0", 2, "no `]`"),
            ("a..b", 2, "expected a key"),
            (".a", 0, "expected a key"),
            ("a]", 1, "no `[`"),
            ("\"a\"", 0, "expected `[`"),
            ("a.", 2, "expected a key"),
            (r#"["]"#, 1, "no closing quote"),
            ("/a~2", 2, "JSON Pointer"),
            ("/a/~", 3, "JSON Pointer"),
            ("[99999999999999999999]", 1, "expected a position"),
        ] {
            let error = Pointer::parse(text).unwrap_err();
            assert_eq!(error.at, at, "{text}: {error}");
            assert!(error.message.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn a_path_is_shown_in_a_way_that_can_be_typed() {
        for text in [
            "",
            "a",
            "a[0].b",
            "a.0",
            "a[]",
            r#"data["tls.crt"]"#,
            r#"["a b"].c"#,
            r#"["0"]"#,
            r#"['say "no"']"#,
            r#"[""]"#,
            r#"["a[0]"]"#,
            r#"["/etc"].x"#,
        ] {
            let pointer = Pointer::parse(text).unwrap();
            assert_eq!(pointer.to_string(), text);
            assert_eq!(Pointer::parse(&pointer.to_string()), Ok(pointer));
        }
        assert_eq!(Pointer::parse("/list/-").unwrap().to_string(), "list[]");
        assert_eq!(Pointer::parse("/a/0").unwrap().to_string(), "a.0");
    }
}
