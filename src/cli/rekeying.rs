//! Giving a sealed file to other recipients: who shall have it, whether that may be, and the new text.
//!
//! Takes plans, not arguments, so that every command which changes recipients does it here. Knows nothing of where a plan
//! comes from, and writes nothing.

use std::path::Path;

use sops_rs::config::Matched;
use sops_rs::keys::NotWrapped;
use sops_rs::metadata::Metadata;
use sops_rs::ops::rekey::{
    self, Change, NewKey, RekeyError, Wrapped, Wrapping, needs_key, same, unsupported,
};
use sops_rs::random::Random as _;
use sops_rs::recipient::{Recipient, RecipientKind};
use sops_rs::secret::DataKey;
use sops_rs::value::timestamp;

use super::args::{IdentityArgs, KeyServiceArgs};
use super::context::Context;
use super::creation::{find, load, matching_rule, normal};
use super::encrypt::not_wrapped;
use super::entropy::Entropy;
use super::exit::Exit;
use super::report::{Failure, escaped};
use super::sealed::Sealed;
use super::services::Services;

/// Who shall be able to open a file.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) groups: Vec<Vec<Recipient>>,
    /// What the file shall say; 0 for nothing.
    pub(crate) threshold: usize,
}

impl Wanted {
    /// Those who can open it now.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let of = |group: &Vec<sops_rs::recipient::WrappedKey>| {
            group.iter().map(|key| key.recipient.clone()).collect()
        };
        Self {
            groups: metadata.groups.iter().map(of).collect(),
            threshold: metadata.shamir_threshold,
        }
    }

    /// Those whom a rule names, in its groups. Recipients of kinds that no config can name stay in their group;
    /// with `keep_unknown` so does everybody else whom the rule does not name.
    pub(crate) fn by_rule(metadata: &Metadata, rule: &Matched, keep_unknown: bool) -> Self {
        let mut groups = rule.groups.clone();
        let named = |recipient: &Recipient| within(&rule.groups, recipient);
        for (index, keys) in metadata.groups.iter().enumerate() {
            for recipient in keys.iter().map(|key| &key.recipient) {
                let stays = keep_unknown && !named(recipient);
                let nameless = recipient.kind() == RecipientKind::Unknown;
                let last = groups.len().saturating_sub(1);
                let place = if stays { index.min(last) } else { index };
                if let Some(group) = groups.get_mut(place).filter(|_| stays || nameless) {
                    group.push(recipient.clone());
                }
            }
        }
        let threshold = threshold(metadata, groups.len(), rule.shamir_threshold);
        Self { groups, threshold }
    }
}

/// What a file with so many groups shall say about how many are needed: what was asked for, else what it says now, as far
/// as that makes sense. SOPS does not look at the rule's number.
pub(crate) fn threshold(metadata: &Metadata, groups: usize, asked: usize) -> usize {
    let before = metadata.groups.len();
    match (groups, asked) {
        (0 | 1, _) if before == 1 => metadata.shamir_threshold,
        (0 | 1, _) => 0,
        (_, asked) if asked > 0 => asked,
        // The number means nothing to one group.
        (all, _) if before == 1 => all,
        (all, _) => metadata.shamir_threshold.min(all),
    }
}

/// Whether one of the groups has this recipient.
pub(crate) fn within(groups: &[Vec<Recipient>], recipient: &Recipient) -> bool {
    groups.iter().flatten().any(|other| same(other, recipient))
}

/// The change as SOPS prints it (spec 9.8): who stays, who gains, who loses, group by group.
pub(crate) fn describe(change: &Change) -> String {
    let mut text = String::new();
    match change.threshold {
        (0, 0) => {}
        (before, after) if before == after => {
            text.push_str(&format!("shamir_threshold: {after}\n"));
        }
        (before, after) => {
            for (mark, number) in [("+++", after), ("---", before)] {
                if number > 0 {
                    text.push_str(&format!("{mark} shamir_threshold: {number}\n"));
                }
            }
        }
    }
    for (number, group) in (1..).zip(&change.groups) {
        text.push_str(&format!("Group {number}\n"));
        let lists = [
            ("   ", &group.kept),
            ("+++", &group.added),
            ("---", &group.removed),
        ];
        for (mark, identities) in lists {
            for identity in identities {
                text.push_str(&format!("{mark} {}\n", escaped(identity)));
            }
        }
    }
    text
}

/// The file with its data key wrapped for `wanted`; nothing else in it changes. The key is unwrapped only if it is needed.
///
/// # Errors
/// [`Exit::NoDataKey`] if the file cannot be opened, [`Exit::Failed`] if somebody cannot be given the key.
pub(crate) fn rewrapped(
    context: &mut Context,
    sealed: &Sealed<'_>,
    wanted: &Wanted,
    identity: &IdentityArgs,
) -> Result<String, Failure> {
    refuse_new_shares(sealed, wanted)?;
    let metadata = &sealed.metadata;
    let key = if needs_key(metadata, &wanted.groups) {
        Some(sealed.data_key(context, identity)?)
    } else {
        None
    };
    let wrapped = wrap(context, &identity.services, |wrapping| {
        rekey::wrap_same(
            metadata,
            &wanted.groups,
            wanted.threshold,
            key.as_ref(),
            wrapping,
        )
    })?;
    rekey::rewrap(&sealed.document, metadata, wrapped).map_err(|error| cannot(sealed, &error))
}

/// The file sealed anew by a new data key, which is wrapped for `wanted`.
///
/// # Errors
/// As [`rewrapped`], and those of decrypting: the MAC is verified first.
pub(crate) fn rotated(
    context: &mut Context,
    sealed: &Sealed<'_>,
    wanted: &Wanted,
    identity: &IdentityArgs,
) -> Result<String, Failure> {
    refuse_unsupported(sealed.name, wanted)?;
    let metadata = &sealed.metadata;
    let key = sealed.data_key(context, identity)?;
    let mut random = Entropy::new(&mut context.random);
    let mut bytes = vec![0; DataKey::LEN];
    random.fill(&mut bytes);
    random.check()?;
    let new = DataKey::new(bytes);
    let wrapped = wrap(context, &identity.services, |wrapping| {
        rekey::wrap_new(metadata, &wanted.groups, wanted.threshold, &new, wrapping)
    })?;
    let now = context.now().as_second();
    let mut random = Entropy::new(&mut context.random);
    let new = NewKey {
        key: &new,
        wrapped,
        now,
        random: &mut random,
    };
    let selection = &sealed.selection;
    let rotated = rekey::rotate(&sealed.document, metadata, selection, &key, new);
    random.check()?;
    let rotated = rotated.map_err(|error| cannot(sealed, &error))?;
    sealed.warn(context, &rotated.warnings);
    Ok(rotated.text)
}

/// Wraps with the services of this user.
fn wrap(
    context: &mut Context,
    services: &KeyServiceArgs,
    wrap: impl FnOnce(Wrapping<'_>) -> Result<Wrapped, NotWrapped>,
) -> Result<Wrapped, Failure> {
    let created_at = timestamp(context.now().as_second());
    let services = Services::of(context, services);
    let mut random = Entropy::new(&mut context.random);
    let wrapped = wrap(Wrapping {
        services: &services.list(),
        created_at: &created_at,
        random: &mut random,
    });
    random.check()?;
    if let Some(warning) = services.warning() {
        context.warn(warning);
    }
    wrapped.map_err(|error| not_wrapped(&error))
}

/// Recipients of unknown kinds keep their entry as long as the key in it is right, and not a moment longer.
fn refuse_new_shares(sealed: &Sealed<'_>, wanted: &Wanted) -> Result<(), Failure> {
    if sealed.metadata.groups.len() == 1 && wanted.groups.len() == 1 {
        return Ok(());
    }
    refuse_unsupported(sealed.name, wanted)
}

fn refuse_unsupported(name: &str, wanted: &Wanted) -> Result<(), Failure> {
    let unsupported = unsupported(&wanted.groups);
    if unsupported.is_empty() {
        return Ok(());
    }
    let message = format!("`{name}` has recipients that cannot be given a new key");
    let failure = Failure::new(Exit::Failed, message);
    let failure = unsupported.into_iter().fold(failure, |failure, identity| {
        failure.detail(format!("{identity}: this version does not know such keys"))
    });
    Err(failure.hint(
        "use a version that knows them, or take them out with `sops-rs rotate --rm-unsupported`",
    ))
}

/// Who can push can write himself into a file, and would be handed its key by whoever wraps it anew: only recipients that
/// the rule for the file names, or that are `added` to the first group now, are given one. Where no rule is for the file,
/// these are all whom the config names. `hint` says what can be done about others.
///
/// # Errors
/// [`Exit::Failed`] with everybody else, and if the config is wrong.
pub(crate) fn refuse_unnamed(
    context: &mut Context,
    config: Option<&Path>,
    path: &Path,
    wanted: &Wanted,
    added: &[Recipient],
    hint: &str,
) -> Result<(), Failure> {
    let name = escaped(&path.to_string_lossy()).into_owned();
    let (unnamed, who) = match matching_rule(context, config, path)? {
        // A rule that names nobody leaves it to the options.
        Ok(rule) if rule.groups.iter().all(Vec::is_empty) => return Ok(()),
        Ok(rule) => (
            unnamed(&rule, wanted, added),
            format!("others than rule {} of the config does", rule.rule),
        ),
        Err(_) => {
            let file = normal(&context.resolve(path));
            let Some((found, strictness)) = find(context, config, &file) else {
                return Ok(());
            };
            let known = load(context, &found, strictness)?;
            let known: Vec<Recipient> = known.recipients().chain(added).cloned().collect();
            let known = [known];
            let all = wanted.groups.iter().flatten();
            let unnamed = all.filter(|one| is_known(one) && !within(&known, one));
            (
                unnamed.map(Recipient::identity).collect(),
                "recipients that the config does not name".to_owned(),
            )
        }
    };
    if unnamed.is_empty() {
        return Ok(());
    }
    let message = format!("`{name}` would give its key to {who}; nothing was written");
    let failure = Failure::new(Exit::Failed, message);
    let failure = unnamed.into_iter().fold(failure, Failure::detail);
    Err(failure.hint(hint))
}

/// Whether this version knows the kind of a recipient; others are never given a key.
fn is_known(recipient: &Recipient) -> bool {
    !matches!(recipient, Recipient::Unknown { .. })
}

/// What a file lets happen that its rule does not: recipients that it does not name, or not in that group, and fewer groups
/// that are enough.
fn unnamed(rule: &Matched, wanted: &Wanted, added: &[Recipient]) -> Vec<String> {
    let mut found = Vec::new();
    let several = rule.groups.len() > 1;
    for (index, group) in wanted.groups.iter().enumerate() {
        let place = if several { index..index + 1 } else { 0..1 };
        let named = rule.groups.get(place).unwrap_or_default();
        let added = [if index == 0 {
            added.to_vec()
        } else {
            Vec::new()
        }];
        let unnamed = group.iter().filter(|recipient| {
            is_known(recipient) && !within(named, recipient) && !within(&added, recipient)
        });
        found.extend(unnamed.map(|recipient| match wanted.groups.len() {
            1 => recipient.identity(),
            _ => format!("{}, in group {}", recipient.identity(), index + 1),
        }));
    }
    // 0 stands for all groups.
    let needed = |number: usize, groups: usize| if number == 0 { groups } else { number };
    let of_file = needed(wanted.threshold, wanted.groups.len());
    let of_rule = needed(rule.shamir_threshold, rule.groups.len());
    let of_file = if wanted.groups.len() > 1 { of_file } else { 1 };
    if several && of_file < of_rule {
        found.push(format!(
            "{of_file} group(s) would be enough, where the rule asks for {of_rule}"
        ));
    }
    found
}

fn cannot(sealed: &Sealed<'_>, error: &RekeyError) -> Failure {
    match error {
        RekeyError::Open(error) => sealed.cannot_open(error),
        _ => Failure::new(Exit::CannotSeal, error.to_string()),
    }
}
