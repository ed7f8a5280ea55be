//! OpenPGP recipients (spec 10.3) with the real gpg: what one wraps the other unwraps, who is asked and when, and what is said
//! when gpg refuses.

use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use snapbox::data::Inline;
use snapbox::{IntoData as _, assert_data_eq, str};
use sops_rs::recipient::RecipientKind;

use super::{opened_with, replace_wrapped, wrapped};
use crate::support::gnupg::{ED25519, Gnupg, RSA};
use crate::support::{ALICE, Ran, Terminal, World, sops_fixtures};

/// The plaintext of most tests.
const PLAIN: &str = "PASSWORD=hunter2\n";
/// The passphrase of keys that have one.
const PASSPHRASE: &str = "correct-horse-7d1";

/// The path of a file sealed by SOPS.
fn fixture(name: &str) -> String {
    let path = sops_fixtures().join("sealed").join(name);
    path.to_str().expect("UTF-8").to_owned()
}

/// A world with `db.env`, sealed for a recipient.
fn sealed_for(gnupg: &Gnupg, recipient: &str) -> World {
    let world = gnupg.world();
    world.write("db.env", PLAIN);
    world.ok(["encrypt", "-i", "--pgp", recipient, "db.env"]);
    world
}

/// The message of an encryption that gpg refuses, without the fingerprint.
fn refusal(gnupg: &Gnupg, recipient: &str) -> String {
    let world = gnupg.world();
    world.write("db.env", PLAIN);
    let message = world.fails(1, ["encrypt", "-i", "--pgp", recipient, "db.env"]);
    assert_eq!(world.read("db.env"), PLAIN, "the file is as it was");
    message.replace(recipient, "[KEY]")
}

/// Compares a whole message, to the letter.
#[track_caller]
fn assert_message(actual: String, expected: Inline) {
    assert_data_eq!(actual, expected.raw());
}

/// The program without a terminal to ask on.
fn without_terminal<const N: usize>(world: &World, arguments: [&str; N]) -> Ran {
    let program = world.command([] as [&str; 0]);
    let mut command = Command::new("setsid");
    command
        .arg("--wait")
        .arg(program.get_program())
        .args(arguments);
    world.prepare(&mut command);
    Ran::from(command.output().expect("setsid of util-linux"))
}

// --- the same messages as gpg and SOPS --------------------------------------------------------------------------------

#[test]
fn gpg_alone_opens_what_we_wrap() {
    for (name, fingerprint) in [("pgp_rsa", RSA), ("pgp_ed25519", ED25519)] {
        let gnupg = Gnupg::with_keys(&[name]);
        let world = sealed_for(&gnupg, fingerprint);
        let entry = wrapped(&world, "db.env", RecipientKind::Pgp).remove(0);
        assert!(entry.enc.starts_with("-----BEGIN PGP MESSAGE-----\n"));
        assert!(entry.enc.ends_with("\n-----END PGP MESSAGE-----"));
        let key = gnupg.ok(["--decrypt"], entry.enc.as_bytes());
        assert_eq!(key.len(), 32);
        assert_eq!(opened_with(&world, "db.env", key), PLAIN);
    }
}

#[test]
fn what_gpg_wraps_by_itself_is_unwrapped() {
    let gnupg = Gnupg::with_keys(&["pgp_rsa", "pgp_ed25519"]);
    let world = sealed_for(&gnupg, RSA);
    let ours = wrapped(&world, "db.env", RecipientKind::Pgp).remove(0).enc;
    let key = gnupg.ok(["--decrypt"], ours.as_bytes());
    // To several keys, one of them hidden, signed, and with words above the armor's data.
    let arguments = [
        "--trust-model",
        "always",
        "--armor",
        "--comment",
        "by hand",
        "--sign",
        "--encrypt",
        "-r",
        ED25519,
        "-R",
        RSA,
    ];
    let theirs = String::from_utf8(gnupg.ok(arguments, &key)).expect("armor");
    replace_wrapped(&world, "db.env", &ours, &theirs);
    assert_eq!(world.ok(["decrypt", "db.env"]), PLAIN.as_bytes());
}

#[test]
fn a_file_of_sops_for_age_and_openpgp_opens_with_either() {
    let file = fixture("age-and-pgp.env");
    let gnupg = Gnupg::with_keys(&["pgp_rsa"]);
    let by_gpg = gnupg.world().ok(["decrypt", &file]);
    let by_age = World::with_identity("alice")
        .set("SOPS_GPG_EXEC", "not-needed")
        .ok(["decrypt", &file]);
    assert!(!by_gpg.is_empty());
    assert_eq!(by_gpg, by_age);
}

#[test]
fn the_default_home_is_that_of_gpg() {
    let gnupg = Gnupg::with_keys(&["pgp_rsa"]);
    let world = World::new();
    std::os::unix::fs::symlink(gnupg.home(), world.home().join(".gnupg")).expect("a link");
    world.ok(["decrypt", &fixture("pgp-rsa.yaml")]);
}

#[test]
fn recipients_come_from_options_the_environment_and_the_config() {
    let gnupg = Gnupg::with_keys(&["pgp_rsa", "pgp_ed25519"]);
    let fingerprints = |world: &World| -> Vec<String> {
        let entries = wrapped(world, "db.env", RecipientKind::Pgp);
        assert!(entries.iter().all(|entry| entry.created_at.ends_with('Z')));
        entries
            .iter()
            .map(|entry| entry.recipient.identity())
            .collect()
    };
    let check = |world: World, arguments: &[&str], expected: &[&str]| {
        world.write("db.env", PLAIN);
        world.ok(["encrypt", "-i"].iter().chain(arguments).chain(&["db.env"]));
        assert_eq!(fingerprints(&world), expected);
        assert_eq!(world.ok(["decrypt", "db.env"]), PLAIN.as_bytes());
    };
    let both = format!("{RSA},{ED25519}");
    check(gnupg.world(), &["--pgp", &both], &[RSA, ED25519]);
    check(gnupg.world().set("SOPS_PGP_FP", ED25519), &[], &[ED25519]);
    let config = |pgp: &str| {
        let world = gnupg.world();
        world.write(".sops.yaml", format!("creation_rules:\n  - pgp: {pgp}\n"));
        world
    };
    check(config(RSA), &[], &[RSA]);
    check(
        config(&format!("\"{RSA}, {ED25519}\"")),
        &[],
        &[RSA, ED25519],
    );
    // As gpg prints it.
    let spaced = "F93F 442F 5E7B 3C60 14CB  08F9 ECE6 CFBB 11EC 8F34";
    check(config(spaced), &[], &[RSA]);
}

#[test]
fn a_subkey_can_be_named() {
    let gnupg = Gnupg::with_public_key("pgp_ed25519", ED25519);
    let subkey = "CD0F64E2C5B5F792BCB8A3323B49BE06A1531CC7!";
    let world = sealed_for(&gnupg, subkey);
    assert!(world.read("db.env").contains(&format!("map_fp={subkey}\n")));
    gnupg.import(&std::fs::read(sops_fixtures().join("keys/pgp_ed25519.asc")).expect("a key"));
    assert_eq!(world.ok(["decrypt", "db.env"]), PLAIN.as_bytes());
}

/// The key travels through pipes; and sealing for somebody must not make their key vouch for others.
#[test]
fn gpg_is_called_with_nothing_secret_and_trusts_nobody_for_good() {
    let gnupg = Gnupg::with_public_key("pgp_rsa", RSA);
    let log = gnupg.home().join("log");
    let body = format!("echo \"$@\" >> '{}'\nexec gpg \"$@\"\n", log.display());
    let program = gnupg.program("logged", &body);
    let trust = gnupg.ok(["--export-ownertrust"], b"");
    let world = gnupg
        .world()
        .set("SOPS_GPG_EXEC", program.to_str().expect("UTF-8"));
    world.write("db.env", PLAIN);
    world.ok(["encrypt", "-i", "--pgp", RSA, "db.env"]);
    world.fails(128, ["decrypt", "db.env"]);
    let calls = std::fs::read_to_string(log).expect("the log");
    let first = format!(
        "--status-fd 2 --batch --no-tty --no-default-recipient --yes --encrypt -a -r {RSA} --no-encrypt-to"
    );
    assert_eq!(
        calls.lines().collect::<Vec<_>>(),
        [
            &first,
            &format!("{first} --trust-model always"),
            "--status-fd 2 --no-auto-key-retrieve -d",
        ]
    );
    let without_time = |trust: Vec<u8>| -> Vec<String> {
        let text = String::from_utf8(trust).expect("UTF-8");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    };
    let after = gnupg.ok(["--export-ownertrust"], b"");
    assert_eq!(without_time(after), without_time(trust));
}

#[test]
fn a_recipient_is_never_an_option() {
    let gnupg = Gnupg::new();
    let world = gnupg.world();
    world.write("db.env", PLAIN);
    assert_message(
        world.fails(1, ["encrypt", "--pgp=--output=x", "db.env"]),
        str![[r#"
sops-rs: error: --pgp: invalid pgp recipient: it must not begin with `-`

"#]],
    );
}

// --- passphrases ------------------------------------------------------------------------------------------------------

/// A home with a key that has a passphrase, and a file that is sealed for it.
fn locked() -> (Gnupg, World) {
    let gnupg = Gnupg::new();
    let fingerprint = gnupg.generate("locked", PASSPHRASE, "never");
    let world = sealed_for(&gnupg, &fingerprint);
    (gnupg, world)
}

/// A message without the fingerprint of the key, which is another one each time.
fn of_locked(gnupg: &Gnupg, message: &str) -> String {
    message.replace(&gnupg.fingerprint("locked"), "[KEY]")
}

#[test]
fn the_user_is_asked_for_a_passphrase_once() {
    let (gnupg, world) = locked();
    gnupg.answer(PASSPHRASE);
    for _ in 0..2 {
        assert_eq!(world.ok(["decrypt", "db.env"]), PLAIN.as_bytes());
    }
    assert_eq!(gnupg.questions().matches("GETPIN").count(), 1);
}

#[test]
fn a_wrong_passphrase_and_a_refusal_to_give_one() {
    let (gnupg, world) = locked();
    gnupg.answer("wrong-passphrase");
    assert_message(
        of_locked(&gnupg, &world.fails(128, ["decrypt", "db.env"])),
        str![[r#"
sops-rs: error: no identity could open `db.env`
  [KEY]  failed: gpg: wrong passphrase or PIN
hint: try again

"#]],
    );
    gnupg.answer("");
    assert_message(
        of_locked(&gnupg, &world.fails(128, ["decrypt", "db.env"])),
        str![[r#"
sops-rs: error: no identity could open `db.env`
  [KEY]  failed: gpg: the question for the passphrase or PIN was cancelled
hint: try again

"#]],
    );
}

#[test]
fn nobody_to_ask_is_an_error_and_no_wait() {
    let (gnupg, world) = locked();
    let ran = without_terminal(&world, ["decrypt", "db.env"]);
    assert_eq!((ran.code, ran.stdout.len()), (Some(128), 0));
    assert_message(
        of_locked(&gnupg, &ran.stderr),
        str![[r#"
sops-rs: error: no identity could open `db.env`
  [KEY]  failed: gpg: the key needs a passphrase or PIN, and nobody can be asked for it here
hint: run `sops-rs decrypt` on it in a terminal first: the agent of gpg then remembers the passphrase for a while

"#]],
    );
}

/// A diff shows many files: it asks nothing, but uses what the agent remembers.
#[test]
fn a_diff_asks_for_no_passphrase() {
    let (gnupg, world) = locked();
    gnupg.answer(PASSPHRASE);
    let shown = String::from_utf8(world.ok(["git", "textconv", "db.env"])).expect("UTF-8");
    assert_eq!(gnupg.questions(), "");
    let (note, sealed) = shown.split_at(shown.len() - world.read("db.env").len());
    assert_eq!(sealed, world.read("db.env"));
    assert_message(
        of_locked(&gnupg, note),
        str![[r#"
# sops-rs: cannot decrypt: no identity could open this file
#   [KEY]  failed: gpg: the key needs a passphrase or PIN, and nobody can be asked for it here

"#]],
    );
    world.ok(["decrypt", "db.env"]);
    let shown = world.ok(["git", "textconv", "db.env"]);
    assert!(
        shown.starts_with(PLAIN.as_bytes()),
        "{}",
        shown.escape_ascii()
    );
}

/// gpg would look at its standard input for a terminal, and that is a pipe.
#[test]
fn the_agent_learns_which_terminal_to_ask_on() {
    let (gnupg, world) = locked();
    gnupg.answer(PASSPHRASE);
    let terminal = Terminal::start(&world.command(["decrypt", "db.env"]));
    let (status, screen, stdout) = terminal.finish();
    assert!(status.success(), "{screen}");
    assert_eq!(stdout, PLAIN.as_bytes());
    let questions = gnupg.questions();
    assert!(
        questions.contains("OPTION ttyname=/dev/pts/"),
        "{questions}"
    );

    let (gnupg, world) = locked();
    gnupg.answer(PASSPHRASE);
    let world = world.set("GPG_TTY", "/dev/the-users-choice");
    let (status, screen, _) = Terminal::start(&world.command(["decrypt", "db.env"])).finish();
    assert!(status.success(), "{screen}");
    let questions = gnupg.questions();
    assert!(
        questions.contains("OPTION ttyname=/dev/the-users-choice\n"),
        "{questions}"
    );
}

// --- what gpg refuses -------------------------------------------------------------------------------------------------

#[test]
fn a_key_that_is_not_in_the_ring() {
    assert_message(
        refusal(&Gnupg::new(), RSA),
        str![[r#"
sops-rs: error: could not generate data key: could not wrap the data key for every recipient
  [KEY]  failed: gpg: it has no public key for this recipient
hint: ask the owner for a valid key and `gpg --import` it, or leave this recipient out

"#]],
    );
}

#[test]
fn keys_that_have_expired_or_were_revoked_or_disabled() {
    let gnupg = Gnupg::new();
    let reason = |recipient: &str| {
        let message = refusal(&gnupg, recipient);
        let reason = message.lines().nth(1).expect("a detail").to_owned();
        reason.trim_start().trim_start_matches("[KEY]  ").to_owned()
    };
    // A day of the past, so that nobody has to wait.
    let past = [
        "--faked-system-time",
        "20200101T000000",
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        "",
    ];
    let generate = [
        "--quick-generate-key",
        "expired",
        "default",
        "default",
        "1d",
    ];
    gnupg.ok(past.into_iter().chain(generate), b"");
    let expired = gnupg.fingerprint("expired");
    assert_eq!(reason(&expired), "failed: gpg: the key has expired");

    // The key is valid, what encrypts below it is not.
    let generate = ["--quick-generate-key", "half", "ed25519", "sign", "never"];
    gnupg.ok(past.into_iter().chain(generate), b"");
    let half = gnupg.fingerprint("half");
    assert_eq!(reason(&half), "failed: gpg: the key cannot encrypt");
    let add = ["--quick-add-key", half.as_str(), "cv25519", "encr", "1d"];
    gnupg.ok(past.into_iter().chain(add), b"");
    assert_eq!(reason(&half), "failed: gpg: the key has expired");

    let disabled = gnupg.generate("disabled", "", "never");
    gnupg.ok(
        ["--command-fd", "0", "--edit-key", &disabled],
        b"disable\nsave\n",
    );
    assert_eq!(reason(&disabled), "failed: gpg: the key is disabled");

    let revoked = gnupg.generate("revoked", "", "never");
    let certificate = gnupg.home().join(format!("openpgp-revocs.d/{revoked}.rev"));
    let certificate = std::fs::read_to_string(certificate).expect("a certificate");
    gnupg.import(certificate.replace(":-----BEGIN", "-----BEGIN").as_bytes());
    assert_eq!(reason(&revoked), "failed: gpg: the key was revoked");
}

/// An address can stand in anybody's key; a fingerprint cannot.
#[test]
fn an_address_needs_a_key_that_is_trusted() {
    let gnupg = Gnupg::with_public_key("pgp_ed25519", ED25519);
    assert_message(
        refusal(&gnupg, "two@example.test"),
        str![[r#"
sops-rs: error: could not generate data key: could not wrap the data key for every recipient
  [KEY]  failed: gpg: nothing proves that the key is this recipient's
hint: name the key by its fingerprint, which `gpg --list-keys` shows

"#]],
    );
    gnupg.ok(
        ["--import-ownertrust"],
        format!("{ED25519}:6:\n").as_bytes(),
    );
    sealed_for(&gnupg, "two@example.test");
}

#[test]
fn every_recipient_that_is_refused_is_named() {
    let gnupg = Gnupg::with_keys(&["pgp_rsa"]);
    let world = gnupg.world();
    world.write("db.env", PLAIN);
    let both = format!("{ED25519},{RSA},nobody@example.test");
    let message = world.fails(1, ["encrypt", "--age", ALICE, "--pgp", &both, "db.env"]);
    assert!(message.contains(ED25519), "{message}");
    assert!(message.contains("nobody@example.test"), "{message}");
    assert!(!message.contains(RSA), "{message}");
}

#[test]
fn a_file_for_somebody_else() {
    let gnupg = Gnupg::with_keys(&["pgp_ed25519"]);
    let message = gnupg
        .world()
        .fails(128, ["decrypt", &fixture("pgp-rsa.yaml")]);
    assert_message(
        message.replace(&fixture(""), "[SEALED]/"),
        str![[r#"
sops-rs: error: no identity could open `[SEALED]/pgp-rsa.yaml`
  F93F442F5E7B3C6014CB08F9ECE6CFBB11EC8F34  gpg has no secret key for it
hint: import the secret key of a recipient listed above into gpg, or ask its owner to add you

"#]],
    );
}

#[test]
fn programs_that_are_missing_or_not_gpg() {
    let gnupg = Gnupg::with_keys(&["pgp_rsa"]);
    let world = |program: &str| {
        let world = gnupg.world().set("SOPS_GPG_EXEC", program);
        world.write("db.env", PLAIN);
        world
    };
    let reason = |message: &str| {
        let line = message.lines().find(|line| line.contains("failed: "));
        let line = line.unwrap_or_else(|| panic!("{message}"));
        line.split_once("failed: ").expect("a reason").1.to_owned()
    };
    let wrapping = |program: &str| {
        let world = world(program);
        let message = world.fails(1, ["encrypt", "-i", "--pgp", RSA, "db.env"]);
        assert_eq!(world.read("db.env"), PLAIN);
        reason(&message)
    };
    let unwrapping =
        |program: &str| reason(&world(program).fails(128, ["decrypt", &fixture("pgp-rsa.yaml")]));
    let both: [&dyn Fn(&str) -> String; 2] = [&wrapping, &unwrapping];
    for said in both {
        assert_eq!(
            said("absent-gpg"),
            "gpg: there is no program `absent-gpg`; SOPS_GPG_EXEC can name another"
        );
        assert_eq!(said("true"), "gpg: its output is not what was asked for");
        assert_eq!(said("false"), "gpg: it ended with exit status: 1");
    }
    // The data key must not end up in the file in clear.
    let copying = gnupg.program("copying", "cat\n");
    assert_eq!(
        wrapping(copying.to_str().expect("UTF-8")),
        "gpg: its output is not what was asked for"
    );
}

#[test]
fn without_its_agent_or_its_ring_gpg_does_not_pass_for_having_no_key() {
    let gnupg = Gnupg::with_keys(&["pgp_rsa"]);
    let conf = gnupg.home().join("gpg.conf");
    crate::support::write_file(&conf, "agent-program /absent/gpg-agent\n");
    gnupg.forget();
    let file = fixture("pgp-rsa.yaml");
    let message = gnupg.world().fails(128, ["decrypt", &file]);
    assert!(
        message.contains("failed: gpg: its agent cannot be reached\nhint: see why `gpgconf"),
        "{message}"
    );
    let message = World::new()
        .set("GNUPGHOME", "/absent/home")
        .fails(128, ["decrypt", &file]);
    assert!(
        message.contains("failed: gpg: its key ring cannot be read\nhint: see whether GNUPGHOME"),
        "{message}"
    );
}

#[test]
fn damaged_and_hostile_messages() {
    let gnupg = Gnupg::with_keys(&["pgp_rsa"]);
    let world = sealed_for(&gnupg, RSA);
    let good = wrapped(&world, "db.env", RecipientKind::Pgp).remove(0).enc;
    let sealed = world.read("db.env");
    let said = |enc: &str| {
        world.write("db.env", &sealed);
        replace_wrapped(&world, "db.env", &good, enc);
        let message = world.fails(128, ["decrypt", "db.env"]);
        let line = message.lines().nth(1).expect("a detail");
        line.split_once("  failed: ")
            .expect("a reason")
            .1
            .to_owned()
    };
    let damaged = "gpg: the wrapped key is damaged, or no OpenPGP message";
    assert_eq!(said("hello"), damaged);
    let lines: Vec<&str> = good.lines().collect();
    assert_eq!(said(&lines[..5].join("\n")), damaged);
    let encrypt = |bytes: &[u8]| {
        let arguments = ["--trust-model", "always", "--armor", "--encrypt", "-r", RSA];
        String::from_utf8(gnupg.ok(arguments, bytes)).expect("armor")
    };
    assert_eq!(
        said(&encrypt(b"")),
        "gpg: its output is not what was asked for"
    );
    // Ten megabytes in a few: no more than a key is read of it.
    let bomb = encrypt(&vec![0; 10 << 20]);
    assert_eq!(said(&bomb), "the message holds more than a key");
    assert_eq!(said(&"x".repeat(2 << 20)), "too long for a wrapped key");
}

/// A program that fills its pipes before it reads must not be waited for in vain.
#[test]
fn full_pipes_block_nobody() {
    let gnupg = Gnupg::with_keys(&["pgp_rsa"]);
    let world = sealed_for(&gnupg, RSA);
    let body = "head -c 1000000 /dev/zero | tr '\\0' 'x' >&2\necho >&2\nexec gpg \"$@\"\n";
    let program = gnupg.program("talking", body);
    let world = world.set("SOPS_GPG_EXEC", program.to_str().expect("UTF-8"));
    assert_eq!(world.ok(["decrypt", "db.env"]), PLAIN.as_bytes());
    let body = "head -c 1000000 /dev/zero\ncat > /dev/null\n";
    let program = gnupg.program("pouring", body);
    let world = world.set("SOPS_GPG_EXEC", program.to_str().expect("UTF-8"));
    let message = world.fails(128, ["decrypt", "db.env"]);
    assert!(message.contains("holds more than a key"), "{message}");
}

/// What gpg does with a key is its own business; nothing of it is on our side of the disk.
#[test]
fn nothing_of_a_key_is_written_to_a_file() {
    let gnupg = Gnupg::with_keys(&["pgp_rsa"]);
    let world = sealed_for(&gnupg, RSA);
    let enc = wrapped(&world, "db.env", RecipientKind::Pgp).remove(0).enc;
    let key = gnupg.ok(["--decrypt"], enc.as_bytes());
    let script = "sed -i s/hunter2/other/ \"$1\"";
    assert_eq!(world.edit(script, ["db.env"]).code, Some(0));
    let mut folders = vec![world.path("").parent().expect("a root").to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                assert!(!contains(&path, &key), "{}", path.display());
            }
        }
    }
}

fn contains(path: &Path, bytes: &[u8]) -> bool {
    let mut content = Vec::new();
    let mut file = std::fs::File::open(path).expect("a file");
    file.read_to_end(&mut content).expect("a file");
    content.windows(bytes.len()).any(|window| window == bytes)
}

// --- entries that are not touched -------------------------------------------------------------------------------------

/// Whoever cannot open or make an entry keeps it, byte for byte: an OpenPGP key without gpg, and one of a type nobody knows.
#[test]
fn entries_of_others_survive_every_way_of_writing() {
    let sealed = std::fs::read_to_string(fixture("age-and-pgp.env")).expect("the fixture");
    let strange = "sops_tpm_v9__list_0__map_enc=x y  z\nsops_tpm_v9__list_0__map_handle= 0x81\n";
    let sealed = sealed.replacen("sops_version=", &format!("{strange}sops_version="), 1);
    let kept = |text: &str| -> Vec<String> {
        let lines = text.lines();
        lines
            .filter(|line| line.starts_with("sops_pgp__") || line.starts_with("sops_tpm_v9__"))
            .map(str::to_owned)
            .collect()
    };
    let before = kept(&sealed);
    assert_eq!(before.len(), 5);
    let world = World::with_identity("alice").set("SOPS_GPG_EXEC", "absent-gpg");
    world.write(".sops.yaml", format!("creation_rules:\n  - age: {ALICE}\n"));

    world.write("db.env", &sealed);
    let ran = world.edit("sed -i s/DB_HOST=.*/DB_HOST=other/ \"$1\"", ["db.env"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let edited = world.read("db.env");
    assert_ne!(edited, sealed);
    assert_eq!(kept(&edited), before, "edit");

    world.write("plain.env", world.ok(["decrypt", "db.env"]));
    world.write(
        "plain.env",
        world.read("plain.env").replace("=other", "=third"),
    );
    world.ok(["encrypt", "--output", "db.env", "plain.env"]);
    let again = world.read("db.env");
    assert_ne!(again, edited);
    assert_eq!(kept(&again), before, "encrypt over");

    let bob = World::with_identity("bob").set("SOPS_GPG_EXEC", "absent-gpg");
    bob.write("db.env", &again);
    bob.fails(128, ["decrypt", "-i", "db.env"]);
    bob.fails(128, ["edit", "db.env"]);
    assert_eq!(bob.read("db.env"), again);
}
