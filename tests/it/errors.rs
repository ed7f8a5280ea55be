//! What the program says when something is wrong: the whole text of each message, as a tired reader sees it.
//!
//! Every message says what is wrong, where, and one thing to do; standard output stays empty. To accept a change of
//! wording, run the tests with `SNAPSHOTS=overwrite` and read the difference.

use std::path::Path;

use snapbox::data::Inline;
use snapbox::{IntoData as _, assert_data_eq, str};

use crate::support::{ALICE, BOB, Ran, World, sops_fixtures, testdata, without_privileges};

/// Compares a whole message, to the letter.
#[track_caller]
pub(crate) fn assert_message(actual: String, expected: Inline) {
    assert_data_eq!(actual, expected.raw());
}

/// The path of a file sealed by SOPS.
fn sealed(name: &str) -> String {
    let path = sops_fixtures().join("sealed").join(name);
    path.to_str().expect("UTF-8").to_owned()
}

/// A world with alice's identity and a config that seals everything for her.
fn alice() -> World {
    let world = World::with_identity("alice");
    world.write(
        ".sops-rs.yaml",
        format!("creation_rules:\n  - age: {ALICE}\n"),
    );
    world
}

/// Alice's world with the file `name`, sealed, as `change` then leaves it.
fn damaged(name: &str, plain: &str, change: impl Fn(String) -> String) -> World {
    let world = alice();
    world.write(name, plain);
    world.ok(["encrypt", "--in-place", name]);
    let text = world.read(name);
    let changed = change(text.clone());
    assert_ne!(changed, text, "nothing was changed");
    world.write(name, changed);
    world
}

/// A message about a file of the fixtures, without its folder.
fn without_folder(message: impl AsRef<str>) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    message
        .as_ref()
        .replace(folder.to_str().expect("UTF-8"), "[PROJECT]")
}

// --- which recipients, which rule -------------------------------------------------------------------------------------

#[test]
fn no_config() {
    let world = World::new();
    world.write("app/secrets.yaml", "a: b\n");
    assert_message(
        world.fails(1, ["encrypt", "app/secrets.yaml"]),
        str![[r#"
sops-rs: error: config file not found, or has no creation rules, and no keys provided through command line options
  looked for .sops-rs.yaml and .sops.yaml in `[ROOT]/work/app` and every folder above it
hint: run `sops-rs init` to make one, or name a recipient with `--age`

"#]],
    );
}

#[test]
fn no_rule_matches() {
    let world = World::new();
    world.write(
        ".sops-rs.yaml",
        format!(
            "creation_rules:\n  - path_regex: ^prod/\n    age: {ALICE}\n  - path_regex: \\.secret\\.yaml$\n    age: {BOB}\n"
        ),
    );
    world.write("staging/db.yaml", "a: b\n");
    assert_message(
        world.fails(1, ["encrypt", "-i", "staging/db.yaml"]),
        str![[r#"
sops-rs: error: no matching creation rules found in `.sops-rs.yaml`
  tested `staging/db.yaml` against
  rule 1: ^prod/
  rule 2: \.secret\.yaml$
hint: add a rule for this file, or name a recipient with `--age`

"#]],
    );
}

#[test]
fn creation_rules_that_are_empty_or_missing() {
    let world = World::new();
    world.write("db.yaml", "a: b\n");
    world.write(".sops-rs.yaml", "creation_rules: []\n");
    assert_message(
        world.fails(1, ["encrypt", "db.yaml"]),
        str![[r#"
sops-rs: error: no matching creation rules found in `.sops-rs.yaml`
  tested `db.yaml` against
  no rule at all: `creation_rules` is an empty list
hint: add a rule for this file, or name a recipient with `--age`

"#]],
    );
    world.write(".sops-rs.yaml", "stores: {}\n");
    assert_message(
        world.fails(1, ["encrypt", "db.yaml"]),
        str![[r#"
sops-rs: error: `.sops-rs.yaml` has no creation rules
hint: add `creation_rules`, or name a recipient with `--age`

"#]],
    );
    world.write(".sops-rs.yaml", "");
    assert_message(
        world.fails(1, ["encrypt", "db.yaml"]),
        str![[r#"
sops-rs: error: `.sops-rs.yaml` has no creation rules
hint: add `creation_rules`, or name a recipient with `--age`

"#]],
    );
}

#[test]
fn a_rule_without_recipients() {
    let world = World::new();
    world.write("db.yaml", "a: b\n");
    world.write(".sops-rs.yaml", "creation_rules:\n  - path_regex: .*\n");
    assert_message(
        world.fails(1, ["encrypt", "db.yaml"]),
        str![[r#"
sops-rs: error: rule 1 in `.sops-rs.yaml` names no recipient
hint: add `age: age1…` to it, or name a recipient with `--age`

"#]],
    );
}

#[test]
fn a_config_with_mistakes() {
    let world = World::new();
    world.write("db.yaml", "a: b\n");
    let message = |config: &str| {
        world.write(".sops-rs.yaml", config);
        world.fails(1, ["encrypt", "db.yaml"])
    };
    assert_message(
        message("creation_rules:\n  - path_regexp: a\n    age: x\n"),
        str![[r#"
sops-rs: error: cannot use the config `.sops-rs.yaml`: unknown key `creation_rules[0].path_regexp`; did you mean `path_regex`?
hint: correct the key, or keep keys of other programs in a `.sops.yaml`

"#]],
    );
    assert_message(
        message("creation_rules:\n  - age: a\n    age: b\n"),
        str![[r#"
sops-rs: error: cannot read the config `.sops-rs.yaml`: creation_rules[0]: the key `age` stands here twice
  in line 3, column 5

"#]],
    );
    assert_message(
        message("creation_rules:\n  - age: \"a\n"),
        str![[r#"
sops-rs: error: cannot read the config `.sops-rs.yaml`: found unexpected end of stream, while scanning a quoted scalar at line 2 column 10
  in line 3, column 1

"#]],
    );
    assert_message(
        message("creation_rules:\n  - path_regex: [a]\n"),
        str![[r#"
sops-rs: error: cannot use the config `.sops-rs.yaml`: `creation_rules[0].path_regex` must be a string

"#]],
    );
    assert_message(
        message("creation_rules:\n  - path_regex: (\n    age: a\n"),
        str![[r#"
sops-rs: error: cannot use the config `.sops-rs.yaml`: rule 1: `path_regex`: invalid regular expression `(`: missing closing `)` (at byte 0)
hint: correct the expression

"#]],
    );
    assert_message(
        message("creation_rules:\n  - encrypted_regex: ^(data\n    age: a\n"),
        str![[r#"
sops-rs: error: cannot use the config `.sops-rs.yaml`: rule 1: `encrypted_regex`: invalid regular expression `^(data`: missing closing `)` (at byte 1)
hint: correct the expression

"#]],
    );
    assert_message(
        message("creation_rules:\n  - encrypted_regex: a\n    unencrypted_suffix: b\n    age: a\n"),
        str![[r#"
sops-rs: error: cannot use the config `.sops-rs.yaml`: rule 1 has both `encrypted_regex` and `unencrypted_suffix`; only one is allowed
hint: keep one of them

"#]],
    );
}

#[test]
fn a_config_that_is_not_there() {
    let world = World::new();
    world.write("db.yaml", "a: b\n");
    assert_message(
        world.fails(1, ["encrypt", "--config", "absent.yaml", "db.yaml"]),
        str![[r#"
sops-rs: error: the config `absent.yaml` does not exist
hint: correct `--config` or the variable SOPS_CONFIG

"#]],
    );
}

#[test]
fn a_recipient_with_a_typing_error() {
    let world = World::new();
    world.write("db.yaml", "a: b\n");
    let typo = ALICE.replace("mj033", "mj303");
    assert_message(
        world.fails(1, ["encrypt", "--age", &format!("{typo},{BOB}"), "db.yaml"]),
        str![[r#"
sops-rs: error: a recipient cannot be used
  age1mj303j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p: not valid Bech32: mistyped, or a part is missing
hint: copy it again from its owner; `sops-rs init` shows everybody their own

"#]],
    );
    assert_message(
        world.fails(1, ["encrypt", "--age", "alice", "db.yaml"]),
        str![[r#"
sops-rs: error: --age: invalid age recipient: it must begin with `age1` or `ssh-`

"#]],
    );
    world.write(
        ".sops-rs.yaml",
        format!("creation_rules:\n  - age: {typo}\n"),
    );
    assert_message(
        world.fails(1, ["encrypt", "db.yaml"]),
        str![[r#"
sops-rs: error: a recipient cannot be used
  age1mj303j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p: not valid Bech32: mistyped, or a part is missing
hint: copy it again from its owner; `sops-rs init` shows everybody their own

"#]],
    );
}

#[test]
fn a_key_of_huawei_cloud() {
    let world = World::new();
    world.write("db.yaml", "a: b\n");
    assert_message(
        world.fails(
            1,
            [
                "encrypt",
                "--hckms",
                "eu-west-101:1a2b",
                "--age",
                ALICE,
                "db.yaml",
            ],
        ),
        str![[r#"
sops-rs: error: could not generate data key: could not wrap the data key for every recipient
  eu-west-101:1a2b  not tried: this program cannot use keys of HuaweiCloud KMS yet
hint: leave the key of HuaweiCloud out, or seal the file with SOPS itself

"#]],
    );
}

// --- what is selected -------------------------------------------------------------------------------------------------

#[test]
fn an_invalid_expression() {
    let world = World::new();
    world.write("db.yaml", "a: b\n");
    let mut arguments = vec![
        "encrypt",
        "--age",
        ALICE,
        "--encrypted-regex",
        "^(data",
        "db.yaml",
    ];
    assert_message(
        world.fails(1, &arguments),
        str![[r#"
sops-rs: error: --encrypted-regex: invalid regular expression `^(data`: missing closing `)` (at byte 1)
hint: SOPS would silently match nothing here; correct the expression

"#]],
    );
    arguments[4] = r"(?=data)";
    assert_message(
        world.fails(1, &arguments),
        str![[r#"
sops-rs: error: --encrypted-regex: invalid regular expression `(?=data)`: invalid or unsupported `(?…)` (at byte 0)
hint: SOPS would silently match nothing here; correct the expression

"#]],
    );
}

#[test]
fn two_selections() {
    let world = World::new();
    world.write("db.yaml", "a: b\n");
    let arguments = [
        "encrypt",
        "--age",
        ALICE,
        "--encrypted-regex",
        "a",
        "--unencrypted-suffix",
        "_b",
        "db.yaml",
    ];
    assert_message(
        world.fails(8, arguments),
        str![[r#"
sops-rs: error: --unencrypted-suffix and --encrypted-regex cannot be used together
hint: choose one way to say what is sealed

"#]],
    );
}

#[test]
fn a_rule_that_seals_nothing() {
    let world = World::new();
    world.write("db.yaml", "stringdata:\n  password: x\n  list: [1, 2]\n");
    let arguments = [
        "encrypt",
        "--age",
        ALICE,
        "--encrypted-regex",
        "^(data|stringData)$",
        "db.yaml",
    ];
    assert_message(
        world.fails(23, arguments),
        str![[r#"
sops-rs: error: nothing in `db.yaml` would be sealed
  the rule is encrypted_regex: ^(data|stringData)$
  in clear: stringdata.password
  in clear: stringdata.list
hint: correct the rule, or add `--allow-clear` if that is what you want

"#]],
    );
}

#[test]
fn a_rule_that_matches_sealed_comments() {
    let world = World::new();
    world.write("db.yaml", "# a comment\na: b\n");
    let arguments = [
        "encrypt",
        "--age",
        ALICE,
        "--unencrypted-comment-regex",
        "data",
        "db.yaml",
    ];
    assert_message(
        world.fails(23, arguments),
        str![[r#"
sops-rs: error: the rule `unencrypted_comment_regex` matches sealed comments themselves
  --> db.yaml:1:1
hint: make the expression match your marker alone

"#]],
    );
}

#[test]
fn a_comment_that_would_be_counted_for_another_key() {
    let world = World::new();
    world.write("db.yaml", "a: 1\nm: {b: 2, c: 3} # seal\n");
    let arguments = [
        "encrypt",
        "--age",
        ALICE,
        "--encrypted-comment-regex",
        "seal",
        "db.yaml",
    ];
    assert_message(
        world.fails(23, arguments),
        str![[r#"
sops-rs: error: the rule asks this comment what is sealed, but it may be counted for another key
  --> db.yaml:2:17
 2 | m: …
   |    ^
hint: write it on a line of its own, directly above the key it is for and in the same column

"#]],
    );
}

#[test]
fn a_comment_behind_a_section_header() {
    let world = World::with_identity("alice");
    world.write("db.ini", "[main] ; the database\npassword = hunter2\n");
    assert_message(
        world.fails(23, ["encrypt", "--age", ALICE, "db.ini"]),
        str![[r#"
sops-rs: error: a comment behind a section header cannot be sealed
  --> db.ini:1:8
hint: move the comment to a line of its own above the header

"#]],
    );
    let by_key = [
        "encrypt",
        "--age",
        ALICE,
        "--encrypted-regex",
        "^password$",
        "db.ini",
    ];
    let sealed = String::from_utf8(world.ok(by_key)).expect("UTF-8");
    assert!(
        sealed.starts_with("[main] ; the database\npassword = ENC["),
        "{sealed}"
    );
    // The last line of a value looks like a header, and is none.
    let text = "[main]\npassword = `one\n[two]` ; three\n";
    world.write("db.ini", text);
    world.ok(["encrypt", "-i", "--age", ALICE, "db.ini"]);
    assert!(!world.read("db.ini").contains("three"));
    assert_eq!(world.ok(["decrypt", "db.ini"]), text.as_bytes());
}

// --- sealed or not ----------------------------------------------------------------------------------------------------

#[test]
fn already_encrypted() {
    let world = alice();
    for (name, plain) in [
        ("db.yaml", "a: b\n"),
        ("db.json", "{\"a\": \"b\"}\n"),
        ("db.env", "A=b\n"),
        ("db.ini", "[s]\na = b\n"),
        ("db.toml", "a = 'b'\n"),
        ("db.bin", "b"),
    ] {
        world.write(name, plain);
        world.ok(["encrypt", "-i", name]);
    }
    assert_message(
        world.fails(203, ["encrypt", "-i", "db.yaml"]),
        str![[r#"
sops-rs: error: `db.yaml` is already encrypted: it has a `sops` entry
  --> db.yaml:2:1
 2 | sops: …
   | ^
hint: change it with `sops-rs edit`; if `sops` is a key of your own, rename it

"#]],
    );
    assert_message(
        world.fails(203, ["encrypt", "-i", "db.json"]),
        str![[r#"
sops-rs: error: `db.json` is already encrypted: it has a `sops` entry
  --> db.json:1:122
 1 | "a": …
   |      ^
hint: change it with `sops-rs edit`; if `sops` is a key of your own, rename it

"#]],
    );
    assert_message(
        world.fails(203, ["encrypt", "-i", "db.env"]),
        str![[r#"
sops-rs: error: `db.env` is already encrypted: it has a `sops` entry
  --> db.env:2:1
 2 | sops_age__list_0__map_enc= …
   | ^
hint: change it with `sops-rs edit`; if `sops` is a key of your own, rename it

"#]],
    );
    assert_message(
        world.fails(203, ["encrypt", "-i", "db.ini"]),
        str![[r#"
sops-rs: error: `db.ini` is already encrypted: it has a `sops` entry
  --> db.ini:4:2
hint: change it with `sops-rs edit`; if `sops` is a key of your own, rename it

"#]],
    );
    assert_message(
        world.fails(203, ["encrypt", "-i", "db.bin"]),
        str![[r#"
sops-rs: error: `db.bin` is already encrypted: it has a `sops` entry
hint: change it with `sops-rs edit`; if `sops` is a key of your own, rename it

"#]],
    );
}

#[test]
fn not_encrypted() {
    let world = alice();
    world.write("db.yaml", "a: b\n");
    world.write("db.txt", "just text\n");
    assert_message(
        world.fails(1, ["decrypt", "db.yaml"]),
        str![[r#"
sops-rs: error: `db.yaml` is not encrypted: sops metadata not found
hint: encrypt it with `sops-rs encrypt -i db.yaml`

"#]],
    );
    assert_message(
        world.fails(1, ["edit", "db.yaml"]),
        str![[r#"
sops-rs: error: `db.yaml` is not encrypted: sops metadata not found
hint: encrypt it with `sops-rs encrypt -i db.yaml`

"#]],
    );
    assert_message(
        world.fails(1, ["decrypt", "db.txt"]),
        str![[r#"
sops-rs: error: `db.txt` is not encrypted: sops metadata not found
  its format is taken to be binary, since its name says no other
hint: give `--input-type` if it is YAML, JSON, dotenv, INI or TOML

"#]],
    );
    let ran = world.run_with(["decrypt", "--input-type", "yaml"], b"a: b\n");
    assert_message(
        ran.stderr,
        str![[r#"
sops-rs: error: `<stdin>` is not encrypted: sops metadata not found
hint: perhaps it is decrypted already

"#]],
    );
}

// --- who can open it --------------------------------------------------------------------------------------------------

#[test]
fn no_identity_at_all() {
    let world = World::new();
    let message = world.fails(128, ["decrypt", &sealed("two-recipients.yaml")]);
    assert_message(
        without_folder(message),
        str![[r#"
sops-rs: error: no identity could open `[PROJECT]/testdata/sops/3.13.2/sealed/two-recipients.yaml`
  age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p  you have no identity to try
  age1v2yxy5rncmvrnca08sq3nefhjpm7en0zvg6tejd47ptezsvfdphsj728gf  you have no identity to try
  no identity in SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, SOPS_AGE_KEY_CMD, [ROOT]/home/.config/sops/age/keys.txt
hint: set SOPS_AGE_KEY_FILE to your key file, or make an identity with `sops-rs init` and ask someone listed above to add it

"#]],
    );
}

#[test]
fn no_identity_that_fits() {
    let world = World::with_identity("carol");
    let message = world.fails(128, ["decrypt", &sealed("two-recipients.yaml")]);
    assert_message(
        without_folder(message),
        str![[r#"
sops-rs: error: no identity could open `[PROJECT]/testdata/sops/3.13.2/sealed/two-recipients.yaml`
  age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p  none of your identities fits
  age1v2yxy5rncmvrnca08sq3nefhjpm7en0zvg6tejd47ptezsvfdphsj728gf  none of your identities fits
  no identity in SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, SOPS_AGE_KEY, SOPS_AGE_KEY_CMD, [ROOT]/home/.config/sops/age/keys.txt
hint: set SOPS_AGE_KEY_FILE to the key file of someone listed above, or ask one of them to add you

"#]],
    );
}

#[test]
fn not_enough_groups() {
    let world = World::with_identity("alice");
    let message = world.fails(128, ["decrypt", &sealed("shamir-2-of-3-json.json")]);
    assert_message(
        without_folder(message),
        str![[r#"
sops-rs: error: no identity could open `[PROJECT]/testdata/sops/3.13.2/sealed/shamir-2-of-3-json.json`
  2 of 3 groups must be opened; 1 could be
  group 1:
  age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p  opened
  group 2:
  age1v2yxy5rncmvrnca08sq3nefhjpm7en0zvg6tejd47ptezsvfdphsj728gf  none of your identities fits
  group 3:
  age1wkmlraupk3fa2dtl4utve4es6eyfy0p4585qzmk5xhel7586ka8sll6n4u  none of your identities fits
  no identity in SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, SOPS_AGE_KEY, SOPS_AGE_KEY_CMD, [ROOT]/home/.config/sops/age/keys.txt
hint: set SOPS_AGE_KEY_FILE to the key file of someone listed above, or ask one of them to add you

"#]],
    );
}

#[test]
fn a_file_for_openpgp_and_no_gpg() {
    let world = World::with_identity("alice").set("SOPS_GPG_EXEC", "absent-gpg");
    let message = world.fails(128, ["decrypt", &sealed("pgp-rsa.yaml")]);
    assert_message(
        without_folder(message),
        str![[r#"
sops-rs: error: no identity could open `[PROJECT]/testdata/sops/3.13.2/sealed/pgp-rsa.yaml`
  F93F442F5E7B3C6014CB08F9ECE6CFBB11EC8F34  failed: gpg: there is no program `absent-gpg`; SOPS_GPG_EXEC can name another
hint: correct what failed above, or ask someone who can open the file to add you

"#]],
    );
}

#[test]
fn an_ssh_key_that_is_not_there() {
    let world = World::new();
    let message = world.fails(128, ["decrypt", &sealed("ssh-ed25519.yaml")]);
    assert_message(
        without_folder(message),
        str![[r#"
sops-rs: error: no identity could open `[PROJECT]/testdata/sops/3.13.2/sealed/ssh-ed25519.yaml`
  ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE219sxP6NoJIoJopIZ65J/9MpVb6vb+jPmSsJ5x4k7p test  you have no identity to try
  no identity in SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, [ROOT]/home/.ssh/id_ed25519, [ROOT]/home/.ssh/id_rsa, SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, SOPS_AGE_KEY_CMD, [ROOT]/home/.config/sops/age/keys.txt
hint: set SOPS_AGE_SSH_PRIVATE_KEY_FILE to the private key of a recipient listed above

"#]],
    );
}

#[test]
fn an_ssh_key_with_a_passphrase_and_nobody_to_ask() {
    let world = World::with_ssh_key("ssh_ed25519_passphrase");
    let path = testdata("age/sops/ssh-ed25519-passphrase.yaml");
    let mut command = without_terminal(&world);
    let ran = Ran::from(command.arg("decrypt").arg(path).output().expect("it runs"));
    assert_eq!((ran.code, ran.stdout.len()), (Some(128), 0));
    assert_message(
        without_folder(world.redacted(&ran.stderr)),
        str![[r#"
sops-rs: error: no identity could open `[PROJECT]/testdata/age/sops/ssh-ed25519-passphrase.yaml`
  ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFMAlpDk7BjfY5KAVA3ODr5SLWhC57hOtl2VjJxWfYvw test  failed: SOPS_AGE_SSH_PRIVATE_KEY_FILE ([PROJECT]/testdata/sops/3.13.2/keys/ssh_ed25519_passphrase): needs a passphrase, and there is nobody to ask for it
  no identity in SOPS_AGE_SSH_PRIVATE_KEY_CMD, [ROOT]/home/.ssh/id_ed25519, [ROOT]/home/.ssh/id_rsa, SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, SOPS_AGE_KEY_CMD, [ROOT]/home/.config/sops/age/keys.txt
hint: correct what failed above, or ask someone who can open the file to add you

"#]],
    );
}

/// The program in a session of its own, which has no terminal even if the tests have one.
fn without_terminal(world: &World) -> std::process::Command {
    let mut command = std::process::Command::new("setsid");
    let program = world.command([] as [&str; 0]);
    command.args(["--wait"]).arg(program.get_program());
    world.prepare(&mut command);
    command
}

#[test]
fn identity_files_with_mistakes() {
    let path = sealed("app.yaml");
    let message = |variable: &str, value: &str| {
        let world = World::new().set(variable, value);
        world.write("keys.txt", "# created\nAGE-SECRET-KEY-1WRONG\n");
        without_folder(world.fails(128, ["decrypt", &path]))
    };
    assert_message(
        message("SOPS_AGE_KEY_FILE", "absent.txt"),
        str![[r#"
sops-rs: error: no identity could open `[PROJECT]/testdata/sops/3.13.2/sealed/app.yaml`
  age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p  failed: SOPS_AGE_KEY_FILE (absent.txt): cannot be read: No such file or directory (os error 2)
  no identity in SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, SOPS_AGE_KEY, SOPS_AGE_KEY_CMD, [ROOT]/home/.config/sops/age/keys.txt
hint: correct what failed above, or ask someone who can open the file to add you

"#]],
    );
    assert_message(
        message("SOPS_AGE_KEY_FILE", "keys.txt"),
        str![[r#"
sops-rs: error: no identity could open `[PROJECT]/testdata/sops/3.13.2/sealed/app.yaml`
  age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p  failed: SOPS_AGE_KEY_FILE (keys.txt), line 2: not valid Bech32: mistyped, or a part is missing
  no identity in SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, SOPS_AGE_KEY, SOPS_AGE_KEY_CMD, [ROOT]/home/.config/sops/age/keys.txt
hint: correct what failed above, or ask someone who can open the file to add you

"#]],
    );
    assert_message(
        message("SOPS_AGE_KEY_FILE", ""),
        str![[r#"
sops-rs: error: no identity could open `[PROJECT]/testdata/sops/3.13.2/sealed/app.yaml`
  age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p  failed: SOPS_AGE_KEY_FILE: is set, but empty
  no identity in SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, SOPS_AGE_KEY, SOPS_AGE_KEY_CMD, [ROOT]/home/.config/sops/age/keys.txt
hint: correct what failed above, or ask someone who can open the file to add you

"#]],
    );
    assert_message(
        message("SOPS_AGE_KEY", "AGE-SECRET-KEY-1WRONG"),
        str![[r#"
sops-rs: error: no identity could open `[PROJECT]/testdata/sops/3.13.2/sealed/app.yaml`
  age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p  failed: SOPS_AGE_KEY, line 1: not valid Bech32: mistyped, or a part is missing
  no identity in SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, SOPS_AGE_KEY_FILE, SOPS_AGE_KEY_CMD, [ROOT]/home/.config/sops/age/keys.txt
hint: correct what failed above, or ask someone who can open the file to add you

"#]],
    );
    assert_message(
        message("SOPS_AGE_KEY_CMD", "false"),
        str![[r#"
sops-rs: error: no identity could open `[PROJECT]/testdata/sops/3.13.2/sealed/app.yaml`
  age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p  failed: SOPS_AGE_KEY_CMD: `false` failed (exit status: 1)
  no identity in SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, [ROOT]/home/.config/sops/age/keys.txt
hint: correct what failed above, or ask someone who can open the file to add you

"#]],
    );
    assert_message(
        message("SOPS_AGE_KEY_CMD", "absent-command"),
        str![[r#"
sops-rs: error: no identity could open `[PROJECT]/testdata/sops/3.13.2/sealed/app.yaml`
  age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p  failed: SOPS_AGE_KEY_CMD: `absent-command` did not run: No such file or directory (os error 2)
  no identity in SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, [ROOT]/home/.config/sops/age/keys.txt
hint: correct what failed above, or ask someone who can open the file to add you

"#]],
    );
    assert_message(
        message("SOPS_AGE_KEY_CMD", "echo 'open"),
        str![[r#"
sops-rs: error: no identity could open `[PROJECT]/testdata/sops/3.13.2/sealed/app.yaml`
  age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p  failed: SOPS_AGE_KEY_CMD: a quote in the command is not closed
  no identity in SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, [ROOT]/home/.config/sops/age/keys.txt
hint: correct what failed above, or ask someone who can open the file to add you

"#]],
    );
}

#[test]
fn recipients_of_unknown_types_in_the_file() {
    let world = damaged("db.json", "{\"a\": \"b\"}\n", |text| {
        text.replacen(
            "\"age\": [",
            "\"tpm_v9\": [{\"handle\": \"0x81\", \"enc\": \"x\"}],\n\t\t\"age\": [",
            1,
        )
    });
    let world = world.set("SOPS_AGE_KEY_FILE", &bobs_key());
    assert_message(
        without_folder(world.fails(128, ["decrypt", "db.json"])),
        str![[r#"
sops-rs: error: no identity could open `db.json`
  age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p  none of your identities fits
  unknown recipient in `tpm_v9`  not tried: this version does not know such keys
  no identity in SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, SOPS_AGE_KEY, SOPS_AGE_KEY_CMD, [ROOT]/home/.config/sops/age/keys.txt
hint: set SOPS_AGE_KEY_FILE to the key file of someone listed above, or ask one of them to add you

"#]],
    );
}

fn bobs_key() -> String {
    let path = sops_fixtures().join("keys/bob.age.txt");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn key_services() {
    let world = World::with_identity("alice");
    let file = sealed("app.yaml");
    assert_message(
        world.fails(1, ["decrypt", "--keyservice", "localhost:5000", &file]),
        str![[r#"
sops-rs: error: invalid value 'localhost:5000' for '--keyservice <URI>': not the address of a key service, which is `tcp://HOST:PORT` or `unix:///PATH`

For more information, try '--help'.

"#]],
    );
    let message = world.fails(128, ["decrypt", "--enable-local-keyservice=false", &file]);
    assert_message(
        without_folder(message),
        str![[r#"
sops-rs: error: there is no key service to ask
hint: leave out --enable-local-keyservice=false, or add `--keyservice URI`

"#]],
    );
    assert_message(
        world.fails(112, ["decrypt", "--decryption-order", "age,pgp,age", &file]),
        str![[r#"
sops-rs: error: the decryption order names `age` twice

"#]],
    );
}

// --- files that cannot be read ----------------------------------------------------------------------------------------

#[test]
fn a_missing_file_and_a_directory() {
    let world = alice();
    std::fs::create_dir(world.path("folder")).expect("a folder");
    assert_message(
        world.fails(100, ["decrypt", "absent.yaml"]),
        str![[r#"
sops-rs: error: the file `absent.yaml` does not exist

"#]],
    );
    assert_message(
        world.fails(100, ["encrypt", "-i", "absent.yaml"]),
        str![[r#"
sops-rs: error: the file `absent.yaml` does not exist

"#]],
    );
    assert_message(
        world.fails(2, ["decrypt", "folder"]),
        str![[r#"
sops-rs: error: `folder` is a directory, not a file

"#]],
    );
    assert_message(
        world.fails(2, ["edit", "folder"]),
        str![[r#"
sops-rs: error: `folder` is a directory, not a file

"#]],
    );
}

#[test]
fn a_file_that_may_not_be_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = alice();
    let path = world.write("db.yaml", "a: b\n");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o200)).expect("a mode");
    let mut command = without_privileges(&world.command(["decrypt", "db.yaml"]));
    let ran = Ran::from(command.output().expect("it runs"));
    assert_eq!(ran.code, Some(2));
    assert_message(
        ran.stderr,
        str![[r#"
sops-rs: error: cannot read `db.yaml`: Permission denied (os error 13)

"#]],
    );
}

#[test]
fn files_that_are_not_utf_8() {
    let world = alice();
    let utf_16: Vec<u8> = "\u{feff}a: b\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    world.write("wide.yaml", utf_16);
    world.write("latin.yaml", b"name: ok\ncity: M\xfcnchen\n");
    assert_message(
        world.fails(2, ["encrypt", "wide.yaml"]),
        str![[r#"
sops-rs: error: `wide.yaml` is UTF-16 text, not UTF-8
hint: save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`

"#]],
    );
    assert_message(
        world.fails(2, ["encrypt", "latin.yaml"]),
        str![[r#"
sops-rs: error: `latin.yaml` is not UTF-8 text
  the first bad byte is in line 2, column 8
hint: save it as UTF-8, or use `--input-type binary` for data that is not text

"#]],
    );
    assert_message(
        world.fails(1, ["decrypt", "latin.yaml"]),
        str![[r#"
sops-rs: error: `latin.yaml` is not UTF-8 text
  the first bad byte is in line 2, column 8
hint: save it as UTF-8, or use `--input-type binary` for data that is not text

"#]],
    );
}

#[test]
fn bad_yaml() {
    let world = alice();
    let message = |text: &str| {
        world.write("db.yaml", text);
        world.fails(2, ["encrypt", "db.yaml"])
    };
    assert_message(
        message("db:\n  user: x\n   password: y\n"),
        str![[r#"
sops-rs: error: a `:` cannot stand here
  --> db.yaml:3:12
hint: put a value that holds `: ` in quotes

"#]],
    );
    assert_message(
        message("db:\n\tuser: x\n"),
        str![[r#"
sops-rs: error: a tab cannot indent YAML
  --> db.yaml:2:1
hint: indent with spaces

"#]],
    );
    assert_message(
        message("db: \"x\nother: y\n"),
        str![[r#"
sops-rs: error: this quote is never closed
  --> db.yaml:1:5
 1 | db: …
   |     ^

"#]],
    );
    assert_message(
        message("db: [1, 2\n"),
        str![[r#"
sops-rs: error: expected `,` or `]` here
  --> db.yaml:2:1

"#]],
    );
    assert_message(
        message("db: *absent\n"),
        str![[r#"
sops-rs: error: there is no anchor of this name above this alias
  --> db.yaml:1:5
 1 | db: …
   |     ^
hint: put a value that begins with `*` in quotes

"#]],
    );
    assert_message(
        message("a: 1\nb: 2\na: 3\n"),
        str![[r#"
sops-rs: error: the key `a` is already on line 1
  --> db.yaml:3:1
 3 | a: …
   | ^
hint: remove or rename one of them

"#]],
    );
}

#[test]
fn bad_yaml_by_exit_code_of_the_command() {
    let world = alice();
    world.write("db.yaml", "db: [1, 2\n");
    let of_encrypt = world.fails(2, ["encrypt", "db.yaml"]);
    assert_eq!(world.fails(1, ["decrypt", "db.yaml"]), of_encrypt);
    assert_eq!(world.fails(1, ["edit", "db.yaml"]), of_encrypt);
    assert_eq!(world.fails(1, ["filestatus", "db.yaml"]), of_encrypt);
}

#[test]
fn bad_json() {
    let world = alice();
    let message = |text: &str| {
        world.write("db.json", text);
        world.fails(2, ["encrypt", "db.json"])
    };
    assert_message(
        message("{\n  \"a\": \"x\",\n}\n"),
        str![[r#"
sops-rs: error: expected a key in `"` after the comma, found `}`
  --> db.json:3:1

"#]],
    );
    assert_message(
        message("{\n  \"a\": x\n}\n"),
        str![[r#"
sops-rs: error: expected a value, found something else
  --> db.json:2:8
 2 | "a": …
   |      ^

"#]],
    );
    assert_message(
        message("{\n  \"a\": 1"),
        str![[r#"
sops-rs: error: expected `,` or `}`, found the end of the file
  --> db.json:2:9
 2 | "a": …
   |      ^

"#]],
    );
    assert_message(
        message(""),
        str![[r#"
sops-rs: error: expected an object at the top level, found the end of the file
  --> db.json:1:1

"#]],
    );
    assert_message(
        message("[1, 2]\n"),
        str![[r#"
sops-rs: error: expected an object at the top level, found a list
  --> db.json:1:1

"#]],
    );
}

#[test]
fn bad_dotenv_and_ini() {
    let world = alice();
    let message = |name: &str, text: &str| {
        world.write(name, text);
        world.run(["encrypt", name])
    };
    assert_message(
        message("db.env", "A=1\nno assignment\n").stderr,
        str![[r#"
sops-rs: error: line 2 has no `=`
  --> db.env:2:1
hint: write KEY=value, or `#` at the very start of a comment

"#]],
    );
    assert_message(
        message("db.ini", "[section\na = 1\n").stderr,
        str![[r#"
sops-rs: error: this section header has no `]`
  --> db.ini:1:1

"#]],
    );
    assert_message(
        message("db.ini", "[s]\na = 1\na = 2\n").stderr,
        str![[r#"
sops-rs: error: the key `a` stands twice in its section, on lines 2 and 3
  --> db.ini:3:1
 3 | a= …
   | ^
hint: keep only the one that counts

"#]],
    );
}

#[test]
fn conflict_markers() {
    let world = alice();
    let conflict = |a: &str, b: &str| format!("<<<<<<< HEAD\n{a}\n=======\n{b}\n>>>>>>> other\n");
    world.write("db.yaml", format!("x: y\n{}", conflict("a: 1", "a: 2")));
    world.write(
        "db.json",
        format!("{{\n{}}}\n", conflict("\"a\": 1", "\"a\": 2")),
    );
    world.write("db.env", conflict("A=1", "A=2"));
    world.write("db.ini", format!("[s]\n{}", conflict("a = 1", "a = 2")));
    assert_message(
        world.fails(2, ["encrypt", "db.yaml"]),
        str![[r#"
sops-rs: error: unresolved merge conflict
  --> db.yaml:2:1
hint: resolve it with `sops-rs merge FILE`, or by hand, and remove the marker lines

"#]],
    );
    assert_message(
        world.fails(2, ["encrypt", "db.json"]),
        str![[r#"
sops-rs: error: unresolved merge conflict
  --> db.json:2:1
hint: resolve it with `sops-rs merge FILE`, or by hand, and remove the marker lines

"#]],
    );
    assert_message(
        world.fails(2, ["encrypt", "db.env"]),
        str![[r#"
sops-rs: error: unresolved merge conflict
  --> db.env:1:1
hint: resolve it with `sops-rs merge FILE`, or by hand, and remove the marker lines

"#]],
    );
    assert_message(
        world.fails(2, ["encrypt", "db.ini"]),
        str![[r#"
sops-rs: error: unresolved merge conflict
  --> db.ini:2:1
hint: resolve it with `sops-rs merge FILE`, or by hand, and remove the marker lines

"#]],
    );
}

// --- sealed files that were changed -----------------------------------------------------------------------------------

#[test]
fn a_clear_value_that_was_changed() {
    let world = damaged("db.env", "A=b\nPORT_unencrypted=5432\n", |text| {
        text.replace("5432", "5433")
    });
    assert_message(
        world.fails(51, ["decrypt", "db.env"]),
        str![[r#"
sops-rs: error: the file's values do not match its MAC: `db.env`
  --> db.env:6:1
 6 | sops_mac= …
   | ^
  a value was changed, added, removed or moved without this file's key: by hand, by a text merge, or on purpose
hint: compare with an older version in git; `--ignore-mac` opens the file all the same, so look at every value

"#]],
    );
    assert_message(
        world.fails(51, ["edit", "db.env"]),
        str![[r#"
sops-rs: error: the file's values do not match its MAC: `db.env`
  --> db.env:6:1
 6 | sops_mac= …
   | ^
  a value was changed, added, removed or moved without this file's key: by hand, by a text merge, or on purpose
hint: compare with an older version in git; `--ignore-mac` opens the file all the same, so look at every value

"#]],
    );
}

#[test]
fn a_token_at_the_wrong_place() {
    let world = damaged("db.yaml", "user: one\npassword: two\n", |text| {
        let mut lines: Vec<&str> = text.lines().collect();
        let (user, password) = (lines[0].to_owned(), lines[1].to_owned());
        let one = user.replace("user:", "password:");
        let two = password.replace("password:", "user:");
        lines[0] = &two;
        lines[1] = &one;
        format!("{}\n", lines.join("\n"))
    });
    assert_message(
        world.fails(25, ["decrypt", "db.yaml"]),
        str![[r#"
sops-rs: error: cannot open the value of `user`: it was not sealed for this place with this file's key, or it was changed
  --> db.yaml:1:7
 1 | user: …
   |       ^
hint: restore the line from git, or type the value anew with `edit` once the rest opens

"#]],
    );
}

#[test]
fn plain_text_where_a_token_should_be() {
    let world = damaged(
        "db.json",
        "{\n  \"user\": \"one\",\n  \"password\": \"two\"\n}\n",
        |text| {
            let line = text.lines().nth(2).expect("a line").to_owned();
            text.replace(&line, "  \"password\": \"typed by hand\",")
        },
    );
    assert_message(
        world.fails(25, ["decrypt", "db.json"]),
        str![[r#"
sops-rs: error: cannot open the value of `password`: it is not an ENC[…] token
  --> db.json:3:15
 3 | "password": …
   |             ^
hint: restore the line from git, or type the value anew with `edit` once the rest opens

"#]],
    );
}

#[test]
fn a_token_that_was_cut() {
    let world = damaged("db.env", "USER=one\nPASSWORD=two\n", |text| {
        let token = text.lines().nth(1).expect("a line").to_owned();
        let (kept, _) = token.split_at(token.len() - 20);
        text.replace(&token, kept)
    });
    assert_message(
        world.fails(25, ["decrypt", "db.env"]),
        str![[r#"
sops-rs: error: cannot open the value of `PASSWORD`: it is not an ENC[…] token
  --> db.env:2:10
 2 | PASSWORD= …
   |          ^
hint: restore the line from git, or type the value anew with `edit` once the rest opens

"#]],
    );
}

#[test]
fn damaged_metadata() {
    let drop_line = |text: String, word: &str| -> String {
        let kept = text.lines().filter(|line| !line.contains(word));
        kept.map(|line| format!("{line}\n")).collect()
    };
    let message = |word: &str, code: i32| {
        let world = damaged("db.env", "USER=one\n", |text| drop_line(text, word));
        world.fails(code, ["decrypt", "db.env"])
    };
    assert_message(
        message("sops_mac=", 51),
        str![[r#"
sops-rs: error: the file has no MAC: `db.env`
  without it nobody can tell whether values were changed
hint: compare with an older version in git; `--ignore-mac` opens the file all the same, so look at every value

"#]],
    );
    assert_message(
        message("sops_lastmodified=", 1),
        str![[r#"
sops-rs: error: the metadata of `db.env` is wrong: `lastmodified` is missing
  --> db.env:2:1
 2 | sops_age__list_0__map_enc= …
   | ^
hint: restore the `sops` entry from git

"#]],
    );
    assert_message(
        message("sops_version=", 1),
        str![[r#"
sops-rs: error: the metadata of `db.env` is wrong: `version` is missing
  --> db.env:2:1
 2 | sops_age__list_0__map_enc= …
   | ^
hint: restore the `sops` entry from git

"#]],
    );
    assert_message(
        message("sops_age__list_0__map_enc=", 128),
        str![[r#"
sops-rs: error: no identity could open `db.env`
  age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p  failed: not a valid age file: the age file cannot be read: failed to fill whole buffer
  no identity in SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, SOPS_AGE_KEY, SOPS_AGE_KEY_CMD
hint: correct what failed above, or ask someone who can open the file to add you

"#]],
    );
    let world = damaged("db.env", "A=b\n", |text| {
        let line = text.lines().find(|line| line.contains("lastmodified="));
        text.replace(line.expect("the field"), "sops_lastmodified=yesterday")
    });
    assert_message(
        world.fails(1, ["decrypt", "db.env"]),
        str![[r#"
sops-rs: error: the metadata of `db.env` is wrong: `lastmodified` is not an RFC 3339 time
  --> db.env:4:1
 4 | sops_lastmodified= …
   | ^
hint: restore the `sops` entry from git

"#]],
    );
}

// --- options that contradict each other --------------------------------------------------------------------------------

#[test]
fn options_that_do_not_go_together() {
    let world = alice();
    world.write("db.yaml", "a: b\n");
    assert_message(
        world.fails(8, ["encrypt"]),
        str![[r#"
sops-rs: error: standard input has no name to look up rules and format by
hint: add `--filename-override PATH`

"#]],
    );
    assert_message(
        world.fails(8, ["decrypt", "--in-place"]),
        str![[r#"
sops-rs: error: standard input cannot be replaced
hint: name a file, or leave out `--in-place`

"#]],
    );
    assert_message(
        world.fails(8, ["rotate", "--output-type", "json", "db.yaml"]),
        str![[r#"
sops-rs: error: a file cannot be converted from yaml to json while its key is changed
hint: leave out --output-type; `encrypt` and `decrypt` convert

"#]],
    );
    assert_message(
        world.fails(
            8,
            [
                "edit",
                "--input-type",
                "yaml",
                "--output-type",
                "json",
                "db.yaml",
            ],
        ),
        str![[r#"
sops-rs: error: a file cannot be converted from yaml to json by editing it
hint: leave out --output-type; `encrypt` and `decrypt` convert

"#]],
    );
    assert_message(
        world.fails(8, ["encrypt", "-i", "--output", "x.yaml", "db.yaml"]),
        str![[r#"
sops-rs: error: the argument '--in-place' cannot be used with '--output <FILE>'

Usage: sops-rs encrypt --in-place <FILE> [FILES]...

For more information, try '--help'.

"#]],
    );
}

#[test]
fn wrong_usage() {
    let world = World::new();
    assert_message(
        world.fails(1, ["decrpyt", "db.yaml"]),
        str![[r#"
sops-rs: error: unrecognized subcommand 'decrpyt'

  tip: some similar subcommands exist: 'encrypt', 'decrypt'

Usage: sops-rs [OPTIONS] <COMMAND>

For more information, try '--help'.

"#]],
    );
    assert_message(
        world.fails(1, ["decrypt", "--inplace", "db.yaml"]),
        str![[r#"
sops-rs: error: unexpected argument '--inplace' found

  tip: a similar argument exists: '--in-place'

Usage: sops-rs decrypt --in-place [FILE] [FILES]...

For more information, try '--help'.

"#]],
    );
    assert_message(
        world.fails(100, ["edit"]),
        str![[r#"
sops-rs: error: the following required arguments were not provided:
  <FILE>

Usage: sops-rs edit <FILE>

For more information, try '--help'.

"#]],
    );
    assert_message(
        world.fails(1, ["decrypt", "--input-type", "csv", "db.yaml"]),
        str![[r#"
sops-rs: error: invalid value 'csv' for '--input-type <FORMAT>'
  [possible values: yaml, json, dotenv, ini, toml, binary]

For more information, try '--help'.

"#]],
    );
}

// --- writing ----------------------------------------------------------------------------------------------------------

#[test]
fn places_that_cannot_be_written() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = alice();
    world.write("db.yaml", "a: b\n");
    let locked = world.write("locked/db.yaml", "a: b\n");
    assert_message(
        world.fails(3, ["encrypt", "--output", "absent/db.yaml", "db.yaml"]),
        str![[r#"
sops-rs: error: cannot write `absent/db.yaml`: No such file or directory (os error 2)
hint: create its directory first

"#]],
    );
    assert_message(
        world.fails(3, ["encrypt", "--output", "locked", "db.yaml"]),
        str![[r#"
sops-rs: error: cannot write `locked`: is a directory

"#]],
    );
    let folder = locked.parent().expect("a folder");
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o500)).expect("a mode");
    let mut command = without_privileges(&world.command(["encrypt", "-i", "locked/db.yaml"]));
    let ran = Ran::from(command.output().expect("it runs"));
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).expect("a mode");
    assert_eq!(ran.code, Some(3));
    assert_message(
        ran.stderr,
        str![[r#"
sops-rs: error: cannot write `locked/db.yaml`: Permission denied (os error 13)
hint: make its directory writable: a file is written beside its place, then moved there

"#]],
    );
}

// --- editors ----------------------------------------------------------------------------------------------------------

#[test]
fn editors_that_are_missing_or_fail() {
    let world = alice();
    world.write("db.yaml", "a: b\n");
    world.ok(["encrypt", "-i", "db.yaml"]);
    let message = |editor: &str| {
        let mut command = world.command(["edit", "db.yaml"]);
        let ran = Ran::from(
            command
                .env("EDITOR", editor)
                .env("PATH", "/usr/bin:/bin")
                .output()
                .expect("it runs"),
        );
        assert_eq!((ran.code, ran.stdout.len()), (Some(201), 0));
        ran.stderr
    };
    assert_message(
        message("absent-editor --wait"),
        str![[r#"
sops-rs: error: cannot start the editor `absent-editor`: No such file or directory (os error 2)
hint: set SOPS_EDITOR or EDITOR to a command that edits the file it is given and returns when done

"#]],
    );
    assert_message(
        message("false"),
        str![[r#"
sops-rs: error: the editor `false` failed with exit code 1
  the file is as it was

"#]],
    );
    assert_message(
        message("sh -c 'kill -9 $$'"),
        str![[r#"
sops-rs: error: the editor `sh` was killed by signal 9
  the file is as it was

"#]],
    );
    assert_message(
        message("vi 'unclosed"),
        str![[r#"
sops-rs: error: EDITOR is not a command: `vi 'unclosed`
hint: check its quotes; it is split into words as a shell does

"#]],
    );
    let mut command = world.command(["edit", "db.yaml"]);
    let ran = Ran::from(command.env("PATH", world.home()).output().expect("it runs"));
    assert_eq!(ran.code, Some(201));
    assert_message(
        ran.stderr,
        str![[r#"
sops-rs: error: no editor found: neither vim nor nano nor vi is on the PATH
hint: set SOPS_EDITOR or EDITOR to a command that edits the file it is given and returns when done

"#]],
    );
}

#[test]
fn an_edit_that_cannot_be_read() {
    let world = alice();
    world.write("db.yaml", "a: b\n");
    world.ok(["encrypt", "-i", "db.yaml"]);
    let ran = world.edit("printf 'a: x: y\\n' > \"$1\"", ["db.yaml"]);
    assert_eq!((ran.code, ran.stdout.len()), (Some(2), 0));
    assert_message(
        ran.stderr,
        str![[r#"
sops-rs: error: a `:` cannot stand here
  --> db.yaml:1:5
 1 | a: …
   |    ^
  what you typed is kept, sealed: see it with `sops-rs decrypt db.yaml.rejected`
hint: put a value that holds `: ` in quotes

"#]],
    );
    let ran = world.edit(
        "printf 'a: x: y\\n' > \"$1\"; echo 'a: b' > db.yaml",
        ["db.yaml"],
    );
    assert_message(
        ran.stderr,
        str![[r#"
sops-rs: error: a `:` cannot stand here
  --> db.yaml:1:5
 1 | a: …
   |    ^
  what you typed is kept, sealed: see it with `sops-rs decrypt db.yaml.rejected-2`
hint: put a value that holds `: ` in quotes

"#]],
    );
    let ran = world.edit("echo 'sops: x' >> \"$1\"", ["new.yaml"]);
    assert_message(
        ran.stderr,
        str![[r#"
sops-rs: error: an entry is named `sops`, as the metadata of the file is
  --> new.yaml:8:1
 8 | sops: …
   | ^
  what you typed is kept, sealed: see it with `sops-rs decrypt new.yaml.rejected`
hint: give it another name

"#]],
    );
    let ran = world.edit(":", ["new.yaml"]);
    assert_eq!(ran.code, Some(200));
    assert_message(
        ran.stderr,
        str![[r#"
sops-rs: error: `new.yaml` was left as it is: nothing was changed

"#]],
    );
}

// --- names that could command the terminal -----------------------------------------------------------------------------

#[test]
fn escape_sequences_do_not_reach_the_terminal() {
    let world = alice();
    let name = "evil\x1b[2J\u{202e}\r.yaml";
    world.write(name, "\"k\\u001b[31mey\": 1\n\"k\\u001b[31mey\": 2\n");
    world.write("nothing.yaml", "\"k\\u001b[31mey\": 1\n");
    let messages = [
        world.run(["encrypt", name]),
        world.run(["decrypt", name]),
        world.run(["edit", name]),
        world.run(["decrypt", &format!("absent{name}")]),
        world.run(["encrypt", "--encrypted-regex", "\x1b[31m(", name]),
        world.run(["encrypt", "--age", "age1\x1b[31m", name]),
        world.run(["encrypt", "--encrypted-suffix", "absent", "nothing.yaml"]),
        world.run(["encrypt", "--config", name, "nothing.yaml"]),
        world.run(["encrypt", "--no\x1b[31mption", name]),
        world.run(["no\x1b[31mverb"]),
        world.run(["decrypt", "--input-type", "\x1b[31m", name]),
        world.run(["encrypt", "--output", "absent\x1b/x", "nothing.yaml"]),
        world.run(["--no\u{202e}\roption"]),
        world.run(["no\u{202e}\rverb"]),
        world.run(["decrypt", "--input-type", "\u{202e}\r", "nothing.yaml"]),
    ];
    for ran in messages {
        assert_ne!(ran.code, Some(0), "{ran:?}");
        assert!(!ran.stderr.is_empty());
        let deceives = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!ran.stderr.contains(deceives), "{ran:?}");
    }
}
