//! dotenv and INI, by the line rules of spec 7.5 and 7.6.

use super::tree::{Entry, Node, Value};

/// dotenv: every line a comment or `KEY=VALUE`, nothing interpreted but `\n`.
pub(crate) fn dotenv(text: &str) -> Result<Node, String> {
    let mut entries = Vec::new();
    for line in text.split('\n').filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix('#') {
            entries.push(Entry::comment(comment, true));
        } else {
            let (key, value) = line.split_once('=').ok_or("invalid dotenv input line")?;
            entries.push(Entry::keyed(
                key,
                Node::Leaf(Value::text(value.replace("\\n", "\n"))),
            ));
        }
    }
    Ok(Node::Map(entries))
}

/// The sections of an INI text in order. `DEFAULT` always comes first.
pub(crate) fn ini(text: &str) -> Result<Node, String> {
    let mut reader = Ini {
        lines: text
            .strip_prefix('\u{feff}')
            .unwrap_or(text)
            .split('\n')
            .collect(),
        next: 0,
        comment: String::new(),
        sections: vec![("DEFAULT".to_owned(), Vec::new())],
    };
    reader.run()?;
    let sections = reader.sections.into_iter();
    let entries = sections.map(|(name, entries)| Entry::keyed(name, Node::Map(entries)));
    Ok(Node::Map(entries.collect()))
}

struct Ini<'a> {
    lines: Vec<&'a str>,
    next: usize,
    comment: String,
    sections: Vec<(String, Vec<Entry>)>,
}

impl<'a> Ini<'a> {
    fn line(&mut self) -> Option<&'a str> {
        let line = self.lines.get(self.next).copied();
        self.next += 1;
        line
    }

    fn run(&mut self) -> Result<(), String> {
        while let Some(line) = self.line() {
            let line = line.trim_start();
            let trimmed = line.trim_end();
            if trimmed.is_empty() {
                continue;
            }
            if trimmed.starts_with(['#', ';']) {
                self.remember(trimmed);
            } else if let Some(header) = trimmed.strip_prefix('[') {
                let (name, behind) = header.rsplit_once(']').ok_or("unclosed section")?;
                if name.trim().is_empty() {
                    return Err("empty section name".to_owned());
                }
                if let Some(at) = behind.find(['#', ';']) {
                    self.remember(behind.get(at..).unwrap_or_default());
                }
                let comment = self.take_comment();
                self.sections
                    .push((name.trim().to_owned(), comment.into_iter().collect()));
            } else {
                self.key_line(line)?;
            }
        }
        Ok(())
    }

    fn remember(&mut self, line: &str) {
        if !self.comment.is_empty() {
            self.comment.push('\n');
        }
        self.comment.push_str(line);
    }

    fn take_comment(&mut self) -> Option<Entry> {
        let comment = std::mem::take(&mut self.comment);
        let text = comment.trim_start_matches([';', '#', ' ', '\t']);
        (!comment.is_empty()).then(|| Entry::comment(text, true))
    }

    fn key_line(&mut self, line: &str) -> Result<(), String> {
        let (key, rest) = split_key(line)?;
        if key == "-" {
            return Err("auto-numbered key".to_owned());
        }
        let value = self.value(rest)?;
        let comment = self.take_comment();
        let (_, entries) = self.sections.last_mut().ok_or("no section")?;
        let node = Node::Leaf(Value::text(value));
        match entries
            .iter_mut()
            .find(|entry| entry.key.as_deref() == Some(&key))
        {
            Some(entry) => entry.node = node,
            None => entries.push(Entry::keyed(key, node)),
        }
        entries.extend(comment);
        Ok(())
    }

    fn value(&mut self, rest: &str) -> Result<String, String> {
        let line = rest.trim_start();
        for quote in ["\"\"\"", "`"] {
            if let Some(inside) = line.strip_prefix(quote) {
                return self.raw(inside, quote);
            }
        }
        let mut text = line.trim().to_owned();
        while let Some(head) = text.strip_suffix('\\') {
            let joined = head.to_owned();
            text = joined + self.line().unwrap_or_default().trim();
        }
        if let Some(at) = text.find(['#', ';']) {
            let comment = text.split_off(at);
            self.remember(&comment);
            text = text.trim().to_owned();
        }
        for quote in ['"', '\''] {
            let inside = text
                .strip_prefix(quote)
                .and_then(|text| text.strip_suffix(quote));
            if let Some(inside) = inside.filter(|inside| !inside.contains(quote)) {
                return Ok(inside.to_owned());
            }
        }
        Ok(text)
    }

    fn raw(&mut self, inside: &str, quote: &str) -> Result<String, String> {
        let mut value = inside.to_owned();
        loop {
            if let Some((value, _)) = value.split_once(quote) {
                return Ok(value.to_owned());
            }
            value.push('\n');
            value.push_str(self.line().ok_or("missing closing quote")?);
        }
    }
}

fn split_key(line: &str) -> Result<(String, &str), String> {
    for quote in ["\"\"\"", "\"", "`"] {
        if let Some(rest) = line.strip_prefix(quote) {
            let (key, rest) = rest.split_once(quote).ok_or("missing closing key quote")?;
            let at = rest
                .find(['=', ':'])
                .ok_or("key-value delimiter not found")?;
            return Ok((key.to_owned(), rest.get(at + 1..).unwrap_or_default()));
        }
    }
    let at = line
        .find(['=', ':'])
        .ok_or("key-value delimiter not found")?;
    let (key, rest) = line.split_at_checked(at).ok_or("no key")?;
    let key = key.trim();
    if key.is_empty() {
        return Err("empty key".to_owned());
    }
    Ok((key.to_owned(), rest.get(1..).unwrap_or_default()))
}

#[test]
fn ini_values_follow_the_order_of_spec_7_6() {
    let text = "top=1\n; on s\n[s] # x\na = \"q\" \nb : v ; note\nc = one\\\n  two\nd = `raw # ;`\ne = 'it''s'\na=2\n";
    let leaf = |text: &str| Node::Leaf(Value::text(text));
    let Node::Map(sections) = ini(text).unwrap() else {
        panic!("sections")
    };
    assert_eq!(
        sections[0],
        Entry::keyed("DEFAULT", Node::Map(vec![Entry::keyed("top", leaf("1"))]))
    );
    let expected = vec![
        Entry::comment("on s\n# x", true),
        Entry::keyed("a", leaf("2")),
        Entry::keyed("b", leaf("v")),
        Entry::comment("note", true),
        Entry::keyed("c", leaf("onetwo")),
        Entry::keyed("d", leaf("raw # ;")),
        Entry::keyed("e", leaf("'it''s'")),
    ];
    assert_eq!(sections[1], Entry::keyed("s", Node::Map(expected)));
    for bad in ["[s\n", "[]\n", "alone\n", "=1\n", "- = 1\n"] {
        assert!(ini(bad).is_err(), "{bad}");
    }
}
