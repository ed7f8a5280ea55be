//! Wraps and unwraps through a key service elsewhere: SOPS's, ours, or anybody's that speaks the protocol of spec 11.
//!
//! Knows addresses, the connection, who is at its other end, and what the statuses mean. What a remote service is able to do is not known before it
//! is asked. Whatever it says is text of a stranger: one line of it is kept, at most.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::OnceCell;
use tonic::codegen::{Service, http::Uri};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

use super::proto::{
    DecryptRequest, EncryptRequest, Key, KeyServiceClient, MAX_MESSAGE_LEN, key_of,
};
use super::{KeyError, KeyService, online};
use crate::recipient::Recipient;
use crate::secret::DataKey;

/// How long to wait for a connection. A service is near, or it is not there.
const CONNECTING: Duration = Duration::from_secs(5);

/// How much of what a service says is kept, in characters.
const MAX_SAID: usize = 300;

/// No data key and no share of one is longer, in bytes.
const MAX_KEY_LEN: usize = 4096;

/// Where a key service listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `tcp://host:port`, without TLS.
    Tcp {
        /// Name or number of the host, IPv6 in brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// `unix:///path`
    Unix {
        /// The absolute path of the socket.
        path: PathBuf,
    },
}

/// A text is not the address of a key service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the address of a key service, which is `tcp://HOST:PORT` or `unix:///PATH`")]
pub struct BadAddress;

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if let Some(path) = text.strip_prefix("unix://") {
            let path = PathBuf::from(path);
            let named = path.is_absolute() && path.file_name().is_some();
            return named.then_some(Self::Unix { path }).ok_or(BadAddress);
        }
        let place = text.strip_prefix("tcp://").ok_or(BadAddress)?;
        let (host, port) = place.rsplit_once(':').ok_or(BadAddress)?;
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let odd = |c: char| c.is_control() || c.is_whitespace() || "/@?#\\".contains(c);
        if host.is_empty() || host.contains(odd) || (host.contains(':') && !bracketed) {
            return Err(BadAddress);
        }
        Ok(Self::Tcp {
            host: host.to_owned(),
            port: port.parse().map_err(|_| BadAddress)?,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Unix { path } => write!(f, "unix://{}", path.display()),
        }
    }
}

/// A connection that is made when it is needed, and not tried again when there is nobody.
pub(super) struct Link {
    address: Address,
    /// The one user, by number, who may be at the other end of a Unix socket.
    only: Option<u32>,
    patience: Duration,
    channel: OnceCell<Channel>,
    /// Why there is nobody: found out once, since a file may have many keys and waiting takes time.
    lost: OnceLock<KeyError>,
}

impl Link {
    pub(super) fn new(address: Address, only: Option<u32>, patience: Duration) -> Self {
        Self {
            address,
            only,
            patience,
            channel: OnceCell::new(),
            lost: OnceLock::new(),
        }
    }

    /// The connection.
    pub(super) async fn channel(&self) -> Result<Channel, KeyError> {
        if let Some(lost) = self.lost.get() {
            return Err(lost.clone());
        }
        let channel = self.channel.get_or_try_init(async || {
            match tokio::time::timeout(CONNECTING.min(self.patience), self.connect()).await {
                Ok(connected) => connected.map_err(|error| self.unreachable(error.as_ref())),
                Err(_) => Err(self.give_up(format!("{} does not answer", self.address))),
            }
        });
        channel.await.cloned()
    }

    async fn connect(&self) -> Result<Channel, Box<dyn std::error::Error + Send + Sync>> {
        match &self.address {
            Address::Tcp { host, port } => {
                let endpoint = Endpoint::from_shared(format!("http://{host}:{port}"))?;
                Ok(endpoint.connect().await?)
            }
            Address::Unix { path } => {
                // Only the path counts.
                let endpoint = Endpoint::from_static("http://localhost");
                let socket = Socket {
                    path: path.clone(),
                    only: self.only,
                };
                Ok(endpoint.connect_with_connector(socket).await?)
            }
        }
    }

    /// A request that is given up when nobody answers.
    pub(super) fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        request.set_timeout(self.patience);
        request
    }

    /// What comes of a request. Its deadline ends when the answer begins; this waits for the end of the answer no longer.
    pub(super) async fn answer<M>(
        &self,
        answer: impl Future<Output = Result<Response<M>, Status>>,
    ) -> Result<M, KeyError> {
        match tokio::time::timeout(self.patience, answer).await {
            Ok(answer) => answer
                .map(Response::into_inner)
                .map_err(|status| self.refused(&status)),
            Err(_) => Err(self.silent()),
        }
    }

    /// There is nobody. Of a chain of causes only the last says something.
    fn unreachable(&self, error: &dyn std::error::Error) -> KeyError {
        let mut cause = error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        let address = &self.address;
        self.give_up(format!("{address} cannot be reached: {cause}"))
    }

    fn silent(&self) -> KeyError {
        let (address, patience) = (&self.address, self.patience);
        self.give_up(format!("{address} did not answer within {patience:?}"))
    }

    fn give_up(&self, why: String) -> KeyError {
        self.lost.get_or_init(|| KeyError::new(why)).clone()
    }

    /// What a status means.
    fn refused(&self, status: &Status) -> KeyError {
        let address = &self.address;
        let said = one_line(status.message());
        match status.code() {
            Code::PermissionDenied => KeyError::new(format!("{address} refused: {said}")),
            Code::NotFound => KeyError::new(format!("{address} cannot use such a key: {said}")),
            Code::Unimplemented => KeyError::new(format!("{address} is not such a service")),
            Code::DeadlineExceeded | Code::Cancelled => self.silent(),
            // What a service says has no cause; a connection that broke has one.
            _ if std::error::Error::source(status).is_some() => self.unreachable(status),
            _ => KeyError::new(format!("{address}: {said}")),
        }
    }
}

/// Makes connections to a Unix socket.
struct Socket {
    path: PathBuf,
    only: Option<u32>,
}

impl Socket {
    /// A connection, to which nothing is said unless the right user listens.
    async fn connect(path: &Path, only: Option<u32>) -> io::Result<TokioIo<UnixStream>> {
        let stream = UnixStream::connect(path).await?;
        let listening = stream.peer_cred()?.uid();
        match only {
            Some(user) if user != listening => Err(io::Error::other(format!(
                "it is a socket of another user, number {listening}"
            ))),
            _ => Ok(TokioIo::new(stream)),
        }
    }
}

impl Service<Uri> for Socket {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (path, only) = (self.path.clone(), self.only);
        Box::pin(async move { Self::connect(&path, only).await })
    }
}

/// What a service said, on one line and not too long.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    if line.is_empty() {
        return "no reason given".to_owned();
    }
    line.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_SAID)
        .collect()
}

/// A key service elsewhere. It is asked about every kind of recipient that the protocol knows.
pub struct Remote {
    link: Link,
}

impl Remote {
    /// The service at `address`, which is not contacted yet. An answer is awaited for as long as `patience`.
    #[must_use]
    pub fn new(address: Address, patience: Duration) -> Self {
        Self {
            link: Link::new(address, None, patience),
        }
    }

    /// The same, used only if it is run by the user of this number. That can be found out about a Unix socket alone.
    #[must_use]
    pub fn of_user(address: Address, user: u32, patience: Duration) -> Self {
        Self {
            link: Link::new(address, Some(user), patience),
        }
    }

    /// Whether it was found that nobody answers. It is not asked any more then.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.link.lost.get().is_some()
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({})", self.link.address)
    }
}

/// How a request names `recipient`.
fn named(recipient: &Recipient) -> Result<Key, KeyError> {
    key_of(recipient).ok_or_else(|| KeyError::new("no key service knows such keys"))
}

impl KeyService for Remote {
    fn handles(&self, recipient: &Recipient) -> bool {
        !matches!(recipient, Recipient::Unknown { .. })
    }

    fn wrap(&self, recipient: &Recipient, key: &DataKey) -> Result<String, KeyError> {
        let request = EncryptRequest {
            key: Some(named(recipient)?),
            plaintext: key.expose().to_vec(),
        };
        let response = online::wait_for(async {
            let mut client = KeyServiceClient::new(self.link.channel().await?)
                .max_decoding_message_size(MAX_MESSAGE_LEN);
            let request = self.link.request(request);
            self.link.answer(client.encrypt(request)).await
        })??;
        let enc = String::from_utf8(response.ciphertext).unwrap_or_default();
        if enc.trim().is_empty() {
            let address = &self.link.address;
            return Err(KeyError::new(format!("{address} gave no wrapped key")));
        }
        Ok(enc)
    }

    fn unwrap(&self, recipient: &Recipient, enc: &str) -> Result<Option<DataKey>, KeyError> {
        let request = DecryptRequest {
            key: Some(named(recipient)?),
            ciphertext: enc.as_bytes().to_vec(),
        };
        let mut response = online::wait_for(async {
            let mut client = KeyServiceClient::new(self.link.channel().await?)
                .max_decoding_message_size(MAX_MESSAGE_LEN);
            let request = self.link.request(request);
            self.link.answer(client.decrypt(request)).await
        })??;
        let key = DataKey::new(std::mem::take(&mut response.plaintext));
        if key.expose().is_empty() || key.expose().len() > MAX_KEY_LEN {
            let address = &self.link.address;
            return Err(KeyError::new(format!("{address} gave what is no data key")));
        }
        Ok(Some(key))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    use super::{Address, MAX_SAID, Remote, one_line};
    use crate::keys::KeyService as _;
    use crate::recipient::Recipient;

    #[test]
    fn addresses_are_read_and_shown_alike() {
        for text in [
            "tcp://localhost:5000",
            "tcp://[::1]:5000",
            "tcp://10.0.0.1:1",
            "unix:///run/user/1000/a b.sock",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "localhost:5000",
            "tcp://localhost",
            "tcp://:5000",
            "tcp://::1:5000",
            "tcp://host:65536",
            "tcp://host:5000/path",
            "tcp://user@host:5000",
            "tcp://a b:5000",
            "unix://relative.sock",
            "unix:///",
            "https://host:5000",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_service_that_says_nothing_is_given_up_for_good() {
        // The system takes the connection; nobody ever reads from it.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = format!("tcp://{}", silent.local_addr().unwrap());
        let remote = Remote::new(place.parse().unwrap(), Duration::from_millis(300));
        let recipient = Recipient::Age {
            recipient: "age1x".to_owned(),
        };
        let said = || remote.unwrap(&recipient, "x").unwrap_err().in_full();
        assert_eq!(said(), format!("{place} did not answer within 300ms"));
        assert!(remote.is_lost());
        drop(silent);
        assert_eq!(said(), format!("{place} did not answer within 300ms"));
    }

    /// Speaks HTTP/2 (RFC 9113) far enough to begin an answer to the first request, and no further.
    fn begin_an_answer(mut stream: TcpStream) -> std::io::Result<()> {
        const SETTINGS: u8 = 4;
        const HEADERS: u8 = 1;
        let frame = |kind: u8, flags: u8, id: u8, payload: &[u8]| {
            let length = u8::try_from(payload.len()).unwrap();
            [&[0, 0, length, kind, flags, 0, 0, 0, id], payload].concat()
        };
        stream.read_exact(&mut [0; 24])?;
        stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head)?;
            let [_, high, low, kind, flags, ..] = head;
            stream.read_exact(&mut vec![0; usize::from(high) << 8 | usize::from(low)])?;
            match kind {
                SETTINGS if flags == 0 => stream.write_all(&frame(SETTINGS, 1, 0, &[]))?,
                // `:status: 200` and `content-type: application/grpc` (RFC 7541).
                HEADERS => {
                    stream.write_all(&frame(HEADERS, 4, 1, b"\x88\x0f\x10\x10application/grpc"))?;
                }
                _ => {}
            }
        }
    }

    #[test]
    fn a_service_that_begins_to_answer_and_stops_is_given_up_too() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = format!("tcp://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || begin_an_answer(listener.accept().unwrap().0));
        let remote = Remote::new(place.parse().unwrap(), Duration::from_millis(300));
        let recipient = Recipient::Age {
            recipient: "age1x".to_owned(),
        };
        assert_eq!(
            remote.unwrap(&recipient, "x").unwrap_err().in_full(),
            format!("{place} did not answer within 300ms")
        );
    }

    #[test]
    fn a_socket_of_another_user_is_told_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("an odd name?#%20");
        let listener = UnixListener::bind(&path).unwrap();
        let me = rustix::process::geteuid().as_raw();
        let recipient = Recipient::Age {
            recipient: "age1x".to_owned(),
        };
        let heard = std::thread::spawn(move || {
            let heard = |_| {
                let (mut stream, _) = listener.accept().unwrap();
                stream
                    .set_read_timeout(Some(Duration::from_secs(5)))
                    .unwrap();
                let mut heard = [0; 24];
                stream.read(&mut heard).unwrap()
            };
            [0, 1].map(heard)
        });
        let said = |user| {
            let address = Address::Unix { path: path.clone() };
            let remote = Remote::of_user(address, user, Duration::from_millis(300));
            remote.unwrap(&recipient, "x").unwrap_err().in_full()
        };
        let other = said(me + 1);
        let expected = format!("cannot be reached: it is a socket of another user, number {me}");
        assert!(other.ends_with(&expected), "{other}");
        assert!(!said(me).contains("another user"));
        assert_eq!(heard.join().unwrap(), [0, 24]);
    }

    #[test]
    fn what_a_service_says_stays_on_one_short_line() {
        assert_eq!(one_line("  no\nway\u{1b}[31m "), "no way [31m");
        assert_eq!(one_line(" \n"), "no reason given");
        assert_eq!(one_line(&"x".repeat(5000)).len(), MAX_SAID);
    }
}
