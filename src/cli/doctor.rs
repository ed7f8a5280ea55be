//! `doctor`: whether this clone diffs and merges sealed files, and whether plaintext of them lies about.
//!
//! Looks at git's config, attributes, notes and recorded resolutions, and at the names of files. Changes nothing; needs no
//! key.

use std::path::{Path, PathBuf};

use clap::Args;

use super::context::Context;
use super::exit::Exit;
use super::git::{SETTINGS, uncovered};
use super::report::{Failure, escaped};
use super::repository::Repository;

/// Check this clone: drivers, attributes, and plaintext that was left behind
///
/// Ends with 1 if something is wrong. Each finding comes with what to do about it.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  sops-rs doctor")]
pub(crate) struct Doctor {}

/// What was found, and what to do about it.
struct Finding {
    what: String,
    remedy: String,
}

/// Runs the command.
///
/// # Errors
/// [`Exit::Failed`] outside of a work tree.
pub(crate) fn run(context: &mut Context, _arguments: &Doctor) -> Result<Exit, Failure> {
    let repository = Repository::here(context);
    let top = repository.top(context)?;
    let mut findings = drivers(context, &repository);
    findings.extend(attributes(context, &repository, &top)?);
    findings.extend(notes(context, &repository));
    findings.extend(resolutions(context, &repository, &top));
    findings.extend(leftovers(context, &repository)?);
    for Finding { what, remedy } in &findings {
        context.print(format!("- {}\n  {}\n", escaped(what), escaped(remedy)).as_bytes())?;
    }
    if findings.is_empty() {
        context.print(
            b"all is well: git diffs and merges sealed files, and no plaintext was found\n",
        )?;
        return Ok(Exit::Success);
    }
    Ok(Exit::Failed)
}

fn drivers(context: &Context, repository: &Repository) -> Vec<Finding> {
    let get = |name: &str| {
        repository
            .line(context, &["config", "--get", name])
            .map(|value| value.to_string_lossy().into_owned())
    };
    let mut findings = Vec::new();
    let missing = SETTINGS
        .iter()
        .any(|(name, _)| !name.ends_with(".name") && get(name).is_none());
    if missing {
        findings.push(Finding {
            what: "git does not know how to diff and merge sealed files in this clone".to_owned(),
            remedy: "run `sops-rs git install`".to_owned(),
        });
    }
    for name in ["diff.sops.cachetextconv", "diff.sopsdiffer.cachetextconv"] {
        if get(name).is_some_and(|value| !matches!(value.as_str(), "false" | "no" | "off" | "0")) {
            findings.push(Finding {
                what: format!("`{name}` is on: git keeps the plaintext of what it diffs under refs/notes/textconv"),
                remedy: format!("run `git config {name} false`"),
            });
        }
    }
    findings
}

fn attributes(
    context: &mut Context,
    repository: &Repository,
    top: &Path,
) -> Result<Vec<Finding>, Failure> {
    let uncovered = uncovered(context, repository, top)?;
    let finding = |path: &PathBuf| Finding {
        what: format!(
            "`{}` is sealed, but git diffs and merges it as text",
            path.display()
        ),
        remedy: "run `sops-rs git install`, and commit .gitattributes".to_owned(),
    };
    Ok(uncovered.iter().map(finding).collect())
}

/// Plaintext that `cachetextconv` has left; whoever mirrors the repository copies it.
fn notes(context: &Context, repository: &Repository) -> Vec<Finding> {
    let listed = repository.ask(
        context,
        &[
            "for-each-ref",
            "--format=%(refname)",
            "refs/notes/textconv/",
        ],
    );
    let listed = listed
        .map(|names| String::from_utf8_lossy(&names).into_owned())
        .unwrap_or_default();
    let finding = |name: &str| Finding {
        what: format!("`{name}` holds what diffs have shown, in clear"),
        remedy: format!(
            "run `git update-ref -d {name}` and `git gc --prune=now`, here and wherever it was pushed to"
        ),
    };
    listed.lines().map(finding).collect()
}

/// Resolutions that rerere has recorded of files with sealed values in them: of no use, and in clear if a driver wrote them so.
fn resolutions(context: &Context, repository: &Repository, top: &Path) -> Vec<Finding> {
    let Some(cache) = repository.line(context, &["rev-parse", "--git-path", "rr-cache"]) else {
        return Vec::new();
    };
    let cache = top.join(PathBuf::from(cache));
    let folders = std::fs::read_dir(cache).into_iter().flatten().flatten();
    let files = folders.flat_map(|folder| {
        std::fs::read_dir(folder.path())
            .into_iter()
            .flatten()
            .flatten()
    });
    let recorded = files.filter(|file| {
        let small = file
            .metadata()
            .is_ok_and(|found| found.is_file() && found.len() <= 16 << 20);
        small
            && std::fs::read(file.path()).is_ok_and(|bytes| {
                let text = String::from_utf8_lossy(&bytes);
                text.contains("sops:")
                    || text.contains("\"sops\"")
                    || text.contains("sops_version")
                    || text.contains("[sops]")
            })
    });
    recorded
        .map(|file| Finding {
            what: format!(
                "`{}` records how a sealed file was merged as text",
                file.path().display()
            ),
            remedy: "run `git rerere clear`, or remove its folder".to_owned(),
        })
        .collect()
}

/// What tools name the plaintext of a sealed file.
const LEFTOVERS: [&str; 5] = [
    ".decrypted",
    ".decrypted~",
    ".dec.",
    ".decrypted-conflict",
    ".rejected",
];

fn leftovers(context: &Context, repository: &Repository) -> Result<Vec<Finding>, Failure> {
    let listed = repository.files(context, &[])?;
    let text = String::from_utf8_lossy(&listed).into_owned();
    let found = text.split('\0').filter(|path| {
        let name = path.rsplit('/').next().unwrap_or_default();
        LEFTOVERS.iter().any(|mark| name.contains(mark))
    });
    Ok(found
        .map(|path| {
            let sealed = path.contains(".rejected");
            Finding {
                what: if sealed {
                    format!("`{path}` holds what was typed in an edit that failed, sealed")
                } else {
                    format!("`{path}` looks like the plaintext of a sealed file")
                },
                remedy: "remove it, if it is no longer needed".to_owned(),
            }
        })
        .collect())
}
