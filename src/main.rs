//! The `ecomctl` program.
fn main() {}
