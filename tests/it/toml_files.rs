//! TOML from the command line: where it fails and how that is said, and what SOPS, which does not know it, has sealed.

use crate::support::{ALICE, World, sops_fixtures};

fn alice() -> World {
    let world = World::with_identity("alice");
    world.write(
        ".sops-rs.yaml",
        format!("creation_rules:\n  - age: {ALICE}\n"),
    );
    world
}

#[test]
fn what_is_no_toml_is_refused_with_line_and_column() {
    let world = alice();
    for (text, place, message) in [
        (
            "a = 1\nb = \n",
            "db.toml:2:5",
            "there is no value behind the `=`",
        ),
        (
            "a = 1\n[a]\n",
            "db.toml:2:2",
            "the key `a` stands twice in its table, on lines 1 and 2",
        ),
        (
            "a = {}\n[a.b]\n",
            "db.toml:2:2",
            "nothing can be added here to `a` of line 1",
        ),
        ("é = 1\n", "db.toml:1:1", "invalid unquoted key"),
        (
            "a = 'x'\nb = 'é' c\n",
            "db.toml:2:9",
            "unexpected key or value",
        ),
        (
            "a = 24:00:00\n",
            "db.toml:1:5",
            "this is not a date or time of TOML 1.0",
        ),
        (
            "<<<<<<< HEAD\na = 1\n=======\n",
            "db.toml:1:1",
            "unresolved merge conflict",
        ),
    ] {
        world.write("db.toml", text);
        let said = world.fails(2, ["encrypt", "-i", "db.toml"]);
        assert!(
            said.contains(message) && said.contains(&format!("{place}\n")),
            "{text}: {said}"
        );
        assert_eq!(world.read("db.toml"), text);
    }
}

#[test]
fn a_rule_does_not_ask_a_comment_at_a_table_that_was_begun_elsewhere() {
    let world = alice();
    world.write(
        ".sops-rs.yaml",
        format!("creation_rules:\n  - encrypted_comment_regex: seal\n    age: {ALICE}\n"),
    );
    let seal = |text: &str| {
        world.write("db.toml", text);
        world.run(["encrypt", "db.toml"])
    };
    let ran = seal("[a.b]\nx = 'clear'\n# seal\n[a]\ny = 'sealed?'\n");
    assert_ne!(ran.code, Some(0));
    let said = [
        "db.toml:3:1",
        "directly above the line that mentions this table first",
    ];
    assert!(
        said.iter().all(|word| ran.stderr.contains(word)),
        "{}",
        ran.stderr
    );
    let text = seal("# seal\n[a]\ny = 'sealed'\n[b]\nz = 'clear'\n[a.c]\nx = 'sealed'\n").text();
    assert!(
        !text.contains("'sealed'") && text.contains("'clear'"),
        "{text}"
    );
}

/// SOPS takes this suffix for binary.
#[test]
fn an_envelope_of_sops_under_this_name_is_opened_edited_and_rotated_as_one() {
    let world = alice();
    let fixture = sops_fixtures().join("sealed/note.txt");
    let sealed = std::fs::read(fixture).expect("a fixture");
    let plain = std::fs::read(sops_fixtures().join("plain/note.txt")).expect("a fixture");
    world.write("note.toml", &sealed);
    assert_eq!(world.ok(["decrypt", "note.toml"]), plain);
    assert_eq!(
        world.ok(["filestatus", "note.toml"]),
        b"{\"encrypted\":true}\n"
    );
    world.fails(203, ["encrypt", "-i", "note.toml"]);
    world.ok(["updatekeys", "-y", "note.toml"]);
    world.ok(["rotate", "-i", "note.toml"]);
    assert_eq!(world.ok(["decrypt", "note.toml"]), plain);
    let ran = world.edit("echo more >> \"$1\"", ["note.toml"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(
        world.ok(["decrypt", "note.toml"]),
        [plain, b"more\n".to_vec()].concat()
    );
    assert!(world.read("note.toml").starts_with("{\n"));
}

#[test]
fn a_file_that_was_an_envelope_is_sealed_as_toml_when_it_is_made_anew() {
    let world = alice();
    world.write("plain.toml", "a = 1\n");
    world.ok([
        "encrypt",
        "--input-type",
        "binary",
        "--output",
        "db.toml",
        "plain.toml",
    ]);
    assert!(world.read("db.toml").starts_with('{'));
    assert_eq!(world.ok(["decrypt", "db.toml"]), b"a = 1\n");
    world.ok(["encrypt", "--output", "db.toml", "plain.toml"]);
    assert!(world.read("db.toml").starts_with("a = \"ENC["));
    assert_eq!(world.ok(["decrypt", "db.toml"]), b"a = 1\n");
}
