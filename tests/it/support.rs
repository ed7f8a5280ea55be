//! What the tests share: a world of its own for every test, with a home, a work folder, and the real program.

pub(crate) mod gnupg;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

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
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl World {
    /// An empty home and an empty work folder; no identity. It lies in memory where there is such a place, since the
    /// program waits for the disk at every write.
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .expect("a temporary folder");
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

    /// The same with alice's identity in a file that nobody else can read, which those of the fixtures may not be.
    pub(crate) fn with_private_key(self) -> Self {
        let file = self.home().join("alice.txt");
        let key = sops_fixtures().join("keys/alice.age.txt");
        write_file(&file, std::fs::read(key).expect("a key"));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("a mode");
        let file = file.to_str().expect("UTF-8").to_owned();
        self.set("SOPS_AGE_KEY_FILE", &file)
    }

    /// The same with this private key for SSH recipients.
    pub(crate) fn with_ssh_key(name: &str) -> Self {
        let file = sops_fixtures().join("keys").join(name);
        Self::new().set(
            "SOPS_AGE_SSH_PRIVATE_KEY_FILE",
            file.to_str().expect("UTF-8"),
        )
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
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).expect("a folder");
        }
        write_file(&path, content);
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
        child.wait_with_output().expect("the program ends").into()
    }

    /// Runs the program; it must end with this code. Returns its messages, with this world's folder as `[ROOT]`.
    #[track_caller]
    pub(crate) fn fails<S: AsRef<OsStr>>(
        &self,
        code: i32,
        arguments: impl IntoIterator<Item = S>,
    ) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(code), "{}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{}", ran.stdout.escape_ascii());
        self.redacted(&ran.stderr)
    }

    /// A text with this world's folder as `[ROOT]`.
    pub(crate) fn redacted(&self, text: &str) -> String {
        text.replace(self.root.path().to_str().expect("UTF-8"), "[ROOT]")
    }

    /// Writes a shell script; what comes back is a command line that runs it.
    pub(crate) fn script(&self, body: &str) -> String {
        let folder = self.root.path().join("bin");
        std::fs::create_dir_all(&folder).expect("a folder");
        let number = std::fs::read_dir(&folder).expect("the folder").count();
        let path = folder.join(format!("{number}.sh"));
        write_file(&path, body);
        // Not run by its own name: another thread that starts a program at this moment would keep it busy.
        format!("sh {}", path.to_str().expect("UTF-8"))
    }

    /// Runs `edit` with an editor that is a shell script; the file is its `$1`.
    pub(crate) fn edit<S: AsRef<OsStr>>(
        &self,
        script: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Ran {
        let mut command = self.command(["edit"]);
        command
            .args(arguments)
            .env("SOPS_EDITOR", self.script(script));
        command.output().expect("the program runs").into()
    }

    /// Every file below this world's folders, and below the private folders of all runs, that holds `needle`.
    pub(crate) fn files_with(&self, needle: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.path().to_owned()];
        let private = std::fs::read_dir("/dev/shm")
            .into_iter()
            .flatten()
            .flatten();
        folders.extend(
            private
                .filter(|entry| entry.file_name().to_string_lossy().starts_with("sops-rs-"))
                .map(|entry| entry.path()),
        );
        while let Some(folder) = folders.pop() {
            // Folders of other runs come and go.
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                } else if holds(&std::fs::read(&path).unwrap_or_default(), needle) {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }

    /// The folders of this world that have entries of all these names.
    pub(crate) fn folders_with(&self, names: &[&str]) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![self.root.path().to_owned()];
        while let Some(folder) = open.pop() {
            if names.iter().all(|name| folder.join(name).exists()) {
                found.push(folder.clone());
            }
            let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            open.extend(
                entries
                    .map(|entry| entry.path())
                    .filter(|path| path.is_dir() && !path.is_symlink()),
            );
        }
        found
    }

    /// The names of the files in the work folder, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("")).expect("the work folder");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name())
            .map(|name| name.into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }

    /// Runs the program; it must succeed. Returns its output.
    pub(crate) fn ok<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Vec<u8> {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.stdout
    }
}

/// Writes a file of a test.
#[expect(
    clippy::disallowed_methods,
    reason = "a test may write its own files in place"
)]
pub(crate) fn write_file(path: &Path, content: impl AsRef<[u8]>) {
    std::fs::write(path, content).expect("a file");
}

/// A word that begins so and that no other test has, nor another run of the tests on this machine.
pub(crate) fn unique(word: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{word}{}x{count}", std::process::id())
}

/// Whether `needle` stands somewhere in `bytes`.
pub(crate) fn holds(bytes: &[u8], needle: &str) -> bool {
    bytes
        .windows(needle.len())
        .any(|window| window == needle.as_bytes())
}

/// The command, for a user to whom the modes of files apply, which they do not to root.
pub(crate) fn without_privileges(command: &Command) -> Command {
    if !rustix::process::geteuid().is_root() {
        let mut same = Command::new(command.get_program());
        copy_into(command, &mut same);
        return same;
    }
    let mut wrapped = Command::new("setpriv");
    wrapped
        .arg("--bounding-set=-dac_override,-dac_read_search")
        .arg(command.get_program());
    copy_into(command, &mut wrapped);
    wrapped
}

fn copy_into(from: &Command, to: &mut Command) {
    to.args(from.get_args()).env_clear();
    for (name, value) in from.get_envs() {
        if let Some(value) = value {
            to.env(name, value);
        }
    }
    if let Some(folder) = from.get_current_dir() {
        to.current_dir(folder);
    }
    to.stdin(Stdio::null());
}

/// How long a test waits for something that happens at once on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `happened`.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Sends a signal to a child.
pub(crate) fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("the child is there");
}

/// The program on a terminal of its own, which also is its controlling terminal.
pub(crate) struct Terminal {
    pub(crate) child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    shown: Vec<u8>,
}

impl Terminal {
    /// Starts a program of [`World::command`] on a new terminal. Standard output is not part of it.
    pub(crate) fn start(command: &Command) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags).expect("a terminal");
        grantpt(&ours).expect("a terminal");
        unlockpt(&ours).expect("a terminal");
        let name = ptsname(&ours, Vec::new()).expect("a terminal with a name");
        let path = PathBuf::from(OsString::from_vec(name.into_bytes()));
        let open = || {
            let mut options = File::options();
            std::os::unix::fs::OpenOptionsExt::custom_flags(
                &mut options,
                i32::try_from(rustix::fs::OFlags::NOCTTY.bits()).expect("a small number"),
            );
            options.read(true).write(true).open(&path)
        };
        // It becomes the leader of a session whose terminal its standard input is.
        let mut wrapped = Command::new("setsid");
        wrapped.arg("--ctty").arg(command.get_program());
        copy_into(command, &mut wrapped);
        wrapped
            .stdin(open().expect("a terminal"))
            .stderr(open().expect("a terminal"))
            .stdout(Stdio::piped());
        let child = wrapped.spawn().expect("setsid of util-linux");
        // Else the terminal would stay open when the program has ended.
        drop(wrapped);
        let keyboard = File::from(ours);
        let mut reader = keyboard.try_clone().expect("a terminal");
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            keyboard,
            screen,
            shown: Vec::new(),
        }
    }

    /// Waits until `text` is on the screen; forgets everything up to it.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) -> String {
        let start = Instant::now();
        loop {
            let at = self
                .shown
                .windows(text.len())
                .position(|window| window == text.as_bytes());
            if let Some(at) = at {
                let seen: Vec<u8> = self.shown.drain(..at + text.len()).collect();
                return String::from_utf8_lossy(&seen).into_owned();
            }
            match self.screen.recv_timeout(Duration::from_millis(100)) {
                Ok(bytes) => self.shown.extend(bytes),
                Err(RecvTimeoutError::Timeout) if start.elapsed() < PATIENCE => {}
                Err(_) => panic!(
                    "`{text}` is not on the screen: {}",
                    String::from_utf8_lossy(&self.shown)
                ),
            }
        }
    }

    /// Waits until what is typed is no longer shown.
    #[track_caller]
    pub(crate) fn await_silence(&self) {
        wait_until("silence", || {
            let state = tcgetattr(&self.keyboard).expect("a terminal");
            !state.local_modes.contains(LocalModes::ECHO)
        });
    }

    /// Types something.
    pub(crate) fn type_in(&mut self, text: &str) {
        self.keyboard
            .write_all(text.as_bytes())
            .expect("a terminal");
    }

    /// Waits for the end: how it ended, what else was on the screen, and standard output.
    pub(crate) fn finish(mut self) -> (ExitStatus, String, Vec<u8>) {
        let mut stdout = Vec::new();
        let mut pipe = self.child.stdout.take().expect("a pipe");
        pipe.read_to_end(&mut stdout).expect("output");
        let status = self.child.wait().expect("the program ends");
        while let Ok(bytes) = self.screen.recv_timeout(Duration::from_millis(200)) {
            self.shown.extend(bytes);
        }
        let shown = String::from_utf8_lossy(&self.shown).into_owned();
        (status, shown, stdout)
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    /// The output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).expect("UTF-8")
    }
}
