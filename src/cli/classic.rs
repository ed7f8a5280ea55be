//! The old command line of SOPS: `sops -d FILE`, options before a command, options with one dash (spec 9.1, 9.4).
//!
//! Turns the words that were typed into those that the commands take. Which options there are, and which of them take a
//! value, comes from the definitions of the commands, so that nothing is listed twice: here is only what SOPS has before a
//! command and no command has. Knows nothing of what commands do, and looks at no file but to see whether it is there.

mod words;

use std::ffi::{OsStr, OsString};
use std::vec::IntoIter;

use clap::error::ErrorKind;
use clap::{Arg, Command};

use words::{Word, Words, has, long};

/// A command line as the commands take it.
#[derive(Default)]
pub(crate) struct Line {
    /// The words, the name of the program first.
    pub(crate) words: Vec<OsString>,
    /// What of the line counts for nothing, a sentence for each.
    pub(crate) warnings: Vec<String>,
    /// What an old line asks for; `None` for a line that names a command.
    mode: Option<Mode>,
    /// Whether an old line names neither a file nor anything else to look at.
    lacks_file: bool,
}

/// What SOPS does to a file without the name of a command. If several are asked for, the greatest is done (spec 9.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mode {
    Edit,
    Encrypt,
    Decrypt,
    Rotate,
    Set,
}

impl Mode {
    const ALL: [Self; 5] = [
        Self::Edit,
        Self::Encrypt,
        Self::Decrypt,
        Self::Rotate,
        Self::Set,
    ];

    /// The command that does it, which is also the long name of its option: all but `edit` have one.
    fn verb(self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::Rotate => "rotate",
            Self::Set => "set",
        }
    }

    /// The mode whose option has this long name or this letter.
    fn of_option(name: &str) -> Option<Self> {
        match name {
            "e" | "encrypt" => Some(Self::Encrypt),
            "d" | "decrypt" => Some(Self::Decrypt),
            "r" | "rotate" => Some(Self::Rotate),
            "set" => Some(Self::Set),
            _ => None,
        }
    }

    fn usage(self, program: &str) -> String {
        let option = match self {
            Self::Edit => "",
            Self::Encrypt => "-e ",
            Self::Decrypt => "-d ",
            Self::Rotate => "-r ",
            Self::Set => "--set 'INDEX VALUE' ",
        };
        format!("{program} {option}[OPTIONS] FILE")
    }
}

/// What stands between an index and its value in the argument of `--set`.
const END_OF_INDEX: &str = "] ";

/// Translates the words that were typed. `exists` says whether there is a file of this name.
///
/// The line is in the old style if an option of a mode comes before anything else, or if the first word that is no option is
/// no command, but the name of a file: it exists, looks like a path, or is all that follows an option that only files
/// have. So it is if a mode or file comes behind a misspelt option and a word that is no command. All else is left to the
/// parser, which knows what to suggest for a misspelt command.
pub(crate) fn translate(
    root: &Command,
    typed: Vec<OsString>,
    exists: impl Fn(&OsStr) -> bool,
) -> Line {
    let mut words = Words::new(root, typed.into_iter());
    let program = words.typed.next();
    let mut front = Vec::new();
    let operand = loop {
        match words.next() {
            Some(Word::Operand(operand)) => break Some(operand),
            Some(word) => front.push(word),
            None => break None,
        }
    };
    let has_mode = front.iter().any(|word| word.mode().is_some());
    let command = operand
        .as_deref()
        .and_then(|name| root.find_subcommand(name));
    let is_file = operand.as_deref().is_some_and(|name| {
        exists(name)
            || looks_like_path(name)
            || (words.typed.len() == 0 && is_of_files(root, &front))
    });
    let mut line = Line::default();
    line.words.extend(program);
    let is_command = command.is_some() || operand.as_deref().is_some_and(is_help);
    let typed = words.typed.clone();
    let rest: Vec<Word<'_>> = words.collect();
    // The operand may be the value of a misspelt option.
    let is_misspelt = front.iter().any(|word| matches!(word, Word::Unknown(_)));
    let goes_on_old = || {
        rest.iter()
            .any(|word| word.mode().is_some() || word.is_operand(&exists))
    };
    if has_mode || !is_command && (is_file || is_misspelt && goes_on_old()) {
        front.extend(operand.map(Word::Operand));
        front.extend(rest);
        line.take_old(root, front);
    } else {
        line.take_new(root, front, command, operand, typed);
    }
    line
}

impl Line {
    /// Makes `command` speak of the line as it was typed.
    ///
    /// # Errors
    /// The error to show if the line cannot mean anything, since it names no file.
    pub(crate) fn prepare(&self, command: Command, program: &str) -> Result<Command, clap::Error> {
        let Some(mode) = self.mode else {
            return Ok(command);
        };
        let usage = mode.usage(program);
        let mut command =
            command.mut_subcommand(mode.verb(), |verb| verb.override_usage(usage.clone()));
        if self.lacks_file {
            // All but these two ask for a file themselves; these would wait for standard input.
            let message = "no file was named; `/dev/stdin` stands for standard input";
            command = command.override_usage(usage);
            return Err(command.error(ErrorKind::MissingRequiredArgument, message));
        }
        Ok(command)
    }

    /// A line that names the command `verb`, or none that is known.
    fn take_new(
        &mut self,
        root: &Command,
        front: Vec<Word<'_>>,
        verb: Option<&Command>,
        operand: Option<OsString>,
        rest: IntoIter<OsString>,
    ) {
        let mut behind = Vec::new();
        for word in front {
            match word {
                Word::Option { arg, .. } if verb.is_some_and(|verb| has(verb, arg)) => {
                    behind.extend(word.spelled());
                }
                Word::Meaningless(name) if verb.is_some_and(|verb| long(verb, name).is_some()) => {
                    behind.extend(word.spelled());
                }
                Word::Meaningless(_) => {}
                _ => self.words.extend(word.spelled()),
            }
        }
        let name = operand.map(|name| if is_help(&name) { "help".into() } else { name });
        self.words.extend(name);
        self.words.append(&mut behind);
        match verb {
            Some(verb) => self.words.extend(spelled_for(root, verb, rest)),
            None => self.words.extend(rest),
        }
    }

    /// A line in the old style. Words keep their order, since the value of an unknown option looks like a file.
    fn take_old(&mut self, root: &Command, words: Vec<Word<'_>>) {
        let mode = self.choose(&words);
        let verb = root.find_subcommand(mode.verb());
        let is = |wanted: fn(&Word<'_>) -> bool| words.iter().any(wanted);
        let has_operand = is(|word| matches!(word, Word::Operand(_)));
        let has_end = is(|word| matches!(word, Word::End));
        self.lacks_file = !has_operand && !is(|word| matches!(word, Word::Unknown(_)));
        let (mut behind, mut assignment) = (vec![mode.verb().into()], None);
        for word in words {
            match word {
                Word::Option { arg, .. } if verb.is_some_and(|verb| has(verb, arg)) => {
                    behind.extend(word.spelled());
                }
                Word::Option { arg, .. } if has(root, arg) => self.words.extend(word.spelled()),
                Word::Option { arg, .. } => self.ignore(mode, arg),
                Word::Set(text) => assignment = Some(text),
                Word::Mode(_) | Word::Meaningless(_) | Word::Absent => {}
                Word::Unknown(_) | Word::End | Word::Operand(_) => behind.extend(word.spelled()),
            }
        }
        if let (Mode::Set, true, Some(text)) = (mode, has_operand, assignment) {
            behind.extend((!has_end).then(|| "--".into()));
            behind.extend(split_assignment(&text));
        }
        self.words.append(&mut behind);
        self.mode = Some(mode);
    }

    /// The mode that is done, of those that were asked for.
    fn choose(&mut self, words: &[Word<'_>]) -> Mode {
        let mut modes: Vec<Mode> = words.iter().filter_map(Word::mode).collect();
        modes.sort_unstable();
        modes.dedup();
        let mode = modes.pop().unwrap_or(Mode::Edit);
        let name = mode.verb();
        for other in modes.iter().map(|mode| mode.verb()) {
            let warning = format!("`--{other}` counts for nothing beside `--{name}`");
            self.warnings.push(warning);
        }
        mode
    }

    /// An option that SOPS, too, takes before any file and uses for other modes alone.
    fn ignore(&mut self, mode: Mode, arg: &Arg) {
        let (name, verb) = (arg.get_long().unwrap_or_default(), mode.verb());
        // It goes without saying: a value is set in place.
        if (mode, name) != (Mode::Set, "in-place") {
            let warning = format!("`--{name}` means nothing to `{verb}` and is ignored");
            self.warnings.push(warning);
        }
    }
}

/// What stands behind the name of a command: its options with two dashes, all else as it was typed. Misspelt options come
/// first, since one behind PATH would be taken for a VALUE that begins with a dash.
fn spelled_for(root: &Command, verb: &Command, rest: IntoIter<OsString>) -> Vec<OsString> {
    let takes_dashes = verb.get_positionals().any(Arg::is_allow_hyphen_values_set);
    let (mut misspelt, mut spelled) = (Vec::new(), Vec::new());
    let mut verb = verb;
    let mut words = Words::of_command(root, verb, rest);
    while let Some(word) = words.next() {
        if let Word::Operand(name) = &word
            && let Some(inner) = verb.find_subcommand(name)
        {
            verb = inner;
            words.commands.insert(0, inner);
        }
        match word {
            Word::Unknown(word) if takes_dashes && looks_like_option(&word) => misspelt.push(word),
            word => spelled.extend(word.spelled()),
        }
    }
    misspelt.append(&mut spelled);
    misspelt
}

/// Two dashes and words of small letters: what begins otherwise, such as a key in PEM or a negative number, is a value.
fn looks_like_option(word: &OsStr) -> bool {
    let name = word.to_str().and_then(|word| word.strip_prefix("--"));
    let name = name.map(|name| name.split_once('=').map_or(name, |(name, _)| name));
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    name.is_some_and(|name| !name.starts_with('-') && name.bytes().all(is_letter))
}

/// Index and value in the argument of `--set`.
fn split_assignment(text: &OsStr) -> [OsString; 2] {
    let text = text.to_string_lossy();
    match text.split_once(END_OF_INDEX) {
        Some((index, value)) => [format!("{index}]").into(), value.into()],
        None => [text.into_owned().into(), OsString::new()],
    }
}

/// Whether this is the command that clap adds to ours, or what SOPS calls it for short.
fn is_help(name: &OsStr) -> bool {
    name == "help" || name == "h"
}

/// No command has such a name.
fn looks_like_path(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.contains(&b'/') || name.contains(&b'.')
}

/// Whether there is an option that SOPS has for files and not before commands.
fn is_of_files(root: &Command, front: &[Word<'_>]) -> bool {
    front.iter().any(|word| match word {
        Word::Option { arg, .. } => !has(root, arg),
        _ => false,
    })
}

#[cfg(test)]
mod tests;
