//! The laws of changing one place by its path, on any plaintext.

use sops_rs::content::{Content, Entry, Part};
use sops_rs::document::Document;
use sops_rs::format::Format;
use sops_rs::node::{Kind, Node, NodeId, ScanError};
use sops_rs::ops::change::{Action, ChangeError, change};
use sops_rs::ops::extract::extract;
use sops_rs::pointer::{Pointer, Step};
use sops_rs::secret::Plain;
use sops_rs::value::Value;

/// A key that no generator makes.
const NEW: &str = "new key";

/// What is set is there, what was put in and is taken out leaves nothing, and whatever is refused is refused for a reason
/// that a document can give. `pick` chooses the place.
pub fn place(format: Format, text: &str, pick: usize, value: &str) {
    let Ok(document) = Document::parse(format, text) else {
        return;
    };
    let walked = document.walk(|_| Ok::<(), ScanError>(()));
    let is_plain = document.metadata().is_empty() && document.contents().is_ok();
    if walked.is_err() || !is_plain || document.nodes().is_empty() {
        return;
    }
    let Some((number, steps)) = steps(&document, pick % document.nodes().len()) else {
        return;
    };
    let pointer = Pointer::new(steps.clone());
    assert_eq!(
        Pointer::parse(&pointer.to_string())
            .ok()
            .as_ref()
            .filter(|_| is_tame(&steps)),
        Some(&pointer).filter(|_| is_tame(&steps)),
        "a path is shown in a way that is read as another"
    );
    let content = || Content::Scalar(Value::Str(Plain::Borrowed(value)));
    if let Some(changed) = done(&document, number, &pointer, Action::Set(content())) {
        let changed = Document::parse(format, &changed).expect("it was read before");
        let found = extract(&changed, number, &pointer).expect("what was set");
        assert!(found == content(), "another value at {pointer}\n{text:?}");
    }
    for wanted in around(value) {
        let Some(changed) = done(&document, number, &pointer, Action::Set(wanted.clone())) else {
            continue;
        };
        let changed = Document::parse(format, &changed).expect("it was read before");
        let found = extract(&changed, number, &pointer).expect("what was set");
        let is_kept = matches!(
            (&found, &wanted),
            (Content::List(_), Content::List(_)) | (Content::Map(_), Content::Map(_))
        );
        assert!(is_kept, "another kind at {pointer}\n{text:?}");
    }
    done(&document, number, &pointer, Action::Unset);
    let inside = Content::Map(vec![Part::Item(Entry {
        key: NEW.into(),
        content: content(),
    })]);
    let nested = Content::List(vec![Part::Item(inside), Part::Item(content())]);
    done(&document, number, &pointer, Action::Set(nested.clone()));
    for content in [content(), nested, deep(value)] {
        before_and_out(&document, number, &pointer, content.clone());
        in_and_out(&document, number, steps.clone(), content);
    }
}

/// Puts something before the item at `pointer`, and takes it out again.
fn before_and_out(document: &Document<'_>, number: usize, pointer: &Pointer, content: Content<'_>) {
    let Some(longer) = done(document, number, pointer, Action::Insert(content)) else {
        return;
    };
    let longer = Document::parse(document.format(), &longer).expect("it was read before");
    let back = done(&longer, number, pointer, Action::Unset).expect("it is there");
    // A list of TOML gets a blank behind the commas that are touched.
    assert!(
        back == document.source() || document.format() == Format::Toml,
        "{pointer} was put before and taken out\n{:?}\n{:?}\n{back:?}",
        document.source(),
        longer.source()
    );
}

/// Lists and mappings with a value: empty, filled, in each other.
fn around(value: &str) -> [Content<'_>; 4] {
    let scalar = || Content::Scalar(Value::Str(Plain::Borrowed(value)));
    let list = |item| Content::List(vec![Part::Item(item)]);
    let map = |content| {
        let key = NEW.into();
        Content::Map(vec![Part::Item(Entry { key, content })])
    };
    [
        Content::empty_map(),
        Content::List(Vec::new()),
        list(map(scalar())),
        map(list(scalar())),
    ]
}

/// A mapping that holds a value, and a mapping in a mapping.
fn deep(value: &str) -> Content<'_> {
    let scalar = || Content::Scalar(Value::Str(Plain::Borrowed(value)));
    let entry = |key: &'static str, content| {
        let key = key.into();
        Part::Item(Entry { key, content })
    };
    let inner = Content::Map(vec![entry(NEW, scalar())]);
    let outer = Content::Map(vec![entry(NEW, inner)]);
    Content::Map(vec![entry("value", scalar()), entry("mapping", outer)])
}

/// Puts something into the container at `steps`, or around it, and takes it out again.
fn in_and_out(document: &Document<'_>, number: usize, mut steps: Vec<Step>, content: Content<'_>) {
    let step = |length: Option<usize>| match length {
        Some(length) => Step::Index(length),
        None => Step::Key(NEW.to_owned()),
    };
    let at = |steps: &[Step]| extract(document, number, &Pointer::new(steps.to_vec()));
    let length = match at(&steps) {
        Ok(Content::List(items)) => Some(items.iter().filter(|part| part.item().is_some()).count()),
        Ok(Content::Map(_)) => None,
        _ => return,
    };
    steps.push(step(length));
    let content = match (document.format(), steps.len()) {
        (Format::Ini, 1) => Content::empty_map(),
        _ => content,
    };
    let pointer = Pointer::new(steps);
    if extract(document, number, &pointer).is_ok() {
        // The fuzzer has made this key after all.
        return;
    }
    let Some(longer) = done(document, number, &pointer, Action::Set(content)) else {
        return;
    };
    let longer = Document::parse(document.format(), &longer).expect("it was read before");
    let back = done(&longer, number, &pointer, Action::Unset).expect("it is there");
    assert!(
        back == document.source() || is_exception(document, &longer),
        "{pointer} was put in and taken out\n{:?}\n{:?}\n{back:?}",
        document.source(),
        longer.source()
    );
}

/// Texts in which something else than what was put in has to change with it.
fn is_exception(document: &Document<'_>, longer: &Document<'_>) -> bool {
    let source = document.source();
    let headers = |source: &str| source.matches('[').count();
    let is_empty = |id: NodeId| {
        let node = document.node(id);
        let is_bare = node.is_some_and(|node| node.is_container() && node.span.len() > 2);
        let is_comment = |id: NodeId| {
            let node = document.node(id);
            node.is_some_and(|node| node.kind == Kind::Comment)
        };
        is_bare && document.children(id).all(is_comment)
    };
    let is_bare = document
        .nodes()
        .iter()
        .all(|node| node.kind != Kind::Scalar);
    match document.format() {
        // The blanks inside of empty brackets.
        Format::Json => (0..document.nodes().len()).any(is_empty),
        // An empty line keeps the comments of a file without variables apart.
        Format::Dotenv => document
            .nodes()
            .iter()
            .all(|node| node.kind != Kind::Scalar),
        // A table that only other headers mentioned has one of its own from then on; blanks inside of brackets.
        Format::Toml => {
            is_bare
                || headers(source) != headers(longer.source())
                || (0..document.nodes().len()).any(is_empty)
        }
        // The blanks inside of brackets; a document without entries, which is `{}` afterwards; and comments further in below
        // a `{}`, which are those of its first entry.
        Format::Yaml => {
            let is_bare = |node: &Node| node.parent.is_none() && node.span.is_empty();
            let has_comments = || source.contains('#');
            let is_brackets = |node: &Node| node.parent.is_none() && node.span.len() == 2;
            let nodes = document.nodes();
            nodes.iter().any(is_bare)
                || has_comments() && nodes.iter().any(is_brackets)
                || (0..nodes.len()).any(is_empty)
        }
        Format::Ini | Format::Binary => source.is_empty(),
    }
}

/// Makes a change; `None` if nothing changes or it is refused.
fn done(
    document: &Document<'_>,
    number: usize,
    pointer: &Pointer,
    action: Action<'_>,
) -> Option<String> {
    let verb = match &action {
        Action::Set(_) => "set",
        Action::Insert(_) => "insert",
        Action::Unset => "unset",
    };
    match change(document, number, pointer, action) {
        Ok(text) => text.map(|text| text.to_string()),
        Err(defect @ (ChangeError::NotAsMeant | ChangeError::Edit(_))) => {
            panic!("{defect}: {verb} {pointer} in {:?}", document.source())
        }
        Err(_) => None,
    }
}

/// The document of a node and the way to it; `None` for a comment and what has no path.
fn steps(document: &Document<'_>, id: NodeId) -> Option<(usize, Vec<Step>)> {
    let mut steps = Vec::new();
    let mut at = id;
    loop {
        let node = document
            .node(at)
            .filter(|node| node.kind != Kind::Comment)?;
        let Some(parent) = node.parent else {
            break;
        };
        let is_item = |id: &NodeId| {
            document
                .node(*id)
                .is_some_and(|node| node.kind != Kind::Comment)
        };
        steps.push(if document.node(parent)?.kind == Kind::Sequence {
            let before = document.children(parent).filter(is_item);
            Step::Index(before.take_while(|&other| other < at).count())
        } else {
            Step::Key(document.key(node).ok()?.into_owned())
        });
        at = parent;
    }
    steps.reverse();
    let number = document.roots().take_while(|&root| root < at).count();
    Some((number, steps))
}

/// Whether no key of a path has what the spelling of SOPS has no escapes for.
fn is_tame(steps: &[Step]) -> bool {
    steps.iter().all(|step| match step {
        Step::Key(key) => !key.contains(['"', '\'', '[', ']']),
        _ => true,
    })
}

/// Reads an input of the fuzzer: one character for the format, one for the place, then a value and a text with NUL
/// between.
pub fn any(input: &str) {
    let mut characters = input.chars();
    let format = match characters.next() {
        Some('j') => Format::Json,
        Some('d') => Format::Dotenv,
        Some('i') => Format::Ini,
        Some('t') => Format::Toml,
        _ => Format::Yaml,
    };
    let pick = characters.next().map_or(0, |pick| pick as usize);
    if let Some((value, text)) = characters.as_str().split_once('\0') {
        place(format, text, pick, value);
    }
}

/// Any text as a path: it is refused at a place inside of it, or it is read and shown so that it is read again.
pub fn pointer(text: &str) {
    match Pointer::parse(text) {
        Ok(pointer) if is_tame(pointer.steps()) => {
            let shown = pointer.to_string();
            let again = Pointer::parse(&shown).unwrap_or_else(|error| panic!("{error}: {shown:?}"));
            assert_eq!(again.to_string(), shown);
        }
        Ok(_) => {}
        Err(error) => assert!(text.is_char_boundary(error.at), "{text:?} {}", error.at),
    }
}
