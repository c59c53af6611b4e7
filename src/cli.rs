//! Commands: what was typed, and what is printed.
