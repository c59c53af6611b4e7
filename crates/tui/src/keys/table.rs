//! The table itself: what is not in it does nothing, and the help and `docs/dashboard.md` are drawn from it.

use crossterm::event::KeyCode;

use super::{Action, Binding, Key, Mode};

const fn c(c: char) -> Key {
    Key::of(KeyCode::Char(c))
}

const fn ctrl(c: char) -> Key {
    Key { code: KeyCode::Char(c), ctrl: true }
}

const fn k(code: KeyCode) -> Key {
    Key::of(code)
}

const UP: &[Key] = &[c('k'), k(KeyCode::Up)];
const DOWN: &[Key] = &[c('j'), k(KeyCode::Down)];
const ENTER: &[Key] = &[k(KeyCode::Enter)];
const ESC: &[Key] = &[k(KeyCode::Esc)];
const BACKSPACE: &[Key] = &[k(KeyCode::Backspace)];
const INTERRUPT: &[Key] = &[ctrl('c')];
const SUSPEND: &[Key] = &[ctrl('z')];

macro_rules! bindings {
    ($($mode:ident $keys:expr => $action:expr, $words:literal $(, $hint:literal)?;)*) => {
        &[$(Binding { mode: Mode::$mode, keys: $keys, action: $action, words: $words, hint: bindings!(@ $($hint)?) }),*]
    };
    (@ $hint:literal) => { Some($hint) };
    (@) => { None };
}

/// The table. In [`Mode::Replay`] the keys of [`Mode::Look`] count as well.
pub const TABLE: &[Binding] = bindings! {
    Look &[c('q')] => Action::Leave, "leave; a run goes on", "leave";
    Look INTERRUPT => Action::Interrupt, "end the run cleanly; without one, leave";
    Look SUSPEND => Action::Suspend, "to the shell; fg comes back";
    Look &[c('?'), k(KeyCode::F(1))] => Action::Help, "these keys", "keys";
    Look &[c('1')] => Action::Tab(0), "overview";
    Look &[c('2')] => Action::Tab(1), "Kafka";
    Look &[c('3')] => Action::Tab(2), "Redis";
    Look &[c('4')] => Action::Tab(3), "MySQL";
    Look &[c('5')] => Action::Tab(4), "stack and logs";
    Look &[c('6')] => Action::Tab(5), "checks";
    Look &[c('l'), k(KeyCode::Right)] => Action::NextTab, "next tab";
    Look &[c('h'), k(KeyCode::Left)] => Action::PreviousTab, "tab before";
    Look &[k(KeyCode::Tab), c('w')] => Action::NextSection, "next table", "table";
    Look &[k(KeyCode::BackTab), c('W')] => Action::PreviousSection, "table before";
    Look DOWN => Action::Down, "row down";
    Look UP => Action::Up, "row up";
    Look &[k(KeyCode::PageDown), ctrl('d'), ctrl('f')] => Action::PageDown, "page down";
    Look &[k(KeyCode::PageUp), ctrl('u'), ctrl('b')] => Action::PageUp, "page up";
    Look &[c('g'), k(KeyCode::Home)] => Action::First, "first row";
    Look &[c('G'), k(KeyCode::End)] => Action::Last, "last row; logs follow from there";
    Look ENTER => Action::Accept, "the row in full", "row";
    Look ESC => Action::Cancel, "forget the search";
    Look &[c('f')] => Action::Freeze, "freeze, and go on", "freeze";
    Look &[c('/')] => Action::Search, "search the table", "search";
    Look &[c('n')] => Action::NextFound, "next row found";
    Look &[c('N')] => Action::PreviousFound, "row found before";
    Look &[c('t')] => Action::Theme, "next theme";
    Look &[c('u')] => Action::Glyphs, "Unicode or ASCII";
    Look &[c('s')] => Action::Export, "write the screen to a text file";
    Look &[c('L')] => Action::StartLoad, "start a load; in a run, go on as planned";
    Look &[c('S')] => Action::StopLoad, "stop the load", "stop";
    Look &[c('v')] => Action::Vus, "change virtual users", "VUs";
    Look &[c('r')] => Action::Rate, "change the rate", "rate";
    Look &[c('+'), c('a')] => Action::AddConsumer, "one consumer more";
    Look &[c('-'), c('d')] => Action::RemoveConsumer, "one consumer fewer";
    Look &[c('V')] => Action::Verify, "run the checks now";
    Look &[c('o')] => Action::Launch, "choose what to start, where nothing runs";
    Look &[c('R')] => Action::Restart, "restart the component under the cursor (stack)";

    Replay &[c(' ')] => Action::Play, "go on, or stand", "play";
    Replay &[c(',')] => Action::Seek(-1), "1 s back", "-1 s";
    Replay &[c('.')] => Action::Seek(1), "1 s further", "+1 s";
    Replay &[c('[')] => Action::Seek(-10), "10 s back", "-10 s";
    Replay &[c(']')] => Action::Seek(10), "10 s further", "+10 s";
    Replay &[c('{')] => Action::Seek(-60), "60 s back";
    Replay &[c('}')] => Action::Seek(60), "60 s further";
    Replay &[c('0')] => Action::SeekStart, "to the beginning";
    Replay &[c('$')] => Action::SeekEnd, "to the end";
    Replay &[c('>')] => Action::Faster, "faster";
    Replay &[c('<')] => Action::Slower, "slower";

    Search ENTER => Action::Accept, "search", "search";
    Search ESC => Action::Cancel, "forget it", "forget it";
    Search BACKSPACE => Action::Backspace, "last character back";
    Search INTERRUPT => Action::Interrupt, "end the run cleanly; without one, leave";
    Search SUSPEND => Action::Suspend, "to the shell; fg comes back";

    Number ENTER => Action::Accept, "do it", "do it";
    Number ESC => Action::Cancel, "leave it", "leave it";
    Number BACKSPACE => Action::Backspace, "last digit back";
    Number INTERRUPT => Action::Interrupt, "end the run cleanly; without one, leave";
    Number SUSPEND => Action::Suspend, "to the shell; fg comes back";

    Confirm &[c('y'), k(KeyCode::Enter)] => Action::Accept, "yes, do it", "yes, do it";
    Confirm &[c('n'), c('q'), k(KeyCode::Esc)] => Action::Cancel, "no", "no";
    Confirm INTERRUPT => Action::Interrupt, "end the run cleanly; without one, leave";
    Confirm SUSPEND => Action::Suspend, "to the shell; fg comes back";

    Detail DOWN => Action::Down, "line down", "down";
    Detail UP => Action::Up, "line up", "up";
    Detail &[k(KeyCode::PageDown), ctrl('d'), ctrl('f')] => Action::PageDown, "page down";
    Detail &[k(KeyCode::PageUp), ctrl('u'), ctrl('b')] => Action::PageUp, "page up";
    Detail &[k(KeyCode::Esc), k(KeyCode::Enter), c('q')] => Action::Cancel, "close", "close";
    Detail INTERRUPT => Action::Interrupt, "end the run cleanly; without one, leave";
    Detail SUSPEND => Action::Suspend, "to the shell; fg comes back";

    Help DOWN => Action::Down, "line down", "down";
    Help UP => Action::Up, "line up", "up";
    Help &[k(KeyCode::PageDown), ctrl('d'), ctrl('f')] => Action::PageDown, "page down";
    Help &[k(KeyCode::PageUp), ctrl('u'), ctrl('b')] => Action::PageUp, "page up";
    Help &[c('?'), k(KeyCode::F(1)), k(KeyCode::Esc), c('q')] => Action::Cancel, "close", "close";
    Help INTERRUPT => Action::Interrupt, "end the run cleanly; without one, leave";
    Help SUSPEND => Action::Suspend, "to the shell; fg comes back";

    Launch &[c('j'), k(KeyCode::Down), k(KeyCode::Tab)] => Action::Down, "next line", "down";
    Launch &[c('k'), k(KeyCode::Up), k(KeyCode::BackTab)] => Action::Up, "line before", "up";
    Launch &[c('h'), k(KeyCode::Left)] => Action::ChooseLeft, "value before", "value before";
    Launch &[c('l'), k(KeyCode::Right)] => Action::ChooseRight, "next value", "next value";
    Launch ENTER => Action::Accept, "do what the line says", "do it";
    Launch BACKSPACE => Action::Backspace, "last digit back";
    Launch ESC => Action::Cancel, "look at the panels";
    Launch &[c('?'), k(KeyCode::F(1))] => Action::Help, "these keys";
    Launch &[c('t')] => Action::Theme, "next theme";
    Launch &[c('u')] => Action::Glyphs, "Unicode or ASCII";
    Launch &[c('q')] => Action::Leave, "leave", "leave";
    Launch INTERRUPT => Action::Interrupt, "leave";
    Launch SUSPEND => Action::Suspend, "to the shell; fg comes back";
};
