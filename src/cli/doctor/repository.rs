//! This clone: whether git diffs and merges sealed files with this program, and keeps no plaintext of what it diffs.
//!
//! Looks at git's config and attributes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Finding, Here, SHOWN};
use crate::cli::context::Context;
use crate::cli::git::{SETTINGS, uncovered};
use crate::cli::report::Failure;
use crate::cli::repository::Repository;

const CHECK: &str = "git";
const INSTALL: &str = "run `sops-rs git install`";
const ATTRIBUTES: &str = "run `sops-rs git install`, and commit .gitattributes";

/// Looks at the clone around the working directory; outside of one there is nothing to say.
pub(super) fn check(context: &mut Context) -> Result<Vec<Finding>, Failure> {
    let repository = Repository::here(context);
    let Ok(top) = repository.top(context) else {
        let what = "this folder is in no git work tree";
        return Ok(vec![Finding::note(CHECK, what, None)]);
    };
    let mut findings = drivers(context, &repository);
    if findings.is_empty() {
        findings.push(Finding::ok(
            CHECK,
            "the drivers for sealed files are installed",
        ));
    }
    findings.extend(caches(context, &repository));
    findings.extend(attributes(context, &repository, &top)?);
    Ok(findings)
}

fn get(context: &Context, repository: &Repository, name: &str) -> Option<String> {
    let value = repository.line(context, &["config", "--get", name])?;
    Some(value.to_string_lossy().into_owned())
}

fn drivers(context: &Context, repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut programs = BTreeSet::new();
    let mut is_missing = false;
    for (name, ours) in SETTINGS {
        // A name is of no consequence, and what is kept is another finding.
        if name.ends_with(".name") || name.ends_with(".cachetextconv") {
            continue;
        }
        let Some(value) = get(context, repository, name) else {
            is_missing = true;
            continue;
        };
        // The program, then `git` and the verb.
        let Some(verbs) = ours.strip_prefix("sops-rs ") else {
            continue;
        };
        let verbs: Vec<&str> = verbs.split(' ').take(2).collect();
        let words = shell_words::split(&value).unwrap_or_default();
        match words.split_first() {
            Some((program, rest))
                if rest.iter().zip(&verbs).filter(|(a, b)| a == b).count() == 2 =>
            {
                programs.insert(program.clone());
            }
            _ => findings.push(Finding::wrong(
                CHECK,
                format!("`{name}` runs another program: `{value}`"),
                INSTALL,
            )),
        }
    }
    if is_missing {
        let what = "git does not know how to diff and merge sealed files in this clone";
        findings.push(Finding::wrong(CHECK, what, INSTALL));
    }
    findings.extend(programs.iter().filter_map(|program| runs(context, program)));
    findings
}

/// What is odd about the program that git runs: it is not there, or it is not this one.
fn runs(context: &Context, program: &str) -> Option<Finding> {
    let path = context.variable("PATH");
    let Ok(found) = which::which_in(program, path, context.working_dir()) else {
        let what = format!("git runs `{program}`, which is not on the PATH");
        return Some(Finding::wrong(CHECK, what, "put this program on the PATH"));
    };
    let this = std::env::current_exe().ok()?;
    let same = found.canonicalize().ok()? == this.canonicalize().ok()?;
    let what = || {
        format!(
            "git runs {}, and this is {}",
            found.display(),
            this.display()
        )
    };
    (!same).then(|| Finding::note(CHECK, what(), None))
}

/// Settings by which git keeps what diffs have shown.
fn caches(context: &Context, repository: &Repository) -> Vec<Finding> {
    let is_on = |name: &&str| {
        let value = repository.line(context, &["config", "--type=bool", "--get", *name]);
        value.is_some_and(|value| value == "true")
    };
    let names = ["diff.sops.cachetextconv", "diff.sopsdiffer.cachetextconv"];
    names
        .into_iter()
        .filter(is_on)
        .map(|name| {
            let what = format!(
                "`{name}` is on: git keeps the plaintext of what it diffs under refs/notes/textconv"
            );
            Finding::wrong(CHECK, what, format!("run `git config {name} false`"))
        })
        .collect()
}

fn attributes(
    context: &mut Context,
    repository: &Repository,
    top: &Path,
) -> Result<Vec<Finding>, Failure> {
    let uncovered = uncovered(context, repository, top)?;
    if uncovered.is_empty() {
        let what = ".gitattributes names the drivers for every sealed file";
        return Ok(vec![Finding::ok(CHECK, what)]);
    }
    let here = Here::of(context, repository);
    let finding = |path: &PathBuf| {
        let path = here.path(path);
        let what = format!(
            "`{}` is sealed, but git diffs and merges it as text",
            path.display()
        );
        Finding::wrong(CHECK, what, ATTRIBUTES)
    };
    let mut findings: Vec<Finding> = uncovered.iter().take(SHOWN).map(finding).collect();
    if uncovered.len() > SHOWN {
        let more = uncovered.len() - SHOWN;
        let what = format!("{more} more sealed files are diffed and merged as text");
        findings.push(Finding::wrong(CHECK, what, ATTRIBUTES));
    }
    Ok(findings)
}
