//! What guides people: completions in real shells, manual pages, suggestions for what was misspelt.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use snapbox::{IntoData as _, assert_data_eq, str};

use crate::support::{ALICE, BOB, Terminal, World};

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

/// A file whose name a shell takes apart if it has no quotes.
const ODD: &str = "it's (a) file.yaml";

/// A clone of alice's in which `s/ODD` is sealed and committed, with the drivers.
fn clone() -> (World, String) {
    let (_, path) = world();
    let mut world = World::with_identity("alice").set("PATH", &path);
    for (name, value) in [("NAME", "Ann"), ("EMAIL", "ann@example.com")] {
        for who in ["AUTHOR", "COMMITTER"] {
            world = world.set(&format!("GIT_{who}_{name}"), value);
        }
    }
    world.write(
        ".sops-rs.yaml",
        format!("creation_rules:\n  - age: {ALICE}\n"),
    );
    world.write(ODD, "it's: 1\n");
    world.ok(["encrypt", "-i", ODD]);
    typed(&world, "git init -q -b main");
    world.ok(["git", "install"]);
    typed(&world, "git add -A && git commit -qm one");
    (world, format!("'{}'", ODD.replace('\'', "'\\''")))
}

/// Types a line into a shell. What comes back is whether it succeeds, and what it says.
fn typed(world: &World, line: &str) -> (bool, String) {
    let mut shell = Command::new("sh");
    world.prepare(&mut shell);
    let output = shell.args(["-c", line]).output().expect("a shell");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8(said).expect("UTF-8"),
    )
}

/// The words of the command that begins so and stands in a message; they name the file as it is called.
#[track_caller]
fn told(message: &str, start: &str) -> String {
    let mut commands = message.split('`').skip(1).step_by(2);
    let command = commands.find(|command| command.starts_with(start));
    let command = command.unwrap_or_else(|| panic!("`{start}` is not in {message}"));
    let words =
        shell_words::split(command).unwrap_or_else(|_| panic!("cannot be typed: {command}"));
    let named = words.iter().any(|word| word.starts_with(ODD));
    assert!(named, "no file is named: {command}");
    command.to_owned()
}

/// Every command in a message can be typed as it stands there.
#[test]
fn commands_are_told_as_they_have_to_be_typed() {
    let (world, _) = clone();
    let message = world.fails(7, ["set", ODD, r#"["it's"].x"#, "5"]);
    let unset = told(&message, "sops-rs unset");
    assert!(typed(&world, &unset).0, "{unset}");
    world.ok(["set", ODD, r#"["it's"].x"#, "5"]);

    let ran = world.edit("echo 'a: [' > \"$1\"", [ODD]);
    let decrypt = told(&ran.stderr, "sops-rs decrypt");
    assert_eq!(typed(&world, &decrypt), (true, "a: [\n".to_owned()));

    world.write(".sops-rs.yaml", format!("creation_rules: [age: {BOB}]\n"));
    let said = String::from_utf8(world.ok(["explain", ODD])).expect("UTF-8");
    let update = told(&said, "sops-rs updatekeys");
    assert!(typed(&world, &format!("{update} --yes")).0, "{update}");

    world.write(ODD, "a: 1\n");
    let message = world.fails(1, ["decrypt", ODD]);
    let encrypt = told(&message, "sops-rs encrypt");
    assert!(typed(&world, &encrypt).0, "{encrypt}");

    let config = world.write(ODD, format!("creation_rules: [age: {ALICE}]\n"));
    std::fs::set_permissions(config, Permissions::from_mode(0o646)).expect("a mode");
    let doctor = ["doctor", "--config", ODD];
    let private = told(&world.run(doctor).text(), "chmod o-w");
    assert!(typed(&world, &private).0, "{private}");
    let said = world.run(doctor).text();
    assert!(!said.contains("chmod o-w"), "{said}");
}

#[test]
fn commands_about_conflicts_are_told_as_they_have_to_be_typed() {
    let (world, quoted) = clone();
    for (branch, value) in [("-b topic", "2"), ("main", "3")] {
        typed(&world, &format!("git checkout -q {branch}"));
        world.ok(["set", ODD, r#"["it's"]"#, value]);
        typed(&world, "git commit -qam change");
    }
    let (merged, said) = typed(&world, "git merge topic");
    assert!(!merged, "{said}");
    told(&said, "sops-rs merge");
    let marker = format!("run: sops-rs merge {quoted})");
    assert!(world.read(ODD).contains(&marker), "{}", world.read(ODD));

    let again = told(&world.run(["merge", ODD, "--abort"]).stderr, "git checkout");
    assert!(typed(&world, &again).0, "{again}");
    assert!(world.read(ODD).contains("<<<<<<<"));
    let ran = world.run(["merge", ODD, "--take", "ours"]);
    let add = told(&ran.stderr, "git add");
    assert!(typed(&world, &add).0, "{add}");
    assert_eq!(typed(&world, "git ls-files -u"), (true, String::new()));
}
