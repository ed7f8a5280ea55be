//! A sealed file on its way to being opened: bytes, then a document with metadata, then the data key.
//!
//! Gives the errors of the library their exit codes and words. Knows nothing of what a command does with the plaintext.

use sops_rs::document::Document;
use sops_rs::format::{self, Format};
use sops_rs::keys::{self, Attempt, NotRecovered, Outcome};
use sops_rs::metadata::{Metadata, MetadataError};
use sops_rs::node::NodeId;
use sops_rs::ops::binary;
use sops_rs::ops::decrypt::{DecryptError, Decrypted, MacError, Opening, Warning, decrypt};
use sops_rs::recipient::RecipientKind;
use sops_rs::secret::DataKey;
use sops_rs::selection::Selection;
use sops_rs::span::{Position, Span};
use zeroize::Zeroizing;

use super::args::IdentityArgs;
use super::context::Context;
use super::exit::Exit;
use super::gpg;
use super::identities::Places;
use super::io::{self, Input};
use super::report::{Failure, typed};
use super::services::Services;

/// A file that was read: its name in messages, its format, its bytes.
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) format: Format,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

/// A file that has metadata.
pub(crate) struct Sealed<'a> {
    pub(crate) name: &'a str,
    pub(crate) document: Document<'a>,
    pub(crate) metadata: Metadata,
    pub(crate) selection: Selection,
}

impl Source {
    /// A file of this format. SOPS takes `.toml` for binary: what it has sealed under such a name is read as that, since no
    /// TOML begins with a brace.
    pub(crate) fn new(name: String, format: Format, bytes: Zeroizing<Vec<u8>>) -> Self {
        let is_envelope = || std::str::from_utf8(&bytes).is_ok_and(format::binary::is_envelope);
        let format = match format {
            Format::Toml if is_envelope() => Format::Binary,
            format => format,
        };
        Self {
            name,
            format,
            bytes,
        }
    }

    /// Scans the text. A sealed binary file is read as the JSON it is.
    ///
    /// # Errors
    /// A [`Failure`] with this exit code, which names the place.
    pub(crate) fn document(&self, exit: Exit) -> Result<Document<'_>, Failure> {
        let with_code = |failure: Failure| failure.with_exit(exit);
        let text = io::text(&self.bytes, &self.name).map_err(with_code)?;
        Document::parse(self.format, text)
            .map_err(|error| with_code(Failure::scan(&self.name, self.format, text, &error)))
    }

    /// Whether this is a sealed file. What cannot be read is not.
    pub(crate) fn is_sealed(&self) -> bool {
        self.document(Exit::Failed)
            .is_ok_and(|document| !document.metadata().is_empty())
    }
}

impl<'a> Sealed<'a> {
    /// Reads the metadata of a file that must have it.
    ///
    /// # Errors
    /// [`Exit::Failed`] if the text is damaged, has no metadata, or the metadata is wrong (spec 5.2).
    pub(crate) fn parse(context: &mut Context, source: &'a Source) -> Result<Self, Failure> {
        let name = source.name.as_str();
        let document = match source.document(Exit::Failed) {
            // Nothing but the envelope of a sealed file is ever read as this format.
            Err(_) if source.format == Format::Binary => return Err(not_an_envelope(name)),
            document => document?,
        };
        Self::of(context, name, document)
    }

    /// The same for a file that was scanned.
    ///
    /// # Errors
    /// [`Exit::Failed`] if it has no metadata, or the metadata is wrong.
    pub(crate) fn of(
        context: &mut Context,
        name: &'a str,
        document: Document<'a>,
    ) -> Result<Self, Failure> {
        let metadata = match Metadata::of(&document) {
            Ok(Some(metadata)) => metadata,
            Ok(None) => return Err(not_sealed(name)),
            Err(error) => return Err(bad_metadata(name, &document, &error)),
        };
        let (selection, bad_pattern) = metadata.selection();
        if let Some(error) = bad_pattern {
            context.warn(&format!(
                "the rule in the metadata of `{name}` is not a regular expression, so it matches nothing: {error}"
            ));
        }
        Ok(Self {
            name,
            document,
            metadata,
            selection,
        })
    }

    /// Unwraps the data key with the identities of this user.
    ///
    /// # Errors
    /// [`Exit::NoDataKey`] with every attempt that was made.
    pub(crate) fn data_key(
        &self,
        context: &mut Context,
        arguments: &IdentityArgs,
    ) -> Result<DataKey, Failure> {
        let order = order(context, arguments)?;
        let services = Services::of(context, &arguments.services);
        if services.is_empty() {
            return Err(
                Failure::new(Exit::NoDataKey, "there is no key service to ask")
                    .hint("leave out --enable-local-keyservice=false, or add `--keyservice URI`"),
            );
        }
        let threshold = self.metadata.shamir_threshold;
        let key = services.recover(context, &self.metadata.groups, threshold, &order);
        // Mounted keys of a pipeline are often open to others, and nobody is there to be warned.
        if context.interactive {
            for warning in services.places().warnings() {
                context.warn(&warning);
            }
        }
        if let Some(warning) = services.warning() {
            context.warn(warning);
        }
        key.map_err(|error| not_recovered(self.name, &error, services.places()))
    }

    /// Opens the file and verifies its MAC. Odd things are told by [`Self::warn`].
    ///
    /// # Errors
    /// The exit codes of spec 9.2 for what is wrong.
    pub(crate) fn decrypt(&self, key: &DataKey, opening: Opening) -> Result<Decrypted, Failure> {
        decrypt(
            &self.document,
            &self.metadata,
            &self.selection,
            key,
            opening,
        )
        .map_err(|error| self.cannot_open(&error))
    }

    /// Opens a binary file and verifies its MAC.
    ///
    /// # Errors
    /// The exit codes of spec 9.2 for what is wrong.
    pub(crate) fn decrypt_binary(
        &self,
        key: &DataKey,
        ignore_mac: bool,
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        binary::decrypt(&self.document, &self.metadata, key, ignore_mac)
            .map_err(|error| self.cannot_open(&error))
    }

    /// The selection for sealing changed values of this file.
    ///
    /// # Errors
    /// [`Exit::Failed`] if its expression is invalid: new values would stay in clear.
    pub(crate) fn strict_selection(&self) -> Result<Selection, Failure> {
        self.metadata.strict_selection().map_err(|error| {
            let message = format!(
                "the rule in the metadata of `{}` is invalid: {error}",
                self.name
            );
            Failure::new(Exit::Failed, message).hint("correct the expression in the `sops` entry")
        })
    }

    /// What went wrong with opening, in words.
    pub(crate) fn cannot_open(&self, error: &DecryptError) -> Failure {
        let at = |failure: Failure, span: Span| {
            failure.at(
                self.name,
                self.document.format(),
                self.document.source(),
                span.start(),
            )
        };
        match error {
            DecryptError::Leaf(scan) => {
                at(Failure::new(Exit::CannotOpen, &scan.message), scan.span)
            }
            DecryptError::Token { span, .. } => at(
                Failure::new(Exit::CannotOpen, error.to_string()),
                *span,
            )
            .hint(
                "restore the line from git, or type the value anew with `edit` once the rest opens",
            ),
            DecryptError::CannotWrite { span, .. } => {
                at(Failure::new(Exit::CannotEmit, error.to_string()), *span)
            }
            DecryptError::Mac(mac) => self.bad_mac(*mac),
            _ => Failure::new(Exit::CannotOpen, error.to_string()),
        }
    }

    fn bad_mac(&self, error: MacError) -> Failure {
        let failure = Failure::new(Exit::MacMismatch, format!("{error}: `{}`", self.name));
        let failure = match self.metadata_field("mac") {
            Some(span) => failure.at(
                self.name,
                self.document.format(),
                self.document.source(),
                span.start(),
            ),
            None => failure,
        };
        let detail = match error {
            MacError::Missing => "without it nobody can tell whether values were changed",
            MacError::Unreadable(_) => {
                "the MAC or `lastmodified` was changed, or the file is not whole"
            }
            MacError::Mismatch => {
                "a value was changed, added, removed or moved without this file's key: by hand, by a text merge, or on purpose"
            }
        };
        failure.detail(detail).hint(
            "compare with an older version in git; `--ignore-mac` opens the file all the same, so look at every value",
        )
    }

    fn metadata_field(&self, name: &str) -> Option<Span> {
        field_span(&self.document, name)
    }

    /// Says what was odd: once for each kind, with the first place.
    pub(crate) fn warn(&self, context: &mut Context, warnings: &[Warning]) {
        let count = |kind: fn(&Warning) -> Option<Span>| {
            let spans: Vec<Span> = warnings.iter().filter_map(kind).collect();
            let first = *spans.first()?;
            let Position { line, .. } = Position::of(self.document.source(), first.start());
            Some((spans.len(), line))
        };
        let name = self.name;
        if let Some((number, line)) = count(|w| match w {
            Warning::CommentInClear(span) => Some(*span),
            Warning::CommentNotOpened(_) | Warning::CommentNotText(_) => None,
        }) {
            context.warn(&format!(
                "{number} comment(s) in `{name}` should be sealed but are in clear, the first in line {line}"
            ));
        }
        if let Some((number, line)) = count(|w| match w {
            Warning::CommentNotOpened(span) | Warning::CommentNotText(span) => Some(*span),
            Warning::CommentInClear(_) => None,
        }) {
            context.warn(&format!(
                "{number} sealed comment(s) in `{name}` do not open and were left as they are, the first in line {line}"
            ));
        }
    }
}

/// The kinds of keys in the order in which they are tried.
///
/// # Errors
/// [`Exit::RepeatedInOrder`] if one stands there twice.
pub(crate) fn order(
    context: &mut Context,
    arguments: &IdentityArgs,
) -> Result<Vec<RecipientKind>, Failure> {
    let known: Vec<&str> = RecipientKind::LOAD_ORDER.map(RecipientKind::name).to_vec();
    let names = || {
        arguments
            .decryption_order
            .iter()
            .flat_map(|names| names.split(','))
    };
    for unknown in names().filter(|name| !name.is_empty() && !known.contains(name)) {
        let known = known.join(", ");
        context.warn(&format!(
            "`{unknown}` in the decryption order is no type of key; there are {known}"
        ));
    }
    keys::parse_order(&arguments.decryption_order.join(","))
        .map_err(|error| Failure::new(Exit::RepeatedInOrder, error.to_string()))
}

fn not_sealed(name: &str) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("`{name}` is not encrypted: sops metadata not found"),
    )
    .hint(if name == Input::Stdin.name() {
        "perhaps it is decrypted already".to_owned()
    } else {
        format!("encrypt it with `sops-rs encrypt -i {}`", typed(name))
    })
}

fn not_an_envelope(name: &str) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("`{name}` is not encrypted: sops metadata not found"),
    )
    .detail("its format is taken to be binary, since its name says no other")
    .hint("give `--input-type` if it is YAML, JSON, dotenv, INI or TOML")
}

/// The metadata cannot be read: which field, and where.
pub(crate) fn bad_metadata(name: &str, document: &Document<'_>, error: &MetadataError) -> Failure {
    let failure = Failure::new(
        Exit::Failed,
        format!("the metadata of `{name}` is wrong: {error}"),
    );
    let field = error.field.split(['.', '[']).next().unwrap_or_default();
    let span = field_span(document, field).or_else(|| {
        let node = document.node(*document.metadata().first()?)?;
        Some(node.key.unwrap_or(node.span))
    });
    let failure = match span {
        Some(span) => failure.at(name, document.format(), document.source(), span.start()),
        None => failure,
    };
    failure.hint("restore the `sops` entry from git")
}

/// Where a field of the metadata stands.
fn field_span(document: &Document<'_>, name: &str) -> Option<Span> {
    let id: NodeId = if document.format() == Format::Dotenv {
        document.metadata().iter().copied().find(|&id| {
            let key = document.node(id).and_then(|node| document.key(node).ok());
            key.is_some_and(|key| key.strip_prefix("sops_") == Some(name))
        })?
    } else {
        document.entry(*document.metadata().first()?, name)?
    };
    let node = document.node(id)?;
    Some(node.key.unwrap_or(node.span))
}

/// Nobody could open the file: every group, every key, what was tried, and what to do.
fn not_recovered(name: &str, error: &NotRecovered, places: &Places) -> Failure {
    let mut failure = Failure::new(Exit::NoDataKey, format!("no identity could open `{name}`"));
    let groups = error.groups.len();
    if groups > 1 {
        failure = failure.detail(format!(
            "{} of {groups} groups must be opened; {} could be",
            error.threshold,
            error.recovered()
        ));
    }
    for (index, group) in error.groups.iter().enumerate() {
        if groups > 1 {
            failure = failure.detail(format!("group {}:", index + 1));
        }
        for attempt in group {
            let outcome = outcome_for(attempt, places);
            failure = failure.detail(format!("{}  {outcome}", attempt.identity));
        }
    }
    if let Some(combining) = &error.combining {
        failure = failure.detail(format!("the shares do not fit together: {combining}"));
    }
    let mut attempts = error.groups.iter().flatten();
    let empty = places.looked_in();
    // Nobody cares for identities of age where there is nothing to use them on.
    if !empty.is_empty() && attempts.any(|attempt| attempt.kind == RecipientKind::Age) {
        failure = failure.detail(format!("no identity in {}", empty.join(", ")));
    }
    failure.hint(remedy(error, places))
}

/// The one thing to do for somebody who cannot open a file.
pub(crate) fn remedy(error: &NotRecovered, places: &Places) -> &'static str {
    let attempts = || error.groups.iter().flatten();
    let failed = |attempt: &Attempt| matches!(attempt.outcome, Outcome::Failed(_));
    let supported = |attempt: &Attempt| !matches!(attempt.outcome, Outcome::NoService { .. });
    let needs_feature = |attempt: &Attempt| {
        matches!(
            attempt.outcome,
            Outcome::NoService {
                missing_feature: Some(_)
            }
        )
    };
    let ssh = |attempt: &Attempt| attempt.identity.starts_with("ssh-");
    let pgp = |attempt: &Attempt| attempt.kind == RecipientKind::Pgp;
    if let Some(advice) = attempts().find_map(advice) {
        advice
    } else if attempts().any(failed) {
        "correct what failed above, or ask someone who can open the file to add you"
    } else if !attempts().any(supported) && attempts().any(needs_feature) {
        "use a build of this program with the feature named above, or open it with SOPS itself"
    } else if !attempts().any(supported) {
        "open it with SOPS itself, and add an age recipient: `sops rotate -i --add-age age1… FILE`"
    } else if attempts().filter(|attempt| supported(attempt)).all(ssh) {
        "set SOPS_AGE_SSH_PRIVATE_KEY_FILE to the private key of a recipient listed above"
    } else if attempts().filter(|attempt| supported(attempt)).all(pgp) {
        "import the secret key of a recipient listed above into gpg, or ask its owner to add you"
    } else if places.found_any() {
        "set SOPS_AGE_KEY_FILE to the key file of someone listed above, or ask one of them to add you"
    } else {
        "set SOPS_AGE_KEY_FILE to your key file, or make an identity with `sops-rs init` and ask someone listed above to add it"
    }
}

/// What to do about one attempt that failed, if its service says enough to tell.
pub(crate) fn advice(attempt: &Attempt) -> Option<&'static str> {
    gpg::advice(attempt).or_else(|| attempt.needs_login().then(|| login(attempt.kind)))
}

/// How to log in to the back end of a kind.
fn login(kind: RecipientKind) -> &'static str {
    match kind {
        RecipientKind::Kms => {
            "log in to AWS (`aws sso login`, AWS_PROFILE) as somebody who may use the key; `aws sts get-caller-identity` says who you are"
        }
        _ => "log in as somebody who may use the key",
    }
}

/// What came of one attempt, in words, for somebody whose identities are in these places.
pub(crate) fn outcome_for(attempt: &Attempt, places: &Places) -> String {
    match attempt.outcome {
        Outcome::NotMine if attempt.kind == RecipientKind::Age && !places.found_any() => {
            "you have no identity to try".to_owned()
        }
        _ => outcome(attempt),
    }
}

/// What came of one attempt, in words.
pub(crate) fn outcome(attempt: &Attempt) -> String {
    match &attempt.outcome {
        Outcome::Done => "opened".to_owned(),
        Outcome::NotMine if attempt.kind == RecipientKind::Pgp => {
            "gpg has no secret key for it".to_owned()
        }
        Outcome::NotMine => "none of your identities fits".to_owned(),
        Outcome::Failed(error) => {
            let mut text = format!("failed: {error}");
            let mut cause = std::error::Error::source(error);
            while let Some(next) = cause {
                text.push_str(&format!(": {next}"));
                cause = next.source();
            }
            text
        }
        Outcome::NoService {
            missing_feature: Some(feature),
        } => {
            format!("not tried: this program was built without the feature `{feature}`")
        }
        Outcome::NoService { .. } if attempt.kind == RecipientKind::Unknown => {
            "not tried: this version does not know such keys".to_owned()
        }
        Outcome::NoService { .. } if attempt.kind == RecipientKind::Hckms => {
            "not tried: this program cannot use keys of HuaweiCloud KMS yet".to_owned()
        }
        Outcome::NoService {
            missing_feature: None,
        } => format!(
            "not tried: keys of type `{}` are not supported in this version",
            attempt.kind.name()
        ),
    }
}

#[cfg(test)]
mod tests;
