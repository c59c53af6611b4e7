//! The dashboard on its thread, and the channels to it.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::lines;
use crate::{
    cli::{
        args::LookArgs,
        common::Context,
        exit::UsageError,
        out::{self, Stream},
    },
    tui::{
        acts::Wish,
        app::{self, News, Setup},
        launch::Form,
        model::Tone,
        source::Source,
        theme::Look,
        view::Origin,
    },
};

/// Words and wishes that may wait.
const QUEUE: usize = 64;
/// Log lines that may wait; a reader of logs waits when it is full.
const LINES: usize = 4_096;
/// How long it may take to close. It draws ten times a second; what holds it longer will hold it for ever.
const CLOSES_WITHIN: Duration = Duration::from_secs(3);
/// How often it is looked for words that were held.
const TICK: Duration = Duration::from_millis(200);

/// The dashboard, open. Dropping it closes it.
#[derive(Debug)]
pub struct Deck {
    news: mpsc::Sender<News>,
    wishes: mpsc::Receiver<Wish>,
    close: CancellationToken,
    ended: oneshot::Receiver<io::Result<()>>,
    over: bool,
    /// When it was asked to close.
    closing: Option<Instant>,
}

/// What comes from the dashboard.
#[derive(Debug)]
pub enum Heard {
    /// Somebody has left it, or it failed. The terminal is given back.
    Closed(io::Result<()>),
    /// Somebody wants something done.
    Wish(Wish),
    /// A moment has passed.
    Tick,
}

impl Deck {
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
        let (wish_sender, wishes) = mpsc::channel(QUEUE);
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
            wishes: wish_sender,
            stop: close.clone(),
        };
        std::thread::Builder::new().name("dashboard".into()).spawn(move || {
            let outcome = app::run(setup);
            out::release();
            // Whoever waited has gone if this fails.
            let _ = end.send(outcome);
        })?;
        if let Some(from) = logs {
            lines::feed(from, line_sender, close.clone());
        }
        Ok(Self { news, wishes, close, ended, over: false, closing: None })
    }

    /// Where news go.
    pub fn news(&self) -> mpsc::Sender<News> {
        self.news.clone()
    }

    /// Tells the dashboard something.
    pub async fn tell(&self, news: News) {
        let _ = self.news.send(news).await;
    }

    /// Waits for what comes next. After [`Heard::Closed`] only ticks come.
    pub async fn next(&mut self) -> Heard {
        tokio::select! {
            ended = &mut self.ended, if !self.over => {
                self.over = true;
                self.close.cancel();
                Heard::Closed(ended.unwrap_or_else(|_| Err(io::Error::other("the dashboard's thread panicked"))))
            }
            Some(wish) = self.wishes.recv(), if !self.over => Heard::Wish(wish),
            () = tokio::time::sleep(TICK) => {
                if !self.over && self.closing.is_some_and(|since| since.elapsed() > CLOSES_WITHIN) {
                    self.over = true;
                    return Heard::Closed(Err(io::Error::other("the dashboard does not close")));
                }
                if let Some(line) = out::fresh() {
                    let _ = self.news.try_send(News::Say(Tone::Plain, line));
                }
                Heard::Tick
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

impl Drop for Deck {
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
