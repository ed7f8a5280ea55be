//! The config that governs this folder: whether it can be read, and whether each of its rules can do its work.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sops_rs::config::{Config, ConfigError, Matched, rule_lines};

use super::Finding;
use crate::cli::context::Context;
use crate::cli::creation::{check as check_recipients, find, load, shown};
use crate::cli::io::{self, Input};
use crate::cli::report::typed;

const CHECK: &str = "config";

/// A config that can be read.
pub(super) struct Home {
    pub(super) path: PathBuf,
    pub(super) config: Config,
}

/// Looks at the config, and hands it on if it can be read.
pub(super) fn check(context: &mut Context, named: Option<&Path>) -> (Vec<Finding>, Option<Home>) {
    let here = context.working_dir().join("any");
    let Some((path, strictness)) = find(context, named, &here) else {
        let what = "there is none in this folder, nor in one above";
        let remedy = Some("`sops-rs init` makes one");
        return (vec![Finding::note(CHECK, what, remedy)], None);
    };
    let name = shown(context, &path);
    let config = match load(context, &path, strictness) {
        Ok(config) => config,
        Err(failure) => {
            let mut what = failure.message.clone();
            failure
                .details()
                .for_each(|detail| what.push_str(&format!("; {detail}")));
            return (
                vec![Finding::wrong(CHECK, what, "correct it in an editor")],
                None,
            );
        }
    };
    let mut findings = permissions(&path, &name);
    let rules = rules(context, &path, &name, &config);
    if rules.is_empty() && findings.is_empty() {
        let count = config.rule_count();
        findings.push(Finding::ok(
            CHECK,
            format!("{name}: every rule can be used ({count})"),
        ));
    }
    findings.extend(rules);
    (findings, Some(Home { path, config }))
}

/// Whoever can write to the config decides for whom files are sealed.
fn permissions(path: &Path, name: &str) -> Vec<Finding> {
    let open = std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o002 != 0);
    let what = format!("{name}: every user of this machine can change who files are sealed for");
    let finding = || Finding::wrong(CHECK, what, format!("run `chmod o-w {}`", typed(name)));
    open.then(finding).into_iter().collect()
}

fn rules(context: &mut Context, path: &Path, name: &str, config: &Config) -> Vec<Finding> {
    if !config.has_creation_rules() {
        let what = format!("{name}: has no creation rules, as if it were not there");
        return vec![Finding::wrong(CHECK, what, "add `creation_rules`")];
    }
    let bytes = io::read(context, &Input::File(path.to_owned()));
    let text = bytes
        .as_ref()
        .ok()
        .and_then(|bytes| str::from_utf8(bytes).ok());
    let lines = text.map(rule_lines).unwrap_or_default();
    let mut findings = Vec::new();
    let mut before: Vec<&str> = Vec::new();
    for ((path_regex, said), number) in config.rules().zip(1..) {
        let line = lines.get(number - 1).map(|line| format!(" (line {line})"));
        let rule = format!("{name}: rule {number}{}", line.unwrap_or_default());
        if let Some(earlier) = before.iter().position(|earlier| hides(earlier, path_regex)) {
            let what = format!(
                "{rule} is never reached: rule {} comes before it",
                earlier + 1
            );
            findings.push(Finding::wrong(CHECK, what, "move it up, or delete it"));
        }
        before.push(path_regex);
        findings.extend(match said {
            Ok(matched) => usable(&rule, &matched),
            Err(error) => Some(unusable(&rule, number, &error)),
        });
    }
    findings
}

/// Whether a rule with `earlier` takes every path of one with `later`: if it matches anything, or the same.
fn hides(earlier: &str, later: &str) -> bool {
    matches!(earlier, "" | "^" | "$" | ".*" | "^.*" | ".*$" | "^.*$") || earlier == later
}

fn unusable(rule: &str, number: usize, error: &ConfigError) -> Finding {
    // Most errors name the rule themselves.
    let said = error.to_string();
    let said = said
        .strip_prefix(&format!("rule {number}: "))
        .unwrap_or(&said);
    Finding::wrong(CHECK, format!("{rule}: {said}"), "correct it in an editor")
}

/// What is wrong with what a rule says, though it can be read.
fn usable(rule: &str, matched: &Matched) -> Option<Finding> {
    let groups = &matched.groups;
    let (count, threshold) = (groups.len(), matched.shamir_threshold);
    if groups.iter().any(Vec::is_empty) {
        let what = format!("{rule} names no recipient, so each `encrypt` has to");
        return Some(Finding::note(CHECK, what, None));
    }
    if count > 1 && (threshold == 1 || threshold > count) {
        let what = format!("{rule} asks for {threshold} of {count} groups, which cannot be sealed");
        let remedy = format!("set `shamir_threshold` to a number from 2 to {count}");
        return Some(Finding::wrong(CHECK, what, remedy));
    }
    let failure = check_recipients(groups).err()?;
    let details: Vec<String> = failure.details().map(Into::into).collect();
    let what = format!("{rule}: {}", details.join("; "));
    Some(Finding::wrong(
        CHECK,
        what,
        "copy the recipient again from its owner",
    ))
}
