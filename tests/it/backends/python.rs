//! A client and a server of the key service that share no code with ours: `keyservice.py`, in Python.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::{World, wait_until};

/// A process that ends with its test, also if that fails.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Python with gRPC, which `.ci/run` installs.
fn script(role: &str, target: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing: .ci/run installs it, or `python3 -m venv target/venv && target/venv/bin/pip install grpcio grpcio-tools`",
        python.display()
    );
    let mut command = Command::new(python);
    command
        .arg(root.join("tests/it/backends/keyservice.py"))
        .arg(root.join("proto"))
        .args([role, target])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// The client.
pub(crate) struct Client {
    _process: Running,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Client {
    /// A client of the service at `target`, in the spelling of gRPC: `127.0.0.1:5000` or `unix:///path`.
    pub(crate) fn new(target: &str) -> Self {
        let mut process = script("client", target).spawn().expect("Python starts");
        Self {
            stdin: process.stdin.take().expect("a pipe"),
            stdout: BufReader::new(process.stdout.take().expect("a pipe")),
            _process: Running(process),
        }
    }

    /// Makes a request: the data of the answer, or the name of its status.
    pub(crate) fn ask(&mut self, verb: &str, key: &Value, data: &[u8]) -> Result<Vec<u8>, String> {
        let request = json!({"verb": verb, "key": key, "data": hex(data)});
        writeln!(self.stdin, "{request}").expect("Python listens");
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("Python answers");
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        match answer["status"].as_str().expect("a status") {
            "OK" => Ok(unhex(answer["data"].as_str().expect("data"))),
            status => Err(status.to_owned()),
        }
    }
}

/// What the server says back, so that it is known to have said all before it.
const ECHO: &str = "that is all";

/// The server.
pub(crate) struct Server {
    process: Running,
    /// What it was asked so far, one line each.
    said: Arc<Mutex<Vec<String>>>,
    port: String,
}

impl Server {
    /// A server on a free port of this machine.
    pub(crate) fn start() -> Self {
        Self::at("127.0.0.1:0")
    }

    /// A server at a place in the spelling of gRPC.
    pub(crate) fn at(target: &str) -> Self {
        let mut process = script("server", target).spawn().expect("Python starts");
        let stdout = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut server = Self {
            process: Running(process),
            said: Arc::default(),
            port: String::new(),
        };
        let said = Arc::clone(&server.said);
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                said.lock().expect("a list").push(line);
            }
        });
        let first = || server.said.lock().expect("a list").first().cloned();
        wait_until("the start of the Python server", || first().is_some());
        let first = server.said.lock().expect("a list").remove(0);
        let port = first.strip_prefix("listening on ").expect("a port");
        server.port = port.to_owned();
        server
    }

    /// Its address for `--keyservice`.
    pub(crate) fn uri(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.port)
    }

    /// What it was asked since the last call.
    pub(crate) fn asked(&self) -> Vec<String> {
        let mut stdin = self.process.0.stdin.as_ref().expect("a pipe");
        writeln!(stdin, "{ECHO}").expect("Python listens");
        let said = || self.said.lock().expect("a list");
        wait_until("the echo", || said().iter().any(|line| line == ECHO));
        let mut said = std::mem::take(&mut *said());
        said.retain(|line| line != ECHO);
        said
    }

    /// Ends it.
    pub(crate) fn end(self) {
        drop(self.process);
    }
}

/// What the server wraps as this text.
pub(crate) fn unwrapped(enc: &str) -> Vec<u8> {
    let (_, data) = enc.split_once(':').expect("made by the server");
    unhex(data.trim()).iter().map(|byte| byte ^ 0x5a).collect()
}

/// Our own key service or agent, told to listen; and where it does.
pub(crate) fn ours(world: &World, arguments: &[&str]) -> (Running, String) {
    let log = world.tmp().join(crate::support::unique("log"));
    let file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(&log)
        .expect("a file");
    let child = world
        .command(arguments)
        .stdout(Stdio::null())
        .stderr(file)
        .spawn();
    let running = Running(child.expect("the program starts"));
    let place = || listening(&log);
    wait_until("the start of the service", || place().is_some());
    (running, place().expect("a place"))
}

/// Where the service that writes this log listens.
fn listening(log: &PathBuf) -> Option<String> {
    let text = std::fs::read_to_string(log).expect("a log");
    let mut lines = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    let place = lines.find_map(|line| line.split_once("listening on "))?.1;
    Some(place.trim_end().to_owned())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().collect();
    let byte = |pair: &[char]| {
        let pair: String = pair.iter().collect();
        u8::from_str_radix(&pair, 16).expect("hexadecimal")
    };
    digits.chunks(2).map(byte).collect()
}
