//! Wraps and unwraps through a key service elsewhere: SOPS's, ours, or anybody's that speaks the protocol of spec 11.
//!
//! Knows addresses, the connection and what the statuses mean. What a remote service is able to do is not known before it
//! is asked. Whatever it says is text of a stranger: one line of it is kept, at most.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::sync::OnceCell;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

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
    patience: Duration,
    channel: OnceCell<Channel>,
    /// Why there is nobody: found out once, since a file may have many keys and waiting takes time.
    lost: OnceLock<KeyError>,
}

impl Link {
    pub(super) fn new(address: Address, patience: Duration) -> Self {
        Self {
            address,
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
            let uri = match &self.address {
                Address::Tcp { host, port } => format!("http://{host}:{port}"),
                Address::Unix { path } => {
                    let path = path.to_str().ok_or_else(|| {
                        KeyError::new(format!("the path of {} is not UTF-8", self.address))
                    })?;
                    format!("unix://{path}")
                }
            };
            let endpoint = Endpoint::from_shared(uri)
                .map_err(|error| self.unreachable(&error))?
                .connect_timeout(CONNECTING);
            let connection =
                tokio::time::timeout(CONNECTING.min(self.patience), endpoint.connect());
            match connection.await {
                Ok(connected) => connected.map_err(|error| self.unreachable(&error)),
                Err(_) => Err(self.give_up(format!("{} does not answer", self.address))),
            }
        });
        channel.await.cloned()
    }

    /// A request that is given up when nobody answers.
    pub(super) fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        request.set_timeout(self.patience);
        request
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
    pub(super) fn refused(&self, status: &Status) -> KeyError {
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
            link: Link::new(address, patience),
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
            let answer = client.encrypt(self.link.request(request)).await;
            answer.map_err(|status| self.link.refused(&status))
        })??;
        let enc = String::from_utf8(response.into_inner().ciphertext).unwrap_or_default();
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
        let response = online::wait_for(async {
            let mut client = KeyServiceClient::new(self.link.channel().await?)
                .max_decoding_message_size(MAX_MESSAGE_LEN);
            let answer = client.decrypt(self.link.request(request)).await;
            answer.map_err(|status| self.link.refused(&status))
        })??;
        let key = DataKey::new(std::mem::take(&mut response.into_inner().plaintext));
        if key.expose().is_empty() || key.expose().len() > MAX_KEY_LEN {
            let address = &self.link.address;
            return Err(KeyError::new(format!("{address} gave what is no data key")));
        }
        Ok(Some(key))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
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

    #[test]
    fn what_a_service_says_stays_on_one_short_line() {
        assert_eq!(one_line("  no\nway\u{1b}[31m "), "no way [31m");
        assert_eq!(one_line(" \n"), "no reason given");
        assert_eq!(one_line(&"x".repeat(5000)).len(), MAX_SAID);
    }
}
