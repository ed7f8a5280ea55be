//! What can be done to a file: text in, text out.
//!
//! Every operation is a list of edits over the leaves of a document. None of them touches a disk, a terminal, the
//! environment, the clock or a random source of its own; keys arrive unwrapped.
//!
//! * [`encrypt`]: seal a plaintext for the first time, or again over a sealed file with everything unchanged kept;
//! * [`decrypt`]: verify and open a sealed file;
//! * [`change`]: set, insert or unset one value of a plaintext;
//! * [`rekey`]: change who can open a sealed file, with its data key or with a new one.

pub mod binary;
pub mod change;
pub mod convert;
pub mod decrypt;
pub mod diff;
pub mod encrypt;
pub mod extract;
pub mod inventory;
pub mod locate;
pub mod mask;
pub mod merge;
pub mod open;
pub mod rekey;
pub mod reuse;
pub mod seal;
