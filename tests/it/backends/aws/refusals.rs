//! What the user is told when AWS does not do what it is asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use snapbox::data::Inline;
use snapbox::{IntoData as _, assert_data_eq, str};

use super::moto::Moto;
use super::{configure, seal};
use crate::support::World;

/// The messages of a run that fails to open `db.yaml`, with the key as `[KEY]`.
fn refused(world: &World, arn: &str) -> String {
    let text = world.fails(128, ["decrypt", "db.yaml"]);
    assert!(text.contains(arn), "{text}");
    text.replace(arn, "[KEY]")
}

fn assert_message(actual: String, expected: Inline) {
    assert_data_eq!(actual, expected.raw());
}

/// A server that gives the same answer to every request, and counts them. It ends with the tests.
fn server(status: &'static str, body: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counter.fetch_add(1, Ordering::Relaxed);
            // Who hangs up early is not the server's concern.
            drop(answer(&stream, status, body));
        }
    });
    (url, count)
}

fn answer(mut stream: &TcpStream, status: &str, body: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if let Some(number) = line.strip_prefix("content-length:") {
            length = number.trim().parse().expect("a length");
        }
        if line.is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn the_wrong_encryption_context() {
    let moto = Moto::shared();
    let world = moto.world("ann");
    let arn = moto.key();
    seal(&world, &["--kms", &arn, "--encryption-context", "app:web"]);
    let text = world.read("db.yaml");
    let changed = text.replace("app: web", "app: shop");
    assert_ne!(changed, text);
    world.write("db.yaml", changed);
    assert_message(
        refused(&world, &arn),
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  [KEY]|app:shop  failed: the wrapped key does not fit: it was changed, or wrapped by another key or with another encryption context
hint: correct what failed above, or ask someone who can open the file to add you

"#]],
    );
}

#[test]
fn a_context_that_is_none() {
    let world = World::new();
    world.write("db.yaml", "a: b\n");
    let arn = "arn:aws:kms:eu-west-1:111122223333:key/1";
    let message = |context: &str| {
        let arguments = ["encrypt", "--kms", arn, "--encryption-context", context];
        world.fails(6, arguments.iter().chain(&["db.yaml"]))
    };
    assert_message(
        message("app"),
        str![[r#"
sops-rs: error: --encryption-context: invalid kms recipient: each part of the encryption context must be `key:value`

"#]],
    );
    assert_eq!(message("app:web:shop"), message("app"));
}

#[test]
fn no_credentials() {
    let moto = Moto::shared();
    let arn = moto.key();
    let world = moto.stranger();
    let sealer = moto.world("ann");
    seal(&sealer, &["--kms", &arn]);
    world.write("db.yaml", sealer.read("db.yaml"));
    assert_message(
        refused(&world, &arn),
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  [KEY]  failed: no AWS credentials: none in AWS_ACCESS_KEY_ID, the AWS config, AWS_WEB_IDENTITY_TOKEN_FILE, the container or the EC2 instance
hint: log in to AWS (`aws sso login`, AWS_PROFILE) as somebody who may use the key; `aws sts get-caller-identity` says who you are

"#]],
    );

    let misspelled = moto.stranger().set("AWS_PROFILE", "pord");
    misspelled.write("db.yaml", sealer.read("db.yaml"));
    assert_message(
        refused(&misspelled, &arn),
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  [KEY]  failed: no AWS credentials: your AWS config has no profile `pord`, which AWS_PROFILE names
hint: log in to AWS (`aws sso login`, AWS_PROFILE) as somebody who may use the key; `aws sts get-caller-identity` says who you are

"#]],
    );

    seal(&sealer, &["--kms", &arn, "--aws-profile", "prod"]);
    world.write("db.yaml", sealer.read("db.yaml"));
    assert_message(
        refused(&world, &arn),
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  [KEY]||prod  failed: no AWS credentials: none in AWS_ACCESS_KEY_ID, the AWS config, AWS_WEB_IDENTITY_TOKEN_FILE, the container or the EC2 instance (your AWS config has no profile `prod`, which this key names, so your default was used)
hint: log in to AWS (`aws sso login`, AWS_PROFILE) as somebody who may use the key; `aws sts get-caller-identity` says who you are

"#]],
    );
    configure(&world, "[profile prod]\nregion = eu-west-1\n");
    assert_message(
        refused(&world, &arn),
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  [KEY]||prod  failed: no AWS credentials: there are none in the profile `prod`
hint: log in to AWS (`aws sso login`, AWS_PROFILE) as somebody who may use the key; `aws sts get-caller-identity` says who you are

"#]],
    );
    configure(&world, "[profile prod\n");
    assert_message(
        refused(&world, &arn),
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  [KEY]||prod  failed: the AWS config cannot be read: could not parse profile file: error parsing [ROOT]/home/.aws/config on line 1: Profile definition must end with ']'
hint: correct what failed above, or ask someone who can open the file to add you

"#]],
    );
    configure(
        &world,
        "[profile prod]\nsso_session = my\nsso_account_id = 1\nsso_role_name = x\n[sso-session my]\n\
         sso_region = eu-west-1\nsso_start_url = https://example.com/start\n",
    );
    assert_message(
        refused(&world, &arn),
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  [KEY]||prod  failed: the AWS credentials cannot be had: an error occurred while loading an access token: failed to load the cached SSO token
hint: log in to AWS (`aws sso login`, AWS_PROFILE) as somebody who may use the key; `aws sts get-caller-identity` says who you are

"#]],
    );
}

#[test]
fn a_server_that_is_not_there() {
    let moto = Moto::shared();
    let arn = moto.key();
    let sealer = moto.world("ann");
    seal(&sealer, &["--kms", &arn]);
    let world = moto
        .world("ann")
        .set("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9");
    world.write("db.yaml", sealer.read("db.yaml"));
    assert_message(
        refused(&world, &arn),
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  [KEY]  failed: AWS KMS in eu-west-1, at the address of AWS_ENDPOINT_URL or your AWS config, cannot be reached: Connection refused (os error 111)
hint: correct what failed above, or ask someone who can open the file to add you

"#]],
    );

    seal(
        &sealer,
        &["--kms", &format!("{arn}+arn:aws:iam::123456789012:role/a")],
    );
    let world = moto
        .world("ann")
        .set("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9");
    world.write("db.yaml", sealer.read("db.yaml"));
    assert_message(
        refused(&world, &arn),
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  [KEY]+arn:aws:iam::123456789012:role/a  failed: the role arn:aws:iam::123456789012:role/a cannot be assumed: Connection refused (os error 111)
hint: correct what failed above, or ask someone who can open the file to add you

"#]],
    );
}

#[test]
fn a_key_that_is_not_there() {
    let moto = Moto::shared();
    let world = moto.world("ann");
    world.write("db.yaml", "a: b\n");
    let absent = "arn:aws:kms:eu-west-1:123456789012:alias/absent";
    assert_message(
        world.fails(1, ["encrypt", "--kms", absent, "db.yaml"]),
        str![[r#"
sops-rs: error: could not generate data key: could not wrap the data key for every recipient
  arn:aws:kms:eu-west-1:123456789012:alias/absent  failed: AWS KMS has no such key: Alias arn:aws:kms:eu-west-1:123456789012:alias/absent is not found

"#]],
    );
}

/// Opens a sealed file with a server that answers so; the messages, and the number of requests.
fn answered(status: &'static str, body: &'static str) -> (String, usize) {
    let moto = Moto::shared();
    let arn = moto.key();
    let sealer = moto.world("ann");
    seal(&sealer, &["--kms", &arn]);
    let (url, count) = server(status, body);
    let world = moto.world("ann").set("AWS_ENDPOINT_URL_KMS", &url);
    world.write("db.yaml", sealer.read("db.yaml"));
    let message = refused(&world, &arn);
    (message, count.load(Ordering::Relaxed))
}

#[test]
fn access_denied() {
    let (message, requests) = answered(
        "400 Bad Request",
        r#"{"__type":"AccessDeniedException","Message":"User: arn:aws:iam::123456789012:user/ann is not authorized to perform: kms:Decrypt on this resource."}"#,
    );
    assert_message(
        message,
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  [KEY]  failed: access denied: User: arn:aws:iam::123456789012:user/ann is not authorized to perform: kms:Decrypt on this resource
hint: log in to AWS (`aws sso login`, AWS_PROFILE) as somebody who may use the key; `aws sts get-caller-identity` says who you are

"#]],
    );
    assert_eq!(requests, 1);
}

#[test]
fn a_role_that_may_not_be_assumed() {
    let moto = Moto::shared();
    let arn = moto.key();
    let role = "arn:aws:iam::123456789012:role/admin";
    let sealer = moto.world("ann");
    seal(&sealer, &["--kms", &format!("{arn}+{role}")]);
    let (url, _) = server(
        "403 Forbidden",
        "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: ann is not authorized to \
         perform: sts:AssumeRole</Message></Error></ErrorResponse>",
    );
    let world = moto.world("ann").set("AWS_ENDPOINT_URL_STS", &url);
    world.write("db.yaml", sealer.read("db.yaml"));
    assert_message(
        refused(&world, &arn),
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  [KEY]+arn:aws:iam::123456789012:role/admin  failed: the role arn:aws:iam::123456789012:role/admin cannot be assumed: AccessDenied: User: ann is not authorized to perform: sts:AssumeRole
hint: log in to AWS (`aws sso login`, AWS_PROFILE) as somebody who may use the key; `aws sts get-caller-identity` says who you are

"#]],
    );
}

#[test]
fn credentials_that_have_expired() {
    let body = r#"{"__type":"ExpiredTokenException","message":"The security token included in the request is expired"}"#;
    let (message, _) = answered("400 Bad Request", body);
    assert_message(
        message,
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  [KEY]  failed: the AWS credentials have expired: The security token included in the request is expired
hint: log in to AWS (`aws sso login`, AWS_PROFILE) as somebody who may use the key; `aws sts get-caller-identity` says who you are

"#]],
    );
}

#[test]
fn a_key_that_is_disabled() {
    let body = r#"{"__type":"DisabledException","message":"arn:aws:kms:eu-west-1:123456789012:key/1 is disabled."}"#;
    let (message, _) = answered("400 Bad Request", body);
    assert_message(
        message,
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  [KEY]  failed: the key is disabled: arn:aws:kms:eu-west-1:123456789012:key/1 is disabled
hint: correct what failed above, or ask someone who can open the file to add you

"#]],
    );
}

#[test]
fn another_key() {
    let body = r#"{"__type":"IncorrectKeyException"}"#;
    let (message, _) = answered("400 Bad Request", body);
    assert_message(
        message,
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  [KEY]  failed: the data key was wrapped by another key
hint: correct what failed above, or ask someone who can open the file to add you

"#]],
    );
}

#[test]
fn too_many_requests() {
    let body = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;
    let (message, requests) = answered("400 Bad Request", body);
    assert_message(
        message,
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  [KEY]  failed: AWS KMS has too many requests, also after retries: Rate exceeded
hint: correct what failed above, or ask someone who can open the file to add you

"#]],
    );
    assert_eq!(requests, 3, "it was tried again");
}

#[test]
fn an_answer_that_is_none() {
    let (message, _) = answered("200 OK", "<html>\u{1b}[2Ja captive portal</html>");
    assert_message(
        message,
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  [KEY]  failed: AWS KMS in eu-west-1, at the address of AWS_ENDPOINT_URL or your AWS config, answered with HTTP status 200 and not as KMS does
hint: correct what failed above, or ask someone who can open the file to add you

"#]],
    );
    let (message, _) = answered("200 OK", "{}");
    assert_message(
        message,
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  [KEY]  failed: the answer of AWS KMS holds no key
hint: correct what failed above, or ask someone who can open the file to add you

"#]],
    );
    let (message, _) = answered("418 I'm a teapot", "{}");
    assert_message(
        message,
        str![[r#"
sops-rs: error: no identity could open `db.yaml`
  [KEY]  failed: AWS KMS in eu-west-1, at the address of AWS_ENDPOINT_URL or your AWS config, answered with HTTP status 418 and not as KMS does
hint: correct what failed above, or ask someone who can open the file to add you

"#]],
    );
}
