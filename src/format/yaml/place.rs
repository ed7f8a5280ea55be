//! Changes of a YAML text: entries and items put in, exchanged and taken out in the layout that is there.
//!
//! `layout` tells where things stand. Whatever an alias stands for is not changed, since other places would change with
//! it. Knows nothing of paths.

mod layout;
mod marks;
mod remove;

pub(in crate::format) use remove::remove;
