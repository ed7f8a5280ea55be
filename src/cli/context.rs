//! The outside world, gathered in one place: environment, working directory, clock, random source, standard streams.
//!
//! Everything below the command line is handed what it needs from here, so that a command is a function that a test can
//! run with a home, a clock and streams of its own. Knows nothing of commands. The one other reader of the environment
//! is clap, for the variables that are named beside a flag.

pub(crate) mod branch;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, IsTerminal as _, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use zeroize::Zeroize as _;

use super::exit::Exit;
use super::progress::Progress;
use super::report::{self, Failure};
use super::services::Services;

/// Everything a command may know of or do to its surroundings.
pub(crate) struct Context {
    /// The name this program goes by in messages: `sops` if it was called so, else `sops-rs`.
    pub(crate) program: &'static str,
    environment: BTreeMap<OsString, OsString>,
    working_dir: PathBuf,
    clock: fn() -> Timestamp,
    /// Unpredictable bytes.
    pub(crate) random: Random,
    stdin: Option<Box<dyn BufRead>>,
    stdout: Box<dyn Write>,
    stderr: Box<dyn Write>,
    /// Whether a person can be asked: both stdin and stderr are a terminal.
    pub(crate) interactive: bool,
    /// Whether messages may be coloured.
    colour: bool,
    /// Whether nobody is to be asked for a passphrase, though there may be a terminal.
    quiet: bool,
    /// The name of the terminal, if any standard stream is one.
    terminal: Option<OsString>,
    /// The key services, if this is one of many contexts that share them.
    pub(crate) services: Option<Arc<Services>>,
    /// How far the work on many files has come.
    pub(crate) progress: Progress,
}

impl Context {
    /// The surroundings of this process.
    pub(crate) fn of_process(program: &'static str) -> Self {
        let (stdin, stderr) = (io::stdin(), io::stderr());
        Self {
            program,
            environment: std::env::vars_os().collect(),
            working_dir: std::env::current_dir().unwrap_or_default(),
            clock: Timestamp::now,
            random: Random::new(|bytes| {
                getrandom::fill(bytes).map_err(|error| io::Error::other(error.to_string()))
            }),
            interactive: stdin.is_terminal() && stderr.is_terminal(),
            quiet: false,
            terminal: terminal_name(&stdin)
                .or_else(|| terminal_name(&stderr))
                .or_else(|| terminal_name(io::stdout())),
            services: None,
            progress: Progress::default(),
            colour: anstream::AutoStream::choice(&stderr) != anstream::ColorChoice::Never,
            stdin: Some(Box::new(stdin.lock())),
            stdout: Box::new(io::stdout()),
            stderr: Box::new(stderr),
        }
    }

    /// The environment variable `name`; `None` if it is not set or empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        let value = self.environment.get(OsStr::new(name))?;
        Some(value.as_os_str()).filter(|value| !value.is_empty())
    }

    /// All environment variables, for programs that are started.
    pub(crate) fn environment(&self) -> &BTreeMap<OsString, OsString> {
        &self.environment
    }

    /// `path` as the user meant it: relative to the working directory.
    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        self.working_dir.join(path)
    }

    /// The directory in which the program was started; empty if that directory is gone.
    pub(crate) fn working_dir(&self) -> &Path {
        &self.working_dir
    }

    /// The user's home directory; `None` if the environment does not name one.
    pub(crate) fn home_dir(&self) -> Option<PathBuf> {
        let name = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        self.variable(name).map(PathBuf::from)
    }

    /// Where programs keep what the user configured, by the rules of spec 10.2; `None` if the environment does not say.
    pub(crate) fn config_dir(&self) -> Option<PathBuf> {
        if cfg!(windows) {
            return self.variable("APPDATA").map(PathBuf::from);
        }
        let xdg = self.variable("XDG_CONFIG_HOME").map(PathBuf::from);
        if cfg!(target_os = "macos") {
            return xdg.or_else(|| Some(self.home_dir()?.join("Library/Application Support")));
        }
        xdg.filter(|dir| dir.is_absolute())
            .or_else(|| Some(self.home_dir()?.join(".config")))
    }

    /// From now on nobody is asked anything: this runs inside another program.
    pub(crate) fn ask_nobody(&mut self) {
        self.interactive = false;
        self.quiet = true;
    }

    /// Whether nobody is to be asked for a passphrase.
    pub(crate) fn asks_nobody(&self) -> bool {
        self.quiet
    }

    /// The name of this process's terminal, for programs that are to ask on it.
    #[cfg(feature = "pgp")]
    pub(crate) fn terminal(&self) -> Option<&OsStr> {
        self.terminal.as_deref()
    }

    /// The present instant.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Hands out standard input, once: a second reader would find it empty.
    pub(crate) fn take_stdin(&mut self) -> Option<Box<dyn BufRead>> {
        self.stdin.take()
    }

    /// Asks the user and waits for a line, which comes without its end; `None` if there is no more input.
    ///
    /// # Errors
    /// [`Failure`] if the answer cannot be read.
    pub(crate) fn ask(&mut self, question: &str) -> Result<Option<String>, Failure> {
        self.print_error(question.as_bytes());
        let mut line = String::new();
        let stdin = self.stdin.as_mut();
        let length = stdin
            .map_or(Ok(0), |stdin| stdin.read_line(&mut line))
            .map_err(|error| {
                Failure::new(Exit::Failed, format!("cannot read the answer: {error}"))
            })?;
        Ok((length > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// Writes data to standard output. A reader that has gone away wanted no more: that is success.
    ///
    /// # Errors
    /// [`Failure`] if the bytes cannot be written.
    pub(crate) fn print(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self
            .stdout
            .write_all(bytes)
            .and_then(|()| self.stdout.flush())
        {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
                Exit::CannotWrite,
                format!("cannot write to standard output: {error}"),
            )),
            _ => Ok(()),
        }
    }

    /// Writes bytes to standard error as they are. There is nowhere to complain if that fails.
    pub(crate) fn print_error(&mut self, bytes: &[u8]) {
        drop(
            self.stderr
                .write_all(bytes)
                .and_then(|()| self.stderr.flush()),
        );
    }

    /// Tells the user why the program ends.
    pub(crate) fn fail(&mut self, failure: &Failure) {
        let text = failure.render(self.program, self.colour);
        self.print_error(text.as_bytes());
    }

    /// Tells the user something that may be wrong.
    pub(crate) fn warn(&mut self, message: &str) {
        let text = report::warning(self.program, message, self.colour);
        self.print_error(text.as_bytes());
    }

    /// Tells the user something worth knowing.
    pub(crate) fn note(&mut self, message: &str) {
        let text = report::note(self.program, message, self.colour);
        self.print_error(text.as_bytes());
    }

    /// Whether standard error takes colours.
    pub(crate) fn colour(&self) -> bool {
        self.colour
    }

    /// What other threads may have of these surroundings: all but the streams.
    pub(crate) fn surroundings(&self) -> Surroundings {
        Surroundings {
            program: self.program,
            environment: self.environment.clone(),
            working_dir: self.working_dir.clone(),
            clock: self.clock,
            random: self.random.source,
            interactive: self.interactive,
            colour: self.colour,
            quiet: self.quiet,
            terminal: self.terminal.clone(),
            progress: Progress::default(),
        }
    }
}

/// Surroundings without standard streams, from which any thread can make itself a [`Context`].
pub(crate) struct Surroundings {
    program: &'static str,
    environment: BTreeMap<OsString, OsString>,
    working_dir: PathBuf,
    clock: fn() -> Timestamp,
    random: fn(&mut [u8]) -> io::Result<()>,
    interactive: bool,
    colour: bool,
    quiet: bool,
    terminal: Option<OsString>,
    /// Shared by all contexts, so that whoever asks a person waits for the others.
    progress: Progress,
}

impl Surroundings {
    /// A context that reads nothing and says nothing.
    pub(crate) fn context(&self) -> Context {
        Context {
            program: self.program,
            environment: self.environment.clone(),
            working_dir: self.working_dir.clone(),
            clock: self.clock,
            random: Random::new(self.random),
            stdin: None,
            stdout: Box::new(io::sink()),
            stderr: Box::new(io::sink()),
            interactive: self.interactive,
            colour: self.colour,
            quiet: self.quiet,
            terminal: self.terminal.clone(),
            services: None,
            progress: self.progress.clone(),
        }
    }

    /// Tells the user something, whatever other threads say at the same time.
    #[cfg(feature = "keyservice")]
    pub(crate) fn note(&self, message: &str) {
        Self::say(&report::note(self.program, message, self.colour));
    }

    /// The same for something that may be wrong.
    #[cfg(feature = "keyservice")]
    pub(crate) fn warn(&self, message: &str) {
        Self::say(&report::warning(self.program, message, self.colour));
    }

    #[cfg(feature = "keyservice")]
    fn say(text: &str) {
        // There is nowhere to complain if that fails.
        drop(io::stderr().lock().write_all(text.as_bytes()));
    }

    /// Talks to a person, one thread at a time.
    #[cfg(feature = "keyservice")]
    pub(crate) fn talk<T>(&self, talk: impl FnOnce() -> T) -> T {
        self.progress.talk(talk)
    }
}

impl std::fmt::Debug for Context {
    /// Says that it is there: the environment can hold keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Context(…)")
    }
}

fn terminal_name(stream: impl AsFd) -> Option<OsString> {
    let name = rustix::termios::ttyname(stream, Vec::new()).ok()?;
    Some(OsString::from_vec(name.into_bytes()))
}

/// Bytes drawn from the system at a time: a file of many values should not cost a system call for each.
const POOL: usize = 4096;

/// Unpredictable bytes from the operating system, drawn in advance; what was handed out or is left over is wiped.
pub(crate) struct Random {
    pool: Box<[u8; POOL]>,
    used: usize,
    source: fn(&mut [u8]) -> io::Result<()>,
}

impl Random {
    fn new(source: fn(&mut [u8]) -> io::Result<()>) -> Self {
        Self {
            pool: Box::new([0; POOL]),
            used: POOL,
            source,
        }
    }

    /// Fills `bytes`.
    ///
    /// # Errors
    /// The error of the operating system, which no working system gives.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        for chunk in bytes.chunks_mut(POOL) {
            if POOL - self.used < chunk.len() {
                (self.source)(self.pool.as_mut_slice())?;
                self.used = 0;
            }
            let fresh = self.pool.iter_mut().skip(self.used);
            for (byte, fresh) in chunk.iter_mut().zip(fresh) {
                *byte = std::mem::take(fresh);
            }
            self.used += chunk.len();
        }
        Ok(())
    }
}

impl Drop for Random {
    fn drop(&mut self) {
        self.pool.zeroize();
    }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random(…)")
    }
}

/// Surroundings made by hand, for the tests of commands.
#[cfg(test)]
pub(crate) mod testing {
    use std::io::{self, Write};
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use jiff::Timestamp;

    use super::{Context, Random};

    /// A stream whose text can be looked at.
    #[derive(Clone, Default)]
    pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        /// What was written since the last call.
        pub(crate) fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
        }
    }

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A context in the directory `dir`, with this environment and stdin, together with its stdout and stderr.
    pub(crate) fn context(
        dir: &Path,
        variables: &[(&str, &str)],
        stdin: &[u8],
    ) -> (Context, Captured, Captured) {
        let (stdout, stderr) = (Captured::default(), Captured::default());
        let context = Context {
            program: "sops-rs",
            environment: variables
                .iter()
                .map(|(k, v)| (k.into(), v.into()))
                .collect(),
            working_dir: dir.to_owned(),
            clock: || Timestamp::from_second(1_700_000_000).unwrap(),
            random: Random::new(|bytes| {
                bytes
                    .iter_mut()
                    .zip((1..=251).cycle())
                    .for_each(|(byte, n)| *byte = n);
                Ok(())
            }),
            stdin: Some(Box::new(io::Cursor::new(stdin.to_vec()))),
            stdout: Box::new(stdout.clone()),
            stderr: Box::new(stderr.clone()),
            interactive: false,
            colour: false,
            quiet: false,
            terminal: None,
            services: None,
            progress: super::Progress::default(),
        };
        (context, stdout, stderr)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::{Path, PathBuf};

    use super::testing::context;
    use super::{POOL, Random};

    fn config_dir(variables: &[(&str, &str)]) -> Option<PathBuf> {
        context(Path::new("/"), variables, b"").0.config_dir()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_config_dir_follows_the_xdg_rules() {
        let home = ("HOME", "/home/ann");
        assert_eq!(config_dir(&[home]), Some("/home/ann/.config".into()));
        assert_eq!(
            config_dir(&[home, ("XDG_CONFIG_HOME", "/etc/ann")]),
            Some("/etc/ann".into())
        );
        assert_eq!(
            config_dir(&[home, ("XDG_CONFIG_HOME", "relative")]),
            Some("/home/ann/.config".into()),
            "a relative path is not valid"
        );
        assert_eq!(config_dir(&[("HOME", "")]), None);
    }

    #[test]
    fn questions_are_answered_line_by_line() {
        let (mut context, _, stderr) = context(Path::new("/"), &[], b"y\r\n\nno");
        let mut ask = || context.ask("sure? ").unwrap();
        assert_eq!(ask().as_deref(), Some("y"));
        assert_eq!(ask().as_deref(), Some(""));
        assert_eq!(ask().as_deref(), Some("no"));
        assert_eq!(ask(), None);
        assert_eq!(stderr.take(), "sure? ".repeat(4));
    }

    #[test]
    fn random_bytes_are_never_handed_out_twice() {
        let mut random = Random::new(|bytes| {
            // Number every byte of the pool, so that a repetition shows.
            for (n, pair) in bytes.chunks_mut(2).enumerate() {
                pair.copy_from_slice(&u16::try_from(n).unwrap().to_be_bytes());
            }
            Ok(())
        });
        let (mut first, mut second) = ([0; 32], [0; 32]);
        random.fill(&mut first).unwrap();
        random.fill(&mut second).unwrap();
        assert_eq!((first[1], second[1]), (0, 16));
        assert!(
            random.pool.iter().take(64).all(|&byte| byte == 0),
            "used bytes are wiped"
        );
        let mut long = vec![0; 3 * POOL];
        random.fill(&mut long).unwrap();
        assert!(long.chunks(POOL).all(|chunk| chunk.ends_with(&[7, 255])));
    }

    #[test]
    fn a_failing_random_source_is_an_error() {
        let mut random = Random::new(|_| Err(io::Error::other("no entropy")));
        assert!(random.fill(&mut [0; 16]).is_err());
    }
}
