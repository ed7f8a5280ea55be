//! For whom and by which rule a file is sealed: options first, then the config.
//!
//! Finds the config (spec 8.1, with our own order of places), asks it for the rule of a file, and puts the options over
//! it. Decides; does nothing.

use std::path::{Component, Path, PathBuf};

use sops_rs::config::{Config, ConfigError, Matched, Strictness};
use sops_rs::keys::age::check_recipient;
use sops_rs::recipient::{BadRecipient, Recipient, parse_context, parse_list};
use sops_rs::selection::{RuleKind, Selection};
use sops_rs::span::Position;

use super::args::{KeyArgs, SelectionArgs};
use super::context::Context;
use super::exit::Exit;
use super::io::{self, Input};
use super::report::Failure;

/// Everything that is decided before a new file is sealed.
#[derive(Debug)]
pub(crate) struct Creation {
    pub(crate) groups: Vec<Vec<Recipient>>,
    pub(crate) shamir_threshold: usize,
    pub(crate) selection: Selection,
    /// Whether the recipients were named by options or the environment, not by a config.
    pub(crate) named: bool,
}

/// The names of our own and of SOPS's config, in the order in which a folder is searched.
pub(crate) const NAMES: [(&str, Strictness); 2] = [
    (".sops-rs.yaml", Strictness::Strict),
    (".sops.yaml", Strictness::Lenient),
];

/// Folders that are searched upwards at most, as SOPS has it.
const MAX_FOLDERS: usize = 100;

/// Decides for the file `path`, as the user named it.
///
/// # Errors
/// [`Exit::Conflict`] for options that contradict each other, [`Exit::Failed`] for a config that does not answer.
pub(crate) fn decide(
    context: &mut Context,
    keys: &KeyArgs,
    selection: &SelectionArgs,
    config: Option<&Path>,
    path: &Path,
) -> Result<Creation, Failure> {
    let own_selection = own_selection(selection)?;
    let own_keys = own_keys(keys)?;
    let named = !own_keys.is_empty();
    let rule = match matching_rule(context, config, path)? {
        Ok(matched) => Some(matched),
        // Who names the recipients needs no rule.
        Err(_) if named => None,
        Err(failure) => return Err(failure),
    };
    let only = selection.anywhere.mac_only_encrypted;
    if let Some(matched) = rule.as_ref().filter(|_| !named) {
        refuse_empty_groups(context, config, path, matched)?;
    }
    let (mut groups, mut threshold, rule_selection) = match rule {
        Some(Matched {
            groups,
            shamir_threshold,
            selection,
            ..
        }) => (groups, shamir_threshold, selection),
        None => (Vec::new(), 0, Selection::default()),
    };
    if named {
        groups = vec![own_keys];
    }
    if let Some(given) = keys.shamir_secret_sharing_threshold {
        threshold = given;
    }
    let only = only || rule_selection.mac_only_encrypted();
    let selection = own_selection
        .unwrap_or(rule_selection)
        .with_mac_only_encrypted(only);
    check(&groups)?;
    Ok(Creation {
        groups,
        shamir_threshold: threshold,
        selection,
        named,
    })
}

/// A rule that says what is sealed, but not for whom.
pub(crate) fn refuse_empty_groups(
    context: &Context,
    config: Option<&Path>,
    path: &Path,
    matched: &Matched,
) -> Result<(), Failure> {
    let groups = &matched.groups;
    let Some(index) = groups.iter().position(Vec::is_empty) else {
        return Ok(());
    };
    let found = find(context, config, &normal(&context.resolve(path)));
    let name = found.map_or_else(String::new, |(path, _)| shown(context, &path));
    let rule = matched.rule;
    let message = if groups.len() > 1 {
        format!(
            "key group {} of rule {rule} in `{name}` names no recipient",
            index + 1
        )
    } else {
        format!("rule {rule} in `{name}` names no recipient")
    };
    Err(Failure::new(Exit::Failed, message)
        .hint("add `age: age1…` to it, or name a recipient with `--age`"))
}

/// Finds mistakes in recipients before anything is wrapped, and all of them at once.
pub(crate) fn check(groups: &[Vec<Recipient>]) -> Result<(), Failure> {
    let mut failure: Option<Failure> = None;
    for recipient in groups.iter().flatten() {
        let Recipient::Age { recipient } = recipient else {
            continue;
        };
        if let Err(error) = check_recipient(recipient) {
            let detail = format!("{recipient}: {error}");
            let so_far =
                failure.unwrap_or_else(|| Failure::new(Exit::Failed, "a recipient cannot be used"));
            failure = Some(so_far.detail(detail));
        }
    }
    failure.map_or(Ok(()), |failure| {
        Err(failure.hint("copy it again from its owner; `sops-rs init` shows everybody their own"))
    })
}

/// The recipients that options or the environment name; they take the place of the config's.
fn own_keys(keys: &KeyArgs) -> Result<Vec<Recipient>, Failure> {
    named_recipients(keys, "--")
}

/// The recipients that `keys` name; their options begin with `option`, as messages have it.
///
/// # Errors
/// [`Exit::Failed`] with the option that is wrong.
pub(crate) fn named_recipients(keys: &KeyArgs, option: &str) -> Result<Vec<Recipient>, Failure> {
    let prefix = option;
    let context = match &keys.encryption_context {
        Some(text) => parse_context(text).map_err(|error| {
            Failure::new(
                Exit::BadEncryptionContext,
                format!("--encryption-context: {error}"),
            )
        })?,
        None => Vec::new(),
    };
    let profile = keys.aws_profile.clone().unwrap_or_default();
    let kms = |text: &str| {
        Recipient::parse_kms(text).map(|recipient| match recipient {
            Recipient::Kms { arn, role, .. } => Recipient::Kms {
                arn,
                role,
                context: context.clone(),
                aws_profile: profile.clone(),
            },
            other => other,
        })
    };
    let mut found = Vec::new();
    let mut add = |option: &str,
                   texts: &[String],
                   parse: &dyn Fn(&str) -> Result<Recipient, BadRecipient>| {
        for text in texts {
            let list = parse_list(text, parse).map_err(|error| {
                Failure::new(Exit::Failed, format!("{prefix}{option}: {error}"))
            })?;
            found.extend(list);
        }
        Ok::<(), Failure>(())
    };
    // The order in which SOPS writes them (spec 6.5).
    add("kms", &keys.kms, &kms)?;
    add("gcp-kms", &keys.gcp_kms, &Recipient::parse_gcp_kms)?;
    add("hckms", &keys.hckms, &Recipient::parse_hckms)?;
    add("azure-kv", &keys.azure_kv, &Recipient::parse_azure)?;
    add("pgp", &keys.pgp, &Recipient::parse_pgp)?;
    add(
        "hc-vault-transit",
        &keys.hc_vault_transit,
        &Recipient::parse_vault,
    )?;
    add("age", &keys.age, &Recipient::parse_age)?;
    Ok(found)
}

/// The selection that options ask for; an empty text means that nothing is asked.
fn own_selection(arguments: &SelectionArgs) -> Result<Option<Selection>, Failure> {
    let given = [
        (RuleKind::UnencryptedSuffix, &arguments.unencrypted_suffix),
        (RuleKind::EncryptedSuffix, &arguments.encrypted_suffix),
        (RuleKind::UnencryptedRegex, &arguments.unencrypted_regex),
        (RuleKind::EncryptedRegex, &arguments.encrypted_regex),
        (
            RuleKind::UnencryptedCommentRegex,
            &arguments.anywhere.unencrypted_comment_regex,
        ),
        (
            RuleKind::EncryptedCommentRegex,
            &arguments.anywhere.encrypted_comment_regex,
        ),
    ];
    let given: Vec<(RuleKind, &str)> = given
        .into_iter()
        .filter_map(|(kind, text)| Some((kind, text.as_deref().filter(|text| !text.is_empty())?)))
        .collect();
    let option = |kind: RuleKind| format!("--{}", kind.name().replace('_', "-"));
    match given.as_slice() {
        [] => Ok(None),
        [(kind, text)] => Selection::strict(*kind, text).map(Some).map_err(|error| {
            Failure::new(Exit::Failed, format!("{}: {error}", option(*kind)))
                .hint("SOPS would silently match nothing here; correct the expression")
        }),
        [(one, _), (two, _), ..] => Err(Failure::new(
            Exit::Conflict,
            format!(
                "{} and {} cannot be used together",
                option(*one),
                option(*two)
            ),
        )
        .hint("choose one way to say what is sealed")),
    }
}

/// The rule of the config for this file. The outer error is fatal; the inner one says that there is no rule.
pub(crate) fn matching_rule(
    context: &mut Context,
    config: Option<&Path>,
    path: &Path,
) -> Result<Result<Matched, Failure>, Failure> {
    let absolute = normal(&context.resolve(path));
    let Some((config_path, strictness)) = find(context, config, &absolute) else {
        return Ok(Err(no_config(context, path)));
    };
    let name = shown(context, &config_path);
    if !config_path.exists() {
        return Err(
            Failure::new(Exit::Failed, format!("the config `{name}` does not exist"))
                .hint("correct `--config` or the variable SOPS_CONFIG"),
        );
    }
    let rules = load(context, &config_path, strictness)?;
    let tested = relative(&absolute, config_path.parent());
    match rules.rule_for(&tested) {
        Ok(matched) => Ok(Ok(matched)),
        Err(error @ (ConfigError::NoMatch { .. } | ConfigError::NoCreationRules)) => {
            Ok(Err(bad_config(&name, &error)))
        }
        Err(error) => Err(bad_config(&name, &error)),
    }
}

/// Reads a config; what is odd about it is told.
///
/// # Errors
/// [`Exit::Failed`] if it cannot be read.
pub(crate) fn load(
    context: &mut Context,
    path: &Path,
    strictness: Strictness,
) -> Result<Config, Failure> {
    let name = shown(context, path);
    let failed = |failure: Failure| failure.with_exit(Exit::Failed);
    let bytes = io::read(context, &Input::File(path.to_owned())).map_err(failed)?;
    let text = io::text(&bytes, &name).map_err(failed)?;
    let (rules, warnings) =
        Config::parse(text, strictness).map_err(|error| bad_config(&name, &error))?;
    for warning in warnings {
        context.warn(&format!("`{name}`: {warning}"));
    }
    Ok(rules)
}

/// The config: the one that was named, else the nearest above the file, else the nearest above the working directory.
pub(crate) fn find(
    context: &Context,
    named: Option<&Path>,
    file: &Path,
) -> Option<(PathBuf, Strictness)> {
    if let Some(path) = named {
        let ours = path.file_name().is_some_and(|name| name == ".sops-rs.yaml");
        let strictness = if ours {
            Strictness::Strict
        } else {
            Strictness::Lenient
        };
        return Some((normal(&context.resolve(path)), strictness));
    }
    let above = |start: &Path| {
        start.ancestors().take(MAX_FOLDERS).find_map(|folder| {
            NAMES.iter().find_map(|(name, strictness)| {
                let path = folder.join(name);
                path.is_file().then_some((path, *strictness))
            })
        })
    };
    file.parent()
        .and_then(above)
        .or_else(|| above(context.working_dir()))
}

/// What `path_regex` is matched against: the path below the config's folder, else the whole path; always with `/`.
pub(crate) fn relative(file: &Path, folder: Option<&Path>) -> String {
    let below = folder
        .and_then(|folder| file.strip_prefix(folder).ok())
        .unwrap_or(file);
    let text = below.to_string_lossy();
    if std::path::MAIN_SEPARATOR == '/' {
        text.into_owned()
    } else {
        text.replace(std::path::MAIN_SEPARATOR, "/")
    }
}

/// The path without `.` and `..`, by its text alone: links are not followed (spec 8.3).
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

/// The path as short as it can be said from here.
pub(crate) fn shown(context: &Context, path: &Path) -> String {
    path.strip_prefix(context.working_dir())
        .unwrap_or(path)
        .display()
        .to_string()
}

fn no_config(context: &Context, path: &Path) -> Failure {
    let folder = context.resolve(path);
    let folder = folder.parent().unwrap_or(&folder).display().to_string();
    Failure::new(
        Exit::Failed,
        "config file not found, or has no creation rules, and no keys provided through command line options",
    )
    .detail(format!("looked for .sops-rs.yaml and .sops.yaml in `{folder}` and every folder above it"))
    .hint("run `sops-rs init` to make one, or name a recipient with `--age`")
}

/// A config that does not answer: what is wrong with it, and where.
pub(crate) fn bad_config(name: &str, error: &ConfigError) -> Failure {
    match error {
        ConfigError::NoMatch { path, patterns } => {
            let mut failure = Failure::new(
                Exit::Failed,
                format!("no matching creation rules found in `{name}`"),
            )
            .detail(format!("tested `{path}` against"));
            for (pattern, number) in patterns.iter().zip(1..) {
                failure = failure.detail(format!("rule {number}: {pattern}"));
            }
            if patterns.is_empty() {
                failure = failure.detail("no rule at all: `creation_rules` is an empty list");
            }
            failure.hint("add a rule for this file, or name a recipient with `--age`")
        }
        ConfigError::NoCreationRules => {
            Failure::new(Exit::Failed, format!("`{name}` has no creation rules"))
                .hint("add `creation_rules`, or name a recipient with `--age`")
        }
        ConfigError::Syntax {
            position: Some(Position { line, column }),
            message,
        } => {
            // The YAML reader puts the place into its sentence, too.
            let message = message.replace(&format!(" at line {line} column {column}"), "");
            Failure::new(
                Exit::Failed,
                format!("cannot read the config `{name}`: {message}"),
            )
            .detail(format!("in line {line}, column {column}"))
        }
        _ => {
            let message = format!("cannot use the config `{name}`: {error}");
            let failure = Failure::new(Exit::Failed, message);
            match error {
                ConfigError::PathRegex { .. } | ConfigError::Selection { .. } => {
                    failure.hint("correct the expression")
                }
                ConfigError::SeveralSelections { .. } => failure.hint("keep one of them"),
                ConfigError::UnknownKey { .. } => failure
                    .hint("correct the key, or keep keys of other programs in a `.sops.yaml`"),
                _ => failure,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{normal, relative};

    #[test]
    fn paths_are_matched_relative_to_the_config() {
        let file = Path::new("/repo/secrets/prod.yaml");
        assert_eq!(
            relative(file, Some(Path::new("/repo"))),
            "secrets/prod.yaml"
        );
        assert_eq!(
            relative(file, Some(Path::new("/elsewhere"))),
            "/repo/secrets/prod.yaml"
        );
        assert_eq!(
            relative(file, Some(Path::new("/rep"))),
            "/repo/secrets/prod.yaml"
        );
        assert_eq!(
            normal(Path::new("/a/./b/../c.yaml")),
            PathBuf::from("/a/c.yaml")
        );
        assert_eq!(normal(Path::new("/../c")), PathBuf::from("/c"));
    }
}
