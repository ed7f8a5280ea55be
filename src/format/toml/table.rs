//! The tree that a TOML text describes, and which of its headers and keys may stand beside each other.
//!
//! TOML scatters: the parts of one table may stand anywhere in a file. Here each key has one place, in the order in which it
//! is mentioned first; in the end the tree is laid out as a node table. Knows the rules of TOML 1.0 on what may be defined
//! twice; knows nothing of events, values and comments.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::format::MAX_DEPTH;
use crate::node::{Kind, Node, NodeId, ScanError};
use crate::span::{Position, Span};

/// How a place came to be, which decides what may still be added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A header names the table, or begins an item of `[[…]]`.
    Header,
    /// A longer header leads through it: a header of its own may follow.
    Prefix,
    /// Dotted keys under the header, or in the inline table, of this number: only more of them may follow.
    Dotted(usize),
    /// A list of `[[…]]`.
    List,
    /// A value: it is complete.
    Value,
}

struct Place {
    node: Node,
    origin: Origin,
    depth: usize,
    children: Vec<NodeId>,
}

/// A key as it stands in the text, and decoded.
#[derive(Clone)]
pub(super) struct Key<'a> {
    pub(super) span: Span,
    pub(super) name: Cow<'a, str>,
}

/// The tree in the making. Numbers of places are not yet those of nodes.
pub(super) struct Tables<'a> {
    source: &'a str,
    places: Vec<Place>,
    entries: HashMap<(NodeId, Cow<'a, str>), NodeId>,
}

impl<'a> Tables<'a> {
    /// A tree with a root.
    pub(super) fn new(source: &'a str) -> Self {
        let root = Place {
            node: Node::new(Kind::Mapping, None, Span::new(0, source.len())),
            origin: Origin::Header,
            depth: 0,
            children: Vec::new(),
        };
        Self {
            source,
            places: vec![root],
            entries: HashMap::new(),
        }
    }

    /// The table or list that `[prefix.…]` leads into; tables that are not there yet come to be.
    pub(super) fn walk_header(&mut self, prefix: &[Key<'a>]) -> Result<NodeId, ScanError> {
        let mut at = 0;
        for key in prefix {
            at = match self.entry(at, key) {
                None => self.add_table(at, key, Origin::Prefix)?,
                Some(found) => match self.origin(found) {
                    Origin::Header | Origin::Prefix | Origin::Dotted(_) => found,
                    Origin::List => self.last(found).unwrap_or(found),
                    Origin::Value => return Err(self.closed(key, found)),
                },
            };
        }
        Ok(at)
    }

    /// The table that `prefix.… = value` leads into, from the table `at`. `section` counts headers and inline tables.
    pub(super) fn walk_dotted(
        &mut self,
        mut at: NodeId,
        prefix: &[Key<'a>],
        section: usize,
    ) -> Result<NodeId, ScanError> {
        for key in prefix {
            at = match self.entry(at, key) {
                None => self.add_table(at, key, Origin::Dotted(section))?,
                Some(found) => match self.origin(found) {
                    Origin::Dotted(of) if of == section => found,
                    Origin::Prefix => {
                        self.set_origin(found, Origin::Dotted(section));
                        found
                    }
                    _ => return Err(self.closed(key, found)),
                },
            };
        }
        Ok(at)
    }

    /// The table that the header `[….key]` at `header` begins.
    pub(super) fn table(
        &mut self,
        parent: NodeId,
        key: &Key<'a>,
        header: Span,
    ) -> Result<NodeId, ScanError> {
        let id = match self.entry(parent, key) {
            None => self.add_table(parent, key, Origin::Header)?,
            Some(found) if self.origin(found) == Origin::Prefix => found,
            Some(found) => return Err(self.twice(key, found)),
        };
        self.begin(id, header);
        Ok(id)
    }

    /// The list that the header `[[….key]]` adds an item to.
    pub(super) fn list(&mut self, parent: NodeId, key: &Key<'a>) -> Result<NodeId, ScanError> {
        match self.entry(parent, key) {
            None => {
                let mut node = Node::new(Kind::Sequence, Some(parent), key.span);
                node.key = Some(key.span);
                self.insert(parent, key, node, Origin::List)
            }
            Some(found) if self.origin(found) == Origin::List => Ok(found),
            Some(found) => Err(self.twice(key, found)),
        }
    }

    /// The item that `[[…]]` at `header` begins.
    pub(super) fn item(&mut self, list: NodeId, header: Span) -> Result<NodeId, ScanError> {
        let node = Node::new(Kind::Mapping, Some(list), header);
        let id = self.push(list, node, Origin::Header)?;
        self.begin(id, header);
        Ok(id)
    }

    fn begin(&mut self, id: NodeId, header: Span) {
        self.set_origin(id, Origin::Header);
        if let Some(place) = self.places.get_mut(id) {
            (place.node.span, place.node.inner) = (header, header);
        }
    }

    /// A value, an entry of the table `parent`.
    pub(super) fn value(
        &mut self,
        parent: NodeId,
        key: &Key<'a>,
        mut node: Node,
    ) -> Result<NodeId, ScanError> {
        node.key = Some(key.span);
        match self.entry(parent, key) {
            None => self.insert(parent, key, node, Origin::Value),
            Some(found) => Err(self.twice(key, found)),
        }
    }

    fn add_table(
        &mut self,
        parent: NodeId,
        key: &Key<'a>,
        origin: Origin,
    ) -> Result<NodeId, ScanError> {
        let mut node = Node::new(Kind::Mapping, Some(parent), key.span);
        node.key = Some(key.span);
        self.insert(parent, key, node, origin)
    }

    fn insert(
        &mut self,
        parent: NodeId,
        key: &Key<'a>,
        node: Node,
        origin: Origin,
    ) -> Result<NodeId, ScanError> {
        let id = self.push(parent, node, origin)?;
        if let Entry::Vacant(entry) = self.entries.entry((parent, key.name.clone())) {
            entry.insert(id);
        }
        Ok(id)
    }

    /// Adds an item, or an entry whose key is known to be new.
    pub(super) fn push(
        &mut self,
        parent: NodeId,
        mut node: Node,
        origin: Origin,
    ) -> Result<NodeId, ScanError> {
        node.parent = Some(parent);
        let depth = self.places.get(parent).map_or(0, |place| place.depth) + 1;
        if depth >= MAX_DEPTH {
            return Err(ScanError::new(node.span, "tables are nested too deeply"));
        }
        let id = self.places.len();
        self.places.push(Place {
            node,
            origin,
            depth,
            children: Vec::new(),
        });
        if let Some(parent) = self.places.get_mut(parent) {
            parent.children.push(id);
        }
        Ok(id)
    }

    /// Adds a comment behind what `parent` has so far; before `subject`, if that is the last of it.
    pub(super) fn comment(
        &mut self,
        parent: NodeId,
        node: Node,
        subject: Option<NodeId>,
    ) -> Result<(), ScanError> {
        let id = self.push(parent, node, Origin::Value)?;
        let children = self.places.get_mut(parent).map(|place| &mut place.children);
        if let Some([.., before, last]) = children.map(Vec::as_mut_slice)
            && Some(*before) == subject
            && *last == id
        {
            std::mem::swap(before, last);
        }
        Ok(())
    }

    /// The node of a place.
    pub(super) fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.places.get_mut(id).map(|place| &mut place.node)
    }

    fn entry(&self, parent: NodeId, key: &Key<'a>) -> Option<NodeId> {
        self.entries.get(&(parent, key.name.clone())).copied()
    }

    fn origin(&self, id: NodeId) -> Origin {
        self.places
            .get(id)
            .map_or(Origin::Value, |place| place.origin)
    }

    fn set_origin(&mut self, id: NodeId, origin: Origin) {
        if let Some(place) = self.places.get_mut(id) {
            place.origin = origin;
        }
    }

    /// The last item of a list of `[[…]]`.
    fn last(&self, list: NodeId) -> Option<NodeId> {
        self.places.get(list)?.children.last().copied()
    }

    fn twice(&self, key: &Key<'a>, first: NodeId) -> ScanError {
        let name = &key.name;
        let message = match self.lines(key, first) {
            (one, other) if one == other => format!("the key `{name}` stands twice on line {one}"),
            (one, other) => {
                format!("the key `{name}` stands twice in its table, on lines {one} and {other}")
            }
        };
        ScanError::new(key.span, message).with_hint("keep only one of them")
    }

    fn closed(&self, key: &Key<'a>, first: NodeId) -> ScanError {
        let (line, _) = self.lines(key, first);
        let message = format!("nothing can be added here to `{}` of line {line}", key.name);
        ScanError::new(key.span, message).with_hint("write it where the rest of it is written")
    }

    fn lines(&self, key: &Key<'a>, first: NodeId) -> (usize, usize) {
        let line = |at| Position::of(self.source, at).line;
        let first = self
            .places
            .get(first)
            .map(|place| place.node.key.unwrap_or(place.node.span));
        (
            line(first.unwrap_or_default().start()),
            line(key.span.start()),
        )
    }

    /// The node table: each place behind its parent, in the order in which they came to be.
    pub(super) fn laid_out(mut self) -> Vec<Node> {
        let mut nodes: Vec<Node> = Vec::with_capacity(self.places.len());
        let mut stack = vec![(0, None)];
        while let Some((id, parent)) = stack.pop() {
            let Some(place) = self.places.get_mut(id) else {
                continue;
            };
            let new = nodes.len();
            place.node.parent = parent;
            place.node.end = new + 1;
            nodes.push(place.node);
            let children = std::mem::take(&mut place.children);
            stack.extend(children.into_iter().rev().map(|child| (child, Some(new))));
        }
        for id in (1..nodes.len()).rev() {
            let Some(&Node { parent, end, .. }) = nodes.get(id) else {
                continue;
            };
            if let Some(parent) = parent.and_then(|parent| nodes.get_mut(parent)) {
                parent.end = parent.end.max(end);
            }
        }
        nodes
    }
}
