//! `explain`: the whole answer for each kind of file, its JSON against the page that describes it.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value as Json;
use snapbox::data::Inline;
use snapbox::{IntoData as _, assert_data_eq, str};

use crate::support::{ALICE, BOB, World, holds, sops_fixtures, without_privileges};

/// A config with names, a rule for `staging/`, and one for `secrets/` with lines to be counted.
fn config() -> String {
    format!(
        "\
recipients:
  alice: {ALICE}
  bob: {BOB}
creation_rules:
  - path_regex: ^staging/
    age: [alice, bob]
  # what counts
  - path_regex: ^secrets/
    age: [alice]
    encrypted_regex: ^(password|tokens)$
"
    )
}

const PLAIN: &str = "\
# of the app
db:
  users:
    - name: app
      password: CANARY-1
  port: 5432
tokens: [CANARY-2, CANARY-3]
password: ''
";

/// A world of alice with that config, and a key file that is hers alone.
fn world() -> World {
    let world = World::with_identity("alice");
    world.write(".sops-rs.yaml", config());
    world.write("secrets/prod.yaml", PLAIN);
    world
}

/// The same with the file sealed.
fn sealed() -> World {
    let world = world();
    world.ok(["encrypt", "-i", "secrets/prod.yaml"]);
    world
}

/// What is said, without instants, the folders of this machine, and whose key file this is.
fn explained(world: &World, arguments: &[&str]) -> String {
    let ran = world.run(["explain"].iter().chain(arguments));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stderr, "");
    let said = world.redacted(&ran.text());
    assert!(!said.contains("CANARY"), "{said}");
    let keys = sops_fixtures().join("keys");
    let said = said.replace(keys.to_str().expect("UTF-8"), "[KEYS]");
    let lines = said.lines().map(|line| match line.split_once("sealed last at ") {
        Some((start, rest)) => {
            let (_, rest) = rest.split_once(", format").expect("the version");
            format!("{start}sealed last at [TIME], format{rest}\n")
        }
        None => format!("{}\n", line.replace("; [KEYS]/alice.age.txt: other users can read this identity file (`chmod 600` it)", "")),
    });
    lines.collect()
}

#[track_caller]
fn assert_explained(actual: String, expected: Inline) {
    assert_data_eq!(actual, expected.raw());
}

#[test]
fn a_sealed_file_that_agrees_with_its_rule() {
    assert_explained(
        explained(&sealed(), &["secrets/prod.yaml"]),
        str![[r#"
secrets/prod.yaml: sealed, yaml
  sealed last at [TIME], format of SOPS 3.13.2
  the MAC covers all values

Config: .sops-rs.yaml, the nearest above the file
  rule 1 (line 5): `^staging/` does not match `secrets/prod.yaml`
  rule 2 (line 8): `^secrets/` matches `secrets/prod.yaml`
Rule 2 of 2 applies: the first that matches
  encrypted_regex: ^(password|tokens)$

Can be opened by any of
  alice (age age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p)

File and rule agree

Values: 6 by `encrypted_regex: ^(password|tokens)$`
  sealed: 3
    db.users[0].password  (key `password`)
    tokens[0]  (key `tokens`)
    tokens[1]  (key `tokens`)
  clear: 2
    db.users[0].name
    db.port
  empty, which is never sealed: 1
    password  (key `password`)
  comments: 0 sealed, 1 clear

You can open it
  alice: opened
  the MAC holds: no value was changed without the key
  identities of age
    SOPS_AGE_KEY_FILE ([KEYS]/alice.age.txt): found
    nothing in SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, [ROOT]/home/.ssh/id_ed25519, [ROOT]/home/.ssh/id_rsa, SOPS_AGE_KEY, SOPS_AGE_KEY_CMD, [ROOT]/home/.config/sops/age/keys.txt

"#]],
    );
}

#[test]
fn a_plain_file() {
    assert_explained(
        explained(&world(), &["secrets/prod.yaml"]),
        str![[r#"
secrets/prod.yaml: not sealed, yaml

Config: .sops-rs.yaml, the nearest above the file
  rule 1 (line 5): `^staging/` does not match `secrets/prod.yaml`
  rule 2 (line 8): `^secrets/` matches `secrets/prod.yaml`
Rule 2 of 2 applies: the first that matches
  encrypted_regex: ^(password|tokens)$

Would be sealed for any of
  alice (age age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p)

Values: 6 by `encrypted_regex: ^(password|tokens)$`
  would be sealed: 3
    db.users[0].password  (key `password`)
    tokens[0]  (key `tokens`)
    tokens[1]  (key `tokens`)
  would stay clear: 2
    db.users[0].name
    db.port
  empty, which is never sealed: 1
    password  (key `password`)
  comments: 0 would be sealed, 1 would stay clear

"#]],
    );
}

#[test]
fn a_file_that_is_not_there_yet() {
    let world = world();
    assert_explained(
        explained(&world, &["staging/new.env"]),
        str![[r#"
staging/new.env: does not exist yet; would be dotenv

Config: .sops-rs.yaml, the nearest above the file
  rule 1 (line 5): `^staging/` matches `staging/new.env`
Rule 1 of 2 applies: the first that matches
  unencrypted_suffix: _unencrypted

Would be sealed for any of
  alice (age age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p)
  bob (age age1v2yxy5rncmvrnca08sq3nefhjpm7en0zvg6tejd47ptezsvfdphsj728gf)

"#]],
    );
    assert_explained(
        explained(&world, &["elsewhere/new.env"]),
        str![[r#"
elsewhere/new.env: does not exist yet; would be dotenv

Config: .sops-rs.yaml, the nearest above the file
  rule 1 (line 5): `^staging/` does not match `elsewhere/new.env`
  rule 2 (line 8): `^secrets/` does not match `elsewhere/new.env`
No rule: no rule of `.sops-rs.yaml` matches

"#]],
    );
}

#[test]
fn a_sealed_file_that_its_rule_has_left_behind() {
    let world = sealed();
    let moved = config()
        .replace("age: [alice]", "age: [bob]")
        .replace("(password|tokens)", "(password|name)");
    world.write(".sops-rs.yaml", moved);
    let sealed = world.read("secrets/prod.yaml");
    let token = sealed
        .lines()
        .find(|line| line.contains("password: ENC["))
        .expect("a token");
    let exposed = token.split("ENC[").next().expect("a key");
    world.write(
        "secrets/prod.yaml",
        sealed.replace(token, &format!("{exposed}CANARY-4")),
    );
    assert_explained(
        explained(&world, &["secrets/prod.yaml"]),
        str![[r#"
secrets/prod.yaml: sealed, yaml
  sealed last at [TIME], format of SOPS 3.13.2
  the MAC covers all values

Config: .sops-rs.yaml, the nearest above the file
  rule 1 (line 5): `^staging/` does not match `secrets/prod.yaml`
  rule 2 (line 8): `^secrets/` matches `secrets/prod.yaml`
Rule 2 of 2 applies: the first that matches
  encrypted_regex: ^(password|name)$

Can be opened by any of
  alice (age age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p)

File and rule differ
  - bob (age age1v2yxy5rncmvrnca08sq3nefhjpm7en0zvg6tejd47ptezsvfdphsj728gf) cannot open it, but the rule names them
  + alice (age age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p) can open it, but the rule does not name them
  `sops-rs updatekeys secrets/prod.yaml` gives it to those whom the rule names
  the file was sealed by `encrypted_regex: ^(password|tokens)$`, the rule says `encrypted_regex: ^(password|name)$`
  what is changed follows the file; decrypt and encrypt it for the rule's to count

Values: 6 by `encrypted_regex: ^(password|tokens)$`
  sealed: 2
    tokens[0]  (key `tokens`)
    tokens[1]  (key `tokens`)
  clear: 2
    db.users[0].name
    db.port
  clear, though the rule of the file wants them sealed (so it does not open): 1
    db.users[0].password  (key `password`)
  empty, which is never sealed: 1
    password  (key `password`)
  comments: 0 sealed, 1 clear

You can open it
  alice: opened
  but cannot open the value of `db.users.password`: it is not an ENC[…] token
  identities of age
    SOPS_AGE_KEY_FILE ([KEYS]/alice.age.txt): found
    nothing in SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, [ROOT]/home/.ssh/id_ed25519, [ROOT]/home/.ssh/id_rsa, SOPS_AGE_KEY, SOPS_AGE_KEY_CMD, [ROOT]/home/.config/sops/age/keys.txt

"#]],
    );
}

#[test]
fn a_file_whose_mac_does_not_hold() {
    let world = sealed();
    let sealed = world.read("secrets/prod.yaml");
    world.write(
        "secrets/prod.yaml",
        sealed.replace("port: 5432", "port: 5433"),
    );
    let said = explained(&world, &["secrets/prod.yaml"]);
    let (_, said) = said.split_once("You can open it\n").expect("it opens");
    assert!(
        said.contains("  but the file's values do not match its MAC: `secrets/prod.yaml`\n"),
        "{said}"
    );
}

#[test]
fn somebody_who_cannot_open_it() {
    let world = sealed();
    for (file, why) in [
        ("bob.age.txt", "alice: none of your identities fits"),
        (
            "absent",
            "SOPS_AGE_KEY_FILE ([KEYS]/absent): cannot be read: No such file",
        ),
        ("README.md", "SOPS_AGE_KEY_FILE ([KEYS]/README.md): "),
    ] {
        let file = sops_fixtures().join("keys").join(file);
        let other = World::new().set("SOPS_AGE_KEY_FILE", file.to_str().expect("UTF-8"));
        let path = world.path("secrets/prod.yaml");
        let said = explained(&other, &[path.to_str().expect("UTF-8")]);
        assert!(said.contains("You cannot open it\n"), "{said}");
        assert!(said.contains(why), "{said}");
    }
    let path = world.path("secrets/prod.yaml");
    let said = explained(&World::new(), &[path.to_str().expect("UTF-8")]);
    assert!(
        said.contains("  alice: you have no identity to try\n"),
        "{said}"
    );
}

#[test]
fn groups_and_those_who_were_not_needed() {
    let world = World::with_identity("alice");
    world.write(
        ".sops-rs.yaml",
        format!(
            "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - age:\n          - {ALICE} # alice\n          - {BOB} # bob\n      - age: [{ALICE}]\n      - age: [{BOB}]\n"
        ),
    );
    world.write("db.yaml", "a: CANARY\n");
    world.ok(["encrypt", "-i", "db.yaml"]);
    let said = explained(&world, &["db.yaml"]);
    let (_, said) = said.split_once("matches\n").expect("the rule");
    assert_explained(
        said.to_owned(),
        str![[r#"
  unencrypted_suffix: _unencrypted

Can be opened by somebody of each of 2 of 3 groups
  group 1
    alice (age age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p)
    bob (age age1v2yxy5rncmvrnca08sq3nefhjpm7en0zvg6tejd47ptezsvfdphsj728gf)
  group 2
    alice (age age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p)
  group 3
    bob (age age1v2yxy5rncmvrnca08sq3nefhjpm7en0zvg6tejd47ptezsvfdphsj728gf)

File and rule agree

Values: 1 by `unencrypted_suffix: _unencrypted`
  sealed: 1
    a

You can open it
  group 1
    alice: opened
    bob: not tried: another was enough
  group 2
    alice: opened
  group 3
    bob: none of your identities fits
  the MAC holds: no value was changed without the key
  identities of age
    SOPS_AGE_KEY_FILE ([KEYS]/alice.age.txt): found
    nothing in SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, [ROOT]/home/.ssh/id_ed25519, [ROOT]/home/.ssh/id_rsa, SOPS_AGE_KEY, SOPS_AGE_KEY_CMD, [ROOT]/home/.config/sops/age/keys.txt

"#]],
    );
}

#[test]
fn a_config_that_is_wrong_is_an_answer() {
    let world = world();
    for (config, problem) in [
        (
            "creation_rules:\n  - path_regex: '('\n",
            "rule 1: `path_regex`: invalid regular expression",
        ),
        ("creation_rules:\n  - age: x\n", "`creation_rules[0].age`"),
        ("creation_rules: [\n", "cannot read the config"),
        ("stores: {}\n", "has no creation rules"),
    ] {
        world.write(".sops-rs.yaml", config);
        let said = explained(&world, &["secrets/prod.yaml"]);
        let line = said.lines().find(|line| line.starts_with("No rule: "));
        assert!(line.is_some_and(|line| line.contains(problem)), "{said}");
    }
    let said = explained(&world, &["--config", "absent.yaml", "secrets/prod.yaml"]);
    assert!(
        said.contains("Config: absent.yaml, which `--config` or SOPS_CONFIG names\n"),
        "{said}"
    );
}

#[test]
fn what_else_may_be_surprising_is_said() {
    let world = world().set("SOPS_AGE_RECIPIENTS", BOB);
    world.write(".sops.yaml", "creation_rules: []\n");
    let said = explained(&world, &["secrets/prod.yaml"]);
    assert!(
        said.contains("  .sops.yaml beside it is not read\n"),
        "{said}"
    );
    assert!(
        said.contains("  but SOPS_AGE_RECIPIENTS is set, and `encrypt` takes"),
        "{said}"
    );
}

#[test]
fn a_damaged_file_is_a_failure_as_anywhere() {
    let world = sealed();
    world.write("secrets/prod.yaml", "a: [CANARY\n");
    let ran = world.run(["explain", "secrets/prod.yaml"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stdout.is_empty() && !holds(ran.stderr.as_bytes(), "CANARY"),
        "{}",
        ran.stderr
    );
    assert_eq!(world.run(["explain", "-"]).code, Some(100));
}

/// SOPS takes `.toml` for binary, and has sealed such files so.
#[test]
fn a_toml_file_that_sops_has_sealed() {
    let world = world();
    world.write("secrets/note.toml", "a = 'CANARY-4'\n");
    let file = "secrets/note.toml";
    world.ok(["encrypt", "-i", "--input-type", "binary", file]);
    assert!(world.read(file).starts_with('{'));
    let said = explained(&world, &[file]);
    assert!(
        said.starts_with("secrets/note.toml: sealed, binary\n"),
        "{said}"
    );
    assert!(said.contains("You can open it\n"), "{said}");
}

/// What may not be looked at is not taken for what is not there.
#[test]
fn a_file_that_cannot_be_reached_is_a_failure() {
    let world = sealed();
    let folder = world.path("secrets");
    let explain = |file: &str| {
        let command = world.command(["explain", file]);
        let output = without_privileges(&command).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), output.stdout, said)
    };
    std::fs::set_permissions(&folder, Permissions::from_mode(0o000)).expect("a mode");
    let (code, stdout, said) = explain("secrets/prod.yaml");
    std::fs::set_permissions(&folder, Permissions::from_mode(0o700)).expect("a mode");
    assert_eq!((code, stdout.len()), (Some(2), 0), "{said}");
    assert!(
        said.contains("cannot read `secrets/prod.yaml`: Permission denied"),
        "{said}"
    );
    let (code, stdout, said) = explain("secrets/prod.yaml/below");
    assert_eq!((code, stdout.len()), (Some(2), 0), "{said}");
    assert!(said.contains("Not a directory"), "{said}");
}

/// All fields below a value, as `docs/explain.md` spells them; those that are `null` or empty are none.
fn fields(path: &str, value: &Json, found: &mut BTreeSet<String>) {
    match value {
        Json::Object(map) => {
            for (name, value) in map {
                let dot = if path.is_empty() { "" } else { "." };
                fields(&format!("{path}{dot}{name}"), value, found);
            }
        }
        Json::Array(items) => items
            .iter()
            .for_each(|item| fields(&format!("{path}[]"), item, found)),
        // May be a whole object that does not apply.
        Json::Null => {}
        _ => drop(found.insert(path.to_owned())),
    }
}

#[test]
fn the_json_is_what_the_page_says() {
    let mut found = BTreeSet::new();
    let mut add = |world: &World, arguments: &[&str]| {
        let ran = world.run(["explain", "--json"].iter().chain(arguments));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let json: Json = serde_json::from_slice(&ran.stdout).expect("JSON");
        let top: BTreeSet<&String> = json.as_object().expect("an object").keys().collect();
        assert_eq!(top.len(), 14, "every field is always there: {top:?}");
        fields("", &json, &mut found);
    };
    let world = sealed().set("SOPS_AGE_RECIPIENTS", BOB);
    world.write(".sops.yaml", "");
    add(&world, &["secrets/prod.yaml"]);
    add(&world, &["elsewhere/x.yaml"]);
    let sealed = world.read("secrets/prod.yaml");
    world.write(
        "secrets/prod.yaml",
        sealed.replace("port: 5432", "port: 5433"),
    );
    world.write(
        ".sops-rs.yaml",
        config()
            .replace("alice:", "ALICE:")
            .replace(
                "age: [alice]",
                "shamir_threshold: 2\n    key_groups: [{age: [bob]}, {age: [bob]}]",
            )
            .replace("[alice, bob]", "[bob]")
            .replace("ALICE", "alice")
            .replace("tokens", "names"),
    );
    add(&world, &["secrets/prod.yaml"]);
    let stranger = World::new().set("SOPS_AGE_KEY_FILE", "absent");
    let path = world.path("secrets/prod.yaml");
    add(&stranger, &[path.to_str().expect("UTF-8")]);
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/explain.md"));
    let page = page.expect("the page");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let documented: BTreeSet<String> = rows
        .filter_map(|row| row.split('`').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(found, documented);
}

#[test]
fn the_formats_are_those_of_the_page() {
    let world = World::new();
    let format = |file: &str| {
        let json = world.ok(["explain", "--json", file]);
        let json: Json = serde_json::from_slice(&json).expect("JSON");
        json["format"].as_str().expect("a name").to_owned()
    };
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/explain.md"));
    let page = page.expect("the page");
    let row = page.lines().find(|line| line.starts_with("| `format` |"));
    // The words in backquotes; the first is the field.
    let documented = row.expect("the row").split('`').skip(1).step_by(2).skip(1);
    let documented: Vec<&str> = documented.collect();
    let files = ["a.yaml", "a.json", "a.env", "a.ini", "a.toml", "a.txt"];
    assert_eq!(files.map(format).to_vec(), documented);
}
