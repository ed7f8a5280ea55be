//! From tokens to nodes: the grammar of go-yaml v3, as a state machine with its own stack.
//!
//! Says in which order tokens may come. What becomes of a node once it is found (keys, duplicates, anchors, comments) is
//! in `build/table`.

use super::scan::{Placed, Scanner, Token};
use super::tag::Directives;
use crate::node::{Form, Node, ScanError, Tag};
use crate::span::Span;

mod keys;
mod table;

use table::Table;

/// What is expected next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    DocumentStart { first: bool },
    DocumentContent,
    DocumentEnd,
    BlockNode,
    SequenceEntry,
    IndentlessEntry,
    MappingKey,
    MappingValue,
    FlowSequenceEntry { first: bool },
    PairKey,
    PairValue,
    PairEnd,
    FlowMappingKey { first: bool },
    FlowMappingValue { empty: bool },
}

/// What stands before a node's content.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Props {
    /// From the first to the last of anchor and tag.
    pub(super) span: Option<Span>,
    /// The anchor's name.
    pub(super) anchor: Option<Span>,
    pub(super) tag: Tag,
}

/// Whether a node may be a block collection, and whether a sequence in the column of its key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Flow,
    Block,
    Indentless,
}

/// The node table of `source`.
pub(super) fn build(source: &str) -> Result<Vec<Node>, ScanError> {
    let mut builder = Builder {
        source,
        scanner: Scanner::new(source),
        current: None,
        states: Vec::new(),
        directives: Directives::default(),
        table: Table::new(source),
    };
    let mut state = State::DocumentStart { first: true };
    while let Some(next) = builder.step(state)? {
        state = next;
    }
    let end = source.len();
    let Builder {
        mut scanner, table, ..
    } = builder;
    table.finish(&mut scanner.comments, end)
}

struct Builder<'a> {
    source: &'a str,
    scanner: Scanner<'a>,
    current: Option<Placed>,
    states: Vec<State>,
    directives: Directives<'a>,
    table: Table<'a>,
}

impl Builder<'_> {
    fn peek(&mut self) -> Result<Placed, ScanError> {
        if let Some(current) = self.current {
            return Ok(current);
        }
        let next = self.scanner.next()?;
        self.current = Some(next);
        Ok(next)
    }

    /// Consumes the token that was peeked at.
    fn skip(&mut self) {
        if let Some(current) = self.current.take() {
            let content = !matches!(
                current.token,
                Token::BlockEnd
                    | Token::DocumentStart
                    | Token::DocumentEnd
                    | Token::StreamEnd
                    | Token::Version
                    | Token::TagDirective
            );
            if content {
                self.table.last_end = self.table.last_end.max(current.span.end());
            }
        }
    }

    fn pop(&mut self) -> Option<State> {
        self.states.pop()
    }

    fn step(&mut self, state: State) -> Result<Option<State>, ScanError> {
        match state {
            State::DocumentStart { first } => self.document_start(first),
            State::DocumentContent => self.document_content(),
            State::DocumentEnd => self.document_end(),
            State::BlockNode => self.node(Room::Block),
            State::SequenceEntry => self.sequence_entry(),
            State::IndentlessEntry => self.indentless_entry(),
            State::MappingKey => self.mapping_key(),
            State::MappingValue => self.mapping_value(),
            State::FlowSequenceEntry { first } => self.flow_sequence_entry(first),
            State::PairKey => self.pair_key(),
            State::PairValue => self.pair_value(),
            State::PairEnd => {
                let next = self.peek()?;
                self.table.close(
                    self.table.last_end,
                    next.span.start(),
                    &mut self.scanner.comments,
                )?;
                Ok(Some(State::FlowSequenceEntry { first: false }))
            }
            State::FlowMappingKey { first } => self.flow_mapping_key(first),
            State::FlowMappingValue { empty } => self.flow_mapping_value(empty),
        }
    }

    fn document_start(&mut self, first: bool) -> Result<Option<State>, ScanError> {
        let mut next = self.peek()?;
        while !first && next.token == Token::DocumentEnd {
            self.skip();
            next = self.peek()?;
        }
        if next.token == Token::StreamEnd {
            return Ok(None);
        }
        let bare = !matches!(
            next.token,
            Token::Version | Token::TagDirective | Token::DocumentStart
        );
        if first && bare {
            self.states.push(State::DocumentEnd);
            self.table.begin_document(None, &mut self.scanner.comments);
            return Ok(Some(State::BlockNode));
        }
        let mut version = false;
        while matches!(next.token, Token::Version | Token::TagDirective) {
            if next.token == Token::TagDirective {
                self.directives.add(self.source, next.span)?;
            } else if std::mem::replace(&mut version, true) {
                return Err(ScanError::new(next.span, "a second `%YAML` line"));
            }
            self.skip();
            next = self.peek()?;
        }
        if next.token != Token::DocumentStart {
            return Err(
                ScanError::new(next.span, "`---` must stand before this").with_hint(
                    "a document ends where the indentation does; a new one begins with `---`",
                ),
            );
        }
        self.states.push(State::DocumentEnd);
        self.table
            .begin_document(Some(next.span), &mut self.scanner.comments);
        self.skip();
        Ok(Some(State::DocumentContent))
    }

    fn document_content(&mut self) -> Result<Option<State>, ScanError> {
        let next = self.peek()?;
        let ends = matches!(
            next.token,
            Token::Version
                | Token::TagDirective
                | Token::DocumentStart
                | Token::DocumentEnd
                | Token::StreamEnd
        );
        if ends {
            return Ok(self.pop());
        }
        self.node(Room::Block)
    }

    fn document_end(&mut self) -> Result<Option<State>, ScanError> {
        let next = self.peek()?;
        self.table
            .end_document(next.span.start(), &mut self.scanner.comments);
        if next.token == Token::DocumentEnd {
            self.skip();
        }
        self.directives.clear();
        Ok(Some(State::DocumentStart { first: false }))
    }

    /// Any node, with what stands before it.
    fn node(&mut self, room: Room) -> Result<Option<State>, ScanError> {
        let next = self.peek()?;
        let comments = &mut self.scanner.comments;
        if next.token == Token::Alias {
            self.table.alias(next.span, comments)?;
            self.skip();
            return Ok(self.pop());
        }
        let props = self.props()?;
        let next = self.peek()?;
        let comments = &mut self.scanner.comments;
        match next.token {
            Token::BlockEntry if room == Room::Indentless => {
                let column = self.table.column();
                self.table.open_sequence(
                    next.span.start(),
                    props,
                    Some(column),
                    false,
                    comments,
                )?;
                Ok(Some(State::IndentlessEntry))
            }
            Token::Scalar(form, inner) => {
                self.table.scalar(form, next.span, inner, props, comments)?;
                self.skip();
                Ok(self.pop())
            }
            Token::FlowSequence => {
                self.table
                    .open_sequence(next.span.start(), props, None, true, comments)?;
                self.skip();
                Ok(Some(State::FlowSequenceEntry { first: true }))
            }
            Token::FlowMapping => {
                self.table
                    .open_mapping(next.span.start(), props, None, true, comments)?;
                self.skip();
                Ok(Some(State::FlowMappingKey { first: true }))
            }
            Token::BlockSequence(column) if room != Room::Flow => {
                self.table.open_sequence(
                    next.span.start(),
                    props,
                    Some(column),
                    false,
                    comments,
                )?;
                self.skip();
                Ok(Some(State::SequenceEntry))
            }
            Token::BlockMapping(column) | Token::FirstKey(column) if room != Room::Flow => {
                self.table
                    .open_mapping(next.span.start(), props, Some(column), false, comments)?;
                self.skip();
                if matches!(next.token, Token::FirstKey(_)) {
                    self.current = Some(Placed {
                        token: Token::Key,
                        span: next.span,
                    });
                }
                Ok(Some(State::MappingKey))
            }
            _ => match props.span {
                Some(span) => {
                    self.table.empty(span.end(), props, comments)?;
                    Ok(self.pop())
                }
                None => Err(unexpected(next)),
            },
        }
    }

    /// Anchor and tag, in either order.
    fn props(&mut self) -> Result<Props, ScanError> {
        let mut props = Props::default();
        let mut tagged = false;
        loop {
            let next = self.peek()?;
            match next.token {
                Token::Anchor if props.anchor.is_none() => {
                    props.anchor = Some(Span::new(next.span.start() + 1, next.span.end()));
                }
                Token::Tag if !tagged => {
                    tagged = true;
                    let text = next.span.of(self.source);
                    props.tag = self.directives.resolve(text).ok_or_else(|| {
                        ScanError::new(next.span, "the handle of this tag is not defined")
                    })?;
                    self.table.check_key_tag(next.span, props.tag)?;
                }
                _ => return Ok(props),
            }
            let start = props.span.map_or(next.span.start(), Span::start);
            props.span = Some(Span::new(start, next.span.end()));
            self.skip();
        }
    }

    fn sequence_entry(&mut self) -> Result<Option<State>, ScanError> {
        let next = self.peek()?;
        match next.token {
            Token::BlockEntry => {
                self.table.dash(next.span, &mut self.scanner.comments);
                self.skip();
                let after = self.peek()?;
                if matches!(after.token, Token::BlockEntry | Token::BlockEnd) {
                    self.table.empty(
                        next.span.end(),
                        Props::default(),
                        &mut self.scanner.comments,
                    )?;
                    return Ok(Some(State::SequenceEntry));
                }
                self.states.push(State::SequenceEntry);
                self.node(Room::Block)
            }
            Token::BlockEnd => self.close_block(next),
            _ => Err(ScanError::new(next.span, "expected a `-` here")
                .with_hint("the items of a list stand in one column")),
        }
    }

    fn indentless_entry(&mut self) -> Result<Option<State>, ScanError> {
        let next = self.peek()?;
        if next.token != Token::BlockEntry {
            let ends = if next.token == Token::BlockEnd {
                next.span.start()
            } else {
                0
            };
            self.table
                .close(self.table.last_end, ends, &mut self.scanner.comments)?;
            return Ok(self.pop());
        }
        self.table.dash(next.span, &mut self.scanner.comments);
        self.skip();
        let after = self.peek()?;
        if matches!(
            after.token,
            Token::BlockEntry | Token::Key | Token::Value | Token::BlockEnd
        ) {
            self.table.empty(
                next.span.end(),
                Props::default(),
                &mut self.scanner.comments,
            )?;
            return Ok(Some(State::IndentlessEntry));
        }
        self.states.push(State::IndentlessEntry);
        self.node(Room::Block)
    }

    fn close_block(&mut self, end: Placed) -> Result<Option<State>, ScanError> {
        self.table.close(
            self.table.last_end,
            end.span.start(),
            &mut self.scanner.comments,
        )?;
        self.skip();
        Ok(self.pop())
    }

    fn mapping_key(&mut self) -> Result<Option<State>, ScanError> {
        let next = self.peek()?;
        match next.token {
            Token::Key => {
                self.skip();
                let after = self.peek()?;
                if matches!(after.token, Token::Key | Token::Value | Token::BlockEnd) {
                    self.table.empty(
                        next.span.end(),
                        Props::default(),
                        &mut self.scanner.comments,
                    )?;
                    return Ok(Some(State::MappingValue));
                }
                self.states.push(State::MappingValue);
                self.node(Room::Indentless)
            }
            Token::BlockEnd => self.close_block(next),
            _ => Err(ScanError::new(next.span, "expected a key here")
                .with_hint("the keys of a mapping stand in one column")),
        }
    }

    fn mapping_value(&mut self) -> Result<Option<State>, ScanError> {
        let next = self.peek()?;
        let mut end = self.table.last_end;
        if next.token == Token::Value {
            self.skip();
            end = next.span.end();
            let after = self.peek()?;
            if !matches!(after.token, Token::Key | Token::Value | Token::BlockEnd) {
                self.states.push(State::MappingKey);
                return self.node(Room::Indentless);
            }
        }
        self.table
            .empty(end, Props::default(), &mut self.scanner.comments)?;
        Ok(Some(State::MappingKey))
    }

    fn flow_sequence_entry(&mut self, first: bool) -> Result<Option<State>, ScanError> {
        let mut next = self.peek()?;
        if next.token != Token::FlowSequenceEnd {
            if !first {
                next = self.comma(next, "expected `,` or `]` here")?;
            }
            if next.token == Token::Key {
                let start = next.span.start();
                let comments = &mut self.scanner.comments;
                self.table
                    .open_mapping(start, Props::default(), None, true, comments)?;
                self.skip();
                return Ok(Some(State::PairKey));
            }
            if next.token != Token::FlowSequenceEnd {
                self.states.push(State::FlowSequenceEntry { first: false });
                return self.node(Room::Flow);
            }
        }
        self.close_flow(next)
    }

    /// Steps over the comma between two entries of a flow collection; returns what follows.
    fn comma(&mut self, next: Placed, otherwise: &str) -> Result<Placed, ScanError> {
        if next.token != Token::FlowEntry {
            return Err(ScanError::new(next.span, otherwise));
        }
        self.skip();
        self.table
            .after_comma(next.span.end(), &mut self.scanner.comments);
        self.peek()
    }

    fn close_flow(&mut self, end: Placed) -> Result<Option<State>, ScanError> {
        self.skip();
        self.table
            .close(end.span.end(), end.span.start(), &mut self.scanner.comments)?;
        Ok(self.pop())
    }

    fn pair_key(&mut self) -> Result<Option<State>, ScanError> {
        let next = self.peek()?;
        if matches!(
            next.token,
            Token::Value | Token::FlowEntry | Token::FlowSequenceEnd
        ) {
            // go-yaml steps over this token, whatever it is, and then reads another structure than was written.
            return Err(ScanError::new(next.span, "an empty key in a list"));
        }
        self.states.push(State::PairValue);
        self.node(Room::Flow)
    }

    fn pair_value(&mut self) -> Result<Option<State>, ScanError> {
        let next = self.peek()?;
        let mut end = self.table.last_end;
        if next.token == Token::Value {
            self.skip();
            end = next.span.end();
            let after = self.peek()?;
            if !matches!(after.token, Token::FlowEntry | Token::FlowSequenceEnd) {
                self.states.push(State::PairEnd);
                return self.node(Room::Flow);
            }
        }
        self.table
            .empty(end, Props::default(), &mut self.scanner.comments)?;
        Ok(Some(State::PairEnd))
    }

    fn flow_mapping_key(&mut self, first: bool) -> Result<Option<State>, ScanError> {
        let mut next = self.peek()?;
        if next.token != Token::FlowMappingEnd {
            if !first {
                next = self.comma(next, "expected `,` or `}` here")?;
            }
            if next.token == Token::Key {
                self.skip();
                let after = self.peek()?;
                if matches!(
                    after.token,
                    Token::Value | Token::FlowEntry | Token::FlowMappingEnd
                ) {
                    let at = next.span.end();
                    self.table
                        .empty(at, Props::default(), &mut self.scanner.comments)?;
                    return Ok(Some(State::FlowMappingValue { empty: false }));
                }
                self.states.push(State::FlowMappingValue { empty: false });
                return self.node(Room::Flow);
            }
            if next.token != Token::FlowMappingEnd {
                self.states.push(State::FlowMappingValue { empty: true });
                return self.node(Room::Flow);
            }
        }
        self.close_flow(next)
    }

    fn flow_mapping_value(&mut self, empty: bool) -> Result<Option<State>, ScanError> {
        let next = self.peek()?;
        let mut end = self.table.last_end;
        if !empty && next.token == Token::Value {
            self.skip();
            end = next.span.end();
            let after = self.peek()?;
            if !matches!(after.token, Token::FlowEntry | Token::FlowMappingEnd) {
                self.states.push(State::FlowMappingKey { first: false });
                return self.node(Room::Flow);
            }
        }
        self.table
            .empty(end, Props::default(), &mut self.scanner.comments)?;
        Ok(Some(State::FlowMappingKey { first: false }))
    }
}

/// The error for a token that cannot begin a node.
fn unexpected(found: Placed) -> ScanError {
    let message = match found.token {
        Token::StreamEnd => "the text ends too early",
        Token::Scalar(Form::Plain, _) => "this text cannot stand here",
        _ => "a value is missing here",
    };
    ScanError::new(found.span, message)
}

#[cfg(test)]
mod tests {
    use crate::format::yaml::{key, scan};
    use crate::node::Kind;

    #[test]
    fn what_go_yaml_refuses_is_refused_where_it_stands() {
        for (source, wrong, message) in [
            (
                "a: 1\n\"a\": 2\n",
                "\"a\"",
                "the key `a` is already on line 1",
            ),
            ("a:\n\tb: 1\n", "\t", "a tab cannot indent YAML"),
            ("a: \"\\/\"\n", "\\/", "this escape is not known"),
            ("a: \"\\ud83d\\ude00\"\n", "\\u", "this escape is not known"),
            (
                "%YAML 1.3\n---\n",
                "%YAML ",
                "this version of YAML is not known",
            ),
            ("a: &x b\n*x : c\n", "*x", "an alias as a key"),
            (
                "a: *x\n",
                "*x",
                "there is no anchor of this name above this alias",
            ),
            ("a: &x\n  b: *x\n", "*x", "the anchor `x` contains itself"),
            ("[a]: b\n", "", "a mapping or list as a key"),
            ("- a\n", "", "the top level must be a mapping"),
            (
                "<<: 5\n",
                "5",
                "`<<` merges a mapping or a list of mappings only",
            ),
            (
                "a: !!int foo\n",
                "!!int foo",
                "the tag `!!int` does not fit its value",
            ),
            (
                "a: 1\n<<<<<<< ours\n",
                "<<<<<<<",
                "unresolved merge conflict",
            ),
            ("a: [ENC[x,y]\n", "[", "expected `,` or `]` here"),
            ("a: 'b\n", "'", "this quote is never closed"),
            ("a: b: c\n", ":", "a `:` cannot stand here"),
            (
                "a: !e!x b\n",
                "!e!x",
                "the handle of this tag is not defined",
            ),
            ("a: 1\n b: 2\n", ":", "a `:` cannot stand here"),
            ("a: &b:c\n", "&b", "a blank is missing behind this anchor"),
            ("a: [&b?c]\n", "&b", "a blank is missing behind this anchor"),
        ] {
            let error = scan(source).unwrap_err();
            let found = (error.span.of(source), error.message.as_str());
            let expected = if found.1 == message {
                message
            } else {
                "another message"
            };
            assert_eq!(found, (wrong, expected), "{source:?}");
        }
    }

    #[test]
    fn what_go_yaml_accepts_is_accepted() {
        for source in [
            "",
            "# c\n",
            "---\n---\n",
            "\u{feff}a: 1\n",
            "%YAML 1.2\n---\na: 1\n",
            "a: 1\n---\nb: 1\nb: 2\n",
            "a: &x 1\n---\nb: *x\n",
            "a:\t1\t# c\n",
            "a: 18446744073709551615\n1: b\n",
            "a: {b, c: , ? d : e}\n",
            "a: {&b : c}\n",
        ] {
            assert!(scan(source).is_ok(), "{source:?}");
        }
        let long = |length: usize| format!("{}: 1\n", "k".repeat(length));
        assert!(scan(&long(1024)).is_ok());
        assert!(scan(&long(1025)).is_err());
    }

    #[test]
    fn nesting_has_a_limit_that_is_an_error() {
        let nested = |depth: usize| format!("a: {}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(scan(&nested(9_999)).is_ok());
        assert_eq!(
            scan(&nested(20_000)).unwrap_err().message,
            "nested too deeply"
        );
    }

    /// Each comment with the keys above it, and each scalar with its own.
    fn order(source: &str) -> Vec<String> {
        let nodes = scan(source).unwrap();
        let path = |mut id: usize| {
            let mut path = String::new();
            while let Some(parent) = nodes[id].parent {
                if nodes[parent].kind == Kind::Mapping && nodes[id].kind != Kind::Comment {
                    path = format!("{}:{path}", key(source, &nodes[id]).unwrap());
                }
                id = parent;
            }
            path
        };
        let leaf = |id: usize| match nodes[id].kind {
            Kind::Comment => Some(format!("{}{}", path(id), nodes[id].span.of(source))),
            Kind::Scalar => Some(path(id)),
            _ => None,
        };
        (0..nodes.len()).filter_map(leaf).collect()
    }

    #[test]
    fn comments_stand_where_sops_looks_for_them() {
        for (source, expected) in [
            ("#x\na: 1\n", vec!["#x", "a:"]),
            ("a: 1 #x\n", vec!["#x", "a:"]),
            ("a: | #x\n  b\n", vec!["#x", "a:"]),
            ("m: #x\n  a: 1\n", vec!["#x", "m:a:"]),
            ("a: {b: 1} #x\n", vec!["a:#x", "a:b:"]),
            ("a: [1, #x\n  2]\n", vec!["a:#x", "a:", "a:"]),
            ("l:\n  - #x\n    a: 1\n", vec!["l:#x", "l:a:"]),
            ("m:\n  a: 1\n  #x\nb: 2\n", vec!["m:a:", "m:#x", "b:"]),
            (
                "a:\n  b:\n    c: 1\n  #x\n  d: 2\n",
                vec!["a:b:c:", "a:#x", "a:d:"],
            ),
            ("a:\n  b: 1\n#x\nc: 2\n", vec!["a:b:", "#x", "c:"]),
            ("m:\n    #x\n  #y\n  a: 1\n", vec!["m:#x", "m:#y", "m:a:"]),
            ("l:\n- a\n#x\nb: 1\n", vec!["l:", "#x", "b:"]),
            ("l:\n  - a\n  #x\n  - b\n", vec!["l:", "l:#x", "l:"]),
            ("a: 1\n#x\n---\nb: 1\n", vec!["a:", "#x", "b:"]),
            ("a: 1\n...\n#x\n---\nb: 1\n", vec!["a:", "#x", "b:"]),
            ("? k #x\n: 1\n", vec!["#x", "k:"]),
        ] {
            assert_eq!(order(source), expected, "{source:?}");
            let nodes = scan(source).unwrap();
            for (id, node) in nodes.iter().enumerate() {
                let end = node.parent.map_or(nodes.len(), |parent| nodes[parent].end);
                assert!(id < node.end && node.end <= end, "{source:?} {id}");
            }
        }
    }
}
