//! Cases from `tests/coupon/*.yaml`, and random worlds that are in order until something is changed in them.

mod cases;
mod properties;
