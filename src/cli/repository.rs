//! The git repository around a file, through the `git` program: what must behave exactly like the user's git.
//!
//! Knows blobs, stages and settings. Knows nothing of what is in them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use zeroize::Zeroizing;

use super::context::Context;
use super::exit::Exit;
use super::report::Failure;

/// Git, run in one folder.
#[derive(Debug)]
pub(crate) struct Repository {
    folder: PathBuf,
}

/// The blobs of an unmerged path, as `git ls-files -u` lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stages {
    /// Stage 1: what both versions come from.
    pub(crate) base: Option<String>,
    /// Stage 2: the version that is merged into.
    pub(crate) ours: Option<String>,
    /// Stage 3: the version that is merged.
    pub(crate) theirs: Option<String>,
}

impl Repository {
    /// The repository that a file is, or would be, in.
    pub(crate) fn around(context: &Context, file: &Path) -> Self {
        let path = context.resolve(file);
        let folder = path
            .parent()
            .map_or_else(|| context.working_dir().to_owned(), Path::to_owned);
        Self { folder }
    }

    /// The repository of the working directory.
    pub(crate) fn here(context: &Context) -> Self {
        Self {
            folder: context.working_dir().to_owned(),
        }
    }

    /// Lists files that git knows and files that it does not, with NUL behind each path from the top; `--exclude-standard`
    /// in `arguments` leaves out those that are ignored.
    ///
    /// # Errors
    /// Git does not run, or this is no repository.
    pub(crate) fn files(
        &self,
        context: &Context,
        arguments: &[&str],
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let list = ["ls-files", "-z", "--cached", "--others", "--full-name"];
        self.ask(context, &[&list, arguments, &[":/"]].concat())
    }

    /// Runs git to its end.
    fn run<S: AsRef<OsStr>>(&self, context: &Context, arguments: &[S]) -> Result<Output, Failure> {
        let mut git = Command::new("git");
        git.env_clear()
            .envs(context.environment())
            .current_dir(&self.folder)
            .args(arguments)
            .stdin(Stdio::null());
        git.output().map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot run git: {error}"))
                .hint("install git, and see that it is on the PATH")
        })
    }

    /// What git prints.
    ///
    /// # Errors
    /// [`Exit::Failed`] with git's own words if it fails.
    pub(crate) fn ask<S: AsRef<OsStr>>(
        &self,
        context: &Context,
        arguments: &[S],
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let output = self.run(context, arguments)?;
        if output.status.success() {
            return Ok(Zeroizing::new(output.stdout));
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let first = arguments
            .first()
            .map(|word| word.as_ref().to_string_lossy().into_owned());
        let message = format!("git {} failed", first.unwrap_or_default());
        Err(words
            .lines()
            .fold(Failure::new(Exit::Failed, message), |failure, line| {
                failure.detail(line)
            }))
    }

    /// One line that git prints, without its end; `None` if it fails or prints nothing.
    pub(crate) fn line<S: AsRef<OsStr>>(
        &self,
        context: &Context,
        arguments: &[S],
    ) -> Option<OsString> {
        let output = self
            .run(context, arguments)
            .ok()
            .filter(|output| output.status.success())?;
        let mut line = output.stdout;
        while line.ends_with(b"\n") || line.ends_with(b"\r") {
            line.pop();
        }
        (!line.is_empty()).then(|| OsString::from_vec(line))
    }

    /// The top of the work tree.
    ///
    /// # Errors
    /// [`Exit::Failed`] outside of one.
    pub(crate) fn top(&self, context: &Context) -> Result<PathBuf, Failure> {
        let top = self.line(context, &["rev-parse", "--show-toplevel"]);
        top.map(PathBuf::from).ok_or_else(|| {
            Failure::new(
                Exit::Failed,
                format!("`{}` is in no git work tree", self.folder.display()),
            )
            .hint("run this in a clone, or start one with `git init`")
        })
    }

    /// The unmerged paths with their stages, relative to the top of the work tree. `path` limits them to one file.
    ///
    /// # Errors
    /// [`Exit::Failed`] with git's own words.
    pub(crate) fn unmerged(
        &self,
        context: &Context,
        path: Option<&Path>,
    ) -> Result<Vec<(PathBuf, Stages)>, Failure> {
        let mut arguments: Vec<&OsStr> = ["ls-files", "-u", "-z", "--full-name"]
            .map(OsStr::new)
            .to_vec();
        let path = path.map(|path| context.resolve(path));
        if let Some(path) = &path {
            arguments.extend([OsStr::new("--"), path.as_os_str()]);
        }
        let listed = self.ask(context, &arguments)?;
        let mut found: Vec<(PathBuf, Stages)> = Vec::new();
        for entry in listed
            .split(|byte| *byte == 0)
            .filter(|entry| !entry.is_empty())
        {
            let Some((head, path)) = split_once(entry, b'\t') else {
                continue;
            };
            let head = String::from_utf8_lossy(head);
            let mut words = head.split(' ').skip(1);
            let (Some(blob), Some(stage)) = (words.next(), words.next()) else {
                continue;
            };
            let path = PathBuf::from(OsStr::from_bytes(path));
            if found.last().is_none_or(|(last, _)| *last != path) {
                found.push((path, Stages::default()));
            }
            let Some((_, stages)) = found.last_mut() else {
                continue;
            };
            let place = match stage {
                "1" => &mut stages.base,
                "2" => &mut stages.ours,
                _ => &mut stages.theirs,
            };
            *place = Some(blob.to_owned());
        }
        Ok(found)
    }

    /// The bytes of a blob, or of anything else that names one, such as `HEAD:path`.
    ///
    /// # Errors
    /// [`Exit::Failed`] with git's own words.
    pub(crate) fn blob(
        &self,
        context: &Context,
        name: &str,
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        self.ask(context, &["cat-file", "blob", name])
    }
}

fn split_once(bytes: &[u8], mark: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == mark)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}
