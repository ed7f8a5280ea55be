//! The tree of spec 3.1: what a store makes of a text, before anything is opened.

/// A value as the store parsed it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Already in the canonical RFC 3339 form.
    Time(String),
    Str(Vec<u8>),
    /// As TOML spells it, with the word of its type (spec 15.2).
    Lexeme(&'static str, String),
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Str(text.into().into_bytes())
    }

    /// The word that stands behind `type:` in a token.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Time(_) => "time",
            Self::Str(_) => "str",
            Self::Lexeme(word, _) => word,
        }
    }

    /// `ToBytes` of spec 4.1: what is encrypted, and what the MAC hashes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Null => Vec::new(),
            Self::Bool(true) => b"True".to_vec(),
            Self::Bool(false) => b"False".to_vec(),
            Self::Int(number) => number.to_string().into_bytes(),
            Self::Float(number) if number.is_nan() => b"NaN".to_vec(),
            Self::Float(number) if number.is_infinite() => {
                if *number > 0.0 {
                    b"+Inf".to_vec()
                } else {
                    b"-Inf".to_vec()
                }
            }
            // Display of f64: shortest digits, never an exponent.
            Self::Float(number) => format!("{number}").into_bytes(),
            Self::Time(text) => text.clone().into_bytes(),
            Self::Str(bytes) => bytes.clone(),
            // Its line ends do not count (spec 15.4).
            Self::Lexeme(_, text) => text.replace("\r\n", "\n").into_bytes(),
        }
    }
}

/// One comment. `certain` says that spec 7.2.4 leaves no doubt about its container.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Remark {
    pub(crate) text: String,
    pub(crate) certain: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Map(Vec<Entry>),
    List(Vec<Entry>),
    Leaf(Value),
    Comment(Remark),
}

/// An item of a branch or of a list: a key for the entries of a mapping only.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: Option<String>,
    pub(crate) node: Node,
}

impl Entry {
    pub(crate) fn keyed(key: impl Into<String>, node: Node) -> Self {
        Self {
            key: Some(key.into()),
            node,
        }
    }

    pub(crate) fn item(node: Node) -> Self {
        Self { key: None, node }
    }

    pub(crate) fn comment(text: impl Into<String>, certain: bool) -> Self {
        Self::item(Node::Comment(Remark {
            text: text.into(),
            certain,
        }))
    }
}

impl Node {
    pub(crate) fn entries(&self) -> &[Entry] {
        match self {
            Self::Map(entries) | Self::List(entries) => entries,
            Self::Leaf(_) | Self::Comment(_) => &[],
        }
    }

    /// The value under a key of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let found = self
            .entries()
            .iter()
            .find(|entry| entry.key.as_deref() == Some(key))?;
        Some(&found.node)
    }

    /// The node as text, the way the metadata decoder turns scalars into strings (spec 5.2).
    pub(crate) fn as_text(&self) -> Option<String> {
        match self {
            Self::Leaf(Value::Str(bytes)) => String::from_utf8(bytes.clone()).ok(),
            Self::Leaf(Value::Int(number)) => Some(number.to_string()),
            Self::Leaf(value @ Value::Float(_)) => String::from_utf8(value.bytes()).ok(),
            Self::Leaf(Value::Bool(yes)) => Some(if *yes { "1" } else { "0" }.to_owned()),
            Self::Leaf(Value::Null) => Some(String::new()),
            _ => None,
        }
    }
}

/// A node reached during the walk of spec 3.2, with its path (no list indexes).
#[derive(Clone, Debug)]
pub(crate) struct Step<'a> {
    pub(crate) path: Vec<String>,
    pub(crate) what: What<'a>,
    pub(crate) in_list: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum What<'a> {
    Leaf(&'a Value),
    Comment(&'a Remark),
    /// A mapping or list begins; `empty` if nothing is in it. Its path is given if it holds comments at most.
    Open {
        empty: bool,
    },
    /// The mapping or list begun last ends.
    Close,
    /// An item that is not a comment is over, with everything below it.
    ItemDone,
}

/// All steps of the documents, depth first, in file order.
pub(crate) fn walk(documents: &[Node]) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    for document in documents {
        descend(document, &mut Vec::new(), false, &mut steps);
    }
    steps
}

fn descend<'a>(node: &'a Node, path: &mut Vec<String>, in_list: bool, steps: &mut Vec<Step<'a>>) {
    match node {
        Node::Leaf(value) => {
            steps.push(Step {
                path: path.clone(),
                what: What::Leaf(value),
                in_list,
            });
        }
        Node::Comment(remark) => {
            steps.push(Step {
                path: path.clone(),
                what: What::Comment(remark),
                in_list,
            });
        }
        Node::Map(entries) | Node::List(entries) => {
            let here = |what| Step {
                path: Vec::new(),
                what,
                in_list,
            };
            let empty = entries.is_empty();
            steps.push(Step {
                path: path.clone(),
                what: What::Open { empty },
                in_list,
            });
            for entry in entries {
                path.extend(entry.key.clone());
                descend(&entry.node, path, matches!(node, Node::List(_)), steps);
                if entry.key.is_some() {
                    path.pop();
                }
                if !matches!(entry.node, Node::Comment(_)) {
                    steps.push(here(What::ItemDone));
                }
            }
            steps.push(here(What::Close));
        }
    }
}

/// The additional data of spec 2: components joined with `:`, and one more `:`.
pub(crate) fn aad(path: &[String]) -> String {
    format!("{}:", path.join(":"))
}
