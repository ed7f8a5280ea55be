//! Where access tokens come from: the sources of Azure's default chain, in its order.
//!
//! Environment, workload identity, managed identity, Azure CLI. A source that is not configured is passed over. One that
//! is, and is refused, ends the search: a token of somebody else would only hide the mistake. Variables are read by the
//! caller ([`AzureSettings`]), but for those of App Service, which the SDK reads itself.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::{
    ClientOptions, ExponentialRetryOptions, HttpClient, RetryOptions, Transport, Url,
};
use azure_identity::{
    AzureCliCredential, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use zeroize::Zeroizing;

use super::explain::{self, NoToken};
use super::imds::Impatient;
use super::vault::Vault;

/// How often a request is made again, after 0.2, 0.4 and 0.8 seconds, or when the service says.
const RETRIES: u32 = 3;

/// What the user configured for Azure. Everything may be missing.
#[derive(Clone, Default)]
pub struct AzureSettings {
    /// `AZURE_TENANT_ID`
    pub tenant_id: Option<String>,
    /// `AZURE_CLIENT_ID`: of a service principal, of a workload, or of a user-assigned managed identity.
    pub client_id: Option<String>,
    /// `AZURE_CLIENT_SECRET`
    pub client_secret: Option<Zeroizing<String>>,
    /// `AZURE_CLIENT_CERTIFICATE_PATH`, which is not supported: it is only named in errors.
    pub client_certificate: Option<PathBuf>,
    /// `AZURE_FEDERATED_TOKEN_FILE`
    pub federated_token_file: Option<PathBuf>,
    /// `AZURE_AUTHORITY_HOST`: the URL of Entra ID; `https://login.microsoftonline.com` if it is not given.
    pub authority_host: Option<String>,
    /// Hosts outside of Key Vault's domains that may be shown a token, with `:<port>` if it is not 443.
    pub allowed_hosts: Vec<String>,
}

impl fmt::Debug for AzureSettings {
    /// Says that they are there: one of them is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AzureSettings(…)")
    }
}

/// One place where a token may come from.
#[derive(Debug)]
struct Source {
    name: &'static str,
    /// What gives tokens, or why there is nothing.
    credential: Result<Arc<dyn TokenCredential>, String>,
    /// Whether the user configured it, so that the search ends with it.
    configured: bool,
}

/// All sources as one.
#[derive(Debug)]
pub(super) struct Chain {
    sources: Vec<Source>,
    /// The source that gave a token. From then on no other one is asked.
    chosen: OnceLock<usize>,
}

impl Chain {
    /// Sources for these settings, which use `http`.
    pub(super) fn new(settings: &AzureSettings, http: &Arc<dyn HttpClient>) -> Self {
        Self::of(vec![
            environment(settings, http),
            workload(settings, http),
            managed(settings),
            Source {
                name: "Azure CLI",
                credential: found(AzureCliCredential::new(None)),
                configured: false,
            },
        ])
    }

    fn of(sources: Vec<Source>) -> Self {
        let chosen = OnceLock::new();
        Self { sources, chosen }
    }
}

#[async_trait]
impl TokenCredential for Chain {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let mut problems = Vec::new();
        for (index, source) in self.sources.iter().enumerate() {
            if self.chosen.get().is_some_and(|&chosen| chosen != index) {
                continue;
            }
            let problem = match &source.credential {
                Ok(credential) => match credential.get_token(scopes, options.clone()).await {
                    Ok(token) => {
                        self.chosen.get_or_init(|| index);
                        return Ok(token);
                    }
                    Err(error) => explain::by_credential(&error),
                },
                Err(reason) => reason.clone(),
            };
            problems.push(format!("{}: {problem}", source.name));
            if source.configured {
                break;
            }
        }
        let problems = NoToken(problems.join("; "));
        Err(azure_core::Error::new(ErrorKind::Credential, problems))
    }
}

/// The chain, for one vault: a vault says itself what for it wants a token, and may not say everything.
#[derive(Debug)]
pub(super) struct ForVault {
    pub(super) chain: Arc<Chain>,
    pub(super) vault: Vault,
}

#[async_trait]
impl TokenCredential for ForVault {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        if let Some(scope) = scopes.iter().find(|scope| !self.vault.may_have(scope)) {
            let problem = NoToken(format!(
                "the vault wants one for `{scope}`, which is no vault"
            ));
            return Err(azure_core::Error::new(ErrorKind::Credential, problem));
        }
        self.chain.get_token(scopes, options).await
    }
}

/// How the SDK makes requests here: with this client, a few times, and without a look at the environment.
pub(super) fn client_options(http: &Arc<dyn HttpClient>) -> ClientOptions {
    ClientOptions {
        transport: Some(Transport::new(Arc::clone(http))),
        retry: RetryOptions::exponential(ExponentialRetryOptions {
            max_retries: RETRIES,
            ..Default::default()
        }),
        cloud: Some(Arc::new(CloudConfiguration::AzurePublic)),
        ..Default::default()
    }
}

/// The same for requests to Entra ID, wherever it is.
fn entra_options(
    settings: &AzureSettings,
    http: &Arc<dyn HttpClient>,
) -> Result<ClientOptions, String> {
    let mut options = client_options(http);
    if let Some(host) = &settings.authority_host {
        if !Url::parse(host).is_ok_and(|url| url.scheme() == "https") {
            return Err("AZURE_AUTHORITY_HOST is no URL that begins with `https://`".to_owned());
        }
        let mut custom = CustomConfiguration::default();
        custom.authority_host.clone_from(host);
        options.cloud = Some(Arc::new(custom.into()));
    }
    Ok(options)
}

fn found<T: TokenCredential + 'static>(
    made: azure_core::Result<Arc<T>>,
) -> Result<Arc<dyn TokenCredential>, String> {
    match made {
        Ok(credential) => Ok(credential),
        Err(error) => Err(explain::by_credential(&error)),
    }
}

/// A service principal with a secret.
fn environment(settings: &AzureSettings, http: &Arc<dyn HttpClient>) -> Source {
    let name = "environment";
    let (tenant, client, secret) = match (
        &settings.tenant_id,
        &settings.client_id,
        &settings.client_secret,
    ) {
        (Some(tenant), Some(client), Some(secret)) => (tenant, client, secret),
        (tenant, client, secret) => {
            let missing = missing(&[
                ("AZURE_TENANT_ID", tenant.is_some()),
                ("AZURE_CLIENT_ID", client.is_some()),
                ("AZURE_CLIENT_SECRET", secret.is_some()),
            ]);
            let reason = match settings.client_certificate {
                None => missing,
                Some(_) => format!("{missing}; certificates are not supported"),
            };
            return absent(name, reason);
        }
    };
    let secret = Secret::new(secret.as_str().to_owned());
    let credential = entra_options(settings, http).and_then(|client_options| {
        let options = ClientSecretCredentialOptions { client_options };
        let made = ClientSecretCredential::new(tenant, client.clone(), secret, Some(options));
        found(made)
    });
    Source {
        name,
        credential,
        configured: true,
    }
}

/// A workload in Kubernetes, or another one whose token Entra ID trusts.
fn workload(settings: &AzureSettings, http: &Arc<dyn HttpClient>) -> Source {
    let name = "workload identity";
    let (Some(tenant), Some(client), Some(file)) = (
        &settings.tenant_id,
        &settings.client_id,
        &settings.federated_token_file,
    ) else {
        let missing = missing(&[
            ("AZURE_TENANT_ID", settings.tenant_id.is_some()),
            ("AZURE_CLIENT_ID", settings.client_id.is_some()),
            (
                "AZURE_FEDERATED_TOKEN_FILE",
                settings.federated_token_file.is_some(),
            ),
        ]);
        return absent(name, missing);
    };
    let credential = entra_options(settings, http).and_then(|client_options| {
        found(WorkloadIdentityCredential::new(Some(
            WorkloadIdentityCredentialOptions {
                credential_options: ClientAssertionCredentialOptions { client_options },
                client_id: Some(client.clone()),
                tenant_id: Some(tenant.clone()),
                token_file_path: Some(file.clone()),
            },
        )))
    });
    Source {
        name,
        credential,
        configured: true,
    }
}

/// The identity of this virtual machine or app.
fn managed(settings: &AzureSettings) -> Source {
    let name = "managed identity";
    let http: Arc<dyn HttpClient> = match Impatient::new() {
        Ok(http) => Arc::new(http),
        Err(error) => return absent(name, error.to_string()),
    };
    let options = ManagedIdentityCredentialOptions {
        user_assigned_id: settings.client_id.clone().map(UserAssignedId::ClientId),
        client_options: client_options(&http),
    };
    Source {
        name,
        credential: found(ManagedIdentityCredential::new(Some(options))),
        configured: false,
    }
}

fn absent(name: &'static str, reason: String) -> Source {
    Source {
        name,
        credential: Err(reason),
        configured: false,
    }
}

/// The variables of these that are not there.
fn missing(variables: &[(&str, bool)]) -> String {
    let names: Vec<&str> = variables
        .iter()
        .filter(|(_, is_set)| !is_set)
        .map(|&(name, _)| name)
        .collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb} not set", names.join(", "))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use azure_core::time::OffsetDateTime;

    use super::*;
    use crate::keys::online::block_on;

    /// A source that gives its own name as a token, or says that it has none.
    #[derive(Debug)]
    struct Fake {
        name: &'static str,
        works: bool,
        asked: Arc<Mutex<Vec<&'static str>>>,
    }

    #[async_trait]
    impl TokenCredential for Fake {
        async fn get_token(
            &self,
            _: &[&str],
            _: Option<TokenRequestOptions<'_>>,
        ) -> azure_core::Result<AccessToken> {
            self.asked.lock().unwrap().push(self.name);
            if self.works {
                Ok(AccessToken::new(self.name, OffsetDateTime::UNIX_EPOCH))
            } else {
                let text = "ERROR: out of order.\nTry  later. Trace ID: 1";
                Err(azure_core::Error::with_message(ErrorKind::Credential, text))
            }
        }
    }

    /// A chain of sources that work or not and are configured or not, and the list of those that were asked.
    fn chain(sources: &[(&'static str, bool, bool)]) -> (Chain, Arc<Mutex<Vec<&'static str>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let source = |&(name, works, configured)| {
            let asked = Arc::clone(&asked);
            Source {
                name,
                credential: Ok(Arc::new(Fake { name, works, asked })),
                configured,
            }
        };
        (Chain::of(sources.iter().map(source).collect()), asked)
    }

    fn token(chain: &Chain) -> Result<String, String> {
        match block_on(chain.get_token(&["scope"], None)).unwrap() {
            Ok(token) => Ok(token.token.secret().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn names(settings: &AzureSettings) -> Vec<(&'static str, bool)> {
        let http: Arc<dyn HttpClient> = Arc::new(Impatient::new().unwrap());
        Chain::new(settings, &http)
            .sources
            .iter()
            .map(|source| (source.name, source.configured))
            .collect()
    }

    #[test]
    fn the_order_is_that_of_the_default_chain() {
        let mut settings = AzureSettings::default();
        let order = |environment, workload| {
            [
                ("environment", environment),
                ("workload identity", workload),
                ("managed identity", false),
                ("Azure CLI", false),
            ]
        };
        assert_eq!(names(&settings), order(false, false));
        settings.tenant_id = Some("tenant".to_owned());
        settings.client_id = Some("client".to_owned());
        settings.federated_token_file = Some("/nowhere".into());
        assert_eq!(names(&settings), order(false, true));
        settings.client_secret = Some("secret".to_owned().into());
        assert_eq!(names(&settings), order(true, true));
    }

    #[test]
    fn the_first_source_that_works_is_kept() {
        let (chain, asked) = chain(&[("a", false, false), ("b", true, false), ("c", true, false)]);
        assert_eq!(token(&chain), Ok("b".to_owned()));
        assert_eq!(token(&chain), Ok("b".to_owned()));
        assert_eq!(*asked.lock().unwrap(), ["a", "b", "b"]);
    }

    #[test]
    fn every_source_that_fails_is_named() {
        let (chain, _) = chain(&[("a", false, false), ("b", false, false)]);
        let expected = "a: out of order. Try later; b: out of order. Try later";
        assert_eq!(token(&chain), Err(expected.to_owned()));
    }

    #[test]
    fn a_source_that_is_configured_is_the_last() {
        let (chain, asked) = chain(&[("a", false, false), ("b", false, true), ("c", true, false)]);
        assert!(token(&chain).unwrap_err().contains("b: out of order"));
        assert_eq!(*asked.lock().unwrap(), ["a", "b"]);
    }

    #[test]
    fn settings_do_not_show_the_secret() {
        let settings = AzureSettings {
            client_secret: Some("S3CR3T-CANARY".to_owned().into()),
            ..AzureSettings::default()
        };
        assert!(!format!("{settings:?}").contains("CANARY"));
    }
}
