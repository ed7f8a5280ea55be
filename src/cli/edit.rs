//! `edit`: the plaintext of a file in the user's editor, and back (spec 9.6 without its traps).
//!
//! The plaintext is in memory and in a private directory, nowhere else. What the user typed is never lost: a text that
//! cannot be sealed is kept, sealed as it is, beside the file, and offered again.

use std::path::{Path, PathBuf};

use clap::Args;
use sops_rs::edit::splice;
use sops_rs::format::{self, Format};
use sops_rs::metadata::Metadata;
use sops_rs::ops::decrypt::Opening;
use sops_rs::ops::encrypt::raised_version;
use sops_rs::secret::DataKey;
use zeroize::Zeroizing;

use super::args::{AnywhereArgs, IdentityArgs, InputArgs, KeyArgs, SelectionArgs};
use super::context::Context;
use super::creation::decide;
use super::editor;
use super::encrypt::{Resealing, anew, new_key, seal_binary};
use super::exit::Exit;
use super::io::{self, Input, Privacy};
use super::private::PrivateDir;
use super::report::{Failure, typed};
use super::sealed::{Sealed, Source};
use super::target::same_format;

/// Edit a file in plaintext; it is encrypted again when the editor ends
///
/// A file that does not exist is made. Values that were not changed keep their ciphertext, so that the diff shows only
/// what was. The editor is `SOPS_EDITOR`, else `EDITOR`, else vim, nano or vi. Ends with 200 if nothing was changed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs edit secrets/prod.yaml
  SOPS_EDITOR='code --wait' sops-rs edit secrets/prod.yaml")]
pub(crate) struct Edit {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Format of the file; the default is what its name says
    #[arg(long, value_name = "FORMAT", value_parser = super::args::format())]
    input_type: Option<Format>,
    /// A file keeps its format: only that is accepted
    #[arg(long, value_name = "FORMAT", value_parser = super::args::format(), hide = true)]
    output_type: Option<Format>,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    identity: IdentityArgs,
    /// Edit the file even if its MAC is missing or wrong; it gets a new one
    #[arg(long)]
    ignore_mac: bool,
    /// Show the metadata in the editor too; it can be read there, not changed
    #[arg(short, long)]
    show_master_keys: bool,
}

impl Edit {
    /// Puts options that stood before the verb under those behind it.
    pub(crate) fn with_earlier(mut self, earlier: AnywhereArgs) -> Self {
        self.selection.anywhere = self.selection.anywhere.or(earlier);
        self
    }
}

/// Runs the command.
///
/// # Errors
/// The [`Failure`] to report.
pub(crate) fn run(
    context: &mut Context,
    arguments: &Edit,
    config: Option<&Path>,
) -> Result<Exit, Failure> {
    let name = arguments.file.display().to_string();
    let input = InputArgs::of_file(&arguments.file, arguments.input_type);
    let format = same_format(&input, arguments.output_type, "by editing it")?;
    io::refuse_stream(context, &arguments.file)?;
    if context.resolve(&arguments.file).symlink_metadata().is_err() {
        return create(context, arguments, config, None, &name, format);
    }
    let bytes = io::read(context, &Input::File(arguments.file.clone()))?;
    if bytes.is_empty() {
        return create(context, arguments, config, Some(&bytes), &name, format);
    }
    change(context, arguments, &Source::new(name, format, bytes))
}

/// Edits a file that exists.
fn change(context: &mut Context, arguments: &Edit, source: &Source) -> Result<Exit, Failure> {
    let mut sealed = Sealed::parse(context, source)?;
    sealed.strict_selection()?;
    let key = sealed.data_key(context, &arguments.identity)?;
    let shown = shown(context, arguments, &sealed, &key)?;
    sealed.metadata.version = raised_version(&sealed.metadata.version);
    let resealing = Resealing {
        sealed: &sealed,
        key: &key,
        ignore_mac: arguments.ignore_mac,
        allow_clear: arguments.selection.allow_clear,
    };
    let session = Session {
        file: &arguments.file,
        before: Some(&source.bytes),
        shown,
        key: &key,
        metadata: &sealed.metadata,
    };
    session.run(context, |context, bytes| {
        let mut edited = Source {
            name: source.name.clone(),
            format: source.format,
            bytes,
        };
        if arguments.show_master_keys {
            edited.bytes = without_metadata(&edited, &sealed)?;
        }
        let opened = resealing.open()?;
        resealing.reseal(context, &edited, opened)
    })
}

/// Edits a file that does not exist, or is empty: an example of its format, sealed with a new data key.
fn create(
    context: &mut Context,
    arguments: &Edit,
    config: Option<&Path>,
    before: Option<&[u8]>,
    name: &str,
    format: Format,
) -> Result<Exit, Failure> {
    let creation = decide(
        context,
        &arguments.keys,
        &arguments.selection,
        config,
        &arguments.file,
    )?;
    // Wrapped before the user types: a recipient that cannot be used should not cost them their work.
    let (key, metadata) = new_key(context, &arguments.identity.services, &creation, format)
        .map_err(|failure| failure.with_exit(Exit::NoDataKey))?;
    let session = Session {
        file: &arguments.file,
        before,
        shown: Zeroizing::new(example(format).as_bytes().to_vec()),
        key: &key,
        metadata: &metadata,
    };
    session.run(context, |context, bytes| {
        let source = Source::new(name.to_owned(), format, bytes);
        let key = (key.clone(), metadata.clone());
        let allow_clear = arguments.selection.allow_clear;
        anew(context, &source, &creation.selection, key, allow_clear).map(Some)
    })
}

/// What the editor gets to see.
fn shown(
    context: &mut Context,
    arguments: &Edit,
    sealed: &Sealed<'_>,
    key: &DataKey,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if sealed.document.format() == Format::Binary {
        if arguments.show_master_keys {
            let message =
                "the metadata of a binary file cannot be shown: the editor sees its bytes alone";
            return Err(Failure::new(Exit::Conflict, message).hint("leave out --show-master-keys"));
        }
        return sealed.decrypt_binary(key, arguments.ignore_mac);
    }
    let opening = Opening {
        ignore_mac: arguments.ignore_mac,
        keep_metadata: arguments.show_master_keys,
        remember: false,
    };
    let mut decrypted = sealed.decrypt(key, opening)?;
    sealed.warn(context, &decrypted.warnings);
    Ok(Zeroizing::new(
        std::mem::take(&mut *decrypted.text).into_bytes(),
    ))
}

/// Takes the metadata out of a text that was shown with it; it must be as it was.
fn without_metadata(edited: &Source, sealed: &Sealed<'_>) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let document = edited.document(Exit::CannotRead)?;
    let metadata = Metadata::of(&document).ok().flatten();
    let unchanged = metadata.is_some_and(|found| {
        Metadata {
            version: raised_version(&found.version),
            ..found
        } == sealed.metadata
    });
    if !unchanged {
        return Err(Failure::new(Exit::Failed, "the metadata was changed in the editor")
            .hint("leave the `sops` entry as it was; who can open the file is not changed by editing it"));
    }
    let detached = format::detach(edited.format, document.source(), document.nodes());
    let mut text = splice(document.source(), &detached.edits)
        .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    Ok(Zeroizing::new(std::mem::take(&mut *text).into_bytes()))
}

/// One file in the editor, from the first look to the last.
pub(crate) struct Session<'a> {
    /// The file.
    pub(crate) file: &'a Path,
    /// What it holds; `None` if it does not exist yet.
    pub(crate) before: Option<&'a [u8]>,
    /// What the editor shows at first.
    pub(crate) shown: Zeroizing<Vec<u8>>,
    /// With what a text is kept that cannot be sealed value by value.
    pub(crate) key: &'a DataKey,
    /// Who can open such a text.
    pub(crate) metadata: &'a Metadata,
}

impl Session<'_> {
    /// Lets the user edit until `seal` takes the text, then puts the result in the place of the file. `seal` gives
    /// `None` if nothing would change.
    ///
    /// # Errors
    /// The [`Failure`] to report; [`Exit::Unchanged`] if nothing was changed.
    pub(crate) fn run(
        &self,
        context: &mut Context,
        mut seal: impl FnMut(&mut Context, Zeroizing<Vec<u8>>) -> Result<Option<String>, Failure>,
    ) -> Result<Exit, Failure> {
        let directory = PrivateDir::new(context)?;
        let name = self.file.file_name().unwrap_or(self.file.as_os_str());
        let work_file = directory.write(Path::new(name), &self.shown)?;
        let mut kept: Option<PathBuf> = None;
        loop {
            editor::edit(context, &directory, &work_file)?;
            let edited = io::read(context, &Input::File(work_file.clone()))?;
            if *edited == *self.shown {
                self.forget(context, kept.as_deref());
                return self.unchanged(directory);
            }
            let copy = edited.clone();
            let sealed = seal(context, edited).map_err(own_words);
            let outcome = sealed.and_then(|sealed| match sealed {
                None => Ok(false),
                Some(text) => self.write(context, &text).map(|()| true),
            });
            match outcome {
                Ok(true) => {
                    self.forget(context, kept.as_deref());
                    // Last, so that the user's work is safe before its plaintext goes.
                    directory.close()?;
                    return Ok(Exit::Success);
                }
                Ok(false) => {
                    self.forget(context, kept.as_deref());
                    return self.unchanged(directory);
                }
                Err(failure) => {
                    let failure = match self.keep(context, kept.clone(), copy) {
                        Ok(place) => {
                            let name = typed(&place);
                            kept = Some(place);
                            failure.detail(format!(
                                "what you typed is kept, sealed: see it with `sops-rs decrypt {name}`"
                            ))
                        }
                        Err(other) => failure
                            .detail(format!("what you typed cannot be kept: {}", other.message)),
                    };
                    // No edit could replace a file that somebody else has replaced.
                    if !context.interactive || self.was_replaced(context).unwrap_or(true) {
                        return Err(failure);
                    }
                    context.fail(&failure);
                    await_enter(context)?;
                }
            }
        }
    }

    fn unchanged(&self, directory: PrivateDir) -> Result<Exit, Failure> {
        directory.close()?;
        let name = self.file.display();
        Err(Failure::new(
            Exit::Unchanged,
            format!("`{name}` was left as it is: nothing was changed"),
        ))
    }

    /// Replaces the file, unless somebody else did so while it was edited.
    fn write(&self, context: &mut Context, text: &str) -> Result<(), Failure> {
        if self.was_replaced(context)? {
            let name = self.file.display();
            return Err(Failure::new(
                Exit::CannotWrite,
                format!("`{name}` was changed by another program while you edited it"),
            )
            .hint("edit the file again; nothing of the other program's work was lost"));
        }
        self.make_folder(context);
        io::replace(context, self.file, text.as_bytes(), Privacy::Public)
    }

    /// Whether the file is another one than when the editor was started.
    fn was_replaced(&self, context: &mut Context) -> Result<bool, Failure> {
        let now = match context.resolve(self.file).symlink_metadata() {
            Ok(_) => Some(io::read(context, &Input::File(self.file.to_owned()))?),
            Err(_) => None,
        };
        Ok(now.as_deref().map(Vec::as_slice) != self.before)
    }

    /// A new file may be the first of its folder. If that cannot be made, the file cannot be written, which is told.
    fn make_folder(&self, context: &Context) {
        if let (None, Some(folder)) = (self.before, self.file.parent()) {
            drop(std::fs::create_dir_all(context.resolve(folder)));
        }
    }

    /// Keeps a text that cannot be sealed value by value: as one sealed value, beside the file; where the directory of
    /// the file cannot be written, in that for temporary files.
    fn keep(
        &self,
        context: &mut Context,
        earlier: Option<PathBuf>,
        bytes: Zeroizing<Vec<u8>>,
    ) -> Result<PathBuf, Failure> {
        let source = Source {
            name: self.file.display().to_string(),
            format: Format::Binary,
            bytes,
        };
        let text = seal_binary(context, &source, self.key, self.metadata_of_copy())?;
        self.make_folder(context);
        let place = earlier.unwrap_or_else(|| free_name(context, self.file));
        let Err(failure) = io::replace(context, &place, text.as_bytes(), Privacy::Private) else {
            return Ok(place);
        };
        let temporary = context
            .variable("TMPDIR")
            .map_or_else(|| "/tmp".into(), PathBuf::from);
        let name = self.file.file_name().unwrap_or(self.file.as_os_str());
        let place = free_name(context, &temporary.join(name));
        match io::create(&context.resolve(&place), text.as_bytes(), Privacy::Private) {
            Ok(()) => Ok(place),
            Err(_) => Err(failure),
        }
    }

    /// A binary file has no selection rules (spec 7.4).
    fn metadata_of_copy(&self) -> Metadata {
        Metadata {
            rule: None,
            mac_only_encrypted: false,
            ..self.metadata.clone()
        }
    }

    /// Removes the kept text: what it held is in the file now, or was given up.
    fn forget(&self, context: &mut Context, kept: Option<&Path>) {
        let Some(path) = kept else { return };
        if let Err(error) = std::fs::remove_file(context.resolve(path)) {
            context.note(&format!(
                "`{}` is no longer needed, but cannot be removed: {error}",
                path.display()
            ));
        }
    }
}

/// What means a sealed file elsewhere is an entry of an unlucky name in an editor.
fn own_words(mut failure: Failure) -> Failure {
    if failure.exit != Exit::AlreadyEncrypted {
        return failure;
    }
    failure.message = "an entry is named `sops`, as the metadata of the file is".to_owned();
    failure.hint("give it another name")
}

/// How many bytes a file name may have on the file systems in use.
const NAME_MAX: usize = 255;

/// A name for what was typed into `file` that nothing has yet. A name that would be too long is cut.
fn free_name(context: &Context, file: &Path) -> PathBuf {
    let stem = file.file_name().unwrap_or_default();
    let name = |suffix: String| {
        let room = NAME_MAX - suffix.len();
        let mut name = stem.to_owned();
        if name.len() > room {
            name = cut(&stem.to_string_lossy(), room).into();
        }
        name.push(suffix);
        file.with_file_name(name)
    };
    let is_free = |path: &PathBuf| context.resolve(path).symlink_metadata().is_err();
    let numbered = (2..1000).map(|number| name(format!(".rejected-{number}")));
    std::iter::once(name(".rejected".to_owned()))
        .chain(numbered)
        .find(is_free)
        .unwrap_or_else(|| name(".rejected".to_owned()))
}

/// The beginning of a text, of this many bytes at most.
fn cut(text: &str, bytes: usize) -> &str {
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let end = ends.take_while(|&end| end <= bytes).last();
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

fn await_enter(context: &mut Context) -> Result<(), Failure> {
    match context.ask("press Enter to go back to the editor, Ctrl-C to give up ")? {
        Some(_) => Ok(()),
        None => Err(Failure::new(
            Exit::Failed,
            "given up: the file is as it was",
        )),
    }
}

/// What a new file begins with: something to replace, and to learn the rules from.
fn example(format: Format) -> &'static str {
    match format {
        Format::Yaml => {
            "# Replace this by your own keys and values; comments are sealed too.\nexample: a secret\nlist:\n  - one\n  - two\nport: 5432\nlabel_unencrypted: not a secret\n"
        }
        Format::Json => {
            "{\n  \"example\": \"a secret\",\n  \"list\": [\"one\", \"two\"],\n  \"port\": 5432,\n  \"label_unencrypted\": \"not a secret\"\n}\n"
        }
        Format::Dotenv => "# Replace this by your own variables.\nEXAMPLE=a secret\n",
        Format::Ini => {
            "; Replace this by your own sections and keys.\n[section]\nexample = a secret\n"
        }
        Format::Toml => {
            "# Replace this by your own tables and keys; comments are sealed too.\nexample = \"a secret\"\nlist = [\"one\", \"two\"]\n\n[server]\nport = 5432\nlabel_unencrypted = \"not a secret\"\n"
        }
        Format::Binary => "Replace this by your own text.\n",
    }
}
