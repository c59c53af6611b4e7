//! Where the tables of a panel stand.

use ratatui::layout::Rect;

use super::{panel::Panel, pen::halves, table::Data};

/// From this width on tables of a group stand side by side.
const WIDE: u16 = 120;

/// Place of each table. All of them are seen, if only by their titles; the one in focus gets its rows first, then
/// the others in turn.
pub fn sections(panel: &Panel, area: Rect, data: &Data<'_>, focused: usize) -> Vec<(usize, Rect)> {
    let bands = bands(panel, area.width);
    let wishes: Vec<u16> = bands.iter().map(|band| wish(panel, data, band)).collect();
    let mine = bands.iter().position(|band| band.contains(&focused)).unwrap_or(0);
    let heights = heights(&wishes, mine, area.height);
    let mut y = area.y;
    let mut places = Vec::new();
    for (band, height) in bands.iter().zip(heights) {
        let row = Rect { y, height, ..area };
        y += height;
        match band.as_slice() {
            [left, right] => {
                let [a, b] = halves(row);
                places.extend([(*left, a), (*right, b)]);
            }
            all => places.extend(all.iter().map(|at| (*at, row))),
        }
    }
    places
}

/// Rows that the tables of `panel` have a use for.
pub fn wished(panel: &Panel, width: u16, data: &Data<'_>) -> u16 {
    bands(panel, width).iter().map(|band| wish(panel, data, band)).fold(0, u16::saturating_add)
}

/// Tables that stand side by side, from above to below.
fn bands(panel: &Panel, width: u16) -> Vec<Vec<usize>> {
    if width >= WIDE {
        return panel.groups.iter().map(|group| group.to_vec()).collect();
    }
    panel.groups.iter().flat_map(|group| group.iter().map(|at| vec![*at])).collect()
}

/// Title, head, rows; or title and what is said instead of them.
fn wish(panel: &Panel, data: &Data<'_>, band: &[usize]) -> u16 {
    let rows = band.iter().map(|at| (panel.sections[*at].len)(data)).max().unwrap_or(0);
    u16::try_from(if rows == 0 { 2 } else { rows + 2 }).unwrap_or(u16::MAX)
}

/// Divides `room`: one row each for titles, three for the band in focus, then in turn what each wishes; what nobody
/// wishes for is the focused one's.
fn heights(wishes: &[u16], mine: usize, room: u16) -> Vec<u16> {
    let mut heights = vec![0; wishes.len()];
    let mut left = room;
    let mut give = |heights: &mut Vec<u16>, at: usize, upto: u16| {
        let more = upto.saturating_sub(heights[at]).min(left);
        heights[at] += more;
        left -= more;
        more > 0
    };
    for at in 0..wishes.len() {
        give(&mut heights, at, 1);
    }
    if mine < wishes.len() {
        give(&mut heights, mine, wishes[mine].min(6));
    }
    for (at, wish) in wishes.iter().enumerate() {
        give(&mut heights, at, (*wish).min(3));
    }
    loop {
        let mut any = false;
        for (at, wish) in wishes.iter().enumerate() {
            if heights[at] < *wish {
                let next = heights[at] + 1;
                any |= give(&mut heights, at, next);
            }
        }
        if !any {
            break;
        }
    }
    heights
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_focused_table_comes_first_and_titles_stay() {
        assert_eq!(heights(&[20, 20, 20], 1, 10), [3, 6, 1], "a title with one row at least, while there is room");
        assert_eq!(heights(&[20, 20, 20], 2, 4), [1, 1, 2]);
        assert_eq!(heights(&[4, 2, 30], 0, 20), [4, 2, 14]);
    }

    proptest! {
        #[test]
        fn nothing_is_given_twice(wishes in proptest::collection::vec(0_u16..40, 1..5), mine in 0_usize..5, room in 0_u16..80) {
            let heights = heights(&wishes, mine, room);
            prop_assert!(heights.iter().map(|h| u32::from(*h)).sum::<u32>() <= u32::from(room));
        }
    }
}
