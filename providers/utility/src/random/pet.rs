//! `random_pet`: a name that one can say.

use rand::seq::IndexedRandom as _;
use stead_sdk::value::Diagnostics;
use stead_sdk::{Error, PlanDraft, Resource};

use super::words::{ADJECTIVES, ADVERBS, ANIMALS};
use crate::generated::{Generated, Keepers, generated, ignore_null_keepers};

/// A name such as `quick-otter`.
#[derive(Clone, Debug, Resource)]
#[resource(name = "random_pet")]
pub(crate) struct RandomPet {
    /// Arbitrary values that, when changed, make a new name.
    #[attr(optional, replace)]
    keepers: Option<Keepers>,
    /// How many words.
    #[attr(optional, computed, default = 2, replace)]
    length: i64,
    /// Put before the name.
    #[attr(optional, replace)]
    prefix: Option<String>,
    /// What stands between the words.
    #[attr(optional, computed, default = "-", replace)]
    separator: String,
    /// The name.
    #[attr(computed)]
    id: String,
}

generated!(RandomPet);

/// Adverbs, then an adjective, then an animal; a single word is an animal.
fn words(length: i64) -> Vec<&'static str> {
    let mut rng = rand::rng();
    let mut words = Vec::new();
    for left in (1..=length.max(1)).rev() {
        let list: &[&'static str] = match left {
            1 => &ANIMALS,
            2 => &ADJECTIVES,
            _ => &ADVERBS,
        };
        words.extend(list.choose(&mut rng));
    }
    words
}

impl Generated for RandomPet {
    fn plan(plan: &mut PlanDraft) -> Result<(), Diagnostics> {
        ignore_null_keepers(plan, "keepers");
        Ok(())
    }

    fn generate(self) -> Result<Self, Error> {
        let name = words(self.length.min(1000)).join(&self.separator);
        let id = match self.prefix.as_deref() {
            Some(prefix) if !prefix.is_empty() => format!("{prefix}{}{name}", self.separator),
            _ => name,
        };
        Ok(RandomPet { id, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_as_many_words_as_asked() {
        assert_eq!(words(1).len(), 1);
        assert!(ANIMALS.contains(&words(1)[0]));
        let three = words(3);
        assert!(ADVERBS.contains(&three[0]) && ADJECTIVES.contains(&three[1]));
    }
}
