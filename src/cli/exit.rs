//! The exit codes, each of them once.
//!
//! Numbers are those of SOPS where the meaning is shared (spec 9.2), because scripts test for them. Knows nothing of
//! messages: those are in `report`.

use std::process::ExitCode;

/// How the program ends, as the calling process sees it.
///
/// | code | meaning |
/// | ---: | --- |
/// | 0 | success |
/// | 1 | anything without a code of its own, wrong usage included |
/// | 2 | the input cannot be read or parsed; also a bug in this program |
/// | 3 | the output cannot be written |
/// | 4 | the result has no spelling in the output format |
/// | 6 | an encryption context is malformed |
/// | 7 | the path or value of `set` or `unset` is wrong |
/// | 8 | options contradict each other |
/// | 23 | the values could not be sealed |
/// | 25 | a value could not be opened |
/// | 51 | the MAC is missing or does not fit |
/// | 91 | the path of `get` or `--extract` leads nowhere |
/// | 92 | the file has no document |
/// | 100 | no file was named, or it does not exist |
/// | 112 | a name stands twice in the decryption order |
/// | 128 | the data key could not be unwrapped or wrapped |
/// | 200 | the edited file was left unchanged |
/// | 201 | there is no editor, or it failed |
/// | 203 | the input is encrypted already |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Success.
    Success = 0,
    /// Anything without a code of its own.
    Failed = 1,
    /// The input cannot be read or parsed.
    CannotRead = 2,
    /// The output cannot be written.
    CannotWrite = 3,
    /// The result has no spelling in the output format.
    CannotEmit = 4,
    /// An encryption context is malformed.
    BadEncryptionContext = 6,
    /// The path or value of a change is wrong.
    BadChange = 7,
    /// Options contradict each other.
    Conflict = 8,
    /// The values could not be sealed.
    CannotSeal = 23,
    /// A value could not be opened.
    CannotOpen = 25,
    /// The MAC is missing or does not fit.
    MacMismatch = 51,
    /// A path leads nowhere.
    NoSuchPath = 91,
    /// The file has no document.
    NoDocument = 92,
    /// No file was named, or it does not exist.
    NoFile = 100,
    /// A name stands twice in the decryption order.
    RepeatedInOrder = 112,
    /// The data key could not be unwrapped or wrapped.
    NoDataKey = 128,
    /// The edited file was left unchanged.
    Unchanged = 200,
    /// There is no editor, or it failed.
    EditorFailed = 201,
    /// The input is encrypted already.
    AlreadyEncrypted = 203,
}

impl Exit {
    /// A bug in this program: the code of a Go panic, so that callers of SOPS see what they know.
    pub(crate) const BUG: Self = Self::CannotRead;
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
