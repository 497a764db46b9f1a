//! The log of requests and decisions, where `TF_LOG` and its like ask for one. Secrets are not in it.

use std::fs::OpenOptions;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::commands::print_error;

/// Where what providers do is logged from.
const PROVIDERS: &[&str] = &[
    "stead_sdk",
    "stead_utility",
    "stead_proxmox",
    "stead_talos",
    "stead_truenas",
    "stead_azure",
    "stead_microk8s",
    "stead_kubernetes",
    "stead_gitops",
];

/// What the environment asks for.
struct Wanted {
    filter: String,
    json: bool,
}

/// `STEAD_LOG` is a filter of the tracing crate; `TF_LOG`, `TF_LOG_CORE` and `TF_LOG_PROVIDER` are levels, and `TF_LOG_PATH`
/// a file in the place of standard error.
pub(crate) fn init() {
    let Some(wanted) = wanted(|name| std::env::var(name).ok()) else {
        return;
    };
    let on_stderr = || BoxMakeWriter::new(std::io::stderr);
    let path = std::env::var_os("TF_LOG_PATH").filter(|path| !path.is_empty());
    let writer = path.map_or_else(on_stderr, |path| {
        let mut options = OpenOptions::new();
        match options.create(true).append(true).open(&path) {
            Ok(file) => BoxMakeWriter::new(Mutex::new(file)),
            Err(error) => {
                print_error(&format!(
                    "The log goes to standard error: opening {} failed: {error}.\n",
                    path.display()
                ));
                on_stderr()
            }
        }
    });
    let filter = EnvFilter::try_new(&wanted.filter).unwrap_or_else(|error| {
        print_error(&format!(
            "STEAD_LOG is not a filter that can be read ({error}): only errors are logged.\n"
        ));
        EnvFilter::default()
    });
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(writer);
    if wanted.json {
        log.json().init();
    } else {
        log.init();
    }
}

fn wanted(environment: impl Fn(&str) -> Option<String>) -> Option<Wanted> {
    let get = |name: &str| environment(name).filter(|value| !value.is_empty());
    if let Some(filter) = get("STEAD_LOG") {
        let filter = filter.to_lowercase();
        return Some(Wanted {
            filter,
            json: false,
        });
    }
    let all = get("TF_LOG");
    let json = all
        .as_deref()
        .is_some_and(|level| level.eq_ignore_ascii_case("json"));
    let core = get("TF_LOG_CORE").or_else(|| all.clone());
    let provider = get("TF_LOG_PROVIDER").or(all);
    if core.is_none() && provider.is_none() {
        return None;
    }
    let mut filter = level(core.as_deref()).to_owned();
    let level = level(provider.as_deref());
    for name in PROVIDERS {
        filter.push_str(&format!(",{name}={level}"));
    }
    Some(Wanted { filter, json })
}

/// What is no level means everything, as it does for Terraform.
fn level(given: Option<&str>) -> &'static str {
    match given.map(str::to_uppercase).as_deref() {
        None | Some("OFF") => "off",
        Some("ERROR") => "error",
        Some("WARN") => "warn",
        Some("INFO") => "info",
        Some("DEBUG") => "debug",
        Some(_) => "trace",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(environment: &[(&str, &str)]) -> Option<(String, bool)> {
        let get = |name: &str| {
            let found = environment.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        wanted(get).map(|w| {
            let own = ",stead_utility=";
            let at = w.filter.find(own).map_or(0, |i| i + own.len());
            let utility = w.filter[at..].split(',').next().unwrap_or_default();
            let core = w.filter.split(',').next().unwrap_or_default();
            (format!("{core}/{utility}"), w.json)
        })
    }

    #[test]
    fn levels_come_from_terraforms_variables() {
        assert_eq!(filter(&[]), None);
        assert_eq!(filter(&[("TF_LOG", "")]), None);
        assert_eq!(
            filter(&[("TF_LOG", "debug")]),
            Some(("debug/debug".into(), false))
        );
        assert_eq!(
            filter(&[("TF_LOG", "JSON")]),
            Some(("trace/trace".into(), true))
        );
        assert_eq!(
            filter(&[("TF_LOG", "nonsense")]),
            Some(("trace/trace".into(), false))
        );
        assert_eq!(
            filter(&[("TF_LOG_CORE", "WARN")]),
            Some(("warn/off".into(), false))
        );
        assert_eq!(
            filter(&[("TF_LOG", "INFO"), ("TF_LOG_PROVIDER", "ERROR")]),
            Some(("info/error".into(), false))
        );
    }
}
