//! Snapshots of each panel and of whole screens, at the sizes that count.

use std::sync::Arc;

use record::{act::Act, state::RunState};

use super::*;
use crate::{
    acts::question,
    board,
    draw::table::Detail,
    launch::{Choices, Form, ProfileChoice},
    theme::Theme,
    view::{Overlay, Slider},
};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

#[test]
fn every_panel_at_every_size() {
    for (width, height) in SIZES {
        for tab in 0..6 {
            let view = View { tab, ..view() };
            let name = format!("{}-{width}x{height}", view.panel().name.to_lowercase());
            insta::assert_snapshot!(name, text(&sample::busy(), &view, (width, height)));
        }
    }
}

#[test]
fn trouble_is_told_and_the_last_figures_stay() {
    for tab in [0, 2, 5] {
        let view = View { tab, ..view() };
        let name = format!("trouble-{}", view.panel().name.to_lowercase());
        insta::assert_snapshot!(name, text(&sample::trouble(), &view, (80, 24)));
    }
}

#[test]
fn before_anything_was_read() {
    for tab in 0..6 {
        let view = View { tab, ..view() };
        let name = format!("empty-{}", view.panel().name.to_lowercase());
        insta::assert_snapshot!(
            name,
            export::text(&drawn(&board::board(&RunState::default()), &Logs::default(), &view, (80, 24)))
        );
    }
}

/// The first look at processes has no CPU yet: what is not known is no figure, and no `-0 %`.
#[test]
fn what_no_component_tells_is_not_added_up() {
    let mut board = sample::busy();
    let mut stack = board.stack.newest.as_deref().unwrap().clone();
    for component in &mut stack.components {
        (component.cpu, component.mem) = (None, None);
    }
    board.stack.newest = Some(Arc::new(stack));
    let screen = text(&board, &View { tab: 4, ..view() }, (80, 24));
    assert!(screen.contains("CPU -   memory -"), "{screen}");
}

/// Claims without subjects have no table in which they could be looked for.
#[test]
fn claims_without_subjects_are_counted() {
    let mut board = sample::busy();
    let load = board.load.as_mut().unwrap();
    load.claims = [("coupon".to_owned(), 15_234), ("point".to_owned(), 4_321)].into();
    let screen = text(&board, &view(), (120, 40));
    assert!(screen.contains("point 4,321 claimed") && !screen.contains("15,234 claimed"), "{screen}");
}

#[test]
fn what_lies_over_the_panels() {
    let detail =
        Detail { title: "Dead letter".into(), lines: vec!["reason: 알 수 없는 쿠폰".into(), "x ".repeat(90)] };
    for (name, overlay) in [
        ("help", Overlay::Help(0)),
        ("detail", Overlay::Detail(detail, 0)),
        ("confirm", Overlay::Confirm(Act::Restart("redis".into()))),
        ("number", Overlay::Number { vus: true, text: "200".into() }),
        ("search", Overlay::Search("쿠폰".into())),
    ] {
        let view = View { overlay: Some(overlay), ..view() };
        insta::assert_snapshot!(format!("over-{name}"), text(&sample::busy(), &view, (80, 24)));
    }
    assert!(question(&Act::StopLoad).contains("Stop the load?"));
}

#[test]
fn the_form_where_nothing_runs() {
    let profile = |name: &str, system: &str| ProfileChoice {
        name: name.into(),
        system: system.into(),
        about: "1,000 coupons, 500 virtual users, 30 s".into(),
        users: 10_000,
        products: 1_000,
    };
    let choices = Choices {
        profiles: vec![profile("coupon-quick", "ecommerce"), profile("coupon-event", "ecommerce")],
        providers: vec!["auto".into(), "native".into(), "docker".into()],
    };
    let view = View { form: Some(Form::new(choices)), launching: true, origin: Origin::Idle, ..view() };
    insta::assert_snapshot!("start", text(&board::board(&RunState::default()), &view, (80, 24)));
}

#[test]
fn a_replay_has_a_slider() {
    let slider = Slider { at_ms: 47_200, total_ms: 150_000, playing: true, speed: 10 };
    let view = View { slider: Some(slider), origin: Origin::Replay, ..view() };
    insta::assert_snapshot!("replay", text(&sample::busy(), &view, (80, 24)));
}

#[test]
fn ascii_is_ascii_but_for_the_data() {
    let mut board = sample::trouble();
    for subject in &mut board.subjects {
        subject.name = "plain".into();
    }
    let look = Look { theme: Theme::None, ascii: true };
    for tab in 0..6 {
        let view = View { tab, look, slider: None, ..view() };
        let screen = export::text(&drawn(&board, &Logs::default(), &view, (120, 40)));
        let foreign: String = screen.chars().filter(|c| !c.is_ascii()).collect();
        // What other programs wrote stays as it is.
        assert!(foreign.chars().all(|c| "…인기상품".contains(c)), "{foreign}\n{screen}");
    }
    let view = View { look, ..view() };
    insta::assert_snapshot!("ascii", export::text(&drawn(&board, &Logs::default(), &view, (80, 24))));
}

#[test]
fn a_window_that_is_too_small_says_so() {
    insta::assert_snapshot!("too-small", text(&sample::busy(), &view(), (60, 12)));
}

#[test]
fn korean_names_do_not_push_figures_out_of_line() {
    let mut board = sample::busy();
    let view = View { section: [1, 0, 0, 0, 0, 0], ..view() };
    let figures = |board: &Board| -> Vec<String> {
        let buffer = drawn(board, &Logs::default(), &view, (200, 60));
        let column = |y: u16| (150..200).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>();
        (0..60).map(column).filter(|line| line.trim_end().ends_with("812") || line.contains("1,000")).collect()
    };
    let wide = figures(&board);
    for subject in &mut board.subjects {
        subject.name = "a plain name".into();
    }
    assert!(!wide.is_empty());
    assert_eq!(wide, figures(&board));
}
