//! End-to-end tests against real servers. One binary, so that the stack they share comes up once.

// Helpers of tests may panic as tests do; clippy.toml knows functions marked #[test] only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod alarms;
mod backend_api;
mod backend_consumer;
mod backend_fcfs;
mod backend_gate;
mod backend_points;
mod backend_reconciler;
mod backend_world;
mod commands;
mod compose_config;
mod control;
mod docker;
mod docker_ends;
mod docker_engine;
mod docker_fcfs;
mod docker_owned;
mod docker_points;
mod docker_replace;
mod docker_stack;
mod docker_stats;
mod docker_status;
mod docker_world;
mod event;
mod evidence;
mod fcfs;
mod history;
mod infra;
mod invariants;
mod lag;
mod lag_unknown;
mod load;
mod load_server;
mod output;
mod owned;
mod places;
mod point_entries;
mod points;
mod probe;
mod product;
mod promise;
mod runs;
mod schemas;
mod scripts;
mod seed;
mod stage;
mod status;
mod support;
mod terminal;
mod tui;
mod verify;
mod violations;
mod watch;
