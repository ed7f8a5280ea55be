//! Character classes of RE2: `[…]`, `\d` and its kin, `\p{…}`. Knows sets of characters and nothing around them.

use super::{BadPattern, Translator, code_point};

/// The names `[:…:]` may hold. The sets are the same ASCII sets in both dialects.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// Scripts whose name has four letters. Every other word of four letters is a code for a script, which Go does not know.
const SHORT_SCRIPTS: [&str; 8] = [
    "ahom", "cham", "lisu", "miao", "modi", "newa", "thai", "toto",
];

impl Translator<'_> {
    /// Reads a class; `open` is the place of its bracket, which has been read.
    pub(super) fn class(&mut self, open: usize) -> Result<String, BadPattern> {
        let mut set = String::from(if self.eat("^") { "[^" } else { "[" });
        let mut first = true;
        loop {
            let at = self.at;
            // A bracket in the first place is a member.
            if !std::mem::take(&mut first) && self.eat("]") {
                set.push(']');
                return Ok(set);
            }
            if let Some(named) = self.posix_class(at)? {
                set.push_str(&named);
            } else if let Some(escaped) = self.class_escape_after_backslash(at)? {
                set.push_str(&escaped);
            } else {
                self.range(open, &mut set)?;
            }
        }
    }

    /// `[:name:]` or `[:^name:]`; `None` if something else stands here.
    fn posix_class(&mut self, at: usize) -> Result<Option<String>, BadPattern> {
        let Some(text) = self.rest().strip_prefix("[:") else {
            return Ok(None);
        };
        let Some((name, _)) = text.split_once(":]") else {
            return Ok(None);
        };
        if !POSIX.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err(self.error(at, "unknown class name; the names are like `[:alpha:]`"));
        }
        self.at += name.len() + 4;
        Ok(Some(format!("[:{name}:]")))
    }

    fn class_escape_after_backslash(&mut self, at: usize) -> Result<Option<String>, BadPattern> {
        if !self.eat("\\") {
            return Ok(None);
        }
        let escaped = self.class_escape(at)?;
        if escaped.is_none() {
            self.at = at;
        }
        Ok(escaped)
    }

    /// A single character or a range of two.
    fn range(&mut self, open: usize, set: &mut String) -> Result<(), BadPattern> {
        let at = self.at;
        let low = self.member(open)?;
        let mut high = low;
        let rest = self.rest();
        if rest.len() >= 2 && rest.starts_with('-') && !rest.starts_with("-]") {
            self.at += 1;
            high = self.member(open)?;
        }
        if high < low {
            return Err(self.error(at, "invalid range of characters"));
        }
        set.push_str(&code_point(low));
        set.push('-');
        set.push_str(&code_point(high));
        Ok(())
    }

    fn member(&mut self, open: usize) -> Result<char, BadPattern> {
        let at = self.at;
        match self.next() {
            None => Err(self.error(open, "missing closing `]`")),
            Some('\\') => self.char_escape(at),
            Some(literal) => Ok(literal),
        }
    }

    /// An escape that stands for a set: `\d`, `\pL`, `\p{Greek}`. The backslash at `at` has been read; nothing more is
    /// read if it is another escape. The result stands inside of brackets.
    pub(super) fn class_escape(&mut self, at: usize) -> Result<Option<String>, BadPattern> {
        let set = match self.rest().chars().next() {
            Some('d') => "0-9",
            Some('D') => "[^0-9]",
            Some('s') => r"\t\n\x{C}\r\x{20}",
            Some('S') => r"[^\t\n\x{C}\r\x{20}]",
            Some('w') => "0-9A-Za-z_",
            Some('W') => "[^0-9A-Za-z_]",
            Some(letter @ ('p' | 'P')) => {
                self.at += 1;
                return self.unicode_class(at, letter == 'P').map(Some);
            }
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(set.to_owned()))
    }

    fn unicode_class(&mut self, at: usize, mut negated: bool) -> Result<String, BadPattern> {
        let unknown = "unknown Unicode class; the names are categories and scripts";
        let name = if self.eat("{") {
            negated ^= self.eat("^");
            self.rest()
                .split_once('}')
                .map(|(name, _)| (name, name.len() + 1))
        } else {
            let rest = self.rest();
            rest.chars()
                .next()
                .map(|letter| (rest.get(..letter.len_utf8()), letter.len_utf8()))
                .and_then(|(name, length)| Some((name?, length)))
        };
        let Some((name, length)) = name else {
            return Err(self.error(at, unknown));
        };
        let letter = if negated { 'P' } else { 'p' };
        let candidates = [("gc", true), ("sc", name_is_script(name))];
        let class = candidates
            .into_iter()
            .filter(|(_, possible)| *possible && is_name(name))
            .map(|(property, _)| format!(r"\{letter}{{{property}={name}}}"))
            .find(|class| regex_syntax::parse(class).is_ok());
        let Some(class) = class else {
            return Err(self.error(at, unknown));
        };
        self.at += length;
        Ok(class)
    }
}

/// Letters and the separators that Go ignores in names. Keeps `name=value` of the other dialect out.
fn is_name(name: &str) -> bool {
    name.bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b' '))
}

fn name_is_script(name: &str) -> bool {
    name.len() != 4 || SHORT_SCRIPTS.contains(&name.to_ascii_lowercase().as_str())
}
