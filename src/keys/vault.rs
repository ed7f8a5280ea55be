//! Wraps data keys with transit keys of HashiCorp Vault and `OpenBao` servers (spec 10.6).
//!
//! Knows the two calls of the transit API and how servers say no. Does not know where tokens come from, nor which servers
//! may have them: [`VaultUser`] is asked for a token for each server before it hears a word.

mod transit;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{Certificate, Client, Identity, Url};
use serde::Deserialize;
use zeroize::Zeroizing;

use self::transit::{TransitKey, next};
use super::http::{self, Answer, Text};
use super::{KeyError, KeyService, online};
use crate::recipient::Recipient;
use crate::secret::DataKey;

/// How many servers a request may be sent on to.
const MAX_REDIRECTS: usize = 3;
/// The statuses of a server that will soon have time (Vault API, "HTTP status codes"). Not 503: it is sealed until
/// somebody unseals it.
const BUSY: [u16; 5] = [412, 429, 500, 502, 504];
/// No ciphertext of a data key is longer, in bytes.
const MAX_ENC_LEN: usize = 16 * 1024;

/// The person or machine that has a Vault token. It is asked when a key is wrapped or unwrapped, not before.
pub trait VaultUser: Send + Sync {
    /// The token to show to `server`.
    ///
    /// # Errors
    ///
    /// If there is none, or if this server must not have it.
    fn token(&self, server: &Server) -> Result<Zeroizing<String>, KeyError>;

    /// The namespace to ask for; `None` for that of the server.
    fn namespace(&self) -> Option<&str>;

    /// How servers prove who they are.
    ///
    /// # Errors
    ///
    /// If what the user has configured cannot be read.
    fn tls(&self) -> Result<VaultTls, KeyError>;

    /// How long to wait for an answer.
    ///
    /// # Errors
    ///
    /// If what the user has configured makes no sense.
    fn timeout(&self) -> Result<Duration, KeyError>;
}

/// A server that would be shown a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Scheme, host in lower case, and port unless it is that of the scheme: `https://vault.example.com:8200`.
    pub origin: String,
    /// Whether nobody can listen on the way: https, or this machine.
    pub private: bool,
    /// The origin of the server that answered by naming this one; `None` if a file or a person named it.
    pub named_by: Option<String>,
}

/// How a server and a user prove who they are to each other.
pub struct VaultTls {
    /// The authorities that may vouch for a server, in PEM; `None` for those of the system.
    pub roots: Option<Vec<u8>>,
    /// The certificates of the user and their private key, in PEM.
    pub identity: Option<Zeroizing<Vec<u8>>>,
    /// Whether a server must prove who it is at all.
    pub verify: bool,
}

impl fmt::Debug for VaultTls {
    /// Without the private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaultTls(verify: {})", self.verify)
    }
}

/// The origin of an address, in the spelling of [`Server::origin`]; `None` if it is no address of a server.
#[must_use]
pub fn origin(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let web = matches!(url.scheme(), "http" | "https");
    web.then(|| url.origin().ascii_serialization())
}

/// Wraps and unwraps by asking the servers that recipients name.
pub struct VaultService {
    user: Arc<dyn VaultUser>,
    /// By origin.
    clients: Mutex<HashMap<String, Client>>,
}

impl VaultService {
    /// A service that shows servers the tokens of `user`.
    #[must_use]
    pub fn new(user: Arc<dyn VaultUser>) -> Self {
        let clients = Mutex::default();
        Self { user, clients }
    }

    /// The client for a server, made when it is first needed: connections are kept.
    fn client(&self, url: &Url, server: &Server) -> Result<Client, KeyError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&server.origin) {
            return Ok(client.clone());
        }
        let tls = self.user.tls()?;
        let mut builder = http::client(url, self.user.timeout()?);
        if let Some(pem) = &tls.roots {
            builder = builder.tls_certs_only(certificates(pem)?);
        }
        if let Some(pem) = &tls.identity {
            let identity = Identity::from_pem(pem)
                .map_err(|_| KeyError::new("the client certificate or its key is not valid PEM"))?;
            builder = builder.identity(identity);
        }
        if !tls.verify {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        let client = http::build(builder)?;
        clients.insert(server.origin.clone(), client.clone());
        Ok(client)
    }

    /// Calls `verb` of a transit key: sends `field` with `value`, returns the answer of a server that said yes.
    fn call(
        &self,
        key: &TransitKey<'_>,
        verb: &'static str,
        (field, value): (&str, &str),
    ) -> Result<Answer, KeyError> {
        let json = serde_json::to_string(&HashMap::from([(field, value)]))
            .map_err(|_| KeyError::new("the request cannot be written"))?;
        let call = Call {
            key,
            verb,
            json: Zeroizing::new(json),
            sent: value,
        };
        online::block_on(self.exchange(&call))?
    }

    /// Sends a call to the server of its key, and on to those that this one names.
    async fn exchange(&self, call: &Call<'_>) -> Result<Answer, KeyError> {
        let mut url = call.key.url(call.verb)?;
        let mut named_by = None;
        for _ in 0..=MAX_REDIRECTS {
            let server = server(&url, named_by.take());
            let token = self.user.token(&server)?;
            let answer = self.post(&url, &server, &token, &call.json).await?;
            match answer.status {
                200 => return Ok(answer),
                301 | 302 | 307 | 308 => {
                    url = next(&url, answer.location.as_deref())?;
                    named_by = Some(server.named_by.unwrap_or(server.origin));
                }
                _ => return Err(call.refused(&answer, &token)),
            }
        }
        Err(KeyError::new("the servers send the request on and on"))
    }

    async fn post(
        &self,
        url: &Url,
        server: &Server,
        token: &str,
        json: &str,
    ) -> Result<Answer, KeyError> {
        let client = self.client(url, server)?;
        let mut request = http::post(url, json);
        let token = http::secret_header(token)
            .ok_or_else(|| KeyError::new("the token has characters that no token can have"))?;
        let headers = request.headers_mut();
        headers.insert("x-vault-token", token);
        // Agents can be told to answer only requests with this header, which no web page can add.
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        if let Some(namespace) = self.user.namespace() {
            let value = HeaderValue::from_str(namespace)
                .map_err(|_| KeyError::new("the namespace has characters that none can have"))?;
            headers.insert("x-vault-namespace", value);
        }
        http::send(&client, &request, &BUSY).await
    }
}

impl fmt::Debug for VaultService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VaultService(…)")
    }
}

impl KeyService for VaultService {
    fn handles(&self, recipient: &Recipient) -> bool {
        matches!(recipient, Recipient::Vault { .. })
    }

    fn wrap(&self, recipient: &Recipient, key: &DataKey) -> Result<String, KeyError> {
        let transit =
            TransitKey::of(recipient).ok_or_else(|| KeyError::new("not a key of Vault"))?;
        let plaintext = http::to_base64(key);
        let answer = self.call(&transit, "encrypt", ("plaintext", &plaintext))?;
        let data: Encrypted<'_> = read(&answer)?;
        let enc = data.ciphertext.0;
        let printable = enc.bytes().all(|byte| byte.is_ascii_graphic());
        if enc.is_empty() || enc.len() > MAX_ENC_LEN || !printable {
            return Err(KeyError::new("the server did not answer with a ciphertext"));
        }
        Ok(enc.into_owned())
    }

    fn unwrap(&self, recipient: &Recipient, enc: &str) -> Result<Option<DataKey>, KeyError> {
        let Some(transit) = TransitKey::of(recipient) else {
            return Ok(None);
        };
        let answer = self.call(&transit, "decrypt", ("ciphertext", enc.trim()))?;
        let data: Decrypted<'_> = read(&answer)?;
        http::from_base64(&data.plaintext.0).map(Some)
    }
}

/// One call on its way.
struct Call<'a> {
    key: &'a TransitKey<'a>,
    verb: &'static str,
    json: Zeroizing<String>,
    /// What no message may repeat.
    sent: &'a str,
}

impl Call<'_> {
    /// Why a server said no, with its own words if they hold no secret.
    fn refused(&self, answer: &Answer, token: &str) -> KeyError {
        let errors = serde_json::from_slice::<Errors>(&answer.body).unwrap_or_default();
        let said = http::said(&errors.errors.join("; "), &[token, self.sent]);
        let TransitKey { engine, name, .. } = self.key;
        let says = |words: &str| said.as_deref().is_some_and(|said| said.contains(words));
        let what = match answer.status {
            403 => format!(
                "the token is not valid, or its policy does not allow `update` on `{engine}/{}/{name}`",
                self.verb
            ),
            404 => format!("there is no transit engine at `{engine}`"),
            400 if says("key not found") => format!("there is no key `{name}` in `{engine}`"),
            400 if says("authentication failed") || says("invalid ciphertext") => {
                format!("the key `{name}` did not make this ciphertext")
            }
            503 => "the server is sealed or not ready".to_owned(),
            429 => "the server has too much to do".to_owned(),
            status => format!("the server answered with the status {status}"),
        };
        match said {
            Some(said) => KeyError::new(format!("{what}: {said}")),
            None => KeyError::new(what),
        }
    }
}

/// What there is to know of the server of a URL.
fn server(url: &Url, named_by: Option<String>) -> Server {
    Server {
        origin: url.origin().ascii_serialization(),
        private: url.scheme() == "https" || http::is_loopback(url),
        named_by,
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, KeyError> {
    let bad = "there are no certificates in PEM where the authorities should be";
    match Certificate::from_pem_bundle(pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(KeyError::new(bad)),
    }
}

/// The data of a successful answer.
fn read<'a, T: Deserialize<'a>>(answer: &'a Answer) -> Result<T, KeyError> {
    // The error of the parser could repeat a part of the answer.
    serde_json::from_slice::<Envelope<T>>(&answer.body)
        .map(|envelope| envelope.data)
        .map_err(|_| KeyError::new("the answer is not one of a transit engine"))
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
struct Encrypted<'a> {
    #[serde(borrow)]
    ciphertext: Text<'a>,
}

#[derive(Deserialize)]
struct Decrypted<'a> {
    #[serde(borrow)]
    plaintext: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Errors {
    errors: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::{origin, server};
    use reqwest::Url;

    #[test]
    fn origins_have_one_spelling() {
        for address in [
            "https://Vault.Example.com",
            "https://vault.example.com:443/",
            "https://vault.example.com/v1/transit",
        ] {
            assert_eq!(origin(address).unwrap(), "https://vault.example.com");
        }
        for none in ["unix:///run/vault.sock", "vault.example.com:8200", ""] {
            assert_eq!(origin(none), None, "{none}");
        }
    }

    #[test]
    fn who_can_listen() {
        let private = |url: &str| server(&Url::parse(url).unwrap(), None).private;
        assert!(private("https://v"));
        assert!(private("http://127.0.0.1:8200"));
        assert!(!private("http://v"));
    }
}
