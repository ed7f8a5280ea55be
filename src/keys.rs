//! Wraps data keys for recipients and unwraps them again, and does so for whole files: groups, shares, order.
//!
//! Knows recipients as data and back ends as [`KeyService`]s it is handed. Does not know documents, where identities come
//! from, or what a report of failure looks like: it returns every attempt as a fact. Start with [`recover`].

#[cfg(feature = "age")]
pub mod age;
#[cfg(all(feature = "keyservice", unix))]
pub mod agent;
#[cfg(feature = "aws")]
pub mod aws_kms;
#[cfg(feature = "azure")]
pub mod azure_kv;
#[cfg(feature = "gcp")]
pub mod gcp_kms;
#[cfg(any(feature = "gcp", feature = "vault"))]
mod http;
pub mod once;
#[cfg(feature = "online")]
mod online;
#[cfg(feature = "pgp")]
pub mod pgp;
#[cfg(feature = "keyservice")]
mod proto;
#[cfg(feature = "keyservice")]
pub mod remote;
#[cfg(all(feature = "keyservice", unix))]
pub mod service;
#[cfg(feature = "vault")]
pub mod vault;

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::random::Random;
use crate::recipient::{Recipient, RecipientKind, WrappedKey};
use crate::secret::DataKey;
use crate::shamir::{self, ShamirError};

/// The decryption order if nobody asks for another: these first, then as loaded (spec 6.4).
pub const DEFAULT_ORDER: [RecipientKind; 2] = [RecipientKind::Age, RecipientKind::Pgp];

/// A back end that wraps and unwraps data keys for some kinds of recipients. Many threads may ask it at once.
pub trait KeyService: Send + Sync {
    /// Whether this service can do anything for `recipient`.
    fn handles(&self, recipient: &Recipient) -> bool;

    /// The recipient with what its name leaves open, such as the version of a key. `Ok(None)` means: nothing is open. Asked
    /// before [`Self::wrap`]; what comes back is what the file will name.
    ///
    /// # Errors
    ///
    /// If the back end had to be asked and did not answer.
    fn resolve(&self, _recipient: &Recipient) -> Result<Option<Recipient>, KeyError> {
        Ok(None)
    }

    /// Told of a key that may be asked for later, among many: who has to trouble a person or a device for each can do so
    /// for all at once.
    fn announce(&self, _key: &WrappedKey) {}

    /// Wraps `key`, in the spelling that the file holds as `enc` (spec 10).
    ///
    /// # Errors
    ///
    /// If the recipient is not valid or the back end refuses.
    fn wrap(&self, recipient: &Recipient, key: &DataKey) -> Result<String, KeyError>;

    /// Unwraps `enc`, which was made for `recipient`. `Ok(None)` means: not mine, try the next.
    ///
    /// # Errors
    ///
    /// If it should have worked and did not.
    fn unwrap(&self, recipient: &Recipient, enc: &str) -> Result<Option<DataKey>, KeyError>;
}

/// Why a back end could not wrap or unwrap a key. Never holds key material.
#[derive(Clone, Debug)]
pub struct KeyError {
    message: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
    needs_login: bool,
    unanswered: bool,
}

impl KeyError {
    /// An error that says `message`: one line, lower case, no full stop, no key material.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
            needs_login: false,
            unanswered: false,
        }
    }

    /// The same error with its cause, which `message` does not repeat.
    #[must_use]
    pub fn because(self, source: impl Error + Send + Sync + 'static) -> Self {
        Self {
            source: Some(Arc::new(source)),
            ..self
        }
    }

    /// The same error, to be overcome by logging in, or as somebody else.
    #[must_use]
    pub fn needing_login(self) -> Self {
        Self {
            needs_login: true,
            ..self
        }
    }

    /// The same error, which took a while to find out: nobody answered.
    #[must_use]
    pub fn for_want_of_an_answer(self) -> Self {
        Self {
            unanswered: true,
            ..self
        }
    }

    /// The message and all its causes, joined by colons: for lists of several errors.
    #[must_use]
    pub fn in_full(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for KeyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// One try at one recipient by one service.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The identity string of the recipient (spec 10.1).
    pub identity: String,
    /// The kind of the recipient.
    pub kind: RecipientKind,
    /// What came of it.
    pub outcome: Outcome,
}

impl Attempt {
    /// Whether it failed because the back end does not know the user, or does not let this user use the key.
    #[must_use]
    pub fn needs_login(&self) -> bool {
        matches!(&self.outcome, Outcome::Failed(error) if error.needs_login)
    }
}

/// What came of an [`Attempt`].
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It worked. Only ever the last attempt of a group.
    Done,
    /// It should have worked and did not.
    Failed(KeyError),
    /// The service has no identity for this recipient.
    NotMine,
    /// There is no service for this kind.
    NoService {
        /// The Cargo feature this program was built without, if that is the reason.
        missing_feature: Option<&'static str>,
    },
}

/// The data key of a file could not be recovered.
#[derive(Clone, Debug, thiserror::Error)]
#[error("recovered the key of {} of {} groups, {threshold} needed", count_done(.groups), .groups.len())]
pub struct NotRecovered {
    /// How many groups must be recovered.
    pub threshold: usize,
    /// For every group of the file what was tried, in that order.
    pub groups: Vec<Vec<Attempt>>,
    /// Why the shares did not combine, if enough were recovered.
    #[source]
    pub combining: Option<ShamirError>,
}

impl NotRecovered {
    /// Number of groups whose share was recovered.
    #[must_use]
    pub fn recovered(&self) -> usize {
        count_done(&self.groups)
    }
}

fn count_done(groups: &[Vec<Attempt>]) -> usize {
    let done = |attempts: &&Vec<Attempt>| {
        matches!(
            attempts.last(),
            Some(Attempt {
                outcome: Outcome::Done,
                ..
            })
        )
    };
    groups.iter().filter(done).count()
}

/// How the recovery of a data key went.
#[derive(Debug)]
pub struct Recovery {
    /// The key, or why there is none.
    pub key: Result<DataKey, NotRecovered>,
    /// For every group of the file what was tried, in that order. Behind an attempt that worked nothing was.
    pub groups: Vec<Vec<Attempt>>,
}

/// Recovers the data key of a file from its key groups (spec 6.4).
///
/// Every group is tried. Inside a group one key after the other, sorted by `order`, then by [`RecipientKind::LOAD_ORDER`],
/// until one works; for each key one service after the other. A `threshold` of 0 means all groups; it does not count if
/// there is only one. Equal entries are unwrapped once.
///
/// # Errors
///
/// If too few groups yield their share, or the shares do not fit together: every attempt that was made.
pub fn recover(
    groups: &[Vec<WrappedKey>],
    threshold: usize,
    order: &[RecipientKind],
    services: &[&dyn KeyService],
) -> Result<DataKey, NotRecovered> {
    attempt_all(groups, threshold, order, services).key
}

/// Does what [`recover`] does, and tells what was tried even if that was enough.
pub fn attempt_all(
    groups: &[Vec<WrappedKey>],
    threshold: usize,
    order: &[RecipientKind],
    services: &[&dyn KeyService],
) -> Recovery {
    let needed = if groups.len() <= 1 {
        1
    } else if threshold == 0 {
        groups.len()
    } else {
        threshold
    };
    let mut unwrapper = Unwrapper {
        services,
        seen: HashMap::new(),
    };
    let mut shares = Vec::with_capacity(groups.len());
    let mut report = Vec::with_capacity(groups.len());
    for group in groups {
        let (share, attempts) = unwrapper.group(group, order);
        shares.extend(share);
        report.push(attempts);
    }
    let failed = |combining| NotRecovered {
        threshold: needed,
        groups: report.clone(),
        combining,
    };
    let key = match shares.as_slice() {
        few if few.len() < needed => Err(failed(None)),
        [key] if groups.len() == 1 => Ok(key.clone()),
        shares => shamir::combine(shares).map_err(|error| failed(Some(error))),
    };
    Recovery {
        key,
        groups: report,
    }
}

/// Tries services on wrapped keys and remembers what came of it.
struct Unwrapper<'a> {
    services: &'a [&'a dyn KeyService],
    /// By kind and identity string of the recipient, and the wrapped key.
    seen: HashMap<(RecipientKind, String, &'a str), Tried>,
}

/// The key, if it was found, and what was tried.
type Tried = (Option<DataKey>, Vec<Attempt>);

impl<'a> Unwrapper<'a> {
    /// The key or share of a group, and what was tried for it.
    fn group(&mut self, group: &'a [WrappedKey], order: &[RecipientKind]) -> Tried {
        let mut sorted: Vec<&WrappedKey> = group.iter().collect();
        sorted.sort_by_key(|wrapped| rank(wrapped.recipient.kind(), order));
        let mut attempts = Vec::new();
        for wrapped in sorted {
            let (key, of_this) = self.once(wrapped);
            attempts.extend(of_this);
            if key.is_some() {
                return (key, attempts);
            }
        }
        (None, attempts)
    }

    /// What came of `wrapped`, found out the first time it is met.
    fn once(&mut self, wrapped: &'a WrappedKey) -> Tried {
        let recipient = &wrapped.recipient;
        let entry = (recipient.kind(), recipient.identity(), wrapped.enc.as_str());
        if let Some(known) = self.seen.get(&entry) {
            return known.clone();
        }
        let found = unwrap(wrapped, self.services);
        self.seen.insert(entry, found.clone());
        found
    }
}

/// Asks one service after the other to unwrap `wrapped`.
fn unwrap(wrapped: &WrappedKey, services: &[&dyn KeyService]) -> Tried {
    let recipient = &wrapped.recipient;
    let mut attempts = Vec::new();
    for service in services.iter().filter(|service| service.handles(recipient)) {
        let (key, outcome) = match service.unwrap(recipient, &wrapped.enc) {
            Ok(Some(key)) => (Some(key), Outcome::Done),
            Ok(None) => (None, Outcome::NotMine),
            Err(error) => (None, Outcome::Failed(error)),
        };
        attempts.push(attempt(recipient, outcome));
        if key.is_some() {
            return (key, attempts);
        }
    }
    if attempts.is_empty() {
        attempts.push(no_service(recipient));
    }
    (None, attempts)
}

fn attempt(recipient: &Recipient, outcome: Outcome) -> Attempt {
    Attempt {
        identity: recipient.identity(),
        kind: recipient.kind(),
        outcome,
    }
}

fn no_service(recipient: &Recipient) -> Attempt {
    let missing_feature = missing_feature(recipient.kind());
    attempt(recipient, Outcome::NoService { missing_feature })
}

/// The Cargo feature that serves a kind, if this build is without it.
fn missing_feature(kind: RecipientKind) -> Option<&'static str> {
    let (built, feature) = match kind {
        RecipientKind::Age => (cfg!(feature = "age"), "age"),
        RecipientKind::Pgp => (cfg!(feature = "pgp"), "pgp"),
        RecipientKind::Kms => (cfg!(feature = "aws"), "aws"),
        RecipientKind::GcpKms => (cfg!(feature = "gcp"), "gcp"),
        RecipientKind::AzureKv => (cfg!(feature = "azure"), "azure"),
        RecipientKind::Vault => (cfg!(feature = "vault"), "vault"),
        RecipientKind::Hckms | RecipientKind::Unknown => return None,
    };
    (!built).then_some(feature)
}

/// Where a kind stands: kinds of `order` first, then as SOPS loads them, unknown ones last.
fn rank(kind: RecipientKind, order: &[RecipientKind]) -> (usize, usize) {
    let place = |kinds: &[RecipientKind]| {
        kinds
            .iter()
            .position(|&other| other == kind)
            .unwrap_or(kinds.len())
    };
    (place(order), place(&RecipientKind::LOAD_ORDER))
}

/// A data key could not be wrapped for everybody.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotWrapped {
    /// There is nobody to wrap it for.
    #[error("no key groups provided")]
    NoGroups,
    /// A group has no recipient.
    #[error("key group {index} is empty")]
    EmptyGroup {
        /// Which group, from 0.
        index: usize,
    },
    /// Shares are numbered by one byte.
    #[error("there are {count} key groups, 255 is the most")]
    TooManyGroups {
        /// How many groups there are.
        count: usize,
    },
    /// The threshold does not fit the number of groups.
    #[error(
        "the threshold of {threshold} does not fit {groups} groups: it must be at least 2 and at most the number of groups"
    )]
    Threshold {
        /// How many groups should be needed.
        threshold: usize,
        /// How many there are.
        groups: usize,
    },
    /// The key could not be split.
    #[error("the data key could not be split")]
    Split(#[from] ShamirError),
    /// Some recipients could not be served: all of them, each with all attempts that failed.
    #[error("could not wrap the data key for every recipient")]
    Recipients(Vec<Attempt>),
}

/// Wraps `key` for every recipient of every group; with several groups each gets one share of it (spec 6.1 to 6.3).
///
/// `created_at` (RFC 3339, UTC) is noted on every entry but those of age, which have none. A `threshold` of 0 means all
/// groups; it does not count if there is only one.
///
/// # Errors
///
/// If the groups and threshold make no sense, or any recipient cannot be served by any of `services`.
pub fn wrap_all(
    groups: &[Vec<Recipient>],
    threshold: usize,
    key: &DataKey,
    created_at: &str,
    services: &[&dyn KeyService],
    random: &mut dyn Random,
) -> Result<Vec<Vec<WrappedKey>>, NotWrapped> {
    if let Some(index) = groups.iter().position(Vec::is_empty) {
        return Err(NotWrapped::EmptyGroup { index });
    }
    let shares = shares(groups.len(), threshold, key, random)?;
    let mut failures = Vec::new();
    let mut wrapped = Vec::with_capacity(groups.len());
    for (group, share) in groups.iter().zip(&shares) {
        let mut entries = Vec::with_capacity(group.len());
        for recipient in group {
            match wrap(recipient, share, services) {
                Ok((recipient, enc)) => entries.push(entry(recipient, enc, created_at)),
                Err(attempts) => failures.extend(attempts),
            }
        }
        wrapped.push(entries);
    }
    if failures.is_empty() {
        Ok(wrapped)
    } else {
        Err(NotWrapped::Recipients(failures))
    }
}

/// What each group gets: the key if there is one group, else a share each.
fn shares(
    groups: usize,
    threshold: usize,
    key: &DataKey,
    random: &mut dyn Random,
) -> Result<Vec<DataKey>, NotWrapped> {
    if groups == 0 {
        return Err(NotWrapped::NoGroups);
    }
    if groups == 1 {
        return Ok(vec![key.clone()]);
    }
    let Ok(parts) = u8::try_from(groups) else {
        return Err(NotWrapped::TooManyGroups { count: groups });
    };
    let wanted = if threshold == 0 { groups } else { threshold };
    match u8::try_from(wanted) {
        Ok(needed) if (2..=parts).contains(&needed) => {
            Ok(shamir::split(key, parts, needed, random)?)
        }
        _ => Err(NotWrapped::Threshold {
            threshold: wanted,
            groups,
        }),
    }
}

/// Asks one service after the other to wrap `key`; if none does, what each said. The recipient comes back resolved.
fn wrap(
    recipient: &Recipient,
    key: &DataKey,
    services: &[&dyn KeyService],
) -> Result<(Recipient, String), Vec<Attempt>> {
    let mut attempts = Vec::new();
    for service in services.iter().filter(|service| service.handles(recipient)) {
        let wrapped = service.resolve(recipient).and_then(|resolved| {
            let resolved = resolved.unwrap_or_else(|| recipient.clone());
            let enc = service.wrap(&resolved, key)?;
            Ok((resolved, enc))
        });
        match wrapped {
            Ok(wrapped) => return Ok(wrapped),
            Err(error) => attempts.push(attempt(recipient, Outcome::Failed(error))),
        }
    }
    if attempts.is_empty() {
        attempts.push(no_service(recipient));
    }
    Err(attempts)
}

fn entry(recipient: Recipient, enc: String, created_at: &str) -> WrappedKey {
    let created_at = match recipient.kind() {
        RecipientKind::Age => "",
        _ => created_at,
    };
    WrappedKey {
        recipient,
        created_at: created_at.to_owned(),
        enc,
        unknown: Vec::new(),
    }
}

/// A decryption order names a kind twice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the decryption order names `{name}` twice")]
pub struct RepeatedKind {
    /// The name.
    pub name: String,
}

/// Reads a decryption order: names separated by commas, without blanks (spec 6.4). Empty text means [`DEFAULT_ORDER`];
/// names that are no kind are ignored, as SOPS does.
///
/// # Errors
///
/// If a name, known or not, is repeated.
pub fn parse_order(text: &str) -> Result<Vec<RecipientKind>, RepeatedKind> {
    if text.is_empty() {
        return Ok(DEFAULT_ORDER.to_vec());
    }
    let mut seen = HashSet::new();
    let mut order = Vec::new();
    for name in text.split(',') {
        if !seen.insert(name) {
            return Err(RepeatedKind {
                name: name.to_owned(),
            });
        }
        order.extend(
            RecipientKind::LOAD_ORDER
                .into_iter()
                .find(|kind| kind.name() == name),
        );
    }
    Ok(order)
}

#[cfg(test)]
mod tests;
