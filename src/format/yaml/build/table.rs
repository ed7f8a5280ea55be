//! The node table while it grows: open collections, keys and their duplicates, anchors, merge keys and comments.
//!
//! Comments go where SOPS will look for them (spec 7.2.4): an inline one before the entry it stands beside, one behind a
//! flow collection inside it, all others by their column.

use std::collections::{HashMap, VecDeque};

use super::Props;
use super::keys::Keys;
use crate::format::MAX_DEPTH;
use crate::format::yaml::merge::is_merge;
use crate::format::yaml::resolve::resolve;
use crate::format::yaml::scalar::decode;
use crate::format::yaml::scan::Comment;
use crate::format::yaml::scan::scalars::Header;
use crate::format::yaml::tag::Directives;
use crate::node::{Form, Kind, Node, NodeId, ScanError, Tag};
use crate::span::{Position, Span};

type Comments = VecDeque<Comment>;

/// What an anchor names.
#[derive(Clone, Copy)]
enum Target {
    Node(NodeId),
    Key,
}

/// An open collection.
struct Frame {
    id: NodeId,
    mapping: bool,
    flow: bool,
    /// Column of a block collection.
    column: usize,
    /// The key whose value comes next, or the dash of the item that does.
    key: Option<Span>,
    /// Whether what comes next, or every item, must be a mapping because it is merged.
    merge: bool,
    last_child: Option<NodeId>,
}

pub(super) struct Table<'a> {
    source: &'a str,
    nodes: Vec<Node>,
    frames: Vec<Frame>,
    keys: Vec<Keys<'a>>,
    anchors: HashMap<&'a str, Target>,
    /// Where the content read last ends.
    pub(super) last_end: usize,
    /// The root of the current document, once there is one.
    root: Option<NodeId>,
    documents: usize,
    /// Comments to insert before nodes that were already there.
    insertions: Vec<(NodeId, Node)>,
}

impl<'a> Table<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self {
            source,
            // About as many as ordinary text has; what is not used is never touched.
            nodes: Vec::with_capacity(source.len() / 16 + 16),
            frames: Vec::new(),
            keys: Vec::new(),
            anchors: HashMap::new(),
            last_end: 0,
            root: None,
            documents: 0,
            insertions: Vec::new(),
        }
    }

    /// Column of the innermost open block collection.
    pub(super) fn column(&self) -> u32 {
        let column = self.frames.last().map_or(0, |frame| frame.column);
        u32::try_from(column).unwrap_or(u32::MAX)
    }

    /// A document begins; `mark` is its `---`. Comments before that belong to the document before, if there is one.
    pub(super) fn begin_document(&mut self, mark: Option<Span>, comments: &mut Comments) {
        if let Some(mark) = mark {
            self.flush(mark.start(), comments);
            self.end_root();
        }
        self.root = None;
        self.documents += 1;
    }

    /// The document ends at `at`.
    pub(super) fn end_document(&mut self, at: usize, comments: &mut Comments) {
        if self.root.is_none() {
            self.root = Some(self.nodes.len());
            self.nodes
                .push(Node::new(Kind::Mapping, None, Span::at(at)));
        }
        self.flush(at, comments);
        self.end_root();
    }

    fn end_root(&mut self) {
        let end = self.nodes.len();
        if let Some(root) = self.root.and_then(|root| self.nodes.get_mut(root)) {
            root.end = end;
        }
    }

    /// The finished table.
    pub(super) fn finish(
        mut self,
        comments: &mut Comments,
        end: usize,
    ) -> Result<Vec<Node>, ScanError> {
        if self.documents == 0 {
            self.end_document(end, comments);
        }
        self.flush(usize::MAX, comments);
        self.end_root();
        Ok(if self.insertions.is_empty() {
            self.nodes
        } else {
            self.with_insertions()
        })
    }

    fn with_insertions(mut self) -> Vec<Node> {
        self.insertions.sort_by_key(|&(before, _)| before);
        let mut added = self.insertions.iter().peekable();
        let mut moved = Vec::with_capacity(self.nodes.len());
        let mut nodes = Vec::with_capacity(self.nodes.len() + self.insertions.len());
        for (id, node) in self.nodes.iter().enumerate() {
            while let Some((_, comment)) = added.next_if(|&&(before, _)| before <= id) {
                nodes.push(*comment);
            }
            moved.push(nodes.len());
            nodes.push(*node);
        }
        nodes.extend(added.map(|&(_, comment)| comment));
        let new = |id: NodeId| moved.get(id).copied().unwrap_or(id);
        for node in &mut nodes {
            node.parent = node.parent.map(new);
            if let Kind::Alias { target } = &mut node.kind {
                *target = new(*target);
            }
        }
        for id in 0..nodes.len() {
            if let Some(node) = nodes.get_mut(id) {
                node.end = id + 1;
            }
        }
        for id in (0..nodes.len()).rev() {
            let Some(&Node {
                parent: Some(parent),
                end,
                ..
            }) = nodes.get(id)
            else {
                continue;
            };
            if let Some(parent) = nodes.get_mut(parent) {
                parent.end = parent.end.max(end);
            }
        }
        nodes
    }

    /// The dash of the item that comes next. Comments above it belong to the list and stand before the whole item, also
    /// before all of a mapping that is the item.
    pub(super) fn dash(&mut self, span: Span, comments: &mut Comments) {
        self.flush(span.start(), comments);
        if let Some(frame) = self.frames.last_mut() {
            frame.key = Some(span);
        }
    }

    fn key_is_next(&self) -> bool {
        self.frames
            .last()
            .is_some_and(|frame| frame.mapping && frame.key.is_none())
    }

    /// A key's tag is read again without the `%TAG` lines when somebody asks for the key, so it must mean the same.
    pub(super) fn check_key_tag(&self, span: Span, tag: Tag) -> Result<(), ScanError> {
        let plainly = Directives::default().resolve(span.of(self.source));
        if self.key_is_next() && plainly.is_some_and(|plainly| plainly != tag) {
            return Err(
                ScanError::new(span, "this tag of a key is defined by a `%TAG` line")
                    .with_hint("write the key without a tag, or with its long form `!<…>`"),
            );
        }
        Ok(())
    }

    /// A scalar was found: a key, a value or an item.
    pub(super) fn scalar(
        &mut self,
        form: Form,
        span: Span,
        inner: Span,
        props: Props,
        comments: &mut Comments,
    ) -> Result<(), ScanError> {
        if self.key_is_next() {
            return self.scalar_key(form, span, inner, props, comments);
        }
        self.flush(span.end(), comments);
        self.flush_beside(span.end(), comments);
        let id = self.push(Kind::Scalar, span, props, false)?;
        let node = self.nodes.get_mut(id).map(|node| {
            (node.form, node.inner, node.end) = (form, inner, id + 1);
            *node
        });
        self.name(props, Target::Node(id));
        match node {
            Some(node) => check_tag(self.source, &node),
            None => Ok(()),
        }
    }

    /// A value or key that is not there, at `at`.
    pub(super) fn empty(
        &mut self,
        at: usize,
        props: Props,
        comments: &mut Comments,
    ) -> Result<(), ScanError> {
        self.scalar(Form::Plain, Span::at(at), Span::at(at), props, comments)
    }

    fn scalar_key(
        &mut self,
        form: Form,
        span: Span,
        inner: Span,
        props: Props,
        comments: &mut Comments,
    ) -> Result<(), ScanError> {
        let start = props.span.map_or(span.start(), Span::start);
        self.flush(start, comments);
        let whole = Span::new(start, span.end());
        if matches!(form, Form::Literal | Form::Folded)
            && Header::parse(self.source.as_bytes(), span.start() + 1)
                .is_none_or(|header| header.indent > 0)
        {
            return Err(
                ScanError::new(whole, "a key as a block with an indentation indicator")
                    .with_hint("write the key in double quotes"),
            );
        }
        let text = decode(self.source, form, span, inner, None);
        let plain = form == Form::Plain;
        if resolve(&text, plain, props.tag).is_none() {
            return Err(misfit(whole, props.tag));
        }
        let merges = is_merge(&text, plain, props.tag);
        self.name(props, Target::Key);
        self.add_key(text, whole, merges)
    }

    /// Takes note of a key: its value comes next.
    fn add_key(
        &mut self,
        text: std::borrow::Cow<'a, str>,
        span: Span,
        merges: bool,
    ) -> Result<(), ScanError> {
        let depth = self.frames.len();
        if let Some(frame) = self.frames.last_mut() {
            (frame.key, frame.merge) = (Some(span), merges);
        }
        // SOPS decodes only the first document in a way that notices.
        if self.documents > 1 {
            return Ok(());
        }
        while self.keys.len() < depth {
            self.keys.push(Keys::default());
        }
        let Some(keys) = self.keys.get_mut(depth.saturating_sub(1)) else {
            return Ok(());
        };
        let shown = text.clone();
        let Some(before) = keys.add(text, span) else {
            return Ok(());
        };
        let line = Position::of(self.source, before.start()).line;
        let shown: String = shown
            .chars()
            .take(80)
            .flat_map(char::escape_debug)
            .collect();
        Err(
            ScanError::new(span, format!("the key `{shown}` is already on line {line}"))
                .with_hint("remove or rename one of them"),
        )
    }

    /// An alias was found: a key, a value or an item.
    pub(super) fn alias(&mut self, span: Span, comments: &mut Comments) -> Result<(), ScanError> {
        let name = span.of(self.source).get(1..).unwrap_or_default();
        let Some(&target) = self.anchors.get(name) else {
            // Not named: it may be a password that begins with `*`.
            return Err(
                ScanError::new(span, "there is no anchor of this name above this alias")
                    .with_hint("put a value that begins with `*` in quotes"),
            );
        };
        if self.key_is_next() {
            return Err(ScanError::new(span, "an alias as a key").with_hint("write the key out"));
        }
        let Target::Node(target) = target else {
            return Err(ScanError::new(span, "an alias to a key").with_hint("write the text out"));
        };
        if self.nodes.get(target).is_none_or(|node| node.end == 0) {
            return Err(ScanError::new(
                span,
                format!("the anchor `{name}` contains itself"),
            ));
        }
        self.flush(span.end(), comments);
        self.flush_beside(span.end(), comments);
        let id = self.push(Kind::Alias { target }, span, Props::default(), false)?;
        if let Some(node) = self.nodes.get_mut(id) {
            node.end = id + 1;
        }
        Ok(())
    }

    pub(super) fn open_mapping(
        &mut self,
        start: usize,
        props: Props,
        column: Option<u32>,
        flow: bool,
        comments: &mut Comments,
    ) -> Result<(), ScanError> {
        self.open(Kind::Mapping, start, props, column, flow, comments)
    }

    pub(super) fn open_sequence(
        &mut self,
        start: usize,
        props: Props,
        column: Option<u32>,
        flow: bool,
        comments: &mut Comments,
    ) -> Result<(), ScanError> {
        self.open(Kind::Sequence, start, props, column, flow, comments)
    }

    fn open(
        &mut self,
        kind: Kind,
        start: usize,
        props: Props,
        column: Option<u32>,
        flow: bool,
        comments: &mut Comments,
    ) -> Result<(), ScanError> {
        if self.key_is_next() {
            return Err(collection_key(Span::at(start)));
        }
        if flow {
            self.flush(start, comments);
        } else {
            while comments
                .front()
                .is_some_and(|next| next.line && next.span.start() < start)
                && self.take_comment(comments)
            {}
        }
        let id = self.push(kind, Span::at(start), props, flow)?;
        self.name(props, Target::Node(id));
        let merge = kind == Kind::Sequence
            && self
                .frames
                .last_mut()
                .is_some_and(|frame| std::mem::take(&mut frame.merge));
        if self.frames.len() >= MAX_DEPTH {
            return Err(ScanError::new(Span::at(start), "nested too deeply"));
        }
        self.frames.push(Frame {
            id,
            mapping: kind == Kind::Mapping,
            flow,
            column: column.unwrap_or(0) as usize,
            key: None,
            merge,
            last_child: None,
        });
        Ok(())
    }

    /// The innermost collection ends at `end`, and what follows it stands at `next`: of the comments before that, it gets
    /// those that are not left of its column.
    pub(super) fn close(
        &mut self,
        end: usize,
        next: usize,
        comments: &mut Comments,
    ) -> Result<(), ScanError> {
        let Some(frame) = self.frames.last() else {
            return Ok(());
        };
        let (id, flow, column) = (frame.id, frame.flow, frame.column);
        while comments.front().is_some_and(|comment| {
            comment.span.start() < next && (flow || comment.column >= column)
        }) {
            self.take_comment(comments);
        }
        self.frames.pop();
        let count = self.nodes.len();
        if let Some(node) = self.nodes.get_mut(id) {
            node.end = count;
            node.span = Span::new(node.span.start(), end);
            node.inner = node.span;
        }
        if let Some(keys) = self.keys.get_mut(self.frames.len()) {
            keys.clear();
        }
        if flow {
            // Behind the value of a key it counts as the first thing inside; behind an item of a list, before that item.
            let parent = self.nodes.get(id).and_then(|node| node.parent);
            let list = parent.filter(|&parent| {
                self.nodes
                    .get(parent)
                    .is_some_and(|node| node.kind == Kind::Sequence)
            });
            let (before, parent) = list.map_or((id + 1, id), |list| (id, list));
            let in_flow = self.nodes.get(parent).is_some_and(|node| node.flow);
            while let Some(comment) = beside(self.source, end, comments) {
                comments.pop_front();
                self.insertions
                    .push((before, comment_node(comment, parent, in_flow)));
            }
        }
        Ok(())
    }

    /// A comment behind the comma that ends at `end` belongs to the entry before it.
    pub(super) fn after_comma(&mut self, end: usize, comments: &mut Comments) {
        let Some(&Frame {
            id: parent,
            last_child: Some(last),
            ..
        }) = self.frames.last()
        else {
            return;
        };
        let kind = |id: NodeId| self.nodes.get(id).map(|node| node.kind);
        let container = self.nodes.get(last).is_some_and(Node::is_container);
        let (before, parent) = if container && kind(parent) != Some(Kind::Sequence) {
            (last + 1, last)
        } else {
            (last, parent)
        };
        while let Some(comment) = beside(self.source, end, comments) {
            comments.pop_front();
            self.insertions
                .push((before, comment_node(comment, parent, true)));
        }
    }

    /// Adds a node at the current place.
    fn push(
        &mut self,
        kind: Kind,
        span: Span,
        props: Props,
        flow: bool,
    ) -> Result<NodeId, ScanError> {
        let id = self.nodes.len();
        let mut node = Node::new(kind, self.frames.last().map(|frame| frame.id), span);
        node.props = props.span.unwrap_or(Span::at(span.start()));
        node.tag = props.tag;
        node.flow = flow || self.frames.last().is_some_and(|frame| frame.flow);
        match self.frames.last_mut() {
            Some(frame) => {
                node.key = frame.key.take();
                frame.last_child = Some(id);
                let merge = frame.merge;
                frame.merge = frame.merge && (!frame.mapping || kind == Kind::Sequence);
                if merge && !self.can_merge(kind) {
                    return Err(ScanError::new(
                        span,
                        "`<<` merges a mapping or a list of mappings only",
                    )
                    .with_hint("put the key in quotes if `<<` is its name"));
                }
            }
            None if kind == Kind::Mapping => self.root = Some(id),
            None => {
                return Err(ScanError::new(span, "the top level must be a mapping")
                    .with_hint("put the value under a key"));
            }
        }
        self.nodes.push(node);
        Ok(id)
    }

    /// Whether a node of this kind may stand where mappings are merged.
    fn can_merge(&self, kind: Kind) -> bool {
        match kind {
            Kind::Mapping => true,
            Kind::Sequence => self.frames.last().is_some_and(|frame| frame.mapping),
            Kind::Alias { target } => self
                .nodes
                .get(target)
                .is_some_and(|node| node.kind == Kind::Mapping),
            Kind::Scalar | Kind::Comment => false,
        }
    }

    /// Remembers the anchor in `props`.
    fn name(&mut self, props: Props, target: Target) {
        if let Some(anchor) = props.anchor {
            self.anchors.insert(anchor.of(self.source), target);
        }
    }

    /// Places the comments before `end`, unless there is no collection yet that could hold them.
    fn flush(&mut self, end: usize, comments: &mut Comments) {
        while comments.front().is_some_and(|next| next.span.start() < end)
            && self.take_comment(comments)
        {}
    }

    /// Places the comment that follows `end` on its line.
    fn flush_beside(&mut self, end: usize, comments: &mut Comments) {
        while beside(self.source, end, comments).is_some() && self.take_comment(comments) {}
    }

    /// Makes the next comment an entry of the innermost open collection; whether there is one.
    fn take_comment(&mut self, comments: &mut Comments) -> bool {
        let parent = self.frames.last().map(|frame| (frame.id, frame.flow));
        let Some((parent, flow)) = parent.or(self.root.map(|root| (root, false))) else {
            return false;
        };
        let Some(comment) = comments.pop_front() else {
            return false;
        };
        let mut node = comment_node(comment, parent, flow);
        node.end = self.nodes.len() + 1;
        self.nodes.push(node);
        true
    }
}

/// The next comment, if it follows `end` on its line with only blanks between.
fn beside(source: &str, end: usize, comments: &Comments) -> Option<Comment> {
    let next = comments
        .front()
        .filter(|next| next.line && next.span.start() >= end)?;
    let gap = source.as_bytes().get(end..next.span.start())?;
    gap.iter()
        .all(|byte| matches!(byte, b' ' | b'\t'))
        .then_some(*next)
}

fn comment_node(comment: Comment, parent: NodeId, flow: bool) -> Node {
    let mut node = Node::new(Kind::Comment, Some(parent), comment.span);
    node.inner = Span::new(comment.span.start() + 1, comment.span.end());
    node.inline = comment.inline;
    node.flow = flow;
    node
}

fn collection_key(span: Span) -> ScanError {
    ScanError::new(span, "a mapping or list as a key")
        .with_hint("put a value that begins with `{` or `[` in quotes")
}

/// Refuses a tag that does not fit its scalar.
fn check_tag(source: &str, node: &Node) -> Result<(), ScanError> {
    if matches!(node.tag, Tag::None | Tag::Str | Tag::Other | Tag::Merge) {
        return Ok(());
    }
    let text = decode(source, node.form, node.span, node.inner, node.key);
    if resolve(&text, node.form == Form::Plain, node.tag).is_none() {
        let end = node.span.end();
        return Err(misfit(Span::new(node.props.start(), end), node.tag));
    }
    Ok(())
}

fn misfit(span: Span, tag: Tag) -> ScanError {
    let name = match tag {
        Tag::Int => "!!int",
        Tag::Float => "!!float",
        Tag::Bool => "!!bool",
        Tag::Null => "!!null",
        Tag::Timestamp => "!!timestamp",
        _ => "!!binary",
    };
    ScanError::new(span, format!("the tag `{name}` does not fit its value"))
        .with_hint("remove the tag or correct the value")
}
