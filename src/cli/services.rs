//! What this program can wrap and unwrap data keys with, and what became of the places it looked in.
//!
//! Nothing is read or run before a recipient is tried.

use std::ffi::OsStr;
use std::sync::Arc;

use sops_rs::keys::KeyService;
use sops_rs::keys::age::{AgeService, NoPrompt, Prompt};
#[cfg(feature = "aws")]
use sops_rs::keys::aws_kms::AwsKms;
use sops_rs::keys::once::Once;

use super::context::Context;
#[cfg(feature = "pgp")]
use super::gpg;
use super::identities::{Places, System, Terminal};
use super::progress::TakingTurns;

/// The key services of this user.
pub(crate) struct Services {
    all: Vec<Box<dyn KeyService>>,
    places: Places,
}

impl Services {
    /// Notes where identities may be; reads nothing but variables.
    pub(crate) fn new(context: &Context) -> Self {
        let variables = |name: &str| context.environment().get(OsStr::new(name)).cloned();
        let places = Places::collect(&variables, System::current());
        let prompt: Arc<dyn Prompt> = if context.asks_nobody() {
            Arc::new(NoPrompt)
        } else {
            Arc::new(TakingTurns::new(Terminal, context.progress.clone()))
        };
        let all: Vec<Box<dyn KeyService>> = vec![
            Box::new(AgeService::new(places.sources(), prompt)),
            #[cfg(feature = "pgp")]
            Box::new(gpg::service(context)),
            #[cfg(feature = "aws")]
            Box::new(AwsKms::new(&host_name())),
            #[cfg(feature = "azure")]
            Box::new(super::azure::service(context)),
        ];
        // However many files there are, each of their keys is unwrapped once.
        let all = all
            .into_iter()
            .map(|service| Box::new(Once::new(service)) as _);
        Self {
            all: all.collect(),
            places,
        }
    }

    /// Those that `context` shares with others, else new ones.
    pub(crate) fn of(context: &Context) -> Arc<Self> {
        let shared = context.services.as_ref().map(Arc::clone);
        shared.unwrap_or_else(|| Arc::new(Self::new(context)))
    }

    /// The services, in the order in which they are asked.
    pub(crate) fn list(&self) -> Vec<&dyn KeyService> {
        self.all.iter().map(Box::as_ref).collect()
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
