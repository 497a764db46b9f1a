//! Configuration sections: most objects of a cluster are an id, a type and options in a file below /etc/pve (`type: id`,
//! then the options, indented), and are listed, created, read, changed and deleted alike.
//!
//! A [`Family`] says how one kind of object differs from the others: its file, its path in the API, the options of its
//! types, its refusals, and functions for what no table can say. [`Family::routes`] gives the methods that the contract
//! has of it: `GET` and `POST` of the path, and `GET`, `POST`, `PUT`, `DELETE` of the path with the id. The parameters are
//! those of the contract, which are checked before; so is the privilege, except what a list shows of each entry. A method
//! that is special is registered again after them: the last function of a method counts.
//!
//! ```text
//! const DIRS: Family = Family {
//!     file: "mapping/directory.cfg",
//!     path: "/cluster/mapping/dir",
//!     types: &[Type { required: &["map"], optional: &["description"], ..Type::new("dir") }],
//!     ..Family::PLAIN
//! };
//! ```
//!
//! Other code looks at what is configured with [`State::section`] and [`State::sections`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha1::{Digest as _, Sha1};

use crate::Proxmox;
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes};
use crate::schema::Api;
use crate::schema::check::Params;
use crate::schema::spec::{Kind, Spec};
use crate::state::State;

/// The sections of a file, by id.
pub(crate) type Sections = BTreeMap<String, Section>;

/// One configured object.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Section {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Its place in the file.
    #[serde(default)]
    pub(crate) order: u32,
    /// Several values only of what is an array in the contract.
    pub(crate) options: BTreeMap<String, Vec<String>>,
}

impl Section {
    pub(crate) fn get(&self, option: &str) -> Option<&str> {
        self.all(option).first().map(String::as_str)
    }

    pub(crate) fn all(&self, option: &str) -> &[String] {
        self.options
            .get(option)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    pub(crate) fn is_on(&self, option: &str) -> bool {
        self.get(option) == Some("1")
    }

    pub(crate) fn set(&mut self, option: &str, value: impl Into<String>) {
        self.options.insert(option.to_owned(), vec![value.into()]);
    }

    pub(crate) fn remove(&mut self, option: &str) {
        self.options.remove(option);
    }
}

/// What sections of a type hold. A family without any has the options of the contract.
pub(crate) struct Type {
    pub(crate) name: &'static str,
    pub(crate) required: &'static [&'static str],
    pub(crate) optional: &'static [&'static str],
    /// Of these, what can't be changed once it is there.
    pub(crate) fixed: &'static [&'static str],
    /// It has the options that the contract says of its family's path.
    pub(crate) by_contract: bool,
}

impl Type {
    pub(crate) const fn new(name: &'static str) -> Type {
        Type {
            name,
            required: &[],
            optional: &[],
            fixed: &[],
            by_contract: false,
        }
    }

    pub(crate) const fn of_contract(name: &'static str) -> Type {
        Type {
            by_contract: true,
            ..Type::new(name)
        }
    }

    fn takes(&self, option: &str) -> bool {
        self.by_contract || self.required.contains(&option) || self.optional.contains(&option)
    }
}

/// What a method does with a section; for refusals.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    List,
    Create,
    Read,
    Update,
    Delete,
}

/// A section that is to be created (`old` is `None`) or changed.
pub(crate) struct Change<'a> {
    pub(crate) api: &'a Api,
    pub(crate) state: &'a State,
    pub(crate) call: &'a Call,
    pub(crate) id: &'a str,
    pub(crate) old: Option<&'a Section>,
}

/// A section that is to be shown.
pub(crate) struct Shown<'a> {
    pub(crate) state: &'a State,
    pub(crate) call: &'a Call,
    pub(crate) id: &'a str,
    pub(crate) section: &'a Section,
    /// As one of a list.
    pub(crate) listed: bool,
}

/// A kind of configured object.
pub(crate) struct Family {
    /// Below /etc/pve. All sections of a file, also of other families, have one digest.
    pub(crate) file: &'static str,
    /// Where the API lists them.
    pub(crate) path: &'static str,
    /// The parameter with the id.
    pub(crate) key: &'static str,
    /// The parameter with the type.
    pub(crate) kind_key: &'static str,
    /// The types; which one a section has, the parameter `type` says unless there is only one.
    pub(crate) types: &'static [Type],
    /// Parameters that are not options, beyond the id, `type`, `digest` and `delete`.
    pub(crate) control: &'static [&'static str],
    /// Options that are kept but never answered.
    pub(crate) secret: &'static [&'static str],
    /// The id that a given one stands for. Where ids begin with the type (`vm:100`), that is the section's type.
    pub(crate) id: fn(&State, &Call, &str) -> Result<String, ApiError>,
    /// Whether this is possible at all now.
    pub(crate) guard: fn(&State, Act) -> Result<(), ApiError>,
    /// Whether a call wants to see a section listed.
    pub(crate) wanted: fn(&Call, &str, &Section) -> bool,
    /// An update must name everything that is required, too.
    pub(crate) whole_updates: bool,
    /// Whether each entry of the list bears the file's digest.
    pub(crate) digest_in_list: bool,
    /// Whether a single section is answered with its id.
    pub(crate) id_in_read: bool,
    /// A list shows what one has any of these privileges on; `{id}` stands for the id. No privileges: everything.
    pub(crate) seen: (&'static str, &'static [&'static str]),
    pub(crate) exists: fn(&str) -> ApiError,
    /// `None`: deleting what is not there is done at once.
    pub(crate) missing: fn(Act, &str) -> Option<ApiError>,
    /// What stands before the text of a failure (`create hardware mapping failed`); empty: nothing.
    pub(crate) failed: fn(Act) -> &'static str,
    /// Whether that also stands before what is wrong with the options of a new section, …
    pub(crate) options_within: bool,
    /// … and before what `check` says of it: PVE looks at some before it locks the file. Changes are made within.
    pub(crate) check_within: bool,
    /// Looks at a new or changed section, and completes it.
    pub(crate) check: fn(&Change<'_>, &mut Section) -> Result<(), ApiError>,
    /// Whether it may go.
    pub(crate) removable: fn(&State, &Call, &str) -> Result<(), ApiError>,
    /// After a section was created, changed or deleted (`None`).
    pub(crate) after: fn(&mut State, &str, Option<&Section>),
    /// Adds to what is shown, or takes from it.
    pub(crate) show: fn(&Shown<'_>, &mut Map<String, Value>),
    /// What creation and change answer.
    pub(crate) answer: fn(&Call, &str, &Section) -> Value,
}

impl Family {
    pub(crate) const PLAIN: Family = Family {
        file: "",
        path: "",
        key: "id",
        kind_key: "type",
        types: &[],
        control: &[],
        secret: &[],
        id: |_, _, id| Ok(id.to_owned()),
        guard: |_, _| Ok(()),
        wanted: |_, _, _| true,
        whole_updates: false,
        digest_in_list: false,
        id_in_read: false,
        seen: ("", &[]),
        exists: |id| ApiError::failure(format!("'{id}' already exists")),
        missing: |_, id| Some(ApiError::failure(format!("'{id}' does not exist"))),
        failed: |_| "",
        options_within: false,
        check_within: true,
        check: |_, _| Ok(()),
        removable: |_, _, _| Ok(()),
        after: |_, _, _| {},
        show: |_, _| {},
        answer: |_, _, _| Value::Null,
    };

    /// The five methods, as far as the contract has them.
    pub(crate) fn routes(&'static self, at: &mut Routes<'_>) {
        let one = self.item();
        self.list_routes(at);
        at.post(&one, |px: &Proxmox, call: &Call| self.create(px, call));
        self.item_routes(at, &one);
    }

    /// Those of the list.
    pub(crate) fn list_routes(&'static self, at: &mut Routes<'_>) {
        at.get(self.path, |px: &Proxmox, call: &Call| self.list(px, call));
        at.post(self.path, |px: &Proxmox, call: &Call| self.create(px, call));
    }

    /// The methods of a single one, under this path.
    pub(crate) fn item_routes(&'static self, at: &mut Routes<'_>, one: &str) {
        at.get(one, |px: &Proxmox, call: &Call| self.read(px, call));
        at.put(one, |px: &Proxmox, call: &Call| self.update(px, call));
        at.delete(one, |px: &Proxmox, call: &Call| self.delete(px, call));
    }

    pub(crate) fn item(&self) -> String {
        format!("{}/{{{}}}", self.path, self.key)
    }

    /// Its sections: other families may share the file.
    pub(crate) fn sections<'a>(
        &'a self,
        state: &'a State,
    ) -> impl Iterator<Item = (&'a String, &'a Section)> {
        let sections = state.sections(self.file);
        sections.filter(|(_, section)| self.has(section))
    }

    pub(crate) fn section<'a>(&self, state: &'a State, id: &str) -> Option<&'a Section> {
        let found = state.section(self.file, id);
        found.filter(|section| self.has(section))
    }

    /// Whether a section of its file is one of its own.
    pub(crate) fn has(&self, section: &Section) -> bool {
        self.types.is_empty() || self.kind(&section.kind).is_some()
    }

    fn kind(&self, name: &str) -> Option<&Type> {
        self.types.iter().find(|t| t.name == name)
    }

    fn spec<'a>(&self, api: &'a Api, verb: &str, option: &str) -> Option<&'a Spec> {
        api.option(verb, self.path, option)
            .or_else(|| api.option(verb, &self.item(), option))
    }

    pub(crate) fn list(&self, px: &Proxmox, call: &Call) -> Answer {
        let state = px.state();
        (self.guard)(&state, Act::List)?;
        let (template, privileges) = self.seen;
        let seen = self.sections(&state).filter(|(id, section)| {
            let path = template.replace("{id}", id);
            (self.wanted)(call, id, section)
                && (privileges.is_empty()
                    || state.need_any(&call.caller, &path, privileges).is_ok())
        });
        // One for all: a digest is made of the whole file.
        let digest = self.digest_in_list.then(|| state.digest(self.file));
        let rows = seen.map(|(id, section)| {
            let shown = Shown {
                state: &state,
                call,
                id,
                section,
                listed: true,
            };
            let mut row = self.shown(&px.api, &shown);
            if let Some(digest) = &digest {
                row["digest"] = digest.as_str().into();
            }
            row
        });
        Ok(rows.collect())
    }

    pub(crate) fn read(&self, px: &Proxmox, call: &Call) -> Answer {
        let state = px.state();
        let id = &self.named(&state, call, Act::Read)?;
        let section = self
            .section(&state, id)
            .ok_or_else(|| self.not_there(Act::Read, id))?;
        let shown = Shown {
            state: &state,
            call,
            id,
            section,
            listed: false,
        };
        Ok(self.shown(&px.api, &shown))
    }

    /// A section as the API shows it: numbers and booleans as numbers, arrays as arrays.
    pub(crate) fn shown(&self, api: &Api, shown: &Shown<'_>) -> Value {
        let mut row = Map::new();
        if shown.listed || self.id_in_read {
            row.insert(self.key.into(), shown.id.into());
        }
        if !shown.section.kind.is_empty() {
            row.insert(self.kind_key.into(), shown.section.kind.clone().into());
        }
        for (option, values) in &shown.section.options {
            if !self.secret.contains(&option.as_str()) {
                row.insert(
                    option.clone(),
                    typed(self.spec(api, "POST", option), values),
                );
            }
        }
        if !shown.listed {
            row.insert("digest".into(), shown.state.digest(self.file).into());
        }
        (self.show)(shown, &mut row);
        Value::Object(row)
    }

    /// The id of a call that is possible.
    pub(crate) fn named(&self, state: &State, call: &Call, act: Act) -> Result<String, ApiError> {
        (self.guard)(state, act)?;
        (self.id)(state, call, call.params.text(self.key))
    }

    /// An option's value as JSON.
    pub(crate) fn value(&self, api: &Api, option: &str, values: &[String]) -> Value {
        typed(self.spec(api, "POST", option), values)
    }

    pub(crate) fn not_there(&self, act: Act, id: &str) -> ApiError {
        (self.missing)(act, id).unwrap_or_else(|| ApiError::failure(format!("no such '{id}'")))
    }

    pub(crate) fn create(&self, px: &Proxmox, call: &Call) -> Answer {
        let failed = |error: ApiError| error.within((self.failed)(Act::Create));
        let mut state = px.state();
        let id = &self.named(&state, call, Act::Create)?;
        if state.section(self.file, id).is_some() {
            return Err(failed((self.exists)(id)));
        }
        let kind = match (call.params.get(self.kind_key), self.types) {
            (Some(given), _) => given,
            (None, [only]) => only.name,
            (None, _) => id.split_once(':').map_or("", |(kind, _)| kind),
        };
        let last = state.sections(self.file).map(|(_, s)| s.order).max();
        let mut section = Section {
            kind: kind.to_owned(),
            order: last.unwrap_or(0) + 1,
            options: self.options(px, call),
        };
        let outside = |within: bool, error: ApiError| if within { failed(error) } else { error };
        self.check_options(&section.kind, &section.options, true)
            .map_err(|error| outside(self.options_within, error))?;
        let change = Change {
            api: &px.api,
            state: &state,
            call,
            id,
            old: None,
        };
        (self.check)(&change, &mut section).map_err(|error| outside(self.check_within, error))?;
        Ok(self.put(&mut state, call, id, section))
    }

    pub(crate) fn update(&self, px: &Proxmox, call: &Call) -> Answer {
        let failed = |error: ApiError| error.within((self.failed)(Act::Update));
        let mut state = px.state();
        let id = &self.named(&state, call, Act::Update)?;
        state
            .assert_unmodified(self.file, &call.params)
            .map_err(failed)?;
        let old = self.section(&state, id).cloned();
        let old = old.ok_or_else(|| failed(self.not_there(Act::Update, id)))?;
        let given = self.options(px, call);
        self.check_options(&old.kind, &given, self.whole_updates)
            .map_err(failed)?;
        let mut section = old.clone();
        for option in call.params.items("delete") {
            self.check_deletion(&px.api, &old.kind, &option, &given)
                .map_err(failed)?;
            section.options.remove(&option);
        }
        section.options.extend(given);
        let change = Change {
            api: &px.api,
            state: &state,
            call,
            id,
            old: Some(&old),
        };
        (self.check)(&change, &mut section).map_err(failed)?;
        Ok(self.put(&mut state, call, id, section))
    }

    fn put(&self, state: &mut State, call: &Call, id: &str, section: Section) -> Value {
        let answer = (self.answer)(call, id, &section);
        let sections = state.configs.entry(self.file.to_owned()).or_default();
        sections.insert(id.to_owned(), section.clone());
        (self.after)(state, id, Some(&section));
        answer
    }

    pub(crate) fn delete(&self, px: &Proxmox, call: &Call) -> Answer {
        let failed = |error: ApiError| error.within((self.failed)(Act::Delete));
        let mut state = px.state();
        let id = &self.named(&state, call, Act::Delete)?;
        if self.section(&state, id).is_none() {
            return (self.missing)(Act::Delete, id).map_or(Ok(Value::Null), |e| Err(failed(e)));
        }
        state
            .assert_unmodified(self.file, &call.params)
            .map_err(failed)?;
        (self.removable)(&state, call, id).map_err(failed)?;
        if let Some(sections) = state.configs.get_mut(self.file) {
            sections.remove(id);
        }
        (self.after)(&mut state, id, None);
        Ok(Value::Null)
    }

    /// The options among a call's parameters.
    fn options(&self, px: &Proxmox, call: &Call) -> BTreeMap<String, Vec<String>> {
        let named = call.params.iter().map(|(name, _)| name).filter(|name| {
            *name != self.key
                && *name != self.kind_key
                && !matches!(*name, "type" | "digest" | "delete")
                && !self.control.contains(name)
        });
        let set = named.map(|name| (name.to_owned(), call.params.all(name).to_vec()));
        // An empty text is never written.
        set.filter(|(name, values)| {
            self.spec(&px.api, &call.verb, name)
                .is_none_or(|s| s.kind != Kind::Text)
                || values.iter().any(|v| !v.is_empty())
        })
        .collect()
    }

    fn check_options(
        &self,
        kind: &str,
        given: &BTreeMap<String, Vec<String>>,
        whole: bool,
    ) -> Result<(), ApiError> {
        let Some(kind) = self.kind(kind) else {
            return match self.types {
                [] => Ok(()),
                _ => Err(ApiError::failure(format!("unknown section type '{kind}'"))),
            };
        };
        if let Some(option) = given.keys().find(|name| !kind.takes(name)) {
            return Err(ApiError::failure(format!("unexpected property '{option}'")));
        }
        let required = kind
            .required
            .iter()
            .find(|name| !given.contains_key(**name));
        if let (true, Some(option)) = (whole, required) {
            return Err(ApiError::failure(format!(
                "missing value for required option '{option}'"
            )));
        }
        let fixed = kind.fixed.iter().find(|name| given.contains_key(**name));
        if let (false, Some(option)) = (whole, fixed) {
            return Err(ApiError::failure(format!(
                "can't change value of fixed parameter '{option}'"
            )));
        }
        Ok(())
    }

    fn check_deletion(
        &self,
        api: &Api,
        kind: &str,
        option: &str,
        given: &BTreeMap<String, Vec<String>>,
    ) -> Result<(), ApiError> {
        let (known, required, fixed) = match self.kind(kind) {
            Some(kind) if !kind.by_contract => (
                kind.takes(option),
                kind.required.contains(&option),
                kind.fixed.contains(&option),
            ),
            _ => {
                let spec = self.spec(api, "POST", option);
                let required = spec.is_some_and(|s| !s.optional());
                (spec.is_some() && option != self.key, required, false)
            }
        };
        let text = match option {
            _ if !known => format!("no such option '{option}'"),
            _ if required => format!("unable to delete required option '{option}'"),
            _ if fixed => format!("unable to delete fixed option '{option}'"),
            _ if given.contains_key(option) => {
                format!("cannot set and delete property '{option}' at the same time!")
            }
            _ => return Ok(()),
        };
        Err(ApiError::failure(text))
    }
}

/// A value as JSON, by its type in the contract.
pub(crate) fn typed(spec: Option<&Spec>, values: &[String]) -> Value {
    let kind = spec.map_or(Kind::Text, |s| s.kind);
    if kind == Kind::Array {
        return values.to_vec().into();
    }
    let text = values.first().map(String::as_str).unwrap_or_default();
    let number = match kind {
        Kind::Boolean | Kind::Integer | Kind::Number => serde_json::from_str(text).ok(),
        Kind::Text | Kind::Array | Kind::Object => None,
    };
    number.map_or_else(|| text.into(), Value::Number)
}

impl State {
    pub(crate) fn sections(&self, file: &str) -> impl Iterator<Item = (&String, &Section)> {
        self.configs.get(file).into_iter().flatten()
    }

    pub(crate) fn section(&self, file: &str, id: &str) -> Option<&Section> {
        self.configs.get(file)?.get(id)
    }

    /// The digest of a file as it would be written.
    pub(crate) fn digest(&self, file: &str) -> String {
        let mut text = String::new();
        for (id, section) in self.sections(file) {
            text += &format!("{}: {id}\n", section.kind);
            for (option, values) in &section.options {
                for value in values {
                    text += &format!("\t{option} {value}\n");
                }
            }
            text += "\n";
        }
        hex_digest(&text)
    }

    /// Refuses what was meant for a file as it no longer is.
    pub(crate) fn assert_unmodified(&self, file: &str, params: &Params) -> Result<(), ApiError> {
        assert_digest(&self.digest(file), params)
    }
}

/// Refuses a call whose `digest` is not this one.
pub(crate) fn assert_digest(digest: &str, params: &Params) -> Result<(), ApiError> {
    match params.get("digest") {
        Some(given) if !given.is_empty() && given != digest => Err(ApiError::failure(
            "detected modified configuration - file changed by other user? Try again.",
        )),
        _ => Ok(()),
    }
}

/// SHA-1 of a text, as PVE's digests are.
pub(crate) fn hex_digest(text: &str) -> String {
    hex(&Sha1::digest(text.as_bytes()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `AB:CD:EF`, as fingerprints and MAC addresses are written.
pub(crate) fn colons(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}
