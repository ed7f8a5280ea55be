//! The laws that every input has to obey, whatever it is: the fuzz targets hand them what the fuzzer finds, and
//! `tests/it/laws.rs` hands them what its generators make and the corpus beside this folder.
//!
//! Every function here takes any input and panics if a law is broken. What is refused with an error is in order.

pub mod change;
pub mod documents;
pub mod merge;
pub mod records;
pub mod roundtrip;
