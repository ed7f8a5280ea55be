//! The key service (spec 11): ours with a client that is not ours, our client with a server that is not ours, and both
//! together.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::python::{Client, Server, ours, unwrapped};
use crate::support::{ALICE, BOB, Terminal, World, send, sops_fixtures, wait_until};

const ARN: &str = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-4000-8000-000000000000";
const FINGERPRINT: &str = "0123456789ABCDEF0123456789ABCDEF01234567";

/// A data key, as it goes over the wire.
const KEY: [u8; 32] = *b"S3CR3T-S3CR3T-S3CR3T-S3CR3T-S3CR";

fn age(recipient: &str) -> Value {
    json!({"age_key": {"recipient": recipient}})
}

/// The place of a TCP service in the spelling of gRPC.
fn target(place: &str) -> &str {
    place.strip_prefix("tcp://").unwrap_or(place)
}

/// Options by which only the service at `uri` is used.
fn through(uri: &str) -> [String; 3] {
    [
        "--keyservice".to_owned(),
        uri.to_owned(),
        "--enable-local-keyservice=false".to_owned(),
    ]
}

/// Runs a verb through a service; it must succeed.
fn ok(world: &World, verb: &[&str], uri: &str) -> String {
    let mut command = world.command(verb);
    let output = command
        .args(through(uri))
        .output()
        .expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

// --- our server -------------------------------------------------------------------------------------------------------

#[test]
fn a_client_written_from_the_proto_alone_wraps_and_unwraps() {
    let world = World::with_identity("alice");
    let (_service, place) = ours(&world, &["keyservice", "--address", "127.0.0.1:0"]);
    let mut client = Client::new(target(&place));
    let enc = client.ask("Encrypt", &age(ALICE), &KEY).expect("wrapped");
    assert!(enc.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----\n"));
    assert_eq!(
        client.ask("Decrypt", &age(ALICE), &enc).as_deref(),
        Ok(&KEY[..])
    );
    let enc = client.ask("Encrypt", &age(BOB), &KEY).expect("wrapped");
    let refused = client.ask("Decrypt", &age(BOB), &enc);
    assert_eq!(
        refused,
        Err("FAILED_PRECONDITION".to_owned()),
        "nobody here is Bob"
    );
}

#[test]
fn what_no_service_is_for_is_not_found() {
    let world = World::with_identity("alice");
    let (_service, place) = ours(&world, &["keyservice", "--address", "127.0.0.1:0"]);
    let mut client = Client::new(target(&place));
    let mut status = |verb, key: &Value, data: &[u8]| client.ask(verb, key, data).unwrap_err();
    let hckms = json!({"hckms_key": {"key_id": "eu-west-101:1"}});
    for verb in ["Encrypt", "Decrypt"] {
        assert_eq!(status(verb, &Value::Null, &KEY), "NOT_FOUND", "no key");
        assert_eq!(status(verb, &json!({}), &KEY), "NOT_FOUND", "no type");
        assert_eq!(status(verb, &hckms, b"x"), "NOT_FOUND", "no service");
    }
    assert_eq!(status("Encrypt", &age("age1nonsense"), &KEY), "UNKNOWN");
    assert_eq!(status("Decrypt", &age(ALICE), b"no age file"), "UNKNOWN");
    assert_eq!(status("Decrypt", &age(ALICE), b"\xff"), "INVALID_ARGUMENT");
    let large = vec![b'x'; 1 << 20];
    assert_eq!(
        status("Decrypt", &age(ALICE), &large),
        "OUT_OF_RANGE",
        "too large"
    );
    let enc = client
        .ask("Encrypt", &age(ALICE), &KEY)
        .expect("it still works");
    assert!(client.ask("Decrypt", &age(ALICE), &enc).is_ok());
}

#[test]
fn a_unix_socket_is_private_and_goes_with_the_service() {
    let world = World::with_identity("alice");
    let socket = world.path("keys.sock");
    let path = socket.to_str().expect("UTF-8");
    let arguments = ["keyservice", "--network", "unix", "--address", "keys.sock"];
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let (mut service, place) = ours(&world, &arguments);
        assert_eq!(place, format!("unix://{path}"));
        assert_eq!(
            fs::metadata(&socket).expect("a socket").mode() & 0o777,
            0o600
        );
        let mut client = Client::new(&place);
        let enc = client.ask("Encrypt", &age(ALICE), &KEY).expect("wrapped");
        assert!(client.ask("Decrypt", &age(ALICE), &enc).is_ok());
        let message = world.fails(1, arguments);
        assert!(message.contains("somebody listens on"), "{message}");
        send(&service.0, signal);
        let status = service.0.wait().expect("it ends");
        assert_eq!(status.code(), Some(0), "{signal:?}");
        assert!(!socket.exists(), "{signal:?}");
    }
}

#[test]
fn a_socket_that_was_left_behind_is_replaced() {
    let world = World::with_identity("alice");
    let arguments = ["keyservice", "--network", "unix", "--address", "keys.sock"];
    let (service, _) = ours(&world, &arguments);
    // Killed: it cannot clean up.
    drop(service);
    assert!(world.path("keys.sock").exists());
    let (_service, place) = ours(&world, &arguments);
    assert!(
        Client::new(&place)
            .ask("Encrypt", &age(ALICE), &KEY)
            .is_ok()
    );
}

#[test]
fn a_service_for_the_network_is_warned_of() {
    let world = World::new();
    let mut command = world.command(["keyservice", "--address", "0.0.0.0:0"]);
    let child = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let mut service = super::python::Running(child);
    let mut stderr = service.0.stderr.take().expect("a pipe");
    let mut said = Vec::new();
    wait_until("a word", || {
        let mut byte = [0; 1];
        std::io::Read::read_exact(&mut stderr, &mut byte).expect("a byte");
        said.push(byte[0]);
        said.ends_with(b"listening on tcp://0.0.0.0")
    });
    let said = String::from_utf8(said).expect("UTF-8");
    assert!(said.contains("warning: 0.0.0.0:"), "{said}");
    assert!(said.contains("without TLS or password"), "{said}");
}

#[test]
fn wrong_places_are_refused_with_a_remedy() {
    let world = World::new();
    let message = world.fails(100, ["keyservice", "--network", "unix"]);
    assert!(message.contains("hint: add `--address PATH`"), "{message}");
    let message = world.fails(1, ["keyservice", "--address", "nowhere"]);
    assert!(message.contains("cannot listen on `nowhere`"), "{message}");
    world.write("file", "");
    let message = world.fails(1, ["keyservice", "--network", "unix", "--address", "file"]);
    assert!(
        message.contains("is in the way, and no socket"),
        "{message}"
    );
}

#[test]
fn what_is_told_names_keys_and_holds_none() {
    let world = World::with_identity("alice");
    let arguments = ["keyservice", "--verbose", "--address", "127.0.0.1:0"];
    let (service, place) = ours(&world, &arguments);
    let mut client = Client::new(target(&place));
    let enc = client.ask("Encrypt", &age(ALICE), &KEY).expect("wrapped");
    client.ask("Decrypt", &age(ALICE), &enc).expect("unwrapped");
    let odd = age("age1\u{1b}[31m");
    client.ask("Encrypt", &odd, &KEY).expect_err("no recipient");
    drop(service);
    let logs = fs::read_dir(world.tmp()).expect("a folder");
    let log: String = logs
        .map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("a log"))
        .collect();
    assert!(
        log.contains(&format!("asked to wrap a data key with age {ALICE}")),
        "{log}"
    );
    assert!(
        log.contains(&format!("asked to unwrap a data key with age {ALICE}")),
        "{log}"
    );
    assert!(log.contains("not done: not a valid age recipient"), "{log}");
    assert!(
        !log.contains("S3CR3T") && !log.contains("BEGIN AGE"),
        "{log}"
    );
    assert!(!log.contains('\u{1b}'), "{log}");
}

// --- the question before the work -------------------------------------------------------------------------------------

/// A world whose identity comes from a command that leaves a trace.
fn traced() -> World {
    let world = World::new();
    let identity = sops_fixtures().join("keys/alice.age.txt");
    let trace = world.path("trace");
    let command = world.script(&format!(
        "echo run >> {}\ncat {}\n",
        trace.display(),
        identity.display()
    ));
    world.set("SOPS_AGE_KEY_CMD", &command)
}

#[test]
fn a_person_is_asked_before_anything_is_done() {
    let world = traced();
    let socket = world.path("keys.sock");
    let arguments = [
        "keyservice",
        "--prompt",
        "--network",
        "unix",
        "--address",
        "keys.sock",
    ];
    let mut terminal = Terminal::start(&world.command(arguments));
    terminal.expect("listening on");
    let place = format!("unix://{}", socket.display());
    let enc = {
        let asking = std::thread::spawn({
            let place = place.clone();
            move || Client::new(&place).ask("Encrypt", &age(ALICE), &KEY)
        });
        terminal.expect(&format!("wrap a data key with age {ALICE} (y/n): "));
        terminal.type_in("y\n");
        asking.join().expect("an answer").expect("wrapped")
    };
    for (answer, unwrapped) in [("n\n", None), ("\n", None), ("y\n", Some(&KEY[..]))] {
        assert!(
            !world.path("trace").exists(),
            "nothing was done before the answer"
        );
        let asking = std::thread::spawn({
            let (place, enc) = (place.clone(), enc.clone());
            move || Client::new(&place).ask("Decrypt", &age(ALICE), &enc)
        });
        terminal.expect(&format!("unwrap a data key with age {ALICE} (y/n): "));
        terminal.type_in(answer);
        let got = asking.join().expect("an answer");
        match unwrapped {
            Some(key) => assert_eq!(got.as_deref(), Ok(key)),
            None => assert_eq!(got, Err("PERMISSION_DENIED".to_owned()), "{answer:?}"),
        }
    }
    assert!(world.path("trace").exists());
    terminal.type_in("\u{3}");
    let (status, ..) = terminal.finish();
    assert_eq!(status.code(), Some(0), "Ctrl-C is an end like any other");
    assert!(!socket.exists());
}

#[test]
fn without_a_terminal_nobody_agrees() {
    let world = traced();
    let mut command = world.command(["keyservice", "--prompt", "--network", "unix"]);
    command.args(["--address", "keys.sock"]);
    // A session of its own has no terminal.
    let mut detached = std::process::Command::new("setsid");
    world.prepare(&mut detached);
    detached.arg(command.get_program()).args(command.get_args());
    let child = detached
        .stderr(Stdio::null())
        .spawn()
        .expect("setsid of util-linux");
    let _service = super::python::Running(child);
    let socket = world.path("keys.sock");
    wait_until("the socket", || socket.exists());
    let place = format!("unix://{}", socket.display());
    let refused = Client::new(&place).ask("Encrypt", &age(ALICE), &KEY);
    assert_eq!(refused, Err("PERMISSION_DENIED".to_owned()));
    assert!(!world.path("trace").exists());
}

// --- our client -------------------------------------------------------------------------------------------------------

/// What a server that is not ours wrapped in a file.
fn wrapped(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| {
            line.trim_start()
                .trim_start_matches("- ")
                .strip_prefix("enc: ")
        })
        .map(|enc| enc.trim_matches('"'))
        .collect()
}

#[test]
fn whole_files_go_through_a_service_that_is_not_ours() {
    let world = World::new();
    let server = Server::start();
    let plain = "a: secret # why\nb:\n    - 2\n";
    world.write("f.yaml", plain);
    let context = "--encryption-context=team:red,app:x";
    let verb = [
        "encrypt",
        "-i",
        "--kms",
        ARN,
        "--pgp",
        FINGERPRINT,
        "--age",
        ALICE,
        context,
        "f.yaml",
    ];
    ok(&world, &verb, &server.uri());
    let mut asked = server.asked();
    asked.sort();
    let kms = format!(
        r#"Encrypt {{"kms_key": {{"arn": "{ARN}", "context": {{"app": "x", "team": "red"}}}}}}"#
    );
    assert_eq!(
        asked,
        [
            format!(r#"Encrypt {{"age_key": {{"recipient": "{ALICE}"}}}}"#),
            kms.clone(),
            format!(r#"Encrypt {{"pgp_key": {{"fingerprint": "{FINGERPRINT}"}}}}"#),
        ]
    );
    let sealed = world.read("f.yaml");
    let keys: Vec<Vec<u8>> = wrapped(&sealed).into_iter().map(unwrapped).collect();
    assert_eq!(keys.len(), 3, "{sealed}");
    assert!(
        keys.iter().all(|key| *key == keys[0] && key.len() == 32),
        "the raw key is what was sent"
    );
    let order = "--decryption-order=kms";
    assert_eq!(
        ok(&world, &["decrypt", order, "f.yaml"], &server.uri()),
        plain
    );
    assert_eq!(server.asked(), [kms.replace("Encrypt", "Decrypt")]);
}

#[test]
fn shares_go_through_a_service_too() {
    let world = World::new();
    let server = Server::start();
    world.write(
        ".sops-rs.yaml",
        format!(
            "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - kms:\n          - arn: {ARN}\n      - pgp:\n          - {FINGERPRINT}\n"
        ),
    );
    world.write("f.json", "{\"a\": 1}\n");
    ok(&world, &["encrypt", "-i", "f.json"], &server.uri());
    assert_eq!(
        ok(&world, &["decrypt", "f.json"], &server.uri()),
        "{\"a\": 1}\n"
    );
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn this_program_is_asked_first_and_then_each_service_in_order() {
    let world = World::with_identity("alice");
    let (first, second) = (Server::start(), Server::start());
    world.write("f.yaml", "a: 1\n");
    let services = format!("{},{}", first.uri(), second.uri());
    let ran = world.run([
        "encrypt",
        "-i",
        "--age",
        ALICE,
        "--keyservice",
        &services,
        "f.yaml",
    ]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    world.ok(["decrypt", "--keyservice", &services, "f.yaml"]);
    assert_eq!((first.asked().len(), second.asked().len()), (0, 0));

    world.write("g.yaml", "a: 1\n");
    ok(
        &world,
        &["encrypt", "-i", "--pgp", FINGERPRINT, "g.yaml"],
        &services,
    );
    assert_eq!(
        (first.asked().len(), second.asked().len()),
        (1, 0),
        "the first one did it"
    );
    first.end();
    ok(&world, &["decrypt", "g.yaml"], &services);
    assert_eq!(second.asked().len(), 1);
}

#[test]
fn variables_say_it_too_and_git_heeds_them() {
    let server = Server::start();
    let world = World::new()
        .set("SOPS_KEYSERVICE", &server.uri())
        .set("SOPS_ENABLE_LOCAL_KEYSERVICE", "false");
    world.write("base.yaml", "a: 1\nb: 1\nc: 1\n");
    world.ok(["encrypt", "-i", "--kms", ARN, "base.yaml"]);
    for (side, key) in [("ours.yaml", "a"), ("theirs.yaml", "c")] {
        world.write(side, world.read("base.yaml"));
        let ran = world.edit(&format!("sed -i 's/{key}: 1/{key}: 2/' \"$1\""), [side]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    server.asked();
    world.ok([
        "git",
        "merge-driver",
        "base.yaml",
        "ours.yaml",
        "theirs.yaml",
    ]);
    assert_eq!(server.asked().len(), 1, "all three have one data key");
    assert_eq!(world.ok(["decrypt", "ours.yaml"]), b"a: 2\nb: 1\nc: 2\n");
    let shown = String::from_utf8(world.ok(["git", "textconv", "base.yaml"])).expect("UTF-8");
    assert!(shown.starts_with("a: 1\n"), "{shown}");
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn what_went_wrong_is_said_with_the_address() {
    let world = World::new();
    let server = Server::start();
    let uri = server.uri();
    world.write("f.yaml", "a: 1\n");
    let fails = |arguments: &[&str]| {
        let mut all: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        all.extend(through(&uri));
        let ran = world.run(all);
        assert_ne!(ran.code, Some(0));
        ran.stderr.replace(&uri, "[URI]")
    };
    let denied = ARN.replace("key/", "key/denied-");
    let message = fails(&["encrypt", "--kms", &denied, "f.yaml"]);
    assert!(
        message.contains("failed: [URI] refused: not for you\n"),
        "{message}"
    );
    let nobody = ARN.replace("key/", "key/nobody-");
    let message = fails(&["encrypt", "--kms", &nobody, "f.yaml"]);
    assert!(
        message.contains("failed: [URI] cannot use such a key: no such key\n"),
        "{message}"
    );
    ok(&world, &["encrypt", "-i", "--kms", ARN, "f.yaml"], &uri);
    server.end();
    let message = fails(&["decrypt", "f.yaml"]);
    assert!(
        message.contains("failed: [URI] cannot be reached: Connection refused"),
        "{message}"
    );
    assert!(
        !message.contains("no identity in"),
        "nobody looked for any: {message}"
    );
}

#[test]
fn our_client_and_our_server_fit() {
    let keeper = World::with_identity("alice");
    let arguments = ["keyservice", "--network", "unix", "--address", "keys.sock"];
    let (_service, place) = ours(&keeper, &arguments);
    let user = World::new();
    user.write("f.env", "A=secret\n");
    ok(&user, &["encrypt", "-i", "--age", ALICE, "f.env"], &place);
    assert_eq!(ok(&user, &["decrypt", "f.env"], &place), "A=secret\n");
    user.write("g.env", "A=secret\n");
    user.ok(["encrypt", "-i", "--age", BOB, "g.env"]);
    let message = user.fails(128, ["decrypt", "--keyservice", &place, "g.env"]);
    assert!(
        message.contains("none of the identities of this service fits"),
        "{message}"
    );
}
