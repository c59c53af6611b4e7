//! The dashboard as a whole, without a terminal: snapshots in, screens and commands out.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use record::{
    act::Act,
    event::{Event, LoadSample, Stamped},
    state::RunState,
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    acts::Command,
    app::{App, News, Setup},
    logs::MOST_LINES,
    model::{LogLine, Tone},
    source::Source,
};

struct World {
    app: App,
    state: watch::Sender<Arc<RunState>>,
    logs: mpsc::Sender<LogLine>,
    news: mpsc::Sender<News>,
    commands: mpsc::Receiver<Command>,
    folder: tempfile::TempDir,
}

fn world() -> World {
    let (state, snapshots) = watch::channel(Arc::new(RunState::default()));
    let (logs, log_receiver) = mpsc::channel(64);
    let (news, news_receiver) = mpsc::channel(64);
    let (command_sender, commands) = mpsc::channel(1);
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup {
        source: Source::Live(snapshots),
        origin: Origin::Run,
        look: Look::default(),
        folder: folder.path().to_owned(),
        form: None,
        logs: log_receiver,
        news: news_receiver,
        commands: command_sender,
        stop: CancellationToken::new(),
    };
    World { app: App::new(setup).unwrap(), state, logs, news, commands, folder }
}

impl World {
    fn load(&self, t_ms: u64, vus: u32) {
        let mut state = RunState::default();
        let event = Event::Load(LoadSample { vus, ..LoadSample::default() });
        state.apply(&Stamped { t_ms, event });
        self.state.send_replace(Arc::new(state));
    }

    fn tick(&mut self) -> bool {
        self.app.tick(Instant::now()).unwrap()
    }

    fn press(&mut self, keys: &str) {
        for c in keys.chars() {
            let code = if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) };
            self.app.key(&KeyEvent::new(code, KeyModifiers::NONE)).unwrap();
        }
    }

    fn screen(&mut self) -> String {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 100, 30));
        self.app.draw(&mut buffer);
        export::text(&buffer)
    }
}

#[test]
fn it_draws_only_what_is_new_and_nothing_while_it_is_frozen() {
    let mut world = world();
    world.load(1_000, 7);
    assert!(world.tick() && !world.tick(), "one snapshot, one drawing");
    assert!(world.screen().contains("VUs 7 "));
    world.press("f");
    world.load(2_000, 8);
    world.logs.try_send(LogLine { text: "later".into(), ..LogLine::default() }).unwrap();
    assert!(!world.tick());
    assert!(world.screen().contains("VUs 7 ") && world.screen().contains("FROZEN"));
    world.press("f");
    assert!(world.tick());
    world.press("5");
    assert!(world.screen().contains("later"), "lines that came meanwhile are not lost");
    world.press("1");
    assert!(world.screen().contains("VUs 8 "));
}

/// The newest lines are kept for whoever looks again, and how many older ones went is said.
#[test]
fn lines_that_a_frozen_screen_could_not_keep_are_counted() {
    let mut world = world();
    world.press("f");
    for _ in 0..MOST_LINES + 7 {
        world.logs.try_send(LogLine { text: "old".into(), ..LogLine::default() }).unwrap();
        world.tick();
    }
    world.press("f");
    assert!(world.tick());
    assert!(world.screen().contains("7 older log lines went by while the screen was frozen"), "{}", world.screen());
}

#[test]
fn between_snapshots_the_clock_goes_on_and_words_do_not_stay_for_ever() {
    let mut world = world();
    world.load(61_000, 1);
    let now = Instant::now();
    world.news.try_send(News::Say(Tone::Plain, "a word".into())).unwrap();
    assert!(world.app.tick(now).unwrap());
    assert!(world.screen().contains("01:01") && world.screen().contains("a word"));
    assert!(!world.app.tick(now + Duration::from_millis(300)).unwrap());
    assert!(world.app.tick(now + Duration::from_secs(11)).unwrap());
    assert!(world.screen().contains("01:12") && !world.screen().contains("a word"));
}

#[test]
fn what_is_asked_for_goes_out_and_what_came_of_it_is_told() {
    let mut world = world();
    world.press("V\n");
    assert_eq!(world.commands.try_recv().unwrap(), Command::Act(Act::Verify));
    world.news.try_send(News::Say(Tone::Good, "verify: nothing contradicts".into())).unwrap();
    assert!(world.tick());
    assert!(world.screen().contains("verify: nothing contradicts"));
    world.press("V\nV\n");
    assert!(world.screen().contains("too much waits already"), "a full channel does not block keys");
    drop(world.commands);
    world.app.key(&KeyEvent::new(KeyCode::Char('V'), KeyModifiers::NONE)).unwrap();
    world.app.key(&KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE)).unwrap();
    let mut buffer = Buffer::empty(Rect::new(0, 0, 100, 30));
    world.app.draw(&mut buffer);
    assert!(export::text(&buffer).contains("nobody is there"));
}

#[test]
fn the_screen_is_written_without_what_lies_over_it() {
    let mut world = world();
    world.load(1_000, 42);
    world.tick();
    world.press("s");
    let Command::Exported(path) = world.commands.try_recv().unwrap() else { panic!("nothing was exported") };
    assert!(path.starts_with(&*world.folder.path().to_string_lossy()));
    assert!(std::fs::read_to_string(path).unwrap().contains("VUs 42"));
}

#[test]
fn a_run_that_has_ended_stays_on_the_screen_and_can_be_left() {
    let mut world = world();
    world.load(1_000, 3);
    let (state, _) = watch::channel(Arc::new(RunState::default()));
    drop(std::mem::replace(&mut world.state, state));
    assert!(world.tick());
    let screen = world.screen();
    assert!(screen.contains("VUs 3 ") && screen.contains("the run has ended; q leaves"), "{screen}");
    assert!(!world.tick() && !world.app.closed());
    world.press("q");
    assert!(world.app.closed());
    world.app.tick(Instant::now() + Duration::from_secs(1)).unwrap();
}

#[test]
fn ctrl_c_asks_for_the_end_of_the_run_and_closes_where_there_is_none() {
    let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    let mut world = world();
    world.app.key(&ctrl_c).unwrap();
    assert_eq!(world.commands.try_recv().unwrap(), Command::Interrupt);
    assert!(!world.app.closed());
    world.news.try_send(News::Source(Source::Idle, Origin::Watching)).unwrap();
    world.tick();
    world.app.key(&ctrl_c).unwrap();
    assert!(world.app.closed());
}
