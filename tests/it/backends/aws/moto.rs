//! AWS, played by moto: a server of its own process, asked to do things through its standard input.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::Value;

use crate::support::World;

/// A running `server.py`. Ends with its last user, and with this process however that ends.
pub(super) struct Moto {
    session: Mutex<Session>,
    url: String,
}

struct Session {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Session {
    #[track_caller]
    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("a pipe");
        let answer: Value =
            serde_json::from_str(&line).expect("an answer; see above for what is wrong");
        answer
            .get("is")
            .unwrap_or_else(|| panic!("{answer}"))
            .clone()
    }
}

impl Moto {
    /// The server that all tests running at this moment share.
    pub(super) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Moto>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let moto = Arc::new(Self::start());
            *shared = Arc::downgrade(&moto);
            moto
        })
    }

    fn start() -> Self {
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = project.join("target/venv/bin/python");
        assert!(
            python.exists(),
            "{} is missing: run .ci/run, or `python3 -m venv target/venv && target/venv/bin/pip install 'moto[server]~=5.2' boto3`",
            python.display()
        );
        let mut child = Command::new(python)
            .arg(project.join("tests/it/backends/aws/server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let commands = child.stdin.take().expect("a pipe");
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut session = Session {
            child,
            commands,
            answers,
        };
        let url = session.answer().as_str().expect("an address").to_owned();
        Self {
            session: Mutex::new(session),
            url,
        }
    }

    /// What comes of a Python expression, with the functions of `server.py`.
    #[track_caller]
    pub(super) fn eval(&self, expression: &str) -> Value {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(session.commands, "{expression}").expect("a pipe");
        session.answer()
    }

    /// The same, if it is a text.
    #[track_caller]
    pub(super) fn text(&self, expression: &str) -> String {
        let value = self.eval(expression);
        value.as_str().expect("a text").to_owned()
    }

    /// The ARN of a new key.
    pub(super) fn key(&self) -> String {
        self.text("create_key('eu-west-1')")
    }

    /// A world that finds AWS here, and no credentials.
    pub(super) fn stranger(&self) -> World {
        World::new()
            .set("AWS_ENDPOINT_URL", &self.url)
            .set("AWS_EC2_METADATA_DISABLED", "true")
    }

    /// A world that finds AWS here, with the credentials of `user`.
    pub(super) fn world(&self, user: &str) -> World {
        self.stranger()
            .set("AWS_ACCESS_KEY_ID", user)
            .set("AWS_SECRET_ACCESS_KEY", "secret")
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let session = self
            .session
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        drop(session.child.kill());
        drop(session.child.wait());
    }
}
