//! Which config is for a file, how it was found, and which of its rules applies: rule by rule, why.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sops_rs::config::{Config, ConfigError, Matched, rule_lines};
use sops_rs::recipient::Recipient;
use sops_rs::selection::Pattern;

use crate::cli::context::Context;
use crate::cli::creation::{NAMES, bad_config, find, load, normal, relative, shown};
use crate::cli::io::{self, Input};
use crate::cli::report::Failure;

/// The config and the way to the rule.
#[derive(Debug, Default, Serialize)]
pub(super) struct Ruling {
    pub(super) config: Option<ConfigFacts>,
    /// What the rules are tested against.
    pub(super) tested_path: Option<String>,
    /// The rules that were tested, up to the one that applies.
    pub(super) tested: Vec<Tested>,
    pub(super) rule: Option<RuleFacts>,
    /// Why there is no rule.
    pub(super) problem: Option<String>,
}

/// A config, and how it was found.
#[derive(Debug, Serialize)]
pub(super) struct ConfigFacts {
    pub(super) path: String,
    pub(super) found: How,
    /// Number of its rules.
    pub(super) rules: usize,
    /// Configs that stand beside it and are not read.
    pub(super) passed_over: Vec<String>,
}

/// How a config was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum How {
    Named,
    AboveFile,
    AboveWorkingDirectory,
}

/// A rule that was reached.
#[derive(Debug, Serialize)]
pub(super) struct Tested {
    pub(super) rule: usize,
    pub(super) line: Option<usize>,
    pub(super) path_regex: String,
    pub(super) matches: bool,
}

/// The rule that applies.
#[derive(Debug, Serialize)]
pub(super) struct RuleFacts {
    pub(super) number: usize,
    pub(super) line: Option<usize>,
    pub(super) selection: String,
    pub(super) mac_only_encrypted: bool,
}

/// What the config says, for those who ask it more.
#[derive(Default)]
pub(super) struct Said {
    pub(super) rule: Option<Matched>,
    config: Option<Config>,
}

impl Said {
    /// What a recipient is called.
    pub(super) fn name(&self, recipient: &Recipient) -> Option<String> {
        let name = self.config.as_ref()?.name_of(recipient)?;
        Some(name.to_owned())
    }
}

/// Finds the config and the rule for a file. What is wrong with them is part of the answer.
pub(super) fn of(context: &mut Context, named: Option<&Path>, file: &Path) -> (Ruling, Said) {
    let file = normal(&context.resolve(file));
    let (mut ruling, mut said) = (Ruling::default(), Said::default());
    let Some((path, strictness)) = find(context, named, &file) else {
        ruling.problem = Some(
            "there is no .sops-rs.yaml or .sops.yaml in its folder, nor in one above, nor above the working directory"
                .to_owned(),
        );
        return (ruling, said);
    };
    let name = shown(context, &path);
    ruling.config = Some(ConfigFacts {
        path: name.clone(),
        found: how(named, &path, &file),
        rules: 0,
        passed_over: passed_over(context, named, &path),
    });
    let config = match load(context, &path, strictness) {
        Ok(config) => config,
        Err(failure) => {
            ruling.problem = Some(in_one(&failure));
            return (ruling, said);
        }
    };
    if let Some(facts) = &mut ruling.config {
        facts.rules = config.rule_count();
    }
    let lines = lines(context, &path);
    let tested = relative(&file, path.parent());
    ruling.tested = test(&config, &tested, &lines);
    match config.rule_for(&tested) {
        Ok(rule) => {
            ruling.rule = Some(RuleFacts {
                number: rule.rule,
                line: lines.get(rule.rule - 1).copied(),
                selection: rule.selection.describe(),
                mac_only_encrypted: rule.selection.mac_only_encrypted(),
            });
            said.rule = Some(rule);
        }
        Err(ConfigError::NoMatch { .. }) => {
            ruling.problem = Some(format!("no rule of `{name}` matches"));
        }
        Err(error) => ruling.problem = Some(in_one(&bad_config(&name, &error))),
    }
    ruling.tested_path = Some(tested);
    said.config = Some(config);
    (ruling, said)
}

fn how(named: Option<&Path>, config: &Path, file: &Path) -> How {
    let folder = config.parent().unwrap_or(config);
    match named {
        Some(_) => How::Named,
        None if file.starts_with(folder) => How::AboveFile,
        None => How::AboveWorkingDirectory,
    }
}

/// The configs in the same folder that come after this one.
fn passed_over(context: &Context, named: Option<&Path>, config: &Path) -> Vec<String> {
    if named.is_some() {
        return Vec::new();
    }
    let others = NAMES.iter().map(|(name, _)| config.with_file_name(name));
    let behind = others.skip_while(|other| other != config).skip(1);
    let there: Vec<PathBuf> = behind.filter(|other| other.is_file()).collect();
    there.iter().map(|other| shown(context, other)).collect()
}

fn lines(context: &mut Context, config: &Path) -> Vec<usize> {
    let Ok(bytes) = io::read(context, &Input::File(config.to_owned())) else {
        return Vec::new();
    };
    str::from_utf8(&bytes).map(rule_lines).unwrap_or_default()
}

/// The rules from the first to the one that matches, or that cannot be tested.
fn test(config: &Config, path: &str, lines: &[usize]) -> Vec<Tested> {
    let mut tested = Vec::new();
    for (path_regex, number) in config.path_rules().zip(1..) {
        let pattern = Pattern::strict(path_regex);
        let matches = path_regex.is_empty() || pattern.as_ref().is_ok_and(|one| one.is_match(path));
        tested.push(Tested {
            rule: number,
            line: lines.get(number - 1).copied(),
            path_regex: path_regex.to_owned(),
            matches,
        });
        if matches || pattern.is_err() {
            break;
        }
    }
    tested
}

/// A failure as one line.
fn in_one(failure: &Failure) -> String {
    let mut text = failure.message.clone();
    for detail in failure.details() {
        text.push_str(&format!("; {detail}"));
    }
    text
}
