//! The Unix socket of a service: made for its user alone, found to be stale or alive, removed at the end. Also the signals
//! that are such an end.
//!
//! Knows nothing of what is said on the socket.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, flock};
use rustix::io::Errno;
use rustix::process::{geteuid, umask};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use sops_rs::keys::service::Stop;

use super::exit::Exit;
use super::private::ignored_signals;
use super::report::Failure;

/// How long to wait for another service that is just starting in the same folder.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(10);

/// A socket in its place. It is removed on drop.
#[derive(Debug)]
pub(crate) struct Socket {
    path: PathBuf,
    id: Id,
}

/// Device, number and time of a file, so that no other one is removed: numbers are used again.
type Id = (u64, u64, i64, i64);

fn id(metadata: &fs::Metadata) -> Id {
    let (dev, ino) = (metadata.dev(), metadata.ino());
    (dev, ino, metadata.mtime(), metadata.mtime_nsec())
}

impl Socket {
    /// Makes the socket `path`, mode 0600. One that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// [`Exit::Failed`] if others could replace it, something else stands there, or somebody listens on it.
    pub(crate) fn bind(path: &Path) -> Result<(Self, UnixListener), Failure> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let lock = refuse_foreign(folder, path)?;
        // Held until the socket is there: two that start at once must not replace each other's.
        let cannot = |error: io::Error| cannot_make(path, &error);
        wait_for_turn(&lock).map_err(cannot)?;
        clear(path)?;
        let before = umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
        let bound = UnixListener::bind(path);
        umask(before);
        let listener = bound.map_err(cannot)?;
        let metadata = fs::symlink_metadata(path).map_err(cannot)?;
        let socket = Self {
            path: path.to_owned(),
            id: id(&metadata),
        };
        Ok((socket, listener))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let ours = |metadata: fs::Metadata| id(&metadata) == self.id;
        if fs::symlink_metadata(&self.path).is_ok_and(ours) {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Locks a folder. Others may lock it, too, if they can read it, and for as long as they like.
fn wait_for_turn(folder: &File) -> io::Result<()> {
    let given_up = Instant::now() + PATIENCE;
    loop {
        match flock(folder, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::AGAIN) if Instant::now() < given_up => std::thread::sleep(PAUSE),
            Err(Errno::AGAIN) => return Err(io::Error::other("somebody keeps its folder locked")),
            result => return result.map_err(Into::into),
        }
    }
}

fn cannot_make(path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot make the socket `{}`: {error}", path.display());
    let failure = Failure::new(Exit::Failed, message);
    match error.kind() {
        ErrorKind::NotFound => failure.hint("make its folder first, with `mkdir -m 700`"),
        _ => failure.hint("name another place, in a folder of your own"),
    }
}

/// Opens the folder, unless others could put something else in the place of the socket.
fn refuse_foreign(folder: &Path, path: &Path) -> Result<File, Failure> {
    let cannot = |error: io::Error| cannot_make(path, &error);
    let folder_file = File::open(folder).map_err(cannot)?;
    let metadata = folder_file.metadata().map_err(cannot)?;
    let sticky = metadata.mode() & 0o1000 != 0;
    let open = metadata.mode() & 0o022 != 0 && !sticky;
    let foreign = metadata.uid() != geteuid().as_raw() && metadata.uid() != 0;
    if open || foreign {
        let message = format!("others can replace a socket in `{}`", folder.display());
        return Err(
            Failure::new(Exit::Failed, message).hint("put it into a folder that is yours alone")
        );
    }
    Ok(folder_file)
}

/// Removes a socket that nobody listens on.
fn clear(path: &Path) -> Result<(), Failure> {
    let shown = path.display();
    let kind = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(cannot_make(path, &error)),
        Ok(metadata) => metadata.file_type(),
    };
    if !kind.is_socket() {
        let message = format!("`{shown}` is in the way, and no socket");
        return Err(Failure::new(Exit::Failed, message).hint("name another place, or remove it"));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| cannot_make(path, &error))
        }
        _ => Err(Failure::new(
            Exit::Failed,
            format!("somebody listens on `{shown}` already"),
        )
        .hint("use that service, or end it first")),
    }
}

/// Makes the folder `path`, which only the user can enter, or finds it so.
///
/// # Errors
/// [`Exit::Failed`] if it cannot be made, or others can enter it or own it.
pub(crate) fn private_folder(path: &Path) -> Result<(), Failure> {
    let shown = path.display();
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            let message = format!("cannot make the folder `{shown}`: {error}");
            return Err(Failure::new(Exit::Failed, message)
                .hint("set XDG_RUNTIME_DIR to a folder that is yours alone"));
        }
        _ => {}
    }
    let private = fs::symlink_metadata(path).is_ok_and(|metadata| {
        metadata.is_dir() && metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o077 == 0
    });
    if private {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Failed,
        format!("`{shown}` is not a folder of yours alone"),
    )
    .hint("remove it, or set XDG_RUNTIME_DIR to a folder that is"))
}

/// From now on the signals that end a program (Ctrl-C is one) end the service, so that it can clean up.
///
/// # Errors
/// [`Exit::Failed`] if the system does not let us wait for signals.
pub(crate) fn stop_on_signals(stop: &Stop) -> Result<(), Failure> {
    let cannot =
        |error: io::Error| Failure::new(Exit::Failed, format!("cannot wait for signals: {error}"));
    let ignored = ignored_signals();
    let heeded = [SIGHUP, SIGINT, SIGTERM]
        .into_iter()
        .filter(|signal| ignored & (1 << (signal - 1)) == 0);
    let mut signals = Signals::new(heeded).map_err(cannot)?;
    let stop = stop.clone();
    let waiting = std::thread::Builder::new().spawn(move || {
        for _ in signals.forever() {
            stop.request();
        }
    });
    waiting.map(drop).map_err(cannot)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::time::Duration;

    use rustix::fs::{FlockOperation, flock};
    use sops_rs::keys::KeyService as _;
    use sops_rs::keys::remote::{Address, Remote};
    use sops_rs::keys::service::{Listener, Refusal, Responder, Stop, serve};
    use sops_rs::recipient::Recipient;
    use sops_rs::secret::DataKey;

    use super::{Socket, private_folder};

    #[test]
    fn a_socket_is_for_its_user_and_goes_with_its_owner() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("s");
        let (socket, _listener) = Socket::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        UnixStream::connect(&path).unwrap();
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("s");
        let (socket, listener) = Socket::bind(&path).unwrap();
        let error = Socket::bind(&path).unwrap_err();
        assert!(error.message.contains("listens on"), "{error:?}");
        drop(listener);
        let (_second, _listening) = Socket::bind(&path).unwrap();
        drop(socket);
        assert!(path.exists(), "the socket of another is not removed");
    }

    #[test]
    fn a_folder_that_is_kept_locked_is_given_up() {
        let place = tempfile::tempdir().unwrap();
        let folder = File::open(place.path()).unwrap();
        flock(&folder, FlockOperation::LockExclusive).unwrap();
        let error = Socket::bind(&place.path().join("s")).unwrap_err();
        assert!(
            error.message.ends_with("keeps its folder locked"),
            "{error:?}"
        );
    }

    struct Nobody;

    impl Responder for Nobody {
        fn wrap(&self, _: &Recipient, _: &DataKey) -> Result<String, Refusal> {
            Err(Refusal::Denied)
        }

        fn unwrap(&self, _: &Recipient, _: &str) -> Result<DataKey, Refusal> {
            Err(Refusal::Denied)
        }
    }

    /// What a service on a socket says to this user if it is there for `only` that one.
    fn said(only: u32) -> String {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("s");
        let (_socket, socket) = Socket::bind(&path).unwrap();
        let listener = Listener::Unix {
            socket,
            only: Some(only),
        };
        let stop = Stop::default();
        let stopped = stop.clone();
        let serving = std::thread::spawn(move || serve(listener, Arc::new(Nobody), None, &stopped));
        let remote = Remote::new(Address::Unix { path }, Duration::from_secs(20));
        let recipient = "age1x".to_owned();
        let error = remote.unwrap(&Recipient::Age { recipient }, "x");
        stop.request();
        serving.join().unwrap().unwrap();
        error.unwrap_err().in_full()
    }

    #[test]
    fn other_users_are_not_heard() {
        let user = rustix::process::geteuid().as_raw();
        assert!(said(user).ends_with("refused: the request was rejected"));
        let other = said(user + 1);
        assert!(other.contains("cannot be reached"), "{other}");
    }

    #[test]
    fn nothing_but_a_socket_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("s");
        fs::create_dir(&path).unwrap();
        let error = Socket::bind(&path).unwrap_err();
        assert!(error.message.contains("in the way"), "{error:?}");
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o777)).unwrap();
        let error = Socket::bind(&place.path().join("s")).unwrap_err();
        assert!(error.message.contains("others can replace"), "{error:?}");
        fs::set_permissions(place.path(), Permissions::from_mode(0o1777)).unwrap();
        Socket::bind(&place.path().join("s")).unwrap();
    }

    #[test]
    fn a_private_folder_is_a_real_one_of_mode_0700() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("f");
        private_folder(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        private_folder(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o750)).unwrap();
        assert!(private_folder(&folder).is_err());
        let link = place.path().join("link");
        symlink(place.path(), &link).unwrap();
        assert!(private_folder(&link).is_err());
    }
}
