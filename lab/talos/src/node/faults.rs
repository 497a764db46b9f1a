//! What goes wrong with a machine on demand. `talos.NAME` strikes any machine, `talos.NAME.MACHINE` one, by its host name or an address of it.

use std::time::Duration;

use stead_lab_core::faults::Effect;

use super::Node;

impl Node {
    /// The names under which a fault of this machine may be set.
    fn fault_names(&self, name: &str) -> Vec<String> {
        let mut names = vec![format!("talos.{name}")];
        let hostname = self.hostname();
        if !hostname.is_empty() {
            names.push(format!("talos.{name}.{hostname}"));
        }
        let addresses = self.addresses();
        names.extend(
            addresses
                .iter()
                .map(|a| format!("talos.{name}.{}", a.addr())),
        );
        names
    }

    /// Whether a fault strikes now; counts the occasion.
    pub(crate) fn strike(&self, name: &str) -> Option<Effect> {
        let faults = self.world()?.lab.faults.clone();
        if faults.is_quiet() {
            return None;
        }
        self.fault_names(name).iter().find_map(|n| faults.strike(n))
    }

    /// Whether a fault strikes; a delay is waited for, and then counts as off.
    pub(crate) async fn struck(&self, name: &str) -> bool {
        match self.strike(name) {
            None => false,
            Some(Effect::Delay(millis)) => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                false
            }
            Some(_) => true,
        }
    }

    /// The effect of a fault that lasts as long as it is set, which no occasion uses up.
    pub(crate) fn lasting(&self, name: &str) -> Option<Effect> {
        let faults = self.world()?.lab.faults.clone();
        if faults.is_quiet() {
            return None;
        }
        let names = self.fault_names(name);
        let set = faults.list().into_iter();
        set.filter(|f| names.contains(&f.name))
            .map(|f| f.effect)
            .next()
    }

    /// How far the clock runs ahead.
    pub(crate) fn clock_skew(&self) -> Duration {
        match self.lasting("clock-skew") {
            Some(Effect::Delay(millis)) => Duration::from_millis(millis),
            Some(_) => Duration::from_secs(3600),
            None => Duration::ZERO,
        }
    }

    /// Somebody changes the configuration by hand, past whoever looks after it.
    pub(crate) fn edited_by_hand(self: &std::sync::Arc<Self>) {
        /// What that hand wrote.
        const EDIT: &str = "---\napiVersion: v1alpha1\nkind: KmsgLogConfig\nname: edited-by-hand\nurl: tcp://192.0.2.1:1514/\n";
        let Some(config) = self.config() else {
            return;
        };
        if config.text.contains("edited-by-hand") || self.strike("config-edited").is_none() {
            return;
        }
        let text = format!("{}\n{EDIT}", config.text.trim_end());
        match crate::config::Config::load(self.line(), text.as_bytes()) {
            Ok(edited) => self.persist_and_use(edited),
            Err(error) => {
                tracing::warn!(
                    machine = self.id,
                    error,
                    "cannot edit a configuration by hand"
                );
            }
        }
    }
}
