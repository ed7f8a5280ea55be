//! A plain tree of public data: the `sops` metadata of a file, as its format holds it, before anybody gives it a meaning.
//!
//! Never holds secrets. Order and unknown keys are kept, so that what is not understood can be written back.

/// Public data with its order.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// `null`, or nothing at all.
    Null,
    /// Truth value.
    Bool(bool),
    /// Integer.
    Int(i64),
    /// Double.
    Float(f64),
    /// An unquoted YAML timestamp; its source text. SOPS refuses these in metadata (spec 5.2).
    Time(String),
    /// Text.
    Str(String),
    /// List.
    List(Vec<Self>),
    /// Mapping, in source order; keys may repeat only where the format allows it.
    Map(Vec<(String, Self)>),
}

impl Tree {
    /// The entry `key` of a mapping: the exact spelling first, else the first that differs only in ASCII case
    /// (spec 5.2). `None` if this is not a mapping or has no such entry.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else {
            return None;
        };
        entries
            .iter()
            .find(|(name, _)| name == key)
            .or_else(|| {
                entries
                    .iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case(key))
            })
            .map(|(_, value)| value)
    }
}
