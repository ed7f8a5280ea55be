//! Which values of a file are sealed, by path: what somebody who could open it has had to read.
//!
//! Needs no key, since tokens can be told from everything else. Shows no value.

use crate::cipher::Token;
use crate::document::Document;
use crate::format::Format;
use crate::node::{Kind, NodeId};
use crate::ops::merge::entries::Entries;
use crate::ops::merge::three::Three;
use crate::value::Value;

/// The paths of all sealed values, as people write them (`db.users[0].password`), in the order of the file. A binary file
/// has one, which is empty. Comments do not count.
#[must_use]
pub fn sealed_values(document: &Document<'_>) -> Vec<String> {
    let entries = Entries::of(&Three {
        base: Some(document),
        ours: None,
        theirs: None,
    });
    let mut found: Vec<(NodeId, String)> = Vec::new();
    for (id, entry) in entries.all() {
        let Some(node) = entry.nodes.base else {
            continue;
        };
        if is_sealed(document, node) {
            let whole_file = document.format() == Format::Binary;
            let path = if whole_file {
                String::new()
            } else {
                entries.path(id)
            };
            found.push((node, path));
        }
    }
    found.sort_by_key(|(node, _)| *node);
    found.into_iter().map(|(_, path)| path).collect()
}

fn is_sealed(document: &Document<'_>, id: NodeId) -> bool {
    let Some(node) = document.node(id).filter(|node| node.kind == Kind::Scalar) else {
        return false;
    };
    let in_metadata = document.metadata().iter().any(|&entry| {
        let end = document.node(entry).map_or(entry, |node| node.end);
        (entry..end.max(entry + 1)).contains(&id)
    });
    let value = document.value(node);
    !in_metadata && matches!(&value, Ok(Value::Str(text)) if Token::parse(text.expose()).is_some())
}

#[cfg(test)]
mod tests {
    use super::sealed_values;
    use crate::document::Document;
    use crate::format::Format;

    const TOKEN: &str = "ENC[AES256_GCM,data:AA==,iv:AAAA,tag:AAAA,type:str]";

    #[test]
    fn values_are_listed_by_path_and_nothing_else_is() {
        let text = format!(
            "clear: x\n# {TOKEN}\ndb:\n  users:\n    - password: {TOKEN}\n    - clear\n    - {TOKEN}\nlast: '{TOKEN}'\nsops:\n  mac: {TOKEN}\n"
        );
        let document = Document::parse(Format::Yaml, &text).unwrap();
        assert_eq!(
            sealed_values(&document),
            ["db.users[0].password", "db.users[2]", "last"]
        );
    }

    #[test]
    fn a_binary_file_is_one_value() {
        let text = format!("{{\"data\": \"{TOKEN}\", \"sops\": {{\"mac\": \"{TOKEN}\"}}}}");
        let document = Document::parse(Format::Binary, &text).unwrap();
        assert_eq!(sealed_values(&document), [""]);
    }
}
