//! SDN objects as they are read: as configured, as they run, or with what is pending.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::families::AUDIT;
use super::pending;
use crate::Proxmox;
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes};
use crate::schema::check::Params;
use crate::sections::{Act, Family, Section, Shown};
use crate::state::State;

/// A family that is read in these ways.
pub(super) struct Listed {
    pub(super) family: &'static Family,
    /// The path of the privileges on one of them; without any, all may be seen.
    pub(super) home: fn(&State, &str, &Section) -> String,
    /// Whether also reading one is looked up there, rather than in the contract.
    pub(super) guarded: bool,
    /// One by itself is shown as configured, whatever view is asked for.
    pub(super) one_view: bool,
    /// What must hold for the whole list.
    pub(super) within: Option<fn(&State, &Call) -> Result<(), ApiError>>,
}

/// Which of the three.
#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    Configured,
    Running,
    Pending,
}

impl View {
    fn of(params: &Params) -> View {
        match (params.is_on("pending"), params.is_on("running")) {
            (true, _) => View::Pending,
            (false, true) => View::Running,
            (false, false) => View::Configured,
        }
    }
}

impl Listed {
    pub(super) const fn of(family: &'static Family) -> Listed {
        Listed {
            family,
            home: |_, _, _| String::new(),
            guarded: false,
            one_view: false,
            within: None,
        }
    }

    pub(super) fn routes(&'static self, at: &mut Routes<'_>) {
        self.family.routes(at);
        at.get(self.family.path, |px: &Proxmox, call: &Call| {
            self.list(px, call)
        });
        self.item_routes(at, &self.family.item());
    }

    /// The methods of a single one, under this path.
    pub(super) fn item_routes(&'static self, at: &mut Routes<'_>, one: &str) {
        self.family.item_routes(at, one);
        at.get(one, |px: &Proxmox, call: &Call| self.read(px, call));
    }

    /// An object of a view: what is looked up of it, and its row.
    fn row<'a>(
        &self,
        px: &Proxmox,
        state: &'a State,
        call: &Call,
        view: View,
        id: &str,
    ) -> Option<(&'a Section, Value)> {
        let family = self.family;
        let running = state.sdn.running_section(family.file, id);
        let running = running.filter(|section| family.has(section));
        let configured = family.section(state, id);
        let section = match view {
            View::Configured => configured,
            View::Running => running,
            View::Pending => configured.or(running),
        }?;
        let shown = |section| Shown {
            state,
            call,
            id,
            section,
            listed: true,
        };
        let row = match view {
            View::Pending => {
                let mut row = pending::difference(px, family, id, running, configured);
                let none = Section::default();
                (family.show)(&shown(running.unwrap_or(&none)), &mut row);
                Value::Object(row)
            }
            _ => family.shown(&px.api, &shown(section)),
        };
        Some((section, row))
    }

    /// Of a whole file, as it is configured.
    fn digest(&self, state: &State, view: View) -> Value {
        match view {
            View::Configured => state.digest(self.family.file).into(),
            View::Running | View::Pending => Value::Null,
        }
    }

    fn seen(
        &self,
        state: &State,
        call: &Call,
        id: &str,
        section: &Section,
    ) -> Result<(), ApiError> {
        let (template, _) = self.family.seen;
        let path = match (self.home)(state, id, section) {
            path if path.is_empty() => template.replace("{id}", id),
            path => path,
        };
        match path.is_empty() {
            true => Ok(()),
            false => state.need_any(&call.caller, &path, AUDIT),
        }
    }

    /// What the caller may see of a list.
    pub(super) fn seen_rows(&self, px: &Proxmox, state: &State, call: &Call) -> Vec<Value> {
        let view = View::of(&call.params);
        let (family, digest) = (self.family, self.digest(state, view));
        let running = state.sdn.running(family.file);
        let ids: BTreeSet<&String> = state
            .sections(family.file)
            .chain(running)
            .map(|(id, _)| id)
            .collect();
        let seen = ids.into_iter().filter_map(|id| {
            let (section, mut row) = self.row(px, state, call, view, id)?;
            row["digest"] = digest.clone();
            let wanted = (family.wanted)(call, id, section);
            (wanted && self.seen(state, call, id, section).is_ok()).then_some(row)
        });
        seen.collect()
    }

    pub(super) fn list(&self, px: &Proxmox, call: &Call) -> Answer {
        let state = px.state();
        self.within.map_or(Ok(()), |within| within(&state, call))?;
        Ok(self.seen_rows(px, &state, call).into())
    }

    fn read(&self, px: &Proxmox, call: &Call) -> Answer {
        let state = px.state();
        self.within.map_or(Ok(()), |within| within(&state, call))?;
        let wanted = self.family.named(&state, call, Act::Read)?;
        let view = match self.one_view {
            true => View::Configured,
            false => View::of(&call.params),
        };
        let found = self.row(px, &state, call, view, &wanted);
        let (section, mut row) = found.ok_or_else(|| self.family.not_there(Act::Read, &wanted))?;
        row["digest"] = self.digest(&state, view);
        if self.guarded {
            self.seen(&state, call, &wanted, section)?;
        }
        Ok(row)
    }
}

/// What a subnet's id says, and its ranges taken apart.
pub(super) fn subnet_row(shown: &Shown<'_>, row: &mut Map<String, Value>) {
    let mut parts = shown.id.splitn(3, '-');
    let mut part = || parts.next().unwrap_or_default();
    let (zone, network, mask) = (part(), part(), part());
    for (name, value) in [
        ("id", shown.id),
        ("zone", zone),
        ("network", network),
        ("mask", mask),
    ] {
        row.insert(name.into(), value.into());
    }
    row.insert("cidr".into(), format!("{network}/{mask}").into());
    let ranges = shown.section.all("dhcp-range").iter().map(|text| {
        let part = |key: &str| crate::schema::property::plain(text, key);
        json!({ "start-address": part("start-address"), "end-address": part("end-address") })
    });
    row.insert("dhcp-range".into(), ranges.collect());
}
