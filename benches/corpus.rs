//! Realistic documents of any size, the same on every run: what the benchmarks measure on.
//!
//! A 10 MB YAML document has about 65,000 leaves: names, nesting, comments, lists, some literal blocks. Nothing here
//! knows what is measured, or how.

/// A small generator of pseudo-random numbers (splitmix64): the same seed gives the same documents everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit.max(1)
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        let index = usize::try_from(self.below(u64::try_from(words.len()).unwrap_or(1)));
        index
            .ok()
            .and_then(|index| words.get(index))
            .copied()
            .unwrap_or_default()
    }

    /// `count` letters and digits, as in a password or a token.
    fn secret(&mut self, count: u64) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789";
        let letters = u64::try_from(LETTERS.len()).unwrap_or(1);
        (0..count)
            .filter_map(|_| usize::try_from(self.below(letters)).ok())
            .filter_map(|index| LETTERS.get(index).copied().map(char::from))
            .collect()
    }

    fn sentence(&mut self, words: u64) -> String {
        let words: Vec<&str> = (0..words).map(|_| self.pick(WORDS)).collect();
        words.join(" ")
    }
}

const WORDS: &[&str] = &[
    "the", "service", "reads", "this", "value", "when", "it", "starts", "and", "again", "after",
    "a", "rotation", "of", "keys", "see", "runbook", "before", "changing", "anything", "here",
];

const NAMES: &[&str] = &[
    "database",
    "password",
    "username",
    "endpoint",
    "token",
    "region",
    "bucket",
    "client_id",
    "client_secret",
    "timeout_seconds",
    "retries",
    "webhook_url",
    "certificate",
    "replica",
    "queue",
    "cache",
    "signing_key",
    "smtp_host",
    "feature",
    "tenant",
    "license",
    "issuer",
    "audience",
];

/// A YAML document of `size` bytes or a little more.
pub(crate) fn yaml(size: usize) -> String {
    let mut dice = Dice(1);
    let mut text = String::with_capacity(size + 2_000);
    let mut service = 0u64;
    while text.len() < size {
        if dice.below(3) == 0 {
            text += &format!("# {}\n", dice.sentence(9));
        }
        text += &format!("service_{service:05}:\n");
        service += 1;
        for field in 0..6 + dice.below(6) {
            yaml_field(&mut dice, &mut text, field);
        }
        text.push('\n');
    }
    text
}

fn yaml_field(dice: &mut Dice, text: &mut String, field: u64) {
    let name = dice.pick(NAMES);
    match dice.below(16) {
        0 => {
            *text += &format!("  {name}_{field}: |\n    -----BEGIN PRIVATE KEY-----\n");
            for _ in 0..12 {
                *text += &format!("    {}\n", dice.secret(64));
            }
            *text += "    -----END PRIVATE KEY-----\n";
        }
        1 | 2 => {
            *text += &format!("  {name}_{field}:\n");
            for _ in 0..3 + dice.below(3) {
                *text += &format!(
                    "    - https://{}.example.com/{}\n",
                    dice.secret(12),
                    dice.secret(24)
                );
            }
        }
        3 | 4 => {
            *text += &format!(
                "  {name}_{field}:\n    # {}\n    inner:\n",
                dice.sentence(14)
            );
            *text += &format!(
                "      user: {}\n      password: \"{}\"\n",
                dice.secret(8),
                dice.secret(40)
            );
        }
        5 => {
            *text += &format!(
                "  {name}_{field}: {}   # {}\n",
                dice.below(100_000),
                dice.sentence(12)
            );
        }
        6 => *text += &format!("  {name}_{field}: {}\n", dice.below(2) == 0),
        7 => *text += &format!("  {name}_{field}: {}.5\n", dice.below(1_000)),
        8 => *text += &format!("  {name}_{field}: '{}'\n", dice.sentence(20)),
        _ => *text += &format!("  {name}_{field}: {}\n", dice.secret(170)),
    }
}

/// A JSON document of `size` bytes or a little more, with two-space indentation.
pub(crate) fn json(size: usize) -> String {
    let mut dice = Dice(2);
    let mut text = String::with_capacity(size + 2_000);
    text.push('{');
    let mut service = 0u64;
    while text.len() < size {
        let comma = if service == 0 { "" } else { "," };
        text += &format!(
            "{comma}\n  \"service_{service:05}\": {{\n    \"enabled\": {}",
            dice.below(2) == 0
        );
        service += 1;
        for field in 0..6 + dice.below(6) {
            let name = dice.pick(NAMES);
            text += &format!(",\n    \"{name}_{field}\": ");
            text += &match dice.below(8) {
                0 => dice.below(100_000).to_string(),
                1 => format!("[\"{}\", \"{}\", null]", dice.secret(60), dice.secret(60)),
                2 => format!(
                    "{{\"user\": \"{}\", \"password\": \"{}\"}}",
                    dice.secret(8),
                    dice.secret(40)
                ),
                3 => format!("\"{}\\n{}\\n\"", dice.sentence(15), dice.secret(64)),
                _ => format!("\"{}\"", dice.secret(130)),
            };
        }
        text += "\n  }";
    }
    text += "\n}\n";
    text
}

/// A dotenv document of `size` bytes or a little more.
pub(crate) fn dotenv(size: usize) -> String {
    let mut dice = Dice(3);
    let mut text = String::with_capacity(size + 2_000);
    let mut line = 0u64;
    while text.len() < size {
        if dice.below(6) == 0 {
            text += &format!("\n# {}\n", dice.sentence(8));
        }
        let name = dice.pick(NAMES).to_uppercase();
        let length = 20 + dice.below(200);
        text += &format!("{name}_{line}={}\n", dice.secret(length));
        line += 1;
    }
    text
}
