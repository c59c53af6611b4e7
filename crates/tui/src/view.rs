//! What the person looks at: tab, cursor, search, what is open. Pure: actions change it, and say what must be done.

mod cursor;
mod over;

use record::act::Act;

use super::{
    acts::Command,
    draw::{
        panel::Panel,
        panels::{LOG_SECTION, panel},
        table::{Data, Detail, Section},
    },
    keys::{Action, Mode},
    launch::Form,
    logs::Pushed,
    model::Tone,
    theme::Look,
};

/// Tabs.
pub const TABS: usize = 6;

/// Tables of a tab at most.
pub const SECTIONS: usize = 4;

/// Number of the tab with the stack.
pub const STACK: usize = 4;

/// Something that lies over the panels.
#[derive(Debug, Clone, PartialEq)]
pub enum Overlay {
    /// The keys; line at the top.
    Help(usize),
    /// A row in full; line at the top.
    Detail(Detail, usize),
    /// A question.
    Confirm(Act),
    /// A number is typed: virtual users, or else a rate.
    Number {
        /// Virtual users are asked for.
        vus: bool,
        /// What was typed.
        text: String,
    },
    /// Text to search for is typed; what was searched for before.
    Search(String),
}

/// A word in the bottom line, until the next key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How urgent.
    pub tone: Tone,
    /// What.
    pub text: String,
}

/// Where a replay stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slider {
    /// Milliseconds since the run began.
    pub at_ms: u64,
    /// Length of the run.
    pub total_ms: u64,
    /// It goes on by itself.
    pub playing: bool,
    /// How many times as fast.
    pub speed: u32,
}

/// Speeds of a replay.
pub const SPEEDS: [u32; 7] = [1, 2, 5, 10, 30, 60, 300];

/// Where what is seen comes from, in the top line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    /// Nothing runs.
    #[default]
    Idle,
    /// A run of this process.
    Run,
    /// A run of another process.
    Attached,
    /// A stack without a run.
    Watching,
    /// A recorded run.
    Replay,
    /// A run that has ended.
    Ended,
}

/// What must be done because of a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Nothing but drawing.
    Draw,
    /// Nothing at all.
    None,
    /// Leave the dashboard.
    Leave,
    /// Give the terminal to the shell until it lets us go on.
    Suspend,
    /// Send this out.
    Command(Command),
    /// Write the screen to a file.
    Export,
    /// Show this moment of the replay.
    Seek(u64),
}

/// What the person looks at.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct View {
    /// Tab that is shown.
    pub tab: usize,
    /// Table that has the keys, by tab.
    pub section: [usize; TABS],
    /// Row under the cursor, by tab and table.
    pub cursor: [[usize; SECTIONS]; TABS],
    /// The cursor of the logs stays at the newest line.
    pub follow: bool,
    /// Nothing new is taken in.
    pub frozen: bool,
    /// What is searched for; empty for nothing.
    pub search: String,
    /// What lies over the panels.
    pub overlay: Option<Overlay>,
    /// A word in the bottom line.
    pub notice: Option<Notice>,
    /// The replay.
    pub slider: Option<Slider>,
    /// What can be started.
    pub form: Option<Form>,
    /// The form is what is seen.
    pub launching: bool,
    /// Colours and glyphs.
    pub look: Look,
    /// Where all this comes from.
    pub origin: Origin,
    /// Rows of the body, as drawn last: what a page is.
    pub page: usize,
}

impl View {
    /// A view with this look.
    pub fn new(look: Look) -> Self {
        Self { look, follow: true, page: 10, ..Self::default() }
    }

    /// What the keys are for now.
    pub fn mode(&self) -> Mode {
        match &self.overlay {
            Some(Overlay::Help(_)) => Mode::Help,
            Some(Overlay::Detail(..)) => Mode::Detail,
            Some(Overlay::Confirm(_)) => Mode::Confirm,
            Some(Overlay::Number { .. }) => Mode::Number,
            Some(Overlay::Search(_)) => Mode::Search,
            None if self.launching => Mode::Launch,
            None if self.slider.is_some() => Mode::Replay,
            None => Mode::Look,
        }
    }

    /// The panel that is shown.
    pub fn panel(&self) -> &'static Panel {
        panel(self.tab)
    }

    /// The table that has the keys, with its number.
    pub fn focus(&self) -> (usize, &'static Section) {
        let panel = self.panel();
        let at = self.section[self.tab % TABS].min(panel.sections.len() - 1);
        (at, &panel.sections[at])
    }

    /// Says something in the bottom line.
    pub fn say(&mut self, tone: Tone, text: impl Into<String>) {
        self.notice = Some(Notice { tone, text: text.into() });
    }

    /// A log line came, and perhaps the oldest one went: the cursor stays on its line.
    pub fn log_line_came(&mut self, pushed: Pushed) {
        if !self.follow {
            let cursor = &mut self.cursor[STACK][LOG_SECTION];
            *cursor = cursor.saturating_sub(usize::from(pushed.gone));
            *cursor += usize::from(pushed.at <= *cursor);
        }
    }

    /// Takes an action in.
    pub fn apply(&mut self, action: Action, data: &Data<'_>) -> Effect {
        self.notice = None;
        if action == Action::Interrupt {
            return Effect::Command(Command::Interrupt);
        }
        if action == Action::Suspend {
            return self.suspend();
        }
        match self.overlay.take() {
            Some(overlay) => self.over(overlay, action, data),
            None if self.launching => self.launch(action),
            None => self.look(action, data),
        }
    }

    /// The whole process stops, and so would the load: its figures would be worth nothing.
    fn suspend(&mut self) -> Effect {
        if self.origin != Origin::Run {
            return Effect::Suspend;
        }
        self.say(Tone::Warn, "the run would stand still too: q leaves the dashboard, and the run goes on");
        Effect::Draw
    }

    /// Keys that mean the same whatever is seen.
    fn everywhere(&mut self, action: Action) -> Effect {
        match action {
            Action::Help => self.overlay = Some(Overlay::Help(0)),
            Action::Theme => {
                self.look.theme = self.look.theme.next();
                self.say(Tone::Plain, format!("theme {}", self.look.theme.name()));
            }
            Action::Glyphs => self.look.ascii = !self.look.ascii,
            Action::Export => return Effect::Export,
            _ => return Effect::None,
        }
        Effect::Draw
    }

    fn look(&mut self, action: Action, data: &Data<'_>) -> Effect {
        let sections = self.panel().sections.len();
        let (at, section) = self.focus();
        match action {
            Action::Leave => return Effect::Leave,
            Action::Tab(n) => self.tab = usize::from(n) % TABS,
            Action::NextTab => self.tab = (self.tab + 1) % TABS,
            Action::PreviousTab => self.tab = (self.tab + TABS - 1) % TABS,
            Action::NextSection => self.section[self.tab] = (at + 1) % sections,
            Action::PreviousSection => self.section[self.tab] = (at + sections - 1) % sections,
            Action::Down | Action::Up | Action::PageDown | Action::PageUp | Action::First | Action::Last => {
                self.step(action, data);
            }
            Action::Accept => {
                let cursor = self.row(data);
                match (section.detail)(data, cursor) {
                    Some(detail) => self.overlay = Some(Overlay::Detail(detail, 0)),
                    None => self.say(Tone::Plain, "the row says all there is"),
                }
            }
            Action::Cancel => self.search.clear(),
            Action::Freeze => self.frozen = !self.frozen,
            Action::Search => self.overlay = Some(Overlay::Search(String::new())),
            Action::NextFound => self.find(true, false, data),
            Action::PreviousFound => self.find(false, false, data),
            Action::Launch => {
                self.launching = self.form.is_some();
                if !self.launching {
                    self.say(Tone::Plain, "something runs already");
                }
            }
            Action::Play | Action::Seek(_) | Action::SeekStart | Action::SeekEnd | Action::Faster | Action::Slower => {
                return self.replay(action);
            }
            Action::StartLoad
            | Action::StopLoad
            | Action::Vus
            | Action::Rate
            | Action::AddConsumer
            | Action::RemoveConsumer
            | Action::Verify
            | Action::Restart => self.ask(action, data),
            other => return self.everywhere(other),
        }
        Effect::Draw
    }

    /// Opens the question that goes before an act.
    fn ask(&mut self, action: Action, data: &Data<'_>) {
        if self.slider.is_some() {
            return self.say(Tone::Warn, "this is a recording: nothing can be changed in it");
        }
        if action == Action::StartLoad && self.form.is_some() && self.origin != Origin::Run {
            self.launching = true;
            return;
        }
        if matches!(self.origin, Origin::Ended | Origin::Idle) {
            return self.say(Tone::Warn, "nothing runs that could be changed");
        }
        let act = match action {
            Action::StartLoad => Act::FollowPlan,
            Action::StopLoad => Act::StopLoad,
            Action::AddConsumer => Act::AddConsumer,
            Action::RemoveConsumer => Act::RemoveConsumer,
            Action::Verify => Act::Verify,
            Action::Vus | Action::Rate => {
                self.overlay = Some(Overlay::Number { vus: action == Action::Vus, text: String::new() });
                return;
            }
            _ => {
                let chosen = data.board.stack.newest.as_ref().and_then(|s| s.components.get(self.cursor[STACK][0]));
                let shown = self.tab == STACK && self.section[STACK] == 0;
                let Some(component) = chosen.filter(|_| shown) else {
                    return self.say(Tone::Plain, "choose a component first: 5, then up or down");
                };
                Act::Restart(component.name.clone())
            }
        };
        self.overlay = Some(Overlay::Confirm(act));
    }

    fn replay(&mut self, action: Action) -> Effect {
        let Some(slider) = &mut self.slider else { return Effect::None };
        let speed = SPEEDS.iter().position(|s| *s == slider.speed).unwrap_or(0);
        let to = match action {
            Action::Play => {
                slider.playing = !slider.playing;
                // From the end it begins anew.
                let again = slider.playing && slider.at_ms >= slider.total_ms;
                return if again { Effect::Seek(0) } else { Effect::Draw };
            }
            Action::Faster => {
                slider.speed = SPEEDS[(speed + 1).min(SPEEDS.len() - 1)];
                return Effect::Draw;
            }
            Action::Slower => {
                slider.speed = SPEEDS[speed.saturating_sub(1)];
                return Effect::Draw;
            }
            Action::Seek(s) => slider.at_ms.saturating_add_signed(i64::from(s) * 1_000),
            Action::SeekStart => 0,
            _ => slider.total_ms,
        };
        Effect::Seek(to.min(slider.total_ms))
    }
}
