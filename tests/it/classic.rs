//! The program in place of SOPS: called `sops`, by the old command line and by programs that call SOPS.

use std::os::unix::fs::symlink;
use std::process::Command;

use snapbox::str;

use crate::errors::assert_message;
use crate::spec_reader::{self, Format, fixtures};
use crate::support::{ALICE, BOB, Ran, World};

const PLAIN: &str = "password: s3cr3t.1\nport: 5432\n";

/// Alice's world, with a config in the form of SOPS, and the program under the name `sops`, first on the path.
fn world() -> World {
    let world = World::with_identity("alice");
    world.write(".sops.yaml", format!("creation_rules:\n  - age: {ALICE}\n"));
    world.write("bin/.keep", "");
    symlink(env!("CARGO_BIN_EXE_sops-rs"), world.path("bin/sops")).expect("a link");
    world
}

/// A shell script in the work folder, in which `sops` is this program.
fn shell(world: &World, script: &str) -> Command {
    let mut command = Command::new("bash");
    world.prepare(&mut command);
    let paths = command.get_envs().find(|(name, _)| *name == "PATH");
    let path = paths.and_then(|(_, path)| path).expect("a path");
    let path = format!("{}:{}", world.path("bin").display(), path.display());
    command.env("PATH", path).args(["-c", script]);
    command
}

fn run(world: &World, script: &str) -> Ran {
    shell(world, script).output().expect("bash runs").into()
}

/// Runs a script that must succeed without a message. What comes back is its output.
#[track_caller]
fn ok(world: &World, script: &str) -> String {
    let ran = run(world, script);
    let outcome = (ran.code, ran.stderr.as_str());
    assert_eq!(outcome, (Some(0), ""), "{script}");
    ran.text()
}

/// Runs a script that must end with this code. What comes back are its messages.
#[track_caller]
fn fails(world: &World, code: i32, script: &str) -> String {
    let ran = run(world, script);
    assert_eq!(
        (ran.code, ran.text().as_str()),
        (Some(code), ""),
        "{script}"
    );
    ran.stderr
}

/// Opens a sealed text with the second reader, which shares no code with the program.
#[track_caller]
fn accept(name: &str, text: &str) {
    spec_reader::accept(name, text, Format::of_path(name), &fixtures::keys("alice"));
}

// --- the old command line ---------------------------------------------------------------------------------------------

#[test]
fn options_stand_for_commands() {
    let world = world();
    world.write("db.yaml", PLAIN);
    let sealed = ok(&world, "sops -e db.yaml");
    accept("db.yaml", &sealed);
    world.write("sealed.yaml", &sealed);
    for script in [
        "sops -d sealed.yaml",
        "sops --decrypt sealed.yaml",
        "sops sealed.yaml -d",
        "sops -d --verbose --indent 2 sealed.yaml",
        "sops -d --output /dev/stdout sealed.yaml | cat",
        "sops -ignore-mac -d -input-type yaml -output-type=yaml -- sealed.yaml",
        "sops -input-type yaml decrypt sealed.yaml",
        "sops --config .sops.yaml -d sealed.yaml",
        "cd bin && sops -d ../sealed.yaml",
    ] {
        assert_eq!(ok(&world, script), PLAIN, "{script}");
    }
    ok(
        &world,
        "sops -d -i sealed.yaml && sops -e -in-place sealed.yaml",
    );
    accept("sealed.yaml", &world.read("sealed.yaml"));
    ok(&world, &format!("sops -r -i --add-age {BOB} sealed.yaml"));
    assert!(world.read("sealed.yaml").contains(BOB));
    assert_ne!(world.read("sealed.yaml"), sealed);
    assert_eq!(
        ok(
            &world,
            "sops -d --output open.yaml sealed.yaml; cat open.yaml"
        ),
        PLAIN
    );
}

#[test]
fn the_name_of_the_program_makes_no_difference() {
    let world = world();
    world.write("db.yaml", PLAIN);
    world.write("sealed.yaml", world.ok(["-e", "db.yaml"]));
    assert_eq!(world.ok(["-d", "sealed.yaml"]), PLAIN.as_bytes());
    let mut edit = world.command(["sealed.yaml"]);
    let edited = edit.env("EDITOR", "true").output().expect("it runs");
    assert_eq!(edited.status.code(), Some(200));
}

#[test]
fn options_that_choose_what_is_sealed_work_before_the_file() {
    let world = world();
    world.write("db.yaml", "# mark\na: v.1\nb: v.2\n");
    let sealed = ok(
        &world,
        "sops --mac-only-encrypted --encrypted-comment-regex mark -e db.yaml",
    );
    assert!(
        sealed.contains("\nb: v.2\n") && sealed.contains("\na: ENC["),
        "{sealed}"
    );
    assert!(sealed.contains("mac_only_encrypted: true\n"), "{sealed}");
    let sealed = ok(&world, "sops --encrypted-regex ^a -e db.yaml");
    assert!(
        sealed.contains("\nb: v.2\n") && sealed.contains("\na: ENC["),
        "{sealed}"
    );
}

#[test]
fn what_counts_for_nothing_is_told_and_done_without() {
    let world = world();
    world.write("db.yaml", PLAIN);
    ok(&world, "sops -e -i db.yaml");
    let ran = run(
        &world,
        &format!("sops -e -d --pgp ABCD --rm-age {ALICE} db.yaml"),
    );
    assert_eq!((ran.code, ran.text().as_str()), (Some(0), PLAIN));
    assert_message(
        ran.stderr,
        str![[r#"
sops: warning: `--encrypt` counts for nothing beside `--decrypt`
sops: warning: `--pgp` means nothing to `decrypt` and is ignored
sops: warning: `--rm-age` means nothing to `decrypt` and is ignored

"#]],
    );
}

#[test]
fn mistakes_are_explained_in_the_style_of_the_line() {
    let world = world();
    assert_message(
        fails(&world, 1, "sops -d --nonsense db.yaml"),
        str![[r#"
sops: error: unexpected argument '--nonsense' found

  tip: to pass '--nonsense' as a value, use '-- --nonsense'

Usage: sops -d [OPTIONS] FILE

For more information, try '--help'.

"#]],
    );
    assert_message(
        fails(&world, 1, "sops --inplace db.yaml"),
        str![[r#"
sops: error: unexpected argument '--inplace' found

  tip: to pass '--inplace' as a value, use '-- --inplace'

Usage: sops [OPTIONS] FILE

For more information, try '--help'.

"#]],
    );
    for line in [
        "sops --extrct '[\"user\"]' -d db.yaml",
        "sops -d --extrct '[\"user\"]' db.yaml",
        "sops -d db.yaml --extrct '[\"user\"]'",
    ] {
        assert_message(
            fails(&world, 1, line),
            str![[r#"
sops: error: unexpected argument '--extrct' found

  tip: a similar argument exists: '--extract'

Usage: sops -d [OPTIONS] FILE

For more information, try '--help'.

"#]],
        );
    }
    assert_message(
        fails(&world, 100, "sops -d"),
        str![[r#"
sops: error: no file was named; `/dev/stdin` stands for standard input

Usage: sops -d [OPTIONS] FILE

For more information, try '--help'.

"#]],
    );
    assert_message(
        fails(&world, 8, "sops -d -i --output x db.yaml"),
        str![[r#"
sops: error: the argument '--in-place' cannot be used with '--output <FILE>'

Usage: sops -d [OPTIONS] FILE

For more information, try '--help'.

"#]],
    );
    assert_message(
        fails(&world, 1, "sops decrpyt -i -r ."),
        str![[r#"
sops: error: unrecognized subcommand 'decrpyt'

  tip: some similar subcommands exist: 'encrypt', 'decrypt'

Usage: sops [OPTIONS] <COMMAND>

For more information, try '--help'.

"#]],
    );
    let help = ok(&world, "sops -d --help");
    assert!(help.contains("Usage: sops -d [OPTIONS] FILE"), "{help}");
}

/// Index and value are one word there, cut at the first `] `.
#[test]
fn a_value_is_set_and_taken_out() {
    let world = world();
    let plain =
        "{\n  \"list\": [\"a\", \"b\"],\n  \"password\": \"s3cr3t.1\",\n  \"port\": 5432\n}\n";
    world.write("db.json", plain);
    ok(&world, "sops -e -i db.json");
    for (assignment, index, value) in [
        (r#"["password"] "s3cr3t.2""#, r#"["password"]"#, "s3cr3t.2"),
        (r#"["password"] "] \" x""#, r#"["password"]"#, "] \" x"),
        (r#"["list"][1] "c""#, r#"["list"][1]"#, "c"),
        (r#"["a"]["b c"] true"#, r#"["a"]["b c"]"#, "true"),
    ] {
        ok(&world, &format!("sops --set '{assignment}' db.json"));
        let opened = ok(&world, &format!("sops -d --extract '{index}' db.json"));
        assert_eq!(opened, value, "{assignment}");
    }
    ok(&world, r#"sops -i -set '["port"] -1' -- db.json"#);
    let opened = ok(&world, "sops -d db.json");
    let expected =
        "{\n  \"list\": [\"a\", \"c\"],\n  \"password\": \"] \\\" x\",\n  \"port\": -1,\n";
    assert!(opened.starts_with(expected), "{opened}");
    accept("db.json", &world.read("db.json"));
    let before = world.read("db.json");
    for (code, call) in [
        (7, "sops --set '[\"a\"]' db.json"),
        (7, "sops --set '[\"a\"] no JSON' db.json"),
        (7, "sops --set 'a[ 1' db.json"),
        (91, "sops -d --extract '[\"a' db.json"),
        (91, "sops -d --extract '[\"absent\"]' db.json"),
        (100, "sops --set '[\"a\"] 1'"),
        (100, "sops --set '[\"a\"] 1' absent.json"),
    ] {
        fails(&world, code, call);
    }
    assert_eq!(world.read("db.json"), before);
}

// --- what is no file --------------------------------------------------------------------------------------------------

#[test]
fn whatever_can_be_read_can_be_named() {
    let world = world();
    world.write("db.yaml", PLAIN);
    ok(&world, "sops -e -i db.yaml && mkfifo pipe");
    let types = "--input-type yaml --output-type yaml";
    for script in [
        "sops -d TYPES /dev/stdin < db.yaml",
        "cat db.yaml | sops -d TYPES /dev/stdin",
        "cat db.yaml | sops -d TYPES /proc/self/fd/0",
        "cat db.yaml | sops decrypt TYPES -",
        "sops -d TYPES <(cat db.yaml)",
        "sops -d TYPES /dev/fd/7 7< db.yaml",
        "cat db.yaml > pipe & sops -d TYPES pipe",
        "sops -d TYPES <(sops -r TYPES /dev/stdin < db.yaml)",
        "cat db.yaml | sops -r TYPES /dev/stdin | sops -d TYPES /dev/stdin",
        "sops -d db.yaml | sops -e TYPES /dev/stdin | sops -d TYPES /dev/stdin",
        "sops -d db.yaml | sops encrypt TYPES --filename-override x.yaml /dev/stdin | sops -d TYPES /dev/stdin",
        "sops -e TYPES <(sops -d db.yaml) | sops -d TYPES --output /dev/stdout /dev/stdin",
    ] {
        let script = script.replace("TYPES", types);
        assert_eq!(ok(&world, &script), PLAIN, "{script}");
    }
    let status = "sops filestatus --input-type yaml /dev/stdin < db.yaml";
    assert_eq!(ok(&world, status), "{\"encrypted\":true}\n");
    let add = format!("sops groups add --age {BOB} -f /dev/stdin --input-type yaml < db.yaml");
    assert!(ok(&world, &add).contains(BOB));
    assert_eq!(
        ok(&world, "sops diff db.yaml <(cat db.yaml) --input-type yaml"),
        ""
    );
    let check = "sops updatekeys --check --input-type yaml /dev/stdin < db.yaml";
    assert_eq!(run(&world, check).code, Some(0));
}

#[test]
fn what_is_no_file_is_never_replaced() {
    let world = world();
    world.write("db.yaml", PLAIN);
    ok(&world, "sops -e -i db.yaml && mkfifo pipe");
    let before = world.read("db.yaml");
    for script in [
        "sops -d -i --input-type yaml /dev/stdin < db.yaml",
        "sops -d -i --input-type yaml /dev/fd/7 7<> db.yaml",
        "sops -e -i pipe",
        "sops -r -i <(cat db.yaml)",
        "sops -d -i db.yaml pipe",
        "sops updatekeys -y pipe",
        "sops groups add -i -f pipe --age OTHER",
        "sops edit pipe",
        "sops /dev/stdin < db.yaml",
    ] {
        let said = fails(&world, 8, &script.replace("OTHER", BOB));
        assert!(said.contains("cannot be replaced"), "{script}: {said}");
    }
    assert_eq!(world.read("db.yaml"), before);
}

// --- helm-secrets -----------------------------------------------------------------------------------------------------

/// The calls of its `scripts/lib/backends/sops.sh`, with and without `HELM_SECRETS_BACKEND_ARGS` before them.
#[test]
fn helm_secrets_finds_what_it_expects() {
    let world = world();
    for arguments in ["", "--verbose", "--enable-local-keyservice=true"] {
        for (kind, file, plain) in [
            ("yaml", "values.yaml", PLAIN),
            ("json", "values.json", "{\n  \"a\": \"b\"\n}\n"),
            ("dotenv", "values.env", "A=b\n"),
            ("ini", "values.ini", "[a]\nb = c\n"),
            ("binary", "values.bin", "\u{1}bytes"),
        ] {
            let types = format!("--input-type {kind} --output-type {kind}");
            let sops = |call: String| ok(&world, &format!("sops {arguments} {call}"));
            world.write(file, plain);
            let sealed = sops(format!("--encrypt {types} {file}"));
            world.write(&format!("sealed-{file}"), &sealed);
            assert_eq!(sops(format!("--decrypt {types} sealed-{file}")), plain);
            sops(format!("--encrypt {types} --output out {file}"));
            assert_eq!(sops(format!("--decrypt {types} out")), plain);
            sops(format!("--decrypt {types} --output opened out"));
            assert_eq!(world.read("opened"), plain);
            sops(format!("--encrypt {types} --in-place {file}"));
            assert_ne!(world.read(file), plain);
            sops(format!("--decrypt {types} --in-place {file}"));
            assert_eq!(world.read(file), plain);
            ok(&world, "rm out opened");
        }
    }
}

/// It takes a file for encrypted, and guesses its type, by lines alone.
#[test]
fn helm_secrets_recognises_sealed_files() {
    let world = world();
    let detect = "set -e; sops -e FILE > sealed; grep -q 'mac.*,type:str]' sealed
        if grep -qx 'sops:\\s*' sealed; then echo yaml
        elif grep -q '\"data\": \"ENC' sealed; then echo binary
        else echo json; fi";
    for (file, plain, kind) in [
        ("a.yaml", PLAIN, "yaml"),
        // The one it takes for something else: the metadata go where the braces are.
        ("flow.yaml", "{a: b}\n", "json"),
        ("crlf.yaml", "a: b\r\n", "yaml"),
        ("no-end.yaml", "a: b", "yaml"),
        ("a.json", "{\"a\": 1}", "json"),
        ("a.bin", "bytes", "binary"),
    ] {
        world.write(file, plain);
        assert_eq!(
            ok(&world, &detect.replace("FILE", file)),
            format!("{kind}\n"),
            "{file}"
        );
    }
}

#[test]
fn helm_secrets_decrypts_literals() {
    let world = world();
    world.write("a.json", "{\"a\": \"b\"}");
    let script = "sops -e a.json | sops --decrypt --input-type json --output-type json /dev/stdin";
    assert_eq!(ok(&world, script), "{\"a\": \"b\"}");
}

// --- editors ----------------------------------------------------------------------------------------------------------

/// A plug-in of an editor gets at the plaintext, and writes a new one, by naming a program that copies as `EDITOR`.
#[test]
fn an_editor_may_be_a_program_that_copies() {
    let world = world();
    world.write("db.yaml", PLAIN);
    ok(&world, "sops -e -i db.yaml");
    let before = world.read("db.yaml");
    for call in [
        "sops edit db.yaml",
        "sops db.yaml",
        "sops --input-type yaml --output-type yaml db.yaml",
    ] {
        // Reading: the copy is taken, and 200 says that nothing was changed.
        let take = world.script("cp \"$1\" taken.yaml");
        fails(&world, 200, &format!("EDITOR='{take}' {call}"));
        assert_eq!(world.read("taken.yaml"), PLAIN);
        assert_eq!(world.read("db.yaml"), before);
    }
    world.write("new.yaml", PLAIN.replace("s3cr3t.1", "s3cr3t.2"));
    let give = world.script("cp new.yaml \"$1\"");
    // The working folder of the editor is that of the caller, and SOPS_EDITOR comes first.
    ok(
        &world,
        &format!("EDITOR=false SOPS_EDITOR='{give}' sops db.yaml"),
    );
    assert_eq!(ok(&world, "sops -d db.yaml"), world.read("new.yaml"));
    let line = |text: &str, key: &str| {
        text.lines()
            .find(|line| line.starts_with(key))
            .map(str::to_owned)
    };
    assert_eq!(line(&world.read("db.yaml"), "port"), line(&before, "port"));
    ok(&world, &format!("EDITOR='{give}' sops fresh.yaml"));
    accept("fresh.yaml", &world.read("fresh.yaml"));
}

// --- exit codes -------------------------------------------------------------------------------------------------------

/// What callers test for, each from a command of the old style (spec 9.2).
#[test]
fn exit_codes_are_those_of_sops() {
    let world = world();
    world.write("db.yaml", PLAIN);
    ok(&world, "sops -e db.yaml > sealed.yaml");
    let lines = world.read("sealed.yaml");
    let lines = lines.split_inclusive('\n');
    let tampered: String = lines.filter(|line| !line.starts_with("port")).collect();
    world.write("tampered.yaml", tampered);
    world.write("bad.yaml", "a: [\n");
    for (code, call) in [
        (1, "sops -d db.yaml"),
        (1, "sops --absent sealed.yaml"),
        (2, "sops -e bad.yaml"),
        (3, "sops -d --output absent/out sealed.yaml"),
        (8, "sops -d -i --output out sealed.yaml"),
        (51, "sops -d tampered.yaml"),
        (100, "sops -d absent.yaml"),
        (100, "sops -e"),
        (128, "SOPS_AGE_KEY_FILE= HOME=/nowhere sops -d sealed.yaml"),
        (200, "EDITOR=true sops sealed.yaml"),
        (201, "EDITOR=false sops sealed.yaml"),
        (203, "sops -e sealed.yaml"),
    ] {
        fails(&world, code, call);
    }
    let ignored = ok(&world, "sops -d --ignore-mac tampered.yaml");
    assert_eq!(
        ignored,
        "password: s3cr3t.1
"
    );
}
