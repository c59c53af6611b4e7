//! The dashboard at work: keys, snapshots, logs and ticks go in; a screen and commands come out. It draws only when
//! something changed.

use std::{
    collections::VecDeque,
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use base::figure::count;
use crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use ratatui::buffer::Buffer;
use record::state::RunState;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    acts::Command,
    board,
    draw::{self, table::Data},
    export, keys,
    launch::Form,
    logs::{Logs, MOST_LINES},
    model::{Board, LogLine, Tone},
    source::{End, Source},
    terminal::{self, Input, Screen},
    theme::Look,
    view::{Effect, Notice, Origin, Slider, View},
};

/// Time between looks at the source: ten frames a second at most.
const FRAME: Duration = Duration::from_millis(100);

/// Time that a word stays in the bottom line, where no key takes it back before.
const SAID_FOR: Duration = Duration::from_secs(10);

/// Log lines that are taken in at a time.
const LINES_AT_A_TIME: usize = 2_000;

/// What the command line tells the dashboard while it runs.
#[derive(Debug)]
pub enum News {
    /// A word for the bottom line.
    Say(Tone, String),
    /// Look at this from now on.
    Source(Source, Origin),
    /// What was launched has ended, well or not.
    Launched(Tone, String),
    /// Close.
    Close,
}

/// What a dashboard is made of.
#[derive(Debug)]
pub struct Setup {
    /// Where states come from.
    pub source: Source,
    /// What to call that.
    pub origin: Origin,
    /// Colours and glyphs.
    pub look: Look,
    /// Folder for screens that are written to files.
    pub folder: PathBuf,
    /// What can be started.
    pub form: Option<Form>,
    /// Lines of logs.
    pub logs: mpsc::Receiver<LogLine>,
    /// Words of the command line.
    pub news: mpsc::Receiver<News>,
    /// Where commands go.
    pub commands: mpsc::Sender<Command>,
    /// Cancelled: close.
    pub stop: CancellationToken,
}

/// The dashboard.
#[derive(Debug)]
pub struct App {
    view: View,
    board: Board,
    logs: Logs,
    /// The newest lines that came while the screen is frozen, and how many older ones had to go for them.
    held: VecDeque<LogLine>,
    lost: u64,
    setup: Setup,
    played: Instant,
    /// Time of the newest snapshot, and when it came: in between the clock goes on.
    newest: (u64, Instant),
    /// The word in the bottom line, and since when it stands there.
    said: (Option<Notice>, Instant),
    ended: bool,
    closed: bool,
    /// The shell is wanted.
    suspended: bool,
}

impl App {
    /// A dashboard that has not drawn anything yet.
    ///
    /// # Errors
    /// When a recording cannot be read.
    pub fn new(mut setup: Setup) -> io::Result<Self> {
        let mut view = View::new(setup.look);
        view.origin = setup.origin;
        view.form = setup.form.take();
        view.launching = view.form.is_some() && setup.origin == Origin::Idle;
        let mut board = board::board(&RunState::default());
        if let Source::Replay(replay) = &mut setup.source {
            let total_ms = replay.end_ms();
            view.slider = Some(Slider { at_ms: 0, total_ms, playing: true, speed: 1 });
            board = board::board(replay.seek(0)?);
        }
        Ok(Self {
            view,
            board,
            logs: Logs::default(),
            held: VecDeque::new(),
            lost: 0,
            setup,
            played: Instant::now(),
            newest: (0, Instant::now()),
            said: (None, Instant::now()),
            ended: false,
            closed: false,
            suspended: false,
        })
    }

    /// Takes in what is new at `now`; gives whether there is something to draw.
    ///
    /// # Errors
    /// When the source cannot be read any more.
    pub fn tick(&mut self, now: Instant) -> io::Result<bool> {
        let mut changed = self.news();
        changed |= self.lines();
        changed |= self.play(now)?;
        if !self.view.frozen && !self.ended {
            let polled = self.setup.source.poll()?;
            if let Some(state) = polled.state {
                self.board = board::board(&state);
                self.newest = (self.board.at_ms, now);
                changed = true;
            }
            if let Some(end) = polled.end {
                self.ended = true;
                self.view.origin = Origin::Ended;
                match end {
                    End::Over => self.view.say(Tone::Plain, "the run has ended; q leaves"),
                    End::BrokenOff => self.view.say(Tone::Bad, "the run's process is gone, it did not end cleanly"),
                }
                changed = true;
            }
        }
        Ok(changed | self.clock(now) | self.forget(now))
    }

    /// Lets the clock go on between snapshots; gives whether it shows another second.
    fn clock(&mut self, now: Instant) -> bool {
        let live = matches!(self.view.origin, Origin::Run | Origin::Attached | Origin::Watching);
        let (at_ms, came) = self.newest;
        let shown = at_ms + now.saturating_duration_since(came).as_millis() as u64;
        if !live || self.ended || self.view.frozen || shown / 1_000 <= self.board.at_ms / 1_000 {
            return false;
        }
        self.board.at_ms = shown;
        true
    }

    /// Takes a word back that has stood there long enough; gives whether it did.
    fn forget(&mut self, now: Instant) -> bool {
        if self.said.0 != self.view.notice {
            self.said = (self.view.notice.clone(), now);
        }
        let old = self.said.0.is_some() && now.saturating_duration_since(self.said.1) > SAID_FOR;
        if old {
            self.view.notice = None;
        }
        old
    }

    fn news(&mut self) -> bool {
        let mut changed = false;
        while let Ok(news) = self.setup.news.try_recv() {
            changed = true;
            match news {
                News::Say(tone, text) => self.view.say(tone, text),
                News::Launched(tone, text) => {
                    if let Some(form) = &mut self.view.form {
                        form.busy = None;
                    }
                    self.view.say(tone, text);
                }
                News::Source(source, origin) => {
                    self.setup.source = source;
                    self.ended = false;
                    self.newest = (0, Instant::now());
                    self.view.origin = origin;
                    self.view.launching = false;
                    self.view.frozen = false;
                }
                News::Close => self.closed = true,
            }
        }
        changed
    }

    fn lines(&mut self) -> bool {
        let mut changed = false;
        for _ in 0..LINES_AT_A_TIME {
            let Ok(line) = self.setup.logs.try_recv() else { break };
            if self.held.len() == MOST_LINES {
                self.held.pop_front();
                self.lost += 1;
            }
            self.held.push_back(line);
        }
        if !self.view.frozen {
            let lost = std::mem::take(&mut self.lost);
            if lost > 0 {
                let words = format!("{} older log lines went by while the screen was frozen", count(lost));
                self.view.say(Tone::Warn, words);
                changed = true;
            }
            for line in self.held.drain(..) {
                changed = true;
                self.view.log_line_came(self.logs.push(line));
            }
        }
        changed
    }

    /// Moves a replay on.
    fn play(&mut self, now: Instant) -> io::Result<bool> {
        let passed = now.saturating_duration_since(self.played);
        self.played = now;
        let Some(slider) = self.view.slider.as_mut().filter(|s| s.playing && !self.view.frozen) else {
            return Ok(false);
        };
        let to = slider.at_ms + passed.as_millis() as u64 * u64::from(slider.speed);
        slider.playing = to < slider.total_ms;
        let to = to.min(slider.total_ms);
        self.seek(to)?;
        Ok(true)
    }

    fn seek(&mut self, to: u64) -> io::Result<()> {
        if let (Source::Replay(replay), Some(slider)) = (&mut self.setup.source, &mut self.view.slider) {
            slider.at_ms = to;
            self.board = board::board(replay.seek(to)?);
            self.board.at_ms = to;
        }
        Ok(())
    }

    /// Takes a key in; gives whether there is something to draw.
    ///
    /// # Errors
    /// When a recording cannot be read any more.
    pub fn key(&mut self, key: &KeyEvent) -> io::Result<bool> {
        let Some(action) = keys::action(self.view.mode(), key) else { return Ok(false) };
        let effect = self.view.apply(action, &Data { board: &self.board, logs: &self.logs });
        match effect {
            Effect::None => return Ok(false),
            Effect::Draw => {}
            Effect::Leave => self.closed = true,
            Effect::Suspend => self.suspended = true,
            Effect::Seek(to) => self.seek(to)?,
            Effect::Export => self.export(),
            Effect::Command(command) => self.command(command),
        }
        Ok(true)
    }

    fn command(&mut self, command: Command) {
        // Without a run Ctrl-C ends what there is: the dashboard.
        if command == Command::Interrupt && self.view.origin != Origin::Run {
            self.closed = true;
            return;
        }
        let words = match &command {
            Command::Act(act) => format!("{act}: asked for"),
            Command::Launch(order) => format!("{} {}: asked for", order.what.name(), order.profile),
            Command::Interrupt => "ending the run; once more to end it at once".into(),
            Command::Exported(path) => format!("written to {path}"),
        };
        match self.setup.commands.try_send(command) {
            // The file is there even when the receiver of commands is gone.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(Command::Exported(_))) => self.view.say(Tone::Plain, words),
            Err(mpsc::error::TrySendError::Full(_)) => self.view.say(Tone::Warn, "too much waits already"),
            Err(mpsc::error::TrySendError::Closed(_)) => self.view.say(Tone::Warn, "nobody is there to do it any more"),
        }
    }

    fn export(&mut self) {
        let mut buffer = Buffer::empty(ratatui::layout::Rect::new(0, 0, 160, 50));
        let overlay = self.view.overlay.take();
        let notice = self.view.notice.take();
        draw::screen(&mut buffer, &Data { board: &self.board, logs: &self.logs }, &self.view);
        (self.view.overlay, self.view.notice) = (overlay, notice);
        let (now, text) = (jiff::Timestamp::now(), export::text(&buffer));
        match export::write(&self.setup.folder, self.view.panel().name, now, &text) {
            Ok(path) => self.command(Command::Exported(path.display().to_string())),
            Err(error) => {
                let folder = self.setup.folder.display();
                self.view.say(Tone::Bad, format!("cannot write into {folder}: {error}"));
            }
        }
    }

    /// Draws.
    pub fn draw(&mut self, buffer: &mut Buffer) {
        let body = draw::screen(buffer, &Data { board: &self.board, logs: &self.logs }, &self.view);
        self.view.page = usize::from(body);
    }

    /// Shall it close?
    pub fn closed(&self) -> bool {
        self.closed || self.setup.stop.is_cancelled()
    }

    /// What is looked at, for tests.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Shows `state` as if it had come from the source.
    pub fn show(&mut self, state: &RunState) {
        self.board = board::board(state);
    }
}

/// Takes the terminal and shows the dashboard until somebody leaves it.
///
/// # Errors
/// When the terminal or the source fails.
pub fn run(setup: Setup) -> io::Result<()> {
    let mut app = App::new(setup)?;
    let mut screen = Screen::enter()?;
    let mut changed = true;
    app.tick(Instant::now())?;
    while !app.closed() {
        if !terminal::entered() {
            return Err(io::Error::other("the terminal was given back because a thread panicked"));
        }
        if changed {
            screen.terminal().draw(|frame| app.draw(frame.buffer_mut()))?;
            changed = false;
        }
        let Some(heard) = listen(&mut app)? else {
            // As if somebody had left it: a run goes on, unless the signal that comes along ends it.
            return Ok(());
        };
        changed |= heard;
        if std::mem::take(&mut app.suspended) {
            screen.suspend()?;
            changed = true;
        }
        changed |= app.tick(Instant::now())?;
    }
    Ok(())
}

/// Waits for keys and for another size, a frame's time at most, and takes in all that came; gives whether there is
/// something to draw, and nothing when the terminal is gone.
fn listen(app: &mut App) -> io::Result<Option<bool>> {
    let deadline = Instant::now() + FRAME;
    let (mut changed, mut unread) = (false, 0);
    while !changed && !app.closed() && !app.suspended {
        let input = terminal::input_within(deadline.saturating_duration_since(Instant::now()))?;
        if input == Input::Gone {
            return Ok(None);
        }
        unread += 1;
        // All that waits, then one draw.
        while event::poll(Duration::ZERO)? {
            unread = 0;
            changed |= match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => app.key(&key)?,
                Event::Resize(..) => true,
                _ => false,
            };
        }
        if input == Input::None {
            break;
        }
        // Half of a key's bytes may have been taken; twice, they were not looked at.
        if unread > 1 {
            terminal::look_again();
            unread = 0;
        }
    }
    Ok(Some(changed))
}
