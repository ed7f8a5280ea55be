//! Encrypts the values of config files and leaves every other byte as it is, in the file format of SOPS.
//!
//! A file is *text with leaves*: a scanner per format finds every value and where it stands, and everything this crate
//! does is a list of edits over those places. Nothing is ever printed anew.
//!
//! The library does not touch the disk, the environment, the clock, the terminal or a random source on its own: it is
//! given them. `docs/architecture.md` has the layers and the laws. "Spec 7.2" in a comment is section 7.2 of
//! `docs/format.md`, which describes the file format.

pub mod cipher;
pub mod config;
pub mod content;
pub mod document;
pub mod edit;
pub mod format;
pub mod keys;
pub mod mac;
pub mod metadata;
pub mod node;
pub mod ops;
pub mod pointer;
pub mod random;
pub mod recipient;
pub mod secret;
pub mod selection;
pub mod shamir;
pub mod span;
pub mod tree;
pub mod value;
