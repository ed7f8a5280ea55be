//! The desk of a service, where one request after another is worked on with the keys of this user.
//!
//! Knows when a person is asked first and what is told about a request, and what is kept from one request to the next: how
//! to log in to services over the network, and no key.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::termios::{QueueSelector, tcflush};
use sops_rs::keys::service::{Refusal, Responder, unwrap_with, wrap_with};
use sops_rs::recipient::{Recipient, RecipientKind};
use sops_rs::secret::DataKey;

use super::super::args::KeyServiceArgs;
use super::super::context::{Context, Surroundings};
use super::super::report::escaped;
use super::super::services::Services;

/// How much of the name of a key is shown, in characters: enough for every real one, too little to fill a screen.
const MAX_SHOWN: usize = 500;

/// Does the work of a service. Keys of age and gpg are looked for anew for each request, so that no identity stays in
/// memory. Logins at services over the network are kept as long as they work.
pub(crate) struct Desk {
    surroundings: Surroundings,
    arguments: KeyServiceArgs,
    /// What worked last, or is being tried for the first time. One for each kind: the failures of one service are no
    /// reason to log in to another again.
    online: Mutex<HashMap<RecipientKind, Arc<Services>>>,
    /// Whether to ask before the work.
    prompt: bool,
    verbose: bool,
    /// Whether whoever looks after the service was warned.
    warned: AtomicBool,
}

impl Desk {
    /// A desk that asks nobody and says nothing.
    pub(crate) fn new(context: &Context, arguments: KeyServiceArgs) -> Self {
        Self {
            surroundings: context.surroundings(),
            arguments,
            online: Mutex::default(),
            prompt: false,
            verbose: false,
            warned: AtomicBool::new(false),
        }
    }

    /// The same, asking before each request or not.
    pub(super) fn asking(self, prompt: bool) -> Self {
        Self { prompt, ..self }
    }

    /// The same, telling of each request or not.
    pub(crate) fn telling(self, verbose: bool) -> Self {
        Self { verbose, ..self }
    }

    /// Whether whoever looks after the service lets the request pass.
    fn admits(&self, verb: &str, recipient: &Recipient) -> Result<(), Refusal> {
        // What a client says is shown on a terminal.
        let kind = recipient.kind().name();
        let name: String = recipient.identity().chars().take(MAX_SHOWN).collect();
        let request = format!("{verb} a data key with {kind} {name}");
        if self.verbose {
            self.surroundings.note(&format!("asked to {request}"));
        }
        let question = format!("{} (y/n): ", escaped(&request));
        if !self.prompt || self.surroundings.talk(|| confirmed(&question)) {
            Ok(())
        } else {
            Err(Refusal::Denied)
        }
    }

    /// Does `work` with the services for a kind of keys.
    fn work<R>(
        &self,
        kind: RecipientKind,
        work: impl Fn(&Services) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        if matches!(kind, RecipientKind::Age | RecipientKind::Pgp) {
            return work(&self.services());
        }
        let (mut services, known) = self.known(kind);
        let mut result = work(&services);
        if result.is_err() && known {
            // A login may have ended since, and the user may have logged in again.
            self.drop_if(kind, &services);
            (services, _) = self.known(kind);
            result = work(&services);
        }
        if result.is_err() {
            self.drop_if(kind, &services);
        }
        if let Some(warning) = services.warning()
            && !self.warned.swap(true, Ordering::Relaxed)
        {
            self.surroundings.warn(warning);
        }
        result
    }

    fn services(&self) -> Services {
        Services::without_memory(&self.surroundings.context(), &self.arguments)
    }

    /// The services for a kind, and whether they were there already.
    fn known(&self, kind: RecipientKind) -> (Arc<Services>, bool) {
        let mut online = self.online();
        if let Some(known) = online.get(&kind) {
            return (Arc::clone(known), true);
        }
        let new = Arc::new(self.services());
        online.insert(kind, Arc::clone(&new));
        (new, false)
    }

    /// Forgets these services for a kind, unless there are others by now.
    fn drop_if(&self, kind: RecipientKind, services: &Arc<Services>) {
        let mut online = self.online();
        if online
            .get(&kind)
            .is_some_and(|known| Arc::ptr_eq(known, services))
        {
            online.remove(&kind);
        }
    }

    fn online(&self) -> MutexGuard<'_, HashMap<RecipientKind, Arc<Services>>> {
        self.online.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, refusal: &Refusal) {
        if self.verbose {
            self.surroundings.note(&format!("not done: {refusal}"));
        }
    }
}

impl Responder for Desk {
    fn wrap(&self, recipient: &Recipient, key: &DataKey) -> Result<String, Refusal> {
        self.admits("wrap", recipient)
            .and_then(|()| {
                self.work(recipient.kind(), |services| {
                    wrap_with(&services.list(), recipient, key)
                })
            })
            .inspect_err(|refusal| self.tell(refusal))
    }

    fn unwrap(&self, recipient: &Recipient, enc: &str) -> Result<DataKey, Refusal> {
        self.admits("unwrap", recipient)
            .and_then(|()| {
                self.work(recipient.kind(), |services| {
                    unwrap_with(&services.list(), recipient, enc)
                })
            })
            .inspect_err(|refusal| self.tell(refusal))
    }
}

/// Asks on the terminal of this process, which must have one. What was typed before the question is no answer to it.
fn confirmed(question: &str) -> bool {
    let Ok(mut terminal) = File::options().read(true).write(true).open("/dev/tty") else {
        return false;
    };
    let asked = tcflush(&terminal, QueueSelector::IFlush)
        .map_err(Into::into)
        .and_then(|()| terminal.write_all(question.as_bytes()));
    let mut line = String::new();
    let answered = asked.and_then(|()| BufReader::new(terminal.take(64)).read_line(&mut line));
    answered.is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
}
