//! TOML, by spec 15, on another reader of TOML than the library has. Comments are left out: they are not part of the MAC.

use toml_edit::{Document, Item, Table, Value as Parsed};

use super::token::START;
use super::tree::{Entry, Node, Value};

/// The tree of a text; entries in the order in which their keys are mentioned first (15.3).
pub(crate) fn parse(text: &str) -> Result<Node, String> {
    let document = Document::parse(text).map_err(|error| error.to_string())?;
    let reader = Reader { text };
    Ok(reader.table(document.as_table(), true, false).1)
}

/// The one scalar that a token of type `kind` held (15.2).
pub(crate) fn opened(kind: &str, bytes: Vec<u8>) -> Result<Value, String> {
    let lexeme = String::from_utf8(bytes).map_err(|error| error.to_string())?;
    let value: Parsed = lexeme.parse().map_err(|_| format!("not a {kind}"))?;
    if lexeme.trim() != lexeme || word(&value) != Some(kind) {
        return Err(format!("not a {kind}"));
    }
    Ok(Value::Lexeme(word(&value).unwrap_or_default(), lexeme))
}

/// The type of a token that holds this value (15.2).
fn word(value: &Parsed) -> Option<&'static str> {
    match value {
        Parsed::String(_) => Some("str"),
        Parsed::Integer(_) => Some("int"),
        Parsed::Float(_) => Some("float"),
        Parsed::Boolean(_) => Some("bool"),
        Parsed::Datetime(_) => Some("time"),
        Parsed::Array(_) | Parsed::InlineTable(_) => None,
    }
}

struct Reader<'a> {
    text: &'a str,
}

/// A node, and where it is mentioned first.
type Placed = (usize, Node);

impl Reader<'_> {
    /// A table. In the metadata values are what they mean.
    fn table(&self, table: &Table, is_root: bool, is_metadata: bool) -> Placed {
        let entries = table.iter().map(|(name, item)| {
            let key = table.key(name).and_then(|key| key.span());
            let (place, node) = self.item(item, is_metadata || is_root && name == "sops");
            let place = key.map_or(place, |key| key.start.min(place));
            (place, Entry::keyed(name, node))
        });
        let header = table.span().map_or(usize::MAX, |span| span.start);
        let (place, entries) = in_order(entries.collect());
        (place.min(header), Node::Map(entries))
    }

    fn item(&self, item: &Item, is_metadata: bool) -> Placed {
        match item {
            Item::None => (usize::MAX, Node::Leaf(Value::Null)),
            Item::Value(value) => self.value(value, is_metadata),
            Item::Table(table) => self.table(table, false, is_metadata),
            Item::ArrayOfTables(tables) => {
                let items = tables.iter().map(|table| {
                    let (place, node) = self.table(table, false, is_metadata);
                    (place, Entry::item(node))
                });
                let (place, items) = in_order(items.collect());
                (place, Node::List(items))
            }
        }
    }

    fn value(&self, value: &Parsed, is_metadata: bool) -> Placed {
        let span = value.span().unwrap_or_default();
        let node = match value {
            Parsed::Array(items) => {
                let items = items.iter().map(|item| self.value(item, is_metadata).1);
                Node::List(items.map(Entry::item).collect())
            }
            Parsed::InlineTable(table) => {
                let entries = table.iter().map(|(name, value)| {
                    let (place, node) = self.value(value, is_metadata);
                    (place, Entry::keyed(name, node))
                });
                // One of dotted keys stands nowhere but where they do.
                let (first, entries) = in_order(entries.collect());
                let place = value.span().map_or(first, |span| span.start);
                return (place, Node::Map(entries));
            }
            Parsed::Boolean(yes) if is_metadata => Node::Leaf(Value::Bool(*yes.value())),
            Parsed::Integer(number) if is_metadata => Node::Leaf(Value::Int(*number.value())),
            Parsed::String(text)
                if is_metadata || text.value().is_empty() || text.value().starts_with(START) =>
            {
                Node::Leaf(Value::text(text.value().replace("\r\n", "\n")))
            }
            scalar => {
                let lexeme = self.text.get(span.clone()).unwrap_or_default();
                let word = word(scalar).unwrap_or_default();
                Node::Leaf(Value::Lexeme(word, lexeme.to_owned()))
            }
        };
        (span.start, node)
    }
}

fn in_order(mut entries: Vec<(usize, Entry)>) -> (usize, Vec<Entry>) {
    entries.sort_by_key(|(place, _)| *place);
    let first = entries.first().map_or(usize::MAX, |(place, _)| *place);
    (first, entries.into_iter().map(|(_, entry)| entry).collect())
}
