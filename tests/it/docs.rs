//! The documents are true: what they list exists, what they show is what the program says, and the tour runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{World, testdata};

fn document(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `docs/cli.md` is what `--help` prints. `UPDATE=1 cargo test docs::` writes it anew.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the one test that may write a document"
)]
fn the_reference_is_what_the_program_says() {
    let world = World::new();
    let mut reference = "# Command line\n\nWhat `sops-rs --help` and the `--help` of every command print. A test keeps this page true.\n".to_owned();
    for verb in [
        "",
        "init",
        "encrypt",
        "decrypt",
        "edit",
        "get",
        "set",
        "unset",
        "rotate",
        "updatekeys",
        "groups",
        "groups add",
        "groups delete",
        "filestatus",
        "diff",
        "merge",
        "mergetool",
        "doctor",
        "git",
        "git install",
        "git uninstall",
        "git textconv",
        "git merge-driver",
        "keyservice",
        "agent",
        "agent start",
        "agent stop",
        "agent status",
        "keys",
        "keys list",
        "keys add",
        "keys remove",
        "explain",
        "completion",
        "man",
    ] {
        let arguments: Vec<&str> = verb
            .split(' ')
            .chain(["--help"])
            .filter(|word| !word.is_empty())
            .collect();
        let help = String::from_utf8(world.ok(&arguments)).expect("UTF-8");
        let title = if verb.is_empty() {
            "sops-rs".to_owned()
        } else {
            format!("sops-rs {verb}")
        };
        reference.push_str(&format!(
            "\n## {title}\n\n```text\n{}\n```\n",
            help.trim_end()
        ));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, reference).expect("the page can be written");
    } else {
        assert_eq!(
            document("docs/cli.md"),
            reference,
            "run `UPDATE=1 cargo test docs::`"
        );
    }
}

/// Every command that there is, by the manual pages which the program makes, is in `docs/cli.md`, and shows examples there.
#[test]
fn every_command_is_in_the_reference_with_examples() {
    let world = World::new();
    world.ok(["man", "--output-dir", "pages"]);
    let pages = fs::read_dir(world.path("pages")).expect("the pages");
    let pages = pages.map(|page| page.expect("a page").file_name());
    // `sops-rs-keys-add.1`
    let commands: BTreeSet<String> = pages
        .map(|page| page.to_string_lossy().trim_end_matches(".1").to_owned())
        .collect();
    let reference = document("docs/cli.md");
    let mut described = BTreeSet::new();
    for section in reference.split("\n## ").skip(1) {
        let (title, help) = section.split_once('\n').expect("a title");
        let shows_some = ["\nExample:\n  ", "\nExamples:\n  "]
            .iter()
            .any(|heading| help.contains(heading));
        assert!(shows_some, "`{title} --help` has no examples");
        described.insert(title.replace(' ', "-"));
    }
    assert_eq!(described, commands);
}

#[test]
fn the_exit_codes_are_those_of_the_code() {
    let rows = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.trim_start_matches("/// "))
            .filter(|line| line.starts_with("| ") && !line.starts_with("| ---"))
            .map(str::to_owned)
            .collect()
    };
    let page = rows(&document("docs/exit-codes.md"));
    assert_eq!(page, rows(&document("src/cli/exit.rs")));
    assert!(page.len() > 15, "the table is missing");
}

/// What `docs/keys.md` says a key is named with exists: options and variables in the help, fields in the example config.
#[test]
fn the_page_about_keys_names_what_there_is() {
    let (page, reference) = (document("docs/keys.md"), document("docs/cli.md"));
    let example = document(".sops-rs.yaml.example");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.contains("| `--"))
        .map(|line| {
            line.split('|')
                .map(|cell| cell.trim().trim_matches('`'))
                .collect()
        })
        .collect();
    assert_eq!(rows.len(), 7, "a row for every type of key");
    for row in rows {
        let [option, variable, rule, group] = row[2..6] else {
            panic!("{row:?}")
        };
        assert!(reference.contains(&format!("{option} <")), "{option}");
        assert!(
            reference.contains(&format!("[env: {variable}]")),
            "{variable}"
        );
        for field in [rule, group] {
            assert!(example.contains(&format!("{field}:")), "{field}");
        }
    }
}

#[test]
fn every_exception_is_listed() {
    let page = document("docs/compat.md");
    for entry in fs::read_dir(testdata("exceptions")).expect("the folder") {
        let name = entry
            .expect("an entry")
            .file_name()
            .into_string()
            .expect("UTF-8");
        let stem = name.split('.').next().expect("a stem");
        assert!(page.contains(stem), "docs/compat.md does not name {name}");
    }
}

/// Every relative link of every document leads somewhere.
#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["", "docs", "docs/adr", "testdata", "fuzz"];
    let pages: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| fs::read_dir(root.join(folder)).ok())
        .flat_map(|entries| entries.map(|entry| entry.expect("an entry").path()))
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "md"))
        .collect();
    assert!(pages.len() > 10, "pages went missing");
    for page in pages {
        let text = fs::read_to_string(&page).expect("UTF-8");
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = link.split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") {
                let path = page.parent().expect("a folder").join(target);
                assert!(path.exists(), "{}: {link} leads nowhere", page.display());
            }
        }
    }
}

/// The walk through `docs/git.md`.
#[test]
fn the_git_page_runs() {
    runs("docs/git.md");
}

/// How the page about other tools says the program is put in place of SOPS.
#[test]
fn the_page_about_other_tools_runs() {
    runs("docs/gitops.md");
}

/// Every `sh` block of a page runs, in order and in one shell, and every line of the `text` block behind it is in what it
/// prints.
fn runs(page: &str) {
    let world = World::new();
    let bin = Path::new(env!("CARGO_BIN_EXE_sops-rs"));
    let page = document(page);
    let mut script = "set -e\n".to_owned();
    let mut expected = Vec::new();
    for (number, block) in page
        .split("```")
        .enumerate()
        .filter(|(number, _)| number % 2 == 1)
    {
        if let Some(commands) = block.strip_prefix("sh\n") {
            script.push_str(&format!("echo '=== {number}'\n{commands}"));
        } else if let Some(printed) = block.strip_prefix("text\n") {
            expected.push((number - 2, printed));
        }
    }
    let script = world.write("page.sh", script);
    let mut shell = Command::new("sh");
    world.prepare(&mut shell);
    #[expect(
        clippy::disallowed_methods,
        reason = "programs are found as the user finds them"
    )]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folder = bin.parent().expect("a folder").display();
    let path = format!("{folder}:{}", path.to_string_lossy());
    let output = shell
        .arg(script)
        .env("PATH", path)
        .output()
        .expect("a shell");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{printed}\n{said}");
    assert!(expected.len() >= 4, "the page shows what is printed");
    for (number, lines) in expected {
        let all = printed
            .split(&format!("=== {number}\n"))
            .nth(1)
            .and_then(|rest| rest.split("=== ").next())
            .expect("the block ran");
        for line in lines.lines() {
            assert!(
                all.contains(line),
                "block {number}: `{line}` is not in\n{all}\n{said}"
            );
        }
    }
}

/// The main job of the README, word for word, with the program of this test run.
#[test]
fn the_tour_runs() {
    let world = World::new();
    let mut tour = Command::new("sh");
    world.prepare(&mut tour);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tour.sh");
    let output = tour
        .arg(script)
        .env("SOPS_RS", env!("CARGO_BIN_EXE_sops-rs"))
        .output()
        .expect("a shell");
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.contains("correct horse"), "{stdout}");
    assert!(
        stdout.contains("2 insertions(+), 2 deletions(-)")
            || stdout.contains("3 insertions(+), 3 deletions(-)"),
        "{stdout}"
    );
}
