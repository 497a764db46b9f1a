//! The adaptor: plan rules, operations, partial objects, private fields, environment, older states.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};
use stead_sdk::testing::{Harness, identity_table};
use stead_sdk::value::addr::ProviderSource;
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Type, Value};
use stead_sdk::{
    Block, Context, DataSource, Dialer, Environment, Error, Failure, ForeignObject, Identify,
    Identity, Native, NativeFactory, PlanDraft, ProviderConfig, ProviderFactory as _, Resource,
    async_trait,
};

/// The server: objects by id.
#[derive(Clone, Default)]
struct Client {
    objects: Arc<Mutex<BTreeMap<String, Thing>>>,
    endpoint: String,
    retries: Option<i64>,
}

#[derive(Debug, ProviderConfig)]
struct Config {
    #[attr(optional, env = ["ACME_URL", "ACME_ENDPOINT"])]
    endpoint: Option<String>,
    #[attr(optional, env = "ACME_RETRIES")]
    retries: Option<i64>,
    #[attr(optional, unsupported)]
    proxy: Option<String>,
}

#[derive(Clone, Debug, Resource)]
#[resource(name = "acme_thing", version = 2)]
struct Thing {
    #[attr(computed)]
    id: String,
    #[attr(computed(unknown_on_change))]
    etag: Option<String>,
    #[attr(required, replace)]
    name: String,
    #[attr(optional, computed, default = 8)]
    size: i64,
    #[attr(optional, computed)]
    zone: Option<String>,
    #[attr(optional)]
    tags: Vec<String>,
    #[attr(optional, write_only)]
    secret_wo: Option<String>,
    #[attr(optional, unsupported)]
    magic: Option<bool>,
    #[attr(block(list))]
    part: Vec<Part>,
    #[attr(block(set))]
    mount: Vec<Part>,
    #[attr(block(list), unsupported)]
    ghost: Vec<Part>,
    #[attr(private)]
    generation: Option<u64>,
}

#[derive(Clone, Debug, Block)]
struct Part {
    #[attr(required, replace)]
    path: String,
    #[attr(optional, computed, default = "rw")]
    mode: String,
    #[attr(computed)]
    serial: Option<String>,
}

#[async_trait]
impl Resource for Thing {
    type Client = Client;

    fn validate(config: &Value) -> Diagnostics {
        match config.get("name").as_ref().and_then(Value::as_str) {
            Some("bad") => Error::new("accept the name", "it is bad")
                .attribute("name")
                .into(),
            _ => Diagnostics::new(),
        }
    }

    async fn plan(
        client: Option<&Client>,
        plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        let size = Path::root().attr("size");
        if plan.changes("size") && !plan.is_create() {
            plan.note("size: at the next restart");
            let (old, new) = (plan.prior().get("size"), plan.attribute("size"));
            if old.and_then(|v| v.as_i64()) > new.and_then(|v| v.as_i64()) {
                plan.replace(size);
            }
        }
        if client.is_none() {
            plan.warn("Not connected", "Planned from the schema alone.");
        }
        Ok(())
    }

    async fn create(
        client: &Client,
        planned: Self,
        config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        cx.progress("creating");
        let mut thing = planned;
        thing.id = format!("{}/{}", client.endpoint, thing.name);
        thing.etag = Some("v1".into());
        thing
            .zone
            .get_or_insert_with(|| format!("z{}", client.retries.unwrap_or(1)));
        thing.generation = Some(1);
        for (i, part) in thing.part.iter_mut().chain(&mut thing.mount).enumerate() {
            part.serial = Some(format!("s{i}"));
        }
        client
            .objects
            .lock()
            .unwrap()
            .insert(thing.id.clone(), thing.clone());
        let secret: Option<String> = stead_sdk::codec::attribute(config, "secret_wo")?;
        if secret.as_deref() == Some("short") {
            return Err(Failure::partial(
                Error::new("set the secret (PUT /secret)", "400: too short"),
                thing,
            ));
        }
        Ok(Thing {
            secret_wo: secret,
            ..thing
        })
    }

    async fn read(client: &Client, prior: Self, _cx: &Context) -> Result<Option<Self>, Error> {
        let found = client.objects.lock().unwrap().get(&prior.id).cloned();
        Ok(found.map(|f| Thing {
            generation: prior.generation.map(|g| g + 1),
            ..f
        }))
    }

    async fn update(
        client: &Client,
        prior: Self,
        planned: Self,
        _config: &Value,
        _cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        if planned.size == 13 {
            return Err(Error::new("resize (POST /size)", "500: no luck").into());
        }
        let thing = Thing {
            etag: Some("v2".into()),
            generation: prior.generation.map(|g| g + 10),
            ..planned
        };
        client
            .objects
            .lock()
            .unwrap()
            .insert(thing.id.clone(), thing.clone());
        Ok(thing)
    }

    async fn delete(client: &Client, prior: Self, _cx: &Context) -> Result<(), Error> {
        if prior.name == "sticky" {
            return Err(
                Error::http(409, "delete it (DELETE /x)", "in use").remedy("Detach it first.")
            );
        }
        client.objects.lock().unwrap().remove(&prior.id);
        Ok(())
    }

    fn upgrade(version: u64, mut attributes: Json) -> Result<Json, Error> {
        if version < 2
            && let Some(old) = attributes.as_object_mut().and_then(|o| o.remove("title"))
        {
            attributes["name"] = old;
        }
        Ok(attributes)
    }
}

#[derive(Clone, Debug, Resource)]
#[resource(name = "acme_legacy", legacy)]
struct Legacy {
    #[attr(computed)]
    id: String,
    #[attr(optional)]
    comment: String,
    #[attr(optional)]
    count: i64,
    #[attr(optional)]
    tags: Vec<String>,
}

#[async_trait]
impl Resource for Legacy {
    type Client = Client;

    async fn create(
        _: &Client,
        planned: Self,
        _: &Value,
        _: &Context,
    ) -> Result<Self, Failure<Self>> {
        Ok(Legacy {
            id: "1".into(),
            ..planned
        })
    }

    async fn read(_: &Client, prior: Self, _: &Context) -> Result<Option<Self>, Error> {
        Ok(Some(prior))
    }

    async fn delete(_: &Client, _: Self, _: &Context) -> Result<(), Error> {
        Ok(())
    }
}

#[derive(Debug, DataSource)]
#[data_source(name = "acme_lookup")]
struct Lookup {
    #[attr(required)]
    name: String,
    #[attr(computed)]
    upper: Option<String>,
    #[attr(computed)]
    found: Vec<String>,
    #[attr(optional)]
    wanted: Vec<String>,
}

#[async_trait]
impl DataSource for Lookup {
    type Client = Client;

    async fn read(_: &Client, config: Self, cx: &Context) -> Result<Self, Error> {
        if config.name == "odd" {
            cx.warn("Odd name", "It was looked up all the same.");
        }
        Ok(Lookup {
            upper: Some(config.name.to_uppercase()),
            ..config
        })
    }
}

async fn connect(config: Config, _dialer: Dialer, _cx: Context) -> Result<Client, Diagnostics> {
    let endpoint = config
        .endpoint
        .ok_or_else(|| Error::missing_setting("endpoint", &["ACME_URL"]))?;
    Ok(Client {
        endpoint,
        retries: config.retries,
        ..Client::default()
    })
}

fn factory_with(environment: Environment) -> NativeFactory<Client> {
    Native::<Client>::provider::<Config>("acme")
        .configure(connect)
        .resource::<Thing>()
        .resource_as::<Thing>("acme_alias")
        .resource::<Legacy>()
        .data_source::<Lookup>()
        .build(&Dialer::new(environment).unwrap())
}

async fn acme() -> Harness {
    let factory = factory_with(Environment::default());
    Harness::configured(&factory, json!({"endpoint": "e"}))
        .await
        .unwrap()
}

const THING: &str = "acme_thing";

#[tokio::test]
async fn an_object_moves_between_the_names_of_its_type_and_to_no_other() {
    let acme = acme().await;
    let thing = acme
        .apply(THING, None, json!({"name": "a", "part": [{"path": "/"}]}))
        .await
        .unwrap();
    let attributes = stead_sdk::value::json::to_json(&thing.value, &thing.value.ty()).unwrap();
    let source = |name: &str| ProviderSource {
        host: "registry.terraform.io".into(),
        namespace: "acme".into(),
        name: name.into(),
    };
    let (own, other) = (source("acme"), source("other"));
    let move_to = |type_name, provider| {
        let object = ForeignObject {
            provider,
            type_name: THING,
            schema_version: 2,
            attributes: &attributes,
            private: &thing.private,
        };
        acme.provider().take_over(type_name, &object)
    };
    let moved = move_to("acme_alias", &own).unwrap().unwrap();
    assert_eq!(moved.value, thing.value);
    assert_eq!(moved.private, thing.private);
    assert!(move_to("acme_legacy", &own).is_err());
    assert!(move_to("acme_alias", &other).is_err());
}

#[tokio::test]
async fn a_create_plans_defaults_and_unknowns() {
    let acme = acme().await;
    let config = acme
        .config(
            THING,
            json!({"name": "a", "part": [{"path": "/"}], "mount": [{"path": "/m"}]}),
        )
        .unwrap();
    let plan = acme.plan(THING, None, &config).await.unwrap();
    let get = |name: &str| plan.planned.get(name).unwrap();
    assert_eq!(get("id"), Value::unknown(Type::String));
    assert_eq!(get("size"), Value::number(8));
    assert_eq!(get("zone"), Value::unknown(Type::String));
    assert_eq!(get("magic"), Value::null(Type::Bool));
    for block in ["part", "mount"] {
        let element = get(block).as_sequence().unwrap()[0].clone();
        assert_eq!(element.get("mode"), Some(Value::string("rw")), "{block}");
        assert_eq!(
            element.get("serial"),
            Some(Value::unknown(Type::String)),
            "{block}"
        );
    }
    assert!(plan.requires_replace.is_empty());
}

#[tokio::test]
async fn an_unchanged_object_plans_as_itself() {
    let acme = acme().await;
    let config =
        json!({"name": "a", "part": [{"path": "/"}], "mount": [{"path": "/m"}, {"path": "/n"}]});
    let thing = acme.apply(THING, None, config.clone()).await.unwrap();
    let plan = acme
        .plan(
            THING,
            Some(&thing),
            &acme.config(THING, config.clone()).unwrap(),
        )
        .await
        .unwrap();
    assert_eq!(plan.planned, thing.value);
    let read = acme.read(THING, &thing).await.unwrap().unwrap();
    assert_eq!(read.value, thing.value);
}

#[tokio::test]
async fn a_change_keeps_what_is_computed_but_not_what_moves() {
    let acme = acme().await;
    let thing = acme.apply(THING, None, json!({"name": "a"})).await.unwrap();
    let config = acme.config(THING, json!({"name": "a", "size": 9})).unwrap();
    let plan = acme.plan(THING, Some(&thing), &config).await.unwrap();
    assert_eq!(plan.planned.get("zone"), Some(Value::string("z1")));
    assert_eq!(plan.planned.get("etag"), Some(Value::unknown(Type::String)));
    assert_eq!(plan.notes, ["size: at the next restart"]);
    assert!(plan.requires_replace.is_empty());
    let thing = acme
        .apply(THING, Some(&thing), json!({"name": "a", "size": 9}))
        .await
        .unwrap();
    assert_eq!(thing.text("etag"), "v2");
    // Out of the configuration again: the default, not the prior value. The hook wants a new object for less.
    let plan = acme
        .plan(
            THING,
            Some(&thing),
            &acme.config(THING, json!({"name": "a"})).unwrap(),
        )
        .await
        .unwrap();
    assert_eq!(plan.planned.get("size"), Some(Value::number(8)));
    assert_eq!(plan.requires_replace, [Path::root().attr("size")]);
}

async fn replaced_by(prior: Json, config: Json) -> Vec<String> {
    let acme = acme().await;
    let thing = acme.apply(THING, None, prior).await.unwrap();
    let plan = acme
        .plan(THING, Some(&thing), &acme.config(THING, config).unwrap())
        .await
        .unwrap();
    plan.requires_replace
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[tokio::test]
async fn replacement_follows_the_flags_into_blocks() {
    let one = || json!({"name": "a", "part": [{"path": "/"}], "mount": [{"path": "/m"}]});
    assert_eq!(
        replaced_by(
            one(),
            json!({"name": "b", "part": [{"path": "/"}], "mount": [{"path": "/m"}]})
        )
        .await,
        ["name"]
    );
    let other = json!({"name": "a", "part": [{"path": "/x"}], "mount": [{"path": "/m"}]});
    assert_eq!(replaced_by(one(), other).await, ["part[0].path"]);
    let added =
        json!({"name": "a", "part": [{"path": "/"}, {"path": "/2"}], "mount": [{"path": "/m"}]});
    assert_eq!(replaced_by(one(), added).await, ["part[1].path"]);
    let remounted = json!({"name": "a", "part": [{"path": "/"}], "mount": [{"path": "/n"}]});
    assert_eq!(replaced_by(one(), remounted).await, ["mount"]);
    let mode = json!({"name": "a", "part": [{"path": "/", "mode": "ro"}], "mount": [{"path": "/m", "mode": "ro"}]});
    assert_eq!(replaced_by(one(), mode).await, Vec::<String>::new());
}

#[tokio::test]
async fn write_only_values_reach_the_server_and_nothing_else() {
    let acme = acme().await;
    let config = acme
        .config(THING, json!({"name": "a", "secret_wo": "long enough"}))
        .unwrap();
    let plan = acme.plan(THING, None, &config).await.unwrap();
    assert!(plan.planned.get("secret_wo").unwrap().is_null());
    // `create` hands it back by mistake: it is dropped all the same.
    let thing = acme.apply_planned(THING, None, plan, config).await.unwrap();
    assert!(thing.attribute("secret_wo").is_null());
}

#[tokio::test]
async fn a_half_made_object_is_kept() {
    let acme = acme().await;
    let failure = acme
        .apply(THING, None, json!({"name": "a", "secret_wo": "short"}))
        .await
        .unwrap_err();
    assert_eq!(failure.kept.unwrap().text("id"), "e/a");
    let diagnostic = failure.diagnostics.iter().next().unwrap();
    assert_eq!(diagnostic.summary, "Could not set the secret (PUT /secret)");
    assert_eq!(diagnostic.detail, "400: too short.");
}

#[tokio::test]
async fn a_failed_update_or_delete_keeps_the_prior_object() {
    let acme = acme().await;
    let thing = acme
        .apply(THING, None, json!({"name": "sticky"}))
        .await
        .unwrap();
    let failure = acme
        .apply(THING, Some(&thing), json!({"name": "sticky", "size": 13}))
        .await
        .unwrap_err();
    assert_eq!(failure.kept.unwrap().value, thing.value);
    let diagnostics = acme.delete(THING, &thing).await.unwrap_err();
    let diagnostic = diagnostics.iter().next().unwrap();
    assert_eq!(diagnostic.detail, "in use.\n\nDetach it first.");
    assert!(acme.read(THING, &thing).await.unwrap().is_some());
}

#[tokio::test]
async fn a_deleted_object_reads_as_gone() {
    let acme = acme().await;
    let thing = acme.apply(THING, None, json!({"name": "a"})).await.unwrap();
    acme.delete(THING, &thing).await.unwrap();
    assert!(acme.read(THING, &thing).await.unwrap().is_none());
}

#[tokio::test]
async fn private_fields_travel_in_the_private_bytes() {
    let acme = acme().await;
    let mut thing = acme.apply(THING, None, json!({"name": "a"})).await.unwrap();
    let generation = |bytes: &[u8]| {
        serde_json::from_slice::<Json>(bytes).unwrap()["stead"]["generation"].clone()
    };
    assert_eq!(generation(&thing.private), json!(1));
    // What another provider left there survives.
    thing.private =
        serde_json::to_vec(&json!({"stead": {"generation": 5}, "schema_version": "1"})).unwrap();
    let read = acme.read(THING, &thing).await.unwrap().unwrap();
    assert_eq!(generation(&read.private), json!(6));
    assert_eq!(
        serde_json::from_slice::<Json>(&read.private).unwrap()["schema_version"],
        json!("1")
    );
    let updated = acme
        .apply(THING, Some(&read), json!({"name": "a", "size": 9}))
        .await
        .unwrap();
    assert_eq!(generation(&updated.private), json!(16));
}

#[tokio::test]
async fn empty_and_null_collections_are_no_difference() {
    let acme = acme().await;
    for tags in [json!(null), json!([])] {
        let thing = acme
            .apply(THING, None, json!({"name": "a", "tags": tags}))
            .await
            .unwrap();
        assert_eq!(thing.attribute("tags").is_null(), tags.is_null());
        assert_eq!(
            acme.read(THING, &thing).await.unwrap().unwrap().value,
            thing.value
        );
    }
}

#[tokio::test]
async fn states_of_older_providers_plan_as_no_change() {
    let acme = acme().await;
    let written = json!({"id": "1", "comment": "", "count": 0, "tags": [], "was_here_once": true});
    let stored = acme.stored("acme_legacy", 0, &written).unwrap();
    for config in [json!({}), json!({"comment": "", "count": 0, "tags": []})] {
        let config = acme.config("acme_legacy", config).unwrap();
        assert_eq!(
            acme.plan("acme_legacy", Some(&stored), &config)
                .await
                .unwrap()
                .planned,
            stored.value
        );
    }
    let nulls = acme.stored("acme_legacy", 0, &json!({"id": "1"})).unwrap();
    let config = acme
        .config("acme_legacy", json!({"comment": "", "count": 0}))
        .unwrap();
    assert_eq!(
        acme.plan("acme_legacy", Some(&nulls), &config)
            .await
            .unwrap()
            .planned,
        nulls.value
    );
    assert_eq!(
        acme.read("acme_legacy", &nulls)
            .await
            .unwrap()
            .unwrap()
            .value,
        nulls.value
    );
    // Without `legacy` the same is a change.
    let thing = acme
        .stored(THING, 2, &json!({"id": "1", "name": "a", "size": 8}))
        .unwrap();
    let config = acme
        .config(THING, json!({"name": "a", "zone": ""}))
        .unwrap();
    assert_ne!(
        acme.plan(THING, Some(&thing), &config)
            .await
            .unwrap()
            .planned,
        thing.value
    );
}

#[tokio::test]
async fn older_states_are_upgraded_and_newer_ones_refused() {
    let acme = acme().await;
    let old = acme
        .stored(THING, 1, &json!({"title": "a", "size": "9", "part": null}))
        .unwrap();
    assert_eq!(
        (old.text("name"), old.attribute("size").as_i64()),
        ("a".into(), Some(9))
    );
    assert_eq!(old.attribute("part").as_sequence().map(<[_]>::len), Some(0));
    let newer = acme.stored(THING, 3, &json!({})).unwrap_err();
    assert!(
        newer
            .iter()
            .next()
            .unwrap()
            .detail
            .contains("up to version 2"),
        "{newer:?}"
    );
}

#[tokio::test]
async fn what_is_not_supported_yet_is_refused_by_name() {
    let acme = acme().await;
    let refused = |config: Json| {
        let config = acme.config(THING, config).unwrap();
        let found = acme.provider().validate_resource(THING, &config);
        found
            .iter()
            .map(|d| d.attribute.clone().unwrap().to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(refused(json!({"name": "a"})), Vec::<String>::new());
    assert_eq!(refused(json!({"name": "a", "magic": false})), ["magic"]);
    assert_eq!(
        refused(json!({"name": "a", "ghost": [{"path": "/"}]})),
        ["ghost"]
    );
    assert_eq!(
        refused(json!({"name": "bad", "magic": true})),
        ["magic", "name"]
    );
    let factory = factory_with(Environment::default());
    let error = Harness::configured(&factory, json!({"endpoint": "e", "proxy": "p"}))
        .await
        .err()
        .unwrap();
    assert!(
        error
            .iter()
            .next()
            .unwrap()
            .detail
            .contains("`proxy` of the provider acme"),
        "{error:?}"
    );
}

#[tokio::test]
async fn environment_variables_stand_in_for_settings() {
    let environment =
        || Environment::from_iter([("ACME_ENDPOINT", "from-env"), ("ACME_RETRIES", "3")]);
    let acme = Harness::configured(&factory_with(environment()), json!({}))
        .await
        .unwrap();
    let thing = acme.apply(THING, None, json!({"name": "a"})).await.unwrap();
    assert_eq!(
        (thing.text("id"), thing.text("zone")),
        ("from-env/a".into(), "z3".into())
    );
    let acme = Harness::configured(&factory_with(environment()), json!({"endpoint": "own"}))
        .await
        .unwrap();
    assert_eq!(
        acme.apply(THING, None, json!({"name": "a"}))
            .await
            .unwrap()
            .text("id"),
        "own/a"
    );
    let error = Harness::configured(&factory_with(Environment::default()), json!({}))
        .await
        .err()
        .unwrap();
    assert!(
        error.iter().next().unwrap().detail.contains("ACME_URL"),
        "{error:?}"
    );
    let bad = factory_with(Environment::from_iter([
        ("ACME_ENDPOINT", "e"),
        ("ACME_RETRIES", "lots"),
    ]));
    let error = Harness::configured(&bad, json!({})).await.err().unwrap();
    assert!(
        error
            .iter()
            .next()
            .unwrap()
            .detail
            .contains("ACME_RETRIES does not hold a number"),
        "{error:?}"
    );
}

#[tokio::test]
async fn planning_works_before_the_provider_is_configured() {
    let factory = factory_with(Environment::default());
    let late = Harness::unconfigured(&factory);
    let config = late.config("acme_alias", json!({"name": "a"})).unwrap();
    let plan = late.plan("acme_alias", None, &config).await.unwrap();
    assert_eq!(
        plan.warnings.iter().next().unwrap().summary,
        "Not connected"
    );
    let failure = late
        .apply_planned("acme_alias", None, plan, config)
        .await
        .unwrap_err();
    assert_eq!(
        failure.diagnostics.iter().next().unwrap().summary,
        "Provider not configured"
    );
    assert!(failure.kept.is_none());
}

#[tokio::test]
async fn import_is_refused_by_name_unless_done() {
    let error = acme().await.import(THING, "x").await.unwrap_err();
    assert_eq!(
        error.iter().next().unwrap().summary,
        "Could not import acme_thing"
    );
    let error = acme().await.import("acme_nothing", "x").await.unwrap_err();
    assert!(
        error
            .iter()
            .next()
            .unwrap()
            .detail
            .contains("no resource named acme_nothing"),
        "{error:?}"
    );
}

/// Where the thing stands, and as what.
#[derive(Clone, Debug, Block)]
struct ThingIdentity {
    #[attr(required)]
    name: String,
    #[attr(optional)]
    endpoint: Option<String>,
}

#[derive(Clone, Debug, Resource)]
#[resource(name = "acme_named", identity = ThingIdentity)]
struct Named {
    #[attr(computed)]
    id: String,
    #[attr(required)]
    name: String,
}

impl Identity<Named> for ThingIdentity {
    const VERSION: u64 = 3;

    fn of(named: &Named) -> Option<Self> {
        let (endpoint, name) = named.id.rsplit_once('/')?;
        Some(ThingIdentity {
            name: name.to_owned(),
            endpoint: Some(endpoint.to_owned()),
        })
    }

    fn import_id(&self) -> Result<String, Error> {
        match self.name.as_str() {
            "" => Err(Error::new("find the thing", "its name is empty").attribute("name")),
            name => Ok(format!(
                "{}/{name}",
                self.endpoint.as_deref().unwrap_or("acme")
            )),
        }
    }

    fn upgrade(version: u64, identity: Json) -> Result<Json, Error> {
        match version {
            2 => Ok(json!({ "name": identity["called"] })),
            _ => Err(Error::new(
                "read the identity",
                format!("version {version} is forgotten"),
            )),
        }
    }
}

#[async_trait]
impl Resource for Named {
    type Client = Client;

    async fn create(
        client: &Client,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let named = Named {
            id: format!("{}/{}", client.endpoint, planned.name),
            ..planned
        };
        cx.identified(&named).await?;
        Ok(named)
    }

    async fn read(_: &Client, prior: Self, _cx: &Context) -> Result<Option<Self>, Error> {
        Ok(Some(prior))
    }

    async fn delete(_: &Client, _prior: Self, _cx: &Context) -> Result<(), Error> {
        Ok(())
    }

    async fn import(_: &Client, id: &str, _cx: &Context) -> Result<Self, Error> {
        Ok(Named {
            id: id.to_owned(),
            name: id.rsplit('/').next().unwrap_or_default().to_owned(),
        })
    }
}

/// What a create says of its object.
#[derive(Default)]
struct Told(Mutex<Vec<Option<Value>>>);

#[async_trait]
impl Identify for Told {
    async fn identified(
        &self,
        _object: Value,
        _private: Vec<u8>,
        identity: Option<Value>,
    ) -> Result<(), Diagnostic> {
        self.0.lock().unwrap().push(identity);
        Ok(())
    }
}

fn thing_identity(endpoint: &str, name: &str) -> Value {
    Value::object_from([
        ("endpoint", Value::string(endpoint)),
        ("name", Value::string(name)),
    ])
}

#[tokio::test]
async fn an_identity_goes_with_its_object() {
    let named = Native::<Client>::provider::<Config>("acme")
        .configure(|_, _, _| async {
            Ok(Client {
                endpoint: "acme".into(),
                ..Client::default()
            })
        })
        .resource::<Named>()
        .resource::<Thing>()
        .build(&Dialer::direct());
    assert_eq!(
        identity_table(named.schema()),
        "identity acme_named version=3\n  endpoint: string optional\n  name: string required\n"
    );
    let mut acme = Harness::configured(&named, json!({})).await.unwrap();
    let told = Arc::new(Told::default());
    acme.cx = acme.cx.clone().with_identify(told.clone());
    let a = Some(thing_identity("acme", "a"));
    let made = acme
        .apply("acme_named", None, json!({ "name": "a" }))
        .await
        .unwrap();
    assert_eq!(made.identity, a);
    assert_eq!(*told.0.lock().unwrap(), std::slice::from_ref(&a));
    let read = acme.read("acme_named", &made).await.unwrap().unwrap();
    assert_eq!(read.identity, a);

    // By an identity in which the optional half is left out, and by one that cannot be.
    let by = async |identity: Json| acme.import_by_identity("acme_named", identity).await;
    assert_eq!(by(json!({ "name": "a" })).await.unwrap().identity, a);
    let other = by(json!({ "name": "a", "endpoint": "b" })).await.unwrap();
    assert_eq!(other.text("id"), "b/a");
    let error = by(json!({ "name": "" })).await.unwrap_err();
    assert!(
        error
            .iter()
            .next()
            .unwrap()
            .detail
            .contains("its name is empty"),
        "{error:?}"
    );
    let error = acme.import_by_identity(THING, json!({})).await.unwrap_err();
    assert!(
        error
            .iter()
            .next()
            .unwrap()
            .detail
            .contains("objects of this type have no identity"),
        "{error:?}"
    );

    let upgrade = |version, identity: Json| {
        acme.provider()
            .upgrade_identity("acme_named", version, &identity)
    };
    let null = Value::null(Type::String);
    let old = Value::object_from([("endpoint", null), ("name", Value::string("a"))]);
    assert_eq!(upgrade(2, json!({ "called": "a" })).unwrap(), old);
    assert_eq!(upgrade(3, json!({ "name": "a", "gone": 1 })).unwrap(), old);
    assert!(upgrade(1, json!({ "name": "a" })).is_err());
    assert!(upgrade(3, json!({ "name": [] })).is_err());
    assert!(
        acme.provider()
            .upgrade_identity(THING, 0, &json!({}))
            .is_err()
    );
}

#[tokio::test]
async fn data_sources_fill_in_the_rest() {
    let value = acme()
        .await
        .data("acme_lookup", json!({"name": "x"}))
        .await
        .unwrap();
    assert_eq!(value.get("upper"), Some(Value::string("X")));
}

#[tokio::test]
async fn warnings_belong_to_the_operation_that_gave_them() {
    let acme = acme().await;
    let looked_up = async |name: &str| {
        let config = Value::object_from([
            ("name", Value::string(name)),
            ("upper", Value::null(Type::String)),
            ("found", Value::null(Type::list(Type::String))),
            ("wanted", Value::null(Type::list(Type::String))),
        ]);
        acme.provider()
            .read_data("acme_lookup", config, &acme.cx)
            .await
            .unwrap()
            .1
    };
    let warnings = looked_up("odd").await;
    assert_eq!(
        warnings
            .iter()
            .map(|d| d.summary.as_str())
            .collect::<Vec<_>>(),
        ["Odd name"]
    );
    assert!(!warnings.has_errors());
    assert!(looked_up("even").await.is_empty());
}

#[tokio::test]
async fn an_empty_list_that_was_found_is_not_null() {
    let read = acme()
        .await
        .data("acme_lookup", json!({ "name": "even" }))
        .await
        .unwrap();
    assert_eq!(
        read.get("found"),
        Some(Value::list(Type::String, Vec::new()))
    );
    assert!(read.get("wanted").unwrap().is_null());
}
