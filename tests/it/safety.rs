//! What must never be written: a file that does not open again, a secret in clear by way of an alias, metadata with
//! something missing. And hostile files, which may cost no more than their size.

use crate::support::{ALICE, World};

fn alice() -> World {
    let world = World::with_identity("alice");
    let config = format!("creation_rules:\n  - age: {ALICE}\n");
    world.write(".sops-rs.yaml", config);
    world
}

/// go-yaml reads the blanks of the last line as content once a line break follows: the MAC is made of the text as written.
#[test]
fn a_clear_block_that_ends_in_blanks_has_the_right_mac() {
    let world = alice();
    let plain = "s: x\nk: |+\n  x\n  ";
    world.write("m.yaml", plain);
    world.ok(["encrypt", "-i", "--encrypted-regex", "^s", "m.yaml"]);
    assert_eq!(world.ok(["decrypt", "m.yaml"]), plain.as_bytes());
}

#[test]
fn an_alias_shows_no_secret_unless_that_is_meant() {
    let world = alice();
    let plain = "password: &p hunter2\nold_unencrypted: *p\n";
    world.write("a.yaml", plain);
    let ran = world.run(["encrypt", "a.yaml"]);
    assert_eq!(ran.code, Some(23));
    assert!(ran.stderr.contains("`old_unencrypted`"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    let sealed =
        String::from_utf8(world.ok(["encrypt", "--allow-clear", "a.yaml"])).expect("UTF-8");
    assert!(sealed.contains("old_unencrypted: hunter2"), "{sealed}");
}

/// An alias as a key would be another key once its anchor is sealed.
#[test]
fn an_alias_as_key_is_refused_where_it_stands() {
    let world = alice();
    let plain = "a: &a x\nb:\n  *a : y\n";
    world.write("k.yaml", plain);
    let ran = world.run(["encrypt", "-i", "k.yaml"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("an alias as a key"), "{}", ran.stderr);
    assert!(ran.stderr.contains("k.yaml:3:3"), "{}", ran.stderr);
    assert_eq!(world.read("k.yaml"), plain);
}

/// Entries that are not understood come through an edit even where the metadata has to be written anew.
#[test]
fn unknown_metadata_survives_in_flow_style() {
    let world = alice().set("EDITOR", "sed -i s/SECRET/CHANGED/");
    world.write("f.yaml", "{a: SECRET}");
    world.ok(["encrypt", "-i", "f.yaml"]);
    let unknown = r#""future": {"one": 18446744073709551615, "two": "kept"}, "#;
    let sealed = world
        .read("f.yaml")
        .replace("\"lastmodified\"", &format!("{unknown}\"lastmodified\""));
    world.write("f.yaml", &sealed);
    world.ok(["decrypt", "f.yaml"]);
    let ran = world.run(["edit", "f.yaml"]);
    let after = world.read("f.yaml");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        after.contains("18446744073709551615") && after.contains("kept"),
        "{after}"
    );
    assert_eq!(world.ok(["decrypt", "f.yaml"]), b"{a: CHANGED}");
}

/// Many comments that open nowhere under long keys: the search for their place has a bound.
#[test]
fn comments_that_open_nowhere_cost_no_more_than_the_file() {
    let world = alice();
    let mut plain = String::new();
    for depth in 0..100 {
        plain.push_str(&format!("{}{}:\n", " ".repeat(depth), "k".repeat(100)));
    }
    let indent = " ".repeat(100);
    plain.push_str(&format!("{indent}a: secret\n"));
    world.write("c.yaml", &plain);
    world.ok(["encrypt", "-i", "c.yaml"]);
    let token = "#ENC[AES256_GCM,data:AAAA,iv:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=,tag:Aev7PNzF9ifk0oM4U+MGlg==,type:comment]";
    let many = format!("{indent}{token}\n").repeat(2000);
    let sealed = world
        .read("c.yaml")
        .replace(&format!("{indent}a: "), &format!("{many}{indent}a: "));
    world.write("c.yaml", &sealed);
    let ran = world.run(["decrypt", "c.yaml"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("2000 sealed comment(s)"),
        "{}",
        ran.stderr
    );
}

/// Long keys nested over many values would have to be hashed with each of them.
#[test]
fn long_keys_over_many_values_are_refused() {
    let world = alice();
    let mut plain = String::new();
    for depth in 0..200 {
        plain.push_str(&format!("{}{}:\n", " ".repeat(depth), "k".repeat(1000)));
    }
    for value in 0..2000 {
        plain.push_str(&format!("{}v{value}: x\n", " ".repeat(200)));
    }
    world.write("l.yaml", &plain);
    let ran = world.run(["encrypt", "l.yaml"]);
    assert_eq!(ran.code, Some(23), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("too many and too long"),
        "{}",
        ran.stderr
    );
}

/// A comment above or behind an item of a list counts for all of the item (spec 3.5, 7.2.4).
#[test]
fn a_marked_item_of_a_list_is_sealed_whole() {
    for plain in [
        "users:\n  # secret\n  - name: hunter1\n    password: hunter2\n",
        "users:\n# secret\n- name: hunter1\n  password: hunter2\n",
        "users:\n  - open: 1\n  # secret\n  - - hunter1\n    - hunter2\n",
        "users:\n  - {name: hunter1, password: hunter2} # secret\n",
        "users:\n  - [hunter1, hunter2] # secret\n",
    ] {
        let world = alice();
        world.write("u.yaml", plain);
        world.ok([
            "encrypt",
            "-i",
            "--encrypted-comment-regex",
            "secret",
            "u.yaml",
        ]);
        let sealed = world.read("u.yaml");
        assert!(!sealed.contains("hunter"), "{plain}\n{sealed}");
        assert_eq!(world.ok(["decrypt", "u.yaml"]), plain.as_bytes());
    }
}

/// A sealed file that a text merge has wrecked still holds the only wrapped copy of its key.
#[test]
fn a_damaged_sealed_file_is_not_replaced() {
    let world = alice();
    world.write("p.yaml", "a: 1\n");
    world.ok(["encrypt", "--output", "s.yaml", "p.yaml"]);
    let damaged = format!("<<<<<<< ours\n{}", world.read("s.yaml"));
    world.write("s.yaml", &damaged);
    let ran = world.run(["encrypt", "--output", "s.yaml", "p.yaml"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("sealed but damaged"), "{}", ran.stderr);
    assert_eq!(world.read("s.yaml"), damaged);
}
