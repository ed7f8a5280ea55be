//! `agent`: unwraps data keys for the commands of this user and remembers them, so that a long history costs one call to a
//! key service for each data key.
//!
//! It is the key service of `cli::keyservice` on a private socket, with a [`cache`] in front. Knows how it is started, found
//! and ended. It wraps for clients that ask it to, but remembers nothing of that.

mod cache;
mod client;
mod memory;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use jiff::SignedDuration;
use rustix::process::{geteuid, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdout};
use sops_rs::keys::KeyError;
use sops_rs::keys::agent::{AgentStatus, Overseer, status, stop};
use sops_rs::keys::remote::Address;
use sops_rs::keys::service::{Listener, Refusal, Responder, Stop, serve};
use sops_rs::recipient::Recipient;
use sops_rs::secret::DataKey;

use self::cache::{Cache, Id, Lifetime};
use self::memory::Memory;
use super::args::KeyServiceArgs;
use super::context::Context;
use super::exit::Exit;
use super::keyservice::Desk;
use super::report::Failure;
use super::socket::{Socket, private_folder, stop_on_signals};

pub(crate) use client::Client;

/// The one variable by which commands find the agent: the path of its socket.
const VARIABLE: &str = "SOPS_RS_AGENT";

/// How long to wait for an agent that is asked about itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// Remember unwrapped data keys for a while
///
/// With `SOPS_RS_AGENT` set, every command asks the agent first to unwrap a data key. The agent does it with the environment
/// it was started in, and remembers the key, in memory only. What it cannot unwrap, and all wrapping, commands do themselves.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  eval \"$(sops-rs agent start)\"
  git log -p secrets/
  eval \"$(sops-rs agent stop)\"")]
pub(crate) struct Agent {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Start(Start),
    /// Make the agent forget all keys and end
    #[command(after_help = "Example:
  eval \"$(sops-rs agent stop)\"")]
    Stop,
    /// Show how many keys the agent holds
    #[command(after_help = "Example:
  sops-rs agent status")]
    Status,
}

/// Start an agent, unless there is one
///
/// It goes to the background, where nobody can be asked for a passphrase. What is printed sets `SOPS_RS_AGENT` in a shell that
/// evaluates it. The socket is in `$XDG_RUNTIME_DIR/sops-rs`, else in a folder of yours alone below `$TMPDIR`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  eval \"$(sops-rs agent start --idle 1h)\"")]
struct Start {
    /// Forget a key that was not used for so long
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = time)]
    idle: Duration,
    /// Forget a key after so long, used or not
    #[arg(long, value_name = "TIME", default_value = "8h", value_parser = time)]
    max_age: Duration,
    /// Stay in the foreground, and say what is asked for; ends with Ctrl-C
    #[arg(long)]
    foreground: bool,
    /// Set by the agent that started this one: it is in the background
    #[arg(long, hide = true, requires = "foreground")]
    detached: bool,
    #[command(flatten)]
    services: KeyServiceArgs,
}

/// Reads a length of time: `90s`, `15m`, `1h 30m`.
fn time(text: &str) -> Result<Duration, &'static str> {
    let time = text.parse::<SignedDuration>().ok();
    let time = time.and_then(|time| Duration::try_from(time).ok());
    time.filter(|time| !time.is_zero())
        .ok_or("not a length of time such as `90s`, `15m` or `8h`")
}

/// Runs the command.
///
/// # Errors
/// The [`Failure`] to report.
pub(crate) fn run(context: &mut Context, arguments: &Agent) -> Result<Exit, Failure> {
    match &arguments.verb {
        Verb::Start(start) if start.foreground => stay(context, start),
        Verb::Start(start) => go(context, start),
        Verb::Stop => end(context),
        Verb::Status => show(context),
    }
}

/// The number of this user: an agent and its clients have the same.
fn user() -> u32 {
    geteuid().as_raw()
}

/// The address that is the path of a socket.
fn address_of(path: &OsStr) -> Result<Address, String> {
    let path = path.to_str().unwrap_or_default();
    let wrong = |_| "it is not the absolute path of a socket".to_owned();
    format!("unix://{path}").parse().map_err(wrong)
}

/// Where the socket of an agent is, if nothing else is said.
fn default_path(context: &Context) -> PathBuf {
    let own = |name: &str| context.variable(name).map(PathBuf::from);
    let folder = match own("XDG_RUNTIME_DIR").filter(|folder| folder.is_absolute()) {
        Some(folder) => folder.join("sops-rs"),
        None => {
            let place = own("TMPDIR").unwrap_or_else(|| "/tmp".into());
            context
                .resolve(&place)
                .join(format!("sops-rs-agent-{}", user()))
        }
    };
    folder.join("agent.sock")
}

/// Where the agent is that is meant: that of the environment, else the default.
fn meant(context: &Context) -> Result<Address, Failure> {
    let path = match context.variable(VARIABLE) {
        Some(path) => path.to_owned(),
        None => default_path(context).into_os_string(),
    };
    address_of(&path).map_err(|why| {
        Failure::new(
            Exit::Failed,
            format!("no agent can be at `{}`: {why}", path.display()),
        )
        .hint(format!("set {VARIABLE} to what `agent start` prints"))
    })
}

/// What a shell has to evaluate.
fn settings(path: &str) -> String {
    format!("export {VARIABLE}={};\n", shell_words::quote(path))
}

/// Starts another process that stays, and waits until it listens.
fn go(context: &mut Context, start: &Start) -> Result<Exit, Failure> {
    let path = default_path(context);
    if is_there(context, &path)? {
        return Ok(Exit::Success);
    }
    let cannot = |error: io::Error| {
        Failure::new(Exit::Failed, format!("cannot start an agent: {error}"))
            .hint("run it with `--foreground` to see more")
    };
    let mut child = background(context, start).map_err(cannot)?;
    // Both end when the agent listens, and when it ends.
    let (mut said, mut complaints) = (String::new(), Vec::new());
    if let (Some(mut stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) {
        stdout.read_to_string(&mut said).map_err(cannot)?;
        stderr.read_to_end(&mut complaints).map_err(cannot)?;
    }
    if !said.is_empty() {
        context.print_error(&complaints);
        context.print(said.as_bytes())?;
        return Ok(Exit::Success);
    }
    child.wait().map_err(cannot)?;
    // Another one may have been faster.
    if is_there(context, &path)? {
        return Ok(Exit::Success);
    }
    context.print_error(&complaints);
    Ok(Exit::Failed)
}

/// Whether an agent listens on `path`; then it is told where.
fn is_there(context: &mut Context, path: &Path) -> Result<bool, Failure> {
    let address = address_of(path.as_os_str()).ok();
    let Some(Ok(status)) = address.map(|address| status(&address, user(), PATIENCE)) else {
        return Ok(false);
    };
    context.note(&format!(
        "there is an agent already, process {}; it keeps its settings",
        status.pid
    ));
    context.print(settings(&path.to_string_lossy()).as_bytes())?;
    Ok(true)
}

/// This program once more, without a terminal.
fn background(context: &Context, start: &Start) -> io::Result<Child> {
    let time = |time: Duration| format!("{}ms", time.as_millis());
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["agent", "start", "--foreground", "--detached"])
        .args([
            "--idle",
            &time(start.idle),
            "--max-age",
            &time(start.max_age),
        ])
        .arg(format!(
            "--enable-local-keyservice={}",
            start.services.enable_local_keyservice
        ));
    for remote in start.services.remotes() {
        command.arg("--keyservice").arg(remote.to_string());
    }
    command
        .env_clear()
        .envs(context.environment())
        .current_dir(context.working_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Is the agent, until it is told to end.
fn stay(context: &mut Context, start: &Start) -> Result<Exit, Failure> {
    if start.detached {
        // It fails only for the leader of a group, which a process that was just started is not.
        let _ = setsid();
        context.ask_nobody();
    }
    let path = default_path(context);
    let address = address_of(path.as_os_str()).map_err(|why| Failure::new(Exit::Failed, why))?;
    if start.services.remotes().any(|remote| *remote == address) {
        let message = format!("{address} is the agent itself: it cannot be its own key service");
        let remedy = "leave it out of `--keyservice` and SOPS_KEYSERVICE; SOPS_RS_AGENT is for it";
        return Err(Failure::new(Exit::Failed, message).hint(remedy));
    }
    if let Some(folder) = path.parent() {
        private_folder(folder)?;
    }
    let (socket, listener) = Socket::bind(&path)?;
    let lifetime = Lifetime {
        idle: start.idle,
        max_age: start.max_age,
    };
    let cache = clean_cache(context, lifetime)?;
    let stop = Stop::default();
    stop_on_signals(&stop)?;
    let desk = Desk::new(context, start.services.clone()).telling(!start.detached);
    context.print(settings(&path.to_string_lossy()).as_bytes())?;
    if start.detached {
        leave().map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot leave the terminal: {error}"))
        })?;
    } else {
        context.note(&format!("listening on {address}"));
    }
    let listener = Listener::Unix {
        socket: listener,
        only: Some(user()),
    };
    let office = Arc::new(Office {
        desk,
        cache: Arc::clone(&cache),
        lifetime,
        stop: stop.clone(),
    });
    let overseer: Arc<dyn Overseer> = Arc::clone(&office) as _;
    let served = serve(listener, office, Some(overseer), &stop);
    cache.clear();
    drop(socket);
    served.map_err(|error| Failure::new(Exit::Failed, error.in_full()))?;
    Ok(Exit::Success)
}

/// An empty cache, and a thread that keeps it clean.
fn clean_cache(context: &mut Context, lifetime: Lifetime) -> Result<Arc<Cache>, Failure> {
    let cannot = |error: io::Error| {
        Failure::new(
            Exit::Failed,
            format!("there is no memory for keys: {error}"),
        )
    };
    let memory = Memory::new().map_err(cannot)?;
    if !memory.is_locked() {
        context.warn(
            "the system locks no memory for this user, so keys may get into swap (`ulimit -l`)",
        );
    }
    let cache = Arc::new(Cache::new(memory, lifetime, Instant::now));
    let cleaned = Arc::clone(&cache);
    let cleaning = std::thread::Builder::new().spawn(move || cleaned.keep_clean());
    cleaning.map(drop).map_err(cannot)?;
    Ok(cache)
}

/// From now on nobody hears this process. Programs that it runs would die of a pipe that nobody reads.
fn leave() -> io::Result<()> {
    let nowhere = File::options().write(true).open("/dev/null")?;
    dup2_stdout(&nowhere)?;
    dup2_stderr(&nowhere)?;
    Ok(())
}

/// The key service with a memory.
struct Office {
    desk: Desk,
    cache: Arc<Cache>,
    lifetime: Lifetime,
    stop: Stop,
}

impl Responder for Office {
    fn wrap(&self, recipient: &Recipient, key: &DataKey) -> Result<String, Refusal> {
        self.desk.wrap(recipient, key)
    }

    fn unwrap(&self, recipient: &Recipient, enc: &str) -> Result<DataKey, Refusal> {
        let id = Id::of(recipient, enc);
        self.cache.get_or(id, || self.desk.unwrap(recipient, enc))
    }
}

impl Overseer for Office {
    fn status(&self) -> AgentStatus {
        let (keys, locked) = self.cache.count();
        AgentStatus {
            keys: u32::try_from(keys).unwrap_or(u32::MAX),
            locked,
            idle: self.lifetime.idle,
            max_age: self.lifetime.max_age,
            pid: std::process::id(),
        }
    }

    fn stop(&self) {
        self.cache.clear();
        self.stop.request();
    }
}

/// Ends the agent, and waits until its socket is gone.
fn end(context: &mut Context) -> Result<Exit, Failure> {
    let address = meant(context)?;
    let failed = |error: KeyError| {
        Failure::new(Exit::Failed, format!("the agent was not stopped: {error}"))
            .hint("end its process")
    };
    if let Err(error) = status(&address, user(), PATIENCE) {
        context.note(&format!("there is no agent to stop: {error}"));
    } else {
        stop(&address, user(), PATIENCE).map_err(failed)?;
        if let Address::Unix { path } = &address {
            let given_up = Instant::now() + PATIENCE;
            while path.exists() && Instant::now() < given_up {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
    context.print(format!("unset {VARIABLE};\n").as_bytes())?;
    Ok(Exit::Success)
}

/// Shows how the agent is doing.
fn show(context: &mut Context) -> Result<Exit, Failure> {
    let address = meant(context)?;
    let status = status(&address, user(), PATIENCE).map_err(|error| {
        Failure::new(Exit::Failed, format!("there is no agent: {error}"))
            .hint("start one: `eval \"$(sops-rs agent start)\"`")
    })?;
    let time = |time: Duration| format!("{:#}", SignedDuration::try_from(time).unwrap_or_default());
    let text = format!(
        "process {}\nsocket {address}\nkeys {}\nidle {}\nmax-age {}\nmemory {}\n",
        status.pid,
        status.keys,
        time(status.idle),
        time(status.max_age),
        if status.locked {
            "locked"
        } else {
            "not locked"
        },
    );
    context.print(text.as_bytes())?;
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::context::testing::context;
    use super::{default_path, settings, time};

    #[test]
    fn lengths_of_time_have_units_and_are_not_nothing() {
        assert_eq!(time("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(time("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(time("1500ms"), Ok(Duration::from_millis(1500)));
        for wrong in ["", "0s", "15", "-5m", "a while"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_socket_is_in_a_folder_of_the_user() {
        let path = |variables: &[(&str, &str)]| {
            let path = default_path(&context(Path::new("/"), variables, b"").0);
            path.to_str().unwrap().to_owned()
        };
        let runtime = ("XDG_RUNTIME_DIR", "/run/user/7");
        assert_eq!(path(&[runtime]), "/run/user/7/sops-rs/agent.sock");
        let user = rustix::process::geteuid().as_raw();
        let below = |place: &str| format!("{place}/sops-rs-agent-{user}/agent.sock");
        assert_eq!(path(&[("TMPDIR", "/var/tmp")]), below("/var/tmp"));
        assert_eq!(path(&[("XDG_RUNTIME_DIR", "relative")]), below("/tmp"));
    }

    #[test]
    fn what_a_shell_evaluates_is_quoted() {
        assert_eq!(settings("/a/s"), "export SOPS_RS_AGENT=/a/s;\n");
        assert_eq!(settings("/a b/$x"), "export SOPS_RS_AGENT='/a b/$x';\n");
    }
}
