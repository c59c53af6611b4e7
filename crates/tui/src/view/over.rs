//! Keys for what lies over the panels, and for the form.

use record::act::{Act, takes_rate};

use super::{Effect, Overlay, View};
use crate::{acts::Command, draw::table::Data, keys::Action, model::Tone};

impl View {
    /// Something is open: keys are for it.
    pub(super) fn over(&mut self, overlay: Overlay, action: Action, data: &Data<'_>) -> Effect {
        let page = self.page.max(2) / 2;
        match (overlay, action) {
            (
                Overlay::Help(_)
                | Overlay::Detail(..)
                | Overlay::Confirm(_)
                | Overlay::Number { .. }
                | Overlay::Search(_),
                Action::Cancel,
            ) => {}
            (Overlay::Help(at), action) => self.overlay = Some(Overlay::Help(scrolled(at, action, page))),
            (Overlay::Detail(detail, at), action) => {
                self.overlay = Some(Overlay::Detail(detail, scrolled(at, action, page)));
            }
            (Overlay::Confirm(act), Action::Accept) => return Effect::Command(Command::Act(act)),
            (Overlay::Number { vus, text }, Action::Accept) => return self.number(vus, text),
            (Overlay::Number { vus, mut text }, Action::Type(c)) => {
                if text.len() < 9 && (c != '.' || (!vus && !text.contains('.'))) {
                    text.push(c);
                }
                self.overlay = Some(Overlay::Number { vus, text });
            }
            (Overlay::Number { vus, mut text }, Action::Backspace) => {
                text.pop();
                self.overlay = Some(Overlay::Number { vus, text });
            }
            (Overlay::Search(text), Action::Accept) => {
                self.search = text;
                if !self.search.is_empty() {
                    self.find(true, true, data);
                }
            }
            (Overlay::Search(mut text), Action::Type(c)) => {
                text.push(c);
                self.overlay = Some(Overlay::Search(text));
            }
            (Overlay::Search(mut text), Action::Backspace) => {
                text.pop();
                self.overlay = Some(Overlay::Search(text));
            }
            (overlay, _) => self.overlay = Some(overlay),
        }
        Effect::Draw
    }

    fn number(&mut self, vus: bool, text: String) -> Effect {
        // What a load would refuse is not asked of it.
        let (act, needed) = if vus {
            (text.parse().ok().map(Act::SetVus), "a number is needed")
        } else {
            let rate = text.parse().ok().filter(|rate| takes_rate(*rate));
            (rate.map(Act::SetRate), "a rate above 0 is needed; `x` ends the load")
        };
        if let Some(act) = act {
            return Effect::Command(Command::Act(act));
        }
        self.say(Tone::Warn, needed);
        self.overlay = Some(Overlay::Number { vus, text });
        Effect::Draw
    }

    pub(super) fn launch(&mut self, action: Action) -> Effect {
        let Some(form) = &mut self.form else {
            self.launching = false;
            return Effect::Draw;
        };
        match action {
            Action::Down => form.step(true),
            Action::Up => form.step(false),
            Action::ChooseLeft => form.choose(false),
            Action::ChooseRight => form.choose(true),
            Action::Type(c) => form.digit(c),
            Action::Backspace => form.backspace(),
            Action::Cancel => self.launching = false,
            Action::Accept => {
                if let Some(busy) = form.busy {
                    self.say(Tone::Warn, format!("`{}` is under way", busy.name()));
                } else if let Some(order) = form.accept() {
                    form.busy = Some(order.what);
                    return Effect::Command(Command::Launch(order));
                }
            }
            Action::Leave => return Effect::Leave,
            other => return self.everywhere(other),
        }
        Effect::Draw
    }
}

fn scrolled(at: usize, action: Action, page: usize) -> usize {
    match action {
        Action::Down => at + 1,
        Action::Up => at.saturating_sub(1),
        Action::PageDown => at + page,
        Action::PageUp => at.saturating_sub(page),
        _ => at,
    }
}
