//! How the user becomes somebody that KMS knows: the SDK's own variables and files, the profile and the role of a
//! recipient.
//!
//! Reads the user's AWS config, never more of it than whether a profile exists. Credentials stay inside the SDK, which
//! asks for them when the first request is sent, and keeps them while they are valid.

use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kms::Client;
use aws_sdk_kms::config::SharedCredentialsProvider;
use aws_types::os_shim_internal::{Env, Fs};
use aws_types::service_config::ServiceConfigKey;

use super::explain::one_line;
use crate::keys::KeyError;

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a server may take to begin its answer.
const ANSWER: Duration = Duration::from_secs(10);

/// How long a login may take: the helper program of a profile may ask for a touch or a code.
const LOGIN: Duration = Duration::from_secs(45);

/// How long a request may take with its login and all its retries.
const REQUEST: Duration = Duration::from_secs(50);

/// Everything that credentials depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Who {
    /// Partition of the key, such as `aws` or `aws-cn`: none knows the users of another.
    pub(super) partition: String,
    /// Profile that the recipient names; empty if none.
    pub(super) profile: String,
    /// ARN of the role to assume; empty if none.
    pub(super) role: String,
}

/// Everything that a login depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Access {
    /// As whom to ask.
    pub(super) who: Who,
    /// Region of the key.
    pub(super) region: String,
}

/// Somebody that AWS knows, in all its regions. Clones share the credentials, which are got once.
#[derive(Clone, Debug)]
pub(super) struct User {
    config: SdkConfig,
    no_such_profile: bool,
    no_such_default: Option<String>,
}

/// A way to ask KMS.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub(super) client: Client,
    pub(super) access: Access,
    /// The recipient names a profile that this user does not have.
    pub(super) no_such_profile: bool,
    /// `AWS_PROFILE` names this profile, which this user does not have.
    pub(super) no_such_default: Option<String>,
    /// The user has KMS somewhere else than AWS has it.
    pub(super) elsewhere: bool,
}

impl User {
    /// Prepares to log in, by services of the region if need be: reads the AWS config, sends nothing.
    ///
    /// The profile of a recipient is a hint, since it was the one of whoever added the key: it counts if this user has one
    /// of that name, and then before everything else, as in SOPS; if not, the user's own default does.
    ///
    /// # Errors
    ///
    /// If the AWS config cannot be read.
    pub(super) async fn prepare(access: &Access, session_name: &str) -> Result<Self, KeyError> {
        let Who { profile, role, .. } = &access.who;
        let region = Region::new(access.region.clone());
        let known = profile.is_empty() || has_profile(profile).await?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(region.clone())
            .timeout_config(timeouts())
            .identity_cache(IdentityCache::lazy().load_timeout(LOGIN).build());
        if known && !profile.is_empty() {
            let provider = ProviderConfig::without_region().with_region(Some(region));
            let credentials = ProfileFileCredentialsProvider::builder()
                .configure(&provider.with_timeout_config(timeouts()))
                .profile_name(profile)
                .build();
            loader = loader
                .profile_name(profile)
                .credentials_provider(credentials);
        }
        let mut config = loader.load().await;
        if !role.is_empty() {
            config = assume(config, role, session_name).await;
        }
        Ok(Self {
            config,
            no_such_profile: !known,
            no_such_default: missing_default().await,
        })
    }

    /// A way to ask KMS in a region.
    pub(super) fn login(&self, access: Access) -> Login {
        let region = Region::new(access.region.clone());
        let config = self.config.to_builder().region(region).build();
        Login {
            client: Client::new(&config),
            access,
            no_such_profile: self.no_such_profile,
            no_such_default: self.no_such_default.clone(),
            elsewhere: is_elsewhere(&config),
        }
    }
}

/// The same, as somebody who has taken on `role`.
async fn assume(config: SdkConfig, role: &str, session_name: &str) -> SdkConfig {
    let provider = AssumeRoleProvider::builder(role)
        .session_name(session_name)
        .configure(&config)
        .build()
        .await;
    config
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(provider))
        .build()
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(ANSWER)
        .operation_timeout(REQUEST)
        .build()
}

/// Whether a variable or the AWS config gives KMS another address.
fn is_elsewhere(config: &SdkConfig) -> bool {
    let key = ServiceConfigKey::builder()
        .service_id("KMS")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let url = || config.service_config()?.load_config(key.ok()?);
    url().is_some()
}

/// The default profile by its variable, if there is no such profile: the SDK says nothing of it.
async fn missing_default() -> Option<String> {
    let name = Env::real().get("AWS_PROFILE").ok()?;
    let missing = matches!(has_profile(&name).await, Ok(false));
    (missing && !name.is_empty()).then_some(name)
}

/// Whether the AWS config of this user has a profile of this name.
async fn has_profile(name: &str) -> Result<bool, KeyError> {
    let usual = Default::default();
    let profiles = aws_config::profile::load(&Fs::real(), &Env::real(), &usual, None).await;
    match profiles {
        Ok(profiles) => Ok(profiles.get_profile(name).is_some()),
        Err(error) => {
            let reason = one_line(&error);
            Err(KeyError::new(format!(
                "the AWS config cannot be read: {reason}"
            )))
        }
    }
}
