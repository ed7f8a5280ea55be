//! People come and go: `keys list`, `keys add` and `keys remove` over trees of files, in both kinds of config.

use std::process::Child;

use serde_json::Value as Json;

use crate::support::{ALICE, BOB, World, sops_fixtures};

/// An SSH key of the fixtures.
fn ssh() -> String {
    let file = sops_fixtures().join("keys/ssh_ed25519.pub");
    let text = std::fs::read_to_string(file).expect("a public key");
    text.trim().to_owned()
}

/// The same world as it is for somebody else.
fn as_bob(world: &World, path: &str) -> Option<i32> {
    let mut command = world.command(["decrypt", path]);
    command.env(
        "SOPS_AGE_KEY_FILE",
        sops_fixtures().join("keys/bob.age.txt"),
    );
    command.output().expect("it runs").status.code()
}

/// A config with a map of names, one rule for `prod/` and one for the rest.
fn ours() -> String {
    format!(
        "\
recipients:
  alice: {ALICE}
creation_rules:
  - path_regex: ^prod/
    age:
      - alice # the operator
  - recipients: [alice]
    encrypted_regex: ^secret
"
    )
}

/// A world of Alice with a config and three sealed files.
fn tree(config: &str, name: &str) -> World {
    let world = World::with_identity("alice");
    world.write(name, config);
    world.write(
        "prod/db.yaml",
        "# main\ndb:\n  users:\n    - password: a\n  port: 5432\n",
    );
    world.write("prod/app.env", "TOKEN=b\n");
    world.write(
        "test/db.json",
        "{\"secret\": {\"x\": 1}, \"clear\": true}\n",
    );
    world.write("test/plain.yaml", "a: 1\n");
    for file in ["prod/db.yaml", "prod/app.env", "test/db.json"] {
        world.ok(["encrypt", "-i", file]);
    }
    world
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn the_list_says_who_can_open_what() {
    let world = tree(&ours(), ".sops-rs.yaml");
    world.ok(["rotate", "-i", "--add-age", BOB, "prod/app.env"]);
    let listed = text(world.ok(["keys", "list"]));
    assert_eq!(
        listed,
        "\
WHO        TYPE  RECIPIENT            FILES
(no name)  age   age1v2yxy5rn…j728gf  1
alice      age   age1mj033j9q…0uxk6p  3

FILE          OPENED BY
prod/app.env  alice, +age1v2yxy5rn…j728gf
prod/db.yaml  alice
test/db.json  alice
"
    );
    let json: Json = serde_json::from_slice(&world.ok(["keys", "list", "--json", "prod"])).unwrap();
    assert_eq!(json["files"][0]["file"], "prod/app.env");
    assert_eq!(json["files"][0]["groups"][0][0]["name"], "alice");
    assert_eq!(json["files"][0]["extra"][0]["recipient"], BOB);
    assert_eq!(json["files"][1]["extra"], Json::Array(Vec::new()));
    assert_eq!(json["recipients"][1]["files"], 2);
    // Who is named and cannot open a file is told, too.
    world.write(
        ".sops-rs.yaml",
        ours().replace("[alice]", &format!("[alice, {BOB}]")),
    );
    let listed = text(world.ok(["keys", "list", "test"]));
    assert!(
        listed.contains("test/db.json  alice, -age1v2yxy5rn…j728gf"),
        "{listed}"
    );
}

#[test]
fn a_damaged_file_does_not_hide_the_others() {
    let world = tree(&ours(), ".sops-rs.yaml");
    let damaged = world
        .read("prod/app.env")
        .replace("sops_lastmodified=", "sops_lastmodified=x");
    world.write("prod/app.env", damaged);
    let ran = world.run(["keys", "list"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr
            .contains("the metadata of `prod/app.env` is wrong"),
        "{}",
        ran.stderr
    );
    assert!(text(ran.stdout).contains("prod/db.yaml"));
}

#[test]
fn whoever_joins_is_in_the_config_and_in_the_files_of_the_rules() {
    let world = tree(&ours(), ".sops-rs.yaml");
    let before = world.read("test/db.json");
    let said = text(world.ok(["keys", "add", "bob", BOB, "--rule", "1", "--yes"]));
    assert_eq!(
        said,
        format!(
            "bob joins, with\n  {BOB}\nin the config `.sops-rs.yaml`\nand can then open\n  prod/app.env\n  prod/db.yaml\n"
        )
    );
    assert_eq!(
        world.read(".sops-rs.yaml"),
        ours()
            .replace(
                &format!("alice: {ALICE}\n"),
                &format!("alice: {ALICE}\n  bob: {BOB}\n")
            )
            .replace("# the operator\n", "# the operator\n      - bob\n")
    );
    assert_eq!(as_bob(&world, "prod/db.yaml"), Some(0));
    assert_eq!(as_bob(&world, "prod/app.env"), Some(0));
    assert_eq!(as_bob(&world, "test/db.json"), Some(128));
    assert_eq!(world.read("test/db.json"), before);
    // Done twice it changes nothing.
    let ran = world.run(["keys", "add", "bob", BOB, "--rule", "1"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stderr.contains("`bob` is in already"), "{}", ran.stderr);
    // The other rule.
    world.ok(["keys", "add", "bob", BOB, "--yes"]);
    assert_eq!(as_bob(&world, "test/db.json"), Some(0));
}

#[test]
fn a_config_that_sops_reads_gets_nothing_that_sops_does_not_know() {
    let config = format!("creation_rules:\n  - age:\n      - {ALICE} # alice\n");
    let world = tree(&config, ".sops.yaml");
    world.ok(["keys", "add", "bob", BOB, "-y"]);
    assert_eq!(
        world.read(".sops.yaml"),
        format!("{config}      - {BOB} # bob\n")
    );
    assert_eq!(as_bob(&world, "prod/db.yaml"), Some(0));
    world.ok(["keys", "remove", "bob", "-y"]);
    assert_eq!(world.read(".sops.yaml"), config);
    assert_eq!(as_bob(&world, "prod/db.yaml"), Some(128));
}

#[test]
fn a_name_that_is_lost_is_said_to_be() {
    let config = format!("creation_rules:\n  - age: {ALICE}\n");
    let world = tree(&config, ".sops.yaml");
    let ran = world.run(["keys", "add", "bob", BOB, "--yes"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("no place for the name `bob`"),
        "{}",
        ran.stderr
    );
    world.fails(1, ["keys", "remove", "bob", "--yes"]);
    world.ok(["keys", "remove", BOB, "--yes"]);
    assert_eq!(world.read(".sops.yaml"), config);
}

#[test]
fn nobody_joins_a_config_without_rules() {
    let world = World::with_identity("alice");
    for (name, text) in [
        (".sops.yaml", "creation_rules: []\n"),
        (".sops-rs.yaml", "stores:\n  yaml:\n    indent: 2\n"),
    ] {
        world.write(name, text);
        let message = world.fails(1, ["keys", "add", "bob", BOB, "--yes"]);
        assert!(message.contains("no creation rules"), "{message}");
        assert_eq!(world.read(name), text);
    }
}

#[test]
fn ssh_keys_come_from_standard_input() {
    let world = tree(&ours(), ".sops-rs.yaml");
    let keys = format!("ecdsa-sha2-nistp256 AAAAE2VjZHNh bob@old\n\n{}\n", ssh());
    let ran = world.run_with(["keys", "add", "--github", "bob", "--yes"], keys.as_bytes());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("a key of type `ecdsa-sha2-nistp256` was passed over"),
        "{}",
        ran.stderr
    );
    let mut command = world.command(["decrypt", "prod/db.yaml"]);
    command.env_remove("SOPS_AGE_KEY_FILE").env(
        "SOPS_AGE_SSH_PRIVATE_KEY_FILE",
        sops_fixtures().join("keys/ssh_ed25519"),
    );
    assert!(command.output().expect("it runs").status.success());
    let nothing = world.run_with(["keys", "add", "--github", "eve", "--yes"], b"");
    assert_eq!(nothing.code, Some(1));
    assert!(
        nothing.stderr.contains("no usable SSH key of `eve`"),
        "{}",
        nothing.stderr
    );
}

#[test]
fn whoever_leaves_gets_no_new_key_and_what_they_could_read_is_listed() {
    let world = tree(&ours(), ".sops-rs.yaml");
    world.ok(["keys", "add", "bob", BOB, "--rule", "1", "--yes"]);
    let opened = world.ok(["decrypt", "prod/db.yaml"]);
    let (sealed, other) = (world.read("prod/db.yaml"), world.read("test/db.json"));
    let ran = world.run(["keys", "remove", "bob", "--yes"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(
        text(ran.stdout),
        "prod/app.env: TOKEN\nprod/db.yaml: db.users[0].password\nprod/db.yaml: db.port\n"
    );
    assert!(
        ran.stderr
            .contains("2 file(s) have a new data key; 3 value(s) have to be changed"),
        "{}",
        ran.stderr
    );
    assert_eq!(world.read(".sops-rs.yaml"), ours());
    assert_eq!(as_bob(&world, "prod/db.yaml"), Some(128));
    assert_eq!(world.ok(["decrypt", "prod/db.yaml"]), opened);
    assert_eq!(world.read("test/db.json"), other, "bob could not open it");
    let tokens = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.contains("ENC["));
        lines.map(str::to_owned).collect()
    };
    for token in tokens(&sealed) {
        assert!(
            !world.read("prod/db.yaml").contains(&token),
            "every value is sealed anew"
        );
    }
    let again = world.run(["keys", "remove", "bob"]);
    assert_eq!(again.code, Some(1));
    assert!(
        again.stderr.contains("`bob` is no name in `.sops-rs.yaml`"),
        "{}",
        again.stderr
    );
    let again = world.run(["keys", "remove", BOB]);
    assert_eq!(again.code, Some(0));
    assert!(
        again.stderr.contains("nobody to remove"),
        "{}",
        again.stderr
    );
}

/// The same key may stand in a file with another remark behind it, or with none.
#[test]
fn an_ssh_key_leaves_with_every_remark() {
    let world = tree(&ours(), ".sops-rs.yaml");
    let ssh = ssh();
    let bare: Vec<&str> = ssh.split_whitespace().take(2).collect();
    let bare = bare.join(" ");
    let remark = format!("{bare} old laptop");
    world.ok(["rotate", "-i", "--add-age", &remark, "prod/db.yaml"]);
    world.ok(["keys", "add", "dan", &bare, "--rule", "2", "--yes"]);
    let ran = world.run(["keys", "remove", "dan", "--yes"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr.contains(&bare),
        "who goes is shown: {}",
        ran.stderr
    );
    for file in ["prod/db.yaml", "test/db.json"] {
        assert!(!world.read(file).contains(&bare), "{file}");
    }
}

#[test]
fn nothing_is_done_without_an_answer_or_with_nobody_left() {
    let world = tree(&ours(), ".sops-rs.yaml");
    world.ok(["keys", "add", "bob", BOB, "--rule", "1", "--yes"]);
    let before = world.read("prod/db.yaml");
    let ran = world.run(["keys", "remove", "bob"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("--yes"), "{}", ran.stderr);
    let no = world.run_with(["keys", "remove", "bob"], b"n\n");
    assert_eq!(no.code, Some(0), "{}", no.stderr);
    assert_eq!(world.read("prod/db.yaml"), before);
    let ran = world.run(["keys", "remove", "alice", "--yes"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr
            .contains("rule 2 would have nobody left who can open its files"),
        "{}",
        ran.stderr
    );
    assert_eq!(world.read("prod/db.yaml"), before);
}

#[test]
fn who_wrote_himself_into_a_file_gets_no_new_key() {
    let world = tree(&ours(), ".sops-rs.yaml");
    world.ok(["keys", "add", "bob", BOB, "--yes"]);
    // Whoever can push can copy an entry and put another recipient there.
    let eve = ssh();
    let pushed = world.read("test/db.json").replace(ALICE, &eve);
    let other = world.read("test/db.json").replace(
        "\"age\": [",
        &format!("\"age\": [{{\"recipient\": \"{eve}\", \"enc\": \"x\"}}, "),
    );
    assert_ne!(pushed, other);
    world.write("test/db.json", &other);
    let ran = world.run(["keys", "remove", "bob", "--yes"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains(&eve), "{}", ran.stderr);
    assert_eq!(world.read("test/db.json"), other);
    assert!(
        world.read(".sops-rs.yaml").contains(BOB),
        "not done, so not forgotten"
    );
    world.ok(["updatekeys", "-y", "test/db.json"]);
    world.ok(["keys", "remove", "bob", "--yes"]);
    assert!(!world.read("test/db.json").contains(&eve));
    assert!(!world.read(".sops-rs.yaml").contains(BOB));
}

#[test]
fn groups_take_people_too() {
    let config = format!(
        "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - age: [{ALICE}]\n      - age: [{ALICE}]\n"
    );
    let world = World::with_identity("alice");
    world.write(".sops-rs.yaml", &config);
    world.write("a.yaml", "a: b\n");
    world.ok(["encrypt", "-i", "a.yaml"]);
    let ran = world.run(["keys", "add", "bob", BOB, "-y"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("rule 1 has 2 key groups; say in which"),
        "{}",
        ran.stderr
    );
    world.ok(["keys", "add", "bob", BOB, "-y", "--group", "2"]);
    let json: Json = serde_json::from_slice(&world.ok(["keys", "list", "--json"])).unwrap();
    assert_eq!(json["files"][0]["threshold"], 2);
    assert_eq!(json["files"][0]["groups"][1][1]["name"], "bob");
    assert_eq!(
        as_bob(&world, "a.yaml"),
        Some(128),
        "one group is not enough"
    );
    assert_eq!(world.ok(["decrypt", "a.yaml"]), b"a: b\n");
    world.ok(["keys", "remove", "bob", "-y"]);
    assert_eq!(world.ok(["decrypt", "a.yaml"]), b"a: b\n");
    assert!(!world.read("a.yaml").contains(BOB));
}

#[test]
fn files_of_another_config_are_left_alone() {
    let world = tree(&ours(), ".sops-rs.yaml");
    world.write(
        "other/.sops-rs.yaml",
        format!("creation_rules:\n  - age: {ALICE},{BOB}\n"),
    );
    world.write("other/x.yaml", "x: y\n");
    world.ok(["encrypt", "-i", "other/x.yaml"]);
    let before = world.read("other/x.yaml");
    world.ok(["keys", "add", "bob", BOB, "-y"]);
    let ran = world.run(["keys", "remove", "bob", "-y"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(world.read("other/x.yaml"), before);
    let said = "1 file(s) that they can open are left as they are, since `other/.sops-rs.yaml`";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
}

/// Waits until some of the files are done, then kills the program with no warning.
fn kill_midway(mut child: Child, done: impl Fn() -> bool) {
    while !done() {
        if child.try_wait().expect("a status").is_some() {
            return;
        }
        std::thread::yield_now();
    }
    child.kill().expect("it is killed");
    child.wait().expect("a status");
}

#[test]
fn killed_in_the_middle_of_a_removal_the_same_command_does_the_rest() {
    const FILES: usize = 500;
    let world = World::with_identity("alice");
    world.write(
        ".sops-rs.yaml",
        format!(
            "recipients:\n  alice: {ALICE}\n  bob: {BOB}\ncreation_rules:\n  - age: alice,bob\n"
        ),
    );
    let config = world.read(".sops-rs.yaml");
    world.write("f/0.yaml", "secret: value\nlist: [1, 2]\n");
    world.ok(["encrypt", "-i", "f/0.yaml"]);
    let sealed = world.read("f/0.yaml");
    let name = |number: usize| format!("f/{number}.yaml");
    for number in 1..FILES {
        world.write(&name(number), &sealed);
    }
    let without_bob = || {
        (0..FILES)
            .filter(|number| !world.read(&name(*number)).contains(BOB))
            .count()
    };
    let child = world
        .command(["keys", "remove", "bob", "--yes"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("it runs");
    // One file is looked at in each round: reading all of them would take longer than the work.
    kill_midway(child, || {
        (0..FILES)
            .step_by(97)
            .any(|number| !world.read(&name(number)).contains(BOB))
    });
    let first = without_bob();
    assert!(first > 0, "some were done");
    if first < FILES {
        assert_eq!(
            world.read(".sops-rs.yaml"),
            config,
            "the config is changed last"
        );
    }
    for number in 0..FILES {
        assert_whole(&world, &name(number));
    }
    world.ok(["keys", "remove", "bob", "--yes"]);
    assert_eq!(without_bob(), FILES);
    assert!(!world.read(".sops-rs.yaml").contains(BOB));
    let opened = world.ok(["decrypt", &name(FILES / 2)]);
    assert_eq!(opened, b"secret: value\nlist: [1, 2]\n");
}

/// A file is one that the program wrote to its end: it has all of its metadata.
fn assert_whole(world: &World, path: &str) {
    let text = world.read(path);
    assert!(text.starts_with("secret: ENC["), "{path}");
    assert!(text.contains("\n    version: "), "{path}");
}
