//! What comes of an attempt to open a sealed file: every identity that was tried, the places they come from, the MAC.
//!
//! The data key is used for nothing else, and the plaintext is made for nobody.

use serde::Serialize;
use sops_rs::format::Format;
use sops_rs::keys::{Attempt, NotRecovered, Outcome, attempt_all};
use sops_rs::ops::decrypt;
use sops_rs::recipient::{Recipient, WrappedKey};
use sops_rs::secret::DataKey;

use super::people::Person;
use super::rule::Said;
use crate::cli::args::IdentityArgs;
use crate::cli::context::Context;
use crate::cli::identities::{Found, Places, Survey};
use crate::cli::report::Failure;
use crate::cli::sealed::{Sealed, order, outcome_for, remedy};
use crate::cli::services::Services;

/// What came of it.
#[derive(Debug, Serialize)]
pub(super) struct Opening {
    /// Whether the data key was unwrapped.
    pub(super) opened: bool,
    /// For every group of the file, what became of each of its recipients.
    pub(super) groups: Vec<Vec<Tried>>,
    /// Where identities of age were looked for.
    pub(super) places: Vec<Place>,
    /// Whether an agent is asked before all this, which was not done here.
    pub(super) agent: bool,
    pub(super) mac: Option<Mac>,
    /// What to do for somebody who cannot open it.
    pub(super) remedy: Option<&'static str>,
}

/// A recipient, and what came of trying it.
#[derive(Debug, Serialize)]
pub(super) struct Tried {
    #[serde(flatten)]
    pub(super) person: Person,
    pub(super) outcome: Became,
    /// The same in words.
    pub(super) said: String,
}

/// What became of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Became {
    Opened,
    NotMine,
    Failed,
    NotSupported,
    NotNeeded,
}

/// A place where identities may be.
#[derive(Debug, Serialize)]
pub(super) struct Place {
    pub(super) place: String,
    pub(super) found: &'static str,
    /// Why it cannot be used, or what is odd about it.
    pub(super) problem: Option<String>,
}

/// Whether the file is as it was sealed.
#[derive(Debug, Serialize)]
pub(super) struct Mac {
    pub(super) holds: bool,
    /// Why the file does not open, or its MAC does not hold.
    pub(super) problem: Option<String>,
}

/// Tries to open the file as any command would.
///
/// # Errors
/// The order of keys is wrong.
pub(super) fn of(
    context: &mut Context,
    sealed: &Sealed<'_>,
    said: &Said,
    arguments: &IdentityArgs,
) -> Result<Opening, Failure> {
    let order = order(context, arguments)?;
    let services = Services::of(context, &arguments.services);
    let metadata = &sealed.metadata;
    let threshold = metadata.shamir_threshold;
    let recovery = attempt_all(&metadata.groups, threshold, &order, &services.list());
    if let Some(warning) = services.warning() {
        context.warn(warning);
    }
    let groups = metadata.groups.iter().zip(&recovery.groups);
    let groups = groups.map(|(keys, attempts)| tried(said, keys, attempts, services.places()));
    let remedy = |error: &NotRecovered| remedy(error, services.places());
    Ok(Opening {
        opened: recovery.key.is_ok(),
        groups: groups.collect(),
        places: services.places().survey().into_iter().map(place).collect(),
        agent: context.variable("SOPS_RS_AGENT").is_some(),
        remedy: recovery.key.as_ref().err().map(remedy),
        mac: recovery.key.ok().map(|key| mac(sealed, &key)),
    })
}

/// The attempts, in their order, then those that nobody had to make.
fn tried(said: &Said, keys: &[WrappedKey], attempts: &[Attempt], places: &Places) -> Vec<Tried> {
    let is_of = |attempt: &Attempt, recipient: &Recipient| {
        attempt.kind == recipient.kind() && attempt.identity == recipient.identity()
    };
    let recipients = || keys.iter().map(|key| &key.recipient);
    let mut all: Vec<Tried> = Vec::new();
    for attempt in attempts {
        let recipient = recipients().find(|recipient| is_of(attempt, recipient));
        all.extend(recipient.map(|recipient| Tried {
            person: Person::of(said, recipient),
            outcome: became(&attempt.outcome),
            said: outcome_for(attempt, places),
        }));
    }
    let untried = |recipient: &&Recipient| !attempts.iter().any(|one| is_of(one, recipient));
    all.extend(recipients().filter(untried).map(|recipient| Tried {
        person: Person::of(said, recipient),
        outcome: Became::NotNeeded,
        said: "not tried: another was enough".to_owned(),
    }));
    all
}

fn became(outcome: &Outcome) -> Became {
    match outcome {
        Outcome::Done => Became::Opened,
        Outcome::NotMine => Became::NotMine,
        Outcome::Failed(_) => Became::Failed,
        Outcome::NoService { .. } => Became::NotSupported,
    }
}

fn place(survey: Survey) -> Place {
    let (found, problem) = match survey.found {
        Found::Nothing => ("nothing", None),
        Found::Identities => ("identities", survey.warning),
        Found::Command => ("command", None),
        Found::Broken(why) => ("broken", Some(why)),
    };
    Place {
        place: survey.place,
        found,
        problem,
    }
}

fn mac(sealed: &Sealed<'_>, key: &DataKey) -> Mac {
    let failure = if sealed.document.format() == Format::Binary {
        sealed.decrypt_binary(key, false).err()
    } else {
        let (document, metadata) = (&sealed.document, &sealed.metadata);
        let checked = decrypt::check(document, metadata, &sealed.selection, key);
        checked.err().map(|error| sealed.cannot_open(&error))
    };
    Mac {
        holds: failure.is_none(),
        problem: failure.map(|failure| failure.message),
    }
}
