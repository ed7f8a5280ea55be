//! Opening the leaves of a sealed document: which edits, and which MAC. Or sealing them anew where they stand.
//!
//! Knows the walk, the selection and the cipher. Whether the MAC is the right one is judged by `decrypt`, before any of the
//! edits are used.

use std::collections::HashMap;

use crate::cipher::{Cipher, IV_LEN, OpenError, Token};
use crate::document::content::Leaf;
use crate::document::{Document, Path, Step};
use crate::edit::Edit;
use crate::format::{self, Format};
use crate::mac::Mac;
use crate::node::{Kind, Node, NodeId};
use crate::ops::decrypt::{DecryptError, Warning};
use crate::ops::reuse::{Mark, Reuse};
use crate::ops::seal::leaves;
use crate::random::Random;
use crate::secret::Plain;
use crate::selection::{Selection, Tracker};
use crate::span::Span;
use crate::value::{Type, Value, from_bytes};
use zeroize::Zeroizing;

/// The opened leaves of a document.
#[derive(Debug)]
pub struct OpenedLeaves {
    /// Edits that put the plaintext in place of every token.
    pub edits: Vec<Edit>,
    /// The MAC of the tree as it was found, in hexadecimal.
    pub mac: String,
    /// What was odd, but not wrong.
    pub warnings: Vec<Warning>,
    /// The tokens, to be kept for unchanged leaves.
    pub reuse: Reuse,
    /// What the tokens stand for, by their nodes, if values were asked for and not edits.
    pub values: HashMap<NodeId, Leaf<'static>>,
}

/// How many containers around a comment are tried as its place (spec 7.2.4): more than any document has that a person wrote.
const COMMENT_PLACES: usize = 32;
/// How many bytes are looked at, for each byte of the text, to find the places of comments: far more than it takes, and a
/// bound for texts in which many comments that do not open stand deep.
const COMMENT_EFFORT: usize = 64;

/// Opens every token that `selection` says is there. `ends_text` says that the opened text will end without a line break,
/// `remember` that the tokens will be wanted again.
///
/// # Errors
/// [`DecryptError`] at the first value that should be sealed and is not a token for its place, and for everything that
/// SOPS cannot read (spec 1.6, 2).
pub fn open_leaves(
    document: &Document<'_>,
    selection: &Selection,
    cipher: &Cipher,
    ends_text: bool,
    remember: bool,
) -> Result<OpenedLeaves, DecryptError> {
    let mut opener = Opener::new(document, selection, cipher);
    opener.last = ends_text.then(|| last_value(document)).flatten();
    opener.reuse = remember.then(Reuse::default);
    opener.run(selection)
}

/// Opens every token as [`open_leaves`] does, for what they stand for: there are no edits, and no value needs a spelling in
/// the format of the document.
///
/// # Errors
/// [`DecryptError`] as [`open_leaves`] has it.
pub(super) fn open_values(
    document: &Document<'_>,
    selection: &Selection,
    cipher: &Cipher,
) -> Result<OpenedLeaves, DecryptError> {
    let mut opener = Opener::new(document, selection, cipher);
    opener.values = Some(HashMap::new());
    opener.run(selection)
}

/// Opens every token as [`open_leaves`] does, and puts one in its place that seals the same with `anew` and a fresh IV.
/// Quotes, types and everything else stay as they are.
///
/// # Errors
/// [`DecryptError`] as [`open_leaves`] has it.
pub(super) fn reseal_leaves(
    document: &Document<'_>,
    selection: &Selection,
    cipher: &Cipher,
    anew: &Cipher,
    random: &mut dyn Random,
) -> Result<OpenedLeaves, DecryptError> {
    let mut opener = Opener::new(document, selection, cipher);
    opener.anew = Some(Anew {
        cipher: anew,
        random,
    });
    opener.run(selection)
}

/// Another key that tokens are sealed with.
struct Anew<'d> {
    cipher: &'d Cipher,
    random: &'d mut dyn Random,
}

impl Anew<'_> {
    fn token(&mut self, plaintext: &[u8], kind: Type, additional_data: &str) -> String {
        let mut iv = [0u8; IV_LEN];
        self.random.fill(&mut iv);
        self.cipher.seal(plaintext, kind, additional_data, &iv)
    }
}

/// The last value in the text that is not metadata, if its document is the last: a `---` behind it ends its lines.
fn last_value(document: &Document<'_>) -> Option<NodeId> {
    let nodes = document.nodes();
    // Metadata entries stand in order and do not overlap.
    let within = |id: NodeId| {
        let behind = document.metadata().partition_point(|&entry| entry <= id);
        let entry = behind
            .checked_sub(1)
            .and_then(|at| document.metadata().get(at));
        entry.is_some_and(|&entry| nodes.get(entry).is_some_and(|node| id < node.end))
    };
    let is_value = |id: &NodeId| nodes.get(*id).is_some_and(|node| !node.is_container());
    let last = (0..nodes.len())
        .rev()
        .find(|id| is_value(id) && !within(*id))?;
    document.roots().last().filter(|&root| root <= last)?;
    Some(last)
}

struct Opener<'d, 's> {
    document: &'d Document<'s>,
    cipher: &'d Cipher,
    /// The key with which tokens are sealed anew; without it they are opened.
    anew: Option<Anew<'d>>,
    last: Option<NodeId>,
    mac: Mac,
    edits: Vec<Edit>,
    warnings: Vec<Warning>,
    reuse: Option<Reuse>,
    /// See [`OpenedLeaves::values`].
    values: Option<HashMap<NodeId, Leaf<'static>>>,
    neighbours: Neighbours,
    /// What is left of [`COMMENT_EFFORT`], in bytes.
    effort: usize,
}

impl<'d, 's> Opener<'d, 's> {
    fn new(document: &'d Document<'s>, selection: &Selection, cipher: &'d Cipher) -> Self {
        Self {
            document,
            cipher,
            anew: None,
            last: None,
            mac: Mac::new(selection.mac_only_encrypted()),
            edits: Vec::with_capacity(leaves(document)),
            warnings: Vec::new(),
            reuse: None,
            values: None,
            neighbours: Neighbours::default(),
            effort: document.source().len().saturating_mul(COMMENT_EFFORT),
        }
    }

    fn run(mut self, selection: &Selection) -> Result<OpenedLeaves, DecryptError> {
        let document = self.document;
        let mut tracker = Tracker::new(selection);
        document.walk(|step| {
            let selected = tracker.step(&step, document)?.unwrap_or(false);
            match step {
                Step::Leaf {
                    id,
                    path,
                    keyed,
                    alias,
                } => self.leaf(id, path, selected, keyed, alias.is_some()),
                Step::Comment {
                    id,
                    path,
                    alias: None,
                } => self.comment(id, path, selected),
                Step::Comment { .. } | Step::Enter { .. } | Step::Leave { .. } => Ok(()),
            }
        })?;
        Ok(OpenedLeaves {
            edits: self.edits,
            mac: self.mac.finish(),
            warnings: self.warnings,
            reuse: self.reuse.unwrap_or_default(),
            values: self.values.unwrap_or_default(),
        })
    }

    /// Puts a fresh token in place of `token`, which was opened, if that is what is wanted. Nothing but the token's own bytes
    /// is replaced: blanks beside it say how the value was written (ADR 3).
    fn seal_anew(
        &mut self,
        node: &Node,
        token: &Token<'_>,
        plaintext: &[u8],
        kind: Type,
        place: &str,
    ) -> bool {
        let Some(anew) = &mut self.anew else {
            return false;
        };
        let fresh = anew.token(plaintext, kind, place);
        let (format, source) = (self.document.format(), self.document.source());
        match node.inner.of(source).find(token.text()) {
            Some(at) => {
                let start = node.inner.start() + at;
                let span = Span::new(start, start + token.text().len());
                self.edits.push(Edit::new(span, fresh));
            }
            // Escapes in it, or a break.
            None => format::write_token(format, source, node, fresh, &mut self.edits),
        }
        true
    }

    fn leaf(
        &mut self,
        id: NodeId,
        path: &Path,
        selected: bool,
        keyed: bool,
        aliased: bool,
    ) -> Result<(), DecryptError> {
        let Some(node) = self.document.node(id) else {
            return Ok(());
        };
        if !selected {
            self.mac.feed(&self.document.plaintext(node)?, false);
            return Ok(());
        }
        let value = self.document.value(node)?;
        let text = match &value {
            Value::Null => return Ok(()),
            Value::Str(text) if text.expose().is_empty() => return Ok(()),
            Value::Str(text) => text.expose(),
            _ => return Err(DecryptError::token(node.span, path, OpenError::NotAToken)),
        };
        let fail = |error| DecryptError::token(node.span, path, error);
        let token = Token::parse(text).ok_or_else(|| fail(OpenError::NotAToken))?;
        let kind = token.kind().ok_or_else(|| fail(OpenError::UnknownType))?;
        let bytes = self
            .cipher
            .open(&token, path.additional_data())
            .map_err(fail)?;
        if kind == Type::Comment {
            // SOPS writes a comment in a list as an item (spec 3.6). It is not part of the MAC. TOML has none (spec 15.2).
            if keyed || self.document.format() == Format::Toml {
                return Err(fail(OpenError::UnknownType));
            }
            if self.seal_anew(node, &token, &bytes, kind, path.additional_data()) {
                return Ok(());
            }
            let mark = Mark::of(path.additional_data(), kind, &bytes);
            if let Some(reuse) = &mut self.reuse {
                reuse.remember(mark, &token, None);
            }
            return self.item_comment(id, node, from_bytes(bytes));
        }
        let opened = format::opened(self.document.format(), kind, bytes)
            .map_err(|error| fail(error.into()))?;
        self.mac.feed(&opened, true);
        if aliased
            || self.seal_anew(
                node,
                &token,
                &opened.canonical(),
                kind,
                path.additional_data(),
            )
        {
            return Ok(());
        }
        if let Some(values) = &mut self.values {
            values.insert(id, Leaf::Value(format::toml::meaning(opened)));
            return Ok(());
        }
        let (format, source) = (self.document.format(), self.document.source());
        let ends_text = self.last == Some(id);
        format::write_value(format, source, node, &opened, ends_text, &mut self.edits).map_err(
            |error| DecryptError::CannotWrite {
                span: node.span,
                path: path.to_string(),
                error,
            },
        )?;
        if let (Some(kind), Some(reuse)) = (opened.token_type(), &mut self.reuse) {
            let place = path.additional_data();
            let mark = Mark::of(place, kind, &opened.canonical());
            if let Some(text) = format::as_text(format, &opened) {
                let text = Mark::of(place, Type::Str, text.expose().as_bytes());
                reuse.read_as(mark, text);
            }
            let quotes = format::token_quotes(format, node);
            if let Some(quotes) = quotes {
                reuse.quoted_at(place, quotes);
            }
            reuse.remember(mark, &token, quotes);
        }
        Ok(())
    }

    fn item_comment(
        &mut self,
        id: NodeId,
        node: &Node,
        text: Value<'static>,
    ) -> Result<(), DecryptError> {
        let (format, source, nodes) = (
            self.document.format(),
            self.document.source(),
            self.document.nodes(),
        );
        let Value::Str(text) = text else {
            self.warnings.push(Warning::CommentNotText(node.span));
            if let Some(values) = &mut self.values {
                let token = node.inner.of(source).to_owned();
                values.insert(id, Leaf::Comment(Plain::owned(token)));
            }
            return Ok(());
        };
        if let Some(values) = &mut self.values {
            values.insert(id, Leaf::Comment(text));
            return Ok(());
        }
        self.edits.push(format::write_item_comment(
            format,
            source,
            nodes,
            node,
            text.expose(),
        ));
        Ok(())
    }

    /// A comment that does not open is not an error: SOPS keeps it and warns (spec 3.6).
    ///
    /// The metadata behind the last comment of a text may have moved it to another container, where the rule does not
    /// select it. So every comment that is a token is tried, and an unselected one that does not open is plain text.
    fn comment(&mut self, id: NodeId, path: &Path, selected: bool) -> Result<(), DecryptError> {
        let Some(node) = self.document.node(id) else {
            return Ok(());
        };
        let text = self.document.value(node)?;
        let Value::Str(text) = text else {
            return Ok(());
        };
        if text.expose().is_empty() {
            return Ok(());
        }
        let Some(token) = Token::parse(text.expose()) else {
            if selected {
                self.warnings.push(Warning::CommentInClear(node.span));
            }
            return Ok(());
        };
        let Some((place, bytes)) = self.open_comment(id, &token, path)? else {
            if selected {
                self.warnings.push(Warning::CommentNotOpened(node.span));
            }
            return Ok(());
        };
        if self.seal_anew(node, &token, &bytes, Type::Comment, &place) {
            return Ok(());
        }
        let opened = from_bytes(bytes);
        if let Some(values) = &mut self.values {
            match opened {
                Value::Str(text) => drop(values.insert(id, Leaf::Comment(text))),
                _ => self.warnings.push(Warning::CommentNotText(node.span)),
            }
            return Ok(());
        }
        let (format, source) = (self.document.format(), self.document.source());
        let ends_text = self.last == Some(id);
        match format::write_value(format, source, node, &opened, ends_text, &mut self.edits) {
            Ok(()) => {
                if let Some(reuse) = &mut self.reuse {
                    let mark = Mark::of(&place, Type::Comment, &opened.canonical());
                    reuse.remember(mark, &token, None);
                }
            }
            Err(_) => self.warnings.push(Warning::CommentNotText(node.span)),
        }
        Ok(())
    }

    /// Tries the comment's own container, then those around the leaves before and behind it, nearest first.
    fn open_comment(
        &mut self,
        id: NodeId,
        token: &Token<'_>,
        path: &Path,
    ) -> Result<Option<OpenedComment>, DecryptError> {
        let own = path.additional_data();
        if let Ok(bytes) = self.cipher.open(token, own) {
            return Ok(Some((own.to_owned(), bytes)));
        }
        let nodes = self.document.nodes();
        let (before, behind) = self.neighbours.of(nodes, id);
        for leaf in before.into_iter().chain(behind) {
            self.effort = self.effort.saturating_sub(depth(nodes, leaf));
            if self.effort == 0 {
                return Ok(None);
            }
            let path = self.document.path(leaf)?;
            for place in path
                .prefixes()
                .take(COMMENT_PLACES)
                .filter(|&place| place != own)
            {
                let cost = place.len() + token.text().len();
                self.effort = self.effort.saturating_sub(cost);
                if self.effort == 0 {
                    return Ok(None);
                }
                if let Ok(bytes) = self.cipher.open(token, place) {
                    return Ok(Some((place.to_owned(), bytes)));
                }
            }
        }
        Ok(None)
    }
}

/// The scalars before and behind a node that is no scalar, found in linear time for nodes in ascending order.
#[derive(Debug, Default)]
struct Neighbours {
    /// Up to where scalars were looked for.
    seen: NodeId,
    before: Option<NodeId>,
    behind: Option<NodeId>,
}

impl Neighbours {
    fn of(&mut self, nodes: &[Node], id: NodeId) -> (Option<NodeId>, Option<NodeId>) {
        while self.seen < nodes.len() && self.behind.is_none_or(|behind| behind < id) {
            if nodes
                .get(self.seen)
                .is_some_and(|node| node.kind == Kind::Scalar)
            {
                self.before = self.behind;
                self.behind = Some(self.seen);
            }
            self.seen += 1;
        }
        match self.behind.filter(|&behind| behind < id) {
            // There is none behind.
            Some(last) => (Some(last), None),
            None => (self.before, self.behind),
        }
    }
}

/// How many containers a node stands in.
fn depth(nodes: &[Node], id: NodeId) -> usize {
    std::iter::successors(Some(id), |&id| nodes.get(id)?.parent).count()
}

/// The additional data a comment opened with, and what was in it.
type OpenedComment = (String, Zeroizing<Vec<u8>>);

/// The text of a value that must be text; empty for all else.
pub(super) fn text_of<'v>(value: &'v Value<'_>) -> &'v str {
    match value {
        Value::Str(text) => Plain::expose(text),
        _ => "",
    }
}
