//! A run that is shown on the dashboard; when somebody leaves it, the progress line goes on.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use record::{act::Act, state::RunState};
use tokio::sync::{mpsc, watch};
use tui::{acts::Command, app::News, source::Source, view::Origin};

use super::{Dashboard, DashboardEvent, Hands};
use crate::{
    cli::{
        common::{Context, note},
        progress::Progress,
        signals::Signals,
    },
    run::{control::Control, folder::RunFolder, walk::Show},
};

/// Shows runs on a dashboard.
#[derive(Debug)]
pub struct RunShow {
    news: mpsc::Sender<News>,
    progress: Progress,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    hands: Hands,
    run: Option<(RunFolder, watch::Receiver<Arc<RunState>>)>,
    /// The dashboard was left.
    left: bool,
}

impl RunShow {
    /// Shows runs on this dashboard.
    pub fn new(dashboard: &Dashboard, context: &Context) -> Self {
        Self {
            news: dashboard.news(),
            progress: Progress::new(context.draw),
            now: Mutex::new(Now { hands: Hands::Nobody, run: None, left: false }),
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who does acts from now on.
    pub fn set_hands(&self, hands: Hands) {
        self.now().hands = hands;
    }

    /// Has `act` done; its result is told in the bottom line.
    pub fn act(&self, act: Act) {
        let (hands, news) = (self.now().hands.clone(), self.news.clone());
        tokio::spawn(async move {
            let (tone, words) = hands.perform(&act).await;
            let _ = news.send(News::Say(tone, words)).await;
        });
    }

    /// The dashboard was left: the progress line goes on.
    pub fn take_over(&self) {
        let mut now = self.now();
        now.left = true;
        if let Some((run, state)) = &now.run {
            self.progress.begin(run, state.clone());
        }
    }
}

impl Show for RunShow {
    fn begin(&self, run: &RunFolder, state: watch::Receiver<Arc<RunState>>) {
        let mut now = self.now();
        now.run = Some((run.clone(), state.clone()));
        if now.left {
            self.progress.begin(run, state);
            return;
        }
        note(&format!("run {}", run.path().display()));
        let _ = self.news.try_send(News::Source(Source::Live(state), Origin::Run));
    }

    fn control(&self, control: Control) {
        self.set_hands(Hands::Run(control));
    }

    fn message(&self, text: &str) {
        if self.now().left { self.progress.message(text) } else { note(text) }
    }

    fn end(&self) {
        self.progress.end();
        let mut now = self.now();
        (now.hands, now.run) = (Hands::Nobody, None);
    }
}

/// Does `work` with the dashboard beside it. Both must end: a run goes on when somebody leaves the dashboard, and the
/// dashboard stays when the run has ended, unless a signal ended it.
pub async fn beside<T>(
    mut dashboard: Dashboard,
    show: &RunShow,
    signals: &Signals,
    work: impl Future<Output = T>,
) -> (T, io::Result<()>) {
    let mut work = std::pin::pin!(work);
    let (mut done, mut closed) = (None, None);
    loop {
        (done, closed) = match (done, closed) {
            (Some(done), Some(closed)) => return (done, closed),
            other => other,
        };
        tokio::select! {
            result = &mut work, if done.is_none() => done = Some(result),
            event = dashboard.next() => match event {
                DashboardEvent::Closed(result) => {
                    closed = Some(result);
                    show.take_over();
                }
                DashboardEvent::Command(Command::Act(act)) => show.act(act),
                DashboardEvent::Command(Command::Interrupt) => Signals::interrupt(),
                DashboardEvent::Tick if done.is_some() && signals.exit().is_some() => dashboard.close(),
                DashboardEvent::Command(Command::Exported(path)) => show.act(Act::Export(path)),
                DashboardEvent::Command(Command::Launch(_)) | DashboardEvent::Tick => {}
            },
        }
    }
}
