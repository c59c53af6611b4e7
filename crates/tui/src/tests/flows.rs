//! Keys, and what is seen after them.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use record::act::Act;

use super::*;
use crate::{
    acts::Command,
    keys::{self, Mode},
    logs::Pushed,
    view::{Effect, Slider},
};

/// Presses keys, written as `j`, `<Enter>`, `<C-d>`; gives what the last one asked for.
fn press(view: &mut View, board: &Board, keys: &str) -> Effect {
    let logs = sample::logs();
    let mut effect = Effect::None;
    let mut rest = keys;
    while let Some(first) = rest.chars().next() {
        let (name, after) = match rest.strip_prefix('<').and_then(|r| r.split_once('>')) {
            Some((name, after)) => (name, after),
            None => rest.split_at(first.len_utf8()),
        };
        rest = after;
        let (code, modifiers) = match name {
            "Enter" => (KeyCode::Enter, KeyModifiers::NONE),
            "Esc" => (KeyCode::Esc, KeyModifiers::NONE),
            "Tab" => (KeyCode::Tab, KeyModifiers::NONE),
            "BS" => (KeyCode::Backspace, KeyModifiers::NONE),
            "Down" => (KeyCode::Down, KeyModifiers::NONE),
            "Right" => (KeyCode::Right, KeyModifiers::NONE),
            "C-c" => (KeyCode::Char('c'), KeyModifiers::CONTROL),
            "C-z" => (KeyCode::Char('z'), KeyModifiers::CONTROL),
            "C-d" => (KeyCode::Char('d'), KeyModifiers::CONTROL),
            other => (KeyCode::Char(other.chars().next().unwrap()), KeyModifiers::NONE),
        };
        let Some(action) = keys::action(view.mode(), &KeyEvent::new(code, modifiers)) else {
            effect = Effect::None;
            continue;
        };
        effect = view.apply(action, &Data { board, logs: &logs });
    }
    effect
}

#[test]
fn an_act_is_done_only_after_yes() {
    let board = sample::busy();
    let mut view = view();
    for (keys, act) in [
        ("S", Act::StopLoad),
        ("L", Act::FollowPlan),
        ("+", Act::AddConsumer),
        ("d", Act::RemoveConsumer),
        ("V", Act::Verify),
        ("5jR", Act::Restart("redis".into())),
    ] {
        assert_eq!(press(&mut view, &board, keys), Effect::Draw, "{keys}");
        assert!(text(&board, &view, (80, 24)).contains("y Enter yes, do it"), "{keys}");
        assert_eq!(press(&mut view, &board, "n"), Effect::Draw, "{keys}: no");
        assert_eq!(view.mode(), Mode::Look);
        press(&mut view, &board, if keys.len() > 1 { "R" } else { keys });
        assert_eq!(press(&mut view, &board, "y"), Effect::Command(Command::Act(act)), "{keys}: yes");
    }
}

#[test]
fn numbers_are_typed_and_what_is_none_is_not_sent() {
    let board = sample::busy();
    let mut view = view();
    assert_eq!(press(&mut view, &board, "v2x5<BS>00<Enter>"), Effect::Command(Command::Act(Act::SetVus(200))));
    assert_eq!(press(&mut view, &board, "r12.5.5<Enter>"), Effect::Command(Command::Act(Act::SetRate(12.55))));
    assert_eq!(press(&mut view, &board, "v<Enter>"), Effect::Draw);
    assert!(text(&board, &view, (80, 24)).contains("a number is needed"));
    press(&mut view, &board, "<Esc>");
    assert_eq!(view.mode(), Mode::Look);
    // As `control` would refuse it.
    assert_eq!(press(&mut view, &board, "r0<Enter>"), Effect::Draw);
    assert!(text(&board, &view, (80, 24)).contains("a rate above 0 is needed"));
    assert_eq!(press(&mut view, &board, "<BS>0.5<Enter>"), Effect::Command(Command::Act(Act::SetRate(0.5))));
}

#[test]
fn the_shell_gets_the_terminal_unless_a_load_would_stand_still() {
    let board = sample::busy();
    for origin in [Origin::Idle, Origin::Attached, Origin::Watching, Origin::Replay, Origin::Ended] {
        let mut view = View { origin, ..view() };
        assert_eq!(press(&mut view, &board, "<C-z>"), Effect::Suspend, "{origin:?}");
    }
    let mut view = View { origin: Origin::Run, ..view() };
    assert_eq!(press(&mut view, &board, "<C-z>"), Effect::Draw);
    assert!(text(&board, &view, (120, 40)).contains("the run would stand still too"));
}

#[test]
fn a_restart_needs_a_component_under_the_cursor() {
    let board = sample::busy();
    let mut view = view();
    press(&mut view, &board, "R");
    assert_eq!(view.mode(), Mode::Look);
    assert!(text(&board, &view, (80, 24)).contains("choose a component first"));
}

#[test]
fn nothing_is_changed_in_a_recording_or_after_the_end() {
    let board = sample::busy();
    for origin in [Origin::Ended, Origin::Replay] {
        let slider = (origin == Origin::Replay).then_some(Slider { at_ms: 0, total_ms: 9, playing: false, speed: 1 });
        let mut view = View { slider, origin, ..view() };
        for keys in ["S", "v", "r", "+", "-", "V", "L"] {
            press(&mut view, &board, keys);
            assert!(view.overlay.is_none(), "{origin:?} {keys}");
        }
    }
}

#[test]
fn a_dead_letter_is_opened_and_closed() {
    let board = sample::busy();
    let mut view = view();
    press(&mut view, &board, "2<Tab><Tab><Enter>");
    let screen = text(&board, &view, (120, 40));
    assert!(screen.contains("Dead letter, partition 0 offset 1") && screen.contains("\"userId\":\"4711\""), "{screen}");
    press(&mut view, &board, "<Esc>");
    assert!(!text(&board, &view, (120, 40)).contains("\"userId\""));
}

#[test]
fn the_rows_of_a_violated_check_are_shown() {
    let board = sample::trouble();
    let mut view = view();
    press(&mut view, &board, "6<Enter>");
    assert!(text(&board, &view, (80, 24)).contains("user 4711, grant 831"));
}

#[test]
fn search_goes_from_one_line_to_the_next_and_round() {
    let board = sample::busy();
    let mut view = View { section: [0, 0, 0, 0, 1, 0], ..view() };
    press(&mut view, &board, "5g/LOCK wait<Enter>");
    assert_eq!(view.cursor[4][1], 3, "whatever the case");
    press(&mut view, &board, "n");
    assert_eq!(view.cursor[4][1], 8);
    press(&mut view, &board, "NN");
    assert_eq!(view.cursor[4][1], 38, "round the beginning");
    press(&mut view, &board, "/nowhere<Enter>");
    assert!(text(&board, &view, (80, 24)).contains("not found: nowhere"));
    press(&mut view, &board, "/텀블러<Enter>");
    assert_eq!(view.cursor[4][1] % 5, 1, "Korean is found");
}

#[test]
fn logs_follow_until_somebody_moves_and_again_from_the_end() {
    let board = sample::busy();
    let mut view = View { section: [0, 0, 0, 0, 1, 0], tab: 4, ..view() };
    assert!(view.follow);
    press(&mut view, &board, "k");
    assert_eq!((view.follow, view.cursor[4][1]), (false, 38));
    view.log_line_came(Pushed { at: 39, gone: true });
    assert_eq!(view.cursor[4][1], 37, "the row under the cursor stays the same line");
    view.log_line_came(Pushed { at: 3, gone: false });
    assert_eq!(view.cursor[4][1], 38, "also when a line that came late is put above it");
    press(&mut view, &board, "G");
    assert!(view.follow);
}

#[test]
fn tabs_by_number_letter_and_arrow() {
    let board = sample::busy();
    let mut view = view();
    press(&mut view, &board, "3");
    assert_eq!(view.tab, 2);
    press(&mut view, &board, "l<Right>h");
    assert_eq!(view.tab, 3);
    press(&mut view, &board, "hhhhh");
    assert_eq!(view.tab, 4, "round the beginning");
}

#[test]
fn a_replay_moves_both_ways_within_its_bounds() {
    let board = sample::busy();
    let slider = Slider { at_ms: 5_000, total_ms: 30_000, playing: false, speed: 1 };
    let mut view = View { slider: Some(slider), origin: Origin::Replay, ..view() };
    for (key, to) in
        [(".", 6_000), (",", 4_000), ("[", 0), ("]", 15_000), ("}", 30_000), ("{", 0), ("0", 0), ("$", 30_000)]
    {
        assert_eq!(press(&mut view, &board, key), Effect::Seek(to), "{key}");
    }
    press(&mut view, &board, " >>><");
    assert_eq!(view.slider.map(|s| (s.playing, s.speed)), Some((true, 5)));
}

#[test]
fn freeze_theme_and_glyphs_are_seen() {
    let board = sample::busy();
    let mut view = view();
    press(&mut view, &board, "f");
    assert!(text(&board, &view, (80, 24)).contains("FROZEN"));
    press(&mut view, &board, "ftu");
    let screen = text(&board, &view, (80, 24));
    assert!(!screen.contains("FROZEN") && screen.contains("---- ") && !screen.contains('─'), "{screen}");
}

#[test]
fn every_key_of_every_mode_can_be_pressed_anywhere() {
    let board = sample::trouble();
    let logs = sample::logs();
    for binding in keys::TABLE {
        for opener in ["", "?", "v", "r", "S", "/", "6<Enter>"] {
            let mut view = view();
            press(&mut view, &board, opener);
            view.apply(binding.action, &Data { board: &board, logs: &logs });
            drawn(&board, &logs, &view, (80, 24));
        }
    }
}

#[test]
fn ctrl_c_is_never_swallowed() {
    let board = sample::busy();
    for opener in ["", "?", "v", "S", "/", "2<Enter>"] {
        let mut view = view();
        press(&mut view, &board, opener);
        assert_eq!(press(&mut view, &board, "<C-c>"), Effect::Command(Command::Interrupt), "{opener}");
    }
}
