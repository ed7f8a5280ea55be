//! AWS KMS: what is sealed and opened with it, as whom, and in which form it stands in the file.

mod moto;
mod refusals;
mod tree;

use serde_json::{Value, json};

use self::moto::Moto;
use crate::support::{ALICE, World, unique, write_file};

const PLAIN: &str = "# of the shop\npassword: hunter2\nport: 5432\n";

/// The entry of the only KMS key of a sealed JSON file.
fn entry(world: &World, name: &str) -> Value {
    let file: Value = serde_json::from_str(&world.read(name)).expect("JSON");
    let keys = file["sops"]["kms"].as_array().expect("keys").clone();
    assert_eq!(keys.len(), 1);
    keys[0].clone()
}

/// Seals `PLAIN` as `db.yaml` with these options.
fn seal(world: &World, options: &[&str]) {
    world.write("db.yaml", PLAIN);
    let arguments = [&["encrypt", "--in-place"], options, &["db.yaml"]];
    world.ok(arguments.concat());
}

/// Writes the AWS config of a world.
fn configure(world: &World, text: &str) {
    let folder = world.home().join(".aws");
    std::fs::create_dir_all(&folder).expect("a folder");
    write_file(&folder.join("config"), text);
}

#[test]
fn a_file_is_sealed_and_opened_with_a_key_or_an_alias() {
    let moto = Moto::shared();
    let world = moto.world("ann");
    let key = moto.key();
    let alias = moto.text(&format!("create_alias('{key}', '{}')", unique("shop-")));
    for arn in [&key, &alias] {
        seal(&world, &["--kms", arn]);
        assert!(!world.read("db.yaml").contains("hunter2"));
        assert_eq!(world.ok(["decrypt", "db.yaml"]), PLAIN.as_bytes());
    }
}

#[test]
fn an_entry_has_the_fields_of_sops_and_kms_itself_unwraps_it() {
    let moto = Moto::shared();
    let world = moto.world("ann");
    let arn = moto.key();
    world.write("db.json", "{\n  \"a\": \"b\"\n}\n");
    world.ok(["encrypt", "-i", "--kms", &arn, "db.json"]);
    let plain = entry(&world, "db.json");
    let fields: Vec<&String> = plain.as_object().expect("a mapping").keys().collect();
    assert_eq!(fields, ["arn", "aws_profile", "created_at", "enc"]);
    assert_eq!(plain["arn"], json!(arn));
    assert_eq!(plain["aws_profile"], json!(""));
    let unwrapped = |entry: &Value, context: &str| {
        let (arn, enc) = (entry["arn"].as_str(), entry["enc"].as_str());
        let (arn, enc) = (arn.expect("a text"), enc.expect("a text"));
        moto.eval(&format!("unwrap('{arn}', '{enc}', {context})"))
    };
    assert_eq!(unwrapped(&plain, "{}"), json!(32));

    world.write("db.json", "{\n  \"a\": \"b\"\n}\n");
    let role = "arn:aws:iam::123456789012:role/deploy";
    world.ok([
        "encrypt",
        "--in-place",
        "--kms",
        &format!("{arn}+{role}"),
        "--encryption-context",
        "team:shop,app:web",
        "--aws-profile",
        "prod",
        "db.json",
    ]);
    let full = entry(&world, "db.json");
    let fields: Vec<&String> = full.as_object().expect("a mapping").keys().collect();
    assert_eq!(
        fields,
        ["arn", "aws_profile", "context", "created_at", "enc", "role"]
    );
    assert_eq!(full["context"], json!({"app": "web", "team": "shop"}));
    assert_eq!(full["role"], json!(role));
    assert_eq!(full["aws_profile"], json!("prod"));
    assert_eq!(
        unwrapped(&full, "{'app': 'web', 'team': 'shop'}"),
        json!(32)
    );
}

#[test]
fn a_file_that_others_made_is_opened() {
    let moto = Moto::shared();
    let world = moto.world("ann");
    let arn = moto.key();
    for context in ["{}", "{'app': 'web', 'env': 'prod'}"] {
        let text = moto.text(&format!("sealed_by_hand('{arn}', {context}, 'hunter2')"));
        world.write("db.yaml", text);
        assert_eq!(world.ok(["decrypt", "db.yaml"]), b"password: hunter2\n");
    }
}

#[test]
fn the_config_names_keys_with_role_context_and_profile() {
    let moto = Moto::shared();
    let world = moto.world("ann");
    let arn = moto.key();
    let role = "arn:aws:iam::123456789012:role/config";
    world.write(
        ".sops-rs.yaml",
        format!(
            "creation_rules:\n  - key_groups:\n      - kms:\n          - arn: {arn}\n            role: {role}\n            \
             context:\n              app: web\n            aws_profile: prod\n"
        ),
    );
    world.write("db.json", "{\n  \"a\": \"b\"\n}\n");
    world.ok(["encrypt", "-i", "db.json"]);
    let entry = entry(&world, "db.json");
    assert_eq!(entry["context"], json!({"app": "web"}));
    assert_eq!(
        (&entry["role"], &entry["aws_profile"]),
        (&json!(role), &json!("prod"))
    );
    assert_eq!(world.ok(["decrypt", "db.json"]), b"{\n  \"a\": \"b\"\n}\n");
}

#[test]
fn a_role_is_assumed_under_the_name_of_the_machine() {
    let moto = Moto::shared();
    let world = moto.world("ann");
    let role = format!("arn:aws:iam::123456789012:role/{}", unique("role"));
    seal(&world, &["--kms", &format!("{}+{role}", moto.key())]);
    assert_eq!(world.ok(["decrypt", "db.yaml"]), PLAIN.as_bytes());
    let escaped = role.replace(':', "%3A").replace('/', "%2F");
    let requests = moto.eval(&format!("recorded('{escaped}')"));
    let requests = requests.as_array().expect("a list");
    assert_eq!(requests.len(), 2, "once for each run: {requests:?}");
    for request in requests {
        let body = request["body"].as_str().expect("a text");
        assert!(body.contains("Action=AssumeRole&"), "{body}");
        assert!(body.contains("RoleSessionName=sops%40"), "{body}");
        let signed = request["authorization"].as_str().expect("a text");
        assert!(signed.contains("Credential=ann/"), "{signed}");
    }
}

/// Who signed the requests to KMS for `arn`.
fn signers(moto: &Moto, arn: &str) -> Vec<String> {
    let requests = moto.eval(&format!("recorded('{arn}')"));
    let requests = requests.as_array().expect("a list").clone();
    let signer = |request: &Value| {
        let text = request["authorization"].as_str().expect("a text");
        let (_, rest) = text.split_once("Credential=").expect("credentials");
        rest.split('/').next().expect("a user").to_owned()
    };
    requests.iter().map(signer).collect()
}

#[test]
fn the_profile_of_a_key_counts_if_the_user_has_it() {
    let moto = Moto::shared();
    let world = moto.world("environment");
    let arn = moto.key();
    seal(&world, &["--kms", &arn, "--aws-profile", "prod"]);
    configure(
        &world,
        "[profile prod]\naws_access_key_id = production\naws_secret_access_key = secret\n",
    );
    assert_eq!(world.ok(["decrypt", "db.yaml"]), PLAIN.as_bytes());
    assert_eq!(signers(&moto, &arn), ["environment", "production"]);
}

#[test]
fn credentials_come_from_wherever_the_sdk_looks() {
    let moto = Moto::shared();
    let arn = moto.key();
    let opens = |world: World, config: &str| {
        configure(&world, config);
        let sealer = moto.world("sealer");
        seal(&sealer, &["--kms", &arn]);
        world.write("db.yaml", sealer.read("db.yaml"));
        assert_eq!(world.ok(["decrypt", "db.yaml"]), PLAIN.as_bytes());
        signers(&moto, &arn).pop().expect("a request")
    };
    let named = moto.stranger().set("AWS_PROFILE", "two");
    let two = "[profile two]\naws_access_key_id = second\naws_secret_access_key = x\n";
    assert_eq!(opens(named, two), "second");

    let helper = moto.stranger();
    let answer = r#"{"Version": 1, "AccessKeyId": "helper", "SecretAccessKey": "x"}"#;
    let script = helper.script(&format!("printf '%s' '{answer}'\n"));
    let config = format!("[default]\ncredential_process = {script}\n");
    assert_eq!(opens(helper, &config), "helper");

    let pod = moto.stranger();
    let token = pod.write("token", "a.web.token");
    let pod = pod
        .set(
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            token.to_str().expect("UTF-8"),
        )
        .set("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pod");
    let signer = opens(pod, "");
    assert!(signer.starts_with("ASIA"), "credentials of STS: {signer}");
}

#[test]
fn keys_of_several_regions_take_one_login() {
    let moto = Moto::shared();
    let world = moto.stranger();
    let answer = r#"{"Version": 1, "AccessKeyId": "helper", "SecretAccessKey": "x"}"#;
    let count = world.path("count");
    let script = world.script(&format!(
        "echo run >> {}\nprintf '%s' '{answer}'\n",
        count.display()
    ));
    configure(
        &world,
        &format!("[default]\ncredential_process = {script}\n"),
    );
    let keys = ["eu-west-1", "us-east-1", "ap-south-1"]
        .map(|region| moto.text(&format!("create_key('{region}')")))
        .join(",");
    seal(&world, &["--kms", &keys]);
    assert_eq!(world.read("count"), "run\n");
}

#[test]
fn another_key_opens_the_file_if_the_first_cannot() {
    let moto = Moto::shared();
    let world = moto.world("ann");
    let (first, second) = (moto.key(), moto.text("create_key('us-east-1')"));
    let both = format!("{first},{second}");
    seal(&world, &["--kms", &both, "--encryption-context", "app:web"]);
    let text = world.read("db.yaml");
    world.write("db.yaml", text.replacen("app: web", "app: shop", 1));
    assert_eq!(world.ok(["decrypt", "db.yaml"]), PLAIN.as_bytes());
    for arn in [first, second] {
        assert_eq!(signers(&moto, &arn), ["ann", "ann"], "sealed and tried");
    }
}

/// Who has a local key never waits for AWS, whatever its config is like.
#[test]
fn a_file_that_a_local_key_opens_asks_nobody() {
    let moto = Moto::shared();
    let sealer = moto.world("ann");
    let arn = moto.key();
    seal(&sealer, &["--kms", &arn, "--age", ALICE]);
    let asked = signers(&moto, &arn).len();
    let alice = World::with_identity("alice")
        .set("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .set("AWS_PROFILE", "absent");
    configure(&alice, "[this is no config\n");
    alice.write("db.yaml", sealer.read("db.yaml"));
    assert_eq!(alice.ok(["decrypt", "db.yaml"]), PLAIN.as_bytes());
    assert_eq!(signers(&moto, &arn).len(), asked);
}

#[test]
fn a_change_needs_no_other_wrapping() {
    let moto = Moto::shared();
    let world = moto.world("ann");
    let arn = moto.key();
    seal(&world, &["--kms", &arn]);
    let wrapped = |text: &str| {
        let line = text.lines().find(|line| line.trim().starts_with("enc:"));
        line.expect("a wrapped key").to_owned()
    };
    let before = wrapped(&world.read("db.yaml"));
    let ran = world.edit("sed -i s/hunter2/hunter3/ \"$1\"", ["db.yaml"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(wrapped(&world.read("db.yaml")), before);
    let changed = PLAIN.replace("hunter2", "hunter3");
    assert_eq!(world.ok(["decrypt", "db.yaml"]), changed.as_bytes());
}
