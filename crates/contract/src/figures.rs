//! What is counted of a subject (one coupon, for example) while a run goes on: by kind of claim, as data. Whoever keeps,
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
    match kind {
        Kind::Coupon => coupon::FUNNEL,
        Kind::Point => &[],
    }
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
    match kind {
        Kind::Coupon => coupon::TABLE,
        Kind::Point => {
            Table { heading: "point", title: "Points", in_redis: "Points", none: "no points are watched", columns: &[] }
        }
    }
}

/// What the line of progress says of subjects of `kind`: in a word, and the figure whose sum it is.
pub const fn progress(kind: Kind) -> &'static [(&'static str, Figure)] {
    match kind {
        Kind::Coupon => coupon::PROGRESS,
        Kind::Point => &[],
    }
}

/// The figures of a subject of `kind`.
pub const fn of(kind: Kind) -> &'static [Figure] {
    match kind {
        Kind::Coupon => coupon::ALL,
        Kind::Point => &[],
    }
}

/// The figure that `events.jsonl` calls `name`; none of a newer version's.
pub fn find(name: &str) -> Option<&'static Figure> {
    Kind::ALL.into_iter().flat_map(of).find(|figure| figure.name == name)
}

/// Figures of a coupon.
pub mod coupon {
    use super::{Came, Column, Figure, Step, Table, Wrong};

    /// |M|
    pub const ROWS: Figure = Figure { name: "rows", about: "rows in MySQL" };
    /// |G|
    pub const GRANTS: Figure = Figure { name: "grants", about: "grants in Redis" };
    /// T − |G|
    pub const STOCK: Figure = Figure { name: "stock", about: "left in Redis" };
    /// Between Redis and Kafka.
    pub const PENDING: Figure = Figure { name: "pending", about: "granted, not yet acknowledged by Kafka" };
    /// Left out where counting them would cost too much.
    pub const HOLDERS: Figure = Figure { name: "holders", about: "distinct users among the rows" };
    /// Last number that the gate gave out.
    pub const SEQUENCE: Figure = Figure { name: "sequence", about: "last grant number that the gate gave out" };

    pub(super) const FUNNEL: &[Step] = &[
        Step { label: "requests", came: Came::Requests },
        Step { label: "granted", came: Came::Sum(GRANTS) },
        Step { label: "in Kafka", came: Came::Without(GRANTS, PENDING) },
        Step { label: "rows", came: Came::Sum(ROWS) },
    ];
    pub(super) const TABLE: Table = Table {
        heading: "coupon",
        title: "Coupons",
        in_redis: "Stock and grants",
        none: "no coupons are watched",
        columns: &[
            Column { figure: STOCK, heading: "stock", width: 8, from: 0, wrong: Wrong::BelowZero },
            Column { figure: GRANTS, heading: "granted", width: 8, from: 0, wrong: Wrong::AboveTotal },
            Column { figure: PENDING, heading: "pending", width: 7, from: 50, wrong: Wrong::Never },
            Column { figure: ROWS, heading: "rows", width: 8, from: 0, wrong: Wrong::AboveTotal },
        ],
    };
    pub(super) const PROGRESS: &[(&str, Figure)] = &[("rows", ROWS), ("left", STOCK)];
    pub(super) const ALL: &[Figure] = &[ROWS, GRANTS, STOCK, PENDING, HOLDERS, SEQUENCE];
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
