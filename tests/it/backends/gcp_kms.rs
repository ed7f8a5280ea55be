//! Keys of Google Cloud KMS, against a server that does what the documentation of the API says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::google::{Google, KEY, OTHER, service_account};
use super::http::{Reply, Server};
use super::python::{Client, ours};
use crate::support::{World, write_file};

const PLAIN: &str = "db:\n  password: CANARY-PLAIN\n";

/// A world that asks this machine, without credentials, with the plaintext `db.yaml`.
fn stranger(google: &Google) -> World {
    let world = World::new()
        .set("SOPS_GCP_KMS_ENDPOINT", &google.server.url())
        .set("GCE_METADATA_HOST", "127.0.0.1:1");
    world.write("db.yaml", PLAIN);
    world
}

/// The same with a token that counts.
fn world(google: &Google) -> World {
    stranger(google).set("GOOGLE_OAUTH_ACCESS_TOKEN", "CANARY-TOKEN")
}

#[track_caller]
fn seal(world: &World, key: &str) -> Value {
    world.ok(["encrypt", "-i", "--gcp-kms", key, "db.yaml"]);
    let sealed: Value = yaml_serde::from_str(&world.read("db.yaml")).expect("YAML");
    assert!(!world.read("db.yaml").contains("CANARY"));
    sealed["sops"]["gcp_kms"][0].clone()
}

#[track_caller]
fn opens(world: &World) {
    assert_eq!(world.ok(["decrypt", "db.yaml"]), PLAIN.as_bytes());
}

/// The message with which `db.yaml` does not open.
#[track_caller]
fn refusal(world: &World) -> String {
    let message = world.fails(128, ["decrypt", "db.yaml"]);
    assert!(!message.contains("CANARY"), "{message}");
    message
}

#[test]
fn what_is_sealed_opens_and_the_wire_is_that_of_sops() {
    let google = Google::start();
    let world = world(&google);
    let entry = seal(&world, KEY);
    assert_eq!(entry["resource_id"], json!(KEY));
    assert!(entry["created_at"].as_str().unwrap().ends_with('Z'));
    let enc = STANDARD.decode(entry["enc"].as_str().unwrap()).unwrap();
    assert_eq!(
        enc.len(),
        32 + 64,
        "the ciphertext of the server and nothing else"
    );
    opens(&world);

    let requests = google.server.requests();
    let [encrypt, decrypt] = requests.as_slice() else {
        panic!("{} requests", requests.len());
    };
    assert_eq!(encrypt.method, "POST");
    assert_eq!(encrypt.path, format!("/v1/{KEY}:encrypt"));
    assert_eq!(encrypt.header("authorization"), Some("Bearer CANARY-TOKEN"));
    assert_eq!(encrypt.header("content-type"), Some("application/json"));
    let key = STANDARD.decode(encrypt.json()["plaintext"].as_str().unwrap());
    assert_eq!(key.unwrap().len(), 32);
    assert_eq!(decrypt.path, format!("/v1/{KEY}:decrypt"));
    assert_eq!(decrypt.json()["ciphertext"], entry["enc"]);

    world.write(
        ".sops.yaml",
        format!("creation_rules:\n  - gcp_kms: {KEY}\n"),
    );
    world.write("app.json", "{\"a\": \"CANARY\"}\n");
    world.ok(["encrypt", "-i", "app.json"]);
    assert_eq!(world.ok(["decrypt", "app.json"]), b"{\"a\": \"CANARY\"}\n");
}

#[test]
fn keys_that_cannot_be_used() {
    let google = Google::start();
    let world = world(&google);
    let fails = |key: &str| world.fails(1, ["encrypt", "--gcp-kms", key, "db.yaml"]);
    let gone = KEY.replace("app", "gone");
    let message = fails(&gone);
    let expected = format!("{gone}  failed: there is no such key: CryptoKey {gone} not found\n");
    assert!(message.contains(&expected), "{message}");
    let message = fails(&KEY.replace("/sops/", "/forbidden/"));
    assert!(
        message.contains(
            "failed: permission denied, or the key does not exist: Permission 'cloudkms."
        ),
        "{message}"
    );

    seal(&world, KEY);
    let sealed = world.read("db.yaml");
    google.set(|behaviour| behaviour.disabled = vec![KEY.to_owned()]);
    let message = refusal(&world);
    assert!(
        message.contains("failed: the key version is disabled or destroyed: "),
        "{message}"
    );
    world.write("db.yaml", sealed.replace(KEY, OTHER));
    let message = refusal(&world);
    assert!(
        message.contains("failed: the key did not make this ciphertext: Decryption failed"),
        "{message}"
    );
    world.write("db.yaml", sealed.replace("cryptoKeys/app", "cryptoKeys/.."));
    let message = refusal(&world);
    assert!(
        message.contains("failed: its resource id is not valid"),
        "{message}"
    );
}

#[test]
fn a_busy_service_is_asked_again() {
    let google = Google::start();
    let world = world(&google);
    google.set(|behaviour| behaviour.busy = vec![503, 429, 429]);
    seal(&world, KEY);
    assert_eq!(google.paths().len(), 4);
    google.set(|behaviour| behaviour.busy = vec![429; 9]);
    let message = refusal(&world);
    assert!(
        message.contains("failed: the quota of requests is used up: Try again later\n"),
        "{message}"
    );
    assert_eq!(google.paths().len(), 8);
}

#[test]
fn a_token_that_has_expired() {
    let google = Google::start();
    let world = world(&google);
    seal(&world, KEY);
    google.set(|behaviour| behaviour.tokens.clear());
    let message = refusal(&world);
    assert_eq!(google.paths().len(), 2, "there is no other token to try");
    assert!(message.contains("failed: the credentials are not accepted, or have expired: Request had invalid authentication"), "{message}");
}

#[test]
fn a_service_account() {
    let google = Google::start();
    let folder = tempfile::tempdir().unwrap();
    let account = service_account(folder.path());
    google.set(|behaviour| behaviour.account = Some(folder.path().join("public.pem")));
    let by_text = stranger(&google).set("GOOGLE_CREDENTIALS", &account);
    seal(&by_text, KEY);

    let file = folder.path().join("account.json");
    write_file(&file, &account);
    let path = file.to_str().unwrap();
    let sealed = by_text.read("db.yaml");
    // Each variable hides those that come after it.
    let useless = ("GOOGLE_OAUTH_ACCESS_TOKEN", "CANARY-USELESS");
    for (variables, works) in [
        (vec![("GOOGLE_CREDENTIALS", path), useless], true),
        (vec![("GOOGLE_APPLICATION_CREDENTIALS", path)], true),
        (
            vec![("GOOGLE_APPLICATION_CREDENTIALS", path), useless],
            false,
        ),
    ] {
        let mut world = stranger(&google);
        for (name, value) in variables {
            world = world.set(name, value);
        }
        world.write("db.yaml", &sealed);
        if works {
            opens(&world);
        } else {
            refusal(&world);
        }
    }

    let elsewhere = tempfile::tempdir().unwrap();
    let forged = service_account(elsewhere.path());
    let forger = stranger(&google).set("GOOGLE_CREDENTIALS", &forged);
    forger.write("db.yaml", &sealed);
    let message = refusal(&forger);
    assert!(
        message.contains("failed: the credentials are not accepted, or have expired: "),
        "{message}"
    );
    assert!(!message.contains("PRIVATE KEY"), "{message}");
}

/// Leaves what `gcloud auth application-default login` leaves.
fn log_in(world: &World, google: &Google, refresh_token: &str) {
    let folder = world.home().join(".config/gcloud");
    std::fs::create_dir_all(&folder).unwrap();
    let user = json!({
        "type": "authorized_user",
        "client_id": "id",
        "client_secret": "CANARY-SECRET",
        "refresh_token": refresh_token,
        "quota_project_id": "billing",
        "token_uri": format!("{}/token", google.server.url()),
    });
    let file = folder.join("application_default_credentials.json");
    write_file(&file, user.to_string());
}

#[test]
fn a_user_who_is_logged_in_with_gcloud() {
    let google = Google::start();
    google.set(|behaviour| {
        behaviour.issued = vec!["stale", "fresh"];
        behaviour.issue("fresh");
    });
    let world = stranger(&google);
    log_in(&world, &google, "CANARY-REFRESH");
    seal(&world, KEY);
    // A token that is not accepted any more is renewed, once.
    let encrypt = format!("/v1/{KEY}:encrypt");
    assert_eq!(google.paths(), ["/token", &encrypt, "/token", &encrypt]);
    opens(&world);
    let requests = google.server.requests();
    let last = requests.last().unwrap();
    assert_eq!(last.header("x-goog-user-project"), Some("billing"));

    log_in(&world, &google, "CANARY-REVOKED");
    let message = refusal(&world);
    let expected =
        "failed: no access token could be had: invalid_grant: Token has been expired or revoked\n";
    assert!(message.contains(expected), "{message}");
}

#[test]
fn a_service_that_stays_logs_in_once_and_anew_when_it_must() {
    let google = Google::start();
    google.set(|behaviour| {
        behaviour.issued = vec!["first", "second"];
        behaviour.issue("first");
    });
    let world = stranger(&google);
    log_in(&world, &google, "CANARY-REFRESH");
    let arguments = ["keyservice", "--network", "unix", "--address", "keys.sock"];
    let (_service, place) = ours(&world, &arguments);
    let mut client = Client::new(&place);
    let key = json!({"gcp_kms_key": {"resource_id": KEY}});
    let enc = client.ask("Encrypt", &key, &[7; 32]).unwrap();
    let mut decrypt = || client.ask("Decrypt", &key, &enc);
    for _ in 0..3 {
        assert_eq!(decrypt().as_deref(), Ok(&[7; 32][..]));
    }
    let logins = || {
        google
            .paths()
            .iter()
            .filter(|path| *path == "/token")
            .count()
    };
    assert_eq!(logins(), 1);
    assert_eq!(google.paths().len(), 5, "no answer is remembered");
    // Nobody is logged in any more.
    log_in(&world, &google, "CANARY-REVOKED");
    google.set(|behaviour| behaviour.tokens.clear());
    assert_eq!(decrypt(), Err("UNKNOWN".to_owned()));
    // The user has logged in again, while the service knows of another login.
    log_in(&world, &google, "CANARY-REFRESH");
    google.set(|behaviour| behaviour.issue("second"));
    assert_eq!(decrypt().as_deref(), Ok(&[7; 32][..]));
}

#[test]
fn the_metadata_server() {
    let google = Google::start();
    google.set(|behaviour| {
        behaviour.issued = vec!["fresh"];
        behaviour.issue("fresh");
    });
    let world = stranger(&google).set("GCE_METADATA_HOST", &google.server.address);
    seal(&world, KEY);
    let first = google.paths().remove(0);
    assert_eq!(
        first,
        "/computeMetadata/v1/instance/service-accounts/default/token"
    );
}

#[test]
fn no_credentials_and_bad_ones() {
    let google = Google::start();
    let fails = |world: &World| {
        let message = world.fails(1, ["encrypt", "--gcp-kms", KEY, "db.yaml"]);
        assert!(!message.contains("CANARY"), "{message}");
        message
    };
    let message = fails(&stranger(&google));
    assert!(
        message.contains("failed: no access token could be had: "),
        "{message}"
    );
    let with = |name: &str, value: &str| fails(&stranger(&google).set(name, value));
    for bad in [
        "{\"type\": \"service_account\", \"private_key\": \"CANARY\"}",
        "{\"type\": \"CANARY\"}",
        "{\"CANARY",
    ] {
        let message = with("GOOGLE_CREDENTIALS", bad);
        assert!(
            message.contains("failed: the credentials are not JSON of a kind that Google makes\n"),
            "{message}"
        );
    }
    let message = with("GOOGLE_CREDENTIALS", "CANARY-TEXT");
    assert!(
        message.contains("GOOGLE_CREDENTIALS is neither JSON nor a file that can be read: "),
        "{message}"
    );
    let message = with("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json");
    assert!(
        message.contains("failed: cannot read the credentials: "),
        "{message}"
    );
    assert!(message.contains("/nowhere/key.json"), "{message}");
    let message = with("GOOGLE_OAUTH_ACCESS_TOKEN", "CANARY\u{7f}");
    assert!(
        message.contains("the access token has characters that no token can have"),
        "{message}"
    );
    assert!(google.paths().is_empty(), "{:?}", google.paths());
}

#[test]
fn endpoints() {
    let google = Google::start();
    let world = world(&google).set("SOPS_GCP_KMS_CLIENT_TYPE", "grpc");
    seal(&world, KEY);
    let world = world.set("SOPS_GCP_KMS_ENDPOINT", "http://kms.example.com");
    let message = refusal(&world);
    assert!(
        message.contains("failed: a token does not go to an endpoint without TLS"),
        "{message}"
    );
}

#[test]
fn what_is_damaged_on_its_way_is_noticed() {
    let google = Google::start();
    let world = world(&google);
    seal(&world, KEY);
    google.set(|behaviour| behaviour.damaged = true);
    let message = refusal(&world);
    assert!(
        message.contains("failed: the data key was damaged on its way"),
        "{message}"
    );
    world.write("new.yaml", "a: b\n");
    let message = world.fails(1, ["encrypt", "--gcp-kms", KEY, "new.yaml"]);
    assert!(
        message.contains("failed: the data key or the ciphertext was damaged on its way"),
        "{message}"
    );
}

#[test]
fn answers_of_a_server_that_is_up_to_no_good() {
    for (status, body, expected) in [
        (200, json!({"ciphertext": "QUJD"}), "was damaged on its way"),
        (
            200,
            json!({"ciphertext": "?", "verifiedPlaintextCrc32c": true}),
            "did not answer with a ciphertext",
        ),
        (
            200,
            json!({"plaintext": "CANARY"}),
            "the answer is not one of Cloud KMS",
        ),
        (
            400,
            json!("CANARY"),
            "the server answered with the status 400\n",
        ),
        (307, json!({}), "the server answered with the status 307\n"),
        (
            403,
            json!({"error": {"message": "[SENT]", "status": "PERMISSION_DENIED"}}),
            "permission denied, or the key does not exist\n",
        ),
    ] {
        let server = Server::start(move |request| {
            let sent = request.json()["plaintext"].as_str().unwrap().to_owned();
            let mut reply = Reply::json(status, &body).with("Location", "http://127.0.0.1:1/");
            reply.body = reply.body.replace("[SENT]", &sent);
            reply
        });
        let world = World::new()
            .set("SOPS_GCP_KMS_ENDPOINT", &server.url())
            .set("GOOGLE_OAUTH_ACCESS_TOKEN", "CANARY-TOKEN");
        world.write("db.yaml", PLAIN);
        let message = world.fails(1, ["encrypt", "--gcp-kms", KEY, "db.yaml"]);
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains("CANARY"), "{message}");
    }
}
