//! Back ends of keys, proved on the real programs and servers behind them.

mod age;
mod agent;
mod aws;
mod azure;
mod gcp_kms;
mod google;
mod groups;
mod http;
mod keyservice;
mod pgp;
mod python;
mod vault;

use sops_rs::document::Document;
use sops_rs::format::Format;
use sops_rs::metadata::Metadata;
use sops_rs::ops::decrypt::{Opening, decrypt};
use sops_rs::recipient::{RecipientKind, WrappedKey};
use sops_rs::secret::DataKey;

use crate::support::World;

/// The wrapped keys of this kind in a file.
fn wrapped(world: &World, name: &str, kind: RecipientKind) -> Vec<WrappedKey> {
    let text = world.read(name);
    let document = Document::parse(Format::of_path(name), &text).expect("a readable file");
    let metadata = Metadata::of(&document).expect("metadata");
    let groups = metadata.expect("a sealed file").groups;
    let all = groups.into_iter().flatten();
    all.filter(|wrapped| wrapped.recipient.kind() == kind)
        .collect()
}

/// The plaintext of a file, opened with this data key and no service.
fn opened_with(world: &World, name: &str, key: Vec<u8>) -> String {
    let text = world.read(name);
    let document = Document::parse(Format::of_path(name), &text).expect("a readable file");
    let metadata = Metadata::of(&document).expect("metadata");
    let metadata = metadata.expect("a sealed file");
    let (selection, _) = metadata.selection();
    let key = DataKey::new(key);
    let opened = decrypt(&document, &metadata, &selection, &key, Opening::default());
    opened.expect("the data key of the file").text.to_string()
}

/// Puts another wrapped key in the place of `old`, in a format that writes a line break as `\n`.
fn replace_wrapped(world: &World, name: &str, old: &str, new: &str) {
    let on_one_line = |enc: &str| enc.replace('\n', "\\n");
    let text = world.read(name);
    let changed = text.replace(&on_one_line(old), &on_one_line(new));
    assert_ne!(changed, text, "nothing was replaced");
    world.write(name, changed);
}
