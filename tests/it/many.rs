//! Commands over many files and directories: which files, in which order, what becomes of failures, and of a run that is
//! killed.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use age_core::primitives::bech32_encode;
use bech32::Hrp;
use rustix::process::Signal;

use crate::support::{ALICE, BOB, Terminal, World, send, sops_fixtures, wait_until, write_file};

/// A tree with files of every format, sealed for alice; some of them are not meant by anybody who walks through it.
const TREE: [(&str, &str); 7] = [
    (".env", "A=x\n"),
    ("a.yaml", "a: x\n"),
    ("deep/er/b.json", "{\"b\": \"x\"}\n"),
    ("deep/c.ini", "[s]\nc = x\n"),
    ("deep/d.txt", "x\n"),
    ("ignored/e.yaml", "e: x\n"),
    (".git/f.yaml", "f: x\n"),
];

/// Those of [`TREE`] that are found in it, in order.
const FOUND: [&str; 5] = [
    ".env",
    "a.yaml",
    "deep/c.ini",
    "deep/d.txt",
    "deep/er/b.json",
];

fn plain_tree() -> World {
    let world = World::with_identity("alice");
    world.write(".sops.yaml", format!("creation_rules:\n  - age: {ALICE}\n"));
    world.write(".gitignore", "ignored/\n");
    for (name, text) in TREE {
        world.write(name, text);
    }
    world
}

/// The same, sealed, with plain files and links that nothing may touch.
fn sealed_tree() -> World {
    let world = plain_tree();
    for (name, _) in TREE {
        world.ok(["encrypt", "-i", name]);
    }
    world.write("plain.yaml", "plain: true\n");
    world.write("notes.md", "sops: ENC[AES256_GCM, is how it looks\n");
    // Outside of the tree, and sealed.
    let outside = world.home().join("outside.yaml");
    std::fs::copy(world.path("a.yaml"), &outside).expect("a copy");
    std::os::unix::fs::symlink(&outside, world.path("deep/link.yaml")).expect("a link");
    std::os::unix::fs::symlink(world.home(), world.path("deep/away")).expect("a link");
    world
}

/// Rules above a clone are none of its own, and what git tracks is not ignored whatever the rules say.
#[test]
fn files_are_ignored_as_git_ignores_them() {
    let world = World::with_identity("alice");
    world.write(".gitignore", "*\n");
    let config = format!("creation_rules:\n  - age: {ALICE}\n");
    world.write("clone/.sops.yaml", config);
    world.write("clone/.gitignore", "*.env\n");
    for file in [
        "a.yaml",
        ".b.sops-rs-secrets.yaml",
        "tracked.env",
        "ignored.env",
    ] {
        let file = format!("clone/{file}");
        world.write(
            &file,
            if file.ends_with("env") {
                "A=x\n"
            } else {
                "a: x\n"
            },
        );
        world.ok(["encrypt", "-i", &file]);
    }
    let git = |arguments: &[&str]| {
        let mut git = std::process::Command::new("git");
        world.prepare(&mut git);
        let status = git
            .arg("-C")
            .arg(world.path("clone"))
            .args(arguments)
            .status();
        assert!(status.expect("git").success());
    };
    git(&["init", "-q"]);
    git(&["add", "-f", "tracked.env"]);
    let before = world.read("clone/ignored.env");
    let ran = world.run(["rotate", "-i", "-r", "clone"]);
    assert!(
        ran.stderr.contains("3 file(s) have a new data key"),
        "{}",
        ran.stderr
    );
    assert_eq!(world.read("clone/ignored.env"), before);
}

#[test]
fn a_file_whose_name_does_not_say_what_it_is_is_not_passed_over_in_silence() {
    let world = World::with_identity("alice");
    world.write(".sops.yaml", format!("creation_rules:\n  - age: {ALICE}\n"));
    for (name, format, text) in [
        ("a.conf", "yaml", "a: x\n"),
        ("b", "dotenv", "A=x\n"),
        ("c.cfg", "ini", "[s]\na = x\n"),
    ] {
        world.write(name, text);
        world.ok(["encrypt", "-i", "--input-type", format, name]);
        let ran = world.run(["updatekeys", "-r", "--check", "."]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let said = format!("`{name}` is left out: it is sealed as {format}");
        assert!(ran.stderr.contains(&said), "{}", ran.stderr);
    }
}

/// All files below the work folder and the one outside, with their bytes.
fn snapshot(world: &World) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![world.path("")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            } else {
                let name = path
                    .strip_prefix(world.path(""))
                    .expect("below")
                    .display()
                    .to_string();
                // A link to a folder has no bytes.
                files.insert(name, std::fs::read(&path).unwrap_or_default());
            }
        }
    }
    let outside = world.home().join("outside.yaml");
    files.insert(
        "outside".to_owned(),
        std::fs::read(outside).unwrap_or_default(),
    );
    files
}

/// The names of the files that differ.
fn changed(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let names = before.keys().chain(after.keys());
    let mut names: Vec<String> = names
        .filter(|name| before.get(*name) != after.get(*name))
        .cloned()
        .collect();
    names.sort();
    names.dedup();
    names
}

fn is_sealed(world: &World, name: &str) -> bool {
    world.ok(["filestatus", name]) == b"{\"encrypted\":true}\n"
}

#[test]
fn a_directory_is_walked_as_git_would_and_only_sealed_files_count() {
    for arguments in [
        &["rotate", "-i", "-r", "."][..],
        &["rotate", "-i", "-r", "./"],
        &["decrypt", "-i", "-r", "."],
    ] {
        let world = sealed_tree();
        let before = snapshot(&world);
        world.ok(arguments);
        assert_eq!(changed(&before, &snapshot(&world)), FOUND, "{arguments:?}");
    }
    let world = sealed_tree();
    world.write(
        ".sops.yaml",
        format!("creation_rules:\n  - age: {ALICE},{BOB}\n"),
    );
    let before = snapshot(&world);
    let plan = String::from_utf8(world.ok(["updatekeys", "-y", "-r", "."])).expect("UTF-8");
    assert_eq!(changed(&before, &snapshot(&world)), FOUND);
    let listed: Vec<&str> = plan
        .lines()
        .filter_map(|line| {
            line.strip_prefix("  ")
                .filter(|line| !line.starts_with(' '))
        })
        .collect();
    assert_eq!(listed, FOUND, "{plan}");
    // Who names a file means it, ignored or not.
    world.ok(["updatekeys", "-y", "ignored/e.yaml", "deep/link.yaml"]);
    assert_eq!(changed(&before, &snapshot(&world)).len(), FOUND.len() + 3);
}

#[test]
fn encrypt_goes_through_a_directory_and_finishes_what_was_begun() {
    let world = plain_tree();
    let before = snapshot(&world);
    world.ok(["encrypt", "-i", "deep/c.ini"]);
    let begun = world.read("deep/c.ini");
    world.ok(["encrypt", "-i", "-r", "."]);
    assert_eq!(changed(&before, &snapshot(&world)), FOUND);
    assert!(FOUND.iter().all(|name| is_sealed(&world, name)));
    assert_eq!(world.read("deep/c.ini"), begun, "it was sealed before");
    let sealed = snapshot(&world);
    world.ok(["encrypt", "-i", "-r", "."]);
    assert_eq!(
        changed(&sealed, &snapshot(&world)),
        [""; 0],
        "nothing is left to do"
    );
    world.ok(["decrypt", "-i", "-r", "."]);
    world.ok(["decrypt", "-i", "-r", "."]);
    assert_eq!(changed(&before, &snapshot(&world)), [""; 0]);
}

#[test]
fn encrypt_takes_only_what_a_rule_matches_from_a_directory() {
    let world = plain_tree();
    world.write(
        ".sops.yaml",
        format!("creation_rules:\n  - path_regex: ^deep/\n    age: {ALICE}\n"),
    );
    let before = snapshot(&world);
    world.ok(["encrypt", "-i", "-r", "."]);
    assert_eq!(
        changed(&before, &snapshot(&world)),
        ["deep/c.ini", "deep/d.txt", "deep/er/b.json"]
    );
    // Nor does a variable that names recipients mean files that no rule does.
    let mut command = world.command(["encrypt", "-i", "-r", "."]);
    let output = command
        .env("SOPS_AGE_RECIPIENTS", ALICE)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && said.contains("nothing to encrypt"),
        "{said}"
    );
    assert_eq!(changed(&before, &snapshot(&world)).len(), 3);
    // A file that is named must have one.
    let ran = world.run(["encrypt", "-i", "a.yaml", ".env"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("2 of 2 files could not be encrypted"),
        "{}",
        ran.stderr
    );
}

#[test]
fn without_a_config_a_directory_is_encrypted_for_whom_the_options_name() {
    let world = plain_tree();
    std::fs::remove_file(world.path(".sops.yaml")).expect("the config");
    let before = snapshot(&world);
    world.ok(["encrypt", "-i", "-r", "."]);
    assert_eq!(
        changed(&before, &snapshot(&world)),
        [""; 0],
        "nobody is named"
    );
    world.ok(["encrypt", "-i", "-r", "--age", ALICE, "."]);
    assert_eq!(changed(&before, &snapshot(&world)), FOUND);
}

#[test]
fn decrypt_mirrors_the_tree_elsewhere() {
    let world = sealed_tree();
    let before = snapshot(&world);
    world.ok(["decrypt", "-r", "--output-dir", "out", "deep", "a.yaml"]);
    let after = snapshot(&world);
    let expected = [
        "out/a.yaml",
        "out/deep/c.ini",
        "out/deep/d.txt",
        "out/deep/er/b.json",
    ];
    assert_eq!(changed(&before, &after), expected);
    for (name, text) in TREE {
        if let Some(bytes) = after.get(&format!("out/{name}")) {
            assert_eq!(bytes, text.as_bytes(), "{name}");
            let mode = std::fs::metadata(world.path(&format!("out/{name}"))).expect("a file");
            let mode = mode.permissions().mode();
            assert_eq!(mode & 0o077, 0, "{name}: for this user alone");
        }
    }
    // A path from elsewhere stays below the directory.
    let outside = world.home().join("outside.yaml");
    let outside = outside.to_str().expect("UTF-8");
    world.ok(["decrypt", "--output-dir", "out", outside]);
    let inside = format!("out/{}", outside.trim_start_matches('/'));
    assert_eq!(world.read(&inside), "a: x\n");
    let message = world.fails(1, ["decrypt", "--output-dir", "out", "plain.yaml"]);
    assert!(message.contains("not encrypted"), "{message}");
}

#[test]
fn what_cannot_be_done_with_many_files_is_refused_first() {
    let world = sealed_tree();
    let before = snapshot(&world);
    for (code, line) in [
        (8, "decrypt a.yaml .env"),
        (8, "decrypt -r ."),
        (8, "decrypt --output x a.yaml .env"),
        (8, "decrypt -i --filename-override x a.yaml .env"),
        (8, "decrypt -i a.yaml -"),
        (100, "decrypt -i -r"),
        (100, "decrypt -i a.yaml deep"),
        (8, "encrypt a.yaml .env"),
        (8, "decrypt -i --output-dir out a.yaml"),
        (8, "rotate -r ."),
        (8, "rotate -i -r --filename-override x.yaml ."),
        (100, "rotate -i ."),
    ] {
        let ran = world.run(line.split(' '));
        assert_eq!(ran.code, Some(code), "{line}: {}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{line}");
        assert_eq!(changed(&before, &snapshot(&world)), [""; 0], "{line}");
    }
}

#[test]
fn failures_are_collected_in_order_and_the_rest_is_done() {
    let world = sealed_tree();
    for name in ["a.yaml", "deep/c.ini"] {
        let text = world.read(name);
        world.write(name, text.replacen("data:", "data:AAAA", 1));
    }
    let text = world.read("deep/er/b.json");
    world.write("deep/er/conflict.json", format!("<<<<<<< ours\n{text}"));
    let before = snapshot(&world);
    for arguments in [["rotate", "-i", "-r", "."], ["decrypt", "-i", "-r", "."]] {
        let ran = world.run(arguments);
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        assert!(ran.stdout.is_empty());
        let places: Vec<usize> = [
            "a.yaml:1",
            "deep/c.ini:2",
            "conflict.json:1",
            "3 of 6 files could not be",
        ]
        .iter()
        .map(|part| {
            ran.stderr
                .find(part)
                .unwrap_or_else(|| panic!("{part}: {}", ran.stderr))
        })
        .collect();
        assert!(places.is_sorted(), "{}", ran.stderr);
        let done = changed(&before, &snapshot(&world));
        assert_eq!(done, [".env", "deep/d.txt", "deep/er/b.json"]);
    }
    // One file has its own code.
    assert_eq!(world.run(["decrypt", "-i", "-r", "a.yaml"]).code, Some(25));
}

#[test]
fn what_a_config_says_about_all_files_is_said_once() {
    let world = sealed_tree();
    world.write(
        ".sops.yaml",
        format!("creation_rules:\n  - age: {ALICE}\n    odd: 1\n"),
    );
    let ran = world.run(["updatekeys", "--check", "-r", "."]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("odd").count(), 1, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("5 file(s) already up to date"),
        "{}",
        ran.stderr
    );
}

#[test]
fn one_command_gives_the_identity_for_all_files() {
    let world = sealed_tree();
    let key = sops_fixtures().join("keys/alice.age.txt");
    let script = world.script(&format!("echo run >> count\ncat {}\n", key.display()));
    let mut command = world.command(["rotate", "-i", "-r", "."]);
    command
        .env_remove("SOPS_AGE_KEY_FILE")
        .env("SOPS_AGE_KEY_CMD", script);
    let output = command.output().expect("it runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(world.read("count"), "run\n");
}

#[test]
fn a_passphrase_is_asked_for_once_and_progress_is_shown() {
    let world = World::with_ssh_key("ssh_ed25519_passphrase").set("TERM", "xterm");
    let recipient =
        std::fs::read_to_string(sops_fixtures().join("keys/ssh_ed25519_passphrase.pub"))
            .expect("the key");
    for number in 0..8 {
        let name = format!("{number}.yaml");
        world.write(&name, "a: x\n");
        world.ok(["encrypt", "-i", "--age", recipient.trim(), &name]);
    }
    let mut terminal = Terminal::start(&world.command(["decrypt", "-i", "-r", "."]));
    let before = terminal.expect("Passphrase for ");
    assert!(before.contains("0/8"), "{before:?}");
    terminal.await_silence();
    terminal.type_in("correct horse\n");
    let (status, shown, _) = terminal.finish();
    assert!(status.success(), "{shown}");
    assert!(!shown.contains("Passphrase for "), "{shown}");
    assert!((0..8).all(|number| world.read(&format!("{number}.yaml")) == "a: x\n"));
}

/// A plugin that hands the file keys through, asks for a PIN, and notes its runs in `runs`.
const PLUGIN: &str = r#"#!/bin/sh
files=
while read -r arrow command file rest; do
  [ "$arrow" = "->" ] || continue
  read -r body
  case $command in
    wrap-file-key) key=$body ;;
    recipient-stanza) [ "$rest" = echo ] && files="$files $file $body" ;;
    done) break ;;
  esac
done
case $1 in
  --age-plugin=recipient-v1)
    printf -- '-> recipient-stanza 0 echo\n%s\n' "$key"
    read -r ok; read -r empty ;;
  --age-plugin=identity-v1)
    echo run >> "$HOME/runs"
    mkdir "$HOME/turn" || echo twice >> "$HOME/overlap"
    set -- $files
    while [ $# -gt 0 ]; do
      # What is wrong with one file does not stop the others.
      if [ "$1" = "$(cat "$HOME/refused" 2> /dev/null)" ]; then
        printf -- '-> error stanza %s 0\nbm8gd2F5\n' "$1"
      else
        printf -- '-> file-key %s\n%s\n' "$1" "$2"
      fi
      read -r ok; read -r empty
      shift 2
    done
    rmdir "$HOME/turn" ;;
esac
printf -- '-> done\n\n'
"#;

/// A world with the plugin, an identity for it, and this many files that it opens.
fn files_of_a_plugin(count: usize) -> World {
    let encode = |prefix: &str| bech32_encode(Hrp::parse(prefix).expect("a prefix"), b"anything");
    let world = World::new();
    let program = world.write("../bin/age-plugin-echo", PLUGIN);
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).expect("a program");
    let folder = program.parent().expect("a folder").display().to_string();
    let world = world
        .set("SOPS_AGE_KEY", &encode("age-plugin-echo-").to_uppercase())
        .set("PATH", &format!("{folder}:/usr/bin:/bin"));
    for number in 0..count {
        let name = format!("{number:02}.yaml");
        world.write(&name, format!("a: {number}\n"));
        world.ok(["encrypt", "-i", "--age", &encode("age1echo"), &name]);
    }
    world
}

fn lines(world: &World, name: &str) -> usize {
    let text = std::fs::read_to_string(world.home().join(name));
    text.unwrap_or_default().lines().count()
}

/// Plugins stand for a device, and for a person who has to touch it.
#[test]
fn one_run_of_a_plugin_serves_all_files() {
    let world = files_of_a_plugin(12);
    world.ok(["decrypt", "00.yaml"]);
    assert_eq!(lines(&world, "runs"), 1);
    world.ok(["rotate", "-i", "-r", "."]);
    assert_eq!(lines(&world, "runs"), 2);
    world.ok(["decrypt", "-i", "-r", "."]);
    assert_eq!(lines(&world, "runs"), 3);
    for number in 0..12 {
        assert_eq!(
            world.read(&format!("{number:02}.yaml")),
            format!("a: {number}\n")
        );
    }
    assert_eq!(lines(&world, "overlap"), 0, "two plugins ran at once");
}

#[test]
fn a_file_that_a_plugin_refuses_does_not_stop_the_others() {
    let world = files_of_a_plugin(4);
    write_file(&world.home().join("refused"), "2");
    let ran = world.run(["decrypt", "-i", "-r", "."]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("age-plugin-echo: no way"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("1 of 4 files"), "{}", ran.stderr);
    let plain =
        |number: usize| world.read(&format!("{number:02}.yaml")) == format!("a: {number}\n");
    assert_eq!((0..4).filter(|number| plain(*number)).count(), 3);
    assert!(!plain(2));
    assert_eq!(lines(&world, "runs"), 1, "it is not asked again");
}

/// Enough files that a run is in the middle when it is killed.
const HUNDREDS: usize = 300;

#[test]
fn a_run_that_is_killed_leaves_whole_files_and_the_next_one_finishes() {
    let world = World::with_identity("alice");
    world.write(".sops.yaml", format!("creation_rules:\n  - age: {ALICE}\n"));
    let formats = [
        ("yaml", "a: x\n"),
        ("json", "{\"a\": \"x\"}\n"),
        ("env", "A=x\n"),
        ("ini", "[s]\na = x\n"),
        ("txt", "x\n"),
    ];
    let mut files = Vec::new();
    for (extension, plain) in formats {
        world.write(&format!("seed.{extension}"), plain);
        let sealed = world.ok(["encrypt", &format!("seed.{extension}")]);
        for number in 0..HUNDREDS / formats.len() {
            let name = format!("tree/{number}.{extension}");
            world.write(&name, &sealed);
            files.push((name, sealed.clone(), plain));
        }
    }
    let rotated = |world: &World| {
        files
            .iter()
            .filter(|(name, old, _)| world.read_bytes(name) != *old)
            .count()
    };
    let mut command = world.command(["rotate", "-i", "-r", "tree"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    wait_until("a part of the work", || rotated(&world) >= 20);
    send(&child, Signal::KILL);
    let status = child.wait().expect("it ends");
    assert!(!status.success(), "it was over before it was killed");
    let done = rotated(&world);
    assert!((20..files.len()).contains(&done), "{done} files are done");
    for (name, _, plain) in &files {
        assert_eq!(
            world.ok(["decrypt", name]),
            plain.as_bytes(),
            "{name} is whole"
        );
    }
    world.ok(["rotate", "-i", "-r", "tree"]);
    assert_eq!(rotated(&world), files.len());
    world.ok(["decrypt", "-i", "-r", "tree"]);
    for (name, _, plain) in &files {
        assert_eq!(world.read(name), *plain, "{name}");
    }
}
