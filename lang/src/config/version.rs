//! Version constraints: `>= 1.5, < 2.0`, `~> 1.3`.

use std::cmp::Ordering;

use stead_value::{Diagnostic, Diagnostics, addr};

use super::model::Module;
use super::source::ModuleSource;

/// The newest Terraform release whose language is understood, and the oldest. A configuration that requires a version is
/// accepted when some release in between satisfies it.
const NEWEST: [u64; 3] = [1, 15, u64::MAX];
const OLDEST: [u64; 3] = [0, 12, 0];

/// A release, perhaps with a pre-release part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub numbers: [u64; 3],
    pub pre: String,
}

impl Version {
    pub fn parse(text: &str) -> Option<Version> {
        parse_version(text).map(|(v, _)| v)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| {
            match (self.pre.is_empty(), other.pre.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => compare_pre(&self.pre, &other.pre),
            }
        })
    }
}

/// As semantic versioning orders pre-releases: numbers by value, before words.
fn compare_pre(a: &str, b: &str) -> Ordering {
    let mut left = a.split('.');
    let mut right = b.split('.');
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => match (x.parse::<u64>(), y.parse::<u64>()) {
                (Ok(x), Ok(y)) => x.cmp(&y),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => x.cmp(y),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    /// `~>`: only the last given number may be higher.
    Pessimistic,
}

#[derive(Clone, Debug)]
struct Constraint {
    operator: Operator,
    version: Version,
    /// How many numbers were given.
    given: usize,
    /// As written.
    text: String,
}

/// Constraints that must all hold.
#[derive(Clone, Debug)]
pub struct Constraints(Vec<Constraint>);

impl Constraints {
    /// Reads constraints; `None` when they are malformed.
    pub fn parse(text: &str) -> Option<Constraints> {
        text.split(',')
            .map(parse_constraint)
            .collect::<Option<Vec<_>>>()
            .map(Constraints)
    }

    /// Each constraint in full: `>= 3.0.0` for `>=3`.
    pub fn display(&self) -> Vec<String> {
        self.0.iter().map(Constraint::display).collect()
    }

    /// Whether the version satisfies all. A pre-release must be asked for by name.
    pub fn allow(&self, version: &Version) -> bool {
        self.0.iter().all(|c| c.allows(version))
    }

    /// Whether some release of the language that is understood satisfies them.
    pub fn allow_language(&self) -> bool {
        let named = self.0.iter().map(|c| c.version.numbers);
        let after = named.clone().map(|[a, b, c]| [a, b, c.saturating_add(1)]);
        let before = named.clone().map(|[a, b, c]| match c.checked_sub(1) {
            Some(c) => [a, b, c],
            None => [a, b.saturating_sub(1), u64::MAX - 1],
        });
        named
            .chain(after)
            .chain(before)
            .chain([OLDEST, NEWEST])
            .filter(|v| (OLDEST..=NEWEST).contains(v))
            .any(|numbers| {
                self.allow(&Version {
                    numbers,
                    pre: String::new(),
                })
            })
    }
}

impl Constraint {
    fn display(&self) -> String {
        let operator = match self.operator {
            Operator::Equal => "",
            Operator::NotEqual => "!= ",
            Operator::Greater => "> ",
            Operator::GreaterEqual => ">= ",
            Operator::Less => "< ",
            Operator::LessEqual => "<= ",
            Operator::Pessimistic => "~> ",
        };
        let pre = if self.version.pre.is_empty() {
            String::new()
        } else {
            format!("-{}", self.version.pre)
        };
        // How many numbers were given is what a pessimistic constraint means.
        let shown = match self.operator {
            Operator::Pessimistic => self.given.max(2),
            _ => 3,
        };
        let numbers: Vec<String> = self
            .version
            .numbers
            .iter()
            .take(shown)
            .map(ToString::to_string)
            .collect();
        format!("{operator}{}{pre}", numbers.join("."))
    }

    fn allows(&self, version: &Version) -> bool {
        if !version.pre.is_empty()
            && (self.version.pre.is_empty() || self.version.numbers != version.numbers)
        {
            return false;
        }
        match self.operator {
            Operator::Equal => version == &self.version,
            Operator::NotEqual => version != &self.version,
            Operator::Greater => version > &self.version,
            Operator::GreaterEqual => version >= &self.version,
            Operator::Less => version < &self.version,
            Operator::LessEqual => version <= &self.version,
            Operator::Pessimistic => {
                let fixed = self.given.saturating_sub(1).max(1);
                version >= &self.version
                    && version.numbers.iter().take(fixed).eq(self
                        .version
                        .numbers
                        .iter()
                        .take(fixed))
            }
        }
    }
}

/// Reports requirements of a module that no release of the language satisfies that is understood here.
pub(crate) fn check_language(
    module: &Module,
    path: &addr::Module,
    source: Option<&ModuleSource>,
) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    for requirement in &module.terraform.required_versions {
        let Some(constraints) = Constraints::parse(&requirement.text) else {
            continue;
        };
        if let Some(pre) = constraints.0.iter().find(|c| !c.version.pre.is_empty()) {
            diagnostics.push(
                Diagnostic::error(
                    "Invalid required_version constraint",
                    format!(
                        "Prerelease version constraints are not supported: {}. Remove the prerelease information from the constraint. Prerelease versions of terraform will match constraints using their version core only.",
                        pre.text
                    ),
                )
                .at(requirement.range.clone()),
            );
            continue;
        }
        if constraints.allow_language() {
            continue;
        }
        let whose = match source {
            Some(source) => format!("Module {path} (from {source})"),
            None => "This configuration".to_owned(),
        };
        diagnostics.push(
            Diagnostic::error(
                "Unsupported Terraform Core version",
                format!("{whose} does not support Terraform version {}. To proceed, either choose another supported Terraform version or update this version constraint. Version constraints are normally set for good reason, so updating the constraint may lead to other errors or unexpected behavior.", super::REFERENCE_VERSION),
            )
            .at(requirement.range.clone()),
        );
    }
    diagnostics
}

fn parse_constraint(text: &str) -> Option<Constraint> {
    let text = text.trim();
    let operators = [
        ("~>", Operator::Pessimistic),
        (">=", Operator::GreaterEqual),
        ("<=", Operator::LessEqual),
        ("!=", Operator::NotEqual),
        ("=", Operator::Equal),
        (">", Operator::Greater),
        ("<", Operator::Less),
    ];
    let (operator, rest) = operators
        .iter()
        .find_map(|(sign, op)| Some((*op, text.strip_prefix(sign)?)))
        .unwrap_or((Operator::Equal, text));
    let (version, given) = parse_version(rest.trim())?;
    Some(Constraint {
        operator,
        version,
        given,
        text: text.to_owned(),
    })
}

fn parse_version(text: &str) -> Option<(Version, usize)> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let text = text.split_once('+').map_or(text, |(v, _)| v);
    let (numbers, pre) = text.split_once('-').unwrap_or((text, ""));
    let mut found = [0; 3];
    let mut given = 0;
    for part in numbers.split('.') {
        let slot = found.get_mut(given)?;
        *slot = part.parse().ok()?;
        given += 1;
    }
    Some((
        Version {
            numbers: found,
            pre: pre.to_owned(),
        },
        given,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_allow_what_they_say() {
        let allows = |constraint: &str, version: &str| {
            Constraints::parse(constraint)
                .unwrap()
                .allow(&Version::parse(version).unwrap())
        };
        assert!(allows(">= 1.5, < 2.0", "1.11.4"));
        assert!(!allows(">= 1.5, < 2.0", "2.0.0"));
        assert!(allows("~> 1.3", "1.9.0"));
        assert!(!allows("~> 1.3", "2.0.0"));
        assert!(allows("~> 1.3.1", "1.3.9"));
        assert!(!allows("~> 1.3.1", "1.4.0"));
        assert!(!allows(">= 1.0", "1.5.0-beta1"));
        assert!(allows("1.5.0-beta1", "1.5.0-beta1"));
        assert!(Constraints::parse("about 3").is_none());
    }

    #[test]
    fn a_requirement_holds_when_some_known_release_satisfies_it() {
        let ok = |c: &str| Constraints::parse(c).unwrap().allow_language();
        assert!(ok(">= 1.5"));
        assert!(ok("= 1.11.4"));
        assert!(ok("~> 1.9.0"));
        assert!(ok("< 1.6"));
        assert!(ok("> 1.3, < 1.4"));
        assert!(!ok(">= 2.0"));
        assert!(!ok("< 0.12"));
        assert!(!ok("~> 1.16.0"));
    }
}
