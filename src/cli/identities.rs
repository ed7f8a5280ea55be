//! Where age identities are looked for: the seven places of SOPS (spec 10.2), and the terminal for passphrases.
//!
//! The environment is read when the places are collected; files are read, and commands run, when a recipient is tried.
//! What is in an identity is the business of `keys::age`.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sops_rs::keys::KeyError;
use sops_rs::keys::age::{Identities, IdentitySource, MAX_SOURCE_LEN, Prompt};
use sops_rs::secret::Plain;
use zeroize::Zeroizing;

mod survey;

pub(crate) use survey::{Found, Survey};

/// The variable in which a command finds the recipient it is run for.
const RECIPIENT_VARIABLE: &str = "SOPS_AGE_RECIPIENT";

/// The rules for the folders of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// Linux and other Unix.
    Unix,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

impl System {
    /// The one this program was built for.
    pub(crate) fn current() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_os = "macos") {
            Self::MacOs
        } else {
            Self::Unix
        }
    }
}

/// Reads a variable of the environment.
type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// All places where identities may be, in the order of spec 10.2; none by default.
#[derive(Clone, Default)]
pub(crate) struct Places(Vec<Arc<Place>>);

impl Places {
    /// Notes all places. Reads nothing but variables.
    pub(crate) fn collect(variables: Variables<'_>, system: System) -> Self {
        let home = home(variables, system);
        let default_ssh = |name: &str| match &home {
            Some(home) => Place::default_file(&home.join(".ssh").join(name), Content::Ssh),
            None => Place::new(format!("~/.ssh/{name}"), Content::Ssh, How::Nothing),
        };
        let default_keys = match config_folder(variables, system, home.as_deref()) {
            Ok(Some(folder)) => Place::default_file(
                &folder.join("sops").join("age").join("keys.txt"),
                Content::Age,
            ),
            Ok(None) => Place::new("sops/age/keys.txt".to_owned(), Content::Age, How::Nothing),
            Err(error) => Place::new(
                "sops/age/keys.txt".to_owned(),
                Content::Age,
                How::Broken(error),
            ),
        };
        let places = [
            Place::file(variables, "SOPS_AGE_SSH_PRIVATE_KEY_FILE", Content::Ssh),
            Place::command(variables, "SOPS_AGE_SSH_PRIVATE_KEY_CMD", Content::Ssh),
            default_ssh("id_ed25519"),
            default_ssh("id_rsa"),
            Place::text(variables, "SOPS_AGE_KEY"),
            Place::file(variables, "SOPS_AGE_KEY_FILE", Content::Age),
            Place::command(variables, "SOPS_AGE_KEY_CMD", Content::Age),
            default_keys,
        ];
        Self(places.into_iter().map(Arc::new).collect())
    }

    /// The places as sources for the age service.
    pub(crate) fn sources(&self) -> Vec<Box<dyn IdentitySource>> {
        self.0
            .iter()
            .map(|place| Box::new(Shared(Arc::clone(place))) as _)
            .collect()
    }

    /// The places that turned out to be empty so far: variables that are not set, files that do not exist.
    pub(crate) fn looked_in(&self) -> Vec<String> {
        self.0
            .iter()
            .filter(|place| place.is_empty())
            .map(|place| place.name.clone())
            .collect()
    }

    /// Whether any place asked so far held identities.
    pub(crate) fn found_any(&self) -> bool {
        self.0.iter().any(|place| place.has_identities())
    }

    /// What the user should know about the files that were read so far.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.0
            .iter()
            .filter_map(|place| place.warning.get().cloned())
            .collect()
    }
}

/// What to expect in a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    /// An identity file of age.
    Age,
    /// An SSH private key.
    Ssh,
}

/// How to get at what is in a place.
enum How {
    /// There is nothing.
    Nothing,
    /// There is something that cannot be used.
    Broken(KeyError),
    /// Here it is.
    Text(Zeroizing<Vec<u8>>),
    /// In a file; unless it must be there, it may not be.
    File { path: PathBuf, must_exist: bool },
    /// In the output of this command.
    Command(Vec<String>),
}

/// What came of asking a place.
type Answer = Result<Option<Arc<Identities>>, KeyError>;

/// One place where identities may be.
struct Place {
    name: String,
    content: Content,
    how: How,
    answer: OnceLock<Answer>,
    answers_by_recipient: Mutex<HashMap<String, Answer>>,
    warning: OnceLock<String>,
}

impl Place {
    fn new(name: String, content: Content, how: How) -> Self {
        Self {
            name,
            content,
            how,
            answer: OnceLock::new(),
            answers_by_recipient: Mutex::default(),
            warning: OnceLock::new(),
        }
    }

    /// Identities that stand in a variable.
    fn text(variables: Variables<'_>, variable: &str) -> Self {
        let how = variables(variable).map_or(How::Nothing, |text| {
            How::Text(Zeroizing::new(text.into_encoded_bytes()))
        });
        Self::new(variable.to_owned(), Content::Age, how)
    }

    /// A file that a variable names.
    fn file(variables: Variables<'_>, variable: &str, content: Content) -> Self {
        match variables(variable) {
            None => Self::new(variable.to_owned(), content, How::Nothing),
            Some(path) if path.is_empty() => Self::set_but_empty(variable, content),
            Some(path) if holds_key(&path) => Self::new(
                variable.to_owned(),
                content,
                How::Broken(not_a_path(variable)),
            ),
            Some(path) => {
                let path = PathBuf::from(path);
                let name = format!("{variable} ({})", path.display());
                Self::new(
                    name,
                    content,
                    How::File {
                        path,
                        must_exist: true,
                    },
                )
            }
        }
    }

    /// A file that is used if it exists.
    fn default_file(path: &Path, content: Content) -> Self {
        let how = How::File {
            path: path.to_owned(),
            must_exist: false,
        };
        Self::new(path.display().to_string(), content, how)
    }

    /// A command that stands in a variable.
    fn command(variables: Variables<'_>, variable: &str, content: Content) -> Self {
        let Some(line) = variables(variable) else {
            return Self::new(variable.to_owned(), content, How::Nothing);
        };
        let words = line.to_str().map(shell_words::split);
        let how = match words {
            Some(Ok(words)) if words.is_empty() => return Self::set_but_empty(variable, content),
            Some(Ok(words)) => How::Command(words),
            Some(Err(_)) => How::Broken(KeyError::new(format!(
                "{variable}: a quote in the command is not closed"
            ))),
            None => How::Broken(KeyError::new(format!("{variable}: not text"))),
        };
        Self::new(variable.to_owned(), content, how)
    }

    fn set_but_empty(variable: &str, content: Content) -> Self {
        let error = KeyError::new(format!("{variable}: is set, but empty"));
        Self::new(variable.to_owned(), content, How::Broken(error))
    }

    fn has_identities(&self) -> bool {
        let by_recipient = self.answers_by_recipient.lock();
        let by_recipient = by_recipient.unwrap_or_else(PoisonError::into_inner);
        self.answer
            .get()
            .into_iter()
            .chain(by_recipient.values())
            .any(|answer| matches!(answer, Ok(Some(_))))
    }

    fn is_empty(&self) -> bool {
        matches!(self.how, How::Nothing) || matches!(self.answer.get(), Some(Ok(None)))
    }

    /// The identities, found out once, or once for each recipient if it is a command that gives them.
    fn ask(&self, recipient: &str) -> Answer {
        // SSH keys are of no use for anything else, and reading them may cost a question.
        if self.content == Content::Ssh && !recipient.trim_start().starts_with("ssh-") {
            return Ok(None);
        }
        match &self.how {
            How::Nothing => Ok(None),
            How::Broken(error) => Err(error.clone()),
            How::Text(text) => self.answer.get_or_init(|| self.parse(text)).clone(),
            How::File { path, must_exist } => self
                .answer
                .get_or_init(|| self.read(path, *must_exist))
                .clone(),
            How::Command(words) => {
                let answers = self.answers_by_recipient.lock();
                let mut answers = answers.unwrap_or_else(PoisonError::into_inner);
                let run = || run(&self.name, words, recipient).and_then(|text| self.parse(&text));
                answers
                    .entry(recipient.to_owned())
                    .or_insert_with(run)
                    .clone()
            }
        }
    }

    fn read(&self, path: &Path, must_exist: bool) -> Answer {
        let failed = |error| KeyError::new(format!("{}: cannot be read", self.name)).because(error);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if !must_exist && is_absence(&error) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if let Some(warning) = open_to_others(&file, path) {
            self.warning.get_or_init(|| warning);
        }
        let text = read_limited(file).map_err(failed)?;
        self.parse(&text)
    }

    fn parse(&self, content: &[u8]) -> Answer {
        let identities = match self.content {
            Content::Age => Identities::parse(&self.name, content),
            Content::Ssh => Identities::parse_ssh(&self.name, content),
        };
        Ok(Some(Arc::new(identities?)))
    }
}

/// Whether what should be the path of a file is a key; it must not be shown then.
pub(crate) fn holds_key(path: &OsStr) -> bool {
    let text = path.to_string_lossy().to_ascii_uppercase();
    let marks = ["AGE-SECRET-KEY-", "AGE-PLUGIN-", "-----BEGIN"];
    text.lines()
        .any(|line| marks.iter().any(|mark| line.trim_start().starts_with(mark)))
}

fn not_a_path(variable: &str) -> KeyError {
    let remedy = match variable {
        "SOPS_AGE_KEY_FILE" => "; use SOPS_AGE_KEY",
        _ => "",
    };
    KeyError::new(format!(
        "{variable} holds a key, not the path of a file{remedy}"
    ))
}

/// A place in the hands of the age service and of those who report on it.
struct Shared(Arc<Place>);

impl IdentitySource for Shared {
    fn identities(&self, recipient: &str) -> Answer {
        self.0.ask(recipient)
    }

    fn is_slow(&self) -> bool {
        matches!(self.0.how, How::Command(_))
    }
}

/// The home folder, as Go programs find it.
fn home(variables: Variables<'_>, system: System) -> Option<PathBuf> {
    let variable = if system == System::Windows {
        "USERPROFILE"
    } else {
        "HOME"
    };
    present(variables(variable)).map(PathBuf::from)
}

/// The folder for configurations (spec 10.2).
fn config_folder(
    variables: Variables<'_>,
    system: System,
    home: Option<&Path>,
) -> Result<Option<PathBuf>, KeyError> {
    let xdg = present(variables("XDG_CONFIG_HOME")).map(PathBuf::from);
    let below_home = |folders: &str| home.map(|home| home.join(folders));
    match system {
        System::Windows => Ok(present(variables("AppData")).map(PathBuf::from)),
        System::MacOs => Ok(xdg.or_else(|| below_home("Library/Application Support"))),
        System::Unix => match xdg {
            // `has_root`, because a path of Unix is not absolute where this is tested on Windows
            Some(folder) if folder.has_root() => Ok(Some(folder)),
            Some(_) => Err(KeyError::new("XDG_CONFIG_HOME: not an absolute path")),
            None => Ok(below_home(".config")),
        },
    }
}

fn present(value: Option<OsString>) -> Option<OsString> {
    value.filter(|value| !value.is_empty())
}

/// Whether a file is not there, as opposed to one that cannot be read.
fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Reads up to one byte more than is allowed, which is then found to be too much.
fn read_limited(mut reader: impl io::Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let limit = u64::try_from(MAX_SOURCE_LEN).unwrap_or(u64::MAX);
    // A vector that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(1 << 16));
    reader
        .by_ref()
        .take(limit.saturating_add(1))
        .read_to_end(&mut text)?;
    Ok(text)
}

/// Runs a command, without a shell, and returns its output. Its messages and questions go to the user.
fn run(name: &str, words: &[String], recipient: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(KeyError::new(format!("{name}: is set, but empty")));
    };
    let failed = |error| KeyError::new(format!("{name}: `{program}` did not run")).because(error);
    let mut child = Command::new(program)
        .args(arguments)
        .env(RECIPIENT_VARIABLE, recipient)
        .stdin(Stdio::inherit())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(failed)?;
    let output = match child.stdout.take() {
        Some(stdout) => read_limited(stdout),
        None => Ok(Zeroizing::default()),
    };
    let status = child.wait().map_err(failed)?;
    let output = output.map_err(failed)?;
    if !status.success() {
        return Err(KeyError::new(format!(
            "{name}: `{program}` failed ({status})"
        )));
    }
    Ok(output)
}

/// A warning, if others on the machine can read the file.
#[cfg(unix)]
fn open_to_others(file: &File, path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;

    let metadata = file.metadata().ok()?;
    let readable = metadata.is_file() && metadata.mode() & 0o044 != 0;
    readable.then(|| {
        let path = path.display();
        format!("{path}: other users can read this identity file (`chmod 600` it)")
    })
}

#[cfg(not(unix))]
fn open_to_others(_: &File, _: &Path) -> Option<String> {
    None
}

/// The terminal, for passphrases and the questions of plugins. Not the standard streams: those may be data.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terminal;

impl Terminal {
    /// The terminal of this process, if it has one.
    fn open() -> Option<File> {
        let name = OsStr::new(if cfg!(windows) { "CONIN$" } else { "/dev/tty" });
        File::open(name).ok()
    }

    /// Asks for a line that may be seen.
    fn ask(question: &str) -> Option<String> {
        let terminal = Self::open()?;
        write!(io::stderr(), "{}: ", printable(question)).ok()?;
        let mut line = String::new();
        BufReader::new(terminal.take(4096))
            .read_line(&mut line)
            .ok()?;
        Some(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

impl Prompt for Terminal {
    fn passphrase(&self, what: &str, attempt: u8) -> Option<Plain<'static>> {
        Self::open()?;
        let again = if attempt > 1 { "Wrong. " } else { "" };
        let question = format!("{again}Passphrase for {}: ", printable(what));
        rpassword::prompt_password(question).ok().map(Plain::owned)
    }

    fn text(&self, question: &str) -> Option<String> {
        Self::ask(question)
    }

    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        let no = no.unwrap_or("cancel");
        let answer = Self::ask(&format!("{question} (1: {yes}, 2: {no})"))?;
        match answer.trim() {
            "1" => Some(true),
            "2" => Some(false),
            other => Some(other.eq_ignore_ascii_case(yes)),
        }
    }

    fn message(&self, text: &str) {
        // Nobody is harmed if it cannot be shown.
        writeln!(io::stderr(), "{}", printable(text)).unwrap_or_default();
    }
}

/// `text` without what could command a terminal: it may come from a file or a plugin.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::ffi::OsString;
    use std::path::{Path, PathBuf};

    use super::{Places, System, config_folder, home, printable};

    const TESTDATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/age/sops");
    const ALICE: &str = include_str!("../../testdata/age/sops/alice.age.txt");

    fn variables(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> + use<> {
        let map: HashMap<String, OsString> = pairs
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.into()))
            .collect();
        move |name| map.get(name).cloned()
    }

    fn places(pairs: &[(&str, &str)]) -> Places {
        Places::collect(&variables(pairs), System::Unix)
    }

    /// What each source says to `recipient`: how it is called if it has identities, or its error.
    fn answers(places: &Places, recipient: &str) -> Vec<Result<bool, String>> {
        let sources = places.sources();
        let answers = sources.iter().map(|source| source.identities(recipient));
        answers
            .map(|answer| {
                answer
                    .map(|found| found.is_some())
                    .map_err(|error| error.in_full())
            })
            .collect()
    }

    /// The errors alone.
    fn errors(places: &Places, recipient: &str) -> Vec<String> {
        answers(places, recipient)
            .into_iter()
            .filter_map(Result::err)
            .collect()
    }

    fn found(places: &Places, recipient: &str) -> usize {
        answers(places, recipient)
            .into_iter()
            .filter(|answer| *answer == Ok(true))
            .count()
    }

    #[test]
    fn nothing_set_is_reported_place_by_place() {
        let places = places(&[("HOME", "/nowhere")]);
        assert_eq!(found(&places, "ssh-ed25519 AAAA"), 0);
        assert_eq!(
            places.looked_in(),
            [
                "SOPS_AGE_SSH_PRIVATE_KEY_FILE",
                "SOPS_AGE_SSH_PRIVATE_KEY_CMD",
                "/nowhere/.ssh/id_ed25519",
                "/nowhere/.ssh/id_rsa",
                "SOPS_AGE_KEY",
                "SOPS_AGE_KEY_FILE",
                "SOPS_AGE_KEY_CMD",
                "/nowhere/.config/sops/age/keys.txt",
            ]
        );
    }

    #[test]
    fn identities_in_variables_and_files() {
        let key = ALICE.lines().last().unwrap();
        let path = format!("{TESTDATA}/bob.age.txt");
        let places = places(&[("SOPS_AGE_KEY", key), ("SOPS_AGE_KEY_FILE", &path)]);
        assert_eq!(found(&places, "age1…"), 2);
        assert!(
            !places
                .looked_in()
                .iter()
                .any(|name| name.starts_with("SOPS_AGE_KEY_FILE"))
        );
    }

    #[test]
    fn variables_that_are_set_must_be_of_use() {
        let bad = places(&[
            ("SOPS_AGE_KEY", ""),
            ("SOPS_AGE_KEY_FILE", ""),
            ("SOPS_AGE_KEY_CMD", " "),
            ("XDG_CONFIG_HOME", "relative"),
        ]);
        assert_eq!(
            errors(&bad, "age1…"),
            [
                "SOPS_AGE_KEY: there is no identity in it",
                "SOPS_AGE_KEY_FILE: is set, but empty",
                "SOPS_AGE_KEY_CMD: is set, but empty",
                "XDG_CONFIG_HOME: not an absolute path",
            ]
        );
        let missing = places(&[("SOPS_AGE_KEY_FILE", "/nowhere/keys.txt")]);
        let error = errors(&missing, "age1…").remove(0);
        assert!(error.starts_with("SOPS_AGE_KEY_FILE (/nowhere/keys.txt): cannot be read: "));
        assert_eq!(
            missing.looked_in().len(),
            7,
            "a file that must exist is not merely missing"
        );
    }

    #[test]
    fn a_bad_line_is_named_and_not_shown() {
        let places = places(&[("SOPS_AGE_KEY", "# mine\nAGE-SECRET-KEY-1CANARY")]);
        let error = errors(&places, "age1…").remove(0);
        assert!(error.starts_with("SOPS_AGE_KEY, line 2: "), "{error}");
        assert!(!error.contains("CANARY"));
    }

    #[test]
    fn ssh_keys_are_for_ssh_recipients_alone() {
        let path = format!("{TESTDATA}/ssh_ed25519");
        let places = places(&[
            ("SOPS_AGE_SSH_PRIVATE_KEY_FILE", &path),
            ("SOPS_AGE_SSH_PRIVATE_KEY_CMD", "false"),
        ]);
        assert_eq!(errors(&places, "age1…").len() + found(&places, "age1…"), 0);
        assert_eq!(found(&places, "ssh-ed25519 AAAA"), 1);
    }

    #[cfg(unix)]
    mod on_unix {
        use std::fs;
        use std::os::unix::fs::PermissionsExt as _;

        use super::{TESTDATA, answers, errors, found, places};

        #[test]
        fn commands_learn_the_recipient_and_run_once_for_each() {
            let folder = tempfile::tempdir().unwrap();
            let log = folder.path().join("log");
            let script = format!(
                "echo \"$SOPS_AGE_RECIPIENT\" >> '{}'; cat '{TESTDATA}/alice.age.txt'",
                log.display()
            );
            let command = format!("sh -c {}", shell_words::quote(&script));
            let places = places(&[("SOPS_AGE_KEY_CMD", &command)]);
            assert!(!log.exists(), "nothing runs before it is needed");
            for recipient in ["age1one", "age1two", "age1one"] {
                assert_eq!(found(&places, recipient), 1);
            }
            assert_eq!(fs::read_to_string(&log).unwrap(), "age1one\nage1two\n");
            assert!(places.sources()[6].is_slow());
        }

        #[test]
        fn commands_that_fail_say_so() {
            let error = |command: &str| {
                errors(&places(&[("SOPS_AGE_KEY_CMD", command)]), "age1…").remove(0)
            };
            assert!(
                error("false").starts_with("SOPS_AGE_KEY_CMD: `false` failed (exit status: 1)")
            );
            assert!(
                error("/nowhere/tool x")
                    .starts_with("SOPS_AGE_KEY_CMD: `/nowhere/tool` did not run")
            );
            assert!(error("echo 'x").contains("quote"));
            assert_eq!(
                error("true"),
                "SOPS_AGE_KEY_CMD: there is no identity in it"
            );
            // no shell: these are arguments
            assert!(error("echo $HOME; true").contains("line 1: not an age identity"));
        }

        #[test]
        fn default_files_are_found_and_watched() {
            let home = tempfile::tempdir().unwrap();
            let folder = home.path().join(".config/sops/age");
            fs::create_dir_all(&folder).unwrap();
            let file = folder.join("keys.txt");
            fs::copy(format!("{TESTDATA}/alice.age.txt"), &file).unwrap();
            for (mode, warnings) in [(0o600, 0), (0o640, 1), (0o604, 1)] {
                fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
                let places = places(&[("HOME", home.path().to_str().unwrap())]);
                assert_eq!(found(&places, "age1…"), 1);
                assert_eq!(places.warnings().len(), warnings);
            }
        }

        #[test]
        fn a_file_is_read_once() {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("keys.txt");
            fs::copy(format!("{TESTDATA}/alice.age.txt"), &file).unwrap();
            let places = places(&[("SOPS_AGE_KEY_FILE", file.to_str().unwrap())]);
            assert_eq!(found(&places, "age1…"), 1);
            fs::remove_file(&file).unwrap();
            assert_eq!(found(&places, "age1…"), 1);
            assert!(answers(&places, "age1…").iter().all(Result::is_ok));
        }
    }

    #[test]
    fn folders_of_each_system() {
        let all = variables(&[
            ("HOME", "/home/me"),
            ("USERPROFILE", "C:\\Users\\me"),
            ("AppData", "C:\\Data"),
        ]);
        let folder = |system| {
            let home = home(&all, system);
            config_folder(&all, system, home.as_deref())
                .unwrap()
                .unwrap()
        };
        assert_eq!(folder(System::Unix), Path::new("/home/me/.config"));
        assert_eq!(
            folder(System::MacOs),
            Path::new("/home/me/Library/Application Support")
        );
        assert_eq!(folder(System::Windows), Path::new("C:\\Data"));
        assert_eq!(
            home(&all, System::Windows),
            Some(PathBuf::from("C:\\Users\\me"))
        );

        let xdg = variables(&[("HOME", "/home/me"), ("XDG_CONFIG_HOME", "/xdg")]);
        for system in [System::Unix, System::MacOs] {
            let folder = config_folder(&xdg, system, Some(Path::new("/home/me")));
            assert_eq!(folder.unwrap(), Some(PathBuf::from("/xdg")));
        }
        let empty = variables(&[("HOME", "/home/me"), ("XDG_CONFIG_HOME", "")]);
        let folder = config_folder(&empty, System::Unix, Some(Path::new("/home/me")));
        assert_eq!(folder.unwrap(), Some(PathBuf::from("/home/me/.config")));
        assert_eq!(
            config_folder(&variables(&[]), System::Unix, None).unwrap(),
            None
        );
    }

    #[test]
    fn terminals_are_not_commanded_by_what_they_show() {
        assert_eq!(printable("a\u{1b}[2Jb\r\nc"), "a [2Jb  c");
    }
}
