//! Changes of a TOML text: keys, tables and items put in, exchanged and taken out.
//!
//! A value goes under the header of its table, a mapping under a header of its own where there are headers. Where the parts of
//! a table are scattered so that there is no one place for a change, it is refused.

use zeroize::Zeroizing;

use self::parts::{Parts, Shape};
use super::emit::{item, section, value as spelled};
use crate::content::Content;
use crate::edit::Edit;
use crate::format::emit::CannotEmit;
use crate::format::lines::{line_break, replace as replaced};
use crate::format::place::CannotPlace;
use crate::node::{Node, NodeId};
use crate::span::Span;

mod array;
mod insert;
mod parts;
mod remove;

pub(in crate::format) use self::insert::insert;
pub(in crate::format) use self::remove::remove;

/// Writes `content` in place of `id`, see [`crate::format::place::replace`].
///
/// # Errors
/// [`CannotPlace`] for null, and for a table in several places or one that is replaced by something else.
pub(in crate::format) fn replace(
    source: &str,
    nodes: &[Node],
    id: NodeId,
    content: &Content<'_>,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotPlace> {
    let parts = Parts::new(source, nodes);
    let Some(node) = nodes.get(id) else {
        return Ok(());
    };
    let refused = |error: CannotEmit| CannotPlace::new(node.span, error.reason);
    match parts.shape(id) {
        Shape::Value | Shape::Inline => {
            let (form, _) = super::value::quotes(source, node.span);
            let text = spelled(content, form).map_err(refused)?;
            edits.push(Edit::new(node.span, with_breaks(source, &text).as_str()));
            Ok(())
        }
        Shape::Header if matches!(content, Content::Map(_)) => {
            let region = region(&parts, id).ok_or_else(|| scattered(node.span))?;
            // Tables in it may stand above its own header.
            let above = Span::new(region.start(), parts.part(id).start());
            let region = Span::new(parts.lines(id).start(), region.end());
            let path = parts.path(id);
            let text = match node.key {
                Some(_) => section(content, &path),
                None => item(content, &path),
            };
            let text = text.map_err(refused)?;
            edits.push(Edit::remove(above));
            let is_ended = region.of(source).ends_with('\n');
            let text = if is_ended {
                &*text
            } else {
                text.trim_end_matches('\n')
            };
            edits.push(Edit::new(region, with_breaks(source, text).as_str()));
            Ok(())
        }
        Shape::Root | Shape::Header | Shape::Tables | Shape::Dotted | Shape::Prefix => {
            let message = "this table is not written in one piece that could be replaced";
            Err(CannotPlace::new(node.span, message)
                .with_hint("change its values one by one, or take it out with `unset` first"))
        }
    }
}

/// All lines of a table with the tables in it, if nothing else stands between them.
fn region(parts: &Parts<'_>, id: NodeId) -> Option<Span> {
    let spans: Vec<Span> = parts.headers(id).map(|header| parts.part(header)).collect();
    let start = spans.iter().map(|span| span.start()).min()?;
    let end = spans.iter().map(|span| span.end()).max()?;
    let whole = Span::new(start, end);
    let end_id = parts.node(id)?.end;
    let is_other = |other: NodeId| !(id..end_id).contains(&other);
    let is_inside = |other: NodeId| {
        let has_place = parts.has_lines(other) || parts.shape(other) == Shape::Header;
        has_place && whole.contains(parts.lines(other))
    };
    let mut others = (0..parts.nodes.len()).filter(|&other| is_other(other));
    (!others.any(is_inside)).then_some(whole)
}

fn scattered(place: Span) -> CannotPlace {
    CannotPlace::new(place, "the parts of this table stand in several places")
        .with_hint("change it with `sops-rs edit`")
}

/// A text with the line breaks of the file; in the strings of TOML all kinds are one.
fn with_breaks(source: &str, text: &str) -> Zeroizing<String> {
    Zeroizing::new(replaced(text, "\n", line_break(source)))
}
