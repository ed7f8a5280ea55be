//! Sealing the leaves of a plaintext document: which edits, and which MAC.
//!
//! Knows the walk, the selection and the cipher. Knows nothing of metadata: that a file also gets a `sops` entry is the
//! business of `encrypt`.

use crate::cipher::{Cipher, IV_LEN, Token};
use crate::document::{Document, Path, Step};
use crate::edit::{Edit, splice};
use crate::format::{self, Format};
use crate::mac::Mac;
use crate::node::{Form, Kind, Node, NodeId, ScanError};
use crate::ops::encrypt::EncryptError;
use crate::ops::open::text_of;
use crate::ops::reuse::{Kept, Mark, Plan, Reuse};
use crate::random::Random;
use crate::selection::{Rule, Selection, Tracker};
use crate::value::{Type, Value};
use zeroize::Zeroizing;

/// The sealed leaves of a document.
#[derive(Debug)]
pub struct SealedLeaves {
    /// Edits that put a token in place of every selected value and comment.
    pub edits: Vec<Edit>,
    /// The MAC of the tree, in hexadecimal.
    pub mac: String,
    /// How many values were sealed, comments not counted.
    pub sealed: usize,
    /// How many values and comments got a fresh token, not one that was kept.
    pub fresh: usize,
    /// Paths of the first values that stay in clear, for a message; at most [`SHOWN_CLEAR`].
    pub clear: Vec<String>,
    /// Paths of values whose plaintext is itself a token: most likely sealed a second time by mistake.
    pub tokens_as_text: Vec<String>,
}

/// How many clear values a [`SealedLeaves`] names.
pub const SHOWN_CLEAR: usize = 8;

/// Seals every leaf that `selection` selects. No selected leaf may stand behind an alias: see [`expand_aliases`].
///
/// # Errors
/// [`EncryptError`] if a value or key is one that SOPS cannot handle, selected or not (spec 1.3, 2).
pub fn seal_leaves(
    document: &Document<'_>,
    selection: &Selection,
    cipher: &Cipher,
    reuse: Option<Reuse>,
    random: &mut dyn Random,
) -> Result<SealedLeaves, EncryptError> {
    let kept = match reuse {
        Some(reuse) => {
            let marks = marks(document, selection)?;
            let typed = document.has_meanings();
            Some(if typed { reuse } else { reuse.by_text() }.plan(marks))
        }
        None => None,
    };
    let mut sealer = LeafSealer {
        document,
        selection,
        cipher,
        kept,
        random,
        last: last_as_written(document)?,
        mac: Mac::new(selection.mac_only_encrypted()),
        result: SealedLeaves {
            edits: Vec::with_capacity(leaves(document)),
            mac: String::new(),
            sealed: 0,
            fresh: 0,
            clear: Vec::new(),
            tokens_as_text: Vec::new(),
        },
    };
    let mut tracker = Tracker::new(selection);
    document.walk(|step| {
        let selected = tracker.step(&step, document)?.unwrap_or(false);
        match step {
            Step::Leaf { id, path, .. } if !selected => sealer.clear_leaf(id, path),
            Step::Leaf {
                id, path, alias, ..
            } => sealer.leaf(id, path, alias.is_some()),
            Step::Comment {
                id,
                path,
                alias: None,
            } if selected => sealer.comment(id, path),
            Step::Comment { .. } | Step::Enter { .. } | Step::Leave { .. } => Ok(()),
        }
    })?;
    let mut result = sealer.result;
    result.mac = sealer.mac.finish();
    Ok(result)
}

/// Refuses a comment that decides what is sealed, but not for every reader the same.
///
/// # Errors
/// [`EncryptError::DoubtfulComment`] at the first such comment.
pub(super) fn refuse_doubtful(
    document: &Document<'_>,
    selection: &Selection,
) -> Result<(), EncryptError> {
    let (Rule::EncryptedCommentRegex(pattern) | Rule::UnencryptedCommentRegex(pattern)) =
        selection.rule()
    else {
        return Ok(());
    };
    let (format, source, nodes) = (document.format(), document.source(), document.nodes());
    for id in format::doubtful_comments(format, source, nodes) {
        let Some(node) = document.node(id) else {
            continue;
        };
        if pattern.is_match(text_of(&document.value(node)?)) {
            return Err(EncryptError::DoubtfulComment(node.span));
        }
    }
    Ok(())
}

/// The state of sealing one document, leaf by leaf.
struct LeafSealer<'d, 's> {
    document: &'d Document<'s>,
    selection: &'d Selection,
    cipher: &'d Cipher,
    /// Tokens to be kept.
    kept: Option<Plan>,
    random: &'d mut dyn Random,
    /// See [`last_as_written`].
    last: Option<(NodeId, Value<'static>)>,
    mac: Mac,
    result: SealedLeaves,
}

impl LeafSealer<'_, '_> {
    fn clear_leaf(&mut self, id: NodeId, path: &Path) -> Result<(), EncryptError> {
        let Some(node) = self.document.node(id) else {
            return Ok(());
        };
        let value = match &self.last {
            Some((last, value)) if *last == id => value.clone(),
            _ => self.document.plaintext(node)?,
        };
        self.mac.feed(&value, false);
        if !value.is_empty() && self.result.clear.len() < SHOWN_CLEAR {
            self.result.clear.push(path.to_string());
        }
        Ok(())
    }

    fn leaf(&mut self, id: NodeId, path: &Path, aliased: bool) -> Result<(), EncryptError> {
        let Some(node) = self.document.node(id) else {
            return Ok(());
        };
        let value = match self.document.meaning(id) {
            Some(meaning) => meaning.clone(),
            None => self.document.plaintext(node)?,
        };
        let Some(kind) = value.token_type().filter(|_| !value.is_empty()) else {
            let grows = |(last, written): &(NodeId, Value<'_>)| *last == id && !written.is_empty();
            if self.last.as_ref().is_some_and(grows) {
                // Empty, but not when the metadata follows: without `+` it stays so.
                self.put(node, String::new());
            }
            return Ok(());
        };
        if aliased {
            return Err(EncryptError::AliasOverSealed(node.span));
        }
        if is_token(&value) {
            self.result.tokens_as_text.push(path.to_string());
        }
        let Kept { token, quotes } = self.token(&value, kind, path);
        let kept = self.kept_value(&token, kind, path);
        self.mac.feed(kept.as_ref().unwrap_or(&value), true);
        let (format, source) = (self.document.format(), self.document.source());
        let edit = quotes
            .and_then(|form| format::write_token_as(format, source, node, &value, form, &token));
        match edit {
            Some(edit) => self.result.edits.push(edit),
            None => self.put(node, token),
        }
        self.result.sealed += 1;
        Ok(())
    }

    /// What `token` holds if it is of another type than `kind`: kept by a text that shows no types. The MAC is that of
    /// what readers will find (spec 4.1), `True` where the text is `true`.
    fn kept_value(&self, token: &str, kind: Type, path: &Path) -> Option<Value<'static>> {
        let token = Token::parse(token)?;
        let kept = token.kind().filter(|kept| *kept != kind)?;
        let bytes = self.cipher.open(&token, path.additional_data()).ok()?;
        format::opened(self.document.format(), kept, bytes).ok()
    }

    fn comment(&mut self, id: NodeId, path: &Path) -> Result<(), EncryptError> {
        let Some(node) = self.document.node(id) else {
            return Ok(());
        };
        let text = self.document.value(node)?;
        if text.is_empty() {
            return Ok(());
        }
        if node.behind_header {
            return Err(EncryptError::HeaderComment(node.span));
        }
        let Kept { token, .. } = self.token(&text, Type::Comment, path);
        let clears = |token: &str| match self.selection.rule() {
            Rule::UnencryptedCommentRegex(pattern) => pattern.is_match(token),
            _ => false,
        };
        if clears(&token) {
            return Err(EncryptError::TokenMatchesRule(node.span));
        }
        self.put(node, token);
        Ok(())
    }

    /// The token that is kept for this leaf, or a fresh one.
    fn token(&mut self, value: &Value<'_>, kind: Type, path: &Path) -> Kept {
        let plaintext = value.canonical();
        let additional_data = path.additional_data();
        let mut quotes = None;
        if let Some(plan) = &mut self.kept {
            if let Some(kept) = plan.take(Mark::of(additional_data, kind, &plaintext)) {
                return kept;
            }
            quotes = plan.quoted_at(additional_data);
        }
        self.result.fresh += 1;
        let mut iv = [0u8; IV_LEN];
        self.random.fill(&mut iv);
        let token = self.cipher.seal(&plaintext, kind, additional_data, &iv);
        Kept { token, quotes }
    }

    fn put(&mut self, node: &Node, token: String) {
        let (format, source) = (self.document.format(), self.document.source());
        format::write_token(format, source, node, token, &mut self.result.edits);
    }
}

/// What [`seal_leaves`] seals, in its order.
fn marks(document: &Document<'_>, selection: &Selection) -> Result<Vec<Mark>, ScanError> {
    let mut tracker = Tracker::new(selection);
    let mut marks = Vec::new();
    document.walk(|step| {
        if tracker.step(&step, document)? != Some(true) {
            return Ok(());
        }
        let (id, path, is_comment) = match step {
            Step::Leaf { id, path, .. } => (id, path, false),
            Step::Comment {
                id,
                path,
                alias: None,
            } => (id, path, true),
            Step::Comment { .. } | Step::Enter { .. } | Step::Leave { .. } => return Ok(()),
        };
        let Some(node) = document.node(id) else {
            return Ok(());
        };
        let value = match document.meaning(id) {
            Some(meaning) => meaning.clone(),
            None => document.plaintext(node)?,
        };
        let kind = if is_comment {
            Some(Type::Comment)
        } else {
            value.token_type()
        };
        if let Some(kind) = kind.filter(|_| !value.is_empty()) {
            marks.push(Mark::of(path.additional_data(), kind, &value.canonical()));
        }
        Ok::<(), ScanError>(())
    })?;
    Ok(marks)
}

/// The last value of a YAML text without a final line break, as it will be read from the finished file: when the metadata
/// follows, a block scalar gets that line break (spec 12: judged as written). `None` for every other text.
fn last_as_written(document: &Document<'_>) -> Result<Option<(NodeId, Value<'static>)>, ScanError> {
    let source = document.source();
    let is_scalar = |node: &Node| node.kind == Kind::Scalar;
    let last = document.nodes().iter().rposition(is_scalar);
    let block = |id: NodeId| {
        let form = document.node(id).map(|node| node.form);
        matches!(form, Some(Form::Literal | Form::Folded))
    };
    let Some(last) = last.filter(|&id| block(id) && !source.ends_with('\n')) else {
        return Ok(None);
    };
    if document.format() != Format::Yaml {
        return Ok(None);
    }
    let ended = Zeroizing::new(format!("{source}\n"));
    let ended = Document::parse(Format::Yaml, &ended)?;
    let Some(node) = ended.nodes().iter().rfind(|node| is_scalar(node)) else {
        return Ok(None);
    };
    Ok(Some((last, ended.value(node)?.into_owned())))
}

/// Writes out every alias whose content must be sealed, at its own place or at the alias's (spec 12.1: a token cannot be
/// read behind an alias). Returns the new text and how many aliases went, or `None` if there was nothing to do.
///
/// # Errors
/// [`EncryptError::AliasInClear`] if that would show a sealed value in clear and `allow_clear` does not permit it;
/// others if the walk fails.
pub fn expand_aliases(
    document: &Document<'_>,
    selection: &Selection,
    allow_clear: bool,
) -> Result<Option<(Zeroizing<String>, usize)>, EncryptError> {
    let is_alias = |node: &Node| matches!(node.kind, Kind::Alias { .. });
    if !document.nodes().iter().any(is_alias) {
        return Ok(None);
    }
    let mut tracker = Tracker::new(selection);
    let mut sealed_at_home = vec![false; document.nodes().len()];
    let mut aliases: Vec<NodeId> = Vec::new();
    document.walk(|step| {
        let selected = tracker.step(&step, document)?.unwrap_or(false);
        let Step::Leaf {
            id, path, alias, ..
        } = step
        else {
            return Ok(());
        };
        let value = document.node(id).map(|node| document.value(node));
        let selected = selected && !value.transpose()?.is_none_or(|value| value.is_empty());
        let Some(home) = sealed_at_home.get_mut(id) else {
            return Ok(());
        };
        let Some(alias) = alias else {
            *home = selected;
            return Ok(());
        };
        if *home && !selected && !allow_clear {
            let span = document
                .node(alias)
                .map(|node| node.span)
                .unwrap_or_default();
            let path = path.to_string();
            return Err(EncryptError::AliasInClear { span, path });
        }
        if (*home || selected) && aliases.last() != Some(&alias) {
            aliases.push(alias);
        }
        Ok(())
    })?;
    if aliases.is_empty() {
        return Ok(None);
    }
    let edits = format::yaml::expand(document.source(), document.nodes(), &aliases);
    let text = splice(document.source(), &edits).map_err(EncryptError::Edit)?;
    Ok(Some((text, aliases.len())))
}

/// How many values and comments a document has, which is how many edits there can be.
pub(super) fn leaves(document: &Document<'_>) -> usize {
    document
        .nodes()
        .iter()
        .filter(|node| !node.is_container())
        .count()
}

fn is_token(value: &Value<'_>) -> bool {
    match value {
        Value::Str(text) => Token::parse(text.expose()).is_some(),
        Value::Lexeme(Type::Str, text) => {
            Token::parse(text.expose().trim_start_matches(['"', '\''])).is_some()
        }
        _ => false,
    }
}
