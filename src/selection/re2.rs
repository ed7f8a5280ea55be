//! Regular expressions as Go writes them, translated into what the `regex` crate reads with the same meaning.
//!
//! Go's `regexp` is RE2 syntax; spec 3.4 lists where the two dialects part. Nothing is passed on unread: every literal
//! is written as a code point, every class as ranges, every flag is resolved where it acts. Captures and greediness do
//! not change whether a text matches, so they are checked and dropped. Whatever Go refuses is refused here.

use std::fmt::Write as _;

use super::BadPattern;

mod class;

/// Longest pattern that is read, in bytes.
const MAX_LENGTH: usize = 32 * 1024;
/// Deepest nesting of groups. Go stops at 1,000, the `regex` crate at 250.
const MAX_NESTING: usize = 200;
/// Most repetitions that `{n,m}` may ask for, nested counts multiplied, as in Go.
const MAX_REPEAT: u32 = 1000;

/// Translates the RE2 pattern `source` for the `regex` crate.
///
/// # Errors
/// [`BadPattern`] at the place where Go's `regexp.Compile` would stop, or where a limit is passed.
pub(super) fn translate(source: &str) -> Result<String, BadPattern> {
    let mut translator = Translator::new(source);
    if source.len() > MAX_LENGTH {
        return Err(translator.error(0, "the pattern is longer than 32 KiB"));
    }
    translator.run()?;
    Ok(translator.out)
}

/// The flags that change what a pattern matches. `U` only changes which match is preferred.
#[derive(Clone, Copy, Default)]
struct Flags {
    fold_case: bool,
    multi_line: bool,
    dot_all: bool,
}

/// An open group, or the whole pattern.
#[derive(Default)]
struct Group {
    /// Where its parenthesis stands.
    at: usize,
    /// The flags to return to when it closes.
    outer: Flags,
    /// Product of the nested repetition counts, the largest of the finished atoms.
    weight: u32,
    /// The same of the last atom; `None` if a repetition here would have nothing to repeat.
    atom: Option<u32>,
}

impl Group {
    /// Ends the last atom and begins one with nested repetitions of `weight`.
    fn begin_atom(&mut self, weight: u32) {
        self.end_atom();
        self.atom = Some(weight);
    }

    fn end_atom(&mut self) {
        self.weight = self.weight.max(self.atom.take().unwrap_or(1));
    }
}

struct Translator<'a> {
    source: &'a str,
    /// Byte offset of the next character.
    at: usize,
    out: String,
    flags: Flags,
    group: Group,
    outer_groups: Vec<Group>,
    /// Whether the last thing read was a repetition: a second one would be an error.
    repeated: bool,
}

impl<'a> Translator<'a> {
    fn new(source: &'a str) -> Self {
        Self {
            source,
            at: 0,
            out: String::new(),
            flags: Flags::default(),
            group: Group::default(),
            outer_groups: Vec::new(),
            repeated: false,
        }
    }

    fn error(&self, at: usize, reason: impl Into<String>) -> BadPattern {
        BadPattern {
            pattern: self.source.to_owned(),
            offset: at,
            reason: reason.into(),
        }
    }

    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest().chars().next()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn run(&mut self) -> Result<(), BadPattern> {
        loop {
            let at = self.at;
            let Some(next) = self.next() else { break };
            let repeated = std::mem::take(&mut self.repeated);
            match next {
                '(' => self.open(at)?,
                ')' => self.close(at)?,
                '|' => {
                    self.group.end_atom();
                    self.out.push('|');
                }
                '^' => self.atom(if self.flags.multi_line {
                    "(?m:^)"
                } else {
                    r"\A"
                }),
                '$' => self.atom(if self.flags.multi_line {
                    "(?m:$)"
                } else {
                    r"\z"
                }),
                '.' => self.atom(if self.flags.dot_all {
                    "(?s:.)"
                } else {
                    r"[^\n]"
                }),
                '[' => {
                    let class = self.class(at)?;
                    self.atom_folded(&class);
                }
                '*' | '+' | '?' => {
                    self.out.push(next);
                    self.repeat(at, repeated, None)?;
                }
                '{' => self.brace(at, repeated)?,
                '\\' => self.escape(at)?,
                literal => self.literal(literal),
            }
        }
        if !self.outer_groups.is_empty() {
            return Err(self.error(self.group.at, "missing closing `)`"));
        }
        Ok(())
    }

    fn atom(&mut self, text: &str) {
        self.group.begin_atom(1);
        self.out.push_str(text);
    }

    /// An atom in which upper and lower case are the same if `(?i)` is on.
    fn atom_folded(&mut self, text: &str) {
        if self.flags.fold_case {
            self.atom(&format!("(?i:{text})"));
        } else {
            self.atom(text);
        }
    }

    fn literal(&mut self, literal: char) {
        self.atom_folded(&code_point(literal));
    }

    fn open(&mut self, at: usize) -> Result<(), BadPattern> {
        let outer = self.flags;
        if self.rest().starts_with('?') && !self.group_opening(at)? {
            return Ok(());
        }
        if self.outer_groups.len() >= MAX_NESTING {
            return Err(self.error(at, "groups are nested too deeply"));
        }
        self.group.end_atom();
        self.out.push_str("(?:");
        let group = Group {
            at,
            outer,
            ..Group::default()
        };
        self.outer_groups
            .push(std::mem::replace(&mut self.group, group));
        Ok(())
    }

    /// Reads `?P<name>`, `?<name>` or `?flags:`, which begin a group, or `?flags)`, which does not.
    fn group_opening(&mut self, at: usize) -> Result<bool, BadPattern> {
        if self.eat("?P<") || self.eat("?<") {
            let name = self.rest().split_once('>').map(|(name, _)| name);
            let valid = |name: &&str| {
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            };
            let Some(name) = name.filter(valid) else {
                return Err(self.error(at, "invalid name of a group"));
            };
            self.at += name.len() + 1;
            return Ok(true);
        }
        self.at += 1;
        self.flags(at)
    }

    fn flags(&mut self, at: usize) -> Result<bool, BadPattern> {
        let (mut flags, mut on, mut complete) = (self.flags, true, true);
        loop {
            match self.next() {
                Some('i') => flags.fold_case = on,
                Some('m') => flags.multi_line = on,
                Some('s') => flags.dot_all = on,
                Some('U') => {}
                Some('-') if on => {
                    (on, complete) = (false, false);
                    continue;
                }
                Some(end @ (':' | ')')) if complete => {
                    self.flags = flags;
                    return Ok(end == ':');
                }
                _ => return Err(self.error(at, "invalid or unsupported `(?…)`")),
            }
            complete = true;
        }
    }

    fn close(&mut self, at: usize) -> Result<(), BadPattern> {
        let Some(outer) = self.outer_groups.pop() else {
            return Err(self.error(at, "unexpected `)`"));
        };
        self.out.push(')');
        self.group.end_atom();
        let closed = std::mem::replace(&mut self.group, outer);
        self.flags = closed.outer;
        self.group.begin_atom(closed.weight);
        Ok(())
    }

    /// A `{`: a repetition if it reads as one, else itself.
    fn brace(&mut self, at: usize, repeated: bool) -> Result<(), BadPattern> {
        let Some((min, max, length)) = counts(self.rest()) else {
            self.literal('{');
            return Ok(());
        };
        self.at += length;
        let too_big = |count: u32| count > MAX_REPEAT;
        if too_big(min) || max.is_some_and(|max| too_big(max) || max < min) {
            return Err(self.error(at, "invalid repetition count; the most is 1000"));
        }
        // Writing to a String cannot fail.
        let _ = match max {
            None => write!(self.out, "{{{min},}}"),
            Some(max) => write!(self.out, "{{{min},{max}}}"),
        };
        self.repeat(at, repeated, Some((min, max)))
    }

    /// What all repetitions have in common, after their operator was written.
    fn repeat(
        &mut self,
        at: usize,
        repeated: bool,
        counts: Option<(u32, Option<u32>)>,
    ) -> Result<(), BadPattern> {
        self.eat("?");
        if repeated {
            return Err(self.error(at, "a repetition of a repetition"));
        }
        let Some(weight) = self.group.atom else {
            return Err(self.error(at, "a repetition of nothing"));
        };
        self.repeated = true;
        if let Some((min, max)) = counts {
            let weight = match max {
                Some(0) => 1,
                max => weight.saturating_mul(max.unwrap_or(min).max(1)),
            };
            if weight > MAX_REPEAT {
                return Err(self.error(at, "nested repetition counts multiply to more than 1000"));
            }
            self.group.atom = Some(weight);
        }
        Ok(())
    }

    /// An escape outside of a class; `at` is the place of its backslash.
    fn escape(&mut self, at: usize) -> Result<(), BadPattern> {
        match self.rest().chars().next() {
            Some('A') => self.assertion(r"\A"),
            Some('z') => self.assertion(r"\z"),
            Some('b') => self.assertion(r"(?-u:\b)"),
            Some('B') => self.assertion(r"(?-u:\B)"),
            Some('C') => return Err(self.error(at, r"`\C` is not supported")),
            Some('Q') => {
                self.at += 1;
                self.quoted();
            }
            _ => match self.class_escape(at)? {
                Some(set) => self.atom_folded(&format!("[{set}]")),
                None => {
                    let literal = self.char_escape(at)?;
                    self.literal(literal);
                }
            },
        }
        Ok(())
    }

    fn assertion(&mut self, text: &str) {
        self.at += 1;
        self.atom(text);
    }

    /// Everything up to `\E`, or to the end, is literal.
    fn quoted(&mut self) {
        while !self.rest().is_empty() && !self.eat(r"\E") {
            if let Some(literal) = self.next() {
                self.literal(literal);
            }
        }
    }

    /// One escaped character, as Go's `parseEscape` reads it; `at` is the place of its backslash.
    fn char_escape(&mut self, at: usize) -> Result<char, BadPattern> {
        let Some(escaped) = self.next() else {
            return Err(self.error(at, r"trailing `\`"));
        };
        let octal_follows = self.rest().starts_with(|c: char| c.is_digit(8));
        Ok(match escaped {
            'a' => '\u{7}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '1'..='7' if octal_follows => self.octal(escaped),
            '0' => self.octal(escaped),
            'x' => {
                let code = self.hexadecimal();
                code.ok_or_else(|| self.error(at, r"invalid `\x` escape"))?
            }
            mark if mark.is_ascii() && !mark.is_ascii_alphanumeric() => mark,
            _ => return Err(self.error(at, "invalid escape")),
        })
    }

    fn octal(&mut self, first: char) -> char {
        let mut code = first.to_digit(8).unwrap_or(0);
        for _ in 0..2 {
            let Some(digit) = self.rest().chars().next().and_then(|c| c.to_digit(8)) else {
                break;
            };
            code = code * 8 + digit;
            self.at += 1;
        }
        char::from_u32(code).unwrap_or_default()
    }

    fn hexadecimal(&mut self) -> Option<char> {
        let digits = if self.eat("{") {
            let (digits, _) = self.rest().split_once('}')?;
            self.at += digits.len() + 1;
            digits
        } else {
            let digits = self.rest().get(..2)?;
            self.at += 2;
            digits
        };
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let significant = digits.trim_start_matches('0');
        if significant.is_empty() {
            return Some('\0');
        }
        char::from_u32(u32::from_str_radix(significant, 16).ok()?)
    }
}

/// A character as the `regex` crate reads it anywhere.
fn code_point(literal: char) -> String {
    if literal.is_ascii_alphanumeric() {
        literal.to_string()
    } else {
        format!(r"\x{{{:X}}}", u32::from(literal))
    }
}

/// Reads `n}`, `n,}` or `n,m}` behind a brace: the least, the most, and the bytes read. Counts too long to read become
/// larger than any that is allowed. `None` if this is no repetition.
fn counts(text: &str) -> Option<(u32, Option<u32>, usize)> {
    let (inside, _) = text.split_once('}')?;
    let (min, max) = match inside.split_once(',') {
        None => (count(inside)?, Some(count(inside)?)),
        Some((min, "")) => (count(min)?, None),
        Some((min, max)) => (count(min)?, Some(count(max)?)),
    };
    Some((min, max, inside.len() + 1))
}

fn count(digits: &str) -> Option<u32> {
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    if digits.is_empty() || leading_zero || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::super::Pattern;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::strict(pattern)
            .unwrap_or_else(|error| panic!("{error}"))
            .is_match(text)
    }

    fn refused_at(pattern: &str) -> usize {
        match Pattern::strict(pattern) {
            Ok(_) => panic!("{pattern} was accepted"),
            Err(error) => error.offset,
        }
    }

    #[test]
    fn means_what_it_means_in_go() {
        // pattern, a text it matches, a text it does not match
        let table = [
            // unanchored
            ("word", "passwords", "wor"),
            ("^(data|stringData)$", "stringData", "metadata"),
            // `$` is the end of the text unless (?m)
            ("a$", "ba", "a\n"),
            ("(?m)a$", "a\nb", "ab"),
            ("^b", "b", "a\nb"),
            ("(?m)^b", "a\nb", "ab"),
            (r"a\z", "a", "a\n"),
            (r"(?m)\Ab", "b", "a\nb"),
            // Perl classes are ASCII
            (r"^\d$", "7", "\u{661}"),
            (r"^\D$", "\u{661}", "7"),
            (r"^\w$", "_", "é"),
            (r"^\W$", "é", "e"),
            (r"^\s$", "\t", "\u{a0}"),
            (r"^\s$", "\u{c}", "\u{b}"),
            (r"^\S$", "\u{b}", " "),
            (r"^[\d_]$", "_", "\u{661}"),
            (r"^[^\d]$", "\u{661}", "1"),
            (r"^[\W]$", "é", "e"),
            (r"^[^\W]$", "e", "é"),
            (r"a\b", "aé", "ab"),
            (r"a\B", "ab", "aé"),
            // POSIX classes
            ("^[[:word:]]$", "_", "é"),
            ("^[[:^word:]]$", "é", "_"),
            ("^[[:alpha:]1]$", "1", "2"),
            ("^[^[:space:]]$", "x", "\u{b}"),
            // case folding is Unicode
            ("(?i)^k$", "\u{212a}", "q"),
            (r"(?i)^[[:lower:]]$", "\u{17f}", "1"),
            ("(?i)^É$", "é", "e"),
            ("(?i)a(?-i)b", "Ab", "AB"),
            ("(?i:a)b", "Ab", "AB"),
            ("((?i)a)b", "Ab", "AB"),
            ("x(?i)a|b", "B", "X"),
            // operators of the other dialect are literal inside a class
            ("^[a&&b]$", "&", "c"),
            ("^[+--b]$", ",", "a"),
            ("^[a~~b]$", "~", "c"),
            ("^[[a]$", "[", "]"),
            ("^[]a]$", "]", "b"),
            ("^[^]a]$", "b", "]"),
            ("^[a-]$", "-", "b"),
            (r"^[\d-z]$", "-", "y"),
            ("^[ #]$", "#", "x"),
            // quoting and escapes
            (r"^\Qa.b\E.$", "a.bx", "aabx"),
            (r"^\Qa\b", r"a\b", "ab"),
            (r"^\101$", "A", "1"),
            (r"^\0$", "\0", "0"),
            (r"^\012$", "\n", "\0"),
            (r"^\x41\x{1F600}$", "A\u{1f600}", "A"),
            (r"^[\x41-\x{43}]$", "B", "D"),
            (r"^\_\-\/$", "_-/", "-"),
            // Unicode classes
            (r"^\pN$", "\u{661}", "a"),
            (r"^\PN$", "a", "1"),
            (r"^\p{Greek}\p{Lu}$", "αA", "aA"),
            (r"^\p{^Greek}$", "a", "α"),
            (r"^\P{^Greek}$", "α", "a"),
            (r"^[\p{Lu}\d]$", "1", "a"),
            (r"^[^\p{Lu}]$", "a", "A"),
            (r"^\p{Any}$", "\n", ""),
            // groups and flags
            ("^(?P<n>a)(?<m>b)(?P<n>c)$", "abc", "ab"),
            ("^a.c$", "abc", "a\nc"),
            ("(?s)^a.c$", "a\nc", "ac"),
            ("(?U)a+?b", "aab", "b"),
            ("(?)a", "a", "b"),
            // repetitions
            ("^a{2}$", "aa", "aaa"),
            ("^a{2,}?$", "aaaa", "a"),
            ("^a{,2}$", "a{,2}", "aa"),
            ("^a{02}$", "a{02}", "aa"),
            ("^a{$", "a{", "a"),
            ("^a{1,x}$", "a{1,x}", "a"),
            ("^(?:)*a$", "a", "b"),
            ("^a(?i)*$", "aaa", "b"),
            (r"^a\Q\E*$", "aaa", "b"),
        ];
        for (pattern, yes, no) in table {
            assert!(matches(pattern, yes), "{pattern} should match {yes:?}");
            assert!(!matches(pattern, no), "{pattern} should not match {no:?}");
        }
        assert!(matches("", "anything"));
    }

    #[test]
    fn refuses_what_go_refuses_and_says_where() {
        let table = [
            ("(", 0),
            ("a(b", 1),
            ("a)", 1),
            ("[a", 0),
            ("x[]", 1),
            ("[z-a]", 1),
            ("[a--b]", 1),
            ("[a-\\d]", 3),
            ("[[:foo:]]", 1),
            ("*", 0),
            ("a|*", 2),
            ("(*)", 1),
            ("a**", 2),
            ("a*??", 3),
            ("a{2}{3}", 4),
            ("a{1001}", 1),
            ("a{2,1}", 1),
            ("a{9876543210}", 1),
            ("((a{100}){100}){100}", 9),
            (r"\Q\E*", 4),
            ("\\", 0),
            (r"\1", 0),
            (r"\8", 0),
            (r"\Z", 0),
            (r"\C", 0),
            (r"\u{41}", 0),
            (r"\é", 0),
            (r"[\b]", 1),
            (r"\x4", 0),
            (r"\x{}", 0),
            (r"\x{110000}", 0),
            ("(?x)a", 0),
            ("(?u)a", 0),
            ("(?R)a", 0),
            ("(?i-)a", 0),
            ("(?=a)", 0),
            ("(?P<x y>a)", 0),
            ("(?P<>a)", 0),
            (r"\p{Nonsense}", 0),
            (r"\p{Alphabetic}", 0),
            (r"\p{sc=Greek}", 0),
            (r"\p{Grek}", 0),
            (r"\p", 0),
            (r"\p{L", 0),
        ];
        for (pattern, offset) in table {
            assert_eq!(refused_at(pattern), offset, "{pattern}");
        }
    }

    #[test]
    fn bombs_are_refused() {
        assert!(Pattern::strict(&"(".repeat(30_000)).is_err());
        assert!(Pattern::strict(&"a".repeat(40_000)).is_err());
        assert!(Pattern::strict(r"(?:\pL{1000})").is_err());
        assert!(Pattern::strict(&"[[:".repeat(10_000)).is_err());
        assert!(Pattern::strict(&"a?".repeat(10_000)).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_translated_completely(
            pattern in r"([\[\]\\(){}?*+|^$.:,<>=!&~-]|[abdsSwWpPQExzACiUm019]|é|\\[pPdQEx]|\(\?|\[:|:\]){0,16}"
        ) {
            if let Err(error) = Pattern::strict(&pattern) {
                prop_assert!(error.offset <= pattern.len());
                prop_assert!(error.reason != super::super::UNSUPPORTED, "{}", error);
            }
        }
    }
}
