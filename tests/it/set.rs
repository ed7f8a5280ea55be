//! The commands `set`, `unset`, `get` and `decrypt --extract`: values from everywhere, exit codes, what is written and
//! what is not, and that no value is shown where none was asked for.

use crate::spec_reader::{self, Keys};
use crate::support::{ALICE, World, holds, sops_fixtures};

/// A secret that no message may show.
const CANARY: &str = "S3CR3T-CANARY";

/// Alice's world with a config of this rule.
fn world(rule: &str) -> World {
    let world = World::with_identity("alice");
    world.write(
        ".sops-rs.yaml",
        format!("creation_rules:\n  - age: {ALICE}\n{rule}"),
    );
    world
}

/// The same with one sealed file.
fn sealed(name: &str, plain: &str) -> World {
    let world = world("");
    world.write(name, plain);
    world.ok(["encrypt", "--in-place", name]);
    world
}

const JSON: &str = "{\n  \"db\": {\n    \"user\": \"app\",\n    \"password\": \"old\"\n  },\n  \"hosts\": [\"a\", \"b\"],\n  \"on_unencrypted\": true\n}\n";
const DOTENV: &str = "# who\nUSER=app\nPASSWORD=old\n";
const YAML: &str = "# top\ndb:\n  user: root # inline\n  password: 'old'\nhosts: [a, b]\n";
const TOML: &str = "[db]\nuser = 'app'\npassword = 'old' # rotated\n";
const INI: &str = "[db]\n; who\nuser     = app\npassword = old\n";

fn opened(world: &World, name: &str) -> String {
    String::from_utf8(world.ok(["decrypt", name])).expect("UTF-8")
}

/// The lines of `after` that `before` does not have, without the value.
fn new_lines(before: &str, after: &str) -> Vec<String> {
    let is_new = |line: &&str| !before.lines().any(|old| old == *line);
    let key = |line: &str| {
        let line = line.trim_start().trim_start_matches('"');
        let end = line.find(['"', ':', '=', ' ']).unwrap_or(line.len());
        let key = line.get(..end).unwrap_or_default();
        key.trim_start_matches("sops_").to_owned()
    };
    let mut lines: Vec<String> = after.lines().filter(is_new).map(key).collect();
    lines.sort();
    lines
}

/// Law 4, and what the reader of the specification says.
#[test]
fn one_change_is_one_line_and_no_change_is_none() {
    for (name, plain, path, changed) in [
        ("a.json", JSON, "db.password", "password"),
        ("a.env", DOTENV, "PASSWORD", "PASSWORD"),
        ("a.ini", INI, "db.password", "password"),
        ("a.toml", TOML, "db.password", "password"),
        ("a.yaml", YAML, "db.password", "password"),
    ] {
        let world = sealed(name, plain);
        let before = world.read(name);
        world.ok(["set", name, path, "\"new\""]);
        let after = world.read(name);
        let lines = new_lines(&before, &after);
        let seal = |line: &&String| !["lastmodified", "mac"].contains(&line.as_str());
        assert_eq!(
            lines.iter().filter(seal).collect::<Vec<_>>(),
            [changed],
            "{after}"
        );
        assert_eq!(before.lines().count(), after.lines().count());
        assert_eq!(opened(&world, name), plain.replace("old", "new"));
        assert_eq!(world.ok(["get", name, path]), b"new");
        for arguments in [
            vec!["set", name, path, "\"new\""],
            vec!["set", "--idempotent", name, path, "\"new\""],
            vec!["unset", "--idempotent", name, "absent"],
        ] {
            let ran = world.run(arguments);
            assert_eq!(ran.code, Some(0), "{}", ran.stderr);
            assert!(ran.stderr.contains("nothing was written"), "{}", ran.stderr);
            assert_eq!(world.read(name), after, "{name} was written");
        }
    }
}

/// Law 4 where the text of a file does not show the types of its tokens.
#[test]
fn typed_tokens_stay_in_files_that_know_text_only() {
    let plain = "s:\n  i: 7\n  b: true\n  f: 1e+30\n  t: 2024-01-02\n  x: old\n";
    let flat = plain.replace("s:\n", "").replace("  ", "");
    for (format, name, plain, path) in [
        ("ini", "a.ini", plain, "s.x"),
        ("dotenv", "a.env", flat.as_str(), "x"),
        ("json", "a.json", plain, "s.x"),
    ] {
        let world = world("");
        world.write("plain.yaml", plain);
        let convert = ["encrypt", "--output-type", format, "--output", name];
        world.ok(convert.into_iter().chain(["plain.yaml"]));
        let before = world.read(name);
        for kind in ["int", "bool", "float", "time"] {
            assert!(before.contains(&format!(",type:{kind}]")), "{before}");
        }
        world.ok(["set", name, path, "\"new\""]);
        let lines = new_lines(&before, &world.read(name));
        let seal = |line: &&String| !["lastmodified", "mac"].contains(&line.as_str());
        assert_eq!(lines.iter().filter(seal).collect::<Vec<_>>(), ["x"]);
        // The MAC is right, and a value that is changed is text.
        world.ok(["decrypt", name]);
        world.ok(["set", name, &path.replace('x', "b"), "\"false\""]);
        assert!(!world.read(name).contains(",type:bool]"));
        world.ok(["decrypt", name]);
    }
}

/// The fixtures of SOPS: what it wrote keeps its tokens, and its own reader's rules hold.
#[test]
fn files_of_sops_are_changed_too() {
    let identity = std::fs::read_to_string(sops_fixtures().join("keys/alice.age.txt"));
    let keys = Keys::of_identities([identity.expect("an identity")]);
    for (name, path, gone) in [
        ("json.json", "new.key", "new"),
        ("env.env", "NEW", "NEW"),
        ("ini.ini", "new.key", "new"),
    ] {
        let world = world("");
        let text = std::fs::read_to_string(sops_fixtures().join("sealed").join(name));
        let text = text.expect("a fixture");
        world.write(name, &text);
        let plain = opened(&world, name);
        world.ok(["set", name, path, "\"x\""]);
        let changed = world.read(name);
        let format = spec_reader::Format::of_path(name);
        let reading = spec_reader::accept(name, &changed, format, &keys);
        assert!(
            reading
                .leaves
                .iter()
                .any(|leaf| leaf.text() == "x" && leaf.sealed)
        );
        let tokens = |text: &str| -> Vec<String> {
            let pieces = text.split("ENC[").skip(1);
            pieces
                .map(|piece| piece.split(']').next().unwrap_or_default().to_owned())
                .collect()
        };
        let kept = tokens(&changed);
        let lost = tokens(&text)
            .into_iter()
            .filter(|token| !kept.contains(token))
            .count();
        assert_eq!(lost, 1, "{name}: the MAC alone is sealed anew");
        world.ok(["unset", name, gone]);
        assert_eq!(opened(&world, name), plain, "{name}");
    }
}

#[test]
fn values_come_from_everywhere() {
    let world = sealed("a.json", JSON);
    let cert = "-----BEGIN-----\nAAAA\n-----END-----\n";
    world.write("value.json", "{\"a\": [1, 2.5, null]}\n");
    world.write("cert.pem", cert);
    world.write("line.txt", "one line\r\n");
    for (arguments, input, expected) in [
        (vec!["x", "5"], "", "5"),
        (vec!["x", "-5"], "", "-5"),
        (vec!["x", "5.0"], "", "5.0"),
        (vec!["x", "[\"a\"]"], "", "[\n\t\"a\"\n]\n"),
        (vec!["x", "--value-stdin"], "\"piped\"\n", "piped"),
        (
            vec!["x", "--value-file", "value.json"],
            "",
            "{\n\t\"a\": [\n\t\t1,\n\t\t2.5,\n\t\tnull\n\t]\n}\n",
        ),
        (vec!["x", "--string", "it's \"so\""], "", "it's \"so\""),
        (vec!["x", "--string", "--", "--dashes"], "", "--dashes"),
        (vec!["x", "--string", "5"], "", "5"),
        (vec!["x", "--string", "--value-stdin"], "piped\n", "piped"),
        (vec!["x", "--string", "--value-stdin"], "piped", "piped"),
        (vec!["x", "--string", "--value-stdin"], "", ""),
        (vec!["x", "--string", "--value-stdin"], "a\nb\n", "a\nb\n"),
        (vec!["x", "--string", "--value-file", "cert.pem"], "", cert),
        (
            vec!["x", "--string", "--value-file", "line.txt"],
            "",
            "one line",
        ),
    ] {
        let words = ["set", "a.json"]
            .into_iter()
            .chain(arguments.iter().copied());
        let ran = world.run_with(words, input.as_bytes());
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
        let found = String::from_utf8(world.ok(["get", "a.json", "x"])).expect("UTF-8");
        assert_eq!(found, expected, "{arguments:?}");
    }
    world.write("bytes", [0xff, 0x00, 0xfe]);
    let said = world.fails(
        2,
        ["set", "a.json", "x", "--string", "--value-file", "bytes"],
    );
    assert!(said.contains("encode other bytes first"), "{said}");
}

#[test]
fn lists_grow_and_shrink() {
    let world = sealed("a.json", JSON);
    world.ok(["set", "a.json", "hosts[]", "\"d\""]);
    world.ok(["set", "a.json", "--insert", "/hosts/2", "\"c\""]);
    world.ok(["set", "a.json", "[\"hosts\"][0]", "\"A\""]);
    let hosts = |world: &World| world.ok(["get", "a.json", "hosts", "--output-type", "json"]);
    assert_eq!(
        hosts(&world),
        b"[\n\t\"A\",\n\t\"b\",\n\t\"c\",\n\t\"d\"\n]\n"
    );
    world.ok(["unset", "a.json", "hosts[1]"]);
    assert_eq!(hosts(&world), b"[\n\t\"A\",\n\t\"c\",\n\t\"d\"\n]\n");
}

#[test]
fn made_up_values_are_shown_to_nobody() {
    let world = sealed("a.env", DOTENV);
    let mut seen = Vec::new();
    for (recipe, length, bits) in [
        ("32", 32, "190 bits"),
        ("hex:64", 64, "256 bits"),
        ("base64:32", 44, "256 bits"),
        ("symbols", 32, "207 bits"),
        ("digits:6", 6, "19 bits"),
    ] {
        let ran = world.run(["set", "a.env", "PASSWORD", "--generate", recipe]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let value = String::from_utf8(world.ok(["get", "a.env", "PASSWORD"])).expect("UTF-8");
        assert_eq!(value.len(), length, "{recipe}");
        assert!(
            ran.stdout.is_empty() && !ran.stderr.contains(&value),
            "{}",
            ran.stderr
        );
        assert!(ran.stderr.contains(bits), "{}", ran.stderr);
        assert!(!seen.contains(&value));
        seen.push(value);
    }
    world.ok(["set", "a.env", "PASSWORD", "--generate", "words:6"]);
    let words = String::from_utf8(world.ok(["get", "a.env", "PASSWORD"])).expect("UTF-8");
    assert_eq!(words.split('-').count(), 6);
    let message = world.fails(1, ["set", "a.env", "PASSWORD", "--generate", "pin"]);
    assert!(
        message.contains("alnum, digits, hex, symbols, base64, words"),
        "{message}"
    );
}

/// Whatever is refused: the code of spec 9.2, a message that says what is there, no value, and the file as it was.
#[test]
fn what_is_refused_is_not_written_and_not_shown() {
    let plain = JSON.replace("old", CANARY);
    let world = sealed("a.json", &plain);
    world.write("plain.json", &plain);
    world.write("b.bin", CANARY);
    world.write("a.toml", "b = 1\n");
    world.write("a.yaml", "a: 1\nb: # why\n  x\n");
    world.ok(["encrypt", "--in-place", "b.bin", "a.toml", "a.yaml"]);
    let before = world.read("a.json");
    for (code, words, part) in [
        (7, "set a.json db[ 5", "no `]`"),
        (7, "set a.json db[-1] 5", "negative"),
        (7, "set a.json '' 5", "whole document"),
        (7, "set a.json db.password S3CR3T-CANARY", "not JSON"),
        (
            7,
            "set a.json db.password '\"S3CR3T-CANARY'",
            "ends too early",
        ),
        (7, "set a.json db.password '{\"S3CR3T-CANARY\"'", "not JSON"),
        (7, "set a.json db.password 99999999999999999999", "64 bits"),
        (
            7,
            "set a.json db.password.x 5",
            "`db.password` is a single value",
        ),
        (7, "set a.json db[0] 5", "is a mapping"),
        (7, "set a.json hosts.x 5", "is a list"),
        (
            7,
            "set a.json hosts[7] 5",
            "has 2 items, none at position 7",
        ),
        (7, "set a.json new[7] 5", "begins at position 0"),
        (7, "set a.json new.0 5", "a key or a position"),
        (7, "set a.json --insert db.user 5", "only an item of a list"),
        (7, "set a.json --document 2 db.user 5", "it has 1"),
        (7, "set a.json --document 0 db.user 5", "counted from 1"),
        (7, "set b.bin data 5", "binary file"),
        (
            8,
            "set a.json db.password my S3CR3T-CANARY",
            "more than one VALUE",
        ),
        (
            8,
            "set a.json db.password --value-stdin S3CR3T-CANARY",
            "besides the option",
        ),
        (
            8,
            "set a.json db.password --generate 5 S3CR3T-CANARY",
            "besides the option",
        ),
        (
            8,
            "set a.json db.password --value-stdin --generate 5",
            "cannot be used with",
        ),
        (
            8,
            "set a.json db.password 5 --output-type yaml --input-type json",
            "converted",
        ),
        (
            1,
            "set a.json db.password --string --value-stdinn",
            "'--value-stdin'",
        ),
        (1, "set a.json db.password 5 --idempotnt", "'--idempotent'"),
        (
            8,
            "set a.json db.password 5 --output-type yaml",
            "from json to yaml",
        ),
        (
            8,
            "unset a.json db.password --output-type yaml",
            "converted",
        ),
        (7, "set '[\"db\"]' '\"S3CR3T-CANARY\"' a.json", "no path"),
        (7, "set a.json '[\"db\"] \"S3CR3T-CANARY\"'", "no path"),
        (7, "set a.json '[\"db\"]\"S3CR3T-CANARY\"'", "no path"),
        (7, "set a.json db.user 5}", "nothing more behind"),
        (4, "set a.toml b null", "value that the format can hold"),
        (4, "set a.yaml b [1]", "see line 2 of the decrypted file"),
        (100, "set a.json db.password", "no value was given"),
        (100, "set a.json", "<PATH>"),
        (100, "set absent.json a 5", "does not exist"),
        (100, "set a.json a --value-file absent", "does not exist"),
        (203, "set a.json sops.mac 5", "own metadata"),
        (1, "set plain.json db.user 5", "not encrypted"),
        (1, "unset a.json db.pasword", "`db` has no key `pasword`"),
        (1, "unset a.json hosts[2]", "has 2 items"),
        (1, "unset a.json db.user.x", "single value"),
        (1, "unset --idempotent a.json db.user.x", "single value"),
        (1, "unset a.json sops", "no key `sops`"),
        (7, "unset a.json ''", "whole document"),
        (91, "get a.json db.pasword", "its keys: user, password"),
        (91, "get a.json db.user.x", "single value"),
        (91, "get a.json hosts[-1]", "negative"),
        (91, "get a.json hosts[]", "asks for a new one"),
        (91, "get a.json db[0]", "is a mapping"),
        (91, "get a.json hosts.x", "is a list"),
        (91, "get a.json ]", "expected a key"),
        (91, "get b.bin other", "binary file"),
        (91, "get --document 2 a.json db", "it has 1"),
        (
            4,
            "get a.json hosts --output-type dotenv",
            "written as dotenv",
        ),
        (
            91,
            "decrypt --extract '[\"db\"][\"x\"]' a.json",
            "`db` has no key `x`",
        ),
        (
            8,
            "decrypt -i --extract '[\"db\"]' a.json",
            "cannot be used with",
        ),
        (
            8,
            "decrypt --extract '[\"db\"]' a.json b.bin",
            "cannot be used with",
        ),
    ] {
        let arguments = shell_words::split(words).expect("words");
        let message = world.fails(code, &arguments);
        assert!(message.contains(part), "{words}: {message}");
        assert!(!message.contains(CANARY), "{words}: {message}");
        assert_eq!(world.read("a.json"), before, "{words}");
    }
}

/// A missing component: which, what is there instead, and what was meant, to the letter.
#[test]
fn a_path_that_leads_nowhere_is_explained() {
    let world = sealed(
        "a.json",
        "{\"data\": {\"tls.crt\": \"x\", \"ca.crt\": \"y\"}}\n",
    );
    let message = world.fails(91, ["get", "a.json", "data.tls.crt"]);
    assert_eq!(
        message,
        "sops-rs: error: `data.tls.crt` is not in `a.json`: `data` has no key `tls`\n  its keys: tls.crt, ca.crt\nhint: did you mean `data[\"tls.crt\"]`? put it in single quotes in a shell\n"
    );
    assert_eq!(world.ok(["get", "a.json", "data[\"tls.crt\"]"]), b"x");
    let message = world.fails(7, ["set", "a.json", "data.tls.crt", "5"]);
    assert_eq!(
        message,
        "sops-rs: error: `data.tls.crt` is not in `a.json`: `data` has no key `tls`\n  its keys: tls.crt, ca.crt\nhint: write `data[\"tls.crt\"]` for the key that is there, `data[\"tls\"][\"crt\"]` for new ones inside each other\n"
    );
    world.ok(["set", "a.json", "data[\"tls\"][\"crt\"]", "5"]);
    let list = sealed("l.json", "{\"l\": [{\"a.b\": 1}]}\n");
    let message = list.fails(7, ["set", "l.json", "l.0.a.b", "5"]);
    assert!(
        message.contains("`l.0[\"a.b\"]` for the key that is there, `l.0[\"a\"][\"b\"]` for"),
        "{message}"
    );
    list.ok(["set", "l.json", "l.0[\"a\"][\"b\"]", "5"]);
    world.ok(["set", "a.json", "data.other.crt", "5"]);
    let message = world.fails(91, ["get", "a.json", "data[x]"]);
    assert_eq!(
        message,
        "sops-rs: error: this is no path: expected a position or a key in quotes between the brackets\n  data[…\n       ^\nhint: a path is written `a.b[0]`, `[\"a\"][\"b\"][0]` or `/a/b/0`, and in single quotes in a shell\n"
    );
}

/// What is left in clear is said of the value that was set, not of one that came to stand in the place of what went.
#[test]
fn a_value_that_stays_in_clear_is_told() {
    let world = world("");
    world.write("a.yaml", "p: 1 # enc\nl:\n  # enc\n  - one\n  - two\n");
    let seal = [
        "encrypt",
        "-i",
        "--encrypted-comment-regex",
        "enc",
        "a.yaml",
    ];
    world.ok(seal);
    let note = |arguments: &[&str]| {
        let ran = world.run(arguments);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.stderr.contains("is in clear")
    };
    assert!(!note(&["unset", "a.yaml", "l[0]"]));
    assert!(note(&["set", "a.yaml", "l[0]", "\"three\""]));
    assert!(!note(&["set", "a.yaml", "p", "2"]));
}

/// Words behind the path that look like options are options, unless `--` stands before them; other dashes begin values.
#[test]
fn values_may_begin_with_a_dash() {
    let world = sealed("a.env", "A=1\n");
    for (words, value) in [
        ("A -5", "-5"),
        ("A --string -x", "-x"),
        ("A --string '-----BEGIN KEY-----'", "-----BEGIN KEY-----"),
        ("A --string -- --debug", "--debug"),
        ("--string -- A --debug=1", "--debug=1"),
    ] {
        let words = shell_words::split(words).expect("words");
        let words = words.iter().map(String::as_str);
        world.ok(["set", "a.env"].into_iter().chain(words));
        assert_eq!(world.ok(["get", "a.env", "A"]), value.as_bytes());
    }
}

/// Depth has a bound, of what is there and of what a path makes: what is beyond it is refused, however far.
#[test]
fn nothing_is_made_deeper_than_it_could_be_read() {
    for name in ["a.json", "a.yaml", "a.toml"] {
        let world = sealed(
            name,
            if name == "a.toml" {
                "b = 1\n"
            } else {
                "{\"b\": 1}\n"
            },
        );
        let before = world.read(name);
        for depth in [257, 1_000, 30_000] {
            let path = vec!["a"; depth].join(".");
            let message = world.fails(7, ["set", name, &path, "5"]);
            assert!(message.contains("more than 256"), "{message}");
            world.fails(91, ["get", name, &path]);
            world.fails(1, ["unset", name, &path]);
        }
        let (path, lists) = (vec!["a"; 250].join("."), "[[[[[[[5]]]]]]]");
        world.fails(7, ["set", name, &path, lists]);
        assert_eq!(world.read(name), before);
        world.ok(["set", name, &path, "[[5]]"]);
        world.ok(["unset", name, "a"]);
    }
}

/// Lists and mappings of TOML keep the spelling of what is in them; a value alone is what it means.
#[test]
fn parts_of_toml_stay_toml() {
    let world = sealed(
        "a.toml",
        "[a]\nat = 1979-05-27 07:32:00.50\nday = 1979-05-27 # c\nlist = [ 'x', 0xff, 07:32:00 ]\nfloat = 1.0e3\noff = inf\ninstant = 1979-05-27T07:32:00.5-08:00\n",
    );
    for (path, expected) in [
        (
            "a",
            "at = 1979-05-27 07:32:00.50\n# c\nday = 1979-05-27\nlist = ['x', 0xff, 07:32:00]\nfloat = 1.0e3\noff = inf\ninstant = 1979-05-27T07:32:00.5-08:00\n",
        ),
        ("a.list", "['x', 0xff, 07:32:00]"),
        ("a.list[0]", "x"),
        ("a.list[1]", "255"),
        ("a.day", "1979-05-27"),
        ("a.float", "1000.0"),
        ("a.off", "inf"),
        ("a.instant", "1979-05-27T07:32:00.5-08:00"),
    ] {
        let found = String::from_utf8(world.ok(["get", "a.toml", path])).expect("UTF-8");
        assert_eq!(found, expected, "{path}");
    }
    let as_yaml = world.ok(["get", "a.toml", "a.list", "--output-type", "yaml"]);
    assert_eq!(as_yaml, b"- x\n- 255\n- \"07:32:00\"\n");
}

#[test]
fn get_and_extract_give_the_same() {
    let world = sealed("a.json", JSON);
    world.write("b.bin", b"\0\xff\n");
    world.ok(["encrypt", "--in-place", "b.bin"]);
    for (name, path, expected) in [
        ("a.json", "[\"db\"][\"user\"]", b"app".as_slice()),
        ("a.json", "[\"hosts\"][1]", b"b"),
        ("a.json", "[\"on_unencrypted\"]", b"true"),
        ("a.json", "[\"hosts\"]", b"[\n\t\"a\",\n\t\"b\"\n]\n"),
        ("a.json", "", JSON.as_bytes()),
        ("b.bin", "[\"data\"]", b"\0\xff\n"),
        ("b.bin", "", b"\0\xff\n"),
    ] {
        assert_eq!(world.ok(["get", name, path]), expected, "{path}");
        assert_eq!(
            world.ok(["decrypt", "--extract", path, name]),
            expected,
            "{path}"
        );
    }
    let input = world.read_bytes("a.json");
    let ran = world.run_with(
        ["get", "--filename-override", "x.json", "-", "db.user"],
        &input,
    );
    assert_eq!(ran.stdout, b"app", "{}", ran.stderr);
    world.ok([
        "decrypt",
        "--extract",
        "db.user",
        "--output",
        "out",
        "a.json",
    ]);
    assert_eq!(world.read("out"), "app");
}

/// Nothing of a file that somebody changed is given or written, unless that is asked for.
#[test]
fn a_wrong_mac_stops_everything() {
    let world = sealed("a.json", JSON);
    let text = world.read("a.json");
    let damaged = text.replace("\"on_unencrypted\": true", "\"on_unencrypted\": false");
    world.write("a.json", &damaged);
    world.fails(51, ["get", "a.json", "db.user"]);
    world.fails(51, ["set", "a.json", "db.user", "5"]);
    world.fails(51, ["unset", "a.json", "db.user"]);
    assert_eq!(world.read("a.json"), damaged);
    assert_eq!(
        world.ok(["get", "--ignore-mac", "a.json", "db.user"]),
        b"app"
    );
    world.ok(["set", "--ignore-mac", "a.json", "db.user", "5"]);
    assert_eq!(world.ok(["get", "a.json", "db.user"]), b"5");
}

/// The rule of the file decides what becomes of a new value, and what stays in clear is told.
#[test]
fn the_rules_hold_for_what_is_set() {
    let world = sealed("a.json", JSON);
    let ran = world.run(["set", "a.json", "note_unencrypted", "\"seen\""]);
    assert!(
        ran.stderr.contains("`note_unencrypted` is in clear in `a.json`: the rule is unencrypted_suffix: _unencrypted"),
        "{}",
        ran.stderr
    );
    assert!(
        world
            .read("a.json")
            .contains("\"note_unencrypted\": \"seen\"")
    );
    let ran = world.run(["set", "a.json", "note", "\"hidden\""]);
    assert_eq!(ran.stderr, "");
    assert!(!world.read("a.json").contains("hidden"));

    let blocks = sealed("a.yaml", "cert: x\n");
    let ran = blocks.run(["set", "a.yaml", "cert", "\"a\\nb\\n\""]);
    assert_eq!(ran.stderr, "", "a token in a block is sealed, too");
    let ran = blocks.run(["set", "a.yaml", "new", "{\"x_unencrypted\": [1], \"y\": 2}"]);
    assert!(ran.stderr.contains("`new` is in clear"), "{}", ran.stderr);
    let ran = blocks.run(["set", "a.yaml", "more", "{\"x\": [1], \"y\": {}}"]);
    assert_eq!(ran.stderr, "");

    let regex = self::world("    encrypted_regex: ^secret\n");
    regex.write("a.env", "secret=1\n");
    regex.ok(["encrypt", "--in-place", "a.env"]);
    regex.ok(["set", "a.env", "secret2", "\"hidden\""]);
    let ran = regex.run(["set", "a.env", "open", "\"seen\""]);
    assert!(ran.stderr.contains("`open` is in clear"), "{}", ran.stderr);
    let text = regex.read("a.env");
    assert!(
        text.contains("open=seen") && !text.contains("hidden"),
        "{text}"
    );

    let comment = self::world("    encrypted_comment_regex: sops:enc\n");
    comment.write("a.env", "# sops:enc\nA=1\nB=2\n");
    comment.ok(["encrypt", "--in-place", "a.env"]);
    comment.ok(["set", "a.env", "A", "\"hidden\""]);
    comment.ok(["set", "a.env", "B", "\"seen\""]);
    let text = comment.read("a.env");
    assert!(
        text.contains("B=seen") && !text.contains("hidden"),
        "{text}"
    );
    assert_eq!(opened(&comment, "a.env"), "# sops:enc\nA=hidden\nB=seen\n");
}

/// Each trouble in each format: a clear error or the right result, and never a damaged file.
#[test]
fn trouble_in_every_format() {
    let long = "x".repeat(1 << 20);
    for (name, plain, path, only) in [
        ("a.json", "{\"k\": \"old\"}\n", "k", "k"),
        ("a.env", "K=old\n", "K", "K"),
        ("a.ini", "[s]\nk = old\n", "s.k", "s"),
        ("a.toml", "k = 'old'\n", "k", "k"),
        ("a.yaml", "k: old\n", "k", "k"),
    ] {
        let world = sealed(name, plain);
        let world = &world;
        let set = |value: &str| {
            let before = world.read(name);
            let ran = world.run_with(
                ["set", "--string", "--value-stdin", name, path],
                value.as_bytes(),
            );
            let after = world.read(name);
            match ran.code {
                Some(0) => {
                    let found = world.ok(["get", name, path]);
                    assert!(found == value.as_bytes(), "{name}: another value");
                }
                Some(4) => assert_eq!(before, after, "{name}"),
                _ => panic!("{name}: {}", ran.stderr),
            }
            assert!(!holds(ran.stderr.as_bytes(), CANARY), "{}", ran.stderr);
            ran.code
        };
        for value in [
            "",
            " ",
            "a\nb",
            "\0",
            "S3CR3T-CANARY\\n",
            "ENC[AES256_GCM,x]",
            "\u{feff}",
            "\u{2028}",
            "'",
            "\"",
            "`",
            "\"\"\"",
            "a\r\nb",
            "#",
            ";x",
            "\\",
            "[x]",
            "=",
            &long,
        ] {
            // A line break, alone or after one line, is not part of a line.
            let code = set(value);
            let may_fail = match name {
                "a.json" | "a.toml" | "a.yaml" => false,
                _ => value.contains(['\n', '\r', '\\']),
            };
            assert!(
                code == Some(0) || may_fail,
                "{name}: {value:.20?} is refused"
            );
        }
        world.ok(["unset", name, only]);
        assert!(
            matches!(opened(world, name).as_str(), "{}\n" | ""),
            "{}",
            opened(world, name)
        );
        world.ok(["set", name, path, "\"again\""]);
        assert_eq!(world.ok(["get", name, path]), b"again");
    }
}

/// The first document is meant unless another is named.
#[test]
fn files_of_several_documents() {
    let world = sealed("a.yaml", "a: one\n---\na: two\nb: &x 1\nc: *x\n");
    world.ok(["set", "a.yaml", "a", "\"1st\""]);
    world.ok(["set", "a.yaml", "--document", "2", "a", "\"2nd\""]);
    assert_eq!(world.ok(["get", "a.yaml", "a"]), b"1st");
    assert_eq!(world.ok(["get", "a.yaml", "--document", "2", "a"]), b"2nd");
    assert_eq!(world.ok(["get", "a.yaml", "--document", "2", "b"]), b"1\n");
    assert_eq!(
        world.ok(["get", "a.yaml", "--document", "1", ""]),
        b"a: 1st\n",
        "an empty path is all of the document that was named"
    );
    let through = ["set", "a.yaml", "--document", "2", "a.x", "1"];
    let message = world.fails(7, through);
    assert!(
        message.contains("`sops-rs unset --document 2 a.yaml a`"),
        "{message}"
    );
    world.fails(91, ["get", "a.yaml", "--document", "3", ""]);
    let message = world.fails(91, ["get", "a.yaml", "--document", "3", "a"]);
    assert!(message.contains("it has 2"), "{message}");
    let extract = [
        "decrypt",
        "--extract",
        "[\"a\"]",
        "--document",
        "2",
        "a.yaml",
    ];
    assert_eq!(world.ok(extract), b"2nd");
}

/// A list behind `<<` holds mappings only: that is said, and is no defect of the program.
#[test]
fn an_item_of_a_merge_stays_a_mapping() {
    let world = sealed("a.yaml", "x:\n  <<: [{a: 1}]\n");
    let message = world.fails(4, ["set", "a.yaml", "x[\"<<\"][0]", "5"]);
    assert!(message.contains("merges a mapping"), "{message}");
    world.ok(["set", "a.yaml", "x[\"<<\"][0]", "{\"b\": 2}"]);
}

/// What stands behind an alias stands at its anchor, too.
#[test]
fn aliases_are_read_and_not_written_through() {
    let world = world("    encrypted_regex: ^secret$\n");
    world.write("a.yaml", "secret: x\nbase: &base\n  a: 1\nuse: *base\n");
    world.ok(["encrypt", "--in-place", "a.yaml"]);
    assert_eq!(world.ok(["get", "a.yaml", "use.a"]), b"1\n");
    let message = world.fails(7, ["set", "a.yaml", "use.a", "2"]);
    assert!(
        message.contains("line 4 is an alias of line 2"),
        "{message}"
    );
}

/// What `docs/compat.md` says of deep nesting: which commands refuse it, and which do not.
#[test]
fn nesting_is_changed_and_converted_down_to_256_levels() {
    // What is below the key `a`, nested so deep: the top level is one of the levels.
    let json = |depth: usize| {
        format!(
            "{{\"b\":1,\"c\":2,\"a\":{}1{}}}\n",
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        )
    };
    let yaml = |depth: usize| {
        format!(
            "b: 1\nc: 2\na: {}1{}\n",
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        )
    };
    let toml = |depth: usize| format!("b = 1\nc = 2\n[{}a]\nd = 1\n", "a.".repeat(depth - 2));
    let formats: [(&str, &dyn Fn(usize) -> String); 3] =
        [("x.json", &json), ("x.yaml", &yaml), ("x.toml", &toml)];
    for (name, plain) in formats {
        let other = if name == "x.json" { "yaml" } else { "json" };
        for depth in [256, 300] {
            let world = sealed(name, &plain(depth));
            let works = |arguments: &[&str]| world.run(arguments).code == Some(0);
            let fits = depth == 256;
            for arguments in [
                &["set", name, "b", "5"][..],
                &["unset", name, "c"],
                &["get", name, "a"],
                &["decrypt", "--extract", "[\"a\"]", name],
                &["decrypt", "--output-type", other, name],
            ] {
                let before = world.read(name);
                assert_eq!(works(arguments), fits, "{depth}: {arguments:?}");
                assert!(fits || world.read(name) == before, "{arguments:?}");
            }
            for arguments in [
                &["get", name, "b"][..],
                &["rotate", "-i", name],
                &["explain", name],
                &["decrypt", "-i", name],
                &["encrypt", "-i", name],
            ] {
                assert!(works(arguments), "{depth}: {arguments:?}");
            }
        }
    }
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compat.md");
    let page = std::fs::read_to_string(page).expect("the page");
    assert!(page.contains("nesting above 256 levels in `set`, `unset`"));
}
