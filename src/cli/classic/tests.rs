//! What the old command line means, as a table: what is typed, and what the commands are given.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use clap::CommandFactory as _;

use super::super::Cli;
use super::{Line, Mode, translate};

/// Translates a line of words, in which `'…'` is one of them. The only file there is has the name `secrets`.
fn line(typed: &str) -> Line {
    let words = shell_words::split(typed).unwrap();
    let exists = |name: &OsStr| name == "secrets";
    let words = ["sops".to_owned()].into_iter().chain(words);
    translate(&Cli::command(), words.map(OsString::from).collect(), exists)
}

/// What comes of a line, without the name of the program.
fn translated(typed: &str) -> String {
    let words = line(typed).words;
    let words = words.iter().skip(1).map(|word| word.to_str().unwrap());
    shell_words::join(words)
}

#[track_caller]
fn check(rows: &[(&str, &str)]) {
    for (typed, expected) in rows {
        let expected = shell_words::join(shell_words::split(expected).unwrap());
        assert_eq!(translated(typed), expected, "sops {typed}");
    }
}

#[test]
fn modes_are_commands() {
    check(&[
        ("-d f.yaml", "decrypt f.yaml"),
        ("--decrypt f.yaml", "decrypt f.yaml"),
        ("-decrypt f.yaml", "decrypt f.yaml"),
        ("-e f.yaml", "encrypt f.yaml"),
        ("--encrypt -i f.yaml", "encrypt --in-place f.yaml"),
        ("-r -i f.yaml", "rotate --in-place f.yaml"),
        ("-ri f.yaml", "rotate --in-place f.yaml"),
        ("f.yaml", "edit f.yaml"),
        ("-s f.yaml", "edit --show-master-keys f.yaml"),
        ("-d=true f.yaml", "decrypt f.yaml"),
        ("-d=false -e f.yaml", "encrypt f.yaml"),
        // Even if it is called as a command of ours: SOPS would open it.
        ("-d keys", "decrypt keys"),
        ("-d", "decrypt"),
        ("-d --help", "decrypt --help"),
    ]);
}

#[test]
fn options_stand_before_or_behind_the_file() {
    check(&[
        ("-d f.yaml -i", "decrypt f.yaml --in-place"),
        ("f.yaml -d", "decrypt f.yaml"),
        (
            "-i -d --output-type json f.yaml",
            "decrypt --in-place --output-type json f.yaml",
        ),
        (
            "-output-type json -d f.yaml",
            "decrypt --output-type json f.yaml",
        ),
        (
            "-d -output-type=json f.yaml",
            "decrypt --output-type=json f.yaml",
        ),
        ("-d --ignore-mac=true f.yaml", "decrypt --ignore-mac f.yaml"),
        ("-d --ignore-mac=0 f.yaml", "decrypt f.yaml"),
        (
            "-d -enable-local-keyservice=false f.yaml",
            "decrypt --enable-local-keyservice=false f.yaml",
        ),
        ("-d -- -f.yaml", "decrypt -- -f.yaml"),
        (
            "-e -age=age1x -k arn f.yaml",
            "encrypt --age=age1x --kms arn f.yaml",
        ),
        // In Go, the next word is the value, whatever it looks like.
        (
            "-e --encrypted-regex -x f.yaml",
            "encrypt --encrypted-regex=-x f.yaml",
        ),
        (
            "-e --unencrypted-suffix '' f.yaml",
            "encrypt --unencrypted-suffix '' f.yaml",
        ),
        ("-e --output - f.yaml", "encrypt --output - f.yaml"),
        ("-e -f.yaml", "encrypt -f.yaml"),
    ]);
}

#[test]
fn a_value_is_set_by_index_and_value() {
    check(&[
        (
            r#"--set '["a"][0] "b] c"' f.yaml"#,
            r#"set f.yaml -- '["a"][0]' '"b] c"'"#,
        ),
        (r#"-set='["a"] -5' -- f"#, r#"set -- f '["a"]' -5"#),
        (r#"-i --set '["a"] 1' f.yaml"#, r#"set f.yaml -- '["a"]' 1"#),
        (r#"--set '["a"]' f.yaml"#, r#"set f.yaml -- '["a"]' ''"#),
        (r#"--set '["a"] 1'"#, "set"),
    ]);
    assert!(line(r#"-i --set '["a"] 1' f.yaml"#).warnings.is_empty());
}

#[test]
fn what_is_for_all_of_the_program_stays_before_the_command() {
    check(&[
        ("--config c -d f.yaml", "--config c decrypt f.yaml"),
        ("-d f.yaml -config=c", "--config=c decrypt f.yaml"),
        ("--indent 2 -e f.yaml", "--indent 2 encrypt f.yaml"),
        (
            "--mac-only-encrypted --encrypted-comment-regex x -e f.yaml",
            "encrypt --mac-only-encrypted --encrypted-comment-regex x f.yaml",
        ),
        (
            "--mac-only-encrypted -d f.yaml",
            "--mac-only-encrypted decrypt f.yaml",
        ),
        (
            "--verbose --disable-version-check -d f.yaml",
            "decrypt f.yaml",
        ),
        ("--version --disable-version-check", "--version"),
        ("-version -check-for-updates", "--version"),
        ("-v", "--version"),
    ]);
}

#[test]
fn options_before_a_command_are_its_own() {
    check(&[
        ("--config c decrypt f", "--config c decrypt f"),
        ("--ignore-mac decrypt f", "decrypt --ignore-mac f"),
        (
            "-i -input-type yaml decrypt f",
            "decrypt --in-place --input-type yaml f",
        ),
        ("--verbose decrypt f", "decrypt f"),
        (
            "--mac-only-encrypted encrypt f",
            "encrypt --mac-only-encrypted f",
        ),
        (
            "--mac-only-encrypted decrypt f",
            "--mac-only-encrypted decrypt f",
        ),
        ("h decrypt", "help decrypt"),
        ("help", "help"),
    ]);
}

#[cfg(feature = "keyservice")]
#[test]
fn what_has_no_meaning_in_general_may_have_one_for_a_command() {
    check(&[("--verbose keyservice", "keyservice --verbose")]);
}

#[test]
fn commands_take_options_with_one_dash() {
    check(&[
        ("decrypt -in-place f", "decrypt --in-place f"),
        (
            "decrypt -output-type json -ignore-mac=true f",
            "decrypt --output-type json --ignore-mac f",
        ),
        (
            "encrypt -age age1x f -config c",
            "encrypt --age age1x f --config c",
        ),
        (
            "groups add -file f -age age1x",
            "groups add --file f --age age1x",
        ),
        (
            "filestatus -input-type=yaml f",
            "filestatus --input-type=yaml f",
        ),
        // All else is as it was typed, and means what it means to the commands: -r is --recursive there.
        (
            "decrypt -r -i secrets",
            "decrypt --recursive --in-place secrets",
        ),
        ("decrypt -ri secrets", "decrypt -ri secrets"),
        ("encrypt -aage1x f", "encrypt -aage1x f"),
        ("decrypt --output -i f", "decrypt --output --in-place f"),
        ("decrypt -absent f", "decrypt -absent f"),
        ("decrypt -- -in-place", "decrypt -- -in-place"),
        ("decrypt -v f", "decrypt -v f"),
        ("init --pq", "init --pq"),
    ]);
}

#[test]
fn a_word_that_is_no_command_is_a_file_or_misspelt() {
    check(&[
        ("./new", "edit ./new"),
        ("new.yaml", "edit new.yaml"),
        ("/dev/stdin", "edit /dev/stdin"),
        ("secrets", "edit secrets"),
        ("--input-type yaml new", "edit --input-type yaml new"),
        (
            "--input-type yaml decrpyt f.yaml",
            "--input-type yaml decrpyt f.yaml",
        ),
        ("decrpyt f.yaml", "decrpyt f.yaml"),
        ("decrpyt -i -r secrets", "decrpyt -i -r secrets"),
        ("--config c decrpyt", "--config c decrpyt"),
        ("--nonsense f.yaml", "edit --nonsense f.yaml"),
        ("", ""),
    ]);
    // A command wins over a file of its name.
    let exists = |_: &OsStr| true;
    for name in ["decrypt", "help"] {
        let typed = ["sops".into(), name.into()];
        let line = translate(&Cli::command(), typed.to_vec(), exists);
        assert_eq!(line.words, typed);
    }
}

#[test]
fn what_counts_for_nothing_is_told() {
    let warnings = |typed: &str| line(typed).warnings.join("\n");
    assert_eq!(warnings("-d -i f.yaml"), "");
    assert_eq!(
        warnings("-d --add-age age1x f.yaml"),
        "`--add-age` means nothing to `decrypt` and is ignored"
    );
    let both = "-d -e -d f.yaml";
    assert_eq!(
        warnings(both),
        "`--encrypt` counts for nothing beside `--decrypt`"
    );
    assert_eq!(translated(both), "decrypt f.yaml");
}

/// Else the words behind an option could not be read before the command is known.
#[test]
fn an_option_takes_a_value_in_all_modes_or_in_none() {
    let root = Cli::command();
    let mut takes = BTreeMap::new();
    let verbs = Mode::ALL.map(|mode| root.find_subcommand(mode.verb()));
    for command in verbs.into_iter().flatten().chain([&root]) {
        for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
            let name = arg.get_long().unwrap();
            let own = arg.get_action().takes_values();
            assert_eq!(
                *takes.entry(name.to_owned()).or_insert(own),
                own,
                "--{name}"
            );
        }
    }
    assert!(takes.len() > 30);
}
