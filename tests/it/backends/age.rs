//! What we wrap for age recipients, the program `age` opens, and the other way round.

use std::process::Command;

use sops_rs::recipient::RecipientKind;

use super::{opened_with, replace_wrapped, wrapped};
use crate::support::gnupg::fed;
use crate::support::{ALICE, World, sops_fixtures};

/// Runs `age`, which must succeed.
fn age(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let output = fed(Command::new("age").args(arguments), input);
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// Alice's world with a sealed file, and the data key as `age` unwraps it.
fn sealed() -> (World, String, Vec<u8>) {
    let world = World::with_identity("alice");
    world.write("db.env", "PASSWORD=hunter2\n");
    world.ok(["encrypt", "-i", "--age", ALICE, "db.env"]);
    let enc = wrapped(&world, "db.env", RecipientKind::Age).remove(0).enc;
    let identity = sops_fixtures().join("keys/alice.age.txt");
    let identity = identity.to_str().expect("UTF-8");
    let key = age(&["--decrypt", "--identity", identity], enc.as_bytes());
    (world, enc, key)
}

#[test]
fn age_alone_opens_what_we_wrap() {
    let (world, _, key) = sealed();
    assert_eq!(key.len(), 32);
    assert_eq!(opened_with(&world, "db.env", key), "PASSWORD=hunter2\n");
}

#[test]
fn what_age_wraps_by_itself_is_unwrapped() {
    let (world, enc, key) = sealed();
    let other = age(&["--armor", "--recipient", ALICE], &key);
    let other = String::from_utf8(other).expect("armor");
    replace_wrapped(&world, "db.env", &enc, &other);
    assert_eq!(world.ok(["decrypt", "db.env"]), b"PASSWORD=hunter2\n");
}
