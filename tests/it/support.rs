//! What the tests share: a world of its own for every test, with a home, a work folder, and the real program.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder of files sealed by SOPS.
pub(crate) fn sops_fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sops/3.13.2")
}

/// A folder below `testdata/`.
pub(crate) fn testdata(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(folder)
}

/// Alice's public key, the recipient of most fixtures.
pub(crate) const ALICE: &str = "age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p";
/// Bob's public key.
pub(crate) const BOB: &str = "age1v2yxy5rncmvrnca08sq3nefhjpm7en0zvg6tejd47ptezsvfdphsj728gf";

/// A temporary home and work folder, and an environment that holds nothing else.
pub(crate) struct World {
    root: tempfile::TempDir,
    variables: BTreeMap<String, String>,
}

/// What a run of the program did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl World {
    /// An empty home and an empty work folder; no identity.
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        for folder in ["home", "work", "tmp"] {
            std::fs::create_dir(root.path().join(folder)).expect("a folder");
        }
        let variables = BTreeMap::new();
        Self { root, variables }
    }

    /// The same with one identity of the fixtures, such as `alice`.
    pub(crate) fn with_identity(name: &str) -> Self {
        let file = sops_fixtures().join("keys").join(format!("{name}.age.txt"));
        Self::new().set("SOPS_AGE_KEY_FILE", file.to_str().expect("UTF-8"))
    }

    /// Sets an environment variable for every run.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A path in the work folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("work").join(name)
    }

    /// The home folder.
    pub(crate) fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// The folder that is `TMPDIR` and `XDG_RUNTIME_DIR` of every run.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.path().join("tmp")
    }

    /// Writes a file in the work folder.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test may write its own files in place"
    )]
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).expect("a folder");
        }
        std::fs::write(&path, content).expect("a file");
        path
    }

    /// Reads a file of the work folder.
    pub(crate) fn read(&self, name: &str) -> String {
        String::from_utf8(self.read_bytes(name)).expect("UTF-8")
    }

    /// Reads a file of the work folder.
    pub(crate) fn read_bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("the file is there")
    }

    /// The program, ready to be run in the work folder.
    pub(crate) fn command<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sops-rs"));
        self.prepare(&mut command);
        command.args(arguments);
        command
    }

    /// Gives any program this world's folder and environment.
    #[expect(
        clippy::disallowed_methods,
        reason = "programs are found as the user finds them"
    )]
    pub(crate) fn prepare(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("TMPDIR", self.tmp())
            .env("XDG_RUNTIME_DIR", self.tmp())
            .envs(&self.variables)
            .current_dir(self.root.path().join("work"))
            .stdin(Stdio::null());
    }

    /// Runs the program without input.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        self.run_with(arguments, b"")
    }

    /// Runs the program with something on standard input.
    pub(crate) fn run_with<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Ran {
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // The program may end before it has read everything.
        drop(stdin.write_all(input));
        drop(stdin);
        let output = child.wait_with_output().expect("the program ends");
        Ran {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs the program; it must succeed. Returns its output.
    pub(crate) fn ok<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Vec<u8> {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.stdout
    }
}

impl Ran {
    /// The output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).expect("UTF-8")
    }
}
