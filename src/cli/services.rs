//! What this program can wrap and unwrap data keys with, and what became of the places it looked in.
//!
//! Nothing is read or run before a recipient is tried.

use std::ffi::OsStr;
use std::sync::Arc;

use sops_rs::keys::KeyService;
use sops_rs::keys::age::{AgeService, NoPrompt, Prompt};
#[cfg(feature = "aws")]
use sops_rs::keys::aws_kms::AwsKms;

use super::context::Context;
#[cfg(feature = "pgp")]
use super::gpg;
use super::identities::{Places, System, Terminal};

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
            Arc::new(Terminal)
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
        Self { all, places }
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
