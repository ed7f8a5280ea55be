//! Law 7: a write replaces a file completely or leaves it as it was, whatever becomes of the program.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{ALICE, Ran, World, send, unique};

/// A world with alice's identity and a config for all files.
fn world() -> World {
    let world = World::with_identity("alice");
    world.write(
        ".sops-rs.yaml",
        format!("creation_rules:\n  - age: {ALICE}\n"),
    );
    world
}

/// A plaintext of a few hundred kilobytes; `word` is in every value.
fn plaintext(word: &str) -> String {
    let line = |number| format!("KEY_{number}={word}-{number}-{}\n", "x".repeat(800));
    (0..200).map(line).collect()
}

/// When a run is killed.
enum Death {
    /// So long after its start.
    After(Duration),
    /// As soon as the file that it replaces is another one.
    WhenTheFileChanges,
    /// So long after a file of a new name appeared beside it.
    WhenAFileAppears(Duration),
}

/// Starts the program and kills it, if it is not faster. Whether it was.
fn run(world: &World, arguments: &[&str], target: &Path, death: &Death) -> bool {
    let state =
        || std::fs::metadata(target).map(|data| (data.len(), data.ino(), data.mtime_nsec()));
    let before = state().expect("the file");
    let names = || std::fs::read_dir(world.path("")).map_or(0, Iterator::count);
    let known = names();
    let mut command = world.command(arguments);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let start = Instant::now();
    let mut appeared = None;
    let mut is_due = || match death {
        Death::After(delay) => {
            std::thread::sleep(Duration::from_micros(200));
            start.elapsed() >= *delay
        }
        Death::WhenTheFileChanges => state().is_ok_and(|now| now != before),
        Death::WhenAFileAppears(delay) => {
            std::thread::sleep(Duration::from_micros(20));
            if names() != known {
                appeared.get_or_insert_with(Instant::now);
            }
            appeared.is_some_and(|since| since.elapsed() >= *delay)
        }
    };
    while !is_due() && matches!(child.try_wait(), Ok(None)) {}
    drop(child.kill());
    child.wait().expect("it ends").success()
}

/// Runs the program with these arguments again and again, each time killed at another moment. `prepare` is called before,
/// `judge` after every run, with whether the program ended by itself.
fn kill_in_a_loop(
    world: &World,
    arguments: &[&str],
    target: &str,
    mut prepare: impl FnMut(),
    mut judge: impl FnMut(bool),
) {
    const RUNS: u32 = 48;
    let target = world.path(target);
    prepare();
    let start = Instant::now();
    let patient = Death::After(Duration::from_secs(60));
    assert!(run(world, arguments, &target, &patient), "it may succeed");
    let whole = start.elapsed();
    judge(true);
    let mut killed = 0;
    for number in 0..RUNS {
        prepare();
        let death = match number % 3 {
            0 => Death::After(whole * number / RUNS),
            1 => Death::WhenTheFileChanges,
            _ => Death::WhenAFileAppears(Duration::from_micros(u64::from(number) * 50)),
        };
        let ended = run(world, arguments, &target, &death);
        judge(ended);
        killed += u32::from(!ended);
    }
    assert!(killed > RUNS / 4, "only {killed} runs were killed");
}

/// Temporary files of killed runs may be left; what they hold must be sealed.
fn clear_leftovers(world: &World, plain_word: &str, known: &[&str]) {
    for name in world.names() {
        if known.contains(&name.as_str()) {
            continue;
        }
        assert!(name.contains(".sops-rs-"), "`{name}` is a surprise");
        let text = world.read(&name);
        assert!(!text.contains(plain_word), "`{name}` holds plaintext");
        std::fs::remove_file(world.path(&name)).expect("the file");
    }
}

#[test]
fn a_killed_encryption_in_place_leaves_the_old_or_the_new_file() {
    let world = world();
    let plain = plaintext("S3CR3T");
    let names = [".sops-rs.yaml", "db.env"];
    let prepare = || drop(world.write("db.env", &plain));
    let mut checked = 0;
    let judge = |ended: bool| {
        let text = world.read("db.env");
        if text == plain {
            assert!(!ended, "it said that it was done");
        } else {
            assert!(!text.contains("S3CR3T"), "sealed in part");
            // One run in five that got so far is opened, which takes its time.
            if checked % 5 == 0 {
                assert!(world.ok(["decrypt", "db.env"]) == plain.as_bytes());
            }
            assert!(text.lines().any(|line| line.starts_with("sops_version=")));
            checked += 1;
        }
        clear_leftovers(&world, "S3CR3T", &names);
    };
    let arguments = ["encrypt", "--in-place", "db.env"];
    kill_in_a_loop(&world, &arguments, "db.env", prepare, judge);
}

#[test]
fn a_killed_encryption_over_a_sealed_file_leaves_the_old_or_the_new_file() {
    let world = world();
    let (one, two) = (plaintext("ONE"), plaintext("TWO"));
    world.write("one.env", &one);
    world.write("plain.env", &two);
    world.ok(["encrypt", "--output", "sealed.env", "one.env"]);
    let old = world.read("sealed.env");
    let names = [".sops-rs.yaml", "one.env", "plain.env", "sealed.env"];
    let prepare = || drop(world.write("sealed.env", &old));
    let mut checked = 0;
    let judge = |ended: bool| {
        let text = world.read("sealed.env");
        if text == old {
            assert!(!ended, "it said that it was done");
        } else {
            if checked % 5 == 0 {
                assert!(world.ok(["decrypt", "sealed.env"]) == two.as_bytes());
            }
            assert_eq!(text.lines().count(), old.lines().count());
            checked += 1;
        }
        clear_leftovers(&world, "TWO-", &names);
    };
    let arguments = ["encrypt", "--output", "sealed.env", "plain.env"];
    kill_in_a_loop(&world, &arguments, "sealed.env", prepare, judge);
}

/// Runs the program with room for so many blocks of 512 bytes in each file it writes, as on a disk that is full.
fn with_room(world: &World, blocks: u32, arguments: &[&str]) -> Ran {
    let program = world.command([] as [&str; 0]);
    let mut command = Command::new("sh");
    world.prepare(&mut command);
    // Beyond the limit a signal comes, unless it is ignored; then the write fails.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    command
        .args(["-c", &script])
        .arg(program.get_program())
        .args(arguments);
    command.output().expect("it runs").into()
}

#[test]
fn a_full_disk_leaves_the_old_file_and_no_other() {
    let world = world();
    let plain = plaintext("S3CR3T");
    world.write("db.env", &plain);
    world.write("other.env", &plain);
    world.ok(["encrypt", "--in-place", "other.env"]);
    let sealed = world.read("other.env");
    for blocks in [0, 1, 100] {
        for arguments in [
            &["encrypt", "--in-place", "db.env"][..],
            &["encrypt", "--output", "new.env", "db.env"],
            &["decrypt", "--in-place", "other.env"],
            &["decrypt", "--output", "new.env", "other.env"],
        ] {
            let ran = with_room(&world, blocks, arguments);
            assert_eq!(ran.code, Some(3), "{arguments:?}: {}", ran.stderr);
            assert!(ran.stderr.contains("cannot write `"), "{}", ran.stderr);
            assert!(!ran.stderr.contains("S3CR3T"));
            assert!(world.read("db.env") == plain);
            assert!(world.read("other.env") == sealed);
            assert_eq!(world.names(), [".sops-rs.yaml", "db.env", "other.env"]);
        }
    }
    let ran = with_room(&world, 100_000, &["encrypt", "--in-place", "db.env"]);
    assert_eq!(
        ran.code,
        Some(0),
        "the limit is what failed: {}",
        ran.stderr
    );
}

#[test]
fn a_full_disk_keeps_plaintext_of_edit_from_staying_behind() {
    let secret = unique("S3CR3T");
    let world = world();
    world.write("db.env", plaintext(&secret));
    world.ok(["encrypt", "--in-place", "db.env"]);
    let before = world.read("db.env");
    let world = world.set("SOPS_EDITOR", "true");
    let ran = with_room(&world, 10, &["edit", "db.env"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(world.read("db.env") == before);
    assert_eq!(world.files_with(&secret), [] as [&Path; 0]);
}

#[test]
fn a_signal_leaves_no_plaintext_beside_the_target() {
    let secret = unique("S3CR3T");
    let world = world();
    let plain = secret.repeat((8 << 20) / secret.len());
    world.write("sealed.bin", &plain);
    world.ok(["encrypt", "--in-place", "sealed.bin"]);
    let is_staged = || world.names().iter().any(|name| name.contains(".sops-rs-"));
    for signal in [Signal::INT, Signal::TERM] {
        // A run may be faster than its observer.
        let interrupted = (0..20).any(|_| {
            let mut command = world.command(["decrypt", "--output", "out.bin", "sealed.bin"]);
            let mut child = command.spawn().expect("it starts");
            while !is_staged() && matches!(child.try_wait(), Ok(None)) {}
            if matches!(child.try_wait(), Ok(None)) {
                send(&child, Signal::STOP);
                send(&child, signal);
                send(&child, Signal::CONT);
            }
            let status = child.wait().expect("it ends");
            assert!(!is_staged(), "{:?}", world.names());
            if world.path("out.bin").exists() {
                assert!(world.read("out.bin") == plain, "written in part");
                std::fs::remove_file(world.path("out.bin")).expect("the file");
                return false;
            }
            assert_eq!(status.signal(), Some(signal.as_raw()));
            true
        });
        assert!(interrupted, "no run was interrupted");
        assert_eq!(world.files_with(&secret), [] as [&Path; 0]);
    }
}
