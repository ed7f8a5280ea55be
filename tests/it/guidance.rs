//! What guides people: completions in real shells, manual pages, suggestions for what was misspelt.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use snapbox::{IntoData as _, assert_data_eq, str};

use crate::support::{Terminal, World};

/// A world with the program on the PATH of everything that it starts.
fn world() -> (World, String) {
    let bin = Path::new(env!("CARGO_BIN_EXE_sops-rs"));
    let folder = bin.parent().expect("a folder").display().to_string();
    (
        World::new(),
        format!("{folder}:/usr/local/bin:/usr/bin:/bin"),
    )
}

/// What is typed, and what is run if the Tab in it does its work.
const TYPED: [(&str, &str); 4] = [
    ("sops-rs dec\t\n", "ran: decrypt."),
    ("sops-rs decrypt --ignore\t\n", "ran: decrypt --ignore-mac."),
    (
        "sops-rs decrypt --input-type ya\t\n",
        "ran: decrypt --input-type yaml.",
    ),
    ("sops-rs git unin\t\n", "ran: git uninstall."),
];

/// Types into a shell on a terminal, in which a function has taken the place of the program.
#[track_caller]
fn assert_completes(shell: &[&str], setup: &str) {
    let (world, path) = world();
    let mut command = Command::new(shell[0]);
    world.prepare(&mut command);
    command
        .args(&shell[1..])
        .env("PATH", path)
        .env("TERM", "dumb");
    let mut terminal = Terminal::start(&command);
    let function = r#"sops-rs() { echo "ran: $*." >&2; }"#;
    // Shells read what comes before their prompt in another way.
    terminal.type_in(&format!("{setup}\n{function}\nPS1='re''ady> '\n"));
    for (line, ran) in TYPED {
        terminal.expect("ready> ");
        terminal.type_in(line);
        terminal.expect(ran);
    }
    terminal.type_in("exit\n");
    terminal.finish();
}

#[test]
fn bash_completes_verbs_options_and_values() {
    assert_completes(
        &["bash", "--norc", "--noprofile", "-i"],
        "source <(sops-rs completion bash)",
    );
}

#[test]
fn zsh_completes_verbs_options_and_values() {
    assert_completes(
        &["zsh", "-f", "-i"],
        "autoload -U compinit; compinit -u; source <(sops-rs completion zsh)",
    );
}

/// What fish offers for a line.
fn fish(line: &str) -> Vec<String> {
    let (world, path) = world();
    let mut command = Command::new("fish");
    world.prepare(&mut command);
    command
        .env("PATH", path)
        .args(["--no-config", "--command"])
        .arg(format!(
            "sops-rs completion fish | source; complete --do-complete '{line}'"
        ));
    let output = command.output().expect("fish is installed");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let offers = text.lines().filter_map(|line| line.split('\t').next());
    offers.map(str::to_owned).collect()
}

#[test]
fn fish_completes_verbs_options_and_values() {
    assert_eq!(fish("sops-rs dec"), ["decrypt"]);
    assert_eq!(fish("sops-rs decrypt --ignore"), ["--ignore-mac"]);
    assert_eq!(fish("sops-rs decrypt --input-type ya"), ["yaml"]);
    assert_eq!(fish("sops-rs git unin"), ["uninstall"]);
}

/// PowerShell is in no package of the systems that the tests run on: what can be seen from outside is that the script
/// registers a completer for the program, and that it knows every verb.
#[test]
fn powershell_is_given_a_completer_with_all_verbs() {
    let world = World::new();
    let script = String::from_utf8(world.ok(["completion", "powershell"])).expect("UTF-8");
    assert!(
        script.contains("Register-ArgumentCompleter -Native -CommandName 'sops-rs'"),
        "{script}"
    );
    let help = String::from_utf8(world.ok(["--help"])).expect("UTF-8");
    let verbs = verbs(&help);
    assert!(verbs.len() > 15, "{verbs:?}");
    for verb in verbs {
        assert!(
            script.contains(&format!("[CompletionResult]::new('{verb}'")),
            "{verb}"
        );
    }
    let count = |mark: char| script.matches(mark).count();
    assert_eq!((count('{'), count('(')), (count('}'), count(')')));
}

/// The verbs in the help of the program.
fn verbs(help: &str) -> BTreeSet<String> {
    let (_, rest) = help.split_once("Start:").expect("the first group");
    let (groups, _) = rest.split_once("Options:").expect("the options");
    let lines = groups.lines().filter_map(|line| line.strip_prefix("  "));
    lines
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn completions_are_for_the_name_the_program_was_called_by() {
    let world = World::new();
    let link = world.path("sops");
    symlink(env!("CARGO_BIN_EXE_sops-rs"), &link).expect("a link");
    for (shell, mark) in [("bash", "complete -F _sops -o"), ("zsh", "#compdef sops\n")] {
        let mut command = Command::new(&link);
        world.prepare(&mut command);
        let output = command
            .args(["completion", shell])
            .output()
            .expect("it runs");
        let script = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(script.contains(mark), "{script}");
    }
}

/// What groff says against a page; it is laid out all the same.
fn objections(page: &[u8]) -> String {
    let mut groff = Command::new("groff")
        .args(["-man", "-Tutf8", "-ww", "-k", "-z"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("groff is installed");
    let mut stdin = groff.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut stdin, page).expect("it reads");
    drop(stdin);
    let output = groff.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn every_command_has_a_page_that_can_be_laid_out() {
    let world = World::new();
    world.ok(["man", "--output-dir", "share/man/man1"]);
    let pages = std::fs::read_dir(world.path("share/man/man1")).expect("the folder");
    let pages: BTreeSet<String> = pages
        .map(|page| {
            page.expect("a page")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    let help = String::from_utf8(world.ok(["--help"])).expect("UTF-8");
    for verb in verbs(&help).iter().filter(|verb| *verb != "help") {
        assert!(
            pages.contains(&format!("sops-rs-{verb}.1")),
            "{verb}: {pages:?}"
        );
    }
    for page in [
        "sops-rs.1",
        "sops-rs-git-merge-driver.1",
        "sops-rs-keys-add.1",
    ] {
        assert!(pages.contains(page), "{page}: {pages:?}");
    }
    for page in pages {
        let text = world.read_bytes(&format!("share/man/man1/{page}"));
        assert_eq!(objections(&text), "", "{page}");
    }
    assert_ne!(
        objections(b".TH x 1\n.NOSUCHMACRO\n"),
        "",
        "groff objects to nothing"
    );
}

#[test]
fn the_page_of_the_program_is_printed() {
    let world = World::new();
    let page = String::from_utf8(world.ok(["man"])).expect("UTF-8");
    assert!(page.contains(".TH sops-rs 1"), "{page}");
    assert!(page.contains("sops\\-rs\\-encrypt(1)"), "{page}");
    assert!(page.contains("sops\\-rs git install"), "{page}");
    world.ok(["man", "--output-dir", "."]);
    assert_eq!(world.read("sops-rs.1"), page);
}

#[test]
fn what_was_misspelt_is_suggested() {
    let world = World::new();
    for (line, tip) in [
        ("encypt", "'encrypt'"),
        ("updatekey", "a similar subcommand exists: 'updatekeys'"),
        ("keys lst", "'list'"),
        ("git instal", "'install'"),
        (
            "decrypt --outptu x f",
            "a similar argument exists: '--output'",
        ),
        ("encrypt --encryptd-regex x f", "'--encrypted-regex'"),
        (
            "decrypt --input-type yml f",
            "a similar value exists: 'yaml'",
        ),
        ("completion zshell", "'zsh'"),
    ] {
        let said = world.fails(1, line.split(' '));
        let found = said
            .lines()
            .find(|line| line.trim_start().starts_with("tip:"));
        assert!(
            found.is_some_and(|found| found.contains(tip)),
            "{line}: {said}"
        );
    }
    assert_data_eq!(
        world.fails(1, ["decrypt", "--ignroe-mac", "db.yaml"]),
        str![[r#"
sops-rs: error: unexpected argument '--ignroe-mac' found

  tip: a similar argument exists: '--ignore-mac'

Usage: sops-rs decrypt --ignore-mac [FILE] [FILES]...

For more information, try '--help'.

"#]]
        .raw()
    );
}
