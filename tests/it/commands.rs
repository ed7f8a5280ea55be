//! The commands as scripts use them: streams, options, variables, where configs and identities are found, exit codes.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use crate::spec_reader::{self, Format, fixtures};
use crate::support::{ALICE, BOB, Ran, Terminal, World, sops_fixtures, testdata, write_file};

const PLAIN: &str = "host: db.example.com\nlist:\n  - one\n  - two\nport: 5432\n";

/// A world with alice's identity and a config that seals everything for her.
fn alice() -> World {
    let world = World::with_identity("alice");
    world.write(
        ".sops-rs.yaml",
        format!("creation_rules:\n  - age: {ALICE}\n"),
    );
    world
}

fn key_file(name: &str) -> String {
    let path = sops_fixtures().join("keys").join(name);
    path.to_str().expect("UTF-8").to_owned()
}

fn key_text(name: &str) -> String {
    std::fs::read_to_string(key_file(name)).expect("a key")
}

fn sealed_fixture(name: &str) -> String {
    let path = sops_fixtures().join("sealed").join(name);
    path.to_str().expect("UTF-8").to_owned()
}

/// Bytes, time and number of a file: equal only if nobody wrote it.
fn state(path: &Path) -> (Vec<u8>, i64, i64, u64) {
    let data = std::fs::metadata(path).expect("the file");
    let bytes = std::fs::read(path).expect("the file");
    (bytes, data.mtime(), data.mtime_nsec(), data.ino())
}

/// Opens a sealed text with the second reader, which shares no code with the program.
fn accept(name: &str, text: &str) {
    spec_reader::accept(name, text, Format::of_path(name), &fixtures::keys("alice"));
}

// --- input and output -------------------------------------------------------------------------------------------------

#[test]
fn results_go_to_standard_output_and_nothing_else_does() {
    let world = alice();
    world.write("db.yaml", PLAIN);
    let ran = world.run(["encrypt", "db.yaml"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    accept("db.yaml", &ran.text());
    assert_eq!(world.read("db.yaml"), PLAIN);
    world.write("sealed.yaml", ran.text());
    let ran = world.run(["decrypt", "sealed.yaml"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(ran.text(), PLAIN);
}

#[test]
fn standard_input_stands_for_a_file() {
    let world = alice();
    for name in [None, Some("-"), Some("/dev/stdin")] {
        let with = |verb: &str, options: &[&str], input: &[u8]| {
            let mut arguments = vec![verb];
            arguments.extend(options);
            arguments.extend(name);
            let ran = world.run_with(arguments, input);
            assert_eq!(ran.code, Some(0), "{}", ran.stderr);
            ran.stdout
        };
        let sealed = with(
            "encrypt",
            &["--filename-override", "x.yaml"],
            PLAIN.as_bytes(),
        );
        accept("x.yaml", str::from_utf8(&sealed).expect("UTF-8"));
        let opened = with("decrypt", &["--input-type", "yaml"], &sealed);
        assert_eq!(opened, PLAIN.as_bytes());
        let opened = with("decrypt", &["--filename-override", "y.yaml"], &sealed);
        assert_eq!(opened, PLAIN.as_bytes());
    }
    assert_eq!(world.names(), [".sops-rs.yaml"]);
}

#[test]
fn in_place_and_output_say_nothing_and_write_the_file() {
    let world = alice();
    world.write("db.yaml", PLAIN);
    assert_eq!(
        world.ok(["encrypt", "--output", "sealed.yaml", "db.yaml"]),
        b""
    );
    accept("sealed.yaml", &world.read("sealed.yaml"));
    assert_eq!(
        world.ok(["decrypt", "--output", "open.yaml", "sealed.yaml"]),
        b""
    );
    assert_eq!(world.read("open.yaml"), PLAIN);
    let mode = std::fs::metadata(world.path("open.yaml"))
        .expect("the file")
        .mode();
    assert_eq!(mode & 0o777, 0o600, "plaintext is private");
    for option in ["--in-place", "-i"] {
        assert_eq!(world.ok(["encrypt", option, "db.yaml"]), b"");
        accept("db.yaml", &world.read("db.yaml"));
        assert_eq!(world.ok(["decrypt", option, "db.yaml"]), b"");
        assert_eq!(world.read("db.yaml"), PLAIN);
    }
}

#[test]
fn the_format_comes_from_the_name_or_the_option() {
    let world = alice();
    world.write("values", "A=1\n");
    let as_binary = String::from_utf8(world.ok(["encrypt", "values"])).expect("UTF-8");
    assert!(as_binary.contains("\"data\": \"ENC["), "{as_binary}");
    let as_env = world.ok(["encrypt", "--input-type", "dotenv", "values"]);
    assert!(as_env.starts_with(b"A=ENC["));
    let both = [
        "encrypt",
        "--input-type",
        "dotenv",
        "--output-type",
        "dotenv",
        "values",
    ];
    assert!(world.ok(both).starts_with(b"A=ENC["));
    let named = ["encrypt", "--filename-override", "x.env", "values"];
    assert!(world.ok(named).starts_with(b"A=ENC["));
    world.write("sealed", &as_env);
    assert_eq!(
        world.ok(["decrypt", "--input-type", "dotenv", "sealed"]),
        b"A=1\n"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let world = alice();
    let large: String = (0..20_000)
        .map(|number| format!("k{number}: value\n"))
        .collect();
    world.write("db.yaml", &large);
    world.ok(["encrypt", "--encrypted-regex", "^k1$", "-i", "db.yaml"]);
    let program = world.command(["decrypt", "db.yaml"]);
    let mut command = Command::new("sh");
    world.prepare(&mut command);
    command
        .args(["-c", "{ \"$0\" \"$@\"; echo \"code $?\" >&2; } | head -n 1"])
        .arg(program.get_program())
        .args(program.get_args());
    let ran = Ran::from(command.output().expect("it runs"));
    assert_eq!(ran.text(), "k0: value\n");
    assert_eq!(ran.stderr, "code 0\n");
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let world = alice();
    world.write("db.yaml", PLAIN);
    let mut command = world.command(["encrypt", "db.yaml"]);
    let full = std::fs::File::options().write(true).open("/dev/full");
    let child = command
        .stdout(full.expect("Linux has it"))
        .stderr(std::process::Stdio::piped());
    let output = child.spawn().expect("it starts").wait_with_output();
    let ran = Ran::from(output.expect("it ends"));
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("standard output"), "{}", ran.stderr);
}

#[test]
fn messages_are_coloured_for_people_who_want_it() {
    let world = World::new();
    let screen = |variables: &[(&str, &str)]| {
        let mut command = world.command(["decrypt", "absent.yaml"]);
        command.envs(variables.iter().copied());
        let (status, screen, _) = Terminal::start(&command).finish();
        assert_eq!(status.code(), Some(100));
        screen
    };
    assert!(screen(&[("TERM", "xterm")]).contains("\u{1b}[1;31merror\u{1b}[0m: the file"));
    for variables in [
        &[("TERM", "xterm"), ("NO_COLOR", "1")][..],
        &[("TERM", "dumb")],
    ] {
        assert!(!screen(variables).contains('\u{1b}'));
    }
    let mut command = world.command(["decrypt", "absent.yaml"]);
    let piped = Ran::from(command.env("TERM", "xterm").output().expect("it runs"));
    assert!(!piped.stderr.contains('\u{1b}'));
}

// --- the program ------------------------------------------------------------------------------------------------------

#[test]
fn the_version_is_told_in_the_form_that_scripts_expect() {
    let world = World::new();
    let own = concat!("sops-rs ", env!("CARGO_PKG_VERSION"), "\n");
    for option in ["--version", "-v", "-V"] {
        assert_eq!(world.ok([option]), own.as_bytes());
    }
    assert!(world.ok(["--help"]).starts_with(b"Keeps secrets in git"));
    assert_eq!(world.run([] as [&str; 0]).code, Some(100));
}

#[test]
fn called_as_sops_it_answers_as_sops() {
    let world = World::new();
    let link = world.path("sops");
    symlink(env!("CARGO_BIN_EXE_sops-rs"), &link).expect("a link");
    let run = |argument: &str| -> Ran {
        let mut command = Command::new(&link);
        world.prepare(&mut command);
        command.arg(argument).output().expect("it runs").into()
    };
    let version = run("--version").text();
    assert!(version.starts_with("sops 3."), "{version}");
    assert!(version.contains("\nsops-rs "), "{version}");
    let ran = run("absent.yaml");
    assert!(ran.stderr.starts_with("sops: error: "), "{}", ran.stderr);
}

#[test]
fn the_status_of_every_kind_of_file() {
    let world = alice();
    let status = |arguments: &[&str]| {
        let mut all = vec!["filestatus"];
        all.extend(arguments);
        // No key is needed.
        let mut command = world.command(all);
        command.env_remove("SOPS_AGE_KEY_FILE");
        Ran::from(command.output().expect("it runs")).text()
    };
    for (name, plain) in [
        ("db.yaml", "a: b\n"),
        ("db.json", "{\"a\": \"b\"}\n"),
        ("db.env", "A=b\n"),
        ("db.ini", "[s]\na = b\n"),
        ("db.toml", "[s]\na = 'b'\n"),
        ("db.bin", "\0\u{1}not text"),
        ("db.txt", "{\"a\": \"b\"}\n"),
    ] {
        world.write(name, plain);
        assert_eq!(status(&[name]), "{\"encrypted\":false}\n", "{name}");
        world.ok(["encrypt", "-i", name]);
        assert_eq!(status(&[name]), "{\"encrypted\":true}\n", "{name}");
    }
    let (text, only) = (world.read("db.yaml"), "{\"encrypted\":false}\n");
    world.write("x", &text);
    assert_eq!(status(&["x"]), only);
    assert_eq!(
        status(&["--input-type", "yaml", "x"]),
        "{\"encrypted\":true}\n"
    );
    for name in ["no-mac", "no-version"] {
        let path = sops_fixtures().join(format!("tampered/{name}.yaml"));
        assert_eq!(status(&[path.to_str().expect("UTF-8")]), only, "{name}");
    }
    world.write("half.yaml", "a: b\nsops:\n    version: 3.13.2\n");
    assert_eq!(world.run(["filestatus", "half.yaml"]).code, Some(1));
    assert_eq!(world.run(["filestatus", "absent.yaml"]).code, Some(100));
    world.write("bad.yaml", "a: [\n");
    assert_eq!(world.run(["filestatus", "bad.yaml"]).code, Some(1));
}

// --- recipients and configs -------------------------------------------------------------------------------------------

/// The recipients of a sealed YAML file, in order.
fn recipients(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.split_once("recipient: "))
        .map(|(_, recipient)| recipient.to_owned())
        .collect()
}

#[test]
fn recipients_from_options_come_before_the_variable_and_both_before_the_config() {
    let world = alice();
    world.write("db.yaml", PLAIN);
    let sealed = |world: &World, options: &[&str]| {
        let mut arguments = vec!["encrypt"];
        arguments.extend(options);
        arguments.push("db.yaml");
        recipients(&String::from_utf8(world.ok(arguments)).expect("UTF-8"))
    };
    assert_eq!(sealed(&world, &[]), [ALICE]);
    assert_eq!(sealed(&world, &["--age", BOB]), [BOB]);
    assert_eq!(
        sealed(&world, &["--age", &format!("{BOB},{ALICE}")]),
        [BOB, ALICE]
    );
    let world = world.set("SOPS_AGE_RECIPIENTS", BOB);
    assert_eq!(sealed(&world, &[]), [BOB]);
    assert_eq!(sealed(&world, &["-a", ALICE]), [ALICE]);
}

#[test]
fn a_rule_gives_what_is_sealed_even_if_the_recipients_are_named() {
    let world = alice();
    world.write(
        ".sops-rs.yaml",
        format!("creation_rules:\n  - encrypted_regex: ^host$\n    age: {ALICE}\n"),
    );
    world.write("db.yaml", PLAIN);
    let text = String::from_utf8(world.ok(["encrypt", "--age", BOB, "db.yaml"])).expect("UTF-8");
    assert!(
        text.contains("port: 5432\n") && text.starts_with("host: ENC["),
        "{text}"
    );
    assert_eq!(recipients(&text), [BOB]);
    let arguments = ["encrypt", "--unencrypted-regex", "^host$", "db.yaml"];
    let text = String::from_utf8(world.ok(arguments)).expect("UTF-8");
    assert!(
        text.starts_with("host: db.example.com\n") && text.contains("port: ENC["),
        "{text}"
    );
}

#[test]
fn selections_do_what_they_say() {
    let world = alice();
    let plain = "# mark\na: v.1\nb_clear: v.2\nc_secret: v.3\n";
    world.write("db.yaml", plain);
    let clear = |options: &[&str]| -> String {
        let mut arguments = vec!["encrypt"];
        arguments.extend(options);
        arguments.push("db.yaml");
        let text = String::from_utf8(world.ok(arguments)).expect("UTF-8");
        accept("db.yaml", &text);
        let head = text.split("\nsops:").next().unwrap_or_default().to_owned();
        let clear = [" mark", "v.1", "v.2", "v.3"];
        let clear: Vec<&str> = clear
            .into_iter()
            .filter(|word| head.contains(word))
            .collect();
        clear.concat()
    };
    assert_eq!(clear(&[]), "");
    assert_eq!(clear(&["--unencrypted-suffix", "_clear"]), "v.2");
    assert_eq!(clear(&["--encrypted-suffix", "_secret"]), " markv.1v.2");
    assert_eq!(clear(&["--unencrypted-regex", "^a$"]), "v.1");
    assert_eq!(clear(&["--encrypted-regex", "^(a|b_)"]), " markv.3");
    assert_eq!(clear(&["--encrypted-comment-regex", "mark"]), " markv.2v.3");
    assert_eq!(
        clear(&["--unencrypted-comment-regex", "^ mark"]),
        " markv.1"
    );
}

#[test]
fn a_config_is_looked_for_above_the_file_then_above_the_working_folder() {
    let world = World::with_identity("alice");
    let rule = |recipient: &str| format!("creation_rules:\n  - age: {recipient}\n");
    world.write("app/deep/er/db.yaml", PLAIN);
    let path = world.path("app/deep/er/db.yaml");
    let path = path.to_str().expect("UTF-8");
    let sealed_for = |folder: &str, file: &str| {
        std::fs::create_dir_all(world.path(folder)).expect("a folder");
        let mut command = world.command(["encrypt", file]);
        let ran = Ran::from(
            command
                .current_dir(world.path(folder))
                .output()
                .expect("it runs"),
        );
        (ran.code, recipients(&ran.text()).concat())
    };
    let found = |recipient: &str| (Some(0), recipient.to_owned());
    assert_eq!(sealed_for("app", "deep/er/db.yaml").0, Some(1));
    // Above the working folder alone.
    world.write("elsewhere/.sops.yaml", rule(BOB));
    assert_eq!(sealed_for("elsewhere/sub", path), found(BOB));
    // Above the file, from anywhere.
    world.write("app/.sops.yaml", rule(ALICE));
    assert_eq!(sealed_for("elsewhere/sub", path), found(ALICE));
    assert_eq!(sealed_for("app/deep/er", "db.yaml"), found(ALICE));
    assert_eq!(sealed_for("app/deep", "../deep/./er/db.yaml"), found(ALICE));
    // Ours before that of SOPS in one folder, and the nearest before all.
    world.write("app/.sops-rs.yaml", rule(BOB));
    assert_eq!(sealed_for("app", "deep/er/db.yaml"), found(BOB));
    world.write("app/deep/.sops.yaml", rule(ALICE));
    assert_eq!(sealed_for("app", "deep/er/db.yaml"), found(ALICE));
}

#[test]
fn a_config_can_be_named() {
    let world = alice();
    world.write("db.yaml", PLAIN);
    world.write("other.yaml", format!("creation_rules:\n  - age: {BOB}\n"));
    let sealed = |world: &World, options: &[&str]| {
        let mut arguments = options.to_vec();
        arguments.extend(["encrypt", "db.yaml"]);
        recipients(&String::from_utf8(world.ok(arguments)).expect("UTF-8"))
    };
    assert_eq!(sealed(&world, &["--config", "other.yaml"]), [BOB]);
    let behind = world.ok(["encrypt", "--config", "other.yaml", "db.yaml"]);
    assert_eq!(
        recipients(&String::from_utf8(behind).expect("UTF-8")),
        [BOB]
    );
    let world = world.set("SOPS_CONFIG", "other.yaml");
    assert_eq!(sealed(&world, &[]), [BOB]);
    assert_eq!(sealed(&world, &["--config", ".sops-rs.yaml"]), [ALICE]);
}

#[test]
fn path_regex_sees_the_path_from_the_folder_of_the_config() {
    let world = World::with_identity("alice");
    world.write(
        "app/.sops-rs.yaml",
        format!(
            "creation_rules:\n  - path_regex: ^secrets/[^/]+\\.yaml$\n    age: {ALICE}\n  - path_regex: ^other/\n    age: {BOB}\n"
        ),
    );
    for name in [
        "app/secrets/db.yaml",
        "app/other/db.yaml",
        "app/secrets/deep/db.yaml",
    ] {
        world.write(name, PLAIN);
    }
    let sealed = |folder: &str, file: &str| {
        let mut command = world.command(["encrypt", file]);
        let ran = Ran::from(
            command
                .current_dir(world.path(folder))
                .output()
                .expect("it runs"),
        );
        (ran.code, recipients(&ran.text()).concat())
    };
    assert_eq!(
        sealed("", "app/secrets/db.yaml"),
        (Some(0), ALICE.to_owned())
    );
    assert_eq!(
        sealed("app/secrets", "db.yaml"),
        (Some(0), ALICE.to_owned())
    );
    assert_eq!(
        sealed("app/secrets", "../other/db.yaml"),
        (Some(0), BOB.to_owned())
    );
    assert_eq!(sealed("app", "secrets/deep/db.yaml").0, Some(1));
    let arguments = [
        "encrypt",
        "--filename-override",
        "app/other/x.yaml",
        "app/secrets/db.yaml",
    ];
    assert_eq!(
        recipients(&String::from_utf8(world.ok(arguments)).expect("UTF-8")),
        [BOB]
    );
}

#[test]
fn unknown_keys_are_told_of_in_the_config_of_sops_and_refused_in_ours() {
    let world = World::with_identity("alice");
    world.write("db.yaml", PLAIN);
    let config = format!("creation_rules:\n  - age: {ALICE}\n    pathregex: x\n");
    world.write(".sops.yaml", &config);
    let ran = world.run(["encrypt", "db.yaml"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("warning: `.sops.yaml`: unknown key"),
        "{}",
        ran.stderr
    );
    world.write(".sops-rs.yaml", &config);
    assert_eq!(world.run(["encrypt", "db.yaml"]).code, Some(1));
}

#[test]
fn key_groups_open_with_the_threshold_and_not_below() {
    let carol = key_text("carol.age.txt");
    let carol = carol
        .split_whitespace()
        .find(|word| word.starts_with("age1"))
        .expect("a key");
    let world = World::new();
    world.write(
        ".sops-rs.yaml",
        format!(
            "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - age: [{ALICE}]\n      - age: [{BOB}]\n      - age: [{carol}]\n"
        ),
    );
    let plain = [
        ("db.yaml", PLAIN),
        ("db.json", "{\"a\": 1}\n"),
        ("db.env", "A=1\n"),
        ("db.ini", "[s]\na = 1\n"),
        ("db.toml", "[s]\na = 1\n"),
        ("db.bin", "\0"),
    ];
    for (name, text) in plain {
        world.write(name, text);
        world.ok(["encrypt", "-i", name]);
    }
    let open = |keys: &[&str], name: &str| {
        let keys: String = keys
            .iter()
            .map(|name| key_text(&format!("{name}.age.txt")))
            .collect();
        let mut command = world.command(["decrypt", name]);
        Ran::from(command.env("SOPS_AGE_KEY", keys).output().expect("it runs"))
    };
    for (name, text) in plain {
        for keys in [["alice", "bob"], ["bob", "carol"], ["carol", "alice"]] {
            let ran = open(&keys, name);
            assert_eq!(ran.code, Some(0), "{}", ran.stderr);
            assert_eq!(ran.text(), text);
        }
        let ran = open(&["bob"], name);
        assert_eq!((ran.code, ran.text().as_str()), (Some(128), ""));
        for line in [
            "2 of 3 groups must be opened; 1 could be",
            "group 1:",
            "group 2:",
            "group 3:",
        ] {
            assert!(ran.stderr.contains(line), "{line}: {}", ran.stderr);
        }
    }
}

// --- identities -------------------------------------------------------------------------------------------------------

#[test]
fn identities_are_found_in_every_variable_and_place() {
    let file = sealed_fixture("app.yaml");
    let opens = |world: &World| world.run(["decrypt", &file]).code;
    let key = key_text("alice.age.txt");
    assert_eq!(opens(&World::new()), Some(128));
    assert_eq!(opens(&World::new().set("SOPS_AGE_KEY", &key)), Some(0));
    let path = key_file("alice.age.txt");
    assert_eq!(
        opens(&World::new().set("SOPS_AGE_KEY_FILE", &path)),
        Some(0)
    );
    let command = format!("cat '{path}'");
    assert_eq!(
        opens(&World::new().set("SOPS_AGE_KEY_CMD", &command)),
        Some(0)
    );
    let world = World::new();
    let folder = world.home().join(".config/sops/age");
    std::fs::create_dir_all(&folder).expect("a folder");
    write_file(&folder.join("keys.txt"), &key);
    assert_eq!(opens(&world), Some(0));
    let world = world.set("XDG_CONFIG_HOME", "/nowhere");
    assert_eq!(opens(&world), Some(128));
    // An identity that does not fit is no obstacle to one that does.
    let world = World::with_identity("carol").set("SOPS_AGE_KEY", &key);
    assert_eq!(opens(&world), Some(0));
}

#[test]
fn a_command_for_identities_is_told_the_recipient() {
    let world = World::new();
    let log = world.path("log");
    let script = world.script(&format!(
        "echo \"$SOPS_AGE_RECIPIENT\" >> {log:?}; cat '{}'",
        key_file("alice.age.txt")
    ));
    let world = world.set("SOPS_AGE_KEY_CMD", &script);
    world.ok(["decrypt", &sealed_fixture("app.yaml")]);
    assert_eq!(world.read("log"), format!("{ALICE}\n"));
}

#[test]
fn ssh_keys_are_found_by_variables_and_at_home() {
    for name in ["ssh_ed25519", "ssh_rsa"] {
        let file = sealed_fixture(&format!("{}.yaml", name.replace('_', "-")));
        let opens = |world: &World| world.run(["decrypt", &file]).code;
        assert_eq!(opens(&World::new()), Some(128));
        assert_eq!(opens(&World::with_ssh_key(name)), Some(0));
        let command = format!("cat '{}'", key_file(name));
        let world = World::new().set("SOPS_AGE_SSH_PRIVATE_KEY_CMD", &command);
        assert_eq!(opens(&world), Some(0));
        let world = World::new();
        let folder = world.home().join(".ssh");
        std::fs::create_dir(&folder).expect("a folder");
        write_file(&folder.join(name.replace("ssh", "id")), key_text(name));
        assert_eq!(opens(&world), Some(0));
    }
}

#[test]
fn an_ssh_recipient_from_a_config_seals_and_opens() {
    let world = World::with_ssh_key("ssh_ed25519");
    let public = key_text("ssh_ed25519.pub");
    world.write(
        ".sops-rs.yaml",
        format!("creation_rules:\n  - age: '{}'\n", public.trim()),
    );
    world.write("db.yaml", PLAIN);
    world.ok(["encrypt", "-i", "db.yaml"]);
    assert_eq!(world.ok(["decrypt", "db.yaml"]), PLAIN.as_bytes());
}

#[test]
fn a_passphrase_is_asked_for_on_the_terminal() {
    let world = World::with_ssh_key("ssh_ed25519_passphrase");
    let path = testdata("age/sops/ssh-ed25519-passphrase.yaml");
    let command = world.command([Path::new("decrypt"), &path]);
    let mut terminal = Terminal::start(&command);
    terminal.expect("Passphrase for ");
    terminal.await_silence();
    terminal.type_in("wrong\r");
    terminal.expect("Wrong. Passphrase for ");
    terminal.await_silence();
    terminal.type_in("correct horse\r");
    let (status, screen, stdout) = terminal.finish();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert!(!screen.contains("correct horse"), "it is not shown");
    assert!(stdout.starts_with(b"# "), "{}", stdout.escape_ascii());
}

#[test]
fn an_identity_file_with_a_passphrase_is_asked_for() {
    let world = alice();
    world.write("db.yaml", PLAIN);
    world.ok(["encrypt", "-i", "db.yaml"]);
    let mut recipient = age::scrypt::Recipient::new("two words".to_owned().into());
    recipient.set_work_factor(2);
    let encryptor =
        age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient));
    let mut locked = Vec::new();
    let mut writer = encryptor
        .expect("a recipient")
        .wrap_output(&mut locked)
        .expect("a header");
    writer
        .write_all(key_text("alice.age.txt").as_bytes())
        .expect("bytes");
    writer.finish().expect("an end");
    let file = world.write("locked.age", locked);
    let world = world.set("SOPS_AGE_KEY_FILE", file.to_str().expect("UTF-8"));
    let mut terminal = Terminal::start(&world.command(["decrypt", "db.yaml"]));
    terminal.expect("Passphrase for ");
    terminal.await_silence();
    terminal.type_in("two words\r");
    let (status, screen, stdout) = terminal.finish();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert_eq!(stdout, PLAIN.as_bytes());
}

#[test]
fn key_files_that_others_can_read_are_told_of_on_a_terminal() {
    let world = alice();
    world.write("db.yaml", PLAIN);
    world.ok(["encrypt", "-i", "db.yaml"]);
    let keys = world.write("keys.txt", key_text("alice.age.txt"));
    let mode = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&keys, mode).expect("a mode");
    };
    let world = world.set("SOPS_AGE_KEY_FILE", keys.to_str().expect("UTF-8"));
    for (bits, told) in [(0o644, true), (0o600, false)] {
        mode(bits);
        let terminal = Terminal::start(&world.command(["decrypt", "db.yaml"]));
        let (status, screen, _) = terminal.finish();
        assert_eq!(status.code(), Some(0));
        assert_eq!(screen.contains("other users can read"), told, "{screen}");
        assert_eq!(
            world.run(["decrypt", "db.yaml"]).stderr,
            "",
            "nobody to tell"
        );
    }
}

// --- sealing over a sealed file ---------------------------------------------------------------------------------------

/// A plaintext beside its sealed form.
fn with_sealed() -> World {
    let world = alice();
    world.write("plain.yaml", PLAIN);
    world.ok(["encrypt", "--output", "sealed.yaml", "plain.yaml"]);
    world
}

#[test]
fn sealing_again_writes_nothing_if_nothing_changed() {
    let world = alice();
    for (name, plain) in [
        ("db.yaml", PLAIN),
        ("db.json", "{\"a\": [1, \"two\", null, 1.5]}\n"),
        ("db.env", "# c\nA=1\nB=\"two\"\n"),
        ("db.ini", "; c\n[s]\na = 1\n"),
        ("db.toml", "# c\n[s] # d\na = 0x1\nb = ['', 1.50]\n"),
        ("db.bin", "\0\u{1}two"),
        ("empty.bin", ""),
    ] {
        world.write(name, plain);
        let output = format!("sealed-{name}");
        let arguments = ["encrypt", "--output", &output, name];
        world.ok(arguments);
        let before = state(&world.path(&output));
        let ran = world.run(arguments);
        assert_eq!((ran.code, ran.stdout.len()), (Some(0), 0), "{}", ran.stderr);
        assert_eq!(
            ran.stderr,
            format!("sops-rs: note: `{output}` is up to date; nothing was written\n")
        );
        assert_eq!(state(&world.path(&output)), before);
        assert_eq!(world.ok(["decrypt", &output]), plain.as_bytes());
    }
}

#[test]
fn sealing_again_keeps_what_did_not_change() {
    let world = with_sealed();
    let before = world.read("sealed.yaml");
    world.write("plain.yaml", PLAIN.replace("two", "2 or 3"));
    let ran = world.run(["encrypt", "--output", "sealed.yaml", "plain.yaml"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let after = world.read("sealed.yaml");
    let changed: Vec<&str> = before
        .lines()
        .zip(after.lines())
        .filter_map(|(old, new)| (old != new).then_some(old.trim_start()))
        .map(|line| line.split(['E', ' ']).next().unwrap_or_default())
        .filter(|word| *word != "lastmodified:")
        .collect();
    assert_eq!(changed, ["-", "mac:"]);
    assert_eq!(
        world.ok(["decrypt", "sealed.yaml"]),
        PLAIN.replace("two", "2 or 3").as_bytes()
    );
}

#[test]
fn sealing_again_keeps_recipients_unless_they_are_named() {
    let world = with_sealed();
    world.write(
        ".sops-rs.yaml",
        format!("creation_rules:\n  - age: {ALICE},{BOB}\n"),
    );
    world.write("plain.yaml", PLAIN.replace("two", "three"));
    let ran = world.run(["encrypt", "--output", "sealed.yaml", "plain.yaml"]);
    assert_eq!(ran.code, Some(0));
    assert!(
        ran.stderr.contains("keeps its recipients"),
        "{}",
        ran.stderr
    );
    assert_eq!(recipients(&world.read("sealed.yaml")), [ALICE]);
    world.ok([
        "encrypt",
        "--age",
        BOB,
        "--output",
        "sealed.yaml",
        "plain.yaml",
    ]);
    assert_eq!(recipients(&world.read("sealed.yaml")), [BOB]);
}

#[test]
fn sealing_again_after_the_rule_changed_starts_anew() {
    let world = with_sealed();
    let before = world.read("sealed.yaml");
    world.write(
        ".sops-rs.yaml",
        format!("creation_rules:\n  - unencrypted_regex: ^port$\n    age: {ALICE}\n"),
    );
    let ran = world.run(["encrypt", "--output", "sealed.yaml", "plain.yaml"]);
    assert_eq!(ran.code, Some(0));
    assert!(
        ran.stderr
            .contains("note: the rule for `sealed.yaml` has changed"),
        "{}",
        ran.stderr
    );
    let after = world.read("sealed.yaml");
    assert!(after.contains("port: 5432\n"), "{after}");
    assert_ne!(before.lines().next(), after.lines().next(), "sealed anew");
    assert_eq!(world.ok(["decrypt", "sealed.yaml"]), PLAIN.as_bytes());
}

#[test]
fn sealing_again_over_a_file_that_does_not_open_starts_anew() {
    let world = with_sealed();
    let damaged =
        world
            .read("sealed.yaml")
            .replacen("ENC[AES256_GCM,data:", "ENC[AES256_GCM,data:AA", 1);
    for (text, word) in [
        (damaged.as_str(), "is damaged"),
        (&damaged.replace("AGE ENC", "AGE INC"), "cannot be opened"),
    ] {
        world.write("sealed.yaml", text);
        let ran = world.run(["encrypt", "--output", "sealed.yaml", "plain.yaml"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
        assert_eq!(world.ok(["decrypt", "sealed.yaml"]), PLAIN.as_bytes());
    }
}

#[test]
fn a_wrong_mac_can_be_ignored_and_is_made_anew_by_edit() {
    let world = alice();
    world.write("db.yaml", "a: one\nport_unencrypted: 5432\n");
    world.ok(["encrypt", "-i", "db.yaml"]);
    world.write("db.yaml", world.read("db.yaml").replace("5432", "5433"));
    let want = b"a: one\nport_unencrypted: 5433\n";
    assert_eq!(world.run(["decrypt", "db.yaml"]).code, Some(51));
    assert_eq!(world.ok(["decrypt", "--ignore-mac", "db.yaml"]), want);
    let ran = world.edit("sed -i s/one/two/ \"$1\"", ["--ignore-mac", "db.yaml"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(
        world.ok(["decrypt", "db.yaml"]),
        b"a: two\nport_unencrypted: 5433\n"
    );
    accept("db.yaml", &world.read("db.yaml"));
}

#[test]
fn some_options_may_stand_before_the_command() {
    let world = alice();
    world.write("db.yaml", "# mark\na: v.1\nb: v.2\n");
    let sealed = |arguments: &[&str]| String::from_utf8(world.ok(arguments)).expect("UTF-8");
    let options = ["--mac-only-encrypted", "--encrypted-comment-regex", "mark"];
    let before = sealed(&[&options[..], &["encrypt", "db.yaml"]].concat());
    let behind = sealed(&[&["encrypt"], &options[..], &["db.yaml"]].concat());
    for text in [before, behind] {
        assert!(
            text.contains("\na: ENC[") && text.contains("\nb: v.2\n"),
            "{text}"
        );
        assert!(text.contains("mac_only_encrypted: true\n"), "{text}");
        // The MAC does not cover what is in clear.
        world.write("sealed.yaml", text.replace("v.2", "v.3"));
        assert!(world.ok(["decrypt", "sealed.yaml"]).ends_with(b"b: v.3\n"));
    }
}

#[test]
fn what_is_not_understood_survives_an_edit_byte_for_byte() {
    // A recipient of an unknown type and an unknown key, in a layout that is not ours: after what, and what.
    let cases = [
        (
            "db.yaml",
            "a: one\n",
            "sops:\n",
            "    tpm_v9:\n        # a comment of theirs\n        - handle: \"0x81\"\n          enc: 'xyz'\n    new_flag:   yes\n",
        ),
        (
            "db.json",
            "{\"a\": \"one\"}\n",
            "\"sops\": {",
            "\n  \"tpm_v9\": [ {\"enc\": \"x\\u0079z\",  \"handle\": 129} ], \"new_flag\" : true,",
        ),
        (
            "db.env",
            "A=one\n",
            "\n",
            "sops_tpm_v9__list_0__map_enc=xyz\nsops_new_flag= yes\n",
        ),
        (
            "db.ini",
            "[s]\na = one\n",
            "[sops]\n",
            "tpm_v9__list_0__map_enc=xyz\n; a comment of theirs\nnew_flag   = yes\n",
        ),
    ];
    for (name, plain, behind, strange) in cases {
        let world = alice();
        world.write(name, plain);
        world.ok(["encrypt", "-i", name]);
        let text = world.read(name);
        let text = text.replacen(behind, &format!("{behind}{strange}"), 1);
        assert!(text.contains(strange), "{text}");
        world.write(name, &text);
        let ran = world.edit("sed -i s/one/two/ \"$1\"", [name]);
        assert_eq!(ran.code, Some(0), "{name}: {}", ran.stderr);
        let after = world.read(name);
        assert!(after.contains(strange), "{name}: {after}");
        assert_eq!(after.lines().count(), text.lines().count());
        for (old, new) in text.lines().zip(after.lines()) {
            let may_change = ["lastmodified", "mac", "ENC["]
                .iter()
                .any(|word| old.contains(word));
            assert!(old == new || may_change, "{name}: {old}\n{new}");
        }
        let opened = String::from_utf8(world.ok(["decrypt", name])).expect("UTF-8");
        assert_eq!(opened, plain.replace("one", "two"));
    }
}

// --- the first day ----------------------------------------------------------------------------------------------------

#[test]
fn the_first_day_needs_no_environment() {
    let world = World::new();
    let ran = world.run(["init"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for word in ["created  identity", "created  config", "next: "] {
        assert!(ran.text().contains(word), "{}", ran.text());
    }
    let keys = world.home().join(".config/sops/age/keys.txt");
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").mode() & 0o777;
    assert_eq!(mode(&keys), 0o600);
    assert_eq!(mode(keys.parent().expect("a folder")), 0o700);
    let secret = std::fs::read_to_string(&keys).expect("the identity");
    let secret = secret
        .lines()
        .find(|line| line.starts_with("AGE-SECRET-KEY-"))
        .expect("a key");
    assert!(!ran.text().contains(secret));
    // A file that is in no folder of secrets, too.
    world.write("values.yaml", "password: hunter2\n");
    world.ok(["encrypt", "-i", "values.yaml"]);
    assert_eq!(world.ok(["decrypt", "values.yaml"]), b"password: hunter2\n");
    // Again: nothing changes.
    let before = (state(&keys), state(&world.path(".sops-rs.yaml")));
    let again = world.run(["init"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(
        again.text().contains("kept     identity"),
        "{}",
        again.text()
    );
    assert_eq!((state(&keys), state(&world.path(".sops-rs.yaml"))), before);

    // What it says comes next, in a folder that is not there yet.
    assert!(!world.path("secrets").exists());
    let ran = world.edit("echo 'b: 1' > \"$1\"", ["secrets/example.yaml"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(world.ok(["decrypt", "secrets/example.yaml"]), b"b: 1\n");

    world.write("secrets/db.yaml", PLAIN);
    world.ok(["encrypt", "-i", "secrets/db.yaml"]);
    assert!(!world.read("secrets/db.yaml").contains("db.example.com"));
    let ran = world.edit("sed -i s/one/1st/ \"$1\"", ["secrets/db.yaml"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(
        world.ok(["decrypt", "secrets/db.yaml"]),
        PLAIN.replace("one", "1st").as_bytes()
    );
}

#[test]
fn init_asks_on_a_terminal() {
    let world = World::new();
    for (answer, code) in [("n\r", 1), ("\x04", 1), ("\r", 0)] {
        let mut terminal = Terminal::start(&world.command(["init"]));
        terminal.expect("[Y/n] ");
        assert_eq!(world.names(), [] as [&str; 0]);
        terminal.type_in(answer);
        let (status, screen, _) = terminal.finish();
        assert_eq!(status.code(), Some(code), "{screen}");
        assert_eq!(world.path(".sops-rs.yaml").exists(), code == 0);
    }
}
