//! `encrypt`: seals the values of plaintexts for the recipients and by the rule that options or the config name.

use std::path::{Path, PathBuf};

use clap::Args;
use sops_rs::format::Format;
use sops_rs::keys::{self, Attempt, NotWrapped};
use sops_rs::metadata::{Metadata, SOPS_VERSION};
use sops_rs::ops::binary;
use sops_rs::ops::decrypt::{Decrypted, Opening};
use sops_rs::ops::encrypt::{EncryptError, Previous, Report, Sealer, encrypt, reencrypt};
use sops_rs::random::Random as _;
use sops_rs::recipient::{Recipient, RecipientKind};
use sops_rs::secret::DataKey;
use sops_rs::selection::Selection;
use sops_rs::value::timestamp;
use zeroize::Zeroizing;

use super::args::{IdentityArgs, InputArgs, KeyArgs, KeyServiceArgs, OutputArgs, SelectionArgs};
use super::context::Context;
use super::creation::{self, Creation, decide, matching_rule};
use super::entropy::Entropy;
use super::exit::Exit;
use super::io::{self, Input, Privacy};
use super::many;
use super::report::Failure;
use super::sealed::{Sealed, Source, advice, outcome};
use super::services::Services;
use super::target::{Target, known_path, same_format};
use super::tree::{self, Many, TreeArgs};

/// Encrypt files
///
/// Who can open it and which values are sealed comes from the options, else from the first rule of the config that
/// matches the file. Layout, quotes, key order and everything else that is not a secret stay as they are.
///
/// If `--output` names a file that is sealed already and that you can open, its data key, its recipients and the sealed
/// text of every unchanged value are kept, so that the diff shows only what changed.
///
/// Several files go in place of themselves, each completely or not at all. In a directory these are the files that a rule
/// of the config matches. What is encrypted already stays as it is, so that the same command finishes what was
/// interrupted.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs encrypt --in-place secrets/prod.yaml
  sops-rs encrypt --in-place --recursive secrets/
  sops-rs encrypt --age age1… --encrypted-regex '^(data|stringData)$' secret.yaml
  kubectl create secret … -o yaml | sops-rs encrypt --filename-override secrets/x.yaml")]
pub(crate) struct Encrypt {
    #[command(flatten)]
    input: InputArgs,
    /// More files, or directories with `--recursive`
    #[arg(value_name = "FILES")]
    more: Vec<PathBuf>,
    #[command(flatten)]
    tree: TreeArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    identity: IdentityArgs,
}

impl Encrypt {
    /// Puts options that stood before the verb under those behind it.
    pub(crate) fn with_earlier(mut self, earlier: super::args::AnywhereArgs) -> Self {
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
    arguments: &Encrypt,
    config: Option<&Path>,
) -> Result<Exit, Failure> {
    if !arguments.more.is_empty() || arguments.tree.recursive {
        return run_many(context, arguments, config);
    }
    let input = Input::new(arguments.input.file.clone());
    let target = Target::new(&input, &arguments.output)?;
    one(context, arguments, config, &arguments.input, &target)?;
    Ok(Exit::Success)
}

fn run_many(
    context: &mut Context,
    arguments: &Encrypt,
    config: Option<&Path>,
) -> Result<Exit, Failure> {
    let in_place = arguments.output.in_place;
    let many = Many::new(
        &arguments.input,
        &arguments.more,
        &arguments.output,
        in_place,
    )?;
    let recursive = arguments.tree.recursive;
    let files = tree::files(context, &many.paths, recursive, |_, path| !is_control(path))?;
    let name = |path: &PathBuf| path.display().to_string();
    let outcomes = many::each(
        context,
        &arguments.identity.services,
        &files,
        name,
        |own, path| {
            let named = many.paths.contains(path);
            if !named && !is_meant(own, arguments, config, path)? {
                return Ok(false);
            }
            let input = many.input(path);
            if read(own, arguments, &input)?.is_sealed() {
                if named {
                    own.note(&format!(
                        "`{}` is encrypted already and stays as it is",
                        path.display()
                    ));
                }
                return Ok(false);
            }
            let target = Target::File(path.clone());
            one(own, arguments, config, &input, &target).map(|()| true)
        },
    );
    let names: Vec<String> = files.iter().map(name).collect();
    let done = many::settle(context, &names, outcomes, "encrypted")?;
    if !done.contains(&true) {
        context.note("there is nothing to encrypt: no rule matches, or it was done before");
    }
    Ok(Exit::Success)
}

/// Whether a file that was found in a directory shall be encrypted: if a rule matches, or if there are no rules at all and the
/// recipients come from options.
fn is_meant(
    context: &mut Context,
    arguments: &Encrypt,
    config: Option<&Path>,
    path: &Path,
) -> Result<bool, Failure> {
    if matching_rule(context, config, path)?.is_ok() {
        return Ok(true);
    }
    let file = creation::normal(&context.resolve(path));
    Ok(arguments.keys.names_any() && creation::find(context, config, &file).is_none())
}

/// Whether this is a file that git or this program reads for itself. Encrypted it would be of no use.
fn is_control(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(std::ffi::OsStr::to_str)
        .unwrap_or_default();
    let configs = creation::NAMES.map(|(name, _)| name);
    name.starts_with(".git") || configs.contains(&name)
}

fn read(context: &mut Context, arguments: &Encrypt, input: &InputArgs) -> Result<Source, Failure> {
    let format = same_format(input, arguments.output.output_type)?;
    let input = Input::new(input.file.clone());
    let bytes = io::read(context, &input)?;
    Ok(Source::new(input.name(), format, bytes))
}

/// Seals one file into `target`.
fn one(
    context: &mut Context,
    arguments: &Encrypt,
    config: Option<&Path>,
    input: &InputArgs,
    target: &Target,
) -> Result<(), Failure> {
    let Some(path) = known_path(input) else {
        let message = "standard input has no name to look up rules and format by";
        return Err(Failure::new(Exit::Conflict, message).hint("add `--filename-override PATH`"));
    };
    let source = read(context, arguments, input)?;
    let (input, format) = (Input::new(input.file.clone()), source.format);
    refuse_sealed(&source)?;
    let creation = decide(context, &arguments.keys, &arguments.selection, config, path)?;
    let earlier = earlier(context, target, &input, format, &creation)?;
    let allow_clear = arguments.selection.allow_clear;
    let sealed = match &earlier {
        Some(earlier) => again(
            context,
            &source,
            earlier,
            &arguments.identity,
            &creation,
            allow_clear,
        )?,
        None => None,
    };
    let text = match sealed {
        Some(Outcome::Unchanged) => {
            context.note(&format!(
                "`{}` is up to date; nothing was written",
                target.name()
            ));
            return Ok(());
        }
        Some(Outcome::Sealed(text)) => text,
        None => {
            // Found out before anything is wrapped: that may cost a call to a key service.
            if format != Format::Binary {
                source.document(Exit::CannotRead)?;
            }
            refuse_nothing(&source)?;
            let key = new_key(context, &arguments.identity.services, &creation, format)?;
            anew(context, &source, &creation.selection, key, allow_clear)?
        }
    };
    target.write(context, text.as_bytes(), Privacy::Public)
}

/// A YAML file of no bytes has no document at all, not even an empty one (spec 7.2.1).
fn refuse_nothing(source: &Source) -> Result<(), Failure> {
    if source.format == Format::Yaml && source.bytes.is_empty() {
        return Err(
            Failure::new(Exit::NoDocument, format!("`{}` is empty", source.name))
                .hint("write something into it, or start with `sops-rs edit`"),
        );
    }
    Ok(())
}

/// A binary file that is an envelope, too, is sealed already; other formats find out when they are sealed.
fn refuse_sealed(source: &Source) -> Result<(), Failure> {
    if source.format == Format::Binary && source.is_sealed() {
        return Err(already_sealed(&source.name));
    }
    Ok(())
}

fn already_sealed(name: &str) -> Failure {
    Failure::new(
        Exit::AlreadyEncrypted,
        format!("`{name}` is already encrypted: it has a `sops` entry"),
    )
    .hint("change it with `sops-rs edit`; if `sops` is a key of your own, rename it")
}

/// The sealed file that is about to be replaced by another sealing of the same thing.
///
/// # Errors
/// [`Exit::Failed`] if there is one, but it is damaged: its data key and recipients would be lost without a word.
fn earlier(
    context: &mut Context,
    target: &Target,
    input: &Input,
    format: Format,
    creation: &Creation,
) -> Result<Option<Source>, Failure> {
    // Who names recipients wants these recipients and no others.
    let Target::File(path) = target else {
        return Ok(None);
    };
    if creation.named || *input == Input::File(path.clone()) || !context.resolve(path).is_file() {
        return Ok(None);
    }
    let bytes = io::read(context, &Input::File(path.clone()))?;
    let earlier = Source::new(path.display().to_string(), format, bytes);
    if earlier.format != format {
        return Ok(None);
    }
    match earlier.document(Exit::Failed) {
        Ok(document) => Ok((!document.metadata().is_empty()).then_some(earlier)),
        Err(failure) if looks_sealed(&earlier.bytes) => {
            let name = &earlier.name;
            Err(failure
                .detail(format!("`{name}` is sealed but damaged, and would be lost"))
                .hint(format!("repair it, or remove `{name}` to start anew")))
        }
        Err(_) => Ok(None),
    }
}

/// Whether a text that cannot be read any more has what only sealed files have.
fn looks_sealed(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.lines().map(str::trim_start).any(|line| {
        ["sops:", "\"sops\":", "[sops]", "sops_mac="]
            .iter()
            .any(|mark| line.starts_with(mark))
    })
}

/// What came of sealing again over a sealed file.
enum Outcome {
    Unchanged,
    Sealed(String),
}

/// Seals with the data key, the recipients and the tokens of `earlier`; `None` if that cannot be opened.
fn again(
    context: &mut Context,
    source: &Source,
    earlier: &Source,
    identity: &IdentityArgs,
    creation: &Creation,
    allow_clear: bool,
) -> Result<Option<Outcome>, Failure> {
    let opened = open_earlier(context, earlier, identity);
    let (sealed, key) = match opened {
        Ok(opened) => opened,
        Err(failure) => {
            context.note(&format!(
                "`{}` cannot be opened ({}), so every value is sealed anew",
                earlier.name, failure.message
            ));
            return Ok(None);
        }
    };
    if sealed.document.format() != Format::Binary && sealed.selection != creation.selection {
        context.note(&format!(
            "the rule for `{}` has changed since it was sealed, so every value is sealed anew",
            earlier.name
        ));
        return Ok(None);
    }
    if !same_recipients(&sealed.metadata, creation) {
        context.note(&format!(
            "`{}` keeps its recipients, which are not those of the config",
            earlier.name
        ));
    }
    let sealing = Resealing {
        sealed: &sealed,
        key: &key,
        ignore_mac: false,
        allow_clear,
    };
    let opened = match sealing.open() {
        Ok(opened) => opened,
        Err(failure) => {
            context.note(&format!(
                "`{}` is damaged ({}), so every value is sealed anew",
                earlier.name, failure.message
            ));
            return Ok(None);
        }
    };
    let text = sealing.reseal(context, source, opened)?;
    Ok(Some(text.map_or(Outcome::Unchanged, Outcome::Sealed)))
}

fn open_earlier<'a>(
    context: &mut Context,
    earlier: &'a Source,
    identity: &IdentityArgs,
) -> Result<(Sealed<'a>, DataKey), Failure> {
    let sealed = Sealed::parse(context, earlier)?;
    let key = sealed.data_key(context, identity)?;
    Ok((sealed, key))
}

fn same_recipients(metadata: &Metadata, creation: &Creation) -> bool {
    let sorted = |groups: Vec<Vec<String>>| -> Vec<Vec<String>> {
        groups
            .into_iter()
            .map(|mut group| {
                group.sort();
                group
            })
            .collect()
    };
    let of_file = metadata.groups.iter().map(|group| {
        group
            .iter()
            .map(|wrapped| wrapped.recipient.identity())
            .collect()
    });
    let of_config = creation
        .groups
        .iter()
        .map(|group| group.iter().map(Recipient::identity).collect());
    sorted(of_file.collect()) == sorted(of_config.collect())
}

/// Sealing a changed plaintext over the file it came from.
pub(crate) struct Resealing<'a> {
    pub(crate) sealed: &'a Sealed<'a>,
    pub(crate) key: &'a DataKey,
    /// Whether the MAC of the old file does not count.
    pub(crate) ignore_mac: bool,
    pub(crate) allow_clear: bool,
}

/// What the old file held.
pub(crate) enum Opened {
    Values(Decrypted),
    Bytes(Zeroizing<Vec<u8>>),
}

impl Resealing<'_> {
    /// Opens the old file.
    ///
    /// # Errors
    /// The [`Failure`] to report; its place is one in the old file.
    pub(crate) fn open(&self) -> Result<Opened, Failure> {
        if self.sealed.document.format() == Format::Binary {
            let bytes = self.sealed.decrypt_binary(self.key, self.ignore_mac)?;
            return Ok(Opened::Bytes(bytes));
        }
        let opening = Opening {
            ignore_mac: self.ignore_mac,
            remember: true,
            ..Opening::default()
        };
        self.sealed.decrypt(self.key, opening).map(Opened::Values)
    }

    /// Seals `source` with data key, recipients, metadata and tokens of the old file, which was `opened`. `None` if nothing
    /// would change.
    ///
    /// # Errors
    /// The [`Failure`] to report; its place is one in `source`.
    pub(crate) fn reseal(
        &self,
        context: &mut Context,
        source: &Source,
        opened: Opened,
    ) -> Result<Option<String>, Failure> {
        let decrypted = match opened {
            Opened::Bytes(old) if *old == *source.bytes => return Ok(None),
            Opened::Bytes(_) => {
                let metadata = self.sealed.metadata.clone();
                return seal_binary(context, source, self.key, metadata).map(Some);
            }
            Opened::Values(decrypted) => decrypted,
        };
        let document = source.document(Exit::CannotRead)?;
        let selection = self.sealed.strict_selection()?;
        let previous = Previous {
            document: &self.sealed.document,
            metadata: &self.sealed.metadata,
            decrypted,
        };
        let now = context.now().as_second();
        let mut random = Entropy::new(&mut context.random);
        let mut sealer = Sealer {
            selection: &selection,
            key: self.key,
            allow_clear: self.allow_clear,
            now,
            random: &mut random,
        };
        let encrypted = reencrypt(document, previous, &mut sealer);
        random.check()?;
        let encrypted = encrypted.map_err(|error| cannot_seal(source, Some(&selection), &error))?;
        if let Some(encrypted) = &encrypted {
            remark(context, &source.name, &encrypted.report);
        }
        Ok(encrypted.map(|encrypted| encrypted.text))
    }
}

/// Seals any bytes as one value.
///
/// # Errors
/// The [`Failure`] to report.
pub(crate) fn seal_binary(
    context: &mut Context,
    source: &Source,
    key: &DataKey,
    mut metadata: Metadata,
) -> Result<String, Failure> {
    let now = context.now().as_second();
    let mut random = Entropy::new(&mut context.random);
    let text = binary::encrypt(&source.bytes, &mut metadata, key, now, &mut random);
    random.check()?;
    text.map_err(|error| cannot_seal(source, None, &error))
}

/// Seals for the first time, with a data key that was wrapped before.
///
/// # Errors
/// The [`Failure`] to report.
pub(crate) fn anew(
    context: &mut Context,
    source: &Source,
    selection: &Selection,
    (key, mut metadata): (DataKey, Metadata),
    allow_clear: bool,
) -> Result<String, Failure> {
    if source.format == Format::Binary {
        return seal_binary(context, source, &key, metadata);
    }
    let document = source.document(Exit::CannotRead)?;
    let now = context.now().as_second();
    let mut random = Entropy::new(&mut context.random);
    let mut sealer = Sealer {
        selection,
        key: &key,
        allow_clear,
        now,
        random: &mut random,
    };
    let encrypted = encrypt(document, &mut metadata, &mut sealer);
    random.check()?;
    let encrypted = encrypted.map_err(|error| cannot_seal(source, Some(selection), &error))?;
    remark(context, &source.name, &encrypted.report);
    Ok(encrypted.text)
}

/// A new data key, wrapped for everybody, and the metadata that says so.
///
/// # Errors
/// [`Exit::Failed`] with everybody it could not be wrapped for.
pub(crate) fn new_key(
    context: &mut Context,
    services: &KeyServiceArgs,
    creation: &Creation,
    format: Format,
) -> Result<(DataKey, Metadata), Failure> {
    let created_at = timestamp(context.now().as_second());
    let services = Services::of(context, services);
    let mut random = Entropy::new(&mut context.random);
    let mut bytes = vec![0; DataKey::LEN];
    random.fill(&mut bytes);
    let key = DataKey::new(bytes);
    let groups = keys::wrap_all(
        &creation.groups,
        creation.shamir_threshold,
        &key,
        &created_at,
        &services.list(),
        &mut random,
    );
    random.check()?;
    if let Some(warning) = services.warning() {
        context.warn(warning);
    }
    let groups = groups.map_err(|error| not_wrapped(&error))?;
    let threshold = match (creation.shamir_threshold, groups.len()) {
        (0, 0 | 1) => 0,
        (0, all) => all,
        (given, _) => given,
    };
    // Selection rules mean nothing to a binary file (spec 7.4).
    let (rule, only) = match format {
        Format::Binary => (None, false),
        _ => (
            creation.selection.rule().field(),
            creation.selection.mac_only_encrypted(),
        ),
    };
    let metadata = Metadata {
        groups,
        shamir_threshold: threshold,
        lastmodified: String::new(),
        mac: String::new(),
        version: SOPS_VERSION.to_owned(),
        rule: rule.map(|(kind, text)| (kind, text.to_owned())),
        mac_only_encrypted: only,
        unknown: Vec::new(),
    };
    Ok((key, metadata))
}

/// Everybody a data key could not be wrapped for.
pub(crate) fn not_wrapped(error: &NotWrapped) -> Failure {
    let failure = Failure::new(
        Exit::Failed,
        format!("could not generate data key: {error}"),
    );
    let NotWrapped::Recipients(attempts) = error else {
        return failure;
    };
    let failure = attempts.iter().fold(failure, |failure, attempt| {
        failure.detail(format!("{}  {}", attempt.identity, outcome(attempt)))
    });
    if let Some(advice) = attempts.iter().find_map(advice) {
        return failure.hint(advice);
    }
    let of_huawei = |attempt: &Attempt| attempt.kind == RecipientKind::Hckms;
    if attempts.iter().any(of_huawei) {
        return failure.hint("leave the key of HuaweiCloud out, or seal the file with SOPS itself");
    }
    failure
}

/// Says what the user may not expect.
fn remark(context: &mut Context, name: &str, report: &Report) {
    if report.expanded_aliases > 0 {
        context.note(&format!(
            "{} alias(es) in `{name}` were written out: a sealed value cannot be read behind an alias",
            report.expanded_aliases
        ));
    }
    if let Some(first) = report.tokens_as_text.first() {
        context.warn(&format!(
            "{} value(s) in `{name}` were ENC[…] tokens already and are now sealed twice, the first is `{first}`",
            report.tokens_as_text.len()
        ));
    }
}

/// Why a plaintext could not be sealed, with the place.
fn cannot_seal(source: &Source, selection: Option<&Selection>, error: &EncryptError) -> Failure {
    let at = |failure: Failure, offset: usize| match io::text(&source.bytes, &source.name) {
        Ok(text) => failure.at(&source.name, source.format, text, offset),
        Err(_) => failure,
    };
    let refused = |offset| at(Failure::new(Exit::CannotSeal, error.to_string()), offset);
    match error {
        EncryptError::AlreadyEncrypted(span) => at(already_sealed(&source.name), span.start()),
        EncryptError::LaterDocumentHasSops(span) => at(
            Failure::new(Exit::CannotEmit, error.to_string()).hint("rename that entry"),
            span.start(),
        ),
        EncryptError::Leaf(scan) => {
            let failure = at(
                Failure::new(Exit::CannotSeal, scan.message.clone()),
                scan.span.start(),
            );
            match &scan.hint {
                Some(hint) => failure.hint(hint.clone()),
                None => failure,
            }
        }
        EncryptError::AliasInClear { span, .. } => refused(span.start())
        .hint("write the value there yourself, change the rule, or add `--allow-clear` if it may be seen"),
        EncryptError::TokenMatchesRule(span) => refused(span.start())
        .hint("make the expression match your marker alone"),
        EncryptError::DoubtfulComment(span) => refused(span.start()).hint(match source.format {
            Format::Toml => "move it directly above the line that mentions this table first",
            _ => "write it on a line of its own, directly above the key it is for and in the same column",
        }),
        EncryptError::HeaderComment(span) => refused(span.start())
        .hint("move the comment to a line of its own above the header"),
        EncryptError::NothingSealed { clear } => {
            let mut failure = Failure::new(
                Exit::CannotSeal,
                format!("nothing in `{}` would be sealed", source.name),
            );
            if let Some(selection) = selection {
                failure = failure.detail(format!("the rule is {}", selection.describe()));
            }
            let mut clear = clear.clone();
            // The items of a list share its path.
            clear.dedup();
            for path in clear {
                failure = failure.detail(format!("in clear: {path}"));
            }
            failure.hint("correct the rule, or add `--allow-clear` if that is what you want")
        }
        _ => Failure::new(Exit::CannotSeal, error.to_string()),
    }
}
