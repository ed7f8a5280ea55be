//! `edit`, with editors that are shell scripts: what changes in the sealed file, what never reaches a disk, and what is
//! left when something goes wrong.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use crate::support::{ALICE, Ran, Terminal, World, send, unique, wait_until, without_privileges};

/// One small file in each format: its name, its text, what the editor replaces, and by what.
const FILES: [(&str, &str, &str, &str); 6] = [
    (
        "db.yaml",
        "# database\nhost: db.example.com # inline\nlist:\n  - one\n  - two\n  - two\nport: 5432\nlast: 'q'\n",
        "two",
        "three",
    ),
    (
        "db.json",
        "{\n  \"host\": \"db.example.com\",\n  \"list\": [\n    \"one\",\n    \"two\"\n  ],\n  \"port\": 5432\n}\n",
        "one",
        "eleven",
    ),
    (
        "db.env",
        "# database\nHOST=db.example.com\nPORT=5432\nLAST=q\n",
        "5432",
        "5433",
    ),
    (
        "db.ini",
        "; database\n[db]\nhost = db.example.com\nport = 5432\n\n[other]\nlast = q\n",
        "db.example.com",
        "db2.example.com",
    ),
    (
        "db.toml",
        "# database\n[db]\nhost = 'db.example.com' # here\nport = 0x1538\n\n[[other]]\nlast = [1, 2]\n",
        "0x1538",
        "5_433",
    ),
    ("db.txt", "any text\n", "any", "other"),
];

/// A world with alice's identity, a config for all files, and the files given, sealed.
fn world_with(files: &[(&str, &str)]) -> World {
    let world = World::with_identity("alice");
    world.write(
        ".sops-rs.yaml",
        format!("creation_rules:\n  - age: {ALICE}\n"),
    );
    for (name, text) in files {
        world.write(name, text);
        world.ok(["encrypt", "--in-place", name]);
    }
    world
}

#[track_caller]
fn assert_code(ran: &Ran, code: i32) {
    assert_eq!(ran.code, Some(code), "{}", ran.stderr);
    assert!(ran.stdout.is_empty(), "{}", ran.text());
}

fn opened(world: &World, name: &str) -> String {
    String::from_utf8(world.ok(["decrypt", name])).expect("UTF-8")
}

// --- what changes -----------------------------------------------------------------------------------------------------

#[test]
fn one_changed_value_changes_one_line_and_the_seal() {
    let worlds = FILES.map(|(name, text, ..)| world_with(&[(name, text)]));
    // `lastmodified` counts seconds; the same second would hide that it is written.
    wait_for_next_second();
    for ((name, text, from, to), world) in FILES.into_iter().zip(worlds) {
        let before = world.read(name);
        // The last occurrence alone, so that the two equal items of the list differ afterwards.
        let script = format!("sed -i '$!{{H;d}};H;x;s/\\(.*\\){from}/\\1{to}/;s/^\\n//' \"$1\"");
        assert_code(&world.edit(&script, [name]), 0);
        let after = world.read(name);
        let changed: Vec<&str> = before
            .lines()
            .zip(after.lines())
            .filter_map(|(old, new)| (old != new).then_some(new))
            .collect();
        assert_eq!(before.lines().count(), after.lines().count(), "{name}");
        assert_eq!(changed.len(), 3, "{name}: {changed:#?}");
        for field in ["lastmodified", "mac"] {
            assert!(
                changed.iter().any(|line| line.contains(field)),
                "{name}: {changed:#?}"
            );
        }
        let (before, behind) = text.rsplit_once(from).expect("it is there");
        let want = format!("{before}{to}{behind}");
        assert_eq!(opened(&world, name), want, "{name}");
        assert_eq!(world.names(), [".sops-rs.yaml", name]);
    }
}

fn wait_for_next_second() {
    let second = |time: jiff::Timestamp| time.as_second();
    let start = second(jiff::Timestamp::now());
    wait_until("the next second", || second(jiff::Timestamp::now()) > start);
}

#[test]
fn nothing_changed_leaves_the_file_untouched() {
    for (name, text, ..) in FILES {
        let world = world_with(&[(name, text)]);
        let state = || {
            let data = std::fs::metadata(world.path(name)).expect("the file");
            (
                world.read(name),
                data.mtime(),
                data.mtime_nsec(),
                data.ino(),
            )
        };
        let before = state();
        for script in [
            ":",
            "touch \"$1\"",
            "cp \"$1\" \"$1.new\"; mv \"$1.new\" \"$1\"",
        ] {
            let ran = world.edit(script, [name]);
            assert_code(&ran, 200);
            assert!(ran.stderr.contains("nothing was changed"), "{}", ran.stderr);
            assert_eq!(state(), before, "{name}");
        }
    }
}

#[test]
fn an_edit_that_changes_no_value_is_kept_if_it_changes_the_text() {
    let world = world_with(&[("db.yaml", "a: one\nb_unencrypted: two\n")]);
    assert_code(&world.edit("sed -i 's/two/three/' \"$1\"", ["db.yaml"]), 0);
    assert!(world.read("db.yaml").contains("b_unencrypted: three\n"));
    assert_code(&world.edit("printf '\\n' >> \"$1\"", ["db.yaml"]), 0);
    assert_eq!(
        opened(&world, "db.yaml"),
        "a: one\nb_unencrypted: three\n\n"
    );
}

#[test]
fn a_new_file_starts_with_an_example_of_its_format() {
    let world = world_with(&[]);
    for name in [
        "new.yaml", "new.json", "new.env", "new.ini", "new.toml", "new.txt",
    ] {
        let copy = world.path("seen");
        let script = format!(
            "cp \"$1\" {copy:?}; sed -i 's/a secret/s3cret/;s/not s3cret/not a secret/;s/your own/my/' \"$1\""
        );
        assert_code(&world.edit(&script, [name]), 0);
        let seen = world.read("seen");
        assert!(!seen.is_empty());
        let want = seen
            .replace("a secret", "s3cret")
            .replace("not s3cret", "not a secret")
            .replace("your own", "my");
        assert_ne!(seen, want);
        assert_eq!(opened(&world, name), want);
        assert!(!world.read(name).contains("s3cret"));
    }
}

#[test]
fn an_empty_file_is_a_new_one() {
    let world = world_with(&[]);
    world.write("db.yaml", "");
    assert_code(&world.edit(":", ["db.yaml"]), 200);
    assert_eq!(world.read("db.yaml"), "");
    assert_code(&world.edit("echo 'a: one' > \"$1\"", ["db.yaml"]), 0);
    assert_eq!(opened(&world, "db.yaml"), "a: one\n");
}

#[test]
fn a_new_file_may_be_the_first_of_its_folder() {
    let world = world_with(&[]);
    assert_code(&world.edit(":", ["a/b/new.yaml"]), 200);
    assert_eq!(world.names(), [".sops-rs.yaml"]);
    assert_eq!(
        world.edit("echo 'a: [' > \"$1\"", ["a/b/new.yaml"]).code,
        Some(2)
    );
    assert_eq!(opened(&world, "a/b/new.yaml.rejected"), "a: [\n");
    assert_code(&world.edit("echo 'a: one' > \"$1\"", ["a/b/new.yaml"]), 0);
    assert_eq!(opened(&world, "a/b/new.yaml"), "a: one\n");
}

#[test]
fn what_was_typed_is_kept_under_a_name_that_fits() {
    let world = world_with(&[]);
    let name = format!("{}ä.yaml", "n".repeat(246));
    assert_code(&world.edit("echo 'a: one' > \"$1\"", [&name]), 0);
    let ran = world.edit("echo 'a: [' > \"$1\"", [&name]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    let kept = format!("{}.rejected", "n".repeat(246));
    assert_eq!(opened(&world, &kept), "a: [\n");
}

#[test]
fn a_new_file_that_was_not_changed_is_not_made() {
    let world = world_with(&[]);
    assert_code(&world.edit(":", ["new.yaml"]), 200);
    assert_eq!(world.names(), [".sops-rs.yaml"]);
}

#[test]
fn comments_and_moved_values_keep_what_did_not_change() {
    let world = world_with(&[(
        "db.yaml",
        "# about a\na: one\n# about b\nb: two\nc:\n  d: three\n",
    )]);
    let token = |key: &str| {
        let text = world.read("db.yaml");
        let line = text.lines().find(|line| line.trim_start().starts_with(key));
        line.expect("the key").trim_start().to_owned()
    };
    let before = ["a:", "b:", "d:"].map(token);
    let text = "b: two\n# about a, edited\na: one\n# new\nc:\n  # also new\n  d: three\n";
    let script = format!("printf '%s' '{text}' > \"$1\"");
    assert_code(&world.edit(&script, ["db.yaml"]), 0);
    assert_eq!(opened(&world, "db.yaml"), text);
    assert_eq!(["a:", "b:", "d:"].map(token), before, "tokens move along");
    for words in ["a, edited", "# new", "also new", "b: two"] {
        assert!(
            !world.read("db.yaml").contains(words),
            "`{words}` is in clear"
        );
    }
}

#[test]
fn show_master_keys_shows_the_metadata_and_takes_no_change_of_it() {
    let world = world_with(&[("db.yaml", "a: one\n")]);
    let seen = world.path("seen");
    let script = format!("cp \"$1\" {seen:?}; sed -i 's/one/two/' \"$1\"");
    assert_code(&world.edit(&script, ["--show-master-keys", "db.yaml"]), 0);
    let shown = world.read("seen");
    assert!(shown.starts_with("a: one\nsops:\n"), "{shown}");
    assert!(shown.contains(ALICE));
    assert_eq!(opened(&world, "db.yaml"), "a: two\n");
    let before = world.read("db.yaml");
    let ran = world.edit("sed -i 's/age1mj/age1xx/' \"$1\"", ["-s", "db.yaml"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("metadata was changed"),
        "{}",
        ran.stderr
    );
    assert_eq!(world.read("db.yaml"), before);
}

// --- which editor -----------------------------------------------------------------------------------------------------

#[test]
fn the_editor_may_have_arguments_and_quotes() {
    let world = world_with(&[("db.yaml", "a: one\n")]);
    let mut command = world.command(["edit", "db.yaml"]);
    command.env(
        "EDITOR",
        r#"sh -c 'sed -i "s/one/two words/" "$1"' "my editor""#,
    );
    assert_code(&command.output().expect("it runs").into(), 0);
    assert_eq!(opened(&world, "db.yaml"), "a: two words\n");
}

#[test]
fn sops_editor_comes_before_editor() {
    let world = world_with(&[("db.yaml", "a: one\n")]);
    let mut command = world.command(["edit", "db.yaml"]);
    command
        .env("SOPS_EDITOR", world.script("sed -i s/one/two/ \"$1\""))
        .env("EDITOR", "false");
    assert_code(&command.output().expect("it runs").into(), 0);
    assert_eq!(opened(&world, "db.yaml"), "a: two\n");
}

#[test]
fn the_editor_gets_a_private_file_of_the_same_name() {
    let world = world_with(&[("folder/db.yaml", "a: one\n")]);
    let seen = world.path("seen");
    let script = format!("stat -c '%a %n' \"$1\" \"$(dirname \"$1\")\" > {seen:?}");
    assert_code(&world.edit(&script, ["folder/db.yaml"]), 200);
    let seen = world.read("seen");
    let lines: Vec<&str> = seen.lines().collect();
    assert!(
        lines[0].starts_with("600 ") && lines[0].ends_with("/db.yaml"),
        "{seen}"
    );
    assert!(lines[1].starts_with("700 "), "{seen}");
    let folder = lines[1].trim_start_matches("700 ");
    assert!(!Path::new(folder).exists(), "{folder} is left");
}

#[test]
fn an_editor_that_fails_leaves_everything_as_it_was() {
    let secret = unique("S3CR3T");
    let world = world_with(&[("db.yaml", &format!("a: {secret}\n"))]);
    let before = world.read("db.yaml");
    for script in [
        "sed -i s/S3CR/S4CR/ \"$1\"; exit 3",
        "kill -9 $$",
        "rm \"$1\"; exit 1",
    ] {
        assert_code(&world.edit(script, ["db.yaml"]), 201);
        assert_eq!(world.read("db.yaml"), before);
        assert_eq!(world.names(), [".sops-rs.yaml", "db.yaml"]);
    }
    assert_eq!(
        world.files_with(secret.trim_start_matches("S3")),
        [] as [&Path; 0]
    );
}

#[test]
fn an_editor_that_removes_the_file_is_no_edit() {
    let world = world_with(&[("db.yaml", "a: one\n")]);
    let before = world.read("db.yaml");
    let ran = world.edit("rm \"$1\"", ["db.yaml"]);
    assert_ne!(ran.code, Some(0));
    assert_eq!(world.read("db.yaml"), before);
}

// --- edits that cannot be sealed --------------------------------------------------------------------------------------

#[test]
fn a_broken_edit_is_kept_sealed_beside_the_file() {
    let secret = unique("S3CR3T-kept");
    let broken = [
        (
            "db.yaml",
            "a: one\n",
            "a: S3CR3T-kept\n  b: [1\n",
            "db.yaml:2:",
        ),
        (
            "db.json",
            "{\"a\": \"one\"}\n",
            "{\n  \"a\": \"S3CR3T-kept\",\n}\n",
            "db.json:3:",
        ),
        ("db.env", "A=one\n", "A=S3CR3T-kept\nno sign\n", "db.env:2:"),
        (
            "db.ini",
            "[s]\na = one\n",
            "[s]\na = S3CR3T-kept\n[t\n",
            "db.ini:3:",
        ),
        (
            "db.toml",
            "[s]\na = 'one'\n",
            "[s]\na = 'S3CR3T-kept'\n[t\n",
            "db.toml:3:",
        ),
    ];
    for (name, text, typed, place) in broken {
        let typed = typed.replace("S3CR3T-kept", &secret);
        let world = world_with(&[(name, text)]);
        let before = world.read(name);
        let script = format!("cat > \"$1\" <<'EOF'\n{typed}EOF\n");
        let ran = world.edit(&script, [name]);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        let kept = format!("{name}.rejected");
        for word in [place, &format!("`sops-rs decrypt {kept}`")] {
            assert!(ran.stderr.contains(word), "`{word}`: {}", ran.stderr);
        }
        assert_eq!(world.read(name), before);
        assert_eq!(opened(&world, &kept), typed);
        let mode = std::fs::metadata(world.path(&kept))
            .expect("the file")
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::remove_dir_all(world.path("../bin")).expect("the editor");
        assert_eq!(world.files_with(&secret), [] as [&Path; 0]);
        // A second one does not take the place of the first.
        let ran = world.edit(&script.replace("kept", "again"), [name]);
        assert_eq!(ran.code, Some(2));
        assert_eq!(opened(&world, &kept), typed);
        assert_eq!(
            opened(&world, &format!("{kept}-2")),
            typed.replace("kept", "again")
        );
    }
}

#[test]
fn a_broken_edit_of_a_new_file_is_kept_too() {
    let world = world_with(&[]);
    let ran = world.edit("printf '{ \"a\": ' > \"$1\"", ["new.json"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(!world.path("new.json").exists());
    assert_eq!(opened(&world, "new.json.rejected"), "{ \"a\": ");
}

#[test]
fn a_place_in_a_broken_edit_is_marked() {
    let world = world_with(&[("db.yaml", "a: one\n")]);
    let ran = world.edit("printf 'a: one\\nb: \"two\\n' > \"$1\"", ["db.yaml"]);
    assert!(
        ran.stderr
            .contains("--> db.yaml:2:4\n 2 | b: …\n   |    ^\n"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_broken_edit_on_a_terminal_is_offered_again() {
    let world = world_with(&[("db.yaml", "a: one\n")]);
    // Rubbish at first; what was typed is there when the editor comes again.
    let script = "if grep -q rubbish \"$1\"; then printf 'a: two\\n' > \"$1\"; else printf 'rubbish: [\\n' > \"$1\"; fi";
    let mut command = world.command(["edit", "db.yaml"]);
    command.env("SOPS_EDITOR", world.script(script));
    let mut terminal = Terminal::start(&command);
    let message = terminal.expect("press Enter");
    assert!(message.contains("db.yaml:2:1"), "{message}");
    assert_eq!(
        world.names(),
        [".sops-rs.yaml", "db.yaml", "db.yaml.rejected"]
    );
    assert_eq!(opened(&world, "db.yaml"), "a: one\n");
    assert_eq!(opened(&world, "db.yaml.rejected"), "rubbish: [\n");
    terminal.type_in("\r");
    let (status, ..) = terminal.finish();
    assert_eq!(status.code(), Some(0));
    assert_eq!(opened(&world, "db.yaml"), "a: two\n");
    assert_eq!(
        world.names(),
        [".sops-rs.yaml", "db.yaml"],
        "no longer needed"
    );
}

#[test]
fn a_broken_edit_may_be_given_up() {
    let secret = unique("S3CR3T");
    let world = world_with(&[("db.yaml", "a: one\n")]);
    let before = world.read("db.yaml");
    let mut command = world.command(["edit", "db.yaml"]);
    command.env(
        "SOPS_EDITOR",
        world.script(&format!("printf '{secret}: [\\n' > \"$1\"")),
    );
    for (keys, signal) in [("\x03", Some(2)), ("\x04", None)] {
        let mut terminal = Terminal::start(&command);
        terminal.expect("press Enter");
        terminal.type_in(keys);
        let (status, ..) = terminal.finish();
        assert_eq!(status.signal(), signal, "{status:?}");
        assert_ne!(status.code(), Some(0));
        assert_eq!(world.read("db.yaml"), before);
        assert_eq!(opened(&world, "db.yaml.rejected"), format!("{secret}: [\n"));
        std::fs::remove_file(world.path("db.yaml.rejected")).expect("the kept text");
    }
    std::fs::remove_dir_all(world.path("../bin")).expect("the editor");
    assert_eq!(world.files_with(&secret), [] as [&Path; 0]);
}

#[test]
fn a_file_that_was_changed_meanwhile_is_not_overwritten() {
    let world = world_with(&[("db.yaml", "a: one\n"), ("other.yaml", "b: two\n")]);
    let (file, other) = (world.path("db.yaml"), world.path("other.yaml"));
    let script = format!("sed -i s/one/three/ \"$1\"; cp {other:?} {file:?}");
    let ran = world.edit(&script, ["db.yaml"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("changed by another program"),
        "{}",
        ran.stderr
    );
    assert_eq!(world.read("db.yaml"), world.read("other.yaml"));
    assert_eq!(opened(&world, "db.yaml.rejected"), "a: three\n");
}

#[test]
fn a_file_that_was_changed_meanwhile_is_not_offered_again() {
    let world = world_with(&[("db.yaml", "a: one\n")]);
    let file = world.path("db.yaml");
    let script = format!("sed -i s/one/two/ \"$1\"; echo 'b: 1' > {file:?}");
    let mut command = world.command(["edit", "db.yaml"]);
    command.env("SOPS_EDITOR", world.script(&script));
    let (status, screen, _) = Terminal::start(&command).finish();
    assert_eq!(status.code(), Some(3), "{screen}");
    assert!(screen.contains(" db.yaml.rejected`"), "{screen}");
    assert_eq!(world.read("db.yaml"), "b: 1\n");
    assert_eq!(opened(&world, "db.yaml.rejected"), "a: two\n");
}

#[test]
fn a_file_that_appeared_meanwhile_is_not_overwritten() {
    let world = world_with(&[("other.yaml", "b: two\n")]);
    let (file, other) = (world.path("db.yaml"), world.path("other.yaml"));
    let script = format!("echo 'a: mine' > \"$1\"; cp {other:?} {file:?}");
    let ran = world.edit(&script, ["db.yaml"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert_eq!(world.read("db.yaml"), world.read("other.yaml"));
    assert_eq!(opened(&world, "db.yaml.rejected"), "a: mine\n");
}

// --- links, modes, folders --------------------------------------------------------------------------------------------

#[test]
fn a_link_stays_a_link_and_modes_are_kept() {
    let world = world_with(&[("real/db.yaml", "a: one\n")]);
    symlink("real/db.yaml", world.path("link.yaml")).expect("a link");
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(world.path("real/db.yaml"), mode(0o640)).expect("a mode");
    assert_code(&world.edit("sed -i s/one/two/ \"$1\"", ["link.yaml"]), 0);
    assert!(world.path("link.yaml").is_symlink());
    assert_eq!(opened(&world, "real/db.yaml"), "a: two\n");
    let data = std::fs::metadata(world.path("real/db.yaml")).expect("the file");
    assert_eq!(data.mode() & 0o777, 0o640);
}

#[test]
fn a_folder_that_cannot_be_written_costs_nothing() {
    let secret = unique("S3CR3T");
    let world = world_with(&[("locked/db.yaml", "a: one\n")]);
    let before = world.read("locked/db.yaml");
    let mode = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(world.path("locked"), mode).expect("a mode");
    };
    mode(0o500);
    let mut command = world.command(["edit", "locked/db.yaml"]);
    command.env(
        "SOPS_EDITOR",
        world.script(&format!("echo 'a: {secret}' > \"$1\"")),
    );
    let ran = Ran::from(without_privileges(&command).output().expect("it runs"));
    mode(0o700);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("`locked/db.yaml`"), "{}", ran.stderr);
    assert_eq!(world.read("locked/db.yaml"), before);
    // Beside the file there is no room for what was typed.
    let kept = world.tmp().join("db.yaml.rejected");
    assert!(
        ran.stderr.contains(kept.to_str().expect("UTF-8")),
        "{}",
        ran.stderr
    );
    assert_eq!(
        world.ok([Path::new("decrypt"), &kept]),
        format!("a: {secret}\n").as_bytes()
    );
    std::fs::remove_dir_all(world.path("../bin")).expect("the editor");
    assert_eq!(world.files_with(&secret), [] as [&Path; 0]);
}

// --- signals ----------------------------------------------------------------------------------------------------------

/// Starts `edit` with an editor that writes something and then stays until the file `go` is there.
fn start_waiting(world: &World, typed: &str) -> Child {
    let place = world.path("");
    let script = format!(
        "echo 'typed: {typed}' >> \"$1\"; touch {place:?}/ready; while ! [ -e {place:?}/go ]; do sleep 0.01; done"
    );
    let mut command = world.command(["edit", "db.yaml"]);
    let child = command
        .env("SOPS_EDITOR", world.script(&script))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    wait_until("the editor", || world.path("ready").exists());
    child
}

/// Whether no signal is on its way to a program, and every thread of it waits (proc(5), `status`).
fn is_idle(child: &Child) -> bool {
    let tasks = format!("/proc/{}/task", child.id());
    let waits = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.expect("a thread").path().join("status");
        let status = std::fs::read_to_string(path).expect("a status");
        let field = |name: &str| {
            let mut lines = status.lines();
            lines
                .find_map(|line| line.strip_prefix(name))
                .expect("it")
                .trim()
        };
        let nothing = |mask: &str| mask.bytes().all(|digit| digit == b'0');
        field("State:").starts_with('S') && nothing(field("SigPnd:")) && nothing(field("ShdPnd:"))
    };
    std::fs::read_dir(tasks).expect("threads").all(waits)
}

#[test]
fn a_signal_while_the_editor_runs_leaves_no_plaintext() {
    for (signal, number) in [(Signal::TERM, 15), (Signal::HUP, 1)] {
        let (secret, typed) = (unique("S3CR3T"), unique("S3CR3T"));
        let world = world_with(&[("db.yaml", &format!("a: {secret}\n"))]);
        let before = world.read("db.yaml");
        let mut child = start_waiting(&world, &typed);
        assert!(
            !world.files_with(&secret).is_empty(),
            "else this proves nothing"
        );
        send(&child, signal);
        let status = child.wait().expect("it ends");
        assert_eq!(status.signal(), Some(number), "{status:?}");
        assert_eq!(world.read("db.yaml"), before);
        assert_eq!(world.names(), [".sops-rs.yaml", "db.yaml", "ready"]);
        std::fs::remove_dir_all(world.path("../bin")).expect("the editor");
        assert_eq!(world.files_with(&secret), [] as [&Path; 0]);
        assert_eq!(world.files_with(&typed), [] as [&Path; 0]);
    }
}

/// A program that was started with `nohup` goes on when its terminal goes.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_that_was_ignored_from_the_start_stays_ignored() {
    let world = world_with(&[("db.yaml", "a: one\n")]);
    let editor = "touch ready; while ! [ -e go ]; do sleep 0.01; done; echo 'b: two' >> \"$1\"";
    let mut nohup = Command::new("nohup");
    world.prepare(&mut nohup);
    nohup
        .args([env!("CARGO_BIN_EXE_sops-rs"), "edit", "db.yaml"])
        .env("SOPS_EDITOR", world.script(editor))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = nohup.spawn().expect("it starts");
    wait_until("the editor", || world.path("ready").exists());
    send(&child, Signal::HUP);
    std::thread::sleep(std::time::Duration::from_millis(50));
    world.write("go", "");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert_eq!(opened(&world, "db.yaml"), "a: one\nb: two\n");
}

/// Ctrl-C goes to every program of a terminal, and an editor means something else by it.
#[test]
fn an_interrupt_while_the_editor_runs_is_the_editors_business() {
    for signal in [Signal::INT, Signal::QUIT] {
        let typed = unique("S3CR3T");
        let world = world_with(&[("db.yaml", "a: one\n")]);
        let mut child = start_waiting(&world, &typed);
        send(&child, signal);
        send(&child, signal);
        wait_until("the signals", || is_idle(&child));
        world.write("go", "");
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
        assert_eq!(
            opened(&world, "db.yaml"),
            format!("a: one\ntyped: {typed}\n")
        );
        std::fs::remove_dir_all(world.path("../bin")).expect("the editor");
        assert_eq!(world.files_with(&typed), [] as [&Path; 0]);
    }
}

#[test]
fn a_signal_while_the_program_waits_leaves_no_plaintext() {
    for (signal, number) in [
        (Signal::INT, 2),
        (Signal::TERM, 15),
        (Signal::HUP, 1),
        (Signal::QUIT, 3),
    ] {
        let secret = unique("S3CR3T");
        let world = world_with(&[("db.yaml", &format!("a: {secret}\n"))]);
        let before = world.read("db.yaml");
        let mut command = world.command(["edit", "db.yaml"]);
        command.env("SOPS_EDITOR", world.script("echo 'b: [' >> \"$1\""));
        let mut terminal = Terminal::start(&command);
        terminal.expect("press Enter");
        assert!(
            !world.files_with(&secret).is_empty(),
            "else this proves nothing"
        );
        send(&terminal.child, signal);
        let (status, ..) = terminal.finish();
        assert_eq!(status.signal(), Some(number), "{status:?}");
        assert_eq!(world.read("db.yaml"), before);
        assert_eq!(world.files_with(&secret), [] as [&Path; 0]);
        assert_eq!(
            opened(&world, "db.yaml.rejected"),
            format!("a: {secret}\nb: [\n")
        );
    }
}
