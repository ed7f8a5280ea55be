//! The facts in words, for a terminal.

use std::fmt::Write as _;

use jiff::Timestamp;
use sops_rs::value::timestamp;

use super::people::{Drift, Groups, Person};
use super::rule::{ConfigFacts, How, Ruling};
use super::{Explanation, Stamp, State};
use crate::cli::report::{escaped, typed};

mod inside;

/// Everything, one paragraph for each subject.
pub(super) fn render(explanation: &Explanation, now: Timestamp) -> String {
    let mut text = String::new();
    let out = &mut text;
    heading(out, explanation, now);
    ruling(out, &explanation.ruling);
    if let Some(groups) = &explanation.recipients {
        recipients(out, groups, explanation);
    }
    if let Some(drift) = &explanation.drift {
        differences(out, drift, &explanation.file);
    }
    if let Some(content) = &explanation.content {
        inside::values(out, content, explanation.state);
    }
    if let Some(found) = &explanation.opening {
        inside::opening(out, found);
    }
    text
}

/// One line, fit for a terminal.
fn line(out: &mut String, text: &str) {
    let _ = writeln!(out, "{}", escaped(text));
}

fn heading(out: &mut String, explanation: &Explanation, now: Timestamp) {
    let (file, format) = (&explanation.file, explanation.format);
    match (explanation.state, &explanation.metadata) {
        (State::Missing, _) => line(
            out,
            &format!("{file}: does not exist yet; would be {format}"),
        ),
        (_, None) => line(out, &format!("{file}: not sealed, {format}")),
        (_, Some(stamp)) => {
            line(out, &format!("{file}: sealed, {format}"));
            stamped(out, stamp, now);
        }
    }
}

fn stamped(out: &mut String, stamp: &Stamp, now: Timestamp) {
    let version = &stamp.version;
    let when = match stamp.age {
        Some(age) => {
            let then = now.as_second().saturating_sub(age);
            format!("{} ({})", timestamp(then), ago(age))
        }
        None => stamp.lastmodified.clone(),
    };
    line(
        out,
        &format!("  sealed last at {when}, format of SOPS {version}"),
    );
    let scope = if stamp.mac_only_encrypted {
        "sealed values only"
    } else {
        "all values"
    };
    line(out, &format!("  the MAC covers {scope}"));
}

/// Seconds since an instant of the metadata; `None` if it is none.
pub(super) fn age(instant: &str, now: Timestamp) -> Option<i64> {
    let then: Timestamp = instant.parse().ok()?;
    Some(now.as_second().saturating_sub(then.as_second()))
}

/// How long ago, in the largest unit that there is two of.
fn ago(seconds: i64) -> String {
    const UNITS: [(i64, &str); 5] = [
        (365 * 86_400, "years"),
        (30 * 86_400, "months"),
        (86_400, "days"),
        (3_600, "hours"),
        (60, "minutes"),
    ];
    if seconds < 0 {
        return "in the future".to_owned();
    }
    let fits = |(length, _): &&(i64, &str)| seconds / length >= 2;
    match UNITS.iter().find(fits) {
        Some((length, unit)) => format!("{} {unit} ago", seconds / length),
        None => format!("{seconds} seconds ago"),
    }
}

fn ruling(out: &mut String, ruling: &Ruling) {
    out.push('\n');
    if let Some(config) = &ruling.config {
        line(out, &format!("Config: {}, {}", config.path, found(config)));
        for other in &config.passed_over {
            line(out, &format!("  {other} beside it is not read"));
        }
    }
    let path = ruling.tested_path.as_deref().unwrap_or_default();
    for tested in &ruling.tested {
        let place = tested.line.map(|line| format!(" (line {line})"));
        let place = place.unwrap_or_default();
        let verdict = match (tested.path_regex.as_str(), tested.matches) {
            ("", _) => "has no path_regex, so it is for every file".to_owned(),
            (regex, true) => format!("`{regex}` matches `{path}`"),
            (regex, false) => format!("`{regex}` does not match `{path}`"),
        };
        line(out, &format!("  rule {}{place}: {verdict}", tested.rule));
    }
    match (&ruling.rule, &ruling.config) {
        (Some(rule), Some(config)) => {
            line(
                out,
                &format!(
                    "Rule {} of {} applies: the first that matches",
                    rule.number, config.rules
                ),
            );
            line(out, &format!("  {}", rule.selection));
        }
        _ => {
            let problem = ruling.problem.as_deref().unwrap_or_default();
            line(out, &format!("No rule: {problem}"));
        }
    }
}

fn found(config: &ConfigFacts) -> &'static str {
    match config.found {
        How::Named => "which `--config` or SOPS_CONFIG names",
        How::AboveFile => "the nearest above the file",
        How::AboveWorkingDirectory => {
            "the nearest above the working directory; there is none above the file"
        }
    }
}

fn recipients(out: &mut String, recipients: &Groups, explanation: &Explanation) {
    out.push('\n');
    let who = match explanation.state {
        State::Sealed => "Can be opened by",
        State::Plain | State::Missing => "Would be sealed for",
    };
    let groups = &recipients.groups;
    match groups.as_slice() {
        [group] if group.is_empty() => {
            line(out, "The rule names no recipient: give one with `--age`");
        }
        [group] => {
            line(out, &format!("{who} any of"));
            group
                .iter()
                .for_each(|person| line(out, &format!("  {}", named(person))));
        }
        groups => {
            let needed = recipients.threshold;
            line(
                out,
                &format!(
                    "{who} somebody of each of {needed} of {} groups",
                    groups.len()
                ),
            );
            for (group, number) in groups.iter().zip(1..) {
                line(out, &format!("  group {number}"));
                group
                    .iter()
                    .for_each(|person| line(out, &format!("    {}", named(person))));
            }
        }
    }
    for variable in &explanation.named_by_environment {
        line(
            out,
            &format!(
                "  but {variable} is set, and `encrypt` takes its recipients in place of the rule's"
            ),
        );
    }
}

/// `alice (age age1…)`, or the recipient alone.
fn named(person: &Person) -> String {
    let (kind, recipient) = (person.kind, &person.recipient);
    match &person.name {
        Some(name) => format!("{name} ({kind} {recipient})"),
        None => format!("{kind} {recipient}"),
    }
}

fn differences(out: &mut String, drift: &Drift, file: &str) {
    out.push('\n');
    if drift.is_empty() {
        line(out, "File and rule agree");
        return;
    }
    line(out, "File and rule differ");
    let several = drift.groups.iter().any(|group| group.group > 1);
    for group in &drift.groups {
        let place = several.then(|| format!(" in group {}", group.group));
        let place = place.unwrap_or_default();
        for person in &group.missing {
            line(
                out,
                &format!(
                    "  - {} cannot open it, but the rule names them{place}",
                    named(person)
                ),
            );
        }
        for person in &group.extra {
            line(
                out,
                &format!(
                    "  + {} can open it, but the rule does not name them{place}",
                    named(person)
                ),
            );
        }
    }
    if let Some(threshold) = &drift.threshold {
        line(
            out,
            &format!(
                "  the file has threshold {}, the rule {}",
                threshold.file, threshold.rule
            ),
        );
    }
    if !drift.groups.is_empty() || drift.threshold.is_some() {
        line(
            out,
            &format!(
                "  `sops-rs updatekeys {}` gives it to those whom the rule names",
                typed(file)
            ),
        );
    }
    if let Some(selection) = &drift.selection {
        line(
            out,
            &format!(
                "  the file was sealed by `{}`, the rule says `{}`",
                selection.file, selection.rule
            ),
        );
        line(
            out,
            "  what is changed follows the file; decrypt and encrypt it for the rule's to count",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{age, ago};

    #[test]
    fn ages_are_in_the_largest_unit_that_fits() {
        for (seconds, said) in [
            (0, "0 seconds ago"),
            (119, "119 seconds ago"),
            (120, "2 minutes ago"),
            (7_200, "2 hours ago"),
            (30 * 3_600, "30 hours ago"),
            (3 * 86_400, "3 days ago"),
            (100 * 86_400, "3 months ago"),
            (800 * 86_400, "2 years ago"),
            (-5, "in the future"),
        ] {
            assert_eq!(ago(seconds), said);
        }
    }

    #[test]
    fn an_age_counts_from_utc_whatever_the_offset() {
        let now = "2024-01-02T00:00:00Z".parse().unwrap();
        assert_eq!(age("2024-01-01T23:59:00Z", now), Some(60));
        assert_eq!(age("2024-01-02T00:59:00+01:00", now), Some(60));
        assert_eq!(age("yesterday", now), None);
    }
}
