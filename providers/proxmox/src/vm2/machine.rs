//! `proxmox_vm`: a machine as its configuration says, which nobody starts.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use stead_sdk::value::{Diagnostics, Path, Value};
use stead_sdk::{Context, Cut, Error, Failure, PlanDraft, Resource, Resumed, async_trait};

use crate::client::{Client, params};
use crate::guest::{
    Guest, Kind, keep_description, refuse_conflict, refuse_taken, resumed, with_identifier,
};
use crate::table::{Change, Parts as _, Settings};
use crate::vm2::blocks::{
    Cpu, Disc, Rng, Timeouts, Vga, found, in_time, unknown_identifier, validate,
};

/// A virtual machine.
#[derive(Clone, Debug, Default, Resource)]
#[resource(name = "proxmox_vm", alias = "proxmox_virtual_environment_vm2")]
pub(crate) struct Machine {
    /// Disc drives by their slot.
    #[attr(optional, nested(map))]
    pub(crate) cdrom: Option<BTreeMap<String, Disc>>,
    #[attr(optional, nested(single))]
    pub(crate) cpu: Option<Cpu>,
    #[attr(optional, computed, default = true)]
    pub(crate) delete_unreferenced_disks_on_destroy: bool,
    #[attr(optional)]
    pub(crate) description: Option<String>,
    /// 100 and above; the next free one when it is not set.
    #[attr(optional, computed, replace)]
    pub(crate) id: Option<i64>,
    #[attr(optional)]
    pub(crate) name: Option<String>,
    #[attr(required)]
    pub(crate) node_name: String,
    /// Take the machine out of backup jobs and the like as well.
    #[attr(optional, computed, default = true)]
    pub(crate) purge_on_destroy: bool,
    #[attr(optional, nested(single))]
    pub(crate) rng: Option<Rng>,
    /// Switch it off in place of shutting it down.
    #[attr(optional, computed, default = false)]
    pub(crate) stop_on_destroy: bool,
    #[attr(optional, computed)]
    pub(crate) tags: BTreeSet<String>,
    /// Becomes a template for good.
    #[attr(optional)]
    pub(crate) template: Option<bool>,
    #[attr(optional, nested(single))]
    pub(crate) timeouts: Option<Timeouts>,
    #[attr(optional, nested(single))]
    pub(crate) vga: Option<Vga>,
}

impl Machine {
    fn settings(&self) -> Settings {
        let mut out = Settings::new();
        if let Some(cpu) = &self.cpu {
            cpu.settings(&mut out);
        }
        let tags: Vec<_> = self.tags.iter().map(String::as_str).collect();
        let texts = [
            ("name", self.name.clone()),
            (
                "description",
                self.description.as_ref().map(|d| d.trim_end().to_owned()),
            ),
            ("tags", Some(tags.join(";"))),
            ("rng0", self.rng.as_ref().map(|rng| rng.encode())),
            ("vga", self.vga.as_ref().map(|vga| vga.encode())),
        ];
        let said = texts
            .into_iter()
            .filter_map(|(key, text)| Some((key, text?)));
        out.extend(
            said.filter(|(_, text)| !text.is_empty())
                .map(|(key, text)| (key.to_owned(), text)),
        );
        for (slot, disc) in self.cdrom.iter().flatten() {
            let file = disc.file_id.as_deref().unwrap_or("cdrom");
            out.insert(slot.clone(), format!("{file},media=cdrom"));
        }
        out
    }

    fn read_from(self, config: &Settings) -> Machine {
        let text = |key: &str| config.get(key).cloned();
        let prior = self.description.clone().unwrap_or_default();
        let described = text("description").map(|d| match d.trim_end() == prior.trim_end() {
            true => prior,
            false => d.trim_end().to_owned(),
        });
        let discs = Disc::found(config);
        let template = text("template").map(|t| crate::property::is_on(&t));
        Machine {
            cdrom: (!discs.is_empty()).then_some(discs),
            cpu: Cpu::found(config),
            description: described,
            name: text("name"),
            rng: found(config, "rng0"),
            vga: found(config, "vga"),
            tags: crate::table::words(
                config.get("tags").map_or("", String::as_str),
                &[';', ',', ' '],
            )
            .into_iter()
            .collect(),
            // Nothing on the server says that a machine is none.
            template: template.filter(|t| *t).or(self.template.filter(|t| !t)),
            ..self
        }
    }

    async fn guest<'a>(
        &self,
        client: &'a Client,
        cx: &'a Context,
    ) -> Result<Option<Guest<'a>>, Error> {
        let id = self.id.ok_or_else(unknown_identifier)?;
        let found = Guest::find(client, cx, Kind::Machine, id).await?;
        Ok(found.map(|(guest, _)| guest))
    }
}

#[async_trait]
impl Resource for Machine {
    type Client = Client;

    fn validate(config: &Value) -> Diagnostics {
        validate(config)
    }

    async fn plan(
        client: Option<&Client>,
        draft: &mut PlanDraft,
        cx: &Context,
    ) -> Result<(), Diagnostics> {
        let id = |value: &Value| value.get("id").and_then(|id| id.as_i64());
        if let (true, Some(client), Some(id)) = (draft.is_create(), client, id(draft.planned())) {
            refuse_taken(client, cx, "VM", id, "id").await?;
        }
        if draft.is_create() {
            return Ok(());
        }
        if let (Some(client), Some(id)) = (client, id(draft.prior())) {
            client.manages(id);
        }
        keep_description(draft)?;
        if draft.changes("node_name") {
            draft.note("node_name: replaces the machine");
            draft.replace(Path::root().attr("node_name"));
        }
        let template =
            |value: &Value| value.get("template").and_then(|t| t.as_bool()) == Some(true);
        match (template(draft.prior()), template(draft.planned())) {
            (true, false) => draft.replace(Path::root().attr("template")),
            (false, true) => draft.note("template: becomes a template for good"),
            _ => {}
        }
        for block in ["cpu", "rng", "vga", "cdrom"] {
            if draft.changes(block) {
                draft.note(format!("{block}: at the next start"));
            }
        }
        Ok(())
    }

    async fn create(
        client: &Client,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let timeout = Timeouts::of(planned.timeouts.as_ref(), |t| t.create.as_ref(), 30);
        let path = format!("/nodes/{}/qemu", planned.node_name);
        let settings = planned.settings();
        let (vm, settings, path) = (&planned, &settings, &path);
        let id = with_identifier(client, cx, planned.id, |id| async move {
            let known = Machine {
                id: Some(id),
                ..vm.clone()
            };
            cx.identified(&known).await?;
            let mut form = params([("vmid", id.to_string())]);
            form.extend(settings.clone());
            let what = format!("create VM {id}");
            client
                .run(cx, Method::POST, &what, path, &form, timeout)
                .await
        })
        .await?;
        client.guests_changed().await;
        let made = Machine {
            id: Some(id),
            ..planned.clone()
        };
        let guest = Guest::new(client, cx, Kind::Machine, &made.node_name, id);
        if made.template == Some(true)
            && let Err(error) = guest.make_template(timeout).await
        {
            return Err(Failure::partial(error, made));
        }
        match guest.present().await {
            Ok(config) => Ok(made.read_from(&config)),
            Err(error) => Err(Failure::partial(error, made)),
        }
    }

    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let timeouts = prior.timeouts.as_ref();
        let config = in_time(timeouts.and_then(|t| t.read.as_ref()), async {
            match prior.guest(client, cx).await? {
                Some(guest) => guest.config().await,
                None => Ok(None),
            }
        });
        Ok(config.await?.map(|config| prior.read_from(&config)))
    }

    async fn update(
        client: &Client,
        prior: Self,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let guest = prior.guest(client, cx).await?;
        let guest = guest.ok_or_else(|| Error::not_found("change the VM", "it is gone"))?;
        let timeout = Timeouts::of(planned.timeouts.as_ref(), |t| t.update.as_ref(), 30);
        let now = guest.present().await?;
        let (was, wanted) = (prior.settings(), planned.settings());
        refuse_conflict(
            &guest,
            &was,
            &wanted,
            &prior.clone().read_from(&now).settings(),
        )?;
        let mut change = Change::between(&was, &wanted);
        change.delete.retain(|key| now.contains_key(key));
        guest
            .change(change, now.get("digest").map(String::as_str))
            .await?;
        if planned.template == Some(true) && prior.template != Some(true) {
            if guest.is_running().await? {
                guest.switch_off(timeout).await?;
            }
            guest.make_template(timeout).await?;
        }
        Ok(planned.read_from(&guest.present().await?))
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        client.guests_changed().await;
        let Some(guest) = prior.guest(client, cx).await? else {
            return Ok(());
        };
        let timeout = Timeouts::of(prior.timeouts.as_ref(), |t| t.delete.as_ref(), 30);
        let flags = (
            prior.purge_on_destroy,
            prior.delete_unreferenced_disks_on_destroy,
        );
        guest
            .stop_and_destroy(prior.stop_on_destroy, flags.0, flags.1, timeout)
            .await
    }

    async fn resume(client: &Client, cut: Cut<Self>, cx: &Context) -> Result<Resumed<Self>, Error> {
        let Some(known) = &cut.known else {
            return Ok(Resumed::Absent);
        };
        client.guests_changed().await;
        if let Some(guest) = known.guest(client, cx).await? {
            guest
                .made(Timeouts::of(
                    known.timeouts.as_ref(),
                    |t| t.create.as_ref(),
                    30,
                ))
                .await?;
        }
        let found = Self::read(client, known.clone(), cx).await?;
        Ok(resumed(&cut, found, |machine| machine.name.clone()))
    }

    /// `NODE/ID`, or the identifier alone.
    async fn import(client: &Client, id: &str, cx: &Context) -> Result<Self, Error> {
        let (id, node_name) = crate::guest::import(client, cx, Kind::Machine, id).await?;
        Ok(Machine {
            id: Some(id),
            node_name,
            delete_unreferenced_disks_on_destroy: true,
            purge_on_destroy: true,
            ..Machine::default()
        })
    }

    fn key(&self) -> Option<String> {
        self.id.map(crate::guest::key)
    }
}
