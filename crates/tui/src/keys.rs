//! Which key does what, by mode: one table, from which look-up, help and `docs/dashboard.md` are made.

mod table;

use std::fmt::Write as _;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

pub use self::table::TABLE;

/// What the keys are for at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Looking.
    Look,
    /// Looking at a recorded run: what [`Mode::Look`] has, and the slider.
    Replay,
    /// Typing what to search for.
    Search,
    /// Typing a number of virtual users or a rate.
    Number,
    /// Asked whether something shall be done.
    Confirm,
    /// Reading one row in full.
    Detail,
    /// Reading the keys.
    Help,
    /// Choosing what to start.
    Launch,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Look, Self::Replay, Self::Search, Self::Number, Self::Confirm, Self::Detail, Self::Help, Self::Launch];

    /// Heading in the help.
    pub fn title(self) -> &'static str {
        match self {
            Self::Look => "Looking",
            Self::Replay => "Replay",
            Self::Search => "Search",
            Self::Number => "Number",
            Self::Confirm => "Question",
            Self::Detail => "Row in full",
            Self::Help => "Help",
            Self::Launch => "Start",
        }
    }
}

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Leave the dashboard; a run goes on.
    Leave,
    /// End the run cleanly; without one, leave.
    Interrupt,
    /// Show or hide the keys.
    Help,
    /// Show this tab, from 0.
    Tab(u8),
    /// Next tab.
    NextTab,
    /// The tab before.
    PreviousTab,
    /// Next table of the tab.
    NextSection,
    /// The table before.
    PreviousSection,
    /// One row down.
    Down,
    /// One row up.
    Up,
    /// A page down.
    PageDown,
    /// A page up.
    PageUp,
    /// First row.
    First,
    /// Last row.
    Last,
    /// Show the row in full; do it; yes.
    Accept,
    /// Close what is open; no.
    Cancel,
    /// Stop or go on taking in what is new.
    Freeze,
    /// Search.
    Search,
    /// Next row that was found.
    NextFound,
    /// The one before.
    PreviousFound,
    /// Next theme.
    Theme,
    /// Unicode or ASCII.
    Glyphs,
    /// Write the screen to a file.
    Export,
    /// Start load.
    StartLoad,
    /// Stop load.
    StopLoad,
    /// Change the virtual users.
    Vus,
    /// Change the rate.
    Rate,
    /// One consumer more.
    AddConsumer,
    /// One consumer fewer.
    RemoveConsumer,
    /// Run the checks.
    Verify,
    /// Restart the component under the cursor.
    Restart,
    /// Replay: go on or stand.
    Play,
    /// Replay: this many seconds further (negative: back).
    Seek(i16),
    /// Replay: to the beginning.
    SeekStart,
    /// Replay: to the end.
    SeekEnd,
    /// Replay: faster.
    Faster,
    /// Replay: slower.
    Slower,
    /// Choose what to start.
    Launch,
    /// Give the terminal to the shell for a while.
    Suspend,
    /// Take the last character back.
    Backspace,
    /// Choose the value before.
    ChooseLeft,
    /// Choose the next value.
    ChooseRight,
    /// A character that was typed.
    Type(char),
}

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// Which.
    pub code: KeyCode,
    /// With Ctrl.
    pub ctrl: bool,
}

impl Key {
    const fn of(code: KeyCode) -> Self {
        Self { code, ctrl: false }
    }

    /// Its name in the help.
    pub fn name(self) -> String {
        let name = match self.code {
            KeyCode::Char(' ') => "Space".into(),
            KeyCode::Char(c) => c.to_string(),
            KeyCode::Up => "Up".into(),
            KeyCode::Down => "Down".into(),
            KeyCode::Left => "Left".into(),
            KeyCode::Right => "Right".into(),
            KeyCode::Home => "Home".into(),
            KeyCode::End => "End".into(),
            KeyCode::PageUp => "PgUp".into(),
            KeyCode::PageDown => "PgDn".into(),
            KeyCode::Enter => "Enter".into(),
            KeyCode::Esc => "Esc".into(),
            KeyCode::Tab => "Tab".into(),
            KeyCode::BackTab => "Shift-Tab".into(),
            KeyCode::Backspace => "Backspace".into(),
            KeyCode::F(n) => format!("F{n}"),
            other => format!("{other:?}"),
        };
        if self.ctrl { format!("Ctrl-{name}") } else { name }
    }
}

/// One line of the table.
#[derive(Debug)]
pub struct Binding {
    /// Mode in which it counts.
    pub mode: Mode,
    /// Keys that do it.
    pub keys: &'static [Key],
    /// What they do.
    pub action: Action,
    /// In words.
    pub words: &'static str,
    /// In a word, where it stands in the bottom line too.
    pub hint: Option<&'static str>,
}

/// What `event` asks for in `mode`.
pub fn action(mode: Mode, event: &KeyEvent) -> Option<Action> {
    if event.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER | KeyModifiers::META) {
        return None;
    }
    let key = Key { code: event.code, ctrl: event.modifiers.contains(KeyModifiers::CONTROL) };
    let bound = |mode: Mode| TABLE.iter().find(|b| b.mode == mode && b.keys.contains(&key)).map(|b| b.action);
    let action = bound(mode).or_else(|| if mode == Mode::Replay { bound(Mode::Look) } else { None });
    action.or(match (mode, key) {
        (Mode::Search, Key { code: KeyCode::Char(c), ctrl: false }) => Some(Action::Type(c)),
        (Mode::Number, Key { code: KeyCode::Char(c), ctrl: false }) if c.is_ascii_digit() || c == '.' => {
            Some(Action::Type(c))
        }
        (Mode::Launch, Key { code: KeyCode::Char(c), ctrl: false }) if c.is_ascii_digit() => Some(Action::Type(c)),
        _ => None,
    })
}

/// The keys of a binding, as in `j Down`.
pub fn names(binding: &Binding) -> String {
    binding.keys.iter().map(|key| key.name()).collect::<Vec<_>>().join(" ")
}

/// The bindings of `mode`.
pub fn of(mode: Mode) -> impl Iterator<Item = &'static Binding> {
    TABLE.iter().filter(move |b| b.mode == mode)
}

/// The table as `docs/dashboard.md` has it.
pub fn markdown() -> String {
    let mut text = String::from("| mode | keys | what they do |\n|---|---|---|\n");
    for mode in Mode::ALL {
        for binding in of(mode) {
            let keys = binding.keys.iter().map(|key| format!("`{}`", key.name())).collect::<Vec<_>>().join(" ");
            let _ = writeln!(text, "| {} | {keys} | {} |", mode.title(), binding.words);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_mode() {
        let mut seen = HashSet::new();
        for binding in TABLE {
            for key in binding.keys {
                assert!(seen.insert((binding.mode, *key)), "{:?} {}", binding.mode, key.name());
            }
        }
        for binding in of(Mode::Replay) {
            for key in binding.keys {
                assert!(!seen.contains(&(Mode::Look, *key)), "{} hides a key of looking", key.name());
            }
        }
    }

    #[test]
    fn the_document_has_this_table() {
        let document = include_str!("../../../docs/dashboard.md");
        assert!(document.contains(&markdown()), "docs/dashboard.md should hold:\n{}", markdown());
    }

    #[test]
    fn every_line_is_reachable_by_each_of_its_keys() {
        for binding in TABLE {
            for key in binding.keys {
                let modifiers = if key.ctrl { KeyModifiers::CONTROL } else { KeyModifiers::NONE };
                let event = KeyEvent::new(key.code, modifiers);
                assert_eq!(action(binding.mode, &event), Some(binding.action), "{:?} {}", binding.mode, key.name());
            }
        }
    }

    #[test]
    fn whoever_uses_arrows_and_whoever_uses_letters_gets_everywhere() {
        let mut plain: HashMap<(Mode, Action), (bool, bool)> = HashMap::new();
        for b in TABLE
            .iter()
            .filter(|b| matches!(b.action, Action::Up | Action::Down | Action::NextTab | Action::PreviousTab))
        {
            let entry = plain.entry((b.mode, b.action)).or_default();
            entry.0 |= b.keys.iter().any(|key| matches!(key.code, KeyCode::Char(_)));
            entry.1 |= b.keys.iter().any(|key| !matches!(key.code, KeyCode::Char(_)));
        }
        assert!(plain.values().all(|(letters, arrows)| *letters && *arrows), "{plain:?}");
    }

    #[test]
    fn capital_letters_come_with_shift_from_some_terminals() {
        let event = KeyEvent::new(KeyCode::Char('V'), KeyModifiers::SHIFT);
        assert_eq!(action(Mode::Look, &event), Some(Action::Verify));
    }

    #[test]
    fn typing_is_text_where_text_is_asked_for_only() {
        let key = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE);
        assert_eq!(action(Mode::Search, &key('q')), Some(Action::Type('q')));
        assert_eq!(action(Mode::Number, &key('7')), Some(Action::Type('7')));
        assert_eq!(action(Mode::Number, &key('q')), None);
        assert_eq!(action(Mode::Confirm, &key('7')), None);
        assert_eq!(action(Mode::Look, &KeyEvent::new(KeyCode::Char('q'), KeyModifiers::ALT)), None);
    }
}
