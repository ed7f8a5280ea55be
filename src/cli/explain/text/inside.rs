//! What is in a file, and what comes of opening it, in words.

use super::line;
use crate::cli::explain::State;
use crate::cli::explain::content::{Content, Value};
use crate::cli::explain::opening::{Opening, Place};

/// Paths of one kind that are shown; `--json` has all.
const SHOWN: usize = 20;

pub(super) fn values(out: &mut String, content: &Content, state: State) {
    out.push('\n');
    let all = &content.values;
    if let [whole] = all.as_slice()
        && whole.path.is_empty()
    {
        let is = if whole.sealed { "is" } else { "would be" };
        line(out, &format!("The whole file {is} one sealed value"));
        return;
    }
    let is_sealed = state == State::Sealed;
    let list = |out: &mut String, title: &str, wanted: &dyn Fn(&Value) -> bool| {
        let wanted: Vec<&Value> = all.iter().filter(|value| wanted(value)).collect();
        paths(out, title, &wanted);
    };
    line(
        out,
        &format!("Values: {} by `{}`", all.len(), content.selection),
    );
    if is_sealed {
        list(out, "sealed", &|value| value.sealed && value.selected);
        list(out, "clear", &|value| {
            !value.sealed && !value.selected && !value.empty
        });
        list(
            out,
            "clear, though the rule of the file wants them sealed (so it does not open)",
            &|value| !value.sealed && value.selected && !value.empty,
        );
        list(
            out,
            "sealed, though the rule of the file wants them clear (so they are taken for text)",
            &|value| value.sealed && !value.selected,
        );
    } else {
        list(out, "would be sealed", &|value| {
            value.selected && !value.empty
        });
        list(out, "would stay clear", &|value| {
            !value.selected && !value.empty
        });
    }
    list(out, "empty, which is never sealed", &|value| value.empty);
    comments(out, content, is_sealed);
}

fn paths(out: &mut String, title: &str, values: &[&Value]) {
    if values.is_empty() {
        return;
    }
    line(out, &format!("  {}: {}", title, values.len()));
    for value in values.iter().take(SHOWN) {
        let because = value
            .because
            .as_ref()
            .map(|because| format!("  ({because})"));
        line(
            out,
            &format!("    {}{}", value.path, because.unwrap_or_default()),
        );
    }
    if values.len() > SHOWN {
        line(
            out,
            &format!(
                "    … and {} more, which `--json` lists",
                values.len() - SHOWN
            ),
        );
    }
}

fn comments(out: &mut String, content: &Content, is_sealed: bool) {
    let comments = &content.comments;
    let (sealed, clear, exposed) = (comments.sealed, comments.clear, comments.exposed);
    if sealed + clear + exposed == 0 {
        return;
    }
    if is_sealed {
        line(
            out,
            &format!("  comments: {sealed} sealed, {} clear", clear + exposed),
        );
    } else {
        line(
            out,
            &format!(
                "  comments: {} would be sealed, {clear} would stay clear",
                sealed + exposed
            ),
        );
    }
}

pub(super) fn opening(out: &mut String, opening: &Opening) {
    out.push('\n');
    let can = if opening.opened {
        "You can open it"
    } else {
        "You cannot open it"
    };
    line(out, can);
    let several = opening.groups.len() > 1;
    for (group, number) in opening.groups.iter().zip(1..) {
        if several {
            line(out, &format!("  group {number}"));
        }
        let indent = if several { "    " } else { "  " };
        for tried in group {
            let who = tried
                .person
                .name
                .as_ref()
                .unwrap_or(&tried.person.recipient);
            line(out, &format!("{indent}{who}: {}", tried.said));
        }
    }
    if opening.agent {
        line(
            out,
            "  the agent, which other commands ask first, was not asked",
        );
    }
    match &opening.mac {
        Some(mac) if mac.holds => {
            line(out, "  the MAC holds: no value was changed without the key");
        }
        Some(mac) => line(
            out,
            &format!("  but {}", mac.problem.as_deref().unwrap_or_default()),
        ),
        None => {}
    }
    if opening
        .groups
        .iter()
        .flatten()
        .any(|tried| tried.person.kind == "age")
    {
        places(out, &opening.places);
    }
    if let Some(remedy) = opening.remedy {
        line(out, &format!("  {remedy}"));
    }
}

/// Where identities of age were looked for: first where there is something, then where there is nothing.
fn places(out: &mut String, places: &[Place]) {
    line(out, "  identities of age");
    for place in places {
        let name = &place.place;
        match (place.found, &place.problem) {
            ("nothing", _) => {}
            ("identities", None) => line(out, &format!("    {name}: found")),
            ("identities", Some(odd)) => line(out, &format!("    {name}: found; {odd}")),
            ("command", _) => line(out, &format!("    {name}: a command, which was not run")),
            (_, problem) => {
                let why = problem.as_deref().unwrap_or_default();
                line(out, &format!("    {name}: {why}"));
            }
        }
    }
    let empty = places.iter().filter(|place| place.found == "nothing");
    let empty: Vec<&str> = empty.map(|place| place.place.as_str()).collect();
    if !empty.is_empty() {
        line(out, &format!("    nothing in {}", empty.join(", ")));
    }
}
