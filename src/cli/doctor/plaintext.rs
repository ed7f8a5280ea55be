//! Plaintext that should not be there: files that a rule wants sealed, and what tools leave behind.
//!
//! Looks at git's notes and recorded resolutions, at the names of files, and whether files are sealed that a rule with a
//! `path_regex` is for. A rule without one is for every file that somebody seals, which no repository means to do with all.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use memchr::memmem;
use sops_rs::format::Format;
use sops_rs::selection::Pattern;
use zeroize::Zeroizing;

use super::config::Home;
use super::{Finding, Here, SHOWN};
use crate::cli::context::Context;
use crate::cli::creation::{find, normal, relative};
use crate::cli::encrypt::is_control;
use crate::cli::git::listed;
use crate::cli::io::{self, Input};
use crate::cli::report::{Failure, typed};
use crate::cli::repository::Repository;
use crate::cli::sealed::Source;

const CHECK: &str = "plaintext";
/// Larger files are not looked into: nobody seals them.
const LARGEST: u64 = 16 << 20;

/// Looks through the clone around the working directory.
pub(super) fn check(context: &mut Context, home: Option<&Home>) -> Result<Vec<Finding>, Failure> {
    let repository = Repository::here(context);
    let Ok(top) = repository.top(context) else {
        return Ok(Vec::new());
    };
    let here = Here::of(context, &repository);
    let mut findings = notes(context, &repository);
    findings.extend(resolutions(context, &repository));
    findings.extend(leftovers(context, &repository, &top, &here)?);
    if let Some(home) = home {
        findings.extend(unsealed(context, &repository, &top, &here, home)?);
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, "none was found where it should not be"));
    }
    Ok(findings)
}

/// Files that git knows, or would add, that a rule is for, and that are not sealed.
fn unsealed(
    context: &mut Context,
    repository: &Repository,
    top: &Path,
    here: &Here,
    home: &Home,
) -> Result<Vec<Finding>, Failure> {
    let rules: Vec<(Pattern, bool)> = home
        .config
        .path_rules()
        .map(|regex| (Pattern::lenient(regex).0, regex.is_empty()))
        .collect();
    let mut found = Vec::new();
    for path in listed(context, repository)? {
        let file = normal(&top.join(&path));
        let tested = relative(&file, home.path.parent());
        let mut first = rules.iter().zip(1..);
        let first =
            first.find(|((pattern, is_for_all), _)| *is_for_all || pattern.is_match(&tested));
        let Some((_, number)) = first.filter(|((_, is_for_all), _)| !is_for_all) else {
            continue;
        };
        let governs = || find(context, None, &file).is_some_and(|(config, _)| config == home.path);
        if !is_control(&path) && governs() && is_plain(context, &file) {
            found.push((path, number));
        }
    }
    let mut findings: Vec<Finding> = found
        .iter()
        .take(SHOWN)
        .map(|(path, number)| {
            let path = here.path(path);
            Finding::wrong(
                CHECK,
                format!(
                    "`{}` is not sealed, though rule {number} is for it",
                    path.display()
                ),
                format!(
                    "run `sops-rs encrypt -i {}`; if it was committed, change what is in it, too",
                    typed(&path)
                ),
            )
        })
        .collect();
    if found.len() > SHOWN {
        let what = format!(
            "{} more files are not sealed, though a rule is for them",
            found.len() - SHOWN
        );
        let all = here.path(Path::new(""));
        let remedy = format!("run `sops-rs encrypt -i -r {}`", all.display());
        findings.push(Finding::wrong(CHECK, what, remedy));
    }
    Ok(findings)
}

/// What is in a file, if it is one of those that are looked into: not empty, not too large, and no link.
fn content(context: &mut Context, file: &Path) -> Option<Zeroizing<Vec<u8>>> {
    let is_looked_into = file
        .symlink_metadata()
        .is_ok_and(|found| found.is_file() && (1..=LARGEST).contains(&found.len()));
    let input = Input::File(file.to_owned());
    is_looked_into.then(|| io::read(context, &input).ok())?
}

/// Whether there is something in this file that is not sealed. A link is judged where it leads to.
fn is_plain(context: &mut Context, file: &Path) -> bool {
    source(context, file).is_some_and(|source| !source.is_sealed())
}

fn source(context: &mut Context, file: &Path) -> Option<Source> {
    let bytes = content(context, file)?;
    let name = file.display().to_string();
    let format = Format::of_path(&name);
    Some(Source::new(name, format, bytes))
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
    let finding = |name: &str| {
        let remedy = format!(
            "run `git update-ref -d {name}` and `git gc --prune=now`, here and wherever it was pushed to"
        );
        Finding::wrong(
            CHECK,
            format!("`{name}` holds what diffs have shown, in clear"),
            remedy,
        )
    };
    listed.lines().map(finding).collect()
}

/// Resolutions that rerere has recorded of files with sealed values in them: of no use, and in clear if a driver wrote them so.
fn resolutions(context: &mut Context, repository: &Repository) -> Vec<Finding> {
    let cache = repository.line(context, &["rev-parse", "--git-path", "rr-cache"]);
    let Some(cache) = cache else {
        return Vec::new();
    };
    // Git says it as it is from here.
    let cache = PathBuf::from(cache);
    let mut findings = Vec::new();
    for record in entries(&context.resolve(&cache)) {
        let record = cache.join(record);
        let folder = context.resolve(&record);
        let is_of_sealed = entries(&folder).iter().any(|file| {
            content(context, &folder.join(file)).is_some_and(|bytes| has_metadata(&bytes))
        });
        if is_of_sealed {
            let what = format!(
                "`{}` records how a sealed file was merged as text",
                record.display()
            );
            let remedy = format!("run `rm -r {}`", typed(&record));
            findings.push(Finding::wrong(CHECK, what, remedy));
        }
    }
    findings
}

/// The names of what is in a folder, in order.
fn entries(folder: &Path) -> Vec<OsString> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<OsString> = entries.map(|entry| entry.file_name()).collect();
    names.sort();
    names
}

/// Whether something in a text looks like the metadata of a sealed file, in any format.
fn has_metadata(bytes: &[u8]) -> bool {
    let marks = ["sops:", "\"sops\"", "sops_version", "[sops]"];
    marks
        .iter()
        .any(|mark| memmem::find(bytes, mark.as_bytes()).is_some())
}

/// What is in the names that tools give to the plaintext of a sealed file.
const PLAIN: [&str; 2] = [".decrypted", ".dec."];

/// Files that are left over, those that git ignores, too: plaintext by its name, and what failed edits have kept.
fn leftovers(
    context: &mut Context,
    repository: &Repository,
    top: &Path,
    here: &Here,
) -> Result<Vec<Finding>, Failure> {
    let listed = repository.files(context, &[])?;
    let paths: BTreeSet<&Path> = listed
        .split(|byte| *byte == 0)
        .map(|path| Path::new(OsStr::from_bytes(path)))
        .collect();
    let mut findings = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file = top.join(path);
        let is_named_plain = PLAIN.iter().any(|mark| name.contains(mark));
        let what = if is_named_plain && is_plain(context, &file) {
            "looks like the plaintext of a sealed file"
        } else if is_rejected(&name) && source(context, &file).is_some_and(|file| file.is_sealed())
        {
            "holds what was typed in an edit that failed, sealed"
        } else {
            continue;
        };
        let what = format!("`{}` {what}", here.path(path).display());
        findings.push(Finding::wrong(
            CHECK,
            what,
            "remove it, if it is no longer needed",
        ));
    }
    Ok(findings)
}

/// Whether `edit` gives such a name to what was typed: `db.yaml.rejected`, then `db.yaml.rejected-2`.
fn is_rejected(name: &str) -> bool {
    let number = name.rsplit_once(".rejected").map(|(_, number)| number);
    number.is_some_and(|number| {
        number
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_digit())
    })
}
