//! What the dashboard costs: one draw of each panel at the largest screen, making a board of a long run's state, and the
//! memory of that state.
//!
//! `cargo bench --bench dashboard`. No test: a figure here never fails a build.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::time::{Duration, Instant};

use contract::claim::{Claim, coupon::ROWS};
use ratatui::{Terminal, backend::TestBackend};
use record::{
    event::{Event, Figures, LoadSample, ProbeSample, Stamped},
    state::RunState,
};
use tui::{
    board,
    draw::{self, table::Data},
    sample,
    theme::Look,
    view::View,
};

const DRAWS: usize = 500;
const EIGHT_HOURS: u64 = 8 * 3_600;

fn main() {
    let (board, logs) = (sample::trouble(), sample::logs());
    println!("one draw at 200 x 60, of {DRAWS}:");
    for tab in 0..6 {
        let view = View { tab, ..View::new(Look::default()) };
        let mut terminal = Terminal::new(TestBackend::new(200, 60)).unwrap();
        let (mut all, mut longest) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..DRAWS {
            let since = Instant::now();
            terminal
                .draw(|frame| {
                    draw::screen(frame.buffer_mut(), &Data { board: &board, logs: &logs }, &view);
                })
                .unwrap();
            let took = since.elapsed();
            all += took;
            longest = longest.max(took);
        }
        println!("  {:<9} mean {:>7.3} ms, longest {:>7.3} ms", view.panel().name, ms(all / DRAWS as u32), ms(longest));
    }
    let state = eight_hours();
    println!("this process with the state of an eight-hour run: {:.1} MiB", resident() as f64 / 1_048_576.0);
    let since = Instant::now();
    for _ in 0..DRAWS {
        std::hint::black_box(board::board(&state));
    }
    println!("a board of it: {:.3} ms", ms(since.elapsed() / DRAWS as u32));
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// One sample of everything a second.
fn eight_hours() -> RunState {
    let mut state = RunState::default();
    let busy = sample::busy();
    let kafka = (*busy.kafka.newest.unwrap()).clone();
    let redis = (*busy.redis.newest.unwrap()).clone();
    let mysql = (*busy.mysql.newest.unwrap()).clone();
    let stack = (*busy.stack.newest.unwrap()).clone();
    for second in 0..EIGHT_HOURS {
        let load = LoadSample { sent: second * 100, rps: 100.0, p95_ms: Some(second as f64), ..LoadSample::default() };
        let subjects = (1..=20).map(|id| (Claim::coupon(id), Figures::default().with(ROWS, second))).collect();
        let probe = ProbeSample { subjects, lag: Some(second), redis_ms: Some(1.0), ..ProbeSample::default() };
        let events = [
            Event::Load(load),
            Event::Probe(probe),
            Event::Kafka(kafka.clone()),
            Event::Redis(redis.clone()),
            Event::Mysql(mysql.clone()),
            Event::Stack(stack.clone()),
        ];
        for event in events {
            state.apply(&Stamped { t_ms: second * 1_000, event });
        }
    }
    state
}

/// Bytes of memory that this process has.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    pages * 4_096
}
