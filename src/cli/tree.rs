//! From the paths that a user named to files: directories are walked if that is asked for, by the rules of git.
//!
//! Knows what git ignores and where links lead. What a file holds is judged by whoever asks.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use clap::Args;
use ignore::WalkBuilder;
use sops_rs::format::Format;
use sops_rs::metadata::Metadata;
use sops_rs::recipient::WrappedKey;
use zeroize::Zeroizing;

use super::args::{InputArgs, OutputArgs};
use super::context::Context;
use super::creation::normal;
use super::exit::Exit;
use super::io::{self, Input};
use super::report::Failure;
use super::repository::Repository;
use super::sealed::Source;

/// Directories, for commands that take many files.
#[derive(Args, Debug)]
#[command(next_help_heading = "Input")]
pub(crate) struct TreeArgs {
    /// Go through directories; what git ignores is left out, and links are not followed
    #[arg(short, long)]
    pub(crate) recursive: bool,
}

/// Several paths for a command that takes one as well.
pub(crate) struct Many {
    pub(crate) paths: Vec<PathBuf>,
    input_type: Option<Format>,
}

impl Many {
    /// The paths that were named first and behind it. `has_place` says that each file has one to be written to.
    ///
    /// # Errors
    /// [`Exit::Conflict`] for options that mean one file, [`Exit::NoFile`] if none was named.
    pub(crate) fn new(
        context: &Context,
        input: &InputArgs,
        more: &[PathBuf],
        output: &OutputArgs,
        has_place: bool,
    ) -> Result<Self, Failure> {
        let conflict = |message, hint: &str| Err(Failure::new(Exit::Conflict, message).hint(hint));
        let paths: Vec<PathBuf> = input.file.iter().chain(more).cloned().collect();
        if paths.is_empty() {
            return Err(
                Failure::new(Exit::NoFile, "no file was named").hint("name files or directories")
            );
        }
        for path in &paths {
            io::refuse_stream(context, path)?;
        }
        if output.output.is_some() || input.filename_override.is_some() {
            let message = "one name cannot stand for many files";
            return conflict(message, "leave out `--output` and `--filename-override`");
        }
        if !has_place {
            let message = "many files have no place to go to";
            return conflict(message, "add `--in-place` to replace each of them");
        }
        Ok(Self {
            paths,
            input_type: input.input_type,
        })
    }

    /// What was said of all files, for one of them.
    pub(crate) fn input(&self, path: &Path) -> InputArgs {
        InputArgs {
            file: Some(path.to_owned()),
            input_type: self.input_type,
            filename_override: None,
        }
    }
}

/// The path of a file from the working directory; from the root, without its slash, if it lies elsewhere.
pub(crate) fn from_here(context: &Context, path: &Path) -> PathBuf {
    let path = normal(&context.resolve(path));
    let here = path.strip_prefix(context.working_dir());
    let from_root = || {
        path.components()
            .filter(|part| matches!(part, Component::Normal(_)))
    };
    here.map_or_else(|_| from_root().collect(), Path::to_owned)
}

/// The files that `paths` stand for: those that were named as they are, and in directories those that `wanted` takes, in
/// the order of their names. No file comes twice.
///
/// # Errors
/// [`Exit::NoFile`] for a directory without `recursive`, and if a directory cannot be walked.
pub(crate) fn files(
    context: &mut Context,
    paths: &[PathBuf],
    recursive: bool,
    wanted: impl Fn(&mut Context, &Path) -> bool,
) -> Result<Vec<PathBuf>, Failure> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for path in paths {
        if !context.resolve(path).is_dir() {
            found.push(path.clone());
            continue;
        }
        if !recursive {
            let message = format!("`{}` is a directory, not a file", path.display());
            return Err(Failure::new(Exit::NoFile, message)
                .hint("add `--recursive` to go through the files in it"));
        }
        for file in below(context, path)? {
            if wanted(context, &file) {
                found.push(file);
            }
        }
    }
    found.retain(|path| seen.insert(path.clone()));
    Ok(found)
}

/// All files below a directory that git does not ignore, in order, as paths that begin as `directory` does.
fn below(context: &Context, directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let root = context.resolve(directory);
    let in_clone = root.ancestors().any(|folder| folder.join(".git").exists());
    let mut walk = WalkBuilder::new(&root);
    // `.env` is a file like any other, rules for other programs mean nothing here, and nor do those above the clone: some
    // people ignore all of their home.
    walk.hidden(false)
        .ignore(false)
        .require_git(in_clone)
        .parents(in_clone)
        .follow_links(false);
    walk.filter_entry(|entry| entry.file_name() != ".git");
    walk.sort_by_file_path(Ord::cmp);
    let mut found = Vec::new();
    for entry in walk.build() {
        let entry = entry.map_err(|error| {
            let message = format!("cannot go through `{}`: {error}", directory.display());
            Failure::new(Exit::CannotRead, message)
        })?;
        let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
        if is_file && !is_left_over(entry.file_name()) {
            let inner = entry.path().strip_prefix(&root).unwrap_or(entry.path());
            found.push(inner.to_owned());
        }
    }
    if in_clone {
        found.extend(tracked_but_ignored(context, &root));
    }
    found.sort_unstable();
    found.dedup();
    let here = directory.components().all(|part| part == Component::CurDir);
    if !here {
        found = found.iter().map(|inner| directory.join(inner)).collect();
    }
    Ok(found)
}

/// The files below `root` that git knows though its rules ignore them: such rules mean nothing to git then. None if git
/// does not answer.
fn tracked_but_ignored(context: &Context, root: &Path) -> Vec<PathBuf> {
    let arguments = [
        "ls-files",
        "-z",
        "--cached",
        "--ignored",
        "--exclude-standard",
    ];
    let repository = Repository::around(context, &root.join("any"));
    let Ok(listed) = repository.ask(context, &arguments) else {
        return Vec::new();
    };
    let paths = listed
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty());
    let paths = paths.map(|path| PathBuf::from(OsStr::from_bytes(path)));
    let is_file = |path: &PathBuf| {
        let found = root.join(path).symlink_metadata();
        found.is_ok_and(|found| found.is_file())
    };
    paths.filter(is_file).collect()
}

/// Whether a file is what a run that was killed has left of its work: it stands beside the file that it was made for.
fn is_left_over(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let end = name.rsplit_once(".sops-rs-").map(|(_, end)| end);
    let random = |end: &str| end.len() == 6 && end.bytes().all(|byte| byte.is_ascii_alphanumeric());
    name.starts_with('.') && end.is_some_and(random)
}

/// The keys of a file that a plugin of age may have to unwrap. Most files have none, and are not scanned.
pub(crate) fn plugin_keys(context: &mut Context, path: &Path) -> Vec<WrappedKey> {
    let Ok(bytes) = io::read(context, &Input::File(path.to_owned())) else {
        return Vec::new();
    };
    if !names_plugin(&bytes) {
        return Vec::new();
    }
    let format = Format::of_path(&path.to_string_lossy());
    let source = Source::new(String::new(), format, bytes);
    let Ok(document) = source.document(Exit::Failed) else {
        return Vec::new();
    };
    let metadata = Metadata::of(&document).ok().flatten();
    let groups = metadata.map(|metadata| metadata.groups);
    groups.into_iter().flatten().flatten().collect()
}

/// Whether `age1NAME1…` stands somewhere: a word with two `1`, where other recipients have one.
fn names_plugin(bytes: &[u8]) -> bool {
    let begins = memchr::memmem::find_iter(bytes, b"age1");
    let mut words = begins.filter_map(|at| bytes.get(at + 4..));
    words.any(|rest| {
        let mut word = rest
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || b"-_.+".contains(byte));
        word.any(|byte| *byte == b'1') && !rest.starts_with(b"pq1")
    })
}

/// Whether a file is sealed, or was and is damaged: that one must not be passed over without a word. Nor is one that is
/// sealed in a format that its name does not say, but it cannot be worked on along with others.
pub(crate) fn is_sealed(context: &mut Context, path: &Path) -> bool {
    let Ok(bytes) = io::read(context, &Input::File(path.to_owned())) else {
        // Whoever works on it will say why.
        return true;
    };
    let has = |mark: &[u8]| memchr::memmem::find(&bytes, mark).is_some();
    if !has(b"sops") || !has(b"ENC[AES256_GCM,") {
        return false;
    }
    let format = Format::of_path(&path.to_string_lossy());
    match holds_metadata(format, &bytes) {
        Some(sealed) => return sealed,
        None if format != Format::Binary => return true,
        None => {}
    }
    // What is no JSON is no envelope, but perhaps a text about sealed files, or a file whose name does not say what it is.
    let others = [Format::Yaml, Format::Dotenv, Format::Ini, Format::Toml];
    let is = |format: &Format| holds_metadata(*format, &bytes) == Some(true);
    if let Some(format) = others.iter().find(|format| is(format)) {
        let (name, format) = (path.display(), format.name());
        context.warn(&format!(
            "`{name}` is left out: it is sealed as {format}, which its name does not say; name the file, and `--input-type {format}`"
        ));
    }
    false
}

/// Whether a file of this format has metadata; `None` if it cannot be read.
fn holds_metadata(format: Format, bytes: &Zeroizing<Vec<u8>>) -> Option<bool> {
    let source = Source::new(String::new(), format, bytes.clone());
    let document = source.document(Exit::Failed).ok()?;
    Some(!document.metadata().is_empty())
}
