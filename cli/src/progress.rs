//! Progress while the engine works: a live display on a terminal, lines in a pipe.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use stead_engine::{Action, EphemeralStep, Event, Observer};
use stead_value::addr::ResourceInstance;

use crate::render::Style;

/// In a pipe, an operation that runs on says so this often.
pub(crate) const STILL: Duration = Duration::from_secs(10);

/// Shows events; cheap enough to be called from anywhere.
pub(crate) struct Progress {
    style: Style,
    display: Option<MultiProgress>,
    running: Mutex<HashMap<ResourceInstance, Running>>,
    /// Show reads and refreshes too.
    verbose: bool,
}

struct Running {
    action: Option<Action>,
    started: Instant,
    /// When a line about it was last printed.
    spoken: Instant,
    waits_for: String,
    bar: Option<ProgressBar>,
}

/// Calls on something twice a second for as long as it is there.
pub(crate) fn beat<T: Send + Sync + 'static>(of: &Arc<T>, still: fn(&T)) {
    let weak = Arc::downgrade(of);
    std::thread::spawn(move || {
        while let Some(strong) = weak.upgrade() {
            still(&strong);
            drop(strong);
            std::thread::sleep(Duration::from_millis(500));
        }
    });
}

impl Progress {
    pub(crate) fn new(style: Style) -> Arc<Progress> {
        let live = std::io::stdout().is_terminal() && style.colour;
        let progress = Arc::new(Progress {
            style,
            display: live.then(MultiProgress::new),
            running: Mutex::default(),
            verbose: true,
        });
        if !live {
            beat(&progress, Progress::still_running);
        }
        progress
    }

    fn line(&self, text: &str) {
        match &self.display {
            // A line that cannot be drawn is only progress.
            Some(display) => drop(display.println(text)),
            None => crate::commands::print(&format!("{text}\n")),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ResourceInstance, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, address: &ResourceInstance, action: Option<Action>) {
        let bar = self.display.as_ref().map(|display| {
            let bar = display.add(ProgressBar::new_spinner());
            if let Ok(style) =
                ProgressStyle::with_template("  {spinner:.cyan} {msg} {elapsed:.dim}")
            {
                bar.set_style(style);
            }
            bar.set_message(format!("{address}: {}", ongoing(action)));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let now = Instant::now();
        let running = Running {
            action,
            started: now,
            spoken: now,
            waits_for: String::new(),
            bar,
        };
        self.lock().insert(address.clone(), running);
    }

    fn end(&self, address: &ResourceInstance) {
        if let Some(Running { bar: Some(bar), .. }) = self.lock().remove(address) {
            bar.finish_and_clear();
        }
    }

    fn waits_for(&self, address: &ResourceInstance, message: String) {
        let mut running = self.lock();
        let Some(entry) = running.get_mut(address) else {
            return;
        };
        if entry.waits_for == message {
            return;
        }
        entry.waits_for = message;
        if let Some(bar) = &entry.bar {
            bar.set_message(format!(
                "{address}: {} ({})",
                ongoing(entry.action),
                entry.waits_for
            ));
        }
    }

    fn still_running(&self) {
        let mut lines = Vec::new();
        for (address, entry) in self.lock().iter_mut() {
            if entry.spoken.elapsed() >= STILL {
                entry.spoken = Instant::now();
                let wait = if entry.waits_for.is_empty() {
                    String::new()
                } else {
                    format!(", {}", entry.waits_for)
                };
                lines.push(format!(
                    "{address}: Still {}... [{} elapsed{wait}]",
                    ongoing(entry.action).to_lowercase(),
                    seconds(entry.started.elapsed())
                ));
            }
        }
        for line in lines {
            self.line(&line);
        }
    }
}

impl Observer for Progress {
    fn event(&self, event: Event) {
        let bold = |address: &ResourceInstance| self.style.bold(format!("{address}:"));
        let id = |id: &Option<String>| {
            id.as_ref()
                .map(|id| format!(" [id={id}]"))
                .unwrap_or_default()
        };
        let object = |address: &ResourceInstance, deposed: &Option<String>| match deposed {
            Some(key) => self
                .style
                .bold(format!("{address} (deposed object {key}):")),
            None => bold(address),
        };
        match event {
            Event::RefreshStart { address, id: known } => {
                if self.verbose {
                    self.line(&format!(
                        "{} Refreshing state...{}",
                        bold(&address),
                        id(&known)
                    ));
                }
                self.begin(&address, None);
            }
            Event::RefreshDone { address, .. } => self.end(&address),
            Event::Import { address, by } => {
                self.line(&format!("{} Preparing import... [{by}]", bold(&address)));
            }
            Event::Start {
                address,
                deposed,
                action,
                id: known,
            } => {
                self.line(&format!(
                    "{} {}...{}",
                    object(&address, &deposed),
                    ongoing(Some(action)),
                    id(&known)
                ));
                self.begin(&address, Some(action));
            }
            Event::Progress { address, message } => self.waits_for(&address, message),
            Event::Done {
                address,
                action,
                id: known,
                elapsed,
                ..
            } => {
                self.end(&address);
                // What is gone has no identity any more.
                let known = known.filter(|_| action != Action::Delete);
                self.line(&format!(
                    "{} {} complete after {}{}",
                    bold(&address),
                    noun(action),
                    seconds(elapsed),
                    id(&known)
                ));
            }
            // Why it failed is told at the end, with its address.
            Event::Failed { address, .. } => self.end(&address),
            Event::EphemeralStart { address, step } => {
                self.line(&format!("{} {}...", bold(&address), ephemeral(step).0));
                self.begin(&address, None);
            }
            Event::EphemeralDone {
                address,
                step,
                elapsed,
            } => {
                self.end(&address);
                self.line(&format!(
                    "{} {} complete after {}",
                    bold(&address),
                    ephemeral(step).1,
                    seconds(elapsed)
                ));
            }
            Event::EphemeralFailed { address, .. } => self.end(&address),
            Event::EphemeralDeferred { address } => {
                self.line(&format!(
                    "{} Configuration unknown, deferring...",
                    bold(&address)
                ));
            }
            Event::ProvisionStart {
                address,
                provisioner,
            } => self.line(&format!(
                "{} Provisioning with '{provisioner}'...",
                bold(&address)
            )),
            Event::ProvisionOutput {
                address,
                provisioner,
                text,
            } => {
                let prefix = self.style.bold(format!("{address} ({provisioner}):"));
                let lines: Vec<String> = text
                    .split(['\n', '\r'])
                    .map(str::trim_end)
                    .filter(|line| !line.is_empty())
                    .map(|line| format!("{prefix} {line}"))
                    .collect();
                self.line(&lines.join("\n"));
            }
            Event::Gate {
                resource,
                step,
                steps,
                state,
            } => {
                let prefix = self.style.bold(format!("{resource}:"));
                let text = crate::render::rollout::line(step, steps, state);
                self.line(&format!("{prefix} {text}"));
            }
            Event::ProvisionDone { .. }
            | Event::ProvisionFailed { .. }
            | Event::Skipped { .. }
            | Event::Tally { .. } => {}
        }
    }
}

/// A step of an ephemeral resource as it runs, and when it is done.
fn ephemeral(step: EphemeralStep) -> (&'static str, &'static str) {
    match step {
        EphemeralStep::Open => ("Opening", "Opening"),
        EphemeralStep::Renew => ("Renewing", "Renewal"),
        EphemeralStep::Close => ("Closing", "Closing"),
    }
}

fn ongoing(action: Option<Action>) -> &'static str {
    match action {
        None => "Refreshing",
        Some(Action::Create) => "Creating",
        Some(action) if action.is_replace() => "Creating",
        Some(Action::Update) => "Modifying",
        Some(Action::Delete) => "Destroying",
        Some(Action::Read) => "Reading",
        Some(_) => "Working",
    }
}

fn noun(action: Action) -> &'static str {
    match action {
        Action::Create
        | Action::DeleteThenCreate
        | Action::CreateThenDelete
        | Action::ForgetThenCreate => "Creation",
        Action::Update => "Modifications",
        Action::Delete => "Destruction",
        Action::Read => "Read",
        Action::NoOp | Action::Forget => "Work",
    }
}

/// `0s`, `12s`, `2m5s`.
pub(crate) fn seconds(duration: Duration) -> String {
    let total = duration.as_secs();
    if total < 60 {
        format!("{total}s")
    } else {
        format!("{}m{}s", total / 60, total % 60)
    }
}
