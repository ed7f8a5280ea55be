//! A Google Cloud of one machine: Cloud KMS, the token endpoint of OAuth and the metadata server, as their public
//! documentation describes them.
//!
//! Keys really wrap: what one key made does not open with another. Requests that the real API would refuse are refused
//! with its errors (google.aip.dev/193).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use super::http::{Reply, Request, Server};
use crate::support::write_file;

/// The key that there is.
pub(super) const KEY: &str = "projects/shop/locations/global/keyRings/sops/cryptoKeys/app";
/// Another.
pub(super) const OTHER: &str = "projects/shop/locations/global/keyRings/sops/cryptoKeys/other";

/// How the machine behaves.
#[derive(Default)]
pub(super) struct Behaviour {
    /// The access tokens that count.
    pub(super) tokens: BTreeSet<String>,
    /// Keys whose only version is disabled.
    pub(super) disabled: Vec<String>,
    /// How many requests to KMS are answered with this status before it works.
    pub(super) busy: Vec<u16>,
    /// The public key of the service account, in PEM.
    pub(super) account: Option<PathBuf>,
    /// The tokens that are handed out, in this order; the last one again and again.
    pub(super) issued: Vec<&'static str>,
    /// Whether answers are damaged on their way.
    pub(super) damaged: bool,
}

/// The machine.
pub(super) struct Google {
    pub(super) server: Server,
    pub(super) behaviour: Arc<Mutex<Behaviour>>,
}

impl Google {
    /// Starts it; `CANARY-TOKEN` is a token that counts.
    pub(super) fn start() -> Self {
        let mut behaviour = Behaviour::default();
        behaviour.issue("CANARY-TOKEN");
        let behaviour = Arc::new(Mutex::new(behaviour));
        let shared = Arc::clone(&behaviour);
        let server =
            Server::start(move |request| shared.lock().expect("the behaviour").answer(request));
        Self { server, behaviour }
    }

    /// Changes how it behaves.
    pub(super) fn set(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.behaviour.lock().expect("the behaviour"));
    }

    /// The paths of all requests so far, without queries.
    pub(super) fn paths(&self) -> Vec<String> {
        let path = |request: &Request| {
            request
                .path
                .split('?')
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        self.server.requests().iter().map(path).collect()
    }
}

impl Behaviour {
    /// Makes a token count.
    pub(super) fn issue(&mut self, token: &str) {
        self.tokens.insert(token.to_owned());
    }

    fn answer(&mut self, request: &Request) -> Reply {
        match request.path.split('?').next().unwrap_or_default() {
            "/token" => self.token(request),
            "/computeMetadata/v1/instance/service-accounts/default/token" => self.metadata(request),
            path => match path
                .strip_prefix("/v1/")
                .and_then(|path| path.rsplit_once(':'))
            {
                Some((key, verb)) => self.kms(request, key, verb),
                None => error(404, "NOT_FOUND", "Requested entity was not found."),
            },
        }
    }

    fn next_token(&mut self) -> Value {
        let token = match self.issued.as_slice() {
            [last] => *last,
            _ => self.issued.remove(0),
        };
        json!({"access_token": token, "expires_in": 3600, "token_type": "Bearer"})
    }

    /// RFC 6749, section 6: a refresh token for an access token.
    fn token(&mut self, request: &Request) -> Reply {
        let body = request.json();
        if body["grant_type"] == "refresh_token" && body["refresh_token"] == "CANARY-REFRESH" {
            return Reply::json(200, &self.next_token());
        }
        let description = "Token has been expired or revoked.";
        let error = json!({"error": "invalid_grant", "error_description": description});
        Reply::json(400, &error)
    }

    fn metadata(&mut self, request: &Request) -> Reply {
        if request.header("metadata-flavor") != Some("Google") {
            return error(403, "FORBIDDEN", "Missing Metadata-Flavor:Google header.");
        }
        Reply::json(200, &self.next_token()).with("Metadata-Flavor", "Google")
    }

    fn kms(&mut self, request: &Request, key: &str, verb: &str) -> Reply {
        if let Some(status) = self.busy.pop() {
            let status_name = if status == 429 {
                "RESOURCE_EXHAUSTED"
            } else {
                "UNAVAILABLE"
            };
            return error(status, status_name, "Try again later.").with("Retry-After", "0");
        }
        let bearer = request
            .header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "));
        let accepted = |token: &str| {
            let signed = self
                .account
                .as_ref()
                .is_some_and(|key| is_signed(token, key));
            self.tokens.contains(token) || signed
        };
        if !bearer.is_some_and(accepted) {
            let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.";
            return error(401, "UNAUTHENTICATED", message);
        }
        if request.method != "POST" || request.header("content-type") != Some("application/json") {
            return error(400, "INVALID_ARGUMENT", "Invalid request.");
        }
        if key.contains("/forbidden/") {
            let message = format!(
                "Permission 'cloudkms.cryptoKeyVersions.useToEncrypt' denied on resource '{key}' (or it may not exist)."
            );
            return error(403, "PERMISSION_DENIED", &message);
        }
        if ![KEY, OTHER].contains(&key) {
            let message = format!("CryptoKey {key} not found.");
            return error(404, "NOT_FOUND", &message);
        }
        if self.disabled.iter().any(|disabled| disabled == key) {
            let message =
                format!("{key}/cryptoKeyVersions/1 is not enabled, current state is: DISABLED.");
            return error(400, "FAILED_PRECONDITION", &message);
        }
        let mut reply = match verb {
            "encrypt" => encrypt(key, &request.json()),
            "decrypt" => decrypt(key, &request.json()),
            _ => return error(404, "NOT_FOUND", "Method not found."),
        };
        if self.damaged {
            reply.body = reply.body.replace("Crc32c\":\"", "Crc32c\":\"9");
        }
        reply
    }
}

/// `projects.locations.keyRings.cryptoKeys.encrypt`
fn encrypt(key: &str, body: &Value) -> Reply {
    let Some(plaintext) = checked(body, "plaintext", "plaintextCrc32c") else {
        return error(
            400,
            "INVALID_ARGUMENT",
            "The checksum in field plaintext_crc32c did not match.",
        );
    };
    let mut sealed: Vec<u8> = plaintext
        .iter()
        .zip(stream(key))
        .map(|(byte, pad)| byte ^ pad)
        .collect();
    let tag = tag(key, &sealed);
    sealed.extend(tag);
    Reply::json(
        200,
        &json!({
            "name": format!("{key}/cryptoKeyVersions/1"),
            "ciphertext": STANDARD.encode(&sealed),
            "ciphertextCrc32c": crc32c(&sealed).to_string(),
            "verifiedPlaintextCrc32c": true,
            "protectionLevel": "SOFTWARE",
        }),
    )
}

/// `projects.locations.keyRings.cryptoKeys.decrypt`
fn decrypt(key: &str, body: &Value) -> Reply {
    let Some(sealed) = checked(body, "ciphertext", "ciphertextCrc32c") else {
        return error(
            400,
            "INVALID_ARGUMENT",
            "The checksum in field ciphertext_crc32c did not match.",
        );
    };
    let (text, given) = sealed.split_at(sealed.len().saturating_sub(64));
    if given != tag(key, text) {
        let message = "Decryption failed: verify that 'name' refers to the correct CryptoKey.";
        return error(400, "INVALID_ARGUMENT", message);
    }
    let plaintext: Vec<u8> = text
        .iter()
        .zip(stream(key))
        .map(|(byte, pad)| byte ^ pad)
        .collect();
    Reply::json(
        200,
        &json!({
            "plaintext": STANDARD.encode(&plaintext),
            "plaintextCrc32c": crc32c(&plaintext).to_string(),
            "usedPrimary": true,
        }),
    )
}

/// The bytes of a field, if they fit the checksum in another.
fn checked(body: &Value, field: &str, checksum: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(body[field].as_str()?).ok()?;
    let given = body[checksum].as_str()?;
    (given == crc32c(&bytes).to_string()).then_some(bytes)
}

fn error(code: u16, status: &str, message: &str) -> Reply {
    Reply::json(
        code,
        &json!({"error": {"code": code, "message": message, "status": status}}),
    )
}

/// A key stream of this key: enough for a data key or a share.
fn stream(key: &str) -> impl Iterator<Item = u8> {
    Sha512::digest(format!("stream of {key}")).into_iter()
}

fn tag(key: &str, sealed: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha512>::new_from_slice(key.as_bytes()).expect("any length");
    mac.update(sealed);
    mac.finalize().into_bytes().to_vec()
}

/// CRC-32C by its definition: the remainder of a division, bits reflected.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut register = u32::MAX;
    for bit in bytes
        .iter()
        .flat_map(|byte| (0..8).map(move |at| byte >> at & 1))
    {
        let carry = (register & 1) != u32::from(bit);
        register >>= 1;
        if carry {
            register ^= 0x1EDC_6F41_u32.reverse_bits();
        }
    }
    !register
}

/// Whether a token is one that a service account made itself (google.aip.dev/auth/4111): a JWT for this API, signed with
/// RS256 by the private key of `public`.
fn is_signed(token: &str, public: &Path) -> bool {
    let Some((message, signature)) = token.rsplit_once('.') else {
        return false;
    };
    let decode = |text| URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
    let claims = message.split('.').nth(1).unwrap_or_default();
    let claims: Value = serde_json::from_slice(&decode(claims)).unwrap_or_default();
    let folder = public.parent().expect("a folder");
    write_file(&folder.join("message"), message);
    write_file(&folder.join("signature"), decode(signature));
    let verified = openssl(
        folder,
        &[
            "dgst",
            "-sha256",
            "-verify",
            "public.pem",
            "-signature",
            "signature",
            "message",
        ],
    );
    let robot = "robot@shop.iam.gserviceaccount.com";
    verified
        && claims["iss"] == robot
        && claims["sub"] == robot
        && claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
        && claims["exp"].as_u64() > claims["iat"].as_u64()
}

/// Makes a service account: writes its key files to `folder`, returns its credentials.
pub(super) fn service_account(folder: &Path) -> String {
    assert!(openssl(
        folder,
        &[
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
            "-out",
            "private.pem"
        ]
    ));
    assert!(openssl(
        folder,
        &[
            "pkey",
            "-in",
            "private.pem",
            "-pubout",
            "-out",
            "public.pem"
        ]
    ));
    let private_key = std::fs::read_to_string(folder.join("private.pem")).expect("a key");
    json!({
        "type": "service_account",
        "project_id": "shop",
        "private_key_id": "1",
        "private_key": private_key,
        "client_email": "robot@shop.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    })
    .to_string()
}

fn openssl(folder: &Path, arguments: &[&str]) -> bool {
    let status = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status
        .expect("openssl is missing: install the package openssl")
        .success()
}
