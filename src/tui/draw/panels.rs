//! The tabs.

pub use super::stack::LOG_SECTION;
use super::{checks, kafka, mysql, overview, panel::Panel, redis, stack};

/// The panel of a tab.
pub fn panel(tab: usize) -> &'static Panel {
    const PANELS: [Panel; 6] = [overview::PANEL, kafka::PANEL, redis::PANEL, mysql::PANEL, stack::PANEL, checks::PANEL];
    static ALL: [Panel; 6] = PANELS;
    &ALL[tab % ALL.len()]
}
