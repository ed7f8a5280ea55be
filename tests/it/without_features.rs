//! A program built for age alone: keys of other types stay in the files as they are, and messages name what is missing.
//!
//! `cargo test --no-default-features --features cli --test it without_features`

use crate::support::{World, sops_fixtures};

/// One entry of every type that needs a feature, beside alice's, as it stands in a file.
const OTHERS: &str = "    kms:
        - arn: arn:aws:kms:eu-west-1:111122223333:key/1
          created_at: \"2026-01-02T03:04:05Z\"
          enc: a21z
          aws_profile: \"\"
    gcp_kms:
        - resource_id: projects/p/locations/l/keyRings/r/cryptoKeys/k
          created_at: \"2026-01-02T03:04:05Z\"
          enc: Z2Nw
    azure_kv:
        - vault_url: https://shop.vault.azure.net
          name: sops
          version: 0123456789abcdef
          created_at: \"2026-01-02T03:04:05Z\"
          enc: YXp1cmU
    hc_vault:
        - vault_address: https://vault.example.com:8200
          engine_path: transit
          key_name: sops
          created_at: \"2026-01-02T03:04:05Z\"
          enc: vault:v1:dmF1bHQ=
    pgp:
        - created_at: \"2026-01-02T03:04:05Z\"
          enc: |-
            -----BEGIN PGP MESSAGE-----

            cGdw
            -----END PGP MESSAGE-----
          fp: FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4
";

/// A file that alice can open, with entries for all the others.
fn file(world: &World) -> String {
    world.write(
        ".sops-rs.yaml",
        format!("creation_rules:\n  - age: {}\n", crate::support::ALICE),
    );
    world.write("a.yaml", "a: b\nc: d\n");
    world.ok(["encrypt", "-i", "a.yaml"]);
    let sealed = world
        .read("a.yaml")
        .replace("sops:\n", &format!("sops:\n{OTHERS}"));
    world.write("a.yaml", &sealed);
    sealed
}

#[test]
fn entries_of_other_types_survive_every_command() {
    let world = World::with_identity("alice");
    file(&world);
    world.ok(["decrypt", "a.yaml"]);
    assert_eq!(
        world.edit("sed -i s/d/changed/ \"$1\"", ["a.yaml"]).code,
        Some(0)
    );
    world.write("b.yaml", "a: b\nc: new\n");
    world.ok([
        "encrypt",
        "--filename-override",
        "a.yaml",
        "--output",
        "a.yaml",
        "b.yaml",
    ]);
    world.ok(["updatekeys", "-y", "--keep-unknown", "a.yaml"]);
    assert!(
        world.read("a.yaml").contains(OTHERS),
        "{}",
        world.read("a.yaml")
    );
    assert_eq!(world.ok(["decrypt", "a.yaml"]), b"a: b\nc: new\n");
}

#[test]
fn messages_name_the_feature_that_is_missing() {
    let world = World::with_identity("bob");
    file(&world);
    let ran = world.run(["decrypt", "a.yaml"]);
    assert_eq!(ran.code, Some(128));
    for feature in ["pgp", "aws", "gcp", "azure", "vault"] {
        let message = format!("not tried: this program was built without the feature `{feature}`");
        assert!(ran.stderr.contains(&message), "{}", ran.stderr);
    }
    // New keys cannot be given to them, so nothing is written.
    let world = World::with_identity("alice");
    let before = file(&world);
    let ran = world.run(["rotate", "-i", "--keep-unknown", "a.yaml"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("without the feature `aws`"),
        "{}",
        ran.stderr
    );
    assert_eq!(world.read("a.yaml"), before);
}

#[test]
fn files_of_sops_with_a_key_of_age_open() {
    let world = World::with_identity("alice");
    let mixed = sops_fixtures().join("sealed/age-and-pgp.env");
    world.ok(["decrypt", mixed.to_str().expect("UTF-8")]);
}
