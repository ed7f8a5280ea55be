//! `merge` and `mergetool`: what is left of a merge, resolved by a person.
//!
//! Works from the three versions that git keeps of an unmerged file, so it needs no driver and no state of its own; and from
//! a file that a merge of text has left with markers. Plaintext is in the editor's private folder, nowhere else.

use std::path::{Path, PathBuf};

use clap::Args;
use sops_rs::format::Format;
use sops_rs::ops::merge::{Markers, Side};
use zeroize::Zeroizing;

use super::args::IdentityArgs;
use super::context::Context;
use super::edit::Session;
use super::exit::Exit;
use super::io::{self, Input, Privacy};
use super::report::{Failure, typed};
use super::repository::{Repository, Stages};
use super::sealed::Source;
use super::versions::{Ready, Versions};

/// Resolve the conflicts of a sealed file
///
/// Opens the merged plaintext in your editor, with conflicts between markers as git writes them, and seals the result when
/// the editor ends. `--take` decides conflicts without an editor, all of them or those of some paths.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs merge secrets/prod.yaml
  sops-rs merge secrets/prod.yaml --take theirs database.password --add
  sops-rs merge secrets/prod.yaml --take ours
  sops-rs merge secrets/prod.yaml --abort")]
pub(crate) struct Merge {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    resolving: Resolving,
    /// Put the version of our side back; git still waits for a resolution
    #[arg(long, conflicts_with_all = ["take", "add"])]
    abort: bool,
    /// Decide conflicts for `ours` or `theirs`: those of the paths that follow, or all of them
    #[arg(long, num_args = 1.., value_names = ["SIDE", "PATH"])]
    take: Vec<String>,
}

/// Resolve all conflicts in sealed files, one file after the other
///
/// Needs no driver: the versions are those that git keeps of every unmerged file.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  git merge feature || sops-rs mergetool")]
pub(crate) struct Mergetool {
    /// The files; the default is every sealed file that is unmerged
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    resolving: Resolving,
}

/// How conflicts are resolved.
#[derive(Args, Debug)]
struct Resolving {
    /// Tell git that the file is resolved, with `git add`
    #[arg(long)]
    add: bool,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// Runs `merge`.
///
/// # Errors
/// The [`Failure`] to report.
pub(crate) fn run(
    context: &mut Context,
    arguments: &Merge,
    config: Option<&Path>,
) -> Result<Exit, Failure> {
    let takes = takes(&arguments.take)?;
    let repository = Repository::around(context, &arguments.file);
    if arguments.abort {
        return abort(context, &repository, &arguments.file);
    }
    resolve(
        context,
        config,
        &repository,
        &arguments.file,
        &arguments.resolving,
        &takes,
    )
}

/// Runs `mergetool`.
///
/// # Errors
/// The [`Failure`] to report, of the first file that is not resolved.
pub(crate) fn run_all(
    context: &mut Context,
    arguments: &Mergetool,
    config: Option<&Path>,
) -> Result<Exit, Failure> {
    let repository = Repository::here(context);
    let files = if arguments.files.is_empty() {
        let top = repository.top(context)?;
        let mut files = Vec::new();
        for (path, stages) in repository.unmerged(context, None)? {
            if is_sealed(context, &repository, &path, &stages) {
                files.push(top.join(path));
            }
        }
        files
    } else {
        arguments.files.clone()
    };
    if files.is_empty() {
        context.note("no sealed file is unmerged");
    }
    for file in files {
        let repository = Repository::around(context, &file);
        resolve(
            context,
            config,
            &repository,
            &file,
            &arguments.resolving,
            &[],
        )?;
    }
    Ok(Exit::Success)
}

fn is_sealed(context: &Context, repository: &Repository, path: &Path, stages: &Stages) -> bool {
    let name = path.display().to_string();
    let blob = |id: &Option<String>| id.as_ref().and_then(|id| repository.blob(context, id).ok());
    let mut versions = [blob(&stages.ours), blob(&stages.theirs)]
        .into_iter()
        .flatten();
    versions.any(|bytes| source(&name, bytes).is_sealed())
}

fn source(name: &str, bytes: Zeroizing<Vec<u8>>) -> Source {
    Source::new(name.to_owned(), Format::of_path(name), bytes)
}

/// What `--take` means: sides, with the paths they are taken for.
fn takes(words: &[String]) -> Result<Vec<(Side, Option<&str>)>, Failure> {
    let mut found: Vec<(Side, Option<&str>)> = Vec::new();
    let mut side = None;
    for word in words {
        match word.as_str() {
            "ours" | "theirs" => {
                let next = if word == "ours" {
                    Side::Ours
                } else {
                    Side::Theirs
                };
                found.push((next, None));
                side = Some(next);
            }
            path => {
                let Some(side) = side else {
                    return Err(Failure::new(
                        Exit::Failed,
                        format!("`{path}` is neither `ours` nor `theirs`"),
                    )
                    .hint("write `--take ours` or `--take theirs`, and then paths"));
                };
                // With a path it is that alone.
                found.retain(|(of, path)| *of != side || path.is_some());
                found.push((side, Some(path)));
            }
        }
    }
    Ok(found)
}

/// The three versions of an unmerged file: git's, or those between the markers in it.
fn versions(
    context: &mut Context,
    repository: &Repository,
    file: &Path,
) -> Result<Versions, Failure> {
    let name = file.display().to_string();
    let unmerged = repository.unmerged(context, Some(file)).unwrap_or_default();
    if let Some((_, stages)) = unmerged.into_iter().next() {
        let (Some(ours), Some(theirs)) = (&stages.ours, &stages.theirs) else {
            return Err(Failure::new(
                Exit::Failed,
                format!("`{name}` was removed on one side, and changed on the other"),
            )
            .hint("keep it with `git add`, or remove it with `git rm`"));
        };
        let read = |id: &str| Ok::<_, Failure>(source(&name, repository.blob(context, id)?));
        return Ok(Versions {
            base: stages.base.as_deref().map(read).transpose()?,
            ours: read(ours)?,
            theirs: read(theirs)?,
        });
    }
    let bytes = io::read(context, &Input::File(file.to_owned()))?;
    let text = io::text(&bytes, &name)?;
    let Some((base, ours, theirs)) = split(text) else {
        return Err(
            Failure::new(Exit::Failed, format!("`{name}` has no conflicts"))
                .detail("git has merged it, and there are no conflict markers in it"),
        );
    };
    let side = |text: String| source(&name, Zeroizing::new(text.into_bytes()));
    Ok(Versions {
        base: base.map(side),
        ours: side(ours),
        theirs: side(theirs),
    })
}

fn resolve(
    context: &mut Context,
    config: Option<&Path>,
    repository: &Repository,
    file: &Path,
    resolving: &Resolving,
    takes: &[(Side, Option<&str>)],
) -> Result<Exit, Failure> {
    let versions = versions(context, repository, file)?;
    versions.merge(context, &resolving.identity, |context, mut ready| {
        for (side, path) in takes {
            if ready.merge.take(*side, *path) == 0 {
                let name = path.unwrap_or("the file");
                return Err(Failure::new(
                    Exit::Failed,
                    format!("there is no conflict in `{name}`"),
                )
                .hint(hint(&ready)));
            }
        }
        ready.wrap(context, &resolving.identity.services, config)?;
        if ready.merge.is_clean() {
            let text = ready.seal(context)?;
            io::replace(context, file, text.as_bytes(), Privacy::Public)?;
        } else if takes.is_empty() && ready.merge.metadata.conflicts.is_empty() {
            edit(context, file, &ready)?;
        } else {
            return Err(Failure::new(
                Exit::Failed,
                format!("`{}` still has conflicts", file.display()),
            )
            .hint(hint(&ready)));
        }
        if resolving.add {
            repository.ask(
                context,
                &[
                    std::ffi::OsStr::new("add"),
                    "--".as_ref(),
                    context.resolve(file).as_os_str(),
                ],
            )?;
        } else {
            context.note(&format!(
                "`{}` is merged; tell git with `git add {}`",
                file.display(),
                typed(file)
            ));
        }
        Ok(Exit::Success)
    })
}

fn hint(ready: &Ready<'_>) -> String {
    let paths: Vec<&str> = ready
        .merge
        .conflicts()
        .map(|conflict| conflict.path.as_str())
        .filter(|path| !path.is_empty())
        .collect();
    if paths.is_empty() {
        "resolve them in the editor: leave out --take".to_owned()
    } else {
        format!("conflicts are left in: {}", paths.join(", "))
    }
}

/// Has a person resolve the conflicts.
fn edit(context: &mut Context, file: &Path, ready: &Ready<'_>) -> Result<(), Failure> {
    let markers = Markers {
        size: 7,
        ours: "ours".to_owned(),
        base: "base".to_owned(),
        theirs: "theirs".to_owned(),
    };
    let before = io::read(context, &Input::File(file.to_owned())).ok();
    let session = Session {
        file,
        before: before.as_ref().map(|bytes| bytes.as_slice()),
        shown: Zeroizing::new(
            std::mem::take(&mut *ready.merge.plaintext.marked(&markers)).into_bytes(),
        ),
        key: ready.merge.key,
        metadata: &ready.merge.metadata.metadata,
    };
    let outcome = session.run(context, |context, bytes| {
        let name = file.display().to_string();
        let text = io::text(&bytes, &name)?;
        if let Some(line) = text.lines().position(is_marker) {
            return Err(Failure::new(
                Exit::Failed,
                format!("there is a conflict marker in line {} still", line + 1),
            )
            .hint("choose one version, or write your own, and remove the marker lines"));
        }
        let source = source(&name, Zeroizing::new(bytes.to_vec()));
        if source.format != Format::Binary {
            source.document(Exit::CannotRead)?;
        }
        ready.seal_text(context, text).map(Some)
    });
    match outcome {
        Err(failure) if failure.exit == Exit::Unchanged => Err(Failure::new(
            Exit::Unchanged,
            format!("`{}` still has its conflicts", file.display()),
        )),
        outcome => outcome.map(drop),
    }
}

/// Puts our version back into the work tree.
fn abort(context: &mut Context, repository: &Repository, file: &Path) -> Result<Exit, Failure> {
    let unmerged = repository.unmerged(context, Some(file))?;
    let ours = unmerged.first().and_then(|(_, stages)| stages.ours.clone());
    let Some(ours) = ours else {
        return Err(Failure::new(
            Exit::Failed,
            format!("`{}` is not unmerged", file.display()),
        ));
    };
    let bytes = repository.blob(context, &ours)?;
    io::replace(context, file, &bytes, Privacy::Public)?;
    context.note(&format!(
        "`{}` is as it was on our side; `git checkout --merge {}` merges it again",
        file.display(),
        typed(file)
    ));
    Ok(Exit::Success)
}

/// Whether a line is one of git's conflict markers, of any length that is in use.
fn is_marker(line: &str) -> bool {
    ['<', '|', '=', '>'].into_iter().any(|mark| {
        let behind = line.trim_start_matches(mark);
        line.len() - behind.len() >= 7 && (behind.is_empty() || behind.starts_with([' ', '\r']))
    })
}

/// The versions between the markers of a text: base, if it is there, ours and theirs. `None` if there are no markers, or
/// they are not in order.
fn split(text: &str) -> Option<(Option<String>, String, String)> {
    let mut sides = [String::new(), String::new(), String::new()];
    let (mut open, mut found, mut has_base): (Option<usize>, bool, bool) = (None, false, false);
    for line in text.split_inclusive('\n') {
        let mark = line
            .chars()
            .next()
            .filter(|_| is_marker(line.trim_end_matches(['\n', '\r'])));
        open = match (mark, open) {
            (Some('<'), None) => {
                found = true;
                Some(1)
            }
            (Some('|'), Some(1)) => {
                has_base = true;
                Some(0)
            }
            (Some('='), Some(0 | 1)) => Some(2),
            (Some('>'), Some(2)) => None,
            (Some(_), _) => return None,
            (None, open) => {
                for (number, side) in sides.iter_mut().enumerate() {
                    if open.is_none_or(|open| open == number) {
                        side.push_str(line);
                    }
                }
                open
            }
        };
    }
    let [base, ours, theirs] = sides;
    (found && open.is_none()).then(|| (has_base.then_some(base), ours, theirs))
}

#[cfg(test)]
mod tests {
    use super::{is_marker, split};

    #[test]
    fn markers_of_every_length_are_known() {
        for (line, marker) in [
            ("<<<<<<< HEAD", true),
            ("<<<<<<<<<<< HEAD (1 conflict)", true),
            ("=======", true),
            ("======", false),
            ("=======x", false),
            (" =======", false),
        ] {
            assert_eq!(is_marker(line), marker, "{line}");
        }
    }

    #[test]
    fn versions_are_cut_out_of_a_text_with_markers() {
        let text = "a\n<<<<<<< x\nb\n||||||| y\nc\n=======\nd\n>>>>>>> z\ne\n";
        let (base, ours, theirs) = split(text).unwrap();
        assert_eq!(base.as_deref(), Some("a\nc\ne\n"));
        assert_eq!(ours, "a\nb\ne\n");
        assert_eq!(theirs, "a\nd\ne\n");
        let without_base = split("a\n<<<<<<<\nb\n=======\nc\n>>>>>>>\n");
        assert_eq!(without_base.unwrap().0, None);
        assert!(split("a\n").is_none());
        assert!(split("<<<<<<<\na\n>>>>>>>\n").is_none());
    }
}
