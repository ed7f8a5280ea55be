//! Path rules as patterns of gitattributes(5), so that git knows files before they are sealed.
//!
//! A pattern may match more than its rule, never less: a file that is not sealed is diffed and merged as text even under
//! our attributes. A rule whose paths no few patterns describe has none. Knows nothing of attributes.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use crate::selection::Pattern;

/// The most patterns that one rule may need.
const MAX_PATTERNS: usize = 16;

/// A piece of a path.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    /// This text.
    Text(String),
    /// Any text without `/`: `*`.
    Name,
    /// Any text.
    Any,
    /// One of these characters, or any of one byte but `/`: `[…]`, `?`.
    One(Option<Vec<char>>),
    /// Where the path begins.
    Start,
    /// Where the path ends.
    End,
}

/// The patterns that together match every path, relative to the folder of the attributes, that the expression
/// `path_regex` matches (spec 8.3); `folder` is the folder of the config, relative to that of the attributes, without
/// `/` at its end, and empty if they are in the same. `None` if there are no such patterns short of `*`.
#[must_use]
pub fn git_patterns(path_regex: &str, folder: &str) -> Option<Vec<String>> {
    let hir = Pattern::strict(path_regex).ok()?.syntax()?;
    let mut patterns = Vec::new();
    for alternative in alternatives(&hir)? {
        for pattern in written(folder, anchored(alternative)?)? {
            if !patterns.contains(&pattern) {
                patterns.push(pattern);
            }
        }
    }
    // `**/` stands for no folder, too, and a name alone for that name in every folder.
    let at_the_top = |pattern: &String| match pattern.strip_prefix("**/") {
        Some(rest) => Some(format!("/{rest}")),
        None => (!pattern.contains('/')).then(|| format!("/{pattern}")),
    };
    let anywhere: Vec<String> = patterns.iter().filter_map(at_the_top).collect();
    patterns.retain(|pattern| !anywhere.contains(pattern));
    let few = !patterns.is_empty() && patterns.len() <= MAX_PATTERNS;
    few.then_some(patterns)
}

/// The ways in which an expression can match. `None` if there are too many.
fn alternatives(hir: &Hir) -> Option<Vec<Vec<Piece>>> {
    let one = |piece| Some(vec![vec![piece]]);
    match hir.kind() {
        HirKind::Empty => Some(vec![Vec::new()]),
        HirKind::Literal(literal) => one(Piece::Text(String::from_utf8(literal.0.to_vec()).ok()?)),
        HirKind::Class(class) => one(one_of(class)),
        HirKind::Look(Look::Start) => one(Piece::Start),
        HirKind::Look(Look::End) => one(Piece::End),
        // Boundaries of words and lines only make the rule narrower.
        HirKind::Look(_) => Some(vec![Vec::new()]),
        HirKind::Capture(capture) => alternatives(&capture.sub),
        HirKind::Repetition(repetition) => {
            if repetition.max == Some(1) {
                let mut ways = vec![Vec::new()];
                ways.extend(alternatives(&repetition.sub)?);
                return Some(ways);
            }
            one(match repetition.sub.kind() {
                HirKind::Class(class) if !has_slash(class) => Piece::Name,
                _ => Piece::Any,
            })
        }
        HirKind::Alternation(all) => {
            let mut ways = Vec::new();
            for part in all {
                ways.extend(alternatives(part)?);
            }
            few(ways)
        }
        HirKind::Concat(all) => {
            let mut ways = vec![Vec::new()];
            for part in all {
                let of_part = alternatives(part)?;
                let longer = |way: &Vec<Piece>| {
                    let way = way.clone();
                    of_part
                        .iter()
                        .map(move |next| [way.as_slice(), next.as_slice()].concat())
                        .collect::<Vec<_>>()
                };
                ways = few(ways.iter().flat_map(longer).collect())?;
            }
            Some(ways)
        }
    }
}

fn few<T>(ways: Vec<T>) -> Option<Vec<T>> {
    (ways.len() <= MAX_PATTERNS).then_some(ways)
}

fn has_slash(class: &Class) -> bool {
    match class {
        Class::Unicode(class) => class
            .iter()
            .any(|range| (range.start()..=range.end()).contains(&'/')),
        Class::Bytes(_) => true,
    }
}

/// A class of characters; `Any` if one of them is `/`, which no pattern of git matches but by writing it. For git a character
/// is a byte: one that takes several is a text.
fn one_of(class: &Class) -> Piece {
    let Class::Unicode(unicode) = class else {
        return Piece::Any;
    };
    if has_slash(class) {
        return Piece::Any;
    }
    if !unicode.is_ascii() {
        return Piece::Name;
    }
    let characters: Vec<char> = unicode
        .iter()
        .flat_map(|range| range.start()..=range.end())
        .take(17)
        .collect();
    // In brackets some characters mean something else.
    let plain = |c: &char| c.is_ascii_alphanumeric() || "._".contains(*c);
    Piece::One((characters.len() <= 16 && characters.iter().all(plain)).then_some(characters))
}

/// What an expression matches of the whole path: it may begin and end anywhere unless it says otherwise. `None` if it
/// can match nothing.
fn anchored(pieces: Vec<Piece>) -> Option<Vec<Piece>> {
    let mut whole = vec![Piece::Any];
    for piece in pieces {
        match piece {
            Piece::Start if whole.iter().all(|piece| *piece == Piece::Any) => whole.clear(),
            Piece::Start => return None,
            other => whole.push(other),
        }
    }
    let end = whole.iter().position(|piece| *piece == Piece::End);
    match end {
        Some(end) if whole.iter().skip(end).any(|piece| *piece != Piece::End) => None,
        Some(end) => {
            whole.truncate(end);
            Some(whole)
        }
        None => {
            whole.push(Piece::Any);
            Some(whole)
        }
    }
}

/// The pieces as patterns.
fn written(folder: &str, pieces: Vec<Piece>) -> Option<Vec<String>> {
    let mut start = String::from("/");
    if !folder.is_empty() {
        escape(folder, &mut start);
        start.push('/');
    }
    let mut patterns = vec![start];
    let mut after_any = false;
    for piece in pieces {
        let any = piece == Piece::Any;
        match piece {
            Piece::Text(text) => patterns
                .iter_mut()
                .for_each(|pattern| escape(&text, pattern)),
            Piece::Name => patterns.iter_mut().for_each(push_star),
            Piece::One(None) => patterns.iter_mut().for_each(|pattern| pattern.push('?')),
            Piece::One(Some(set)) => {
                let set: String = set.iter().collect();
                for pattern in &mut patterns {
                    pattern.push_str(&format!("[{set}]"));
                }
            }
            Piece::Any if after_any => {}
            Piece::Any => {
                let longer = patterns.iter().flat_map(|pattern| any_after(pattern));
                patterns = few(longer.collect())?;
            }
            Piece::Start | Piece::End => return None,
        }
        after_any = any;
    }
    patterns.iter().map(|pattern| simplified(pattern)).collect()
}

/// Any text behind a pattern: within one folder, and through others.
fn any_after(pattern: &str) -> Vec<String> {
    if pattern.ends_with('/') {
        return vec![format!("{pattern}**/*")];
    }
    let mut same = pattern.to_owned();
    push_star(&mut same);
    let deeper = format!("{same}/**/*");
    vec![same, deeper]
}

fn push_star(pattern: &mut String) {
    let is_star = pattern.strip_suffix('*').is_some_and(|before| {
        let escapes = before.len() - before.trim_end_matches('\\').len();
        escapes.is_multiple_of(2)
    });
    if !is_star {
        pattern.push('*');
    }
}

/// Writes text so that it means itself.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
}

/// A pattern as people write it: without `/**/` in front of a name alone. `None` for one that matches every file, and for
/// what cannot be written in a line.
fn simplified(pattern: &str) -> Option<String> {
    if pattern.contains(['\n', '\r', '\0']) {
        return None;
    }
    let pattern = pattern.replace("/**/*/", "/**/");
    let simple = match pattern.strip_prefix("/**/") {
        // What begins with `!` is no pattern to git.
        Some(name) if !name.contains('/') && !name.starts_with('!') => name.to_owned(),
        Some(_) => pattern.trim_start_matches('/').to_owned(),
        None => pattern.clone(),
    };
    (simple != "*").then_some(simple)
}

#[cfg(test)]
mod tests {
    use super::git_patterns;

    fn of(path_regex: &str) -> Vec<String> {
        git_patterns(path_regex, "").unwrap_or_default()
    }

    #[test]
    fn the_rules_that_people_write() {
        assert_eq!(of(r"\.prod\.yaml$"), ["*.prod.yaml"]);
        assert_eq!(
            of(r".*\.secret\.(ya?ml|json)$"),
            ["*.secret.yml", "*.secret.yaml", "*.secret.json"]
        );
        assert_eq!(of("^secrets/"), ["/secrets/**/*"]);
        assert_eq!(of("^secrets/.*"), ["/secrets/**/*"]);
        assert_eq!(of(r"^secrets/[^/]+\.env$"), ["/secrets/*.env"]);
        assert_eq!(of(r"(^|/)\.env$"), [".env"]);
        assert_eq!(
            of(r"secrets/.*\.ya?ml$"),
            ["**/*secrets/**/*.yml", "**/*secrets/**/*.yaml"]
        );
        assert_eq!(
            of(r"(^|/)secrets/|\.(secret|enc)\.ya?ml$"),
            [
                "**/secrets/**/*",
                "*.secret.yml",
                "*.secret.yaml",
                "*.enc.yml",
                "*.enc.yaml"
            ]
        );
        assert_eq!(of(r"^env-[0-9]\.ini$"), ["/env-[0123456789].ini"]);
        assert_eq!(
            of(r"^k8s/prod.*\.yaml$"),
            ["/k8s/prod*.yaml", "/k8s/prod*/**/*.yaml"]
        );
    }

    #[test]
    fn rules_for_any_file_have_no_pattern() {
        for any in [
            "",
            ".*",
            "^",
            "$",
            "^.+$",
            "[",
            "(aa|bb|cc)(dd|ee|ff)(gg|hh)",
        ] {
            assert_eq!(git_patterns(any, ""), None, "{any}");
        }
    }

    #[test]
    fn the_folder_of_the_config_stands_in_front() {
        let of = |regex| git_patterns(regex, "a b/k8s[1]").unwrap_or_default();
        assert_eq!(of(r"^x\.yaml$"), [r"/a b/k8s\[1\]/x.yaml"]);
        assert_eq!(of(r"\.yaml$"), [r"/a b/k8s\[1\]/**/*.yaml"]);
        assert_eq!(of(""), [r"/a b/k8s\[1\]/**/*"]);
    }

    #[test]
    fn what_means_something_to_git_is_escaped() {
        assert_eq!(of(r"^a\*b\[c\][a-z]x$"), [r"/a\*b\[c\]?x"]);
        assert_eq!(of(r"(^|/)!x$"), ["**/!x"]);
        assert_eq!(of(r"^a\*"), [r"/a\**", r"/a\**/**/*"]);
    }

    #[test]
    fn a_character_of_several_bytes_is_one_to_a_rule_and_several_to_git() {
        assert_eq!(of(r"^[^/]\.env$"), ["/*.env"]);
        assert_eq!(of(r"^[éà]\.env$"), ["/*.env"]);
    }
}
