//! Who can open a file: `rotate`, `updatekeys` and `groups` with the real program, in every format (spec 4.6, 6, 9.4, 9.8, 9.9).

use std::process::Stdio;

use sops_rs::document::Document;
use sops_rs::format::Format;
use sops_rs::metadata::Metadata;

use crate::spec_reader::{self, Keys};
use crate::support::{ALICE, BOB, World, sops_fixtures};

/// Carol's public key.
const CAROL: &str = "age1wkmlraupk3fa2dtl4utve4es6eyfy0p4585qzmk5xhel7586ka8sll6n4u";

/// One small file of every format.
const FILES: [(&str, &str); 6] = [
    (
        "app.yaml",
        "# top\na: 'x'   # kept\nb: [1, true]\nc_unencrypted: yes\nd: |\n  two\n  lines\n",
    ),
    (
        "app.json",
        "{\n  \"a\": \"x\",\n  \"n\": [1, 2.5, null]\n}\n",
    ),
    ("app.env", "# top\nA=x\nB=two\\nlines\n"),
    ("app.ini", "; top\n[s]\na = x\nb=\"y\"\n"),
    (
        "app.toml",
        "# top\na = 'x' # kept\n[t]\nb = [1_0, true]\n[[l]]\nc_unencrypted = 1979-05-27\nd = \"\"\"\ntwo\nlines\"\"\"\n",
    ),
    ("app.txt", "any bytes\n\u{0}at all"),
];

fn config(world: &World, recipients: &str) {
    world.write(
        ".sops.yaml",
        format!("creation_rules:\n  - age: {recipients}\n"),
    );
}

/// A world with `who`'s identity, a config that names alice and bob, and every file sealed for both.
fn sealed_for_two(who: &str) -> World {
    let world = World::with_identity(who);
    config(&world, &format!("{ALICE},{BOB}"));
    for (name, plain) in FILES {
        world.write(name, plain);
        world.ok(["encrypt", "-i", name]);
    }
    world
}

fn metadata(world: &World, name: &str) -> Metadata {
    let text = world.read(name);
    let document = Document::parse(Format::of_path(name), &text).expect("a document");
    Metadata::of(&document).expect("metadata").expect("some")
}

fn recipients(world: &World, name: &str) -> Vec<Vec<String>> {
    let groups = metadata(world, name).groups;
    let of = |group: &Vec<sops_rs::recipient::WrappedKey>| {
        group.iter().map(|key| key.recipient.identity()).collect()
    };
    groups.iter().map(of).collect()
}

/// Has the other reader judge what was written.
fn judge(world: &World, name: &str) {
    let keys = Keys::of_identities(["alice", "bob"].map(identity));
    let format = spec_reader::Format::of_path(name);
    spec_reader::accept(name, &world.read(name), format, &keys);
}

/// Whether somebody with this identity opens the file, and to what.
fn opens(world: &World, who: &str, name: &str) -> Option<Vec<u8>> {
    let file = sops_fixtures().join("keys").join(format!("{who}.age.txt"));
    let mut command = world.command(["decrypt", name]);
    let output = command
        .env_remove("SOPS_AGE_KEY")
        .env("SOPS_AGE_KEY_FILE", file)
        .output()
        .expect("it runs");
    match output.status.code() {
        Some(0) => Some(output.stdout),
        Some(128) => None,
        other => panic!("{other:?}: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

// --- rotate -----------------------------------------------------------------------------------------------------------

#[test]
fn rotate_gives_a_new_key_and_changes_nothing_that_is_no_secret() {
    let world = sealed_for_two("alice");
    for (name, plain) in FILES {
        let before = world.read(name);
        let old = metadata(&world, name);
        world.ok(["rotate", "-i", name]);
        let after = world.read(name);
        let tokens = |text: &str| -> Vec<String> {
            text.split("ENC[")
                .skip(1)
                .map(|rest| rest.split(']').next().expect("an end").to_owned())
                .collect()
        };
        let (old_tokens, new_tokens) = (tokens(&before), tokens(&after));
        assert_eq!(old_tokens.len(), new_tokens.len(), "{name}");
        assert!(
            new_tokens.iter().all(|token| !old_tokens.contains(token)),
            "{name}"
        );
        let new = metadata(&world, name);
        assert_eq!(old.version, new.version, "{name}");
        for (one, other) in old.keys().zip(new.keys()) {
            assert_eq!(one.recipient, other.recipient, "{name}");
            assert_ne!(one.enc, other.enc, "{name}");
        }
        for who in ["alice", "bob"] {
            assert_eq!(
                opens(&world, who, name).as_deref(),
                Some(plain.as_bytes()),
                "{name}"
            );
        }
        assert_eq!(opens(&world, "carol", name), None, "{name}");
        judge(&world, name);
    }
}

#[test]
fn the_old_key_does_not_open_the_new_file() {
    let world = sealed_for_two("alice");
    for (name, _) in FILES {
        let old = metadata(&world, name);
        world.ok(["rotate", "-i", name]);
        // Somebody who was removed puts his old entries back.
        let mut text = world.read(name);
        let new = metadata(&world, name);
        for (one, other) in old.keys().zip(new.keys()) {
            for escape in ["\n", "\\n"] {
                text = text.replace(
                    &other.enc.replace('\n', escape),
                    &one.enc.replace('\n', escape),
                );
            }
            let indented = |enc: &str| enc.replace('\n', "\n            ");
            text = text.replace(
                indented(&other.enc).trim_end(),
                indented(&one.enc).trim_end(),
            );
        }
        world.write(name, &text);
        assert_eq!(
            metadata(&world, name).groups,
            old.groups,
            "{name}: the attack is one"
        );
        let ran = world.run(["decrypt", name]);
        assert!(matches!(ran.code, Some(25 | 51)), "{name}: {}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{name}");
    }
}

#[test]
fn rotate_adds_to_the_first_group_and_removes_from_all() {
    let world = sealed_for_two("alice");
    for (name, plain) in FILES {
        let arguments = ["rotate", "-i", "--add-age", CAROL, "--rm-age", BOB, name];
        world.ok(arguments);
        assert_eq!(recipients(&world, name), [[ALICE, CAROL]], "{name}");
        assert_eq!(
            opens(&world, "carol", name).as_deref(),
            Some(plain.as_bytes()),
            "{name}"
        );
        assert_eq!(opens(&world, "bob", name), None, "{name}");
    }
    // Who is no recipient cannot be removed; that is said.
    let ran = world.run([
        "rotate",
        "-i",
        "--rm-age",
        BOB,
        "--keep-unknown",
        "app.yaml",
    ]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("was no recipient, so nobody was removed"),
        "{}",
        ran.stderr
    );
    // Nor can everybody.
    let before = world.read("app.yaml");
    let arguments = [
        "rotate", "-i", "--rm-age", ALICE, "--rm-age", CAROL, "app.yaml",
    ];
    let message = world.fails(1, arguments);
    assert!(message.contains("key group 0 is empty"), "{message}");
    assert_eq!(world.read("app.yaml"), before);
}

#[test]
fn rotate_prints_unless_told_otherwise() {
    let world = sealed_for_two("alice");
    let before = world.read("app.json");
    let printed = String::from_utf8(world.ok(["rotate", "app.json"])).expect("UTF-8");
    assert_ne!(printed, before);
    assert_eq!(world.read("app.json"), before, "it stays");
    world.ok(["rotate", "--output", "other.json", "app.json"]);
    assert_eq!(
        opens(&world, "bob", "other.json"),
        opens(&world, "bob", "app.json")
    );
    let message = world.fails(8, ["rotate", "app.json", "app.yaml"]);
    assert!(message.contains("add `--in-place`"), "{message}");
    world.fails(8, ["rotate", "--output-type", "yaml", "app.json"]);
    assert_eq!(world.run(["rotate"]).code, Some(100));
    assert_eq!(world.run(["rotate", "absent.yaml"]).code, Some(100));
}

#[test]
fn rotate_verifies_the_mac_first() {
    let world = World::with_identity("alice");
    let bad = sops_fixtures().join("tampered/clear-value-changed.yaml");
    let text = std::fs::read_to_string(bad).expect("the fixture");
    world.write("bad.yaml", &text);
    world.fails(51, ["rotate", "-i", "bad.yaml"]);
    assert_eq!(world.read("bad.yaml"), text);
}

/// The attack: somebody who can push, but not open, writes himself into the file. With SOPS the next `rotate` hands him the
/// key.
#[test]
fn a_recipient_that_was_pushed_into_a_file_gets_nothing() {
    let world = sealed_for_two("alice");
    for (name, plain) in FILES {
        let before = world.read(name);
        let pushed = before.replace(BOB, CAROL);
        assert_ne!(pushed, before);
        world.write(name, &pushed);
        let message = world.fails(1, ["rotate", "-i", name]);
        assert!(
            message.contains(CAROL) && message.contains("--keep-unknown"),
            "{message}"
        );
        assert!(!message.contains(ALICE), "{message}");
        assert_eq!(world.read(name), pushed, "{name}: nothing was written");
        // An option to keep him is needed, or one to take him out, or a rule that names him.
        world.ok(["rotate", "-i", "--rm-age", CAROL, name]);
        assert_eq!(recipients(&world, name), [[ALICE]], "{name}");
        world.write(name, &pushed);
        world.ok(["rotate", "-i", "--keep-unknown", name]);
        assert_eq!(
            opens(&world, "carol", name).as_deref(),
            Some(plain.as_bytes()),
            "{name}"
        );
        world.write(name, &pushed);
        world.ok(["rotate", "-i", "--add-age", CAROL, name]);
        assert_eq!(recipients(&world, name), [[ALICE, CAROL]], "{name}");
    }
}

/// The same with groups: who has a share of one group writes himself into another, or lowers the threshold.
#[test]
fn what_was_pushed_into_groups_is_refused() {
    let world = World::new().set("SOPS_AGE_KEY", &both_keys());
    world.write(
        ".sops.yaml",
        format!("creation_rules:\n  - shamir_threshold: 3\n    key_groups:\n      - age: [{ALICE}]\n      - age: [{BOB}]\n      - age: [{BOB}]\n"),
    );
    world.write("a.yaml", "a: x\n");
    world.ok(["encrypt", "-i", "a.yaml"]);
    let before = world.read("a.yaml");
    world.ok(["rotate", "a.yaml"]);
    for (from, to, told) in [
        (ALICE, BOB, "in group 1"),
        (
            "shamir_threshold: 3",
            "shamir_threshold: 2",
            "2 group(s) would be enough, where the rule asks for 3",
        ),
    ] {
        let pushed = before.replace(from, to);
        assert_ne!(pushed, before);
        world.write("a.yaml", &pushed);
        let message = world.fails(1, ["rotate", "-i", "a.yaml"]);
        assert!(message.contains(told), "{message}");
        assert_eq!(world.read("a.yaml"), pushed);
    }
    // A rule that has become stricter: first the recipients, then the key.
    world.write(
        "a.yaml",
        before.replace("shamir_threshold: 3", "shamir_threshold: 2"),
    );
    world.ok(["updatekeys", "-y", "a.yaml"]);
    world.ok(["rotate", "-i", "a.yaml"]);
}

#[test]
fn where_no_rule_is_for_a_file_whoever_the_config_names_is_known() {
    let world = sealed_for_two("alice");
    std::fs::remove_file(world.path(".sops.yaml")).expect("the config");
    world.ok(["rotate", "-i", "app.yaml"]);
    assert_eq!(recipients(&world, "app.yaml"), [[ALICE, BOB]]);
    world.write(
        ".sops.yaml",
        format!("creation_rules:\n  - path_regex: nothing\n    age: {CAROL}\n"),
    );
    // A file that was moved out of reach of its rule is no way around it.
    let message = world.fails(1, ["rotate", "-i", "app.yaml"]);
    assert!(
        message.contains("recipients that the config does not name") && message.contains(BOB),
        "{message}"
    );
    world.ok(["rotate", "-i", "--keep-unknown", "app.yaml"]);
    let more = format!("  - path_regex: other\n    age: {ALICE},{BOB}\n");
    world.write(".sops.yaml", world.read(".sops.yaml") + &more);
    world.ok(["rotate", "-i", "app.yaml"]);
    // The rule is the one of the name that is given.
    let message = world.fails(
        1,
        [
            "rotate",
            "-i",
            "--filename-override",
            "nothing.yaml",
            "app.yaml",
        ],
    );
    assert!(
        message.contains(ALICE) && message.contains(BOB),
        "{message}"
    );
    // A config that cannot be read must not count as none.
    world.write(".sops.yaml", "creation_rules: {");
    world.fails(1, ["rotate", "-i", "app.yaml"]);
}

/// Puts a recipient of a kind that this version does not know into a file. Its value has dots, which no token has by chance.
fn with_future_key(world: &World, name: &str) {
    let text = world.read(name);
    let text = match Format::of_path(name) {
        Format::Yaml => text.replace(
            "sops:\n",
            "sops:\n    future_kms:\n        - {enc: 'x.y.z', key: \"k\"} # mine\n",
        ),
        Format::Json | Format::Binary => {
            let at = text.find("\"sops\": {").expect("metadata") + 9;
            let (head, tail) = text.split_at(at);
            format!("{head}\"future_kms\":[{{\"enc\": \"x.y.z\",\"key\": \"k\"}}],{tail}")
        }
        Format::Dotenv => format!(
            "{text}sops_future_kms__list_0__map_enc=x.y.z\nsops_future_kms__list_0__map_key=k\n"
        ),
        Format::Toml => format!("{text}\n[[sops.future_kms]]\nenc = 'x.y.z'\nkey = \"k\"\n"),
        Format::Ini => {
            format!("{text}future_kms__list_0__map_enc=x.y.z\nfuture_kms__list_0__map_key  =  k\n")
        }
    };
    world.write(name, text);
    let future = "unknown recipient in `future_kms`".to_owned();
    assert!(recipients(world, name).concat().contains(&future), "{name}");
}

/// The lines that [`with_future_key`] wrote.
fn future_lines(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| line.contains("future_kms") || line.contains("x.y.z"))
        .collect()
}

#[test]
fn a_recipient_of_an_unknown_kind_survives_updatekeys_and_stops_rotate() {
    let world = sealed_for_two("alice");
    config(&world, &format!("{ALICE},{CAROL}"));
    for (name, plain) in FILES {
        with_future_key(&world, name);
        let before = world.read(name);
        world.ok(["updatekeys", "-y", name]);
        let after = world.read(name);
        assert_eq!(future_lines(&after), future_lines(&before), "{name}");
        assert_eq!(recipients(&world, name).concat().len(), 3, "{name}");
        assert_eq!(
            opens(&world, "carol", name).as_deref(),
            Some(plain.as_bytes()),
            "{name}"
        );
        let message = world.fails(1, ["rotate", "-i", name]);
        assert!(
            message.contains("future_kms") && message.contains("--rm-unsupported"),
            "{message}"
        );
        assert_eq!(world.read(name), after, "{name}");
        world.ok(["rotate", "-i", "--rm-unsupported", name]);
        assert_eq!(recipients(&world, name), [[ALICE, CAROL]], "{name}");
        assert_eq!(future_lines(&world.read(name)), [""; 0], "{name}");
    }
}

// --- updatekeys -------------------------------------------------------------------------------------------------------

#[test]
fn updatekeys_shows_asks_and_writes_only_who_comes_and_goes() {
    let world = sealed_for_two("alice");
    config(&world, &format!("{CAROL},{ALICE}"));
    for (name, plain) in FILES {
        let (before, old) = (world.read(name), metadata(&world, name));
        let plan = format!(
            "The following changes will be made to the file's groups:\nGroup 1\n    {ALICE}\n+++ {CAROL}\n--- {BOB}\n"
        );
        let ran = world.run_with(["updatekeys", name], b"n\n");
        assert_eq!(
            (ran.code, ran.text()),
            (Some(0), plan.clone()),
            "{}",
            ran.stderr
        );
        assert_eq!(world.read(name), before, "{name}: no means no");
        let ran = world.run_with(["updatekeys", name], b"");
        assert_eq!(ran.code, Some(1), "nobody answered: {}", ran.stderr);
        let ran = world.run_with(["updatekeys", name], b"what\ny\n");
        assert_eq!((ran.code, ran.text()), (Some(0), plan), "{}", ran.stderr);
        assert_eq!(
            ran.stderr.matches("Is this okay? (y/n):").count(),
            2,
            "{}",
            ran.stderr
        );
        let new = metadata(&world, name);
        assert_eq!(recipients(&world, name), [[CAROL, ALICE]], "{name}");
        let of_alice = |metadata: &Metadata| {
            metadata
                .keys()
                .find(|key| key.recipient.identity() == ALICE)
                .cloned()
        };
        assert_eq!(
            of_alice(&new),
            of_alice(&old),
            "{name}: her entry is not made anew"
        );
        assert_eq!(
            (new.mac, new.lastmodified, new.version),
            (old.mac, old.lastmodified, old.version)
        );
        assert_eq!(
            opens(&world, "carol", name).as_deref(),
            Some(plain.as_bytes()),
            "{name}"
        );
        assert_eq!(opens(&world, "bob", name), None, "{name}");
        judge(&world, name);
        let ran = world.run(["updatekeys", name]);
        let same = format!("File {} already up to date", world.path(name).display());
        assert_eq!((ran.code, ran.text().as_str()), (Some(0), ""));
        assert!(ran.stderr.contains(&same), "{}", ran.stderr);
    }
}

/// Somebody comes and goes again, in texts of every shape: what was there before is there again, byte for byte.
#[test]
fn the_layout_of_the_metadata_is_kept() {
    let layouts = [
        ("crlf.yaml", "a: x\r\nb:\r\n  - y\r\n"),
        ("crlf.json", "{\r\n  \"a\": \"x\"\r\n}\r\n"),
        ("crlf.ini", "[s]\r\na = x\r\n"),
        ("crlf.env", "A=x\r\nB=y\r\n"),
        ("crlf.toml", "[s]\r\na = 'x'\r\n"),
        ("end.yaml", "a: x"),
        ("end.env", "A=x"),
        ("end.ini", "[s]\na = x"),
        ("end.toml", "[s]\na = 'x' # c"),
        ("documents.yaml", "a: x\n---\n# c\nb: y\n...\n"),
        ("flow.yaml", "{a: x, b: [1, 'y'],}\n"),
        ("line.json", "{\"a\":\"x\",\"b\":[1]}"),
        ("wide.json", "{\n        \"a\": \"x\"\n}\n"),
        ("nothing.json", "{}"),
    ];
    let world = World::with_identity("alice");
    for (name, plain) in layouts {
        config(&world, ALICE);
        world.write(name, plain);
        world.ok(["encrypt", "-i", "--allow-clear", name]);
        let before = world.read(name);
        config(&world, &format!("{ALICE},{BOB}"));
        world.ok(["updatekeys", "-y", name]);
        assert_eq!(
            opens(&world, "bob", name).as_deref(),
            Some(plain.as_bytes()),
            "{name}"
        );
        judge(&world, name);
        config(&world, ALICE);
        world.ok(["updatekeys", "-y", name]);
        assert_eq!(world.read(name), before, "{name}");
        world.ok(["rotate", "-i", name]);
        assert_eq!(world.ok(["decrypt", name]), plain.as_bytes(), "{name}");
        judge(&world, name);
    }
}

#[test]
fn updatekeys_check_opens_nothing_and_writes_nothing() {
    let world = sealed_for_two("alice");
    // There is no identity anywhere.
    let nobody = World::new();
    for (name, _) in FILES {
        nobody.write(name, world.read(name));
    }
    config(&nobody, &format!("{BOB},{ALICE}"));
    nobody.ok(["updatekeys", "--check", "-r", "."]);
    config(&nobody, ALICE);
    let ran = nobody.run(["updatekeys", "--check", "-r", "."]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let listed = ran.text();
    assert!(
        listed.contains("the groups of 6 file(s)") && listed.contains(&format!("--- {BOB}")),
        "{listed}"
    );
    assert_eq!(
        listed.matches("Group 1").count(),
        1,
        "equal changes are shown once: {listed}"
    );
    assert!(
        ran.stderr.contains("6 of 6 file(s) have other recipients"),
        "{}",
        ran.stderr
    );
    for (name, _) in FILES {
        assert_eq!(nobody.read(name), world.read(name));
        assert!(listed.contains(name), "{listed}");
        let ran = nobody.run(["updatekeys", "--check", name]);
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    }
    // Nor is anybody needed to take somebody out.
    nobody.ok(["updatekeys", "-y", "app.yaml"]);
    assert_eq!(recipients(&nobody, "app.yaml"), [[ALICE]]);
    // But to let somebody in.
    config(&nobody, CAROL);
    assert_eq!(nobody.run(["updatekeys", "-y", "app.yaml"]).code, Some(128));
}

#[test]
fn updatekeys_can_keep_whom_the_config_does_not_name() {
    let world = sealed_for_two("alice");
    config(&world, CAROL);
    world.ok(["updatekeys", "-y", "--keep-unknown", "app.yaml"]);
    assert_eq!(recipients(&world, "app.yaml"), [[CAROL, ALICE, BOB]]);
    world.ok(["updatekeys", "--check", "--keep-unknown", "app.yaml"]);
    world.ok(["updatekeys", "-y", "app.yaml"]);
    assert_eq!(recipients(&world, "app.yaml"), [[CAROL]]);
}

#[test]
fn updatekeys_follows_groups_by_position_and_the_threshold_of_the_rule() {
    let world = sealed_for_two("alice");
    let groups = |groups: &[&str], more: &str| {
        let list: String = groups
            .iter()
            .map(|one| format!("      - age: [{one}]\n"))
            .collect();
        world.write(
            ".sops.yaml",
            format!("creation_rules:\n  - key_groups:\n{list}{more}"),
        );
    };
    for (name, plain) in FILES {
        groups(&[ALICE, BOB, CAROL], "    shamir_threshold: 1\n");
        let message = world.run(["updatekeys", "-y", name]);
        assert_eq!(
            message.code,
            Some(1),
            "a threshold of 1 is none: {}",
            message.stderr
        );
        groups(&[ALICE, BOB, CAROL], "    shamir_threshold: 2\n");
        let shown = String::from_utf8(world.ok(["updatekeys", "-y", name])).expect("UTF-8");
        assert!(
            shown.contains("+++ shamir_threshold: 2\nGroup 1\n"),
            "{shown}"
        );
        assert!(
            shown.contains(&format!("Group 2\n+++ {BOB}\nGroup 3\n+++ {CAROL}\n")),
            "{shown}"
        );
        assert_eq!(
            recipients(&world, name),
            [[ALICE], [BOB], [CAROL]],
            "{name}"
        );
        assert_eq!(opens(&world, "alice", name), None, "{name}: one of two");
        let two = World::new().set("SOPS_AGE_KEY", &both_keys());
        two.write(name, world.read_bytes(name));
        assert_eq!(two.ok(["decrypt", name]), plain.as_bytes(), "{name}");
        // Other positions are another file.
        two.write(
            ".sops.yaml",
            world
                .read(".sops.yaml")
                .replace(ALICE, "X")
                .replace(BOB, ALICE)
                .replace('X', BOB),
        );
        assert_eq!(
            two.run(["updatekeys", "--check", name]).code,
            Some(1),
            "{name}"
        );
        // The threshold alone is a change as well.
        two.write(
            ".sops.yaml",
            world
                .read(".sops.yaml")
                .replace("threshold: 2", "threshold: 3"),
        );
        let shown = String::from_utf8(two.ok(["updatekeys", "-y", name])).expect("UTF-8");
        assert!(
            shown.contains("+++ shamir_threshold: 3\n--- shamir_threshold: 2\n"),
            "{shown}"
        );
        assert_eq!(
            two.run(["decrypt", name]).code,
            Some(128),
            "{name}: two of three"
        );
        // And back to one group, with the key whole.
        world.write(
            ".sops.yaml",
            format!("creation_rules:\n  - age: {ALICE},{BOB}\n"),
        );
        let two = World::new().set("SOPS_AGE_KEY", &both_keys());
        two.write(name, world.read_bytes(name));
        two.write(".sops.yaml", world.read(".sops.yaml"));
        two.ok(["updatekeys", "-y", name]);
        assert_eq!(metadata(&two, name).shamir_threshold, 0, "{name}");
        judge(&two, name);
        assert_eq!(
            opens(&two, "bob", name).as_deref(),
            Some(plain.as_bytes()),
            "{name}"
        );
    }
}

/// Alice's and bob's identities.
fn both_keys() -> String {
    identity("alice") + &identity("bob")
}

fn identity(who: &str) -> String {
    let path = sops_fixtures().join("keys").join(format!("{who}.age.txt"));
    std::fs::read_to_string(path).expect("the key")
}

#[test]
fn updatekeys_says_what_it_cannot_do() {
    let world = sealed_for_two("carol");
    config(&world, CAROL);
    world.write("plain.yaml", "a: b\n");
    assert_eq!(world.run(["updatekeys", "-y", "plain.yaml"]).code, Some(1));
    assert_eq!(
        world.run(["updatekeys", "-y", "app.yaml"]).code,
        Some(128),
        "carol is nobody here"
    );
    assert_eq!(
        world.run(["updatekeys", "-y", "."]).code,
        Some(100),
        "a directory"
    );
    std::fs::remove_file(world.path(".sops.yaml")).expect("the config");
    assert_eq!(
        world.run(["updatekeys", "-y", "app.yaml"]).code,
        Some(1),
        "no config"
    );
}

#[test]
fn a_file_that_changes_during_the_question_is_left_alone() {
    let world = sealed_for_two("alice");
    config(&world, ALICE);
    let mut command = world.command(["updatekeys", "app.yaml"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    // The plan is printed before the question.
    let mut plan = [0; 1];
    std::io::Read::read_exact(child.stdout.as_mut().expect("a pipe"), &mut plan).expect("a plan");
    let other = format!("{}# meanwhile\n", world.read("app.yaml"));
    world.write("app.yaml", &other);
    std::io::Write::write_all(child.stdin.as_mut().expect("a pipe"), b"y\n").expect("an answer");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(world.read("app.yaml"), other);
}

// --- groups -----------------------------------------------------------------------------------------------------------

#[test]
fn groups_are_added_and_deleted() {
    for (name, plain) in FILES {
        let world = World::new().set("SOPS_AGE_KEY", &both_keys());
        config(&world, ALICE);
        world.write(name, plain);
        world.ok(["encrypt", "-i", name]);
        let whole = metadata(&world, name);
        let printed = world.ok(["groups", "add", "-f", name, "--age", BOB]);
        assert_ne!(printed, world.read_bytes(name), "printed, not written");
        world.ok(["groups", "add", "-i", "-f", name, "--age", BOB]);
        assert_eq!(recipients(&world, name), [[ALICE], [BOB]], "{name}");
        assert_eq!(
            metadata(&world, name).shamir_threshold,
            2,
            "{name}: all, if nothing is said"
        );
        assert_eq!(opens(&world, "alice", name), None, "{name}");
        let third = ["groups", "add", "-i", "-f", name, "--age", CAROL];
        // Bob would get a new share, and the config does not name him.
        let message = world.fails(1, third);
        assert!(message.contains(&format!("{BOB}, in group 2")), "{message}");
        let third = [&third[..], &["--keep-unknown"]].concat();
        world.ok([&third[..], &["--shamir-secret-sharing-threshold", "2"]].concat());
        assert_eq!(
            recipients(&world, name),
            [[ALICE], [BOB], [CAROL]],
            "{name}"
        );
        assert_eq!(world.ok(["decrypt", name]), plain.as_bytes(), "{name}");
        judge(&world, name);
        let message = world.fails(1, ["groups", "delete", "-i", "-f", name, "3"]);
        assert!(
            message.contains("counted from 0") && message.contains(CAROL),
            "{message}"
        );
        world.ok(["groups", "delete", "--keep-unknown", "-i", "-f", name, "2"]);
        let message = world.fails(1, ["groups", "delete", "-i", "-f", name, "1"]);
        assert!(
            message.contains("1 group(s) would be left, and 2 are needed"),
            "{message}"
        );
        let one = [
            "groups",
            "delete",
            "-i",
            "-f",
            name,
            "1",
            "--shamir-secret-sharing-threshold",
            "1",
        ];
        world.ok(one);
        assert_eq!(recipients(&world, name), [[ALICE]], "{name}");
        assert_eq!(
            opens(&world, "alice", name).as_deref(),
            Some(plain.as_bytes()),
            "{name}: whole again"
        );
        let now = metadata(&world, name);
        assert_eq!(
            (now.mac, now.lastmodified, now.shamir_threshold),
            (whole.mac, whole.lastmodified, 0)
        );
        world.fails(1, ["groups", "delete", "-i", "-f", name, "0"]);
        world.fails(1, ["groups", "add", "-i", "-f", name]);
        world.fails(
            1,
            ["groups", "add", "-i", "-f", name, "--age", "age1nonsense"],
        );
    }
}

/// The attack of `rotate`, by way of the shares.
#[test]
fn whoever_pushed_himself_into_a_group_gets_no_share() {
    let world = sealed_for_two("alice");
    for (name, _) in FILES {
        let before = world.read(name);
        let pushed = before.replace(BOB, CAROL);
        world.write(name, &pushed);
        for verb in [&["add", "--age", BOB][..], &["delete", "0"]] {
            let arguments = [&["groups"], verb, &["-i", "-f", name]].concat();
            let message = world.fails(1, arguments);
            let alone = message.contains("one key group only");
            assert!(message.contains(CAROL) || alone, "{message}");
            assert_eq!(world.read(name), pushed, "{name}: nothing was written");
        }
    }
    // Nor if a group is deleted and the other gets the whole key; who is deleted may be anybody.
    let world = World::new().set("SOPS_AGE_KEY", &both_keys());
    let rule = |second: &str| {
        let groups = format!("      - age: [{ALICE}]\n      - age: [{second}]\n");
        world.write(
            ".sops.yaml",
            format!("creation_rules:\n  - key_groups:\n{groups}"),
        );
    };
    rule(BOB);
    world.write("app.yaml", "a: b\n");
    world.ok(["encrypt", "-i", "app.yaml"]);
    rule(CAROL);
    let delete = ["groups", "delete", "-i", "-f", "app.yaml"];
    let delete = [&delete[..], &["--shamir-secret-sharing-threshold", "1"]].concat();
    let message = world.fails(1, [&delete[..], &["0"]].concat());
    assert!(message.contains(BOB), "{message}");
    world.ok([&delete[..], &["1"]].concat());
    assert_eq!(recipients(&world, "app.yaml"), [[ALICE]]);
}

#[test]
fn a_file_of_sops_with_groups_is_rotated_with_its_groups() {
    for extension in ["yaml", "json", "env", "ini", "txt"] {
        let name = format!("shamir-2-of-3-{extension}.{extension}");
        let world = World::new().set("SOPS_AGE_KEY", &both_keys());
        let sealed =
            std::fs::read(sops_fixtures().join("sealed").join(&name)).expect("the fixture");
        world.write(&name, sealed);
        let plain = world.ok(["decrypt", &name]);
        let before = metadata(&world, &name);
        world.ok(["rotate", "-i", &name]);
        let after = metadata(&world, &name);
        assert_eq!(world.ok(["decrypt", &name]), plain, "{name}");
        assert_eq!(
            (after.groups.len(), after.shamir_threshold),
            (3, before.shamir_threshold)
        );
        assert_eq!(opens(&world, "alice", &name), None, "{name}");
        judge(&world, &name);
    }
}

#[test]
fn the_report_lists_every_attempt_in_every_group() {
    let world = World::with_identity("alice");
    let name = "shamir-2-of-3-yaml.yaml";
    world.write(
        name,
        std::fs::read(sops_fixtures().join("sealed").join(name)).expect("the fixture"),
    );
    let message = world.fails(128, ["rotate", "-i", name]);
    assert!(
        message.contains("2 of 3 groups must be opened; 1 could be"),
        "{message}"
    );
    for group in ["group 1:", "group 2:", "group 3:"] {
        assert!(message.contains(group), "{message}");
    }
    for recipient in [ALICE, BOB, CAROL] {
        assert!(message.contains(recipient), "{message}");
    }
}
