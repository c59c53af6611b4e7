//! Seed data: what exists before the load, counted.
