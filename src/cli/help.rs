//! What `--help` says of the program as a whole: the verbs, grouped by what they are for.
//!
//! Written down here, since clap knows no groups of verbs; tests compare it with the verbs that there are, and hold each of
//! them to its examples.

use std::fmt::Write as _;

/// A heading with its verbs, and what each verb says of itself.
type Group = (&'static str, &'static [(&'static str, &'static str)]);

const GROUPS: &[Group] = &[
    (
        "Start",
        &[(
            "init",
            "Make an age identity for you and a config for this repository",
        )],
    ),
    (
        "Work with files",
        &[
            ("encrypt", "Encrypt files"),
            ("decrypt", "Open sealed files"),
            (
                "edit",
                "Edit a file in plaintext; it is encrypted again when the editor ends",
            ),
            ("get", "Print one value of a sealed file"),
            ("set", "Set one value in a sealed file"),
            (
                "unset",
                "Take one value, list item, mapping or list out of a sealed file",
            ),
            (
                "diff",
                "Say what is different in two versions of a file, by path",
            ),
        ],
    ),
    (
        "Say who can open them",
        &[
            ("keys", "See who can open what; let people in and out"),
            (
                "updatekeys",
                "Give sealed files to the recipients that the config names",
            ),
            ("rotate", "Seal files anew with a new data key"),
            ("groups", "Add or delete key groups of a file"),
            #[cfg(feature = "keyservice")]
            ("agent", "Remember unwrapped data keys for a while"),
            #[cfg(feature = "keyservice")]
            ("keyservice", "Wrap and unwrap data keys for others"),
        ],
    ),
    (
        "Work with git",
        &[
            (
                "git",
                "Make git diff and merge sealed files as if they were plain",
            ),
            ("merge", "Resolve the conflicts of a sealed file"),
            (
                "mergetool",
                "Resolve all conflicts in sealed files, one file after the other",
            ),
        ],
    ),
    (
        "See what is going on",
        &[
            (
                "explain",
                "Say which rule is for a file and why, who can open it, and what is sealed",
            ),
            (
                "doctor",
                "Check your identities, the config, this clone, and what was left in clear",
            ),
            ("filestatus", "Say whether a file is sealed"),
        ],
    ),
    (
        "This program",
        &[
            (
                "completion",
                "Print the script that makes a shell complete commands",
            ),
            (
                "man",
                "Print the manual page, or write all pages to a directory",
            ),
            (
                "help",
                "Print this message or the help of the given subcommand(s)",
            ),
        ],
    ),
];

/// The page as clap fills it in.
pub(crate) fn template() -> String {
    let mut text = "{about-with-newline}\n{usage-heading} {usage}\n".to_owned();
    for (heading, verbs) in GROUPS {
        let _ = writeln!(text, "\n{heading}:");
        for (verb, about) in *verbs {
            let _ = writeln!(text, "  {verb:<10}  {about}");
        }
    }
    text.push_str("\nOptions:\n{options}{after-help}");
    text
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;
    use clap::{Command, CommandFactory as _, Parser as _};

    use super::super::Cli;
    use super::GROUPS;

    /// The program and all its verbs, each with its words: `sops-rs git install`.
    fn commands() -> Vec<(String, Command)> {
        let mut program = Cli::command();
        program.build();
        let mut found = Vec::new();
        let mut open = vec![("sops-rs".to_owned(), program)];
        while let Some((words, command)) = open.pop() {
            let verbs = command.get_subcommands();
            let verbs = verbs.filter(|verb| !verb.is_hide_set() && verb.get_name() != "help");
            open.extend(verbs.map(|verb| (format!("{words} {}", verb.get_name()), verb.clone())));
            found.push((words, command));
        }
        found
    }

    #[test]
    fn every_verb_is_in_one_group_with_what_it_says_of_itself() {
        let mut program = Cli::command();
        program.build();
        let about = |verb: &Command| {
            verb.get_about()
                .map(ToString::to_string)
                .unwrap_or_default()
        };
        let visible = program.get_subcommands().filter(|verb| !verb.is_hide_set());
        let mut there: Vec<_> = visible
            .map(|verb| (verb.get_name().to_owned(), about(verb)))
            .collect();
        let grouped = GROUPS.iter().flat_map(|(_, verbs)| *verbs);
        let mut grouped: Vec<_> = grouped
            .map(|(verb, about)| ((*verb).to_owned(), (*about).to_owned()))
            .collect();
        there.sort();
        grouped.sort();
        assert_eq!(
            grouped, there,
            "a new verb goes into a group of src/cli/help.rs"
        );
    }

    /// The command lines of this program in an example, as words; none for other programs.
    fn lines(example: &str) -> Vec<Vec<String>> {
        let plain = example.replace("eval \"$(", "").replace(")\"", "");
        let pieces = plain.split(" | ").flat_map(|piece| piece.split(" || "));
        let mut found = Vec::new();
        for piece in pieces {
            let Ok(words) = shell_words::split(piece) else {
                assert!(!piece.contains("sops-rs"), "`{piece}` leaves a quote open");
                continue;
            };
            let is_variable = |word: &String| word.contains('=') && !word.starts_with('-');
            let is_redirection = |word: &String| word.starts_with('>');
            let words = words.into_iter().skip_while(is_variable);
            let words: Vec<String> = words.take_while(|word| !is_redirection(word)).collect();
            if words.first().is_some_and(|word| word == "sops-rs") {
                found.push(words);
            }
        }
        found
    }

    #[test]
    fn every_verb_has_examples_and_they_parse() {
        for (name, command) in commands() {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let (title, examples) = help.split_once('\n').unwrap_or_default();
            assert!(
                title == "Examples:" || title == "Example:",
                "{name} has no examples"
            );
            let mut own = 0;
            for example in examples.lines().filter_map(|line| line.strip_prefix("  ")) {
                for line in lines(example) {
                    if let Err(error) = Cli::try_parse_from(&line) {
                        let help = error.kind() == ErrorKind::DisplayHelp;
                        assert!(help, "{name}: `{example}`: {error}");
                    }
                    own += usize::from(line.join(" ").starts_with(&name));
                }
            }
            assert!(own > 0, "{name}: no example shows it");
        }
    }

    #[test]
    fn a_line_of_examples_is_read_as_a_shell_reads_it() {
        assert_eq!(
            lines("git show HEAD:x | sops-rs decrypt --input-type yaml")[0].len(),
            4
        );
        assert_eq!(
            lines("A='b c' sops-rs edit x   # a comment"),
            [["sops-rs", "edit", "x"]]
        );
        assert_eq!(
            lines("eval \"$(sops-rs agent start)\"")[0],
            ["sops-rs", "agent", "start"]
        );
        assert_eq!(lines("sops-rs man > x"), [["sops-rs", "man"]]);
        assert!(lines("git log -p").is_empty());
    }
}
