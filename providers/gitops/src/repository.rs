//! `gitops_repository`: a repository that Argo CD may read, with its credentials.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use stead_sdk::kube::{ObjectRef, Propagation, find, text};
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Sensitive, Value};
use stead_sdk::{Context, Error, Failure, Resource, async_trait, codec};

use crate::apply::apply;
use crate::provider::Client;

/// By this label Argo CD finds the Secret.
const LABEL: &str = "argocd.argoproj.io/secret-type";

/// A Secret that tells Argo CD of a repository.
#[derive(Clone, Debug, Resource)]
#[resource(name = "gitops_repository")]
pub(crate) struct Repository {
    /// `NAMESPACE/NAME` of the Secret.
    #[attr(computed)]
    id: String,
    /// Name of the Secret.
    #[attr(required, replace)]
    name: String,
    /// Argo CD's namespace.
    #[attr(optional, computed, default = "argocd".to_owned(), replace)]
    namespace: String,
    /// The repository's address, as Applications write it.
    #[attr(required)]
    url: String,
    /// `git`, `helm` or `oci`.
    #[attr(optional, computed, default = "git".to_owned())]
    r#type: String,
    /// The project that may use it; every one unless set.
    #[attr(optional)]
    project: Option<String>,
    #[attr(optional)]
    username: Option<String>,
    /// Password or token.
    #[attr(optional, sensitive)]
    password: Option<Sensitive<String>>,
    /// As `password`, never stored; sent when `wo_revision` changes.
    #[attr(optional, write_only)]
    password_wo: Option<Sensitive<String>>,
    /// Private key in PEM or OpenSSH form.
    #[attr(optional, sensitive)]
    ssh_private_key: Option<Sensitive<String>>,
    /// As `ssh_private_key`, never stored; sent when `wo_revision` changes.
    #[attr(optional, write_only)]
    ssh_private_key_wo: Option<Sensitive<String>>,
    /// Raise it to send the write-only attributes again.
    #[attr(optional)]
    wo_revision: Option<i64>,
    /// Take fields that another manager owns.
    #[attr(optional, computed, default = false)]
    force_conflicts: bool,
}

impl Repository {
    fn object(&self) -> ObjectRef {
        ObjectRef::new("v1", "Secret", Some(&self.namespace), &self.name)
    }

    fn manifest(&self, config: &Value) -> Result<Json, Error> {
        let password: Option<Sensitive<String>> = codec::attribute(config, "password_wo")?;
        let key: Option<Sensitive<String>> = codec::attribute(config, "ssh_private_key_wo")?;
        let secret = |s: Option<Sensitive<String>>| s.map(Sensitive::into_secret);
        let mut data = BTreeMap::new();
        for (name, value) in [
            ("type", Some(self.r#type.clone())),
            ("url", Some(self.url.clone())),
            ("project", self.project.clone()),
            ("username", self.username.clone()),
            ("password", secret(self.password.clone().or(password))),
            (
                "sshPrivateKey",
                secret(self.ssh_private_key.clone().or(key)),
            ),
        ] {
            if let Some(value) = value {
                data.insert(name, STANDARD.encode(value));
            }
        }
        Ok(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": self.name, "namespace": self.namespace, "labels": { LABEL: "repository" } },
            "type": "Opaque",
            "data": data,
        }))
    }

    async fn write(
        mut self,
        config: &Value,
        client: &Client,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        apply(
            &client.cluster,
            &self.manifest(config)?,
            self.force_conflicts,
            cx,
        )
        .await?;
        self.id = format!("{}/{}", self.namespace, self.name);
        Ok(self)
    }

    /// What the Secret says now. Of secrets, only those that the state holds are read.
    fn with(self, object: &Json) -> Repository {
        let entry = |name: &str| {
            let bytes = STANDARD.decode(text(object, &["data", name])).ok()?;
            String::from_utf8(bytes).ok().filter(|t| !t.is_empty())
        };
        let secret = |name: &str| entry(name).map(Sensitive::new);
        Repository {
            url: entry("url").unwrap_or_default(),
            r#type: entry("type").unwrap_or_else(|| "git".into()),
            project: entry("project"),
            username: entry("username"),
            password: self.password.as_ref().and_then(|_| secret("password")),
            ssh_private_key: self
                .ssh_private_key
                .as_ref()
                .and_then(|_| secret("sshPrivateKey")),
            ..self
        }
    }
}

#[async_trait]
impl Resource for Repository {
    type Client = Client;

    const REPEATABLE: bool = true;

    fn validate(config: &Value) -> Diagnostics {
        let is_set = |name: &str| config.get(name).is_some_and(|v| !v.is_null());
        let mut found = Diagnostics::new();
        let mut refuse = |name: &str, detail: &str| {
            found.push(
                Diagnostic::error("Invalid combination", detail).attribute(Path::root().attr(name)),
            );
        };
        let password = [is_set("password"), is_set("password_wo")];
        let key = [is_set("ssh_private_key"), is_set("ssh_private_key_wo")];
        if password == [true, true] || key == [true, true] {
            refuse(
                "wo_revision",
                "Set an attribute or its write-only form, not both.",
            );
        }
        if password.contains(&true) && key.contains(&true) {
            refuse(
                "ssh_private_key",
                "Set a password or a key, not both: Git uses one of them.",
            );
        }
        if let Some(kind) = config.get("type").as_ref().and_then(Value::as_str)
            && !matches!(kind, "git" | "helm" | "oci")
        {
            refuse("type", "`type` is one of git, helm and oci.");
        }
        found
    }

    async fn create(
        client: &Client,
        planned: Self,
        config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        planned.write(config, client, cx).await
    }

    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let found = client.looking().get(&prior.object(), cx).await?;
        let labelled = |o: &Json| {
            find(o, &["metadata", "labels", LABEL]).and_then(Json::as_str) == Some("repository")
        };
        // Without its label it is nothing to Argo CD.
        Ok(found.filter(labelled).map(|o| prior.with(&o)))
    }

    async fn update(
        client: &Client,
        _prior: Self,
        planned: Self,
        config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        planned.write(config, client, cx).await
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        client
            .cluster
            .delete(&prior.object(), Propagation::Background, cx)
            .await?;
        Ok(())
    }
}
