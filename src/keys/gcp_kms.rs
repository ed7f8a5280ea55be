//! Wraps data keys with keys of Google Cloud KMS (spec 10.4), by the REST calls `encrypt` and `decrypt` of its version 1.
//!
//! REST and not gRPC, since that takes one HTTP client for all services and a local server for the tests. Knows the two
//! calls, their checksums, and how the API says no. Where credentials come from is the caller's business
//! ([`GcpUser`]); application default credentials are found by Google's library, which reads the environment, gcloud's
//! file and the metadata server by itself.

mod credentials;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use self::credentials::GcpCredentials;

use self::credentials::Access;
use super::http::{self, Answer, Text};
use super::{KeyError, KeyService, online};
use crate::recipient::Recipient;
use crate::secret::DataKey;

/// How long to wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The statuses with which the API asks to try again (google.aip.dev/194, and those of its front ends).
const BUSY: [u16; 5] = [429, 500, 502, 503, 504];
/// No ciphertext of a data key is longer, in characters of base64.
const MAX_ENC_LEN: usize = 16 * 1024;

/// Who asks Google. It is asked when a key is wrapped or unwrapped, not before.
pub trait GcpUser: Send + Sync {
    /// What to prove with who is asking.
    ///
    /// # Errors
    ///
    /// If what the user has configured cannot be read.
    fn credentials(&self) -> Result<GcpCredentials, KeyError>;

    /// The base URL of the API, such as `https://cloudkms.googleapis.com`.
    fn endpoint(&self) -> String;
}

/// Wraps and unwraps by asking Google Cloud KMS.
pub struct GcpKmsService {
    user: Arc<dyn GcpUser>,
    client: OnceLock<Result<Client, KeyError>>,
    access: Mutex<Option<Access>>,
}

impl GcpKmsService {
    /// A service that asks in the name of `user`.
    #[must_use]
    pub fn new(user: Arc<dyn GcpUser>) -> Self {
        Self {
            user,
            client: OnceLock::new(),
            access: Mutex::default(),
        }
    }

    /// Calls `verb` of a key with `json`; returns the answer of a server that said yes.
    fn call(
        &self,
        resource_id: &str,
        verb: &str,
        json: &str,
        sent: &str,
    ) -> Result<Answer, KeyError> {
        let url = url(&self.user.endpoint(), resource_id, verb)?;
        online::block_on(async {
            let answer = self.post(&url, json, false).await?;
            let answer = match answer.status {
                // A token may have been revoked before its time.
                401 if self.can_renew() => self.post(&url, json, true).await?,
                _ => answer,
            };
            match answer.status {
                200 => Ok(answer),
                _ => Err(refused(&answer, sent)),
            }
        })?
    }

    async fn post(&self, url: &Url, json: &str, renew: bool) -> Result<Answer, KeyError> {
        let client = self
            .client
            .get_or_init(|| http::build(http::client(url, TIMEOUT)))
            .as_ref()
            .map_err(KeyError::clone)?;
        let access = self.access(renew)?;
        let mut request = http::post(url, json);
        request.headers_mut().extend(access.headers().await?);
        http::send(client, &request, &BUSY).await
    }

    /// Whether there is hope for another token than the one that was refused.
    fn can_renew(&self) -> bool {
        let access = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(*access, Some(Access::Renewable(_)))
    }

    /// What opens the API, made when it is first needed, and anew on demand.
    fn access(&self, renew: bool) -> Result<Access, KeyError> {
        let mut access = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        match access.as_ref().filter(|_| !renew) {
            Some(access) => Ok(access.clone()),
            None => {
                let fresh = Access::new(&self.user.credentials()?)?;
                Ok(access.insert(fresh).clone())
            }
        }
    }
}

impl fmt::Debug for GcpKmsService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GcpKmsService(…)")
    }
}

impl KeyService for GcpKmsService {
    fn handles(&self, recipient: &Recipient) -> bool {
        matches!(recipient, Recipient::GcpKms { .. })
    }

    fn wrap(&self, recipient: &Recipient, key: &DataKey) -> Result<String, KeyError> {
        let Recipient::GcpKms { resource_id } = recipient else {
            return Err(KeyError::new("not a key of Google Cloud KMS"));
        };
        let plaintext = http::to_base64(key);
        let json = to_json(&EncryptRequest {
            plaintext: &plaintext,
            plaintext_crc32c: crc32c(key.expose()).to_string(),
        })?;
        let answer = self.call(resource_id, "encrypt", &json, &plaintext)?;
        let answer: EncryptResponse<'_> = read(&answer)?;
        let damaged = || KeyError::new("the data key or the ciphertext was damaged on its way");
        let ciphertext = answer.ciphertext.0;
        let bytes = decode(&ciphertext)
            .ok_or_else(|| KeyError::new("the server did not answer with a ciphertext"))?;
        // A file whose data key was wrapped wrongly could never be opened (KMS guide, "Verify data integrity").
        if !answer.verified_plaintext_crc32c || !answer.ciphertext_crc32c.fits(&bytes) {
            return Err(damaged());
        }
        Ok(STANDARD.encode(bytes))
    }

    fn unwrap(&self, recipient: &Recipient, enc: &str) -> Result<Option<DataKey>, KeyError> {
        let Recipient::GcpKms { resource_id } = recipient else {
            return Ok(None);
        };
        let enc = enc.trim();
        let bytes = decode(enc).ok_or_else(|| KeyError::new("the wrapped key is not base64"))?;
        let json = to_json(&DecryptRequest {
            ciphertext: enc,
            ciphertext_crc32c: crc32c(&bytes).to_string(),
        })?;
        let answer = self.call(resource_id, "decrypt", &json, "")?;
        let answer: DecryptResponse<'_> = read(&answer)?;
        let key = http::from_base64(&answer.plaintext.0)?;
        if !answer.plaintext_crc32c.fits(key.expose()) {
            return Err(KeyError::new("the data key was damaged on its way"));
        }
        Ok(Some(key))
    }
}

/// Where to call `verb` of a key. A file must not lead a token to another part of the API, so the resource has the
/// eight parts of a key and no way out of them.
fn url(endpoint: &str, resource_id: &str, verb: &str) -> Result<Url, KeyError> {
    let bad_endpoint = || KeyError::new("the endpoint is not the URL of a server");
    let mut url = Url::parse(endpoint).map_err(|_| bad_endpoint())?;
    let secure = url.scheme() == "https" || url.scheme() == "http" && http::is_loopback(&url);
    if !secure {
        return Err(KeyError::new(
            "a token does not go to an endpoint without TLS",
        ));
    }
    let valid = Recipient::parse_gcp_kms(resource_id)
        .is_ok_and(|parsed| parsed.identity() == resource_id)
        && resource_id.split('/').all(is_plain);
    if !valid {
        return Err(KeyError::new("its resource id is not valid"));
    }
    let (path, key) = resource_id.rsplit_once('/').unwrap_or_default();
    url.path_segments_mut()
        .map_err(|()| bad_endpoint())?
        .pop_if_empty()
        .push("v1")
        .extend(path.split('/'))
        .push(&format!("{key}:{verb}"));
    Ok(url)
}

/// Whether a part of a resource id is nothing but a name.
fn is_plain(part: &str) -> bool {
    let special = |c: char| matches!(c, '\\' | '%' | '?' | '#' | ';') || c.is_control();
    !matches!(part, "" | "." | "..") && !part.contains(special)
}

/// Why the API said no (google.aip.dev/193), with its own words unless they repeat what was `sent`.
fn refused(answer: &Answer, sent: &str) -> KeyError {
    let status = answer.status;
    let error = serde_json::from_slice::<Refusal>(&answer.body)
        .unwrap_or_default()
        .error;
    let says = |words: &str| error.message.contains(words);
    let what = match (status, error.status.as_str()) {
        (401, _) => "the credentials are not accepted, or have expired".to_owned(),
        (_, "PERMISSION_DENIED") => "permission denied, or the key does not exist".to_owned(),
        (_, "NOT_FOUND") => "there is no such key".to_owned(),
        (_, "RESOURCE_EXHAUSTED") => "the quota of requests is used up".to_owned(),
        (_, "FAILED_PRECONDITION") if says("is not enabled") => {
            "the key version is disabled or destroyed".to_owned()
        }
        (_, "FAILED_PRECONDITION") => "the key cannot be used as it is".to_owned(),
        (_, "INVALID_ARGUMENT") if says("Decryption failed") => {
            "the key did not make this ciphertext".to_owned()
        }
        (_, "UNAVAILABLE") => "the service is not available".to_owned(),
        _ => format!("the server answered with the status {status}"),
    };
    match http::said(&error.message, &[sent]) {
        Some(said) => KeyError::new(format!("{what}: {said}")),
        None => KeyError::new(what),
    }
}

fn to_json(request: &impl Serialize) -> Result<Zeroizing<String>, KeyError> {
    serde_json::to_string(request)
        .map(Zeroizing::new)
        .map_err(|_| KeyError::new("the request cannot be written"))
}

fn read<'a, T: Deserialize<'a>>(answer: &'a Answer) -> Result<T, KeyError> {
    // The error of the parser could repeat a part of the answer.
    serde_json::from_slice(&answer.body)
        .map_err(|_| KeyError::new("the answer is not one of Cloud KMS"))
}

/// The bytes of a wrapped key; `None` if it is no base64, empty or too long.
fn decode(enc: &str) -> Option<Vec<u8>> {
    let bytes = (enc.len() <= MAX_ENC_LEN).then(|| STANDARD.decode(enc))?;
    bytes.ok().filter(|bytes| !bytes.is_empty())
}

/// The checksum of the API: CRC-32C (RFC 3720, section 12.1). Bit by bit, since there are few bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82F6_3B78 & 0_u32.wrapping_sub(crc & 1));
        }
    }
    !crc
}

/// A checksum as JSON has it: a 64-bit number in quotes, which may be left out.
#[derive(Default, Deserialize)]
#[serde(transparent)]
struct Checksum(Option<String>);

impl Checksum {
    /// Whether it is that of `bytes`.
    fn fits(&self, bytes: &[u8]) -> bool {
        let expected = crc32c(bytes).to_string();
        self.0.as_ref().is_none_or(|given| *given == expected)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EncryptRequest<'a> {
    plaintext: &'a str,
    plaintext_crc32c: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EncryptResponse<'a> {
    #[serde(borrow)]
    ciphertext: Text<'a>,
    #[serde(default)]
    ciphertext_crc32c: Checksum,
    #[serde(default)]
    verified_plaintext_crc32c: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DecryptRequest<'a> {
    ciphertext: &'a str,
    ciphertext_crc32c: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DecryptResponse<'a> {
    #[serde(borrow, default)]
    plaintext: Text<'a>,
    #[serde(default)]
    plaintext_crc32c: Checksum,
}

#[derive(Default, Deserialize)]
struct Refusal {
    error: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    message: String,
    status: String,
}

#[cfg(test)]
mod tests {
    use super::{Checksum, crc32c, url};

    const KEY: &str = "projects/p/locations/global/keyRings/r/cryptoKeys/k";

    #[test]
    fn checksums() {
        // RFC 3720, B.4, and the check value of the catalogue of CRCs.
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert!(Checksum(None).fits(b"x"));
        assert!(Checksum(Some("3808858755".to_owned())).fits(b"123456789"));
        assert!(!Checksum(Some("1".to_owned())).fits(b"123456789"));
    }

    #[test]
    fn where_a_key_is_asked_for() {
        let at = |endpoint| url(endpoint, KEY, "encrypt").map(String::from);
        let path = format!("/v1/{KEY}:encrypt");
        for (endpoint, base) in [
            (
                "https://cloudkms.googleapis.com",
                "https://cloudkms.googleapis.com",
            ),
            (
                "https://kms.example.com:444/proxy/",
                "https://kms.example.com:444/proxy",
            ),
            ("http://127.0.0.1:9", "http://127.0.0.1:9"),
        ] {
            assert_eq!(at(endpoint).unwrap(), format!("{base}{path}"));
        }
        for bad in ["http://kms.example.com", "kms.example.com", "file:///x", ""] {
            assert!(at(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_cannot_lead_a_token_elsewhere() {
        for bad in [
            "projects/p/locations/global/keyRings/r/cryptoKeys/..",
            "projects/../locations/global/keyRings/r/cryptoKeys/k",
            "projects/p/locations/global/keyRings/r/cryptoKeys/k?x",
            "projects/p/locations/global/keyRings/r/cryptoKeys/k%2f..",
            "projects/p/locations/global/keyRings/r/cryptoKeys/ k",
            "projects/p/locations/global/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
            "projects/p",
            "",
        ] {
            assert!(url("https://kms", bad, "decrypt").is_err(), "{bad}");
        }
    }
}
