//! Two small providers over one imagined world, and a stand that plans and applies with them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use stead_engine::apply::{Applied, Changed, StateSink, apply};
use stead_engine::eval::{Evaluator, Phase, Settings};
use stead_engine::plan::{Options, Planned, plan};
use stead_engine::{Event, Observer, PlanMode, Registry};
use stead_lang::config::{ConfigTree, NothingInstalled};
use stead_sdk::{
    Context, DataSource, Dialer, Ephemeral, Error, Failure, Lease, Native, Private, ProviderConfig,
    Remains, Resource, async_trait,
};
use stead_state::State;
use stead_state::journal::JournalHandle;
use stead_value::addr::{ProviderSource, ResourceInstance};
use stead_value::{Diagnostic, Diagnostics, Value};
use tokio::sync::{Barrier, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::identities::Boards;

/// What a failing create leaves behind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    Nothing,
    /// An object that is not as it should be.
    Half,
    /// An object that is fit; only a wait failed.
    Whole,
}

/// What was done in the world, and how it misbehaves.
#[derive(Clone)]
pub(crate) struct Remote {
    log: Arc<Mutex<Vec<String>>>,
    fails: Option<(&'static str, Left)>,
    interrupts: Option<&'static str>,
    cancel: Arc<Mutex<CancellationToken>>,
    together: Option<Arc<Barrier>>,
    pub(crate) renewed: Arc<Semaphore>,
}

impl Default for Remote {
    fn default() -> Self {
        Remote {
            log: Arc::default(),
            fails: None,
            interrupts: None,
            cancel: Arc::default(),
            together: None,
            renewed: Arc::new(Semaphore::new(0)),
        }
    }
}

impl Remote {
    pub(crate) fn failing(entry: &'static str) -> Remote {
        Remote::failing_with(entry, Left::Nothing)
    }

    pub(crate) fn failing_with(entry: &'static str, left: Left) -> Remote {
        Remote {
            fails: Some((entry, left)),
            ..Remote::default()
        }
    }

    pub(crate) fn interrupting(entry: &'static str) -> Remote {
        Remote {
            interrupts: Some(entry),
            ..Remote::default()
        }
    }

    pub(crate) fn together(count: usize) -> Remote {
        Remote {
            together: Some(Arc::new(Barrier::new(count))),
            ..Remote::default()
        }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().expect("the log").clone()
    }

    async fn act(&self, entry: String) -> Result<(), Error> {
        if let (Some(barrier), true) = (&self.together, entry.starts_with("create")) {
            barrier.wait().await;
        }
        if self.interrupts == Some(entry.as_str()) {
            self.cancel.lock().expect("the token").cancel();
        }
        let fails = self.fails.is_some_and(|(e, _)| e == entry);
        self.log.lock().expect("the log").push(entry.clone());
        if fails {
            Err(Error::new(entry, "told to fail"))
        } else {
            Ok(())
        }
    }

    /// Creates `object`, or fails with what is left of it.
    async fn create<T>(&self, entry: String, object: T) -> Result<T, Failure<T>> {
        let Err(error) = self.act(entry).await else {
            return Ok(object);
        };
        Err(match self.fails {
            Some((_, Left::Half)) => Failure::partial(error, object),
            Some((_, Left::Whole)) => Failure::usable(error, object),
            _ => error.into(),
        })
    }
}

#[derive(Clone, Debug, Resource)]
#[resource(name = "cloud_cluster")]
struct Cluster {
    #[attr(computed)]
    id: String,
    #[attr(required, replace)]
    name: String,
    #[attr(computed)]
    endpoint: String,
}

#[async_trait]
impl Resource for Cluster {
    type Client = Remote;

    async fn create(
        client: &Remote,
        planned: Self,
        _: &Value,
        _: &Context,
    ) -> Result<Self, Failure<Self>> {
        let entry = format!("create cloud_cluster {}", planned.name);
        let (id, endpoint) = (
            format!("cloud/{}", planned.name),
            format!("https://{}", planned.name),
        );
        let made = Cluster {
            id,
            endpoint,
            ..planned
        };
        client.create(entry, made).await
    }

    async fn read(_: &Remote, prior: Self, _: &Context) -> Result<Option<Self>, Error> {
        Ok(Some(prior))
    }

    async fn delete(client: &Remote, prior: Self, _: &Context) -> Result<(), Error> {
        client
            .act(format!("delete cloud_cluster {}", prior.name))
            .await
    }

    async fn remains(_: &Remote, prior: Self, _: &Context) -> Result<Remains<Self>, Error> {
        Ok(match prior.name.as_str() {
            "kept a while" => Remains::Part(prior),
            "gone" => Remains::Nothing,
            _ => Remains::Whole(prior),
        })
    }
}

/// Opened for as long as something uses it.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "cloud_token")]
struct Token {
    #[attr(required)]
    name: String,
    #[attr(computed)]
    secret: Option<String>,
}

#[async_trait]
impl Ephemeral for Token {
    type Client = Remote;

    async fn open(client: &Remote, config: Self, _: &Context) -> Result<Lease<Self>, Error> {
        client.act(format!("open {}", config.name)).await?;
        let mut private = Private::default();
        private.put("name", &config.name)?;
        let secret = Some(format!("secret of {}", config.name));
        Ok(Lease {
            object: Token { secret, ..config },
            private,
            // At once, and only once.
            renew_at: Some(std::time::SystemTime::now()),
        })
    }

    async fn renew(client: &Remote, mut private: Private, _: &Context) -> Result<Lease<()>, Error> {
        let name: Option<String> = private.get("name")?;
        private.put("renewed", &true)?;
        client.renewed.add_permits(1);
        Ok(Lease {
            object: (),
            private,
            renew_at: name.is_none().then(std::time::SystemTime::now),
        })
    }

    async fn close(client: &Remote, private: Private, _: &Context) -> Result<(), Error> {
        let name: Option<String> = private.get("name")?;
        client
            .act(format!("close {}", name.unwrap_or_default()))
            .await
    }
}

/// Takes a value that is stored nowhere.
#[derive(Clone, Debug, Resource)]
#[resource(name = "cloud_login")]
struct Login {
    #[attr(computed)]
    id: String,
    #[attr(required)]
    name: String,
    #[attr(optional, write_only)]
    password_wo: Option<String>,
}

#[async_trait]
impl Resource for Login {
    type Client = Remote;

    async fn create(
        client: &Remote,
        planned: Self,
        config: &Value,
        _: &Context,
    ) -> Result<Self, Failure<Self>> {
        let password: Option<String> = stead_sdk::codec::attribute(config, "password_wo")?;
        let password = password.unwrap_or_default();
        client
            .act(format!("login {} with {password}", planned.name))
            .await?;
        Ok(Login {
            id: planned.name.clone(),
            ..planned
        })
    }

    async fn read(_: &Remote, prior: Self, _: &Context) -> Result<Option<Self>, Error> {
        Ok(Some(prior))
    }

    async fn delete(client: &Remote, prior: Self, _: &Context) -> Result<(), Error> {
        client.act(format!("logout {}", prior.name)).await
    }
}

#[derive(Clone, Debug, ProviderConfig)]
struct InsideConfig {
    #[attr(required)]
    endpoint: String,
}

#[derive(Clone, Debug, Resource)]
#[resource(name = "inside_thing")]
struct Thing {
    #[attr(computed)]
    id: String,
    #[attr(required)]
    name: String,
}

#[async_trait]
impl Resource for Thing {
    type Client = Remote;

    async fn create(
        client: &Remote,
        planned: Self,
        _: &Value,
        _: &Context,
    ) -> Result<Self, Failure<Self>> {
        client
            .act(format!("create inside_thing {}", planned.name))
            .await?;
        Ok(Thing {
            id: format!("inside/{}", planned.name),
            ..planned
        })
    }

    async fn read(_: &Remote, prior: Self, _: &Context) -> Result<Option<Self>, Error> {
        Ok(Some(prior))
    }

    async fn update(
        client: &Remote,
        _: Self,
        planned: Self,
        _: &Value,
        _: &Context,
    ) -> Result<Self, Failure<Self>> {
        client
            .act(format!("update inside_thing {}", planned.name))
            .await?;
        Ok(planned)
    }

    async fn delete(client: &Remote, prior: Self, _: &Context) -> Result<(), Error> {
        client
            .act(format!("delete inside_thing {}", prior.name))
            .await
    }
}

/// A state that lives from one run to the next.
pub(crate) struct Stand {
    pub(crate) state: State,
    pub(crate) remote: Remote,
    pub(crate) boards: Boards,
    pub(crate) parallelism: usize,
}

struct Memory(State);

impl StateSink for Memory {
    fn begin(&mut self, state: &mut State, _: bool) -> Result<Option<JournalHandle>, Diagnostic> {
        self.0 = state.clone();
        Ok(None)
    }

    fn changed(&mut self, state: &mut State, _: Changed<'_>) -> Result<(), Diagnostic> {
        self.0 = state.clone();
        Ok(())
    }

    fn finished(&mut self, state: &mut State) -> Result<(), Diagnostic> {
        self.0 = state.clone();
        Ok(())
    }
}

struct OneFile(String);

impl stead_lang::Files for OneFile {
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        if self.exists(path) {
            Ok(self.0.clone().into_bytes())
        } else {
            Err(std::io::ErrorKind::NotFound.into())
        }
    }

    fn list(&self, _: &Path) -> std::io::Result<Vec<String>> {
        Ok(vec!["main.tf".into()])
    }

    fn exists(&self, path: &Path) -> bool {
        path.file_name().is_some_and(|name| name == "main.tf")
    }

    fn walk(&self, directory: &Path) -> std::io::Result<Vec<String>> {
        self.list(directory)
    }
}

impl Stand {
    pub(crate) fn new() -> Stand {
        Stand {
            state: State::new(),
            remote: Remote::default(),
            boards: Boards::default(),
            parallelism: 10,
        }
    }

    fn registry(&self) -> Registry {
        let source = |text: &str| ProviderSource::parse(text).expect("a source");
        let mut registry = Registry::default();
        let remote = self.remote.clone();
        let cloud = Native::<Remote>::provider::<stead_sdk::NoConfig>("cloud")
            .configure(move |_, _, _| {
                let remote = remote.clone();
                async move { Ok::<_, Diagnostics>(remote) }
            })
            .resource::<Cluster>()
            .resource::<Login>()
            .ephemeral::<Token>()
            .build(&Dialer::direct());
        registry.register(source("hashicorp/cloud"), Arc::new(cloud));
        let remote = self.remote.clone();
        let inside = Native::<Remote>::provider::<InsideConfig>("inside")
            .configure(move |config: InsideConfig, _, _| {
                let remote = remote.clone();
                async move {
                    remote
                        .act(format!("configure {}", config.endpoint))
                        .await
                        .map_err(Diagnostics::from)?;
                    Ok::<_, Diagnostics>(remote)
                }
            })
            .resource::<Thing>()
            .build(&Dialer::direct());
        registry.register(source("hashicorp/inside"), Arc::new(inside));
        registry.register(
            source("hashicorp/board"),
            crate::identities::factory(&self.boards),
        );
        registry
    }

    pub(crate) fn settings(phase: Phase) -> Settings {
        Settings {
            phase,
            variables: BTreeMap::new(),
            workspace: "default".into(),
            root_directory: ".".into(),
            working_directory: "/".into(),
            files: Arc::new(OneFile(String::new())),
            home_directory: None,
            plan_timestamp: None,
            registry: Registry::default(),
            world: None,
            stand_ins: None,
        }
    }

    pub(crate) fn load(stack: &str) -> ConfigTree {
        let (tree, diagnostics) =
            ConfigTree::load(&OneFile(stack.into()), Path::new("."), &NothingInstalled);
        assert!(!diagnostics.has_errors(), "{diagnostics:?}");
        tree
    }

    pub(crate) async fn plan(&self, stack: &str, mode: PlanMode) -> Result<Planned, Diagnostics> {
        let tree = Stand::load(stack);
        let evaluator = Evaluator::new(&tree, Stand::settings(Phase::Plan));
        let options = Options {
            mode,
            parallelism: self.parallelism,
            ..Options::default()
        };
        let observer: Arc<dyn Observer> = Arc::new(|_: Event| {});
        plan(
            &evaluator,
            &self.registry(),
            self.state.clone(),
            options,
            observer,
            CancellationToken::new(),
        )
        .await
        .map_err(|unplanned| unplanned.diagnostics)
    }

    pub(crate) async fn apply(&mut self, stack: &str, mode: PlanMode) -> Applied {
        let planned = self.plan(stack, mode).await.expect("a plan");
        self.apply_planned(stack, planned).await
    }

    pub(crate) async fn apply_planned(&mut self, stack: &str, planned: Planned) -> Applied {
        let tree = Stand::load(stack);
        let evaluator = Evaluator::new(&tree, Stand::settings(Phase::Apply));
        let observer: Arc<dyn Observer> = Arc::new(|_: Event| {});
        let cancel = CancellationToken::new();
        *self.remote.cancel.lock().expect("the token") = cancel.clone();
        let mut sink = Memory(self.state.clone());
        let registry = self.registry();
        let Planned { plan, pool } = planned;
        let applied = apply(
            &evaluator,
            &registry,
            plan,
            pool,
            &mut sink,
            self.parallelism,
            observer,
            cancel,
        )
        .await;
        self.state = sink.0;
        applied
    }
}

pub(crate) fn address(text: &str) -> ResourceInstance {
    stead_state::parse_resource_instance(text).expect("an address")
}
