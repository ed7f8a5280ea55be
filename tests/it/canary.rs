//! Law 6: a value appears in no message and in no file that was not asked for, whatever is wrong with the file.
//!
//! Files whose values hold a canary are damaged in many ways at many places, plain and sealed; every command is run on
//! them. Pieces of the canary count, too: damage may cut it.

use std::path::{Path, PathBuf};

use crate::support::{ALICE, Ran, World, holds, sops_fixtures, unique};

/// Both ends of the canary. They are no words of any message.
const PIECES: [&str; 2] = ["S3CR", "NARY"];

/// A canary that is in no other test, for what is in files: private folders of all tests lie side by side.
fn canary() -> String {
    format!("{}-CANARY", unique("S3CR3T"))
}

/// The plaintexts with this canary.
fn plain(canary: &str) -> Vec<(&'static str, String)> {
    let text = |text: &str| text.replace("S3CR3T-CANARY", canary);
    PLAIN
        .iter()
        .map(|&(name, with)| (name, text(with)))
        .collect()
}

/// A plaintext in each format with the canary in every way a value can be written.
const PLAIN: [(&str, &str); 6] = [
    (
        "db.yaml",
        "# S3CR3T-CANARY in a comment\nplain: S3CR3T-CANARY\nsingle: 'S3CR3T-CANARY: x'\ndouble: \"S3CR3T-CANARY \\n x\"\nliteral: |\n  S3CR3T-CANARY\n  S3CR3T-CANARY: y\nlist: [S3CR3T-CANARY, {a: S3CR3T-CANARY}]\nanchor: &x S3CR3T-CANARY\nitems:\n  - S3CR3T-CANARY # S3CR3T-CANARY\n  - key: S3CR3T-CANARY\n",
    ),
    (
        "db.json",
        "{\n  \"plain\": \"S3CR3T-CANARY\",\n  \"escaped\": \"\\tS3CR3T-CANARY\\u0041\",\n  \"list\": [\n    \"S3CR3T-CANARY\", {\"a\": \"S3CR3T-CANARY\"}\n  ]\n}\n",
    ),
    (
        "db.env",
        "# S3CR3T-CANARY in a comment\nPLAIN=S3CR3T-CANARY\nQUOTED=\"S3CR3T-CANARY\"\nLINES=S3CR3T-CANARY\\nx=S3CR3T-CANARY\n",
    ),
    (
        "db.ini",
        "; S3CR3T-CANARY in a comment\n[section]\nplain = S3CR3T-CANARY\nquoted = \"S3CR3T-CANARY\"\nticked = `S3CR3T-CANARY`\n[other]\nlast = S3CR3T-CANARY\n",
    ),
    (
        "db.toml",
        "# S3CR3T-CANARY in a comment\nplain = \"S3CR3T-CANARY\"\nliteral = 'S3CR3T-CANARY' # S3CR3T-CANARY\nmany = \"\"\"\nS3CR3T-CANARY\nS3CR3T-CANARY = y\n\"\"\"\nlist = [\"S3CR3T-CANARY\", {a = 'S3CR3T-CANARY'}]\n[[items]]\nkey = \"S3CR3T-CANARY\"\n",
    ),
    ("db.txt", "S3CR3T-CANARY\nS3CR3T-CANARY\n"),
];

/// A world with alice's identity and a config for all files.
fn world() -> World {
    let world = World::with_identity("alice")
        .set("SOPS_EDITOR", "true")
        .set("AWS_EC2_METADATA_DISABLED", "true");
    world.write(
        ".sops-rs.yaml",
        format!("creation_rules:\n  - age: {ALICE}\n"),
    );
    world
}

/// Something that is done to a text at a place.
type Damage = fn(&mut Vec<u8>, usize);

/// Damage that can be done at any place of a text, and a name for it.
fn damages() -> Vec<(&'static str, Damage)> {
    fn insert(text: &mut Vec<u8>, at: usize, what: &[u8]) {
        text.splice(at..at, what.iter().copied());
    }
    vec![
        ("cut off", Vec::truncate),
        ("a byte lost", |text, at| {
            text.remove(at);
        }),
        ("a bit flipped", |text, at| {
            let byte = text.remove(at);
            text.insert(at, byte ^ 1);
        }),
        ("a quote", |text, at| insert(text, at, b"\"")),
        ("a tick", |text, at| insert(text, at, b"'")),
        ("a bracket", |text, at| insert(text, at, b"{[")),
        ("a colon", |text, at| insert(text, at, b": ")),
        ("an equals sign", |text, at| insert(text, at, b"=")),
        ("a line break", |text, at| insert(text, at, b"\n")),
        ("a tab", |text, at| insert(text, at, b"\n\t")),
        ("a NUL", |text, at| insert(text, at, b"\0")),
        ("Latin-1", |text, at| insert(text, at, b"\xfc")),
        ("a backslash", |text, at| insert(text, at, b"\\")),
        ("an alias", |text, at| insert(text, at, b"*")),
        ("a tag", |text, at| insert(text, at, b"!!binary ")),
        ("a conflict", |text, at| {
            insert(text, at, b"\n<<<<<<< HEAD\nx\n=======\ny\n>>>>>>> other\n");
        }),
    ]
}

/// The text, damaged.
fn damaged(text: &[u8], damage: Damage, at: usize) -> Vec<u8> {
    let mut text = text.to_vec();
    damage(&mut text, at);
    text
}

/// The file with every third line doubled: duplicate keys.
fn doubled(text: &str) -> String {
    text.lines()
        .enumerate()
        .map(|(number, line)| format!("{line}\n").repeat(1 + usize::from(number % 3 == 1)))
        .collect()
}

fn tells(bytes: &[u8]) -> bool {
    PIECES.iter().any(|piece| holds(bytes, piece))
}

/// Runs a command on a file that may be damaged: what it says must not tell.
#[track_caller]
fn assert_silent(world: &World, what: &str, arguments: &[&str]) -> Ran {
    let ran = world.run(arguments);
    assert!(ran.signal.is_none(), "{what}: {arguments:?}: {ran:?}");
    assert!(
        !tells(ran.stderr.as_bytes()),
        "{what}: {arguments:?} tells:\n{}",
        ran.stderr
    );
    assert!(
        !ran.stderr.contains("bug in sops-rs"),
        "{what}: {}",
        ran.stderr
    );
    // Asked for: the plaintext, by `decrypt`, if it succeeds.
    if ran.code != Some(0) {
        assert!(
            ran.stdout.is_empty(),
            "{what}: {arguments:?}: output in spite of an error"
        );
    }
    ran
}

/// No file of this world but those named holds the canary.
#[track_caller]
fn assert_nowhere(world: &World, what: &str, canary: &str, except: &[PathBuf]) {
    let mut found = world.files_with(canary);
    found.retain(|path| !except.contains(path));
    assert_eq!(found, [] as [&Path; 0], "{what}");
}

#[test]
fn damaged_plaintext_is_not_told() {
    let world = world();
    let canary = canary();
    let (mut failed, mut runs) = (0, 0);
    for (name, text) in plain(&canary) {
        let text = text.as_bytes();
        for at in (0..text.len()).step_by(text.len() / 8) {
            for (what, damage) in damages() {
                let plain = world.write(name, damaged(text, damage, at));
                let what = format!("{what} at byte {at} of {name}");
                runs += 1;
                // Which command it is takes turns; at the next place each damage meets the next command.
                let ran = match runs % 8 {
                    0 => assert_silent(&world, &what, &["decrypt", name]),
                    1 => assert_silent(&world, &what, &["edit", name]),
                    4 => assert_silent(&world, &what, &["rotate", name]),
                    5 => assert_silent(&world, &what, &["updatekeys", "-y", name]),
                    7 => assert_silent(&world, &what, &["explain", name]),
                    2 => assert_silent(&world, &what, &["filestatus", name]),
                    3 => assert_silent(&world, &what, &["encrypt", name]),
                    _ => assert_silent(&world, &what, &["encrypt", "--output", "x", name]),
                };
                failed += u32::from(ran.code != Some(0));
                // Damage can make a name or a clear value of the canary: sealed or not, that is what was asked for.
                drop(std::fs::remove_file(world.path("x")));
                if runs % 10 == 0 {
                    assert_nowhere(&world, &what, &canary, &[plain]);
                }
            }
        }
        let plain = world.write(name, doubled(str::from_utf8(text).expect("UTF-8")));
        for verb in ["encrypt", "decrypt", "edit", "filestatus"] {
            assert_silent(&world, "doubled lines", &[verb, name]);
        }
        drop(std::fs::remove_file(plain));
    }
    assert!(runs > 500, "{runs} runs");
    assert!(
        failed > runs / 2,
        "{failed} of {runs} runs failed: most should"
    );
}

#[test]
fn damaged_sealed_files_are_not_told() {
    let world = world();
    let canary = canary();
    let (mut failed, mut runs) = (0, 0);
    for (name, plain) in plain(&canary) {
        world.write(name, plain);
        world.ok(["encrypt", "--in-place", name]);
        let sealed = world.read(name);
        // The whole of it: a piece may stand in base64 by chance.
        assert!(!holds(sealed.as_bytes(), &canary));
        let text = sealed.as_bytes();
        for at in (0..text.len()).step_by(text.len() / 9) {
            for (what, damage) in damages() {
                world.write(name, damaged(text, damage, at));
                let what = format!("{what} at byte {at} of sealed {name}");
                runs += 1;
                let ran = match runs % 8 {
                    0 => assert_silent(&world, &what, &["filestatus", name]),
                    1 => assert_silent(&world, &what, &["edit", name]),
                    3 => assert_silent(&world, &what, &["rotate", name]),
                    4 => assert_silent(&world, &what, &["groups", "add", "-f", name, "-a", ALICE]),
                    7 => assert_silent(&world, &what, &["explain", "--json", name]),
                    2 => assert_silent(&world, &what, &["encrypt", name]),
                    _ => assert_silent(&world, &what, &["decrypt", name]),
                };
                failed += u32::from(ran.code != Some(0));
                assert_nowhere(&world, &what, &canary, &[]);
            }
        }
        world.write(name, doubled(&sealed));
        for verb in ["encrypt", "decrypt", "edit", "filestatus"] {
            assert_silent(&world, "doubled lines", &[verb, name]);
        }
    }
    assert!(runs > 500, "{runs} runs");
    assert!(
        failed > runs / 2,
        "{failed} of {runs} runs failed: most should"
    );
}

#[test]
fn values_typed_where_tokens_should_be_are_not_told() {
    let world = world();
    let canary = canary();
    for (name, plain) in plain(&canary) {
        world.write(name, plain);
        world.ok(["encrypt", "--in-place", name]);
        let sealed = world.read(name);
        let (before, token) = sealed.split_once("ENC[").expect("a token");
        let (_, behind) = token.split_once(']').expect("its end");
        for typed in [
            canary.clone(),
            format!("ENC[{canary}]"),
            format!("ENC[AES256_GCM,data:{canary},iv:{canary},tag:{canary},type:{canary}]"),
        ] {
            let file = world.write(name, format!("{before}{typed}{behind}"));
            for arguments in [
                &["decrypt", name][..],
                &["edit", name],
                &["decrypt", "--in-place", name],
                &["decrypt", "--output", "x", name],
                &["filestatus", name],
                &["encrypt", name],
            ] {
                assert_silent(&world, &typed, arguments);
            }
            // A comment may be clear, so a file with one may be opened.
            drop(std::fs::remove_file(world.path("x")));
            assert_nowhere(&world, &typed, &canary, &[file]);
        }
        std::fs::remove_file(world.path(name)).expect("the file");
    }
}

#[test]
fn refusals_do_not_tell() {
    let canary = canary();
    for (name, plain) in plain(&canary) {
        let world = world();
        let file = world.write(name, plain);
        let owned = file.to_str().expect("UTF-8").to_owned();
        // Sealing that is refused for what the options say.
        for options in [
            &["--encrypted-regex", "^absent$"][..],
            &["--encrypted-regex", "("],
            &["--unencrypted-regex", ".", "--encrypted-suffix", "x"],
            &["--unencrypted-regex", "."],
            &["--age", "age1wrong"],
            &["--kms", "arn:aws:kms:eu-west-1:111122223333:key/1"],
            &["--output", "absent/x"],
            &["--config", "absent"],
            &["--config", &owned],
            &["--shamir-secret-sharing-threshold", "300"],
        ] {
            let mut arguments = vec!["encrypt"];
            arguments.extend(options);
            arguments.push(name);
            let ran = assert_silent(&world, "refused", &arguments);
            // A binary file has no rules.
            assert!(
                ran.code != Some(0) || name == "db.txt" || options[1] == "300",
                "{arguments:?}"
            );
            assert_nowhere(&world, "refused", &canary, std::slice::from_ref(&file));
        }
        // Opening without a key, and with one that is wrong.
        world.ok(["encrypt", "--in-place", name]);
        for identity in ["", "bob"] {
            let stranger = if identity.is_empty() {
                World::new()
            } else {
                World::with_identity(identity)
            };
            for verb in ["decrypt", "edit"] {
                assert_silent(&stranger, "a stranger", &[verb, &owned]);
            }
        }
        assert_nowhere(&world, "refused", &canary, &[]);
    }
}

#[test]
fn explanations_do_not_tell() {
    let canary = canary();
    let world = world();
    for (name, plain) in plain(&canary) {
        world.write(name, plain);
        let stranger = World::with_identity("bob");
        let path = world.path(name);
        let path = path.to_str().expect("UTF-8");
        for sealed in [false, true] {
            if sealed {
                world.ok(["encrypt", "--in-place", name]);
            }
            for (who, file) in [(&world, name), (&stranger, path)] {
                for arguments in [&["explain", file][..], &["explain", "--json", file]] {
                    let ran = assert_silent(who, "explained", arguments);
                    assert_eq!(ran.code, Some(0), "{name}: {}", ran.stderr);
                    assert!(!tells(&ran.stdout), "{name}: {}", ran.text());
                }
            }
        }
        assert_nowhere(&world, "explained", &canary, &[]);
    }
}

#[test]
fn edits_that_go_wrong_do_not_tell() {
    let typed = [
        ("db.yaml", "a: [S3CR3T-CANARY\n"),
        ("db.yaml", "a: \"S3CR3T-CANARY\n"),
        ("db.yaml", "a: S3CR3T-CANARY\na: S3CR3T-CANARY\n"),
        ("db.yaml", "a: *S3CR3T-CANARY\n"),
        ("db.yaml", "a:\n  x\n  S3CR3T-CANARY: y\n"),
        ("db.yaml", "- x\n  S3CR3T-CANARY: y\n"),
        ("db.json", "{\"a\": S3CR3T-CANARY}"),
        ("db.json", "S3CR3T-CANARY"),
        ("db.json", "{\"a\": [\n\"S3CR3T-CANARY\": 1]}"),
        ("db.env", "S3CR3T-CANARY\n"),
        ("db.ini", "S3CR3T-CANARY\n[a\n"),
        ("db.ini", "[a]\nb = \"\"\"S3CR3T-CANARY\n"),
        ("db.toml", "a = S3CR3T-CANARY\n"),
        ("db.toml", "a = \"S3CR3T-CANARY\n"),
        ("db.toml", "a = 'S3CR3T-CANARY' 'S3CR3T-CANARY'\n"),
        ("db.toml", "a = \"\"\"\nS3CR3T-CANARY = x\n\"\"\"\nb\n"),
        ("db.toml", "a = \"\"\"\nS3CR3T-CANARY = x\n"),
        ("db.toml", "a = \"S3CR3T-CANARY\\q\"\n"),
        ("db.toml", "a = 'x'\na = 'S3CR3T-CANARY'\n"),
    ];
    for (name, text) in typed {
        let world = world();
        let canary = canary();
        let text = text.replace("S3CR3T-CANARY", &canary);
        let plain = plain(&canary).into_iter().find(|(other, _)| *other == name);
        let (_, plain) = plain.expect("a format");
        world.write(name, plain);
        world.ok(["encrypt", "--in-place", name]);
        // What is typed comes through a pipe, so that it is in no file of this world.
        let mut command = world.command(["edit", name]);
        command
            .env("SOPS_EDITOR", "sh -c 'printf %s \"$TYPED\" > \"$0\"'")
            .env("TYPED", &text);
        let ran = Ran::from(command.output().expect("it runs"));
        assert_ne!(ran.code, Some(0), "{text}");
        assert!(!tells(ran.stderr.as_bytes()), "{text}: {}", ran.stderr);
        assert!(ran.stdout.is_empty());
        assert_nowhere(&world, &text, &canary, &[]);
    }
}

#[test]
fn identities_are_not_told() {
    let key = std::fs::read_to_string(sops_fixtures().join("keys/alice.age.txt")).expect("a key");
    let secret = key
        .split_whitespace()
        .find(|word| word.starts_with("AGE-SECRET-KEY-"))
        .expect("a key");
    let bare = secret.trim_start_matches("AGE-SECRET-KEY-");
    let (start, rest) = secret.split_at(40);
    let piece = bare.split_at(24).0;
    let world = World::new();
    world.write("db.yaml", "a: b\n");
    world.ok(["encrypt", "-i", "--age", ALICE, "db.yaml"]);
    let damaged = [
        secret.replacen('A', "B", 1),
        start.to_owned(),
        format!("{secret}X"),
        secret.to_lowercase(),
        format!("key: {secret}"),
        format!("{secret} {secret}"),
        format!("AGE-PLUGIN-ABSENT-{bare}"),
        format!("{start}O{rest}"),
    ];
    for text in &damaged {
        for variable in [
            "SOPS_AGE_KEY",
            "SOPS_AGE_KEY_FILE",
            "SOPS_AGE_KEY_CMD",
            "SOPS_AGE_SSH_PRIVATE_KEY_FILE",
        ] {
            let file = world.write("keys.txt", text);
            let value = match variable {
                "SOPS_AGE_KEY" => text.clone(),
                "SOPS_AGE_KEY_CMD" => format!("cat {}", file.display()),
                _ => file.to_str().expect("UTF-8").to_owned(),
            };
            let mut command = world.command(["decrypt", "db.yaml"]);
            let ran = Ran::from(command.env(variable, value).output().expect("it runs"));
            let told = ran.stderr.to_uppercase().contains(piece);
            assert!(!told, "{variable}: {}", ran.stderr);
        }
    }
    // Given where a recipient belongs.
    for arguments in [
        &["encrypt", "--age", secret, "db.yaml"][..],
        &["init", "--yes", "--recipient", secret],
    ] {
        let ran = world.run(arguments);
        assert_ne!(ran.code, Some(0));
        assert!(!ran.stderr.contains(piece), "{}", ran.stderr);
    }
    world.write("plain.yaml", "a: b\n");
    world.write(
        ".sops-rs.yaml",
        format!("creation_rules:\n  - age: {secret}\n"),
    );
    let ran = world.run(["encrypt", "plain.yaml"]);
    assert_eq!(ran.code, Some(1));
    assert!(!ran.stderr.contains(piece), "{}", ran.stderr);
}

#[test]
fn a_key_in_the_place_of_a_path_is_not_shown() {
    for key in [
        "AGE-SECRET-KEY-1CANARY",
        "age-plugin-x-1CANARY",
        " -----BEGIN CANARY",
    ] {
        let world = World::new().set("SOPS_AGE_KEY_FILE", key);
        let file = sops_fixtures().join("sealed/two-recipients.yaml");
        for arguments in [["decrypt", file.to_str().expect("UTF-8")], ["init", "."]] {
            let ran = world.run(arguments);
            assert_ne!(ran.code, Some(0));
            assert!(!ran.stderr.contains("CANARY"), "{}", ran.stderr);
            assert!(
                arguments[0] == "init" || ran.stderr.contains("use SOPS_AGE_KEY"),
                "{}",
                ran.stderr
            );
        }
    }
}
