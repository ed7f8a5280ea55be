//! Credentials become the headers that open the API: a token as it is, or one that Google's library gets and renews.
//!
//! Knows the kinds of credentials. Does not know which the user prefers, nor what they open.

use std::error::Error as _;
use std::time::Duration;

use google_cloud_auth::build_errors::Error as BuildError;
use google_cloud_auth::credentials::service_account::AccessSpecifier;
use google_cloud_auth::credentials::{
    Builder, CacheableResource, Credentials, external_account, external_account_authorized_user,
    impersonated, service_account, user_account,
};
use google_cloud_auth::errors::CredentialsError;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::Value;
use zeroize::Zeroizing;

use super::super::{KeyError, http};

/// What the token may be used for. Cloud KMS takes no narrower scope than its own, which some kinds of credentials lack.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// How long to wait for a token: it can take several requests, and the metadata server may not exist.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What proves who is asking.
pub enum GcpCredentials {
    /// Credentials in JSON: a service account, a user, a federated identity, or an impersonation.
    Json(Zeroizing<String>),
    /// An access token.
    Token(Zeroizing<String>),
    /// Application default credentials (google.aip.dev/auth/4110).
    Default,
}

impl std::fmt::Debug for GcpCredentials {
    /// The kind alone.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Json(_) => "Json(…)",
            Self::Token(_) => "Token(…)",
            Self::Default => "Default",
        })
    }
}

/// What opens the API.
#[derive(Clone)]
pub(super) enum Access {
    /// An access token, as a header.
    Token(HeaderValue),
    /// Something that gets access tokens.
    Renewable(Credentials),
}

impl Access {
    /// Reads credentials. To be called on the runtime: some renew themselves.
    ///
    /// # Errors
    ///
    /// If they are not of a kind that Google makes. What is in them is never repeated.
    pub(super) fn new(credentials: &GcpCredentials) -> Result<Self, KeyError> {
        match credentials {
            GcpCredentials::Token(token) => {
                let bearer = Zeroizing::new(format!("Bearer {}", token.trim()));
                let header = http::secret_header(&bearer).ok_or_else(|| {
                    KeyError::new("the access token has characters that no token can have")
                })?;
                Ok(Self::Token(header))
            }
            GcpCredentials::Json(text) => from_json(text).map(Self::Renewable),
            GcpCredentials::Default => Builder::default()
                .with_scopes([SCOPE])
                .build()
                .map(Self::Renewable)
                .map_err(|error| not_built(&error)),
        }
    }

    /// The headers for a request.
    ///
    /// # Errors
    ///
    /// If no token can be had.
    pub(super) async fn headers(&self) -> Result<HeaderMap, KeyError> {
        let credentials = match self {
            Self::Token(header) => {
                return Ok(HeaderMap::from_iter([(AUTHORIZATION, header.clone())]));
            }
            Self::Renewable(credentials) => credentials,
        };
        let wait = tokio::time::timeout(TIMEOUT, credentials.headers(Default::default()));
        match wait.await {
            Err(_) => Err(KeyError::new("no access token came in time").for_want_of_an_answer()),
            Ok(Ok(CacheableResource::New { data, .. })) => Ok(data),
            Ok(Ok(CacheableResource::NotModified)) => Err(KeyError::new("no access token came")),
            Ok(Err(error)) => Err(no_token(&error)),
        }
    }
}

fn from_json(text: &str) -> Result<Credentials, KeyError> {
    let bad = || KeyError::new("the credentials are not JSON of a kind that Google makes");
    let json: Value = serde_json::from_str(text).map_err(|_| bad())?;
    let kind = json.get("type").and_then(Value::as_str).unwrap_or_default();
    let scopes = [SCOPE];
    let built = match kind.to_owned().as_str() {
        "service_account" => service_account::Builder::new(json)
            .with_access_specifier(AccessSpecifier::from_scopes(scopes))
            .build(),
        "authorized_user" => user_account::Builder::new(json).with_scopes(scopes).build(),
        "external_account" => external_account::Builder::new(json)
            .with_scopes(scopes)
            .build(),
        "external_account_authorized_user" => {
            external_account_authorized_user::Builder::new(json).build()
        }
        "impersonated_service_account" => {
            impersonated::Builder::new(json).with_scopes(scopes).build()
        }
        _ => return Err(bad()),
    };
    built.map_err(|error| not_built(&error))
}

/// Why credentials are of no use. What a parser says could repeat a part of them.
fn not_built(error: &BuildError) -> KeyError {
    match error.source().filter(|_| error.is_loading()) {
        Some(cause) => {
            let said = http::said(&cause.to_string(), &[]).unwrap_or_default();
            KeyError::new(format!("cannot read the credentials: {said}"))
        }
        None => KeyError::new("the credentials are not JSON of a kind that Google makes"),
    }
}

/// Why there is no access token.
fn no_token(error: &CredentialsError) -> KeyError {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(next) = cause {
        texts.push(next.to_string());
        cause = next.source();
    }
    let not_google = "not running in a Google Cloud Environment";
    if texts.iter().any(|text| text.contains(not_google)) {
        return KeyError::new(
            "no credentials: there are no application default credentials (`gcloud auth application-default login` makes them), and this is no machine of Google Cloud",
        );
    }
    let last = texts.last().map(String::as_str).unwrap_or_default();
    let described = texts.iter().find_map(|text| description(text));
    let said = http::said(described.as_deref().unwrap_or(last), &[]).unwrap_or_default();
    KeyError::new(format!("no access token could be had: {said}"))
}

/// What a token endpoint said (RFC 6749, section 5.2), out of an error of Google's library that ends with `body=<…>`.
fn description(text: &str) -> Option<String> {
    let (_, body) = text.split_once("body=<")?;
    let (body, _) = body.rsplit_once('>')?;
    let json: Value = serde_json::from_str(body).ok()?;
    let field = |name| json.get(name).and_then(Value::as_str);
    let error = field("error")?;
    Some(match field("error_description") {
        Some(description) => format!("{error}: {description}"),
        None => error.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::description;

    #[test]
    fn what_a_token_endpoint_said() {
        let said = |body| description(&format!("failed to refresh, body=<{body}>"));
        assert_eq!(
            said("{\"error\": \"invalid_grant\", \"error_description\": \"Bad <x>\"}").unwrap(),
            "invalid_grant: Bad <x>"
        );
        assert_eq!(
            said("{\"error\": \"invalid_grant\"}").unwrap(),
            "invalid_grant"
        );
        assert_eq!(said("<html>"), None);
        assert_eq!(description("no body"), None);
    }
}
