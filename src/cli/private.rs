//! A directory for plaintext that other programs must see: only the user can enter it, it lies in memory where the
//! system has such a place, and it is wiped however the program ends, by a signal too.
//!
//! A file that is not yet in its place is wiped by a signal in the same way. Also keeps the memory of this process out of
//! core dumps. Knows nothing of what the plaintext is. `kill -9` and a loss of power are the two ends it cannot see; a
//! directory in memory does not survive the second.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getrlimit, kill_process, setrlimit,
    waitid,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tempfile::NamedTempFile;

use super::context::Context;
use super::exit::Exit;
use super::report::Failure;

/// What has to be done when a signal ends the process. Signals are of the process, hence so is this.
struct Watch {
    /// Whether the thread that waits for signals runs.
    watching: bool,
    /// Directories to wipe.
    directories: Vec<PathBuf>,
    /// Files to wipe: those that are not yet in their place.
    files: Vec<PathBuf>,
    /// The program that works in them.
    editor: Option<Pid>,
    /// Whether a signal is ending the process.
    ending: bool,
}

static WATCH: Mutex<Watch> = Mutex::new(Watch {
    watching: false,
    directories: Vec::new(),
    files: Vec::new(),
    editor: None,
    ending: false,
});
static EDITOR_ENDED: Condvar = Condvar::new();

/// How long an editor gets to end after SIGTERM, before it is killed.
const PATIENCE: Duration = Duration::from_secs(2);

fn watch() -> MutexGuard<'static, Watch> {
    WATCH.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Starts the thread that waits for signals, once.
    fn start(&mut self) -> io::Result<()> {
        if !self.watching {
            let ignored = ignored_signals();
            let heeded = [SIGHUP, SIGINT, SIGQUIT, SIGTERM]
                .into_iter()
                .filter(|signal| ignored & (1 << (signal - 1)) == 0);
            let signals = Signals::new(heeded)?;
            std::thread::Builder::new().spawn(move || await_signals(signals))?;
            self.watching = true;
        }
        Ok(())
    }
}

/// The signals that this process was started to ignore, as `nohup` does it for SIGHUP, one bit each; none where the
/// system does not tell. Waiting for them would undo that.
pub(crate) fn ignored_signals() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

/// A file on its way to its place. It is removed on drop, and wiped if a signal ends the process.
#[derive(Debug)]
pub(crate) struct StagedFile {
    file: Option<NamedTempFile>,
    path: PathBuf,
}

impl StagedFile {
    /// Makes the file. No signal can end the process between its making and its being known.
    ///
    /// # Errors
    /// The error of `make`, or of waiting for signals.
    pub(crate) fn new(make: impl FnOnce() -> io::Result<NamedTempFile>) -> io::Result<Self> {
        let mut watch = watch();
        watch.start()?;
        let file = make()?;
        let path = file.path().to_owned();
        watch.files.push(path.clone());
        Ok(Self {
            file: Some(file),
            path,
        })
    }

    /// The open file.
    ///
    /// # Errors
    /// None for as long as the file is not in its place.
    pub(crate) fn as_file(&self) -> io::Result<&File> {
        let file = self.file.as_ref().map(NamedTempFile::as_file);
        file.ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// Moves the file to its place with `persist`. A signal comes before or after, and wipes no file in its place.
    ///
    /// # Errors
    /// The error of `persist`.
    pub(crate) fn persist(
        mut self,
        persist: impl FnOnce(NamedTempFile) -> io::Result<File>,
    ) -> io::Result<()> {
        let _watch = watch();
        match self.file.take() {
            Some(file) => persist(file).map(drop),
            None => Err(ErrorKind::NotFound.into()),
        }
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        // Gone from the disk before it is gone from the list.
        drop(self.file.take());
        watch().files.retain(|file| *file != self.path);
    }
}

/// A directory that only the user can enter and that is wiped on drop.
#[derive(Debug)]
pub(crate) struct PrivateDir {
    path: PathBuf,
}

impl PrivateDir {
    /// Makes a directory with a random name in memory; on disk, with a note to the user, if there is no such place.
    ///
    /// # Errors
    /// [`Exit::CannotWrite`] if there is no place for a directory at all.
    pub(crate) fn new(context: &mut Context) -> Result<Self, Failure> {
        let cannot = |error: io::Error| {
            let message = format!("cannot make a private directory for the plaintext: {error}");
            Failure::new(Exit::CannotWrite, message)
                .hint("set TMPDIR to a directory that you can write to")
        };
        for place in in_memory(context) {
            if let Ok(directory) = Self::within(&place) {
                return Ok(directory);
            }
        }
        let place = temporary(context);
        if !lies_in_memory(&place) {
            context.note(&format!(
                "no file system in memory found; the plaintext is on disk in `{}` for now",
                place.display()
            ));
        }
        Self::within(&place).map_err(cannot)
    }

    /// Makes a directory with a random name in `place`.
    fn within(place: &Path) -> io::Result<Self> {
        let mut watch = watch();
        watch.start()?;
        let path = tempfile::Builder::new()
            .prefix("sops-rs-")
            .rand_bytes(16)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(place)?
            .keep();
        watch.directories.push(path.clone());
        Ok(Self { path })
    }

    /// The directory.
    #[cfg(test)]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the new file `name` in the directory, mode 0600.
    ///
    /// # Errors
    /// [`Exit::CannotWrite`].
    pub(crate) fn write(&self, name: &Path, bytes: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.path.join(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        file.and_then(|mut file| file.write_all(bytes))
            .map_err(|error| {
                let message = format!("cannot write `{}`: {error}", path.display());
                Failure::new(Exit::CannotWrite, message)
            })?;
        Ok(path)
    }

    /// Runs a program that works in the directory, to its end. Meanwhile Ctrl-C is the program's business alone; if a
    /// signal ends this process, the program is ended first.
    ///
    /// # Errors
    /// The error of starting it.
    pub(crate) fn run(&self, command: &mut Command) -> io::Result<ExitStatus> {
        let mut state = watch();
        let mut child = command.spawn()?;
        state.editor = Some(Pid::from_child(&child));
        drop(state);
        // The number stays the child's until `wait`, so that no signal can go to a stranger.
        await_end(&child);
        let mut state = watch();
        state.editor = None;
        EDITOR_ENDED.notify_all();
        if state.ending {
            drop(state);
            loop {
                std::thread::park();
            }
        }
        drop(state);
        child.wait()
    }

    /// Wipes the directory.
    ///
    /// # Errors
    /// [`Exit::CannotWrite`] if something of it is left.
    pub(crate) fn close(self) -> Result<(), Failure> {
        self.wipe().map_err(|error| {
            let message = format!("plaintext is left in `{}`: {error}", self.path.display());
            Failure::new(Exit::CannotWrite, message).hint("remove that directory")
        })
    }

    fn wipe(&self) -> io::Result<()> {
        let mut watch = watch();
        watch
            .directories
            .retain(|directory| *directory != self.path);
        wipe(&self.path)
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        drop(self.wipe());
    }
}

/// Where a private directory would lie in memory; `None` if it would lie on disk.
pub(crate) fn memory(context: &Context) -> Option<PathBuf> {
    let all = in_memory(context).into_iter();
    let mut all = all.chain(Some(temporary(context)).filter(|place| lies_in_memory(place)));
    all.find(|place| rustix::fs::access(place, rustix::fs::Access::WRITE_OK).is_ok())
}

/// Places in memory, the best first.
fn in_memory(context: &Context) -> Vec<PathBuf> {
    let runtime_dir = context.variable("XDG_RUNTIME_DIR").map(PathBuf::from);
    let places = runtime_dir.into_iter().chain([PathBuf::from("/dev/shm")]);
    places
        .filter(|place| place.is_absolute() && lies_in_memory(place))
        .collect()
}

/// The place for temporary files, in memory or not.
fn temporary(context: &Context) -> PathBuf {
    let place = context.variable("TMPDIR");
    context.resolve(&place.map_or_else(|| "/tmp".into(), PathBuf::from))
}

fn await_end(child: &Child) {
    let id = WaitId::Pid(Pid::from_child(child));
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while matches!(waitid(id.clone(), options), Err(rustix::io::Errno::INTR)) {}
}

fn await_signals(mut signals: Signals) {
    for signal in signals.forever() {
        let mut watch = watch();
        // Ctrl-C goes to every program of the terminal; what it means is up to the editor.
        if watch.editor.is_some() && matches!(signal, SIGINT | SIGQUIT) {
            continue;
        }
        watch.ending = true;
        if let Some(editor) = watch.editor {
            let _ = kill_process(editor, Signal::TERM);
            let ended = EDITOR_ENDED.wait_timeout_while(watch, PATIENCE, |w| w.editor.is_some());
            watch = ended.unwrap_or_else(PoisonError::into_inner).0;
            if let Some(editor) = watch.editor {
                let _ = kill_process(editor, Signal::KILL);
            }
        }
        for directory in &watch.directories {
            drop(wipe(directory));
        }
        for file in &watch.files {
            drop(overwrite(file));
            drop(fs::remove_file(file));
        }
        // The parent shall see which signal it was. The lock is held to the end.
        drop(emulate_default_handler(signal));
        signal_hook::low_level::exit(128 + signal);
    }
}

/// Overwrites every file below `directory` with zeros, then removes all of it. Nothing there is success.
fn wipe(directory: &Path) -> io::Result<()> {
    let mut pending = vec![directory.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => pending.push(entry.path()),
                Ok(kind) if kind.is_file() => {
                    drop(overwrite(&entry.path()));
                }
                _ => {}
            }
        }
    }
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn overwrite(path: &Path) -> io::Result<()> {
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut file = OpenOptions::new()
        .write(true)
        .custom_flags(no_follow)
        .open(path)?;
    let length = file.metadata()?.len();
    io::copy(&mut io::Read::take(io::repeat(0), length), &mut file)?;
    file.sync_data()
}

#[cfg(target_os = "linux")]
fn lies_in_memory(place: &Path) -> bool {
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58f6;
    let kind = rustix::fs::statfs(place)
        .ok()
        .and_then(|system| u64::try_from(system.f_type).ok());
    matches!(kind, Some(TMPFS | RAMFS))
}

#[cfg(not(target_os = "linux"))]
fn lies_in_memory(_place: &Path) -> bool {
    false
}

/// Keeps the memory of this process out of core dumps and away from other processes of the user. Programs started from
/// here inherit the limit, but may raise it again.
pub(crate) fn harden_process() {
    let maximum = getrlimit(Resource::Core).maximum;
    let _ = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum,
        },
    );
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// Whether the memory of this process may still go into a core dump.
pub(crate) fn dumps_core() -> bool {
    getrlimit(Resource::Core).current != Some(0)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};
    use std::os::unix::process::ExitStatusExt as _;
    use std::path::{Path, PathBuf};
    use std::process::{Command, ExitStatus, Stdio};
    use std::time::Duration;

    use rustix::process::{Pid, Signal, kill_process};
    use tempfile::TempDir;

    use super::super::context::{Context, testing::context};
    use super::{PrivateDir, harden_process, lies_in_memory, overwrite, watch};

    #[test]
    fn only_the_user_can_enter_and_nothing_remains() {
        let (mut context, ..) = context(Path::new("/"), &[], b"");
        let directory = PrivateDir::new(&mut context).unwrap();
        let path = directory.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        let file = directory.write(Path::new("f.yaml"), b"secret").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert!(directory.write(Path::new("f.yaml"), b"secret").is_err());
        fs::create_dir(path.join("backup")).unwrap();
        fs::copy(&file, path.join("backup/.f.yaml.swp")).unwrap();
        assert!(watch().directories.contains(&path), "signals know of it");
        directory.close().unwrap();
        assert!(!path.exists());
        assert!(!watch().directories.contains(&path));
    }

    #[test]
    fn a_drop_wipes_too() {
        let place = TempDir::new().unwrap();
        let directory = PrivateDir::within(place.path()).unwrap();
        directory.write(Path::new("f"), b"secret").unwrap();
        drop(directory);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn files_are_overwritten_and_links_are_not_followed() {
        let place = TempDir::new().unwrap();
        let directory = PrivateDir::within(place.path()).unwrap();
        let file = directory.write(Path::new("f"), &[7; 100_000]).unwrap();
        overwrite(&file).unwrap();
        assert_eq!(fs::read(&file).unwrap(), [0; 100_000]);

        let outside = PrivateDir::within(place.path()).unwrap();
        let kept = outside.write(Path::new("kept"), b"kept").unwrap();
        symlink(&kept, directory.path().join("link")).unwrap();
        symlink(outside.path(), directory.path().join("folder")).unwrap();
        directory.close().unwrap();
        assert_eq!(fs::read(&kept).unwrap(), b"kept");
    }

    #[test]
    fn a_place_on_disk_is_told_of() {
        let place = TempDir::new().unwrap();
        let variables = [("XDG_RUNTIME_DIR", place.path().to_str().unwrap())];
        let (mut context, _, stderr) = context(place.path(), &variables, b"");
        let directory = PrivateDir::new(&mut context).unwrap();
        let in_memory = directory.path().parent().is_some_and(lies_in_memory);
        assert_eq!(stderr.take().is_empty(), in_memory);
        assert!(!lies_in_memory(Path::new("/proc")));
    }

    #[test]
    fn a_program_runs_to_its_end() {
        let place = TempDir::new().unwrap();
        let directory = PrivateDir::within(place.path()).unwrap();
        let status = directory
            .run(Command::new("sh").args(["-c", "exit 3"]))
            .unwrap();
        assert_eq!(status.code(), Some(3));
        assert!(directory.run(&mut Command::new("/absent")).is_err());
    }

    /// Not a test of its own, but the other process of those below: it has a private directory, and an editor that runs
    /// until the file `go` appears, if it shall.
    #[test]
    fn a_process_with_plaintext() {
        let context = Context::of_process("sops-rs");
        let Some(place) = context.variable("SOPS_RS_TEST_PLACE").map(PathBuf::from) else {
            return;
        };
        harden_process();
        let directory = PrivateDir::within(&place.join("private")).unwrap();
        directory.write(Path::new("f"), b"secret").unwrap();
        if context.variable("SOPS_RS_TEST_EDITOR").is_some() {
            let script = "echo $$ > editor; while ! [ -e go ]; do sleep 0.01; done";
            directory
                .run(Command::new("sh").args(["-c", script]).current_dir(&place))
                .unwrap();
        } else {
            fs::create_dir(place.join("editor")).unwrap();
            std::thread::sleep(Duration::from_secs(60));
        }
        directory.close().unwrap();
        fs::create_dir(place.join("survived")).unwrap();
    }

    /// Sends `signal` to such a process when it is at work. It is waited for with the function that is returned.
    fn signalled(editor: bool, signal: Signal) -> (TempDir, impl FnOnce() -> ExitStatus) {
        let place = TempDir::new().unwrap();
        fs::create_dir(place.path().join("private")).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "cli::private::tests::a_process_with_plaintext"]);
        command
            .env("SOPS_RS_TEST_PLACE", place.path())
            .stdout(Stdio::null());
        if editor {
            command.env("SOPS_RS_TEST_EDITOR", "1");
        }
        let mut child = command.spawn().unwrap();
        await_path(&place.path().join("editor"));
        kill_process(Pid::from_child(&child), signal).unwrap();
        (place, move || child.wait().unwrap())
    }

    fn await_path(path: &Path) {
        for _ in 0..3000 {
            // The editor's number is there when its file has a line.
            if path.is_dir() || fs::read_to_string(path).is_ok_and(|text| text.ends_with('\n')) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{} does not appear", path.display());
    }

    fn is_empty(directory: &Path) -> bool {
        fs::read_dir(directory).unwrap().next().is_none()
    }

    #[test]
    fn a_signal_wipes_and_then_ends_the_process() {
        for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
            let (place, end) = signalled(false, signal);
            assert_eq!(end().signal(), Some(signal.as_raw()));
            assert!(is_empty(&place.path().join("private")));
        }
    }

    #[test]
    fn a_signal_ends_the_editor_first() {
        for signal in [Signal::TERM, Signal::HUP] {
            let (place, end) = signalled(true, signal);
            assert_eq!(end().signal(), Some(signal.as_raw()));
            assert!(is_empty(&place.path().join("private")));
            let editor = fs::read_to_string(place.path().join("editor")).unwrap();
            let editor = Pid::from_raw(editor.trim().parse().unwrap()).unwrap();
            // Nobody is left to wait for it, so it may be a zombie for a moment; it is no longer running its loop.
            let state = fs::read_to_string(format!("/proc/{}/stat", editor.as_raw_nonzero()));
            assert!(state.is_err() || state.unwrap().contains(") Z "));
        }
    }

    #[test]
    fn ctrl_c_is_the_editors_business() {
        for signal in [Signal::INT, Signal::QUIT] {
            let (place, end) = signalled(true, signal);
            // Time for the signal to arrive while the editor still runs.
            std::thread::sleep(Duration::from_millis(200));
            fs::create_dir(place.path().join("go")).unwrap();
            assert!(end().success());
            assert!(place.path().join("survived").exists());
            assert!(is_empty(&place.path().join("private")));
        }
    }
}
