//! `git install`: the drivers in git's config, and the attributes that name them.
//!
//! A clone takes no programs from a repository, so every clone, or every user, is told once. The attributes are part of
//! the repository: a clone without the drivers diffs and merges sealed files as text. Doing it twice changes nothing.

use std::path::{Path, PathBuf};

use clap::Args;
use sops_rs::document::Document;
use sops_rs::format::Format;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::io::{self, Input, Privacy};
use crate::cli::report::{Failure, escaped};
use crate::cli::repository::Repository;

/// Tell git how to diff and merge sealed files
///
/// Writes the drivers into the config of this clone, or with --global into yours, and a line for each sealed file, or
/// folder of them, into .gitattributes. Prints what it changed; done twice, it changes nothing.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs git install            this clone
  sops-rs git install --global   all of your clones; the attributes of this one")]
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

/// Adds a line for every sealed file of the repository that no line covers yet; returns how many.
fn write_attributes(
    context: &mut Context,
    repository: &Repository,
    top: &Path,
) -> Result<usize, Failure> {
    let mut lines = Vec::new();
    for path in uncovered(context, repository, top)? {
        let line = format!("{} {ATTRIBUTES}", pattern(&path));
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    if lines.is_empty() {
        return Ok(0);
    }
    let file = top.join(".gitattributes");
    let mut text = match io::read(context, &Input::File(file.clone())) {
        Ok(bytes) => io::text(&bytes, ".gitattributes")?.to_owned(),
        Err(failure) if failure.exit == Exit::NoFile => String::new(),
        Err(failure) => return Err(failure),
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for line in &lines {
        text.push_str(line);
        text.push('\n');
        context.print(format!("added to .gitattributes: {}\n", escaped(line)).as_bytes())?;
    }
    io::replace(context, &file, text.as_bytes(), Privacy::Public)?;
    Ok(lines.len())
}

/// The sealed files that git knows, or would add, and that have no `diff` and `merge` driver yet.
pub(crate) fn uncovered(
    context: &mut Context,
    repository: &Repository,
    top: &Path,
) -> Result<Vec<PathBuf>, Failure> {
    use std::os::unix::ffi::OsStrExt as _;
    let listed = repository.files(context, &["--exclude-standard"])?;
    let mut found = Vec::new();
    for path in listed
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty())
    {
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(path));
        if is_sealed(context, &top.join(&path))
            && !is_covered(context, repository, &top.join(&path))
        {
            found.push(path);
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

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
    let document = io::text(&bytes, "")
        .ok()
        .and_then(|text| Document::parse(format, text).ok());
    document.is_some_and(|document| !document.metadata().is_empty())
}

/// Whether both drivers are set for a file, under either name.
fn is_covered(context: &Context, repository: &Repository, path: &Path) -> bool {
    let mut arguments: Vec<&std::ffi::OsStr> = ["check-attr", "diff", "merge", "--"]
        .map(std::ffi::OsStr::new)
        .to_vec();
    arguments.push(path.as_os_str());
    let Ok(answer) = repository.ask(context, &arguments) else {
        return false;
    };
    let answer = String::from_utf8_lossy(&answer);
    let has = |wanted: &[&str]| {
        answer
            .lines()
            .any(|line| wanted.iter().any(|wanted| line.ends_with(wanted)))
    };
    has(&[": diff: sops", ": diff: sopsdiffer"]) && has(&[": merge: sops"])
}

/// The pattern for a sealed file: its folder and suffix, as others will be added there; its name alone at the top.
fn pattern(path: &Path) -> String {
    let text = path.to_string_lossy();
    let suffix = path
        .extension()
        .map(|suffix| format!("*.{}", suffix.to_string_lossy()));
    let pattern = match (
        path.parent().filter(|folder| *folder != Path::new("")),
        suffix,
    ) {
        (Some(folder), Some(suffix)) => format!("/{}/{suffix}", folder.to_string_lossy()),
        _ => format!("/{text}"),
    };
    if pattern.contains([' ', '\t', '"', '\\']) || pattern.starts_with('#') {
        format!("\"{}\"", pattern.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        pattern
    }
}
