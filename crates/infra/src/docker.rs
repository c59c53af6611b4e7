//! Docker: a compose project made real through the Engine's API, without the docker CLI.
//!
//! [`apply`] brings the services of a [`compose::model::Project`](compose::model::Project) to what its files say and leaves
//! alone what is so already; [`remove`] takes a project down, by its labels and never by today's files. Containers,
//! networks and volumes carry compose's own labels, so that `docker compose -p NAME ps` and `down` see them too.

mod apply;
mod around;
mod call;
mod engine;
mod failure;
mod files;
mod hash;
mod host;
pub mod image;
mod images;
pub mod labels;
mod limits;
mod list;
pub mod logs;
mod make;
pub mod places;
mod plan;
mod ports;
pub mod provider;
mod remove;
mod request;
mod spec;
mod stage;
pub mod stats;
mod undo;
mod wait;

pub use apply::{Change, apply, change};
pub use call::words;
pub use engine::{CgroupVersion, Engine, EngineFacts};
pub use failure::{ContainerFailure, how_it_ended};
pub use images::missing as images_missing;
pub use limits::below_reservations;
pub use list::{Container, ContainerState, PublishedPort, inspect, list};
pub use make::{delete, stop};
pub use ports::holder as port_holder;
pub use remove::{Ours, Remove, Removed, projects_with, remove, remove_ours, volumes_of};
pub use request::{ApplyRequest, ExtraFile, Order};
