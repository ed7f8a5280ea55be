//! The words of a command line, read as SOPS's parser reads them: one dash or two, switches with values, `--`.
//!
//! Knows names and shapes of options from the definitions of the commands, and nothing of what a line means as a whole.

use std::ffi::{OsStr, OsString};
use std::vec::IntoIter;

use clap::{Arg, Command};

use super::super::args::switch;
use super::Mode;

/// Options of SOPS before a command that have no meaning here: there are no logs to be more of, and nobody looks for a
/// newer version.
const MEANINGLESS: [&str; 3] = ["verbose", "check-for-updates", "disable-version-check"];

/// A word, or two of them, as far as the definitions of the commands explain it.
pub(super) enum Word<'a> {
    Mode(Mode),
    /// The argument of `--set`.
    Set(OsString),
    /// An option that a command has, and its value.
    Option {
        arg: &'a Arg,
        value: Option<Value>,
    },
    /// One of [`MEANINGLESS`].
    Meaningless(&'static str),
    /// `--in-place=false`: an option that is not given.
    Absent,
    /// An option that no command has, as it was typed.
    Unknown(OsString),
    /// `--`.
    End,
    /// Not an option.
    Operand(OsString),
}

/// The value of an option, and whether it was a word of its own.
pub(super) struct Value {
    text: OsString,
    is_word: bool,
}

/// The words of an old line, one after the other.
pub(super) struct Words<'a> {
    root: &'a Command,
    /// The commands whose options are known, but for those of the root.
    pub(super) commands: Vec<&'a Command>,
    pub(super) typed: IntoIter<OsString>,
    /// Whether modes have options, and an option takes the next word whatever that looks like, as in Go.
    old: bool,
    ended: bool,
    /// The letters that are still to be read of several behind one dash.
    letters: IntoIter<char>,
}

impl<'a> Words<'a> {
    /// The words of a line that may be in the old style.
    pub(super) fn new(root: &'a Command, typed: IntoIter<OsString>) -> Self {
        let verbs = Mode::ALL.map(|mode| root.find_subcommand(mode.verb()));
        Self {
            root,
            commands: verbs.into_iter().flatten().collect(),
            typed,
            old: true,
            ended: false,
            letters: Vec::new().into_iter(),
        }
    }

    /// The words behind the name of a command.
    pub(super) fn of_command(
        root: &'a Command,
        verb: &'a Command,
        rest: IntoIter<OsString>,
    ) -> Self {
        Self {
            commands: vec![verb],
            old: false,
            ..Self::new(root, rest)
        }
    }

    /// The option of a name that was typed; as a word of its own unless `value` stood behind it.
    fn option(&mut self, name: &str, value: Option<&str>, is_letter: bool) -> Option<Word<'a>> {
        let mode = Mode::of_option(name).filter(|_| self.old);
        if mode == Some(Mode::Set) {
            let text = value.map(Into::into).or_else(|| self.typed.next());
            return Some(Word::Set(text.unwrap_or_default()));
        }
        let known = MEANINGLESS.into_iter().find(|known| *known == name);
        let word = match (
            mode,
            known.filter(|_| self.old),
            self.definition(name, is_letter),
        ) {
            (Some(mode), ..) => Word::Mode(mode),
            (_, Some(name), _) => Word::Meaningless(name),
            (.., Some(arg)) if arg.get_action().takes_values() => {
                let value = value.map(|text| Value::behind(text.into()));
                let value = value.or_else(|| self.value_of(arg));
                return Some(Word::Option { arg, value });
            }
            (.., Some(arg)) => Word::Option { arg, value: None },
            _ => return None,
        };
        match value.map(switch) {
            None | Some(Ok(true)) => Some(word),
            Some(Ok(false)) => Some(Word::Absent),
            Some(Err(_)) => None,
        }
    }

    /// The definition of an option. Behind a command there are its own, and those that the root has for all.
    fn definition(&self, name: &str, is_letter: bool) -> Option<&'a Arg> {
        let letter = name.chars().next().filter(|_| is_letter);
        let find = |command| letter.map_or_else(|| long(command, name), |one| short(command, one));
        let of_root = || find(self.root).filter(|arg| self.old || arg.is_global_set());
        let mut commands = self.commands.iter();
        commands.find_map(|command| find(command)).or_else(of_root)
    }

    /// The next word, if it is the value of an option.
    fn value_of(&mut self, arg: &Arg) -> Option<Value> {
        let next = self.typed.as_slice().first()?;
        let is_value = self.old || arg.is_allow_hyphen_values_set() || !is_option(next);
        let takes = is_value && !arg.is_require_equals_set();
        let text = takes.then(|| self.typed.next()).flatten()?;
        let is_word = !is_option(&text);
        Some(Value { text, is_word })
    }

    /// Whether each of the letters is an option without a value: `-di` is `-d -i`.
    fn are_switches(&self, letters: &str) -> bool {
        letters.chars().all(|letter| {
            let mut name = [0; 4];
            let name = letter.encode_utf8(&mut name);
            let arg = self.definition(name, true);
            Mode::of_option(name).is_some()
                || arg.is_some_and(|arg| !arg.get_action().takes_values())
        })
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        if let Some(letter) = self.letters.next() {
            let mut name = [0; 4];
            return self.option(letter.encode_utf8(&mut name), None, true);
        }
        let word = self.typed.next()?;
        if self.ended || !is_option(&word) {
            return Some(Word::Operand(word));
        }
        if word == "--" {
            self.ended = true;
            return Some(Word::End);
        }
        let Some(text) = word.to_str() else {
            return Some(Word::Unknown(word));
        };
        let long = text.strip_prefix("--");
        let (single, text) = (
            long.is_none(),
            long.or(text.strip_prefix('-')).unwrap_or(text),
        );
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let is_letter = name.chars().nth(1).is_none();
        if let Some(option) = self.option(name, value, is_letter) {
            return Some(option);
        }
        if self.old && single && value.is_none() && self.are_switches(name) {
            self.letters = name.chars().collect::<Vec<_>>().into_iter();
            return self.next();
        }
        Some(Word::Unknown(word))
    }
}

impl Word<'_> {
    /// Whether this is no option, and `is` is true of it.
    pub(super) fn is_operand(&self, is: impl Fn(&OsStr) -> bool) -> bool {
        matches!(self, Self::Operand(operand) if is(operand))
    }

    /// The mode that this word asks for.
    pub(super) fn mode(&self) -> Option<Mode> {
        match self {
            Self::Mode(mode) => Some(*mode),
            Self::Set(_) => Some(Mode::Set),
            _ => None,
        }
    }

    /// The words that say the same to the commands of today.
    pub(super) fn spelled(self) -> Vec<OsString> {
        match self {
            Self::Mode(_) | Self::Set(_) | Self::Absent => Vec::new(),
            Self::Meaningless(name) => vec![format!("--{name}").into()],
            Self::Unknown(word) | Self::Operand(word) => vec![word],
            Self::End => vec!["--".into()],
            Self::Option { arg, value } => {
                let mut name = OsString::from("--");
                name.push(arg.get_long().unwrap_or_default());
                match value {
                    None => vec![name],
                    Some(Value {
                        text,
                        is_word: true,
                    }) => vec![name, text],
                    Some(Value { text, .. }) => {
                        name.push("=");
                        name.push(text);
                        vec![name]
                    }
                }
            }
        }
    }
}

impl Value {
    fn behind(text: OsString) -> Self {
        Self {
            text,
            is_word: false,
        }
    }
}

/// Whether a word begins as options do. `-` alone is standard input.
fn is_option(word: &OsStr) -> bool {
    word != "-" && word.as_encoded_bytes().starts_with(b"-")
}

/// Whether a command has this option itself.
pub(super) fn has(command: &Command, arg: &Arg) -> bool {
    arg.get_long()
        .is_some_and(|name| long(command, name).is_some())
}

pub(super) fn long<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(name))
}

/// The option of a letter; it must have a long name, too, by which it is passed on.
fn short(command: &Command, letter: char) -> Option<&Arg> {
    let mut args = command.get_arguments();
    args.find(|arg| arg.get_short() == Some(letter) && arg.get_long().is_some())
}
