//! The cursor in tables, and the search that moves it.

use super::{STACK, View};
use crate::{
    draw::{
        panels::LOG_SECTION,
        table::{Data, Section},
    },
    keys::Action,
    model::Tone,
};

impl View {
    /// Row under the cursor of the table that has the keys.
    pub fn row(&self, data: &Data<'_>) -> usize {
        let (at, section) = self.focus();
        self.row_of(at, section, data)
    }

    /// Row under the cursor of table `at`.
    pub fn row_of(&self, at: usize, section: &Section, data: &Data<'_>) -> usize {
        let last = (section.len)(data).saturating_sub(1);
        if self.follow && self.tab == STACK && at == LOG_SECTION { last } else { self.cursor[self.tab][at].min(last) }
    }

    pub(super) fn step(&mut self, action: Action, data: &Data<'_>) {
        let (at, section) = self.focus();
        let last = (section.len)(data).saturating_sub(1);
        let now = self.row_of(at, section, data);
        let page = self.page.max(2) - 1;
        let to = match action {
            Action::Down => now + 1,
            Action::Up => now.saturating_sub(1),
            Action::PageDown => now + page,
            Action::PageUp => now.saturating_sub(page),
            Action::First => 0,
            _ => last,
        };
        self.go(at, to.min(last), last, action == Action::Last);
    }

    fn go(&mut self, at: usize, to: usize, last: usize, follow: bool) {
        self.cursor[self.tab][at] = to;
        if self.tab == STACK && at == LOG_SECTION {
            self.follow = follow || (self.follow && to == last);
        }
    }

    /// Goes to the next row that holds what is searched for; `here` counts the present one too.
    pub(super) fn find(&mut self, forward: bool, here: bool, data: &Data<'_>) {
        if self.search.is_empty() {
            return self.say(Tone::Plain, "nothing is searched for: /");
        }
        let (at, section) = self.focus();
        let len = (section.len)(data);
        let now = self.row_of(at, section, data);
        let found = (usize::from(!here)..=len)
            .map(|step| if forward { now + step } else { now + len * 2 - step } % len.max(1))
            .find(|row| *row < len && section.holds(data, *row, &self.search));
        match found {
            Some(row) => self.go(at, row, len.saturating_sub(1), false),
            None => self.say(Tone::Warn, format!("not found: {}", self.search)),
        }
    }
}
