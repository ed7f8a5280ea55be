//! The Vault token of this user, and which servers may have it: the variables of Vault's own client, and those of SOPS.
//!
//! An address in a file says where to ask; only the environment says whom to trust. Files are read when a token is needed,
//! not before. What is said to a server is the business of `keys::vault`.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sops_rs::keys::KeyError;
use sops_rs::keys::vault::{Server, VaultTls, VaultUser, origin};
use zeroize::Zeroizing;

use super::context::Context;

/// No file that is read here is longer, in bytes.
const MAX_FILE_LEN: u64 = 1024 * 1024;
/// How long Vault's client waits for an answer.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// What the environment says about Vault.
pub(crate) struct Environment {
    token: Option<Zeroizing<String>>,
    token_file: Option<PathBuf>,
    namespace: Option<String>,
    trusted: Trusted,
    roots: Roots,
    /// Files of a certificate and of its private key.
    client: (Option<PathBuf>, Option<PathBuf>),
    skip_verify: Option<String>,
    timeout: Option<String>,
    /// Whether a server was asked that did not have to prove who it is.
    unverified: AtomicBool,
}

/// Which servers may have the token.
#[derive(Debug, PartialEq, Eq)]
enum Trusted {
    /// Every server: the user has said so.
    All,
    /// Those whose address begins so.
    These(Vec<String>),
    /// The one that `VAULT_ADDR` names, for which the token was made.
    Home(String),
    /// Nothing was said: every server to which nobody can listen, as long as no server chooses another.
    Unsaid,
}

/// Which authorities may vouch for servers.
enum Roots {
    /// Those of the system.
    System,
    /// Those in this file.
    File(PathBuf),
    /// These.
    Text(String),
    /// Those in the files of this folder.
    Folder(PathBuf),
}

impl Environment {
    /// Reads the variables; no file.
    pub(crate) fn of(context: &Context) -> Self {
        let text = |name| context.variable(name).map(lossy);
        let path = |name| context.variable(name).map(PathBuf::from);
        let roots = match (
            path("VAULT_CACERT"),
            text("VAULT_CACERT_BYTES"),
            path("VAULT_CAPATH"),
        ) {
            (Some(file), _, _) => Roots::File(file),
            (None, Some(pem), _) => Roots::Text(pem),
            (None, None, Some(folder)) => Roots::Folder(folder),
            (None, None, None) => Roots::System,
        };
        Self {
            token: text("VAULT_TOKEN").map(Zeroizing::new),
            token_file: context.home_dir().map(|home| home.join(".vault-token")),
            namespace: text("VAULT_NAMESPACE"),
            trusted: Trusted::of(
                text("SOPS_HC_VAULT_ALLOWLIST").as_deref(),
                text("VAULT_ADDR").as_deref(),
            ),
            roots,
            client: (path("VAULT_CLIENT_CERT"), path("VAULT_CLIENT_KEY")),
            skip_verify: text("VAULT_SKIP_VERIFY"),
            timeout: text("VAULT_CLIENT_TIMEOUT"),
            unverified: AtomicBool::new(false),
        }
    }

    /// What the user should know about the servers that were asked so far.
    pub(crate) fn warning(&self) -> Option<&'static str> {
        self.unverified.load(Ordering::Relaxed).then_some(
            "VAULT_SKIP_VERIFY is set: anyone on the way can pose as the Vault server and take the token and the data key",
        )
    }
}

impl VaultUser for Environment {
    fn token(&self, server: &Server) -> Result<Zeroizing<String>, KeyError> {
        self.trusted.judge(server)?;
        let of_variable = self.token.as_ref().map(|token| token.trim());
        if let Some(token) = of_variable.filter(|token| !token.is_empty()) {
            return Ok(Zeroizing::new(token.to_owned()));
        }
        let none =
            || KeyError::new("no token: VAULT_TOKEN is not set, and there is no ~/.vault-token");
        let path = self.token_file.as_deref().ok_or_else(none)?;
        if !path.exists() {
            return Err(none());
        }
        let bytes = read(path)?;
        match std::str::from_utf8(&bytes).map(str::trim) {
            Ok("") => Err(KeyError::new(format!(
                "there is no token in `{}`",
                path.display()
            ))),
            Ok(token) => Ok(Zeroizing::new(token.to_owned())),
            Err(_) => Err(KeyError::new(format!("`{}` is not text", path.display()))),
        }
    }

    fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    fn tls(&self) -> Result<VaultTls, KeyError> {
        let roots = match &self.roots {
            Roots::System => None,
            Roots::File(path) => Some(read(path)?.to_vec()),
            Roots::Text(pem) => Some(pem.clone().into_bytes()),
            Roots::Folder(path) => Some(read_all(path)?),
        };
        let identity = match &self.client {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                let mut pem = read(certificate)?;
                let key = read(key)?;
                pem.reserve_exact(key.len() + 1);
                pem.push(b'\n');
                pem.extend_from_slice(&key);
                Some(pem)
            }
            _ => {
                let both = "VAULT_CLIENT_CERT and VAULT_CLIENT_KEY must be set both, or neither";
                return Err(KeyError::new(both));
            }
        };
        let skip = self.skip_verify.as_deref().map_or(Ok(false), parse_bool)?;
        if skip {
            self.unverified.store(true, Ordering::Relaxed);
        }
        Ok(VaultTls {
            roots,
            identity,
            verify: !skip,
        })
    }

    fn timeout(&self) -> Result<Duration, KeyError> {
        match &self.timeout {
            None => Ok(DEFAULT_TIMEOUT),
            Some(text) => parse_timeout(text).ok_or_else(|| {
                KeyError::new(
                    "VAULT_CLIENT_TIMEOUT must be a number of seconds, or like `30s` or `2m`",
                )
            }),
        }
    }
}

impl Trusted {
    /// What the variables `SOPS_HC_VAULT_ALLOWLIST` and `VAULT_ADDR` say (spec 10.6).
    fn of(allowed: Option<&str>, address: Option<&str>) -> Self {
        match (allowed.map(str::trim), address) {
            (Some("all"), _) => Self::All,
            (Some("none"), _) => Self::These(Vec::new()),
            (Some(list), _) => Self::These(
                list.split(',')
                    .map(str::trim)
                    .filter(|prefix| !prefix.is_empty())
                    .map(str::to_owned)
                    .collect(),
            ),
            (None, Some(address)) => {
                Self::Home(origin(address).unwrap_or_else(|| address.to_owned()))
            }
            (None, None) => Self::Unsaid,
        }
    }

    /// Whether `server` may have the token.
    ///
    /// # Errors
    /// Why not, with the variable that decides.
    fn judge(&self, server: &Server) -> Result<(), KeyError> {
        let name = &server.origin;
        let from = server.named_by.as_ref().filter(|from| *from != name);
        let refused = match self {
            Self::All => return Ok(()),
            Self::These(prefixes) if prefixes.is_empty() => {
                "SOPS_HC_VAULT_ALLOWLIST allows no Vault server".to_owned()
            }
            Self::These(prefixes) => {
                if prefixes.iter().any(|prefix| allows(prefix, name)) {
                    return Ok(());
                }
                format!(
                    "the token is not for `{name}`, which SOPS_HC_VAULT_ALLOWLIST does not name"
                )
            }
            Self::Home(home) => {
                if home == name {
                    return Ok(());
                }
                format!(
                    "the token is not for `{name}` but for VAULT_ADDR, `{home}`; if you trust both, set SOPS_HC_VAULT_ALLOWLIST={home},{name}"
                )
            }
            Self::Unsaid => match from {
                None if server.private => return Ok(()),
                None => format!(
                    "a token does not go to `{name}` without TLS, unless you set SOPS_HC_VAULT_ALLOWLIST={name}"
                ),
                Some(from) => format!(
                    "`{from}` sends the token on to `{name}`; if you trust both, set SOPS_HC_VAULT_ALLOWLIST={from},{name}"
                ),
            },
        };
        Err(KeyError::new(refused))
    }
}

/// Whether an entry of the list allows a server: as SOPS compares, and however the address is spelled.
fn allows(prefix: &str, server: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    let is_address = prefix
        .split_once("://")
        .is_some_and(|(_, rest)| !rest.contains('/'));
    let same = is_address && origin(prefix).is_some_and(|origin| origin == server);
    same || format!("{server}/").starts_with(&format!("{prefix}/"))
}

/// The text of a variable. What is not UTF-8 cannot be right, and fails where it is used.
fn lossy(value: &OsStr) -> String {
    value.to_string_lossy().into_owned()
}

/// As Vault's own client reads it.
fn parse_bool(text: &str) -> Result<bool, KeyError> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(KeyError::new("VAULT_SKIP_VERIFY must be `true` or `false`")),
    }
}

/// Seconds, or a number with a unit; never nothing.
fn parse_timeout(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u32 = digits.parse().ok().filter(|number| *number > 0)?;
    let number = u64::from(number);
    match text.strip_prefix(digits)? {
        "" | "s" => Some(Duration::from_secs(number)),
        "ms" => Some(Duration::from_millis(number)),
        "m" => Some(Duration::from_secs(number * 60)),
        "h" => Some(Duration::from_secs(number * 3600)),
        _ => None,
    }
}

/// The whole of a file, of which no copy is left behind.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let failed = |error| KeyError::new(format!("cannot read `{}`", path.display())).because(error);
    let mut file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length > MAX_FILE_LEN {
        return Err(KeyError::new(format!("`{}` is too long", path.display())));
    }
    let capacity = usize::try_from(length).unwrap_or_default() + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.by_ref()
        .take(MAX_FILE_LEN)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

/// All files of a folder, one after the other by name.
fn read_all(folder: &Path) -> Result<Vec<u8>, KeyError> {
    let failed =
        |error| KeyError::new(format!("cannot read `{}`", folder.display())).because(error);
    let names: Result<Vec<OsString>, _> = fs::read_dir(folder)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect();
    let mut names = names.map_err(failed)?;
    names.sort();
    let mut all = Vec::new();
    for path in names.iter().map(|name| folder.join(name)) {
        if path.is_file() {
            all.extend_from_slice(&read(&path)?);
            all.push(b'\n');
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sops_rs::keys::vault::Server;

    use super::{Trusted, parse_bool, parse_timeout};

    fn server(origin: &str, named_by: Option<&str>) -> Server {
        Server {
            origin: origin.to_owned(),
            private: origin.starts_with("https://"),
            named_by: named_by.map(str::to_owned),
        }
    }

    fn may_have(allowed: Option<&str>, address: Option<&str>, origin: &str) -> bool {
        let trusted = Trusted::of(allowed, address);
        trusted.judge(&server(origin, None)).is_ok()
    }

    #[test]
    fn a_list_decides_alone() {
        let home = Some("https://home");
        assert!(may_have(Some("all"), home, "http://anywhere"));
        assert!(!may_have(Some("none"), home, "https://home"));
        assert!(!may_have(Some(","), None, "https://home"));
        let list =
            Some("https://a.example.com , https://B.example.com:443/,https://c.example.com/team");
        assert!(may_have(list, home, "https://a.example.com"));
        assert!(may_have(list, home, "https://b.example.com"));
        for other in [
            "https://home",
            "http://a.example.com",
            "https://a.example.com:8200",
            "https://a.example.com.evil.example",
            "https://c.example.com",
        ] {
            assert!(!may_have(list, home, other), "{other}");
        }
    }

    #[test]
    fn a_token_belongs_to_the_server_of_the_address() {
        for home in ["https://Home:8200", "https://home:8200/v1"] {
            assert!(may_have(None, Some(home), "https://home:8200"));
            assert!(!may_have(None, Some(home), "https://home"));
            assert!(!may_have(None, Some(home), "https://evil:8200"));
        }
        assert!(may_have(None, Some("http://home"), "http://home"));
        assert!(!may_have(None, Some("unix:///agent"), "https://home"));
    }

    #[test]
    fn when_nothing_is_said_a_token_goes_anywhere_but_in_clear_or_by_a_servers_choice() {
        assert!(may_have(None, None, "https://anywhere"));
        assert!(!may_have(None, None, "http://anywhere"));
        let on = |from| {
            let server = server("https://b", Some(from));
            Trusted::Unsaid.judge(&server)
        };
        assert!(on("https://b").is_ok());
        assert_eq!(
            on("https://a").unwrap_err().to_string(),
            "`https://a` sends the token on to `https://b`; if you trust both, set SOPS_HC_VAULT_ALLOWLIST=https://a,https://b"
        );
    }

    #[test]
    fn truth_and_time_are_read_as_vaults_client_does() {
        assert!(parse_bool("T").unwrap() && !parse_bool("0").unwrap());
        assert!(parse_bool("yes").is_err());
        for (text, expected) in [
            ("30", Some(30_000)),
            ("30s", Some(30_000)),
            ("250ms", Some(250)),
            ("2m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("0", None),
            ("-1", None),
            ("s", None),
            ("5d", None),
            ("", None),
        ] {
            assert_eq!(
                parse_timeout(text),
                expected.map(Duration::from_millis),
                "{text}"
            );
        }
    }
}
