//! The server side of the key service (spec 11): gRPC on a socket, and the work on threads that may wait.
//!
//! Knows the protocol, its statuses and its bounds. Who may ask, what is remembered and what a person is asked first is up
//! to the [`Responder`]; the socket is made by the caller.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinError, spawn_blocking};
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic::{Code, Request, Response, Status};

use super::agent::{AgentServer, Overseer};
use super::proto::{
    DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, Key, KeyServiceRpc,
    KeyServiceServer, MAX_MESSAGE_LEN, recipient_of,
};
use super::{KeyError, KeyService, Outcome, online};
use crate::recipient::{Recipient, WrappedKey};
use crate::secret::DataKey;

/// Requests that are worked on at once; others wait.
const WORKERS: usize = 64;

/// Requests of one connection that may wait.
const STREAMS: u32 = 64;

/// How long requests that are being worked on may take when the service ends.
const GRACE: Duration = Duration::from_secs(2);

/// How long to wait when the system accepts no connection: most often it is out of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// What answers the requests of clients. It is called on threads that may wait, many at once.
pub trait Responder: Send + Sync {
    /// Wraps `key` for `recipient`, in the spelling that a file holds as `enc`.
    ///
    /// # Errors
    ///
    /// The reason that the client is told.
    fn wrap(&self, recipient: &Recipient, key: &DataKey) -> Result<String, Refusal>;

    /// Unwraps `enc`, which was made for `recipient`.
    ///
    /// # Errors
    ///
    /// The reason that the client is told.
    fn unwrap(&self, recipient: &Recipient, enc: &str) -> Result<DataKey, Refusal>;
}

/// Why a request is not answered with a key.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no service for this kind of recipient; spec 11 has `NotFound` for it.
    #[error("keys of type `{0}` are not supported by this service")]
    NoService(&'static str),
    /// No identity fits. Others may still open the file.
    #[error("none of the identities of this service fits")]
    NotMine,
    /// Whoever looks after the service does not want it.
    #[error("the request was rejected")]
    Denied,
    /// It should have worked and did not.
    #[error("{}", .0.in_full())]
    Failed(KeyError),
}

impl From<&Refusal> for Status {
    fn from(refusal: &Refusal) -> Self {
        let code = match refusal {
            Refusal::NoService(_) => Code::NotFound,
            Refusal::NotMine => Code::FailedPrecondition,
            Refusal::Denied => Code::PermissionDenied,
            Refusal::Failed(_) => Code::Unknown,
        };
        Self::new(code, refusal.to_string())
    }
}

/// Asks one of `services` after the other to wrap `key`.
///
/// # Errors
///
/// If none does: what they said.
pub fn wrap_with(
    services: &[&dyn KeyService],
    recipient: &Recipient,
    key: &DataKey,
) -> Result<String, Refusal> {
    match super::wrap(recipient, key, services) {
        Ok((resolved, enc)) if resolved == *recipient => Ok(enc),
        // The answer has no room for what was found out, and a file must name it.
        Ok(_) => {
            let error = KeyError::new("the version of the key has to be named");
            Err(refusal(recipient, std::iter::once(Outcome::Failed(error))))
        }
        Err(attempts) => Err(refusal(
            recipient,
            attempts.into_iter().map(|attempt| attempt.outcome),
        )),
    }
}

/// Asks one of `services` after the other to unwrap `enc`.
///
/// # Errors
///
/// If none does: what they said.
pub fn unwrap_with(
    services: &[&dyn KeyService],
    recipient: &Recipient,
    enc: &str,
) -> Result<DataKey, Refusal> {
    let wrapped = WrappedKey {
        recipient: recipient.clone(),
        created_at: String::new(),
        enc: enc.to_owned(),
        unknown: Vec::new(),
    };
    let (key, attempts) = super::unwrap(&wrapped, services);
    key.ok_or_else(|| {
        refusal(
            recipient,
            attempts.into_iter().map(|attempt| attempt.outcome),
        )
    })
}

/// All that went wrong, as one reason.
fn refusal(recipient: &Recipient, outcomes: impl Iterator<Item = Outcome>) -> Refusal {
    let mut failures = Vec::new();
    let mut served = false;
    for outcome in outcomes {
        match outcome {
            Outcome::Failed(error) => failures.push(error),
            Outcome::NotMine | Outcome::Done => served = true,
            Outcome::NoService { .. } => {}
        }
    }
    let several = |failures: &[KeyError]| {
        let texts: Vec<String> = failures.iter().map(KeyError::in_full).collect();
        KeyError::new(texts.join("; "))
    };
    match failures.as_slice() {
        [] if served => Refusal::NotMine,
        [] => Refusal::NoService(recipient.kind().name()),
        [error] => Refusal::Failed(error.clone()),
        errors => Refusal::Failed(several(errors)),
    }
}

/// Where clients connect to.
#[derive(Debug)]
pub enum Listener {
    /// A TCP port. Whoever can reach it can use the service: there is no TLS and no password.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix {
        /// The socket.
        socket: UnixListener,
        /// The one user, by number, whose connections are accepted; `None` if the mode of the socket decides.
        only: Option<u32>,
    },
}

/// Ends a service from another thread.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Stop {
    /// Ends the service, now or as soon as it starts.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    async fn requested(&self) {
        // The sender lives as long as this does.
        drop(self.0.subscribe().wait_for(|&stopped| stopped).await);
    }
}

/// Serves until `stop` is requested. With an `overseer` it answers as an agent, too.
///
/// # Errors
///
/// If the system does not take the socket, or the service breaks down.
pub fn serve(
    listener: Listener,
    responder: Arc<dyn Responder>,
    overseer: Option<Arc<dyn Overseer>>,
    stop: &Stop,
) -> Result<(), KeyError> {
    online::wait_for(async {
        match listener {
            Listener::Tcp(socket) => {
                socket.set_nonblocking(true).map_err(unusable)?;
                let socket = tokio::net::TcpListener::from_std(socket).map_err(unusable)?;
                let socket = Arc::new(socket);
                let accept = move || {
                    let socket = Arc::clone(&socket);
                    async move { Ok(Some(socket.accept().await?.0)) }
                };
                run(accepted(accept), responder, overseer, stop).await
            }
            Listener::Unix { socket, only } => {
                socket.set_nonblocking(true).map_err(unusable)?;
                let socket = tokio::net::UnixListener::from_std(socket).map_err(unusable)?;
                let socket = Arc::new(socket);
                let accept = move || {
                    let socket = Arc::clone(&socket);
                    async move {
                        let (stream, _) = socket.accept().await?;
                        let welcome = match only {
                            None => true,
                            Some(user) => stream.peer_cred()?.uid() == user,
                        };
                        Ok(welcome.then_some(stream))
                    }
                };
                run(accepted(accept), responder, overseer, stop).await
            }
        }
    })?
}

fn unusable(error: std::io::Error) -> KeyError {
    KeyError::new("the socket cannot be used").because(error)
}

/// The connections that `accept` gives. One that is not welcome (`None`) ends before a byte of it is read; a failure to
/// accept is no end.
fn accepted<S, A, F>(accept: A) -> Connections<S>
where
    S: Send + 'static,
    A: Fn() -> F + Send + 'static,
    F: Future<Output = std::io::Result<Option<S>>> + Send,
{
    let (sender, receiver) = mpsc::channel(1);
    let accepting = tokio::spawn(async move {
        loop {
            match accept().await {
                Ok(Some(stream)) => {
                    if sender.send(Ok(stream)).await.is_err() {
                        return;
                    }
                }
                Ok(None) => {}
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    });
    Connections {
        stream: ReceiverStream::new(receiver),
        accepting: accepting.abort_handle(),
    }
}

/// Connections as they come, and the task that accepts them.
struct Connections<S> {
    stream: ReceiverStream<std::io::Result<S>>,
    accepting: AbortHandle,
}

async fn run<S>(
    connections: Connections<S>,
    responder: Arc<dyn Responder>,
    overseer: Option<Arc<dyn Overseer>>,
    stop: &Stop,
) -> Result<(), KeyError>
where
    S: Connected + tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let rpc = Rpc {
        responder,
        work: Arc::new(Semaphore::new(WORKERS)),
    };
    let router = Server::builder()
        .max_concurrent_streams(STREAMS)
        .add_service(KeyServiceServer::new(rpc).max_decoding_message_size(MAX_MESSAGE_LEN))
        .add_optional_service(overseer.map(AgentServer::answering));
    let Connections { stream, accepting } = connections;
    let ending = stop.clone();
    let mut serving = tokio::spawn(async move {
        let shutdown = ending.clone();
        let end = async move { shutdown.requested().await };
        let result = router.serve_with_incoming_shutdown(stream, end).await;
        // It may have ended by itself.
        ending.request();
        result
    });
    stop.requested().await;
    accepting.abort();
    let ended = tokio::time::timeout(GRACE, &mut serving).await;
    serving.abort();
    match ended {
        Ok(Ok(Err(error))) => Err(KeyError::new("the service broke down").because(error)),
        _ => Ok(()),
    }
}

/// The key service as tonic wants it.
struct Rpc {
    responder: Arc<dyn Responder>,
    work: Arc<Semaphore>,
}

impl Rpc {
    /// Does the work on a thread that may wait.
    async fn work<R: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Responder) -> Result<R, Refusal> + Send + 'static,
    ) -> Result<R, Status> {
        let responder = Arc::clone(&self.responder);
        let turn = Arc::clone(&self.work).acquire_owned().await;
        let turn = turn.map_err(|_| Status::unavailable("the service is ending"))?;
        let done = spawn_blocking(move || {
            let _turn = turn;
            work(responder.as_ref())
        });
        let broken = |_: JoinError| Status::internal("the request could not be worked on");
        done.await
            .map_err(broken)?
            .map_err(|refusal| Status::from(&refusal))
    }
}

/// Whom a request names.
fn named(key: Option<Key>) -> Result<Recipient, Status> {
    recipient_of(key).ok_or_else(|| Status::not_found("no key, or of a type that is not known"))
}

#[tonic::async_trait]
impl KeyServiceRpc for Rpc {
    async fn encrypt(
        &self,
        request: Request<EncryptRequest>,
    ) -> Result<Response<EncryptResponse>, Status> {
        let mut request = request.into_inner();
        let recipient = named(request.key.take())?;
        let key = DataKey::new(std::mem::take(&mut request.plaintext));
        let enc = self.work(move |responder| responder.wrap(&recipient, &key));
        let ciphertext = enc.await?.into_bytes();
        Ok(Response::new(EncryptResponse { ciphertext }))
    }

    async fn decrypt(
        &self,
        request: Request<DecryptRequest>,
    ) -> Result<Response<DecryptResponse>, Status> {
        let request = request.into_inner();
        let recipient = named(request.key)?;
        let enc = String::from_utf8(request.ciphertext)
            .map_err(|_| Status::invalid_argument("the ciphertext is not text"))?;
        let key = self.work(move |responder| responder.unwrap(&recipient, &enc));
        let plaintext = key.await?.expose().to_vec();
        Ok(Response::new(DecryptResponse { plaintext }))
    }
}
