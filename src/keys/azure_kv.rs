//! Wraps data keys with RSA keys in Azure Key Vault and Managed HSM (spec 10.5).
//!
//! Knows the three requests there are: which version of a key is current, encrypt, decrypt. Requests, sign-in challenges
//! and tokens are the SDK's; where credentials come from is in `credential`, which hosts may be asked in `vault`. Reads no
//! variables: the caller gives [`AzureSettings`]. Nothing is asked of the network before a key is wrapped or unwrapped.

mod credential;
mod explain;
mod imds;
mod vault;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use azure_core::http::HttpClient;
use azure_security_keyvault_keys::models::{
    EncryptionAlgorithm, KeyClientEncryptOptions, KeyOperationParameters,
};
use azure_security_keyvault_keys::{KeyClient, KeyClientOptions, ResourceExt as _};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

pub use self::credential::AzureSettings;

use self::credential::{Chain, ForVault, client_options};
use self::vault::{KeyName, Vault, is_word};
use super::online::block_on;
use super::{KeyError, KeyService};
use crate::recipient::Recipient;
use crate::secret::DataKey;

/// How long it may take to get a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(20);
/// How long an operation may take, with all its requests, waits and programs.
const LONGEST: Duration = Duration::from_secs(60);

/// Wraps and unwraps with keys in Azure, in the name of whoever [`AzureSettings`] lead to.
pub struct AzureKvService {
    settings: AzureSettings,
    /// What all requests share; made for the first one.
    connection: Mutex<Option<Connection>>,
}

/// What is kept between requests.
struct Connection {
    http: Arc<dyn HttpClient>,
    chain: Arc<Chain>,
    clients: HashMap<Vault, Arc<KeyClient>>,
}

impl AzureKvService {
    /// A service with these settings.
    #[must_use]
    pub fn new(settings: AzureSettings) -> Self {
        let connection = Mutex::new(None);
        Self {
            settings,
            connection,
        }
    }

    fn key<'a>(&self, recipient: &'a Recipient) -> Result<(KeyName<'a>, Arc<KeyClient>), KeyError> {
        let key = KeyName::of(recipient, &self.settings.allowed_hosts)?;
        let client = self.client(&key.vault)?;
        Ok((key, client))
    }

    /// The client for a vault, the same each time: it remembers how the vault wants to be asked.
    fn client(&self, vault: &Vault) -> Result<Arc<KeyClient>, KeyError> {
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let connection = match connection.as_mut() {
            Some(connection) => connection,
            None => connection.insert(Connection::new(&self.settings)?),
        };
        connection.client(vault)
    }
}

impl Connection {
    fn new(settings: &AzureSettings) -> Result<Self, KeyError> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            // A vault answers itself; elsewhere a token has no business.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| KeyError::new("cannot set up TLS").because(error))?;
        let http: Arc<dyn HttpClient> = Arc::new(client);
        Ok(Self {
            chain: Arc::new(Chain::new(settings, &http)),
            http,
            clients: HashMap::new(),
        })
    }

    fn client(&mut self, vault: &Vault) -> Result<Arc<KeyClient>, KeyError> {
        if let Some(client) = self.clients.get(vault) {
            return Ok(Arc::clone(client));
        }
        let options = KeyClientOptions {
            client_options: client_options(&self.http),
            // A host that the user allowed may have any name; what it may ask for is checked by us.
            verify_challenge_resource: Some(!vault.by_permission),
            ..Default::default()
        };
        let credential = Arc::new(ForVault {
            chain: Arc::clone(&self.chain),
            vault: vault.clone(),
        });
        let client = KeyClient::new(&vault.url, credential, Some(options));
        let client = Arc::new(client.map_err(explain::by_vault)?);
        self.clients.insert(vault.clone(), Arc::clone(&client));
        Ok(client)
    }
}

impl fmt::Debug for AzureKvService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AzureKvService(…)")
    }
}

impl KeyService for AzureKvService {
    fn handles(&self, recipient: &Recipient) -> bool {
        matches!(recipient, Recipient::AzureKv { .. })
    }

    /// Looks up the current version of a key that is named without one, as SOPS does when it reads the name.
    fn resolve(&self, recipient: &Recipient) -> Result<Option<Recipient>, KeyError> {
        let Recipient::AzureKv {
            vault_url,
            name,
            version,
        } = recipient
        else {
            return Ok(None);
        };
        if !version.is_empty() {
            return Ok(None);
        }
        let (key, client) = self.key(recipient)?;
        let id = ask(async {
            client
                .get_key(key.name, None)
                .await?
                .into_model()?
                .resource_id()
        })?;
        let version = id.version.filter(|version| is_word(version));
        let version = version.ok_or_else(|| {
            KeyError::new("the vault does not say which version of the key is current")
        })?;
        Ok(Some(Recipient::AzureKv {
            vault_url: vault_url.clone(),
            name: name.clone(),
            version,
        }))
    }

    fn wrap(&self, recipient: &Recipient, key: &DataKey) -> Result<String, KeyError> {
        let (name, client) = self.key(recipient)?;
        if name.version.is_empty() {
            // What the current version wraps, the next one cannot unwrap.
            return Err(KeyError::new("no version of the key is named"));
        }
        let options = KeyClientEncryptOptions {
            key_version: Some(name.version.to_owned()),
            ..Default::default()
        };
        // The SDK does not wipe what it sends; nor does it what it receives.
        let parameters = parameters(key.expose().to_vec());
        let result = ask(async {
            let response = client.encrypt(name.name, parameters.try_into()?, Some(options));
            response.await?.into_model()
        })?;
        let wrapped = result.result.ok_or_else(no_result)?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode(wrapped))
    }

    fn unwrap(&self, recipient: &Recipient, enc: &str) -> Result<Option<DataKey>, KeyError> {
        if !self.handles(recipient) {
            return Ok(None);
        }
        let (name, client) = self.key(recipient)?;
        let wrapped = BASE64_URL_SAFE_NO_PAD
            .decode(enc.trim_ascii().trim_end_matches('='))
            .map_err(|_| KeyError::new("the wrapped key is not valid base64url"))?;
        let parameters = parameters(wrapped);
        let result = ask(async {
            let response = client.decrypt(name.name, name.version, parameters.try_into()?, None);
            response.await?.into_model()
        })?;
        let key = DataKey::new(result.result.ok_or_else(no_result)?);
        Ok(Some(key))
    }
}

fn parameters(value: Vec<u8>) -> KeyOperationParameters {
    KeyOperationParameters {
        algorithm: Some(EncryptionAlgorithm::RsaOaep256),
        value: Some(value),
        ..Default::default()
    }
}

fn no_result() -> KeyError {
    KeyError::new("the vault sent an answer without a result")
}

/// Waits for what the SDK does, but not for ever.
fn ask<T>(request: impl Future<Output = azure_core::Result<T>>) -> Result<T, KeyError> {
    match block_on(async { tokio::time::timeout(LONGEST, request).await })? {
        Ok(result) => result.map_err(explain::by_vault),
        Err(_) => Err(
            KeyError::new(format!("no answer within {} seconds", LONGEST.as_secs()))
                .for_want_of_an_answer(),
        ),
    }
}
