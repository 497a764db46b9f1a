//! `random_string` and `random_password`.

use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use serde_json::Value as Json;
use stead_sdk::value::{Diagnostics, Path, Sensitive, Value};
use stead_sdk::{Context, DataSource, Ephemeral, Error, Lease, PlanDraft, Resource, async_trait};

use crate::generated::{Generated, Keepers, at_least, generated, ignore_null_keepers, invalid};

const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";
const SPECIAL: &str = "!@#$%&*()-_=+[]{}<>:?";

/// bcrypt's cost in the published provider, and how many bytes it takes.
const BCRYPT_COST: u32 = 10;
const BCRYPT_BYTES: usize = 72;

/// A random string, for names. Not hidden in the plan: use `random_password` for secrets.
#[derive(Clone, Debug, Resource)]
#[resource(name = "random_string", version = 2)]
pub(crate) struct RandomString {
    /// Arbitrary values that, when changed, make a new string.
    #[attr(optional, replace)]
    keepers: Option<Keepers>,
    /// How many characters.
    #[attr(required, replace)]
    length: i64,
    /// Whether to use special characters.
    #[attr(optional, computed, default = true, replace)]
    special: bool,
    /// Whether to use upper-case letters.
    #[attr(optional, computed, default = true, replace)]
    upper: bool,
    /// Whether to use lower-case letters.
    #[attr(optional, computed, default = true, replace)]
    lower: bool,
    /// The old name of `numeric`.
    #[attr(optional, computed, replace, deprecated = "Use numeric instead.")]
    number: Option<bool>,
    /// Whether to use digits; true unless set.
    #[attr(optional, computed, replace)]
    numeric: Option<bool>,
    /// The least number of digits.
    #[attr(optional, computed, default = 0, replace)]
    min_numeric: i64,
    /// The least number of upper-case letters.
    #[attr(optional, computed, default = 0, replace)]
    min_upper: i64,
    /// The least number of lower-case letters.
    #[attr(optional, computed, default = 0, replace)]
    min_lower: i64,
    /// The least number of special characters.
    #[attr(optional, computed, default = 0, replace)]
    min_special: i64,
    /// The special characters to use in place of the usual ones.
    #[attr(optional, replace)]
    override_special: Option<String>,
    /// The string.
    #[attr(computed)]
    result: String,
    /// The string.
    #[attr(computed)]
    id: String,
}

/// A random password: like `random_string`, but hidden, and with its bcrypt hash.
#[derive(Clone, Debug, Resource)]
#[resource(name = "random_password", version = 3)]
pub(crate) struct RandomPassword {
    /// Arbitrary values that, when changed, make a new password.
    #[attr(optional, replace)]
    keepers: Option<Keepers>,
    /// How many characters.
    #[attr(required, replace)]
    length: i64,
    /// Whether to use special characters.
    #[attr(optional, computed, default = true, replace)]
    special: bool,
    /// Whether to use upper-case letters.
    #[attr(optional, computed, default = true, replace)]
    upper: bool,
    /// Whether to use lower-case letters.
    #[attr(optional, computed, default = true, replace)]
    lower: bool,
    /// The old name of `numeric`.
    #[attr(optional, computed, replace, deprecated = "Use numeric instead.")]
    number: Option<bool>,
    /// Whether to use digits; true unless set.
    #[attr(optional, computed, replace)]
    numeric: Option<bool>,
    /// The least number of digits.
    #[attr(optional, computed, default = 0, replace)]
    min_numeric: i64,
    /// The least number of upper-case letters.
    #[attr(optional, computed, default = 0, replace)]
    min_upper: i64,
    /// The least number of lower-case letters.
    #[attr(optional, computed, default = 0, replace)]
    min_lower: i64,
    /// The least number of special characters.
    #[attr(optional, computed, default = 0, replace)]
    min_special: i64,
    /// The special characters to use in place of the usual ones.
    #[attr(optional, replace)]
    override_special: Option<String>,
    /// The password.
    #[attr(computed, sensitive)]
    result: Sensitive<String>,
    /// The bcrypt hash of the password's first 72 bytes.
    #[attr(computed, sensitive)]
    bcrypt_hash: Sensitive<String>,
    /// Always `none`.
    #[attr(computed)]
    id: String,
}

/// A password that is drawn for each run and kept nowhere.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "random_password")]
pub(crate) struct EphemeralPassword {
    /// How many characters.
    #[attr(required)]
    length: i64,
    /// Whether to use special characters; true unless set.
    #[attr(optional, computed)]
    special: Option<bool>,
    /// Whether to use upper-case letters; true unless set.
    #[attr(optional, computed)]
    upper: Option<bool>,
    /// Whether to use lower-case letters; true unless set.
    #[attr(optional, computed)]
    lower: Option<bool>,
    /// Whether to use digits; true unless set.
    #[attr(optional, computed)]
    numeric: Option<bool>,
    /// The least number of digits.
    #[attr(optional, computed)]
    min_numeric: Option<i64>,
    /// The least number of upper-case letters.
    #[attr(optional, computed)]
    min_upper: Option<i64>,
    /// The least number of lower-case letters.
    #[attr(optional, computed)]
    min_lower: Option<i64>,
    /// The least number of special characters.
    #[attr(optional, computed)]
    min_special: Option<i64>,
    /// The special characters to use in place of the usual ones.
    #[attr(optional)]
    override_special: Option<String>,
    /// The password.
    #[attr(computed, sensitive)]
    result: Option<Sensitive<String>>,
    /// The bcrypt hash of the password's first 72 bytes.
    #[attr(computed, sensitive)]
    bcrypt_hash: Option<Sensitive<String>>,
}

#[async_trait]
impl Ephemeral for EphemeralPassword {
    type Client = ();

    fn validate(config: &Value) -> Diagnostics {
        validate(config)
    }

    async fn open(_client: &(), config: Self, _cx: &Context) -> Result<Lease<Self>, Error> {
        let (special, upper) = (config.special.unwrap_or(true), config.upper.unwrap_or(true));
        let lower = config.lower.unwrap_or(true);
        let numeric = config.numeric.unwrap_or(true);
        let least = |n: Option<i64>| n.unwrap_or(0);
        let result = recipe(
            config.length,
            (upper, least(config.min_upper)),
            (lower, least(config.min_lower)),
            (Some(numeric), least(config.min_numeric)),
            (special, least(config.min_special)),
            config.override_special.as_deref(),
        )
        .draw()?;
        let secret = result.clone();
        let hashed = tokio::task::spawn_blocking(move || hash(&secret)).await;
        let bcrypt_hash = hashed
            .map_err(|_| Error::new("hash the password", "the program is ending"))??
            .into();
        let password = EphemeralPassword {
            special: Some(special),
            upper: Some(upper),
            lower: Some(lower),
            numeric: Some(numeric),
            min_numeric: Some(least(config.min_numeric)),
            min_upper: Some(least(config.min_upper)),
            min_lower: Some(least(config.min_lower)),
            min_special: Some(least(config.min_special)),
            result: Some(result.into()),
            bcrypt_hash: Some(bcrypt_hash),
            ..config
        };
        Ok(password.into())
    }
}

generated!(RandomString, RandomPassword);

/// What to draw from, and how much of each.
struct Recipe<'a> {
    length: i64,
    /// Whether to draw from it, the characters, and the least number of them.
    classes: [(bool, &'a str, i64); 4],
}

impl Recipe<'_> {
    fn draw(&self) -> Result<String, Error> {
        let asked = "draw a random string";
        let pool: Vec<char> = self
            .classes
            .iter()
            .filter(|(used, ..)| *used)
            .flat_map(|(_, set, _)| set.chars())
            .collect();
        if pool.is_empty() {
            return Err(Error::new(asked, "there is no character to draw from")
                .remedy("Set at least one of special, upper, lower and numeric to true."));
        }
        let mut rng = rand::rng();
        let mut take = |from: &[char], count: i64, into: &mut Vec<char>| {
            for _ in 0..count {
                into.extend(from.get(rng.random_range(0..from.len())));
            }
        };
        let mut drawn = Vec::new();
        for (_, set, least) in &self.classes {
            let set: Vec<char> = set.chars().collect();
            if !set.is_empty() {
                take(&set, *least, &mut drawn);
            }
        }
        let rest = self.length - i64::try_from(drawn.len()).unwrap_or(i64::MAX);
        if rest < 0 {
            return Err(
                Error::new(asked, "the minimums add up to more than `length`").attribute("length"),
            );
        }
        take(&pool, rest, &mut drawn);
        drawn.shuffle(&mut rand::rng());
        Ok(drawn.into_iter().collect())
    }
}

fn recipe<'a>(
    length: i64,
    upper: (bool, i64),
    lower: (bool, i64),
    numeric: (Option<bool>, i64),
    special: (bool, i64),
    override_special: Option<&'a str>,
) -> Recipe<'a> {
    let specials = override_special
        .filter(|s| !s.is_empty())
        .unwrap_or(SPECIAL);
    Recipe {
        length,
        classes: [
            (upper.0, UPPER, upper.1),
            (lower.0, LOWER, lower.1),
            (numeric.0.unwrap_or(true), DIGITS, numeric.1),
            (special.0, specials, special.1),
        ],
    }
}

const MINIMUMS: [&str; 4] = ["min_upper", "min_lower", "min_numeric", "min_special"];

fn validate(config: &Value) -> Diagnostics {
    let mut found = Diagnostics::new();
    at_least(config, "length", 1, &mut found);
    for name in MINIMUMS {
        at_least(config, name, 0, &mut found);
    }
    let number = |name: &str| config.get(name).and_then(|v| v.as_i64());
    let least = MINIMUMS.iter().fold(0i64, |sum, name| {
        sum.saturating_add(number(name).unwrap_or(0))
    });
    if number("length").is_some_and(|length| length < least) {
        let detail = format!("`length` must be at least {least}, the sum of the minimums.");
        found.push(invalid("length", detail));
    }
    let off = |name: &str| config.get(name).and_then(|v| v.as_bool()) == Some(false);
    if ["special", "upper", "lower"].iter().all(|name| off(name))
        && (off("numeric") || off("number"))
    {
        found.push(invalid(
            "numeric",
            "At least one of special, upper, lower and numeric must be true.",
        ));
    }
    found
}

/// `number` and `numeric` are one setting under two names.
fn plan(plan: &mut PlanDraft) -> Result<(), Diagnostics> {
    let configured = |name: &str| plan.config().get(name).filter(|v| !v.is_null());
    let value = match (configured("number"), configured("numeric")) {
        (Some(number), Some(numeric)) => {
            let differ = number
                .as_bool()
                .zip(numeric.as_bool())
                .is_some_and(|(a, b)| a != b);
            if differ {
                let detail = "`number` and `numeric` are the same setting and must not differ. Leave out `number`, \
                              which is deprecated.";
                return Err(invalid("numeric", detail).into());
            }
            numeric
        }
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => Value::bool(true),
    };
    for name in ["number", "numeric"] {
        plan.set(&Path::root().attr(name), value.clone())?;
    }
    ignore_null_keepers(plan, "keepers");
    // An older release stored "" where nothing was configured.
    let before = plan
        .prior()
        .get("override_special")
        .and_then(|v| v.as_str().map(str::is_empty));
    if before == Some(true)
        && plan
            .attribute("override_special")
            .is_some_and(|v| v.is_null())
    {
        plan.keep(&Path::root().attr("override_special"));
    }
    Ok(())
}

/// What states before `numeric` lack. Null attributes come from imports by old releases.
fn upgrade(mut attributes: Json) -> Json {
    let Some(members) = attributes.as_object_mut() else {
        return attributes;
    };
    let null = |members: &serde_json::Map<String, Json>, name: &str| {
        members.get(name).is_none_or(Json::is_null)
    };
    let length = members
        .get("result")
        .and_then(Json::as_str)
        .map_or(0, str::len);
    let number = members
        .get("number")
        .filter(|v| !v.is_null())
        .cloned()
        .unwrap_or(Json::Bool(true));
    let mut defaults = vec![
        ("length", Json::from(length)),
        ("number", number.clone()),
        ("numeric", number),
    ];
    defaults.extend(["special", "upper", "lower"].map(|name| (name, Json::Bool(true))));
    defaults.extend(MINIMUMS.map(|name| (name, Json::from(0))));
    for (name, default) in defaults {
        if null(members, name) {
            members.insert(name.to_owned(), default);
        }
    }
    attributes
}

impl Generated for RandomString {
    fn validate(config: &Value) -> Diagnostics {
        validate(config)
    }

    fn plan(draft: &mut PlanDraft) -> Result<(), Diagnostics> {
        plan(draft)
    }

    fn generate(self) -> Result<Self, Error> {
        let result = recipe(
            self.length,
            (self.upper, self.min_upper),
            (self.lower, self.min_lower),
            (self.numeric, self.min_numeric),
            (self.special, self.min_special),
            self.override_special.as_deref(),
        )
        .draw()?;
        Ok(RandomString {
            id: result.clone(),
            result,
            ..self
        })
    }

    fn import(id: &str) -> Result<Self, Error> {
        Ok(RandomString {
            keepers: None,
            length: length(id),
            special: true,
            upper: true,
            lower: true,
            number: Some(true),
            numeric: Some(true),
            min_numeric: 0,
            min_upper: 0,
            min_lower: 0,
            min_special: 0,
            override_special: None,
            result: id.to_owned(),
            id: id.to_owned(),
        })
    }

    fn upgrade(_version: u64, attributes: Json) -> Result<Json, Error> {
        Ok(upgrade(attributes))
    }
}

impl Generated for RandomPassword {
    fn validate(config: &Value) -> Diagnostics {
        validate(config)
    }

    fn plan(draft: &mut PlanDraft) -> Result<(), Diagnostics> {
        plan(draft)
    }

    fn generate(self) -> Result<Self, Error> {
        let result = recipe(
            self.length,
            (self.upper, self.min_upper),
            (self.lower, self.min_lower),
            (self.numeric, self.min_numeric),
            (self.special, self.min_special),
            self.override_special.as_deref(),
        )
        .draw()?;
        let bcrypt_hash = hash(&result)?.into();
        Ok(RandomPassword {
            id: "none".to_owned(),
            result: result.into(),
            bcrypt_hash,
            ..self
        })
    }

    fn import(id: &str) -> Result<Self, Error> {
        Ok(RandomPassword {
            keepers: None,
            length: length(id),
            special: true,
            upper: true,
            lower: true,
            number: Some(true),
            numeric: Some(true),
            min_numeric: 0,
            min_upper: 0,
            min_lower: 0,
            min_special: 0,
            override_special: None,
            result: id.to_owned().into(),
            bcrypt_hash: hash(id)?.into(),
            id: "none".to_owned(),
        })
    }

    fn upgrade(version: u64, attributes: Json) -> Result<Json, Error> {
        let mut attributes = upgrade(attributes);
        // Version 0 had no hash yet.
        if version == 0
            && let Some(password) = attributes
                .get("result")
                .and_then(Json::as_str)
                .map(str::to_owned)
            && let Some(members) = attributes.as_object_mut()
        {
            members.insert("bcrypt_hash".to_owned(), Json::String(hash(&password)?));
        }
        Ok(attributes)
    }
}

fn length(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

/// The hash as the published provider writes it, with the prefix `$2a$`.
fn hash(password: &str) -> Result<String, Error> {
    let bytes = password.as_bytes();
    let first = bytes.get(..BCRYPT_BYTES).unwrap_or(bytes);
    let parts = bcrypt::hash_with_result(first, BCRYPT_COST)
        .map_err(|e| Error::new("hash the password with bcrypt", e.to_string()))?;
    Ok(parts.format_for_version(bcrypt::Version::TwoA))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minimums_and_classes_are_kept() {
        let drawn = recipe(
            12,
            (false, 2),
            (true, 0),
            (Some(true), 3),
            (true, 4),
            Some("é!"),
        )
        .draw()
        .unwrap();
        assert_eq!(drawn.chars().count(), 12);
        let count = |set: &str| drawn.chars().filter(|c| set.contains(*c)).count();
        // A minimum counts even for a class that is switched off, as in the published provider.
        assert_eq!(count(UPPER), 2);
        assert!(count(DIGITS) >= 3 && count("é!") >= 4);
        assert_eq!(
            count(UPPER) + count(LOWER) + count(DIGITS) + count("é!"),
            12
        );
    }

    #[test]
    fn impossible_recipes_are_refused() {
        assert!(
            recipe(2, (true, 3), (true, 0), (None, 0), (true, 0), None)
                .draw()
                .is_err()
        );
        assert!(
            recipe(
                2,
                (false, 0),
                (false, 0),
                (Some(false), 0),
                (false, 0),
                None
            )
            .draw()
            .is_err()
        );
    }

    #[test]
    fn hashes_verify_and_take_72_bytes() {
        let long = "x".repeat(100);
        let hashed = hash(&long).unwrap();
        assert!(hashed.starts_with("$2a$10$"), "{hashed}");
        assert!(bcrypt::verify(&long[..72], &hashed).unwrap());
    }
}
