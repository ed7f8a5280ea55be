//! What is said to somebody who cannot open a file, for outcomes that a build or a machine of this kind does not have.

use sops_rs::keys::{Attempt, KeyError, NotRecovered, Outcome};
use sops_rs::recipient::RecipientKind;

use super::super::identities::{Places, System};
use super::not_recovered;

/// The message for one group with these attempts, of a user without identities.
fn message(attempts: Vec<(&str, RecipientKind, Outcome)>) -> String {
    let places = Places::collect(&|_| None, System::Unix);
    let attempts = attempts
        .into_iter()
        .map(|(identity, kind, outcome)| Attempt {
            identity: identity.to_owned(),
            kind,
            outcome,
        });
    let error = NotRecovered {
        threshold: 1,
        groups: vec![attempts.collect()],
        combining: None,
    };
    not_recovered("db.yaml", &error, &places).render("sops-rs", false)
}

fn without(feature: &'static str) -> Outcome {
    Outcome::NoService {
        missing_feature: Some(feature),
    }
}

#[test]
fn a_build_without_a_feature_says_which() {
    assert_eq!(
        message(vec![("F93F", RecipientKind::Pgp, without("pgp"))]),
        "sops-rs: error: no identity could open `db.yaml`\n  \
         F93F  not tried: this program was built without the feature `pgp`\n\
         hint: use a build of this program with the feature named above, or open it with SOPS itself\n"
    );
}

#[test]
fn a_missing_feature_is_not_the_remedy_if_there_is_another_way() {
    let said = message(vec![
        ("age1x", RecipientKind::Age, Outcome::NotMine),
        ("F93F", RecipientKind::Pgp, without("pgp")),
    ]);
    assert!(
        said.contains("age1x  you have no identity to try\n"),
        "{said}"
    );
    assert!(said.contains("hint: set SOPS_AGE_KEY_FILE"), "{said}");
}

#[test]
fn each_kind_of_key_has_its_own_words() {
    let said = message(vec![
        ("age1x", RecipientKind::Age, Outcome::NotMine),
        ("F93F", RecipientKind::Pgp, Outcome::NotMine),
    ]);
    assert!(
        said.contains("F93F  gpg has no secret key for it\n"),
        "{said}"
    );
    let said = message(vec![("F93F", RecipientKind::Pgp, Outcome::NotMine)]);
    assert!(!said.contains("SOPS_AGE"), "{said}");
    assert!(said.contains("hint: import the secret key"), "{said}");
}

#[test]
fn a_failure_without_advice_of_its_own_has_a_general_one() {
    let failed = Outcome::Failed(KeyError::new("it broke"));
    let said = message(vec![("F93F", RecipientKind::Pgp, failed)]);
    assert!(
        said.contains("F93F  failed: it broke\nhint: correct what failed"),
        "{said}"
    );
}

#[cfg(feature = "pgp")]
#[test]
fn what_gpg_refuses_has_an_advice_of_its_own() {
    use sops_rs::keys::pgp::GpgProblem;

    let failed = |problem: GpgProblem| Outcome::Failed(problem.into());
    let said = message(vec![
        (
            "age1x",
            RecipientKind::Age,
            Outcome::Failed(KeyError::new("it broke")),
        ),
        ("F93F", RecipientKind::Pgp, failed(GpgProblem::NoCard)),
    ]);
    assert!(
        said.contains("F93F  failed: gpg: the card that holds the key cannot be used\n"),
        "{said}"
    );
    assert!(said.contains("hint: plug it in"), "{said}");
}
