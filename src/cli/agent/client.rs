//! The agent from the side of all other commands: asked first, and never the reason of a failure.
//!
//! Knows that an agent may be dead, slow, or have other identities than this user. Knows nothing of what it holds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use sops_rs::keys::remote::Remote;
use sops_rs::keys::{self, KeyError, KeyService, NotRecovered};
use sops_rs::recipient::{Recipient, RecipientKind, WrappedKey};
use sops_rs::secret::DataKey;

use super::super::context::Context;
use super::{VARIABLE, address_of, user};

/// How long to wait for an agent, which may have to call a key service. After that this program does it itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// The agent that the environment names.
pub(crate) struct Client {
    /// The agent, or why there can be none.
    remote: Result<Remote, String>,
    /// Whether it was said that the agent is of no use.
    told: AtomicBool,
}

impl Client {
    /// Notes where the agent is; `None` if the environment names none.
    pub(crate) fn new(context: &Context) -> Option<Self> {
        let address = address_of(context.variable(VARIABLE)?);
        Some(Self {
            remote: address.map(|address| Remote::of_user(address, user(), PATIENCE)),
            told: AtomicBool::new(false),
        })
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
        let remote = match &self.remote {
            Ok(remote) => remote,
            Err(why) => {
                self.tell(context, why);
                return keys::recover(groups, threshold, order, services);
            }
        };
        let asking = Asking {
            remote,
            found: Mutex::default(),
            dead: OnceLock::new(),
        };
        if let Ok(key) = keys::recover(groups, threshold, order, &[&asking]) {
            return Ok(key);
        }
        if let Some(why) = asking.dead.get() {
            self.tell(context, why);
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

    /// Says why the agent is of no use, once: a thousand diffs would say it a thousand times.
    fn tell(&self, context: &mut Context, why: &str) {
        if !context.asks_nobody() && !self.told.swap(true, Ordering::Relaxed) {
            context.note(&format!("the agent in {VARIABLE} was of no use: {why}"));
        }
    }
}

/// What was unwrapped, by kind and identity string of the recipient, and the wrapped key.
type Keys = HashMap<(RecipientKind, String, String), DataKey>;

fn entry(recipient: &Recipient, enc: &str) -> (RecipientKind, String, String) {
    (recipient.kind(), recipient.identity(), enc.to_owned())
}

/// The agent as a service. What it unwraps is kept, in case that is not enough to open the file.
struct Asking<'a> {
    remote: &'a Remote,
    found: Mutex<Keys>,
    /// Why it is not asked any more for this file.
    dead: OnceLock<String>,
}

impl KeyService for Asking<'_> {
    fn handles(&self, recipient: &Recipient) -> bool {
        self.dead.get().is_none() && self.remote.handles(recipient)
    }

    fn wrap(&self, _: &Recipient, _: &DataKey) -> Result<String, KeyError> {
        Err(KeyError::new("the agent wraps nothing for this program"))
    }

    fn unwrap(&self, recipient: &Recipient, enc: &str) -> Result<Option<DataKey>, KeyError> {
        let answer = self.remote.unwrap(recipient, enc);
        match &answer {
            Ok(Some(key)) => {
                let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
                found.insert(entry(recipient, enc), key.clone());
            }
            Ok(None) => {}
            Err(error) if self.remote.is_lost() => {
                self.dead.get_or_init(|| error.in_full());
            }
            Err(_) => {}
        }
        answer
    }
}

/// What an agent could unwrap of a file.
struct Found(Keys);

impl KeyService for Found {
    fn handles(&self, recipient: &Recipient) -> bool {
        let (kind, identity) = (recipient.kind(), recipient.identity());
        let same =
            |(of, name, _): &(RecipientKind, String, String)| *of == kind && *name == identity;
        self.0.keys().any(same)
    }

    fn wrap(&self, _: &Recipient, _: &DataKey) -> Result<String, KeyError> {
        Err(KeyError::new("the agent wraps nothing for this program"))
    }

    fn unwrap(&self, recipient: &Recipient, enc: &str) -> Result<Option<DataKey>, KeyError> {
        Ok(self.0.get(&entry(recipient, enc)).cloned())
    }
}
