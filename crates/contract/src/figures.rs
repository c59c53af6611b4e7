//! What is counted of a subject while a run goes on: by kind of claim, as data. Whoever keeps,
//! adds up or draws figures reads these declarations, and knows no figure by name.

use crate::claim::Kind;

/// Something that is counted of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure {
    /// Name in `events.jsonl`.
    pub name: &'static str,
    /// What it counts.
    pub about: &'static str,
}

/// A step on the way of claims through a system: what is counted there, over all subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What people call it.
    pub label: &'static str,
    /// How many came so far.
    pub came: Came,
}

/// How many claims came to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// The requests that claimed.
    Requests,
    /// The sum of a figure.
    Sum(Figure),
    /// The sum of a figure without those that another one counts.
    Without(Figure, Figure),
}

/// The way of claims of `kind`, in its order. What came to the first step behind the requests and neither to the last one
/// nor to the dead letters is in flight.
pub const fn funnel(kind: Kind) -> &'static [Step] {
    kind.description().funnel
}

/// How subjects of a kind are listed, each with its figures.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Heading of the ids.
    pub heading: &'static str,
    /// Title.
    pub title: &'static str,
    /// Title beside what else Redis says.
    pub in_redis: &'static str,
    /// What stands there without subjects.
    pub none: &'static str,
    /// Figures, in their order.
    pub columns: &'static [Column],
}

/// A figure in a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Which.
    pub figure: Figure,
    /// What stands above it.
    pub heading: &'static str,
    /// Letters that it takes.
    pub width: u16,
    /// It is left out where the table has fewer letters than this.
    pub from: u16,
    /// Which values cannot be right.
    pub wrong: Wrong,
}

/// Which values of a figure cannot be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// None.
    Never,
    /// Those below 0.
    BelowZero,
    /// Those above what there is of the subject in all.
    AboveTotal,
}

/// How subjects of `kind` are listed.
pub const fn table(kind: Kind) -> Table {
    kind.description().table
}

/// What the line of progress says of subjects of `kind`: in a word, and the figure whose sum it is.
pub const fn progress(kind: Kind) -> &'static [(&'static str, Figure)] {
    kind.description().progress
}

/// The figures of a subject of `kind`.
pub const fn of(kind: Kind) -> &'static [Figure] {
    kind.description().figures
}

/// The figure that `events.jsonl` calls `name`; none of a newer version's.
pub fn find(name: &str) -> Option<&'static Figure> {
    Kind::ALL.into_iter().flat_map(of).find(|figure| figure.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_up_is_counted() {
        for kind in Kind::ALL {
            let steps = funnel(kind).iter().flat_map(|step| match step.came {
                Came::Requests => vec![],
                Came::Sum(figure) => vec![figure],
                Came::Without(all, part) => vec![all, part],
            });
            let told = progress(kind).iter().map(|(_, figure)| *figure);
            let told = told.chain(table(kind).columns.iter().map(|column| column.figure));
            assert!(steps.chain(told).all(|figure| of(kind).contains(&figure)), "{kind}");
        }
    }

    #[test]
    fn a_name_means_one_figure() {
        for figure in Kind::ALL.into_iter().flat_map(of) {
            assert_eq!(find(figure.name), Some(figure), "two kinds give {} another meaning", figure.name);
        }
        assert_eq!(find("of a newer version"), None);
    }
}
