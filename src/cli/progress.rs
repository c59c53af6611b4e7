//! How a run looks while it goes on: one line that changes in a terminal, a line every few seconds elsewhere.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base::figure::{millis, or_dash, rate};
use contract::figures;
use indicatif::{ProgressBar, ProgressStyle};
use record::{
    event::names::{ProcessState, Stage},
    state::RunState,
};
use tokio::{sync::watch, task::JoinHandle, time::Instant};

use super::common::note;
use crate::{
    report::classes,
    run::{folder::RunFolder, walk::Show},
};

/// Seconds between lines where nothing can be drawn.
const PLAIN_EVERY: Duration = Duration::from_secs(5);
const DRAWN_EVERY: Duration = Duration::from_millis(200);

/// Shows a run on standard error.
#[derive(Debug)]
pub struct Progress {
    draw: bool,
    showing: Mutex<Option<(Option<ProgressBar>, JoinHandle<()>)>>,
}

impl Progress {
    /// `draw`: standard error is a terminal.
    pub fn new(draw: bool) -> Self {
        Self { draw, showing: Mutex::new(None) }
    }
}

impl Show for Progress {
    fn begin(&self, run: &RunFolder, state: watch::Receiver<Arc<RunState>>) {
        note(&format!("run {}", run.path().display()));
        let bar = self.draw.then(|| {
            let style =
                ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
            ProgressBar::new_spinner().with_style(style)
        });
        let task = tokio::spawn(follow(bar.clone(), state));
        *self.showing.lock().unwrap_or_else(PoisonError::into_inner) = Some((bar, task));
    }

    fn message(&self, text: &str) {
        let showing = self.showing.lock().unwrap_or_else(PoisonError::into_inner);
        match showing.as_ref().and_then(|(bar, _)| bar.as_ref()) {
            Some(bar) => bar.println(text),
            None => note(text),
        }
    }

    fn end(&self) {
        if let Some((bar, task)) = self.showing.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

async fn follow(bar: Option<ProgressBar>, mut state: watch::Receiver<Arc<RunState>>) {
    let every = if bar.is_some() { DRAWN_EVERY } else { PLAIN_EVERY };
    let mut tick = tokio::time::interval_at(Instant::now() + every, every);
    let mut plain = Plain::default();
    let mut shown = None;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            changed = state.changed() => {
                if changed.is_err() {
                    return;
                }
                // A new stage is worth a line at once; figures wait for the tick.
                if state.borrow_and_update().stage == shown {
                    continue;
                }
            }
        }
        let now = state.borrow().clone();
        shown.clone_from(&now.stage);
        match &bar {
            Some(bar) => {
                bar.set_message(line(&now));
                bar.tick();
            }
            None => {
                if let Some(line) = plain.next(&now) {
                    note(&line);
                    // A line for a new stage takes the place of the next regular one.
                    tick.reset();
                }
            }
        }
    }
}

/// Lines where nothing can be drawn: what was said is not said again.
#[derive(Debug, Default)]
struct Plain {
    said: String,
}

impl Plain {
    /// What is new to say.
    fn next(&mut self, now: &RunState) -> Option<String> {
        now.stage.as_ref()?;
        let line = line(now);
        if line == self.said {
            return None;
        }
        self.said.clone_from(&line);
        Some(line)
    }
}

/// `00:12 load · 500 VU · 2,310/s · p95 12.1 ms · QUEUED 1,000 · SOLD_OUT 8,000 · rows 990 · left 0 · lag 10`
pub fn line(state: &RunState) -> String {
    let seconds = state.t_ms / 1_000;
    let name = state.stage.as_ref().map_or("", Stage::name);
    let mut text = format!("{:02}:{:02} {name}", seconds / 60, seconds % 60);
    if let Some(load) = &state.load {
        let _ = write!(text, " · {} VU · {}/s · p95 {} ms", load.vus, rate(load.rps), millis(load.p95_ms));
        let _ = write!(text, " · {}", classes(&load.outcomes));
        if !load.failures.is_empty() {
            let _ = write!(text, " · no answer: {}", classes(&load.failures));
        }
    }
    if let Some(probe) = &state.probe {
        for (word, figure) in figures::progress(state.kind()) {
            let _ = write!(text, " · {word} {}", or_dash(probe.sum(*figure)));
        }
        let _ = write!(text, " · lag {}", or_dash(probe.lag));
        for component in probe.errors.keys() {
            let _ = write!(text, " · {component} NOT READABLE");
        }
    }
    for ended in &state.ended {
        let now = state.processes.get(&ended.name);
        if now.is_some_and(|now| now.state == ProcessState::Exited && now.t_ms == ended.t_ms) {
            let how = ended.how.split(';').next().unwrap_or_default();
            let _ = write!(text, " · {} ENDED: {how}", ended.name);
        }
    }
    text
}

#[cfg(test)]
mod tests;
