//! The agent: one call to a key service for each data key, whatever asks for it and however often; nothing left behind;
//! and never the reason of a failure.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::python::{Server, hex, ours, unwrapped};
use crate::support::{ALICE, BOB, World, sops_fixtures, wait_until};

/// An agent in the background that ends with its test.
struct Agent {
    world: World,
    pid: i32,
}

impl Agent {
    /// Starts an agent in `world`, whose environment it has.
    fn start(world: World, options: &[&str]) -> Self {
        let ran = world.run(["agent", "start"].iter().chain(options));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let socket = world.tmp().join("sops-rs/agent.sock");
        let settings = format!("export SOPS_RS_AGENT={};\n", socket.display());
        assert_eq!((ran.text(), ran.stderr.as_str()), (settings, ""));
        let mut agent = Self { world, pid: 0 };
        agent.pid = agent.status("process").parse().expect("a number");
        agent
    }

    fn socket(&self) -> PathBuf {
        self.world.tmp().join("sops-rs/agent.sock")
    }

    /// One line of what the agent says of itself.
    fn status(&self, name: &str) -> String {
        let text = String::from_utf8(self.world.ok(["agent", "status"])).expect("UTF-8");
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.expect("the line").trim().to_owned()
    }

    /// A user of the agent, who has nothing else.
    fn user(&self) -> World {
        let socket = self.socket();
        World::new().set("SOPS_RS_AGENT", socket.to_str().expect("UTF-8"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(Ended(&self.world));
        if let Some(pid) = Pid::from_raw(self.pid) {
            // It may have ended.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Ends the agent of a world when a test ends, also if that fails.
struct Ended<'a>(&'a World);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        drop(self.0.command(["agent", "stop"]).output());
    }
}

/// A world whose identity, alice's, comes from a command that counts its runs.
fn counting() -> World {
    let world = World::new();
    let identity = sops_fixtures().join("keys/alice.age.txt");
    let count = world.path("count");
    let body = format!(
        "echo run >> {}\necho is heard by nobody >&2\ncat {}\n",
        count.display(),
        identity.display()
    );
    let command = world.script(&body);
    world.set("SOPS_AGE_KEY_CMD", &command)
}

/// How often the command of this world ran.
fn runs(world: &World) -> usize {
    fs::read_to_string(world.path("count")).map_or(0, |text| text.lines().count())
}

/// A file sealed for `recipient`.
fn sealed(world: &World, name: &str, recipient: &str) {
    world.write(name, "a: secret\n");
    world.ok(["encrypt", "-i", "--age", recipient, name]);
}

#[test]
fn twenty_files_with_one_data_key_cost_one_unwrap() {
    let agent = Agent::start(counting(), &[]);
    let user = agent.user();
    sealed(&user, "f.yaml", ALICE);
    for number in 0..20 {
        let name = format!("{number}.yaml");
        user.write(&name, user.read("f.yaml"));
        assert_eq!(user.ok(["decrypt", &name]), b"a: secret\n");
    }
    assert_eq!(runs(&agent.world), 1);
    assert_eq!(agent.status("keys"), "1");
    sealed(&user, "g.yaml", ALICE);
    user.ok(["decrypt", "g.yaml"]);
    assert_eq!(runs(&agent.world), 2, "another data key");
}

#[test]
fn many_who_ask_at_once_cost_one_unwrap() {
    let agent = Agent::start(counting(), &[]);
    let user = agent.user();
    sealed(&user, "f.yaml", ALICE);
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| assert_eq!(user.ok(["decrypt", "f.yaml"]), b"a: secret\n"));
        }
    });
    assert_eq!(runs(&agent.world), 1);
}

#[test]
fn a_whole_history_costs_one_call_to_the_key_service() {
    let server = Server::start();
    let local = "--enable-local-keyservice=false";
    let agent = Agent::start(World::new(), &["--keyservice", &server.uri(), local]);
    let user = agent.user();
    user.write("f.yaml", "n: 0\n");
    // The first key is one that nobody here may unwrap with.
    let arns =
        "arn:aws:kms:eu-west-1:123456789012:key/wrap-only,arn:aws:kms:eu-west-1:123456789012:key/k";
    user.ok([
        "encrypt",
        "-i",
        "--kms",
        arns,
        "--keyservice",
        &server.uri(),
        local,
        "f.yaml",
    ]);
    let unwraps = || {
        let of_ours = |line: &&String| line.starts_with("Decrypt") && line.contains("key/k");
        server.asked().iter().filter(of_ours).count()
    };
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        user.prepare(&mut git);
        let output = git.args(arguments).output().expect("git");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        (String::from_utf8_lossy(&output.stdout).into_owned(), said)
    };
    git(&["init", "-q"]);
    git(&["config", "user.name", "A"]);
    git(&["config", "user.email", "a@example.org"]);
    git(&[
        "config",
        "diff.sops.textconv",
        concat!(env!("CARGO_BIN_EXE_sops-rs"), " git textconv"),
    ]);
    user.write(".gitattributes", "*.yaml diff=sops\n");
    for number in 1..=10 {
        let script = format!("sed -i 's/n: .*/n: {number}/' \"$1\"");
        assert_eq!(user.edit(&script, ["f.yaml"]).code, Some(0));
        git(&["add", "."]);
        git(&["commit", "-q", "-m", "x"]);
    }
    assert_eq!(unwraps(), 1);
    let (log, said) = git(&["log", "-p"]);
    for number in 1..=10 {
        assert!(log.contains(&format!("+n: {number}\n")), "{log}\n{said}");
    }
    assert_eq!(unwraps(), 0, "it is remembered");
}

#[test]
fn an_idle_key_is_forgotten() {
    let agent = Agent::start(counting(), &["--idle", "1s"]);
    let user = agent.user();
    sealed(&user, "f.yaml", ALICE);
    user.ok(["decrypt", "f.yaml"]);
    wait_until("forgetting", || agent.status("keys") == "0");
    user.ok(["decrypt", "f.yaml"]);
    assert_eq!(runs(&agent.world), 2);
}

#[test]
fn an_old_key_is_forgotten_though_it_is_used() {
    let agent = Agent::start(counting(), &["--max-age", "1s"]);
    assert_eq!(
        (agent.status("idle"), agent.status("max-age")),
        ("15m".into(), "1s".into())
    );
    let user = agent.user();
    sealed(&user, "f.yaml", ALICE);
    wait_until("a second unwrap", || {
        user.ok(["decrypt", "f.yaml"]);
        runs(&agent.world) == 2
    });
}

#[test]
fn stop_forgets_and_leaves_nothing() {
    let agent = Agent::start(counting(), &[]);
    let user = agent.user();
    sealed(&user, "f.yaml", ALICE);
    user.ok(["decrypt", "f.yaml"]);
    assert_eq!(agent.world.ok(["agent", "stop"]), b"unset SOPS_RS_AGENT;\n");
    assert!(!agent.socket().exists());
    let process = PathBuf::from(format!("/proc/{}", agent.pid));
    wait_until("the end of the process", || !runs_still(&process));
    let message = agent.world.fails(1, ["agent", "status"]);
    assert!(message.contains("error: there is no agent"), "{message}");
    // Nor is one waited for that was killed, and left its socket.
    drop(UnixListener::bind(agent.socket()).expect("a socket"));
    let start = Instant::now();
    let again = agent.world.run(["agent", "stop"]);
    assert!(start.elapsed() < Duration::from_secs(3));
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(
        again.stderr.contains("note: there is no agent to stop"),
        "{}",
        again.stderr
    );
}

/// Whether this is a process that has not ended: one that nobody has waited for stays as a zombie.
fn runs_still(process: &Path) -> bool {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

#[test]
fn signals_end_it_too() {
    let agent = Agent::start(World::new(), &[]);
    let pid = Pid::from_raw(agent.pid).expect("a process");
    kill_process(pid, Signal::TERM).expect("it is there");
    wait_until("the end of the socket", || !agent.socket().exists());
}

#[test]
fn there_is_one_agent_and_it_survives_being_killed() {
    let agent = Agent::start(World::new(), &[]);
    assert_eq!(
        fs::metadata(agent.socket()).expect("a socket").mode() & 0o777,
        0o600
    );
    let folder = agent.world.tmp().join("sops-rs");
    assert_eq!(
        fs::metadata(folder).expect("a folder").mode() & 0o777,
        0o700
    );
    let second = agent.world.run(["agent", "start"]);
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    assert!(
        second.stderr.contains("there is an agent already"),
        "{}",
        second.stderr
    );
    assert!(second.text().starts_with("export SOPS_RS_AGENT="));
    let pid = Pid::from_raw(agent.pid).expect("a process");
    kill_process(pid, Signal::KILL).expect("it is there");
    wait_until("its end", || {
        !runs_still(&PathBuf::from(format!("/proc/{}", agent.pid)))
    });
    assert!(agent.socket().exists(), "it could not clean up");
    let third = agent.world.run(["agent", "start"]);
    assert_eq!((third.code, third.stderr.as_str()), (Some(0), ""));
    agent.world.ok(["agent", "stop"]);
}

#[test]
fn starting_many_at_once_makes_one() {
    let world = World::new();
    let _ended = Ended(&world);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| world.ok(["agent", "start"]));
        }
    });
    world.ok(["agent", "status"]);
    world.ok(["agent", "stop"]);
    world.fails(1, ["agent", "status"]);
}

#[test]
fn a_shell_that_evaluates_the_output_has_the_agent() {
    let world = counting();
    let _ended = Ended(&world);
    sealed(&world, "f.yaml", ALICE);
    let script = "set -e\neval \"$(\"$0\" agent start)\"\nunset SOPS_AGE_KEY_CMD\n\"$0\" decrypt f.yaml\n\"$0\" decrypt f.yaml\n\
                  eval \"$(\"$0\" agent stop)\"\ntest -z \"${SOPS_RS_AGENT+set}\"\n";
    let mut shell = Command::new("sh");
    world.prepare(&mut shell);
    let output = shell
        .args(["-c", script, env!("CARGO_BIN_EXE_sops-rs")])
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(output.stdout, b"a: secret\na: secret\n");
    assert_eq!(runs(&world), 1);
}

#[test]
fn a_dead_agent_is_worth_a_note_and_no_more() {
    let world = World::with_identity("alice").set("SOPS_RS_AGENT", "/nowhere/agent.sock");
    sealed(&world, "f.yaml", ALICE);
    let ran = world.run(["decrypt", "f.yaml"]);
    assert_eq!((ran.code, ran.text()), (Some(0), "a: secret\n".into()));
    let note = "sops-rs: note: the agent in SOPS_RS_AGENT was of no use: unix:///nowhere/agent.sock cannot be reached: ";
    assert!(ran.stderr.starts_with(note), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    let shown = world.run(["git", "textconv", "f.yaml"]);
    assert_eq!((shown.code, shown.stderr.as_str()), (Some(0), ""));
    let odd = world.set("SOPS_RS_AGENT", "relative");
    let ran = odd.run(["decrypt", "f.yaml"]);
    assert_eq!(ran.code, Some(0));
    assert!(
        ran.stderr.contains("not the absolute path of a socket"),
        "{}",
        ran.stderr
    );
}

#[test]
fn an_agent_that_is_of_no_use_is_left_alone_in_a_run_of_many_files() {
    let world = World::with_identity("alice");
    let names: Vec<String> = (0..100).map(|number| format!("{number}.yaml")).collect();
    for name in &names {
        world.write(name, "a: secret\n");
    }
    let encrypt = ["encrypt", "-i", "--age", ALICE].map(str::to_owned);
    world.ok(encrypt.iter().chain(&names));
    let path = world.path("odd.sock");
    let odd = UnixListener::bind(&path).expect("a socket");
    let world = world.set("SOPS_RS_AGENT", path.to_str().expect("UTF-8"));
    let (sender, connections) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for connection in odd.incoming().map_while(Result::ok) {
            // Its end is what the client waits for.
            let _ = sender.send(());
            drop(connection);
        }
    });
    let decrypt = ["decrypt", "-i"].map(str::to_owned);
    let ran = world.run(decrypt.iter().chain(&names));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(
        ran.stderr.matches("was of no use").count(),
        1,
        "{}",
        ran.stderr
    );
    // Those that are worked on at a time may have asked already.
    assert!((1..=32).contains(&connections.try_iter().count()));
}

#[test]
fn an_agent_is_not_its_own_key_service() {
    let world = World::with_identity("alice");
    let socket = world.tmp().join("sops-rs/agent.sock");
    let itself = format!("unix://{}", socket.display());
    let message = world.fails(1, ["agent", "start", "--keyservice", &itself]);
    assert!(
        message.contains("cannot be its own key service"),
        "{message}"
    );
    assert!(!socket.exists());
}

#[test]
fn an_agent_that_breaks_off_is_no_failure() {
    let world = World::with_identity("alice");
    sealed(&world, "f.yaml", ALICE);
    let path = world.path("odd.sock");
    let odd = UnixListener::bind(&path).expect("a socket");
    let world = world.set("SOPS_RS_AGENT", path.to_str().expect("UTF-8"));
    let child = world
        .command(["decrypt", "f.yaml"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // It takes a connection and says nothing.
    drop(odd.accept().expect("a connection"));
    drop(odd);
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("was of no use"), "{said}");
}

#[test]
fn what_the_agent_cannot_open_the_user_opens() {
    let agent = Agent::start(World::with_identity("alice"), &[]);
    let socket = agent.socket();
    let bob = World::with_identity("bob").set("SOPS_RS_AGENT", socket.to_str().expect("UTF-8"));
    sealed(&bob, "f.yaml", BOB);
    let ran = bob.run(["decrypt", "f.yaml"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(agent.status("keys"), "0");
    let nobody = agent.user();
    nobody.write("f.yaml", bob.read("f.yaml"));
    let message = nobody.fails(128, ["decrypt", "f.yaml"]);
    assert_eq!(message.matches(BOB).count(), 1, "told once: {message}");
}

#[test]
fn agent_and_user_open_together_what_neither_can_alone() {
    let agent = Agent::start(World::with_identity("alice"), &[]);
    let socket = agent.socket();
    let bob = World::with_identity("bob").set("SOPS_RS_AGENT", socket.to_str().expect("UTF-8"));
    bob.write(
        ".sops-rs.yaml",
        format!(
            "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - age: [{ALICE}]\n      - age: [{BOB}]\n"
        ),
    );
    bob.write("f.yaml", "a: secret\n");
    bob.ok(["encrypt", "-i", "f.yaml"]);
    assert_eq!(bob.ok(["decrypt", "f.yaml"]), b"a: secret\n");
    assert_eq!(agent.status("keys"), "1", "a share");
}

#[test]
fn no_unwrapped_key_reaches_a_disk() {
    let server = Server::start();
    let local = "--enable-local-keyservice=false";
    let agent = Agent::start(World::new(), &["--keyservice", &server.uri(), local]);
    let user = agent.user();
    user.write("f.yaml", "a: secret\n");
    user.ok([
        "encrypt",
        "-i",
        "--pgp",
        "ABCD",
        "--keyservice",
        &server.uri(),
        local,
        "f.yaml",
    ]);
    assert_eq!(user.ok(["decrypt", "f.yaml"]), b"a: secret\n");
    let text = user.read("f.yaml");
    let enc = text.split("enc: ").nth(1).expect("a wrapped key");
    let key = unwrapped(enc.lines().next().expect("a line").trim_matches('"'));
    assert_eq!(key.len(), 32);
    let tells = |bytes: &[u8]| {
        bytes.windows(key.len()).any(|window| window == key)
            || String::from_utf8_lossy(bytes).contains(&hex(&key))
    };
    assert!(tells(&key), "the test would notice");
    for world in [&agent.world, &user] {
        let mut open = vec![world.home(), world.tmp(), world.path("")];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let bytes = fs::read(&path).unwrap_or_default();
                    assert!(!tells(&bytes), "{}", path.display());
                }
            }
        }
    }
}

#[test]
fn it_is_a_key_service_like_any_other() {
    let keeper = World::with_identity("alice");
    let (_agent, place) = ours(&keeper, &["agent", "start", "--foreground"]);
    let user = World::new();
    user.write("f.yaml", "a: secret\n");
    let through = ["--keyservice", &place, "--enable-local-keyservice=false"];
    let run = |verb: &[&str]| user.ok(verb.iter().chain(&through));
    run(&["encrypt", "-i", "--age", ALICE, "f.yaml"]);
    assert_eq!(run(&["decrypt", "f.yaml"]), b"a: secret\n");
}
