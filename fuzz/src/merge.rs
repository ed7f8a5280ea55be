//! The laws of merging, on three texts of one format.

use sops_rs::document::Document;
use sops_rs::format::Format;
use sops_rs::node::ScanError;
use sops_rs::ops::merge::plaintext::{Base, merge};
use sops_rs::ops::merge::{Markers, Side};

/// Merging is the same in both directions; who changed nothing gets what the other has; and a result can be read.
pub fn three(format: Format, base: &str, ours: &str, theirs: &str) {
    let parse = |text| Document::parse(format, text).ok();
    let (Some(base), Some(ours), Some(theirs)) = (parse(base), parse(ours), parse(theirs)) else {
        return;
    };
    let plain = |document: &Document<'_>| {
        // What was sealed can be walked, metadata is taken out before a merge, and lines end in one way.
        let walked = document.walk(|_| Ok::<(), ScanError>(()));
        let mut nodes = document.nodes().iter();
        walked.is_ok()
            && nodes.all(|node| node.is_container() || document.value(node).is_ok())
            && document.metadata().is_empty()
            && !document.source().contains('\r')
    };
    if ![&base, &ours, &theirs].into_iter().all(plain) {
        return;
    }
    let all = || {
        let [base, ours, theirs] = [&base, &ours, &theirs].map(|document| document.source());
        format!("{base:?}\n{ours:?}\n{theirs:?}")
    };
    let one = merge(Base::Known(&base), &ours, &theirs);
    let other = merge(Base::Known(&base), &theirs, &ours);
    assert_eq!(one.is_clean(), other.is_clean(), "{}", all());
    let markers = Markers {
        size: 7,
        ours: "ours".into(),
        base: "base".into(),
        theirs: "theirs".into(),
    };
    let marked = one.marked(&markers);
    if one.is_clean() {
        let text = one.text(Side::Ours);
        assert_eq!(
            *text,
            *other.text(Side::Ours),
            "another result the other way round\n{}",
            all()
        );
        assert_eq!(*text, *marked, "{}", all());
        let read = Document::parse(format, &text);
        assert!(read.is_ok(), "a result that cannot be read: {:?}", *text);
        assert!(one.conflicts.is_empty());
    } else {
        assert!(marked.contains("<<<<<<< ours") && marked.contains(">>>>>>> theirs"));
        assert!(!one.conflicts.is_empty());
    }
    for (changed, unchanged) in [(&ours, &base), (&theirs, &base), (&ours, &theirs)] {
        let merged = merge(Base::Known(unchanged), unchanged, changed);
        assert!(merged.is_clean(), "{}", all());
        assert_eq!(
            *merged.text(Side::Ours),
            changed.source(),
            "not what was changed, from {:?}",
            unchanged.source()
        );
        let merged = merge(Base::Known(unchanged), changed, changed);
        assert_eq!(
            *merged.text(Side::Theirs),
            changed.source(),
            "not what both have"
        );
    }
    let without = merge(Base::Unknown, &ours, &theirs);
    let same = merge(Base::Unknown, &ours, &ours);
    assert!(same.is_clean());
    assert!(
        without.text(Side::Ours).is_ascii()
            || !ours.source().is_ascii()
            || !theirs.source().is_ascii()
    );
    let empty = merge(Base::Empty, &ours, &theirs);
    let back = merge(Base::Empty, &theirs, &ours);
    assert_eq!(empty.is_clean(), back.is_clean(), "{}", all());
}

/// Reads an input of the fuzzer: one character for the format, and three texts with NUL between.
pub fn any(input: &str) {
    let mut characters = input.chars();
    let format = match characters.next() {
        Some('j') => Format::Json,
        Some('d') => Format::Dotenv,
        Some('i') => Format::Ini,
        Some('t') => Format::Toml,
        _ => Format::Yaml,
    };
    let mut texts = characters.as_str().split('\0');
    if let (Some(base), Some(ours), Some(theirs)) = (texts.next(), texts.next(), texts.next()) {
        three(format, base, ours, theirs);
    }
}
