//! `microk8s_node`: MicroK8s on one host, by channel, launch configuration and addons.

use std::time::Duration;

use stead_sdk::value::{Diagnostic, Diagnostics, Path, Sensitive, Value};
use stead_sdk::wait::{self, Poll, Polling};
use stead_sdk::{Context, Error, Failure, PlanDraft, Resource, async_trait};

use crate::provider::Client;
use crate::shell::Shell;
use crate::status::{Snap, Status, base, minor};

/// The launch configuration that the snap reads at its first start; one put here replaces the snap's own.
const LAUNCH_BEFORE: &str = "/var/snap/microk8s/common/.microk8s.yaml";
/// Where the agent looks for launch configurations afterwards: applied once, then renamed to `.applied`.
const LAUNCH_AFTER: &str = "/var/snap/microk8s/common/etc/launcher/stead.yaml";
/// How long a node may take to become ready.
const READY: Duration = Duration::from_secs(600);

/// A MicroK8s node.
#[derive(Clone, Debug, Default, Resource)]
#[resource(name = "microk8s_node", version = 0)]
pub(crate) struct Node {
    /// The host's address.
    #[attr(computed)]
    id: String,
    /// Name or address of the host, as SSH reaches it.
    #[attr(required, replace)]
    host: String,
    /// Instead of the provider's.
    #[attr(optional)]
    port: Option<u64>,
    /// Instead of the provider's.
    #[attr(optional)]
    user: Option<String>,
    /// The snap's channel, such as `1.34/stable`. One minor version at a time, upwards.
    #[attr(required)]
    channel: String,
    /// A launch configuration in YAML. At the installation it replaces the snap's own (list `dns` yourself).
    #[attr(optional)]
    launch_configuration: Option<String>,
    /// Addons to be enabled, with their arguments: `dns`, `metallb:10.0.0.10-10.0.0.20`.
    #[attr(optional)]
    addons: Option<Vec<String>>,
    /// Joins the cluster of another node: what `microk8s add-node` printed, `IP:25000/TOKEN/CHECK`.
    #[attr(optional, sensitive, replace)]
    join: Option<Sensitive<String>>,
    /// Joins as a worker, without a control plane.
    #[attr(optional, replace)]
    worker: Option<bool>,
    /// Holds the snap's automatic refreshes, which restart the cluster when they like. Default: true.
    #[attr(optional)]
    refresh_hold: Option<bool>,
    /// The node's name in the cluster.
    #[attr(computed)]
    name: Option<String>,
    /// Such as `v1.34.1`.
    #[attr(computed(unknown_on_change))]
    version: Option<String>,
    #[attr(computed(unknown_on_change))]
    revision: Option<String>,
    /// `running` or `stopped`.
    #[attr(computed)]
    status: Option<String>,
}

impl Node {
    async fn shell(&self, client: &Client) -> Result<Shell, Error> {
        client
            .shell(&self.host, self.port, self.user.as_deref())
            .await
    }

    fn holds(&self) -> bool {
        self.refresh_hold.unwrap_or(true)
    }

    async fn install(&self, shell: &Shell, cx: &Context) -> Result<(), Error> {
        if let Some(text) = &self.launch_configuration {
            shell
                .write("write the launch configuration", LAUNCH_BEFORE, text, cx)
                .await?;
        }
        cx.progress(format!("installing MicroK8s {}", self.channel));
        let channel = format!("--channel={}", self.channel);
        shell
            .must(
                "install the snap",
                &["snap", "install", "microk8s", "--classic", &channel],
                cx,
            )
            .await?;
        if self.holds() {
            shell
                .must(
                    "hold refreshes",
                    &["snap", "refresh", "--hold", "microk8s"],
                    cx,
                )
                .await?;
        }
        Ok(())
    }

    async fn finish(&self, shell: &Shell, cx: &Context) -> Result<(), Error> {
        wait_ready(shell, cx).await?;
        if let Some(join) = &self.join {
            cx.progress("joining the cluster");
            let mut words = vec!["microk8s", "join", join.expose_secret().as_str()];
            if self.worker == Some(true) {
                words.push("--worker");
            }
            shell.must("join the cluster", &words, cx).await?;
        }
        self.enable_addons(shell, cx).await
    }

    async fn enable_addons(&self, shell: &Shell, cx: &Context) -> Result<(), Error> {
        if self.worker == Some(true) {
            return Ok(());
        }
        let status = status(shell, cx).await?;
        for addon in self.addons.iter().flatten() {
            if !status.is_enabled(addon) {
                cx.progress(format!("enabling the addon {}", base(addon)));
                let label = format!("enable the addon {}", base(addon));
                shell
                    .must(&label, &["microk8s", "enable", addon], cx)
                    .await?;
            }
        }
        Ok(())
    }

    /// What the host says now; `None` when MicroK8s is not installed.
    async fn observe(&self, shell: &Shell, cx: &Context) -> Result<Option<Node>, Error> {
        let list = shell.must("list snaps", &["snap", "list"], cx).await?;
        let Some(snap) = Snap::find(&list, "microk8s") else {
            return Ok(None);
        };
        let name = shell
            .must("read the host's name", &["hostname"], cx)
            .await?
            .trim()
            .to_owned();
        let mut seen = Node {
            id: self.host.clone(),
            channel: snap.channel,
            name: Some(name),
            version: Some(snap.version),
            revision: Some(snap.revision),
            ..self.clone()
        };
        if self.worker == Some(true) {
            seen.status = Some("running".into());
            return Ok(Some(seen));
        }
        let status = status(shell, cx).await?;
        seen.status = Some(
            if status.microk8s.running {
                "running"
            } else {
                "stopped"
            }
            .into(),
        );
        // An addon that somebody disabled shows as drift; one that somebody enabled is theirs.
        seen.addons = self.addons.as_ref().map(|wanted| {
            wanted
                .iter()
                .filter(|a| status.is_enabled(a))
                .cloned()
                .collect()
        });
        Ok(Some(seen))
    }

    async fn observed(&self, shell: &Shell, cx: &Context) -> Result<Node, Error> {
        self.observe(shell, cx).await?.ok_or_else(|| {
            Error::new(
                format!("look at MicroK8s on {}", self.host),
                "the snap is not installed any more",
            )
        })
    }
}

async fn status(shell: &Shell, cx: &Context) -> Result<Status, Error> {
    let text = shell
        .must(
            "read the status",
            &["microk8s", "status", "--format", "yaml"],
            cx,
        )
        .await?;
    Status::parse(&text)
        .map_err(|e| Error::new("read the status (microk8s status --format yaml)", e))
}

async fn wait_ready(shell: &Shell, cx: &Context) -> Result<(), Error> {
    let polling = Polling::default().timeout(READY).tolerating_transient();
    wait::until(cx, "MicroK8s to be ready", polling, || async {
        let words = ["microk8s", "status", "--wait-ready", "--timeout", "5"];
        let output = shell.run("wait until ready", &words, cx).await?;
        Ok(if output.success() {
            Poll::Ready(())
        } else {
            Poll::Pending
        })
    })
    .await
}

/// The channels to go through, one minor version at a time.
fn steps(from: &str, to: &str) -> Result<Vec<String>, String> {
    let (Some(old), Some(new)) = (minor(from), minor(to)) else {
        return Ok(vec![to.to_owned()]);
    };
    if new < old {
        return Err(format!(
            "MicroK8s cannot go back from {from} to {to}: restore a backup, or replace the node"
        ));
    }
    let rest = to.split_once('/').map_or("stable", |(_, rest)| rest);
    let mut steps: Vec<String> = (old + 1..new).map(|m| format!("1.{m}/{rest}")).collect();
    steps.push(to.to_owned());
    Ok(steps)
}

#[async_trait]
impl Resource for Node {
    type Client = Client;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        let text = config.get("launch_configuration");
        if let Some(text) = text.as_ref().and_then(Value::as_str)
            && let Err(error) = serde_saphyr::from_str::<serde_json::Value>(text)
        {
            found.push(
                Diagnostic::error(
                    "Invalid launch configuration",
                    format!("It is not YAML: {error}."),
                )
                .attribute(Path::root().attr("launch_configuration")),
            );
        }
        found
    }

    async fn plan(
        _client: Option<&Client>,
        plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        if plan.is_create() {
            return Ok(());
        }
        let text = |value: Option<Value>| value.and_then(|v| v.as_str().map(str::to_owned));
        if plan.changes("channel") {
            let (old, new) = (
                text(plan.prior().get("channel")),
                text(plan.attribute("channel")),
            );
            if let (Some(old), Some(new)) = (old, new) {
                let steps = steps(&old, &new).map_err(|e| {
                    Diagnostic::error("Downgrade not possible", format!("{e}."))
                        .attribute(Path::root().attr("channel"))
                })?;
                plan.note(format!(
                    "channel: restarts the node, {}",
                    steps.join(" then ")
                ));
            }
        }
        if plan.changes("launch_configuration") {
            plan.note("launch_configuration: applied to the running node, which restarts the services it concerns");
        }
        Ok(())
    }

    async fn create(
        client: &Client,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let shell = planned.shell(client).await?;
        if planned.observe_installed(&shell, cx).await? {
            let error = Error::new(
                format!("install MicroK8s on {}", planned.host),
                "it is installed there already",
            )
            .remedy(format!(
                "Import it: an import block with id = \"{}\", or remove the snap first.",
                planned.host
            ));
            return Err(error.into());
        }
        let known = Node {
            id: planned.host.clone(),
            ..planned.clone()
        };
        cx.identified(&known).await?;
        planned.install(&shell, cx).await?;
        // From here on the host has something of ours on it.
        if let Err(error) = planned.finish(&shell, cx).await {
            return Err(Failure::partial(error, known));
        }
        planned
            .observed(&shell, cx)
            .await
            .map_err(|error| Failure::partial(error, known))
    }

    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let shell = prior.shell(client).await?;
        prior.observe(&shell, cx).await
    }

    async fn update(
        client: &Client,
        prior: Self,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let shell = planned.shell(client).await?;
        if planned.channel != prior.channel {
            let steps = steps(&prior.channel, &planned.channel)
                .map_err(|e| Error::new("change the channel", e).attribute("channel"))?;
            for channel in steps {
                cx.progress(format!("refreshing to {channel}"));
                let option = format!("--channel={channel}");
                shell
                    .must(
                        "refresh the snap",
                        &["snap", "refresh", "microk8s", &option],
                        cx,
                    )
                    .await?;
                wait_ready(&shell, cx).await?;
            }
        }
        if planned.holds() != prior.holds() {
            let option = if planned.holds() {
                "--hold"
            } else {
                "--unhold"
            };
            shell
                .must(
                    "hold or release refreshes",
                    &["snap", "refresh", option, "microk8s"],
                    cx,
                )
                .await?;
        }
        if planned.launch_configuration != prior.launch_configuration
            && let Some(text) = &planned.launch_configuration
        {
            shell
                .write("write the launch configuration", LAUNCH_AFTER, text, cx)
                .await?;
            wait_applied(&shell, cx).await?;
            wait_ready(&shell, cx).await?;
        }
        let wanted: Vec<&str> = planned.addons.iter().flatten().map(|a| base(a)).collect();
        for addon in prior
            .addons
            .iter()
            .flatten()
            .filter(|a| !wanted.contains(&base(a)))
        {
            let label = format!("disable the addon {}", base(addon));
            shell
                .must(&label, &["microk8s", "disable", base(addon)], cx)
                .await?;
        }
        planned.enable_addons(&shell, cx).await?;
        Ok(planned.observed(&shell, cx).await?)
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        let shell = prior.shell(client).await?;
        if !prior.observe_installed(&shell, cx).await? {
            return Ok(());
        }
        if prior.join.is_some() {
            shell
                .must("leave the cluster", &["microk8s", "leave"], cx)
                .await?;
        }
        cx.progress("removing the snap");
        shell
            .must(
                "remove the snap",
                &["snap", "remove", "microk8s", "--purge"],
                cx,
            )
            .await?;
        shell
            .must(
                "remove the launch configuration",
                &["rm", "-f", LAUNCH_BEFORE],
                cx,
            )
            .await?;
        Ok(())
    }

    async fn import(client: &Client, id: &str, cx: &Context) -> Result<Self, Error> {
        let empty = Node {
            host: id.to_owned(),
            ..Node::default()
        };
        let shell = empty.shell(client).await?;
        empty.observe(&shell, cx).await?.ok_or_else(|| {
            Error::not_found(
                format!("import MicroK8s on {id}"),
                "the snap is not installed there",
            )
        })
    }
}

impl Node {
    async fn observe_installed(&self, shell: &Shell, cx: &Context) -> Result<bool, Error> {
        let list = shell
            .must("list snaps", &["snap", "list"], cx)
            .await
            .map_err(|e| e.remedy("The host needs snapd: apt-get install snapd."))?;
        Ok(Snap::find(&list, "microk8s").is_some())
    }
}

/// The agent renames a launch configuration when it has applied it.
async fn wait_applied(shell: &Shell, cx: &Context) -> Result<(), Error> {
    let polling = Polling::default().timeout(Duration::from_secs(120));
    wait::until(
        cx,
        "the launch configuration to be applied",
        polling,
        || async {
            let output = shell
                .run(
                    "look for the launch configuration",
                    &["test", "-e", LAUNCH_AFTER],
                    cx,
                )
                .await?;
            Ok(if output.success() {
                Poll::Pending
            } else {
                Poll::Ready(())
            })
        },
    )
    .await
    .map_err(|e| {
        e.remedy("The agent's journal says why: journalctl -u snap.microk8s.daemon-cluster-agent.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_go_up_one_minor_version_at_a_time() {
        assert_eq!(
            steps("1.32/stable", "1.34/stable"),
            Ok(vec!["1.33/stable".to_owned(), "1.34/stable".to_owned()])
        );
        assert_eq!(
            steps("1.34/stable", "1.34/edge"),
            Ok(vec!["1.34/edge".to_owned()])
        );
        assert!(steps("1.34/stable", "1.33/stable").is_err());
        assert_eq!(
            steps("latest/stable", "1.34/stable"),
            Ok(vec!["1.34/stable".to_owned()])
        );
    }
}
