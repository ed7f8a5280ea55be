//! Paths as they are typed, and what is said of one that leads nowhere.
//!
//! Knows the words and exit codes; what a path means is the library's business.

use sops_rs::ops::change::ChangeError;
use sops_rs::ops::locate::{NotFound, Why};
use sops_rs::pointer::{Pointer, Step};

use super::exit::Exit;
use super::report::Failure;

/// The most words, with dots between them, that are looked for as one key.
const MOST_WORDS: usize = 16;

/// Reads a path.
///
/// # Errors
/// A [`Failure`] with this exit code that marks the place, and shows nothing behind it: what does not belong there may be the
/// value.
pub(crate) fn parse(text: &str, exit: Exit) -> Result<Pointer, Failure> {
    Pointer::parse(text).map_err(|error| {
        let good = text.get(..error.at).unwrap_or_default();
        let rest = if good == text { "" } else { "…" };
        Failure::new(exit, format!("this is no path: {error}"))
            .detail(format!("{good}{rest}"))
            .detail(format!("{}^", " ".repeat(good.chars().count())))
            .hint(
                "a path is written `a.b[0]`, `[\"a\"][\"b\"][0]` or `/a/b/0`, and in single quotes in a shell",
            )
    })
}

/// What a position counted from 1 means.
///
/// # Errors
/// A [`Failure`] with this exit code for 0.
pub(crate) fn number(document: Option<usize>, exit: Exit) -> Result<usize, Failure> {
    document.unwrap_or(1).checked_sub(1).ok_or_else(|| {
        Failure::new(exit, "documents are counted from 1").hint("the first is `--document 1`")
    })
}

/// How a place is called in a sentence.
pub(crate) fn place(pointer: &Pointer) -> String {
    if pointer.is_root() {
        "the top level".to_owned()
    } else {
        format!("`{pointer}`")
    }
}

/// Says that a file has only `found` documents.
pub(crate) fn no_document(name: &str, found: usize, exit: Exit) -> Failure {
    Failure::new(
        exit,
        format!("`{name}` has no document of this number: it has {found}"),
    )
}

/// What is wrong with a path, in words, for a command that ends with `exit` then.
pub(crate) fn failure(name: &str, pointer: &Pointer, error: &ChangeError, exit: Exit) -> Failure {
    match error {
        ChangeError::NotFound(error) => not_found(name, pointer, error, exit),
        ChangeError::NoDocument { found } => no_document(name, *found, exit),
        ChangeError::Leaf(error) => Failure::new(Exit::CannotOpen, error.message.clone()),
        _ => Failure::new(exit, error.to_string()),
    }
}

/// Which part of a path is missing, and what is there instead.
fn not_found(name: &str, pointer: &Pointer, error: &NotFound, exit: Exit) -> Failure {
    let at = pointer.truncated(error.taken);
    let parent = place(&at);
    let message = match &error.why {
        Why::NoKey { key, .. } => format!("{parent} has no key `{key}`"),
        Why::NoItem { index, length } => {
            let there = match length {
                0 => "is an empty list".to_owned(),
                1 => "has 1 item".to_owned(),
                _ => format!("has {length} items"),
            };
            match index {
                Some(index) => format!("{parent} {there}, none at position {index}"),
                None => format!("{parent} {there}, and the path asks for a new one"),
            }
        }
        Why::KeyOfList(key) => format!("{parent} is a list, so it has no key `{key}`"),
        Why::PositionInMapping => format!("{parent} is a mapping, so it has keys and no positions"),
        Why::InsideOfValue { null: true } => format!("{parent} is null, so nothing is inside it"),
        Why::InsideOfValue { null: false } => {
            format!("{parent} is a single value, so nothing is inside it")
        }
        Why::Repeated { key, lines } => {
            let (one, other) = lines;
            format!("`{key}` stands several times, on lines {one} and {other}")
        }
    };
    let failure = Failure::new(exit, format!("`{pointer}` is not in `{name}`: {message}"));
    let failure = match &error.why {
        Why::NoKey { present, .. } if present.is_empty() => failure.detail("it is empty"),
        Why::NoKey { present, .. } => failure.detail(format!("its keys: {}", present.join(", "))),
        _ => failure,
    };
    match hint(pointer, error, &at) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The keys that a path without quotes may have meant by its steps: `tls.crt` by `tls` and `crt`.
pub(crate) fn dotted(steps: &[Step]) -> impl Iterator<Item = String> {
    let word = |step: &Step| match step {
        Step::Key(word) | Step::Word(word) => Some(word.clone()),
        Step::Index(_) | Step::Append => None,
    };
    let words: Vec<String> = steps.iter().map_while(word).take(MOST_WORDS).collect();
    (2..=words.len()).filter_map(move |length| Some(words.get(..length)?.join(".")))
}

/// The end of a path with all its keys in quotes.
pub(crate) fn in_quotes(steps: &[Step]) -> String {
    let quoted = |key: &str| {
        let quote = if key.contains('"') { '\'' } else { '"' };
        format!("[{quote}{key}{quote}]")
    };
    let step = |step: &Step| match step {
        Step::Key(key) | Step::Word(key) => quoted(key),
        Step::Index(index) => format!("[{index}]"),
        Step::Append => "[]".to_owned(),
    };
    steps.iter().map(step).collect()
}

/// The one thing to do about it.
fn hint(pointer: &Pointer, error: &NotFound, at: &Pointer) -> Option<String> {
    match &error.why {
        Why::NoKey { present, .. } => {
            let mut dotted = dotted(pointer.steps().get(error.taken..)?);
            let key = dotted.find(|key| present.contains(key))?;
            let key = in_quotes(&[Step::Key(key)]);
            Some(format!(
                "did you mean `{at}{key}`? put it in single quotes in a shell"
            ))
        }
        Why::NoItem { length: 0, .. } => None,
        Why::NoItem { length, .. } => Some(format!(
            "positions are counted from 0; the last is {}",
            length - 1
        )),
        Why::KeyOfList(_) => Some(format!("name one of its items, such as `{at}[0]`")),
        Why::PositionInMapping => Some(format!(
            "a key that looks like a number is written `{at}[\"0\"]`"
        )),
        Why::InsideOfValue { .. } => None,
        Why::Repeated { .. } => Some("keep only the one that counts".to_owned()),
    }
}
