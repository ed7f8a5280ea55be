//! The vectors of spec 13.

use super::token::{Token, typed};
use super::{Format, Keys, SEED, hex, read};
use sha2::{Digest as _, Sha512};

const CLEAR_AND_SEALED: &str = "58BD59A2EDCC7462302A703122D8DD3BA3DC92D863D84C5705CFA61AE68AA59E3157566FAA801F6F9A9AF6F87498D734F43AECB21D40774A92A5FC4DF3C3F8BC";
const ONLY_SEALED: &str = "9658BF299A8B5912611994CF2056940E39DE7D06FD70F6913D4A9598D2C7E751044A475045BB0A1984565C263CAA9F7C71A24DB270792BEE224F151EDFF9746C";
const EMPTY: &str = "CF83E1357EEFB8BDF1542850D66D8007D620E4050B5715DC83F4A921D36CE9CE47D0D13C5D85F2B0FF8318D2877EEC2F63B931BD47417A81A538327AF927DA3E";
const IV: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

fn key() -> [u8; 32] {
    std::array::from_fn(|index| u8::try_from(index).unwrap())
}

#[test]
fn the_tokens_of_spec_13_open() {
    for (aad, kind, plain, data, tag) in [
        (
            "a:",
            "str",
            b"hello".as_slice(),
            "f6SdJOI=",
            "Aev7PNzF9ifk0oM4U+MGlg==",
        ),
        ("n:l:", "int", b"42", "I/M=", "LXwIVWA0JVlEBSdWliJ+5w=="),
        ("f:", "float", b"1.5", "Ju/E", "uJBeK8Rb0IhyEwRMiZ5ZVA=="),
        (
            "b:",
            "bool",
            b"True",
            "Q7OELQ==",
            "Xq4LZhlfz3uJ5oyclH/P0A==",
        ),
        (
            ":",
            "comment",
            b" top",
            "N7WeOA==",
            "0DxMrZ6Js/69Ax9Ea7XApw==",
        ),
        (
            "data:",
            "str",
            b"\x00\xff",
            "Fz4=",
            "/4Cv+59LK4VQ4OaExfdRdw==",
        ),
    ] {
        let text = format!("ENC[AES256_GCM,data:{data},iv:{IV},tag:{tag},type:{kind}]");
        let token = Token::parse(&text).unwrap();
        assert_eq!(token.faults(false), [""; 0], "{aad}");
        assert_eq!(token.open(&key(), aad).unwrap(), plain, "{aad}");
        assert_eq!(typed(kind, plain.to_vec()).unwrap().bytes(), plain, "{aad}");
        assert!(token.open(&key(), "other:").is_err());
    }
}

#[test]
fn the_macs_of_spec_13_are_the_hashes_of_the_canonical_values() {
    for (seed, input, digest) in [
        (&[][..], "hello1000True2.5", CLEAR_AND_SEALED),
        (&SEED[..], "helloTrue2.5", ONLY_SEALED),
        (&[][..], "", EMPTY),
    ] {
        let hash = Sha512::new()
            .chain_update(seed)
            .chain_update(input)
            .finalize();
        assert_eq!(hex(&hash), digest);
    }
}

/// The tree of spec 13 with the MAC token given there; its list is cleared by name so that no further tokens are needed.
#[test]
fn the_tree_of_spec_13_verifies() {
    let text = format!(
        "#ENC[AES256_GCM,data:N7WeOA==,iv:{IV},tag:0DxMrZ6Js/69Ax9Ea7XApw==,type:comment]\n\
         a: ENC[AES256_GCM,data:f6SdJOI=,iv:{IV},tag:Aev7PNzF9ifk0oM4U+MGlg==,type:str]\n\
         b_unencrypted: 1e3\n\
         c_unencrypted: [true, 2.50, null, \"\"]\n\
         sops:\n    age:\n        - enc: x\n          recipient: x\n    \
         lastmodified: \"2024-01-02T03:04:05.9+00:00\"\n    mac: {MAC}\n    version: 3.13.2\n"
    );
    let reading = read(&text, Format::Yaml, &Keys::of_data_key(key())).unwrap();
    assert_eq!(reading.mac, Ok(()));
    assert_eq!(reading.comments[0].text, " top");
    assert_eq!(reading.blanks, ["c_unencrypted:"]);
    let values: Vec<String> = reading.leaves.iter().map(|leaf| leaf.text()).collect();
    assert_eq!(values, ["hello", "1000", "True", "2.5", ""]);
}

const MAC: &str = "ENC[AES256_GCM,data:UUNxILTTKthmJan8mJWUAG+LHWfmZniOgK0g+Jr+5ZGIdCPhk3aFzBj3o4OgI+vv7oXr13Ly0tYlXwALXezJhI3vf8M1IiXh6VGSSP3y/l8hCcMzMGJWQqkyb/Pd5fDbj8ftaWDS0g13ltFED6qnknCvWJu4V14+I4mpDYcuOcc=,iv:QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=,tag:aegNc35cpRKgjJPSUfaJRw==,type:str]";

#[test]
fn token_types_are_read_as_spec_1_3_says() {
    for (kind, plain, canonical) in [
        ("int", "007", Some("7")),
        ("int", "+5", Some("5")),
        ("int", "1_0", None),
        ("float", "1e3", Some("1000")),
        ("float", "1e23", Some("100000000000000000000000")),
        ("float", "1e-7", Some("0.0000001")),
        ("float", "-0.0", Some("-0")),
        ("float", "1e400", None),
        ("float", "inf", Some("+Inf")),
        (
            "float",
            "9223372036854775808.0",
            Some("9223372036854776000"),
        ),
        ("bool", "t", Some("True")),
        ("bool", "tRue", None),
        ("time", "2001-12-14", None),
        (
            "time",
            "2001-12-14T21:59:43.10-05:00",
            Some("2001-12-14T21:59:43.1-05:00"),
        ),
        ("what", "", None),
    ] {
        let bytes = typed(kind, plain.as_bytes().to_vec())
            .ok()
            .map(|value| value.bytes());
        assert_eq!(
            bytes,
            canonical.map(|text| text.as_bytes().to_vec()),
            "{kind} {plain}"
        );
    }
}
