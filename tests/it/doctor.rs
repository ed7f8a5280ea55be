//! `doctor`: one line for each thing that is looked at, and what to do about those that are wrong. What it finds of git is in
//! the tests of git.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;

use crate::support::gnupg::{Gnupg, RSA};
use crate::support::{ALICE, BOB, World};

/// A world in which nothing is wrong: a private identity, an editor, a config. It is in no clone.
fn well() -> World {
    let world = World::new().with_private_key().set("SOPS_EDITOR", "true");
    world.write(
        ".sops-rs.yaml",
        format!("creation_rules:\n  - path_regex: ^s/\n    age: {ALICE}\n  - age: {ALICE}\n"),
    );
    world
}

/// The same in a clone that knows its drivers.
fn clone() -> World {
    let folder = Path::new(env!("CARGO_BIN_EXE_sops-rs"))
        .parent()
        .expect("a folder");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", folder.display());
    let world = well().set("PATH", &path);
    git(&world, &["init", "-q"]);
    world.ok(["git", "install"]);
    world
}

fn git(world: &World, arguments: &[&str]) {
    let mut command = Command::new("git");
    world.prepare(&mut command);
    let output = command.args(arguments).output().expect("git runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// What is said in a folder of the work folder, with the exit code.
fn said_in(world: &World, folder: &str) -> (Option<i32>, String) {
    let mut command = world.command(["doctor"]);
    let output = command.current_dir(world.path(folder)).output();
    let output = output.expect("the program runs");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    (output.status.code(), said)
}

/// What is said when all is well.
#[track_caller]
fn is_well(world: &World) -> String {
    let ran = world.run(["doctor"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.text(), ran.stderr);
    let said = ran.text();
    assert!(said.ends_with("\nall is well\n"), "{said}");
    said
}

/// The one thing that is wrong, with its remedy: it must be as said.
#[track_caller]
fn is_wrong(world: &World, what: &str, remedy: &str) {
    let ran = world.run(["doctor"]);
    let said = world.redacted(&ran.text());
    assert_eq!(ran.code, Some(1), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    let wrong = |line: &&str| line.starts_with("wrong  ");
    let at = lines
        .iter()
        .position(|line| wrong(line) && line.contains(what));
    let at = at.unwrap_or_else(|| panic!("`{what}` is not in\n{said}"));
    assert!(
        lines[at + 1].starts_with("          ") && lines[at + 1].contains(remedy),
        "{said}"
    );
    assert!(said.ends_with("\n1 thing is wrong\n"), "{said}");
}

#[test]
fn all_is_well() {
    let said = clone();
    let said = said.redacted(&is_well(&said));
    for line in [
        "ok     identities   SOPS_AGE_KEY_FILE ([ROOT]/home/alice.txt)\n",
        "ok     editor       true\n",
        "ok     config       .sops-rs.yaml: every rule can be used (2)\n",
        "ok     git          the drivers for sealed files are installed\n",
        "ok     git          .gitattributes names the drivers for every sealed file\n",
        "ok     plaintext    none was found where it should not be\n",
        "ok     core dumps   this program writes none\n",
    ] {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
    let outside = is_well(&well());
    assert!(
        outside.contains("note   git          this folder is in no git work tree\n"),
        "{outside}"
    );
}

#[test]
fn identities_that_are_of_no_use() {
    let world = well().set("SOPS_AGE_KEY", "AGE-SECRET-KEY-1CANARY");
    is_wrong(&world, "SOPS_AGE_KEY: line 1: ", "unset the variable");
    assert!(!world.run(["doctor"]).text().contains("CANARY"));
    let world = well().set("SOPS_AGE_KEY_FILE", "/absent");
    is_wrong(
        &world,
        "SOPS_AGE_KEY_FILE (/absent): cannot be read",
        "correct it",
    );
    let world = well();
    std::fs::create_dir_all(world.home().join(".ssh/id_rsa")).expect("a folder");
    is_wrong(&world, "id_rsa: cannot be read", "move it away");
    let world = well();
    let file = world.home().join("alice.txt");
    std::fs::set_permissions(file, Permissions::from_mode(0o644)).expect("a mode");
    is_wrong(
        &world,
        "other users of this machine can read it",
        "chmod 600",
    );
    let world = World::new().set("SOPS_EDITOR", "true");
    let said = is_well(&world);
    assert!(
        said.contains("note   identities   there is no identity of age"),
        "{said}"
    );
    let world = world.set("SOPS_AGE_KEY_CMD", "touch ran");
    let said = is_well(&world);
    assert!(
        said.contains("SOPS_AGE_KEY_CMD: a command, which was not run"),
        "{said}"
    );
    assert!(!world.path("ran").exists());
}

#[test]
fn editors_that_are_of_no_use() {
    let world = well().set("SOPS_EDITOR", "absent-editor -x");
    is_wrong(
        &world,
        "there is no program `absent-editor`",
        "set SOPS_EDITOR",
    );
    let world = well().set("SOPS_EDITOR", "ed 'x");
    is_wrong(&world, "SOPS_EDITOR is not a command", "set SOPS_EDITOR");
}

#[test]
fn configs_and_rules_that_are_wrong() {
    let rule =
        |text: &str| format!("creation_rules:\n  - path_regex: ^s/\n    age: {ALICE}\n{text}");
    for (config, what, remedy) in [
        (
            "creation_rules: [\n".to_owned(),
            "cannot read the config",
            "correct it",
        ),
        (
            "stores: {}\n".to_owned(),
            "has no creation rules",
            "add `creation_rules`",
        ),
        (
            rule("  - path_regex: (\n    age: x\n"),
            "rule 2 (line 4): `path_regex`: invalid regular",
            "correct it",
        ),
        (
            rule("  - age: x\n"),
            "rule 2 (line 4): `creation_rules[1].age`",
            "correct it",
        ),
        (
            rule("  - age: age1wrong\n"),
            "rule 2 (line 4): ",
            "from its owner",
        ),
        (
            rule("  - encrypted_regex: (\n"),
            "rule 2 (line 4): `encrypted_regex`: invalid",
            "correct it",
        ),
        (
            rule(&format!(
                "  - age: {ALICE}\n  - path_regex: x\n    age: {ALICE}\n"
            )),
            "rule 3 (line 5) is never reached: rule 2",
            "move it up",
        ),
        (
            rule(&format!("  - path_regex: ^s/\n    age: {ALICE}\n")),
            "rule 2 (line 4) is never reached: rule 1",
            "delete it",
        ),
        (
            format!(
                "creation_rules:\n  - shamir_threshold: 3\n    key_groups: [{{age: [{ALICE}]}}, {{age: [{BOB}]}}]\n"
            ),
            "rule 1 (line 2) asks for 3 of 2 groups",
            "from 2 to 2",
        ),
    ] {
        let world = well();
        world.write(".sops-rs.yaml", config);
        is_wrong(&world, what, remedy);
    }
    let world = well();
    std::fs::set_permissions(world.path(".sops-rs.yaml"), Permissions::from_mode(0o646))
        .expect("a mode");
    is_wrong(
        &world,
        "every user of this machine can change who",
        "chmod o-w .sops-rs.yaml",
    );
}

#[test]
fn files_that_a_rule_wants_sealed() {
    let world = clone();
    world.write("s/db.yaml", "a: CANARY\n");
    world.write("README.md", "for which there is no rule with a path\n");
    is_wrong(
        &world,
        "`s/db.yaml` is not sealed, though rule 1 is for it",
        "sops-rs encrypt -i s/db.yaml",
    );
    world.ok(["encrypt", "-i", "s/db.yaml"]);
    world.ok(["git", "install"]);
    is_well(&world);
    // SOPS takes .toml for binary.
    world.write("s/note.toml", "a = 'CANARY'\n");
    world.ok(["encrypt", "-i", "--input-type", "binary", "s/note.toml"]);
    assert!(world.read("s/note.toml").starts_with('{'));
    world.ok(["git", "install"]);
    is_well(&world);
    for number in 0..12 {
        world.write(&format!("s/{number}.env"), "A=CANARY\n");
    }
    let said = world.run(["doctor"]).text();
    assert!(
        said.contains("2 more files are not sealed") && said.contains("11 things are wrong"),
        "{said}"
    );
    world.write(".gitignore", "*.env\n");
    is_well(&world);
}

/// Finds one thing wrong in this folder, runs the command of its remedy there, and all is well.
#[track_caller]
fn remedy_works(world: &World, folder: &str, what: &str) {
    let (code, said) = said_in(world, folder);
    assert!(said.contains(what) && code == Some(1), "{said}");
    assert!(said.ends_with("\n1 thing is wrong\n"), "{said}");
    let (_, remedy) = said.split_once(&format!("{what}\n")).expect("a remedy");
    let typed = remedy.split('`').nth(1).expect("a command");
    let mut shell = Command::new("sh");
    world.prepare(&mut shell);
    let shell = shell.args(["-c", typed]).current_dir(world.path(folder));
    let output = shell.output().expect("a shell");
    assert!(output.status.success(), "{typed}: {output:?}");
    world.ok(["git", "install"]);
    let (code, said) = said_in(world, folder);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn paths_are_said_from_here_and_can_be_typed() {
    let world = clone();
    for folder in ["s/deep", "elsewhere"] {
        std::fs::create_dir_all(world.path(folder)).expect("a folder");
    }
    let plain = "a: CANARY\n";
    for (folder, file, from_here) in [
        ("", "s/top.yaml", "s/top.yaml"),
        ("s", "s/db.yaml", "db.yaml"),
        ("s/deep", "s/up.yaml", "../up.yaml"),
        ("elsewhere", "s/deep/x.yaml", "../s/deep/x.yaml"),
        (
            "elsewhere",
            "s/it's (a) secret.yaml",
            "../s/it's (a) secret.yaml",
        ),
    ] {
        world.write(file, plain);
        let what = format!("`{from_here}` is not sealed, though rule 1 is for it");
        remedy_works(&world, folder, &what);
        assert!(!world.read(file).contains("CANARY"), "{file}");
    }
    world.write("s/deep/app.decrypted.yaml", "a: [\n");
    world.write(".gitignore", "*.decrypted.*\n");
    let (_, said) = said_in(&world, "s");
    let what = "`deep/app.decrypted.yaml` looks like the plaintext of a sealed file";
    assert!(said.contains(what), "{said}");
    std::fs::remove_file(world.path("s/deep/app.decrypted.yaml")).expect("the file");

    world.write(".gitattributes", "");
    let (_, said) = said_in(&world, "s/deep");
    let what = "`../db.yaml` is sealed, but git diffs and merges it as text";
    assert!(said.contains(what), "{said}");
    world.ok(["git", "install"]);

    for number in 0..12 {
        world.write(&format!("s/{number}.yaml"), plain);
    }
    for (folder, all) in [("", "."), ("s", ".."), ("s/deep", "../..")] {
        let (_, said) = said_in(&world, folder);
        let remedy = format!("run `sops-rs encrypt -i -r {all}`");
        assert!(said.contains(&remedy), "{folder}: {said}");
    }
}

#[test]
fn what_rerere_has_recorded_is_found_from_everywhere() {
    for folder in ["", "s"] {
        let world = clone();
        std::fs::create_dir_all(world.path("s")).expect("a folder");
        let record = world.write(".git/rr-cache/0123/preimage", "a: CANARY\nsops:\n");
        world.write(".git/rr-cache/0123/postimage", "a: CANARY\nsops:\n");
        world.write(".git/rr-cache/4567/preimage", "of something else\n");
        let shown = Path::new(if folder.is_empty() { "" } else { ".." });
        let shown = shown.join(".git/rr-cache/0123");
        let shown = shown.display();
        let what = format!("`{shown}` records how a sealed file was merged as text");
        remedy_works(&world, folder, &what);
        assert!(!record.exists());
        assert!(world.path(".git/rr-cache/4567/preimage").exists());
    }
}

#[test]
fn plaintext_is_told_by_what_is_in_a_file() {
    let world = clone();
    let names = [
        "q.dec.sec.yaml",
        "app.decrypted.yaml",
        ".decrypted~app.yaml",
        "app.yaml.decrypted-conflict",
    ];
    for name in names {
        world.write(name, "a: CANARY\n");
        let what = format!("`{name}` looks like the plaintext of a sealed file");
        is_wrong(&world, &what, "remove it");
        world.ok(["encrypt", "-i", name]);
        world.ok(["git", "install"]);
        is_well(&world);
    }
    // A text that was rejected by somebody, and a sealed file of such a name.
    world.write("orders.rejected.md", "these orders were rejected\n");
    world.write("db.yaml.rejected", "not ours\n");
    is_well(&world);
    world.ok(["encrypt", "-i", "orders.rejected.md"]);
    world.ok(["git", "install"]);
    is_well(&world);
}

#[test]
fn what_was_typed_in_edits_that_failed() {
    let world = clone();
    world.write("s/db.yaml", "a: CANARY\n");
    world.ok(["encrypt", "-i", "s/db.yaml"]);
    for kept in ["s/db.yaml.rejected", "s/db.yaml.rejected-2"] {
        let ran = world.edit("echo 'a: [' > \"$1\"", ["s/db.yaml"]);
        assert!(ran.code != Some(0) && world.path(kept).exists(), "{ran:?}");
        world.ok(["git", "install"]);
        let (_, said) = said_in(&world, "");
        let what = format!("`{kept}` holds what was typed in an edit that failed, sealed\n");
        assert!(said.contains(&what), "{said}");
    }
}

/// Every spelling of a boolean that git knows counts as git counts it.
#[test]
fn settings_are_read_as_git_reads_them() {
    let world = clone();
    let config = world.read(".git/config");
    let name = "diff.sops.cachetextconv";
    for (line, is_on) in [
        ("cachetextconv = false", false),
        ("cachetextconv = False", false),
        ("cachetextconv = OFF", false),
        ("cachetextconv = 0", false),
        ("cachetextconv =", false),
        ("cachetextconv", true),
        ("cachetextconv = Yes", true),
        ("cachetextconv = 2", true),
    ] {
        world.write(
            ".git/config",
            format!("{config}[diff \"sops\"]\n\t{line}\n"),
        );
        if is_on {
            is_wrong(
                &world,
                &format!("`{name}` is on"),
                &format!("git config {name} false"),
            );
        } else {
            is_well(&world);
        }
    }
}

#[test]
fn drivers_that_run_something_else() {
    let world = clone();
    git(&world, &["config", "merge.sops.driver", "other %A"]);
    is_wrong(
        &world,
        "`merge.sops.driver` runs another program: `other %A`",
        "git install",
    );
    let world = clone().set("PATH", "/usr/bin:/bin");
    is_wrong(
        &world,
        "git runs `sops-rs`, which is not on the PATH",
        "PATH",
    );
}

#[test]
fn keys_that_gpg_has_not() {
    let gnupg = Gnupg::with_public_key("pgp_rsa", RSA);
    let world = gnupg.lend(well());
    let config = |key: &str| format!("creation_rules:\n  - pgp: {key}\n");
    world.write(".sops-rs.yaml", config(RSA));
    let said = is_well(&world);
    assert!(
        said.contains(&format!(
            "ok     gpg          the key {RSA} is in the ring\n"
        )),
        "{said}"
    );
    world.write(
        ".sops-rs.yaml",
        config("0123456789ABCDEF0123456789ABCDEF01234567"),
    );
    is_wrong(
        &world,
        "01234567, which the config names, is not in the key ring",
        "gpg --import",
    );
    let world = world.set("SOPS_GPG_EXEC", "absent-gpg");
    is_wrong(
        &world,
        "`absent-gpg` cannot be run, and the config names its keys",
        "install GnuPG",
    );
    world.write(
        ".sops-rs.yaml",
        format!("creation_rules:\n  - age: {ALICE}\n"),
    );
    assert!(is_well(&world).contains("`absent-gpg` cannot be run; no rule needs it"));
}

#[test]
fn findings_are_json_too() {
    let world = well().set("SOPS_EDITOR", "absent-editor");
    let ran = world.run(["doctor", "--json"]);
    assert_eq!(ran.code, Some(1));
    let findings: Vec<Json> = serde_json::from_slice(&ran.stdout).expect("JSON");
    assert!(findings.len() > 5);
    for finding in &findings {
        let fields: Vec<&String> = finding.as_object().expect("an object").keys().collect();
        assert_eq!(fields, ["check", "remedy", "state", "what"]);
        let state = finding["state"].as_str().expect("a state");
        assert!(["ok", "note", "wrong"].contains(&state), "{finding}");
        assert_eq!(state == "wrong", finding["check"] == "editor", "{finding}");
    }
}
