//! `keyservice`: wraps and unwraps data keys for others, with the keys of this user (spec 11).
//!
//! Knows where it listens, what it logs and when it asks. The protocol is in `keys::service`; the agent, which remembers what
//! it unwrapped, is built on the same [`Desk`].

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Args, ValueEnum};
use rustix::termios::{QueueSelector, tcflush};
use sops_rs::keys::service::{Listener, Refusal, Responder, Stop, serve, unwrap_with, wrap_with};
use sops_rs::recipient::Recipient;
use sops_rs::secret::DataKey;

use super::args::KeyServiceArgs;
use super::context::{Context, Surroundings};
use super::exit::Exit;
use super::report::{Failure, escaped};
use super::services::Services;
use super::socket::{Socket, stop_on_signals};

/// Where SOPS's service listens if nothing else is said.
const DEFAULT_ADDRESS: &str = "127.0.0.1:5000";

/// How much of the name of a key is shown, in characters: enough for every real one, too little to fill a screen.
const MAX_SHOWN: usize = 500;

/// Wrap and unwrap data keys for others
///
/// Clients, ours and those of SOPS, use your keys through it with `--keyservice tcp://HOST:PORT` or
/// `--keyservice unix:///PATH`. There is no TLS and no password: whoever can connect can open what you can open. A Unix socket
/// is for you alone, a TCP port of this machine for all its users. Ends with Ctrl-C.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs keyservice --network unix --address ~/.keys.sock --prompt
  ssh -R /home/me/.keys.sock:$HOME/.keys.sock server
  sops-rs decrypt --keyservice unix:///home/me/.keys.sock secrets.yaml   # there")]
pub(crate) struct Keyservice {
    /// Kind of the socket
    #[arg(long, value_name = "KIND", default_value = "tcp")]
    network: Network,
    /// Where to listen: HOST:PORT (127.0.0.1:5000 if not given), or the path of the Unix socket
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// Ask on the terminal before each request is worked on; without a terminal none is
    #[arg(long)]
    prompt: bool,
    /// Say what is asked for: kind and name of each key
    #[arg(long)]
    verbose: bool,
}

/// Kinds of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Network {
    Tcp,
    Unix,
}

/// Runs the command until it is told to end.
///
/// # Errors
/// The [`Failure`] to report.
pub(crate) fn run(context: &mut Context, arguments: &Keyservice) -> Result<Exit, Failure> {
    let (listener, _socket, place) = match (arguments.network, &arguments.address) {
        (Network::Unix, None) => {
            let message = "a Unix socket needs a path";
            return Err(Failure::new(Exit::NoFile, message).hint("add `--address PATH`"));
        }
        (Network::Unix, Some(path)) => {
            let path = context.resolve(&PathBuf::from(path));
            let (socket, listener) = Socket::bind(&path)?;
            let listener = Listener::Unix {
                socket: listener,
                only: None,
            };
            let place = format!("unix://{}", path.display());
            (listener, Some(socket), place)
        }
        (Network::Tcp, address) => {
            let (listener, bound) = bind(address.as_deref().unwrap_or(DEFAULT_ADDRESS))?;
            if !bound.ip().is_loopback() {
                context.warn(&format!(
                    "{bound} can be reached from other machines, without TLS or password: whoever does can use your keys"
                ));
            }
            (Listener::Tcp(listener), None, format!("tcp://{bound}"))
        }
    };
    let stop = Stop::default();
    stop_on_signals(&stop)?;
    let desk = Desk::new(context, KeyServiceArgs::local())
        .asking(arguments.prompt)
        .telling(arguments.verbose);
    context.note(&format!("listening on {place}"));
    serve(listener, Arc::new(desk), None, &stop)
        .map_err(|error| Failure::new(Exit::Failed, error.in_full()))?;
    Ok(Exit::Success)
}

fn bind(address: &str) -> Result<(TcpListener, SocketAddr), Failure> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound.map_err(|error| {
        let message = format!("cannot listen on `{address}`: {error}");
        Failure::new(Exit::Failed, message).hint("give another HOST:PORT with `--address`")
    })
}

/// Does the work of a service with the keys of this user. Services are set up anew for each request, so that no identity
/// stays in memory and what was corrected meanwhile counts.
pub(crate) struct Desk {
    surroundings: Surroundings,
    arguments: KeyServiceArgs,
    /// Asks before the work, if set. One question at a time.
    prompt: Option<Mutex<()>>,
    verbose: bool,
}

impl Desk {
    /// A desk that asks nobody and says nothing.
    pub(crate) fn new(context: &Context, arguments: KeyServiceArgs) -> Self {
        Self {
            surroundings: context.surroundings(),
            arguments,
            prompt: None,
            verbose: false,
        }
    }

    /// The same, asking before each request or not.
    fn asking(self, asking: bool) -> Self {
        let prompt = asking.then(Mutex::default);
        Self { prompt, ..self }
    }

    /// The same, telling of each request or not.
    pub(crate) fn telling(self, verbose: bool) -> Self {
        Self { verbose, ..self }
    }

    /// Whether whoever looks after the service lets the request pass.
    fn admits(&self, verb: &str, recipient: &Recipient) -> Result<(), Refusal> {
        // What a client says is shown on a terminal.
        let kind = recipient.kind().name();
        let name: String = recipient.identity().chars().take(MAX_SHOWN).collect();
        let request = format!("{verb} a data key with {kind} {name}");
        if self.verbose {
            self.surroundings.note(&format!("asked to {request}"));
        }
        let Some(prompt) = &self.prompt else {
            return Ok(());
        };
        let _turn = prompt.lock().unwrap_or_else(PoisonError::into_inner);
        if confirmed(&format!("{} (y/n): ", escaped(&request))) {
            Ok(())
        } else {
            Err(Refusal::Denied)
        }
    }

    fn tell(&self, refusal: &Refusal) {
        if self.verbose {
            self.surroundings.note(&format!("not done: {refusal}"));
        }
    }
}

impl Responder for Desk {
    fn wrap(&self, recipient: &Recipient, key: &DataKey) -> Result<String, Refusal> {
        self.admits("wrap", recipient)
            .and_then(|()| {
                let services = Services::new(&self.surroundings.context(), &self.arguments);
                wrap_with(&services.list(), recipient, key)
            })
            .inspect_err(|refusal| self.tell(refusal))
    }

    fn unwrap(&self, recipient: &Recipient, enc: &str) -> Result<DataKey, Refusal> {
        self.admits("unwrap", recipient)
            .and_then(|()| {
                let services = Services::new(&self.surroundings.context(), &self.arguments);
                unwrap_with(&services.list(), recipient, enc)
            })
            .inspect_err(|refusal| self.tell(refusal))
    }
}

/// Asks on the terminal of this process, which must have one. What was typed before the question is no answer to it.
fn confirmed(question: &str) -> bool {
    let Ok(mut terminal) = File::options().read(true).write(true).open("/dev/tty") else {
        return false;
    };
    let asked = tcflush(&terminal, QueueSelector::IFlush)
        .map_err(Into::into)
        .and_then(|()| terminal.write_all(question.as_bytes()));
    let mut line = String::new();
    let answered = asked.and_then(|()| BufReader::new(terminal.take(64)).read_line(&mut line));
    answered.is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
}
