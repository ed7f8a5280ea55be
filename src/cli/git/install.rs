//! `git install`: the drivers in git's config, and the attributes that name them.
//!
//! A clone takes no programs from a repository, so every clone, or every user, is told once. The attributes are part of
//! the repository: a clone without the drivers diffs and merges sealed files as text. Doing it twice changes nothing.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use sops_rs::config::git_patterns;
use sops_rs::format::Format;

use crate::cli::context::Context;
use crate::cli::creation::{NAMES, load};
use crate::cli::exit::Exit;
use crate::cli::io::{self, Input, Privacy};
use crate::cli::report::{Failure, escaped};
use crate::cli::repository::Repository;
use crate::cli::sealed::Source;

/// Tell git how to diff and merge sealed files
///
/// Writes the drivers into the config of this clone, or with --global into yours, and lines for the files that the creation
/// rules are for, and for those that are sealed, into .gitattributes. Prints what it changed; done twice, it changes nothing.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs git install            # this clone
  sops-rs git install --global   # all of your clones; the attributes of this one")]
pub(crate) struct Install {
    /// Configure this clone; the default
    #[arg(long, conflicts_with = "global")]
    local: bool,
    /// Configure all of your clones
    #[arg(long)]
    global: bool,
}

/// Take the drivers out of git's config again
///
/// The attributes stay: they are the repository's, and mean nothing without the drivers.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  sops-rs git uninstall")]
pub(crate) struct Uninstall {
    /// Of this clone; the default
    #[arg(long, conflicts_with = "global")]
    local: bool,
    /// Of all of your clones
    #[arg(long)]
    global: bool,
}

/// The settings. `sopsdiffer` is the name that SOPS's own documentation gives the diff driver.
pub(crate) const SETTINGS: [(&str, &str); 7] = [
    ("diff.sops.textconv", "sops-rs git textconv"),
    // Else plaintext would be kept in refs/notes/textconv.
    ("diff.sops.cachetextconv", "false"),
    ("diff.sopsdiffer.textconv", "sops-rs git textconv"),
    ("diff.sopsdiffer.cachetextconv", "false"),
    ("merge.sops.name", "merge of sealed files by sops-rs"),
    (
        "merge.sops.driver",
        "sops-rs git merge-driver %O %A %B %L %P %S %X %Y",
    ),
    // In a criss-cross history the real common version is better than a merge of two.
    ("merge.sops.recursive", "binary"),
];

/// What is set for a path.
const ATTRIBUTES: &str = "diff=sops merge=sops";

/// Runs the command.
///
/// # Errors
/// [`Exit::Failed`] if git cannot be run or refuses; [`Exit::CannotWrite`] for the attributes.
pub(crate) fn run(
    context: &mut Context,
    arguments: &Install,
    _config: Option<&Path>,
) -> Result<Exit, Failure> {
    let repository = Repository::here(context);
    let scope = if arguments.global {
        "--global"
    } else {
        "--local"
    };
    if !arguments.global {
        repository.top(context)?;
    }
    let mut changed = 0;
    for (name, value) in SETTINGS {
        if repository
            .line(context, &["config", scope, "--get", name])
            .is_some_and(|old| old == value)
        {
            continue;
        }
        repository.ask(context, &["config", scope, name, value])?;
        context.print(format!("set {name} = {value}\n").as_bytes())?;
        changed += 1;
    }
    if let Ok(top) = repository.top(context) {
        changed += write_attributes(context, &repository, &top)?;
    }
    if changed == 0 {
        context.print(b"nothing to do: git knows how to diff and merge sealed files\n")?;
    }
    Ok(Exit::Success)
}

/// Runs `git uninstall`.
///
/// # Errors
/// [`Exit::Failed`] if git cannot be run.
pub(crate) fn undo(context: &mut Context, arguments: &Uninstall) -> Result<Exit, Failure> {
    let repository = Repository::here(context);
    let scope = if arguments.global {
        "--global"
    } else {
        "--local"
    };
    let mut changed = false;
    for section in ["diff.sops", "diff.sopsdiffer", "merge.sops"] {
        let pattern = format!("^{}\\.", section.replace('.', "\\."));
        if repository
            .line(context, &["config", scope, "--get-regexp", &pattern])
            .is_some()
        {
            repository.ask(context, &["config", scope, "--remove-section", section])?;
            context.print(format!("removed {section}\n").as_bytes())?;
            changed = true;
        }
    }
    if !changed {
        context.print(b"nothing to do: the drivers are not configured\n")?;
    }
    Ok(Exit::Success)
}

/// Adds lines for the files that creation rules are for, and for every sealed file that none covers; returns how many.
fn write_attributes(
    context: &mut Context,
    repository: &Repository,
    top: &Path,
) -> Result<usize, Failure> {
    let files = listed(context, repository)?;
    let of_rules = of_rules(context, top, &files)?;
    let added = add_lines(context, top, &of_rules)?;
    // Asked after the first lines are there: most files are covered by them.
    let of_files: Vec<String> = uncovered(context, repository, top)?
        .iter()
        .map(|path| of_file(path))
        .collect();
    Ok(added + add_lines(context, top, &of_files)?)
}

/// Adds a line for each pattern that the attributes do not have; returns how many.
fn add_lines(context: &mut Context, top: &Path, patterns: &[String]) -> Result<usize, Failure> {
    let file = top.join(".gitattributes");
    let mut text = match io::read(context, &Input::File(file.clone())) {
        Ok(bytes) => io::text(&bytes, ".gitattributes")?.to_owned(),
        Err(failure) if failure.exit == Exit::NoFile => String::new(),
        Err(failure) => return Err(failure),
    };
    let mut added = 0;
    for pattern in patterns.iter().map(|pattern| quoted(pattern)) {
        let is_there = |line: &str| {
            let rest = line.trim_start().strip_prefix(pattern.as_str());
            rest.is_some_and(|rest| rest.starts_with([' ', '\t']))
        };
        if text.lines().any(is_there) {
            continue;
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let line = format!("{pattern} {ATTRIBUTES}");
        text.push_str(&line);
        text.push('\n');
        context.print(format!("added to .gitattributes: {}\n", escaped(&line)).as_bytes())?;
        added += 1;
    }
    if added > 0 {
        io::replace(context, &file, text.as_bytes(), Privacy::Public)?;
    }
    Ok(added)
}

/// The patterns for the files that the creation rules of this repository are for, also for those that are not there yet.
/// A rule for any file has none: such files are covered when they are sealed.
fn of_rules(context: &mut Context, top: &Path, files: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let mut folders: Vec<&Path> = Vec::new();
    for file in files {
        let is_config = NAMES.iter().any(|(name, _)| file.ends_with(name));
        if let Some(folder) = file.parent().filter(|_| is_config) {
            folders.push(folder);
        }
    }
    folders.sort_unstable();
    folders.dedup();
    let mut found = Vec::new();
    for folder in folders {
        let config = NAMES
            .iter()
            .map(|(name, strictness)| (top.join(folder).join(name), *strictness))
            .find(|(path, _)| path.is_file());
        let Some((path, strictness)) = config else {
            continue;
        };
        let config = load(context, &path, strictness)?;
        let folder = folder.to_string_lossy();
        let patterns = config.path_rules();
        found.extend(
            patterns
                .filter_map(|rule| git_patterns(rule, &folder))
                .flatten(),
        );
    }
    Ok(found)
}

/// The files that git knows, or would add, from the top, in order.
pub(crate) fn listed(context: &Context, repository: &Repository) -> Result<Vec<PathBuf>, Failure> {
    use std::os::unix::ffi::OsStrExt as _;
    let listed = repository.files(context, &["--exclude-standard"])?;
    let mut found: Vec<PathBuf> = listed
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty())
        .map(|path| PathBuf::from(std::ffi::OsStr::from_bytes(path)))
        .collect();
    found.sort();
    found.dedup();
    Ok(found)
}

/// The sealed files that git knows, or would add, and that have no `diff` and `merge` driver yet.
pub(crate) fn uncovered(
    context: &mut Context,
    repository: &Repository,
    top: &Path,
) -> Result<Vec<PathBuf>, Failure> {
    let mut sealed = listed(context, repository)?;
    sealed.retain(|path| is_sealed(context, &top.join(path)));
    let mut found = Vec::new();
    for some in sealed.chunks(AT_ONCE) {
        let covered = covered(context, repository, top, some);
        found.extend(some.iter().filter(|path| !covered.contains(*path)).cloned());
    }
    Ok(found)
}

/// Paths that git is asked about in one go: a command line has bounds.
const AT_ONCE: usize = 200;

/// Larger files are not looked into: nobody seals them, and a repository may have many.
const LARGEST: u64 = 64 << 20;

fn is_sealed(context: &mut Context, path: &Path) -> bool {
    let small =
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= LARGEST);
    if !small {
        return false;
    }
    let Ok(bytes) = io::read(context, &Input::File(path.to_owned())) else {
        return false;
    };
    // Most files have no word of it, and are not scanned.
    if memchr::memmem::find(&bytes, b"sops").is_none()
        || memchr::memmem::find(&bytes, b"ENC[").is_none()
    {
        return false;
    }
    let format = Format::of_path(&path.to_string_lossy());
    Source::new(String::new(), format, bytes).is_sealed()
}

/// Those of these files that have both drivers, under either name.
fn covered(
    context: &Context,
    repository: &Repository,
    top: &Path,
    files: &[PathBuf],
) -> HashSet<PathBuf> {
    let names = ["check-attr", "-z", "diff", "merge", "--"].map(OsString::from);
    let paths = files.iter().map(|path| top.join(path).into_os_string());
    let arguments: Vec<OsString> = names.into_iter().chain(paths).collect();
    let Ok(answer) = repository.ask(context, &arguments) else {
        return HashSet::new();
    };
    // Path, attribute, value; those of one file behind each other.
    let fields: Vec<&[u8]> = answer.split(|byte| *byte == 0).collect();
    let has = |answers: &[&[u8]]| {
        let [_, _, diff, _, _, merge] = answers else {
            return false;
        };
        matches!(*diff, b"sops" | b"sopsdiffer") && *merge == b"sops"
    };
    let answers = fields.chunks_exact(6).map(has);
    let with_both = files.iter().zip(answers).filter(|(_, both)| *both);
    with_both.map(|(file, _)| file.clone()).collect()
}

/// The pattern for a sealed file: its folder and suffix, as others will be added there; its name alone at the top.
fn of_file(path: &Path) -> String {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    match (folder, path.extension()) {
        (Some(folder), Some(suffix)) => {
            let (folder, suffix) = (folder.to_string_lossy(), suffix.to_string_lossy());
            format!("/{}/*.{}", literal(&folder), literal(&suffix))
        }
        _ => format!("/{}", literal(&path.to_string_lossy())),
    }
}

/// Text that means itself in a pattern.
fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A pattern as it stands in the file: in quotes if a blank would end it.
fn quoted(pattern: &str) -> String {
    if pattern.contains([' ', '\t', '"']) || pattern.starts_with('#') {
        format!("\"{}\"", pattern.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        pattern.to_owned()
    }
}
