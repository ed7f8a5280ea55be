//! Reading input and replacing files: the only place of the program that touches the user's files.
//!
//! A file is replaced completely or left as it was (law 7). Knows nothing of formats or encryption.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::{Path, PathBuf};

use sops_rs::span::Position;
use tempfile::Builder;
use zeroize::Zeroizing;

use super::context::Context;
use super::exit::Exit;
use super::private::StagedFile;
use super::report::Failure;

/// Where a command reads from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Standard input.
    Stdin,
    /// A file, as the user named it.
    File(PathBuf),
}

impl Input {
    /// What the argument means: no file, `-` and `/dev/stdin` under any of its names are standard input.
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        match file {
            Some(path) if !is_stdin(&path) => Self::File(path),
            _ => Self::Stdin,
        }
    }

    /// The name for messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Stdin => "<stdin>".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// Whether this is standard input. It is never opened by these names: a socket cannot be.
fn is_stdin(path: &Path) -> bool {
    let names = ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];
    names.map(Path::new).contains(&path)
}

/// Whether a path stands for a file that this process has open, whatever that is.
fn is_descriptor(path: &Path) -> bool {
    path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd")
}

/// Refuses what can be read once and not be replaced: standard input, pipes, process substitutions, devices.
///
/// # Errors
/// [`Exit::Conflict`] with the name.
pub(crate) fn refuse_stream(context: &Context, path: &Path) -> Result<(), Failure> {
    let refused = |message: String| Err(Failure::new(Exit::Conflict, message).hint("name a file"));
    if is_stdin(path) {
        return refused("standard input cannot be replaced".to_owned());
    }
    let found = fs::metadata(context.resolve(path));
    if is_descriptor(path) || found.is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        let name = path.display();
        return refused(format!("`{name}` is no file and cannot be replaced"));
    }
    Ok(())
}

/// Reads all of `input`. The bytes are wiped when dropped.
///
/// # Errors
/// [`Exit::NoFile`] if the file does not exist, [`Exit::CannotRead`] for everything else.
pub(crate) fn read(context: &mut Context, input: &Input) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let bytes = match input {
        Input::Stdin => read_stdin(context),
        Input::File(path) => read_file(&context.resolve(path)),
    };
    bytes.map_err(|error| {
        let name = input.name();
        match error.kind() {
            ErrorKind::NotFound => {
                Failure::new(Exit::NoFile, format!("the file `{name}` does not exist"))
            }
            ErrorKind::IsADirectory => Failure::new(
                Exit::CannotRead,
                format!("`{name}` is a directory, not a file"),
            ),
            _ => Failure::new(Exit::CannotRead, format!("cannot read `{name}`: {error}")),
        }
    })
}

fn read_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    read_all(file, usize::try_from(size).unwrap_or(0))
}

fn read_stdin(context: &mut Context) -> io::Result<Zeroizing<Vec<u8>>> {
    let stdin = context
        .take_stdin()
        .ok_or_else(|| io::Error::other("it was read before"))?;
    read_all(stdin, 0)
}

/// Reads to the end without leaving copies behind: a buffer that has to grow is wiped.
fn read_all(mut source: impl io::Read, size: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    // One byte more than expected, so that the end is seen without growing.
    let mut bytes = Zeroizing::new(Vec::with_capacity(size.saturating_add(1).max(8192)));
    loop {
        let room = bytes.capacity() - bytes.len();
        if room == 0 {
            let mut larger = Zeroizing::new(Vec::with_capacity(bytes.capacity().saturating_mul(2)));
            larger.extend_from_slice(&bytes);
            bytes = larger;
            continue;
        }
        let limit = u64::try_from(room).unwrap_or(u64::MAX);
        if source.by_ref().take(limit).read_to_end(&mut bytes)? < room {
            return Ok(bytes);
        }
    }
}

/// The text in `bytes`, which are those of the file `name`.
///
/// # Errors
/// [`Exit::CannotRead`] with the line and column of the first byte that is not UTF-8.
pub(crate) fn text<'a>(bytes: &'a [u8], name: &str) -> Result<&'a str, Failure> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Failure::new(
            Exit::CannotRead,
            format!("`{name}` is UTF-16 text, not UTF-8"),
        )
        .hint("save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`"));
    }
    str::from_utf8(bytes).map_err(|error| {
        let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let Position { line, column } =
            Position::of(str::from_utf8(valid).unwrap_or_default(), valid.len());
        Failure::new(Exit::CannotRead, format!("`{name}` is not UTF-8 text"))
            .detail(format!(
                "the first bad byte is in line {line}, column {column}"
            ))
            .hint("save it as UTF-8, or use `--input-type binary` for data that is not text")
    })
}

/// Who may read a file that is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// Sealed or harmless data: mode 0666 less the umask.
    Public,
    /// Plaintext or keys: mode 0600.
    Private,
}

/// Puts `bytes` in place of the file `path`, which need not exist: all of it, or nothing at all.
///
/// A link is followed and stays; mode, owner and group of an existing file are kept, other attributes and hard links
/// are not. `-` and `/dev/stdout` are standard output; pipes and devices are written to.
///
/// # Errors
/// [`Exit::CannotWrite`]; the file is then as it was.
pub(crate) fn replace(
    context: &mut Context,
    path: &Path,
    bytes: &[u8],
    privacy: Privacy,
) -> Result<(), Failure> {
    if path == Path::new("-") || path == Path::new("/dev/stdout") {
        return context.print(bytes);
    }
    if path == Path::new("/dev/stderr") {
        context.print_error(bytes);
        return Ok(());
    }
    replace_file(&context.resolve(path), bytes, privacy).map_err(|error| cannot_write(path, &error))
}

/// Makes the new file `path`. What exists is never overwritten.
///
/// # Errors
/// [`Exit::CannotWrite`], also if something of that name exists.
pub(crate) fn create(path: &Path, bytes: &[u8], privacy: Privacy) -> Result<(), Failure> {
    let create = || {
        let staged = stage(path, bytes, None, privacy)?;
        staged.persist(|file| Ok(file.persist_noclobber(path)?))?;
        sync_parent(path);
        Ok(())
    };
    create().map_err(|error: io::Error| cannot_write(path, &error))
}

/// Makes the directories that lead to the new file `path`, for this user alone.
///
/// # Errors
/// [`Exit::CannotWrite`].
pub(crate) fn make_parents(context: &Context, path: &Path) -> Result<(), Failure> {
    let target = context.resolve(path);
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(parent(&target));
    made.map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::new(
        Exit::CannotWrite,
        format!("cannot write `{}`: {error}", path.display()),
    );
    match error.kind() {
        ErrorKind::NotFound => failure.hint("create its directory first"),
        ErrorKind::ResourceBusy | ErrorKind::CrossesDevices => failure
            .detail("the file is a mount point of its own (a bind mount, as containers use them)")
            .hint("mount its directory instead, or write with `--output` and copy the result"),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => failure.hint(
            "make its directory writable: a file is written beside its place, then moved there",
        ),
        _ => failure,
    }
}

fn replace_file(path: &Path, bytes: &[u8], privacy: Privacy) -> io::Result<()> {
    // A path such as /dev/fd/3 stands for an open file: replacing that would be lost on its owner.
    if is_descriptor(path) {
        return OpenOptions::new().append(true).open(path)?.write_all(bytes);
    }
    let target = follow(path)?;
    let old = match fs::metadata(&target) {
        Ok(old) if old.is_dir() => return Err(ErrorKind::IsADirectory.into()),
        Ok(old) if !old.is_file() => {
            return OpenOptions::new()
                .write(true)
                .open(&target)?
                .write_all(bytes);
        }
        Ok(old) => Some(old),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let staged = stage(&target, bytes, old.as_ref(), privacy)?;
    staged.persist(|file| Ok(file.persist(&target)?))?;
    sync_parent(&target);
    Ok(())
}

/// As many links in a row as Linux follows.
const MAX_LINKS: usize = 40;

/// What `path` leads to, which need not exist.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(target) = fs::read_link(&path) else {
            return Ok(path);
        };
        path = parent(&path).join(target);
    }
    Err(io::Error::other("too many symbolic links"))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// As much of the target's name goes into that of the temporary file; most systems allow 255 bytes for both.
const LONGEST_NAME: usize = 200;

/// Writes `bytes` to disk in a new file beside `target`, which disappears unless it is persisted, by a signal too.
fn stage(
    target: &Path,
    bytes: &[u8],
    old: Option<&Metadata>,
    privacy: Privacy,
) -> io::Result<StagedFile> {
    let name = target
        .file_name()
        .ok_or(ErrorKind::InvalidFilename)?
        .as_bytes();
    let name = name.get(..LONGEST_NAME).unwrap_or(name);
    let prefix = [b".".as_slice(), name, b".sops-rs-"].concat();
    let mode = match (old, privacy) {
        // Opened to others only when the owner is right.
        (Some(_), _) | (None, Privacy::Private) => 0o600,
        (None, Privacy::Public) => 0o666,
    };
    let staged = StagedFile::new(|| {
        Builder::new()
            .prefix(OsStr::from_bytes(&prefix))
            .make_in(parent(target), |path| {
                OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(mode)
                    .open(path)
            })
    })?;
    let mut file = staged.as_file()?;
    file.write_all(bytes)?;
    if let Some(old) = old {
        take_over_owner(file, old)?;
    }
    file.sync_all()?;
    Ok(staged)
}

/// Gives `file` the owner, group and mode of `old`. Only root can give files away: without that right the file belongs
/// to who wrote it, and a group that cannot be kept gets no more than everybody has.
fn take_over_owner(file: &File, old: &Metadata) -> io::Result<()> {
    let mut mode = old.mode() & 0o7777;
    let new = file.metadata()?;
    if new.uid() != old.uid() && fchown(file, Some(old.uid()), None).is_err() {
        mode &= !0o4000;
    }
    if new.gid() != old.gid() && fchown(file, None, Some(old.gid())).is_err() {
        mode = (mode & !0o2070) | ((mode & 0o007) << 3);
    }
    file.set_permissions(Permissions::from_mode(mode))
}

/// Makes the new name survive a loss of power. Not every file system can; the file itself is complete by then.
fn sync_parent(path: &Path) {
    drop(File::open(parent(path)).and_then(|dir| dir.sync_all()));
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::path::{Path, PathBuf};

    use tempfile::TempDir;

    use super::super::context::testing::context;
    use super::super::exit::Exit;
    use super::{Input, Privacy, create, read, read_all, refuse_stream, replace, text};

    /// A directory with the file `f`, which holds `old` and has mode 0640.
    fn with_file() -> (TempDir, PathBuf) {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("f");
        create(&file, b"old", Privacy::Public).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        (dir, file)
    }

    fn write(dir: &Path, path: &str, privacy: Privacy) -> Result<(), String> {
        let (mut context, ..) = context(dir, &[], b"");
        replace(&mut context, Path::new(path), b"new", privacy)
            .map_err(|failure| failure.render("sops-rs", false))
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_with_its_mode_and_nothing_is_left_over() {
        let (dir, file) = with_file();
        write(dir.path(), "f", Privacy::Private).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(mode(&file), 0o640);
        assert_eq!(names(dir.path()), ["f"]);
    }

    #[test]
    fn new_plaintext_is_for_its_owner_alone() {
        let dir = TempDir::new().unwrap();
        write(dir.path(), "plain", Privacy::Private).unwrap();
        assert_eq!(mode(&dir.path().join("plain")), 0o600);
        write(dir.path(), "sealed", Privacy::Public).unwrap();
        assert_eq!(mode(&dir.path().join("sealed")) & 0o600, 0o600);
    }

    #[test]
    fn a_long_name_is_no_obstacle() {
        let dir = TempDir::new().unwrap();
        let name = "x".repeat(255);
        write(dir.path(), &name, Privacy::Public).unwrap();
        assert_eq!(names(dir.path()), [name]);
    }

    #[test]
    fn links_are_followed_and_stay() {
        let (dir, file) = with_file();
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).unwrap();
        symlink("../f", folder.join("link")).unwrap();
        symlink("absent", folder.join("dangling")).unwrap();
        symlink("circle", folder.join("circle")).unwrap();
        write(dir.path(), "folder/link", Privacy::Public).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(folder.join("link").is_symlink());
        write(dir.path(), "folder/dangling", Privacy::Public).unwrap();
        assert_eq!(fs::read(folder.join("absent")).unwrap(), b"new");
        assert!(write(dir.path(), "folder/circle", Privacy::Public).is_err());
    }

    #[test]
    fn a_failed_write_leaves_the_file_and_no_other() {
        let (dir, file) = with_file();
        let error = write(dir.path(), "absent/f", Privacy::Public).unwrap_err();
        assert!(
            error.starts_with("sops-rs: error: cannot write `absent/f`: "),
            "{error}"
        );
        assert!(!error.contains("sops-rs-"), "no temporary name: {error}");
        assert!(
            error.contains("hint: create its directory first"),
            "{error}"
        );
        fs::create_dir(dir.path().join("folder")).unwrap();
        assert!(
            write(dir.path(), "folder", Privacy::Public)
                .unwrap_err()
                .contains("directory")
        );
        assert!(
            create(&file, b"new", Privacy::Public).is_err(),
            "create never overwrites"
        );
        assert_eq!(fs::read(&file).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["f", "folder"]);
    }

    #[test]
    fn devices_and_standard_output_are_written_to() {
        let (dir, _) = with_file();
        write(dir.path(), "/dev/null", Privacy::Public).unwrap();
        assert!(!Path::new("/dev/null").is_file());
        let (mut context, stdout, _) = context(dir.path(), &[], b"");
        for path in ["-", "/dev/stdout"] {
            replace(&mut context, Path::new(path), b"new", Privacy::Private).unwrap();
            assert_eq!(stdout.take(), "new");
        }
        assert_eq!(names(dir.path()), ["f"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_of() {
        let error = write(Path::new("/"), "/dev/full", Privacy::Public).unwrap_err();
        assert!(
            error.contains("cannot write `/dev/full`: No space left on device"),
            "{error}"
        );
    }

    #[test]
    fn input_is_a_file_or_standard_input_once() {
        let (dir, _) = with_file();
        let (mut context, ..) = context(dir.path(), &[], b"piped");
        assert_eq!(
            *read(&mut context, &Input::new(Some("f".into()))).unwrap(),
            b"old"
        );
        for stdin in [None, Some("-"), Some("/dev/stdin"), Some("/dev/fd/0")] {
            assert_eq!(Input::new(stdin.map(PathBuf::from)), Input::Stdin);
        }
        assert_eq!(*read(&mut context, &Input::Stdin).unwrap(), b"piped");
        assert_eq!(
            read(&mut context, &Input::Stdin).unwrap_err().exit,
            Exit::CannotRead
        );
        let absent = read(&mut context, &Input::File("absent".into())).unwrap_err();
        assert_eq!(absent.exit, Exit::NoFile);
        assert_eq!(absent.message, "the file `absent` does not exist");
        let folder = read(&mut context, &Input::File(".".into())).unwrap_err();
        assert_eq!(folder.exit, Exit::CannotRead);
        assert_eq!(folder.message, "`.` is a directory, not a file");
    }

    #[test]
    fn what_is_no_file_cannot_be_replaced() {
        let (dir, _) = with_file();
        let (context, ..) = context(dir.path(), &[], b"");
        let refuse = |path: &str| refuse_stream(&context, Path::new(path));
        for path in ["-", "/dev/stdin", "/proc/self/fd/3", "/dev/null"] {
            assert_eq!(refuse(path).unwrap_err().exit, Exit::Conflict, "{path}");
        }
        for path in ["f", "absent", "."] {
            assert!(refuse(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn input_of_any_size_is_read_whole() {
        for size in [0, 1, 8191, 8192, 8193, 100_000] {
            let data = vec![7; size];
            assert_eq!(*read_all(data.as_slice(), 0).unwrap(), data);
            assert_eq!(*read_all(data.as_slice(), size).unwrap(), data);
        }
    }

    #[test]
    fn text_is_utf_8_and_nothing_else() {
        assert_eq!(text("ä".as_bytes(), "f").unwrap(), "ä");
        let message = |bytes: &[u8]| text(bytes, "f").unwrap_err().render("sops-rs", false);
        assert!(message(b"a: 1\nb: \xffS3CR3T").contains("line 2, column 4"));
        assert!(!message(b"a: 1\nb: \xffS3CR3T").contains("S3CR3T"));
        assert!(message(b"\xff\xfea\0").contains("`f` is UTF-16 text"));
    }
}
