//! Writing content in place of what an entry or item leads to.
//!
//! A value in place of a value keeps its style, a collection between brackets gives way to another one there, everything
//! else becomes what `emit` writes. Comments beside the entry stay, those inside of what is replaced go with it.

use zeroize::Zeroizing;

use super::layout::Layout;
use crate::content::Content;
use crate::edit::{Edit, splice};
use crate::format::emit::CannotEmit;
use crate::format::place::CannotPlace;
use crate::format::yaml::chars::{byte, line_end};
use crate::format::yaml::emit::{Style, flow};
use crate::format::yaml::merge::{can_merge, is_merge_key};
use crate::format::yaml::quote::should_be_plain;
use crate::format::yaml::{requote, scan, value, write, write_value};
use crate::node::{Form, Kind, Node, NodeId};
use crate::span::Span;
use crate::value::Value;

mod block;

/// Writes `content` in place of `id`, see [`crate::format::place::replace`].
///
/// # Errors
/// [`CannotPlace`] for content that an alias elsewhere stands for, and where comments stand between a key and its value.
pub(in crate::format) fn replace(
    source: &str,
    nodes: &[Node],
    id: NodeId,
    content: &Content<'_>,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotPlace> {
    let layout = Layout { source, nodes };
    let Some((node, parent)) = layout
        .node(id)
        .and_then(|node| Some((node, layout.node(node.parent?)?)))
    else {
        return Ok(());
    };
    layout.refuse_shared(id)?;
    let exchange = Exchange {
        layout,
        id,
        node,
        parent,
        content,
    };
    exchange.refuse_merge()?;
    if let Some(written) = exchange.in_its_style() {
        edits.extend(written);
    } else if parent.flow {
        exchange.in_flow(edits)?;
    } else {
        exchange.in_block(edits)?;
    }
    // Behind what was written: a value that is not there yet may go to the same place.
    if exchange.touches_comment() {
        edits.push(Edit::new(Span::at(node.span.end()), " "));
    }
    Ok(())
}

/// The same edits with a block that ends like most blocks do, where they make one that keeps all its line breaks: opening
/// a token does not know better.
fn clipped(written: &[Edit]) -> Option<Vec<Edit>> {
    let mut clipped = written.to_vec();
    let is_header = |edit: &&mut Edit| edit.text.starts_with(['|', '>']);
    let header = clipped.iter_mut().find(is_header)?;
    let end = header.text.find(['\r', '\n']).unwrap_or(header.text.len());
    let sign = header.text.find('+').filter(|&at| at < end)?;
    header.text.remove(sign);
    Some(clipped)
}

struct Exchange<'a> {
    layout: Layout<'a>,
    id: NodeId,
    node: &'a Node,
    parent: &'a Node,
    content: &'a Content<'a>,
}

impl Exchange<'_> {
    fn refused(&self, message: &str) -> CannotPlace {
        let place = Span::new(self.layout.start(self.id), self.node.span.end());
        CannotPlace::new(place, message).with_hint("use `sops-rs edit`")
    }

    /// Whether a comment stands directly behind a bracket or quote; behind anything else it would not be one. That of the last
    /// entry of a block goes with it.
    fn touches_comment(&self) -> bool {
        let is_block = self.node.is_container() && !self.node.flow;
        !is_block && byte(self.layout.source.as_bytes(), self.node.span.end()) == b'#'
    }

    /// Behind `<<` only mappings may stand.
    fn refuse_merge(&self) -> Result<(), CannotPlace> {
        let is_merged = |node: &Node| is_merge_key(self.layout.source, node.key);
        let is_item = self.parent.kind == Kind::Sequence && is_merged(self.parent);
        let is_bad_item = is_item && !matches!(self.content, Content::Map(_));
        if is_bad_item || is_merged(self.node) && !can_merge(self.content) {
            return Err(self.refused("`<<` merges a mapping or a list of mappings only"));
        }
        Ok(())
    }

    /// A value in the style of the value that is there; `None` if it has no room for it. A block in the style of those that
    /// bare tokens open to gives way to what the value needs.
    fn in_its_style(&self) -> Option<Vec<Edit>> {
        let (source, node) = (self.layout.source, self.node);
        let Content::Scalar(wanted) = self.content else {
            return None;
        };
        if node.kind != Kind::Scalar || node.span.is_empty() {
            return None;
        }
        let ends_text = node.span.end() == source.len();
        let is_block = node.form == Form::Literal;
        let old = value(source, node).ok().filter(|_| is_block);
        let bare = old.and_then(|old| requote::opened(source, node, &old, Form::Plain));
        let mut written = Vec::from_iter(self.new_block(wanted, ends_text));
        if written.is_empty() {
            let node = bare.as_ref().unwrap_or(node);
            write_value(source, node, wanted, ends_text, &mut written).ok()?;
        }
        let clipped = clipped(&written);
        clipped
            .into_iter()
            .chain([written])
            .find(|written| self.is_good(written, wanted))
    }

    /// Text of several lines in place of a bare value, as far in as everything else is.
    fn new_block(&self, wanted: &Value<'_>, ends_text: bool) -> Option<Edit> {
        let (source, node) = (self.layout.source, self.node);
        let is_bare = node.form == Form::Plain && !node.flow;
        match wanted {
            Value::Str(text) if is_bare => {
                let step = self.layout.style(node.parent?).step;
                write::block::new(source, node, text.expose(), step, ends_text)
            }
            _ => None,
        }
    }

    /// Whether `written` makes a text with this value here and nothing else changed: a tag or a block of text does not give
    /// way to every value.
    fn is_good(&self, written: &[Edit], wanted: &Value<'_>) -> bool {
        let Ok(text) = splice(self.layout.source, written) else {
            return false;
        };
        let Ok(nodes) = scan(&text) else { return false };
        let is_good = nodes.get(self.id).is_some_and(|new| {
            value(&text, new).as_ref() == Ok(wanted) && self.may_be_bare(new, wanted)
        });
        is_good && self.is_beside_the_same(&text, &nodes)
    }

    /// Whether there are the same nodes as before, and no comment has become longer: a line of a block can look like one.
    fn is_beside_the_same(&self, text: &str, nodes: &[Node]) -> bool {
        let old = self.layout.nodes;
        let is_same = |(new, old): (&Node, &Node)| {
            new.kind == old.kind
                && (new.kind != Kind::Comment
                    || new.inner.of(text) == old.inner.of(self.layout.source))
        };
        nodes.len() == old.len() && nodes.iter().zip(old).all(is_same)
    }

    /// Opening a sealed file brings back bare words that stood there bare. What is new stands so only if every reader
    /// takes it for this string, and keeps the quotes that are there.
    fn may_be_bare(&self, new: &Node, wanted: &Value<'_>) -> bool {
        match wanted {
            Value::Str(text) if new.form == Form::Plain => {
                matches!(self.node.form, Form::Plain | Form::Literal)
                    && should_be_plain(text.expose(), new.flow)
            }
            _ => true,
        }
    }

    /// Between brackets.
    fn in_flow(&self, edits: &mut Vec<Edit>) -> Result<(), CannotPlace> {
        let layout = self.layout;
        let text = self.flow_text()?;
        let (start, end) = (self.node.props.start(), self.node.span.end());
        if layout.has_comment(start, self.node.span.start()) {
            return Err(self.refused("a comment stands between a tag or anchor and its value"));
        }
        let mark = layout.behind_mark(self.id);
        let is_unfit = |key: Span| {
            let text = key.of(layout.source);
            let is_mark = text.starts_with(['!', '&']) && !text.contains([' ', '\t']);
            is_mark || line_end(layout.source.as_bytes(), key.start()) < key.end()
        };
        if mark.is_none() && self.node.key.is_some_and(is_unfit) {
            return Err(self.refused("only a key that is written, on one line, can have a value"));
        }
        let props = self.props();
        let blank = if props.is_empty() { "" } else { " " };
        let lead = match mark {
            None if start == end => ": ",
            Some(mark) if mark == start => " ",
            _ => "",
        };
        let pieces = [lead, props, blank, text.as_str()];
        edits.push(Edit::new(Span::new(start, end), pieces.concat()));
        Ok(())
    }

    fn flow_text(&self) -> Result<Zeroizing<String>, CannotPlace> {
        flow(self.content, self.style().values).map_err(|error| self.unwritable(error))
    }

    fn unwritable(&self, error: CannotEmit) -> CannotPlace {
        CannotPlace::new(self.node.span, error.reason)
    }

    /// Quotes as the neighbours have them, steps as the old content has them.
    fn style(&self) -> Style {
        let inside = self.layout.style(self.id);
        Style {
            step: inside.step,
            dashes: inside.dashes,
            ..self.layout.style(self.node.parent.unwrap_or_default())
        }
    }

    /// The anchor, and the tag if it is true of the new content, too.
    fn props(&self) -> &str {
        let props = self.node.props;
        let is_alike = match self.content {
            Content::Map(_) => self.node.kind == Kind::Mapping,
            Content::List(_) => self.node.kind == Kind::Sequence,
            Content::Scalar(_) => false,
        };
        let anchor = match write::tag(self.layout.source, props).filter(|_| !is_alike) {
            None => props,
            Some(tag) if tag.start() > props.start() => Span::new(props.start(), tag.start()),
            Some(tag) => Span::new(tag.end(), props.end()),
        };
        anchor.of(self.layout.source).trim_ascii()
    }
}

#[cfg(test)]
mod tests {
    use super::replace;
    use crate::edit::splice;
    use crate::format::testing::text;
    use crate::format::yaml::scan;
    use crate::node::Kind;

    #[test]
    fn no_string_becomes_a_word_that_some_reader_takes_for_something_else() {
        for (before, wanted, after) in [
            ("a: x\n", "yes", "a: \"yes\"\n"),
            ("a: x # c\n", "1:20", "a: \"1:20\" # c\n"),
            ("a: no\n", "off", "a: \"off\"\n"),
            ("a: x\n", "y z", "a: y z\n"),
            ("a: 'x'\n", "yes", "a: 'yes'\n"),
            ("a: [x]\n", "yes", "a: [\"yes\"]\n"),
            ("a: ['x']\n", "yes", "a: ['yes']\n"),
            ("a: ['x']\n", "z", "a: ['z']\n"),
        ] {
            let nodes = scan(before).unwrap();
            let id = nodes
                .iter()
                .position(|node| node.kind == Kind::Scalar)
                .unwrap();
            let mut edits = Vec::new();
            replace(before, &nodes, id, &text(wanted), &mut edits).unwrap();
            assert_eq!(*splice(before, &edits).unwrap(), after, "{before}");
        }
    }
}
