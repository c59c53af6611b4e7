//! The dashboard on its thread, and the channels to it.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tui::{
    acts::Command,
    app::{self, News, Setup},
    launch::Form,
    model::Tone,
    source::Source,
    theme::Look,
    view::Origin,
};

use super::lines;
use crate::cli::{
    args::LookArgs,
    common::Context,
    exit::UsageError,
    out::{self, Stream},
};

/// Words and commands that may wait.
const QUEUE: usize = 64;
/// Log lines that may wait; a reader of logs waits when it is full.
const LINES: usize = 4_096;
/// How long it may take to close. It draws ten times a second; what holds it longer will hold it for ever.
const CLOSES_WITHIN: Duration = Duration::from_secs(3);
/// How often it is looked for words that were held.
const TICK: Duration = Duration::from_millis(200);

/// The dashboard, open. Dropping it closes it.
#[derive(Debug)]
pub struct Dashboard {
    news: mpsc::Sender<News>,
    commands: mpsc::Receiver<Command>,
    close: CancellationToken,
    ended: oneshot::Receiver<io::Result<()>>,
    over: bool,
    /// When it was asked to close.
    closing: Option<Instant>,
}

/// What comes from the dashboard.
#[derive(Debug)]
pub enum DashboardEvent {
    /// Somebody has left it, or it failed. The terminal is given back.
    Closed(io::Result<()>),
    /// Somebody wants something done.
    Command(Command),
    /// A moment has passed.
    Tick,
}

impl Dashboard {
    /// Opens it; `logs` is the state folder of the stack whose logs are shown. [`possible`] comes before, and before
    /// anything is started.
    ///
    /// # Errors
    /// When its thread cannot be started.
    pub fn open(
        look: LookArgs,
        (source, origin): (Source, Origin),
        form: Option<Form>,
        logs: Option<lines::From>,
    ) -> anyhow::Result<Self> {
        let (news, news_receiver) = mpsc::channel(QUEUE);
        let (command_sender, commands) = mpsc::channel(QUEUE);
        let (line_sender, line_receiver) = mpsc::channel(LINES);
        let (end, ended) = oneshot::channel();
        let close = CancellationToken::new();
        let setup = Setup {
            source,
            origin,
            look: look_of(look),
            folder: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            form,
            logs: line_receiver,
            news: news_receiver,
            commands: command_sender,
            stop: close.clone(),
        };
        std::thread::Builder::new().name("dashboard".into()).spawn(move || {
            let outcome = app::run(setup);
            out::release();
            // It fails only when the receiver was dropped.
            let _ = end.send(outcome);
        })?;
        if let Some(from) = logs {
            lines::feed(from, line_sender, close.clone());
        }
        Ok(Self { news, commands, close, ended, over: false, closing: None })
    }

    /// Where news go.
    pub fn news(&self) -> mpsc::Sender<News> {
        self.news.clone()
    }

    /// Tells the dashboard something.
    pub async fn tell(&self, news: News) {
        let _ = self.news.send(news).await;
    }

    /// Waits for what comes next. After [`DashboardEvent::Closed`] only ticks come.
    pub async fn next(&mut self) -> DashboardEvent {
        tokio::select! {
            ended = &mut self.ended, if !self.over => {
                self.over = true;
                self.close.cancel();
                let panicked = |_| Err(io::Error::other("the dashboard's thread panicked"));
                DashboardEvent::Closed(ended.unwrap_or_else(panicked))
            }
            Some(command) = self.commands.recv(), if !self.over => DashboardEvent::Command(command),
            () = tokio::time::sleep(TICK) => {
                if !self.over && self.closing.is_some_and(|since| since.elapsed() > CLOSES_WITHIN) {
                    self.over = true;
                    return DashboardEvent::Closed(Err(io::Error::other("the dashboard does not close")));
                }
                if let Some(line) = out::fresh() {
                    let _ = self.news.try_send(News::Say(Tone::Plain, line));
                }
                DashboardEvent::Tick
            }
        }
    }

    /// Asks it to close.
    pub fn close(&mut self) {
        self.closing.get_or_insert_with(Instant::now);
        self.close.cancel();
    }
}

/// Whether there is a terminal to draw on.
///
/// # Errors
/// Why not, and what to do.
pub fn possible(context: &Context) -> Result<(), UsageError> {
    let why = if context.global.ci {
        "--ci (or ECOMCTL_CI) draws nothing, and the dashboard is a drawing; leave one of them away"
    } else if !out::is_terminal(Stream::Out) || !io::stdin().is_terminal() {
        "the dashboard needs a terminal: standard input and output are not one"
    } else if !out::drawable(Stream::Out) {
        "the dashboard cannot be drawn on this terminal (TERM is `dumb`, or not set); set TERM, as in \
         TERM=xterm-256color, or take `ecomctl status`, `ecomctl stats --watch` and `ecomctl lag --watch`"
    } else {
        return Ok(());
    };
    Err(UsageError(why.into()))
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.close.cancel();
    }
}

fn look_of(args: LookArgs) -> Look {
    let mut look = Look::from_env(|name| std::env::var(name).ok());
    look.theme = args.theme.unwrap_or(look.theme);
    look.ascii |= args.ascii;
    look
}
