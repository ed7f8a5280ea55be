//! What a sealed file holds that can be kept: the tokens of unchanged leaves.
//!
//! Law 4: a leaf whose place, type and value are unchanged keeps the text of its token in every write path but rotate.
//! Knows nothing of documents. Plaintext is kept only as a digest.

use std::collections::{HashMap, VecDeque};

use sha2::{Digest as _, Sha256};

use crate::cipher::Token;
use crate::value::Type;

/// The tokens of one sealed file by what they stand for.
#[derive(Default)]
pub struct Reuse {
    tokens: HashMap<[u8; 32], VecDeque<String>>,
}

impl Reuse {
    /// Remembers `token`, which stands for `plaintext` of type `kind` at the place `additional_data` names.
    ///
    /// Tokens that SOPS could not write again (another IV length) are not remembered, so they are sealed anew.
    /// `plaintext` must be the canonical form (spec 1.5).
    pub fn remember(
        &mut self,
        additional_data: &str,
        kind: Type,
        plaintext: &[u8],
        token: &Token<'_>,
    ) {
        if token.has_standard_iv() {
            let slot = self
                .tokens
                .entry(digest(additional_data, kind, plaintext))
                .or_default();
            slot.push_back(token.text().to_owned());
        }
    }

    /// The token that stood for this leaf, if there was one. Equal items of a list get their tokens back in order.
    pub fn take(&mut self, additional_data: &str, kind: Type, plaintext: &[u8]) -> Option<String> {
        self.tokens
            .get_mut(&digest(additional_data, kind, plaintext))?
            .pop_front()
    }
}

impl std::fmt::Debug for Reuse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reuse({} leaves)", self.tokens.len())
    }
}

fn digest(additional_data: &str, kind: Type, plaintext: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(kind.word());
    hash.update(additional_data.len().to_le_bytes());
    hash.update(additional_data);
    hash.update(plaintext);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::Reuse;
    use crate::cipher::Token;
    use crate::value::Type;

    const ONE: &str = "ENC[AES256_GCM,data:I/M=,iv:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=,tag:LXwIVWA0JVlEBSdWliJ+5w==,type:int]";
    const SHORT_IV: &str =
        "ENC[AES256_GCM,data:I/M=,iv:ICEiIyQlJicoKSor,tag:LXwIVWA0JVlEBSdWliJ+5w==,type:int]";

    #[test]
    fn a_token_comes_back_once_for_the_same_place_type_and_value() {
        let mut reuse = Reuse::default();
        reuse.remember("a:", Type::Int, b"42", &Token::parse(ONE).unwrap());
        assert_eq!(reuse.take("b:", Type::Int, b"42"), None);
        assert_eq!(reuse.take("a:", Type::Str, b"42"), None);
        assert_eq!(reuse.take("a:", Type::Int, b"43"), None);
        assert_eq!(reuse.take("a:", Type::Int, b"42").as_deref(), Some(ONE));
        assert_eq!(reuse.take("a:", Type::Int, b"42"), None);
    }

    #[test]
    fn a_token_that_sops_cannot_write_is_sealed_anew() {
        let mut reuse = Reuse::default();
        reuse.remember("a:", Type::Int, b"42", &Token::parse(SHORT_IV).unwrap());
        assert_eq!(reuse.take("a:", Type::Int, b"42"), None);
    }
}
