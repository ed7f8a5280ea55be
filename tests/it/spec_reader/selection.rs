//! Which leaves a rule seals (spec 3.4, 3.5).

use regex::Regex;

/// A rule, with the comments that are active at this point of the walk.
#[derive(Debug)]
pub(crate) struct Selection {
    rule: String,
    text: String,
    /// `None` for a suffix rule, and for an expression that does not compile: it never matches.
    regex: Option<Regex>,
    active: Vec<Vec<String>>,
}

impl Selection {
    pub(crate) fn new(rule: &str, text: &str) -> Self {
        let regex = rule
            .ends_with("regex")
            .then(|| Regex::new(&from_re2(text)).ok())
            .flatten();
        Self {
            rule: rule.to_owned(),
            text: text.to_owned(),
            regex,
            active: Vec::new(),
        }
    }

    pub(crate) fn open(&mut self) {
        self.active.push(Vec::new());
    }

    pub(crate) fn close(&mut self) {
        self.active.pop();
    }

    pub(crate) fn comment(&mut self, text: &str) {
        if let Some(set) = self.active.last_mut() {
            set.push(text.to_owned());
        }
    }

    pub(crate) fn item_done(&mut self) {
        if let Some(set) = self.active.last_mut() {
            set.clear();
        }
    }

    fn matches(&self, text: &str) -> bool {
        self.regex
            .as_ref()
            .is_some_and(|regex| regex.is_match(text))
    }

    /// Whether the leaf at `path` is sealed; a comment is judged right after it was added.
    pub(crate) fn selects(&self, path: &[String], is_comment: bool) -> bool {
        let suffix = || path.iter().any(|part| part.ends_with(&self.text));
        let regex = || path.iter().any(|part| self.matches(part));
        let comments = |own: bool| {
            let own = usize::from(!own);
            let mut texts: Vec<&String> = self.active.iter().flatten().collect();
            texts.truncate(texts.len().saturating_sub(own));
            texts.into_iter().any(|text| self.matches(text))
        };
        match self.rule.as_str() {
            "unencrypted_suffix" => !suffix(),
            "encrypted_suffix" => suffix(),
            "unencrypted_regex" => !regex(),
            "encrypted_regex" => regex(),
            "unencrypted_comment_regex" => !comments(true),
            _ => comments(!is_comment),
        }
    }
}

/// Neutralises the differences between RE2 and the `regex` crate that spec 3.4 lists.
fn from_re2(pattern: &str) -> String {
    let mut out = String::new();
    let pattern: Vec<char> = pattern.chars().collect();
    let mut chars = pattern.iter().copied().peekable();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('d') => out.push_str(if in_class { "0-9" } else { "[0-9]" }),
                Some('w') => out.push_str(if in_class {
                    "0-9A-Za-z_"
                } else {
                    "[0-9A-Za-z_]"
                }),
                Some('s') => out.push_str(if in_class {
                    "\\t\\n\\f\\r "
                } else {
                    "[\\t\\n\\f\\r ]"
                }),
                Some('D') => out.push_str("[^0-9]"),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('S') => out.push_str("[^\\t\\n\\f\\r ]"),
                Some('b') => out.push_str("(?-u:\\b)"),
                Some('Q') => {
                    let mut quoted = String::new();
                    while let Some(c) = chars.next() {
                        if c == '\\' && chars.next_if_eq(&'E').is_some() {
                            break;
                        }
                        quoted.push(c);
                    }
                    out.push_str(&regex::escape(&quoted));
                }
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            '[' if in_class => out.push_str("\\["),
            '&' | '~' if in_class => out.extend(['\\', c]),
            '[' => {
                in_class = true;
                out.push('[');
                if chars.peek() == Some(&'^') {
                    out.extend(chars.next());
                }
                if chars.peek() == Some(&']') {
                    chars.next();
                    out.push_str("\\]");
                }
            }
            ']' => {
                in_class = false;
                out.push(']');
            }
            c => out.push(c),
        }
    }
    out
}

#[test]
fn rules_look_at_every_component_and_at_active_comments() {
    let path = |text: &str| text.split(':').map(str::to_owned).collect::<Vec<_>>();
    assert!(!Selection::new("unencrypted_suffix", "_un").selects(&path("a_un:b"), false));
    assert!(Selection::new("encrypted_suffix", "word").selects(&path("password:b"), false));
    assert!(Selection::new("encrypted_regex", r"^\d\Q.\E[[a]$").selects(&path("1.["), false));
    assert!(!Selection::new("encrypted_regex", r"^\d$").selects(&path("٣"), false));
    assert!(!Selection::new("encrypted_regex", "(").selects(&path("("), false));
    assert!(Selection::new("unencrypted_regex", "(").selects(&path("("), false));
    let mut rule = Selection::new("encrypted_comment_regex", "enc");
    rule.open();
    rule.comment("enc this");
    assert!(!rule.selects(&[], true), "the marker itself stays in clear");
    assert!(rule.selects(&path("a"), false));
    rule.comment("more");
    assert!(rule.selects(&[], true));
    rule.item_done();
    assert!(!rule.selects(&path("b"), false));
}
