//! The Google credentials of this user, and where Cloud KMS is: SOPS's variables (spec 10.4).
//!
//! Files are read when a key is wrapped or unwrapped, not before. Application default credentials are left to Google's
//! library.

use std::ffi::OsString;
use std::fs;

use sops_rs::keys::KeyError;
use sops_rs::keys::gcp_kms::{GcpCredentials, GcpUser};
use zeroize::Zeroizing;

use super::context::Context;

/// The universe that most people live in.
const DEFAULT_UNIVERSE: &str = "googleapis.com";

/// What the environment says about Google Cloud KMS.
pub(crate) struct Environment {
    /// The path of a file, or JSON.
    credentials: Option<OsString>,
    token: Option<OsString>,
    endpoint: String,
}

impl Environment {
    /// Reads the variables; no file.
    pub(crate) fn of(context: &Context) -> Self {
        Self::read(&|name| context.variable(name).map(OsString::from))
    }

    fn read(variable: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let text = |name| variable(name).map(|value| value.to_string_lossy().into_owned());
        let endpoint = match text("SOPS_GCP_KMS_ENDPOINT") {
            Some(url) if url.contains("://") => url,
            // As a gRPC client takes it.
            Some(host_and_port) => format!("https://{host_and_port}"),
            None => {
                let universe = text("SOPS_GCP_KMS_UNIVERSE_DOMAIN")
                    .or_else(|| text("GOOGLE_CLOUD_UNIVERSE_DOMAIN"));
                let universe = universe.as_deref().unwrap_or(DEFAULT_UNIVERSE);
                format!("https://cloudkms.{universe}")
            }
        };
        Self {
            credentials: variable("GOOGLE_CREDENTIALS"),
            token: variable("GOOGLE_OAUTH_ACCESS_TOKEN"),
            endpoint,
        }
    }
}

impl GcpUser for Environment {
    fn credentials(&self) -> Result<GcpCredentials, KeyError> {
        let text = |value: &OsString, name: &str| {
            let text = value.to_str().map(str::to_owned).map(Zeroizing::new);
            text.ok_or_else(|| KeyError::new(format!("{name} is not text")))
        };
        if let Some(credentials) = &self.credentials {
            let is_json = credentials.to_string_lossy().trim_start().starts_with('{');
            return Ok(GcpCredentials::Json(if is_json {
                text(credentials, "GOOGLE_CREDENTIALS")?
            } else {
                // It is not named: it could be a key that was meant to be JSON.
                let failed = "GOOGLE_CREDENTIALS is neither JSON nor a file that can be read";
                fs::read_to_string(credentials)
                    .map(Zeroizing::new)
                    .map_err(|error| KeyError::new(failed).because(error))?
            }));
        }
        match &self.token {
            Some(token) => text(token, "GOOGLE_OAUTH_ACCESS_TOKEN").map(GcpCredentials::Token),
            None => Ok(GcpCredentials::Default),
        }
    }

    fn endpoint(&self) -> String {
        self.endpoint.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fs::File;
    use std::io::Write as _;

    use sops_rs::keys::gcp_kms::{GcpCredentials, GcpUser as _};

    use super::Environment;

    fn of(variables: &[(&str, &str)]) -> Environment {
        Environment::read(&|name| {
            let (_, value) = variables.iter().find(|(key, _)| *key == name)?;
            Some(OsString::from(value))
        })
    }

    #[test]
    fn the_order_of_credentials() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        let mut file = File::create_new(&path).unwrap();
        file.write_all(b"{\"from\": \"file\"}").unwrap();
        let path = path.to_str().unwrap();
        let token = ("GOOGLE_OAUTH_ACCESS_TOKEN", "token");
        let json = |variables: &[(&str, &str)]| match of(variables).credentials().unwrap() {
            GcpCredentials::Json(text) => text.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(
            json(&[("GOOGLE_CREDENTIALS", path), token]),
            "{\"from\": \"file\"}"
        );
        assert_eq!(json(&[("GOOGLE_CREDENTIALS", " {}"), token]), " {}");
        assert_eq!(json(&[token]), "Token(…)");
        assert_eq!(json(&[]), "Default");
    }

    #[test]
    fn what_is_no_credential_is_not_repeated() {
        let environment = of(&[("GOOGLE_CREDENTIALS", "CANARY")]);
        let error = environment.credentials().unwrap_err();
        assert!(!error.in_full().contains("CANARY"));
        assert!(
            error
                .in_full()
                .starts_with("GOOGLE_CREDENTIALS is neither JSON nor a file that can be read: ")
        );
    }

    #[test]
    fn endpoints() {
        let endpoint = ("SOPS_GCP_KMS_ENDPOINT", "https://kms.example.com/x");
        let host = ("SOPS_GCP_KMS_ENDPOINT", "kms.example.com:443");
        let universe = ("SOPS_GCP_KMS_UNIVERSE_DOMAIN", "apis-eu.example");
        let general = ("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "other.example");
        for (variables, expected) in [
            (vec![], "https://cloudkms.googleapis.com"),
            (vec![general], "https://cloudkms.other.example"),
            (vec![universe, general], "https://cloudkms.apis-eu.example"),
            (vec![host, universe], "https://kms.example.com:443"),
            (vec![endpoint, universe], "https://kms.example.com/x"),
        ] {
            assert_eq!(of(&variables).endpoint(), expected);
        }
    }
}
