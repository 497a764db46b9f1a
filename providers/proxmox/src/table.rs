//! The fields of a block as parts of the API's forms: one table for both directions.
//!
//! What is at the API's own default is left out, so that no privilege is needed for it; what is absent reads as that default.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::property::{Properties, is_on};

/// Parameter name to value: a guest's configuration, as it is sent and as it is answered.
pub(crate) type Settings = BTreeMap<String, String>;

/// A guest's configuration in an answer. Numbers are written either way; what `lxc` lists is one line an entry.
pub(crate) fn settings_of(answer: &Json) -> Settings {
    let members = answer.as_object().into_iter().flatten();
    members
        .filter_map(|(key, value)| {
            let text = match value {
                Json::Array(entries) => entries
                    .iter()
                    .filter_map(line)
                    .collect::<Vec<_>>()
                    .join("\n"),
                _ => crate::client::text(answer, key)?,
            };
            Some((key.clone(), text))
        })
        .collect()
}

/// `["lxc.idmap", "u 0 100000 65536"]`
fn line(entry: &Json) -> Option<String> {
    let words: Vec<_> = entry.as_array()?.iter().filter_map(Json::as_str).collect();
    Some(words.join(" "))
}

/// Something with named parts: a form, or one of its property strings.
pub(crate) trait Table {
    fn part(&self, key: &str) -> Option<&str>;
    fn put(&mut self, key: &str, value: String);
}

impl Table for Settings {
    fn part(&self, key: &str) -> Option<&str> {
        self.get(key).map(String::as_str)
    }

    fn put(&mut self, key: &str, value: String) {
        self.insert(key.to_owned(), value);
    }
}

impl Table for Properties {
    fn part(&self, key: &str) -> Option<&str> {
        self.get(key)
    }

    fn put(&mut self, key: &str, value: String) {
        self.push(key, value);
    }
}

/// A value of one part. An empty text says nothing, and is not sent.
pub(crate) trait Part: Sized + PartialEq {
    fn write(&self) -> String;
    fn read(text: &str) -> Option<Self>;
}

impl Part for String {
    fn write(&self) -> String {
        self.clone()
    }

    fn read(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Part for bool {
    fn write(&self) -> String {
        i32::from(*self).to_string()
    }

    fn read(text: &str) -> Option<Self> {
        Some(is_on(text))
    }
}

impl Part for i64 {
    fn write(&self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Part for f64 {
    fn write(&self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// Within property strings the semicolon is left for lists.
impl Part for Vec<String> {
    fn write(&self) -> String {
        self.join(";")
    }

    fn read(text: &str) -> Option<Self> {
        Some(words(text, &[';']))
    }
}

impl<T: Part + Ord> Part for BTreeSet<T> {
    fn write(&self) -> String {
        let words: Vec<_> = self.iter().map(T::write).collect();
        words.join(";")
    }

    fn read(text: &str) -> Option<Self> {
        words(text, &[';'])
            .iter()
            .map(|word| T::read(word))
            .collect()
    }
}

impl<T: Part> Part for Option<T> {
    fn write(&self) -> String {
        self.as_ref().map(T::write).unwrap_or_default()
    }

    fn read(text: &str) -> Option<Self> {
        T::read(text).map(Some)
    }
}

/// The words of a list.
pub(crate) fn words(text: &str, separators: &[char]) -> Vec<String> {
    let words = text.split(separators).map(str::trim);
    words.filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

/// A block whose fields are parts; [`parts!`] implements it.
pub(crate) trait Parts: Sized {
    /// The part that may stand without its name where people write property strings.
    const ALONE: &'static str;

    fn write(&self, out: &mut impl Table);

    /// What the table does not hold stays as it is.
    fn read(self, from: &impl Table) -> Self;

    /// As a property string.
    fn encode(&self) -> String {
        let mut out = Properties::default();
        self.write(&mut out);
        out.encode("")
    }

    fn decode(self, text: &str) -> Self {
        self.read(&Properties::parse(text, Self::ALONE))
    }
}

pub(crate) fn put<P: Part>(out: &mut impl Table, key: &str, value: &P, absent: Option<P>) {
    let text = value.write();
    if absent.as_ref() != Some(value) && !text.is_empty() {
        out.put(key, text);
    }
}

pub(crate) fn take<P: Part>(from: &impl Table, key: &str, absent: P) -> P {
    from.part(key).and_then(P::read).unwrap_or(absent)
}

/// `TYPE [alone "key"] { field "key" [= absent | => absent], … }`: with `=` a field that has the value of an absent part is not sent; with
/// `=>` it is always sent.
macro_rules! parts {
    (@absent) => { Default::default() };
    (@absent = $value:expr) => { $value.into() };
    (@absent => $value:expr) => { $value.into() };
    (@omit => $value:expr) => { None };
    (@omit $(= $value:expr)?) => { Some($crate::table::parts!(@absent $(= $value)?)) };
    ($($ty:ident $(alone $alone:literal)? { $($field:ident $key:literal $(= $omit:expr)? $(=> $keep:expr)?),+ $(,)? })+) => {$(
        impl $crate::table::Parts for $ty {
            const ALONE: &'static str = concat!($($alone)?);

            fn write(&self, out: &mut impl $crate::table::Table) {
                $($crate::table::put(out, $key, &self.$field, $crate::table::parts!(@omit $(= $omit)? $(=> $keep)?));)+
            }

            fn read(mut self, from: &impl $crate::table::Table) -> Self {
                $(self.$field = $crate::table::take(from, $key, $crate::table::parts!(@absent $(= $omit)? $(=> $keep)?));)+
                self
            }
        }
    )+};
}

pub(crate) use parts;

/// What an update sends: values that differ, and names to delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) set: Settings,
    pub(crate) delete: Vec<String>,
}

impl Change {
    pub(crate) fn between(old: &Settings, new: &Settings) -> Change {
        let changed = |(k, v): &(&String, &String)| old.get(*k) != Some(*v);
        Change {
            set: new
                .iter()
                .filter(changed)
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
            delete: old
                .keys()
                .filter(|k| !new.contains_key(*k))
                .cloned()
                .collect(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.delete.is_empty()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.set.keys().chain(&self.delete).map(String::as_str)
    }
}

/// The keys of the form `PREFIXn` that the configuration has, in the order of their numbers.
pub(crate) fn indexed<'a>(config: &'a Settings, prefix: &str) -> Vec<(usize, &'a str)> {
    let mut found: Vec<_> = config
        .iter()
        .filter_map(|(k, v)| Some((k.strip_prefix(prefix)?.parse().ok()?, v.as_str())))
        .collect();
    found.sort_unstable_by_key(|f| f.0);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq)]
    struct Thing {
        kind: String,
        on: bool,
        count: i64,
        names: Vec<String>,
        rate: Option<f64>,
        kept: i64,
    }

    parts! {
        Thing alone "type" { kind "type" = "std", on "on" => true, count "n" = 1, names "names", rate "rate" }
    }

    #[test]
    fn a_table_reads_what_it_writes_and_leaves_defaults_out() {
        let thing = Thing {
            kind: "std".into(),
            on: true,
            count: 2,
            names: vec!["a".into(), "b".into()],
            ..Thing::default()
        };
        assert_eq!(thing.encode(), "on=1,n=2,names=a;b");
        let read = Thing {
            kept: 7,
            ..Thing::default()
        }
        .decode("vnc,rate=2.5");
        let expected = Thing {
            kind: "vnc".into(),
            on: true,
            count: 1,
            rate: Some(2.5),
            kept: 7,
            ..Thing::default()
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn a_change_holds_only_what_differs() {
        let old = Settings::from([("a".into(), "1".into()), ("b".into(), "2".into())]);
        let new = Settings::from([("a".into(), "1".into()), ("c".into(), "3".into())]);
        let change = Change::between(&old, &new);
        assert_eq!(change.set.keys().collect::<Vec<_>>(), ["c"]);
        assert_eq!(change.delete, ["b"]);
        assert!(Change::between(&new, &new).is_empty());
    }

    #[test]
    fn an_answer_becomes_settings_whatever_its_types() {
        let answer = serde_json::json!({ "cores": 4, "memory": "4096", "lxc": [["lxc.idmap", "u 0 1 2"], ["a", "b"]] });
        let read = settings_of(&answer);
        assert_eq!(
            (read["cores"].as_str(), read["lxc"].as_str()),
            ("4", "lxc.idmap u 0 1 2\na b")
        );
    }
}
