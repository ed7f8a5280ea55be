//! Conversions one by one: which format is meant, what is kept, what is refused.

use std::process::Command;

use serde_json::{Value as Json, json};
use snapbox::{assert_data_eq, str};

use super::{FLAT_DOTENV, RICH_YAML, file, flat, piped, python, read};
use crate::spec_reader::{self, Format, fixtures::keys};
use crate::support::{ALICE, BOB, World};

/// A world with one sealed file.
fn sealed(name: &str, plain: impl AsRef<[u8]>) -> World {
    let world = World::with_identity("alice");
    world.write(name, plain);
    world.ok(["encrypt", "-i", "--age", ALICE, name]);
    world
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_layout_of_each_format() {
    let world = sealed(
        "f.yaml",
        "# about db\ndb:\n  # who\n  user: admin # beside\n  ports: [1, 2]\n  pass: |\n    a\n    b\nlast: 1.0\n",
    );
    let convert = |output| text(world.ok(["decrypt", "--output-type", output, "f.yaml"]));
    assert_eq!(
        convert("json"),
        r#"{
	"db": {
		"user": "admin",
		"ports": [
			1,
			2
		],
		"pass": "a\nb\n"
	},
	"last": 1.0
}
"#
    );
    assert_eq!(
        convert("toml"),
        r#"last = 1.0

# about db
[db]
# who
# beside
user = "admin"
ports = [1, 2]
pass = """
a
b
"""
"#
    );
    let world = sealed("f.env", FLAT_DOTENV);
    let convert = |output| text(world.ok(["decrypt", "--output-type", output, "f.env"]));
    assert_eq!(
        convert("yaml"),
        r#"# above all
TEXT: CANARY
LINES: |
  one
  two
QUOTES: "it's \"so\" # ; $(id) `id` \\ %s = '"
BLANKS: " outer "
EMPTY: ""
INT: "-42"
FLOAT: "2.0"
"ON": "true"
"#
    );
    let world = sealed(
        "f.ini",
        "; of a\na = 1 ; beside\n\n; of s\n[s]\nlong key = x\nk = y\n; last\n",
    );
    let convert = |output| text(world.ok(["decrypt", "--output-type", output, "f.ini"]));
    assert_eq!(
        convert("yaml"),
        r#"DEFAULT:
  # of a
  a: "1" # beside
s:
  # of s
  long key: x
  k: "y"
  # last
"#
    );
}

#[test]
fn a_shell_takes_any_value_for_text() {
    let hostile = json!({
        "QUOTE": "it's '' '\\'' \"x\" `touch pwned` $(touch pwned) ${HOME} $HOME",
        "LINES": "a\n  b\n\n\tc; touch pwned\n# no comment\n",
        "SIGNS": "! !! * ? [a] {a,b} ~ | & < > \\ \\\\ \\n % # = \r \u{7f} ü😀",
        "OPTION": "-n",
        "EMPTY": "",
        "_number1": -42,
        "truth": true,
    });
    let world = sealed("f.json", serde_json::to_string(&hostile).unwrap());
    let commands = world.ok(["decrypt", "--output-type", "shell", "f.json"]);
    for shell in ["sh", "bash"] {
        let mut command = Command::new(shell);
        world.prepare(&mut command);
        let dump = "import json, os; print(json.dumps(dict(os.environ)))";
        command.args(["-c", "eval \"$(cat)\" && python3 -c \"$1\"", "-", dump]);
        let seen: Json = serde_json::from_slice(&piped(&mut command, &commands)).unwrap();
        for (name, value) in hostile.as_object().unwrap() {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(seen[name], value, "{shell} {name}");
        }
    }
    assert_eq!(world.names(), ["f.json"]);
}

#[test]
fn the_name_decides_where_no_option_does() {
    let world = World::with_identity("alice");
    world.write("f.yaml", r#"{"a": 1}"#);
    let seal = ["encrypt", "--age", ALICE, "--input-type", "json", "f.yaml"];
    let sealed = text(world.ok(seal));
    assert!(sealed.starts_with("a: ENC["), "{sealed}");
    // SOPS takes a name that says nothing for binary; the input says more.
    world.write("secrets", "a: 1\n");
    world.ok([
        "encrypt",
        "-i",
        "--age",
        ALICE,
        "--input-type",
        "yaml",
        "secrets",
    ]);
    let open = ["decrypt", "--input-type", "yaml", "secrets"];
    assert_eq!(text(world.ok(open)), "a: 1\n");
    // The file that is written to has no say, as in SOPS.
    world.ok([
        "decrypt",
        "--input-type",
        "yaml",
        "--output",
        "o.json",
        "secrets",
    ]);
    assert_eq!(world.read("o.json"), "a: 1\n");
    // A file converted in place keeps its name; JSON is YAML.
    world.write("g.yaml", "a: 1\nb: x\n");
    world.ok([
        "encrypt",
        "-i",
        "--age",
        ALICE,
        "--output-type",
        "json",
        "g.yaml",
    ]);
    assert!(world.read("g.yaml").starts_with("{\n\t\"a\": \"ENC["));
    assert_eq!(
        read(Format::Json, &world.ok(["decrypt", "g.yaml"])),
        json!({"a": 1, "b": "x"})
    );
    let many = [
        "decrypt",
        "-r",
        "--output-dir",
        "out",
        "--output-type",
        "toml",
        ".",
    ];
    world.write("secrets", "a text");
    world.ok(many);
    assert_eq!(world.read("out/g.yaml"), "a = 1\nb = \"x\"\n");
}

#[test]
fn types_are_kept_where_the_text_shows_none() {
    let world = World::with_identity("alice");
    world.write(
        "f.yaml",
        "i: 5\nb: true\nt: 2001-12-14T21:59:43Z\nf: 1000.0\nc_unencrypted: 7\nd_unencrypted: yes\n",
    );
    let seal = ["encrypt", "--age", ALICE, "--output-type", "env", "f.yaml"];
    let sealed = text(world.ok(seal));
    let reading = spec_reader::accept("f.env", &sealed, Format::Dotenv, &keys("alice"));
    let kinds: Vec<_> = reading
        .leaves
        .iter()
        .map(|leaf| (leaf.kind, leaf.text()))
        .collect();
    let expected = [
        ("int", "5"),
        ("bool", "True"),
        ("time", "2001-12-14T21:59:43Z"),
        ("float", "1000"),
        // In clear there is nothing that says so.
        ("str", "7"),
        ("str", "yes"),
    ];
    assert_eq!(kinds, expected.map(|(kind, text)| (kind, text.to_owned())));
    world.write("f.env", sealed);
    assert_eq!(
        text(world.ok(["decrypt", "--output-type", "yaml", "f.env"])),
        "i: 5\nb: true\nt: 2001-12-14T21:59:43Z\nf: 1000.0\nc_unencrypted: \"7\"\nd_unencrypted: \"yes\"\n"
    );
    assert_eq!(
        text(world.ok(["decrypt", "f.env"])),
        "i=5\nb=true\nt=2001-12-14T21:59:43Z\nf=1000.0\nc_unencrypted=7\nd_unencrypted=yes\n"
    );
}

#[test]
fn unchanged_values_keep_their_tokens() {
    let world = World::with_identity("alice");
    world.write(
        ".sops-rs.yaml",
        format!("creation_rules:\n  - age: {ALICE}\n"),
    );
    world.write("f.yaml", "# top\nA: 5\nB: x\nC: true\n");
    let seal = [
        "encrypt",
        "--output-type",
        "env",
        "--output",
        "f.env",
        "f.yaml",
    ];
    world.ok(seal);
    let first = world.read("f.env");
    world.ok(seal);
    assert_eq!(world.read("f.env"), first);
    world.write("f.yaml", "# top\nA: 5\nB: y\nC: true\n");
    world.ok(seal);
    let second = world.read("f.env");
    let changed = first
        .lines()
        .zip(second.lines())
        .filter(|(old, new)| old != new);
    let names: Vec<_> = changed
        .filter_map(|(old, _)| old.split('=').next())
        .filter(|key| *key != "sops_lastmodified")
        .collect();
    assert_eq!(names, ["B", "sops_mac"]);
    spec_reader::accept("f.env", &second, Format::Dotenv, &keys("alice"));
    // Another type is another value, though the text of the file does not show it.
    world.write("f.yaml", "# top\nA: \"5\"\nB: y\nC: true\n");
    world.ok(seal);
    assert!(second.contains(",type:int]"), "{second}");
    assert!(!world.read("f.env").contains(",type:int]"));
}

#[test]
fn bytes_that_are_no_text_go_where_they_can() {
    let world = sealed("f.bin", b"\xFF\x00\x80");
    let yaml = world.ok(["decrypt", "--output-type", "yaml", "f.bin"]);
    assert_eq!(text(yaml), "data: !!binary \"/wCA\"\n");
    for output in ["json", "toml", "dotenv"] {
        let message = world.fails(4, ["decrypt", "--output-type", output, "f.bin"]);
        assert!(message.contains("`data` in `f.bin`"), "{message}");
    }
    // Rules mean nothing to a binary file, whatever it is sealed as.
    let rule = [
        "--encrypted-regex",
        "^nothing$",
        "--output-type",
        "json",
        "f.txt",
    ];
    world.write("f.txt", "CANARY");
    let sealed = text(world.ok(["encrypt", "--age", ALICE].into_iter().chain(rule)));
    spec_reader::accept("f.json", &sealed, Format::Json, &keys("alice"));
    assert!(
        !sealed.contains("CANARY") && !sealed.contains("nothing"),
        "{sealed}"
    );
}

#[test]
fn aliases_and_documents() {
    let world = sealed("f.yaml", "a: &x\n  k: 1\nb: *x\nc:\n  <<: *x\n");
    let content = json!({"a": {"k": 1}, "b": {"k": 1}, "c": {"<<": {"k": 1}}});
    assert_eq!(
        read(
            Format::Json,
            &world.ok(["decrypt", "--output-type", "json", "f.yaml"])
        ),
        content
    );
    assert_eq!(world.ok(["get", "f.yaml", "c"]), b"<<:\n  k: 1\n");
    let world = sealed("f.yaml", "a: CANARY\n---\nb: 2\n");
    assert_data_eq!(
        world.fails(4, ["decrypt", "--output-type", "json", "f.yaml"]),
        str![[r#"
sops-rs: error: `f.yaml` cannot be written as json: JSON holds one document, and here are 2
hint: choose one with `--document N`, or put them into files of their own

"#]]
    );
    let json = ["decrypt", "--output-type", "json", "--document"];
    let number = |number| json.into_iter().chain([number, "f.yaml"]);
    assert_eq!(read(Format::Json, &world.ok(number("2"))), json!({"b": 2}));
    assert_eq!(
        world.ok(["decrypt", "--document", "2", "f.yaml"]),
        b"b: 2\n"
    );
    assert!(world.fails(91, number("3")).contains("it has 2"));
    assert!(world.fails(91, number("0")).contains("counted from 1"));
    world.fails(8, ["decrypt", "-i", "--document", "2", "f.yaml"]);
    world.write("plain.yaml", "a: CANARY\n---\nb: 2\n");
    let message = world.fails(
        4,
        [
            "encrypt",
            "--age",
            ALICE,
            "--output-type",
            "json",
            "plain.yaml",
        ],
    );
    assert!(
        message.contains("put them into files of their own"),
        "{message}"
    );
}

#[test]
fn what_has_no_room_is_named_and_not_shown() {
    let world = World::with_identity("alice");
    for (name, plain, output, path) in [
        ("a.yaml", "a:\n  b: CANARY\n", "dotenv", "a"),
        ("a.yaml", "a: [CANARY]\n", "shell", "a"),
        ("a.yaml", "a: 'CANARY\\n'\n", "dotenv", "a"),
        ("a.yaml", "a: ~\nb: CANARY\n", "dotenv", "a"),
        ("a.yaml", "a: {b: [1, ~, CANARY]}\n", "toml", "a.b[1]"),
        ("a.yaml", "a:\n  - CANARY\n  # two\n  - ~\n", "toml", "a[1]"),
        (
            "a.yaml",
            "a:\n  - b: 1\n  - b: [{c: ~, d: CANARY}]\n",
            "toml",
            "a[1].b[0].c",
        ),
        ("a.yaml", "a: [CANARY, {b: [.inf]}]\n", "json", "a[1].b[0]"),
        ("a.yaml", "a: {b: .nan, c: CANARY}\n", "json", "a.b"),
        ("a.yaml", "'a=b': CANARY\n", "dotenv", "a=b"),
        ("a.yaml", "a-b: CANARY\n", "shell", "a-b"),
        ("a.yaml", "a: CANARY\n", "ini", "a"),
        ("a.yaml", "a: {b: {c: CANARY}}\n", "ini", "a.b"),
        ("a.yaml", "a: CANARY\n", "binary", "a"),
        ("a.yaml", "data: CANARY\nmore: 1\n", "binary", "more"),
        ("a.yaml", "sops_x: CANARY\n", "dotenv", "sops_x"),
        ("a.env", "A=CANARY\nB=1\nA=2\n", "json", "A"),
        ("a.env", "sops=CANARY\n", "yaml", "sops"),
        ("a.json", r#"{"a": "CANARY\u0000"}"#, "shell", "a"),
    ] {
        world.write(name, plain);
        let label = format!("{plain:?} as {output}");
        let place = format!("`{path}` in `{name}` cannot be written as {output}: ");
        if output != "shell" {
            let seal = ["encrypt", "--age", ALICE, "--output-type", output, name];
            let message = world.fails(4, seal);
            assert!(
                message.contains(&place) && !message.contains("CANARY"),
                "{label}: {message}"
            );
            assert!(!message.contains("internal"), "{label}: {message}");
        }
        world.ok(["encrypt", "-i", "--age", ALICE, name]);
        let before = world.read(name);
        let message = world.fails(4, ["decrypt", "-i", "--output-type", output, name]);
        assert!(
            message.contains(&place) && !message.contains("CANARY"),
            "{label}: {message}"
        );
        assert!(!message.contains("internal"), "{label}: {message}");
        assert_eq!(world.read(name), before, "{label}");
    }
}

#[test]
fn what_is_sealed_or_damaged_is_not_converted() {
    let world = sealed("f.yaml", RICH_YAML);
    let seal = ["encrypt", "--age", BOB, "--output-type", "json", "f.yaml"];
    let message = world.fails(203, seal);
    assert!(message.contains("already encrypted"), "{message}");
    let damaged =
        world
            .read("f.yaml")
            .replacen("int: ENC[AES256_GCM,data:", "int: ENC[AES256_GCM,data:A", 1);
    world.write("f.yaml", damaged);
    world.fails(25, ["decrypt", "--output-type", "json", "f.yaml"]);
    let world = sealed("f.env", "A=1\nB=2\n");
    let cut: String = world
        .read("f.env")
        .lines()
        .skip(1)
        .map(|line| format!("{line}\n"))
        .collect();
    world.write("f.env", cut);
    let convert = ["decrypt", "--output-type", "json", "f.env"];
    world.fails(51, convert);
    let opened = world.ok(convert.into_iter().chain(["--ignore-mac"]));
    assert_eq!(read(Format::Json, &opened), json!({"B": "2"}));
}

#[test]
fn the_words_for_an_output() {
    let world = sealed("f.env", FLAT_DOTENV);
    let env = world.ok(["decrypt", "--output-type", "env", "f.env"]);
    assert_eq!(text(env), FLAT_DOTENV);
    let ran = world.run([
        "encrypt",
        "--age",
        ALICE,
        "--output-type",
        "shell",
        file(Format::Dotenv),
    ]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("yaml, json, dotenv"), "{}", ran.stderr);
    let text = python(
        "import json, sys; print(json.dumps(sys.stdin.read().count('export ')))",
        "",
        &world.ok(["decrypt", "--output-type", "shell", "f.env"]),
    );
    assert_eq!(text, json!(flat().as_object().unwrap().len()));
}
