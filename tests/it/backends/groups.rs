//! Key groups with a threshold (spec 6), of age and OpenPGP keys together: who can open a file, and what is said to those who
//! cannot.

use snapbox::{IntoData as _, assert_data_eq, str};

use crate::support::gnupg::{ED25519, Gnupg, RSA};
use crate::support::{ALICE, BOB, World, sops_fixtures};

/// Some identities of age and some keys of gpg.
struct Opener {
    world: World,
    // Dropped last: the world names its folder.
    gnupg: Gnupg,
}

impl Opener {
    fn new(identities: &[&str], keys: &[&str]) -> Self {
        let gnupg = Gnupg::with_keys(keys);
        let world = gnupg.lend(with_identities(identities));
        Self { world, gnupg }
    }

    /// Somebody with the public keys of all.
    fn of_all() -> Self {
        Self::new(&[], &["pgp_rsa", "pgp_ed25519"])
    }
}

/// A world with these identities of the fixtures.
fn with_identities(names: &[&str]) -> World {
    if names.is_empty() {
        return World::new();
    }
    let files = names.iter().map(|name| {
        let file = sops_fixtures().join("keys").join(format!("{name}.age.txt"));
        std::fs::read_to_string(file).expect("an identity")
    });
    World::new().set("SOPS_AGE_KEY", &files.collect::<String>())
}

/// A file of which two groups of three are needed: alice; an OpenPGP key; bob or another OpenPGP key.
fn two_of_three() -> String {
    let all = Opener::of_all();
    all.world.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - age: [{ALICE}]\n      - pgp: [{RSA}]\n\
             \x20     - age: [{BOB}]\n        pgp: ['{ED25519}']\n"
        ),
    );
    all.world.write("db.yaml", "password: hunter2\n");
    all.world.ok(["encrypt", "-i", "db.yaml"]);
    all.world.read("db.yaml")
}

#[test]
fn any_two_groups_open_and_one_does_not() {
    let sealed = two_of_three();
    assert!(sealed.contains("shamir_threshold: 2\n"), "{sealed}");
    let open = |identities: &[&str], keys: &[&str]| {
        let opener = Opener::new(identities, keys);
        opener.world.write("db.yaml", &sealed);
        let ran = opener.world.run(["decrypt", "db.yaml"]);
        match ran.code {
            Some(0) => assert_eq!(ran.stdout, b"password: hunter2\n"),
            _ => assert_eq!((ran.code, ran.stdout.len()), (Some(128), 0), "{ran:?}"),
        }
        ran.code == Some(0)
    };
    assert!(open(&["alice"], &["pgp_rsa"]));
    assert!(open(&["alice", "bob"], &[]));
    assert!(open(&["alice"], &["pgp_ed25519"]));
    assert!(open(&["bob"], &["pgp_rsa"]));
    assert!(open(&[], &["pgp_rsa", "pgp_ed25519"]));
    assert!(open(&["alice", "bob"], &["pgp_rsa", "pgp_ed25519"]));

    assert!(!open(&[], &[]));
    assert!(!open(&["alice"], &[]));
    assert!(!open(&[], &["pgp_rsa"]));
    assert!(!open(&["bob"], &["pgp_ed25519"]), "they are of one group");
    assert!(!open(&["carol"], &["pgp_rsa"]));
}

#[test]
fn the_message_names_every_group_and_what_was_tried() {
    let opener = Opener::new(&["alice"], &[]);
    opener.world.write("db.yaml", two_of_three());
    assert_data_eq!(
        opener.world.fails(128, ["decrypt", "db.yaml"]),
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  2 of 3 groups must be opened; 1 could be
  group 1:
  age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p  opened
  group 2:
  F93F442F5E7B3C6014CB08F9ECE6CFBB11EC8F34  gpg has no secret key for it
  group 3:
  age1v2yxy5rncmvrnca08sq3nefhjpm7en0zvg6tejd47ptezsvfdphsj728gf  none of your identities fits
  DF940177E621B0E24E2D06D45A60826B1042B992  gpg has no secret key for it
  no identity in SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, SOPS_AGE_KEY_FILE, SOPS_AGE_KEY_CMD, [ROOT]/home/.config/sops/age/keys.txt
hint: set SOPS_AGE_KEY_FILE to the key file of someone listed above, or ask one of them to add you

"#]]
        .raw()
    );
}

/// Two groups suffice, and still the key of the second is tried (spec 6.4), before that of age in the third if so ordered.
#[test]
fn every_group_is_tried_in_the_order_that_was_asked_for() {
    let sealed = two_of_three();
    let tried = |order: &str| {
        let opener = Opener::new(&["alice", "bob"], &[]);
        let log = opener.gnupg.home().join("log");
        let body = format!("echo called >> '{}'\nexec gpg \"$@\"\n", log.display());
        let program = opener.gnupg.program("logged", &body);
        let world = opener
            .world
            .set("SOPS_GPG_EXEC", program.to_str().expect("UTF-8"));
        world.write("db.yaml", &sealed);
        world.ok(["decrypt", "--decryption-order", order, "db.yaml"]);
        std::fs::read_to_string(log)
            .unwrap_or_default()
            .lines()
            .count()
    };
    assert_eq!(tried("age,pgp"), 1);
    assert_eq!(tried("pgp,age"), 2);
}

/// An edit wraps nothing anew: who can open two groups can write for all three.
#[test]
fn an_edit_keeps_every_share() {
    let sealed = two_of_three();
    let opener = Opener::new(&["alice", "bob"], &[]);
    opener.world.write("db.yaml", &sealed);
    let ran = opener
        .world
        .edit("sed -i s/hunter2/other/ \"$1\"", ["db.yaml"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let edited = opener.world.read("db.yaml");
    let changed: Vec<&str> = sealed
        .lines()
        .zip(edited.lines())
        .filter_map(|(old, new)| (old != new).then_some(old.trim().split(':').next()?))
        .collect();
    // The time has seconds only.
    let changed: Vec<&str> = changed
        .into_iter()
        .filter(|key| *key != "lastmodified")
        .collect();
    assert_eq!(changed, ["password", "mac"]);
    let other = Opener::new(&[], &["pgp_rsa", "pgp_ed25519"]);
    other.world.write("db.yaml", edited);
    assert_eq!(other.world.ok(["decrypt", "db.yaml"]), b"password: other\n");
}

#[test]
fn any_two_open_what_sops_has_split() {
    let people = ["alice", "bob", "carol"];
    for (format, plain) in [
        ("yaml", "opened/shamir-2-of-3-yaml.yaml"),
        ("json", "opened/shamir-2-of-3-json.json"),
        ("env", "opened/shamir-2-of-3-env.env"),
        ("ini", "opened/shamir-2-of-3-ini.ini"),
        ("txt", "opened/shamir-2-of-3-txt.txt"),
    ] {
        let twin = sops_fixtures().join(plain);
        assert!(twin.exists(), "{plain} is missing");
        let sealed = sops_fixtures()
            .join("sealed")
            .join(format!("shamir-2-of-3-{format}.{format}"));
        let sealed = sealed.to_str().expect("UTF-8");
        let mut texts = Vec::new();
        for absent in people {
            let two: Vec<&str> = people.into_iter().filter(|who| *who != absent).collect();
            texts.push(with_identities(&two).ok(["decrypt", sealed]));
            with_identities(&[absent]).fails(128, ["decrypt", sealed]);
        }
        assert!(!texts[0].is_empty());
        assert!(texts.iter().all(|text| *text == texts[0]), "{format}");
    }
}

#[test]
fn a_threshold_that_does_not_fit_is_refused() {
    let all = Opener::of_all();
    all.world.write("db.yaml", "a: b\n");
    for threshold in ["1", "4"] {
        all.world.write(
            ".sops.yaml",
            format!(
                "creation_rules:\n  - shamir_threshold: {threshold}\n    key_groups:\n      - age: [{ALICE}]\n\
                 \x20     - pgp: [{RSA}]\n      - age: [{BOB}]\n"
            ),
        );
        let message = all.world.fails(1, ["encrypt", "db.yaml"]);
        assert!(
            message.contains(&format!("threshold of {threshold} does not fit 3 groups")),
            "{message}"
        );
    }
}
