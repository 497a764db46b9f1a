//! `random_integer` and `random_shuffle`. A `seed` would need the generator of Go's `math/rand`, and is refused.

use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use stead_sdk::value::{Diagnostics, Value};
use stead_sdk::{Error, PlanDraft, Resource};

use crate::generated::{Generated, Keepers, at_least, generated, ignore_null_keepers, invalid};

/// A random whole number.
#[derive(Clone, Debug, Resource)]
#[resource(name = "random_integer")]
pub(crate) struct RandomInteger {
    /// Arbitrary values that, when changed, make a new number.
    #[attr(optional, replace)]
    keepers: Option<Keepers>,
    /// The least, itself included.
    #[attr(required, replace)]
    min: i64,
    /// The greatest, itself included.
    #[attr(required, replace)]
    max: i64,
    /// Makes the number repeatable.
    #[attr(optional, replace, unsupported)]
    seed: Option<String>,
    /// The number.
    #[attr(computed)]
    result: i64,
    /// The number, as text.
    #[attr(computed)]
    id: String,
}

/// A list in random order.
#[derive(Clone, Debug, Resource)]
#[resource(name = "random_shuffle")]
pub(crate) struct RandomShuffle {
    /// Arbitrary values that, when changed, shuffle again.
    #[attr(optional, replace)]
    keepers: Option<Keepers>,
    /// Makes the order repeatable.
    #[attr(optional, replace, unsupported)]
    seed: Option<String>,
    /// The list to shuffle.
    #[attr(required, replace)]
    input: Vec<String>,
    /// How many results; more than there are inputs repeats them. All of them unless set.
    #[attr(optional, replace)]
    result_count: Option<i64>,
    /// The shuffled list.
    #[attr(computed)]
    result: Vec<String>,
    /// Always `-`.
    #[attr(computed)]
    id: String,
}

generated!(RandomInteger, RandomShuffle);

impl Generated for RandomInteger {
    fn validate(config: &Value) -> Diagnostics {
        let number = |name: &str| config.get(name).and_then(|v| v.as_i64());
        match (number("min"), number("max")) {
            (Some(min), Some(max)) if min > max => invalid(
                "max",
                format!("`max` ({max}) must not be less than `min` ({min})."),
            )
            .into(),
            _ => Diagnostics::new(),
        }
    }

    fn plan(plan: &mut PlanDraft) -> Result<(), Diagnostics> {
        ignore_null_keepers(plan, "keepers");
        Ok(())
    }

    fn generate(self) -> Result<Self, Error> {
        if self.min > self.max {
            return Err(
                Error::new("draw a random number", "`max` is less than `min`").attribute("max"),
            );
        }
        let result = rand::rng().random_range(self.min..=self.max);
        Ok(RandomInteger {
            result,
            id: result.to_string(),
            ..self
        })
    }

    /// `RESULT,MIN,MAX`.
    fn import(text: &str) -> Result<Self, Error> {
        let numbers: Vec<Option<i64>> = text
            .split(',')
            .map(|part| part.trim().parse().ok())
            .collect();
        match numbers[..] {
            [Some(result), Some(min), Some(max)] => Ok(RandomInteger {
                keepers: None,
                min,
                max,
                seed: None,
                result,
                id: result.to_string(),
            }),
            _ => Err(Error::new(
                "import the random_integer",
                format!("{text:?} is not RESULT,MIN,MAX"),
            )),
        }
    }
}

impl Generated for RandomShuffle {
    fn validate(config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        at_least(config, "result_count", 0, &mut found);
        found
    }

    fn plan(plan: &mut PlanDraft) -> Result<(), Diagnostics> {
        ignore_null_keepers(plan, "keepers");
        Ok(())
    }

    fn generate(self) -> Result<Self, Error> {
        let wanted = match self.result_count {
            Some(count) => usize::try_from(count).unwrap_or(0),
            None => self.input.len(),
        };
        let mut rng = rand::rng();
        let mut result = Vec::new();
        while result.len() < wanted && !self.input.is_empty() {
            let mut round = self.input.clone();
            round.shuffle(&mut rng);
            round.truncate(wanted - result.len());
            result.append(&mut round);
        }
        Ok(RandomShuffle {
            result,
            id: "-".to_owned(),
            ..self
        })
    }
}
