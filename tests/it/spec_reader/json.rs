//! JSON as spec 7.3 reads it: order and duplicates kept, number literals kept until they are typed.

use super::tree::{Entry, Node, Value};

/// The top-level object and what the text says about it.
pub(crate) fn parse(text: &str) -> Result<Node, String> {
    // A second opinion on the syntax, numbers and strings left undecoded.
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| error.to_string())?;
    let mut reader = Reader { text, at: 0 };
    reader.blanks();
    if reader.peek() != Some(b'{') {
        return Err("top level is not an object".to_owned());
    }
    let node = reader.value()?;
    reader.blanks();
    if reader.at == text.len() {
        Ok(node)
    } else {
        Err("text behind the object".to_owned())
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.blanks();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self) -> Result<Node, String> {
        self.blanks();
        match self.peek() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => self.string().map(|text| Node::Leaf(Value::text(text))),
            _ => self.word(),
        }
    }

    fn object(&mut self) -> Result<Node, String> {
        let mut entries = Vec::new();
        self.eat(b'{');
        while !self.eat(b'}') {
            self.blanks();
            let key = self.string()?;
            if !self.eat(b':') {
                return Err("missing colon".to_owned());
            }
            entries.push(Entry::keyed(key, self.value()?));
            self.eat(b',');
        }
        Ok(Node::Map(entries))
    }

    fn array(&mut self) -> Result<Node, String> {
        let mut entries = Vec::new();
        self.eat(b'[');
        while !self.eat(b']') {
            entries.push(Entry::item(self.value()?));
            self.eat(b',');
        }
        Ok(Node::List(entries))
    }

    fn word(&mut self) -> Result<Node, String> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest
            .find([',', '}', ']', ' ', '\t', '\r', '\n'])
            .unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default();
        self.at += end;
        let value = match word {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => match word.parse::<i64>() {
                Ok(number) => Value::Int(number),
                Err(_) => {
                    let number: f64 = word.parse().map_err(|_| format!("not JSON: {word}"))?;
                    if number.is_infinite() {
                        return Err("number out of range".to_owned());
                    }
                    Value::Float(number)
                }
            },
        };
        Ok(Node::Leaf(value))
    }

    fn string(&mut self) -> Result<String, String> {
        if !self.eat(b'"') {
            return Err("expected a string".to_owned());
        }
        let mut units: Vec<u16> = Vec::new();
        let mut chars = self.text.get(self.at..).unwrap_or_default().char_indices();
        while let Some((index, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += index + 1;
                    return Ok(String::from_utf16_lossy(&units));
                }
                '\\' => {
                    let (index, escape) = chars.next().ok_or("truncated")?;
                    units.push(match escape {
                        'n' => 10,
                        't' => 9,
                        'r' => 13,
                        'b' => 8,
                        'f' => 12,
                        'u' => {
                            let from = self.at + index + 1;
                            let hex = self.text.get(from..from + 4).ok_or("truncated")?;
                            chars.nth(3);
                            u16::from_str_radix(hex, 16).map_err(|error| error.to_string())?
                        }
                        other => u16::try_from(u32::from(other)).map_err(|e| e.to_string())?,
                    });
                }
                c => units.extend_from_slice(c.encode_utf16(&mut [0; 2])),
            }
        }
        Err("unterminated string".to_owned())
    }
}

#[test]
fn numbers_and_strings_are_typed_as_spec_7_3_says() {
    let text = r#"{"a": 1, "a": 1.0, "b": [-0, -0.0, 1e3, 9223372036854775808], "c": "\ud83d\ude00\ud800x\n"}"#;
    let node = parse(text).unwrap();
    let list = vec![
        Value::Int(0),
        Value::Float(-0.0),
        Value::Float(1e3),
        Value::Float(2f64.powi(63)),
    ];
    let list = list
        .into_iter()
        .map(|value| Entry::item(Node::Leaf(value)))
        .collect();
    let expected = vec![
        Entry::keyed("a", Node::Leaf(Value::Int(1))),
        Entry::keyed("a", Node::Leaf(Value::Float(1.0))),
        Entry::keyed("b", Node::List(list)),
        Entry::keyed("c", Node::Leaf(Value::text("😀\u{fffd}x\n"))),
    ];
    assert_eq!(node, Node::Map(expected));
    for bad in ["\u{feff}{}", "{} x", "{\"a\":", "[1]", "{\"a\": 1e999}"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
