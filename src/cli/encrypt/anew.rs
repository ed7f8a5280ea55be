//! Sealing for the first time: a new data key for everybody, the values, and the words for what went wrong.
//!
//! Knows nothing of files that were sealed before.

use sops_rs::document::Document;
use sops_rs::format::Format;
use sops_rs::keys::{self, Attempt, NotWrapped};
use sops_rs::metadata::{Metadata, SOPS_VERSION};
use sops_rs::ops::binary;
use sops_rs::ops::encrypt::{EncryptError, Report, Sealer, encrypt};
use sops_rs::random::Random as _;
use sops_rs::recipient::RecipientKind;
use sops_rs::secret::DataKey;
use sops_rs::selection::Selection;
use sops_rs::value::timestamp;

use crate::cli::args::KeyServiceArgs;
use crate::cli::context::Context;
use crate::cli::converting::Plaintext;
use crate::cli::creation::Creation;
use crate::cli::entropy::Entropy;
use crate::cli::exit::Exit;
use crate::cli::io;
use crate::cli::report::Failure;
use crate::cli::sealed::{Source, advice, outcome};
use crate::cli::services::Services;

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
    (key, metadata): (DataKey, Metadata),
    allow_clear: bool,
) -> Result<String, Failure> {
    if source.format == Format::Binary {
        return seal_binary(context, source, &key, metadata);
    }
    let document = source.document(Exit::CannotRead)?;
    seal_values(
        context,
        source,
        document,
        selection,
        (key, metadata),
        allow_clear,
    )
}

/// The same for a plaintext that may come from another format.
///
/// # Errors
/// The [`Failure`] to report.
pub(super) fn seal(
    context: &mut Context,
    plain: &Plaintext,
    selection: &Selection,
    key: (DataKey, Metadata),
    allow_clear: bool,
) -> Result<String, Failure> {
    if plain.source.format == Format::Binary {
        return anew(context, &plain.source, selection, key, allow_clear);
    }
    let document = plain.document()?;
    seal_values(
        context,
        &plain.source,
        document,
        selection,
        key,
        allow_clear,
    )
}

fn seal_values(
    context: &mut Context,
    source: &Source,
    document: Document<'_>,
    selection: &Selection,
    (key, mut metadata): (DataKey, Metadata),
    allow_clear: bool,
) -> Result<String, Failure> {
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
pub(super) fn remark(context: &mut Context, name: &str, report: &Report) {
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
pub(crate) fn cannot_seal(
    source: &Source,
    selection: Option<&Selection>,
    error: &EncryptError,
) -> Failure {
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

/// The file has metadata already.
pub(super) fn already_sealed(name: &str) -> Failure {
    Failure::new(
        Exit::AlreadyEncrypted,
        format!("`{name}` is already encrypted: it has a `sops` entry"),
    )
    .hint("change it with `sops-rs edit`; if `sops` is a key of your own, rename it")
}
