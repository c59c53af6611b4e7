//! The tabs.

pub use super::stack::LOG_SECTION;
use super::{checks, kafka, mysql, overview, panel::Panel, redis, stack};

/// The panel of a tab.
pub fn panel(tab: usize) -> &'static Panel {
    static ALL: [Panel; 6] = [overview::PANEL, kafka::PANEL, redis::PANEL, mysql::PANEL, stack::PANEL, checks::PANEL];
    &ALL[tab % ALL.len()]
}
