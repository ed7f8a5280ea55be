//! Recovering and wrapping over groups, with services that count and refuse.

use std::error::Error as _;
use std::sync::Mutex;

use super::{
    Attempt, DEFAULT_ORDER, KeyError, KeyService, NotRecovered, NotWrapped, Outcome, RepeatedKind,
    parse_order, recover, wrap_all,
};
use crate::recipient::{Recipient, RecipientKind, WrappedKey};
use crate::secret::DataKey;
use crate::shamir::{ShamirError, split};
use crate::tree::Tree;

/// A service that wraps by writing bytes as hexadecimal digits, and serves the kinds and names it is told to.
#[derive(Default)]
struct Fake {
    kinds: Vec<RecipientKind>,
    holds: Vec<&'static str>,
    broken: Vec<&'static str>,
    calls: Mutex<Vec<String>>,
}

impl Fake {
    fn new(kinds: &[RecipientKind], holds: &[&'static str]) -> Self {
        Self {
            kinds: kinds.to_vec(),
            holds: holds.to_vec(),
            ..Self::default()
        }
    }
}

impl KeyService for Fake {
    fn handles(&self, recipient: &Recipient) -> bool {
        self.kinds.contains(&recipient.kind())
    }

    fn wrap(&self, recipient: &Recipient, key: &DataKey) -> Result<String, KeyError> {
        if self.broken.contains(&recipient.identity().as_str()) {
            return Err(KeyError::new("out of order"));
        }
        Ok(key
            .expose()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }

    fn unwrap(&self, recipient: &Recipient, enc: &str) -> Result<Option<DataKey>, KeyError> {
        let name = recipient.identity();
        self.calls.lock().unwrap().push(name.clone());
        if self.broken.contains(&name.as_str()) {
            return Err(KeyError::new("out of order"));
        }
        let byte = |index| u8::from_str_radix(enc.get(index..index + 2).unwrap(), 16).unwrap();
        Ok(self
            .holds
            .contains(&name.as_str())
            .then(|| DataKey::new((0..enc.len()).step_by(2).map(byte).collect())))
    }
}

fn age(name: &str) -> Recipient {
    Recipient::Age {
        recipient: name.to_owned(),
    }
}

fn pgp(name: &str) -> Recipient {
    Recipient::Pgp {
        fingerprint: name.to_owned(),
    }
}

fn gcp(name: &str) -> Recipient {
    Recipient::GcpKms {
        resource_id: name.to_owned(),
    }
}

fn wrapped(recipient: Recipient, enc: &str) -> WrappedKey {
    WrappedKey {
        recipient,
        created_at: String::new(),
        enc: enc.to_owned(),
        unknown: Vec::new(),
    }
}

fn told(attempts: &[Attempt]) -> Vec<String> {
    let outcome = |outcome: &Outcome| match outcome {
        Outcome::Done => "done".to_owned(),
        Outcome::Failed(error) => format!("failed: {error}"),
        Outcome::NotMine => "not mine".to_owned(),
        Outcome::NoService { .. } => "no service".to_owned(),
    };
    attempts
        .iter()
        .map(|attempt| format!("{}: {}", attempt.identity, outcome(&attempt.outcome)))
        .collect()
}

const KEY: [u8; 4] = [1, 2, 3, 0xff];
const KINDS: [RecipientKind; 3] = [
    RecipientKind::Age,
    RecipientKind::Pgp,
    RecipientKind::GcpKms,
];

/// The coefficients of the spec's vector are as good as any.
fn random(bytes: &mut [u8]) {
    bytes.fill(7);
}

mod recovering {
    use super::*;

    #[test]
    fn one_group_needs_one_key() {
        let fake = Fake::new(&KINDS, &["b"]);
        let groups = [vec![
            wrapped(age("a"), "010203ff"),
            wrapped(age("b"), "010203ff"),
        ]];
        // a threshold is written to such files too, and means nothing
        for threshold in [0, 1, 3] {
            let key = recover(&groups, threshold, &DEFAULT_ORDER, &[&fake]).unwrap();
            assert_eq!(key.expose(), KEY);
        }
    }

    #[test]
    fn every_attempt_is_reported() {
        let mut fake = Fake::new(&[RecipientKind::Age, RecipientKind::Pgp], &[]);
        fake.broken = vec!["p"];
        let unknown = Recipient::Unknown {
            list: "new_kms".to_owned(),
            entry: Tree::Null,
        };
        let group = vec![
            wrapped(unknown, ""),
            wrapped(gcp("g"), "00"),
            wrapped(pgp("p"), "00"),
            wrapped(age("a"), "00"),
        ];
        let error = recover(&[group], 0, &DEFAULT_ORDER, &[&fake]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "recovered the key of 0 of 1 groups, 1 needed"
        );
        assert_eq!(
            told(&error.groups[0]),
            [
                "a: not mine",
                "p: failed: out of order",
                "g: no service",
                "unknown recipient in `new_kms`: no service",
            ]
        );
    }

    #[test]
    fn nothing_to_recover_from() {
        let error = recover(&[], 0, &DEFAULT_ORDER, &[]).unwrap_err();
        assert_eq!((error.threshold, error.groups.len()), (1, 0));
        assert!(recover(&[Vec::new()], 0, &DEFAULT_ORDER, &[]).is_err());
    }

    #[test]
    fn keys_are_tried_in_decryption_order_then_load_order() {
        let tried = |order: &[RecipientKind]| {
            let fake = Fake::new(&KINDS, &[]);
            let group = vec![
                wrapped(age("age-1"), "00"),
                wrapped(pgp("pgp"), "00"),
                wrapped(gcp("gcp"), "00"),
                wrapped(age("age-2"), "00"),
            ];
            recover(&[group], 0, order, &[&fake]).unwrap_err();
            fake.calls.into_inner().unwrap().join(" ")
        };
        assert_eq!(tried(&DEFAULT_ORDER), "age-1 age-2 pgp gcp");
        assert_eq!(tried(&[]), "gcp pgp age-1 age-2");
        assert_eq!(tried(&[RecipientKind::Pgp]), "pgp gcp age-1 age-2");
    }

    #[test]
    fn services_are_asked_in_order_until_one_succeeds() {
        let mut local = Fake::new(&KINDS, &[]);
        local.broken = vec!["a"];
        let remote = Fake::new(&KINDS, &["a"]);
        let last = Fake::new(&KINDS, &["a"]);
        let groups = [vec![wrapped(age("a"), "010203ff")]];
        let key = recover(&groups, 0, &DEFAULT_ORDER, &[&local, &remote, &last]).unwrap();
        assert_eq!(key.expose(), KEY);
        assert_eq!(last.calls.into_inner().unwrap().len(), 0);
    }

    #[test]
    fn equal_entries_are_unwrapped_once() {
        let fake = Fake::new(&KINDS, &[]);
        let same = wrapped(age("a"), "00");
        let groups = [vec![same.clone(), same.clone()], vec![same]];
        let error = recover(&groups, 2, &DEFAULT_ORDER, &[&fake]).unwrap_err();
        assert_eq!(fake.calls.into_inner().unwrap(), ["a"]);
        assert_eq!(
            error.groups.iter().map(Vec::len).collect::<Vec<_>>(),
            [2, 1]
        );
    }

    /// Three groups of one recipient each, `a`, `b` and `c`, two of which are needed.
    fn shared() -> Vec<Vec<WrappedKey>> {
        let shares = split(&DataKey::new(KEY.to_vec()), 3, 2, &mut random).unwrap();
        let hex = |share: &DataKey| {
            share
                .expose()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        let names = ["a", "b", "c"];
        shares
            .iter()
            .zip(names)
            .map(|(share, name)| vec![wrapped(age(name), &hex(share))])
            .collect()
    }

    #[test]
    fn several_groups_need_the_threshold() {
        for holds in [&["a", "b"][..], &["b", "c"], &["a", "c"], &["a", "b", "c"]] {
            let fake = Fake::new(&KINDS, holds);
            let key = recover(&shared(), 2, &DEFAULT_ORDER, &[&fake]).unwrap();
            assert_eq!(key.expose(), KEY);
            assert_eq!(
                fake.calls.into_inner().unwrap(),
                ["a", "b", "c"],
                "every group is tried"
            );
        }
        let error = recover(&shared(), 2, &DEFAULT_ORDER, &[&Fake::new(&KINDS, &["b"])]);
        let error = error.unwrap_err();
        assert_eq!((error.recovered(), error.threshold), (1, 2));
        assert_eq!(
            told(&error.groups.concat()),
            ["a: not mine", "b: done", "c: not mine"]
        );
    }

    #[test]
    fn threshold_zero_asks_for_all_groups() {
        let two = Fake::new(&KINDS, &["a", "b"]);
        let error = recover(&shared(), 0, &DEFAULT_ORDER, &[&two]).unwrap_err();
        assert_eq!((error.recovered(), error.threshold), (2, 3));
        let all = Fake::new(&KINDS, &["a", "b", "c"]);
        assert!(recover(&shared(), 0, &DEFAULT_ORDER, &[&all]).is_ok());
    }

    #[test]
    fn shares_that_do_not_fit_are_told_from_missing_ones() {
        let fake = Fake::new(&KINDS, &["a", "b", "c"]);
        let mut groups = shared();
        groups[2] = groups[0].clone();
        let error = recover(&groups, 2, &DEFAULT_ORDER, &[&fake]).unwrap_err();
        assert_eq!(error.combining, Some(ShamirError::DuplicateShare { x: 1 }));
        assert!(error.source().is_some());
        // one share is never a key, whatever the file says
        let alone = Fake::new(&KINDS, &["a"]);
        let error: NotRecovered = recover(&shared(), 1, &DEFAULT_ORDER, &[&alone]).unwrap_err();
        assert_eq!(error.combining, Some(ShamirError::TooFewShares(1)));
    }
}

mod wrapping {
    use super::*;

    fn wrap(
        groups: &[Vec<Recipient>],
        threshold: usize,
    ) -> Result<Vec<Vec<WrappedKey>>, NotWrapped> {
        let fake = Fake::new(&KINDS, &[]);
        let key = DataKey::new(KEY.to_vec());
        wrap_all(
            groups,
            threshold,
            &key,
            "2026-01-02T03:04:05Z",
            &[&fake],
            &mut random,
        )
    }

    #[test]
    fn one_group_gets_the_key_itself() {
        for threshold in [0, 3] {
            let groups = wrap(&[vec![age("a"), pgp("p")]], threshold).unwrap();
            let [group] = groups.as_slice() else {
                panic!("one group")
            };
            assert_eq!(
                group[0],
                wrapped(age("a"), "010203ff"),
                "age entries have no created_at"
            );
            assert_eq!(group[1].created_at, "2026-01-02T03:04:05Z");
            assert_eq!(group[1].enc, "010203ff");
        }
    }

    #[test]
    fn several_groups_get_numbered_shares_that_recover() {
        let groups = [vec![age("a"), age("a2")], vec![age("b")], vec![age("c")]];
        let wrapped = wrap(&groups, 2).unwrap();
        assert_eq!(wrapped[0][0].enc, wrapped[0][1].enc);
        for (number, group) in (1..).zip(&wrapped) {
            assert!(group[0].enc.ends_with(&format!("0{number}")));
            assert_eq!(group[0].enc.len(), 2 * (KEY.len() + 1));
        }
        let fake = Fake::new(&KINDS, &["a2", "c"]);
        let key = recover(&wrapped, 2, &DEFAULT_ORDER, &[&fake]).unwrap();
        assert_eq!(key.expose(), KEY);
    }

    #[test]
    fn threshold_zero_means_all() {
        let wrapped = wrap(&[vec![age("a")], vec![age("b")], vec![age("c")]], 0).unwrap();
        let two = Fake::new(&KINDS, &["a", "b"]);
        let key = recover(&wrapped, 2, &DEFAULT_ORDER, &[&two]).unwrap();
        assert_ne!(key.expose(), KEY, "two shares of three must not be enough");
    }

    #[test]
    fn groups_and_thresholds_that_make_no_sense() {
        let group = || vec![age("a")];
        assert!(matches!(wrap(&[], 0), Err(NotWrapped::NoGroups)));
        assert!(matches!(
            wrap(&[group(), Vec::new()], 0),
            Err(NotWrapped::EmptyGroup { index: 1 })
        ));
        for threshold in [1, 3, 256, 258] {
            assert!(matches!(
                wrap(&[group(), group()], threshold),
                Err(NotWrapped::Threshold { groups: 2, .. })
            ));
        }
        let many = vec![group(); 256];
        assert!(matches!(
            wrap(&many, 2),
            Err(NotWrapped::TooManyGroups { count: 256 })
        ));
    }

    #[test]
    fn one_recipient_that_fails_fails_all_and_all_that_fail_are_named() {
        let mut fake = Fake::new(&[RecipientKind::Age], &[]);
        fake.broken = vec!["x", "y"];
        let groups = [vec![age("x"), age("fine")], vec![age("y"), pgp("p")]];
        let key = DataKey::new(KEY.to_vec());
        let error = wrap_all(&groups, 2, &key, "", &[&fake], &mut random).unwrap_err();
        let NotWrapped::Recipients(attempts) = error else {
            panic!("{error}")
        };
        assert_eq!(
            told(&attempts),
            [
                "x: failed: out of order",
                "y: failed: out of order",
                "p: no service"
            ]
        );
    }

    /// A service that completes names: `x` becomes `x/1`.
    struct Completing(Fake);

    impl KeyService for Completing {
        fn handles(&self, recipient: &Recipient) -> bool {
            self.0.handles(recipient)
        }

        fn resolve(&self, recipient: &Recipient) -> Result<Option<Recipient>, KeyError> {
            match recipient.identity().as_str() {
                "absent" => Err(KeyError::new("there is no such key")),
                name if name.contains('/') => Ok(None),
                name => Ok(Some(gcp(&format!("{name}/1")))),
            }
        }

        fn wrap(&self, recipient: &Recipient, key: &DataKey) -> Result<String, KeyError> {
            assert!(recipient.identity().contains('/'), "wrapped unresolved");
            self.0.wrap(recipient, key)
        }

        fn unwrap(&self, recipient: &Recipient, enc: &str) -> Result<Option<DataKey>, KeyError> {
            self.0.unwrap(recipient, enc)
        }
    }

    #[test]
    fn the_file_names_what_the_key_was_wrapped_for() {
        let service = Completing(Fake::new(&KINDS, &[]));
        let key = DataKey::new(KEY.to_vec());
        let wrap = |name: &str| {
            let groups = [vec![gcp(name)]];
            wrap_all(&groups, 0, &key, "", &[&service], &mut random)
        };
        assert_eq!(wrap("x").unwrap()[0][0].recipient, gcp("x/1"));
        assert_eq!(wrap("x/0").unwrap()[0][0].recipient, gcp("x/0"));
        let Err(NotWrapped::Recipients(attempts)) = wrap("absent") else {
            panic!("wrapped")
        };
        assert_eq!(told(&attempts), ["absent: failed: there is no such key"]);
    }

    #[test]
    fn a_second_service_may_help_out() {
        let mut first = Fake::new(&KINDS, &[]);
        first.broken = vec!["a"];
        let second = Fake::new(&KINDS, &[]);
        let key = DataKey::new(KEY.to_vec());
        let groups = [vec![age("a")]];
        let wrapped = wrap_all(&groups, 0, &key, "", &[&first, &second], &mut random).unwrap();
        assert_eq!(wrapped[0][0].enc, "010203ff");
    }
}

#[test]
fn decryption_orders() {
    use RecipientKind::{Age, Kms, Pgp};
    assert_eq!(parse_order("pgp,kms").unwrap(), [Pgp, Kms]);
    assert_eq!(parse_order("").unwrap(), [Age, Pgp]);
    assert_eq!(
        parse_order("yubikey,age, pgp").unwrap(),
        [Age],
        "no trimming, no complaint"
    );
    assert_eq!(
        parse_order("age,age"),
        Err(RepeatedKind {
            name: "age".to_owned()
        })
    );
    assert_eq!(
        parse_order("x,x"),
        Err(RepeatedKind {
            name: "x".to_owned()
        })
    );
}
