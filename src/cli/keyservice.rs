//! `keyservice`: wraps and unwraps data keys for others, with the keys of this user (spec 11).
//!
//! Knows where it listens. The protocol is in `keys::service`, the work is done by a [`Desk`], which the agent has, too.

mod desk;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use sops_rs::keys::service::{Listener, Stop, serve};

use super::args::KeyServiceArgs;
use super::context::Context;
use super::exit::Exit;
use super::report::Failure;
use super::socket::{Socket, stop_on_signals};

pub(crate) use desk::Desk;

/// Where SOPS's service listens if nothing else is said.
const DEFAULT_ADDRESS: &str = "127.0.0.1:5000";

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
