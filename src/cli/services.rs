//! What this program can wrap and unwrap data keys with, and what became of the places it looked in.
//!
//! Nothing is read or run before a recipient is tried.

use std::ffi::OsStr;
use std::sync::Arc;

use sops_rs::keys::age::{AgeService, NoPrompt, Prompt};
#[cfg(feature = "aws")]
use sops_rs::keys::aws_kms::AwsKms;
#[cfg(feature = "gcp")]
use sops_rs::keys::gcp_kms::GcpKmsService;
use sops_rs::keys::once::Once;
#[cfg(feature = "keyservice")]
use sops_rs::keys::remote::Remote;
#[cfg(feature = "vault")]
use sops_rs::keys::vault::VaultService;
use sops_rs::keys::{self, KeyService, NotRecovered};
use sops_rs::recipient::{RecipientKind, WrappedKey};
use sops_rs::secret::DataKey;

#[cfg(feature = "keyservice")]
use super::agent;
use super::args::KeyServiceArgs;
use super::context::Context;
#[cfg(feature = "gcp")]
use super::gcp;
#[cfg(feature = "pgp")]
use super::gpg;
use super::identities::{Places, System, Terminal};
use super::progress::TakingTurns;
#[cfg(feature = "vault")]
use super::vault;

/// How long a key service elsewhere may take: it may have to ask a person.
#[cfg(feature = "keyservice")]
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

/// The key services of this user.
pub(crate) struct Services {
    all: Vec<Box<dyn KeyService>>,
    places: Places,
    #[cfg(feature = "keyservice")]
    agent: Option<agent::Client>,
    #[cfg(feature = "vault")]
    vault: Arc<vault::Environment>,
}

impl Services {
    /// Notes where identities may be; reads nothing but variables, and connects to nothing. Local services come first, then
    /// others in the order in which they were given (spec 11).
    pub(crate) fn new(context: &Context, arguments: &KeyServiceArgs) -> Self {
        // However many files there are, each of their keys is unwrapped once.
        Self::made(context, arguments, |service| Box::new(Once::new(service)))
    }

    /// The same for a process that stays: what they unwrapped is not remembered.
    #[cfg(feature = "keyservice")]
    pub(crate) fn without_memory(context: &Context, arguments: &KeyServiceArgs) -> Self {
        Self::made(context, arguments, |service| service)
    }

    fn made(
        context: &Context,
        arguments: &KeyServiceArgs,
        finish: fn(Box<dyn KeyService>) -> Box<dyn KeyService>,
    ) -> Self {
        let mut all: Vec<Box<dyn KeyService>> = Vec::new();
        let mut places = Places::default();
        #[cfg(feature = "vault")]
        let vault = Arc::new(vault::Environment::of(context));
        if arguments.enable_local_keyservice {
            let variables = |name: &str| context.environment().get(OsStr::new(name)).cloned();
            places = Places::collect(&variables, System::current());
            all.extend(local(context, &places));
            #[cfg(feature = "vault")]
            all.push(Box::new(VaultService::new(vault.clone())));
        }
        #[cfg(feature = "keyservice")]
        for address in arguments.remotes() {
            all.push(Box::new(Remote::new(address.clone(), PATIENCE)));
        }
        Self {
            all: all.into_iter().map(finish).collect(),
            places,
            #[cfg(feature = "keyservice")]
            agent: agent::Client::new(context),
            #[cfg(feature = "vault")]
            vault,
        }
    }

    /// Those that `context` shares with others, else new ones.
    pub(crate) fn of(context: &Context, arguments: &KeyServiceArgs) -> Arc<Self> {
        let shared = context.services.as_ref().map(Arc::clone);
        shared.unwrap_or_else(|| Arc::new(Self::new(context, arguments)))
    }

    /// Whether there is nobody to ask.
    pub(crate) fn is_empty(&self) -> bool {
        #[cfg(feature = "keyservice")]
        if self.agent.is_some() {
            return false;
        }
        self.all.is_empty()
    }

    /// Recovers the data key of a file: the agent is asked first, if there is one, then everybody else.
    ///
    /// # Errors
    /// Every attempt that was made, but those of the agent.
    pub(crate) fn recover(
        &self,
        context: &mut Context,
        groups: &[Vec<WrappedKey>],
        threshold: usize,
        order: &[RecipientKind],
    ) -> Result<DataKey, NotRecovered> {
        #[cfg(feature = "keyservice")]
        if let Some(agent) = &self.agent {
            return agent.recover(context, groups, threshold, order, &self.list());
        }
        #[cfg(not(feature = "keyservice"))]
        let _ = context;
        keys::recover(groups, threshold, order, &self.list())
    }

    /// The services, in the order in which they are asked. The agent is not among them: it wraps nothing for us.
    pub(crate) fn list(&self) -> Vec<&dyn KeyService> {
        self.all.iter().map(Box::as_ref).collect()
    }

    /// What the user must know about the servers that were asked.
    pub(crate) fn warning(&self) -> Option<&'static str> {
        #[cfg(feature = "vault")]
        return self.vault.warning();
        #[cfg(not(feature = "vault"))]
        None
    }

    /// Tells all services of a key that will be asked for.
    pub(crate) fn announce(&self, key: &WrappedKey) {
        for service in &self.all {
            service.announce(key);
        }
    }

    /// Where identities were looked for.
    pub(crate) fn places(&self) -> &Places {
        &self.places
    }
}

/// The name of this machine.
#[cfg(feature = "aws")]
fn host_name() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

/// The services of this program itself.
fn local(context: &Context, places: &Places) -> Vec<Box<dyn KeyService>> {
    let prompt: Arc<dyn Prompt> = if context.asks_nobody() {
        Arc::new(NoPrompt)
    } else {
        Arc::new(TakingTurns::new(Terminal, context.progress.clone()))
    };
    vec![
        Box::new(AgeService::new(places.sources(), prompt)),
        #[cfg(feature = "pgp")]
        Box::new(gpg::service(context)),
        #[cfg(feature = "aws")]
        Box::new(AwsKms::new(&host_name())),
        #[cfg(feature = "azure")]
        Box::new(super::azure::service(context)),
        #[cfg(feature = "gcp")]
        Box::new(GcpKmsService::new(Arc::new(gcp::Environment::of(context)))),
    ]
}
