//! Writings of values that several types have: `#[form(with = …)]`.

/// A text that the server ends with a line break of its own.
pub(crate) mod trimmed {
    use serde_json::Value as Json;
    use stead_sdk::form::{FormValue, Style, Unreadable};

    pub(crate) fn write(text: &Option<String>) -> Vec<String> {
        text.write(Style::PLAIN)
    }

    /// The same text stays as people wrote it.
    pub(crate) fn read(
        prior: Option<String>,
        found: Option<&Json>,
    ) -> Result<Option<String>, Unreadable> {
        let found = found.map_or(Ok(String::new()), |found| {
            String::read(String::new(), found, Style::PLAIN)
        })?;
        let found = found.trim_end();
        if prior.as_deref().unwrap_or_default().trim_end() == found {
            return Ok(prior);
        }
        Ok(Some(found.to_owned()).filter(|text| !text.is_empty()))
    }
}

/// Names with spaces between them, whose order says nothing.
pub(crate) mod names {
    use serde_json::Value as Json;
    use stead_sdk::form::{FormValue, Style, Unreadable};

    const SPACED: Style = Style {
        join: " ",
        ..Style::PLAIN
    };

    pub(crate) fn write<T: FormValue>(names: &T) -> Vec<String> {
        names.write(SPACED)
    }

    /// The same names stay in the order in which people wrote them.
    pub(crate) fn read<T: FormValue>(prior: T, found: Option<&Json>) -> Result<T, Unreadable> {
        let found = match found {
            Some(found) => T::read(T::absent(), found, SPACED)?,
            None => T::absent(),
        };
        let sorted = |names: &T| {
            let style = Style {
                repeat: true,
                ..SPACED
            };
            let mut names = names.write(style);
            names.sort();
            names
        };
        Ok(if sorted(&prior) == sorted(&found) {
            prior
        } else {
            found
        })
    }
}

/// Seconds since 1970 on the server, RFC 3339 for people. Only read.
pub(crate) mod moment {
    use jiff::Timestamp;
    use serde_json::Value as Json;
    use stead_sdk::form::{FormValue, Style, Unreadable};

    pub(crate) fn read(_prior: String, found: Option<&Json>) -> Result<String, Unreadable> {
        let Some(found) = found else {
            return Ok(String::new());
        };
        let seconds = i64::read(0, found, Style::PLAIN)?;
        let time = Timestamp::from_second(seconds).map_err(|_| Unreadable::new("a time"))?;
        Ok(time.to_string())
    }
}
