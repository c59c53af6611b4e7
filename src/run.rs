//! One run from beginning to end.

pub mod backend;
pub mod control;
pub mod execute;
pub mod folder;
mod gather;
pub mod kept;
mod measure;
mod plan;
pub mod recorder;
pub mod seeding;
mod servers;
mod stages;
pub mod walk;
