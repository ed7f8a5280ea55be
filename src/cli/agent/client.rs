//! The agent from the side of all other commands: asked first, and never the reason of a failure.
//!
//! Knows that an agent may be dead, slow, or have other identities than this user. Knows nothing of what it holds.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use sops_rs::keys::remote::{Address, Remote};
use sops_rs::keys::{self, KeyError, KeyService, NotRecovered};
use sops_rs::recipient::{Recipient, RecipientKind, WrappedKey};
use sops_rs::secret::DataKey;

use super::super::context::Context;
use super::{VARIABLE, address_of};

/// How long to wait for an agent, which may have to call a key service. After that this program does it itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// The agent that the environment names.
pub(crate) struct Client(Result<Address, String>);

impl Client {
    /// Notes where the agent is; `None` if the environment names none.
    pub(crate) fn new(context: &Context) -> Option<Self> {
        let path = context.variable(VARIABLE)?;
        Some(Self(address_of(path)))
    }

    /// Recovers the data key of a file: with the agent alone, if that is enough, else with `services`, which see what the
    /// agent could unwrap.
    ///
    /// # Errors
    /// Every attempt that `services` made.
    pub(crate) fn recover(
        &self,
        context: &mut Context,
        groups: &[Vec<WrappedKey>],
        threshold: usize,
        order: &[RecipientKind],
        services: &[&dyn KeyService],
    ) -> Result<DataKey, NotRecovered> {
        let note = |context: &mut Context, why: &str| {
            // A thousand diffs would say it a thousand times.
            if !context.asks_nobody() {
                context.note(&format!("the agent in {VARIABLE} was of no use: {why}"));
            }
        };
        let address = match &self.0 {
            Ok(address) => address.clone(),
            Err(why) => {
                note(context, why);
                return keys::recover(groups, threshold, order, services);
            }
        };
        let asking = Asking {
            remote: Remote::new(address, PATIENCE),
            found: Mutex::default(),
            dead: OnceLock::new(),
        };
        if let Ok(key) = keys::recover(groups, threshold, order, &[&asking]) {
            return Ok(key);
        }
        if let Some(why) = asking.dead.get() {
            note(context, why);
        }
        let found = Found(
            asking
                .found
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let mut all: Vec<&dyn KeyService> = vec![&found];
        all.extend(services);
        keys::recover(groups, threshold, order, &all)
    }
}

/// The agent as a service. What it unwraps is kept, in case that is not enough to open the file.
struct Asking {
    remote: Remote,
    found: Mutex<HashMap<(String, String), DataKey>>,
    /// Why it is not asked any more.
    dead: OnceLock<String>,
}

impl KeyService for Asking {
    fn handles(&self, recipient: &Recipient) -> bool {
        self.dead.get().is_none() && self.remote.handles(recipient)
    }

    fn wrap(&self, _: &Recipient, _: &DataKey) -> Result<String, KeyError> {
        Err(KeyError::new("the agent wraps nothing for this program"))
    }

    fn unwrap(&self, recipient: &Recipient, enc: &str) -> Result<Option<DataKey>, KeyError> {
        match self.remote.unwrap(recipient, enc) {
            Ok(Some(key)) => {
                let entry = (recipient.identity(), enc.to_owned());
                let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
                found.insert(entry, key.clone());
                Ok(Some(key))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                if self.remote.is_lost() {
                    self.dead.get_or_init(|| error.in_full());
                }
                Err(error)
            }
        }
    }
}

/// What an agent could unwrap of a file.
struct Found(HashMap<(String, String), DataKey>);

impl KeyService for Found {
    fn handles(&self, recipient: &Recipient) -> bool {
        let identity = recipient.identity();
        self.0.keys().any(|(known, _)| *known == identity)
    }

    fn wrap(&self, _: &Recipient, _: &DataKey) -> Result<String, KeyError> {
        Err(KeyError::new("the agent wraps nothing for this program"))
    }

    fn unwrap(&self, recipient: &Recipient, enc: &str) -> Result<Option<DataKey>, KeyError> {
        let entry = (recipient.identity(), enc.to_owned());
        Ok(self.0.get(&entry).cloned())
    }
}
